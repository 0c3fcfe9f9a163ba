"""Shrink a geometry that is too large to explain."""

from __future__ import annotations

import math
from typing import NamedTuple

from tconvjax.explaining.arrays import shape_words
from tconvjax.geometry import Axis, Geometry
from tconvjax.rendering.tables import most_products

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
