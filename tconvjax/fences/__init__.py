"""Matrices and pictures of convolutions in Markdown: a ``tconv`` fence, and TeX as MathML.

Both are rendered while a page is made, and the page needs no script for them:

    markdown_extensions:
      - tconvjax.fences
      - pymdownx.superfences:
          custom_fences:
            - name: tconv
              class: tconv
              format: !!python/name:tconvjax.fences.format
              validator: !!python/name:tconvjax.fences.validator

A Markdown extension and a fence of superfences, and no plugin of MkDocs, so that other builders of
sites can use them too. Nothing of a page is evaluated: numbers are read as numbers, names are
compared with those that are known.
"""

from tconvjax.fences.extension import makeExtension
from tconvjax.fences.fence import format, validator
from tconvjax.fences.tex import tex_to_mathml
from tconvjax.fences.views import VIEWS

__all__ = ["VIEWS", "format", "makeExtension", "tex_to_mathml", "validator"]
