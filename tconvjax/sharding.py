"""The sharding of a result on a mesh with explicit axes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec, auto_axes

from tconvjax.errors import Described, fail
from tconvjax.layouts import Recipe, shape_of
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

    Args:
        body: the operation.
        a: first operand.
        b: second operand.
        bias: added along the result's channels.
        recipe: what the operation computes.

    Returns:
        The body's result.

    Raises:
        GeometryError: if the operands lie on two explicit meshes.
    """
    meshes = [m for m in map(_explicit_mesh, (a, b)) if m is not None]
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
    spec = _result_spec(a, b, recipe)
    return auto_axes(body, out_sharding=NamedSharding(meshes[0], spec))(a, b, bias)


def _explicit_mesh(value: Any) -> Any:
    """The mesh of a value that has axes of explicit type, else None."""
    if not isinstance(value, jax.Array):
        return None
    sharding = jax.typeof(value).sharding
    return sharding.mesh if sharding.mesh.explicit_axes else None


def _named(role: str, ndim: int, recipe: Recipe) -> list[str]:
    """A name for each axis of an array; arrays share an axis where they share its name."""
    spec, groups = recipe.spec(role), recipe.geometry.groups
    letters = [""] * len(spec)
    for position, letter in zip(spec, {"x": "nc", "w": "oc", "y": "no"}[role], strict=False):
        letters[position] = letter
    for n, position in enumerate(spec[2:]):
        letters[position] = f"space {n}" if role != "w" else f"tap {n}"
    if role == "w":
        # With groups, the kernel's second axis counts the channels of one group only.
        return [x if x != "c" or groups == 1 else "c of a group" for x in letters]
    extra = ndim - len(spec)
    if extra < 0:
        return [x for x in letters if x != "n"]
    return [*(f"n {i}" for i in range(extra)), *letters]


def _result_spec(a: AnyArray, b: AnyArray, recipe: Recipe) -> PartitionSpec:
    first, second, result = recipe.roles
    shardings: dict[str, Any] = {}
    for value, role in ((b, second), (a, first)):
        if isinstance(value, jax.Array):
            names = _named(role, value.ndim, recipe)
            shardings.update(zip(names, jax.typeof(value).sharding.spec, strict=False))
    names = _named(result, a.ndim, recipe)
    sizes = shape_of(result, 1, recipe.geometry, recipe.specs)
    entries: list[Any] = []
    taken: set[str] = set()
    for n, name in enumerate(names):
        entry = shardings.get(name)
        axes = entry if isinstance(entry, tuple) else (entry,) if entry else ()
        size = sizes[n - len(names) + len(sizes)] if not name.startswith("n") else 0
        if taken.intersection(axes) or size % _parts(a, b, axes):
            entry = None
        else:
            taken.update(axes)
        entries.append(entry)
    return PartitionSpec(*entries)


def _parts(a: Any, b: Any, axes: tuple[str, ...]) -> int:
    mesh = _explicit_mesh(a) or _explicit_mesh(b)
    parts = 1
    for axis in axes:
        parts *= mesh.shape[axis]
    return parts
