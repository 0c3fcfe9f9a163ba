"""`report`: the convolutions of a function and what computes them, as values and as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax

from tconvjax.acceleration.decision import decide
from tconvjax.acceleration.programs import HOLDERS, NESTING, found, traced
from tconvjax.algorithms.plan import planned
from tconvjax.arguments import function
from tconvjax.layouts import Partial, Recipe
from tconvjax.shown import Lines


@dataclass(frozen=True)
class Found:
    """One convolution of a program.

    Args:
        where: the primitives around it, outermost first, such as "scan > cond"; "" at top level.
        shapes: of lhs, rhs and out; of this package's, of its operands and result.
        partial: what it becomes, or is if it is this package's; None if it is left alone.
        algorithm: how that is computed; "" if it is left alone.
        reason: why it is replaced or left alone, or why the algorithm is chosen.
    """

    where: str
    shapes: tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]
    partial: Partial | None
    algorithm: str
    reason: str


@dataclass(frozen=True)
class Report(Lines):
    """All convolutions of a program, in its order.

    Args:
        convolutions: what was found. The derivative rules of ``custom_jvp`` and ``custom_vjp``
            belong to a program only after it is differentiated.
    """

    convolutions: tuple[Found, ...]

    def __str__(self) -> str:
        """A table with a line for each convolution."""
        if not self.convolutions:
            return "no convolutions"
        head = ("where", "lhs", "rhs", "out", "becomes", "because")
        return aligned([head, *map(_row, self.convolutions)])


def report(fn: Callable[..., Any], *args: Any, **keywords: Any) -> Report:
    """Say what computes each convolution of ``fn(*args, **keywords)``, and what `accelerate` does.

    Of the operations and layers of this package it names the algorithm; of JAX's convolutions, what
    `accelerate` would do with them. It traces fn and runs nothing. Like `tconvjax.plan`, it goes by
    the default backend and knows no mesh.

    Args:
        fn: any function that JAX can trace.
        *args: its arguments; a ``jax.ShapeDtypeStruct`` may stand for an array.
        **keywords: its keyword arguments.

    Returns:
        A report that prints as a table. What a replacement is worth, `tconvjax.tune` measures.

    Raises:
        GeometryError: if fn cannot be called.

    Examples:
        >>> y = jax.ShapeDtypeStruct((1, 8, 8, 8, 32), "float32")
        >>> w = jax.ShapeDtypeStruct((2, 2, 2, 32, 16), "float32")
        >>> up = lambda y, w: jax.lax.conv_transpose(y, w, (2, 2, 2), "SAME")
        >>> [(one.partial, one.algorithm) for one in report(up, y, w).convolutions]
        [('conv_transpose', 'patches')]
    """
    function("fn", fn)
    program, _, _ = traced(fn, args, keywords, (jax.ShapeDtypeStruct,))
    all_found = found(program, ["conv_general_dilated", "trilinear"])
    return Report(tuple(_described(where, equation) for where, _, equation in all_found))


def _described(where: tuple[str, ...], equation: Any) -> Found:
    shapes: Any = tuple(v.aval.shape for v in (*equation.invars, *equation.outvars))
    around = " > ".join(where)
    if equation.primitive.name == "trilinear":
        recipe, batch = asked(equation)
        plan = planned(recipe, batch if isinstance(batch, int) else 1)
        if recipe.algorithm != "auto":
            plan = replace(plan, algorithm=recipe.algorithm, reason="the call names it")
        return Found(around, shapes, plan.partial, plan.algorithm, plan.reason)
    way, algorithm, reason = decide(equation, not NESTING.isdisjoint(where))
    closed = [name for name in where if name not in HOLDERS]
    if closed:
        way, algorithm, reason = None, "", f"it is inside {closed[0]}"
    return Found(around, shapes, way.recipe.partial if way else None, algorithm, reason)


def asked(equation: Any) -> tuple[Recipe, Any]:
    """The recipe of an equation of this package, for the default backend, and its batch size."""
    first, recipe = equation.invars[0].aval, equation.params["recipe"]
    backend = jax.default_backend()
    return replace(recipe, dtype=first.dtype, platform=backend), recipe.batch(first)


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as text, in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _row(one: Found) -> tuple[str, ...]:
    becomes = f"{one.partial}, {one.algorithm}" if one.partial else "itself"
    shapes = ("x".join(map(str, shape)) for shape in one.shapes)
    return (one.where or "top", *shapes, becomes, one.reason)
