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
from tests.test_transformations import equations

PLATFORMS = pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
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


def lhs_dilated(text: str) -> list[str]:
    """The convolutions of a lowered program that spread their input with zeros."""
    lines = [line for line in text.splitlines() if "stablehlo.convolution" in line]
    return [line for line in lines if re.search(r"lhs_dilate = \[[\d, ]*[2-9]", line)]


def kernel_loss(y: jax.Array, options: dict[str, Any]) -> Callable[[jax.Array], jax.Array]:
    """Its gradient in w asks for y and x's cotangent only: no convolution but the gradient's."""
    return lambda w: tc.conv_transpose(y, w, **options).sum()


@PLATFORMS
@LAYERS
def test_the_kernel_gradient_spreads_no_input(
    platform: str, y_shape: Any, w_shape: Any, options: Any
) -> None:
    y, w = jnp.ones(y_shape, "float32"), jnp.ones(w_shape, "float32")
    gradient = jax.grad(kernel_loss(y, options))
    program = jax.make_jaxpr(gradient)(w)
    dilations = [e.params.get("lhs_dilation", (1,)) for e in equations(program.jaxpr)]
    assert all(set(d) == {1} for d in dilations)
    found = [e.params.get("partial") for e in equations(program.jaxpr)]
    assert [name for name in found if name] == ["conv_transpose", "kernel_gradient"]
    (text,) = [lowered(lambda x, y: tc.kernel_gradient(x, y, kernel_size=w_shape[2:], **options),
                       platform, tc.conv_transpose(y, w, **options), y)]  # fmt: skip
    assert not lhs_dilated(text)
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


def test_the_search_for_spread_inputs_can_find_one() -> None:
    y, w = jnp.ones((1, 4, 8)), jnp.ones((4, 2, 3))
    names = ("NCW", "IOW", "NCW")

    def plain(w: jax.Array) -> jax.Array:
        return jax.lax.conv_transpose(y, w, (2,), "VALID", dimension_numbers=names).sum()

    assert lhs_dilated(lowered(jax.grad(plain), "cuda", w))


@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_get_the_vjp_form(platform: str) -> None:
    """One convolution with its kernel reversed: what cuDNN's backward-data matcher looks for."""
    y, w = jnp.ones((2, 4, 8, 8), "float32"), jnp.ones((4, 3, 4, 4), "float32")
    text = lowered(lambda y, w: tc.conv_transpose(y, w, stride=2, padding=1), platform, y, w)
    assert text.count("stablehlo.convolution") == 1
    assert "stablehlo.reverse" in text or "reverse = [true, true]" in text
    assert "stablehlo.pad" not in text


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("platform", ["cuda", "tpu"])
def test_accelerators_keep_narrow_operands(platform: str, groups: int) -> None:
    y, w = jnp.ones((2, 4, 8), "bfloat16"), jnp.ones((4, 3, 4), "bfloat16")
    text = lowered(lambda y, w: tc.conv_transpose(y, w, stride=2, groups=groups), platform, y, w)
    (line,) = [line for line in text.splitlines() if "stablehlo.convolution" in line]
    assert line.count("bf16") == 3


def test_narrow_parts_of_a_sum_are_added_up_wide() -> None:
    """Three taps at stride 2 are two convolutions, whose sum would be rounded twice."""
    y, w = jnp.ones((2, 4, 8), "bfloat16"), jnp.ones((4, 3, 3), "bfloat16")
    text = lowered(lambda y, w: tc.conv_transpose(y, w, stride=2, groups=2), "cuda", y, w)
    lines = [line for line in text.splitlines() if "stablehlo.convolution" in line]
    assert len(lines) == 2
    assert not any("bf16" in line for line in lines)


ZEROS = re.compile(r"(lhs|rhs)_dilate = \[[\d, ]*[2-9]|stride = \[[\d, ]*[2-9]")


