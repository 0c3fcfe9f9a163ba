"""Diagrams of a convolution: the places where C is not zero as dots, and its products as lines.

C entry by entry is a table: `tables`.
"""

from __future__ import annotations

import itertools
import math

from tconvjax.arguments import flag
from tconvjax.errors import Described, fail
from tconvjax.geometry import Geometry, check_geometry, links
from tconvjax.rendering.document import Cell, Link, Linked, Sparsity, Table
from tconvjax.rendering.tables import by, coordinates, grid, most_products, place
from tconvjax.symbolic.names import symbol

MOST_DOTS = 20_000
"""Maximum dots of a picture of where a matrix is not zero."""

MOST_LINKS, MOST_LINKED = 400, 1000
"""Maximum lines of a picture of links, and maximum elements of an array in it."""


def sparsity(geometry: Geometry, *, transpose: bool = False) -> Sparsity:
    """Where C, or C.T, is not zero: a dot for each entry, in the colour of its tap.

    Args:
        geometry: with at most 20,000 products.
        transpose: whether to show C.T instead of C.

    Returns:
        The places of the dots.

    Raises:
        GeometryError: if there are more products than a picture shows.

    Examples:
        >>> len(sparsity(Geometry.of_conv((1, 16, 16), (1, 1, 3, 3))).places)
        1764
    """
    check_geometry(geometry)
    transpose, products = flag("transpose", transpose), most_products(geometry)
    if products > MOST_DOTS:
        shown = Described(f"{geometry.in_shape} to {geometry.out_shape}")
        rule = f"its matrix has up to {products} non-zero entries, and a picture shows {MOST_DOTS}"
        fail("geometry", shown, rule, "take a smaller input, or conv_table, which is abbreviated")
    found = {
        (place(output, geometry.out_shape), place(source, geometry.in_shape)): tap
        for output, source, tap in links(geometry)
    }
    colours = ((*at, place(tap, geometry.kernel_shape)) for at, tap in sorted(found.items()))
    places = tuple((c, r, n) if transpose else (r, c, n) for r, c, n in colours)
    shape = math.prod(geometry.out_shape), math.prod(geometry.in_shape)
    name, shape = ("C.T", shape[::-1]) if transpose else ("C", shape)
    alt = f"where the {by(shape)} matrix {name} is not zero: {len(places)} places"
    return Sparsity(shape, places, name, math.prod(geometry.kernel_shape), alt)


def links_picture(geometry: Geometry) -> Linked:
    """Input, kernel and output side by side, with a line for each product of the convolution.

    Args:
        geometry: one channel each way, one or two axes, and at most 400 products.

    Returns:
        Three tables; a line in the colour of the tap joins each output element to each input
        element that it reads.

    Raises:
        GeometryError: if it has channels, more axes or more products.

    Examples:
        >>> len(links_picture(Geometry.of_conv((1, 5), (1, 1, 3), stride=2)).links)
        6
    """
    check_geometry(geometry)
    shown = Described(f"{geometry.in_shape} to {geometry.out_shape}")
    if geometry.rank > 2 or geometry.in_channels != 1 or geometry.out_channels != 1:
        rule = "links are drawn between arrays of one channel and of one or two axes"
        fail("geometry", shown, rule, "draw one channel alone, or take conv_table")
    # Counting them exactly would visit every product, those with zeros of the padding included.
    few = most_products(geometry) <= MOST_LINKED**2
    found = list(itertools.islice(links(geometry), MOST_LINKS + 1)) if few else []
    if not few or len(found) > MOST_LINKS:
        rule = f"it has more than {MOST_LINKS} products, too many to draw"
        fail("geometry", shown, rule, "take a smaller input")
    sizes = (geometry.in_size, geometry.kernel_size, geometry.out_size)
    if max(map(math.prod, sizes)) > MOST_LINKED:
        rule = f"an array in the picture has up to {MOST_LINKED} elements"
        fail("geometry", shown, rule, "take a smaller input")
    tables = tuple(_named(size, letter) for size, letter in zip(sizes, "xwy", strict=True))
    lines = tuple(
        Link(_square(j[1:]), _square(i[1:]), place(t, geometry.kernel_shape)) for i, j, t in found
    )
    alt = (
        f"{len(lines)} products of the convolution of {by(geometry.in_size)} with "
        f"{by(geometry.kernel_size)} taps, each a line from an input element to an output "
        "element in the colour of its tap"
    )
    return Linked(tables, lines, alt)


def _named(sizes: tuple[int, ...], letter: str) -> Table:
    """An array of symbols; those of a kernel are coloured."""
    # One axis becomes a column, so that the lines between two of them do not lie on one another.
    rows, columns = sizes if len(sizes) == 2 else (sizes[0], 1)

    def cell(row: int, column: int) -> Cell:
        at = (row, column)[: len(sizes)]
        colour = place(at, sizes) if letter == "w" else None
        return Cell(symbol(letter, at), colour, f"{letter} {coordinates(at)}")

    cells = grid(cell, range(rows), range(columns))
    taps = math.prod(sizes) if letter == "w" else 0
    return Table(cells, letter, brackets=False, taps=taps, alt=f"{letter}, {by(sizes)}")


def _square(at: tuple[int, ...]) -> tuple[int, int]:
    return (at[0], 0) if len(at) == 1 else (at[0], at[1])
