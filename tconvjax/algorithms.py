"""Equal ways to compute a convolution, and the choice among them.

Each algorithm is plain JAX code for the *forward* convolution, with one signature. What it
transposes to is derived in `tconvjax.partials`, so an algorithm is right in all three partials as
soon as it is right in one.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from tconvjax.forward import ROLES, Partial, Precision, Specs, convolve, placed
from tconvjax.geometry import Axis, Geometry, fail

MOST_SLICES = 128
"""Taps or strides of an axis; XLA takes seconds to compile a thousand slices."""
MOST_GATHERED = 2**25
"""Gathered elements of one input: 128 MiB of float32."""
Forward: TypeAlias = Callable[[jax.Array, jax.Array, Geometry, Specs, Precision], jax.Array]


# -- the choice ------------------------------------------------------------------------------------


def select_algorithm(
    geometry: Geometry, partial: Partial, dtype: Any = jnp.float32, platform: str | None = None
) -> str:
    """The algorithm that ``algorithm="auto"`` means.

    On a GPU or TPU it is "direct", whose transposes are the forms that XLA hands to cuDNN and to
    the matrix units. On a CPU it is what ``benchmarks/algorithms.py`` found fastest or close to it:
    XLA has a fast convolution there for one or two axes, and none for what autodiff makes of it.
    Where the copies that "patches" makes would pass 128 MiB for one input, or an axis has more than
    128 taps, it is "direct" there too, whatever that takes.

    Args:
        geometry: the convolution.
        partial: "conv", "conv_transpose" or "kernel_gradient".
        dtype: of the operands.
        platform: "cpu", "cuda", "rocm" or "tpu"; None for the default backend.

    Returns:
        A key of `ALGORITHMS`.

    Examples:
        >>> upsampling = Geometry.of_conv_transpose((8, 32, 32), (8, 4, 4, 4), stride=2, padding=1)
        >>> select_algorithm(upsampling, "conv_transpose", platform="cpu")
        'polyphase'
        >>> select_algorithm(upsampling, "conv_transpose", platform="tpu")
        'direct'
    """
    check_choice("partial", partial, ROLES)
    if (platform or jax.default_backend()) != "cpu":
        return "direct"
    return _on_cpu(geometry, partial, jnp.dtype(dtype))


def _on_cpu(geometry: Geometry, partial: Partial, dtype: Any) -> str:
    """XLA's fast convolution on a CPU takes one or two axes of float32; the rest is loops."""
    tiles = all(a.dilation == 1 and a.kernel_size == a.stride for a in geometry.axes)
    if not tiles and _too_large(geometry, partial):
        return "direct"
    doubles = dtype in (jnp.float64, jnp.complex128)
    if tiles or (doubles and geometry.rank == 1) or not jnp.issubdtype(dtype, jnp.inexact):
        return "patches"
    if partial == "conv":
        return "direct" if geometry.rank < 3 else "patches"
    taps = math.prod(geometry.kernel_shape)
    pixels = math.prod(geometry.in_shape) + math.prod(geometry.out_shape)
    if partial == "conv_transpose":
        # To split a kernel by phases it must be laid out anew, which only many pixels repay.
        return "direct" if geometry.rank < 3 and taps > 32 * pixels else "polyphase"
    if geometry.rank == 1 and geometry.groups == 1:
        return "polyphase" if taps < pixels else "patches"
    depthwise = geometry.groups > 1 and geometry.groups == geometry.in_channels
    plain = geometry.groups == 1 or depthwise
    return "direct" if geometry.rank == 2 and plain else "patches"


def _too_large(geometry: Geometry, partial: Partial) -> bool:
    """Whether the copies that "patches" makes, or a slice for each tap, would cost too much."""
    if any(max(a.kernel_size, a.stride) > MOST_SLICES for a in geometry.axes):
        return True
    seen = geometry.in_channels * math.prod(geometry.out_size) * math.prod(geometry.kernel_size)
    return partial != "conv_transpose" and seen > MOST_GATHERED


def check_choice(argument: str, value: Any, choices: Any) -> None:
    """Raise GeometryError unless a name is one of the choices."""
    if value not in choices:
        fail(argument, value, f"the choices are {', '.join(map(str, choices))}", "use one of them")


