"""Every way to make the matrix of a convolution makes the same one."""

from __future__ import annotations

import itertools
import math
import time
from typing import Any

import jax
import numpy as np
import pytest
import sympy
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tconvjax as tc
from tconvjax import Axis, Geometry, GeometryError, matrices, symbolic
from tests.strategies import ANY_MODE, FIXED, Arguments, arguments

ANY = arguments(ranks=(1, 2), modes=ANY_MODE, most_groups=2)
THREE = Arguments(1, 2, 2, (2, 3, 3), (1, 2, 2), (1, 2, 1), ((0, 0), (1, 0), (0, -1)), (1, 1, 1), 2)


def expanded(matrix: Any) -> sympy.SparseMatrix:
    return sympy.SparseMatrix(matrix).applyfunc(sympy.expand)


def as_symbols(matrix: sympy.MatrixBase, geometry: Geometry) -> sympy.SparseMatrix:
    """Indexed entries w[0, 1] as the symbols w_0_1."""
    taps = symbolic.kernel_symbols(geometry)
    base, several = sympy.IndexedBase("w"), max(geometry.kernel_shape[:2]) > 1
    names = {base[index]: taps[index] for index in taps}
    if not several:  # as they are where the numbers of channels were symbols
        names |= {base[index[2:]]: taps[index] for index in taps}
    return sympy.SparseMatrix(matrix).xreplace(names)


@given(ANY)
def test_links_calculus_blocks_and_kronecker_products_agree(a: Arguments) -> None:
    g = a.geometry
    matrix = symbolic.conv_matrix(g)
    assert expanded(symbolic.jacobian(g)) == matrix
    assert symbolic.blocks(g).as_explicit() == matrix
    assert symbolic.kronecker_form(g).as_explicit() == matrix


@pytest.mark.parametrize("a", [*FIXED, THREE])
def test_they_agree_in_more_axes(a: Arguments) -> None:
    test_links_calculus_blocks_and_kronecker_products_agree.hypothesis.inner_test(a)  # type: ignore[attr-defined]
    test_the_rule_of_an_entry_gives_the_entries.hypothesis.inner_test(a)  # type: ignore[attr-defined]
    test_sorted_by_phase_the_transpose_is_a_stack_of_convolutions.hypothesis.inner_test(a)  # type: ignore[attr-defined]


@settings(max_examples=8)
@given(ANY)
def test_the_rule_of_an_entry_gives_the_entries(a: Arguments) -> None:
    """The closed form, put together with numbers one entry at a time, and written out at once."""
    g = a.geometry
    lazy = symbolic.ConvolutionMatrix.of_geometry(g)
    matrix = symbolic.conv_matrix(g)
    assert lazy.shape == matrix.shape
    assert as_symbols(lazy.as_explicit(), g) == matrix
    rng = np.random.default_rng(0)
    places = [(m, n) for m in range(matrix.rows) for n in range(matrix.cols)]
    for m, n in rng.permutation(places)[:25].tolist():
        assert as_symbols(sympy.Matrix([[lazy[m, n]]]), g)[0] == matrix[m, n]
        assert as_symbols(sympy.Matrix([[lazy.T[n, m]]]), g)[0] == matrix[m, n]
        assert lazy[m - matrix.rows, n - matrix.cols] == lazy[m, n]  # from the end


