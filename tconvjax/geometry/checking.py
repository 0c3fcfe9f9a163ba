"""Refusing what is no geometry, at the doors that take one."""

from __future__ import annotations

from typing import Any

from tconvjax.geometry.axis import Words, fail
from tconvjax.geometry.shapes import Geometry


def checked(geometry: Any) -> Geometry:
    """A geometry as it is; anything else is refused by its name."""
    if not isinstance(geometry, Geometry):
        fail(
            "geometry",
            Words(f"{type(geometry).__name__} object"),
            "it must be a Geometry",
            "make one with Geometry.of_conv or Geometry.of_conv_transpose",
        )
    return geometry
