"""Write the tables of whole models and of upsampling into their pages, from committed results.

python benchmarks/tables.py
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks/results"


def models(found: Mapping[str, Any]) -> str:
    """A training step of each model by each library, plain and accelerated."""
    lines = [
        "| model | library | plain, ms | accelerated, ms | ratio | if upsampling cost nothing |",
        "|---|---|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {row['model']} | {row['library']} | {row['plain_ms']:.1f} | "
        f"{row['accelerated_ms']:.1f} | {row['ratio']:.1f} | {row['bound']:.1f} |"
        for row in found["rows"]
    ]
    return "\n".join(lines)


def upsampling(found: Mapping[str, Any]) -> str:
    """Each operation beside its peers: the median of the ratios, the worst, and how many cases."""
    kinds: dict[str, list[float]] = {}
    for name, row in found["cases"].items():
        kind = " ".join(name.split()[:2]) if name.startswith("upsample") else name.split()[0]
        kinds.setdefault(kind, []).append(row["ratio"])
    lines = ["| | cases | median ratio | least | greatest |", "|---|--:|--:|--:|--:|"]
    for kind, ratios in kinds.items():
        ordered = sorted(ratios)
        median = found["by_kind"][kind]
        lines.append(
            f"| {kind} | {len(ratios)} | {median:.1f} | {ordered[0]:.2f} | {ordered[-1]:.1f} |"
        )
    return "\n".join(lines)


TABLES: Mapping[str, tuple[str, str, Callable[[Mapping[str, Any]], str]]] = {
    "models": ("docs/reference/acceleration.md", "acceleration", models),
    "upsampling": ("docs/reference/upsampling.md", "upsampling", upsampling),
}
"""For each mark in a page, the page, the results and the table."""


def filled(text: str, mark: str, table: str) -> str:
    """A page with its table between ``<!-- mark -->`` and ``<!-- end -->`` replaced."""
    pattern = rf"(<!-- {mark} -->\n).*?(\n<!-- end -->)"
    return re.sub(pattern, lambda m: f"{m[1]}\n{table}\n{m[2]}", text, flags=re.DOTALL)


def pages() -> dict[Path, str]:
    """The pages as they should be."""
    found = {}
    for mark, (page, results, table) in TABLES.items():
        path = ROOT / page
        numbers = json.loads((RESULTS / f"{results}.json").read_text(encoding="utf-8"))
        found[path] = filled(path.read_text(encoding="utf-8"), mark, table(numbers))
    return found


if __name__ == "__main__":
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