# -- three forward convolutions --------------------------------------------------------------------


def direct(
    x: jax.Array, w: jax.Array, geometry: Geometry, specs: Specs, precision: Precision
) -> jax.Array:
    """The definition itself: one ``lax.conv_general_dilated``."""
    return convolve(x, w, geometry, specs, precision)


def patches(
    x: jax.Array, w: jax.Array, geometry: Geometry, specs: Specs, precision: Precision
) -> jax.Array:
    """Gather what each output sees, then one matrix product; transposed, an overlap-add."""
    groups = geometry.groups
    x = _padded(_channels_last(x, specs.lhs_spec, groups), geometry)  # (N, *in, g, c)
    for n, axis in enumerate(geometry.axes):
        x = _windows(x, axis, 1 + n)  # (N, *out, *k, g, c)
    outs = (x.shape[0], *geometry.out_size)
    taps, width = math.prod(geometry.kernel_size), geometry.in_channels // groups
    kernel = _kernel_last(w, specs.rhs_spec).reshape(taps, width, groups, -1)
    if groups == 1:
        flat = x.reshape(*outs, taps * width)
        y = jnp.matmul(flat, kernel.reshape(taps * width, -1), precision=precision)
    else:
        y = jnp.einsum("...kgc,kcgo->...go", x.reshape(*outs, taps, groups, width), kernel,
                       precision=precision)  # fmt: skip
    return _placed_last(y.reshape(*outs, geometry.out_channels), specs.out_spec)


def polyphase(
    x: jax.Array, w: jax.Array, geometry: Geometry, specs: Specs, precision: Precision
) -> jax.Array:
    """Split x by its index modulo the stride: a stride-1 convolution on stride ** rank times the
    channels; transposed, a stride-1 convolution and a depth-to-space (sub-pixel convolution).

    The taps of an axis fall into as many residues; those with one tap more than the others are
    convolved apart, so that the kernel is never filled up with zero taps.
    """
    groups = geometry.groups
    x = _padded(_channels_last(x, specs.lhs_spec, groups), geometry)
    kernel = _kernel_last(w, specs.rhs_spec)  # (*k, c, O)
    parts = []
    for residues in _product_of_residues(geometry):
        part, taps = x, kernel
        for n, (axis, (start, stop)) in enumerate(zip(geometry.axes, residues, strict=True)):
            part = _phases(part, axis, 1 + n, start, stop)
            taps = _tap_phases(taps, axis, n, start, stop)
        parts.append(_unit_stride(part, taps, geometry, precision))
    return _placed_last(functools.reduce(operator.add, parts), specs.out_spec)


ALGORITHMS: Mapping[str, Forward] = MappingProxyType(
    {"direct": direct, "patches": patches, "polyphase": polyphase}
)
"""The algorithms by name."""


# -- what they share -------------------------------------------------------------------------------


def _channels_last(x: jax.Array, spec: Sequence[int], groups: int) -> jax.Array:
    """(N, *spatial, groups, channels / groups)."""
    x = lax.transpose(x, (spec[0], *spec[2:], spec[1]))
    return x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)


def _kernel_last(w: jax.Array, spec: Sequence[int]) -> jax.Array:
    """(*k, C / groups, O)."""
    return lax.transpose(w, (*spec[2:], spec[1], spec[0]))


def _placed_last(y: jax.Array, spec: Sequence[int]) -> jax.Array:
    """(N, *spatial, O) to where the layout wants the axes."""
    rank = y.ndim - 2
    return lax.transpose(y, placed((0, rank + 1, *range(1, rank + 1)), spec))


def _padded(x: jax.Array, geometry: Geometry) -> jax.Array:
    """Pad x (N, *in, g, c); every axis then has stride * (out - 1) + span elements."""
    ends = [(0, 0, 0), *((low, high, 0) for low, high in geometry.padding), (0, 0, 0), (0, 0, 0)]
    return lax.pad(x, jnp.zeros((), x.dtype), ends)