@pytest.mark.parametrize("platform", ["cuda", "rocm"])
@pytest.mark.parametrize(
    ("partial", "options"),
    [
        ("conv_transpose", {"stride": 2, "groups": 2}),
        ("kernel_gradient", {"stride": 2, "groups": 2}),
        ("conv", {"stride": 2, "dilation": 2}),
        ("conv_transpose", {"stride": 2, "dilation": 2}),
        ("kernel_gradient", {"stride": 2, "dilation": 2}),
        ("conv_transpose", {"stride": 2, "padding": ((3, 0), (0, 3))}),
        ("conv_transpose", {"stride": 3, "groups": 2}),  # a tap for each phase at most: a product
    ],
)
def test_gpus_get_no_form_for_which_xla_writes_zeros_out(
    partial: Any, options: dict[str, Any], platform: str
) -> None:
    """What finds cuDNN's transposes in XLA takes no groups, dilation or padding past the kernel."""
    x, w = jnp.ones((1, 4, 12, 12), "float32"), jnp.ones((2, 4, 3, 3), "float32")
    w = w[:, : 4 // options.get("groups", 1)]
    y = tc.conv(x, w, **options)
    operations: dict[str, Callable[..., jax.Array]] = {
        "conv": lambda x, w, y: tc.conv(x, w, **options),
        "conv_transpose": lambda x, w, y: tc.conv_transpose(
            y, w, output_size=x.shape[2:], **options
        ),
        "kernel_gradient": lambda x, w, y: tc.kernel_gradient(x, y, kernel_size=(3, 3), **options),
    }
    text = lowered(operations[partial], platform, x, w, y)
    lines = [line for line in text.splitlines() if "stablehlo.convolution" in line]
    assert not any(ZEROS.search(line) for line in lines)
    assert bool(lines) != ("dot_general" in text)
    # The form that is avoided is there to be found.
    direct = lowered(operations[partial], "tpu", x, w, y)
    assert any(ZEROS.search(line) for line in direct.splitlines())


def test_gpus_get_a_product_for_what_cudnn_has_not() -> None:
    ints = jnp.ones((1, 2, 8), "int32"), jnp.ones((2, 2, 3), "int32")
    four = jnp.ones((1, 1, 3, 3, 3, 3), "float32"), jnp.ones((1, 1, 2, 2, 2, 2), "float32")
    for a, w in (ints, four):
        text = lowered(lambda a, w: tc.conv_transpose(a, w), "cuda", a, w)
        assert "stablehlo.convolution" not in text
        assert "stablehlo.dot_general" in text


def test_export_to_three_platforms_with_a_symbolic_batch() -> None:
    (batch,) = export.symbolic_shape("b")
    y, w = np.ones((3, 4, 6, 5), np.float32), np.arange(96, dtype=np.float32).reshape(4, 2, 3, 4)

    def step(y: Any, w: Any) -> Any:
        options: dict[str, Any] = {"stride": 2, "padding": 1}
        loss = lambda y, w: (tc.conv_transpose(y, w, **options) ** 2).sum()  # noqa: E731
        return tc.conv_transpose(y, w, **options), jax.grad(loss, (0, 1))(y, w)

    exported = export.export(jax.jit(step), platforms=["cpu", "cuda", "tpu"])(
        jax.ShapeDtypeStruct((batch, 4, 6, 5), np.float32),
        jax.ShapeDtypeStruct(w.shape, np.float32),
    )
    assert exported.platforms == ("cpu", "cuda", "tpu")
    again = export.deserialize(exported.serialize(vjp_order=0))
    for one, other in zip(
        jax.tree.leaves(again.call(y, w)), jax.tree.leaves(step(y, w)), strict=True
    ):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("algorithm", tc.ALGORITHMS)
def test_every_algorithm_exports_with_a_symbolic_batch(algorithm: str) -> None:
    (batch,) = export.symbolic_shape("b")
    w = np.ones((4, 1, 3, 2), np.float32)
    options: dict[str, Any] = {"stride": (2, 1), "groups": 2, "algorithm": algorithm}

    @jax.jit
    def step(y: Any, w: Any) -> Any:
        z, vjp = jax.vjp(lambda y, w: tc.conv_transpose(y, w, **options), y, w)
        return z, vjp(z)

    exported = export.export(step)(jax.ShapeDtypeStruct((batch, 4, 5, 5), np.float32), w)
    y = np.ones((2, 4, 5, 5), np.float32)
    for one, other in zip(
        jax.tree.leaves(exported.call(y, w)), jax.tree.leaves(step(y, w)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("platform", ["cpu", "cuda", "tpu"])
@pytest.mark.parametrize("algorithm", tc.ALGORITHMS)
def test_calls_are_kept_on_a_cpu_alone(algorithm: str, platform: str) -> None:
    """A call that must not be inlined stands between two loops; elsewhere none has been tried."""
    y, w = np.ones((1, 16, 40, 40), np.float32), np.ones((16, 4, 4, 4), np.float32)
    f = jax.jit(lambda y, w: tc.conv_transpose(y, w, stride=2, algorithm=algorithm))
    text = export.export(f, platforms=[platform])(y, w).mlir_module()
    assert ("inlineable" in text) == (platform == "cpu" and algorithm == "patches")


@pytest.mark.parametrize("partial", ["conv", "conv_transpose", "kernel_gradient"])
def test_select_algorithm_is_what_auto_does(partial: Any) -> None:
    g = tc.Geometry.of_conv((4, 9, 9), (6, 2, 4, 4), stride=2, groups=2)
    for platform in ("cpu", "cuda", "rocm", "tpu"):
        name = tc.select_algorithm(g, partial, jnp.float32, platform)
        assert name in tc.ALGORITHMS
        assert (name == "direct") or platform != "tpu"
    assert tc.select_algorithm(g, partial) == tc.select_algorithm(g, partial, "float32", "cpu")
