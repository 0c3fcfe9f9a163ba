"""The neutral form of a transposed layer, into which every framework's arguments are read.

A transposed convolution of n elements along an axis has a natural result of

    stride * (n - 1) + span    elements,    span = dilation * (kernel_size - 1) + 1

Whatever a framework calls padding, output padding, output shape, "same" or "valid" only decides how
many of these elements are cut off before the first and after the last; a negative number adds
zeros. So one `Crop` per axis, the number of groups and the padding mode describe the whole layer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from tconvjax.arguments import counted, frozen
from tconvjax.errors import fail
from tconvjax.geometry.padding import conv_pads


@dataclass(frozen=True)
class Crop:
    """One axis of a transposed layer: its steps, and what it cuts off its natural result.

    Args:
        kernel_size: taps.
        stride: result elements between neighbouring stamps.
        dilation: result elements between neighbouring taps.
        low: natural elements that are cut off before the first; negative adds zeros.
        high: natural elements that are cut off after the last; negative adds zeros.
    """

    kernel_size: int
    stride: int
    dilation: int
    low: int = 0
    high: int = 0

    @property
    def span(self) -> int:
        """Result elements that one stamp covers, from its first tap to its last."""
        return self.dilation * (self.kernel_size - 1) + 1

    @property
    def around_dilated(self) -> tuple[int, int]:
        """The padding of the dilated input with which a plain convolution gives the same result."""
        return self.span - 1 - self.low, self.span - 1 - self.high

    def size(self, n: int) -> int:
        """The number of result elements for n input elements."""
        return self.stride * (n - 1) + self.span - self.low - self.high


@dataclass(frozen=True)
class Layer:
    """A transposed layer without its weights.

    Args:
        axes: one `Crop` for each spatial axis.
        groups: blocks of channels that are computed independently.
        mode: "zeros", or "circular" for a result onto which everything beyond its ends is added
            at the opposite end.
        about: arguments that do not change the values: ``in_channels``, ``out_channels``, ``bias``.
    """

    axes: tuple[Crop, ...]
    groups: int = 1
    mode: Literal["zeros", "circular"] = "zeros"
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.axes)

    @property
    def whole(self) -> bool:
        """Whether n input elements give ``stride * n``, as every circular layer of others does."""
        return all(axis.low + axis.high == axis.span - axis.stride for axis in self.axes)

    def each(self, name: str) -> tuple[Any, ...]:
        """One attribute of every axis."""
        return tuple(getattr(axis, name) for axis in self.axes)

    @property
    def crops(self) -> tuple[tuple[int, int], ...]:
        """(low, high) of every axis."""
        return tuple((axis.low, axis.high) for axis in self.axes)


# -- how frameworks specify what is cut off --------------------------------------------------------


def pairs(argument: str, value: Any, rank: int, single: bool = True) -> tuple[tuple[int, int], ...]:
    """Read one (low, high) pair per axis; if ``single``, one number may stand for both ends."""
    read = frozen(argument, value)
    entries = read if isinstance(read, tuple) else (read,) * rank
    ends = [(entry, entry) if single and isinstance(entry, int) else entry for entry in entries]
    two = (isinstance(end, tuple) and [*map(type, end)] == [int, int] for end in ends)
    if len(ends) != rank or not all(two):
        singles = ", one int per axis or one int" if single else ""
        example = ((1, 2),) * rank
        rule = f"it must be one (low, high) pair per axis{singles}"
        fail(argument, value, rule, f"give {example}, for example")
    return tuple(ends)


def cut(
    axes: Sequence[Crop], ends: Iterable[tuple[int, int]], extra: Sequence[int] = ()
) -> tuple[Crop, ...]:
    """The axes with (low, high) elements cut off, and ``extra`` given back after the last."""
    columns = zip(axes, ends, extra or (0,) * len(axes), strict=True)
    return tuple(replace(axis, low=low, high=high - more) for axis, (low, high), more in columns)


def shared(total: int, lower: bool) -> tuple[int, int]:
    """Divide a total between the two ends; the odd element is the first one's if ``lower``."""
    # Zeros are added after the last element: ONNX does not say, and ONNX Runtime 1.32 does so.
    low = (total + lower) // 2 if total > 0 else 0
    return low, total - low


def circular(axes: Sequence[Crop], lows: Sequence[int], groups: int = 1) -> Layer:
    """A circular layer whose stride * n elements start at ``lows`` of the natural result."""
    ends = [(low, axis.span - axis.stride - low) for axis, low in zip(axes, lows, strict=True)]
    return Layer(cut(axes, ends), groups, "circular")


def check_extra(axes: Sequence[Crop], extra: Sequence[int]) -> None:
    """An output padding is below the stride or the dilation: PyTorch's rule, and ONNX's."""
    for axis, more in zip(axes, extra, strict=True):
        room = max(axis.stride, axis.dilation)
        if more >= room:
            rule = f"it must be smaller than the stride ({axis.stride}) or "
            rule += f"than the dilation ({axis.dilation})"
            fail("output_padding", more, rule, f"give at most {room - 1}")


def forward_size(axis: Crop, size: int, padding: str | tuple[int, int]) -> int:
    """The size that a convolution of ``size`` elements gives with this padding."""
    room = size + sum(conv_pads(padding, size, axis.span, axis.stride)) - axis.span
    return max(room // axis.stride + 1, 0)


def forward_crop(axis: Crop, n: int, size: int, padding: str | tuple[int, int]) -> tuple[int, int]:
    """The ends of a result of ``size`` elements that a convolution with this padding takes to n."""
    gives = forward_size(axis, size, padding)
    low, high = conv_pads(padding, size, axis.span, axis.stride)
    if gives != n:
        least = axis.stride * (n - 1) + 1 if padding == "SAME" else axis.size(n) - low - high
        what = f"a convolution of {counted(size, 'element')} with padding {padding!r}"
        remedy = f"give {least} to {least + axis.stride - 1}"
        fail("output_shape", size, f"{what} gives {gives}, and the input has {n}", remedy)
    return low, axis.size(n) - size - low
