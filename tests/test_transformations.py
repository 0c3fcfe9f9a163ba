"""Every transformation of JAX commutes with the operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

import tconvjax as tc
from tconvjax.trilinear import trilinear
from tests.strategies import FIXED, Arguments


def functions(
    a: Arguments, algorithm: str = "auto"
) -> dict[str, tuple[Callable[..., Any], Any, Any]]:
    """The three partials as functions of two arrays, and arrays for them."""
    x, w, y = (jnp.asarray(v) for v in a.arrays())
    k, sized = {**a.keywords, "algorithm": algorithm}, a.in_size
    return {
        "conv": (lambda x, w: tc.conv(x, w, **k), x, w),
        "conv_transpose": (lambda y, w: tc.conv_transpose(y, w, output_size=sized, **k), y, w),
        "kernel_gradient": (
            lambda x, y: tc.kernel_gradient(x, y, kernel_size=a.kernel_size, **k), x, y,
        ),
    }  # fmt: skip


BORDERED = Arguments(2, 2, 4, (6,), (3,), (2,), ((2, 1),), (1,), 2, "reflect")
SMALL = (FIXED[0], FIXED[2], BORDERED)
EACH = pytest.mark.parametrize("partial", ["conv", "conv_transpose", "kernel_gradient"])
GEOMETRIES = pytest.mark.parametrize("a", SMALL, ids=["1d", "2d", "reflect"])


@pytest.mark.slow
@EACH
@GEOMETRIES
def test_gradients_to_third_order(a: Arguments, partial: str) -> None:
    f, p, q = functions(a)[partial]
    check_grads(lambda p, q: jnp.sin(f(p / 9, q / 9)), (p, q), order=2, modes=("fwd", "rev"))
    # Cubing makes the third derivative in one operand and the mixed ones differ from zero.
    scalar = lambda p: (f(p, q) ** 3).sum() / 1e3  # noqa: E731
    v = jnp.cos(jnp.arange(p.size, dtype=p.dtype)).reshape(p.shape)
    first = jax.grad(scalar)
    second = jax.grad(lambda p: (first(p) * v).sum())
    third = jax.grad(lambda p: (second(p) * v).sum())(p)
    line = [scalar(p + t * v) for t in (-2.0, -1.0, 1.0, 2.0)]
    expected = (line[3] - 2 * line[2] + 2 * line[1] - line[0]) / 2
    assert abs(expected) > 1e-3
    np.testing.assert_allclose((third * v).sum(), expected, rtol=1e-8)


@EACH
def test_hessian_is_symmetric_and_right(partial: str) -> None:
    f, p, q = functions(SMALL[0])[partial]
    p, q = p[:1], q[:1] if partial == "kernel_gradient" else q
    scalar = lambda p: (f(p, q) ** 2).sum()  # noqa: E731
    hessian = jax.hessian(scalar)(p).reshape(p.size, p.size)
    jacobian = jax.jacfwd(lambda p: f(p, q))(p).reshape(-1, p.size)
    np.testing.assert_allclose(hessian, 2 * jacobian.T @ jacobian, rtol=1e-12)
    np.testing.assert_allclose(jax.jacrev(lambda p: f(p, q))(p).reshape(-1, p.size), jacobian)


@EACH
@GEOMETRIES
def test_linear_transpose_in_either_operand_is_another_partial(a: Arguments, partial: str) -> None:
    everything = functions(a)
    f, p, q = everything[partial]
    x, w, y = (jnp.asarray(v) for v in a.arrays())
    cotangent = {"conv": y, "conv_transpose": x, "kernel_gradient": w}[partial]
    (first,) = jax.linear_transpose(lambda p: f(p, q), p)(cotangent)
    (second,) = jax.linear_transpose(lambda q: f(p, q), q)(cotangent)
    back = {"x": ("conv_transpose", y, w), "w": ("kernel_gradient", x, y), "y": ("conv", x, w)}
    roles = {"conv": "xw", "conv_transpose": "yw", "kernel_gradient": "xy"}[partial]
    for solved, role in ((first, roles[0]), (second, roles[1])):
        name, *operands = back[role]
        np.testing.assert_array_equal(solved, everything[name][0](*operands))


@EACH
@GEOMETRIES
@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (1, 2), (None, -1)], ids=str)
def test_vmap_is_a_loop(a: Arguments, partial: str, axes: tuple[Any, Any]) -> None:
    f, p, q = functions(a)[partial]
    ps = p if axes[0] is None else jnp.stack([p, p + 1, 2 * p], axis=axes[0])
    qs = q if axes[1] is None else jnp.stack([q, q - 1, 3 * q], axis=axes[1])
    result = jax.jit(jax.vmap(f, axes))(ps, qs)
    for n in range(3):
        one = p if axes[0] is None else jnp.take(ps, n, axes[0])
        other = q if axes[1] is None else jnp.take(qs, n, axes[1])
        np.testing.assert_array_equal(result[n], f(one, other))


@EACH
def test_nested_vmap_is_a_nested_loop(partial: str) -> None:
    f, p, q = functions(SMALL[0])[partial]
    ps, qs = jnp.stack([p, 2 * p]), jnp.stack([q, q + 1, -q])
    table = jax.vmap(jax.vmap(f, (None, 0)), (0, None))(ps, qs)
    for n, m in np.ndindex(2, 3):
        np.testing.assert_array_equal(table[n, m], f(ps[n], qs[m]))
    both = jax.vmap(jax.vmap(f))(jnp.stack([ps, ps - 1]), jnp.stack([qs[:2], qs[1:]]))
    np.testing.assert_array_equal(both[1, 0], f(ps[0] - 1, qs[1]))


@EACH
def test_vmap_folds_into_one_operation(partial: str) -> None:
    """No loop: batched kernels become groups, in one equation."""
    f, p, q = functions(SMALL[0])[partial]
    for axes in ((0, None), (None, 0), (0, 0)):
        ps, qs = (
            jnp.stack([v] * 5) if axis == 0 else v for v, axis in zip((p, q), axes, strict=True)
        )
        names = [
            e.primitive.name for e in equations(jax.make_jaxpr(jax.vmap(f, axes))(ps, qs).jaxpr)
        ]
        assert names.count("trilinear") == 1
        assert not {"scan", "while"} & set(names)


def test_vmap_over_nothing() -> None:
    for f, p, q in functions(SMALL[0]).values():
        for axes in ((0, None), (None, 0), (0, 0)):
            ps, qs = (
                jnp.zeros((0, *v.shape)) if axis == 0 else v
                for v, axis in zip((p, q), axes, strict=True)
            )
            assert jax.vmap(f, axes)(ps, qs).shape == (0, *f(p, q).shape)


def test_vmap_of_empty_arrays() -> None:
    for x, w in (((4, 0, 2, 5), (3, 2, 2)), ((4, 1, 0, 5), (3, 0, 2)), ((4, 1, 2, 5), (0, 2, 2))):
        result = jax.vmap(tc.conv, (0, None))(jnp.ones(x), jnp.ones(w))
        assert result.shape == (4, x[1], w[0], 4)
        both = jax.vmap(tc.conv)(jnp.ones(x), jnp.ones((4, *w)))
        assert both.shape == (4, x[1], w[0], 4)


def test_gradient_of_vmap_and_vmap_of_gradient() -> None:
    f, y, w = functions(SMALL[0])["conv_transpose"]
    loss = lambda w, y: (f(y, w) ** 2).sum()  # noqa: E731
    ys = jnp.stack([y, 2 * y])
    each = jax.vmap(jax.grad(loss), (None, 0))(w, ys)
    total = jax.grad(lambda w: jax.vmap(loss, (None, 0))(w, ys).sum())(w)
    np.testing.assert_array_equal(each.sum(0), total)
    np.testing.assert_array_equal(each[1], 4 * each[0])


def test_scan_cond_checkpoint() -> None:
    f, y, w = functions(SMALL[0])["conv_transpose"]
    g = functions(SMALL[0])["conv"][0]

    @jax.checkpoint
    def step(y: jax.Array) -> jax.Array:
        return g(f(y, w), w) / 1e3

    def loss(y: jax.Array) -> jax.Array:
        y, _ = jax.lax.scan(lambda y, _: (step(y), None), y, length=3)
        return jax.lax.cond(y.sum() > 1e9, lambda y: y, lambda y: 2 * step(y), y).sum()

    def plain(y: jax.Array) -> jax.Array:
        for _ in range(3):
            y = g(f(y, w), w) / 1e3
        return (2 * g(f(y, w), w) / 1e3).sum()

    np.testing.assert_allclose(jax.jit(loss)(y), plain(y), rtol=1e-12)
    np.testing.assert_allclose(jax.jit(jax.grad(loss))(y), jax.grad(plain)(y), rtol=1e-12)
    assert "trilinear" in str(jax.make_jaxpr(jax.grad(loss))(y))


def test_remat_policies_can_save_it_by_name() -> None:
    f, y, w = functions(SMALL[0])["conv_transpose"]
    saved = jax.checkpoint(
        lambda w: jnp.sin(f(y, w)).sum(),
        policy=lambda primitive, *_, **__: primitive.name == "trilinear",
    )
    names = [e.primitive.name for e in equations(jax.make_jaxpr(jax.grad(saved))(w).jaxpr)]
    assert names.count("trilinear") == 2  # forward once, kernel gradient once


def test_bfloat16_sums_in_float32_and_its_gradients_keep_their_dtype() -> None:
    a = SMALL[0]
    y, w = (jnp.asarray(v).astype(jnp.bfloat16) for v in a.arrays()[:0:-1])
    options = {**a.keywords, "output_size": a.in_size, "preferred_element_type": jnp.float32}

    def loss(y: jax.Array, w: jax.Array) -> jax.Array:
        return (tc.conv_transpose(y, w, **options) ** 2).sum()

    assert tc.conv_transpose(y, w, **options).dtype == jnp.float32
    gradients = jax.grad(loss, (0, 1))(y, w)
    exact = jax.grad(loss, (0, 1))(y.astype(jnp.float32), w.astype(jnp.float32))
    for narrow, wide in zip(gradients, exact, strict=True):
        assert narrow.dtype == jnp.bfloat16
        np.testing.assert_array_equal(narrow, wide.astype(jnp.bfloat16))
    second = jax.grad(lambda w: (jax.grad(loss)(y, w).astype(jnp.float32) ** 2).sum())(w)
    assert second.dtype == jnp.bfloat16
    tangent = jax.jvp(lambda w: tc.conv_transpose(y, w, **options), (w,), (w,))[1]
    assert tangent.dtype == jnp.float32


def test_under_disable_jit_and_debug_nans() -> None:
    for f, p, q in functions(FIXED[1]).values():
        expected = f(p, q)
        with jax.disable_jit():
            np.testing.assert_array_equal(f(p, q), expected)
            gradient = jax.grad(lambda p, f=f, q=q: f(p, q).sum())(p)
        np.testing.assert_array_equal(gradient, jax.grad(lambda p, f=f, q=q: f(p, q).sum())(p))
        with jax.debug_nans(True):
            np.testing.assert_array_equal(f(p, q), expected)
            with pytest.raises(FloatingPointError):
                f(p * jnp.nan, q)


def test_integers_pass_through_jit_and_vmap() -> None:
    for f, p, q in functions(SMALL[0]).values():
        p, q = p.astype(int), q.astype(int)
        result = jax.jit(jax.vmap(f))(jnp.stack([p, p]), jnp.stack([q, -q]))
        np.testing.assert_array_equal(result[1], -f(p, q))


def test_a_second_call_traces_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    traced = []

    def counted(*args: Any, **keywords: Any) -> jax.Array:
        traced.append(args[0])
        return trilinear(*args, **keywords)

    monkeypatch.setattr("tconvjax.operations.trilinear", counted)
    y, w = jnp.ones((1, 1, 53)), jnp.ones((1, 1, 3))
    for n in range(4):
        tc.conv_transpose(y + n, w, stride=2, padding=[1])
        tc.conv_transpose(y + n, w, stride=(2,), padding=((1, 1),), output_padding=0)
    assert traced == ["conv_transpose"]
    tc.conv_transpose(y, w, stride=2, padding=1, output_size=106)
    assert traced == ["conv_transpose"] * 2


def equations(jaxpr: Any) -> list[Any]:
    """All equations of a program, those of its inner programs too."""
    found = []
    for equation in jaxpr.eqns:
        found.append(equation)
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                inner = getattr(inner, "jaxpr", inner)
                if hasattr(inner, "eqns"):
                    found.extend(equations(inner))
    return found
