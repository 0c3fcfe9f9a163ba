"""Documents as LaTeX, for papers and for notebooks."""

from __future__ import annotations

from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter

from tconvjax.arguments import flag
from tconvjax.rendering.document import Cell, Linked, Row, Sparsity, Stack, Table, Words
from tconvjax.rendering.palette import colour, rgb
from tconvjax.rendering.text import clean, label, long_sum
from tconvjax.rendering.values import as_document

_SIGNS = {
    "⋯": r"\cdots",
    "⋮": r"\vdots",
    "⋱": r"\ddots",
    "→": r"\to",
    "≠": r"\neq",
    "·": r"\cdot",
    "×": r"\times",
    "⊗": r"\otimes",
    "∂y/∂x": r"\partial y/\partial x",
}
_ESCAPED = {letter: f"\\{letter}" for letter in "{}$&#%_"}
_ESCAPED |= {"\\": r"\textbackslash{}", "^": r"\^{}", "~": r"\~{}"}


def to_latex(document: Any, *, colours: bool = True) -> str:
    r"""A document, or anything that can be looked at, as one formula without dollar signs.

    Args:
        document: a document, a matrix, a `Geometry` or any other argument of `as_document`;
            pictures become the words that describe them.
        colours: a colour for each tap, as ``\textcolor[RGB]{...}``, which xcolor and MathJax read.

    Returns:
        LaTeX that needs amsmath, and xcolor for the colours.

    Raises:
        GeometryError: if a part is too large to show.

    Examples:
        >>> from tconvjax import Geometry, symbolic
        >>> C = symbolic.conv_matrix(Geometry.of_conv((1, 3), (1, 1, 2)))
        >>> print(to_latex(C, colours=False))
        \left[\begin{array}{ccc}w_{0} & w_{1} & 0\\0 & w_{0} & w_{1}\end{array}\right]
    """
    return _latex(as_document(document, dots=False), flag("colours", colours))


def _latex(document: Any, colours: bool) -> str:
    match document:
        case Words(text, level):
            return rf"\{'textbf' if level else 'text'}{{{_escaped(text)}}}"
        case Row(parts):
            return " ".join(_latex(part, colours) for part in parts)
        case Table():
            return _table(document, colours)
        case Sparsity(alt=alt) | Linked(alt=alt):
            return rf"\text{{{_escaped(alt)}}}"
        case Stack(parts):
            lines = r"\\[1ex]".join(_latex(part, colours) for part in parts)
            return rf"\begin{{gathered}}{lines}\end{{gathered}}"
    return _entry(document)


def _entry(entry: Any) -> str:
    """A number or an expression, the index of a name set close: ``w_{0,1}``."""
    if isinstance(entry, str):
        return _SIGNS.get(entry) or _verbatim(entry)
    if long_sum(entry):
        return " + ".join(map(_entry, long_sum(entry)))
    if isinstance(entry, int | float | complex):
        entry = sympy.sympify(entry)
    if isinstance(entry, sympy.Basic):
        return str(_Printer({"mat_str": "matrix"}).doprint(entry))
    return "0" if entry == 0 else _verbatim(label(entry))


class _Printer(LatexPrinter):  # type: ignore[misc]  # SymPy has no types
    """SymPy's printer, with the names of this package and no name that TeX would run."""

    def _print_Symbol(self, expr: Any, style: str = "plain") -> str:
        letter, *index = map(_verbatim, expr.name.split("_"))
        return f"{letter}_{{{','.join(index)}}}" if index else letter

    _print_Dummy = _print_MatrixSymbol = _print_Symbol

    def _hprint_Function(self, func: str) -> str:
        # SymPy writes a name that begins with a backslash as it is, and fills arguments in by %.
        known = func.isidentifier()
        return super()._hprint_Function(func) if known else _verbatim(func).replace("%", "%%")

    def _print_Str(self, expr: Any) -> str:
        return _verbatim(str(expr.name))


def _verbatim(text: str) -> str:
    """Text as it is in a formula, or as words if TeX would take a letter of it for a command."""
    text = clean(text)
    return rf"\text{{{_escaped(text)}}}" if _ESCAPED.keys() & set(text) else text


def _table(table: Table, colours: bool) -> str:
    _, columns = table.shape
    if not columns:
        return r"\left[\;\right]" if table.brackets else ""
    lines = []
    for n, row in enumerate(table.cells):
        cut = r"\hline " if n in table.row_cuts or not table.brackets else ""
        lines.append(cut + " & ".join(_cell(cell, table, colours) for cell in row))
    body = r"\\".join(lines)
    if not table.brackets:
        return rf"\begin{{array}}{{|{'c|' * columns}}}{body}\\\hline\end{{array}}"
    aligned = "".join(("|" if n in table.column_cuts else "") + "c" for n in range(columns))
    return rf"\left[\begin{{array}}{{{aligned}}}{body}\end{{array}}\right]"


def _cell(cell: Cell, table: Table, colours: bool) -> str:
    text = _entry(cell.entry)
    if cell.tap is not None and table.shows == "marks":
        return rf"\boxed{{{text}}}"
    if not colours or cell.tap is None or table.shows != "taps":
        return text
    code = ",".join(map(str, rgb(colour(cell.tap, table.taps))))
    return rf"\textcolor[RGB]{{{code}}}{{{text}}}"


def _escaped(text: str) -> str:
    return "".join(_ESCAPED.get(letter, letter) for letter in clean(text))
