"""Every printer prints every document, the same each time, and nothing too large."""

from __future__ import annotations

import csv
import io
import itertools
import time
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import sympy
from hypothesis import given, settings

from tconvjax import Geometry, GeometryError, rendering, symbolic
from tconvjax.rendering import palette
from tests.strategies import ANY_MODE, Arguments, arguments

PRINTERS: dict[str, Callable[..., str]] = {
    "text": rendering.to_text, "latex": rendering.to_latex, "mathml": rendering.to_mathml,
    "html": rendering.to_html, "svg": rendering.to_svg,
}  # fmt: skip
G = Geometry.of_conv((1, 4, 4), (1, 1, 3, 3))
TABLE = rendering.conv_table(G)
DOCUMENTS: dict[str, Any] = {
    "words": rendering.Words("a < b & c", level=1),
    "matrix": TABLE,
    "array": rendering.array_table([[0, 1.5], [sympy.Symbol("w_0_1"), -2]], name="y"),
    "equation": rendering.Equation((sympy.Symbol("w_0") ** 2, "=", sympy.eye(2), "→", TABLE)),
    "sparsity": rendering.sparsity(Geometry.of_conv((1, 9, 9), (1, 1, 3, 3), stride=2)),
    "linked": rendering.links_picture(Geometry.of_conv((1, 5), (1, 1, 3), stride=2)),
    "beside": rendering.Beside((TABLE, "·", rendering.Words("and"))),
    "stack": rendering.stack([rendering.Words("one"), rendering.Stack((TABLE,))]),
}
EACH = pytest.mark.parametrize(
    ("printer", "document"),
    [pytest.param(PRINTERS[p], DOCUMENTS[d], id=f"{p}-{d}") for p in PRINTERS for d in DOCUMENTS],
)


@EACH
def test_every_printer_prints_every_document_the_same_each_time(
    printer: Any, document: Any
) -> None:
    text = printer(document)
    assert text == printer(document)
    assert text.strip()
    if printer in (rendering.to_mathml, rendering.to_svg):
        ET.fromstring(text)


@settings(max_examples=20)
@given(arguments(ranks=(1, 2), modes=ANY_MODE, most_groups=2))
def test_the_table_is_the_matrix(a: Arguments) -> None:
    """Worked out entry by entry, it is what is built from the links."""
    g, matrix = a.geometry, symbolic.conv_matrix(a.geometry)
    table = rendering.conv_table(g, most=1000)
    assert table.shape == (matrix.shape if matrix.rows else (0, 0))
    back = rendering.conv_table(g, transpose=True, most=1000)
    for row, column in itertools.product(range(matrix.rows), range(matrix.cols)):
        assert table.cells[row][column].entry == matrix[row, column]
        assert back.cells[column][row] == table.cells[row][column]


def test_lines_stand_between_blocks() -> None:
    assert (TABLE.row_cuts, TABLE.column_cuts) == ((2,), (4, 8, 12))
    channels = rendering.conv_table(Geometry.of_conv((2, 5), (3, 2, 2)))
    assert (channels.row_cuts, channels.column_cuts) == ((4, 8), (5,))
    assert rendering.conv_table(G, transpose=True).row_cuts == (4, 8, 12)
    line = rendering.to_text(TABLE).splitlines()
    assert line[0] == "⎡w00 w01 w02   · │ w10 w11 w12   · │ w20 w21 w22   · │   ·   ·   ·   ·⎤"
    assert line[2].count("┼") == 3
    assert rendering.to_latex(TABLE).count(r"\hline") == 1
    assert "cccc|cccc|cccc|cccc" in rendering.to_latex(TABLE)
    assert rendering.to_mathml(TABLE).count("border-left:2px solid #888") == 4 * 3
    assert rendering.to_html(TABLE, style=False).count("cut-left") == 4 * 3


