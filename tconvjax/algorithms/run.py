"""Run one partial with one algorithm, accumulating in a suitable dtype."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from tconvjax.algorithms import ALGORITHMS
from tconvjax.algorithms.blocks import automatic_axes, automatic_devices
from tconvjax.algorithms.guards import right_by_xla, whole_in_space
from tconvjax.algorithms.plan import planned
from tconvjax.algorithms.polyphase import in_one_part
from tconvjax.layouts import Recipe


def run(a: jax.Array, b: jax.Array, recipe: Recipe) -> jax.Array:
    """Compute one partial of the trilinear form.

    Args:
        a: first operand, one batch axis; ``recipe.roles`` says which of x, w and y it is.
        b: second operand, of a's dtype.
        recipe: complete, the platform included. The borders of its geometry are zeros or filled in
            already; its dtype is that of the operands or a wider one of the same kind.

    Returns:
        The result, of the recipe's dtype.
    """
    shape = recipe.result_shape(a)
    if any(isinstance(size, int) and size == 0 for size in (*a.shape, *b.shape, *shape)):
        return jnp.zeros(shape, recipe.dtype)
    if recipe.algorithm == "auto":
        recipe = replace(recipe, algorithm=_chosen(a, b, recipe))
    mesh, mesh_axes = automatic_axes(a, b)
    if not right_by_xla(recipe, len(mesh_axes)):
        recipe = replace(recipe, algorithm="patches")

    def whole(value: jax.Array, role: str) -> jax.Array:
        return whole_in_space(recipe, mesh, len(mesh_axes), value, role)

    wide = _working_dtype(recipe)
    first, second, result = recipe.roles
    a, b = whole(a.astype(wide), first), whole(b.astype(wide), second)
    out = whole(ALGORITHMS[recipe.algorithm](a, b, recipe), result)
    return out.astype(recipe.dtype)


def _chosen(a: jax.Array, b: jax.Array, recipe: Recipe) -> str:
    """The planned algorithm, or "direct" if the batch cannot be divided among the devices.

    In that case space is probably split (automatic sharding is not visible in types), and XLA
    exchanges halos only for its own convolution. The other algorithms would gather whole arrays:
    the reshapes of "patches" and "polyphase" merge the split axis with others, and the slices of
    "taps" start where no shard does. What XLA's convolution does not take on a GPU stays as it is.
    """
    geometry, batch = recipe.geometry, recipe.batch(a)
    known = isinstance(batch, int)
    taken = jnp.issubdtype(a.dtype, jnp.inexact) and (recipe.on_cpu or geometry.rank <= 3)
    if taken and known and batch % automatic_devices(a, b):
        return "direct"
    size = batch if known else 1
    return planned(geometry, recipe.partial, jnp.dtype(a.dtype), recipe.platform, size).algorithm


def _working_dtype(recipe: Recipe) -> Any:
    """float32 for float16 and bfloat16, unless cuDNN or the TPU accumulates in float32 itself."""
    one_sum = recipe.algorithm == "direct" or (
        recipe.algorithm == "polyphase" and in_one_part(recipe.geometry)
    )
    narrow = jnp.dtype(recipe.dtype) in (jnp.float16, jnp.bfloat16)
    return jnp.float32 if narrow and not (one_sum and not recipe.on_cpu) else recipe.dtype
