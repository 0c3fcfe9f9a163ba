"""`Conv` and `ConvTranspose` for Flax linen: Flax's fields, exact transposes of each other."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from flax import linen
from flax.linen.dtypes import promote_dtype as promote

from tconvjax.arguments import Ints, function, whole
from tconvjax.conventions.base import check_mask
from tconvjax.errors import array_of, fail, kind_of
from tconvjax.geometry.padding import Padding
from tconvjax.layers import check_channels
from tconvjax.layers.flax import FlaxLayer


class _Layer(FlaxLayer, linen.Module):  # type: ignore[misc]  # mypy does not follow Flax
    """The fields and parameters of both layers."""

    features: int
    kernel_size: Ints
    strides: Ints | None = 1
    padding: Padding = "SAME"
    kernel_dilation: Ints | None = 1
    feature_group_count: int = 1
    use_bias: bool = True
    mask: Any = None
    dtype: Any = None
    param_dtype: Any = jnp.float32
    precision: Any = None
    kernel_init: Any = linen.initializers.lecun_normal()
    bias_init: Any = linen.initializers.zeros
    promote_dtype: Any = promote
    preferred_element_type: Any = None

    def __post_init__(self) -> None:
        self._read(object.__setattr__, features=self.features)
        for name in ("kernel_init", "bias_init"):
            function(name, getattr(self, name))
        taps: Any = self.kernel_size
        rank, shape = len(taps), getattr(self.mask, "shape", ())
        if self.mask is not None and (len(shape) != rank + 2 or shape[:rank] != taps):
            given = array_of(shape) if shape else kind_of(self.mask)
            rule = f"the kernel has {rank + 2} axes, the first of {taps} taps"
            fail("mask", given, rule, "give a mask of the kernel's shape")
        super().__post_init__()

    def _promoted(self, *arrays: Any) -> Any:
        return self.promote_dtype(*arrays, dtype=self.dtype)

    def _run(self, inputs: Any, output_size: Ints | None = None) -> jax.Array:
        inputs = self._input(inputs)
        channels = {"in_features": whole("in_features", inputs.shape[-1], 1)}
        check_channels("feature_group_count", self.feature_group_count, channels)
        kernel = self.param(
            "kernel", self._start, self.kernel_init, inputs.shape[-1], self.features
        )
        if self.mask is not None:
            check_mask(self.mask, kernel)
        bias = None
        if self.use_bias:
            bias = self.param("bias", self._drawn, "bias_init", self.bias_init, (self.features,))
        return self._compute(inputs, kernel, bias, output_size)


class Conv(_Layer):
    """``flax.linen.Conv``, computed by `tconvjax.conv`.

    Its fields are those of `tconvjax.layers.nnx.Conv` but for the number of channels of the input,
    which the first input tells, and ``features`` instead of ``out_features``. It has no
    ``input_dilation``; use `ConvTranspose` instead.

    Raises:
        GeometryError: if a field has a wrong value, or they do not fit together.
    """

    @linen.compact  # type: ignore[untyped-decorator]
    def __call__(self, inputs: Any) -> jax.Array:
        """(*batch, *size, in_features) to (*batch, *size, features)."""
        return self._run(inputs)


class ConvTranspose(_Layer):
    """The exact transpose of the `Conv` with the same fields and kernel (*k, out / groups, in).

    Its fields are those of `tconvjax.layers.nnx.ConvTranspose` with the differences of `Conv`. With
    ``original=True`` fields and kernel have the meaning that they have in
    ``flax.linen.ConvTranspose``.

    Raises:
        GeometryError: if a field has a wrong value, or they do not fit together.
    """

    transposed = True
    output_padding: Ints = 0
    transpose_kernel: bool = False
    original: bool = False

    @linen.compact  # type: ignore[untyped-decorator]
    def __call__(self, inputs: Any, output_size: Ints | None = None) -> jax.Array:
        """(*batch, *size, in_features) to (*batch, *output_size, features)."""
        return self._run(inputs, output_size)
