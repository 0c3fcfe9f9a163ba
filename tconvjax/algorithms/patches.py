"""Patches: one matrix product of x, y and the kernel, in which the trilinear form is a trace.

    T(x, w, y) = sum over m, a, b of  X[m, a] * W[a, b] * Y[m, b]

A row m is one output place of one batch element. For each axis, either X holds everything that the
place reads (the patches of x, known as im2col), or Y holds everything that is written to the place.
Each partial is then one product, followed by the transpose of the layout of its result: for patches
of x, the transposed convolution adds up overlapping patches (col2im).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import jax
from jax import lax

from tconvjax.algorithms import blocks
from tconvjax.algorithms.fusion import channels_last_unfused, placed_unfused, unfused
from tconvjax.algorithms.phases import (
    Split,
    fold_shifted,
    fold_windows,
    from_phases,
    shifted,
    splits_of,
    to_phases,
    windows,
)
from tconvjax.geometry import Geometry
from tconvjax.layouts import Precision, Recipe, placed

REPEATED = 0.2
"""Largest share of the largest matrix that blocks of rows may compute twice. Neighbouring blocks
repeat their rims and lay out the kernel anew; more than this is not worth the memory saved."""

LARGEST, MOST_REPEATED = 2**25, 0.6
"""The same share where blocks of few rims would have more than so many elements."""


def patches(a: jax.Array, b: jax.Array, recipe: Recipe) -> jax.Array:
    """Compute any partial as one matrix product for each block of images or rows."""
    rows = rows_of_a_block(recipe)

    def in_rows(a: jax.Array, b: jax.Array, recipe: Recipe) -> jax.Array:
        return blocks.by_rows(_as_product, a, b, recipe, rows)

    whole = in_rows if rows < recipe.geometry.axes[0].out_size else _as_product
    return blocks.by_images(whole, a, b, recipe, largest(recipe.geometry))


def largest(geometry: Geometry) -> int:
    """Elements of the larger of X and Y, for one image."""
    splits = sides_of(geometry)
    rows = math.prod(s.rows for s in splits)
    x = rows * math.prod(s.x_taps for s in splits) * geometry.in_channels
    return max(x, rows * math.prod(s.y_taps for s in splits) * geometry.out_channels)


def rows_of_a_block(recipe: Recipe) -> int:
    """Outputs along the first axis that are computed at once: all of them, or an even share."""
    geometry, (at_once, most) = recipe.geometry, blocks.bounds(recipe)
    size, splits = largest(geometry), sides_of(geometry)
    out, rim = splits[0].axis.out_size, splits[0].all_rows - splits[0].axis.out_size
    if size <= at_once:
        return out
    # Neighbouring blocks share their rims, so that a block of few rows would mostly be rims.
    repeated = REPEATED if size * rim <= REPEATED * LARGEST * out else MOST_REPEATED
    rows, least = blocks.even_share(out, -(-size // most)), rim / repeated
    if rows < least:
        rows = blocks.even_share(out, max(1, math.floor(out / least)))
    kernels = -(-out // rows) * math.prod(geometry.kernel_shape)
    kernels = kernels if any(s.on_y for s in splits) else 0
    return rows if size * rim / rows + kernels <= repeated * size else out


def _as_product(a: jax.Array, b: jax.Array, recipe: Recipe) -> jax.Array:
    """Compute any partial as one matrix product."""
    frame, precision, batch = frame_of(recipe), recipe.precision, recipe.batch(a)
    if recipe.partial == "conv":
        w = w_matrix(b, frame, x_first=not frame.first)
        return y_of_matrix(y_product(x_matrix(a, frame), w, frame, precision), batch, frame)
    if recipe.partial == "conv_transpose":
        w = w_matrix(b, frame, x_first=True)
        return x_of_matrix(x_product(y_matrix(a, frame), w, frame, precision), batch, frame)
    x, y = x_matrix(a, frame), y_matrix(b, frame)
    # With channels first, XLA's product is faster where its first factor is the larger.
    x_first = not frame.first or x.shape[1] > y.shape[1]
    return w_of_matrix(w_product(x, y, frame, x_first, precision), frame, x_first)


# -- how everything is laid out --------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """The layout of the arrays of a convolution around a product.

    Args:
        recipe: what to compute.
        splits: each axis with the side on which its shifts are laid out.
        first: whether channels stay before images and places, as (g, c, N, a1, b1, ...) and
            matrices (g, columns, rows), rather than after them, as (N, a1, b1, ..., g, c) and
            (g, rows, columns).
    """

    recipe: Recipe
    splits: tuple[Split, ...]
    first: bool

    @property
    def groups(self) -> int:
        """Blocks of channels."""
        return self.recipe.geometry.groups

    @property
    def at(self) -> int:
        """The position of the first spatial axis."""
        return 3 if self.first else 1

    @property
    def columns(self) -> int:
        """The axis of X's and Y's columns; the other one holds their rows."""
        return 1 if self.first else 2

    @property
    def adds(self) -> bool:
        """Whether several shifts of strided phases are added up for x."""
        strided = any(split.axis.stride > 1 for split in self.splits)
        return strided and any(split.shifts > 1 and not split.on_y for split in self.splits)


def frame_of(recipe: Recipe) -> Frame:
    """The frame of a recipe: channels stay first where both x and y have them there."""
    return Frame(recipe, sides_of(recipe.geometry), recipe.channels_first)


@functools.lru_cache(maxsize=4096)
def sides_of(geometry: Geometry) -> tuple[Split, ...]:
    """Split the taps of each axis, with the shifts laid out on the side that copies less."""
    splits = splits_of(geometry)
    even = [n for n, split in enumerate(splits) if split.even and split.shifts > 1]
    choices = [splits] + [
        tuple(Split(split.axis, on_y=n in even[:count]) for n, split in enumerate(splits))
        for count in range(1, len(even) + 1)
    ]
    kernel = math.prod(geometry.kernel_shape)

    def cost(splits: Sequence[Split]) -> int:
        # If y is gathered, the kernel is copied too.
        return copied(geometry, splits) + (kernel if any(s.on_y for s in splits) else 0)

    return min(choices, key=cost)


def copied(geometry: Geometry, splits: Sequence[Split]) -> int:
    """Elements of X and Y, for one image."""
    rows = math.prod(s.rows for s in splits)
    x = rows * math.prod(s.x_taps for s in splits) * geometry.in_channels
    return x + rows * math.prod(s.y_taps for s in splits) * geometry.out_channels


# -- the three matrices, and the ways back ---------------------------------------------------------


def x_matrix(x: jax.Array, frame: Frame) -> jax.Array:
    """X (g, rows, x_taps * c), or (g, c * x_taps, rows)."""
    v = to_phases(_taken(x, frame.recipe.specs.lhs_spec, frame), frame.splits, frame.at)
    return _matrix(windows(v, frame.splits, frame.at), frame)


def x_of_matrix(m: jax.Array, batch: int, frame: Frame) -> jax.Array:
    """The transpose of `x_matrix`."""
    v = _of_matrix(m, batch, [(s.rows, s.x_taps) for s in frame.splits], frame)
    v = fold_windows(v, frame.splits, frame.at)
    if frame.first and frame.adds:
        # Add up along rows, in memory order; XLA's transpose then interleaves the phases faster.
        order = _order(len(frame.splits), frame)
        v = unfused(frame.recipe, lax.transpose, lax.transpose(v, order), inverse(order))
    return _given_back(from_phases(v, frame.splits, frame.at), frame.recipe.specs.lhs_spec, frame)


def y_matrix(y: jax.Array, frame: Frame) -> jax.Array:
    """Y (g, rows, y_taps * o), or (g, o * y_taps, rows)."""
    v = _taken(y, frame.recipe.specs.out_spec, frame)
    return _matrix(shifted(v, frame.splits, frame.at), frame)


def y_of_matrix(m: jax.Array, batch: int, frame: Frame) -> jax.Array:
    """The transpose of `y_matrix`."""
    v = _of_matrix(m, batch, [(s.rows, s.y_taps) for s in frame.splits], frame)
    return _given_back(fold_shifted(v, frame.splits, frame.at), frame.recipe.specs.out_spec, frame)


def w_matrix(w: jax.Array, frame: Frame, x_first: bool) -> jax.Array:
    """W (g, x_taps * c, y_taps * o), or its transpose; c and o come first if channels do."""
    out, channel, *taps = frame.recipe.specs.rhs_spec
    w = lax.transpose(w, (*taps, channel, out))  # (*k, c, g * o)
    parts = [(s.y_taps, s.x_taps) for s in frame.splits]
    w = w.reshape(*itertools.chain(*parts), w.shape[-2], frame.groups, -1)
    order = _w_order(frame, x_first)
    w = lax.transpose(w, order)
    cut = 1 + len(order) // 2
    shape = w.shape[0], math.prod(w.shape[1:cut]), math.prod(w.shape[cut:])
    if _as_it_lies(w.shape, order):
        return w.reshape(shape)
    return unfused(frame.recipe, lax.reshape, w, shape)


def w_of_matrix(m: jax.Array, frame: Frame, x_first: bool) -> jax.Array:
    """The transpose of `w_matrix`."""
    rank, order = len(frame.splits), _w_order(frame, x_first)
    x_taps, y_taps = [s.x_taps for s in frame.splits], [s.y_taps for s in frame.splits]
    xs, ys = m.shape[1:] if x_first else m.shape[:0:-1]
    c, o = xs // math.prod(x_taps), ys // math.prod(y_taps)
    sizes = [*itertools.chain(*zip(y_taps, x_taps, strict=True)), c, m.shape[0], o]
    w = lax.transpose(m.reshape([sizes[n] for n in order]), inverse(order))
    w = w.reshape(*(s.axis.kernel_size for s in frame.splits), c, -1)
    return lax.transpose(w, placed((rank + 1, rank, *range(rank)), frame.recipe.specs.rhs_spec))


def _w_order(frame: Frame, x_first: bool) -> list[int]:
    """From (y1, x1, y2, x2, ..., c, g, o) to g, and the axes of W."""
    rank = len(frame.splits)
    y_side, x_side, c = [*range(0, 2 * rank, 2)], [*range(1, 2 * rank, 2)], 2 * rank
    x_side.insert(0 if frame.first else rank, c)
    y_side.insert(0 if frame.first else rank, c + 2)
    return [c + 1, *x_side, *y_side] if x_first else [c + 1, *y_side, *x_side]


# -- the products ----------------------------------------------------------------------------------


def y_product(x: jax.Array, w: jax.Array, frame: Frame, precision: Precision) -> jax.Array:
    """X W, or W^T X with channels first, for which W is given with y first."""
    if frame.first:
        return times(w, x, 2, 1, precision)
    return times(x, w, 2, 1, precision)


def x_product(y: jax.Array, w: jax.Array, frame: Frame, precision: Precision) -> jax.Array:
    """Y W^T, or W Y with channels first."""
    if frame.first:
        return times(w, y, 2, 1, precision)
    return times(y, w, 2, 2, precision)


def w_product(
    x: jax.Array, y: jax.Array, frame: Frame, x_first: bool, precision: Precision
) -> jax.Array:
    """X^T Y, or X Y^T with channels first, or the transpose of that."""
    if frame.first:
        return times(x, y, 2, 2, precision) if x_first else times(y, x, 2, 2, precision)
    # XLA's fast product needs the rows of its first factor last. If Y comes first, less is
    # transposed before, but the product is transposed after; that pays unless the rows are few.
    rows, more, less = *x.shape[1:], y.shape[2]
    if more > less and (not isinstance(rows, int) or rows * (more - less) > more * less):
        return _turned(frame, times(_turned(frame, y), x, 2, 1, precision))
    return times(_turned(frame, x), y, 2, 1, precision)


def times(a: jax.Array, b: jax.Array, over_a: int, over_b: int, precision: Precision) -> jax.Array:
    """A matrix product for each group, summed over one axis of each factor."""
    if a.shape[0] == 1:  # XLA's fast product has no batch axis
        dims = (((over_a - 1,), (over_b - 1,)), ((), ()))
        return lax.dot_general(a[0], b[0], dims, precision=precision)[None]
    return lax.dot_general(a, b, (((over_a,), (over_b,)), ((0,), (0,))), precision=precision)


def _turned(frame: Frame, m: jax.Array) -> jax.Array:
    """(g, columns, rows), in a pass of its own; XLA would transpose it within a slow product."""
    return unfused(frame.recipe, lax.transpose, m, (0, 2, 1))


# -- what they share -------------------------------------------------------------------------------


def _taken(v: jax.Array, spec: Sequence[int], frame: Frame) -> jax.Array:
    """An array of the caller's layout as (N, *spatial, g, c) or (g, c, N, *spatial)."""
    if not frame.first:
        return channels_last_unfused(frame.recipe, v, spec)
    v = lax.transpose(v, (spec[1], spec[0], *spec[2:]))
    return v.reshape(frame.groups, v.shape[0] // frame.groups, *v.shape[1:])


def _given_back(v: jax.Array, spec: Sequence[int], frame: Frame) -> jax.Array:
    """The transpose of `_taken`."""
    if not frame.first:
        return placed_unfused(frame.recipe, v, spec)
    v = v.reshape(v.shape[0] * v.shape[1], *v.shape[2:])
    return lax.transpose(v, placed((1, 0, *range(2, v.ndim)), spec))


def _matrix(v: jax.Array, frame: Frame) -> jax.Array:
    """(N, a1, b1, a2, b2, ..., g, c) to (g, N * a1 * a2 * ..., b1 * b2 * ... * c), or
    (g, c, N, a1, b1, a2, b2, ...) to (g, c * b1 * b2 * ..., N * a1 * a2 * ...).

    XLA fuses the reshape that follows into the loop. Since this one merges the last axes, the loop
    would divide the index of every element again and take three to eight times as long.
    """
    order = _order(len(frame.splits), frame)
    v = lax.transpose(v, order)
    cut = 1 + len(order) // 2
    shape = v.shape[0], math.prod(v.shape[1:cut]), math.prod(v.shape[cut:])
    merged = v.shape[cut:] if frame.first else v.shape[cut:-1]
    if math.prod(merged) > 1:
        return unfused(frame.recipe, lax.reshape, v, shape)
    return v.reshape(shape)


def _of_matrix(
    m: jax.Array, batch: int, sizes: Sequence[tuple[int, int]], frame: Frame
) -> jax.Array:
    """The transpose of `_matrix`."""
    rows, taps = [a for a, _ in sizes], [b for _, b in sizes]
    channels = m.shape[frame.columns] // math.prod(taps)
    if frame.first:
        v = m.reshape(m.shape[0], channels, *taps, batch, *rows)
    else:
        v = m.reshape(m.shape[0], batch, *rows, *taps, channels)
    order = _order(len(sizes), frame)
    return lax.transpose(v, inverse(order))


def _order(rank: int, frame: Frame) -> list[int]:
    """From the axes of an array to g, and the axes of its matrix."""
    rows = range(frame.at, frame.at + 2 * rank, 2)
    taps = range(frame.at + 1, frame.at + 2 * rank, 2)
    if frame.first:
        return [0, 1, *taps, 2, *rows]
    return [2 * rank + 1, 0, *rows, *taps, 2 * rank + 2]


def inverse(order: Sequence[int]) -> tuple[int, ...]:
    """The inverse of a permutation of axes."""
    return tuple(order.index(n) for n in range(len(order)))


def _as_it_lies(shape: Sequence[int], order: Sequence[int]) -> bool:
    """Whether a transpose moves nothing because all axes longer than 1 keep their order."""
    kept = [n for n, size in zip(order, shape, strict=True) if size != 1]
    return kept == sorted(kept)
