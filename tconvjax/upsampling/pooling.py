"""Pooling that remembers where its maxima were, and unpooling that puts them back."""

from __future__ import annotations

import functools
import math
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from tconvjax import operands
from tconvjax.arguments import Ints, flag
from tconvjax.errors import Described, array_of, fail
from tconvjax.geometry import Axis
from tconvjax.operations import conv
from tconvjax.upsampling import arguments as reading
from tconvjax.upsampling.arguments import Axes, Sizes, Windows

MOST_TAPS = 16
"""Maximum elements of a window to compare one by one; larger windows are compared by halves."""

Found: TypeAlias = tuple[jax.Array, ...]
"""Elements, and their indices among those of the spatial axes; -1 is padding."""


def _check_indices(argument: str, sizes: Sizes) -> None:
    if math.prod(sizes) > operands.MOST:
        rule = "an index of the spatial axes does not fit into 32 bits"
        fail(argument, Described(f"spatial sizes {sizes}"), rule, "pool or unpool in parts")


# -- the largest of each window --------------------------------------------------------------------


def max_pool(
    x: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    *,
    ceil_mode: bool = False,
    return_indices: bool = False,
    layout: str | None = None,
) -> Any:
    """Take the largest element of each window, and optionally where it was.

    y[i] = max over t of x[stride * i + dilation * t - padding]

    Args:
        x: (*batch, C, *n), or as layout says. Real numbers.
        kernel_size: elements of a window, an int or one per axis. An int and no layout: all axes
            but the first two are spatial; for a picture (3, 8, 8) give (2, 2) or layout="CHW".
        stride: elements from one window to the next; None for the kernel's size.
        padding: elements around x that are never the largest, at most half a kernel.
        dilation: elements from one element of a window to the next.
        ceil_mode: whether a last window that x fills only in part counts, as in PyTorch.
        return_indices: whether to return the places of the maxima too.
        layout: letters of x's axes such as "NHWC"; None for channels first.

    Returns:
        y, or with ``return_indices`` the tuple of y and an int32 array of the same shape: the
        index of each maximum among the elements of the spatial axes, in row-major order. Of equal
        elements the first is the maximum; NaN is larger than any number. A dilated window that
        covers nothing but padding gives the dtype's least value and the index -1.

    Raises:
        GeometryError: if the arguments do not fit together.

    Examples:
        >>> y, indices = max_pool(jnp.array([[[1, 5, 2, 7]]]), 2, return_indices=True)
        >>> y.tolist(), indices.tolist()
        ([[[5, 7]]], [[[1, 3]]])

    Arguments and results are those of ``torch.nn.functional.max_pool2d`` and its relatives.
    """
    value = reading.array("x", x, jnp.integer, jnp.floating)
    axes = reading.axes_of("x", value, layout, kernel_size, stride, padding, dilation)
    sizes = axes.sizes(value.shape)
    ceil, both = flag("ceil_mode", ceil_mode), flag("return_indices", return_indices)
    windows = reading.windows_of(sizes, kernel_size, stride, padding, dilation, ceil)
    _check_indices("x", sizes)
    found = _largest(value, windows, axes.spatial)
    return found if both else found[0]


@functools.partial(jax.jit, static_argnums=(1, 2))
def _largest(x: jax.Array, windows: Windows, spatial: Sizes) -> Found:
    """The largest element of each window, and its index."""
    sizes = [x.shape[position] for position in spatial]
    index = jnp.arange(math.prod(sizes), dtype=jnp.int32).reshape(sizes)
    found: Found = x, lax.broadcast_in_dim(index, x.shape, spatial)
    for window, position in reversed(list(zip(windows, spatial, strict=True))):
        found = _pooled(found, window, position)
    value, index = found
    inexact = jnp.issubdtype(value.dtype, jnp.inexact)
    least = -jnp.inf if inexact else jnp.iinfo(value.dtype).min
    return jnp.where(index < 0, jnp.array(least, value.dtype), value), index


