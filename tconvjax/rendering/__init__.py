"""Matrices, arrays and whole explanations as text, LaTeX, MathML, HTML, SVG and CSV.

One small algebra of documents (`Words`, `Row`, `Table`, `Sparsity`, `Linked` and `Stack`), and a
printer for each format, which prints every document and whatever `as_document` makes one of.
`tables` draws C entry by entry, `diagrams` draws it as dots.
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
