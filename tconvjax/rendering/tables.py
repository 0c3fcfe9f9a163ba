"""What is shown of C: its entries as a table, its non-zeros as dots, its products as lines.

Other matrices and arrays become tables too. Large ones are abbreviated before anything is computed.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import sympy

from tconvjax.arguments import flag, text, whole
from tconvjax.errors import Described, fail, kind_of
from tconvjax.geometry import Geometry, check_geometry, links, taps_between
from tconvjax.geometry.padding import source
from tconvjax.rendering.document import (
    Cell,
    Link,
    Linked,
    Sparsity,
    Table,
    by,
    coordinates,
    dots,
    kept,
)
from tconvjax.symbolic.matrix import cells, check_size, products_of, shape_of
from tconvjax.symbolic.names import as_array, as_entry, symbol, tap_symbol

MOST_SHOWN = 32
"""Default for the rows and columns of a table; of a larger matrix the middle is left out."""

MOST_TERMS = 32
"""Maximum terms of a sum that are all shown."""

MOST_CELLS = 65_536
"""Maximum cells of a table."""

MOST_ENTRIES = 4_000_000
"""Maximum entries of a matrix that is read whole, zeros included."""

MOST_DOTS = 20_000
"""Maximum dots of a picture of where a matrix is not zero."""

MOST_LINKS = 400
"""Maximum lines of a picture of links, those to zeros of the padding included, and elements of an
array in it."""

LEVELS = 64
"""Shades from the least amount to the largest."""


def conv_table(
    geometry: Geometry, kernel: Any = None, *, transpose: bool = False, most: int = MOST_SHOWN
) -> Table:
    """C, or C.T, as a table: a colour for each entry of the kernel, lines between its blocks.

    Only the cells that are shown are computed, so a large matrix costs no more than a small one.

    Args:
        geometry: any geometry.
        kernel: as in `symbolic.conv_matrix`; None for symbols, an IndexedBase for symbols of its
            letter.
        transpose: whether to show C.T instead of C.
        most: maximum number of rows and of columns, at least 3; dots replace those left out.

    Returns:
        A table of at most ``most`` rows and columns. If columns are cut, those shown are the first,
        the last, and some that are not zero in a row that is shown. Where the border brings more
        than 32 symbols to one element, its entry is the sum of the first 32 and the last.

    Raises:
        GeometryError: if the kernel has another shape, or more than 65,536 cells would be shown.

    Examples:
        >>> conv_table(Geometry.of_conv((1, 4, 4), (1, 1, 3, 3))).shape
        (4, 16)
        >>> conv_table(Geometry.of_conv((1, 512, 512), (1, 1, 3, 3))).shape
        (32, 32)
    """
    check_geometry(geometry)
    transpose, most = flag("transpose", transpose), whole("most", most, 3)
    letter = str(kernel.label) if isinstance(kernel, sympy.IndexedBase) else "w"
    named = kernel is None or isinstance(kernel, sympy.IndexedBase)
    array = None if named else as_array("kernel", kernel, geometry.kernel_shape)
    shapes, counts = (geometry.out_shape, geometry.in_shape), shape_of(geometry)
    _check_cells(counts, most)
    rows, full = kept(counts[0], most), set[int]()
    if counts[1] > most:
        full = {n for row in rows if row >= 0 for n in _reached(geometry, row, most)}
    columns = kept(counts[1], most, sorted(full))

    def cell(row: int, column: int) -> Cell:
        output, origin = _index(row, shapes[0]), _index(column, shapes[1])
        taps = taps_between(geometry, output, origin)
        if not taps:
            return Cell(sympy.Integer(0))
        ends = taps if len(taps) <= 4 else [*taps[:3], taps[-1]]
        through = [tap_symbol(geometry, tap, letter).name.replace("_", " ") for tap in ends]
        through[3:3] = ["..."] if len(taps) > 4 else []
        title = f"{' + '.join(through)}: output {coordinates(output)}, input {coordinates(origin)}"
        if array is None:
            few = taps[:MOST_TERMS] + taps[MOST_TERMS:][-1:]  # no printer shows more of a long sum
            entry = sympy.Add(*(tap_symbol(geometry, tap, letter) for tap in few))
        else:
            entry = sympy.Add(*(as_entry("kernel", array[tap]) for tap in taps))
        return Cell(entry, place(taps[0], geometry.kernel_shape), title)

    cells = grid(cell, rows, columns)
    blocks = [math.prod(shape[2:]) if len(shape) > 2 else shape[1] for shape in shapes]
    cuts = [_cuts(shown, block) for shown, block in zip((rows, columns), blocks, strict=True)]
    name, sizes, what = "C", counts, "convolution"
    if transpose:
        name, sizes, what = "C.T", counts[::-1], "transposed convolution"
        cells, cuts = tuple(zip(*cells, strict=True)), cuts[::-1]
    ends = f"{by(geometry.in_size)} to {by(geometry.out_size)}"
    alt = f"{name}, the {by(sizes)} matrix of the {what} of {ends}"
    caption = f"{name}, {by(sizes)}" if max(counts) > most else name
    taps = math.prod(geometry.kernel_shape)
    return Table(cells, caption, cuts[0], cuts[1], taps=taps, alt=alt)


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
    transpose = flag("transpose", transpose)
    check_size(geometry, MOST_DOTS, products_of(geometry), "non-zero entries")
    found = {(m, n): place(tap, geometry.kernel_shape) for m, n, tap in cells(geometry)}
    name, shape = "C", shape_of(geometry)
    places = [(row, column, tap) for (row, column), tap in sorted(found.items())]
    if transpose:
        name, shape = "C.T", shape[::-1]
        places = [(row, column, tap) for column, row, tap in places]
    alt = f"where the {by(shape)} matrix {name} is not zero: {len(places)} places"
    return Sparsity(shape, tuple(places), name, math.prod(geometry.kernel_shape), alt)


def links_picture(geometry: Geometry) -> Linked:
    """Input, kernel and output side by side, with a line for each product of the convolution.

    Args:
        geometry: one channel each way, one or two axes, and at most 400 products and elements.

    Returns:
        Three tables; a line in the colour of the tap joins each output element to each input
        element that it reads.

    Raises:
        GeometryError: if it has channels, more axes, products or elements.

    Examples:
        >>> len(links_picture(Geometry.of_conv((1, 5), (1, 1, 3), stride=2)).links)
        6
    """
    if check_geometry(geometry).rank > 2 or geometry.in_channels != 1 or geometry.out_channels != 1:
        shown = Described(f"{geometry.in_shape} to {geometry.out_shape}")
        rule = "links are drawn between arrays of one channel and of one or two axes"
        fail("geometry", shown, rule, "draw one channel alone, or take conv_table")
    check_size(geometry, MOST_LINKS, what="products or elements")
    sizes = (geometry.in_size, geometry.kernel_size, geometry.out_size)
    tables = tuple(_named(size, letter) for size, letter in zip(sizes, "xwy", strict=True))
    # A single axis is drawn as a column, so an index without its channel gets a column of 0.
    lines = tuple(
        Link((*j, 0)[1:3], (*i, 0)[1:3], place(t, geometry.kernel_shape))  # type: ignore[arg-type]
        for i, j, t in links(geometry)
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


# -- other matrices and arrays ---------------------------------------------------------------------


def matrix_table(
    matrix: Any, *, name: str = "", taps: Sequence[Any] | None = None, most: int = MOST_SHOWN
) -> Table:
    """Any matrix as a table.

    Args:
        matrix: a matrix of SymPy, SciPy, NumPy or JAX, or anything with ``shape`` and
            ``matrix[row, column]``.
        name: a caption.
        taps: expressions that have a colour each, in order; None for the symbols that are entries
            of a SymPy matrix with several columns.
        most: maximum number of rows and of columns, at least 3; dots replace those left out.

    Returns:
        A table of at most ``most`` rows and columns.

    Raises:
        GeometryError: if it is no matrix, a size is a symbol, or more than 65,536 cells would be
            shown.

    Examples:
        >>> matrix_table(sympy.eye(2)).shape
        (2, 2)
    """
    name, most = text("name", name), whole("most", most, 3)
    rows, columns, held = read_matrix("matrix", matrix)
    _check_cells((rows, columns), most)
    if taps is None:
        taps = symbols_of(held)
    elif isinstance(taps, str) or not isinstance(taps, Sequence):
        fail("taps", kind_of(taps), "it must be a sequence of expressions", "give a tuple of them")
    try:
        colours = {tap: n for n, tap in enumerate(taps)}
    except TypeError:
        fail("taps", taps, "an expression must be hashable", "give SymPy expressions")

    def cell(row: int, column: int) -> Cell:
        entry = held[row, column]
        if not colours:  # the entry of an array may be unhashable
            return Cell(entry)
        parts = entry.args if isinstance(entry, sympy.Add) else (entry,)
        found = [colours[part] for part in parts if part in colours]
        return Cell(entry, min(found) if len(found) == len(parts) else None)

    shown, full = kept(rows, most), set[int]()
    if isinstance(held, sympy.MatrixBase) and columns > most:
        full = {n for row, n in held.todok() if row in shown}
    cells = grid(cell, shown, kept(columns, most, sorted(full)))
    sizes = by((rows, columns))
    caption = f"{name}, {sizes}".removeprefix(", ") if max(rows, columns) > most else name
    return Table(cells, caption, taps=len(colours), alt=f"{name or 'a matrix'} of shape {sizes}")


def array_table(values: Any, *, name: str = "", most: int = MOST_SHOWN) -> Table:
    """An array of one or two axes as squares.

    Args:
        values: nested lists, or an array, of numbers or expressions.
        name: a caption.
        most: maximum number of rows and of columns, at least 3; dots replace those left out.

    Returns:
        A table without brackets; an array of one axis is its only row.

    Raises:
        GeometryError: if it is no array of one or two axes, or more than 65,536 cells would be
            shown.

    Examples:
        >>> array_table([1, 2, 3]).shape
        (1, 3)
    """
    name, most = text("name", name), whole("most", most, 3)
    if isinstance(values, Sequence) and not isinstance(values, str):
        values = as_array("values", values)
        if any(isinstance(value, list | tuple) for value in values.flat):
            rule = "each row of an array has as many elements as the first"
            fail("values", Described("nested lists of several lengths"), rule, "fill them up")
    dimensions = len(getattr(values, "shape", ()))
    if dimensions not in (1, 2):
        rule = "it must be an array of one or two axes"
        fail("values", kind_of(values), rule, "give nested lists or an array, or one slice of it")
    one = dimensions == 1
    height, width, held = read_matrix("values", np.asarray(values)[None] if one else values)
    _check_cells((height, width), most)

    def cell(row: int, column: int) -> Cell:
        at, entry = (column,) if one else (row, column), held[row, column]
        entry = entry.item() if isinstance(entry, np.generic) else entry
        # The zero of an array is written as a digit; a dot means that a matrix has no entry there.
        entry = "0" if not isinstance(entry, str) and entry == 0 else entry
        return Cell(entry, title=f"{name} {coordinates(at)}".strip())

    cells = grid(cell, kept(height, most), kept(width, most))
    alt = f"{name or 'an array'}, {height} x {width}"
    return Table(cells, name, brackets=False, alt=alt)


def heat_table(values: Any, *, name: str = "", most: int = MOST_SHOWN) -> Table:
    """An array of one or two axes as squares, with a stronger wash where it holds more.

    shade(v) = round(63 * (v - least) / (largest - least)),  where least = min(0, smallest)

    Args:
        values: real numbers, such as the counts of `upsampling.overlap`.
        name: a caption.
        most: maximum number of rows and of columns, at least 3; dots replace those left out.

    Returns:
        A table in which equal amounts have equal grounds. Pointing at one lights all of them.

    Raises:
        GeometryError: if it is no array of one or two axes of real finite numbers, or more than
            65,536 cells would be shown.

    Examples:
        >>> [cell.tap for cell in heat_table([1, 2, 1, 4]).cells[0]]
        [16, 32, 16, 63]
    """
    try:
        numbers = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        rule, remedy = "a shade needs real numbers", "give an array of numbers, or use array_table"
        fail("values", kind_of(values), rule, remedy)
    if not np.isfinite(numbers).all():
        rule = "a shade needs finite numbers"
        fail("values", Described("array with inf or nan"), rule, "replace the others")
    least = min(0.0, float(numbers.min(initial=0)))
    reach = float(numbers.max(initial=least)) - least or 1.0

    def shaded(cell: Cell, amount: Cell) -> Cell:
        if not cell.title:  # dots
            return cell
        share = (float(amount.entry) - least) / reach
        return replace(cell, tap=round((LEVELS - 1) * share))

    table, amounts = (array_table(each, name=name, most=most) for each in (values, numbers))
    rows = zip(table.cells, amounts.cells, strict=True)
    cells = tuple(tuple(map(shaded, *row)) for row in rows)
    ends = f": from {numbers.min():g} to {numbers.max():g}" if numbers.size else ""
    return replace(table, cells=cells, taps=LEVELS, alt=table.alt + ends, shows="counts")


# -- reading ---------------------------------------------------------------------------------------


def read_matrix(argument: str, matrix: Any) -> tuple[int, int, Any]:
    """Rows, columns, and what ``[row, column]`` reads; foreign sparse matrices become arrays."""
    shape = getattr(matrix, "shape", None)
    if not isinstance(shape, tuple) or len(shape) != 2:
        rule = "it must have a shape of two sizes"
        fail(argument, kind_of(matrix), rule, "give a SymPy matrix, or an array of two axes")
    try:
        rows, columns = (int(side) for side in shape)
    except (TypeError, ValueError):
        remedy = "substitute numbers for the symbols with .subs"
        fail(argument, Described(f"matrix of shape {shape}"), "its sizes must be numbers", remedy)
    dense = getattr(matrix, "todense", None) or getattr(matrix, "__array__", None)
    if isinstance(matrix, sympy.MatrixBase | sympy.MatrixExpr | np.ndarray) or dense is None:
        return rows, columns, matrix
    if rows * columns <= MOST_ENTRIES:
        return rows, columns, np.asarray(dense())
    if not hasattr(matrix, "tocsr"):
        shown = Described(f"{kind_of(matrix)} of {rows} x {columns}")
        rule = f"beyond {MOST_ENTRIES} entries it must be a SymPy, SciPy or NumPy matrix"
        fail(argument, shown, rule, "convert it")
    return rows, columns, matrix.tocsr()


def natural(symbol: Any) -> list[Any]:
    """A key that sorts w_2 before w_10."""
    return [int(part) if part.isdecimal() else part for part in re.split(r"(\d+)", str(symbol))]


def _check_cells(sides: Sequence[int], most: int) -> None:
    sides = [min(side, most) for side in sides]
    if math.prod(sides) > MOST_CELLS:
        rule = f"a table has at most {MOST_CELLS} cells"
        remedy = "give a smaller one, or use to_csv or tconvjax.matrices"
        fail("most", Described(f"table of {by(sides)}"), rule, remedy)


def _reached(geometry: Geometry, row: int, most: int) -> set[int]:
    """Up to ``most`` of the first and of the last non-zero columns of a row of C."""
    o, *outputs = _index(row, geometry.out_shape)
    width = geometry.kernel_shape[1]
    first = o // (geometry.out_channels // geometry.groups) * width
    sides = [_ends(range(first, first + width), most)]
    for axis, i in zip(geometry.axes, outputs, strict=True):
        start = axis.stride * i - axis.low
        taps = _ends(range(axis.kernel_size), most)
        found = {source(axis.mode, start + axis.dilation * tap, axis.in_size) for tap in taps}
        sides.append(sorted(j for j in found if j is not None))
    ends = (itertools.product(*sides), itertools.product(*(side[::-1] for side in sides)))
    return {place(j, geometry.in_shape) for some in ends for j in itertools.islice(some, most)}


def _ends(numbers: range, most: int) -> list[int]:
    """The first and the last few of some numbers."""
    return sorted({*numbers[:most], *numbers[-most:]})


def symbols_of(*matrices: Any) -> list[Any]:
    """The symbols that are entries, or terms of entries, of matrices; a column has no colours."""
    several = [m for m in matrices if isinstance(m, sympy.MatrixBase) and m.cols > 1]
    values = itertools.chain(*(matrix.todok().values() for matrix in several))
    found = {term for entry in values for term in sympy.Add.make_args(entry)}
    named = (one for one in found if isinstance(one, sympy.Symbol | sympy.Indexed))
    return sorted(named, key=natural)


def grid(
    cell: Callable[[int, int], Cell], rows: Sequence[int], columns: Sequence[int]
) -> tuple[tuple[Cell, ...], ...]:
    """A cell for each row and column, dots where one is -1."""
    return tuple(
        tuple(cell(r, c) if r >= 0 and c >= 0 else Cell(dots(r, c)) for c in columns) for r in rows
    )


def _cuts(shown: Sequence[int], block: int) -> tuple[int, ...]:
    """Where a block ends among the indices that are shown."""
    return tuple(
        n + 1
        for n, (a, b) in enumerate(itertools.pairwise(shown))
        if min(a, b) >= 0 and block and a // block != b // block
    )


def place(at: Sequence[int], shape: Sequence[int]) -> int:
    """The place of an element when the array is read row by row."""
    place = 0
    for n, size in zip(at, shape, strict=True):
        place = place * size + n
    return place


def _index(place: int, shape: Sequence[int]) -> tuple[int, ...]:
    """The index of an element from its place."""
    found: list[int] = []
    for size in reversed(shape):
        place, n = divmod(place, size)
        found.append(n)
    return tuple(reversed(found))
