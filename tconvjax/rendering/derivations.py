"""The steps of a derivation as headings, sentences and equations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy

from tconvjax.errors import fail, kind_of
from tconvjax.rendering.checks import check_flag
from tconvjax.rendering.document import Document, Equation, Stack, Words, stack
from tconvjax.rendering.tables import matrix_table
from tconvjax.symbolic._derivation import Derivation, Step
from tconvjax.symbolic.names import kernel_symbols


def derivation_document(derivation: Derivation, *, words: bool = True) -> Stack:
    """A derivation as a document: each step's title, why it holds, and its equation.

    Args:
        derivation: of `symbolic.derivation`, whose equations have been verified.
        words: whether titles and sentences stand above the equations.

    Returns:
        A document for any printer.

    Raises:
        GeometryError: if it is no derivation.

    Examples:
        >>> from tconvjax import Geometry, symbolic
        >>> from tconvjax.rendering import to_text
        >>> chain = symbolic.derivation(Geometry.of_conv((1, 3), (1, 1, 2)))
        >>> print(to_text(derivation_document(chain, words=False).parts[1]))
        ⎡w0 w1  ·⎤ ⎡x0⎤   ⎡w0*x0 + w1*x1⎤
        ⎣ · w0 w1⎦ ⎢x1⎥ = ⎣w0*x1 + w1*x2⎦
                   ⎣x2⎦
    """
    check_flag("words", words)
    if not isinstance(derivation, Derivation):
        fail(
            "derivation",
            kind_of(derivation),
            "it must be a Derivation",
            "make one with symbolic.derivation",
        )
    taps = list(kernel_symbols(derivation.geometry).values())
    parts: list[Document] = []
    for step in derivation.steps:
        if words:
            parts += [Words(step.title, level=2), Words(step.words)]
        parts.append(Equation(tuple(_coloured(part, taps) for part in _written(step))))
    return stack(parts)


def _coloured(part: Any, taps: Sequence[Any]) -> Any:
    """A matrix with a colour for each entry that is a tap; anything else as it is."""
    return matrix_table(part, taps=taps) if isinstance(part, sympy.MatrixBase) else part


def _written(step: Step) -> tuple[Any, ...]:
    left, right = step.equation
    return step.written or (left, "=" if step.claim == "equal" else "≠", right)
