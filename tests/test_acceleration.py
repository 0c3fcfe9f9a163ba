"""An accelerated function is the same function, and its convolutions are ours."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import lax
from jax.sharding import PartitionSpec

import tconvjax as tc
from tconvjax import accelerate
from tconvjax.acceleration import programs, report
from tconvjax.acceleration.algebra import Convolution, assignments, computed
from tconvjax.acceleration.decision import Decision, decide, natural, read
from tconvjax.acceleration.programs import found, rewritten

# -- every way to write a convolution is that convolution ------------------------------------------


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """Shapes of lhs and rhs, and arguments of ``lax.conv_general_dilated``: any of them."""
    rank = draw(st.integers(1, 2))

    def each(least: int, most: int) -> list[int]:
        return [draw(st.integers(least, most)) for _ in range(rank)]

    groups, batched = draw(st.integers(1, 2)), draw(st.booleans())
    n, c, o = (draw(st.integers(1, 2)) for _ in range(3))
    kernel, stride, dilation, spread = each(1, 3), each(1, 2), each(1, 2), each(1, 2)
    size, low = each(1, 4), each(-1, 3)
    # Enough after the end for one output at least; less than that would be no convolution.
    least = [
        d * (k - 1) + 1 - p - (s * (u - 1) + 1)
        for k, d, p, s, u in zip(kernel, dilation, low, spread, size, strict=True)
    ]
    high = [max(least[i], -1) + more for i, more in enumerate(each(0, 2))]
    order = st.permutations(range(rank + 2))
    specs = [tuple(draw(order)) for _ in range(3)]
    lhs = (n * groups if batched else n, c if batched else c * groups, *size)
    shapes = []
    for sizes, spec in ((lhs, specs[0]), ((o * groups, c, *kernel), specs[1])):
        placed = dict(zip(spec, sizes, strict=True))
        shapes.append(tuple(placed[p] for p in range(rank + 2)))
    return shapes[0], shapes[1], {
        "window_strides": stride,
        "padding": list(zip(low, high, strict=True)),
        "lhs_dilation": spread,
        "rhs_dilation": dilation,
        "dimension_numbers": lax.ConvDimensionNumbers(*specs),
        "feature_group_count": 1 if batched else groups,
        "batch_group_count": groups if batched else 1,
    }  # fmt: skip


def numbers(shape: tuple[int, ...], dtype: Any = np.float64, seed: int = 0) -> Any:
    """Small whole numbers, so that sums are exact in any order."""
    return jnp.asarray(np.random.default_rng(seed).integers(-4, 5, shape)).astype(dtype)


def equation(function: Callable[..., Any], *arrays: Any) -> Any:
    ((_, one),) = found(jax.make_jaxpr(function)(*arrays))
    return one


def assert_all_ways_agree(lhs: Any, rhs: Any, arguments: dict[str, Any]) -> int:
    def plain(lhs: Any, rhs: Any) -> Any:
        return lax.conv_general_dilated(lhs, rhs, **arguments)

    c = read(equation(plain, lhs, rhs))
    ways = list(assignments(c)) if 0 not in c.shapes[2] else []
    both = jax.jit(lambda lhs, rhs: (plain(lhs, rhs), [computed(lhs, rhs, c, way) for way in ways]))
    expected, results = both(lhs, rhs)
    for way, result in zip(ways, results, strict=True):
        np.testing.assert_array_equal(result, expected, err_msg=str(way))
    return len(ways)


@given(convolutions())
def test_every_assignment_of_roles_is_the_convolution(case: Any) -> None:
    left, right, arguments = case
    assert_all_ways_agree(numbers(left), numbers(right, seed=1), arguments)


@pytest.mark.parametrize(
    ("stride", "dilation", "spread", "ways"),
    [(1, 1, 1, 6), (2, 1, 1, 4), (1, 2, 1, 4), (1, 1, 2, 4), (2, 2, 1, 2), (2, 1, 2, 2),
     (1, 2, 2, 2), (2, 2, 2, 0)],
)  # fmt: skip
def test_an_array_plays_x_where_its_step_is_one(
    stride: int, dilation: int, spread: int, ways: int
) -> None:
    lhs, rhs = numbers((4, 2, 5)), numbers((4, 2, 3), seed=1)
    steps = {"window_strides": (stride,), "rhs_dilation": (dilation,), "lhs_dilation": (spread,)}
    arguments = {**steps, "padding": [(3, 1)], "batch_group_count": 2}
    assert assert_all_ways_agree(lhs, rhs, arguments) == ways


def test_a_step_along_one_element_is_none() -> None:
    """So a convolution that would have no way has one."""
    lhs, rhs = numbers((1, 1, 5)), numbers((1, 1, 1), seed=1)
    arguments = {"window_strides": (2,), "padding": [(0, 0)], "lhs_dilation": (2,)}
    assert assert_all_ways_agree(lhs, rhs, {**arguments, "rhs_dilation": (3,)}) == 2


# -- an accelerated function is the same function --------------------------------------------------


@pytest.fixture
def everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Replace whatever can be replaced: arrays this small are not worth it by themselves."""

    def decided(equation: Any) -> Decision:
        decision = decide(equation)
        if decision.convolution is None:
            return decision
        return replace(decision, assignment=next(assignments(decision.convolution), None))

    monkeypatch.setattr(programs, "decide", decided)
    monkeypatch.setattr(programs, "_REWRITTEN", WeakKeyDictionary())


