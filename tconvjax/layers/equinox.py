"""`Conv` and `ConvTranspose` for Equinox: its constructors, the exact transpose, the speed."""

from __future__ import annotations

import math
from typing import Any

import equinox
import jax
import jax.numpy as jnp
from equinox import field

import tconvjax
from tconvjax.arguments import Ints, choice, flag, frozen, ints, text
from tconvjax.conventions import equinox_conv_transpose, relaid
from tconvjax.conventions.kernels import axis_count
from tconvjax.errors import fail
from tconvjax.geometry import PADDING_MODES, Padding, pads
from tconvjax.layers.checking import check_channels
from tconvjax.upsampling.initializers import inexact_dtype, random_key, uniform


class Conv(equinox.Module):  # type: ignore[misc]  # mypy does not follow Equinox
    """``equinox.nn.Conv`` by `tconvjax.conv`, which also takes "CAUSAL" for a padding.

    Raises:
        GeometryError: if an argument is of another kind, or they do not fit together.
    """

    weight: jax.Array
    bias: jax.Array | None
    num_spatial_dims: int = field(static=True)
    in_channels: int = field(static=True)
    out_channels: int = field(static=True)
    kernel_size: tuple[int, ...] = field(static=True)
    stride: tuple[int, ...] = field(static=True)
    padding: Padding = field(static=True)
    dilation: tuple[int, ...] = field(static=True)
    groups: int = field(static=True)
    use_bias: bool = field(static=True)
    padding_mode: str = field(static=True)

    def __init__(
        self,
        num_spatial_dims: int,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Padding = 0,
        dilation: Ints = 1,
        groups: int = 1,
        use_bias: bool = True,
        padding_mode: str = "ZEROS",
        dtype: Any = None,
        *,
        key: jax.Array,
    ) -> None:
        rank = axis_count("num_spatial_dims", num_spatial_dims)
        steps = {"kernel_size": kernel_size, "stride": stride, "dilation": dilation}
        self.kernel_size, self.stride, self.dilation = (
            ints(name, value, rank, 1) for name, value in steps.items()
        )
        check_channels(
            self.kernel_size, ("groups", groups), in_channels=in_channels, out_channels=out_channels
        )
        self.num_spatial_dims, self.groups = rank, groups
        self.in_channels, self.out_channels = in_channels, out_channels
        self.padding = padding.upper() if isinstance(padding, str) else frozen("padding", padding)
        pads(self.padding, rank)
        self.padding_mode = choice(
            "padding_mode", text("padding_mode", padding_mode).lower(), PADDING_MODES
        )
        dtype = jnp.result_type(float) if dtype is None else inexact_dtype("dtype", dtype)
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        self.use_bias = flag("use_bias", use_bias)
        keys, limit = jax.random.split(random_key(key)), 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = uniform(keys[0], shape, dtype, limit)
        bias = uniform(keys[1], (out_channels,), dtype, limit)
        self.bias = bias.reshape(-1, *[1] * rank) if self.use_bias else None

    def _given(self) -> dict[str, Any]:
        names = ("stride", "padding", "dilation", "groups", "padding_mode")
        bias = None if self.bias is None else self.bias.reshape(-1)
        return {"bias": bias, **{name: getattr(self, name) for name in names}}

    def __call__(self, x: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        """(in_channels, *size) to (out_channels, *size); the key is not used."""
        return tconvjax.conv(x, self.weight, **self._given())


class ConvTranspose(Conv):
    """The exact transpose of the `Conv` with the same arguments and weight (in, out / groups, *k).

    With ``original=True`` all is read as ``equinox.nn.ConvTranspose`` reads it, the weight too.
    """

    output_padding: tuple[int, ...] = field(static=True)
    kernel_layout: str = field(static=True)

    def __init__(
        self,
        num_spatial_dims: int,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Padding = 0,
        output_padding: Ints = 0,
        *args: Any,
        original: bool = False,
        **given: Any,
    ) -> None:
        original = flag("original", original)
        super().__init__(
            num_spatial_dims,
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            *args,
            **given,
        )
        extra = frozen("output_padding", output_padding)
        self.output_padding = ints("output_padding", extra, self.num_spatial_dims, 0)
        self.kernel_layout = "equinox" if original else "tconvjax"
        self.weight = relaid(self.weight, "equinox", self.kernel_layout, self.groups)

    def __call__(self, x: jax.Array, output_size: Ints | None = None, *, key: Any = None) -> Any:
        """(in_channels, *size) to (out_channels, *output_size); the key is not used."""
        given = {**self._given(), "output_padding": self.output_padding}
        if self.kernel_layout == "tconvjax":
            return tconvjax.conv_transpose(x, self.weight, output_size=output_size, **given)
        if output_size is not None:
            fail("output_size", output_size, "equinox.nn.ConvTranspose has none", "leave it out")
        return equinox_conv_transpose(x, self.weight, **given)
