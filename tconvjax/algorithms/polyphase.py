"""Polyphase: a strided convolution as stride-1 convolutions of phases (sub-pixel convolution)."""

from __future__ import annotations

import functools
import itertools
import math
import operator

import jax
import jax.numpy as jnp
from jax import lax

from tconvjax.algorithms.direct import derived
from tconvjax.algorithms.fusion import channels_last
from tconvjax.algorithms.phases import Split, splits_of, to_phases
from tconvjax.geometry import Axis, Geometry
from tconvjax.layouts import Recipe, last_specs, placed
from tconvjax.reference import convolve


def polyphase(a: jax.Array, b: jax.Array, recipe: Recipe) -> jax.Array:
    """Split x by its index modulo the stride and compute any partial with stride 1.

    The convolution then has stride ** rank times the channels; the transposed convolution is one
    of stride 1, followed by a depth-to-space.
    """
    return derived(_polyphase, a, b, recipe)


def _polyphase(x: jax.Array, w: jax.Array, recipe: Recipe) -> jax.Array:
    """The forward convolution.

    The taps of an axis fall into phases. The phases with one tap more than the others have a
    convolution of their own, so that the kernel is never filled up with zero taps.
    """
    geometry, specs = recipe.geometry, recipe.specs
    splits = splits_of(geometry)
    x = to_phases(channels_last(recipe, x, specs.lhs_spec), splits)
    out, channel, *spatial = specs.rhs_spec
    kernel = lax.transpose(w, (*spatial, channel, out))  # (*k, c, O)
    parts = []
    for ranges in itertools.product(*map(_phases_of_a_kind, splits)):
        part, taps = x, kernel
        for n, (split, phases) in enumerate(zip(splits, ranges, strict=True)):
            count = len(range(phases.start, split.axis.kernel_size, split.period))
            rows = split.axis.out_size + split.step * (count - 1)
            part = lax.slice_in_dim(part, 0, rows, axis=1 + 2 * n)
            part = lax.slice_in_dim(part, phases.start, phases.stop, axis=2 + 2 * n)
            taps = jnp.stack(
                [
                    lax.slice_in_dim(taps, r, split.axis.kernel_size, split.period, 2 * n)
                    for r in phases
                ],
                axis=2 * n + 1,
            )
        parts.append(_unit_stride(part, taps, recipe))
    y = functools.reduce(operator.add, parts)
    return lax.transpose(y, placed((0, y.ndim - 1, *range(1, y.ndim - 1)), specs.out_spec))


def in_one_part(geometry: Geometry) -> bool:
    """Whether "polyphase" is one convolution rather than a sum of several."""
    return all(len(_phases_of_a_kind(split)) == 1 for split in splits_of(geometry))


def _phases_of_a_kind(split: Split) -> list[range]:
    """Ranges of phases with equally many taps."""
    longer = split.axis.kernel_size % split.period or split.period
    return [r for r in (range(longer), range(longer, split.phases)) if r]


def _unit_stride(x: jax.Array, w: jax.Array, recipe: Recipe) -> jax.Array:
    """Convolve x (N, R1, phases1, ..., g, c) with w (k1, phases1, ..., c, O), stride 1."""
    geometry = recipe.geometry
    rank = geometry.rank
    rows, phases = range(1, 2 * rank, 2), range(2, 2 * rank + 1, 2)
    x = lax.transpose(x, (0, *rows, 2 * rank + 1, *phases, 2 * rank + 2))
    x = x.reshape(*x.shape[: 1 + rank], math.prod(x.shape[1 + rank :]))
    w = lax.transpose(w, (*range(0, 2 * rank, 2), *range(1, 2 * rank, 2), 2 * rank, 2 * rank + 1))
    w = w.reshape(*w.shape[:rank], math.prod(w.shape[rank:-1]), w.shape[-1])
    axes = tuple(
        Axis(x.shape[1 + n], split.axis.out_size, w.shape[n], 1, split.step)
        for n, split in enumerate(splits_of(geometry))
    )
    unit = Geometry(axes, x.shape[-1], geometry.out_channels, geometry.groups)
    return convolve(x, w, unit, last_specs(rank), recipe.precision)
