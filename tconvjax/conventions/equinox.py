"""Equinox: the arguments of ``equinox.nn.ConvTranspose``, as one function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax.typing import ArrayLike

from tconvjax.arguments import Ints, choice
from tconvjax.conventions.base import Call, Framework, Reader, by_concept, cannot
from tconvjax.conventions.layer import Crop, Layer, circular, cut, pairs, shared
from tconvjax.errors import fail


def _read(reader: Reader) -> Layer:
    axes, groups, padding = reader.steps(), reader.groups(), reader.padding(0)
    extra = reader.ints("output_padding", 0, 0)
    for axis, more in zip(axes, extra, strict=True):
        if more >= axis.stride:
            rule = f"it must be smaller than the stride ({axis.stride})"
            fail("output_padding", more, rule, f"give at most {axis.stride - 1}")
    names = ("SAME", "SAME_LOWER", "VALID")
    text = isinstance(padding, str)
    name = choice("padding", padding, names, any_case=True) if text else ""
    mode = reader.value("padding_mode", "ZEROS")
    if choice("padding_mode", mode, ("ZEROS", "CIRCULAR"), any_case=True) == "CIRCULAR":
        if any(extra) or name not in ("SAME", "SAME_LOWER"):
            rule = "Equinox has it with padding 'SAME' or 'SAME_LOWER' and without output_padding"
            fail("padding_mode", mode, rule, "use these, or tconvjax.conv_transpose")
        return circular(axes, [_same(axis, 0, name)[0] for axis in axes], groups)
    if name in ("SAME", "SAME_LOWER"):
        ends = [_same(axis, more, name) for axis, more in zip(axes, extra, strict=True)]
        return Layer(cut(axes, ends), groups)
    numbers = ((0, 0),) * len(axes) if name else pairs("padding", padding, len(axes))
    return Layer(cut(axes, numbers, extra), groups)


def _same(axis: Crop, extra: int, name: str) -> tuple[int, int]:
    """The ends for stride * n elements; an output padding cuts more, if anything is cut."""
    return shared(axis.span - axis.stride + extra, name == "SAME_LOWER")


def _write(layer: Layer, _: tuple[int, ...] | None) -> dict[str, Any]:
    if layer.mode == "zeros":
        return {"padding": layer.crops}
    for name in ("SAME", "SAME_LOWER"):
        if layer.whole and all(axis.low == _same(axis, 0, name)[0] for axis in layer.axes):
            return {"padding": name, "padding_mode": "CIRCULAR"}
    why = "its CIRCULAR starts at another element, or has another size"
    remedy = "use tconvjax.layers.equinox.ConvTranspose"
    return cannot("Equinox", "padding_mode", "circular", why, remedy)


EQUINOX = Framework(
    name="equinox",
    title="Equinox",
    call="equinox.nn.ConvTranspose",
    names=by_concept(
        "kernel_size stride padding output_padding dilation groups padding_mode in_channels "
        "out_channels",
        rank="num_spatial_dims",
        bias="use_bias",
    ),
    data="(C, *size), the batch by jax.vmap",
    read=_read,
    write=_write,
)


def equinox_conv_transpose(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: str | int | Sequence[int] | Sequence[tuple[int, int]] = 0,
    output_padding: Ints = 0,
    dilation: Ints = 1,
    groups: int = 1,
    padding_mode: str = "ZEROS",
) -> Any:
    """What ``equinox.nn.ConvTranspose``, ``1d``, ``2d`` and ``3d`` compute.

    size = stride * (n - 1) + dilation * (k - 1) + 1 - low - high + output_padding

    Args:
        x: (C, *size), without a batch axis, as in Equinox.
        weight: (M, C / groups, *k), its taps in the order of a convolution of the dilated input.
        bias: (M, 1, ...) as Equinox stores it, or (M,); None for none.
        stride: an int or one per axis.
        padding: elements cut off the result: an int, one per axis, (low, high) pairs; "VALID" for
            none; "SAME" or "SAME_LOWER" for stride * n elements.
        output_padding: elements given back after the last, fewer than the stride; with "SAME" it
            shortens the result, as in Equinox.
        dilation: an int or one per axis.
        groups: blocks of channels.
        padding_mode: "ZEROS", or "CIRCULAR" with "SAME" or "SAME_LOWER".

    Returns:
        (M, *size).

    Raises:
        GeometryError: if Equinox would refuse the arguments.

    Examples:
        >>> import jax.numpy as jnp
        >>> y, w = jnp.ones((2, 5)), jnp.ones((3, 2, 4))
        >>> equinox_conv_transpose(y, w, stride=2, padding=1).shape
        (3, 10)
    """
    call = Call.of(EQUINOX, {"x": x, "weight": weight, "bias": bias}, batch=(0,))
    return call.run(
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
    )
