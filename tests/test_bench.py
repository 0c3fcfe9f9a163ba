"""The benchmark measures what it says: exact results, fair turns, a file that tells everything."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

import tconvjax as tc
from tconvjax.__main__ import main
from tconvjax.command import benching, contest, programs, report, roofline, timing
from tconvjax.command.arguments import CommandError
from tconvjax.command.cases import Case, cases, chosen, exact
from tconvjax.command.timing import Program, Times
from tconvjax.conventions import relaid

SETTING = contest.Setting(rounds=1, seed=0, threads=1)
LIMITS = roofline.Roofline(flops=1e9, bandwidth=1e9)


def case(rank: int = 2, **arguments: Any) -> Case:
    """A small layer of six channels in and four out."""
    groups = arguments.get("groups", 1)
    w_shape = (6, 4 // groups, *(4, 3, 2)[:rank])
    return Case("small", "nowhere", (2, 6, *(3, 4, 2)[:rank]), w_shape, arguments)


LAYERS = [
    case(1, stride=3),
    case(2, stride=2, padding=1),
    case(2, stride=2, padding=[(0, 2), (-1, 0)]),
    case(2, stride=2, dilation=3, output_padding=1, groups=2),
    case(3, padding=1, groups=2),
]


# -- the right answer ------------------------------------------------------------------------------


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: str(layer.arguments))
def test_the_exact_step_is_the_definition(layer: Case) -> None:
    x, w, y = arrays = layer.arrays()
    with jax.enable_x64(True):
        function = lambda y, w: tc.conv_transpose(y, w, algorithm="direct", **layer.arguments)  # noqa: E731
        z, vjp = jax.vjp(function, *(np.asarray(v, np.float64) for v in (y, w)))
        expected = (z, *vjp(np.asarray(x, np.float64)))
        for got, wanted in zip(exact(layer, arrays), expected, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: str(layer.arguments))
@pytest.mark.parametrize("task", ["forward", "step"])
def test_every_contestant_agrees(layer: Case, task: Any) -> None:
    entries, reasons = contest.contest(layer, task, programs.JAX_ONLY, SETTING)
    assert [entry.name for entry in entries] == [one.name for one in programs.JAX_ONLY]
    assert reasons == {}
    assert all(max(entry.errors) < 1e-5 for entry in entries)
    assert all(entry.program.compile_s > 0 for entry in entries)


def test_the_way_of_a_gpu_gives_the_same() -> None:
    """Calls in chains and products in full float32, which a CPU can do as well."""
    setting = dataclasses.replace(SETTING, platform="gpu")
    with programs.full_products(setting):
        entries, reasons = contest.contest(LAYERS[1], "step", programs.JAX_ONLY, setting)
    assert len(entries) == len(programs.JAX_ONLY)
    assert reasons == {}


def wrong(by: float) -> contest.Contestant:
    """Somebody whose output is off."""

    def form(layer: Case) -> programs.Form:
        right = programs.ours(layer, last=False)
        return dataclasses.replace(right, function=lambda y, w: right.function(y, w) * (1 + by))

    return contest.Contestant("somebody", programs.by_form(form))


def test_a_wrong_result_ends_the_run() -> None:
    with pytest.raises(contest.WrongResult, match=r"small: somebody's z is off by 1\.0e-03"):
        contest.contest(LAYERS[0], "forward", [wrong(1e-3)], SETTING)
    with pytest.raises(contest.WrongResult, match="off by nan"):
        contest.contest(LAYERS[0], "forward", [wrong(math.nan)], SETTING)


def test_a_shape_is_a_result_too() -> None:
    x, w, y = LAYERS[1].arrays()
    job = contest.Job(LAYERS[1], "forward", (x, w, y), "cpu", 1)
    with pytest.raises(contest.WrongResult, match="has shape"):
        contest.check(job, "somebody", [x[:1]], [x])


def test_who_cannot_run_says_why() -> None:
    def refuses(_: contest.Job) -> Program:
        raise contest.NotRun("has no groups")

    def is_absent(_: contest.Job) -> Program:
        raise ModuleNotFoundError(name="caffe")

    def breaks(_: contest.Job) -> Program:
        raise RuntimeError("first\nsecond")

    some = [contest.Contestant(build.__name__, build) for build in (refuses, is_absent, breaks)]
    entries, reasons = contest.contest(LAYERS[0], "forward", some, SETTING)
    assert entries == []
    assert reasons == {
        "refuses": "has no groups",
        "is_absent": "caffe is not installed",
        "breaks": "failed: RuntimeError: first",
    }
    ours = contest.Contestant("tconvjax", breaks)
    with pytest.raises(RuntimeError, match="first"):
        contest.contest(LAYERS[0], "forward", [ours], SETTING)


def test_a_narrow_dtype_has_its_own_tolerance() -> None:
    setting = dataclasses.replace(SETTING, dtype="bfloat16")
    entries, _ = contest.contest(LAYERS[1], "step", programs.JAX_ONLY[:2], setting)
    assert all(1e-5 < max(entry.errors) < 3e-2 for entry in entries)


def test_exchanging_twice_is_nothing() -> None:
    w = np.arange(6 * 2 * 3 * 2).reshape(6, 2, 3, 2)
    once = relaid(w, "torch", "equinox", 2)
    assert once.shape == (4, 3, 3, 2)
    np.testing.assert_array_equal(relaid(once, "equinox", "torch", 2), w)


# -- cases -----------------------------------------------------------------------------------------


def test_every_case_is_a_layer() -> None:
    every = cases()
    assert len(every) == len({case.name for case in every}) == 19
    assert {case.geometry.rank for case in every} == {1, 2, 3}
    assert {case.geometry.groups for case in every} == {1, 4, 64}


def test_the_work_of_a_case_is_counted() -> None:
    (layer,) = chosen(["grouped_up"])
    forward = 2 * 4 * 128 * (64 // 4) * 4 * 4 * 28 * 28
    assert (layer.flops("forward"), layer.flops("step")) == (forward, 3 * forward)
    elements = 4 * 128 * 28 * 28 + 128 * 16 * 16 + 4 * 64 * 56 * 56
    assert (layer.bytes("forward"), layer.bytes("step")) == (4 * elements, 8 * elements)
    assert layer.with_batch(3).flops("forward") == 3 * forward
    assert layer.with_pixels(8).y_shape == (4, 128, 4 * 28, 2 * 28)


def test_the_roofline_is_the_nearer_bound() -> None:
    (layer,) = chosen(["tiny_latency"])
    assert roofline.Roofline(1e9, 1e3).seconds(layer, "forward") == layer.bytes("forward") / 1e3
    assert roofline.Roofline(1e3, 1e9).seconds(layer, "forward") == layer.flops("forward") / 1e3


# -- turns -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("chained", [False, True])
def test_everybody_has_a_turn_in_each_round(chained: bool) -> None:
    calls: list[str] = []
    order: list[str] = []
    some = {
        name: Program(functools.partial(calls.append, name), lambda _: None, lambda _: [])
        for name in "abcd"
    }
    times = timing.interleaved(some, 4, seed=1, chained=chained, after=order.append)
    rounds = [order[n : n + 4] for n in range(0, 16, 4)]
    assert all(sorted(one) == list("abcd") for one in rounds)
    assert len({tuple(one) for one in rounds}) > 1
    assert all(len(times[name].turns) == 4 for name in some)
    assert calls.count("a") == 4 * 2 * timing.MOST_CALLS


def test_a_slow_program_sits_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "ENOUGH_SECONDS", 0.0)
    slow = Program(lambda: None, lambda _: None, lambda _: [])
    assert len(timing.interleaved({"slow": slow}, 9, seed=0)["slow"].turns) == timing.FEWEST_TURNS


def test_the_figure_is_the_median() -> None:
    times = Times((1.0, 9.0, 2.0, 3.0, 4.0))
    assert times.median == 3.0
    assert times.quartiles == (2.0, 4.0)
    assert Times((5.0,)).quartiles == (5.0, 5.0)


# -- the report ------------------------------------------------------------------------------------


def entry(name: str, milliseconds: float) -> contest.Entry:
    program = Program(lambda: None, lambda _: None, lambda _: [], 0.5, 0.25, 7)
    return contest.Entry(name, Times((milliseconds / 1e3,)), (1e-7,), program, "a note")


def test_a_report_holds_what_was_found() -> None:
    found = report.new_report(programs.JAX_ONLY, SETTING, LIMITS)
    (layer,) = chosen(["tiny_latency"])
    report.add(found, layer, "forward", [entry("a", 2.0), entry("b", 8.0)], {"c": "why"}, LIMITS)
    report.add(found, LAYERS[0], "forward", [entry("a", 5.0)], {}, LIMITS)
    assert found["not_run"] == [
        {"contestant": "c", "case": "tiny_latency", "task": "forward", "reason": "why"}
    ]
    kept = found["cases"]["tiny_latency"]["tasks"]["forward"]["contestants"]["a"]
    fraction = LIMITS.seconds(layer, "forward") / 0.002
    assert kept["roofline_fraction"] == pytest.approx(fraction)
    assert {key: kept[key] for key in ("ms", "turns", "reserved_bytes", "note", "error")} == {
        "ms": 2.0, "turns": 1, "reserved_bytes": 7, "note": "a note", "error": {"z": 1e-7},
    }  # fmt: skip
    a, b = report.figures(found, "forward", "a"), report.figures(found, "forward", "b")
    assert a == {"tiny_latency": 2.0, "small": 5.0}
    assert report.ratios(b, a) == {"tiny_latency": 4.0}
    assert report.best_of(found, "forward", ["b", "a"]) == a
    assert report.figures(found, "step", "a") == {}


def test_means_name_the_worst_case() -> None:
    words = report.mean_words({"one": 2.0, "two": 8.0})
    assert words == "4.00 x over 2 cases; most 8.00 (two)"
    assert report.mean_words({}) == "no case"


# -- the command -----------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds of this test are not for the machine's rates."""
    monkeypatch.setattr(roofline, "measured", lambda **_: LIMITS)


