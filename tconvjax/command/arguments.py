"""Words of a command line as numbers, sizes and padding."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from tconvjax.geometry import Padding

LARGEST = 1_000_000
"""No stride, size or padding above this makes sense here, and lists of sizes stay short enough."""

MOST_VALUES = 1000
"""Entries of a kernel that are written on a command line."""

_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,18}|/[0-9]{1,18})?")
_WHOLE = re.compile(r"[0-9]+([x,][0-9]+)*")
_PADS = re.compile(r"-?[0-9]+(:-?[0-9]+)?([x,]-?[0-9]+(:-?[0-9]+)?)*")


class CommandError(Exception):
    """What the user gave cannot be done; the message says what can."""


def by(sizes: int | Sequence[int]) -> str:
    """Sizes as they are read: 4x3."""
    return str(sizes) if isinstance(sizes, int) else "x".join(map(str, sizes))


def numbers(least: int) -> Callable[[str], int | tuple[int, ...]]:
    """A reader of ``2``, ``2x1`` and ``2,1``."""

    def read(text: str) -> int | tuple[int, ...]:
        if not _WHOLE.fullmatch(text):
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a whole number; give one such as 2, or one an axis such as 2x1"
            )
        values = tuple(_bounded(part, least) for part in re.split("[x,]", text))
        return values[0] if len(values) == 1 else values

    return read


def number(text: str) -> int:
    """A reader of one whole number, at least 1."""
    if not _WHOLE.fullmatch(text) or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number; give one such as 2")
    return _bounded(text, 1)


def sizes(text: str) -> tuple[int, ...]:
    """A reader of one size or more, at least 1 each."""
    value = numbers(1)(text)
    return (value,) if isinstance(value, int) else value


def values(text: str) -> tuple[Fraction, ...]:
    """A reader of numbers such as ``4,7,-2,0.5,1/3``, kept exact."""
    parts = text.split(",")
    if len(parts) > MOST_VALUES or not all(map(_NUMBER.fullmatch, parts)):
        raise argparse.ArgumentTypeError(
            f"{text[:20]!r} is no list of numbers; give them as 4,7,-2,0.5,1/3, at most "
            f"{MOST_VALUES}"
        )
    try:
        return tuple(map(Fraction, parts))
    except ZeroDivisionError:
        raise argparse.ArgumentTypeError(f"{text[:20]!r} divides by zero") from None


def file(text: str) -> Path:
    """A file's name, which pathlib would read as this folder if it were empty."""
    if not text:
        raise argparse.ArgumentTypeError("the name is empty; name a file")
    return Path(text)


def padding(text: str) -> Padding:
    """A name, which the library checks, or numbers and low:high pairs."""
    if re.fullmatch("[A-Za-z_]+", text):
        return text
    if not _PADS.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no padding; give 1, 1x2, low:high pairs such as 1:2x0:3, or a name such "
            "as SAME"
        )
    ends = [
        tuple(_bounded(end, -LARGEST) for end in part.split(":")) for part in re.split("[x,]", text)
    ]
    values: Any = tuple(pair if len(pair) == 2 else pair[0] for pair in ends)
    return values[0] if len(values) == 1 and isinstance(values[0], int) else values


def _bounded(text: str, least: int) -> int:
    # The length first: Python refuses to read thousands of digits, with an error of its own.
    value = int(text) if len(text) <= 9 else LARGEST + 1
    if not least <= value <= LARGEST:
        raise argparse.ArgumentTypeError(f"{text[:20]} is out of range; give {least} to {LARGEST}")
    return value


def for_axes(padding: Padding, rank: int) -> Padding:
    """A padding where a single low:high pair means every axis."""
    if isinstance(padding, tuple) and len(padding) == 1 and isinstance(padding[0], tuple):
        return (padding[0],) * rank
    return padding
