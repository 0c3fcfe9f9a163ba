"""Readers of arrays, dtypes and precisions, and the sizes that XLA can take."""

from __future__ import annotations

import functools
import math
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from tconvjax.errors import Described, fail, kind_of
from tconvjax.geometry import Geometry

AnyArray: TypeAlias = jax.Array | NDArray[Any]

FLOATS = ("float16", "bfloat16", "float32", "float64")
COMPLEXES = ("complex64", "complex128")
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
KINDS = (FLOATS, COMPLEXES, SIGNED, UNSIGNED)
NUMBERS = FLOATS + COMPLEXES + SIGNED + UNSIGNED
NARROW_FLOATS = tuple(name for name in dir(jnp) if name.startswith(("float4_", "float8_")))
NARROW = (*NARROW_FLOATS, "int2", "int4", "uint2", "uint4")
"""Dtypes that store numbers; they are widened before anything is computed."""
UNJOINED = ("float8_e8m0fnu", "int2", "uint2")
"""Not for streams: the first has no zero, and joining the others ends the process (jax 0.10.2)."""

MOST = 2**31 - 1
"""Largest stride, dilation or axis length; XLA uses 32-bit integers for them in places."""

MOST_ELEMENTS = 2**40
"""Largest number of elements of one image: terabytes."""


def arrays(*narrow: str, **values: Any) -> list[Any]:
    """Read arrays of numbers, or of these narrow dtypes, as JAX's or NumPy's, which jit takes."""
    return [
        None if value is None and name == "bias" else _array(name, value, narrow)
        for name, value in values.items()
    ]


def as_array(name: str, value: Any) -> jax.Array:
    """Convert what JAX accepts to a JAX array."""
    try:
        return jnp.asarray(None if isinstance(value, str | bytes) else value)
    except Exception:  # noqa: BLE001 - JAX and NumPy refuse by several
        rule, remedy = "it must be an array of numbers", "convert it with jnp.asarray"
        if hasattr(value, "detach"):  # a tensor of PyTorch's
            remedy = "pass .detach() of it, and .float() of that if NumPy lacks its dtype"
        fail(name, kind_of(value), rule, remedy)


def _array(name: str, value: Any, narrow: tuple[str, ...]) -> Any:
    if isinstance(value, np.ma.MaskedArray):
        fail(name, Described("a masked array"), "what is masked is no number", "give .filled(0)")
    if not isinstance(value, jax.Array | np.ndarray):
        value = as_array(name, value)
    if not getattr(value.dtype, "isnative", True):  # JAX's own dtypes have no byte order
        value = value.astype(value.dtype.newbyteorder("="))
    if not _is_taken(value.dtype, narrow):
        floats, whole = ("4, 8 and ", "2, 4 and ") if narrow else ("", "")
        kinds = f"floats of {floats}16 to 64 bits, complex numbers and integers of {whole}8 to 64"
        rule = f"{kinds} bits can be convolved"
        fail(name, Described(f"array of dtype {value.dtype}"), rule, "convert it with .astype")
    return value


@functools.lru_cache(maxsize=256)
def _is_taken(dtype: Any, narrow: tuple[str, ...]) -> bool:
    return dtype.name in NUMBERS + narrow


@functools.lru_cache(maxsize=4096)
def check_sizes(geometry: Geometry) -> None:
    """Reject sizes that XLA cannot represent or allocate; it would abort the process."""
    for name in ("stride", "dilation"):
        numbers = getattr(geometry, name)
        if max(numbers) > MOST:
            fail(name, numbers, f"it must be at most {MOST}", "give smaller steps")
    padded = [axis.in_size + max(axis.low, 0) + max(axis.high, 0) for axis in geometry.axes]
    images = {"in_size": (geometry.in_channels, *padded), "out_size": geometry.out_shape}
    for name, sizes in images.items():
        if math.prod(sizes) > MOST_ELEMENTS:
            rule = f"an image has at most {MOST_ELEMENTS} elements"
            remedy = "give smaller sizes, steps or padding"
            fail(name, Described(f"channels and sizes {sizes}"), rule, remedy)
    for axis in geometry.axes:
        padding = max(abs(axis.low), abs(axis.high))
        lengths = {"padding": padding, "in_size": axis.in_size, "out_size": axis.out_size}
        for name, size in lengths.items():
            if size > MOST:
                fail(name, size, f"along an axis it is at most {MOST}", "take a smaller one")


def dtype_of(name: str, value: Any) -> Any:
    """Read a dtype, however it is spelled and in whatever order of bytes."""
    try:
        dtype = jnp.dtype(value)
        return dtype if dtype.isnative else dtype.newbyteorder("=")
    except Exception:  # noqa: BLE001 - NumPy refuses by several
        return fail(name, value, "it must be a dtype", "give one such as float32")


