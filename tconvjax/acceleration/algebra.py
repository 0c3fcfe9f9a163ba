"""Write a ``conv_general_dilated`` as a partial of the trilinear form, in every way.

Along one axis a convolution joins lhs element u, rhs element t and output element m if

    stride * m + rhs_dilation * t - low = lhs_dilation * u

and a `tconvjax.Axis` joins j of x, i of y and t of w if ``j = stride * i + dilation * t - low``. In
both, one array has the coefficient 1, and each two arrays share one axis of channels or batch. So
each of lhs, rhs and out can play x if its coefficient is 1 along every axis; the other two then
play w and y in either order. A negative coefficient means that an array is read backwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from tconvjax.geometry import Axis, Geometry
from tconvjax.layouts import GROUPED, LETTERS, Recipe, Specs
from tconvjax.trilinear import PARTIAL_WITH_RESULT, trilinear

Array: TypeAlias = Literal["lhs", "rhs", "out"]

_LETTERS: Mapping[Array, tuple[str, str]] = {
    "lhs": ("batch", "in"),
    "rhs": ("out", "in"),
    "out": ("batch", "out"),
}
"""The first two entries of each array's layout; each two arrays share one."""


@dataclass(frozen=True)
class Convolution:
    """One ``conv_general_dilated`` without its numbers: its parameters, by lax's own names.

    Args:
        shapes: of lhs, rhs and out.
        dtype: of both operands.
        out_dtype: of the result.
    """

    shapes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    dtype: Any
    out_dtype: Any
    dimension_numbers: Specs
    window_strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    lhs_dilation: tuple[int, ...]
    rhs_dilation: tuple[int, ...]
    feature_group_count: int
    batch_group_count: int
    precision: Any

    @property
    def groups(self) -> int:
        """Blocks of channels, given as feature groups or as batch groups."""
        return self.feature_group_count * self.batch_group_count

    def shape(self, array: Array) -> tuple[int, ...]:
        """The shape of lhs, rhs or out."""
        return self.shapes[("lhs", "rhs", "out").index(array)]

    def spec(self, array: Array) -> tuple[int, ...]:
        """The layout of lhs, rhs or out."""
        return tuple(self.dimension_numbers[("lhs", "rhs", "out").index(array)])

    def spatial(self, array: Array) -> tuple[int, ...]:
        """The spatial sizes of lhs, rhs or out."""
        return tuple(self.shape(array)[p] for p in self.spec(array)[2:])

    def size(self, letter: str) -> int:
        """Entries of batch, in or out within one group."""
        array, entry = {"batch": ("out", 0), "in": ("rhs", 1), "out": ("rhs", 0)}[letter]
        length = self.shape(array)[self.spec(array)[entry]]  # type: ignore[arg-type]
        return length // self.groups if letter == "out" else length

    def grouped(self, array: Array) -> str:
        """The letter of an array whose axis holds the groups."""
        if array == "lhs":
            return "in" if self.batch_group_count == 1 else "batch"
        return "out"

    def steps(self) -> list[list[int]]:
        """The steps of out, rhs and lhs along each axis; 1 where there is nothing to step."""
        sizes = np.array([self.spatial(array) for array in ("out", "rhs", "lhs")])
        steps = [self.window_strides, self.rhs_dilation, self.lhs_dilation]
        return np.where(sizes > 1, steps, 1).tolist()


@dataclass(frozen=True)
class Assignment:
    """Which array plays which role, and how the arrays are rearranged before and after.

    Args:
        convolution: what is computed.
        roles: which arrays play x, w and y.
        recipe: of the partial that computes out.
        backwards: the array that is read or written backwards in space, or None.
        regrouped: arrays whose groups move from one axis to another.
    """

    convolution: Convolution
    roles: tuple[Array, Array, Array]
    recipe: Recipe
    backwards: Array | None
    regrouped: tuple[Array, ...]


