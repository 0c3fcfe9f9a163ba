"""The three partials of an algorithm: what it transposes to, and in which dtype it adds up."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from tconvjax.algorithms import ALGORITHMS, select_algorithm
from tconvjax.algorithms.apart import together
from tconvjax.algorithms.blocks import automatic_devices
from tconvjax.algorithms.convolutions import in_one_part
from tconvjax.forward import ROLES, Partial, Precision, Specs, result_shape, spec_of
from tconvjax.geometry import Geometry


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
        batch = a.shape[spec_of(ROLES[partial][0], specs)[0]]
        algorithm = _chosen(partial, a, geometry, platform, batch)
    wide = _working_dtype(dtype, algorithm, platform, geometry)
    a, b = a.astype(wide), b.astype(wide)
    if partial == "kernel_gradient" and algorithm in ("direct", "polyphase"):
        a, b = _whole_in_space(a, specs.lhs_spec), _whole_in_space(b, specs.out_spec)
    with nullcontext() if platform == "cpu" else together():
        result = ALGORITHMS[algorithm](partial, a, b, geometry, specs, precision)
    return result.astype(dtype)


def _chosen(partial: Partial, a: jax.Array, geometry: Geometry, platform: str, batch: Any) -> str:
    """What `select_algorithm` says; but "direct" on a mesh whose devices cannot share the batch.

    There space is likely to be split, which types do not tell where XLA partitions by itself. It
    exchanges halos for its own convolution only: the reshapes of "patches" and "polyphase" merge
    the split axis with others, and the slices of "taps" start where no shard does, so that all
    three gather whole arrays. What XLA's convolution does not take on a GPU stays as it is.
    """
    name = select_algorithm(
        geometry, partial, a.dtype, platform, batch if isinstance(batch, int) else 1
    )
    taken = jnp.issubdtype(a.dtype, jnp.inexact) and (platform == "cpu" or geometry.rank <= 3)
    shared = not isinstance(batch, int) or batch % automatic_devices(a) == 0
    return "direct" if taken and not shared else name


def _working_dtype(wanted: Any, algorithm: str, platform: str, geometry: Geometry) -> Any:
    """float16 and bfloat16 add up in float32: by cuDNN and the TPU itself, elsewhere by us."""
    one_sum = algorithm == "direct" or (algorithm == "polyphase" and in_one_part(geometry))
    if jnp.dtype(wanted) in (jnp.float16, jnp.bfloat16) and not (one_sum and platform != "cpu"):
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
