"""The front door: what is asked for, made small enough to be told."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy

from tconvjax.errors import array_of, fail
from tconvjax.explaining import views as tellers
from tconvjax.explaining.arrays import Values
from tconvjax.explaining.explanation import VIEWS, Explanation, Products, Seen, View
from tconvjax.explaining.parts import shortened
from tconvjax.geometry import Geometry, check_geometry, links
from tconvjax.symbolic import kernel_symbols, vec_output
from tconvjax.symbolic.names import as_objects, entries


def explain(
    geometry: Geometry, y: Any = None, w: Any = None, *, views: Sequence[View] = VIEWS
) -> Explanation:
    """Explain a transposed convolution step by step, with numbers or with symbols.

    Args:
        geometry: of the convolution that is transposed; of one with more than 600 products or
            2,500 elements a small part is explained, with shorter steps, fewer taps and less
            padding where these are long, and the note says so.
        y: what the transposed convolution reads, numbers or expressions of shape (O, *out_size), or
            *out_size for one channel; None for symbols.
        w: kernel of shape (O, C / groups, *kernel_size), or *kernel_size for one channel each way;
            None for symbols.
        views: which: "stamps" (each element stamps a scaled kernel), "zeros" (zeros between the
            elements, and a convolution with the flipped kernel), "matrix" (C.T), "polyphase" (a
            convolution of stride 1 for each phase, and a pixel shuffle).

    Returns:
        The views in the order given. Each works the result out in its own way; ``.agree`` tells
        whether they are equal.

    Raises:
        GeometryError: if y or w have other shapes or are not finite, or there is no such view.

    Examples:
        >>> there = Geometry.of_conv_transpose((1, 2, 2), (1, 1, 2, 2))
        >>> told = explain(there, [[0, 1], [2, 3]], [[4, 7], [2, 2]])
        >>> told.views[0].result.tolist()
        [[[0, 4, 7], [8, 28, 23], [4, 10, 6]]]
        >>> told.agree
        True
    """
    _check_views(views)
    small, note = shortened(check_geometry(geometry))
    if note and (y is not None or w is not None):
        y, w = (
            _part_of("y", y, geometry.out_shape, small.out_shape),
            _part_of("w", w, geometry.kernel_shape, small.kernel_shape),
        )
    data = _data("y", y, small.out_shape, list(vec_output(small)))
    kernel = _data("w", w, small.kernel_shape, list(kernel_symbols(small).values()))
    tell: dict[str, Callable[[Geometry, Values, Values], Seen]] = {
        "stamps": tellers.stamps,
        "zeros": tellers.zeros,
        "matrix": tellers.matrix,
        "polyphase": tellers.phases,
    }
    seen = tuple(tell[view](small, data, kernel) for view in views)
    return Explanation(small, seen, note, _products(small, data, kernel))


def _check_views(views: Any) -> None:
    if isinstance(views, str) or not isinstance(views, Sequence):
        fail(
            "views",
            views,
            "it must be a sequence of names",
            f"write a tuple such as ({VIEWS[0]!r},)",
        )
    for view in views:
        if view not in VIEWS:
            fail("views", view, f"the views are {', '.join(VIEWS)}", "use one of them")


def _products(geometry: Geometry, y: Values, w: Values) -> Products:
    """What is added up in each element of the result."""
    found: dict[tuple[int, ...], list[tuple[Any, Any]]] = {}
    for output, source, tap in links(geometry):
        found.setdefault(source, []).append((y[output], w[tap]))
    return found


def _part_of(argument: str, values: Any, shape: tuple[int, ...], small: tuple[int, ...]) -> Any:
    """The first elements of an array along each axis."""
    if values is None:
        return None
    # Of an array of millions only the part is turned into objects.
    numeric = getattr(getattr(values, "dtype", None), "kind", "O") in "biufc"
    array = np.asarray(values) if numeric else as_objects(argument, values)
    array = array.reshape(shape) if array.size == math.prod(shape) else array
    if array.shape != shape:
        fail(
            argument,
            array_of(array.shape),
            f"the geometry asks for {shape}",
            "reshape it",
        )
    return array[tuple(map(slice, small))]


def _data(argument: str, values: Any, shape: tuple[int, ...], symbols: list[Any]) -> Values:
    """Numbers or symbols as an array of SymPy expressions."""
    found = symbols
    if values is not None:
        ones = 1 if argument == "y" else 2
        bare = shape[ones:] if all(size == 1 for size in shape[:ones]) else shape
        given = as_objects(argument, values)
        found = entries(argument, given, bare if given.shape == bare else shape)
        for value in found:
            if value.has(sympy.nan, sympy.oo, -sympy.oo, sympy.zoo):
                fail(
                    argument,
                    value,
                    "some views multiply zeros in, which makes nan of what is not finite",
                    "give finite numbers or symbols",
                )
    array = np.empty(len(found), object)
    array[:] = found
    return array.reshape(shape)
