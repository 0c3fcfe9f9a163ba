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
from tconvjax.layouts import GROUPED, LETTERS, ROLES, Partial, Recipe, Specs
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
    """One ``conv_general_dilated`` without its numbers.

    Args:
        shapes: of lhs, rhs and out.
        dtype: of both operands.
        out_dtype: of the result.
        specs: where the axes stand: (batch, feature, *spatial), (out, in, *spatial) in rhs.
        stride: output steps, in elements of the dilated lhs.
        low: padding before the dilated lhs; negative crops.
        lhs_dilation: places from one element of lhs to the next.
        rhs_dilation: places from one tap to the next.
        feature_groups: blocks of features.
        batch_groups: blocks of the batch.
        precision: of the products.
    """

    shapes: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]]
    dtype: Any
    out_dtype: Any
    specs: Specs
    stride: tuple[int, ...]
    low: tuple[int, ...]
    lhs_dilation: tuple[int, ...]
    rhs_dilation: tuple[int, ...]
    feature_groups: int
    batch_groups: int
    precision: Any

    @property
    def groups(self) -> int:
        """Blocks of channels, given as feature groups or as batch groups."""
        return self.feature_groups * self.batch_groups

    def shape(self, array: Array) -> tuple[int, ...]:
        """The shape of lhs, rhs or out."""
        return self.shapes[("lhs", "rhs", "out").index(array)]

    def spec(self, array: Array) -> tuple[int, ...]:
        """The layout of lhs, rhs or out."""
        return tuple(self.specs[("lhs", "rhs", "out").index(array)])

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
            return "in" if self.batch_groups == 1 else "batch"
        return "out"

    def steps(self) -> list[tuple[int, int, int]]:
        """(stride, rhs_dilation, lhs_dilation) of each axis; 1 where there is nothing to step."""
        sizes = np.array([self.spatial(array) for array in ("out", "rhs", "lhs")])
        steps = np.where(sizes > 1, [self.stride, self.rhs_dilation, self.lhs_dilation], 1)
        return [(s, d, n) for s, d, n in steps.T.tolist()]


@dataclass(frozen=True)
class Assignment:
    """Which array plays which role, and how the arrays are rearranged before and after.

    Args:
        convolution: what is computed.
        roles: which arrays play x, w and y.
        geometry: of the trilinear form.
        specs: the layouts of x, w and y.
        backwards: the array that is read or written backwards in space, or None.
        regrouped: arrays whose groups move from one axis to another.
    """

    convolution: Convolution
    roles: tuple[Array, Array, Array]
    geometry: Geometry
    specs: Specs
    backwards: Array | None
    regrouped: tuple[Array, ...]

    @property
    def partial(self) -> Partial:
        """The partial that computes out."""
        return PARTIAL_WITH_RESULT["xwy"[self.roles.index("out")]]

    @property
    def operands(self) -> tuple[Array, Array]:
        """The arrays that the partial takes, in its order."""
        first, second, _ = ROLES[self.partial]
        played = dict(zip("xwy", self.roles, strict=True))
        return played[first], played[second]


def assignments(c: Convolution) -> Iterator[Assignment]:
    """All ways to write a convolution as a partial, those that lax's own names suggest first.

    There are up to six; none if each of the three arrays has a step above 1 along some axis.
    """
    steps = c.steps()
    if all(n == 1 for _, _, n in steps):
        forth = [(s, d, p) for (s, d, _), p in zip(steps, c.low, strict=True)]
        yield _assignment(c, ("lhs", "rhs", "out"), forth, None)
        yield _assignment(c, ("lhs", "out", "rhs"), _swapped(forth), None)
    if all(s == 1 for s, _, _ in steps):
        columns = zip(steps, c.spatial("rhs"), c.low, strict=True)
        back = [(n, d, d * (k - 1) - p) for (_, d, n), k, p in columns]
        yield _assignment(c, ("out", "rhs", "lhs"), back, "rhs")
        yield _assignment(c, ("out", "lhs", "rhs"), _swapped(back), "rhs")
    if all(d == 1 for _, d, _ in steps):
        columns = zip(steps, c.spatial("out"), c.low, strict=True)
        back = [(n, s, s * (m - 1) - p) for (s, _, n), m, p in columns]
        yield _assignment(c, ("rhs", "out", "lhs"), back, "out")
        yield _assignment(c, ("rhs", "lhs", "out"), _swapped(back), "out")


def _swapped(steps: Sequence[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Output and tap change places: so do stride and dilation."""
    return [(d, s, p) for s, d, p in steps]


def _assignment(
    c: Convolution,
    roles: tuple[Array, Array, Array],
    steps: Sequence[tuple[int, int, int]],
    backwards: Array | None,
) -> Assignment:
    """Read geometry, layouts and groups off the roles; steps are (stride, dilation, low)."""
    x, w, y = roles
    played = dict(zip("xwy", roles, strict=True))
    letters = {"n": _shared(x, y), "c": _shared(x, w), "o": _shared(w, y)}
    sizes = zip(c.spatial(x), c.spatial(y), c.spatial(w), steps, strict=True)
    axes = tuple(Axis(in_size, out_size, taps, *step) for in_size, out_size, taps, step in sizes)
    channels, filters = (c.size(letters[letter]) * c.groups for letter in "co")
    specs = (_spec(c, played[role], [letters[i] for i in LETTERS[role]]) for role in "xwy")
    regrouped = tuple(
        array
        for role, array in played.items()
        if c.groups > 1 and c.grouped(array) != letters[GROUPED[role]]
    )
    if backwards and max(c.spatial(backwards)) == 1:
        backwards = None
    geometry = Geometry(axes, channels, filters, c.groups)
    return Assignment(c, roles, geometry, lax.ConvDimensionNumbers(*specs), backwards, regrouped)


def _shared(one: Array, other: Array) -> str:
    (letter,) = set(_LETTERS[one]) & set(_LETTERS[other])
    return letter


def _spec(c: Convolution, array: Array, letters: Sequence[str]) -> tuple[int, ...]:
    """The layout of an array, its first two entries in the order of the given letters."""
    spec = c.spec(array)
    places = dict(zip(_LETTERS[array], spec, strict=False))
    return (*(places[letter] for letter in letters), *spec[2:])


def computed(lhs: jax.Array, rhs: jax.Array, a: Assignment) -> jax.Array:
    """Compute a ``lax.conv_general_dilated`` with this package.

    out[n, o, m] = sum over c, u, t with stride * m + rhs_dilation * t - low = lhs_dilation * u
    of lhs[n, c, u] * rhs[o, c, t]
    """
    given: dict[Array, jax.Array] = {"lhs": lhs, "rhs": rhs}
    first, second = (_arranged(given[array], array, a) for array in a.operands)
    precision, dtype = a.convolution.precision, jnp.dtype(a.convolution.out_dtype)
    recipe = Recipe(a.partial, a.geometry, a.specs, precision, dtype)
    return _arranged(trilinear(first, second, recipe), "out", a)


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
