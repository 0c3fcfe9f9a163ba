"""Many devices give the numbers of one, and a result lies where its operands lay."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import tconvjax as tc
from tests.oracles import LOOPS, PARTIALS
from tests.strategies import Arguments
from tests.test_distributed import assert_close
from tests.test_distributed import mesh as of_sizes

RNG = np.random.default_rng(0)
# Enough elements for a pass of its own over each array, which is a call in the program.
Y, W, BIAS = (RNG.normal(size=s) for s in ((8, 4, 32, 16), (4, 8, 3, 4), (8,)))
OPTIONS: dict[str, Any] = {"stride": 2, "padding": ((1, 0), (2, 1))}


def up(y: Any, w: Any, **options: Any) -> jax.Array:
    return tc.conv_transpose(y, w, **OPTIONS, **options)


def loss(y: Any, w: Any, bias: Any, algorithm: str = "auto") -> jax.Array:
    return (tc.conv_transpose(y, w, bias, algorithm=algorithm, **OPTIONS) ** 2).sum()


@functools.cache
def step(algorithm: str = "auto") -> Callable[..., Any]:
    """The loss and its gradients, as one program."""
    return jax.jit(jax.value_and_grad(functools.partial(loss, algorithm=algorithm), (0, 1, 2)))


def expected() -> Any:
    """The loss and its gradients on one device."""
    return step()(Y, W, BIAS)


def pair(y: Any, w: Any) -> tuple[jax.Array, jax.Array]:
    """The transposed convolution, and a gradient of its kernel."""
    z = up(y, w)
    return z, tc.kernel_gradient(z, y, kernel_size=W.shape[2:], **OPTIONS)


def mesh(kind: AxisType = AxisType.Auto, sizes: tuple[int, ...] = (4, 2)) -> jax.sharding.Mesh:
    return of_sizes(sizes, kind)


def of_all(f: Callable[..., Any], *specs: P, on: jax.sharding.Mesh) -> Callable[..., Any]:
    """The sum over the devices along "data" of what each makes of its part."""
    local = lambda *parts: jax.lax.psum(f(*parts), "data")  # noqa: E731
    return jax.shard_map(local, mesh=on, in_specs=specs, out_specs=P())


@pytest.mark.parametrize("algorithm", ["auto", *tc.ALGORITHMS])
def test_shard_map_with_its_checks_on(algorithm: str) -> None:
    """The check_vma types hold, and the gradient of the replicated kernel is summed once."""
    on_all = of_all(functools.partial(loss, algorithm=algorithm), P("data"), P(), P(), on=mesh())
    assert_close(jax.jit(jax.value_and_grad(on_all, (0, 1, 2)))(Y, W, BIAS), expected())


def test_gradient_inside_a_shard_map() -> None:
    """Run eagerly, as every other is run as one program."""
    specs, gradient = (P("data"), P(), P()), jax.grad(loss, (0, 1, 2))
    inside = jax.shard_map(gradient, mesh=mesh(), in_specs=specs, out_specs=specs)
    assert_close(inside(Y, W, BIAS), expected()[1])


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


@pytest.mark.parametrize(("of_y", "of_w", "result"), EXPLICIT, ids=str)
def test_explicit_sharding(of_y: P, of_w: P, result: tuple[Any, ...]) -> None:
    """Thirty-two rows give sixty-four, which divide by two devices."""
    with jax.set_mesh(mesh(AxisType.Explicit)):
        y, w = jax.device_put(Y, of_y), jax.device_put(W, of_w)
        found = step()(y, w, BIAS)
        assert [lies(g) for g in found[1][:2]] == [lies(y), lies(w)]
        eagerly = pair(y, w)
        assert lies(eagerly[0]) == result
        assert lies(eagerly[1]) == (lies(y)[1], result[1], None, None)
    assert_close((found, eagerly), (expected(), jax.jit(pair)(Y, W)))


def test_explicit_sharding_of_grouped_and_unbatched_operands() -> None:
    with jax.set_mesh(mesh(AxisType.Explicit)):
        w = jax.device_put(W[:, :1], P("model"))
        y = jax.device_put(Y[0], P("model"))
        z = up(y, w, groups=4)
        assert lies(z) == (None, None, None)
        many = up(jax.device_put(Y[None], P(None, "data")), W)
        assert lies(many) == (None, "data", None, None, None)
        last = jax.device_put(Y[0], P(None, "model"))  # the batch axis would stand last
        assert lies(up(last, W, dimension_numbers=("CHWN", "OIHW", "CHWN")))[1] == "model"
    assert_close((z, many[0]), (up(Y[0], W[:, :1], groups=4), up(Y, W)))


def test_a_size_that_does_not_divide_is_not_split() -> None:
    with jax.set_mesh(mesh(AxisType.Explicit)):
        y = jax.device_put(Y, P(None, None, "model"))
        assert lies(tc.conv_transpose(y, W, stride=2)) == (None, None, None, None)  # 65 rows


def test_loops_over_taps_inside_a_shard_map() -> None:
    """Images and channels are split; each partial is a loop, and equal to that of one device."""
    shapes = {"x": (4, 8, 20, 18), "w": (8, 1, 9, 8), "y": (4, 8, 12, 11)}
    x, w, y = (RNG.integers(-3, 4, shape).astype("float32") for shape in shapes.values())

    def partials(x: Any, w: Any, y: Any) -> Any:
        f = functools.partial(tc.conv, groups=w.shape[0], algorithm="taps")
        out, back = jax.vjp(f, x, w)
        return out, *back(y)

    specs = P("data", "model"), P("model"), P("data", "model")
    split = jax.shard_map(
        partials, mesh=mesh(sizes=(2, 2)), in_specs=specs, out_specs=(specs[2], *specs[:2])
    )
    program = jax.jit(split).lower(x, w, y)
    assert program.as_text().count("stablehlo.while") == 3
    jax.tree.map(np.testing.assert_array_equal, program.compile()(x, w, y), partials(x, w, y))


@pytest.mark.parametrize("shape", [(6, 1, 2**16), (2, 1, 2**18)], ids=["images", "rows"])
def test_blocks_inside_a_shard_map(shape: tuple[int, ...]) -> None:
    """A loop's result varies over the mesh axes of what it is made from."""
    y, w = np.resize(Y, shape), np.resize(W, (1, 1, 16))

    def squares(algorithm: str) -> Callable[..., jax.Array]:
        return lambda y, w: (tc.conv_transpose(y, w, algorithm=algorithm) ** 2).sum()

    on_all = of_all(squares("patches"), P("data"), P(), on=mesh(sizes=(2, 1)))
    program = jax.jit(jax.value_and_grad(on_all, (0, 1))).lower(y, w)
    assert "while" in program.as_text()
    one = jax.jit(jax.value_and_grad(squares("taps"), (0, 1)))
    assert_close(program.compile()(y, w), one(y, w))


