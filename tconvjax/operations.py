"""The front door: conv, conv_transpose and kernel_gradient, with every argument people use.

Each function reads its arguments into static integers (a geometry and a layout), then calls one
jitted body. A second call with the same shapes and arguments traces nothing.
"""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from tconvjax import operands
from tconvjax.algorithms import ALGORITHMS, check_choice
from tconvjax.arguments import Ints, frozen, ints
from tconvjax.errors import GeometryError, array_of, fail
from tconvjax.forward import (
    ROLES,
    DimensionNumbers,
    Partial,
    Precision,
    Specs,
    fill_borders,
    fold_borders,
    layout,
    spec_of,
)
from tconvjax.geometry import Geometry, Padding, PaddingMode, conv_pads, group_count, pads
from tconvjax.sharding import explicitly_sharded
from tconvjax.trilinear import trilinear

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    # For type checkers, and for jaxtyping's own at run time; else it costs 20 ms of import.
    from jaxtyping import Array, Num


def conv(
    x: Num[ArrayLike, "..."],
    w: Num[ArrayLike, "..."],
    bias: Num[ArrayLike, " out_channels"] | None = None,
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    dimension_numbers: DimensionNumbers = None,
    precision: Precision = None,
    preferred_element_type: Any = None,
    algorithm: str = "auto",
) -> Num[Array, "..."]:
    """Convolution (the field's word for cross-correlation) over any number of spatial axes.

    y[n, o, i] = bias[o] + sum over c, t of w[o, c, t] * x[n, c, stride*i + dilation*t - low]

    Args:
        x: input (N, C, *in_size); also unbatched (C, *in_size) or with several leading batch axes.
            float16, bfloat16, float32, float64, complex64, complex128, or integers.
        w: kernel (O, C / groups, *kernel_size).
        bias: (O,), added to every output element of its channel.
        stride: input elements between neighbouring outputs, at least 1; one int or one an axis.
        padding: elements added around x: an int, one int per axis, (low, high) pairs (negative
            crops), or "VALID", "SAME", "SAME_LOWER", "CAUSAL".
        dilation: input elements between neighbouring taps, at least 1; one int or one an axis.
        groups: blocks of channels that do not see one another; divides C and O.
        padding_mode: what padding elements hold: "zeros", or copies of x: "circular", "reflect",
            "replicate".
        dimension_numbers: layouts of x, w and y, such as ("NHWC", "HWIO", "NHWC"), as
            ``lax.conv_general_dilated`` takes them; None for channels first.
        precision: of the products, as ``lax.conv_general_dilated`` takes it.
        preferred_element_type: dtype of the result, at least as wide as the operands'; sums are
            kept in it, or in float32 for narrower results.
        algorithm: "auto" or a key of `tconvjax.ALGORITHMS`.

    Returns:
        y (N, O, *out_size), with x's batch axes.

    Raises:
        GeometryError: if the arguments do not fit together; the message says what would.

    Examples:
        >>> x = jnp.arange(1.0, 6.0).reshape(1, 1, 5)
        >>> w = jnp.array([[[1.0, 10.0, 100.0]]])
        >>> conv(x, w, stride=2, padding=1).tolist()
        [[[210.0, 432.0, 54.0]]]

    The sum is relation (1) of Dumoulin and Visin, arXiv:1603.07285, with every size an argument.
    """
    data, kernel, shift = operands.arrays(x=x, w=w, bias=bias)
    specs = operands.layout_of(dimension_numbers, kernel)
    geometry = Geometry.of_conv(
        operands.sizes("x", data, specs.lhs_spec),
        operands.permuted(kernel.shape, specs.rhs_spec),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
    )
    return _apply(
        "conv", data, kernel, shift, geometry, specs, precision, preferred_element_type, algorithm
    )


