"""`accelerate`: a function transformation that lets this package run JAX's convolutions."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from tconvjax.acceleration.programs import run
from tconvjax.acceleration.reporting import Found, Report, report
from tconvjax.arguments import function

__all__ = ["Found", "Report", "accelerate", "report"]

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
    function("fn", fn)

    @functools.wraps(fn)
    def accelerated(*args: Arguments.args, **keywords: Arguments.kwargs) -> Result:
        return run(fn, args, keywords)

    return accelerated
