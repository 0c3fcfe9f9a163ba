"""Documents as MathML, which browsers show without a script."""

from __future__ import annotations

import html
import itertools
import re
from typing import Any
from xml.dom import minidom
from xml.etree import ElementTree as ET

import sympy
from sympy.printing.mathml import MathMLPresentationPrinter

from tconvjax.rendering.document import Cell, Linked, Row, Sparsity, Stack, Table, Words
from tconvjax.rendering.palette import lit, painted
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
        GeometryError: if a part is too large to show.

    Examples:
        >>> from tconvjax.rendering import array_table
        >>> to_mathml(array_table([[1]])).count("<mn>1</mn>")
        1
    """
    document = as_document(document, dots=False)
    alt = document.alt if isinstance(document, Table) else ""
    shown = _element(document)
    return xml(element("math", shown, xmlns=NAMESPACE, display="block", aria_label=alt))


def element(tag: str, *parts: ET.Element | str, **attributes: Any) -> ET.Element:
    """An element of HTML, MathML or SVG, with its text or its parts.

    The attribute ``kind`` is written ``class``, underscores become hyphens, and attributes that are
    None or "" are left out. Texts and values are cleaned, so the result is always well-formed.
    """
    names = {
        "class" if name == "kind" else name.replace("_", "-"): clean(str(value))
        for name, value in attributes.items()
        if value not in (None, "")
    }
    made = ET.Element(tag, names)
    for part in parts:
        if isinstance(part, str):
            made.text = clean(part)
        else:
            made.append(part)
    return made


def xml(root: ET.Element) -> str:
    """An element as text that is well-formed XML and HTML alike."""
    return ET.tostring(root, encoding="unicode", short_empty_elements=False)


def entry_mathml(entry: Any) -> ET.Element:
    """A number, a sign or an expression; of a long sum the first terms and the last."""
    if terms := long_sum(entry):
        signed = itertools.chain(*((element("mo", "+"), entry_mathml(term)) for term in terms))
        return element("mrow", *itertools.islice(signed, 1, None))
    if isinstance(entry, sympy.Symbol | sympy.Indexed):
        return _name(*name_parts(entry))
    if isinstance(entry, sympy.Basic):
        return _printed(entry)
    if isinstance(entry, str):
        return element("mn" if entry.isdigit() else "mo", entry)
    return element("mn", "0" if entry == 0 else label(entry))


def _element(document: Any) -> ET.Element:
    match document:
        case Words(text) | Sparsity(alt=text) | Linked(alt=text):
            return element("mtext", text)
        case Table():
            return _table(document)
        case Row(parts):
            return element("mrow", *map(_element, parts))
        case Stack(parts):
            cells = (element("mtd", _element(part)) for part in parts)
            return element("mtable", *(element("mtr", cell) for cell in cells))
    return entry_mathml(document)


def _table(table: Table) -> ET.Element:
    lines = []
    for n, row in enumerate(table.cells):
        top = n in table.row_cuts
        cells = (_cell(c, table, top, m in table.column_cuts) for m, c in enumerate(row))
        lines.append(element("mtr", *cells))
    return element("mtable", *lines, style=_BRACKETS if table.brackets else "")


def _cell(cell: Cell, table: Table, top: bool, left: bool) -> ET.Element:
    # MathML Core has no lines of its own; browsers take them from CSS.
    style = [f"border-top:{_LINE}"] if top else []
    style += [f"border-left:{_LINE}"] if left else []
    if not table.brackets:
        style = [f"border:{_LINE}"]
    style += filter(None, [painted(cell.tap, table.taps, table.shows)])
    tap = lit(cell.tap, table.shows)
    return element("mtd", entry_mathml(cell.entry), data_tap=tap, style=";".join(style))


def _name(letter: str, *indices: str) -> ET.Element:
    plain = element("mi", letter)
    if not indices:
        return plain
    row = []
    for n, part in enumerate(indices):
        row += [element("mo", ",", separator="true")] if n else []
        row.append(element("mn" if part.isdigit() else "mi", part))
    return element("msub", plain, element("mrow", *row))


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
