"""What each view of a fence shows, as documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tconvjax import rendering
from tconvjax.errors import fail
from tconvjax.explaining import Explanation, explain
from tconvjax.fences.reading import VIEWS, Asked
from tconvjax.geometry import Axis, Geometry, in_sizes, pads
from tconvjax.rendering import Cell, Document, Table, stack
from tconvjax.symbolic import derivation

__all__ = ["VIEWS", "explanation", "shown"]

MOST_READ = 64
"""Rows or columns of a matrix if a fence does not say."""

MOST_LISTED = 24
"""Sizes that share an output size, in a table."""


def shown(asked: Asked) -> Document:
    """The document of any view but the explorer."""
    return _SHOWN[asked.view](asked)


def explanation(asked: Asked) -> Explanation:
    """The steps of one view of `explain`; of a layer too large for it a part."""
    view = {"product": "matrix"}.get(asked.view, asked.view)
    return explain(asked.geometry, asked.y, asked.w, views=(view,))  # type: ignore[arg-type]


def _steps(asked: Asked) -> Document:
    told = explanation(asked)
    words = asked.looks.get("words", True)
    parts: list[Document] = [rendering.Words(told.note)] if told.note else []
    for step in told.views[0].steps:
        parts += [rendering.Words(step.words), step.document] if words else [step.document]
    return stack(parts)


def _matrix(asked: Asked) -> Document:
    most = asked.looks.get("most", MOST_READ)
    back = asked.view == "transpose"
    return rendering.conv_table(asked.geometry, asked.w, transpose=back, most=most)


def _sparsity(asked: Asked) -> Document:
    return rendering.sparsity(asked.geometry, transpose=asked.looks.get("transposed", False))


def _links(asked: Asked) -> Document:
    return rendering.links_picture(asked.geometry)


def _derivation(asked: Asked) -> Document:
    words = asked.looks.get("words", True)
    return rendering.derivation_document(derivation(asked.geometry), words=words)


def _sizes(asked: Asked) -> Document:
    """A table for each axis, one for all if they are alike."""
    geometry = asked.geometry
    given = zip(geometry.axes, pads(asked.looks.get("padding", 0), geometry.rank), strict=True)
    alike = dict.fromkeys(given)
    if len(alike) == 1:
        return _sizes_of(*next(iter(alike)), "along each axis" if geometry.rank > 1 else "")
    return stack([_sizes_of(*one, f"axis {n}") for n, one in enumerate(alike)])


def _sizes_of(axis: Axis, ends: Any, name: str) -> Table:
    """The input sizes with one output size, and what chooses among them."""
    named = isinstance(ends, str) and ends != "VALID"
    alike = in_sizes(
        axis.out_size,
        axis.kernel_size,
        axis.stride,
        ends if isinstance(ends, str) else (ends,),
        axis.dilation,
    )
    if len(alike) > MOST_LISTED:
        fail(
            "stride",
            axis.stride,
            f"a table lists {MOST_LISTED} sizes at most",
            "take a smaller stride",
        )
    # The least size may be negative and then missing; the largest one always exists.
    least = alike[-1] - axis.stride + 1
    head = ("out_size", "output_size" if named else "output_padding", "in_size")
    rows = [
        tuple(
            Cell(str(n), 0 if size == axis.in_size else None)
            for n in (axis.out_size, size if named else size - least, size)
        )
        for size in alike
    ]
    alt = f"the {len(alike)} sizes {_and(alike)} share the output size {axis.out_size}"
    return Table((tuple(map(Cell, head)), *rows), name, brackets=False, taps=1, alt=alt)


def _and(sizes: Sequence[int]) -> str:
    *first, last = map(str, sizes)
    return f"{', '.join(first)} and {last}" if first else last


def _overlap(asked: Asked) -> Document:
    geometry = asked.geometry
    if geometry.rank > 2:
        fail(
            "kernel",
            geometry.kernel_size,
            "stamps are drawn over one axis or two",
            "show one plane of them",
        )
    counts = _counts(geometry)
    most = asked.looks.get("most", MOST_READ)
    return rendering.heat_table(counts, name="stamps", most=most)


def _counts(geometry: Geometry) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    """How many stamps land on each element, from the links of each axis alone."""
    lines = []
    for axis in geometry.axes:
        line = np.zeros(axis.in_size, np.int64)
        for _, source, _ in axis.links():
            line[source] += 1
        lines.append(line)
    return lines[0] if len(lines) == 1 else np.multiply.outer(*lines)


_SHOWN: dict[str, Callable[[Asked], Document]] = {
    "matrix": _matrix,
    "transpose": _matrix,
    "product": _steps,
    "sparsity": _sparsity,
    "stamps": _steps,
    "zeros": _steps,
    "polyphase": _steps,
    "links": _links,
    "sizes": _sizes,
    "overlap": _overlap,
    "derivation": _derivation,
}
