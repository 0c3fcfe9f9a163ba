"""`Conv` and `ConvTranspose` for Flax NNX: Flax's constructors, exact transposes of each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, InitVar, dataclass
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from flax.nnx.nn.dtypes import promote_dtype as promote

from tconvjax.arguments import Ints
from tconvjax.conventions.base import check_mask
from tconvjax.errors import fail, kind_of
from tconvjax.geometry.padding import Padding
from tconvjax.layers.flax import FlaxLayer


@dataclass(eq=False, repr=False)
class _Layer(FlaxLayer, nnx.Module):  # type: ignore[misc]  # mypy does not follow Flax
    """The arguments and parameters of both layers."""

    in_features: int
    out_features: int
    kernel_size: Ints
    strides: Ints | None = 1
    _: KW_ONLY
    padding: Padding = "SAME"
    kernel_dilation: Ints | None = 1
    feature_group_count: int = 1
    use_bias: bool = True
    mask: Any = None
    dtype: Any = None
    param_dtype: Any = jnp.float32
    precision: Any = None
    kernel_init: InitVar[Any] = nnx.initializers.lecun_normal()  # noqa: RUF009
    bias_init: InitVar[Any] = nnx.initializers.zeros
    promote_dtype: Any = promote
    preferred_element_type: Any = None
    rngs: InitVar[nnx.Rngs]
    kernel_metadata: InitVar[Mapping[str, Any] | None] = None
    bias_metadata: InitVar[Mapping[str, Any] | None] = None

    def __post_init__(
        self, kernel_init: Any, bias_init: Any, rngs: Any, kernel_metadata: Any, bias_metadata: Any
    ) -> None:
        self._read(setattr, in_features=self.in_features, out_features=self.out_features)
        draw: Any = getattr(rngs, "params", None)
        if not callable(draw):
            fail("rngs", kind_of(rngs), "it must be Flax's nnx.Rngs", "give nnx.Rngs(0)")
        kernel = self._start(draw(), kernel_init, self.in_features, self.out_features)
        if self.mask is not None:
            check_mask(self.mask, kernel)
        self.kernel = nnx.Param(kernel, **_metadata("kernel_metadata", kernel_metadata))
        bias = None
        if self.use_bias:
            bias = self._drawn(draw(), "bias_init", bias_init, (self.out_features,))
        metadata = _metadata("bias_metadata", bias_metadata)
        self.bias = nnx.data(None) if bias is None else nnx.Param(bias, **metadata)

    def _run(self, inputs: Any, output_size: Ints | None = None) -> jax.Array:
        bias = None if self.bias is None else self.bias[...]
        inputs = self._input(inputs, self.in_features)
        return self._compute(inputs, self.kernel[...], bias, output_size)


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
        return self._run(inputs)


@dataclass(kw_only=True, eq=False, repr=False)
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

    transposed = True
    output_padding: Ints = 0
    transpose_kernel: bool = False
    original: bool = False

    def __call__(self, inputs: Any, output_size: Ints | None = None) -> jax.Array:
        """(*batch, *size, in_features) to (*batch, *output_size, out_features)."""
        return self._run(inputs, output_size)


def _metadata(name: str, value: Any) -> Mapping[str, Any]:
    """The metadata of a parameter; None is none."""
    named = isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if value is not None and not named:
        fail(name, kind_of(value), "it must be a mapping of names", "give a dict or None")
    return value or {}
