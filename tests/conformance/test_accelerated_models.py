"""Models of Flax NNX, Haiku and Equinox, their own layers: accelerated, they are what they were.

The three are not installed with the tests; ``pip install flax dm-haiku equinox`` brings them, and
``pytest tests/conformance`` runs what is here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tconvjax import accelerate
from tconvjax.acceleration import report

LIBRARIES = ("flax", "haiku", "equinox")


def library(name: str) -> Any:
    """A library, or a skip that says what was not run."""
    return pytest.importorskip(
        name,
        reason=f"{name} is not installed, so its models were not accelerated; 'pip install flax "
        "dm-haiku equinox' and 'pytest tests/conformance' run them",
    )


def flax_model(rank: int) -> tuple[Any, Callable[..., Any]]:
    nnx = library("flax.nnx")
    up, mix, down = (
        kind(4, 4, kernel_size=(k,) * rank, strides=(s,) * rank, rngs=nnx.Rngs(0), **widths)
        for kind, k, s, widths in (
            (nnx.ConvTranspose, 4, 2, {}),
            (nnx.Conv, 3, 1, {"feature_group_count": 2}),
            (nnx.Conv, 3, 2, {}),
        )
    )
    graph, state = nnx.split(nnx.List([up, mix, down]))

    def forward(state: Any, x: Any) -> Any:
        up, mix, down = nnx.merge(graph, state)
        return down(jnp.tanh(mix(jnp.tanh(up(x)))))

    return state, forward


def haiku_model(rank: int) -> tuple[Any, Callable[..., Any]]:
    hk = library("haiku")

    def forward(x: Any) -> Any:
        x = jnp.tanh(hk.ConvNDTranspose(rank, 4, 4, stride=2)(x))
        x = jnp.tanh(hk.ConvND(rank, 4, 3, feature_group_count=2)(x))
        return hk.ConvND(rank, 4, 3, stride=2)(x)

    model = hk.without_apply_rng(hk.transform(forward))
    return model.init(jax.random.key(0), jnp.zeros((2, *(6,) * rank, 4), jnp.float32)), model.apply


def equinox_model(rank: int) -> tuple[Any, Callable[..., Any]]:
    eqx = library("equinox")
    keys = jax.random.split(jax.random.key(0), 3)
    nn = eqx.nn
    model = nn.Sequential([
        nn.ConvTranspose(rank, 4, 4, 4, 2, padding=1, dtype=jnp.float32, key=keys[0]),
        nn.Lambda(jnp.tanh),
        nn.Conv(rank, 4, 4, 3, padding=1, groups=2, dtype=jnp.float32, key=keys[1]),
        nn.Lambda(jnp.tanh),
        nn.Conv(rank, 4, 4, 3, 2, padding=1, dtype=jnp.float32, key=keys[2]),
    ])  # fmt: skip
    arrays, static = eqx.partition(model, eqx.is_array)

    def forward(arrays: Any, x: Any) -> Any:
        each = eqx.combine(arrays, static)
        return jax.vmap(lambda x: jnp.moveaxis(each(jnp.moveaxis(x, -1, 0)), 0, -1))(x)

    return arrays, forward


def assert_close(one: Any, other: Any) -> None:
    assert one.dtype == other.dtype
    scale = float(abs(np.asarray(other)).max())
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * scale)


MODELS = {"flax": flax_model, "haiku": haiku_model, "equinox": equinox_model}


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("name", LIBRARIES)
def test_a_model_has_the_same_gradients(name: str, rank: int) -> None:
    weights, forward = MODELS[name](rank)
    x = jax.random.normal(jax.random.key(1), (2, *(6,) * rank, 4), jnp.float32)

    def loss(weights: Any, x: Any) -> Any:
        return (forward(weights, x) ** 2).mean()

    gradients = jax.grad(loss, (0, 1))
    expected = jax.jit(gradients)(weights, x)
    for fast in (jax.grad(accelerate(loss), (0, 1)), accelerate(gradients)):
        result = jax.jit(fast)(weights, x)
        jax.tree.map(assert_close, result, expected)  # it raises where the trees differ
    first = report(loss, weights, x).convolutions[0]
    assert first.partial == "conv_transpose"


def test_a_module_is_an_argument_like_any_other() -> None:
    """Its arrays are traced, the rest of it stays: Equinox's own way of writing."""
    eqx = library("equinox")
    layer = eqx.nn.ConvTranspose3d(2, 3, 2, 2, dtype=jnp.float32, key=jax.random.key(0))
    x = jnp.ones((2, 4, 4, 4), jnp.float32)
    loss = lambda layer, x: (layer(x) ** 2).sum()  # noqa: E731
    result = eqx.filter_jit(eqx.filter_grad(accelerate(loss)))(layer, x)
    expected = eqx.filter_grad(loss)(layer, x)
    np.testing.assert_allclose(result.weight, expected.weight, rtol=1e-5)
    np.testing.assert_allclose(accelerate(layer)(x), layer(x), rtol=1e-5)
