"""Train a small decoder on all devices of all processes, and print its losses as JSON.

A program of its own, which ``test_distributed.py`` starts: ``python -m tests.distributed_training
ADDRESS INDEX``. There are eight devices in all.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

import tconvjax as tc

PROCESSES, DEVICES, STEPS = 2, 8, 5
UP: dict[str, Any] = {"stride": 2, "padding": 1}


def loss(kernels: list[jax.Array], code: jax.Array, image: jax.Array) -> jax.Array:
    """The mean square of what a decoder of two transposed convolutions misses."""
    first, second = kernels
    hidden = jnp.tanh(tc.conv_transpose(code, first, **UP))
    return jnp.mean((tc.conv_transpose(hidden, second, **UP) - image) ** 2)


@jax.jit
def step(kernels: list[jax.Array], *batch: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
    """The loss, and the kernels a step of gradient descent later."""
    value, gradient = jax.value_and_grad(loss)(kernels, *batch)
    return value, [w - 0.3 * g for w, g in zip(kernels, gradient, strict=True)]


def trained(mesh: jax.sharding.Mesh) -> list[float]:
    """The losses; each process draws all images and lays out the part of its own devices."""
    rng = np.random.default_rng(0)

    def laid(shape: tuple[int, ...], spec: P) -> jax.Array:
        value = rng.normal(size=shape)
        return jax.make_array_from_callback(shape, NamedSharding(mesh, spec), value.__getitem__)

    kernels = [laid((4, 6, 4, 4), P()), laid((6, 3, 4, 4), P())]
    batch = laid((16, 4, 4, 4), P("data")), laid((16, 3, 16, 16), P("data"))
    losses = []
    for _ in range(STEPS):
        value, kernels = step(kernels, *batch)
        losses.append(float(value))
    return losses


def main(address: str, index: int) -> None:
    """Join the others, train, and print."""
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_num_cpu_devices", DEVICES // PROCESSES)
    jax.distributed.initialize(address, PROCESSES, index, initialization_timeout=300)
    mesh = jax.make_mesh((jax.device_count(),), ("data",))
    here = sum(device.process_index == index for device in mesh.devices.flat)
    report = {"devices": mesh.size, "here": here, "losses": trained(mesh)}
    print(f"\n{json.dumps(report)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
