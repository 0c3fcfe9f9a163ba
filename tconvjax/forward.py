"""The definition: a convolution as one jitted ``lax.conv_general_dilated`` of a geometry.

Every other way to compute a partial of the convolution is compared with this one. The transposed
convolution stands here as it is defined: the vjp of the jitted convolution, word for word.
"""

from __future__ import annotations

import functools
import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec

from tconvjax.errors import fail
from tconvjax.geometry import Axis, Geometry

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    # For type checkers, and for jaxtyping's own at run time; else it costs 20 ms of import.
    from jaxtyping import Array, Inexact, Num

DimensionNumbers: TypeAlias = Sequence[str] | lax.ConvDimensionNumbers | None
Specs: TypeAlias = lax.ConvDimensionNumbers
"""Where the axes of x, w and y stand: (batch, channel, *spatial) and (out, in, *spatial)."""
Precision: TypeAlias = Any
"""What ``lax.conv_general_dilated`` takes: None, a name, a ``lax.Precision``, or a pair."""


Partial: TypeAlias = Literal["conv", "conv_transpose", "kernel_gradient"]

ROLES: Mapping[Partial, tuple[str, str, str]] = MappingProxyType(
    {
        "conv": ("x", "w", "y"),
        "conv_transpose": ("y", "w", "x"),
        "kernel_gradient": ("x", "y", "w"),
    }
)
"""For each partial, the roles of its two operands and of its result in the trilinear form."""


def spec_of(role: str, specs: Specs) -> Sequence[int]:
    """The layout of x, w or y."""
    return {"x": specs.lhs_spec, "w": specs.rhs_spec, "y": specs.out_spec}[role]


def shape_of(role: str, batch: Any, geometry: Geometry, specs: Specs) -> tuple[Any, ...]:
    """The shape of x, w or y with one batch axis."""
    sizes = {
        "x": (batch, *geometry.in_shape),
        "w": geometry.kernel_shape,
        "y": (batch, *geometry.out_shape),
    }[role]
    return placed(sizes, spec_of(role, specs))


def result_shape(partial: Partial, first: Any, geometry: Geometry, specs: Specs) -> tuple[Any, ...]:
    """The shape of a partial's result, from its first operand, which always has the batch axis."""
    batch = first.shape[spec_of(ROLES[partial][0], specs)[0]]
    return shape_of(ROLES[partial][2], batch, geometry, specs)


@functools.lru_cache(maxsize=256)
def layout(dimension_numbers: Any, rank: int) -> Specs:
    """Where the axes of x, w and y stand.

    Args:
        dimension_numbers: as ``lax.conv_general_dilated`` takes them, for the forward convolution:
            the layouts of x, w and y, such as ("NHWC", "HWIO", "NHWC"). None: channels first.
        rank: the number of spatial axes.

    Returns:
        Positions (batch, channel, *spatial) in x and y, (out, in, *spatial) in w.

    Raises:
        GeometryError: if the layouts do not name each axis once.

    Examples:
        >>> layout(("NHWC", "HWIO", "NHWC"), 2).rhs_spec
        (3, 2, 0, 1)
    """
    shape = (1,) * (rank + 2)
    try:
        return lax.conv_dimension_numbers(shape, shape, dimension_numbers)
    except (TypeError, ValueError, KeyError) as error:
        fail(
            "dimension_numbers",
            dimension_numbers,
            f"it must give the layouts of x, w and y, "
            f"{rank + 2} letters each ({str(error).rstrip('.')})",
            "write them as ('NHWC', 'HWIO', 'NHWC'), or leave them out for channels first",
        )


