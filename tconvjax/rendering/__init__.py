"""Matrices, arrays and whole explanations as text, LaTeX, MathML, HTML, SVG and CSV.

`tables.py` draws C: its entries as a table, its non-zeros as dots, its products as lines. What it
makes are documents (`document.py`); `values.py` makes one of everything else that can be looked at
(`as_document`). Each format has a file of its name, which prints every document.
"""

from tconvjax.rendering.document import Cell, Row, Stack, Table, Words
from tconvjax.rendering.html import to_html
from tconvjax.rendering.latex import to_latex
from tconvjax.rendering.mathml import to_mathml
from tconvjax.rendering.svg import to_animation, to_svg
from tconvjax.rendering.tables import (
    array_table,
    conv_table,
    heat_table,
    links_picture,
    matrix_table,
    sparsity,
)
from tconvjax.rendering.text import to_csv, to_text
from tconvjax.rendering.values import as_document, derivation_document

__all__ = [
    "Cell",
    "Row",
    "Stack",
    "Table",
    "Words",
    "array_table",
    "as_document",
    "conv_table",
    "derivation_document",
    "heat_table",
    "links_picture",
    "matrix_table",
    "sparsity",
    "to_animation",
    "to_csv",
    "to_html",
    "to_latex",
    "to_mathml",
    "to_svg",
    "to_text",
]
