"""What an algorithm decides for itself changes nothing: blocks, and the side that is gathered."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from jax import export

import tconvjax as tc
from tconvjax.algorithms import (
    ALGORITHMS,
    apart,
    blocks,
    convolutions,
    costs,
    elementwise,
    product,
)
from tconvjax.algorithms.splitting import Split, shifted
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


@pytest.mark.slow
@pytest.mark.parametrize("a", [*FIXED, *EVEN])
def test_each_side_may_be_gathered(a: Arguments, monkeypatch: pytest.MonkeyPatch) -> None:
    choices = list(sides(a.geometry))
    assert (len(choices) > 1) == any(s.even and s.shifts > 1 for s in choices[0]) or a in FIXED
    for splits in choices:
        monkeypatch.setattr(product, "splits_of", lambda _, splits=splits: splits)
        assert_loops(a)


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
@given(arguments(), st.sampled_from(["NC", "CN", "N.C", "mid"]))
@example(Arguments(1, 3, 3, (9,), (3,), (2,), ((-2, 1),), (1,), 3), "NC")  # crops two steps
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


# -- what an algorithm lays out --------------------------------------------------------------------


def shape_of(function: Any, *arrays: jax.Array) -> int:
    """Elements of what a function of arrays makes, which is not computed."""
    return int(math.prod(jax.eval_shape(function, *arrays).shape))


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("a", [*FIXED, *EVEN])
def test_copies_are_counted_as_they_are_made(a: Arguments, channels_last: bool) -> None:
    """The elements that the estimates count are those of the matrices that "patches" lays out."""
    g, letters = a.geometry, "DHW"[-len(a.in_size) :]
    data = f"N{letters}C" if channels_last else f"NC{letters}"
    specs = layout((data, f"OI{letters}", data), g.rank)
    x, y = jnp.zeros((1, *g.in_shape)), jnp.zeros((1, *g.out_shape))
    if channels_last:
        x, y = jnp.moveaxis(x, 1, -1), jnp.moveaxis(y, 1, -1)
    for splits in sides(g):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(product, "splits_of", lambda _, splits=splits: splits)
            frame = product.frame_of(g, specs)
            sizes = (
                shape_of(lambda x, frame=frame: product.x_matrix(x, frame), x),
                shape_of(lambda y, frame=frame: product.y_matrix(y, frame), y),
            )
            assert product.copied(g, splits) == sum(sizes)
            assert product.largest(g) == max(sizes)
            moved = x.size + y.size + math.prod(g.kernel_shape)
            laid_out = math.prod(g.kernel_shape) * any(s.on_y for s in splits)
            patch.setattr(costs, "splits_of", lambda _, splits=splits: splits)
            assert costs.elements("direct", g, 1) == moved
            assert costs.elements("patches", g, 1) == moved + sum(sizes) + laid_out
            assert costs.elements("patches", g, 3) - costs.elements("patches", g, 2) == (
                x.size + y.size + sum(sizes)
            )
            sources = math.prod(s.shifts for s in splits)
            assert costs.choices("patches", "conv", g, 2) == 2 * sum(sizes) * sources
            assert costs.choices("patches", "conv_transpose", g, 2) == 2 * x.size * sources
            assert costs.choices("direct", "conv", g, 2) == 0


def test_each_plan_is_a_value() -> None:
    g = EVEN[0].geometry
    split = Split(g.axes[0])
    specs = layout(None, 1)
    plan = tc.plan(g, "conv", platform="cpu")
    values: list[Any] = [g, *g.axes, split, product.frame_of(g, specs), plan, *plan.candidates]
    for value in values:
        assert hash(value) == hash(replace(value))
        with pytest.raises(FrozenInstanceError):
            setattr(value, fields(value)[0].name, None)


@pytest.mark.parametrize("images", [1, 2, 3])
def test_images_are_taken_apart_where_there_are_several(
    images: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "WHOLE", 10)
    monkeypatch.setattr(blocks, "MOST", 1)
    g = Geometry.of_conv((1, 4), (1, 1, 2))
    x, w, seen = jnp.ones((images, 1, 4)), jnp.ones((1, 1, 2)), []

    def whole(a: jax.Array, b: jax.Array, geometry: Geometry) -> jax.Array:
        seen.append(a)
        return jnp.zeros((a.shape[0], *geometry.out_shape))

    for size in (10 // images, 5, 11):  # all at once where they fit; an image never falls apart
        seen.clear()
        blocks.by_images(whole, "conv", x, w, g, layout(None, 1), size)
        at_once = images == 1 or size * images <= 10
        assert (seen[0] is x) == at_once
        assert seen[0].shape[0] == (images if at_once else 1)


@pytest.mark.parametrize(("images", "size", "most", "share"), [(5, 4, 10, 2), (9, 2, 11, 5)])
def test_blocks_of_images_are_as_even_as_can_be(
    images: int, size: int, most: int, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "WHOLE", most)
    monkeypatch.setattr(blocks, "MOST", most)
    g = Geometry.of_conv((1, 4), (1, 1, 2))
    x, w, seen = jnp.ones((images, 1, 4)), jnp.ones((1, 1, 2)), []

    def whole(a: jax.Array, b: jax.Array, geometry: Geometry) -> jax.Array:
        seen.append(a.shape[0])
        return jnp.zeros((a.shape[0], *geometry.out_shape))

    blocks.by_images(whole, "conv", x, w, g, layout(None, 1), size)
    assert set(seen) == {share, images % share}
    seen.clear()
    monkeypatch.setattr(blocks, "automatic_devices", lambda _: 2)  # which XLA spreads images over
    blocks.by_images(whole, "conv", x, w, g, layout(None, 1), size)
    assert seen == [images]


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize(
    ("k", "steps"),
    [
        (1, {"stride": 2}),
        (2, {"stride": 2, "padding": 1}),
        (4, {"stride": 2, "padding": 1}),
        (3, {"stride": 3, "padding": ((2, 0),)}),
        (3, {"dilation": 2, "padding": ((0, 3),)}),
        (5, {"stride": 2, "padding": ((3, -1),)}),
    ],
)
def test_a_block_of_rows_reads_the_outputs_that_write_it(
    k: int, steps: dict[str, Any], count: int
) -> None:
    g = Geometry.of_conv((1, 13), (1, 1, k), **steps)
    axis, sizes = g.axes[0], []
    y, w = jnp.zeros((1, *g.out_shape)), jnp.zeros(g.kernel_shape)

    def writes(u: int, first: int, size: int) -> bool:
        return any(
            0 <= axis.stride * u + axis.dilation * t - axis.low - first < size for t in range(k)
        )

    def whole(a: jax.Array, b: jax.Array, part: Geometry) -> jax.Array:
        sizes.append((part.axes[0].in_size, part.axes[0].out_size))
        return jnp.zeros((1, *part.in_shape))

    def rows(y: jax.Array, w: jax.Array) -> jax.Array:
        return blocks.by_rows(whole, "conv_transpose", y, w, g, layout(None, 1), count)

    made = made_by("pad", rows, y, w)
    for size, outputs in set(sizes):
        reach = [u for u in range(-20, 20) if writes(u, 0, size)]
        assert outputs == max(reach) - min(reach) + 1
    everything = [u for u in range(-20, 20) if writes(u, 0, axis.in_size)]
    length = max(everything) - min(everything) + 1
    assert made == [(1, 1, length)] * (length != axis.out_size)


@pytest.mark.parametrize("a", [
    Arguments(1, 2, 2, (8,), (2,), (2,), ((0, 0),), (1,), 1),
    Arguments(1, 1, 2, (7,), (1,), (3,), ((0, 0),), (1,), 1),  # a block of one row and one output
    Arguments(1, 1, 2, (7,), (2,), (1,), ((1, 0),), (1,), 1),
    Arguments(1, 1, 1, (1, 1), (1, 1), (2, 1), ((1, 1), (0, 0)), (2, 1), 1),  # and one of none
])  # fmt: skip
def test_blocks_of_one_output_add_up(a: Arguments, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "WHOLE", 0)
    monkeypatch.setattr(blocks, "MOST", 1)
    monkeypatch.setattr(product, "REPEATED", math.inf)
    assert_loops(a)


def test_the_side_that_is_gathered_moves_least() -> None:
    both = set()
    for c, o, n, k, s in itertools.product((1, 8), (1, 8), (8, 40), (3, 4, 8), (1, 2, 4)):
        g = Geometry.of_conv((c, n, n), (o, c, k, k), stride=s)
        chosen = product.splits_of(g)
        both |= {split.on_y for split in chosen}

        def moved(splits: tuple[Split, ...], g: Geometry = g) -> int:
            kernel = math.prod(g.kernel_shape) * any(split.on_y for split in splits)
            return product.copied(g, splits) + kernel

        assert chosen in list(sides(g))
        assert moved(chosen) == min(moved(splits) for splits in sides(g))
    assert both == {False, True}


def test_blocks_are_larger_on_an_accelerator() -> None:
    here = blocks.bounds()
    with apart.together():
        assert blocks.bounds() == tuple(blocks.LARGER * size for size in here)
    assert blocks.bounds() == here == (blocks.WHOLE, blocks.MOST)


@pytest.mark.parametrize("partial", ["conv", "conv_transpose"])
def test_depthwise_taps_where_x_and_y_lie_differently(partial: Any) -> None:
    a = Arguments(2, 3, 3, (9,), (3,), (2,), ((1, 1),), (1,), 3)
    x, w, y = a.arrays()
    specs = layout(("NCH", "OIH", "NHC"), 1)
    turned = np.transpose(y, (0, 2, 1))
    given_ = x if partial == "conv" else turned
    result = ALGORITHMS["taps"](
        partial, jnp.asarray(given_), jnp.asarray(w), a.geometry, specs, None
    )
    if partial == "conv":
        np.testing.assert_array_equal(np.transpose(result, (0, 2, 1)), oracles.conv(a, x, w))
    else:
        np.testing.assert_array_equal(result, oracles.conv_transpose(a, y, w))


def test_phases_are_even_where_each_has_as_many_taps() -> None:
    even = {
        (taps, stride): Split(Geometry.of_conv((1, 12), (1, 1, taps), stride=stride).axes[0]).even
        for taps in (2, 3, 4, 6)
        for stride in (1, 2, 3)
    }
    # Taps that all fall into one shift are laid out in one way only.
    assert even == {(taps, stride): taps % stride == 0 or taps < stride for taps, stride in even}


def test_phases_are_written_out_where_that_spares_a_transpose() -> None:
    first, last = layout(None, 2), layout(("NHWC", "HWIO", "NHWC"), 2)
    small, spread = (
        Geometry.of_conv((4, 9, 9), (4, 1, 3, 3), groups=4, dilation=d) for d in (1, 2)
    )
    most, more = (
        Geometry.of_conv((4, 40, 40), (4, 1, *kernel), groups=4) for kernel in ((8, 8), (5, 13))
    )
    between = layout(("NHCW", "OIHW", "NHCW"), 2)
    chosen = [elementwise._in_phases(*given) for given in (
        (small, first), (small, last), (spread, first), (most, first), (more, first),
        (small, between))]  # fmt: skip
    assert chosen == [True, False, False, True, False, True]


@pytest.mark.parametrize("a", [
    Arguments(1, 2, 2, (23,), (3,), (1,), ((0, 0),), (1,), 2),  # more products than chunks
    Arguments(1, 2, 2, (21, 3), (2, 2), (1, 1), ((1, 0), (0, 0)), (1, 1), 2),
    Arguments(1, 4, 4, (9,), (3,), (2,), ((1, 1),), (1,), 2),  # two channels a group, both ways
    Arguments(1, 2, 1, (5,), (1,), (1,), ((0, 0),), (1,), 1),  # two in alone, or two out
    Arguments(1, 1, 2, (5,), (1,), (1,), ((0, 0),), (1,), 1),
    Arguments(1, 1, 2, (5,), (2,), (1,), ((0, 0),), (1,), 1),
    Arguments(1, 2, 4, (4, 5, 6), (2, 3, 2), (1, 2, 2), ((1, 0), (0, 1), (0, 0)), (1, 1, 2), 2),
])  # fmt: skip
def test_taps_add_up_over_chunks_and_over_three_axes(a: Arguments) -> None:
    assert_loops(a, "taps")


def made_by(name: str, function: Any, *arrays: jax.Array) -> list[tuple[int, ...]]:
    """The shapes of all that a primitive makes in a function of arrays."""
    equations = jax.make_jaxpr(function)(*arrays).eqns
    return [e.outvars[0].aval.shape for e in equations if e.primitive.name == name]


@pytest.mark.parametrize("rows", [8, 16, 20, 21])
def test_chunks_are_no_longer_than_they_need_be(rows: int) -> None:
    x, y = jnp.ones((1, rows, 2, 3, 1, 1)), jnp.ones((1, rows, 1, 3, 1, 1))
    chunk = math.ceil(rows / elementwise.CHUNKS)
    made = {n: made_by(n, lambda x, y: elementwise._summed(x, y, 1), x, y) for n in ("mul", "pad")}
    assert set(made["pad"]) <= {(1, chunk, 2, 3, 1, 1)}
    assert [shape[1] for shape in made["mul"]] == [
        min(chunk, rows - first) for first in range(0, rows, chunk)
    ]


@given(arguments())
def test_no_more_zeros_are_laid_out_than_are_read(a: Arguments) -> None:
    for split in sides(a.geometry):
        for s in split:
            read = [
                s.axis.stride * row + s.axis.dilation * phase
                for row in range(s.all_rows) for phase in range(s.slots)
            ]  # fmt: skip
            assert s.padded_size == max(read, default=-1) + 1
        y = jnp.zeros((1, *a.geometry.out_size, 1, 1))
        ends = [s.step * (s.y_taps - 1) for s in split]
        whole = (1, *(n + 2 * end for n, end in zip(a.geometry.out_size, ends, strict=True)), 1, 1)
        wanted = {whole} if any(ends) else set()
        assert set(made_by("pad", lambda y, s=split: shifted(y, s, 1), y)) == wanted


def test_phases_hold_as_many_rows_as_their_stride_leaves() -> None:
    for size, stride, low, rows in ((9, 2, 2, 5), (9, 3, 3, 3), (10, 3, 0, 4), (7, 1, 2, 7)):
        g = Geometry.of_conv((3, size), (3, 1, 4), stride=stride, padding=low, groups=3)
        (split,), y, w = map(Split, g.axes), jnp.ones((1, *g.out_shape)), jnp.ones((4, 3))

        def transpose(y: jax.Array, w: jax.Array, split: Split = split) -> jax.Array:
            return elementwise._depthwise_transpose(y, w, (split,), (0, 1, 2))

        assert made_by("mul", transpose, y, w) == [(1, 3, rows)] * 4
        length = rows + split.shifts - 1
        assert made_by("pad", transpose, y, w) == [(1, 3, length)] * (length != y.shape[2])


# -- how "patches" lays out, and in how many rows --------------------------------------------------

# As (C, *in_size), kernel and options. Of 103 rows the first reads 100 times 4, and the second
# lays out y 103 times 4 and meets eight channels; the last is the second with an axis of tiles.
NARROW = Geometry.of_conv((1, 103), (1, 1, 4))
DEEP = Geometry.of_conv((8, 103), (1, 8, 4))
TILED = Geometry.of_conv((8, 103, 6), (1, 8, 4, 2), stride=(1, 2))
SHORT = Geometry.of_conv((1, 9), (1, 1, 2))


@pytest.mark.parametrize(
    ("g", "most", "rows"),
    [
        (NARROW, 400, 100),  # all at once
        (NARROW, 399, 50),
        (NARROW, 100, 25),  # four blocks, each with 3 rows more: 3 / 25 of the work
        (NARROW, 60, 15),  # 3 / 15, which is the limit
        (NARROW, 50, 100),  # 3 / 13
        (DEEP, 412, 50),  # 3 / 50 of 824, and the kernel of 32 twice
        (DEEP, 206, 100),  # 3 / 25 of 824, and the kernel four times
        (TILED, 1236, 25),
        (TILED, 1000, 100),  # 3 / 20 of 4944, and the kernel of 64 five times
        (SHORT, 8, 8),  # 1 / 4
    ],
)
def test_rows_of_a_block_are_as_many_as_pay(
    g: Geometry, most: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "WHOLE", most)
    monkeypatch.setattr(blocks, "MOST", most)
    assert product.rows_of_a_block(g) == rows
    cut = []

    def by_rows(whole: Any, partial: Any, a: jax.Array, *rest: Any) -> jax.Array:
        cut.append(rest[-1])
        return a

    monkeypatch.setattr(blocks, "by_rows", by_rows)
    x, w = jnp.zeros((1, *g.in_shape)), jnp.zeros(g.kernel_shape)
    jax.eval_shape(lambda: product.patches("conv", x, w, g, layout(None, g.rank), None))
    assert cut == ([rows] if rows < g.out_size[0] else [])


def test_what_fits_at_once_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "MOST", 100)
    for whole, rows in ((400, 100), (399, 25)):
        monkeypatch.setattr(blocks, "WHOLE", whole)
        assert product.rows_of_a_block(NARROW) == rows


def test_channels_stay_first_where_both_have_them_first() -> None:
    g = Geometry.of_conv((1, 5, 5), (1, 1, 3, 3))

    def first(x: str, y: str) -> bool:
        return product.frame_of(g, layout((x, "OIHW", y), 2)).first

    assert [first(x, x) for x in ("NCHW", "CHWN", "CNHW", "HCWN", "NHCW", "HWCN", "NHWC")] == [
        True, True, True, False, False, False, False]  # fmt: skip
    assert not first("NCHW", "NHWC")
    assert not first("NHWC", "NCHW")


def test_several_shifts_of_strided_phases_are_added_up() -> None:
    def adds(*axes: tuple[int, int], on_y: bool = False) -> bool:
        shape, strides = [k for k, _ in axes], [s for _, s in axes]
        g = Geometry.of_conv((1, *(12 for _ in axes)), (1, 1, *shape), stride=strides)
        splits = tuple(Split(axis, on_y) for axis in g.axes)
        return product.Frame(splits, 1, layout(None, g.rank), first=True).adds

    assert adds((4, 2))
    assert not adds((4, 2), on_y=True)
    assert not adds((2, 2))  # one shift
    assert not adds((4, 1))  # one phase
    assert adds((2, 2), (3, 1))
    assert adds((3, 1), (2, 2))
    assert not adds((3, 1), (3, 1))


def test_a_transpose_that_moves_nothing_is_known() -> None:
    for shape in itertools.product((1, 2, 3), repeat=3):
        there = np.arange(math.prod(shape)).reshape(shape)
        for order in itertools.permutations(range(3)):
            moved = there.transpose(order)
            stays = bool((moved.ravel() == there.ravel()).all())
            assert product._as_it_lies(moved.shape, order) == stays


# -- where XLA's own convolution is not what is wanted ---------------------------------------------


def test_groups_are_mixed_where_there_are_some_of_several_channels_on_a_cpu() -> None:
    def mixes(groups: int, inside: int, out: int, batch: Any = 2) -> bool:
        g = Geometry.of_conv((groups * inside, 9), (groups * out, inside, 3), groups=groups)
        x: Any = jax.ShapeDtypeStruct((batch, *g.in_shape), jnp.float32)
        return convolutions._mixes_groups(g, x)

    (unknown,) = export.symbolic_shape("n")
    assert mixes(2, 2, 2)
    assert mixes(2, 1, 2)
    assert not mixes(1, 2, 2)
    assert not mixes(1, 1, 1)
    assert not mixes(2, 1, 1)
    assert not mixes(2, 2, 2, unknown)
    with apart.together():
        assert not mixes(2, 2, 2)


def test_phases_of_one_kind_are_one_convolution() -> None:
    def one(*axes: tuple[int, int]) -> bool:
        shape, strides = [k for k, _ in axes], [s for _, s in axes]
        g = Geometry.of_conv((1, *(12 for _ in axes)), (1, 1, *shape), stride=strides)
        return convolutions.in_one_part(g)

    assert [one((k, 2)) for k in (1, 2, 3, 4, 5)] == [True, True, False, True, False]
    assert one((4, 2), (3, 3))
    assert not one((4, 2), (3, 2))
    assert not one((3, 2), (4, 2))
