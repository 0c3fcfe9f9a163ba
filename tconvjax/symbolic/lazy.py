"""C with sizes that may be symbols: a rule for its entries, and how many stamps an element has."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import sympy
from sympy.core.symbol import Str, uniquely_named_symbol

from tconvjax.arguments import choice, whole
from tconvjax.errors import Described, fail
from tconvjax.geometry import Axis, Geometry, check_geometry, taps_between
from tconvjax.geometry.padding import PADDING_MODES
from tconvjax.shown import Shown
from tconvjax.symbolic.matrix import MOST_WRITTEN, check_size, filled
from tconvjax.symbolic.names import kernel_symbols

Size: TypeAlias = int | sympy.Expr
"""A whole number, or an expression that stands for one."""
Sizes: TypeAlias = Size | Sequence[Size]
"""One size for every axis, or one per axis."""

LEAST = dict.fromkeys(("in_size", "out_size", "in_channels", "out_channels"), 0)
LEAST |= dict.fromkeys(("kernel_size", "stride", "dilation", "groups"), 1)
"""The smallest number that each size may be; padding and indices may be any."""


class Mod(sympy.Mod):  # type: ignore[misc]  # SymPy has no types
    """The remainder p - q*floor(p/q), worked out for numbers and otherwise left as it is.

    SymPy 1.14 rewrites a remainder within a remainder, and not always to an equal one: it takes
    ``Mod(s*Mod(7, floor(4/s) + 1), 6)`` to ``Mod(s*Mod(7, floor(4/s) + 1)**2, 6)``.
    """

    @classmethod
    def eval(cls, p: Any, q: Any) -> Any:
        """A value where it is certain, None to leave the remainder as it is."""
        if q.is_zero:
            return sympy.nan
        if p.is_Rational and q.is_Rational:
            return p - q * sympy.floor(p / q)
        return sympy.S.Zero if (p / q).is_integer else None


def size(argument: str, value: Any) -> Any:
    """Read a size that some numbers in place of its symbols make; text is never read as code."""
    least = LEAST.get(argument)
    if not isinstance(value, sympy.Expr):
        return sympy.Integer(whole(argument, value, least))
    possible = (
        not getattr(value, "is_Matrix", False)
        and not (value.is_number and not value.is_Integer)
        and not value.has(sympy.nan, sympy.oo, -sympy.oo, sympy.zoo)
        and False not in (value.is_integer, value.is_extended_real, value.is_finite)
    )
    if not possible or (least is not None and (value - least).is_negative):
        rule = "it must be a whole number" + ("" if least is None else f" of at least {least}")
        fail(argument, Described(value), rule, "give an int, or an expression that stands for one")
    return value


def each(argument: str, value: Any, count: int) -> tuple[Any, ...]:
    """One value per axis."""
    values = listed(value) or (value,) * count
    if len(values) != count:
        rule = f"{count} are needed, and it has {len(values)}"
        fail(argument, value, rule, "give one for all or one for each")
    return values


def listed(value: Any) -> tuple[Any, ...]:
    """The items of a sequence or an array; nothing for a single value."""
    array = bool(getattr(value, "shape", ())) and hasattr(value, "tolist")
    sequence = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return tuple(value) if array or sequence else ()


class SymbolicAxis(NamedTuple):
    """One spatial axis as SymPy objects."""

    in_size: Any
    kernel_size: Any
    stride: Any
    dilation: Any
    low: Any
    high: Any
    mode: Any

    @property
    def out_size(self) -> Any:
        """Elements of the convolution's output."""
        room = self.in_size + self.low + self.high - self.dilation * (self.kernel_size - 1)
        return sympy.floor((room - 1) / self.stride) + 1


class _Indexed:
    """The access to entries, C[i, j]."""

    def __getitem__(self, key: Any) -> Any:
        """An entry or a slice at whole numbers, symbols or expressions."""
        places: Any = key if isinstance(key, tuple) else (key,)
        read = tuple(p if isinstance(p, slice) else size("index", p) for p in places)
        return super().__getitem__(read if isinstance(key, tuple) else read[0])  # type: ignore[misc]


