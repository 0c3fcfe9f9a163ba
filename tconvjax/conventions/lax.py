"""``jax.lax.conv_transpose``: names mean the forward padding, numbers that of the dilated input."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from jax.typing import ArrayLike

from tconvjax.arguments import flag
from tconvjax.conventions.calling import Call, check_dtypes, groups_of, read_arrays
from tconvjax.conventions.cropping import cut, cut_around_dilated, pairs
from tconvjax.conventions.layer import (
    Crop,
    Framework,
    Layer,
    Reader,
    without_circles,
    without_groups,
)
from tconvjax.errors import Described, fail
from tconvjax.layouts import DimensionNumbers, Precision, layout


def named(axis: Crop, name: str) -> tuple[int, int]:
    """What ``jax.lax`` pads the dilated input with for "SAME" or "VALID".

    SAME gives stride * n elements, VALID stride * n + max(span - stride, 0).
    """
    span, stride = axis.span, axis.stride
    if name == "VALID":
        return span - 1, stride - 1 + max(span - stride, 0)
    total = span + stride - 2
    low = span - 1 if stride > span - 1 else math.ceil(total / 2)
    return low, total - low


def padded(axes: Sequence[Crop], padding: Any, single: bool = False) -> tuple[Crop, ...]:
    """The axes under a padding as ``jax.lax``, Flax and Haiku read it.

    Args:
        axes: nothing cut off yet.
        padding: a name, or what is padded around the dilated input.
        single: whether one number may stand for both ends of an axis.
    """
    if isinstance(padding, str) and padding in ("SAME", "VALID"):
        return cut_around_dilated(axes, [named(axis, padding) for axis in axes])
    if isinstance(padding, str):
        return cut_around_dilated(axes, [_undilated(axis, padding) for axis in axes])
    return cut_around_dilated(axes, pairs("padding", padding, len(axes), single))


def _undilated(axis: Crop, name: str) -> tuple[int, int]:
    """Other spellings reach lax's convolution as they are, which takes them with stride 1 only."""
    total = axis.span - 1
    ends = {"SAME": (total // 2, total - total // 2), "VALID": (0, 0)}
    ends["SAME_LOWER"] = ends["SAME"][::-1]
    if name.upper() not in ends:
        fail(
            "padding", name, "the names are SAME and VALID", "use one of them, or (low, high) pairs"
        )
    if axis.stride > 1:
        fail(
            "padding",
            name,
            "jax.lax takes this name with stride 1 only, where it pads the input",
            "use 'SAME' or 'VALID', or (low, high) pairs",
        )
    return ends[name.upper()]


def read(reader: Reader) -> Layer:
    """What `lax_conv_transpose`'s arguments come to."""
    axes = reader.steps()
    padding = reader.padding("SAME")
    groups = groups_of("feature_group_count", reader.value("groups", 1))
    consistent = flag("use_consistent_padding", reader.given.get("use_consistent_padding", False))
    if not consistent or (isinstance(padding, str) and padding in ("SAME", "VALID")):
        return Layer(padded(axes, padding), groups)
    if isinstance(padding, str):
        fail(
            "padding",
            padding,
            "with use_consistent_padding the names are SAME and VALID",
            "use one of them, or (low, high) pairs",
        )
    return Layer(cut(axes, pairs("padding", padding, reader.rank, single=False)), groups)


def write(layer: Layer, data_size: tuple[int, ...] | None) -> dict[str, Any]:
    """A layer in the arguments of ``jax.lax.conv_transpose``."""
    del data_size
    without_groups("jax.lax.conv_transpose", layer)
    without_circles("jax.lax.conv_transpose", layer)
    return {
        "kernel_size": layer.each("kernel_size"),
        "strides": layer.each("stride"),
        "padding": layer.each("around_dilated"),
        "rhs_dilation": layer.each("dilation"),
        "transpose_kernel": True,
    }


LAX = Framework(
    name="lax",
    call="jax.lax.conv_transpose",
    names={
        "kernel_size": "kernel_size",
        "stride": "strides",
        "padding": "padding",
        "dilation": "rhs_dilation",
        "groups": "feature_group_count",
    },
    data="(N, *size, C)",
    padding="names: of the forward convolution; (low, high) pairs: added around the dilated input "
    "(with use_consistent_padding: cut off the result)",
    read=read,
    write=write,
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
    """``jax.lax.conv_transpose``, with the group count that it lacks.

    size = stride * (n - 1) + 1 + low + high - dilation * (k - 1)

    Args:
        lhs: (N, *size, C), or as ``dimension_numbers`` says.
        rhs: (*k, C / groups, M), its taps in the order of a convolution of the dilated input; with
            ``transpose_kernel`` (*k, M / groups, C), the forward convolution's.
        strides: one int per axis.
        padding: "SAME" for stride * n elements; "VALID" for stride * n + max(span - stride, 0);
            or (low, high) pairs, added around the dilated input.
        rhs_dilation: one int per axis; 1 without.
        dimension_numbers: layouts of lhs, rhs and the result, whose I are C and O are M (with
            transpose_kernel the other way round), as ``jax.lax`` reads them; channels last without.
        transpose_kernel: whether rhs is the forward convolution's kernel.
        precision: as in ``jax.lax``.
        preferred_element_type: as in `tconvjax.conv_transpose`.
        use_consistent_padding: whether the numbers of ``padding`` are the forward convolution's, so
            that they are cut off the result.
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
    call = _call(lhs, rhs, dimension_numbers, transposed)
    return call.run(
        {
            "strides": strides,
            "padding": padding,
            "rhs_dilation": rhs_dilation,
            "feature_group_count": feature_group_count,
            "use_consistent_padding": use_consistent_padding,
        },
        precision,
        preferred_element_type,
    )


def _call(lhs: ArrayLike, rhs: ArrayLike, dimension_numbers: Any, transpose_kernel: bool) -> Call:
    """The arrays, wherever their axes stand."""
    arrays = read_arrays({"lhs": lhs, "rhs": rhs, "bias": None})
    rank = arrays["rhs"].ndim - 2
    if dimension_numbers is None:
        letters = {1: "H", 2: "HW", 3: "HWD"}.get(rank)
        if letters is None:
            fail(
                "dimension_numbers",
                None,
                f"there is no default for {rank} spatial axes",
                "name the layouts",
            )
        dimension_numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    specs = layout(dimension_numbers, rank)
    if arrays["lhs"].ndim != rank + 2:
        fail(
            "lhs",
            Described(f"array of shape {arrays['lhs'].shape}"),
            f"with rhs of shape {arrays['rhs'].shape} it has {rank + 2} axes",
            "reshape it",
        )
    check_dtypes(LAX, arrays)
    out, into, *taps = specs.rhs_spec
    kernel = (out, into, *taps) if transpose_kernel else (into, out, *taps)
    data, result = tuple(specs.lhs_spec), tuple(specs.out_spec)
    return Call(LAX, arrays, data, result, kernel, not transpose_kernel)
