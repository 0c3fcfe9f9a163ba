"""What transposing undoes, and what it does not: C.T has the shape of an inverse, rarely more."""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sympy
from sympy.polys.matrices import DomainMatrix

from tconvjax.errors import Described, fail
from tconvjax.geometry import Geometry, check_geometry
from tconvjax.symbolic.explicit import check_pairs, check_size, conv_matrix
from tconvjax.symbolic.rounding import epsilon, magnitudes, vanishes

MOST_PRODUCTS = 50_000
"""Products of a convolution whose matrix is multiplied or solved: taps outside it count too."""

MOST_PAIRS = 130_000
"""Products of two taps in C times its transpose: some seconds."""

MOST_BITS, MOST_INVERTED_BITS = 5 * 10**9, 12 * 10**7
"""Bits of all fractions that eliminating and inverting may handle, size**3 times: some seconds."""

MOST_ENTRIES = 10_000
"""Entries of C, zeros included, up to which it is multiplied and solved: some seconds."""


@dataclass(frozen=True)
class Gram:
    """Both products of C with its transpose.

    Args:
        outputs: C C.T, which the outputs see: how much the stamps of two outputs overlap.
        inputs: C.T C, which the inputs see: what a convolution and its transpose make of an input.
    """

    outputs: sympy.SparseMatrix
    inputs: sympy.SparseMatrix


@dataclass(frozen=True)
class Orthonormality:
    """What the kernel's entries must satisfy for C.T to undo C.

    Args:
        after: expressions that must all be 0 for C C.T = 1: the convolution undoes its transpose.
        before: expressions that must all be 0 for C.T C = 1: the transpose undoes the convolution.
    """

    after: tuple[Any, ...]
    before: tuple[Any, ...]


def gram(geometry: Geometry, kernel: Any = None) -> Gram:
    """C C.T and C.T C.

    Args:
        geometry: any geometry with at most 10,000 entries in its matrix, of which at most 130,000
            pairs meet in its products.
        kernel: as in `conv_matrix`.

    Returns:
        Both products, each entry expanded.

    Raises:
        GeometryError: if the kernel has another shape, or the matrix is too large to multiply.

    Examples:
        >>> gram(Geometry.of_conv((1, 4), (1, 1, 2), stride=2)).outputs
        Matrix([
        [w_0**2 + w_1**2,               0],
        [              0, w_0**2 + w_1**2]])
        >>> gram(Geometry.of_conv((1, 4), (1, 1, 2), stride=2)).inputs[:2, :2]
        Matrix([
        [ w_0**2, w_0*w_1],
        [w_0*w_1,  w_1**2]])
    """
    _check(geometry)
    check_pairs(geometry, MOST_PAIRS)
    matrix = conv_matrix(geometry, kernel)
    return Gram(_squared(matrix), _squared(matrix.T))


def orthonormality(geometry: Geometry, kernel: Any = None) -> Orthonormality:
    """When C.T is an inverse of C, as conditions on the kernel.

    C C.T = 1 asks that the stamps have length 1 and do not overlap or are orthogonal where they do;
    with kernel = stride only the first is left. C.T C = 1 asks besides for as many outputs as
    inputs.

    Args:
        geometry: as in `gram`.
        kernel: as in `conv_matrix`; with numbers the conditions are numbers.

    Returns:
        The conditions; none are left where they hold for every kernel, and a number other than 0
        stands among those that hold for none. What floats may leave of a 0 by rounding is 0.

    Raises:
        GeometryError: if the kernel has another shape, or the matrix is too large to multiply.

    Examples:
        >>> tiles = orthonormality(Geometry.of_conv((1, 4), (1, 1, 2), stride=2))
        >>> tiles.after
        (w_0**2 + w_1**2 - 1,)
        >>> orthonormality(Geometry.of_conv((1, 4), (1, 1, 2))).after
        (w_0**2 + w_1**2 - 1, w_0*w_1)
    """
    _check(geometry)
    check_pairs(geometry, MOST_PAIRS)
    matrix = conv_matrix(geometry, kernel)
    return Orthonormality(*(_conditions(_squared(m), m) for m in (matrix, matrix.T)))


