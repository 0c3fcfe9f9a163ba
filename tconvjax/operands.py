"""Reading operands: arrays and their dtypes, layouts, batch axes, precision."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NoReturn, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from tconvjax.arguments import frozen, ints
from tconvjax.errors import Described, array_of, fail, kind_of
from tconvjax.forward import Specs, layout, spec_of
from tconvjax.geometry import Geometry

AnyArray: TypeAlias = jax.Array | NDArray[Any]

FLOATS = ("float16", "bfloat16", "float32", "float64")
COMPLEXES = ("complex64", "complex128")
SIGNED = ("int8", "int16", "int32", "int64")
UNSIGNED = ("uint8", "uint16", "uint32", "uint64")
NO_DTYPES = (bytes, jax.Array, np.ndarray)
"""What NumPy would take for a dtype: b"a" is a letter to it, and an array has one."""

MOST = 2**31 - 1
"""Steps, and elements along an axis; XLA counts both in 32 bits at places."""

MOST_ELEMENTS = 2**40
"""Elements of one image, terabytes."""


def arrays(**values: Any) -> list[Any]:
    """The arguments as JAX arrays (or NumPy's, which jit takes over), of a dtype that adds up."""
    return [
        None if value is None and name == "bias" else _array(name, value)
        for name, value in values.items()
    ]


def as_array(name: str, value: Any) -> jax.Array:
    """What JAX takes for an array, as one of its own."""
    try:
        return jnp.asarray(None if isinstance(value, str | bytes) else value)
    except Exception:  # noqa: BLE001 - JAX and NumPy refuse by several
        fail(
            name,
            kind_of(value),
            "it must be an array of numbers",
            "convert it with jnp.asarray",
        )


def _array(name: str, value: Any) -> Any:
    if isinstance(value, np.ma.MaskedArray):
        fail(name, Described("a masked array"), "what is masked is no number", "give .filled(0)")
    if not isinstance(value, jax.Array | np.ndarray):
        value = as_array(name, value)
    if not getattr(value.dtype, "isnative", True):  # JAX's own dtypes have no byte order
        value = value.astype(value.dtype.newbyteorder("="))
    if value.dtype.name not in FLOATS + COMPLEXES + SIGNED + UNSIGNED:
        fail(
            name,
            Described(f"array of dtype {value.dtype}"),
            "floats of 16 to 64 bits, complex numbers and "
            "integers of 8 to 64 bits can be convolved",
            "convert it with .astype",
        )
    return value


def hashable(dimension_numbers: Any) -> Any:
    """Layouts as a tuple, which a cache can keep."""
    if isinstance(dimension_numbers, list):
        dimension_numbers = tuple(dimension_numbers)
    try:
        hash(dimension_numbers)
    except TypeError:
        _no_layouts(dimension_numbers)
    return dimension_numbers


def layout_of(dimension_numbers: Any, w: AnyArray) -> Specs:
    """Where the axes stand, for the number of spatial axes that a kernel has."""
    if w.ndim < 3:
        fail(
            "w",
            array_of(w.shape),
            "a kernel has two channel axes and at least one spatial axis",
            "reshape it to (out_channels, in_channels / groups, *kernel_size)",
        )
    return layout(hashable(dimension_numbers), w.ndim - 2)


def kernel_sizes(value: Any, dimension_numbers: Any, x: AnyArray) -> tuple[int, tuple[int, ...]]:
    """(rank, kernel sizes): the layout tells the rank, else a tuple's length, else x's."""
    value = frozen("kernel_size", value)
    rank = len(value) if isinstance(value, tuple) else x.ndim - 2
    if dimension_numbers is not None:
        rank = len(layout_letters(dimension_numbers)) - 2
    if rank < 1:
        fail(
            "kernel_size",
            value,
            f"x of shape {x.shape} leaves no spatial axis to it",
            "give one int per axis",
        )
    return rank, ints("kernel_size", value, rank, 1)


def layout_letters(dimension_numbers: Any) -> Any:
    """The layout of x, as letters or as positions."""
    try:
        return tuple(dimension_numbers[0])
    except (TypeError, IndexError, KeyError):
        _no_layouts(dimension_numbers)


def _no_layouts(dimension_numbers: Any) -> NoReturn:
    fail(
        "dimension_numbers",
        dimension_numbers,
        "it must give the layouts of x, w and y",
        "write them as ('NHWC', 'HWIO', 'NHWC')",
    )


def permuted(shape: Sequence[int], spec: Sequence[int]) -> tuple[int, ...]:
    """The entries of a shape in the order of a layout."""
    return tuple(shape[position] for position in spec)


def batch_sizes(value: AnyArray, spec: Sequence[int]) -> tuple[Any, ...]:
    """The sizes of the batch axes of x or y: none, one wherever it stands, or several that lead."""
    extra = value.ndim - len(spec)
    return (value.shape[spec[0]],) if extra == 0 else tuple(value.shape[: extra + 1])


def sizes(role: str, value: AnyArray, spec: Sequence[int]) -> tuple[int, ...]:
    """(channels, *spatial sizes) of x or y, whatever its batch axes."""
    extra = value.ndim - len(spec)
    if extra == 0:
        return permuted(value.shape, spec[1:])
    if extra == -1:
        return tuple(value.shape[p - (p > spec[0])] for p in spec[1:])
    if extra < -1 or spec[0] != 0:
        rank = len(spec) - 2
        fail(
            role,
            array_of(value.shape),
            f"a kernel with {rank} spatial {'axis' if rank == 1 else 'axes'} goes with "
            f"{rank + 1} axes, {rank + 2} with a batch axis, or more where the batch axes lead",
            "reshape it, or the kernel",
        )
    return tuple(value.shape[p + extra] for p in spec[1:])


def with_one_batch(value: jax.Array, role: str, specs: Specs) -> jax.Array:
    """Give x or y exactly one batch axis, and leave w as it is."""
    spec = spec_of(role, specs)
    if value.ndim == len(spec):
        return value
    batch = batch_sizes(value, spec)
    if batch == ():
        return jnp.expand_dims(value, spec[0])
    return value.reshape(math.prod(batch), *value.shape[len(batch) :])


def check_sizes(geometry: Geometry) -> None:
    """Refuse numbers beyond XLA's own, and arrays that no memory holds: XLA ends the process."""
    for name in ("stride", "dilation"):
        numbers = getattr(geometry, name)
        if max(numbers) > MOST:
            fail(name, numbers, f"it must be at most {MOST}", "give smaller steps")
    padded = (
        geometry.in_channels,
        *(axis.in_size + max(axis.low, 0) + max(axis.high, 0) for axis in geometry.axes),
    )
    for name, sizes in (("in_size", padded), ("out_size", geometry.out_shape)):
        if math.prod(sizes) > MOST_ELEMENTS:
            fail(
                name,
                Described(f"channels and sizes {sizes}"),
                f"an image has at most {MOST_ELEMENTS} elements",
                "give smaller sizes, steps or padding",
            )
    for axis in geometry.axes:
        lines = {
            "padding": max(abs(axis.low), abs(axis.high)),
            "in_size": axis.in_size,
            "out_size": axis.out_size,
        }
        for name, size in lines.items():
            if size > MOST:
                fail(name, size, f"along an axis it is at most {MOST}", "take a smaller one")


def checked_dtype(preferred: Any) -> Any:
    """A preferred dtype as NumPy's, hashable; None stays."""
    if preferred is None:
        return None
    try:
        asked = jnp.dtype(preferred)
    except Exception:  # noqa: BLE001 - NumPy refuses by several
        fail("preferred_element_type", preferred, "it must be a dtype", "give jnp.float32, say")
    if jax.dtypes.canonicalize_dtype(asked) != asked:
        fail(
            "preferred_element_type",
            preferred,
            "64-bit numbers are switched off in JAX",
            "give a narrower dtype, or jax.config.update('jax_enable_x64', True)",
        )
    return asked


def result_dtype(given: Any, preferred: Any) -> Any:
    """The dtype of the result: that of the operands, or a preferred one that holds all of it."""
    given = jnp.dtype(given)
    if preferred is None:
        return given
    kinds = (FLOATS, COMPLEXES, SIGNED, UNSIGNED)
    kind = next(kind for kind in kinds if given.name in kind)
    if preferred.name not in kind or preferred.itemsize < given.itemsize:
        wider = [name for name in kind if jnp.dtype(name).itemsize >= given.itemsize]
        fail(
            "preferred_element_type",
            preferred.name,
            f"the operands are {given.name}, and the "
            "result must be of the same kind and at least as wide",
            f"give one of {', '.join(wider)}",
        )
    return preferred


def checked_precision(value: Any) -> Any:
    """A precision that ``lax.conv_general_dilated`` takes, hashable."""
    if value is None:
        return None
    pair = tuple(value) if isinstance(value, tuple | list) else (value,)
    try:
        read = tuple(None if one is None else lax.Precision(one) for one in pair)
    except (TypeError, ValueError):
        read = ()
    if len(read) not in (1, 2) or (len(read) == 2 and (read[0] is None) != (read[1] is None)):
        fail(
            "precision",
            value,
            "it must be None, one of 'default', 'high', 'highest', a "
            "lax.Precision, or a pair of them",
            "use one of these",
        )
    return read if len(read) == 2 else read[0]
