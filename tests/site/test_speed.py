"""The charts of the page on speed show what was measured: which engine is best, and by how much."""

from __future__ import annotations

import html
import json
import math
import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from tests.site.conftest import ROOT

COMPARE, SCALING = (
    json.loads((ROOT / f"benchmarks/results/{name}.json").read_text("utf-8"))
    for name in ("compare", "scaling")
)
VALUES: dict[str, Any] = {
    "fastest at a training step": ("step", lambda e: e["ms"]),
    "fastest at the output alone": ("forward", lambda e: e["ms"]),
    "training step is ready first": ("step", lambda e: e["trace_s"] + e["compile_s"]),
    "the least memory": ("step", lambda e: e.get("memory", {}).get("peak_bytes", 0) / 2**20),
}
NAMES = {"lax.conv_transpose": "lax", "ONNX Runtime": "ONNX Runtime", "OpenVINO": "OpenVINO"}


def figures(site: Path) -> dict[str, str]:
    text = (site / "speed/index.html").read_text("utf-8")
    found = re.findall(r'<figure class="chart".*?</figure>', text, re.DOTALL)
    return {re.search(r"<figcaption>(.*?) <span>", one)[1]: one for one in found}  # type: ignore[index]


def measured(task: str, value: Any) -> dict[str, dict[str, float]]:
    """The best value of each engine, for each layer."""
    rows: dict[str, dict[str, float]] = {}
    for layer, case in COMPARE["cases"].items():
        for name, entry in case["tasks"][task]["contestants"].items():
            own = name in ("tconvjax", "tconvjax, channels last")
            torch = name.startswith("PyTorch")
            engine = "tconvjax" if own else "PyTorch" if torch else NAMES.get(name)
            if engine and value(entry):
                row = rows.setdefault(layer, {})
                row[engine] = min(row.get(engine, math.inf), value(entry))
    return rows


@pytest.mark.parametrize("question", VALUES)
def test_a_chart_marks_each_engine_where_it_was_measured(site: Path, question: str) -> None:
    (chart,) = (one for words, one in figures(site).items() if question in words)
    rows = measured(*VALUES[question])
    marks = re.findall(r'<svg x="([\d.]+)%"[^>]* data-layer="(\w+)" data-engine="([^"]+)">', chart)
    places = {(layer, engine): float(x) for x, layer, engine in marks}
    assert set(places) == {(layer, engine) for layer, row in rows.items() for engine in row}
    ticks = re.findall(r'<text x="([\d.]+)%" y="12"[^>]*>(\d+)×</text>', chart)
    (start, one), (end, last) = ((float(ticks[n][0]), int(ticks[n][1])) for n in (0, -1))
    assert one == 1
    for layer, row in rows.items():
        best = min(row, key=row.__getitem__)
        said = re.search(
            rf">{layer}</text><text[^>]*?(class=\"chart-best\")?>([^<]*)</text>", chart
        )
        assert said
        assert html.unescape(said[2]).startswith(f"{best} ")
        number = float(said[2].removeprefix(best).split()[0])
        assert math.isclose(number, row[best], rel_tol=0.006)
        assert bool(said[1]) == (best == "tconvjax")
        for engine, found in row.items():
            share = (places[layer, engine] - start) / (end - start)
            assert math.isclose(last**share, found / row[best], rel_tol=0.02), (layer, engine)


@pytest.mark.parametrize(
    ("grows", "question"), [("pixels", "larger image"), ("batch", "larger batch")]
)
def test_lines_rise_as_a_pixel_takes_longer(site: Path, grows: str, question: str) -> None:
    (chart,) = (one for words, one in figures(site).items() if question in words)
    for curve in SCALING["curves"]:
        if (curve["grows"], curve["task"]) != (grows, "step"):
            continue
        if not curve["contestant"].endswith("channels last"):
            continue
        engine = curve["contestant"].partition(",")[0]
        (line,) = re.findall(
            rf'data-layer="{curve["layer"]}" data-engine="{engine}" points="([^"]*)"', chart
        )
        points = [tuple(map(float, point.split(","))) for point in line.split()]
        each = [ms / pixels for ms, pixels in zip(curve["ms"], curve["pixels"], strict=True)]
        assert len(points) == len(each)
        assert sorted(points) == points
        for (_, high), (_, low), a, b in zip(points, points[1:], each, each[1:], strict=False):
            assert (high - low) * (b - a) >= 0  # up is towards 0


def test_lines_fall_as_the_prediction_does(site: Path) -> None:
    made = runpy.run_path(str(ROOT / "benchmarks/predicted.py"))["predicted"]()
    text = (site / "use/sharding/index.html").read_text("utf-8")
    pattern = (
        r'class="chart-(\d)-ax[ei]s" data-layer="(.*?); ([\d,]+) operations[^>]* points="([^"]*)"'
    )
    lines = {
        (size, axes, balance): [tuple(map(float, point.split(","))) for point in points.split()]
        for axes, size, balance, points in re.findall(pattern, text)
    }
    curves = {
        (size, label[0], label.partition(", ")[2]): [share for share in shares if share is not None]
        for size, curves in made.items()
        for label, shares in curves.items()
    }
    assert lines.keys() == curves.keys()
    for key, shares in curves.items():
        assert [round(100 - y, 2) for _, y in lines[key]] == [round(100 * n, 2) for n in shares]
        assert [x for x, _ in lines[key]] == [10 * n for n in range(len(shares))]


def test_the_page_shows_charts_and_folds_its_tables(site: Path) -> None:
    text = (site / "speed/index.html").read_text("utf-8")
    assert len(figures(site)) == 6
    open_text = re.sub(r"(?s)<details>.*?</details>", "", text)
    assert text.count("<table>") == 9
    assert open_text.count("<table>") == 0
    assert "<img" not in open_text.partition("<article")[2].partition("</article>")[0]
    for chart in figures(site).values():
        colours = re.findall(r'(?:fill|stroke)="(?!currentColor|none)[^"]*"|#[0-9a-f]{6}', chart)
        assert colours == []