@pytest.mark.usefixtures("quick")
def test_bench_prints_rows_and_means(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "found.json"
    assert main(["bench", "--case", "tiny_latency", "--rounds", "1", "--json", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines[1:])) <= 80  # the first one holds the processor's name
    assert [line.split()[:2] for line in lines if line.startswith("tiny_latency")] == [
        ["tiny_latency", "forward"],
        ["tiny_latency", "step"],
    ]
    assert sum("over 1 case; most" in line for line in lines) == 6
    text = path.read_text(encoding="utf-8")
    assert set(json.loads(text)) == {
        "date", "machine", "versions", "setting", "roofline", "cases", "not_run",
    }  # fmt: skip
    assert str(tmp_path) not in text


def test_the_rates_of_a_machine_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roofline, "SIDES", {"cpu": 64})
    monkeypatch.setattr(roofline, "LENGTHS", {"cpu": 4096})
    found = roofline.measured()
    assert min(found.flops, found.bandwidth) > 0
    assert found.itemsize == 4


@pytest.mark.usefixtures("quick")
def test_bench_fails_on_a_wrong_result(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(benching, "JAX_ONLY", [wrong(1e-2)])
    assert main(["bench", "--case", "tiny_latency", "--rounds", "1"]) == 1
    assert "tconvjax: wrong result: tiny_latency: somebody's z" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("--case nonsense", "the cases are dcgan_g2, "),
        ("--rounds 0", "give 1 to"),
        ("--rounds two", "give one such as 2"),
        ("--json no/folder/found.json", "create it first"),
        ("--json .", "name a file"),
    ],
)
def test_bench_refuses_in_one_line(
    words: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["bench", *words.split()]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("tconvjax: error: ")
    assert printed.err.count("\n") == 1
    assert remedy in printed.err


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written"):
        report.write({}, tmp_path)
