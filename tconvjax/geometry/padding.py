"""Paddings: what the elements around an axis hold, and every way to say how many there are.

To add a mode that copies elements, name it in `PaddingMode` and say in `source` which element each
padding element copies. Links, matrices, borders and pictures follow from that. Beside it, NumPy's
name for the mode goes to ``tests/oracles.py``, and the docs and docstrings list the modes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, assert_never, get_args

from tconvjax.arguments import choice, counted, frozen
from tconvjax.errors import fail

PaddingMode: TypeAlias = Literal["zeros", "circular", "reflect", "replicate"]
"""What the elements of the padding hold: zeros, or copies of other elements."""
PADDING_MODES: tuple[PaddingMode, ...] = get_args(PaddingMode)

PADDING_NAMES = ("VALID", "SAME", "SAME_LOWER", "CAUSAL")
Padding: TypeAlias = str | int | Sequence[int] | Sequence[Sequence[int]]
"""A name, one integer, one integer per axis, or one (low, high) pair per axis."""
AxisPadding: TypeAlias = str | tuple[int, int]
"""The padding of one axis: a name, or (low, high)."""


def source(mode: PaddingMode, position: int, size: int) -> int | None:
    """The element of an axis at a position of its padded line, or None for a zero.

    Position 0 is that of the first element, and negative positions are in the low padding.
    """
    if 0 <= position < size:
        return position
    if mode == "zeros" or size == 0:
        return None
    if mode == "circular":
        return position % size
    if mode == "replicate" or size == 1:
        return min(max(position, 0), size - 1)
    if mode == "reflect":  # the axis and its mirror image take turns
        folded = position % (2 * size - 2)
        return min(folded, 2 * size - 2 - folded)
    assert_never(mode)


def pads(value: Any, rank: int) -> tuple[AxisPadding, ...]:
    """Read the padding of each axis."""
    value = frozen("padding", value)
    if isinstance(value, str):
        return (choice("padding", value, PADDING_NAMES, any_case=True),) * rank
    values = value if isinstance(value, tuple) else (value,) * rank
    pairs = tuple(item if isinstance(item, tuple) else (item, item) for item in values)
    if len(pairs) != rank or any(
        len(pair) != 2 or not all(isinstance(end, int) for end in pair) for pair in pairs
    ):
        fail(
            "padding",
            value,
            f"the convolution has {counted(rank, 'spatial axis', 'spatial axes')}",
            f"give a name, one int, {'' if rank == 1 else f'{rank} ints, '}or "
            f"{counted(rank, '(low, high) pair')} such as {((1, 2),) * rank}",
        )
    return pairs


def conv_pads(padding: AxisPadding, size: int, span: int, stride: int) -> tuple[int, int]:
    """(low, high) of a convolution of ``size`` elements, names resolved."""
    if not isinstance(padding, str):
        return padding
    if padding == "VALID":
        return 0, 0
    if padding == "CAUSAL":
        return span - 1, 0
    total = max(stride * (-(-size // stride) - 1) + span - size, 0)
    less, more = total // 2, total - total // 2
    return (less, more) if padding == "SAME" else (more, less)
