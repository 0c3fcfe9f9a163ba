"""TensorFlow: ``tf.nn.conv1d_transpose``, ``2d`` and ``3d``, which require the result's shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax.typing import ArrayLike

from tconvjax.arguments import Ints, choice, frozen, ints
from tconvjax.conventions.base import PLAIN, Call, Framework, Reader, by_concept, cannot, need_sizes
from tconvjax.conventions.layer import Layer, cut, forward_crop, forward_size, pairs
from tconvjax.errors import fail, kind_of

DATA_FORMATS = {1: ("NWC", "NCW"), 2: ("NHWC", "NCHW"), 3: ("NDHWC", "NCDHW")}
"""Layouts of the data by rank: channels last, which is the default, and channels first."""


def _read(reader: Reader) -> Layer:
    _check_rank(reader.ints("kernel_size", 1))
    last = channels_last(reader.rank, reader.arguments.get("data_format"))
    steps = {name: _spatial(reader, name, last) for name in ("strides", "dilations")}
    axes = Reader({**reader.arguments, **steps}, reader.names, reader.rank).steps()
    padding = reader.padding("SAME")
    sizes = _sizes(reader, last)
    if isinstance(padding, str):
        ends: Any = (choice("padding", padding, ("SAME", "VALID")),) * reader.rank
    else:
        others, ends = _divided(pairs("padding", padding, reader.rank + 2, single=False), last)
        if reader.rank != 2 or others != ((0, 0), (0, 0)) or min(map(min, ends)) < 0:
            rule = "explicit pairs are for tf.nn.conv2d_transpose: four of them, none negative, "
            rule += "(0, 0) along batch and channels"
            fail("padding", padding, rule, "use 'SAME' or 'VALID'")
    data = reader.data_size or tuple(map(forward_size, axes, sizes, ends))
    columns = zip(axes, data, sizes, ends, strict=True)
    return Layer(cut(axes, [forward_crop(*column) for column in columns]))


def _check_rank(size: tuple[int, ...]) -> None:
    if len(size) > 3:
        cannot("TensorFlow", "kernel_size", size, "it has at most three axes", "use tconvjax")


def channels_last(rank: int, data_format: Any) -> bool:
    """Whether ``data_format`` puts channels last."""
    formats = DATA_FORMATS[rank]
    return data_format is None or choice("data_format", data_format, formats) == formats[0]


def _spatial(reader: Reader, name: str, last: bool) -> Any:
    """The spatial entries of a list that may also have entries of 1 for batch and channels."""
    value = frozen(name, reader.arguments.get(name))
    if not isinstance(value, tuple) or len(value) == reader.rank:
        return value
    if len(value) == 1:
        return value[0]
    if len(value) != reader.rank + 2:
        rule = f"it must have 1, {reader.rank} or {reader.rank + 2} entries"
        fail(name, value, rule, "give one int per axis")
    others, spatial = _divided(value, last)
    if others != (1, 1):
        fail(name, value, "it must be 1 along batch and channels", "give 1 there")
    return spatial


def _divided(entries: Any, last: bool) -> tuple[Any, Any]:
    """The entries for batch and channels, and those for the spatial axes."""
    if last:
        return (entries[0], entries[-1]), entries[1:-1]
    return entries[:2], entries[2:]


def _sizes(reader: Reader, last: bool) -> tuple[int, ...]:
    """The spatial part of output_shape."""
    shape = frozen("output_shape", reader.value("output_size"))
    if not isinstance(shape, tuple) or len(shape) not in (reader.rank, reader.rank + 2):
        rule = f"it must be the result's whole shape, {reader.rank + 2} ints"
        remedy = "give (batch, *size, channels) in the order of data_format"
        fail("output_shape", shape, rule, remedy)
    spatial = shape if len(shape) == reader.rank else _divided(shape, last)[1]
    return ints("output_shape", spatial, reader.rank, 1)


def _write(layer: Layer, data_size: tuple[int, ...] | None) -> dict[str, Any]:
    _check_rank(layer.each("kernel_size"))
    if data_size is None:
        need_sizes("TensorFlow needs the result's shape, which depends on the input's")
    sizes = tuple(axis.size(n) for axis, n in zip(layer.axes, data_size, strict=True))
    uncut = cut(layer.axes, ((0, 0),) * layer.rank)
    for name in ("VALID", "SAME"):
        columns = zip(uncut, data_size, sizes, layer.crops, strict=True)
        if all(
            forward_size(axis, size, name) == n and forward_crop(axis, n, size, name) == ends
            for axis, n, size, ends in columns
        ):
            return {"output_shape": sizes, "padding": name}
    if layer.rank == 2 and all(axis.low >= 0 and -axis.high < axis.stride for axis in layer.axes):
        ends = [(axis.low, max(axis.high, 0)) for axis in layer.axes]
        return {"output_shape": sizes, "padding": [(0, 0), *ends, (0, 0)]}
    why = "it has SAME and VALID, and for two axes pairs that are not negative"
    return cannot("TensorFlow", "padding", layer.crops, why, "use VALID and crop the result")


TF = Framework(
    name="tf",
    title="TensorFlow",
    call="tf.nn.conv1d_transpose, conv2d_transpose, conv3d_transpose",
    names=by_concept(
        "kernel_size padding", stride="strides", output_size="output_shape", dilation="dilations"
    ),
    data="(N, *size, C), or channels first by data_format",
    read=_read,
    write=_write,
    lacks={"kernel_size": "", **PLAIN},
    extras=("data_format",),
)


def tf_conv_transpose(
    input: ArrayLike,
    filters: ArrayLike,
    output_shape: Sequence[int],
    strides: Ints,
    padding: str | Sequence[Sequence[int]] = "SAME",
    data_format: str | None = None,
    dilations: Ints | None = None,
    name: str | None = None,
) -> Any:
    """``tf.nn.conv1d_transpose``, ``conv2d_transpose`` and ``conv3d_transpose``, by rank.

    This is the gradient of ``tf.nn.conv2d`` with respect to its input, which has the shape
    ``output_shape``.

    Args:
        input: (N, *size, C), or as ``data_format`` says.
        filters: (*k, M, C), the forward convolution's.
        output_shape: the whole shape of the result, batch and channels included.
        strides: an int, one per spatial axis, or one per axis of ``input``, with 1 for batch and
            channels.
        padding: "SAME", "VALID", or in two dimensions four (low, high) pairs, cut off the result.
        data_format: "NWC", "NHWC" or "NDHWC", the default, or "NCW", "NCHW", "NCDHW".
        dilations: like strides; 1 by default. TensorFlow's own CPU kernel only takes 1.
        name: name of the operation in TensorFlow's graph; it is ignored.

    Returns:
        An array of shape ``output_shape``.

    Raises:
        GeometryError: if the convolution of an ``output_shape`` does not give the input's shape.

    Examples:
        >>> import jax.numpy as jnp
        >>> y, w = jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 5, 2))
        >>> tf_conv_transpose(y, w, (1, 7, 7, 5), 2).shape
        (1, 7, 7, 5)

    This follows TensorFlow's documentation and kernels; TensorFlow itself was not run.
    """
    rank = filters.ndim - 2 if hasattr(filters, "ndim") else 0
    if rank not in DATA_FORMATS:
        rule = "TensorFlow has one to three axes of taps"
        fail("filters", kind_of(filters), rule, "give an array (*k, M, C)")
    last = channels_last(rank, data_format)
    call = Call.of(TF, {"input": input, "filters": filters, "bias": None}, last=last)
    z = call.run(
        output_shape=output_shape,
        strides=strides,
        padding=padding,
        data_format=data_format,
        dilations=dilations,
    )
    shape = frozen("output_shape", output_shape)
    if z.shape != shape:  # the entries for batch and channels have only one right value
        m = z.shape[-1 if last else 1]
        rule = f"the batch is {z.shape[0]} and filters give {m} channels"
        fail("output_shape", shape, rule, "give these with the spatial sizes")
    return z
