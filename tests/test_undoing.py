"""C.T takes back the shape, and the values only where the kernel is orthonormal."""

from __future__ import annotations

import math
import time
from typing import Any

import numpy as np
import pytest
import sympy
from hypothesis import given

from tconvjax import Geometry, GeometryError, in_sizes, symbolic
from tests.strategies import Arguments, arguments

SMALL = arguments(ranks=(1,), most_groups=2)


def floats(found: Any) -> Any:
    """A matrix of SymPy's in NumPy."""
    return np.array(found.tolist(), float).reshape(found.shape)


@given(SMALL)
def test_what_undoes_is_that_of_numpy(a: Arguments) -> None:
    """Rank, null space, the least-squares inverse and the Gram matrices."""
    _, w, _ = a.arrays(np.int64)
    exact = symbolic.conv_matrix(a.geometry, w)
    c = floats(exact)
    rank = np.linalg.matrix_rank(c) if c.size else 0
    assert symbolic.rank(a.geometry, w) == rank
    lost = symbolic.null_space(a.geometry, w)
    assert len(lost) == c.shape[1] - rank
    for column in lost:
        assert any(column)
        assert not (c @ np.array(list(column), float)).any()
    inverse = symbolic.least_squares_inverse(a.geometry, w)
    np.testing.assert_allclose(floats(inverse), np.linalg.pinv(c), atol=1e-9)
    assert (exact * inverse * exact - exact).applyfunc(sympy.simplify).todok() == {}
    both = symbolic.gram(a.geometry, w)
    np.testing.assert_array_equal(floats(both.outputs), c @ c.T)
    np.testing.assert_array_equal(floats(both.inputs), c.T @ c)


def test_the_transpose_undoes_where_the_kernel_is_orthonormal() -> None:
    """Tiles: kernel = stride. The convolution undoes its transpose for taps of length 1."""
    tiles = Geometry.of_conv((1, 6), (1, 1, 3), stride=3)
    taps = [sympy.Rational(n, 3) for n in (2, -1, 2)]
    conditions = symbolic.orthonormality(tiles)
    values = dict(zip(symbolic.kernel_symbols(tiles).values(), taps, strict=True))
    assert [c.subs(values) for c in conditions.after] == [0]
    assert symbolic.orthonormality(tiles, [[taps]]).after == ()
    assert any(c.subs(values) for c in conditions.before)
    assert symbolic.gram(tiles, [[taps]]).outputs == sympy.eye(2)
    assert (
        symbolic.least_squares_inverse(tiles, [[taps]]) == symbolic.conv_matrix(tiles, [[taps]]).T
    )


def test_no_kernel_that_overlaps_is_undone() -> None:
    """With stride 1 the conditions leave a lone tap, which does nothing but shift."""
    g = Geometry.of_conv((1, 4), (1, 1, 2))
    after = symbolic.orthonormality(g).after
    w = list(symbolic.kernel_symbols(g).values())
    assert set(sympy.solve(after, w)) == {(1, 0), (-1, 0), (0, 1), (0, -1)}
    assert -1 in symbolic.orthonormality(g, [[[1, 0]]]).before  # one input is never seen


def test_the_shape_comes_back_and_the_values_do_not() -> None:
    g = Geometry.of_conv((1, 7), (1, 1, 3), stride=2)
    c = symbolic.conv_matrix(g)
    x = symbolic.vec_input(g)
    back = c.T * (c * x)
    assert back.shape == x.shape
    assert (back - x).applyfunc(sympy.expand) != sympy.zeros(*x.shape)
    # Several sizes share one output size, so no rule could know which one to take back.
    assert in_sizes(3, 3, stride=2) == (7, 8)
    assert symbolic.rank(g) == 3 < math.prod(g.in_shape)


def test_every_input_may_be_lost() -> None:
    (lost,) = symbolic.null_space(Geometry.of_conv((1, 1), (1, 1, 1)), [[[0]]])
    assert list(lost) == [1]
    lost_ones = symbolic.null_space(Geometry.of_conv((1, 2), (1, 1, 1)), np.zeros((1, 1, 1), int))
    assert [list(column) for column in lost_ones] == [[1, 0], [0, 1]]
    none = Geometry.of_conv((0, 2), (1, 0, 1))
    assert symbolic.null_space(none, np.zeros((1, 0, 1), int)) == []


def test_a_haar_step_undoes_itself_both_ways_in_floats_too() -> None:
    """Two outputs for two inputs; what rounding leaves of a zero is no condition."""
    haar, met = Geometry.of_conv((1, 8), (2, 1, 2), stride=2), ((), ())
    for h in (1 / sympy.sqrt(2), 2**-0.5):
        found = symbolic.orthonormality(haar, [[[h, h]], [[h, -h]]])
        assert (found.after, found.before) == met
    assert len(symbolic.orthonormality(haar, [[[h, h]], [[h, -h - 1e-12]]]).after) == 2
    a = sympy.Symbol("a")
    left = symbolic.orthonormality(haar, [[[0.1 * a, 0.2 * a]], [[0.2 * a, -0.1 * a]]])
    assert [c.has(a) for c in left.after] == [True]


def test_what_is_within_the_limits_ends() -> None:
    assert len(symbolic.orthonormality(MANY).after) == 50
    symbolic.least_squares_inverse(Geometry.of_conv((1, 50), (1, 1, 25)), [[list(range(25))]])


MANY = Geometry.of_conv((1, 100), (1, 1, 50))
LINE, PLANE = Geometry.of_conv((1, 5), (1, 1, 3)), Geometry.of_conv((1, 100, 100), (1, 1, 3, 3))
DEEP = Geometry.of_conv((90, 1), (90, 90, 1))
ROUND = Geometry.of_conv((1, 1), (1, 1, 10**5), padding=50_000, padding_mode="circular")
TRUTHS, HALVES = [[[True, False, True]]], [[[0.5, 1.0, 0.5]]]
THIRDS = [[[sympy.Rational(1, n) for n in range(1, 51)]]]


@pytest.mark.parametrize(("ask", "given", "message"), [
    (symbolic.rank, (PLANE,), "it has up to 96040000 entries, zeros included, and 4096"),
    *((ask, (LINE, TRUTHS), "kernel=True: its entries must be .* 1 for True")
      for ask in (symbolic.gram, symbolic.rank, symbolic.orthonormality)),
    *((ask, (LINE, HALVES), r"kernel=0\.5.*: its entries must be rational numbers")
      for ask in (symbolic.null_space, symbolic.least_squares_inverse)),
    *((ask, (large,), "130000 is the limit")
      for ask in (symbolic.gram, symbolic.orthonormality) for large in (DEEP, PLANE)),
    (symbolic.least_squares_inverse, (MANY, THIRDS), "5100 entries, zeros included, and 4096"),
    (symbolic.rank, (ROUND,), "4096 is the limit"),
])  # fmt: skip
def test_what_would_take_minutes_or_be_inexact_is_refused_at_once(
    ask: Any, given: Any, message: str
) -> None:
    # The process's own time: other work on the machine does not lengthen it.
    start = time.process_time()
    with pytest.raises(GeometryError, match=message):
        ask(*given)
    assert time.process_time() - start < 5
