"""Time to compile, and to run, the training step of a decoder of 30 layers.

By this package, by its "direct" and by `jax.lax`.

    python benchmarks/compile_time.py [--rounds 5] [--json results/compile_time.json]

Six stages, each a transposed convolution of stride 2 and four of stride 1, from 4x4 with 64
channels to 256x256 with 16; the step is the value, the gradient and the new weights.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

import tconvjax as tc
from tconvjax.algorithms.records import device

CHANNELS = (64, 64, 64, 32, 32, 16, 16)
LAYERS = [
    layer
    for before, after in itertools.pairwise(CHANNELS)
    for layer in [(before, after, 4, 2)] + 4 * [(after, after, 3, 1)]
]
"""Channels of y and of the result, kernel size and stride; the padding is 1."""

LAST = ("NHWC", "HWIO", "NHWC")
FIRST = ("NCHW", "OIHW", "NCHW")


def by_tconvjax(y: jax.Array, w: jax.Array, stride: int, size: int, layout: Any) -> jax.Array:
    """One layer by this package."""
    del size
    return tc.conv_transpose(y, w, stride=stride, padding=1, dimension_numbers=layout)


def by_direct(y: jax.Array, w: jax.Array, stride: int, size: int, layout: Any) -> jax.Array:
    """One layer by XLA's convolutions."""
    del size
    return tc.conv_transpose(
        y, w, stride=stride, padding=1, dimension_numbers=layout, algorithm="direct"
    )


def by_lax(y: jax.Array, w: jax.Array, stride: int, size: int, layout: Any) -> jax.Array:
    """One layer as `jax.lax` has it."""
    ends = [(size - 2, size - 2)] * 2
    return lax.conv_transpose(
        y, w, (stride, stride), ends, dimension_numbers=layout, transpose_kernel=True
    )


def compiled(
    layer: Callable[..., jax.Array], layout: Any
) -> tuple[float, float, Callable[[], Any]]:
    """Wall and CPU seconds to trace and compile the step, with no cache, and a call of it."""

    def loss(weights: list[jax.Array], y: jax.Array) -> jax.Array:
        for w, (_, _, size, stride) in zip(weights, LAYERS, strict=True):
            y = jax.nn.relu(layer(y, w, stride, size, layout))
        return jnp.mean(y**2)

    def step(weights: list[jax.Array], y: jax.Array) -> tuple[jax.Array, list[jax.Array]]:
        value, slopes = jax.value_and_grad(loss)(weights, y)
        return value, [w - 0.1 * slope for w, slope in zip(weights, slopes, strict=True)]

    last = layout is LAST
    shapes = [(k, k, c, o) if last else (o, c, k, k) for o, c, k, _ in LAYERS]
    weights = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    y = jax.ShapeDtypeStruct((8, 4, 4, 64) if last else (8, 64, 4, 4), jnp.float32)
    jax.clear_caches()
    wall, cpu = time.perf_counter(), time.process_time()
    program = jax.jit(step).lower(weights, y).compile()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    arrays = jax.tree.map(lambda a: jnp.full(a.shape, 0.01, a.dtype), (weights, y))
    return wall, cpu, lambda: jax.block_until_ready(program(*arrays))


def main() -> None:
    """Time all in turns and write the medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {
        "device": device(cpu=True),
        "jax": jax.__version__,
        "python": platform.python_version(),
        "rounds": options.rounds,
    }
    compiled(by_lax, LAST)  # what JAX loads at first
    for name, layout in {"channels last": LAST, "channels first": FIRST}.items():
        engines = {"tconvjax": by_tconvjax, "direct": by_direct, "lax": by_lax}
        times: dict[str, list[tuple[float, float, float]]] = {name: [] for name in engines}
        for _ in range(options.rounds):
            for engine, layer in engines.items():
                wall, cpu, call = compiled(layer, layout)
                call()
                start = time.perf_counter()
                call()
                times[engine].append((wall, cpu, time.perf_counter() - start))
        found[name] = {
            engine: dict(
                zip(
                    ("wall_s", "cpu_s", "step_s"),
                    map(statistics.median, zip(*rounds, strict=True)),
                    strict=True,
                )
            )
            for engine, rounds in times.items()
        }
        print(name, found[name])
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
