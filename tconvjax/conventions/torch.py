"""PyTorch: one number for both ends, an output padding, and groups before dilation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax.typing import ArrayLike

from tconvjax.arguments import Ints, frozen, ints
from tconvjax.conventions.calling import Call, groups_of
from tconvjax.conventions.cropping import checked_extra, cut
from tconvjax.conventions.layer import Crop, Framework, Layer, Reader, unsaid
from tconvjax.errors import fail


def read(reader: Reader) -> Layer:
    """What `torch_conv_transpose`'s arguments come to."""
    axes = reader.steps()
    padding = reader.ints("padding", 0, 0)
    extra = reader.ints("output_padding", 0, 0)
    if reader.value("mode", "zeros") != "zeros":
        fail(
            reader.names["mode"],
            reader.value("mode"),
            "PyTorch transposes zero padding only",
            "use 'zeros', or tconvjax.conv_transpose(padding_mode=...)",
        )
    wanted = reader.value("output_size")
    if wanted is not None:
        extra = _chosen(reader, axes, padding, wanted)
    checked_extra(axes, extra)
    ends = [(p, p - more) for p, more in zip(padding, extra, strict=True)]
    groups = groups_of("groups", reader.value("groups", 1))
    return Layer(cut(axes, ends), groups)


def _chosen(
    reader: Reader, axes: list[Crop], padding: tuple[int, ...], wanted: Any
) -> tuple[int, ...]:
    """The output padding that gives a wanted size."""
    data = reader.sizes("output_size")
    sizes = frozen("output_size", wanted)
    if isinstance(sizes, tuple) and len(sizes) in (reader.rank + 1, reader.rank + 2):
        sizes = sizes[-reader.rank :]  # PyTorch takes a whole shape too
    sizes = ints("output_size", sizes, reader.rank, 0)
    least = [axis.size(n) - 2 * p for axis, n, p in zip(axes, data, padding, strict=True)]
    for low, axis, size in zip(least, axes, sizes, strict=True):
        if not low <= size < low + axis.stride:
            fail(
                "output_size",
                wanted,
                f"from an input of {data} an axis has {low} to {low + axis.stride - 1} elements",
                "give a size of this range",
            )
    return tuple(size - low for size, low in zip(sizes, least, strict=True))


def write(layer: Layer, data_size: tuple[int, ...] | None) -> dict[str, Any]:
    """A layer in PyTorch's arguments."""
    del data_size
    padding, extra = [], []
    for axis in layer.axes:
        more = axis.low - axis.high
        if axis.low < 0 or not 0 <= more < max(axis.stride, axis.dilation, 1):
            unsaid(
                "PyTorch",
                "padding",
                (axis.low, axis.high),
                "it cuts one number off both ends "
                "and its output_padding gives some of the last back, fewer than the stride or "
                "the dilation",
                "use padding=0 there and crop or pad the result",
            )
        padding.append(axis.low)
        extra.append(more)
    if layer.mode != "zeros":
        unsaid(
            "PyTorch",
            "padding_mode",
            layer.mode,
            "it transposes zero padding only",
            "use tconvjax.conv_transpose, or pad and fold by hand",
        )
    return {
        "kernel_size": layer.each("kernel_size"),
        "stride": layer.each("stride"),
        "padding": tuple(padding),
        "output_padding": tuple(extra),
        "groups": layer.groups,
        "dilation": layer.each("dilation"),
    }


TORCH = Framework(
    name="torch",
    call="torch.nn.ConvTranspose1d, 2d, 3d",
    names={
        "kernel_size": "kernel_size",
        "stride": "stride",
        "padding": "padding",
        "output_padding": "output_padding",
        "output_size": "output_size",
        "dilation": "dilation",
        "groups": "groups",
        "mode": "padding_mode",
        "bias": "bias",
        "in_channels": "in_channels",
        "out_channels": "out_channels",
    },
    data="(N, C, *size) or (C, *size)",
    padding="cut off both ends of the result: an int, or one an axis, not negative",
    read=read,
    write=write,
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
        stride: result elements between neighbouring stamps: an int or one an axis.
        padding: elements cut off both ends of each axis, not negative.
        output_padding: elements given back after the last, fewer than the stride or the dilation.
        groups: blocks of channels. It comes before dilation, as in PyTorch.
        dilation: result elements between neighbouring taps.
        output_size: the wanted spatial sizes (or whole shape) in place of output_padding, which
            PyTorch takes in the module's ``forward``.

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
    arrays = {"input": input, "weight": weight, "bias": bias}
    call = Call.of(TORCH, arrays, batch=(0, 1))
    return call.run(
        {
            "stride": stride,
            "padding": padding,
            "output_padding": output_padding,
            "groups": groups,
            "dilation": dilation,
            "output_size": output_size,
        },
        least=1,
    )
