"""Fill a border with the copies of `Axis.border_runs`, and the exact transpose of that."""

from __future__ import annotations

import functools
import operator
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jax import lax

from tconvjax.geometry import Axis, Geometry


def fill_borders(x: jax.Array, geometry: Geometry, spec: Sequence[int]) -> jax.Array:
    """Write out the circular, reflected or replicated padding of x."""
    for axis, position in zip(geometry.axes, spec[2:], strict=True):
        x = _fill(x, axis, position) if axis.bordered else x
    return x


def fold_borders(x: jax.Array, geometry: Geometry, spec: Sequence[int]) -> jax.Array:
    """Add each copy to its original: the exact transpose of `fill_borders`."""
    for axis, position in zip(geometry.axes, spec[2:], strict=True):
        x = _fold(x, axis, position) if axis.bordered else x
    return x


def _fill(x: jax.Array, axis: Axis, position: int) -> jax.Array:
    pieces = []
    for first, count, step in axis.border_runs():
        start = first - count + 1 if step == -1 else first
        piece = lax.slice_in_dim(x, start, start + (count if step else 1), axis=position)
        if step == 0:
            piece = jnp.repeat(piece, count, axis=position)
        elif step == -1:
            piece = lax.rev(piece, (position,))
        pieces.append(piece)
    return lax.concatenate(pieces, position)


def _fold(x: jax.Array, axis: Axis, position: int) -> jax.Array:
    pieces, offset = [], 0
    for first, count, step in axis.border_runs():
        piece = lax.slice_in_dim(x, offset, offset + count, axis=position)
        offset += count
        if step == 0:
            piece = jnp.sum(piece, axis=position, keepdims=True, dtype=x.dtype)
        elif step == -1:
            first, piece = first - count + 1, lax.rev(piece, (position,))
        after = axis.in_size - first - piece.shape[position]
        ends = [(0, 0, 0)] * x.ndim
        ends[position] = (first, after, 0)
        pieces.append(lax.pad(piece, jnp.zeros((), x.dtype), ends))
    return functools.reduce(operator.add, pieces)
