"""The exception for arguments, and the four parts of its message."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
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


def meant(value: Any, words: Iterable[str], remedy: str) -> str:
    """A remedy, or the question whether one of the words was meant."""
    by_lower = {word.lower(): word for word in words}
    near = difflib.get_close_matches(str(value).lower(), by_lower, 1, 0.82)  # deconv is no conv
    return f"did you mean {by_lower[near[0]]!r}?" if near else remedy


def with_groups(argument: str, channels: int, shape: Sequence[int], remedy: str) -> str:
    """A remedy, after the groups with which a kernel (.., channels / groups, ..) fits, if any."""
    groups, rest = divmod(channels, max(shape[1], 1))
    fits = argument and groups and not rest and shape[0] % groups == 0
    return f"give {argument}={groups}, or {remedy}" if fits else remedy