EVERYWHERE = pytest.mark.usefixtures("everywhere")

Y, W = numbers((1, 3, 3, 3, 4)), numbers((2, 2, 2, 4, 3), seed=1)


def up(y: Any, w: Any) -> Any:
    """Three axes, which XLA loops over on a CPU: always worth replacing."""
    return lax.conv_transpose(y, w, (2, 2, 2), "SAME")


def loss(y: Any, w: Any) -> Any:
    return (up(y, w) ** 2).sum()


def names(function: Callable[..., Any], *args: Any) -> list[str]:
    """The primitives of a program, those of inner programs too."""
    return _names(jax.make_jaxpr(function)(*args))


def _names(program: Any) -> list[str]:
    result = []
    for one in getattr(program, "jaxpr", program).eqns:
        result.append(one.primitive.name)
        for value in one.params.values():
            for inner in value if isinstance(value, tuple) else (value,):
                if hasattr(inner, "eqns"):
                    result += _names(inner)
    return result


def assert_same(fast: Any, plain: Any, rtol: float = 1e-12) -> None:
    def compare(one: Any, other: Any) -> None:
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        assert jax.typeof(one).weak_type == jax.typeof(other).weak_type
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol)

    jax.tree.map(compare, fast, plain)  # it raises where the trees differ


def assert_ours(function: Callable[..., Any], *args: Any) -> None:
    """Nothing but operations of ours."""
    assert "trilinear" in names(function, *args)
    assert "conv_general_dilated" not in names(function, *args)


ORDERS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "grad of it": (jax.grad(accelerate(loss), (0, 1)), jax.grad(loss, (0, 1))),
    "of grad": (accelerate(jax.grad(loss, (0, 1))), jax.grad(loss, (0, 1))),
    "jit of it": (jax.jit(accelerate(up)), up),
    "of jit": (accelerate(jax.jit(up)), up),
    "twice": (accelerate(accelerate(up)), up),
    "grad of jit of it": (jax.grad(jax.jit(accelerate(loss))), jax.grad(loss)),
    "jvp": (
        lambda y, w: jax.jvp(accelerate(up), (y, w), (w.sum() * y, w)),
        lambda y, w: jax.jvp(up, (y, w), (w.sum() * y, w)),
    ),
    "vmap of it": (
        lambda y, w: jax.vmap(accelerate(up), (None, 0))(y, jnp.stack([w, 2 * w])),
        lambda y, w: jax.vmap(up, (None, 0))(y, jnp.stack([w, 2 * w])),
    ),
    "of vmap": (
        lambda y, w: accelerate(jax.vmap(up))(jnp.stack([y, -y]), jnp.stack([w, 2 * w])),
        lambda y, w: jax.vmap(up)(jnp.stack([y, -y]), jnp.stack([w, 2 * w])),
    ),
    "linearize": (
        lambda y, w: jax.linearize(accelerate(up), y, w)[1](y, w),
        lambda y, w: jax.linearize(up, y, w)[1](y, w),
    ),
}  # fmt: skip


