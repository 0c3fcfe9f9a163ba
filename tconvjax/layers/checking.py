"""What the constructors of both libraries' layers ask of their arguments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, cast

import jax

from tconvjax.arguments import frozen, ints, whole
from tconvjax.conventions.kernels import axis_count
from tconvjax.errors import Described, fail, kind_of

MOST_WEIGHTS = 2**31
"""Elements of a kernel, 8 GiB of float32."""


def taps(kernel_size: Any) -> tuple[int, ...]:
    """The taps along each of as many axes as there are numbers."""
    sizes = frozen("kernel_size", kernel_size)
    count = len(sizes) if isinstance(sizes, tuple) else 1
    return ints("kernel_size", sizes, axis_count("kernel_size", count), 1)


def check_channels(kernel: tuple[int, ...], groups: tuple[str, Any], **channels: Any) -> None:
    """Groups, by the name that the library has for them, divide the channels of both sides."""
    name, blocks = groups[0], whole(*groups, 1)
    for side, value in channels.items():
        count = whole(side, value, 1)
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


def check_mask(mask: Any, kernel: jax.Array) -> None:
    """Refuse a mask that is no array as large as the kernel; None is none."""
    shape = getattr(mask, "shape", None)
    if mask is not None and shape != kernel.shape:
        given = type(mask).__name__ if shape is None else f"array of shape {shape}"
        fail(
            "mask",
            Described(given),
            f"the kernel is of shape {kernel.shape}",
            "give a mask like it",
        )


def keys_of(rngs: Any) -> Callable[[], jax.Array]:
    """What draws the keys of parameters from Flax's ``nnx.Rngs``."""
    draw: Any = getattr(rngs, "params", None)
    if not callable(draw):
        fail("rngs", kind_of(rngs), "it must be Flax's nnx.Rngs", "give nnx.Rngs(0)")
    return cast("Callable[[], jax.Array]", draw)


def metadata(name: str, value: Any) -> Mapping[str, Any]:
    """What a parameter carries beside its value; nothing for None."""
    named = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if value is not None and not named:
        fail(name, kind_of(value), "it holds names and values", "give a dict or None")
    return value or {}
