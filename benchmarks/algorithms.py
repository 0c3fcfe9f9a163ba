"""Time every algorithm on every case and partial, one run, interleaved; medians.

    python benchmarks/algorithms.py [--rounds 9] [--case hifigan_up2] [--json out.json]

`select_algorithm` rests on this table: a star marks what it chooses. Compiling fcn32s with every
algorithm takes minutes; name cases to leave it out.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import jax

import tconvjax as tc
from tconvjax.command.cases import Case, cases
from tconvjax.forward import ROLES, Partial

SLOW = 1.0  # seconds; a contestant that takes longer is timed once


def programs(case: Case) -> dict[tuple[Partial, str], Callable[[], jax.Array]]:
    """Compiled calls, ready to time."""
    x, w, y = jax.device_put(case.arrays())
    arguments = dict(case.arguments)
    extra = arguments.pop("output_padding", 0)
    arrays = {"x": x, "w": w, "y": y}
    calls: dict[tuple[Partial, str], Callable[[], jax.Array]] = {}
    for name in tc.ALGORITHMS:
        each: dict[Partial, Callable[..., jax.Array]] = {
            "conv": lambda x, w, name=name: tc.conv(x, w, algorithm=name, **arguments),
            "conv_transpose": lambda y, w, name=name: tc.conv_transpose(
                y, w, algorithm=name, output_padding=extra, **arguments
            ),
            "kernel_gradient": lambda x, y, name=name: tc.kernel_gradient(
                x, y, kernel_size=case.w_shape[2:], algorithm=name, **arguments
            ),
        }
        for partial, function in each.items():
            first, second, _ = ROLES[partial]
            a, b = arrays[first], arrays[second]
            compiled = jax.jit(function).lower(a, b).compile()
            calls[partial, name] = lambda compiled=compiled, a=a, b=b: compiled(a, b)
    return calls


def timed(
    calls: dict[tuple[Partial, str], Callable[[], jax.Array]], rounds: int
) -> dict[tuple[Partial, str], float]:
    """Median milliseconds of each call, taken in turns."""
    times: dict[tuple[Partial, str], list[float]] = {key: [] for key in calls}
    for _ in range(rounds + 1):
        for key, call in calls.items():
            if times[key] and times[key][0] > SLOW:
                continue
            start = time.perf_counter()
            call().block_until_ready()
            times[key].append(time.perf_counter() - start)
    return {key: 1e3 * statistics.median(t[1:] or t) for key, t in times.items()}


def main() -> None:
    """Print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--case", nargs="*")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    chosen = [case for case in cases() if not options.case or case.name in options.case]
    table = {}
    print(
        f"jax {jax.__version__} on {jax.devices()[0].device_kind}; milliseconds, medians",
        flush=True,
    )
    for case in chosen:
        result = timed(programs(case), options.rounds)
        table[case.name] = {f"{partial} {name}": ms for (partial, name), ms in result.items()}
        for partial in ROLES:
            best = tc.select_algorithm(case.geometry, partial)
            cells = (
                f"{name} {result[partial, name]:9.2f}{'*' if name == best else ' '}"
                for name in tc.ALGORITHMS
            )
            print(f"{case.name:16}{partial:16}" + "  ".join(cells), flush=True)
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