def test_a_kernel_may_vary_where_what_it_meets_does_not() -> None:
    """Each device has some of the result's channels; y is the same for all."""
    channels = P(None, "model")
    on_all = jax.shard_map(up, mesh=mesh(), in_specs=(P(), channels), out_specs=channels)

    def squares(f: Callable[..., jax.Array]) -> Any:
        gradient = jax.grad(lambda y, w: (f(y, w) ** 2).sum(), (0, 1))
        return jax.jit(lambda y, w: (f(y, w), gradient(y, w)))(Y, W)

    assert_close(squares(on_all), squares(up))


# -- any convolution on any mesh -------------------------------------------------------------------


@st.composite
def meshed(draw: st.DrawFn) -> tuple[Arguments, str, str, AxisType, tuple[int, ...], list[P]]:
    """A convolution, a partial, an algorithm, a mesh, and where both operands lie on it."""
    rank, groups = draw(st.sampled_from([1, 2])), draw(st.sampled_from([1, 1, 2, 4]))

    def each(*of: int) -> tuple[int, ...]:
        return tuple(draw(st.sampled_from(of)) for _ in range(rank))

    kernel, dilation, spans = each(1, 2, 3, 4), each(1, 1, 2), each(4, 8, 12, 16)
    a = Arguments(
        draw(st.sampled_from([1, 2, 4])), groups * draw(st.sampled_from([1, 2, 4])),
        groups * draw(st.sampled_from([1, 2, 4])),
        tuple(max(n, d * (k - 1) + 1) for n, k, d in zip(spans, kernel, dilation, strict=True)),
        kernel, each(1, 2, 3), tuple(zip(each(0, 1, 2), each(0, 1, 2), strict=True)), dilation,
        groups,
    )  # fmt: skip
    partial = draw(st.sampled_from(sorted(PARTIALS)))
    sizes = draw(st.sampled_from([(4,), (2, 2), (2, 4)]))
    shapes = {"x": a.x_shape, "w": a.w_shape, "y": a.y_shape}
    specs = []
    for role in PARTIALS[partial][:2]:
        entries: list[str | None] = [None] * (rank + 2)
        for name, size in zip(("data", "model"), sizes, strict=False):
            n = draw(st.integers(-1, rank + 1))
            if n >= 0 and entries[n] is None and shapes[role][n] % size == 0:
                entries[n] = name
        specs.append(P(*entries))
    kind = draw(st.sampled_from([AxisType.Auto, AxisType.Explicit]))
    return a, partial, draw(st.sampled_from(["auto", *tc.ALGORITHMS])), kind, sizes, specs


