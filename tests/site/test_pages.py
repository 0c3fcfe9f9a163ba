"""Every page of the site opens without an error, asks nobody else, and can be read by anybody."""

from __future__ import annotations

import filecmp
import html.parser
import re
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.site.conftest import HOW, ROOT, build

DOCS = ROOT / "docs"
PAGES = sorted(
    path.relative_to(DOCS).with_suffix("").as_posix()
    for path in DOCS.rglob("*.md")
)  # fmt: skip
ONCE = pytest.mark.parametrize("page", PAGES)


def address(page: str) -> str:
    """Where a page of the documentation lies on the site."""
    return re.sub(r"(^|/)index$", r"\1", page).rstrip("/") + ("/" if page != "index" else "")


class Links(html.parser.HTMLParser):
    """What a page points at, what it loads, and the names that may be pointed at."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.names: set[str] = set()
        self.code: list[str] = []
        self._code = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note names, links and what is loaded."""
        given = dict(attrs)
        self.names |= {value for key, value in attrs if key in ("id", "name") and value}
        if tag == "a" and given.get("href"):
            self.links.append(given["href"] or "")
        loaded = given.get("src") or (given.get("href") if tag == "link" else None)
        if loaded and (tag != "link" or given.get("rel") not in ("canonical", "next", "prev")):
            self.loads.append(loaded)
        self._code = tag == "code"
        if self._code:
            self.code.append("")

    def handle_endtag(self, tag: str) -> None:
        """Code ends here, if it is code."""
        self._code = False

    def handle_data(self, data: str) -> None:
        """Keep the text of code."""
        if self._code:
            self.code[-1] += data


def parsed(path: Path) -> Links:
    found = Links()
    found.feed(path.read_text("utf-8"))
    return found


def target(page: Path, link: str, site: Path) -> tuple[Path, str] | None:
    """The file and the name that a link of this site points at; None for another site."""
    parts = urllib.parse.urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    if parts.path.startswith("/"):
        path = site / parts.path.lstrip("/")
    else:
        path = (page.parent / urllib.parse.unquote(parts.path)) if parts.path else page
    path = path.resolve()
    return (path / "index.html" if path.is_dir() else path), urllib.parse.unquote(parts.fragment)


def broken(site: Path) -> Iterator[str]:
    """Each link and each file that is not there."""
    files = {path: parsed(path) for path in site.resolve().rglob("*.html")}
    for path, page in files.items():
        for link in [*page.links, *page.loads]:
            found = target(path, link, site.resolve())
            if found is None:
                continue
            file, name = found
            if not file.exists():
                yield f"{path.relative_to(site.resolve())}: {link} is not there"
            elif name and file in files and name not in files[file].names and name != "__tabbed":
                yield f"{path.relative_to(site.resolve())}: {link} has no such name"


def test_every_page_is_on_the_site(site: Path) -> None:
    for page in PAGES:
        assert (site / address(page) / "index.html").exists(), page


def test_every_link_leads_somewhere(site: Path) -> None:
    assert list(broken(site)) == []


def test_pages_load_from_this_site_only(site: Path) -> None:
    for path in site.rglob("*.html"):
        foreign = [load for load in parsed(path).loads if re.match(r"(?:\w+:)?//", load)]
        assert foreign == [], path
    for path in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(?:https?:)?//", path.read_text("utf-8")), path


def test_no_fence_and_no_formula_is_left_as_text(site: Path) -> None:
    for path in site.rglob("*.html"):
        code = parsed(path).code
        if path.parent.name not in ("fences", "explorer"):  # where fences are shown as text
            assert not any(re.search(r"(?m)^\s*view:\s", text) for text in code), path
        aside = r"(?s)<(code|pre|script|style)\b.*?</\1>"
        text = re.sub(aside, "", path.read_text("utf-8"))
        assert not re.search(r"\$[^$<]*\\[a-z]+|\\\(|\\\[", re.sub(r"<[^>]*>", "", text)), path


def test_two_builds_are_equal(site: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    assert build(ROOT, again).returncode == 0
    files = [path.relative_to(site) for path in sorted(site.rglob("*")) if path.is_file()]
    assert files == [p.relative_to(again) for p in sorted(again.rglob("*")) if p.is_file()]
    names = [str(file) for file in files if file.name != "sitemap.xml.gz"]
    equal, unequal, errors = filecmp.cmpfiles(site, again, names, shallow=False)
    assert (unequal, errors) == ([], [])
    assert len(equal) == len(names)


# -- in a browser ----------------------------------------------------------------------------------


class Seen:
    """What a browser reports of a page."""

    def __init__(self, page: Any, served: str) -> None:
        self.troubles: list[str] = []
        self.outside: list[str] = []
        page.on("console", lambda message: self._said(message))
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("request", lambda request: self._asked(request.url, served))

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning"):
            self.troubles.append(message.text)

    def _asked(self, url: str, served: str) -> None:
        if not url.startswith((served, "data:", "blob:")):
            self.outside.append(url)


@ONCE
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1440, "light")])
def test_a_page_opens_without_trouble(
    browser: Any, served: str, page: str, width: int, scheme: str
) -> None:
    view = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
    try:
        seen = Seen(view, served)
        view.goto(f"{served}/{address(page)}")
        view.wait_for_load_state("load")
        view.wait_for_timeout(100)
        assert seen.troubles == []
        assert seen.outside == []
        assert view.evaluate("document.documentElement.scrollWidth") <= width
        assert view.evaluate("[...document.images].every(i => i.alt && i.naturalWidth)")
    finally:
        view.close()


@ONCE
def test_nobody_is_kept_out_of_a_page(browser: Any, served: str, page: str) -> None:
    """axe-core finds nothing serious, in light and in dark."""
    axe = pytest.importorskip("axe_playwright_python", reason=f"no axe-core: {HOW}")
    script = Path(axe.__file__).with_name("axe.min.js").read_text("utf-8")
    for scheme in ("light", "dark"):
        view = browser.new_page(viewport={"width": 1440, "height": 900}, color_scheme=scheme)
        try:
            view.goto(f"{served}/{address(page)}")
            view.evaluate(script)
            found = view.evaluate("axe.run({resultTypes: ['violations']})")
        finally:
            view.close()
        serious = [
            (v["id"], [node["html"][:160] for node in v["nodes"]][:3], v["help"])
            for v in found["violations"]
            if v["impact"] in ("serious", "critical")
        ]
        assert serious == [], scheme
