"""Four equal ways to see a transposed convolution, each worked out from the start."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sympy

from tconvjax.explaining.arrays import (
    Values,
    array,
    by,
    column_of,
    corner,
    cropped,
    ending,
    folded,
    framed,
    grid,
    named,
    nothing,
    some,
    told,
)
from tconvjax.explaining.explanation import Seen, Step
from tconvjax.geometry import Axis, Geometry
from tconvjax.rendering import Cell, Row, Table, Words, conv_table
from tconvjax.symbolic import Phase, conv_matrix, kernel_symbols, polyphase
from tconvjax.symbolic.names import places


def stamps(geometry: Geometry, y: Values, w: Values) -> Seen:
    """Each element of y scales the kernel and stamps it onto the result."""
    axes = [axis.filled() for axis in geometry.axes]
    whole = (geometry.in_channels, *(axis.in_size for axis in axes))
    total, steps = nothing(whole), []
    elements = list(places(geometry.out_shape))
    colours = _colours(geometry)
    shown = some(len(elements))
    for n, (o, *i) in enumerate(elements):
        stamp: dict[tuple[int, ...], int] = {}
        for c, at, tap in _stamp(geometry, axes, o, i):
            total[c, *at] = total[c, *at] + y[o, *i] * w[tap]
            stamp[c, *at] = colours[tap]
        if n in shown:
            words = f"{named('y', y, o, i)} stamps the kernel, times itself, at {corner(axes, i)}."
            before = Row(
                (grid(y, "y", {(o, *i): 0}, 1), "→", grid(total, "so far", stamp, len(colours)))
            )
            steps.append(Step(words, before))
        elif n - 1 in shown:
            steps.append(Step(f"And so on, for {len(elements) - len(shown)} more.", Words("⋮")))
    result = cropped(geometry, total)
    if result.shape != total.shape or geometry.bordered:
        steps.append(Step(ending(geometry), Row((framed(geometry, total), "→", grid(result, "z")))))
    return Seen("stamps", "One element to many", tuple(steps), result)


def _stamp(
    geometry: Geometry, axes: Sequence[Axis], o: int, i: Sequence[int]
) -> Iterator[tuple[int, tuple[int, ...], tuple[int, ...]]]:
    """(channel, place, tap) of everything that an element of y writes, rims included."""
    width = geometry.kernel_shape[1]
    first = o // (geometry.out_channels // geometry.groups) * width
    for tap in places((width, *geometry.kernel_size)):
        place = tuple(
            axis.stride * n + axis.dilation * t - axis.low
            for axis, n, t in zip(axes, i, tap[1:], strict=True)
        )
        if all(0 <= p < axis.in_size for p, axis in zip(place, axes, strict=True)):
            yield first + tap[0], place, (o, *tap)


def zeros(geometry: Geometry, y: Values, w: Values) -> Seen:
    """Zeros between the elements, a border, and a convolution with the flipped kernel."""
    there = geometry.filled()
    spread = _spread(there, y)
    padded = spread
    for n, axis in enumerate(there.axes):
        padded = _bordered(padded, 1 + n, axis.span - 1 - axis.low, axis.span - 1 - axis.high)
    steps, name = [], "y"
    if spread.shape != y.shape:
        words = "Zeros go between the elements, one less than the stride."
        steps.append(Step(words, Row((grid(y, "y"), "→", grid(spread, name := "spread")))))
    words = "A border of as many zeros as the kernel reaches over the rim, less the padding."
    steps.append(Step(words, Row((grid(spread, name), "→", grid(padded, "padded")))))
    words = "The kernel is turned around"
    words += ", with zeros between its taps." if max(there.dilation) > 1 else "."
    steps.append(Step(words, Row((_kernel(there, w), "→", _flipped(there, w)))))
    total, middle, seen = _slid(there, padded, w)
    result = folded(geometry, there, total)
    if total.size:
        words = f"It slides one element at a time. Here it stands at {told(middle)} of the result."
        done = grid(total, "so far" if geometry.bordered else "z", {(0, *middle): 0}, 1)
        window = grid(padded, "padded", seen, w.size)
        steps.append(Step(words, Row((window, "→", done))))
    if geometry.bordered:
        steps.append(Step(ending(geometry), grid(result, "z")))
    return Seen("zeros", "Zeros between, and a convolution", tuple(steps), result)


def _spread(geometry: Geometry, y: Values) -> Values:
    """The elements a stride apart, zeros between them."""
    sizes = (max(a.stride * (a.out_size - 1) + 1, 0) for a in geometry.axes)
    spread = nothing((geometry.out_channels, *sizes))
    spread[slice(None), *(slice(None, None, axis.stride) for axis in geometry.axes)] = y
    return spread


def _slid(
    geometry: Geometry, padded: Values, w: Values
) -> tuple[Values, tuple[int, ...], dict[tuple[int, ...], int]]:
    """The convolution of stride 1; a place in its middle, and the taps of what meets there."""
    total, width = nothing(geometry.in_shape), geometry.kernel_shape[1]
    middle, colours = tuple(size // 2 for size in geometry.in_size), _colours(geometry)
    seen: dict[tuple[int, ...], int] = {}
    for o, c in itertools.product(range(geometry.out_channels), range(width)):
        channel = o // (geometry.out_channels // geometry.groups) * width + c
        for j, t in itertools.product(places(geometry.in_size), places(geometry.kernel_size)):
            at = tuple(
                n + a.span - 1 - a.dilation * tap
                for n, a, tap in zip(j, geometry.axes, t, strict=True)
            )
            total[channel, *j] = total[channel, *j] + w[o, c, *t] * padded[o, *at]
            if channel == 0 and j == middle:
                seen[o, *at] = colours[o, c, *t]
    return total, middle, seen


def _bordered(values: Values, position: int, low: int, high: int) -> Values:
    """Zeros around an axis; a negative border cuts."""
    ends = [(0, 0)] * values.ndim
    ends[position] = (max(low, 0), max(high, 0))
    values = np.pad(values, ends, constant_values=sympy.Integer(0))
    cut: list[Any] = [slice(None)] * values.ndim
    cut[position] = slice(max(-low, 0), values.shape[position] - max(-high, 0))
    return values[tuple(cut)]


def _colours(geometry: Geometry) -> dict[tuple[int, ...], int]:
    """A colour for each entry of the kernel, by (o, c, *t)."""
    return {index: n for n, index in enumerate(kernel_symbols(geometry))}


def _kernel(geometry: Geometry, w: Values) -> Table:
    """The kernel as squares, each pair of channels below the one before."""
    width = geometry.kernel_shape[1]
    shown = {(o * width + c, *t): n for (o, c, *t), n in _colours(geometry).items()}
    return grid(w.reshape(-1, *w.shape[2:]), "w", shown, w.size)


def _flipped(geometry: Geometry, w: Values) -> Table:
    """The kernel turned around, with zeros between its taps where there is a dilation."""
    width, axes = geometry.kernel_shape[1], geometry.axes
    flipped = nothing((w.shape[0] * width, *(axis.span for axis in axes)))
    shown = {}
    for (o, c, *t), n in _colours(geometry).items():
        at = (a.span - 1 - a.dilation * tap for a, tap in zip(axes, t, strict=True))
        place = (o * width + c, *at)
        flipped[place], shown[place] = w[o, c, *t], n
    return grid(flipped, "flipped", shown, w.size)


def matrix(geometry: Geometry, y: Values, w: Values) -> Seen:
    """C.T times the column of y."""
    matrix = conv_matrix(geometry, w)
    column = sympy.Matrix(y.size, 1, list(y.flat))
    product = matrix.T * column
    result = array(list(product), geometry.in_shape)
    steps = (
        Step("C holds the taps of each output in a row.", conv_table(geometry, w)),
        Step(
            "C.T times the column of y has the shape of x.",
            Row(
                (
                    conv_table(geometry, w, transpose=True),
                    column_of(y, "vec(y)"),
                    "=",
                    column_of(result, "vec(z)"),
                )
            ),
        ),
        Step("Read row by row, the column is the result.", grid(result, "z")),
    )
    return Seen("matrix", "The transposed matrix", steps, result)


def phases(geometry: Geometry, y: Values, w: Values) -> Seen:
    """A convolution of stride 1 for each phase of the result, and a pixel shuffle."""
    there = geometry.filled()
    form, column = polyphase(there, w), sympy.Matrix(y.size, 1, list(y.flat))
    count, kernel, total = len(form.phases), _kernel(there, w), nothing(there.in_shape)
    colours: dict[tuple[int, ...], int] = {}
    steps = []
    for n, phase in enumerate(form.phases):
        part = array(list(phase.matrix * column), (there.in_channels, *phase.rows))
        for index in places(part.shape):
            place = _woven(there, phase, index)
            total[place] = part[index]
            if count > 1:
                colours[place] = n
        if n in some(count):
            shown = dict.fromkeys(places(part.shape), n) if count > 1 else {}
            done = grid(part, f"phase {told(phase.residue)}", shown, count)
            parts = (_used(kernel, _taps_of(there, phase)), "∗", grid(y, "y"), "→", done)
            steps.append(Step(_phase_words(there, phase), Row(parts)))
    result = folded(geometry, there, total)
    words = "The phases are woven into one another: the pixel shuffle."
    steps.append(Step(words, grid(total, "so far" if geometry.bordered else "z", colours, count)))
    if geometry.bordered:
        steps.append(Step(ending(geometry), grid(result, "z")))
    return Seen("polyphase", "Phases, and a pixel shuffle", tuple(steps), result)


def _woven(geometry: Geometry, phase: Phase, index: tuple[int, ...]) -> tuple[int, ...]:
    """Where an element (c, *q) of a phase stands in the result."""
    c, *qs = index
    where = zip(geometry.axes, qs, phase.residue, strict=True)
    return (c, *(axis.stride * q + r for axis, q, r in where))


def _taps_of(geometry: Geometry, phase: Phase) -> set[int]:
    """The colours of the taps that write into a phase."""
    return {n for index, n in _colours(geometry).items() if index[2:] in phase.taps}


def _phase_words(geometry: Geometry, phase: Phase) -> str:
    if set(geometry.stride) == {1}:
        return "With stride 1 there is one phase, which is the whole result."
    return (
        f"Phase {told(phase.residue)}, one element in {by(geometry.stride)} of the result, is "
        f"written by {len(phase.taps)} of {math.prod(geometry.kernel_size)} taps, with stride 1."
    )


def _used(table: Table, taps: set[int]) -> Table:
    """A kernel with the taps that are not in use left out."""
    cells = tuple(
        tuple(cell if cell.tap in taps else Cell("·") for cell in row) for row in table.cells
    )
    return replace(table, cells=cells)
