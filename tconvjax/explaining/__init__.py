"""One transposed convolution seen four ways, step by step, with a check that all four agree.

`explain` gives data: words and documents in order. How they look is up to `tconvjax.rendering`.
"""

from tconvjax.explaining.explanation import VIEWS, Explanation, Seen, Step, View
from tconvjax.explaining.front import explain
from tconvjax.explaining.parts import MOST_PRODUCTS

__all__ = ["MOST_PRODUCTS", "VIEWS", "Explanation", "Seen", "Step", "View", "explain"]