@functools.partial(
    jax.jit, static_argnames=("geometry", "specs", "precision", "preferred_element_type")
)
def convolve(
    x: Num[Array, "..."],
    w: Num[Array, "..."],
    geometry: Geometry,
    specs: Specs,
    precision: Precision = None,
    preferred_element_type: Any = None,
) -> Num[Array, "..."]:
    """The convolution, by definition.

    y[n, o, i] = sum over c, t of w[o, c, t] * x[n, c, stride * i + dilation * t - low]

    Args:
        x: input, one batch axis, laid out as ``specs.lhs_spec`` says.
        w: kernel (O, C / groups, *k), laid out as ``specs.rhs_spec`` says.
        geometry: which elements meet.
        specs: where the axes stand.
        precision: as in ``lax.conv_general_dilated``.
        preferred_element_type: the dtype to add up in and to return; None for that of x.

    Returns:
        y, laid out as ``specs.out_spec`` says.
    """
    x = fill_borders(x, geometry, specs.lhs_spec)
    geometry, of_x, of_y = one_sided(geometry.filled())
    y = lax.conv_general_dilated(
        _cropped(x, of_x, specs.lhs_spec),
        w,
        window_strides=geometry.stride,
        padding=geometry.padding,
        rhs_dilation=geometry.dilation,
        dimension_numbers=specs,
        feature_group_count=geometry.groups,
        precision=precision,
        preferred_element_type=preferred_element_type,
    )
    return _after_zeros(y, of_y, specs.out_spec)


