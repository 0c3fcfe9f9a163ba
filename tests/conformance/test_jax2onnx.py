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


@pytest.fixture(autouse=True)
def _caches() -> Iterator[None]:
    """Leave no program in JAX's caches that jax2onnx traced with its own parts of JAX."""
    yield
    jax.clear_caches()


def check(fn: Callable[[Any], Any], x: Any, algorithm: str = "auto") -> None:
    """What ONNX Runtime computes is what the function returns, to 1e-5 of its largest element."""
    expected = np.asarray(fn(x))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the libraries that jax2onnx imports
        convert = pytest.importorskip("jax2onnx", reason=WHY.format("jax2onnx")).to_onnx
        runtime = pytest.importorskip("onnxruntime", reason=WHY.format("onnxruntime"))
        model = convert(tc.plain(fn, algorithm), [jax.ShapeDtypeStruct(x.shape, x.dtype)])
    session = runtime.InferenceSession(model.SerializeToString())
    (found,) = session.run(None, {session.get_inputs()[0].name: np.asarray(x)})
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()


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
    """Two layers, the second in groups."""
    keys = jax.random.split(jax.random.key(0), 3)
    code = jax.random.normal(keys[0], (2, 4, 5, 6), jnp.float32)
    first = jax.random.normal(keys[1], (4, 8, 4, 4), jnp.float32)
    second = jax.random.normal(keys[2], (8, 2, 3, 3), jnp.float32)

    def decode(code: Any) -> Any:
        hidden = jnp.tanh(tc.conv_transpose(code, first, stride=2, padding=1))
        return tc.conv_transpose(hidden, second, stride=2, padding=1, groups=2)

    check(decode, code, algorithm)


def test_a_generator_in_nnx() -> None:
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
    check(model, jax.random.normal(jax.random.key(1), (2, 9, 4), jnp.float32))
