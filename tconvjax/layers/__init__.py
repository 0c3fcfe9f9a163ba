"""Layers for Flax NNX, Flax linen and Equinox: `tconvjax.layers.nnx`, ``.linen`` and ``.equinox``.

Layers without parameters serve all three: `PixelShuffle` and `MaxUnpool` are functions of
`tconvjax.upsampling`, checked when they are made. They are equal if their arguments are, and static
nodes of JAX's trees, without any leaves. This file also checks what the layers with parameters have
in common: the channels, the geometry, the input, and the names in messages.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import jax
from jax.typing import ArrayLike

from tconvjax.arguments import Ints, choice, counted, whole
from tconvjax.errors import GeometryError, array_of, fail
from tconvjax.upsampling import max_unpool, pixel_shuffle
from tconvjax.upsampling.arguments import each, layout_spec
from tconvjax.upsampling.shuffle import ORDERS, Order

__all__ = ["MaxUnpool", "PixelShuffle"]


@jax.tree_util.register_static
@dataclass(frozen=True)
class PixelShuffle:
    """`tconvjax.upsampling.pixel_shuffle` as a layer of any library: channels become pixels.

    z[c, f * i + p] = x[c * f + p, i] in order "CRD", x[p * C + c, i] in order "DCR"

    Args:
        factor: phases along each spatial axis, an int or one per axis.
        layout: letters of the input's axes: "NHWC" for Flax, "CHW" for Equinox. More batch axes
            may lead, and N may be missing.
        order: "CRD" as in PyTorch and ONNX's mode of that name, or "DCR", ONNX's default.

    Raises:
        GeometryError: if an argument has a wrong value.

    Examples:
        >>> import jax.numpy as jnp
        >>> PixelShuffle(2, "NHWC")(jnp.ones((1, 8, 8, 12))).shape
        (1, 16, 16, 3)
    """

    factor: Ints
    layout: str
    order: Order = "CRD"

    def __post_init__(self) -> None:
        """Check the arguments."""
        _read(self, factor=1)
        choice("order", self.order, ORDERS)

    def __call__(self, x: ArrayLike, *, key: Any = None) -> jax.Array:
        """Turn (N, C * prod(factor), *n) into (N, C, *(factor * n)); Equinox's key is not used."""
        return pixel_shuffle(x, self.factor, order=self.order, layout=self.layout)


@jax.tree_util.register_static
@dataclass(frozen=True)
class MaxUnpool:
    """`tconvjax.upsampling.max_unpool` as a layer of any library: maxima go back to their places.

    x[indices[i]] = y[i], and 0 elsewhere

    Args:
        kernel_size: of the pooling, an int or one per spatial axis.
        layout: as in `PixelShuffle`.
        stride: of the pooling; None for the kernel's size.
        padding: of the pooling.

    Raises:
        GeometryError: if an argument has a wrong value.

    Examples:
        >>> import jax.numpy as jnp
        >>> MaxUnpool(2, "CW")(jnp.array([[5, 7]]), jnp.array([[1, 3]])).tolist()
        [[0, 5, 0, 7]]
    """

    kernel_size: Ints
    layout: str
    stride: Ints | None = None
    padding: Ints = 0

    def __post_init__(self) -> None:
        """Check the arguments."""
        if self.stride is None:
            object.__setattr__(self, "stride", self.kernel_size)
        _read(self, kernel_size=1, stride=1, padding=0)

    def __call__(
        self, y: ArrayLike, indices: ArrayLike, output_size: Ints | None = None, *, key: Any = None
    ) -> jax.Array:
        """Turn maxima and their indices into the array of the pooling; the key is not used."""
        numbers, layout = (self.kernel_size, self.stride, self.padding), self.layout
        return max_unpool(y, indices, *numbers, output_size=output_size, layout=layout)


def _read(layer: Any, **least: int) -> None:
    """Bring arguments to one whole number for each spatial axis of the layer's layout."""
    rank = len(layout_spec(layer.layout)) - 2
    for name, bound in least.items():
        object.__setattr__(layer, name, each(name, getattr(layer, name), rank, bound))


# -- what layers with parameters have in common ----------------------------------------------------


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
