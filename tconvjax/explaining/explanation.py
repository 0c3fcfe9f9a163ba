"""An explanation as data, and its way to every printer."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, get_args

import sympy

from tconvjax.errors import fail
from tconvjax.explaining.arrays import Place, Values, places, title
from tconvjax.geometry import Geometry
from tconvjax.rendering import Document, Words, stack, to_animation, to_html, to_svg, to_text
from tconvjax.shown import Written
from tconvjax.symbolic.inverse import epsilon, vanishes

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
        view: its name.
        title: what it shows, in a few words.
        steps: in order.
        result: (C, *in_size), as this view computes it.
    """

    view: View
    title: str
    steps: tuple[Step, ...]
    result: Values

    @property
    def document(self) -> Document:
        """The whole view."""
        steps = ((Words(step.words), step.document) for step in self.steps)
        return stack([Words(self.title, level=2), *itertools.chain(*steps)])


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
        spacing = epsilon(itertools.chain(*itertools.chain(*self.products.values())))

        def same(at: Place, other: Values) -> bool:
            difference = sympy.expand(first[at] - other[at])
            return vanishes(difference, self.products.get(at, []), spacing)

        return all(
            first.shape == other.shape and all(same(at, other) for at in places(first.shape))
            for other in others
        )

    @property
    def document(self) -> Document:
        """Everything, one view after the other."""
        parts: list[Document] = [Words(title(self.geometry), level=1)]
        parts += [Words(self.note)] if self.note else []
        parts += [view.document for view in self.views]
        if len(self.views) > 1:
            agree = self.agree
            parts.append(
                Words("All views give the same result." if agree else "The views do not agree.")
            )
        return stack(parts)

    def to_text(self, width: int = 80) -> str:
        """For a terminal with this many columns."""
        return to_text(self.document, width=width)

    def to_markdown(self) -> str:
        """Headings, paragraphs, and tables as blocks of text."""
        parts = [
            f"{'#' * part.level} {part.text}".strip()
            if isinstance(part, Words)
            else f"```text\n{to_text(stack([part]), width=100)}\n```"
            for part in stack([self.document]).parts
        ]
        return "\n\n".join(parts) + "\n"

    def to_html(self, *, style: bool = True) -> str:
        """A block of HTML, its tables coloured by tap; pointing at a tap lights it everywhere."""
        return to_html(self.document, style=style)

    def to_svg(self) -> str:
        """One picture of everything."""
        return to_svg(self.document, alt=title(self.geometry))

    def to_animation(self, seconds: float = 1.2) -> str:
        """The stamps one after another as a moving picture.

        Args:
            seconds: how long each is shown.

        Raises:
            GeometryError: if the stamps are not among the views.
        """
        for seen in self.views:
            if seen.view == "stamps":
                frames = [stack([Words(step.words), step.document]) for step in seen.steps]
                return to_animation(frames, seconds=seconds, alt=f"{title(self.geometry)}: stamps")
        names, rule = [seen.view for seen in self.views], "the moving picture shows the stamps"
        return fail("views", names, rule, "explain with views=('stamps',)")

    def _repr_markdown_(self) -> str:
        return self.to_markdown()
