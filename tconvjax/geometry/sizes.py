"""Size formulas: the output size of a convolution, and the input sizes that share it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import overload

from tconvjax.arguments import Ints, frozen, ints
from tconvjax.errors import fail
from tconvjax.geometry.geometry import Geometry
from tconvjax.geometry.parsing import Padding, conv_pads, pads, same_sizes

MOST_LISTED = 2**20
"""Largest number of sizes that `in_sizes` lists."""


@overload
def out_size(
    in_size: int, kernel_size: int, stride: int = ..., padding: Padding = ..., dilation: int = ...
) -> int: ...
@overload
def out_size(
    in_size: Sequence[int],
    kernel_size: Ints,
    stride: Ints = ...,
    padding: Padding = ...,
    dilation: Ints = ...,
) -> tuple[int, ...]: ...
def out_size(
    in_size: Ints, kernel_size: Ints, stride: Ints = 1, padding: Padding = 0, dilation: Ints = 1
) -> int | tuple[int, ...]:
    """The output size of a convolution.

    out = floor((in + low + high - dilation * (kernel - 1) - 1) / stride) + 1

    Args:
        in_size: input elements: an int for one axis, or one int per axis.
        kernel_size: taps; like the rest, one int or one int per axis.
        stride: input elements between neighbouring outputs.
        padding: as in `Geometry.of_conv`.
        dilation: input elements between neighbouring taps.

    Returns:
        An int if in_size is one, else a tuple.

    Raises:
        GeometryError: if the kernel does not fit, or an argument is no legal one.

    Examples:
        >>> out_size(7, 3, stride=2, padding=1), out_size(8, 3, stride=2, padding=1)
        (4, 4)
    """
    sizes, many = _one_per_axis("in_size", in_size, 0)
    kernel = ints("kernel_size", kernel_size, len(sizes), 1)
    geometry = Geometry.of_conv(
        (1, *sizes), (1, 1, *kernel), stride=stride, padding=padding, dilation=dilation
    )
    return geometry.out_size if many else geometry.out_size[0]


@overload
def in_sizes(
    out_size: int, kernel_size: int, stride: int = ..., padding: Padding = ..., dilation: int = ...
) -> tuple[int, ...]: ...
@overload
def in_sizes(
    out_size: Sequence[int],
    kernel_size: Ints,
    stride: Ints = ...,
    padding: Padding = ...,
    dilation: Ints = ...,
) -> tuple[tuple[int, ...], ...]: ...
def in_sizes(
    out_size: Ints, kernel_size: Ints, stride: Ints = 1, padding: Padding = 0, dilation: Ints = 1
) -> tuple[int, ...] | tuple[tuple[int, ...], ...]:
    """All input sizes whose convolution has this output size: the shape inverse is not unique.

    in = stride * (out - 1) + dilation * (kernel - 1) + 1 - low - high + (0, ..., or stride - 1)

    Args:
        out_size: output elements, at least 1: an int for one axis, or one int per axis.
        kernel_size: taps; like the rest, one int or one int per axis.
        stride: input elements between neighbouring outputs.
        padding: as in `Geometry.of_conv`.
        dilation: input elements between neighbouring taps.

    Returns:
        The sizes in rising order, ``stride`` of them unless some would be negative. If out_size is
        a tuple, one such tuple per axis; any combination of them has the output size.

    Raises:
        GeometryError: if an argument is not legal, or the stride is above 2**20.

    Examples:
        >>> in_sizes(4, 3, stride=2, padding=1)
        (7, 8)
        >>> in_sizes((4, 4), 3, stride=(2, 1), padding=1)
        ((7, 8), (4,))
    """
    outs, many = _one_per_axis("out_size", out_size, 1)
    rank = len(outs)
    steps = ints("stride", stride, rank, 1)
    columns = zip(
        outs,
        ints("kernel_size", kernel_size, rank, 1),
        steps,
        pads(frozen("padding", padding), rank),
        ints("dilation", dilation, rank, 1),
        strict=True,
    )
    if max(steps) > MOST_LISTED:
        fail(
            "stride",
            stride,
            f"there are as many sizes as the stride, and {MOST_LISTED} is the limit",
            "take a smaller stride, or try a size with out_size",
        )
    found = []
    for out, kernel, step, ends, gap in columns:
        if isinstance(ends, str) and ends != "VALID":
            found.append(tuple(same_sizes(out, step)))
            continue
        low, high = conv_pads(ends, 0, 0, step)
        least = step * (out - 1) + gap * (kernel - 1) + 1 - low - high
        found.append(tuple(size for size in range(least, least + step) if size >= 0))
    return tuple(found) if many else found[0]


def _one_per_axis(argument: str, value: Ints, least: int) -> tuple[tuple[int, ...], bool]:
    """The numbers, and whether a sequence was given."""
    numbers = frozen(argument, value)
    many = isinstance(numbers, tuple)
    return ints(argument, numbers, len(numbers) if many else 1, least), many
