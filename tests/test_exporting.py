"""An exported program runs without the package, with any batch, and gives the same values."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import tconvjax as tc

PLATFORMS = ("cpu", "cuda", "tpu")
UP: dict[str, Any] = {"stride": 2, "padding": 1}
CLOSE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-10}

# A process of its own, in which the package cannot be imported.
ELSEWHERE = """
import sys

sys.modules["tconvjax"] = None
try:
    import tconvjax
except ImportError:
    pass
else:
    raise SystemExit("the package could be imported")

import jax
import numpy as np
from jax import export

jax.config.update("jax_enable_x64", True)
with open("program", "rb") as file:
    program = export.deserialize(bytearray(file.read()))
given = np.load("given.npz")
for n in (1, 3):
    found = program.call(given["code"][:n], given["first"], given["second"])
    gradient = jax.grad(lambda w: (program.call(given["code"][:n], given["first"], w) ** 2).sum())
    np.savez(f"found{n}.npz", found=found, gradient=gradient(given["second"]))
assert not any(name.startswith("tconvjax.") for name in sys.modules)
"""


def arrays() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    shapes = {"code": (3, 4, 5, 6), "first": (4, 6, 4, 4), "second": (6, 2, 3, 3)}
    return {name: rng.normal(size=shape) for name, shape in shapes.items()}


def decoder(algorithm: str) -> Any:
    """Two layers: a stride, then groups and a border that wraps around."""

    def decode(code: Any, first: Any, second: Any) -> jax.Array:
        hidden = tc.conv_transpose(code, first, algorithm=algorithm, **UP)
        return tc.conv_transpose(hidden, second, padding=1, groups=2, padding_mode="circular",
                                 algorithm=algorithm)  # fmt: skip

    return decode


def exported(f: Any, code: Any, *kernels: Any) -> export.Exported:
    """For the three platforms, with the batch left open."""
    (batch,) = export.symbolic_shape("batch")
    open_code = jax.ShapeDtypeStruct((batch, *code.shape[1:]), code.dtype)
    return export.export(jax.jit(f), platforms=PLATFORMS)(open_code, *kernels)


@pytest.mark.parametrize(
    "algorithm", ["auto", *(pytest.param(a, marks=pytest.mark.slow) for a in tc.ALGORITHMS)]
)
def test_a_process_without_the_package_gets_the_same_values(algorithm: str, tmp_path: Path) -> None:
    """Forward for two batch sizes, and the gradient, by a program that was written with one."""
    decode, given = decoder(algorithm), arrays()
    program = exported(decode, *given.values())
    assert program.platforms == PLATFORMS
    (tmp_path / "program").write_bytes(program.serialize(vjp_order=1))
    np.savez(tmp_path / "given.npz", **given)
    done = subprocess.run(
        [sys.executable, "-c", ELSEWHERE], cwd=tmp_path, capture_output=True, text=True,
        timeout=600, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    code, first, second = given.values()
    for n in (1, 3):
        loss = lambda w, n=n: (decode(code[:n], first, w) ** 2).sum()  # noqa: E731
        expected = decode(code[:n], first, second)
        with np.load(tmp_path / f"found{n}.npz") as found:
            np.testing.assert_allclose(found["found"], expected, **CLOSE)
            np.testing.assert_allclose(found["gradient"], jax.grad(loss)(second), **CLOSE)


@pytest.mark.parametrize("algorithm", ["auto", *tc.ALGORITHMS])
def test_a_program_calls_nothing_that_has_to_be_there(algorithm: str) -> None:
    """No call back into Python and no library's kernel: StableHLO alone."""
    assert called(exported(decoder(algorithm), *arrays().values())) <= {"shape_assertion"}
    library = export.export(jax.jit(jnp.linalg.qr), platforms=["cpu"])(np.eye(3))
    assert called(library)  # LAPACK's


def called(program: export.Exported) -> set[str]:
    """What a program calls by name; a symbolic size is checked by an assertion of JAX's own."""
    text = program.mlir_module()
    assert "stablehlo." in text
    return set(re.findall(r"custom_call @(\w+)", text))


@pytest.mark.parametrize("algorithm", tc.ALGORITHMS)
@pytest.mark.parametrize("name", ["conv", "conv_transpose"])
def test_no_algorithm_takes_a_symbolic_size_of_space(name: str, algorithm: str) -> None:
    """A geometry is whole numbers; the message says so."""
    one = getattr(tc, name)
    (size,) = export.symbolic_shape("size")
    a = jax.ShapeDtypeStruct((1, 4, size, 8), np.float32)
    f = jax.jit(lambda a, w: one(a, w, algorithm=algorithm, **UP))
    with pytest.raises(tc.GeometryError, match="known before tracing; give a Python int"):
        export.export(f)(a, jax.ShapeDtypeStruct((4, 4, 3, 3), np.float32))


def test_a_program_for_one_platform_names_it_where_it_does_not_run() -> None:
    code, *kernels = arrays().values()
    program = export.export(jax.jit(decoder("auto")), platforms=["tpu"])(code, *kernels)
    with pytest.raises(ValueError, match="platforms"):
        program.call(code, *kernels)


def test_each_platform_has_its_own_form_in_one_program() -> None:
    """A layer that "auto" computes by a product on a CPU and by a convolution on a TPU."""
    y, w = np.ones((2, 16, 8, 8), np.float32), np.ones((16, 8, 4, 4), np.float32)
    up = jax.jit(lambda y, w: tc.conv_transpose(y, w, **UP))
    text = export.export(up, platforms=PLATFORMS)(y, w).mlir_module()
    assert "stablehlo.case" in text
    assert "stablehlo.dot_general" in text
    assert "stablehlo.convolution" in text
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
    laid = jax.device_put((y, w), (images, whole))
    found = jax.jit(program.call)(*laid)
    assert len(found.sharding.device_set) == 8
    np.testing.assert_allclose(found, tc.conv_transpose(y, w, **UP), rtol=1e-6)


def test_writing_needs_flatbuffers(monkeypatch: pytest.MonkeyPatch) -> None:
    program = export.export(jax.jit(decoder("auto")))(*arrays().values())
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    monkeypatch.delitem(sys.modules, "jax._src.export.serialization", raising=False)
    with pytest.raises(ImportError, match="flatbuffers"):
        program.serialize()
