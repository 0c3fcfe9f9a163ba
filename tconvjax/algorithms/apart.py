"""What XLA must not fuse with what comes before and after it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable
from typing import Any

import jax
from jax.experimental.xla_metadata import set_xla_metadata


def apart(f: Callable[..., jax.Array], a: jax.Array, *static: Hashable) -> jax.Array:
    """f(a, *static), where XLA on a CPU fuses nothing across.

    Its optimization barrier is gone before it fuses; a call that it must not inline is not, and
    takes its operand in row-major order. Other platforms do not read the attribute.
    """
    with set_xla_metadata(inlineable="false"):
        return _call(f, a, static)


@functools.partial(jax.jit, static_argnums=(0, 2))
def _call(f: Callable[..., jax.Array], a: jax.Array, static: tuple[Any, ...]) -> jax.Array:
    return f(a, *static)
