"""How long "patches" takes where it gathers or adds up many shifts in several loops, not in one.

    python benchmarks/loops.py [--layers 40] [--seed 77] [--rounds 3] [--json results/loops.json]

The layers are those of `choice.py` for which this differs. What is told is the time in several
loops over that in one, both in turns, and the same of the CPU time to compile.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import itertools
import json
import math
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import jax
from choice import drawn, recipe_of

from tconvjax.algorithms.measure import contestants, timed
from tconvjax.algorithms.records import device
from tconvjax.algorithms.shifts import additions, gatherings
from tconvjax.geometry import Geometry
from tconvjax.layouts import ROLES

# The package has a function of this name.
PATCHES = importlib.import_module("tconvjax.algorithms.patches")

MOST_SHIFTS = 600
"""Shifts of the largest layer: one loop over more compiles for ten seconds."""


def differs(geometry: Geometry) -> bool:
    """Whether some partial has several loops, and one loop would compile."""
    sides = PATCHES.sides_of(geometry)
    loops = (gatherings(sides, False), gatherings(sides, True), additions(sides, False))
    several = any(len(found) > 1 for found in loops)
    return several and math.prod(side.shifts for side in sides) <= MOST_SHIFTS


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print geometric means, and write what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--layers", type=int, default=40)
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
    layers = (layer for layer in drawn(options.seed) if differs(layer.geometry))
    rows: list[dict[str, Any]] = []
    for layer, partial in itertools.product(itertools.islice(layers, options.layers), ROLES):
        recipe, calls, compiling = recipe_of(layer, partial), {}, {}
        for name in ("one", "several"):
            one = mock.patch.object(PATCHES, "_written", return_value=None)
            jax.clear_caches()
            with one if name == "one" else contextlib.nullcontext():
                start = time.process_time()
                calls[name] = contestants(recipe, layer.batch, ["patches"])["patches"]
                compiling[name] = time.process_time() - start
        times = timed(calls, options.rounds)
        share, compiled = (
            round(found["several"] / found["one"], 3) for found in (times, compiling)
        )
        rows.append({"layer": str(layer), "partial": partial, "time": share, "compiling": compiled})
        print(f"{share:6.2f} {compiled:6.2f}  {partial:15} {layer}", flush=True)
    for partial in ROLES:
        shares = [row["time"] for row in rows if row["partial"] == partial]
        mean = statistics.geometric_mean(shares)
        print(f"{partial}: time x {mean:.2f}, {min(shares):.2f} to {max(shares):.2f}")
    compiling_share = statistics.geometric_mean(row["compiling"] for row in rows)
    print(f"compiling x {compiling_share:.2f}")
    if options.json:
        about = {"jax": jax.__version__, "machine": device(True), "seed": options.seed}
        text = json.dumps({**about, "rows": rows}, separators=(",", ":"))
        options.json.write_text(text.replace('{"layer"', '\n{"layer"') + "\n", "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
