"""Documents for a terminal: Unicode text of a given width."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import sympy

from tconvjax.rendering.checks import LEAST_WIDTH, check_count, clean, no_document
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
from tconvjax.rendering.labels import label, short, shorten
from tconvjax.rendering.tables import matrix_table

MOST_SIDE = 250
"""Rows or columns of a matrix that are looked at, and letters of a picture of dots."""

MOST_LINES = 12
"""Links of a `Linked` that are told; the middle ones of more are left out."""


def to_text(document: Document, *, width: int = 80, height: int = 40) -> str:
    """A document as lines of text.

    Args:
        document: any.
        width: columns of the terminal, at least 7; the middle columns of a wider table become dots,
            and so does what is left out of an entry without room.
        height: rows of a table, at least 1; the middle ones of more than 3 become dots.

    Returns:
        Lines joined by newlines, each at most ``width`` characters, none a control character.

    Raises:
        GeometryError: if it is no document, or the width or the height is no such number.

    Examples:
        >>> from tconvjax.rendering import Beside, array_table
        >>> print(to_text(Beside((array_table([[0, 1], [2, 3]]), "→", array_table([[4, 7]])))))
        0 1 → 4 7
        2 3
    """
    check_count("width", width, LEAST_WIDTH)
    check_count("height", height, 1)
    return "\n".join(clean(line).rstrip() for line in _lines(document, width, height))


def _lines(document: Document, width: int, height: int) -> list[str]:
    match document:
        case Words(text, level):
            lines = textwrap.wrap(clean(text), width) or [""]
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
            return no_document(document)


def _part(part: Any, width: int, height: int) -> list[str]:
    if isinstance(part, str):
        return textwrap.wrap(clean(part), width) or [""]
    if isinstance(part, Table | Linked | Sparsity | Stack | Words | Beside | Equation):
        return _lines(part, width, height)
    if isinstance(part, sympy.MatrixBase):
        return table_lines(matrix_table(part), width, height)
    if isinstance(part, sympy.Basic) and part.has(sympy.Piecewise):
        # SymPy folds a formula that is wider between its terms.
        return str(sympy.pretty(part, use_unicode=True, num_columns=width)).splitlines()
    return textwrap.wrap(label(part), width)


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
        width: columns of the terminal, at least 7; the middle columns of a wider matrix become
            dots, and so does what is left out of an entry without room.
        height: rows, at least 1; the middle rows of more than 3 become dots.

    Returns:
        Lines joined by newlines, each at most ``width`` characters.

    Raises:
        GeometryError: if it is no matrix, a size is a symbol, or the width or the height is no such
            number.

    Examples:
        >>> from tconvjax import Geometry, symbolic
        >>> print(matrix_text(symbolic.conv_matrix(Geometry.of_conv((1, 4), (1, 1, 2)))))
        ⎡w0 w1  ·  ·⎤
        ⎢ · w0 w1  ·⎥
        ⎣ ·  · w0 w1⎦
    """
    check_count("width", width, LEAST_WIDTH)
    check_count("height", height, 1)
    # More columns have no room, and more rows are not asked for.
    table = matrix_table(matrix, most=min(max(width, height, 3), MOST_SIDE))
    return to_text(table, width=width, height=height)


# -- tables ----------------------------------------------------------------------------------------


def table_lines(table: Table, width: int, height: int) -> list[str]:
    """A table within a width and a height."""
    count, columns = table.shape
    kept_rows = kept(count, max(height, 3))
    cells = [[short(cell.entry, width) for cell in row] for row in table.cells]
    sizes = [
        max((len(cells[r][c]) for r in kept_rows if r >= 0), default=1) for c in range(columns)
    ]
    # Sums have spaces of their own.
    spaced = not table.brackets and any(" " in text for row in cells for text in row)
    between = "  " if spaced else " "
    if table.brackets:  # a matrix is read by its diagonals, so its columns are equally wide
        sizes = [max(sizes, default=1)] * columns
    inside = width - 2 * table.brackets
    kept_columns = _fitting(sizes, inside, len(between))
    sizes = _cut_to(sizes, kept_columns, inside, len(between))
    # A line between blocks takes a column, and is left out where there is no room for it.
    cuts = [c for c in table.column_cuts if c in kept_columns]
    wide = [1 if c < 0 else sizes[c] for c in kept_columns]
    room = _total(wide, len(between)) + (1 + len(between)) * len(cuts) <= inside
    rows = []
    for position in kept_rows:
        if room and position in table.row_cuts and position > 0:
            rows.append(_rule(kept_columns, cuts, wide, between))
        line = [
            shorten(_shown(cells, position, c), size)
            for c, size in zip(kept_columns, wide, strict=True)
        ]
        rows.append(_row(line, kept_columns, cuts if room else (), wide, between))
    if not table.brackets:
        return rows
    return [
        f"{left}{row}{right}" for row, (left, right) in zip(rows, _brackets(len(rows)), strict=True)
    ]