def _windows(x: jax.Array, axis: Axis, position: int) -> jax.Array:
    """Split an axis into (out, ...) and, before the last two axes, (..., taps, g, c)."""
    if axis.dilation == 1 and axis.stride == axis.kernel_size:
        shape = (*x.shape[:position], axis.out_size, axis.kernel_size, *x.shape[position + 1 :])
        return jnp.moveaxis(x.reshape(shape), position + 1, -3)
    last = axis.stride * (axis.out_size - 1) + 1
    starts = (axis.dilation * t for t in range(axis.kernel_size))
    slices = [lax.slice_in_dim(x, s, s + last, axis.stride, position) for s in starts]
    return jnp.stack(slices, axis=-3)


def _residue_count(axis: Axis) -> int:
    """Taps this many apart read elements of x with equal index modulo the stride."""
    return axis.stride // math.gcd(axis.stride, axis.dilation)


def _product_of_residues(geometry: Geometry) -> Iterator[tuple[tuple[int, int], ...]]:
    """Ranges (start, stop) of residues with equally many taps, over all axes."""

    def ranges(axis: Axis) -> list[tuple[int, int]]:
        count = _residue_count(axis)
        longer = axis.kernel_size % count or count
        split = [(0, longer), (longer, count)] if axis.kernel_size > count else [(0, longer)]
        return [(start, stop) for start, stop in split if start < stop]

    def product(axes: tuple[Axis, ...]) -> Iterator[tuple[tuple[int, int], ...]]:
        if not axes:
            yield ()
            return
        for head in ranges(axes[0]):
            for tail in product(axes[1:]):
                yield (head, *tail)

    return product(geometry.axes)


def _taps_of(axis: Axis, residue: int) -> int:
    """How many taps have this residue."""
    return len(range(residue, axis.kernel_size, _residue_count(axis)))


def _phases(x: jax.Array, axis: Axis, position: int, start: int, stop: int) -> jax.Array:
    """Split an axis into (rows, ...) and, before the last two axes, (..., residues, g, c).

    Row q of residue r is element stride * q + dilation * r of the padded line.
    """
    step = axis.dilation // math.gcd(axis.stride, axis.dilation)
    rows = axis.out_size + step * (_taps_of(axis, start) - 1)
    if axis.dilation == 1:
        missing = max(axis.stride * rows - x.shape[position], 0)
        ends = [(0, 0, 0)] * x.ndim
        ends[position] = (0, missing, 0)
        x = lax.pad(x, jnp.zeros((), x.dtype), ends)
        x = lax.slice_in_dim(x, 0, axis.stride * rows, axis=position)
        x = x.reshape(*x.shape[:position], rows, axis.stride, *x.shape[position + 1 :])
        x = lax.slice_in_dim(x, start, stop, axis=position + 1)
        return jnp.moveaxis(x, position + 1, -3)
    last = axis.stride * (rows - 1) + 1
    starts = (axis.dilation * r for r in range(start, stop))
    slices = [lax.slice_in_dim(x, s, s + last, axis.stride, position) for s in starts]
    return jnp.stack(slices, axis=-3)


def _tap_phases(w: jax.Array, axis: Axis, position: int, start: int, stop: int) -> jax.Array:
    """Split a kernel axis into (taps, ...) and, before the last two axes, (..., residues, c, O)."""
    count = _residue_count(axis)
    slices = [lax.slice_in_dim(w, r, axis.kernel_size, count, position) for r in range(start, stop)]
    return jnp.stack(slices, axis=-3)


def _unit_stride(x: jax.Array, w: jax.Array, geometry: Geometry, precision: Precision) -> jax.Array:
    """Convolve x (N, *rows, *residues, g, c) with w (*taps, *residues, c, O), stride 1."""
    rank = geometry.rank
    x = jnp.moveaxis(x, -2, 1 + rank)  # (N, *rows, g, *residues, c)
    x = x.reshape(*x.shape[: 1 + rank], -1)
    w = w.reshape(*w.shape[:rank], -1, w.shape[-1])
    steps = [a.dilation // math.gcd(a.stride, a.dilation) for a in geometry.axes]
    axes = tuple(
        Axis(x.shape[1 + n], a.out_size, w.shape[n], 1, steps[n])
        for n, a in enumerate(geometry.axes)
    )
    unit = Geometry(axes, x.shape[-1], geometry.out_channels, geometry.groups)
    last = (0, rank + 1, *range(1, rank + 1))
    kernel = (rank + 1, rank, *range(rank))
    return convolve(x, w, unit, lax.ConvDimensionNumbers(last, kernel, last), precision)
