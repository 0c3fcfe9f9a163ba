"""Sizes, their inverses, and every spelling of padding."""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tconvjax as tc
from tconvjax import Axis, Geometry, GeometryError

small = st.integers(1, 9)


@given(small, st.integers(1, 5), st.integers(1, 4), st.integers(-1, 4), st.integers(1, 3))
def test_in_sizes_inverts_out_size(out: int, k: int, s: int, p: int, d: int) -> None:
    sizes = tc.in_sizes(out, k, s, p, d)
    assert all(n >= 0 for n in sizes)
    everything = range(max(d * (k - 1) + 1 - 2 * p, 1), 80)
    assert [n for n in sizes if n > 0] == [
        n for n in everything if tc.out_size(n, k, s, p, d) == out
    ]


@pytest.mark.parametrize("name", ["SAME", "SAME_LOWER", "CAUSAL", "VALID"])
@given(out=small, k=st.integers(1, 5), s=st.integers(1, 4), d=st.integers(1, 3))
def test_in_sizes_inverts_named_padding(name: str, out: int, k: int, s: int, d: int) -> None:
    for size in tc.in_sizes(out, k, s, name, d):
        assert tc.out_size(size, k, s, name, d) == out


def test_shapes_are_not_unique() -> None:
    assert tc.in_sizes(4, 3, stride=2, padding=1) == (7, 8)
    assert tc.out_size((7, 8), 3, stride=2, padding=1) == (4, 4)