def assignments(c: Convolution) -> Iterator[Assignment]:
    """All ways to write a convolution as a partial, those that lax's own names suggest first.

    There are up to six; none if each of the three arrays has a step above 1 along some axis.
    """
    of_out, of_rhs, of_lhs = c.steps()
    lows = [low for low, _ in c.padding]
    ways: list[tuple[Array, Array, Array, Any]] = []
    if max(of_lhs) == 1:
        ways.append(("lhs", "rhs", "out", zip(of_out, of_rhs, lows, strict=True)))
    others: tuple[tuple[Array, list[int], Array, list[int]], ...]
    others = ("out", of_out, "rhs", of_rhs), ("rhs", of_rhs, "out", of_out)
    for one, of_one, other, of_other in others:
        if max(of_one) == 1:
            columns = zip(of_other, c.spatial(other), lows, strict=True)
            back = [step * (size - 1) - low for step, size, low in columns]
            ways.append((one, other, "lhs", zip(of_lhs, of_other, back, strict=True)))
    for x, w, y, columns in ways:
        steps = list(columns)
        yield _assignment(c, (x, w, y), steps)
        # Output and tap change places: so do stride and dilation.
        yield _assignment(c, (x, y, w), [(d, s, low) for s, d, low in steps])


def _assignment(
    c: Convolution, roles: tuple[Array, Array, Array], steps: Sequence[tuple[int, int, int]]
) -> Assignment:
    """Read geometry, layouts and groups off the roles; steps are (stride, dilation, low)."""
    x, w, y = roles
    letters = {"n": _shared(x, y), "c": _shared(x, w), "o": _shared(w, y)}
    sizes = zip(c.spatial(x), c.spatial(y), c.spatial(w), steps, strict=True)
    axes = tuple(Axis(in_size, out_size, taps, *step) for in_size, out_size, taps, step in sizes)
    channels, filters = (c.size(letters[letter]) * c.groups for letter in "co")
    specs, regrouped = [], []
    for role, array in zip("xwy", roles, strict=True):
        places = dict(zip(_LETTERS[array], c.spec(array), strict=False))
        specs.append((*(places[letters[n]] for n in LETTERS[role]), *c.spec(array)[2:]))
        if c.groups > 1 and c.grouped(array) != letters[GROUPED[role]]:
            regrouped.append(array)
    recipe = Recipe(
        PARTIAL_WITH_RESULT["xwy"[roles.index("out")]],
        Geometry(axes, channels, filters, c.groups),
        lax.ConvDimensionNumbers(*specs),
        c.precision,
        jnp.dtype(c.out_dtype),
    )
    turned: Array | None = None if x == "lhs" else "rhs" if x == "out" else "out"
    if turned and max(c.spatial(turned)) == 1:
        turned = None
    return Assignment(c, roles, recipe, turned, tuple(regrouped))


def _shared(one: Array, other: Array) -> str:
    (letter,) = set(_LETTERS[one]) & set(_LETTERS[other])
    return letter


def computed(lhs: jax.Array, rhs: jax.Array, a: Assignment) -> jax.Array:
    """Compute a ``lax.conv_general_dilated`` with this package.

    out[n, o, m] = sum over c, u, t with stride * m + rhs_dilation * t - low = lhs_dilation * u
    of lhs[n, c, u] * rhs[o, c, t]
    """
    given: dict[Array, jax.Array] = {"lhs": lhs, "rhs": rhs}
    played = dict(zip("xwy", a.roles, strict=True))
    arrays = (played[role] for role in a.recipe.roles[:2])
    first, second = (_arranged(given[array], array, a) for array in arrays)
    return _arranged(trilinear(first, second, a.recipe), "out", a)


def _arranged(value: jax.Array, array: Array, a: Assignment) -> jax.Array:
    """An operand in the arrangement of its role, or the result back in its own."""
    c = a.convolution
    if a.backwards == array:
        value = lax.rev(value, c.spec(array)[2:])
    return _regrouped(value, array, c) if array in a.regrouped else value


def _regrouped(value: jax.Array, array: Array, c: Convolution) -> jax.Array:
    """Move the groups to the other axis that is not spatial, before its entries; of out, back."""
    start, end = c.spec(array)[:2]
    held_by_second = c.grouped(array) == _LETTERS[array][1]
    if held_by_second != (array == "out"):
        start, end = end, start
    shape = value.shape
    length = shape[start] // c.groups
    value = value.reshape(*shape[:start], c.groups, length, *shape[start + 1 :])
    value = jnp.moveaxis(value, start, end)
    # The axes are now those of the array with the groups right before the other axis.
    joined = list(shape)
    joined[start], joined[end] = length, c.groups * shape[end]
    return value.reshape(joined)
