"""Roles, layouts and batch axes of the three arrays of a convolution, and the recipe of a partial.

The three arrays are x (input), w (kernel) and y (output) of the forward convolution. A partial of
the trilinear form T(x, w, y) reads two of them and gives the third.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jax.sharding import PartitionSpec

from tconvjax.arguments import counted
from tconvjax.errors import array_of, fail
from tconvjax.geometry import Geometry
from tconvjax.geometry.geometry import kernel_rank

DimensionNumbers: TypeAlias = Sequence[str] | lax.ConvDimensionNumbers | None
"""Layouts of x, w and y, such as ``("NHWC", "HWIO", "NHWC")``; None for channels first."""
Specs: TypeAlias = lax.ConvDimensionNumbers
"""Positions of the axes of x, w and y: (batch, channel, *spatial) and (out, in, *spatial)."""
Precision: TypeAlias = Any
"""What ``lax.conv_general_dilated`` takes: None, a name, a ``lax.Precision``, or a pair."""
Partial: TypeAlias = Literal["conv", "conv_transpose", "kernel_gradient"]

ROLES: Mapping[Partial, tuple[str, str, str]] = {
    "conv": ("x", "w", "y"),
    "conv_transpose": ("y", "w", "x"),
    "kernel_gradient": ("x", "y", "w"),
}
"""The roles of the two operands and of the result of each partial."""

LETTERS = {"x": "nc", "w": "oc", "y": "no"}
"""The first two entries of each array's layout; each two arrays share one."""

GROUPED = {"x": "c", "w": "o", "y": "o"}
"""The letter of the axis that holds the groups."""


@dataclass(frozen=True)
class Recipe:
    """Everything about one partial but its arrays: the static argument of the jitted functions.

    Args:
        partial: which partial of the trilinear form.
        geometry: the forward convolution.
        specs: the layouts of x, w and y.
        precision: of the products.
        dtype: of the result; None where the operands still decide it.
        algorithm: "auto" or a key of `tconvjax.ALGORITHMS`.
        platform: what the program is lowered for; "" before that is known.
    """

    partial: Partial
    geometry: Geometry
    specs: Specs
    precision: Precision = None
    dtype: Any = None
    algorithm: str = "auto"
    platform: str = ""

    @property
    def roles(self) -> tuple[str, str, str]:
        """The roles of the two operands and of the result."""
        return ROLES[self.partial]

    @property
    def on_cpu(self) -> bool:
        """Whether the program is lowered for a CPU."""
        return self.platform == "cpu"

    @property
    def channels_first(self) -> bool:
        """Whether the channels of x and of y stand before their spatial axes."""
        return all(spec[1] < min(spec[2:]) for spec in (self.specs.lhs_spec, self.specs.out_spec))

    @property
    def depthwise(self) -> bool:
        """Whether each channel has a group of its own."""
        geometry = self.geometry
        return geometry.groups == geometry.in_channels == geometry.out_channels

    def spec(self, role: str) -> Sequence[int]:
        """The layout of x, w or y."""
        return {"x": self.specs.lhs_spec, "w": self.specs.rhs_spec, "y": self.specs.out_spec}[role]

    def batch(self, first: Any) -> Any:
        """The batch size; the first operand always has it."""
        return first.shape[self.spec(self.roles[0])[0]]

    def shape(self, role: str, batch: Any) -> tuple[Any, ...]:
        """The shape of x, w or y with one batch axis."""
        sizes = {
            "x": (batch, *self.geometry.in_shape),
            "w": self.geometry.kernel_shape,
            "y": (batch, *self.geometry.out_shape),
        }[role]
        return placed(sizes, self.spec(role))

    def result_shape(self, first: Any) -> tuple[Any, ...]:
        """The shape of the result."""
        return self.shape(self.roles[2], self.batch(first))


Algorithm: TypeAlias = Callable[[jax.Array, jax.Array, Recipe], jax.Array]
"""A partial as a function of its two operands."""


# -- reading a layout ------------------------------------------------------------------------------


def layout(dimension_numbers: Any, rank: int) -> Specs:
    """The layouts of x, w and y for so many spatial axes; None stands for channels first."""
    if isinstance(dimension_numbers, list):
        dimension_numbers = tuple(dimension_numbers)
    try:
        return _layout(dimension_numbers, rank)
    except TypeError:  # it cannot be hashed
        _no_layouts(dimension_numbers)


