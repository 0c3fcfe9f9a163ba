"""Make the document that a fence asks for."""

from __future__ import annotations

from typing import Any

from tconvjax import rendering, symbolic, upsampling
from tconvjax.command.arguments import alternatives
from tconvjax.errors import fail
from tconvjax.explaining import Explanation, explain
from tconvjax.geometry import Axis, pads
from tconvjax.rendering import Cell, Document, Table, stack
from tconvjax.site.reading import Fence

MOST_READ = 64
"""Maximum number of rows or columns of a matrix, unless the fence has another number."""

MOST_LISTED = 24
"""Maximum number of sizes in a table of those that share an output size."""


def shown(fence: Fence) -> Document:
    """Make the document of any view but the explorer."""
    geometry, looks = fence.geometry, fence.looks
    most = looks.get("most", MOST_READ)
    match fence.view:
        case "matrix" | "transpose" as view:
            transpose = view == "transpose"
            return rendering.conv_table(geometry, fence.w, transpose=transpose, most=most)
        case "sparsity":
            return rendering.sparsity(geometry, transpose=looks.get("transposed", False))
        case "links":
            return rendering.links_picture(geometry)
        case "derivation":
            derivation = symbolic.derivation(geometry)
            return rendering.derivation_document(derivation, words=looks.get("words", True))
        case "sizes":
            return _sizes(fence)
        case "overlap":
            if geometry.rank > 2:
                fail(
                    "kernel",
                    geometry.kernel_size,
                    "stamps are drawn over one axis or two",
                    "show one plane of them",
                )
            return rendering.heat_table(upsampling.overlap(geometry), name="stamps", most=most)
    return _steps(fence)


def explanation(fence: Fence) -> Explanation:
    """Explain one view; of a layer that is too large for it, a part."""
    view: Any = {"product": "matrix"}.get(fence.view, fence.view)
    return explain(fence.geometry, fence.y, fence.w, views=(view,))


def _steps(fence: Fence) -> Document:
    explained = explanation(fence)
    words = fence.looks.get("words", True)
    parts: list[Document] = [rendering.Words(explained.note)] if explained.note else []
    for step in explained.views[0].steps:
        parts += [rendering.Words(step.words), step.document] if words else [step.document]
    return stack(parts)


def _sizes(fence: Fence) -> Document:
    """Make a table for each axis, or one for all if they are alike."""
    geometry = fence.geometry
    padding = pads(fence.looks.get("padding", 0), geometry.rank)
    kinds = list(dict.fromkeys(zip(geometry.axes, padding, strict=True)))
    if len(kinds) == 1:
        return _sizes_of(*kinds[0], "along each axis" if geometry.rank > 1 else "")
    return stack([_sizes_of(*kind, f"axis {n}") for n, kind in enumerate(kinds)])


def _sizes_of(axis: Axis, padding: Any, name: str) -> Table:
    """List the input sizes with one output size, and what chooses among them."""
    argument, values = alternatives(axis, padding)
    if len(values) > MOST_LISTED:
        rule = f"a table lists at most {MOST_LISTED} sizes"
        fail("stride", axis.stride, rule, "take a smaller stride")
    rows = [tuple(map(Cell, ("out_size", argument, "in_size")))]
    for size, value in values.items():
        tap = 0 if size == axis.in_size else None
        rows.append(tuple(Cell(str(n), tap) for n in (axis.out_size, value, size)))
    *first, last = map(str, values)
    listed = f"{', '.join(first)} and {last}" if first else last
    alt = f"the {len(values)} sizes {listed} share the output size {axis.out_size}"
    return Table(tuple(rows), name, brackets=False, taps=1, alt=alt)
