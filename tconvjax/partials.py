"""The three partials of an algorithm: what it transposes to, and in which dtype it adds up."""

from __future__ import annotations

import functools
import math
from contextlib import nullcontext
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from tconvjax.algorithms import ALGORITHMS, select_algorithm
from tconvjax.algorithms.apart import together
from tconvjax.algorithms.blocks import automatic_axes, automatic_devices
from tconvjax.algorithms.convolutions import in_one_part
from tconvjax.algorithms.splitting import Split
from tconvjax.forward import ROLES, Partial, Precision, Specs, result_shape, spec_of
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
        batch = a.shape[spec_of(ROLES[partial][0], specs)[0]]
        algorithm = _chosen(partial, a, b, geometry, platform, batch)
    mesh, split = automatic_axes(a, b)
    if not _right_by_xla(algorithm, partial, geometry, len(split)):
        algorithm = "patches"
    wide = _working_dtype(dtype, algorithm, platform, geometry)
    whole = functools.partial(_whole_in_space, algorithm, specs, mesh, len(split))
    first, second, third = ROLES[partial]
    a, b = whole(a.astype(wide), first), whole(b.astype(wide), second)
    with nullcontext() if platform == "cpu" else together():
        result = ALGORITHMS[algorithm](partial, a, b, geometry, specs, precision)
    result = whole(result, third)
    return result.astype(dtype)


def _chosen(
    partial: Partial, a: jax.Array, b: jax.Array, geometry: Geometry, platform: str, batch: Any
) -> str:
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
    shared = not isinstance(batch, int) or batch % automatic_devices(a, b) == 0
    return "direct" if taken and not shared else name


def _working_dtype(wanted: Any, algorithm: str, platform: str, geometry: Geometry) -> Any:
    """float16 and bfloat16 add up in float32: by cuDNN and the TPU itself, elsewhere by us."""
    one_sum = algorithm == "direct" or (algorithm == "polyphase" and in_one_part(geometry))
    if jnp.dtype(wanted) in (jnp.float16, jnp.bfloat16) and not (one_sum and platform != "cpu"):
        return jnp.float32
    return wanted


def _right_by_xla(algorithm: str, partial: Partial, geometry: Geometry, mesh_axes: int) -> bool:
    """Whether XLA compiles an algorithm into what it says; "patches" is right everywhere."""
    if algorithm == "direct" and partial == "conv_transpose" and _ends_the_process(geometry):
        return False
    if algorithm not in ("direct", "polyphase") or mesh_axes == 0:
        return True
    return _partitioned_rightly(algorithm, geometry, mesh_axes)


def _ends_the_process(geometry: Geometry) -> bool:
    """Whether XLA fails a check of its own over the transposed convolution.

    It swaps the operands where y has fewer elements than the kernel has taps. An axis of two taps
    and stride 2 that loses one element at either end it does not swap then, which is right only
    where y has two elements there too ("Window dimensions do not match RHS shape": jax 0.10.2 and
    0.12.0.1).
    """
    kept = [
        (a.kernel_size, a.stride, a.dilation, a.low) == (2, 2, 1, 1)
        and a.in_size == 2 * a.out_size - 2 != 2
        for a in geometry.axes
    ]
    swapped = [a for a, stays in zip(geometry.axes, kept, strict=True) if not stays]
    taps, elements = (
        math.prod(getattr(a, name) for a in swapped) for name in ("kernel_size", "out_size")
    )
    return geometry.groups == 1 and any(kept) and taps > elements


def _partitioned_rightly(algorithm: str, geometry: Geometry, mesh_axes: int) -> bool:
    """Whether XLA's partitioner gets the convolutions of "direct" or "polyphase" right.

    It gets grouped ones wrong or gathers the batch for them (openxla/xla#48086), but for depthwise
    ones on a mesh of one axis. And it takes an axis along which x, the kernel or y has one element
    for one of a matrix product, which ends in a wrong result or a failed check.
    """

    def sizes(axis: Axis) -> tuple[int, ...]:
        if algorithm == "direct":
            return axis.in_size, axis.kernel_size, axis.out_size
        split = Split(axis)
        return split.all_rows, axis.kernel_size // split.period, axis.out_size

    depthwise = geometry.groups == geometry.in_channels == geometry.out_channels
    alone = depthwise and algorithm == "direct" and mesh_axes == 1
    return (geometry.groups == 1 or alone) and all(min(sizes(axis)) > 1 for axis in geometry.axes)


def _whole_in_space(
    algorithm: str, specs: Specs, mesh: Any, mesh_axes: int, value: jax.Array, role: str
) -> jax.Array:
    """Keep XLA's partitioner from splitting the spatial axes of a value that it would get wrong.

    It gets strided slices of a split axis wrong, which all algorithms but "direct" are made of. Of
    its own convolution it gets the halos right, but not where a mesh has a second axis: the result
    may come out twice too large, for ``lax.conv_general_dilated`` as for us (jax 0.9.0, 0.10.2 and
    0.12.0.1 on four and eight host devices). Batch and channels are free, so that this costs
    nothing but where space was split.
    """
    if mesh_axes <= (algorithm == "direct"):
        return value
    spatial, free = spec_of(role, specs)[2:], PartitionSpec.UNCONSTRAINED
    entries = (None if n in spatial else free for n in range(value.ndim))
    return lax.with_sharding_constraint(value, NamedSharding(mesh, PartitionSpec(*entries)))
