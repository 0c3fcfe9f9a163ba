"""Estimate the time of a partial on a CPU: a small model with measured constants.

    seconds = a * operations + b * elements + c * choices + d

Operations are the multiplications and additions of the definition. Elements are what is read,
copied and written. Choices count elements times sources, where a fused copy or sum selects one of
several sources for each element. ``costs.json`` has a line (a, b, c, d) for each algorithm, partial
and kind of convolution; ``benchmarks/algorithms.py --fit`` measures and fits them.
"""

from __future__ import annotations

import functools
import json
import math
import operator
from collections.abc import Mapping
from importlib import resources
from typing import Any

import jax.numpy as jnp

from tconvjax.algorithms.patches import copied, sides_of
from tconvjax.algorithms.phases import splits_of
from tconvjax.geometry import Geometry
from tconvjax.layouts import Partial


def estimate(algorithm: str, partial: Partial, geometry: Geometry, dtype: Any, batch: int) -> float:
    """Estimated seconds of an algorithm on the machine of the measurement."""
    constants = lines()[line(algorithm, partial, geometry, dtype)]
    return sum(map(operator.mul, constants, features(algorithm, partial, geometry, batch)))


def features(
    algorithm: str, partial: Partial, geometry: Geometry, batch: int
) -> tuple[int, int, int, int]:
    """The factors of the constants of a line."""
    return (
        operations(algorithm, partial, geometry, batch),
        elements(algorithm, geometry, batch),
        choices(algorithm, partial, geometry, batch),
        1,
    )


def line(algorithm: str, partial: Partial, geometry: Geometry, dtype: Any) -> str:
    """The name of the line of the table that applies."""
    strided = max(geometry.stride) > 1
    if algorithm == "taps":
        kind = "any"
    elif algorithm == "patches":
        kind = "grouped" if geometry.groups > 1 else "plain"
    elif geometry.groups > 1:
        kind = "grouped"
    elif algorithm == "polyphase" and all(split.shifts == 1 for split in splits_of(geometry)):
        kind = "tiles"  # a convolution of one tap, which XLA turns into a product
    elif geometry.rank > 2 or jnp.dtype(dtype) != jnp.float32:
        kind = "looped"  # XLA's fast convolution takes one or two axes of float32
    elif algorithm == "direct" and partial == "conv_transpose" and strided:
        kind = "dilated"
    else:
        kind = "line" if geometry.rank == 1 else "plane"
    return f"{algorithm} {partial} {kind}"


def operations(algorithm: str, partial: Partial, geometry: Geometry, batch: int) -> int:
    """Multiplications and additions, including those with borders and zeros."""
    places = math.prod(geometry.out_size)
    if partial == "conv_transpose" and algorithm == "direct":
        # The vjp of a strided convolution writes zeros between the elements of y.
        places = math.prod(geometry.in_size)
    if partial == "conv_transpose" and algorithm == "polyphase":
        places = math.prod(split.all_rows for split in splits_of(geometry))
    return 2 * batch * places * math.prod(geometry.kernel_shape)


def elements(algorithm: str, geometry: Geometry, batch: int) -> int:
    """Elements that an algorithm moves."""
    shapes = (geometry.in_shape, geometry.out_shape, geometry.kernel_shape)
    x, y, w = (math.prod(shape) for shape in shapes)
    moved = batch * (x + y) + w
    if algorithm == "patches":
        splits = sides_of(geometry)
        laid_out = w if any(s.on_y for s in splits) else 0
        return moved + batch * copied(geometry, splits) + laid_out
    return moved + (batch * x + w if algorithm == "polyphase" else 0)


def choices(algorithm: str, partial: Partial, geometry: Geometry, batch: int) -> int:
    """Elements times sources that "patches" gathers or adds up."""
    if algorithm != "patches":
        return 0
    splits = sides_of(geometry)
    sources = math.prod(s.shifts for s in splits)
    if partial == "conv_transpose":
        return batch * math.prod(geometry.in_shape) * sources
    return batch * copied(geometry, splits) * sources


@functools.cache
def lines() -> Mapping[str, tuple[float, ...]]:
    """The measured table."""
    table = json.loads(resources.files("tconvjax.algorithms").joinpath("costs.json").read_text())
    return {name: tuple(constants) for name, constants in table["lines"].items()}
