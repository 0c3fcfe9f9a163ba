"""Documents as pictures: SVG that is the same each time, for light pages and dark ones."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree as ET

import sympy

from tconvjax.errors import Described, fail
from tconvjax.rendering.checks import check_frames, checked_text, no_document, xml
from tconvjax.rendering.document import (
    Beside,
    Cell,
    Document,
    Equation,
    Link,
    Linked,
    Sparsity,
    Stack,
    Table,
    Words,
)
from tconvjax.rendering.labels import MOST_LETTERS, label, short, shorten
from tconvjax.rendering.palette import colour, ink
from tconvjax.rendering.tables import matrix_table

MOST_SHAPES = 30_000
"""Cells and lines of a picture; more make browsers slow."""

LETTER, HEIGHT, GAP, EDGE = 8, 30, 22, 10
"""Pixels: the width of a letter, the height of a cell, the space between parts and around all."""
LINE = 92
"""Letters of a line of words, and of an expression between tables."""
MOST_WIDE, MOST_HIGH = 20_000, 100_000
"""Pixels of a picture; the entries of a table are cut so that it is no wider."""
STYLE = (
    # Each rule names our own pictures, since a page that holds one shares its style.
    ".tconv text{fill:currentColor;dominant-baseline:central;"
    "font:13px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}"
    ".tconv .w{font-family:system-ui,'DejaVu Sans',sans-serif}.tconv .h{font-weight:bold}"
    ".tconv .c{fill:none;stroke:currentColor;stroke-opacity:.35}.tconv .f{opacity:.45}"
    ".tconv .b{fill:none;stroke:currentColor;stroke-width:1.5}"
    ".tconv .k{stroke:currentColor;stroke-opacity:.5}"
)


@dataclass(frozen=True)
class _Drawn:
    """A part with its size in pixels, its upper left corner at 0."""

    width: int
    height: int
    shapes: tuple[ET.Element, ...]


def to_svg(document: Document, *, alt: str = "") -> str:
    """A document as one picture.

    Args:
        document: any.
        alt: what it shows, in words; what its parts say of themselves if left out.

    Returns:
        An ``svg`` element that stands on its own: text in the colour of its surroundings, a title
        for those who cannot see it, no script and nothing from elsewhere.

    Raises:
        GeometryError: if it has more than 30,000 cells and lines, or is wider than 20,000 pixels or
            higher than 100,000.

    Examples:
        >>> from tconvjax.rendering import array_table
        >>> to_svg(array_table([[1, 2]], name="y")).count("<rect")
        2
    """
    drawn = _draw(document)
    shapes = sum(1 for shape in drawn.shapes for _ in shape.iter())
    if shapes > MOST_SHAPES:
        fail(
            "document",
            Described(f"{shapes} shapes"),
            f"a picture has {MOST_SHAPES} at most",
            "show less of it: a smaller input, or an abbreviated table",
        )
    _check_pixels("document", drawn.width, drawn.height)
    return _picture(
        drawn.width, drawn.height, drawn.shapes, checked_text("alt", alt) or spoken(document)
    )


def to_animation(frames: Sequence[Document], *, seconds: float = 1.2, alt: str = "") -> str:
    """Documents shown one after another, over and over, with no script.

    Args:
        frames: one document for each step.
        seconds: that each is shown.
        alt: what they show, in words.

    Returns:
        An ``svg`` element; with reduced motion asked for, the last frame stands still.

    Raises:
        GeometryError: if there are no frames, they have more than 30,000 cells and lines in all or
            are larger than `to_svg` takes, or the seconds are no number above 0.

    Examples:
        >>> from tconvjax.rendering import array_table
        >>> to_animation([array_table([[1]]), array_table([[2]])]).count('class="s')
        2
    """
    check_frames(frames, seconds)
    drawn = [_draw(frame) for frame in frames]
    count, total, share = len(drawn), len(drawn) * seconds, 100 / len(drawn)
    if sum(1 for one in drawn for shape in one.shapes for _ in shape.iter()) > MOST_SHAPES:
        fail(
            "frames",
            Described(f"{count} frames"),
            f"a picture has {MOST_SHAPES} shapes at most",
            "show a smaller input",
        )
    name = f"tconv-{count}"  # of which a page with several pictures has one for each count
    style = (
        f"@keyframes {name}{{0%,{share:.3f}%{{visibility:visible}}{share + 0.001:.3f}%,100%"
        "{visibility:hidden}}.tconv .s{visibility:hidden}@media (prefers-reduced-motion:reduce)"
        "{.tconv .s{animation:none!important}.tconv .s:last-child{visibility:visible}}"
    )
    groups = []
    for n, one in enumerate(drawn):
        moves = f"animation:{name} {total:g}s steps(1,end) {n * seconds:g}s infinite"
        group = ET.Element("g", {"class": "s", "style": moves})
        group.extend(one.shapes)
        groups.append(group)
    width, height = max(one.width for one in drawn), max(one.height for one in drawn)
    _check_pixels("frames", width, height)
    return _picture(width, height, groups, checked_text("alt", alt), style)


def _check_pixels(argument: str, width: int, height: int) -> None:
    if width > MOST_WIDE or height > MOST_HIGH:
        fail(
            argument,
            Described(f"{width} x {height} pixels"),
            f"a picture has {MOST_WIDE} x {MOST_HIGH} at most",
            "show less of it, or take to_text, which shortens it",
        )


def spoken(document: Any) -> str:
    """What a document shows, in words."""
    match document:
        case Words(text):
            return text
        case Table(alt=alt) | Sparsity(alt=alt) | Linked(alt=alt):
            return alt
        case Stack(parts) | Beside(parts) | Equation(parts):
            return "; ".join(filter(None, map(spoken, parts)))
        case _:
            return ""


def _picture(
    width: int, height: int, shapes: Sequence[ET.Element], alt: str, style: str = ""
) -> str:
    width, height = width + 2 * EDGE, height + 2 * EDGE
    svg = ET.Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"{-EDGE} {-EDGE} {width} {height}",
            "width": str(width),
            "height": str(height),
            "role": "img",
            "class": "tconv",
            "style": "max-width:100%;height:auto",
        },
    )
    if alt:
        svg.set("aria-label", alt)
        ET.SubElement(svg, "title").text = alt
    ET.SubElement(svg, "style").text = STYLE + style
    svg.extend(shapes)
    return xml(svg)


# -- parts -----------------------------------------------------------------------------------------


def _draw(document: Document) -> _Drawn:
    match document:
        case Words(text, level):
            return _words(text, level)
        case Equation(parts) | Beside(parts):
            return _across([_drawn_part(part) for part in parts])
        case Table():
            return _table(document)
        case Sparsity():
            return _sparsity(document)
        case Linked():
            return _linked(document)
        case Stack(parts):
            return _down([_draw(part) for part in parts])
        case _:
            return no_document(document)


def _drawn_part(part: Any) -> _Drawn:
    if isinstance(part, Words | Equation | Beside | Table | Sparsity | Linked | Stack):
        return _draw(part)
    if isinstance(part, sympy.MatrixBase):
        return _table(matrix_table(part))
    text = shorten(label(part), LINE)
    width = LETTER * len(text)
    return _Drawn(width, HEIGHT, (_text(text, width // 2, HEIGHT // 2),))


def _words(text: str, level: int) -> _Drawn:
    lines = textwrap.wrap(text, LINE) or [""]
    kind = "w h" if level else "w"
    shapes = tuple(_text(line, 0, 11 + 20 * n, kind, "start") for n, line in enumerate(lines))
    return _Drawn(LETTER * max(map(len, lines)), 20 * len(lines) + 2, shapes)


def _across(parts: Sequence[_Drawn]) -> _Drawn:
    if sum(part.width + GAP for part in parts) > MOST_WIDE:
        return _down(parts)
    height = max((part.height for part in parts), default=0)
    shapes, x = [], 0
    for part in parts:
        shapes.append(_moved(part, x, (height - part.height) // 2))
        x += part.width + GAP
    return _Drawn(max(x - GAP, 0), height, tuple(shapes))


def _down(parts: Sequence[_Drawn]) -> _Drawn:
    shapes, y = [], 0
    for part in parts:
        shapes.append(_moved(part, 0, y))
        y += part.height + GAP // 2
    return _Drawn(
        max((part.width for part in parts), default=0), max(y - GAP // 2, 0), tuple(shapes)
    )


def _moved(part: _Drawn, x: int, y: int) -> ET.Element:
    group = ET.Element("g", {"transform": f"translate({x} {y})"} if x or y else {})
    group.extend(part.shapes)
    return group


def _text(text: str, x: int, y: int, kind: str = "", anchor: str = "middle") -> ET.Element:
    given = {"x": str(x), "y": str(y), "text-anchor": anchor}
    element = ET.Element("text", given | ({"class": kind} if kind else {}))
    element.text = text
    return element


# -- tables ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Frame:
    """Where the cells of a table are drawn."""

    cell: int
    left: int
    top: int
    letters: int

    def corner(self, row: int, column: int) -> tuple[int, int]:
        return self.left + self.cell * column, self.top + HEIGHT * row


def _frame(table: Table) -> _Frame:
    room = (MOST_WIDE // max(table.shape[1], 1) - 10) // LETTER
    letters = max(min(room, MOST_LETTERS), 1)
    longest = max(
        (len(short(cell.entry, letters)) for row in table.cells for cell in row), default=1
    )
    return _Frame(
        max(HEIGHT, LETTER * longest + 10),
        6 if table.brackets else 0,
        20 if table.name else 0,
        letters,
    )


def _table(table: Table) -> _Drawn:
    frame, (rows, columns) = _frame(table), table.shape
    width = frame.cell * columns + 2 * frame.left
    height = frame.top + HEIGHT * rows
    shapes = []
    if table.name:
        shapes.append(_text(table.name, width // 2, 8))
    for n, row in enumerate(table.cells):
        for m, cell in enumerate(row):
            shapes += _cell(cell, table, frame, n, m)
    shapes += _cuts(table, frame)
    if table.brackets:
        shapes += _brackets(frame.top, width, HEIGHT * rows)
    return _Drawn(width, height, tuple(shapes))


def _cell(cell: Cell, table: Table, frame: _Frame, row: int, column: int) -> list[ET.Element]:
    x, y = frame.corner(row, column)
    text = short(cell.entry, frame.letters)
    mark = _text(text, x + frame.cell // 2, y + HEIGHT // 2)
    if cell.tap is None:
        if table.brackets:
            return [_titled(mark, cell)]
        box = ET.Element("rect", _box(x, y, frame.cell, HEIGHT) | {"class": "c"})
        return [_titled(_group([box, mark], "f" if cell.faint else ""), cell)]
    back = colour(cell.tap, table.taps)
    box = ET.Element("rect", _box(x, y, frame.cell, HEIGHT) | {"fill": back, "class": "k"})
    mark.set("style", f"fill:{ink(back)}")
    group = _group([box, mark], "f" if cell.faint else "")
    group.set("data-tap", str(cell.tap))
    return [_titled(group, cell)]


def _group(shapes: Sequence[ET.Element], kind: str = "") -> ET.Element:
    group = ET.Element("g", {"class": kind} if kind else {})
    group.extend(shapes)
    return group


def _titled(element: ET.Element, cell: Cell) -> ET.Element:
    if not cell.title:
        return element
    group = element if element.tag == "g" else _group([element])
    title = ET.Element("title")
    title.text = cell.title
    group.insert(0, title)
    return group


def _box(x: int, y: int, width: int, height: int) -> dict[str, str]:
    return {"x": str(x), "y": str(y), "width": str(width), "height": str(height)}


def _cuts(table: Table, frame: _Frame) -> list[ET.Element]:
    rows, columns = table.shape
    lines = []
    for row in table.row_cuts:
        (x1, y), (x2, _) = frame.corner(row, 0), frame.corner(row, columns)
        lines.append(_line(x1, y, x2, y))
    for column in table.column_cuts:
        (x, y1), (_, y2) = frame.corner(0, column), frame.corner(rows, column)
        lines.append(_line(x, y1, x, y2))
    return lines


def _line(x1: int, y1: int, x2: int, y2: int) -> ET.Element:
    ends = {"x1": x1, "y1": y1, "x2": x2, "y2": y2}
    return ET.Element("line", {name: str(value) for name, value in ends.items()} | {"class": "b"})


def _brackets(top: int, width: int, height: int) -> list[ET.Element]:
    left = f"M6 {top}H1V{top + height}H6"
    right = f"M{width - 6} {top}H{width - 1}V{top + height}H{width - 6}"
    return [ET.Element("path", {"d": path, "class": "b"}) for path in (left, right)]


# -- links and dots --------------------------------------------------------------------------------


def _linked(picture: Linked) -> _Drawn:
    """The first and the last table level with each other, those between above the lines."""
    drawn = [_table(table) for table in picture.tables]
    first, *between, last = drawn
    middle = _across(between)
    apart = max(middle.width + 2 * GAP, 8 * GAP)
    top = middle.height + GAP if between else 0
    height = max(first.height, last.height)
    right = first.width + apart
    corners = [(0, top + (height - first.height) // 2), (right, top + (height - last.height) // 2)]
    ends = {
        0: (_frame(picture.tables[0]), corners[0]),
        len(drawn) - 1: (_frame(picture.tables[-1]), corners[1]),
    }
    taps = max(table.taps for table in picture.tables)
    shapes = [shape for link in picture.links for shape in _curve(link, ends, taps)]
    shapes += [_moved(first, *corners[0]), _moved(last, *corners[1])]
    shapes.append(_moved(middle, first.width + (apart - middle.width) // 2, 0))
    return _Drawn(right + last.width, top + height, tuple(shapes))


def _curve(
    link: Link, tables: dict[int, tuple[_Frame, tuple[int, int]]], taps: int
) -> list[ET.Element]:
    """A line from the rim of one cell to that of another, below their text, dots at its ends."""
    ends = []
    for (n, row, column), side in ((link.start, 1), (link.end, 0)):
        frame, (left, top) = tables[n]
        x, y = frame.corner(row, column)
        ends.append((left + x + side * frame.cell, top + y + HEIGHT - 5))
    (x1, y1), (x2, y2) = ends
    middle = (x1 + x2) // 2
    stroke = "currentColor" if link.tap is None else colour(link.tap, taps)
    tied = {} if link.tap is None else {"data-tap": str(link.tap)}
    path = f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"
    line = {"fill": "none", "stroke": stroke, "stroke-width": "1.5", "stroke-opacity": ".7"}
    dots = f"M{x1} {y1}h0M{x2} {y2}h0"
    ink_ = {"stroke": stroke, "stroke-width": "6", "stroke-linecap": "round"}
    return [ET.Element("path", {"d": path} | line | tied), ET.Element("path", {"d": dots} | ink_)]


def _sparsity(picture: Sparsity) -> _Drawn:
    rows, columns = picture.shape
    size = max(1, min(12, 640 // max(rows, columns, 1)))
    top = 20 if picture.name else 0
    shapes = [_text(picture.name, columns * size // 2, 8)] if picture.name else []
    # One path for each tap: a rectangle for each place would be ten times as long.
    paths: dict[int, list[str]] = {}
    for row, column, tap in picture.places:
        paths.setdefault(tap, []).append(
            f"M{column * size} {top + row * size}h{size}v{size}h-{size}z"
        )
    for tap, parts in sorted(paths.items()):
        fill = colour(tap, picture.taps)
        shapes.append(ET.Element("path", {"d": "".join(parts), "fill": fill, "data-tap": str(tap)}))
    frame = ET.Element("rect", _box(0, top, columns * size, rows * size) | {"class": "c"})
    return _Drawn(columns * size, top + rows * size, (*shapes, frame))
