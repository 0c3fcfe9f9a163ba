"""Four equal ways to see a transposed convolution, each computed from the start."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import sympy

from tconvjax.explaining.arrays import (
    Place,
    Values,
    chosen,
    column_of,
    corner,
    cropped,
    grid,
    named,
    nothing,
    places,
)
from tconvjax.explaining.explanation import Seen, Step
from tconvjax.geometry import Axis, Geometry
from tconvjax.rendering import Cell, Row, Table, Words, conv_table
from tconvjax.rendering.tables import by, coordinates
from tconvjax.symbolic import conv_matrix, kernel_symbols, polyphase


def stamps(geometry: Geometry, y: Values, w: Values) -> Seen:
    """Each element of y scales the kernel and stamps it onto the result."""
    axes = [axis.filled() for axis in geometry.axes]
    total = nothing((geometry.in_channels, *(axis.in_size for axis in axes)))
    steps, elements, colours = [], list(places(geometry.out_shape)), _colours(geometry)
    shown = chosen(len(elements))
    for n, (o, *i) in enumerate(elements):
        stamp: dict[Place, int] = {}
        for at, tap in _stamp(geometry, axes, o, i):
            total[at] = total[at] + y[o, *i] * w[tap]
            stamp[at] = colours[tap]
        if n in shown:
            words = (
                f"{named('y', y, (o, *i))} multiplies the kernel, and the product is put down "
                f"with its corner at {corner(axes, i)}."
            )
            after = grid(total, "so far", stamp, len(colours))
            steps.append(Step(words, Row((grid(y, "y", {(o, *i): 0}, 1), "→", after))))
        elif n - 1 in shown:
            steps.append(Step(f"And so on, for {len(elements) - len(shown)} more.", Words("⋮")))
    result = cropped(geometry, total)
    if result.shape != total.shape or geometry.bordered:
        outside = {
            at
            for at in places(total.shape)
            if not all(
                0 <= p - a.low < a.in_size for a, p in zip(geometry.axes, at[1:], strict=True)
            )
        }
        before = grid(total, "so far", faint=outside)
        steps.append(Step(_ending(geometry), Row((before, "→", grid(result, "z")))))
    return Seen("stamps", "One element to many", tuple(steps), result)


def _stamp(
    geometry: Geometry, axes: Sequence[Axis], o: int, i: Sequence[int]
) -> Iterator[tuple[Place, Place]]:
    """(place, tap) of everything that an element of y writes, rims included."""
    width = geometry.kernel_shape[1]
    first = o // (geometry.out_channels // geometry.groups) * width
    for c, *t in places((width, *geometry.kernel_size)):
        at = [a.stride * n + a.dilation * k - a.low for a, n, k in zip(axes, i, t, strict=True)]
        if all(0 <= p < axis.in_size for p, axis in zip(at, axes, strict=True)):
            yield (first + c, *at), (o, c, *t)


def zeros(geometry: Geometry, y: Values, w: Values) -> Seen:
    """Zeros between the elements, a border, and a convolution with the flipped kernel."""
    filled = geometry.filled()
    spread = nothing(
        (filled.out_channels, *(max(a.stride * (a.out_size - 1) + 1, 0) for a in filled.axes))
    )
    spread[:, *(slice(None, None, axis.stride) for axis in filled.axes)] = y
    padded = _bordered(spread, [(a.span - 1 - a.low, a.span - 1 - a.high) for a in filled.axes])
    steps, name = [], "y"
    if spread.shape != y.shape:
        words = "Zeros go between the elements, one less than the stride."
        steps.append(Step(words, Row((grid(y, "y"), "→", grid(spread, name := "spread")))))
    words = "A border of zeros is added: as many as the kernel reaches over, less the padding."
    steps.append(Step(words, Row((grid(spread, name), "→", grid(padded, "padded")))))
    words = "The kernel is flipped"
    words += ", with zeros between its taps." if max(filled.dilation) > 1 else "."
    steps.append(Step(words, Row((_kernel(filled, w), "→", _flipped(filled, w)))))
    total, middle, window = _slid(filled, padded, w)
    if total.size:
        words = (
            f"The kernel slides one element at a time. Here it computes {coordinates(middle)} of "
            "the result."
        )
        done = grid(total, "so far" if geometry.bordered else "z", {(0, *middle): 0}, 1)
        steps.append(Step(words, Row((grid(padded, "padded", window, w.size), "→", done))))
    result = _folded(geometry, total, steps)
    return Seen("zeros", "Zeros between, and a convolution", tuple(steps), result)


def _slid(geometry: Geometry, padded: Values, w: Values) -> tuple[Values, Place, dict[Place, int]]:
    """The convolution of stride 1; a place in its middle, and the taps that meet there."""
    total, width = nothing(geometry.in_shape), geometry.kernel_shape[1]
    middle, colours = tuple(size // 2 for size in geometry.in_size), _colours(geometry)
    window: dict[Place, int] = {}
    for (o, c, *t), j in itertools.product(colours, places(geometry.in_size)):
        channel = o // (geometry.out_channels // geometry.groups) * width + c
        at = (o, *_turned(geometry, t, j))
        total[channel, *j] = total[channel, *j] + w[o, c, *t] * padded[at]
        if channel == 0 and j == middle:
            window[at] = colours[o, c, *t]
    return total, middle, window


def _turned(geometry: Geometry, t: Sequence[int], start: Sequence[int] | None = None) -> Place:
    """Where a tap of the flipped kernel is, counted from the kernel's start."""
    first = start or (0,) * geometry.rank
    ends = (a.span - 1 - a.dilation * n for a, n in zip(geometry.axes, t, strict=True))
    return tuple(n + end for n, end in zip(first, ends, strict=True))


