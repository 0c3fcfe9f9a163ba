"""What an algorithm decides for itself changes no result: blocks, sides, chunks, layouts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import jax
import numpy as np
import pytest

import tconvjax as tc
from tests.oracles import LOOPS, PARTIALS, equations
from tests.reading import lowered, read
from tests.strategies import FIXED, Arguments, Case
from tests.test_definition import assert_defined, program

# One image of 300,000 places and 9 taps would be laid out in 2.7 million elements.
LARGE = {
    "images": Arguments(5, 1, 1, (150_000,), (9,), (1,), ((1, 2),), (1,), 1),
    "rows": Arguments(1, 1, 1, (300_001,), (9,), (1,), ((3, 1),), (1,), 1),
    "strided rows": Arguments(2, 1, 2, (400_003,), (10,), (2,), ((1, 0),), (1,), 1),
    "rows of a plane": Arguments(1, 2, 1, (700, 400), (3, 3), (1, 1), ((1, -1), (0, 2)), (2, 1), 1),
    "uneven rows": Arguments(1, 3, 1, (300_001,), (9,), (2,), ((3, 1),), (1,), 1),
    "depthwise": Arguments(2, 2, 2, (500, 300), (4, 4), (2, 2), ((1, 1), (1, 1)), (1, 1), 2),
    "depthwise rows": Arguments(1, 2, 2, (1500, 400), (3, 3), (1, 1), ((0, 1), (1, 0)), (1, 1), 2),
}


@pytest.mark.parametrize("name", ["patches", "taps"])
@pytest.mark.parametrize("layer", LARGE)
def test_large_arrays_are_computed_in_parts_that_add_up(layer: str, name: str) -> None:
    case = Case(LARGE[layer], layout="last", names=(name,), seed=2)
    a, numbers = case.a, case.numbers(whole=True)
    placed = {role: case.placed(role, v) for role, v in numbers.items()}
    run = program(case)
    for (_, partial), result in read(run, placed).items():
        first, second, role = PARTIALS[partial]
        right = LOOPS[partial](a, numbers[first], numbers[second])
        np.testing.assert_array_equal(case.restored(role, result), right, err_msg=partial)
    # No array of any of the programs holds every tap of every place.
    ours = [e for e in equations(jax.make_jaxpr(run)(placed)) if e.primitive.name == "trilinear"]
    made = [v.aval.size for one in ours for e in equations(lowered(one)) for v in e.outvars]
    whole = math.prod((a.batch, a.in_channels, *a.in_size))
    assert max(made) <= max(2 * whole, 2**21) < whole * math.prod(a.kernel_size)


def test_a_large_image_takes_no_more_memory_than_its_arrays() -> None:
    """Nine times as much, if all patches were laid out at once."""
    y, w = (jax.ShapeDtypeStruct(s, "float32") for s in ((1, 64, 1024, 1024), (64, 64, 3, 3)))

    def squares(y: Any, w: Any) -> Any:
        z = tc.conv_transpose(y, w, padding=1, algorithm="patches")
        return (z * z).sum()

    memory = jax.jit(jax.grad(squares, (0, 1))).lower(y, w).compile().memory_analysis()
    assert memory is not None
    assert memory.temp_size_in_bytes < 3 * 4 * y.size


SIDES = {
    "one matrix product; shifts laid out on x": Arguments(
        2, 1, 1, (9, 9), (2, 2), (2, 2), ((0, 0), (0, 0)), (1, 1), 1
    ),
    "one matrix product; shifts laid out on y": Arguments(
        2, 2, 1, (13, 13), (6, 4), (2, 2), ((1, 1), (1, 1)), (1, 1), 1
    ),
    "one matrix product; shifts laid out on y, then x": Arguments(
        2, 1, 1, (9, 9), (2, 2), (1, 1), ((0, 0), (0, 0)), (1, 1), 1
    ),
    "2 matrix products; shifts laid out on y": Arguments(
        2, 3, 1, (24,), (9,), (2,), ((1, 0),), (1,), 1
    ),
    "2 matrix products; shifts laid out on y, then x": Arguments(
        2, 12, 2, (33, 31), (7, 7), (3, 3), ((1, 1), (2, 0)), (2, 2), 2
    ),
    "4 matrix products; shifts laid out on y": Arguments(
        1, 40, 1, (41, 43), (5, 7), (2, 3), ((1, 1), (2, 0)), (1, 1), 1
    ),
}


@pytest.mark.parametrize("side", SIDES)
def test_patches_may_lay_out_either_side(side: str) -> None:
    plan = tc.plan(SIDES[side].geometry, "conv", platform="cpu")
    notes = {c.algorithm: c.note for c in plan.candidates}
    assert notes["patches"] == side
    for layout in ("first", "last"):
        assert_defined(Case(SIDES[side], layout=layout, names=("patches",)))


PHASES = {
    "nine phases": Arguments(1, 8, 8, (97, 98), (4, 5), (3, 3), ((1, 1), (0, 2)), (1, 1), 8),
    "27 phases": Arguments(1, 3, 3, (33, 31, 32), (3, 4, 3), (3,) * 3, ((1, 1),) * 3, (1,) * 3, 3),
    "dilated": Arguments(1, 8, 8, (98, 97), (4, 3), (3, 4), ((2, 1), (0, 0)), (2, 3), 8),
    "of 9, 12 and 16 taps": Arguments(
        1, 8, 8, (96, 97), (7, 7), (2, 2), ((3, 2),) * 2, (1,) * 2, 8
    ),
    "of 9 and 10 taps": Arguments(2, 8, 8, (4099,), (19,), (2,), ((0, 9),), (1,), 8),
}
"""Depthwise layers whose transposes interleave arrays that are written first."""


@pytest.mark.parametrize("layout", ["first", "last"])
@pytest.mark.parametrize("kind", PHASES)
def test_many_phases_and_unequal_ones_lie_where_they_belong(kind: str, layout: Any) -> None:
    assert_defined(Case(PHASES[kind], layout=layout, names=("taps",)))


def odd() -> Iterator[Arguments]:
    """Few taps, long kernels, single channels, blocks of one output: what ends a loop early."""
    yield from FIXED
    yield Arguments(1, 2, 2, (23,), (3,), (1,), ((0, 0),), (1,), 2)
    yield Arguments(1, 2, 2, (21, 3), (2, 2), (1, 1), ((1, 0), (0, 0)), (1, 1), 2)
    yield Arguments(1, 4, 4, (9,), (3,), (2,), ((1, 1),), (1,), 2)
    yield Arguments(1, 2, 1, (5,), (1,), (1,), ((0, 0),), (1,), 1)
    yield Arguments(1, 1, 2, (5,), (2,), (1,), ((0, 0),), (1,), 1)
    yield Arguments(1, 2, 4, (4, 5, 6), (2, 3, 2), (1, 2, 2), ((1, 0), (0, 1), (0, 0)), (1,) * 3, 2)
    yield Arguments(1, 1, 2, (7,), (1,), (3,), ((0, 0),), (1,), 1)
    yield Arguments(1, 1, 1, (1,), (1,), (2,), ((0, 2),), (1,), 1)
    yield Arguments(1, 1, 1, (1, 1), (1, 1), (2, 1), ((1, 1), (0, 0)), (2, 1), 1)
    yield Arguments(1, 3, 3, (9,), (3,), (2,), ((-2, 1),), (1,), 3)  # crops two steps


def test_every_algorithm_is_right_where_it_has_little_to_do() -> None:
    for a in odd():
        assert_defined(Case(a))


@pytest.mark.parametrize("x", ["NCHW", "CHWN", "HWCN", "NHWC", "HCWN"])
def test_axes_may_stand_anywhere(x: str) -> None:
    a = Arguments(2, 3, 3, (9, 7), (3, 2), (2, 1), ((1, 1), (0, 1)), (1, 1), 3)
    numbers = dict(zip("xwy", a.arrays(), strict=True))
    for y, w in ((x, "OIHW"), ("WNCH", "HWIO")):
        letters = {"x": x, "w": w, "y": y}
        plain = {"x": "NCHW", "w": "OIHW", "y": "NCHW"}
        order = {r: [plain[r].index(letter) for letter in letters[r]] for r in "xwy"}
        placed = {role: v.transpose(order[role]) for role, v in numbers.items()}
        for name in tc.ALGORITHMS:
            options: dict[str, Any] = {**a.keywords, "algorithm": name}
            options["dimension_numbers"] = (x, w, y)
            z = read(lambda y, w, o=options: tc.conv(y, w, **o), placed["x"], placed["w"])
            back = read(
                lambda y, w, o=options: tc.conv_transpose(y, w, output_size=(9, 7), **o),
                placed["y"],
                placed["w"],
            )
            right = LOOPS["conv"](a, numbers["x"], numbers["w"])
            np.testing.assert_array_equal(z, right.transpose(order["y"]), err_msg=name)
            right = LOOPS["conv_transpose"](a, numbers["y"], numbers["w"])
            np.testing.assert_array_equal(back, right.transpose(order["x"]), err_msg=name)
