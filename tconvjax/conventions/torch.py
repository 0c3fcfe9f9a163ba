"""PyTorch: one number for both ends, an output padding, and ``groups`` before ``dilation``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax.typing import ArrayLike

from tconvjax.arguments import Ints, frozen, ints
from tconvjax.conventions.base import Call, Framework, Reader, by_concept, cannot
from tconvjax.conventions.layer import Layer, check_extra, cut
from tconvjax.errors import fail


def _read(reader: Reader) -> Layer:
    axes, padding = reader.steps(), reader.ints("padding", 0, 0)
    extra = reader.ints("output_padding", 0, 0)
    mode = reader.value("padding_mode", "zeros")
    if mode != "zeros":
        remedy = "use 'zeros', or tconvjax.conv_transpose(padding_mode=...)"
        fail("padding_mode", mode, "PyTorch transposes zero padding only", remedy)
    size = reader.value("output_size")
    if size is not None:
        data, sizes = reader.sizes("output_size"), frozen("output_size", size)
        if isinstance(sizes, tuple) and len(sizes) in (reader.rank + 1, reader.rank + 2):
            sizes = sizes[-reader.rank :]  # PyTorch takes a whole shape too
        sizes = ints("output_size", sizes, reader.rank, 0)
        least = [axis.size(n) - 2 * p for axis, n, p in zip(axes, data, padding, strict=True)]
        for low, axis, n in zip(least, axes, sizes, strict=True):
            if not low <= n < low + axis.stride:
                rule = f"from an input of {data} an axis has {low} to {low + axis.stride - 1} "
                fail("output_size", size, f"{rule}elements", "give a size of this range")
        extra = tuple(n - low for n, low in zip(sizes, least, strict=True))
    check_extra(axes, extra)
    return Layer(cut(axes, [(p, p) for p in padding], extra), reader.groups())


def _write(layer: Layer, _: tuple[int, ...] | None) -> dict[str, Any]:
    for axis in layer.axes:
        room = max(axis.stride, axis.dilation)
        if axis.low < 0 or not 0 <= axis.low - axis.high < room:
            why = "it cuts one number off both ends, and its output_padding gives some of the last "
            why += "elements back, fewer than the stride or the dilation"
            remedy = "use padding=0 there and crop or pad the result"
            cannot("PyTorch", "padding", (axis.low, axis.high), why, remedy)
    extra = tuple(axis.low - axis.high for axis in layer.axes)
    return {"padding": layer.each("low"), "output_padding": extra}


TORCH = Framework(
    name="torch",
    title="PyTorch",
    call="torch.nn.ConvTranspose1d, ConvTranspose2d, ConvTranspose3d",
    names=by_concept(
        "kernel_size stride padding output_padding output_size dilation groups padding_mode bias "
        "in_channels out_channels"
    ),
    data="(N, C, *size) or (C, *size)",
    read=_read,
    write=_write,
    lacks={"padding_mode": "it transposes zero padding only"},
)


def torch_conv_transpose(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Ints = 1,
    padding: Ints = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
    *,
    output_size: Sequence[int] | None = None,
) -> Any:
    """``torch.nn.functional.conv_transpose1d``, ``2d`` and ``3d``, by the weight's rank.

    size = stride * (n - 1) + dilation * (k - 1) + 1 - 2 * padding + output_padding

    Args:
        input: (N, C, *size) or (C, *size).
        weight: (C, M / groups, *k), as PyTorch saves it.
        bias: (M,) or None.
        stride: result elements between neighbouring stamps: an int or one per axis.
        padding: elements cut off both ends of each axis, not negative.
        output_padding: elements given back after the last, fewer than the stride or the dilation.
        groups: blocks of channels. It comes before dilation, as in PyTorch.
        dilation: result elements between neighbouring taps.
        output_size: the spatial sizes (or the whole shape) of the result, instead of
            output_padding; PyTorch takes it in the module's ``forward``.

    Returns:
        (N, M, *size) or (M, *size).

    Raises:
        GeometryError: if PyTorch would refuse the arguments.

    Examples:
        >>> import jax.numpy as jnp
        >>> y, w = jnp.ones((1, 4, 5)), jnp.ones((4, 2, 3))
        >>> torch_conv_transpose(y, w, None, 2, 1, 1, 2).shape  # groups=2
        (1, 4, 10)
        >>> torch_conv_transpose(y, w, stride=2, padding=1, output_size=[10]).shape
        (1, 2, 10)
    """
    call = Call.of(TORCH, {"input": input, "weight": weight, "bias": bias}, batch=(0, 1))
    return call.run(
        least=1,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        groups=groups,
        dilation=dilation,
        output_size=output_size,
    )
