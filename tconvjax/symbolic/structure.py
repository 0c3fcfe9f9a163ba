"""What C is made of: blocks, Kronecker products, and the phases of its transpose."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy

from tconvjax.geometry import Axis, Geometry, fail
from tconvjax.symbolic.explicit import check_size, of_taps
from tconvjax.symbolic.names import Taps, places, symbol, taps_of

# -- blocks ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Blocks:
    """A matrix cut into equal blocks, of which few are different.

    Args:
        grid: for each block the indices of those that are added up in it; an empty tuple is a
            block of zeros.
        parts: the blocks by their indices.
        block_shape: rows and columns of a block.
        kind: what the grid is: "block diagonal", "block circulant" or "block Toeplitz".
    """

    grid: tuple[tuple[tuple[tuple[int, ...], ...], ...], ...]
    parts: Mapping[tuple[int, ...], sympy.SparseMatrix]
    block_shape: tuple[int, int]
    kind: str

    @property
    def names(self) -> sympy.ImmutableDenseMatrix:
        """The grid as symbols such as W_1, one for each block, which show the pattern."""
        cells = [sympy.Add(*(symbol("W", index) for index in cell)) for row in self.grid
                 for cell in row]  # fmt: skip
        columns = len(self.grid[0]) if self.grid else 0
        return sympy.ImmutableDenseMatrix(len(self.grid), columns, cells)

    def as_explicit(self) -> sympy.SparseMatrix:
        """The matrix that the blocks make up."""
        height, width = self.block_shape
        entries: dict[tuple[int, int], Any] = {}
        for m, row in enumerate(self.grid):
            for n, cell in enumerate(row):
                for index in cell:
                    for (r, c), value in self.parts[index].todok().items():
                        place = m * height + r, n * width + c
                        entries[place] = entries.get(place, 0) + value
        columns = len(self.grid[0]) if self.grid else 0
        return sympy.SparseMatrix(len(self.grid) * height, columns * width, entries)

    def as_block_matrix(self) -> sympy.BlockMatrix:
        """The blocks as SymPy's own block matrix."""
        zeros = sympy.ZeroMatrix(*self.block_shape)
        return sympy.BlockMatrix(
            [[functools.reduce(operator.add, (self.parts[i].as_immutable() for i in cell), zeros)
              .doit() for cell in row] for row in self.grid]
        )  # fmt: skip


