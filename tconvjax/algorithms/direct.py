"""The definition itself, with the transposes that JAX derives from it."""

from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
from jax import lax

from tconvjax.algorithms.blocks import automatic_axes
from tconvjax.geometry import Axis, Geometry
from tconvjax.layouts import Algorithm, Recipe, aval_like, last_specs, placed
from tconvjax.reference import convolve


def direct(a: jax.Array, b: jax.Array, recipe: Recipe) -> jax.Array:
    """Compute any partial by one ``lax.conv_general_dilated``, or its vjp."""
    return derived(_convolve, a, b, recipe)


def _convolve(x: jax.Array, w: jax.Array, recipe: Recipe) -> jax.Array:
    """The convolution; on a CPU with channels last.

    XLA transposes the operands of a convolution so that its fast kernels take them, but not within
    a loop, where it runs anything else as a plain loop that is a hundred times slower.
    """
    geometry, specs, precision = recipe.geometry, recipe.specs, recipe.precision
    if not recipe.on_cpu or automatic_axes(x, w)[1]:  # a mesh's halos belong to the layout given
        return convolve(x, w, geometry, specs, precision)
    (n, c, *of_x), (out, channel, *taps) = specs.lhs_spec, specs.rhs_spec
    x, w = lax.transpose(x, (n, *of_x, c)), lax.transpose(w, (*taps, channel, out))
    y = convolve(x, w, geometry, last_specs(geometry.rank), precision)
    return lax.transpose(y, placed((0, y.ndim - 1, *range(1, y.ndim - 1)), specs.out_spec))


def derived(forward: Algorithm, a: jax.Array, b: jax.Array, recipe: Recipe) -> jax.Array:
    """Compute any partial of a forward convolution."""
    if recipe.partial == "conv":
        return forward(a, b, recipe)
    exact = not jnp.issubdtype(a.dtype, jnp.inexact)  # JAX transposes no integers
    if exact or _by_forward(forward, a, b, recipe):
        return _as_forward(forward, a, b, recipe)
    # The unknown must vary over the same mesh axes as what it meets. Inside a shard_map the
    # transpose would otherwise end with a sum over devices that nobody asked for.
    unknown = aval_like(jax.typeof(a), recipe.result_shape(a), a.dtype)

    def of_unknown(u: jax.Array) -> jax.Array:
        x, w = (u, b) if recipe.partial == "conv_transpose" else (a, u)
        return forward(x, w, recipe)

    cotangent = a if recipe.partial == "conv_transpose" else b
    (result,) = jax.linear_transpose(of_unknown, unknown)(cotangent)
    return result


def _by_forward(forward: Algorithm, a: jax.Array, b: jax.Array, recipe: Recipe) -> bool:
    """Whether a transpose is written as a forward convolution on a CPU.

    The transposes that JAX derives are not fast within a loop, see `_convolve`. The kernel gradient
    that XLA derives multiplies all pairs of groups, those that do not belong together by zero; one
    NaN in a group is then one in every group, and most of the work is wasted.
    """
    known = all(isinstance(size, int) for size in a.shape)  # images become channels
    if not recipe.on_cpu or not known:
        return False
    grouped = recipe.geometry.groups > 1 and not recipe.depthwise
    alone = forward is _convolve and not automatic_axes(a, b)[1]
    return alone or (recipe.partial == "kernel_gradient" and grouped)


def _as_forward(forward: Algorithm, a: jax.Array, b: jax.Array, recipe: Recipe) -> jax.Array:
    """Compute either transpose as a forward convolution of data in another layout.

    j = s*i + d*t - p keeps its form when output and tap change places (the kernel gradient: y is
    the kernel), and when it is solved for s*i, which takes y with s - 1 zeros between its elements
    and the taps of the kernel in reverse.
    """
    geometry, specs = recipe.geometry, recipe.specs
    g, rank = geometry.groups, geometry.rank
    first = tuple(range(rank + 2))
    plain = lax.ConvDimensionNumbers(first, first, first)
    if recipe.partial == "conv_transpose":
        y, w = lax.transpose(a, specs.out_spec), lax.transpose(b, specs.rhs_spec)
        y = lax.pad(
            y, jnp.zeros((), y.dtype), [(0, 0, 0)] * 2 + [(0, 0, s - 1) for s in geometry.stride]
        )
        w = lax.rev(w, range(2, rank + 2))  # (g * o, c, *k) to (g * c, o, *k)
        w = jnp.swapaxes(w.reshape(g, -1, *w.shape[1:]), 1, 2)
        w = w.reshape(geometry.in_channels, -1, *geometry.kernel_size)
        axes = tuple(
            Axis(y.shape[2 + n], a.in_size, a.kernel_size, 1, a.dilation, a.span - 1 - a.low)
            for n, a in enumerate(geometry.axes)
        )
        flipped = Geometry(axes, geometry.out_channels, geometry.in_channels, g)
        x = forward(y, w, replace(recipe, partial="conv", geometry=flipped, specs=plain))
        return lax.transpose(x, placed(first, specs.lhs_spec))
    x, y = lax.transpose(a, specs.lhs_spec), lax.transpose(b, specs.out_spec)
    x = x.reshape(x.shape[0], g, -1, *x.shape[2:])  # (N, g, c, *in) to (c, g * N, *in)
    x = jnp.swapaxes(x, 0, 2).reshape(x.shape[2], -1, *x.shape[3:])
    axes = tuple(
        Axis(a.in_size, a.kernel_size, a.out_size, a.dilation, a.stride, a.low)
        for a in geometry.axes
    )
    swapped = Geometry(axes, x.shape[1], geometry.out_channels, g)
    turned = replace(recipe, partial="conv", geometry=swapped, specs=plain)
    w = forward(x, jnp.swapaxes(y, 0, 1), turned)  # (c, O, *k)
    return lax.transpose(jnp.swapaxes(w, 0, 1), placed(first, specs.rhs_spec))
