"""Arrays rearranged: phases into channels and back, windows into columns and back."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike

from tconvjax.algorithms import check_choice
from tconvjax.algorithms.phases import (
    Split,
    fold_windows,
    from_phases,
    padded,
    to_phases,
    windows,
)
from tconvjax.arguments import Ints
from tconvjax.errors import array_of, fail
from tconvjax.geometry import Geometry
from tconvjax.upsampling.images import (
    MOST_TERMS,
    Places,
    array,
    check_elements,
    each,
    how_many,
    places,
)

Order = Literal["CRD", "DCR"]
ORDERS = ("CRD", "DCR")


def pixel_shuffle(
    x: ArrayLike, factor: Ints, *, order: Order = "CRD", layout: str | None = None
) -> jax.Array:
    """Channels become pixels: depth to space, the second half of a sub-pixel convolution.

    z[c, f * i + p] = x[c * f + p, i] in order "CRD", x[p * C + c, i] in order "DCR"

    Args:
        x: (N, C * prod(factor), *n), or as layout says; also without a batch axis or with several.
        factor: phases along each axis: an int or one an axis.
        order: which of channels and phases change faster along x's channels: "CRD" the phases, as
            ``torch.pixel_shuffle``; "DCR" the channels, as ONNX's DepthToSpace without a mode.
        layout: letters of x's axes such as "NHWC"; None for channels first.

    Returns:
        (N, C, *(factor * n)).

    Raises:
        GeometryError: if the factor does not divide the channels.

    Examples:
        >>> pixel_shuffle(jnp.arange(4).reshape(1, 4, 1, 1), 2).tolist()
        [[[[0, 1], [2, 3]]]]

    W. Shi et al., arXiv:1609.05158.
    """
    check_choice("order", order, ORDERS)
    value = array("x", x)
    there = places("x", value, layout, factor)
    factors, channels = each("factor", factor, there.rank, 1), value.shape[there.channel]
    phases = math.prod(factors)
    if channels % phases:
        fail(
            "factor",
            factor,
            f"its {phases} phases must divide the {channels} channels of x",
            "give a divisor, or another layout",
        )
    return _shuffled(value, there, factors, order)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _shuffled(value: jax.Array, there: Places, factors: tuple[int, ...], order: Order) -> jax.Array:
    channels, phases = value.shape[there.channel], math.prod(factors)
    value = _channels_first(value, there.channel, there.spatial)
    batch, sizes = value.shape[: -1 - there.rank], value.shape[-there.rank :]
    split = (channels // phases, *factors) if order == "CRD" else (*factors, channels // phases)
    value = value.reshape(*batch, *split, *sizes)
    start, rank = len(batch), there.rank
    c = start if order == "CRD" else start + rank
    p = [start + n + (order == "CRD") for n in range(rank)]
    i = [start + rank + 1 + n for n in range(rank)]
    woven = [axis for pair in zip(i, p, strict=True) for axis in pair]
    value = value.transpose(*range(start), c, *woven)
    new = tuple(n * f for n, f in zip(sizes, factors, strict=True))
    return _back(value.reshape(*batch, channels // phases, *new), there.channel, there.spatial)


def pixel_unshuffle(
    x: ArrayLike, factor: Ints, *, order: Order = "CRD", layout: str | None = None
) -> jax.Array:
    """Pixels become channels: space to depth, the inverse of `pixel_shuffle`.

    Args:
        x: (N, C, *n), or as layout says; sizes divisible by the factor.
        factor: as in `pixel_shuffle`.
        order: as in `pixel_shuffle`; ONNX's SpaceToDepth is "DCR".
        layout: as in `pixel_shuffle`.

    Returns:
        (N, C * prod(factor), *(n / factor)).

    Raises:
        GeometryError: if the factor does not divide the sizes.

    Examples:
        >>> pixel_unshuffle(jnp.arange(4).reshape(1, 1, 2, 2), 2).ravel().tolist()
        [0, 1, 2, 3]
    """
    check_choice("order", order, ORDERS)
    value = array("x", x)
    there = places("x", value, layout, factor)
    factors, sizes = each("factor", factor, there.rank, 1), there.sizes(value.shape)
    if any(n % f for n, f in zip(sizes, factors, strict=True)):
        fail("factor", factor, f"it must divide the sizes {sizes}", "crop or pad x first")
    return _unshuffled(value, there, factors, order)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _unshuffled(
    value: jax.Array, there: Places, factors: tuple[int, ...], order: Order
) -> jax.Array:
    sizes = there.sizes(value.shape)
    value = _channels_first(value, there.channel, there.spatial)
    batch, channels = value.shape[: -1 - there.rank], value.shape[-1 - there.rank]
    split = [
        n
        for pair in zip((n // f for n, f in zip(sizes, factors, strict=True)), factors, strict=True)
        for n in pair
    ]
    value = value.reshape(*batch, channels, *split)
    start, rank = len(batch), there.rank
    i = [start + 1 + 2 * n for n in range(rank)]
    p = [start + 2 + 2 * n for n in range(rank)]
    order_of = (start, *p) if order == "CRD" else (*p, start)
    value = value.transpose(*range(start), *order_of, *i)
    small = tuple(n // f for n, f in zip(sizes, factors, strict=True))
    value = value.reshape(*batch, channels * math.prod(factors), *small)
    return _back(value, there.channel, there.spatial)


def _channels_first(x: jax.Array, channel: int, spatial: tuple[int, ...]) -> jax.Array:
    """(*batch, C, *spatial)."""
    rank = len(spatial)
    return jnp.moveaxis(x, (channel, *spatial), range(x.ndim - rank - 1, x.ndim))


def _back(x: jax.Array, channel: int, spatial: tuple[int, ...]) -> jax.Array:
    rank = len(spatial)
    return jnp.moveaxis(x, range(x.ndim - rank - 1, x.ndim), (channel, *spatial))


# -- windows as columns ----------------------------------------------------------------------------


def unfold(
    x: ArrayLike,
    kernel_size: Ints,
    *,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
    layout: str | None = None,
) -> jax.Array:
    """The windows of a convolution as columns: im2col.

    columns[c * K + t, i] = x[c, stride * i + dilation * t - padding], t and i counted through

    Args:
        x: (N, C, *n), or as layout says; also without a batch axis or with several. Any dtype.
        kernel_size: elements of a window: an int or one an axis.
        dilation: elements from one of a window to the next.
        padding: zeros around x.
        stride: elements from one window to the next.
        layout: letters of x's axes such as "NHWC"; None for channels first.

    Returns:
        (*batch, C * K, L): K elements of a window, L windows. A convolution is the kernel, as a
        matrix (O, C * K), times this.

    Raises:
        GeometryError: if no window fits.

    Examples:
        >>> unfold(jnp.arange(4).reshape(1, 1, 4), 2).tolist()
        [[[0, 1, 2], [1, 2, 3]]]

    Arguments and results are those of ``torch.nn.functional.unfold``.
    """
    value = array("x", x)
    there = places("x", value, layout, kernel_size, dilation, padding, stride)
    geometry = _geometry(there.sizes(value.shape), kernel_size, dilation, padding, stride)
    rest = [n for at, n in enumerate(value.shape) if at not in there.spatial]
    padded = (axis.in_size + axis.low + axis.high for axis in geometry.axes)
    check_elements("padding", padding, (*rest, *padded))
    check_elements("kernel_size", kernel_size, (*rest, *geometry.out_size, *geometry.kernel_size))
    return _columns(value, there, geometry)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _columns(value: jax.Array, there: Places, geometry: Geometry) -> jax.Array:
    rank = there.rank
    value = _channels_first(value, there.channel, there.spatial)
    at = value.ndim - rank
    value = _gathered(value, geometry)  # (..., out1, k1, out2, k2)
    taps, outs = range(at + 1, at + 2 * rank, 2), range(at, at + 2 * rank, 2)
    value = value.transpose(*range(at), *taps, *outs)
    columns = value.shape[at - 1] * math.prod(geometry.kernel_size)
    return value.reshape(*value.shape[: at - 1], columns, math.prod(geometry.out_size))


def fold(
    columns: ArrayLike,
    output_size: Ints,
    kernel_size: Ints,
    *,
    dilation: Ints = 1,
    padding: Ints = 0,
    stride: Ints = 1,
    layout: str | None = None,
) -> jax.Array:
    """Columns added up where their windows lie: col2im, the exact transpose of `unfold`.

    x[c, j] = sum of columns[c * K + t, i] over stride * i + dilation * t - padding = j

    Args:
        columns: (*batch, C * K, L), as `unfold` gives them.
        output_size: the spatial sizes of x, one an axis; an int means two axes, as in PyTorch,
            unless another argument names more.
        kernel_size: as in `unfold`, as all the rest.
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
    value = array("columns", columns)
    rank = _rank_of_fold(layout, output_size, kernel_size, dilation, padding, stride)
    if rank < 1:
        fail(
            "layout",
            layout,
            "it has a letter for each axis of the result, one of them spatial at least",
            "give 'NCHW' or 'NHWC', say",
        )
    sizes = each("output_size", output_size, rank, 1)
    geometry = _geometry(sizes, kernel_size, dilation, padding, stride)
    taps, outs = geometry.kernel_size, geometry.out_size
    count = math.prod(taps)
    if value.ndim < 2 or value.shape[-2] % count or value.shape[-1] != math.prod(outs):
        fail(
            "columns",
            array_of(value.shape),
            f"it has a multiple of {count} "
            f"rows, the taps, and {math.prod(outs)} columns, the windows {outs} of {sizes}",
            "give unfold's, with the same arguments",
        )
    at = value.ndim - 1
    there = Places(tuple(range(at, at + rank)), at - 1)
    if layout is not None:
        like = jax.ShapeDtypeStruct((*value.shape[:-2], 1, *sizes), value.dtype)
        there = places("columns", like, layout)
    return _laid(value, there, geometry)


