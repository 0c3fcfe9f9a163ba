"""An exported program runs without the package, with any batch, and gives the same values."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import tconvjax as tc
from tests.oracles import LOOPS
from tests.reading import read
from tests.strategies import FIXED, Arguments

PLATFORMS = ("cpu", "cuda", "tpu")
UP: dict[str, Any] = {"stride": 2, "padding": 1}
W = np.ones((4, 4, 3))
WRAP: dict[str, Any] = {"padding": 1, "groups": 2, "padding_mode": "circular"}

# A process of its own, in which the package cannot be imported.
ELSEWHERE = """
import sys

sys.modules["tconvjax"] = None

import jax
import numpy as np
from jax import export

jax.config.update("jax_enable_x64", True)
with open("program", "rb") as file:
    program = export.deserialize(bytearray(file.read()))
code, first, second = np.load("given.npz").values()
def loss(w):
    z = program.call(code, first, w)
    return (z * z).sum()

np.savez("found.npz", program.call(code[:1], first, second), jax.jit(jax.grad(loss))(second))
assert not any(name.startswith("tconvjax.") for name in sys.modules)
"""


@functools.cache
def arrays() -> tuple[Any, ...]:
    """A code of three examples and the kernels of two layers."""
    rng = np.random.default_rng(0)
    shapes = ((3, 4, 5, 6), (4, 6, 4, 4), (6, 2, 3, 3))
    return tuple(rng.normal(size=shape) for shape in shapes)


def decode(code: Any, first: Any, second: Any, algorithm: str = "auto") -> jax.Array:
    """Two layers: a stride, then groups and a border that wraps around."""
    hidden = tc.conv_transpose(code, first, algorithm=algorithm, **UP)
    return tc.conv_transpose(hidden, second, algorithm=algorithm, **WRAP)


def exported(algorithm: str) -> export.Exported:
    """The decoder for the three platforms, with the batch left open."""
    code, *kernels = arrays()
    (batch,) = export.symbolic_shape("batch")
    open_code = jax.ShapeDtypeStruct((batch, *code.shape[1:]), code.dtype)
    f = functools.partial(decode, algorithm=algorithm)
    return export.export(jax.jit(f), platforms=PLATFORMS)(open_code, *kernels)


@pytest.mark.parametrize(
    "algorithm", ["auto", *(pytest.param(a, marks=pytest.mark.slow) for a in tc.ALGORITHMS)]
)
def test_a_process_without_the_package_gets_the_same_values(algorithm: str, tmp_path: Path) -> None:
    """The output for one example and the gradient for three, by one written program."""
    (tmp_path / "program").write_bytes(exported(algorithm).serialize(vjp_order=1))
    np.savez(tmp_path / "given.npz", *arrays())
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], cwd=tmp_path, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    code, first, second = arrays()

    def loss(w: Any) -> Any:
        z = decode(code, first, w)
        return (z * z).sum()

    expected = read(decode, code[:1], first, second), read(jax.grad(loss), second)
    with np.load(tmp_path / "found.npz") as found:
        for one, other in zip(found.values(), expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)


def called(program: export.Exported) -> set[str]:
    """What a program calls by name; JAX itself calls an assertion to check a symbolic size."""
    text = program.mlir_module()
    assert "stablehlo." in text
    return set(re.findall(r"custom_call @(\w+)", text))


@pytest.mark.parametrize("algorithm", ["auto", *tc.ALGORITHMS])
def test_a_program_calls_nothing_that_has_to_be_there(algorithm: str) -> None:
    """It neither calls back into Python nor a kernel of a library: it is StableHLO alone."""
    assert called(exported(algorithm)) <= {"shape_assertion"}
    library = export.export(jax.jit(jnp.linalg.qr), platforms=["cpu"])(np.eye(3))
    assert called(library)  # such a call would be seen


def test_a_batch_of_kernels_or_of_gradients_may_be_symbolic() -> None:
    """Where a geometry's channels and groups are numbers."""
    (b,) = export.symbolic_shape("b")
    y, w = np.arange(24.0).reshape(2, 4, 3), np.arange(48.0).reshape(2, 4, 2, 3)
    up = lambda y, w: tc.conv_transpose(y, w, stride=2)  # noqa: E731
    each = jax.vmap(jax.grad(lambda w, y: (lambda z: (z * z).sum())(up(y[None], w))), (None, 0))
    for f, operands, symbolic in (
        (jax.vmap(up, (None, 0)), (y, w), ((2, 4, 3), (b, 4, 2, 3))),
        (each, (w[0], y), ((4, 2, 3), (b, 4, 3))),
    ):
        given = (jax.ShapeDtypeStruct(shape, jnp.float64) for shape in symbolic)
        program = export.export(jax.jit(f))(*given)
        np.testing.assert_allclose(program.call(*operands), read(f, *operands))


SPACES = [
    *FIXED,
    Arguments(1, 2, 2, (9, 8), (3, 2), (1, 3), ((1, 1), (0, 2)), (1, 1), 2),
    Arguments(1, 1, 2, (9,), (3,), (2,), ((-1, 2),), (1,), 1),
]


def opened(f: Any, *shape: int) -> Any:
    """A function of an array, exported for any batch and any sizes of space."""
    sizes = export.symbolic_shape(", ".join("nhwd"[: len(shape) - 1]))
    return export.export(jax.jit(f))(
        jax.ShapeDtypeStruct((sizes[0], shape[1], *sizes[1:]), jnp.float64)
    )


