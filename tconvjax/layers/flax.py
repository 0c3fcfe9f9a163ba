"""What the layers for Flax NNX and for Flax linen share: the arguments and the computation."""
# mypy: disable-error-code="attr-defined"

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import tconvjax
from tconvjax.arguments import Ints, flag, frozen, function
from tconvjax.conventions import convert_kernel, flax_conv_transpose, read_layer
from tconvjax.errors import array_of, fail, kind_of
from tconvjax.geometry import Geometry
from tconvjax.geometry.padding import PADDING_MODES
from tconvjax.layers import check_channels, check_fits, check_input, check_no_size, renamed
from tconvjax.layouts import last_specs
from tconvjax.operands import (
    NARROW,
    as_array,
    available_dtype,
    checked_precision,
    computing_dtype,
    dtypes,
    inexact_dtype,
    widened,
)
from tconvjax.upsampling.arguments import each

FLAX_NAMES = ("strides", "padding", "kernel_dilation", "precision", "preferred_element_type")
"""Arguments of `flax_conv_transpose`."""


class FlaxLayer:
    """A layer with the names of Flax's arguments for attributes; a convolution by default."""

    transposed = original = transpose_kernel = False
    output_padding: Any = 0

    @property
    def kernel_layout(self) -> str | None:
        """A key of `tconvjax.conventions.KERNELS`, or None for the kernel of a convolution."""
        own = self.original and not self.transpose_kernel
        return ("flax" if own else "flax_transpose_kernel") if self.transposed else None

    def _read(self, put: Callable[[Any, str, Any], None], **channels: Any) -> None:
        """Bring the attributes to one form each, and refuse what fits no input."""
        size = each("kernel_size", self.kernel_size, None, 1)
        read: dict[str, Any] = {"kernel_size": size, "padding": frozen("padding", self.padding)}
        for name, least in {"strides": 1, "kernel_dilation": 1, "output_padding": 0}.items():
            value = getattr(self, name)
            read[name] = each(name, 1 if value is None else value, len(size), least)
        check_channels("feature_group_count", self.feature_group_count, channels)
        for name in ("use_bias", "original", "transpose_kernel"):
            read[name] = flag(name, getattr(self, name))
        read["dtype"] = computing_dtype("dtype", self.dtype)
        read["param_dtype"] = inexact_dtype("param_dtype", self.param_dtype)
        function("promote_dtype", self.promote_dtype)
        checked_precision(self.precision)
        preferred = available_dtype("preferred_element_type", self.preferred_element_type)
        if read["dtype"] is not None:
            dtypes(preferred, jax.ShapeDtypeStruct((), read["dtype"]))
        for name, value in read.items():
            put(self, name, value)
        if self.original:
            if self.feature_group_count > 1 or any(self.output_padding):
                rule = "Flax's layer has no groups and no output_padding"
                fail("original", True, rule, "leave original out")
            read_layer({name: read[name] for name in (*FLAX_NAMES[:3], "kernel_size")}, "flax")
            return
        if self.transpose_kernel:
            rule = "only Flax's layer has a choice of kernels"
            fail("transpose_kernel", True, rule, "give original=True, or leave it out")
        make = Geometry.of_conv_transpose if self.transposed else Geometry.of_conv
        with renamed(stride="strides", dilation="kernel_dilation", groups="feature_group_count"):
            check_fits(make, size, self._geometry())

    def _geometry(self, output_size: Ints | None = None) -> dict[str, Any]:
        """Keyword arguments of `tconvjax.conv` or `conv_transpose`, those of the geometry."""
        padding, mode = self.padding, "zeros"
        if isinstance(padding, str) and padding.lower() in PADDING_MODES[1:]:
            # In Flax CIRCULAR and REFLECT are paddings, of span - 1 elements in all.
            steps = zip(self.kernel_dilation, self.kernel_size, strict=True)
            totals = [d * (k - 1) for d, k in steps]
            mode, padding = padding.lower(), tuple((n // 2, n - n // 2) for n in totals)
        arguments = {
            "stride": self.strides,
            "padding": padding,
            "padding_mode": mode,
            "dilation": self.kernel_dilation,
            "groups": self.feature_group_count,
        }
        if not self.transposed:
            return arguments
        extra = self.output_padding
        if mode != "zeros" and output_size is None and not any(extra):
            extra = tuple(np.subtract(self.strides, 1).tolist())  # stride * n, as in Flax
        return {**arguments, "output_padding": extra, "output_size": output_size}

    def _start(self, key: jax.Array, init: Any, channels: int, features: int) -> Any:
        """Draw a kernel in the shape from which initialisers compute the right fans."""
        groups, layout = self.feature_group_count, self.kernel_layout
        shape = (channels // groups, features)
        if self.original and self.transpose_kernel:
            shape = (features, channels)

        def turned(value: Any) -> Any:
            if layout is None or self.original:
                return value
            return convert_kernel(value, "flax", layout, groups=groups)

        return self._drawn(key, "kernel_init", init, (*self.kernel_size, *shape), turned)

    def _drawn(
        self,
        key: jax.Array,
        name: str,
        init: Any,
        shape: tuple[int, ...],
        change: Callable[[Any], Any] = lambda value: value,
    ) -> Any:
        """Draw a parameter and change its array, which may lie in a box with metadata."""
        narrow = self.param_dtype.name in NARROW
        # JAX's initialisers compute in the dtype that they draw.
        drawn = jnp.float32 if narrow else self.param_dtype
        value = function(name, init)(key, shape, drawn)

        def stored(value: Any) -> Any:
            found = getattr(value, "shape", None)
            if found != shape:
                given = kind_of(value) if found is None else array_of(found)
                rule = f"it must draw an array of shape {shape}"
                fail(f"{name}'s result", given, rule, "use the shape that it is called with")
            value = change(value)
            return value.astype(self.param_dtype) if narrow else value

        if isinstance(value, nnx.VariableMetadata):  # of nnx.with_partitioning and its like
            return dataclasses.replace(value, raw_value=stored(value.raw_value))
        # linen's boxes are trees of one array
        return jax.tree.map(stored, value, is_leaf=lambda leaf: leaf is None)

    def _input(self, inputs: Any, channels: int | None = None) -> jax.Array:
        """Read the input; with no number of channels, its own."""
        inputs, rank = as_array("inputs", inputs), len(self.kernel_size)
        count = inputs.shape[-1] if channels is None and inputs.ndim else channels or 1
        check_input("inputs", inputs.shape, rank, ("in_features", count), last=True)
        return inputs

    def _promoted(self, *arrays: Any) -> Any:
        """The arrays in one dtype."""
        return self.promote_dtype(arrays, dtype=self.dtype)

    def _compute(self, inputs: Any, kernel: Any, bias: Any, output_size: Any = None) -> jax.Array:
        """Apply the layer to an input with its parameters."""
        inputs, kernel, bias = widened(inputs, kernel, bias)
        arrays = self._promoted(inputs, kernel if self.mask is None else kernel * self.mask, bias)
        if self.original:
            check_no_size(output_size, "Flax")
            arguments = {name: getattr(self, name) for name in (*FLAX_NAMES, "transpose_kernel")}
            return flax_conv_transpose(*arrays, **arguments)
        operation = tconvjax.conv_transpose if self.transposed else tconvjax.conv
        with renamed(x="inputs", y="inputs", w="kernel", groups="feature_group_count"):
            return operation(
                *arrays,
                dimension_numbers=last_specs(len(self.kernel_size)),
                precision=self.precision,
                preferred_element_type=self.preferred_element_type,
                **self._geometry(output_size),
            )
