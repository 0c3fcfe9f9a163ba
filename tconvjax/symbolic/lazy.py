"""C as one object whose sizes may be symbols: a rule for its entries in place of the entries."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import sympy
from sympy.core.symbol import Str, uniquely_named_symbol

from tconvjax.arguments import choice, whole
from tconvjax.errors import fail
from tconvjax.geometry import PADDING_MODES, Axis, Geometry, check_geometry
from tconvjax.shown import Shown
from tconvjax.symbolic import sizes as sizing
from tconvjax.symbolic.explicit import check_size, conv_matrix
from tconvjax.symbolic.names import index, places
from tconvjax.symbolic.sizes import Mod, Size, Sizes, SymbolicAxis, Tap

MOST_WRITTEN = 50_000
"""Products of a matrix that is written out as an immutable one, whose entries SymPy sorts."""

MOST_TERMS = 32
"""Terms of a sum over taps that an entry's rule writes out."""


class _Indexed:
    """What an expression answers to C[i, j]."""

    def __getitem__(self, key: Any) -> Any:
        """An entry or a slice; rows and columns below 0 count from the end, as SymPy's do.

        Raises:
            GeometryError: if a row or a column is no whole number, symbol or expression.
            IndexError: if there is no such row or column.
        """
        given: Any = super()
        several = isinstance(key, tuple)
        read = tuple(map(_read, key if several else (key,)))
        return given.__getitem__(read if several else read[0])


