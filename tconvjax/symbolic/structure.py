"""C as a sum of Kronecker products, one for each entry of the kernel."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sympy

from tconvjax.arguments import frozen
from tconvjax.errors import Described, fail
from tconvjax.geometry import Axis, Geometry
from tconvjax.shown import Written
from tconvjax.symbolic.explicit import check_size
from tconvjax.symbolic.names import MOST_SYMBOLS, taps_of

MOST_PRODUCTS, MOST_TERMS = 50_000, 5_000
"""Of a convolution whose Kronecker products are multiplied out, and written as one expression."""


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


@dataclass(frozen=True, repr=False)
class KroneckerForm(Written):
    """C = sum over the kernel's entries of w[o, c, t] * (E_oc x S_t1 x S_t2 x ...).

    Args:
        terms: one for each entry of the kernel.
        shape: of C.
    """

    terms: tuple[KroneckerTerm, ...]
    shape: tuple[int, int]

    def as_explicit(self) -> sympy.SparseMatrix:
        """The sum of the Kronecker products, multiplied out."""
        found: dict[tuple[int, int], list[Any]] = {}
        for term in self.terms:
            for place, value in functools.reduce(_kronecker, map(_sparse, term.factors)).items():
                found.setdefault(place, []).append(term.entry * value)
        entries = {place: sympy.Add(*values) for place, values in found.items()}
        # A place whose entries cancel stays out.
        return sympy.SparseMatrix(*self.shape, {k: v for k, v in entries.items() if v != 0})

    def as_expr(self) -> sympy.MatrixExpr:
        """The sum as a SymPy expression, nothing multiplied out.

        Raises:
            GeometryError: if there are more than 5,000 terms, over which SymPy takes minutes.
        """
        if len(self.terms) > MOST_TERMS:
            fail(
                "kernel",
                Described(f"{len(self.terms)} entries"),
                f"SymPy's sum has a term for each, and {MOST_TERMS} is the limit",
                "take as_explicit, or fewer channels or taps",
            )
        return sympy.MatAdd(
            *(
                sympy.MatMul(
                    term.entry,
                    sympy.KroneckerProduct(*(factor.as_immutable() for factor in term.factors)),
                )
                for term in self.terms
            )
        )


def kronecker_form(geometry: Geometry, kernel: Any = None) -> KroneckerForm:
    """C as a sum over the kernel's entries of Kronecker products of shift-and-decimate matrices.

    C = sum over o, c, t of  w[o, c, t] * E_oc x S_t1 x S_t2 x ...

    E_oc is 1 at output channel o and the input channel that c counts in o's group; S_t is
    `shift_matrix` of each axis. Transposing each factor transposes the sum, so the transposed
    convolution has the same form, and shifts the other way.

    Args:
        geometry: any geometry of at most 50,000 products.
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
    check_size(geometry, MOST_PRODUCTS)
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
        axis: of a geometry, of at most 200,000 elements; borders that copy elements are copied
            here too.
        tap: below the axis's kernel_size.

    Returns:
        A 0-1 matrix of shape (out_size, in_size).

    Raises:
        GeometryError: if there is no such tap, or the matrix would not fit.

    Examples:
        >>> shift_matrix(Geometry.of_conv((1, 5), (1, 1, 3), stride=2, padding=1).axes[0], 0)
        Matrix([
        [0, 0, 0, 0, 0],
        [0, 1, 0, 0, 0],
        [0, 0, 0, 1, 0]])
    """
    if not isinstance(axis, Axis):
        fail(
            "axis",
            Described(f"{type(axis).__name__} object"),
            "it must be an Axis",
            "take one of geometry.axes",
        )
    tap = frozen("tap", tap)
    if not isinstance(tap, int) or not 0 <= tap < axis.kernel_size:
        fail("tap", tap, f"the axis has {axis.kernel_size} taps", "count them from 0")
    if max(axis.out_size, axis.in_size) > MOST_SYMBOLS:
        fail(
            "axis",
            Described(f"{axis.in_size} elements to {axis.out_size}"),
            f"a shift matrix has up to {MOST_SYMBOLS} rows and columns",
            "take a smaller axis, whose shift looks alike",
        )
    found = {}
    for i in range(axis.out_size):
        j = axis.source(axis.stride * i + axis.dilation * tap - axis.low)
        if j is not None:
            found[i, j] = 1
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
        (m * rows + r, n * columns + c): x * y for (m, n), x in a.items() for (r, c), y in b.items()
    }
    return _Sparse((a.shape[0] * rows, a.shape[1] * columns), found)
