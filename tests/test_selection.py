"""Which algorithm is chosen, and what a plan says of it."""

from __future__ import annotations

import html
from typing import Any

import jax.numpy as jnp
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tconvjax as tc
from tconvjax import Geometry
from tconvjax.algorithms.plan import worth_timing
from tconvjax.layouts import Recipe, layout
from tests.oracles import PARTIALS
from tests.strategies import Arguments, arguments

PLATFORMS = ("cpu", "cuda", "rocm", "tpu")


def notes(plan: tc.Plan) -> dict[str, str]:
    return {c.algorithm: c.note for c in plan.candidates}


@given(arguments(), st.sampled_from(["float16", "float32", "float64", "complex64", "int32"]))
def test_every_candidate_has_an_estimate_or_an_objection(a: Arguments, dtype: str) -> None:
    for partial in PARTIALS:
        plan = tc.plan(a.geometry, partial, dtype, "cpu", a.batch)  # type: ignore[arg-type]
        assert set(notes(plan)) == set(tc.ALGORITHMS)
        seconds = [c.seconds for c in plan.candidates]
        known = [value for value in seconds if value is not None]
        whole = dtype == "int32" and partial != "conv"
        assert known == sorted(known) or whole
        assert plan.candidates[0].algorithm == "patches" or not whole
        assert all(0 < value < 1 for value in known)
        for c in plan.candidates:
            assert (c.seconds is None) == c.note.startswith("not considered: ")
        assert plan.algorithm == plan.candidates[0].algorithm


def test_an_estimate_grows_with_the_work() -> None:
    small = Geometry.of_conv((8, 16, 16), (8, 8, 3, 3))
    for partial in PARTIALS:
        for larger, batch in (
            (Geometry.of_conv((8, 64, 64), (8, 8, 3, 3)), 1),
            (Geometry.of_conv((64, 16, 16), (64, 64, 3, 3)), 1),
            (small, 16),
        ):
            plans = [
                tc.plan(g, partial, platform="cpu", batch=n)  # type: ignore[arg-type]
                for g, n in ((small, 1), (larger, batch))
            ]
            least = [min(c.seconds for c in p.candidates if c.seconds) for p in plans]
            assert least[0] < least[1]


@pytest.mark.parametrize("layout", [None, ("NHWC", "HWIO", "NHWC")])
@pytest.mark.parametrize("dilation", [1, 3])
def test_an_estimate_grows_with_the_kernel(layout: Any, dilation: int) -> None:
    def seconds(kernel: int) -> float:
        g = Geometry.of_conv_transpose(
            (16, 40, 40), (16, 1, kernel, kernel), stride=2, dilation=dilation, groups=16
        )
        plan = tc.plan(g, "conv_transpose", platform="cpu", dimension_numbers=layout)
        return next(c.seconds or 0.0 for c in plan.candidates if c.algorithm == "taps")

    assert seconds(36) > 8 * seconds(9)  # with sixteen times the taps


@pytest.mark.parametrize(
    ("x", "w", "partial", "options", "name", "told"),
    [
        ((1, 9000), (1, 1, 999), "conv", {}, "taps", ""),
        ((1, 20000), (1, 1, 12000), "conv", {}, "taps", ""),
        ((1, 20000), (1, 1, 12000), "conv", {}, "patches", ""),
        ((18, 9), (18, 9, 1), "conv", {"groups": 2}, "taps", ""),
        ((9, 99, 99), (300, 9, 4, 4), "conv_transpose", {}, "taps", "it would take 3"),
        ((8, 9), (8, 8, 3), "conv", {}, "direct", "on a CPU it seldom"),
        ((8, 9), (8, 8, 4), "conv", {"stride": 2}, "polyphase", "on a CPU it seldom"),
    ],
)
def test_a_candidate_that_is_not_considered_says_why(
    x: Any, w: Any, partial: Any, options: dict[str, Any], name: str, told: str
) -> None:
    plan = tc.plan(Geometry.of_conv(x, w, **options), partial, platform="cpu")
    note = notes(plan)[name]
    assert note.startswith(f"not considered: {told}") if told else "not considered" not in note
    assert plan.algorithm != name or not told


@pytest.mark.parametrize(
    ("x", "w", "partial", "dtype", "batch", "considered"),
    [
        ((16, 96, 96), (16, 16, 3, 3), "conv", "float32", 9, True),
        ((16, 96, 96), (16, 16, 3, 3), "conv", "float32", 1, False),  # shares its copies
        ((16, 96, 96), (16, 16, 3, 3), "conv_transpose", "float32", 9, True),
        ((16, 96, 96), (16, 16, 3, 3), "kernel_gradient", "float32", 9, False),
        ((16, 96, 96), (16, 16, 3, 3), "conv", "bfloat16", 9, False),
        ((16, 96, 96), (12, 16, 3, 3), "conv", "float32", 9, False),
        ((16, 96, 96), (16, 16, 1, 1), "conv", "float32", 99, False),
        ((16, 30_000), (16, 16, 7), "conv", "float32", 1, True),
        ((16, 30, 30, 30), (16, 16, 3, 3, 3), "conv", "float32", 1, False),
    ],
)
def test_xlas_convolution_is_considered_where_a_product_works_in_blocks(
    x: Any, w: Any, partial: Any, dtype: str, batch: int, considered: bool
) -> None:
    g = Geometry.of_conv(x, w, padding="SAME")
    plan = tc.plan(g, partial, jnp.dtype(dtype), "cpu", batch=batch)
    assert ("not considered" not in notes(plan)["direct"]) is considered
    assert notes(plan)["patches"].startswith("one matrix product")


