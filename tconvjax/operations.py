"""The front door: conv, conv_transpose and kernel_gradient, with every argument people use.

Each function reads its arguments into static integers (a geometry and a layout), then calls one
jitted body. A second call with the same shapes and arguments traces nothing. The body is not
inlined, so its backward pass outside of jit is one program too.
"""

from __future__ import annotations

import functools
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from tconvjax import operands
from tconvjax.algorithms import ALGORITHMS
from tconvjax.arguments import Ints, choice, frozen, ints
from tconvjax.errors import array_of, fail, with_groups
from tconvjax.geometry import Geometry
from tconvjax.geometry.padding import Padding, PaddingMode
from tconvjax.layouts import (
    DimensionNumbers,
    Precision,
    Recipe,
    batch_sizes,
    layout,
    layout_of,
    permuted,
    rank_of,
    sizes,
    with_one_batch,
)
from tconvjax.reference import by_definition, fill_borders, fold_borders, geometry_of, is_open
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
            float16, bfloat16, float32, float64, complex64, complex128, or integers. A float or
            integer below 16 or 8 bits (float8, int4) is widened to the other operand's dtype; if
            that does not say how wide, to float32 or int32.
        w: kernel (O, C / groups, *kernel_size).
        bias: (O,), added to every output element of its channel.
        stride: input elements between neighbouring outputs, at least 1; one int, or one per axis.
        padding: elements added around x: an int, one int per axis, (low, high) pairs (negative
            crops), or "VALID", "SAME", "SAME_LOWER", "CAUSAL".
        dilation: input elements between neighbouring taps, at least 1; one int, or one per axis.
        groups: blocks of channels that do not see one another; divides C and O.
        padding_mode: what padding elements hold: "zeros", or copies of x: "circular", "reflect",
            "replicate".
        dimension_numbers: layouts of x, w and y, such as ("NHWC", "HWIO", "NHWC"), as
            ``lax.conv_general_dilated`` takes them; None for channels first.
        precision: of the products, as ``lax.conv_general_dilated`` takes it.
        preferred_element_type: dtype of the result, at least as wide as the operands'; sums are
            kept in it, or in float32 for narrower results. It replaces the float32 or int32 of
            widened operands.
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
    data, kernel, shift = operands.arrays(*operands.NARROW, x=x, w=w, bias=bias)
    specs = layout_of(dimension_numbers, kernel)
    read = functools.partial(
        Geometry.of_conv,
        w_shape=permuted(kernel.shape, specs.rhs_spec),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
    )
    geometry = geometry_of("x", sizes("x", data, specs.lhs_spec), read)
    recipe = Recipe("conv", geometry, specs, precision, preferred_element_type, algorithm)
    return _apply(data, kernel, shift, recipe)


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
        stride: result elements between neighbouring stamps, at least 1; one int, or one per axis.
        padding: the forward convolution's padding, as in `conv`: here it is cut off.
            "SAME" and "SAME_LOWER" give out_size * stride elements. "CAUSAL" gives as many, all cut
            from the end, so that element j depends on the y[i] with stride * i <= j only.
        output_padding: elements more at the end, to choose among the sizes that share an output
            size; smaller than the stride or than the dilation.
        output_size: the result's spatial size, instead of output_padding.
        dilation: result elements between neighbouring taps, at least 1; one int, or one per axis.
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
    data, kernel, shift = operands.arrays(*operands.NARROW, y=y, w=w, bias=bias)
    specs = layout_of(dimension_numbers, kernel)
    read = functools.partial(
        Geometry.of_conv_transpose,
        w_shape=permuted(kernel.shape, specs.rhs_spec),
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        output_size=output_size,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
    )
    geometry = geometry_of("y", sizes("y", data, specs.out_spec), read)
    recipe = Recipe("conv_transpose", geometry, specs, precision, preferred_element_type, algorithm)
    return _apply(data, kernel, shift, recipe)


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
        kernel_size: taps of the kernel: one int per axis. A single int stands for all axes of x but
            two, so give a tuple if x has no batch axis or several.
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
    xs, ys = operands.arrays(*operands.NARROW, x=x, y=y)
    taps = frozen("kernel_size", kernel_size)
    rank = len(taps) if isinstance(taps, tuple) else xs.ndim - 2
    if dimension_numbers is not None:
        rank = rank_of(dimension_numbers)
    if rank < 1:
        rule = f"x of shape {xs.shape} leaves no spatial axis to it"
        fail("kernel_size", kernel_size, rule, "give one int per axis")
    specs = layout(dimension_numbers, rank)
    geometry = Geometry.of_kernel_gradient(
        sizes("x", xs, specs.lhs_spec),
        sizes("y", ys, specs.out_spec),
        ints("kernel_size", taps, rank, 1),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
    )
    if batch_sizes(xs, specs.lhs_spec) != batch_sizes(ys, specs.out_spec):
        rule = f"x has shape {xs.shape}, and the two must have the same batch axes"
        fail("y", array_of(ys.shape), rule, "pass the output of the convolution of this x")
    recipe = Recipe(
        "kernel_gradient", geometry, specs, precision, preferred_element_type, algorithm
    )
    return _apply(xs, ys, None, recipe)


