"""Arrays whose colours say how much: the overlap of stamps, and other amounts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tconvjax.errors import Described, array_of, fail, kind_of
from tconvjax.rendering.checks import check_count, checked_text
from tconvjax.rendering.document import Table
from tconvjax.rendering.tables import MOST_SHOWN, array_table

LEVELS = 64
"""Shades from the least to the most."""


def heat_table(values: Any, *, name: str = "", most: int = MOST_SHOWN) -> Table:
    """An array of one or two axes as squares, the darker the less: a checkerboard seen at a glance.

    shade(v) = round(63 * (v - least) / (largest - least)),  where least = min(0, smallest)

    Args:
        values: real numbers, as `upsampling.overlap` counts them.
        name: what it is called.
        most: rows and columns that are shown, at least 3.

    Returns:
        A table in which equal amounts have equal colours, and pointing at one lights all of them.

    Raises:
        GeometryError: if it is no array of one or two axes of real finite numbers, or more than
            65,536 cells would be shown.

    Examples:
        >>> [cell.tap for cell in heat_table([1, 2, 1, 4]).cells[0]]
        [16, 32, 16, 63]
    """
    check_count("most", most, 3)
    checked_text("name", name)
    numbers = _numbers(values)
    least = min(0.0, float(numbers.min(initial=0)))
    reach = float(numbers.max(initial=least)) - least or 1.0
    shown = {
        index: round((LEVELS - 1) * ((float(numbers[index]) - least) / reach))
        for index in _places(numbers.shape, most)
    }
    table = array_table(values, name=name, shown=shown, taps=LEVELS, most=most)
    ends = f": from {numbers.min():g} to {numbers.max():g}" if numbers.size else ""
    return replace(table, alt=table.alt + ends)


def _numbers(values: Any) -> np.ndarray[Any, np.dtype[np.float64]]:
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        fail(
            "values",
            kind_of(values),
            "a shade wants real numbers",
            "give an array of numbers, or take array_table",
        )
    if numbers.ndim not in (1, 2):
        fail(
            "values",
            array_of(numbers.shape),
            "it must have one or two axes",
            "take one slice of it",
        )
    if not np.isfinite(numbers).all():
        fail(
            "values",
            Described("an array with inf or nan"),
            "a shade wants finite numbers",
            "give them without",
        )
    return numbers


def _places(shape: tuple[int, ...], most: int) -> Iterator[tuple[int, ...]]:
    """The indices that a table may show, which are the first and the last of each axis."""
    if math.prod(shape) <= most * most:
        yield from np.ndindex(shape)
        return
    ends = [sorted({*range(min(n, most)), *range(max(n - most, 0), n)}) for n in shape]
    for place in np.ndindex(tuple(map(len, ends))):
        yield tuple(axis[n] for axis, n in zip(ends, place, strict=True))
