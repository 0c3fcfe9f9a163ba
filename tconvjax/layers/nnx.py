"""`Conv` and `ConvTranspose` for Flax NNX: its constructors, the exact transpose, the speed."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.nnx.nn.dtypes import promote_dtype as promote

import tconvjax
from tconvjax.arguments import Ints, flag, frozen, function, whole
from tconvjax.conventions import flax_conv_transpose, relaid
from tconvjax.conventions.flax import forward_arguments
from tconvjax.errors import fail
from tconvjax.geometry import Padding
from tconvjax.layers import checking
from tconvjax.operands import as_array
from tconvjax.upsampling.initializers import inexact_dtype


class Conv(nnx.Module):  # type: ignore[misc]  # mypy does not follow Flax
    """``flax.nnx.Conv`` by `tconvjax.conv`; ``input_dilation`` is what `ConvTranspose` is for.

    Raises:
        GeometryError: if an argument is of another kind, or they do not fit together.
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
        kernel_metadata: Any = None,
        bias_metadata: Any = None,
    ) -> None:
        function("kernel_init", kernel_init)
        function("bias_init", bias_init)
        function("promote_dtype", promote_dtype)
        self.kernel_size, groups = checking.taps(kernel_size), feature_group_count
        checking.check_channels(
            self.kernel_size,
            ("feature_group_count", groups),
            in_features=in_features,
            out_features=out_features,
        )
        self.in_features, self.out_features, self.padding = in_features, out_features, padding
        self.strides = 1 if strides is None else frozen("strides", strides)
        apart = 1 if kernel_dilation is None else frozen("kernel_dilation", kernel_dilation)
        self.kernel_dilation, self.feature_group_count, self.mask = apart, groups, mask
        self.dtype = None if dtype is None else inexact_dtype("dtype", dtype)
        self.param_dtype, self.precision = inexact_dtype("param_dtype", param_dtype), precision
        self.promote_dtype, self.preferred_element_type = promote_dtype, preferred_element_type
        draw, self.use_bias = checking.keys_of(rngs), flag("use_bias", use_bias)
        kernel = self._initial(kernel_init, draw())
        checking.check_mask(mask, kernel)
        self.kernel = nnx.Param(kernel, **checking.metadata("kernel_metadata", kernel_metadata))
        kept = checking.metadata("bias_metadata", bias_metadata)
        bias = bias_init(draw(), (out_features,), self.param_dtype) if self.use_bias else None
        self.bias = nnx.data(None) if bias is None else nnx.Param(bias, **kept)

    def _initial(self, init: Any, key: jax.Array) -> jax.Array:
        ends = (self.in_features // self.feature_group_count, self.out_features)
        return init(key, (*self.kernel_size, *ends), self.param_dtype)

    def _arrays(self, inputs: Any) -> Any:
        kernel = self.kernel[...] if self.mask is None else self.kernel[...] * self.mask
        bias = None if self.bias is None else self.bias[...]
        return self.promote_dtype((as_array("inputs", inputs), kernel, bias), dtype=self.dtype)

    def __call__(self, inputs: Any) -> jax.Array:
        """(*batch, *size, in_features) to (*batch, *size, out_features)."""
        return tconvjax.conv(*self._arrays(inputs), **forward_arguments(self))


class ConvTranspose(Conv):
    """The exact transpose of the `Conv` with the same arguments and kernel (*k, out / groups, in).

    With ``original=True`` all is read as ``flax.nnx.ConvTranspose`` reads it, the kernel too.
    """

    def __init__(
        self,
        *args: Any,
        output_padding: Ints = 0,
        transpose_kernel: bool = False,
        original: bool = False,
        **given: Any,
    ) -> None:
        groups = whole("feature_group_count", given.get("feature_group_count", 1), 1)
        output_padding = frozen("output_padding", output_padding)
        transpose_kernel = flag("transpose_kernel", transpose_kernel)
        original, beyond_flax = flag("original", original), output_padding or groups > 1
        if beyond_flax if original else transpose_kernel:
            fail(
                "original",
                original,
                "transpose_kernel is Flax's, groups and output_padding are not",
                "give original=True with the first, False with the others",
            )
        self.output_padding, self.original = output_padding, original
        self.kernel_layout = "flax_transpose_kernel" if transpose_kernel or not original else "flax"
        super().__init__(*args, **given)

    def _initial(self, init: Any, key: jax.Array) -> jax.Array:
        if self.original and self.kernel_layout != "flax":
            shape = (*self.kernel_size, self.out_features, self.in_features)
            return init(key, shape, self.param_dtype)
        kernel = super()._initial(init, key)  # in the shape whose fans initialisers read right
        if isinstance(kernel, nnx.VariableMetadata):  # of nnx.with_partitioning and its like
            value = relaid(kernel.raw_value, "flax", self.kernel_layout, self.feature_group_count)
            return dataclasses.replace(kernel, raw_value=value)
        return relaid(kernel, "flax", self.kernel_layout, self.feature_group_count)

    def __call__(self, inputs: Any, output_size: Ints | None = None) -> jax.Array:
        """(*batch, *size, in_features) to (*batch, *output_size, out_features)."""
        if self.original:
            names = ("strides", "padding", "kernel_dilation", "precision", "preferred_element_type")
            given: dict[str, Any] = {name: getattr(self, name) for name in names}
            given["transpose_kernel"] = self.kernel_layout != "flax"
            return flax_conv_transpose(*self._arrays(inputs), **given)
        given = forward_arguments(self) | {"output_padding": self.output_padding}
        if given["padding_mode"] != "zeros" and output_size is None and self.output_padding == 0:
            given["output_padding"] = np.subtract(self.strides, 1)  # stride * n, as in Flax
        return tconvjax.conv_transpose(*self._arrays(inputs), output_size=output_size, **given)
