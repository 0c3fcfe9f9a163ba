"""Gather the shifts of split axes, or add them up: one loop over few of them, or several loops.

Where all shifts are many, XLA's loop over them is mostly slower on a CPU than one loop after the
other, in whole partials by up to seven times (``benchmarks/loops.py``): axis by axis and, along an
axis with many, first some neighbours, then so many of these runs, and so on. A loop reads what the
one before it wrote.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
from jax import lax

from tconvjax.algorithms.phases import Split, padded

GATHERED, ADDED = (16, 8), (12, 12)
"""Most shifts that one loop gathers or adds up: in all, and along one axis."""

ANY = (sys.maxsize, sys.maxsize)
"""No limit, for platforms where several loops were not tried."""

Written = Callable[[jax.Array], jax.Array]
"""Has an array written out, so that the loops before and after it stay two."""


class Part(NamedTuple):
    """Neighbouring taps: row r has in them what row r + ``offset`` of the other side has in slots.

    Args:
        offset: rows between the two.
        slot: the first slot.
        tap: the first tap.
        length: how many.
    """

    offset: int
    slot: int
    tap: int
    length: int


@dataclass(frozen=True)
class Pass:
    """Taps of one axis and the slots that they stand for.

    Args:
        axis: the number of the axis.
        sources: the first row with slots, and the one after the last.
        slots: how many slots it has.
        rows: the first row with taps, and the one after the last.
        parts: all its taps.
    """

    axis: int
    sources: tuple[int, int]
    slots: int
    rows: tuple[int, int]
    parts: tuple[Part, ...]


def windows(
    v: jax.Array, splits: Sequence[Split], at: int, written: Written | None = None
) -> jax.Array:
    """Gather the shifts of x: (N, R1, slots1, ...) to (N, rows1, x_taps1, ...)."""
    return _gathered(v, splits, False, at, written)


def fold_windows(
    v: jax.Array, splits: Sequence[Split], at: int, written: Written | None = None
) -> jax.Array:
    """The transpose of `windows`: the overlap-add."""
    return _added(v, splits, False, at, written)


def shifted(
    y: jax.Array, splits: Sequence[Split], at: int, written: Written | None = None
) -> jax.Array:
    """Gather the shifts of y: (N, *out, g, o) to (N, rows1, y_taps1, ..., g, o)."""
    # Pad once for all shifts; with a pad in each shift, LLVM takes twice as long to compile.
    most = [split.step * (split.y_taps - 1) for split in splits]
    y = padded(y, most, most, at)
    y = lax.expand_dims(y, [at + 1 + 2 * n for n in range(len(splits))])
    return _gathered(y, splits, True, at, written)


def fold_shifted(
    v: jax.Array, splits: Sequence[Split], at: int, written: Written | None = None
) -> jax.Array:
    """The transpose of `shifted`."""
    v = _added(v, splits, True, at, written)
    return lax.squeeze(v, [at + 1 + 2 * n for n in range(len(splits))])


# -- the loops -------------------------------------------------------------------------------------


def gatherings(
    splits: Sequence[Split], of_y: bool, most: tuple[int, int] = GATHERED
) -> list[list[Pass]]:
    """The passes of each loop that gathers the shifts laid out on one side; y has borders."""
    borders = [split.step * (split.y_taps - 1) for split in splits]
    sources = [
        (-border, split.axis.out_size + border) if of_y else (0, split.all_rows)
        for border, split in zip(borders, splits, strict=True)
    ]
    return _loops(splits, of_y, sources, most)


def additions(
    splits: Sequence[Split], of_y: bool, most: tuple[int, int] = ADDED
) -> list[list[Pass]]:
    """The passes of each loop of the transpose, which come in the opposite order."""
    sources = [(0, split.axis.out_size if of_y else split.all_rows) for split in splits]
    return _loops(splits, of_y, sources, most)


def _loops(
    splits: Sequence[Split], of_y: bool, sources: Sequence[tuple[int, int]], most: tuple[int, int]
) -> list[list[Pass]]:
    """Passes of one loop are together. The last axis, the nearest in memory, comes first."""
    in_all, along = most
    loops: list[list[Pass]] = [[]]
    for n, split in reversed(list(enumerate(splits))):
        for step in _passes(split, n, sources[n], along) if split.on_y == of_y else ():
            shifts = math.prod(len(other.parts) for other in loops[-1]) * len(step.parts)
            if loops[-1] and (shifts > in_all or loops[-1][0].axis == n):
                loops.append([])
            loops[-1].insert(0, step)
    return loops


def _passes(split: Split, n: int, sources: tuple[int, int], longest: int) -> Iterator[Pass]:
    """All shifts of an axis: so many neighbours, then so many of these runs, and so on."""
    sign, slots, each, taps = 1, split.slots, split.phases, split.x_taps
    if split.on_y:
        sign, slots, each, taps = -1, 1, 1, split.y_taps
    every = split.shifts
    loops = next(m for m in itertools.count(1) if longest**m >= every)
    some = next(k for k in itertools.count(1) if k**loops >= every)
    runs = [1, *(some**m for m in range(1, loops)), every]
    for run, longer in itertools.pairwise(runs):
        parts = []
        for shift in range(0, longer, run):
            first = min(shift, longer - run)  # the last run overlaps the one before
            length = min(each * run, taps - each * shift)
            offset = sign * split.step * first
            parts.append(Part(offset, each * (shift - first), each * shift, length))
        # The rows that later loops read, as far as there are sources for them.
        later = sign * split.step * (every - longer)
        low = max(min(0, later), sources[0] - max(part.offset for part in parts))
        high = min(split.rows + max(0, later), sources[1] - min(part.offset for part in parts))
        yield Pass(n, sources, slots, (low, high), tuple(parts))
        sources, slots = (low, high), each * longer


# -- what a loop does ------------------------------------------------------------------------------


def _gathered(
    v: jax.Array, splits: Sequence[Split], of_y: bool, at: int, written: Written | None
) -> jax.Array:
    """Gather in one loop, or in several with ``written`` between them."""
    for n, loop in enumerate(gatherings(splits, of_y, GATHERED if written else ANY)):
        v = _concatenated(written(v) if n and written else v, loop, at)
    return v


def _concatenated(v: jax.Array, passes: Sequence[Pass], at: int) -> jax.Array:
    """Slice first and concatenate around the slices, so that XLA fills the copy in one pass."""
    if not passes:
        return v
    step, *others = passes
    axis, parts = at + 2 * step.axis, []
    for part in step.parts:
        first, last = (row + part.offset - step.sources[0] for row in step.rows)
        piece = lax.slice_in_dim(v, first, last, axis=axis)
        piece = lax.slice_in_dim(piece, part.slot, part.slot + part.length, axis=axis + 1)
        parts.append(_concatenated(piece, others, at))
    return lax.concatenate(parts, axis + 1)


def _added(
    v: jax.Array, splits: Sequence[Split], of_y: bool, at: int, written: Written | None
) -> jax.Array:
    """The transpose of `_gathered`."""
    for n, loop in enumerate(reversed(additions(splits, of_y, ADDED if written else ANY))):
        v = _summed(written(v) if n and written else v, loop, at)
    return v


def _summed(v: jax.Array, passes: Sequence[Pass], at: int) -> jax.Array:
    """Put each part where it came from, with zeros in all other rows and slots, and add them."""
    terms = []
    for parts in itertools.product(*(step.parts for step in passes)):
        term, lows, highs = v, [0] * v.ndim, [0] * v.ndim
        for step, part in zip(passes, parts, strict=True):
            axis = at + 2 * step.axis
            term = lax.slice_in_dim(term, part.tap, part.tap + part.length, axis=axis + 1)
            lows[axis] = step.rows[0] + part.offset - step.sources[0]
            highs[axis] = step.sources[1] - step.rows[1] - part.offset
            lows[axis + 1] = part.slot
            highs[axis + 1] = step.slots - part.slot - part.length
        terms.append(padded(term, lows, highs, 0))
    return functools.reduce(operator.add, terms)
