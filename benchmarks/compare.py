"""Every case of cases.json, ours beside every other engine: one process, one run, in turns.

    python benchmarks/compare.py --json results.json --plot results.svg
    python benchmarks/compare.py --case dcgan_rgb hifigan_up2 --task step --rounds 3
    python benchmarks/compare.py --platform gpu --batch 16 --dtype bfloat16

Each contestant gets the same arrays, drawn anew in each run, in the layout that it wants and before
any clock starts. Its results are compared with sums in float64 that share no code with it, and the
run ends with status 1 if one is wrong. Then they take turns: in each round, in a new order, 10 ms
of untimed calls and 10 ms of timed ones. A figure is the median over the rounds of the quickest
call of a turn.

Forward is the output, with JAX's functions compiled, PyTorch's under no_grad, and the weights
arguments except in the two inference engines, where they are constants. A step is the output and
both gradients. The roofline's time is max(flops / rate, bytes / bandwidth), both rates measured in
the same run. --memory starts a process for each figure and takes long; see memory.py.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import report
import roofline
from cases import Case, Task, chosen
from contest import Contestant, Setting, WrongResult, contest
from contestants import add_options, named, setting_of
from programs import full_products
from summary import not_run_lines, summary_lines
from tqdm import tqdm

from tconvjax.command.arguments import CommandError, number

OVERHEAD_CASE = "tiny_latency"
"""Small enough that a call without jit shows what a call costs."""


def measured_roofline(setting: Setting) -> roofline.Roofline:
    """The better of JAX's and PyTorch's rates."""
    found = roofline.measured(setting.dtype, setting.platform)
    try:
        import torch
    except ModuleNotFoundError:
        return found
    torch.set_num_threads(setting.threads)
    gpu = setting.platform == "gpu"
    if gpu and not torch.cuda.is_available():
        return found
    where = {"dtype": getattr(torch, setting.dtype), "device": "cuda" if gpu else "cpu"}
    wait = torch.cuda.synchronize if gpu else lambda: None
    side, length = roofline.SIDES[setting.platform], roofline.LENGTHS[setting.platform]
    a, product = torch.randn((side, side), **where), torch.empty((side, side), **where)
    b, total = torch.ones(length, **where), torch.zeros(length, **where)
    products = roofline.best(lambda: (torch.matmul(a, a, out=product), wait()))
    sums = roofline.best(lambda: (torch.add(total, b, alpha=2, out=total), wait()))
    return roofline.Roofline(
        max(found.flops, 2 * side**3 / products),
        max(found.bandwidth, 3 * length * found.itemsize / sums),
        found.itemsize,
    )


def plan(
    cases: Sequence[Case], tasks: Sequence[Task] | None, contestants: Sequence[Contestant]
) -> Iterator[tuple[Case, Task, list[Contestant]]]:
    """What is to be run, in order, by whom."""
    for case in cases:
        usual: tuple[Task, ...] = ("forward", "step")
        if case.name == OVERHEAD_CASE:
            usual += ("eager",)
        for task in tasks or usual:
            # Calls without jit are compared among those who take jitted and plain calls alike.
            able = [c for c in contestants if task != "eager" or task in c.tasks]
            if able:
                yield case, task, able


def run(
    cases: Sequence[Case], contestants: Sequence[Contestant], tasks: Sequence[Task] | None,
    setting: Setting, path: Path | None,
) -> report.Report:  # fmt: skip
    """Hold the contest, with a progress bar; print and write each case when it is done."""
    limits = measured_roofline(setting)
    found = report.new_report(contestants, setting, limits)
    print(*report.heading(found), sep="\n")
    todo = list(plan(cases, tasks, contestants))
    bar = tqdm(total=setting.rounds * sum(len(able) for *_, able in todo), file=sys.stderr,
               unit="turn", dynamic_ncols=True)  # fmt: skip
    with bar:
        for position, (case, task, able) in enumerate(todo):
            bar.set_description(f"{case.name} {task}")
            entries, reasons = contest(case, task, able, setting, after=lambda _: bar.update())
            bar.update(setting.rounds * len(reasons))
            report.add(found, case, task, entries, reasons, limits)
            if position + 1 == len(todo) or todo[position + 1][0] is not case:
                bar.write("\n".join(case_lines(found, case.name)), file=sys.stdout)
                if path:
                    report.write(found, path)
    return found


def case_lines(found: report.Report, name: str) -> list[str]:
    """One case as a table: a row for each contestant, the best PyTorch layout as the measure."""
    known = found["cases"][name]
    lines = [f"\n{name} ({known['from']})"]
    head = f"  {'':24}"
    for task in known["tasks"]:
        head += f"{task + ' ms':>12}{'/ PyTorch':>11}{'roofline':>10}"
    lines.append(head)
    torch = {task: report.best_of(found, task, report.TORCH).get(name) for task in known["tasks"]}
    rows = {row: None for task in known["tasks"].values() for row in task["contestants"]}
    for row in rows:
        line = f"  {row:24}"
        for task, result in known["tasks"].items():
            entry, measure = result["contestants"].get(row), torch[task]
            if entry is None:
                line += " " * 33
                continue
            ratio = f"{entry['ms'] / measure:.2f}" if measure else ""
            line += f"{entry['ms']:12.3f}{ratio:>11}{100 * entry['roofline_fraction']:8.0f} %"
        lines.append(line.rstrip())
    return lines


def measure_memory(found: report.Report, options: argparse.Namespace, setting: Setting) -> None:
    """Add the peak memory of everything that ran, each figure from a process of its own."""
    script = Path(__file__).with_name("memory.py")
    wanted = [(case, task, name) for case, known in found["cases"].items()
              for task, result in known["tasks"].items() if task != "eager"
              for name in result["contestants"]]  # fmt: skip
    for case, task, name in tqdm(wanted, desc="memory", file=sys.stderr, unit="process"):
        words = ["--case", case, "--contestant", name, "--task", task, "--dtype", setting.dtype,
                 "--seed", str(setting.seed), "--batch", str(options.batch)]  # fmt: skip
        done = subprocess.run(
            [sys.executable, str(script), *words], capture_output=True, text=True, check=True
        )
        entry = found["cases"][case]["tasks"][task]["contestants"][name]
        entry["memory"] = json.loads(done.stdout.splitlines()[-1])


def options_of(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line, read."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0], allow_abbrev=False
    )
    add_options(parser, rounds=9)
    add = parser.add_argument
    add("--task", nargs="+", choices=("forward", "step", "eager"), help="all if left out")
    add("--batch", type=number, default=1, metavar="FACTOR", help="times as many examples")
    add("--memory", action="store_true", help="peak memory too, a process for each figure")
    add("--json", type=Path, help="file for everything that was measured")
    add("--plot", type=Path, help=".svg or .png file for a chart")
    return parser.parse_args(words)


def main(words: Sequence[str] | None = None) -> int:
    """Hold the contest; status 1 if a result was wrong, 2 if the options do not fit."""
    options = options_of(words)
    try:
        report.check_path("--json", options.json)
        report.check_path("--plot", options.plot)
        if options.memory and (sys.platform != "linux" or options.platform != "cpu"):
            raise CommandError("--memory reads Linux's account of host memory; use it on a CPU")
        contestants = named(options.contestant)
        cases = [case.with_batch(options.batch) for case in chosen(options.case)]
        setting = setting_of(options)
        with full_products(setting):
            found = run(cases, contestants, options.task, setting, options.json)
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except WrongResult as error:
        print(f"wrong result: {error}", file=sys.stderr)
        return 1
    found["batch_factor"] = options.batch
    if options.memory:
        measure_memory(found, options, setting)
    print(*not_run_lines(found), *summary_lines(found), sep="\n")
    if options.json:
        report.write(found, options.json)
    if options.plot:
        from charts import draw_ratios

        draw_ratios(found, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
