"""Write the tables of docs/speed.md from the committed results.

    python benchmarks/page.py

The page keeps its prose; what stands between ``<!-- name -->`` and ``<!-- end -->`` is replaced. A
test holds the page to the results.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cases import Task
from programs import CHANNELS_FIRST, CHANNELS_LAST, DIRECT, LAX
from report import TORCH, Report, best_of, counted, figures, ratios

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results"
PAGE = ROOT / "docs/speed.md"
TASKS: tuple[Task, ...] = ("forward", "step")
UNBOUND = ("depthwise_up", "tiny_latency")
"""A layer without products to speak of, and one of microseconds."""

REPORTS = ("compare", "stages", "block_sizes", "compile_time", "compare_intel", "compare_avx2")
"""The results that the page shows, as `page` takes them."""

FORWARD_ONLY = ("ONNX Runtime", "OpenVINO")


def page(
    text: str,
    report: Report,
    stages: Mapping[str, Any],
    blocks: Mapping[str, Any],
    decoder: Mapping[str, Any],
    intel: Report,
    avx2: Report,
) -> str:
    """The page with its tables as the reports have them."""
    tables: dict[str, Callable[[Report], str]] = {
        "machine": machine,
        "forward": lambda r: times(r, "forward"),
        "step": lambda r: times(r, "step"),
        "summary": summary,
        "intel": lambda _: f"{machine(intel)}\n\n{summary(intel)}",
        "avx2": lambda _: f"{machine(avx2)}\n\n{summary(avx2)}",
        "building": building,
        "memory": memory,
        "stages": lambda _: profile(stages),
        "bound": bound,
        "compiling": lambda _: compiling(stages),
        "decoder": lambda _: of_a_decoder(decoder),
        "within": within,
        "blocks": lambda _: smaller_blocks(blocks),
    }
    for name, table in tables.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        text, count = re.subn(
            pattern, lambda m, table=table: m[1] + "\n" + table(report) + "\n\n" + m[2], text,
            flags=re.DOTALL,
        )  # fmt: skip
        assert count == 1, f"docs/speed.md has no place for {name!r}"
    return text


def machine(report: Report) -> str:
    """Where and with what it was measured."""
    computer, rates, versions = report["machine"], report["roofline"], report["versions"]
    engines = ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
    return (
        f"{computer['processor']}, {counted(report['setting']['threads'], 'core')}, "
        f"{report['setting']['dtype']}; {report['date'][:10]}. "
        f"Matrix products ran at {rates['gflops']:.0f} GFLOP/s and memory at "
        f"{rates['gigabytes_per_second']:.0f} GB/s in the same run. Versions: {engines}."
    )


def times(report: Report, task: Task) -> str:
    """Milliseconds of each case, and how close ours comes to the roofline."""
    last = figures(report, task, CHANNELS_LAST)
    columns: dict[str, Mapping[str, float]] = {
        "channels last": last,
        "channels first": figures(report, task, CHANNELS_FIRST),
        "direct": figures(report, task, DIRECT),
        "lax": figures(report, task, LAX),
        "PyTorch": best_of(report, task, TORCH),
    }
    if task == "forward":
        columns |= {name: figures(report, task, name) for name in FORWARD_ONLY}
    shares = figures(report, task, CHANNELS_LAST, "roofline_fraction")
    lines = [_row(["layer", *columns, "roofline"]), "|---|" + "--:|" * (len(columns) + 1)]
    for case in last:
        cells = [_number(column.get(case)) for column in columns.values()]
        lines.append(_row([f"`{case}`", *cells, f"{100 * shares[case]:.0f} %"]))
    return "\n".join(lines)


def summary(report: Report) -> str:
    """Geometric means and extremes of ratios; above 1, ours is the better, but for the layouts."""
    lines = [_row(["compared", "task", "geometric mean", "least", "most"]), "|---|---|--:|--:|--:|"]

    def add(words: str, task: Task, other: Mapping[str, float], ours: Mapping[str, float]) -> None:
        found = ratios(other, ours)
        if found:
            least, most = min(found, key=found.__getitem__), max(found, key=found.__getitem__)
            lines.append(_row([
                words, task, f"{statistics.geometric_mean(found.values()):.2f}",
                f"{found[least]:.2f} (`{least}`)", f"{found[most]:.2f} (`{most}`)",
            ]))  # fmt: skip

    for task in TASKS:
        last = figures(report, task, CHANNELS_LAST)
        engines = [name for name in report_names(report, task) if not name.startswith("tconvjax")]
        add("the better PyTorch layout over ours", task, best_of(report, task, TORCH), last)
        add("the best of all others over ours", task, best_of(report, task, engines), last)
        add("`lax.conv_transpose` over ours", task, figures(report, task, LAX), last)
        add('"direct" over ours', task, figures(report, task, DIRECT), last)
        add("channels first over channels last", task, figures(report, task, CHANNELS_FIRST), last)
        built = _built(report, task, CHANNELS_LAST)
        add("tracing and compiling: lax over ours", task, _built(report, task, LAX), built)
        peaks = _peaks(report, task, CHANNELS_LAST)
        for name in TORCH:
            add(f"peak memory: {name} over ours", task, _peaks(report, task, name), peaks)
    return "\n".join(lines)


def building(report: Report) -> str:
    """Seconds of tracing and compiling, ours in both layouts and lax."""
    names = {"last": CHANNELS_LAST, "first": CHANNELS_FIRST, "lax": LAX}
    columns = {f"{task}, {short}": _built(report, task, name) for task in TASKS
               for short, name in names.items()}  # fmt: skip
    lines = [_row(["layer", *columns]), "|---|" + "--:|" * len(columns)]
    lines += [
        _row([f"`{case}`", *(_number(column.get(case)) for column in columns.values())])
        for case in columns["forward, last"]
    ]
    return "\n".join(lines)


def memory(report: Report) -> str:
    """Peak memory in MiB, for the cases that were measured."""
    names = {"ours": CHANNELS_LAST, "lax": LAX} | dict(zip(TORCH, TORCH, strict=True))
    columns = {f"{task}, {short}": _peaks(report, task, name) for task in TASKS
               for short, name in names.items()}  # fmt: skip
    lines = [_row(["layer", *columns]), "|---|" + "--:|" * len(columns)]
    for case in report["cases"]:
        peaks = [column.get(case) for column in columns.values()]
        cells = ["" if peak is None else f"{peak / 2**20:.1f}" for peak in peaks]
        if any(cells):
            lines.append(_row([f"`{case}`", *cells]))
    return "\n".join(lines)


def profile(stages: Mapping[str, Any]) -> str:
    """Milliseconds of the stages of a step, the least for its products, and seconds to compile."""
    names = ("layouts", "products", "overlap-adds", "roofline_ms")
    heads = [*names[:-1], "roofline", "compiling loops, s", "products, s"]
    lines = [_row(["layer", *heads]), "|---|" + "--:|" * len(heads)]
    for case, found in stages["cases"].items():
        # The three products are named by their two factors, as "xw".
        seconds = {
            product: sum(s for name, s in found["compile_s"].items() if (len(name) == 2) == product)
            for product in (False, True)
        }
        cells = [*(found[name] for name in names), *seconds.values()]
        lines.append(_row([f"`{case}`", *map(_number, cells)]))
    return "\n".join(lines)


def bound(report: Report) -> str:
    """How far a step on the roofline would be ahead; without the layers that no rate bounds."""

    def over(ms: Mapping[str, float]) -> float:
        cases = {name: known for name, known in report["cases"].items() if name not in UNBOUND}
        return statistics.geometric_mean(
            ms[name] / known["tasks"]["step"]["roofline_ms"] for name, known in cases.items()
        )

    torch, lax = over(best_of(report, "step", TORCH)), over(figures(report, "step", LAX))
    ours = over(figures(report, "step", CHANNELS_LAST))
    return (
        f"Over the other {len(report['cases']) - len(UNBOUND)} layers, a step that is on the "
        f"roofline of every one would be {torch:.1f} times ahead of PyTorch and {lax:.0f} times "
        f"ahead of `lax.conv_transpose`; ours takes {ours:.1f} times the roofline."
    )


def compiling(stages: Mapping[str, Any]) -> str:
    """What XLA takes to compile the least programs there are."""
    ms = {name: 1e3 * seconds for name, seconds in stages["least_compile_s"].items()}
    further = (ms["8 loops"] - ms["1 loop"]) / 7
    return (
        f"On the same machine XLA compiles a lone product in {ms['product']:.0f} ms, a lone "
        f"`lax.conv_transpose` in {ms['lax.conv_transpose']:.0f}, and one loop, the sum of two "
        f"arrays, in {ms['1 loop']:.0f}; each further loop of that size takes {further:.0f} more."
    )


def of_a_decoder(found: Mapping[str, Any]) -> str:
    """What a training step of thirty layers takes to trace and compile."""
    sentences = []
    for layout in ("channels last", "channels first"):
        ours, direct, lax = (found[layout][name] for name in ("tconvjax", "direct", "lax"))
        sentences.append(
            f"With {layout} it is traced and compiled in {ours['wall_s']:.1f} s and takes "
            f'{1e3 * ours["step_s"]:.0f} ms; with `algorithm="direct"` {direct["wall_s"]:.1f} s '
            f"and {1e3 * direct['step_s']:.0f} ms; by `lax.conv_transpose` {lax['wall_s']:.1f} s "
            f"and {1e3 * lax['step_s']:.0f} ms."
        )
    return (
        f"The training step of a decoder of 30 layers (`benchmarks/compile_time.py`, "
        f"{found['device']}): {' '.join(sentences)}"
    )


def within(report: Report) -> str:
    """How many layers stay within PyTorch's peak memory and a quarter."""
    words = []
    for task in TASKS:
        ours, torch = (_peaks(report, task, name) for name in (CHANNELS_LAST, TORCH[0]))
        both = [case for case in ours if case in torch]
        fit = sum(ours[case] <= 1.25 * torch[case] for case in both)
        words.append(
            f"{fit} of {len(both)} layers for {'a step' if task == 'step' else 'an output'}"
        )
    return f"Within PyTorch's peak, in its default layout, and a quarter: {', '.join(words)}."


