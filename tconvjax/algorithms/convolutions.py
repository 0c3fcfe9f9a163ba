"""Algorithms that leave the work to XLA's convolution, and their transposes as JAX derives them."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable
from typing import TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from tconvjax.algorithms.apart import on_a_cpu
from tconvjax.algorithms.splitting import Split, to_phases
from tconvjax.forward import (
    Partial,
    Precision,
    Specs,
    aval_like,
    channels_last,
    convolve,
    placed,
    result_shape,
)
from tconvjax.geometry import Axis, Geometry

Forward: TypeAlias = Callable[[jax.Array, jax.Array, Geometry, Specs, Precision], jax.Array]


def direct(
    partial: Partial,
    a: jax.Array,
    b: jax.Array,
    geometry: Geometry,
    specs: Specs,
    precision: Precision,
) -> jax.Array:
    """The definition itself: one ``lax.conv_general_dilated``, or its vjp."""
    return derived(convolve, partial, a, b, geometry, specs, precision)


def polyphase(
    partial: Partial,
    a: jax.Array,
    b: jax.Array,
    geometry: Geometry,
    specs: Specs,
    precision: Precision,
) -> jax.Array:
    """Split x by its index modulo the stride: a stride-1 convolution on stride ** rank times the
    channels; transposed, a stride-1 convolution and a depth-to-space (sub-pixel convolution).
    """
    return derived(_polyphase, partial, a, b, geometry, specs, precision)


# -- transposes ------------------------------------------------------------------------------------


def derived(
    forward: Forward,
    partial: Partial,
    a: jax.Array,
    b: jax.Array,
    geometry: Geometry,
    specs: Specs,
    precision: Precision,
) -> jax.Array:
    """A partial of a forward convolution."""
    if partial == "conv":
        return forward(a, b, geometry, specs, precision)
    exact = not jnp.issubdtype(a.dtype, jnp.inexact)  # JAX transposes no integers
    if exact or (partial == "kernel_gradient" and _mixes_groups(geometry, a)):
        return _as_forward(forward, partial, a, b, geometry, specs, precision)
    # The unknown must vary over the same mesh axes as what it meets. Inside a shard_map the
    # transpose would otherwise end with a sum over devices that nobody asked for.
    unknown = aval_like(jax.typeof(a), result_shape(partial, a, geometry, specs), a.dtype)

    def of_unknown(u: jax.Array) -> jax.Array:
        x, w = (u, b) if partial == "conv_transpose" else (a, u)
        return forward(x, w, geometry, specs, precision)

    cotangent = a if partial == "conv_transpose" else b
    (result,) = jax.linear_transpose(of_unknown, unknown)(cotangent)
    return result


def _mixes_groups(geometry: Geometry, x: jax.Array) -> bool:
    """Whether XLA's own kernel gradient multiplies groups with one another.

    On a CPU it computes all pairs of groups and multiplies those that do not belong together by
    zero: one NaN in a group is then one in every group, and most of the work is for nothing.
    """
    depthwise = geometry.in_channels == geometry.out_channels == geometry.groups
    known = all(isinstance(size, int) for size in x.shape)  # images become channels
    return geometry.groups > 1 and not depthwise and known and on_a_cpu()


def _as_forward(
    forward: Forward,
    partial: Partial,
    a: jax.Array,
    b: jax.Array,
    geometry: Geometry,
    specs: Specs,
    precision: Precision,
) -> jax.Array:
    """Either transpose as a forward convolution of data laid out anew.

    j = s*i + d*t - p stays one relation of the same form when output and tap change places
    (the kernel gradient: y is the kernel), and when it is solved for s*i, which asks for y with
    s - 1 zeros between its elements and for the kernel's taps in reverse.
    """
    g, rank = geometry.groups, geometry.rank
    first = tuple(range(rank + 2))
    plain = lax.ConvDimensionNumbers(first, first, first)
    if partial == "conv_transpose":
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
        return lax.transpose(
            forward(y, w, flipped, plain, precision), placed(first, specs.lhs_spec)
        )
    x, y = lax.transpose(a, specs.lhs_spec), lax.transpose(b, specs.out_spec)
    x = x.reshape(x.shape[0], g, -1, *x.shape[2:])  # (N, g, c, *in) to (c, g * N, *in)
    x = jnp.swapaxes(x, 0, 2).reshape(x.shape[2], -1, *x.shape[3:])
    axes = tuple(
        Axis(a.in_size, a.kernel_size, a.out_size, a.dilation, a.stride, a.low)
        for a in geometry.axes
    )
    swapped = Geometry(axes, x.shape[1], geometry.out_channels, g)
    w = forward(x, jnp.swapaxes(y, 0, 1), swapped, plain, precision)  # (c, O, *k)
    return lax.transpose(jnp.swapaxes(w, 0, 1), placed(first, specs.rhs_spec))


# -- polyphase -------------------------------------------------------------------------------------


def _polyphase(
    x: jax.Array, w: jax.Array, geometry: Geometry, specs: Specs, precision: Precision
) -> jax.Array:
    """The forward convolution.

    The taps of an axis fall into phases; the phases with one tap more than the others are
    convolved apart, so that the kernel is never filled up with zero taps.
    """
    rank, splits = geometry.rank, tuple(map(Split, geometry.axes))
    x = to_phases(channels_last(x, specs.lhs_spec, geometry.groups), splits)
    out, channel, *spatial = specs.rhs_spec
    kernel = lax.transpose(w, (*spatial, channel, out))  # (*k, c, O)
    parts = []
    for ranges in itertools.product(*map(_phases_of_a_kind, splits)):
        part, taps = x, kernel
        for n, (split, phases) in enumerate(zip(splits, ranges, strict=True)):
            count = len(range(phases.start, split.axis.kernel_size, split.period))
            rows = split.axis.out_size + split.step * (count - 1)
            part = lax.slice_in_dim(part, 0, rows, axis=1 + 2 * n)
            part = lax.slice_in_dim(part, phases.start, phases.stop, axis=2 + 2 * n)
            taps = jnp.stack(
                [
                    lax.slice_in_dim(taps, r, split.axis.kernel_size, split.period, 2 * n)
                    for r in phases
                ],
                axis=2 * n + 1,
            )
        parts.append(_unit_stride(part, taps, geometry, precision))
    y = functools.reduce(operator.add, parts)
    return lax.transpose(y, placed((0, rank + 1, *range(1, rank + 1)), specs.out_spec))


def in_one_part(geometry: Geometry) -> bool:
    """Whether "polyphase" is one convolution, and not a sum of some."""
    return all(len(_phases_of_a_kind(split)) == 1 for split in map(Split, geometry.axes))


def _phases_of_a_kind(split: Split) -> list[range]:
    """Ranges of phases with equally many taps."""
    longer = split.axis.kernel_size % split.period or split.period
    if split.axis.kernel_size <= split.period:
        return [range(split.phases)]
    return [r for r in (range(longer), range(longer, split.period)) if r]


def _unit_stride(x: jax.Array, w: jax.Array, geometry: Geometry, precision: Precision) -> jax.Array:
    """Convolve x (N, R1, phases1, ..., g, c) with w (k1, phases1, ..., c, O), stride 1."""
    rank = geometry.rank
    rows, phases = range(1, 2 * rank, 2), range(2, 2 * rank + 1, 2)
    x = lax.transpose(x, (0, *rows, 2 * rank + 1, *phases, 2 * rank + 2))
    x = x.reshape(*x.shape[: 1 + rank], math.prod(x.shape[1 + rank :]))
    w = lax.transpose(w, (*range(0, 2 * rank, 2), *range(1, 2 * rank, 2), 2 * rank, 2 * rank + 1))
    w = w.reshape(*w.shape[:rank], math.prod(w.shape[rank:-1]), w.shape[-1])
    axes = tuple(
        Axis(x.shape[1 + n], a.out_size, w.shape[n], 1, Split(a).step)
        for n, a in enumerate(geometry.axes)
    )
    unit = Geometry(axes, x.shape[-1], geometry.out_channels, geometry.groups)
    last = (0, rank + 1, *range(1, rank + 1))
    kernel = (rank + 1, rank, *range(rank))
    return convolve(x, w, unit, lax.ConvDimensionNumbers(last, kernel, last), precision)
