"""`assert_adjoint`: the dot-product test for a pair of linear functions."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from tconvjax import operands
from tconvjax.arguments import function
from tconvjax.errors import Described, fail

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    # For type checkers, and for jaxtyping's own at run time; else it costs 20 ms of import.
    from jaxtyping import Array, Num


def assert_adjoint(
    f: Callable[[Any], Num[Array, "..."]],
    f_t: Callable[[Any], Num[Array, "..."]],
    x: Num[ArrayLike, "..."],
    y: Num[ArrayLike, "..."],
    *,
    rtol: float | None = None,
) -> None:
    """Raise AssertionError unless f_t is the transpose of the linear map f, as seen at x and y.

    sum(f(x) * y) = sum(x * f_t(y)), without conjugation

    Args:
        f: a linear function of one array.
        f_t: what should be its transpose.
        x: an argument of f, random as a rule: the identity must hold for every x and y.
        y: an argument of f_t, of the shape of f(x).
        rtol: the difference allowed, relative to the sum of the terms' sizes. None: 16 roundings
            of the coarsest dtype that occurs, none for integers.

    Raises:
        GeometryError: if an argument is no function, no array or no tolerance.
        AssertionError: with both sums and their difference, or with the shapes that do not fit.

    Examples:
        >>> import tconvjax as tc
        >>> x, y, w = jnp.ones((1, 7)), jnp.ones((1, 4)), jnp.ones((1, 1, 3))
        >>> up = lambda y: tc.conv_transpose(y, w, stride=2, padding=1)
        >>> tc.assert_adjoint(lambda x: tc.conv(x, w, stride=2, padding=1), up, x, y)

    The test is known as the dot test; PyLops offers it for its operators.
    """
    function("f", f)
    function("f_t", f_t)
    operands.arrays(x=x, y=y)
    if rtol is not None and not (isinstance(rtol, int | float) and rtol >= 0):
        fail("rtol", rtol, "it must be a number of at least 0", "give one such as 1e-6, or None")
    fx, fy = _one("f", f(x)), _one("f_t", f_t(y))
    if fx.shape != jnp.shape(y) or fy.shape != jnp.shape(x):
        raise AssertionError(
            f"not adjoint: f takes {jnp.shape(x)} to {fx.shape}, f_t takes {jnp.shape(y)} to "
            f"{fy.shape}; the shapes must go there and back"
        )
    left, right = _terms(fx, y), _terms(x, fy)
    difference = abs(left.sum() - right.sum())
    if rtol is None:
        rtol = 16 * max(map(_rounding, (fx, fy, x, y)))
    allowed = rtol * max(abs(left).sum(), abs(right).sum())
    if not difference <= allowed:
        raise AssertionError(
            f"not adjoint: sum(f(x) * y) = {left.sum()}, sum(x * f_t(y)) = {right.sum()}, which "
            f"differ by {difference}, more than {allowed}"
        )


def _one(argument: str, result: Any) -> Any:
    """Check that a result is one array."""
    if not hasattr(result, "shape") or not hasattr(result, "dtype"):
        given = Described(f"function that returns a {type(result).__name__}")
        fail(argument, given, "it must return one array", "return an array")
    return result


def _terms(a: Any, b: Any) -> np.ndarray:
    """The products of two arrays, on the host and in a dtype that hides no error."""
    exact = not jnp.issubdtype(a.dtype, jnp.inexact)
    complex_ = jnp.issubdtype(a.dtype, jnp.complexfloating)
    dtype = object if exact else np.complex128 if complex_ else np.float64
    terms: np.ndarray = np.asarray(a).astype(dtype) * np.asarray(b).astype(dtype)
    return terms


def _rounding(value: Any) -> float:
    dtype = jnp.asarray(value).dtype
    return float(jnp.finfo(dtype).eps) if jnp.issubdtype(dtype, jnp.inexact) else 0.0
