"""The matrix of any linear JAX function, and the test whether a function is linear."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from tconvjax.arguments import frozen, function, ints
from tconvjax.errors import Described, fail
from tconvjax.matrices.convolution import DTYPES, SWITCH_ON, Format, check_format, packed, summable

Function: TypeAlias = Callable[[jax.Array], jax.Array]
Trial: TypeAlias = tuple[Any, Any, NDArray[Any], NDArray[Any]]
"""Two factors, a and b, and two arguments, x and y."""

MOST_READ = 2**31
"""Largest number of elements that `matrix_of` puts in and gets out over all columns: some
seconds."""

CHUNK = 2**24
"""Elements of the larger array in a batch of columns."""

ROUNDS = 3
"""Pairs of random arguments that are tried at each scale."""

MOST_DEVIATION = 0.05
"""Upper bound on the tolerance, relative to the largest element."""

_NARROW = re.compile(r"\b(bf16|f16|f8)\w*\[")


def matrix_of(
    fn: Function, shape: Sequence[int], dtype: Any = jnp.float32, format: Format = "dense"
) -> Any:
    """The matrix of any linear JAX function, read column by column.

    M[:, j] = fn(e_j), where e_j is 1 at place j and 0 elsewhere

    Args:
        fn: a linear function from one array to one array, such as a layer without its bias.
        shape: the shape of its argument.
        dtype: the dtype of its argument.
        format: "dense" for a NumPy array, "csr" for ``scipy.sparse.csr_array``, "bcoo" for
            ``jax.experimental.sparse.BCOO``; the sparse ones hold only what is not zero.

    Returns:
        A matrix with a row for each element of the result and a column for each element of the
        argument.

    Raises:
        GeometryError: if fn is not linear, which is tried on random arguments of several sizes;
            if the dtype has 64 bits and these are off in JAX; or if the matrix is too large.

    Examples:
        >>> matrix_of(lambda x: x[::-1] + x, (3,))
        array([[1., 0., 1.],
               [0., 2., 0.],
               [1., 0., 1.]], dtype=float32)
    """
    function("fn", fn)
    sizes = frozen("shape", shape)
    sizes = sizes if isinstance(sizes, tuple) else (sizes,)
    shape, dtype = ints("shape", sizes, len(sizes), 0), _dtype(dtype)
    result = jax.eval_shape(fn, jax.ShapeDtypeStruct(shape, dtype))
    if not isinstance(result, jax.ShapeDtypeStruct):
        several = Described(f"function whose result is {result}")
        fail("fn", several, "its result must be one array", "return one of them")
    rows, columns = math.prod(result.shape), math.prod(shape)
    held = np.dtype(result.dtype)
    check_format(format, "fn", held, (rows, columns))
    read = columns * (columns + rows)
    if read > MOST_READ:
        rule = f"reading {columns} columns of {rows} rows takes {read} elements"
        functions = "fn and jax.linear_transpose(fn, x) themselves"
        remedy = f"use a smaller shape, conv_matrix for a convolution, or {functions}"
        fail("shape", shape, f"{rule}, and {MOST_READ} is the limit", remedy)
    count = max(1, min(columns, CHUNK // max(columns, rows, 1)))

    @jax.jit
    def batch(first: Any) -> jax.Array:
        units = jax.nn.one_hot(first + jnp.arange(count), columns, dtype=dtype)
        return jax.vmap(fn)(units.reshape(count, *shape)).reshape(count, rows)

    def part(first: int) -> Any:
        found = np.asarray(batch(first))[: columns - first]
        return found if format == "dense" else scipy.sparse.csr_array(summable(found))

    # Accelerators multiply float32 in fewer digits by default.
    with jax.default_matmul_precision("highest"):
        check_linear(fn, shape, dtype)
        parts = [part(first) for first in range(0, max(columns, 1), count)]
    if format == "dense":
        return np.concatenate(parts).T
    return packed("fn", scipy.sparse.vstack(parts).T, held, format)


def _dtype(dtype: Any) -> np.dtype[Any]:
    """The dtype of fn's argument."""
    try:
        asked = np.dtype(dtype)
        # Python's own float and int mean the widest dtype available, as everywhere in JAX.
        found = jax.dtypes.canonicalize_dtype(asked)
    except Exception:  # noqa: BLE001 - NumPy and JAX raise several kinds
        found = None
    if dtype is None or found is None or found.name not in DTYPES:
        rule = "it must be a JAX dtype of numbers of 8 to 64 bits, for floats 16 or more"
        fail("dtype", dtype, rule, "give jnp.float32, say")
    if found != asked and dtype not in (int, float, complex):
        rule = "64-bit numbers are switched off in JAX"
        fail("dtype", str(asked), rule, f"{SWITCH_ON}, or give {found}")
    return np.dtype(found)


