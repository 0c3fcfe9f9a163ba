"""Documents as HTML, in which pointing at a tap lights it wherever it stands."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree as ET

from tconvjax.arguments import flag
from tconvjax.rendering.document import Cell, Linked, Row, Sparsity, Stack, Table, Words
from tconvjax.rendering.mathml import NAMESPACE, entry_mathml, xml
from tconvjax.rendering.palette import colour, ink
from tconvjax.rendering.svg import svg_element
from tconvjax.rendering.text import short
from tconvjax.rendering.values import as_document

STYLE = (
    ".tconv{overflow-x:auto}"
    ".tconv .row{display:flex;flex-wrap:wrap;align-items:center;gap:.8em;margin:.6em 0}"
    ".tconv table{display:inline-table;border-collapse:collapse;width:auto;margin:0;"
    "font:13px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}"
    ".tconv table caption{caption-side:top;padding:0 0 .3em;font:inherit;color:inherit}"
    ".tconv table td{min-width:2em;padding:.25em .4em;border:0;text-align:center;line-height:1.4}"
    ".tconv table.squares td{border:1px solid rgba(128,128,128,.6)}"
    ".tconv table.brackets{border-collapse:separate;border-spacing:0;padding:0 5px;"
    "border-left:2px solid;border-right:2px solid;background:"
    "linear-gradient(currentColor,currentColor) 0 0/5px 2px no-repeat,"
    "linear-gradient(currentColor,currentColor) 100% 0/5px 2px no-repeat,"
    "linear-gradient(currentColor,currentColor) 0 100%/5px 2px no-repeat,"
    "linear-gradient(currentColor,currentColor) 100% 100%/5px 2px no-repeat}"
    ".tconv td.cut-left{border-left:2px solid #888!important}"
    ".tconv td.cut-top{border-top:2px solid #888!important}"
    ".tconv table.squares td.cut-top{border-top-width:4px!important}"
    ".tconv .faint{opacity:.45}"
    ".tconv .zero{opacity:.5}"
    ".tconv svg text{pointer-events:none}"
)


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
    block = ET.Element("div", {"class": "tconv"})
    if flag("style", style):
        ET.SubElement(block, "style").text = sheet(most_taps(shown))
    block.append(_element(shown))
    return xml(block)


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
            element = ET.Element(f"h{level + 2}" if level else "p")
            element.text = text
            return element
        case Row(parts):
            row = ET.Element("div", {"class": "row"})
            row.extend([_element(part) for part in parts])
            return row
        case Table():
            return _table(document)
        case Sparsity() | Linked():
            return svg_element(document)
        case Stack(parts):
            block = ET.Element("div")
            for part in parts:
                element = _element(part)
                inline = element.tag in ("table", "svg")
                holder = ET.SubElement(block, "div", {"class": "row"}) if inline else block
                holder.append(element)
            return block
        case str():
            sign = ET.Element("span")
            sign.text = document
            return sign
    math = ET.Element("math", {"xmlns": NAMESPACE})
    math.append(entry_mathml(document))
    return math


def _table(table: Table) -> ET.Element:
    kind = "brackets" if table.brackets else "squares"
    element = ET.Element("table", {"class": kind})
    if table.alt:
        element.set("aria-label", table.alt)
    if table.name:
        ET.SubElement(element, "caption").text = table.name
    body = ET.SubElement(element, "tbody")
    for n, row in enumerate(table.cells):
        line = ET.SubElement(body, "tr")
        for m, cell in enumerate(row):
            line.append(_cell(cell, table, n, m))
    return element


def _cell(cell: Cell, table: Table, row: int, column: int) -> ET.Element:
    element = ET.Element("td")
    kinds = {
        "cut-top": row in table.row_cuts,
        "cut-left": column in table.column_cuts,
        "faint": cell.faint,
        "zero": not isinstance(cell.entry, str) and cell.entry == 0,
    }
    if any(kinds.values()):
        element.set("class", " ".join(kind for kind, holds in kinds.items() if holds))
    if cell.title:
        element.set("title", cell.title)
    if cell.tap is not None:
        back = colour(cell.tap, table.taps)
        element.set("style", f"background:{back};color:{ink(back)}")
        element.set("data-tap", str(cell.tap))
    plain = isinstance(cell.entry, str) or not getattr(cell.entry, "free_symbols", None)
    if plain:
        element.text = short(cell.entry)
    else:
        ET.SubElement(element, "math").append(entry_mathml(cell.entry))
    return element
