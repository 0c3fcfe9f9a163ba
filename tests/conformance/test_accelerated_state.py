"""Modules of Flax NNX change in place what they keep; accelerated, they change it as before."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tconvjax import GeometryError, accelerate, plain
from tconvjax.acceleration import report
from tests.conformance.test_peers import peer

nnx = peer("flax.nnx")
X = jax.random.normal(jax.random.key(0), (2, 4, 4, 4), jnp.float32)


class Net(nnx.Module):  # type: ignore[misc]
    """A convolution, statistics and a counter of random numbers."""

    def __init__(self) -> None:
        rngs = nnx.Rngs(0)
        self.up = nnx.ConvTranspose(4, 4, (4, 4), strides=(2, 2), rngs=rngs)
        self.norm = nnx.BatchNorm(4, rngs=rngs)
        self.drop = nnx.Dropout(0.5, rngs=rngs)

    def __call__(self, x: Any) -> Any:
        """The same layer by layer."""
        return self.drop(self.norm(self.up(x)))


def loss(model: Any, x: Any) -> Any:
    return (model(x) ** 2).mean()


def of_both(model: Any, x: Any) -> Any:
    return nnx.value_and_grad(loss)(model, x)


def layers(fast: Any, model: Any, scanned: Any) -> Any:
    """A loss in each round of a scan, with the model as its carry."""
    carried = nnx.scan(scanned, in_axes=(nnx.Carry, 0), out_axes=(nnx.Carry, 0))
    return fast(carried)(model, jnp.stack([X, 2 * X]))[1]


def rounds(model: Any, x: Any) -> Any:
    return model, loss(model, x)


def grown(model: Any, x: Any) -> Any:
    model.extra = nnx.Param(x.sum())
    return loss(model, x)


def same(f: Any) -> Any:
    return f


USES: dict[str, Callable[[Any, Any], Any]] = {
    "an argument": lambda fast, m: fast(loss)(m, X),
    "a keyword": lambda fast, m: fast(lambda *, m: loss(m, X))(m=m),
    "in a dict": lambda fast, m: fast(lambda d: loss(d["m"][0], d["x"]))({"m": [m], "x": X}),
    "twice": lambda fast, m: fast(lambda p, q: loss(p, X) + loss(q, X))(m, m),
    "itself": lambda fast, m: fast(m)(X),
    "a method": lambda fast, m: fast(m.__call__)(X),
    "in nnx.jit": lambda fast, m: nnx.jit(fast(loss))(m, X),
    "around nnx.jit": lambda fast, m: fast(nnx.jit(loss))(m, X),
    "in nnx.grad": lambda fast, m: nnx.grad(fast(loss))(m, X),
    "around nnx.grad": lambda fast, m: fast(of_both)(m, X),
    "in nnx.remat": lambda fast, m: nnx.grad(nnx.remat(fast(loss)))(m, X),
    "around nnx.remat": lambda fast, m: fast(nnx.grad(nnx.remat(loss)))(m, X),
    "in nnx.scan": lambda fast, m: layers(same, m, fast(rounds)),
    "around nnx.scan": lambda fast, m: layers(fast, m, rounds),
    "a new attribute": lambda fast, m: (fast(grown)(m, X), m.extra[...]),
    "a result": lambda fast, m: fast(rounds)(m, X)[1],
}


@pytest.mark.parametrize("use", USES)
def test_what_a_module_keeps_is_what_the_plain_run_keeps(use: str) -> None:
    kept = []
    for fast in (same, accelerate):
        model = Net()
        results = [USES[use](fast, model) for _ in range(2)]
        kept.append((results, nnx.to_pure_dict(nnx.state(model, nnx.BatchStat)),
                     int(model.drop.rngs.count[...])))  # fmt: skip
    assert kept[0][2] == kept[1][2] > 0
    plain, ours = (jax.tree.leaves(each) for each in kept)
    for one, other in zip(plain, ours, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_a_module_that_is_no_argument_is_refused_where_it_changes() -> None:
    model = Net()
    with pytest.raises(GeometryError, match="pass the module as an argument"):
        accelerate(lambda x: loss(model, x))(X)
    model.eval()  # nothing changes now
    np.testing.assert_allclose(accelerate(lambda x: loss(model, x))(X), loss(model, X), rtol=1e-5)


USES_OF_X: dict[str, Callable[[Any, Any, Any], Any]] = {
    "itself": lambda fast, m, x: fast(m)(x),
    "a method": lambda fast, m, x: fast(m.__call__)(x),
    "an argument": lambda fast, m, x: fast(lambda m, x: m(x))(m, x),
}


@pytest.mark.parametrize("fast", [accelerate, plain])
@pytest.mark.parametrize("use", USES_OF_X)
def test_a_module_from_outside_of_a_jit_runs_unless_it_changes(fast: Any, use: str) -> None:
    """A converter traces a model so. In evaluation nothing changes; in training it is refused."""
    model = Net()
    with pytest.raises(GeometryError, match="pass the module as an argument"):
        jax.jit(lambda x: USES_OF_X[use](fast, model, x))(X)
    model.eval()
    found = jax.jit(lambda x: USES_OF_X[use](fast, model, x))(X)
    np.testing.assert_allclose(found, model(X), rtol=1e-4, atol=1e-5)


def test_a_report_does_not_mind_what_a_module_keeps() -> None:
    """It lists what a training step runs, in nnx.jit or not, and leaves the module as it was."""
    model = Net()
    before = jax.tree.map(np.asarray, nnx.state(model, nnx.BatchStat))
    found = [report(f, model, X).convolutions for f in (of_both, nnx.jit(of_both))]
    partials = ["conv_transpose", "kernel_gradient"]
    assert [[one.partial for one in each] for each in found] == [partials] * 2
    assert [one.where for one in found[1]] == ["jit", "jit"]
    after = nnx.state(model, nnx.BatchStat)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), before, after))
