"""What is shown, before anybody prints it: words, equations, tables, and links between them.

A document is a value. Each printer (`text`, `latex`, `mathml`, `html`, `svg`, `csv`) walks it and
writes all of it, so whatever is put together here can be read on a terminal, in a paper and on a
page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from tconvjax.errors import Described, fail

MOST_TERMS = 32
"""Terms of a sum that are all shown."""

FIRST_TERMS = 3
"""Terms of a longer one that are shown before the last."""

MOST_LEVEL = 4
"""Of a heading: HTML has six levels, and the first two are the page's."""

DOTS_ACROSS, DOTS_DOWN, DOTS_DIAGONAL = "⋯", "⋮", "⋱"


@dataclass(frozen=True)
class Cell:
    """One entry of a table.

    Args:
        entry: a number, a SymPy expression, a sum that is `Abridged`, or text such as dots; 0 is a
            cell that nothing meets.
        tap: the colour that ties it to all that came through the same kernel entry, if any.
        title: what a reader who points at the cell is told; "" for nothing.
        faint: whether it is there for orientation only, as what a padding cuts off.
    """

    entry: Any
    tap: int | None = None
    title: str = ""
    faint: bool = False


@dataclass(frozen=True)
class Abridged:
    """A sum of which the middle is left out; an entry of a table.

    Args:
        first: terms at its beginning.
        last: terms at its end.
        count: how many it has in all.
    """

    first: tuple[Any, ...]
    last: tuple[Any, ...]
    count: int


@dataclass(frozen=True)
class Words:
    """A paragraph of plain words; ``level`` above 0, and up to 4, makes it a heading."""

    text: str
    level: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no paragraph and no heading."""
        _check_text("text", self.text)
        if not isinstance(self.level, int) or not 0 <= self.level <= MOST_LEVEL:
            fail("level", self.level, f"it must be 0 to {MOST_LEVEL}", "give 0 for a paragraph")


@dataclass(frozen=True)
class Equation:
    """SymPy expressions, matrices or tables, with signs such as "=" between them.

    Args:
        parts: an entry is an expression, a `Table`, or a sign as text.
    """

    parts: tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """A grid of cells: a matrix, or an array as squares.

    Args:
        cells: row by row.
        name: what it is called, "C" for example; "" for nothing.
        row_cuts: numbers of rows after which a block ends.
        column_cuts: numbers of columns after which a block ends.
        brackets: whether it is a matrix rather than squares.
        taps: how many colours there are in all.
        alt: what it shows, in words.
    """

    cells: tuple[tuple[Cell, ...], ...]
    name: str = ""
    row_cuts: tuple[int, ...] = ()
    column_cuts: tuple[int, ...] = ()
    brackets: bool = True
    taps: int = 0
    alt: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no grid."""
        _check_text("name", self.name)
        _check_text("alt", self.alt)
        for row in self.cells:
            if len(row) != len(self.cells[0]) or not all(isinstance(cell, Cell) for cell in row):
                fail(
                    "cells",
                    Described(f"row of {len(row)}"),
                    f"each row of a table has as many Cells as the first, {len(self.cells[0])}",
                    "give a Cell for each place",
                )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns that are shown."""
        return len(self.cells), len(self.cells[0]) if self.cells else 0


@dataclass(frozen=True)
class Sparsity:
    """Where a matrix is not zero, each entry as a dot: for matrices too large to read.

    Args:
        shape: rows and columns.
        places: (row, column, tap) of each entry that is not zero.
        name: what it is called.
        taps: how many colours there are in all.
        alt: what it shows, in words.
    """

    shape: tuple[int, int]
    places: tuple[tuple[int, int, int], ...]
    name: str = ""
    taps: int = 0
    alt: str = ""

    def __post_init__(self) -> None:
        """Refuse places that the matrix does not have."""
        rows, columns = self.shape
        for place in self.places:
            if not (0 <= place[0] < rows and 0 <= place[1] < columns):
                fail(
                    "places",
                    place,
                    f"the matrix has {rows} rows and {columns} columns",
                    "count them from 0",
                )


@dataclass(frozen=True)
class Link:
    """A line between cells of the first and of the last table of a `Linked`.

    Args:
        start: (table, row, column) of one end.
        end: of the other.
        tap: its colour.
    """

    start: tuple[int, int, int]
    end: tuple[int, int, int]
    tap: int | None = None


@dataclass(frozen=True)
class Linked:
    """Tables, with lines from the cells of the first to those of the last.

    Args:
        tables: from left to right.
        links: the lines.
        alt: what it shows, in words.
    """

    tables: tuple[Table, ...]
    links: tuple[Link, ...]
    alt: str = ""

    def __post_init__(self) -> None:
        """Refuse links to cells that are not there."""
        if len(self.tables) < 2:
            fail(
                "tables",
                Described(f"{len(self.tables)} tables"),
                "links tie the first to the last",
                "give two or more",
            )
        for link in self.links:
            for end in (link.start, link.end):
                self._check_end(end)

    def _check_end(self, end: tuple[int, int, int]) -> None:
        table, row, column = end
        if table in (0, len(self.tables) - 1):
            rows, columns = self.tables[table].shape
            if 0 <= row < rows and 0 <= column < columns:
                return
        fail(
            "links",
            end,
            "a link ends at (table, row, column) of the first or the last table",
            "count from 0",
        )


@dataclass(frozen=True)
class Beside:
    """Parts side by side, with signs such as "→" or "=" as text between them."""

    parts: tuple[Any, ...]


@dataclass(frozen=True)
class Stack:
    """Parts one below the other."""

    parts: tuple[Document, ...] = field(default=())


Document: TypeAlias = Words | Equation | Table | Sparsity | Linked | Beside | Stack


def _check_text(argument: str, value: Any) -> None:
    if not isinstance(value, str):
        fail(argument, value, "it must be text", "give a str")


def stack(parts: Sequence[Document]) -> Stack:
    """Parts one below the other, stacks among them taken apart."""
    if not isinstance(parts, Sequence) or isinstance(parts, str):
        fail(
            "parts",
            Described(f"{type(parts).__name__} object"),
            "it must be a sequence of documents",
            "give a list of them",
        )
    flat: list[Document] = []
    for part in parts:
        flat += part.parts if isinstance(part, Stack) else [part]
    return Stack(tuple(flat))


def kept(count: int, room: int) -> list[int]:
    """Which of many rows or columns are shown: -1 stands for those left out."""
    if count <= room:
        return list(range(count))
    head = (room - 1 + 1) // 2
    tail = room - 1 - head
    return [*range(head), -1, *range(count - tail, count)]
