"""Documents as pictures: SVG that is the same each time, for light pages and dark ones."""

from __future__ import annotations

import itertools
import math
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from xml.etree import ElementTree as ET

import sympy

from tconvjax.arguments import counted, text
from tconvjax.errors import Described, fail, kind_of
from tconvjax.rendering.document import Cell, Link, Linked, Row, Sparsity, Stack, Table, Words
from tconvjax.rendering.mathml import element, xml
from tconvjax.rendering.palette import TURNS, colour, ink, lit, wash
from tconvjax.rendering.text import MOST_LETTERS, label, short, shorten
from tconvjax.rendering.values import as_document

MOST_SHAPES = 30_000
"""Maximum cells and lines of a picture; more make browsers slow."""

LETTER, HEIGHT, GAP, EDGE = 8, 30, 22, 10
"""Pixels: the width of a letter, the height of a cell, the space between parts and around all."""

LINE = 92
"""Letters in a line of words, and in an expression between tables."""

MOST_WIDE, MOST_HIGH = 20_000, 100_000
"""Maximum pixels of a picture; the entries of a table are cut so that it is no wider."""

STYLE = (
    # Each rule names our own pictures, since a page that holds one shares its style.
    ".tconv text{fill:currentColor;dominant-baseline:central;"
    "font:13px ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace}"
    ".tconv .w{font-family:system-ui,'DejaVu Sans',sans-serif}.tconv .h{font-weight:bold}"
    ".tconv .c{fill:none;stroke:currentColor;stroke-opacity:.35}"
    ".tconv .f{opacity:.7;stroke-dasharray:3}"
    ".tconv .b{fill:none;stroke:currentColor;stroke-width:1.5}"
    ".tconv .k{stroke:currentColor;stroke-opacity:.5}"
    ".tconv .m{fill:none;stroke:currentColor;stroke-width:3}"
    ".tconv .p{stroke:currentColor;stroke-opacity:.3}"
)


@dataclass(frozen=True)
class _Drawn:
    """A part with its size in pixels, its upper left corner at 0."""

    width: int
    height: int
    shapes: tuple[ET.Element, ...]


def to_svg(document: Any, *, alt: str = "") -> str:
    """A document, or anything that can be looked at, as one picture.

    Args:
        document: a document, a matrix, a `Geometry` or any other argument of `as_document`.
        alt: what the picture shows, in words; by default what its parts say of themselves.

    Returns:
        An ``svg`` element that stands on its own: text in the colour of its surroundings, a title
        for those who cannot see it, no script and nothing to load.

    Raises:
        GeometryError: if it has more than 30,000 cells and lines, or is wider than 20,000 pixels or
            higher than 100,000.

    Examples:
        >>> from tconvjax.rendering import array_table
        >>> to_svg(array_table([[1, 2]], name="y")).count("<rect")
        2
    """
    return xml(svg_element(as_document(document), text("alt", alt)))


def svg_element(document: Any, alt: str = "") -> ET.Element:
    """A document as one picture, not yet written."""
    drawn = _draw(document)
    return _picture("document", [drawn], drawn.shapes, alt or spoken(document))


