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
from types import MappingProxyType
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax

from tconvjax.geometry import Axis, Geometry
from tconvjax.layouts import ROLES, Partial, Recipe, Specs
from tconvjax.trilinear import PARTIAL_WITH_RESULT, trilinear

Array: TypeAlias = Literal["lhs", "rhs", "out"]

_LETTERS: Mapping[Array, tuple[str, str]] = MappingProxyType(
    {"lhs": ("batch", "in"), "rhs": ("out", "in"), "out": ("batch", "out")}
)
"""The meaning of the first two entries of an array's layout; two arrays share one of them."""

_ROLE_LETTERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {"x": ("n", "c"), "w": ("o", "c"), "y": ("n", "o")}
)
"""The same for the arrays of the trilinear form."""

_ROLE_GROUPED: Mapping[str, str] = MappingProxyType({"x": "c", "w": "o", "y": "o"})


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
        sizes = zip(
            self.spatial("out"),
            self.spatial("rhs"),
            self.spatial("lhs"),
            self.stride,
            self.rhs_dilation,
            self.lhs_dilation,
            strict=True,
        )
        return [
            (s if m > 1 else 1, d if k > 1 else 1, n if u > 1 else 1) for m, k, u, s, d, n in sizes
        ]


@dataclass(frozen=True)
class Assignment:
    """Which array plays which role, and how the arrays are rearranged before and after.

    Args:
        partial: the partial that computes out.
        roles: which arrays play x, w and y.
        geometry: of the trilinear form.
        specs: the layouts of x, w and y.
        backwards: the array that is read or written backwards in space, or None.
        regrouped: arrays whose groups move from one axis to another.
    """

    partial: Partial
    roles: tuple[Array, Array, Array]
    geometry: Geometry
    specs: Specs
    backwards: Array | None
    regrouped: tuple[Array, ...]

    @property
    def operands(self) -> tuple[Array, Array]:
        """The arrays that the partial takes, in its order."""
        first, second, _ = ROLES[self.partial]
        played = dict(zip("xwy", self.roles, strict=True))
        return played[first], played[second]

    @property
    def batch_entry(self) -> tuple[Array, int]:
        """An array with the batch axis n, and its position there."""
        return self.roles[0], self.specs.lhs_spec[0]


def assignments(c: Convolution) -> Iterator[Assignment]:
    """All ways to write a convolution as a partial, those that lax's own names suggest first.

    Args:
        c: any convolution whose arrays have elements.

    Yields:
        Up to six; none if each of the three arrays has a step above 1 along some axis.
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
    letters = {
        letter: _shared(played[one], played[other])
        for letter, one, other in (("n", "x", "y"), ("c", "x", "w"), ("o", "w", "y"))
    }
    axes = tuple(
        Axis(a, b, k, *step)
        for a, b, k, step in zip(c.spatial(x), c.spatial(y), c.spatial(w), steps, strict=True)
    )
    geometry = Geometry(
        axes, c.size(letters["c"]) * c.groups, c.size(letters["o"]) * c.groups, c.groups
    )
    specs = lax.ConvDimensionNumbers(
        *(_spec(c, played[role], [letters[i] for i in _ROLE_LETTERS[role]]) for role in "xwy")
    )
    regrouped = tuple(
        played[role]
        for role in "xwy"
        if c.groups > 1 and c.grouped(played[role]) != letters[_ROLE_GROUPED[role]]
    )
    if backwards and max(c.spatial(backwards)) == 1:
        backwards = None
    partial = PARTIAL_WITH_RESULT["xwy"[roles.index("out")]]
    return Assignment(partial, roles, geometry, specs, backwards, regrouped)


def _shared(one: Array, other: Array) -> str:
    (letter,) = set(_LETTERS[one]) & set(_LETTERS[other])
    return letter


def _spec(c: Convolution, array: Array, letters: Sequence[str]) -> tuple[int, ...]:
    """The layout of an array, its first two entries in the order of the given letters."""
    spec = c.spec(array)
    places = dict(zip(_LETTERS[array], spec, strict=False))
    return (*(places[letter] for letter in letters), *spec[2:])


def computed(lhs: jax.Array, rhs: jax.Array, c: Convolution, a: Assignment) -> jax.Array:
    """Compute the convolution with this package.

    out[n, o, m] = sum over c, u, t with stride * m + rhs_dilation * t - low = lhs_dilation * u
    of lhs[n, c, u] * rhs[o, c, t]

    Args:
        lhs: as in ``lax.conv_general_dilated``.
        rhs: as in ``lax.conv_general_dilated``.
        c: the convolution.
        a: how to compute it.

    Returns:
        The result of ``lax.conv_general_dilated``, to rounding.
    """
    given: dict[Array, jax.Array] = {"lhs": lhs, "rhs": rhs}
    first, second = (_arranged(given[array], array, c, a) for array in a.operands)
    dtype = jnp.dtype(c.out_dtype)
    recipe = Recipe(a.partial, a.geometry, a.specs, c.precision, dtype)
    out = trilinear(first, second, recipe)
    if "out" in a.regrouped:
        held = _other_letter("out", c.grouped("out"))
        out = _move_groups(out, "out", c, held, c.grouped("out"))
    return lax.rev(out, c.spec("out")[2:]) if a.backwards == "out" else out


def _arranged(value: jax.Array, array: Array, c: Convolution, a: Assignment) -> jax.Array:
    """An operand in the arrangement of its role."""
    if a.backwards == array:
        value = lax.rev(value, c.spec(array)[2:])
    if array in a.regrouped:
        held = c.grouped(array)
        value = _move_groups(value, array, c, held, _other_letter(array, held))
    return value


def _other_letter(array: Array, letter: str) -> str:
    one, other = _LETTERS[array]
    return other if letter == one else one


def _move_groups(value: jax.Array, array: Array, c: Convolution, held: str, wanted: str) -> Any:
    """Move the groups from the axis of one letter to that of the other, before its entries."""
    places = dict(zip(_LETTERS[array], c.spec(array), strict=False))
    start, end = places[held], places[wanted]
    shape = value.shape
    length = shape[start] // c.groups
    value = value.reshape(*shape[:start], c.groups, length, *shape[start + 1 :])
    value = jnp.moveaxis(value, start, end)
    # The axes are now those of the array with the groups right before the wanted letter.
    joined = list(shape)
    joined[start], joined[end] = length, c.groups * shape[end]
    return value.reshape(joined)
