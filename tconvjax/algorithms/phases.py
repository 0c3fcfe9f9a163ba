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
from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from jax import lax

from tconvjax.geometry import Axis, Geometry


@dataclass(frozen=True)
class Grid:
    """Elements of x, equally far apart, as a grid in which all phases are.

    Args:
        apart: elements of x from one element of the grid to the next.
        rows: rows of the grid.
        width: elements of a row, one for each phase, read or not.
        starts: (row, place in it) of the first element of each phase, those after it below.
    """

    apart: int
    rows: int
    width: int
    starts: tuple[tuple[int, int], ...]

    @property
    def size(self) -> int:
        """Elements of x from the first to the last of the grid."""
        return self.apart * (self.rows * self.width - 1) + 1

    @property
    def regular(self) -> bool:
        """Whether the columns are the phases, in order."""
        return self.starts == tuple((0, place) for place in range(self.width))


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
    def grid(self) -> Grid:
        """Where its phases lie in x."""
        width = 1 if self.slots == 1 else self.period
        apart = self.axis.stride // width
        places = (self.axis.dilation * phase // apart for phase in range(self.slots))
        starts = tuple(divmod(place, width) for place in places)
        return Grid(apart, self.all_rows + starts[-1][0], width, starts)

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
    """Split the taps of each axis, with all shifts laid out on x.

    One output has no neighbour, so its stride may be the kernel's: one shift, which copies nothing.
    """
    return tuple(
        Split(replace(a, stride=a.dilation * a.kernel_size))
        if a.out_size == 1 and a.stride < a.kernel_size
        else Split(a)
        for a in geometry.axes
    )


# -- x as rows and phases --------------------------------------------------------------------------


def to_phases(x: jax.Array, splits: Sequence[Split], at: int = 1) -> jax.Array:
    """(N, *in, g, c) to (N, R1, slots1, ..., g, c), with the spatial axes from ``at`` on."""
    grids = [split.grid for split in splits]
    lows = [split.axis.low for split in splits]
    highs = [g.size - s.axis.low - s.axis.in_size for s, g in zip(splits, grids, strict=True)]
    x = padded(x, lows, highs, at)
    for n in reversed(range(len(splits))):
        split, grid, position = splits[n], grids[n], at + n
        if grid.regular:
            x = lax.slice_in_dim(x, 0, None, grid.apart, position)
            x = x.reshape(*x.shape[:position], grid.rows, grid.width, *x.shape[position + 1 :])
        else:
            far = split.axis.stride * (split.all_rows - 1) + 1
            starts = [split.axis.dilation * phase for phase in range(split.slots)]
            parts = [lax.slice_in_dim(x, s, s + far, split.axis.stride, position) for s in starts]
            x = jnp.stack(parts, position + 1)
    return x


def from_phases(v: jax.Array, splits: Sequence[Split], at: int = 1) -> jax.Array:
    """The transpose of `to_phases`."""
    grids = [split.grid for split in splits]
    for n, (split, grid) in enumerate(zip(splits, grids, strict=True)):
        position = at + n
        shape = *v.shape[:position], grid.rows, *v.shape[position + 2 :]
        if not grid.regular:
            parts = [jnp.zeros(shape, v.dtype)] * grid.width
            for phase, (row, place) in enumerate(grid.starts):
                part = lax.index_in_dim(v, phase, position + 1, keepdims=False)
                parts[place] = padded(part, [row], [grid.rows - row - split.all_rows], position)
            v = jnp.stack(parts, position + 1)
        v = v.reshape(*shape[:position], grid.rows * grid.width, *shape[position + 1 :])
    lows = [-split.axis.low for split in splits]
    highs = [s.axis.in_size + s.axis.low - g.size for s, g in zip(splits, grids, strict=True)]
    return padded(v, lows, highs, at, [grid.apart - 1 for grid in grids])


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
