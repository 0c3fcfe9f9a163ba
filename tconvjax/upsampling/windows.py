"""The windows of a pooling, as PyTorch reads its arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tconvjax.geometry import Ints, Words, fail
from tconvjax.upsampling.images import each


@dataclass(frozen=True)
class Window:
    """One axis of a pooling, as PyTorch reads its arguments.

    Args:
        size: elements of the input.
        kernel: elements of a window.
        stride: elements from one window to the next.
        padding: elements before the first that belong to no input.
        dilation: elements from one of a window to the next.
        ceil: whether a last window that the input fills in part counts.
    """

    size: int
    kernel: int
    stride: int
    padding: int
    dilation: int
    ceil: bool

    @property
    def span(self) -> int:
        """Elements from the first of a window to its last."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def count(self) -> int:
        """Windows; none starts behind the input."""
        room = self.size + 2 * self.padding - self.span
        count = (-(-room // self.stride) if self.ceil else room // self.stride) + 1
        if self.ceil and (count - 1) * self.stride >= self.size + self.padding:
            count -= 1
        return count

    @property
    def high(self) -> int:
        """Padding after the last element that the last window needs; negative crops."""
        return self.stride * (self.count - 1) + self.span - self.size - self.padding


def windows_of(
    sizes: Sequence[int], kernel_size: Ints, stride: Ints | None, padding: Ints, dilation: Ints,
    ceil_mode: bool,
) -> list[Window]:  # fmt: skip
    """One window an axis, checked."""
    rank = len(sizes)
    kernels = each("kernel_size", kernel_size, rank, 1)
    strides = kernels if stride is None else each("stride", stride, rank, 1)
    pads, dilations = each("padding", padding, rank, 0), each("dilation", dilation, rank, 1)
    columns = zip(sizes, kernels, strides, pads, dilations, strict=True)
    windows = [Window(*column, bool(ceil_mode)) for column in columns]
    for window in windows:
        if window.padding > window.kernel // 2:
            fail("padding", window.padding, f"it is at most half of the window's {window.kernel} "
                 "elements", f"give {window.kernel // 2} or less")  # fmt: skip
        if window.count < 1:
            fail("x", Words(f"{window.size} elements along an axis"), f"a window spans "
                 f"{window.span}", "pool less, or pad x")  # fmt: skip
    return windows
