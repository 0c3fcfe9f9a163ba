"""An accelerated function is the same function, and its convolutions are ours."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from jax import lax
from jax.sharding import PartitionSpec

import tconvjax as tc
from tconvjax import accelerate
from tconvjax.acceleration import report
from tests.oracles import ways
from tests.reading import read
from tests.strategies import Arguments, arguments
from tests.test_transformations import logged, primitives

# -- every convolution that is replaced is that convolution ----------------------------------------


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """Shapes of lhs and rhs, and arguments of ``lax.conv_general_dilated``."""
    rank = draw(st.integers(1, 2))

    def each(least: int, most: int) -> list[int]:
        return [draw(st.integers(least, most)) for _ in range(rank)]

    groups, batched = draw(st.integers(1, 2)), draw(st.booleans())
    n, c, o = (draw(st.integers(1, 2)) for _ in range(3))
    steps = [each(1, 2) for _ in range(3)]
    steps[draw(st.integers(0, 2))] = [1] * rank  # else no array can play x
    stride, dilation, spread = steps
    kernel, size, low = each(1, 4), each(1, 4), each(-1, 3)
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


def convolution(**arguments: Any) -> Callable[..., Any]:
    return functools.partial(lax.conv_general_dilated, **arguments)


@settings(max_examples=3 * settings().max_examples)
@given(convolutions())
def test_whatever_is_replaced_is_the_convolution(case: Any) -> None:
    """Each of its arrays comes to play x, w and y, in one place or another."""
    left, right, arguments = case
    lhs, rhs, plain = numbers(left), numbers(right, seed=1), convolution(**arguments)
    assume(report(plain, lhs, rhs).convolutions[0].partial)
    for found in ways(accelerate(plain), lhs, rhs):
        np.testing.assert_array_equal(found, read(plain, lhs, rhs))


def test_an_array_plays_x_where_its_step_is_one() -> None:
    """Along one element there is no step."""
    for s, d, n, kernel in itertools.product((1, 2), (1, 2), (1, 2), (1, 3)):
        steps: Any = {"window_strides": [s], "rhs_dilation": [d], "lhs_dilation": [n]}
        plain = convolution(padding=[(3, 3)], **steps)
        (one,) = report(plain, jnp.ones((1, 1, 5)), jnp.ones((1, 1, kernel))).convolutions
        none = one.reason == "stride, lhs_dilation and rhs_dilation are all above 1"
        assert none == (kernel > 1 and s == d == n == 2)


# -- an accelerated function is the same function --------------------------------------------------

# Three axes, which XLA loops over on a CPU, and channels enough: each partial is worth replacing.
Y, W = numbers((1, 4, 4, 4, 16)), numbers((2, 2, 2, 16, 4), seed=1)


def up(y: Any, w: Any, **options: Any) -> Any:
    return lax.conv_transpose(y, w, (2, 2, 2), "SAME", **options)


def down(z: Any, w: Any) -> Any:
    layout = ("NDHWC", "DHWOI", "NDHWC")
    return lax.conv_general_dilated(z, w, (2, 2, 2), "SAME", dimension_numbers=layout)


def derived(f: Callable[..., Any]) -> Callable[..., Any]:
    """A function with what its own results pull back."""

    def both(*args: Any) -> Any:
        results, back = jax.vjp(f, *args)
        return results, back(results)

    return both


def assert_same(fast: Any, plain: Any, rtol: float = 1e-12) -> None:
    def compare(one: Any, other: Any) -> None:
        assert (one.shape, one.dtype) == (other.shape, other.dtype)
        assert jax.typeof(one).weak_type == jax.typeof(other).weak_type
        np.testing.assert_allclose(one, other, rtol=rtol, atol=rtol)

    jax.tree.map(compare, fast, plain)  # it raises where the trees differ


def assert_ours(plain: Callable[..., Any], *fast: Callable[..., Any], args: Any) -> None:
    """The values of a function, and nothing but operations of ours."""
    expected, *found = jax.jit(lambda *args: [f(*args) for f in (plain, *fast)])(*args)
    for f, one in zip(fast, found, strict=True):
        assert_same(one, expected)
        names = primitives(f, *args)
        assert "trilinear" in names
        assert "conv_general_dilated" not in names


def assert_derived(f: Callable[..., Any], *args: Any) -> None:
    """Its derivatives too, whichever comes first."""
    assert_ours(derived(f), derived(accelerate(f)), accelerate(derived(f)), args=args)


def on_both(f: Callable[..., Any]) -> Callable[..., Any]:
    return lambda y, w: f(jnp.stack([y, -y]), jnp.stack([w, 2 * w]))


def test_it_can_be_transformed_and_repeated() -> None:
    """Other tests differentiate it, and it of other transformations."""
    fast, tangent = accelerate(up), lambda f: lambda y, w: jax.jvp(f, (y, w), (2 * y, w))
    assert_ours(up, accelerate(fast), args=(Y, W))
    assert_ours(on_both(jax.vmap(up)), on_both(jax.vmap(fast)), args=(Y, W))
    assert_ours(tangent(up), tangent(fast), args=(Y, W))


def scanned(y: Any, w: Any) -> Any:
    return lax.scan(lambda c, _: (down(up(c, w), w), c.sum()), y, None, length=2)


def looped(y: Any, w: Any) -> Any:
    return lax.while_loop(lambda c: abs(c).sum() < 1e6, lambda c: down(up(c, w), w), y)


def chosen(y: Any, w: Any) -> Any:
    return lax.cond(y.sum() > 0, lambda y: up(y, w), lambda y: -up(y, 2 * w), y)


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


@jax.custom_vjp
def with_vjp(y: Any, w: Any) -> Any:
    """Its rule is no derivative, so that it can be told apart from one."""
    return up(y, w)


def _backward(kept: Any, cotangent: Any) -> Any:
    first, second = jax.vjp(up, *kept)[1](cotangent)
    return 3 * first, 5 * second


with_vjp.defvjp(lambda y, w: (up(y, w), (y, w)), _backward)


@jax.custom_jvp
def with_jvp(y: Any, w: Any) -> Any:
    return up(y, w)


@with_jvp.defjvp
def _tangent(primals: Any, tangents: Any) -> Any:
    (y, w), (dy, dw) = primals, tangents
    return up(y, w), 3 * up(dy, w) + 5 * up(y, dw)


HOLDING = {f.__name__: f for f in (scanned, chosen, nested, solved)}
HOLDING["groups"] = on_both(jax.vmap(up))
_rules: dict[str, Callable[..., Any]] = {"vjp": with_vjp, "jvp": with_jvp}
for _name, _rule in _rules.items():
    HOLDING[_name] = _rule
    HOLDING[f"{_name} in jit"] = jax.jit(_rule)
    HOLDING[f"{_name} in checkpoint"] = jax.checkpoint(_rule)
    HOLDING[f"{_name} in vmap"] = on_both(jax.vmap(_rule))
    # With one argument fixed, the rule meets a symbolic zero.
    HOLDING[f"{_name} of one argument"] = functools.partial(lambda rule, _, w: rule(Y, w), _rule)


@pytest.mark.parametrize("name", HOLDING)
def test_inner_programs_and_rules_are_accelerated(name: str) -> None:
    assert_derived(HOLDING[name], Y / 9, W / 9)


def test_loops_and_shard_maps_are_accelerated() -> None:
    assert_ours(looped, accelerate(looped), args=(Y, W))
    assert_ours(derived(sharded), derived(accelerate(sharded)), args=(Y, W))


@pytest.mark.xfail(
    strict=True,
    reason="the mesh axes of a first operand that is reversed are lost as a replacement is traced, "
    "so the convolution stays, though the report says that it is replaced",
)
def test_every_convolution_in_a_shard_map_becomes_what_the_report_says() -> None:
    found = [one.partial for one in report(derived(sharded), Y, W).convolutions]
    assert primitives(accelerate(derived(sharded)), Y, W).count("trilinear") == len(found)


# -- whatever else a function does -----------------------------------------------------------------


def test_arguments_and_results_are_those_of_the_function() -> None:
    def f(tree: dict[str, Any], name: str, times: int, *, flag: bool = False) -> Any:
        """Doc."""
        assert isinstance(tree["table"], np.ndarray)
        z = up(times * tree["y"] if flag else tree["y"], tree["w"])
        return {"z": z, "name": name, "table": tree["table"], "none": None}

    fast = accelerate(f)
    assert (fast.__name__, fast.__doc__) == ("f", "Doc.")
    tree = {"y": Y, "w": W, "table": np.arange(3)}
    result = fast(tree, "one", 2, flag=True)
    assert (result["name"], result["none"]) == ("one", None)
    assert result["table"] is tree["table"]
    assert_same(result["z"], up(2 * Y, W))


def test_a_change_in_place_is_refused_and_not_lost() -> None:
    """The function gets a copy of every container; Flax's modules are in tests/conformance."""

    @jax.tree_util.register_dataclass
    @dataclass
    class Counter:
        count: Any

    def counted(counter: Counter) -> Any:
        counter.count = counter.count + 1
        return counter.count

    def emptied(tree: dict[str, Any]) -> Any:
        return tree.pop("y")

    cases: list[tuple[Any, Any]] = [(counted, Counter(Y)), (emptied, {"y": Y, "w": W})]
    for f, argument in cases:
        with pytest.raises(tc.GeometryError, match="; return the new value instead"):
            accelerate(f)(argument)


