"""Decide whether this package runs a convolution, and how, by the estimates of the cost model."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from tconvjax import operands
from tconvjax.acceleration.algebra import (
    Assignment,
    Convolution,
    assignments,
    elements_rearranged,
)
from tconvjax.algorithms.plan import MARGIN, estimate, line, plan, unfit
from tconvjax.layouts import ROLES, Partial
from tconvjax.reference import one_sided

SECONDS_AN_ELEMENT = 1.5e-9
"""Seconds per element to reverse an array or move its groups."""

SECONDS_A_TAP = 2.6e-9
"""Overhead in seconds per output and tap of XLA's plain CPU loop: between 2.6e-9 and 4e-8 for
kernels of 2 to 3 taps along three axes and 1 to 32 channels. The cost table models multiplications
only, which underestimates layers with few channels."""


@dataclass(frozen=True)
class Decision:
    """The decision about one convolution.

    Args:
        convolution: what was read; None if it cannot be read.
        assignment: how it is computed instead; None if it is left alone.
        algorithm: of the assignment; "" if it is left alone.
        before: estimated seconds on a CPU as it is; None without an estimate.
        after: estimated seconds on a CPU by the assignment.
        reason: why.
        bound: the ``algorithm`` argument of the operation and its derivatives.
    """

    convolution: Convolution | None
    assignment: Assignment | None
    algorithm: str
    before: float | None
    after: float | None
    reason: str
    bound: str = "auto"


def decide(equation: Any) -> Decision:
    """Decide about the equation of a ``conv_general_dilated``, for the default backend."""
    objection = _objection(equation)
    if objection:
        return Decision(None, None, "", None, None, objection)
    convolution = read(equation)
    ways = list(assignments(convolution))
    if not ways:
        reason = "stride, lhs_dilation and rhs_dilation are all above 1"
        return Decision(convolution, None, "", None, None, reason)
    if jax.default_backend() != "cpu":
        return _on_an_accelerator(convolution, ways)
    return _on_a_cpu(convolution, ways)


# -- reading an equation ---------------------------------------------------------------------------


def _objection(equation: Any) -> str:
    """Why this package cannot run a convolution; "" if it can."""
    (lhs, rhs), (out,) = ([v.aval for v in vs] for vs in (equation.invars, equation.outvars))
    sizes = (*lhs.shape, *rhs.shape, *out.shape)
    kinds = (operands.FLOATS, operands.COMPLEXES, operands.SIGNED, operands.UNSIGNED)
    kind: tuple[str, ...] = next((k for k in kinds if lhs.dtype.name in k), ())
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
    params = equation.params
    lhs, rhs = (v.aval for v in equation.invars)
    out = equation.outvars[0].aval
    return Convolution(
        shapes=(lhs.shape, rhs.shape, out.shape),
        dtype=lhs.dtype,
        out_dtype=out.dtype,
        specs=params["dimension_numbers"],
        stride=tuple(params["window_strides"]),
        low=tuple(low for low, _ in params["padding"]),
        lhs_dilation=tuple(params["lhs_dilation"]),
        rhs_dilation=tuple(params["rhs_dilation"]),
        feature_groups=params["feature_group_count"],
        batch_groups=params["batch_group_count"],
        precision=params["precision"],
    )


# -- the choice ------------------------------------------------------------------------------------


def natural(c: Convolution, ways: list[Assignment]) -> Assignment:
    """Choose the assignment whose kernel has the fewest spatial elements.

    Autodiff writes the gradient of a kernel as a convolution whose rhs is as large as the output
    of the layer, and whose result is the kernel.
    """
    return min(ways, key=lambda a: math.prod(c.spatial(a.roles[1])))


def _on_a_cpu(c: Convolution, ways: list[Assignment]) -> Decision:
    way = natural(c, ways)
    before = _direct(c, way, way.partial)
    misread = one_sided(way.geometry)[0] != way.geometry
    if _in_fast_form(c) and not misread:
        return Decision(c, None, "", before, None, "XLA's fast convolution takes it as it is")
    bound = _bound(c, way)
    chosen = {partial: _chosen(c, way, partial, bound) for partial in ROLES}
    algorithm, after = chosen[way.partial]
    reason = "it is expected to be faster"
    decided = Decision(c, way, algorithm, before, after, reason, bound)
    if misread:
        return replace(decided, reason="XLA may read memory that is not its own (xla#48713)")
    if after < MARGIN * before:
        return decided
    all_before = sum(_direct(c, way, partial) for partial in ROLES)
    all_after = sum(seconds for _, seconds in chosen.values())
    # If the lhs is spread, the kernel gradient costs most, and its estimate is least accurate.
    if (_spread(c) or after < before / MARGIN) and all_after < MARGIN * all_before:
        return replace(decided, reason="its derivatives are expected to be faster")
    return Decision(c, None, "", before, after, "it is not expected to be faster")


def _in_fast_form(c: Convolution) -> bool:
    """Whether XLA runs it with a fast convolution, without zeros to multiply.

    With few channels, "patches" alone is up to four times faster there, but not within a model: a
    step of a HiFi-GAN took as long or longer (``benchmarks/acceleration.py``).
    """
    return len(c.stride) <= 2 and c.dtype == jnp.float32 and c.groups == 1 and not _spread(c)


def _spread(c: Convolution) -> bool:
    """Whether there are zeros between the elements of lhs."""
    return max(n for _, _, n in c.steps()) > 1


def _bound(c: Convolution, way: Assignment) -> str:
    """The algorithm to ask for: "auto", or "patches" if "auto" would mean a plain loop of XLA."""
    given = (c.dtype, "cpu", _batch(c, way))
    loops = any(
        plan(way.geometry, partial, *given).algorithm == "direct"
        and line("direct", partial, way.geometry, c.dtype).endswith("looped")
        for partial in ROLES
    )
    fits = not any(unfit("patches", partial, way.geometry) for partial in ROLES)
    return "patches" if loops and fits else "auto"


def _chosen(c: Convolution, way: Assignment, partial: Partial, bound: str) -> tuple[str, float]:
    """(algorithm, seconds) of a partial, with the time to rearrange the arrays."""
    geometry, batch = way.geometry, _batch(c, way)
    found = plan(geometry, partial, c.dtype, "cpu", batch)
    name = found.algorithm if bound == "auto" else bound
    own = next(s.seconds for s in found.candidates if s.algorithm == name)
    seconds = _direct(c, way, partial) if own is None else own
    return name, seconds + SECONDS_AN_ELEMENT * elements_rearranged(way, c)


def _direct(c: Convolution, way: Assignment, partial: Partial) -> float:
    """The estimate of XLA's convolution."""
    geometry, batch = way.geometry, _batch(c, way)
    seconds = estimate("direct", partial, geometry, c.dtype, batch)
    looped = line("direct", partial, geometry, c.dtype).endswith("looped")
    if looped and partial != "kernel_gradient":
        result = geometry.out_shape if partial == "conv" else geometry.in_shape
        seconds += SECONDS_A_TAP * batch * math.prod(result) * math.prod(geometry.kernel_size)
    return seconds


def _batch(c: Convolution, way: Assignment) -> int:
    array, position = way.batch_entry
    return c.shape(array)[position]


def _on_an_accelerator(c: Convolution, ways: list[Assignment]) -> Decision:
    """Follow `plan`, and replace every convolution whose lhs is spread.

    XLA hands a spread lhs to the library of a GPU, but not the kernel gradient that autodiff
    derives from it.
    """
    way = natural(c, ways)
    batch, platform = _batch(c, way), jax.default_backend()
    found = {p: plan(way.geometry, p, c.dtype, platform, batch) for p in ROLES}
    own = found[way.partial]
    if _spread(c):
        reason = "autodiff would spread the lhs of its kernel gradient"
        return Decision(c, way, own.algorithm, None, None, reason)
    for plan_ in found.values():
        if plan_.algorithm != "direct":
            return Decision(c, way, own.algorithm, None, None, plan_.reason)
    return Decision(c, None, "", None, None, own.reason)
