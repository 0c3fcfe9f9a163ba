"""Matrices as comma-separated values, every entry of them."""

from __future__ import annotations

import csv
import io
from typing import Any

from tconvjax.geometry import Words, fail
from tconvjax.rendering.text import label

MOST_ENTRIES = 4_000_000


def to_csv(matrix: Any) -> str:
    """A matrix as lines of comma-separated entries, nothing left out.

    Args:
        matrix: anything with ``shape`` and ``matrix[row, column]``.

    Returns:
        A line for each row, 0 for a zero.

    Raises:
        GeometryError: if it has more than 4,000,000 entries.

    Examples:
        >>> from tconvjax import Geometry, symbolic
        >>> print(to_csv(symbolic.conv_matrix(Geometry.of_conv((1, 3), (1, 1, 2)))), end="")
        w0,w1,0
        0,w0,w1
    """
    rows, columns = map(int, matrix.shape)
    if rows * columns > MOST_ENTRIES:
        fail("matrix", Words(f"{rows} x {columns}"), f"{MOST_ENTRIES} entries are the limit",
             "save it sparse: tconvjax.matrices.conv_matrix and scipy.sparse.save_npz")  # fmt: skip
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    for row in range(rows):
        cells = (matrix[row, column] for column in range(columns))
        writer.writerow(["0" if entry == 0 else label(entry) for entry in cells])
    return written.getvalue()
