"""Parts of a kernel, which are smaller convolutions of the same x and y."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

import jax

from tconvjax.algorithms.phases import padded
from tconvjax.geometry import Geometry
from tconvjax.layouts import Recipe


def part(geometry: Geometry, taps: Sequence[range]) -> Geometry:
    """The geometry for some neighbouring taps of each axis."""
    axes = tuple(
        replace(
            axis,
            kernel_size=len(some),
            dilation=axis.dilation if len(some) > 1 else 1,
            low=axis.low - axis.dilation * some.start,
        )
        for axis, some in zip(geometry.axes, taps, strict=True)
    )
    return replace(geometry, axes=axes)


def cut(w: jax.Array, recipe: Recipe, taps: Sequence[range]) -> jax.Array:
    """Some neighbouring taps of each axis of a kernel."""
    columns = zip(recipe.geometry.axes, taps, recipe.spec("w")[2:], strict=True)
    for axis, some, position in columns:
        w = padded(w, [-some.start], [some.stop - axis.kernel_size], position)
    return w


def put(w: jax.Array, recipe: Recipe, taps: Sequence[range]) -> jax.Array:
    """The transpose of `cut`: the other taps are zero."""
    columns = zip(recipe.geometry.axes, taps, recipe.spec("w")[2:], strict=True)
    for axis, some, position in columns:
        w = padded(w, [some.start], [axis.kernel_size - some.stop], position)
    return w


def live_taps(recipe: Recipe) -> list[range]:
    """For each axis, the taps from the first to the last that read more than padding on a CPU.

    A kernel as wide as a small image has others, and a dilated one: of 3x3 taps that lie 18
    elements apart, an image of 14x14 meets the middle one only.
    """
    axes = recipe.geometry.axes
    return [a.live_taps if recipe.on_cpu else range(a.kernel_size) for a in axes]


@functools.lru_cache(maxsize=4096)
def live(recipe: Recipe) -> Recipe:
    """The recipe for the live taps."""
    return replace(recipe, geometry=part(recipe.geometry, live_taps(recipe)))
