"""The entries of kernels: symbols such as w_1_0, and numbers or expressions that people give."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import sympy
from numpy.typing import NDArray

from tconvjax.errors import array_of, fail, kind_of
from tconvjax.geometry import Geometry, check_geometry

Taps: TypeAlias = Mapping[tuple[int, ...], Any]
"""From (o, c, *t), an index of ``geometry.kernel_shape``, to an entry of the kernel."""


class KernelSymbols(Mapping[tuple[int, ...], sympy.Symbol]):
    """The symbols of a kernel by (o, c, *t), each made when it is looked up.

    A layer of 512 channels has millions of them, and a picture shows a handful.
    """

    def __init__(self, geometry: Geometry, letter: str = "w") -> None:
        self.shape = geometry.kernel_shape
        self.letter = letter
        self._shown = 0 if max(self.shape[:2]) > 1 else 2

    def __getitem__(self, index: tuple[int, ...]) -> sympy.Symbol:
        """The symbol of an entry."""
        fits = isinstance(index, tuple) and len(index) == len(self.shape)
        if not fits or not all(n in range(size) for n, size in zip(index, self.shape, strict=True)):
            raise KeyError(index)
        return symbol(self.letter, index[self._shown :])

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """The indices, in order."""
        return itertools.product(*map(range, self.shape))

    def __len__(self) -> int:
        """The number of entries."""
        return math.prod(self.shape)

    def __repr__(self) -> str:
        """All of them, if they are few."""
        return repr(dict(self)) if len(self) <= 100 else f"KernelSymbols of shape {self.shape}"


def kernel_symbols(geometry: Geometry) -> KernelSymbols:
    """A symbol for each kernel entry: w with its tap, and with its channels if there are several.

    Args:
        geometry: any geometry.

    Returns:
        A mapping from (o, c, *t), an index of ``geometry.kernel_shape``, to a symbol such as
        ``w_1_0``. Symbols are made when they are looked up.

    Raises:
        GeometryError: if ``geometry`` is not a Geometry.

    Examples:
        >>> list(kernel_symbols(Geometry.of_conv((1, 4, 4), (1, 1, 1, 2))).values())
        [w_0_0, w_0_1]
    """
    return KernelSymbols(check_geometry(geometry))


def symbol(name: str, index: Sequence[int]) -> sympy.Symbol:
    """A symbol whose name carries an index, such as ``w_1_0``."""
    return sympy.Symbol("_".join(map(str, (name, *index))))


def taps_of(kernel: Any, geometry: Geometry) -> Taps:
    """A kernel's entries as SymPy expressions: symbols for None; text is never read as code."""
    names = kernel_symbols(geometry)
    if kernel is None:
        return dict(names)
    return dict(zip(names, entries("kernel", kernel, names.shape), strict=True))


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
