"""Transposed convolution for JAX: the exact transpose of a convolution, and why it is one.

The submodules load when they are first used: ``import tconvjax as tc; tc.symbolic.conv_matrix``.
"""

import importlib
from typing import TYPE_CHECKING

import tconvjax.shown as _shown
from tconvjax.acceleration import accelerate, plain
from tconvjax.adjoint import assert_adjoint
from tconvjax.algorithms import ALGORITHMS
from tconvjax.algorithms.plan import Candidate, Plan
from tconvjax.algorithms.records import load_plans, save_plans
from tconvjax.errors import GeometryError
from tconvjax.geometry import Axis, Geometry, in_sizes, links, out_size
from tconvjax.operations import conv, conv_transpose, kernel_gradient
from tconvjax.tuning import plan, tune

if TYPE_CHECKING:
    from tconvjax import (  # noqa: F401 - attributes of this module for type checkers
        acceleration,
        conventions,
        explaining,
        layers,
        matrices,
        rendering,
        streaming,
        symbolic,
        upsampling,
    )

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
    "load_plans",
    "out_size",
    "plain",
    "plan",
    "save_plans",
    "tune",
]

_SUBMODULES = frozenset(
    {
        "acceleration",
        "conventions",
        "explaining",
        "layers",
        "matrices",
        "rendering",
        "streaming",
        "symbolic",
        "upsampling",
    }
)


def __getattr__(name: str) -> object:
    if name in _SUBMODULES:
        return importlib.import_module(f"tconvjax.{name}")
    raise AttributeError(f"module 'tconvjax' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *_SUBMODULES]


def _load_printers() -> object:
    """Load the printers for a notebook that shows an object; they need SymPy."""
    from tconvjax import rendering

    return rendering


_shown.show_with(_load_printers)
