"""Sizes, their inverses, and every spelling of padding."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import tconvjax as tc
from tconvjax import Axis, Geometry, GeometryError

PADDINGS = ((0, 0), (1, 1), (2, 2), (-1, -1), (1, 2), (2, -1))
STEPS = tuple(itertools.product(range(1, 5), range(1, 5), range(1, 4)))  # taps, stride, dilation


def axis(function: Any, *args: Any, **keywords: Any) -> Axis:
    (found,) = function(*args, **keywords).axes
    return found


def test_an_output_is_a_place_where_the_kernel_fits_and_in_sizes_inverts_that() -> None:
    for (k, s, d), (low, high) in itertools.product(STEPS, PADDINGS):
        options: dict[str, Any] = {"stride": s, "dilation": d, "padding": ((low, high),)}
        sizes: dict[int, list[int]] = {}
        for n in range(32):
            last = n + low + high - d * (k - 1)  # the first place where it does not fit
            out = len(range(0, last, s))
            sizes.setdefault(out, []).append(n)
            if n == 0 or out:
                assert tc.out_size(n, k, **options) == out
                there = Geometry.of_conv((1, n), (1, 1, k), **options)
                back = {**options, "output_size": n}
                assert Geometry.of_conv_transpose((1, out), (1, 1, k), **back) == there
            else:
                with pytest.raises(GeometryError, match="elements along an axis"):
                    tc.out_size(n, k, **options)
        for out in range(1, 4):
            assert list(tc.in_sizes(out, k, **options)) == sizes.get(out, [])


def test_named_padding_divides_by_the_stride_there_and_back() -> None:
    names = ("SAME", "SAME_LOWER", "CAUSAL")
    for name, (k, s, d), n in itertools.product(names, STEPS, range(1, 9)):
        options: dict[str, Any] = {"stride": s, "dilation": d, "padding": name}
        there = axis(Geometry.of_conv, (1, n), (1, 1, k), **options)
        assert there.out_size == -(-n // s)
        span = d * (k - 1) + 1
        total = max(s * (there.out_size - 1) + span - n, 0)
        assert there.low == {
            "SAME": total // 2, "SAME_LOWER": total - total // 2, "CAUSAL": span - 1
        }[name]  # fmt: skip
        assert n in tc.in_sizes(there.out_size, k, **options)
        assert len(tc.in_sizes(there.out_size, k, **options)) == s
        assert axis(Geometry.of_kernel_gradient, (1, n), (1, there.out_size), k, **options) == there
        back = axis(Geometry.of_conv_transpose, (1, n), (1, 1, k), **options)
        assert back.in_size == n * s
        options["output_size"] = n
        back = axis(Geometry.of_conv_transpose, (1, there.out_size), (1, 1, k), **options)
        assert back.in_size == n
        assert name == "CAUSAL" or back == there


def test_output_padding_and_output_size_say_the_same() -> None:
    for (k, s, d), (low, high), n in itertools.product(STEPS, PADDINGS, range(1, 4)):
        options: dict[str, Any] = {"stride": s, "dilation": d, "padding": ((low, high),)}
        least = (n - 1) * s + d * (k - 1) + 1 - low - high
        for extra in range(max(-least, 0), max(s, d)):  # PyTorch's rule
            padded = {**options, "output_padding": extra}
            one = axis(Geometry.of_conv_transpose, (1, n), (1, 1, k), **padded)
            assert (one.in_size, one.high) == (least + extra, high - extra)
            sized = {**options, "output_size": least + extra}
            assert one == axis(Geometry.of_conv_transpose, (1, n), (1, 1, k), **sized)


def test_causal_convolutions_see_no_later_input() -> None:
    options: dict[str, Any] = {"padding": "CAUSAL", "stride": 2}
    there = axis(Geometry.of_conv, (1, 7), (1, 1, 3), dilation=2, **options)
    assert all(j <= 2 * i for i, j, _ in there.links())
    back = list(axis(Geometry.of_conv_transpose, (1, 4), (1, 1, 5), **options).links())
    assert all(2 * i <= j for i, j, _ in back)
    assert {j for _, j, _ in back} == set(range(8))


def test_spellings_of_one_convolution_give_one_geometry() -> None:
    expected = Geometry.of_conv((3, 9), (5, 3, 4), stride=2, padding=1)
    for padding in (1, (1,), ((1, 1),), [1], [[1, 1]], ((1, 0),)):  # the last stamp needs no more
        spelled = Geometry.of_conv([7, 3, 9], (5, 3, 4), stride=[2], padding=padding)
        assert spelled == expected
        assert hash(spelled) == hash(expected)
    for function in (Geometry.of_conv, Geometry.of_conv_transpose):
        plain = function((1, 7), (1, 1, 3), stride=2)
        assert function((1, 7), (1, 1, 3), stride=2, padding="VALID") == plain


def test_shapes_may_be_arrays() -> None:
    shapes: Any = (np.array([1, 5]), np.array([1, 1, 3]))
    assert Geometry.of_conv(*shapes) == Geometry.of_conv((1, 5), (1, 1, 3))
    sizes: Any = np.array([7, 9])
    assert tc.out_size(sizes, 3) == tc.out_size((7, 9), (3, 3)) == (5, 7)
    one: Any = (3,)
    assert tc.out_size(7, one, 2) == 3


def test_nothing_in_nothing_out() -> None:
    """The convolution of an empty axis is empty, so its transpose gives the empty axis back."""
    assert Geometry.of_conv((1, 0), (1, 1, 3)).out_size == (0,)
    for stride, kernel in itertools.product(range(1, 5), range(1, 4)):
        back = Geometry.of_conv_transpose((1, 0), (1, 1, kernel), stride=stride)
        assert back.in_size == (max(kernel - stride, 0),)
        cut = Geometry.of_conv_transpose((1, 0), (1, 1, kernel), stride=stride, padding=2)
        assert cut.in_size == (0,)
    assert Geometry((Axis(5, 3, 3),), in_channels=0).in_shape == (0, 5)


def test_a_geometry_tells_its_shapes() -> None:
    g = Geometry.of_conv((4, 9, 7), (6, 2, 3, 2), stride=(2, 1), padding=((1, 0), (0, 2)), groups=2)
    assert (g.in_shape, g.out_shape, g.kernel_shape) == ((4, 9, 7), (6, 4, 8), (6, 2, 3, 2))
    assert (g.rank, g.stride, g.dilation, g.kernel_size) == (2, (2, 1), (1, 1), (3, 2))
    assert g.padding == ((1, -1), (0, 2))
    assert Geometry.of_conv_transpose((4, 5), (4, 3, 3), groups=2).in_channels == 6
