"""The guard that refuses matrices for which SymPy would need minutes."""

from __future__ import annotations

import math
from typing import Any

from tconvjax.errors import Described, fail
from tconvjax.geometry import Geometry, check_geometry


def products_of(geometry: Geometry) -> int:
    """Upper bound on the products of a convolution; an empty axis counts as one element."""
    check_geometry(geometry)
    sides = (geometry.out_channels, geometry.kernel_shape[1], *geometry.out_size)
    return math.prod(max(side, 1) for side in sides) * math.prod(geometry.kernel_size)


def check_size(
    geometry: Any, most: int, count: int | None = None, what: str = "entries, rows or columns"
) -> None:
    """Raise GeometryError if a geometry has more than ``most`` of something.

    Args:
        geometry: what the caller was given; anything but a Geometry is refused as well.
        most: the largest count allowed.
        count: how many there are; by default the largest of products, rows and columns.
        what: what is counted, in the plural.
    """
    check_geometry(geometry)
    if count is None:
        sides = math.prod(geometry.in_shape), math.prod(geometry.out_shape)
        count = max(products_of(geometry), *sides)
    if count > most:
        fail(
            "geometry",
            Described(f"{geometry.in_shape} to {geometry.out_shape}"),
            f"it has up to {count} {what}, and {most} is the limit",
            "look at a smaller input, which shows the same pattern, or use tconvjax.matrices, "
            "which holds numbers",
        )


def check_pairs(geometry: Geometry, most: int) -> None:
    """Refuse a geometry for which C C.T or C.T C adds up too many products of two taps."""
    pairs = products_of(geometry) * math.prod(geometry.kernel_size)
    pairs *= max(geometry.kernel_shape[1], geometry.out_channels // geometry.groups)
    check_size(geometry, most, pairs, "products of two taps in C times its transpose")
