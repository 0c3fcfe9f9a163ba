"""The matrix C of a convolution at real sizes, with numbers; and of any linear JAX function.

Arrays are read as columns, row by row and channel by channel: ``C @ x.ravel()`` is the convolution
of x and ``C.T @ y.ravel()`` the transposed convolution of y, each without its batch axis. Import it
by name: ``from tconvjax import matrices``. `tconvjax.symbolic` has the same matrix in symbols.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Literal, TypeAlias, get_args, overload

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jax.experimental import sparse
from numpy.typing import NDArray

from tconvjax.arguments import choice, frozen, function, ints
from tconvjax.errors import Described, array_of, fail, kind_of
from tconvjax.geometry import Axis, Geometry, check_geometry
from tconvjax.geometry.padding import source
from tconvjax.operands import NUMBERS, available_dtype

__all__ = ["conv_matrix", "matrix_of", "places"]

Format: TypeAlias = Literal["csr", "bcoo", "dense"]
Indices: TypeAlias = NDArray[np.int64]
Function: TypeAlias = Callable[[jax.Array], jax.Array]

MOST_ENTRIES = 2**27
"""Largest number of entries of a dense matrix, zeros included (half a GiB of float32), and of rows
of a sparse one."""

MOST_PRODUCTS = 2**25
"""Largest number of entries of a sparse matrix: half a GiB with their indices, and some seconds."""

MOST_READ = 2**31
"""Largest number of elements that `matrix_of` puts in and gets out of all columns: some seconds."""

_NARROW = re.compile(r"\b(bf16|f16|f8)\w*\[")


# -- the matrix of a convolution -------------------------------------------------------------------


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
            numbers; float16 only for "bcoo" and "dense", because SciPy has no such matrices. It may
            be traced, as under ``jax.jit`` and ``jax.grad``, except for "csr".
        format: "csr" for ``scipy.sparse.csr_array``, "bcoo" for ``jax.experimental.sparse.BCOO``,
            "dense" for a NumPy array, or a JAX array if the kernel is traced.

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
    traced = isinstance(kernel, jax.core.Tracer)
    values = _kernel(check_geometry(geometry), kernel)
    shape = math.prod(geometry.out_shape), math.prod(geometry.in_shape)
    check_format(format, "kernel", values.dtype, shape)
    if traced and format == "csr":
        fail("format", format, "SciPy's matrices hold no traced numbers", "use 'bcoo' or 'dense'")
    rows, columns, taps = places(geometry)
    if traced:
        order = np.lexsort((columns, rows))
        indices = jnp.asarray(np.stack([rows, columns], axis=1)[order])
        terms = (jnp.ravel(values)[taps[order]], indices)
        bcoo = sparse.BCOO(terms, shape=shape, indices_sorted=True)
        return bcoo if format == "bcoo" else bcoo.todense()
    # If the border copies an element, an output may read it several times; SciPy adds the taps up.
    entries = summable(values).ravel()[taps]
    matrix = scipy.sparse.csr_array((entries, (rows, columns)), shape=shape)
    return packed("kernel", matrix, values.dtype, format)


def places(geometry: Geometry) -> tuple[Indices, Indices, Indices]:
    """Every product of a convolution, as rows and columns of C and places in the kernel.

    C[rows, columns] = kernel.ravel()[taps], added up where a border copies an element

    Args:
        geometry: any geometry.

    Returns:
        The arrays (rows, columns, taps): `tconvjax.links` as places of output, input and tap in
        arrays of ``out_shape``, ``in_shape`` and ``kernel_shape``, read row by row.

    Raises:
        GeometryError: if there are more than 2**25 products.

    Examples:
        >>> [part.tolist() for part in places(Geometry.of_conv((1, 3), (1, 1, 2)))]
        [[0, 0, 1, 1], [0, 1, 1, 2], [0, 1, 0, 1]]
    """
    check_geometry(geometry)
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
    inside = (j >= 0) & (j < size)
    if axis.bordered and size and not inside.all():
        positions, where = np.unique(j[~inside], return_inverse=True)
        j[~inside] = np.array([source(axis.mode, int(p), size) for p in positions])[where]
        inside[:] = True
    return i[inside], j[inside], t[inside]


def _kernel(geometry: Geometry, kernel: Any) -> Any:
    """The kernel as a NumPy array of numbers, or as it is if it is traced."""
    if np.ma.is_masked(kernel):
        remedy = "fill them in, as in kernel.filled(0)"
        fail("kernel", Described("masked array"), "a matrix has no missing entries", remedy)
    needed = f"the geometry's kernel has shape {geometry.kernel_shape}"
    try:
        values = kernel if isinstance(kernel, jax.core.Tracer) else np.asarray(kernel)
    except (ValueError, TypeError):  # lists of several lengths, and JAX's keys of random numbers
        fail("kernel", kind_of(kernel), needed, "give an array of numbers")
    if values.shape != geometry.kernel_shape:
        fail("kernel", array_of(values.shape), needed, "reshape it")
    if values.dtype.kind not in "iufc":
        rule = "a matrix holds NumPy's own integers, floats and complex numbers"
        fail("kernel", Described(f"array of {values.dtype}"), rule, "convert it, say to float32")
    if isinstance(values, jax.core.Tracer):
        return values
    return values.astype(values.dtype.newbyteorder("="), copy=False)  # as SciPy needs it


def _check(geometry: Geometry, fits: bool, rule: str) -> None:
    """Refuse a geometry whose products do not fit."""
    if not fits:
        shapes = Described(f"{geometry.in_shape} to {geometry.out_shape}")
        remedy = "apply conv and conv_transpose themselves, which need no matrix"
        fail("geometry", shapes, rule, remedy)


# -- the matrix of any linear function -------------------------------------------------------------


def matrix_of(fn: Function, shape: Any, dtype: Any = jnp.float32, format: Format = "dense") -> Any:
    """The matrix of any linear JAX function, read column by column.

    M[:, j] = fn(e_j), where e_j is 1 at place j and 0 elsewhere

    Args:
        fn: a linear function from one array to one array, such as a layer without its bias.
        shape: the shape of its argument; or an array or a ``jax.ShapeDtypeStruct`` like it.
        dtype: the dtype of its argument, if only a shape is given.
        format: "dense" for a NumPy array, "csr" for ``scipy.sparse.csr_array``, "bcoo" for
            ``jax.experimental.sparse.BCOO``; the sparse ones hold only what is not zero.

    Returns:
        A matrix with a row for each element of the result and a column for each element of the
        argument.

    Raises:
        GeometryError: if fn is not linear, which is tried on random arguments of several sizes;
            if the dtype has 64 bits and these are off in JAX; or if the matrix is too large.

    Examples:
        >>> matrix_of(lambda x: x[::-1] + x, (3,))
        array([[1., 0., 1.],
               [0., 2., 0.],
               [1., 0., 1.]], dtype=float32)
    """
    function("fn", fn)
    example = isinstance(shape, np.ndarray | jax.Array | jax.ShapeDtypeStruct)
    if example and not isinstance(shape, jax.core.Tracer):
        shape, dtype = shape.shape, shape.dtype
    sizes = frozen("shape", shape)
    sizes = sizes if isinstance(sizes, tuple) else (sizes,)
    shape, read = ints("shape", sizes, len(sizes), 0), available_dtype("dtype", dtype)
    if read is None or read.name not in NUMBERS:
        rule = "it must be a JAX dtype of numbers of 8 to 64 bits, for floats 16 or more"
        fail("dtype", dtype, rule, "give jnp.float32, say")
    dtype = np.dtype(read)
    result = jax.eval_shape(fn, jax.ShapeDtypeStruct(shape, dtype))
    if not isinstance(result, jax.ShapeDtypeStruct):
        several = Described(f"function whose result is {result}")
        fail("fn", several, "its result must be one array", "return one of them")
    rows, columns = math.prod(result.shape), math.prod(shape)
    held = np.dtype(result.dtype)
    check_format(format, "fn", held, (rows, columns))
    elements = columns * (columns + rows)
    if elements > MOST_READ:
        rule = f"reading {columns} columns of {rows} rows takes {elements} elements"
        functions = "fn and jax.linear_transpose(fn, x) themselves"
        remedy = f"use a smaller shape, conv_matrix for a convolution, or {functions}"
        fail("shape", shape, f"{rule}, and {MOST_READ} is the limit", remedy)
    count = max(1, min(columns, 2**24 // max(columns, rows, 1)))  # of columns at once

    @jax.jit
    def batch(first: Any) -> jax.Array:
        units = jax.nn.one_hot(first + jnp.arange(count), columns, dtype=dtype)
        return jax.vmap(fn)(units.reshape(count, *shape)).reshape(count, rows)

    def part(first: int) -> Any:
        found = np.asarray(batch(first))[: columns - first]
        return found if format == "dense" else scipy.sparse.csr_array(summable(found))

    # Accelerators multiply float32 in fewer digits by default.
    with jax.default_matmul_precision("highest"):
        parts = [part(first) for first in range(0, max(columns, 1), count)]
        found = np.concatenate(parts) if format == "dense" else scipy.sparse.vstack(parts)
        check_linear(fn, summable(found), shape, dtype)
    return found.T if format == "dense" else packed("fn", found.T, held, format)


# -- whether a function is linear ------------------------------------------------------------------


def check_linear(fn: Function, columns: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise GeometryError unless fn(0) = 0 and fn(x) = M x, up to rounding, for random x.

    The columns of M are rows here. The x are of both signs, of ordinary size, large and small, and
    have few enough digits to be exact in every dtype.
    """
    rng, whole = np.random.default_rng(0), dtype.kind in "iu"
    most = 64 if not whole else 20 if dtype.itemsize == 1 else 1000
    least = 0 if dtype.kind == "u" else -most
    far = 2.0 ** (3 if dtype == np.float16 else 20)
    arguments = [np.zeros(shape, dtype)]
    # Sixteenths are fractions that bfloat16 can hold.
    for scale in (1,) if whole else (1 / 16, far / 16, 1 / (16 * far)):
        for _ in range(3):
            x, y = rng.integers(least, most + 1, (2, *shape))
            x = x + 1j * y if dtype.kind == "c" else x
            arguments.append((x * scale).astype(dtype))
    zero, *found = np.asarray(jax.jit(jax.vmap(fn))(jnp.asarray(np.stack(arguments))))
    if np.any(zero != 0):
        affine = Described("function that takes zero to something else")
        remedy = "leave out its bias, as in lambda x: fn(x) - fn(0 * x)"
        fail("fn", affine, "it must be linear", remedy)
    allowed = _rounding(fn, shape, dtype, zero.dtype)
    limits = jnp.finfo(zero.dtype) if jnp.issubdtype(zero.dtype, jnp.inexact) else None
    wide = np.complex128 if "c" in (dtype.kind, zero.dtype.kind) else np.float64
    for x, result in zip(arguments[1:], found, strict=True):
        with np.errstate(over="ignore", invalid="ignore"):
            product = (summable(x.ravel()) @ columns).astype(wide)
            largest = float(np.abs(product).max(initial=0))
            if limits is not None and not largest <= float(limits.max) / 4:
                continue  # after an overflow the numbers say nothing
            smallest = 0.0 if limits is None else 8 * float(limits.tiny)
            off = np.abs(result.ravel().astype(wide) - product)
            if not (off <= allowed * largest + smallest).all():
                curved = Described("function with fn(x) unlike the sum of x[j] fn(e_j)")
                derivative = "lambda t: jax.jvp(fn, (x,), (t,))[1]"
                remedy = f"take the matrix of its derivative, as in {derivative}"
                fail("fn", curved, "it must be linear", remedy)


