"""Telling a real difference from what rounding leaves of zero."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sympy


def epsilon(values: Iterable[Any]) -> float | None:
    """The spacing of floats at 1 in the coarsest of the numbers; None if all are exact."""
    floats = (number for value in values for number in value.atoms(sympy.Float))
    least = min((number._prec for number in floats), default=None)
    return None if least is None else 2.0 ** (1 - least)


def magnitudes(products: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """For each power product of symbols the sum of |a| |b| over the products that reach it."""
    sizes: dict[Any, Any] = {}
    for a, b in products:
        for p, m in _terms(a).items():
            for q, n in _terms(b).items():
                number, symbols = sympy.expand(p * q).as_coeff_Mul()
                sizes[symbols] = sizes.get(symbols, 0) + abs(m * n * number)
    return sizes


def vanishes(difference: Any, sizes: Mapping[Any, Any], count: int, spacing: float | None) -> bool:
    """Whether an expanded difference of two sums of ``count`` products may be 0.

    To first order, a sum of n products in floats is off by at most n epsilon times the sum of the
    absolute products, in whatever order it is added up. So two such sums differ by at most twice
    that; one more epsilon for each covers what is of second order.

    Args:
        difference: the expanded difference.
        sizes: `magnitudes` of the products.
        count: the number of products.
        spacing: `epsilon` of their factors; None if the difference must be exactly 0.
    """
    if difference == 0 or spacing is None:
        return bool(difference == 0)
    most = 2 * (count + 1) * spacing
    return all(abs(c) <= most * sizes.get(term, 0) for term, c in _terms(difference).items())


def _terms(value: Any) -> Mapping[Any, Any]:
    """From power products of symbols to their coefficients."""
    found: Mapping[Any, Any] = sympy.expand(value).as_coefficients_dict()
    return found
