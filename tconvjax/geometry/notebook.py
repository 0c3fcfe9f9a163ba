"""How an object shows itself in a notebook."""

from __future__ import annotations

import importlib
from typing import Any


class Shown:
    """What is shown by `tconvjax.rendering` where a notebook asks for it.

    The floors above are asked at run time, and by a notebook only: nothing here imports them.
    """

    __slots__ = ()

    def _repr_html_(self) -> str:
        return str(_notebook().html(self))

    def _repr_latex_(self) -> str:
        return str(_notebook().latex(self))

    def _repr_svg_(self) -> str:
        return str(_notebook().svg(self))


def _notebook() -> Any:
    return importlib.import_module("tconvjax.rendering.notebook")