@pytest.mark.parametrize(
    ("x", "w", "partial", "options", "dtype", "timed"),
    [
        ((64, 99, 99), (64, 64, 3, 3), "conv", {}, "float32", True),
        ((64, 99, 99), (64, 64, 3, 3), "conv", {}, "bfloat16", False),
        ((64, 99, 99), (64, 32, 3, 3), "conv", {"groups": 2}, "float32", False),
        ((8, 9, 9), (8, 4, 3, 3), "conv", {"groups": 2}, "float32", True),  # a short loop
        ((64, 30, 30, 30), (64, 64, 3, 3, 3), "conv", {}, "float32", False),
        ((64, 99, 99), (64, 64, 3, 3), "conv_transpose", {}, "float32", True),
        ((64, 199, 199), (64, 64, 3, 3), "conv_transpose", {"stride": 2}, "float32", False),
        ((64, 199, 199), (64, 64, 3, 3), "kernel_gradient", {"stride": 2}, "float32", True),
    ],
)
def test_a_measurement_runs_no_long_plain_loop(
    x: Any, w: Any, partial: Any, options: dict[str, Any], dtype: str, timed: bool
) -> None:
    g = Geometry.of_conv(x, w, **options)
    recipe = Recipe(partial, g, layout(None, g.rank), None, jnp.dtype(dtype), platform="cpu")
    assert ("direct" in worth_timing(recipe, 1)) is timed


@pytest.mark.parametrize(
    ("x", "w", "options", "chosen"),
    [
        ((1, 9), (1, 1, 3), {"dilation": 2}, "direct"),  # cuDNN dilates by itself
        ((1, 9, 9), (1, 1, 3, 4), {"stride": (1, 2), "dilation": (2, 1)}, "polyphase"),
        ((2, 9, 9), (2, 1, 2, 4), {"stride": 2, "groups": 2}, "polyphase"),
        ((2, 9, 9), (2, 1, 2, 2), {"stride": 2, "groups": 2}, "patches"),
        ((1, 9, 9), (1, 1, 3, 3), {"stride": 2, "padding": ((3, 0), (0, 3))}, "polyphase"),
        ((1, *(5,) * 4), (1, 1, *(3,) * 4), {}, "patches"),  # cuDNN has three axes at most
        ((4, 9, 9), (6, 4, 4, 4), {"stride": 2}, "direct"),
    ],
)
def test_a_gpu_gets_the_form_that_its_library_has(
    x: Any, w: Any, options: dict[str, Any], chosen: str
) -> None:
    g = Geometry.of_conv(x, w, **options)
    for platform in ("cuda", "rocm"):
        plan = tc.plan(g, "conv_transpose", platform=platform)
        if platform == "rocm" and chosen == "direct" and g.stride[0] > 1:
            chosen = "polyphase"  # MIOpen's strided transposes are slow
        assert plan.algorithm == chosen
        left = {name for name, note in notes(plan).items() if "written for a CPU" in note}
        assert left == set(tc.ALGORITHMS) - {"direct", chosen}
    assert tc.plan(g, "conv_transpose", platform="tpu").algorithm == "direct"
    assert tc.plan(g, "conv_transpose", "int32", "cuda").algorithm == "patches"


def test_a_gpu_gets_a_product_where_xla_misreads_a_kernel_gradient() -> None:
    for out, name in ((4, "patches"), (5, "direct")):
        g = Geometry.of_kernel_gradient((8, 2 * out + 2, 10), (6, out, 4), (4, 4), stride=2)
        assert tc.plan(g, "kernel_gradient", platform="cuda").algorithm == name


def test_a_plan_shows_its_choice_its_reason_and_every_candidate() -> None:
    plan = tc.plan(Geometry.of_conv((4, 9), (4, 4, 3)), "conv", platform="cpu")
    head, reason, *lines = str(plan).splitlines()
    assert (head, reason.strip()) == (f"conv on cpu: {plan.algorithm}", plan.reason)
    assert [line.split()[0] for line in lines if "*" in line] == ["*"]
    assert [line[4:].split()[0] for line in lines] == [c.algorithm for c in plan.candidates]
    assert plan._repr_html_() == f"<pre>{html.escape(str(plan))}</pre>"


def test_a_plan_counts_the_taps_that_read_more_than_padding() -> None:
    far = Geometry.of_conv((16, 14, 14), (16, 16, 3, 3), padding=18, dilation=18)
    near = Geometry.of_conv((16, 14, 14), (16, 16, 1, 1))
    for partial in PARTIALS:
        found, alone = (tc.plan(g, partial, platform="cpu") for g in (far, near))  # type: ignore[arg-type]
        assert found.candidates == alone.candidates
        assert found.reason == f"{alone.reason}; 1 of 9 taps read more than padding"
    elsewhere = tc.plan(far, "conv", platform="tpu")
    assert "taps read" not in elsewhere.reason


def test_a_depthwise_layer_is_no_product() -> None:
    g = Geometry.of_conv_transpose((64, 56, 56), (64, 1, 4, 4), stride=2, padding=1, groups=64)
    found = {p: tc.plan(g, p, platform="cpu").algorithm for p in PARTIALS}  # type: ignore[arg-type]
    assert found["conv"] == found["conv_transpose"] == "taps"
    factors = Geometry.of_conv((64, 56, 56), (64, 1, 1, 1), stride=2, groups=64)
    for partial in ("conv", "conv_transpose"):
        plan = tc.plan(factors, partial, platform="cpu")
        assert plan.algorithm == "taps"
        assert "is a factor" in notes(plan)["patches"]
    for batch in (-1, (2, 2)):
        with pytest.raises(tc.GeometryError, match=r"^batch="):
            tc.plan(g, "conv", platform="cpu", batch=batch)  # type: ignore[arg-type]
