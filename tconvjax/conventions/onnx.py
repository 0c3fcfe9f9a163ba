"""ONNX: ConvTranspose of operator set 22, whose pads are cut off the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax.typing import ArrayLike

from tconvjax.arguments import frozen, ints
from tconvjax.conventions.calling import Call, groups_of
from tconvjax.conventions.cropping import checked_extra, cut
from tconvjax.conventions.layer import Framework, Layer, Reader, check_name, unsaid
from tconvjax.errors import fail

AUTO_PADS = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


def read(reader: Reader) -> Layer:
    """What `onnx_conv_transpose`'s attributes come to."""
    axes = reader.steps()
    extra = checked_extra(axes, reader.ints("output_padding", 0, 0))
    groups = groups_of("group", reader.value("groups", 1))
    auto = reader.value("auto", "NOTSET")
    check_name("auto_pad", auto, AUTO_PADS)
    if auto != "NOTSET" and reader.value("padding") is not None:
        fail(
            "pads",
            reader.value("padding"),
            f"auto_pad={auto!r} says them already",
            "give one of the two",
        )
    wanted = reader.value("output_size")
    if wanted is not None:
        sizes = reader.ints("output_size", 0)
        data = reader.sizes("output_shape")
        totals = [a.size(n) + e - w for a, n, e, w in zip(axes, data, extra, sizes, strict=True)]
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        totals = [axis.span - axis.stride + e for axis, e in zip(axes, extra, strict=True)]
    else:
        low, high = _pads(reader)
        ends = [(lo, hi - e) for lo, hi, e in zip(low, high, extra, strict=True)]
        return Layer(cut(axes, ends), groups)
    ends = [_shared(total, e, auto) for total, e in zip(totals, extra, strict=True)]
    return Layer(cut(axes, ends), groups)


def _pads(reader: Reader) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """All the beginnings, then all the ends."""
    pads = frozen("pads", reader.value("padding", (0,) * (2 * reader.rank)))
    pads = ints("pads", pads, 2 * reader.rank, 0) if isinstance(pads, tuple) else pads
    if not isinstance(pads, tuple):
        fail(
            "pads",
            pads,
            "it must be the beginnings of all axes, then their ends",
            f"give {2 * reader.rank} ints",
        )
    return pads[: reader.rank], pads[reader.rank :]


def _shared(total: int, extra: int, auto: str) -> tuple[int, int]:
    """The two ends of a total: SAME_UPPER cuts the odd element off the end, all else off the start.

    ONNX does not say how a negative total is shared. ONNX Runtime 1.32 adds all of it after the
    last element, and so does this.
    """
    if total < 0:
        return 0, total - extra
    half = total // 2 if auto == "SAME_UPPER" else total - total // 2
    return half, total - half - extra


def write(layer: Layer, data_size: tuple[int, ...] | None) -> dict[str, Any]:
    """A layer in ONNX's attributes."""
    del data_size
    if layer.mode != "zeros":
        unsaid(
            "ONNX",
            "padding_mode",
            layer.mode,
            "its ConvTranspose has none",
            "fold the rim of the result with further nodes",
        )
    for axis in layer.axes:
        if axis.low < 0 or -axis.high >= max(axis.stride, axis.dilation):
            unsaid(
                "ONNX",
                "pads",
                (axis.low, axis.high),
                "pads are not negative, and "
                "output_padding is smaller than the stride or than the dilation",
                "put a Pad node behind it",
            )
    return {
        "kernel_shape": layer.each("kernel_size"),
        "strides": layer.each("stride"),
        "pads": (*layer.each("low"), *(max(high, 0) for high in layer.each("high"))),
        "output_padding": tuple(max(-high, 0) for high in layer.each("high")),
        "group": layer.groups,
        "dilations": layer.each("dilation"),
    }


ONNX = Framework(
    name="onnx",
    call="ConvTranspose (operator set 22)",
    names={
        "kernel_size": "kernel_shape",
        "stride": "strides",
        "padding": "pads",
        "auto": "auto_pad",
        "output_padding": "output_padding",
        "output_size": "output_shape",
        "dilation": "dilations",
        "groups": "group",
    },
    data="(N, C, *size)",
    padding="cut off the result: all beginnings, then all ends, not negative",
    read=read,
    write=write,
)


def onnx_conv_transpose(
    X: ArrayLike,
    W: ArrayLike,
    B: ArrayLike | None = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Sequence[int] | None = None,
    group: int = 1,
    kernel_shape: Sequence[int] | None = None,
    output_padding: Sequence[int] | None = None,
    output_shape: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    strides: Sequence[int] | None = None,
) -> Any:
    """ONNX's ConvTranspose, operator set 22.

    size = stride * (n - 1) + output_padding + dilation * (k - 1) + 1 - begin - end

    Args:
        X: (N, C, *size).
        W: (C, M / group, *k).
        B: (M,) or None.
        auto_pad: "NOTSET", "VALID", or "SAME_UPPER", "SAME_LOWER" for stride * n elements, the odd
            element cut off the end or off the beginning.
        dilations: result elements between neighbouring taps; 1 without.
        group: blocks of channels.
        kernel_shape: the taps of W, which tells them itself.
        output_padding: elements given back after the last, fewer than the stride or the dilation.
        output_shape: the wanted spatial sizes; pads are then computed, and those given not looked
            at. A shape beyond the natural one is filled up after the last element.
        pads: elements cut off: the beginnings of all axes, then their ends.
        strides: result elements between neighbouring stamps; 1 without.

    Returns:
        Y (N, M, *size).

    Raises:
        GeometryError: if ONNX does not allow the attributes.

    Examples:
        >>> import jax.numpy as jnp
        >>> y, w = jnp.ones((1, 2, 5)), jnp.ones((2, 3, 4))
        >>> onnx_conv_transpose(y, w, strides=[2], pads=[1, 1]).shape
        (1, 3, 10)

    What the specification leaves open follows ONNX Runtime 1.32, but ``auto_pad="SAME_..."`` gives
    stride * n elements also where the kernel is shorter than the stride, as the specification says
    and ONNX Runtime does not do.
    """
    call = Call.of(ONNX, {"X": X, "W": W, "B": B})
    if kernel_shape is not None and frozen("kernel_shape", kernel_shape) != call.kernel_size:
        fail("kernel_shape", kernel_shape, f"W has {call.kernel_size} taps", "leave it out")
    return call.run(
        {
            "auto_pad": auto_pad,
            "dilations": dilations,
            "group": group,
            "output_padding": output_padding,
            "output_shape": output_shape,
            "pads": None if output_shape is not None else pads,
            "strides": strides,
        }
    )
