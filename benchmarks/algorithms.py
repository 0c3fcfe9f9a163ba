"""Time every algorithm on every partial of many layers, one run, interleaved.

    python benchmarks/algorithms.py [--rounds 7] [--case hifigan_up2] [--json out.json] [--fit]

`tconvjax.plan` rests on this table: a star marks what it chooses. ``--fit`` fits the constants
of its model to the table and writes them to ``tconvjax/algorithms/costs.json``. Channels last and
first count alike, since the choice does not know the layout; float32.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from cases import Case, cases
from scipy.optimize import nnls

import tconvjax as tc
from tconvjax.algorithms.plan import features, line, unfit
from tconvjax.algorithms.run import run
from tconvjax.geometry import Geometry
from tconvjax.layouts import ROLES, Partial, Recipe, layout

SLOW = 0.5  # seconds; a contestant that takes longer is timed once
FILL, FEWEST = 0.01, 3  # seconds and calls of a turn
Key = TypeVar("Key")
COSTS = Path(tc.__file__).parent / "algorithms" / "costs.json"

# Layers that the published cases leave out: large kernels of stride 1, many pixels, a large batch,
# grouped and depthwise layers in one and three dimensions.
EXTRA: list[dict[str, Any]] = [
    {"y": (1, 32, 64, 64), "w": (32, 32, 7, 7), "padding": 3},
    {"y": (1, 16, 4096), "w": (16, 16, 64), "padding": 32},
    {"y": (1, 32, 12, 12, 12), "w": (32, 16, 5, 5, 5), "padding": 2},
    {"y": (1, 16, 20, 20, 20), "w": (16, 16, 3, 3, 3), "padding": 1},
    {"y": (1, 32, 128, 128), "w": (32, 16, 4, 4), "padding": 1, "stride": 2},
    {"y": (64, 32, 8, 8), "w": (32, 32, 4, 4), "padding": 1, "stride": 2},
    {"y": (64, 64, 4, 4), "w": (64, 64, 3, 3), "padding": 1},
    {"y": (8, 3, 64, 64), "w": (3, 3, 4, 4), "padding": 1, "stride": 2},
    {"y": (8, 1, 64, 64), "w": (1, 1, 4, 4), "padding": 1, "stride": 2},
    {"y": (4, 32, 2048), "w": (32, 1, 8), "padding": 2, "stride": 4, "groups": 32},
    {"y": (1, 16, 16, 16, 16), "w": (16, 1, 4, 4, 4), "padding": 1, "stride": 2, "groups": 16},
    {"y": (2, 64, 48, 48), "w": (64, 1, 3, 3), "padding": 1, "groups": 64},
    {"y": (2, 64, 32, 32), "w": (64, 2, 3, 3), "padding": 1, "groups": 32},
    {"y": (2, 128, 32, 32), "w": (128, 16, 3, 3), "padding": 1, "groups": 8},
    {"y": (1, 64, 512), "w": (64, 16, 8), "padding": 2, "stride": 4, "groups": 4},
    {"y": (1, 16, 16, 16), "w": (16, 8, 3, 3), "padding": 0, "stride": 4},
    {"y": (2, 8, 24, 24), "w": (8, 8, 5, 5), "padding": 4, "stride": 2, "dilation": 2},
]


def layers() -> list[Case]:
    """The published cases and the extra ones."""
    extra = [
        Case(f"extra {one['y']} {one['w']}", "", one["y"], one["w"],
             {k: v for k, v in one.items() if k not in "yw"})
        for one in EXTRA
    ]  # fmt: skip
    return [*cases(), *extra]


def programs(case: Case, last: bool) -> dict[tuple[Partial, str], Callable[[], jax.Array]]:
    """Compiled calls, ready to time, with channels last or first."""
    geometry = case.geometry
    letters = "DHW"[-geometry.rank :]
    numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C") if last else None
    specs = layout(numbers, geometry.rank)
    orders = dict(zip("xwy", specs, strict=True))
    arrays = {
        role: jax.device_put(np.transpose(value, np.argsort(orders[role])))
        for role, value in zip("xwy", case.arrays(), strict=True)
    }
    calls: dict[tuple[Partial, str], Callable[[], jax.Array]] = {}
    for partial, (first, second, _) in ROLES.items():
        a, b = arrays[first], arrays[second]
        for name in tc.ALGORITHMS:
            if name != "direct" and unfit(name, partial, geometry):
                continue
            recipe = Recipe(partial, geometry, specs, None, a.dtype, name, "cpu")
            compiled = jax.jit(functools.partial(run, recipe=recipe)).lower(a, b).compile()
            calls[partial, name] = lambda compiled=compiled, a=a, b=b: compiled(a, b)
    return calls


def timed(calls: dict[Key, Callable[[], jax.Array]], rounds: int) -> dict[Key, float]:
    """Seconds of each call: the median over the rounds of the quickest of a turn."""
    times: dict[Key, list[float]] = {key: [] for key in calls}
    for _ in range(rounds):
        for key, call in calls.items():
            if times[key] and times[key][0] > SLOW:
                continue
            turn, end = [], time.perf_counter() + FILL
            while len(turn) < FEWEST or time.perf_counter() < end:
                start = time.perf_counter()
                call().block_until_ready()
                turn.append(time.perf_counter() - start)
                if turn[-1] > SLOW:
                    break
            times[key].append(min(turn))
    return {key: statistics.median(t) for key, t in times.items()}


def fit(measured: list[tuple[Geometry, int, Partial, str, float]]) -> dict[str, list[float]]:
    """The constants of each line that make the relative errors least; none is negative."""
    rows: dict[str, list[np.ndarray]] = defaultdict(list)
    for geometry, batch, partial, name, seconds in measured:
        of_line = rows[line(name, partial, geometry, "float32")]
        of_line.append(np.array(features(name, partial, geometry, batch)) / seconds)
    return {
        name: [float(f"{c:.3g}") for c in nnls(np.stack(r), np.ones(len(r)))[0]]
        for name, r in sorted(rows.items())
    }


def main() -> None:
    """Print the table, fit if asked, and write what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--case", nargs="*")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    table, measured = {}, []
    print(f"jax {jax.__version__} on {jax.devices()[0].device_kind}; ms, medians", flush=True)
    for case in layers():
        if options.case and case.name not in options.case:
            continue
        batch = case.y_shape[0]
        table[case.name] = {}
        for order in ("last", "first"):
            result = timed(programs(case, order == "last"), options.rounds)
            table[case.name][order] = {f"{p} {name}": 1e3 * s for (p, name), s in result.items()}
            measured += [(case.geometry, batch, p, name, s) for (p, name), s in result.items()]
            for partial in ROLES:
                best = tc.plan(case.geometry, partial, batch=batch).algorithm
                cells = (
                    f"{name} {1e3 * seconds:9.2f}{'*' if name == best else ' '}"
                    for (p, name), seconds in result.items() if p == partial
                )  # fmt: skip
                print(f"{case.name:16} {order:6}{partial:16}" + "  ".join(cells), flush=True)
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n")
    if options.fit:
        COSTS.write_text(
            json.dumps({"jax": jax.__version__, "lines": fit(measured)}, indent=1) + "\n"
        )


if __name__ == "__main__":
    sys.exit(main())
