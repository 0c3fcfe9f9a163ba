"""The Chinese pages as a site of their own: menu, words of the theme, twins, and spaces.

``mkdocs.yml`` names this file under ``hooks``. It is no part of the package. The file
``theme/partials/language.html`` chooses the theme's own words.
"""

from __future__ import annotations

import copy
import re
from typing import Any

FOLDER = "zh/"
MENU = "中文"
"""Title of the section of the menu whose children are the menu of the Chinese pages."""

WORDS = {
    'title="Switch to dark mode"': 'title="切换到深色模式"',
    'aria-label="Switch to dark mode"': 'aria-label="切换到深色模式"',
    'title="Switch to light mode"': 'title="切换到浅色模式"',
    'aria-label="Switch to light mode"': 'aria-label="切换到浅色模式"',
    'title="Permanent link"': 'title="本节链接"',
    "Made with": "制作工具：",
}
"""What Material and Markdown write in English whatever the language is."""

_WIDE = "\u3000-\u303f\u3400-\u9fff\uff00-\uffef“”‘’…—"
_MARKS = "\u3000-\u303f\uff00-\uffef"
_TAGS = r"(?:</?(?!br\b)[a-z][^<>]*>)*"
_SPACES = re.compile(
    rf"([{_WIDE}]{_TAGS})\s+(?={_TAGS}[{_WIDE}])"
    rf"|([{_MARKS}]{_TAGS})\s+(?={_TAGS}\S)|(\S)\s+(?={_TAGS}[{_MARKS}])"
)


def joined(html: str) -> str:
    """Leave out spaces between Chinese characters: those of line ends and around stressed words."""
    parts = re.split(r"(?s)(<(pre|script|style|svg)\b.*?</\2>)", html)
    # A group of the pattern follows each part that matched it.
    texts = [part for n, part in enumerate(parts) if n % 3 < 2]
    return "".join(
        text if n % 2 else _SPACES.sub(lambda m: m[1] or m[2] or m[3], text)
        for n, text in enumerate(texts)
    )


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Leave out the spaces of a Chinese page."""
    return joined(html) if page.url.startswith(FOLDER) else html


def on_page_context(context: Any, page: Any, config: Any, nav: Any, **_: Any) -> Any:
    """Give a page the menu of its language, and the address of its twin."""
    chinese = page.url.startswith(FOLDER)
    (section,) = [item for item in nav.items if item.title == MENU] or [None]
    if section is None:
        return context
    menu = copy.copy(nav)
    menu.items = section.children if chinese else [i for i in nav.items if i is not section]
    menu.homepage = section.children[0] if chinese else nav.homepage
    pages = {each.url: each for each in nav.pages}
    path = page.url.removeprefix(FOLDER) if chinese else FOLDER + page.url
    twin, names = pages.get(path), (("zh-Hans", "中文"), ("en", "English"))
    lang, name = names[chinese]
    home = nav.homepage.url if chinese else FOLDER
    context["nav"] = menu
    context["other"] = {"url": twin.url if twin else home, "lang": lang, "name": name}
    if twin:
        both = {lang: twin.url, names[not chinese][0]: page.url}
        site = config["site_url"] or ""
        context["twins"] = {key: site + url for key, url in sorted(both.items())}
    for side in ("previous_page", "next_page"):
        beside = getattr(page, side)
        if beside and beside.url.startswith(FOLDER) != chinese:
            setattr(page, side, None)
    return context


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """Translate the words that no partial of the theme translates."""
    if page.url.startswith(FOLDER):
        for english, words in WORDS.items():
            output = output.replace(english, words)
    return output