def rank(geometry: Geometry, kernel: Any = None) -> int:
    """The rank of C: how many numbers about x its convolution keeps.

    Args:
        geometry: any geometry with at most 10,000 entries in its matrix.
        kernel: rational numbers, as in `conv_matrix`; None for the rank that almost all kernels
            give.

    Returns:
        The exact rank of the given kernel. For None, that of a kernel of large primes, which no
        rank exceeds and which falls short of the largest for a negligible share of kernels only.

    Raises:
        GeometryError: if an entry is no rational number, the kernel has another shape, or the
            matrix is too large, or its fractions would be too long.

    Examples:
        >>> there = Geometry.of_conv((1, 4), (1, 1, 2))
        >>> rank(there), rank(there, [[[1, -1]]]), there.in_size
        (3, 3, (4,))
    """
    return int(_rational(geometry, kernel, MOST_BITS).rank())


def null_space(geometry: Geometry, kernel: Any) -> list[sympy.SparseMatrix]:
    """A basis of the inputs that the convolution sends to zero, which nothing can bring back.

    Args:
        geometry: any geometry with at most 10,000 entries in its matrix.
        kernel: rational numbers, as in `conv_matrix`.

    Returns:
        Columns like ``vec_input``, ``prod(in_shape) - rank`` of them.

    Raises:
        GeometryError: if an entry is no rational number, the kernel has another shape, or the
            matrix is too large, or its fractions would be too long.

    Examples:
        >>> (lost,) = null_space(Geometry.of_conv((1, 3), (1, 1, 2)), [[[1, -1]]])
        >>> list(lost)
        [1, 1, 1]
    """
    basis = _rational(geometry, kernel, MOST_BITS).nullspace().to_Matrix()
    return [sympy.SparseMatrix(_whole(basis[n, :]).T) for n in range(basis.rows)]


def least_squares_inverse(geometry: Geometry, kernel: Any) -> sympy.SparseMatrix:
    """The matrix that comes closest to undoing C: its Moore-Penrose inverse, to hold beside C.T.

    Of all x whose convolution is as close to y as can be, ``inverse * vec(y)`` is the shortest.

    Args:
        geometry: any geometry with at most 10,000 entries in its matrix.
        kernel: rational numbers, as in `conv_matrix`.

    Returns:
        An exact matrix of the shape of C.T; equal to C.T only where the kernel is orthonormal.

    Raises:
        GeometryError: if an entry is no rational number, the kernel has another shape, or the
            matrix is too large, or its fractions would be too long.

    Examples:
        >>> tiles = Geometry.of_conv((1, 4), (1, 1, 2), stride=2)
        >>> least_squares_inverse(tiles, [[[1, 1]]]).T
        Matrix([
        [1/2, 1/2,   0,   0],
        [  0,   0, 1/2, 1/2]])

    Ben-Israel and Greville, Generalized Inverses, chapter 1, theorem 5: with C = F G of full rank,
    the inverse is G.T (F.T C G.T)^-1 F.T.
    """
    matrix = _rational(geometry, kernel, MOST_INVERTED_BITS)
    reduced, pivots = matrix.rref()
    if not pivots:
        return sympy.SparseMatrix(*reversed(matrix.shape), {})
    rows, columns = matrix.shape
    left = matrix.extract(list(range(rows)), list(pivots))
    right = reduced.extract(list(range(len(pivots))), list(range(columns)))
    middle = (left.transpose() * matrix * right.transpose()).inv()
    inverse = right.transpose() * middle * left.transpose()
    return sympy.SparseMatrix(inverse.to_Matrix())


def _check(geometry: Geometry) -> None:
    check_geometry(geometry)
    rows, columns = (_product(shape) for shape in (geometry.out_shape, geometry.in_shape))
    if rows * columns > MOST_ENTRIES:
        fail(
            "geometry",
            Described(f"matrix of {rows} x {columns}"),
            f"it is multiplied or solved up to {MOST_ENTRIES} entries, zeros included",
            "take a smaller input, or numbers: tconvjax.matrices and NumPy's linalg",
        )
    check_size(geometry, MOST_PRODUCTS)


def _product(shape: Sequence[int]) -> int:
    return int(sympy.prod(shape))


