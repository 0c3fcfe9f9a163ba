"""Whether a function is linear, as far as trying it can tell."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from tconvjax.errors import Described, fail

ROUNDS = 3
"""Pairs of random arguments that are tried at each scale."""

MOST_DEVIATION = 0.05
"""Of the largest element: no rounding of a sum, however narrow its numbers, is taken for more."""

_NARROW = re.compile(r"\b(bf16|f16|f8)\w*\[")


class _Trial(NamedTuple):
    """Two factors and two arguments."""

    a: Any
    b: Any
    x: NDArray[Any]
    y: NDArray[Any]


def check_linear(
    fn: Callable[[jax.Array], jax.Array], shape: tuple[int, ...], dtype: np.dtype[Any]
) -> None:
    """Raise GeometryError where fn(0) is not 0, or a sum does not go to the sum.

    Args:
        fn: from one array to one array.
        shape: of its argument.
        dtype: of its argument.

    Raises:
        GeometryError: if fn(a x + b y) is further from a fn(x) + b fn(y) than rounding explains,
            for random x and y and factors of both signs, large and small.
    """
    trials = list(_trials(shape, dtype))
    given = [np.zeros(shape, dtype)]
    for a, b, x, y in trials:
        # All three are exact in every dtype, so whatever is rounded is rounded by fn.
        given += [(a * x + b * y).astype(dtype), x, y]
    zero, *found = np.asarray(jax.jit(jax.vmap(fn))(jnp.asarray(np.stack(given))))
    if np.any(zero != 0):
        fail(
            "fn",
            Described("function that takes zero to something else"),
            "it must be linear",
            "leave out its bias, as in lambda x: fn(x) - fn(0 * x)",
        )
    exact = dtype.kind in "iu" and zero.dtype.kind in "iu"
    allowed = 0.0 if exact else _rounding(fn, shape, dtype, zero.dtype)
    for n, trial in enumerate(trials):
        if not _agree(trial, found[3 * n : 3 * n + 3], exact, allowed):
            fail(
                "fn",
                Described("function with fn(a x + b y) unlike a fn(x) + b fn(y)"),
                "it must be linear",
                "take the matrix of its derivative, as in lambda t: jax.jvp(fn, (x,), (t,))[1]",
            )


def _trials(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[_Trial]:
    rng = np.random.default_rng(0)
    whole = dtype.kind in "iu"
    most = 64 if not whole else 20 if dtype.itemsize == 1 else 1000
    least = 0 if dtype.kind == "u" else -most
    for a, b in _factors(dtype):
        for _ in range(ROUNDS):
            x, y, u, v = (rng.integers(least, most + 1, shape) for _ in range(4))
            if whole:
                yield _Trial(a, b, x.astype(dtype), y.astype(dtype))
                continue
            if dtype.kind == "c":
                x, y = x + 1j * u, y + 1j * v
            # Sixteenths: fractions, and few enough digits for bfloat16.
            yield _Trial(a, b, (x / 16).astype(dtype), (y / 16).astype(dtype))


def _factors(dtype: np.dtype[Any]) -> list[tuple[Any, Any]]:
    """Powers of two, by which nothing is rounded; of both signs where there are signs."""
    if dtype.kind == "u":
        return [(1, 1), (2, 1)]
    if dtype.kind == "i":
        return [(1, 1), (2, -1), (-1, 2)]
    far = 2.0 ** (3 if dtype == np.float16 else 20)
    found = [(1, 1), (-1, 1), (2, -1), (far, -far), (-1 / far, 1 / far)]
    return [*found, (1j, 1), (-2, 1j)] if dtype.kind == "c" else found


def _agree(trial: _Trial, found: Sequence[NDArray[Any]], exact: bool, allowed: float) -> bool:
    """Whether fn(a x + b y), fn(x) and fn(y) are as they must be."""
    one, of_x, of_y = found
    if exact:  # integers wrap around, and stay linear while they do
        return bool(np.array_equal(one, trial.a * of_x + trial.b * of_y))
    limits = np.finfo(one.dtype) if one.dtype.kind in "fc" else None
    limits = jnp.finfo(one.dtype) if one.dtype.kind == "V" else limits
    one, of_x, of_y = (_wide(array) for array in (one, of_x, of_y))
    if not (np.isfinite(of_x).all() and np.isfinite(of_y).all()):
        return False
    other = trial.a * of_x + trial.b * of_y
    largest = max(
        float(np.abs(part).max(initial=0)) for part in (other, trial.a * of_x, trial.b * of_y)
    )
    if limits is not None and largest > float(limits.max) / 4:
        return True  # an overflow tells nothing
    least = 0.0 if limits is None else 8 * float(limits.tiny)
    with np.errstate(invalid="ignore"):
        return bool((np.abs(one - other) <= allowed * largest + least).all())


def _wide(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)


def _rounding(
    fn: Callable[[jax.Array], jax.Array],
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    result: np.dtype[Any],
) -> float:
    """How far the two may be apart, as a share of the largest element."""
    program = str(jax.make_jaxpr(fn)(jax.ShapeDtypeStruct(shape, dtype)))
    floats = [kind for kind in (dtype, result) if jnp.issubdtype(kind, jnp.inexact)]
    widest = [float(jnp.finfo(kind).eps) for kind in floats] or [2.0**-52]
    if _NARROW.search(program):  # a layer in mixed precision rounds on its way
        widest.append(float(jnp.finfo(jnp.bfloat16).eps))
    terms = math.prod(shape) ** 0.5
    return min(max(widest) * (64 + 4 * terms), MOST_DEVIATION)
