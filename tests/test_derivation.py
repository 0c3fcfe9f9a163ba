"""Each step from the sum to C.T is an equation that SymPy has verified."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
import sympy
from hypothesis import given

from tconvjax import Geometry, GeometryError, out_size, rendering, symbolic
from tconvjax.symbolic._derivation import Step
from tests.strategies import ANY_MODE, Arguments, arguments


@given(arguments(ranks=(1,), modes=ANY_MODE, most_groups=2))
def test_every_step_holds_and_is_true_as_it_is_written(a: Arguments) -> None:
    """Matrices beside one another are multiplied, and signs stand between sums and sides."""
    chain = symbolic.derivation(a.geometry)
    choice = max(a.stride) > 1 and a.padding_mode == "zeros"
    assert len(chain.steps) == 7 + choice
    assert chain.holds
    for step in chain.steps:
        sides = [list(group) for sign, group in itertools.groupby(
            step.written, lambda part: part in ("=", "≠")) if not sign]  # fmt: skip
        values = [_value(side) for side in sides if side != ["∂y/∂x"]]
        expected = [_expanded(side) for side in step.equation if hasattr(side, "as_mutable")]
        for value in values[:2]:
            # The left side of the first equation is the name y.
            assert _expanded(value) in expected or step.title == "The sum"


def _expanded(matrix: Any) -> sympy.Matrix:
    return sympy.Matrix(matrix).applyfunc(sympy.expand)


def _value(side: list[Any]) -> Any:
    """Of a side of an equation: the sum of the products between its plus signs."""
    terms = [list(group) for sign, group in itertools.groupby(
        side, lambda part: part == "+") if not sign]  # fmt: skip
    first, *others = (math.prod(factors[1:], start=factors[0]) for factors in terms)
    return sum(others, start=first)


def test_every_shape_that_is_said_to_share_an_output_does() -> None:
    g = Geometry.of_conv((1, 7, 9), (1, 1, 3, 2), stride=(2, 3), padding=1)
    (step,) = (s for s in symbolic.derivation(g).steps if s.title == "Shape is a choice")
    assert step.words.startswith("Inputs of up to 8 x 11 have as many outputs")
    for extra in itertools.product(range(3), range(4)):
        sizes = tuple(n + e for n, e in zip(g.in_size, extra, strict=True))
        same = out_size(sizes, (3, 2), stride=(2, 3), padding=g.padding) == g.out_size
        assert same == (extra[0] < 2 and extra[1] < 3)


def test_no_step_shows_a_side_equal_to_itself() -> None:
    for g in (Geometry.of_conv((1, 5), (1, 1, 3), stride=2), Geometry.of_conv((1, 4), (1, 1, 2))):
        for step in symbolic.derivation(g).steps:
            sides = [list(s) for sign, s in itertools.groupby(step.written or
                     (step.equation[0], "=", step.equation[1]), lambda part: part == "=")
                     if not sign]  # fmt: skip
            assert sides[0] != sides[1], step.title


def test_a_step_that_is_wrong_does_not_hold() -> None:
    chain = symbolic.derivation(Geometry.of_conv((1, 4), (1, 1, 2)))
    for step in chain.steps:
        left, right = step.equation
        bent = left + (sympy.ones(*left.shape) if hasattr(left, "shape") else 1)
        same = replace(step, equation=(right, right), claim="unequal")
        assert not same.holds
        assert not replace(chain, steps=(same,)).holds
        if step.claim == "equal":
            assert not replace(step, equation=(bent, right)).holds
    assert Step("a", "b", (1, 2), "unequal").holds
    for other in (sympy.zeros(2, 2), sympy.eye(3)):
        assert not Step("a", "b", (sympy.eye(2), other)).holds


def test_what_would_take_minutes_is_refused() -> None:
    for g in (
        Geometry.of_conv((1, 40, 40), (1, 1, 3, 3)),
        Geometry.of_conv((1, 1000), (1, 1, 1000)),
        Geometry.of_conv((1, 10**6), (1, 1, 2), stride=10**6 - 2),
        Geometry.of_conv((1, 600), (1, 1, 2), stride=10**6, padding=1),
    ):
        with pytest.raises(GeometryError, match="0 is the limit; look at a smaller input"):
            symbolic.derivation(g)


def test_a_hundred_products_are_not_too_many() -> None:
    assert symbolic.derivation(Geometry.of_conv((1, 51), (1, 1, 2))).holds


def test_a_derivation_is_a_document() -> None:
    chain = symbolic.derivation(Geometry.of_conv((1, 5), (1, 1, 3), stride=2))
    text = rendering.to_text(rendering.derivation_document(chain))
    assert all(step.title in text for step in chain.steps)
    plain = rendering.derivation_document(chain, words=False)
    assert len(plain.parts) == len(chain.steps)
    assert rendering.to_latex(plain).count(r"\partial y/\partial x") == 1
    with pytest.raises(GeometryError, match="it must be a Derivation; make one with"):
        rendering.derivation_document(None)  # type: ignore[arg-type]
