"""Documents as LaTeX, for papers and for notebooks."""

from __future__ import annotations

from typing import Any

import sympy
from sympy.printing.latex import LatexPrinter

from tconvjax.errors import Described, fail
from tconvjax.rendering.checks import check_flag, clean, no_document, readable, sides
from tconvjax.rendering.document import (
    DOTS_ACROSS,
    DOTS_DIAGONAL,
    DOTS_DOWN,
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
from tconvjax.rendering.labels import abridged, label
from tconvjax.rendering.palette import colour, rgb
from tconvjax.rendering.tables import matrix_table

MOST_ENTRIES = 4096
_DOTS = {DOTS_ACROSS: r"\cdots", DOTS_DOWN: r"\vdots", DOTS_DIAGONAL: r"\ddots"}
_SIGNS = {
    "→": r"\to",
    "≠": r"\neq",
    "·": r"\cdot",
    "×": r"\times",
    "∂y/∂x": r"\partial y/\partial x",
}
_ESCAPED = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\^{}",
    "~": r"\~{}",
}


def to_latex(document: Document, *, colours: bool = True) -> str:
    r"""A document as one formula, without dollar signs.

    Args:
        document: any; pictures become the words that describe them.
        colours: a colour for each tap, as ``\textcolor[RGB]{...}``, which xcolor and MathJax take.

    Returns:
        LaTeX that needs amsmath, and xcolor for the colours.

    Raises:
        GeometryError: if a table has more than 4096 entries, which no page shows.

    Examples:
        >>> from tconvjax import Geometry
        >>> from tconvjax.rendering import conv_table
        >>> table = conv_table(Geometry.of_conv((1, 2, 2), (1, 1, 1, 1)))
        >>> print(to_latex(table, colours=False)[:50])
        \left[\begin{array}{cc|cc}w_{0,0} & 0 & 0 & 0\\0 &
    """
    check_flag("colours", colours)
    match document:
        case Words(text, level):
            return rf"\text{{{_escaped(text)}}}" if not level else rf"\textbf{{{_escaped(text)}}}"
        case Equation(parts) | Beside(parts):
            return " ".join(_part(part, colours) for part in parts)
        case Table():
            return _table(document, colours)
        case Sparsity(alt=alt) | Linked(alt=alt):
            return rf"\text{{{_escaped(alt)}}}"
        case Stack(parts):
            lines = r"\\[1ex]".join(to_latex(part, colours=colours) for part in parts)
            return rf"\begin{{gathered}}{lines}\end{{gathered}}"
        case _:
            return no_document(document)


def matrix_latex(matrix: Any) -> str:
    r"""A matrix as LaTeX, with the subscripts of a kernel's entries set close: ``w_{0,1}``.

    Args:
        matrix: a SymPy matrix, or anything with ``shape`` and ``matrix[row, column]``.

    Returns:
        A ``\left[\begin{matrix}...\end{matrix}\right]``, without dollar signs.

    Raises:
        GeometryError: if it is no matrix, or has more than 4096 entries, which no page shows.

    Examples:
        >>> from tconvjax import Geometry, symbolic
        >>> C = symbolic.conv_matrix(Geometry.of_conv((1, 2, 2), (1, 1, 1, 2)))
        >>> print(matrix_latex(C))
        \left[\begin{matrix}w_{0,0} & w_{0,1} & 0 & 0\\0 & 0 & w_{0,0} & w_{0,1}\end{matrix}\right]
    """
    rows, columns = sides(matrix)
    check_entries(rows, columns)
    held = readable(matrix)
    body = r"\\".join(
        " & ".join(expression_latex(held[row, column]) for column in range(columns))
        for row in range(rows)
    )
    return rf"\left[\begin{{matrix}}{body}\end{{matrix}}\right]"


def expression_latex(entry: Any) -> str:
    """A number or an expression, the index of a name set close: ``w_{0,1}``."""
    if isinstance(entry, str):
        return _DOTS.get(entry, _SIGNS.get(entry)) or _told(entry)
    entry = abridged(entry)
    if isinstance(entry, Abridged):
        parts = [*entry.first, DOTS_ACROSS, *entry.last]
        return " + ".join(map(expression_latex, parts))
    if isinstance(entry, int | float | complex):
        entry = sympy.sympify(entry)
    if isinstance(entry, sympy.Basic | sympy.MatrixBase):
        return str(_Printer({"mat_str": "matrix"}).doprint(entry))
    return "0" if entry == 0 else _told(label(entry))


def name_latex(name: str) -> str:
    """A name such as w_0_1 as ``w_{0,1}``."""
    letter, *index = map(_told, name.split("_"))
    return f"{letter}_{{{','.join(index)}}}" if index else letter


class _Printer(LatexPrinter):  # type: ignore[misc]  # SymPy has no types
    """SymPy's printer, with the names of this package and no name that TeX would run."""

    def _print_Symbol(self, expr: Any, style: str = "plain") -> str:
        return name_latex(expr.name)

    def _print_Dummy(self, expr: Any) -> str:
        return name_latex(expr.name)

    def _print_MatrixSymbol(self, expr: Any, style: str = "plain") -> str:
        return name_latex(expr.name)

    def _hprint_Function(self, func: str) -> str:
        # SymPy writes a name that begins with a backslash as it is, and fills arguments in by %.
        known = func.isidentifier()
        return super()._hprint_Function(func) if known else _told(func).replace("%", "%%")

    def _print_Str(self, expr: Any) -> str:
        return _told(str(expr.name))


def _told(text: str) -> str:
    """Text as it is in a formula, or as words if TeX would take a letter of it for a command."""
    text = clean(text)
    return rf"\text{{{_escaped(text)}}}" if _ESCAPED.keys() & set(text) else text


def _part(part: Any, colours: bool) -> str:
    if isinstance(part, Table | Linked | Sparsity | Stack | Words | Beside | Equation):
        return to_latex(part, colours=colours)
    if isinstance(part, sympy.MatrixBase):
        return _table(matrix_table(part), colours)
    return expression_latex(part)


def _table(table: Table, colours: bool) -> str:
    rows, columns = table.shape
    check_entries(rows, columns)
    if not columns:
        return r"\left[\;\right]" if table.brackets else ""
    lines = []
    for n, row in enumerate(table.cells):
        cut = r"\hline " if n in table.row_cuts or not table.brackets else ""
        lines.append(cut + " & ".join(_cell(cell, table, colours) for cell in row))
    body = r"\\".join(lines)
    if not table.brackets:
        return rf"\begin{{array}}{{|{'c|' * columns}}}{body}\\\hline\end{{array}}"
    columns_spec = "".join(("|" if n in table.column_cuts else "") + "c" for n in range(columns))
    return rf"\left[\begin{{array}}{{{columns_spec}}}{body}\end{{array}}\right]"


def _cell(cell: Cell, table: Table, colours: bool) -> str:
    text = expression_latex(cell.entry)
    if not colours or cell.tap is None:
        return text
    code = ",".join(map(str, rgb(colour(cell.tap, table.taps))))
    return rf"\textcolor[RGB]{{{code}}}{{{text}}}"


def check_entries(rows: int, columns: int) -> None:
    """Refuse what no page shows."""
    if rows * columns > MOST_ENTRIES:
        fail(
            "matrix",
            Described(f"{rows} x {columns}"),
            f"LaTeX of more than {MOST_ENTRIES} entries shows nothing",
            "take a smaller input, or conv_table, which is abbreviated",
        )


def _escaped(text: str) -> str:
    return "".join(_ESCAPED.get(letter, letter) for letter in clean(text))
