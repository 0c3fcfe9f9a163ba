"""Parse the spellings of padding and sizes into axes; the modes are in `padding`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

from tconvjax.arguments import counted, frozen, ints, some
from tconvjax.errors import Described, array_of, fail
from tconvjax.geometry.axis import Axis
from tconvjax.geometry.padding import PaddingMode

PADDING_NAMES = ("VALID", "SAME", "SAME_LOWER", "CAUSAL")

Padding: TypeAlias = str | int | Sequence[int] | Sequence[Sequence[int]]
"""A name, one integer, one integer per axis, or one (low, high) pair per axis."""
AxisPads: TypeAlias = str | tuple[int, int]
"""The padding of one axis: a name, or (low, high)."""


# -- reading ---------------------------------------------------------------------------------------


def pads(value: Any, rank: int) -> tuple[AxisPads, ...]:
    """The padding of each axis from a frozen argument."""
    if isinstance(value, str):
        if value.upper() not in PADDING_NAMES:
            fail(
                "padding",
                value,
                f"the names are {', '.join(PADDING_NAMES)}",
                "use one of them, or give numbers",
            )
        return (value.upper(),) * rank
    values = value if isinstance(value, tuple) else (value,) * rank
    pairs = tuple(item if isinstance(item, tuple) else (item, item) for item in values)
    if len(pairs) != rank or any(
        len(pair) != 2 or not all(isinstance(end, int) for end in pair) for pair in pairs
    ):
        fail(
            "padding",
            value,
            f"the convolution has {counted(rank, 'spatial axis', 'spatial axes')}",
            f"give a name, one int, {'' if rank == 1 else f'{rank} ints, '}or "
            f"{counted(rank, '(low, high) pair')} such as {((1, 2),) * rank}",
        )
    return pairs


def kernel_sizes(w_shape: Any) -> tuple[int, ...]:
    """The taps along each axis of a kernel of shape (O, C / groups, *k)."""
    if not isinstance(w_shape, tuple) or len(w_shape) < 3:
        fail(
            "w",
            array_of(w_shape),
            "a kernel has two channel axes and at least one spatial axis",
            "reshape it to (out_channels, in_channels / groups, *kernel_size)",
        )
    return ints("kernel_size", w_shape[2:], len(w_shape) - 2, 1)


def channels_and_sizes(argument: str, shape: Any, rank: int) -> tuple[int, tuple[int, ...]]:
    """The channel count and the spatial sizes of an array of shape (..., channels, *sizes)."""
    if not isinstance(shape, Sequence):
        shape = frozen(f"{argument}'s shape", shape)
        shape = shape if isinstance(shape, tuple) else (shape,)
    if isinstance(shape, str | bytes):
        fail(f"{argument}'s shape", shape, "it must be one whole number per axis", "give ints")
    if len(shape) < rank + 1:
        axes = counted(rank, "spatial axis", "spatial axes")
        fail(
            argument,
            array_of(shape),
            f"a kernel of {axes} goes with a channel axis and {axes}, after any batch axes",
            "reshape it, or the kernel",
        )
    numbers = frozen(f"{argument}'s shape", tuple(shape)[len(shape) - rank - 1 :])
    channels, *sizes = ints(f"{argument}'s shape", numbers, rank + 1, 0)
    return channels, tuple(sizes)


# -- solving ---------------------------------------------------------------------------------------


def conv_pads(given: AxisPads, size: int, span: int, stride: int) -> tuple[int, int]:
    """(low, high) of a forward convolution of ``size`` elements, names resolved."""
    match given:
        case "VALID":
            return 0, 0
        case "CAUSAL":
            return span - 1, 0
        case "SAME" | "SAME_LOWER":
            total = max(stride * (math.ceil(size / stride) - 1) + span - size, 0)
            less, more = total // 2, total - total // 2
            return (less, more) if given == "SAME" else (more, less)
        case (int(low), int(high)):
            return low, high
    raise AssertionError(given)


def conv_axis(
    size: int, kernel: int, stride: int, dilation: int, given: AxisPads, mode: PaddingMode
) -> Axis:
    """The axis of a convolution that reads ``size`` elements."""
    span = dilation * (kernel - 1) + 1
    low, high = conv_pads(given, size, span, stride)
    room = size + low + high - span
    if room < 0 and size > 0:
        fail(
            "x",
            Described(f"{size} elements along an axis"),
            f"with padding {(low, high)} that is "
            f"{size + low + high}, and a kernel of {kernel} taps at dilation {dilation} spans "
            f"{span}",
            f"sizes that do: {max(span - low - high, 0)} and more; or pad by {-room} more",
        )
    return Axis(size, max(room // stride + 1, 0), kernel, stride, dilation, low, mode)


def conv_transpose_axis(
    size: int,
    kernel: int,
    stride: int,
    dilation: int,
    given: AxisPads,
    extra: int,
    wanted: int | None,
    mode: PaddingMode,
) -> Axis:
    """The axis whose transposed convolution reads ``size`` elements and gives ``wanted``."""
    span = dilation * (kernel - 1) + 1
    if isinstance(given, str) and given != "VALID":
        in_size, low = _named_transpose(given, size, span, stride, extra, wanted)
        return Axis(in_size, size, kernel, stride, dilation, low, mode)
    low, high = conv_pads(given, 0, span, stride)
    least = stride * (size - 1) + span - low - high
    # PyTorch's rule. The padding (low, high - extra) belongs to a forward convolution for every
    # extra, so the transposed convolution exists even if extra >= stride.
    room = max(stride, dilation)
    if extra >= room:
        fail(
            "output_padding",
            extra,
            f"it must be smaller than the stride ({stride}) or than the dilation ({dilation})",
            f"give at most {room - 1}, or a smaller or negative padding",
        )
    in_size = least + extra if wanted is None else wanted
    if size == 0 and wanted is None:
        in_size = max(in_size, 0)
    sizes = range(max(least, 0), max(least + room, 1 if size == 0 else 0))
    nothing = size == 0 and in_size == 0  # whose convolution is empty, whatever the kernel
    if in_size not in sizes and not nothing:
        argument, value = ("padding", (low, high)) if wanted is None else ("output_size", wanted)
        fail(
            argument,
            value,
            f"in_size={in_size} cannot give out_size={size} with kernel "
            f"{kernel}, stride {stride}, dilation {dilation} and padding {(low, high)}",
            f"sizes that do: {some(sizes)}" if sizes else f"pad {1 - room - least} less in all",
        )
    return Axis(in_size, size, kernel, stride, dilation, low, mode)


def _named_transpose(
    name: str, size: int, span: int, stride: int, extra: int, wanted: int | None
) -> tuple[int, int]:
    """(in_size, low) of a transposed convolution whose padding is a name other than VALID."""
    if extra:
        fail(
            "output_padding",
            extra,
            f"padding={name!r} fixes the size without it",
            "give output_size instead",
        )
    in_size = stride * size if wanted is None else wanted
    sizes = same_sizes(size, stride)
    if in_size not in sizes:
        fail(
            "output_size",
            in_size,
            f"padding={name!r} with stride {stride} cannot give out_size={size} from it",
            f"sizes that do: {some(sizes)}",
        )
    # CAUSAL cuts nothing before the first element, so that element j sees only the y[i] with
    # stride * i <= j, and cuts the surplus after the last.
    return in_size, 0 if name == "CAUSAL" else conv_pads(name, in_size, span, stride)[0]


def same_sizes(size: int, stride: int) -> range:
    """The input sizes n with ceil(n / stride) = size."""
    return range(max(stride * (size - 1) + 1, 0), stride * size + 1)
