"""C cut into blocks of which few are different."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import sympy

from tconvjax.errors import Described, fail
from tconvjax.geometry import Axis, Geometry
from tconvjax.shown import Written
from tconvjax.symbolic.explicit import check_size, of_taps
from tconvjax.symbolic.names import Taps, places, symbol, taps_of

MOST_BLOCKS, MOST_SHOWN_BLOCKS = 250_000, 10_000
"""Blocks of a grid, empty ones too: as tuples, and as a block matrix of SymPy's."""

MOST_WORK, LEAST_WORK = 1_400_000, 100
"""Steps that all blocks take together, and what one takes beyond its rows and columns."""


@dataclass(frozen=True, repr=False)
class Blocks(Written):
    """A matrix cut into equal blocks, of which few are different.

    Args:
        grid: for each block the indices of those that are added up in it; an empty tuple is a
            block of zeros.
        parts: the blocks by their indices.
        block_shape: rows and columns of a block.
        kind: what the grid is: "full", "block diagonal", "block circulant" or "block Toeplitz".
        counts: how many blocks there are down and across.
    """

    grid: tuple[tuple[tuple[tuple[int, ...], ...], ...], ...]
    parts: Mapping[tuple[int, ...], sympy.SparseMatrix]
    block_shape: tuple[int, int]
    kind: str
    counts: tuple[int, int]

    @property
    def names(self) -> sympy.ImmutableDenseMatrix:
        """The grid as symbols such as W_1, one for each block, which show the pattern."""
        cells = [
            sympy.Add(*(symbol("W", index) for index in cell)) for row in self.grid for cell in row
        ]
        return sympy.ImmutableDenseMatrix(*self.counts, cells)

    def as_explicit(self) -> sympy.SparseMatrix:
        """The matrix that the blocks make up."""
        height, width = self.block_shape
        kept = {index: part.todok() for index, part in self.parts.items()}
        found: dict[tuple[int, int], list[Any]] = {}
        for m, row in enumerate(self.grid):
            for n, cell in enumerate(row):
                for (r, c), value in itertools.chain(*(kept[index].items() for index in cell)):
                    found.setdefault((m * height + r, n * width + c), []).append(value)
        entries = {place: sympy.Add(*values) for place, values in found.items()}
        down, across = self.counts
        return sympy.SparseMatrix(down * height, across * width, entries)

    def as_block_matrix(self) -> sympy.BlockMatrix:
        """The blocks as SymPy's own block matrix.

        Raises:
            GeometryError: if there are more than 10,000 blocks, over which SymPy takes minutes.
        """
        if math.prod(self.counts) > MOST_SHOWN_BLOCKS:
            fail(
                "blocks",
                Described(f"{self.counts[0]} x {self.counts[1]} blocks"),
                f"SymPy's block matrix is made of up to {MOST_SHOWN_BLOCKS}",
                "take as_explicit, or a smaller input",
            )
        zeros = sympy.ZeroMatrix(*self.block_shape)
        made: dict[tuple[tuple[int, ...], ...], Any] = {(): zeros}
        for cell in itertools.chain(*self.grid):
            if cell not in made:
                parts = (self.parts[index].as_immutable() for index in cell)
                made[cell] = functools.reduce(operator.add, parts)
        return sympy.BlockMatrix([[made[cell] for cell in row] for row in self.grid])


def blocks(geometry: Geometry, kernel: Any = None) -> Blocks:
    """C cut into the blocks that its outermost axis ties together.

    With several channels a block W_o_c is the matrix of one pair of channels, and groups make the
    grid block diagonal. Else a block W_t is what the taps of index t along the first spatial axis
    make of the other axes: it stands where stride*i + dilation*t - low = j, so the grid is Toeplitz
    (circulant with circular padding), and each block is cut like that again: doubly block Toeplitz.

    Args:
        geometry: any geometry whose grid has at most 250,000 blocks.
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
    several = geometry.in_channels > 1 or geometry.out_channels > 1
    _check_grid(geometry.out_shape[not several], geometry.in_shape[not several])
    _check_parts(
        math.prod(geometry.kernel_shape[:2]) if several else geometry.kernel_size[0],
        math.prod(geometry.out_size[not several :]),
        math.prod(geometry.in_size[not several :]),
    )
    taps = taps_of(kernel, geometry)
    if several:
        return _channel_blocks(geometry, taps)
    axis, *others = geometry.axes
    inner = tuple(others) or (Axis(1, 1, 1),)
    rest = replace(geometry, axes=inner)
    parts: dict[tuple[int, ...], Any] = {}
    by_first: list[dict[tuple[int, ...], Any]] = [{} for _ in range(axis.kernel_size)]
    for (o, c, first, *more), value in taps.items():
        by_first[first][(o, c, *(more or (0,)))] = value
    for t, of_t in enumerate(by_first):
        parts[t,] = of_taps(rest, of_t)
    grid = [[() for _ in range(axis.in_size)] for _ in range(axis.out_size)]
    for i, j, t in axis.links():
        grid[i][j] += ((t,),)  # type: ignore[assignment]
    shape = math.prod(rest.out_shape), math.prod(rest.in_shape)
    circular = axis.mode == "circular" and axis.in_size == axis.stride * axis.out_size
    kind = "block circulant" if circular else "block Toeplitz"
    counts = axis.out_size, axis.in_size
    return Blocks(tuple(map(tuple, grid)), parts, shape, kind, counts)


def _check_grid(down: int, across: int) -> None:
    """Refuse a grid whose cells, empty ones too, would not fit."""
    if down * across > MOST_BLOCKS:
        fail(
            "geometry",
            Described(f"{down} x {across} blocks"),
            f"the grid has a cell for each, and {MOST_BLOCKS} is the limit",
            "take conv_matrix, or a smaller input, which is cut alike",
        )


def _check_parts(count: int, rows: int, columns: int) -> None:
    """Refuse more different blocks than can be made, of which each has its rows and columns."""
    work = count * (rows + columns + LEAST_WORK)
    if work > MOST_WORK:
        fail(
            "geometry",
            Described(f"{count} different blocks of {rows} x {columns}"),
            f"making them takes {work} steps, and {MOST_WORK} is the limit",
            "take conv_matrix, or fewer channels or taps, whose blocks look alike",
        )


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
    shape = math.prod(one.out_size), math.prod(one.in_size)
    return Blocks(grid, parts, shape, kind, (geometry.out_channels, geometry.in_channels))