def one_sided(geometry: Geometry) -> tuple[Geometry, list[int], list[int]]:
    """A geometry that crops no axis at its low end while it pads the other end.

    XLA on a CPU gives a convolution of floats to Eigen, which then reads past the end of the row,
    up to as many elements as are cropped (openxla/xla#48713: so with jaxlib 0.10.2, not with
    0.12.0). The same befalls the transpose, whose padding is negative where that of the
    convolution is wider than its kernel reaches.

    Args:
        geometry: whose borders hold zeros.

    Returns:
        The geometry, and for each axis how many elements of x are to be cropped before the call,
        and how many zeros of y, which read nothing but padding, are to be put before its result.
    """
    axes, of_x, of_y = [], [], []
    for axis in geometry.axes:
        first = axis.low - axis.span + 1  # of the padding, past the reach of the first output
        more = axis.in_size - 1 + axis.low - axis.stride * (axis.out_size - 1)
        crop = min(-axis.low, axis.in_size) if axis.low < 0 < axis.high else 0
        blank = min(-(-first // axis.stride), axis.out_size) if first > 0 and more > 0 else 0
        of_x.append(crop)
        of_y.append(blank)
        axes.append(
            replace(
                axis,
                in_size=axis.in_size - crop,
                out_size=axis.out_size - blank,
                low=axis.low + crop - axis.stride * blank,
            )
        )
    return replace(geometry, axes=tuple(axes)), of_x, of_y


def _cropped(x: jax.Array, counts: Sequence[int], spec: Sequence[int]) -> jax.Array:
    """Each spatial axis without so many elements at its beginning.

    By slices: XLA adds a negative pad to the padding of the convolution (openxla/xla#48715).
    """
    for count, position in zip(counts, spec[2:], strict=True):
        if count:
            x = lax.slice_in_dim(x, count, None, axis=position)
    return x


def _after_zeros(y: jax.Array, counts: Sequence[int], spec: Sequence[int]) -> jax.Array:
    """Each spatial axis with so many zeros before it; the transpose is made of slices."""
    for count, position in zip(counts, spec[2:], strict=True):
        if count:
            shape = list(y.shape)
            shape[position] = count
            y = lax.concatenate([jnp.zeros(shape, y.dtype), y], position)
    return y


def convolve_transposed(
    y: Inexact[Array, "..."],
    w: Inexact[Array, "..."],
    geometry: Geometry,
    specs: Specs,
    precision: Precision = None,
) -> Inexact[Array, "..."]:
    """The transposed convolution, by definition: the vjp of the jitted convolution in its input.

    Args:
        y: cotangent of the convolution's output, one batch axis.
        w: kernel (O, C / groups, *k).
        geometry: which elements meet.
        specs: where the axes stand.
        precision: as in ``lax.conv_general_dilated``.

    Returns:
        The cotangent of x, laid out as ``specs.lhs_spec`` says.
    """
    batch = y.shape[specs.out_spec[0]]
    x = jnp.zeros(placed((batch, *geometry.in_shape), specs.lhs_spec), y.dtype)
    _, vjp = jax.vjp(lambda x: convolve(x, w, geometry, specs, precision), x)
    (result,) = vjp(y)
    return result


def aval_like(aval: Any, shape: tuple[Any, ...], dtype: Any) -> Any:
    """An abstract array of another shape and dtype that varies over the same mesh axes."""
    spec = PartitionSpec(*(None,) * len(shape))
    return aval.update(
        shape=shape,
        dtype=jnp.dtype(dtype),
        weak_type=False,
        sharding=aval.sharding.update(spec=spec),
    )


def placed(sizes: Sequence[Any], spec: Sequence[int]) -> tuple[Any, ...]:
    """Sizes in the order (batch, channel, *spatial), put where a layout wants them."""
    shape: list[Any] = [None] * len(spec)
    for size, position in zip(sizes, spec, strict=True):
        shape[position] = size
    return tuple(shape)


def channels_last(x: jax.Array, spec: Sequence[int], groups: int) -> jax.Array:
    """An array of some layout as (N, *spatial, groups, channels / groups)."""
    x = lax.transpose(x, (spec[0], *spec[2:], spec[1]))
    return x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)


def placed_from_last(v: jax.Array, spec: Sequence[int]) -> jax.Array:
    """The way back of `channels_last`."""
    v = v.reshape(*v.shape[:-2], v.shape[-2] * v.shape[-1])
    rank = v.ndim - 2
    return lax.transpose(v, placed((0, rank + 1, *range(1, rank + 1)), spec))


def fill_borders(
    x: Num[Array, "..."], geometry: Geometry, spec: Sequence[int]
) -> Num[Array, "..."]:
    """Write out the circular, reflected or replicated padding of x."""
    return _for_bordered_axes(_fill, x, geometry, spec)


def fold_borders(
    x: Num[Array, "..."], geometry: Geometry, spec: Sequence[int]
) -> Num[Array, "..."]:
    """The exact transpose of `fill_borders`: each copy added to its original."""
    return _for_bordered_axes(_fold, x, geometry, spec)


def _for_bordered_axes(
    step: Callable[[jax.Array, Axis, int], jax.Array],
    x: jax.Array,
    geometry: Geometry,
    spec: Sequence[int],
) -> jax.Array:
    for axis, position in zip(geometry.axes, spec[2:], strict=True):
        if axis.bordered:
            x = step(x, axis, position)
    return x


def _fill(x: jax.Array, axis: Axis, position: int) -> jax.Array:
    pieces = []
    for first, count, step in axis.border_runs():
        if step == 0:
            one = lax.slice_in_dim(x, first, first + 1, axis=position)
            pieces.append(jnp.repeat(one, count, axis=position))
        else:
            start = first if step == 1 else first - count + 1
            piece = lax.slice_in_dim(x, start, start + count, axis=position)
            pieces.append(piece if step == 1 else lax.rev(piece, (position,)))
    return lax.concatenate(pieces, position)


def _fold(x: jax.Array, axis: Axis, position: int) -> jax.Array:
    pieces, offset = [], 0
    for first, count, step in axis.border_runs():
        piece = lax.slice_in_dim(x, offset, offset + count, axis=position)
        offset += count
        if step == 0:
            piece = jnp.sum(piece, axis=position, keepdims=True, dtype=x.dtype)
        elif step == -1:
            first, piece = first - count + 1, lax.rev(piece, (position,))
        after = axis.in_size - first - piece.shape[position]
        ends = [(0, 0, 0)] * x.ndim
        ends[position] = (first, after, 0)
        pieces.append(lax.pad(piece, jnp.zeros((), x.dtype), ends))
    return functools.reduce(operator.add, pieces)
