"""Every transformation of JAX commutes with the operation."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.experimental.jet import jet
from jax.test_util import check_grads

import tconvjax as tc
from tests.oracles import LOOPS, PARTIALS, equations, ways
from tests.strategies import FIXED, Arguments


def operands(a: Arguments, partial: str, dtype: Any = np.float64) -> list[Any]:
    """The two arrays of a partial, and a cotangent of its result."""
    arrays = dict(zip("xwy", a.arrays(dtype), strict=True))
    return [arrays[role] for role in PARTIALS[partial]]


def function(a: Arguments, partial: str) -> Callable[..., Any]:
    """A partial as a function of two arrays."""
    further: dict[str, Any] = {
        "conv": {},
        "conv_transpose": {"output_size": a.in_size},
        "kernel_gradient": {"kernel_size": a.kernel_size},
    }[partial]
    return functools.partial(getattr(tc, partial), **a.keywords, **further)


BORDERED = Arguments(2, 2, 4, (6,), (3,), (2,), ((2, 1),), (1,), 2, "reflect")
EACH = pytest.mark.parametrize("partial", LOOPS)
GEOMETRIES = pytest.mark.parametrize(
    "a", [FIXED[0], FIXED[2], BORDERED], ids=["1d", "2d", "reflect"]
)
UP, (Y, W, _) = function(FIXED[0], "conv_transpose"), operands(FIXED[0], "conv_transpose")


def assert_equal(found: Any, expected: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def primitives(f: Callable[..., Any], *args: Any) -> list[str]:
    """The primitives of a function's program."""
    return [e.primitive.name for e in equations(jax.make_jaxpr(f)(*args))]


def logged(caplog: pytest.LogCaptureFixture, call: Callable[[], Any]) -> list[str]:
    """What JAX says of tracing and compiling during a call."""
    caplog.clear()
    with jax.log_compiles(), caplog.at_level(logging.DEBUG, "jax"):
        call()
    return [record.getMessage() for record in caplog.records]


@pytest.mark.slow
@EACH
@GEOMETRIES
def test_gradients_to_third_order(a: Arguments, partial: str) -> None:
    """Cubing makes the third derivative in one operand and the mixed ones differ from zero."""
    f, (p, q, _) = function(a, partial), operands(a, partial)
    check_grads(jax.jit(lambda p, q: (f(p, q) ** 3).sum() / 1e3), (p / 9, q / 9), order=3)


@EACH
def test_hessian_is_symmetric_and_right(partial: str) -> None:
    a = Arguments(1, 2, 2, (5,), (3,), (2,), ((1, 2),), (1,), 1)
    f, (p, q, _) = function(a, partial), operands(a, partial)
    square, *both = (lambda p, q: (f(p, q) ** 2).sum()), jax.jacfwd(f), jax.jacrev(f)
    derivatives = jax.jit(lambda p: [d(p, q) for d in (jax.hessian(square), *both)])(p)
    hessian, forward, reverse = (np.reshape(d, (-1, p.size)) for d in derivatives)
    basis = np.eye(p.size).reshape(-1, *p.shape)
    jacobian = np.stack([LOOPS[partial](a, one, q).ravel() for one in basis], 1)
    assert_equal((forward, reverse, hessian), (jacobian, jacobian, 2 * jacobian.T @ jacobian))


@EACH
@GEOMETRIES
def test_linear_transpose_in_either_operand_is_another_partial(a: Arguments, partial: str) -> None:
    f, (p, q, r) = function(a, partial), operands(a, partial)
    values = dict(zip(PARTIALS[partial], (p, q, r), strict=True))
    expected = []
    for solved in PARTIALS[partial][:2]:
        (other,) = (name for name, roles in PARTIALS.items() if roles[2] == solved)
        expected.append(LOOPS[other](a, *(values[role] for role in PARTIALS[other][:2])))

    def transposed(p: Any, q: Any, r: Any) -> Any:
        first, second = (lambda p: f(p, q)), (lambda q: f(p, q))
        return [*jax.linear_transpose(first, p)(r), *jax.linear_transpose(second, q)(r)]

    assert_equal(jax.jit(transposed)(p, q, r), expected)


