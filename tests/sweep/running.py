"""The run: which case comes next, how far it is, and the table at the end."""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax

from tests.sweep.cases import ALGORITHMS, DTYPES, Case, drawn, every_axis, varied
from tests.sweep.checking import PARTIALS, Fault, check

SHARES = {"every": 0.35, "drawn": 0.15, "compiled": 0.5}
"""Of the time: every small geometry and random ones, read; and random ones, compiled."""

KEPT = 200
"""Compiled cases after which JAX's caches are emptied: the programs of a case come only once."""


@dataclass
class Tally:
    """What ran: for each kind of check a count and the worst error of each cell."""

    counts: dict[tuple[str, ...], int] = field(default_factory=dict)
    worst: dict[tuple[str, ...], float] = field(default_factory=dict)
    cases: dict[str, int] = field(default_factory=lambda: dict.fromkeys(SHARES, 0))

    def add(self, kind: str, case: Case) -> None:
        """Hold a case to everything, and count what held."""
        compiled = kind == "compiled"
        for outcome in check(case, compiled):
            key = ("compiled" if compiled else "read", *outcome[:3])
            self.counts[key] = self.counts.get(key, 0) + 1
            self.worst[key] = max(self.worst.get(key, 0.0), outcome.worst)
        self.cases[kind] += 1

    def table(self, way: str) -> str:
        """Rows of algorithms and partials, columns of dtypes: checks, and the worst error."""
        rows = [["", "", *DTYPES]]
        for algorithm in ALGORITHMS:
            for partial in PARTIALS:
                keys = [(way, algorithm, partial, dtype) for dtype in DTYPES]
                cells = [f"{self.counts.get(key, 0)} {self.worst.get(key, 0):.2f}" for key in keys]
                rows.append([algorithm, partial, *cells])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
                 for row in rows]  # fmt: skip
        return "\n".join(line.rstrip() for line in lines)

    def total(self, way: str) -> int:
        """Checks of a kind."""
        return sum(count for key, count in self.counts.items() if key[0] == way)


class Schedule:
    """The next case: of the kind that has had least of its share of the time.

    Args:
        seed: of everything random.
        whole: whether every small geometry comes first, however long it takes.
    """

    def __init__(self, seed: int, whole: bool = False) -> None:
        rng = random.Random(seed)  # noqa: S311 - no secret
        small = list(every_axis())
        rng.shuffle(small)  # so that a short run sees some of everything
        self.small, self.whole = len(small), whole
        self.sources: dict[str, Iterator[Case]] = {
            "every": (varied(a, turn, rng) for turn, a in enumerate(small)),
            "drawn": (drawn(turn, rng) for turn in range(sys.maxsize)),
            "compiled": (drawn(turn, rng, one=True) for turn in range(sys.maxsize)),
        }
        self.spent = dict.fromkeys(self.sources, 0.0)

    def next(self) -> tuple[str, Case]:
        """A kind of check, and a case for it."""
        while True:
            kind = "every" if self.whole and "every" in self.sources else min(
                self.sources, key=lambda kind: self.spent[kind] / SHARES[kind])  # fmt: skip
            case = next(self.sources[kind], None)
            if case is not None:
                return kind, case
            del self.sources[kind]


class Bar:
    """How far it is: tqdm's bar where tqdm is installed, else a line now and then."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.shown = seconds, -1
        try:
            from tqdm import tqdm
        except ImportError:
            self.bar: Any = None
        else:
            form = "{desc} |{bar}| {n:.0f}/{total:.0f} s"
            self.bar = tqdm(total=seconds, bar_format=form, mininterval=0.5)

    def show(self, spent: float, tally: Tally) -> None:
        """Say what has been done."""
        done = min(spent, self.seconds)
        text = f"{tally.total('read')} read, {tally.total('compiled')} compiled"
        if self.bar is not None:
            self.bar.set_description(text, refresh=False)
            self.bar.update(done - self.bar.n)
        elif int(done / max(self.seconds, 1) * 20) > self.shown:
            self.shown = int(done / max(self.seconds, 1) * 20)
            print(f"{done:.0f}/{self.seconds:.0f} s: {text}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the line."""
        if self.bar is not None:
            self.bar.close()


def sweep(seconds: float, seed: int, whole: bool = False) -> tuple[Tally, Schedule]:
    """Check cases until the time is over.

    Args:
        seconds: for all of it; with ``whole``, for what comes after every small geometry.
        seed: of everything random.
        whole: whether every small geometry comes first, however long it takes.

    Returns:
        What ran, and the schedule that it ran by.

    Raises:
        Fault: at the first case that does not hold.
    """
    tally, schedule, bar, spent = Tally(), Schedule(seed, whole), Bar(seconds), 0.0
    try:
        while spent < seconds:
            kind, case = schedule.next()
            start = time.perf_counter()
            tally.add(kind, case)
            took = time.perf_counter() - start
            schedule.spent[kind] += took
            spent += 0 if whole and kind == "every" else took
            bar.show(spent, tally)
            if kind == "compiled" and tally.cases[kind] % KEPT == 0:
                jax.clear_caches()
    finally:
        bar.close()
    return tally, schedule


def main(arguments: Sequence[str] | None = None) -> int:
    """Run from the command line.

    Args:
        arguments: in place of those of the process.

    Returns:
        0, or 1 if a case does not hold.
    """
    parser = argparse.ArgumentParser(prog="python -m tests.sweep", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="time for it (600)")
    parser.add_argument("--seed", type=int, default=0, help="of everything random (0)")
    parser.add_argument("--all", action="store_true",
                        help="read every small geometry first, however long it takes")  # fmt: skip
    parser.add_argument("--case", help="one case, as a failure prints it")
    parser.add_argument("--compiled", action="store_true", help="compile that case too")
    options = parser.parse_args(arguments)
    try:
        if options.case:
            for outcome in check(Case.parsed(options.case), options.compiled):
                print(*outcome)
            return 0
        tally, schedule = sweep(options.seconds, options.seed, options.all)
    except Fault as fault:
        print(f"FAILED {fault}", file=sys.stderr)
        return 1
    print(f"seed {options.seed}: checks, and the worst error as a share of its bound")
    for way in ("read", "compiled"):
        print(f"\n{way}: {tally.total(way)} checks\n{tally.table(way)}")
    print(f"\n{tally.cases['every']} of {schedule.small} small geometries with one axis, "
          f"{tally.cases['drawn']} random ones read, {tally.cases['compiled']} compiled; "
          "nothing failed")  # fmt: skip
    return 0
