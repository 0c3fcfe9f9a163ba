"""One transposed convolution seen four ways, step by step, with a check that all four agree.

`explain` returns data: words and documents in order, and `stamp_sum` and `matrix_columns` a picture
each. `tconvjax.rendering` draws them. The views are
computed in `views.py`; `part.py` chooses what is shown of a layer that is too large.
"""

from tconvjax.explaining.explanation import Explanation, explain, matrix_columns, stamp_sum

__all__ = ["Explanation", "explain", "matrix_columns", "stamp_sum"]
