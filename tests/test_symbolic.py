"""C with symbols: the convolution, its transpose, and the operation that JAX runs are one."""

from __future__ import annotations

import itertools
import time
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given

import tconvjax as tc
from tconvjax import Axis, Geometry, GeometryError, symbolic
from tconvjax.rendering import matrix_latex, matrix_text
from tests import oracles
from tests.strategies import ANY_MODE, FIXED, Arguments, arguments


class Symbols:
    """Symbols in the order of an array, which the NumPy loops can sum."""

    def __init__(self, a: Arguments) -> None:
        g = a.geometry
        taps = symbolic.kernel_symbols(g)
        self.w = self.shaped([taps[i] for i in np.ndindex(*g.kernel_shape)], g.kernel_shape)
        self.x = self.shaped(list(symbolic.vec_input(g)), (1, *g.in_shape))
        self.y = self.shaped(list(symbolic.vec_output(g)), (1, *g.out_shape))

    @staticmethod
    def shaped(values: list[Any], shape: tuple[int, ...]) -> Any:
        """An array of SymPy objects, which NumPy leaves as they are."""
        array = np.empty(len(values), object)
        array[:] = values
        return array.reshape(shape)


def loops(a: Arguments, symbols: Symbols) -> tuple[Any, Any]:
    """Convolution and transposed convolution of symbols, by the loops of the definition."""
    y = np.full((1, *a.geometry.out_shape), sympy.Integer(0))
    x = np.full((1, *a.geometry.in_shape), sympy.Integer(0))
    for i, t, j in oracles._meetings(a, a.geometry.out_size):
        for o, c, within in oracles._channels(a):
            y[0, o, *i] += symbols.w[o, within, *t] * symbols.x[0, c, *j]
            x[0, c, *j] += symbols.w[o, within, *t] * symbols.y[0, o, *i]
    return y, x