@pytest.mark.slow
@settings(max_examples=10)
@given(arguments(ranks=(1,), modes=ANY_MODE, most_groups=2))
@example(Arguments(1, 1, 2, (3, 4), (2, 2), (2, 1), ((1, 0), (0, 1)), (1, 2), 1))
def test_numbers_may_come_after_the_symbols(a: Arguments) -> None:
    """Every size a symbol, then the numbers put in their places."""
    g = a.geometry
    made = [sympy.symbols([f"{x}{m}" for x in "nksdpq"], integer=True) for m in range(g.rank)]
    n, k, s, d, p, q = zip(*made, strict=True)
    c, o, groups = sympy.symbols("c o g", integer=True, positive=True)
    general = symbolic.ConvolutionMatrix.of(
        n, k, stride=s, dilation=d, padding=tuple(zip(p, q, strict=True)), in_channels=c,
        out_channels=o, groups=groups, padding_mode=a.padding_mode,
    )  # fmt: skip
    values = {c: g.in_channels, o: g.out_channels, groups: g.groups}
    for m, axis in enumerate(g.axes):
        numbers = (axis.in_size, axis.kernel_size, axis.stride, axis.dilation, *a.padding[m])
        values |= dict(zip(made[m], numbers, strict=True))
    matrix = symbolic.conv_matrix(g)
    assert as_symbols(general.subs(values).as_explicit(), g) == matrix
    i, j = sympy.symbols("i j", integer=True, nonnegative=True)
    rule = general[i, j]
    for place in {(0, 0), (matrix.rows - 1, matrix.cols - 1), (0, matrix.cols // 2)}:
        if matrix.rows:
            entry = rule.subs(dict(zip((i, j), place, strict=True))).subs(values).doit()
            assert as_symbols(sympy.Matrix([[entry]]), g)[0] == matrix[place]


@given(arguments(ranks=(1, 2), most_groups=2))
def test_sorted_by_phase_the_transpose_is_a_stack_of_convolutions(a: Arguments) -> None:
    g = a.geometry
    form = symbolic.polyphase(g)
    size = math.prod(g.in_shape)
    assert form.permutation * form.permutation.T == sympy.SparseMatrix.eye(size)
    assert form.permutation * symbolic.conv_matrix(g).T == form.as_explicit()
    assert sum(len(phase.taps) for phase in form.phases) == math.prod(g.kernel_size)
    for phase in form.phases:
        assert_toeplitz(phase.matrix, (g.in_channels, *phase.rows), (g.out_channels, *g.out_size))


def assert_toeplitz(
    matrix: sympy.SparseMatrix, rows: tuple[int, ...], columns: tuple[int, ...]
) -> None:
    """One step along an axis of both spaces at once leaves an entry as it is: a convolution."""
    array = np.array(matrix.tolist(), object).reshape(*rows, *columns)
    rank = len(rows) - 1
    for axis in range(rank):
        here: list[Any] = [slice(None)] * array.ndim
        there = list(here)
        for position in (1 + axis, 2 + rank + axis):
            here[position], there[position] = slice(None, -1), slice(1, None)
        assert (array[tuple(here)] == array[tuple(there)]).all()


def test_a_matrix_that_is_no_convolution_is_not_toeplitz() -> None:
    with pytest.raises(AssertionError):
        assert_toeplitz(sympy.SparseMatrix([[1, 2], [3, 4]]), (1, 2), (1, 2))


@given(ANY, st.integers(0, 3))
def test_one_hot_probes_of_the_jitted_functions_agree(a: Arguments, seed: int) -> None:
    g = a.geometry
    _, w, _ = a.arrays(seed=seed)
    forward = jax.jit(lambda x: tc.conv(x, w, **a.keywords))
    back = jax.jit(lambda y: tc.conv_transpose(y, w, output_size=a.in_size, **a.keywords))
    probed = matrices.matrix_of(forward, g.in_shape, np.float64)
    wanted = np.array(symbolic.conv_matrix(g, w.astype(int)).tolist(), float).reshape(probed.shape)
    np.testing.assert_array_equal(probed, wanted)
    np.testing.assert_array_equal(matrices.matrix_of(back, g.out_shape, np.float64), wanted.T)
    np.testing.assert_array_equal(matrices.conv_matrix(g, w, "dense"), wanted)


@settings(max_examples=10)
@given(ANY)
def test_what_the_symbols_say_runs_in_jax(a: Arguments) -> None:
    """C.T vec(y), turned into a JAX function of w and y, is conv_transpose."""
    g = a.geometry
    _, w, y = a.arrays(np.float64)
    taps, outputs = symbolic.kernel_symbols(g), symbolic.vec_output(g)
    column = symbolic.conv_matrix(g).T * outputs
    run = sympy.lambdify((list(taps.values()), list(outputs)), list(column), "jax", cse=True)
    result = jax.jit(run)(list(w.ravel()), list(y[0].ravel()))
    wanted = tc.conv_transpose(y[0], w, output_size=a.in_size, **a.keywords)
    np.testing.assert_array_equal(np.array(result).reshape(wanted.shape), wanted)


# -- what the structures show ----------------------------------------------------------------------


def test_two_axes_are_doubly_block_toeplitz() -> None:
    g = Geometry.of_conv((1, 5, 6), (1, 1, 3, 2), stride=(2, 1), dilation=(1, 2), padding=1)
    cut = symbolic.blocks(g)
    assert cut.kind == "block Toeplitz"
    names = cut.names
    for m in range(names.rows - 1):
        assert names[m, : names.cols - 2] == names[m + 1, 2:]  # a row further, a stride further
    inner = cut.parts[1,]
    assert inner[0, : inner.cols - 1] == inner[1, 1:]
    assert sympy.SparseMatrix(cut.as_block_matrix().as_explicit()) == symbolic.conv_matrix(g)


def test_groups_are_a_block_diagonal() -> None:
    cut = symbolic.blocks(Geometry.of_conv((4, 5), (6, 2, 3), groups=2))
    assert cut.kind == "block diagonal"
    assert [[bool(cell) for cell in row] for row in cut.grid] == (
        [[True, True, False, False]] * 3 + [[False, False, True, True]] * 3
    )
    assert symbolic.blocks(Geometry.of_conv((2, 5), (3, 2, 3))).kind == "full"


def test_circular_padding_is_a_circulant() -> None:
    g = Geometry.of_conv((1, 5), (1, 1, 3), padding=1, padding_mode="circular")
    cut, matrix = symbolic.blocks(g), symbolic.conv_matrix(g)
    assert cut.kind == "block circulant"
    for m in range(5):
        assert list(matrix[m, :]) == [matrix[0, (n - m) % 5] for n in range(5)]
    # A stride that does not divide the size leaves no circulant.
    odd = Geometry.of_conv((1, 5), (1, 1, 3), stride=2, padding=1, padding_mode="circular")
    assert symbolic.blocks(odd).kind == "block Toeplitz"


def test_a_kronecker_sum_is_an_expression_too() -> None:
    g = Geometry.of_conv((2, 3, 3), (2, 2, 2, 2))
    form = symbolic.kronecker_form(g)
    assert len(form.terms) == 16
    assert len(form.terms[0].factors) == 3
    small = symbolic.kronecker_form(Geometry.of_conv((1, 2, 3), (1, 1, 2, 2)))
    assert small.as_expr().doit().as_explicit() == small.as_explicit().as_immutable()
    assert sympy.latex(small.as_expr()).count("otimes") == 4


def test_a_tap_is_a_shift_and_a_decimation() -> None:
    axis = Geometry.of_conv((1, 6), (1, 1, 2), stride=2).axes[0]
    decimate = sympy.SparseMatrix(3, 6, {(i, 2 * i): 1 for i in range(3)})
    shift = sympy.SparseMatrix(6, 6, {(i, i + 1): 1 for i in range(5)})
    assert symbolic.shift_matrix(axis, 0) == decimate
    assert symbolic.shift_matrix(axis, 1) == decimate * shift
    with pytest.raises(GeometryError, match=r"tap=2: the axis has 2 taps; count them from 0"):
        symbolic.shift_matrix(axis, 2)


def test_phases_of_a_border_that_copies_are_refused() -> None:
    g = Geometry.of_conv((1, 4), (1, 1, 3), padding=1, padding_mode="circular")
    wanted = r"padding_mode='circular': phases are sorted where .* or geometry.filled\(\)"
    with pytest.raises(GeometryError, match=wanted):
        symbolic.polyphase(g)


# -- the lazy matrix -------------------------------------------------------------------------------

N, K, S, P = sympy.symbols("n k s p", integer=True, positive=True)


def test_the_closed_form_is_that_of_the_textbook() -> None:
    lazy = symbolic.ConvolutionMatrix.of(N, K, stride=S, padding=P)
    i, j = sympy.symbols("i j", integer=True, nonnegative=True)
    rule = lazy.entry_rule()
    tap = j + P - S * i
    assert rule.lhs == sympy.MatrixSymbol("C", *lazy.shape)[i, j]
    (value, condition), _ = rule.rhs.args
    assert value == sympy.IndexedBase("w")[tap]
    assert {c.canonical for c in condition.args} == {
        c.canonical for c in (tap >= 0, sympy.Ge(K, tap + 1))
    }
    assert lazy.shape == (sympy.floor((N + 2 * P - K) / S) + 1, N)


def test_the_lazy_matrix_takes_part_in_expressions() -> None:
    lazy = symbolic.ConvolutionMatrix.of(N, K, padding=P)
    y = sympy.MatrixSymbol("y", lazy.shape[0], 1)
    assert (lazy.T * y).shape == (N, 1)
    assert lazy == lazy.T.T
    assert sympy.latex(lazy.T * y) == r"\left(\mathbf{C}\right)^{T} y"
    assert str(lazy) == "C"
    assert lazy.free_symbols >= {N, K, P}
    assert hash(lazy) == hash(symbolic.ConvolutionMatrix.of(N, K, padding=P))
    assert lazy != symbolic.ConvolutionMatrix.of(N, K)
    assert lazy.func(*lazy.args) == lazy


def test_a_huge_lazy_matrix_costs_nothing() -> None:
    lazy = symbolic.ConvolutionMatrix.of((10**6, 10**6), 3, stride=2, padding=1)
    assert lazy.shape == (500_000**2, 10**12)
    assert lazy[0, 0] == sympy.IndexedBase("w")[1, 1]
    with pytest.raises(GeometryError, match="is the limit; look at a smaller input"):
        lazy.as_explicit()


def test_places_count_from_the_end_where_sizes_are_symbols_too() -> None:
    numbers = {N: 7, K: 3, P: 1}
    lazy = symbolic.ConvolutionMatrix.of(N, K, padding=P)
    there = lazy.subs(numbers).as_explicit()
    for m, n in itertools.product((-1, -2, -7), repeat=2):
        assert lazy[m, n].subs(numbers) == there[m, n]
        assert lazy.T[n, m].subs(numbers) == there[m, n]
        assert (lazy * lazy.T)[m, n].subs(numbers).doit() == (there * there.T)[m, n]


@pytest.mark.parametrize("place", ["text", None, "", [0], 0.5, sympy.Rational(1, 2), sympy.I])
def test_no_place_is_refused(place: Any) -> None:
    lazy = symbolic.ConvolutionMatrix.of(7, 3)
    for matrix in (lazy, lazy.T):
        for key in ((place, 0), (0, place)):
            with pytest.raises(
                GeometryError, match=r"^index=.*: (rows and columns are|it must be a) whole"
            ):
                matrix[key]
        with pytest.raises(IndexError):
            matrix[99, 0]


def test_sizes_that_are_missing_or_wrong_are_named() -> None:
    lazy = symbolic.ConvolutionMatrix.of(N, K)
    with pytest.raises(GeometryError, match=r"sizes='k, n': they must be numbers; put numbers in "
                       r"their places with .subs"):  # fmt: skip
        lazy.as_explicit()
    with pytest.raises(GeometryError, match="size='4': a size must be an int or a SymPy "
                       "expression; convert text yourself"):  # fmt: skip
        symbolic.ConvolutionMatrix.of("4", 3)
    with pytest.raises(GeometryError, match=r"stride=\(1, 2, 3\): it has 3 entries, and 2 are"):
        symbolic.ConvolutionMatrix.of((4, 4), 3, stride=(1, 2, 3))
    with pytest.raises(GeometryError, match=r"padding_mode='wrap': the modes are"):
        symbolic.ConvolutionMatrix.of(4, 3, padding_mode="wrap")
    with pytest.raises(GeometryError, match="stride=-1: it must be a whole number of at least 1"):
        symbolic.ConvolutionMatrix.of(4, 3, stride=S, padding=P).subs({P: 0, S: -1})


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
@pytest.mark.parametrize("late", ["n", "k", "stride", "dilation", "low", "high"])
def test_a_rule_with_one_symbol_gives_the_entries_when_the_number_comes(
    mode: str, late: str
) -> None:
    """SymPy rewrites a remainder of a remainder wrongly where the stride is a symbol."""
    numbers = {"n": 6, "k": 2, "stride": 1, "dilation": 2, "low": 0, "high": 1}
    for change in ({}, {"n": 1, "low": 1}, {"n": 5, "stride": 2, "low": 2}):
        plain = numbers | change
        symbol = sympy.Symbol(late, integer=True, nonnegative=True)
        given_ = plain | {late: symbol}
        keywords = {
            "dilation": given_["dilation"], "stride": given_["stride"], "out_channels": 2,
            "padding": ((given_["low"], given_["high"]),), "padding_mode": mode,
        }  # fmt: skip
        rule = symbolic.ConvolutionMatrix.of(given_["n"], given_["k"], **keywords)
        wanted = rule.subs(symbol, plain[late]).as_explicit()
        for m, n in itertools.product((0, wanted.rows // 2, wanted.rows - 1), range(wanted.cols)):
            assert rule[m, n].subs(symbol, plain[late]).doit() == wanted[m, n], (plain, m, n)


def test_the_rule_of_a_lone_element_has_no_division_by_zero() -> None:
    rule = symbolic.ConvolutionMatrix.of(N, K, stride=S, padding=P, padding_mode="reflect")
    entry = rule[0, 0].subs({N: 1, K: 1, S: 1, P: 0}).doit()
    assert entry == sympy.IndexedBase("w")[0]


def test_the_transposed_rule_is_written_out_as_the_matrix_is() -> None:
    general = symbolic.ConvolutionMatrix.of(N, K)
    with pytest.raises(GeometryError, match="sizes='k, n': they must be numbers"):
        general.T.as_explicit()
    numeric = general.subs({N: 5, K: 2})
    assert numeric.T.as_explicit() == numeric.as_explicit().T
    with pytest.raises(GeometryError, match="is the limit"):
        symbolic.ConvolutionMatrix.of((10**6, 10**6), 3).T.as_explicit()


def test_the_rule_of_many_taps_stays_a_sum() -> None:
    """Written out it would fill pages; an entry of it is still found at once."""
    rule = symbolic.ConvolutionMatrix.of(5000, 4000, padding=1, padding_mode="circular")
    assert rule.entry_rule().rhs.has(sympy.Sum)
    assert len(str(rule.entry_rule())) < 200
    assert rule[1, 3] == sympy.IndexedBase("w")[3]
    assert "_t0" not in str(rule.entry_rule()) + sympy.latex(rule.entry_rule())


BAD_SIZES = [
    ({"stride": 0}, "stride=0: it must be a whole number of at least 1; give an int"),
    ({"dilation": 0}, "dilation=0: it must be a whole number of at least 1"),
    ({"kernel_size": -1}, "kernel_size=-1: it must be a whole number of at least 1"),
    ({"in_size": sympy.nan}, "in_size=nan: it must be a whole number of at least 0"),
    ({"in_size": sympy.oo}, "in_size=oo: it must be a whole number of at least 0"),
    ({"in_size": sympy.I * N}, r"in_size=I\*n: it must be a whole number"),
    ({"in_size": sympy.Rational(5, 2)}, "in_size=5/2: it must be a whole number"),
    ({"in_size": sympy.Float(5)}, "in_size=5.0*: it must be a whole number"),
    ({"in_size": 5.0}, r"in_size=5\.0: a size must be an int or a SymPy expression"),
    ({"in_size": -P}, "in_size=-p: it must be a whole number of at least 0"),
    ({"in_size": sympy.MatrixSymbol("A", 2, 2)}, "in_size=A: it must be a whole number"),
    ({"in_size": ()}, r"in_size=\(\): a convolution has one axis or more"),
    ({"in_channels": -1}, "in_channels=-1: it must be a whole number of at least 0"),
    ({"groups": 0}, "groups=0: it must be a whole number of at least 1"),
    ({"groups": 2}, "groups=2: it must divide in_channels=1; give a divisor of both"),
    (
        {"in_channels": 4, "out_channels": 6, "groups": 4},
        "groups=4: it must divide out_channels=6; give a divisor of both",
    ),
    ({"padding": sympy.Rational(1, 2)}, "padding=1/2: it must be a whole number; give an int"),
    ({"kernel": None}, "kernel=None: it is the letter of the entries; give a str such as 'w'"),
]


@pytest.mark.parametrize(("change", "message"), BAD_SIZES)
def test_a_size_that_no_number_could_be_is_refused_by_its_name(
    change: dict[str, Any], message: str
) -> None:
    given_ = {"in_size": N, "kernel_size": K, **change}
    with pytest.raises(GeometryError, match=message):
        symbolic.ConvolutionMatrix.of(given_.pop("in_size"), given_.pop("kernel_size"), **given_)


def test_numbers_that_come_later_are_checked_by_their_name() -> None:
    rule = symbolic.ConvolutionMatrix.of(N, K, stride=S)
    for value in (0, 1.5, sympy.Rational(1, 2)):
        with pytest.raises(GeometryError, match=r"stride=.*: it must be a whole number"):
            rule.subs({N: 5, K: 3, S: value})


def test_sizes_may_be_numbers_of_numpy() -> None:
    lazy = symbolic.ConvolutionMatrix.of(np.array([4, 5]), np.int64(2), stride=np.int32(2))
    assert lazy == symbolic.ConvolutionMatrix.of((4, 5), 2, stride=2)


# -- nothing, and much -----------------------------------------------------------------------------

EMPTY = [
    Geometry.of_conv((0, 2), (1, 0, 1)),
    Geometry.of_conv((2, 3), (0, 2, 2)),
    Geometry.of_conv((0, 3, 2), (2, 0, 2, 1)),
    Geometry((Axis(2, 0, 3), Axis(3, 2, 2))),
    Geometry((Axis(0, 2, 3, low=2),)),
    Geometry((Axis(0, 0, 3), Axis(3, 2, 2)), 2, 2, 2),
]


@pytest.mark.parametrize("g", EMPTY, ids=lambda g: f"{g.in_shape}-{g.out_shape}")
def test_matrices_without_entries_have_their_shape(g: Geometry) -> None:
    wanted = symbolic.conv_matrix(g)
    assert wanted.shape == (math.prod(g.out_shape), math.prod(g.in_shape))
    assert symbolic.blocks(g).as_explicit() == wanted
    assert symbolic.kronecker_form(g).as_explicit() == wanted
    assert symbolic.jacobian(g) == wanted
    assert symbolic.polyphase(g).as_explicit().shape == wanted.T.shape
    assert symbolic.conv_matrix(g, np.zeros(g.kernel_shape)) == wanted


def test_a_letter_of_ones_own_is_shown() -> None:
    shown = symbolic.ConvolutionMatrix.of(5, 3, kernel="h")
    same = symbolic.ConvolutionMatrix.of(5, 3)
    assert shown._repr_latex_() == same._repr_latex_().replace("w_", "h_")
    for text, cell in ((shown._repr_html_(), "<mi>h</mi>"), (shown._repr_svg_(), ">h0</text>")):
        assert cell in text
        assert cell.replace(">h", ">w") not in text
        assert "h 0: output" in text
        assert "w 0: output" not in text
    assert "<mi>h</mi>" in shown.subs(N, 5)._repr_html_()


def test_the_symbols_of_a_large_kernel_are_made_when_they_are_asked_for() -> None:
    start = time.process_time()
    found = symbolic.kernel_symbols(Geometry.of_conv((512, 10**6), (512, 512, 10**6)))
    assert str(found[1, 2, 3]) == "w_1_2_3"
    assert len(found) == 512 * 512 * 10**6
    assert (512, 0, 0) not in found
    with pytest.raises(KeyError):
        found[0, 0, 10**6]
    assert time.process_time() - start < 1
