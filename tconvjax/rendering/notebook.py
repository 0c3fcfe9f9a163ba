"""What a notebook shows for a geometry and for a matrix whose sizes may be symbols."""

from __future__ import annotations

import math
from typing import Any

import sympy

from tconvjax.geometry import Geometry
from tconvjax.rendering.document import Document, Equation, Sparsity, Table, Words, stack
from tconvjax.rendering.html import to_html
from tconvjax.rendering.latex import to_latex
from tconvjax.rendering.svg import to_svg
from tconvjax.rendering.tables import MOST_DOTS, MOST_SHOWN, conv_table, sparsity
from tconvjax.symbolic import ConvolutionMatrix

MOST_SIDE = 2048
"""Rows or columns of a matrix whose entries are drawn as dots."""


def html(value: Any) -> str:
    """For a notebook in a browser."""
    return to_html(shown(value))


def latex(value: Any) -> str:
    """For a notebook that sets formulas, and for papers made of it."""
    return f"$\\displaystyle {to_latex(formula(value))}$"


def svg(value: Any) -> str:
    """For whoever prefers pictures."""
    return to_svg(shown(value))


def formula(value: Any) -> Document:
    """The matrix, or the rule of its entries where its sizes are symbols."""
    if isinstance(value, Geometry):
        return conv_table(value, most=16)
    if value.is_numeric:
        return conv_table(value.geometry, value.args[-1], most=16)
    return rule(value)


def shown(value: Any) -> Document:
    """The matrix if it can be read, where it is not zero if that can be seen, else its corners."""
    kernel = None
    if isinstance(value, ConvolutionMatrix):
        if not value.is_numeric:
            return rule(value)
        value, kernel = value.geometry, value.args[-1]
    sides = math.prod(value.out_shape), math.prod(value.in_shape)
    products = sides[0] * math.prod(value.kernel_shape[1:])
    large = max(sides) > MOST_SHOWN
    dots = large and max(sides) <= MOST_SIDE and products <= MOST_DOTS
    table: Sparsity | Table = sparsity(value) if dots else conv_table(value, kernel)
    return stack([Words(f"{table.alt[0].upper()}{table.alt[1:]}"), table])


def rule(matrix: ConvolutionMatrix, transpose: bool = False) -> Equation:
    """The equation of one entry of C, or of C.T."""
    i, j = matrix.entry_rule().lhs.indices
    name = sympy.Symbol("C.T" if transpose else "C")
    entry = matrix[j, i] if transpose else matrix[i, j]
    return Equation((sympy.Indexed(sympy.IndexedBase(name), i, j), "=", entry))
