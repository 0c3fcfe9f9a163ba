"""Measure the regret of ``algorithm="auto"`` on layers that no list names.

    python benchmarks/choice.py [--layers 200] [--seed 0] [--rounds 3] [--json out.json]

Each layer is drawn at random: one to three axes; dense, grouped or depthwise; kernels of 1 to 64
taps along an axis, strides of 1 to 16, dilations, 1 to 512 channels, batches, both layouts, float32
and bfloat16. For each partial, every algorithm that compiles within a budget is timed, in turns.
The regret of "auto" is its time over that of the best algorithm. A fit of the cost model must use
another seed than the judgement, so that they never see the same layers.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import random
import re
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
from algorithms import timed

import tconvjax as tc
from tconvjax.algorithms.phases import splits_of
from tconvjax.algorithms.run import run
from tconvjax.algorithms.taps import terms
from tconvjax.geometry import Geometry
from tconvjax.layouts import ROLES, Partial, Recipe, layout

MOST_OPERATIONS = 4e9
"""Multiplications and additions of the largest layer drawn: about a tenth of a second of a core."""

MOST_PIECES = 1200
"""Slices or summands of the largest program that is compiled; about ten seconds."""


@dataclass(frozen=True)
class Layer:
    """A random layer.

    Args:
        geometry: of the forward convolution.
        batch: images.
        last: whether channels come last.
        dtype: "float32" or "bfloat16".
    """

    geometry: Geometry
    batch: int
    last: bool
    dtype: str

    def __str__(self) -> str:
        """The layer in one line."""
        g = self.geometry
        return (
            f"{self.batch}x{g.in_channels}x{'x'.join(map(str, g.in_size))} to {g.out_channels}, "
            f"k {g.kernel_size} s {g.stride} d {g.dilation} groups {g.groups} "
            f"{'last' if self.last else 'first'} {self.dtype}"
        )


def drawn(seed: int) -> Iterator[Layer]:
    """Random layers without end."""
    rng = random.Random(seed)  # noqa: S311 - layers are no secrets

    def log(low: int, high: int) -> int:
        return round(math.exp(rng.uniform(math.log(low), math.log(high))))

    while True:
        rank = rng.choices((1, 2, 3), (3, 5, 2))[0]
        kind = rng.choice(("dense", "dense", "grouped", "depthwise"))
        k, s = log(1, (64, 24, 6)[rank - 1]), log(1, (16, 8, 3)[rank - 1])
        kernel = [k if rng.random() < 0.8 else log(1, k) for _ in range(rank)]
        stride = [min(s, 2 * one) for one in kernel]
        dilation = [rng.choice((1, 1, 1, 1, 1, 2, 3))] * rank
        c, o = log(1, 512), log(1, 512)
        groups = 1
        if kind == "depthwise":
            groups = o = c
        elif kind == "grouped":
            groups = rng.choice((2, 4, 8))
            c, o = groups * -(-c // groups), groups * -(-o // groups)
        out = [log(1, (4096, 96, 24)[rank - 1]) for _ in range(rank)]
        spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
        low = [rng.choice((0, (span - 1) // 2)) for span in spans]
        sizes = [
            max(st * (n - 1) + span - 2 * p, 1)
            for n, st, span, p in zip(out, stride, spans, low, strict=True)
        ]
        batch = log(1, 32)
        try:
            geometry = Geometry.of_conv(
                (c, *sizes),
                (o, c // groups, *kernel),
                stride=stride,
                padding=low,
                dilation=dilation,
                groups=groups,
            )
        except tc.GeometryError:
            continue
        work = 2 * batch * math.prod(geometry.out_size) * math.prod(geometry.kernel_shape)
        largest = batch * max(math.prod(geometry.in_shape), math.prod(geometry.out_shape))
        if 1e4 <= work <= MOST_OPERATIONS and largest <= 2**24:
            yield Layer(
                geometry, batch, rng.random() < 0.5, rng.choice(("float32",) * 3 + ("bfloat16",))
            )


def pieces(name: str, partial: Partial, geometry: Geometry) -> int:
    """Slices or summands of a program, which decide how long it compiles."""
    splits = splits_of(geometry)
    if name == "taps":
        return terms(partial, geometry)
    if name == "patches":
        return math.prod(split.shifts for split in splits)
    return sum(split.phases for split in splits) if name == "polyphase" else 1


def programs(layer: Layer, partial: Partial, seed: int) -> dict[str, Callable[[], jax.Array]]:
    """Compiled calls of the algorithms that are within the budget."""
    geometry = layer.geometry
    letters = "DHW"[-geometry.rank :]
    numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C") if layer.last else None
    specs = layout(numbers, geometry.rank)
    rng = np.random.default_rng(seed)
    shapes = {
        "x": (layer.batch, *geometry.in_shape),
        "w": geometry.kernel_shape,
        "y": (layer.batch, *geometry.out_shape),
    }
    orders = dict(zip("xwy", specs, strict=True))
    first, second, _ = ROLES[partial]
    a, b = (
        jax.device_put(
            np.transpose(rng.normal(size=shapes[role]), np.argsort(orders[role])).astype(
                layer.dtype
            )
        )
        for role in (first, second)
    )
    found = {}
    for name in tc.ALGORITHMS:
        if pieces(name, partial, geometry) > MOST_PIECES:
            continue
        recipe = Recipe(partial, geometry, specs, None, a.dtype, name, jax.default_backend())
        compiled = jax.jit(functools.partial(run, recipe=recipe)).lower(a, b).compile()
        found[name] = functools.partial(compiled, a, b)
    return found


def processor() -> str:
    """The name of the processor."""
    found = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text("utf-8"))
    return found[1] if found else "unknown"


def main() -> None:
    """Time random layers and print the regret."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    layers = drawn(options.seed)
    for n in range(options.layers):
        layer = next(layers)
        for partial in ROLES:
            plan = tc.plan(layer.geometry, partial, layer.dtype, batch=layer.batch)
            times = timed(programs(layer, partial, n), options.rounds)
            best = min(times, key=times.__getitem__)
            regret = round(times.get(plan.algorithm, math.inf) / times[best], 3)
            ms = {name: float(f"{1e3 * t:.4g}") for name, t in times.items()}
            row = {"layer": str(layer), "partial": partial, "auto": plan.algorithm}
            rows.append({**row, "best": best, "regret": regret, "ms": ms})
            cells = "  ".join(f"{name} {1e3 * t:.3g}" for name, t in times.items())
            print(f"{regret:6.2f}  {partial:15} {layer}: {plan.algorithm} of {cells}", flush=True)
    regrets = sorted(row["regret"] for row in rows)
    print(
        f"{len(rows)} partials; regret {statistics.geometric_mean(regrets):.3f} in the geometric "
        f"mean, {regrets[int(0.95 * len(regrets))]:.2f} at the 95th percentile, "
        f"{regrets[-1]:.2f} at the worst"
    )
    for row in sorted(rows, key=lambda row: -row["regret"])[:10]:
        what = f"{row['partial']:15} {row['layer']}"
        print(f"{row['regret']:8.2f}  {what}: {row['auto']} instead of {row['best']}")
    if options.json:
        about = {"jax": jax.__version__, "machine": processor(), "seed": options.seed}
        text = json.dumps({**about, "rows": rows}, separators=(",", ":"))
        options.json.write_text(text.replace('{"layer"', '\n{"layer"') + "\n")


if __name__ == "__main__":
    sys.exit(main())