def conv_transpose(
    y: Num[ArrayLike, "..."],
    w: Num[ArrayLike, "..."],
    bias: Num[ArrayLike, " in_channels"] | None = None,
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    output_size: Ints | None = None,
    dilation: Ints = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    dimension_numbers: DimensionNumbers = None,
    precision: Precision = None,
    preferred_element_type: Any = None,
    algorithm: str = "auto",
) -> Num[Array, "..."]:
    """Transposed convolution: the vjp of `conv` in x, with the same w and arguments.

    z[n, c, j] = bias[c] + sum of w[o, c, t] * y[n, o, i] over o and all i, t with
    stride*i + dilation*t - low = j

    Each element of y stamps a scaled kernel onto the result, ``stride`` apart; ``padding`` cuts
    the rim. It is the matrix of the convolution, transposed (complex kernels are not conjugated).

    Args:
        y: (N, O, *out_size), shaped like the convolution's output; also unbatched, or with several
            leading batch axes. Dtypes as in `conv`.
        w: the forward convolution's kernel (O, C / groups, *kernel_size), which is PyTorch's and
            ONNX's layout of a transposed convolution's weight.
        bias: (C,), added to every element of its channel of the result.
        stride: result elements between neighbouring stamps, at least 1; one int or one an axis.
        padding: the forward convolution's padding, as in `conv`: here it is cut off.
            "SAME" and "SAME_LOWER" give out_size * stride elements. "CAUSAL" gives as many, all cut
            from the end, so that element j depends on the y[i] with stride * i <= j only.
        output_padding: elements more at the end, to choose among the sizes that share an output
            size; smaller than the stride or than the dilation.
        output_size: the result's spatial size, in place of output_padding.
        dilation: result elements between neighbouring taps, at least 1; one int or one an axis.
        groups: blocks of channels that do not see one another; divides C and O.
        padding_mode: the forward convolution's; what it copied, this adds up.
        dimension_numbers: layouts of the forward convolution's x (so of the result), w and y, such
            as ("NHWC", "HWIO", "NHWC"); None for channels first.
        precision: of the products, as ``lax.conv_general_dilated`` takes it.
        preferred_element_type: dtype of the result, at least as wide as the operands'.
        algorithm: "auto" or a key of `tconvjax.ALGORITHMS`.

    Returns:
        z (N, C, *in_size), with y's batch axes.

    Raises:
        GeometryError: if the arguments do not fit together; the message says what would.

    Examples:
        >>> y = jnp.array([[[0, 1], [2, 3]]])
        >>> w = jnp.array([[[[4, 7], [2, 2]]]])
        >>> conv_transpose(y, w).tolist()
        [[[0, 4, 7], [8, 28, 23], [4, 10, 6]]]

    Sizes follow relation 14 of Dumoulin and Visin, arXiv:1603.07285.
    """
    data, kernel, shift = operands.arrays(y=y, w=w, bias=bias)
    specs = operands.layout_of(dimension_numbers, kernel)
    geometry = Geometry.of_conv_transpose(
        operands.sizes("y", data, specs.out_spec),
        operands.permuted(kernel.shape, specs.rhs_spec),
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        output_size=output_size,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
    )
    return _apply(
        "conv_transpose",
        data,
        kernel,
        shift,
        geometry,
        specs,
        precision,
        preferred_element_type,
        algorithm,
    )


