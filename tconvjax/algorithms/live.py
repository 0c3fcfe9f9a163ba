"""Taps that read nothing but padding, which are not multiplied on a CPU.

A kernel as wide as a small image has them, and a dilated one: of 3x3 taps that lie 18 elements
apart, an image of 14x14 meets the middle one only.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import jax

from tconvjax.algorithms.phases import padded
from tconvjax.layouts import Recipe


@functools.lru_cache(maxsize=4096)
def live(recipe: Recipe) -> Recipe:
    """The recipe for a kernel of the taps from the first to the last that read an element."""
    if not recipe.on_cpu:
        return recipe  # where it was not tried
    axes = []
    for axis in recipe.geometry.axes:
        taps, dilation = axis.live_taps, axis.dilation
        low = axis.low - dilation * taps.start
        apart = dilation if len(taps) > 1 else 1
        axes.append(replace(axis, kernel_size=len(taps), dilation=apart, low=low))
    return replace(recipe, geometry=replace(recipe.geometry, axes=tuple(axes)))


def live_taps(w: jax.Array, recipe: Recipe) -> jax.Array:
    """The live taps of a kernel."""
    for axis, position in zip(recipe.geometry.axes, recipe.spec("w")[2:], strict=True):
        taps = axis.live_taps
        w = padded(w, [-taps.start], [taps.stop - axis.kernel_size], position)
    return w


def all_taps(w: jax.Array, recipe: Recipe) -> jax.Array:
    """The transpose of `live_taps`: the other taps are zero."""
    for axis, position in zip(recipe.geometry.axes, recipe.spec("w")[2:], strict=True):
        taps = axis.live_taps
        w = padded(w, [taps.start], [axis.kernel_size - taps.stop], position)
    return w
