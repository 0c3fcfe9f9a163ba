"""Which way `tconvjax.accelerate` takes to write a convolution, and what it is worth.

    python benchmarks/ways.py [--layers 40] [--seed 51] [--rounds 3] [--json results/ways.json]

A convolution of JAX's is a partial in up to six ways (`tconvjax/acceleration/algebra.py`). The
layers are those of `choice.py`; of each come the convolutions that autodiff writes for it and for
its transpose, those that XLA has a fast form of left out. All ways are timed in turns but those
that are estimated to take twenty times the least. What is told is the time of the way that is
taken over that of the fastest; the same of the way with the fewest taps, which was taken once; and
the steps of three transposed convolutions as they are, accelerated inside of grad, and outside.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from choice import DRAWS, Layer, summary
from jax import lax

import tconvjax as tc
from tconvjax.acceleration.algebra import Assignment, Convolution, assignments, computed
from tconvjax.acceleration.decision import decide, estimated_seconds, read
from tconvjax.algorithms.measure import timed
from tconvjax.algorithms.records import device

MOST_TIMES = 20.0
"""A way whose estimate is that many times the least is not timed."""

STEPS = ((32, (4, 4), 128, 64, 4, 2), (8, (8, 8), 256, 128, 4, 2), (1, (128,), 512, 256, 16, 8))
"""Batch, size of y, channels of y and of the result, kernel size and stride."""


def numbers(shape: Sequence[int], dtype: Any) -> jax.Array:
    """Random numbers."""
    return jnp.asarray(np.random.default_rng(0).normal(size=shape), dtype)


def convolutions(layer: Layer) -> Iterator[tuple[Any, Convolution]]:
    """The different convolutions of the gradients of a layer and of its transpose."""
    g = layer.geometry
    letters = "DHW"[-g.rank :]
    last = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    layout = last if layer.last else (f"NC{letters}", f"OI{letters}", f"NC{letters}")
    sizes = {"N": layer.batch, **dict(zip(letters, g.in_size, strict=True)), "C": g.in_channels}
    taps = {"O": g.out_channels, "I": g.in_channels // g.groups}
    taps |= dict(zip(letters, g.kernel_size, strict=True))
    x = numbers([sizes[letter] for letter in layout[0]], layer.dtype)
    w = numbers([taps[letter] for letter in layout[1]], layer.dtype)

    def down(x: jax.Array, w: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(
            x,
            w,
            window_strides=g.stride,
            padding=[(axis.low, axis.high) for axis in g.axes],
            rhs_dilation=g.dilation,
            dimension_numbers=layout,
            feature_group_count=g.groups,
        )

    def up(y: jax.Array, w: jax.Array) -> jax.Array:
        (found,) = jax.linear_transpose(lambda x: down(x, w), x)(y)
        return found

    y, seen = jax.eval_shape(down, x, w), set()
    for function, first, result in ((down, x, y), (up, y, x)):
        program = jax.make_jaxpr(lambda f, a, b, r: jax.vjp(f, a, b)[1](r), static_argnums=0)
        for equation in program(function, first, w, result).eqns:
            if equation.primitive is lax.conv_general_dilated_p and read(equation) not in seen:
                seen.add(read(equation))
                yield equation, read(equation)


def of_layer(layer: Layer, rounds: int) -> Iterator[dict[str, Any]]:
    """A row for each convolution that is replaced."""
    for equation, convolution in convolutions(layer):
        taken, _, _ = decide(equation, nested=False)
        if taken is None:
            continue
        ways = list(assignments(convolution))
        fewest = min(ways, key=lambda way: np.prod(way.recipe.geometry.kernel_size))
        most = MOST_TIMES * min(map(estimated_seconds, ways))
        lhs, rhs = (numbers(v.aval.shape, v.aval.dtype) for v in equation.invars)

        def program(way: Assignment) -> Callable[[], Any]:
            compiled = jax.jit(lambda a, b: computed(a, b, way)).lower(lhs, rhs).compile()  # noqa: B023 - called here
            return lambda: compiled(lhs, rhs)  # noqa: B023

        jax.clear_caches()
        names = [
            n
            for n, way in enumerate(ways)
            if way in (taken, fewest) or estimated_seconds(way) <= most
        ]
        times = timed({str(n): program(ways[n]) for n in names}, rounds)
        of = {ways.index(way): times[str(ways.index(way))] for way in (taken, fewest)}
        best = min(times.values())
        yield {
            "layer": str(layer),
            "becomes": taken.recipe.partial,
            "taken": round(of[ways.index(taken)] / best, 3),
            "fewest": round(of[ways.index(fewest)] / best, 3),
        }


def of_step(batch: int, size: Any, before: int, after: int, kernel: int, stride: int) -> Any:
    """Milliseconds of a step, plain and accelerated."""
    y = numbers((batch, *size, before), "float32")
    w = numbers((*[kernel] * len(size), before, after), "float32")

    def loss(y: jax.Array, w: jax.Array) -> jax.Array:
        return (lax.conv_transpose(y, w, [stride] * len(size), "SAME") ** 2).mean()

    steps = {
        "plain": jax.grad(loss, (0, 1)),
        "inside": jax.grad(tc.accelerate(loss), (0, 1)),
        "outside": tc.accelerate(jax.grad(loss, (0, 1))),
    }
    compiled = {name: jax.jit(step).lower(y, w).compile() for name, step in steps.items()}
    times = timed({n: lambda f=f: f(y, w)[1] for n, f in compiled.items()}, 15)
    return {name: round(1e3 * seconds, 2) for name, seconds in times.items()}


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, and write what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--layers", type=int, default=40)
    parser.add_argument("--seed", type=int, default=51)
    parser.add_argument("--draw", choices=DRAWS, default="all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
    steps, rows = [of_step(*step) for step in STEPS], []
    print(*steps, sep="\n", flush=True)
    for layer in itertools.islice(DRAWS[options.draw](options.seed), options.layers):
        for row in of_layer(layer, options.rounds):
            rows.append(row)
            print(*row.values(), flush=True)
    for name in ("taken", "fewest"):
        print(f"{name}: {summary(row[name] for row in rows)}")
    if options.json:
        about = {"jax": jax.__version__, "machine": device(cpu=True), "seed": options.seed}
        text = json.dumps({**about, "steps": steps, "rows": rows}, separators=(",", ":"))
        options.json.write_text(text.replace('{"layer"', '\n{"layer"') + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
