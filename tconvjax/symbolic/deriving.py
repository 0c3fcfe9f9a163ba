"""From the sum to C to C.T: a chain of equations, each checked by SymPy when it is made."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Any

import sympy

from tconvjax.errors import fail
from tconvjax.geometry import Geometry, links
from tconvjax.shown import Written
from tconvjax.symbolic.explicit import check_pairs, check_size, conv_matrix
from tconvjax.symbolic.names import kernel_symbols, places, vec_input, vec_output

MOST_ENTRIES = 1_000
"""Products of a convolution up to which its derivation is checked and shown."""

MOST_LARGER = 10_000
"""The same for the largest input with as many outputs, which a long stride makes much larger."""

MOST_PRODUCTS = 20_000
"""Products of a convolution whose sums are written out and differentiated, in some seconds."""

MOST_PAIRS = 10_000
"""Products of two taps in C.T C, which a derivation writes out."""

CLAIMS = ("equal", "unequal")


@dataclass(frozen=True)
class Step:
    """An equation of a derivation.

    Args:
        title: what it is, in a few words.
        words: why it holds, and what it says.
        equation: left and right side, scalars or matrices.
        claim: "equal", or "unequal" where the point is that the two sides differ.
        written: the equation as people write it, matrices beside what they are multiplied by and
            signs as text; the two sides if there is no more to show.
    """

    title: str
    words: str
    equation: tuple[Any, Any]
    claim: str = "equal"
    written: tuple[Any, ...] = ()

    def __post_init__(self) -> None:
        """Refuse a claim that nothing could check."""
        if self.claim not in CLAIMS:
            fail("claim", self.claim, f"the claims are {', '.join(CLAIMS)}", "use one of them")

    @property
    def holds(self) -> bool:
        """Whether SymPy finds what the step claims, worked out anew."""
        left, right = self.equation
        if hasattr(left, "shape"):
            same = left.shape == right.shape and all(_same(*pair) for pair in _beside(left, right))
        else:
            same = _same(left, right)
        return same == (self.claim == "equal")


def _same(left: Any, right: Any) -> bool:
    return bool(left == right or sympy.expand(left - right) == 0)


def _beside(left: Any, right: Any) -> Iterator[tuple[Any, Any]]:
    """The entries of two matrices at each place where one of them is not zero."""
    here, there = left.todok(), right.todok()
    for place in here.keys() | there.keys():
        yield here.get(place, sympy.S.Zero), there.get(place, sympy.S.Zero)


@dataclass(frozen=True, repr=False)
class Derivation(Written):
    """The chain of steps for one geometry.

    Args:
        geometry: of the convolution.
        steps: in order.
    """

    geometry: Geometry
    steps: tuple[Step, ...]

    @property
    def holds(self) -> bool:
        """Whether every step does."""
        return all(step.holds for step in self.steps)


def convolution_sums(geometry: Geometry) -> list[Any]:
    """Every output of the convolution as a sum of products of symbols, straight from its links.

    y[o, i] = sum over c, t of w[o, c, t] * x[c, stride*i + dilation*t - low]

    Args:
        geometry: any geometry of at most 20,000 products.

    Returns:
        Expressions in the order of ``vec_output``.

    Raises:
        GeometryError: if there are more products.

    Examples:
        >>> convolution_sums(Geometry.of_conv((1, 5), (1, 1, 3), stride=2))
        [w_0*x_0 + w_1*x_1 + w_2*x_2, w_0*x_2 + w_1*x_3 + w_2*x_4]
    """
    check_size(geometry, MOST_PRODUCTS)
    x, w = vec_input(geometry), kernel_symbols(geometry)
    rows, columns = places(geometry.out_shape), places(geometry.in_shape)
    terms: list[list[Any]] = [[] for _ in rows]
    for output, source, tap in links(geometry):
        terms[rows[output]].append(w[tap] * x[columns[source]])
    return [sympy.Add(*some) for some in terms]


def jacobian(geometry: Geometry) -> sympy.SparseMatrix:
    """C as the derivative of the convolution's outputs in its inputs.

    C[o i, c j] = d y[o, i] / d x[c, j]

    `conv_matrix` writes the same matrix without any calculus; the two are made apart so that one
    can be held against the other.

    Args:
        geometry: any geometry of at most 20,000 products.

    Returns:
        A sparse matrix with a row for each output and a column for each input.

    Raises:
        GeometryError: if there are more products.

    Examples:
        >>> jacobian(Geometry.of_conv((1, 3), (1, 1, 2)))
        Matrix([
        [w_0, w_1,   0],
        [  0, w_0, w_1]])
    """
    sums = convolution_sums(geometry)
    inputs = {symbol: n for n, symbol in enumerate(vec_input(geometry))}
    entries = {}
    for row, y in enumerate(sums):
        for symbol, derivative in _partials(y, inputs).items():
            entries[row, inputs[symbol]] = derivative
    return sympy.SparseMatrix(len(sums), len(inputs), entries)


def _partials(form: Any, symbols: Collection[Any]) -> dict[Any, Any]:
    """The derivatives of a sum that are not zero, by the sum rule: each term once."""
    found: dict[Any, list[Any]] = {}
    for term in sympy.Add.make_args(form):
        for symbol in term.free_symbols:
            if symbol in symbols:
                found.setdefault(symbol, []).append(sympy.diff(term, symbol))
    return {symbol: sympy.Add(*terms) for symbol, terms in found.items()}


def derivation(geometry: Geometry) -> Derivation:
    """Why the operation is called transposed: the steps from the sum to C and to C.T.

    Args:
        geometry: any geometry of at most 1,000 products, in which at most 10,000 pairs of taps
            meet; a small one shows all there is to see.

    Returns:
        Seven equations, or eight with a stride, each verified by SymPy before this returns.

    Raises:
        GeometryError: if there are more.

    Examples:
        >>> chain = derivation(Geometry.of_conv((1, 3), (1, 1, 2)))
        >>> [step.title for step in chain.steps][:3]
        ['The sum', 'The matrix', 'The same by calculus']
        >>> chain.holds
        True
    """
    check_size(geometry, MOST_ENTRIES)
    check_pairs(geometry, MOST_PAIRS)
    found = Derivation(geometry, tuple(_steps(geometry)))
    for step in found.steps:
        assert step.holds, f"{step.title} does not hold for {geometry}"  # noqa: S101 - a proof
    return found


def _steps(geometry: Geometry) -> Iterator[Step]:
    matrix = conv_matrix(geometry)
    x, y = vec_input(geometry), vec_output(geometry)
    sums = sympy.Matrix(len(y), 1, convolution_sums(geometry))
    form = _trilinear_form(geometry)
    yield Step(
        "The sum",
        "Each output is a sum of products of taps with the elements that they meet: the "
        "derivative in y of the sum T of all products y w x.",
        (_derivatives(form, y), sums),
        written=(y, "=", sums),
    )
    yield Step(
        "The matrix",
        "The sums are linear in x, so a matrix C gives them all: the taps of an "
        "output stand in its row, each in the column of the element that it meets.",
        (matrix * x, sums),
        written=(matrix, x, "=", sums),
    )
    yield Step(
        "The same by calculus",
        "C holds the derivatives of the outputs in the inputs.",
        (jacobian(geometry), matrix),
        written=("∂y/∂x", "=", matrix),
    )
    yield Step(
        "The transpose",
        "For all x and y the product of C x with y is that of x with C.T y. C.T "
        "is the one matrix of which this is true.",
        ((matrix * x).dot(y), x.dot(matrix.T * y)),
    )
    yield Step(
        "The sum, read backwards",
        "Row j of C.T gathers every output that element j went into, "
        "with the tap that it went through: the derivative of T in x.",
        (matrix.T * y, _derivatives(form, x)),
        written=(matrix.T, y, "=", _derivatives(form, x)),
    )
    yield Step(
        "One element to many",
        "C.T y is also the sum of the rows of C, each times its element of "
        "y: every element stamps a kernel onto the result.",
        (matrix.T * y, _stamped(matrix, y)),
        written=(*_stamps(matrix, y), "=", _stamped(matrix, y)),
    )
    size = math.prod(geometry.in_shape)
    product = (matrix.T * matrix).applyfunc(sympy.expand)
    one = sympy.SparseMatrix.eye(size)
    yield Step(
        "No inverse",
        "C.T takes y back to the shape of x. It does not take C x back to x, since C.T C is not 1.",
        (product, one),
        "unequal" if product != one else "equal",
        (matrix.T, matrix, "=", product, *(("≠", one) if product != one else ())),
    )
    if max(geometry.stride) > 1 and not geometry.bordered:
        larger = _largest_alike(geometry)
        check_size(larger, MOST_LARGER)
        sizes = " x ".join(map(str, larger.in_size))
        yield Step(
            "Shape is a choice",
            f"Inputs of up to {sizes} have as many outputs with the same "
            "padding: their matrix has more columns, and C is some of them. So C.T y may have any "
            "of these shapes, and output_padding or output_size says which.",
            (_some_columns(conv_matrix(larger), geometry, larger), matrix),
        )


def _largest_alike(geometry: Geometry) -> Geometry:
    """The largest input that has the same output size with the same padding."""
    axes = tuple(replace(a, in_size=a.in_size + a.stride - 1) for a in geometry.axes)
    return replace(geometry, axes=axes)


def _some_columns(
    matrix: sympy.SparseMatrix, geometry: Geometry, larger: Geometry
) -> sympy.SparseMatrix:
    """The columns of the larger input's matrix that belong to elements of the smaller one."""
    where = places(larger.in_shape)
    return matrix[:, [where[index] for index in places(geometry.in_shape)]]