# -- the body --------------------------------------------------------------------------------------


def _apply(
    a: operands.AnyArray, b: operands.AnyArray, bias: operands.AnyArray | None, recipe: Recipe
) -> jax.Array:
    """Read what the recipe still has as it was given, and call the jitted body."""
    geometry = recipe.geometry
    choice("algorithm", recipe.algorithm, ("auto", *ALGORITHMS))
    if not is_open(sizes(recipe.roles[0], a, recipe.spec(recipe.roles[0]))):
        operands.check_sizes(geometry)
    channels = geometry.out_channels if recipe.partial == "conv" else geometry.in_channels
    if bias is not None and bias.shape != (channels,):
        rule = f"it has one element for each of the result's {channels} channels"
        remedy = "reshape it to" if bias.size == channels else "give an array of shape"
        remedy += f" ({channels},)"
        if recipe.partial == "conv_transpose" and bias.size != channels:
            remedy = with_groups("groups", bias.size, geometry.kernel_shape, remedy)
        fail("bias", array_of(bias.shape), rule, remedy)
    precision = operands.checked_precision(recipe.precision)
    dtype = operands.available_dtype("preferred_element_type", recipe.dtype)
    recipe = replace(recipe, precision=precision, dtype=dtype)
    return explicitly_sharded(functools.partial(_jitted, recipe=recipe), a, b, bias, recipe)


@functools.partial(jax.jit, static_argnames="recipe")
def _jitted(a: jax.Array, b: jax.Array, bias: jax.Array | None, *, recipe: Recipe) -> jax.Array:
    operand_dtype, dtype = operands.dtypes(recipe.dtype, a, b, bias)
    geometry, (first, second, result) = recipe.geometry, recipe.roles
    batch = batch_sizes(a, recipe.spec(first))
    a = with_one_batch(a.astype(operand_dtype), recipe.spec(first))
    b = with_one_batch(b.astype(operand_dtype), recipe.spec(second))
    if first == "x" and geometry.bordered:
        a = fill_borders(a, geometry, recipe.spec("x"))
    folds = result == "x" and geometry.bordered
    # Folding a border adds up too, so narrow floats stay in float32 until then.
    narrow = folds and dtype in (jnp.float16, jnp.bfloat16)
    sums = jnp.dtype("float32") if narrow else dtype
    recipe = replace(recipe, geometry=geometry.filled(), dtype=sums)
    opened = is_open(sizes(first, a, recipe.spec(first)))
    out = (by_definition if opened else trilinear)(a, b, recipe)
    if result == "w":
        return out
    if folds:
        out = fold_borders(out, geometry, recipe.spec("x")).astype(dtype)
    spec = recipe.spec(result)
    if bias is not None:
        shape = [1] * out.ndim
        shape[spec[1]] = -1
        out = out + bias.astype(dtype).reshape(shape)
    if batch == ():
        return lax.squeeze(out, (spec[0],))
    if len(batch) > 1:
        return out.reshape(*batch, *out.shape[1:])
    return out
