"""Kernels of upsampling layers: how they start, and how evenly their stamps fall.

Initialisers follow JAX's convention ``(key, shape, dtype)``. The kernels are those of this package:
(O, C / groups, *k) for a transposed convolution from O channels to C, and (O, C, *k) for a
convolution.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from numpy.typing import NDArray

from tconvjax.arguments import Ints, choice, flag, frozen, function, whole
from tconvjax.errors import array_of, fail, kind_of
from tconvjax.geometry import Axis, Geometry, check_geometry
from tconvjax.operands import inexact_dtype, random_key
from tconvjax.shown import Shown
from tconvjax.upsampling.arguments import MOST_COUNTED, check_elements, each, how_many, real
from tconvjax.upsampling.shuffle import ORDERS, Order

Initializer: TypeAlias = Callable[..., jax.Array]
"""A function of (key, shape, dtype)."""


def bilinear_kernel(factor: Ints, rank: int | None = None, dtype: Any = jnp.float32) -> jax.Array:
    """Make the kernel of linear interpolation by a whole factor: a tent along each axis.

    w[t] = 1 - |t - (k - 1) / 2| / factor

    There are k = 2 * factor taps for an even factor and 2 * factor - 1 for an odd one. A transposed
    convolution with stride ``factor`` and padding (k - factor) / 2 then gives factor * n elements
    from n.

    Args:
        factor: an int for all axes, or one per axis, at least 1.
        rank: the number of axes if factor is a single int; None for 1.
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

    J. Long et al., arXiv:1411.4038, use it for each channel separately.
    """
    (count,) = each("rank", how_many(factor) or 1 if rank is None else rank, 1, 1)
    if count > 32:  # which are all that older versions of NumPy know
        fail("rank", count, "a kernel has at most 32 axes", "enlarge one axis at a time")
    sizes = [2 * f - f % 2 for f in each("factor", factor, count, 1)]
    check_elements("factor", factor, sizes, MOST_COUNTED)
    kernel = functools.reduce(np.multiply.outer, map(_tent, sizes))
    return jnp.asarray(kernel, inexact_dtype("dtype", dtype))


def bilinear_init(key: Any, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Start a transposed convolution with stride ceil(k / 2) as linear interpolation.

    w[c, c, t] = product over axes of 1 - |t - (k - 1) / 2| / ceil(k / 2), and 0 between channels

    Args:
        key: not used; it is there for the convention.
        shape: (C, C, *k), or (C, 1, *k) for a kernel whose groups are its channels.
        dtype: of the result.

    Returns:
        The kernel. With stride f and k = 2 * f - f % 2 taps the layer interpolates at the places of
        `upsample`; otherwise half an element beside them.

    Raises:
        GeometryError: if the shape joins different numbers of channels.

    Examples:
        >>> bilinear_init(None, (1, 1, 4)).tolist()
        [[[0.25, 0.75, 0.75, 0.25]]]
    """
    del key
    shape = _shape(shape)
    if shape[1] not in (1, shape[0]):
        rule = "it must be (C, C, *k), or (C, 1, *k) with one group per channel"
        fail("shape", shape, rule, "use another initialiser, because this one mixes no channels")
    channels = np.ones((shape[0], 1)) if shape[1] == 1 else np.eye(shape[0])
    kernel = functools.reduce(np.multiply.outer, map(_tent, shape[2:]), channels)
    return jnp.asarray(kernel, inexact_dtype("dtype", dtype))


