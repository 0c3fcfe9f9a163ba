"""Taps: a sum of elementwise products over the taps, for groups of very few channels.

A matrix product of one channel with one channel only copies. XLA fuses these sums into
one pass over memory, with the channels of all groups side by side, and for large kernels into one
pass for some of the taps at a time.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tconvjax.algorithms.blocks import by_images
from tconvjax.algorithms.fusion import channels_last, placed_from_last, unfused, written
from tconvjax.algorithms.phases import Split, from_phases, padded, splits_of, to_phases
from tconvjax.geometry import Axis, Geometry
from tconvjax.layouts import Partial, Recipe, placed

MOST_SHIFTS = 8
"""Most shifts of a depthwise transpose with channels last whose products are padded and added."""

MOST_SUMMANDS = 32
"""Summands of one loop of a convolution. With hundreds it is ten times slower, and to compile too.
"""

MOST_PHASES = 8
"""Phases that one loop interleaves; of more, those of each axis."""

MOST_UNEVEN = 8
"""Most taps of a phase that is added up where it is interleaved with others of more or fewer taps.
"""

CHUNKS = 8
"""Products that are added up before a chunk of the kernel gradient is written; more would take
longer to compile."""


def taps(a: jax.Array, b: jax.Array, recipe: Recipe) -> jax.Array:
    """Compute any partial as sums of elementwise products; the precision does not matter."""
    geometry, specs = recipe.geometry, recipe.specs
    if recipe.partial == "kernel_gradient":
        return by_images(_kernel_gradient, a, b, recipe, math.prod(geometry.in_shape))
    splits = splits_of(geometry)
    out, channel, *spatial = specs.rhs_spec
    w = lax.transpose(b, (*spatial, channel, out))
    w = w.reshape(*w.shape[:-1], geometry.groups, -1)  # (*k, c, g, o)
    if recipe.partial == "conv":
        if recipe.depthwise and specs.lhs_spec == specs.out_spec:
            return _depthwise(a, w[..., 0, :, 0], splits, specs.lhs_spec)
        y = _conv(channels_last(recipe, a, specs.lhs_spec), w, splits)
        return placed_from_last(recipe, y, specs.out_spec)
    if in_phases(recipe):
        return _depthwise_transpose(a, w[..., 0, :, 0], splits, recipe)
    x = _conv_transpose(channels_last(recipe, a, specs.out_spec), w, splits)
    return placed_from_last(recipe, x, specs.lhs_spec)


def terms(partial: Partial, geometry: Geometry) -> int:
    """Number of summands."""
    shifts = math.prod(split.shifts for split in splits_of(geometry))
    c, o = geometry.in_channels // geometry.groups, geometry.out_channels // geometry.groups
    if partial == "conv":
        return math.prod(geometry.kernel_size) * c
    # Each summand of a kernel gradient holds every pair of channels, and is unrolled.
    return shifts * (o if partial == "conv_transpose" else CHUNKS * c * o)


def unrolled(recipe: Recipe) -> int:
    """How many of the summands a program spells out; the others are turns of its loops."""
    geometry, partial = recipe.geometry, recipe.partial
    count = terms(partial, geometry)
    if partial == "kernel_gradient":
        shifts = math.prod(split.shifts for split in splits_of(geometry))
        return count if shifts <= MOST_SUMMANDS else count // shifts
    if partial == "conv":
        each = geometry.in_channels // geometry.groups
        return min(count, 2 * max(each, MOST_SUMMANDS))
    if not in_phases(recipe):
        return count
    phases = math.prod(geometry.stride)
    return phases * min(math.prod(geometry.kernel_size) // phases + 1, 2 * MOST_SUMMANDS)


def turns_of(taps: int, each: int = 1) -> int:
    """How many turns a loop has for the taps, of ``each`` terms, that its start leaves."""
    return (taps - 1) // max(MOST_SUMMANDS // each, 1)


def _conv(x: jax.Array, w: jax.Array, splits: Sequence[Split]) -> jax.Array:
    """(N, *out, g, o) from x (N, *in, g, c) and w (*k, c, g, o)."""

    def products(seen: jax.Array, w: jax.Array) -> list[jax.Array]:
        kernel = jnp.expand_dims(w, tuple(range(1, 2 + len(splits))))  # (c, 1, ..., 1, g, o)
        return [seen[..., c : c + 1] * kernel[c] for c in range(x.shape[-1])]

    return _read(x, w, splits, range(1, 1 + len(splits)), products, x.shape[-1])


def _depthwise(
    x: jax.Array, w: jax.Array, splits: Sequence[Split], spec: Sequence[int]
) -> jax.Array:
    """The convolution with w (*k, g) in the layout of x, without a transpose of channels first."""
    channels = [1] * x.ndim
    channels[spec[1]] = -1
    return _read(x, w, splits, spec[2:], lambda seen, w: [seen * w.reshape(channels)])


def in_phases(recipe: Recipe) -> bool:
    """Whether `_depthwise_transpose` pays: with channels first it needs no transpose."""
    geometry, specs = recipe.geometry, recipe.specs
    pays = recipe.channels_first or terms(recipe.partial, geometry) > MOST_SHIFTS
    pays = pays or max(geometry.dilation) > 1  # whose phases are slow to interleave in a sum
    alike = recipe.depthwise and specs.lhs_spec == specs.out_spec
    return recipe.partial == "conv_transpose" and alike and pays


def _depthwise_transpose(
    y: jax.Array, w: jax.Array, splits: Sequence[Split], recipe: Recipe
) -> jax.Array:
    """The transposed convolution with w (*k, g) in the layout of y, with the phases interleaved.

    Element stride * q + phase of x is written through each tap for which stride divides
    phase + low - dilation * tap, by output q + (phase + low - dilation * tap) / stride.
    """
    spec = recipe.specs.lhs_spec
    axes, positions = [split.axis for split in splits], spec[2:]
    rows = [-(-axis.in_size // axis.stride) for axis in axes]
    firsts = [(axis.low - axis.span + 1) // axis.stride for axis in axes]
    lows, highs, channels = [0] * y.ndim, [0] * y.ndim, [1] * y.ndim
    channels[spec[1]] = -1
    for axis, position, count, first in zip(axes, positions, rows, firsts, strict=True):
        lows[position] = -first
        highs[position] = count + (axis.stride - 1 + axis.low) // axis.stride - axis.out_size
    y, phases_of_all = padded(y, lows, highs, 0), math.prod(axis.stride for axis in axes)
    uneven = phases_of_all <= MOST_PHASES and not all(split.even for split in splits)
    most = MOST_UNEVEN if uneven else MOST_SUMMANDS
    shape = [*y.shape]
    for position, count in zip(positions, rows, strict=True):
        shape[position] = count

    def terms(start: Any, part: jax.Array) -> list[jax.Array]:
        return [_slice(y, start, shape) * part.reshape(channels)]

    def of_phase(phases: tuple[int, ...]) -> jax.Array:
        ahead = [
            [p + a.low - t * a.dilation for t in range(a.kernel_size)]
            for p, a in zip(phases, axes, strict=True)
        ]
        of_axes = [
            [t for t, n in enumerate(ns) if n % a.stride == 0]
            for ns, a in zip(ahead, axes, strict=True)
        ]
        taps = list(itertools.product(*of_axes))
        if not taps:
            return jnp.zeros(shape, y.dtype)
        starts = np.zeros((len(taps), y.ndim), np.int32)
        for n, position in enumerate(positions):
            starts[:, position] = [ahead[n][tap[n]] // axes[n].stride - firsts[n] for tap in taps]
        every = tuple(slice(ts[0], None, s.period) for ts, s in zip(of_axes, splits, strict=True))
        total = _added(terms, starts, w[every].reshape(len(taps), -1), 1)
        # XLA would run a turn again for every element that it interleaves.
        alone = recipe.on_cpu and len(taps) > most and phases_of_all > 1
        return written(total) if alone else total

    return _side_by_side(of_phase, axes, positions, recipe)


def _side_by_side(
    of_phase: Callable[[tuple[int, ...]], jax.Array],
    axes: Sequence[Axis],
    positions: Sequence[int],
    recipe: Recipe,
) -> jax.Array:
    """Weave arrays (..., rows, ...) of each phase of each axis into (..., in_size, ...)."""
    several = recipe.on_cpu and math.prod(axis.stride for axis in axes) > MOST_PHASES

    def stacked(phases: tuple[int, ...]) -> jax.Array:
        n = len(phases)
        if n == len(axes):
            return of_phase(phases)
        # The later axes are stacked already; those before this one have moved it.
        position = positions[n] + sum(p < positions[n] for p in positions[n + 1 :])
        woven = jnp.stack([stacked((*phases, p)) for p in range(axes[n].stride)], position + 1)
        return written(woven) if several and n else woven

    x = stacked(())
    shape = [x.shape[n + sum(p < n for p in positions)] for n in range(x.ndim - len(axes))]
    for axis, position in zip(axes, positions, strict=True):
        shape[position] *= axis.stride
    x = x.reshape(shape)
    for axis, position in zip(axes, positions, strict=True):
        x = lax.slice_in_dim(x, 0, axis.in_size, axis=position)
    return x


def _read(
    x: jax.Array,
    w: jax.Array,
    splits: Sequence[Split],
    positions: Sequence[int],
    products: Callable[[jax.Array, jax.Array], list[jax.Array]],
    each: int = 1,
) -> jax.Array:
    """Add up the products of each tap of w (*k, ...) and what it reads along the axes of x."""
    axes = [split.axis for split in splits]
    ends, sizes, strides = [(0, 0, 0)] * x.ndim, [*x.shape], [1] * x.ndim
    for axis, position in zip(axes, positions, strict=True):
        ends[position] = (axis.low, axis.high, 0)
        sizes[position], strides[position] = axis.stride * (axis.out_size - 1) + 1, axis.stride
    taps = list(itertools.product(*(range(axis.kernel_size) for axis in axes)))
    starts = np.zeros((len(taps), x.ndim), np.int32)
    starts[:, list(positions)] = np.array(taps) * [axis.dilation for axis in axes]
    x, w = lax.pad(x, jnp.zeros((), x.dtype), ends), w.reshape(len(taps), *w.shape[len(axes) :])

    def terms(start: Any, part: jax.Array) -> list[jax.Array]:
        seen = _slice(x, start, sizes)
        return products(lax.slice(seen, [0] * x.ndim, sizes, strides), part)

    return _added(terms, starts, w, each)


def _slice(x: jax.Array, start: Any, sizes: Sequence[int]) -> jax.Array:
    """A part of x, whose start may be known in a turn of a loop only."""
    if isinstance(start, np.ndarray):
        first = start.tolist()
        return lax.slice(x, first, [n + size for n, size in zip(first, sizes, strict=True)])
    return lax.dynamic_slice(x, start, sizes, allow_negative_indices=False)


def _added(
    terms: Callable[[Any, jax.Array], list[jax.Array]], starts: np.ndarray, w: jax.Array, each: int
) -> jax.Array:
    """Add up ``each`` terms of each start and row of w, `MOST_SUMMANDS` in each turn of a loop."""

    def of(starts: Any, w: jax.Array) -> jax.Array:
        parts = (terms(start, part) for start, part in zip(starts, w, strict=True))
        return functools.reduce(operator.add, itertools.chain.from_iterable(parts))

    def turn(total: jax.Array, rows: Any) -> tuple[jax.Array, None]:
        return total + of(*rows), None

    turns = turns_of(len(starts), each)
    if not turns:
        return of(starts, w)
    count = max(MOST_SUMMANDS // each, 1)
    first = len(starts) - turns * count
    later = (v[first:].reshape(turns, count, *v.shape[1:]) for v in (jnp.asarray(starts), w))
    return lax.scan(turn, of(starts[:first], w[:first]), tuple(later))[0]


def _conv_transpose(y: jax.Array, w: jax.Array, splits: Sequence[Split]) -> jax.Array:
    """(N, *in, g, c) from y (N, *out, g, o) and w (*k, c, g, o)."""
    rank = len(splits)
    y = jnp.expand_dims(y, tuple(range(2, 2 + 2 * rank, 2)))  # (N, U1, 1, U2, 1, ..., g, o)
    w = jnp.swapaxes(w, -3, -2)
    w = jnp.expand_dims(w, (0, *range(1, 2 * rank, 2)))  # (1, 1, k1, 1, k2, ..., g, c, o)
    products = []
    for shifts in itertools.product(*(range(split.shifts) for split in splits)):
        kernel = w
        for n, (split, shift) in enumerate(zip(splits, shifts, strict=True)):
            kernel = lax.slice_in_dim(kernel, *split.taps(shift), axis=2 + 2 * n)
        for o in range(y.shape[-1]):
            # Pad the product and not y, so that no zero is multiplied.
            term = y[..., o : o + 1] * kernel[..., o]
            products.append(_unshift(term, splits, shifts))
    return from_phases(functools.reduce(operator.add, products), splits)


def _unshift(v: jax.Array, splits: Sequence[Split], shifts: Sequence[int]) -> jax.Array:
    """The transpose of taking shifts: the same rows and phases, zeros in all others."""
    lows, highs = [], []
    for n, (split, shift) in enumerate(zip(splits, shifts, strict=True)):
        rows, taps = v.shape[1 + 2 * n : 3 + 2 * n]
        lows += [split.step * shift, 0]
        highs += [split.all_rows - split.step * shift - rows, split.slots - taps]
    return padded(v, lows, highs, 1)


def _kernel_gradient(x: jax.Array, y: jax.Array, recipe: Recipe) -> jax.Array:
    splits, specs = splits_of(recipe.geometry), recipe.specs
    rank = len(splits)
    x = channels_last(recipe, x, specs.lhs_spec, alone=True)
    y = channels_last(recipe, y, specs.out_spec, alone=True)
    x = to_phases(x, splits)
    y = jnp.expand_dims(y, tuple(range(2, 2 + 2 * rank, 2)))

    def summed(x: jax.Array, n: int) -> jax.Array:
        if n == rank:
            return _summed(x[..., None], y[..., None, :], recipe)
        parts = [summed(_shift_of(x, splits[n], n, s), n + 1) for s in range(splits[n].shifts)]
        return lax.concatenate(parts, n)

    def of_shifts(shifts: Any) -> jax.Array:
        """Of one shift of each axis, with phases past the last tap too."""
        seen = x
        for n, split in enumerate(splits):
            first = split.step * shifts[n]
            seen = lax.dynamic_slice_in_dim(
                seen, first, split.axis.out_size, axis=1 + 2 * n, allow_negative_indices=False
            )
            seen = lax.slice_in_dim(seen, 0, split.phases, axis=2 + 2 * n)
        return _summed(seen[..., None], y[..., None, :], recipe)

    every = [range(split.shifts) for split in splits]
    if math.prod(map(len, every)) <= MOST_SUMMANDS:
        w = summed(x, 0)
    else:
        w = lax.map(of_shifts, jnp.array(list(itertools.product(*every)), jnp.int32))
        w = w.reshape(*map(len, every), *w.shape[1:])  # (shifts1, ..., phases1, ..., g, c, o)
        for n, split in enumerate(splits):
            w = jnp.moveaxis(w, rank, n + 1)
            w = w.reshape(*w.shape[:n], -1, *w.shape[n + 2 :])
            w = lax.slice_in_dim(w, 0, split.axis.kernel_size, axis=n)
    w = jnp.moveaxis(w, -3, -2)  # (*k, c, g, o)
    w = lax.reshape(w, (*w.shape[:-2], w.shape[-2] * w.shape[-1]))
    return lax.transpose(w, placed((rank + 1, rank, *range(rank)), specs.rhs_spec))


def _shift_of(v: jax.Array, split: Split, n: int, shift: int) -> jax.Array:
    """The elements that the taps of one shift read."""
    start, stop = split.taps(shift)
    first = split.step * shift
    v = lax.slice_in_dim(v, first, first + split.axis.out_size, axis=1 + 2 * n)
    return lax.slice_in_dim(v, 0, stop - start, axis=2 + 2 * n)


def _summed(x: jax.Array, y: jax.Array, recipe: Recipe) -> jax.Array:
    """The sum of x * y over batch and places: (phases1, ..., g, c, o).

    The rows of the first axis are cut into chunks whose products are added up before they are
    written. The rest is a product with ones: XLA's own sum over leading axes is some six times
    slower on a CPU.
    """
    rank, size = recipe.geometry.rank, -(-x.shape[1] // CHUNKS)
    parts = []
    for first in range(0, x.shape[1], size):
        last = min(first + size, x.shape[1])
        part = lax.slice_in_dim(x, first, last, axis=1) * lax.slice_in_dim(y, first, last, axis=1)
        ends = [(0, 0, 0)] * part.ndim
        ends[1] = (0, size - (last - first), 0)
        parts.append(lax.pad(part, jnp.zeros((), part.dtype), ends))
    product = functools.reduce(operator.add, parts)
    places, kept = [0, *range(1, 2 * rank, 2)], range(2, 2 * rank + 1, 2)
    product = lax.transpose(product, (*places, *kept, *range(2 * rank + 1, product.ndim)))
    shape = product.shape[len(places) :]
    places_of_all = math.prod(product.shape[: len(places)])
    rows = unfused(recipe, lax.reshape, product, (places_of_all, math.prod(shape)))
    ones = jnp.ones((1, rows.shape[0]), rows.dtype)
    return lax.dot_general(ones, rows, (((1,), (0,)), ((), ())), precision="highest").reshape(shape)
