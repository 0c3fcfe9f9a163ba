"""One transposed convolution seen four ways, step by step, with a check that all four agree.

`explain` returns data: words and documents in order. `tconvjax.rendering` draws them.
"""

from tconvjax.explaining.explanation import VIEWS, Explanation, Seen, Step, View
from tconvjax.explaining.front import explain

__all__ = ["VIEWS", "Explanation", "Seen", "Step", "View", "explain"]
