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
from tconvjax.rendering import Beside, Cell, Equation, Table, Words, conv_table
from tconvjax.symbolic import Phase, conv_matrix, kernel_symbols, polyphase
from tconvjax.symbolic.names import places


def stamps(geometry: Geometry, y: Values, w: Values) -> Seen:
    """Each element of y scales the kernel and stamps it onto the result."""
    axes = [axis.filled() for axis in geometry.axes]
    whole = (geometry.in_channels, *(axis.in_size for axis in axes))
    total, steps = nothing(whole), []
    elements = list(places(geometry.out_shape))
    colours = {index: n for n, index in enumerate(kernel_symbols(geometry))}
    shown = some(len(elements))
    for n, (o, *i) in enumerate(elements):
        stamp: dict[tuple[int, ...], int] = {}
        for c, at, tap in _stamp(geometry, axes, o, i):
            total[c, *at] = total[c, *at] + y[o, *i] * w[tap]
            stamp[c, *at] = colours[tap]
        if n in shown:
            words = f"{named('y', y, o, i)} stamps the kernel, times itself, at {corner(axes, i)}."
            before = Beside((grid(y, "y", {(o, *i): 0}, 1), "→",
                             grid(total, "so far", stamp, len(colours))))  # fmt: skip
            steps.append(Step(words, before))
        elif n - 1 in shown:
            steps.append(Step(f"And so on, for {len(elements) - len(shown)} more.", Words("⋮")))
    result = cropped(geometry, total)
    if result.shape != total.shape or geometry.bordered:
        steps.append(Step(ending(geometry), Beside((framed(geometry, total), "→",
                                                  grid(result, "z")))))  # fmt: skip
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
    axes = there.axes
    spread = nothing((there.out_channels, *(max(a.stride * (a.out_size - 1) + 1, 0) for a in axes)))
    steps_of_y = tuple(slice(None, None, axis.stride) for axis in axes)
    spread[slice(None), *steps_of_y] = y
    steps = []
    if spread.shape != y.shape:
        words = "Zeros go between the elements, one less than the stride."
        steps.append(Step(words, Beside((grid(y, "y"), "→", grid(spread, "spread")))))
    padded = spread
    for n, axis in enumerate(axes):
        padded = _bordered(padded, 1 + n, axis.span - 1 - axis.low, axis.span - 1 - axis.high)
    words = "A border of as many zeros as the kernel reaches over the rim, less the padding."
    steps.append(Step(words, Beside((grid(spread, "spread"), "→", grid(padded, "padded")))))
    flipped = _flipped(there, w)
    colours = {index: n for n, index in enumerate(kernel_symbols(there))}
    steps.append(Step("The kernel is turned around" + (
        ", with zeros between its taps." if max(there.dilation) > 1 else "."),
        Beside((grid(w.reshape(-1, *w.shape[2:]), "w", _drop(colours), len(colours)), "→",
                grid(flipped, "flipped")))))  # fmt: skip
    total = nothing(there.in_shape)
    seen: dict[tuple[int, ...], int] = {}
    middle = tuple(size // 2 for size in there.in_size)
    width = there.kernel_shape[1]
    for o, c in itertools.product(range(there.out_channels), range(width)):
        channel = o // (there.out_channels // there.groups) * width + c
        for j in places(there.in_size):
            for t in places(there.kernel_size):
                at = tuple(
                    n + a.span - 1 - a.dilation * tap for n, a, tap in zip(j, axes, t, strict=True)
                )
                total[channel, *j] = total[channel, *j] + w[o, c, *t] * padded[o, *at]
                if channel == 0 and j == middle:
                    seen[o, *at] = colours[o, c, *t]
    if total.size:
        words = f"It slides one element at a time. Here it stands at {told(middle)} of the result."
        steps.append(Step(words, Beside((
            grid(padded, "padded", seen, len(colours)), "→",
            grid(total, "z" if total.shape == geometry.in_shape else "so far",
                  {(0, *middle): 0}, 1)))))  # fmt: skip
    result = folded(geometry, there, total)
    if geometry.bordered:
        steps.append(Step(ending(geometry), grid(result, "z")))
    return Seen("zeros", "Zeros between, and a convolution", tuple(steps), result)


def _bordered(values: Values, position: int, low: int, high: int) -> Values:
    """Zeros around an axis; a negative border cuts."""
    ends = [(0, 0)] * values.ndim
    ends[position] = (max(low, 0), max(high, 0))
    values = np.pad(values, ends, constant_values=sympy.Integer(0))
    cut: list[Any] = [slice(None)] * values.ndim
    cut[position] = slice(max(-low, 0), values.shape[position] - max(-high, 0))
    return values[tuple(cut)]


def _flipped(geometry: Geometry, w: Values) -> Values:
    """The kernel turned around, with zeros between its taps where there is a dilation."""
    flat = w.reshape(-1, *w.shape[2:])
    spans = tuple(axis.span for axis in geometry.axes)
    wide = nothing((flat.shape[0], *spans))
    wide[slice(None), *(slice(None, None, axis.dilation) for axis in geometry.axes)] = flat
    return wide[slice(None), *(slice(None, None, -1) for _ in spans)]


def _drop(colours: dict[tuple[int, ...], int]) -> dict[tuple[int, ...], int]:
    """Colours of (o, c, *t) as those of (place of o and c, *t)."""
    pairs = {pair: n for n, pair in enumerate(dict.fromkeys(index[:2] for index in colours))}
    return {(pairs[index[:2]], *index[2:]): n for index, n in colours.items()}


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
            Equation((conv_table(geometry, w, transpose=True),
                      column_of(y, "vec(y)"), "=", column_of(result, "vec(z)"))),
        ),
        Step("Read row by row, the column is the result.", grid(result, "z")),
    )  # fmt: skip
    return Seen("matrix", "The transposed matrix", steps, result)


def phases(geometry: Geometry, y: Values, w: Values) -> Seen:
    """A convolution of stride 1 for each phase of the result, and a pixel shuffle."""
    there = geometry.filled()
    form = polyphase(there, w)
    column = sympy.Matrix(y.size, 1, list(y.flat))
    total = nothing(there.in_shape)
    colours: dict[tuple[int, ...], int] = {}
    taps = {index: n for n, index in enumerate(kernel_symbols(there))}
    steps = []
    for n, phase in enumerate(form.phases):
        part = array(list(phase.matrix * column), (there.in_channels, *phase.rows))
        for index in places(part.shape):
            place = (index[0], *(
                a.stride * q + r
                for a, q, r in zip(there.axes, index[1:], phase.residue, strict=True)
            ))  # fmt: skip
            total[place], colours[place] = part[index], n
        if n in some(len(form.phases)):
            name = f"phase {told(phase.residue)}"
            kernel = _used(grid(w.reshape(-1, *w.shape[2:]), "w", _drop(taps), len(taps)),
                           {k for index, k in taps.items() if index[2:] in phase.taps})  # fmt: skip
            shown = dict.fromkeys(places(part.shape), n)
            done = grid(part, name, shown, len(form.phases))
            steps.append(Step(_phase_words(there, phase), Beside(
                (kernel, "∗", grid(y, "y"), "→", done))))  # fmt: skip
    result = folded(geometry, there, total)
    words = "The phases are woven into one another: the pixel shuffle."
    steps.append(Step(words, grid(total, "z" if total.shape == result.shape else "so far",
                                   colours, len(form.phases))))  # fmt: skip
    if geometry.bordered:
        steps.append(Step(ending(geometry), grid(result, "z")))
    return Seen("polyphase", "Phases, and a pixel shuffle", tuple(steps), result)


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
