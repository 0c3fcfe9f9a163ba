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
from tests import distributed_training
from tests.docs_examples import ROOT
from tests.reading import read

KINDS = "all-reduce|all-gather|all-to-all|collective-permute|reduce-scatter|collective-broadcast"
SENT = re.compile(rf"= (\([^)]*\)|\S+) ({KINDS})(?:-start)?\(")
"""The result's type, or a tuple of types, and the name of a collective in XLA's text."""


def mesh(sizes: tuple[int, ...] = (8,), kind: AxisType = AxisType.Auto) -> jax.sharding.Mesh:
    names = ("data", "model")[: len(sizes)]
    return jax.make_mesh(sizes, names, axis_types=(kind,) * len(sizes))


def at(*axes: str | None) -> NamedSharding:
    return NamedSharding(mesh(), P(*axes))


def compiled(f: Callable[..., Any], *args: Any, out: Any = None) -> Any:
    return jax.jit(f, out_shardings=out).lower(*args).compile()


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
    return jax.grad(lambda a, w: (lambda z: (z * z).sum())(f(a, w)), (0, 1))


def arrays(*shapes: tuple[int, ...]) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in shapes]


def assert_close(found: Any, expected: Any) -> None:
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10), found, expected
    )


UP: dict[str, Any] = {"stride": 2, "padding": 1}
PARTIALS = pytest.mark.parametrize("name", ["conv", "conv_transpose"])


# -- space -----------------------------------------------------------------------------------------

# The transposed convolution's y and w; every size that is split divides by eight.
LAYERS: dict[str, tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]] = {
    "stride 2": ((1, 4, 32, 16), (4, 3, 4, 4), UP),
    "dilated": ((1, 4, 32, 16), (4, 3, 3, 3), {"dilation": 2, "padding": 2}),
    "depthwise": ((1, 4, 32, 16), (4, 1, 4, 4), {**UP, "groups": 4}),
    "one axis": ((1, 4, 64), (4, 3, 16), {"stride": 8, "padding": 4}),
    "three axes": ((1, 2, 16, 4, 4), (2, 3, 4, 4, 4), UP),
}


def of_layer(name: str, y: Any, w: Any, **options: Any) -> Any:
    """What an operation reads, where the transposed convolution reads y."""
    return y if name == "conv_transpose" else read(operation("conv_transpose", **options), y, w)


