"""`accelerate` lets this package run JAX's convolutions; `plain` writes its own in JAX's terms."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ParamSpec, TypeVar

import jax

from tconvjax.acceleration.algebra import Assignment, computed
from tconvjax.acceleration.decision import decide
from tconvjax.acceleration.programs import Rule, replaced, run
from tconvjax.acceleration.reporting import Found, Report, report
from tconvjax.algorithms import ALGORITHMS
from tconvjax.algorithms.run import run as run_partial
from tconvjax.arguments import choice, function
from tconvjax.layouts import Recipe
from tconvjax.trilinear import trilinear_p

__all__ = ["Found", "Report", "accelerate", "plain", "report"]

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def accelerate(fn: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """Return the same function, with this package running its convolutions where that is faster.

    accelerate(fn)(x) = fn(x), to rounding

    Each ``conv_general_dilated`` that fn traces to, whichever library wrote it, is a `conv`,
    `conv_transpose` or `kernel_gradient` of some geometry. It is replaced by that where XLA has no
    fast form of it or of its derivatives; otherwise it stays as it is. `report` says why.
    This includes convolutions inside jit, scan, while, cond, checkpoint, custom_jvp, custom_vjp and
    shard_map.

    You can combine it with JAX's transformations in either order, for example
    ``jax.jit(jax.value_and_grad(accelerate(loss)))``.

    Each call traces fn, as the first call of a jitted function does, so put ``jax.jit`` around the
    result. JAX arrays among the arguments are traced, so Python's control flow cannot depend on
    their values. Numbers, NumPy arrays and everything else reach fn unchanged. The choice is made
    for ``jax.default_backend()``.

    A Flax NNX module among the arguments may change its variables, as under ``nnx.jit``. Any other
    change in place would be lost, so it is refused.

    Args:
        fn: a function of pytrees that JAX can trace, as for ``jax.jit``; or an NNX module.

    Returns:
        A function with fn's arguments, result, name and docstring.

    Raises:
        GeometryError: if fn cannot be called; or, at the call, if fn changes its arguments in
            place, or a module that is not among its arguments.

    Examples:
        >>> import jax
        >>> import jax.numpy as jnp
        >>> @accelerate
        ... def up(y, w):
        ...     return jax.lax.conv_transpose(y, w, (2,), "SAME")
        >>> up(jnp.ones((1, 4, 1)), jnp.ones((3, 1, 1))).ravel().tolist()
        [1.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0]
    """
    return _with_program(function("fn", fn), _accelerated)


def plain(fn: Callable[Arguments, Result], algorithm: str = "auto") -> Callable[Arguments, Result]:
    """Return the same function, its program written in JAX's own primitives.

    plain(fn)(x) = fn(x), to rounding

    For what reads programs and knows JAX's primitives only: converters, and transformations that
    have no rule for this package's. To convert a gradient as well, write
    ``plain(jax.grad(loss))``. Derivatives of the result are JAX's own.

    Args:
        fn: a function of pytrees that JAX can trace, as for ``jax.jit``; or an NNX module.
        algorithm: what takes the place of every operation: "auto", what it would have run on
            ``jax.default_backend()``; or a key of `tconvjax.ALGORITHMS`. "direct" is one
            ``conv_general_dilated`` each.

    Returns:
        A function with fn's arguments, result, name and docstring.

    Raises:
        GeometryError: if fn cannot be called, or there is no such algorithm.

    Examples:
        >>> import jax.numpy as jnp
        >>> import tconvjax as tc
        >>> up = lambda y: tc.conv_transpose(y, jnp.ones((1, 1, 3)), stride=2)
        >>> program = jax.make_jaxpr(plain(up, "direct"))(jnp.ones((1, 1, 4)))
        >>> "conv_general_dilated" in str(program)
        True
    """
    choice("algorithm", algorithm, ("auto", *ALGORITHMS))
    return _with_program(function("fn", fn), _written_by(algorithm))


def _with_program(fn: Callable[Arguments, Result], rule: Rule) -> Callable[Arguments, Result]:
    """The same function, its program rewritten at each call."""

    @functools.wraps(fn)
    def called(*args: Arguments.args, **keywords: Arguments.kwargs) -> Result:
        return run(rule, fn, args, keywords)

    return called


# -- what becomes of an equation -------------------------------------------------------------------


def _accelerated(equation: Any, nested: bool) -> Any:
    """A convolution of JAX's as one of ours, where that is faster."""
    if equation.primitive is not jax.lax.conv_general_dilated_p:
        return equation
    way, _, _ = decide(equation, nested)
    if way is None:
        return equation
    return replaced(equation, _named(f"tconvjax_{way.recipe.partial}", computed, way))


@functools.cache
def _written_by(algorithm: str) -> Rule:
    """A partial of ours by one algorithm."""

    def rule(equation: Any, _: bool) -> Any:
        if equation.primitive is not trilinear_p:
            return equation
        recipe, platform = equation.params["recipe"], jax.default_backend()
        named = algorithm if algorithm != "auto" else recipe.algorithm
        recipe = replace(recipe, algorithm=named, platform=platform)
        return replaced(equation, _named(recipe.partial, run_partial, recipe))

    return rule


@functools.lru_cache(maxsize=4096)
def _named(
    name: str, f: Callable[..., jax.Array], static: Assignment | Recipe
) -> Callable[..., jax.Array]:
    """A jitted function of that name, always the same one for the same computation."""

    def called(a: jax.Array, b: jax.Array) -> jax.Array:
        return f(a, b, static)

    called.__name__ = called.__qualname__ = name
    return jax.jit(called)
