"""What the fences of a page share, written into it once: their style, and the explorer's script."""

from __future__ import annotations

from typing import Any

from markdown.postprocessors import Postprocessor

from tconvjax.rendering import html

_NAME = "tconv-sheet"
FIGURE = '<figure class="tconv-figure'
"""How each figure begins."""

_STYLE = (
    # Twice the class, to stand above what a theme says of figures.
    ".tconv-figure.tconv-figure{margin:1.2em 0;max-width:100%;width:auto;text-align:left;"
    "display:block}"
    ".tconv-figure.tconv-figure figcaption{margin:.4em 0 0;max-width:none;font-style:italic;"
    "text-align:left}"
    ".tconv-figure pre{margin:0}"
    "@media print{.tconv-figure{break-inside:avoid}}"
)


class Sheet(Postprocessor):
    """Remembers what the figures of a page need, and puts it before the page's text."""

    def __init__(self, md: Any) -> None:
        """Of one Markdown instance."""
        super().__init__(md)
        self.taps = -1
        self.script = ""

    @classmethod
    def of(cls, md: Any) -> Sheet:
        """The sheet of an instance, which is made if it has none."""
        if _NAME not in md.postprocessors:
            # Below raw_html (30), which puts figures into the page: what is added stays as it is.
            md.postprocessors.register(cls(md), _NAME, 5)
        found: Sheet = md.postprocessors[_NAME]
        return found

    def run(self, text: str) -> str:
        """The page with its style before it and its script after it, and nothing to remember.

        The table of contents has each heading run through here too, before the page.
        """
        if FIGURE not in text:
            return text
        head = f"<style>{_STYLE}{html.sheet(self.taps)}</style>\n" if self.taps >= 0 else ""
        tail = f"\n<script>{self.script}</script>" if self.script else ""
        self.taps, self.script = -1, ""
        return head + text + tail
