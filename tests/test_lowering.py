"""What each platform is handed, read from lowered text on a machine that has a CPU only."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import tconvjax as tc
from tests.oracles import equations
from tests.reading import read
from tests.strategies import Arguments
from tests.test_transformations import function, operands

LAYERS = pytest.mark.parametrize(
    ("y_shape", "w_shape", "options"),
    [
        ((1, 16, 64), (16, 8, 16), {"stride": 8, "padding": 4}),
        ((2, 4, 8, 8), (4, 3, 4, 5), {"stride": 2, "padding": 1}),
        ((2, 4, 8, 8), (4, 1, 3, 3), {"stride": 3, "padding": 1, "groups": 4}),
        ((1, 4, 6, 6), (4, 2, 2, 2), {"stride": 2}),
        ((1, 4, 4, 4, 4), (4, 2, 3, 3, 3), {"stride": 2, "dilation": 2}),
    ],
    ids=["1d", "2d", "depthwise", "tiles", "3d"],
)


def lowered(f: Callable[..., Any], platform: str, *args: Any) -> str:
    return str(jax.jit(f).trace(*args).lower(lowering_platforms=(platform,)).as_text())


def convolutions(text: str) -> list[str]:
    """The lines of a lowered program that hold one."""
    return [line for line in text.splitlines() if "stablehlo.convolution" in line]


def lhs_dilated(text: str) -> list[str]:
    """The convolutions of a lowered program that spread their input with zeros."""
    return [line for line in convolutions(text) if re.search(r"lhs_dilate = \[[\d, ]*[2-9]", line)]


@LAYERS
def test_the_kernel_gradient_spreads_no_input(y_shape: Any, w_shape: Any, options: Any) -> None:
    y, w = np.ones(y_shape, "float32"), np.ones(w_shape, "float32")
    # It asks for y and x's cotangent only, so there is no convolution but the gradient's.
    gradient = jax.grad(lambda w: tc.conv_transpose(y, w, **options).sum())
    found = list(equations(jax.make_jaxpr(gradient)(w)))
    assert all(set(e.params.get("lhs_dilation", (1,))) == {1} for e in found)
    partials = [e.params["recipe"].partial for e in found if "recipe" in e.params]
    assert partials == ["conv_transpose", "kernel_gradient"]
    x = jax.eval_shape(lambda y, w: tc.conv_transpose(y, w, **options), y, w)
    alone = lambda x, y: tc.kernel_gradient(x, y, kernel_size=w_shape[2:], **options)  # noqa: E731
    for platform in ("cpu", "cuda", "tpu"):
        assert not lhs_dilated(lowered(alone, platform, x, y))
        # In the whole training step the one spread input is the transposed convolution itself.
        spread = lhs_dilated(lowered(gradient, platform, w))
        assert len(spread) <= (0 if platform == "cpu" else 1)


@pytest.mark.parametrize(
    ("x", "w", "dtype"),
    [((32, 64, 64, 64), (32, 32, 5, 5, 5), "float32"), ((1, 16000), (1, 1, 1024), "int32")],
)
def test_no_choice_makes_copies_past_all_bounds(x: Any, w: Any, dtype: str) -> None:
    """XLA's own figure for its temporary memory; the arrays themselves take 70 MB at most."""
    shapes = jax.ShapeDtypeStruct((1, *x), dtype), jax.ShapeDtypeStruct(w, dtype)
    compiled = jax.jit(lambda x, w: tc.conv(x, w, padding=2)).lower(*shapes).compile()
    usage: Any = compiled.memory_analysis()
    assert usage.temp_size_in_bytes < 2**28


@pytest.mark.parametrize(("kernel", "loops"), [(1, False), (3, True)])
def test_a_kernel_of_one_tap_is_one_product_at_any_size(kernel: int, loops: bool) -> None:
    def f(x: Any, w: Any) -> Any:
        return tc.conv(x, w, dimension_numbers=("NWC", "WIO", "NWC"), algorithm="patches")

    shapes = (9, 30_000, 16), (kernel, 16, 8)
    text = lowered(f, "cpu", *(jax.ShapeDtypeStruct(shape, "float32") for shape in shapes))
    assert ("stablehlo.while" in text) is loops


