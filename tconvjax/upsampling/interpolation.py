"""Interpolation to any size, computed as a transposed convolution where possible.

For a whole factor f, interpolation spreads every element over its neighbourhood with the same
stamp. That is a transposed convolution of each channel with stride f, whose kernel samples the
interpolating function at the f phases; only the border needs a correction. For other sizes the
stamps differ, and interpolation is a small matrix along each axis.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from numpy.typing import NDArray

from tconvjax import operands
from tconvjax.arguments import Ints, choice, flag
from tconvjax.errors import array_of, fail
from tconvjax.operations import conv, conv_transpose
from tconvjax.upsampling import arguments as reading
from tconvjax.upsampling.arguments import Axes, Sizes

MOST_TAPS = 64
"""Maximum taps of a stamp that spreads along all axes at once; larger ones go axis by axis."""

MOST_ENTRIES = 2**20
"""Maximum entries of a per-axis matrix in the program; above it, neighbours are gathered."""

Scales: TypeAlias = tuple[float | None, ...]
"""Along each axis the factor that places the results, or None where the two sizes do."""


@dataclass(frozen=True)
class Interpolation:
    """The weight of an element at a distance, where it ends, and what replaces missing elements.

    At the border the other weights are scaled to add up to 1, the last element is repeated, or
    nothing is done. The nearest element is that at the middle of a result, or at its beginning.
    """

    function: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    reach: int
    border: Literal["scaled", "repeated", "faded"] = "scaled"
    middle: float = 0.5


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


def _lanczos(d: NDArray[np.float64], reach: int) -> NDArray[np.float64]:
    return np.where(abs(d) < reach, np.sinc(d) * np.sinc(d / reach), 0)


NEAREST, LINEAR = Interpolation(_box, 1), Interpolation(_tent, 1)
METHODS: Mapping[str, Interpolation] = {
    "nearest": NEAREST,
    "nearest-exact": NEAREST,
    "nearest-torch": Interpolation(_box, 1, middle=0.0),
    "linear": LINEAR,
    "bilinear": LINEAR,
    "trilinear": LINEAR,
    "cubic": Interpolation(functools.partial(_keys, a=-0.5), 2),
    "cubic-pytorch": Interpolation(functools.partial(_keys, a=-0.75), 2),
    "bicubic": Interpolation(functools.partial(_keys, a=-0.75), 2, "repeated"),
    "lanczos3": Interpolation(functools.partial(_lanczos, reach=3), 3),
    "lanczos5": Interpolation(functools.partial(_lanczos, reach=5), 5),
    "transposed": Interpolation(_tent, 1, "faded"),
}
"""The methods of `upsample` by name."""


def upsample(
    x: ArrayLike,
    factor: Ints | float | Sequence[float] | None = None,
    *,
    size: Ints | None = None,
    method: str = "linear",
    align_corners: bool = False,
    layout: str | None = None,
) -> jax.Array:
    """Interpolate to a larger size, or to any other size.

    z[j] = sum over i of h(place(j) - i) * x[i], with place(j) = (j + 1/2) * n / m - 1/2

    Args:
        x: (*batch, C, *n), or as layout says. Any dtype that the package takes; integers become
            floats, except with "nearest". With one number for all axes and no layout, all axes but
            the first two are spatial, as in PyTorch: (3, 8, 8) is a batch of 3 signals. For a
            picture give one number per axis, or layout="CHW".
        factor: m / n for all axes or one per axis, at least 1. With a fraction m is rounded down,
            and place(j) = (j + 1/2) / factor - 1/2, as in PyTorch.
        size: m instead of a factor, at least 1. It may be smaller than n, but nothing filters
            aliases out then; `downsample` does.
        method: "nearest", "linear", "cubic", "cubic-pytorch", "lanczos3" and "lanczos5" are those
            of ``jax.image.resize`` with antialias=False. PyTorch's names are "nearest-exact" (which
            is "nearest"), "bilinear", "trilinear" (both "linear") and "bicubic"; its "nearest",
            which takes the element at j * n / m rounded down, is "nearest-torch". "transposed" is
            the plain transposed convolution with `bilinear_kernel`, whose border fades; it needs
            whole factors.
        align_corners: whether the first and last elements of x and z coincide, so that
            place(j) = j * (n - 1) / (m - 1), as in PyTorch; not for "nearest" and its kind.
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
    name, argument = ("size", size) if factor is None else ("factor", factor)
    value, axes = _read(x, factor, size, layout)
    old, scales = axes.sizes(value.shape), cast(Scales, (None,) * axes.rank)
    if factor is None:
        sizes = reading.each("size", size, axes.rank, 1)
    else:
        factors, scales = _factors(factor, axes.rank)
        sizes = tuple(math.floor(f * n) for f, n in zip(factors, old, strict=True))
    reading.check_elements(name, argument, axes.resized(value.shape, sizes))
    how, uneven = METHODS[method], any(m % n for n, m in zip(old, sizes, strict=True))
    if align_corners and (how.function is _box or method == "transposed"):
        fail("align_corners", True, f"{method!r} does not align corners", "leave it out")
    if method == "transposed" and (uneven or any(scales)):
        rule = f"the sizes {sizes} are not whole multiples of {old}"
        fail("method", method, rule, "use 'linear'")
    value = value if how.function is _box else reading.as_floats(value)
    return _resized(value, axes, sizes, how, align_corners, scales)


