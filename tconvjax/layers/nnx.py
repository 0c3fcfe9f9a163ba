"""`Conv` and `ConvTranspose` for Flax NNX: its constructors, the exact transpose, the speed."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.nnx.nn.dtypes import promote_dtype as promote

import tconvjax
from tconvjax.conventions import flax_conv_transpose, relaid
from tconvjax.conventions.flax import forward_arguments
from tconvjax.geometry import Ints, Padding, fail


class Conv(nnx.Module):  # type: ignore[misc]  # mypy does not follow Flax
    """``flax.nnx.Conv`` by `tconvjax.conv`; ``input_dilation`` is what `ConvTranspose` is for."""

    def __init__(
        self, in_features: int, out_features: int, kernel_size: Ints, strides: Ints | None = 1, *,
        padding: Padding = "SAME", kernel_dilation: Ints | None = 1, feature_group_count: int = 1,
        use_bias: bool = True, mask: Any = None, dtype: Any = None, param_dtype: Any = jnp.float32,
        precision: Any = None, kernel_init: Any = nnx.initializers.lecun_normal(),  # noqa: B008
        bias_init: Any = nnx.initializers.zeros, promote_dtype: Any = promote,
        preferred_element_type: Any = None, rngs: nnx.Rngs, kernel_metadata: Any = None,
        bias_metadata: Any = None,
    ) -> None:  # fmt: skip
        self.kernel_size = (kernel_size,) if isinstance(kernel_size, int) else tuple(kernel_size)
        self.in_features, self.out_features, self.strides = in_features, out_features, strides or 1
        self.padding, self.kernel_dilation = padding, kernel_dilation or 1
        self.feature_group_count, self.use_bias, self.mask = feature_group_count, use_bias, mask
        self.dtype, self.param_dtype, self.precision = dtype, param_dtype, precision
        self.promote_dtype, self.preferred_element_type = promote_dtype, preferred_element_type
        kernel = self._initial(kernel_init, rngs.params())
        self.kernel = nnx.Param(kernel, **kernel_metadata or {})
        bias = bias_init(rngs.params(), (out_features,), param_dtype) if use_bias else None
        self.bias = nnx.data(None) if bias is None else nnx.Param(bias, **bias_metadata or {})

    def _initial(self, init: Any, key: jax.Array) -> jax.Array:
        ends = (self.in_features // self.feature_group_count, self.out_features)
        return init(key, (*self.kernel_size, *ends), self.param_dtype)

    def _arrays(self, inputs: Any) -> Any:
        kernel = self.kernel[...] if self.mask is None else self.kernel[...] * self.mask
        bias = None if self.bias is None else self.bias[...]
        return self.promote_dtype((inputs, kernel, bias), dtype=self.dtype)

    def __call__(self, inputs: Any) -> jax.Array:
        """(*batch, *size, in_features) to (*batch, *size, out_features)."""
        return tconvjax.conv(*self._arrays(inputs), **forward_arguments(self))


class ConvTranspose(Conv):
    """The exact transpose of the `Conv` with the same arguments and kernel (*k, out / groups, in).

    With ``original=True`` all is read as ``flax.nnx.ConvTranspose`` reads it, the kernel too.
    """

    def __init__(self, *args: Any, output_padding: Ints = 0, transpose_kernel: bool = False,
                 original: bool = False, **given: Any) -> None:  # fmt: skip
        beyond_flax = output_padding or given.get("feature_group_count", 1) > 1
        if beyond_flax if original else transpose_kernel:
            fail("original", original, "transpose_kernel is Flax's, groups and output_padding are "
                 "not", "give original=True with the first, False with the others")  # fmt: skip
        self.output_padding, self.original = output_padding, original
        self.kernel_layout = "flax_transpose_kernel" if transpose_kernel or not original else "flax"
        super().__init__(*args, **given)

    def _initial(self, init: Any, key: jax.Array) -> jax.Array:
        if self.original and self.kernel_layout != "flax":
            shape = (*self.kernel_size, self.out_features, self.in_features)
            return init(key, shape, self.param_dtype)
        kernel = super()._initial(init, key)  # in the shape whose fans initialisers read right
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
