"""Every way to make the matrix of a convolution makes the same one."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import example, given, settings

import tconvjax as tc
from tconvjax import Axis, Geometry, GeometryError, matrices, symbolic
from tconvjax.rendering.values import entry_rule
from tests.oracles import ways
from tests.strategies import ANY_MODE, FIXED, Arguments, arguments

ANY = arguments(ranks=(1, 2), modes=ANY_MODE, most_groups=2)
THREE = Arguments(1, 2, 2, (2, 3, 3), (1, 2, 2), (1, 2, 1), ((0, 0), (1, 0), (0, -1)), (1, 1, 1), 2)


def as_symbols(matrix: Any, geometry: Geometry) -> sympy.SparseMatrix:
    """Indexed entries w[0, 1] as the symbols w_0_1."""
    taps = symbolic.kernel_symbols(geometry)
    base, several = sympy.IndexedBase("w"), max(geometry.kernel_shape[:2]) > 1
    names = {base[index]: taps[index] for index in taps}
    if not several:  # as they are where the numbers of channels were symbols
        names |= {base[index[2:]]: taps[index] for index in taps}
    return sympy.SparseMatrix(matrix).xreplace(names)


def assert_all_agree(g: Geometry) -> sympy.SparseMatrix:
    """The links, blocks, Kronecker products and phases make one matrix."""
    matrix = symbolic.conv_matrix(g)
    assert matrix.shape == (math.prod(g.out_shape), math.prod(g.in_shape))
    assert symbolic.blocks(g).as_explicit() == matrix
    assert symbolic.kronecker_form(g).as_explicit() == matrix
    if not g.bordered:
        form = symbolic.polyphase(g)
        assert form.permutation * form.permutation.T == sympy.SparseMatrix.eye(matrix.cols)
        assert form.permutation * matrix.T == form.as_explicit()
        assert sum(len(phase.taps) for phase in form.phases) == math.prod(g.kernel_size)
        for phase in form.phases:
            rows, columns = (g.in_channels, *phase.rows), (g.out_channels, *g.out_size)
            assert_toeplitz(phase.matrix, rows, columns)
    return matrix


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


@given(ANY)
@example(FIXED[2])
@example(FIXED[3])
@example(THREE)
def test_every_construction_makes_the_matrix_that_jax_applies(a: Arguments) -> None:
    g = a.geometry
    _, w, _ = a.arrays()
    matrix = assert_all_agree(g)
    lazy = symbolic.ConvolutionMatrix.of_geometry(g)
    assert lazy.shape == matrix.shape
    assert as_symbols(lazy.as_explicit(), g) == matrix
    values = {symbol: w[index] for index, symbol in symbolic.kernel_symbols(g).items()}
    wanted = np.array(symbolic.conv_matrix(g, w.astype(int)).tolist(), float).reshape(matrix.shape)
    substituted = np.array(matrix.xreplace(values).tolist(), float).reshape(matrix.shape)
    np.testing.assert_array_equal(substituted, wanted)
    np.testing.assert_array_equal(matrices.conv_matrix(g, w, "dense"), wanted)
    # Each output is probed alone: its row is what the transposed convolution makes of it.
    probes = np.eye(matrix.rows).reshape(-1, *g.out_shape)
    keywords = {**a.keywords, "output_size": a.in_size}
    for rows in ways(lambda y: tc.conv_transpose(y, w, **keywords), probes):
        np.testing.assert_array_equal(rows.reshape(matrix.shape), wanted)


@settings(max_examples=8)
@given(ANY)
@example(Arguments(1, 1, 2, (4,), (3,), (2,), ((2, 1),), (2,), 1, "replicate"))
def test_the_rule_of_an_entry_gives_the_entries(a: Arguments) -> None:
    """Entries one at a time, and the closed form with numbers in the places of its symbols."""
    g = a.geometry
    lazy, matrix = symbolic.ConvolutionMatrix.of_geometry(g), symbolic.conv_matrix(g)
    places = np.random.default_rng(0).permutation(list(np.ndindex(*matrix.shape)))[:9].tolist()
    found = sympy.Matrix(1, len(places), [lazy[m, n] for m, n in places])
    assert list(as_symbols(found, g)) == [matrix[m, n] for m, n in places]
    if not g.bordered and a.padding_mode == "zeros":
        rule = lazy.entry_rule()
        found = [rule.rhs.subs(dict(zip(rule.lhs.indices, at, strict=True))) for at in places]
        assert list(as_symbols(sympy.Matrix(found), g)) == [matrix[m, n] for m, n in places]
    m, n = places[0]
    assert lazy.T[n, m] == lazy[m, n] == lazy[m - matrix.rows, n - matrix.cols]


@pytest.mark.slow
@pytest.mark.parametrize("late", ["nksdpqc", *"nksdpq"])
@given(arguments(ranks=(1,), most_groups=2))
@example(Arguments(1, 1, 2, (3, 4), (2, 2), (2, 1), ((1, 0), (0, 1)), (1, 2), 1))
def test_numbers_may_come_after_the_symbols(late: str, a: Arguments) -> None:
    """Sizes of these letters are symbols; then numbers are put in their places.

    SymPy rewrites a remainder of a remainder wrongly where only the stride is a symbol.
    """
    g, values = a.geometry, dict[Any, int]()

    def size(name: str, number: int) -> Any:
        if name[0] not in late:
            return number
        symbol = sympy.Symbol(name, integer=True, positive=name[0] == "c" or None)
        values[symbol] = number
        return symbol

    low, high = zip(*a.padding, strict=True)
    columns = zip(
        "nksdpq", (a.in_size, a.kernel_size, a.stride, a.dilation, low, high), strict=True
    )
    n, k, s, d, p, q = ([size(f"{x}{m}", v) for m, v in enumerate(each)] for x, each in columns)
    general = symbolic.ConvolutionMatrix.of(
        n, k, stride=s, dilation=d, padding=tuple(zip(p, q, strict=True)),
        in_channels=size("c_in", g.in_channels), out_channels=size("c_out", g.out_channels),
        groups=size("c_groups", g.groups),
    )  # fmt: skip
    matrix = symbolic.conv_matrix(g)
    assert as_symbols(general.subs(values).as_explicit(), g) == matrix
    i, j = sympy.symbols("i j", integer=True, nonnegative=True)
    rule = general[i, j]
    for place in {(0, 0), (matrix.rows - 1, matrix.cols - 1), (0, matrix.cols // 2)}:
        if matrix.rows:
            entry = rule.subs(dict(zip((i, j), place, strict=True))).subs(values).doit()
            assert as_symbols(sympy.Matrix([[entry]]), g)[0] == matrix[place]


EMPTY = [
    Geometry.of_conv((0, 2), (1, 0, 1)),
    Geometry.of_conv((2, 3), (0, 2, 2)),
    Geometry.of_conv((0, 3, 2), (2, 0, 2, 1)),
    Geometry((Axis(2, 0, 3), Axis(3, 2, 2))),
    Geometry((Axis(0, 2, 3, low=2),)),
    Geometry((Axis(0, 0, 3), Axis(3, 2, 2)), 2, 2, 2),
]


def test_matrices_without_entries_have_their_shape() -> None:
    for g in EMPTY:
        matrix = assert_all_agree(g)
        assert symbolic.conv_matrix(g, np.zeros(g.kernel_shape)) == matrix


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
    wanted = r"padding_mode='circular': .* if its border holds zeros; .* or geometry.filled\(\)"
    with pytest.raises(GeometryError, match=wanted):
        symbolic.polyphase(g)


def test_a_kronecker_sum_has_a_term_for_each_entry_of_the_kernel() -> None:
    form = symbolic.kronecker_form(Geometry.of_conv((2, 3, 3), (2, 2, 2, 2)))
    assert len(form.terms) == 16
    assert len(form.terms[0].factors) == 3


def test_a_tap_is_a_shift_and_a_decimation() -> None:
    g = Geometry.of_conv((1, 6), (1, 1, 2), stride=2)
    decimate = sympy.SparseMatrix(3, 6, {(i, 2 * i): 1 for i in range(3)})
    shift = sympy.SparseMatrix(6, 6, {(i, i + 1): 1 for i in range(5)})
    (first,), (second,) = (term.factors for term in symbolic.kronecker_form(g).terms)
    assert (first, second) == (decimate, decimate * shift)


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


@pytest.mark.parametrize("name", ["i", "j"])
def test_a_size_may_have_the_name_of_a_row_or_a_column(name: str) -> None:
    own = sympy.Symbol(name, integer=True, nonnegative=True)
    lazy = symbolic.ConvolutionMatrix.of(8, 3, padding=((own, 2),))
    rule, numbers = lazy.entry_rule(), lazy.subs({own: 1})
    assert not {*rule.lhs.indices} & lazy.free_symbols
    for row, column in itertools.product(range(4), range(5)):
        found = rule.rhs.subs(dict(zip(rule.lhs.indices, (row, column), strict=True)))
        assert found.subs({own: 1}) == numbers[row, column]
    assert symbolic.ConvolutionMatrix.of(own, 3).entry_rule().lhs.indices != (own, own)
    i, j = entry_rule(lazy, transpose=True).parts[0].indices
    assert not {i, j} & lazy.free_symbols


def test_the_place_of_an_overlap_is_no_size() -> None:
    j = sympy.Symbol("j", integer=True, positive=True)
    for sizes in ({"kernel_size": j}, {"stride": j}, {"padding": j}, {"out_size": j}):
        given = {"out_size": 4, "kernel_size": 3, **sizes}
        with pytest.raises(GeometryError, match="place=None: it defaults to the symbol j"):
            symbolic.overlap(**given)
        assert symbolic.overlap(**given, place=2).free_symbols <= {j}


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
    of_numpy = symbolic.ConvolutionMatrix.of(np.array([4, 5]), np.int64(2), stride=np.int32(2))
    assert of_numpy == symbolic.ConvolutionMatrix.of((4, 5), 2, stride=2)


def test_a_huge_lazy_matrix_costs_nothing_until_it_is_written_out() -> None:
    lazy = symbolic.ConvolutionMatrix.of((10**6, 10**6), 3, stride=2, padding=1)
    assert lazy.shape == (500_000**2, 10**12)
    assert lazy[0, 0] == sympy.IndexedBase("w")[1, 1]
    for matrix in (lazy, lazy.T):
        with pytest.raises(GeometryError, match="is the limit; look at a smaller input"):
            matrix.as_explicit()


def test_numbers_that_come_later_give_the_same_entries() -> None:
    numbers = {N: 7, K: 3, P: 1}
    lazy = symbolic.ConvolutionMatrix.of(N, K, padding=P)
    for matrix in (lazy, lazy.T):
        with pytest.raises(GeometryError, match="sizes='k, n, p': they must be numbers; rep"):
            matrix.as_explicit()
    there = lazy.subs(numbers).as_explicit()
    assert lazy.subs(numbers).T.as_explicit() == there.T
    for m, n in itertools.product((-1, -7), repeat=2):  # from the end
        assert lazy[m, n].subs(numbers) == there[m, n]
        assert lazy.T[n, m].subs(numbers) == there[m, n]
    assert (lazy * lazy.T)[-1, -2].subs(numbers).doit() == (there * there.T)[-1, -2]


def test_no_place_is_refused() -> None:
    lazy = symbolic.ConvolutionMatrix.of(7, 3)
    wanted = r"^index=.*: it must be a whole number"
    places: tuple[Any, ...] = ("text", None, [0], 0.5, sympy.Rational(1, 2), sympy.I)
    for matrix, place in itertools.product((lazy, lazy.T), places):
        for key in ((place, 0), (0, place)):
            with pytest.raises(GeometryError, match=wanted):
                matrix[key]
        with pytest.raises(IndexError):
            matrix[99, 0]


def test_a_border_of_copies_has_entries_and_no_rule() -> None:
    numbers = symbolic.ConvolutionMatrix.of(5000, 4000, padding=1, padding_mode="circular")
    assert numbers[1, 3] == sympy.IndexedBase("w")[3]
    for ask in (
        numbers.entry_rule,
        lambda: symbolic.ConvolutionMatrix.of(N, K, padding_mode="reflect"),
    ):
        with pytest.raises(GeometryError, match=r"padding_mode=.* the border must hold zeros; use"):
            ask()


BAD_SIZES: list[tuple[dict[str, Any], str]] = [
    ({"stride": 0}, "stride=0: it must be at least 1; give 1 or more"),
    ({"stride": (1, 2, 3)}, r"stride=\(1, 2, 3\): 1 are needed, and it has 3; give one"),
    ({"in_size": sympy.nan}, "in_size=nan: it must be a whole number of at least 0"),
    ({"in_size": sympy.I * N}, r"in_size=I\*n: it must be a whole number"),
    ({"in_size": sympy.Float(5)}, "in_size=5.0*: it must be a whole number"),
    ({"in_size": 5.0}, r"in_size=5\.0: it must be a whole number that is known"),
    ({"in_size": "4"}, "size='4': it must be a whole number that is known"),
    ({"in_size": -P}, "in_size=-p: it must be a whole number of at least 0"),
    ({"in_size": sympy.MatrixSymbol("A", 2, 2)}, "in_size=A: it must be a whole number"),
    ({"in_size": ()}, r"in_size=\(\): it must be a whole number"),
    ({"in_channels": -1}, "in_channels=-1: it must be at least 0"),
    ({"groups": 2}, "groups=2: it must divide in_channels=1; give a divisor of both"),
    (
        {"in_channels": 4, "out_channels": 6, "groups": 4},
        "groups=4: it must divide out_channels=6; give a divisor of both",
    ),
    ({"padding": sympy.Rational(1, 2)}, "padding=1/2: it must be a whole number; give an int"),
    ({"padding_mode": "wrap"}, r"padding_mode='wrap': the choices are"),
    ({"kernel": None}, "kernel=None: it is the letter of the entries; give a str such as 'w'"),
]


def test_a_size_that_no_number_could_be_is_refused_by_its_name() -> None:
    for change, message in BAD_SIZES:
        given_ = {"in_size": N, "kernel_size": K, **change}
        with pytest.raises(GeometryError, match=message):
            symbolic.ConvolutionMatrix.of(
                given_.pop("in_size"), given_.pop("kernel_size"), **given_
            )
    rule = symbolic.ConvolutionMatrix.of(N, K, stride=S)
    for value in (0, -1, 1.5, sympy.Rational(1, 2)):
        with pytest.raises(GeometryError, match=r"stride=.*: it must be a whole number"):
            rule.subs({N: 5, K: 3, S: value})
