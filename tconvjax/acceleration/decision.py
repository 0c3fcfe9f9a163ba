"""Decide whether this package runs a convolution of a program, and say why."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

import jax
import jax.numpy as jnp

from tconvjax import operands
from tconvjax.acceleration.algebra import Assignment, Convolution, assignments
from tconvjax.algorithms.plan import Plan, planned
from tconvjax.layouts import ROLES, Partial
from tconvjax.reference import one_sided


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
    # The kernel has the fewest elements. Autodiff writes the gradient of a kernel as a convolution
    # whose rhs is as large as the output of the layer, and whose result is the kernel.
    way = min(ways, key=lambda a: math.prod(a.recipe.geometry.kernel_size))
    own = _planned(way, way.recipe.partial)
    if jax.default_backend() == "cpu":
        reason = _on_a_cpu(way, nested)
        left = "XLA's fast convolution takes it as it is"
    else:
        reason, left = _on_an_accelerator(way), own.reason
    return (way, own.algorithm, reason) if reason else (None, "", left)


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


def _planned(way: Assignment, partial: Partial) -> Plan:
    c, platform = way.convolution, jax.default_backend()
    recipe = replace(way.recipe, partial=partial, dtype=c.dtype, platform=platform)
    return planned(recipe, c.shape(way.roles[0])[recipe.specs.lhs_spec[0]])


def _on_a_cpu(way: Assignment, nested: bool) -> str:
    """Why XLA does not run it fast on a CPU; "" if it does.

    Its fast kernels take float32 over one or two axes without groups. With few channels, "patches"
    alone is up to four times faster there, but not within a model: a step of a HiFi-GAN took as
    long or longer (``benchmarks/acceleration.py``).
    """
    c = way.convolution
    if one_sided(way.recipe.geometry)[0] != way.recipe.geometry:
        return "XLA may read memory that is not its own (xla#48713)"
    if _spread(c):
        return "XLA is slow where the lhs is spread, and slower in the kernel gradient of that"
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
    plans = (_planned(way, partial) for partial in ROLES)
    return next((plan.reason for plan in plans if plan.algorithm != "direct"), "")