@pytest.mark.parametrize("numbers", [None, ("NHWC", "HWIO", "NHWC"), ("HWCN", "OIHW", "NCHW")])
def test_a_cpu_gets_the_one_layout_that_is_fast_within_a_loop(numbers: Any) -> None:
    """XLA brings operands into it only where there is no loop around the convolution."""
    options: dict[str, Any] = {"dimension_numbers": numbers, "algorithm": "direct", "padding": 1}
    shapes = (1, 4, 5, 6), (3, 4, 2, 3)
    specs = jax.lax.conv_dimension_numbers(*shapes, numbers)
    x, w = (
        np.ones(np.array(shape)[np.argsort(spec)], np.float32)
        for shape, spec in zip(shapes, specs[:2], strict=True)
    )

    def step(x: Any, w: Any) -> Any:
        y, vjp = jax.vjp(lambda x, w: tc.conv(x, w, **options), x, w)
        return vjp(y)

    found = convolutions(lowered(step, "cpu", x, w))
    assert len(found) == 3
    assert all("[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]" in line for line in found)


@pytest.mark.parametrize("algorithm", tc.ALGORITHMS)
def test_taps_that_read_only_padding_are_not_multiplied_on_a_cpu(algorithm: str) -> None:
    """XLA counts hardly more operations than for the kernel without them."""
    x, y, w = (np.ones(s, "float32") for s in ((2, 8, 5, 7), (2, 6, 5, 7), (6, 8, 3, 5)))
    far: dict[str, Any] = {"padding": (6, 2), "dilation": (6, 1), "algorithm": algorithm}
    near = {**far, "padding": (0, 2), "dilation": 1}
    middle = w[:, :, 1:2]
    for few, many in (
        (lambda: tc.conv(x, middle, **near), lambda: tc.conv(x, w, **far)),
        (lambda: tc.conv_transpose(y, middle, **near), lambda: tc.conv_transpose(y, w, **far)),
        (
            lambda: tc.kernel_gradient(x, y, kernel_size=(1, 5), **near),
            lambda: tc.kernel_gradient(x, y, kernel_size=(3, 5), **far),
        ),
    ):
        analyses: list[Any] = [jax.jit(f).lower().cost_analysis() for f in (few, many)]
        counts = [found["flops"] for found in analyses]
        assert counts[1] < 1.1 * counts[0]


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_get_the_vjp_form(platform: str) -> None:
    """One convolution with its kernel reversed: what cuDNN's backward-data matcher looks for."""
    y, w = jnp.ones((2, 4, 8, 8), "float32"), jnp.ones((4, 3, 4, 4), "float32")
    text = lowered(lambda y, w: tc.conv_transpose(y, w, stride=2, padding=1), platform, y, w)
    assert len(lhs_dilated(text)) == len(convolutions(text)) == 1
    assert "stablehlo.reverse" in text or "reverse = [true, true]" in text
    assert "stablehlo.pad" not in text


@pytest.mark.parametrize(
    ("platform", "groups", "taps", "narrow"),
    [("cuda", 1, 4, [3]), ("cuda", 2, 4, [3]), ("tpu", 1, 4, [3]), ("tpu", 2, 4, [3]),
     ("cuda", 2, 3, [0, 0])],
)  # fmt: skip
def test_accelerators_keep_narrow_operands(
    platform: str, groups: int, taps: int, narrow: list[int]
) -> None:
    """But three taps at stride 2 are two convolutions, whose sum would be rounded twice."""
    y, w = jnp.ones((2, 4, 8), "bfloat16"), jnp.ones((4, 3, taps), "bfloat16")
    text = lowered(lambda y, w: tc.conv_transpose(y, w, stride=2, groups=groups), platform, y, w)
    assert [line.count("bf16") for line in convolutions(text)] == narrow