AXES: list[tuple[Any, Any]] = [(0, None), (None, 0), (0, 0), (1, 2), (None, -1)]


@EACH
@GEOMETRIES
def test_vmap_is_a_loop(a: Arguments, partial: str) -> None:
    f, (p, q, _) = function(a, partial), operands(a, partial)
    ps, qs = (p, p + 1, 2 * p), (q, q - 1, 3 * q)

    def mapped(ps: Any, qs: Any) -> Any:
        stacked = lambda vs, axis: vs[0] if axis is None else jnp.stack(vs, axis)  # noqa: E731
        return [jax.vmap(f, axes)(*map(stacked, (ps, qs), axes)) for axes in AXES]

    table = [[LOOPS[partial](a, one, other) for other in qs] for one in ps]
    n = range(3)
    pairs = [
        np.stack([table[0 if left is None else i][0 if right is None else i] for i in n])
        for left, right in AXES
    ]
    for found in ways(mapped, ps, qs):
        assert_equal(found, pairs)


@EACH
@pytest.mark.parametrize("dtype", [np.float64, np.int64])
def test_nested_vmap_is_a_nested_loop(partial: str, dtype: Any) -> None:
    a = FIXED[0]
    f, (p, q, _) = function(a, partial), operands(a, partial, dtype)
    ps, qs = np.stack([p, 2 * p]), np.stack([q, q + 1, -q])
    table = np.stack([[LOOPS[partial](a, one, other) for other in qs] for one in ps])

    def mapped(ps: Any, qs: Any) -> Any:
        every = jax.vmap(jax.vmap(f, (None, 0)), (0, None))(ps, qs)
        return every, jax.vmap(jax.vmap(f))(jnp.stack([ps, ps]), jnp.stack([qs[:2], qs[1:]]))

    both = np.stack([[table[0, 0], table[1, 1]], [table[0, 1], table[1, 2]]])
    for found in ways(mapped, ps, qs):
        assert_equal(found, (table, both))


def batched(partial: str, size: int) -> Iterator[tuple[Any, ...]]:
    """A partial mapped over so many of its first, second and both operands, and those."""
    arrays = operands(FIXED[0], partial)[:2]
    for axes in AXES[:3]:
        shapes = [((size,) if axis == 0 else ()) for axis in axes]
        stacks = (np.ones((*s, *v.shape)) for s, v in zip(shapes, arrays, strict=True))
        yield jax.vmap(function(FIXED[0], partial), axes), *stacks


@EACH
def test_vmap_folds_into_one_operation(partial: str) -> None:
    """No loop: batched kernels become groups, in one equation."""
    for mapped, ps, qs in batched(partial, 5):
        found = primitives(mapped, ps, qs)
        assert found.count("trilinear") == 1
        assert not {"scan", "while"} & set(found)


@EACH
def test_vmap_over_nothing(partial: str) -> None:
    for mapped, ps, qs in batched(partial, 0):
        for found in ways(mapped, ps, qs):
            assert found.shape == (0, *operands(FIXED[0], partial)[2].shape)


def test_vmap_of_empty_arrays() -> None:
    for x, w in (((4, 0, 2, 5), (3, 2, 2)), ((4, 1, 0, 5), (3, 0, 2)), ((4, 1, 2, 5), (0, 2, 2))):
        for axes, ws in (((0, None), w), ((0, 0), (4, *w))):
            for found in ways(jax.vmap(tc.conv, axes), np.ones(x), np.ones(ws)):
                assert_equal(found, np.zeros((4, x[1], w[0], 4)))


def test_gradient_of_vmap_and_vmap_of_gradient() -> None:
    loss = lambda w, y: (UP(y, w) ** 2).sum()  # noqa: E731

    @jax.jit
    def gradients(w: Any, ys: Any) -> Any:
        each = jax.vmap(jax.grad(loss), (None, 0))(w, ys)
        return each, jax.grad(lambda w: jax.vmap(loss, (None, 0))(w, ys).sum())(w)

    each, total = gradients(W, np.stack([Y, 2 * Y]))
    one = 2 * LOOPS["kernel_gradient"](FIXED[0], LOOPS["conv_transpose"](FIXED[0], Y, W), Y)
    assert_equal((each[0], each[1], total), (one, 4 * one, 5 * one))


