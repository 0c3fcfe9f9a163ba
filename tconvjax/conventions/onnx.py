"""ONNX: ConvTranspose of operator set 22, whose pads are cut off the result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax.typing import ArrayLike

from tconvjax.arguments import choice, frozen, ints
from tconvjax.conventions.base import Call, Framework, Reader, by_concept, cannot
from tconvjax.conventions.layer import Layer, check_extra, cut, shared
from tconvjax.errors import fail


def _read(reader: Reader) -> Layer:
    axes, groups, pads = reader.steps(), reader.groups(), reader.value("padding")
    extra = reader.ints("output_padding", 0, 0)
    check_extra(axes, extra)
    names = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")
    auto = choice("auto_pad", reader.value("auto", "NOTSET"), names)
    if auto != "NOTSET" and pads is not None:
        fail("pads", pads, f"auto_pad={auto!r} fixes them already", "give one of the two")
    if reader.value("output_size") is not None:
        sizes, data = reader.ints("output_size", 0), reader.sizes("output_shape")
        totals = [a.size(n) + e - w for a, n, e, w in zip(axes, data, extra, sizes, strict=True)]
    elif auto in ("SAME_UPPER", "SAME_LOWER"):
        totals = [axis.span - axis.stride + e for axis, e in zip(axes, extra, strict=True)]
    else:
        pads = frozen("pads", (0,) * (2 * reader.rank) if pads is None else pads)
        if not isinstance(pads, tuple) or len(pads) != 2 * reader.rank:
            rule = "it must be the beginnings of all axes, then their ends"
            fail("pads", pads, rule, f"give {2 * reader.rank} ints")
        pads = ints("pads", pads, len(pads), 0)
        columns = zip(pads[: reader.rank], pads[reader.rank :], strict=True)
        return Layer(cut(axes, columns, extra), groups)
    ends = [shared(total, auto != "SAME_UPPER") for total in totals]
    return Layer(cut(axes, ends, extra), groups)


def _write(layer: Layer, _: tuple[int, ...] | None) -> dict[str, Any]:
    for axis in layer.axes:
        if axis.low < 0 or -axis.high >= max(axis.stride, axis.dilation):
            why = "pads are not negative, and output_padding is smaller than the stride or than "
            ends = (axis.low, axis.high)
            cannot("ONNX", "pads", ends, why + "the dilation", "put a Pad node behind it")
    return {
        "pads": (*layer.each("low"), *(max(high, 0) for high in layer.each("high"))),
        "output_padding": tuple(max(-high, 0) for high in layer.each("high")),
    }


ONNX = Framework(
    name="onnx",
    title="ONNX",
    call="ConvTranspose (operator set 22)",
    names=by_concept(
        "output_padding",
        kernel_size="kernel_shape",
        stride="strides",
        padding="pads",
        auto="auto_pad",
        output_size="output_shape",
        dilation="dilations",
        groups="group",
    ),
    data="(N, C, *size)",
    read=_read,
    write=_write,
    lacks={"padding_mode": "its ConvTranspose has no padding mode"},
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
        dilations: result elements between neighbouring taps; 1 by default.
        group: blocks of channels.
        kernel_shape: the number of taps along each axis; it can only be that of W.
        output_padding: elements given back after the last, fewer than the stride or the dilation.
        output_shape: the spatial sizes of the result; pads are then computed, and the argument
            ``pads`` is ignored. A larger shape than the natural one gets zeros after the last
            element.
        pads: elements cut off: the beginnings of all axes, then their ends.
        strides: result elements between neighbouring stamps; 1 by default.

    Returns:
        Y (N, M, *size).

    Raises:
        GeometryError: if ONNX does not allow the attributes.

    Examples:
        >>> import jax.numpy as jnp
        >>> y, w = jnp.ones((1, 2, 5)), jnp.ones((2, 3, 4))
        >>> onnx_conv_transpose(y, w, strides=[2], pads=[1, 1]).shape
        (1, 3, 10)

    Where the specification is silent, this follows ONNX Runtime 1.32. But ``auto_pad="SAME_..."``
    gives stride * n elements even if the kernel is shorter than the stride, as the specification
    demands and ONNX Runtime does not.
    """
    call = Call.of(ONNX, {"X": X, "W": W, "B": B})
    if kernel_shape is not None and frozen("kernel_shape", kernel_shape) != call.kernel_size:
        fail("kernel_shape", kernel_shape, f"W has {call.kernel_size} taps", "leave it out")
    return call.run(
        auto_pad=auto_pad,
        dilations=dilations,
        group=group,
        output_padding=output_padding,
        output_shape=output_shape,
        pads=None if output_shape is not None else pads,
        strides=strides,
    )