class ConvolutionMatrix(Shown, _Indexed, sympy.MatrixExpr):  # type: ignore[misc]  # SymPy has no types
    """The matrix of a convolution whose sizes, stride, dilation and padding may be symbols.

    C[o i, c j] = w[o, c, t] where t = (j + low - stride*i) / dilation is a tap, and 0 elsewhere

    A SymPy matrix expression: it has a ``shape``, ``C[i, j]`` in closed form, ``C.T``, ``subs``,
    and, once all sizes are numbers, ``as_explicit()``. Make one with `of` or `of_geometry`. Its
    entries are ``w[t]``, or ``w[o, c, t]`` if there are several channels; they are indexed because
    t may be an expression.

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
        kernel: Any = "w",
    ) -> ConvolutionMatrix:
        """Make or rebuild a matrix from fields of its axes; use `of` or `of_geometry`."""
        if not all(isinstance(axis, tuple | sympy.Tuple) and len(axis) == 7 for axis in axes):
            fail("axes", axes, "it holds the fields of each axis", "use of or of_geometry")
        read = sympy.Tuple(*(_read_axis(SymbolicAxis(*axis)) for axis in axes))
        channels = {"in_channels": in_channels, "out_channels": out_channels, "groups": groups}
        numbers = {name: size(name, value) for name, value in channels.items()}
        for name, number in numbers.items():
            if (number / numbers["groups"]).is_integer is False:
                rule = f"it must divide {name}={number}"
                fail("groups", numbers["groups"], rule, "give a divisor of both")
        if not isinstance(kernel, sympy.IndexedBase):
            if not isinstance(kernel, str) or not kernel:
                remedy = "give a str such as 'w', and fill numbers into symbolic.conv_matrix"
                fail("kernel", kernel, "it is the letter of the entries", remedy)
            kernel = sympy.IndexedBase(kernel)
        made: ConvolutionMatrix = super().__new__(cls, read, *numbers.values(), kernel)
        if made.is_numeric:
            _ = made.geometry  # rejects sizes that no convolution has
        else:
            made._check_zeros("while sizes are symbols")
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
            in_size: one per axis, or one size for a single axis.
            kernel_size: taps, one per axis or one for all.
            stride: one per axis or one for all.
            padding: one for all, one per axis, or (low, high) per axis.
            dilation: one per axis or one for all.
            in_channels: C.
            out_channels: O.
            groups: divides both.
            padding_mode: "zeros"; if all sizes are numbers also "circular", "reflect" or
                "replicate".
            kernel: the letter of the entries.

        Returns:
            The matrix; none of its entries are written out.

        Raises:
            GeometryError: if the arguments do not fit together.
        """
        sizes = listed(in_size) or (in_size,)
        steps = {"kernel_size": kernel_size, "stride": stride, "dilation": dilation}
        columns = [each(name, values, len(sizes)) for name, values in steps.items()]
        ends = [each("padding", pad, 2) for pad in each("padding", padding, len(sizes))]
        axes = [
            (*numbers, *pads, padding_mode)
            for *numbers, pads in zip(sizes, *columns, ends, strict=True)
        ]
        return cls(axes, in_channels, out_channels, groups, kernel)

    @classmethod
    def of_geometry(cls, geometry: Geometry, kernel: str = "w") -> ConvolutionMatrix:
        """The matrix of a geometry.

        Args:
            geometry: any geometry.
            kernel: the letter of the entries.

        Returns:
            The matrix; none of its entries are written out.
        """
        axes = [
            (a.in_size, a.kernel_size, a.stride, a.dilation, a.low, a.high, a.mode)
            for a in check_geometry(geometry).axes
        ]
        channels = geometry.in_channels, geometry.out_channels, geometry.groups
        return cls(axes, *channels, kernel)

    @property
    def axes(self) -> tuple[SymbolicAxis, ...]:
        """Sizes, steps and mode of each axis, as expressions."""
        return tuple(SymbolicAxis(*axis) for axis in self.args[0])

    @property
    def shape(self) -> tuple[Any, Any]:
        """(O * prod(out_size), C * prod(in_size))."""
        _, inputs, outputs, _, _ = self.args
        rows = math.prod((a.out_size for a in self.axes), start=outputs)
        return rows, math.prod((a.in_size for a in self.axes), start=inputs)

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
        if not self.is_numeric:
            letters = {self.args[4], *self.args[4].free_symbols}
            sizes = ", ".join(sorted(map(str, self.free_symbols - letters)))
            fail("sizes", sizes, "they must be numbers", "replace them by numbers with .subs")
        axes = []
        for axis in self.axes:
            steps: Any = (*map(int, axis[1:5]), axis.mode.name)
            axes.append(Axis(int(axis.in_size), int(axis.out_size), *steps))
        return Geometry(tuple(axes), *map(int, self.args[1:4]))

    def as_explicit(self) -> sympy.ImmutableSparseMatrix:
        """Every entry written out, for at most 50,000 products.

        Raises:
            GeometryError: if a size is still a symbol, or there are more products.
        """
        geometry = self.geometry
        check_size(geometry, MOST_WRITTEN)
        taps = {index: self._tap(index) for index in kernel_symbols(geometry)}
        return filled(geometry, taps).as_immutable()

    def entry_rule(self) -> sympy.Eq:
        """The equation of one entry, ``C[i, j]`` with symbols i and j.

        If a size is called i or j already, the row or the column gets another name.

        Raises:
            GeometryError: if the border holds copies of elements, for which there is no such rule.
        """
        i = uniquely_named_symbol("i", [self], integer=True, nonnegative=True)
        j = uniquely_named_symbol("j", [self], integer=True, nonnegative=True)
        matrix = sympy.MatrixSymbol("C", *self.shape)
        return sympy.Eq(matrix[i, j], self._entry(i, j), evaluate=False)

    def _entry(self, i: Any, j: Any, **_: Any) -> Any:
        """The tap that ties output i to input j: a case distinction where sizes are symbols."""
        _, inputs, outputs, groups, _ = self.args
        # SymPy counts rows and columns below 0 from the end.
        i, j = (
            place + count if place.is_negative else place
            for place, count in zip(map(sympy.sympify, (i, j)), self.shape, strict=True)
        )
        o, *outs = _unravelled(i, [outputs, *(a.out_size for a in self.axes)])
        c, *ins = _unravelled(j, [inputs, *(a.in_size for a in self.axes)])
        if i.is_Integer and j.is_Integer and self.is_numeric:
            output, origin = tuple(map(int, (o, *outs))), tuple(map(int, (c, *ins)))
            return sympy.Add(*map(self._tap, taps_between(self.geometry, output, origin)))
        self._check_zeros("for an entry at symbols")
        conditions, within = [], c
        if groups != 1:
            width, group = inputs / groups, sympy.floor(c * groups / inputs)
            conditions.append(sympy.Eq(sympy.floor(o * groups / outputs), group))
            within = c - width * group
        taps = []
        for axis, out, source in zip(self.axes, outs, ins, strict=True):
            reached = source + axis.low - axis.stride * out
            taps.append(reached / axis.dilation)
            conditions += [
                sympy.Eq(Mod(reached, axis.dilation), 0),
                taps[-1] >= 0,
                taps[-1] <= axis.kernel_size - 1,
            ]
        cases = (self._tap((o, within, *taps)), sympy.And(*conditions)), (0, True)
        return sympy.Piecewise(*cases)

    def _check_zeros(self, when: str) -> None:
        """Refuse borders that hold copies of elements."""
        rule = f"{when} the border must hold zeros"
        for axis in self.axes:
            if axis.mode.name != "zeros":
                fail("padding_mode", axis.mode.name, rule, "use padding_mode='zeros', or numbers")

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
    """C.T, written out from the non-zero entries of C; SymPy would ask for every entry."""

    def as_explicit(self) -> sympy.ImmutableSparseMatrix:
        """Every entry written out."""
        return self.arg.as_explicit().T