@settings(max_examples=2 * settings().max_examples)
@given(meshed())
def test_any_convolution_on_any_mesh_is_that_of_one_device(case: Any) -> None:
    assert_like_one_device(*case)


def assert_like_one_device(
    a: Arguments, partial: str, algorithm: str, kind: AxisType, sizes: Any, specs: list[P]
) -> None:
    arrays = dict(zip("xwy", a.arrays(np.float64), strict=True))
    given = [arrays[role] for role in PARTIALS[partial][:2]]
    sized: dict[str, Any] = {
        "conv": {},
        "conv_transpose": {"output_size": a.in_size},
        "kernel_gradient": {"kernel_size": a.kernel_size},
    }[partial]
    f = functools.partial(getattr(tc, partial), algorithm=algorithm, **a.keywords, **sized)
    on = mesh(kind, sizes)
    with jax.set_mesh(on) if kind == AxisType.Explicit else contextlib.nullcontext():
        laid = [jax.device_put(v, NamedSharding(on, s)) for v, s in zip(given, specs, strict=True)]
        found = np.asarray(jax.jit(f)(*laid))
    np.testing.assert_array_equal(found, LOOPS[partial](a, *given))


LINE = Arguments(4, 4, 4, (16,), (3,), (2,), ((1, 1),), (1,), 1)
PLANE = Arguments(2, 4, 8, (16, 16), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1)
ROWS, SECOND, FIRST = P(None, None, "data"), P(None, "model"), P("model")
WRONG_BY_XLA = {
    "groups": (replace(LINE, groups=2), "conv_transpose", (4,), P(None, "data"), P("data")),
    "groups of a gradient": (
        Arguments(1, 8, 8, (8, 12), (2, 3), (2, 1), ((1, 2), (2, 1)), (1, 1), 2),
        "kernel_gradient", (4,), P(), P(None, "data"),
    ),
    "rows and outputs": (PLANE, "conv", (2, 2), ROWS, FIRST),
    "rows and inputs": (PLANE, "conv_transpose", (2, 2), ROWS, SECOND),
    "rows of a gradient": (PLANE, "kernel_gradient", (2, 2), ROWS, ROWS),
    "one tap": (replace(PLANE, kernel_size=(1, 1), stride=(2, 2)), "conv", (2, 2), ROWS, FIRST),
    "batch and channels": (replace(LINE, in_channels=8), "conv_transpose", (2, 2),
                           P("data", "model"), FIRST),
    "a row for each": (
        Arguments(4, 4, 4, (4, 16), (2, 3), (3, 3), ((1, 0), (0, 0)), (2, 1), 1),
        "kernel_gradient", (4,), ROWS, P(),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_BY_XLA)
def test_what_xlas_partitioner_gets_wrong_is_kept_from_it(case: str) -> None:
    a, partial, sizes, *specs = WRONG_BY_XLA[case]
    for algorithm in ("auto", *tc.ALGORITHMS):
        assert_like_one_device(a, partial, algorithm, AxisType.Auto, sizes, specs)


def test_one_operand_may_lie_on_no_mesh() -> None:
    """XLA lays it on that of the other, which decides what is kept from XLA."""
    a, _, sizes, _, of_w = WRONG_BY_XLA["groups"]
    _, w, y = a.arrays(np.float64)
    laid = jax.device_put(w, NamedSharding(mesh(sizes=sizes), of_w))
    up = functools.partial(tc.conv_transpose, output_size=a.in_size, **a.keywords)
    text = jax.jit(functools.partial(up, algorithm="polyphase")).lower(y, laid).as_text()
    assert "stablehlo.convolution" not in text
    np.testing.assert_array_equal(jax.jit(up)(y, laid), LOOPS["conv_transpose"](a, y, w))
