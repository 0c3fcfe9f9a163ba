"""What a step's temporaries and its time are for smaller blocks of "patches" and "taps".

    python benchmarks/block_sizes.py [--case decoder_k3s1] [--rounds 5] [--json block_sizes.json]

Channels last. The memory is XLA's own figure, temporaries and results.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest import mock

from cases import Case, chosen
from contest import Job, cores
from programs import jax_program, ours
from timing import Program, interleaved

from tconvjax.algorithms import blocks
from tconvjax.command.arguments import CommandError

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


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print geometric means, and write what is asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--case", nargs="+")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(words)
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