class ConvolutionMatrix(Shown, _Indexed, sympy.MatrixExpr):  # type: ignore[misc]  # SymPy has no types
    """The matrix of a convolution whose sizes, stride, dilation and padding may be symbols.

    C[o i, c j] = w[o, c, t] where t = (j + low - stride*i) / dilation is a tap, and 0 elsewhere

    A SymPy matrix expression: it has a ``shape``, ``C[i, j]`` in closed form, ``C.T``,
    ``subs``, and with numbers for all sizes ``as_explicit()``. Made by `of` or `of_geometry`. Its
    entries are ``w[t]``, or ``w[o, c, t]`` where there are several channels, indexed since t may be
    an expression.

    Examples:
        >>> n, k, s, p = sympy.symbols("n k s p", integer=True, positive=True)
        >>> C = ConvolutionMatrix.of(n, k, stride=s, padding=p)
        >>> C.shape
        (floor((-k + n + 2*p)/s) + 1, n)
        >>> C.subs({n: 5, k: 3, s: 2, p: 1}).as_explicit()
        Matrix([
        [w[1], w[2],    0,    0,    0],
        [   0, w[0], w[1], w[2],    0],
        [   0,    0,    0, w[0], w[1]]])
    """

    def __new__(
        cls,
        axes: Any,
        in_channels: Any = 1,
        out_channels: Any = 1,
        groups: Any = 1,
        kernel: Any = None,
    ) -> ConvolutionMatrix:
        """As SymPy rebuilds it; use `of` or `of_geometry`."""
        if isinstance(axes, str) or any(isinstance(axis, str) for axis in axes):
            fail("axes", axes, "they must be sizes and steps of each axis", "use of or of_geometry")
        axes = sympy.Tuple(
            *(sympy.Tuple(*(sizing.plain("axes", size) for size in axis)) for axis in axes)
        )
        numbers = [
            sizing.plain(name, n)
            for name, n in (
                ("in_channels", in_channels),
                ("out_channels", out_channels),
                ("groups", groups),
            )
        ]
        for axis in axes:
            sizing.check_axis(SymbolicAxis(*axis))
        sizing.check_channels(*numbers)
        kernel = sympy.IndexedBase("w") if kernel is None else kernel
        made: ConvolutionMatrix = super().__new__(cls, axes, *numbers, kernel)
        if made.is_numeric:
            _ = made.geometry  # refuses what is no convolution
        return made

    @classmethod
    def of(
        cls,
        in_size: Sizes,
        kernel_size: Sizes,
        *,
        stride: Sizes = 1,
        padding: Any = 0,
        dilation: Sizes = 1,
        in_channels: Size = 1,
        out_channels: Size = 1,
        groups: Size = 1,
        padding_mode: str = "zeros",
        kernel: str = "w",
    ) -> ConvolutionMatrix:
        """The matrix of ``conv`` with these arguments, each a whole number or an expression.

        out = floor((in + low + high - dilation * (kernel - 1) - 1) / stride) + 1

        Args:
            in_size: one for each axis, or one size for a single axis.
            kernel_size: taps, one an axis or one for all.
            stride: one an axis or one for all.
            padding: one for all, one an axis, or (low, high) an axis.
            dilation: one an axis or one for all.
            in_channels: C.
            out_channels: O.
            groups: divides both.
            padding_mode: "zeros", "circular", "reflect" or "replicate".
            kernel: the letter of the entries.

        Returns:
            The matrix, nothing of it written out.

        Raises:
            GeometryError: if the arguments do not fit together.
        """
        several = sizing.listed(in_size)
        sizes = (in_size,) if several is None else several
        rank = len(sizes)
        if not rank:
            fail("in_size", in_size, "a convolution has one axis or more", "give a size for each")
        choice("padding_mode", padding_mode, PADDING_MODES)
        columns = {
            "in_size": sizes,
            "kernel_size": sizing.each("kernel_size", kernel_size, rank),
            "stride": sizing.each("stride", stride, rank),
            "dilation": sizing.each("dilation", dilation, rank),
        }
        read = [[sizing.read(name, size) for size in column] for name, column in columns.items()]
        axes = []
        for n, k, s, d, pad in zip(*read, sizing.each("padding", padding, rank), strict=True):
            low, high = (sizing.read("padding", end) for end in sizing.each("padding", pad, 2))
            out = sympy.floor((n + low + high - d * (k - 1) - 1) / s) + 1
            axes.append((n, out, k, s, d, low, Str(padding_mode)))
        return cls(
            axes,
            sizing.read("in_channels", in_channels),
            sizing.read("out_channels", out_channels),
            sizing.read("groups", groups),
            _base(kernel),
        )

    @classmethod
    def of_geometry(cls, geometry: Geometry, kernel: str = "w") -> ConvolutionMatrix:
        """The matrix of a geometry.

        Args:
            geometry: any geometry.
            kernel: the letter of the entries.

        Returns:
            The matrix, nothing of it written out.
        """
        axes = [
            (a.in_size, a.out_size, a.kernel_size, a.stride, a.dilation, a.low, Str(a.mode))
            for a in check_geometry(geometry).axes
        ]
        numbers = geometry.in_channels, geometry.out_channels, geometry.groups
        return cls(axes, *numbers, _base(kernel))

    @property
    def axes(self) -> tuple[SymbolicAxis, ...]:
        """Sizes, steps and mode of each axis, as expressions."""
        return tuple(SymbolicAxis(*axis) for axis in self.args[0])

    @property
    def shape(self) -> tuple[Any, Any]:
        """(O * prod(out_size), C * prod(in_size))."""
        _, inputs, outputs, _, _ = self.args
        return (
            functools.reduce(operator.mul, (a.out_size for a in self.axes), outputs),
            functools.reduce(operator.mul, (a.in_size for a in self.axes), inputs),
        )

    @property
    def is_numeric(self) -> bool:
        """Whether every size is a number."""
        numbers = [*self.args[1:4], *(size for axis in self.axes for size in axis[:6])]
        return all(number.is_Integer for number in numbers)

    @property
    def geometry(self) -> Geometry:
        """The geometry, if every size is a number.

        Raises:
            GeometryError: if a size is still a symbol.
        """
        free = sorted(map(str, self.free_symbols - {self.args[4], *self.args[4].free_symbols}))
        if not self.is_numeric:
            fail(
                "sizes",
                ", ".join(free),
                "they must be numbers",
                "put numbers in their places with .subs",
            )
        axes = []
        for axis in self.axes:
            in_size, out_size, kernel_size, stride, dilation, low = map(int, axis[:6])
            mode: Any = axis.mode.name
            axes.append(Axis(in_size, out_size, kernel_size, stride, dilation, low, mode))
        return Geometry(tuple(axes), *map(int, self.args[1:4]))

    def as_explicit(self) -> sympy.ImmutableSparseMatrix:
        """Every entry written out, of at most 50,000 products.

        Raises:
            GeometryError: if a size is still a symbol, or there are more products.
        """
        geometry = self.geometry
        check_size(geometry, MOST_WRITTEN)
        kernel = [self._tap(at) for at in places(geometry.kernel_shape)]
        shaped: Any = sympy.Array(kernel, geometry.kernel_shape) if kernel else None
        return conv_matrix(geometry, shaped).as_immutable()

    def entry_rule(self) -> sympy.Eq:
        """The equation of one entry, ``C[i, j]`` with symbols i and j.

        Where a size has the name i or j already, the row or the column gets another one.
        """
        i = uniquely_named_symbol("i", [self], integer=True, nonnegative=True)
        j = uniquely_named_symbol("j", [self], integer=True, nonnegative=True)
        matrix = sympy.MatrixSymbol("C", *self.shape)
        return sympy.Eq(matrix[i, j], self._entry(i, j), evaluate=False)

    def _entry(self, i: Any, j: Any, **_: Any) -> Any:
        """The tap that ties output i to input j: a case distinction where sizes are symbols."""
        _, inputs, outputs, groups, _ = self.args
        rows, columns = self.shape
        i, j = _from_start(i, rows), _from_start(j, columns)
        if i.is_Integer and j.is_Integer and self.is_numeric and not self._is_short:
            return self._numeric_entry(int(i), int(j))
        o, *outs = sizing.unravelled(i, [outputs, *(a.out_size for a in self.axes)])
        c, *ins = sizing.unravelled(j, [inputs, *(a.in_size for a in self.axes)])
        conditions, within = [], c
        if groups != 1:
            width, group = inputs / groups, sympy.floor(c * groups / inputs)
            conditions.append(sympy.Eq(sympy.floor(o * groups / outputs), group))
            within = c - width * group
        taps: list[Any] = []
        sums, factors = [], []
        for axis, out, source in zip(self.axes, outs, ins, strict=True):
            if axis.mode.name == "zeros":
                reached = source + axis.low - axis.stride * out
                tap = reached / axis.dilation
                conditions += [
                    sympy.Eq(Mod(reached, axis.dilation), 0),
                    tap >= 0,
                    tap <= axis.kernel_size - 1,
                ]
            else:
                tap = Tap(f"t{len(taps)}", integer=True, nonnegative=True)
                place = axis.stride * out + axis.dilation * tap - axis.low
                factors.append(sympy.KroneckerDelta(source, sizing.source(axis, place)))
                sums.append((tap, 0, axis.kernel_size - 1))
            taps.append(tap)
        value = functools.reduce(operator.mul, factors, self._tap((o, within, *taps)))
        if sums:
            value = sympy.Sum(value, *sums)
            value = value.doit() if self._is_short else value
        holds = sympy.And(*conditions)
        if holds in (sympy.true, sympy.false):
            return value if holds == sympy.true else sympy.Integer(0)
        return sympy.Piecewise((value, holds), (0, True))

    @property
    def _is_short(self) -> bool:
        """Whether the sum over the taps of borders that copy is short enough to be written out."""
        counts = (axis.kernel_size for axis in self.axes if axis.mode.name != "zeros")
        return math.prod(int(k) for k in counts if k.is_Integer) <= MOST_TERMS

    def _numeric_entry(self, i: int, j: int) -> Any:
        """The same, found tap by tap."""
        geometry = self.geometry
        met = geometry.taps_between(index(i, geometry.out_shape), index(j, geometry.in_shape))
        return sympy.Add(*map(self._tap, met))

    def _eval_transpose(self) -> sympy.Transpose:
        return _Transposed(self)

    def _tap(self, index: Sequence[Any]) -> Any:
        _, inputs, outputs, groups, kernel = self.args
        return kernel[tuple(index if (outputs, inputs / groups) != (1, 1) else index[2:])]

    def _latex(self, *_: Any, **__: Any) -> str:
        return r"\mathbf{C}"

    def _sympystr(self, *_: Any) -> str:
        return "C"


