"""Checks that the layers for both libraries share."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from tconvjax.arguments import counted, whole
from tconvjax.errors import GeometryError, array_of, fail


def check_channels(groups: tuple[str, Any], **channels: Any) -> None:
    """Groups, under the library's name for them, divide the channels of both sides."""
    name, count = groups[0], whole(*groups, 1)
    for side, value in channels.items():
        if whole(side, value, 1) % count:
            fail(name, count, f"it must divide {side}={value}", "give a divisor of both")


def check_input(
    argument: str, shape: tuple[int, ...], rank: int, channels: tuple[str, int], last: bool
) -> None:
    """The input of a layer has its channels, (argument name, number), last or first."""
    name, count = channels
    layout = f"(*batch, *size, {name})" if last else f"({name}, *size)"
    rule = (
        f"the layer takes {layout}, channels {'last' if last else 'first'}, with "
        f"{counted(rank, 'spatial axis', 'spatial axes')} and {name}={count}"
    )
    if len(shape) < rank + 1:
        fail(argument, array_of(shape), rule, "reshape it")
    if len(shape) > rank + 1 and not last:
        fail(argument, array_of(shape), rule, "map the layer over the batch with jax.vmap")
    here, there = (-1, len(shape) - rank - 1) if last else (0, rank)
    if shape[here] != count:
        found = f"; axis {here % len(shape)} has {shape[here]}"
        if shape[there] == count:
            remedy = f"move the channels: jnp.moveaxis({argument}, {there}, {here})"
        else:
            remedy = f"make the layer with {name}={shape[here]}, or change the input"
        fail(argument, array_of(shape), rule + found, remedy)


@contextlib.contextmanager
def renamed(**names: str) -> Iterator[None]:
    """Let errors name their argument as the layer's caller knows it."""
    try:
        yield
    except GeometryError as error:
        argument, equals, rest = str(error).partition("=")
        raise GeometryError(f"{names.get(argument, argument)}{equals}{rest}") from None
