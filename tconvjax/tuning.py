"""Plans: which algorithm computes a layer, by the cost model or by measuring on this machine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from tconvjax.acceleration.programs import found, traced
from tconvjax.acceleration.reporting import aligned, asked
from tconvjax.algorithms.measure import measure_candidates
from tconvjax.algorithms.plan import Plan, estimated, planned
from tconvjax.arguments import choice, flag, function, whole
from tconvjax.errors import fail
from tconvjax.geometry import Geometry, check_geometry
from tconvjax.layouts import ROLES, DimensionNumbers, Partial, Recipe, layout
from tconvjax.operands import dtype_of
from tconvjax.shown import Lines


def plan(
    geometry: Geometry,
    partial: Partial,
    dtype: Any = jnp.float32,
    platform: str | None = None,
    batch: int = 1,
    *,
    dimension_numbers: DimensionNumbers = None,
    measure: bool = False,
) -> Plan:
    """Say which algorithm ``algorithm="auto"`` takes, the time of each candidate, and why.

    On a CPU it is the algorithm that a small model of the costs expects to be fastest; its
    constants were measured by ``benchmarks/choice.py``. On a GPU or TPU it is "direct", whose
    transposes are the forms that XLA hands to cuDNN and to the matrix units. On a GPU it is
    "polyphase" or "patches" where XLA would first write out the zeros of a stride or dilation.
    Where times were measured on this machine, it is the fastest of them.

    A plan knows no mesh. If the devices of a mesh cannot share the batch evenly, space is probably
    split; the operation then takes "direct", which exchanges halos and gathers nothing.

    Args:
        geometry: the convolution.
        partial: "conv", "conv_transpose" or "kernel_gradient".
        dtype: of the operands.
        platform: "cpu", "gpu", "cuda", "rocm" or "tpu"; None for the default backend.
        batch: batch size.
        dimension_numbers: the layouts of x, w and y, as `tconvjax.conv` takes them.
        measure: whether to compile and time the candidates on this machine, some seconds of work.
            "auto" follows the result from now on, in programs that are not yet compiled;
            `tconvjax.save_plans` keeps it for other processes.

    Returns:
        The plan. Times that were not measured are estimates for one machine; compare them with one
        another only.

    Raises:
        GeometryError: if there is no such partial, an argument is of another kind, or the platform
            to measure on is not the default backend.

    Examples:
        >>> steps = {"stride": 2, "padding": 1, "groups": 64}
        >>> depthwise = Geometry.of_conv_transpose((64, 56, 56), (64, 1, 4, 4), **steps)
        >>> plan(depthwise, "conv_transpose", platform="cpu").algorithm
        'taps'
        >>> plan(depthwise, "conv_transpose", platform="cuda").reason
        "XLA finds cuDNN's transposes of ungrouped convolutions only"

    Measuring follows the planner of FFTW, arXiv:physics/9709002 and https://www.fftw.org.
    """
    choice("partial", partial, tuple(ROLES))
    geometry = check_geometry(geometry).filled()  # its borders are filled in before any algorithm
    specs = layout(dimension_numbers, geometry.rank)
    if flag("measure", measure) and platform is not None:
        fail("platform", platform, "the default backend is measured", "leave it out to measure")
    known = ("cpu", "gpu", "cuda", "rocm", "tpu")
    platform = jax.default_backend() if platform is None else choice("platform", platform, known)
    recipe = Recipe(partial, geometry, specs, None, dtype_of("dtype", dtype), platform=platform)
    batch = whole("batch", batch, 0)
    if measure:
        measure_candidates(recipe, batch)
    return planned(recipe, batch)


@dataclass(frozen=True)
class Tuned:
    """A partial that occurs in a program.

    Args:
        recipe: the partial, its geometry, layouts and dtype.
        batch: batch size.
        times: how often it runs in a call; a ``while`` loop counts as one run.
        expected: the algorithm that the cost model chooses.
        plan: the measured plan.
    """

    recipe: Recipe
    batch: int
    times: int
    expected: str
    plan: Plan

    @property
    def before(self) -> float:
        """Measured seconds of the expected algorithm."""
        return self._seconds()[self.expected]

    @property
    def after(self) -> float:
        """Measured seconds of the best algorithm."""
        return self._seconds()[self.plan.algorithm]

    def _seconds(self) -> dict[str, float]:
        return {c.algorithm: c.seconds for c in self.plan.candidates if c.seconds is not None}


@dataclass(frozen=True)
class Tuning(Lines):
    """What `tune` has measured.

    Args:
        partials: the different ones, in the order of the program.
    """

    partials: tuple[Tuned, ...]

    @property
    def before(self) -> float:
        """Seconds of all convolutions of a call, by the cost model's choice."""
        return sum(one.times * one.before for one in self.partials)

    @property
    def after(self) -> float:
        """Seconds of all convolutions of a call, by the measured choice."""
        return sum(one.times * one.after for one in self.partials)

    def __str__(self) -> str:
        """A line for each partial, and the sum."""
        if not self.partials:
            return "no convolutions"
        head = ("times", "partial", "operands", "expected", "", "fastest", "")
        lines = aligned([head, *map(_row, self.partials)])
        gain = self.before / self.after
        total = f"{_ms(self.before)}, {_ms(self.after)} as measured ({gain:.2f} times as fast)"
        return f"{lines}\nall convolutions of a call: {total}"


