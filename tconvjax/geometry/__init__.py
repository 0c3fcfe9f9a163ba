"""The integers of a convolution: sizes, steps, borders, and which elements belong together.

Everything else in the package reads this one. It needs the standard library only.

For one axis the forward convolution pairs output element ``i``, input element ``j`` and kernel
tap ``t`` exactly when

    j = stride * i + dilation * t - low

and that single relation (`Axis.links`) generates the matrix of the convolution, its
transpose, every algorithm and every figure. ``in_size`` and ``out_size`` always belong to the
*forward* convolution; a transposed convolution reads ``out_size`` elements and gives ``in_size``.
"""

from tconvjax.geometry.axis import Axis
from tconvjax.geometry.geometry import Geometry, check_geometry, links, taps_between
from tconvjax.geometry.sizes import in_sizes, out_size

__all__ = ["Axis", "Geometry", "check_geometry", "in_sizes", "links", "out_size", "taps_between"]
