"""`explain`: read the arguments, shrink a layer that is too large, and compute the views."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import sympy

from tconvjax.arguments import choice
from tconvjax.errors import array_of, fail
from tconvjax.explaining import views as seen_as
from tconvjax.explaining.arrays import Place, Values, shape_words
from tconvjax.explaining.explanation import VIEWS, Explanation, Seen, View
from tconvjax.geometry import Axis, Geometry, check_geometry, links
from tconvjax.rendering.tables import most_products
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


# -- a part of a large geometry --------------------------------------------------------------------


MOST_PRODUCTS = 600
"""Maximum products of a convolution that is explained whole."""

MOST_ELEMENTS = 2_500
"""Maximum elements of the largest array of its views; with a long stride or a wide crop, a few
products need many."""

MOST_PART = 2_000
"""Maximum products, and elements, of a part."""


class _Limits(NamedTuple):
    """The most that a part keeps of each axis."""

    outputs: int
    taps: int
    stride: int
    dilation: int


_LIMITS = (
    _Limits(3, 8, 4, 3),
    _Limits(2, 8, 4, 3),
    _Limits(2, 4, 2, 2),
    _Limits(2, 2, 2, 1),
    _Limits(1, 2, 1, 1),
    _Limits(1, 1, 1, 1),
)
"""From the part that shows most to the smallest; the first is for one axis only."""


def shortened(geometry: Geometry) -> tuple[Geometry, str]:
    """A geometry that can be explained whole, and what was left out of it."""
    if most_products(geometry) <= MOST_PRODUCTS and _elements(geometry) <= MOST_ELEMENTS:
        return geometry, ""
    groups = min(geometry.groups, 2)
    outs = min(geometry.out_channels // geometry.groups, 2 if groups == 1 else 1)
    ins = min(geometry.in_channels // geometry.groups, 1)
    for limits in _LIMITS[geometry.rank > 1 :]:
        axes = tuple(_shorter(axis, limits) for axis in geometry.axes)
        small = Geometry(axes, groups * ins, groups * outs, groups)
        if max(most_products(small), _elements(small)) <= MOST_PART:
            break
    whole, part = (
        f"{shape_words(g.out_shape)} to {shape_words(g.in_shape)}" for g in (geometry, small)
    )
    return small, (
        f"This is a part of the layer, {part} instead of {whole}. Long strides are shortened, and "
        "taps and padding with them."
    )


def _elements(geometry: Geometry) -> int:
    """Elements of the largest array of any view: the result with its rim, or y spread out."""
    channels = max(geometry.in_channels, geometry.out_channels, 1)
    kernels = max(geometry.out_channels * geometry.kernel_shape[1], 1)
    spans = math.prod(axis.span for axis in geometry.axes)
    return max(channels * math.prod(map(_line, geometry.axes)), kernels * spans)


def _line(axis: Axis) -> int:
    filled = axis.filled() if axis.bordered else axis
    spread = axis.stride * max(axis.out_size - 1, 0) + 1
    stamped = spread + axis.span - 1
    return max(axis.in_size, stamped, filled.in_size + axis.span - 1)


def _shorter(axis: Axis, limits: _Limits) -> Axis:
    """A few outputs of an axis; a long stride is shortened, and taps and padding with it."""
    stride, dilation = min(axis.stride, limits.stride), min(axis.dilation, limits.dilation)
    taps = min(-(-axis.kernel_size * stride // axis.stride), limits.taps)
    outputs, span = min(axis.out_size, limits.outputs), dilation * (taps - 1) + 1
    low, high = (
        min(max(end * stride // axis.stride, -1), span - 1) for end in (axis.low, axis.high)
    )
    size = max(stride * (outputs - 1) + span - low - high, 1)
    return Axis(size, outputs, taps, stride, dilation, low, axis.mode)
