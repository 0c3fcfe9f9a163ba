"""How many stamps land on each pixel: the checkerboard of a transposed convolution, in numbers."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jax.typing import ArrayLike
from numpy.typing import NDArray

from tconvjax.errors import Described, array_of, fail, kind_of
from tconvjax.geometry import Axis, Geometry, check_geometry
from tconvjax.shown import Shown

MOST_COUNTED = 2**26
"""Elements of a result, or phases, that are counted."""


def overlap(geometry: Geometry) -> NDArray[np.int64]:
    """How many products each element of a transposed convolution's result adds up, in one channel.

    overlap[j] = number of (i, t) with stride * i + dilation * t - low = j, over all axes

    Args:
        geometry: of the forward convolution, as `Geometry.of_conv_transpose` makes it.

    Returns:
        Whole numbers of shape ``in_size``.

    Raises:
        GeometryError: if there are more than 67 million elements.

    Examples:
        >>> overlap(Geometry.of_conv_transpose((1, 4), (1, 1, 3), stride=2)).tolist()
        [1, 1, 2, 1, 2, 1, 2, 1, 1]
    """
    _check_size("geometry", check_geometry(geometry).in_size)
    for axis in geometry.axes:
        _check_size("geometry", (_padded_size(axis),))
    lines = [_overlap(axis) for axis in geometry.axes]
    return functools.reduce(np.multiply.outer, lines)


def _overlap(axis: Axis) -> NDArray[np.int64]:
    """Of one axis: the padded line, its border then added to what it copies."""
    line, counts = _padded_overlap(axis), np.zeros(axis.in_size, np.int64)
    if not axis.bordered:
        cropped, first = max(-axis.low, 0), max(axis.low, 0)
        seen = line[first:][: max(axis.in_size - cropped, 0)]
        counts[cropped : cropped + len(seen)] = seen
        return counts
    sources = [axis.source(position - axis.low) for position in np.flatnonzero(line).tolist()]
    met = np.array([-1 if j is None else j for j in sources], np.int64)
    np.add.at(counts, met[met >= 0], line[np.flatnonzero(line)][met >= 0])
    return counts


def _padded_size(axis: Axis) -> int:
    """Elements of the padded line."""
    return axis.in_size + axis.low + axis.high


def _padded_overlap(axis: Axis) -> NDArray[np.int64]:
    """Of the padded line: a stamp is 1 at every tap, so it rises at its first and falls behind its
    last, and a sum over every dilation-th element makes it of that.
    """
    size = _padded_size(axis)
    step = max(min(axis.dilation, size), 1)
    line = np.zeros(-(-size // step) * step, np.int64)
    firsts = axis.stride * np.arange(axis.out_size)
    line[firsts] += 1
    behind = firsts + axis.dilation * axis.kernel_size
    line[behind[behind < len(line)]] -= 1
    return line.reshape(-1, step).cumsum(0).ravel()[:size]


def _check_size(argument: str, sizes: Sequence[int]) -> None:
    """What is counted element by element must fit."""
    if math.prod(sizes) > MOST_COUNTED:
        fail(
            argument,
            Described(f"sizes {tuple(sizes)}"),
            f"{MOST_COUNTED} elements are counted at most",
            "look at a smaller one, which repeats just so",
        )


@dataclass(frozen=True)
class Checkerboard(Shown):
    """How unevenly a transposed convolution treats the elements of its result.

    Args:
        unevenness: the standard deviation of what the phases add up, over its mean size; 0 for
            none. Of several channels the largest.
        phases: what each phase adds up of a constant input, away from the border: its taps, or the
            sum of its weights, (*stride).
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
    """Whether the result of a transposed convolution has a checkerboard, and what to change.

    Away from the border the result of a constant input repeats with the stride: element j adds up
    the taps t with dilation * t = j + low modulo the stride. Where these sums differ from phase to
    phase, so does the brightness of neighbouring pixels.

    Args:
        geometry: of the forward convolution.
        kernel: (O, C / groups, *k), to add up its weights; None to count taps, as for a kernel
            whose weights are all 1, which is what a random kernel is on average.

    Returns:
        The unevenness, the phases' sums and a sentence.

    Raises:
        GeometryError: if the kernel has another shape.

    Examples:
        >>> there = Geometry.of_conv_transpose((1, 8, 8), (1, 1, 3, 3), stride=2, padding=1)
        >>> checkerboard(there).phases.tolist()
        [[1.0, 2.0], [2.0, 4.0]]
        >>> checkerboard(Geometry.of_conv_transpose((1, 8), (1, 1, 4), stride=2)).unevenness
        0.0

    A. Odena et al., doi:10.23915/distill.00003.
    """
    _check_size("stride", check_geometry(geometry).stride)
    _check_size("kernel_size", geometry.kernel_size)
    if kernel is None:
        lines = [np.bincount(_phases(a), minlength=a.stride) for a in geometry.axes]
        sums = functools.reduce(np.multiply.outer, lines).astype(np.float64)[None]
    else:
        sums = _sums(_weights(kernel, geometry), geometry.axes)
    means = np.abs(sums).mean(axis=tuple(range(1, sums.ndim)))
    deviations = sums.std(axis=tuple(range(1, sums.ndim)))
    uneven = np.divide(deviations, means, out=np.zeros_like(means), where=means > 0)
    worst = int(np.argmax(uneven))
    number = float(uneven[worst]) if uneven[worst] > 1e-6 else 0.0
    return Checkerboard(number, sums[worst], _advice(geometry, kernel is None, number))


