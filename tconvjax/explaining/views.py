"""Four equal ways to see a transposed convolution, each computed from the start."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import sympy

from tconvjax.geometry import Axis, Geometry, links
from tconvjax.geometry.padding import source
from tconvjax.rendering import Cell, Row, Stack, Table, Words, conv_table
from tconvjax.rendering.document import Document, by, coordinates, shape_words
from tconvjax.rendering.palette import Shows
from tconvjax.rendering.tables import MOST_SHOWN
from tconvjax.symbolic import conv_matrix, polyphase
from tconvjax.symbolic.matrix import places

View: TypeAlias = Literal["stamps", "zeros", "matrix", "polyphase"]
VIEWS: tuple[View, ...] = get_args(View)

Values: TypeAlias = Any
"""NumPy array of SymPy expressions, (channels, *sizes)."""

Place: TypeAlias = tuple[int, ...]
"""Index of an element of such an array."""

BETWEEN = "Zeros go between the elements, one less than the stride."
AROUND = "A border of zeros is added: as many as the kernel reaches over, less the padding."
WOVEN = "The pixel shuffle puts the elements of the phases in turn."
CROPPED = "The padding of the convolution is cut off."
FOLDED = "What lies in the border is added to the elements that it copied."
"""What happens in a step."""

MOST_STEPS = 9
"""Maximum steps of a kind that are shown one by one; of more, the middle ones are counted."""


@dataclass(frozen=True)
class Step:
    """One step: what happens, in words, and what it looks like."""

    words: str
    document: Document


@dataclass(frozen=True)
class Seen:
    """One view of a transposed convolution.

    Args:
        view: its name.
        title: what it shows, in a few words.
        steps: in order.
        result: (C, *in_size), as this view computes it.
    """

    view: View
    title: str
    steps: tuple[Step, ...]
    result: Values

    @property
    def document(self) -> Document:
        """The whole view."""
        parts: list[Document] = [Words(self.title, level=2)]
        for step in self.steps:
            parts += [Words(step.words), step.document]
        return Stack(parts)


def stamps(geometry: Geometry, y: Values, w: Values, moving: bool = False) -> Seen:
    """Each element of y scales the kernel and stamps it onto the result."""
    whole = replace(geometry, axes=tuple(axis.filled() for axis in geometry.axes))
    stamped: dict[Place, dict[Place, Place]] = {at: {} for at in np.ndindex(y.shape)}
    for output, at, tap in links(whole):
        stamped[output][at] = tap
    total, colours, steps = _nothing(whole.in_shape), places(w.shape), list[Step]()
    shown = _chosen(len(stamped))
    for n, (element, stamp) in enumerate(stamped.items()):
        for at, tap in stamp.items():
            total[at] = total[at] + y[element] * w[tap]
        if n in shown:
            corner = coordinates([s * i for s, i in zip(whole.stride, element[1:], strict=True)])
            apart = f", its taps {by(whole.dilation)} apart" if max(whole.dilation) > 1 else ""
            words = (
                f"{_named(y, element)} multiplies the kernel, and the product is put down "
                f"with its corner at {corner}{apart}."
            )
            marked = {at: colours[tap] for at, tap in stamp.items()}
            after = _grid(total, "so far", marked, len(colours))
            steps.append(Step(words, Row((_marked(y, "y", element), "→", after))))
        elif n - 1 in shown and not moving:
            steps.append(Step(f"And so on, for {len(stamped) - len(shown)} more.", Words("⋮")))
    result, outside = _cropped(geometry, total, geometry.axes), _outside(geometry, total)
    if result.shape != total.shape or geometry.bordered:
        before, after = _grid(total, "so far", faint=outside), _grid(result, "z")
        if moving and outside:  # what is cut off gets faint where it is
            before, after = _grid(y, "y"), before
        words = FOLDED if geometry.bordered else CROPPED
        steps.append(Step(words, Row((before, "→", after))))
    return Seen("stamps", "One element to many", tuple(steps), result)


def sheets(geometry: Geometry, y: Values, w: Values) -> Stack:
    """Draw y and w, each stamp on a sheet of its own, and the sum of the sheets.

    Above 9 elements of y, some sheets are left out.
    """
    whole = replace(geometry, axes=tuple(axis.filled() for axis in geometry.axes))
    colours, total = places(w.shape), _nothing(whole.in_shape)
    stamped: dict[Place, dict[Place, Place]] = {at: {} for at in np.ndindex(y.shape)}
    for output, at, tap in links(whole):
        stamped[output][at] = tap
        total[at] = total[at] + y[output] * w[tap]
    shown, parts = _chosen(len(stamped)), list[Any]()
    for n, (element, stamp) in enumerate(stamped.items()):
        if n in shown:
            sheet = np.full(whole.in_shape, "", object)
            for at, tap in stamp.items():
                sheet[at] = y[element] * w[tap]
            marked = {at: colours[tap] for at, tap in stamp.items()}
            parts += ["+", _grid(sheet, f"{_digit(y[element])} w", marked, len(colours))]
        elif n - 1 in shown:
            parts += ["+", "⋯"]
    result = _cropped(geometry, total, geometry.axes)
    if result.shape == total.shape and not geometry.bordered:
        end = Row(("=", _grid(total, "z")))
    else:
        before = _grid(total, "sum", faint=_outside(geometry, total))
        end = Row(("=", before, "→", _grid(result, "z")))
    return Stack([Row((_grid(y, "y"), _kernel(w))), Row(tuple(parts[1:])), end])


def zeros(geometry: Geometry, y: Values, w: Values, moving: bool = False) -> Seen:
    """Zeros between the elements, a border, and a convolution with the flipped kernel."""
    filled = geometry.filled()
    sizes = (max(axis.stride * (axis.out_size - 1) + 1, 0) for axis in filled.axes)
    gaps = np.full((filled.out_channels, *sizes), "", object)
    gaps[:, *(slice(None, None, axis.stride) for axis in filled.axes)] = y
    spread = np.where(gaps == "", sympy.Integer(0), gaps)
    ends = [(axis.span - 1 - axis.low, axis.span - 1 - axis.high) for axis in filled.axes]
    padded = _bordered(spread, ends)
    before, after, steps = _grid(y, "y"), _grid(padded, "padded"), list[Step]()
    if spread.shape != y.shape and moving:
        new = _marked(spread, "spread", *map(tuple, np.argwhere(gaps == "").tolist()))
        steps += [Step(BETWEEN, table) for table in (before, _grid(gaps, "y"), new)]
    elif spread.shape != y.shape:
        first, before = before, _grid(spread, "spread")
        steps.append(Step(BETWEEN, Row((first, "→", before))))
    steps.append(Step(AROUND, after if moving else Row((before, "→", after))))
    words = "The kernel is flipped"
    words += ", with zeros between its taps." if max(filled.dilation) > 1 else "."
    steps.append(Step(words, Row((_kernel(w), "→", _flipped(filled, w)))))
    total, name = _slid(filled, padded, w), "so far" if geometry.bordered else "z"
    done = np.full(total.shape, "", object) if moving else total
    shown, middle = _chosen(math.prod(filled.in_size)), tuple(size // 2 for size in filled.in_size)
    for n, at in enumerate(np.ndindex(filled.in_size)):
        done[:, *at] = total[:, *at]
        if n in shown if moving else at == middle and total.size:
            table = _under(filled, padded, w, at, moving)
            here = f"Here it computes element {coordinates(at)} of the result."
            words = f"The kernel slides one element at a time. {here}"
            steps.append(Step(words, Row((table, "→", _marked(done, name, (0, *at))))))
    result = _folded(geometry, total, steps)
    return Seen("zeros", "Zeros between, and a convolution", tuple(steps), result)


def _bordered(values: Values, ends: Sequence[tuple[int, int]]) -> Values:
    """Zeros around the spatial axes; a negative border cuts."""
    pads = [(0, 0), *((max(low, 0), max(high, 0)) for low, high in ends)]
    values = np.pad(values, pads, constant_values=sympy.Integer(0))
    sizes = zip(values.shape[1:], ends, strict=True)
    return values[:, *(slice(max(-low, 0), size - max(-high, 0)) for size, (low, high) in sizes)]


def _slid(geometry: Geometry, padded: Values, w: Values) -> Values:
    """The convolution of stride 1 with the flipped kernel."""
    total, own = _nothing(geometry.in_shape), geometry.out_channels // geometry.groups
    for o, c, *t in np.ndindex(w.shape):
        ends = zip(_turned(geometry, t), geometry.in_size, strict=True)
        under = [slice(n, n + size) for n, size in ends]
        channel = o // own * w.shape[1] + c
        total[channel] = total[channel] + padded[o, *under] * w[o, c, *t]
    return total


def _under(geometry: Geometry, padded: Values, w: Values, at: Place, moving: bool) -> Table:
    """What is under the flipped kernel when it computes a place of the first channel."""
    taps, kernel = dict[Place, int](), np.full(padded.shape, "", object)
    for (o, c, *t), n in places(w.shape).items():
        if o < geometry.out_channels // geometry.groups and c == 0:
            place = (o, *map(sum, zip(_turned(geometry, t), at, strict=True)))
            taps[place], kernel[place] = n, w[o, c, *t]
    if not moving:
        return _grid(padded, "padded", taps, w.size)
    # The kernel is drawn above what is under it, in a table as wide.
    taps |= {(len(padded) + o, *place): n for (o, *place), n in taps.items()}
    return _grid(np.concatenate([kernel, padded]), "padded", taps, w.size)


def _turned(geometry: Geometry, t: Sequence[int]) -> Place:
    """Where a tap of the flipped kernel is, counted from the kernel's start."""
    return tuple(a.span - 1 - a.dilation * n for a, n in zip(geometry.axes, t, strict=True))


