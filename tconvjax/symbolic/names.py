"""The entries of kernels: symbols such as w_1_0, and numbers or expressions that people give."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import sympy
from numpy.typing import NDArray

from tconvjax.errors import array_of, fail, kind_of
from tconvjax.geometry import Geometry, check_geometry

Taps: TypeAlias = Mapping[tuple[int, ...], Any]
"""From (o, c, *t), an index of ``geometry.kernel_shape``, to an entry of the kernel."""


def kernel_symbols(geometry: Geometry) -> dict[tuple[int, ...], sympy.Symbol]:
    """A symbol for each kernel entry: w with its tap, and with its channels if there are several.

    Args:
        geometry: any geometry.

    Returns:
        A mapping from (o, c, *t), an index of ``geometry.kernel_shape``, to a symbol such as
        ``w_1_0``.

    Raises:
        GeometryError: if ``geometry`` is not a Geometry.

    Examples:
        >>> list(kernel_symbols(Geometry.of_conv((1, 4, 4), (1, 1, 1, 2))).values())
        [w_0_0, w_0_1]
    """
    shape = check_geometry(geometry).kernel_shape
    return {tap: tap_symbol(geometry, tap) for tap in itertools.product(*map(range, shape))}


def tap_symbol(geometry: Geometry, tap: Sequence[int], letter: str = "w") -> sympy.Symbol:
    """The symbol of the entry (o, c, *t) of a kernel."""
    return symbol(letter, tap if max(geometry.kernel_shape[:2]) > 1 else tap[2:])


def symbol(name: str, index: Sequence[int]) -> sympy.Symbol:
    """A symbol whose name carries an index, such as ``w_1_0``."""
    return sympy.Symbol("_".join(map(str, (name, *index))))


def taps_of(kernel: Any, geometry: Geometry) -> Taps:
    """A kernel's entries as SymPy expressions: symbols for None; text is never read as code."""
    names = kernel_symbols(geometry)
    if kernel is None:
        return names
    return dict(zip(names, entries("kernel", kernel, geometry.kernel_shape), strict=True))


def entries(argument: str, values: Any, shape: tuple[int, ...]) -> list[Any]:
    """The entries of an array of this shape as SymPy expressions, read row by row."""
    return [as_entry(argument, value) for value in as_array(argument, values, shape).flat]


def as_array(argument: str, values: Any, shape: tuple[int, ...] | None = None) -> NDArray[Any]:
    """Nested lists or an array in NumPy, of objects unless it is an array of numbers already."""
    kind = getattr(getattr(values, "dtype", None), "kind", "?")
    try:
        if kind in "biufcVO" and not np.ma.isMaskedArray(values):
            array = np.asarray(values)
        else:
            listed = values.tolist() if hasattr(values, "tolist") else values
            array = np.asarray(listed, dtype=object)
    except (ValueError, TypeError):  # lists of unequal arrays, and JAX's keys of random numbers
        rule = "it must be an array of numbers or SymPy expressions, with rows of one length"
        fail(argument, kind_of(values), rule, "give a NumPy array or nested lists")
    if shape is not None and array.shape != shape:
        fail(argument, array_of(array.shape), f"the geometry asks for {shape}", "reshape it")
    return array


def as_entry(argument: str, value: Any) -> Any:
    """An entry of a kernel or an array as a SymPy expression."""
    value = value.item() if isinstance(value, np.generic) else value
    truth = isinstance(value, bool)
    if truth or not isinstance(value, int | float | complex | sympy.Expr):
        remedy = "write 1 for True and 0 for False" if truth else "convert text yourself"
        fail(argument, value, "its entries must be numbers or SymPy expressions", remedy)
    return sympy.sympify(value)
