"""The charts of the pages on speed and on many devices, drawn while the pages are built.

``mkdocs.yml`` names this file under ``hooks``. It is no part of the package. A chart is as wide as
its page: places across it are percentages, so its letters are equally large on a phone.
"""

from __future__ import annotations

import json
import math
import re
import runpy
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
RESULTS = BENCHMARKS / "results"
OURS = "tconvjax"
SHAPES = {
    OURS: '<circle r="5.5" fill="currentColor"/>',
    "PyTorch": '<rect x="-4.5" y="-4.5" width="9" height="9"/>',
    "lax": '<path d="M-5.5 4.5h11L0-5z"/>',
    "ONNX Runtime": '<path d="M0-6.5L6.5 0 0 6.5-6.5 0z"/>',
    "OpenVINO": '<path d="M-5-5L5 5M-5 5L5-5"/>',
}
"""The mark of each engine; ours is the filled one."""

ENGINES = {
    OURS: ("tconvjax, channels last", "tconvjax"),
    "PyTorch": ("PyTorch", "PyTorch, channels last"),
    "lax": ("lax.conv_transpose",),
    "ONNX Runtime": ("ONNX Runtime",),
    "OpenVINO": ("OpenVINO",),
}
"""What each engine is called in the results; of two layouts the better one counts."""

