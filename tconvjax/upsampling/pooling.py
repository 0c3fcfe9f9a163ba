"""Pooling that remembers where its maxima were, and unpooling that puts them back."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from typing import Any, Literal, overload

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike
from numpy.typing import NDArray

from tconvjax.arguments import Ints, flag
from tconvjax.errors import Described, array_of, fail
from tconvjax.operations import conv
from tconvjax.upsampling.images import (
    MOST,
    Places,
    algorithm,
    array,
    conv_numbers,
    each,
    places,
)
from tconvjax.upsampling.windows import Window, largest, windows_of

# -- the largest of each window --------------------------------------------------------------------


@overload
def max_pool(
    x: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = ...,
    padding: Ints = ...,
    dilation: Ints = ...,
    *,
    ceil_mode: bool = ...,
    return_indices: Literal[False] = ...,
    layout: str | None = ...,
) -> jax.Array: ...
@overload
def max_pool(
    x: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = ...,
    padding: Ints = ...,
    dilation: Ints = ...,
    *,
    ceil_mode: bool = ...,
    return_indices: Literal[True],
    layout: str | None = ...,
) -> tuple[jax.Array, jax.Array]: ...
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
) -> jax.Array | tuple[jax.Array, jax.Array]:
    """The largest element of each window, and where it was.

    y[i] = max over t of x[stride * i + dilation * t - padding]

    Args:
        x: (N, C, *n), or as layout says; also without a batch axis or with several. Real numbers.
        kernel_size: elements of a window: an int or one an axis.
        stride: elements from one window to the next; the kernel's size without.
        padding: elements around x that are never the largest, at most half a kernel.
        dilation: elements from one of a window to the next.
        ceil_mode: whether a last window that x fills in part counts, as in PyTorch.
        return_indices: whether to return where the maxima were too.
        layout: letters of x's axes such as "NHWC"; None for channels first.

    Returns:
        y, and with ``return_indices`` the indices: int32, each that of an element of the input's
        spatial axes, counted through in order. Of equal elements it is the first; NaN is largest.
        A dilated window that meets padding only has the dtype's least value, and the index -1.

    Raises:
        GeometryError: if the arguments do not fit together.

    Examples:
        >>> y, indices = max_pool(jnp.array([[[1, 5, 2, 7]]]), 2, return_indices=True)
        >>> y.tolist(), indices.tolist()
        ([[[5, 7]]], [[[1, 3]]])

    Arguments and results are those of ``torch.nn.functional.max_pool2d`` and its like.
    """
    value = array("x", x)
    if jnp.issubdtype(value.dtype, jnp.complexfloating):
        fail(
            "x",
            Described(f"array of dtype {value.dtype}"),
            "complex numbers have no largest one",
            "pool its real part, or its size",
        )
    both = flag("return_indices", return_indices)
    there = places("x", value, layout, kernel_size, stride, padding, dilation)
    sizes = there.sizes(value.shape)
    windows = windows_of(sizes, kernel_size, stride, padding, dilation, ceil_mode)
    _check_indices("x", sizes)
    value, index = largest(value, tuple(windows), there.spatial)
    return (value, index) if both else value


def _check_indices(argument: str, sizes: tuple[int, ...]) -> None:
    """An element's place among those of the spatial axes must fit an index."""
    if math.prod(sizes) > MOST:
        fail(
            argument,
            Described(f"spatial sizes {sizes}"),
            "an index of its spatial axes does not fit 32 bits",
            "pool or unpool it in parts",
        )


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
        y: (N, C, *m), or as layout says; also without a batch axis or with several.
        indices: of y's shape, whole numbers, as `max_pool` gives them. An index outside of the
            result's spatial axes puts nothing; where one is there twice, either may win.
        kernel_size: of the pooling: an int or one an axis.
        stride: of the pooling; the kernel's size without.
        padding: of the pooling.
        output_size: the wanted spatial sizes, fewer than a stride from
            (m - 1) * stride + kernel_size - 2 * padding, which is meant without.
        layout: letters of y's axes such as "NHWC"; None for channels first.

    Returns:
        The array with spatial sizes ``output_size``.

    Raises:
        GeometryError: if the arguments do not fit together.

    Examples:
        >>> max_unpool(jnp.array([[[5, 7]]]), jnp.array([[[1, 3]]]), 2).tolist()
        [[[0, 5, 0, 7]]]

    Arguments and results are those of ``torch.nn.functional.max_unpool2d`` and its like.
    """
    value, index = array("y", y), array("indices", indices)
    if index.shape != value.shape or not jnp.issubdtype(index.dtype, jnp.integer):
        fail(
            "indices",
            Described(f"array of shape {index.shape} and dtype {index.dtype}"),
            f"it has a whole number for each element of y, of shape {value.shape}",
            "give max_pool's, with return_indices=True",
        )
    there = places("y", value, layout, kernel_size, stride, padding, output_size)
    kernels = each("kernel_size", kernel_size, there.rank, 1)
    strides = kernels if stride is None else each("stride", stride, there.rank, 1)
    old = there.sizes(value.shape)
    sizes = _unpooled_sizes(old, kernels, strides, padding, output_size)
    _check_indices("kernel_size" if output_size is None else "output_size", sizes)
    return _put_back(value, index, there, sizes, kernels, strides)


@functools.partial(jax.jit, static_argnums=(2, 3, 4, 5))
def _put_back(
    value: jax.Array,
    index: jax.Array,
    there: Places,
    sizes: tuple[int, ...],
    kernels: tuple[int, ...],
    strides: tuple[int, ...],
) -> jax.Array:
    old = there.sizes(value.shape)
    if index.dtype.itemsize < 4:
        index = index.astype(jnp.int32)
    spatial = tuple(range(value.ndim - there.rank, value.ndim))
    value, index = (jnp.moveaxis(v, there.spatial, spatial) for v in (value, index))
    tiles = tuple(n * k for n, k in zip(old, kernels, strict=True))
    if sizes == tiles and strides == kernels and value.size:
        # Where windows do not overlap and all indices lie in their own, no scatter is needed; it
        # takes several times as long on a CPU.
        result = lax.cond(
            _in_own_windows(index, kernels),
            functools.partial(_by_window, kernels=kernels),
            functools.partial(_scattered, sizes=sizes),
            value,
            index,
        )
    else:
        result = _scattered(value, index, sizes)
    return jnp.moveaxis(result, spatial, there.spatial)


def _scattered(value: jax.Array, index: jax.Array, sizes: tuple[int, ...]) -> jax.Array:
    lead = value.shape[: value.ndim - len(sizes)]
    rows, many = jnp.arange(math.prod(lead))[:, None], math.prod(value.shape[len(lead) :])
    flat, at = value.reshape(rows.size, many), index.reshape(rows.size, many)
    at = jnp.where(at < 0, math.prod(sizes), at)  # JAX counts negative indices from the end
    empty = jnp.zeros((rows.size, math.prod(sizes)), value.dtype)
    return empty.at[rows, at].set(flat, mode="drop").reshape(*lead, *sizes)


def _in_own_windows(index: jax.Array, kernels: tuple[int, ...]) -> jax.Array:
    """Whether each index is that of an element of its own window."""
    inside, rest = index >= 0, index
    for n in reversed(range(len(kernels))):
        position = index.ndim - len(kernels) + n
        own = lax.broadcasted_iota(index.dtype, index.shape, position)
        size = index.shape[position] * kernels[n]
        # What is left of the first axis must be inside too, so it is not reduced.
        inside &= (rest % size if n else rest) // kernels[n] == own
        rest = rest // size
    return jnp.all(inside)


def _by_window(value: jax.Array, index: jax.Array, kernels: tuple[int, ...]) -> jax.Array:
    """Every element of a window compares its own place with its window's index."""
    start, shape = value.ndim - len(kernels), value.shape
    spread = [n for pair in zip(shape[start:], kernels, strict=True) for n in pair]
    axes = (*range(start), *(start + 2 * n for n in range(len(kernels))))
    tiles = tuple(n * k for n, k in zip(shape[start:], kernels, strict=True))
    values, places = (
        lax.broadcast_in_dim(v, (*shape[:start], *spread), axes).reshape(*shape[:start], *tiles)
        for v in (value, index)
    )
    own = jnp.arange(math.prod(tiles), dtype=index.dtype).reshape((1,) * start + tiles)
    return jnp.where(places == own, values, jnp.zeros((), value.dtype))


