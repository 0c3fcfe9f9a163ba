"""What XLA's partitioner and compiler get wrong, and how a partial is kept away from it."""

from __future__ import annotations

import math
from typing import Any

import jax
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from tconvjax.algorithms.phases import Split, splits_of
from tconvjax.geometry import Geometry
from tconvjax.layouts import Recipe


def right_by_xla(recipe: Recipe, mesh_axes: int) -> bool:
    """Whether XLA compiles an algorithm correctly; "patches" is right everywhere.

    Args:
        recipe: with the algorithm chosen.
        mesh_axes: mesh axes along which XLA may split the operands as it sees fit.
    """
    algorithm, geometry = recipe.algorithm, recipe.geometry
    direct = algorithm == "direct"
    if direct and recipe.partial == "conv_transpose" and _ends_the_process(geometry):
        return False
    if mesh_axes == 0 or algorithm not in ("direct", "polyphase"):
        return True
    return _partitioned_rightly(algorithm, geometry, mesh_axes)


def _ends_the_process(geometry: Geometry) -> bool:
    """Whether XLA fails a check of its own when it compiles the transposed convolution.

    XLA swaps the operands if y has fewer elements than the kernel has taps. It does not swap an
    axis of two taps and stride 2 that loses one element at either end, which is right only if y has
    two elements there too ("Window dimensions do not match RHS shape": jax 0.10.2 and 0.12.0.1).
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

    It gets grouped convolutions wrong or gathers the batch for them (openxla/xla#48086), except for
    depthwise ones on a mesh of one axis. It also takes an axis along which x, the kernel or y has
    one element for an axis of a matrix product, which ends in a wrong result or a failed check.
    """

    def sizes(split: Split) -> tuple[int, ...]:
        axis = split.axis
        if algorithm == "direct":
            return axis.in_size, axis.kernel_size, axis.out_size
        return split.all_rows, axis.kernel_size // split.period, axis.out_size

    depthwise = geometry.groups == geometry.in_channels == geometry.out_channels
    alone = depthwise and algorithm == "direct" and mesh_axes == 1
    return (geometry.groups == 1 or alone) and all(
        min(sizes(split)) > 1 for split in splits_of(geometry)
    )


def whole_in_space(
    recipe: Recipe, mesh: Any, mesh_axes: int, value: jax.Array, role: str
) -> jax.Array:
    """Keep XLA's partitioner from splitting the spatial axes of a value that it would get wrong.

    It gets strided slices of a split axis wrong, and every algorithm but "direct" consists of
    those. It gets the halos of its own convolution right, but not where a mesh has a second axis:
    the result may come out twice too large, for ``lax.conv_general_dilated`` as for us (jax 0.9.0,
    0.10.2 and 0.12.0.1 on four and eight host devices). Batch and channels stay free, so this costs
    nothing unless space was split.
    """
    if mesh_axes <= (recipe.algorithm == "direct"):
        return value
    spatial, free = recipe.spec(role)[2:], PartitionSpec.UNCONSTRAINED
    entries = (None if n in spatial else free for n in range(value.ndim))
    return lax.with_sharding_constraint(value, NamedSharding(mesh, PartitionSpec(*entries)))
