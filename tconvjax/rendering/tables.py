"""Matrices and arrays as tables of coloured cells, abbreviated where they are large."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sympy

from tconvjax.errors import Described, fail, kind_of
from tconvjax.geometry import Geometry, check_geometry, links
from tconvjax.rendering.checks import (
    check_cells,
    check_count,
    check_flag,
    checked_text,
    readable,
    sides,
)
from tconvjax.rendering.document import (
    DOTS_ACROSS,
    DOTS_DIAGONAL,
    DOTS_DOWN,
    Cell,
    Link,
    Linked,
    Sparsity,
    Table,
    kept,
)
from tconvjax.rendering.entries import Kernel, met, total
from tconvjax.symbolic.names import kernel_symbols, symbol

MOST_SHOWN = 32
"""Rows or columns of a table; the middle ones of more are left out."""

MOST_DOTS = 20_000
"""Dots of a picture of where a matrix is not zero."""

MOST_LINKS = 400
"""Lines of a picture of links."""

MOST_LINKED = 1000
"""Elements of an array in such a picture."""


def conv_table(
    geometry: Geometry, kernel: Any = None, *, transpose: bool = False, most: int = MOST_SHOWN
) -> Table:
    """C, or C.T, as a table: a colour for each entry of the kernel, lines between its blocks.

    Only what is shown is worked out, so a matrix of any size costs the same.

    Args:
        geometry: any geometry.
        kernel: as in `symbolic.conv_matrix`; None for symbols, an IndexedBase for symbols of its
            letter.
        transpose: C.T in place of C.
        most: rows and columns that are shown, at least 3; the middle of more becomes dots.

    Returns:
        A table of at most ``most`` rows and columns, one of them dots if something is left out. An
        entry that is a sum of more than 32 is `Abridged`.

    Raises:
        GeometryError: if the kernel has another shape, or more than 65,536 cells would be shown.

    Examples:
        >>> conv_table(Geometry.of_conv((1, 4, 4), (1, 1, 3, 3))).shape
        (4, 16)
        >>> conv_table(Geometry.of_conv((1, 512, 512), (1, 1, 3, 3))).shape
        (32, 32)
    """
    check_geometry(geometry)
    check_flag("transpose", transpose)
    check_count("most", most, 3)
    taps = Kernel(geometry, kernel)
    shapes = [geometry.out_shape, geometry.in_shape]
    counts = [math.prod(shape) for shape in shapes]
    check_cells(*(min(count, most) for count in counts))
    rows, columns = (kept(count, most) for count in counts)
    blocks = [math.prod(shape[2:]) if len(shape) > 2 else shape[1] for shape in shapes]

    def cell(row: int, column: int) -> Cell:
        if row < 0 or column < 0:
            return _dots(row, column)
        output, source = (_index(n, shape) for n, shape in zip((row, column), shapes, strict=True))
        found = met(geometry, output, source)
        if not found.size:
            return Cell(sympy.Integer(0))
        through = [_plain(taps.name(index)) for index in found.first]
        through += [part for index in found.last for part in ("...", _plain(taps.name(index)))]
        title = f"{' + '.join(through)}: output {_told(output)}, input {_told(source)}"
        return Cell(total(taps, found), taps.colour(found.first[0]), title)

    cells = tuple(tuple(cell(r, c) for c in columns) for r in rows)
    cuts = [_cuts(shown, block) for shown, block in zip((rows, columns), blocks, strict=True)]
    sizes = f"{counts[0]} x {counts[1]}"
    what = f"C, the {sizes} matrix of the convolution"
    if transpose:
        cells, cuts = tuple(zip(*cells, strict=True)), cuts[::-1]
        what = f"C.T, the {counts[1]} x {counts[0]} matrix of the transposed convolution"
    return Table(
        cells,
        "C.T" if transpose else "C",
        cuts[0],
        cuts[1],
        True,
        taps.count,
        f"{what} of {_by(geometry.in_size)} to {_by(geometry.out_size)}",
    )


def matrix_table(
    matrix: Any, *, name: str = "", taps: Sequence[Any] = (), most: int = MOST_SHOWN
) -> Table:
    """Any SymPy matrix as a table.

    Args:
        matrix: anything with ``shape`` and ``matrix[row, column]``.
        name: what it is called.
        taps: expressions that have colours of their own, in order.
        most: rows and columns that are shown, at least 3; the middle of more becomes dots.

    Returns:
        A table of at most ``most`` rows and columns.

    Raises:
        GeometryError: if it is no matrix, a size is a symbol, or more than 65,536 cells would be
            shown.

    Examples:
        >>> matrix_table(sympy.eye(2)).shape
        (2, 2)
    """
    check_count("most", most, 3)
    checked_text("name", name)
    counts = sides(matrix)
    check_cells(*(min(count, most) for count in counts))
    matrix = readable(matrix)
    rows, columns = (kept(count, most) for count in counts)
    if isinstance(taps, str) or not isinstance(taps, Sequence):
        fail(
            "taps",
            Described(f"{type(taps).__name__} object"),
            "it must be a sequence of expressions",
            "give a tuple of them",
        )
    try:
        colours = {tap: n for n, tap in enumerate(taps)}
    except TypeError:
        fail("taps", taps, "an expression must be hashable", "give SymPy expressions")

    def cell(row: int, column: int) -> Cell:
        if row < 0 or column < 0:
            return _dots(row, column)
        entry = matrix[row, column]
        return Cell(entry, colours.get(entry) if colours else None)

    cells = tuple(tuple(cell(r, c) for c in columns) for r in rows)
    sizes = _by(counts)
    return Table(cells, name, taps=len(colours), alt=f"{name or 'a matrix'} of shape {sizes}")


def sparsity(geometry: Geometry, *, transpose: bool = False) -> Sparsity:
    """Where C, or C.T, is not zero: a dot for each entry, in the colour of its tap.

    Args:
        geometry: with at most 20,000 products.
        transpose: C.T in place of C.

    Returns:
        The picture's places.

    Raises:
        GeometryError: if there are more products than a picture shows.

    Examples:
        >>> len(sparsity(Geometry.of_conv((1, 16, 16), (1, 1, 3, 3))).places)
        1764
    """
    check_geometry(geometry)
    check_flag("transpose", transpose)
    products = _most_products(geometry)
    if products > MOST_DOTS:
        fail(
            "geometry",
            Described(f"{geometry.in_shape} to {geometry.out_shape}"),
            f"its matrix has up to {products} entries that are not zero, and a picture shows "
            f"{MOST_DOTS}",
            "take a smaller input, or conv_table, which is short",
        )
    kernel = Kernel(geometry)
    found = sorted(
        {
            (_place(output, geometry.out_shape), _place(source, geometry.in_shape)): kernel.colour(
                tap
            )
            for output, source, tap in links(geometry)
        }.items()
    )
    places = tuple((c, r, n) if transpose else (r, c, n) for (r, c), n in found)
    rows, columns = math.prod(geometry.out_shape), math.prod(geometry.in_shape)
    name, shape = ("C.T", (columns, rows)) if transpose else ("C", (rows, columns))
    alt = f"where the {shape[0]} x {shape[1]} matrix {name} is not zero: {len(places)} places"
    return Sparsity(shape, places, name, kernel.count, alt)


def array_table(
    values: Any,
    *,
    name: str = "",
    shown: Mapping[tuple[int, ...], int] | None = None,
    taps: int = 0,
    faint: frozenset[tuple[int, int]] = frozenset(),
    most: int = MOST_SHOWN,
) -> Table:
    """An array of one or two axes as squares.

    Args:
        values: nested lists, or an array, of numbers or expressions.
        name: what it is called.
        shown: a colour for some of its elements, by their index.
        taps: how many colours there are in all.
        faint: (row, column) of elements that are there for orientation only.
        most: rows and columns that are shown, at least 3.

    Returns:
        A table without brackets; an array of one axis is its only row.

    Raises:
        GeometryError: if it is no array of one or two axes, or more than 65,536 cells would be
            shown.

    Examples:
        >>> array_table([1, 2, 3]).shape
        (1, 3)
    """
    check_count("most", most, 3)
    checked_text("name", name)
    if not isinstance(shown, Mapping | None):
        fail(
            "shown",
            Described(f"{type(shown).__name__} object"),
            "it must tell a colour by an index",
            "give a dict such as {(0, 1): 0}",
        )
    if not isinstance(faint, frozenset | set):
        fail(
            "faint",
            Described(f"{type(faint).__name__} object"),
            "it must be a set of places",
            "give one such as frozenset({(0, 1)})",
        )
    grid, count, width, one = _grid(values)
    check_cells(min(count, most), min(width, most))
    rows, columns = kept(count, most), kept(width, most)
    colours = shown or {}

    def cell(row: int, column: int) -> Cell:
        if row < 0 or column < 0:
            return _dots(row, column)
        index = (column,) if one else (row, column)
        title, entry = f"{name} {_told(index)}".strip(), grid(row, column)
        # A zero of an array is written as one; the dot is for what a matrix has no entry for.
        entry = "0" if not isinstance(entry, str) and entry == 0 else entry
        return Cell(entry, colours.get(index), title, (row, column) in faint)

    cells = tuple(tuple(cell(r, c) for c in columns) for r in rows)
    alt = f"{name or 'an array'}, {count} x {width}"
    return Table(cells, name, brackets=False, taps=taps, alt=alt)


def links_picture(geometry: Geometry) -> Linked:
    """Input, kernel and output side by side, with a line for each product of the convolution.

    Args:
        geometry: one channel each way, one or two axes, and at most 400 products.

    Returns:
        Three tables; each output element is tied to each input element that it meets, in the colour
        of the tap.

    Raises:
        GeometryError: if it has channels, more axes or more products.

    Examples:
        >>> len(links_picture(Geometry.of_conv((1, 5), (1, 1, 3), stride=2)).links)
        6
    """
    check_geometry(geometry)
    if geometry.rank > 2 or geometry.in_channels != 1 or geometry.out_channels != 1:
        fail(
            "geometry",
            Described(f"{geometry.in_shape} to {geometry.out_shape}"),
            "links are drawn between arrays of one channel and of one or two axes",
            "draw one channel alone, or take conv_table",
        )
    # Counting them all takes time for each that there may be.
    many = _most_products(geometry) > MOST_LINKED**2
    found = [] if many else list(itertools.islice(links(geometry), MOST_LINKS + 1))
    if many or len(found) > MOST_LINKS:
        fail(
            "geometry",
            Described(f"{geometry.in_shape} to {geometry.out_shape}"),
            f"it has more than {MOST_LINKS} products, which make no picture",
            "take a smaller input",
        )
    sizes = (geometry.in_size, geometry.out_size, geometry.kernel_size)
    if max(map(math.prod, sizes)) > MOST_LINKED:
        fail(
            "geometry",
            Described(f"{geometry.in_shape} to {geometry.out_shape}"),
            f"an array in the picture has up to {MOST_LINKED} elements",
            "take a smaller input",
        )
    kernel = kernel_symbols(geometry)
    colours = {index[2:]: n for n, index in enumerate(kernel)}
    names = {index[2:]: name for index, name in kernel.items()}
    middle = _named(geometry.kernel_size, "w", names, colours)
    tables = (
        _named(geometry.in_size, "x", {}, {}),
        middle,
        _named(geometry.out_size, "y", {}, {}),
    )
    lines = tuple(
        Link((0, *_square(j[1:])), (2, *_square(i[1:])), colours[t[2:]]) for i, j, t in found
    )
    alt = (
        f"{len(lines)} products of the convolution of {_by(geometry.in_size)} with "
        f"{_by(geometry.kernel_size)} taps, each a line from an input element to an output "
        "element in the colour of its tap"
    )
    return Linked(tables, lines, alt)


# -- parts -----------------------------------------------------------------------------------------


def _named(
    sizes: tuple[int, ...],
    letter: str,
    names: Mapping[tuple[int, ...], Any],
    colours: Mapping[tuple[int, ...], int],
) -> Table:
    # One axis as a column, so that the lines between two of them do not lie on one another.
    rows, columns = sizes if len(sizes) == 2 else (sizes[0], 1)
    cells = tuple(
        tuple(
            Cell(
                names.get(index, symbol(letter, index)),
                colours.get(index),
                f"{letter} {_told(index)}",
            )
            for index in ((row,) if len(sizes) == 1 else (row, column) for column in range(columns))
        )
        for row in range(rows)
    )
    return Table(cells, letter, brackets=False, taps=len(colours), alt=f"{letter}, {_by(sizes)}")


def _most_products(geometry: Geometry) -> int:
    """As many products as a geometry has, or more where some meet the padding's zeros."""
    return (
        geometry.out_channels
        * geometry.kernel_shape[1]
        * math.prod(
            size * taps for size, taps in zip(geometry.out_size, geometry.kernel_size, strict=True)
        )
    )