class _Transposed(_Indexed, sympy.Transpose):  # type: ignore[misc]
    """C.T, written out from the entries of C that are not zero; SymPy asks for every one."""

    def as_explicit(self) -> sympy.ImmutableSparseMatrix:
        """Every entry written out.

        Raises:
            GeometryError: if a size is still a symbol, or the matrix would not fit.
        """
        return self.arg.as_explicit().T


def _read(place: Any) -> Any:
    """A row or a column, or a slice of them."""
    if isinstance(place, slice):
        return place
    if not isinstance(place, sympy.Basic):
        return sympy.Integer(whole("index", place))
    if getattr(place, "is_integer", False) is False:
        fail(
            "index",
            place,
            "rows and columns are whole numbers, symbols or expressions",
            "give two of them, as in C[0, 1]",
        )
    return place


def _from_start(place: Any, size: Any) -> Any:
    """A row or a column counted from the start, which SymPy counts from the end below 0."""
    place = sizing.plain("index", place)
    return place + size if place.is_negative else place


def _base(kernel: Any) -> sympy.IndexedBase:
    """The letter of the entries."""
    if not isinstance(kernel, str) or not kernel:
        fail(
            "kernel",
            kernel,
            "it is the letter of the entries",
            "give a str such as 'w', and fill numbers into symbolic.conv_matrix",
        )
    return sympy.IndexedBase(kernel)