ROW = 34
TICKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Draw a chart where a page has ``<!-- chart: name -->``."""
    return re.sub(r"<!-- chart: (\w+) -->", lambda found: CHARTS[found[1]](), markdown)


def least(task: str, value: Callable[[Mapping[str, Any]], float | None]) -> dict[str, Any]:
    """The least value of each engine, for each layer of a task."""
    report = json.loads((RESULTS / "compare.json").read_text("utf-8"))
    rows = {}
    for layer, case in report["cases"].items():
        known = case["tasks"][task]["contestants"]
        row = {}
        for engine, names in ENGINES.items():
            values = [found for name in names if name in known and (found := value(known[name]))]
            if values:
                row[engine] = min(values)
        rows[layer] = row
    return rows


def compared(task: str, question: str, unit: str, value: Callable[..., Any], best: str) -> str:
    """A line for each layer, with a mark for each engine at its multiple of the best value."""
    rows = least(task, value)
    rows = dict(sorted(rows.items(), key=lambda item: item[1][OURS] / min(item[1].values())))
    most = max(max(row.values()) / min(row.values()) for row in rows.values())
    engines = [name for name in ENGINES if any(name in row for row in rows.values())]

    def across(ratio: float) -> str:
        return f"{2 + 95 * math.log(ratio) / math.log(most):.2f}%"

    ticks = [tick for tick in TICKS if tick <= most]
    height = 24 + ROW * len(rows)
    parts = [
        f'<line x1="{across(t)}" x2="{across(t)}" y1="18" y2="{height}" class="chart-rule"/>'
        f'<text x="{across(t)}" y="12" text-anchor="middle">{t}×</text>'
        for t in ticks
    ]
    ahead = 0
    for n, (layer, row) in enumerate(rows.items()):
        y, first = 24 + ROW * n, min(row, key=row.__getitem__)
        ahead += first == OURS
        shown = f"{row[first]:.3g}" if row[first] < 1000 else f"{row[first]:.0f}"
        weight = ' class="chart-best"' if first == OURS else ""
        parts.append(
            f'<text x="0" y="{y + 11}">{layer}</text>'
            f'<text x="100%" y="{y + 11}" text-anchor="end"{weight}>{first} {shown} {unit}</text>'
            f'<line x1="0" x2="100%" y1="{y + 22}" y2="{y + 22}" class="chart-rule"/>'
        )
        parts += [
            f'<svg x="{across(row[name] / row[first])}" y="{y + 22}" overflow="visible" '
            f'data-layer="{layer}" data-engine="{name}">{SHAPES[name]}</svg>'
            for name in reversed(engines)
            if name in row
        ]
    alt = f"{question} tconvjax on {ahead} of {len(rows)} layers; the table below has all numbers."
    keys = "".join(
        f'<span><svg width="14" height="14" viewBox="-7 -7 14 14">{shape}</svg> {name}</span>'
        for name, shape in SHAPES.items()
        if name in engines
    )
    return (
        f'<figure class="chart" role="group" aria-label="{alt}"><figcaption>{question} '
        f"<span>{best}</span></figcaption>"
        f'<p class="chart-keys">{keys}</p><svg width="100%" height="{height}" aria-hidden="true">'
        f"{''.join(parts)}</svg></figure>"
    )


def growing(grows: str, question: str) -> str:
    """A panel for each layer: nanoseconds a pixel of a training step, as there are more pixels."""
    report = json.loads((RESULTS / "scaling.json").read_text("utf-8"))
    curves = [c for c in report["curves"] if c["grows"] == grows and c["task"] == "step"]
    panels = []
    for layer in dict.fromkeys(curve["layer"] for curve in curves):
        lines = {
            name: [
                (pixels, 1e6 * ms / pixels)
                for pixels, ms in zip(curve["pixels"], curve["ms"], strict=True)
            ]
            for curve in curves
            if curve["layer"] == layer
            for name in [OURS if curve["contestant"] == "tconvjax, channels last" else "PyTorch"]
            if curve["contestant"].endswith("channels last")
        }
        panels.append(_growing(layer, lines))
    alt = f"{question} Nanoseconds a pixel for {len(panels)} layers, tconvjax and PyTorch."
    return _panels(
        alt, question, 'nanoseconds a pixel; a level line is "no"', (OURS, "PyTorch"), panels
    )


def splitting(question: str) -> str:
    """A panel for each size and balance: the share of perfect gain over the number of devices."""
    known = runpy.run_path(str(BENCHMARKS / "predicted.py"))
    devices, panels = known["DEVICES"], []
    for size, curves in known["predicted"]().items():
        for balance in known["BALANCES"]:
            lines = {
                label.partition(",")[0].replace(" ", "-"): [
                    (100 * n / (len(devices) - 1), 100 - 100 * share)
                    for n, share in enumerate(shares)
                    if share is not None
                ]
                for label, shares in curves.items()
                if label.endswith(f", {balance:,}")
            }
            title = f"{size}; {balance:,} operations for each byte"
            panels.append(_panel(title, lines, ("1 device", f"{devices[-1]:,}")))
    alt = (
        f"{question} Speed-up over devices falls with their number, and less if more axes are cut."
    )
    told = "speed-up divided by the number of devices, from 0 to 1"
    return _panels(alt, question, told, ("1-axis", "2-axes", "3-axes"), panels)


def _panels(alt: str, question: str, told: str, names: Sequence[str], panels: Sequence[str]) -> str:
    """Panels in one figure, below a key to their lines."""
    keys = "".join(
        f'<span><svg width="30" height="8"><line x2="30" y1="4" y2="4" class="chart-{name}"/></svg>'
        f" {name.replace('-', ' ')}</span>"
        for name in names
    )
    return (
        f'<figure class="chart" role="group" aria-label="{alt}"><figcaption>{question} '
        f"<span>{told}</span></figcaption>"
        f'<p class="chart-keys">{keys}</p><div class="chart-panels">'
        f"{''.join(panels)}</div></figure>"
    )


def _growing(layer: str, lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    points = [point for line in lines.values() for point in line]
    (left, right), (low, high) = ((min(side), max(side)) for side in zip(*points, strict=True))
    low, high = low / 1.3, high * 1.3

    def place(pixels: float, each: float) -> tuple[float, float]:
        x = 100 * math.log(pixels / left) / math.log(right / left)
        return x, 100 - 100 * math.log(each / low) / math.log(high / low)

    placed = {name: [place(*point) for point in line] for name, line in lines.items()}
    ends = {name: f"{line[0][1]:,.0f} → {line[-1][1]:,.0f}" for name, line in lines.items()}
    said = "; ".join(f"{name} {words} ns" for name, words in ends.items())
    return _panel(layer, placed, (f"{_short(left)} pixels", _short(right)), f"<p>{said}</p>")


def _panel(
    title: str,
    lines: Mapping[str, Sequence[tuple[float, float]]],
    ends: tuple[str, str],
    below: str = "",
) -> str:
    """Lines whose points are percentages from the upper left corner."""
    drawn = "".join(
        f'<polyline class="chart-{name}" data-layer="{title}" data-engine="{name}" '
        f'points="{" ".join(f"{x:.2f},{y:.2f}" for x, y in line)}"/>'
        for name, line in lines.items()
    )
    return (
        f'<div><p>{title}</p><svg width="100%" height="110" viewBox="0 0 100 100" '
        f'preserveAspectRatio="none" aria-hidden="true">{drawn}</svg>'
        f"<p><span>{ends[0]}</span><span>{ends[1]}</span></p>{below}</div>"
    )


def _short(number: float) -> str:
    return f"{number:.3g}" if number < 1000 else f"{number / 1e3:,.3g} k"


def _milliseconds(entry: Mapping[str, Any]) -> float | None:
    return entry.get("ms")


def _building(entry: Mapping[str, Any]) -> float | None:
    return (entry.get("trace_s", 0) + entry.get("compile_s", 0)) or None


def _mebibytes(entry: Mapping[str, Any]) -> float | None:
    return entry.get("memory", {}).get("peak_bytes", 0) / 2**20 or None


TIMES = "time relative to the fastest engine, which is named on the right"
CHARTS: Mapping[str, Callable[[], str]] = {
    "step": lambda: compared(
        "step", "Which engine is fastest at a training step?", "ms", _milliseconds, TIMES
    ),
    "forward": lambda: compared(
        "forward", "Which engine is fastest at the output alone?", "ms", _milliseconds, TIMES
    ),
    "building": lambda: compared(
        "step", "Which training step is ready first?", "s", _building,
        "time to trace and compile, relative to the quickest, which is named on the right",
    ),
    "memory": lambda: compared(
        "step", "Which engine needs the least memory for a training step?", "MiB", _mebibytes,
        "peak relative to the lowest, which is named on the right",
    ),
    "pixels": lambda: growing("pixels", "Does a pixel cost more in a larger image?"),
    "batch": lambda: growing("batch", "Does a pixel cost more in a larger batch?"),
    "predicted": lambda: splitting("What should many devices gain?"),
}  # fmt: skip
