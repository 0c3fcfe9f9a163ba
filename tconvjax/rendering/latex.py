"""Documents as LaTeX, for papers and for notebooks."""

from __future__ import annotations

from typing import Any, assert_never

import sympy

from tconvjax.geometry import Words as Told
from tconvjax.geometry import fail
from tconvjax.rendering.document import (
    DOTS_ACROSS,
    DOTS_DIAGONAL,
    DOTS_DOWN,
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
from tconvjax.rendering.palette import colour, rgb
from tconvjax.rendering.tables import matrix_table

MOST_ENTRIES = 4096
_DOTS = {DOTS_ACROSS: r"\cdots", DOTS_DOWN: r"\vdots", DOTS_DIAGONAL: r"\ddots"}
_SIGNS = {"→": r"\to", "≠": r"\neq", "·": r"\cdot", "×": r"\times"}
_ESCAPED = {"\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&",
            "#": r"\#", "%": r"\%", "_": r"\_", "^": r"\^{}", "~": r"\~{}"}  # fmt: skip


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
            assert_never(document)


def matrix_latex(matrix: Any) -> str:
    r"""A matrix as LaTeX, with the subscripts of a kernel's entries set close: ``w_{0,1}``.

    Args:
        matrix: a SymPy matrix.

    Returns:
        A ``\left[\begin{matrix}...\end{matrix}\right]``, without dollar signs.

    Raises:
        GeometryError: if the matrix has more than 4096 entries, which no page shows.

    Examples:
        >>> from tconvjax import Geometry, symbolic
        >>> C = symbolic.conv_matrix(Geometry.of_conv((1, 2, 2), (1, 1, 1, 2)))
        >>> print(matrix_latex(C))
        \left[\begin{matrix}w_{0,0} & w_{0,1} & 0 & 0\\0 & 0 & w_{0,0} & w_{0,1}\end{matrix}\right]
    """
    check_entries(*matrix.shape)
    names = {s: name_latex(s.name) for s in matrix.free_symbols}
    return str(sympy.latex(matrix, mat_str="matrix", symbol_names=names))


def expression_latex(entry: Any) -> str:
    """A number or an expression, the index of a name set close: ``w_{0,1}``."""
    if isinstance(entry, str):
        return _DOTS.get(entry, _SIGNS.get(entry, entry))
    names = {s: name_latex(s.name) for s in getattr(entry, "free_symbols", ())
             if isinstance(s, sympy.Symbol)}  # fmt: skip
    return str(sympy.latex(entry, symbol_names=names))


def name_latex(name: str) -> str:
    """A name such as w_0_1 as ``w_{0,1}``."""
    letter, *index = name.split("_")
    return f"{letter}_{{{','.join(index)}}}" if index else letter


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
        fail("matrix", Told(f"{rows} x {columns}"), f"LaTeX of more than {MOST_ENTRIES} "
             "entries shows nothing", "take a smaller input, or conv_table, which is "
             "abbreviated")  # fmt: skip


def _escaped(text: str) -> str:
    return "".join(_ESCAPED.get(letter, letter) for letter in text)