def _bordered(values: Values, ends: Sequence[tuple[int, int]]) -> Values:
    """Zeros around the spatial axes; a negative border cuts."""
    pads = [(0, 0), *((max(low, 0), max(high, 0)) for low, high in ends)]
    values = np.pad(values, pads, constant_values=sympy.Integer(0))
    sizes = zip(values.shape[1:], ends, strict=True)
    return values[:, *(slice(max(-low, 0), size - max(-high, 0)) for size, (low, high) in sizes)]


def _colours(geometry: Geometry) -> dict[Place, int]:
    """A colour for each entry of the kernel, by (o, c, *t)."""
    return {at: n for n, at in enumerate(kernel_symbols(geometry))}


def _kernel(geometry: Geometry, w: Values) -> Table:
    """The kernel as squares, each pair of channels below the one before."""
    width = geometry.kernel_shape[1]
    colours = {(o * width + c, *t): n for (o, c, *t), n in _colours(geometry).items()}
    return grid(w.reshape(-1, *w.shape[2:]), "w", colours, w.size)


def _flipped(geometry: Geometry, w: Values) -> Table:
    """The kernel flipped, with zeros between its taps if there is a dilation."""
    width = geometry.kernel_shape[1]
    flipped = nothing((w.shape[0] * width, *(axis.span for axis in geometry.axes)))
    colours = {}
    for (o, c, *t), n in _colours(geometry).items():
        at = (o * width + c, *_turned(geometry, t))
        flipped[at], colours[at] = w[o, c, *t], n
    return grid(flipped, "flipped", colours, w.size)


def matrix(geometry: Geometry, y: Values, w: Values) -> Seen:
    """C.T times the column of y."""
    product = conv_matrix(geometry, w).T * sympy.Matrix(y.size, 1, list(y.flat))
    result = np.array(list(product), object).reshape(geometry.in_shape)
    transpose, column = conv_table(geometry, w, transpose=True), column_of(y, "vec(y)")
    steps = (
        Step("Each row of C holds the taps of one output.", conv_table(geometry, w)),
        Step(
            "C.T times the column of y has the shape of x.",
            Row((transpose, column, "=", column_of(result, "vec(z)"))),
        ),
        Step("Read row by row, the column is the result.", grid(result, "z")),
    )
    return Seen("matrix", "The transposed matrix", steps, result)


def phases(geometry: Geometry, y: Values, w: Values) -> Seen:
    """A convolution of stride 1 for each phase of the result, and a pixel shuffle."""
    filled = geometry.filled()
    form, column = polyphase(filled, w), sympy.Matrix(y.size, 1, list(y.flat))
    count, kernel, total = len(form.phases), _kernel(filled, w), nothing(filled.in_shape)
    colours: dict[Place, int] = {}
    steps = []
    for n, phase in enumerate(form.phases):
        shape = (filled.in_channels, *phase.rows)
        part = np.array(list(phase.matrix * column), object).reshape(shape)
        for c, *qs in places(shape):
            where = zip(filled.stride, qs, phase.residue, strict=True)
            at = (c, *(stride * q + r for stride, q, r in where))
            total[at] = part[c, *qs]
            if count > 1:
                colours[at] = n
        if n in chosen(count):
            shown = dict.fromkeys(places(shape), n) if count > 1 else {}
            done = grid(part, f"phase {coordinates(phase.residue)}", shown, count)
            taps = {n for at, n in _colours(filled).items() if at[2:] in phase.taps}
            words = "With stride 1 there is one phase, which is the whole result."
            if set(filled.stride) != {1}:
                words = (
                    f"Phase {coordinates(phase.residue)}, one element in {by(filled.stride)} of "
                    f"the result, is written by {len(phase.taps)} of "
                    f"{math.prod(filled.kernel_size)} taps, with stride 1."
                )
            steps.append(Step(words, Row((_used(kernel, taps), "∗", grid(y, "y"), "→", done))))
    words = "The pixel shuffle puts the elements of the phases in turn."
    steps.append(Step(words, grid(total, "so far" if geometry.bordered else "z", colours, count)))
    result = _folded(geometry, total, steps)
    return Seen("polyphase", "Phases, and a pixel shuffle", tuple(steps), result)


def _used(table: Table, taps: set[int]) -> Table:
    """A kernel without the taps that are not in use."""
    cells = tuple(
        tuple(cell if cell.tap in taps else Cell("·") for cell in row) for row in table.cells
    )
    return replace(table, cells=cells)


def _folded(geometry: Geometry, total: Values, steps: list[Step]) -> Values:
    """What was written to copies in the border, added to its originals, as a last step."""
    # An axis whose border holds zeros has been cropped already.
    axes = [axis if axis.bordered else replace(axis, low=0) for axis in geometry.axes]
    result = cropped(geometry, total, axes)
    if geometry.bordered:
        steps.append(Step(_ending(geometry), grid(result, "z")))
    return result


def _ending(geometry: Geometry) -> str:
    """What happens to the rim at the end."""
    if geometry.bordered:
        return "What lies in the border is added to the elements that it copied."
    return "The padding of the convolution is cut off."
