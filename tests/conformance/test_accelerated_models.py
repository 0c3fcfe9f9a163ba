"""Models of Flax NNX, Haiku and Equinox, their own layers: accelerated, they are what they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tconvjax import accelerate
from tconvjax.acceleration import report
from tests.conformance.test_peers import peer


def flax_model(rank: int) -> tuple[Any, Callable[..., Any]]:
    nnx = peer("flax.nnx")
    rngs, k, s = nnx.Rngs(0), (3,) * rank, (2,) * rank
    up = nnx.ConvTranspose(4, 4, (4,) * rank, s, rngs=rngs)
    mix = nnx.Conv(4, 4, k, feature_group_count=2, rngs=rngs)
    down = nnx.Conv(4, 4, k, s, rngs=rngs)
    graph, state = nnx.split(nnx.List([up, mix, down]))

    def forward(state: Any, x: Any) -> Any:
        up, mix, down = nnx.merge(graph, state)
        return down(jnp.tanh(mix(jnp.tanh(up(x)))))

    return state, forward


def haiku_model(rank: int) -> tuple[Any, Callable[..., Any]]:
    hk = peer("haiku")

    def forward(x: Any) -> Any:
        x = jnp.tanh(hk.ConvNDTranspose(rank, 4, 4, stride=2)(x))
        x = jnp.tanh(hk.ConvND(rank, 4, 3, feature_group_count=2)(x))
        return hk.ConvND(rank, 4, 3, stride=2)(x)

    model = hk.without_apply_rng(hk.transform(forward))
    return model.init(jax.random.key(0), jnp.zeros((2, *(6,) * rank, 4), jnp.float32)), model.apply


def equinox_model(rank: int) -> tuple[Any, Callable[..., Any]]:
    eqx = peer("equinox")
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


@pytest.mark.parametrize(
    ("model", "rank"), [(haiku_model, 1), (flax_model, 2), (equinox_model, 2), (flax_model, 3)]
)
def test_a_model_has_the_same_gradients(model: Any, rank: int) -> None:
    weights, forward = model(rank)
    x = jax.random.normal(jax.random.key(1), (2, *(6,) * rank, 4), jnp.float32)

    def loss(weights: Any, x: Any) -> Any:
        return (forward(weights, x) ** 2).mean()

    gradients = jax.grad(loss, (0, 1))
    expected = jax.jit(gradients)(weights, x)
    for fast in (jax.grad(accelerate(loss), (0, 1)), accelerate(gradients)):
        result = jax.jit(fast)(weights, x)
        jax.tree.map(assert_close, result, expected)  # it raises where the trees differ
    assert report(loss, weights, x).convolutions[0].partial == "conv_transpose"


def test_a_module_is_an_argument_like_any_other() -> None:
    """Its arrays are traced, the rest of it stays: Equinox's own way of writing."""
    eqx = peer("equinox")
    layer = eqx.nn.ConvTranspose3d(2, 3, 2, 2, dtype=jnp.float32, key=jax.random.key(0))
    x = jnp.ones((2, 4, 4, 4), jnp.float32)
    loss = lambda layer, x: (layer(x) ** 2).sum()  # noqa: E731
    result = eqx.filter_jit(eqx.filter_grad(accelerate(loss)))(layer, x)
    expected = eqx.filter_grad(loss)(layer, x)
    np.testing.assert_allclose(result.weight, expected.weight, rtol=1e-5)
    np.testing.assert_allclose(accelerate(layer)(x), layer(x), rtol=1e-5)
