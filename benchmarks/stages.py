"""Where a training step by "patches" spends its time: layouts, products, overlap-adds.

    python benchmarks/stages.py [--case hifigan_up2] [--rounds 9] [--json stages.json]

Each stage of `tconvjax.algorithms.patches` is a program of its own here, channels last and whole,
without blocks; in a step XLA shares the layouts of x, y and the kernel between the products.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from cases import Case, chosen
from roofline import Roofline, measured
from timing import Program, interleaved

from tconvjax.algorithms.patches import (
    times,
    w_matrix,
    w_of_matrix,
    w_product,
    x_matrix,
    x_of_matrix,
    y_matrix,
    y_of_matrix,
)
from tconvjax.command.arguments import CommandError
from tconvjax.layouts import Recipe, layout

STAGES = {
    "layouts": ("x", "y", "w"),
    "products": ("xw", "yw", "xy"),
    "overlap-adds": ("of x", "of y", "of w"),
}


def programs(case: Case) -> dict[str, Program]:
    """Every stage of a case, compiled."""
    geometry, batch = case.geometry, case.y_shape[0]
    letters = "DHW"[-geometry.rank :]
    specs = layout((f"N{letters}C", f"{letters}IO", f"N{letters}C"), geometry.rank)
    recipe = Recipe("conv", geometry, specs, platform="cpu")
    x, w, y = (np.asarray(value) for value in case.arrays())
    spatial = tuple(range(2, geometry.rank + 2))
    x, y = (np.transpose(v, (0, *spatial, 1)) for v in (x, y))
    made: dict[str, Callable[..., jax.Array]] = {
        "x": lambda x: x_matrix(x, recipe),
        "y": lambda y: y_matrix(y, recipe),
        "w": lambda w: w_matrix(w, recipe, x_first=True),
    }
    operands = {"x": (x,), "y": (y,), "w": (np.transpose(w, (*spatial, 1, 0)),)}
    of_x, of_y, of_w = (np.asarray(jax.jit(made[name])(*operands[name])) for name in "xyw")
    made |= {
        "xw": lambda x, w: times(recipe, x, w, 2, 1),
        "yw": lambda y, w: times(recipe, y, w, 2, 2),
        "xy": lambda x, y: w_product(x, y, recipe, True),
        "of x": lambda m: x_of_matrix(m, batch, recipe),
        "of y": lambda m: y_of_matrix(m, batch, recipe),
        "of w": lambda m: w_of_matrix(m, recipe, x_first=True),
    }
    operands |= {"xw": (of_x, of_w), "yw": (of_y, of_w), "xy": (of_x, of_y)}
    operands |= {"of x": (of_x,), "of y": (of_y,), "of w": (of_w,)}
    return {name: compiled(f, *operands[name]) for name, f in made.items()}


def compiled(f: Callable[..., jax.Array], *operands: Any) -> Program:
    """A program of fixed operands."""
    there = jax.device_put(operands)
    lowered = jax.jit(f).lower(*there)
    start = time.perf_counter()
    program = lowered.compile()
    return Program(
        compile_s=time.perf_counter() - start,
        call=lambda: program(*there),
        wait=jax.block_until_ready,
        arrays=lambda result: [np.asarray(result)],
    )


def least_compile_s() -> dict[str, float]:
    """Seconds to compile the least programs: a product, loops with products between, and lax's."""
    square = jax.ShapeDtypeStruct((256, 256), "float32")
    y = jax.ShapeDtypeStruct((16, 16, 16, 128), "float32")
    w = jax.ShapeDtypeStruct((4, 4, 64, 128), "float32")

    def loops(count: int) -> Callable[[jax.Array, jax.Array], jax.Array]:
        def f(a: jax.Array, b: jax.Array) -> jax.Array:
            for n in range(count - 1):
                a = jax.lax.dot(a + (n + 1) * b, b)
            return a + count * b

        return f

    wanted: dict[str, tuple[Callable[..., jax.Array], tuple[Any, ...]]] = {
        "product": (jax.lax.dot, (square, square)),
        "lax.conv_transpose": (lambda y, w: jax.lax.conv_transpose(
            y, w, (2, 2), [(2, 2), (2, 2)], transpose_kernel=True), (y, w)),
        "1 loop": (loops(1), (square, square)),
        "8 loops": (loops(8), (square, square)),
    }  # fmt: skip
    found: dict[str, float] = dict.fromkeys(wanted, float("inf"))
    for _ in range(7):
        for name, (f, shapes) in wanted.items():
            jax.clear_caches()
            lowered = jax.jit(lambda *a, f=f: f(*a)).lower(*shapes)
            start = time.perf_counter()
            lowered.compile()
            found[name] = min(found[name], time.perf_counter() - start)
    return found


def run(cases: Sequence[Case], rounds: int, seed: int, limits: Roofline) -> dict[str, Any]:
    """Milliseconds of each stage of each case, and the least that the products can take."""
    found = {}
    for case in cases:
        stages = programs(case)
        times = interleaved(stages, rounds, seed)
        ms = {name: 1e3 * one.median for name, one in times.items()}
        sums = {stage: sum(ms[name] for name in names) for stage, names in STAGES.items()}
        found[case.name] = {
            "roofline_ms": 1e3 * limits.seconds(case, "step"),
            "ms": ms,
            "compile_s": {name: one.compile_s for name, one in stages.items()},
            **sums,
        }
        words = "".join(f"{stage} {value:7.2f}  " for stage, value in sums.items())
        print(f"{case.name:16}{words}roofline {found[case.name]['roofline_ms']:7.2f}", flush=True)
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, and write what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--case", nargs="+")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
    try:
        cases = [case for case in chosen(options.case) if case.geometry.groups < case.y_shape[1]]
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    seed = random.SystemRandom().randrange(2**31)
    limits = measured()
    print(f"{limits.flops / 1e9:.0f} GFLOP/s, {limits.bandwidth / 1e9:.0f} GB/s; ms")
    found = {
        "gflops": limits.flops / 1e9,
        "gigabytes_per_second": limits.bandwidth / 1e9,
        "least_compile_s": least_compile_s(),
        "cases": run(cases, options.rounds, seed, limits),
    }
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
