"""The exception for arguments, and the four parts of its message."""

from __future__ import annotations

from typing import Any, NoReturn


class GeometryError(ValueError):
    """An argument that does not describe what the function computes.

    The message names the argument, the value received, the rule, and the remedy.
    """

    __module__ = "tconvjax"


class Described(str):
    """A description of a value, for messages in which its repr would be too long."""

    __slots__ = ()

    def __repr__(self) -> str:
        """The description without quotes."""
        return str(self)


def array_of(shape: Any) -> Described:
    """Describe an array by its shape."""
    return Described(f"array of shape {shape}")


def kind_of(value: Any) -> Described:
    """Describe a value by the name of its type."""
    return Described(type(value).__name__)


def fail(argument: str, value: object, rule: str, remedy: str) -> NoReturn:
    """Raise a GeometryError with its four parts: the argument by the name that the caller used.

    Values whose repr would be long are `Described`.
    """
    raise GeometryError(f"{argument}={value!r}: {rule}; {remedy}")
