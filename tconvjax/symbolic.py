"""The matrix C of a convolution with symbolic entries, and why the transpose has its name.

Input and output are read as columns, row by row and channel by channel. Then the convolution is
``C * vec(x)`` and the transposed convolution is ``C.T * vec(y)``. Imported by name, since it needs
SymPy: ``from tconvjax import symbolic``.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import sympy

from tconvjax.geometry import Geometry, Words, fail, links

MOST_ENTRIES = 1_000_000
"""More entries, rows or columns make no matrix to look at, and SymPy takes minutes over them."""


def conv_matrix(geometry: Geometry, kernel: Any = None) -> sympy.SparseMatrix:
    """The matrix C of a convolution.

    C[o i, c j] = sum of w[o, c, t] over the taps t with stride*i + dilation*t - low = j

    Args:
        geometry: any geometry: N-D, strided, padded, dilated, with channels and groups.
        kernel: numbers or SymPy expressions of shape (O, C / groups, *kernel_size) to fill C with;
            None for the symbols of `kernel_symbols`.

    Returns:
        A sparse matrix with a row for each output element and a column for each input element. Its
        ``.T`` is the matrix of the transposed convolution. Built in time proportional to its
        non-zeros; ``.as_immutable()``, which can be hashed, takes time for every zero too.

    Raises:
        GeometryError: if the kernel has another shape, or the matrix would not fit.

    Examples:
        >>> C = conv_matrix(Geometry.of_conv((1, 5), (1, 1, 3), stride=2))
        >>> C
        Matrix([
        [w_0, w_1, w_2,   0,   0],
        [  0,   0, w_0, w_1, w_2]])
        >>> C.T * vec_output(geometry := Geometry.of_conv((1, 5), (1, 1, 3), stride=2))
        Matrix([
        [          w_0*y_0],
        [          w_1*y_0],
        [w_0*y_1 + w_2*y_0],
        [          w_1*y_1],
        [          w_2*y_1]])

    Dumoulin and Visin, arXiv:1603.07285, section 4.1, print it for a 4x4 input and a 3x3 kernel.
    """
    products = (
        geometry.out_channels
        // geometry.groups
        * math.prod((geometry.in_channels, *geometry.out_size, *geometry.kernel_size))
    )
    largest = max(products, math.prod(geometry.in_shape), math.prod(geometry.out_shape))
    if largest > MOST_ENTRIES:
        fail("geometry", Words(f"{geometry.in_shape} to {geometry.out_shape}"),
             f"its matrix has up to {largest} entries, rows or columns, and {MOST_ENTRIES} is the "
             "limit",
             "look at a smaller input; a convolution looks alike at every size")  # fmt: skip
    taps = kernel_symbols(geometry) if kernel is None else _given(kernel, geometry)
    rows, columns = _places(geometry.out_shape), _places(geometry.in_shape)
    entries: dict[tuple[int, int], Any] = {}
    for output, source, tap in links(geometry):
        place = rows[output], columns[source]
        # Only a border that copies elements meets one input element twice in one output.
        entries[place] = entries[place] + taps[tap] if place in entries else taps[tap]
    return sympy.SparseMatrix(len(rows), len(columns), entries)


def kernel_symbols(geometry: Geometry) -> dict[tuple[int, ...], sympy.Symbol]:
    """A symbol for each kernel entry: w with its tap, and with its channels if there are several.

    Args:
        geometry: any geometry.

    Returns:
        From (o, c, *t), as in ``geometry.kernel_shape``, to a symbol such as ``w_1_0``.

    Examples:
        >>> list(kernel_symbols(Geometry.of_conv((1, 4, 4), (1, 1, 1, 2))).values())
        [w_0_0, w_0_1]
    """
    shown = 0 if max(geometry.kernel_shape[:2]) > 1 else 2
    return {index: _symbol("w", index[shown:]) for index in _places(geometry.kernel_shape)}


def vec_input(geometry: Geometry) -> sympy.ImmutableDenseMatrix:
    """The input as a column of symbols x, in the order of C's columns.

    Args:
        geometry: any geometry.

    Returns:
        A column with ``prod(geometry.in_shape)`` rows.
    """
    return _vec("x", geometry.in_shape)


def vec_output(geometry: Geometry) -> sympy.ImmutableDenseMatrix:
    """The output as a column of symbols y, in the order of C's rows.

    Args:
        geometry: any geometry.

    Returns:
        A column with ``prod(geometry.out_shape)`` rows.
    """
    return _vec("y", geometry.out_shape)


def _vec(name: str, shape: tuple[int, ...]) -> sympy.ImmutableDenseMatrix:
    shown = 0 if shape[0] > 1 else 1
    symbols = [_symbol(name, index[shown:]) for index in _places(shape)]
    return sympy.ImmutableDenseMatrix(len(symbols), 1, symbols)


def _symbol(name: str, index: Sequence[int]) -> sympy.Symbol:
    return sympy.Symbol("_".join(map(str, (name, *index))))


def _places(shape: tuple[int, ...]) -> dict[tuple[int, ...], int]:
    """Every index of an array, and its place when the array is read row by row."""
    return {index: n for n, index in enumerate(itertools.product(*map(range, shape)))}


def _given(kernel: Any, geometry: Geometry) -> dict[tuple[int, ...], Any]:
    """A kernel of numbers or expressions as SymPy's; text is never read as code."""
    array = np.asarray(kernel.tolist() if hasattr(kernel, "tolist") else kernel, dtype=object)
    if array.shape != geometry.kernel_shape:
        fail("kernel", Words(f"array of shape {array.shape}"), f"the geometry's kernel has shape "
             f"{geometry.kernel_shape}", "reshape it")  # fmt: skip
    for value in array.flat:
        if not isinstance(value, int | float | complex | sympy.Expr):
            fail("kernel", value, "its entries must be numbers or SymPy expressions",
                 "convert text yourself")  # fmt: skip
    return {index: sympy.sympify(array[index]) for index in _places(array.shape)}
