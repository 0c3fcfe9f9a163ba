"""The transposed convolution, sorted by the phase of its result."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Any

import sympy

from tconvjax.errors import fail
from tconvjax.geometry import Geometry
from tconvjax.shown import Written
from tconvjax.symbolic.matrix import MOST_ENTRIES, check_size, conv_matrix, places

MOST_PHASES = 5_000
"""Largest number of phases that are listed, empty ones included."""


@dataclass(frozen=True)
class Phase:
    """The elements j = stride*q + residue of the result: ``rows`` of them along each axis."""

    residue: tuple[int, ...]
    rows: tuple[int, ...]
    taps: tuple[tuple[int, ...], ...]
    matrix: sympy.SparseMatrix


@dataclass(frozen=True, repr=False)
class Polyphase(Written):
    """P C.T: the transposed convolution with its result sorted by phase."""

    permutation: sympy.SparseMatrix
    phases: tuple[Phase, ...]

    def as_explicit(self) -> sympy.SparseMatrix:
        """The phases one below the other, which is P C.T."""
        blocks = [phase.matrix for phase in self.phases]
        above = itertools.accumulate((block.rows for block in blocks), initial=0)
        placed = {(row, 0): block for row, block in zip(above, blocks, strict=False)}
        return sympy.SparseMatrix(self.permutation.rows, blocks[0].cols, placed)


def polyphase(geometry: Geometry, kernel: Any = None) -> Polyphase:
    """The transposed convolution as convolutions of stride 1, one for each phase of its result.

    Only taps with dilation*t = r + low modulo the stride write to element j = stride*q + r of the
    result, and they read output q + (r + low - dilation*t) / stride: a convolution of stride 1.
    Sort the result by r, and C.T becomes a stack of such convolutions, each of them (block)
    Toeplitz. Undoing the sort is the pixel shuffle; the two together are the sub-pixel convolution.

    Args:
        geometry: any geometry with zero padding and at most 5,000 phases.
        kernel: as in `conv_matrix`.

    Returns:
        The matrix P of the sort, ``permutation``, and the ``phases`` from top to bottom, each with
        its ``residue`` r, the ``taps`` that write into it, and the ``matrix`` from vec(y) to its
        elements, channel by channel. The ``as_explicit()`` of the whole is
        ``permutation * conv_matrix(geometry, kernel).T``.

    Raises:
        GeometryError: if the border holds copies, the kernel has another shape, or the matrix is
            too large.

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
    check_size(geometry, MOST_ENTRIES)
    check_size(geometry, MOST_PHASES, math.prod(geometry.stride), "phases")
    if geometry.bordered:
        fail(
            "padding_mode",
            next(axis.mode for axis in geometry.axes if axis.bordered),
            "a transposed convolution falls into phases only if its border holds zeros",
            "use padding_mode='zeros', or geometry.filled()",
        )
    matrix, inputs = conv_matrix(geometry, kernel).T, places(geometry.in_shape)
    order: list[int] = []
    phases = []
    for residue in itertools.product(*map(range, geometry.stride)):
        axes = list(zip(geometry.axes, residue, strict=True))
        along = [range(r, axis.in_size, axis.stride) for axis, r in axes]
        picked = [inputs[j] for j in itertools.product(range(geometry.in_channels), *along)]
        taps = itertools.product(
            *(
                [t for t in range(a.kernel_size) if (a.dilation * t - a.low - r) % a.stride == 0]
                for a, r in axes
            )
        )
        part = matrix.extract(picked, list(range(matrix.cols)))
        phases.append(Phase(residue, tuple(map(len, along)), tuple(taps), part))
        order += picked
    permutation = sympy.SparseMatrix(len(order), len(order), dict.fromkeys(enumerate(order), 1))
    return Polyphase(permutation, tuple(phases))
