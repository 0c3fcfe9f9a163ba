"""Sizes that may be symbols."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import sympy

from tconvjax.arguments import whole
from tconvjax.errors import Described, fail

Size: TypeAlias = int | sympy.Expr
"""A whole number, or an expression that stands for one."""
Sizes: TypeAlias = Size | Sequence[Size]
"""One size for every axis, or one per axis."""

LEAST = {
    "in_size": 0,
    "out_size": 0,
    "kernel_size": 1,
    "stride": 1,
    "dilation": 1,
    "in_channels": 0,
    "out_channels": 0,
    "groups": 1,
}
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
    """Read a size as a SymPy expression; text is never read as code.

    Raises:
        GeometryError: if no numbers in place of its symbols make it a size.
    """
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
        fail(
            argument,
            Described(value),
            "it must be a whole number" + ("" if least is None else f" of at least {least}"),
            "give an int, or an expression that stands for one",
        )
    return value


def each(argument: str, value: Any, count: int) -> tuple[Any, ...]:
    """One value per axis."""
    values = listed(value) or (value,) * count
    if len(values) != count:
        fail(
            argument,
            value,
            f"{count} are needed, and it has {len(values)}",
            "give one for all or one for each",
        )
    return values


def listed(value: Any) -> tuple[Any, ...]:
    """The items of a sequence or an array; nothing for a single value."""
    array = bool(getattr(value, "shape", ())) and hasattr(value, "tolist")
    sequence = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return tuple(value) if array or sequence else ()
