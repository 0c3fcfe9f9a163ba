"""Arrays of SymPy expressions: what a step shows, and what is said of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import sympy

from tconvjax.geometry import Axis, Geometry
from tconvjax.rendering import Cell, Table
from tconvjax.symbolic.names import places

Values: TypeAlias = Any
"""NumPy array of SymPy expressions, (channels, *sizes)."""

MOST_STEPS = 9
"""Steps of a kind that are shown one by one; the middle ones of more are told in words."""


def nothing(shape: Sequence[int]) -> Values:
    """An array of zeros."""
    array = np.empty(tuple(shape), object)
    array.fill(sympy.Integer(0))
    return array


def array(values: Sequence[Any], shape: Sequence[int]) -> Values:
    """Expressions in order as an array, which NumPy leaves as they are."""
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(tuple(shape))


def cropped(geometry: Geometry, total: Values) -> Values:
    """What the padding leaves of everything that was stamped; copies go back to their originals."""
    result = nothing(geometry.in_shape)
    for c, *places_ in places(total.shape):
        sources = [a.source(p - a.low) for a, p in zip(geometry.axes, places_, strict=True)]
        if None not in sources:
            result[c, *sources] = result[c, *sources] + total[c, *places_]
    return result


def folded(geometry: Geometry, there: Geometry, total: Values) -> Values:
    """What was written to copies in the border, added to its originals."""
    if there == geometry:
        return total
    axes = tuple(
        axis if axis.bordered else replace(axis, low=0) for axis in geometry.axes
    )  # an axis whose border holds zeros has been cropped already
    return cropped(replace(geometry, axes=axes), total)


def ending(geometry: Geometry) -> str:
    """What happens to the rim at the end."""
    if geometry.bordered:
        return "What lies in the border goes back to the elements that it copied."
    return "The padding of the convolution is cut off."


def grid(
    values: Values, name: str, colours: dict[tuple[int, ...], int] | None = None, taps: int = 0
) -> Table:
    """An array (channels, *sizes) as squares, one slice below the other."""
    channels, *sizes = values.shape
    last, per, shown = sizes[-1], math.prod(sizes[:-1]), colours or {}

    def cell(index: tuple[int, ...]) -> Cell:
        return Cell(_bare(values[index]), shown.get(index), f"{name} {told(index)}")

    rows = tuple(
        tuple(cell((*index, n)) for n in range(last)) for index in places((channels, *sizes[:-1]))
    )
    slice_rows = max(sizes[-2], 1) if len(sizes) > 1 else 1
    cuts = tuple(range(slice_rows, channels * per, slice_rows))
    alt = f"{name}, {shape_words(values.shape)}"
    return Table(rows, name, cuts, (), False, taps, alt)


def column_of(values: Values, name: str) -> Table:
    """An array read row by row, as a column in brackets."""
    cells = tuple((Cell(_bare(value)),) for value in values.flat)
    return Table(cells, name, alt=f"{name}, {values.size} elements")


def framed(geometry: Geometry, total: Values) -> Table:
    """Everything that was stamped, what the padding cuts off of it faint."""
    table = grid(total, "so far")
    inside = [
        all(0 <= p - a.low < a.in_size for a, p in zip(geometry.axes, at, strict=True))
        for _, *at in places(total.shape)
    ]
    width = total.shape[-1]
    cells = tuple(
        tuple(replace(cell, faint=not inside[r * width + n]) for n, cell in enumerate(row))
        for r, row in enumerate(table.cells)
    )
    return replace(table, cells=cells)


def _bare(value: Any) -> Any:
    # A zero of an array is written as one; the dot is for what a matrix has no entry for.
    return "0" if value == 0 else sympy.expand(value)


# -- words -----------------------------------------------------------------------------------------


def title(geometry: Geometry) -> str:
    """A geometry in a line."""
    steps = [f"kernel {by(geometry.kernel_size)}"]
    for name, plain in (("stride", 1), ("dilation", 1)):
        if set(getattr(geometry, name)) != {plain}:
            steps.append(f"{name} {by(getattr(geometry, name))}")
    if any(low or high for low, high in geometry.padding):
        steps.append("padding " + " x ".join(f"{low}:{high}" for low, high in geometry.padding))
    if geometry.groups > 1:
        steps.append(f"{geometry.groups} groups")
    return (
        f"Transposed convolution of {shape_words(geometry.out_shape)} to "
        f"{shape_words(geometry.in_shape)}: {', '.join(steps)}"
    )


def by(sizes: Sequence[int]) -> str:
    """Sizes as ``4 x 4``."""
    return " x ".join(map(str, sizes))


def shape_words(shape: Sequence[int]) -> str:
    """(channels, *sizes) in words."""
    return by(shape[1:]) if shape[0] == 1 else f"{shape[0]} channels of {by(shape[1:])}"


def some(count: int) -> set[int]:
    """Which of many steps are shown."""
    if count <= MOST_STEPS:
        return set(range(count))
    return {*range(MOST_STEPS - 3), count - 2, count - 1}


def named(letter: str, values: Values, o: int, i: Sequence[int]) -> str:
    """An element with its number, if it has one."""
    value = values[o, *i]
    where = told((o, *i) if values.shape[0] > 1 else i)
    return (
        f"{letter}{where}" if getattr(value, "free_symbols", None) else f"{letter}{where} = {value}"
    )


def corner(axes: Sequence[Axis], i: Sequence[int]) -> str:
    """Where the stamp of an output goes, and how far apart its taps land."""
    first = tuple(a.stride * n - a.low for a, n in zip(axes, i, strict=True))
    return f"{told(first)}" + (
        f", {by(tuple(a.dilation for a in axes))} apart"
        if any(a.dilation > 1 for a in axes)
        else ""
    )


def told(index: Sequence[int]) -> str:
    """An index as ``(0, 1)``."""
    return f"({', '.join(map(str, index))})"
