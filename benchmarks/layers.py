"""The layers of the JAX libraries, each as its users write it, as functions of (y, w).

A layer's weights are passed to the compiled function as arguments, so its own are never made. Where
a layer cannot say which padding it wants, it runs without any and its result is cropped, which is
exact and is what a user of it has to do.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import jax
from cases import Case
from contest import Contestant, Job, NotRun
from programs import (
    Form,
    channels_first,
    channels_last,
    dilated_padding,
    jax_program,
)
from timing import Program


def nnx(case: Case, dtype: str) -> Form:
    """flax.nnx.ConvTranspose: the padding is that of the dilated input, and there are no groups."""
    from flax import nnx

    there = case.geometry
    if there.groups != 1:
        raise NotRun("flax.nnx.ConvTranspose has no groups")
    graph, state = nnx.split(nnx.eval_shape(lambda: nnx.ConvTranspose(
        there.out_channels, there.in_channels, there.kernel_size, there.stride,
        padding=dilated_padding(case), kernel_dilation=there.dilation, use_bias=False,
        transpose_kernel=True, param_dtype=dtype, rngs=nnx.Rngs(0),
    )))  # fmt: skip
    tree = jax.tree.structure(state)

    def function(y: Any, w: Any) -> Any:
        return nnx.merge(graph, jax.tree.unflatten(tree, [w]))(y)

    return Form(function, *channels_last(there.rank))


def equinox(case: Case, dtype: str) -> Form:
    """equinox.nn.ConvTranspose: channels first, the batch by vmap."""
    import equinox

    there, given = case.geometry, case.arguments
    layer = equinox.filter_eval_shape(
        equinox.nn.ConvTranspose, there.rank, there.out_channels, there.in_channels,
        there.kernel_size, there.stride,
        padding=given.get("padding", 0), output_padding=given.get("output_padding", 0),
        dilation=there.dilation, groups=there.groups, use_bias=False, dtype=dtype,
        key=jax.random.key(0),
    )  # fmt: skip

    def function(y: Any, w: Any) -> Any:
        return jax.vmap(equinox.tree_at(lambda layer: layer.weight, layer, w))(y)

    return Form(function, *channels_first(there.rank), swapped=True)


def haiku(case: Case, dtype: str) -> Form:
    """haiku.ConvNDTranspose: the padding is that of the dilated input; no groups, no dilation."""
    import haiku

    there = case.geometry
    if there.groups != 1:
        raise NotRun("haiku.ConvNDTranspose has no groups")
    if set(there.dilation) != {1}:
        raise NotRun("haiku.ConvNDTranspose has no dilation")
    transformed = haiku.without_apply_rng(haiku.transform(lambda y: haiku.ConvNDTranspose(
        there.rank, there.in_channels, there.kernel_size, there.stride,
        padding=dilated_padding(case), with_bias=False,
    )(y)))  # fmt: skip

    def function(y: Any, w: Any) -> Any:
        return transformed.apply({"conv_nd_transpose": {"w": w}}, y)

    data, kernel = channels_last(there.rank)
    return Form(function, data, kernel.replace("IO", "OI"), swapped=True)


def keras(case: Case, dtype: str) -> Form:
    """keras.layers.Conv*DTranspose on JAX: "valid" or "same", and cropped where that is not it."""
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    there = case.geometry
    if there.groups != 1:
        raise NotRun("keras.layers.ConvTranspose has no groups")
    if max(there.dilation) > 1 and max(there.stride) > 1:
        raise NotRun("keras.layers.ConvTranspose refuses a stride with a dilation")
    padding = _keras_padding(case)
    kind = getattr(keras.layers, f"Conv{there.rank}DTranspose")
    layer = kind(
        there.in_channels, there.kernel_size, there.stride, padding=padding or "valid",
        dilation_rate=there.dilation, use_bias=False, data_format="channels_last", dtype=dtype,
        kernel_initializer="zeros",
    )  # fmt: skip
    layer.build((None, *there.out_size, there.out_channels))
    window = tuple(slice(axis.low, axis.low + axis.in_size) for axis in there.axes)

    def function(y: Any, w: Any) -> Any:
        z, _ = layer.stateless_call([w], [], y)
        return z if padding else z[:, *window]

    return Form(function, *channels_last(there.rank))


def _keras_padding(case: Case) -> str:
    """The name that means this padding in Keras; "" if there is none."""
    there = case.geometry
    if there.padding == ((0, 0),) * there.rank:
        return "valid"
    totals = [max(axis.span - axis.stride, 0) for axis in there.axes]
    same = tuple((total // 2, total - total // 2) for total in totals)
    return "same" if there.padding == same else ""


def _keras_note(case: Case) -> str:
    return "" if _keras_padding(case) else 'padding="valid", then cropped'


def _by_layer(form: Callable[[Case, str], Form]) -> Callable[[Job], Program]:
    return lambda job: jax_program(form(job.case, job.dtype), job)


LAYERS = (
    Contestant("Flax NNX", _by_layer(nnx), ("flax",)),
    Contestant("Equinox", _by_layer(equinox), ("equinox",)),
    Contestant("Haiku", _by_layer(haiku), ("dm-haiku",)),
    Contestant("Keras", _by_layer(keras), ("keras",), note=_keras_note),
)
"""The layers of Flax, Equinox, Haiku and Keras."""