# -- whether a function is linear ------------------------------------------------------------------


def check_linear(fn: Function, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise GeometryError unless fn(0) = 0 and fn(a x + b y) = a fn(x) + b fn(y), up to rounding.

    It is tried for random x and y and for factors of both signs, large and small.
    """
    trials = list(_trials(shape, dtype))
    arguments = [np.zeros(shape, dtype)]
    for a, b, x, y in trials:
        # All three are exact in every dtype, so any rounding happens in fn.
        arguments += [(a * x + b * y).astype(dtype), x, y]
    zero, *found = np.asarray(jax.jit(jax.vmap(fn))(jnp.asarray(np.stack(arguments))))
    if np.any(zero != 0):
        affine = Described("function that takes zero to something else")
        remedy = "leave out its bias, as in lambda x: fn(x) - fn(0 * x)"
        fail("fn", affine, "it must be linear", remedy)
    exact = dtype.kind in "iu" and zero.dtype.kind in "iu"
    allowed = 0.0 if exact else _rounding(fn, shape, dtype, zero.dtype)
    for n, (a, b, _, _) in enumerate(trials):
        if not _agree(a, b, found[3 * n : 3 * n + 3], exact, allowed):
            curved = Described("function with fn(a x + b y) unlike a fn(x) + b fn(y)")
            remedy = "take the matrix of its derivative, as in lambda t: jax.jvp(fn, (x,), (t,))[1]"
            fail("fn", curved, "it must be linear", remedy)


def _trials(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[Trial]:
    """Random arguments with few enough digits that their sums are exact."""
    rng = np.random.default_rng(0)
    whole = dtype.kind in "iu"
    most = 64 if not whole else 20 if dtype.itemsize == 1 else 1000
    least = 0 if dtype.kind == "u" else -most
    for a, b in _factors(dtype):
        for _ in range(ROUNDS):
            x, y, u, v = (rng.integers(least, most + 1, shape) for _ in range(4))
            if dtype.kind == "c":
                x, y = x + 1j * u, y + 1j * v
            # Sixteenths are fractions that bfloat16 can hold.
            scale = 1 if whole else 1 / 16
            yield a, b, (x * scale).astype(dtype), (y * scale).astype(dtype)


def _factors(dtype: np.dtype[Any]) -> list[tuple[Any, Any]]:
    """Powers of two, which round nothing, of both signs if the dtype has signs."""
    if dtype.kind == "u":
        return [(1, 1), (2, 1)]
    if dtype.kind == "i":
        return [(1, 1), (2, -1), (-1, 2)]
    far = 2.0 ** (3 if dtype == np.float16 else 20)
    found = [(1, 1), (-1, 1), (2, -1), (far, -far), (-1 / far, 1 / far)]
    return [*found, (1j, 1), (-2, 1j)] if dtype.kind == "c" else found


def _agree(a: Any, b: Any, found: Sequence[NDArray[Any]], exact: bool, allowed: float) -> bool:
    """Whether fn(a x + b y), fn(x) and fn(y) are as they must be."""
    one, of_x, of_y = found
    if exact:  # integers wrap around, and stay linear while they do
        return bool(np.array_equal(one, a * of_x + b * of_y))
    limits = jnp.finfo(one.dtype) if jnp.issubdtype(one.dtype, jnp.inexact) else None
    wide = np.complex128 if one.dtype.kind == "c" else np.float64
    one, of_x, of_y = (part.astype(wide) for part in found)
    if not (np.isfinite(of_x).all() and np.isfinite(of_y).all()):
        return False
    of_x, of_y = a * of_x, b * of_y
    largest = max(float(np.abs(part).max(initial=0)) for part in (of_x + of_y, of_x, of_y))
    if limits is not None and largest > float(limits.max) / 4:
        return True  # after an overflow the numbers say nothing
    least = 0.0 if limits is None else 8 * float(limits.tiny)
    with np.errstate(invalid="ignore"):
        return bool((np.abs(one - of_x - of_y) <= allowed * largest + least).all())


def _rounding(
    fn: Function, shape: tuple[int, ...], dtype: np.dtype[Any], result: np.dtype[Any]
) -> float:
    """The tolerance, relative to the largest element."""
    program = str(jax.make_jaxpr(fn)(jax.ShapeDtypeStruct(shape, dtype)))
    floats = [kind for kind in (dtype, result) if jnp.issubdtype(kind, jnp.inexact)]
    widest = [float(jnp.finfo(kind).eps) for kind in floats] or [2.0**-52]
    if _NARROW.search(program):  # a layer in mixed precision rounds to 16 bits inside
        widest.append(float(jnp.finfo(jnp.bfloat16).eps))
    return min(max(widest) * (64 + 4 * math.prod(shape) ** 0.5), MOST_DEVIATION)
