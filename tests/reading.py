"""A traced program computed by NumPy, one primitive after another, without compiling anything.

It knows the primitives that the package's programs are made of; any other raises KeyError.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import numpy as np

from tconvjax.algorithms.run import run
from tconvjax.layouts import Recipe


def read(f: Callable[..., Any], *operands: Any) -> Any:
    """What f makes of NumPy arrays: its jaxpr, evaluated by NumPy.

    Raises:
        KeyError: a primitive that is not in `STEPS`.
    """
    traced = jax.jit(f).trace(*operands)  # JAX keeps it for the next call of the same f
    with np.errstate(all="ignore"):  # integers overflow, and so they should
        results = _run(traced.jaxpr.jaxpr, traced.jaxpr.consts, jax.tree.leaves(operands))
    return jax.tree.unflatten(jax.tree.structure(traced.out_info), results)


def _run(jaxpr: Any, consts: Sequence[Any], operands: Sequence[Any]) -> list[Any]:
    values: dict[Any, Any] = {}

    def value(atom: Any) -> Any:
        return np.asarray(atom.val, atom.aval.dtype) if hasattr(atom, "val") else values[atom]

    values.update(zip(jaxpr.constvars, map(np.asarray, consts), strict=True))
    values.update(zip(jaxpr.invars, map(np.asarray, operands), strict=True))
    for equation in jaxpr.eqns:
        step = STEPS[equation.primitive.name]
        results = step([value(atom) for atom in equation.invars], equation.params)
        for variable, result in zip(equation.outvars, results, strict=True):
            aval = variable.aval
            if (result.shape, result.dtype) != (aval.shape, aval.dtype):
                raise AssertionError(f"{equation.primitive}: {result.dtype}{result.shape}, {aval}")
            values[variable] = result
    return [value(atom) for atom in jaxpr.outvars]


# -- what a primitive does -------------------------------------------------------------------------

Step = Callable[[Sequence[Any], Mapping[str, Any]], Sequence[Any]]


def _inner(values: Sequence[Any], params: Mapping[str, Any]) -> Sequence[Any]:
    return _run(params["jaxpr"].jaxpr, params["jaxpr"].consts, values)


def _trilinear(values: Sequence[Any], params: Mapping[str, Any]) -> Sequence[Any]:
    """The package's own primitive, as it is lowered."""
    shapes = tuple((v.shape, v.dtype) for v in values)
    closed = _lowered(shapes, params["recipe"])
    return _run(closed.jaxpr, closed.consts, values)


def lowered(equation: Any) -> Any:
    """The jaxpr that an equation of the package's own primitive stands for on a CPU."""
    shapes = tuple((v.aval.shape, v.aval.dtype) for v in equation.invars)
    return _lowered(shapes, equation.params["recipe"])


@functools.lru_cache(maxsize=64)
def _lowered(shapes: Any, recipe: Recipe) -> Any:
    a, b = (jax.ShapeDtypeStruct(*shape) for shape in shapes)
    return jax.make_jaxpr(functools.partial(run, recipe=replace(recipe, platform="cpu")))(a, b)


def _scan(values: Sequence[Any], params: Mapping[str, Any]) -> Sequence[Any]:
    """A loop that carries all its results, or writes a row of each in a turn, and reads rows."""
    body = params["jaxpr"].jaxpr
    inside, out = ([(v.aval.shape, v.aval.dtype) for v in vs] for vs in (body.invars, body.outvars))
    # Outside of the loop, rows have one axis more.
    ends = sum(np.shape(v) == shape for v, (shape, _) in zip(values, inside, strict=True))
    first = ends - len(out) if inside[max(ends - len(out), 0) : ends] == out else ends
    consts, carry, rows = values[:first], list(values[first:ends]), values[ends:]
    written: list[Sequence[Any]] = []
    for n in range(params["length"]):
        found = [*consts, *carry, *(np.asarray(v[n]) for v in rows)]
        found = _run(body, params["jaxpr"].consts, found)
        carry, more = found[: len(carry)], found[len(carry) :]
        written.append(more)
    return [*carry, *map(np.stack, zip(*written, strict=True))]


