"""Whether a convolution is run by this package, and how: the least estimate of the cost model."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import jax

from tconvjax import operands
from tconvjax.acceleration.algebra import (
    Assignment,
    Convolution,
    assignments,
    elements_rearranged,
)
from tconvjax.algorithms import Plan, plan
from tconvjax.algorithms.costs import estimate
from tconvjax.algorithms.selection import MARGIN
from tconvjax.forward import ROLES, Partial

SECONDS_AN_ELEMENT = 1.5e-9
"""To reverse an array or to move its groups: what a copy takes per element."""


@dataclass(frozen=True)
class Decision:
    """What becomes of one convolution.

    Args:
        convolution: what it is; None where it cannot be read.
        assignment: how it is computed instead; None where it is left alone.
        algorithm: of that; "" where it is left alone.
        before: seconds it is expected to take as it is, on a CPU; None without an estimate.
        after: seconds it is expected to take then.
        reason: why, in words.
    """

    convolution: Convolution | None
    assignment: Assignment | None
    algorithm: str
    before: float | None
    after: float | None
    reason: str


def decide(equation: Any) -> Decision:
    """What becomes of the equation of a ``conv_general_dilated``.

    Args:
        equation: of a program.

    Returns:
        The decision for the default backend.
    """
    objection = _objection(equation)
    if objection:
        return Decision(None, None, "", None, None, objection)
    convolution = _read(equation)
    ways = list(assignments(convolution))
    if not ways:
        reason = "stride, lhs_dilation and rhs_dilation are all above 1"
        return Decision(convolution, None, "", None, None, reason)
    if jax.default_backend() != "cpu":
        return _on_an_accelerator(convolution, ways)
    return _on_a_cpu(convolution, ways)


# -- reading an equation ---------------------------------------------------------------------------


def _objection(equation: Any) -> str:
    """Why the operation of this package does not take a convolution; nothing if it does."""
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
    if equation.params.get("out_sharding") is not None or any(
        a.sharding.mesh.explicit_axes for a in (lhs, rhs, out)
    ):
        return "its arrays lie on a mesh with explicit axes"
    return ""


def _read(equation: Any) -> Convolution:
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
    """What a convolution is for: the way in which its kernel is the smallest array in space.

    Autodiff writes the gradient of a kernel as a convolution whose rhs is as large as the output
    of the layer, and whose result is the kernel.
    """
    return min(ways, key=lambda a: math.prod(c.spatial(a.roles[1])))


def _on_a_cpu(c: Convolution, ways: list[Assignment]) -> Decision:
    way, chosen = _least(c, ways)
    usual = natural(c, ways)
    before, after = _direct(c, usual, usual.partial), _seconds(chosen, c, way)
    if after is None or (way is usual and chosen.algorithm == "direct" and not _worth(c, way)):
        return Decision(c, None, "", before, after, "XLA's own convolution is expected to be best")
    decided = Decision(c, way, chosen.algorithm, before, after, "")
    if after < MARGIN * before:
        return replace(decided, reason="it is expected to be faster")
    if after <= before / MARGIN and _worth(c, way):
        return replace(decided, reason="its derivatives are expected to be faster")
    return Decision(c, None, "", before, after, "it is not expected to be faster")


def _least(c: Convolution, ways: list[Assignment]) -> tuple[Assignment, Plan]:
    """The way with the least estimate among those of the smallest kernel, and its plan.

    Another way than the natural one has to be clearly faster, and by something else than XLA's
    convolution, which would be the same one again. Kernels as large as the data are not looked at:
    the estimates were measured on kernels of layers.
    """
    usual = natural(c, ways)
    best = usual, _plan(c, usual, usual.partial)
    least = _seconds(best[1], c, usual)
    taps = math.prod(c.spatial(usual.roles[1]))
    for way in ways:
        if way is usual or math.prod(c.spatial(way.roles[1])) > taps:
            continue
        found = _plan(c, way, way.partial)
        seconds = _seconds(found, c, way)
        if found.algorithm == "direct" or seconds is None:
            continue
        if least is None or seconds < MARGIN * least:
            best, least = (way, found), seconds
    return best


def _worth(c: Convolution, way: Assignment) -> bool:
    """Whether the three partials together are clearly faster than as autodiff writes them."""
    before = sum(_direct(c, way, partial) for partial in ROLES)
    after = [_seconds(_plan(c, way, partial), c, way) for partial in ROLES]
    return None not in after and sum(s for s in after if s is not None) < MARGIN * before


def _on_an_accelerator(c: Convolution, ways: list[Assignment]) -> Decision:
    """What `plan` prefers; and no convolution whose lhs is spread, since autodiff spreads it again.

    XLA hands a spread lhs to the library of a GPU, but not the gradient in the kernel that autodiff
    makes of it.
    """
    way = natural(c, ways)
    found = {partial: _plan(c, way, partial) for partial in ROLES}
    own = found[way.partial]
    if max(n for _, _, n in c.steps()) > 1:
        reason = "autodiff would spread the lhs of its kernel gradient"
        return Decision(c, way, own.algorithm, None, None, reason)
    for plan_ in found.values():
        if plan_.algorithm != "direct":
            return Decision(c, way, own.algorithm, None, None, plan_.reason)
    return Decision(c, None, "", None, None, own.reason)


def _plan(c: Convolution, way: Assignment, partial: Partial) -> Plan:
    return plan(way.geometry, partial, c.dtype, jax.default_backend(), _batch(c, way))


def _seconds(found: Plan, c: Convolution, way: Assignment) -> float | None:
    """The estimate of a plan's choice, and of what has to be done to the arrays."""
    (own,) = (s.seconds for s in found.candidates if s.algorithm == found.algorithm)
    return None if own is None else own + SECONDS_AN_ELEMENT * elements_rearranged(way, c)


def _direct(c: Convolution, way: Assignment, partial: Partial) -> float:
    """The estimate of XLA's convolution."""
    return estimate("direct", partial, way.geometry, c.dtype, _batch(c, way))


def _batch(c: Convolution, way: Assignment) -> int:
    array, position = way.batch_entry
    return c.shape(array)[position]
