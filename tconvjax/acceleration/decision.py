"""Whether a convolution is run by this package, and how: the least estimate of the cost model."""

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
from tconvjax.algorithms.costs import estimate, line
from tconvjax.algorithms.plan import MARGIN, plan, unfit
from tconvjax.layouts import ROLES, Partial
from tconvjax.reference import one_sided

SECONDS_AN_ELEMENT = 1.5e-9
"""To reverse an array or to move its groups: what a copy takes per element."""

SECONDS_A_TAP = 2.6e-9
"""Of each output, in the plain loops of XLA on a CPU, beside the products: between 2.6e-9 and 4e-8
for kernels of 2 to 3 taps along three axes and 1 to 32 channels. The table of costs knows only
products, which are few where the channels are."""


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
        bound: the algorithm that the operation and its derivatives are asked for.
    """

    convolution: Convolution | None
    assignment: Assignment | None
    algorithm: str
    before: float | None
    after: float | None
    reason: str
    bound: str = "auto"


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
    if any(entry is not None for array in (lhs, rhs, out) for entry in array.sharding.spec):
        return "its arrays are split over explicit axes of a mesh"
    return ""


def read(equation: Any) -> Convolution:
    """The convolution of an equation that there is no objection to."""
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
    # Of a spread lhs the kernel gradient is what costs most, and its own estimate errs most.
    if (_spread(c) or after < before / MARGIN) and all_after < MARGIN * all_before:
        return replace(decided, reason="its derivatives are expected to be faster")
    return Decision(c, None, "", before, after, "it is not expected to be faster")


def _in_fast_form(c: Convolution) -> bool:
    """Whether XLA has a convolution for it that is no plain loop, and is given no zeros.

    "patches" is up to four times faster there alone, where channels are few, but no faster in a
    model: a step of a HiFi-GAN took as long or longer (``benchmarks/acceleration.py``).
    """
    return len(c.stride) <= 2 and c.dtype == jnp.float32 and c.groups == 1 and not _spread(c)


def _spread(c: Convolution) -> bool:
    """Whether there are zeros between the elements of lhs."""
    return max(n for _, _, n in c.steps()) > 1


def _bound(c: Convolution, way: Assignment) -> str:
    """The algorithm to ask for: "auto", but "patches" where that would mean a plain loop of XLA."""
    given = (c.dtype, "cpu", _batch(c, way))
    loops = any(
        plan(way.geometry, partial, *given).algorithm == "direct"
        and line("direct", partial, way.geometry, c.dtype).endswith("looped")
        for partial in ROLES
    )
    fits = not any(unfit("patches", partial, way.geometry) for partial in ROLES)
    return "patches" if loops and fits else "auto"


def _chosen(c: Convolution, way: Assignment, partial: Partial, bound: str) -> tuple[str, float]:
    """(algorithm, seconds) of a partial of a way, with what has to be done to the arrays."""
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
    """What `plan` prefers; and no convolution whose lhs is spread, since autodiff spreads it again.

    XLA hands a spread lhs to the library of a GPU, but not the gradient in the kernel that autodiff
    makes of it.
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
