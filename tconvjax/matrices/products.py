"""The products of a convolution, in arrays: which output, input and tap meet."""

from __future__ import annotations

import math
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tconvjax.errors import Described, fail, kind_of
from tconvjax.geometry import Axis, Geometry

Indices: TypeAlias = NDArray[np.int64]

MOST_PRODUCTS = 2**25
"""Entries of a sparse matrix that is built: half a GiB with their indices, and some seconds."""

MOST_PLACE = 2**62
"""Places of elements are counted in 64 bits."""


def places(geometry: Geometry) -> tuple[Indices, Indices, Indices]:
    """Every product of the convolution as a row and a column of C and a place in the kernel.

    The same relation as `tconvjax.links`, in arrays.

    Args:
        geometry: any geometry.

    Returns:
        For each product, where its output, its input and its tap stand in arrays of
        ``geometry.out_shape``, ``in_shape`` and ``kernel_shape`` read row by row.

    Raises:
        GeometryError: if there are more than 2**25 products.

    Examples:
        >>> rows, columns, taps = places(Geometry.of_conv((1, 3), (1, 1, 2)))
        >>> rows.tolist(), columns.tolist(), taps.tolist()
        ([0, 0, 1, 1], [0, 1, 1, 2], [0, 1, 0, 1])
    """
    check_geometry(geometry)
    out_block = geometry.out_channels // geometry.groups
    in_block = geometry.in_channels // geometry.groups
    _check_range(geometry)
    pairs = geometry.out_channels * in_block
    products = pairs and math.prod((pairs, *(_count(axis) for axis in geometry.axes)))
    if products > MOST_PRODUCTS:
        fail(
            "geometry",
            Described(f"{geometry.in_shape} to {geometry.out_shape}"),
            f"its matrix has {products} entries, and {MOST_PRODUCTS} is the limit",
            "apply conv and conv_transpose themselves, which need no matrix",
        )
    if not products:
        return tuple(np.zeros(0, np.int64) for _ in range(3))  # type: ignore[return-value]
    axes = [_axis_links(axis) for axis in geometry.axes]
    o, c = np.divmod(np.arange(geometry.out_channels * in_block), in_block)
    channels = (o, o // out_block * in_block + c, o * in_block + c)
    shapes = (geometry.out_size, geometry.in_size, geometry.kernel_size)
    found = []
    for n, (channel, shape) in enumerate(zip(channels, shapes, strict=True)):
        place = channel
        for axis, size in zip(axes, shape, strict=True):
            place = np.add.outer(place * size, axis[n]).ravel()
        found.append(place)
    return found[0], found[1], found[2]


# -- the products of an axis -----------------------------------------------------------------------


def _axis_links(axis: Axis) -> tuple[Indices, Indices, Indices]:
    """Every (output, input, tap) of an axis that meet, as arrays, in order of outputs and taps."""
    if axis.bordered:
        i, t = (grid.ravel() for grid in np.mgrid[: axis.out_size, : axis.kernel_size])
        return i, _sources(axis, axis.stride * i + axis.dilation * t - axis.low), t
    if axis.kernel_size <= axis.out_size:
        t, i = _runs(axis.kernel_size, axis.out_size, axis.dilation, axis.stride, axis)
        order = np.argsort(i, kind="stable")
        i, t = i[order], t[order]
    else:
        i, t = _runs(axis.out_size, axis.kernel_size, axis.stride, axis.dilation, axis)
    return i, axis.stride * i + axis.dilation * t - axis.low, t


def _runs(count: int, others: int, step: int, gap: int, axis: Axis) -> tuple[Indices, Indices]:
    """Pairs (a, b), a below count, b below others, with 0 <= step*a + gap*b - low < in_size."""
    a = np.arange(count)
    first, length = _range(a, others, step, gap, axis)
    before = np.cumsum(length) - length
    b = np.arange(length.sum()) - np.repeat(before - first, length)
    return np.repeat(a, length), b


def _range(a: Indices, others: int, step: int, gap: int, axis: Axis) -> tuple[Indices, Indices]:
    """For each a the first such b, and how many there are."""
    first = np.maximum(-((step * a - axis.low) // gap), 0)
    last = np.minimum((axis.in_size - 1 + axis.low - step * a) // gap, others - 1)
    return first, np.maximum(last - first + 1, 0)


def _count(axis: Axis) -> int:
    """How many products an axis has; of sides too long to look at, as many as there may be."""
    if axis.bordered and not axis.in_size:
        return 0  # there is nothing to copy
    shorter, longer = sorted((axis.out_size, axis.kernel_size))
    if axis.bordered or shorter > MOST_PRODUCTS:
        return shorter * longer
    steps = (
        (axis.dilation, axis.stride)
        if shorter == axis.kernel_size
        else (axis.stride, axis.dilation)
    )
    return int(_range(np.arange(shorter), longer, *steps, axis)[1].sum())


def _sources(axis: Axis, places: Indices) -> Indices:
    """`Axis.source` of many places, none of them a zero."""
    size = axis.in_size
    if axis.mode == "circular":
        return places % size
    if axis.mode == "replicate" or size == 1:
        return np.clip(places, 0, size - 1)
    folded = places % (2 * size - 2)
    return np.minimum(folded, 2 * size - 2 - folded)


# -- checks ----------------------------------------------------------------------------------------


def check_geometry(geometry: Any) -> None:
    """Refuse what is no Geometry."""
    if not isinstance(geometry, Geometry):
        fail(
            "geometry",
            kind_of(geometry),
            "it must be a Geometry",
            "make one with Geometry.of_conv or Geometry.of_conv_transpose",
        )


def _check_range(geometry: Geometry) -> None:
    """Refuse places that 64 bits do not hold."""
    ends = [
        axis.stride * axis.out_size + axis.dilation * axis.kernel_size + abs(axis.low)
        for axis in geometry.axes
    ]
    arrays = (geometry.in_shape, geometry.out_shape, geometry.kernel_shape)
    if max(*ends, *map(math.prod, arrays)) >= MOST_PLACE:
        fail(
            "geometry",
            Described(f"{geometry.in_shape} to {geometry.out_shape}"),
            "the places of its elements have no room in 64 bits",
            "take a smaller one",
        )
