"""tconvjax's own arguments, read and written like those of any other framework."""

from __future__ import annotations

from typing import Any

from tconvjax.arguments import choice
from tconvjax.conventions.base import Framework, Reader
from tconvjax.conventions.layer import Layer, cut, pairs
from tconvjax.geometry import Geometry


def read(reader: Reader) -> Layer:
    """Read the arguments of `tconvjax.conv_transpose`."""
    axes, groups = reader.steps(), reader.groups()
    mode: Any = choice("padding_mode", reader.value("padding_mode", "zeros"), ("zeros", "circular"))
    padding, size = reader.value("padding", 0), reader.value("output_size")
    extra = reader.ints("output_padding", 0, 0)
    if not isinstance(padding, str) and mode == "zeros" and size is None:
        return Layer(cut(axes, pairs("padding", padding, len(axes)), extra), groups)
    # With these names the ends are the same for every input size, so any size serves. A wanted
    # size and a period fix the ends for one input size only.
    always = size is None and mode == "zeros" and padding in ("SAME", "VALID", "CAUSAL")
    known = (8,) * len(axes) if always else None
    data = reader.data_size or known or reader.sizes(f"padding={padding!r}")
    geometry = Geometry.of_conv_transpose(
        (groups, *data),
        (groups, 1, *(axis.kernel_size for axis in axes)),
        stride=reader.ints("stride", 1),
        dilation=reader.ints("dilation", 1),
        groups=groups,
        padding=padding,
        output_padding=extra,
        output_size=size,
        padding_mode=mode,
    )
    ends = [
        (forward.low, axis.size(n) - forward.low - forward.in_size)
        for axis, forward, n in zip(axes, geometry.axes, data, strict=True)
    ]
    return Layer(cut(axes, ends), groups, mode)


def write(layer: Layer, _: tuple[int, ...] | None) -> dict[str, Any]:
    """The padding of a layer in the arguments of `tconvjax.conv_transpose`."""
    return {"padding": layer.crops, "padding_mode": layer.mode}


TCONVJAX = Framework(
    name="tconvjax",
    title="tconvjax",
    call="tconvjax.conv_transpose",
    names={
        "kernel_size": "kernel_size",
        "stride": "stride",
        "padding": "padding",
        "output_padding": "output_padding",
        "output_size": "output_size",
        "dilation": "dilation",
        "groups": "groups",
        "padding_mode": "padding_mode",
    },
    data="(N, C, *size), or as dimension_numbers says",
    read=read,
    write=write,
    lacks={"kernel_size": ""},
)