@functools.lru_cache(maxsize=256)
def _layout(dimension_numbers: Any, rank: int) -> Specs:
    shape = (1,) * (rank + 2)
    try:
        return lax.conv_dimension_numbers(shape, shape, dimension_numbers)
    except (TypeError, ValueError, KeyError) as error:
        detail = f", {rank + 2} letters each ({str(error).rstrip('.')})"
        _no_layouts(dimension_numbers, detail)


def layout_of(dimension_numbers: Any, w: Any) -> Specs:
    """The layouts for the number of spatial axes that a kernel has."""
    return layout(dimension_numbers, kernel_rank(w.shape))


def rank_of(dimension_numbers: Any) -> int:
    """The number of spatial axes that layouts name."""
    try:
        return len(tuple(dimension_numbers[0])) - 2
    except (TypeError, IndexError, KeyError):
        _no_layouts(dimension_numbers)


def _no_layouts(dimension_numbers: Any, detail: str = "") -> NoReturn:
    rule = f"it must give the layouts of x, w and y{detail}"
    remedy = "write them as ('NHWC', 'HWIO', 'NHWC'), or leave them out for channels first"
    fail("dimension_numbers", dimension_numbers, rule, remedy)


# -- sizes and batch axes --------------------------------------------------------------------------


def permuted(shape: Sequence[Any], spec: Sequence[int]) -> tuple[Any, ...]:
    """The entries of a shape in the order of a layout."""
    return tuple(shape[position] for position in spec)


def placed(sizes: Sequence[Any], spec: Sequence[int]) -> tuple[Any, ...]:
    """Put sizes in the order (batch, channel, *spatial) to the positions of a layout."""
    return tuple(sizes[spec.index(position)] for position in range(len(spec)))


def batch_sizes(value: Any, spec: Sequence[int]) -> tuple[Any, ...]:
    """The batch sizes of x or y: none, one at any position, or several that lead."""
    extra = value.ndim - len(spec)
    return (value.shape[spec[0]],) if extra == 0 else tuple(value.shape[: extra + 1])


def positions(ndim: int, spec: Sequence[int]) -> tuple[int, ...]:
    """Positions of the channel and spatial axes in an array of so many axes, batch axes or not."""
    extra = ndim - len(spec)
    return tuple(p - (p > spec[0]) if extra < 0 else p + extra for p in spec[1:])


def sizes(role: str, value: Any, spec: Sequence[int]) -> tuple[int, ...]:
    """(channels, *spatial sizes) of x or y, whatever its batch axes."""
    extra = value.ndim - len(spec)
    if extra < -1 or (extra > 0 and spec[0] != 0):
        rank = len(spec) - 2
        fail(
            role,
            array_of(value.shape),
            f"a kernel with {counted(rank, 'spatial axis', 'spatial axes')} goes with "
            f"{rank + 1} axes, {rank + 2} with a batch axis, or more where the batch axes lead",
            "reshape it, or the kernel",
        )
    return permuted(value.shape, positions(value.ndim, spec))


def with_one_batch(value: jax.Array, spec: Sequence[int]) -> jax.Array:
    """Give x or y exactly one batch axis; w has as many axes as its layout already."""
    batch = batch_sizes(value, spec)
    if batch == ():
        return jnp.expand_dims(value, spec[0])
    return value.reshape(math.prod(batch), *value.shape[len(batch) :]) if batch[1:] else value


# -- for programs ----------------------------------------------------------------------------------


def last_specs(rank: int) -> Specs:
    """The layouts (N, *in, C), (*k, C, O) and (N, *out, O)."""
    data = (0, rank + 1, *range(1, rank + 1))
    return lax.ConvDimensionNumbers(data, (rank + 1, rank, *range(rank)), data)


def aval_like(aval: Any, shape: tuple[Any, ...], dtype: Any) -> Any:
    """An abstract array of another shape and dtype that varies over the same mesh axes."""
    return aval.update(
        shape=shape,
        dtype=jnp.dtype(dtype),
        weak_type=False,
        sharding=aval.sharding.update(spec=PartitionSpec(*(None,) * len(shape))),
    )