def _pooled(found: Found, window: Axis, position: int) -> Found:
    """Pool one axis."""

    def part(found: Found, start: int, stop: int, step: int = 1) -> Found:
        return tuple(lax.slice_in_dim(v, start, stop, step, position) for v in found)

    def of_each_window(tap: int) -> Found:
        first = window.dilation * tap
        return part(found, first, first + window.stride * (window.out_size - 1) + 1, window.stride)

    ends = [(0, 0, 0)] * found[0].ndim
    ends[position] = (window.low, window.high, 0)
    found = tuple(
        lax.pad(v, jnp.array(fill, v.dtype), ends) for v, fill in zip(found, (0, -1), strict=True)
    )
    reach = 1
    if window.kernel_size > MOST_TAPS:
        # The maximum of two halves, which may overlap, is that of the window. This takes only 10
        # comparisons for a window of 1000 elements.
        while 2 * reach <= window.kernel_size:
            size, step = found[0].shape[position], window.dilation * reach
            found = _larger(part(found, 0, size - step), part(found, step, size))
            reach *= 2
    taps = range(window.kernel_size) if reach == 1 else (0, window.kernel_size - reach)
    return functools.reduce(_larger, map(of_each_window, taps))


def _larger(first: Found, second: Found) -> Found:
    """Compare element by element like PyTorch: the first of equals wins, and NaN always wins."""
    (best, where), (other, place) = first, second
    larger = (place >= 0) & ((where < 0) | (other > best) | (other != other))
    return jnp.where(larger, other, best), jnp.where(larger, place, where)


def max_unpool(
    y: ArrayLike,
    indices: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    *,
    output_size: Ints | None = None,
    layout: str | None = None,
) -> jax.Array:
    """Put the maxima back where they were, and zeros elsewhere.

    x[indices[i]] = y[i]

    Args:
        y: (*batch, C, *m), or as layout says.
        indices: whole numbers of y's shape, as `max_pool` returns them. An index outside the
            result's spatial axes is ignored; if an index occurs twice, either element may win.
        kernel_size: of the pooling, an int or one per axis, as in `max_pool`.
        stride: of the pooling; None for the kernel's size.
        padding: of the pooling.
        output_size: the spatial sizes of the result. They may differ by less than a stride from
            the default, (m - 1) * stride + kernel_size - 2 * padding.
        layout: letters of y's axes such as "NHWC"; None for channels first.

    Returns:
        The array with spatial sizes ``output_size``.

    Raises:
        GeometryError: if the arguments do not fit together.

    Examples:
        >>> max_unpool(jnp.array([[[5, 7]]]), jnp.array([[[1, 3]]]), 2).tolist()
        [[[0, 5, 0, 7]]]

    Arguments and results are those of ``torch.nn.functional.max_unpool2d`` and its relatives.
    """
    value, index = reading.array("y", y), reading.array("indices", indices, jnp.integer)
    if index.shape != value.shape:
        rule = f"it must have one index per element of y, which has shape {value.shape}"
        remedy = "pass the indices that max_pool returns with return_indices=True"
        fail("indices", array_of(index.shape), rule, remedy)
    axes = reading.axes_of("y", value, layout, kernel_size, stride, padding, output_size)
    kernels = reading.each("kernel_size", kernel_size, axes.rank, 1)
    strides = kernels if stride is None else reading.each("stride", stride, axes.rank, 1)
    pads = reading.each("padding", padding, axes.rank, 0)
    steps = zip(axes.sizes(value.shape), kernels, strides, pads, strict=True)
    sizes = tuple((n - 1) * s + k - 2 * p for n, k, s, p in steps)
    if output_size is not None:
        wanted = reading.each("output_size", output_size, axes.rank, 1)
        for default, size, s in zip(sizes, wanted, strides, strict=True):
            if abs(size - default) >= s:
                rule = f"it must differ by less than the stride {s} from {default}"
                remedy = f"give {max(default - s + 1, 1)} to {default + s - 1}"
                fail("output_size", output_size, rule, remedy)
        sizes = wanted
    elif min(sizes) < 1:
        fail("padding", padding, f"it leaves the sizes {sizes}", "give the padding of the pooling")
    _check_indices("kernel_size" if output_size is None else "output_size", sizes)
    return _put_back(value, index, axes, sizes, kernels, kernels == strides)


