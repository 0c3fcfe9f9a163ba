"""Rearrange arrays: phases into channels and back, windows into columns and back."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Literal, get_args

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from tconvjax.algorithms import phases, shifts
from tconvjax.algorithms.fusion import written
from tconvjax.arguments import Ints, choice
from tconvjax.errors import array_of, fail
from tconvjax.geometry.padding import Padding
from tconvjax.upsampling import arguments as reading
from tconvjax.upsampling.arguments import Axes, Sizes, Windows

Order = Literal["CRD", "DCR"]
ORDERS: tuple[Order, ...] = get_args(Order)


def _woven(v: jax.Array, rank: int) -> jax.Array:
    """(..., a1, a2, b1, b2) to (..., b1, a1, b2, a2), for two axes."""
    at = v.ndim - 2 * rank
    pairs = zip(range(at + rank, v.ndim), range(at, at + rank), strict=True)
    return v.transpose(*range(at), *chain(*pairs))


def _unwoven(v: jax.Array, rank: int) -> jax.Array:
    """The inverse of `_woven`."""
    at = v.ndim - 2 * rank
    return v.transpose(*range(at), *range(at + 1, v.ndim, 2), *range(at, v.ndim, 2))


# -- phases as channels ----------------------------------------------------------------------------


def pixel_shuffle(
    x: ArrayLike, factor: Ints, *, order: Order = "CRD", layout: str | None = None
) -> jax.Array:
    """Turn channels into pixels: depth to space, the second half of a sub-pixel convolution.

    z[c, f * i + p] = x[c * f + p, i] in order "CRD", x[p * C + c, i] in order "DCR"

    Args:
        x: (*batch, C * prod(factor), *n), or as layout says.
        factor: phases along each axis, an int or one per axis. An int and no layout: all axes but
            the first two are spatial; for a picture (12, 8, 8) give (2, 2) or layout="CHW".
        order: whether the phases ("CRD") or the channels ("DCR") change faster along x's channels.
            "CRD" is ``torch.pixel_shuffle``, "DCR" is ONNX's DepthToSpace without a mode.
        layout: letters of x's axes such as "NHWC"; None for channels first.

    Returns:
        (*batch, C, *(factor * n)).

    Raises:
        GeometryError: if the factor does not divide the channels.

    Examples:
        >>> pixel_shuffle(jnp.arange(4).reshape(1, 4, 1, 1), 2).tolist()
        [[[[0, 1], [2, 3]]]]

    W. Shi et al., arXiv:1609.05158.
    """
    choice("order", order, ORDERS)
    value, axes = reading.read("x", x, layout, factor)
    factors, channels = reading.each("factor", factor, axes.rank, 1), value.shape[axes.channel]
    count = math.prod(factors)
    if channels % count:
        rule = f"its {count} phases must divide the {channels} channels of x"
        fail("factor", factor, rule, "give a divisor, or another layout")
    return _shuffled(value, axes, factors, order)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _shuffled(x: jax.Array, axes: Axes, factors: Sizes, order: Order) -> jax.Array:
    x = axes.channels_first(x)
    *batch, channels = x.shape[: -axes.rank]
    sizes, phases, at = x.shape[-axes.rank :], math.prod(factors), len(batch)
    if order == "DCR":
        x = x.reshape(*batch, phases, channels // phases, *sizes).swapaxes(at, at + 1)
    x = _woven(x.reshape(*batch, channels // phases, *factors, *sizes), axes.rank)
    large = (n * f for n, f in zip(sizes, factors, strict=True))
    return axes.moved_back(x.reshape(*batch, channels // phases, *large))


def pixel_unshuffle(
    x: ArrayLike, factor: Ints, *, order: Order = "CRD", layout: str | None = None
) -> jax.Array:
    """Turn pixels into channels: space to depth, the inverse of `pixel_shuffle`.

    Args:
        x: (*batch, C, *n), or as layout says, with sizes divisible by the factor.
        factor: as in `pixel_shuffle`.
        order: as in `pixel_shuffle`; ONNX's SpaceToDepth is "DCR".
        layout: as in `pixel_shuffle`.

    Returns:
        (*batch, C * prod(factor), *(n / factor)).

    Raises:
        GeometryError: if the factor does not divide the sizes.

    Examples:
        >>> pixel_unshuffle(jnp.arange(4).reshape(1, 1, 2, 2), 2).ravel().tolist()
        [0, 1, 2, 3]
    """
    choice("order", order, ORDERS)
    value, axes = reading.read("x", x, layout, factor)
    return _unshuffled(value, axes, reading.divisors(factor, axes.sizes(value.shape)), order)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _unshuffled(x: jax.Array, axes: Axes, factors: Sizes, order: Order) -> jax.Array:
    x = axes.channels_first(x)
    *batch, c = x.shape[: -axes.rank]
    sizes = [n // f for n, f in zip(x.shape[-axes.rank :], factors, strict=True)]
    phases, at = math.prod(factors), len(batch)
    x = _unwoven(x.reshape(*batch, c, *chain(*zip(sizes, factors, strict=True))), axes.rank)
    if order == "DCR":
        x = x.reshape(*batch, c, phases, *sizes).swapaxes(at, at + 1)
    return axes.moved_back(x.reshape(*batch, c * phases, *sizes))


# -- windows as columns ----------------------------------------------------------------------------


def unfold(
    x: ArrayLike,
    kernel_size: Ints,
    *,
    dilation: Ints = 1,
    padding: Padding = 0,
    stride: Ints = 1,
    layout: str | None = None,
) -> jax.Array:
    """Lay out the windows of a convolution as columns: im2col.

    columns[c * K + t, i] = x[c, stride * i + dilation * t - padding], with t and i in row-major
    order

    Args:
        x: (*batch, C, *n), or as layout says. Any dtype.
        kernel_size: elements of a window, an int or one per axis. An int and no layout: all axes
            but the first two are spatial; for a picture (3, 8, 8) give (2, 2) or layout="CHW".
        dilation: elements from one element of a window to the next.
        padding: zeros around x: an int, one per axis, or (low, high) pairs.
        stride: elements from one window to the next.
        layout: letters of x's axes such as "NHWC"; None for channels first.

    Returns:
        (*batch, C * K, L) for L windows of K elements. A convolution is the product of the kernel,
        as a matrix (O, C * K), with this.

    Raises:
        GeometryError: if no window fits.

    Examples:
        >>> unfold(jnp.arange(4).reshape(1, 1, 4), 2).tolist()
        [[[0, 1, 2], [1, 2, 3]]]

    Arguments and results are those of ``torch.nn.functional.unfold``.
    """
    value, axes = reading.read("x", x, layout, kernel_size, dilation, padding, stride)
    windows = reading.windows_of(axes.sizes(value.shape), kernel_size, stride, padding, dilation)
    padded = axes.resized(value.shape, [w.in_size + w.low + w.high for w in windows])
    reading.check_elements("padding", padding, padded)
    columns = axes.resized(value.shape, [w.kernel_size * w.out_size for w in windows])
    reading.check_elements("kernel_size", kernel_size, columns)
    return _columns(value, axes, windows)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _columns(x: jax.Array, axes: Axes, windows: Windows) -> jax.Array:
    x = _unwoven(_gathered(axes.channels_first(x), windows), axes.rank)
    *batch, channels = x.shape[: -2 * axes.rank]
    taps, outs = x.shape[-2 * axes.rank : -axes.rank], x.shape[-axes.rank :]
    return x.reshape(*batch, channels * math.prod(taps), math.prod(outs))


def fold(
    columns: ArrayLike,
    output_size: Ints,
    kernel_size: Ints,
    *,
    dilation: Ints = 1,
    padding: Padding = 0,
    stride: Ints = 1,
    layout: str | None = None,
) -> jax.Array:
    """Add up columns at the places of their windows: col2im, the exact transpose of `unfold`.

    x[c, j] = sum of columns[c * K + t, i] over stride * i + dilation * t - padding = j

    Args:
        columns: (*batch, C * K, L), as `unfold` returns them.
        output_size: the spatial sizes of x, one per axis. A single int means two axes, as in
            PyTorch, unless another argument or the layout names more or fewer.
        kernel_size: as in `unfold`, like all arguments below.
        dilation: as in `unfold`.
        padding: as in `unfold`.
        stride: as in `unfold`.
        layout: of the result, such as "NHWC".

    Returns:
        (*batch, C, *output_size), or as layout says.

    Raises:
        GeometryError: if the columns are not those of an array of that size.

    Examples:
        >>> fold(jnp.ones((1, 2, 3)), (4,), 2).tolist()
        [[[1.0, 2.0, 2.0, 1.0]]]

    Arguments and results are those of ``torch.nn.functional.fold``.
    """
    value = reading.array("columns", columns)
    arguments = (output_size, kernel_size, dilation, padding, stride)
    rank = max(map(reading.how_many, arguments)) or 2
    if layout is not None:
        rank = len(reading.layout_spec(layout)) - 2
    sizes = reading.each("output_size", output_size, rank, 1)
    windows = reading.windows_of(sizes, kernel_size, stride, padding, dilation)
    taps, outs = (math.prod(w.kernel_size for w in windows), math.prod(w.out_size for w in windows))
    if value.ndim < 2 or value.shape[-2] % taps or value.shape[-1] != outs:
        rule = f"it must have a multiple of {taps} rows, and {outs} columns for the sizes {sizes}"
        remedy = "give the result of unfold with the same arguments"
        fail("columns", array_of(value.shape), rule, remedy)
    like = jax.ShapeDtypeStruct((*value.shape[:-2], 1, *sizes), value.dtype)
    return _added(value, reading.axes_of("columns", like, layout, sizes), windows)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _added(v: jax.Array, axes: Axes, windows: Windows) -> jax.Array:
    taps, outs = [w.kernel_size for w in windows], [w.out_size for w in windows]
    *batch, rows, _ = v.shape
    v = _woven(v.reshape(*batch, rows // math.prod(taps), *taps, *outs), axes.rank)
    at = len(batch) + 1
    if splits := _splits(windows):
        fold = functools.partial(shifts.fold_windows, splits=splits, at=at)
        x = phases.from_phases(_in_loops(fold, v, shifts.additions(splits, False)), splits, at)
    else:
        like = jax.ShapeDtypeStruct((*v.shape[:at], *(w.in_size for w in windows)), v.dtype)
        (x,) = jax.linear_transpose(functools.partial(_gathered, windows=windows), like)(v)
    return axes.moved_back(x)


def _splits(windows: Windows) -> tuple[phases.Split, ...]:
    """How to slice every shift of the taps; empty if these are too many for a program."""
    splits = tuple(map(phases.Split, windows))
    few = math.prod(split.shifts for split in splits) <= reading.MOST_TERMS
    return splits if few else ()


def _gathered(x: jax.Array, windows: Windows) -> jax.Array:
    """(..., *in) to (..., out1, k1, out2, k2), by slices or, if they are many, by index."""
    at = x.ndim - len(windows)
    if splits := _splits(windows):
        gather = functools.partial(shifts.windows, splits=splits, at=at)
        v = phases.to_phases(x, splits, at)
        return _in_loops(gather, v, shifts.gatherings(splits, False))
    x = phases.padded(x, [w.low for w in windows], [w.high for w in windows], at)
    for n, w in enumerate(windows):
        starts = w.stride * jnp.arange(w.out_size)[:, None]
        taps = w.dilation * jnp.arange(w.kernel_size)[None]
        x = jnp.take(x, starts + taps, axis=at + 2 * n)
    return x


def _in_loops(
    move: Callable[..., jax.Array], v: jax.Array, loops: Sequence[Sequence[shifts.Pass]]
) -> jax.Array:
    """The move; on a CPU in as many loops."""
    if len(loops) == 1:
        return move(v)
    return lax.platform_dependent(v, cpu=functools.partial(move, written=written), default=move)
