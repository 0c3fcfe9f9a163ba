"""Entries as short text, documents for a terminal, and matrices as comma-separated values."""

from __future__ import annotations

import csv
import io
import itertools
import math
import re
import textwrap
import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy

from tconvjax.arguments import whole
from tconvjax.errors import Described, fail
from tconvjax.rendering.document import Linked, Row, Sparsity, Stack, Table, Words, dots, kept
from tconvjax.rendering.tables import MOST_ENTRIES, MOST_TERMS, natural, read_matrix
from tconvjax.rendering.values import as_document

MOST_LETTERS = 64
"""Maximum letters of an entry; the middle of a longer one is left out."""

MOST_SIDE = 250
"""Maximum rows or columns of a matrix in text, and letters across a picture of dots."""

MOST_LINES = 12
"""Maximum links of a `Linked` in text; the middle ones of more are left out."""

MOST_SYMBOLS = 250_000
"""Maximum entries in CSV that SymPy writes, which takes it some seconds."""

# -- entries ---------------------------------------------------------------------------------------

_HIDDEN = {"Cc", "Cs", "Cn"}
_TURNS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of what follows, so that a reader sees another order."""


def clean(text: str) -> str:
    """Text in one line without control characters, lone surrogates and the like.

    They would reach the terminal as commands, break a table, or make XML that no parser reads.
    White space becomes a space, the rest U+FFFD, so that nothing is lost without a trace.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_clean_letter, text))


def _clean_letter(letter: str) -> str:
    if letter.isspace():
        return " "
    return "�" if unicodedata.category(letter) in _HIDDEN or letter in _TURNS else letter


def label(entry: Any) -> str:
    """An entry as one line: a dot for zero, w01 for w_0_1 and for w[0, 1].

    Indices of several digits are separated, as in w1,10. A long sum keeps its first terms and its
    last.
    """
    if isinstance(entry, str):
        return clean(entry)
    if long_sum(entry):
        return " + ".join(map(label, long_sum(entry)))
    if entry == 0:
        return "·"
    if isinstance(entry, float | sympy.Float):
        return f"{float(entry):g}"
    if isinstance(entry, sympy.Symbol | sympy.Indexed):
        letter, *indices = name_parts(entry)
        joint = "" if all(len(n) == 1 for n in indices) else ","
        return clean(letter + joint.join(indices))
    return clean(_expression(entry))


def name_parts(entry: Any) -> list[str]:
    """The letter and the indices of a symbol such as w_0_1 or w[0, 1]."""
    if isinstance(entry, sympy.Indexed):
        return [entry.base.name, *("0" if n == 0 else label(n) for n in entry.indices)]
    return list(entry.name.split("_"))


def long_sum(entry: Any) -> list[Any]:
    """The first terms of a sum of many, dots, and its last; nothing for any other entry."""
    if not isinstance(entry, sympy.Add) or len(entry.args) <= MOST_TERMS:
        return []
    terms = sorted(entry.args, key=natural) if all(t.is_Symbol for t in entry.args) else entry.args
    return [*terms[:3], "⋯", terms[-1]]


def short(entry: Any, most: int = MOST_LETTERS) -> str:
    """An entry's label, the middle left out where it has more letters."""
    return shorten(label(entry), min(most, MOST_LETTERS))


def shorten(text: str, most: int) -> str:
    """Text of at most so many letters, dots for its middle; a sum is cut between terms."""
    if len(text) <= most:
        return text
    terms = re.split(r" (?=[+-] )", text)
    for count in range(len(terms) - 2, 0, -1):
        cut = f"{' '.join(terms[:count])} {terms[count][0]} ⋯ {terms[-1]}"
        if len(cut) <= most:
            return cut
    if most < 3:
        return "…"[:most]
    back = (most - 1) // 2
    return f"{text[: most - 1 - back]}…{text[-back:]}"


def _expression(entry: Any) -> str:
    """An expression as SymPy writes it, its symbols named like those of the kernel."""
    atoms = entry.atoms(sympy.Symbol, sympy.Indexed) if isinstance(entry, sympy.Basic) else ()
    try:
        if atoms:
            return str(entry.xreplace({atom: sympy.Symbol(label(atom)) for atom in atoms}))
        written = str(int(entry) if isinstance(entry, bool) else entry)
        if isinstance(entry, sympy.Rational) and entry.q >= 1000:  # somebody's decimal number?
            decimal = repr(float(entry))
            exact = math.isfinite(float(entry)) and sympy.Rational(decimal) == entry
            return min(written, decimal, key=len) if exact else written
        return written
    except ValueError:  # Python refuses to write thousands of digits, and nobody reads them
        return str(sympy.N(entry, 6))


# -- documents -------------------------------------------------------------------------------------


