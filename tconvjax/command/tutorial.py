"""The tutorial's worked examples, with the results that it prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Example:
    """A worked example of the tutorial: one transposed convolution and the result it prints.

    Args:
        name: what the tour calls it.
        y: the transposed convolution's input (N, O, *out_size).
        w: the kernel (O, C, *kernel_size).
        result: what the tutorial prints.
        stride: result elements between neighbouring stamps.
        padding: elements of the rim that are cut off on each side.
    """

    name: str
    y: Any
    w: Any
    result: Any
    stride: int = 1
    padding: int = 0


ONE_CHANNEL = [[[[0, 1], [2, 3]]]]
KERNEL = [[[[4, 7], [2, 2]]]]

EXAMPLES = {
    "stamps": Example(
        "padding 0, stride 1",
        ONE_CHANNEL,
        KERNEL,
        [[[[0, 4, 7], [8, 28, 23], [4, 10, 6]]]],
    ),
    "padding": Example("padding 1", ONE_CHANNEL, KERNEL, [[[[28]]]], padding=1),
    "stride": Example(
        "stride 4",
        ONE_CHANNEL,
        KERNEL,
        [
            [
                [
                    [0, 0, 0, 0, 4, 7],
                    [0, 0, 0, 0, 2, 2],
                    [0, 0, 0, 0, 0, 0],
                    [0, 0, 0, 0, 0, 0],
                    [8, 14, 0, 0, 12, 21],
                    [4, 4, 0, 0, 6, 6],
                ]
            ]
        ],
        stride=4,
    ),
    "channels": Example(
        "two channels in, one out",
        [[[[0, 1], [2, 3]], [[4, 5], [7, 8]]]],
        [[[[0, 1], [2, 3]]], [[[4, 5], [2, 3]]]],
        [[[[16, 40, 26], [36, 93, 61], [18, 49, 33]]]],
    ),
}
"""The examples with printed numbers."""

FIRST_PIXEL = [[16, 20], [8, 12]]
"""What the first pixels of both channels stamp: 0 * w[0] + 4 * w[1]."""

SHAPES = ((1, 10, 16, 16), (1, 20, 6, 6), (1, 10, 16, 16))
"""Conv(10, 20, kernel 5, padding 2, stride 3) of a 16x16 input, and the way back."""

MATRIX_SHAPE = (4, 16)
"""C of a 4x4 input and a 3x3 kernel."""

PIXELS = [[0, 4], [8, 12]]
BILINEAR = [[0, 1, 3, 4], [2, 3, 5, 6], [6, 7, 9, 10], [8, 9, 11, 12]]
"""PIXELS doubled by bilinear interpolation: a sum of 0 1 3 4 along and 0 2 6 8 down."""
TILES = [[0, 0, 4, 4], [0, 0, 4, 4], [8, 8, 12, 12], [8, 8, 12, 12]]
NAILS = [[0, 0, 4, 0], [0, 0, 0, 0], [8, 0, 12, 0], [0, 0, 0, 0]]
