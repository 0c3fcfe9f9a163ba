"""Many devices give the numbers of one, and a result lies where its operands lay."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import tconvjax as tc
from tconvjax.algorithms import apart, blocks, product

RNG = np.random.default_rng(0)
Y, W, BIAS = (jnp.asarray(RNG.normal(size=s)) for s in ((8, 4, 8, 6), (4, 8, 3, 4), (8,)))
OPTIONS: dict[str, Any] = {"stride": 2, "padding": ((1, 0), (2, 1))}


def loss(y: jax.Array, w: jax.Array, bias: jax.Array, algorithm: str = "auto") -> jax.Array:
    return (tc.conv_transpose(y, w, bias, algorithm=algorithm, **OPTIONS) ** 2).sum()


def assert_close(found: Any, expected: Any) -> None:
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-9), found, expected
    )


def mesh(kind: AxisType) -> jax.sharding.Mesh:
    return jax.make_mesh((4, 2), ("data", "model"), axis_types=(kind, kind))


@pytest.mark.parametrize("algorithm", ["auto", *tc.ALGORITHMS])
def test_shard_map_with_its_checks_on(algorithm: str) -> None:
    """The check_vma types hold, and the gradient of the replicated kernel is summed once."""

    def local(y: jax.Array, w: jax.Array, bias: jax.Array) -> jax.Array:
        return jax.lax.psum(loss(y, w, bias, algorithm), "data")

    on_all = jax.shard_map(
        local, mesh=mesh(AxisType.Auto), in_specs=(P("data"), P(), P()), out_specs=P()
    )
    expected = jax.value_and_grad(loss, (0, 1, 2))(Y, W, BIAS)
    assert_close(jax.jit(jax.value_and_grad(on_all, (0, 1, 2)))(Y, W, BIAS), expected)
    assert_close(jax.value_and_grad(on_all, (0, 1, 2))(Y, W, BIAS), expected)


def test_gradient_inside_a_shard_map() -> None:
    inside = jax.shard_map(
        jax.grad(loss, (0, 1, 2)),
        mesh=mesh(AxisType.Auto),
        in_specs=(P("data"), P(), P()),
        out_specs=(P("data"), P(), P()),
    )
    assert_close(inside(Y, W, BIAS), jax.grad(loss, (0, 1, 2))(Y, W, BIAS))


def test_second_derivative_through_a_shard_map() -> None:
    on_all = jax.shard_map(
        lambda y, w: jax.lax.psum((tc.conv_transpose(y, w, **OPTIONS) ** 3).sum(), "data"),
        mesh=mesh(AxisType.Auto), in_specs=(P("data"), P()), out_specs=P(),
    )  # fmt: skip
    one = lambda y, w: (tc.conv_transpose(y, w, **OPTIONS) ** 3).sum()  # noqa: E731
    product = lambda f: jax.jvp(jax.grad(lambda w: f(Y, w)), (W,), (jnp.ones_like(W),))[1]  # noqa: E731
    assert_close(product(on_all), product(one))


@pytest.mark.parametrize(
    "specs",
    [
        (P("data"), P()),
        (P(None, "model"), P("model")),
        (P(), P(None, "model")),
        (P(None, None, "data"), P()),
    ],
    ids=["batch", "reduced channels", "channels", "space"],
)  # fmt: skip
def test_automatic_sharding(specs: tuple[P, P]) -> None:
    laid = mesh(AxisType.Auto)
    y, w = (jax.device_put(v, NamedSharding(laid, s)) for v, s in zip((Y, W), specs, strict=True))
    expected = jax.value_and_grad(loss, (0, 1, 2))(Y, W, BIAS)
    assert_close(jax.jit(jax.value_and_grad(loss, (0, 1, 2)))(y, w, BIAS), expected)


def lies(value: jax.Array) -> tuple[Any, ...]:
    return tuple(jax.typeof(value).sharding.spec)


EXPLICIT = [
    # y, w, and where conv_transpose's result lies
    (P("data"), P(), ("data", None, None, None)),
    (P("data"), P(None, "model"), ("data", "model", None, None)),
    (P("data", "model"), P("model"), ("data", None, None, None)),
    (P("data"), P(None, "data"), ("data", None, None, None)),
    (P(None, None, "model"), P(), (None, None, "model", None)),
    (P(("data", "model")), P(), (("data", "model"), None, None, None)),
]


@pytest.mark.parametrize("jit", [False, True], ids=["eager", "jit"])
@pytest.mark.parametrize(("of_y", "of_w", "result"), EXPLICIT, ids=str)
def test_explicit_sharding(of_y: P, of_w: P, result: tuple[Any, ...], jit: bool) -> None:
    # Eight rows and kernel 3 give seventeen rows less the padding 1; 16 divide by two devices.
    wrapped = jax.jit if jit else lambda f: f
    with jax.set_mesh(mesh(AxisType.Explicit)):
        y, w = jax.device_put(Y, of_y), jax.device_put(W, of_w)
        z = wrapped(lambda y, w: tc.conv_transpose(y, w, **OPTIONS))(y, w)
        assert lies(z) == result
        np.testing.assert_allclose(z, tc.conv_transpose(Y, W, **OPTIONS), rtol=1e-12, atol=1e-12)
        gradients = wrapped(jax.grad(loss, (0, 1, 2)))(y, w, BIAS)
        assert [lies(g) for g in gradients[:2]] == [lies(y), lies(w)]
        assert_close(gradients, jax.grad(loss, (0, 1, 2))(Y, W, BIAS))
        dw = tc.kernel_gradient(z, y, kernel_size=(3, 4), **OPTIONS)
        assert_close(
            dw, tc.kernel_gradient(np.asarray(z), np.asarray(y), kernel_size=(3, 4), **OPTIONS)
        )


def test_explicit_sharding_of_grouped_and_unbatched_operands() -> None:
    with jax.set_mesh(mesh(AxisType.Explicit)):
        w = jax.device_put(W[:, :1], P("model"))
        y = jax.device_put(Y[0], P("model"))
        z = tc.conv_transpose(y, w, groups=4, **OPTIONS)
        assert lies(z) == (None, None, None)
        np.testing.assert_allclose(
            z, tc.conv_transpose(Y[0], W[:, :1], groups=4, **OPTIONS), atol=1e-12
        )
        many = tc.conv_transpose(jax.device_put(Y[None], P(None, "data")), W, **OPTIONS)
        assert lies(many) == (None, "data", None, None, None)


def test_a_size_that_does_not_divide_is_not_split() -> None:
    with jax.set_mesh(mesh(AxisType.Explicit)):
        y = jax.device_put(Y, P(None, None, "model"))
        assert lies(tc.conv_transpose(y, W, stride=2)) == (None, None, None, None)  # 17 rows


@pytest.mark.parametrize("algorithm", tc.ALGORITHMS)
def test_automatic_sharding_of_each_algorithm(
    algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "LEAST", 0)
    y = jax.device_put(Y, NamedSharding(mesh(AxisType.Auto), P("data", "model")))
    program = jax.jit(lambda y: jax.value_and_grad(loss, (0, 1, 2))(y, W, BIAS, algorithm))
    assert_close(program(y), jax.value_and_grad(loss, (0, 1, 2))(Y, W, BIAS))


def test_blocks_inside_a_shard_map(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop's result varies over the mesh axes of what it is made from."""
    monkeypatch.setattr(apart, "LEAST", 0)
    expected = jax.value_and_grad(loss, (0, 1))(Y, W, BIAS, "direct")
    monkeypatch.setattr(blocks, "WHOLE", 0)
    monkeypatch.setattr(blocks, "MOST", 1)
    monkeypatch.setattr(product, "REPEATED", math.inf)
    on_all = jax.shard_map(
        lambda y, w: jax.lax.psum(loss(y, w, BIAS, "patches"), "data"),
        mesh=mesh(AxisType.Auto), in_specs=(P("data"), P()), out_specs=P(),
    )  # fmt: skip
    program = jax.jit(jax.value_and_grad(on_all, (0, 1)))
    assert "while" in program.lower(Y, W).as_text()
    assert_close(program(Y, W), expected)


def test_a_kernel_may_vary_where_what_it_meets_does_not() -> None:
    """Each device has some of the result's channels; y is the same for all."""
    on_all = jax.shard_map(
        lambda y, w: tc.conv_transpose(y, w, stride=2), mesh=mesh(AxisType.Auto),
        in_specs=(P(), P(None, "model")), out_specs=P(None, "model"),
    )  # fmt: skip
    w = np.random.default_rng(1).normal(size=(Y.shape[1], 4, 3, 3))
    assert_close(on_all(Y, w), tc.conv_transpose(Y, w, stride=2))

    def squares(f: Any) -> Any:
        return jax.grad(lambda y, w: (f(y, w) ** 2).sum(), (0, 1))(Y, w)

    assert_close(squares(on_all), squares(lambda y, w: tc.conv_transpose(y, w, stride=2)))