@given(small, st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_same_divides_by_the_stride(size: int, k: int, s: int, d: int) -> None:
    for name in ("SAME", "SAME_LOWER", "CAUSAL"):
        assert tc.out_size(size, k, s, name, d) == -(-size // s)


def axis(function: Any, *args: Any, **keywords: Any) -> Axis:
    (found,) = function(*args, **keywords).axes
    return found


@given(small, st.integers(1, 5), st.integers(1, 4), st.integers(1, 3))
def test_same_goes_there_and_back(size: int, k: int, s: int, d: int) -> None:
    for name in ("SAME", "SAME_LOWER"):
        there = axis(Geometry.of_conv, (1, size), (1, 1, k), stride=s, padding=name, dilation=d)
        back = axis(
            Geometry.of_conv_transpose, (1, there.out_size), (1, 1, k), stride=s, padding=name,
            dilation=d, output_size=size,
        )  # fmt: skip
        assert back == there


def test_same_puts_the_odd_element_after_and_same_lower_before() -> None:
    assert axis(Geometry.of_conv, (1, 4), (1, 1, 4), padding="SAME").low == 1
    assert axis(Geometry.of_conv, (1, 4), (1, 1, 4), padding="SAME_LOWER").low == 2


def test_same_pads_nothing_where_the_kernel_is_shorter_than_the_stride() -> None:
    for size, name in itertools.product(range(1, 7), ("SAME", "SAME_LOWER")):
        assert axis(Geometry.of_conv, (1, size), (1, 1, 1), stride=3, padding=name).low == 0


def test_valid_is_no_padding() -> None:
    for stride in (1, 2, 3):
        shapes: Any = ((1, 7), (1, 1, 3))
        assert Geometry.of_conv(*shapes, stride=stride, padding="VALID") == Geometry.of_conv(
            *shapes, stride=stride
        )
        assert Geometry.of_conv_transpose(
            *shapes, stride=stride, padding="VALID"
        ) == Geometry.of_conv_transpose(*shapes, stride=stride)


def test_a_kernel_one_tap_too_long_is_refused() -> None:
    assert Geometry.of_conv((1, 3), (1, 1, 3), stride=2).out_size == (1,)
    with pytest.raises(GeometryError, match="sizes that do: 3 and more; or pad by 1 more"):
        Geometry.of_conv((1, 2), (1, 1, 3), stride=2)


def test_names_give_no_size_below_zero() -> None:
    for name in ("SAME", "SAME_LOWER", "CAUSAL"):
        with pytest.raises(GeometryError, match=r"sizes that do: 0$"):
            Geometry.of_conv_transpose((1, 0), (1, 1, 3), stride=3, padding=name, output_size=1)


def test_causal_convolution_sees_no_later_input() -> None:
    causal = axis(Geometry.of_conv, (1, 7), (1, 1, 3), stride=2, padding="CAUSAL", dilation=2)
    assert causal.out_size == 4
    assert all(j <= 2 * i for i, j, _ in causal.links())


def test_causal_transposed_convolution_sees_no_later_input() -> None:
    causal = axis(Geometry.of_conv_transpose, (1, 4), (1, 1, 5), stride=2, padding="CAUSAL")
    assert causal.in_size == 8
    assert all(2 * i <= j for i, j, _ in causal.links())
    assert {j for _, j, _ in causal.links()} == set(range(8))


def test_causal_with_a_kernel_shorter_than_the_stride_has_gaps() -> None:
    causal = axis(Geometry.of_conv_transpose, (1, 2), (1, 1, 1), stride=3, padding="CAUSAL")
    assert causal.in_size == 6
    assert sorted(causal.links()) == [(0, 0, 0), (1, 3, 0)]


@pytest.mark.parametrize("padding", [1, (1,), ((1, 1),), [1], [[1, 1]]], ids=repr)
def test_spellings_of_one_padding_give_one_geometry(padding: Any) -> None:
    spelled = Geometry.of_conv((3, 9), (5, 3, 4), stride=2, padding=padding)
    assert spelled == Geometry.of_conv([7, 3, 9], (5, 3, 4), stride=[2], padding=1)
    assert hash(spelled) == hash(Geometry.of_conv((3, 9), (5, 3, 4), stride=(2,), padding=1))


def test_padding_after_the_last_stamp_changes_nothing() -> None:
    assert Geometry.of_conv((1, 8), (1, 1, 2), stride=3, padding=((0, 0),)) == Geometry.of_conv(
        (1, 8), (1, 1, 2), stride=3, padding=((0, 1),)
    )


def test_output_padding_follows_pytorchs_rule() -> None:
    # stride 2, dilation 4, output_padding 3: PyTorch takes it, since 3 < 4.
    found = axis(
        Geometry.of_conv_transpose, (1, 4), (1, 1, 2), stride=2, dilation=4, output_padding=3
    )
    assert found.in_size == (4 - 1) * 2 + 4 + 1 + 3
    assert found.out_size == 4


@given(small, st.integers(1, 5), st.integers(1, 4), st.integers(0, 3), st.integers(1, 4))
def test_output_padding_and_output_size_say_the_same(
    n: int, k: int, s: int, p: int, d: int
) -> None:
    least = (n - 1) * s + d * (k - 1) + 1 - 2 * p
    for extra in range(max(s, d)):
        if least < 0:
            continue
        options = {"stride": s, "padding": p, "dilation": d}
        one = axis(Geometry.of_conv_transpose, (1, n), (1, 1, k), output_padding=extra, **options)
        two = axis(
            Geometry.of_conv_transpose, (1, n), (1, 1, k), output_size=least + extra, **options
        )
        assert one == two
        assert one.in_size == least + extra
        assert one.high == p - extra


def test_nothing_in_nothing_out() -> None:
    assert Geometry.of_conv((1, 0), (1, 1, 3)).out_size == (0,)
    assert Geometry.of_conv_transpose((1, 0), (1, 1, 2), stride=2).in_size == (0,)


def test_no_output_comes_from_no_input_however_wide_the_stride() -> None:
    for stride, kernel in itertools.product(range(1, 5), range(1, 4)):
        back = Geometry.of_conv_transpose((1, 0), (1, 1, kernel), stride=stride)
        assert back.in_size == (max(kernel - stride, 0),)
        cut = Geometry.of_conv_transpose((1, 0), (1, 1, kernel), stride=stride, padding=2)
        assert cut.in_size == (0,)


def test_what_padding_cuts_to_less_than_nothing_is_refused() -> None:
    rule = re.escape("padding=(1, 1): in_size=-1 cannot give out_size=1")
    with pytest.raises(GeometryError, match=f"{rule}.*sizes that do: 0$"):
        Geometry.of_conv_transpose((1, 1), (1, 1, 1), stride=2, padding=1)
    with pytest.raises(GeometryError, match=f"{rule}.*pad 1 less in all$"):
        Geometry.of_conv_transpose((1, 1), (1, 1, 1), padding=1)


def test_what_is_left_out_is_the_plainest() -> None:
    plain = Axis(5, 3, 3)
    assert (plain.stride, plain.dilation, plain.low, plain.mode) == (1, 1, 0, "zeros")
    g = Geometry((plain,))
    assert (g.in_channels, g.out_channels, g.groups) == (1, 1, 1)
    assert Geometry.of_conv((1, 5), (1, 1, 3)) == g


@pytest.mark.parametrize("name", ["kernel_size", "stride", "dilation"])
def test_steps_and_taps_are_at_least_one(name: str) -> None:
    assert Axis(1, 1, 1, 1, 1).in_size == 1
    wrong: dict[str, Any] = {name: 0}
    with pytest.raises(GeometryError, match=f"{name}=0: it must be a whole number of at least 1"):
        replace(Axis(1, 1, 1), **wrong)


@pytest.mark.parametrize("name", ["in_size", "out_size"])
def test_sizes_are_at_least_zero(name: str) -> None:
    assert Axis(0, 0, 1).high == 0
    wrong: dict[str, Any] = {name: -1}
    with pytest.raises(GeometryError, match=f"{name}=-1: it must be a whole number of at least 0"):
        replace(Axis(1, 1, 1), **wrong)


def test_up_to_eight_sizes_are_listed() -> None:
    with pytest.raises(GeometryError, match=r"that do: 1, 2, 3, 4, 5, 6, 7, 8$"):
        Geometry.of_conv_transpose((1, 1), (1, 1, 1), stride=8, output_size=9)
    with pytest.raises(GeometryError, match=r"that do: 1, 2, \.\.\., 9$"):
        Geometry.of_conv_transpose((1, 1), (1, 1, 1), stride=9, output_size=10)


def test_a_geometry_tells_its_shapes() -> None:
    g = Geometry.of_conv((4, 9, 7), (6, 2, 3, 2), stride=(2, 1), padding=((1, 0), (0, 2)), groups=2)
    assert (g.in_shape, g.out_shape, g.kernel_shape) == ((4, 9, 7), (6, 4, 8), (6, 2, 3, 2))
    assert (g.rank, g.stride, g.dilation, g.kernel_size) == (2, (2, 1), (1, 1), (3, 2))
    assert g.padding == ((1, -1), (0, 2))


def test_nothing_comes_back_from_nothing() -> None:
    """The convolution of an empty axis is empty, so its transpose gives the empty axis back."""
    there = Geometry.of_conv((1, 0), (1, 1, 3), stride=2)
    assert Geometry.of_conv_transpose((1, 0), (1, 1, 3), stride=2, output_size=0) == there
    with pytest.raises(tc.GeometryError, match="in_size=0 cannot give out_size=1"):
        Geometry.of_conv_transpose((1, 1), (1, 1, 3), stride=2, output_size=0)


def test_one_axis_may_be_named_in_a_tuple() -> None:
    one: Any = (3,)
    assert tc.out_size(7, one, 2) == 3


def test_nothing_is_a_size_too() -> None:
    assert tc.in_sizes(1, 2, stride=2, padding=1) == (0, 1)
    assert tc.in_sizes(1, 2, stride=3, padding=2) == (0,)  # and there is no size below it
    assert tc.in_sizes(4, 3) == (6,)
    assert tc.out_size(0, 2, 2, 1) == 1


def test_shapes_may_be_arrays() -> None:
    x_shape: Any = np.array([1, 5])
    w_shape: Any = np.array([1, 1, 3])
    assert Geometry.of_conv(x_shape, w_shape) == Geometry.of_conv((1, 5), (1, 1, 3))


def test_one_axis_with_a_border_is_enough() -> None:
    plain, reflected = Axis(5, 3, 3), Axis(5, 5, 3, low=1, mode="reflect")
    for axes in ((plain, reflected), (reflected, plain)):
        there = Geometry(axes, 1, 1, 1)
        assert there.bordered
        assert not there.filled().bordered
    assert not Geometry((plain, plain), 1, 1, 1).bordered


def test_groups_divide_the_first_axis_of_the_kernel_alone() -> None:
    assert Geometry.of_conv_transpose((4, 5), (4, 3, 3), groups=2).in_channels == 6


def test_the_padding_of_no_output_leaves_one_element_too_few() -> None:
    axis = Axis(2, 0, 5, stride=3, low=1)
    assert axis.in_size + axis.low + axis.high == axis.span - 1


def test_sizes_are_listed_up_to_a_limit() -> None:
    assert len(tc.in_sizes(3, 3, stride=2**20)) == 2**20
    with pytest.raises(GeometryError, match="1048576 is the limit"):
        tc.in_sizes(3, 3, stride=2**20 + 1)
