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
import operator
from collections.abc import Sequence
from dataclasses import replace

import jax
from jax import lax

from tconvjax.algorithms import blocks
from tconvjax.algorithms.fusion import channels_last, placed_from_last, unfused, written
from tconvjax.algorithms.parts import cut, part, put
from tconvjax.algorithms.phases import Split, from_phases, splits_of, to_phases
from tconvjax.algorithms.shifts import Written, fold_shifted, fold_windows, shifted, windows
from tconvjax.geometry import Geometry
from tconvjax.layouts import Recipe, placed

REPEATED = 0.2
"""Largest share of the largest matrix that blocks of rows may compute twice. Neighbouring blocks
repeat their rims and lay out the kernel anew; more than this is not worth the memory saved."""

FEW_OF_X, FEW_OF_Y, ROOM = 1.5, 2, 1.75
"""Where X has at most so many times the elements of the result of a transposed convolution, and Y
so many times those of X, a loop saves little and copies the result: WHOLE is ROOM times as large.
With 2, the temporaries of some steps pass 32 MiB."""

ANOTHER = 0.3
"""What another part of the kernel costs, as a share of the elements that are copied."""

LARGEST, MOST_REPEATED = 2**25, 0.6
"""The same share where blocks of few rims would have more than so many elements."""


def patches(a: jax.Array, b: jax.Array, recipe: Recipe) -> jax.Array:
    """Compute any partial as one matrix product for each block of images or rows."""
    rows = rows_of_a_block(recipe)

    def in_rows(a: jax.Array, b: jax.Array, recipe: Recipe) -> jax.Array:
        return blocks.by_rows(_in_parts, a, b, recipe, rows)

    whole = in_rows if rows < recipe.geometry.axes[0].out_size else _in_parts
    return blocks.by_images(whole, a, b, recipe, largest(recipe), _room(recipe))


def _room(recipe: Recipe) -> float:
    """By how much more than WHOLE is computed at once; measured on a CPU only."""
    geometry = recipe.geometry
    x, y = map(max, zip(*map(_laid_out_elements, parts_of(recipe)), strict=True))
    few = x <= FEW_OF_X * math.prod(geometry.in_shape) and y <= FEW_OF_Y * x
    return ROOM if recipe.on_cpu and recipe.partial == "conv_transpose" and few else 1.0


def largest(recipe: Recipe) -> int:
    """Elements of the largest X or Y, for one image; none where there are no shifts to copy.

    The product of a kernel of one tap takes 0.3 to 0.7 of the time without a loop over blocks.
    """
    if not recipe.channels_first and math.prod(recipe.geometry.kernel_size) == 1:
        return 0
    return max(max(_laid_out_elements(part)) for part in parts_of(recipe))


def _laid_out_elements(recipe: Recipe) -> tuple[int, int]:
    """Elements of X and of Y, for one image."""
    return _elements(recipe.geometry, sides_of(recipe.geometry))


def _elements(geometry: Geometry, splits: Sequence[Split]) -> tuple[int, int]:
    """Elements of X and of Y, for one image."""
    rows = math.prod(s.rows for s in splits)
    x_taps, y_taps = math.prod(s.x_taps for s in splits), math.prod(s.y_taps for s in splits)
    return rows * x_taps * geometry.in_channels, rows * y_taps * geometry.out_channels


