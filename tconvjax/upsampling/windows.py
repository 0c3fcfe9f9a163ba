"""The windows of a pooling, as PyTorch reads its arguments, and the largest element of each."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jax import lax

from tconvjax.arguments import Ints, flag
from tconvjax.errors import Described, fail
from tconvjax.upsampling.images import each

MOST_TAPS = 16
"""Elements of a window that are compared one by one; of a larger one its halves are."""

Found = tuple[jax.Array, jax.Array]
"""Elements and their places, -1 for what is no element."""


@dataclass(frozen=True)
class Window:
    """One axis of a pooling, as PyTorch reads its arguments.

    Args:
        size: elements of the input.
        kernel: elements of a window.
        stride: elements from one window to the next.
        padding: elements before the first that belong to no input.
        dilation: elements from one of a window to the next.
        ceil: whether a last window that the input fills in part counts.
    """

    size: int
    kernel: int
    stride: int
    padding: int
    dilation: int
    ceil: bool

    @property
    def span(self) -> int:
        """Elements from the first of a window to its last."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def count(self) -> int:
        """Windows; none starts behind the input."""
        room = self.size + 2 * self.padding - self.span
        count = (-(-room // self.stride) if self.ceil else room // self.stride) + 1
        if self.ceil and (count - 1) * self.stride >= self.size + self.padding:
            count -= 1
        return count

    @property
    def high(self) -> int:
        """Padding after the last element that the last window needs; negative crops."""
        return self.stride * (self.count - 1) + self.span - self.size - self.padding


def windows_of(
    sizes: Sequence[int],
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
) -> list[Window]:
    """One window an axis, checked."""
    rank = len(sizes)
    kernels = each("kernel_size", kernel_size, rank, 1)
    strides = kernels if stride is None else each("stride", stride, rank, 1)
    pads, dilations = each("padding", padding, rank, 0), each("dilation", dilation, rank, 1)
    columns = zip(sizes, kernels, strides, pads, dilations, strict=True)
    windows = [Window(*column, flag("ceil_mode", ceil_mode)) for column in columns]
    for window in windows:
        if window.padding > window.kernel // 2:
            fail(
                "padding",
                window.padding,
                f"it is at most half of the window's {window.kernel} elements",
                f"give {window.kernel // 2} or less",
            )
        if window.count < 1:
            fail(
                "x",
                Described(f"{window.size} elements along an axis"),
                f"a window spans {window.span}",
                "pool less, or pad x",
            )
    return windows


# -- the largest of each ---------------------------------------------------------------------------


@functools.partial(jax.jit, static_argnames=("windows", "spatial"))
def largest(value: jax.Array, windows: tuple[Window, ...], spatial: tuple[int, ...]) -> Found:
    """The largest element of each window, and its place among those of the spatial axes.

    A window of padding only has the dtype's least value, and the index -1.
    Jitted, since each of the many slices would be compiled by itself without.
    """
    index, step = jnp.zeros(value.shape, jnp.int32), 1
    for position in reversed(spatial):
        index += step * lax.broadcasted_iota(jnp.int32, value.shape, position)
        step *= value.shape[position]
    found = value, index
    for window, position in reversed(list(zip(windows, spatial, strict=True))):
        found = _pooled(found, window, position)
    value, index = found
    inexact = jnp.issubdtype(value.dtype, jnp.inexact)
    least = -jnp.inf if inexact else jnp.iinfo(value.dtype).min
    return jnp.where(index < 0, jnp.array(least, value.dtype), value), index


def _pooled(found: Found, window: Window, position: int) -> Found:
    """Pool one axis; an index of -1 is a place outside x."""
    ends = [(0, 0, 0)] * found[0].ndim
    ends[position] = (window.padding, window.high, 0)
    value, index = found
    found = (lax.pad(value, jnp.zeros((), value.dtype), ends), lax.pad(index, jnp.int32(-1), ends))
    if window.kernel <= MOST_TAPS:
        parts = (_taken(found, window, position, tap) for tap in range(window.kernel))
        return functools.reduce(_larger, parts)
    # A window is two halves, which may overlap: the largest of both is as large. So a window of
    # 1000 takes 10 comparisons.
    reach = 1
    while 2 * reach <= window.kernel:
        size, step = found[0].shape[position], window.dilation * reach
        value, index = found
        found = _larger(
            (_part(value, 0, size - step, position), _part(index, 0, size - step, position)),
            (_part(value, step, size, position), _part(index, step, size, position)),
        )
        reach *= 2
    ends_of = [_taken(found, window, position, tap) for tap in (0, window.kernel - reach)]
    return _larger(*ends_of)


def _larger(first: Found, second: Found) -> Found:
    """Element by element, as PyTorch compares: of equals the first, and a NaN always wins."""
    (best, where), (other, place) = first, second
    larger = (place >= 0) & ((where < 0) | (other > best) | (other != other))
    return jnp.where(larger, other, best), jnp.where(larger, place, where)


def _taken(found: Found, window: Window, position: int, tap: int) -> Found:
    """One element of every window."""
    first = window.dilation * tap
    last = first + window.stride * (window.count - 1) + 1
    step = window.stride if window.count > 1 else 1
    value, index = found
    return _part(value, first, last, position, step), _part(index, first, last, position, step)


def _part(v: jax.Array, start: int, stop: int, position: int, step: int = 1) -> jax.Array:
    return lax.slice_in_dim(v, start, stop, step, axis=position)
