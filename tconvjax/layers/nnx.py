"""`Conv` and `ConvTranspose` for Flax NNX: Flax's constructors, exact transposes of each other."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.nnx.nn.dtypes import promote_dtype as promote
from jax.lax import ConvDimensionNumbers

import tconvjax
from tconvjax.arguments import Ints, flag, frozen, function, ints
from tconvjax.conventions import convert_kernel, flax_conv_transpose
from tconvjax.conventions.base import check_mask
from tconvjax.errors import fail, kind_of
from tconvjax.geometry.padding import PADDING_MODES, Padding, pads
from tconvjax.layers import check_channels, check_input, check_no_size, renamed
from tconvjax.operands import as_array, inexact_dtype


class _Layer(nnx.Module):  # type: ignore[misc]  # mypy does not follow Flax
    """The arguments and parameters of both layers."""

    original = False

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: Ints,
        strides: Ints | None = 1,
        *,
        padding: Padding = "SAME",
        kernel_dilation: Ints | None = 1,
        feature_group_count: int = 1,
        use_bias: bool = True,
        mask: Any = None,
        dtype: Any = None,
        param_dtype: Any = jnp.float32,
        precision: Any = None,
        kernel_init: Any = nnx.initializers.lecun_normal(),  # noqa: B008
        bias_init: Any = nnx.initializers.zeros,
        promote_dtype: Any = promote,
        preferred_element_type: Any = None,
        rngs: nnx.Rngs,
        kernel_metadata: Mapping[str, Any] | None = None,
        bias_metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.kernel_size = ints("kernel_size", kernel_size, None, 1)
        rank = len(self.kernel_size)
        self.strides = ints("strides", 1 if strides is None else strides, rank, 1)
        dilation = 1 if kernel_dilation is None else kernel_dilation
        self.kernel_dilation = ints("kernel_dilation", dilation, rank, 1)
        channels = {"in_features": in_features, "out_features": out_features}
        check_channels("feature_group_count", feature_group_count, channels)
        self.in_features, self.out_features = in_features, out_features
        self.feature_group_count = feature_group_count
        self.precision, self.preferred_element_type = precision, preferred_element_type
        self.padding = frozen("padding", padding)
        if not self.original:
            pads(self._arguments()["padding"], rank)
        self.mask = mask
        self.dtype = None if dtype is None else inexact_dtype("dtype", dtype)
        self.param_dtype = inexact_dtype("param_dtype", param_dtype)
        self.promote_dtype = function("promote_dtype", promote_dtype)
        self.use_bias = flag("use_bias", use_bias)
        draw: Any = getattr(rngs, "params", None)
        if not callable(draw):
            fail("rngs", kind_of(rngs), "it must be Flax's nnx.Rngs", "give nnx.Rngs(0)")
        kernel = self._initial(function("kernel_init", kernel_init), draw())
        if mask is not None:
            check_mask(mask, kernel)
        self.kernel = nnx.Param(kernel, **_metadata("kernel_metadata", kernel_metadata))
        function("bias_init", bias_init)
        bias = bias_init(draw(), (out_features,), self.param_dtype) if self.use_bias else None
        metadata = _metadata("bias_metadata", bias_metadata)
        self.bias = nnx.data(None) if bias is None else nnx.Param(bias, **metadata)

    def _initial(self, init: Any, key: jax.Array) -> Any:
        """Draw a kernel in the shape from which initialisers compute the right fans."""
        channels = (self.in_features // self.feature_group_count, self.out_features)
        return init(key, (*self.kernel_size, *channels), self.param_dtype)

    def _arrays(self, inputs: Any) -> Any:
        """Input, kernel and bias in one dtype."""
        inputs, rank = as_array("inputs", inputs), len(self.kernel_size)
        check_input("inputs", inputs.shape, rank, ("in_features", self.in_features), last=True)
        kernel = self.kernel[...] if self.mask is None else self.kernel[...] * self.mask
        bias = None if self.bias is None else self.bias[...]
        return self.promote_dtype((inputs, kernel, bias), dtype=self.dtype)

    def _arguments(self) -> dict[str, Any]:
        """Keyword arguments of `tconvjax.conv`."""
        rank, padding, mode = len(self.kernel_size), self.padding, "zeros"
        if isinstance(padding, str) and padding.lower() in PADDING_MODES[1:]:
            # In Flax CIRCULAR and REFLECT are paddings, of span - 1 elements in all.
            steps = zip(self.kernel_dilation, self.kernel_size, strict=True)
            totals = [d * (k - 1) for d, k in steps]
            mode, padding = padding.lower(), tuple((n // 2, n - n // 2) for n in totals)
        data = (0, rank + 1, *range(1, rank + 1))
        return {
            "stride": self.strides,
            "padding": padding,
            "padding_mode": mode,
            "dilation": self.kernel_dilation,
            "groups": self.feature_group_count,
            "dimension_numbers": ConvDimensionNumbers(data, (rank + 1, rank, *range(rank)), data),
            "precision": self.precision,
            "preferred_element_type": self.preferred_element_type,
        }


class Conv(_Layer):
    """``flax.nnx.Conv``, computed by `tconvjax.conv`.

    It has no ``input_dilation``; use `ConvTranspose` instead.

    Args:
        in_features: channels of the input.
        out_features: channels of the result.
        kernel_size: taps, one int per spatial axis; a single int means one axis.
        strides: an int or one per axis.
        padding: "SAME", "VALID", "CAUSAL", "CIRCULAR", "REFLECT", an int, one per axis, or
            (low, high) pairs.
        kernel_dilation: an int or one per axis.
        feature_group_count: blocks of channels that are convolved independently.
        use_bias: whether to add a bias.
        mask: array by which the kernel is multiplied.
        dtype: dtype of the computation; by default that of input and parameters, promoted.
        param_dtype: dtype of the parameters.
        precision: as in ``jax.lax``.
        kernel_init: initialiser of the kernel (*k, in / groups, out).
        bias_init: initialiser of the bias (out,).
        promote_dtype: function that brings (inputs, kernel, bias) to one dtype.
        preferred_element_type: as in `tconvjax.conv`.
        rngs: random number generators; parameters are drawn from ``rngs.params``.
        kernel_metadata: metadata of the kernel's ``nnx.Param``.
        bias_metadata: metadata of the bias's ``nnx.Param``.

    Raises:
        GeometryError: if an argument has a wrong value, or they do not fit together.
    """

    def __call__(self, inputs: Any) -> jax.Array:
        """(*batch, *size, in_features) to (*batch, *size, out_features)."""
        with renamed(x="inputs", w="kernel"):
            return tconvjax.conv(*self._arrays(inputs), **self._arguments())


class ConvTranspose(_Layer):
    """The exact transpose of the `Conv` with the same arguments and kernel (*k, out / groups, in).

    With ``original=True`` arguments and kernel have the meaning that they have in
    ``flax.nnx.ConvTranspose``.

    Args:
        in_features: channels of the input.
        out_features: channels of the result.
        kernel_size: taps, one int per spatial axis; a single int means one axis.
        strides: an int or one per axis.
        padding: that of the convolution which is transposed, as in `Conv`; "SAME" gives
            stride * n elements, and numbers are cut off the result.
        kernel_dilation: an int or one per axis.
        feature_group_count: blocks of channels that are convolved independently.
        output_padding: elements to add after the last, fewer than the stride or the dilation.
        use_bias: whether to add a bias.
        mask: array by which the kernel is multiplied.
        dtype: dtype of the computation; by default that of input and parameters, promoted.
        param_dtype: dtype of the parameters.
        precision: as in ``jax.lax``.
        kernel_init: initialiser of the kernel, drawn as (*k, in / groups, out) and then converted.
        bias_init: initialiser of the bias (out,).
        transpose_kernel: Flax's argument, only with ``original=True``.
        promote_dtype: function that brings (inputs, kernel, bias) to one dtype.
        preferred_element_type: as in `tconvjax.conv_transpose`.
        original: whether arguments and kernel have Flax's meaning, for Flax's checkpoints.
        rngs: random number generators; parameters are drawn from ``rngs.params``.
        kernel_metadata: metadata of the kernel's ``nnx.Param``.
        bias_metadata: metadata of the bias's ``nnx.Param``.

    Raises:
        GeometryError: if an argument has a wrong value, or they do not fit together.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        kernel_size: Ints,
        strides: Ints | None = 1,
        *,
        padding: Padding = "SAME",
        kernel_dilation: Ints | None = 1,
        feature_group_count: int = 1,
        output_padding: Ints = 0,
        use_bias: bool = True,
        mask: Any = None,
        dtype: Any = None,
        param_dtype: Any = jnp.float32,
        precision: Any = None,
        kernel_init: Any = nnx.initializers.lecun_normal(),  # noqa: B008
        bias_init: Any = nnx.initializers.zeros,
        transpose_kernel: bool = False,
        promote_dtype: Any = promote,
        preferred_element_type: Any = None,
        original: bool = False,
        rngs: nnx.Rngs,
        kernel_metadata: Mapping[str, Any] | None = None,
        bias_metadata: Mapping[str, Any] | None = None,
    ) -> None:
        self.original = flag("original", original)
        transposed = flag("transpose_kernel", transpose_kernel)
        if transposed and not self.original:
            rule = "only Flax's layer has a choice of kernels"
            fail("transpose_kernel", transpose_kernel, rule, "give original=True, or leave it out")
        self.kernel_layout = "flax_transpose_kernel" if transposed or not original else "flax"
        super().__init__(
            in_features,
            out_features,
            kernel_size,
            strides,
            padding=padding,
            kernel_dilation=kernel_dilation,
            feature_group_count=feature_group_count,
            use_bias=use_bias,
            mask=mask,
            dtype=dtype,
            param_dtype=param_dtype,
            precision=precision,
            kernel_init=kernel_init,
            bias_init=bias_init,
            promote_dtype=promote_dtype,
            preferred_element_type=preferred_element_type,
            rngs=rngs,
            kernel_metadata=kernel_metadata,
            bias_metadata=bias_metadata,
        )
        self.output_padding = ints("output_padding", output_padding, len(self.kernel_size), 0)
        if self.original and (feature_group_count > 1 or any(self.output_padding)):
            rule = "Flax's layer has no groups and no output_padding"
            fail("original", original, rule, "leave original out")

    def _initial(self, init: Any, key: jax.Array) -> Any:
        if self.original and self.kernel_layout != "flax":
            shape = (*self.kernel_size, self.out_features, self.in_features)
            return init(key, shape, self.param_dtype)
        kernel, groups = super()._initial(init, key), self.feature_group_count
        boxed = isinstance(kernel, nnx.VariableMetadata)  # of nnx.with_partitioning and its like
        drawn = kernel.raw_value if boxed else kernel
        value = convert_kernel(drawn, "flax", self.kernel_layout, groups=groups)
        return dataclasses.replace(kernel, raw_value=value) if boxed else value

    def __call__(self, inputs: Any, output_size: Ints | None = None) -> jax.Array:
        """(*batch, *size, in_features) to (*batch, *output_size, out_features)."""
        arrays = self._arrays(inputs)
        if self.original:
            check_no_size(output_size, "Flax")
            names = ("strides", "padding", "kernel_dilation", "precision", "preferred_element_type")
            flax: dict[str, Any] = {name: getattr(self, name) for name in names}
            flax["transpose_kernel"] = self.kernel_layout != "flax"
            return flax_conv_transpose(*arrays, **flax)
        arguments = {**self._arguments(), "output_padding": self.output_padding}
        fixed = output_size is not None or any(self.output_padding)
        if arguments["padding_mode"] != "zeros" and not fixed:
            arguments["output_padding"] = np.subtract(self.strides, 1)  # stride * n, as in Flax
        with renamed(y="inputs", w="kernel"):
            return tconvjax.conv_transpose(*arrays, output_size=output_size, **arguments)


def _metadata(name: str, value: Any) -> Mapping[str, Any]:
    """The metadata of a parameter; None is none."""
    named = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if value is not None and not named:
        fail(name, kind_of(value), "it must be a mapping of names", "give a dict or None")
    return value or {}
