"""Each step from the sum to C.T is an equation that SymPy has verified."""

from __future__ import annotations

import itertools
import time
from dataclasses import replace
from typing import Any

import pytest
import sympy
from hypothesis import given

from tconvjax import Geometry, GeometryError, out_size, rendering, symbolic
from tests.strategies import ANY_MODE, Arguments, arguments


@given(arguments(ranks=(1,), modes=ANY_MODE, most_groups=2))
def test_every_step_holds(a: Arguments) -> None:
    chain = symbolic.derivation(a.geometry)
    choice = max(a.stride) > 1 and a.padding_mode == "zeros"
    assert len(chain.steps) == 7 + choice
    assert chain.holds


def test_every_shape_that_is_said_to_share_an_output_does() -> None:
    g = Geometry.of_conv((1, 7, 9), (1, 1, 3, 2), stride=(2, 3), padding=1)
    (step,) = (s for s in symbolic.derivation(g).steps if s.title == "Shape is a choice")
    assert step.words.startswith("Inputs of up to 8 x 11 have as many outputs")
    for extra in itertools.product(range(2), range(3)):
        sizes = tuple(n + e for n, e in zip(g.in_size, extra, strict=True))
        assert out_size(sizes, (3, 2), stride=(2, 3), padding=g.padding) == g.out_size
    past = out_size((9, 12), (3, 2), stride=(2, 3), padding=g.padding)
    assert past != g.out_size


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


@pytest.mark.parametrize(
    ("ask", "g"),
    [
        (symbolic.derivation, Geometry.of_conv((1, 1000), (1, 1, 1000))),
        (symbolic.derivation, Geometry.of_conv((1, 10**6), (1, 1, 2), stride=10**6 - 2)),
        (symbolic.derivation, Geometry.of_conv((1, 600), (1, 1, 2), stride=10**6, padding=1)),
        (symbolic.jacobian, Geometry.of_conv((1, 3 * 10**5), (1, 1, 3))),
        (symbolic.convolution_sums, Geometry.of_conv((1, 3 * 10**5), (1, 1, 3))),
    ],
)
def test_what_would_take_minutes_is_refused_at_once(ask: Any, g: Geometry) -> None:
    start = time.process_time()
    with pytest.raises(GeometryError, match="is the limit; look at a smaller input"):
        ask(g)
    assert time.process_time() - start < 5


def test_what_is_within_the_limits_takes_seconds() -> None:
    start = time.process_time()
    assert symbolic.derivation(Geometry.of_conv((1, 300), (1, 1, 2))).holds
    assert symbolic.jacobian(Geometry.of_conv((1, 3000), (1, 1, 3))).nnz() == 3 * 2998
    assert time.process_time() - start < 30


def test_a_claim_that_nothing_checks_is_refused() -> None:
    with pytest.raises(GeometryError, match="claim='bogus': the claims are equal, unequal; use"):
        symbolic.Step("a", "b", (1, 2), "bogus")
    assert symbolic.Step("a", "b", (1, 2), "unequal").holds
    assert not symbolic.Step("a", "b", (sympy.eye(2), sympy.zeros(2, 2))).holds
    assert not symbolic.Step("a", "b", (sympy.eye(2), sympy.eye(3))).holds


@given(arguments(ranks=(1,), modes=ANY_MODE, most_groups=2))
def test_an_equation_is_true_as_it_is_written(a: Arguments) -> None:
    """Matrices beside one another are multiplied, and signs stand between sums and sides."""
    for step in symbolic.derivation(a.geometry).steps:
        if not step.written:
            continue
        sides = [list(group) for sign, group in itertools.groupby(
            step.written, lambda part: part in ("=", "≠")) if not sign]  # fmt: skip
        values = [_value(side) for side in sides if side != ["∂y/∂x"]]
        expected = [side.as_mutable() for side in step.equation if hasattr(side, "as_mutable")]
        for value in values[:2]:
            found = sympy.Matrix(value).applyfunc(sympy.expand)
            assert any(found == sympy.Matrix(e).applyfunc(sympy.expand) for e in expected) or (
                step.title == "The sum"  # whose left side is the name y
            )


def _value(side: list[Any]) -> Any:
    terms: list[Any] = []
    factors: list[Any] = []
    for part in [*side, "+"]:
        if part == "+":
            product = factors[0]
            for factor in factors[1:]:
                product = product * factor
            terms, factors = [*terms, product], []
        else:
            factors.append(part)
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def test_a_derivation_is_a_document() -> None:
    chain = symbolic.derivation(Geometry.of_conv((1, 5), (1, 1, 3), stride=2))
    document = rendering.derivation_document(chain)
    text = rendering.to_text(document)
    for step in chain.steps:
        assert step.title in text
    plain = rendering.derivation_document(chain, words=False)
    assert len(plain.parts) == len(chain.steps)
    assert rendering.to_latex(plain).count(r"\partial y/\partial x") == 1
    with pytest.raises(GeometryError, match="it must be a Derivation; make one with"):
        rendering.derivation_document(None)  # type: ignore[arg-type]
