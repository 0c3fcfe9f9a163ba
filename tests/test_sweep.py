"""``python -m tests.sweep`` runs, sees a fault, and says how to repeat it: a slice of seconds."""

from __future__ import annotations

import random
import re
from typing import Any

import jax.numpy as jnp
import pytest

from tconvjax import partials
from tconvjax.algorithms import elementwise, splitting
from tests.strategies import FIXED
from tests.sweep import checking, running
from tests.sweep.cases import DTYPES, Case, drawn, every_axis, varied
from tests.sweep.checking import PARTIALS, Fault, check

CASE = Case(FIXED[0], "bfloat16", "last", "two", "taps", 3)


@pytest.mark.parametrize("dtype", DTYPES)
def test_some_cases_of_every_dtype_hold(dtype: str) -> None:
    rng = random.Random(dtype)  # noqa: S311 - no secret
    turn = DTYPES.index(dtype)
    outcomes = check(drawn(turn, rng))
    outcomes += check(varied(rng.choice(list(every_axis(2))), turn, rng))
    assert {(o.partial, o.dtype) for o in outcomes} == {(name, dtype) for name in PARTIALS}
    assert all(0 <= o.worst <= 1 for o in outcomes)


def test_a_case_is_repeated_from_its_line() -> None:
    rng = random.Random(5)  # noqa: S311
    for turn in range(30):
        case = drawn(turn, rng, one=turn % 2 == 0)
        assert Case.parsed(str(case)) == case


def test_no_small_geometry_is_left_out_or_comes_twice() -> None:
    small = list(every_axis(3))
    assert len({a.geometry for a in small}) == len(small) > 4000
    assert {a.stride + a.dilation for a in small} == {(s, d) for s in (1, 2, 3) for d in (1, 2, 3)}


def test_the_command_counts_and_ends(capsys: pytest.CaptureFixture[str]) -> None:
    assert running.main(["--seconds", "0.5", "--seed", "4"]) == 0
    out = capsys.readouterr().out
    assert re.search(r"^read: [1-9]\d* checks$", out, re.MULTILINE)
    assert re.search(r"^compiled: [1-9]\d* checks$", out, re.MULTILINE)
    assert "nothing failed" in out


def test_a_fault_in_an_algorithm_fails_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(elementwise, "unshift", lambda v, splits, shifts: splitting.padded(
        v, [0] * 2 * len(splits), [s.all_rows - v.shape[1 + 2 * n] if not side else
                                   s.slots - v.shape[2 + 2 * n] for n, s in enumerate(splits)
                                   for side in (0, 1)], 1))  # fmt: skip
    assert running.main(["--case", str(CASE)]) == 1
    told = capsys.readouterr().err
    assert "conv_transpose by taps" in told
    (line,) = re.findall(r"repeat: python -m tests\.sweep --case '(.*)'$", told, re.MULTILINE)
    assert Case.parsed(line) == CASE


def test_a_narrow_sum_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partials, "_working_dtype", lambda wanted, *_: wanted)
    with pytest.raises(Fault, match="off, and"):
        check(CASE)


def test_a_wrong_program_of_xlas_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy computes the right thing, and what is run is another."""
    monkeypatch.setattr("tests.sweep.checking.jax.jit", lambda f: lambda *a: [v + 1 for v in f(*a)])
    with pytest.raises(Fault, match="--compiled"):
        check(Case(FIXED[0], "int32", algorithm="patches"), compiled=True)


def test_a_rounding_too_many_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    right = checking.programs

    def rounded(case: Case) -> dict[Any, Any]:
        def once_more(f: Any) -> Any:
            return lambda p, q: (f(p, q) * jnp.float32(1 + 2.0**-18)).astype("float32")

        return {key: once_more(f) for key, f in right(case).items()}

    monkeypatch.setattr(checking, "programs", rounded)
    with pytest.raises(Fault, match="AssertionError: conv by direct"):
        check(Case(FIXED[0], "float32", algorithm="direct"))


def test_a_pair_that_is_not_adjoint_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_compared", lambda case, name, partial, *_:
                        checking.Outcome(name, partial, case.dtype, 0.0))  # fmt: skip
    right = checking.programs
    monkeypatch.setattr(checking, "programs", lambda case: {
        key: (lambda p, q, f=f: f(p, q)[:, ::-1]) if key[1] == "conv_transpose" else f
        for key, f in right(case).items()})  # fmt: skip
    with pytest.raises(Fault, match=r"sum\(conv\(x, w\) y\) = .*, but with conv_transpose"):
        check(Case(FIXED[0], "int32", algorithm="direct"))
