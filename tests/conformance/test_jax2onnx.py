"""A decoder of this package, converted by jax2onnx and run by ONNX Runtime, gives JAX's results."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tconvjax as tc

WHY = (
    "{} is not installed, so no model was converted to ONNX; "
    "\"pip install -e '.[peers]'\" and 'pytest tests/conformance' convert some"
)
MISSING = pytest.mark.xfail(
    raises=NotImplementedError, strict=True, reason="jax2onnx 0.17.1 knows few convolutions"
)
Y, X = (2, 4, 5, 6), (2, 4, 9, 8)
LAYERS: dict[str, tuple[Any, tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "stride": (tc.conv_transpose, Y, (4, 3, 4, 4), {"stride": 2, "padding": 1}),
    "stride 1": (tc.conv_transpose, Y, (4, 3, 3, 2), {"padding": ((3, 0), (1, 4))}),
    "groups": (tc.conv_transpose, Y, (4, 3, 4, 3), {"stride": (2, 3), "groups": 2}),
    "depthwise": (tc.conv_transpose, Y, (4, 1, 2, 2), {"stride": 2, "groups": 4}),
    "dilation": (tc.conv_transpose, Y, (4, 3, 3, 2), {"stride": 2, "dilation": (2, 3)}),
    "a gap": (tc.conv_transpose, Y, (4, 3, 1, 1), {"stride": 3}),
    "SAME": (tc.conv_transpose, Y, (4, 3, 3, 5), {"stride": 3, "padding": "SAME"}),
    "output_padding": (tc.conv_transpose, Y, (4, 3, 3, 3), {"stride": 2, "output_padding": 1}),
    "negative": (tc.conv_transpose, Y, (4, 3, 3, 3), {"stride": 2, "padding": -1}),
    "channels last": (tc.conv_transpose, (2, 5, 6, 4), (4, 3, 4, 4),
                      {"stride": 2, "dimension_numbers": ("NHWC", "OIHW", "NHWC")}),
    "one axis": (tc.conv_transpose, (2, 4, 7), (4, 3, 4), {"stride": 2, "padding": 1}),
    "conv": (tc.conv, X, (6, 4, 3, 3), {"stride": 2, "padding": 1}),
    "conv, groups": (tc.conv, X, (6, 2, 3, 3), {"dilation": 2, "groups": 2}),
    "conv, negative": (tc.conv, X, (6, 4, 3, 2), {"stride": 2, "padding": ((-2, 1), (0, -1))}),
    "conv, causal": (tc.conv, (2, 4, 9), (6, 4, 3), {"dilation": 2, "padding": "CAUSAL"}),
}  # fmt: skip
"""Operations, the shapes of their data and kernels, and their options."""


@pytest.fixture(autouse=True)
def _caches() -> Iterator[None]:
    """Leave no program in JAX's caches that jax2onnx traced with its own parts of JAX."""
    yield
    jax.clear_caches()


def check(fn: Callable[[Any], Any], x: Any, shape: Any = None) -> list[str]:
    """What ONNX Runtime computes is what the function returns, to 1e-5 of its largest element.

    Returns the names of the operators.
    """
    expected = np.asarray(fn(x))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that jax2onnx imports
        convert = pytest.importorskip("jax2onnx", reason=WHY.format("jax2onnx")).to_onnx
        runtime = pytest.importorskip("onnxruntime", reason=WHY.format("onnxruntime"))
        model = convert(fn, [shape or jax.ShapeDtypeStruct(x.shape, x.dtype)])
    session = runtime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {session.get_inputs()[0].name: np.asarray(x)})
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
    return [node.op_type for node in model.graph.node]