def _unravelled(place: Any, sizes: Sequence[Any]) -> list[Any]:
    """The index of an array's element from its place when the array is read row by row."""
    longer = [n for n, size in enumerate(sizes) if size != 1]
    index: list[Any] = [sympy.S.Zero] * len(sizes)
    for n in reversed(longer[1:]):
        index[n], place = Mod(place, sizes[n]), sympy.floor(place / sizes[n])
    if longer:
        index[longer[0]] = place
    return index


def _read_axis(axis: SymbolicAxis) -> sympy.Tuple:
    """The fields of an axis as SymPy objects."""
    names = ("in_size", "kernel_size", "stride", "dilation", "padding", "padding")
    numbers = [size(name, value) for name, value in zip(names, axis[:6], strict=True)]
    mode = axis.mode.name if isinstance(axis.mode, Str) else axis.mode
    return sympy.Tuple(*numbers, Str(choice("padding_mode", mode, PADDING_MODES)))


# -- how many stamps -------------------------------------------------------------------------------


def overlap(
    out_size: Size,
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Size = 0,
    dilation: int = 1,
    place: Any = None,
) -> sympy.Expr:
    """The number of stamps on element j along one axis: of (i, t) with s*i + d*t - p = j.

    count(j) = max(0, min(n - 1, floor((j + p) / s)) - max(0, ceil((j + p - k + 1) / s)) + 1)

    without dilation. With it, only every (d / g)-th i counts, where g = gcd(s, d), and none unless
    g divides j + p. Over several axes the number is the product.

    Args:
        out_size: n, the elements that are stamped: an int or an expression.
        kernel_size: k, taps: an int or an expression.
        stride: s: an int or an expression; an int if there is a dilation.
        padding: p, elements cut off before the first: an int or an expression.
        dilation: d, an int.
        place: j; None for a symbol j that is a whole number of at least 0, in which case no size
            may contain a symbol of that name.

    Returns:
        An expression in the given symbols and j.

    Raises:
        GeometryError: if a size cannot be one, if j occurs in a size and no place is given, or if
            the stride of a dilated kernel is a symbol.

    Examples:
        >>> n, k, s = sympy.symbols("n k s", integer=True, positive=True)
        >>> overlap(n, k, stride=s)
        Max(0, -Max(0, ceiling((j - k + 1)/s)) + Min(n - 1, floor(j/s)) + 1)
        >>> [overlap(4, 3, stride=2, place=j) for j in range(9)]
        [1, 1, 2, 1, 2, 1, 2, 1, 1]
    """
    n, k = size("out_size", out_size), size("kernel_size", kernel_size)
    s, d = size("stride", stride), size("dilation", dilation)
    shift = size("padding", padding)
    if place is None:
        if "j" in {str(symbol) for one in (n, k, s, shift) for symbol in one.free_symbols}:
            rule = "it defaults to the symbol j, which occurs in a size"
            fail("place", None, rule, "give a symbol of another name")
        place = sympy.Symbol("j", integer=True, nonnegative=True)
    at = size("place", place) + shift
    first = sympy.Max(0, sympy.ceiling((at - d * (k - 1)) / s))
    last = sympy.Min(n - 1, sympy.floor(at / s))
    if d == 1:
        return sympy.Max(0, last - first + 1)
    if not (s.is_Integer and d.is_Integer):
        why = "because the count depends on the divisors that they share"
        rule = f"with a dilation both must be numbers, {why}"
        fail("stride", stride, rule, "give ints, or dilation=1")
    common = math.gcd(int(s), int(d))
    period = int(d) // common
    # s*i = at modulo d, divided by what s and d share, so that s has an inverse.
    start = Mod(at / common * pow(int(s) // common, -1, period), period)
    count = sympy.floor((last - start) / period) - sympy.ceiling((first - start) / period) + 1
    shared = sympy.Eq(Mod(at, common), 0)
    return sympy.Piecewise((sympy.Max(0, count), shared), (0, True))
