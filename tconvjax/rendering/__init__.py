"""Matrices, arrays and whole explanations as text, LaTeX, MathML, HTML, SVG and CSV.

How something looks is decided by the printer of the format, a file of its name: `svg.py`,
`html.py`, `latex.py`, `mathml.py`, `text.py`. What they print are documents (`document.py`).
`tables.py` says what a document of C holds: its entries, its non-zeros, its products. `values.py`
makes a document of everything else that can be looked at (`as_document`).
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
