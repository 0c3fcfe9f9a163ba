"""An explanation as data, and its way to every printer."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

import sympy

from tconvjax.errors import fail
from tconvjax.explaining.arrays import Values, title
from tconvjax.geometry import Geometry
from tconvjax.rendering import (
    Document,
    Words,
    stack,
    to_animation,
    to_html,
    to_svg,
    to_text,
)
from tconvjax.shown import Written
from tconvjax.symbolic.names import places
from tconvjax.symbolic.rounding import epsilon, magnitudes, vanishes

Products: TypeAlias = Mapping[tuple[int, ...], Sequence[tuple[Any, Any]]]
View: TypeAlias = Literal["stamps", "zeros", "matrix", "polyphase"]
VIEWS: tuple[View, ...] = get_args(View)


@dataclass(frozen=True)
class Step:
    """One step: what happens, in words, and what it looks like."""

    words: str
    document: Document


@dataclass(frozen=True)
class Seen:
    """One view of a transposed convolution.

    Args:
        view: which.
        title: in a few words.
        steps: in order.
        result: (C, *in_size), as this view works it out.
    """

    view: View
    title: str
    steps: tuple[Step, ...]
    result: Values

    @property
    def document(self) -> Document:
        """The whole view."""
        parts: list[Document] = [Words(self.title, level=2)]
        for step in self.steps:
            parts += [Words(step.words), step.document]
        return stack(parts)


@dataclass(frozen=True, repr=False)
class Explanation(Written):
    """A transposed convolution, explained.

    Args:
        geometry: what is explained.
        views: in order.
        note: what was left out for want of room; "" for nothing.
        products: what each element of the result is a sum of, by its place (c, *j) in it: pairs
            (y, w). Where some are floats, they say how much rounding may come to.
    """

    geometry: Geometry
    views: tuple[Seen, ...]
    note: str = ""
    products: Products = field(default_factory=dict, repr=False)

    @property
    def agree(self) -> bool:
        """Whether all views have the same result, worked out by SymPy.

        Integers, fractions and symbols must be equal. Floats may differ by what rounding can come
        to, since the views add them up in different orders: for each coefficient by 2 (n + 1)
        machine epsilon times the sum of the absolute products, n of them in the element.
        """
        first, *others = self.views
        spacing = epsilon(itertools.chain(*itertools.chain(*self.products.values())))
        return all(self._same(first.result, other.result, spacing) for other in others)

    def _same(self, one: Values, other: Values, spacing: float | None) -> bool:
        return one.shape == other.shape and all(
            self._near(index, sympy.expand(one[index] - other[index]), spacing)
            for index in places(one.shape)
        )

    def _near(self, index: tuple[int, ...], difference: Any, spacing: float | None) -> bool:
        if difference == 0 or spacing is None:
            return bool(difference == 0)
        products = self.products.get(index, [])
        return vanishes(difference, magnitudes(products), len(products), spacing)

    @property
    def document(self) -> Document:
        """Everything, one view after the other."""
        head: list[Document] = [Words(title(self.geometry), level=1)]
        if self.note:
            head.append(Words(self.note))
        words = "All views give the same result." if self.agree else "The views do not agree."
        tail = [Words(words)] if len(self.views) > 1 else []
        return stack([*head, *(view.document for view in self.views), *tail])

    def to_text(self, width: int = 80) -> str:
        """For a terminal of so many columns."""
        return to_text(self.document, width=width)

    def to_markdown(self) -> str:
        """Headings, paragraphs, and tables as blocks of text."""
        return "\n\n".join(map(_markdown, self.document.parts)) + "\n"  # type: ignore[union-attr]

    def to_html(self, *, style: bool = True) -> str:
        """A block of HTML, its tables coloured by tap; pointing at a tap lights it everywhere."""
        return to_html(self.document, style=style)

    def to_svg(self) -> str:
        """One picture of everything."""
        return to_svg(self.document, alt=title(self.geometry))

    def to_animation(self, seconds: float = 1.2) -> str:
        """The stamps one after another as a moving picture, each shown for so long.

        Raises:
            GeometryError: if the stamps are not among the views.
        """
        for seen in self.views:
            if seen.view == "stamps":
                frames = [stack([Words(step.words), step.document]) for step in seen.steps]
                return to_animation(frames, seconds=seconds, alt=f"{title(self.geometry)}: stamps")
        return fail(
            "views",
            [seen.view for seen in self.views],
            "the moving picture shows the stamps",
            "explain with views=('stamps',)",
        )

    def _repr_markdown_(self) -> str:
        return self.to_markdown()


def _markdown(part: Document) -> str:
    if isinstance(part, Words):
        return f"{'#' * part.level} {part.text}".strip()
    return f"```text\n{to_text(part, width=100)}\n```"
