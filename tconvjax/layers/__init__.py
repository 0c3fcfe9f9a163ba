"""Layers for Flax NNX, Flax linen and Equinox: `tconvjax.layers.nnx`, ``.linen`` and ``.equinox``.

Layers without parameters serve all three: `PixelShuffle` and `MaxUnpool`. This file checks what the
others have in common: the channels, the geometry, the input, and the names in messages.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tconvjax.arguments import counted, whole
from tconvjax.errors import GeometryError, array_of, fail
from tconvjax.layers.stateless import MaxUnpool, PixelShuffle

__all__ = ["MaxUnpool", "PixelShuffle"]


def check_channels(argument: str, groups: Any, channels: Mapping[str, Any]) -> None:
    """Groups divide the channels of both sides; all under the library's names."""
    groups = whole(argument, groups, 1)
    for side, value in channels.items():
        if whole(side, value, 1) % groups:
            fail(argument, groups, f"it must divide {side}={value}", "give a divisor of both")


def check_fits(make: Any, kernel_size: tuple[int, ...], arguments: Mapping[str, Any]) -> None:
    """Some input fits a layer with these arguments: a very large one, if any."""
    groups, sizes = arguments["groups"], (2**24,) * len(kernel_size)
    make((groups, *sizes), (groups, 1, *kernel_size), **arguments)


def check_input(
    argument: str, shape: tuple[int, ...], rank: int, channels: tuple[str, int], last: bool
) -> None:
    """The input of a layer has its channels, (argument name, number), last or first."""
    name, count = channels
    layout = f"(*batch, *size, {name})" if last else f"({name}, *size)"
    axes, order = counted(rank, "spatial axis", "spatial axes"), "last" if last else "first"
    rule = f"the layer takes {layout}, channels {order}, with {axes} and {name}={count}"
    if len(shape) < rank + 1:
        fail(argument, array_of(shape), rule, "reshape it")
    if len(shape) > rank + 1 and not last:
        fail(argument, array_of(shape), rule, "map the layer over the batch with jax.vmap")
    here, there = (-1, len(shape) - rank - 1) if last else (0, rank)
    if shape[here] != count:
        found = f"; axis {here % len(shape)} has {shape[here]}"
        move = f"move the channels: jnp.moveaxis({argument}, {there}, {here})"
        change = f"make the layer with {name}={shape[here]}, or change the input"
        fail(argument, array_of(shape), rule + found, move if shape[there] == count else change)


def check_no_size(output_size: Any, library: str) -> None:
    """A layer that is read as the library's own has the size that its arguments give."""
    if output_size is not None:
        fail("output_size", output_size, f"{library}'s layer has none", "leave it out")


@contextlib.contextmanager
def renamed(**names: str) -> Iterator[None]:
    """Let errors name arguments, before an equals sign, as the layer's caller knows them."""
    try:
        yield
    except GeometryError as error:
        told = re.sub(r"\b[a-z_]+(?==)", lambda found: names.get(found[0], found[0]), str(error))
        raise GeometryError(told) from None