def tune(fn: Callable[..., Any], *args: Any, **keywords: Any) -> Tuning:
    """Measure the algorithms of every convolution of ``fn(*args, **keywords)`` on this machine.

    It traces fn, and compiles and times each different partial by itself, some seconds of work for
    each. "auto" follows the result from now on, in programs that are not yet compiled;
    `tconvjax.save_plans` keeps it for other processes. What runs in the derivatives of fn is
    measured too if fn is, say, ``jax.grad(loss)``; what plain JAX convolves, if fn is
    ``tc.accelerate(model)``.

    Args:
        fn: any function that JAX can trace.
        *args: its arguments; a ``jax.ShapeDtypeStruct`` may stand for an array.
        **keywords: its keyword arguments.

    Returns:
        What was found and what it is worth; it prints as a table.

    Raises:
        GeometryError: if fn cannot be called.

    Examples:
        >>> from tconvjax import conv_transpose
        >>> y, w = jnp.ones((1, 4, 8)), jnp.ones((4, 2, 4))
        >>> found = tune(lambda y, w: conv_transpose(y, w, stride=2), y, w)
        >>> [(one.times, one.recipe.partial, one.after <= one.before) for one in found.partials]
        [(1, 'conv_transpose', True)]
    """
    function("fn", fn)
    program, _, _ = traced(fn, args, keywords, (jax.ShapeDtypeStruct,))
    runs: dict[tuple[Recipe, int], int] = {}
    for _, times, equation in found(program, ["trilinear"]):
        recipe, batch = asked(equation)
        if recipe.algorithm == "auto" and isinstance(batch, int):
            runs[recipe, batch] = runs.get((recipe, batch), 0) + times
    return Tuning(tuple(_tuned(recipe, batch, times) for (recipe, batch), times in runs.items()))


def _tuned(recipe: Recipe, batch: int, times: int) -> Tuned:
    measure_candidates(recipe, batch)
    return Tuned(recipe, batch, times, estimated(recipe, batch).algorithm, planned(recipe, batch))


def _row(one: Tuned) -> tuple[str, ...]:
    recipe = one.recipe
    shapes = [recipe.shape(role, one.batch) for role in recipe.roles[:2]]
    operands = " ".join("x".join(map(str, shape)) for shape in shapes)
    expected, best = one.expected, one.plan.algorithm
    times = str(one.times)
    return times, recipe.partial, operands, expected, _ms(one.before), best, _ms(one.after)


def _ms(seconds: float) -> str:
    return f"{1e3 * seconds:.3g} ms"