def _rounding(
    fn: Function, shape: tuple[int, ...], dtype: np.dtype[Any], result: np.dtype[Any]
) -> float:
    """The tolerance, relative to the largest element: at most 5 %, and 0 for integers."""
    program = str(jax.make_jaxpr(fn)(jax.ShapeDtypeStruct(shape, dtype)))
    kinds: list[Any] = [dtype, result]
    if _NARROW.search(program):  # a layer in mixed precision rounds to 16 bits inside
        kinds.append(jnp.bfloat16)
    floats = [float(jnp.finfo(kind).eps) for kind in kinds if jnp.issubdtype(kind, jnp.inexact)]
    return min(max(floats, default=0) * (64 + 4 * math.prod(shape) ** 0.5), 0.05)


# -- formats ---------------------------------------------------------------------------------------


def check_format(format: Any, argument: str, dtype: np.dtype[Any], shape: tuple[int, int]) -> None:
    """Refuse a format that cannot hold a matrix of this dtype and shape, made from an argument."""
    choice("format", format, get_args(Format))
    in_scipy = dtype.kind in "biufc" and dtype != np.float16
    if (format == "csr" and not in_scipy) or (format == "bcoo" and dtype.name not in NUMBERS):
        rule = f"a matrix of format {format!r} cannot hold {dtype}"
        remedy = "convert it, say to float32, or use format='dense'"
        fail(argument, Described(f"array of {dtype}"), rule, remedy)
    if format == "dense" and math.prod(shape) > MOST_ENTRIES:
        count = f"a matrix of shape {shape} has {math.prod(shape)} entries"
        fail("format", "dense", f"{count}, and {MOST_ENTRIES} is the limit", "use format='csr'")
    if shape[0] > MOST_ENTRIES:
        rule = f"a sparse matrix has a number for each row, and {MOST_ENTRIES} rows are the limit"
        remedy = "apply the functions themselves, which need no matrix"
        fail(argument, Described(f"matrix of shape {shape}"), rule, remedy)


