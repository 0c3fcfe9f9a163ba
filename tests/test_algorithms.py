"""What an algorithm decides for itself changes nothing: blocks, and the side that is gathered."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import tconvjax as tc
from tconvjax.algorithms import ALGORITHMS, apart, blocks, product
from tconvjax.algorithms.splitting import Split
from tconvjax.forward import ROLES, layout, spec_of
from tconvjax.geometry import Geometry
from tests import oracles
from tests.strategies import FIXED, Arguments, arguments

EVEN = (
    Arguments(3, 4, 2, (13,), (4,), (2,), ((1, 1),), (1,), 2),
    Arguments(2, 1, 2, (12, 9), (4, 3), (2, 1), ((1, 1), (0, 2)), (1, 2), 1),
    Arguments(1, 2, 1, (6, 8, 6), (2, 4, 2), (1, 2, 2), ((0, 0), (1, -1), (0, 0)), (1, 1, 1), 1),
    Arguments(2, 2, 1, (14,), (4,), (4,), ((2, 3),), (2,), 1),  # every other tap meets one phase
)
"""Convolutions whose phases have equally many taps, so that both sides can be gathered."""


def assert_loops(a: Arguments, algorithm: str = "patches") -> None:
    """All three partials of an algorithm, as the module now decides, are the loops.

    With channels first and with channels last, which "patches" lays out in other ways.
    """
    x, w, y = a.arrays(np.float64)
    loops = oracles.conv(a, x, w), oracles.conv_transpose(a, y, w), oracles.kernel_gradient(a, x, y)
    letters = "DHW"[-len(a.in_size) :]
    last = f"N{letters}C", f"{letters}IO", f"N{letters}C"
    for specs in (layout(None, len(a.in_size)), layout(last, len(a.in_size))):
        placed = {
            role: np.transpose(value, np.argsort(spec_of(role, specs)))
            for role, value in zip("xwy", (x, w, y), strict=True)
        }
        for (partial, (first, second, wanted)), loop in zip(ROLES.items(), loops, strict=True):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(apart, "LEAST", 0)
                result = jax.jit(
                    lambda a_, b_, p=partial, s=specs: ALGORITHMS[algorithm](
                        p, a_, b_, a.geometry, s, None
                    )
                )(placed[first], placed[second])
            np.testing.assert_array_equal(np.transpose(result, spec_of(wanted, specs)), loop)


def sides(geometry: Geometry) -> Iterator[tuple[Split, ...]]:
    """Every way to lay out the shifts."""
    for on_y in itertools.product((False, True), repeat=geometry.rank):
        splits = tuple(map(Split, geometry.axes, on_y))
        if all(split.even or not split.on_y for split in splits):
            yield splits


@pytest.mark.parametrize("a", [*FIXED, *EVEN])
def test_each_side_may_be_gathered(a: Arguments, monkeypatch: pytest.MonkeyPatch) -> None:
    choices = list(sides(a.geometry))
    assert (len(choices) > 1) == any(s.even and s.shifts > 1 for s in choices[0]) or a in FIXED
    for splits in choices:
        monkeypatch.setattr(product, "splits_of", lambda _, splits=splits: splits)
        assert_loops(a)


@pytest.mark.parametrize("most", [1, 40])
@pytest.mark.parametrize("a", [*FIXED, *EVEN])
def test_blocks_add_up(a: Arguments, most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "WHOLE", 0)
    monkeypatch.setattr(blocks, "MOST", most)
    monkeypatch.setattr(product, "REPEATED", math.inf)
    assert_loops(a)
    assert_loops(a, "taps")
    monkeypatch.setattr(product, "REPEATED", -1)
    assert_loops(replace(a, batch=3))
    assert_loops(replace(a, batch=3), "taps")


@given(arguments(), st.sampled_from(["float16", "float32", "float64", "complex64", "int32"]))
def test_every_candidate_has_an_estimate_or_an_objection(a: Arguments, dtype: str) -> None:
    for partial in ROLES:
        plan = tc.plan(a.geometry, partial, dtype, "cpu", a.batch)
        assert plan.algorithm == tc.select_algorithm(a.geometry, partial, dtype, "cpu", a.batch)
        assert {c.algorithm for c in plan.candidates} == set(tc.ALGORITHMS)
        for candidate in plan.candidates:
            assert (candidate.seconds is None) == candidate.note.startswith("not considered: ")
            assert candidate.seconds is None or 0 < candidate.seconds < 1


@settings(max_examples=10)
@given(arguments())
@example(Arguments(1, 1, 1, (1,), (1,), (2,), ((0, 2),), (1,), 1))  # a block reaches into padding
@example(Arguments(1, 1, 1, (1, 1), (1, 1), (2, 1), ((1, 1), (0, 0)), (2, 1), 1))  # no output
def test_any_blocks_add_up(a: Arguments) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "WHOLE", 0)
        patch.setattr(blocks, "MOST", 1)
        patch.setattr(product, "REPEATED", math.inf)
        assert_loops(a)


@given(arguments(), st.sampled_from(["NC", "CN", "N.C", "mid"]))
def test_depthwise_taps_where_the_channels_lie(a: Arguments, order: str) -> None:
    """Channels anywhere but last are transposed without a transpose, phase by phase."""
    a = replace(a, in_channels=3, out_channels=3, groups=3, dilation=(1,) * len(a.dilation))
    if min(a.y_shape) < 1:
        return
    letters = "DHW"[-len(a.in_size) :]
    data = {"NC": f"NC{letters}", "CN": f"C{letters[::-1]}N", "N.C": f"N{letters}C"}.get(
        order, f"{letters[:1]}C{letters[1:]}N"
    )
    specs = layout((data, f"OI{letters}", data), len(a.in_size))
    _, w, y = map(jnp.asarray, a.arrays(np.float64))
    moved = jnp.asarray(np.transpose(y, np.argsort(specs.out_spec)))
    result = ALGORITHMS["taps"]("conv_transpose", moved, w, a.geometry, specs, None)
    wanted = oracles.conv_transpose(a, np.asarray(y), np.asarray(w))
    np.testing.assert_array_equal(np.transpose(result, specs.lhs_spec), wanted)