@functools.partial(jax.jit, static_argnums=(2, 3, 4, 5))
def _put_back(
    value: jax.Array, index: jax.Array, axes: Axes, sizes: Sizes, kernels: Sizes, apart: bool
) -> jax.Array:
    """Scatter the elements, or compare indices if every element lies in its own window.

    A scatter takes several times as long on a CPU.
    """
    value, index = axes.channels_first(value), axes.channels_first(index)
    if index.dtype.itemsize < 4:
        index = index.astype(jnp.int32)
    spatial, small = tuple(range(value.ndim - axes.rank, value.ndim)), value.shape[-axes.rank :]

    def own(v: jax.Array) -> jax.Array:
        """Repeat each element over its window."""
        for position, k in zip(spatial, kernels, strict=True):
            v = jnp.repeat(v, k, position)
        return v

    def in_place(index: jax.Array) -> jax.Array:
        """Whether the index of the window is that of the element itself."""
        index = own(index)
        places = jnp.arange(math.prod(sizes), dtype=index.dtype).reshape(sizes)
        return index == lax.broadcast_in_dim(places, index.shape, spatial)

    def compared(value: jax.Array, index: jax.Array) -> jax.Array:
        return jnp.where(in_place(index), own(value), jnp.zeros((), value.dtype))

    def scattered(value: jax.Array, index: jax.Array) -> jax.Array:
        lead, many = math.prod(value.shape[: spatial[0]]), math.prod(sizes)
        index = jnp.where(index < 0, many, index)  # JAX counts negative indices from the end
        flat, at = (v.reshape(lead, math.prod(small)) for v in (value, index))
        empty = jnp.zeros((lead, many), value.dtype)
        x = empty.at[jnp.arange(lead)[:, None], at].set(flat, mode="drop")
        return x.reshape(*value.shape[: spatial[0]], *sizes)

    tiles = tuple(n * k for n, k in zip(small, kernels, strict=True))
    if apart and sizes == tiles and value.size:
        hits = jnp.sum(in_place(index), spatial, jnp.int32)
        x = lax.cond(jnp.all(hits == math.prod(small)), compared, scattered, value, index)
    else:
        x = scattered(value, index)
    return axes.moved_back(x)


# -- the mean of each window -----------------------------------------------------------------------


def avg_pool(
    x: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    *,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    layout: str | None = None,
) -> jax.Array:
    """Take the mean of each window: a convolution of each channel with equal weights.

    y[i] = sum over t of x[stride * i + t - padding] / divisor

    Args:
        x: (*batch, C, *n), or as layout says. Integers become floats.
        kernel_size: elements of a window, an int or one per axis. An int and no layout: all axes
            but the first two are spatial; for a picture (3, 8, 8) give (2, 2) or layout="CHW".
        stride: elements from one window to the next; None for the kernel's size.
        padding: zeros around x, at most half a kernel.
        ceil_mode: whether a last window that x fills only in part counts, as in PyTorch.
        count_include_pad: whether the divisor counts the zeros of the padding.
        divisor_override: the divisor instead of a count; not 0.
        layout: letters of x's axes such as "NHWC"; None for channels first.

    Returns:
        y.

    Raises:
        GeometryError: if the arguments do not fit together.

    Examples:
        >>> avg_pool(jnp.array([[[1.0, 5.0, 2.0, 6.0]]]), 2).tolist()
        [[[3.0, 4.0]]]

    Arguments and results are those of ``torch.nn.functional.avg_pool2d`` and its relatives.
    """
    value, axes = reading.read("x", x, layout, kernel_size, stride, padding)
    ceil, counts = flag("ceil_mode", ceil_mode), flag("count_include_pad", count_include_pad)
    windows = reading.windows_of(axes.sizes(value.shape), kernel_size, stride, padding, 1, ceil)
    divisor = divisor_override
    if divisor is not None:
        (divisor,) = reading.each("divisor_override", divisor, 1, -operands.MOST)
        if not divisor:
            fail("divisor_override", 0, "nothing can be divided by 0", "give another number")
    return _means(reading.as_floats(value), axes, windows, divisor, counts)


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4))
def _means(
    x: jax.Array, axes: Axes, windows: Windows, divisor: int | None, counts: bool
) -> jax.Array:
    taps = np.ones([w.kernel_size for w in windows])
    steps, ends = [w.stride for w in windows], [(w.low, w.high) for w in windows]
    total = reading.convolve_channels(conv, x, taps, axes, steps, ends)
    if divisor is not None:
        return total / divisor
    for window, position in zip(windows, axes.spatial, strict=True):
        start = window.stride * np.arange(window.out_size) - window.low
        end = np.minimum(start + window.kernel_size, window.in_size + window.low)
        if not counts:  # the elements of x alone
            start, end = np.maximum(start, 0), np.minimum(end, window.in_size)
        total = total / reading.broadcastable(end - start, total, position)
    return total
