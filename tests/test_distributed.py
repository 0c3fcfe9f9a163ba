"""What devices send one another, read from compiled programs; two processes are as good as one."""

from __future__ import annotations

import json
import math
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding
from jax.sharding import PartitionSpec as P

import tconvjax as tc
from tconvjax.algorithms import blocks, product
from tests.docs_examples import ROOT

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


# -- batch -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("conv", "direct"), ("conv", "patches"), *(("conv_transpose", n) for n in tc.ALGORITHMS)],
)
def test_a_split_batch_needs_nothing_but_the_sum_of_the_kernels_gradient(
    name: str, algorithm: str
) -> None:
    y, w = arrays((8, 4, 6, 5), (4, 3, 4, 4))
    a = y if name == "conv_transpose" else tc.conv_transpose(y, w, stride=2, padding=1)
    f = operation(name, stride=2, padding=1, algorithm=algorithm)
    images, whole = NamedSharding(mesh(), P("data")), NamedSharding(mesh(), P())
    laid = jax.device_put((a, w), (images, whole))
    assert sent(compiled(f, *laid, out_shardings=images)) == []
    step = compiled(gradients(f), *laid, out_shardings=(images, whole))
    assert sent(step) == [("all-reduce", w.size)]
    assert_close(step(*laid), gradients(f)(a, w))


def test_auto_is_no_worse_where_a_batch_is_split() -> None:
    y, w = arrays((8, 4, 6, 5), (4, 3, 4, 4))
    images, whole = NamedSharding(mesh(), P("data")), NamedSharding(mesh(), P())
    laid = jax.device_put((y, w), (images, whole))
    f = operation("conv_transpose", stride=2, padding=1)
    assert sent(compiled(f, *laid)) == []
    assert sent(compiled(gradients(f), *laid)) == [("all-reduce", w.size)]


