"""Every page of the site opens without an error, asks nobody else, and can be read by anybody."""

from __future__ import annotations

import html.parser
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tconvjax.site.reading import VIEWS
from tests.site.conftest import ROOT, barriers, expect

DOCS = ROOT / "docs"
PAGES = sorted(path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.rglob("*.md"))


def address(page: str) -> str:
    """Where a page of the documentation lies on the site."""
    return re.sub(r"(^|/)index$", r"\1", page).rstrip("/") + ("/" if page != "index" else "")


class Links(html.parser.HTMLParser):
    """What a page points at, what it loads, and the names that may be pointed at."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.names: set[str | None] = set()
        self.feed(page.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note names, links and what is loaded."""
        given = dict(attrs)
        self.names |= {given.get("id"), given.get("name")}
        if given.get("rel") not in ("canonical", "next", "prev"):
            found = self.links if tag == "a" else self.loads
            found += [value for key, value in attrs if key in ("href", "src") and value]


def broken(site: Path) -> Iterator[str]:
    """Each link and each file that is not there, and each file from elsewhere that is loaded."""
    files = {path: Links(path) for path in site.rglob("*.html")}
    for page, said in files.items():
        for link in [*said.links, *said.loads]:
            parts = urllib.parse.urlsplit(link)
            if parts.scheme or parts.netloc:
                if parts.netloc and link in said.loads:
                    yield f"{page}: {link} is loaded from elsewhere"
                continue
            path, name = map(urllib.parse.unquote, (parts.path, parts.fragment))
            above = site if path.startswith("/") else page.parent
            file = (above / path.lstrip("/")).resolve() if path else page
            file = file / "index.html" if file.is_dir() else file
            if not file.exists():
                yield f"{page}: {link} is not there"
            elif name and file in files and name not in files[file].names | {"__tabbed"}:
                yield f"{page}: {link} has no such name"
    for style in site.rglob("*.css"):
        for url in re.findall(r"url\(\s*['\"]?(?:https?:)?//", style.read_text("utf-8")):
            yield f"{style}: {url}"


def test_every_link_leads_somewhere_and_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    assert [page for page in PAGES if not (site / address(page) / "index.html").exists()] == []
    assert list(broken(site.resolve())) == []


def test_an_address_without_a_page_leads_on_in_both_languages(site: Path) -> None:
    links = Links(site / "404.html").links  # which test_every_link follows
    assert {"/learn/", "/zh/learn/"} <= set(links)


def test_no_fence_and_no_formula_is_left_as_text(site: Path) -> None:
    left, fence = [], rf"(?m)^\s*view:\s+(?:{'|'.join(VIEWS)})$"
    for path in site.rglob("*.html"):
        text = path.read_text("utf-8")
        code = re.sub(r"<[^>]*>", "", "\n".join(re.findall(r"(?s)<code\b.*?</code>", text)))
        # Two pages show how fences are written.
        if path.parent.name not in ("fences", "explorer") and re.search(fence, code):
            left.append(f"{path}: a fence")
        prose = re.sub(r"(?s)<(code|pre|script|style)\b.*?</\1>|<[^>]*>", "", text)
        if re.search(r"\$[^$<]*\\[a-z]+|\\\(|\\\[", prose):
            left.append(f"{path}: a formula")
    assert left == []


def test_marks_for_other_programs_are_not_published(site: Path) -> None:
    marks = ("&lt;BLANKLINE&gt;", "# fmt: skip", "# doctest:", "# noqa", "# type: ")
    texts = {path: path.read_text("utf-8") for path in site.rglob("*.html")}
    found = [f"{path}: {mark}" for path, text in texts.items() for mark in marks if mark in text]
    assert found == []


# -- in a browser ----------------------------------------------------------------------------------


