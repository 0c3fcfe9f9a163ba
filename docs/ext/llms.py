"""A file for language models: what the site is, and each page in a line (https://llmstxt.org).

``mkdocs.yml`` names this file under ``hooks``. It is no part of the package.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

_NAVIGATION: list[Any] = []


def on_nav(nav: Any, **_: Any) -> None:
    """Keep the menu, whose pages get their titles and descriptions while they are built."""
    _NAVIGATION[:] = [nav]


def on_post_build(config: Any, **_: Any) -> None:
    """Write ``llms.txt`` beside the home page."""
    (nav,) = _NAVIGATION
    lines = [f"# {config['site_name']}", "", f"> {config['site_description']}", ""]
    for item in nav.items:
        if item.children:
            lines += [f"## {item.title}", ""]
        lines += [
            f"- [{page.title}]({config['site_url'] or ''}{page.url or 'index.html'}): "
            f"{page.meta['description']}"
            for page in _pages(item)
        ]
        lines += [""]
    Path(config["site_dir"], "llms.txt").write_text("\n".join(lines), "utf-8")


def _pages(item: Any) -> Iterator[Any]:
    """The pages of a part of the menu, in its order."""
    if item.is_page:
        yield item
    for child in item.children or ():
        yield from _pages(child)