def _unpooled_sizes(
    given: Sequence[int],
    kernels: Sequence[int],
    strides: Sequence[int],
    padding: Ints,
    output_size: Ints | None,
) -> tuple[int, ...]:
    rank = len(given)
    pads = each("padding", padding, rank, 0)
    steps = list(zip(given, kernels, strides, pads, strict=True))
    sizes = tuple((n - 1) * s + k - 2 * p for n, k, s, p in steps)
    if output_size is not None:
        wanted = each("output_size", output_size, rank, 1)
        for size, asked, s in zip(sizes, wanted, strides, strict=True):
            if abs(asked - size) >= s:
                fail(
                    "output_size",
                    output_size,
                    f"an axis has {size} elements, and fewer than {s} more or less",
                    f"give {max(size - s + 1, 1)} to {size + s - 1}",
                )
        return wanted
    if min(sizes) < 1:
        fail("padding", padding, f"it leaves sizes {sizes}", "give the pooling's padding")
    return sizes


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
    """The mean of each window: a convolution with equal weights, channel by channel.

    y[i] = sum over t of x[stride * i + t - padding] / divisor

    Args:
        x: (N, C, *n), or as layout says; also without a batch axis or with several. Integers
            become floats.
        kernel_size: elements of a window: an int or one an axis.
        stride: elements from one window to the next; the kernel's size without.
        padding: zeros around x, at most half a kernel.
        ceil_mode: whether a last window that x fills in part counts, as in PyTorch.
        count_include_pad: whether the divisor counts the zeros of the padding.
        divisor_override: the divisor, in place of a count; not 0.
        layout: letters of x's axes such as "NHWC"; None for channels first.

    Returns:
        y.

    Raises:
        GeometryError: if the arguments do not fit together.

    Examples:
        >>> avg_pool(jnp.array([[[1.0, 5.0, 2.0, 6.0]]]), 2).tolist()
        [[[3.0, 4.0]]]

    Arguments and results are those of ``torch.nn.functional.avg_pool2d`` and its like.
    """
    value = array("x", x)
    there = places("x", value, layout, kernel_size, stride, padding)
    windows = windows_of(there.sizes(value.shape), kernel_size, stride, padding, 1, ceil_mode)
    divisor = _divisor(divisor_override)
    with_padding = flag("count_include_pad", count_include_pad)
    return _means(value, there, tuple(windows), divisor, with_padding, layout)


