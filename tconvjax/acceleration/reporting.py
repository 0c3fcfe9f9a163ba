"""`report`: what `accelerate` finds in a function and does with it, as values and as a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from tconvjax.acceleration.decision import decide
from tconvjax.acceleration.programs import HOLDERS, found, traced
from tconvjax.arguments import function
from tconvjax.layouts import Partial
from tconvjax.shown import Lines


@dataclass(frozen=True)
class Found:
    """One convolution of a program.

    Args:
        where: the primitives around it, outermost first, such as "scan > cond"; "" at top level.
        shapes: of lhs, rhs and out.
        partial: what it becomes; None if it is left alone.
        algorithm: how that is computed; "" if it is left alone.
        before: estimated seconds of one run as it is; None without an estimate.
        after: estimated seconds of one run by this package.
        reason: why it is replaced or left alone.
    """

    where: str
    shapes: tuple[tuple[Any, ...], tuple[Any, ...], tuple[Any, ...]]
    partial: Partial | None
    algorithm: str
    before: float | None
    after: float | None
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
        head = ("where", "lhs", "rhs", "out", "becomes", "before", "after", "because")
        rows = [head, *map(_row, self.convolutions)]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = (
            "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)) for row in rows
        )
        return "\n".join(line.rstrip() for line in lines)


def report(fn: Callable[..., Any], *args: Any, **keywords: Any) -> Report:
    """Say what `accelerate` would do with the convolutions of ``fn(*args, **keywords)``.

    It traces fn and runs nothing.

    Args:
        fn: any function that JAX can trace.
        *args: its arguments; a ``jax.ShapeDtypeStruct`` may stand for an array.
        **keywords: its keyword arguments.

    Returns:
        A report that prints as a table. Its estimates are those of one machine; compare them with
        one another only.

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
    return Report(tuple(_described(*each) for each in found(program)))


def _described(where: tuple[str, ...], equation: Any) -> Found:
    decision = decide(equation)
    way, reason = decision.assignment, decision.reason
    closed = [name for name in where if name not in HOLDERS]
    if closed:
        way, reason = None, f"it is inside {closed[0]}"
    lhs, rhs, out = (v.aval.shape for v in (*equation.invars, *equation.outvars))
    return Found(
        where=" > ".join(where),
        shapes=(lhs, rhs, out),
        partial=way.partial if way else None,
        algorithm=decision.algorithm if way else "",
        before=decision.before,
        after=decision.after,
        reason=reason,
    )


def _row(one: Found) -> tuple[str, ...]:
    becomes = f"{one.partial}, {one.algorithm}" if one.partial else "itself"
    shapes = ("x".join(map(str, shape)) for shape in one.shapes)
    return (one.where or "top", *shapes, becomes, _time(one.before), _time(one.after), one.reason)


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{1e3 * seconds:.3g} ms"
