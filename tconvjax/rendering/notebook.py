"""What a notebook and a terminal ask of an object that shows itself (`tconvjax.shown`)."""

from __future__ import annotations

from typing import Any

from tconvjax.errors import GeometryError
from tconvjax.rendering.html import to_html
from tconvjax.rendering.latex import to_latex
from tconvjax.rendering.svg import to_svg
from tconvjax.rendering.text import to_text
from tconvjax.rendering.values import as_document

MOST_SET = 16
"""Maximum rows and columns of a matrix in a formula, which has the width of a page."""


def shown(value: Any, form: str) -> str | None:
    """The value as "html", "latex", "svg" or "text"; None for what is too large to draw."""
    try:
        match form:
            case "html":
                return to_html(value)
            case "latex":
                formula = to_latex(as_document(value, most=MOST_SET, dots=False))
                return f"$\\displaystyle {formula}$"
            case "svg":
                return to_svg(value)
            case _:
                return to_text(value)
    except GeometryError:
        return None
