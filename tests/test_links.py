"""Links: the one relation j = s*i + d*t - p, and everything that must agree with it."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given

from tconvjax import Geometry, links
from tconvjax.geometry import taps_between
from tests import oracles
from tests.strategies import ANY_MODE, Arguments, arguments


def matrix_of_links(geometry: Geometry, w: np.ndarray) -> np.ndarray:
    """C, filled with numbers, by adding up the links."""
    c = np.zeros((*geometry.out_shape, *geometry.in_shape), w.dtype)
    for link in links(geometry):
        c[link.output + link.input] += w[link.tap]
    return c.reshape(int(np.prod(geometry.out_shape)), int(np.prod(geometry.in_shape)))


@given(arguments(modes=ANY_MODE))
def test_links_add_up_to_the_definition(a: Arguments) -> None:
    x, w, y = a.arrays()
    c = matrix_of_links(a.geometry, w)
    for one_x, one_y in zip(oracles.conv(a, x, w), x, strict=True):
        np.testing.assert_array_equal(c @ one_y.ravel(), one_x.ravel())
    for one_x, one_y in zip(oracles.conv_transpose(a, y, w), y, strict=True):
        np.testing.assert_array_equal(c.T @ one_y.ravel(), one_x.ravel())


@given(arguments(ranks=(1, 2), modes=ANY_MODE))
def test_each_link_is_met_once_and_in_order(a: Arguments) -> None:
    found = list(links(a.geometry))
    assert len({(link.output, link.tap) for link in found}) == len(found)
    assert found == sorted(found, key=lambda link: (link.output, link.tap))


@given(arguments(ranks=(1, 2), modes=ANY_MODE))
def test_taps_between_are_the_links(a: Arguments) -> None:
    """The entry of C at a row and a column, asked for by its place, holds the links that meet."""
    g = a.geometry
    meeting: dict[tuple[tuple[int, ...], tuple[int, ...]], list[tuple[int, ...]]] = {}
    for link in links(g):
        meeting.setdefault((link.output, link.input), []).append(link.tap)
    rows, columns = (itertools.product(*map(range, s)) for s in (g.out_shape, g.in_shape))
    places = list(itertools.product(rows, columns))
    for output, source in places[:: max(1, len(places) // 500)] + list(meeting)[:500]:
        assert taps_between(g, output, source) == meeting.get((output, source), [])
