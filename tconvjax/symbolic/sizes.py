"""Sizes that may be symbols: how they are read, checked, and counted round a border."""

from __future__ import annotations

import contextlib
import operator
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

import sympy

from tconvjax.errors import Described, fail

Size: TypeAlias = int | sympy.Expr
"""A whole number or an expression that stands for one."""
Sizes: TypeAlias = Size | Sequence[Size]
"""One for every axis, or one an axis."""

LEAST = {
    "in_size": 0,
    "kernel_size": 1,
    "stride": 1,
    "dilation": 1,
    "in_channels": 0,
    "out_channels": 0,
    "groups": 1,
}
"""The smallest number that each size may be; padding may be any."""


class SymbolicAxis(NamedTuple):
    """What `tconvjax.Axis` holds, each number an expression."""

    in_size: Any
    out_size: Any
    kernel_size: Any
    stride: Any
    dilation: Any
    low: Any
    mode: Any


class Mod(sympy.Mod):  # type: ignore[misc]  # SymPy has no types
    """The remainder p - q*floor(p/q), worked out for numbers and otherwise left as it stands.

    SymPy 1.14 rewrites a remainder within a remainder, and not always to an equal one: it takes
    ``Mod(s*Mod(7, floor(4/s) + 1), 6)`` to ``Mod(s*Mod(7, floor(4/s) + 1)**2, 6)``.
    """

    @classmethod
    def eval(cls, p: Any, q: Any) -> Any:
        """A value where it is certain, None to leave the remainder as it stands."""
        if q.is_zero:
            return sympy.nan
        if p.is_Rational and q.is_Rational:
            return p - q * sympy.floor(p / q)
        if (p / q).is_integer:
            return sympy.Integer(0)
        return None


class Tap(sympy.Dummy):  # type: ignore[misc]
    """The bound index of a sum over taps: a dummy, so that no size can be taken for it."""

    __slots__ = ()

    def _sympystr(self, *_: Any) -> str:
        return str(self.name)

    def _latex(self, *_: Any, **__: Any) -> str:
        return str(sympy.latex(sympy.Symbol(self.name)))


def source(axis: SymbolicAxis, place: Any) -> Any:
    """Where a place of the padded line is copied from; 0 is the first input element."""
    size, mode = axis.in_size, axis.mode.name
    if mode == "circular":
        return Mod(place, size)
    if mode == "replicate":
        return sympy.Min(sympy.Max(place, 0), size - 1)
    # A lone element has a period of 1, not of 0: every place holds it.
    folded = Mod(place, sympy.Max(2 * size - 2, 1))
    return sympy.Min(folded, 2 * size - 2 - folded)


def unravelled(place: Any, sizes: Sequence[Any]) -> list[Any]:
    """The index of an array's element from its place when the array is read row by row."""
    longer = [n for n, size in enumerate(sizes) if size != 1]
    index: list[Any] = [sympy.Integer(0)] * len(sizes)
    for n in reversed(longer[1:]):
        index[n], place = Mod(place, sizes[n]), sympy.floor(place / sizes[n])
    if longer:
        index[longer[0]] = place
    return index


# -- reading ---------------------------------------------------------------------------------------


def each(argument: str, value: Any, count: int) -> tuple[Any, ...]:
    """One value an axis."""
    values = listed(value)
    if values is None:
        return (value,) * count
    if len(values) != count:
        fail(
            argument,
            value,
            f"it has {len(values)} entries, and {count} are needed",
            "give one for all or one for each",
        )
    return values


def listed(value: Any) -> tuple[Any, ...] | None:
    """The items of a sequence or an array; None for anything else."""
    if getattr(value, "shape", ()) and hasattr(value, "tolist"):
        with contextlib.suppress(Exception):  # JAX has no numbers yet while it traces
            value = value.tolist()
    many = isinstance(value, Sequence) and not isinstance(value, str)
    return tuple(value) if many else None


def read(argument: str, value: Any) -> Any:
    """A size as SymPy's; text is never read as code."""
    if not isinstance(value, sympy.Expr):
        try:
            if isinstance(value, bool):
                raise TypeError
            value = operator.index(value)
        except Exception:  # noqa: BLE001 - a symbolic size raises an error of its own library
            fail(
                argument,
                value,
                "a size must be an int or a SymPy expression",
                "convert text yourself",
            )
    found = sympy.sympify(value)
    check(argument, found)
    return found


def plain(argument: str, value: Any) -> Any:
    """What SymPy holds already as it is, whole numbers as its own; text would be run as code."""
    if isinstance(value, sympy.Basic):
        return value
    try:
        return sympy.Integer(operator.index(value))
    except TypeError:
        return fail(
            argument, value, "it must be an int or a SymPy expression", "convert text yourself"
        )


def check(argument: str, value: Any) -> None:
    """Refuse what can be no size, whatever numbers take the places of its symbols."""
    least = LEAST.get(argument)
    unending = (sympy.nan, sympy.oo, -sympy.oo, sympy.zoo)
    whole = (
        not getattr(value, "is_Matrix", False)
        and not (value.is_number and not value.is_Integer)
        and not value.has(*unending)
        and False not in (value.is_integer, value.is_extended_real, value.is_finite)
    )
    if not whole or (least is not None and (value - least).is_negative):
        fail(
            argument,
            Described(value),
            "it must be a whole number" + ("" if least is None else f" of at least {least}"),
            "give an int, or an expression that stands for one",
        )


def check_axis(axis: SymbolicAxis) -> None:
    """Refuse an axis of which a number can be no size."""
    for argument in ("in_size", "kernel_size", "stride", "dilation"):
        check(argument, getattr(axis, argument))
    check("padding", axis.low)


def check_channels(in_channels: Any, out_channels: Any, groups: Any) -> None:
    """Groups must divide the channels, as far as that can be known."""
    given = {"in_channels": in_channels, "out_channels": out_channels, "groups": groups}
    for argument, value in given.items():
        check(argument, value)
    for argument in ("in_channels", "out_channels"):
        if (given[argument] / groups).is_integer is False:
            fail(
                "groups",
                groups,
                f"it must divide {argument}={given[argument]}",
                "give a divisor of both",
            )
