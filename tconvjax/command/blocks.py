"""Tables of numbers as blocks of lines, set beside one another."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from tconvjax.rendering import to_text

Block: TypeAlias = str | list[str]


def beside(*blocks: Block) -> list[str]:
    """Blocks of lines beside one another, each centred; a string is a block of one line."""
    columns = [[block] if isinstance(block, str) else block for block in blocks]
    height = max(map(len, columns))
    for n, lines in enumerate(columns):
        above = (height - len(lines)) // 2
        padded = [""] * above + lines + [""] * (height - above - len(lines))
        width = max(map(len, lines))
        columns[n] = [line.ljust(width) for line in padded]
    return [" ".join(line) for line in zip(*columns, strict=True)]


def block(array: ArrayLike, height: int = 40) -> list[str]:
    """A table of numbers or words as lines, with its zeros written as 0."""
    # Words, since to_text writes the number 0 as a dot.
    return to_text(words(array), height=height).splitlines()


def column(array: ArrayLike, height: int = 40) -> list[str]:
    """vec(array) as lines."""
    return block(np.asarray(array).reshape(-1, 1), height)


def words(array: ArrayLike) -> np.ndarray[Any, Any]:
    """Each number as a word, without a needless decimal point."""
    given = np.asarray(array)
    shown = np.empty(given.shape, object)
    for index, value in np.ndenumerate(given):
        shown[index] = value if isinstance(value, str) else f"{float(value) + 0:g}"
    return shown
