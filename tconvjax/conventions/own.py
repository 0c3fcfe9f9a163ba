"""tconvjax's own arguments, as one more framework."""

from __future__ import annotations

from typing import Any

from tconvjax.conventions.calling import groups_of
from tconvjax.conventions.cropping import cut, pairs
from tconvjax.conventions.layer import Framework, Layer, Reader
from tconvjax.errors import fail
from tconvjax.geometry import Geometry


def read(reader: Reader) -> Layer:
    """What `tconvjax.conv_transpose`'s arguments come to."""
    axes = reader.steps()
    groups = groups_of("groups", reader.value("groups", 1))
    mode = reader.value("mode", "zeros")
    if mode not in ("zeros", "circular"):
        fail("padding_mode", mode, "no other framework has it", "use 'zeros' or 'circular'")
    padding = reader.value("padding", 0)
    wanted = reader.value("output_size")
    if not isinstance(padding, str) and mode == "zeros" and wanted is None:
        extra = reader.ints("output_padding", 0, 0)
        numbers = pairs("padding", padding, len(axes))
        ends = [(low, high - more) for (low, high), more in zip(numbers, extra, strict=True)]
        return Layer(cut(axes, ends), groups)
    # A name or a size fixes the ends for one input only, and so does a period.
    free = wanted is None and mode == "zeros" and padding in ("SAME", "VALID", "CAUSAL")
    data = reader.data_size or ((8,) * len(axes) if free else reader.sizes(f"padding={padding!r}"))
    there = Geometry.of_conv_transpose(
        (groups, *data),
        (groups, 1, *(axis.kernel_size for axis in axes)),
        stride=reader.ints("stride", 1),
        dilation=reader.ints("dilation", 1),
        groups=groups,
        padding=padding,
        output_padding=reader.ints("output_padding", 0, 0),
        output_size=wanted,
        padding_mode=mode,
    )
    ends = [
        (there_axis.low, axis.size(n) - there_axis.low - there_axis.in_size)
        for axis, there_axis, n in zip(axes, there.axes, data, strict=True)
    ]
    return Layer(cut(axes, ends), groups, mode)


def write(layer: Layer, data_size: tuple[int, ...] | None) -> dict[str, Any]:
    """A layer in the arguments of `tconvjax.conv_transpose`."""
    del data_size
    return {
        "kernel_size": layer.each("kernel_size"),
        "stride": layer.each("stride"),
        "padding": layer.crops,
        "dilation": layer.each("dilation"),
        "groups": layer.groups,
        "padding_mode": layer.mode,
    }


TCONVJAX = Framework(
    name="tconvjax",
    call="tconvjax.conv_transpose",
    names={
        "kernel_size": "kernel_size",
        "stride": "stride",
        "padding": "padding",
        "output_padding": "output_padding",
        "output_size": "output_size",
        "dilation": "dilation",
        "groups": "groups",
        "mode": "padding_mode",
    },
    data="(N, C, *size), or as dimension_numbers says",
    padding="cut off the result: an int, one an axis, (low, high) pairs, or a name",
    read=read,
    write=write,
)
