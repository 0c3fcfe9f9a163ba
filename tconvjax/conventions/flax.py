"""Flax: the arguments of ``nnx.ConvTranspose`` and ``linen.ConvTranspose``, as one function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
from jax.lax import ConvDimensionNumbers
from jax.typing import ArrayLike

from tconvjax.arguments import Ints, flag, ints
from tconvjax.conventions.calling import Call
from tconvjax.conventions.cropping import circular
from tconvjax.conventions.lax import padded
from tconvjax.conventions.layer import Crop, Framework, Layer, Reader, unsaid, without_groups
from tconvjax.errors import array_of, fail
from tconvjax.geometry import PADDING_MODES
from tconvjax.layouts import Precision
from tconvjax.operands import NO_DTYPES, arrays


def read(reader: Reader) -> Layer:
    """What `flax_conv_transpose`'s arguments come to."""
    axes = reader.steps()
    padding = reader.padding("SAME")
    transposed = flag("transpose_kernel", reader.given.get("transpose_kernel", False))
    if not isinstance(padding, str) or padding != "CIRCULAR":
        return Layer(padded(axes, padding, single=True))
    lows = [circular_low(axis, transposed) for axis in axes]
    return circular(axes, lows)


def circular_low(axis: Crop, transposed: bool) -> int:
    """Where Flax's CIRCULAR starts.

    With the forward convolution's kernel it is the transpose of Flax's own ``Conv`` with the same
    arguments, which pads (span - 1) // 2 before. Flax itself starts half of span - stride,
    rounded up, which is the same for odd spans with stride 1 and even stride, and else one element
    off; so its result is no transpose there. Its own convention holds for its own kernel.
    """
    return (axis.span - 1) // 2 if transposed else max(axis.span - axis.stride, 0) // 2


