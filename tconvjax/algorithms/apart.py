"""What XLA must not fuse with what comes before and after it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import jax
from jax import lax
from jax.experimental.xla_metadata import set_xla_metadata

from tconvjax.forward import placed

LEAST = 2**14
"""Elements from which on a pass of its own pays: some ten microseconds."""

_ON_A_CPU = ContextVar("on_a_cpu", default=True)


def apart(f: Callable[..., jax.Array], a: jax.Array, *static: Hashable) -> jax.Array:
    """f(a, *static), where XLA on a CPU fuses nothing across.

    Its optimization barrier is gone before it fuses; a call that it must not inline is not, and
    takes its operand in row-major order. Small arrays are not worth another pass.
    """
    if not on_a_cpu() or (isinstance(a.size, int) and a.size < LEAST):
        return f(a, *static)
    with set_xla_metadata(inlineable="false"):
        return _call(f, a, static)


def on_a_cpu() -> bool:
    """Whether what is traced is for a CPU."""
    return _ON_A_CPU.get()


@contextmanager
def together() -> Iterator[None]:
    """Trace without calls: for platforms other than a CPU, where they have not been tried."""
    token = _ON_A_CPU.set(False)
    try:
        yield
    finally:
        _ON_A_CPU.reset(token)


@functools.partial(jax.jit, static_argnums=(0, 2))
def _call(f: Callable[..., jax.Array], a: jax.Array, static: tuple[Any, ...]) -> jax.Array:
    return f(a, *static)


def channels_last_apart(v: jax.Array, spec: Sequence[int], groups: int) -> jax.Array:
    """An array of some layout as (N, *spatial, g, c / g).

    XLA's transpose is fast on a CPU, but not within another loop: fused with a gather or an
    overlap-add it takes two to three times as long as both apart.
    """
    order = (spec[0], *spec[2:], spec[1])
    v = lax.transpose(v, order)
    shape = v.shape[:-1]
    if order != tuple(range(v.ndim)):
        v = apart(lax.reshape, v, (math.prod(shape), v.shape[-1]))
    return v.reshape(*shape, groups, v.shape[-1] // groups)


def placed_apart(v: jax.Array, spec: Sequence[int]) -> jax.Array:
    """The way back of `channels_last_apart`."""
    v = v.reshape(*v.shape[:-2], v.shape[-2] * v.shape[-1])
    order = placed((0, v.ndim - 1, *range(1, v.ndim - 1)), spec)
    return apart(lax.transpose, v, order) if order != tuple(range(v.ndim)) else v
