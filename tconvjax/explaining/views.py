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
from tconvjax.symbolic import conv_matrix, kernel_symbols, polyphase
from tconvjax.symbolic.structure import Phase

View: TypeAlias = Literal["stamps", "zeros", "matrix", "polyphase"]
VIEWS: tuple[View, ...] = get_args(View)

Values: TypeAlias = Any
"""NumPy array of SymPy expressions, (channels, *sizes)."""

Place: TypeAlias = tuple[int, ...]
"""Index of an element of such an array."""

BETWEEN = "Zeros go between the elements, one less than the stride."
AROUND = "A border of zeros is added: as many as the kernel reaches over, less the padding."
WOVEN = "The pixel shuffle puts the elements of the phases in turn."
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


def stamps(geometry: Geometry, y: Values, w: Values) -> Seen:
    """Each element of y scales the kernel and stamps it onto the result."""
    whole = replace(geometry, axes=tuple(axis.filled() for axis in geometry.axes))
    stamped: dict[Place, dict[Place, Place]] = {at: {} for at in np.ndindex(y.shape)}
    for output, at, tap in links(whole):
        stamped[output][at] = tap
    total, colours, steps = _nothing(whole.in_shape), _colours(geometry), []
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
        elif n - 1 in shown:
            steps.append(Step(f"And so on, for {len(stamped) - len(shown)} more.", Words("⋮")))
    result = _cropped(geometry, total, geometry.axes)
    if result.shape != total.shape or geometry.bordered:
        before = _grid(total, "so far", faint=_outside(geometry, total))
        steps.append(Step(_ending(geometry), Row((before, "→", _grid(result, "z")))))
    return Seen("stamps", "One element to many", tuple(steps), result)


def sheets(geometry: Geometry, y: Values, w: Values) -> Stack:
    """Draw y and w, each stamp on a sheet of its own, and the sum of the sheets.

    Above 9 elements of y, some sheets are left out.
    """
    whole = replace(geometry, axes=tuple(axis.filled() for axis in geometry.axes))
    colours, total = _colours(geometry), _nothing(whole.in_shape)
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
    return Stack([Row((_grid(y, "y"), _kernel(geometry, w))), Row(tuple(parts[1:])), end])


