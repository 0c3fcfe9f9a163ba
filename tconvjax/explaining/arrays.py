"""Arrays of SymPy expressions as tables, and words for what they show."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any, TypeAlias

import numpy as np
import sympy

from tconvjax.geometry import Axis, Geometry
from tconvjax.rendering import Cell, Table
from tconvjax.rendering.tables import by, coordinates

Values: TypeAlias = Any
"""NumPy array of SymPy expressions, (channels, *sizes)."""

Place: TypeAlias = tuple[int, ...]
"""Index of an element of such an array."""

MOST_STEPS = 9
"""Maximum steps of a kind that are shown one by one; of more, the middle ones are counted."""


def places(shape: Sequence[int]) -> Iterator[Place]:
    """Every index of an array, in order."""
    return itertools.product(*map(range, shape))


def nothing(shape: Sequence[int]) -> Values:
    """An array of zeros."""
    return np.full(tuple(shape), sympy.Integer(0), object)


def cropped(geometry: Geometry, total: Values, axes: Sequence[Axis] | None = None) -> Values:
    """What the padding leaves of all that was stamped; copies go back to their originals."""
    result = nothing(geometry.in_shape)
    for c, *at in places(total.shape):
        sources = [a.source(p - a.low) for a, p in zip(axes or geometry.axes, at, strict=True)]
        if None not in sources:
            result[c, *sources] = result[c, *sources] + total[c, *at]
    return result


def grid(
    values: Values,
    name: str,
    colours: Mapping[Place, int] | None = None,
    taps: int = 0,
    faint: Set[Place] = frozenset(),
) -> Table:
    """An array (channels, *sizes) as squares, one slice below the other."""
    channels, *sizes = values.shape

    def cell(at: Place) -> Cell:
        title = f"{name} {coordinates(at)}"
        return Cell(_bare(values[at]), (colours or {}).get(at), title, at in faint)

    rows = tuple(
        tuple(cell((*at, n)) for n in range(sizes[-1])) for at in places((channels, *sizes[:-1]))
    )
    height = max(sizes[-2], 1) if len(sizes) > 1 else 1
    cuts = tuple(range(height, channels * math.prod(sizes[:-1]), height))
    return Table(rows, name, cuts, (), False, taps, f"{name}, {shape_words(values.shape)}")


def column_of(values: Values, name: str) -> Table:
    """An array read row by row, as a column in brackets."""
    cells = tuple((Cell(_bare(value)),) for value in values.flat)
    return Table(cells, name, alt=f"{name}, {values.size} elements")


def _bare(value: Any) -> Any:
    # The zero of an array is written as a digit; a dot means that a matrix has no entry there.
    return "0" if value == 0 else sympy.expand(value)


# -- words -----------------------------------------------------------------------------------------


def title(geometry: Geometry) -> str:
    """A geometry in a line."""
    steps = [f"kernel {by(geometry.kernel_size)}"]
    for name, sizes in (("stride", geometry.stride), ("dilation", geometry.dilation)):
        steps += [f"{name} {by(sizes)}"] if set(sizes) != {1} else []
    if any(low or high for low, high in geometry.padding):
        steps.append("padding " + " x ".join(f"{low}:{high}" for low, high in geometry.padding))
    if geometry.groups > 1:
        steps.append(f"{geometry.groups} groups")
    return (
        f"Transposed convolution of {shape_words(geometry.out_shape)} to "
        f"{shape_words(geometry.in_shape)}: {', '.join(steps)}"
    )


def shape_words(shape: Sequence[int]) -> str:
    """(channels, *sizes) in words."""
    return by(shape[1:]) if shape[0] == 1 else f"{shape[0]} channels of {by(shape[1:])}"


def chosen(count: int) -> set[int]:
    """Which of many steps are shown."""
    most = MOST_STEPS
    return set(range(count)) if count <= most else {*range(most - 3), count - 2, count - 1}


def named(letter: str, values: Values, at: Place) -> str:
    """An element, with its number if it has one."""
    value, name = values[at], letter + coordinates(at if values.shape[0] > 1 else at[1:])
    return name if getattr(value, "free_symbols", None) else f"{name} = {value}"


def corner(axes: Sequence[Axis], i: Sequence[int]) -> str:
    """Where the stamp of an output goes, and how far apart its taps land."""
    first = coordinates([a.stride * n - a.low for a, n in zip(axes, i, strict=True)])
    dilated = any(a.dilation > 1 for a in axes)
    return f"{first}, its taps {by([a.dilation for a in axes])} apart" if dilated else first
