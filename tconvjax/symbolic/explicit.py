"""C, entry by entry."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import sympy

from tconvjax.errors import Described, fail
from tconvjax.geometry import Geometry, check_geometry, links
from tconvjax.symbolic.names import Taps, places, taps_of

MOST_ENTRIES = 1_000_000
"""More entries, rows or columns make no matrix to look at, and SymPy takes minutes over them."""


def conv_matrix(geometry: Geometry, kernel: Any = None) -> sympy.SparseMatrix:
    """The matrix C of a convolution.

    C[o i, c j] = sum of w[o, c, t] over the taps t with stride*i + dilation*t - low = j

    Args:
        geometry: any geometry: N-D, strided, padded, dilated, with channels and groups.
        kernel: numbers or SymPy expressions of shape (O, C / groups, *kernel_size) to fill C with;
            None for the symbols of `kernel_symbols`.

    Returns:
        A sparse matrix with a row for each output element and a column for each input element. Its
        ``.T`` is the matrix of the transposed convolution. Built in time proportional to its
        non-zeros; ``.as_immutable()``, which can be hashed, takes time for every zero too.

    Raises:
        GeometryError: if the kernel has another shape, or the matrix would not fit.

    Examples:
        >>> from tconvjax.symbolic import vec_output
        >>> C = conv_matrix(Geometry.of_conv((1, 5), (1, 1, 3), stride=2))
        >>> C
        Matrix([
        [w_0, w_1, w_2,   0,   0],
        [  0,   0, w_0, w_1, w_2]])
        >>> C.T * vec_output(geometry := Geometry.of_conv((1, 5), (1, 1, 3), stride=2))
        Matrix([
        [          w_0*y_0],
        [          w_1*y_0],
        [w_0*y_1 + w_2*y_0],
        [          w_1*y_1],
        [          w_2*y_1]])

    Dumoulin and Visin, arXiv:1603.07285, section 4.1, print it for a 4x4 input and a 3x3 kernel.
    """
    check_size(geometry)
    return of_taps(geometry, taps_of(kernel, geometry))


def of_taps(geometry: Geometry, taps: Taps) -> sympy.SparseMatrix:
    """C with what stands at (o, c, *t)."""
    rows, columns = places(geometry.out_shape), places(geometry.in_shape)
    entries: dict[tuple[int, int], Any] = {}
    met_again: dict[tuple[int, int], list[Any]] = {}
    for output, source, tap in links(geometry):
        place = rows[output], columns[source]
        # Only a border that copies elements meets one input element twice in one output.
        if place in entries:
            met_again.setdefault(place, [entries[place]]).append(taps[tap])
        else:
            entries[place] = taps[tap]
    entries |= {place: sympy.Add(*some) for place, some in met_again.items()}
    return sympy.SparseMatrix(len(rows), len(columns), entries)


def products_of(geometry: Geometry) -> int:
    """Steps that a walk over everything that meets may take; an empty axis counts as one element.

    An axis is walked even where another one, or the channels, are empty.
    """
    sides = (geometry.out_channels, geometry.kernel_shape[1], *geometry.out_size)
    return math.prod(max(side, 1) for side in sides) * math.prod(geometry.kernel_size)


def check_size(geometry: Geometry, most: int = MOST_ENTRIES) -> None:
    """Refuse a matrix that would not fit, before anything is built."""
    check_geometry(geometry)
    sides = math.prod(geometry.in_shape), math.prod(geometry.out_shape)
    largest = max(products_of(geometry), *sides)
    if largest > most:
        fail(
            "geometry",
            Described(f"{geometry.in_shape} to {geometry.out_shape}"),
            f"its matrix has up to {largest} entries, rows or columns, and {most} is the limit",
            "look at a smaller input, since a convolution looks alike at every size, or take "
            "tconvjax.matrices, which holds numbers",
        )


def pairs_of(geometry: Geometry) -> tuple[int, int]:
    """Products of two taps in C.T C and in C C.T: those that meet in an output, and in an input."""
    inputs, outputs = geometry.kernel_shape[1], geometry.out_channels // geometry.groups
    here = geometry.out_channels * inputs**2
    there = geometry.in_channels * outputs**2
    for axis in geometry.axes:
        met = list(axis.links())
        here *= sum(count**2 for count in Counter(i for i, _, _ in met).values())
        there *= sum(count**2 for count in Counter(j for _, j, _ in met).values())
    return here, there


def check_pairs(geometry: Geometry, most: int) -> None:
    """Refuse a product of C and its transpose that would take minutes; after `check_size`."""
    pairs = max(pairs_of(geometry))
    if pairs > most:
        fail(
            "geometry",
            Described(f"{geometry.in_shape} to {geometry.out_shape}"),
            f"C times its transpose adds up {pairs} products of taps, and {most} is the limit",
            "look at a smaller input or fewer taps, or multiply numbers: "
            "tconvjax.matrices.conv_matrix",
        )
