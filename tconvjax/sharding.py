"""The sharding of a result on a mesh with explicit axes."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec, auto_axes

from tconvjax.errors import Described, fail
from tconvjax.layouts import LETTERS, Recipe, placed
from tconvjax.operands import AnyArray


def explicitly_sharded(
    body: Callable[..., jax.Array],
    a: AnyArray,
    b: AnyArray,
    bias: AnyArray | None,
    recipe: Recipe,
) -> jax.Array:
    """Run ``body(a, b, bias)`` and give its result a sharding if the operands have explicit ones.

    Each result axis inherits the sharding of the operand axis it comes from. Mesh axes that are
    summed over are dropped. If several result axes claim one mesh axis, the first gets it. XLA
    partitions the computation itself.
    """
    every = [jax.typeof(v).sharding.mesh for v in (a, b) if isinstance(v, jax.Array)]
    meshes = [mesh for mesh in every if mesh.explicit_axes]
    if not meshes:
        return body(a, b, bias)
    if meshes[0] != meshes[-1]:
        first, second, _ = recipe.roles
        fail(
            second,
            Described(f"array of shape {b.shape} on the mesh {meshes[1]}"),
            f"{first} lies on {meshes[0]}, and one operation has one mesh",
            "lay both out on the same mesh with jax.device_put",
        )
    sharding = NamedSharding(meshes[0], _result_spec(a, b, recipe, meshes[0]))
    return auto_axes(body, out_sharding=sharding)(a, b, bias)


def _names(role: str, ndim: int, recipe: Recipe) -> list[str]:
    """A name for each axis of an array; arrays share an axis where they share its name."""
    spec, space = recipe.spec(role), "tap" if role == "w" else "space"
    entries = [*LETTERS[role], *(f"{space} {n}" for n in range(len(spec) - 2))]
    if role == "w":
        if recipe.geometry.groups > 1:  # the second axis counts the channels of one group only
            entries[1] = "c of a group"
        return list(placed(entries, spec))
    extra = ndim - len(spec)
    names = [name for name in placed(entries, spec) if name != "n" or extra >= 0]
    return [*(f"n {i}" for i in range(extra)), *names]


def _result_spec(a: AnyArray, b: AnyArray, recipe: Recipe, mesh: Any) -> PartitionSpec:
    first, second, result = recipe.roles
    shardings: dict[str, Any] = {}
    for value, role in ((b, second), (a, first)):
        if isinstance(value, jax.Array):
            names = _names(role, value.ndim, recipe)
            shardings.update(zip(names, jax.typeof(value).sharding.spec, strict=False))
    shape = recipe.shape(result, 0)
    sizes = dict(zip(_names(result, len(shape), recipe), shape, strict=True))
    entries: list[Any] = []
    taken: set[str] = set()
    for name in _names(result, a.ndim, recipe):
        entry = shardings.get(name)
        axes = entry if isinstance(entry, tuple) else (entry,) if entry else ()
        # The batch size of the result is that of an operand, which the devices divide.
        if taken.intersection(axes) or sizes.get(name, 0) % math.prod(mesh.shape[n] for n in axes):
            entry = None
        else:
            taken.update(axes)
        entries.append(entry)
    return PartitionSpec(*entries)