def _shown(cells: Sequence[Sequence[str]], row: int, column: int) -> str:
    if row < 0 and column < 0:
        return DOTS_DIAGONAL
    if row < 0 or column < 0:
        return DOTS_DOWN if row < 0 else DOTS_ACROSS
    return cells[row][column]


def _fitting(sizes: Sequence[int], width: int, gap: int) -> list[int]:
    """The columns that fit a width: all of them, or the first and last with a gap between."""
    # No more than have room for a letter each.
    for count in range(min(len(sizes), max(width, 3)), 2, -1):
        found = kept(len(sizes), count)
        if _total([1 if c < 0 else sizes[c] for c in found], gap) <= width:
            return found
    return kept(len(sizes), 3)


def _cut_to(sizes: Sequence[int], columns: Sequence[int], width: int, gap: int) -> list[int]:
    """Sizes of columns, the widest cut down until all of those that are kept fit."""
    cut = list(sizes)
    while _total([1 if c < 0 else cut[c] for c in columns], gap) > width:
        widest = max((cut[c] for c in columns if c >= 0), default=1)
        if widest == 1:
            break
        most = max((cut[c] for c in columns if c >= 0 and cut[c] < widest), default=widest - 1)
        over = _total([1 if c < 0 else cut[c] for c in columns], gap) - width
        alike = sum(c >= 0 and cut[c] == widest for c in columns)
        least = max(most, widest - -(-over // alike), 1)
        cut = [min(size, least) for size in cut]
    return cut


def _total(sizes: Sequence[int], gap: int) -> int:
    return sum(sizes) + gap * (len(sizes) - 1)


def _row(
    line: Sequence[str],
    columns: Sequence[int],
    cuts: Sequence[int],
    wide: Sequence[int],
    between: str = " ",
) -> str:
    parts: list[str] = []
    for column, cell, size in zip(columns, line, wide, strict=True):
        parts += [*(["│"] if column in cuts and parts else []), cell.rjust(size)]
    return between.join(parts)


def _rule(columns: Sequence[int], cuts: Sequence[int], wide: Sequence[int], between: str) -> str:
    row = _row(["─" * size for size in wide], columns, cuts, wide, between)
    return row.replace(" ", "─").replace("│", "┼")


def _brackets(count: int) -> Sequence[tuple[str, str]]:
    if count == 1:
        return [("[", "]")]
    return [("⎡", "⎤"), *[("⎢", "⎥")] * (count - 2), ("⎣", "⎦")][:count]


# -- pictures in characters ------------------------------------------------------------------------

_BRAILLE = 0x2800
_DOT = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def _dots_picture(picture: Sparsity, width: int, height: int) -> list[str]:
    """Two by four places in a character, as many places in a dot as it takes."""
    rows, columns = picture.shape
    width, height = min(width, MOST_SIDE), min(height, MOST_SIDE)
    scale = max(1, -(-columns // (2 * width)), -(-rows // (4 * height)))
    across, down = -(-columns // scale), -(-rows // scale)
    grid = [[_BRAILLE] * -(-across // 2) for _ in range(-(-down // 4))]
    for row, column, _ in picture.places:
        r, c = row // scale, column // scale
        grid[r // 4][c // 2] |= _DOT[r % 4][c % 2]
    note = f"{picture.alt}; a dot is {scale} x {scale}" if scale > 1 else picture.alt
    return [*("".join(map(chr, line)) for line in grid), *textwrap.wrap(clean(note), width)]


def _told_links(picture: Linked, width: int) -> list[str]:
    names = [
        [[short(cell.entry, width) for cell in row] for row in table.cells]
        for table in picture.tables
    ]
    middle = [name for row in names[1] for name in row]
    told = []
    for n in kept(len(picture.links), MOST_LINES):
        if n < 0:
            told.append(DOTS_DOWN)
            continue
        link = picture.links[n]
        ends = [names[table][row][column] for table, row, column in (link.start, link.end)]
        tied = link.tap is not None and 0 <= link.tap < len(middle)
        through = f" by {middle[link.tap or 0]}" if tied else ""
        told.append(shorten(f"{ends[0]} to {ends[1]}{through}", width))
    return [*textwrap.wrap(clean(picture.alt), width), *told]
