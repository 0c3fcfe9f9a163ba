"""The front door: what is asked for, made small enough to be told."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tconvjax.explaining import views as tellers
from tconvjax.explaining.arrays import Values, shape_words
from tconvjax.explaining.explanation import VIEWS, Explanation, Seen, View
from tconvjax.geometry import Axis, Geometry, Words, fail
from tconvjax.symbolic import kernel_symbols, vec_output
from tconvjax.symbolic.names import entries

MOST_PRODUCTS = 600
"""Products of a convolution that is explained as it is; of a larger one a small part is."""


LONGEST_STRIDE, LONGEST_DILATION = 4, 3
"""Of a layer of which a part is explained."""


def explain(
    geometry: Geometry, y: Any = None, w: Any = None, *, views: Sequence[View] = VIEWS
) -> Explanation:
    """Explain a transposed convolution step by step, with numbers or with symbols.

    Args:
        geometry: of the convolution that is transposed; of a large one a small part with the same
            kernel and steps is explained, and the note says so.
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
        GeometryError: if y or w have other shapes, or there is no such view.

    Examples:
        >>> there = Geometry.of_conv_transpose((1, 2, 2), (1, 1, 2, 2))
        >>> told = explain(there, [[0, 1], [2, 3]], [[4, 7], [2, 2]])
        >>> told.views[0].result.tolist()
        [[[0, 4, 7], [8, 28, 23], [4, 10, 6]]]
        >>> told.agree
        True
    """
    for view in views:
        if view not in VIEWS:
            fail("views", view, f"the views are {', '.join(VIEWS)}", "use one of them")
    small, note = _shortened(geometry)
    if note and (y is not None or w is not None):
        y, w = (
            _part_of("y", y, geometry.out_shape, small.out_shape),
            _part_of("w", w, geometry.kernel_shape, small.kernel_shape),
        )
    data = _data("y", y, small.out_shape, list(vec_output(small)))
    kernel = _data("w", w, small.kernel_shape, list(kernel_symbols(small).values()))
    tell: dict[str, Callable[[Geometry, Values, Values], Seen]] = {
        "stamps": tellers.stamps, "zeros": tellers.zeros,
        "matrix": tellers.matrix, "polyphase": tellers.phases,
    }  # fmt: skip
    return Explanation(small, tuple(tell[view](small, data, kernel) for view in views), note)


def _shortened(geometry: Geometry) -> tuple[Geometry, str]:
    """A geometry that can be explained whole, and what was left out of it."""
    products = geometry.out_channels * geometry.kernel_shape[1] * math.prod(
        size * taps for size, taps in zip(geometry.out_size, geometry.kernel_size, strict=True)
    )  # fmt: skip
    if products <= MOST_PRODUCTS:
        return geometry, ""
    groups = min(geometry.groups, 2)
    outs = min(geometry.out_channels // geometry.groups, 2 if groups == 1 else 1)
    ins = min(geometry.in_channels // geometry.groups, 1)
    axes = tuple(_shorter(axis, 3 if geometry.rank == 1 else 2) for axis in geometry.axes)
    small = Geometry(axes, groups * ins, groups * outs, groups)
    sizes = [shape_words(g) for g in (geometry.out_shape, geometry.in_shape)]
    parts = [shape_words(g) for g in (small.out_shape, small.in_shape)]
    note = (f"Of {' to '.join(sizes)} a part is shown: {' to '.join(parts)}, long strides "
            "shortened, and taps and padding with them.")  # fmt: skip
    return small, note


def _shorter(axis: Axis, outputs: int) -> Axis:
    """A few outputs of an axis; a long stride is shortened, and taps and padding with it."""
    stride, dilation = min(axis.stride, LONGEST_STRIDE), min(axis.dilation, LONGEST_DILATION)
    taps = min(-(-axis.kernel_size * stride // axis.stride), 2 * LONGEST_STRIDE)
    outputs, span = min(axis.out_size, outputs), dilation * (taps - 1) + 1
    low, high = (
        min(max(ends * stride // axis.stride, -1), span - 1) for ends in (axis.low, axis.high)
    )
    size = max(stride * (outputs - 1) + span - low - high, 1)
    return Axis(size, outputs, taps, stride, dilation, low, axis.mode)


def _part_of(argument: str, values: Any, shape: tuple[int, ...], small: tuple[int, ...]) -> Any:
    """The first elements of an array along each axis."""
    if values is None:
        return None
    array = np.asarray(values)
    array = array.reshape(shape) if array.size == math.prod(shape) else array
    if array.shape != shape:
        fail(argument, Words(f"array of shape {array.shape}"), f"the geometry asks for {shape}",
             "reshape it")  # fmt: skip
    return array[tuple(map(slice, small))]


def _data(argument: str, values: Any, shape: tuple[int, ...], symbols: list[Any]) -> Values:
    """Numbers or symbols as an array of SymPy expressions."""
    found = symbols
    if values is not None:
        ones = 1 if argument == "y" else 2
        bare = shape[ones:] if all(size == 1 for size in shape[:ones]) else shape
        given = np.asarray(values.tolist() if hasattr(values, "tolist") else values, dtype=object)
        found = entries(argument, given, bare if given.shape == bare else shape)
    array = np.empty(len(found), object)
    array[:] = found
    return array.reshape(shape)