def _weights(kernel: ArrayLike, geometry: Geometry) -> NDArray[np.float64]:
    """(channels of the result, *k): the weights of all channels that a channel adds up."""
    try:
        weights = np.asarray(kernel).astype(np.float64, casting="same_kind")
    except Exception:  # noqa: BLE001 - tracers, tensors that require gradients, strings
        fail(
            "kernel",
            kind_of(kernel),
            "its weights are real numbers, known before tracing",
            "give an array of floats",
        )
    if weights.shape != geometry.kernel_shape:
        fail(
            "kernel",
            array_of(weights.shape),
            f"the geometry's kernel has shape {geometry.kernel_shape}",
            "give the layer's kernel",
        )
    if not np.isfinite(weights).all() or not weights.size:
        fail(
            "kernel",
            array_of(weights.shape),
            "it has weights, and all of them are finite",
            "give the layer's kernel",
        )
    blocks = weights.reshape(geometry.groups, -1, *weights.shape[1:]).sum(1)
    return blocks.reshape(-1, *weights.shape[2:])


def _phases(axis: Axis) -> NDArray[np.int64]:
    """The phase of the result that each tap reaches."""
    return (axis.dilation * np.arange(axis.kernel_size) - axis.low) % axis.stride


def _sums(weights: NDArray[np.float64], axes: Sequence[Axis]) -> NDArray[np.float64]:
    """(channels of the result, *stride): what each phase adds up."""
    sums = weights
    for n, axis in enumerate(axes):
        taps = np.moveaxis(sums, n + 1, 0)
        phases = np.zeros((axis.stride, *taps.shape[1:]))
        np.add.at(phases, _phases(axis), taps)
        sums = np.moveaxis(phases, 0, n + 1)
    return sums


def _advice(geometry: Geometry, counted: bool, unevenness: float) -> str:
    if max(geometry.stride) == 1:
        return "with stride 1 there is one phase only, and no checkerboard"
    if unevenness == 0 and not counted:
        return "all phases have the same weight"
    apart = [axis for axis in geometry.axes if math.gcd(axis.stride, axis.dilation) > 1]
    if apart:
        axis = apart[0]
        return (
            f"a dilation of {axis.dilation} and a stride of {axis.stride} have the divisor "
            f"{math.gcd(axis.stride, axis.dilation)} in common, so some phases have no tap at "
            "all; take a dilation without one, or use resize_conv"
        )
    uneven = [axis for axis in geometry.axes if axis.kernel_size % axis.stride]
    if not uneven and counted:
        return (
            "the kernel is a multiple of the stride, so every phase adds up as many taps; "
            "start with icnr_init(transposed=True) for equal weights too"
        )
    if not uneven:
        return (
            "the kernel is a multiple of the stride, so training can even it out; start with "
            "icnr_init(transposed=True), or use resize_conv"
        )
    axis = uneven[0]
    nearest = sorted(
        {
            max(axis.kernel_size // axis.stride, 1) * axis.stride,
            -(-axis.kernel_size // axis.stride) * axis.stride,
        }
    )
    return (
        f"make the kernel a multiple of the stride ({' or '.join(map(str, nearest))} taps in "
        f"place of {axis.kernel_size}), start with icnr_init(transposed=True), or use "
        "resize_conv"
    )