def _rational(geometry: Geometry, kernel: Any, most: int) -> DomainMatrix:
    _check(geometry)
    matrix = conv_matrix(geometry, kernel)
    if kernel is None:
        symbols = sorted(matrix.free_symbols, key=str)
        primes = {s: sympy.nextprime(10**6 + 7919 * n) for n, s in enumerate(symbols)}
        matrix = matrix.xreplace(primes)
    values = list(matrix.todok().values())
    for value in values:
        if not value.is_Rational:
            fail(
                "kernel",
                value,
                "its entries must be rational numbers for an exact answer",
                "give ints or sympy.Rational, or take NumPy's linalg of "
                "tconvjax.matrices.conv_matrix",
            )
    _check_digits(matrix.shape, values, most)
    return DomainMatrix.from_Matrix(matrix).convert_to(sympy.QQ).to_sparse()


def _check_digits(shape: tuple[int, int], values: Sequence[Any], most: int) -> None:
    """Refuse to eliminate where the fractions that come up would be too long.

    Hadamard's bound on a minor is the product of the lengths of its rows.
    """
    scale = math.lcm(*(int(value.q) for value in values))
    largest = max((abs(int(value.p)) * scale // int(value.q) for value in values), default=0)
    size = min(shape)
    bits = size * (2 * largest.bit_length() + max(shape).bit_length())
    if size**3 * bits > most:
        fail(
            "kernel",
            Described(f"numbers of {largest.bit_length()} bits on a common denominator"),
            f"eliminating a matrix of {shape[0]} x {shape[1]} takes fractions of up to {bits} "
            "bits, and minutes",
            "take a smaller input or rounder numbers, or NumPy's linalg of "
            "tconvjax.matrices.conv_matrix",
        )


def _squared(matrix: sympy.SparseMatrix) -> sympy.SparseMatrix:
    """The matrix times its transpose, each entry expanded; each product of two taps once."""
    columns: dict[int, list[tuple[int, Any]]] = {}
    for (m, n), entry in matrix.todok().items():
        columns.setdefault(n, []).append((m, entry))
    met: dict[tuple[int, int], list[Any]] = {}
    times = functools.cache(_times)
    for column in columns.values():
        for (m, a), (n, b) in itertools.product(column, column):
            if n <= m:
                met.setdefault((m, n), []).append(times(a, b))
    lower = {place: sympy.Add(*terms) for place, terms in met.items()}
    upper = {(n, m): entry for (m, n), entry in lower.items()}
    return sympy.SparseMatrix(matrix.rows, matrix.rows, lower | upper)


def _times(a: Any, b: Any) -> Any:
    # Expanding takes ten times as long as multiplying what needs none.
    return a * b if a.is_Atom and b.is_Atom else sympy.expand(a * b)


def _conditions(product: sympy.SparseMatrix, factor: sympy.SparseMatrix) -> tuple[Any, ...]:
    """What must vanish for ``factor * factor.T`` to be 1, each once, the shortest last.

    What floats leave of a 0 is none.
    """
    spacing = epsilon(factor.todok().values())
    rows = _rows(factor)
    entries = product.todok()
    for m in range(product.rows):
        entries.setdefault((m, m), sympy.S.Zero)
    found: dict[Any, None] = {}
    for (m, n), entry in sorted(entries.items()):
        wanted = entry - int(m == n)  # the entry is expanded
        if n > m or wanted == 0 or wanted in found or -wanted in found:  # it is symmetric
            continue
        both = rows[m].keys() & rows[n].keys()
        if spacing is not None:
            one = [(sympy.S.One, sympy.S.One)] if m == n else []
            sizes = magnitudes([*((rows[m][k], rows[n][k]) for k in both), *one])
            if vanishes(wanted, sizes, len(both), spacing):
                continue
        found[wanted] = None
    return tuple(found)


def _rows(matrix: sympy.SparseMatrix) -> list[dict[int, Any]]:
    rows: list[dict[int, Any]] = [{} for _ in range(matrix.rows)]
    for (m, n), entry in matrix.todok().items():
        rows[m][n] = entry
    return rows


def _whole(row: Any) -> Any:
    """A rational row times its common denominator."""
    return row * math.lcm(*(int(value.q) for value in row))
