"""`explain` and its explanation, and what is explained of a layer that is too large."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy

from tconvjax.arguments import choice, flag
from tconvjax.errors import fail
from tconvjax.explaining.views import COMPUTE, VIEWS, Place, Seen, Values, View, sheets
from tconvjax.geometry import Axis, Geometry, links
from tconvjax.rendering import Row, Stack, Words, to_text
from tconvjax.rendering.document import Document, by, shape_words
from tconvjax.shown import Written
from tconvjax.symbolic import kernel_symbols, vec_output
from tconvjax.symbolic.inverse import vanishes
from tconvjax.symbolic.matrix import products_of
from tconvjax.symbolic.names import as_array, entries

MOST_PRODUCTS = 600
"""Maximum products of a convolution that is explained whole."""

MOST_ELEMENTS = 2_500
"""Maximum elements of the largest array of its views; with a long stride or a wide crop, a few
products need many."""

MOST_PART = 2_000
"""Maximum products, and elements, of a part."""

_LIMITS = (
    (3, 8, 4, 3),
    (2, 8, 4, 3),
    (2, 4, 2, 2),
    (2, 2, 2, 1),
    (1, 2, 1, 1),
    (1, 1, 1, 1),
)
"""The most outputs and taps of each axis of a part, and its longest stride and dilation, from the
part that shows most to the smallest; the first is for one axis only."""


def explain(
    geometry: Geometry, y: Any = None, w: Any = None, *, views: Sequence[View] = VIEWS
) -> Explanation:
    """Explain a transposed convolution step by step, with numbers or with symbols.

    Args:
        geometry: of the convolution that is transposed. If it has more than 600 products or 2,500
            elements, a small part is explained instead, with shorter steps, fewer taps and less
            padding where these are long, and the note says so.
        y: input of the transposed convolution: numbers or expressions of shape (O, *out_size), or
            *out_size for one channel; None for symbols.
        w: kernel of shape (O, C / groups, *kernel_size), or *kernel_size for one channel each way;
            None for symbols.
        views: some of "stamps" (each element stamps a scaled kernel), "zeros" (zeros between the
            elements, and a convolution with the flipped kernel), "matrix" (C.T) and "polyphase" (a
            convolution of stride 1 for each phase, and a pixel shuffle).

    Returns:
        The views in this order. Each computes the result in its own way; ``.agree`` says whether
        they are equal.

    Raises:
        GeometryError: if y or w have other shapes or are not finite, or there is no such view.

    Examples:
        >>> geometry = Geometry.of_conv_transpose((1, 2, 2), (1, 1, 2, 2))
        >>> explanation = explain(geometry, [[0, 1], [2, 3]], [[4, 7], [2, 2]])
        >>> explanation.views[0].result.tolist()
        [[[0, 4, 7], [8, 28, 23], [4, 10, 6]]]
        >>> explanation.agree
        True
    """
    if isinstance(views, str) or not isinstance(views, Sequence):
        remedy = f"write a tuple such as ({VIEWS[0]!r},)"
        fail("views", views, "it must be a sequence of names", remedy)
    names = [choice("views", view, VIEWS) for view in views]
    small, note, y, w = _operands(geometry, y, w)
    products: dict[Place, list[tuple[Any, Any]]] = {}
    for output, source, tap in links(small):
        products.setdefault(source, []).append((y[output], w[tap]))
    return Explanation(small, tuple(COMPUTE[name](small, y, w) for name in names), note, products)


def stamp_sum(geometry: Geometry, y: Any = None, w: Any = None) -> Stack:
    """A transposed convolution as one picture: each stamp on a sheet of its own, and their sum.

    Args:
        geometry: as in `explain`.
        y: as in `explain`.
        w: as in `explain`.

    Returns:
        y and w; the products of w with the elements of y, each where it is put down, of more than 9
        the first and the last; their sum, and what the padding leaves of it.

    Raises:
        GeometryError: as from `explain`.

    Examples:
        >>> from tconvjax.rendering import to_text
        >>> geometry = Geometry.of_conv_transpose((1, 2), (1, 1, 2))
        >>> picture = stamp_sum(geometry, [2, 3], [4, 7])
        >>> print(to_text(picture.parts[1]))
        8 14  +  12 21
    """
    small, note, y, w = _operands(geometry, y, w)
    return Stack([*([Words(note)] if note else []), sheets(small, y, w)])


def frames(
    geometry: Geometry,
    y: Any = None,
    w: Any = None,
    *,
    view: View = "stamps",
    words: bool = True,
) -> list[Stack]:
    """One view as the frames of a moving picture, which `tconvjax.rendering.to_animation` shows.

    Args:
        geometry: as in `explain`.
        y: as in `explain`.
        w: as in `explain`.
        view: "stamps" (they are put down one after another), "zeros" (they come between the
            elements, and the flipped kernel slides over), "matrix" (C.T times the column of y,
            column by column) or "polyphase" (each element of a phase is put in its place).
        words: whether a sentence below each frame says what happens.

    Returns:
        A document for each frame. The last has the whole result. Of more than 9 stamps or elements,
        the first and the last are shown.

    Raises:
        GeometryError: as from `explain`.

    Examples:
        >>> from tconvjax.rendering import to_text
        >>> geometry = Geometry.of_conv_transpose((1, 2), (1, 1, 2))
        >>> print(to_text(frames(geometry, [2, 3], [4, 7], view="matrix")[0]))
        ⎡4 ·⎤ ⎡2⎤   ⎡ 8⎤
        ⎢7 4⎥ ⎣3⎦ = ⎢14⎥
        ⎣· 7⎦       ⎣ 0⎦
    """
    compute, words = COMPUTE[choice("view", view, VIEWS)], flag("words", words)
    small, _, y, w = _operands(geometry, y, w)
    shown = []
    for step in compute(small, y, w, moving=True).steps:
        parts = step.document.parts if isinstance(step.document, Row) else (step.document,)
        picture: Document = Row(parts)
        if small.rank == 1 and view != "matrix":  # lines fit a phone if they are below each other
            picture = Stack([part for part in parts if not isinstance(part, str)])
        shown.append(Stack([picture, *([Words(step.words)] if words and step.words else [])]))
    return shown


@dataclass(frozen=True, repr=False)
class Explanation(Written):
    """A transposed convolution, explained.

    Args:
        geometry: the geometry that is explained.
        views: in order.
        note: what was left out because it would be too long; "" for nothing.
        products: the products (y, w) that each element (c, *j) of the result adds up. If some are
            floats, they bound how far rounding may go.
    """

    geometry: Geometry
    views: tuple[Seen, ...]
    note: str = ""
    products: Mapping[Place, Sequence[tuple[Any, Any]]] = field(default_factory=dict)

    @property
    def agree(self) -> bool:
        """Whether SymPy finds that all views have the same result.

        Integers, fractions and symbols must be equal. Floats may differ by rounding, because the
        views add them up in different orders: for each coefficient by 2 (n + 1) machine epsilon
        times the sum of the absolute products, n of them in the element.
        """
        first, *others = (seen.result for seen in self.views)
        return all(
            vanishes(sympy.expand(first[at] - other[at]), self.products.get(at, []))
            for other in others
            for at in np.ndindex(first.shape)
        )

    @property
    def document(self) -> Stack:
        """Everything, one view after the other."""
        parts: list[Document] = [Words(_title(self.geometry), level=1)]
        parts += [Words(self.note)] if self.note else []
        parts += [view.document for view in self.views]
        if len(self.views) > 1:
            differ = "The views do not agree."
            parts.append(Words("All views give the same result." if self.agree else differ))
        return Stack(parts)

    def to_markdown(self) -> str:
        """Headings, paragraphs, and tables as blocks of text."""
        parts = [
            f"{'#' * part.level} {part.text}".strip()
            if isinstance(part, Words)
            else f"```text\n{to_text(Stack([part]), width=100)}\n```"
            for part in self.document.parts
        ]
        return "\n\n".join(parts) + "\n"


def _operands(geometry: Geometry, y: Any, w: Any) -> tuple[Geometry, str, Values, Values]:
    """What is explained of a layer, what is said of the rest, and y and w as expressions."""
    small, note = _shortened(geometry)
    y = _read("y", y, geometry.out_shape, small.out_shape, vec_output(small))
    symbols = kernel_symbols(small).values()
    return small, note, y, _read("w", w, geometry.kernel_shape, small.kernel_shape, symbols)


def _read(argument: str, values: Any, shape: Place, small: Place, symbols: Iterable[Any]) -> Values:
    """The first elements along each axis, or symbols, as an array of SymPy expressions."""
    found = list(symbols)
    if values is not None:
        ones = 1 if argument == "y" else 2
        bare = shape[ones:] if all(size == 1 for size in shape[:ones]) else shape
        array = as_array(argument, values)
        array = as_array(argument, array, bare if array.shape == bare else shape).reshape(shape)
        found = entries(argument, array[tuple(map(slice, small))], small)
        for value in found:
            if value.has(sympy.nan, sympy.oo, -sympy.oo, sympy.zoo):
                rule = "some views multiply by zero, which makes nan of what is not finite"
                fail(argument, value, rule, "give finite numbers or symbols")
    return np.array([*found, None], object)[:-1].reshape(small)


def _title(geometry: Geometry) -> str:
    steps = [f"kernel {by(geometry.kernel_size)}"]
    for name, sizes in (("stride", geometry.stride), ("dilation", geometry.dilation)):
        steps += [f"{name} {by(sizes)}"] if set(sizes) != {1} else []
    if any(low or high for low, high in geometry.padding):
        steps.append("padding " + " x ".join(f"{low}:{high}" for low, high in geometry.padding))
    if geometry.groups > 1:
        steps.append(f"{geometry.groups} groups")
    return (
        f"Transposed convolution of {shape_words(geometry.out_shape)} to "
        f"{shape_words(geometry.in_shape)}: {', '.join(steps)}"
    )


# -- a part of a layer that is too large -----------------------------------------------------------


def _shortened(geometry: Geometry) -> tuple[Geometry, str]:
    """A geometry that can be explained whole, and what was left out of it."""
    if products_of(geometry) <= MOST_PRODUCTS and _elements(geometry) <= MOST_ELEMENTS:
        return geometry, ""
    groups = min(geometry.groups, 2)
    outs = min(geometry.out_channels // geometry.groups, 2 if groups == 1 else 1)
    ins = min(geometry.in_channels // geometry.groups, 1)
    for limits in _LIMITS[geometry.rank > 1 :]:
        axes = tuple(_shorter(axis, *limits) for axis in geometry.axes)
        small = Geometry(axes, groups * ins, groups * outs, groups)
        if max(products_of(small), _elements(small)) <= MOST_PART:
            break
    whole, part = (
        f"{shape_words(g.out_shape)} to {shape_words(g.in_shape)}" for g in (geometry, small)
    )
    return small, (
        f"This is a part of the layer, {part} instead of {whole}. Long strides are shortened, and "
        "taps and padding with them."
    )


def _elements(geometry: Geometry) -> int:
    """Elements of the largest array of any view: the result with its rim, or y spread out."""
    channels = max(geometry.in_channels, geometry.out_channels, 1)
    kernels = max(geometry.out_channels * geometry.kernel_shape[1], 1)
    spans = math.prod(axis.span for axis in geometry.axes)
    lines = (max(a.in_size, a.filled().in_size) + a.span - 1 for a in geometry.axes)
    return max(channels * math.prod(lines), kernels * spans)


def _shorter(axis: Axis, outputs: int, taps: int, stride: int, dilation: int) -> Axis:
    """At most so much of an axis; if its stride is shortened, so are its taps and padding."""
    stride, dilation = min(axis.stride, stride), min(axis.dilation, dilation)
    taps = min(-(-axis.kernel_size * stride // axis.stride), taps)
    outputs, span = min(axis.out_size, outputs), dilation * (taps - 1) + 1
    ends = (axis.low, axis.high)
    low, high = (min(max(end * stride // axis.stride, -1), span - 1) for end in ends)
    size = max(stride * (outputs - 1) + span - low - high, 1)
    return Axis(size, outputs, taps, stride, dilation, low, axis.mode)