@PARTIALS
@pytest.mark.parametrize("layer", LAYERS)
def test_split_space_exchanges_halos_and_gathers_nothing(name: str, layer: str) -> None:
    *shapes, options = LAYERS[layer]
    y, w = arrays(*shapes)
    a = of_layer(name, y, w, **options)
    f = operation(name, **options)
    rows = at(None, None, "data")
    laid = jax.device_put((a, w), (rows, at()))
    programs = compiled(f, *laid), compiled(gradients(f), *laid, out=(rows, at()))
    forward, backward = map(sent, programs)
    assert kinds(forward) == {"collective-permute"}
    assert kinds(backward) == {"collective-permute", "all-reduce"}
    results = [program(*laid) for program in programs]
    # A halo is less than the taps of one window reach, and what is added up is the kernel.
    reach = options.get("dilation", 1) * (w.shape[2] - 1)
    row = max(v.size // v.shape[2] for v in (a, results[0]))
    assert all(size <= reach * row for kind, size in forward + backward if "permute" in kind)
    assert [size for kind, size in backward if kind == "all-reduce"] == [w.size]
    assert_close(results, [read(f, a, w), read(gradients(f), a, w)])


@pytest.mark.parametrize("algorithm", ["patches", "polyphase"])
def test_the_other_algorithms_gather(algorithm: str) -> None:
    """Why "auto" does without them where space may be split; and the search can find it."""
    y, w = arrays(*LAYERS["stride 2"][:2])
    f = operation("conv_transpose", algorithm=algorithm, **UP)
    assert "all-gather" in kinds(sent(compiled(f, jax.device_put(y, at(None, None, "data")), w)))


def test_auto_is_the_estimate_where_the_devices_can_share_the_batch() -> None:
    def text(name: str, batch: int, dtype: str = "float64") -> str:
        shapes = (batch, 16, 8, 8), (16, 8, 4, 4)
        laid = (jax.ShapeDtypeStruct(shape, dtype, sharding=at()) for shape in shapes)
        f = operation("conv_transpose", algorithm=name, **UP)
        return str(jax.jit(f).lower(*laid).as_text())

    assert text("auto", 16) == text("patches", 16) != text("direct", 16)
    assert text("auto", 12) == text("direct", 12) != text("patches", 12)
    assert text("auto", 12, "int32") == text("patches", 12, "int32")


# -- batch -----------------------------------------------------------------------------------------


EACH = ["auto", *tc.ALGORITHMS]


@pytest.mark.parametrize("mapped", [False, True], ids=["automatic", "shard_map"])
@pytest.mark.parametrize(
    ("name", "algorithm"),
    [("conv", "direct"), ("conv", "patches"), *(("conv_transpose", n) for n in EACH)],
)
def test_a_split_batch_needs_nothing_but_the_sum_of_the_kernels_gradient(
    name: str, algorithm: str, mapped: bool
) -> None:
    y, w = arrays((8, 4, 6, 5), (4, 3, 4, 4))
    a, f = of_layer(name, y, w, **UP), operation(name, algorithm=algorithm, **UP)
    on_all = f
    if mapped:
        on_all = jax.shard_map(f, mesh=mesh(), in_specs=(P("data"), P()), out_specs=P("data"))
    laid = jax.device_put((a, w), (at("data"), at()))
    assert sent(compiled(on_all, *laid)) == []
    step = compiled(gradients(on_all), *laid)
    assert sent(step) == [("all-reduce", w.size)]
    assert_close(step(*laid), read(gradients(f), a, w))


@pytest.mark.parametrize("algorithm", EACH)
def test_so_it_is_with_groups_and_with_a_kernel_for_each_image(algorithm: str) -> None:
    """XLA's own grouped convolution gathers the whole batch (openxla/xla#48086)."""
    (y, w), split = arrays((8, 8, 6, 5), (8, 2, 4, 4)), at("data")
    f = operation("conv_transpose", algorithm=algorithm, groups=4, **UP)
    laid = jax.device_put((y, w), (split, at()))
    assert sent(compiled(f, *laid)) == []
    step = compiled(gradients(f), *laid)
    assert sent(step) == [("all-reduce", w.size)]
    assert_close(step(*laid), read(gradients(f), y, w))
    many = np.stack([n * w[:, :1] for n in range(8)])
    each = jax.vmap(operation("conv_transpose", algorithm=algorithm, groups=8, **UP))
    assert sent(compiled(each, *jax.device_put((y, many), (split, split)))) == []


@pytest.mark.parametrize("algorithm", ["patches", "taps"])
def test_a_split_batch_is_not_cut_into_blocks(algorithm: str) -> None:
    """A loop over images would gather them all; the test sees the loop where there is no mesh."""
    step = gradients(operation("conv_transpose", stride=2, algorithm=algorithm))
    shapes = (8, 1, 2**17), (1, 1, 4)

    def program(*shardings: NamedSharding | None) -> Any:
        laid = zip(shapes, shardings, strict=True)
        arrays = (jax.ShapeDtypeStruct(v, "float32", sharding=one) for v, one in laid)
        return jax.jit(step).lower(*arrays)

    assert "while" in program(None, None).as_text()
    assert sent(program(at("data"), at()).compile()) == [("all-reduce", 4)]


def test_split_channels() -> None:
    y, w = arrays((2, 8, 6, 5), (8, 16, 4, 4))
    f, split = operation("conv_transpose", **UP), at(None, "data")
    # Where those are split that are summed over, partial sums are added up; else each device
    # makes channels of its own.
    for laid, expected in (((split, at("data")), {"all-reduce"}), ((at(), split), set())):
        program = compiled(f, *(of := jax.device_put((y, w), laid)))
        assert kinds(sent(program)) == expected
        assert_close(program(*of), read(f, y, w))


# -- shard_map -------------------------------------------------------------------------------------


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
    laid = jax.device_put((y, w), (at(*rows), at()))
    program = compiled(halves, *laid)
    assert sent(program) == [("collective-permute", 4 * 5)] * 2
    assert_close(program(*laid), read(operation("conv_transpose", **UP), y, w))


# -- explicit sharding -----------------------------------------------------------------------------


@PARTIALS
@pytest.mark.parametrize(
    ("spec", "expected"),
    [(P("data"), set()), (P(None, None, "data"), {"collective-permute"})],
    ids=["batch", "space"],
)
def test_an_explicit_result_lies_like_its_operand(name: str, spec: P, expected: set[str]) -> None:
    y, w = arrays((8 if spec[0] else 1, 4, 16, 6), (4, 3, 4, 4))
    a, f = of_layer(name, y, w, **UP), operation(name, **UP)
    with jax.set_mesh(mesh(kind=AxisType.Explicit)):
        laid = jax.device_put(a, spec)
        program = compiled(f, laid, w)
        result = program(laid, w)
        assert kinds(sent(program)) == expected
        assert jax.typeof(result).sharding.spec == P(*spec, *[None] * (4 - len(spec)))
    assert_close(result, read(f, a, w))


def test_two_explicit_meshes_are_refused() -> None:
    y, w = arrays((8, 4, 6, 5), (4, 8, 4, 4))
    other = jax.make_mesh((8,), ("other",), axis_types=(AxisType.Explicit,))
    of_y = jax.device_put(y, NamedSharding(mesh(kind=AxisType.Explicit), P("data")))
    of_w = jax.device_put(w, NamedSharding(other, P(None, "other")))
    with pytest.raises(tc.GeometryError, match=r"^w=array of shape .* on the mesh .*other.*: y "
                       r"lies on .*, and one operation has one mesh; lay both out"):  # fmt: skip
        tc.conv_transpose(of_y, of_w)


# -- processes -------------------------------------------------------------------------------------


@pytest.mark.slow
def test_two_processes_train_as_one_does() -> None:
    environment = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    with socket.socket() as port:
        # Held until they are done: no other process is given it, and the coordinator may share it.
        port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        port.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{port.getsockname()[1]}"
        running = [
            subprocess.Popen(
                [sys.executable, "-m", "tests.distributed_training", address, str(index)],
                cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=environment | {"JAX_PLATFORMS": "cpu"},
            )
            for index in range(distributed_training.PROCESSES)
        ]  # fmt: skip
        try:
            outputs = [process.communicate(timeout=600) for process in running]
        finally:
            for process in running:
                process.kill()
    one = distributed_training.trained(mesh())
    assert one[-1] < 0.9 * one[0]
    for process, (output, errors) in zip(running, outputs, strict=True):
        assert process.returncode == 0, errors
        # Gloo, which sums over processes, writes to the standard output too.
        (line,) = (line for line in output.splitlines() if line.startswith("{"))
        report = json.loads(line)
        assert (report["devices"], report["here"]) == (8, 4)
        np.testing.assert_allclose(report["losses"], one, rtol=1e-12)