def kernel_gradient(
    x: Num[ArrayLike, "..."],
    y: Num[ArrayLike, "..."],
    *,
    kernel_size: Ints,
    stride: Ints = 1,
    padding: Padding = 0,
    dilation: Ints = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    dimension_numbers: DimensionNumbers = None,
    precision: Precision = None,
    preferred_element_type: Any = None,
    algorithm: str = "auto",
) -> Num[Array, "..."]:
    """The third partial: the vjp of `conv` in w, and of `conv_transpose` in w.

    dw[o, c, t] = sum over n, i of y[n, o, i] * x[n, c, stride*i + dilation*t - low]

    Args:
        x: the convolution's input (N, C, *in_size), or the transposed one's cotangent.
        y: the convolution's cotangent (N, O, *out_size), or the transposed one's input; x's batch
            axes.
        kernel_size: taps of the kernel: one int per axis, or one int, which counts an axis for each
            of x's but two; so give one an axis where x is unbatched or has several batch axes.
        stride: as in `conv`.
        padding: as in `conv`; "CAUSAL" too is read for the convolution.
        dilation: as in `conv`.
        groups: as in `conv`.
        padding_mode: as in `conv`.
        dimension_numbers: layouts of x, dw and y.
        precision: of the products, as ``lax.conv_general_dilated`` takes it.
        preferred_element_type: dtype of the result, at least as wide as the operands'.
        algorithm: "auto" or a key of `tconvjax.ALGORITHMS`.

    Returns:
        dw (O, C / groups, *kernel_size).

    Raises:
        GeometryError: if the arguments do not fit together; the message says what would.

    Examples:
        >>> x = jnp.arange(1.0, 6.0).reshape(1, 1, 5)
        >>> kernel_gradient(x, jnp.ones((1, 1, 3)), kernel_size=3, stride=2, padding=1).tolist()
        [[[6.0, 9.0, 6.0]]]
    """
    xs, ys, _ = operands.arrays(x=x, y=y, bias=None)
    rank, kernel = operands.kernel_sizes(kernel_size, dimension_numbers, xs)
    specs = layout(operands.hashable(dimension_numbers), rank)
    x_sizes, y_sizes = (
        operands.sizes("x", xs, specs.lhs_spec),
        operands.sizes("y", ys, specs.out_spec),
    )
    groups = group_count(groups)
    if x_sizes[0] % groups:
        fail("groups", groups, f"it must divide x's {x_sizes[0]} channels", "give a divisor")
    # The sizes of x and y are both given. A padding's name is read for the forward convolution.
    strides = ints("stride", stride, rank, 1)
    dilations = ints("dilation", dilation, rank, 1)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    ends = pads(frozen("padding", padding), rank)
    numbers = tuple(map(conv_pads, ends, x_sizes[1:], spans, strides))
    shapes = (y_sizes, (y_sizes[0], x_sizes[0] // groups, *kernel))
    steps: Any = {"stride": strides, "padding": numbers, "dilation": dilations, "groups": groups}
    steps["padding_mode"] = padding_mode
    try:
        geometry = Geometry.of_conv_transpose(*shapes, output_size=x_sizes[1:], **steps)
    except GeometryError:
        there = Geometry.of_conv(x_sizes, shapes[1], **steps)  # it may know what is wrong itself
        fail(
            "y",
            array_of(ys.shape),
            f"x of shape {xs.shape} has a convolution of size {there.out_size}",
            "give the y that this x gave",
        )
    if operands.batch_sizes(xs, specs.lhs_spec) != operands.batch_sizes(ys, specs.out_spec):
        fail(
            "y",
            array_of(ys.shape),
            f"x has shape {xs.shape}, and the two must have the same batch axes",
            "give the y that this x gave",
        )
    return _apply(
        "kernel_gradient",
        xs,
        ys,
        None,
        geometry,
        specs,
        precision,
        preferred_element_type,
        algorithm,
    )


# -- the body --------------------------------------------------------------------------------------


def _apply(
    partial: Partial,
    a: operands.AnyArray,
    b: operands.AnyArray,
    bias: operands.AnyArray | None,
    geometry: Geometry,
    specs: Specs,
    precision: Precision,
    preferred_element_type: Any,
    algorithm: str,
) -> jax.Array:
    """Check what is left to check and call the jitted body."""
    check_choice("algorithm", algorithm, ("auto", *ALGORITHMS))
    operands.check_sizes(geometry)
    channels = geometry.out_channels if partial == "conv" else geometry.in_channels
    if bias is not None and bias.shape != (channels,):
        fail(
            "bias",
            array_of(bias.shape),
            f"it has one element for each of the result's {channels} channels",
            f"reshape it to ({channels},)",
        )
    body = functools.partial(
        _jitted,
        partial=partial,
        geometry=geometry,
        specs=specs,
        precision=operands.checked_precision(precision),
        preferred_element_type=operands.checked_dtype(preferred_element_type),
        algorithm=algorithm,
    )
    return explicitly_sharded(body, partial, a, b, bias, specs, geometry)


@functools.partial(
    jax.jit,
    inline=True,
    static_argnames=(
        "partial",
        "geometry",
        "specs",
        "precision",
        "preferred_element_type",
        "algorithm",
    ),
)
def _jitted(
    a: jax.Array,
    b: jax.Array,
    bias: jax.Array | None,
    *,
    partial: Partial,
    geometry: Geometry,
    specs: Specs,
    precision: Precision,
    preferred_element_type: Any,
    algorithm: str,
) -> jax.Array:
    given = jnp.result_type(a, b) if bias is None else jnp.result_type(a, b, bias)
    dtype = operands.result_dtype(given, preferred_element_type)
    first, second, result = ROLES[partial]
    batch = operands.batch_sizes(a, spec_of(first, specs))
    values = [
        operands.with_one_batch(value.astype(given), role, specs)
        for value, role in ((a, first), (b, second))
    ]
    if first == "x" and geometry.bordered:
        values[0] = fill_borders(values[0], geometry, specs.lhs_spec)
    folds = result == "x" and geometry.bordered
    # Folding a border adds up too, so narrow floats stay in float32 until it is done.
    narrow = folds and dtype in (jnp.float16, jnp.bfloat16)
    out = trilinear(
        partial,
        *values,
        geometry=geometry.filled(),
        specs=specs,
        precision=precision,
        dtype=jnp.dtype("float32") if narrow else dtype,
        algorithm=algorithm,
    )
    if result == "w":
        return out
    if folds:
        out = fold_borders(out, geometry, specs.lhs_spec).astype(dtype)
    spec = spec_of(result, specs)
    if bias is not None:
        shape = [1] * out.ndim
        shape[spec[1]] = -1
        out = out + bias.astype(dtype).reshape(shape)
    if batch == ():
        return lax.squeeze(out, (spec[0],))
    if len(batch) > 1:
        return out.reshape(*batch, *out.shape[1:])
    return out
