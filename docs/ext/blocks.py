"""Pages as readers want them: blocks of code without marks for other programs, and a description.

``mkdocs.yml`` names this file under ``hooks``. It is no part of the package.
"""

from __future__ import annotations

import re
from html import unescape
from typing import Any


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Name the language of a block that begins with a prompt, so that its outputs are no Python."""
    return re.sub(r"(?m)^( *```)python(\n *>>> )", r"\1pycon\2", markdown)


def on_page_content(html: str, page: Any, **_: Any) -> str:
    """Leave out what doctest and linters need and no reader does.

    The first sentences of a page describe it to search engines, unless its head does.
    """
    first = re.search(r"(?s)<p>(.*?)</p>", html)
    words = " ".join(unescape(re.sub(r"<[^>]*>", "", first[1])).split()) if first else ""
    sentences = re.match(r".{1,180}(?:[.:](?= |$)|。)|.{0,160}", words)
    page.meta.setdefault("description", sentences[0].removesuffix(":") if sentences else "")
    mark = (
        r' *(?:<span class="w"> *</span>)?<span class="c1"># (?:fmt: skip|noqa|type: )[^<]*</span>'
    )
    return re.sub(mark, "", html.replace("&lt;BLANKLINE&gt;", ""))
