"""From arguments to axes, and the size formulas: of a convolution, and the sizes that share it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import overload

from tconvjax.arguments import Ints, counted, frozen, ints, some
from tconvjax.errors import Described, fail
from tconvjax.geometry.axis import Axis
from tconvjax.geometry.padding import AxisPadding, Padding, PaddingMode, conv_pads, pads

MOST_LISTED = 2**20
"""Largest number of sizes that `in_sizes` lists."""


def steps(
    rank: int, stride: Ints, dilation: Ints, padding: Padding
) -> tuple[tuple[int, ...], tuple[int, ...], tuple[AxisPadding, ...]]:
    """Read stride, dilation and padding of each axis."""
    return (
        ints("stride", stride, rank, 1),
        ints("dilation", dilation, rank, 1),
        pads(padding, rank),
    )


@functools.lru_cache(maxsize=4096)
def conv_axis(
    size: int, kernel: int, stride: int, dilation: int, padding: AxisPadding, mode: PaddingMode
) -> Axis:
    """The axis of a convolution that reads ``size`` elements."""
    span = dilation * (kernel - 1) + 1
    low, high = conv_pads(padding, size, span, stride)
    room = size + low + high - span
    if room < 0 and size > 0:
        fail(
            "x",
            Described(f"{size} elements along an axis"),
            f"with padding {(low, high)} that is {size + low + high}, and a kernel of {kernel} "
            f"taps at dilation {dilation} spans {span}",
            f"sizes that do: {max(span - low - high, 0)} and more; or pad by {-room} more",
        )
    return Axis(size, max(room // stride + 1, 0), kernel, stride, dilation, low, mode)


@functools.lru_cache(maxsize=4096)
def conv_transpose_axis(
    size: int,
    kernel: int,
    stride: int,
    dilation: int,
    padding: AxisPadding,
    mode: PaddingMode,
    extra: int,
    wanted: int | None,
) -> Axis:
    """The axis whose transposed convolution reads ``size`` elements and gives ``wanted``."""
    span = dilation * (kernel - 1) + 1
    named = isinstance(padding, str) and padding != "VALID"
    # PyTorch's rule. The padding (low, high - extra) belongs to a forward convolution for every
    # extra, so the transposed convolution exists even if extra >= stride.
    room = max(stride, dilation)
    sizes = _sharing(size, span, stride, padding, room)
    if extra and named:
        rule = f"padding={padding!r} fixes the size without it"
        remedy = f"give output_size instead; sizes that do: {some(sizes)}"
        fail("output_padding", extra, rule, remedy)
    if extra >= room:
        rule = f"it must be smaller than the stride ({stride}) or than the dilation ({dilation})"
        remedy = f"give at most {room - 1}, or a smaller or negative padding"
        fail("output_padding", extra, rule, remedy)
    low, high = conv_pads(padding, stride * size, span, stride)
    least = stride * (size - 1) + span - low - high
    natural = stride * size if named else least + extra
    in_size = wanted if wanted is not None else natural if size else max(natural, 0)
    nothing = size == 0 and in_size == 0  # whose convolution is empty, whatever the kernel
    if in_size not in sizes and not nothing:
        argument, value = ("padding", (low, high)) if wanted is None else ("output_size", wanted)
        verb = "would" if wanted is None else "cannot"
        rule = f"{counted(size, 'element')} {verb} become {in_size} with kernel {kernel}, stride "
        rule += f"{stride}, dilation {dilation} and padding {padding}"
        pad_less = f"pad {1 - natural} less in all"
        fail(argument, value, rule, f"sizes that do: {some(sizes)}" if sizes else pad_less)
    # CAUSAL cuts nothing before the first element, so that element j sees only the y[i] with
    # stride * i <= j, and cuts the surplus after the last.
    low = 0 if padding == "CAUSAL" else conv_pads(padding, in_size, span, stride)[0]
    return Axis(in_size, size, kernel, stride, dilation, low, mode)


def _sharing(size: int, span: int, stride: int, padding: AxisPadding, room: int) -> range:
    """The input sizes of ``size`` outputs: ``room`` of them if the padding is numbers."""
    if isinstance(padding, str) and padding != "VALID":
        return range(max(stride * (size - 1) + 1, 0), stride * size + 1)
    least = stride * (size - 1) + span - sum(conv_pads(padding, 0, span, stride))
    return range(max(least, 0), max(least + room, 0 if size else 1))


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
    in_size = frozen("in_size", in_size)
    sizes = ints("in_size", in_size, None, 0)
    rank = len(sizes)
    kernels = ints("kernel_size", kernel_size, rank, 1)
    columns = zip(sizes, kernels, *steps(rank, stride, dilation, padding), strict=True)
    outs = tuple(conv_axis(*column, "zeros").out_size for column in columns)
    return outs[0] if isinstance(in_size, int) else outs


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
    out_size = frozen("out_size", out_size)
    outs = ints("out_size", out_size, None, 1)
    kernels = ints("kernel_size", kernel_size, len(outs), 1)
    strides, dilations, ends = steps(len(outs), stride, dilation, padding)
    if max(strides) > MOST_LISTED:
        rule = f"there are as many sizes as the stride, and {MOST_LISTED} is the limit"
        fail("stride", stride, rule, "take a smaller stride, or try a size with out_size")
    spans = [d * (k - 1) + 1 for d, k in zip(dilations, kernels, strict=True)]
    columns = zip(outs, spans, strides, ends, strides, strict=True)
    found = tuple(tuple(_sharing(*column)) for column in columns)
    return found[0] if isinstance(out_size, int) else found
