"""A function transformation that runs the convolutions of any JAX code by this package."""

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
    """The same function, its convolutions run by this package where that is expected to be faster.

    accelerate(fn)(x) = fn(x), to rounding

    Each ``conv_general_dilated`` that fn traces to, whichever library wrote it, is one of `conv`,
    `conv_transpose` and `kernel_gradient` of some geometry. It becomes that, if the cost model of
    `plan` expects that it or its derivatives gain by it, and else stays what it is. So do those
    inside jit, scan, while, cond, checkpoint, custom_jvp, custom_vjp and shard_map.

    It composes with JAX's transformations in either order. Inside of ``jax.grad`` it saves more
    than outside, since derivatives are then those of this package:
    ``jax.jit(jax.value_and_grad(accelerate(loss)))``.

    Each call traces fn, as the first call of a jitted function does, so put ``jax.jit`` around the
    result. JAX arrays among the arguments are traced, so Python's control flow cannot depend on
    their values. Numbers, NumPy arrays and all else fn sees as it is. The choice is made for
    ``jax.default_backend()``.

    A Flax NNX module among the arguments may change its variables, as under ``nnx.jit``. Any other
    change in place would be lost, and is refused.

    Args:
        fn: a function of pytrees that JAX can trace, as for ``jax.jit``; or an NNX module.

    Returns:
        A function with fn's arguments, result, name and docstring.

    Raises:
        GeometryError: if fn cannot be called; when it is called, if it changes what it was given,
            or a module that it was not given.

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
