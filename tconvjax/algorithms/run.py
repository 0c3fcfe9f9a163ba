"""Run one partial with one algorithm, accumulating in a suitable dtype."""

from __future__ import annotations

import functools
import math
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import NamedSharding, PartitionSpec

from tconvjax.algorithms import ALGORITHMS
from tconvjax.algorithms.blocks import automatic_axes, automatic_devices
from tconvjax.algorithms.parts import cut, live, live_taps, put
from tconvjax.algorithms.phases import Split, splits_of
from tconvjax.algorithms.plan import planned
from tconvjax.algorithms.polyphase import in_one_part
from tconvjax.geometry import Geometry
from tconvjax.layouts import Recipe


def run(a: jax.Array, b: jax.Array, recipe: Recipe) -> jax.Array:
    """Compute one partial of the trilinear form, from operands with one batch axis.

    The recipe has its platform and dtype, which is the operands' or a wider one of their kind. The
    padding is zeros; the caller has filled in a border of copies.
    """
    shape = recipe.result_shape(a)
    if any(isinstance(size, int) and size == 0 for size in (*a.shape, *b.shape, *shape)):
        return jnp.zeros(shape, recipe.dtype)
    if (smaller := live(recipe)) != recipe:
        if recipe.partial == "kernel_gradient":
            return put(run(a, b, smaller), recipe, live_taps(recipe))
        return run(a, cut(b, recipe, live_taps(recipe)), smaller)
    if recipe.algorithm == "auto":
        recipe = replace(recipe, algorithm=_chosen(a, b, recipe))
    mesh, mesh_axes = automatic_axes(a, b)
    if not _right_by_xla(recipe, len(mesh_axes)):
        recipe = replace(recipe, algorithm="patches")

    whole = functools.partial(_whole_in_space, recipe, mesh, len(mesh_axes))
    wide = _working_dtype(recipe)
    first, second, result = recipe.roles
    a, b = whole(a.astype(wide), first), whole(b.astype(wide), second)
    out = whole(ALGORITHMS[recipe.algorithm](a, b, recipe), result)
    return out.astype(recipe.dtype)


def _chosen(a: jax.Array, b: jax.Array, recipe: Recipe) -> str:
    """The planned algorithm, or "direct" if the batch cannot be divided among the devices.

    Automatic sharding is not visible in types, so this is a guess: if the devices do not divide the
    batch, the spatial axes are split. Only "direct", XLA's own convolution, exchanges halos then.
    The others would gather whole arrays: the reshapes of "patches" and "polyphase" merge the split
    axis with others, and the slices of "taps" start where no shard does. Integers keep the planned
    algorithm, and so do more than three axes on a GPU.
    """
    geometry, batch = recipe.geometry, recipe.batch(a)
    known = isinstance(batch, int)
    taken = jnp.issubdtype(a.dtype, jnp.inexact) and (recipe.on_cpu or geometry.rank <= 3)
    if taken and known and batch % automatic_devices(a, b):
        return "direct"
    plan = planned(replace(recipe, dtype=jnp.dtype(a.dtype)), batch if known else 1)
    return plan.algorithm


def _working_dtype(recipe: Recipe) -> Any:
    """The dtype to add up in: float32 for float16 and bfloat16, else the recipe's.

    Off a CPU, cuDNN and the TPU accumulate in float32 themselves if there is one convolution.
    """
    one_sum = recipe.algorithm == "direct" or (
        recipe.algorithm == "polyphase" and in_one_part(recipe.geometry)
    )
    narrow = jnp.dtype(recipe.dtype) in (jnp.float16, jnp.bfloat16)
    return jnp.float32 if narrow and not (one_sum and not recipe.on_cpu) else recipe.dtype


# -- what XLA gets wrong ---------------------------------------------------------------------------


def _right_by_xla(recipe: Recipe, mesh_axes: int) -> bool:
    """Whether XLA compiles an algorithm correctly; "patches" is right everywhere.

    Its partitioner gets grouped convolutions wrong or gathers the batch for them
    (openxla/xla#48086), except for depthwise ones on a mesh of one axis. It also takes an axis
    along which x, the kernel or y has one element for an axis of a matrix product, which ends in a
    wrong result or a failed check.
    """
    algorithm, geometry = recipe.algorithm, recipe.geometry
    if algorithm == "direct" and recipe.partial == "conv_transpose" and _ends_the_process(geometry):
        return False
    if mesh_axes == 0 or algorithm not in ("direct", "polyphase"):
        return True

    def sizes(split: Split) -> tuple[int, ...]:
        axis = split.axis
        if algorithm == "direct":
            return axis.in_size, axis.kernel_size, axis.out_size
        return split.all_rows, axis.kernel_size // split.period, axis.out_size

    alone = recipe.depthwise and algorithm == "direct" and mesh_axes == 1
    return (geometry.groups == 1 or alone) and all(
        min(sizes(split)) > 1 for split in splits_of(geometry)
    )


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


def _whole_in_space(
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