@functools.partial(jax.jit, static_argnums=(1, 2, 3, 4, 5))
def _means(
    value: jax.Array,
    there: Places,
    windows: tuple[Window, ...],
    divisor: int | None,
    with_padding: bool,
    layout: str | None,
) -> jax.Array:
    if not jnp.issubdtype(value.dtype, jnp.inexact):
        value = value.astype(jnp.result_type(float))
    channels = value.shape[there.channel]
    taps = [w.kernel for w in windows]
    total = conv(
        value,
        jnp.ones((channels, min(channels, 1), *taps), value.dtype),
        stride=[w.stride if w.count > 1 else 1 for w in windows],
        padding=[(w.padding, w.high) for w in windows],
        groups=max(channels, 1),
        algorithm=algorithm(math.prod(taps)),
        dimension_numbers=conv_numbers(layout),
    )
    if divisor is not None:
        return total / divisor
    for window, position in zip(windows, there.spatial, strict=True):
        shape = [1] * total.ndim
        shape[position] = window.count
        counts = jnp.asarray(_divisors(window, with_padding), total.dtype)
        total = total / counts.reshape(shape)
    return total


def _divisor(given: Any) -> int | None:
    """One whole number other than 0, or None."""
    if given is None:
        return None
    (divisor,) = each("divisor_override", given, 1, -MOST)
    if not divisor:
        fail("divisor_override", 0, "nothing is divided by 0", "give another number")
    return divisor


def _divisors(window: Window, with_padding: bool) -> NDArray[np.int64]:
    """The elements of each window, those beyond the padding never among them."""
    start = window.stride * np.arange(window.count) - window.padding
    end = np.minimum(start + window.kernel, window.size + window.padding)
    if with_padding:
        return end - start
    return np.minimum(end, window.size) - np.maximum(start, 0)


def avg_unpool(
    y: ArrayLike,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    *,
    output_size: Ints,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
    layout: str | None = None,
) -> jax.Array:
    """The adjoint of `avg_pool`: each mean spread evenly over its window.

    Args:
        y: what the pooling of an array of spatial sizes ``output_size`` gives.
        kernel_size: of the pooling, as all the rest.
        stride: of the pooling.
        padding: of the pooling.
        output_size: an int or one an axis.
        ceil_mode: of the pooling.
        count_include_pad: of the pooling.
        divisor_override: of the pooling.
        layout: letters of y's axes such as "NHWC"; None for channels first.

    Returns:
        The array with spatial sizes ``output_size``.

    Raises:
        GeometryError: if the pooling of that size does not give y's shape.

    Examples:
        >>> avg_unpool(jnp.array([[[3.0, 4.0]]]), 2, output_size=4).tolist()
        [[[1.5, 1.5, 2.0, 2.0]]]
    """
    value = array("y", y)
    if not jnp.issubdtype(value.dtype, jnp.inexact):
        value = value.astype(jnp.result_type(float))
    there = places("y", value, layout, kernel_size, stride, padding, output_size)
    sizes = each("output_size", output_size, there.rank, 1)
    like = jax.ShapeDtypeStruct(there.resized(value.shape, sizes), value.dtype)

    def pooled(x: Any) -> jax.Array:
        return avg_pool(
            x,
            kernel_size,
            stride,
            padding,
            ceil_mode=ceil_mode,
            count_include_pad=count_include_pad,
            divisor_override=divisor_override,
            layout=layout,
        )

    windows = windows_of(sizes, kernel_size, stride, padding, 1, ceil_mode)
    shape = there.resized(value.shape, tuple(window.count for window in windows))
    if shape != value.shape:
        fail(
            "y",
            array_of(value.shape),
            f"the pooling of {sizes} gives {shape}",
            "give another output_size",
        )
    (x,) = jax.linear_transpose(pooled, like)(value)
    return x
