"""Layers without parameters: functions of `tconvjax.upsampling`, checked when they are made."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

import jax
from jax.typing import ArrayLike

from tconvjax.arguments import Ints, choice
from tconvjax.upsampling import max_unpool, pixel_shuffle
from tconvjax.upsampling.arguments import each, layout_spec
from tconvjax.upsampling.shuffle import ORDERS, Order


class _Layer:
    """A layer that is equal to any other with the same arguments, and has no arrays in a tree."""

    layout: str

    def __init_subclass__(cls) -> None:
        jax.tree_util.register_static(cls)

    def _read(self, **least: int) -> None:
        """Bring arguments to one whole number for each spatial axis of the layout."""
        rank = len(layout_spec(self.layout)) - 2
        for name, bound in least.items():
            object.__setattr__(self, name, each(name, getattr(self, name), rank, bound))


@dataclass(frozen=True)
class PixelShuffle(_Layer):
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
        self._read(factor=1)
        choice("order", self.order, ORDERS)

    def __call__(self, x: ArrayLike, *, key: Any = None) -> jax.Array:
        """(N, C * prod(factor), *n) to (N, C, *(factor * n)), laid out as ``layout`` says.

        The key is not used; Equinox gives one to every layer.
        """
        return pixel_shuffle(x, self.factor, order=self.order, layout=self.layout)


@dataclass(frozen=True)
class MaxUnpool(_Layer):
    """`tconvjax.upsampling.max_unpool` as a layer of any library: maxima go back to their places.

    x[indices[i]] = y[i], and 0 elsewhere

    Args:
        kernel_size: of the pooling, an int or one per spatial axis.
        stride: of the pooling; None for the kernel's size.
        padding: of the pooling.
        layout: as in `PixelShuffle`.

    Raises:
        GeometryError: if an argument has a wrong value.

    Examples:
        >>> import jax.numpy as jnp
        >>> from tconvjax.upsampling import max_pool
        >>> x = jnp.array([[1, 5], [2, 7]])[None]
        >>> y, indices = max_pool(x, 2, return_indices=True, layout="CHW")
        >>> MaxUnpool(2, layout="CHW")(y, indices).tolist()
        [[[0, 0], [0, 7]]]
    """

    kernel_size: Ints
    stride: Ints | None = None
    padding: Ints = 0
    _: KW_ONLY
    layout: str

    def __post_init__(self) -> None:
        """Check the arguments."""
        if self.stride is None:
            object.__setattr__(self, "stride", self.kernel_size)
        self._read(kernel_size=1, stride=1, padding=0)

    def __call__(
        self, y: ArrayLike, indices: ArrayLike, output_size: Ints | None = None, *, key: Any = None
    ) -> jax.Array:
        """Maxima and their indices, as `max_pool` returns them, to the array before the pooling.

        The key is not used; Equinox gives one to every layer.
        """
        numbers, layout = (self.kernel_size, self.stride, self.padding), self.layout
        return max_unpool(y, indices, *numbers, output_size=output_size, layout=layout)
