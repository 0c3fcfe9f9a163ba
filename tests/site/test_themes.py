"""A figure of a fence looks the same in every theme: Material's, and the two of MkDocs itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.site.conftest import build_here, expect, serving
from tests.site.test_faults import MINIMAL

THEMES = ("material", "mkdocs", "readthedocs")
PAGE = "# Notes\n\n" + "\n\n".join(
    f"```tconv\n{body}\n```"
    for body in (
        "view: product\nin_size: 5\nkernel: 3\nstride: 2\nwords: no",
        "view: transpose\nin_size: 4x4\nkernel: 3",
        "view: stamps\nout_size: 2x2\nkernel: 2\ny: 0,1,2,3\nw: 4,7,2,2\nwords: no",
        "view: sum\nout_size: 2x2\nkernel: 2\ny: 0,1,2,3\nw: 4,7,2,2",
        "view: sizes\nout_size: 4\nkernel: 3\nstride: 2",
        "view: explorer\nout_size: 2\nkernel: 2",
    )
)
LOOKS = """() => [...document.querySelectorAll(".tconv-row")].map((row) => {
  const { left, top } = row.getBoundingClientRect();
  return [...row.querySelectorAll("table")].map((table) => {
    const box = table.getBoundingClientRect();
    const style = (one, ...names) => names.map((name) => getComputedStyle(one)[name]);
    return [Math.round(box.top - top), Math.round(box.width), Math.round(box.height),
      ...style(table, "borderLeftWidth", "borderRightWidth", "borderCollapse", "backgroundSize"),
      ...[...table.querySelectorAll("td")].map((td) => [td.textContent, ...style(td, "boxShadow",
        "backgroundColor", "borderLeftWidth", "borderTopWidth", "padding", "font")].join())];
  });
})"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of one page in each theme, with the eight lines that a fence needs."""
    folder = tmp_path_factory.mktemp("themes")
    for theme in THEMES:
        (folder / theme / "docs").mkdir(parents=True)
        settings = f"{MINIMAL}theme:\n  name: {theme}\n"
        (folder / theme / "mkdocs.yml").write_text(settings, "utf-8")
        (folder / theme / "docs/index.md").write_text(PAGE, "utf-8")
        build_here(folder / theme)
    return folder


def test_figures_look_the_same_in_every_theme(browser: Any, folder: Path) -> None:
    looks = {}
    with serving(folder) as address:
        for theme in THEMES:
            with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
                page = context.new_page()
                page.goto(f"{address}/{theme}/site/")
                looks[theme] = page.evaluate(LOOKS)
                assert page.locator("table").count() > 12
                expect(page.locator("tconv-explorer .told")).to_be_visible()
    assert len(looks["material"]) > 6
    assert looks["mkdocs"] == looks["material"]
    assert looks["readthedocs"] == looks["material"]