def zeros(geometry: Geometry, y: Values, w: Values) -> Seen:
    """Zeros between the elements, a border, and a convolution with the flipped kernel."""
    filled = geometry.filled()
    spread, padded = _spread(filled, y)
    steps, name = [], "y"
    if spread.shape != y.shape:
        steps.append(Step(BETWEEN, Row((_grid(y, "y"), "→", _grid(spread, name := "spread")))))
    steps.append(Step(AROUND, Row((_grid(spread, name), "→", _grid(padded, "padded")))))
    steps.append(Step(*_turning(filled, w)))
    total, middle = _slid(filled, padded, w), tuple(size // 2 for size in filled.in_size)
    if total.size:
        window = {at: n for at, (n, _) in _under(filled, w, middle).items()}
        done = _marked(total, "so far" if geometry.bordered else "z", (0, *middle))
        shown = Row((_grid(padded, "padded", window, w.size), "→", done))
        steps.append(Step(_sliding(middle), shown))
    result = _folded(geometry, total, steps)
    return Seen("zeros", "Zeros between, and a convolution", tuple(steps), result)


def _spread(filled: Geometry, y: Values) -> tuple[Values, Values]:
    """Put zeros between the elements, and around them too."""
    sizes = (max(axis.stride * (axis.out_size - 1) + 1, 0) for axis in filled.axes)
    spread = _nothing((filled.out_channels, *sizes))
    spread[:, *(slice(None, None, axis.stride) for axis in filled.axes)] = y
    ends = [(axis.span - 1 - axis.low, axis.span - 1 - axis.high) for axis in filled.axes]
    return spread, _bordered(spread, ends)


def _turning(filled: Geometry, w: Values) -> tuple[str, Row]:
    """The kernel and the flipped kernel."""
    words = "The kernel is flipped"
    words += ", with zeros between its taps." if max(filled.dilation) > 1 else "."
    return words, Row((_kernel(filled, w), "→", _flipped(filled, w)))


def _bordered(values: Values, ends: Sequence[tuple[int, int]]) -> Values:
    """Zeros around the spatial axes; a negative border cuts."""
    pads = [(0, 0), *((max(low, 0), max(high, 0)) for low, high in ends)]
    values = np.pad(values, pads, constant_values=sympy.Integer(0))
    sizes = zip(values.shape[1:], ends, strict=True)
    return values[:, *(slice(max(-low, 0), size - max(-high, 0)) for size, (low, high) in sizes)]


def _slid(geometry: Geometry, padded: Values, w: Values) -> Values:
    """The convolution of stride 1 with the flipped kernel."""
    total, width = _nothing(geometry.in_shape), geometry.kernel_shape[1]
    for o, c, *t in _colours(geometry):
        channel = o // (geometry.out_channels // geometry.groups) * width + c
        ends = zip(_turned(geometry, t), geometry.in_size, strict=True)
        under = [slice(n, n + size) for n, size in ends]
        total[channel] = total[channel] + padded[o, *under] * w[o, c, *t]
    return total


def _under(geometry: Geometry, w: Values, at: Place) -> dict[Place, tuple[int, Any]]:
    """Where the taps are when the flipped kernel computes a place of the first channel."""
    own = geometry.out_channels // geometry.groups
    return {
        (o, *(n + m for n, m in zip(_turned(geometry, t), at, strict=True))): (n, w[o, c, *t])
        for (o, c, *t), n in _colours(geometry).items()
        if o < own and c == 0
    }


def _sliding(at: Place) -> str:
    """What the flipped kernel does at a place of the result."""
    here = f"Here it computes element {coordinates(at)} of the result."
    return f"The kernel slides one element at a time. {here}"


def _turned(geometry: Geometry, t: Sequence[int]) -> Place:
    """Where a tap of the flipped kernel is, counted from the kernel's start."""
    return tuple(a.span - 1 - a.dilation * n for a, n in zip(geometry.axes, t, strict=True))


def _kernel(geometry: Geometry, w: Values) -> Table:
    """The kernel as squares, each pair of channels below the one before."""
    width = geometry.kernel_shape[1]
    colours = {(o * width + c, *t): n for (o, c, *t), n in _colours(geometry).items()}
    return _grid(w.reshape(-1, *w.shape[2:]), "w", colours, w.size)


def _flipped(geometry: Geometry, w: Values) -> Table:
    """The kernel flipped, with zeros between its taps if there is a dilation."""
    width = geometry.kernel_shape[1]
    flipped = _nothing((w.shape[0] * width, *(axis.span for axis in geometry.axes)))
    colours = {}
    for (o, c, *t), n in _colours(geometry).items():
        at = (o * width + c, *_turned(geometry, t))
        flipped[at], colours[at] = w[o, c, *t], n
    return _grid(flipped, "flipped", colours, w.size)


def matrix(geometry: Geometry, y: Values, w: Values) -> Seen:
    """C.T times the column of y."""
    product = conv_matrix(geometry, w).T * sympy.Matrix(y.size, 1, list(y.flat))
    result = np.array(list(product), object).reshape(geometry.in_shape)
    transpose, column = conv_table(geometry, w, transpose=True), _column(y, "vec(y)")
    equation = Row((transpose, column, "=", _column(result, "vec(z)")))
    steps = (
        Step("Each row of C holds the taps of one output.", conv_table(geometry, w)),
        Step("C.T times the column of y has the shape of x.", equation),
        Step("Read row by row, the column is the result.", _grid(result, "z")),
    )
    return Seen("matrix", "The transposed matrix", steps, result)


def phases(geometry: Geometry, y: Values, w: Values) -> Seen:
    """A convolution of stride 1 for each phase of the result, and a pixel shuffle."""
    filled = geometry.filled()
    form, column = polyphase(filled, w), sympy.Matrix(y.size, 1, list(y.flat))
    count, kernel, total = len(form.phases), _kernel(filled, w), _nothing(filled.in_shape)
    numbers, steps = np.zeros(total.shape, object), []
    for n, phase in enumerate(form.phases):
        shape = (filled.in_channels, *phase.rows)
        part = np.array(list(phase.matrix * column), object).reshape(shape)
        ends = zip(phase.residue, filled.stride, strict=True)
        at = (slice(None), *(slice(residue, None, stride) for residue, stride in ends))
        total[at], numbers[at] = part, n
        if n in _chosen(count):
            done = _hatched(part, phase, n, count)
            drawn = Row((_used(filled, kernel, phase), _grid(y, "y"), "→", done))
            steps.append(Step(_written(filled, phase), drawn))
    colours = dict(np.ndenumerate(numbers)) if count > 1 else {}
    name = "so far" if geometry.bordered else "z"
    steps.append(Step(WOVEN, _grid(total, name, colours, count, shows="phases")))
    result = _folded(geometry, total, steps)
    return Seen("polyphase", "Phases, and a pixel shuffle", tuple(steps), result)


def _hatched(part: Values, phase: Phase, n: int, count: int) -> Table:
    """The elements of a phase; hatched if there are others."""
    shown = dict.fromkeys(np.ndindex(part.shape), n) if count > 1 else {}
    return _grid(part, f"phase {coordinates(phase.residue)}", shown, count, shows="phases")


def _written(filled: Geometry, phase: Phase) -> str:
    """Which elements a phase is, and how many taps write it."""
    if set(filled.stride) == {1}:
        return "With stride 1 there is one phase, which is the whole result."
    return (
        f"Phase {coordinates(phase.residue)} is one element in {by(filled.stride)} of the result. "
        f"It is written by {len(phase.taps)} of {math.prod(filled.kernel_size)} taps, with stride "
        "1."
    )


def _used(filled: Geometry, kernel: Table, phase: Phase) -> Table:
    """A kernel without the taps that a phase does not use."""
    taps = {n for at, n in _colours(filled).items() if at[2:] in phase.taps}
    cells = tuple(
        tuple(cell if cell.tap in taps else Cell("·") for cell in row) for row in kernel.cells
    )
    return replace(kernel, cells=cells)


COMPUTE = {"stamps": stamps, "zeros": zeros, "matrix": matrix, "polyphase": phases}
"""The function of each view."""

# -- moving pictures -------------------------------------------------------------------------------

Frame: TypeAlias = tuple[str, tuple[Any, ...]]
"""What happens, and arrays with signs between them."""


def stamping(geometry: Geometry, y: Values, w: Values) -> list[Frame]:
    """One stamp after another; what the padding cuts off gets faint where it is."""
    steps = [(s.words, s.document) for s in stamps(geometry, y, w).steps]
    frames = [(words, row.parts) for words, row in steps if isinstance(row, Row)]
    match frames:
        case [*_, (words, (Table() as total, *_))] if any(c.faint for r in total.cells for c in r):
            frames[-1] = words, (_grid(y, "y"), "→", total)
    return frames


def inserting(geometry: Geometry, y: Values, w: Values) -> list[Frame]:
    """Zeros come between the elements and around them, and the flipped kernel slides over."""
    filled = geometry.filled()
    spread, padded = _spread(filled, y)
    frames = list[Frame]()
    if spread.shape != y.shape:
        gaps = np.full(spread.shape, "", object)
        gaps[:, *(slice(None, None, axis.stride) for axis in filled.axes)] = y
        new = _marked(spread, "spread", *map(tuple, np.argwhere(gaps == "").tolist()))
        frames += [(BETWEEN, (table,)) for table in (_grid(y, "y"), _grid(gaps, "y"), new)]
    words, turned = _turning(filled, w)
    frames += [(AROUND, (_grid(padded, "padded"),)), (words, turned.parts)]
    total, done = _slid(filled, padded, w), np.full(filled.in_shape, "", object)
    shown, name = _chosen(math.prod(filled.in_size)), "so far" if geometry.bordered else "z"
    for n, at in enumerate(np.ndindex(filled.in_size)):
        done[:, *at] = total[:, *at]
        if n in shown:
            # The kernel is drawn above what is under it, in a table as wide.
            placed, window = np.full(padded.shape, "", object), dict[Place, int]()
            for (o, *under), (tap, weight) in _under(filled, w, at).items():
                placed[o, *under] = weight
                window[o, *under] = window[len(padded) + o, *under] = tap
            over = _grid(np.concatenate([placed, padded]), "padded", window, w.size)
            frames.append((_sliding(at), (over, "→", _marked(done, name, (0, *at)))))
    return _ended(geometry, total, frames)


def multiplying(geometry: Geometry, y: Values, w: Values) -> list[Frame]:
    """C.T times the column of y, one column after the other, and at the end all of it."""
    transpose = conv_matrix(geometry, w).T
    table = conv_table(geometry, w, transpose=True, most=max(3, *transpose.shape))
    total, frames = np.full(math.prod(geometry.in_shape), sympy.Integer(0), object), list[Frame]()
    for n, value in enumerate(y.flat):
        total = total + np.array(list(transpose[:, n]), object) * value
        stamp = {row: cells[n].tap for row, cells in enumerate(table.cells)}
        lit = tuple(
            tuple(cell if m == n else replace(cell, tap=None) for m, cell in enumerate(cells))
            for cells in table.cells
        )
        column = _column(y, "vec(y)", {n: 0}, 1, "marks")
        done = _column(total, "so far", stamp, table.taps)
        frames.append(("", (replace(table, cells=lit), column, "=", done)))
    return [*frames, ("", (table, _column(y, "vec(y)"), "=", _column(total, "vec(z)")))]


def weaving(geometry: Geometry, y: Values, w: Values) -> list[Frame]:
    """One phase after another, each element computed by its taps and put in its place."""
    filled, colours = geometry.filled(), _colours(geometry)
    form, column = polyphase(filled, w), sympy.Matrix(y.size, 1, list(y.flat))
    read: dict[Place, dict[Place, int]] = {}
    for output, origin, tap in links(filled):
        read.setdefault(origin, {})[output] = colours[tap]
    done, numbers, frames = np.full(filled.in_shape, "", object), dict[Place, int](), list[Frame]()
    shown, count, kernel = _chosen(math.prod(filled.in_size)), len(form.phases), _kernel(filled, w)
    step, name = itertools.count(), "so far" if geometry.bordered else "z"
    tables = list[Table]()
    for n, phase in enumerate(form.phases):
        shape = (filled.in_channels, *phase.rows)
        part = np.array(list(phase.matrix * column), object).reshape(shape)
        tables += [_hatched(part, phase, n, count)] if n in _chosen(count) else []
        for q in np.ndindex(phase.rows):
            ends = zip(q, filled.stride, phase.residue, strict=True)
            at: Any = tuple(m * stride + residue for m, stride, residue in ends)
            done[:, *at] = part[:, *q]
            numbers |= {(c, *at): n for c in range(filled.in_channels)}
            if next(step) in shown:
                source = _grid(y, "y", read.get((0, *at)), w.size)
                woven = _grid(done, name, numbers, count, shows="phases")
                parts = (_used(filled, kernel, phase), source, "→", woven)
                frames.append((_written(filled, phase), parts))
    whole = _grid(done, name, numbers, count, shows="phases")
    return _ended(geometry, done, [*frames, (WOVEN, (*tables, "→", whole))])


def _ended(geometry: Geometry, total: Values, frames: list[Frame]) -> list[Frame]:
    """The frames, and one for a border that is folded back."""
    _folded(geometry, total, steps := list[Step]())
    return [*frames, *((step.words, (step.document,)) for step in steps)]


FILMS = {"stamps": stamping, "zeros": inserting, "matrix": multiplying, "polyphase": weaving}
"""The function of each view's moving picture."""

# -- arrays ----------------------------------------------------------------------------------------


def _nothing(shape: Sequence[int]) -> Values:
    return np.full(shape, sympy.Integer(0), object)


def _folded(geometry: Geometry, total: Values, steps: list[Step]) -> Values:
    """What was written to copies in the border, added to its originals, as a last step."""
    # An axis whose border holds zeros has been cropped already.
    axes = [axis if axis.bordered else replace(axis, low=0) for axis in geometry.axes]
    result = _cropped(geometry, total, axes)
    if geometry.bordered:
        steps.append(Step(_ending(geometry), _grid(result, "z")))
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


def _ending(geometry: Geometry) -> str:
    if geometry.bordered:
        return "What lies in the border is added to the elements that it copied."
    return "The padding of the convolution is cut off."


def _colours(geometry: Geometry) -> dict[Place, int]:
    """A colour for each entry of the kernel, by (o, c, *t)."""
    return {at: n for n, at in enumerate(kernel_symbols(geometry))}


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
    most = MOST_STEPS
    return set(range(count)) if count <= most else {*range(most - 3), count - 2, count - 1}


def _named(y: Values, at: Place) -> str:
    """An element of y, with its number if it has one."""
    name = f"y{coordinates(at if y.shape[0] > 1 else at[1:])}"
    return name if y[at].free_symbols else f"{name} = {y[at]}"
