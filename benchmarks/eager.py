"""Time of a layer and of its gradients outside of jit and within: ours, lax's, and a product's.

    python benchmarks/eager.py [--rounds 15] [--json results/eager.json]

The elementwise product shows what JAX itself takes to differentiate any one operation.
"""

from __future__ import annotations

import argparse
import functools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from compile_time import FIRST, by_lax, by_tconvjax
from jax import lax
from timing import Program, interleaved

from tconvjax.algorithms.records import device

LAYERS = {"tiny": (1, 4, 8), "small": (4, 32, 16), "middling": (8, 32, 32)}
"""Batch size, channels of y and of the result, and sizes of y; the kernel is 4x4, the stride 2."""


def tasks(layer: Callable[..., jax.Array]) -> dict[str, Callable[..., Any]]:
    """What is called, as functions of y, the kernel and a cotangent.

    Gradients give the value too, or jit would leave the forward pass out.
    """

    def vjp(y: jax.Array, w: jax.Array, cotangent: jax.Array) -> Any:
        z, back = jax.vjp(layer, y, w)
        return z, back(cotangent)

    return {
        "call": lambda y, w, _: layer(y, w),
        "value_and_grad": jax.value_and_grad(lambda y, w, z: jnp.vdot(z, layer(y, w)), (0, 1)),
        "vjp": vjp,
        "linear_transpose": lambda y, w, z: jax.linear_transpose(lambda y: layer(y, w), y)(z),
    }


def programs(batch: int, channels: int, size: int) -> dict[tuple[str, str, str], Program]:
    """Each task of each engine, outside of jit and within."""
    y = jnp.ones((batch, channels, size, size), jnp.float32)
    w = jnp.ones((channels, channels, 4, 4), jnp.float32)
    z = jnp.ones((batch, channels, 2 * size, 2 * size), jnp.float32)
    options: dict[str, Any] = {"stride": 2, "size": 4, "layout": FIRST}
    engines: dict[str, Any] = {
        "tconvjax": (functools.partial(by_tconvjax, **options), y, w),
        "lax": (functools.partial(by_lax, **options), y, w),
        "product": (lax.mul, z, z),
    }
    return {
        (task, engine, how): Program(
            functools.partial(call, *operands, z), jax.block_until_ready, list
        )
        for engine, (layer, *operands) in engines.items()
        for task, function in tasks(layer).items()
        for how, call in (("eager", function), ("jit", jax.jit(function)))
    }


def main() -> None:
    """Time all in turns, and write the medians in milliseconds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found: dict[str, Any] = {
        "device": device(cpu=True),
        "jax": jax.__version__,
        "rounds": options.rounds,
    }
    for name, sizes in LAYERS.items():
        ready = programs(*sizes)
        known = {" ".join(names): program for names, program in ready.items()}
        times = interleaved(known, options.rounds, seed=0)
        found[name] = {what: 1e3 * time.median for what, time in times.items()}
        for task, engine in dict.fromkeys(names[:2] for names in ready):
            eager, jitted = (found[name][f"{task} {engine} {how}"] for how in ("eager", "jit"))
            print(f"{name:9}{task:17}{engine:9} {eager:8.3f} ms, {jitted:8.3f} ms in jit")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