def test_remat_policies_can_save_it_by_name() -> None:
    saved = jax.checkpoint(
        lambda w: jnp.sin(UP(Y, w)).sum(),
        policy=lambda primitive, *_, **__: primitive.name == "trilinear",
    )
    # Forward once, kernel gradient once.
    assert primitives(jax.grad(saved), W).count("trilinear") == 2


def test_bfloat16_sums_in_float32_and_its_gradients_keep_their_dtype() -> None:
    up = functools.partial(UP, preferred_element_type=jnp.float32)
    gradient = jax.grad(lambda y, w: (up(y, w) ** 2).sum(), (0, 1))

    @jax.jit
    def derivatives(y: Any, w: Any) -> Any:
        second = jax.grad(lambda w: (gradient(y, w)[0].astype(jnp.float32) ** 2).sum())(w)
        return gradient(y, w), second, jax.jvp(lambda w: up(y, w), (w,), (w,))

    gradients, second, (z, tangent) = derivatives(*(v.astype(jnp.bfloat16) for v in (Y, W)))
    result = LOOPS["conv_transpose"](FIXED[0], Y, W)
    exact = LOOPS["conv"](FIXED[0], result, W), LOOPS["kernel_gradient"](FIXED[0], result, Y)
    assert_equal(gradients, tuple((2 * wide).astype(jnp.bfloat16) for wide in exact))
    assert {v.dtype for v in (*gradients, second)} == {jnp.dtype("bfloat16")}
    assert_equal((z, tangent), (result, result))
    assert z.dtype == tangent.dtype == jnp.float32


def test_under_disable_jit_and_debug_nans() -> None:
    a = Arguments(1, 2, 2, (4,), (2,), (1,), ((1, 0),), (1,), 1)
    for partial, oracle in LOOPS.items():
        p, q, _ = operands(a, partial)
        with jax.disable_jit():
            assert_equal(function(a, partial)(p, q), oracle(a, p, q))
    f, (x, w, _) = function(a, "conv"), operands(a, "conv")
    with jax.disable_jit():
        gradient = jax.grad(lambda w: f(x, w).sum())(w)
    assert_equal(gradient, LOOPS["kernel_gradient"](a, x, np.ones(a.y_shape)))
    with jax.debug_nans(True):
        assert_equal(f(x, w), LOOPS["conv"](a, x, w))
        with pytest.raises(FloatingPointError):
            f(x * np.nan, w)


def test_a_second_call_traces_nothing(caplog: pytest.LogCaptureFixture) -> None:
    ys, w = [np.full((1, 1, 53), n, float) for n in range(4)], np.ones((1, 1, 3))

    def lines(y: Any, **options: Any) -> list[str]:
        return logged(caplog, lambda: tc.conv_transpose(y, w, stride=2, **options))

    assert any("trac" in line for line in lines(ys[0], padding=[1]))
    for y in ys:
        assert lines(y, padding=1) == lines(y, padding=((1, 1),), output_padding=0) == []
    assert lines(ys[0], padding=1, output_size=106) != []