def smaller_blocks(blocks: Mapping[str, Any]) -> str:
    """What a step costs, and saves, with smaller blocks: geometric means over the layers."""
    lines = [_row(["blocks", "time of a step", "its memory"]), "|---|--:|--:|"]
    for by in next(iter(blocks.values())):
        means = [
            statistics.geometric_mean(one[by][what] / one["1"][what] for one in blocks.values())
            for what in ("ms", "bytes")
        ]
        name = "as they are" if by == "1" else f"divided by {by}"
        lines.append(_row([name, *(f"{mean:.2f}" for mean in means)]))
    return "\n".join(lines)


def _peaks(report: Report, task: Task, name: str) -> dict[str, float]:
    """Bytes above the operands, where they were measured and are not all but nothing."""
    found = {}
    for case, known in report["cases"].items():
        entries = known["tasks"].get(task, {"contestants": {}})["contestants"]
        peak = entries.get(name, {}).get("memory", {}).get("peak_bytes")
        if peak:
            found[case] = float(peak)
    return found


def report_names(report: Report, task: Task) -> list[str]:
    """Every contestant of a task."""
    return sorted({name for known in report["cases"].values() if task in known["tasks"]
                   for name in known["tasks"][task]["contestants"]})  # fmt: skip


def _built(report: Report, task: Task, name: str) -> dict[str, float]:
    traced = figures(report, task, name, "trace_s")
    compiled = figures(report, task, name, "compile_s")
    return {case: traced[case] + compiled[case] for case in traced}


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Rewrite the page."""
    reports = [
        json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in REPORTS
    ]
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8"), *reports), encoding="utf-8")


if __name__ == "__main__":
    main()
