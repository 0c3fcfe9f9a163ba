"""Matrices as text for a terminal and as LaTeX."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy

from tconvjax.geometry import Words, fail

MOST_LATEX_ENTRIES = 4096


def matrix_text(matrix: Any, *, width: int = 80, height: int = 40) -> str:
    """A matrix as lines of text, zeros as dots, with what does not fit left out.

    Args:
        matrix: a SymPy matrix, or anything with ``shape`` and ``matrix[row, column]``.
        width: columns of the terminal; the middle columns of a wider matrix become one "…".
        height: rows; the middle rows of a higher matrix become one "⋮".

    Returns:
        Lines joined by newlines, each at most ``width`` characters.

    Examples:
        >>> from tconvjax import Geometry, symbolic
        >>> print(matrix_text(symbolic.conv_matrix(Geometry.of_conv((1, 4), (1, 1, 2)))))
        ⎡w0 w1  ·  ·⎤
        ⎢ · w0 w1  ·⎥
        ⎣ ·  · w0 w1⎦
    """
    rows, columns = matrix.shape
    kept_rows = _kept(rows, max(height, 3))
    cells = [[_cell(matrix[r, c]) for c in range(min(columns, width))] for r in kept_rows if r >= 0]
    size = max((len(cell) for line in cells for cell in line), default=1)
    kept = _kept(columns, max((width - 1) // (size + 1), 3))
    lines = [
        ["⋮" if r < 0 else "…" if c < 0 else _cell(matrix[r, c]) for c in kept] for r in kept_rows
    ]
    size = max((len(cell) for line in lines for cell in line), default=1)
    return "\n".join(
        f"{left}{' '.join(cell.rjust(size) for cell in line)}{right}"
        for line, (left, right) in zip(lines, _brackets(len(lines)), strict=True)
    )


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
    if matrix.rows * matrix.cols > MOST_LATEX_ENTRIES:
        fail("matrix", Words(f"{matrix.rows} x {matrix.cols}"),
             f"LaTeX of more than {MOST_LATEX_ENTRIES} "
             "entries shows nothing", "take a smaller input, or the text, which is "
             "abbreviated")  # fmt: skip
    names = {s: _latex_name(s.name) for s in matrix.free_symbols}
    return str(sympy.latex(matrix, mat_str="matrix", symbol_names=names))


def _latex_name(name: str) -> str:
    letter, *index = name.split("_")
    return f"{letter}_{{{','.join(index)}}}" if index else letter


def _cell(value: Any) -> str:
    """An entry: a dot for zero, w01 for w_0_1 (w1,10 where a digit would be in doubt)."""
    if value == 0:
        return "·"
    if isinstance(value, sympy.Float):
        return f"{float(value):g}"
    if not isinstance(value, sympy.Symbol):
        symbols = getattr(value, "free_symbols", ())
        return str(
            value.xreplace({s: sympy.Symbol(_cell(s)) for s in symbols}) if symbols else value
        )
    letter, *index = value.name.split("_")
    return letter + ("" if all(len(i) == 1 for i in index) else ",").join(index)


def _kept(count: int, room: int) -> list[int]:
    """The indices that are shown; -1 stands for those left out."""
    if count <= room:
        return list(range(count))
    head = (room - 1 + 1) // 2
    tail = room - 1 - head
    return [*range(head), -1, *range(count - tail, count)]


def _brackets(count: int) -> Sequence[tuple[str, str]]:
    if count == 1:
        return [("[", "]")]
    return [("⎡", "⎤"), *[("⎢", "⎥")] * (count - 2), ("⎣", "⎦")][:count]
