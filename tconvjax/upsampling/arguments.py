"""Readers of the arguments that upsampling functions share: arrays, layouts and windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from numpy.typing import NDArray

from tconvjax import operands
from tconvjax.arguments import Ints, frozen, ints
from tconvjax.errors import Described, array_of, fail
from tconvjax.geometry import Axis
from tconvjax.geometry.padding import Padding, pads
from tconvjax.layouts import Specs, positions

Sizes: TypeAlias = tuple[int, ...]
"""One whole number per axis."""

Windows: TypeAlias = tuple[Axis, ...]
"""The sliding windows along each spatial axis, as the axes of a convolution."""

MOST_COUNTED = 2**26
"""Maximum number of elements that NumPy counts or writes out."""

MOST_TERMS = 128
"""Maximum number of slices or summands in one program; more take long to compile."""


def array(name: str, value: Any, *kinds: Any) -> jax.Array:
    """Read an array whose dtype is of one of some kinds; 64 bits become 32 if those are off."""
    (read,) = operands.arrays(**{name: value})
    if kinds and not any(jnp.issubdtype(read.dtype, kind) for kind in kinds):
        rule = f"its dtype must be {' or '.join(kind.__name__ for kind in kinds)}"
        fail(name, Described(f"array of dtype {read.dtype}"), rule, f"convert {name} with .astype")
    return jnp.asarray(read)


def as_floats(x: jax.Array) -> jax.Array:
    """Turn integers into floats, and leave floats and complex numbers as they are."""
    return x if jnp.issubdtype(x.dtype, jnp.inexact) else x.astype(jnp.result_type(float))


def each(name: str, value: Any, rank: int | None, least: int) -> Sizes:
    """Read one int per axis, at least ``least`` and at most 2**31 - 1."""
    numbers = ints(name, value, rank, least)
    if max(numbers) > operands.MOST:
        fail(name, value, f"it must be at most {operands.MOST}", "give smaller numbers")
    return numbers


def divisors(factor: Any, sizes: Sizes) -> Sizes:
    """Read one factor per axis that divides the size of this axis."""
    factors = each("factor", factor, len(sizes), 1)
    if any(n % f for n, f in zip(sizes, factors, strict=True)):
        fail("factor", factor, f"it must divide the sizes {sizes}", "crop or pad x first")
    return factors


def real(name: str, value: Any) -> Any:
    """Read a finite number of at least 0; a traced one is returned as it is."""
    if isinstance(value, jax.core.Tracer) and value.ndim == 0:
        return value
    try:
        number = math.nan if isinstance(value, str | bytes) else float(value)
    except Exception:  # noqa: BLE001 - None, complex numbers, arrays of many
        number = math.nan
    if not 0 <= number < math.inf:
        fail(name, value, "it must be a finite number of at least 0", "give 1.0, for example")
    return number


def check_elements(
    name: str, value: Any, shape: Sequence[int], most: int = operands.MOST_ELEMENTS
) -> None:
    """Reject an array too large for memory; XLA would abort the process."""
    if math.prod(shape) > most or max(shape, default=0) > operands.MOST:
        rule = f"it asks for an array of shape {tuple(shape)}, and the limit is {most} elements"
        fail(name, value, f"{rule}, {operands.MOST} along an axis", "give smaller numbers")


# -- where the axes are ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Axes:
    """Positions of an array's channels and spatial axes, and its layouts for `tconvjax.conv`."""

    channel: int
    spatial: Sizes
    specs: Specs

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.spatial)

    def sizes(self, shape: Sizes) -> Sizes:
        """The spatial sizes of an array of that shape."""
        return tuple(shape[position] for position in self.spatial)

    def resized(self, shape: Sizes, sizes: Sequence[int]) -> Sizes:
        """The shape with other spatial sizes."""
        new = dict(zip(self.spatial, sizes, strict=True))
        return tuple(new.get(position, size) for position, size in enumerate(shape))

    def channels_first(self, x: jax.Array) -> jax.Array:
        """Move the axes to (*batch, C, *spatial)."""
        last = range(x.ndim - self.rank - 1, x.ndim)
        return jnp.moveaxis(x, (self.channel, *self.spatial), last)

    def moved_back(self, x: jax.Array) -> jax.Array:
        """The inverse of `channels_first`."""
        last = range(x.ndim - self.rank - 1, x.ndim)
        return jnp.moveaxis(x, last, (self.channel, *self.spatial))


def layout_spec(layout: Any) -> Sizes:
    """Read the letters of a layout as positions (batch, channel, *spatial); N leads by default."""
    letters = layout if isinstance(layout, str) else ""
    letters = letters if "N" in letters else f"N{letters}"
    spatial = [n for n, letter in enumerate(letters) if letter not in "NC"]
    if len(set(letters)) != len(letters) or "C" not in letters or not spatial:
        rule = "it must have one letter per axis, C among them and at least one for a spatial axis"
        fail("layout", layout, rule, "give 'NCHW' or 'NHWC', for example")
    return letters.index("N"), letters.index("C"), *spatial