@functools.partial(jax.jit, static_argnums=(1, 2))
def _laid(value: jax.Array, there: Places, geometry: Geometry) -> jax.Array:
    taps, outs = geometry.kernel_size, geometry.out_size
    batch, channels = value.shape[:-2], value.shape[-2] // math.prod(taps)
    value = value.reshape(*batch, channels, *taps, *outs)
    at = len(batch) + 1
    woven = [axis for n in range(there.rank) for axis in (at + there.rank + n, at + n)]
    value = _added(value.transpose(*range(at), *woven), geometry)
    return _back(value, there.channel, there.spatial)


def _rank_of_fold(layout: Any, *arguments: object) -> int:
    """The spatial axes, none for what is no layout."""
    if layout is None:
        return max(map(how_many, arguments)) or 2
    return len([n for n in layout if n not in "NC"]) if isinstance(layout, str) else 0


def _gathered(x: jax.Array, geometry: Geometry) -> jax.Array:
    """(..., *in) to (..., out1, k1, out2, k2): by slices, or by index where they would be many."""
    at, splits = x.ndim - geometry.rank, tuple(map(Split, geometry.axes))
    if math.prod(split.shifts for split in splits) <= MOST_TERMS:
        return windows(to_phases(x, splits, at), splits, at)
    spans = [
        a.stride * (a.out_size - 1) + a.dilation * (a.kernel_size - 1) + 1 for a in geometry.axes
    ]
    highs = [span - a.low - a.in_size for span, a in zip(spans, geometry.axes, strict=True)]
    x = padded(x, [a.low for a in geometry.axes], highs, at)
    for n, a in enumerate(geometry.axes):
        starts = a.stride * jnp.arange(a.out_size)[:, None]
        taps = a.dilation * jnp.arange(a.kernel_size)[None]
        x = jnp.take(x, starts + taps, axis=at + 2 * n)
    return x


def _added(v: jax.Array, geometry: Geometry) -> jax.Array:
    """The transpose of `_gathered`."""
    at, splits = v.ndim - 2 * geometry.rank, tuple(map(Split, geometry.axes))
    if math.prod(split.shifts for split in splits) <= MOST_TERMS:
        return from_phases(fold_windows(v, splits, at), splits, at)
    like = jax.ShapeDtypeStruct((*v.shape[:at], *geometry.in_size), v.dtype)
    (x,) = jax.linear_transpose(functools.partial(_gathered, geometry=geometry), like)(v)
    return x


def _geometry(
    sizes: tuple[int, ...], kernel_size: Ints, dilation: Ints, padding: Ints, stride: Ints
) -> Geometry:
    rank = len(sizes)
    geometry = Geometry.of_conv(
        (1, *sizes),
        (1, 1, *each("kernel_size", kernel_size, rank, 1)),
        stride=each("stride", stride, rank, 1),
        padding=each("padding", padding, rank, 0),
        dilation=each("dilation", dilation, rank, 1),
    )
    # One window has no stride, and room for a second would be made if it had a long one.
    return Geometry(
        tuple(replace(axis, stride=1) if axis.out_size == 1 else axis for axis in geometry.axes)
    )