@pytest.mark.parametrize("a", SPACES)
def test_sizes_of_space_may_be_symbols(a: Arguments) -> None:
    """One program for every size; the result's size follows from the symbol."""
    _, w, _ = a.arrays(np.float64)
    ends = [
        (size + sum(pads) - dilation * (taps - 1) - 1) % stride
        for size, pads, dilation, taps, stride in zip(
            a.in_size, a.padding, a.dilation, a.kernel_size, a.stride, strict=True
        )
    ]
    down = opened(lambda x: tc.conv(x, w, **a.keywords), *a.x_shape)
    up = opened(lambda y: tc.conv_transpose(y, w, output_padding=ends, **a.keywords), *a.y_shape)
    for more in range(4):
        sizes = tuple(size + more for size in a.in_size)
        x, _, _ = replace(a, batch=2, in_size=sizes).arrays(np.float64)
        np.testing.assert_array_equal(
            down.call(x), LOOPS["conv"](replace(a, batch=2, in_size=sizes), x, w)
        )
        sizes = tuple(
            size + more * stride for size, stride in zip(a.in_size, a.stride, strict=True)
        )
        larger = replace(a, batch=3, in_size=sizes)
        _, _, y = larger.arrays(np.float64)
        np.testing.assert_array_equal(up.call(y), LOOPS["conv_transpose"](larger, y, w))


def test_gradients_biases_and_narrow_floats_take_symbols_too() -> None:
    y, w = np.arange(24.0).reshape(1, 4, 6), np.arange(24.0).reshape(4, 2, 3)
    loss = lambda y: (tc.conv_transpose(y, w, np.ones(2), stride=2) ** 2).sum()  # noqa: E731
    both = jax.value_and_grad(loss)
    for found, expected in zip(opened(both, *y.shape).call(y), both(y), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-12)
    n, h = export.symbolic_shape("n, h")
    half = jax.jit(lambda y: tc.conv_transpose(y, w.astype(jnp.bfloat16), stride=2))
    program = export.export(half)(jax.ShapeDtypeStruct((n, 4, h), jnp.bfloat16))
    narrow = y.astype(jnp.bfloat16)
    np.testing.assert_array_equal(program.call(narrow), half(narrow))


@pytest.mark.parametrize(
    ("f", "dtype", "message"),
    [
        (lambda x: tc.conv(x, W, stride=2, padding="SAME"), "f8", "padding of zeros that does"),
        (lambda x: tc.conv(x, W, padding=1, padding_mode="reflect"), "f8", "a padding of zeros"),
        (lambda x: tc.conv(x, W, stride=2**17), "f8", "with a symbol it is at most 65536"),
        (lambda x: tc.conv(x, W, algorithm="taps"), "f8", "algorithm='taps': a size that is a"),
        (lambda y: tc.conv_transpose(y, W, stride=3, padding=4), "f8", "every size that it may"),
        (lambda y: tc.conv_transpose(y, W.astype(int)), "i8", "no transposes for integers"),
        (lambda x: tc.kernel_gradient(x, x, kernel_size=(3,)), "f8", "known before tracing"),
    ],
)  # fmt: skip
def test_what_depends_on_the_size_is_refused_where_it_is_a_symbol(
    f: Any, dtype: str, message: str
) -> None:
    n, size = export.symbolic_shape("n, size")
    with pytest.raises(tc.GeometryError, match=message):
        export.export(jax.jit(f))(jax.ShapeDtypeStruct((n, 4, size), np.dtype(dtype)))


def test_each_platform_has_its_own_form_in_one_program() -> None:
    """A layer that "auto" computes by a product on a CPU and by a convolution on a TPU."""
    y, w = np.ones((2, 16, 8, 8), np.float32), np.ones((16, 8, 4, 4), np.float32)
    up = jax.jit(lambda y, w: tc.conv_transpose(y, w, **UP))
    text = export.export(up, platforms=PLATFORMS)(y, w).mlir_module()
    for operation in ("case", "dot_general", "convolution"):
        assert f"stablehlo.{operation}" in text
    assert "stablehlo.case" not in export.export(up, platforms=["cpu"])(y, w).mlir_module()


def test_a_program_for_eight_devices_keeps_its_split() -> None:
    """Exported with a batch split over a mesh, it runs split over as many devices."""
    mesh = jax.make_mesh((8,), ("data",))
    images = jax.NamedSharding(mesh, jax.sharding.PartitionSpec("data"))
    whole = jax.NamedSharding(mesh, jax.sharding.PartitionSpec())
    y, w = np.ones((8, 4, 6, 5), np.float32), np.ones((4, 3, 4, 4), np.float32)
    up = jax.jit(lambda y, w: tc.conv_transpose(y, w, **UP), in_shardings=(images, whole),
                 out_shardings=images)  # fmt: skip
    program = export.deserialize(export.export(up)(y, w).serialize())
    assert program.nr_devices == 8
    found = jax.jit(program.call)(*jax.device_put((y, w), (images, whole)))
    assert len(found.sharding.device_set) == 8
    np.testing.assert_allclose(found, tc.conv_transpose(y, w, **UP), rtol=1e-6)
