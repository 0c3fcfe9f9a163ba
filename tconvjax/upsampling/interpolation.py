"""Nearest, linear and cubic interpolation, computed as a transposed convolution where possible.

For a whole factor f, interpolation spreads every element over its neighbourhood with the same
stamp. That is a transposed convolution of each channel with stride f, whose kernel samples the
interpolating function at the f phases; only the border needs a correction. For other sizes the
stamps differ, and interpolation is a small matrix along each axis.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from numpy.typing import NDArray

from tconvjax.arguments import Ints, choice, flag
from tconvjax.errors import array_of, fail
from tconvjax.operations import conv, conv_transpose
from tconvjax.upsampling import arguments as reading
from tconvjax.upsampling.arguments import Axes, Sizes

MOST_TAPS = 64
"""Maximum taps of a stamp that spreads along all axes at once; larger ones go axis by axis."""

MOST_ENTRIES = 2**20
"""Maximum entries of a per-axis matrix in the program; above it, neighbours are gathered."""

Method = Literal["nearest", "linear", "cubic", "bicubic", "transposed"]


@dataclass(frozen=True)
class Interpolation:
    """The weight of an element at a distance, where it ends, and what replaces missing elements.

    At the border the other weights are scaled to add up to 1, the last element is repeated, or
    nothing is done.
    """

    function: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    reach: int
    border: Literal["scaled", "repeated", "faded"] = "scaled"


def _box(d: NDArray[np.float64]) -> NDArray[np.float64]:
    return ((d > -0.5) & (d <= 0.5)).astype(np.float64)


def _tent(d: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.maximum(1 - abs(d), 0)


def _keys(d: NDArray[np.float64], a: float) -> NDArray[np.float64]:
    """The cubic convolution of R. Keys, doi:10.1109/TASSP.1981.1163711, with its parameter a."""
    d = abs(d)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


METHODS: Mapping[str, Interpolation] = {
    "nearest": Interpolation(_box, 1),
    "linear": Interpolation(_tent, 1),
    "cubic": Interpolation(functools.partial(_keys, a=-0.5), 2),
    "bicubic": Interpolation(functools.partial(_keys, a=-0.75), 2, "repeated"),
    "transposed": Interpolation(_tent, 1, "faded"),
}
"""The methods of `upsample` by name."""


def upsample(
    x: ArrayLike,
    factor: Ints | None = None,
    *,
    size: Ints | None = None,
    method: Method = "linear",
    align_corners: bool = False,
    layout: str | None = None,
) -> jax.Array:
    """Interpolate to a larger size, or to any other size.

    z[j] = sum over i of h(place(j) - i) * x[i], with place(j) = (j + 1/2) * n / m - 1/2

    Args:
        x: (*batch, C, *n), or as layout says. Any dtype that the package takes; integers become
            floats, except with "nearest".
        factor: m / n, a whole number for all axes or one per axis, at least 1.
        size: m instead of a factor, at least 1. It may be smaller than n, but nothing filters
            aliases out then; `downsample` does.
        method: "nearest", "linear" and "cubic" are those of ``jax.image.resize`` with
            antialias=False, and, except for "cubic", PyTorch's "nearest-exact", "linear",
            "bilinear" and "trilinear". "bicubic" is PyTorch's. "transposed" is the plain transposed
            convolution with `bilinear_kernel`, whose border fades; it needs whole factors.
        align_corners: whether the first and last elements of x and z coincide, so that
            place(j) = j * (n - 1) / (m - 1), as in PyTorch; not for "nearest".
        layout: letters of x's axes such as "NHWC"; None for channels first.

    Returns:
        The array with spatial sizes m. If they are not whole multiples of n, a NaN or an infinity
        spreads as NaN along its axes, as in ``jax.image.resize``, except with "nearest".

    Raises:
        GeometryError: if the arguments do not fit together.

    Examples:
        >>> x = jnp.array([[[0.0, 4.0]]])
        >>> upsample(x, 2).tolist()
        [[[0.0, 1.0, 3.0, 4.0]]]
        >>> upsample(x, size=3, align_corners=True).tolist()
        [[[0.0, 2.0, 4.0]]]
    """
    choice("method", method, tuple(METHODS))
    align_corners = flag("align_corners", align_corners)
    if (factor is None) == (size is None):
        rule = f"either factor or size={size!r} must say how large the result is"
        fail("factor", factor, rule, "give one of the two")
    name, argument = ("size", size) if factor is None else ("factor", factor)
    value, axes = _read(x, argument, layout)
    old, sizes = axes.sizes(value.shape), reading.each(name, argument, axes.rank, 1)
    if size is None:
        sizes = tuple(f * n for f, n in zip(sizes, old, strict=True))
    reading.check_elements(name, argument, axes.resized(value.shape, sizes))
    if align_corners and method in ("nearest", "transposed"):
        fail("align_corners", True, f"{method!r} does not align corners", "leave it out")
    if method == "transposed" and any(m % n for n, m in zip(old, sizes, strict=True)):
        rule = f"the sizes {sizes} are not whole multiples of {old}"
        fail("method", method, rule, "use 'linear'")
    return _resized(value, axes, sizes, method, align_corners)


def _read(x: ArrayLike, argument: Ints | None, layout: str | None) -> tuple[jax.Array, Axes]:
    """Read x and its axes, none of which may be empty."""
    value, axes = reading.read("x", x, layout, argument)
    if 0 in axes.sizes(value.shape):
        rule = "an axis without elements has nothing to interpolate"
        fail("x", array_of(value.shape), rule, "give at least one element")
    return value, axes


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _resized(x: jax.Array, axes: Axes, sizes: Sizes, method: str, align_corners: bool) -> jax.Array:
    x = x if method == "nearest" else reading.as_floats(x)
    dtype, old = x.dtype, axes.sizes(x.shape)
    if dtype in (jnp.float16, jnp.bfloat16):
        x = x.astype(jnp.float32)
    if not align_corners and all(m % n == 0 for n, m in zip(old, sizes, strict=True)):
        factors = tuple(m // n for n, m in zip(old, sizes, strict=True))
        return _stamped(x, axes, factors, METHODS[method]).astype(dtype)
    for position, m in zip(axes.spatial, sizes, strict=True):
        if x.shape[position] != m:  # else it is the identity, with corners aligned or not
            x = _along(x, position, m, method, align_corners)
    return x.astype(dtype)


# -- whole factors ---------------------------------------------------------------------------------


Stamp: TypeAlias = tuple[NDArray[np.float64], int, tuple[int, int]]
"""Along one axis: the weights with which element i reaches the results around it, the factor, and
how many weights lie before result factor * i and behind result factor * (i + 1) - 1."""


def _stamp(how: Interpolation, factor: int, margin: int) -> Stamp:
    """The stamp by which ``margin`` elements at either end leave no result."""
    results = np.arange(-(how.reach + 1) * factor, (how.reach + 1) * factor)
    weights = how.function((results + 0.5) / factor - 0.5)
    first, last = np.flatnonzero(weights)[[0, -1]].tolist()
    before, after = -int(results[first]), int(results[last]) + 1 - factor
    return weights[first : last + 1], factor, (before + margin * factor, after + margin * factor)


def _stamped(x: jax.Array, axes: Axes, factors: Sizes, how: Interpolation) -> jax.Array:
    """Interpolate by a transposed convolution of each channel, and correct the border."""
    old, margin = axes.sizes(x.shape), how.reach if how.border == "repeated" else 0
    if margin:
        ends = [(margin, margin) if n in axes.spatial else (0, 0) for n in range(x.ndim)]
        x = jnp.pad(x, ends, mode="edge")
    stamps = [_stamp(how, f, margin) for f in factors]
    passes = [stamps]
    if math.prod(len(taps) for taps, _, _ in stamps) > MOST_TAPS:
        kept: list[Stamp] = [(np.ones(1), 1, (0, 0))] * axes.rank
        passes = [[*kept[:n], stamp, *kept[n + 1 :]] for n, stamp in enumerate(stamps)]
    for along_axes in passes:
        taps, steps, cuts = zip(*along_axes, strict=True)
        kernel = functools.reduce(np.multiply.outer, taps)
        x = reading.convolve_channels(conv_transpose, x, kernel, axes, steps, cuts)
    if how.border == "scaled" and how.function is not _box:
        for position, n, f in zip(axes.spatial, old, factors, strict=True):
            _, weights = _neighbours(n, n * f, how)
            x = x * reading.broadcastable(1 / weights.sum(0), x, position)
    return x


# -- other sizes -----------------------------------------------------------------------------------


def _neighbours(
    n: int, m: int, how: Interpolation, align_corners: bool = False
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The elements around each of m results, (2 * reach, m), and their weights before scaling."""
    j = np.arange(m)
    place = j * ((n - 1) / max(m - 1, 1)) if align_corners else (j + 0.5) * n / m - 0.5
    i = np.floor(place).astype(int) + np.arange(1 - how.reach, how.reach + 1)[:, None]
    weights = how.function(place - i)
    if how.border != "repeated":
        weights = np.where((i >= 0) & (i < n), weights, 0)
    return np.clip(i, 0, n - 1), weights


