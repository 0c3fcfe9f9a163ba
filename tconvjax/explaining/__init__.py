"""One transposed convolution seen four ways, step by step, with a check that all four agree.

`explain` returns data: words and documents in order. `tconvjax.rendering` draws them. The views are
computed in `views.py`; `part.py` chooses what is shown of a layer that is too large.
"""

from tconvjax.explaining.explanation import Explanation, explain

__all__ = ["Explanation", "explain"]