def watched(view: Any, served: str) -> list[str]:
    """The errors and warnings of a page, and what it asks of other machines, as they come."""
    troubles: list[str] = []

    def note(trouble: bool, words: str) -> None:
        troubles.extend([words] * trouble)

    here = (served, "data:", "blob:")
    view.on("console", lambda said: note(said.type in ("error", "warning"), said.text))
    view.on("pageerror", lambda error: note(True, str(error)))
    view.on("request", lambda asked: note(not asked.url.startswith(here), asked.url))
    return troubles


# What a screen cuts: each part of a page, in the explorer too, that has to be scrolled sideways. On
# a phone that is usual for code, tables of words and equations of docstrings, and for the
# explorer's arrays, which readers make larger; but not for figures and for formulas in a text.
CUT = """(phone) => {
  for (const one of document.querySelectorAll("details")) one.open = true;
  const cut = [];
  const visit = (root) => root.querySelectorAll("*").forEach((one) => {
    if (one.shadowRoot) visit(one.shadowRoot);
    const scrolls = getComputedStyle(one).overflowX !== "visible" && one.checkVisibility();
    if (!scrolls || one.clientWidth === 0 || one.scrollWidth <= one.clientWidth + 1) return;
    if (phone && one.matches("pre > code, .md-typeset__scrollwrap, .tabbed-labels, "
      + ".doc-contents .arithmatex, section:not(.code) > .scroll, .side")) return;
    cut.push(`${one.tagName}.${one.className} ${one.scrollWidth} of ${one.clientWidth}: `
      + one.textContent.trim().slice(0, 50));
  });
  visit(document.querySelector("article"));
  return cut;
}"""


SLANTED = """() => [...document.querySelectorAll("body *")].filter((e) =>
  [...e.childNodes].some((n) => n.nodeType === 3 && /[\\u3400-\\u9fff]/.test(n.data))
  && getComputedStyle(e).fontStyle !== "normal").map((e) => e.outerHTML.slice(0, 99))"""


@pytest.mark.parametrize("page", PAGES)
def test_a_page_opens_without_trouble_and_keeps_nobody_out(
    browser: Any, served: str, page: str
) -> None:
    """On a narrow screen and a wide one, in dark and in light; and slants no Chinese character."""
    sideways = "document.documentElement.scrollWidth - innerWidth"
    with browser.new_context(
        viewport={"width": 390, "height": 900}, color_scheme="dark", reduced_motion="reduce"
    ) as context:
        view = context.new_page()
        troubles = watched(view, served)
        view.goto(f"{served}/{address(page)}")
        expect(view.locator("body")).to_have_attribute("data-md-color-scheme", "slate")
        assert view.evaluate(sideways) <= 0
        assert view.evaluate(CUT, True) == []
        assert view.evaluate(SLANTED) == []
        view.set_viewport_size({"width": 1440, "height": 900})
        assert barriers(view, colours=True) == []
        view.emulate_media(color_scheme="light")
        view.locator("[data-md-component=palette] label:visible").click()
        expect(view.locator("body")).to_have_attribute("data-md-color-scheme", "default")
        assert barriers(view) == []
        assert view.evaluate(sideways) <= 0
        assert view.evaluate("[...document.images].every((i) => i.alt && i.naturalWidth)")
        assert view.evaluate(CUT, False) == []
        assert troubles == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_is_cut_off_can_be_read(browser: Any, served: str, scheme: str) -> None:
    with browser.new_context(color_scheme=scheme, reduced_motion="reduce") as context:
        view = context.new_page()
        view.goto(f"{served}/learn/padding-stride-channels/")
        expect(view.locator("td.tconv-faint").first).to_be_visible()
        assert barriers(view, colours=True, alone=True) == []


