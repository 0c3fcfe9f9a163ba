"""The three partials of an algorithm: what it transposes to, and in which dtype it adds up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from tconvjax.algorithms import ALGORITHMS, Forward, select_algorithm
from tconvjax.forward import Partial, Precision, Specs, placed, result_shape
from tconvjax.geometry import Axis, Geometry


def run(
    partial: Partial,
    a: jax.Array,
    b: jax.Array,
    *,
    geometry: Geometry,
    specs: Specs,
    precision: Precision,
    dtype: Any,
    algorithm: str,
    platform: str,
) -> jax.Array:
    """One partial of the trilinear form, by one algorithm.

    Args:
        partial: which one; ``ROLES[partial]`` says what a and b are.
        a: first operand, one batch axis.
        b: second operand, of a's dtype.
        geometry: which elements meet; its borders are zeros or filled in already.
        specs: where the axes stand.
        precision: of the products.
        dtype: of the result: that of the operands or a wider one of its kind.
        algorithm: a key of `ALGORITHMS`, or "auto".
        platform: what the program is for.

    Returns:
        The result, of the given dtype.
    """
    shape = result_shape(partial, a, geometry, specs)
    if any(isinstance(size, int) and size == 0 for size in (*a.shape, *b.shape, *shape)):
        return jnp.zeros(shape, dtype)
    if algorithm == "auto":
        algorithm = select_algorithm(geometry, partial, a.dtype, platform)
    wide = _working_dtype(dtype, algorithm, platform)
    a, b, forward = a.astype(wide), b.astype(wide), ALGORITHMS[algorithm]
    if partial == "kernel_gradient" and algorithm != "patches":
        a, b = _whole_in_space(a, specs.lhs_spec), _whole_in_space(b, specs.out_spec)
    if partial == "conv":
        result = forward(a, b, geometry, specs, precision)
    elif jnp.issubdtype(wide, jnp.inexact):
        result = _transposed(forward, partial, a, b, geometry, specs, precision)
    else:
        result = _as_forward(forward, partial, a, b, geometry, specs)
    return result.astype(dtype)


def _working_dtype(wanted: Any, algorithm: str, platform: str) -> Any:
    """float16 and bfloat16 add up in float32: by cuDNN and the TPU itself, elsewhere by us."""
    native = platform != "cpu" and algorithm == "direct"
    if jnp.dtype(wanted) in (jnp.float16, jnp.bfloat16) and not native:
        return jnp.float32
    return wanted


def _whole_in_space(value: jax.Array, spec: Sequence[int]) -> jax.Array:
    """Ask XLA's partitioner not to split the spatial axes of a value.

    Where a mesh has a second axis, XLA sums the kernel gradient of a spatially split convolution
    over that axis too: the result comes out a whole number of times too large, for
    ``lax.conv_general_dilated`` as for us (seen with jax 0.9.0, 0.10.2 and 0.12.0.1 on eight host
    devices). Batch and channels stay free, so this costs nothing unless space was split.
    """
    mesh = jax.typeof(value).sharding.mesh
    split = [name for name in mesh.auto_axes if mesh.shape[name] > 1]
    if len(split) < 2:
        return value
    entries: list[Any] = [None] * value.ndim
    entries[spec[0]] = entries[spec[1]] = PartitionSpec.UNCONSTRAINED
    return lax.with_sharding_constraint(value, NamedSharding(mesh, PartitionSpec(*entries)))


def aval_like(aval: Any, shape: tuple[Any, ...], dtype: Any) -> Any:
    """An abstract array of another shape and dtype that varies over the same mesh axes."""
    spec = PartitionSpec(*(None,) * len(shape))
    return aval.update(
        shape=shape,
        dtype=jnp.dtype(dtype),
        weak_type=False,
        sharding=aval.sharding.update(spec=spec),
    )


def _transposed(
    forward: Forward, partial: Partial, a: jax.Array, b: jax.Array, geometry: Geometry,
    specs: Specs, precision: Precision,
) -> jax.Array:  # fmt: skip
    """A transpose of a forward convolution, as JAX derives it."""
    # The unknown must vary over the same mesh axes as what it meets. Inside a shard_map the
    # transpose would otherwise end with a sum over devices that nobody asked for.
    unknown = aval_like(jax.typeof(a), result_shape(partial, a, geometry, specs), a.dtype)

    def of_unknown(u: jax.Array) -> jax.Array:
        x, w = (u, b) if partial == "conv_transpose" else (a, u)
        return forward(x, w, geometry, specs, precision)

    cotangent = a if partial == "conv_transpose" else b
    (result,) = jax.linear_transpose(of_unknown, unknown)(cotangent)
    return result


def _as_forward(
    forward: Forward, partial: Partial, a: jax.Array, b: jax.Array, geometry: Geometry, specs: Specs
) -> jax.Array:
    """Either transpose as a forward convolution of data laid out anew; for integers.

    j = s*i + d*t - p stays one relation of the same form when output and tap change places
    (the kernel gradient: y is the kernel), and when it is solved for s*i, which asks for y with
    s - 1 zeros between its elements and for the kernel's taps in reverse.
    """
    g, rank = geometry.groups, geometry.rank
    first = tuple(range(rank + 2))
    plain = lax.ConvDimensionNumbers(first, first, first)
    if partial == "conv_transpose":
        y, w = lax.transpose(a, specs.out_spec), lax.transpose(b, specs.rhs_spec)
        y = lax.pad(
            y, jnp.zeros((), y.dtype), [(0, 0, 0)] * 2 + [(0, 0, s - 1) for s in geometry.stride]
        )
        w = lax.rev(w, range(2, rank + 2))  # (g * o, c, *k) to (g * c, o, *k)
        w = jnp.swapaxes(w.reshape(g, -1, *w.shape[1:]), 1, 2)
        w = w.reshape(geometry.in_channels, -1, *geometry.kernel_size)
        axes = tuple(
            Axis(y.shape[2 + n], a.in_size, a.kernel_size, 1, a.dilation, a.span - 1 - a.low)
            for n, a in enumerate(geometry.axes)
        )
        flipped = Geometry(axes, geometry.out_channels, geometry.in_channels, g)
        return lax.transpose(forward(y, w, flipped, plain, None), placed(first, specs.lhs_spec))
    x, y = lax.transpose(a, specs.lhs_spec), lax.transpose(b, specs.out_spec)
    x = x.reshape(x.shape[0], g, -1, *x.shape[2:])  # (N, g, c, *in) to (c, g * N, *in)
    x = jnp.swapaxes(x, 0, 2).reshape(x.shape[2], -1, *x.shape[3:])
    axes = tuple(
        Axis(a.in_size, a.kernel_size, a.out_size, a.dilation, a.stride, a.low)
        for a in geometry.axes
    )
    swapped = Geometry(axes, x.shape[1], geometry.out_channels, g)
    w = forward(x, jnp.swapaxes(y, 0, 1), swapped, plain, None)  # (c, O, *k)
    return lax.transpose(jnp.swapaxes(w, 0, 1), placed(first, specs.rhs_spec))