def summable(values: NDArray[Any]) -> NDArray[Any]:
    """The values in a dtype that SciPy's sparse matrices can hold: float32 for 16-bit floats."""
    narrow = values.dtype.itemsize == 2 and values.dtype.kind in "fV"
    return values.astype(np.float32) if narrow else values


def packed(argument: str, matrix: Any, dtype: np.dtype[Any], format: Format) -> Any:
    """A SciPy matrix in the format that was asked for, with numbers of this dtype."""
    if format == "csr":
        return matrix.tocsr()
    if format == "dense":
        return matrix.toarray().astype(dtype, copy=False)
    found = matrix.tocsr().tocoo()
    return sparse.BCOO(
        (
            _as_jax(argument, found.data.astype(dtype, copy=False)),
            _as_jax(argument, np.stack([found.row, found.col], axis=1)),
        ),
        shape=matrix.shape,
        indices_sorted=True,
        unique_indices=True,
    )


def _as_jax(argument: str, values: NDArray[Any]) -> jax.Array:
    """A NumPy array as a JAX array; refused if JAX would change its numbers."""
    with np.errstate(all="ignore"):
        narrow = values.astype(jax.dtypes.canonicalize_dtype(values.dtype))
    if not np.array_equal(narrow, values, equal_nan=values.dtype.kind in "fc"):
        rule = f"64-bit numbers are switched off in JAX, and {narrow.dtype} cannot hold its values"
        remedy = "convert them, use format='csr', or jax.config.update('jax_enable_x64', True)"
        fail(argument, Described(f"array of {values.dtype}"), rule, remedy)
    return jnp.asarray(narrow)
