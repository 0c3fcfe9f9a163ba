"""The matrix C of a convolution, built from its products, and the columns that it multiplies."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sympy

from tconvjax.errors import Described, fail
from tconvjax.geometry import Geometry, check_geometry, links
from tconvjax.symbolic.names import Taps, symbol, taps_of

MOST_ENTRIES = 1_000_000
"""Limit on entries, rows and columns of C; beyond it SymPy needs minutes."""

MOST_WRITTEN = 50_000
"""Largest number of products of a matrix that is also written in another form."""


def conv_matrix(geometry: Geometry, kernel: Any = None) -> sympy.SparseMatrix:
    """The matrix C of a convolution.

    C[o i, c j] = sum of w[o, c, t] over the taps t with stride*i + dilation*t - low = j

    Args:
        geometry: any geometry: N-D, strided, padded, dilated, with channels and groups.
        kernel: numbers or SymPy expressions of shape (O, C / groups, *kernel_size) to fill C with;
            None for the symbols of `kernel_symbols`.

    Returns:
        A sparse matrix with a row for each output element and a column for each input element. Its
        ``.T`` is the matrix of the transposed convolution. Building it takes time proportional to
        its non-zeros; ``.as_immutable()``, which can be hashed, takes time for every zero too.

    Raises:
        GeometryError: if the kernel has another shape, or the matrix is too large.

    Examples:
        >>> geometry = Geometry.of_conv((1, 5), (1, 1, 3), stride=2)
        >>> C = conv_matrix(geometry)
        >>> C
        Matrix([
        [w_0, w_1, w_2,   0,   0],
        [  0,   0, w_0, w_1, w_2]])
        >>> C.T * vec_output(geometry)
        Matrix([
        [          w_0*y_0],
        [          w_1*y_0],
        [w_0*y_1 + w_2*y_0],
        [          w_1*y_1],
        [          w_2*y_1]])

    Dumoulin and Visin, arXiv:1603.07285, section 4.1, print it for a 4x4 input and a 3x3 kernel.
    """
    check_size(geometry, MOST_ENTRIES)
    return filled(geometry, taps_of(kernel, geometry))


def vec_input(geometry: Geometry) -> sympy.ImmutableDenseMatrix:
    """The input as a column of symbols x, in the order of C's columns.

    Args:
        geometry: any geometry with at most 1,000,000 inputs.

    Returns:
        A column with ``prod(geometry.in_shape)`` rows.

    Raises:
        GeometryError: if there are more.
    """
    return _vec("x", geometry, check_geometry(geometry).in_shape)


def vec_output(geometry: Geometry) -> sympy.ImmutableDenseMatrix:
    """The output as a column of symbols y, in the order of C's rows.

    Args:
        geometry: any geometry with at most 1,000,000 outputs.

    Returns:
        A column with ``prod(geometry.out_shape)`` rows.

    Raises:
        GeometryError: if there are more.
    """
    return _vec("y", geometry, check_geometry(geometry).out_shape)


def _vec(name: str, geometry: Geometry, shape: tuple[int, ...]) -> sympy.ImmutableDenseMatrix:
    check_size(geometry, MOST_ENTRIES, math.prod(shape), f"symbols {name}")
    shown = 0 if shape[0] > 1 else 1
    symbols = [symbol(name, index[shown:]) for index in places(shape)]
    return sympy.ImmutableDenseMatrix(len(symbols), 1, symbols)


def shape_of(geometry: Geometry) -> tuple[int, int]:
    """The rows and columns of C."""
    return math.prod(geometry.out_shape), math.prod(geometry.in_shape)


def cells(geometry: Geometry) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Every product of the convolution as a row and a column of C and the index of a tap."""
    rows, columns = places(geometry.out_shape), places(geometry.in_shape)
    for output, source, tap in links(geometry):
        yield rows[output], columns[source], tap


def filled(geometry: Geometry, taps: Taps) -> sympy.SparseMatrix:
    """C with these entries of the kernel."""
    return summed(shape_of(geometry), ((row, col, taps[t]) for row, col, t in cells(geometry)))


def summed(shape: tuple[int, int], triples: Iterable[tuple[int, int, Any]]) -> sympy.SparseMatrix:
    """A matrix from (row, column, value); values at the same place are added up."""
    found: dict[tuple[int, int], list[Any]] = {}
    for row, column, value in triples:
        found.setdefault((row, column), []).append(value)
    # A sum is built at once: adding to it term by term takes quadratic time.
    return sympy.SparseMatrix(*shape, {place: sympy.Add(*v) for place, v in found.items()})


def places(shape: Sequence[int]) -> dict[tuple[int, ...], int]:
    """Every index of an array, and its place when the array is read row by row."""
    return {index: n for n, index in enumerate(itertools.product(*map(range, shape)))}


# -- what would take SymPy minutes is refused ------------------------------------------------------


def products_of(geometry: Geometry) -> int:
    """Upper bound on the products of a convolution; an empty axis counts as one element."""
    check_geometry(geometry)
    sides = (geometry.out_channels, geometry.kernel_shape[1], *geometry.out_size)
    return math.prod(max(side, 1) for side in sides) * math.prod(geometry.kernel_size)


def check_size(
    geometry: Any, most: int, count: int | None = None, what: str = "entries, rows or columns"
) -> None:
    """Refuse what has more than ``most`` entries, rows or columns, or what else is counted."""
    check_geometry(geometry)
    if count is None:
        count = max(products_of(geometry), *shape_of(geometry))
    if count > most:
        shapes = Described(f"{geometry.in_shape} to {geometry.out_shape}")
        rule = f"it has up to {count} {what}, and {most} is the limit"
        smaller = "look at a smaller input, which shows the same pattern"
        fail("geometry", shapes, rule, f"{smaller}, or use tconvjax.matrices, which holds numbers")


def check_pairs(geometry: Geometry, most: int) -> None:
    """Refuse a geometry for which C C.T or C.T C adds up too many products of two taps."""
    pairs = products_of(geometry) * math.prod(geometry.kernel_size)
    pairs *= max(geometry.kernel_shape[1], geometry.out_channels // geometry.groups)
    check_size(geometry, most, pairs, "products of two taps in C times its transpose")
