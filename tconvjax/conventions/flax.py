"""Flax: the arguments of ``nnx.ConvTranspose`` and ``linen.ConvTranspose``, as one function."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jax.typing import ArrayLike

from tconvjax.arguments import Ints, flag
from tconvjax.conventions.base import Call, Framework, Reader, by_concept, cannot, masked
from tconvjax.conventions.lax import padded
from tconvjax.conventions.layer import Crop, Layer, circular
from tconvjax.layouts import Precision
from tconvjax.operands import arrays, computing_dtype


def _read(reader: Reader) -> Layer:
    axes, padding = reader.steps(), reader.padding("SAME")
    transposed = flag("transpose_kernel", reader.arguments.get("transpose_kernel", False))
    if not isinstance(padding, str) or padding != "CIRCULAR":
        return Layer(padded(axes, padding, single=True))
    return circular(axes, [_circular_low(axis, transposed) for axis in axes])


def _circular_low(axis: Crop, transposed: bool) -> int:
    """The natural element at which CIRCULAR starts: Flax's, or the transpose's of its ``Conv``."""
    return (axis.span - 1) // 2 if transposed else max(axis.span - axis.stride, 0) // 2


def _write(layer: Layer, _: tuple[int, ...] | None) -> dict[str, Any]:
    if layer.mode == "zeros":
        return {"padding": layer.each("around_dilated"), "transpose_kernel": True}
    # These are the starts that Flax really uses, because Flax will run these arguments.
    starts = {
        True: [(max(a.span - a.stride, 0) + 1) // 2 for a in layer.axes],
        False: [_circular_low(axis, transposed=False) for axis in layer.axes],
    }
    for transposed, lows in starts.items():
        if layer.whole and list(layer.each("low")) == lows:
            return {"padding": "CIRCULAR", "transpose_kernel": transposed}
    why = "its CIRCULAR starts at another element, or has another size"
    return cannot("Flax", "padding", layer.crops, why, "use tconvjax.layers.nnx.ConvTranspose")


FLAX = Framework(
    name="flax",
    title="Flax",
    call="flax.nnx.ConvTranspose, flax.linen.ConvTranspose",
    names=by_concept(
        "kernel_size padding",
        stride="strides",
        dilation="kernel_dilation",
        bias="use_bias",
        in_channels="in_features",
        out_channels="out_features",
    ),
    data="(*batch, *size, C)",
    read=_read,
    write=_write,
    lacks={"groups": "it has no groups"},
    extras=("transpose_kernel",),
)


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
        strides: an int or one per axis; 1 by default.
        padding: "SAME" for stride * n elements; "VALID" for stride * n + max(span - stride, 0);
            "CIRCULAR" for stride * n that wrap around; or numbers, added around the dilated
            input: an int, one per axis, or (low, high) pairs.
        kernel_dilation: an int or one per axis; 1 by default.
        mask: of the kernel's shape; the kernel is multiplied with it.
        dtype: dtype to which inputs, kernel and bias are converted; by default they are promoted.
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
    kernel = masked("kernel", kernel, mask)
    values: dict[str, Any] = {"inputs": inputs, "kernel": kernel, "bias": bias}
    if (target := computing_dtype("dtype", dtype)) is not None:
        read = zip(values, arrays(**values), strict=True)
        values = {name: None if value is None else value.astype(target) for name, value in read}
    layout = "flax_transpose_kernel" if flag("transpose_kernel", transpose_kernel) else "flax"
    call = Call.of(FLAX, values, layout=layout, batch=range(16), last=True, promotes=True)
    return call.run(
        precision,
        preferred_element_type,
        strides=strides,
        padding=padding,
        kernel_dilation=kernel_dilation,
        transpose_kernel=transpose_kernel,
    )
