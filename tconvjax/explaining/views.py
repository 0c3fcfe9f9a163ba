"""Four equal ways to see a transposed convolution, each computed from the start."""

from __future__ import annotations

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
from tconvjax.symbolic import conv_matrix, kernel_symbols, polyphase

View: TypeAlias = Literal["stamps", "zeros", "matrix", "polyphase"]
VIEWS: tuple[View, ...] = get_args(View)

Values: TypeAlias = Any
"""NumPy array of SymPy expressions, (channels, *sizes)."""

Place: TypeAlias = tuple[int, ...]
"""Index of an element of such an array."""

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
            steps.append(Step(words, Row((_grid(y, "y", {element: 0}, 1), "→", after))))
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
    spread = _nothing(
        (filled.out_channels, *(max(a.stride * (a.out_size - 1) + 1, 0) for a in filled.axes))
    )
    spread[:, *(slice(None, None, axis.stride) for axis in filled.axes)] = y
    padded = _bordered(spread, [(a.span - 1 - a.low, a.span - 1 - a.high) for a in filled.axes])
    steps, name = [], "y"
    if spread.shape != y.shape:
        words = "Zeros go between the elements, one less than the stride."
        steps.append(Step(words, Row((_grid(y, "y"), "→", _grid(spread, name := "spread")))))
    words = "A border of zeros is added: as many as the kernel reaches over, less the padding."
    steps.append(Step(words, Row((_grid(spread, name), "→", _grid(padded, "padded")))))
    words = "The kernel is flipped"
    words += ", with zeros between its taps." if max(filled.dilation) > 1 else "."
    steps.append(Step(words, Row((_kernel(filled, w), "→", _flipped(filled, w)))))
    total, middle, window = _slid(filled, padded, w)
    if total.size:
        words = (
            f"The kernel slides one element at a time. Here it computes element "
            f"{coordinates(middle)} of the result."
        )
        done = _grid(total, "so far" if geometry.bordered else "z", {(0, *middle): 0}, 1)
        steps.append(Step(words, Row((_grid(padded, "padded", window, w.size), "→", done))))
    result = _folded(geometry, total, steps)
    return Seen("zeros", "Zeros between, and a convolution", tuple(steps), result)


def _bordered(values: Values, ends: Sequence[tuple[int, int]]) -> Values:
    """Zeros around the spatial axes; a negative border cuts."""
    pads = [(0, 0), *((max(low, 0), max(high, 0)) for low, high in ends)]
    values = np.pad(values, pads, constant_values=sympy.Integer(0))
    sizes = zip(values.shape[1:], ends, strict=True)
    return values[:, *(slice(max(-low, 0), size - max(-high, 0)) for size, (low, high) in sizes)]


def _slid(geometry: Geometry, padded: Values, w: Values) -> tuple[Values, Place, dict[Place, int]]:
    """The convolution of stride 1; a place in its middle, and the taps that meet there."""
    total, width = _nothing(geometry.in_shape), geometry.kernel_shape[1]
    middle, window = tuple(size // 2 for size in geometry.in_size), dict[Place, int]()
    for (o, c, *t), colour in _colours(geometry).items():
        channel = o // (geometry.out_channels // geometry.groups) * width + c
        first = _turned(geometry, t)
        under = [slice(n, n + size) for n, size in zip(first, geometry.in_size, strict=True)]
        total[channel] = total[channel] + padded[o, *under] * w[o, c, *t]
        if channel == 0:
            window[o, *(n + m for n, m in zip(first, middle, strict=True))] = colour
    return total, middle, window


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


def columns(geometry: Geometry, y: Values, w: Values) -> list[Row]:
    """C.T times the column of y, one column after the other, and at the end all of it."""
    transpose = conv_matrix(geometry, w).T
    table = conv_table(geometry, w, transpose=True, most=max(3, *transpose.shape))
    total, frames = np.full(math.prod(geometry.in_shape), sympy.Integer(0), object), list[Any]()
    for n, value in enumerate(y.flat):
        total = total + np.array(list(transpose[:, n]), object) * value
        stamp = {row: cells[n].tap for row, cells in enumerate(table.cells)}
        lit = tuple(
            tuple(cell if m == n else replace(cell, tap=None) for m, cell in enumerate(cells))
            for cells in table.cells
        )
        parts = (
            replace(table, cells=lit),
            _column(y, "vec(y)", {n: 0}, 1),
            "=",
            _column(total, "so far", stamp, table.taps),
        )
        frames.append(Row(parts))
    return [*frames, Row((table, _column(y, "vec(y)"), "=", _column(total, "vec(z)")))]


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
            shown = dict.fromkeys(np.ndindex(shape), n) if count > 1 else {}
            done = _grid(part, f"phase {coordinates(phase.residue)}", shown, count)
            taps = {n for at, n in _colours(filled).items() if at[2:] in phase.taps}
            words = "With stride 1 there is one phase, which is the whole result."
            if set(filled.stride) != {1}:
                words = (
                    f"Phase {coordinates(phase.residue)} is one element in {by(filled.stride)} of "
                    f"the result. It is written by {len(phase.taps)} of "
                    f"{math.prod(filled.kernel_size)} taps, with stride 1."
                )
            steps.append(Step(words, Row((_used(kernel, taps), "∗", _grid(y, "y"), "→", done))))
    colours = dict(np.ndenumerate(numbers)) if count > 1 else {}
    words = "The pixel shuffle puts the elements of the phases in turn."
    steps.append(Step(words, _grid(total, "so far" if geometry.bordered else "z", colours, count)))
    result = _folded(geometry, total, steps)
    return Seen("polyphase", "Phases, and a pixel shuffle", tuple(steps), result)


def _used(table: Table, taps: set[int]) -> Table:
    """A kernel without the taps that are not in use."""
    cells = tuple(
        tuple(cell if cell.tap in taps else Cell("·") for cell in row) for row in table.cells
    )
    return replace(table, cells=cells)


COMPUTE = {"stamps": stamps, "zeros": zeros, "matrix": matrix, "polyphase": phases}
"""The function of each view."""

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
    return Table(rows, name, cuts, (), False, taps, f"{name}, {shape_words(values.shape)}")


def _column(
    values: Values, name: str, colours: Mapping[int, int | None] | None = None, taps: int = 0
) -> Table:
    """An array read row by row, as a column in brackets."""
    found = colours or {}
    cells = tuple((Cell(_digit(value), found.get(n)),) for n, value in enumerate(values.flat))
    return Table(cells, name, taps=taps, alt=f"{name}, {values.size} elements")


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
