"""What a report of compare.py comes down to: who did not run, and geometric means.

python benchmarks/summary.py results.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from cases import Task
from programs import CHANNELS_FIRST, CHANNELS_LAST, LAX
from report import TORCH, Report, best_of, counted, figures, mean_words, ratios

LEAST_RESULTS = 2**18
"""Bytes of results below which a peak is mostly the batches in which the kernel counts pages."""
OURS = (CHANNELS_FIRST, CHANNELS_LAST)


def summary_lines(report: Report) -> list[str]:
    """Geometric means of ratios; below 1, what stands before the stroke is faster or smaller."""
    lines = ["", "geometric means (ratios of times, and their largest)"]

    def line(task: Task, what: str, above: dict[str, float], below: dict[str, float]) -> None:
        found = ratios(above, below)
        if found:
            lines.append(f"{task:8} {what:60} {mean_words(found)}")

    for task in ("forward", "step"):
        last = figures(report, task, CHANNELS_LAST)
        torch, ours = best_of(report, task, TORCH), best_of(report, task, OURS)
        line(task, "ours, channels last / better PyTorch layout", last, torch)
        line(task, "ours, better layout / better PyTorch layout", ours, torch)
        line(task, "ours, channels last / lax.conv_transpose", last, figures(report, task, LAX))
        line(task, "ours, channels last / best of all the others",
             last, best_of(report, task, others(report)))  # fmt: skip
        line(task, "ours, channels first / ours, channels last",
             figures(report, task, CHANNELS_FIRST), last)  # fmt: skip
        line(task, "tracing and compiling, ours, channels last / lax",
             _building(report, task, CHANNELS_LAST), _building(report, task, LAX))  # fmt: skip
        line(task, "peak memory, ours, channels last / lax",
             _peaks(report, task, [CHANNELS_LAST]), _peaks(report, task, [LAX]))  # fmt: skip
        line(task, "peak memory, ours, channels last / better PyTorch layout",
             _peaks(report, task, [CHANNELS_LAST]), _peaks(report, task, TORCH))  # fmt: skip
    eager = figures(report, "eager", CHANNELS_LAST)
    line("eager", "a call of ours, channels last / lax, without jit",
         eager, figures(report, "eager", LAX))  # fmt: skip
    return lines


def others(report: Report) -> list[str]:
    """Everybody in a report who is not ours."""
    names = {name for known in report["cases"].values() for task in known["tasks"].values()
             for name in task["contestants"]}  # fmt: skip
    return sorted(name for name in names if not name.startswith(CHANNELS_FIRST))


def not_run_lines(report: Report) -> list[str]:
    """Who did not run what, and why; a reason that holds for many cases said once."""
    cases: dict[tuple[str, str], list[str]] = {}
    for one in report["not_run"]:
        found = cases.setdefault((one["contestant"], one["reason"]), [])
        if one["case"] not in found:
            found.append(one["case"])
    lines = []
    for (name, reason), which in cases.items():
        words = ", ".join(which) if len(which) < len(report["cases"]) else "all"
        lines.append(f"not run: {name}: {reason} ({counted(len(which), 'case')}: {words})")
    return ["", *lines] if lines else []


def _building(report: Report, task: Task, name: str) -> dict[str, float]:
    traced = figures(report, task, name, "trace_s")
    compiled = figures(report, task, name, "compile_s")
    return {case: traced[case] + compiled[case] for case in traced}


def _peaks(report: Report, task: Task, names: Sequence[str]) -> dict[str, float]:
    """The least peak of any of these contestants, for the cases that are large enough to tell."""
    found: dict[str, float] = {}
    for case, known in report["cases"].items():
        entries = known["tasks"].get(task, {"contestants": {}})["contestants"]
        memories = [entries[name]["memory"] for name in names if "memory" in entries.get(name, {})]
        if memories and memories[0]["results_bytes"] >= LEAST_RESULTS:
            found[case] = min(float(memory["peak_bytes"]) for memory in memories)
    return found


def main() -> None:
    """Print the summary of a file."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("file", type=Path)
    report = json.loads(parser.parse_args().file.read_text(encoding="utf-8"))
    print(*not_run_lines(report), *summary_lines(report), sep="\n")


if __name__ == "__main__":
    main()
