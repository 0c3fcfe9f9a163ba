"""What may be shown, and text that may stand anywhere: what every printer asks first."""

from __future__ import annotations

import math
import unicodedata
from typing import Any, NoReturn
from xml.etree import ElementTree as ET

import numpy as np
import sympy

from tconvjax.errors import Described, fail, kind_of

LEAST_WIDTH = 7
"""Columns of a terminal in which the first and the last column of a matrix have room."""

MOST_CELLS = 65_536
"""Cells of a table."""

MOST_HELD = 4_000_000
"""Entries of a sparse matrix that is made dense to be read."""

_UNSEEN = "�"
_HIDDEN = {"Cc", "Cs", "Cn"}
_TURNS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of what follows, so that a reader sees another order."""


def clean(text: str) -> str:
    """Text in one line without control characters, lone surrogates and the like.

    They would reach the terminal as commands, break a table, or make XML that no parser reads.
    White space becomes a space, the rest U+FFFD, so that nothing is lost without a trace.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_clean_letter, text))


def _clean_letter(letter: str) -> str:
    if letter.isspace():
        return " "
    return _UNSEEN if unicodedata.category(letter) in _HIDDEN or letter in _TURNS else letter


def xml(root: ET.Element) -> str:
    """An element as text that is well-formed XML and HTML alike, whatever its texts hold."""
    for element in root.iter():
        element.text = element.text and clean(element.text)
        element.tail = element.tail and clean(element.tail)
        for name, value in element.attrib.items():
            element.set(name, clean(value))
    return ET.tostring(root, encoding="unicode", short_empty_elements=False)


# -- what is asked for -----------------------------------------------------------------------------


def no_document(document: Any) -> NoReturn:
    """Refuse what no printer knows."""
    fail(
        "document",
        kind_of(document),
        "it must be a document of tconvjax.rendering",
        "make one with conv_table, matrix_table or array_table",
    )


def check_count(argument: str, value: Any, least: int) -> None:
    """Refuse what is no whole number of at least so many."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        fail(argument, value, f"it must be a whole number of at least {least}", "give an int")


def check_flag(argument: str, value: Any) -> None:
    """Refuse what is neither true nor false."""
    if not isinstance(value, bool | np.bool_):
        fail(
            argument,
            Described(f"{type(value).__name__} object"),
            "it must be True or False",
            "give one of them",
        )


def checked_text(argument: str, value: Any) -> str:
    """Text as it is; anything else is refused."""
    if not isinstance(value, str):
        fail(argument, value, "it must be text", "give a str")
    return value


def check_cells(rows: int, columns: int) -> None:
    """Refuse a table that nobody reads."""
    if rows * columns > MOST_CELLS:
        fail(
            "most",
            Described(f"{rows} rows and {columns} columns"),
            f"a table has at most {MOST_CELLS} cells",
            "give a smaller one, or take to_csv or tconvjax.matrices",
        )


def check_frames(frames: Any, seconds: Any) -> None:
    """Refuse what cannot be shown one after another."""
    if not isinstance(frames, list | tuple) or not frames:
        fail(
            "frames",
            kind_of(frames),
            "they must be one document or more",
            "give a list of documents",
        )
    number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not number or not math.isfinite(seconds) or seconds <= 0:
        fail("seconds", seconds, "it must be a number above 0", "give one such as 1.2")


# -- matrices --------------------------------------------------------------------------------------


def sides(matrix: Any) -> tuple[int, int]:
    """Rows and columns of anything that has them in numbers."""
    shape = getattr(matrix, "shape", None)
    if not isinstance(shape, tuple) or len(shape) != 2:
        fail(
            "matrix",
            kind_of(matrix),
            "it must have a shape of two sizes",
            "give a matrix of SymPy's, or an array of two axes",
        )
    try:
        rows, columns = (int(side) for side in shape)
    except (TypeError, ValueError):
        fail(
            "matrix",
            Described(f"matrix of shape {shape}"),
            "its sizes must be numbers",
            "put numbers in their places with .subs",
        )
    return rows, columns


def readable(matrix: Any) -> Any:
    """A matrix as what can be read at ``[row, column]``: other libraries' sparse ones as arrays."""
    rows, columns = sides(matrix)
    if isinstance(matrix, sympy.MatrixBase | sympy.MatrixExpr):
        return matrix
    dense = getattr(matrix, "todense", None) or getattr(matrix, "__array__", None)
    if isinstance(matrix, np.ndarray) or dense is None:
        return matrix
    if rows * columns <= MOST_HELD:
        return np.asarray(dense())
    if not hasattr(matrix, "tocsr"):
        fail(
            "matrix",
            Described(f"{type(matrix).__name__} of {rows} x {columns}"),
            f"more than {MOST_HELD} entries are read from SymPy's and SciPy's matrices and "
            "NumPy's arrays only",
            "convert it",
        )
    return matrix.tocsr()
