"""What the forms of the copies of "patches" and of the sums of "taps" are worth.

    python benchmarks/loops.py [--form shifts] [--layers 40] [--seed 77] [--rounds 3] [--json FILE]

With "shifts", where it gathers or adds up many shifts in several loops, and not in one. With
"phases", where it interleaves the phases of a dilated axis with a stride, and does not add them up,
spread by zeros, as JAX's transpose of their gathering does. With "live", where taps read nothing
but padding and are left out. With "one", where an axis has one output and its shifts are not copied
each. With "parts", where the phases of a kernel have unequally many taps and it is cut in parts,
each of one product. With "turns", where "taps" adds up 33 to 95 products for each element of a
depthwise layer in two or three loops, and not in one. With "woven", where it interleaves more than
eight phases of a depthwise transpose axis by axis, and not in one loop. With "uneven", where phases
of more than eight taps, and of unequally many, are written before they are interleaved. The layers
are those of `choice.py` for which this differs. What is told is the time over that in the other
form, both in turns, and the same of the CPU time to compile. The results of "shifts" are in
results/loops.json, those of the others in results/phases.json, live.json, one.json, parts.json,
turns.json, woven.json and uneven.json.
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
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import jax
from choice import drawn, recipe_of

from tconvjax.algorithms.measure import contestants, timed
from tconvjax.algorithms.phases import Split, splits_of, to_phases
from tconvjax.algorithms.records import device
from tconvjax.algorithms.shifts import additions, gatherings
from tconvjax.geometry import Geometry
from tconvjax.layouts import ROLES, Partial

# The package has functions of these names.
MODULES = {
    n: importlib.import_module(f"tconvjax.algorithms.{n}") for n in ("patches", "run", "taps")
}
PATCHES = MODULES["patches"]

IN_ONE = 95
"""Most products that one loop added up before."""

MOST_SHIFTS = 600
"""Shifts of the largest layer: one loop over more compiles for ten seconds."""


def in_several_loops(geometry: Geometry) -> bool:
    """Whether some partial has several loops, and one loop would compile."""
    sides = PATCHES.sides_of(geometry)
    loops = (gatherings(sides, False), gatherings(sides, True), additions(sides, False))
    several = any(len(found) > 1 for found in loops)
    return several and math.prod(side.shifts for side in sides) <= MOST_SHIFTS


def in_several_phases(geometry: Geometry) -> bool:
    """Whether some axis has a dilation and several phases."""
    return any(s.axis.dilation > 1 and s.slots > 1 for s in PATCHES.sides_of(geometry))


def of_live_taps(geometry: Geometry) -> bool:
    """Whether taps read nothing but padding."""
    return any(len(axis.live_taps) < axis.kernel_size for axis in geometry.axes)


def of_one_output(geometry: Geometry) -> bool:
    """Whether an axis has one output that several shifts write, and all taps are live."""
    one = any(axis.out_size == 1 and axis.stride < axis.kernel_size for axis in geometry.axes)
    return one and not of_live_taps(geometry)


def of_several_parts(geometry: Geometry) -> bool:
    """Whether a kernel is cut in parts, which those of depthwise layers are not."""
    dense = geometry.groups < max(geometry.in_channels, geometry.out_channels)
    return dense and len(PATCHES.cut_taps(geometry)) > 1


def of_some_turns(geometry: Geometry) -> bool:
    """Whether a depthwise layer has so many taps that up to three turns add them up."""
    counts = [math.prod(geometry.kernel_size), math.prod(s.shifts for s in splits_of(geometry))]
    depthwise = geometry.groups == geometry.in_channels == geometry.out_channels
    return depthwise and all(MODULES["taps"].MOST_SUMMANDS < n <= IN_ONE for n in counts)


def in_phases(geometry: Geometry) -> bool:
    """Whether a depthwise transpose is one in phases, whatever its layout, and compiles."""
    depthwise = geometry.groups == geometry.in_channels == geometry.out_channels > 1
    several = math.prod(s.shifts for s in splits_of(geometry)) > MODULES["taps"].MOST_SHIFTS
    return depthwise and several and math.prod(geometry.kernel_size) <= MOST_SHIFTS


def of_many_phases(geometry: Geometry) -> bool:
    """Whether it has many phases, along several axes."""
    many = math.prod(geometry.stride) > MODULES["taps"].MOST_PHASES
    return in_phases(geometry) and many and geometry.rank > 1


def of_uneven_phases(geometry: Geometry) -> bool:
    """Whether it has a few phases of unequally many taps, and not too many for one loop."""
    module, phases = MODULES["taps"], math.prod(geometry.stride)
    each = math.prod(geometry.kernel_size) / phases
    some = 1 < phases <= module.MOST_PHASES and module.MOST_UNEVEN < each <= module.MOST_SUMMANDS
    return in_phases(geometry) and some and not all(s.even for s in splits_of(geometry))


def whole(geometry: Geometry) -> Sequence[Sequence[range]]:
    """A kernel in one part."""
    return [[range(size) for size in geometry.kernel_size]]


def derived(v: jax.Array, splits: Sequence[Split], at: int = 1) -> jax.Array:
    """The transpose of `to_phases` as JAX has it."""
    sizes = [split.axis.in_size for split in splits]
    shape = *v.shape[:at], *sizes, *v.shape[at + 2 * len(splits) :]
    x = jax.ShapeDtypeStruct(shape, v.dtype)
    (found,) = jax.linear_transpose(lambda x: to_phases(x, splits, at), x)(v)
    return found


FORMS: Mapping[str, tuple[Callable[[Geometry], bool], Sequence[Partial], str, Any]] = {
    "shifts": (in_several_loops, tuple(ROLES), "patches._written", lambda recipe: None),
    "phases": (in_several_phases, ("conv_transpose",), "patches.from_phases", derived),
    "live": (of_live_taps, tuple(ROLES), "run.live", lambda recipe: recipe),
    "one": (of_one_output, tuple(ROLES), "patches.splits_of", lambda g: tuple(map(Split, g.axes))),
    "parts": (of_several_parts, tuple(ROLES), "patches.cut_taps", whole),
    "woven": (of_many_phases, ("conv_transpose",), "taps.MOST_PHASES", math.inf),
    "uneven": (of_uneven_phases, ("conv_transpose",), "taps.MOST_UNEVEN", math.inf),
    "turns": (of_some_turns, ("conv", "conv_transpose"), "taps.MOST_SUMMANDS", IN_ONE),
}
"""For which layers and partials a form differs, and what the other form puts in place of what."""


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print geometric means, and write what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--form", choices=FORMS, default="shifts")
    parser.add_argument("--layers", type=int, default=40)
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
    differs, partials, function, other = FORMS[options.form]
    algorithm = "taps" if function.startswith("taps") else "patches"
    layers = (layer for layer in drawn(options.seed) if differs(layer.geometry))
    rows: list[dict[str, Any]] = []
    for layer, partial in itertools.product(itertools.islice(layers, options.layers), partials):
        recipe, calls, compiling = recipe_of(layer, partial), {}, {}
        for name in ("other", "this"):
            module, _, attribute = function.partition(".")
            patched = mock.patch.object(MODULES[module], attribute, other)
            jax.clear_caches()
            PATCHES.sides_of.cache_clear()
            with patched if name == "other" else contextlib.nullcontext():
                start = time.process_time()
                calls[name] = contestants(recipe, layer.batch, [algorithm])[algorithm]
                compiling[name] = time.process_time() - start
        times = timed(calls, options.rounds)
        share, compiled = (round(found["this"] / found["other"], 3) for found in (times, compiling))
        rows.append({"layer": str(layer), "partial": partial, "time": share, "compiling": compiled})
        print(f"{share:6.2f} {compiled:6.2f}  {partial:15} {layer}", flush=True)
    for partial in partials:
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
