"""Nearest, linear and cubic interpolation, a transposed convolution where it is one.

For a whole factor f an interpolation spreads each element over its neighbourhood with one stamp,
the same for all: it is a transposed convolution of stride f, channel by channel, whose kernel is
the interpolating function sampled at the f phases. Only the border differs. For other sizes no two
elements have the same stamp, and the interpolation is a small matrix along each axis.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from numpy.typing import NDArray

from tconvjax.algorithms import check_choice
from tconvjax.arguments import Ints, flag
from tconvjax.errors import fail
from tconvjax.operations import conv, conv_transpose
from tconvjax.upsampling.functions import (
    METHODS,
    Interpolation,
    Line,
    after,
    before,
    box,
    outer,
    stamp,
)
from tconvjax.upsampling.images import (
    MOST,
    Places,
    algorithm,
    array,
    check_elements,
    conv_numbers,
    dtype_of,
    each,
    how_many,
    places,
)

MOST_TAPS = 64
"""Of a stamp that is spread along all axes at once: a larger one costs less axis by axis."""

MOST_ENTRIES = 2**20
"""Of the matrix of one axis, which stands in the program; a larger one is not written out."""

MOST_WRITTEN = 2**26
"""Taps of a kernel that is written out."""

MOST_AXES = 32
"""Axes of an array."""

Method = Literal["nearest", "linear", "cubic", "bicubic", "transposed"]


def bilinear_kernel(factor: Ints, rank: int | None = None, dtype: Any = jnp.float32) -> jax.Array:
    """The kernel of linear interpolation by a whole factor: a tent along each axis.

    w[t] = 1 - |t - (k - 1) / 2| / factor, with k = 2 * factor taps for even factors and
    2 * factor - 1 for odd ones, so that a transposed convolution with stride ``factor`` and padding
    (k - factor) / 2, which is whole, gives factor * n elements from n.

    Args:
        factor: an int for all axes, or one an axis, at least 1.
        rank: the number of axes, where factor is one int; 1 without.
        dtype: of the result, floats or complex numbers.

    Returns:
        (*k): linear for one axis, bilinear for two, trilinear for three.

    Raises:
        GeometryError: if a factor is below 1, or the dtype holds no fractions.

    Examples:
        >>> bilinear_kernel(2).tolist()
        [0.25, 0.75, 0.75, 0.25]
        >>> bilinear_kernel((3, 1)).shape
        (5, 1)

    The filler of J. Long et al., arXiv:1411.4038, for every channel by itself.
    """
    (count,) = each("rank", how_many(factor) or 1 if rank is None else rank, 1, 1)
    factors = each("factor", factor, 1 if count > MOST_AXES else count, 1)
    if count > MOST_AXES or math.prod(2 * f for f in factors) > MOST_WRITTEN:
        fail(
            "factor",
            factor,
            f"a kernel for {count} axes has at most {MOST_WRITTEN} taps",
            "enlarge one axis after another, with upsample",
        )
    tents = [stamp(METHODS["linear"], f) for f in factors]
    return jnp.asarray(outer(tents), dtype_of("dtype", dtype))


def upsample(
    x: ArrayLike,
    factor: Ints | None = None,
    *,
    size: Ints | None = None,
    method: Method = "linear",
    align_corners: bool = False,
    layout: str | None = None,
) -> jax.Array:
    """Interpolate to a larger size, or any other.

    z[j] = sum over i of h(place(j) - i) * x[i], with place(j) = (j + 1/2) * n / m - 1/2

    Args:
        x: (N, C, *n), or as layout says; also without a batch axis or with several. Of any dtype
            that the package takes; integers become floats, but for "nearest".
        factor: m / n, a whole number for all axes or one an axis, at least 1.
        size: m in place of a factor, at least 1; smaller than n too, without a filter against
            aliases, which `downsample` has.
        method: "nearest", "linear" or "cubic" as ``jax.image.resize`` (antialias=False) and, but
            for cubic, PyTorch's "nearest-exact", "linear", "bilinear" and "trilinear"; "bicubic"
            as PyTorch; "transposed" for the transposed convolution with `bilinear_kernel` and
            nothing done about its border, which fades; it wants whole factors.
        align_corners: whether the first and last elements of both lie on each other, so that
            place(j) = j * (n - 1) / (m - 1), as in PyTorch; not for "nearest".
        layout: letters of x's axes such as "NHWC"; None for channels first.

    Returns:
        The array with spatial sizes m. Where they are no whole multiples of n, a NaN or an infinity
        spreads as NaN along its axes, as in ``jax.image.resize``, but for "nearest".

    Raises:
        GeometryError: if the arguments do not fit together.

    Examples:
        >>> x = jnp.array([[[0.0, 4.0]]])
        >>> upsample(x, 2).tolist()
        [[[0.0, 1.0, 3.0, 4.0]]]
        >>> upsample(x, size=3, align_corners=True).tolist()
        [[[0.0, 2.0, 4.0]]]
    """
    align_corners = flag("align_corners", align_corners)
    value, there, sizes = _read(x, factor, size, method, align_corners, layout)
    return _resized(value, there, sizes, method, align_corners, layout)


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4, 5))
def _resized(
    value: jax.Array,
    there: Places,
    sizes: tuple[int, ...],
    method: str,
    align_corners: bool,
    layout: str | None,
) -> jax.Array:
    dtype = value.dtype
    if not jnp.issubdtype(dtype, jnp.inexact) and method != "nearest":
        dtype = jnp.result_type(float)
    wide = jnp.float32 if dtype in (jnp.float16, jnp.bfloat16) else dtype
    value = value.astype(wide)
    old = there.sizes(value.shape)
    if method == "transposed":
        factors = _whole(old, sizes, align_corners)
        return _stamped(value, there, factors, METHODS["linear"], layout, bare=True).astype(dtype)
    if all(m % n == 0 for n, m in zip(old, sizes, strict=True)) and not align_corners:
        factors = tuple(m // n for n, m in zip(old, sizes, strict=True))
        return _stamped(value, there, factors, METHODS[method], layout).astype(dtype)
    for position, m in zip(there.spatial, sizes, strict=True):
        value = _along(value, position, m, method, align_corners)
    return value.astype(dtype)


def _read(
    x: ArrayLike, factor: Any, size: Any, method: str, align_corners: bool, layout: str | None
) -> tuple[jax.Array, Places, tuple[int, ...]]:
    """(x, where its axes stand, the wanted sizes)."""
    check_choice("method", method, (*METHODS, "transposed"))
    value = array("x", x)
    if (factor is None) == (size is None):
        fail(
            "factor",
            factor,
            f"one of factor and size={size!r} says how large the result is",
            "give one of the two",
        )
    there = places("x", value, layout, factor if size is None else size)
    old = there.sizes(value.shape)
    if size is not None:
        sizes = each("size", size, there.rank, 1)
    else:
        factors = each("factor", factor, there.rank, 1)
        sizes = tuple(f * n for f, n in zip(factors, old, strict=True))
        if max(sizes) > MOST:
            fail("factor", factor, f"an axis has at most {MOST} elements", "enlarge it less")
    name, given = ("size", size) if factor is None else ("factor", factor)
    rest = [n for at, n in enumerate(value.shape) if at not in there.spatial]
    check_elements(name, given, (*rest, *sizes))
    if 0 in old:
        fail(
            "x",
            value.shape,
            "an axis without elements has nothing to interpolate",
            "give one element at least",
        )
    if align_corners and method == "nearest":
        fail("align_corners", True, "there is nothing to align for 'nearest'", "leave it out")
    return value, there, sizes


def _whole(old: tuple[int, ...], sizes: tuple[int, ...], align_corners: bool) -> tuple[int, ...]:
    """The factors from one to the other, for a method that has no others."""
    if align_corners or any(m % n for n, m in zip(old, sizes, strict=True)):
        fail(
            "method",
            "transposed",
            f"sizes {sizes} are no whole multiples of {old}"
            if not align_corners
            else "it does not align corners",
            "use 'linear'",
        )
    return tuple(m // n for n, m in zip(old, sizes, strict=True))


def _stamped(
    x: jax.Array,
    there: Places,
    factors: tuple[int, ...],
    method: Interpolation,
    layout: str | None,
    bare: bool = False,
) -> jax.Array:
    """A transposed convolution of each channel, its border as the method wants it.

    With ``bare`` the border stays as the transposed convolution leaves it.
    """
    old, margin = there.sizes(x.shape), method.reach if method.clamps else 0
    if margin:
        ends = [(margin,) * 2 if n in there.spatial else (0, 0) for n in range(x.ndim)]
        x = jnp.pad(x, ends, mode="edge")
    stamps = [stamp(method, f) for f in factors]
    cuts = [(before(method, f) + margin * f, after(method, f) + margin * f) for f in factors]
    z = x
    for axes in _passes(stamps):
        z = _spread(z, there.channel, stamps, factors, cuts, axes, layout)
    if bare or method.clamps or method.function is box:
        return z
    for position, n, f in zip(there.spatial, old, factors, strict=True):
        shape = [1] * z.ndim
        shape[position] = n * f
        z = z * jnp.asarray(1 / _totals(n, f, method), z.dtype).reshape(shape)
    return z


def _totals(n: int, factor: int, method: Interpolation) -> NDArray[np.float64]:
    """What the weights of the elements within the border add up to in each result."""
    weights = stamp(method, factor)
    starts = factor * np.arange(n)[:, None] - before(method, factor)
    places = starts + np.arange(len(weights))
    inside = (places >= 0) & (places < n * factor)
    totals = np.zeros(n * factor)
    np.add.at(totals, places[inside], np.broadcast_to(weights, places.shape)[inside])
    return totals


def _passes(stamps: Sequence[NDArray[np.float64]]) -> list[set[int]]:
    """Which axes are enlarged together: all, or one by one where a stamp is large."""
    rank = len(stamps)
    if math.prod(map(len, stamps)) <= MOST_TAPS:
        return [set(range(rank))]
    return [{n} for n in range(rank) if len(stamps[n]) > 1]


def _spread(
    x: jax.Array,
    channel: int,
    stamps: Sequence[NDArray[np.float64]],
    factors: Sequence[int],
    cuts: Sequence[tuple[int, int]],
    axes: set[int],
    layout: str | None,
) -> jax.Array:
    """Enlarge some axes and leave the others as they are."""
    rank, channels, one = len(stamps), x.shape[channel], np.ones(1)
    taps = outer([stamps[n] if n in axes else one for n in range(rank)])
    w = jnp.broadcast_to(jnp.asarray(taps, x.dtype), (channels, min(channels, 1), *taps.shape))
    return conv_transpose(
        x,
        w,
        stride=[factors[n] if n in axes else 1 for n in range(rank)],
        padding=[cuts[n] if n in axes else (0, 0) for n in range(rank)],
        groups=max(channels, 1),
        algorithm=algorithm(taps.size),
        dimension_numbers=conv_numbers(layout),
    )


def _along(x: jax.Array, position: int, m: int, method: str, align_corners: bool) -> jax.Array:
    """Interpolate one axis: a matrix product, or where that is large, neighbour by neighbour."""
    n = x.shape[position]
    if n == m:  # the identity, whether corners are aligned or not
        return x
    line = Line.of(n, m, method, align_corners)
    if method == "nearest":  # a matrix would make NaN of infinities
        return jnp.take(x, jnp.asarray(line.places[0]), position)
    if n * m <= MOST_ENTRIES:
        matrix = jnp.asarray(line.matrix(n), x.dtype)
        z = jnp.tensordot(x, matrix, ((position,), (0,)), precision="highest")
        return jnp.moveaxis(z, -1, position)
    shape = [1] * x.ndim
    shape[position] = m
    terms = [
        jnp.take(x, jnp.asarray(i), position) * jnp.asarray(w, x.dtype).reshape(shape)
        for i, w in zip(line.places, line.weights, strict=True)
    ]
    return functools.reduce(jnp.add, terms)


def downsample(
    x: ArrayLike, factor: Ints, *, method: Method = "linear", layout: str | None = None
) -> jax.Array:
    """The adjoint of `upsample`, scaled: averages with the same weights, which prevent aliases.

    z[i] = sum over j of h(place(j) - i) * x[j] / factor, over all axes

    Args:
        x: as in `upsample`; sizes divisible by the factor.
        factor: a whole number for all axes or one an axis, at least 1.
        method: as in `upsample`.
        layout: as in `upsample`.

    Returns:
        The array with spatial sizes n / factor.

    Raises:
        GeometryError: if the factor does not divide the sizes, or there is no such method.

    Examples:
        >>> downsample(jnp.array([[[0.0, 1.0, 3.0, 4.0]]]), 2, method="nearest").tolist()
        [[[0.5, 3.5]]]
    """
    check_choice("method", method, (*METHODS, "transposed"))
    value = array("x", x)
    there = places("x", value, layout, factor)
    factors = each("factor", factor, there.rank, 1)
    old = there.sizes(value.shape)
    if any(n % f for n, f in zip(old, factors, strict=True)):
        fail("factor", factor, f"it must divide the sizes {old}", "crop or pad x first")
    return _averaged(value, there, factors, method, layout)


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _averaged(
    value: jax.Array, there: Places, factors: tuple[int, ...], method: Method, layout: str | None
) -> jax.Array:
    if not jnp.issubdtype(value.dtype, jnp.inexact):
        value = value.astype(jnp.result_type(float))
    old = there.sizes(value.shape)
    small = there.resized(value.shape, tuple(n // f for n, f in zip(old, factors, strict=True)))
    like = jax.ShapeDtypeStruct(small, value.dtype)
    back = jax.linear_transpose(lambda z: upsample(z, factors, method=method, layout=layout), like)
    (z,) = back(value)
    return z / math.prod(factors)


def resize_conv(
    x: ArrayLike,
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    factor: Ints,
    method: Method = "nearest",
    layout: str | None = None,
) -> jax.Array:
    """Resize, then convolve: the layer that has no checkerboard, in place of a transposed one.

    Args:
        x: (N, C, *n), or as layout says.
        w: (M, C, *k), a convolution's kernel.
        bias: (M,) or None.
        factor: of `upsample`.
        method: of `upsample`.
        layout: as in `upsample`.

    Returns:
        (N, M, *(factor * n)).

    Raises:
        GeometryError: if the arguments do not fit together.

    Examples:
        >>> resize_conv(jnp.ones((1, 2, 4)), jnp.ones((3, 2, 3)), factor=2).shape
        (1, 3, 8)

    A. Odena et al., doi:10.23915/distill.00003.
    """
    raised = upsample(x, factor, method=method, layout=layout)
    return conv(raised, w, bias, padding="SAME", dimension_numbers=conv_numbers(layout))
