"""What is cut off a natural result: the ways in which several frameworks say it alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tconvjax.arguments import frozen
from tconvjax.conventions.layer import Crop, Layer
from tconvjax.errors import fail


def pairs(argument: str, value: Any, rank: int, single: bool = True) -> tuple[tuple[int, int], ...]:
    """(low, high) an axis from pairs, and from single numbers where a framework takes those.

    Args:
        argument: its name, for messages.
        value: an int, one int per axis, or one (low, high) pair an axis.
        rank: the number of axes.
        single: whether a number may stand for both ends.
    """
    read = frozen(argument, value)
    entries = read if isinstance(read, tuple) else (read,) * rank
    ends = [(entry, entry) if single and isinstance(entry, int) else entry for entry in entries]
    wanted = "one (low, high) pair an axis" + (", one int per axis or one int" if single else "")
    if len(ends) != rank or not all(
        isinstance(end, tuple) and len(end) == 2 and all(isinstance(n, int) for n in end)
        for end in ends
    ):
        fail(argument, value, f"it must be {wanted}", f"give {((1, 2),) * rank}, say")
    return tuple(ends)


def cut(axes: Sequence[Crop], ends: Sequence[tuple[int, int]]) -> tuple[Crop, ...]:
    """The axes, with so many elements cut off."""
    return tuple(
        Crop(axis.kernel_size, axis.stride, axis.dilation, low, high)
        for axis, (low, high) in zip(axes, ends, strict=True)
    )


def cut_around_dilated(axes: Sequence[Crop], ends: Sequence[tuple[int, int]]) -> tuple[Crop, ...]:
    """The axes, where a framework says what is padded around the dilated input."""
    return cut(
        axes,
        [
            (axis.span - 1 - low, axis.span - 1 - high)
            for axis, (low, high) in zip(axes, ends, strict=True)
        ],
    )


def circular(axes: Sequence[Crop], lows: Sequence[int]) -> Layer:
    """The layer of stride * n elements that starts at ``lows`` of the natural result."""
    ends = [(low, axis.span - axis.stride - low) for axis, low in zip(axes, lows, strict=True)]
    return Layer(cut(axes, ends), mode="circular")


def checked_extra(axes: list[Crop], extra: tuple[int, ...]) -> tuple[int, ...]:
    """An output padding by PyTorch's rule, which is ONNX's too."""
    for axis, more in zip(axes, extra, strict=True):
        room = max(axis.stride, axis.dilation)
        if more >= room:
            fail(
                "output_padding",
                more,
                f"it must be smaller than the stride ({axis.stride}) or "
                f"than the dilation ({axis.dilation})",
                f"give at most {room - 1}",
            )
    return extra


def forward_crop(axis: Crop, n: int, wanted: int, name: str, argument: str) -> tuple[int, int]:
    """The ends of a result of ``wanted`` elements, whose convolution with SAME or VALID gives n.

    Args:
        axis: nothing cut off yet.
        n: elements of the layer's input.
        wanted: elements of its result.
        name: "SAME" or "VALID", of the forward convolution.
        argument: that asks for them, for messages.
    """
    total = axis.size(n) - wanted
    gives = (
        -(-wanted // axis.stride)
        if name == "SAME"
        else max((wanted - axis.span) // axis.stride + 1, 0)
    )
    if gives != n:
        least = axis.stride * (n - 1) + (1 if name == "SAME" else axis.span)
        fail(
            argument,
            wanted,
            f"a convolution of {wanted} elements with padding {name!r} gives "
            f"{gives}, and the input has {n}",
            f"give {least} to {least + axis.stride - 1}",
        )
    low = max(total, 0) // 2 if name == "SAME" else 0
    return low, total - low
