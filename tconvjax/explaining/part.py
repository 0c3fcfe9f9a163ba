"""A part of a layer that is too large to explain whole."""

from __future__ import annotations

import math

from tconvjax.geometry import Axis, Geometry
from tconvjax.rendering.document import shape_words
from tconvjax.symbolic.matrix import products_of

MOST_PRODUCTS = 600
"""Maximum products of a convolution that is explained whole."""

MOST_ELEMENTS = 2_500
"""Maximum elements of the largest array of its views; with a long stride or a wide crop, a few
products need many."""

MOST_PART = 2_000
"""Maximum products, and elements, of a part."""

_LIMITS = (
    (3, 8, 4, 3),
    (2, 8, 4, 3),
    (2, 4, 2, 2),
    (2, 2, 2, 1),
    (1, 2, 1, 1),
    (1, 1, 1, 1),
)
"""The most outputs and taps of each axis of a part, and its longest stride and dilation, from the
part that shows most to the smallest; the first is for one axis only."""


def shortened(geometry: Geometry) -> tuple[Geometry, str]:
    """A geometry that can be explained whole, and what was left out of it."""
    if products_of(geometry) <= MOST_PRODUCTS and _elements(geometry) <= MOST_ELEMENTS:
        return geometry, ""
    groups = min(geometry.groups, 2)
    outs = min(geometry.out_channels // geometry.groups, 2 if groups == 1 else 1)
    ins = min(geometry.in_channels // geometry.groups, 1)
    for limits in _LIMITS[geometry.rank > 1 :]:
        axes = tuple(_shorter(axis, *limits) for axis in geometry.axes)
        small = Geometry(axes, groups * ins, groups * outs, groups)
        if max(products_of(small), _elements(small)) <= MOST_PART:
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
    lines = (max(a.in_size, a.filled().in_size) + a.span - 1 for a in geometry.axes)
    return max(channels * math.prod(lines), kernels * spans)


def _shorter(axis: Axis, outputs: int, taps: int, stride: int, dilation: int) -> Axis:
    """At most so much of an axis; if its stride is shortened, so are its taps and padding."""
    stride, dilation = min(axis.stride, stride), min(axis.dilation, dilation)
    taps = min(-(-axis.kernel_size * stride // axis.stride), taps)
    outputs, span = min(axis.out_size, outputs), dilation * (taps - 1) + 1
    ends = (axis.low, axis.high)
    low, high = (min(max(end * stride // axis.stride, -1), span - 1) for end in ends)
    size = max(stride * (outputs - 1) + span - low - high, 1)
    return Axis(size, outputs, taps, stride, dilation, low, axis.mode)