@EVERYWHERE
@pytest.mark.parametrize("order", ORDERS)
def test_it_composes_in_either_order(order: str) -> None:
    fast, plain = ORDERS[order]
    assert_same(fast(Y, W), plain(Y, W))
    assert "trilinear" in names(fast, Y, W)


def test_hessians_agree() -> None:
    y, w = Y[:, :2, :2, :2, :2], W[..., :2, :1]
    cubed = lambda y: (up(y, w) ** 3).sum()  # noqa: E731
    assert_same(jax.hessian(accelerate(cubed))(y), jax.hessian(cubed)(y))


def test_no_gradient_spreads_its_lhs() -> None:
    """Autodiff would write the gradient of the kernel with lhs_dilation and a huge window."""
    y, w = jnp.ones((2, 12, 4)), jnp.ones((8, 4, 4))
    f = lambda y, w: (lax.conv_transpose(y, w, (4,), "SAME") ** 2).sum()  # noqa: E731

    def spread(function: Callable[..., Any]) -> list[Any]:
        program = jax.make_jaxpr(function)(y, w)
        return [e for _, e in found(program) if max(e.params["lhs_dilation"]) > 1]

    assert len(spread(jax.grad(f, (0, 1)))) == 2
    assert spread(jax.grad(accelerate(f), (0, 1))) == []
    assert spread(accelerate(jax.grad(f, (0, 1)))) == []


def scanned(y: Any, w: Any) -> Any:
    return lax.scan(lambda c, _: (down(up(c, w), w), c.sum()), y, None, length=2)


def down(z: Any, w: Any) -> Any:
    return lax.conv_general_dilated(
        z, w, (2, 2, 2), "SAME", dimension_numbers=("NDHWC", "DHWOI", "NDHWC")
    )


def looped(y: Any, w: Any) -> Any:
    return lax.while_loop(lambda c: abs(c).sum() < 1e6, lambda c: down(up(c, w), w), y)


def chosen(y: Any, w: Any) -> Any:
    return lax.cond(y.sum() > 0, lambda y: up(y, w), lambda y: -up(y, 2 * w), y)


def switched(y: Any, w: Any) -> Any:
    return lax.switch(jnp.int32(2), [lambda y: y, lambda y: 2 * y, lambda y: down(up(y, w), w)], y)


def rematerialised(y: Any, w: Any) -> Any:
    return jax.checkpoint(up)(y, w)


def nested(y: Any, w: Any) -> Any:
    return jax.jit(lambda y: lax.map(lambda y: jax.checkpoint(up)(y, w), jnp.stack([y, 2 * y])))(y)


def solved(y: Any, w: Any) -> Any:
    matvec = lambda y: 60 * y + down(up(y, w), w)  # noqa: E731
    return lax.custom_linear_solve(matvec, y, lambda f, b: b / 60 + f(b) / 1e4, symmetric=True)


def sharded(y: Any, w: Any) -> Any:
    mesh = jax.make_mesh((2,), ("i",), axis_types=(jax.sharding.AxisType.Auto,))
    part = PartitionSpec("i")
    split = jax.shard_map(up, mesh=mesh, in_specs=(part, PartitionSpec()), out_specs=part)
    return split(jnp.concatenate([y, 2 * y]), w)


HOLDING = (scanned, looped, chosen, switched, rematerialised, nested, solved, sharded)


@EVERYWHERE
@pytest.mark.parametrize("function", HOLDING, ids=lambda f: f.__name__)
def test_inner_programs_are_accelerated(function: Callable[..., Any]) -> None:
    fast = jax.jit(accelerate(function))
    assert_same(fast(Y, W), jax.jit(function)(Y, W))
    assert_ours(accelerate(function), Y, W)


