"""The formats of a matrix: SciPy's CSR, JAX's BCOO and a dense NumPy array."""

from __future__ import annotations

import math
from typing import Any, Literal, TypeAlias, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import sparse
from numpy.typing import NDArray

from tconvjax.arguments import choice
from tconvjax.errors import Described, fail

Format: TypeAlias = Literal["csr", "bcoo", "dense"]

MOST_ENTRIES = 2**27
"""Largest number of entries of a dense matrix, zeros included (half a GiB of float32), and of rows
of a sparse one."""

DTYPES = frozenset(
    [f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)]
    + ["bfloat16", "float16", "float32", "float64", "complex64", "complex128"]
)
"""The dtypes of JAX arrays that a matrix can hold."""


def check_format(format: Any, argument: str, dtype: np.dtype[Any], shape: tuple[int, int]) -> None:
    """Refuse a format that cannot hold a matrix of this dtype and shape.

    Args:
        format: what the caller was given.
        argument: the argument from which the matrix is made, in messages.
        dtype: the dtype of the matrix.
        shape: its rows and columns.
    """
    choice("format", format, get_args(Format))
    in_scipy = dtype.kind in "biufc" and dtype != np.float16
    if (format == "csr" and not in_scipy) or (format == "bcoo" and dtype.name not in DTYPES):
        fail(
            argument,
            Described(f"array of {dtype}"),
            f"a matrix of format {format!r} cannot hold {dtype}",
            "convert it, say to float32, or use format='dense'",
        )
    if format == "dense" and math.prod(shape) > MOST_ENTRIES:
        fail(
            "format",
            "dense",
            f"a matrix of shape {shape} has {math.prod(shape)} entries, and {MOST_ENTRIES} is the "
            "limit",
            "use format='csr'",
        )
    if shape[0] > MOST_ENTRIES:
        fail(
            argument,
            Described(f"matrix of shape {shape}"),
            f"a sparse matrix has a number for each row, and {MOST_ENTRIES} rows are the limit",
            "apply the functions themselves, which need no matrix",
        )


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
        fail(
            argument,
            Described(f"array of {values.dtype}"),
            f"64-bit numbers are switched off in JAX, and {narrow.dtype} cannot hold its values",
            "switch them on with jax.config.update('jax_enable_x64', True), convert them, or use "
            "format='csr'",
        )
    return jnp.asarray(narrow)