def to_text(document: Any, *, width: int = 80, height: int = 40) -> str:
    """A document, or anything that can be looked at, as lines of text.

    Args:
        document: a document, a matrix, a `Geometry` or any other argument of `as_document`.
        width: columns of the terminal, at least 7; the middle columns of a wider table become dots,
            and so does what is left out of an entry without room.
        height: rows of a table, at least 1; the middle ones of more than 3 become dots.

    Returns:
        Lines joined by newlines, each at most ``width`` characters, none a control character. Below
        a matrix whose columns are cut stands its size.

    Raises:
        GeometryError: if nothing of it can be shown, or the width or the height is too small.

    Examples:
        >>> from tconvjax import Geometry, symbolic
        >>> print(to_text(symbolic.conv_matrix(Geometry.of_conv((1, 4), (1, 1, 2)))))
        ⎡w0 w1  ·  ·⎤
        ⎢ · w0 w1  ·⎥
        ⎣ ·  · w0 w1⎦
        >>> from tconvjax.rendering import Row, array_table
        >>> print(to_text(Row((array_table([[0, 1], [2, 3]]), "→", array_table([[4, 7]])))))
        0 1 → 4 7
        2 3
    """
    # Below 7 columns the first and the last column of a matrix have no room.
    width, height = whole("width", width, 7), whole("height", height, 1)
    # More columns have no room, and more rows are not asked for.
    shown = as_document(document, most=min(max(width, height, 3), MOST_SIDE))
    if isinstance(shown, Table):
        lines = _table(shown, width, height, size=True)
    else:
        lines = _lines(shown, width, height)
    return "\n".join(clean(line).rstrip() for line in lines)


def _lines(document: Any, width: int, height: int) -> list[str]:
    match document:
        case Words(text, level):
            lines = textwrap.wrap(clean(text), width) or [""]
            return [*lines, "=" * len(lines[-1])] if level == 1 else lines
        case Row(parts):
            return _side_by_side([_lines(part, width, height) for part in parts], width)
        case Table():
            return _table(document, width, height)
        case Sparsity():
            return _dots(document, width, height)
        case Linked():
            return _links(document, width)
        case Stack(parts):
            found: list[str] = []
            for n, part in enumerate(parts):
                found += [*([""] if n else []), *_lines(part, width, height)]
            return found
    if isinstance(document, sympy.Basic) and document.has(sympy.Piecewise):
        # SymPy folds a wider formula between its terms.
        return str(sympy.pretty(document, use_unicode=True, num_columns=width)).splitlines()
    return textwrap.wrap(label(document), width) or [""]