def _kernel(w: Values) -> Table:
    """The kernel as squares, each pair of channels below the one before."""
    squares = w.reshape(-1, *w.shape[2:])
    return _grid(squares, "w", places(squares.shape), w.size)


def _flipped(geometry: Geometry, w: Values) -> Table:
    """The kernel flipped, with zeros between its taps if there is a dilation."""
    squares = w.reshape(-1, *w.shape[2:])
    flipped = _nothing((len(squares), *(axis.span for axis in geometry.axes)))
    flipped[:, *(slice(None, None, -axis.dilation) for axis in geometry.axes)] = squares
    taps = {(at[0], *_turned(geometry, at[1:])): n for at, n in places(squares.shape).items()}
    return _grid(flipped, "flipped", taps, w.size)


def matrix(geometry: Geometry, y: Values, w: Values, moving: bool = False) -> Seen:
    """C.T times the column of y."""
    transpose = conv_matrix(geometry, w).T
    product = transpose * sympy.Matrix(y.size, 1, list(y.flat))
    result = np.array(list(product), object).reshape(geometry.in_shape)
    most = max(3, *transpose.shape) if moving else MOST_SHOWN
    table, column = conv_table(geometry, w, transpose=True, most=most), _column(y, "vec(y)")
    equation = Row((table, column, "=", _column(result, "vec(z)")))
    steps = [
        Step("Each row of C holds the taps of one output.", conv_table(geometry, w)),
        Step("C.T times the column of y has the shape of x.", equation),
        Step("Read row by row, the column is the result.", _grid(result, "z")),
    ]
    if moving:
        total, steps = np.full(result.size, sympy.Integer(0), object), []
        for n, value in enumerate(y.flat):
            total = total + np.array(list(transpose[:, n]), object) * value
            stamp = {row: cells[n].tap for row, cells in enumerate(table.cells)}
            lit = tuple(
                tuple(cell if m == n else replace(cell, tap=None) for m, cell in enumerate(cells))
                for cells in table.cells
            )
            marked = _column(y, "vec(y)", {n: 0}, 1, "marks")
            done = _column(total, "so far", stamp, table.taps)
            steps.append(Step("", Row((replace(table, cells=lit), marked, "=", done))))
        steps.append(Step("", Row((table, column, "=", _column(total, "vec(z)")))))
    return Seen("matrix", "The transposed matrix", tuple(steps), result)


