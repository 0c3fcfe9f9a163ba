"""Documents for a terminal: Unicode text of a given width."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any, assert_never

import sympy

from tconvjax.rendering.document import (
    DOTS_ACROSS,
    DOTS_DIAGONAL,
    DOTS_DOWN,
    Beside,
    Document,
    Equation,
    Linked,
    Sparsity,
    Stack,
    Table,
    Words,
    kept,
)
from tconvjax.rendering.tables import matrix_table

MOST_LINES = 12
"""Links of a `Linked` that are told; the middle ones of more are left out."""


def to_text(document: Document, *, width: int = 80, height: int = 40) -> str:
    """A document as lines of text.

    Args:
        document: any.
        width: columns of the terminal; the middle columns of a wider table become dots.
        height: rows of a table; the middle ones of more become dots.

    Returns:
        Lines joined by newlines.

    Examples:
        >>> from tconvjax.rendering import Beside, array_table
        >>> print(to_text(Beside((array_table([[0, 1], [2, 3]]), "→", array_table([[4, 7]])))))
        0 1 → 4 7
        2 3
    """
    return "\n".join(line.rstrip() for line in _lines(document, width, height))


def _lines(document: Document, width: int, height: int) -> list[str]:
    match document:
        case Words(text, level):
            lines = textwrap.wrap(text, width) or [""]
            return [*lines, "=" * len(lines[-1])] if level == 1 else lines
        case Equation(parts) | Beside(parts):
            return _side_by_side([_part(part, width, height) for part in parts], width)
        case Table():
            return table_lines(document, width, height)
        case Sparsity():
            return _dots_picture(document, width, height)
        case Linked():
            return _told_links(document, width)
        case Stack(parts):
            found: list[str] = []
            for n, part in enumerate(parts):
                found += [*([""] if n else []), *_lines(part, width, height)]
            return found
        case _:
            assert_never(document)


def _part(part: Any, width: int, height: int) -> list[str]:
    if isinstance(part, str):
        return [part]
    if isinstance(part, Table | Linked | Sparsity | Stack | Words | Beside | Equation):
        return _lines(part, width, height)
    if isinstance(part, sympy.MatrixBase):
        return table_lines(matrix_table(part), width, height)
    if isinstance(part, sympy.Basic) and part.has(sympy.Piecewise):
        return str(sympy.pretty(part, use_unicode=True, wrap_line=False)).splitlines()
    return [label(part)]


def _side_by_side(blocks: Sequence[list[str]], width: int) -> list[str]:
    """Blocks of lines next to one another, level at their middles; one below the other if wide."""
    sizes = [max((len(line) for line in block), default=0) for block in blocks]
    if sum(sizes) + len(sizes) - 1 > width:
        return [line for block in blocks for line in block]
    tallest = max((len(block) for block in blocks), default=0)
    columns = []
    for block in blocks:
        size = max((len(line) for line in block), default=0)
        above = (tallest - len(block)) // 2 if len(block) > 1 else (tallest - 1) // 2
        padded = [""] * above + list(block)
        columns.append([line.ljust(size) for line in [*padded, *[""] * (tallest - len(padded))]])
    return [" ".join(cells) for cells in zip(*columns, strict=True)]


def matrix_text(matrix: Any, *, width: int = 80, height: int = 40) -> str:
    """A matrix as lines of text, zeros as dots, with what does not fit left out.

    Args:
        matrix: a SymPy matrix, or anything with ``shape`` and ``matrix[row, column]``.
        width: columns of the terminal; the middle columns of a wider matrix become dots.
        height: rows; the middle rows of a higher matrix become dots.

    Returns:
        Lines joined by newlines, each at most ``width`` characters.

    Examples:
        >>> from tconvjax import Geometry, symbolic
        >>> print(matrix_text(symbolic.conv_matrix(Geometry.of_conv((1, 4), (1, 1, 2)))))
        ⎡w0 w1  ·  ·⎤
        ⎢ · w0 w1  ·⎥
        ⎣ ·  · w0 w1⎦
    """
    table = matrix_table(matrix, most=max(width, height, 3))
    return to_text(table, width=width, height=height)


# -- tables ----------------------------------------------------------------------------------------


def table_lines(table: Table, width: int, height: int) -> list[str]:
    """A table within a width and a height."""
    count, columns = table.shape
    kept_rows = kept(count, max(height, 3))
    cells = [[label(cell.entry) for cell in row] for row in table.cells]
    sizes = [max((len(cells[r][c]) for r in kept_rows if r >= 0), default=1)
             for c in range(columns)]  # fmt: skip
    if table.brackets:  # a matrix is read by its diagonals, so its columns are equally wide
        sizes = [max(sizes, default=1)] * columns
    kept_columns = _fitting(sizes, width - 2 * table.brackets)
    # A line between blocks takes a column, and is left out where there is no room for it.
    cuts = [c for c in table.column_cuts if c in kept_columns]
    wide = [1 if c < 0 else sizes[c] for c in kept_columns]
    room = sum(wide) + len(wide) - 1 + 2 * len(cuts) + 2 * table.brackets <= width
    # Sums have spaces of their own.
    between = (
        "  " if not table.brackets and any(" " in text for row in cells for text in row) else " "
    )
    rows = []
    for position in kept_rows:
        if room and position in table.row_cuts and position > 0:
            rows.append(_rule(kept_columns, cuts, wide))
        line = [_shown(cells, position, c) for c in kept_columns]
        rows.append(_row(line, kept_columns, cuts if room else (), wide, between))
    if not table.brackets:
        return rows
    return [f"{left}{row}{right}" for row, (left, right) in
            zip(rows, _brackets(len(rows)), strict=True)]  # fmt: skip


def _shown(cells: Sequence[Sequence[str]], row: int, column: int) -> str:
    if row < 0 and column < 0:
        return DOTS_DIAGONAL
    if row < 0 or column < 0:
        return DOTS_DOWN if row < 0 else DOTS_ACROSS
    return cells[row][column]


def _fitting(sizes: Sequence[int], width: int) -> list[int]:
    """The columns that fit a width: all of them, or the first and last with a gap between."""
    for count in range(len(sizes), 2, -1):
        found = kept(len(sizes), count)
        if sum(1 if c < 0 else sizes[c] for c in found) + len(found) - 1 <= width:
            return found
    return kept(len(sizes), 3)


def _row(
    line: Sequence[str], columns: Sequence[int], cuts: Sequence[int], wide: Sequence[int],
    between: str = " ",
) -> str:  # fmt: skip
    parts: list[str] = []
    for column, cell, size in zip(columns, line, wide, strict=True):
        parts += [*(["│"] if column in cuts and parts else []), cell.rjust(size)]
    return between.join(parts)


def _rule(columns: Sequence[int], cuts: Sequence[int], wide: Sequence[int]) -> str:
    row = _row(["─" * size for size in wide], columns, cuts, wide)
    return row.replace(" ", "─").replace("│", "┼")


def _brackets(count: int) -> Sequence[tuple[str, str]]:
    if count == 1:
        return [("[", "]")]
    return [("⎡", "⎤"), *[("⎢", "⎥")] * (count - 2), ("⎣", "⎦")][:count]


def label(entry: Any) -> str:
    """An entry: a dot for zero, w01 for w_0_1 and for w[0, 1] (w1,10 where a digit is in doubt)."""
    if isinstance(entry, str):
        return entry
    if entry == 0:
        return "·"
    if isinstance(entry, float | sympy.Float):
        return f"{float(entry):g}"
    if isinstance(entry, sympy.Symbol):
        return _with_index(*entry.name.split("_"))
    if isinstance(entry, sympy.Indexed):
        if all(index.is_Integer for index in entry.indices):
            return _with_index(entry.base.name, *map(str, entry.indices))
        return f"{entry.base.name}[{', '.join(map(str, entry.indices))}]"
    named = getattr(entry, "free_symbols", None)
    if not named:
        return str(entry)
    atoms = entry.atoms(sympy.Symbol, sympy.Indexed)
    return str(entry.xreplace({atom: sympy.Symbol(label(atom)) for atom in atoms}))


def _with_index(letter: str, *index: str) -> str:
    return letter + ("" if all(len(i) == 1 for i in index) else ",").join(index)


# -- pictures in characters ------------------------------------------------------------------------

_BRAILLE = 0x2800
_DOT = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def _dots_picture(picture: Sparsity, width: int, height: int) -> list[str]:
    """Two by four places in a character, as many places in a dot as it takes."""
    rows, columns = picture.shape
    scale = max(1, -(-columns // (2 * width)), -(-rows // (4 * height)))
    across, down = -(-columns // scale), -(-rows // scale)
    grid = [[_BRAILLE] * -(-across // 2) for _ in range(-(-down // 4))]
    for row, column, _ in picture.places:
        r, c = row // scale, column // scale
        grid[r // 4][c // 2] |= _DOT[r % 4][c % 2]
    note = f"{picture.alt}; a dot is {scale} x {scale}" if scale > 1 else picture.alt
    return [*("".join(map(chr, line)) for line in grid), *textwrap.wrap(note, width)]


def _told_links(picture: Linked, width: int) -> list[str]:
    names = [[[label(cell.entry) for cell in row] for row in table.cells]
             for table in picture.tables]  # fmt: skip
    middle = [label(cell.entry) for row in picture.tables[1].cells for cell in row]
    told = []
    for n in kept(len(picture.links), MOST_LINES):
        if n < 0:
            told.append(DOTS_DOWN)
            continue
        link = picture.links[n]
        ends = [names[table][row][column] for table, row, column in (link.start, link.end)]
        through = "" if link.tap is None else f" by {middle[link.tap]}"
        told.append(f"{ends[0]} to {ends[1]}{through}")
    return [*textwrap.wrap(picture.alt, width), *told]
