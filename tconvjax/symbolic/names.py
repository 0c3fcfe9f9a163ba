"""The symbols of a convolution: w for its kernel, x and y for its input and output."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import sympy

from tconvjax.geometry import Geometry, Words, fail

Taps: TypeAlias = Mapping[tuple[int, ...], Any]
"""From (o, c, *t), as in ``geometry.kernel_shape``, to what stands there."""


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
    return {index: symbol("w", index[shown:]) for index in places(geometry.kernel_shape)}


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
    symbols = [symbol(name, index[shown:]) for index in places(shape)]
    return sympy.ImmutableDenseMatrix(len(symbols), 1, symbols)


def symbol(name: str, index: Sequence[int]) -> sympy.Symbol:
    """A symbol whose name carries an index, as ``w_1_0``."""
    return sympy.Symbol("_".join(map(str, (name, *index))))


def places(shape: Sequence[int]) -> dict[tuple[int, ...], int]:
    """Every index of an array, and its place when the array is read row by row."""
    return {index: n for n, index in enumerate(itertools.product(*map(range, shape)))}


def taps_of(kernel: Any, geometry: Geometry) -> Taps:
    """A kernel's entries as SymPy's: symbols for None; text is never read as code."""
    if kernel is None:
        return kernel_symbols(geometry)
    return dict(zip(places(geometry.kernel_shape), entries(
        "kernel", kernel, geometry.kernel_shape), strict=True))  # fmt: skip


def entries(argument: str, given: Any, shape: tuple[int, ...]) -> list[Any]:
    """An array's entries as SymPy's, read row by row.

    Args:
        argument: its name, for a message.
        given: array, list, or SymPy array of numbers or expressions.
        shape: what it must have.

    Returns:
        SymPy expressions; integers and fractions stay exact.

    Raises:
        GeometryError: if the shape differs, or an entry is no number and no expression.
    """
    array = np.asarray(given.tolist() if hasattr(given, "tolist") else given, dtype=object)
    if array.shape != shape:
        fail(argument, Words(f"array of shape {array.shape}"),
             f"the geometry asks for {shape}", "reshape it")  # fmt: skip
    for value in array.flat:
        if not isinstance(value, int | float | complex | sympy.Expr):
            fail(argument, value, "its entries must be numbers or SymPy expressions",
                 "convert text yourself")  # fmt: skip
    return [sympy.sympify(value) for value in array.flat]