def _trilinear_form(geometry: Geometry) -> Any:
    """T(x, w, y), the sum of y w x over everything that meets."""
    x, y, w = vec_input(geometry), vec_output(geometry), kernel_symbols(geometry)
    rows, columns = places(geometry.out_shape), places(geometry.in_shape)
    return sympy.Add(
        *(y[rows[output]] * w[tap] * x[columns[source]] for output, source, tap in links(geometry))
    )


def _derivatives(form: Any, column: sympy.Matrix) -> sympy.Matrix:
    found = _partials(form, set(column))
    return sympy.Matrix(len(column), 1, [found.get(symbol, sympy.S.Zero) for symbol in column])


def _stamps(matrix: sympy.SparseMatrix, y: sympy.Matrix) -> list[Any]:
    """Each element of y, the column of C.T that it multiplies, and plus signs between them."""
    parts = [(y[n], matrix[n, :].T) for n in range(matrix.rows)]
    return [item for n, pair in enumerate(parts) for item in (("+", *pair) if n else pair)]


def _stamped(matrix: sympy.SparseMatrix, y: sympy.Matrix) -> sympy.Matrix:
    stamps: list[list[Any]] = [[] for _ in range(matrix.cols)]
    for (n, j), entry in matrix.todok().items():
        stamps[j].append(entry * y[n])
    return sympy.Matrix(matrix.cols, 1, [sympy.Add(*some) for some in stamps])
