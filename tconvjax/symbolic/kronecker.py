"""C as a sum of Kronecker products, one for each entry of the kernel."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sympy

from tconvjax.geometry import Axis, Geometry
from tconvjax.shown import Written
from tconvjax.symbolic.matrix import check_size, shape_of, summed
from tconvjax.symbolic.names import taps_of

MOST_PRODUCTS = 50_000
"""Largest number of products of a convolution that is written as a sum of Kronecker products."""

MOST_TERMS = 5_000
"""Largest number of terms of the sum; SymPy needs minutes to write more as an expression."""


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
                for places in itertools.product(*(factor.todok() for factor in term.factors)):
                    row = column = 0
                    for factor, (r, c) in zip(term.factors, places, strict=True):
                        row, column = row * factor.rows + r, column * factor.cols + c
                    yield row, column, term.entry

        return summed(self.shape, triples())

    def as_expr(self) -> sympy.MatrixExpr:
        """The sum as a SymPy expression, with nothing multiplied out."""
        products = (
            (term.entry, sympy.KroneckerProduct(*(f.as_immutable() for f in term.factors)))
            for term in self.terms
        )
        return sympy.MatAdd(*(sympy.MatMul(entry, product) for entry, product in products))


def kronecker_form(geometry: Geometry, kernel: Any = None) -> KroneckerForm:
    """C as a sum over the kernel's entries of Kronecker products of shift-and-decimate matrices.

    C = sum over o, c, t of  w[o, c, t] * E_oc x S_t1 x S_t2 x ...

    E_oc is 1 at output channel o and the input channel that c counts in o's group. S_t belongs to
    an axis and a tap: it is 1 at [i, j] where j = stride*i + dilation*t - low, and 0 elsewhere.
    Transposing each factor transposes the sum, so the transposed convolution has the same form and
    shifts the other way.

    Args:
        geometry: any geometry of at most 50,000 products and 5,000 kernel entries.
        kernel: as in `conv_matrix`.

    Returns:
        The ``terms``, each with the ``index`` (o, c, *t) of its kernel entry, the ``entry``, and as
        ``factors`` a 0-1 matrix for the channels, if there are several, and one for each axis. The
        ``as_explicit()`` of the whole is ``conv_matrix(geometry, kernel)``, and ``as_expr()`` is
        the sum as a SymPy expression.

    Raises:
        GeometryError: if the kernel has another shape, or the matrix is too large.

    Examples:
        >>> form = kronecker_form(Geometry.of_conv((1, 4), (1, 1, 2), stride=2))
        >>> form.terms[1].entry, form.terms[1].factors[0]
        (w_1, Matrix([
        [0, 1, 0, 0],
        [0, 0, 0, 1]]))
    """
    check_size(geometry, MOST_PRODUCTS)
    check_size(geometry, MOST_TERMS, math.prod(geometry.kernel_shape), "kernel entries")
    shifts = [_shifts(axis) for axis in geometry.axes]
    outs, ins, width = geometry.out_channels, geometry.in_channels, geometry.kernel_shape[1]
    terms = []
    for (o, c, *t), entry in taps_of(kernel, geometry).items():
        factors = [shift[tap] for shift, tap in zip(shifts, t, strict=True)]
        if outs > 1 or ins > 1:
            place = o, o // (outs // geometry.groups) * width + c
            factors.insert(0, sympy.SparseMatrix(outs, ins, {place: 1}))
        terms.append(KroneckerTerm((o, c, *t), entry, tuple(factors)))
    return KroneckerForm(tuple(terms), shape_of(geometry))


def _shifts(axis: Axis) -> list[sympy.SparseMatrix]:
    """For each tap, the 0-1 matrix of the input element that it reads for each output."""
    found: list[dict[tuple[int, int], int]] = [{} for _ in range(axis.kernel_size)]
    for i, j, t in axis.links():
        found[t][i, j] = 1
    return [sympy.SparseMatrix(axis.out_size, axis.in_size, entries) for entries in found]
