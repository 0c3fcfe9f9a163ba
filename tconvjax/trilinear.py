"""The three partials of one trilinear form, as one primitive that is closed under derivatives.

    T(x, w, y) = sum over n, o, c, i, t of  y[n, o, i] * w[o, c, t] * x[n, c, s*i + d*t - p]

is linear in each of its arguments. Its derivative in y is the convolution of x and w; in x, the
transposed convolution of y and w; in w, the kernel gradient of x and y. Transposing any of the
three in either operand gives one of the other two. So one JAX primitive, whose `Recipe` says which
partial it is, needs no other derivative rule, to any order. The same symmetry gives the batching
rule: a new axis of two of the three arrays joins the axis that those two share (n, o or c), and a
new axis of all three joins the groups.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import ad_checkpoint
from jax.experimental import jet
from jax.interpreters import ad, batching, mlir
from jax.interpreters import partial_eval as pe

from tconvjax.algorithms import jax2onnx
from tconvjax.algorithms.run import run
from tconvjax.layouts import GROUPED, LETTERS, ROLES, Partial, Recipe, aval_like

PARTIAL_WITH_RESULT: Mapping[str, Partial] = {roles[2]: p for p, roles in ROLES.items()}

# jax.extend.core.Primitive, without the import of jax.extend, which loads all of Pallas.
trilinear_p = type(jax.lax.add_p)("trilinear")


def trilinear(a: jax.Array, b: jax.Array, recipe: Recipe) -> jax.Array:
    """Bind the primitive: operands of one dtype, with one batch axis, in the recipe's roles.

    Inside a shard_map, both operands vary over the mesh axes that either varies over. The transpose
    of this is the sum over devices that a replicated operand's gradient needs.
    """
    axes = [jax.typeof(v).mat.varying for v in (a, b)]
    both = axes[0] | axes[1]
    a, b = (
        jax.lax.pcast(v, tuple(sorted(both - have)), to="varying") if both - have else v
        for v, have in zip((a, b), axes, strict=True)
    )
    result: jax.Array = trilinear_p.bind(a, b, recipe=recipe)
    return result


def _run_on(platform: str, a: jax.Array, b: jax.Array, *, recipe: Recipe) -> jax.Array:
    return run(a, b, replace(recipe, platform=platform))


_compiled = jax.jit(_run_on, static_argnums=0, static_argnames="recipe")


def _impl(a: jax.Array, b: jax.Array, *, recipe: Recipe) -> jax.Array:
    return _compiled(jax.default_backend(), a, b, recipe=recipe)


def _abstract_eval(a: Any, b: Any, *, recipe: Recipe) -> Any:
    del b
    jax2onnx.tell(trilinear_p.name)
    return aval_like(a, recipe.result_shape(a), recipe.dtype)


def _transpose(operand: int, cotangent: Any, a: Any, b: Any, *, recipe: Recipe) -> jax.Array:
    """Compute the partial whose result is the operand that is being solved for."""
    first, second, result = recipe.roles
    wanted, other_role, other = (first, second, b) if operand == 0 else (second, first, a)
    values = {result: cotangent, other_role: other.astype(recipe.dtype)}
    transposed = PARTIAL_WITH_RESULT[wanted]
    a_role, b_role, _ = ROLES[transposed]
    solved = trilinear(values[a_role], values[b_role], replace(recipe, partial=transposed))
    return solved.astype((a, b)[operand].aval.dtype)


def _batch(
    operands: Sequence[Any], dims: Sequence[int | None], *, recipe: Recipe
) -> tuple[jax.Array, int]:
    """Fold the new axis into the one that the arrays which have it share; unfold it after."""
    geometry = recipe.geometry
    *roles, result = recipe.roles
    having = [role for role, dim in zip(roles, dims, strict=True) if dim is not None]
    size = next(v.shape[d] for v, d in zip(operands, dims, strict=True) if d is not None)
    letter = "g"
    if len(having) == 1:
        (letter,) = {*LETTERS[having[0]]} & {*LETTERS[result]}
    countable = size > 0 if isinstance(size, int) else letter == "n"
    if not countable:  # a geometry's channels and groups are numbers, and groups are not none
        one = replace(recipe, algorithm="patches", platform=jax.default_backend())
        mapped = jax.vmap(functools.partial(run, recipe=one), in_axes=tuple(dims))
        return mapped(*operands), 0
    folded = [
        value if dim is None else _fold(value, dim, *_place(role, letter, recipe))
        for value, dim, role in zip(operands, dims, roles, strict=True)
    ]
    wider = replace(
        geometry,
        in_channels=geometry.in_channels * (size if letter in "cg" else 1),
        out_channels=geometry.out_channels * (size if letter in "og" else 1),
        groups=geometry.groups * (size if letter == "g" else 1),
    )
    value = trilinear(folded[0], folded[1], replace(recipe, geometry=wider))
    return _unfold(value, size, *_place(result, letter, recipe)), 0


def _taylor(
    primals_in: Sequence[Any], series_in: Sequence[Any], **params: Any
) -> tuple[Any, list[Any]]:
    """The product of two truncated power series, for `jax.experimental.jet`."""
    a, b = ([primal, *terms] for primal, terms in zip(primals_in, series_in, strict=True))
    product = [
        sum(trilinear(a[i], b[order - i], params["recipe"]) for i in range(order + 1))
        for order in range(len(a))
    ]
    return product[0], product[1:]


def _saved(
    saveable: Callable[..., Any], unknown: Sequence[bool], kept: Sequence[bool], equation: Any
) -> tuple[Any, ...]:
    """Whether the forward pass of a `jax.checkpoint` keeps the result.

    A policy that keeps the results of convolutions knows those of JAX only, so it is asked about
    one of them too. A result that it would move to the host is computed again instead.
    """
    inputs = [v for v, has in zip(equation.invars, kept, strict=True) if not has]
    if any(unknown):
        return None, equation, [True], [True], inputs
    avals = [v.aval for v in equation.invars]
    answers = [
        saveable(primitive, *avals, **equation.params)
        for primitive in (trilinear_p, jax.lax.conv_general_dilated_p)
    ]
    if any(answer in (True, ad_checkpoint.Saveable) for answer in answers):
        return equation, None, [False], [False], []
    return equation, equation, [False], [True], inputs


def _place(role: str, letter: str, recipe: Recipe) -> tuple[int, int]:
    """(position, blocks): where a folded axis goes, and how many blocks of that axis it repeats in.

    Channels are blocks of groups, except along the kernel's second axis, which counts one group's.
    """
    grouped = GROUPED[role]
    entry = LETTERS[role].index(grouped if letter == "g" else letter)
    return recipe.spec(role)[entry], recipe.geometry.groups if letter == grouped else 1


def _fold(value: jax.Array, dim: int, position: int, blocks: int) -> jax.Array:
    value = jnp.moveaxis(value, dim, 0)
    size, shape = value.shape[0], value.shape[1:]
    before, length, after = shape[:position], shape[position], shape[position + 1 :]
    value = value.reshape(size, *before, blocks, length // blocks, *after)
    value = jnp.moveaxis(value, 0, position + 1)
    return value.reshape(*before, size * length, *after)


def _unfold(value: jax.Array, size: Any, position: int, blocks: int) -> jax.Array:
    before, after = value.shape[:position], value.shape[position + 1 :]
    length = value.shape[position] // size
    value = value.reshape(*before, blocks, size, length // blocks, *after)
    value = jnp.moveaxis(value, position + 1, 0)
    return value.reshape(size, *before, length, *after)


trilinear_p.def_impl(_impl)
trilinear_p.def_abstract_eval(_abstract_eval)
ad.defbilinear(trilinear_p, functools.partial(_transpose, 0), functools.partial(_transpose, 1))
batching.primitive_batchers[trilinear_p] = _batch
pe.partial_eval_jaxpr_custom_rules[trilinear_p] = _saved
jet.jet_rules[trilinear_p] = _taylor
for _platform in (None, "cpu", "cuda", "rocm"):  # None stands for all others
    _lowered = functools.partial(_run_on, _platform or "tpu")
    mlir.register_lowering(
        trilinear_p, mlir.lower_fun(_lowered, multiple_results=False), platform=_platform
    )
