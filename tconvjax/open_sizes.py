"""Operations on arrays whose spatial sizes are symbols, as `jax.export.symbolic_shape` makes them.

A geometry is whole numbers, so such an array has none. Where the padding does not depend on the
size, every size has the same low and high padding. Those are read off geometries of sizes that
stand in for the symbol, and the sums are those of the definition, which XLA takes with symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from tconvjax.errors import array_of, fail
from tconvjax.geometry import Geometry
from tconvjax.layouts import Recipe
from tconvjax.reference import convolve

STAND_IN = 2**16
"""The least of the sizes that stand in for a symbol. Kernels and paddings may reach as far."""


def is_open(sizes: Sequence[Any]) -> bool:
    """Whether one of some sizes is a symbol."""
    return not all(isinstance(size, int) for size in sizes)


def geometry_of(
    role: str, shape: Sequence[Any], read: Callable[[tuple[Any, ...]], Geometry]
) -> Geometry:
    """The geometry of x or y of this shape (channels, *sizes), as ``read`` gives it for numbers.

    Where a size is a symbol, the geometry has the padding of every size, which must not depend on
    it.
    """
    if not is_open(shape[1:]):
        return read(tuple(shape))

    def stood_in(size: int) -> Geometry:
        return read((shape[0], *(n if isinstance(n, int) else size for n in shape[1:])))

    first = stood_in(STAND_IN)
    period = max(2, *first.stride) if role == "x" else 2  # the transpose has no remainders
    if period > STAND_IN:
        fail("stride", first.stride, f"with a symbol it is at most {STAND_IN}", "give the size")
    every = [first, *(stood_in(STAND_IN + n) for n in range(1, period))]
    lows = {tuple(axis.low for axis in geometry.axes) for geometry in every}
    if len(lows) > 1 or first.bordered:
        rule = "a size that is a symbol needs a padding of zeros that does not depend on it"
        fail(role, array_of(tuple(shape)), rule, "give the padding as numbers, or the size")

    # Most of the high padding is used at the size at which the last output ends where it does.
    sizes = zip(*(geometry.axes for geometry in every), strict=True)
    return replace(first, axes=tuple(max(axes, key=lambda axis: axis.high) for axes in sizes))


def by_definition(a: jax.Array, b: jax.Array, recipe: Recipe) -> jax.Array:
    """Compute the convolution or its transpose for sizes that are symbols.

    JAX has no form of it for another algorithm, for the transpose of integers, and where the
    padding is wider than the kernel reaches. Each spatial size of the transpose is the stride times
    that of y and a number.
    """
    geometry, specs = recipe.geometry, recipe.specs
    if recipe.algorithm not in ("auto", "direct"):
        rule = "a size that is a symbol has one algorithm"
        fail("algorithm", recipe.algorithm, rule, "give 'direct' or 'auto', or the size")
    narrow = recipe.dtype in (jnp.float16, jnp.bfloat16)
    wide = jnp.dtype("float32") if narrow else recipe.dtype
    a, b = a.astype(wide), b.astype(wide)

    def forward(x: jax.Array) -> jax.Array:
        return convolve(x, b, geometry, specs, recipe.precision)

    if recipe.partial == "conv":
        return forward(a).astype(recipe.dtype)
    if not jnp.issubdtype(wide, jnp.inexact):
        rule = "JAX derives no transposes for integers, which a size that is a symbol needs"
        fail("y", array_of(a.shape), rule, "give floating-point numbers, or the size")
    shape = list(a.shape)
    for axis, of_x, of_y in zip(geometry.axes, specs.lhs_spec[2:], specs.out_spec[2:], strict=True):
        shape[of_x] = axis.stride * a.shape[of_y] + axis.in_size - axis.stride * axis.out_size
    shape[specs.lhs_spec[0]] = a.shape[specs.out_spec[0]]
    shape[specs.lhs_spec[1]] = geometry.in_channels
    x = jax.ShapeDtypeStruct(tuple(shape), wide)
    try:
        (out,) = jax.linear_transpose(forward, x)(a)
    except (ValueError, jax.errors.InconclusiveDimensionOperation):
        rule = "JAX cannot derive the transpose for every size that it may have"
        fail("y", array_of(a.shape), rule, "give no padding wider than the kernel, or the size")
    return out.astype(recipe.dtype)
