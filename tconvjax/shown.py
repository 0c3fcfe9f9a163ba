"""How an object shows itself in a notebook and in a terminal.

The printers of `tconvjax.rendering` stand on a higher floor and need SymPy. The root of the package
therefore registers a loader here, which runs only when somebody looks at an object.

The printers know the objects of the floors below them. An object that stands above them has a
method ``_parts_``, which returns texts, lists of lists for tables, and arrays whose numbers become
shades.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

from tconvjax.errors import GeometryError

_loaders: list[Callable[[], Any]] = []


def show_with(load: Callable[[], Any]) -> None:
    """Register what returns the module with the printers."""
    _loaders[:] = [load]


class Lines:
    """Mixin: notebooks show the lines of the object's text."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


class Shown:
    """Mixin: notebooks show the object as the printers draw it.

    The methods return None for what is too large to draw, and a notebook then takes another one.
    """

    __slots__ = ()

    def _repr_html_(self) -> Any:
        return self._printed("to_html")

    def _repr_latex_(self) -> Any:
        # A formula has the width of a page, which holds 16 columns.
        formula = self._printed("to_latex", most=16, dots=False)
        return None if formula is None else f"$\\displaystyle {formula}$"

    def _repr_svg_(self) -> Any:
        return self._printed("to_svg")

    def _printed(self, printer: str, **limits: Any) -> Any:
        printers = _loaders[0]()
        try:
            shown = printers.as_document(self, **limits) if limits else self
            return getattr(printers, printer)(shown)
        except GeometryError:
            return None


class Written(Shown):
    """Mixin: the repr is what a terminal shows, as text."""

    __slots__ = ()

    def __repr__(self) -> str:
        """The lines that `rendering.to_text` prints."""
        return self._printed("to_text") or object.__repr__(self)
