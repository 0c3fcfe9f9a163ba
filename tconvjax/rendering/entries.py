"""The entries of C one by one, each in a time that no size decides."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import sympy

from tconvjax.geometry import Axis, Geometry
from tconvjax.rendering.document import FIRST_TERMS, MOST_TERMS, Abridged
from tconvjax.symbolic.names import KernelSymbols, as_objects, entries, symbol

MOST_CHECKED = 4096
"""Entries of a kernel that are all looked at; of a larger one those that are shown."""


class Kernel:
    """What stands at (o, c, *t), and how it is named and coloured, nothing of it written out.

    Args:
        geometry: any geometry.
        given: numbers or expressions of shape (O, C / groups, *kernel_size); None for symbols, an
            IndexedBase for symbols of its letter.
    """

    def __init__(self, geometry: Geometry, given: Any = None) -> None:
        self.shape = geometry.kernel_shape
        self.count = math.prod(self.shape)
        self._hidden = 0 if max(self.shape[:2]) > 1 else 2
        letter = _letter(given)
        self._letter = letter or "w"
        self._given = None if given is None or letter else _shaped(given, self.shape)

    def entry(self, index: tuple[int, ...]) -> Any:
        """The entry as SymPy's."""
        if self._given is None:
            return self.name(index)
        return entries("kernel", [self._given[index]], (1,))[0]

    def name(self, index: tuple[int, ...]) -> sympy.Symbol:
        """The symbol of an entry, as `symbolic.kernel_symbols` has it."""
        return symbol(self._letter, index[self._hidden :])

    def colour(self, index: tuple[int, ...]) -> int:
        """Its place when the kernel is read row by row."""
        place = 0
        for n, size in zip(index, self.shape, strict=True):
            place = place * size + n
        return place


def _letter(given: Any) -> str:
    """The letter of symbols that are to be made; nothing where numbers or expressions are given."""
    if isinstance(given, KernelSymbols):
        return given.letter
    return str(given.label) if isinstance(given, sympy.IndexedBase) else ""


class Met(NamedTuple):
    """The kernel entries that tie an output to an input: all of a few, else the first and last."""

    size: int
    first: tuple[tuple[int, ...], ...]
    last: tuple[tuple[int, ...], ...] = ()


def met(geometry: Geometry, output: tuple[int, ...], source: tuple[int, ...]) -> Met:
    """What `Geometry.taps_between` gives, abridged where it is long.

    Args:
        geometry: any geometry.
        output: (o, *i), an index of ``out_shape``.
        source: (c, *j), an index of ``in_shape``.

    Returns:
        How many there are; all of up to `MOST_TERMS`, in order, or the first few and the last.
    """
    group, within = divmod(source[0], geometry.kernel_shape[1])
    if output[0] // (geometry.out_channels // geometry.groups) != group:
        return Met(0, ())
    along = [
        _along(axis, i, j) for axis, i, j in zip(geometry.axes, output[1:], source[1:], strict=True)
    ]
    count = math.prod(one.size for one in along)
    # The first of a product are made of the first of each axis; what is left out comes later.
    shown = count if count <= MOST_TERMS else FIRST_TERMS
    firsts = itertools.islice(itertools.product(*(one.first for one in along)), shown)
    first = tuple((output[0], within, *t) for t in firsts)
    if count <= MOST_TERMS:
        return Met(count, first)
    return Met(count, first, ((output[0], within, *(one.last for one in along)),))


def total(kernel: Kernel, found: Met) -> Any:
    """The sum of the kernel entries that were met."""
    first, last = ([kernel.entry(index) for index in part] for part in (found.first, found.last))
    return Abridged(tuple(first), tuple(last), found.size) if last else sympy.Add(*first)


class _Along(NamedTuple):
    """Taps of an axis: how many, all of a few or the first of many, and the last."""

    size: int
    first: Sequence[int]
    last: int


def _along(axis: Axis, i: int, j: int) -> _Along:
    """The taps t with source(stride*i + dilation*t - low) = j."""
    ranges = [found for found in _ranges(axis, i, j) if found]
    if not ranges:
        return _Along(0, (), 0)
    heads = sorted(itertools.chain(*(found[: MOST_TERMS + 1] for found in ranges)))
    return _Along(sum(map(len, ranges)), heads[: MOST_TERMS + 1], max(r[-1] for r in ranges))


def _ranges(axis: Axis, i: int, j: int) -> list[range]:
    """The taps as ranges without a common element."""
    taps, step, size = axis.kernel_size, axis.dilation, axis.in_size
    first = axis.stride * i - axis.low
    if axis.mode == "zeros":
        return [range(t, t + 1) for t in axis.taps_between(i, j)]
    if size == 1:
        return [range(taps)]
    if axis.mode == "replicate" and j == 0:
        return [range(min(max(-first // step + 1, 0), taps))]
    if axis.mode == "replicate" and j == size - 1:
        return [range(min(max(-((first - j) // step), 0), taps), taps)]
    if axis.mode == "replicate":
        tap, rest = divmod(j - first, step)
        return [range(tap, tap + 1)] if not rest and 0 <= tap < taps else []
    if axis.mode == "circular":
        return [_solved(step, j - first, size, taps)]
    period = 2 * size - 2  # a line and its mirror image
    return [_solved(step, end - first, period, taps) for end in {j, -j % period}]


def _solved(step: int, wanted: int, period: int, taps: int) -> range:
    """The taps t below ``taps`` with step * t = wanted modulo the period."""
    common = math.gcd(step, period)
    if wanted % common:
        return range(0)
    reduced = period // common
    return range(wanted // common * pow(step // common, -1, reduced) % reduced, taps, reduced)


def _shaped(given: Any, shape: tuple[int, ...]) -> Any:
    """A kernel as an array of objects."""
    array = as_objects("kernel", given)
    if array.shape != shape or array.size <= MOST_CHECKED:
        array = np.array([*entries("kernel", array, shape), None], object)[:-1].reshape(shape)
    return array
