"""`explain`: read the arguments, shrink a layer that is too large, and compute the views."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sympy

from tconvjax.arguments import choice
from tconvjax.errors import array_of, fail
from tconvjax.explaining import views as seen_as
from tconvjax.explaining.arrays import Place, Values
from tconvjax.explaining.explanation import VIEWS, Explanation, Seen, View
from tconvjax.explaining.parts import shortened
from tconvjax.geometry import Geometry, check_geometry, links
from tconvjax.symbolic import kernel_symbols, vec_output
from tconvjax.symbolic.names import as_objects, entries


def explain(
    geometry: Geometry, y: Any = None, w: Any = None, *, views: Sequence[View] = VIEWS
) -> Explanation:
    """Explain a transposed convolution step by step, with numbers or with symbols.

    Args:
        geometry: of the convolution that is transposed. If it has more than 600 products or 2,500
            elements, a small part is explained instead, with shorter steps, fewer taps and less
            padding where these are long, and the note says so.
        y: input of the transposed convolution: numbers or expressions of shape (O, *out_size), or
            *out_size for one channel; None for symbols.
        w: kernel of shape (O, C / groups, *kernel_size), or *kernel_size for one channel each way;
            None for symbols.
        views: some of "stamps" (each element stamps a scaled kernel), "zeros" (zeros between the
            elements, and a convolution with the flipped kernel), "matrix" (C.T) and "polyphase" (a
            convolution of stride 1 for each phase, and a pixel shuffle).

    Returns:
        The views in this order. Each computes the result in its own way; ``.agree`` says whether
        they are equal.

    Raises:
        GeometryError: if y or w have other shapes or are not finite, or there is no such view.

    Examples:
        >>> geometry = Geometry.of_conv_transpose((1, 2, 2), (1, 1, 2, 2))
        >>> explanation = explain(geometry, [[0, 1], [2, 3]], [[4, 7], [2, 2]])
        >>> explanation.views[0].result.tolist()
        [[[0, 4, 7], [8, 28, 23], [4, 10, 6]]]
        >>> explanation.agree
        True
    """
    if isinstance(views, str) or not isinstance(views, Sequence):
        remedy = f"write a tuple such as ({VIEWS[0]!r},)"
        fail("views", views, "it must be a sequence of names", remedy)
    names = [choice("views", view, VIEWS) for view in views]
    small, note = shortened(check_geometry(geometry))
    if note:
        y = _part_of("y", y, geometry.out_shape, small.out_shape)
        w = _part_of("w", w, geometry.kernel_shape, small.kernel_shape)
    y = _read("y", y, small.out_shape, list(vec_output(small)))
    w = _read("w", w, small.kernel_shape, list(kernel_symbols(small).values()))
    compute: dict[str, Callable[[Geometry, Values, Values], Seen]] = {
        "stamps": seen_as.stamps,
        "zeros": seen_as.zeros,
        "matrix": seen_as.matrix,
        "polyphase": seen_as.phases,
    }
    products: dict[Place, list[tuple[Any, Any]]] = {}
    for output, source, tap in links(small):
        products.setdefault(source, []).append((y[output], w[tap]))
    return Explanation(small, tuple(compute[name](small, y, w) for name in names), note, products)


def _part_of(argument: str, values: Any, shape: tuple[int, ...], small: tuple[int, ...]) -> Any:
    """The first elements of an array along each axis."""
    if values is None:
        return None
    # Of an array of millions only the part becomes Python objects.
    numeric = getattr(getattr(values, "dtype", None), "kind", "O") in "biufc"
    array = np.asarray(values) if numeric else as_objects(argument, values)
    array = array.reshape(shape) if array.size == math.prod(shape) else array
    if array.shape != shape:
        fail(argument, array_of(array.shape), f"the geometry asks for {shape}", "reshape it")
    return array[tuple(map(slice, small))]


def _read(argument: str, values: Any, shape: tuple[int, ...], symbols: list[Any]) -> Values:
    """Numbers or symbols as an array of SymPy expressions."""
    found = symbols
    if values is not None:
        ones = 1 if argument == "y" else 2
        bare = shape[ones:] if all(size == 1 for size in shape[:ones]) else shape
        array = as_objects(argument, values)
        found = entries(argument, array, bare if array.shape == bare else shape)
        for value in found:
            if value.has(sympy.nan, sympy.oo, -sympy.oo, sympy.zoo):
                rule = "some views multiply by zero, which makes nan of what is not finite"
                fail(argument, value, rule, "give finite numbers or symbols")
    return np.array([*found, None], object)[:-1].reshape(shape)
