"""Reference implementation: a convolution is one jitted ``lax.conv_general_dilated``.

The transposed convolution is literally the vjp of this function. The tests compare every algorithm
with the two.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from tconvjax.borders import fill_borders
from tconvjax.geometry import Geometry
from tconvjax.layouts import Precision, Specs


@functools.partial(
    jax.jit, static_argnames=("geometry", "specs", "precision", "preferred_element_type")
)
def convolve(
    x: jax.Array,
    w: jax.Array,
    geometry: Geometry,
    specs: Specs,
    precision: Precision = None,
    preferred_element_type: Any = None,
) -> jax.Array:
    """The convolution, by definition.

    y[n, o, i] = sum over c, t of w[o, c, t] * x[n, c, stride * i + dilation * t - low]

    All three arrays are laid out as ``specs`` says, with one batch axis. The sums are kept in
    ``preferred_element_type``, which is that of the result; None for that of x.
    """
    x = fill_borders(x, geometry, specs.lhs_spec)
    geometry, of_x, of_y = one_sided(geometry.filled())
    y = lax.conv_general_dilated(
        _cropped(x, of_x, specs.lhs_spec),
        w,
        window_strides=geometry.stride,
        padding=geometry.padding,
        rhs_dilation=geometry.dilation,
        dimension_numbers=specs,
        feature_group_count=geometry.groups,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )
    return _after_zeros(y, of_y, specs.out_spec)


def one_sided(geometry: Geometry) -> tuple[Geometry, list[int], list[int]]:
    """A geometry that crops no axis at its low end while it pads the other end.

    XLA on a CPU gives a convolution of floats to Eigen, which then reads past the end of the row,
    by up to the number of cropped elements (openxla/xla#48713: with jaxlib 0.10.2, not with
    0.12.0). The transpose is affected too: its padding is negative if that of the convolution is
    wider than the kernel reaches.

    Returns the geometry, and for each axis the number of elements of x to crop before the call, and
    the number of zeros to put before its result, which are outputs that read only padding.
    """
    axes, of_x, of_y = [], [], []
    for axis in geometry.axes:
        first = axis.low - axis.span + 1  # of the padding, past the reach of the first output
        more = axis.in_size - 1 + axis.low - axis.stride * (axis.out_size - 1)
        crop = min(-axis.low, axis.in_size) if axis.low < 0 < axis.high else 0
        blank = min(-(-first // axis.stride), axis.out_size) if first > 0 and more > 0 else 0
        of_x.append(crop)
        of_y.append(blank)
        in_size, out_size = axis.in_size - crop, axis.out_size - blank
        low = axis.low + crop - axis.stride * blank
        axes.append(replace(axis, in_size=in_size, out_size=out_size, low=low))
    return replace(geometry, axes=tuple(axes)), of_x, of_y


def _cropped(x: jax.Array, counts: Sequence[int], spec: Sequence[int]) -> jax.Array:
    """Remove elements at the beginning of each spatial axis."""
    for count, position in zip(counts, spec[2:], strict=True):
        if count:  # no negative pad: XLA merges it into that of the convolution (openxla/xla#48715)
            x = lax.slice_in_dim(x, count, None, axis=position)
    return x


def _after_zeros(y: jax.Array, counts: Sequence[int], spec: Sequence[int]) -> jax.Array:
    """Put zeros before each spatial axis; the transpose consists of slices."""
    for count, position in zip(counts, spec[2:], strict=True):
        if count:
            shape = list(y.shape)
            shape[position] = count
            y = lax.concatenate([jnp.zeros(shape, y.dtype), y], position)
    return y
