"""Four views of a transposed convolution, each worked out alone, give what the library gives."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import sympy
from hypothesis import assume, given
from hypothesis import strategies as st

from tconvjax import Geometry, GeometryError, conv_transpose
from tconvjax.command.tour import EXAMPLES
from tconvjax.explaining import explain, frames, stamp_sum
from tconvjax.explaining.views import VIEWS
from tconvjax.rendering import Row, Table, to_animation, to_svg, to_text
from tests import oracles
from tests.strategies import ANY_MODE, FIXED, Arguments, arguments

SMALL = Geometry.of_conv((1, 4), (1, 1, 2))


def tables(document: Any, name: str) -> list[Table]:
    """The tables of this name in a document."""
    if isinstance(document, Table):
        return [document] if document.name == name else []
    return [found for part in getattr(document, "parts", ()) for found in tables(part, name)]


def numbers(document: Any, name: str) -> list[list[Any]]:
    """What stands in the last table of this name."""
    return [[int(str(cell.entry)) for cell in row] for row in tables(document, name)[-1].cells]


@given(arguments(ranks=(1, 2), modes=ANY_MODE, most_groups=2))
def test_all_views_give_the_transposed_convolution(a: Arguments) -> None:
    _, w, y = a.arrays(np.int64)
    told = explain(a.geometry, y[0], w)
    if told.note:
        return
    wanted = oracles.conv_transpose(a, y[:1], w)[0]
    for seen in told.views:
        np.testing.assert_array_equal(seen.result.astype(int), wanted, err_msg=seen.view)
    assert told.agree


@pytest.mark.parametrize("a", FIXED)
def test_all_views_agree_with_symbols(a: Arguments) -> None:
    told = explain(a.geometry)
    assert [seen.view for seen in told.views] == ["stamps", "zeros", "matrix", "polyphase"]
    assert told.agree
    text = to_text(told, width=10_000)
    for seen in told.views:
        assert seen.steps
        assert all(step.words in text for step in seen.steps)


def test_views_that_differ_do_not_agree() -> None:
    told = explain(SMALL)
    told.views[1].result[0, 0] += sympy.Symbol("x")
    assert not told.agree
    assert "The views do not agree." in to_text(told)
    exact = explain(SMALL, [1, 2, 3], [1, sympy.Rational(1, 3)])
    assert exact.agree
    exact.views[3].result[0, 0] += sympy.Rational(1, 10**30)
    assert not exact.agree


def test_floats_agree_up_to_rounding_and_not_further() -> None:
    for seed in range(3):
        rng = np.random.default_rng(seed)
        g = Geometry.of_conv_transpose((2, 5), (2, 2, 3), stride=1 + seed, padding=seed % 2)
        told = explain(g, rng.standard_normal(g.out_shape), rng.standard_normal(g.kernel_shape))
        assert told.agree
        told.views[1].result[0, 2] += 1e-13
        assert not told.agree


def test_floats_times_symbols_agree_by_coefficient() -> None:
    g = Geometry.of_conv_transpose((1, 3), (1, 1, 3))
    assert explain(g, w=[0.1, 0.2, 0.7]).agree
    a, b = sympy.symbols("a b")
    mixed = explain(g, [a + 0.1, 0.3 * b, 0.7 + 1.5 * sympy.I], [0.1 - b, 0.2, 0.7 * a])
    assert mixed.agree
    mixed.views[2].result[0, 1] += 1e-12 * sympy.Symbol("c")
    assert not mixed.agree


def test_the_first_picture_of_the_tutorial_is_one_element_to_many() -> None:
    g = Geometry.of_conv_transpose((1, 2, 2), (1, 1, 2, 2))
    stamps = explain(g, [[0, 1], [2, 3]], [[4, 7], [2, 2]], views=["stamps"]).views[0]
    assert [numbers(step.document, "so far") for step in stamps.steps] == [
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
        [[0, 4, 7], [0, 2, 2], [0, 0, 0]],
        [[0, 4, 7], [8, 16, 2], [4, 4, 0]],
        [[0, 4, 7], [8, 28, 23], [4, 10, 6]],
    ]
    shown = tables(stamps.steps[1].document, "so far")[-1].cells
    taps = [cell.tap for row in shown for cell in row]
    assert taps == [None, 0, 1, None, 2, 3, None, None, None]


def test_the_worked_examples_of_the_tutorial_come_out() -> None:
    for name, one in EXAMPLES.items():
        y, w, wanted = (np.array(value) for value in (one.y, one.w, one.result))
        g = Geometry.of_conv_transpose(y.shape[1:], w.shape, stride=one.stride, padding=one.padding)
        for seen in explain(g, y[0], w).views:
            np.testing.assert_array_equal(seen.result.astype(int), wanted[0], err_msg=name)


def test_padding_cuts_the_rim_off() -> None:
    g = Geometry.of_conv_transpose((1, 2, 2), (1, 1, 2, 2), padding=1)
    last = explain(g, [[0, 1], [2, 3]], [[4, 7], [2, 2]], views=["stamps"]).views[0].steps[-1]
    assert isinstance(last.document, Row)
    faint = [[cell.faint for cell in row] for row in tables(last.document, "so far")[-1].cells]
    assert faint == [[True] * 3, [True, False, True], [True] * 3]
    assert numbers(last.document, "z") == [[28]]


def test_zeros_go_between_and_around() -> None:
    g = Geometry.of_conv_transpose((1, 2), (1, 1, 2), stride=3)
    steps = explain(g, [5, 6], [1, 2], views=["zeros"]).views[0].steps
    assert numbers(steps[0].document, "spread") == [[5, 0, 0, 6]]
    assert numbers(steps[1].document, "padded") == [[0, 5, 0, 0, 6, 0]]
    assert numbers(steps[2].document, "flipped") == [[2, 1]]


def test_a_large_layer_is_explained_by_a_part_of_it() -> None:
    g = Geometry.of_conv_transpose((512, 512, 512), (512, 256, 16, 16), stride=8, padding=4)
    told = explain(g)
    assert told.agree
    assert told.note.startswith("This is a part of the layer, ")
    for text in (to_text(told), to_animation(frames(g))):
        assert len(text) < 3_000_000
    small = explain(Geometry.of_conv((1, 40), (1, 1, 4)), list(range(37)), [1, 2, 3, 4])
    assert not small.note
    assert any("more" in step.words for step in small.views[0].steps)


def test_numbers_of_a_large_layer_are_those_of_its_first_part() -> None:
    g = Geometry.of_conv_transpose((1, 400), (1, 1, 3), stride=2)
    told = explain(g, np.arange(400), [1, 10, 100])
    assert told.note
    assert told.views[0].result.tolist() == [[0, 0, 1, 10, 102, 20, 200]]
    with pytest.raises(GeometryError, match=r"y=array of shape \(3,\): the geometry asks for"):
        explain(g, [1, 2, 3])


def test_long_steps_and_many_axes_are_shortened_though_the_products_are_few() -> None:
    far = 10**6
    longs: list[dict[str, Any]] = [
        {"stride": far}, {"dilation": far}, {"padding": -far}, {"stride": 1200}, {"padding": -1200},
        {"stride": far, "dilation": far, "padding": -far},
    ]  # fmt: skip
    for steps in longs:
        told = explain(Geometry.of_conv_transpose((1, 2), (1, 1, 3), **steps))
        assert told.agree
        assert len(to_text(told)) < 10_000
        assert bool(told.note) == (max(map(abs, steps.values())) > 1200)
    for rank in (2, 3, 12):
        sizes = (9,) * rank
        told = explain(Geometry.of_conv_transpose((1, *sizes), (1, 1, *sizes), stride=300))
        assert told.agree
        assert len(to_text(told)) < 100_000


def test_arrays_without_elements_are_explained() -> None:
    g = Geometry.of_conv((0, 5), (1, 0, 3))
    assert explain(g).agree
    assert explain(g, w=np.zeros((1, 0, 3))).views[0].result.shape == (0, 5)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"views": ["stamp"]}, "views='stamp': the choices are stamps, zeros, matrix, polyphase; did"),
    ({"views": "stamps"}, "views='stamps': it must be a sequence of names; write a tuple"),
    ({"y": [1, np.nan, 2]}, "y=nan: some views multiply by zero, .*; give finite numbers"),
    ({"w": [np.inf, 2]}, "w=oo: some views multiply by zero"),
    ({"w": [True, False]}, "w=True: its entries must be numbers .*; write 1 for True"),
    ({"y": [1, 2]}, r"y=array of shape \(2,\): the geometry asks for \(1, 3\); reshape it"),
    ({"w": [["a", "b"]]}, r"w=array of shape \(1, 2\): the geometry asks for \(1, 1, 2\)"),
    ({"w": ["a", "b"]}, "w='a': its entries must be numbers or SymPy expressions; convert text"),
    ({"geometry": 5}, "geometry=int object: it must be a Geometry; make one"),
]


def test_what_cannot_be_explained_is_said() -> None:
    for change, message in REFUSED:
        with pytest.raises(GeometryError, match=message):
            explain(**{"geometry": SMALL, **change})


def test_the_moving_picture_has_a_frame_for_each_stamp() -> None:
    g = Geometry.of_conv_transpose((1, 2, 2), (1, 1, 2, 2), padding=1)
    told = explain(g, views=["stamps"])
    svg = to_animation(frames(g), seconds=2)
    shown = [e for e in ET.fromstring(svg).iter() if e.get("class") == "s"]
    assert len(shown) == len(told.views[0].steps) == 5
    assert "prefers-reduced-motion" in svg
    with pytest.raises(GeometryError, match="matrix, polyphase; did you mean 'stamps'"):
        frames(g, view="stamp")  # type: ignore[arg-type]


def test_a_page_and_a_notebook_show_every_step_and_nothing_but_words() -> None:
    """A symbol with a hostile name is escaped by every printer of markup."""
    told = explain(Geometry.of_conv((1, 2), (1, 1, 2)), [sympy.Symbol("<script>alert(1)</script>")])
    html, markdown = told._repr_html_(), told.to_markdown()
    assert json.dumps(markdown)
    for step in (step for seen in told.views for step in seen.steps):
        assert step.words in html
        assert step.words in markdown
    film = to_animation(frames(told.geometry, [sympy.Symbol("<script>alert(1)</script>")]))
    for text in (html, to_svg(told), film):
        assert "<script" not in text


# -- single pictures -------------------------------------------------------------------------------


def values(table: Any) -> Any:
    """The numbers of a table; 0 for a cell that is empty or holds a dot."""
    return np.array([[0 if cell.entry == "" else int(str(cell.entry)) for cell in row]
                     for row in table.cells])  # fmt: skip


@given(st.data())
def test_the_sheets_are_the_stamps_and_add_up_to_the_result(data: st.DataObject) -> None:
    """A sheet is the result for one element of y alone, and the last table is the whole result."""
    y, w = (
        np.array(data.draw(st.lists(st.integers(-9, 9), min_size=n, max_size=n), name))
        for n, name in ((4, "y"), (6, "w"))
    )
    steps: Any = {name: data.draw(st.integers(1, 3), name) for name in ("stride", "dilation")}
    padding = data.draw(st.integers(0, 1), "padding")
    y, w = y.reshape(1, 2, 2), w.reshape(1, 1, 2, 3)
    whole = Geometry.of_conv_transpose(y.shape, w.shape, **steps)
    given, stamps, end = stamp_sum(
        Geometry.of_conv_transpose(y.shape, w.shape, **steps, padding=padding), y, w
    ).parts
    assert [values(table).tolist() for table in given.parts] == [y[0].tolist(), w[0, 0].tolist()]
    sheets = [part for part in stamps.parts if part != "+"]
    assert [sheet.name for sheet in sheets] == [f"{n} w" for n in y.ravel()]
    expected = np.array(explain(whole, y, w, views=["zeros"]).views[0].result, int)
    for n, sheet in enumerate(sheets):
        alone = np.where(np.arange(4) == n, y.ravel(), 0).reshape(y.shape)
        result = np.array(explain(whole, alone, w, views=["zeros"]).views[0].result, int)
        assert values(sheet).tolist() == result[0].tolist()
    sums = [part for part in end.parts if isinstance(part, Table)]
    assert values(sums[0]).tolist() == expected[0].tolist()
    if padding:
        kept = expected[0, 1:-1, 1:-1]
        assert values(sums[1]).tolist() == kept.tolist()
        shown = [[not cell.faint for cell in row] for row in sums[0].cells]
        assert np.argwhere(shown).tolist() == (np.argwhere(kept == kept) + 1).tolist()
    else:
        assert len(sums) == 1


def test_the_columns_of_the_transpose_add_up_one_after_the_other() -> None:
    g = Geometry.of_conv_transpose((1, 3), (1, 1, 4), stride=2, padding=1)
    y, w = np.array([[1, 2, 3]]), np.array([[[1, 10, 100, 1000]]])
    *columns, last = (frame.parts[0] for frame in frames(g, y, w, view="matrix"))
    assert len(columns) == 3
    for n, frame in enumerate(columns):
        transpose, column, _, total = frame.parts
        alone = np.where(np.arange(3) <= n, y, 0)
        result = explain(g, alone, w, views=["polyphase"]).views[0].result
        assert values(total).ravel().tolist() == result.ravel().tolist()
        lit = [(row, m) for row, cells in enumerate(transpose.cells)
               for m, cell in enumerate(cells) if cell.tap is not None]  # fmt: skip
        assert {m for _, m in lit} == {n}
        touched = [row for row, (cell,) in enumerate(total.cells) if cell.tap is not None]
        assert touched == [row for row, _ in lit]
        assert [m for m, (cell,) in enumerate(column.cells) if cell.tap is not None] == [n]
    assert all(cell.tap is not None for row in last.parts[0].cells for cell in row if cell.entry)


def test_pictures_of_a_large_layer_show_its_first_part() -> None:
    g = Geometry.of_conv_transpose((1, 400), (1, 1, 3), stride=2)
    note, *_ = stamp_sum(g, np.arange(400), [1, 10, 100]).parts
    assert note.text == explain(g).note
    for view in VIEWS:
        assert len(frames(g, view=view)) < 20


@given(st.data())
def test_in_a_moving_picture_each_element_of_the_result_is_what_its_taps_write(
    data: st.DataObject,
) -> None:
    """In the frame of an element, taps and what lies under them multiply to its value."""
    steps: Any = {name: data.draw(st.integers(1, 3), name) for name in ("stride", "dilation")}
    padding = data.draw(st.integers(0, 1), "padding")
    y, w = np.array([[2, 3, 5]]), np.array([[[1, 10, 100]]])[..., : data.draw(st.integers(1, 3))]
    try:
        g = Geometry.of_conv_transpose(y.shape, w.shape, **steps, padding=padding)
    except GeometryError:
        assume(False)
    z = np.asarray(conv_transpose(y, w, **steps, padding=padding))[0].tolist()
    for view in ("zeros", "polyphase"):
        seen = dict[int, int]()
        for *above, table in (frame.parts for frame in frames(g, y, w, view=view, words=False)):
            if table.name != "z":
                continue
            done = {n: int(str(c.entry)) for n, c in enumerate(table.cells[-1]) if c.entry != ""}
            if len(new := done.keys() - seen.keys()) == 1:
                (j,) = new
                rows = [row for each in above for row in each.cells]
                taps = [
                    {c.tap: int(str(c.entry)) for c in row if c.tap is not None} for row in rows
                ]
                kernel, under = taps[-2:]
                assert sum(kernel[tap] * value for tap, value in under.items()) == done[j] == z[j]
                assert under.keys() <= kernel.keys()
            seen = done
        assert [seen[n] for n in range(len(z))] == z