def to_animation(frames: Sequence[Any], *, seconds: float = 1.2, alt: str = "") -> str:
    """Documents shown one after another, over and over, with no script.

    Args:
        frames: one document for each step.
        seconds: how long each is shown.
        alt: what they show, in words; by default what the last says of itself.

    Returns:
        An ``svg`` element. For readers who prefer reduced motion, the last frame stands still.

    Raises:
        GeometryError: if there are no frames, they have more than 30,000 cells and lines in all or
            are larger than `to_svg` takes, or the seconds are no number above 0.

    Examples:
        >>> from tconvjax.rendering import array_table
        >>> to_animation([array_table([[1]]), array_table([[2]])]).count('class="s')
        2
    """
    if not isinstance(frames, list | tuple) or not frames:
        rule = "they must be one document or more"
        fail("frames", kind_of(frames), rule, "give a list of documents")
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not math.isfinite(seconds) or seconds <= 0:
        fail("seconds", seconds, "it must be a number above 0", "give one such as 1.2")
    documents = [as_document(frame) for frame in frames]
    drawn = [_draw(document) for document in documents]
    count, total = len(drawn), len(drawn) * seconds
    # A little less than its share, so that no rounding shows two at the same time.
    share = (100_000 // count - (count > 1)) / 1000
    name = f"tconv-{count}"  # a page with several pictures has one animation for each count
    style = (
        f"@keyframes {name}{{0%{{visibility:visible}}{share:.3f}%,100%{{visibility:hidden}}}}"
        ".tconv .s{visibility:hidden}@media (prefers-reduced-motion:reduce)"
        "{.tconv .s{animation:none!important}.tconv .s:last-child{visibility:visible}}"
    )
    groups = []
    for n, one in enumerate(drawn):
        moves = f"animation:{name} {total:g}s steps(1,end) {n * seconds:g}s infinite"
        groups.append(element("g", *one.shapes, kind="s", style=moves))
    return xml(_picture("frames", drawn, groups, text("alt", alt) or spoken(documents[-1]), style))


def spoken(document: Any) -> str:
    """What a document shows, in words."""
    match document:
        case Words(words) | Table(alt=words) | Sparsity(alt=words) | Linked(alt=words):
            return words
        case Stack([Words(title, 1), *_]):  # the heading of a whole page
            return title
        case Stack(parts) | Row(parts):
            return "; ".join(filter(None, map(spoken, parts)))
    return ""


def _picture(
    argument: str, drawn: Sequence[_Drawn], shapes: Sequence[ET.Element], alt: str, style: str = ""
) -> ET.Element:
    """The shapes in a frame that holds what is drawn; refuses what browsers are slow to show."""
    width, height = max(one.width for one in drawn), max(one.height for one in drawn)
    if width > MOST_WIDE or height > MOST_HIGH:
        rule = f"a picture has at most {MOST_WIDE} x {MOST_HIGH}"
        remedy = "show less of it, or use to_text, which shortens it"
        fail(argument, Described(f"{width} x {height} pixels"), rule, remedy)
    count = sum(1 for one in drawn for shape in one.shapes for _ in shape.iter())
    if count > MOST_SHAPES:
        shown = Described(f"{counted(len(drawn), 'picture')} of {count} shapes")
        rule = f"a picture has at most {MOST_SHAPES} shapes"
        fail(argument, shown, rule, "show less: a smaller input, or an abbreviated table")
    width, height = width + 2 * EDGE, height + 2 * EDGE
    titles = [element("title", alt)] if alt else []
    return element(
        "svg",
        *titles,
        element("style", STYLE + style),
        *shapes,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"{-EDGE} {-EDGE} {width} {height}",
        width=width,
        height=height,
        role="img",
        kind="tconv",
        style="max-width:100%;height:auto",
        aria_label=alt,
    )


# -- parts -----------------------------------------------------------------------------------------


def _draw(document: Any, room: int = LINE) -> _Drawn:
    match document:
        case Words(words, level):
            lines = textwrap.wrap(_widened(words), room) or [""]
            return _words([line.replace("\0", "") for line in lines], "w h" if level else "w")
        case Row(parts):
            return _across([_draw(part) for part in parts])
        case Table():
            return _table(document)
        case Sparsity():
            return _sparsity(document)
        case Linked():
            return _linked(document)
        case Stack(parts):
            # Words are about as wide as the rest, so that a phone shows them.
            drawn = {n: _draw(part) for n, part in enumerate(parts) if not isinstance(part, Words)}
            widest = max((one.width // LETTER for one in drawn.values()), default=LINE)
            room = min(max(widest, LINE // 2), LINE)
            return _down([drawn.get(n) or _draw(part, room) for n, part in enumerate(parts)])
    if isinstance(document, sympy.Basic) and document.has(sympy.Piecewise):
        lines = str(sympy.pretty(document, use_unicode=True, num_columns=LINE)).splitlines()
        return _words(lines, style="white-space:pre")
    entry = shorten(label(document), LINE)
    width = LETTER * len(entry)
    return _Drawn(width, HEIGHT, (_text(entry, width // 2, HEIGHT // 2),))


def _words(lines: Sequence[str], kind: str = "", style: str = "") -> _Drawn:
    shapes = [_text(line, 0, 11 + 20 * n, kind, "start", style) for n, line in enumerate(lines)]
    width = LETTER * max(len(_widened(line)) for line in lines)
    return _Drawn(width, 20 * len(lines) + 2, tuple(shapes))


def _widened(line: str) -> str:
    """As many letters as a line is wide: one more after each that is twice as wide as others."""
    return "".join(c + "\0" if unicodedata.east_asian_width(c) in "WF" else c for c in line)


def _across(parts: Sequence[_Drawn]) -> _Drawn:
    if sum(part.width + GAP for part in parts) > MOST_WIDE:
        return _down(parts)
    height = max((part.height for part in parts), default=0)
    *lefts, end = itertools.accumulate((part.width + GAP for part in parts), initial=0)
    places = zip(parts, lefts, strict=True)
    shapes = tuple(_moved(part, x, (height - part.height) // 2) for part, x in places)
    return _Drawn(max(end - GAP, 0), height, shapes)


def _down(parts: Sequence[_Drawn]) -> _Drawn:
    width = max((part.width for part in parts), default=0)
    *tops, end = itertools.accumulate((part.height + GAP // 2 for part in parts), initial=0)
    shapes = tuple(_moved(part, 0, y) for part, y in zip(parts, tops, strict=True))
    return _Drawn(width, max(end - GAP // 2, 0), shapes)


def _moved(part: _Drawn, x: int, y: int) -> ET.Element:
    return element("g", *part.shapes, transform=f"translate({x} {y})" if x or y else "")


def _text(
    words: str, x: int, y: int, kind: str = "", anchor: str = "middle", style: str = ""
) -> ET.Element:
    return element("text", words, x=x, y=y, text_anchor=anchor, kind=kind, style=style)


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
    sizes = (len(short(cell.entry, letters)) for row in table.cells for cell in row)
    cell = max(HEIGHT, LETTER * max(sizes, default=1) + 10)
    return _Frame(cell, 6 if table.brackets else 0, 20 if table.name else 0, letters)


def _table(table: Table) -> _Drawn:
    frame, (rows, columns) = _frame(table), table.shape
    width = frame.cell * columns + 2 * frame.left
    height = frame.top + HEIGHT * rows
    shapes = [_text(table.name, width // 2, 8)] if table.name else []
    for n, row in enumerate(table.cells):
        shapes += [_cell(cell, table, frame, n, m) for m, cell in enumerate(row)]
    shapes += _lines(table, frame, width, height)
    return _Drawn(width, height, tuple(shapes))


def _cell(cell: Cell, table: Table, frame: _Frame, row: int, column: int) -> ET.Element:
    x, y = frame.corner(row, column)
    filled = table.shows if cell.tap is not None else ""
    back = colour(cell.tap or 0, table.taps) if filled == "taps" else ""
    words, middle = short(cell.entry, frame.letters), (x + frame.cell // 2, y + HEIGHT // 2)
    mark = _text(words, *middle, style=f"fill:{ink(back)}" if back else "")
    if table.brackets and not filled and not cell.title:
        return mark
    parts = [element("title", cell.title)] if cell.title else []
    size = {"x": x, "y": y, "width": frame.cell, "height": HEIGHT}
    if filled == "counts":
        share = f"{wash(cell.tap or 0, table.taps):.2f}"
        parts.append(element("rect", **size, fill="currentColor", fill_opacity=share, kind="k"))
    elif back or not table.brackets:
        parts.append(element("rect", **size, fill=back, kind="k" if back else "c"))
    if filled == "marks":
        inner = {"width": frame.cell - 4, "height": HEIGHT - 4}
        parts.append(element("rect", x=x + 2, y=y + 2, **inner, kind="m"))
    if filled == "phases":
        turn, (across, down) = TURNS[(cell.tap or 0) % len(TURNS)], (frame.cell // 2, HEIGHT // 2)
        far = across + down
        lines = "".join(f"M{n} {-far}v{2 * far}" for n in range(-far, far, 8))
        moved = f"translate({across} {down}) rotate({turn - 90})"
        parts.append(element("svg", element("path", d=lines, transform=moved, kind="p"), **size))
    tap = lit(cell.tap, table.shows)
    return element("g", *parts, mark, kind="f" if cell.faint else "", data_tap=tap)


def _lines(table: Table, frame: _Frame, width: int, height: int) -> list[ET.Element]:
    """The lines between blocks, and the brackets of a matrix."""
    left, top, right = frame.left, frame.top, width - frame.left
    paths = [f"M{left} {top + HEIGHT * row}H{right}" for row in table.row_cuts]
    paths += [f"M{left + frame.cell * n} {top}V{height}" for n in table.column_cuts]
    if table.brackets:
        paths += [f"M6 {top}H1V{height}H6", f"M{right} {top}H{width - 1}V{height}H{right}"]
    return [element("path", d=path, kind="b") for path in paths]


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
    ends = []
    for table, (x, y) in zip((picture.tables[0], picture.tables[-1]), corners, strict=True):
        frame = _frame(table)
        ends.append(replace(frame, left=frame.left + x, top=frame.top + y))
    taps = max(table.taps for table in picture.tables)
    shapes = [shape for link in picture.links for shape in _curve(link, ends[0], ends[1], taps)]
    shapes += [_moved(first, *corners[0]), _moved(last, *corners[1])]
    shapes.append(_moved(middle, first.width + (apart - middle.width) // 2, 0))
    return _Drawn(right + last.width, top + height, tuple(shapes))


def _curve(link: Link, start: _Frame, end: _Frame, taps: int) -> list[ET.Element]:
    """A line from the rim of one cell to that of another, below their text, dots at its ends."""
    (x1, y1), (x2, y2) = start.corner(*link.start), end.corner(*link.end)
    x1, y1, y2 = x1 + start.cell, y1 + HEIGHT - 5, y2 + HEIGHT - 5
    middle = (x1 + x2) // 2
    stroke = "currentColor" if link.tap is None else colour(link.tap, taps)
    curve = f"M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}"
    thin = {"fill": "none", "stroke_width": 1.5, "stroke_opacity": ".7"}
    thick = {"stroke_width": 6, "stroke_linecap": "round"}
    line = element("path", d=curve, stroke=stroke, data_tap=link.tap, **thin)
    return [line, element("path", d=f"M{x1} {y1}h0M{x2} {y2}h0", stroke=stroke, **thick)]


def _sparsity(picture: Sparsity) -> _Drawn:
    rows, columns = picture.shape
    size = max(1, min(12, 640 // max(rows, columns, 1)))
    top = 20 if picture.name else 0
    shapes = [_text(picture.name, columns * size // 2, 8)] if picture.name else []
    # One path for each tap: a rectangle for each place would be ten times as long.
    paths: dict[int, str] = {}
    for row, column, tap in picture.places:
        square = f"M{column * size} {top + row * size}h{size}v{size}h-{size}z"
        paths[tap] = paths.get(tap, "") + square
    for tap, path in sorted(paths.items()):
        shapes.append(element("path", d=path, fill=colour(tap, picture.taps), data_tap=tap))
    width, height = columns * size, rows * size
    frame = element("rect", x=0, y=top, width=width, height=height, kind="c")
    return _Drawn(width, top + height, (*shapes, frame))
