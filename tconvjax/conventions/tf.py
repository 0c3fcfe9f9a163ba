"""TensorFlow: ``tf.nn.conv1d_transpose``, ``2d`` and ``3d``, which want the result's shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax.typing import ArrayLike

from tconvjax.arguments import Ints, frozen, ints
from tconvjax.conventions.calling import Call
from tconvjax.conventions.cropping import cut, forward_crop, pairs
from tconvjax.conventions.layer import (
    Crop,
    Framework,
    Layer,
    Reader,
    unsaid,
    without_circles,
    without_groups,
)
from tconvjax.errors import fail, kind_of

DATA_FORMATS = {
    1: {"NWC": True, "NCW": False},
    2: {"NHWC": True, "NCHW": False},
    3: {"NDHWC": True, "NCDHW": False},
}
"""The layouts of data, the default first, and whether channels come last."""


def read(reader: Reader) -> Layer:
    """What `tf_conv_transpose`'s arguments come to."""
    last = channels_last(reader)
    given = {name: _spatial(reader, name, last) for name in ("strides", "dilations")}
    axes = Reader({**reader.given, **given}, reader.names, reader.rank).steps()
    padding = reader.padding("SAME")
    wanted = _wanted(reader, last)
    if isinstance(padding, str):
        if padding not in ("SAME", "VALID"):
            fail("padding", padding, "the names are SAME and VALID", "use one of them")
        data = reader.data_size or tuple(
            -(-size // a.stride) if padding == "SAME" else max((size - a.span) // a.stride + 1, 0)
            for size, a in zip(wanted, axes, strict=True)
        )
        columns = zip(axes, data, wanted, strict=True)
        ends = [forward_crop(*column, padding, "output_shape") for column in columns]
        return Layer(cut(axes, ends))
    explicit = _explicit(reader, padding, last)
    data = reader.data_size or tuple(
        (size + low + high - a.span) // a.stride + 1
        for size, a, (low, high) in zip(wanted, axes, explicit, strict=True)
    )
    for axis, n, size, (low, high) in zip(axes, data, wanted, explicit, strict=True):
        gives = (size + low + high - axis.span) // axis.stride + 1
        if gives != n:
            fail(
                "output_shape",
                size,
                f"a convolution of {size} elements with padding "
                f"{(low, high)} gives {gives}, and the input has {n}",
                f"give {axis.size(n) - low - high} to "
                f"{axis.size(n) - low - high + axis.stride - 1}",
            )
    starts = [low for low, _ in explicit]
    return Layer(
        cut(
            axes,
            [
                (low, axis.size(n) - low - size)
                for axis, n, size, low in zip(axes, data, wanted, starts, strict=True)
            ],
        )
    )


def channels_last(reader: Reader) -> bool:
    """Whether the layout puts channels last."""
    formats = DATA_FORMATS[reader.rank]
    name = reader.given.get("data_format")
    name = next(iter(formats)) if name is None else name
    if not isinstance(name, str) or name not in formats:
        fail("data_format", name, f"the names are {' and '.join(formats)}", "use one of them")
    return formats[name]


def _spatial(reader: Reader, name: str, last: bool) -> Any:
    """The spatial entries of a list that may name batch and channels too, with 1."""
    value = frozen(name, reader.given.get(name))
    value = 1 if value is None else value
    if not isinstance(value, tuple) or len(value) in (1, reader.rank):
        return value[0] if isinstance(value, tuple) and len(value) == 1 else value
    if len(value) != reader.rank + 2:
        fail(
            name,
            value,
            f"it must have 1, {reader.rank} or {reader.rank + 2} entries",
            "give one int per axis",
        )
    entries = ints(name, value, reader.rank + 2, 1)
    rest, spatial = (
        ((entries[0], entries[-1]), entries[1:-1]) if last else (entries[:2], entries[2:])
    )
    if rest != (1, 1):
        fail(name, value, "it must be 1 along batch and channels", "give 1 there")
    return spatial


def _wanted(reader: Reader, last: bool) -> tuple[int, ...]:
    """The spatial part of output_shape."""
    shape = frozen("output_shape", reader.value("output_size"))
    if not isinstance(shape, tuple) or len(shape) not in (reader.rank, reader.rank + 2):
        fail(
            "output_shape",
            shape,
            f"it must be the result's whole shape, {reader.rank + 2} ints",
            "give (batch, *size, channels) in the order of data_format",
        )
    if len(shape) == reader.rank + 2:
        shape = shape[1:-1] if last else shape[2:]
    return ints("output_shape", shape, reader.rank, 1)


def _explicit(reader: Reader, padding: Any, last: bool) -> tuple[tuple[int, int], ...]:
    """Explicit pairs, which TensorFlow has for two axes, batch and channels among them."""
    ends = pairs("padding", padding, reader.rank + 2, single=False)
    rest, spatial = ((ends[0], ends[-1]), ends[1:-1]) if last else (ends[:2], ends[2:])
    if reader.rank != 2 or rest != ((0, 0), (0, 0)) or min(map(min, spatial)) < 0:
        fail(
            "padding",
            padding,
            "explicit pairs are for tf.nn.conv2d_transpose, four of them, not "
            "negative, (0, 0) along batch and channels",
            "use 'SAME' or 'VALID'",
        )
    return spatial


def write(layer: Layer, data_size: tuple[int, ...] | None) -> dict[str, Any]:
    """A layer in the arguments of ``tf.nn.conv2d_transpose`` and its like."""
    without_groups("TensorFlow", layer)
    without_circles("TensorFlow", layer)
    if layer.rank > 3:
        unsaid(
            "TensorFlow",
            "kernel_size",
            layer.each("kernel_size"),
            "it has three axes at most",
            "use tconvjax",
        )
    if data_size is None:
        fail(
            "input_size",
            None,
            "TensorFlow wants the result's shape, which depends on the input's",
            "say for which input: input_size=(...)",
        )
    wanted = tuple(axis.size(n) for axis, n in zip(layer.axes, data_size, strict=True))
    said = {
        "kernel_size": layer.each("kernel_size"),
        "strides": layer.each("stride"),
        "output_shape": wanted,
        "dilations": layer.each("dilation"),
    }
    for name in ("VALID", "SAME"):
        if all(_fits(*column, name) for column in zip(layer.axes, data_size, wanted, strict=True)):
            return {**said, "padding": name}
    ends = [(axis.low, max(axis.high, 0)) for axis in layer.axes]
    if layer.rank == 2 and all(axis.low >= 0 and -axis.high < axis.stride for axis in layer.axes):
        return {**said, "padding": [(0, 0), *ends, (0, 0)]}
    return unsaid(
        "TensorFlow",
        "padding",
        layer.crops,
        "it has SAME and VALID, and for two axes pairs that are not negative",
        "use VALID and crop the result",
    )


def _fits(axis: Crop, n: int, wanted: int, name: str) -> bool:
    """Whether a name cuts the same ends off."""
    bare = Crop(axis.kernel_size, axis.stride, axis.dilation)
    try:
        return forward_crop(bare, n, wanted, name, "output_shape") == (axis.low, axis.high)
    except ValueError:
        return False


TF = Framework(
    name="tf",
    call="tf.nn.conv1d_transpose, conv2d_transpose, conv3d_transpose",
    names={
        "kernel_size": "kernel_size",
        "stride": "strides",
        "padding": "padding",
        "output_size": "output_shape",
        "dilation": "dilations",
    },
    data="(N, *size, C), or channels first by data_format",
    padding="'SAME' or 'VALID', of the convolution that reads output_shape; four pairs in 2-D",
    read=read,
    write=write,
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

    It is the gradient of ``tf.nn.conv2d`` in its input, whose shape is ``output_shape``.

    Args:
        input: (N, *size, C), or as ``data_format`` says.
        filters: (*k, M, C), the forward convolution's.
        output_shape: the whole shape of the result, batch and channels included.
        strides: an int, one an axis, or as many as ``input`` has axes, with 1 for batch and
            channels.
        padding: "SAME", "VALID", or in two dimensions four (low, high) pairs, cut off the result.
        data_format: "NWC", "NHWC" or "NDHWC", which None means, or "NCW", "NCHW", "NCDHW".
        dilations: like strides; 1 without. TensorFlow's own CPU kernel takes 1 only.
        name: of the operation in TensorFlow's graph; nothing here depends on it.

    Returns:
        An array of shape ``output_shape``.

    Raises:
        GeometryError: if the convolution of an ``output_shape`` does not give the input's shape.

    Examples:
        >>> import jax.numpy as jnp
        >>> y, w = jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 5, 2))
        >>> tf_conv_transpose(y, w, (1, 7, 7, 5), 2).shape
        (1, 7, 7, 5)

    Semantics by TensorFlow's documentation and kernels; it was not run.
    """
    del name
    arrays = {"input": input, "kernel": filters, "bias": None}
    rank = filters.ndim - 2 if hasattr(filters, "ndim") else 0
    if rank not in DATA_FORMATS:
        fail(
            "filters",
            kind_of(filters),
            "TensorFlow has one to three axes of taps",
            "give an array (*k, M, C)",
        )
    given = {
        "output_shape": output_shape,
        "strides": strides,
        "padding": padding,
        "data_format": data_format,
        "dilations": dilations,
    }
    last = channels_last(Reader(given, TF.names, rank))
    call = Call.of(TF, arrays, last=last)
    layer = call.framework.read(call.reader(given))
    _check_shape(call, frozen("output_shape", output_shape), last)
    return call.apply(layer)


def _check_shape(call: Call, shape: Any, last: bool) -> None:
    """The batch and channel entries of output_shape, which are not free."""
    channels = call.kernel.shape[call.kernel_spec[1]]
    found = (shape[0], shape[-1 if last else 1])
    if len(shape) != call.rank + 2 or found != (call.data.shape[0], channels):
        fail(
            "output_shape",
            shape,
            f"the batch is {call.data.shape[0]} and filters give {channels} channels",
            "give these with the spatial sizes",
        )