def axes_of(name: str, x: Any, layout: str | None, *arguments: Any) -> Axes:
    """Find the axes of x by the letters of a layout, or channels first.

    Without a layout, a tuple among the arguments has an element per spatial axis; without a tuple,
    all axes but two are spatial.
    """
    lengths = {length for length in map(how_many, arguments) if length}
    spec = tuple(range(max(lengths, default=x.ndim - 2) + 2))
    rule = (
        "after any batch axes it must have a channel axis and at least one spatial axis, and the "
        f"arguments name {sorted(lengths) or 'no'} spatial axes"
    )
    if layout is not None:
        spec, lengths = layout_spec(layout), set()
        rule = f"layout={layout!r} has {len(layout)} axes; several batch axes have to lead"
    extra = x.ndim - len(spec)
    if len(spec) < 3 or len(lengths) > 1 or extra < -1 or (extra > 0 and spec[0] > 0):
        fail(name, array_of(x.shape), rule, "give one value per axis, or the layout of this array")
    channel, *spatial = positions(x.ndim, spec)
    return Axes(channel, tuple(spatial), Specs(spec, tuple(range(len(spec))), spec))


def read(name: str, value: Any, layout: str | None, *arguments: Any) -> tuple[jax.Array, Axes]:
    """Read an array, and find its axes by the layout or by the arguments that name some."""
    x = array(name, value)
    return x, axes_of(name, x, layout, *arguments)


def how_many(value: Any) -> int:
    """Count the axes that an argument names: 0 for a single number or None."""
    several = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return len(value) if several or (hasattr(value, "ndim") and value.ndim) else 0


def broadcastable(values: ArrayLike, x: jax.Array, position: int) -> jax.Array:
    """One value per element of an axis of x, in x's dtype, with as many axes as x."""
    shape = [-1 if n == position else 1 for n in range(x.ndim)]
    return jnp.asarray(values, x.dtype).reshape(shape)


# -- windows ---------------------------------------------------------------------------------------


def windows_of(
    sizes: Sequence[int],
    kernel_size: Ints,
    stride: Ints | None,
    padding: Padding,
    dilation: Ints,
    ceil_mode: bool | None = None,
) -> Windows:
    """Read the arguments of sliding windows as PyTorch does, as one `Axis` per spatial axis.

    Only pooling has a ``ceil_mode``. A single window gets stride 1, so that no room is made for a
    second.
    """
    rank = len(sizes)
    kernels = each("kernel_size", kernel_size, rank, 1)
    strides = kernels if stride is None else each("stride", stride, rank, 1)
    ends, dilations = _ends(padding, rank, ceil_mode is None), each("dilation", dilation, rank, 1)
    windows = []
    for n, k, s, (p, high), d in zip(sizes, kernels, strides, ends, dilations, strict=True):
        room = n + p + high - d * (k - 1) - 1
        count = room // s + 1
        if ceil_mode and room % s and count * s < n + p:
            count += 1  # a last window that starts before the padding at the end, and passes it
        if count < 1:
            rule = (
                f"a window spans {d * (k - 1) + 1} elements, and the padded axis has {n + p + high}"
            )
            fail("kernel_size", kernel_size, rule, "use smaller windows or more padding")
        if ceil_mode is not None and p > k // 2:
            rule = f"it must be at most half of the window's {k} elements"
            fail("padding", p, rule, f"give {k // 2} or less")
        windows.append(Axis(n, count, k, s if count > 1 else 1, d, p))
    return tuple(windows)


def _ends(padding: Any, rank: int, pairs: bool) -> list[tuple[int, int]]:
    """Read the padding before and after each axis: numbers, or (low, high) pairs if allowed."""
    value = frozen("padding", padding)
    if pairs and isinstance(value, tuple) and any(isinstance(end, tuple) for end in value):
        numbers: Any = pads(value, rank)
        columns = (each("padding", column, rank, 0) for column in zip(*numbers, strict=True))
        return list(zip(*columns, strict=True))
    return [(p, p) for p in each("padding", padding, rank, 0)]


def convolve_channels(
    operation: Callable[..., jax.Array],
    x: jax.Array,
    taps: NDArray[Any],
    axes: Axes,
    stride: Sequence[int],
    padding: Sequence[tuple[int, int]],
) -> jax.Array:
    """Apply `tconvjax.conv` or `conv_transpose` with the same taps to each channel."""
    channels = x.shape[axes.channel]
    # XLA's grouped convolution on a CPU carries a NaN into other channels.
    algorithm = "taps" if taps.size <= MOST_TERMS else "patches"
    return operation(
        x,
        jnp.broadcast_to(jnp.asarray(taps, x.dtype), (channels, min(channels, 1), *taps.shape)),
        stride=stride,
        padding=padding,
        groups=max(channels, 1),
        algorithm=algorithm,
        dimension_numbers=axes.specs,
    )
