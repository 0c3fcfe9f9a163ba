"""Entries as short text: what the printers of text and of pictures write in a cell."""

from __future__ import annotations

from typing import Any

import sympy

from tconvjax.rendering.checks import clean
from tconvjax.rendering.document import DOTS_ACROSS, FIRST_TERMS, MOST_TERMS, Abridged

MOST_LETTERS = 64
"""Letters of an entry; the middle of more is left out."""

LEAST_DECIMAL, MOST_PLACES = 1000, 18
"""Denominators from here on are written as decimals where these end after so many places."""

MOST_BITS = 4096
"""Of a whole number that is written with all its digits."""


def label(entry: Any) -> str:
    """An entry: a dot for zero, w01 for w_0_1 and for w[0, 1] (w1,10 where a digit is in doubt).

    Args:
        entry: a number, a SymPy expression, a sum that is abridged, or text.

    Returns:
        One line of letters that can be seen; of a sum of many terms the first and the last.
    """
    if isinstance(entry, str):
        return clean(entry)
    entry = abridged(entry)
    if isinstance(entry, Abridged):
        return " + ".join([*map(label, entry.first), DOTS_ACROSS, *map(label, entry.last)])
    if entry == 0:
        return "·"
    if isinstance(entry, float | sympy.Float):
        return f"{float(entry):g}"
    if isinstance(entry, int | sympy.Integer):
        return _whole(int(entry))
    if isinstance(entry, sympy.Rational):
        return _fraction(entry)
    if isinstance(entry, sympy.Symbol):
        return _with_index(*entry.name.split("_"))
    if isinstance(entry, sympy.Indexed):
        if all(index.is_Integer for index in entry.indices):
            return _with_index(entry.base.name, *map(str, entry.indices))
        return clean(f"{entry.base.name}[{', '.join(map(label_of_index, entry.indices))}]")
    return clean(_written(entry))


def label_of_index(index: Any) -> str:
    """An index, a zero as one."""
    return "0" if index == 0 else label(index)


def short(entry: Any, most: int = MOST_LETTERS) -> str:
    """An entry's label, the middle left out where it has more letters."""
    return shorten(label(entry), min(most, MOST_LETTERS))


def shorten(text: str, most: int) -> str:
    """Text of at most so many letters, dots in place of its middle; a sum is cut between terms."""
    if len(text) <= most:
        return text
    head, _, tail = text.partition(f" {DOTS_ACROSS} ")
    if not tail:
        head, _, tail = text.rpartition(" ")
        sign = head[-2:] if head[-2:] in (" +", " -") else ""
        head, tail = head.removesuffix(sign), f"{sign[1:]} {tail}" if sign else ""
    while tail and " " in head:
        head = head.rpartition(" ")[0]
        cut = f"{head} {DOTS_ACROSS} {tail}"
        if len(cut) <= most and head[-1:] in "+-":
            return cut
    if most < 3:
        return "…"[:most]
    back = (most - 1) // 2
    return f"{text[: most - 1 - back]}…{text[-back:]}"


def abridged(entry: Any) -> Any:
    """A sum of many terms without its middle; anything else as it is."""
    if not isinstance(entry, sympy.Add) or len(entry.args) <= MOST_TERMS:
        return entry
    return Abridged(entry.args[:FIRST_TERMS], entry.args[-1:], len(entry.args))


def _whole(number: int) -> str:
    """Python refuses to write thousands of digits, and nobody reads them."""
    return str(number) if number.bit_length() <= MOST_BITS else str(sympy.Float(number, 6))


def _fraction(fraction: sympy.Rational) -> str:
    """A fraction of long numbers as the decimal number that somebody wrote, if it is one."""
    top, bottom = int(fraction.p), int(fraction.q)
    if max(top.bit_length(), bottom.bit_length()) > MOST_BITS:
        return str(sympy.Float(fraction, 6))
    text = f"{top}/{bottom}"
    if bottom < LEAST_DECIMAL or 10**MOST_PLACES % bottom:
        return text
    digits = str(abs(top) * (10**MOST_PLACES // bottom)).rjust(MOST_PLACES + 1, "0")
    decimal = f"{'-' * (top < 0)}{digits[:-MOST_PLACES]}.{digits[-MOST_PLACES:].rstrip('0')}"
    return min(decimal, text, key=len)


def _written(entry: Any) -> str:
    """An expression in SymPy's words, its symbols named like those of the kernel."""
    atoms = entry.atoms(sympy.Symbol, sympy.Indexed) if isinstance(entry, sympy.Basic) else ()
    try:
        if not atoms:
            return str(entry)
        return str(entry.xreplace({atom: sympy.Symbol(label(atom)) for atom in atoms}))
    except ValueError:  # a number in it has thousands of digits
        return str(sympy.N(entry, 6))


def _with_index(letter: str, *index: str) -> str:
    return clean(letter + ("" if all(len(i) == 1 for i in index) else ",").join(index))
