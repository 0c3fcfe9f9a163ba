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

from tconvjax.arguments import frozen, ints
from tconvjax.errors import Described, array_of, fail, kind_of
from tconvjax.geometry import Geometry
from tconvjax.matrices.linearity import check_linear
from tconvjax.matrices.products import MOST_PRODUCTS, check_geometry, places

Format: TypeAlias = Literal["csr", "bcoo", "dense"]

__all__ = [
    "CHUNK",
    "MOST_ENTRIES",
    "MOST_PRODUCTS",
    "MOST_READ",
    "conv_matrix",
    "matrix_of",
    "places",
]

MOST_ENTRIES = 2**27
"""Entries of a dense matrix that is built, zeros included: half a GiB of float32."""

MOST_READ = 2**31
"""Elements that `matrix_of` puts in and gets out, over all columns: some seconds."""

DTYPES = frozenset(
    [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
    + ["bfloat16", "float16", "float32", "float64", "complex64", "complex128"]
)
"""Of the arguments of functions whose matrix is read."""

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
        kernel: array of shape (O, C / groups, *kernel_size), of integers, floats or complex numbers
            of NumPy's; float16 for "bcoo" and "dense" only, since SciPy has no such matrices.
        format: "csr" for ``scipy.sparse.csr_array``, "bcoo" for ``jax.experimental.sparse.BCOO``,
            "dense" for a NumPy array.

    Returns:
        A row for each output element and a column for each input element, of the kernel's dtype.
        Its ``.T`` is the matrix of the transposed convolution.

    Raises:
        GeometryError: if the kernel has another shape or no numbers, the format is none of the
            three, the matrix would have more than 2**25 entries (2**27 if dense, zeros among them),
            or a BCOO cannot hold the kernel's numbers since 64-bit numbers are off in JAX.

    Examples:
        >>> import numpy as np
        >>> conv_matrix(Geometry.of_conv((1, 5), (1, 1, 3), stride=2), np.ones((1, 1, 3)), "dense")
        array([[1., 1., 1., 0., 0.],
               [0., 0., 1., 1., 1.]])
    """
    _check_format(format)
    check_geometry(geometry)
    values = _kernel_values(geometry, kernel, format)
    shape = math.prod(geometry.out_shape), math.prod(geometry.in_shape)
    _check_entries(shape, format)
    rows, columns, taps = places(geometry)
    # SciPy adds up in float32 what it cannot hold in float16, as the package's convolutions do.
    held = values.astype(np.float32) if values.dtype == np.float16 else values
    # Where a border copies elements, an output meets an input element twice; SciPy adds them up.
    matrix = scipy.sparse.csr_array((held.ravel()[taps], (rows, columns)), shape=shape)
    if format == "csr":
        return matrix
    if format == "dense":
        return matrix.toarray().astype(values.dtype, copy=False)
    return _bcoo("kernel", matrix, values.dtype)


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
        GeometryError: if fn is not linear, which is tried on random arguments of several sizes;
            if the dtype is a 64-bit one and these are off in JAX; or if the matrix would not fit.

    Examples:
        >>> matrix_of(lambda x: x[::-1] + x, (3,))
        array([[1., 0., 1.],
               [0., 2., 0.],
               [1., 0., 1.]], dtype=float32)
    """
    _check_format(format)
    if not callable(fn):
        fail(
            "fn",
            fn,
            "it must be a function from an array to an array",
            "give a function or a layer",
        )
    shape, dtype = _whole_shape(shape), _dtype_of(dtype, format)
    result = jax.eval_shape(fn, jax.ShapeDtypeStruct(shape, dtype))
    if not isinstance(result, jax.ShapeDtypeStruct):
        fail(
            "fn",
            Described(f"function whose result is {result}"),
            "its result must be one array",
            "return one of them",
        )
    _check_sparse("fn", np.dtype(result.dtype), format)
    columns, rows = math.prod(shape), math.prod(result.shape)
    _check_entries((rows, columns), format)
    if columns * (columns + rows) > MOST_READ:
        fail(
            "shape",
            shape,
            f"reading {columns} columns of {rows} rows takes "
            f"{columns * (columns + rows)} elements, and {MOST_READ} is the limit",
            "take a smaller shape; for a convolution conv_matrix, which reads none; or use fn and "
            "jax.linear_transpose(fn, x) themselves",
        )
    count = max(1, min(columns, CHUNK // max(columns, rows, 1)))

    @jax.jit
    def batch(first: Any) -> jax.Array:
        units = jax.nn.one_hot(first + jnp.arange(count), columns, dtype=dtype)
        return jax.vmap(fn)(units.reshape(count, *shape)).reshape(count, rows)

    pack = np.asarray if format == "dense" else scipy.sparse.csr_array
    # Accelerators multiply float32 in fewer digits unless told otherwise.
    with jax.default_matmul_precision("highest"):
        check_linear(fn, shape, dtype)
        parts = [pack(np.asarray(batch(n))[: columns - n]) for n in range(0, columns, count)]
    if format == "dense":
        return np.concatenate([np.zeros((0, rows), result.dtype), *parts]).T
    matrix = scipy.sparse.vstack([scipy.sparse.csr_array((0, rows), dtype=result.dtype), *parts]).T
    found = matrix.tocsr()
    return found if format == "csr" else _bcoo("fn", found, np.dtype(result.dtype))


def _bcoo(argument: str, matrix: scipy.sparse.csr_array, dtype: np.dtype[Any]) -> sparse.BCOO:
    found = matrix.tocoo()
    numbers = found.data.astype(dtype, copy=False)
    indices = np.stack([found.row, found.col], axis=1)
    return sparse.BCOO(
        (_kept(argument, numbers), _kept(argument, indices)),
        shape=matrix.shape,
        indices_sorted=True,
        unique_indices=True,
    )


def _kept(argument: str, values: NDArray[Any]) -> jax.Array:
    """An array as JAX's, refused where JAX would narrow its numbers to others."""
    with np.errstate(all="ignore"):
        narrow = values.astype(jax.dtypes.canonicalize_dtype(values.dtype))
    if not np.array_equal(narrow, values, equal_nan=values.dtype.kind in "fc"):
        fail(
            argument,
            Described(f"array of {values.dtype}"),
            f"64-bit numbers are switched off in JAX, and {narrow.dtype} cannot hold its values",
            "switch them on "
            "with jax.config.update('jax_enable_x64', True), convert them, or take "
            "format='csr'",
        )
    return jnp.asarray(narrow)


# -- checks ----------------------------------------------------------------------------------------


def _kernel_values(geometry: Geometry, kernel: Any, format: Format) -> NDArray[Any]:
    """The kernel as an array of numbers that can be held."""
    if np.ma.is_masked(kernel):
        fail(
            "kernel",
            Described("masked array"),
            "a matrix has no missing entries",
            "fill them in, as in kernel.filled(0)",
        )
    try:
        values = np.asarray(kernel)
    except ValueError:
        fail(
            "kernel",
            Described("nested lists of several lengths"),
            f"the geometry's kernel has shape {geometry.kernel_shape}",
            "give an array",
        )
    except TypeError:  # JAX's keys of random numbers
        fail(
            "kernel",
            kind_of(kernel),
            "a matrix holds numbers",
            "give an array of them",
        )
    if values.shape != geometry.kernel_shape:
        fail(
            "kernel",
            array_of(values.shape),
            f"the geometry's kernel has shape {geometry.kernel_shape}",
            "reshape it",
        )
    if values.dtype.kind not in "iufc":
        fail(
            "kernel",
            Described(f"array of {values.dtype}"),
            "matrices hold NumPy's own integers, floats and complex numbers only",
            "convert it, say to float32",
        )
    _check_sparse("kernel", values.dtype, format)
    return values


def _check_sparse(argument: str, dtype: np.dtype[Any], format: Format) -> None:
    """Refuse what the sparse matrices of a library cannot hold."""
    narrow = dtype == np.float16 and format == "bcoo" and argument == "kernel"
    if format != "dense" and not narrow and (dtype.kind not in "biufc" or dtype == np.float16):
        fail(
            argument,
            Described(f"array of {dtype}"),
            f"SciPy has no sparse matrices of {dtype}",
            "convert it, say to float32, or take format='dense'",
        )
    if format == "bcoo" and dtype.itemsize > (16 if dtype.kind == "c" else 8):
        fail(
            argument,
            Described(f"array of {dtype}"),
            "JAX has no such numbers",
            "convert it, say to float64, or take format='csr'",
        )


def _check_format(format: Any) -> None:
    if not isinstance(format, str) or format not in ("csr", "bcoo", "dense"):
        fail("format", format, "the formats are csr, bcoo and dense", "use one of them")


def _check_entries(shape: tuple[int, int], format: Format) -> None:
    entries = math.prod(shape)
    if format == "dense" and entries > MOST_ENTRIES:
        fail(
            "format",
            "dense",
            f"a matrix of shape {shape} has {entries} entries, and {MOST_ENTRIES} is the limit",
            "take format='csr'",
        )
    if shape[0] > MOST_ENTRIES:
        fail(
            "geometry",
            Described(f"matrix of shape {shape}"),
            "even a sparse matrix keeps a number "
            f"for each row, and {MOST_ENTRIES} rows are the limit",
            "apply conv and conv_transpose themselves, which need no matrix",
        )


def _whole_shape(shape: Any) -> tuple[int, ...]:
    """A shape as a tuple of ints."""
    sizes = frozen("shape", shape)
    if not isinstance(sizes, tuple):
        fail("shape", shape, "it must be one whole number per axis", "give a tuple such as (3,)")
    return ints("shape", sizes, len(sizes), 0) if sizes else ()


def _dtype_of(dtype: Any, format: Format) -> np.dtype[Any]:
    """The dtype of fn's argument; JAX would narrow one of 64 bits where these are off."""
    try:
        if dtype is None:
            raise TypeError
        wanted = np.dtype(dtype)
        # Python's own float and int mean the widest that there is, as everywhere in JAX.
        found = jax.dtypes.canonicalize_dtype(wanted)
    except Exception:  # noqa: BLE001 - NumPy refuses by several
        fail("dtype", dtype, "it must be a dtype of JAX's", "give jnp.float32, say")
    if not jnp.issubdtype(found, jnp.number) or found.name not in DTYPES:
        fail(
            "dtype",
            str(wanted),
            "a linear function takes numbers of 8 to 64 bits, floats of 16 or more",
            "give jnp.float32, say",
        )
    if found != wanted and dtype not in (int, float, complex):
        fail(
            "dtype",
            str(wanted),
            "64-bit numbers are switched off in JAX",
            f"switch them on with jax.config.update('jax_enable_x64', True), or give {found}",
        )
    return np.dtype(found)