def _tent(k: int) -> NDArray[np.float64]:
    return 1 - abs(np.arange(k) - (k - 1) / 2) / -(-k // 2)


def icnr_init(
    init: Initializer, factor: Ints, *, transposed: bool = False, order: Order = "CRD"
) -> Initializer:
    """Start an upsampling layer without a checkerboard: with all phases equal.

    Sub-pixel convolution: the channels that `pixel_shuffle` weaves into one have the same kernel.
    Transposed convolution: w[o, c, t] = v[o, c, t // factor]. Either layer then starts as a
    convolution with the kernel of ``init``, combined with nearest interpolation.

    Args:
        init: draws the smaller kernel, a function of (key, shape, dtype).
        factor: of the upsampling, an int or one per axis.
        transposed: True for the kernel (O, C, *k) of a transposed convolution with stride
            ``factor``, where k is a multiple of the factor; False for the kernel
            (C * prod(factor), I, *k) of the convolution before a `pixel_shuffle`.
        order: of that `pixel_shuffle`.

    Returns:
        A function of (key, shape, dtype).

    Raises:
        GeometryError: by that function, if the factor does not divide the shape.

    Examples:
        >>> start = icnr_init(jax.nn.initializers.normal(), 2)
        >>> w = start(jax.random.key(0), (4, 3, 5, 5))
        >>> bool((w[0] == w[3]).all())
        True

    A. Aitken et al., arXiv:1707.02937, and the same for transposed convolutions.
    """
    choice("order", order, ORDERS)
    function("init", init)
    by, across = frozen("factor", factor), flag("transposed", transposed)

    def drawn(key: Any, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        shape = _shape(shape)
        factors = each("factor", by, len(shape) - 2, 1)
        phases = math.prod(factors)
        repeats = (1, 1, *factors) if across else (phases, *(1 for _ in shape[1:]))
        if any(n % f for n, f in zip(shape, repeats, strict=True)):
            rule = f"{repeats} must divide it, or the phases cannot be equal"
            fail("shape", shape, rule, "give another kernel or factor")
        small = tuple(n // f for n, f in zip(shape, repeats, strict=True))
        w = init(random_key(key), small, inexact_dtype("dtype", dtype))
        if not across and order == "DCR":
            return jnp.concatenate([w] * phases)
        for axis, f in enumerate(repeats):
            w = jnp.repeat(w, f, axis)
        return w

    return drawn


def transposed_scaling(
    scale: float,
    mode: Literal["fan_in", "fan_out", "fan_avg"],
    distribution: Literal["truncated_normal", "normal", "uniform"],
    *,
    stride: Ints = 1,
    groups: int = 1,
) -> Initializer:
    """Scale the kernel of a transposed convolution by the number of terms in its sums.

    fan_in = O / groups * prod(k) / prod(stride),  fan_out = C / groups * prod(k)

    An element of the result is a sum over the channels of its group and over the taps that reach
    it, which are one in ``stride`` along each axis. Frameworks that read the fans of a convolution
    off the kernel's shape use the channels of the other side. LeCun's initialisers have scale 1 and
    "fan_in", He's scale 2 and "fan_in", Glorot's scale 1 and "fan_avg".

    Args:
        scale: the variance is scale / fan.
        mode: which fan.
        distribution: as in ``jax.nn.initializers.variance_scaling``.
        stride: of the layer, an int or one per axis.
        groups: of the layer.

    Returns:
        A function of (key, shape, dtype) for shapes (O, C / groups, *k).

    Raises:
        GeometryError: if there is no such mode or distribution; by that function, if groups do not
            divide O.

    Examples:
        >>> init = transposed_scaling(1.0, "fan_in", "normal", stride=2)
        >>> w = init(jax.random.key(0), (64, 32, 4, 4))
        >>> bool(abs(w.var() * 64 * 16 / 4 - 1) < 0.1)
        True
    """
    choice("mode", mode, ("fan_in", "fan_out", "fan_avg"))
    choice("distribution", distribution, ("truncated_normal", "normal", "uniform"))
    scale = real("scale", scale)
    blocks, strides = whole("groups", groups, 1), frozen("stride", stride)

    def drawn(key: Any, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        shape = _shape(shape)
        steps = each("stride", strides, len(shape) - 2, 1)
        if shape[0] % blocks:
            rule = f"it must divide the {shape[0]} input channels of {shape}"
            fail("groups", groups, rule, "give the groups of the layer")
        if 0 in shape:  # no weights, and no fans to divide by
            return jnp.zeros(shape, inexact_dtype("dtype", dtype))
        taps = math.prod(shape[2:])
        fan_in, fan_out = shape[0] / blocks * taps / math.prod(steps), shape[1] * taps
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
        # JAX's initialiser divides by the taps, its own fan here, so the scale makes up for that.
        own = jax.nn.initializers.variance_scaling(
            scale * taps / fan, "fan_in", distribution, in_axis=(), out_axis=(0, 1)
        )
        return own(random_key(key), shape, inexact_dtype("dtype", dtype))

    return drawn


def _shape(shape: Any) -> tuple[int, ...]:
    """Read the shape of a kernel."""
    read = frozen("shape", shape)
    if not isinstance(read, tuple) or len(read) < 3:
        rule = "a kernel has two channel axes and at least one spatial axis"
        fail("shape", shape, rule, "give (O, C / groups, *k)")
    return each("shape", read, len(read), 0)


# -- checkerboards ---------------------------------------------------------------------------------


def overlap(geometry: Geometry) -> NDArray[np.int64]:
    """Count the products that each element of a transposed convolution's result adds up.

    overlap[j] = number of (i, t) with stride * i + dilation * t - low = j, over all axes

    Args:
        geometry: of the forward convolution, as `Geometry.of_conv_transpose` makes it.

    Returns:
        The counts in one channel, whole numbers of shape ``in_size``.

    Raises:
        GeometryError: if there are more than 67 million elements.

    Examples:
        >>> overlap(Geometry.of_conv_transpose((1, 4), (1, 1, 3), stride=2)).tolist()
        [1, 1, 2, 1, 2, 1, 2, 1, 1]
    """
    axes = check_geometry(geometry).axes
    for sizes in (geometry.in_size, *((axis.filled().in_size,) for axis in axes)):
        check_elements("geometry", kind_of(geometry), sizes, MOST_COUNTED)
    return functools.reduce(np.multiply.outer, map(_overlap, axes))


def _overlap(axis: Axis) -> NDArray[np.int64]:
    """Count on the padded line of one axis, then add its border to the elements that it copies."""
    size = axis.filled().in_size
    # In rows of a dilation's length, a stamp begins in one row and ends kernel_size rows below.
    step = max(min(axis.dilation, size), 1)
    starts = np.zeros(-(-size // step) * step, np.int64)
    starts[axis.stride * np.arange(axis.out_size)] = 1
    rows = starts.reshape(-1, step).cumsum(0)
    rows[axis.kernel_size :] -= rows[: max(len(rows) - axis.kernel_size, 0)]
    sources = np.arange(size) - axis.low
    if axis.bordered and axis.in_size:
        runs = [start + sign * np.arange(count) for start, count, sign in axis.border_runs()]
        sources = np.concatenate(runs)
    inside = (sources >= 0) & (sources < axis.in_size)
    counts = np.zeros(axis.in_size, np.int64)
    np.add.at(counts, sources[inside], rows.ravel()[:size][inside])
    return counts


@dataclass(frozen=True)
class Checkerboard(Shown):
    """How unevenly a transposed convolution treats the elements of its result.

    Args:
        unevenness: the standard deviation of the phases' sums divided by their mean size, in the
            worst channel; 0 if they are equal.
        phases: the sum of each phase for a constant input, away from the border: the number of its
            taps or the sum of its weights, (*stride).
        advice: what to change, in a sentence.
    """

    unevenness: float
    phases: NDArray[np.float64]
    advice: str

    def __str__(self) -> str:
        """The number and the advice."""
        return f"unevenness {self.unevenness:.3g}: {self.advice}"

    def _parts_(self) -> tuple[Any, ...]:
        """What a notebook shows: the sentence, and the phases as shades."""
        return (f"{self}", self.phases) if self.phases.ndim <= 2 else (f"{self}",)


def checkerboard(geometry: Geometry, kernel: ArrayLike | None = None) -> Checkerboard:
    """Find out whether a transposed convolution makes a checkerboard, and what to change.

    Away from the border the result of a constant input repeats with the stride: element j adds up
    the taps t with dilation * t = j + low modulo the stride. If these sums differ from phase to
    phase, so does the brightness of neighbouring pixels.

    Args:
        geometry: of the forward convolution.
        kernel: (O, C / groups, *k), whose weights are added up; None to count taps, as if all
            weights were 1.

    Returns:
        The unevenness, the sums of the phases, and an advice.

    Raises:
        GeometryError: if the kernel has another shape.

    Examples:
        >>> layer = Geometry.of_conv_transpose((1, 8, 8), (1, 1, 3, 3), stride=2, padding=1)
        >>> checkerboard(layer).phases.tolist()
        [[1.0, 2.0], [2.0, 4.0]]
        >>> checkerboard(Geometry.of_conv_transpose((1, 8), (1, 1, 4), stride=2)).unevenness
        0.0

    A. Odena et al., doi:10.23915/distill.00003.
    """
    for sizes in (check_geometry(geometry).stride, geometry.kernel_size):
        check_elements("geometry", kind_of(geometry), sizes, MOST_COUNTED)
    counted = kernel is None
    sums = np.ones((1, *geometry.kernel_size)) if kernel is None else _weights(kernel, geometry)
    for n, axis in enumerate(geometry.axes, 1):
        taps = np.moveaxis(sums, n, 0)
        phases = np.zeros((axis.stride, *taps.shape[1:]))
        step, low = axis.dilation % axis.stride, axis.low % axis.stride
        np.add.at(phases, (step * np.arange(axis.kernel_size) - low) % axis.stride, taps)
        sums = np.moveaxis(phases, 0, n)
    each_phase = tuple(range(1, sums.ndim))
    means, deviations = np.abs(sums).mean(each_phase), sums.std(each_phase)
    uneven = np.divide(deviations, means, out=np.zeros_like(means), where=means > 0)
    worst = int(np.argmax(uneven))
    unevenness = float(uneven[worst]) if uneven[worst] > 1e-6 else 0.0
    return Checkerboard(unevenness, sums[worst], _advice(geometry, counted, unevenness))


def _weights(kernel: ArrayLike, geometry: Geometry) -> NDArray[np.float64]:
    """(channels of the result, *k): the weights of all channels that a channel adds up."""
    try:
        weights = np.asarray(kernel).astype(np.float64, casting="same_kind")
    except Exception:  # noqa: BLE001 - tracers, tensors that require gradients, strings
        rule = "its weights must be real numbers that are known before tracing"
        fail("kernel", kind_of(kernel), rule, "give an array of floats")
    if weights.shape != geometry.kernel_shape or not weights.size or not np.isfinite(weights).all():
        rule = f"it must have the geometry's kernel shape, {geometry.kernel_shape}, and be finite"
        fail("kernel", array_of(weights.shape), rule, "give the kernel of the layer")
    blocks = weights.reshape(geometry.groups, -1, *weights.shape[1:]).sum(1)
    return blocks.reshape(-1, *weights.shape[2:])


def _advice(geometry: Geometry, counted: bool, unevenness: float) -> str:
    if max(geometry.stride) == 1:
        return "with stride 1 there is one phase only, and no checkerboard"
    if unevenness == 0 and not counted:
        return "all phases have the same weight"
    for axis in geometry.axes:
        if (common := math.gcd(axis.stride, axis.dilation)) > 1:
            return (
                f"a dilation of {axis.dilation} and a stride of {axis.stride} have the divisor "
                f"{common} in common, so some phases have no tap at all; take a dilation without "
                "one, or use resize_conv"
            )
    for axis in geometry.axes:
        if axis.kernel_size % axis.stride:
            fewer = axis.kernel_size // axis.stride * axis.stride
            nearest = f"{fewer} or {fewer + axis.stride}" if fewer else axis.stride
            return (
                f"make the kernel a multiple of the stride ({nearest} taps in place of "
                f"{axis.kernel_size}), start with icnr_init(transposed=True), or use resize_conv"
            )
    if counted:
        return (
            "the kernel is a multiple of the stride, so every phase adds up as many taps; start "
            "with icnr_init(transposed=True) for equal weights too"
        )
    return (
        "the kernel is a multiple of the stride, so training can even it out; start with "
        "icnr_init(transposed=True), or use resize_conv"
    )
