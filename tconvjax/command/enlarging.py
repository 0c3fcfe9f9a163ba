"""Pictures and arrays enlarged, and the checkerboard of a layer: two commands."""

from __future__ import annotations

import argparse
import math
import operator
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from tconvjax import rendering, upsampling
from tconvjax.arguments import ints
from tconvjax.command import files
from tconvjax.command.arguments import CommandError, by, for_axes
from tconvjax.command.files import Numbers
from tconvjax.geometry import Geometry
from tconvjax.upsampling.checkerboards import Checkerboard
from tconvjax.upsampling.interpolation import METHODS as INTERPOLATIONS

SHADES = " ░▒▓█"
"""From the fewest stamps to the most."""

MOST_ELEMENTS = 2**28
"""Elements of a result, a gigabyte of float32."""

MOST_SHOWN = 32
"""Elements of an axis that a terminal shows."""

METHODS = (*INTERPOLATIONS, "unpool")


def run_upsample(arguments: argparse.Namespace) -> int:
    """Enlarge a picture, or the last axes of an array.

    Args:
        arguments: the parsed command line.

    Returns:
        The exit status, 0.

    Raises:
        CommandError: if the arguments do not fit one another.
        FileError: if a file cannot be read or written.
        GeometryError: if the array cannot be enlarged so.
    """
    files.check_output(arguments.output, [arguments.input])
    if (arguments.factor is None) == (arguments.size is None):
        raise CommandError("--factor, --size: give one of the two")
    x = files.read_array(arguments.input)
    if x.dtype.kind in "iub" and arguments.method != "nearest":
        x = x.astype(np.float32)
    with jax.enable_x64(x.dtype.itemsize // (2 if x.dtype.kind == "c" else 1) > 4):
        result = np.asarray(_enlarged(x, arguments))
    files.write_array(arguments.output, result)
    for name, array in (("input", x), ("output", result)):
        print(f"{name:8}{getattr(arguments, name)}  {array.shape} {array.dtype}")
    return 0


def _enlarged(x: Numbers, arguments: argparse.Namespace) -> Any:
    given = arguments.size if arguments.factor is None else arguments.factor
    rank = len(given) if isinstance(given, tuple) else min(2, x.ndim)
    if x.ndim < rank:
        raise CommandError(f"--factor: {by(given)} names {rank} axes, and the input has {x.ndim}")
    x = x[None] if x.ndim == rank else x
    numbers = ints("factor", given, rank, 1)
    old = x.shape[-rank:]
    size = numbers if arguments.factor is None else tuple(map(operator.mul, numbers, old))
    total = math.prod(x.shape[:-rank]) * math.prod(size)
    if total > MOST_ELEMENTS:
        raise CommandError(
            f"--factor, --size: the result would have {total} elements, and {MOST_ELEMENTS} are "
            "the limit; enlarge less, or a part"
        )
    if arguments.method == "unpool":
        return _unpooled(x, size)
    return upsampling.upsample(
        x, size=size, method=arguments.method, align_corners=arguments.align_corners
    )


def _unpooled(x: Numbers, size: tuple[int, ...]) -> Any:
    """Each element put into the first place of its window, zeros elsewhere: a bed of nails."""
    old = x.shape[-len(size) :]
    if any(m % n for n, m in zip(old, size, strict=True)):
        raise CommandError(
            f"--size: unpooling wants whole multiples of {by(old)}, not {by(size)}; give --factor"
        )
    factors = tuple(m // n for n, m in zip(old, size, strict=True))
    rows = [f * np.arange(n) for n, f in zip(old, factors, strict=True)]
    indices = np.ravel_multi_index(np.meshgrid(*rows, indexing="ij"), size).astype(np.int32)
    return upsampling.max_unpool(x, np.broadcast_to(indices, x.shape), factors)


def run_checkerboard(arguments: argparse.Namespace) -> int:
    """Show how many stamps land on each element, and what to change.

    Args:
        arguments: the parsed command line.

    Returns:
        The exit status, 0.

    Raises:
        CommandError: if there is no picture of so many axes.
        FileError: if the picture cannot be written.
        GeometryError: if the arguments describe no transposed convolution.
    """
    if arguments.output is not None:
        files.check_target(arguments.output)
    kernel, stride = arguments.kernel, arguments.stride
    given = [value for value in (kernel, stride, arguments.dilation) if isinstance(value, tuple)]
    rank = len(given[0]) if given else 2
    kernels = ints("kernel", kernel, rank, 1)
    steps = ints("stride", stride, rank, 1)
    shown = [max(2, min(8, MOST_SHOWN // s - k)) for k, s in zip(kernels, steps, strict=True)]
    there = Geometry.of_conv_transpose(
        (1, *shown),
        (1, 1, *kernels),
        stride=steps,
        dilation=arguments.dilation,
        padding=for_axes(arguments.padding, rank),
    )
    found = upsampling.checkerboard(there)
    if arguments.output is not None and rank > 2:
        raise CommandError(f"--output: a picture has 2 axes, and these are {rank}; leave it out")
    if rank <= 2:
        counts = upsampling.overlap(there)[tuple(slice(MOST_SHOWN) for _ in range(rank))]
        if arguments.output is not None:
            files.write_text(arguments.output, rendering.to_svg(_pictured(counts, found)) + "\n")
        print("\n".join(_shaded(counts.reshape(-1, counts.shape[-1]).tolist())))
        print(f"from {counts.min()} to {counts.max()} stamps on an element")
    print(str(found))
    return 0


def _pictured(counts: Any, found: Checkerboard) -> rendering.Document:
    """The counts as shaded squares, and what to change below them."""
    return rendering.stack(
        [rendering.heat_table(counts, name="stamps"), rendering.Words(str(found))]
    )


def _shaded(counts: Sequence[Sequence[int]]) -> list[str]:
    """A character, twice for its width, for each count."""
    most = max(map(max, counts))
    last = len(SHADES) - 1
    return ["".join(SHADES[-(-last * n // max(most, 1))] * 2 for n in row) for row in counts]