def _along(x: jax.Array, position: int, m: int, method: str, align_corners: bool) -> jax.Array:
    """Interpolate one axis by a matrix product, or by neighbours if the matrix is large."""
    n = x.shape[position]
    if method == "nearest":  # a matrix would turn infinities into NaN
        chosen = (2 * np.arange(m) + 1) * n // (2 * m)  # whole numbers: no half is rounded
        return jnp.take(x, jnp.asarray(chosen), position)
    elements, weights = _neighbours(n, m, METHODS[method], align_corners)
    weights = weights / weights.sum(0)
    if n * m <= MOST_ENTRIES:
        matrix = np.zeros((n, m))
        np.add.at(matrix, (elements, np.arange(m)), weights)
        z = jnp.tensordot(x, jnp.asarray(matrix, x.dtype), ((position,), (0,)), precision="highest")
        return jnp.moveaxis(z, -1, position)
    terms = (
        jnp.take(x, jnp.asarray(i), position) * reading.broadcastable(w, x, position)
        for i, w in zip(elements, weights, strict=True)
    )
    return functools.reduce(jnp.add, terms)


def downsample(
    x: ArrayLike, factor: Ints, *, method: Method = "linear", layout: str | None = None
) -> jax.Array:
    """Average with the weights of `upsample`, which prevents aliases: its scaled adjoint.

    z[i] = sum over j of h(place(j) - i) * x[j] / factor, over all axes

    Args:
        x: as in `upsample`, with sizes divisible by the factor.
        factor: a whole number for all axes or one per axis, at least 1.
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
    choice("method", method, tuple(METHODS))
    value, axes = _read(x, factor, layout)
    factors = reading.divisors(factor, axes.sizes(value.shape))
    return _averaged(reading.as_floats(value), axes, factors, method)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _averaged(x: jax.Array, axes: Axes, factors: Sizes, method: str) -> jax.Array:
    old = axes.sizes(x.shape)
    small = axes.resized(x.shape, [n // f for n, f in zip(old, factors, strict=True)])
    like = jax.ShapeDtypeStruct(small, x.dtype)
    (z,) = jax.linear_transpose(lambda z: _resized(z, axes, old, method, False), like)(x)
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
    """Resize, then convolve: an upsampling layer that cannot have a checkerboard.

    Args:
        x: (*batch, C, *n), or as layout says.
        w: (M, C, *k), the kernel of the convolution.
        bias: (M,) or None.
        factor: as in `upsample`.
        method: as in `upsample`.
        layout: as in `upsample`.

    Returns:
        (*batch, M, *(factor * n)).

    Raises:
        GeometryError: if the arguments do not fit together.

    Examples:
        >>> resize_conv(jnp.ones((1, 2, 4)), jnp.ones((3, 2, 3)), factor=2).shape
        (1, 3, 8)

    A. Odena et al., doi:10.23915/distill.00003.
    """
    z = upsample(x, factor, method=method, layout=layout)
    specs = None if layout is None else reading.axes_of("x", z, layout).specs
    return conv(z, w, bias, padding="SAME", dimension_numbers=specs)
