"""Haiku: the arguments of ``haiku.ConvNDTranspose``, as one function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax.typing import ArrayLike

from tconvjax.arguments import Ints, choice
from tconvjax.conventions.base import PLAIN, Call, Framework, Reader, by_concept, masked
from tconvjax.conventions.lax import padded
from tconvjax.conventions.layer import Layer, cut, forward_crop
from tconvjax.errors import fail
from tconvjax.layouts import Precision


def _read(reader: Reader) -> Layer:
    axes = reader.steps()
    padding = reader.padding("SAME")
    if reader.value("output_size") is None:
        return Layer(padded(axes, padding))
    if not isinstance(padding, str) or padding not in ("SAME", "VALID"):
        rule = "with output_shape it must be 'SAME' or 'VALID'"
        fail("padding", padding, rule, "leave output_shape out, or use a name")
    sizes = reader.ints("output_size", 1)
    columns = zip(axes, reader.sizes("output_shape"), sizes, strict=True)
    return Layer(cut(axes, [forward_crop(*column, padding) for column in columns]))


HAIKU = Framework(
    name="haiku",
    title="Haiku",
    call="haiku.ConvNDTranspose",
    names=by_concept(
        "stride padding",
        kernel_size="kernel_shape",
        output_size="output_shape",
        rank="num_spatial_dims",
        bias="with_bias",
        out_channels="output_channels",
    ),
    data="(N, *size, C) or (*size, C); with data_format='channels_first' (N, C, *size)",
    read=_read,
    write=lambda layer, _: {"padding": layer.each("around_dilated")},
    lacks={**PLAIN, "dilation": "its ConvNDTranspose has none"},
    extras=("data_format",),
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
        stride: an int or one per axis.
        output_shape: the spatial sizes of the result, with "SAME" or "VALID"; None for those that
            the padding gives.
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
    formats = ("channels_last", "N...C", "channels_first", "NC...")
    last = choice("data_format", data_format, formats) in formats[:2]
    arrays = {"inputs": inputs, "w": masked("w", w, mask), "b": b}
    call = Call.of(HAIKU, arrays, batch=(0, 1), last=last)
    return call.run(precision, stride=stride, output_shape=output_shape, padding=padding)