def _factors(factor: Any, rank: int) -> tuple[tuple[float | int, ...], Scales]:
    """Read one factor per axis, and which of them are fractions."""
    parts = list(factor) if reading.how_many(factor) else [factor]
    real = [isinstance(f, float | np.floating) and 1 <= f <= operands.MOST for f in parts]
    floors: Any = [int(f) if r else f for f, r in zip(parts, real, strict=True)]
    whole = reading.each("factor", floors if reading.how_many(factor) else floors[0], rank, 1)
    scales = [float(f) if r and f % 1 else None for f, r in zip(parts, real, strict=True)]
    scales = scales if len(scales) == rank else scales * rank
    return tuple(s or w for s, w in zip(scales, whole, strict=True)), tuple(scales)


def _read(x: ArrayLike, factor: Any, size: Any, layout: str | None) -> tuple[jax.Array, Axes]:
    """Read x and its axes, none of which may be empty; a factor or a size may name them."""
    if (factor is None) == (size is None):
        rule = f"either factor or size={size!r} must say how large the result is"
        fail("factor", factor, rule, "give one of the two")
    value, axes = reading.read("x", x, layout, size if factor is None else factor)
    if 0 in axes.sizes(value.shape):
        rule = "an axis without elements has nothing to interpolate"
        fail("x", array_of(value.shape), rule, "give at least one element")
    return value, axes


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4, 5))
def _resized(
    x: jax.Array, axes: Axes, sizes: Sizes, how: Interpolation, corners: bool, scales: Scales
) -> jax.Array:
    dtype, old = x.dtype, axes.sizes(x.shape)
    if dtype in (jnp.float16, jnp.bfloat16):
        x = x.astype(jnp.float32)
    whole = all(m % n == 0 for n, m in zip(old, sizes, strict=True)) and not any(scales)
    if not corners and whole:
        factors = tuple(m // n for n, m in zip(old, sizes, strict=True))
        return _stamped(x, axes, factors, how).astype(dtype)
    for position, m, scale in zip(axes.spatial, sizes, scales, strict=True):
        # As in PyTorch, only "linear" ignores a fraction that does not change the size.
        if x.shape[position] != m or (scale and how.function is not _tent):
            x = _along(x, position, m, how, corners, scale)
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
    n: int, m: int, how: Interpolation, corners: bool = False, scale: float | None = None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The elements around each of m results, (2 * reach, m), and their weights before scaling."""
    j = np.arange(m)
    place = (j + 0.5) / scale - 0.5 if scale else (j + 0.5) * n / m - 0.5
    place = j * ((n - 1) / max(m - 1, 1)) if corners else place
    i = np.floor(place).astype(int) + np.arange(1 - how.reach, how.reach + 1)[:, None]
    weights = how.function(place - i)
    if how.border != "repeated":
        weights = np.where((i >= 0) & (i < n), weights, 0)
    return np.clip(i, 0, n - 1), weights


def _along(
    x: jax.Array, position: int, m: int, how: Interpolation, corners: bool, scale: float | None
) -> jax.Array:
    """Interpolate one axis by a matrix product, or by neighbours if the matrix is large."""
    n = x.shape[position]
    if how.function is _box:  # a matrix would turn infinities into NaN
        twice = 2 * np.arange(m) + int(2 * how.middle)  # whole numbers: no half is rounded
        chosen = np.floor(twice / (2 * scale)).astype(int) if scale else twice * n // (2 * m)
        return jnp.take(x, jnp.asarray(np.minimum(chosen, n - 1)), position)
    elements, weights = _neighbours(n, m, how, corners, scale)
    weights = weights if how.border == "faded" else weights / weights.sum(0)
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
    x: ArrayLike,
    factor: Ints | None = None,
    *,
    size: Ints | None = None,
    method: str = "linear",
    layout: str | None = None,
) -> jax.Array:
    """Average with the weights of `upsample`, which prevents aliases.

    z[i] = sum over j of h(place(j) - i) * x[j] / sum over j of h(place(j) - i)

    Args:
        x: as in `upsample`.
        factor: n / m, a whole number for all axes or one per axis that divides n.
        size: m instead of a factor, at most n.
        method: as in `upsample`. "linear", "cubic", "lanczos3" and "lanczos5" are those of
            ``jax.image.resize`` with antialias=True, and "bilinear" and "bicubic" PyTorch's with
            antialias=True. "nearest" averages whole pixels.
        layout: as in `upsample`.

    Returns:
        The array with spatial sizes m. "transposed" divides by n / m instead, as the adjoint of
        `upsample` does; away from the border all are that scaled adjoint, but for "bicubic" and the
        two of Lanczos, whose weights add up to about 1 only.

    Raises:
        GeometryError: if the factor does not divide the sizes, a size is larger, or there is no
            such method.

    Examples:
        >>> downsample(jnp.array([[[0.0, 1.0, 3.0, 4.0]]]), 2, method="nearest").tolist()
        [[[0.5, 3.5]]]
    """
    choice("method", method, tuple(METHODS))
    value, axes = _read(x, factor, size, layout)
    old = axes.sizes(value.shape)
    if size is None:
        factors = reading.divisors(factor, old)
        sizes = tuple(n // f for n, f in zip(old, factors, strict=True))
    else:
        sizes = reading.each("size", size, axes.rank, 1)
        if any(m > n for n, m in zip(old, sizes, strict=True)):
            fail("size", size, f"the sizes of x are {old}, no larger ones", "use upsample")
    # PyTorch's bicubic has another parameter where it prevents aliases.
    how = METHODS["cubic" if method == "bicubic" else method]
    return _averaged(reading.as_floats(value), axes, sizes, how)


@functools.partial(jax.jit, static_argnums=(1, 2, 3))
def _averaged(x: jax.Array, axes: Axes, sizes: Sizes, how: Interpolation) -> jax.Array:
    old, plain = axes.sizes(x.shape), dataclasses.replace(how, border="faded", middle=0.5)
    like = jax.ShapeDtypeStruct(axes.resized(x.shape, sizes), x.dtype)
    even = (None,) * axes.rank
    (z,) = jax.linear_transpose(lambda z: _resized(z, axes, old, plain, False, even), like)(x)
    for position, n, m in zip(axes.spatial, old, sizes, strict=True):
        sums = np.full(m, n / m)
        if how.border != "faded":
            elements, weights = _neighbours(m, n, plain)
            sums = np.bincount(elements.ravel(), weights.ravel(), m)
        z = z * reading.broadcastable(1 / sums, z, position)
    return z


def resize_conv(
    x: ArrayLike,
    w: ArrayLike,
    bias: ArrayLike | None = None,
    *,
    factor: Ints,
    method: str = "nearest",
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