def test_a_tap_has_one_colour_everywhere() -> None:
    svg = rendering.to_svg(rendering.links_picture(Geometry.of_conv((1, 5), (1, 1, 3), stride=2)))
    tied = [e.attrib["data-tap"] for e in ET.fromstring(svg).iter() if "data-tap" in e.attrib]
    assert sorted(tied) == sorted("012" * 3)  # two lines and one cell of the kernel each
    assert palette.colour(0, 9) != palette.colour(0, 8)
    latex = rendering.to_latex(TABLE)
    red, green, blue = palette.rgb(palette.colour(4, 9))
    assert latex.count(rf"\textcolor[RGB]{{{red},{green},{blue}}}{{w_{{1,1}}}}") == 4


def luminance(code: str) -> float:
    parts = np.array(palette.rgb(code)) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


@pytest.mark.parametrize("taps", [1, 2, 8, 9, 25, 49])
def test_every_colour_can_be_read_on_and_told_from_its_neighbours(taps: int) -> None:
    colours = [palette.colour(n, taps) for n in range(taps)]
    assert len(set(colours)) == taps
    for colour in colours:
        light, dark = sorted((luminance(colour), luminance(palette.ink(colour))), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG 2.2, level AA


def test_pointing_at_a_tap_lights_it_everywhere() -> None:
    html = rendering.to_html(TABLE)
    for tap in range(9):
        assert f'.tconv:has([data-tap="{tap}"]:hover) [data-tap="{tap}"]' in html
        assert html.count(f'data-tap="{tap}"') == 2 + 4  # the rule, and its cells
    assert 'title="w 0 0: output (0, 0, 0), input (0, 0, 0)"' in html
    assert "<script" not in html


@pytest.mark.parametrize("name", ["matrix", "sparsity", "linked"])
def test_every_picture_says_what_it_shows(name: str) -> None:
    document = DOCUMENTS[name]
    svg = ET.fromstring(rendering.to_svg(document))
    assert svg.get("role") == "img"
    assert svg.get("aria-label") == document.alt
    assert document.alt
    assert [e.text for e in svg if e.tag.endswith("title")] == [document.alt]
    assert rendering.to_svg(document, alt="other words").count("other words") == 2


def test_large_matrices_are_abbreviated_at_once() -> None:
    huge = Geometry.of_conv((64, 4096, 4096), (64, 64, 3, 3), padding=1)
    start = time.perf_counter()
    table = rendering.conv_table(huge)
    assert table.shape == (32, 32)
    for printer in PRINTERS.values():
        assert "⋯" in printer(table) or "cdots" in printer(table)
    assert time.perf_counter() - start < 10
    lines = rendering.to_text(table, width=60, height=9).splitlines()
    assert len(lines) == 9
    assert max(map(len, lines)) <= 60


def diagonal(size: int) -> rendering.Table:
    """A square table that is not abbreviated."""
    return rendering.conv_table(Geometry.of_conv((1, size), (1, 1, 1)), most=size)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: symbolic.conv_matrix(Geometry.of_conv((1, 2048, 2048), (1, 1, 3, 3))),
         "1000000 is the limit; look at a smaller input.*or take tconvjax.matrices"),
        (lambda: rendering.sparsity(Geometry.of_conv((1, 99, 99), (1, 1, 3, 3))),
         "a picture shows 20000; take a smaller input, or conv_table"),
        (lambda: rendering.links_picture(Geometry.of_conv((1, 99, 99), (1, 1, 3, 3))),
         "more than 400 products, which make no picture; take a smaller input"),
        (lambda: rendering.links_picture(Geometry.of_conv((2, 9), (1, 2, 3))),
         "links are drawn between arrays of one channel"),
        (lambda: rendering.to_latex(diagonal(70)),
         "LaTeX of more than 4096 entries shows nothing; take a smaller input"),
        (lambda: rendering.to_mathml(diagonal(70)),
         "LaTeX of more than 4096 entries"),
        (lambda: rendering.to_csv(sympy.SparseMatrix(3000, 3000, {})),
         "4000000 entries are the limit; save it sparse"),
        (lambda: rendering.to_svg(diagonal(180)),
         "a picture has 30000 at most; show less of it"),
        (lambda: rendering.to_animation([TABLE] * 999), "a picture has 30000 shapes at most"),
    ],
)  # fmt: skip
def test_what_would_not_fit_is_refused_within_a_second(ask: Any, message: str) -> None:
    start = time.perf_counter()
    with pytest.raises(GeometryError, match=message):
        ask()
    assert time.perf_counter() - start < 5