@pytest.mark.parametrize("algorithm", ["patches", "taps"])
def test_a_split_batch_is_not_cut_into_blocks(
    algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop over images would gather them all; the test sees the loop where there is no mesh."""
    monkeypatch.setattr(blocks, "WHOLE", 0)
    monkeypatch.setattr(blocks, "MOST", 1)
    monkeypatch.setattr(product, "REPEATED", 0)
    step = gradients(operation("conv_transpose", stride=2, padding=2, algorithm=algorithm))
    y, w = arrays((8, 4, 6, 7), (4, 1, 4, 4))
    images, whole = NamedSharding(mesh(), P("data")), NamedSharding(mesh(), P())
    laid = jax.device_put((y, w), (images, whole))
    assert "while" in jax.jit(step).lower(y, w).as_text()
    assert sent(compiled(step, *laid, out_shardings=(images, whole))) == [("all-reduce", w.size)]


@pytest.mark.parametrize(
    ("of_y", "of_w", "expected"),
    [
        (P(None, "data"), P("data"), ["all-reduce"]),  # both summed over: partial sums are added up
        (P(), P(None, "data"), []),  # each device makes channels of its own
    ],
    ids=["reduced channels", "channels of the result"],
)
def test_split_channels(of_y: P, of_w: P, expected: list[str]) -> None:
    y, w = arrays((2, 8, 6, 5), (8, 16, 4, 4))
    laid = [jax.device_put(v, NamedSharding(mesh(), s)) for v, s in ((y, of_y), (w, of_w))]
    program = compiled(operation("conv_transpose", stride=2, padding=1), *laid)
    assert [kind for kind, _ in sent(program)] == expected
    assert_close(program(*laid), tc.conv_transpose(y, w, stride=2, padding=1))


# -- shard_map -------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["auto", *tc.ALGORITHMS])
def test_a_shard_map_sends_nothing_forward_and_the_kernels_gradient_back(algorithm: str) -> None:
    y, w = arrays((8, 4, 6, 5), (4, 3, 4, 4))
    f = operation("conv_transpose", stride=2, padding=1, algorithm=algorithm)
    local = jax.shard_map(f, mesh=mesh(), in_specs=(P("data"), P()), out_specs=P("data"))
    images, whole = NamedSharding(mesh(), P("data")), NamedSharding(mesh(), P())
    laid = jax.device_put((y, w), (images, whole))
    assert sent(compiled(local, *laid)) == []
    step = compiled(gradients(local), *laid)
    assert sent(step) == [("all-reduce", w.size)]
    assert_close(step(*laid), gradients(f)(y, w))


def test_halos_by_hand() -> None:
    """Every algorithm may split space where its user exchanges the rows: two permutes, no more."""
    y, w = arrays((1, 4, 32, 5), (4, 3, 4, 4))
    there, back = [(n, n + 1) for n in range(7)], [(n + 1, n) for n in range(7)]

    def local(y: jax.Array, w: jax.Array) -> jax.Array:
        above = jax.lax.ppermute(y[:, :, -1:], "data", there)
        below = jax.lax.ppermute(y[:, :, :1], "data", back)
        y = jnp.concatenate([above, y, below], axis=2)
        return tc.conv_transpose(y, w, stride=2, padding=((3, 3), (1, 1)))

    rows = P(None, None, "data")
    halves = jax.shard_map(local, mesh=mesh(), in_specs=(rows, P()), out_specs=rows)
    laid = jax.device_put((y, w), (NamedSharding(mesh(), rows), NamedSharding(mesh(), P())))
    program = compiled(halves, *laid)
    assert sent(program) == [("collective-permute", 4 * 5)] * 2
    assert_close(program(*laid), tc.conv_transpose(y, w, stride=2, padding=1))


# -- explicit sharding -----------------------------------------------------------------------------


@PARTIALS
@pytest.mark.parametrize(
    ("spec", "expected"),
    [(P("data"), set()), (P(None, None, "data"), {"collective-permute"})],
    ids=["batch", "space"],
)
def test_an_explicit_result_lies_like_its_operand(name: str, spec: P, expected: set[str]) -> None:
    y, w = arrays((8 if spec[0] else 1, 4, 16, 6), (4, 3, 4, 4))
    a = y if name == "conv_transpose" else tc.conv_transpose(y, w, stride=2, padding=1)
    f = operation(name, stride=2, padding=1)
    with jax.set_mesh(mesh(kind=AxisType.Explicit)):
        laid = jax.device_put(a, spec)
        program = compiled(f, laid, w)
        result = program(laid, w)
        assert kinds(sent(program)) == expected
        assert jax.typeof(result).sharding.spec == P(*spec, *[None] * (4 - len(spec)))
    assert_close(np.asarray(result), np.asarray(f(a, w)))


def test_a_kernel_gradient_lies_as_its_channels() -> None:
    y, w = arrays((8, 4, 6, 5), (4, 8, 4, 4))
    x = tc.conv_transpose(y, w, stride=2, padding=1)
    expected = tc.kernel_gradient(x, y, kernel_size=4, stride=2, padding=1)
    with jax.set_mesh(mesh((4, 2), AxisType.Explicit)):
        x, y = jax.device_put(x, P("data", "model")), jax.device_put(y, P("data"))
        dw = tc.kernel_gradient(x, y, kernel_size=4, stride=2, padding=1)
        assert jax.typeof(dw).sharding.spec == P(None, "model", None, None)
    assert_close(np.asarray(dw), np.asarray(expected))


def test_two_explicit_meshes_are_refused() -> None:
    y, w = arrays((8, 4, 6, 5), (4, 8, 4, 4))
    of_y = mesh(kind=AxisType.Explicit)
    of_w = jax.make_mesh((8,), ("other",), axis_types=(AxisType.Explicit,))
    y = jax.device_put(y, NamedSharding(of_y, P("data")))
    w = jax.device_put(w, NamedSharding(of_w, P(None, "other")))
    with pytest.raises(tc.GeometryError, match=r"^w=array of shape .* on the mesh .*other.*: y "
                       r"lies on .*, and one operation has one mesh; lay both out"):  # fmt: skip
        tc.conv_transpose(y, w)


# -- processes -------------------------------------------------------------------------------------


def started(address: str, processes: int, index: int) -> subprocess.Popen[str]:
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    command = [sys.executable, "-m", "tests.distributed_training", address]
    return subprocess.Popen(
        [*command, str(processes), str(index)], cwd=ROOT, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, env=environment | {"JAX_PLATFORMS": "cpu"},
    )  # fmt: skip


def reports(processes: int) -> list[dict[str, Any]]:
    """What each of the processes prints."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    running = [started(address, processes, index) for index in range(processes)]
    try:
        outputs = [process.communicate(timeout=600) for process in running]
    finally:
        for process in running:
            process.kill()
    for process, (_, errors) in zip(running, outputs, strict=True):
        assert process.returncode == 0, errors
    # Gloo, which sums over processes, writes to the standard output too.
    lines = [line for text, _ in outputs for line in text.splitlines() if line.startswith("{")]
    return [json.loads(line) for line in lines]


def test_two_processes_train_as_one_does() -> None:
    (one,), two = reports(1), reports(2)
    assert (one["devices"], one["here"]) == (8, 8)
    assert [(report["devices"], report["here"]) for report in two] == [(8, 4), (8, 4)]
    assert one["losses"][-1] < 0.9 * one["losses"][0]
    for report in two:
        np.testing.assert_allclose(report["losses"], one["losses"], rtol=1e-12)
