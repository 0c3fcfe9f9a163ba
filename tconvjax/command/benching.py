"""Ours beside ``lax.conv_transpose`` on this machine: what ``tconvjax bench`` does."""

from __future__ import annotations

import argparse
import secrets
import sys
from collections.abc import Sequence

import jax

from tconvjax.command import report, roofline
from tconvjax.command.cases import Case, Task, chosen
from tconvjax.command.contest import Setting, WrongResult, contest, cores
from tconvjax.command.programs import (
    CHANNELS_FIRST,
    CHANNELS_LAST,
    DIRECT,
    JAX_ONLY,
    LAX,
    full_products,
)

TASKS: tuple[Task, ...] = ("forward", "step")
COLUMNS = {CHANNELS_FIRST: "ours", CHANNELS_LAST: "ch. last", DIRECT: "direct", LAX: "lax"}
"""Contestants, and the words above their columns."""


def run_bench(arguments: argparse.Namespace) -> int:
    """Time ours and ``lax.conv_transpose``, and print each row as soon as it is there.

    Args:
        arguments: the parsed command line.

    Returns:
        The exit status: 0, or 1 if a result was wrong.

    Raises:
        CommandError: if a case is unknown or the file cannot be written.
    """
    layers = chosen(arguments.case)
    report.check_path("--json", arguments.json)
    platform = "cpu" if jax.default_backend() == "cpu" else "gpu"
    setting = Setting(arguments.rounds, secrets.randbelow(2**31), "float32", platform, cores())
    try:
        with full_products(setting):
            found = _run(layers, setting)
    except WrongResult as wrong:
        print(f"tconvjax: wrong result: {wrong}", file=sys.stderr)
        return 1
    print(*_means(found), sep="\n")
    if arguments.json:
        report.write(found, arguments.json)
    return 0


def _run(layers: Sequence[Case], setting: Setting) -> report.Report:
    limits = roofline.measured(platform=setting.platform)
    found = report.new_report(JAX_ONLY, setting, limits)
    print(*report.heading(found), sep="\n")
    print("milliseconds a call, medians; %: how much of the roofline ours, channels last,")
    print("gets; direct: the vjp of lax.conv_general_dilated, channels last")
    print(f"{'case':16}{'task':8}" + "".join(f"{head:>10}" for head in COLUMNS.values()) + "     %")
    for case in layers:
        for task in TASKS:
            entries, reasons = contest(case, task, JAX_ONLY, setting)
            report.add(found, case, task, entries, reasons, limits)
            print(_row(found, case.name, task), flush=True)
    return found


def _row(found: report.Report, case: str, task: Task) -> str:
    entries = found["cases"][case]["tasks"][task]["contestants"]
    cells = "".join(
        f"{entries[name]['ms']:10.3f}" if name in entries else f"{'-':>10}" for name in COLUMNS
    )
    return f"{case:16}{task:8}{cells}{100 * entries[CHANNELS_LAST]['roofline_fraction']:6.0f}"


def _means(found: report.Report) -> list[str]:
    """Geometric means of the times over those of ours."""
    lines = ["", "times over those of ours, channels last: geometric means"]
    for task in TASKS:
        last = report.figures(found, task, CHANNELS_LAST)
        for name in (LAX, DIRECT, CHANNELS_FIRST):
            over = report.ratios(report.figures(found, task, name), last)
            lines.append(f"{task:8}{name:20}{report.mean_words(over)}")
    return lines
