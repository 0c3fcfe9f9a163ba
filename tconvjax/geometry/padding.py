"""The padding modes: what the elements around an axis hold.

To add a mode that copies elements, name it in `PaddingMode` and say in `copied` which element each
padding element copies. Links, matrices, borders and pictures follow from that. Beside it, NumPy's
name for the mode goes to ``tests/oracles.py``, and the docs and docstrings list the modes.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, assert_never, get_args

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
    if mode == "reflect":  # the axis and its mirror image take turns
        folded = position % (2 * size - 2)
        return min(folded, 2 * size - 2 - folded)
    assert_never(mode)
