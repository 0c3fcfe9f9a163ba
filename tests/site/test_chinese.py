"""The Chinese pages are a site of their own, in Chinese throughout, and each is near its twin."""

from __future__ import annotations

import html.parser
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.site.conftest import expect
from tests.site.test_pages import DOCS, PAGES, address

CHINESE = [page for page in PAGES if page.startswith("zh/")]
LETTER = r"[\u3400-\u9fff]"
MARK = r"[\u3001\u3002\uff08\uff09\uff0c\uff1a\uff1b\uff1f]"
VOID = {"meta", "link", "input", "img", "br", "hr"}
BLOCKS = {"p", "li", "td", "th", "dd", "dt", "h1", "h2", "h3", "summary", "figcaption", "caption"}


class Read(html.parser.HTMLParser):
    """The text of each block of a page, and what is said of the parts around its content."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.blocks: list[str] = []
        self.around: list[str] = []
        self.stack: list[str] = []
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a part says of itself; begin a new block."""
        if tag in BLOCKS:
            self.blocks.append("")
        if tag == "br" and self.blocks:
            self.blocks[-1] += "\f"
        if tag not in VOID:
            self.stack.append(tag)
        if "article" not in self.stack:
            said = dict(attrs)
            self.around += [said.get(name) or "" for name in ("title", "aria-label", "placeholder")]

    def handle_endtag(self, tag: str) -> None:
        """Leave the part; what follows a block is not of it."""
        if tag in self.stack:
            while self.stack.pop() != tag:
                pass
        if tag in BLOCKS:
            self.blocks.append("")

    def handle_data(self, data: str) -> None:
        """Collect the words."""
        if {"script", "style", "pre", "svg"} & set(self.stack):
            return
        if "article" in self.stack:
            self.blocks[-1:] = ["".join(self.blocks[-1:]) + data]
        elif "body" in self.stack:
            self.around.append(data)


@pytest.mark.parametrize("page", CHINESE)
def test_what_stands_around_a_chinese_page_is_chinese(site: Path, page: str) -> None:
    """The menu, the search, the buttons and their tooltips; names of products stay."""
    text = (site / address(page) / "index.html").read_text("utf-8")
    assert '<html lang="zh-Hans"' in text
    names = {"tconvjax", "English", "Material", "for", "MkDocs"}
    titles = set(re.findall(r"[A-Za-z]+", " ".join(re.findall(r"<h[1-4][^>]*>(.*?)</h", text))))
    around = re.findall(r"[A-Za-z]{3,}", " ".join(Read(site / address(page) / "index.html").around))
    assert set(around) - names - titles == set()
    config = re.search(r'<script id="__config" type="application/json">(.*?)</script>', text)
    assert config
    assert json.loads(config[1])["translations"]["search.result.none"] == "没有找到符合条件的结果"


def test_each_language_has_its_own_menu(browser: Any, served: str) -> None:
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        view = context.new_page()
        for page, tabs in (
            ("", ["Learn", "Explorer", "Use", "Reference", "Project"]),
            ("zh/", ["学习", "探索器", "使用"]),
            ("zh/learn/shapes/", ["学习", "探索器", "使用"]),
        ):
            view.goto(f"{served}/{page}")
            expect(view.locator(".md-tabs__item:visible")).to_have_text(tabs)
        logo = view.locator("header .md-logo").evaluate("a => a.href")
        assert logo == f"{served}/zh/"


@pytest.mark.parametrize("page", PAGES)
def test_each_page_leads_to_its_twin_or_to_the_other_home(site: Path, page: str) -> None:
    chinese = page.startswith("zh/")
    other = page.removeprefix("zh/") if chinese else f"zh/{page}"
    text = (site / address(page) / "index.html").read_text("utf-8")
    here = (site / address(page)).resolve()

    def pages(pattern: str) -> dict[str, Path]:
        return {lang: (here / link).resolve() for link, lang in re.findall(pattern, text)}

    (switch,) = pages(r'<a href="([^"]*)" hreflang="([^"]*)"').items()
    twins = {
        lang: (here / link).resolve()
        for lang, link in re.findall(
            r'<link rel="alternate ?" hreflang="(\S+)" href="([^"]*)">', text
        )
    }
    if (DOCS / f"{other}.md").exists():
        there = (site / address(other)).resolve()
        assert switch == ("en" if chinese else "zh-Hans", there)
        assert twins == {"zh-Hans" if chinese else "en": here, switch[0]: there}
    else:
        assert switch[1] == (site if chinese else site / "zh").resolve()
        assert twins == {}


@pytest.mark.parametrize("page", CHINESE)
def test_there_is_no_space_between_chinese_characters(site: Path, page: str) -> None:
    """Neither one that a line end leaves, nor one beside a mark or a stressed word."""
    blocks = Read(site / address(page) / "index.html").blocks
    assert sum(map(len, blocks)) > 500
    found = rf".{{,9}}(?:{LETTER}[ \n]+{LETTER}|{MARK}[ \n]+\S|\S[ \n]+{MARK}).{{,9}}"
    assert [m for block in blocks for m in re.findall(found, block.strip())] == []


def test_the_figures_of_chinese_pages_speak_chinese() -> None:
    fences = {
        (path.name, body)
        for path in sorted((DOCS / "zh").rglob("*.md"))
        for body in re.findall(r"(?ms)^```tconv\n(.*?)^```", path.read_text("utf-8"))
    }
    assert len(fences) > 25
    assert {f for f in fences if "\nlang: zh\n" not in f[1] or "\nwords: no\n" in f[1]} == set()


def test_a_tap_is_a_weight_in_chinese() -> None:
    """The word of signal processing, which deep learning does not use, is given once."""
    texts = [path.read_text("utf-8") for path in sorted((DOCS / "zh").rglob("*.md"))]
    assert sum(text.count("抽头") for text in texts) == 1