def _side_by_side(blocks: Sequence[list[str]], width: int) -> list[str]:
    """Blocks of lines next to one another, level at their middles; one below the other if wide."""
    sizes = [max(map(len, block), default=0) for block in blocks]
    if sum(sizes) + len(sizes) - 1 > width:
        return [line for block in blocks for line in block]
    tallest = max(map(len, blocks), default=0)
    lowered = [[""] * ((tallest - len(block)) // 2) + block for block in blocks]
    return [
        " ".join(line.ljust(size) for line, size in zip(lines, sizes, strict=True))
        for lines in itertools.zip_longest(*lowered, fillvalue="")
    ]


def _table(table: Table, width: int, height: int, size: bool = False) -> list[str]:
    """A table within a width and a height; below a matrix with columns left out, its size."""
    rows = kept(table.shape[0], max(height, 3))
    cells = [[short(cell.entry, width) for cell in row] for row in table.cells]
    across = list(zip(*(cells[r] for r in rows if r >= 0), strict=True))
    sizes = [max(map(len, column)) for column in across]
    full: list[int] = []
    if table.brackets:  # a matrix is read by its diagonals, so its columns are equally wide
        sizes = [max(sizes, default=1)] * len(sizes)
        empty = {"·", "⋯", "⋱"}
        full = [n for n, column in enumerate(across) if not empty.issuperset(column)]
    # Sums have spaces of their own.
    spaced = not table.brackets and any(" " in text for row in cells for text in row)
    between = "  " if spaced else " "
    gap, inside = len(between), width - 2 * table.brackets
    columns, wide = _fitting(sizes, inside, gap, full)
    # A line between blocks takes a column, and is left out where there is no room for it.
    cuts = [c for c in table.column_cuts if c in columns]
    room = _total(wide, gap) + (1 + gap) * len(cuts) <= inside
    cuts = cuts if room else []

    def joined(line: Sequence[str]) -> str:
        parts: list[str] = []
        for column, entry, size in zip(columns, line, wide, strict=True):
            parts += ["│"] if column in cuts and parts else []
            parts.append(shorten(entry, size).rjust(size))
        return between.join(parts)

    lines = []
    for row in rows:
        if room and row in table.row_cuts and row > 0:
            rule = joined(["─" * size for size in wide])
            lines.append(rule.replace(" ", "─").replace("│", "┼"))
        shown = (cells[row][c] if row >= 0 and c >= 0 else dots(row, c) for c in columns)
        lines.append(joined([*shown]))
    if not table.brackets:
        return lines
    cut = size and (-1 in columns or any("⋯" in column for column in across))
    note = textwrap.wrap(f"({clean(table.alt)})", width) if cut else []
    left, right = ("⎡", *"⎢" * (len(lines) - 2), "⎣"), ("⎤", *"⎥" * (len(lines) - 2), "⎦")
    if len(lines) == 1:
        left, right = ("[",), ("]",)
    return [*(f"{a}{line}{b}" for a, line, b in zip(left, lines, right, strict=False)), *note]


def _fitting(
    sizes: Sequence[int], width: int, gap: int, full: Sequence[int]
) -> tuple[list[int], list[int]]:
    """The columns that fit a width, all or the first and the last full ones, and their sizes."""
    # No more than have room for a letter each.
    for count in (*range(min(len(sizes), max(width, 3)), 3, -1), 3):
        columns = kept(len(sizes), count, full)
        wide = [1 if c < 0 else sizes[c] for c in columns]
        if _total(wide, gap) <= width:
            return columns, wide
    while _total(wide, gap) > width and max(wide) > 1:
        widest = max(wide)
        wide = [size - (size == widest) for size in wide]
    return columns, wide


def _total(sizes: Sequence[int], gap: int) -> int:
    return sum(sizes) + gap * (len(sizes) - 1)


_BRAILLE = 0x2800
_DOT = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


def _dots(picture: Sparsity, width: int, height: int) -> list[str]:
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


def _links(picture: Linked, width: int) -> list[str]:
    first, middle, last = picture.tables[0], picture.tables[1], picture.tables[-1]
    taps = {cell.tap: short(cell.entry, width) for row in middle.cells for cell in row}
    lines = []
    for n in kept(len(picture.links), MOST_LINES):
        if n < 0:
            lines.append("⋮")
            continue
        link = picture.links[n]
        ends = [
            short(table.cells[row][column].entry, width)
            for table, (row, column) in ((first, link.start), (last, link.end))
        ]
        through = f" by {taps[link.tap]}" if link.tap is not None and link.tap in taps else ""
        lines.append(shorten(f"{ends[0]} to {ends[1]}{through}", width))
    return [*textwrap.wrap(clean(picture.alt), width), *lines]


# -- comma-separated values ------------------------------------------------------------------------


def to_csv(matrix: Any) -> str:
    """A matrix as lines of comma-separated entries, nothing left out.

    ``numpy.loadtxt`` reads the same numbers again: floats have as many digits as tell them apart,
    and a fraction is written as the nearest float (1/3 as 0.3333333333333333).

    Args:
        matrix: a matrix of SymPy, SciPy, NumPy or JAX, or anything with ``shape`` and
            ``matrix[row, column]``.

    Returns:
        A line for each row, 0 for a zero.

    Raises:
        GeometryError: if it is no matrix, a size is a symbol, it has more than 4,000,000 entries or
            more than 250,000 that are expressions.

    Examples:
        >>> from tconvjax import Geometry, symbolic
        >>> print(to_csv(symbolic.conv_matrix(Geometry.of_conv((1, 3), (1, 1, 2)))), end="")
        w0,w1,0
        0,w0,w1
    """
    rows, columns, held = read_matrix("matrix", matrix)
    symbolic = isinstance(held, sympy.MatrixBase | sympy.MatrixExpr)
    found: dict[tuple[int, int], Any] = {}
    if symbolic and rows * columns <= MOST_ENTRIES:
        found = (held if isinstance(held, sympy.MatrixBase) else held.as_explicit()).todok()
    if rows * columns > MOST_ENTRIES or len(found) > MOST_SYMBOLS:
        limit = f"{MOST_ENTRIES} entries, or {MOST_SYMBOLS} expressions that are not zero, are"
        remedy = "save it sparse: tconvjax.matrices.conv_matrix and scipy.sparse.save_npz"
        fail("matrix", Described(f"{rows} x {columns}"), f"{limit} the limit", remedy)
    # A convolution has few different entries, many times each.
    known = {entry: exactly(entry) for entry in set(found.values())} | {0: "0"}

    def cells(row: int) -> list[str]:
        if symbolic:
            return [known[found.get((row, column), 0)] for column in range(columns)]
        return [exactly(held[row, column]) for column in range(columns)]

    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(map(cells, range(rows)))
    return written.getvalue()


def exactly(entry: Any) -> str:
    """An entry that reads as the same number, or as the same expression."""
    if isinstance(entry, str):
        return clean(entry)
    if isinstance(entry, float | np.number):
        return "0" if entry == 0 else str(entry).strip("()")
    entry = sympy.sympify(entry)
    if entry in (sympy.true, sympy.false):
        return str(int(bool(entry)))
    if entry.is_Integer or not entry.is_number:
        return clean(_expression(entry))
    number = complex(entry)
    return str(number if number.imag and number == number else number.real).strip("()")
