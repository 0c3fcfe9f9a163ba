"""Blocks of code as readers want them: prompts apart from outputs, and no marks for other programs.

``mkdocs.yml`` names this file under ``hooks``. It is no part of the package.
"""

from __future__ import annotations

import re
from typing import Any


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Name the language of a block that begins with a prompt, so that its outputs are no Python."""
    return re.sub(r"(?m)^( *```)python(\n *>>> )", r"\1pycon\2", markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Leave out what doctest and linters need and no reader does."""
    mark = (
        r' *(?:<span class="w"> *</span>)?<span class="c1"># (?:fmt: skip|noqa|type: )[^<]*</span>'
    )
    return re.sub(mark, "", html.replace("&lt;BLANKLINE&gt;", ""))