def test_nothing_covers_the_explorer_while_the_page_scrolls(browser: Any, served: str) -> None:
    """Neither the header nor the button "Back to top", which appears as one scrolls up."""
    for width in (390, 1440):
        with browser.new_context(viewport={"width": width, "height": 900}) as context:
            view = context.new_page()
            view.goto(f"{served}/explorer/")
            told = view.locator("tconv-explorer .told")
            for above in (0, 80):  # down, then a little up
                view.locator("section.zeros h3").evaluate(
                    "(e, above) => scrollBy(0, e.getBoundingClientRect().top - 400 - above)", above
                )
                expect(told).to_be_in_viewport(ratio=1)
                on_top = """e => { const { left, right, top, bottom } = e.getBoundingClientRect();
                    return [left + 9, (left + right) / 2, right - 9].every((x) =>
                    [top + 2, bottom - 2].every((y) => document.elementFromPoint(x, y)
                    === e.getRootNode().host)); }"""
                view.wait_for_function(f"e => ({on_top})(e)", arg=told.element_handle())
            header = view.locator("header.md-header").bounding_box()
            box = told.bounding_box()
            assert box["y"] == header["y"] + header["height"]


def test_what_is_copied_from_a_session_is_what_was_typed(browser: Any, served: str) -> None:
    allowed = ["clipboard-read", "clipboard-write"]
    with browser.new_context(permissions=allowed) as context:
        view = context.new_page()
        view.goto(f"{served}/learn/ambiguity/")
        block = view.locator(".highlight", has_text=">>> w = np.array([[[1, 10, 100, 1000]]]")
        block.locator("button[data-md-type=copy]").click()
        expect(view.locator(".md-dialog")).to_contain_text("Copied")
        typed = view.evaluate("navigator.clipboard.readText()")
        assert typed.startswith("y = np.array([[1, 2, 3]], np.int32)\n")
        assert "w = np.array([[[1, 10, 100, 1000]]], np.int32)\n" in typed
        assert ">>>" not in typed
        compile(typed, "copied", "exec")


def test_subscripts_stand_equally_high(browser: Any, served: str) -> None:
    with browser.new_context() as context:
        view = context.new_page()
        view.goto(f"{served}/learn/transposed/")
        view.evaluate("document.fonts.ready.then(() => null)")
        low = view.locator("math:has(mtable) mtr").first.evaluate(
            "r => [...r.querySelectorAll('msub > mn')].map((n) => n.getBoundingClientRect().top)"
        )
        assert len(low) == 7  # of y, w and x
        assert max(low) - min(low) < 0.5


FIRST = {
    "ConvTranspose2d": "use/porting",
    "checkerboard": "learn/checkerboards",
    "output_padding": "learn/ambiguity",
    "state_dict": "use/porting",
    "load_state_dict": "use/porting",
    "weight_norm": "use/porting",
    "逆运算": "zh/learn/not-an-inverse",
    "上采样": "zh/learn/upsampling",
    "转置卷积": "zh/learn/transposed",
    "棋盘": "zh/learn/checkerboards",
    "棋盘效应": "zh/learn/checkerboards",
    "输出填充": "zh/learn/ambiguity",
}
"""What is searched, and the page that is to be found first."""


def test_the_search_shows_the_page_first(browser: Any, searched: str) -> None:
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        view = context.new_page()
        troubles = watched(view, searched)
        view.goto(searched)
        words = view.locator("input.md-search__input")
        words.click()
        found = view.locator(".md-search-result__item > a.md-search-result__link")
        first = {}
        for query in FIRST:
            words.fill("")
            words.press("End")  # the theme listens to keys
            said = view.locator(".md-search-result__meta")
            expect(said).to_have_text("Type to start searching")
            expect(found).to_have_count(0)
            words.fill(query)
            words.press("End")
            expect(found.first).to_be_visible()
            first[query] = found.first.evaluate("one => new URL(one.href).pathname.slice(1, -1)")
        assert first == FIRST
        assert troubles == []


def test_each_page_has_a_description_of_its_own(site: Path) -> None:
    heads = [path.read_text("utf-8").partition("</head>")[0] for path in site.rglob("index.html")]
    assert len(heads) == len(PAGES)
    for sign in ('<meta name="description" content="(.*?)">',
                 '<meta property="og:description" content="(.*?)">'):  # fmt: skip
        found = [re.search(sign, head) for head in heads]
        words = [one[1] for one in found if one]
        assert len(set(words)) == len(heads), sign
        assert min(map(len, words)) > 6
