"""Time every algorithm on every partial of many layers, one run, interleaved.

    python benchmarks/algorithms.py [--rounds 7] [--case hifigan_up2] [--json out.json]

A star marks what `tconvjax.plan` chooses. Channels first and last, float32. With --considered,
"direct" is not timed.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import jax
from cases import Case, cases

from tconvjax.algorithms.measure import contestants, timed
from tconvjax.algorithms.plan import planned, unfit
from tconvjax.layouts import ROLES, Partial, Recipe, layout

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


def recipe_of(case: Case, partial: Partial, last: bool) -> Recipe:
    """The recipe of a partial, with channels last or first."""
    letters = "DHW"[-case.geometry.rank :]
    numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C") if last else None
    specs, dtype = layout(numbers, case.geometry.rank), jax.numpy.dtype("float32")
    return Recipe(partial, case.geometry, specs, None, dtype, platform="cpu")


def measured(
    case: Case, partial: Partial, last: bool, rounds: int, others: list[str]
) -> dict[str, float]:
    """Seconds of every algorithm that is considered, and of others."""
    recipe, batch = recipe_of(case, partial, last), case.y_shape[0]
    rest = [name for name in ("patches", "taps") if not unfit(name, recipe, batch)]
    return timed(contestants(recipe, batch, [*others, *rest]), rounds)


def main() -> None:
    """Print the table, and write it if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--case", nargs="*")
    parser.add_argument("--considered", action="store_true", help='leave "direct" out')
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    table: dict[str, dict[str, dict[str, float]]] = {}
    print(f"jax {jax.__version__} on {jax.devices()[0].device_kind}; ms, medians", flush=True)
    for case in layers():
        if options.case and case.name not in options.case:
            continue
        table[case.name] = {"last": {}, "first": {}}
        for order, partial in ((order, p) for order in ("last", "first") for p in ROLES):
            others = [] if options.considered else ["direct"]
            found = measured(case, partial, order == "last", options.rounds, others)
            best = planned(recipe_of(case, partial, order == "last"), case.y_shape[0]).algorithm
            table[case.name][order] |= {f"{partial} {n}": 1e3 * s for n, s in found.items()}
            cells = (f"{n} {1e3 * s:9.2f}{'*' if n == best else ' '}" for n, s in found.items())
            print(f"{case.name:16} {order:6}{partial:16}" + "  ".join(cells), flush=True)
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
