"""`Conv` and `ConvTranspose` for Equinox: its constructors, exact transposes of each other."""

from __future__ import annotations

import functools
import math
from typing import Any

import equinox
import jax
import jax.numpy as jnp
from equinox import field

import tconvjax
from tconvjax.arguments import Ints, choice, flag, frozen, whole
from tconvjax.conventions import convert_kernel, equinox_conv_transpose, read_layer
from tconvjax.errors import Described, fail
from tconvjax.geometry import Geometry
from tconvjax.geometry.padding import PADDING_MODES, Padding
from tconvjax.layers import check_channels, check_fits, check_input, check_no_size, renamed
from tconvjax.operands import NARROW, arrays, inexact_dtype, random_key, widened
from tconvjax.upsampling.arguments import each


class _Layer(equinox.Module):  # type: ignore[misc]  # mypy does not follow Equinox
    """The arguments and parameters of both layers."""

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
        rank = whole("num_spatial_dims", num_spatial_dims, 1)
        self.kernel_size = each("kernel_size", kernel_size, rank, 1)
        self.stride = each("stride", stride, rank, 1)
        self.dilation = each("dilation", dilation, rank, 1)
        channels = {"in_channels": in_channels, "out_channels": out_channels}
        check_channels("groups", groups, channels)
        self.num_spatial_dims, self.groups = rank, groups
        self.in_channels, self.out_channels = in_channels, out_channels
        self.padding = padding.upper() if isinstance(padding, str) else frozen("padding", padding)
        self.padding_mode = choice("padding_mode", padding_mode, PADDING_MODES, any_case=True)
        self.use_bias = flag("use_bias", use_bias)
        self._check()
        dtype = jnp.result_type(float) if dtype is None else inexact_dtype("dtype", dtype)
        shape = (out_channels, in_channels // groups, *self.kernel_size)
        keys, limit = jax.random.split(random_key(key)), 1 / math.sqrt(math.prod(shape[1:]))
        self.weight = _uniform(keys[0], shape, dtype, limit)
        bias = _uniform(keys[1], (out_channels,), dtype, limit)
        self.bias = bias.reshape(-1, *[1] * rank) if self.use_bias else None

    def _input(self, x: Any) -> jax.Array:
        (x,), channels = arrays(*NARROW, x=x), ("in_channels", self.in_channels)
        check_input("x", x.shape, self.num_spatial_dims, channels, last=False)
        return x

    def _check(self) -> None:
        """Refuse arguments that fit no input, however large."""
        check_fits(Geometry.of_conv, self.kernel_size, self._geometry())

    def _geometry(self) -> dict[str, Any]:
        """Keyword arguments of `tconvjax.conv`, those of the geometry."""
        names = ("stride", "padding", "dilation", "groups", "padding_mode")
        return {name: getattr(self, name) for name in names}

    def _arguments(self) -> dict[str, Any]:
        """Keyword arguments of `tconvjax.conv`."""
        return {"bias": None if self.bias is None else self.bias.reshape(-1), **self._geometry()}


class Conv(_Layer):
    """``equinox.nn.Conv``, computed by `tconvjax.conv`.

    Args:
        num_spatial_dims: number of spatial axes.
        in_channels: channels of the input.
        out_channels: channels of the result.
        kernel_size: taps: an int or one per axis.
        stride: an int or one per axis.
        padding: "SAME", "SAME_LOWER", "VALID", "CAUSAL", an int, one per axis, or (low, high)
            pairs.
        dilation: an int or one per axis.
        groups: blocks of channels that are convolved independently.
        use_bias: whether to add a bias.
        padding_mode: "ZEROS", "CIRCULAR", "REFLECT" or "REPLICATE".
        dtype: dtype of the parameters; by default JAX's default for floats.
        key: random key from which the parameters are drawn.

    Raises:
        GeometryError: if an argument has a wrong value, or they do not fit together.
    """

    def __call__(self, x: jax.Array, *, key: jax.Array | None = None) -> jax.Array:
        """(in_channels, *size) to (out_channels, *size); the key is not used."""
        with renamed(w="weight"):
            return tconvjax.conv(self._input(x), self.weight, **self._arguments())


class ConvTranspose(_Layer):
    """The exact transpose of the `Conv` with the same arguments and weight (in, out / groups, *k).

    With ``original=True`` arguments and weight have the meaning that they have in
    ``equinox.nn.ConvTranspose``.

    Args:
        num_spatial_dims: number of spatial axes.
        in_channels: channels of the input.
        out_channels: channels of the result.
        kernel_size: taps: an int or one per axis.
        stride: an int or one per axis.
        padding: that of the convolution which is transposed, as in `Conv`; numbers are cut off
            the result.
        output_padding: elements to add after the last, fewer than the stride or the dilation.
        dilation: an int or one per axis.
        groups: blocks of channels that are convolved independently.
        use_bias: whether to add a bias.
        padding_mode: "ZEROS", "CIRCULAR", "REFLECT" or "REPLICATE".
        dtype: dtype of the parameters; by default JAX's default for floats.
        original: whether arguments and weight have Equinox's meaning, for Equinox's checkpoints.
        key: random key from which the parameters are drawn.

    Raises:
        GeometryError: if an argument has a wrong value, or they do not fit together.
    """

    output_padding: tuple[int, ...] = field(static=True)
    original: bool = field(static=True)

    def __init__(
        self,
        num_spatial_dims: int,
        in_channels: int,
        out_channels: int,
        kernel_size: Ints,
        stride: Ints = 1,
        padding: Padding = 0,
        output_padding: Ints = 0,
        dilation: Ints = 1,
        groups: int = 1,
        use_bias: bool = True,
        padding_mode: str = "ZEROS",
        dtype: Any = None,
        *,
        original: bool = False,
        key: jax.Array,
    ) -> None:
        rank = whole("num_spatial_dims", num_spatial_dims, 1)
        self.output_padding = each("output_padding", output_padding, rank, 0)
        self.original = flag("original", original)
        shape, steps = (rank, in_channels, out_channels, kernel_size), (stride, padding, dilation)
        super().__init__(*shape, *steps, groups, use_bias, padding_mode, dtype, key=key)
        self.weight = convert_kernel(self.weight, "equinox", self.kernel_layout, groups=groups)

    def _check(self) -> None:
        if self.original:
            read_layer({"kernel_size": self.kernel_size, **self._geometry()}, "equinox")
        else:
            check_fits(Geometry.of_conv_transpose, self.kernel_size, self._geometry())

    def _geometry(self) -> dict[str, Any]:
        return {**super()._geometry(), "output_padding": self.output_padding}

    @property
    def kernel_layout(self) -> str:
        """A key of `tconvjax.conventions.KERNELS`."""
        return "equinox" if self.original else "tconvjax"

    def __call__(self, x: jax.Array, output_size: Ints | None = None, *, key: Any = None) -> Any:
        """(in_channels, *size) to (out_channels, *output_size); the key is not used."""
        x = self._input(x)
        if not self.original:
            arguments = {"output_size": output_size, **self._arguments()}
            with renamed(y="x", w="weight"):
                return tconvjax.conv_transpose(x, self.weight, **arguments)
        check_no_size(output_size, "Equinox")
        arguments = self._arguments()
        x, weight, arguments["bias"] = widened(x, self.weight, arguments["bias"])
        if x.dtype != (dtype := weight.dtype):
            rule = f"the layer's parameters are {dtype}, and Equinox takes one dtype"
            given = Described(f"array of dtype {x.dtype}")
            fail("x", given, rule, f"convert it: x.astype({str(dtype)!r})")
        return equinox_conv_transpose(x, weight, **arguments)


def _of_rank(layer: Any, rank: int) -> Any:
    """The layer with this ``num_spatial_dims``, as Equinox names it."""
    about = f"`{layer.__name__}` with ``num_spatial_dims={rank}``."
    init = functools.partialmethod(layer.__init__, rank)
    body = {"__init__": init, "__doc__": about, "__module__": __name__}
    return type(layer)(f"{layer.__name__}{rank}d", (layer,), body)


Conv1d, Conv2d, Conv3d = (_of_rank(Conv, rank) for rank in (1, 2, 3))
ConvTranspose1d, ConvTranspose2d, ConvTranspose3d = (_of_rank(ConvTranspose, n) for n in (1, 2, 3))


def _uniform(key: Any, shape: tuple[int, ...], dtype: Any, limit: float) -> jax.Array:
    """Draw numbers between -limit and limit; both parts of complex numbers."""
    if jnp.issubdtype(dtype, jnp.floating) and jnp.finfo(dtype).bits < 8:  # JAX draws none
        return _uniform(key, shape, jnp.float32, limit).astype(dtype)
    if not jnp.issubdtype(dtype, jnp.complexfloating):
        return jax.random.uniform(key, shape, dtype, -limit, limit)
    parts = (_uniform(k, shape, jnp.finfo(dtype).dtype, limit) for k in jax.random.split(key))
    return jax.lax.complex(*parts)