@pytest.mark.parametrize("name", LAYERS)
def test_an_operation_is_one_operator_of_onnx(name: str) -> None:
    """Whatever its stride, padding, groups and layout; so is its gradient in the data."""
    operation, of_data, of_kernel, options = LAYERS[name]
    data = jax.random.normal(jax.random.key(0), of_data, jnp.float32)
    w = jax.random.normal(jax.random.key(1), of_kernel, jnp.float32)

    def f(data: Any) -> Any:
        return operation(data, w, **options)

    named = check(f, data)
    assert named.count("ConvTranspose") + named.count("Conv") == 1
    if operation is tc.conv_transpose and options.get("stride", 1) != 1:
        assert "ConvTranspose" in named
    named = check(jax.grad(lambda data: (f(data) ** 2).sum()), data)
    assert named.count("ConvTranspose") + named.count("Conv") == 2


def test_what_has_no_operator_is_converted_as_an_algorithm() -> None:
    volume = jax.random.normal(jax.random.key(0), (1, 2, 3, 4, 3), jnp.float32)
    kernel = jax.random.normal(jax.random.key(1), (2, 3, 2, 3, 2), jnp.float32)
    check(lambda y: tc.conv_transpose(y, kernel, stride=2), volume)
    line, short = volume[..., 0, 0], kernel[:, :, 0, :, 0]
    away: Any = ((9, -9),)
    check(lambda y: 1 + tc.conv_transpose(y, short, padding=away), line)
    check(lambda y: 1 + tc.conv_transpose(y, short, stride=2, padding=away), line)
    check(lambda x: 1 + tc.conv(x, jnp.swapaxes(short, 0, 1), padding=((-9, 9),)), line)
    y = jax.random.normal(jax.random.key(0), Y, jnp.float32)
    w = jax.random.normal(jax.random.key(1), (4, 3, 4, 4), jnp.float32)
    check(jax.grad(lambda w: (tc.conv_transpose(y, w, stride=2, padding=1) ** 2).sum()), w)
    taps = check(lambda y: tc.conv_transpose(y, w, stride=2, algorithm="taps"), y)
    assert "ConvTranspose" not in taps


def test_a_symbol_may_stand_for_the_batch() -> None:
    y = jax.random.normal(jax.random.key(0), Y, jnp.float32)
    w = jax.random.normal(jax.random.key(1), (4, 3, 4, 4), jnp.float32)
    named = check(lambda y: tc.conv_transpose(y, w, stride=2, padding=1), y, ("B", *Y[1:]))
    assert named.count("ConvTranspose") == 1


@pytest.mark.parametrize(
    "algorithm",
    [
        "auto",
        "patches",
        "taps",
        pytest.param("direct", marks=MISSING),
        pytest.param("polyphase", marks=MISSING),
    ],
)
def test_a_decoder(algorithm: str) -> None:
    """Two layers, the second in groups, written in JAX's own primitives."""
    keys = jax.random.split(jax.random.key(0), 3)
    code = jax.random.normal(keys[0], (2, 4, 5, 6), jnp.float32)
    first = jax.random.normal(keys[1], (4, 8, 4, 4), jnp.float32)
    second = jax.random.normal(keys[2], (8, 2, 3, 3), jnp.float32)

    def decode(code: Any) -> Any:
        hidden = jnp.tanh(tc.conv_transpose(code, first, stride=2, padding=1))
        return tc.conv_transpose(hidden, second, stride=2, padding=1, groups=2)

    check(tc.plain(decode, algorithm), code)


@pytest.mark.parametrize("written", [True, False], ids=["plain", "as it is"])
def test_a_generator_in_nnx(written: bool) -> None:
    """With statistics, a border that wraps around and one axis, its module given as it is."""
    nnx = pytest.importorskip("flax.nnx", reason=WHY.format("flax"))
    from tconvjax.layers.nnx import Conv, ConvTranspose

    rngs = nnx.Rngs(0)
    model = nnx.Sequential(
        ConvTranspose(4, 16, 16, 8, padding=4, rngs=rngs),
        nnx.BatchNorm(16, use_running_average=True, rngs=rngs),
        jnp.tanh,
        ConvTranspose(16, 4, 8, 4, padding=2, rngs=rngs),
        Conv(4, 2, 7, padding="CIRCULAR", kernel_dilation=2, rngs=rngs),
    )
    signal = jax.random.normal(jax.random.key(1), (2, 9, 4), jnp.float32)
    check(tc.plain(model) if written else model, signal)
