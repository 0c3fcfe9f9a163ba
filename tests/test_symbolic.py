"""C with symbols: what it holds, the names of its entries, and what is refused."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy

from tconvjax import Axis, Geometry, GeometryError, symbolic
from tconvjax.rendering import to_latex, to_text
from tests import oracles
from tests.strategies import FIXED, Arguments

SMALL = [*FIXED, Arguments(1, 1, 1, (4, 4), (3, 3), (1, 1), ((0, 0), (0, 0)), (1, 1), 1),
         Arguments(1, 2, 1, (5,), (3,), (2,), ((2, 1),), (1,), 1, "circular"),
         Arguments(1, 1, 2, (4,), (2,), (1,), ((1, 2),), (1,), 1, "reflect")]  # fmt: skip


def shaped(values: Any, shape: tuple[int, ...]) -> Any:
    """An array of SymPy objects, which the NumPy loops sum as they sum numbers."""
    array = np.empty(len(values), object)
    array[:] = list(values)
    return array.reshape(shape)


@pytest.mark.parametrize("a", SMALL, ids=lambda a: f"{len(a.in_size)}d-{a.padding_mode}")
def test_c_is_the_convolution_and_its_transpose_the_transposed(a: Arguments) -> None:
    g = a.geometry
    matrix, x, y = symbolic.conv_matrix(g), symbolic.vec_input(g), symbolic.vec_output(g)
    w = shaped(symbolic.kernel_symbols(g).values(), g.kernel_shape)
    there = oracles.conv(a, shaped(x, (1, *g.in_shape)), w)
    back = oracles.conv_transpose(a, shaped(y, (1, *g.out_shape)), w)
    for product, loops in ((matrix * x, there), (matrix.T * y, back)):
        difference = product - sympy.Matrix(loops.ravel())
        assert difference.expand() == sympy.zeros(*difference.shape)
        assert product.free_symbols


def test_names_carry_channels_only_where_there_are_several() -> None:
    one = Geometry.of_conv((1, 4, 4), (1, 1, 2, 2))
    many = Geometry.of_conv((4, 4), (2, 2, 2), groups=2)
    names = " ".join(map(str, symbolic.kernel_symbols(one).values()))
    assert names == "w_0_0 w_0_1 w_1_0 w_1_1"
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
    # One element that is copied often is no matter either.
    g = Geometry.of_conv((1, 1), (1, 1, 10_001), padding=5_000, padding_mode="circular")
    (entry,) = symbolic.conv_matrix(g).todok().values()
    assert len(entry.args) == 10_001


def test_a_kernel_of_expressions_fills_the_matrix() -> None:
    a, b = sympy.symbols("a b")
    g = Geometry.of_conv((1, 3), (1, 1, 2))
    assert symbolic.conv_matrix(g, [[[a, a * b]]]) == sympy.Matrix([[a, a * b, 0], [0, a, a * b]])
    assert symbolic.conv_matrix(g, np.array([[[1, 2]]])) == sympy.Matrix([[1, 2, 0], [0, 1, 2]])
    for ragged in ([[[1, 2], [3]]], [np.ones((1, 2)), np.ones((2, 2))]):
        with pytest.raises(GeometryError, match=r"kernel=(array of shape|list)"):
            symbolic.conv_matrix(g, ragged)


def test_what_is_no_geometry_is_refused_by_name() -> None:
    doors = [door for door in vars(symbolic).values() if inspect.isfunction(door)]
    needed = {door: [*inspect.signature(door).parameters.values()] for door in doors}
    asked = [door for door in doors if needed[door][0].name == "geometry"]
    assert len(asked) >= 13
    for door in asked:
        others = [None for p in needed[door][1:] if p.default is p.empty]
        with pytest.raises(GeometryError, match=r"geometry=\w+ object: it must be a Geometry;"):
            door(symbolic.ConvolutionMatrix.of(5, 3), *others)


def line(size: int, taps: int = 1, **steps: Any) -> Geometry:
    """Of one axis and one channel."""
    return Geometry.of_conv((1, size), (1, 1, taps), **steps)


LONG, DEEP = line(10**7, 3), Geometry.of_conv((400, 1), (400, 400, 1))
IMAGE = Geometry.of_conv((1, 2048, 2048), (1, 1, 3, 3))
REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: symbolic.vec_input(LONG), "1000000 is the limit"),
    (lambda: symbolic.vec_output(LONG), "1000000 is the limit"),
    (lambda: symbolic.blocks(line(10**4, 3)), "10000 is the limit"),
    (lambda: symbolic.blocks(DEEP), "160000 blocks, and 10000 is the limit"),
    (lambda: symbolic.polyphase(line(2, stride=10**6)), "1000000 phases, and 10000 is the limit"),
    (lambda: symbolic.kronecker_form(line(1000, 900, padding=100)), "50000 is the limit"),
    (
        lambda: symbolic.kronecker_form(Geometry.of_conv((1, 1), (20_000, 1, 1))),
        "20000 kernel entries, and 10000 is the limit",
    ),
    (
        lambda: symbolic.conv_matrix(Geometry((Axis(0, 0, 1), Axis(1, 10**6, 10**6)))),
        "1000000 is the limit",
    ),
    (lambda: symbolic.conv_matrix(IMAGE), "1000000 is the limit; look at a .*tconvjax.matrices"),
    (lambda: symbolic.ConvolutionMatrix.of(10**5, 9).as_explicit(), "50000 is the limit"),
]


def test_what_would_take_minutes_is_refused() -> None:
    for ask, message in REFUSED:
        with pytest.raises(GeometryError, match=message):
            ask()


def test_indices_of_two_digits_are_kept_apart() -> None:
    row = to_text(symbolic.conv_matrix(Geometry.of_conv((1, 11), (1, 1, 11))))
    assert row.split() == ["[", *(f"w{n}" for n in range(10)), "w10]"]
    two = symbolic.conv_matrix(Geometry.of_conv((1, 11, 1), (1, 1, 11, 1)))
    assert "w10,0" in to_text(two, width=200)
    half = symbolic.conv_matrix(Geometry.of_conv((1, 2), (1, 1, 2)), [[[0.5, -3]]])
    assert to_text(half) == "[0.5  -3]"
    latex = to_latex(symbolic.conv_matrix(Geometry.of_conv((2, 2), (1, 2, 1))), colours=False)
    assert latex.startswith(r"\left[\begin{array}{cccc}w_{0,0,0} & 0 & w_{0,1,0} & 0\\")
