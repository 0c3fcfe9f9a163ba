"""What transposing undoes: C.T has the shape of an inverse of C and is rarely one."""

from __future__ import annotations

import functools
import itertools
import math
import sys
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sympy
from sympy.polys.matrices import DomainMatrix

from tconvjax.errors import fail
from tconvjax.geometry import Geometry
from tconvjax.symbolic.matrix import check_pairs, check_size, conv_matrix, products_of, shape_of

MOST_PAIRS = 130_000
"""Largest number of products of two taps in C C.T or C.T C; SymPy needs some seconds for them."""

MOST_SOLVED = 4_096
"""Largest number of entries of C, zeros included, for which it is solved in exact fractions."""


@dataclass(frozen=True)
class Gram:
    """Both products of C with its transpose: C C.T of outputs and C.T C of inputs."""

    outputs: sympy.SparseMatrix
    inputs: sympy.SparseMatrix


@dataclass(frozen=True)
class Orthonormality:
    """The expressions that must be 0 for C.T to undo C: after it, and before it."""

    after: tuple[Any, ...]
    before: tuple[Any, ...]


def gram(geometry: Geometry, kernel: Any = None) -> Gram:
    """C C.T and C.T C.

    Args:
        geometry: any geometry with at most 130,000 products of two taps in the result.
        kernel: as in `conv_matrix`.

    Returns:
        ``outputs``, C C.T: how much the stamps of two outputs overlap; and ``inputs``, C.T C: what
        a convolution followed by its transpose makes of an input. Each entry is expanded.

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
    check_pairs(geometry, MOST_PAIRS)
    matrix = conv_matrix(geometry, kernel)
    return Gram(_squared(matrix), _squared(matrix.T))


def orthonormality(geometry: Geometry, kernel: Any = None) -> Orthonormality:
    """When C.T is an inverse of C, as conditions on the kernel.

    C C.T = 1 requires that the stamps have length 1, and that stamps which overlap are orthogonal.
    If the kernel is as long as the stride, none overlap, and only the lengths matter. C.T C = 1
    requires at least as many outputs as inputs as well.

    Args:
        geometry: as in `gram`.
        kernel: as in `conv_matrix`; with numbers the conditions are numbers.

    Returns:
        The expressions that must be 0: ``after`` for C C.T = 1, where the convolution undoes its
        transpose, and ``before`` for C.T C = 1, where the transpose undoes the convolution. There
        are none if every kernel meets the conditions, and a number other than 0 is among them if
        no kernel does. With floats, values that rounding explains count as 0.

    Raises:
        GeometryError: if the kernel has another shape, or the matrix is too large to multiply.

    Examples:
        >>> tiles = orthonormality(Geometry.of_conv((1, 4), (1, 1, 2), stride=2))
        >>> tiles.after
        (w_0**2 + w_1**2 - 1,)
        >>> orthonormality(Geometry.of_conv((1, 4), (1, 1, 2))).after
        (w_0**2 + w_1**2 - 1, w_0*w_1)
    """
    check_pairs(geometry, MOST_PAIRS)
    matrix = conv_matrix(geometry, kernel)
    return Orthonormality(_conditions(matrix), _conditions(matrix.T))


def rank(geometry: Geometry, kernel: Any = None) -> int:
    """The rank of C: how many numbers about x its convolution keeps.

    Args:
        geometry: any geometry with at most 4,096 entries in its matrix, zeros included.
        kernel: rational numbers, as in `conv_matrix`; None for the rank that almost all kernels
            give.

    Returns:
        The exact rank for the given kernel. For None, the rank for a kernel of large primes, which
        is the largest possible one but for an unlikely coincidence.

    Raises:
        GeometryError: if an entry is not a rational number, the kernel has another shape, or the
            matrix is too large.

    Examples:
        >>> line = Geometry.of_conv((1, 4), (1, 1, 2))
        >>> rank(line), rank(line, [[[1, -1]]]), line.in_size
        (3, 3, (4,))
    """
    return int(_rational(geometry, kernel).rank())


def null_space(geometry: Geometry, kernel: Any) -> list[sympy.SparseMatrix]:
    """A basis of the inputs that the convolution sends to zero, which nothing can bring back.

    Args:
        geometry: as in `rank`.
        kernel: rational numbers, as in `conv_matrix`.

    Returns:
        Columns like ``vec_input``, ``prod(in_shape) - rank`` of them, in whole numbers.

    Raises:
        GeometryError: if an entry is not a rational number, the kernel has another shape, or the
            matrix is too large.

    Examples:
        >>> (lost,) = null_space(Geometry.of_conv((1, 3), (1, 1, 2)), [[[1, -1]]])
        >>> list(lost)
        [1, 1, 1]
    """
    basis = _rational(geometry, kernel).nullspace().to_Matrix()
    rows = (basis[n, :] for n in range(basis.rows))
    return [sympy.SparseMatrix(row.T * math.lcm(*(int(value.q) for value in row))) for row in rows]


def least_squares_inverse(geometry: Geometry, kernel: Any) -> sympy.SparseMatrix:
    """The matrix that comes closest to undoing C: its Moore-Penrose inverse, to compare with C.T.

    Among all x whose convolution is as close to y as possible, ``inverse * vec(y)`` is the
    shortest.

    Args:
        geometry: as in `rank`.
        kernel: rational numbers, as in `conv_matrix`.

    Returns:
        An exact matrix of the shape of C.T. It equals C.T only if the kernel is orthonormal.

    Raises:
        GeometryError: if an entry is not a rational number, the kernel has another shape, or the
            matrix is too large.

    Examples:
        >>> tiles = Geometry.of_conv((1, 4), (1, 1, 2), stride=2)
        >>> least_squares_inverse(tiles, [[[1, 1]]]).T
        Matrix([
        [1/2, 1/2,   0,   0],
        [  0,   0, 1/2, 1/2]])

    Ben-Israel and Greville, Generalized Inverses, chapter 1, theorem 5: with C = F G of full rank,
    the inverse is G.T (F.T C G.T)^-1 F.T.
    """
    matrix = _rational(geometry, kernel)
    reduced, pivots = matrix.rref()
    left = matrix.extract(list(range(matrix.shape[0])), list(pivots)).transpose()
    right = reduced[: len(pivots), :].transpose()
    return sympy.SparseMatrix((right * (left * matrix * right).inv() * left).to_Matrix())


def _rational(geometry: Geometry, kernel: Any) -> DomainMatrix:
    """C over the rational numbers, if it is small enough to be solved."""
    entries = max(products_of(geometry), math.prod(shape_of(geometry)))
    check_size(geometry, MOST_SOLVED, entries, "entries, zeros included")
    matrix = conv_matrix(geometry, kernel)
    if kernel is None:
        symbols = sorted(matrix.free_symbols, key=str)
        primes = {s: sympy.nextprime(10**6 + 7919 * n) for n, s in enumerate(symbols)}
        matrix = matrix.xreplace(primes)
    for value in matrix.todok().values():
        if not value.is_Rational:
            rule = "its entries must be rational numbers for an exact answer"
            remedy = "use NumPy's linalg with tconvjax.matrices.conv_matrix"
            fail("kernel", value, rule, f"give ints or sympy.Rational, or {remedy}")
    return DomainMatrix.from_Matrix(matrix).convert_to(sympy.QQ).to_sparse()


def _products(factor: sympy.SparseMatrix) -> dict[tuple[int, int], list[tuple[Any, Any]]]:
    """The products that each entry of ``factor * factor.T`` adds up."""
    columns: dict[int, list[tuple[int, Any]]] = defaultdict(list)
    for (row, column), entry in factor.todok().items():
        columns[column].append((row, entry))
    found: dict[tuple[int, int], list[tuple[Any, Any]]] = defaultdict(list)
    for entries in columns.values():
        for (m, a), (n, b) in itertools.product(entries, entries):
            found[m, n].append((a, b))
    return found


def _squared(factor: sympy.SparseMatrix) -> sympy.SparseMatrix:
    """``factor * factor.T``, each entry expanded."""
    totals = {place: _total(pairs) for place, pairs in _products(factor).items()}
    return sympy.SparseMatrix(factor.rows, factor.rows, totals)


def _conditions(factor: sympy.SparseMatrix) -> tuple[Any, ...]:
    """What must vanish for ``factor * factor.T`` to be 1, each condition once."""
    products = _products(factor)
    for n in range(factor.rows):
        products[n, n].append((sympy.S.One, sympy.S.NegativeOne))
    found: dict[Any, None] = {}
    for (m, n), pairs in sorted(products.items()):
        if n <= m:  # the matrix is symmetric
            condition = _total(pairs)
            known = condition in found or -condition in found
            if not known and not vanishes(condition, pairs):
                found[condition] = None
    return tuple(found)


def _total(pairs: Iterable[tuple[Any, Any]]) -> Any:
    return sympy.Add(*itertools.starmap(_times, pairs))


@functools.lru_cache(maxsize=2**14)
def _times(a: Any, b: Any) -> Any:
    # Expanding takes ten times as long as multiplying, and products of symbols do not need it.
    return a * b if a.is_Atom and b.is_Atom else sympy.expand(a * b)


def vanishes(difference: Any, products: Iterable[tuple[Any, Any]]) -> bool:
    """Whether an expanded difference of two sums of these products is 0, up to rounding of floats.

    To first order, a sum of n products in floats is off by at most n epsilon times the sum of the
    absolute products, in whatever order it is added up. So two such sums differ by at most twice
    that; one more epsilon for each covers what is of second order.
    """
    if not difference.has(sympy.Float):
        return bool(difference == 0)
    products = list(products)
    sizes: dict[Any, Any] = defaultdict(int)  # of each power product of symbols
    for a, b in products:
        for term, number in _times(a, b).as_coefficients_dict().items():
            sizes[term] += abs(number)
    most = 2 * (len(products) + 1) * sys.float_info.epsilon
    terms = difference.as_coefficients_dict().items()
    return all(abs(number) <= most * sizes[term] for term, number in terms)