def _slice(v: Any, p: Mapping[str, Any]) -> Any:
    steps = p["strides"] or (1,) * v.ndim
    bounds = zip(p["start_indices"], p["limit_indices"], steps, strict=True)
    return v[tuple(slice(*bound) for bound in bounds)]


def _places(v: Any, starts: Sequence[Any], sizes: Sequence[int]) -> tuple[slice, ...]:
    """A part of an array; one that would reach past the end starts earlier."""
    firsts = [
        min(max(int(start), 0), n - size)
        for start, n, size in zip(starts, v.shape, sizes, strict=True)
    ]
    return tuple(slice(first, first + size) for first, size in zip(firsts, sizes, strict=True))


def _cut(values: Sequence[Any], params: Mapping[str, Any]) -> Sequence[Any]:
    return [values[0][_places(values[0], values[1:], params["slice_sizes"])]]


def _put(values: Sequence[Any], params: Mapping[str, Any]) -> Sequence[Any]:
    whole, part, *starts = values
    whole = whole.copy()
    whole[_places(whole, starts, part.shape)] = part
    return [whole]


def _pad(v: Any, fill: Any, config: Sequence[tuple[int, int, int]]) -> Any:
    """Zeros around the elements and between them; a negative end crops."""
    shape, there, here = [], [], []
    for size, (low, high, gap) in zip(v.shape, config, strict=True):
        step = gap + 1
        length = max((size - 1) * step + 1, 0) + low + high
        first = max(-(low // step), 0) if low < 0 else 0
        last = min(size, (length - 1 - low) // step + 1)
        shape.append(length)
        here.append(slice(first, max(last, first)))
        there.append(slice(low + first * step, low + max(last, first) * step, step))
    result = np.full(shape, fill, v.dtype)
    if all(part.stop > part.start for part in here):
        result[tuple(there)] = v[tuple(here)]
    return result


def _broadcast(v: Any, p: Mapping[str, Any]) -> Any:
    shape = [1] * len(p["shape"])
    for size, position in zip(v.shape, p["broadcast_dimensions"], strict=True):
        shape[position] = size
    return np.broadcast_to(v.reshape(shape), p["shape"])


def _quotient(a: Any, b: Any, p: Mapping[str, Any]) -> Any:
    """A quotient; one of integers is cut off, and they are small ones."""
    return a / b if a.dtype.kind in "fc" else np.trunc(a / b).astype(a.dtype)


def _dot(a: Any, b: Any, p: Mapping[str, Any]) -> Any:
    (over_a, over_b), (batch_a, batch_b) = p["dimension_numbers"]
    letters = itertools.count()
    of_a = [next(letters) for _ in a.shape]
    of_b = [next(letters) for _ in b.shape]
    for n, m in zip((*over_a, *batch_a), (*over_b, *batch_b), strict=True):
        of_b[m] = of_a[n]
    shared = [of_a[n] for n in batch_a]
    free = [of_a[n] for n in range(a.ndim) if n not in (*over_a, *batch_a)]
    free += [of_b[n] for n in range(b.ndim) if n not in (*over_b, *batch_b)]
    dtype = p["preferred_element_type"] or a.dtype
    return np.einsum(a.astype(dtype), of_a, b.astype(dtype), of_b, shared + free)


def _conv(x: Any, w: Any, p: Mapping[str, Any]) -> Any:
    """``lax.conv_general_dilated`` as the operation's own text says, a tap at a time."""
    numbers, groups, batches = (
        p["dimension_numbers"], p["feature_group_count"], p["batch_group_count"])  # fmt: skip
    x, w = x.transpose(numbers.lhs_spec), w.transpose(numbers.rhs_spec)
    rank = x.ndim - 2
    x = _pad(x, 0, [(0, 0, 0)] * 2 + [(0, 0, d - 1) for d in p["lhs_dilation"]])
    x = _pad(x, 0, [(0, 0, 0)] * 2 + [(low, high, 0) for low, high in p["padding"]])
    w = _pad(w, 0, [(0, 0, 0)] * 2 + [(0, 0, d - 1) for d in p["rhs_dilation"]])
    taps, dtype = w.shape[2:], p["preferred_element_type"] or x.dtype
    x, w = x.astype(dtype), w.astype(dtype)
    if batches > 1:  # the images of a block meet the filters of that block only
        x = x.reshape(batches, len(x) // batches, *x.shape[1:]).swapaxes(0, 1)
        x, groups = x.reshape(len(x), batches * x.shape[2], *x.shape[3:]), batches
    sizes = [max((n - k) // s + 1, 0) for n, k, s in
             zip(x.shape[2:], taps, p["window_strides"], strict=True)]  # fmt: skip
    x = x.reshape(len(x), groups, x.shape[1] // groups, *x.shape[2:])
    w = w.reshape(groups, len(w) // groups, *w.shape[1:])
    y = np.zeros((len(x), groups, w.shape[1], *sizes), dtype)
    for tap in np.ndindex(*taps):
        seen = x[(..., *(slice(t, t + s * (n - 1) + 1 if n else t, s) for t, s, n in
                         zip(tap, p["window_strides"], sizes, strict=True)))]  # fmt: skip
        y += np.einsum("ngc...,goc->ngo...", seen, w[(..., *tap)])
    y = y.reshape(len(x), groups * y.shape[2], *sizes)
    return y.transpose(np.argsort(numbers.out_spec[: rank + 2]))


def _one(f: Callable[..., Any]) -> Step:
    """A step of one result from a function of the operands and the parameters."""
    return lambda values, params: [f(*values, params)]


def _joined(values: Sequence[Any], params: Mapping[str, Any]) -> Sequence[Any]:
    return [np.concatenate(values, params["dimension"])]


def _reshape(v: Any, p: Mapping[str, Any]) -> Any:
    v = v if p["dimensions"] is None else v.transpose(p["dimensions"])
    return v.reshape(p["new_sizes"])


STEPS: Mapping[str, Step] = {
    "jit": _inner,
    "pjit": _inner,
    "trilinear": _trilinear,
    "scan": _scan,
    "add": _one(lambda a, b, p: a + b),
    "add_any": _one(lambda a, b, p: a + b),
    "mul": _one(lambda a, b, p: a * b),
    "broadcast_in_dim": _one(_broadcast),
    "concatenate": _joined,
    "convert_element_type": _one(lambda v, p: v.astype(p["new_dtype"])),
    "conv_general_dilated": _one(_conv),
    "div": _one(_quotient),
    "dot_general": _one(_dot),
    "dynamic_slice": _cut,
    "dynamic_update_slice": _put,
    "pad": _one(lambda v, fill, p: _pad(v, fill, p["padding_config"])),
    "reduce_sum": _one(lambda v, p: v.sum(p["axes"], dtype=v.dtype)),
    "reshape": _one(_reshape),
    "rev": _one(lambda v, p: np.flip(v, p["dimensions"])),
    "slice": _one(_slice),
    "split": lambda values, p: np.split(values[0], np.cumsum(p["sizes"])[:-1], p["axis"]),
    "squeeze": _one(lambda v, p: v.squeeze(p["dimensions"])),
    "stack": lambda values, p: [np.stack(values, p.get("axis", p.get("dimension", 0)))],
    "transpose": _one(lambda v, p: v.transpose(p["permutation"])),
    "unstack": lambda values, p: [np.take(values[0], n, p.get("axis", p.get("dimension", 0)))
                                  for n in range(values[0].shape[p.get("axis", 0)])],
}  # fmt: skip
