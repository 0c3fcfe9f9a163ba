"""Documents as MathML, which browsers show without a script."""

from __future__ import annotations

import html
import re
from typing import Any
from xml.dom import minidom
from xml.etree import ElementTree as ET

import sympy
from sympy.printing.mathml import MathMLPresentationPrinter

from tconvjax.rendering.document import Cell, Linked, Row, Sparsity, Stack, Table, Words
from tconvjax.rendering.latex import check_entries
from tconvjax.rendering.palette import colour, ink
from tconvjax.rendering.text import clean, label, long_sum, name_parts
from tconvjax.rendering.values import as_document

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
_LINE = "2px solid #888"
_BRACKETS = "border-left:2px solid;border-right:2px solid;border-radius:.4em"
_BRACE = "border-left:2px solid;border-radius:.4em"
"""Brackets that grow with their matrix, which those of many fonts do not."""


def to_mathml(document: Any) -> str:
    """A document, or anything that can be looked at, as a displayed formula of MathML.

    Args:
        document: a document, a matrix, a `Geometry` or any other argument of `as_document`;
            pictures become the words that describe them.

    Returns:
        A ``math`` element with everything that a browser needs.

    Raises:
        GeometryError: if a table has more than 4096 entries, which no page shows.

    Examples:
        >>> from tconvjax.rendering import array_table
        >>> to_mathml(array_table([[1]])).count("<mn>1</mn>")
        1
    """
    document = as_document(document, dots=False)
    math = ET.Element("math", {"xmlns": NAMESPACE, "display": "block"})
    if isinstance(document, Table) and document.alt:
        math.set("aria-label", document.alt)
    math.append(_element(document))
    return xml(math)


def xml(root: ET.Element) -> str:
    """An element as text that is well-formed XML and HTML alike, whatever its texts hold."""
    for element in root.iter():
        element.text = element.text and clean(element.text)
        element.tail = element.tail and clean(element.tail)
        for name, value in element.attrib.items():
            element.set(name, clean(value))
    return ET.tostring(root, encoding="unicode", short_empty_elements=False)


def entry_mathml(entry: Any) -> ET.Element:
    """A number, a sign or an expression; of a long sum the first terms and the last."""
    if terms := long_sum(entry):
        row = ET.Element("mrow")
        for n, part in enumerate(terms):
            if n:
                ET.SubElement(row, "mo").text = "+"
            row.append(entry_mathml(part))
        return row
    if isinstance(entry, sympy.Symbol | sympy.Indexed):
        return _name(*name_parts(entry))
    if isinstance(entry, sympy.Basic):
        return _printed(entry)
    sign = isinstance(entry, str) and not entry.isdigit()
    element = ET.Element("mo" if sign else "mn")
    element.text = entry if isinstance(entry, str) else "0" if entry == 0 else label(entry)
    return element


def _element(document: Any) -> ET.Element:
    match document:
        case Words(text) | Sparsity(alt=text) | Linked(alt=text):
            element = ET.Element("mtext")
            element.text = text
            return element
        case Table():
            return _table(document)
        case Row(parts):
            row = ET.Element("mrow")
            row.extend([_element(part) for part in parts])
            return row
        case Stack(parts):
            table = ET.Element("mtable")
            for part in parts:
                cell = ET.SubElement(ET.SubElement(table, "mtr"), "mtd")
                cell.append(_element(part))
            return table
    return entry_mathml(document)


def _table(table: Table) -> ET.Element:
    check_entries(table)
    grid = ET.Element("mtable", {"style": _BRACKETS} if table.brackets else {})
    for n, row in enumerate(table.cells):
        line = ET.SubElement(grid, "mtr")
        for m, cell in enumerate(row):
            # MathML Core has no lines of its own; browsers take them from CSS.
            edges = {"top": n in table.row_cuts, "left": m in table.column_cuts}
            style = [f"border-{edge}:{_LINE}" for edge, cut in edges.items() if cut]
            line.append(_cell(cell, table, style if table.brackets else [f"border:{_LINE}"]))
    return grid


def _cell(cell: Cell, table: Table, style: list[str]) -> ET.Element:
    element = ET.Element("mtd")
    if cell.tap is not None:
        back = colour(cell.tap, table.taps)
        style = [*style, f"background:{back}", f"color:{ink(back)}"]
        element.set("data-tap", str(cell.tap))
    if style:
        element.set("style", ";".join(style))
    element.append(entry_mathml(cell.entry))
    return element


def _name(letter: str, *indices: str) -> ET.Element:
    plain = ET.Element("mi")
    plain.text = letter
    if not indices:
        return plain
    scripted = ET.Element("msub")
    scripted.append(plain)
    row = ET.SubElement(scripted, "mrow")
    for n, part in enumerate(indices):
        if n:
            ET.SubElement(row, "mo", {"separator": "true"}).text = ","
        ET.SubElement(row, "mn" if part.isdigit() else "mi").text = part
    return scripted


class _Printer(MathMLPresentationPrinter):  # type: ignore[misc]  # SymPy has no types
    """SymPy's printer, with the names of this package."""

    def _print_Symbol(self, symbol: Any, style: str = "plain") -> Any:
        text = xml(_name(*name_parts(symbol)))
        return minidom.parseString(text).documentElement  # noqa: S318

    _print_Indexed = _print_Symbol

    def _print_AppliedUndef(self, entry: Any) -> Any:
        # SymPy writes the name of a function as if it were XML already.
        row = self.dom.createElement("mrow")
        row.appendChild(self._print_Symbol(sympy.Symbol(entry.func.__name__)))
        row.appendChild(self._paren_comma_separated(*entry.args))
        return row

    def _print_Piecewise(self, entry: Any) -> Any:
        """A line for each case, behind one brace."""
        table = self.dom.createElement("mtable")
        table.setAttribute("style", _BRACE)
        for value, condition in entry.args:
            line = table.appendChild(self.dom.createElement("mtr"))
            parts = [self._print(value), self._text("mtext", "otherwise")]
            if condition != sympy.true:
                parts[1:] = [self._text("mtext", "if"), self._print(condition)]
            for part in parts:
                line.appendChild(self.dom.createElement("mtd")).appendChild(part)
        return table

    def _text(self, kind: str, text: str) -> Any:
        element = self.dom.createElement(kind)
        element.appendChild(self.dom.createTextNode(text))
        return element


def _printed(entry: sympy.Basic) -> ET.Element:
    # It names operators by HTML's entities, of which XML knows five.
    text = re.sub(
        r"&(?!amp;|lt;|gt;|quot;|apos;)\w+;",
        lambda m: html.unescape(m[0]),
        clean(_Printer().doprint(entry)),
    )
    return ET.fromstring(f"<mrow>{text}</mrow>")  # noqa: S314 - SymPy has just written it
