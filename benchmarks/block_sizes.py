"""What a step's temporaries and its time are for smaller blocks of "patches" and "taps".

    python benchmarks/block_sizes.py [--case decoder_k3s1] [--rounds 5] [--json block_sizes.json]
    python benchmarks/block_sizes.py --random 24 [--seed 0] [--rounds 9] [--json block_room.json]

Channels last. The memory is XLA's own figure, temporaries and results. With --random, the layers
are drawn, in either layout, and what is told is how long those take for which
`tconvjax.algorithms.patches` has larger blocks, relative to blocks that are as small as all others.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from algorithms import recipe_of
from cases import Case, chosen
from contest import Job, cores
from programs import jax_program, ours
from timing import Program, interleaved

from tconvjax.algorithms import blocks
from tconvjax.command.arguments import CommandError

# The package has a function of this name.
PATCHES = importlib.import_module("tconvjax.algorithms.patches")
SHRUNK = (1, 2, 4, 8, 16)
"""By how much the two bounds of `tconvjax.algorithms.blocks` are divided."""


def programs(case: Case) -> dict[str, Program]:
    """A step for each size of blocks."""
    job = Job(case, "step", case.arrays(), "cpu", cores())
    found = {}
    for by in SHRUNK:
        bounds = {"WHOLE": blocks.WHOLE // by, "MOST": blocks.MOST // by}
        with mock.patch.multiple(blocks, **bounds):
            found[str(by)] = jax_program(ours(case, last=True), job)
    return found


def run(cases: Sequence[Case], rounds: int) -> dict[str, Any]:
    """Milliseconds and bytes of each case and size."""
    found: dict[str, Any] = {}
    for case in cases:
        made = programs(case)
        times = interleaved(made, rounds, seed=0)
        found[case.name] = {
            name: {"ms": 1e3 * times[name].median, "bytes": program.bytes}
            for name, program in made.items()
        }
        cells = "  ".join(
            f"/{name} {one['ms']:7.2f} ms {one['bytes'] / 2**20:6.1f} MiB"
            for name, one in found[case.name].items()
        )
        print(f"{case.name:16}{cells}", flush=True)
    return found


def drawn(source: random.Random) -> Case:
    """A layer whose largest matrix has two to four million elements."""
    while True:
        rank, stride = source.choice([1, 2, 2, 3]), source.choice([1, 2, 2, 4, 8])
        size = source.choice({1: (512, 2048, 8192), 2: (16, 32, 64, 96), 3: (8, 16, 24)}[rank])
        images, channels = 2 ** source.randrange(6), 2 ** source.randrange(3, 8)
        kernel = stride * source.choice([1, 2, 2]) + source.choice([0, 0, 1])
        w_shape = (channels, 2 ** source.randrange(8), *(kernel,) * rank)
        case = Case("", "", (images, channels, *(size,) * rank), w_shape, {"stride": stride})
        elements = images * PATCHES.largest(recipe_of(case, "conv_transpose", last=True))
        if 2**21 < elements < 2**22 and case.flops("forward") < 2**32:
            return case


def of_random_layers(number: int, seed: int, rounds: int) -> list[dict[str, Any]]:
    """The share of the time that each output and each step takes with larger blocks."""
    source, found = random.Random(seed), []  # noqa: S311 - layers are no secrets
    for _ in range(number):
        case, last = drawn(source), source.random() < 0.6
        for task in ("forward", "step"):
            job = Job(case, task, case.arrays(), "cpu", cores())
            made = {}
            for name, room in (("same", 1.0), ("larger", PATCHES.ROOM)):
                with mock.patch.object(PATCHES, "ROOM", room):
                    made[name] = jax_program(ours(case, last=last), job)
            if made["same"].bytes == made["larger"].bytes:
                continue
            times = interleaved(made, rounds, seed=0)
            share = times["larger"].median / times["same"].median
            stride = case.arguments["stride"]
            row = {"y": case.y_shape, "w": case.w_shape, "stride": stride, "last": last}
            found.append(row | {"task": task, "share": share})
            print(f"{task:8} {case.y_shape} {case.w_shape} {share:.2f}", flush=True)
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print geometric means, and write what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--case", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--random", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
    if options.random:
        drawn_layers = of_random_layers(options.random, options.seed, options.rounds)
        for task in ("forward", "step"):
            shares = [one["share"] for one in drawn_layers if one["task"] == task]
            mean = statistics.geometric_mean(shares) if shares else 1
            worst = max(shares, default=1)
            print(f"{task}: {len(shares)} layers, time x {mean:.2f}, worst {worst:.2f}")
        if options.json:
            options.json.write_text(json.dumps(drawn_layers, indent=1) + "\n")
        return 0
    try:
        found = run(chosen(options.case), options.rounds)
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for by in map(str, SHRUNK):
        means = (
            statistics.geometric_mean(one[by][what] / one["1"][what] for one in found.values())
            for what in ("ms", "bytes")
        )
        print(f"/{by}: time x {next(means):.2f}, memory x {next(means):.2f}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