@EVERYWHERE
@pytest.mark.parametrize(
    "function", [f for f in HOLDING if f is not looped], ids=lambda f: f.__name__
)
def test_so_are_their_gradients(function: Callable[..., Any]) -> None:
    total = lambda y, w: sum((v**2).sum() for v in jax.tree.leaves(function(y, w)))  # noqa: E731
    expected = jax.jit(jax.grad(total, (0, 1)))(Y / 9, W / 9)
    inside, outside = jax.grad(accelerate(total), (0, 1)), accelerate(jax.grad(total, (0, 1)))
    assert_same(jax.jit(inside)(Y / 9, W / 9), expected)
    assert_same(jax.jit(outside)(Y / 9, W / 9), expected)
    assert_ours(inside, Y, W)
    assert_ours(outside, Y, W)


# -- derivative rules ------------------------------------------------------------------------------


def with_vjp() -> Callable[..., Any]:
    """Its rule is no derivative, so that it can be told apart from one."""

    @jax.custom_vjp
    def f(y: Any, w: Any) -> Any:
        return up(y, w)

    def forward(y: Any, w: Any) -> Any:
        return up(y, w), (y, w)

    def backward(kept: Any, cotangent: Any) -> Any:
        first, second = jax.vjp(up, *kept)[1](cotangent)
        return 3 * first, 5 * second

    f.defvjp(forward, backward)
    return f


def with_jvp() -> Callable[..., Any]:
    @jax.custom_jvp
    def f(y: Any, w: Any) -> Any:
        return up(y, w)

    @f.defjvp
    def _(primals: Any, tangents: Any) -> Any:
        (y, w), (dy, dw) = primals, tangents
        return up(y, w), 3 * up(dy, w) + 5 * up(y, dw)

    return f


@EVERYWHERE
@pytest.mark.parametrize("made", [with_vjp, with_jvp], ids=["vjp", "jvp"])
@pytest.mark.parametrize(
    "inner",
    [lambda f: f, jax.jit, jax.checkpoint, jax.vmap],
    ids=["as it is", "jit", "checkpoint", "vmap"],
)
def test_rules_are_kept_and_accelerated(made: Callable[..., Any], inner: Any) -> None:
    f = made()
    y, w = (Y[None], W[None]) if inner is jax.vmap else (Y, W)
    total = lambda y, w: (inner(f)(y, w) ** 2).sum()  # noqa: E731
    fast = jax.grad(accelerate(total), (0, 1))
    assert_same(fast(y, w), jax.grad(total, (0, 1))(y, w))
    assert_ours(fast, y, w)
    # With one argument fixed, the rule meets a symbolic zero.
    alone = functools.partial(total, y)
    assert_same(jax.grad(accelerate(alone))(w), jax.grad(alone)(w))


# -- whatever else a function does -----------------------------------------------------------------


def test_arguments_and_results_are_those_of_the_function() -> None:
    def f(tree: dict[str, Any], name: str, times: int, *, flag: bool = False) -> Any:
        """Doc."""
        assert isinstance(tree["table"], np.ndarray)
        z = tree["y"]
        for _ in range(times):
            z = 2 * z if flag else z
        return {"z": up(z, tree["w"]), "name": name, "table": tree["table"], "none": None}

    fast = accelerate(f)
    assert (fast.__name__, fast.__doc__) == ("f", "Doc.")
    tree = {"y": Y, "w": W, "table": np.arange(3)}
    result = fast(tree, "one", 2, flag=True)
    assert (result["name"], result["none"]) == ("one", None)
    assert result["table"] is tree["table"]
    assert_same(result["z"], up(4 * Y, W))


def test_a_program_without_convolutions_stays_itself() -> None:
    program = jax.make_jaxpr(lambda y: jnp.sin(y) @ y.T)(jnp.ones((2, 2)))
    assert rewritten(program) is program