SMALL = [*FIXED, Arguments(1, 1, 1, (4, 4), (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
         Arguments(1, 2, 1, (5,), (3,), (2,), ((2, 1),), (1,), 1, "circular"),
         Arguments(1, 1, 2, (4,), (2,), (1,), ((1, 2),), (1,), 1, "reflect")]  # fmt: skip


@pytest.mark.parametrize("a", SMALL, ids=lambda a: f"{len(a.in_size)}d-{a.padding_mode}")
def test_c_is_the_convolution_and_its_transpose_the_transposed(a: Arguments) -> None:
    symbols = Symbols(a)
    matrix = symbolic.conv_matrix(a.geometry)
    y, x = loops(a, symbols)
    there = matrix * symbolic.vec_input(a.geometry) - sympy.Matrix(y.ravel())
    back = matrix.T * symbolic.vec_output(a.geometry) - sympy.Matrix(x.ravel())
    assert there.expand() == sympy.zeros(*there.shape)
    assert back.expand() == sympy.zeros(*back.shape)


@pytest.mark.parametrize(
    "a", SMALL[:1] + SMALL[4:], ids=lambda a: f"{len(a.in_size)}d-{a.padding_mode}"
)
def test_the_adjoint_identity_expands_to_zero(a: Arguments) -> None:
    matrix = symbolic.conv_matrix(a.geometry)
    x, y = symbolic.vec_input(a.geometry), symbolic.vec_output(a.geometry)
    difference = (matrix * x).dot(y) - x.dot(matrix.T * y)
    assert sympy.expand(difference) == 0
    assert sympy.expand((matrix * x).dot(y)) != 0


@given(arguments(ranks=(1, 2), modes=ANY_MODE))
def test_c_filled_with_numbers_is_the_matrix_that_jax_applies(a: Arguments) -> None:
    _, w, _ = a.arrays()
    shape = a.geometry.out_shape
    size = int(np.prod(shape))
    rows = tc.conv_transpose(
        np.eye(size).reshape(size, *shape), w, output_size=a.in_size, **a.keywords
    )
    shown = np.asarray(rows).reshape(size, -1)
    filled = symbolic.conv_matrix(a.geometry, w)
    symbols = symbolic.kernel_symbols(a.geometry)
    values = {symbol: w[index] for index, symbol in symbols.items()}
    substituted = symbolic.conv_matrix(a.geometry).xreplace(values)
    np.testing.assert_array_equal(np.array(filled.tolist(), float).reshape(shown.shape), shown)
    np.testing.assert_array_equal(np.array(substituted.tolist(), float).reshape(shown.shape), shown)


def test_the_matrix_holds_what_is_not_zero() -> None:
    """An immutable one would hold every zero, and take ten times as long to build."""
    matrix = symbolic.conv_matrix(Geometry.of_conv((1, 30, 30), (1, 1, 3, 3)))
    assert isinstance(matrix, sympy.SparseMatrix)
    assert isinstance(matrix.T, sympy.SparseMatrix)
    assert matrix.nnz() == len(matrix.todok()) == 28 * 28 * 9
    small = symbolic.conv_matrix(Geometry.of_conv((1, 4), (1, 1, 3)))
    assert hash(small.as_immutable()) == hash(small.T.T.as_immutable())


def test_names_carry_channels_only_where_there_are_several() -> None:
    one = Geometry.of_conv((1, 4, 4), (1, 1, 2, 2))
    many = Geometry.of_conv((4, 4), (2, 2, 2), groups=2)
    assert [str(s) for s in symbolic.kernel_symbols(one).values()] == [
        "w_0_0",
        "w_0_1",
        "w_1_0",
        "w_1_1",
    ]
    assert str(symbolic.kernel_symbols(many)[1, 0, 1]) == "w_1_0_1"
    assert str(symbolic.vec_input(one)[5]) == "x_1_1"
    assert str(symbolic.vec_input(many)[5]) == "x_1_1"
    assert str(symbolic.vec_output(many)[3]) == "y_1_0"


def test_a_border_that_copies_adds_taps() -> None:
    matrix = symbolic.conv_matrix(
        Geometry.of_conv((1, 2), (1, 1, 3), padding=1, padding_mode="replicate")
    )
    w = sympy.symbols("w_0:3")
    assert matrix == sympy.Matrix([[w[0] + w[1], w[2]], [w[0], w[1] + w[2]]])


def test_a_kernel_of_expressions_fills_the_matrix() -> None:
    a, b = sympy.symbols("a b")
    g = Geometry.of_conv((1, 3), (1, 1, 2))
    assert symbolic.conv_matrix(g, [[[a, a * b]]]) == sympy.Matrix([[a, a * b, 0], [0, a, a * b]])
    assert symbolic.conv_matrix(g, np.array([[[1, 2]]])) == sympy.Matrix([[1, 2, 0], [0, 1, 2]])


DOORS: list[Any] = [
    symbolic.conv_matrix, symbolic.kernel_symbols, symbolic.vec_input, symbolic.vec_output,
    symbolic.blocks, symbolic.kronecker_form, symbolic.polyphase, symbolic.gram, symbolic.rank,
    symbolic.orthonormality, lambda g: symbolic.null_space(g, None), symbolic.derivation,
    lambda g: symbolic.least_squares_inverse(g, None), symbolic.convolution_sums,
    symbolic.jacobian, symbolic.ConvolutionMatrix.of_geometry,
]  # fmt: skip


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("value", [None, 5, "x", symbolic.ConvolutionMatrix.of(5, 3)])
def test_what_is_no_geometry_is_refused_by_name(door: Any, value: Any) -> None:
    with pytest.raises(GeometryError, match=r"geometry=\w+ object: it must be a Geometry;"):
        door(value)


def test_a_shift_wants_an_axis_and_a_tap() -> None:
    g = Geometry.of_conv((1, 5), (1, 1, 3))
    with pytest.raises(GeometryError, match=r"axis=Geometry object: it must be an Axis; take one"):
        symbolic.shift_matrix(g, 0)  # type: ignore[arg-type]
    for tap in (None, "0", 3, -1):
        with pytest.raises(GeometryError, match=r"tap=.*: the axis has 3 taps; count them from 0"):
            symbolic.shift_matrix(g.axes[0], tap)  # type: ignore[arg-type]


WIDE = Geometry.of_conv((1, 10**7), (1, 1, 3))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: symbolic.vec_input(WIDE), "200000 is the limit"),
        (lambda: symbolic.vec_output(WIDE), "200000 is the limit"),
        (lambda: symbolic.shift_matrix(WIDE.axes[0], 0), "up to 200000 rows and columns"),
        (lambda: symbolic.blocks(Geometry.of_conv((1, 10**4), (1, 1, 3))), "250000 is the limit"),
        (
            lambda: symbolic.blocks(Geometry.of_conv((1, 300), (1, 1, 3))).as_block_matrix(),
            "298 x 300 blocks: SymPy's block matrix is made of up to 10000; take as_explicit",
        ),
        (
            lambda: symbolic.polyphase(Geometry.of_conv((1, 2), (1, 1, 1), stride=10**6)),
            "a phase for each of 1000000 residues, and 5000 is the limit; take a smaller stride",
        ),
        (
            lambda: symbolic.kronecker_form(Geometry.of_conv((1, 1000), (1, 1, 900), padding=100)),
            "50000 is the limit",
        ),
        (
            lambda: symbolic.kronecker_form(Geometry.of_conv((1, 1), (6000, 1, 1))).as_expr(),
            "6000 entries: SymPy's sum has a term for each, and 5000 is the limit; take as_ex",
        ),
        (
            lambda: symbolic.blocks(Geometry.of_conv((400, 1), (400, 400, 1))),
            r"160000 different blocks of 1 x 1: .*1400000 is the limit",
        ),
        (
            lambda: symbolic.conv_matrix(Geometry((Axis(0, 0, 1), Axis(1, 10**6, 10**6)))),
            "1000000 is the limit",
        ),
        (lambda: symbolic.ConvolutionMatrix.of(10**5, 9).as_explicit(), "50000 is the limit"),
    ],
)
def test_what_would_take_minutes_is_refused_at_once(ask: Any, message: str) -> None:
    start = time.process_time()
    with pytest.raises(GeometryError, match=message):
        ask()
    assert time.process_time() - start < 5


