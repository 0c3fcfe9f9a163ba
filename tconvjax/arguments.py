"""Readers of arguments that are not arrays: whole numbers, flags, choices and texts.

Each reader returns the value in its plain Python form, or raises a GeometryError that names the
argument. Arrays and dtypes are read by `tconvjax.operands`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, TypeVar

from tconvjax.errors import fail, kind_of, meant

Ints: TypeAlias = int | Sequence[int]
"""One integer for every axis, or one integer per axis."""

F = TypeVar("F", bound=Callable[..., Any])

# -- whole numbers ---------------------------------------------------------------------------------


def whole(argument: str, value: Any, least: int | None = None) -> int:
    """Read a whole number, NumPy's included, as a Python int; no bool and no traced one."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except Exception:  # noqa: BLE001 - a traced or symbolic size raises an error of its own
        number = None
    if number is None:
        rule = "it must be a whole number that is known before tracing"
        fail(argument, value, rule, "give a Python int")
    if least is not None and number < least:
        fail(argument, value, f"it must be at least {least}", f"give {least} or more")
    return number


def frozen(argument: str, value: Any) -> Any:
    """Turn nested sequences of whole numbers into nested tuples; names and None stay."""
    if value is None or type(value) is int or isinstance(value, str):
        return value
    if isinstance(value, tuple | Sequence) and not isinstance(value, bytes):
        return tuple(frozen(argument, item) for item in value)
    try:
        items = list(value) if getattr(value, "shape", ()) else None  # NumPy's integers as a rule
    except Exception:  # noqa: BLE001 - a traced or symbolic array raises an error of its own
        items = None
    return whole(argument, value) if items is None else frozen(argument, items)


def ints(argument: str, value: Any, rank: int | None, least: int) -> tuple[int, ...]:
    """Read one whole number per spatial axis; with no rank, the value itself says how many."""
    value = frozen(argument, value)
    if rank is None:
        rank = max(len(value), 1) if isinstance(value, tuple) else 1
    values = value if isinstance(value, tuple) else (value,) * rank
    if len(values) != rank:
        rule = f"the convolution has {counted(rank, 'spatial axis', 'spatial axes')}"
        fail(argument, value, rule, f"give an int or a tuple of length {rank}")
    for number in values:
        if not isinstance(number, int):
            fail(argument, value, "it must be one whole number per axis", "give ints")
        if number < least:
            fail(argument, value, f"it must be at least {least}", f"give {least} or more")
    return values


def check_fields(owner: object, least: Mapping[str, int | None]) -> None:
    """Check that fields are ints, each at least its bound."""
    for name, bound in least.items():
        value = getattr(owner, name)
        if type(value) is not int or (bound is not None and value < bound):
            at_least = "" if bound is None else f" of at least {bound}"
            fail(name, value, f"it must be a whole number{at_least}", "give an int")


# -- everything else -------------------------------------------------------------------------------


def flag(argument: str, value: Any) -> bool:
    """Read a flag: True or False, NumPy's included, or 1 or 0."""
    numpy_bool = type(value).__module__ == "numpy" and type(value).__name__.startswith("bool")
    if not numpy_bool and not (isinstance(value, int) and value in (0, 1)):
        fail(argument, value, "it must be True or False, and known before tracing", "give a bool")
    return bool(value)


def choice(argument: str, value: Any, choices: Sequence[str], any_case: bool = False) -> str:
    """Read one of some names, with small letters for capitals and back if ``any_case``."""
    names = {name.lower() if any_case else name: name for name in choices}
    name = value.lower() if any_case and isinstance(value, str) else value
    if not isinstance(name, str) or name not in names:
        rule = f"the choices are {', '.join(choices)}"
        fail(argument, value, rule, meant(value, choices, "use one of them"))
    return names[name]


def text(argument: str, value: Any) -> str:
    """Read a text."""
    if not isinstance(value, str):
        fail(argument, value, "it must be text", "give a str")
    return value


def function(argument: str, value: F) -> F:
    """Read a function."""
    if not callable(value):
        fail(argument, kind_of(value), "it must be a function", "give the function itself")
    return value


# -- words for messages ----------------------------------------------------------------------------


def counted(count: int, one: str, many: str = "") -> str:
    """A number with its noun: "1 axis", "2 axes"."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def some(numbers: Sequence[int]) -> str:
    """A few numbers that are allowed; of many, the first two and the last."""
    if not numbers[8:]:  # a range may be longer than len can say
        return ", ".join(map(str, numbers))
    return f"{numbers[0]}, {numbers[1]}, ..., {numbers[-1]}"
