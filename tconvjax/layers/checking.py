"""What the constructors of both libraries' layers ask of their arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import jax

from tconvjax.conventions.kernels import axis_count
from tconvjax.geometry import Words, fail, frozen, ints, whole

MOST_WEIGHTS = 2**31
"""Elements of a kernel, 8 GiB of float32."""


def taps(kernel_size: Any) -> tuple[int, ...]:
    """The taps along each of as many axes as there are numbers."""
    sizes = frozen("kernel_size", kernel_size)
    count = len(sizes) if isinstance(sizes, tuple) else 1
    return ints("kernel_size", sizes, axis_count("kernel_size", count), 1)


def check_channels(kernel: tuple[int, ...], groups: tuple[str, Any], **channels: Any) -> None:
    """Groups, by the name that the library has for them, divide the channels of both sides."""
    name, blocks = groups[0], at_least_one(*groups)
    for side, value in channels.items():
        count = at_least_one(side, value)
        if count % blocks:
            fail(name, blocks, f"it must divide {side}={count}", "give a divisor of both")
    weights = math.prod(channels.values()) // blocks * math.prod(kernel)
    if weights > MOST_WEIGHTS:
        fail(
            "kernel_size",
            kernel,
            f"with {channels} there are {weights} weights, and {MOST_WEIGHTS} is the limit",
            "take fewer channels or taps",
        )


def at_least_one(name: str, value: Any) -> int:
    """A whole number from 1 on."""
    return ints(name, whole(name, value), 1, 1)[0]


def lowered(name: str, value: Any, choices: Sequence[str]) -> str:
    """A choice in small letters, however it is written."""
    if not isinstance(value, str) or value.lower() not in choices:
        fail(name, value, f"the choices are {', '.join(choices)}", "use one of them")
    return value.lower()


def check_functions(**functions: Any) -> None:
    """Refuse what cannot be called."""
    for name, value in functions.items():
        if not callable(value):
            fail(name, Words(type(value).__name__), "it must be a function", "leave it out")


def check_mask(mask: Any, kernel: jax.Array) -> None:
    """Refuse a mask that is no array as large as the kernel; None is none."""
    shape = getattr(mask, "shape", None)
    if mask is not None and shape != kernel.shape:
        given = type(mask).__name__ if shape is None else f"array of shape {shape}"
        fail("mask", Words(given), f"the kernel is of shape {kernel.shape}", "give a mask like it")


def keys_of(rngs: Any) -> Callable[[], jax.Array]:
    """What draws the keys of parameters from Flax's ``nnx.Rngs``."""
    draw: Any = getattr(rngs, "params", None)
    if not callable(draw):
        fail("rngs", Words(type(rngs).__name__), "it must be Flax's nnx.Rngs", "give nnx.Rngs(0)")
    return cast("Callable[[], jax.Array]", draw)


def metadata(name: str, value: Any) -> Mapping[str, Any]:
    """What a parameter carries beside its value; nothing for None."""
    named = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if value is not None and not named:
        fail(name, Words(type(value).__name__), "it holds names and values", "give a dict or None")
    return value or {}
