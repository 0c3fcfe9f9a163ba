"""Transposed convolution for JAX: the exact transpose of a convolution, and why it is one."""

import tconvjax.shown as _shown
from tconvjax.acceleration import accelerate
from tconvjax.adjoint import assert_adjoint
from tconvjax.algorithms import ALGORITHMS, Candidate, Plan, plan, select_algorithm
from tconvjax.errors import GeometryError
from tconvjax.geometry import Axis, Geometry, in_sizes, links, out_size
from tconvjax.operations import conv, conv_transpose, kernel_gradient

__version__ = "0.1.0"

__all__ = [
    "ALGORITHMS",
    "Axis",
    "Candidate",
    "Geometry",
    "GeometryError",
    "Plan",
    "accelerate",
    "assert_adjoint",
    "conv",
    "conv_transpose",
    "in_sizes",
    "kernel_gradient",
    "links",
    "out_size",
    "plan",
    "select_algorithm",
]


def _load_printers() -> object:
    """The printers, for a notebook that shows an object; they need SymPy."""
    from tconvjax.rendering import notebook

    return notebook


_shown.show_with(_load_printers)