def test_what_xla_does_well_stays_itself() -> None:
    x, w = jnp.ones((1, 8, 8, 4), jnp.float32), jnp.ones((3, 3, 4, 4), jnp.float32)
    f = convolution(
        window_strides=(1, 1), padding="SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    assert str(jax.make_jaxpr(accelerate(f))(x, w)) == str(jax.make_jaxpr(f)(x, w))


def test_an_accelerated_jitted_function_is_compiled_once(caplog: pytest.LogCaptureFixture) -> None:
    fast = jax.jit(lambda y: up(y, W))
    lines = [" ".join(logged(caplog, lambda: accelerate(fast)(Y))) for _ in range(2)]
    assert ["Compiling" in line for line in lines] == [True, False]


def test_debug_prints_come_once(capfd: pytest.CaptureFixture[str]) -> None:
    def f(y: Any, w: Any) -> Any:
        jax.debug.print("sum {}", y.sum())
        return up(y, w)

    accelerate(f)(Y, W)
    jax.jit(accelerate(jax.jit(f)))(Y, W)
    jax.effects_barrier()
    assert capfd.readouterr().out.count("sum") == 2


def test_precisions_and_named_scopes_are_kept() -> None:
    def f(y: Any, w: Any) -> Any:
        with jax.named_scope("upwards"):
            return up(y, w, precision="highest")

    text = jax.jit(accelerate(f)).lower(Y, W).as_text(debug_info=True)
    assert "upwards" in text
    assert "HIGHEST" in text


def test_collectives_know_their_axis() -> None:
    f = lambda y, w: lax.psum(up(y, w), "i")  # noqa: E731
    plain, fast = (on_both(jax.vmap(g, axis_name="i")) for g in (f, accelerate(f)))
    assert_ours(plain, fast, args=(Y, W))


def test_donated_arguments_are_donated() -> None:
    f = accelerate(jax.jit(lambda y: down(up(y, W), W), donate_argnums=0))
    y = Y + 0
    f(y)
    assert y.is_deleted()


def test_under_disable_jit() -> None:
    with jax.disable_jit():
        result = accelerate(up)(Y, W)
    assert_same(result, up(Y, W))


@pytest.mark.parametrize(
    ("dtype", "preferred"),
    [*((name, None) for name in ("float16", "bfloat16", "float32", "complex64", "int8", "uint16")),
     ("bfloat16", "float32"), ("int8", "int32"), ("int8", "float32")],
)  # fmt: skip
def test_dtypes_are_kept(dtype: str, preferred: str | None) -> None:
    y, w = (abs(v).astype(dtype) for v in (Y, W))
    f = lambda y, w: up(y, w, preferred_element_type=preferred)  # noqa: E731
    fast, plain = jax.jit(lambda y, w: (accelerate(f)(y, w), f(y, w)))(y, w)
    assert_same(fast, plain, rtol=2**-7 if (dtype, preferred) == ("bfloat16", None) else 2e-3)
    mixed = (dtype, preferred) == ("int8", "float32")
    assert ("trilinear" in primitives(accelerate(f), y, w)) is not mixed


# -- the report ------------------------------------------------------------------------------------


def test_a_report_lists_what_is_found() -> None:
    def f(y: Any, w: Any) -> Any:
        z = lax.scan(lambda c, _: (c, chosen(c, w)), y, None, length=2)[1][0]
        x = z[..., 0, 0].astype(jnp.float32)
        return lax.conv_general_dilated(x, x[:, :, :2], (1,), "VALID")

    shaped = (jax.ShapeDtypeStruct(v.shape, v.dtype) for v in (Y, W))
    ours, ours_too, left = report(f, *shaped).convolutions
    assert ours.where == ours_too.where == "scan > cond"
    assert (ours.partial, ours.algorithm) == ("conv_transpose", "patches")
    assert ours.shapes == (Y.shape, W.shape, (1, 8, 8, 8, 4))
    assert ours.reason.startswith("XLA is slow where the lhs is spread")
    assert (left.where, left.partial, left.algorithm) == ("", None, "")
    assert left.reason == "XLA's fast convolution takes it as it is"
    table = str(report(f, Y, W)).splitlines()
    assert report(f, Y, W)._repr_html_().count(" &gt; ") == str(report(f, Y, W)).count(" > ")
    assert len(table) == 4
    assert all(word in table[1] for word in ("scan > cond", "1x4x4x4x16", "patches", "spread"))


@settings(max_examples=5)
@given(arguments())
def test_a_report_names_the_algorithm_that_runs(a: Arguments) -> None:
    """The program of "auto" is that of the algorithm by its name."""
    _, w, y = a.arrays(np.float32)

    def up(name: str) -> Callable[..., Any]:
        asked = {"algorithm": name, "output_size": a.in_size, **a.keywords}
        return lambda y, w: tc.conv_transpose(y, w, **asked)

    (one,) = report(up("auto"), y, w).convolutions
    assert (one.partial, one.shapes[:2]) == ("conv_transpose", (y.shape, w.shape))
    auto, named = (jax.jit(up(name)).lower(y, w).as_text() for name in ("auto", one.algorithm))
    assert auto == named
    (one,) = report(up("direct"), y, w).convolutions
    assert (one.algorithm, one.reason) == ("direct", "the call names it")


def test_a_report_of_an_accelerated_function_lists_what_it_became() -> None:
    before, after = (report(f, Y, W).convolutions for f in (scanned, accelerate(scanned)))
    assert [(one.partial, one.algorithm) for one in after] == [
        (one.partial, one.algorithm) for one in before
    ]
    assert [one.partial for one in after] == ["conv_transpose", "conv"]
    assert all(one.where.startswith("scan") for one in after)


def test_what_is_fast_by_itself_is_replaced_within_a_loop() -> None:
    plain = convolution(window_strides=(1,), padding="SAME")
    x, w = jnp.ones((2, 3, 5), "float32"), jnp.ones((3, 3, 3), "float32")
    looped = lambda x, w: lax.fori_loop(0, 2, lambda _, c: plain(c, w), x)  # noqa: E731
    assert [one.partial for one in report(plain, x, w).convolutions] == [None]
    assert [one.partial for one in report(looped, x, w).convolutions] == ["conv"]
    for f, there in ((plain, False), (looped, True)):
        assert ("trilinear" in primitives(accelerate(f), x, w)) is there
    assert_same(accelerate(looped)(x, w), looped(x, w))


def test_a_report_runs_nothing_and_says_so_where_there_is_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert str(report(lambda y: jax.debug.print("{}", y), Y)) == "no convolutions"
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize(
    ("y", "channels", "kernel", "stride"),
    [((7, 5, 5), (32, 32), 5, 2), ((2, 4, 4, 4), (16, 8), 4, 2), ((1, 64), (32, 16), 16, 8)],
)
def test_outside_of_grad_nothing_more_is_multiplied_than_inside(
    y: tuple[int, ...], channels: tuple[int, int], kernel: int, stride: int
) -> None:
    """Where a kernel is as large as y, either may be read as the kernel."""
    rank = len(y) - 1

    def loss(y: jax.Array, w: jax.Array) -> jax.Array:
        return (lax.conv_transpose(y, w, [stride] * rank, "VALID") ** 2).mean()

    operands = jnp.ones((*y, channels[0])), jnp.ones((*[kernel] * rank, *channels))
    counts: list[Any] = [
        jax.jit(step).lower(*operands).compile().cost_analysis()
        for step in (jax.grad(accelerate(loss), (0, 1)), accelerate(jax.grad(loss, (0, 1))))
    ]
    inside, outside = (count["flops"] for count in counts)
    assert outside < 1.1 * inside


def test_a_report_says_what_a_convolution_is_for() -> None:
    """Autodiff writes a kernel gradient as a convolution, whose result is the kernel."""
    found = [one.partial for one in report(derived(up), Y, W).convolutions]
    assert sorted(map(str, found)) == ["conv", "conv_transpose", "kernel_gradient"]
    precise = convolution(window_strides=(1,), padding="VALID", precision=("default", "highest"))
    (one,) = report(precise, jnp.ones((1, 1, 5)), jnp.ones((1, 1, 3))).convolutions
    assert (one.partial, one.reason) == (None, "its operands have two precisions")


def test_symbolic_sizes_are_left_alone() -> None:
    (n,) = jax.export.symbolic_shape("n")
    y = jax.ShapeDtypeStruct((n, *Y.shape[1:]), Y.dtype)
    (one,) = report(up, y, W).convolutions
    assert (one.partial, one.reason) == (None, "a size is symbolic")
    assert jax.export.export(jax.jit(accelerate(up)))(y, W).call(Y, W).shape == (1, 8, 8, 8, 4)


@pytest.mark.parametrize("platform", ["gpu", "tpu"])
def test_on_an_accelerator_it_does_what_plan_prefers(
    platform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What JAX says of the machine is what `accelerate` documents that it goes by."""
    monkeypatch.setattr(jax, "default_backend", lambda: platform)
    plain = convolution(window_strides=(1,), padding="SAME")
    (one,) = report(plain, jnp.ones((1, 1, 5)), jnp.ones((1, 1, 3))).convolutions
    assert one.partial is None
    (one,) = report(up, Y, W).convolutions
    assert (one.partial, one.reason[:8]) == ("conv_transpose", "autodiff")


def test_what_is_no_function_is_refused() -> None:
    with pytest.raises(tc.GeometryError, match="fn=int: it must be a function; give the function"):
        accelerate(3)  # type: ignore[arg-type]
