"""What jax2onnx reads in place of this package's primitive: what it writes as ONNX's own operators.

jax2onnx looks rules up by the name of a primitive, and asks no other package for them. So the
primitive is named to it while a program is traced, if it has been imported by then.
"""

from __future__ import annotations

import functools
import sys
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from tconvjax.algorithms.run import run
from tconvjax.layouts import Recipe, placed

PLUGINS = "jax2onnx.plugins.plugin_system"


def tell(primitive: str) -> None:
    """Name the primitive to jax2onnx, if it is in use."""
    if system := sys.modules.get(PLUGINS):
        system.PLUGIN_REGISTRY.setdefault(primitive, Plugin())


class Plugin:
    """Converts an equation of the primitive as a call of a function in JAX's own primitives."""

    def lower(self, ctx: Any, equation: Any) -> None:
        """Convert one equation."""
        program = functools.partial(_in_operators, recipe=equation.params["recipe"])
        written = jax.make_jaxpr(program)(*(v.aval for v in equation.invars))
        call = sys.modules[PLUGINS].PLUGIN_REGISTRY["pjit"]
        call.lower(ctx, equation.replace(params={"jaxpr": written}))


def _cut_off(recipe: Recipe) -> bool:
    """Whether the padding at one end cuts off all that the data give, which no operator can say."""
    if recipe.partial == "conv":
        return any(max(-s.low, -s.high) >= s.in_size for s in recipe.geometry.axes)
    return any(
        max(s.low, s.high) >= s.stride * (s.out_size - 1) + s.span for s in recipe.geometry.axes
    )


def _in_operators(a: jax.Array, b: jax.Array, recipe: Recipe) -> jax.Array:
    """A partial as ONNX's Conv or, with zeros between the elements of its data, ConvTranspose.

    jax2onnx has these for one and two axes. A kernel gradient has none. They are written as
    "patches", and what a named algorithm is to do as that algorithm.
    """
    geometry, rank = recipe.geometry, recipe.geometry.rank
    operator = recipe.algorithm in ("auto", "direct") and rank <= 2
    nothing = 0 in (*geometry.in_size, *geometry.kernel_size, *geometry.out_size)
    if recipe.partial == "kernel_gradient" or nothing or _cut_off(recipe) or not operator:
        named = "patches" if recipe.algorithm == "auto" else recipe.algorithm
        return run(a, b, replace(recipe, algorithm=named, platform="cpu"))
    ones, first = (1,) * rank, tuple(range(rank + 2))
    data = lax.transpose(a.astype(recipe.dtype), recipe.spec(recipe.roles[0]))
    w = lax.transpose(b.astype(recipe.dtype), recipe.specs.rhs_spec)
    steps, spread, padding = geometry.stride, ones, list(geometry.padding)
    if recipe.partial == "conv_transpose":
        steps, spread = ones, geometry.stride
        padding = [
            (s.span - 1 - s.low, s.in_size + s.low - s.stride * (s.out_size - 1) - 1)
            for s in geometry.axes
        ]
        w = lax.rev(w, first[2:])  # (g * o, c, *k) to (g * c, o, *k)
        w = jnp.swapaxes(w.reshape(geometry.groups, -1, *w.shape[1:]), 1, 2)
        w = w.reshape(geometry.in_channels, -1, *geometry.kernel_size)
    if spread == ones and min(map(min, padding)) < 0:  # which ONNX's Conv does not take
        for axis, (low, high) in enumerate(padding, 2):
            size = data.shape[axis]
            data = lax.slice_in_dim(data, max(-low, 0), size - max(-high, 0), axis=axis)
        padding = [(max(low, 0), max(high, 0)) for low, high in padding]
    result = lax.conv_general_dilated(
        data,
        w,
        window_strides=steps,
        padding=padding,
        lhs_dilation=spread,
        rhs_dilation=geometry.dilation,
        feature_group_count=geometry.groups,
        precision=recipe.precision,
    )
    return lax.transpose(result, placed(first, recipe.spec(recipe.roles[2])))
