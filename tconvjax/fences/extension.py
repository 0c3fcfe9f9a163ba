"""The Markdown extension: formulas as MathML, and a word for fences that would stay plain code."""

from __future__ import annotations

import html
import re
from typing import Any
from xml.etree import ElementTree as ET

from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor
from markdown.treeprocessors import Treeprocessor

from tconvjax.errors import GeometryError, fail
from tconvjax.fences.places import place
from tconvjax.fences.sheet import Sheet
from tconvjax.fences.tex import mathml_element

_FENCE = re.compile(r"[\s>]*(`{3,}|~{3,})\s*(.*)")


class _Formulas(Treeprocessor):
    """Puts MathML in the place of what arithmatex has marked as TeX."""

    def run(self, root: ET.Element) -> None:
        for element in root.iter():
            if "arithmatex" in element.get("class", "").split():
                self._set(element)

    def _set(self, element: ET.Element) -> None:
        display = element.tag == "div"
        # Blocks come escaped, since arithmatex expects that a browser reads them.
        tex = (html.unescape(element.text or "") if display else element.text or "").strip()[2:-2]
        try:
            math = mathml_element(tex, display)
        except GeometryError as error:
            first = next((line for line in tex.splitlines() if line.strip()), "")
            raise GeometryError(f"{place(self.md, [first])}{error}") from None
        element.text = None
        element.append(math)
        if display:  # a long one scrolls, and the page does not
            element.set("style", "overflow-x:auto;overflow-y:hidden")


class _Heads(Preprocessor):
    """Refuses a fence with more than its name in its head.

    superfences takes a head that it cannot read, such as ``tconv kernel=3``, for plain code, and a
    strict build passes.
    """

    def run(self, lines: list[str]) -> list[str]:
        closing = ""
        for line in lines:
            found = _FENCE.match(line)
            if found and not closing:
                closing = found[1]
                name, _, head = found[2].partition(" ")
                if name == "tconv" and head.strip():
                    self._refuse(line, head.strip())
            elif found and found[1].startswith(closing) and not found[2]:
                closing = ""
        return lines

    def _refuse(self, line: str, head: str) -> None:
        try:
            fail(
                "fence",
                head[:60],
                "its keys stand in its body, and its head is 'tconv' alone",
                "write them below, one a line, as 'kernel: 3'",
            )
        except GeometryError as error:
            raise GeometryError(f"{place(self.md, [line])}tconv {error}") from None


class _Fences(Extension):
    """TeX as MathML, and the style of what the ``tconv`` fences of a page show."""

    def extendMarkdown(self, md: Markdown) -> None:
        md.registerExtensions(["pymdownx.arithmatex"], {"pymdownx.arithmatex": {"generic": True}})
        # After the inline patterns (20), which find the formulas; before superfences (25).
        md.treeprocessors.register(_Formulas(md), "tconv-tex", 15)
        md.preprocessors.register(_Heads(md), "tconv-heads", 26)
        Sheet.of(md)


def makeExtension(**options: Any) -> Extension:
    """The Markdown extension, as ``markdown_extensions: [tconvjax.fences]`` finds it.

    Args:
        **options: there are none.

    Returns:
        An extension that sets ``$...$`` and ``$$...$$`` as MathML.

    Raises:
        GeometryError: if there are options.

    Examples:
        >>> import markdown
        >>> html = markdown.markdown("$x^2$", extensions=["tconvjax.fences"])
        >>> html.count("<msup>")
        1
    """
    if options:
        fail("options", sorted(options), "the extension has none", "leave them out")
    return _Fences()