def rows_of_a_block(recipe: Recipe) -> int:
    """Outputs along the first axis that are computed at once: all of them, or an even share."""
    geometry, (at_once, most) = recipe.geometry, blocks.bounds(recipe, _room(recipe))
    size, splits = largest(recipe), splits_of(geometry)
    out, rim = splits[0].axis.out_size, splits[0].all_rows - splits[0].axis.out_size
    if size <= at_once:
        return out
    # Neighbouring blocks share their rims, so that a block of few rows would mostly be rims.
    repeated = REPEATED if size * rim <= REPEATED * LARGEST * out else MOST_REPEATED
    parts, least = -(-size // most), rim / repeated
    if -(-out // parts) < least:
        parts = max(1, math.floor(out / least))
    rows = -(-out // parts)
    kernels = -(-out // rows) * math.prod(geometry.kernel_shape)
    kernels = kernels if any(s.on_y for r in parts_of(recipe) for s in sides_of(r.geometry)) else 0
    return rows if size * rim / rows + kernels <= repeated * size else out


def at_once(recipe: Recipe, batch: int) -> int:
    """Elements of the larger of X and Y that are laid out at once."""
    size, out = largest(recipe), recipe.geometry.axes[0].out_size
    rows = rows_of_a_block(recipe)
    if rows < out:
        return size * rows // out
    return size * blocks.images_at_once(batch, recipe, size, _room(recipe))


def in_blocks(recipe: Recipe, batch: int) -> bool:
    """Whether some images or rows are computed at a time, and nothing of theirs is shared."""
    return at_once(recipe, batch) < batch * largest(recipe)


def _in_parts(a: jax.Array, b: jax.Array, recipe: Recipe) -> jax.Array:
    """Compute any partial as one matrix product for each part of the kernel."""
    found = []
    for taps in taps_of_parts(recipe):
        smaller = replace(recipe, geometry=part(recipe.geometry, taps))
        if recipe.partial == "kernel_gradient":
            found.append(put(_as_product(a, b, smaller), recipe, taps))
        else:
            found.append(_as_product(a, cut(b, recipe, taps), smaller))
    return functools.reduce(operator.add, found)


def _as_product(a: jax.Array, b: jax.Array, recipe: Recipe) -> jax.Array:
    """Compute any partial as one matrix product."""
    first, batch = recipe.channels_first, recipe.batch(a)
    if recipe.partial == "conv":  # X W, or W^T X with channels first
        w, x = w_matrix(b, recipe, x_first=not first), x_matrix(a, recipe)
        found = times(recipe, w, x, 2, 1) if first else times(recipe, x, w, 2, 1)
        return y_of_matrix(found, batch, recipe)
    if recipe.partial == "conv_transpose":  # Y W^T, or W Y with channels first
        w, y = w_matrix(b, recipe, x_first=True), y_matrix(a, recipe)
        found = times(recipe, w, y, 2, 1) if first else times(recipe, y, w, 2, 2)
        return x_of_matrix(found, batch, recipe)
    x, y = x_matrix(a, recipe), y_matrix(b, recipe)
    # With channels first, XLA's product is faster where its first factor is the larger.
    x_first = not first or x.shape[1] > y.shape[1]
    return w_of_matrix(w_product(x, y, recipe, x_first), recipe, x_first)


# -- how everything is laid out --------------------------------------------------------------------
#
# Channels stay first where both x and y have them there: arrays are then (g, c, N, a1, b1, ...) and
# matrices (g, columns, rows), rather than (N, a1, b1, ..., g, c) and (g, rows, columns).


def _laid_out(recipe: Recipe) -> tuple[tuple[Split, ...], int]:
    """The split axes, and the place of the first one in an array."""
    return sides_of(recipe.geometry), 3 if recipe.channels_first else 1


def parts_of(recipe: Recipe) -> list[Recipe]:
    """The recipes of the parts of the kernel, each of one matrix product."""
    geometry = recipe.geometry
    return [replace(recipe, geometry=part(geometry, taps)) for taps in taps_of_parts(recipe)]


def taps_of_parts(recipe: Recipe) -> Sequence[Sequence[range]]:
    """The taps of each part of the kernel, along each axis.

    There is one part on accelerators, where more were not tried, and of depthwise layers, for which
    a product for each channel may take fourteen times as long.
    """
    if recipe.on_cpu and not recipe.depthwise:
        return cut_taps(recipe.geometry)
    return [[range(taps) for taps in recipe.geometry.kernel_size]]


@functools.lru_cache(maxsize=4096)
def cut_taps(geometry: Geometry) -> Sequence[Sequence[range]]:
    """The taps of each part, along each axis, where as many axes are cut as makes fewer copies.

    Within a part all phases have equally many taps; only then can y be laid out for the shifts.
    """
    pieces = [[range(taps)] for taps in geometry.kernel_size]
    choices = [list(itertools.product(*pieces))]
    for n, split in enumerate(splits_of(geometry)):
        if not split.even:
            most = split.period * (split.shifts - 1)
            pieces[n] = [range(most), range(most, split.axis.kernel_size)]
            choices.append(list(itertools.product(*pieces)))

    def cost(parts: Sequence[Sequence[range]]) -> float:
        smaller = [part(geometry, taps) for taps in parts]
        copies = sum(copied(one, sides_of(one)) for one in smaller)
        return copies * (1 + ANOTHER * (len(parts) - 1))

    return min(choices, key=cost)


@functools.lru_cache(maxsize=4096)
def sides_of(geometry: Geometry) -> tuple[Split, ...]:
    """Split the taps of each axis, with the shifts laid out on the side that copies less."""
    splits = splits_of(geometry)
    even = [n for n, split in enumerate(splits) if split.even and split.shifts > 1]
    choices = [splits] + [
        tuple(Split(split.axis, on_y=n in even[:count]) for n, split in enumerate(splits))
        for count in range(1, len(even) + 1)
    ]
    return min(choices, key=functools.partial(copied, geometry))


def copied(geometry: Geometry, splits: Sequence[Split]) -> int:
    """Elements that are copied for one image; if y is gathered, the kernel is copied too."""
    kernel = math.prod(geometry.kernel_shape) if any(split.on_y for split in splits) else 0
    return sum(_elements(geometry, splits)) + kernel


# -- the three matrices, and the ways back ---------------------------------------------------------


def x_matrix(x: jax.Array, recipe: Recipe) -> jax.Array:
    """X (g, rows, x_taps * c), or (g, c * x_taps, rows)."""
    splits, at = _laid_out(recipe)
    v = to_phases(_taken(x, recipe.specs.lhs_spec, recipe), splits, at)
    return _matrix(windows(v, splits, at, _written(recipe)), recipe)


def x_of_matrix(m: jax.Array, batch: int, recipe: Recipe) -> jax.Array:
    """The transpose of `x_matrix`."""
    splits, at = _laid_out(recipe)
    v = _of_matrix(m, batch, [s.x_taps for s in splits], recipe)
    v = fold_windows(v, splits, at, _written(recipe))
    strided = any(split.axis.stride > 1 for split in splits)
    adds = any(split.shifts > 1 and not split.on_y for split in splits)
    if recipe.channels_first and strided and adds:
        # Add up along rows, in memory order; XLA's transpose then interleaves the phases faster.
        order = _order(recipe)
        back = placed(range(v.ndim), order)
        v = unfused(recipe, lax.transpose, lax.transpose(v, order), back)
    return _given_back(from_phases(v, splits, at), recipe.specs.lhs_spec, recipe)


def y_matrix(y: jax.Array, recipe: Recipe) -> jax.Array:
    """Y (g, rows, y_taps * o), or (g, o * y_taps, rows)."""
    v = _taken(y, recipe.specs.out_spec, recipe)
    return _matrix(shifted(v, *_laid_out(recipe), _written(recipe)), recipe)


def y_of_matrix(m: jax.Array, batch: int, recipe: Recipe) -> jax.Array:
    """The transpose of `y_matrix`."""
    splits, at = _laid_out(recipe)
    v = _of_matrix(m, batch, [s.y_taps for s in splits], recipe)
    v = fold_shifted(v, splits, at, _written(recipe))
    return _given_back(v, recipe.specs.out_spec, recipe)


def w_matrix(w: jax.Array, recipe: Recipe, x_first: bool) -> jax.Array:
    """W (g, x_taps * c, y_taps * o), or its transpose; c and o come first if channels do."""
    out, channel, *taps = recipe.specs.rhs_spec
    w = lax.transpose(w, (*taps, channel, out))  # (*k, c, g * o)
    parts = [(s.y_taps, s.x_taps) for s in sides_of(recipe.geometry)]
    w = w.reshape(*itertools.chain(*parts), w.shape[-2], recipe.geometry.groups, -1)
    order = _w_order(recipe, x_first)
    w = lax.transpose(w, order)
    shape = _merged(w.shape)
    # XLA moves nothing if all axes longer than 1 keep their order.
    kept = [n for n, size in zip(order, w.shape, strict=True) if size != 1]
    return w.reshape(shape) if kept == sorted(kept) else unfused(recipe, lax.reshape, w, shape)


def w_of_matrix(m: jax.Array, recipe: Recipe, x_first: bool) -> jax.Array:
    """The transpose of `w_matrix`."""
    splits, order = sides_of(recipe.geometry), _w_order(recipe, x_first)
    x_taps, y_taps = [s.x_taps for s in splits], [s.y_taps for s in splits]
    xs, ys = m.shape[1:] if x_first else m.shape[:0:-1]
    c, o = xs // math.prod(x_taps), ys // math.prod(y_taps)
    sizes = [*itertools.chain(*zip(y_taps, x_taps, strict=True)), c, m.shape[0], o]
    w = lax.transpose(m.reshape([sizes[n] for n in order]), placed(range(len(order)), order))
    rank = len(splits)
    w = w.reshape(*recipe.geometry.kernel_size, c, -1)
    return lax.transpose(w, placed((rank + 1, rank, *range(rank)), recipe.specs.rhs_spec))


def _w_order(recipe: Recipe, x_first: bool) -> list[int]:
    """From (y1, x1, y2, x2, ..., c, g, o) to g, and the axes of W."""
    rank = recipe.geometry.rank
    y_side, x_side, c = [*range(0, 2 * rank, 2)], [*range(1, 2 * rank, 2)], 2 * rank
    channels = 0 if recipe.channels_first else rank
    x_side.insert(channels, c)
    y_side.insert(channels, c + 2)
    return [c + 1, *x_side, *y_side] if x_first else [c + 1, *y_side, *x_side]


# -- the products ----------------------------------------------------------------------------------


def w_product(x: jax.Array, y: jax.Array, recipe: Recipe, x_first: bool) -> jax.Array:
    """X^T Y, or X Y^T with channels first, or the transpose of that."""
    if recipe.channels_first:
        return times(recipe, x, y, 2, 2) if x_first else times(recipe, y, x, 2, 2)
    # XLA's fast product needs the rows of its first factor last. If Y comes first, less is
    # transposed before, but the product is transposed after; that pays unless the rows are few.
    rows, more, less = *x.shape[1:], y.shape[2]
    if more > less and (not isinstance(rows, int) or rows * (more - less) > more * less):
        return _turned(recipe, times(recipe, _turned(recipe, y), x, 2, 1))
    return times(recipe, _turned(recipe, x), y, 2, 1)


def times(recipe: Recipe, a: jax.Array, b: jax.Array, over_a: int, over_b: int) -> jax.Array:
    """A matrix product for each group, summed over one axis of each factor."""
    if a.shape[0] == 1:  # XLA's fast product has no batch axis
        dims = (((over_a - 1,), (over_b - 1,)), ((), ()))
        return lax.dot_general(a[0], b[0], dims, precision=recipe.precision)[None]
    return lax.dot_general(a, b, (((over_a,), (over_b,)), ((0,), (0,))), precision=recipe.precision)


def _turned(recipe: Recipe, m: jax.Array) -> jax.Array:
    """(g, columns, rows), in a pass of its own; XLA would transpose it within a slow product."""
    return unfused(recipe, lax.transpose, m, (0, 2, 1))


# -- what they share -------------------------------------------------------------------------------


def _written(recipe: Recipe) -> Written | None:
    """How loops over many shifts are kept apart; None where that was not tried."""
    return written if recipe.on_cpu else None


def _taken(v: jax.Array, spec: Sequence[int], recipe: Recipe) -> jax.Array:
    """An array of the caller's layout as (N, *spatial, g, c) or (g, c, N, *spatial)."""
    if not recipe.channels_first:
        return channels_last(recipe, v, spec, alone=True)
    v = lax.transpose(v, (spec[1], spec[0], *spec[2:]))
    groups = recipe.geometry.groups
    return v.reshape(groups, v.shape[0] // groups, *v.shape[1:])


def _given_back(v: jax.Array, spec: Sequence[int], recipe: Recipe) -> jax.Array:
    """The transpose of `_taken`."""
    if not recipe.channels_first:
        return placed_from_last(recipe, v, spec, alone=True)
    v = v.reshape(v.shape[0] * v.shape[1], *v.shape[2:])
    return lax.transpose(v, placed((1, 0, *range(2, v.ndim)), spec))


def _matrix(v: jax.Array, recipe: Recipe) -> jax.Array:
    """(N, a1, b1, a2, b2, ..., g, c) to (g, N * a1 * a2 * ..., b1 * b2 * ... * c), or
    (g, c, N, a1, b1, a2, b2, ...) to (g, c * b1 * b2 * ..., N * a1 * a2 * ...).

    XLA fuses the reshape that follows into the loop. Since this one merges the last axes, the loop
    would divide the index of every element again and take three to eight times as long.
    """
    v = lax.transpose(v, _order(recipe))
    shape, last = _merged(v.shape), v.shape[2 + recipe.geometry.rank :]
    merges = math.prod(last if recipe.channels_first else last[:-1]) > 1
    return unfused(recipe, lax.reshape, v, shape) if merges else v.reshape(shape)


def _merged(shape: Sequence[int]) -> tuple[int, int, int]:
    """The first axis, and the others in two halves."""
    cut = 1 + len(shape) // 2
    return shape[0], math.prod(shape[1:cut]), math.prod(shape[cut:])


def _of_matrix(m: jax.Array, batch: int, taps: Sequence[int], recipe: Recipe) -> jax.Array:
    """The transpose of `_matrix`."""
    rows = [split.rows for split in sides_of(recipe.geometry)]
    if recipe.channels_first:
        v = m.reshape(m.shape[0], m.shape[1] // math.prod(taps), *taps, batch, *rows)
    else:
        v = m.reshape(m.shape[0], batch, *rows, *taps, m.shape[2] // math.prod(taps))
    return lax.transpose(v, placed(range(v.ndim), _order(recipe)))


def _order(recipe: Recipe) -> list[int]:
    """From the axes of an array to g, and the axes of its matrix."""
    rank, (_, at) = recipe.geometry.rank, _laid_out(recipe)
    rows, taps = range(at, at + 2 * rank, 2), range(at + 1, at + 2 * rank, 2)
    if recipe.channels_first:
        return [0, 1, *taps, 2, *rows]
    return [2 * rank + 1, 0, *rows, *taps, 2 * rank + 2]