@pytest.mark.parametrize("groups", [1, 4])
def test_a_gradient_without_jit_compiles_no_more_programs_than_that_of_lax(
    groups: int, caplog: pytest.LogCaptureFixture
) -> None:
    # Sizes that no other test has: what is compiled already would not be counted.
    y, w = np.ones((2, 4, 5, 9), "f"), np.ones((4, 4 // groups, 4, 4), "f")

    def ours(y: Any, w: Any) -> jax.Array:
        return tc.conv_transpose(y, w, stride=2, padding=1, groups=groups).sum()

    def of_lax(y: Any, w: Any) -> jax.Array:
        options: Any = {"lhs_dilation": (2, 2), "feature_group_count": groups}
        return lax.conv_general_dilated(
            y, w[..., ::-1, ::-1], (1, 1), [(2, 2)] * 2, **options
        ).sum()

    counts = []
    for f in (ours, of_lax):
        jax.clear_caches()
        lines = logged(caplog, functools.partial(jax.grad(f, (0, 1)), y, w))
        counts.append(sum(line.startswith("Compiling ") for line in lines))
    assert 0 < counts[0] <= counts[1]


@EACH
def test_a_backward_pass_without_jit_is_one_program(
    partial: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The borders that it folds, and both gradients."""
    f, (p, q, r) = function(BORDERED, partial), operands(BORDERED, partial)
    jax.clear_caches()
    _, back = jax.vjp(f, p, q)
    lines = logged(caplog, lambda: back(r))
    assert sum(line.startswith("Compiling ") for line in lines) == 1


@EACH
def test_taylor_mode_gives_the_nested_derivatives(partial: str) -> None:
    a = Arguments(1, 2, 2, (5,), (3,), (2,), ((1, 2),), (1,), 1)
    f, (p, q, _) = function(a, partial), operands(a, partial)
    along = lambda t: jnp.sin(f(p + t * q.sum(), q + t) / 9)  # noqa: E731
    terms = [1.0, 0.0, 0.0]
    value, found = jet(along, (0.0,), (terms,))
    expected = [along]
    for _ in terms:
        expected.append(jax.jacfwd(expected[-1]))
    for one, derivative in zip([value, *found], expected, strict=True):
        np.testing.assert_allclose(one, derivative(0.0), rtol=1e-9)


@pytest.mark.parametrize("policy", ["dots_saveable", "nothing_saveable", "everything_saveable"])
def test_a_policy_of_checkpoint_keeps_what_it_keeps_of_lax(policy: str) -> None:
    x, w = np.ones((1, 2, 9), "f"), np.ones((2, 2, 3), "f")

    def partials(layer: Callable[..., Any]) -> int:
        def body(w: Any) -> Any:
            return jnp.sin(layer(jnp.sin(layer(x, w)), w))

        kept = jax.checkpoint(body, policy=getattr(jax.checkpoint_policies, policy))
        names = primitives(jax.grad(lambda w: kept(w).sum()), w)
        return names.count("trilinear") + names.count("conv_general_dilated")

    count = partials(lambda x, w: lax.conv_general_dilated(x, w, (1,), "SAME"))
    assert partials(lambda x, w: tc.conv(x, w, padding=1)) == count
    assert count == (7 if policy == "nothing_saveable" else 5)


@EACH
@pytest.mark.parametrize("algorithm", ["auto", *tc.ALGORITHMS])
def test_plain_programs_hold_primitives_of_jax_alone(partial: str, algorithm: str) -> None:
    a = Arguments(2, 2, 4, (6,), (3,), (2,), ((1, 2),), (1,), 2)
    f, (p, q, _) = function(a, partial), operands(a, partial)

    def loss(p: Any, q: Any) -> Any:
        step = jax.checkpoint(lambda p, _: (p * (f(p, q) ** 2).sum(), None))
        return lax.scan(step, p, None, length=2)[0].sum() / 1e6

    written = tc.plain(loss, algorithm)
    gradient = jax.grad(loss, (0, 1))
    for original, one in ((loss, written), (gradient, tc.plain(gradient, algorithm))):
        assert "trilinear" in primitives(original, p, q)
        assert "trilinear" not in primitives(one, p, q)
        jax.tree.map(
            functools.partial(np.testing.assert_allclose, rtol=1e-9), one(p, q), original(p, q)
        )
    derived = jax.grad(written, (0, 1))(p, q)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-9), derived, gradient(p, q))
    if algorithm == "direct":
        assert "conv_general_dilated" in primitives(written, p, q)
    if algorithm == "auto":  # which is what nothing said means
        assert primitives(tc.plain(loss), p, q) == primitives(written, p, q)


def test_plain_refuses_what_it_cannot_take() -> None:
    with pytest.raises(tc.GeometryError, match="fn=int"):
        tc.plain(3)  # type: ignore[arg-type]
    with pytest.raises(tc.GeometryError, match="algorithm='fast'"):
        tc.plain(tc.conv, "fast")
