"""The matrix C of a convolution, built from index arrays of its products."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias, overload

import numpy as np
import scipy.sparse
from jax.experimental import sparse
from numpy.typing import NDArray

from tconvjax.errors import Described, array_of, fail, kind_of
from tconvjax.geometry import Axis, Geometry, check_geometry
from tconvjax.matrices.formats import Format, check_format, packed, summable

Indices: TypeAlias = NDArray[np.int64]

MOST_PRODUCTS = 2**25
"""Largest number of entries of a sparse matrix: half a GiB with their indices, and some seconds."""


@overload
def conv_matrix(
    geometry: Geometry, kernel: Any, format: Literal["csr"] = "csr"
) -> scipy.sparse.csr_array: ...
@overload
def conv_matrix(geometry: Geometry, kernel: Any, format: Literal["bcoo"]) -> sparse.BCOO: ...
@overload
def conv_matrix(geometry: Geometry, kernel: Any, format: Literal["dense"]) -> NDArray[Any]: ...
def conv_matrix(geometry: Geometry, kernel: Any, format: Format = "csr") -> Any:
    """The matrix C of a convolution with a given kernel.

    C[o i, c j] = sum of w[o, c, t] over the taps t with stride*i + dilation*t - low = j

    Args:
        geometry: any geometry: N-D, strided, padded, dilated, with channels and groups.
        kernel: array of shape (O, C / groups, *kernel_size), of NumPy's integers, floats or complex
            numbers; float16 only for "bcoo" and "dense", because SciPy has no such matrices.
        format: "csr" for ``scipy.sparse.csr_array``, "bcoo" for ``jax.experimental.sparse.BCOO``,
            "dense" for a NumPy array.

    Returns:
        A matrix of the kernel's dtype with a row for each output element and a column for each
        input element. Its ``.T`` is the matrix of the transposed convolution.

    Raises:
        GeometryError: if the kernel has another shape or does not hold numbers, if there is no such
            format, if the matrix would have more than 2**25 entries (2**27 if dense, counting
            zeros), or if a BCOO cannot hold the kernel's numbers because 64-bit numbers are off in
            JAX.

    Examples:
        >>> import numpy as np
        >>> conv_matrix(Geometry.of_conv((1, 5), (1, 1, 3), stride=2), np.ones((1, 1, 3)), "dense")
        array([[1., 1., 1., 0., 0.],
               [0., 0., 1., 1., 1.]])
    """
    values = _kernel(check_geometry(geometry), kernel)
    shape = math.prod(geometry.out_shape), math.prod(geometry.in_shape)
    check_format(format, "kernel", values.dtype, shape)
    rows, columns, taps = products(geometry)
    # If the border copies an element, an output may read it several times; SciPy adds the taps up.
    entries = summable(values).ravel()[taps]
    matrix = scipy.sparse.csr_array((entries, (rows, columns)), shape=shape)
    return packed("kernel", matrix, values.dtype, format)


def products(geometry: Geometry) -> tuple[Indices, Indices, Indices]:
    """Every product of a convolution, as rows and columns of C and places in the kernel.

    This is `tconvjax.links` in arrays: the places of output, input and tap in arrays of
    ``out_shape``, ``in_shape`` and ``kernel_shape`` read row by row.

    Raises:
        GeometryError: if there are more than 2**25 products.
    """
    ends = [
        axis.stride * (axis.out_size + 1) + axis.dilation * axis.kernel_size + abs(axis.low)
        for axis in geometry.axes
    ]
    arrays = (geometry.in_shape, geometry.out_shape, geometry.kernel_shape)
    most = max(*ends, *map(math.prod, arrays))
    _check(geometry, most < 2**62, "64-bit numbers cannot count its elements")
    rule = f"its matrix has more than {MOST_PRODUCTS} entries"
    longest = max(axis.out_size * axis.kernel_size for axis in geometry.axes)
    _check(geometry, longest <= MOST_PRODUCTS, rule)
    axes = [_axis_products(axis) for axis in geometry.axes]
    width, outs = geometry.kernel_shape[1], geometry.out_channels // geometry.groups
    pairs = geometry.out_channels * width
    count = math.prod((pairs, *(len(taps) for _, _, taps in axes)))
    _check(geometry, count <= MOST_PRODUCTS, rule)
    o, c = np.divmod(np.arange(pairs), max(width, 1))
    channels = (o, o // max(outs, 1) * width + c, np.arange(pairs))
    shapes = (geometry.out_size, geometry.in_size, geometry.kernel_size)
    found = []
    for n, (channel, shape) in enumerate(zip(channels, shapes, strict=True)):
        place = channel
        for along, size in zip(axes, shape, strict=True):
            place = np.add.outer(place * size, along[n]).ravel()
        found.append(place)
    return found[0], found[1], found[2]


def _axis_products(axis: Axis) -> tuple[Indices, Indices, Indices]:
    """`Axis.links` as arrays of outputs, inputs and taps, in order."""
    i, t = (grid.ravel() for grid in np.mgrid[: axis.out_size, : axis.kernel_size])
    j, size = axis.stride * i + axis.dilation * t - axis.low, axis.in_size
    if axis.mode == "circular":
        j %= max(size, 1)
    elif axis.mode == "replicate" or (axis.mode == "reflect" and size == 1):
        j = np.clip(j, 0, size - 1)
    elif axis.mode == "reflect":
        j %= 2 * size - 2
        j = np.minimum(j, 2 * size - 2 - j)
    inside = (j >= 0) & (j < size)
    return i[inside], j[inside], t[inside]


def _kernel(geometry: Geometry, kernel: Any) -> NDArray[Any]:
    """The kernel as a NumPy array of numbers."""
    if np.ma.is_masked(kernel):
        fail(
            "kernel",
            Described("masked array"),
            "a matrix has no missing entries",
            "fill them in, as in kernel.filled(0)",
        )
    needed = f"the geometry's kernel has shape {geometry.kernel_shape}"
    try:
        values = np.asarray(kernel)
    except (ValueError, TypeError):  # lists of several lengths, and JAX's keys of random numbers
        fail("kernel", kind_of(kernel), needed, "give an array of numbers")
    if values.shape != geometry.kernel_shape:
        fail("kernel", array_of(values.shape), needed, "reshape it")
    if values.dtype.kind not in "iufc":
        fail(
            "kernel",
            Described(f"array of {values.dtype}"),
            "a matrix holds NumPy's own integers, floats and complex numbers",
            "convert it, say to float32",
        )
    return values


def _check(geometry: Geometry, fits: bool, rule: str) -> None:
    """Refuse a geometry whose products do not fit."""
    if not fits:
        fail(
            "geometry",
            Described(f"{geometry.in_shape} to {geometry.out_shape}"),
            rule,
            "apply conv and conv_transpose themselves, which need no matrix",
        )
