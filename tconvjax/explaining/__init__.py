"""One transposed convolution seen four ways, step by step, with a check that all four agree.

`explain` returns data: words and documents in order, `stamp_sum` a picture, and `frames` the
documents of a moving picture. `tconvjax.rendering` draws them. `views.py` computes the views.
"""

from tconvjax.explaining.explanation import Explanation, explain, frames, stamp_sum

__all__ = ["Explanation", "explain", "frames", "stamp_sum"]
