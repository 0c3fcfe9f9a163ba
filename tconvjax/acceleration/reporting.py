"""What `accelerate` finds in a function, and what it makes of it, as values and as a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax

from tconvjax.acceleration.decision import decide
from tconvjax.acceleration.programs import HOLDERS, found, traced
from tconvjax.arguments import function
from tconvjax.layouts import Partial


@dataclass(frozen=True)
class Found:
    """One convolution of a program.

    Args:
        where: the primitives that it stands in, outermost first, such as "scan > cond"; "" at top
            level.
        shapes: of lhs, rhs and out.
        partial: what it becomes; None where it is left alone.
        algorithm: how that is computed; "" where it is left alone.
        before: seconds that it is expected to take as it is, once; None without an estimate.
        after: seconds that it is expected to take by this package.
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
class Report:
    """All convolutions of a program, in its order.

    Args:
        convolutions: what was found; those of the rules of ``custom_jvp`` and ``custom_vjp`` are
            no part of a program before it is differentiated.
    """

    convolutions: tuple[Found, ...]

    def __str__(self) -> str:
        """A table, a line for each convolution."""
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
    """What `accelerate` would do with the convolutions of ``fn(*args, **keywords)``.

    Traces fn and runs nothing.

    Args:
        fn: any function that JAX can trace.
        *args: its arguments; ``jax.ShapeDtypeStruct`` stands for an array.
        **keywords: the same, by name.

    Returns:
        A report that prints as a table; its estimates are those of one machine, good to compare.

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
        way, reason = None, f"it stands in {closed[0]}"
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
