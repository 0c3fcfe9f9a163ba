"""Links: the one relation j = s*i + d*t - p, and everything that must agree with it."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given

import tconvjax as tc
from tconvjax import Axis, Geometry, links
from tests import oracles
from tests.reading import read
from tests.strategies import ANY_MODE, FIXED, Arguments, arguments


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
        assert g.taps_between(output, source) == tuple(meeting.get((output, source), ()))


def test_border_runs_are_the_sources_of_the_padded_line() -> None:
    for size, low, high, mode in itertools.product(
        range(1, 5), range(-1, 6), range(-1, 6), ANY_MODE[1:]
    ):
        if size + low + high < 1:
            continue
        axis = Axis(size, 1, size + low + high, low=low, mode=mode)
        runs = [first + n * step for first, count, step in axis.border_runs() for n in range(count)]
        assert runs == oracles.padded_index(size, low, high, mode).tolist(), axis
        for (first, count, step), (after, _, _) in itertools.pairwise(axis.border_runs()):
            assert after != first + count * step, axis  # else the two would be one
            assert count > 1 or abs(after - first) > 1, axis
        assert all(abs(step) <= 1 for _, _, step in axis.border_runs()), axis


@given(arguments(modes=ANY_MODE))
def test_a_filled_geometry_meets_the_padded_line(a: Arguments) -> None:
    """Where borders are filled in first, the sums over the padded line are the same sums."""
    for given_, filled, (low, high) in zip(
        a.geometry.axes, a.geometry.filled().axes, a.geometry.padding, strict=True
    ):
        assert not filled.bordered
        if not given_.bordered:
            assert filled == given_
            continue
        line = oracles.padded_index(given_.in_size, low, high, given_.mode)
        assert filled.in_size == len(line)
        assert [(i, line[j], t) for i, j, t in filled.links()] == list(given_.links())


def test_one_hot_inputs_show_the_matrix() -> None:
    for a in FIXED:
        _, w, _ = a.arrays()
        size = int(np.prod(a.y_shape[1:]))
        eye = np.eye(size).reshape(size, *a.y_shape[1:])
        rows = read(
            lambda y, w, a=a: tc.conv_transpose(y, w, output_size=a.in_size, **a.keywords), eye, w
        )
        np.testing.assert_array_equal(rows.reshape(size, -1), matrix_of_links(a.geometry, w))
