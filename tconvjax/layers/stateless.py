"""Layers without parameters: functions of `tconvjax.upsampling`, checked when they are made.

They are equal if their arguments are, and static nodes of JAX's trees, without any leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
from jax.typing import ArrayLike

from tconvjax.arguments import Ints, choice
from tconvjax.upsampling import max_unpool, pixel_shuffle
from tconvjax.upsampling.arguments import each, layout_spec
from tconvjax.upsampling.shuffle import ORDERS, Order


def _read(layer: Any, **least: int) -> None:
    """Bring arguments to one whole number for each spatial axis of the layer's layout."""
    rank = len(layout_spec(layer.layout)) - 2
    for name, bound in least.items():
        object.__setattr__(layer, name, each(name, getattr(layer, name), rank, bound))


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