def test_what_xla_does_well_stays_itself() -> None:
    x, w = jnp.ones((1, 8, 8, 4), jnp.float32), jnp.ones((3, 3, 4, 4), jnp.float32)
    f = lambda x, w: lax.conv_general_dilated(  # noqa: E731
        x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    program = jax.make_jaxpr(f)(x, w)
    assert rewritten(program) is program
    assert str(jax.make_jaxpr(accelerate(f))(x, w)) == str(program)


def test_a_program_is_rewritten_once() -> None:
    """Else an accelerated jitted function would be compiled at each call."""
    fast = jax.jit(up)
    program = jax.make_jaxpr(accelerate(fast))(Y, W)
    again = jax.make_jaxpr(accelerate(fast))(Y, W)
    inner = [p.eqns[0].params["jaxpr"] for p in (program, again)]
    assert inner[0] is inner[1]


def test_debug_prints_come_once(capfd: pytest.CaptureFixture[str]) -> None:
    def f(y: Any, w: Any) -> Any:
        jax.debug.print("sum {}", y.sum())
        return up(y, w)

    accelerate(f)(Y, W)
    jax.jit(accelerate(jax.jit(f)))(Y, W)
    jax.effects_barrier()
    assert capfd.readouterr().out.count("sum") == 2


def test_named_scopes_are_kept() -> None:
    def f(y: Any, w: Any) -> Any:
        with jax.named_scope("upwards"):
            return up(y, w)

    assert "upwards" in jax.jit(accelerate(f)).lower(Y, W).as_text(debug_info=True)


def test_collectives_know_their_axis() -> None:
    f = lambda y, w: lax.psum(up(y, w), "i")  # noqa: E731
    ys = jnp.stack([Y, 2 * Y])
    fast = jax.vmap(accelerate(f), (0, None), axis_name="i")
    assert_same(fast(ys, W), jax.vmap(f, (0, None), axis_name="i")(ys, W))


def test_donated_arguments_are_donated() -> None:
    f = accelerate(jax.jit(lambda y: down(up(y, W), W), donate_argnums=0))
    y = Y + 0
    f(y)
    assert y.is_deleted()


def test_under_disable_jit() -> None:
    with jax.disable_jit():
        assert_same(accelerate(up)(Y, W), up(Y, W))


def test_precision_is_kept() -> None:
    f = functools.partial(lax.conv_transpose, strides=(2, 2, 2), padding="SAME")
    fast = accelerate(lambda y, w: f(y, w, precision="highest"))
    assert "HIGHEST" in str(jax.make_jaxpr(fast)(Y, W))


def test_two_precisions_are_left_alone() -> None:
    f = functools.partial(lax.conv_transpose, strides=(2, 2, 2), padding="SAME")
    fast = accelerate(lambda y, w: f(y, w, precision=("default", "highest")))
    assert "trilinear" not in names(fast, Y, W)


# -- dtypes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype", ["float16", "bfloat16", "float32", "float64", "complex64", "int8", "int32", "uint16"]
)
def test_dtypes_are_kept(dtype: str) -> None:
    y, w = abs(numbers(Y.shape)).astype(dtype), abs(numbers(W.shape, seed=1)).astype(dtype)
    fast = accelerate(up)
    assert_same(fast(y, w), up(y, w), rtol=2**-7 if dtype == "bfloat16" else 2e-3)
    assert_ours(fast, y, w)


@pytest.mark.parametrize(
    ("dtype", "preferred", "ours"),
    [("bfloat16", "float32", True), ("int8", "int32", True), ("int8", "float32", False)],
)
def test_preferred_element_types_are_honoured(dtype: str, preferred: str, ours: bool) -> None:
    y, w = Y.astype(dtype), W.astype(dtype)
    f = lambda y, w: lax.conv_transpose(  # noqa: E731
        y, w, (2, 2, 2), "SAME", preferred_element_type=preferred
    )
    assert_same(accelerate(f)(y, w), f(y, w))
    assert ("trilinear" in names(accelerate(f), y, w)) is ours


# -- groups ----------------------------------------------------------------------------------------


