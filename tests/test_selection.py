"""Which algorithm is chosen, by what estimates, and what a plan says of it."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tconvjax as tc
from tconvjax.algorithms import ALGORITHMS, costs, elementwise, selection
from tconvjax.algorithms.splitting import Split
from tconvjax.forward import ROLES
from tconvjax.geometry import Geometry
from tests.strategies import Arguments, arguments


@given(arguments(), st.sampled_from(["float16", "float32", "float64", "complex64", "int32"]))
def test_every_candidate_has_an_estimate_or_an_objection(a: Arguments, dtype: str) -> None:
    for partial in ROLES:
        plan = tc.plan(a.geometry, partial, dtype, "cpu", a.batch)
        assert plan.algorithm == tc.select_algorithm(a.geometry, partial, dtype, "cpu", a.batch)
        assert {c.algorithm for c in plan.candidates} == set(tc.ALGORITHMS)
        for candidate in plan.candidates:
            assert (candidate.seconds is None) == candidate.note.startswith("not considered: ")
            assert candidate.seconds is None or 0 < candidate.seconds < 1


@given(arguments(ranks=(1, 2)))
def test_operations_are_two_for_each_link_where_there_is_no_border(a: Arguments) -> None:
    a = replace(a, padding=((0, 0),) * len(a.in_size), in_size=tuple(n + 9 for n in a.in_size))
    g = a.geometry
    links = sum(1 for _ in tc.links(g))
    for algorithm, partial in itertools.product(ALGORITHMS, ROLES):
        counted = costs.operations(algorithm, partial, g, 3)
        assert costs.features(algorithm, partial, g, 3)[::3] == (counted, 1)
        if partial != "conv_transpose" or algorithm in ("patches", "taps"):
            assert counted == 6 * links
        elif algorithm == "direct":  # as many places as the input has, zeros among them
            assert counted * math.prod(g.out_size) == 6 * links * math.prod(g.in_size)
        else:  # the rows that some output reads
            rows = math.prod(split.all_rows for split in map(Split, g.axes))
            assert counted * math.prod(g.out_size) == 6 * links * rows
    assert costs.elements("polyphase", g, 2) - costs.elements("direct", g, 2) == (
        2 * math.prod(g.in_shape) + math.prod(g.kernel_shape)
    )


@pytest.mark.parametrize(
    ("algorithm", "partial", "size", "options", "dtype", "kind"),
    [
        ("taps", "conv", 1, {"groups": 2}, "float64", "any"),
        ("patches", "conv", 1, {}, "float64", "plain"),
        ("patches", "conv", 1, {"groups": 2}, "float32", "grouped"),
        ("direct", "conv", 1, {"groups": 2}, "float32", "grouped"),
        ("direct", "conv", 1, {}, "float32", "line"),
        ("direct", "conv", 2, {}, "float32", "plane"),
        ("direct", "conv", 3, {}, "float32", "looped"),
        ("direct", "conv", 1, {}, "float64", "looped"),
        ("direct", "conv", 1, {"stride": 2}, "float32", "line"),
        ("direct", "conv_transpose", 1, {"stride": 2}, "float32", "dilated"),
        ("direct", "conv_transpose", 2, {"stride": (1, 2)}, "float32", "dilated"),
        ("direct", "conv_transpose", 1, {}, "float32", "line"),
        ("polyphase", "conv_transpose", 1, {"stride": 2}, "float32", "line"),
        ("polyphase", "conv_transpose", 2, {"stride": 3}, "float32", "tiles"),
        ("polyphase", "conv_transpose", 2, {"stride": (3, 2)}, "float32", "plane"),
    ],
)
def test_an_estimate_reads_the_line_of_its_kind(
    algorithm: str, partial: Any, size: int, options: dict[str, Any], dtype: str, kind: str
) -> None:
    shape = (9,) * size
    c = options.get("groups", 1)
    g = Geometry.of_conv((c, *shape), (c, 1, *(3,) * size), **options)
    assert costs.line(algorithm, partial, g, dtype) == f"{algorithm} {partial} {kind}"
    if not selection.unfit(algorithm, partial, g):
        assert costs.line(algorithm, partial, g, dtype) in costs.lines()


def test_patches_is_kept_unless_another_is_a_tenth_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    g = Geometry.of_conv((1, 9), (1, 1, 3))
    for direct, chosen in ((89, "direct"), (90, "patches"), (110, "patches")):
        seconds = {"direct": direct, "patches": 100, "polyphase": 200, "taps": 300}
        monkeypatch.setattr(selection, "estimate", lambda name, *_, s=seconds: float(s[name]))
        plan = tc.plan(g, "conv", platform="cpu")
        assert plan.algorithm == chosen
        order = [c.seconds for c in plan.candidates if c.seconds is not None]
        assert order == sorted(order)
        whole = tc.plan(g, "kernel_gradient", "int32", "cpu")
        assert whole.algorithm == whole.candidates[0].algorithm == "patches"
        assert tc.plan(g, "conv", "int32", "cpu").algorithm == chosen


def test_what_is_too_long_to_compile_is_not_considered() -> None:
    taps = {n: Geometry.of_conv((1, 200), (1, 1, n)) for n in (128, 129)}
    for name in ("patches", "taps"):
        assert selection.unfit(name, "conv", taps[128]) == ""
        told = "129 pieces would take long to compile"
        assert selection.unfit(name, "conv", taps[129]) == told
    assert selection.unfit("polyphase", "conv", taps[129]) == ""
    for channels, told in ((4, ""), (5, "25 pairs of channels in a group make a matrix product")):
        g = Geometry.of_conv((2 * channels, 9), (2 * channels, channels, 1), groups=2)
        assert selection.unfit("taps", "conv", g) == told
    strided = Geometry.of_conv((1, 9), (1, 1, 3), stride=2)
    assert selection.unfit("direct", "conv_transpose", strided).startswith("XLA writes zeros")
    assert selection.unfit("direct", "kernel_gradient", strided) == ""
    one_tap_a_phase = Geometry.of_conv((1, 9), (1, 1, 2), stride=2)
    assert selection.unfit("polyphase", "conv", one_tap_a_phase).startswith("a convolution of one")
    phases = {n: Geometry.of_conv((1, 999), (1, 1, n + 1), stride=n) for n in (128, 129)}
    assert selection.unfit("polyphase", "conv", phases[128]) == ""
    assert selection.unfit("polyphase", "conv", phases[129]).startswith("129 pieces")


def test_one_axis_is_enough_for_an_objection_or_against_it() -> None:
    strided = Geometry.of_conv((1, 9, 9), (1, 1, 3, 3), stride=(1, 2))
    assert selection.unfit("direct", "conv_transpose", strided).startswith("XLA writes zeros")
    tiled = Geometry.of_conv((1, 9, 9), (1, 1, 2, 3), stride=2)
    assert selection.unfit("polyphase", "conv_transpose", tiled) == ""


def on_a_gpu(
    x: tuple[int, ...], w: tuple[int, ...], partial: Any = "conv_transpose", **steps: Any
) -> str:
    """The choice for float32 on a GPU."""
    g = Geometry.of_conv(x, w, **steps)
    return tc.plan(g, partial, platform="cuda").algorithm


def test_a_gpu_gets_the_form_that_one_axis_asks_for() -> None:
    assert on_a_gpu((1, 9), (1, 1, 3), dilation=2) == "direct"  # cuDNN dilates by itself
    assert on_a_gpu((1, 9, 9), (1, 1, 3, 4), stride=(1, 2), dilation=(2, 1)) == "polyphase"
    assert on_a_gpu((2, 9, 9), (2, 1, 2, 4), stride=2, groups=2) == "polyphase"
    assert on_a_gpu((2, 9, 9), (2, 1, 2, 2), stride=2, groups=2) == "patches"
    for rank, chosen in ((3, "direct"), (4, "patches")):
        assert on_a_gpu((1, *(5,) * rank), (1, 1, *(3,) * rank), "conv") == chosen


def test_a_candidate_says_what_it_is() -> None:
    g = Geometry.of_conv((4, 9), (4, 1, 4), stride=2, groups=4)
    for platform, partial in itertools.product(("cpu", "cuda", "tpu"), ROLES):
        plan = tc.plan(g, partial, platform=platform)
        notes = {c.algorithm: c.note for c in plan.candidates}
        if partial == "conv" or platform != "cpu":
            transposed = "" if partial == "conv" else ", transposed"
            assert notes["direct"] == "one convolution of XLA's" + transposed
        if platform != "cpu":
            left = {name for name, note in notes.items() if "written for a CPU" in note}
            assert left == set(ALGORITHMS) - {"direct", plan.algorithm}


def test_a_plan_is_for_one_image_unless_told() -> None:
    g = Geometry.of_conv((1, 9), (1, 1, 3))
    for ask in (tc.plan, tc.select_algorithm):
        seen: list[int] = []

        def estimate(*given: Any, seen: list[int] = seen) -> float:
            seen.append(given[-1])
            return 1.0

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(selection, "estimate", estimate)
            ask(g, "conv", platform="cpu")
            assert set(seen) == {1}
            seen.clear()
            ask(g, "conv", platform="cpu", batch=0)
            assert set(seen) == {0}
        for batch in (-1, (2, 2)):
            strange: dict[str, Any] = {"batch": batch}
            with pytest.raises(tc.GeometryError, match=r"^batch="):
                ask(g, "conv", platform="cpu", **strange)


def test_terms_are_what_taps_adds_up() -> None:
    g = Geometry.of_conv((4, 9), (6, 2, 4), stride=2, groups=2)  # 2 shifts, 2 and 3 channels
    assert elementwise.terms("conv", g) == 4 * 2
    assert elementwise.terms("conv_transpose", g) == 2 * 3
    assert elementwise.terms("kernel_gradient", g) == 2 * elementwise.CHUNKS * 2 * 3


def test_a_plan_says_which_side_is_gathered(monkeypatch: pytest.MonkeyPatch) -> None:
    g = Geometry.of_conv((1, 9, 9), (1, 1, 4, 4), stride=2)
    told = {(True, True): "y", (False, False): "x", (True, False): "y, then x"}
    for on_y, side in told.items():
        splits = tuple(map(Split, g.axes, on_y))
        monkeypatch.setattr(selection, "splits_of", lambda _, splits=splits: splits)
        notes = {c.algorithm: c.note for c in tc.plan(g, "conv", platform="cpu").candidates}
        assert notes["patches"] == f"one matrix product; shifts laid out on {side}"


def test_without_a_stride_xla_writes_no_zeros() -> None:
    for stride, considered in ((1, True), (2, False)):
        g = Geometry.of_conv_transpose((8, 9), (8, 8, 3), stride=stride)
        direct = next(
            c for c in tc.plan(g, "conv_transpose", platform="cpu").candidates
            if c.algorithm == "direct"
        )  # fmt: skip
        assert (direct.seconds is not None) == considered
