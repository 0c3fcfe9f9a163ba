"""The padding modes: what the elements around an axis hold.

To add a mode that copies elements, name it in `PaddingMode` and say in `copied` which element each
padding element copies. Everything else follows from that: links, matrices, borders and pictures.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

PaddingMode: TypeAlias = Literal["zeros", "circular", "reflect", "replicate"]
PADDING_MODES: tuple[PaddingMode, ...] = get_args(PaddingMode)


def copied(mode: PaddingMode, position: int, size: int) -> int | None:
    """The element that a padding element copies, or None for a zero.

    Args:
        mode: the padding mode.
        position: place of the padding element; 0 would be the first element of the axis.
        size: elements of the axis.

    Returns:
        An index below ``size``, or None.
    """
    if mode == "zeros" or size == 0:
        return None
    if mode == "circular":
        return position % size
    if mode == "replicate" or size == 1:
        return min(max(position, 0), size - 1)
    folded = position % (2 * size - 2)  # reflect: the axis and its mirror image take turns
    return min(folded, 2 * size - 2 - folded)
