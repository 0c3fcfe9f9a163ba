"""Decide whether this package runs a convolution of a program, and say why."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import jax
import jax.numpy as jnp

from tconvjax import operands
from tconvjax.acceleration.algebra import Assignment, Convolution, assignments
from tconvjax.algorithms.plan import estimated, planned
from tconvjax.layouts import ROLES, Recipe
from tconvjax.reference import one_sided

CLOSE = 2.0
"""On a CPU, of the ways whose estimates are within this factor of the least, the one with the
fewest taps is taken. It has the layer's own kernel, and shares copies with its other partials;
estimates that err have made kernels of whole images of layers with a single tap."""


def decide(equation: Any, nested: bool) -> tuple[Assignment | None, str, str]:
    """Decide about a ``conv_general_dilated``, perhaps in a loop, for the default backend.

    Returns how it is computed instead, the algorithm, and why; None and "" if it is left alone.
    """
    objection = _objection(equation)
    if objection:
        return None, "", objection
    ways = list(assignments(read(equation)))
    if not ways:
        return None, "", "stride, lhs_dilation and rhs_dilation are all above 1"
    if jax.default_backend() == "cpu":
        most = CLOSE * min(map(estimated_seconds, ways))
        way = min((way for way in ways if estimated_seconds(way) <= most), key=_taps)
        reason = _on_a_cpu(ways[0], nested)
        left = "XLA's fast convolution takes it as it is"
    else:
        way = min(ways, key=_taps)
        reason, left = _on_an_accelerator(way), planned(*_asked(way)).reason
    return (way, planned(*_asked(way)).algorithm, reason) if reason else (None, "", left)


# -- reading an equation ---------------------------------------------------------------------------


def _objection(equation: Any) -> str:
    """Why this package cannot run a convolution; "" if it can."""
    (lhs, rhs), (out,) = ([v.aval for v in vs] for vs in (equation.invars, equation.outvars))
    sizes = (*lhs.shape, *rhs.shape, *out.shape)
    kind: tuple[str, ...] = next((k for k in operands.KINDS if lhs.dtype.name in k), ())
    precision = equation.params["precision"]
    if lhs.ndim < 3:
        return "it has no spatial axis"
    if not all(isinstance(size, int) for size in sizes):
        return "a size is symbolic"
    if 0 in sizes:
        return "an array is empty"
    if lhs.dtype != rhs.dtype or out.dtype.name not in kind:
        return f"it makes {out.dtype} of {lhs.dtype} and {rhs.dtype}"
    if out.dtype.itemsize < lhs.dtype.itemsize:
        return f"it adds up in {out.dtype}, narrower than its operands"
    if isinstance(precision, tuple) and precision[0] != precision[1]:
        return "its operands have two precisions"
    if any(entry is not None for array in (lhs, rhs, out) for entry in array.sharding.spec):
        return "its arrays are split over explicit axes of a mesh"
    return ""


def read(equation: Any) -> Convolution:
    """Read the convolution of an equation."""
    lhs, rhs, out = (v.aval for v in (*equation.invars, *equation.outvars))
    names = {field.name for field in fields(Convolution)}
    own = {name: value for name, value in equation.params.items() if name in names}
    return Convolution((lhs.shape, rhs.shape, out.shape), lhs.dtype, out.dtype, **own)


# -- the choice ------------------------------------------------------------------------------------


def _asked(way: Assignment) -> tuple[Recipe, int]:
    """What is planned: a recipe for the default backend, and its batch size."""
    c = way.convolution
    recipe = replace(way.recipe, dtype=c.dtype, platform=jax.default_backend())
    return recipe, c.shape(way.roles[0])[recipe.specs.lhs_spec[0]]


def estimated_seconds(way: Assignment) -> float:
    """The estimate for a CPU; a measurement of one way says nothing of the others."""
    plan = estimated(*_asked(way))
    seconds = {c.algorithm: c.seconds for c in plan.candidates}[plan.algorithm]
    return math.inf if seconds is None else seconds


def _taps(way: Assignment) -> tuple[int, int]:
    """Taps and dilations of its kernel, which is the array with the fewest elements in space.

    Autodiff writes the gradient of a kernel as a convolution whose rhs is as large as the output of
    the layer, and whose result is the kernel.
    """
    geometry = way.recipe.geometry
    return math.prod(geometry.kernel_size), math.prod(geometry.dilation)


def _on_a_cpu(way: Assignment, nested: bool) -> str:
    """Why XLA does not run it fast on a CPU, given lhs as x and rhs as w; "" if it does.

    Its fast kernels take float32 over one or two axes without groups. With few channels, "patches"
    alone is up to four times faster there, but not within a model: a step of a HiFi-GAN took as
    long or longer (``benchmarks/acceleration.py``).
    """
    c = way.convolution
    if _spread(c):
        return "XLA is slow where the lhs is spread, and slower in the kernel gradient of that"
    if one_sided(way.recipe.geometry)[0] != way.recipe.geometry:
        return "XLA may read memory that is not its own (xla#48713)"
    if len(c.window_strides) > 2:
        return f"XLA runs a convolution over {len(c.window_strides)} axes as a plain loop"
    if c.groups > 1:
        return "XLA runs a convolution with groups as a plain loop"
    if c.dtype != jnp.float32:
        return f"XLA's convolution is known to be fast for float32 only, and this is {c.dtype}"
    if nested:
        return "XLA runs the derivatives of a convolution within a loop as plain loops"
    return ""


def _spread(c: Convolution) -> bool:
    """Whether there are zeros between the elements of lhs."""
    return max(c.steps()[2]) > 1


def _on_an_accelerator(way: Assignment) -> str:
    """Why it is replaced; XLA hands a spread lhs to cuDNN, but not the kernel gradient of that."""
    if _spread(way.convolution):
        return "autodiff would spread the lhs of its kernel gradient"
    recipe, batch = _asked(way)
    plans = (planned(replace(recipe, partial=partial), batch) for partial in ROLES)
    return next((plan.reason for plan in plans if plan.algorithm != "direct"), "")