def forward_arguments(layer: Any) -> dict[str, Any]:
    """`tconvjax.conv`'s keyword arguments of a layer with the attributes of Flax's ``Conv``.

    Its CIRCULAR and REFLECT are paddings in Flax, of span - 1 elements in all.
    """
    rank, padding, mode = len(layer.kernel_size), layer.padding, "zeros"
    if isinstance(padding, str) and padding.lower() in PADDING_MODES[1:]:
        steps = ints("kernel_dilation", layer.kernel_dilation, rank, 1)
        totals = [d * (k - 1) for d, k in zip(steps, layer.kernel_size, strict=True)]
        mode, padding = padding.lower(), [(n // 2, n - n // 2) for n in totals]
    data = (0, rank + 1, *range(1, rank + 1))
    return {
        "stride": layer.strides,
        "padding": padding,
        "padding_mode": mode,
        "dilation": layer.kernel_dilation,
        "groups": layer.feature_group_count,
        "dimension_numbers": ConvDimensionNumbers(data, (rank + 1, rank, *range(rank)), data),
        "precision": layer.precision,
        "preferred_element_type": layer.preferred_element_type,
    }


def write(layer: Layer, data_size: tuple[int, ...] | None) -> dict[str, Any]:
    """A layer in the arguments of ``nnx.ConvTranspose``."""
    del data_size
    without_groups("Flax", layer)
    said = {
        "kernel_size": layer.each("kernel_size"),
        "strides": layer.each("stride"),
        "padding": layer.each("around_dilated"),
        "kernel_dilation": layer.each("dilation"),
        "transpose_kernel": True,
    }
    if layer.mode == "zeros":
        return said
    # What Flax computes, not what it should: the code at the other end is Flax's.
    starts = {
        True: [(max(a.span - a.stride, 0) + 1) // 2 for a in layer.axes],
        False: [circular_low(axis, transposed=False) for axis in layer.axes],
    }
    for transposed, lows in starts.items():
        pairs = zip(layer.axes, lows, strict=True)
        if all((axis.low - low) == 0 for axis, low in pairs):
            return {**said, "padding": "CIRCULAR", "transpose_kernel": transposed}
    return unsaid(
        "Flax",
        "padding",
        layer.crops,
        "its CIRCULAR starts elsewhere",
        "use tconvjax.layers.nnx.ConvTranspose",
    )


FLAX = Framework(
    name="flax",
    call="flax.nnx.ConvTranspose, flax.linen.ConvTranspose",
    names={
        "kernel_size": "kernel_size",
        "stride": "strides",
        "padding": "padding",
        "dilation": "kernel_dilation",
        "bias": "use_bias",
        "in_channels": "in_features",
        "out_channels": "out_features",
    },
    data="(*batch, *size, C)",
    padding="names: of the forward convolution, and CIRCULAR; numbers: added around the dilated "
    "input",
    read=read,
    write=write,
)


def _dtype(value: Any) -> Any:
    try:
        dtype = None if isinstance(value, NO_DTYPES) else jnp.dtype(value)
    except (TypeError, ValueError):
        dtype = None
    if dtype is None:
        fail("dtype", value, "it must be a dtype", "give jnp.float32, say")
    return dtype


def flax_conv_transpose(
    inputs: ArrayLike,
    kernel: ArrayLike,
    bias: ArrayLike | None = None,
    strides: Ints | None = None,
    *,
    padding: str | int | Sequence[int | tuple[int, int]] = "SAME",
    kernel_dilation: Ints | None = None,
    mask: ArrayLike | None = None,
    dtype: Any = None,
    precision: Precision = None,
    transpose_kernel: bool = False,
    preferred_element_type: Any = None,
) -> Any:
    """What ``flax.nnx.ConvTranspose`` and ``flax.linen.ConvTranspose`` compute.

    size = stride * (n - 1) + 1 + low + high - dilation * (k - 1)

    Args:
        inputs: (*batch, *size, C), any number of batch axes.
        kernel: (*k, C, M), its taps in the order of a convolution of the dilated input; with
            ``transpose_kernel`` (*k, M, C), the forward convolution's.
        bias: (M,) or None.
        strides: an int or one an axis; 1 without.
        padding: "SAME" for stride * n elements; "VALID" for stride * n + max(span - stride, 0);
            "CIRCULAR" for stride * n that wrap around; or numbers, added around the dilated
            input: an int, one an axis, or (low, high) pairs.
        kernel_dilation: an int or one an axis; 1 without.
        mask: of the kernel's shape; the kernel is multiplied with it.
        dtype: what inputs, kernel and bias are converted to; without, they are promoted.
        precision: as in ``jax.lax``.
        transpose_kernel: whether kernel is the forward convolution's.
        preferred_element_type: as in `tconvjax.conv_transpose`.

    Returns:
        (*batch, *size, M).

    Raises:
        GeometryError: if the arguments do not fit together.

    Examples:
        >>> import jax.numpy as jnp
        >>> y, w = jnp.ones((8, 8, 2)), jnp.ones((4, 4, 2, 3))
        >>> flax_conv_transpose(y, w, strides=2).shape
        (16, 16, 3)

    With ``padding="CIRCULAR"`` and ``transpose_kernel=True`` this is the exact transpose of Flax's
    ``Conv``; Flax is one element off for even spans with stride 1 and odd ones with stride 3.
    """
    given = dict(zip(("inputs", "kernel", "bias"), (inputs, kernel, bias), strict=True))
    if mask is not None:
        w, m = arrays(kernel=kernel, mask=mask)
        if m.shape != w.shape:
            fail(
                "mask",
                array_of(m.shape),
                f"the kernel has shape {w.shape}",
                "give a mask of the same shape",
            )
        given["kernel"] = w * m.astype(w.dtype)
    if dtype is not None:
        given = {
            name: None if value is None else arrays(**{name: value})[0].astype(_dtype(dtype))
            for name, value in given.items()
        }
    layout = "flax_transpose_kernel" if flag("transpose_kernel", transpose_kernel) else "flax"
    call = Call.of(FLAX, given, layout=layout, batch=range(16), last=True, promotes=True)
    steps = {"strides": strides, "kernel_dilation": kernel_dilation, "padding": padding}
    return call.run(
        {**steps, "transpose_kernel": transpose_kernel}, precision, preferred_element_type
    )
