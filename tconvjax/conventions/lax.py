"""``jax.lax.conv_transpose``: names mean the forward padding, numbers that of the dilated input."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from jax.typing import ArrayLike

from tconvjax.arguments import choice, flag
from tconvjax.conventions.base import PLAIN, Call, Framework, Reader, by_concept
from tconvjax.conventions.layer import Crop, Layer, cut, pairs
from tconvjax.errors import fail
from tconvjax.layouts import DimensionNumbers, Precision, Specs, layout_of


def padded(axes: Sequence[Crop], padding: Any, single: bool = False) -> tuple[Crop, ...]:
    """The axes with a padding as ``jax.lax``, Flax and Haiku read it: a name, or (low, high) pairs.

    If ``single``, one number may stand for both ends of an axis.
    """
    if isinstance(padding, str):
        ends = tuple(_named(axis, padding) for axis in axes)
    else:
        ends = pairs("padding", padding, len(axes), single)
    # Crop.around_dilated is its own inverse.
    return cut(axes, [axis.around_dilated for axis in cut(axes, ends)])


def _named(axis: Crop, name: str) -> tuple[int, int]:
    """The padding of the dilated input that ``jax.lax`` uses for a name."""
    span, stride = axis.span, axis.stride
    if name == "VALID":
        return span - 1, stride - 1 + max(span - stride, 0)
    if name == "SAME":
        total = span + stride - 2
        low = span - 1 if stride > span - 1 else math.ceil(total / 2)
        return low, total - low
    # Other spellings reach lax's convolution unchanged, which takes them with stride 1 only.
    half, rest = (span - 1) // 2, span // 2
    ends = {"SAME": (half, rest), "VALID": (0, 0), "SAME_LOWER": (rest, half)}.get(name.upper())
    remedy = "use 'SAME' or 'VALID', or (low, high) pairs"
    if ends is None:
        fail("padding", name, "the names are SAME and VALID", remedy)
    if stride > 1:
        rule = "jax.lax takes this name with stride 1 only, where it pads the input"
        fail("padding", name, rule, remedy)
    return ends


def _read(reader: Reader) -> Layer:
    axes, padding, groups = reader.steps(), reader.padding("SAME"), reader.groups()
    name = "use_consistent_padding"
    consistent = flag(name, reader.arguments.get(name, False))
    if consistent and isinstance(padding, str):
        choice("padding", padding, ("SAME", "VALID"))
    if not consistent or isinstance(padding, str):
        return Layer(padded(axes, padding), groups)
    return Layer(cut(axes, pairs("padding", padding, reader.rank, single=False)), groups)


LAX = Framework(
    name="lax",
    title="jax.lax.conv_transpose",
    call="jax.lax.conv_transpose",
    names=by_concept(
        "kernel_size padding",
        stride="strides",
        dilation="rhs_dilation",
        groups="feature_group_count",
    ),
    data="(N, *size, C), or as dimension_numbers says",
    read=_read,
    write=lambda layer, _: {"padding": layer.each("around_dilated"), "transpose_kernel": True},
    lacks={"kernel_size": "", **PLAIN},
    extras=("transpose_kernel", "use_consistent_padding"),
)


def lax_conv_transpose(
    lhs: ArrayLike,
    rhs: ArrayLike,
    strides: Sequence[int],
    padding: str | Sequence[tuple[int, int]],
    rhs_dilation: Sequence[int] | None = None,
    dimension_numbers: DimensionNumbers = None,
    transpose_kernel: bool = False,
    precision: Precision = None,
    preferred_element_type: Any = None,
    use_consistent_padding: bool = False,
    *,
    feature_group_count: int = 1,
) -> Any:
    """``jax.lax.conv_transpose``, extended by the group count that it lacks.

    size = stride * (n - 1) + 1 + low + high - dilation * (k - 1)

    Args:
        lhs: (N, *size, C), or as ``dimension_numbers`` says.
        rhs: (*k, C / groups, M), its taps in the order of a convolution of the dilated input; with
            ``transpose_kernel`` (*k, M / groups, C), the forward convolution's.
        strides: one int per axis.
        padding: "SAME" for stride * n elements; "VALID" for stride * n + max(span - stride, 0);
            or (low, high) pairs, added around the dilated input.
        rhs_dilation: one int per axis; 1 by default.
        dimension_numbers: layouts of lhs, rhs and the result, whose I are C and O are M (with
            transpose_kernel the other way round), as ``jax.lax`` reads them; channels last by
            default.
        transpose_kernel: whether rhs is the forward convolution's kernel.
        precision: as in ``jax.lax``.
        preferred_element_type: as in `tconvjax.conv_transpose`.
        use_consistent_padding: whether the numbers in ``padding`` are those of the forward
            convolution, so that they are cut off the result.
        feature_group_count: blocks of channels.

    Returns:
        An array laid out as ``dimension_numbers`` says.

    Raises:
        GeometryError: if the arguments do not fit together.

    Examples:
        >>> import jax.numpy as jnp
        >>> y, w = jnp.ones((1, 4, 2)), jnp.ones((2, 2, 3))
        >>> lax_conv_transpose(y, w, (3,), "VALID").shape  # 3 * 4, though the kernel is shorter
        (1, 12, 3)
        >>> lax_conv_transpose(y, w, (3,), [(1, 1)]).shape
        (1, 11, 3)
    """
    transposed = flag("transpose_kernel", transpose_kernel)
    layout = "lax_transpose_kernel" if transposed else "lax"
    call = Call.of(LAX, {"lhs": lhs, "rhs": rhs, "bias": None}, layout=layout, last=True)
    if dimension_numbers is not None:
        specs = layout_of(dimension_numbers, call.kernel)
        out, into, *axes = specs.rhs_spec
        taps = (out, into, *axes) if transposed else (into, out, *axes)
        call = dataclasses.replace(call, specs=Specs(specs.out_spec, taps, specs.lhs_spec))
    elif (rank := len(call.kernel_size)) > 3:
        rule = f"there is no default for {rank} spatial axes"
        fail("dimension_numbers", None, rule, "give the layouts of lhs, rhs and the result")
    return call.run(
        precision,
        preferred_element_type,
        strides=strides,
        padding=padding,
        rhs_dilation=rhs_dilation,
        feature_group_count=feature_group_count,
        use_consistent_padding=use_consistent_padding,
    )
