"""What C is made of: equal blocks, Kronecker products, and convolutions of stride 1."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sympy

from tconvjax.errors import fail
from tconvjax.geometry import Axis, Geometry, check_geometry
from tconvjax.shown import Written
from tconvjax.symbolic.matrix import (
    MOST_ENTRIES,
    MOST_WRITTEN,
    cells,
    check_size,
    conv_matrix,
    places,
    shape_of,
    summed,
)
from tconvjax.symbolic.names import symbol, taps_of

MOST_PARTS = 10_000
"""Largest number of blocks, terms or phases, empty ones included."""

# -- equal blocks ----------------------------------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Blocks(Written):
    """A matrix cut into equal blocks: ``counts`` of them down and across, few of them different."""

    grid: tuple[tuple[tuple[tuple[int, ...], ...], ...], ...]
    parts: Mapping[tuple[int, ...], sympy.SparseMatrix]
    block_shape: tuple[int, int]
    kind: str
    counts: tuple[int, int]

    @property
    def names(self) -> sympy.ImmutableDenseMatrix:
        """The grid as symbols such as W_1, one for each block, which show the pattern."""
        cells = itertools.chain(*self.grid)
        named = [sympy.Add(*(symbol("W", index) for index in cell)) for cell in cells]
        return sympy.ImmutableDenseMatrix(*self.counts, named)

    def as_explicit(self) -> sympy.SparseMatrix:
        """The matrix that the blocks make up."""
        (down, across), (height, width) = self.counts, self.block_shape
        placed = (
            (m * height + r, n * width + c, value)
            for m, row in enumerate(self.grid)
            for n, cell in enumerate(row)
            for index in cell
            for (r, c), value in self.parts[index].todok().items()
        )
        return summed((down * height, across * width), placed)


def blocks(geometry: Geometry, kernel: Any = None) -> Blocks:
    """C cut into blocks along its outermost axis.

    With several channels, block W_o_c is the matrix of one pair of channels, and groups make the
    grid block diagonal. Otherwise block W_t is what the taps of index t along the first spatial
    axis make of the other axes. It stands where stride*i + dilation*t - low = j, so the grid is
    Toeplitz (circulant with circular padding). Each block has that structure again, so C is doubly
    block Toeplitz.

    Args:
        geometry: any geometry whose grid has at most 10,000 blocks.
        kernel: as in `conv_matrix`.

    Returns:
        The blocks: the different ``parts`` by their indices; the ``grid``, which holds for each
        block the indices of the parts that it adds up, none for zeros; the ``kind`` of the pattern,
        "full", "block diagonal", "block circulant" or "block Toeplitz"; and the grid as symbols,
        ``names``. Their ``as_explicit()`` is ``conv_matrix(geometry, kernel)``.

    Raises:
        GeometryError: if the kernel has another shape, or the matrix is too large.

    Examples:
        >>> cut = blocks(Geometry.of_conv((1, 4, 4), (1, 1, 3, 3)))
        >>> cut.names
        Matrix([
        [W_0, W_1, W_2,   0],
        [  0, W_0, W_1, W_2]])
        >>> cut.parts[0,]
        Matrix([
        [w_0_0, w_0_1, w_0_2,     0],
        [    0, w_0_0, w_0_1, w_0_2]])
    """
    outs, ins = check_geometry(geometry).out_channels, geometry.in_channels
    several = outs > 1 or ins > 1
    axis, *others = geometry.axes
    counts = (outs, ins) if several else (axis.out_size, axis.in_size)
    check_size(geometry, MOST_ENTRIES)
    check_size(geometry, MOST_PARTS, math.prod(counts), "blocks")
    shape = geometry.kernel_shape
    kernels: Any = {index: {} for index in places(shape[:2] if several else shape[2:3])}
    for (o, c, *tap), entry in taps_of(kernel, geometry).items():
        index = (o, c) if several else (tap.pop(0),)
        kernels[index][0, 0, *(tap or [0])] = entry
    grid: list[list[Any]] = [[() for _ in range(counts[1])] for _ in range(counts[0])]
    if several:
        inner = replace(geometry, in_channels=1, out_channels=1, groups=1)
        for o, c in kernels:
            grid[o][o // (outs // geometry.groups) * shape[1] + c] = ((o, c),)
        kind = "block diagonal" if geometry.groups > 1 else "full"
    else:
        inner = replace(geometry, axes=tuple(others) or (Axis(1, 1, 1),))
        for i, j, t in axis.links():
            grid[i][j] += ((t,),)
        circular = axis.mode == "circular" and axis.in_size == axis.stride * axis.out_size
        kind = "block circulant" if circular else "block Toeplitz"
    products, block = list(cells(inner)), shape_of(inner)
    parts = {
        index: summed(block, ((row, column, taps[tap]) for row, column, tap in products))
        for index, taps in kernels.items()
    }
    return Blocks(tuple(map(tuple, grid)), parts, block, kind, counts)


# -- a sum of Kronecker products -------------------------------------------------------------------


@dataclass(frozen=True)
class KroneckerTerm:
    """One entry of the kernel, and where it acts along each axis."""

    index: tuple[int, ...]
    entry: Any
    factors: tuple[sympy.SparseMatrix, ...]


@dataclass(frozen=True, repr=False)
class KroneckerForm(Written):
    """C = sum over the kernel's entries of w[o, c, t] * (E_oc x S_t1 x S_t2 x ...)."""

    terms: tuple[KroneckerTerm, ...]
    shape: tuple[int, int]

    def as_explicit(self) -> sympy.SparseMatrix:
        """The sum of the Kronecker products, multiplied out."""

        def triples() -> Iterator[tuple[int, int, Any]]:
            for term in self.terms:
                for ones in itertools.product(*(factor.todok() for factor in term.factors)):
                    row = column = 0
                    for factor, (r, c) in zip(term.factors, ones, strict=True):
                        row, column = row * factor.rows + r, column * factor.cols + c
                    yield row, column, term.entry

        return summed(self.shape, triples())


