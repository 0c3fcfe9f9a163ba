"""Barriers against XLA's fusion on a CPU, and the transposes that need them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import jax
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata

from tconvjax.layouts import Recipe, placed

LEAST = 2**14
"""Elements of the smallest array that is worth a pass of its own, which takes some 10 us."""


def unfused(
    recipe: Recipe, f: Callable[..., jax.Array], a: jax.Array, *static: Hashable
) -> jax.Array:
    """Call ``f(a, *static)`` so that XLA does not fuse it with its neighbours on a CPU.

    Other platforms get no call of its own: it was not tried there.
    """
    return _alone(f, a, *static) if recipe.on_cpu else f(a, *static)


def written(a: jax.Array) -> jax.Array:
    """An array that XLA does not compute within the loops that read it; for a CPU."""
    return _alone(lax.reshape, a, (a.size,)).reshape(a.shape)


def _alone(f: Callable[..., jax.Array], a: jax.Array, *static: Hashable) -> jax.Array:
    """``optimization_barrier`` is removed before fusion runs.

    A call that must not be inlined is not, and takes its operand in row-major order.
    """
    if isinstance(a.size, int) and a.size < LEAST:
        return f(a, *static)
    with set_xla_metadata(inlineable="false"):
        return _call(f, a, static)


@functools.partial(jax.jit, static_argnums=(0, 2))
def _call(f: Callable[..., jax.Array], a: jax.Array, static: tuple[Any, ...]) -> jax.Array:
    return f(a, *static)


def channels_last(
    recipe: Recipe, v: jax.Array, spec: Sequence[int], alone: bool = False
) -> jax.Array:
    """Transpose an array of some layout to (N, *spatial, g, c / g), perhaps in a pass of its own.

    XLA's transpose is fast on a CPU, but not within another loop: fused with a gather or an
    overlap-add it takes two to three times as long as the two passes together.
    """
    groups, order = recipe.geometry.groups, (spec[0], *spec[2:], spec[1])
    v = lax.transpose(v, order)
    shape = v.shape[:-1]
    if alone and order != tuple(range(v.ndim)):
        v = unfused(recipe, lax.reshape, v, (math.prod(shape), v.shape[-1]))
    return v.reshape(*shape, groups, v.shape[-1] // groups)


def placed_from_last(
    recipe: Recipe, v: jax.Array, spec: Sequence[int], alone: bool = False
) -> jax.Array:
    """The transpose of `channels_last`."""
    v = v.reshape(*v.shape[:-2], v.shape[-2] * v.shape[-1])
    order = placed((0, v.ndim - 1, *range(1, v.ndim - 1)), spec)
    if alone and order != tuple(range(v.ndim)):
        return unfused(recipe, lax.transpose, v, order)
    return lax.transpose(v, order)
