"""One spatial axis of a convolution, and the integer relation between its elements."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from tconvjax.arguments import check_fields, choice
from tconvjax.errors import fail
from tconvjax.geometry.padding import PADDING_MODES, PaddingMode, source


@dataclass(frozen=True, slots=True)
class Axis:
    """One spatial axis of a convolution, reduced to the integers that decide its values.

    Two spellings that give the same sums give equal axes: the high padding is not stored, since
    ``in_size`` and ``out_size`` fix it.

    Args:
        in_size: elements of the forward convolution's input.
        out_size: elements of its output.
        kernel_size: taps of the kernel, at least 1.
        stride: input elements between two neighbouring outputs, at least 1.
        dilation: input elements between two neighbouring taps, at least 1.
        low: padding elements before the first input element; negative crops.
        mode: what the padding elements hold: "zeros", or copies of input elements.
    """

    in_size: int
    out_size: int
    kernel_size: int
    stride: int = 1
    dilation: int = 1
    low: int = 0
    mode: PaddingMode = "zeros"

    def __post_init__(self) -> None:
        """Validate the fields."""
        sizes = {"in_size": 0, "out_size": 0, "kernel_size": 1}
        check_fields(self, {**sizes, "stride": 1, "dilation": 1, "low": None})
        choice("mode", self.mode, PADDING_MODES)

    @property
    def span(self) -> int:
        """Input elements from the first tap to the last, both included."""
        return self.dilation * (self.kernel_size - 1) + 1

    @property
    def high(self) -> int:
        """Padding after the last element so that the last output fits exactly; may be negative."""
        if self.out_size == 0:
            return self.span - 1 - self.in_size - self.low
        return self.stride * (self.out_size - 1) + self.span - self.in_size - self.low

    @property
    def live_taps(self) -> range:
        """The taps from the first to the last that read an input element; all where none does.

        The others read zeros of the padding only.
        """
        live = [t for t in range(self.kernel_size) if self._reads(t)]
        return range(live[0], live[-1] + 1) if live else range(self.kernel_size)

    def _reads(self, t: int) -> bool:
        """Whether an output reads an input element, at stride * i from ``start``, by a tap."""
        start = self.low - self.dilation * t
        first = max(-(-start // self.stride), 0)
        return first < self.out_size and self.stride * first < start + self.in_size

    def links(self) -> Iterator[tuple[int, int, int]]:
        """Every (output i, input j, tap t) with j = stride * i + dilation * t - low, in order."""
        for i in range(self.out_size):
            for t in range(self.kernel_size):
                j = source(self.mode, self.stride * i + self.dilation * t - self.low, self.in_size)
                if j is not None:
                    yield i, j, t

    @property
    def bordered(self) -> bool:
        """Whether some output may read padding that holds copies of input elements."""
        return self.mode != "zeros" and self.out_size > 0

    def filled(self) -> Axis:
        """The same sums over an input whose border has been filled in already."""
        return replace(self, in_size=self.in_size + self.low + self.high, low=0, mode="zeros")

    def border_runs(self) -> tuple[tuple[int, int, int], ...]:
        """The padded line as runs of the input, so that arrays need only slices.

        Returns:
            (first element, count, step); the step is 1, -1 or 0 (the same element again).

        Raises:
            GeometryError: if there is nothing to copy.
        """
        runs: list[tuple[int, int, int]] = []
        for position in range(-self.low, self.in_size + self.high):
            copied = source(self.mode, position, self.in_size)
            if copied is None:
                rule = "an empty axis has no element to copy into its padding"
                fail("padding_mode", self.mode, rule, "use padding 0 or padding_mode='zeros'")
            if runs:
                first, count, step = runs[-1]
                wanted = copied - first if count == 1 else step
                if abs(wanted) <= 1 and copied == first + count * wanted:
                    runs[-1] = (first, count + 1, wanted)
                    continue
            runs.append((copied, 1, 1))
        return tuple(runs)
