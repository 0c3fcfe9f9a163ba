"""Documents as HTML, in which pointing at a tap lights it wherever it stands."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from tconvjax.arguments import flag
from tconvjax.rendering.document import Cell, Linked, Row, Sparsity, Stack, Table, Words
from tconvjax.rendering.mathml import NAMESPACE, element, entry_mathml, xml
from tconvjax.rendering.palette import lit, painted
from tconvjax.rendering.svg import svg_element
from tconvjax.rendering.text import short
from tconvjax.rendering.values import as_document

# Rules with an ID, though nothing has it, are stronger than those that a theme has for all tables.
STYLE = (
    ".tconv{overflow-x:auto}"
    ".tconv .tconv-row{display:flex;flex-wrap:wrap;align-items:center;gap:.8em;margin:.6em 0}"
    ".tconv .tconv-row>div{margin:0;overflow:visible}"
    ".tconv table{display:inline-table;border-collapse:collapse;width:auto;margin:0;"
    "font:13px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}"
    ".tconv table caption{caption-side:top;padding:0 0 .3em;font:inherit;color:inherit;"
    "text-align:center}"
    ".tconv table td{min-width:2em;padding:.25em .4em;border:0!important;"
    "box-shadow:none;background:none;color:inherit;font:inherit;line-height:1.4;text-align:center;vertical-align:middle;"
    "white-space:normal}"
    ".tconv table td:empty::before{content:'\\a0'}"
    ".tconv table.tconv-squares td{border:1px solid rgba(128,128,128,.6)!important}"
    ".tconv table.tconv-brackets{border-collapse:separate;border-spacing:0;padding:0 5px;"
    "border-left:2px solid;border-right:2px solid;background:"
    "linear-gradient(currentColor,currentColor) 0 0/5px 2px no-repeat,"
    "linear-gradient(currentColor,currentColor) 100% 0/5px 2px no-repeat,"
    "linear-gradient(currentColor,currentColor) 0 100%/5px 2px no-repeat,"
    "linear-gradient(currentColor,currentColor) 100% 100%/5px 2px no-repeat}"
    ".tconv td.tconv-cut-left{border-left:2px solid #888!important}"
    ".tconv td.tconv-cut-top{border-top:2px solid #888!important}"
    ".tconv table.tconv-squares td.tconv-cut-top{border-top-width:4px!important}"
    ".tconv .tconv-faint{opacity:.7}"
    ".tconv table.tconv-squares td.tconv-faint{border-style:dashed!important}"
    ".tconv .tconv-zero{opacity:.5}"
    ".tconv svg text{pointer-events:none}"
).replace(".tconv ", ":is(.tconv,#_) ")


def to_html(document: Any, *, style: bool = True) -> str:
    """A document, or anything that can be looked at, as a block of HTML for light and dark pages.

    Args:
        document: a document, a matrix, a `Geometry` or any other argument of `as_document`.
        style: whether to include the style sheet; once on a page is enough.

    Returns:
        A ``div``: tables with their cells coloured by tap, equations as MathML, pictures as SVG. It
        has no script, loads nothing, and is well-formed XML too.

    Raises:
        GeometryError: if a part is too large to show.

    Examples:
        >>> from tconvjax.rendering import array_table
        >>> to_html(array_table([[1, 2]]), style=False).count("<td")
        2
    """
    shown = as_document(document)
    sheets = [element("style", sheet(most_taps(shown)))] if flag("style", style) else []
    return xml(element("div", *sheets, _element(shown), kind="tconv"))


def sheet(taps: int) -> str:
    """The style of documents with so many taps, with a rule for each that lights all its cells."""
    return STYLE + "".join(
        f'.tconv:has([data-tap="{n}"]:hover) [data-tap="{n}"]'
        "{outline:3px solid;outline-offset:-3px;stroke-width:3}"
        for n in range(min(taps, 64))
    )


def most_taps(document: Any) -> int:
    """The colours of the part of a document that has the most."""
    match document:
        case Table(taps=taps) | Sparsity(taps=taps):
            return taps
        case Linked(parts) | Stack(parts) | Row(parts):
            return max(map(most_taps, parts), default=0)
    return 0


def _element(document: Any) -> ET.Element:
    match document:
        case Words(text, level):
            return element(f"h{level + 2}" if level else "p", text)
        case Row(parts):
            return element("div", *map(_element, parts), kind="tconv-row")
        case Table():
            return _table(document)
        case Sparsity() | Linked():
            return svg_element(document)
        case Stack(parts):
            shown = map(_element, parts)  # tables and pictures get a row of their own
            lone = ("table", "svg")
            rows = (element("div", s, kind="tconv-row") if s.tag in lone else s for s in shown)
            return element("div", *rows)
        case str():
            return element("span", document)
    return element("math", entry_mathml(document), xmlns=NAMESPACE)


def _table(table: Table) -> ET.Element:
    caption = [element("caption", table.name)] if table.name else []
    lines = []
    for n, row in enumerate(table.cells):
        lines.append(element("tr", *(_cell(cell, table, n, m) for m, cell in enumerate(row))))
    kind = "tconv-brackets" if table.brackets else "tconv-squares"
    return element("table", *caption, element("tbody", *lines), kind=kind, aria_label=table.alt)


def _cell(cell: Cell, table: Table, row: int, column: int) -> ET.Element:
    kinds = {
        "tconv-cut-top": row in table.row_cuts,
        "tconv-cut-left": column in table.column_cuts,
        "tconv-faint": cell.faint,
        "tconv-zero": not isinstance(cell.entry, str) and cell.entry == 0,
    }
    plain = isinstance(cell.entry, str) or not getattr(cell.entry, "free_symbols", None)
    return element(
        "td",
        short(cell.entry) if plain else element("math", entry_mathml(cell.entry)),
        kind=" ".join(kind for kind, holds in kinds.items() if holds),
        title=cell.title,
        style=painted(cell.tap, table.taps, table.shows),
        data_tap=lit(cell.tap, table.shows),
    )
