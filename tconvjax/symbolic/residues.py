"""The transposed convolution, sorted by the phase of its result."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sympy

from tconvjax.errors import Described, fail
from tconvjax.geometry import Axis, Geometry
from tconvjax.shown import Written
from tconvjax.symbolic.explicit import check_size
from tconvjax.symbolic.names import Taps, places, taps_of

MOST_PHASES = 5_000
"""Phases that are listed, empty ones too."""


@dataclass(frozen=True)
class Phase:
    """The elements j = stride*q + residue of the transposed convolution's result.

    Args:
        residue: one for each axis.
        rows: how many q there are along each axis.
        taps: those that write into this phase.
        matrix: from vec(y) to the elements, channel by channel: a convolution of stride 1.
    """

    residue: tuple[int, ...]
    rows: tuple[int, ...]
    taps: tuple[tuple[int, ...], ...]
    matrix: sympy.SparseMatrix


@dataclass(frozen=True, repr=False)
class Polyphase(Written):
    """P C.T: the transposed convolution with its result sorted by phase.

    Args:
        permutation: P, which puts the elements of a phase side by side.
        phases: the blocks of P C.T, from top to bottom.
    """

    permutation: sympy.SparseMatrix
    phases: tuple[Phase, ...]

    def as_explicit(self) -> sympy.SparseMatrix:
        """The phases one below the other: what P C.T must be."""
        columns, above = self.phases[0].matrix.cols, 0
        entries: dict[tuple[int, int], Any] = {}
        for phase in self.phases:
            found = phase.matrix.todok()
            entries |= {(above + m, n): value for (m, n), value in found.items()}
            above += phase.matrix.rows
        return sympy.SparseMatrix(above, columns, entries)


def polyphase(geometry: Geometry, kernel: Any = None) -> Polyphase:
    """The transposed convolution as convolutions of stride 1, one for each phase of its result.

    Element j = stride*q + r of the result is written by taps t with dilation*t = r + low modulo the
    stride only, and by output q + (r + low - dilation*t) / stride: a convolution of stride 1. Sort
    the result by r, and C.T becomes a stack of such convolutions, each of them (block) Toeplitz.
    Undoing the sort is the pixel shuffle; the two together are the sub-pixel convolution.

    Args:
        geometry: any geometry whose border holds zeros and that has at most 5,000 phases.
        kernel: as in `conv_matrix`.

    Returns:
        P and the phases; their ``as_explicit()`` is ``P * conv_matrix(geometry, kernel).T``.

    Raises:
        GeometryError: if the border holds copies, the kernel has another shape, or the matrix would
            not fit.

    Examples:
        >>> form = polyphase(Geometry.of_conv((1, 4), (1, 1, 4), stride=2, padding=1))
        >>> [phase.taps for phase in form.phases]
        [((1,), (3,)), ((0,), (2,))]
        >>> form.phases[0].matrix
        Matrix([
        [w_1,   0],
        [w_3, w_1]])

    Shi et al., arXiv:1609.07009, show that the two are one.
    """
    check_size(geometry)
    if geometry.bordered:
        modes = [axis.mode for axis in geometry.axes if axis.bordered]
        fail(
            "padding_mode",
            modes[0],
            "phases are sorted where the border holds zeros",
            "take padding_mode='zeros', or geometry.filled()",
        )
    _check_phases(geometry)
    taps = taps_of(kernel, geometry)
    inputs, columns = places(geometry.in_shape), places(geometry.out_shape)
    met = [_taps_by_residue(axis) for axis in geometry.axes]
    order: list[int] = []
    phases = []
    for residue in itertools.product(*map(range, geometry.stride)):
        phase = _phase(
            geometry, taps, residue, [m[r] for m, r in zip(met, residue, strict=True)], columns
        )
        phases.append(phase)
        order += [
            inputs[c, *(s * q + r for s, q, r in zip(geometry.stride, qs, residue, strict=True))]
            for c in range(geometry.in_channels)
            for qs in places(phase.rows)
        ]
    size = len(inputs)
    permutation = sympy.SparseMatrix(size, size, dict.fromkeys(enumerate(order), 1))
    return Polyphase(permutation, tuple(phases))


def _check_phases(geometry: Geometry) -> None:
    """Refuse a stride with more phases than can be listed."""
    if math.prod(geometry.stride) > MOST_PHASES:
        fail(
            "geometry",
            Described(f"stride {geometry.stride}"),
            f"the result has a phase for each of {math.prod(geometry.stride)} residues, and "
            f"{MOST_PHASES} is the limit",
            "take a smaller stride, whose phases look alike",
        )


def _taps_by_residue(axis: Axis) -> list[list[int]]:
    """For each residue of the result's index the taps that write there."""
    found: list[list[int]] = [[] for _ in range(axis.stride)]
    for t in range(axis.kernel_size):
        found[(axis.dilation * t - axis.low) % axis.stride].append(t)
    return found


def _phase(
    geometry: Geometry,
    taps: Taps,
    residue: tuple[int, ...],
    each: Sequence[Sequence[int]],
    column_of: Mapping[tuple[int, ...], int],
) -> Phase:
    axes, width = geometry.axes, geometry.kernel_shape[1]
    outs = geometry.out_channels // geometry.groups
    rows = tuple(len(range(r, a.in_size, a.stride)) for a, r in zip(axes, residue, strict=True))
    met = tuple(itertools.product(*each))
    # Along an axis: every (q, t, output) with output = q + (r + low - dilation*t) / stride.
    ties = [_ties(a, r, n, ts) for a, r, n, ts in zip(axes, residue, rows, each, strict=True)]
    row_of = places((geometry.in_channels, *rows))
    entries: dict[tuple[int, int], Any] = {}
    pairs = itertools.product(range(geometry.out_channels), range(width)) if all(ties) else ()
    for o, c in pairs:
        channel = o // outs * width + c
        for combination in itertools.product(*ties):
            qs, ts, us = zip(*combination, strict=True)
            place = row_of[channel, *qs], column_of[o, *us]
            entries[place] = entries.get(place, 0) + taps[o, c, *ts]
    matrix = sympy.SparseMatrix(len(row_of), len(column_of), entries)
    return Phase(residue, rows, met, matrix)


def _ties(axis: Axis, residue: int, rows: int, taps: Sequence[int]) -> list[tuple[int, int, int]]:
    found = []
    for t in taps:
        shift = (residue + axis.low - axis.dilation * t) // axis.stride
        found += [(q, t, q + shift) for q in range(rows) if 0 <= q + shift < axis.out_size]
    return found
