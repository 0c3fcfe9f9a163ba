"""Documents: words, rows, tables, pictures of dots, and tables with links between them.

A document is a value. Each printer (`text`, `latex`, `mathml`, `html`, `svg`) walks it and writes
all of it, so the same document can be read on a terminal, in a paper and on a page. To show more of
a matrix, add a field to `Table`, fill it in `tables`, and write it in each of the five printers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias, get_args

from tconvjax.arguments import choice, text, whole
from tconvjax.errors import Described, fail, kind_of
from tconvjax.rendering.palette import Shows
from tconvjax.shown import Written

MOST_LEVEL = 4
"""Deepest level of a heading: HTML has six levels, and the first two belong to the page."""


@dataclass(frozen=True)
class Cell:
    """One entry of a table.

    Args:
        entry: a number, a SymPy expression, or text such as dots. A printer may write 0 as
            a dot, or faint.
        tap: the number of its kernel entry, amount, phase or mark, as its table says. None for
            none.
        title: what a reader sees when pointing at the cell.
        faint: whether the cell is only there for orientation, like what a padding cuts off.
    """

    entry: Any
    tap: int | None = None
    title: str = ""
    faint: bool = False


@dataclass(frozen=True)
class Words:
    """A paragraph of plain words; a ``level`` from 1 to 4 makes it a heading."""

    text: str
    level: int = 0

    def __post_init__(self) -> None:
        """Validate the fields."""
        text("text", self.text)
        if whole("level", self.level, 0) > MOST_LEVEL:
            fail("level", self.level, f"it must be 0 to {MOST_LEVEL}", "give 0 for a paragraph")


@dataclass(frozen=True, repr=False)
class Row(Written):
    """Parts side by side: an equation, or arrays with arrows between them.

    Args:
        parts: expressions, numbers, signs such as "=" as text, and whatever a printer takes.
    """

    parts: tuple[Any, ...]


@dataclass(frozen=True, repr=False)
class Table(Written):
    """A grid of cells: a matrix, or an array as squares.

    Args:
        cells: row by row.
        name: a caption, "C" for example.
        row_cuts: numbers of rows after which a block ends.
        column_cuts: numbers of columns after which a block ends.
        brackets: whether it is a matrix rather than squares.
        taps: how many of these numbers there are in all.
        alt: what it shows, in words.
        shows: what they are: "taps" have colours, "counts" washes, "phases" hatchings, "marks" a
            frame.
    """

    cells: tuple[tuple[Cell, ...], ...]
    name: str = ""
    row_cuts: tuple[int, ...] = ()
    column_cuts: tuple[int, ...] = ()
    brackets: bool = True
    taps: int = 0
    alt: str = ""
    shows: Shows = "taps"

    def __post_init__(self) -> None:
        """Validate the fields."""
        text("name", self.name)
        text("alt", self.alt)
        choice("shows", self.shows, get_args(Shows))
        for row in self.cells:
            if len(row) != len(self.cells[0]) or not all(isinstance(cell, Cell) for cell in row):
                shown = Described(f"row of {len(row)}")
                rule = f"each row of a table has as many Cells as the first, {len(self.cells[0])}"
                fail("cells", shown, rule, "give a Cell for each place")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns that are shown."""
        return len(self.cells), len(self.cells[0]) if self.cells else 0


@dataclass(frozen=True, repr=False)
class Sparsity(Written):
    """A picture of where a matrix is not zero: a dot for each entry. See `Table` for the fields."""

    shape: tuple[int, int]
    places: tuple[tuple[int, int, int], ...]  # (row, column, tap)
    name: str = ""
    taps: int = 0
    alt: str = ""


class Link(NamedTuple):
    """A line from a (row, column) of the first table of a `Linked` to one of the last."""

    start: tuple[int, int]
    end: tuple[int, int]
    tap: int | None = None


@dataclass(frozen=True, repr=False)
class Linked(Written):
    """Tables from left to right, with lines from the cells of the first to those of the last."""

    tables: tuple[Table, ...]
    links: tuple[Link, ...]
    alt: str = ""


@dataclass(frozen=True, repr=False)
class Stack(Written):
    """Parts one below the other; the parts of a stack among them join in.

    Args:
        parts: documents, and whatever else a printer takes.

    Raises:
        GeometryError: if it is no sequence.
    """

    parts: Sequence[Any] = ()

    def __post_init__(self) -> None:
        """Flatten the parts."""
        parts = self.parts
        if not isinstance(parts, Sequence) or isinstance(parts, str):
            rule = "it must be a sequence of documents"
            fail("parts", kind_of(parts), rule, "give a list of them")
        flat: list[Any] = []
        for part in parts:
            flat += part.parts if isinstance(part, Stack) else [part]
        object.__setattr__(self, "parts", tuple(flat))


Document: TypeAlias = Words | Row | Table | Sparsity | Linked | Stack


def kept(count: int, room: int, full: Sequence[int] = ()) -> list[int]:
    """Choose at most ``room`` (3 or more) of ``count`` rows or columns, -1 for those left out.

    They are taken from both ends, and where some are ``full``, from these, the first and the last.
    """
    if count <= room:
        return list(range(count))
    pool = sorted({0, *full, count - 1}) if full else range(count)
    found: list[int] = []
    for size in range(min(room, len(pool)), 1, -1):
        found = []
        for n in (*pool[: size - size // 2], *pool[len(pool) - size // 2 :]):
            found += [-1, n] if found and n > found[-1] + 1 else [n]
        if len(found) <= room:
            break
    return found


def dots(row: int, column: int) -> str:
    """The sign at a row and a column, one of which, or both, `kept` left out."""
    return "⋮" if column >= 0 else "⋯" if row >= 0 else "⋱"


def by(sizes: Sequence[int]) -> str:
    """Sizes as ``4 x 4``."""
    return " x ".join(map(str, sizes))


def coordinates(at: Sequence[int]) -> str:
    """An index as ``(0, 1)``."""
    return f"({', '.join(map(str, at))})"


def shape_words(shape: Sequence[int]) -> str:
    """(channels, *sizes) in words."""
    return by(shape[1:]) if shape[0] == 1 else f"{shape[0]} channels of {by(shape[1:])}"
