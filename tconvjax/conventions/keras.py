"""Keras: ``keras.ops.conv_transpose`` and the layers that use it."""

from __future__ import annotations

from typing import Any

from jax.typing import ArrayLike

from tconvjax.arguments import Ints, choice
from tconvjax.conventions.base import PLAIN, Call, Framework, Reader, by_concept, cannot
from tconvjax.conventions.layer import Crop, Layer, cut


def _read(reader: Reader) -> Layer:
    axes = reader.steps()
    padding = choice("padding", reader.padding("valid"), ("valid", "same"), any_case=True)
    extra: tuple[int | None, ...] = (None,) * len(axes)
    if reader.value("output_padding") is not None:
        extra = reader.ints("output_padding", 0)
    columns = zip(axes, extra, strict=True)
    return Layer(cut(axes, [_ends(*column, padding) for column in columns]))


def _ends(axis: Crop, extra: int | None, padding: str) -> tuple[int, int]:
    """The (low, high) elements cut off, for the sizes that `keras_conv_transpose` lists."""
    span, stride = axis.span, axis.stride
    if padding == "valid":
        return 0, -(max(span, stride) - span if extra is None else extra)
    around = stride + span - 2 if extra is None else span + span % 2 - 2 + extra
    low = min(around // 2 + around % 2, span - 1)
    return span - 1 - low, span - 1 - (around - low)


def _write(layer: Layer, _: tuple[int, ...] | None) -> dict[str, Any]:
    if max(layer.each("stride")) > 1 and max(layer.each("dilation")) > 1:
        why = "its layers refuse a stride with a dilation"
        remedy = "use keras.ops.conv_transpose, or tconvjax"
        cannot("Keras", "dilation_rate", layer.each("dilation"), why, remedy)
    for padding in ("valid", "same"):
        if all(_ends(axis, None, padding) == (axis.low, axis.high) for axis in layer.axes):
            return {"padding": padding, "output_padding": None}
        extra = tuple(
            next((n for n in range(axis.stride) if _ends(axis, n, padding) == ends), None)
            for axis, ends in zip(layer.axes, layer.crops, strict=True)
        )
        if None not in extra:
            return {"padding": padding, "output_padding": extra}
    why = "it has 'valid' and 'same' with an output_padding below the stride"
    remedy = "use padding='valid' and crop the result with keras.layers.Cropping1D, 2D or 3D"
    return cannot("Keras", "padding", layer.crops, why, remedy)


KERAS = Framework(
    name="keras",
    title="Keras",
    call="keras.layers.Conv1DTranspose, Conv2DTranspose, Conv3DTranspose; keras.ops.conv_transpose",
    names=by_concept(
        "kernel_size padding output_padding",
        stride="strides",
        dilation="dilation_rate",
        bias="use_bias",
        out_channels="filters",
    ),
    data="(N, *size, C); with data_format='channels_first' (N, C, *size)",
    read=_read,
    write=_write,
    lacks=PLAIN,
    extras=("data_format",),
)


def keras_conv_transpose(
    inputs: ArrayLike,
    kernel: ArrayLike,
    strides: Ints = 1,
    padding: str = "valid",
    output_padding: Ints | None = None,
    data_format: str | None = None,
    dilation_rate: Ints = 1,
) -> Any:
    """``keras.ops.conv_transpose``, as it computes with JAX underneath.

    size = stride * (n - 1) + max(span, stride) for "valid", stride * n for "same"

    Args:
        inputs: (N, *size, C), or (N, C, *size) with ``data_format="channels_first"``.
        kernel: (*k, M, C), the forward convolution's.
        strides: an int or one per axis.
        padding: "valid" or "same".
        output_padding: None for the sizes above. A number a gives stride * (n - 1) + span + a with
            "valid", and stride * (n - 1) + span % 2 + a with "same".
        data_format: "channels_last", the default, or "channels_first".
        dilation_rate: an int or one per axis.

    Returns:
        The result, laid out as the inputs.

    Raises:
        GeometryError: if the arguments do not fit together.

    Examples:
        >>> import jax.numpy as jnp
        >>> y, w = jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 5, 2))
        >>> keras_conv_transpose(y, w, strides=2, padding="same").shape
        (1, 8, 8, 5)
        >>> keras_conv_transpose(y, w, strides=2, padding="same", output_padding=0).shape
        (1, 7, 7, 5)
    """
    formats = ("channels_last", "channels_first")
    last = data_format is None or choice("data_format", data_format, formats) == formats[0]
    call = Call.of(KERAS, {"inputs": inputs, "kernel": kernel, "bias": None}, last=last)
    return call.run(
        strides=strides,
        padding=padding,
        output_padding=output_padding,
        dilation_rate=dilation_rate,
    )
