"""What devices send one another, read from compiled programs; two processes are as good as one."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import tconvjax as tc

KINDS = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter|collective-broadcast"
SENT = re.compile(rf"= (\([^)]*\)|\S+) ({KINDS})(?:-start)?\(")
"""The result's type, or a tuple of types, and the name of a collective in XLA's text."""


def mesh(sizes: tuple[int, ...] = (8,), kind: AxisType = AxisType.Auto) -> jax.sharding.Mesh:
    names = ("data", "model")[: len(sizes)]
    return jax.make_mesh(sizes, names, axis_types=(kind,) * len(sizes))


def compiled(f: Callable[..., Any], *args: Any, **keywords: Any) -> Any:
    return jax.jit(f, **keywords).lower(*args).compile()


def sent(program: Any) -> list[tuple[str, int]]:
    """Each collective of a compiled program, and the elements of its result on one device."""
    return [
        (name, sum(math.prod(map(int, shape.split(","))) if shape else 1
                   for shape in re.findall(r"\w+\[([\d,]*)\]", types)))
        for types, name in SENT.findall(program.as_text())
    ]  # fmt: skip


def kinds(found: list[tuple[str, int]]) -> set[str]:
    return {name for name, _ in found}


def operation(name: str, **options: Any) -> Callable[[jax.Array, jax.Array], jax.Array]:
    one: Callable[..., jax.Array] = getattr(tc, name)
    return lambda a, w: one(a, w, **options)


def gradients(f: Callable[..., jax.Array]) -> Callable[..., Any]:
    return jax.grad(lambda a, w: (f(a, w) ** 2).sum(), (0, 1))


def arrays(*shapes: tuple[int, ...]) -> list[jax.Array]:
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.normal(size=shape)) for shape in shapes]


def assert_close(found: Any, expected: Any) -> None:
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10), found, expected
    )


PARTIALS = pytest.mark.parametrize("name", ["conv", "conv_transpose"])


@pytest.mark.parametrize("kind", sorted({"all-reduce", "all-gather", "collective-permute"}))
def test_the_search_for_collectives_can_find_each(kind: str) -> None:
    laid = mesh()
    (x,) = arrays((8, 3))
    x = jax.device_put(x, NamedSharding(laid, P("data")))
    whole = NamedSharding(laid, P())
    ring = [(n, (n + 1) % 8) for n in range(8)]
    passed = jax.shard_map(
        lambda x: jax.lax.ppermute(x, "data", ring), mesh=laid, in_specs=P("data"),
        out_specs=P("data"),
    )  # fmt: skip
    found = {
        "all-reduce": compiled(lambda x: x.sum(0), x, out_shardings=whole),
        "all-gather": compiled(lambda x: x + 1, x, out_shardings=whole),
        "collective-permute": compiled(passed, x),
    }[kind]
    assert sent(found) == [(kind, {"all-gather": 24}.get(kind, 3))]


# -- space -----------------------------------------------------------------------------------------

# The transposed convolution's y and w; every size that is split divides by eight.
LAYERS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "stride 2": ((1, 4, 32, 16), (4, 3, 4, 4), {"stride": 2, "padding": 1}),
    "dilated": ((1, 4, 32, 16), (4, 3, 3, 3), {"dilation": 2, "padding": 2}),
    "depthwise": ((1, 4, 32, 16), (4, 1, 4, 4), {"stride": 2, "padding": 1, "groups": 4}),
    "one axis": ((1, 4, 64), (4, 3, 16), {"stride": 8, "padding": 4}),
    "three axes": ((1, 4, 16, 6, 6), (4, 3, 4, 4, 4), {"stride": 2, "padding": 1}),
}


def spatial(name: str, layer: str) -> tuple[jax.Array, jax.Array, dict[str, Any]]:
    """What the operation reads, the kernel, and the options of a layer."""
    y_shape, w_shape, options = LAYERS[layer]
    y, w = arrays(y_shape, w_shape)
    return (y if name == "conv_transpose" else tc.conv_transpose(y, w, **options)), w, options


@PARTIALS
@pytest.mark.parametrize(
    ("algorithm", "layer"), [*(("auto", layer) for layer in LAYERS), ("direct", "stride 2")]
)
def test_split_space_exchanges_halos_and_gathers_nothing(
    name: str, algorithm: str, layer: str
) -> None:
    a, w, options = spatial(name, layer)
    f = operation(name, algorithm=algorithm, **options)
    step = gradients(f)
    rows, whole = NamedSharding(mesh(), P(None, None, "data")), NamedSharding(mesh(), P())
    laid = jax.device_put((a, w), (rows, whole))
    programs = compiled(f, *laid), compiled(step, *laid, out_shardings=(rows, whole))
    forward, backward = map(sent, programs)
    assert kinds(forward) == {"collective-permute"}
    assert kinds(backward) == {"collective-permute", "all-reduce"}
    results = [program(*laid) for program in programs]
    # A halo is less than the taps of one window reach, and what is added up is the kernel.
    reach = options.get("dilation", 1) * (w.shape[2] - 1)
    row = max(v.size // v.shape[2] for v in (a, results[0]))
    assert all(size <= reach * row for kind, size in forward + backward if "permute" in kind)
    assert [size for kind, size in backward if kind == "all-reduce"] == [w.size]
    assert_close(results, [f(a, w), step(a, w)])


@pytest.mark.parametrize("algorithm", ["patches", "polyphase"])
def test_the_other_algorithms_gather(algorithm: str) -> None:
    """Why "auto" does without them where space may be split; and the search can find it."""
    y, w, options = spatial("conv_transpose", "stride 2")
    y = jax.device_put(y, NamedSharding(mesh(), P(None, None, "data")))
    f = operation("conv_transpose", algorithm=algorithm, **options)
    assert "all-gather" in kinds(sent(compiled(f, y, w)))


def test_auto_is_the_estimate_where_the_devices_can_share_the_batch() -> None:
    y, w = arrays((16, 16, 8, 8), (16, 8, 4, 4))
    f = lambda n: operation("conv_transpose", stride=2, padding=1, algorithm=n)  # noqa: E731
    whole = NamedSharding(mesh(), P())

    def text(name: str, batch: int) -> str:
        laid = jax.device_put((y[:batch], w), whole)
        return str(jax.jit(f(name)).lower(*laid).as_text())

    assert text("auto", 16) == text("patches", 16) != text("direct", 16)
    assert text("auto", 12) == text("direct", 12) != text("patches", 12)
    ints = jax.device_put((jnp.ones((3, 2, 8), jnp.int32), jnp.ones((2, 2, 4), jnp.int32)), whole)
    assert jax.jit(f("auto")).lower(*ints).as_text() == (
        jax.jit(f("patches")).lower(*ints).as_text()
    )


# -- explicit sharding -----------------------------------------------------------------------------


def test_two_explicit_meshes_are_refused() -> None:
    y, w = arrays((8, 4, 6, 5), (4, 8, 4, 4))
    of_y = mesh(kind=AxisType.Explicit)
    of_w = jax.make_mesh((8,), ("other",), axis_types=(AxisType.Explicit,))
    y = jax.device_put(y, NamedSharding(of_y, P("data")))
    w = jax.device_put(w, NamedSharding(of_w, P(None, "other")))
    with pytest.raises(tc.GeometryError, match=r"^w=array of shape .* on the mesh .*other.*: y "
                       r"lies on .*, and one operation has one mesh; lay both out"):  # fmt: skip
        tc.conv_transpose(y, w)
