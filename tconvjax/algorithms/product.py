"""One matrix product: x, y and the kernel laid out so that the trilinear form is a trace.

    T(x, w, y) = sum over m, a, b of  X[m, a] * W[a, b] * Y[m, b]

A row m is one place of the output and a batch element. For each axis either X holds all that a
place reads (the patches of x, known as im2col), or Y holds all that a place is written by. Each
partial is then one product, and the transpose of how its result is laid out: for patches of x, the
transposed convolution adds up overlapping patches (col2im).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import jax
from jax import lax

from tconvjax.algorithms import blocks
from tconvjax.algorithms.apart import apart, channels_last_apart, placed_apart
from tconvjax.algorithms.splitting import (
    Split,
    fold_shifted,
    fold_windows,
    from_phases,
    shifted,
    to_phases,
    windows,
)
from tconvjax.forward import Partial, Precision, Specs, placed
from tconvjax.geometry import Geometry

REPEATED = 0.2
"""Blocks of rows that overlap do again what lies on their rims, and lay out the kernel anew; a
larger share of the largest matrix than this is not worth the memory saved."""


def patches(
    partial: Partial, a: jax.Array, b: jax.Array, geometry: Geometry, specs: Specs,
    precision: Precision,
) -> jax.Array:  # fmt: skip
    """Any partial, as one matrix product for each block of images or rows."""

    def whole(a: jax.Array, b: jax.Array, geometry: Geometry) -> jax.Array:
        return _as_product(partial, a, b, geometry, specs, precision)

    def in_rows(a: jax.Array, b: jax.Array, geometry: Geometry) -> jax.Array:
        return blocks.by_rows(whole, partial, a, b, geometry, specs, rows)

    rows = rows_of_a_block(geometry)
    one = in_rows if rows < geometry.axes[0].out_size else whole
    return blocks.by_images(one, partial, a, b, geometry, specs, largest(geometry))


def largest(geometry: Geometry) -> int:
    """Elements of the larger of X and Y, for one image."""
    splits = splits_of(geometry)
    rows = math.prod(s.rows for s in splits)
    x = rows * math.prod(s.x_taps for s in splits) * geometry.in_channels
    return max(x, rows * math.prod(s.y_taps for s in splits) * geometry.out_channels)


def rows_of_a_block(geometry: Geometry) -> int:
    """Outputs along the first axis that are computed at once: all of them, or an even share."""
    size, splits = largest(geometry), splits_of(geometry)
    if size <= blocks.WHOLE:
        return splits[0].axis.out_size
    count = -(-size // blocks.MOST)
    rows = blocks.even_share(splits[0].axis.out_size, count)
    rims = size * (splits[0].all_rows - splits[0].axis.out_size) / rows
    kernels = count * math.prod(geometry.kernel_shape) if any(s.on_y for s in splits) else 0
    return rows if rims + kernels <= REPEATED * size else splits[0].axis.out_size


def _as_product(
    partial: Partial, a: jax.Array, b: jax.Array, geometry: Geometry, specs: Specs,
    precision: Precision,
) -> jax.Array:  # fmt: skip
    """Any partial, as one matrix product."""
    splits = splits_of(geometry)
    g = geometry.groups
    if partial == "conv":
        rows = times(x_matrix(a, splits, g, specs), w_matrix(b, splits, g, specs), 2, 1, precision)
        return y_of_matrix(rows, a.shape[specs.lhs_spec[0]], splits, specs)
    if partial == "conv_transpose":
        rows = times(y_matrix(a, splits, g, specs), w_matrix(b, splits, g, specs), 2, 2, precision)
        return x_of_matrix(rows, a.shape[specs.out_spec[0]], splits, specs)
    x, y = x_matrix(a, splits, g, specs), y_matrix(b, splits, g, specs)
    return w_of_matrix(over_rows(x, y, precision), splits, specs)


def splits_of(geometry: Geometry) -> tuple[Split, ...]:
    """Each axis with the side on which its shifts are laid out: where it makes smaller copies."""
    even = [
        n for n, axis in enumerate(geometry.axes) if Split(axis).even and Split(axis).shifts > 1
    ]
    choices = [
        tuple(Split(axis, on_y=n in even[:count]) for n, axis in enumerate(geometry.axes))
        for count in range(len(even) + 1)
    ]
    kernel = math.prod(geometry.kernel_shape)

    def cost(splits: Sequence[Split]) -> int:
        # Where y is gathered, the kernel is laid out anew.
        return copied(geometry, splits) + (kernel if any(s.on_y for s in splits) else 0)

    return min(choices, key=cost)


def copied(geometry: Geometry, splits: Sequence[Split]) -> int:
    """Elements of X and Y, for one image."""
    rows = math.prod(s.rows for s in splits)
    x = rows * math.prod(s.x_taps for s in splits) * geometry.in_channels
    return x + rows * math.prod(s.y_taps for s in splits) * geometry.out_channels


# -- the three matrices, and the ways back ---------------------------------------------------------


def x_matrix(x: jax.Array, splits: Sequence[Split], groups: int, specs: Specs) -> jax.Array:
    """X (g, rows, x_taps * c)."""
    return _matrix(
        windows(to_phases(channels_last_apart(x, specs.lhs_spec, groups), splits), splits)
    )


def x_of_matrix(m: jax.Array, batch: int, splits: Sequence[Split], specs: Specs) -> jax.Array:
    """The transpose of `x_matrix`."""
    v = _of_matrix(m, batch, [(s.rows, s.x_taps) for s in splits])
    v = from_phases(fold_windows(v, splits), splits)
    return placed_apart(v, specs.lhs_spec)


def y_matrix(y: jax.Array, splits: Sequence[Split], groups: int, specs: Specs) -> jax.Array:
    """Y (g, rows, y_taps * o)."""
    return _matrix(shifted(channels_last_apart(y, specs.out_spec, groups), splits))


def y_of_matrix(m: jax.Array, batch: int, splits: Sequence[Split], specs: Specs) -> jax.Array:
    """The transpose of `y_matrix`."""
    v = _of_matrix(m, batch, [(s.rows, s.y_taps) for s in splits])
    return placed_apart(fold_shifted(v, splits), specs.out_spec)


def w_matrix(w: jax.Array, splits: Sequence[Split], groups: int, specs: Specs) -> jax.Array:
    """W (g, x_taps * c, y_taps * o)."""
    out, channel, *taps = specs.rhs_spec
    w = lax.transpose(w, (*taps, channel, out))  # (*k, c, g * o)
    parts = [(s.y_taps, s.x_taps) for s in splits]
    w = w.reshape(*itertools.chain(*parts), w.shape[-2], groups, -1)
    w = lax.transpose(w, _w_order(len(splits)))
    rows = math.prod(w.shape[1 : 2 + len(splits)])
    return apart(lax.reshape, w, (groups, rows, w.size // (groups * rows)))


def w_of_matrix(m: jax.Array, splits: Sequence[Split], specs: Specs) -> jax.Array:
    """The transpose of `w_matrix`."""
    x_taps, y_taps = [s.x_taps for s in splits], [s.y_taps for s in splits]
    c, o = m.shape[1] // math.prod(x_taps), m.shape[2] // math.prod(y_taps)
    w = m.reshape(m.shape[0], *x_taps, c, *y_taps, o)
    order = _w_order(len(splits))
    w = lax.transpose(w, [order.index(n) for n in range(len(order))])
    w = w.reshape(*(s.axis.kernel_size for s in splits), c, -1)
    rank = len(splits)
    return lax.transpose(w, placed((rank + 1, rank, *range(rank)), specs.rhs_spec))


def _w_order(rank: int) -> list[int]:
    """(y1, x1, y2, x2, ..., c, g, o) to (g, x1, x2, ..., c, y1, y2, ..., o)."""
    y_taps, x_taps = range(0, 2 * rank, 2), range(1, 2 * rank, 2)
    return [2 * rank + 1, *x_taps, 2 * rank, *y_taps, 2 * rank + 2]


# -- what they share -------------------------------------------------------------------------------


def times(a: jax.Array, b: jax.Array, over_a: int, over_b: int, precision: Precision) -> jax.Array:
    """A matrix product for each group, summed over one axis of each factor."""
    if a.shape[0] == 1:  # XLA's fast product has no batch axis
        dims = (((over_a - 1,), (over_b - 1,)), ((), ()))
        return lax.dot_general(a[0], b[0], dims, precision=precision)[None]
    return lax.dot_general(a, b, (((over_a,), (over_b,)), ((0,), (0,))), precision=precision)


def over_rows(x: jax.Array, y: jax.Array, precision: Precision) -> jax.Array:
    """The product of X and Y over their rows: (g, x_taps * c, y_taps * o)."""
    # XLA's fast product wants the rows of its first factor last. Y first is the less to turn, but
    # turns the product too; that is little, unless the rows are few.
    rows, more, less = *x.shape[1:], y.shape[2]
    if more > less and (not isinstance(rows, int) or rows * (more - less) > more * less):
        return _turned(times(_turned(y), x, 2, 1, precision))
    return times(_turned(x), y, 2, 1, precision)


def _matrix(v: jax.Array) -> jax.Array:
    """(N, a1, b1, a2, b2, ..., g, c) to (g, N * a1 * a2 * ..., b1 * b2 * ... * c).

    XLA ends a fused loop with the reshape that follows it. As this one merges the last axes, such
    a loop would divide the index of every element again, and take three to eight times as long.
    """
    last = v.ndim - 1
    rows, columns = [0, *range(1, last - 1, 2)], [*range(2, last - 1, 2), last]
    v = lax.transpose(v, (last - 1, *rows, *columns))
    cut = 1 + len(rows)
    shape = v.shape[0], math.prod(v.shape[1:cut]), math.prod(v.shape[cut:])
    return apart(lax.reshape, v, shape) if math.prod(v.shape[cut:-1]) > 1 else v.reshape(shape)


def _turned(m: jax.Array) -> jax.Array:
    """(g, columns, rows), in a pass of its own: XLA would have its slow product turn it."""
    return apart(lax.transpose, m, (0, 2, 1))


def _of_matrix(m: jax.Array, batch: int, sizes: Sequence[tuple[int, int]]) -> jax.Array:
    """The way back of `_matrix`."""
    rows, columns = [a for a, _ in sizes], [b for _, b in sizes]
    v = m.reshape(m.shape[0], batch, *rows, *columns, m.shape[2] // math.prod(columns))
    rank = len(sizes)
    pairs = itertools.chain(*((2 + n, 2 + rank + n) for n in range(rank)))
    return lax.transpose(v, (1, *pairs, 0, 2 + 2 * rank))
