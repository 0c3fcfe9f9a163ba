"""The integers of a convolution: sizes, steps, borders, and which element meets which.

Everything else in the package reads this one. It needs the standard library only.

For one axis the forward convolution pairs output element ``i``, input element ``j`` and kernel
tap ``t`` exactly when

    j = stride * i + dilation * t - low

and that single relation (`Axis.links`) generates the matrix of the convolution, its
transpose, every algorithm and every figure. ``in_size`` and ``out_size`` always belong to the
*forward* convolution; a transposed convolution reads ``out_size`` elements and gives ``in_size``.
"""

from tconvjax.geometry.axis import (
    PADDING_MODES,
    Axis,
    GeometryError,
    PaddingMode,
    Words,
    check_numbers,
    fail,
    whole,
)
from tconvjax.geometry.checking import checked
from tconvjax.geometry.shapes import Geometry, Link, in_sizes, links, out_size
from tconvjax.geometry.spelling import (
    PADDING_NAMES,
    Ints,
    Padding,
    conv_pads,
    frozen,
    group_count,
    ints,
    pads,
)

__all__ = [
    "PADDING_MODES",
    "PADDING_NAMES",
    "Axis",
    "Geometry",
    "GeometryError",
    "Ints",
    "Link",
    "Padding",
    "PaddingMode",
    "Words",
    "check_numbers",
    "checked",
    "conv_pads",
    "fail",
    "frozen",
    "group_count",
    "in_sizes",
    "ints",
    "links",
    "out_size",
    "pads",
    "whole",
]
