"""Split the taps of a strided axis into shifts and phases: the integers, and the moves of arrays.

With period P = stride / gcd(stride, dilation) and step e = dilation / gcd(stride, dilation), tap
t = P * shift + phase of output u reads element

    stride * (u + e * shift) + dilation * phase

of the padded x. So x, seen as rows R = u + e * shift and phases, meets y, seen as shifts of those
rows, with stride 1. Every array here has its channels last, as (..., groups, channels / groups),
and each spatial axis as two neighbours: (N, a1, b1, a2, b2, ..., g, c).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax

from tconvjax.geometry import Axis, Geometry


@dataclass(frozen=True)
class Split:
    """One axis, without copies in its borders; y is laid out for each shift, or x."""

    axis: Axis
    on_y: bool = False

    @property
    def period(self) -> int:
        """Distance between taps that read elements of the same phase."""
        return self.axis.stride // math.gcd(self.axis.stride, self.axis.dilation)

    @property
    def step(self) -> int:
        """Rows between neighbouring shifts."""
        return self.axis.dilation // math.gcd(self.axis.stride, self.axis.dilation)

    @property
    def phases(self) -> int:
        """Phases that some tap reads."""
        return min(self.period, self.axis.kernel_size)

    @property
    def slots(self) -> int:
        """Phases in a row of x, which without dilation include those that no tap reads."""
        return self.axis.stride if self.axis.dilation == 1 else self.phases

    @property
    def shifts(self) -> int:
        """Largest number of taps in a phase."""
        return -(-self.axis.kernel_size // self.period)

    @property
    def all_rows(self) -> int:
        """Rows of x that some output reads."""
        return self.axis.out_size + self.step * (self.shifts - 1)

    @property
    def padded_size(self) -> int:
        """Elements of x, with its borders, that hold all rows and phases."""
        if self.axis.dilation == 1:
            return self.axis.stride * self.all_rows
        return self.axis.stride * (self.all_rows - 1) + self.axis.dilation * (self.phases - 1) + 1

    @property
    def rows(self) -> int:
        """Rows of the two matrices."""
        return self.all_rows if self.on_y else self.axis.out_size

    @property
    def x_taps(self) -> int:
        """Elements of x in a row."""
        return self.phases if self.on_y else self.axis.kernel_size

    @property
    def y_taps(self) -> int:
        """Elements of y in a row."""
        return self.shifts if self.on_y else 1

    @property
    def even(self) -> bool:
        """Whether all phases have equally many taps; only then can y be laid out for the shifts."""
        return self.axis.kernel_size % self.period == 0 or self.shifts == 1

    def taps(self, shift: int) -> tuple[int, int]:
        """The taps of a shift, as (start, stop)."""
        return shift * self.period, min(self.axis.kernel_size, (shift + 1) * self.period)


@functools.lru_cache(maxsize=4096)
def splits_of(geometry: Geometry) -> tuple[Split, ...]:
    """Split the taps of each axis, with all shifts laid out on x."""
    return tuple(map(Split, geometry.axes))


# -- x as rows and phases --------------------------------------------------------------------------


def to_phases(x: jax.Array, splits: Sequence[Split], at: int = 1) -> jax.Array:
    """(N, *in, g, c) to (N, R1, slots1, ..., g, c), with the spatial axes from ``at`` on."""
    lows = [split.axis.low for split in splits]
    highs = [s.padded_size - s.axis.low - s.axis.in_size for s in splits]
    x = padded(x, lows, highs, at)
    for n in reversed(range(len(splits))):
        axis, rows, position = splits[n].axis, splits[n].all_rows, at + n
        if axis.dilation == 1:
            x = x.reshape(*x.shape[:position], rows, axis.stride, *x.shape[position + 1 :])
        else:
            strided = axis.stride * (rows - 1) + 1
            starts = [axis.dilation * phase for phase in range(splits[n].slots)]
            parts = [lax.slice_in_dim(x, s, s + strided, axis.stride, position) for s in starts]
            x = jnp.stack(parts, axis=position + 1)
    return x


def from_phases(v: jax.Array, splits: Sequence[Split], at: int = 1) -> jax.Array:
    """The transpose of `to_phases`."""
    sizes, interiors = [split.padded_size for split in splits], [0] * len(splits)
    for n, split in enumerate(splits):
        axis, position = split.axis, at + n
        if axis.dilation == 1:
            v = v.reshape(*v.shape[:position], sizes[n], *v.shape[position + 2 :])
        else:
            v, apart = _interleaved(v, split, position)
            sizes[n], interiors[n] = apart * (v.shape[position] - 1) + 1, apart - 1
    lows = [-split.axis.low for split in splits]
    highs = [s.axis.in_size + s.axis.low - size for s, size in zip(splits, sizes, strict=True)]
    return padded(v, lows, highs, at, interiors)


def _interleaved(v: jax.Array, split: Split, at: int) -> tuple[jax.Array, int]:
    """Rows and phases of a dilated axis as one axis, and how far apart its elements are in x.

    A phase lies where the dilation puts it: it begins some rows late, and those that no tap reads
    are zeros.
    """
    axis, width = split.axis, split.period if split.slots > 1 else 1
    apart = axis.stride // width
    starts = [divmod(axis.dilation * phase // apart, width) for phase in range(split.slots)]
    rows = split.all_rows + starts[-1][0]
    shape = *v.shape[:at], rows, *v.shape[at + 2 :]
    parts = [jnp.zeros(shape, v.dtype)] * width
    for phase, (start, place) in enumerate(starts):
        part = lax.index_in_dim(v, phase, at + 1, keepdims=False)
        parts[place] = padded(part, [start], [rows - start - split.all_rows], at)
    return jnp.stack(parts, at + 1).reshape(*shape[:at], rows * width, *shape[at + 1 :]), apart


def padded(
    v: jax.Array,
    lows: Sequence[int],
    highs: Sequence[int],
    at: int,
    interiors: Sequence[int] | None = None,
) -> jax.Array:
    """Pad axes from ``at`` on with zeros, or crop them, in one: XLA is slow through nested pads."""
    ends = list(zip(lows, highs, interiors or [0] * len(lows), strict=True))
    if not any(map(any, ends)):
        return v
    before, after = [(0, 0, 0)] * at, [(0, 0, 0)] * (v.ndim - at - len(ends))
    return lax.pad(v, jnp.zeros((), v.dtype), [*before, *ends, *after])
