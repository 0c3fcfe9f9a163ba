"""tconvjax's own arguments, read and written like those of any other framework."""

from __future__ import annotations

from typing import Any

from tconvjax.arguments import choice
from tconvjax.conventions.base import Framework, Reader, by_concept
from tconvjax.conventions.layer import Layer, cut
from tconvjax.geometry import Geometry


def _read(reader: Reader) -> Layer:
    axes, groups = reader.steps(), reader.groups()
    mode: Any = choice("padding_mode", reader.value("padding_mode", "zeros"), ("zeros", "circular"))
    padding, size = reader.value("padding", 0), reader.value("output_size")
    # Only a wanted size and a period have other ends for every input size.
    same = size is None and mode == "zeros"
    data = (10**9,) * len(axes) if same else reader.sizes(f"padding={padding!r}")
    geometry = Geometry.of_conv_transpose(
        (groups, *data),
        (groups, 1, *(axis.kernel_size for axis in axes)),
        stride=reader.ints("stride", 1),
        dilation=reader.ints("dilation", 1),
        groups=groups,
        padding=padding,
        output_padding=reader.ints("output_padding", 0, 0),
        output_size=size,
        padding_mode=mode,
    )
    ends = [
        (forward.low, axis.size(n) - forward.low - forward.in_size)
        for axis, forward, n in zip(axes, geometry.axes, data, strict=True)
    ]
    return Layer(cut(axes, ends), groups, mode)


def _write(layer: Layer, _: tuple[int, ...] | None) -> dict[str, Any]:
    return {"padding": layer.crops, "padding_mode": layer.mode}


TCONVJAX = Framework(
    name="tconvjax",
    title="tconvjax",
    call="tconvjax.conv_transpose",
    names=by_concept(
        "kernel_size stride padding output_padding output_size dilation groups padding_mode"
    ),
    data="(N, C, *size), or as dimension_numbers says",
    read=_read,
    write=_write,
    lacks={"kernel_size": ""},
)
