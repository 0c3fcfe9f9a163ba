"""C cut into blocks, few of which are different."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sympy

from tconvjax.geometry import Axis, Geometry, check_geometry
from tconvjax.shown import Written
from tconvjax.symbolic.matrix import MOST_ENTRIES, check_size, filled, places, shape_of, summed
from tconvjax.symbolic.names import symbol, taps_of

MOST_BLOCKS = 10_000
"""Largest number of blocks in a grid, zero blocks included."""


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
        made = self._made()
        placed = {
            (m * height, n * width): made[cell]
            for m, row in enumerate(self.grid)
            for n, cell in enumerate(row)
            if cell
        }
        return sympy.SparseMatrix(down * height, across * width, placed)

    def as_block_matrix(self) -> sympy.BlockMatrix:
        """The blocks as SymPy's own block matrix."""
        made = {cell: block.as_immutable() for cell, block in self._made().items()}
        made[()] = sympy.ZeroMatrix(*self.block_shape)
        return sympy.BlockMatrix([[made[cell] for cell in row] for row in self.grid])

    def _made(self) -> dict[Any, sympy.SparseMatrix]:
        """The blocks of the grid by the indices of the parts that they add up."""
        entries = {index: part.todok().items() for index, part in self.parts.items()}
        return {
            cell: summed(
                self.block_shape,
                ((r, c, value) for index in cell for (r, c), value in entries[index]),
            )
            for cell in {*itertools.chain(*self.grid)}
        }


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
        ``names``. Their ``as_explicit()`` is ``conv_matrix(geometry, kernel)``, and
        ``as_block_matrix()`` is SymPy's own block matrix.

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
    check_size(geometry, MOST_BLOCKS, math.prod(counts), "blocks")
    shape = geometry.kernel_shape
    kernels: Any = {index: {} for index in places(shape[:2] if several else shape[2:3])}
    for (o, c, *t), entry in taps_of(kernel, geometry).items():
        index = (o, c) if several else (t.pop(0),)
        kernels[index][0, 0, *(t or [0])] = entry
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
    parts = {index: filled(inner, taps) for index, taps in kernels.items()}
    return Blocks(tuple(map(tuple, grid)), parts, shape_of(inner), kind, counts)
