"""Read the words of a command line or of a fence, and write the file that a command line names."""

from __future__ import annotations

import argparse
import math
import os
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import numpy as np

from tconvjax.arguments import counted, ints
from tconvjax.errors import Described, fail
from tconvjax.geometry import Axis, Geometry, in_sizes
from tconvjax.geometry.padding import Padding

LARGEST = 1_000_000
"""Largest stride, size or padding that is read."""


class CommandError(ValueError):
    """A request that cannot be carried out; the message says what can."""


def by(values: Any, between: str = "x") -> str:
    """Write numbers and pairs as they are read: 4x3, 1:2x0:3."""
    many = isinstance(values, Sequence) and not isinstance(values, str)
    return between.join(by(value, ":") for value in values) if many else str(values)


# -- words -----------------------------------------------------------------------------------------


def numbers(least: int) -> Callable[[str], int | tuple[int, ...]]:
    """Make a reader of ``2``, ``2x1`` and ``2,1``."""

    def read(text: str) -> int | tuple[int, ...]:
        if not re.fullmatch("-?[0-9]+([x,]-?[0-9]+)*", text):
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a whole number; give one such as 2, or one per axis such as 2x1"
            )
        values = tuple(_bounded(part, least) for part in re.split("[x,]", text))
        return values[0] if len(values) == 1 else values

    return read


def number(text: str) -> int:
    """Read one whole number, at least 1."""
    value = numbers(1)(text)
    if isinstance(value, tuple):
        raise argparse.ArgumentTypeError(f"{text!r} is several numbers; give one such as 2")
    return value


def sizes(text: str) -> tuple[int, ...]:
    """Read one size or more, each at least 1."""
    value = numbers(1)(text)
    return (value,) if isinstance(value, int) else value


def values(text: str) -> tuple[Fraction, ...]:
    """Read numbers such as ``4,7,-2,0.5,1/3`` exactly."""
    parts = text.split(",")
    exact = r"-?[0-9]{1,18}(\.[0-9]{1,18}|/0{0,17}[1-9][0-9]{0,17})?"
    if not all(re.fullmatch(exact, part) for part in parts):
        raise argparse.ArgumentTypeError(
            f"{text[:20]!r} is not a list of numbers; give them as 4,7,-2,0.5,1/3"
        )
    return tuple(map(Fraction, parts))


def file(text: str) -> Path:
    """Read the name of a file; pathlib would take an empty one for a folder, and ``a/`` for a."""
    try:
        valid = b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        valid = False
    if not valid or text in ("", "-") or text.endswith("/"):
        rule = "is empty, or - for a stream, or that of a folder, or no file can have it"
        raise argparse.ArgumentTypeError(f"the name {rule}; name a file")
    return Path(text)


def padding(text: str) -> Padding:
    """Read a name, which the library checks, or numbers and low:high pairs."""
    if re.fullmatch("[A-Za-z_]+", text):
        return text
    if not re.fullmatch("-?[0-9]+(:-?[0-9]+)?([x,]-?[0-9]+(:-?[0-9]+)?)*", text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a padding; give 1, 1x2, low:high pairs such as 1:2x0:3, or a name "
            "such as SAME"
        )
    parts = re.split("[x,]", text)
    ends = [tuple(_bounded(end, -LARGEST) for end in part.split(":")) for part in parts]
    values: Any = tuple(pair if len(pair) == 2 else pair[0] for pair in ends)
    return values[0] if len(values) == 1 and isinstance(values[0], int) else values


def layouts(text: str) -> tuple[str, ...]:
    """Read the layouts of x, w and y."""
    names = tuple(text.split(","))
    if len(names) != 3:
        rule = "give the layouts of x, w and y, such as NHWC,HWIO,NHWC"
        raise argparse.ArgumentTypeError(f"{text!r} is not three layouts; {rule}")
    return names


def _bounded(text: str, least: int) -> int:
    # Check the length first: Python raises an error of its own for thousands of digits.
    value = int(text) if len(text) <= 9 else LARGEST + 1
    if not least <= value <= LARGEST:
        raise argparse.ArgumentTypeError(f"{text[:20]} is out of range; give {least} to {LARGEST}")
    return value


# -- layers ----------------------------------------------------------------------------------------


def for_axes(padding: Padding, rank: int) -> Padding:
    """Repeat a single low:high pair for every axis."""
    if isinstance(padding, tuple) and len(padding) == 1 and isinstance(padding[0], tuple):
        return (padding[0],) * rank
    return padding


def check_axes(given: Mapping[str, Any], rank: int) -> None:
    """Check that each argument has one value, or one per axis, in the words of a command line."""
    for name in ("kernel", "stride", "dilation", "padding", "output_padding", "output_size"):
        value = for_axes(given.get(name, 0), rank)
        if isinstance(value, tuple) and len(value) != rank:
            rule = f"the convolution has {counted(rank, 'spatial axis', 'spatial axes')}"
            fail(name, Described(by(value)), rule, "give one value, or one for each axis")


