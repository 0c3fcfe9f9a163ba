"""The picture of the home pages, which moves, and their three numbers, which were measured.

``mkdocs.yml`` names this file under ``hooks``. It is no part of the package.
"""

from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

from tconvjax import Geometry, links
from tconvjax.rendering.palette import colour, ink

Y, W = (1, 2, 3, 4), (4, 7, 2, 2)
GEOMETRY = Geometry.of_conv_transpose((1, 2, 2), (1, 1, 2, 2))
SIDE = 34
"""Pixels of a cell."""

SECONDS = 11
"""Seconds of a round: each element of y stamps, then all of C.T is lit."""

PARTS = len(Y) + 1.5
ALT = (
    "Four elements of y, 1, 2, 3 and 4, each multiply a kernel of 4, 7, 2, 2 and stamp it onto z, "
    "which becomes 4 15 14, 14 43 32, 6 14 8; each stamp is one column of the matrix C.T.",
    "y 的四个元素 1、2、3、4 分别乘以卷积核 4、7、2、2，依次盖到 z 上，z 最后成为 4 15 14、"
    "14 43 32、6 14 8；每枚印章就是矩阵 C.T 的一列。",
)
"""The picture in words, in English and in Chinese."""

RESULTS = Path(__file__).parents[2] / "benchmarks" / "results"


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put the picture and the numbers where a page asks for them."""
    alt = ALT[page.url.startswith("zh/")]
    markdown = markdown.replace("<!-- picture -->", picture(alt))
    return re.sub(
        r"<!-- number: (\w+) -->", lambda m: f"{numbers()[m[1]]:.3g}".rstrip("."), markdown
    )


def numbers() -> dict[str, float]:
    """How many times less time this package takes, in geometric means over the results."""
    compare, models = (
        json.loads((RESULTS / f"{name}.json").read_text("utf-8"))
        for name in ("compare", "acceleration")
    )
    steps = [case["tasks"]["step"]["contestants"] for case in compare["cases"].values()]
    ours = [step["tconvjax, channels last"]["ms"] for step in steps]
    torch = [min(step[name]["ms"] for name in step if "PyTorch" in name) for step in steps]
    plain = [step["lax.conv_transpose"]["ms"] for step in steps]

    def mean(these: Any, those: Any) -> float:
        ratio = statistics.geometric_mean(a / b for a, b in zip(these, those, strict=True))
        return round(ratio, 1 if ratio < 10 else None)

    rows = models["rows"]
    whole = mean([row["plain_ms"] for row in rows], [row["accelerated_ms"] for row in rows])
    return {"lax": mean(plain, ours), "torch": mean(torch, ours), "models": whole}


def picture(alt: str) -> str:
    """Draw y, w and z with the stamps that fall on z, and C.T with the column that they are."""
    taps = [link.tap[-2] * 2 + link.tap[-1] for link in links(GEOMETRY)]
    pairs = [(link.output[-2] * 2 + link.output[-1], link.input[-2] * 3 + link.input[-1])
             for link in links(GEOMETRY)]  # fmt: skip
    products = sorted(zip(pairs, taps, strict=True))
    left, right, rules = [], [], []

    left += [_grid(Y, 2, 24, 34, "y"), _grid(W, 2, 150, 34, "w", taps=True)]
    z = dict.fromkeys(range(9), 0)
    shown: dict[int, list[tuple[float, int]]] = {n: [(0, 0)] for n in range(9)}
    for i, value in enumerate(Y):
        stamp = []
        for (y, j), tap in products:
            if y == i:
                z[j] += value * W[tap]
                shown[j].append((i + 0.75, z[j]))
                stamp.append(_cell(64 + j % 3 * SIDE, 168 + j // 3 * SIDE, value * W[tap], tap))
        left.append(
            f'<g class="home-stamp" style="animation-name:home-fall-{i}">{"".join(stamp)}</g>'
        )
        at = (24 + i % 2 * SIDE, 34 + i // 2 * SIDE)
        left.append(f'<rect class="home-now" style="animation-name:home-now-{i}" '
                    f'x="{at[0]}" y="{at[1]}" width="{SIDE}" height="{SIDE}"/>')  # fmt: skip
        rules += _rules(i)
    totals = "".join(
        _running(64 + j % 3 * SIDE, 168 + j // 3 * SIDE, shown[j], rules, f"{j}") for j in range(9)
    )
    left.insert(0, _grid([""] * 9, 3, 64, 168, "z = C.T y") + totals)

    entries = dict(products)
    step = 27
    for i in range(4):
        column = []
        for j in range(9):
            place = (70 + i * (step + 8), 34 + j * step)
            entry = entries.get((i, j))
            shape = f'x="{place[0]}" y="{place[1]}" width="{step + 6}" height="{step - 2}"'
            if entry is None:
                column.append(f'<rect class="home-empty" {shape}/>')
            else:
                back = colour(entry, 4)
                column.append(
                    f'<rect {shape} fill="{back}"/>'
                    + _text(place[0] + 16, place[1] + 12, W[entry], ink(back))
                )
        lit = f'class="home-column" style="animation-name:home-lit-{i}"'
        right.append(f"<g {lit}>{''.join(column)}</g>")
        right.append(_text(70 + i * (step + 8) + 16, 300, f"y{_SUB[i // 2]}{_SUB[i % 2]}"))
    right.append(
        '<path class="home-bracket" d="M66 30h-6v250h6M210 30h6v250h-6"/>' + _text(138, 14, "C.T")
    )
    style = f"<style>{''.join(rules)}.home-picture *{{animation-duration:{SECONDS}s}}</style>"
    svgs = [
        f'<svg viewBox="0 0 {wide} 316" width="{wide}" aria-hidden="true">{"".join(parts)}</svg>'
        for wide, parts in ((250, left), (236, right))
    ]
    return f'<div class="home-picture" role="img" aria-label="{alt}">{style}{"".join(svgs)}</div>'


_SUB = "₀₁"


def _text(x: float, y: float, words: Any, fill: str = "currentColor", more: str = "") -> str:
    return f'<text x="{x}" y="{y}" fill="{fill}"{more}>{words}</text>'


def _cell(x: int, y: int, words: Any, tap: int | None = None) -> str:
    kind = "" if tap is None else f' style="fill:{colour(tap, 4)}"'
    letters = "currentColor" if tap is None else ink(colour(tap, 4))
    middle = SIDE / 2
    return (
        f'<rect x="{x}" y="{y}" width="{SIDE}" height="{SIDE}" class="home-cell"{kind}/>'
        + _text(x + middle, y + middle, words, letters)
    )


def _grid(values: Any, wide: int, x: int, y: int, name: str, taps: bool = False) -> str:
    cells = (
        _cell(x + n % wide * SIDE, y + n // wide * SIDE, value, n if taps else None)
        for n, value in enumerate(values)
    )
    return _text(x + wide * SIDE / 2, y - 16, name) + "".join(cells)


def _running(x: int, y: int, shown: list[tuple[float, int]], rules: list[str], name: str) -> str:
    """One text for each value that an element of z has; at rest the last one is seen."""
    made = []
    ends = [start for start, _ in shown[1:]] + [PARTS]
    for n, ((start, value), end) in enumerate(zip(shown, ends, strict=True)):
        if start == end:
            continue
        first, last = 100 * start / PARTS, 100 * end / PARTS
        before, after = int(not start), int(end == PARTS)
        rules.append(
            f"@keyframes home-z-{name}-{n}{{0%,{max(first - 0.01, 0):.2f}%{{opacity:{before}}}"
            f"{first:.2f}%,{last - 0.01:.2f}%{{opacity:1}}{last:.2f}%,100%{{opacity:{after}}}}}"
        )
        kind = "home-total" if end == PARTS else "home-total home-passing"
        more = f' class="{kind}" style="animation-name:home-z-{name}-{n}"'
        made.append(_text(x + SIDE / 2, y + SIDE / 2, value, more=more))
    return "".join(made)


def _rules(i: int) -> list[str]:
    """When stamp i falls and fades, and when its element of y and its column of C.T are lit."""

    def at(part: float) -> str:
        return f"{100 * (i + part) / PARTS:.2f}%"

    high = "opacity:0;transform:translateY(-52px)"
    last = f"{100 * len(Y) / PARTS:.2f}%"
    return [
        f"@keyframes home-fall-{i}{{0%,{at(0.05)}{{{high}}}{at(0.4)},{at(0.75)}"
        f"{{opacity:1;transform:none}}{at(1)},100%{{opacity:0;transform:none}}}}",
        f"@keyframes home-now-{i}{{0%,{at(0)}{{opacity:0}}{at(0.05)},{at(0.95)}{{opacity:1}}"
        f"{at(1)},100%{{opacity:0}}}}",
        f"@keyframes home-lit-{i}{{0%,{at(0)}{{opacity:.25}}{at(0.1)},{at(0.9)}{{opacity:1}}"
        + (f"{at(1)},{last}{{opacity:.25}}" if i < 3 else "")
        + f"{100 * (len(Y) + 0.2) / PARTS:.2f}%,99%{{opacity:1}}100%{{opacity:.25}}}}",
    ]
