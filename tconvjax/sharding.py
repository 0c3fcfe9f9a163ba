"""Where a result lies on an explicitly sharded mesh."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import NamedSharding, PartitionSpec, auto_axes

from tconvjax.errors import Described, fail
from tconvjax.forward import ROLES, Partial, Specs, shape_of, spec_of
from tconvjax.geometry import Geometry
from tconvjax.operands import AnyArray


def explicitly_sharded(
    body: Callable[..., jax.Array],
    partial: Partial,
    a: AnyArray,
    b: AnyArray,
    bias: AnyArray | None,
    specs: Specs,
    geometry: Geometry,
) -> jax.Array:
    """Run ``body(a, b, bias)``, giving its result a sharding where the operands' are part of types.

    Along batch, space and ungrouped channels the result lies as the operand that has the axis; a
    mesh axis that the operation sums over is reduced and leaves no trace; the first axis of the
    result wins a mesh axis that several ask for. XLA partitions the computation itself.

    Args:
        body: the operation.
        partial: which partial of the trilinear form it computes.
        a: first operand.
        b: second operand.
        bias: added along the result's channels.
        specs: where the axes stand.
        geometry: the sizes.

    Returns:
        The body's result.

    Raises:
        GeometryError: if the operands lie on two explicit meshes.
    """
    meshes = [m for m in map(_explicit_mesh, (a, b)) if m is not None]
    if not meshes:
        return body(a, b, bias)
    if meshes[0] != meshes[-1]:
        first, second, _ = ROLES[partial]
        fail(
            second,
            Described(f"array of shape {b.shape} on the mesh {meshes[1]}"),
            f"{first} lies on {meshes[0]}, and one operation has one mesh",
            "lay both out on the same mesh with jax.device_put",
        )
    spec = _result_spec(partial, a, b, specs, geometry)
    return auto_axes(body, out_sharding=NamedSharding(meshes[0], spec))(a, b, bias)


def _explicit_mesh(value: Any) -> Any:
    """The mesh of a value that has axes of explicit type, else None."""
    if not isinstance(value, jax.Array):
        return None
    sharding = jax.typeof(value).sharding
    return sharding.mesh if sharding.mesh.explicit_axes else None


def _named(role: str, ndim: int, specs: Specs, groups: int) -> list[str]:
    """A name for each axis of an array; arrays share an axis where they share its name."""
    spec = spec_of(role, specs)
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


def _result_spec(
    partial: Partial, a: AnyArray, b: AnyArray, specs: Specs, geometry: Geometry
) -> PartitionSpec:
    first, second, result = ROLES[partial]
    lies: dict[str, Any] = {}
    for value, role in ((b, second), (a, first)):
        names = _named(role, value.ndim, specs, geometry.groups)
        if isinstance(value, jax.Array):
            lies.update(zip(names, jax.typeof(value).sharding.spec, strict=False))
    names = _named(result, a.ndim, specs, geometry.groups)
    sizes = shape_of(result, 1, geometry, specs)
    entries: list[Any] = []
    taken: set[str] = set()
    for n, name in enumerate(names):
        entry = lies.get(name)
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