def test_a_border_that_copies_one_element_often_is_quick() -> None:
    start = time.process_time()
    g = Geometry.of_conv((1, 1), (1, 1, 20_001), padding=10_000, padding_mode="circular")
    (entry,) = symbolic.conv_matrix(g).todok().values()
    assert len(entry.args) == 20_001
    assert time.process_time() - start < 20


def test_rows_of_unequal_length_are_refused() -> None:
    g = Geometry.of_conv((1, 3), (1, 1, 2))
    for kernel in ([[[1, 2], [3]]], [np.ones((1, 2)), np.ones((2, 2))]):
        with pytest.raises(GeometryError, match=r"kernel=(array of shape|list)"):
            symbolic.conv_matrix(g, kernel)


def test_text_is_abbreviated_to_its_width() -> None:
    matrix = symbolic.conv_matrix(Geometry.of_conv((1, 12, 12), (1, 1, 3, 3)))
    for width, height in itertools.product((20, 40, 80), (3, 10, 40)):
        lines = matrix_text(matrix, width=width, height=height).splitlines()
        assert len(lines) == height
        assert all(len(line) <= width for line in lines)
        assert all("⋯" in line for line in lines if "⋮" not in line)
    assert matrix_text(matrix, width=80, height=3).count("⋮") > 1


def test_text_of_indices_with_two_digits_and_of_numbers() -> None:
    g = Geometry.of_conv((1, 11), (1, 1, 11))
    assert matrix_text(symbolic.conv_matrix(g)).split() == [
        "[",
        *(f"w{n}" for n in range(10)),
        "w10]",
    ]
    assert "w10,0" in matrix_text(
        symbolic.conv_matrix(Geometry.of_conv((1, 11, 1), (1, 1, 11, 1))), width=200
    )
    half = symbolic.conv_matrix(Geometry.of_conv((1, 2), (1, 1, 2)), [[[0.5, -3]]])
    assert matrix_text(half) == "[0.5  -3]"


def test_latex_names_each_index() -> None:
    text = matrix_latex(symbolic.conv_matrix(Geometry.of_conv((2, 2), (1, 2, 1))))
    assert text.startswith(r"\left[\begin{matrix}w_{0,0,0} & 0 & w_{0,1,0} & 0\\")
