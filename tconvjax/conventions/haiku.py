"""Haiku: the arguments of ``haiku.ConvNDTranspose``, as one function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax.typing import ArrayLike

from tconvjax.arguments import Ints
from tconvjax.conventions.calling import Call
from tconvjax.conventions.cropping import cut, forward_crop
from tconvjax.conventions.lax import padded
from tconvjax.conventions.layer import (
    Framework,
    Layer,
    Reader,
    check_name,
    unsaid,
    without_circles,
    without_groups,
)
from tconvjax.errors import array_of, fail
from tconvjax.layouts import Precision
from tconvjax.operands import arrays

DATA_FORMATS = {"channels_last": True, "N...C": True, "channels_first": False, "NC...": False}
"""Haiku's names of the two layouts, and whether channels come last."""


def read(reader: Reader) -> Layer:
    """What `haiku_conv_transpose`'s arguments come to."""
    axes = reader.steps()
    padding = reader.padding("SAME")
    if reader.value("output_size") is None:
        return Layer(padded(axes, padding))
    if not isinstance(padding, str) or padding not in ("SAME", "VALID"):
        fail(
            "padding",
            padding,
            "with output_shape it must be 'SAME' or 'VALID'",
            "leave output_shape out, or use a name",
        )
    wanted = reader.ints("output_size", 1)
    data = reader.sizes("output_shape")
    columns = zip(axes, data, wanted, strict=True)
    return Layer(cut(axes, [forward_crop(*column, padding, "output_shape") for column in columns]))


def write(layer: Layer, data_size: tuple[int, ...] | None) -> dict[str, Any]:
    """A layer in the arguments of ``haiku.ConvNDTranspose``."""
    del data_size
    without_groups("Haiku", layer)
    without_circles("Haiku", layer)
    if set(layer.each("dilation")) != {1}:
        unsaid(
            "Haiku",
            "dilation",
            layer.each("dilation"),
            "its ConvNDTranspose has none",
            "use tconvjax, or a larger kernel with zeros in it",
        )
    return {
        "num_spatial_dims": layer.rank,
        "kernel_shape": layer.each("kernel_size"),
        "stride": layer.each("stride"),
        "padding": layer.each("around_dilated"),
    }


HAIKU = Framework(
    name="haiku",
    call="haiku.ConvNDTranspose",
    names={
        "kernel_size": "kernel_shape",
        "stride": "stride",
        "padding": "padding",
        "output_size": "output_shape",
        "rank": "num_spatial_dims",
        "bias": "with_bias",
        "out_channels": "output_channels",
    },
    data="(N, *size, C) or (*size, C); with data_format='channels_first' (N, C, *size)",
    padding="names: of the forward convolution; (low, high) pairs: added around the dilated input",
    read=read,
    write=write,
)


def haiku_conv_transpose(
    inputs: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    stride: Ints = 1,
    output_shape: Ints | None = None,
    padding: str | Sequence[tuple[int, int]] = "SAME",
    data_format: str = "channels_last",
    mask: ArrayLike | None = None,
    *,
    precision: Precision = None,
) -> Any:
    """What ``haiku.ConvNDTranspose``, ``Conv1DTranspose``, ``2D`` and ``3D`` compute.

    size = stride * (n - 1) + 1 + low + high - (k - 1)

    Args:
        inputs: (N, *size, C) or (*size, C); channels first if ``data_format`` says so.
        w: (*k, M, C), its taps in the order of a convolution of the dilated input.
        b: (M,), or (M, 1, ...) as Haiku keeps it with channels first; None for none.
        stride: an int or one an axis.
        output_shape: the wanted spatial sizes, with "SAME" or "VALID"; None for those that the
            padding gives.
        padding: "SAME" for stride * n elements, "VALID" for stride * n + max(k - stride, 0), or
            (low, high) pairs, added around the dilated input.
        data_format: "channels_last" or "N...C", "channels_first" or "NC...".
        mask: of w's shape; w is multiplied with it.
        precision: as in ``jax.lax``.

    Returns:
        The result, laid out as the input.

    Raises:
        GeometryError: if the arguments do not fit together.

    Examples:
        >>> import jax.numpy as jnp
        >>> y, w = jnp.ones((4, 4, 2)), jnp.ones((3, 3, 5, 2))
        >>> haiku_conv_transpose(y, w, stride=2, output_shape=7).shape
        (7, 7, 5)
    """
    check_name("data_format", data_format, DATA_FORMATS)
    if mask is not None:
        kernel, m = arrays(w=w, mask=mask)
        if m.shape != kernel.shape:
            fail(
                "mask",
                array_of(m.shape),
                f"w has shape {kernel.shape}",
                "give a mask of the same shape",
            )
        w = kernel * m.astype(kernel.dtype)
    call = Call.of(
        HAIKU, {"inputs": inputs, "w": w, "b": b}, batch=(0, 1), last=DATA_FORMATS[data_format]
    )
    return call.run({"stride": stride, "output_shape": output_shape, "padding": padding}, precision)
