"""The symbols of a convolution: w for its kernel, x and y for its input and output."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import sympy

from tconvjax.errors import array_of, fail, kind_of
from tconvjax.geometry import Geometry, check_geometry

Taps: TypeAlias = Mapping[tuple[int, ...], Any]
"""From (o, c, *t), as in ``geometry.kernel_shape``, to what stands there."""


MOST_SYMBOLS = 200_000
"""Symbols of a column, which SymPy makes in some seconds."""


class KernelSymbols(Mapping[tuple[int, ...], sympy.Symbol]):
    """The symbols of a kernel by (o, c, *t), each made when it is looked up.

    A layer of 512 channels has millions of them, of which a picture shows a handful.
    """

    def __init__(self, geometry: Geometry, letter: str = "w") -> None:
        self.shape = geometry.kernel_shape
        self.letter = letter
        self._made: dict[tuple[int, ...], sympy.Symbol] = {}
        self._shown = 0 if max(self.shape[:2]) > 1 else 2

    def __getitem__(self, index: tuple[int, ...]) -> sympy.Symbol:
        """The symbol of an entry."""
        found = self._made.get(index)
        if found is None:
            if index not in self:
                raise KeyError(index)
            found = self._made[index] = symbol(self.letter, index[self._shown :])
        return found

    def __contains__(self, index: object) -> bool:
        """Whether the kernel has such an entry."""
        return (
            isinstance(index, tuple)
            and len(index) == len(self.shape)
            and all(
                isinstance(n, int) and 0 <= n < size
                for n, size in zip(index, self.shape, strict=True)
            )
        )

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        """The indices, in order."""
        return itertools.product(*map(range, self.shape))

    def __len__(self) -> int:
        """How many entries there are."""
        return math.prod(self.shape)

    def __repr__(self) -> str:
        """All of them, if they are few."""
        return repr(dict(self)) if len(self) <= 100 else f"KernelSymbols of shape {self.shape}"


def kernel_symbols(geometry: Geometry) -> KernelSymbols:
    """A symbol for each kernel entry: w with its tap, and with its channels if there are several.

    Args:
        geometry: any geometry.

    Returns:
        A mapping from (o, c, *t), as in ``geometry.kernel_shape``, to a symbol such as ``w_1_0``,
        which is made when it is looked up.

    Raises:
        GeometryError: if it is given no geometry.

    Examples:
        >>> list(kernel_symbols(Geometry.of_conv((1, 4, 4), (1, 1, 1, 2))).values())
        [w_0_0, w_0_1]
    """
    return KernelSymbols(check_geometry(geometry))


def vec_input(geometry: Geometry) -> sympy.ImmutableDenseMatrix:
    """The input as a column of symbols x, in the order of C's columns.

    Args:
        geometry: any geometry with at most 200,000 inputs.

    Returns:
        A column with ``prod(geometry.in_shape)`` rows.

    Raises:
        GeometryError: if there are more.
    """
    return _vec("x", check_geometry(geometry).in_shape)


def vec_output(geometry: Geometry) -> sympy.ImmutableDenseMatrix:
    """The output as a column of symbols y, in the order of C's rows.

    Args:
        geometry: any geometry with at most 200,000 outputs.

    Returns:
        A column with ``prod(geometry.out_shape)`` rows.

    Raises:
        GeometryError: if there are more.
    """
    return _vec("y", check_geometry(geometry).out_shape)


def _vec(name: str, shape: tuple[int, ...]) -> sympy.ImmutableDenseMatrix:
    if math.prod(shape) > MOST_SYMBOLS:
        fail(
            "geometry",
            array_of(shape),
            f"a column has a symbol for each element, and {MOST_SYMBOLS} is the limit",
            "look at a smaller input, since a convolution looks alike at every size",
        )
    shown = 0 if shape[0] > 1 else 1
    symbols = [symbol(name, index[shown:]) for index in places(shape)]
    return sympy.ImmutableDenseMatrix(len(symbols), 1, symbols)


def symbol(name: str, index: Sequence[int]) -> sympy.Symbol:
    """A symbol whose name carries an index, as ``w_1_0``."""
    return sympy.Symbol("_".join(map(str, (name, *index))))


def places(shape: Sequence[int]) -> dict[tuple[int, ...], int]:
    """Every index of an array, and its place when the array is read row by row."""
    return {index: n for n, index in enumerate(itertools.product(*map(range, shape)))}


def index(place: int, shape: Sequence[int]) -> tuple[int, ...]:
    """The index of an element from its place when the array is read row by row."""
    found = []
    for size in reversed(shape):
        place, n = divmod(place, size)
        found.append(n)
    return tuple(reversed(found))


def taps_of(kernel: Any, geometry: Geometry) -> Taps:
    """A kernel's entries as SymPy's: symbols for None; text is never read as code."""
    if kernel is None:
        return kernel_symbols(geometry)
    if isinstance(kernel, KernelSymbols):
        return kernel
    return dict(
        zip(
            places(geometry.kernel_shape),
            entries("kernel", kernel, geometry.kernel_shape),
            strict=True,
        )
    )


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
    array = as_objects(argument, given)
    if array.shape != shape:
        fail(
            argument,
            array_of(array.shape),
            f"the geometry asks for {shape}",
            "reshape it",
        )
    return [_entry(argument, value) for value in array.flat]


def as_objects(argument: str, given: Any) -> Any:
    """Nested lists or an array as a NumPy array of what stands in them."""
    try:
        listed = given.tolist() if hasattr(given, "tolist") else given
        array = np.asarray(listed, dtype=object)
    except ValueError:  # lists of unequal arrays
        return fail(argument, kind_of(given), "its rows must be of one length", "fill them up")
    except TypeError:  # JAX's keys of random numbers
        return fail(
            argument,
            kind_of(given),
            "its entries must be numbers or SymPy expressions",
            "give an array of numbers",
        )
    shape = getattr(given, "shape", None)
    # A list of an array without elements has forgotten the sizes after the first 0.
    empty = array.size == 0 and isinstance(shape, tuple) and 0 in shape
    return np.empty(shape, object) if empty else array


def _entry(argument: str, value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    if isinstance(value, bool) or not isinstance(value, int | float | complex | sympy.Expr):
        fail(
            argument,
            value,
            "its entries must be numbers or SymPy expressions",
            "write 1 for True and 0 for False"
            if isinstance(value, bool)
            else "convert text yourself",
        )
    return sympy.sympify(value)