def test_csv_holds_every_entry() -> None:
    matrix = symbolic.conv_matrix(G)
    rows = list(csv.reader(io.StringIO(rendering.to_csv(matrix))))
    assert [len(row) for row in rows] == [16] * 4
    names = {str(symbol).replace("_", ""): symbol for symbol in matrix.free_symbols} | {"0": 0}
    assert sympy.Matrix([[names[cell.replace("w", "w")] for cell in row] for row in rows]) == matrix


def test_dots_show_where_a_matrix_is_not_zero() -> None:
    picture = rendering.sparsity(Geometry.of_conv((1, 6), (1, 1, 2)))
    assert [(r, c) for r, c, _ in picture.places] == [(n, n + k) for n in range(5) for k in (0, 1)]
    back = rendering.sparsity(Geometry.of_conv((1, 6), (1, 1, 2)), transpose=True)
    assert back.shape == picture.shape[::-1]
    text = rendering.to_text(picture)
    dots = sum(bin(ord(letter) - 0x2800).count("1") for letter in text if "⠀" <= letter <= "⣿")
    assert dots == 10
    assert "10 places" in text


def test_indexed_symbols_are_named_like_the_others() -> None:
    w = sympy.IndexedBase("w")
    row = rendering.matrix_table(sympy.Matrix([[w[0, 1], sympy.Symbol("w_0_1"), w[0, 10]]]))
    assert rendering.to_text(row) == "[  w01   w01 w0,10]"
    assert rendering.to_mathml(row).count("<msub>") == 3


def test_links_are_told_in_text() -> None:
    text = rendering.to_text(rendering.links_picture(Geometry.of_conv((1, 5), (1, 1, 3), stride=2)))
    assert text.splitlines()[-6:] == [
        "x0 to y0 by w0", "x1 to y0 by w1", "x2 to y0 by w2",
        "x2 to y1 by w0", "x3 to y1 by w1", "x4 to y1 by w2",
    ]  # fmt: skip


def test_wide_parts_go_one_below_the_other() -> None:
    beside = rendering.Beside((TABLE, "→", TABLE))
    assert max(map(len, rendering.to_text(beside, width=100).splitlines())) <= 100
    assert "→" in rendering.to_text(beside, width=100).splitlines()


@pytest.mark.parametrize(
    "value",
    [
        G,
        Geometry.of_conv((1, 40, 40), (1, 1, 3, 3)),
        Geometry.of_conv((64, 4096, 4096), (64, 64, 3, 3)),
        symbolic.ConvolutionMatrix.of_geometry(G),
        symbolic.ConvolutionMatrix.of(sympy.Symbol("n", integer=True, positive=True), 3),
    ],
    ids=["small", "dots", "huge", "matrix", "rule"],
)
def test_a_notebook_shows_a_geometry_and_its_matrix(value: Any) -> None:
    html, latex, svg = value._repr_html_(), value._repr_latex_(), value._repr_svg_()
    assert html.startswith('<div class="tconv">')
    assert latex.startswith("$\\displaystyle ")
    assert latex.endswith("$")
    assert ET.fromstring(svg).tag.endswith("svg")
    if isinstance(value, Geometry):
        assert "matrix of the convolution of" in html or "is not zero" in html