def layer(given: Mapping[str, Any]) -> Geometry:
    """Build a convolution's geometry from its channels and its size, or its out_size."""
    forward = given.get("out_size") is None
    size, groups = given["size" if forward else "out_size"], given.get("groups", 1)
    ins, outs = given.get("in_channels", 1), given.get("out_channels", 1)
    if ins % groups or outs % groups:
        fail("groups", groups, f"it must divide the channels, {ins} and {outs}", "give a divisor")
    check_axes(given, len(size))
    names = ("stride", "dilation", "padding_mode", "output_padding")
    steps = {name: given[name] for name in names if name in given}
    steps |= {"groups": groups, "padding": for_axes(given.get("padding", 0), len(size))}
    shape = (outs, ins // groups, *ints("kernel", given["kernel"], len(size), 1))
    if not forward:
        return Geometry.of_conv_transpose((outs, *size), shape, **steps)
    if extra := steps.pop("output_padding", 0):
        rule = "only a transposed convolution can choose among sizes"
        fail("output_padding", extra, rule, "leave it out, or give the size of y instead of x")
    return Geometry.of_conv((ins, *size), shape, **steps)


def alternatives(axis: Axis, padding: Any) -> tuple[str, dict[int, int]]:
    """Find the input sizes that share an output size, and the argument that chooses each.

    The padding is a name in capitals or (low, high); each size has its value of the argument.
    """
    named = isinstance(padding, str)
    ends = padding if named else (padding,)
    sizes = in_sizes(axis.out_size, axis.kernel_size, axis.stride, ends, axis.dilation)
    if named and padding != "VALID":
        return "output_size", {size: size for size in sizes}
    # Negative sizes are missing from the list, so count from the largest, which always exists.
    least = sizes[-1] - axis.stride + 1
    return "output_padding", {size: size - least for size in sizes}


def filled(argument: str, numbers: Sequence[Fraction] | None, shape: tuple[int, ...]) -> Any:
    """Shape a list of numbers into an array of exact SymPy numbers; None stays."""
    import sympy  # takes half a second, which most commands need not wait

    if numbers is None:
        return None
    array = np.array([sympy.Rational(number) for number in numbers], object)
    if array.size != math.prod(shape):
        rule, remedy = f"{by(shape)} asks for {math.prod(shape)}", "give them row by row"
        remedy += ", or give the size of y instead of that of x" if "y" in argument else ""
        fail(argument, Described(counted(array.size, "number")), rule, remedy)
    return array.reshape(shape)


# -- files -----------------------------------------------------------------------------------------

_SUFFIX = {"text": "txt", "markdown": "md", "latex": "tex", "mathml": "mml", "animation": "svg"}
"""The suffix of the files that hold a format, where it is not the format's name."""


def format_of(path: Path | None, name: str | None, formats: Sequence[str]) -> str:
    """Choose the format that is named, that of the file's suffix if it has one, or the first."""
    suffixes = {one: f".{_SUFFIX.get(one, one)}" for one in formats}
    suffix = path.suffix.lower() if path else ""
    fitting = [one for one in formats if suffix in ("", suffixes[one])]
    if name not in (None, *fitting):
        rule = f"--format {name} writes {suffixes[name or '']}"
        raise CommandError(f"{path}: {rule}; rename the file or change the format")
    if not fitting:
        known = ", ".join(dict.fromkeys(suffixes.values()))
        raise CommandError(f"{path}: unknown format; name a file that ends in {known}")
    return name or fitting[0]


def check_output(path: Path, inputs: Sequence[Path] = ()) -> None:
    """Check before any work that a result can be written to a path and replaces no input."""
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if os.path.lexists(target) and not os.path.isfile(target):
        raise CommandError(f"{path}: exists and is not a file; choose another name")
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise CommandError(
            f"{path}: the folder {folder} is missing or cannot be written to; choose another one"
        )
    existing = [other for other in (path, *inputs) if os.path.exists(other)]
    if existing[:1] == [path] and any(os.path.samefile(path, other) for other in existing[1:]):
        raise CommandError(f"{path}: is one of the inputs; choose another name for the output")


def write(path: Path, save: Callable[[IO[bytes]], object]) -> None:
    """Write a file whole, or leave what was there; of a link, replace the target."""
    check_output(path)
    target = os.path.realpath(path)
    temporary = f"{target}.{os.getpid()}.part"
    try:
        with open(temporary, "xb") as file:
            save(file)
        os.replace(temporary, target)
    except (OSError, ValueError) as error:
        raise CommandError(
            f"{path}: cannot be written ({reason(error)}); choose another name or format"
        ) from error
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def write_text(path: Path | None, text: str) -> None:
    """Write text to a file as UTF-8, or without one to the terminal."""
    if path is None:
        sys.stdout.write(text)
    else:
        write(path, lambda file: file.write(text.encode("utf-8")))


def reason(error: Exception) -> str:
    """Say why a file could not be read or written."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
