"""Reference implementation: a convolution is one jitted ``lax.conv_general_dilated``.

The transposed convolution is literally the vjp of this function. The tests compare every algorithm
with the two. Beside it stand borders of copies, which are filled in before, with the exact
transpose of that; and the operations where a spatial size is a symbol, as
`jax.export.symbolic_shape` makes it, since they have no other form.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from tconvjax.errors import array_of, fail
from tconvjax.geometry import Geometry
from tconvjax.layouts import Precision, Recipe, Specs, placed


@functools.partial(
    jax.jit, static_argnames=("geometry", "specs", "precision", "preferred_element_type")
)
def convolve(
    x: jax.Array,
    w: jax.Array,
    geometry: Geometry,
    specs: Specs,
    precision: Precision = None,
    preferred_element_type: Any = None,
) -> jax.Array:
    """The convolution, by definition.

    y[n, o, i] = sum over c, t of w[o, c, t] * x[n, c, stride * i + dilation * t - low]

    All three arrays are laid out as ``specs`` says, with one batch axis. The sums are kept in
    ``preferred_element_type``, which is that of the result; None for that of x.
    """
    x = fill_borders(x, geometry, specs.lhs_spec)
    geometry, of_x, of_y = one_sided(geometry.filled())
    for count, position in zip(of_x, specs.lhs_spec[2:], strict=True):
        if count:  # no negative pad: XLA merges it into that of the convolution (openxla/xla#48715)
            x = lax.slice_in_dim(x, count, None, axis=position)
    y = lax.conv_general_dilated(
        x,
        w,
        window_strides=geometry.stride,
        padding=geometry.padding,
        rhs_dilation=geometry.dilation,
        dimension_numbers=specs,
        feature_group_count=geometry.groups,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )
    for count, position in zip(of_y, specs.out_spec[2:], strict=True):
        if count:  # no pad: the transpose of a concatenation consists of slices
            zeros = jnp.zeros((*y.shape[:position], count, *y.shape[position + 1 :]), y.dtype)
            y = lax.concatenate([zeros, y], position)
    return y


def one_sided(geometry: Geometry) -> tuple[Geometry, list[int], list[int]]:
    """A geometry that crops no axis at its low end while it pads the other end.

    XLA on a CPU gives a convolution of floats to Eigen, which then reads past the end of the row,
    by up to the number of cropped elements (openxla/xla#48713: with jaxlib 0.10.2, not with
    0.12.0). The transpose is affected too: its padding is negative if that of the convolution is
    wider than the kernel reaches.

    Returns the geometry, and for each axis the number of elements of x to crop before the call, and
    the number of zeros to put before its result, which are outputs that read only padding.
    """
    axes, of_x, of_y = [], [], []
    for axis in geometry.axes:
        first = axis.low - axis.span + 1  # of the padding, past the reach of the first output
        more = axis.in_size - 1 + axis.low - axis.stride * (axis.out_size - 1)
        crop = min(-axis.low, axis.in_size) if axis.low < 0 < axis.high else 0
        blank = min(-(-first // axis.stride), axis.out_size) if first > 0 and more > 0 else 0
        of_x.append(crop)
        of_y.append(blank)
        in_size, out_size = axis.in_size - crop, axis.out_size - blank
        low = axis.low + crop - axis.stride * blank
        axes.append(replace(axis, in_size=in_size, out_size=out_size, low=low))
    return replace(geometry, axes=tuple(axes)), of_x, of_y


def fill_borders(x: jax.Array, geometry: Geometry, spec: Sequence[int]) -> jax.Array:
    """Write out the circular, reflected or replicated padding of x."""
    for axis, position in zip(geometry.axes, spec[2:], strict=True):
        if not axis.bordered:
            continue
        pieces = []
        for first, count, step in axis.border_runs():
            start = first - count + 1 if step == -1 else first
            piece = lax.slice_in_dim(x, start, start + (count if step else 1), axis=position)
            if step == 0:
                piece = jnp.repeat(piece, count, axis=position)
            elif step == -1:
                piece = lax.rev(piece, (position,))
            pieces.append(piece)
        x = lax.concatenate(pieces, position)
    return x


def fold_borders(x: jax.Array, geometry: Geometry, spec: Sequence[int]) -> jax.Array:
    """Add each copy to its original: the exact transpose of `fill_borders`."""
    for axis, position in zip(geometry.axes, spec[2:], strict=True):
        if not axis.bordered:
            continue
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
        x = functools.reduce(operator.add, pieces)
    return x


# -- sizes that are symbols ------------------------------------------------------------------------
#
# A geometry is whole numbers, so an array with such a size has none. Where the padding does not
# depend on the size, every size has the same low and high padding. Those are read off geometries of
# sizes that stand in for the symbol.

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
    sizes = (
        axis.stride * a.shape[of_y] + axis.in_size - axis.stride * axis.out_size
        for axis, of_y in zip(geometry.axes, specs.out_spec[2:], strict=True)
    )
    shape = placed((recipe.batch(a), geometry.in_channels, *sizes), specs.lhs_spec)
    x = jax.ShapeDtypeStruct(shape, wide)
    try:
        (out,) = jax.linear_transpose(forward, x)(a)
    except (ValueError, jax.errors.InconclusiveDimensionOperation):
        rule = "JAX cannot derive the transpose for every size that it may have"
        fail("y", array_of(a.shape), rule, "give no padding wider than the kernel, or the size")
    return out.astype(recipe.dtype)