def blocks(geometry: Geometry, kernel: Any = None) -> Blocks:
    """C cut into the blocks that its outermost axis ties together.

    With several channels a block W_o_c is the matrix of one pair of channels, and groups make the
    grid block diagonal. Else a block W_t is what the taps of index t along the first spatial axis
    make of the other axes: it stands where stride*i + dilation*t - low = j, so the grid is Toeplitz
    (circulant with circular padding), and each block is cut like that again: doubly block Toeplitz.

    Args:
        geometry: any geometry.
        kernel: as in `conv_matrix`.

    Returns:
        The blocks; their ``as_explicit()`` is ``conv_matrix(geometry, kernel)``.

    Raises:
        GeometryError: if the kernel has another shape, or the matrix would not fit.

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
    check_size(geometry)
    taps = taps_of(kernel, geometry)
    if geometry.in_channels > 1 or geometry.out_channels > 1:
        return _channel_blocks(geometry, taps)
    axis, *others = geometry.axes
    inner = tuple(others) or (Axis(1, 1, 1),)
    rest = replace(geometry, axes=inner)
    parts: dict[tuple[int, ...], Any] = {}
    for t in range(axis.kernel_size):
        of_t = {(o, c, *(more or (0,))): value for (o, c, first, *more), value in taps.items()
                if first == t}  # fmt: skip
        parts[t,] = of_taps(rest, of_t)
    grid = [[() for _ in range(axis.in_size)] for _ in range(axis.out_size)]
    for i, j, t in axis.links():
        grid[i][j] += ((t,),)  # type: ignore[assignment]
    shape = math.prod(rest.out_size), math.prod(rest.in_size)
    circular = axis.mode == "circular" and axis.in_size == axis.stride * axis.out_size
    kind = "block circulant" if circular else "block Toeplitz"
    return Blocks(tuple(map(tuple, grid)), parts, shape, kind)


def _channel_blocks(geometry: Geometry, taps: Taps) -> Blocks:
    one = replace(geometry, in_channels=1, out_channels=1, groups=1)
    outs, width = geometry.out_channels // geometry.groups, geometry.kernel_shape[1]
    parts: dict[tuple[int, ...], Any] = {}
    for o, c in itertools.product(range(geometry.out_channels), range(width)):
        pair = {(0, 0, *t): taps[o, c, *t] for t in places(geometry.kernel_size)}
        parts[o, c] = of_taps(one, pair)
    grid = tuple(
        tuple(
            ((o, c % width),) if c // width == o // outs else ()
            for c in range(geometry.in_channels)
        )
        for o in range(geometry.out_channels)
    )
    kind = "block diagonal" if geometry.groups > 1 else "full"
    return Blocks(grid, parts, (math.prod(one.out_size), math.prod(one.in_size)), kind)


# -- Kronecker products ----------------------------------------------------------------------------


@dataclass(frozen=True)
class KroneckerTerm:
    """One tap of the kernel: a number, and where it acts along each axis.

    Args:
        index: (o, c, *t), where the entry stands in the kernel.
        entry: what stands there.
        factors: a 0-1 matrix for the channels, if there are several, and for each axis.
    """

    index: tuple[int, ...]
    entry: Any
    factors: tuple[sympy.SparseMatrix, ...]


@dataclass(frozen=True)
class KroneckerForm:
    """C = sum over the kernel's entries of w[o, c, t] * (E_oc x S_t1 x S_t2 x ...).

    Args:
        terms: one for each entry of the kernel.
        shape: of C.
    """

    terms: tuple[KroneckerTerm, ...]
    shape: tuple[int, int]

    def as_explicit(self) -> sympy.SparseMatrix:
        """The sum of the Kronecker products, multiplied out."""
        entries: dict[tuple[int, int], Any] = {}
        for term in self.terms:
            for place, value in functools.reduce(_kronecker, map(_sparse, term.factors)).items():
                entries[place] = entries.get(place, 0) + term.entry * value
        # A place whose entries cancel stays out.
        return sympy.SparseMatrix(*self.shape, {k: v for k, v in entries.items() if v != 0})

    def as_expr(self) -> sympy.MatrixExpr:
        """The sum as a SymPy expression, nothing multiplied out."""
        return sympy.MatAdd(*(
            sympy.MatMul(term.entry, sympy.KroneckerProduct(
                *(factor.as_immutable() for factor in term.factors)))
            for term in self.terms
        ))  # fmt: skip


def kronecker_form(geometry: Geometry, kernel: Any = None) -> KroneckerForm:
    """C as a sum over the kernel's entries of Kronecker products of shift-and-decimate matrices.

    C = sum over o, c, t of  w[o, c, t] * E_oc x S_t1 x S_t2 x ...

    E_oc is 1 at output channel o and the input channel that c counts in o's group; S_t is
    `shift_matrix` of each axis. Transposing each factor transposes the sum, so the transposed
    convolution has the same form, and shifts the other way.

    Args:
        geometry: any geometry.
        kernel: as in `conv_matrix`.

    Returns:
        The terms; their ``as_explicit()`` is ``conv_matrix(geometry, kernel)``.

    Raises:
        GeometryError: if the kernel has another shape, or the matrix would not fit.

    Examples:
        >>> form = kronecker_form(Geometry.of_conv((1, 4), (1, 1, 2), stride=2))
        >>> form.terms[1].entry, form.terms[1].factors[0]
        (w_1, Matrix([
        [0, 1, 0, 0],
        [0, 0, 0, 1]]))
    """
    check_size(geometry)
    width, outs = geometry.kernel_shape[1], geometry.out_channels // geometry.groups
    several = geometry.in_channels > 1 or geometry.out_channels > 1
    shifts = [[shift_matrix(axis, t) for t in range(axis.kernel_size)] for axis in geometry.axes]
    terms = []
    for (o, c, *t), entry in taps_of(kernel, geometry).items():
        channel = {(o, o // outs * width + c): 1}
        factors = [sympy.SparseMatrix(geometry.out_channels, geometry.in_channels, channel)]
        along = [shift[tap] for shift, tap in zip(shifts, t, strict=True)]
        terms.append(KroneckerTerm((o, c, *t), entry, (*(factors if several else []), *along)))
    shape = math.prod(geometry.out_shape), math.prod(geometry.in_shape)
    return KroneckerForm(tuple(terms), shape)


def shift_matrix(axis: Axis, tap: int) -> sympy.SparseMatrix:
    """Which input element a tap reads for each output: a shift, of which each stride-th row stays.

    S[i, j] = 1 where j = stride*i + dilation*tap - low, and 0 elsewhere

    Args:
        axis: of a geometry; borders that copy elements are copied here too.
        tap: below the axis's kernel_size.

    Returns:
        A 0-1 matrix of shape (out_size, in_size).

    Raises:
        GeometryError: if there is no such tap.

    Examples:
        >>> shift_matrix(Geometry.of_conv((1, 5), (1, 1, 3), stride=2, padding=1).axes[0], 0)
        Matrix([
        [0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 0, 1, 0]])
    """
    if not 0 <= tap < axis.kernel_size:
        fail("tap", tap, f"the axis has {axis.kernel_size} taps", "count them from 0")
    found = {(i, j): 1 for i, j, t in axis.links() if t == tap}
    return sympy.SparseMatrix(axis.out_size, axis.in_size, found)


class _Sparse(dict[tuple[int, int], Any]):
    """The entries of a factor, and its shape."""

    def __init__(self, shape: tuple[int, int], entries: Mapping[tuple[int, int], Any]) -> None:
        super().__init__(entries)
        self.shape = shape


def _sparse(matrix: sympy.SparseMatrix) -> _Sparse:
    return _Sparse(matrix.shape, matrix.todok())


def _kronecker(a: _Sparse, b: _Sparse) -> _Sparse:
    rows, columns = b.shape
    found = {
        (m * rows + r, n * columns + c): x * y
        for (m, n), x in a.items() for (r, c), y in b.items()
    }  # fmt: skip
    return _Sparse((a.shape[0] * rows, a.shape[1] * columns), found)


# -- phases ----------------------------------------------------------------------------------------


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


@dataclass(frozen=True)
class Polyphase:
    """P C.T: the transposed convolution with its result sorted by phase.

    Args:
        permutation: P, which puts the elements of a phase side by side.
        phases: the blocks of P C.T, from top to bottom.
    """

    permutation: sympy.SparseMatrix
    phases: tuple[Phase, ...]

    def as_explicit(self) -> sympy.SparseMatrix:
        """The phases one below the other: what P C.T must be."""
        columns = self.permutation.cols and self.phases[0].matrix.cols
        return functools.reduce(
            lambda above, phase: above.col_join(phase.matrix), self.phases,
            sympy.SparseMatrix(0, columns, {}),
        )  # fmt: skip


def polyphase(geometry: Geometry, kernel: Any = None) -> Polyphase:
    """The transposed convolution as convolutions of stride 1, one for each phase of its result.

    Element j = stride*q + r of the result is written by taps t with dilation*t = r + low modulo the
    stride only, and by output q + (r + low - dilation*t) / stride: a convolution of stride 1. Sort
    the result by r, and C.T becomes a stack of such convolutions, each of them (block) Toeplitz.
    Undoing the sort is the pixel shuffle; the two together are the sub-pixel convolution.

    Args:
        geometry: any geometry whose border holds zeros.
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
        fail("padding_mode", "copies", "phases are sorted where the border holds zeros",
             "take padding_mode='zeros', or geometry.filled()")  # fmt: skip
    taps = taps_of(kernel, geometry)
    inputs = places(geometry.in_shape)
    order: list[int] = []
    phases = []
    for residue in itertools.product(*map(range, geometry.stride)):
        phase = _phase(geometry, taps, residue)
        phases.append(phase)
        order += [
            inputs[c, *(s * q + r for s, q, r in zip(geometry.stride, qs, residue, strict=True))]
            for c in range(geometry.in_channels) for qs in places(phase.rows)
        ]  # fmt: skip
    size = len(inputs)
    permutation = sympy.SparseMatrix(size, size, dict.fromkeys(enumerate(order), 1))
    return Polyphase(permutation, tuple(phases))


def _phase(geometry: Geometry, taps: Taps, residue: tuple[int, ...]) -> Phase:
    axes, width = geometry.axes, geometry.kernel_shape[1]
    outs = geometry.out_channels // geometry.groups
    rows = tuple(len(range(r, a.in_size, a.stride)) for a, r in zip(axes, residue, strict=True))
    each = [
        [t for t in range(a.kernel_size) if (r + a.low - a.dilation * t) % a.stride == 0]
        for a, r in zip(axes, residue, strict=True)
    ]
    met = tuple(itertools.product(*each))
    # Along an axis: every (q, t, output) with output = q + (r + low - dilation*t) / stride.
    ties = [_ties(a, r, n, ts) for a, r, n, ts in zip(axes, residue, rows, each, strict=True)]
    row_of = places((geometry.in_channels, *rows))
    column_of = places(geometry.out_shape)
    entries: dict[tuple[int, int], Any] = {}
    for o, c in itertools.product(range(geometry.out_channels), range(width)):
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