def inexact_dtype(name: str, value: Any) -> Any:
    """Read a dtype of floats or complex numbers; 64 bits become 32 where they are switched off."""
    dtype = dtype_of(name, value)
    # To NumPy b"a" is the letter of a dtype, and an array stands for its own.
    if isinstance(value, bytes | jax.Array | np.ndarray) or not jnp.issubdtype(dtype, jnp.inexact):
        fail(name, value, "it must be a dtype of floats or complex numbers", "give jnp.float32")
    return jax.dtypes.canonicalize_dtype(dtype)


def computing_dtype(name: str, value: Any) -> Any:
    """Read the dtype in which a layer computes; None stays."""
    dtype = None if value is None else inexact_dtype(name, value)
    if dtype is not None and dtype.name in NARROW:
        rule = "numbers of this dtype are stored, and widened to be computed with"
        fail(name, dtype.name, rule, "give jnp.bfloat16, or convert the parameters with .astype")
    return dtype


def random_key(key: Any) -> Any:
    """Read a random key of jax.random.key, or of the older jax.random.PRNGKey."""
    dtype: Any = getattr(key, "dtype", bool)
    axes = 0 if jnp.issubdtype(dtype, jax.dtypes.prng_key) else 1
    if (axes == 1 and dtype != np.uint32) or getattr(key, "ndim", None) != axes:
        fail("key", kind_of(key), "it must be one random key", "give jax.random.key(0)")
    return key


def available_dtype(name: str, value: Any) -> Any:
    """Read a dtype that JAX has; None stays, and Python's own types mean the widest there is."""
    if value is None:
        return None
    asked = dtype_of(name, value)
    found = jax.dtypes.canonicalize_dtype(asked)
    if found != asked and not any(value is kind for kind in (int, float, complex)):
        remedy = "give a narrower dtype, or jax.config.update('jax_enable_x64', True)"
        fail(name, str(asked), "64-bit numbers are switched off in JAX", remedy)
    return found


def dtypes(preferred: Any, *values: Any) -> tuple[Any, Any]:
    """The dtype to which the operands are promoted or widened, and the dtype of the result.

    Args:
        preferred: dtype of the result, of the operands' kind and as wide; None for their own.
        values: the operands, and perhaps a bias; it may be None.
    """
    given = [value for value in values if value is not None]
    names = {value.dtype.name for value in given}
    wide: list[Any] = [value for value in given if value.dtype.name not in NARROW]
    inexact = any(jnp.issubdtype(value.dtype, jnp.inexact) for value in wide)
    kind: tuple[str, ...]
    alone = ""  # the dtype if no other operand says how wide
    if names & set(NARROW_FLOATS) and not inexact:
        alone, kind = "float32", FLOATS
    elif not wide:
        alone, kind = "int32", SIGNED
    elif names & {"int2", "int4"} and all(value.dtype.name in UNSIGNED for value in wide):
        wide.append(jnp.int8)  # which JAX promotes with an unsigned dtype to a wider signed one
    if alone:
        asked = preferred is not None and preferred.name in kind
        wide.append(preferred if asked else alone)
    dtype = jnp.dtype(jnp.result_type(*wide))
    if preferred is None:
        return dtype, dtype
    kind = next(kind for kind in KINDS if dtype.name in kind)
    least = 0 if alone else dtype.itemsize
    right = [name for name in kind if jnp.dtype(name).itemsize >= least]
    if preferred.name not in right:
        rule = f"the operands are {' and '.join(sorted(names))}"
        rule += ", and the result must be of the same kind and at least as wide"
        fail("preferred_element_type", preferred.name, rule, f"give one of {', '.join(right)}")
    return dtype, preferred


def widened(*values: Any) -> list[Any]:
    """Arrays, of which one may be None, with the narrow ones as they are computed with."""
    narrow = [value is not None and value.dtype.name in NARROW for value in values]
    dtype = dtypes(None, *values)[0] if any(narrow) else None
    return [v.astype(dtype) if is_ else v for v, is_ in zip(values, narrow, strict=True)]


def checked_precision(value: Any) -> Any:
    """Read a precision that ``lax.conv_general_dilated`` takes, in a hashable form."""
    if value is None:
        return None
    pair = tuple(value) if isinstance(value, tuple | list) else (value,)
    try:
        read = tuple(None if one is None else lax.Precision(one) for one in pair)
    except (TypeError, ValueError):
        read = ()
    if len(read) not in (1, 2) or (len(read) == 2 and (read[0] is None) != (read[1] is None)):
        names = "one of 'default', 'high', 'highest'"
        rule = f"it must be None, {names}, a lax.Precision, or a pair of them"
        fail("precision", value, rule, "use one of these")
    return read if len(read) == 2 else read[0]
