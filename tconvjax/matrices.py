"""The matrix C of a convolution at real sizes, with numbers; and of any linear JAX function.

Arrays are read as columns, row by row and channel by channel: ``C @ x.ravel()`` is the convolution
of x and ``C.T @ y.ravel()`` the transposed convolution of y, each without its batch axis. Imported
by name: ``from tconvjax import matrices``. `tconvjax.symbolic` has the same matrix in symbols.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias, overload

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from jax.experimental import sparse
from numpy.typing import NDArray

from tconvjax.geometry import Axis, Geometry, Words, fail

Format: TypeAlias = Literal["csr", "bcoo", "dense"]
Indices: TypeAlias = NDArray[np.int64]

MOST_PRODUCTS = 2**28
"""Entries of a sparse matrix that is built: 4 GiB with their indices, and as much while it is."""

MOST_ENTRIES = 2**29
"""Entries of a dense matrix that is built, zeros included: 2 GiB of float32."""

CHUNK = 2**24
"""Elements of the larger array in a batch of `matrix_of`."""


@overload
def conv_matrix(
    geometry: Geometry, kernel: Any, format: Literal["csr"] = "csr"
) -> scipy.sparse.csr_array: ...
@overload
def conv_matrix(geometry: Geometry, kernel: Any, format: Literal["bcoo"]) -> sparse.BCOO: ...
@overload
def conv_matrix(geometry: Geometry, kernel: Any, format: Literal["dense"]) -> NDArray[Any]: ...
def conv_matrix(
    geometry: Geometry,
    kernel: Any,
    format: Format = "csr",
) -> Any:
    """The matrix C of a convolution with a given kernel.

    C[o i, c j] = sum of w[o, c, t] over the taps t with stride*i + dilation*t - low = j

    Args:
        geometry: any geometry: N-D, strided, padded, dilated, with channels and groups.
        kernel: array of shape (O, C / groups, *kernel_size), of any numeric dtype of NumPy's.
        format: "csr" for ``scipy.sparse.csr_array``, "bcoo" for ``jax.experimental.sparse.BCOO``,
            "dense" for a NumPy array.

    Returns:
        A row for each output element and a column for each input element, of the kernel's dtype.
        Its ``.T`` is the matrix of the transposed convolution.

    Raises:
        GeometryError: if the kernel has another shape or no numbers, the format is none of the
            three, or the matrix would have more than 2**28 entries (2**29 if dense).

    Examples:
        >>> import numpy as np
        >>> conv_matrix(Geometry.of_conv((1, 5), (1, 1, 3), stride=2), np.ones((1, 1, 3)), "dense")
        array([[1., 1., 1., 0., 0.],
               [0., 0., 1., 1., 1.]])
    """
    if format not in ("csr", "bcoo", "dense"):
        fail("format", format, "the formats are csr, bcoo and dense", "use one of them")
    values = np.asarray(kernel)
    if values.shape != geometry.kernel_shape:
        fail("kernel", Words(f"array of shape {values.shape}"),
             f"the geometry's kernel has shape {geometry.kernel_shape}", "reshape it")  # fmt: skip
    if values.dtype.kind not in "biufc":
        fail("kernel", Words(f"array of {values.dtype}"), "SciPy holds NumPy's own numbers only",
             "convert it, say to float32")  # fmt: skip
    shape = math.prod(geometry.out_shape), math.prod(geometry.in_shape)
    if format == "dense":
        _check_entries(math.prod(shape), shape)
    rows, columns, taps = places(geometry)
    # Where a border copies elements, an output meets an input element twice; SciPy adds them up.
    matrix = scipy.sparse.csr_array((values.ravel()[taps], (rows, columns)), shape=shape)
    if format == "csr":
        return matrix
    if format == "dense":
        return matrix.toarray()
    return _bcoo(matrix)


def places(geometry: Geometry) -> tuple[Indices, Indices, Indices]:
    """Every product of the convolution as a row and a column of C and a place in the kernel.

    The same relation as `tconvjax.links`, in arrays.

    Args:
        geometry: any geometry.

    Returns:
        For each product, where its output, its input and its tap stand in arrays of
        ``geometry.out_shape``, ``in_shape`` and ``kernel_shape`` read row by row.

    Raises:
        GeometryError: if there are more than 2**28 products.

    Examples:
        >>> rows, columns, taps = places(Geometry.of_conv((1, 3), (1, 1, 2)))
        >>> rows.tolist(), columns.tolist(), taps.tolist()
        ([0, 0, 1, 1], [0, 1, 1, 2], [0, 1, 0, 1])
    """
    axes = [_axis_links(axis) for axis in geometry.axes]
    out_block = geometry.out_channels // geometry.groups
    in_block = geometry.in_channels // geometry.groups
    products = geometry.out_channels * in_block * math.prod(len(i) for i, _, _ in axes)
    if products > MOST_PRODUCTS:
        fail("geometry", Words(f"{geometry.in_shape} to {geometry.out_shape}"),
             f"its matrix has {products} entries, and {MOST_PRODUCTS} is the limit",
             "apply conv and conv_transpose themselves, which need no matrix")  # fmt: skip
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


def matrix_of(
    fn: Callable[[jax.Array], jax.Array],
    shape: Sequence[int],
    dtype: Any = jnp.float32,
    format: Format = "dense",
) -> Any:
    """The matrix of any linear JAX function, read off column by column.

    M[:, j] = fn(e_j), where e_j is 1 at place j and 0 elsewhere

    Args:
        fn: a linear function from one array to one array, such as a layer without its bias.
        shape: of its argument.
        dtype: of its argument.
        format: "dense" for a NumPy array, "csr" for ``scipy.sparse.csr_array``, "bcoo" for
            ``jax.experimental.sparse.BCOO``; the sparse ones hold what is not zero.

    Returns:
        A row for each element of the result and a column for each element of the argument.

    Raises:
        GeometryError: if fn is not linear, or the matrix would not fit.

    Examples:
        >>> matrix_of(lambda x: x[::-1] + x, (3,))
        array([[1., 0., 1.],
               [0., 2., 0.],
               [1., 0., 1.]], dtype=float32)
    """
    if format not in ("csr", "bcoo", "dense"):
        fail("format", format, "the formats are csr, bcoo and dense", "use one of them")
    result = jax.eval_shape(fn, jax.ShapeDtypeStruct(tuple(shape), dtype))
    if not isinstance(result, jax.ShapeDtypeStruct):
        fail("fn", Words(f"function whose result is {result}"), "its result must be one array",
             "return one of them")  # fmt: skip
    columns, rows = math.prod(shape), math.prod(result.shape)
    if format == "dense":
        _check_entries(rows * columns, (rows, columns))
    _check_linear(fn, tuple(shape), dtype)
    count = max(1, min(columns, CHUNK // max(columns, rows, 1)))

    @jax.jit
    def batch(first: Any) -> jax.Array:
        units = jax.nn.one_hot(first + jnp.arange(count), columns, dtype=dtype)
        return jax.vmap(fn)(units.reshape(count, *shape)).reshape(count, rows)

    pack = np.asarray if format == "dense" else scipy.sparse.csr_array
    parts = [pack(np.asarray(batch(n))[: columns - n]) for n in range(0, columns, count)]
    if format == "dense":
        return np.concatenate([np.zeros((0, rows), result.dtype), *parts]).T
    matrix = scipy.sparse.vstack([scipy.sparse.csr_array((0, rows), dtype=result.dtype), *parts]).T
    return matrix.tocsr() if format == "csr" else _bcoo(matrix.tocsr())


def _bcoo(matrix: scipy.sparse.csr_array) -> sparse.BCOO:
    found = matrix.tocoo()
    indices = jnp.stack([jnp.asarray(found.row), jnp.asarray(found.col)], axis=1)
    return sparse.BCOO(
        (jnp.asarray(found.data), indices), shape=matrix.shape, indices_sorted=True,
        unique_indices=True,
    )  # fmt: skip


def _axis_links(axis: Axis) -> tuple[Indices, Indices, Indices]:
    """Every (output, input, tap) of an axis that meet, as arrays."""
    first, last = -axis.low, axis.in_size + axis.high
    sources = [axis.source(position) for position in range(first, last)]
    table = np.array([-1 if s is None else s for s in sources], np.int64)
    i, t = np.mgrid[: axis.out_size, : axis.kernel_size]
    j = table[axis.stride * i + axis.dilation * t] if i.size else i
    met = j >= 0
    return i[met], j[met], t[met]


def _check_linear(fn: Callable[[jax.Array], jax.Array], shape: tuple[int, ...], dtype: Any) -> None:
    """Raise GeometryError where fn(0) is not zero, or a sum does not go to the sum."""
    zero = fn(jnp.zeros(shape, dtype))
    if jnp.any(zero != 0):
        fail("fn", Words("function that takes zero to something else"), "it must be linear",
             "leave out its bias, as in lambda x: fn(x) - fn(0 * x)")  # fmt: skip
    rng = np.random.default_rng(0)
    a, b = (jnp.asarray(rng.integers(-4, 5, shape), dtype) for _ in range(2))
    one, other = fn(2 * a + b), 2 * fn(a) + fn(b)
    if not jnp.allclose(one, other, rtol=1e-2, atol=1e-2 * float(jnp.max(jnp.abs(one), initial=0))):
        fail("fn", Words("function with fn(2 a + b) unlike 2 fn(a) + fn(b)"), "it must be linear",
             "take the matrix of its derivative, as in "
             "lambda t: jax.jvp(fn, (x,), (t,))[1]")  # fmt: skip


def _check_entries(entries: int, shape: tuple[int, int]) -> None:
    if entries > MOST_ENTRIES:
        fail("format", "dense", f"a matrix of shape {shape} has {entries} entries, and "
             f"{MOST_ENTRIES} is the limit", "take format='csr'")  # fmt: skip
