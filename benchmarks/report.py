"""What a contest found, as plain data for a file, and what can be read off it."""

from __future__ import annotations

import dataclasses
import datetime
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from cases import Case, Task
from contest import Contestant, Entry, Setting, machine, versions
from roofline import Roofline

from tconvjax.command.arguments import CommandError

Report: TypeAlias = dict[str, Any]


TORCH = ("PyTorch", "PyTorch, channels last")
"""PyTorch's two memory formats, as contestants."""


def new_report(contestants: Sequence[Contestant], setting: Setting, roofline: Roofline) -> Report:
    """A report without results: who, where, when and how.

    Args:
        contestants: who takes part.
        setting: how the contest is held.
        roofline: what the machine can do.

    Returns:
        Plain data.
    """
    now = datetime.datetime.now(datetime.UTC)
    return {
        "date": now.isoformat(timespec="seconds"),
        "machine": machine(),
        "versions": versions(contestants),
        "setting": dataclasses.asdict(setting),
        "roofline": {
            "gflops": roofline.flops / 1e9,
            "gigabytes_per_second": roofline.bandwidth / 1e9,
        },
        "cases": {},
        "not_run": [],
    }


def add(
    report: Report, case: Case, task: Task, entries: Sequence[Entry], reasons: Mapping[str, str],
    roofline: Roofline,
) -> None:  # fmt: skip
    """Add what one task of one case took.

    Args:
        report: to add to.
        case: the layer.
        task: what was computed.
        entries: what each contestant took.
        reasons: why the others did not run.
        roofline: what the machine can do.
    """
    known = report["cases"].setdefault(case.name, {
        "from": case.source, "y_shape": list(case.y_shape), "w_shape": list(case.w_shape),
        "arguments": case.arguments, "tasks": {},
    })  # fmt: skip
    least = roofline.seconds(case, task)
    known["tasks"][task] = {
        "flops": case.flops(task),
        "bytes": case.bytes(task, roofline.itemsize),
        "roofline_ms": 1e3 * least,
        "contestants": {entry.name: _entry(entry, least) for entry in entries},
    }
    report["not_run"] += [
        {"contestant": name, "case": case.name, "task": task, "reason": reason}
        for name, reason in reasons.items()
    ]


def _entry(entry: Entry, least: float) -> dict[str, Any]:
    times, program = entry.times, entry.program
    found = {
        "ms": 1e3 * times.median,
        "quartiles_ms": [1e3 * seconds for seconds in times.quartiles],
        "turns": len(times.turns),
        "roofline_fraction": least / times.median,
        "trace_s": program.trace_s,
        "compile_s": program.compile_s,
        "error": dict(zip(("z", "dy", "dw"), entry.errors, strict=False)),
    }
    if program.bytes is not None:
        found["reserved_bytes"] = program.bytes
    if entry.note:
        found["note"] = entry.note
    return found


# -- reading ---------------------------------------------------------------------------------------


def figures(report: Report, task: Task, name: str, what: str = "ms") -> dict[str, float]:
    """One number of one contestant for each case that it ran, by the cases' names."""
    found = {}
    for case, known in report["cases"].items():
        entry = known["tasks"].get(task, {"contestants": {}})["contestants"].get(name)
        if entry is not None:
            found[case] = float(entry[what])
    return found


def best_of(report: Report, task: Task, names: Sequence[str]) -> dict[str, float]:
    """The least milliseconds that any of these contestants took for each case."""
    found: dict[str, float] = {}
    for name in names:
        for case, ms in figures(report, task, name).items():
            found[case] = min(ms, found.get(case, ms))
    return found


def ratios(above: Mapping[str, float], below: Mapping[str, float]) -> dict[str, float]:
    """The quotients above / below, for each case that both have."""
    return {case: above[case] / below[case] for case in above if case in below}


def mean_words(found: Mapping[str, float]) -> str:
    """The geometric mean of ratios and the largest one, in words."""
    if not found:
        return "no case"
    worst = max(found, key=lambda case: found[case])
    mean = statistics.geometric_mean(found.values())
    return f"{mean:.2f} x over {counted(len(found), 'case')}; most {found[worst]:.2f} ({worst})"


def counted(count: int, noun: str) -> str:
    """A number and its noun."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def heading(report: Report) -> list[str]:
    """Three lines on the machine and the setting."""
    computer, setting = report["machine"], report["setting"]
    rates = report["roofline"]
    return [
        f"{computer['processor']}, {counted(setting['threads'], 'core')}",
        f"jax {report['versions']['jax']} on {setting['platform']}, {setting['dtype']}, "
        f"{counted(setting['rounds'], 'round')}, seed {setting['seed']}",
        f"roofline: {rates['gflops']:.0f} GFLOP/s, {rates['gigabytes_per_second']:.0f} GB/s",
    ]


# -- writing ---------------------------------------------------------------------------------------


def check_path(option: str, path: Path | None) -> None:
    """Refuse a file that cannot be written before hours are spent on what should go into it."""
    if path is None:
        return
    if path.is_dir():
        raise CommandError(f"{option}: {path} is a folder; name a file")
    if path.exists() and not path.is_file():
        raise CommandError(f"{option}: {path} exists and is not a file; choose another name")
    if not path.parent.is_dir():
        raise CommandError(
            f"{option}: {path}: the folder {path.parent} does not exist; create it first"
        )


def write(report: Report, path: Path) -> None:
    """Write a report as JSON."""
    try:
        path.write_text(json.dumps(_rounded(report), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise CommandError(f"--json: {path}: cannot be written ({error.strerror})") from error


def _rounded(value: Any) -> Any:
    """Plain data with no more digits than were measured."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list | tuple) else value