def kronecker_form(geometry: Geometry, kernel: Any = None) -> KroneckerForm:
    """C as a sum over the kernel's entries of Kronecker products of shift-and-decimate matrices.

    C = sum over o, c, t of  w[o, c, t] * E_oc x S_t1 x S_t2 x ...

    E_oc is 1 at output channel o and the input channel that c counts in o's group. S_t belongs to
    an axis and a tap: it is 1 at [i, j] where j = stride*i + dilation*t - low, and 0 elsewhere.
    Transposing each factor transposes the sum, so the transposed convolution has the same form and
    shifts the other way.

    Args:
        geometry: any geometry of at most 50,000 products and 10,000 kernel entries.
        kernel: as in `conv_matrix`.

    Returns:
        The ``terms``, each with the ``index`` (o, c, *t) of its kernel entry, the ``entry``, and as
        ``factors`` a 0-1 matrix for the channels, if there are several, and one for each axis. The
        ``as_explicit()`` of the whole is ``conv_matrix(geometry, kernel)``.

    Raises:
        GeometryError: if the kernel has another shape, or the matrix is too large.

    Examples:
        >>> form = kronecker_form(Geometry.of_conv((1, 4), (1, 1, 2), stride=2))
        >>> form.terms[1].entry, form.terms[1].factors[0]
        (w_1, Matrix([
        [0, 1, 0, 0],
        [0, 0, 0, 1]]))
    """
    check_size(geometry, MOST_WRITTEN)
    check_size(geometry, MOST_PARTS, math.prod(geometry.kernel_shape), "kernel entries")
    shifts: list[list[Any]] = []  # for each axis and tap, the input element of each output
    for axis in geometry.axes:
        ones: list[dict[tuple[int, int], int]] = [{} for _ in range(axis.kernel_size)]
        for i, j, n in axis.links():
            ones[n][i, j] = 1
        shifts.append([sympy.SparseMatrix(axis.out_size, axis.in_size, read) for read in ones])
    outs, ins, width = geometry.out_channels, geometry.in_channels, geometry.kernel_shape[1]
    terms = []
    for (o, c, *t), entry in taps_of(kernel, geometry).items():
        factors = [shift[tap] for shift, tap in zip(shifts, t, strict=True)]
        if outs > 1 or ins > 1:
            place = o, o // (outs // geometry.groups) * width + c
            factors.insert(0, sympy.SparseMatrix(outs, ins, {place: 1}))
        terms.append(KroneckerTerm((o, c, *t), entry, tuple(factors)))
    return KroneckerForm(tuple(terms), shape_of(geometry))


# -- the phases of the transposed convolution ------------------------------------------------------


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
        geometry: any geometry with zero padding and at most 10,000 phases.
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
    check_size(geometry, MOST_PARTS, math.prod(geometry.stride), "phases")
    if geometry.bordered:
        mode = next(axis.mode for axis in geometry.axes if axis.bordered)
        rule = "a transposed convolution falls into phases only if its border holds zeros"
        fail("padding_mode", mode, rule, "use padding_mode='zeros', or geometry.filled()")
    matrix, inputs = conv_matrix(geometry, kernel).T, places(geometry.in_shape)
    order: list[int] = []
    phases = []
    for residue in itertools.product(*map(range, geometry.stride)):
        axes = list(zip(geometry.axes, residue, strict=True))
        along = [range(r, axis.in_size, axis.stride) for axis, r in axes]
        picked = [inputs[j] for j in itertools.product(range(geometry.in_channels), *along)]
        reaching = [
            [t for t in range(a.kernel_size) if (a.dilation * t - a.low - r) % a.stride == 0]
            for a, r in axes
        ]
        part = matrix.extract(picked, list(range(matrix.cols)))
        taps = tuple(itertools.product(*reaching))
        phases.append(Phase(residue, tuple(map(len, along)), taps, part))
        order += picked
    permutation = sympy.SparseMatrix(len(order), len(order), dict.fromkeys(enumerate(order), 1))
    return Polyphase(permutation, tuple(phases))
