"""The matrix C of a convolution, built from its products."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import sympy

from tconvjax.geometry import Geometry, links
from tconvjax.symbolic.limits import check_size
from tconvjax.symbolic.names import places, taps_of

MOST_ENTRIES = 1_000_000
"""Limit on entries, rows and columns of C; beyond it SymPy needs minutes."""


def conv_matrix(geometry: Geometry, kernel: Any = None) -> sympy.SparseMatrix:
    """The matrix C of a convolution.

    C[o i, c j] = sum of w[o, c, t] over the taps t with stride*i + dilation*t - low = j

    Args:
        geometry: any geometry: N-D, strided, padded, dilated, with channels and groups.
        kernel: numbers or SymPy expressions of shape (O, C / groups, *kernel_size) to fill C with;
            None for the symbols of `kernel_symbols`.

    Returns:
        A sparse matrix with a row for each output element and a column for each input element. Its
        ``.T`` is the matrix of the transposed convolution. Building it takes time proportional to
        its non-zeros; ``.as_immutable()``, which can be hashed, takes time for every zero too.

    Raises:
        GeometryError: if the kernel has another shape, or the matrix is too large.

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
    check_size(geometry, MOST_ENTRIES)
    taps = taps_of(kernel, geometry)
    return summed(shape_of(geometry), ((row, col, taps[t]) for row, col, t in cells(geometry)))


def shape_of(geometry: Geometry) -> tuple[int, int]:
    """The rows and columns of C."""
    return math.prod(geometry.out_shape), math.prod(geometry.in_shape)


def cells(geometry: Geometry) -> Iterator[tuple[int, int, tuple[int, ...]]]:
    """Every product of the convolution as a row and a column of C and the index of a tap."""
    rows, columns = places(geometry.out_shape), places(geometry.in_shape)
    for output, source, tap in links(geometry):
        yield rows[output], columns[source], tap


def summed(shape: tuple[int, int], triples: Iterable[tuple[int, int, Any]]) -> sympy.SparseMatrix:
    """A matrix from (row, column, value); values at the same place are added up."""
    found: dict[tuple[int, int], list[Any]] = {}
    for row, column, value in triples:
        found.setdefault((row, column), []).append(value)
    # A sum is built at once: adding to it term by term takes quadratic time.
    entries = {place: v[0] if len(v) == 1 else sympy.Add(*v) for place, v in found.items()}
    return sympy.SparseMatrix(*shape, entries)
