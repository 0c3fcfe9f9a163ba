"""Documents as MathML, which browsers show without a script."""

from __future__ import annotations

import html
import re
from typing import Any
from xml.etree import ElementTree as ET

import sympy
from sympy.printing.mathml import MathMLPresentationPrinter

from tconvjax.rendering.checks import clean, no_document, xml
from tconvjax.rendering.document import (
    DOTS_ACROSS,
    Abridged,
    Beside,
    Cell,
    Document,
    Equation,
    Linked,
    Sparsity,
    Stack,
    Table,
    Words,
)
from tconvjax.rendering.labels import abridged, label, label_of_index
from tconvjax.rendering.latex import check_entries
from tconvjax.rendering.palette import colour, ink
from tconvjax.rendering.tables import matrix_table

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_LINE = "2px solid #888"
_BRACKETS = "border-left:2px solid;border-right:2px solid;border-radius:.4em"
"""Brackets that grow with their matrix, which those of many fonts do not."""


def to_mathml(document: Document) -> str:
    """A document as one displayed formula of presentation MathML.

    Args:
        document: any; pictures become the words that describe them.

    Returns:
        A ``math`` element with everything that a browser needs.

    Raises:
        GeometryError: if a table has more than 4096 entries, which no page shows.

    Examples:
        >>> from tconvjax.rendering import array_table
        >>> to_mathml(array_table([[1]])).count("<mn>1</mn>")
        1
    """
    math = ET.Element("math", {"xmlns": NAMESPACE, "display": "block"})
    if isinstance(document, Table) and document.alt:
        math.set("aria-label", document.alt)
    math.append(_element(document))
    return xml(math)


def expression_mathml(entry: Any) -> ET.Element:
    """A number or an expression; of a sum of many terms the first and the last."""
    entry = abridged(entry)
    if isinstance(entry, Abridged):
        return _sum(entry)
    if isinstance(entry, str):
        sign = ET.Element("mn" if entry.isdigit() else "mo")
        sign.text = entry
        return sign
    if isinstance(entry, sympy.Symbol):
        return _name(*entry.name.split("_"))
    if isinstance(entry, sympy.Indexed):
        return _name(entry.base.name, *map(label_of_index, entry.indices))
    if isinstance(entry, sympy.Basic):
        return _printed(entry)
    number = ET.Element("mn")
    number.text = "0" if entry == 0 else label(entry)
    return number


def _sum(entry: Abridged) -> ET.Element:
    row = ET.Element("mrow")
    for n, part in enumerate((*entry.first, DOTS_ACROSS, *entry.last)):
        if n:
            ET.SubElement(row, "mo").text = "+"
        row.append(expression_mathml(part))
    return row


def _element(document: Any) -> ET.Element:
    match document:
        case Words(text):
            element = ET.Element("mtext")
            element.text = text
            return element
        case Table():
            return _table(document)
        case Equation(parts) | Beside(parts):
            row = ET.Element("mrow")
            row.extend([_part(part) for part in parts])
            return row
        case Stack(parts):
            table = ET.Element("mtable")
            for part in parts:
                cell = ET.SubElement(ET.SubElement(table, "mtr"), "mtd")
                cell.append(_element(part))
            return table
        case Sparsity() | Linked():
            return _element(Words(document.alt))
        case _:
            return no_document(document)


def _part(part: Any) -> ET.Element:
    if isinstance(part, Words | Equation | Beside | Table | Sparsity | Linked | Stack):
        return _element(part)
    if isinstance(part, sympy.MatrixBase):
        return _table(matrix_table(part))
    return expression_mathml(part)


def _table(table: Table) -> ET.Element:
    check_entries(*table.shape)
    grid = ET.Element("mtable", {"style": _BRACKETS} if table.brackets else {})
    for n, row in enumerate(table.cells):
        line = ET.SubElement(grid, "mtr")
        for m, cell in enumerate(row):
            # MathML Core has no lines of its own; browsers take them from CSS.
            edges = {"top": n in table.row_cuts, "left": m in table.column_cuts}
            style = [f"border-{edge}:{_LINE}" for edge, wanted in edges.items() if wanted]
            if not table.brackets:
                style = [f"border:{_LINE}"]
            line.append(_cell(cell, table, style))
    return grid


def _cell(cell: Cell, table: Table, style: list[str]) -> ET.Element:
    element = ET.Element("mtd")
    if cell.tap is not None:
        back = colour(cell.tap, table.taps)
        style = [*style, f"background:{back}", f"color:{ink(back)}"]
        element.set("data-tap", str(cell.tap))
    if style:
        element.set("style", ";".join(style))
    element.append(expression_mathml(cell.entry))
    return element


def _name(letter: str, *index: str) -> ET.Element:
    plain = ET.Element("mi")
    plain.text = letter
    if not index:
        return plain
    scripted = ET.Element("msub")
    scripted.append(plain)
    row = ET.SubElement(scripted, "mrow")
    for n, part in enumerate(index):
        if n:
            ET.SubElement(row, "mo", {"separator": "true"}).text = ","
        ET.SubElement(row, "mn" if part.isdigit() else "mi").text = part
    return scripted


class _Printer(MathMLPresentationPrinter):  # type: ignore[misc]  # SymPy has no types
    """SymPy's printer, with the names of this package."""

    def _print_Symbol(self, symbol: Any, style: str = "plain") -> Any:
        from xml.dom import minidom

        text = xml(_name(*symbol.name.split("_")))
        return minidom.parseString(text).documentElement  # noqa: S318

    def _print_AppliedUndef(self, entry: Any) -> Any:
        # SymPy writes the name of a function as if it were XML already.
        row = self.dom.createElement("mrow")
        row.appendChild(self._print_Symbol(sympy.Symbol(entry.func.__name__)))
        row.appendChild(self._paren_comma_separated(*entry.args))
        return row

    def _print_Indexed(self, entry: Any) -> Any:
        indices = "_".join(map(label_of_index, entry.indices))
        return self._print_Symbol(sympy.Symbol(f"{entry.base.name}_{indices}"))


def _printed(entry: sympy.Basic) -> ET.Element:
    # It names operators by HTML's entities, of which XML knows five.
    text = re.sub(
        r"&(?!amp;|lt;|gt;|quot;|apos;)\w+;",
        lambda m: html.unescape(m[0]),
        clean(_Printer().doprint(entry)),
    )
    return ET.fromstring(f"<mrow>{text}</mrow>")  # noqa: S314 - SymPy has just written it
