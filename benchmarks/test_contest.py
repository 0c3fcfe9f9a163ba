"""The contest is fair and checked: exact results, turns for everybody, a report of all found."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import contest
import jax
import numpy as np
import programs
import pytest
import report
import timing
from cases import Case, cases, chosen, exact
from contest import Contestant, NotRun, Setting, WrongResult
from roofline import Roofline
from timing import Program, Times

import tconvjax as tc
from tests.reading import read

SETTING = Setting(rounds=1, seed=0, threads=1)

STEPS = {"stride": 2, "dilation": 3, "output_padding": 1, "groups": 2}
LINE = Case("line", "nowhere", (2, 6, 3), (6, 4, 4), {"stride": 3})
IMAGE = Case("image", "nowhere", (2, 6, 3, 4), (6, 2, 4, 3), STEPS)
CUT = Case("cut", "nowhere", (2, 6, 3, 4), (6, 4, 4, 3), {"padding": [(0, 2), (-1, 0)]})
VOLUME = Case("volume", "nowhere", (2, 6, 3, 4, 2), (6, 2, 4, 3, 2), {"padding": 1, "groups": 2})
NOTHING = Program(lambda: None, lambda _: None, lambda _: [])


@pytest.mark.parametrize("case", [LINE, IMAGE, CUT, VOLUME], ids=lambda case: str(case.name))
def test_the_exact_step_is_the_definition(case: Case) -> None:
    def step(x: Any, w: Any, y: Any) -> Any:
        function = functools.partial(tc.conv_transpose, algorithm="direct", **case.arguments)
        z, vjp = jax.vjp(function, y, w)
        return z, *vjp(x)

    arrays = tuple(np.asarray(v, np.float64) for v in case.arrays())
    for got, wanted in zip(exact(case, case.arrays()), read(step, *arrays), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("case", "task", "changes", "least", "most"),
    [
        (LINE, "step", {}, 0, 1e-5),
        (IMAGE, "forward", {}, 0, 1e-5),
        (CUT, "step", {"platform": "gpu"}, 0, 1e-5),  # calls in chains, as a CPU can do as well
        (VOLUME, "forward", {"dtype": "bfloat16"}, 1e-5, 3e-2),
    ],
)
def test_every_contestant_computes_the_exact_result(
    case: Case, task: Any, changes: dict[str, Any], least: float, most: float
) -> None:
    setting = dataclasses.replace(SETTING, **changes)
    with programs.full_products(setting):
        entries, reasons = contest.contest(case, task, programs.JAX_ONLY, setting)
    assert reasons == {}
    assert [entry.name for entry in entries] == [one.name for one in programs.JAX_ONLY]
    assert all(least <= max(entry.errors) < most for entry in entries)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda z: z * 1.001, r"line: somebody's z is off by 1\.0e-03"),
        (lambda z: z * math.nan, "off by nan"),
        (lambda z: z[:1], "has shape"),
    ],
)
def test_a_wrong_result_ends_the_run(change: Any, said: str) -> None:
    right = programs.ours(LINE, last=False)
    wrong = dataclasses.replace(right, function=lambda y, w: change(right.function(y, w)))
    somebody = Contestant("somebody", programs.by_form(lambda _: wrong))
    with pytest.raises(WrongResult, match=said):
        contest.contest(LINE, "forward", [somebody], SETTING)


def test_who_cannot_run_says_why_but_ours_must_run() -> None:
    def breaks(job: contest.Job) -> Program:
        raise {"forward": NotRun("has no groups"), "step": RuntimeError("first\nsecond")}[job.task]

    for task, reason in (("forward", "has no groups"), ("step", "failed: RuntimeError: first")):
        found = contest.contest(LINE, task, [Contestant("a", breaks)], SETTING)  # type: ignore[arg-type]
        assert found == ([], {"a": reason})
    with pytest.raises(RuntimeError, match="first"):
        contest.contest(LINE, "step", [Contestant("tconvjax", breaks)], SETTING)


def test_the_work_of_a_case_and_its_least_time() -> None:
    assert len({case.name for case in cases()}) == len(cases()) == 19
    (case,) = chosen(["grouped_up"])
    forward = 2 * 4 * 128 * (64 // 4) * 4 * 4 * 28 * 28
    assert (case.flops("forward"), case.flops("step")) == (forward, 3 * forward)
    elements = 4 * 128 * 28 * 28 + 128 * 16 * 16 + 4 * 64 * 56 * 56
    assert (case.bytes("forward"), case.bytes("step")) == (4 * elements, 8 * elements)
    assert case.with_batch(3).flops("forward") == 3 * forward
    assert case.with_pixels(8).y_shape == (4, 128, 4 * 28, 2 * 28)
    assert Roofline(1e9, 1e3).seconds(case, "forward") == 4 * elements / 1e3
    assert Roofline(1e3, 1e9).seconds(case, "forward") == forward / 1e3


@pytest.mark.parametrize("chained", [False, True])
def test_everybody_has_a_turn_in_each_round(chained: bool) -> None:
    order: list[str] = []
    some = dict.fromkeys("abcd", NOTHING)
    times = timing.interleaved(some, 3, seed=1, chained=chained, after=order.append)
    rounds = {tuple(order[n : n + 4]) for n in (0, 4, 8)}
    assert all(sorted(one) == list("abcd") for one in rounds)
    assert len(rounds) > 1
    assert all(len(times[name].turns) == 3 for name in "abcd")


def test_a_report_holds_what_was_found() -> None:
    assert (Times((1.0, 9.0, 2.0, 3.0, 4.0)).median, Times((5.0,)).quartiles) == (3.0, (5.0, 5.0))
    limits = Roofline(flops=1e9, bandwidth=1e9)
    found = report.new_report(programs.JAX_ONLY, SETTING, limits)
    a, b = (contest.Entry(name, Times((s, 9.0, s / 2)), (1e-7,), NOTHING, "a note")
            for name, s in (("a", 2.0), ("b", 8.0)))  # fmt: skip
    report.add(found, LINE, "forward", [a, b], {"c": "why"}, limits)
    reason = {"contestant": "c", "case": "line", "task": "forward", "reason": "why"}
    assert found["not_run"] == [reason]
    kept = found["cases"]["line"]["tasks"]["forward"]["contestants"]["a"]
    assert kept["roofline_fraction"] == pytest.approx(limits.seconds(LINE, "forward") / 2)
    expected = {"ms": 2e3, "turns": 3, "note": "a note", "error": {"z": 1e-7}}
    assert expected.items() <= kept.items()
    quick, slow = (report.figures(found, "forward", name) for name in "ab")
    assert report.ratios(slow, quick) == {"line": 4.0}
    assert report.best_of(found, "forward", ["b", "a"]) == quick == {"line": 2e3}
    assert report.mean_words({"one": 2.0, "two": 8.0}) == "4.00 x over 2 cases; most 8.00 (two)"
