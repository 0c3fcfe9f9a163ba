"""PyTorch's lines on the pages give what the pages show."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest

from tconvjax.command.tour import EXAMPLES
from tests.conformance.test_peers import peer
from tests.docs_examples import DOCS, PAGES, missing

torch = peer("torch")
TAB = re.compile(r'(?m)^=== "PyTorch"\n((?: {4}.*\n|\n)*)')


def tabs(path: Path) -> list[str]:
    """What is in the tabs of a page that are named after PyTorch."""
    return [dedent(tab) for tab in TAB.findall(path.read_text("utf-8"))]


MARKED = sorted(path for path in DOCS.rglob("*.md") if any("torch." in tab for tab in tabs(path)))


@pytest.mark.parametrize("path", MARKED, ids=lambda path: path.relative_to(DOCS).as_posix())
def test_the_examples_of_a_page_give_what_it_shows(path: Path) -> None:
    """All of them, since they share their names; without PyTorch its lines are skipped."""
    for tab in tabs(path):
        (marked,) = re.findall(r'(?s)skip: start if\(missing\("torch"\).*skip: end', tab)
        assert tab.count("```python") == marked.count("```python") > 0
    document = PAGES.parse(path)
    document.namespace["missing"] = missing
    for example in document.examples():
        example.evaluate()


@pytest.mark.parametrize("folder", ["learn", "zh/learn"])
def test_pytorchs_lines_are_beside_each_example_of_the_tutorial(folder: str) -> None:
    shown = "".join(tab for path in (DOCS / folder).glob("*.md") for tab in tabs(path))
    for example in EXAMPLES.values():
        assert f"{torch.tensor(example.result[0])}\n" in shown, example.name
    for shape in ((1, 20, 6, 6), (1, 10, 16, 16)):  # of the layer and its transpose
        assert str(torch.Size(shape)) in shown
