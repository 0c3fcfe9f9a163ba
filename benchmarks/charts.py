"""Charts of the reports of compare.py and scaling.py.

    python benchmarks/charts.py results.json results.svg

They have a ground of their own, so they can be read on light and on dark pages.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from cases import Task
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter
from programs import LAX
from report import TORCH, Report, best_of, figures, ratios

TITLES: dict[Task, str] = {"forward": "forward", "step": "training step: output and both gradients"}

# Colours that people of any colour vision tell apart (Okabe and Ito); ours are large and filled.
MARKS: dict[str, dict[str, Any]] = {
    "lax.conv_transpose": {"color": "#56B4E9", "marker": "s"},
    "Flax NNX": {"color": "#56B4E9", "marker": "^"},
    "Equinox": {"color": "#56B4E9", "marker": "v"},
    "Haiku": {"color": "#56B4E9", "marker": "<"},
    "Keras": {"color": "#56B4E9", "marker": ">"},
    "tconvjax, direct": {"color": "#CC79A7", "marker": "x"},
    "ONNX Runtime": {"color": "#009E73", "marker": "P"},
    "OpenVINO": {"color": "#009E73", "marker": "D"},
    "PyTorch": {"color": "#555555", "marker": "|", "s": 80, "linewidths": 2},
    "PyTorch, channels last": {"color": "#555555", "marker": "+", "s": 80, "linewidths": 2},
    "tconvjax": {"color": "#E69F00", "marker": "o", "s": 60, "zorder": 4, "edgecolors": "black"},
    "tconvjax, channels last": {
        "color": "#D55E00", "marker": "o", "s": 60, "zorder": 5, "edgecolors": "black",
    },
}  # fmt: skip

STYLE = {
    "figure.facecolor": "white",
    "axes.facecolor": "white",
    "savefig.facecolor": "white",
    "axes.grid": True,
    "grid.color": "#dddddd",
    "font.size": 10,
    "svg.hashsalt": "tconvjax",  # the same report gives the same file
    "axes.spines.top": False,
    "axes.spines.right": False,
}


def draw_ratios(report: Report, path: Path) -> None:
    """Each contestant's time over the better PyTorch layout's, a row for each case.

    Without PyTorch the measure is lax.conv_transpose.

    Args:
        report: of compare.py.
        path: of an .svg or .png file.
    """
    cases = list(report["cases"])
    tasks: list[Task] = [
        task for task in TITLES if any(task in known["tasks"] for known in report["cases"].values())
    ]
    names: Sequence[str]
    names, words = TORCH, "better PyTorch layout"
    if not any(best_of(report, task, TORCH) for task in tasks):
        names, words = (LAX,), LAX
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 2.1 + 0.34 * len(cases)), layout="constrained")
        panels = figure.subplots(1, len(tasks), sharey=True, squeeze=False)[0]
        drawn: dict[str, Any] = {}
        for axes, task in zip(panels, tasks, strict=True):
            measure = best_of(report, task, names)
            for name, mark in MARKS.items():
                found = ratios(figures(report, task, name), measure)
                if found:
                    rows = [cases.index(case) for case in found]
                    style = {"s": 34, "linewidths": 1.0, "zorder": 3} | mark
                    drawn[name] = axes.scatter(list(found.values()), rows, **style)
            axes.axvline(1, color="black", linewidth=1)
            axes.set_xscale("log")
            axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.tick_params(axis="x", labelsize=8)
            axes.set_title(TITLES[task], fontsize=11)
            axes.set_xlabel(f"time / {words} (less is faster)")
            axes.set_yticks(range(len(cases)), cases)
            axes.set_ylim(len(cases) - 0.5, -0.5)
        figure.suptitle(_title(report), fontsize=11)
        shown = sorted(drawn, key=list(MARKS).index, reverse=True)
        figure.legend([drawn[name] for name in shown], shown, loc="outside lower center",
                      ncols=6, frameon=False, fontsize=9)  # fmt: skip
        _save(figure, path)


def draw_scaling(report: Report, path: Path) -> None:
    """Nanoseconds for each pixel of the input over its number of pixels.

    Args:
        report: of scaling.py, with "curves".
        path: of an .svg or .png file.
    """
    layers = sorted({curve["layer"] for curve in report["curves"]})
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 3.8 * len(layers)), layout="constrained")
        panels = figure.subplots(len(layers), 2, squeeze=False, sharey="row")
        for curve in report["curves"]:
            column = ("batch", "pixels").index(curve["grows"])
            axes = panels[layers.index(curve["layer"])][column]
            mark = MARKS.get(curve["contestant"], {"color": "black", "marker": "."})
            each = [1e6 * ms / pixels for ms, pixels in
                    zip(curve["ms"], curve["pixels"], strict=True)]  # fmt: skip
            axes.plot(
                curve["pixels"], each, color=mark["color"], marker=mark["marker"], markersize=5,
                linestyle="-" if curve["task"] == "step" else ":",
                label=f"{curve['contestant']}, {curve['task']} (slope {curve['slope']:.2f})",
            )  # fmt: skip
        for layer, row in zip(layers, panels, strict=True):
            for axes, grows in zip(row, ("batch", "pixels"), strict=True):
                axes.set_xscale("log")
                axes.set_yscale("log")
                axes.set_title(f"{layer}: growing {grows}", fontsize=10)
                axes.set_xlabel("input pixels of all examples")
                axes.set_ylabel("nanoseconds a pixel")
                axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
                axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
                axes.yaxis.set_minor_formatter(NullFormatter())
                axes.legend(frameon=False, fontsize=8, loc="upper center", ncols=2,
                            bbox_to_anchor=(0.5, -0.2))  # fmt: skip
        figure.suptitle(_title(report), fontsize=11)
        _save(figure, path)


def _title(report: Report) -> str:
    setting, computer = report["setting"], report["machine"]
    return (
        f"{computer['processor']}, {setting['threads']} cores, {setting['platform']}, "
        f"{setting['dtype']}, jax {report['versions']['jax']}"
    )


def _save(figure: Figure, path: Path) -> None:
    metadata = {"Date": None} if path.suffix == ".svg" else {}
    figure.savefig(path, dpi=150, metadata=metadata)


def main() -> None:
    """Draw a report that was written before."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("report", type=Path, help=".json of compare.py or scaling.py")
    parser.add_argument("chart", type=Path, help=".svg or .png")
    options = parser.parse_args()
    report = json.loads(options.report.read_text(encoding="utf-8"))
    (draw_scaling if "curves" in report else draw_ratios)(report, options.chart)


if __name__ == "__main__":
    main()