def phases(geometry: Geometry, y: Values, w: Values, moving: bool = False) -> Seen:
    """A convolution of stride 1 for each phase of the result, and a pixel shuffle."""
    filled, colours = geometry.filled(), places(w.shape)
    form, column = polyphase(filled, w), sympy.Matrix(y.size, 1, list(y.flat))
    read: dict[Place, dict[Place, int]] = {}
    for output, origin, tap in links(filled):
        read.setdefault(origin, {})[output] = colours[tap]
    total, numbers = np.full(filled.in_shape, "", object), dict[Place, int]()
    shown, step = _chosen(math.prod(filled.in_size)), itertools.count()
    count, kernel, name = len(form.phases), _kernel(w), "so far" if geometry.bordered else "z"
    tables, steps = list[Table](), list[Step]()
    for n, phase in enumerate(form.phases):
        shape = (filled.in_channels, *phase.rows)
        part = np.array(list(phase.matrix * column), object).reshape(shape)
        taps = {tap for at, tap in colours.items() if at[2:] in phase.taps}
        cells = tuple(
            tuple(cell if cell.tap in taps else Cell("·") for cell in row) for row in kernel.cells
        )
        used, residue = replace(kernel, cells=cells), coordinates(phase.residue)
        words = "With stride 1 there is one phase, which is the whole result."
        if max(filled.stride) > 1:
            words = (
                f"Phase {residue} is one element in {by(filled.stride)} of the result. It is "
                f"written by {len(phase.taps)} of {math.prod(filled.kernel_size)} taps, with "
                "stride 1."
            )
        for q in np.ndindex(phase.rows):
            ends = zip(q, filled.stride, phase.residue, strict=True)
            at: Any = tuple(m * stride + first for m, stride, first in ends)
            total[:, *at] = part[:, *q]
            numbers |= {(c, *at): n for c in range(filled.in_channels)}
            if moving and next(step) in shown:
                source = _grid(y, "y", read.get((0, *at)), w.size)
                woven = _grid(total, name, numbers, count, shows="phases")
                steps.append(Step(words, Row((used, source, "→", woven))))
        if n in _chosen(count):
            hatched = dict.fromkeys(np.ndindex(shape), n) if count > 1 else {}
            tables.append(_grid(part, f"phase {residue}", hatched, count, shows="phases"))
            if not moving:
                steps.append(Step(words, Row((used, _grid(y, "y"), "→", tables[-1]))))
    hatched = numbers if moving or count > 1 else {}
    woven = _grid(total, name, hatched, count, shows="phases")
    steps.append(Step(WOVEN, Row((*tables, "→", woven)) if moving else woven))
    result = _folded(geometry, total, steps)
    return Seen("polyphase", "Phases, and a pixel shuffle", tuple(steps), result)