@EVERYWHERE
@pytest.mark.parametrize("groups", [2, 4])
@pytest.mark.parametrize("spread", [1, 2])
def test_grouped_convolutions_and_their_gradients(groups: int, spread: int) -> None:
    x, w = numbers((2, 6, 5, 4)), numbers((3, 2, 4 // groups, 8), seed=1)
    f = lambda x, w: lax.conv_general_dilated(  # noqa: E731
        x, w, (1, 1), [(2, 1), (0, 1)], lhs_dilation=(spread, 1), feature_group_count=groups,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )  # fmt: skip
    total = lambda x, w: (f(x, w) ** 3).sum()  # noqa: E731
    expected = jax.jit(jax.grad(total, (0, 1)))(x, w)
    assert_same(jax.jit(jax.grad(accelerate(total), (0, 1)))(x, w), expected)
    outside = accelerate(jax.grad(total, (0, 1)))
    assert_same(jax.jit(outside)(x, w), expected)
    assert_ours(outside, x, w)


# -- the report ------------------------------------------------------------------------------------


def test_a_report_lists_what_is_found() -> None:
    def f(y: Any, w: Any) -> Any:
        chosen = lambda y: lax.cond(y.sum() > 0, lambda y: up(y, w), lambda y: up(y, -w), y)  # noqa: E731
        z = lax.scan(lambda c, _: (c, chosen(c)), y, None, length=2)[1][0]
        x = z[..., 0, 0].astype(jnp.float32)
        return lax.conv_general_dilated(x, x[:, :, :2], (1,), "VALID")

    shaped = (jax.ShapeDtypeStruct(v.shape, v.dtype) for v in (Y, W))
    ours, ours_too, left = report(f, *shaped).convolutions
    assert ours.where == ours_too.where == "scan > cond"
    assert (ours.partial, ours.algorithm) == ("conv_transpose", "patches")
    assert ours.shapes == (Y.shape, W.shape, (1, 6, 6, 6, 3))
    assert ours.before is not None
    assert ours.after is not None
    assert ours.after < ours.before
    assert (left.where, left.partial, left.algorithm) == ("", None, "")
    assert left.reason == "XLA's fast convolution takes it as it is"
    table = str(report(f, Y, W)).splitlines()
    assert len(table) == 4
    assert all(word in table[1] for word in ("scan > cond", "1x3x3x3x4", "patches", "faster"))


def test_a_report_runs_nothing_and_says_so_where_there_is_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert str(report(lambda y: jax.debug.print("{}", y), Y)) == "no convolutions"
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [({"window_strides": (2,), "lhs_dilation": (2,), "rhs_dilation": (2,)}, "are all above 1"),
     ({"window_strides": (1,), "precision": ("default", "highest")}, "two precisions")],
)  # fmt: skip
def test_a_report_says_why_one_is_left_alone(arguments: dict[str, Any], reason: str) -> None:
    f = lambda x, w: lax.conv_general_dilated(x, w, padding=[(3, 3)], **arguments)  # noqa: E731
    (one,) = report(f, jnp.ones((1, 1, 5)), jnp.ones((1, 1, 3))).convolutions
    assert one.partial is None
    assert reason in one.reason


def test_the_kernel_of_a_kernel_gradient_is_its_result() -> None:
    gradient = jax.grad(loss, 1)
    _, one = list(found(jax.make_jaxpr(gradient)(Y, W)))[-1]
    c: Convolution = read(one)
    way = natural(c, list(assignments(c)))
    assert (way.partial, way.roles) == ("kernel_gradient", ("rhs", "out", "lhs"))


def test_symbolic_sizes_are_left_alone() -> None:
    (n,) = jax.export.symbolic_shape("n")
    y = jax.ShapeDtypeStruct((n, *Y.shape[1:]), Y.dtype)
    (one,) = report(up, y, W).convolutions
    assert (one.partial, one.reason) == (None, "a size is symbolic")
    assert jax.export.export(jax.jit(accelerate(up)))(y, W).call(Y, W).shape == up(Y, W).shape


@pytest.mark.parametrize("platform", ["gpu", "tpu"])
def test_on_an_accelerator_it_does_what_plan_prefers(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    plain = lambda x, w: lax.conv_general_dilated(x, w, (1,), "SAME")  # noqa: E731
    (one,) = report(plain, jnp.ones((1, 1, 5)), jnp.ones((1, 1, 3))).convolutions
    assert one.partial is None
    (one,) = report(up, Y, W).convolutions
    assert (one.partial, one.reason[:8]) == ("conv_transpose", "autodiff")


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(tc.GeometryError, match="fn=int: it must be a function; give the function"):
        accelerate(3)  # type: ignore[arg-type]
