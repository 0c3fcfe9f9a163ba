"""Each step from the sum to C.T is an equation that SymPy has verified."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sympy
from hypothesis import given, settings

from tconvjax import Geometry, GeometryError, symbolic
from tests.strategies import ANY_MODE, Arguments, arguments


@settings(max_examples=15)
@given(arguments(ranks=(1,), modes=ANY_MODE, most_groups=2))
def test_every_step_holds(a: Arguments) -> None:
    chain = symbolic.derivation(a.geometry)
    assert len(chain.steps) == 7
    assert chain.holds


def test_the_tutorials_example_is_derived() -> None:
    chain = symbolic.derivation(Geometry.of_conv((1, 4, 4), (1, 1, 3, 3)))
    left, right = chain.steps[1].equation
    assert left.shape == right.shape == (4, 1)
    stamped = chain.steps[5].equation[1]
    assert stamped.shape == (16, 1)
    assert chain.steps[-1].claim == "unequal"


def test_a_step_that_is_wrong_does_not_hold() -> None:
    chain = symbolic.derivation(Geometry.of_conv((1, 4), (1, 1, 2)))
    for step in chain.steps:
        left, right = step.equation
        scalar = not hasattr(left, "shape")
        bent = left + 1 if scalar else left + sympy.ones(*left.shape)
        same = replace(step, equation=(right, right), claim="unequal")
        assert not same.holds
        if step.claim == "equal":
            assert not replace(step, equation=(bent, right)).holds
    assert not replace(chain, steps=(same,)).holds


def test_a_long_derivation_is_refused() -> None:
    with pytest.raises(GeometryError, match="1000 is the limit; look at a smaller input"):
        symbolic.derivation(Geometry.of_conv((1, 40, 40), (1, 1, 3, 3)))
