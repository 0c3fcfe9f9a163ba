"""From the sum to C to C.T: a chain of equations, each checked by SymPy when it is made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import sympy

from tconvjax.geometry import Geometry
from tconvjax.shown import Written
from tconvjax.symbolic.matrix import (
    cells,
    check_pairs,
    check_size,
    conv_matrix,
    places,
    summed,
    vec_input,
    vec_output,
)
from tconvjax.symbolic.names import kernel_symbols

MOST_PRODUCTS = 1_000
"""Largest number of products of a convolution whose derivation is checked and shown."""

MOST_PAIRS = 10_000
"""Largest number of products of two taps in C.T C, which a derivation writes out."""


@dataclass(frozen=True)
class Step:
    """An equation of a derivation: scalars or matrices that are "equal", or "unequal".

    ``written`` is the equation as people write it, with matrices beside what they are multiplied by
    and signs as text; it is empty if the two sides are all there is to show.
    """

    title: str
    words: str
    equation: tuple[Any, Any]
    claim: str = "equal"
    written: tuple[Any, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether SymPy finds the claim to be true, computed anew."""
        matrices = (side if hasattr(side, "shape") else [side] for side in self.equation)
        left, right = map(sympy.SparseMatrix, matrices)
        same = left.shape == right.shape and not (left - right).applyfunc(sympy.expand).todok()
        return same == (self.claim == "equal")


@dataclass(frozen=True, repr=False)
class Derivation(Written):
    """The chain of steps for one geometry."""

    geometry: Geometry
    steps: tuple[Step, ...]

    @property
    def holds(self) -> bool:
        """Whether every step holds."""
        return all(step.holds for step in self.steps)


def derivation(geometry: Geometry) -> Derivation:
    """Why the operation is called transposed: the steps from the sum to C and to C.T.

    Args:
        geometry: any geometry of at most 1,000 products, with at most 10,000 products of two taps
            in C.T C; a small one shows all there is to see.

    Returns:
        The ``steps``: seven equations, or eight with a stride, each with its ``title``, ``words``
        and ``equation``. SymPy has verified them, and ``holds`` verifies them again.

    Raises:
        GeometryError: if there are more products.

    Examples:
        >>> chain = derivation(Geometry.of_conv((1, 3), (1, 1, 2)))
        >>> [step.title for step in chain.steps][:3]
        ['The sum', 'The matrix', 'The same by calculus']
        >>> chain.holds
        True
    """
    check_size(geometry, MOST_PRODUCTS)
    check_pairs(geometry, MOST_PAIRS)
    found = Derivation(geometry, tuple(_steps(geometry)))
    for step in found.steps:
        assert step.holds, f"{step.title} does not hold for {geometry}"  # noqa: S101 - a proof
    return found


def _steps(geometry: Geometry) -> Iterator[Step]:
    matrix = conv_matrix(geometry)
    x, y, w = vec_input(geometry), vec_output(geometry), kernel_symbols(geometry)
    products = list(cells(geometry))
    form = sympy.Add(*(y[row] * w[tap] * x[column] for row, column, tap in products))
    sums = summed((len(y), 1), ((row, 0, w[tap] * x[column]) for row, column, tap in products))
    gathered = _jacobian([form], x).T
    stamped = summed((len(x), 1), ((j, 0, tap * y[i]) for (i, j), tap in matrix.todok().items()))
    stamps = [part for n in range(len(y)) for part in ("+", y[n], matrix[n, :].T)][1:]
    yield Step(
        "The sum",
        "Each output is the sum of the taps, each times the input element under it.",
        (_jacobian([form], y).T, sums),
        written=(y, "=", sums),
    )
    yield Step(
        "The matrix",
        "The sums are linear in x, so one matrix C gives them all. The row of an output holds its "
        "taps, each in the column of the element that it multiplies.",
        (matrix * x, sums),
        written=(matrix, x, "=", sums),
    )
    yield Step(
        "The same by calculus",
        "C holds the derivatives of the outputs in the inputs.",
        (_jacobian(sums, x), matrix),
        written=("∂y/∂x", "=", matrix),
    )
    yield Step(
        "The transpose",
        "For all x and y, the product of C x with y equals that of x with C.T y. C.T is the only "
        "matrix for which this is true.",
        ((matrix * x).dot(y), x.dot(matrix.T * y)),
    )
    yield Step(
        "The sum, read backwards",
        "Row j of C.T gathers every output that element j went into, with the tap that it went "
        "through. This is the derivative in x of the sum of all products y w x.",
        (matrix.T * y, gathered),
        written=(matrix.T, y, "=", gathered),
    )
    yield Step(
        "One element to many",
        "C.T y is also the sum of the rows of C, each times its element of y: every element stamps "
        "a kernel onto the result.",
        (matrix.T * y, stamped),
        written=(*stamps, "=", stamped),
    )
    product = (matrix.T * matrix).applyfunc(sympy.expand)
    one = sympy.SparseMatrix.eye(len(x))
    differs = product != one
    yield Step(
        "No inverse",
        "C.T takes y back to the shape of x. It does not take C x back to x, since C.T C is not "
        "the identity.",
        (product, one),
        "unequal" if differs else "equal",
        (matrix.T, matrix, "=", product, *(("≠", one) if differs else ())),
    )
    if max(geometry.stride) > 1 and not geometry.bordered:
        axes = tuple(replace(a, in_size=a.in_size + a.stride - 1) for a in geometry.axes)
        larger = replace(geometry, axes=axes)
        check_size(larger, MOST_PRODUCTS)
        where = places(larger.in_shape)
        ones = {(where[index], n): 1 for index, n in places(geometry.in_shape).items()}
        whole, picked = conv_matrix(larger), sympy.SparseMatrix(len(where), len(x), ones)
        sizes = " x ".join(map(str, larger.in_size))
        yield Step(
            "Shape is a choice",
            f"Inputs of up to {sizes} have as many outputs with the same padding. The matrix of "
            "the largest has more columns, and C is that matrix without the columns of the added "
            "elements: the product shown here. So C.T y may have any of these shapes, and "
            "output_padding or output_size chooses one.",
            (whole * picked, matrix),
            written=(whole, picked, "=", matrix),
        )


def _jacobian(sums: Sequence[Any], inputs: sympy.Matrix) -> sympy.SparseMatrix:
    """The derivatives of some sums in some symbols by the sum rule: each term once."""
    columns = {symbol: n for n, symbol in enumerate(inputs)}
    derivatives = (
        (row, columns[symbol], sympy.diff(term, symbol))
        for row, form in enumerate(sums)
        for term in sympy.Add.make_args(form)
        for symbol in term.free_symbols & columns.keys()
    )
    return summed((len(sums), len(columns)), derivatives)
