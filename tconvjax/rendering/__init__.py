"""Matrices, arrays and whole explanations as text, LaTeX, MathML, HTML, SVG and CSV.

One small algebra of documents (`Words`, `Equation`, `Table`, `Sparsity`, `Linked`, `Beside` and
`Stack`), and a printer for each format, which prints every document.
"""

from tconvjax.rendering.csv import to_csv
from tconvjax.rendering.derivations import derivation_document
from tconvjax.rendering.document import (
    Abridged,
    Beside,
    Cell,
    Document,
    Equation,
    Link,
    Linked,
    Sparsity,
    Stack,
    Table,
    Words,
    stack,
)
from tconvjax.rendering.heat import heat_table
from tconvjax.rendering.html import to_html
from tconvjax.rendering.latex import matrix_latex, to_latex
from tconvjax.rendering.mathml import to_mathml
from tconvjax.rendering.svg import to_animation, to_svg
from tconvjax.rendering.tables import (
    array_table,
    conv_table,
    links_picture,
    matrix_table,
    sparsity,
)
from tconvjax.rendering.text import matrix_text, to_text

__all__ = [
    "Abridged",
    "Beside",
    "Cell",
    "Document",
    "Equation",
    "Link",
    "Linked",
    "Sparsity",
    "Stack",
    "Table",
    "Words",
    "array_table",
    "conv_table",
    "derivation_document",
    "heat_table",
    "links_picture",
    "matrix_latex",
    "matrix_table",
    "matrix_text",
    "sparsity",
    "stack",
    "to_animation",
    "to_csv",
    "to_html",
    "to_latex",
    "to_mathml",
    "to_svg",
    "to_text",
]