ZEROS = re.compile(r"(lhs|rhs)_dilate = \[[\d, ]*[2-9]|stride = \[[\d, ]*[2-9]")


SIMPLE: dict[str, Any] = {
    "stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1,
}  # fmt: skip
TWO, THREE = (2, 2), (3, 3)


@pytest.mark.parametrize("platform", ["cuda", "rocm"])
@pytest.mark.parametrize(
    ("partial", "options"),
    [
        ("conv_transpose", {"stride": TWO, "groups": 2}),
        ("kernel_gradient", {"stride": TWO, "groups": 2}),
        ("conv", {"stride": TWO, "dilation": TWO}),
        ("conv_transpose", {"stride": TWO, "dilation": TWO}),
        ("kernel_gradient", {"stride": TWO, "dilation": TWO}),
        ("conv_transpose", {"stride": TWO, "padding": ((3, 0), (0, 3))}),
        ("conv_transpose", {"stride": THREE, "groups": 2}),  # a tap for each phase: a product
    ],
)
def test_gpus_get_no_form_for_which_xla_writes_zeros_out(
    partial: Any, options: dict[str, Any], platform: str
) -> None:
    """What finds cuDNN's transposes in XLA takes no groups, dilation or padding past the kernel."""
    a = Arguments(1, 4, 2, (12, 12), (3, 3), **SIMPLE | options)
    f, (p, q, _) = function(a, partial), operands(a, partial, np.float32)
    text = lowered(f, platform, p, q)
    lines = convolutions(text)
    assert not any(ZEROS.search(line) for line in lines)
    assert bool(lines) != ("dot_general" in text)
    # The form that is avoided is there to be found.
    assert any(ZEROS.search(line) for line in lowered(f, "tpu", p, q).splitlines())


def test_gpus_get_a_product_for_what_cudnn_has_not() -> None:
    ints = jnp.ones((1, 2, 8), "int32"), jnp.ones((2, 2, 3), "int32")
    four = jnp.ones((1, 1, 3, 3, 3, 3), "float32"), jnp.ones((1, 1, 2, 2, 2, 2), "float32")
    for a, w in (ints, four):
        text = lowered(lambda a, w: tc.conv_transpose(a, w), "cuda", a, w)
        assert "stablehlo.convolution" not in text
        assert "stablehlo.dot_general" in text


@pytest.mark.parametrize("algorithm", ["auto", *tc.ALGORITHMS])
def test_every_algorithm_exports_to_three_platforms_with_a_symbolic_batch(algorithm: str) -> None:
    (batch,) = export.symbolic_shape("b")
    y, w = np.ones((2, 4, 5, 5), np.float32), np.ones((4, 1, 3, 2), np.float32)
    options: dict[str, Any] = {"stride": (2, 1), "groups": 2, "algorithm": algorithm}

    def step(y: Any, w: Any) -> Any:
        z, vjp = jax.vjp(lambda y, w: tc.conv_transpose(y, w, **options), y, w)
        return z, vjp(z)

    platforms = ("cpu", "cuda", "tpu")
    exported = export.export(jax.jit(step), platforms=platforms)(
        jax.ShapeDtypeStruct((batch, 4, 5, 5), np.float32), w
    )
    assert exported.platforms == platforms
    again = export.deserialize(exported.serialize(vjp_order=0))
    jax.tree.map(np.testing.assert_array_equal, again.call(y, w), read(step, y, w))


@pytest.mark.parametrize("partial", ["conv", "conv_transpose", "kernel_gradient"])
def test_a_plan_names_an_algorithm_on_every_platform(partial: Any) -> None:
    g = tc.Geometry.of_conv((4, 9, 9), (6, 2, 4, 4), stride=2, groups=2)
    for platform in ("cpu", "cuda", "rocm", "tpu"):
        name = tc.plan(g, partial, jnp.float32, platform).algorithm
        assert name in tc.ALGORITHMS
        assert (name == "direct") or platform != "tpu"
    assert tc.plan(g, partial) == tc.plan(g, partial, "float32", "cpu")