def _grid(values: Any) -> tuple[Callable[[int, int], Any], int, int, bool]:
    """Its entries by row and column, how many there are of each, and whether it has one axis."""
    if isinstance(values, Sequence) and not isinstance(values, str):
        rows = values if values and isinstance(values[0], list | tuple) else [values]
        if any(not isinstance(row, Sequence) or len(row) != len(rows[0]) for row in rows):
            fail(
                "values",
                Described("nested lists of several lengths"),
                "each row of an array has as many elements as the first",
                "give them all",
            )
        return lambda row, column: rows[row][column], len(rows), len(rows[0]), rows is not values
    shape: tuple[Any, ...] = getattr(values, "shape", ())
    if len(shape) not in (1, 2):
        fail(
            "values",
            kind_of(values),
            "it must be an array of one or two axes",
            "give nested lists or an array, or take one slice of it",
        )
    array: Any = values.__array__() if hasattr(values, "device") else values  # JAX's are slow
    count, width = sides(values) if len(shape) == 2 else (1, int(shape[0]))

    def entry(row: int, column: int) -> Any:
        found = array[column] if len(shape) == 1 else array[row, column]
        return found.item() if hasattr(found, "item") else found

    return entry, count, width, len(shape) == 1


def _square(index: tuple[int, ...]) -> tuple[int, int]:
    return (index[0], 0) if len(index) == 1 else (index[0], index[1])


def _dots(row: int, column: int) -> Cell:
    if row < 0 and column < 0:
        return Cell(DOTS_DIAGONAL)
    return Cell(DOTS_DOWN if row < 0 else DOTS_ACROSS)


def _cuts(shown: Sequence[int], block: int) -> tuple[int, ...]:
    """Where a block ends among the indices that are shown."""
    return tuple(
        n + 1
        for n, (a, b) in enumerate(itertools.pairwise(shown))
        if min(a, b) >= 0 and block and a // block != b // block
    )


def _index(place: int, shape: Sequence[int]) -> tuple[int, ...]:
    """The index of an element from its place when the array is read row by row."""
    index = []
    for size in reversed(shape):
        place, n = divmod(place, size)
        index.append(n)
    return tuple(reversed(index))


def _place(index: Sequence[int], shape: Sequence[int]) -> int:
    place = 0
    for n, size in zip(index, shape, strict=True):
        place = place * size + n
    return place


def _told(index: Sequence[int]) -> str:
    return f"({', '.join(map(str, index))})"


def _by(sizes: Sequence[int]) -> str:
    return " x ".join(map(str, sizes))


def _plain(name: Any) -> str:
    return str(name).replace("_", " ")