COMPUTE = {"stamps": stamps, "zeros": zeros, "matrix": matrix, "polyphase": phases}
"""The function of each view; its steps are those of a page, or the frames of a moving picture."""

# -- arrays ----------------------------------------------------------------------------------------


def _nothing(shape: Sequence[int]) -> Values:
    return np.full(shape, sympy.Integer(0), object)


def _folded(geometry: Geometry, total: Values, steps: list[Step]) -> Values:
    """What was written to copies in the border, added to its originals, as a last step."""
    # An axis whose border holds zeros has been cropped already.
    axes = [axis if axis.bordered else replace(axis, low=0) for axis in geometry.axes]
    result = _cropped(geometry, total, axes)
    if geometry.bordered:
        steps.append(Step(FOLDED, _grid(result, "z")))
    return result


def _cropped(geometry: Geometry, total: Values, axes: Sequence[Axis]) -> Values:
    """What the padding leaves of all that was stamped; copies go back to their originals."""
    result = _nothing(geometry.in_shape)
    for c, *at in np.ndindex(total.shape):
        sources = [source(a.mode, p - a.low, a.in_size) for a, p in zip(axes, at, strict=True)]
        if None not in sources:
            result[c, *sources] = result[c, *sources] + total[c, *at]
    return result


def _outside(geometry: Geometry, total: Values) -> set[Place]:
    """The places that the padding cuts off, or folds back."""
    outside = np.ones(total.shape, bool)
    ends = ((max(a.low, 0), max(a.low + a.in_size, 0)) for a in geometry.axes)
    outside[:, *(slice(*end) for end in ends)] = False
    return set(map(tuple, np.argwhere(outside).tolist()))


def _grid(
    values: Values,
    name: str,
    colours: Mapping[Place, int] | None = None,
    taps: int = 0,
    faint: Set[Place] = frozenset(),
    shows: Shows = "taps",
) -> Table:
    """An array (channels, *sizes) as squares, one slice below the other."""
    colours = colours or {}

    def cell(at: Place) -> Cell:
        title = f"{name} {coordinates(at)}"
        return Cell(_digit(values[at]), colours.get(at), title, at in faint)

    *across, width = values.shape
    rows = tuple(tuple(cell((*at, n)) for n in range(width)) for at in np.ndindex(*across))
    height = max(across[-1], 1) if len(across) > 1 else 1
    cuts = tuple(range(height, len(rows), height))
    alt = f"{name}, {shape_words(values.shape)}"
    return Table(rows, name, cuts, (), False, taps, alt, shows)


def _marked(values: Values, name: str, *places: Place) -> Table:
    """An array with a frame around some elements."""
    return _grid(values, name, dict.fromkeys(places, 0), 1, shows="marks")


def _column(
    values: Values,
    name: str,
    colours: Mapping[int, int | None] | None = None,
    taps: int = 0,
    shows: Shows = "taps",
) -> Table:
    """An array read row by row, as a column in brackets."""
    found = colours or {}
    cells = tuple((Cell(_digit(value), found.get(n)),) for n, value in enumerate(values.flat))
    alt = f"{name}, {values.size} elements"
    return Table(cells, name, taps=taps, alt=alt, shows=shows)


def _digit(value: Any) -> Any:
    # The zero of an array is written as a digit; a dot means that a matrix has no entry there.
    return value if isinstance(value, str) else "0" if value == 0 else sympy.expand(value)


# -- words -----------------------------------------------------------------------------------------


def _chosen(count: int) -> set[int]:
    """Which of many steps are shown."""
    if count <= MOST_STEPS:
        return set(range(count))
    return {*range(MOST_STEPS - 3), count - 2, count - 1}


def _named(y: Values, at: Place) -> str:
    """An element of y, with its number if it has one."""
    name = f"y{coordinates(at if y.shape[0] > 1 else at[1:])}"
    return name if y[at].free_symbols else f"{name} = {y[at]}"
