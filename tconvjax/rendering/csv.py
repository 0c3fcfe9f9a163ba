"""Matrices as comma-separated values, every entry of them and every digit."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy
from mpmath.libmp import repr_dps, to_str
from sympy.printing.str import StrPrinter

from tconvjax.errors import Described, fail
from tconvjax.rendering.checks import clean, readable, sides
from tconvjax.rendering.labels import label

MOST_ENTRIES = 4_000_000

MOST_SYMBOLS = 250_000
"""Entries that SymPy writes, which takes it some seconds."""

MOST_DIGITS = 1000
"""Of a number: a fraction with more is written as the nearest float, a whole number is refused."""


def to_csv(matrix: Any) -> str:
    """A matrix as lines of comma-separated entries, nothing left out.

    Numbers are written so that ``numpy.loadtxt`` and the like read the same ones again: floats with
    as many digits as tell them apart, fractions as decimal numbers where these end (1/4 as 0.25)
    and otherwise as the nearest float (1/3 as 0.3333333333333333).

    Args:
        matrix: anything with ``shape`` and ``matrix[row, column]``, and sparse matrices of SciPy's
            and JAX's.

    Returns:
        A line for each row, 0 for a zero.

    Raises:
        GeometryError: if it is no matrix, a size is a symbol, it has more than 4,000,000 entries or
            more than 250,000 that are expressions, or a whole number has more than 1000 digits.

    Examples:
        >>> from tconvjax import Geometry, symbolic
        >>> print(to_csv(symbolic.conv_matrix(Geometry.of_conv((1, 3), (1, 1, 2)))), end="")
        w0,w1,0
        0,w0,w1
    """
    rows, columns = sides(matrix)
    if rows * columns > MOST_ENTRIES:
        _refuse(rows, columns, f"{MOST_ENTRIES} entries")
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    line = _lines(matrix, rows, columns)
    for row in range(rows):
        writer.writerow(line(row))
    return written.getvalue()


def _lines(matrix: Any, rows: int, columns: int) -> Callable[[int], list[str]]:
    """What gives the cells of a row."""
    if isinstance(matrix, sympy.MatrixBase | sympy.MatrixExpr):
        matrix = matrix.as_explicit() if isinstance(matrix, sympy.MatrixExpr) else matrix
        found: dict[int, dict[int, Any]] = {}
        for (row, column), entry in matrix.todok().items():
            found.setdefault(row, {})[column] = entry
        if sum(map(len, found.values())) > MOST_SYMBOLS:
            _refuse(rows, columns, f"{MOST_SYMBOLS} entries of SymPy's that are not zero")
        known: dict[Any, str] = {}  # a convolution has few entries, many times
        return lambda row: _sparse_row(found.get(row, {}), columns, known)
    held = readable(matrix)
    if isinstance(held, np.ndarray) and held.dtype.kind in "iuf":
        return lambda row: ["0" if entry == 0 else str(entry) for entry in held[row]]
    if rows * columns > MOST_SYMBOLS and not isinstance(held, np.ndarray):
        _refuse(rows, columns, f"{MOST_SYMBOLS} entries that are read one by one")
    return lambda row: [exactly(held[row, column]) for column in range(columns)]


def _refuse(rows: int, columns: int, limit: str) -> None:
    fail(
        "matrix",
        Described(f"{rows} x {columns}"),
        f"{limit} are the limit",
        "save it sparse: tconvjax.matrices.conv_matrix and scipy.sparse.save_npz",
    )


def _sparse_row(entries: dict[int, Any], columns: int, known: dict[Any, str]) -> list[str]:
    cells = ["0"] * columns
    for column, entry in entries.items():
        text = known.get(entry)
        if text is None:
            text = known[entry] = exactly(entry)
        cells[column] = text
    return cells


# -- numbers with all their digits -----------------------------------------------------------------


def exactly(entry: Any) -> str:
    """An entry with every digit that it has."""
    if isinstance(entry, str):
        return clean(entry)
    if isinstance(entry, bool | np.bool_):
        return str(int(entry))
    if isinstance(entry, sympy.Basic):
        return _expression(entry)
    if isinstance(entry, int):
        return _whole(entry)
    if isinstance(entry, complex | np.complexfloating):
        return "0" if entry == 0 else _complex(entry.real, entry.imag)
    if isinstance(entry, float | np.floating | np.integer):
        return "0" if entry == 0 else str(entry)
    return "0" if entry == 0 else _decimal(entry) if _is_fraction(entry) else clean(str(entry))


def _expression(entry: sympy.Basic) -> str:
    if entry in (sympy.true, sympy.false):
        return str(int(bool(entry)))
    if isinstance(entry, sympy.Integer):
        return _whole(int(entry))
    if isinstance(entry, sympy.Rational):
        return _decimal(entry)
    if isinstance(entry, sympy.Float):
        return _float(entry)
    if entry in (sympy.oo, -sympy.oo, sympy.nan, sympy.zoo):
        return {sympy.oo: "inf", -sympy.oo: "-inf"}.get(entry, "nan")
    real, imaginary = entry.as_real_imag() if entry.is_number else (entry, sympy.Integer(0))
    numbers = (sympy.Rational, sympy.Float)
    if isinstance(real, numbers) and isinstance(imaginary, numbers) and imaginary != 0:
        return _complex(_expression(real), _expression(imaginary))
    if isinstance(entry, sympy.Symbol | sympy.Indexed):
        return label(entry)
    atoms = entry.atoms(sympy.Symbol, sympy.Indexed)
    named = entry.xreplace({atom: sympy.Symbol(label(atom)) for atom in atoms})
    return clean(_Printer().doprint(named))


class _Printer(StrPrinter):  # type: ignore[misc]  # SymPy has no types
    """SymPy's printer, with all digits of a float."""

    def _print_Float(self, expr: Any) -> str:
        return _float(expr)


def _whole(number: int) -> str:
    if abs(number) >= 10**MOST_DIGITS:
        fail(
            "matrix",
            Described("whole number with too many digits"),
            f"{MOST_DIGITS} digits are the limit",
            "make it a float",
        )
    return str(number)


def _is_fraction(entry: Any) -> bool:
    return hasattr(entry, "numerator") and hasattr(entry, "denominator")


def _decimal(fraction: Any) -> str:
    """A fraction as a decimal number where that ends, else as the nearest float."""
    top, bottom = int(fraction.numerator), int(fraction.denominator)
    twos = (bottom & -bottom).bit_length() - 1
    fives, rest = 0, bottom >> twos
    while rest % 5 == 0 and fives <= MOST_DIGITS:
        fives, rest = fives + 1, rest // 5
    places = max(twos, fives)
    if rest == 1 and places <= MOST_DIGITS:
        digits = _whole(abs(top) * 10**places // bottom).rjust(places + 1, "0")
        sign = "-" if top < 0 else ""
        return f"{sign}{digits[:-places]}.{digits[-places:]}" if places else f"{sign}{digits}"
    try:
        return repr(top / bottom)
    except OverflowError:
        return _whole(top // bottom)  # what is left out is less than any float can tell


def _float(number: sympy.Float) -> str:
    """As many digits as tell the number from its neighbours."""
    if number._prec <= 53 and (number == 0 or (math.isfinite(float(number)) and float(number))):
        return repr(float(number)) if number else "0"
    return str(to_str(number._mpf_, repr_dps(number._prec)))


def _complex(real: Any, imaginary: Any) -> str:
    sign = "" if str(imaginary).startswith("-") else "+"
    return f"{real}{sign}{imaginary}j"
