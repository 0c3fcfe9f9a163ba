"""Compute a partial block by block, so that the copies of an algorithm stay small.

A block is some images, or some rows of the first spatial axis. Either is a smaller convolution with
a recipe of its own.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from tconvjax.algorithms.phases import padded
from tconvjax.layouts import Algorithm, Recipe

WHOLE = 2**21
"""Largest array that is built in one piece, in elements (8 MiB of float32); a loop would copy its
result."""

MOST = 2**20
"""Largest array of a block, in elements, so that a block stays in cache. It also keeps a program's
temporaries below 32 MiB; above that, glibc maps fresh pages on every call."""

LARGER = 2**7
"""Factor of both limits on accelerators, where each loop iteration launches a kernel."""


def bounds(recipe: Recipe, room: float = 1.0) -> tuple[int, int]:
    """(room * WHOLE, MOST) for the platform of the recipe."""
    larger = 1 if recipe.on_cpu else LARGER
    return int(room * larger * WHOLE), larger * MOST


def by_images(
    whole: Algorithm, a: jax.Array, b: jax.Array, recipe: Recipe, size: int, room: float = 1.0
) -> jax.Array:
    """Compute a partial for as many images at a time as fit in a block, ``size`` elements each.

    All of them at once if they have at most ``room`` times WHOLE elements. Where XLA spreads a
    batch over devices by itself, the batch is not cut: XLA does not know the number at which a
    block starts, so it would gather the batch first.
    """
    first, second, result = recipe.roles
    images = recipe.batch(a)
    known = isinstance(images, int) and automatic_devices(a, b) == 1
    at_once = images_at_once(images, recipe, size, room) if known else images
    if at_once == images:
        return whole(a, b, recipe)

    def block(start: Any, size: int) -> jax.Array:
        part, other = _cut(a, start, size, recipe.spec(first)[0]), b
        if recipe.partial == "kernel_gradient":
            other = _cut(b, start, size, recipe.spec(second)[0])
        return whole(part, other, recipe)

    position = None if result == "w" else recipe.spec(result)[0]
    return _in_blocks(block, _zeros(recipe.result_shape(a), a, b), position, images, at_once)


def images_at_once(images: int, recipe: Recipe, size: int, room: float) -> int:
    """How many images are in a block: an even share; the last block may be smaller."""
    whole, most = bounds(recipe, room)
    if size * images <= whole:
        return images
    parts = -(-images // max(1, most // size))
    return -(-images // parts)


def automatic_axes(*operands: jax.Array) -> tuple[Any, list[str]]:
    """The mesh of the operands, and its axes along which XLA may split them as it sees fit.

    A NumPy array has no mesh; XLA puts it on that of the other operand.
    """
    meshes = [jax.typeof(v).sharding.mesh for v in operands]
    mesh = next((m for m in meshes if m.axis_names), meshes[0])
    return mesh, [name for name in mesh.auto_axes if mesh.shape[name] > 1]


def automatic_devices(*operands: jax.Array) -> int:
    """Number of devices among which XLA may split operands as it sees fit; 1 without a mesh."""
    mesh, axes = automatic_axes(*operands)
    return math.prod(mesh.shape[axis] for axis in axes)


def by_rows(whole: Algorithm, a: jax.Array, b: jax.Array, recipe: Recipe, count: int) -> jax.Array:
    """Compute a partial for ``count`` rows of the first spatial axis at a time.

    A row is an output of the convolution, or as many elements of its input as the stride.
    """
    partial, geometry = recipe.partial, recipe.geometry
    axis = geometry.axes[0]
    stride, span = axis.stride, axis.span
    x_at, y_at = recipe.spec("x")[2], recipe.spec("y")[2]
    out = _zeros(recipe.result_shape(a), a, b)

    def of_rows(in_size: int, out_size: int, low: int) -> Recipe:
        smaller = replace(axis, in_size=in_size, out_size=out_size, low=low)
        return replace(recipe, geometry=replace(geometry, axes=(smaller, *geometry.axes[1:])))

    if partial == "conv_transpose":
        # The first and the last output that writes some element of x.
        first = -((span - 1 - axis.low) // stride)
        last = (axis.in_size - 1 + axis.low) // stride
        y = padded(a, [-first], [last + 1 - axis.out_size], y_at)

        def block_of_x(start: Any, size: int) -> jax.Array:
            outputs = (size - 1 + axis.low) // stride + 1 - first
            if outputs < 1:  # every element of the block falls between the outputs
                shape = list(out.shape)
                shape[x_at] = size
                return _zeros(shape, a, b)
            part = _cut(y, lax.div(start, stride), outputs, y_at)
            return whole(part, b, of_rows(size, outputs, axis.low - stride * first))

        return _in_blocks(block_of_x, out, x_at, axis.in_size, count * stride)

    x = padded(a, [axis.low], [axis.high], x_at)

    def block_of_y(start: Any, size: int) -> jax.Array:
        seen = stride * (size - 1) + span
        part = _cut(x, start * stride, seen, x_at)
        other = b if partial == "conv" else _cut(b, start, size, y_at)
        return whole(part, other, of_rows(seen, size, 0))

    position = y_at if partial == "conv" else None
    return _in_blocks(block_of_y, out, position, axis.out_size, count)


# Starts are never negative; allowing for it would take three more kernels in each loop.
_cut = functools.partial(lax.dynamic_slice_in_dim, allow_negative_indices=False)
_put = functools.partial(lax.dynamic_update_slice_in_dim, allow_negative_indices=False)


def _in_blocks(
    block: Callable[[Any, int], jax.Array],
    out: jax.Array,
    position: int | None,
    total: int,
    size: int,
) -> jax.Array:
    """Write the blocks along an axis of the result, or add them up where position is None."""

    def put(start: Any, size: int, out: jax.Array) -> jax.Array:
        part = block(start, size)
        if position is None:
            return out + part
        return _put(out, part, start, position)

    size = min(size, total)  # so many rows may reach into the padding
    full = total // size
    out = lax.fori_loop(0, full, lambda n, out: put(n * size, size, out), out)
    return put(full * size, total % size, out) if total % size else out


def _zeros(shape: Sequence[Any], *operands: jax.Array) -> jax.Array:
    """Zeros that vary over the same mesh axes as the operands, as a loop needs for its result."""
    out = jnp.zeros(shape, operands[0].dtype)
    axes = frozenset[str]().union(*(jax.typeof(v).mat.varying for v in operands))
    return lax.pcast(out, tuple(sorted(axes)), to="varying") if axes else out
