"""Count the stamps on each pixel: the checkerboard of a transposed convolution, in numbers."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.typing import ArrayLike
from numpy.typing import NDArray

from tconvjax.errors import array_of, fail, kind_of
from tconvjax.geometry import Axis, Geometry, check_geometry
from tconvjax.shown import Shown
from tconvjax.upsampling.arguments import MOST_COUNTED, check_elements


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
    # A stamp is 1 at each tap. So it is a running sum, over every dilation-th element, of 1 at its
    # first tap and -1 behind its last.
    step = max(min(axis.dilation, size), 1)
    line = np.zeros(-(-size // step) * step, np.int64)
    first = axis.stride * np.arange(axis.out_size)
    line[first] += 1
    behind = first + step * axis.kernel_size
    line[behind[behind < len(line)]] -= 1
    line = line.reshape(-1, step).cumsum(0).ravel()[:size]
    sources = np.arange(size) - axis.low
    if axis.bordered and axis.in_size:
        runs = [start + sign * np.arange(count) for start, count, sign in axis.border_runs()]
        sources = np.concatenate(runs)
    counts = np.zeros(axis.in_size, np.int64)
    inside = (sources >= 0) & (sources < axis.in_size)
    np.add.at(counts, sources[inside], line[inside])
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
