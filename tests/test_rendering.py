"""Every printer prints every document, the same each time, and nothing too large."""

from __future__ import annotations

import csv
import io
import itertools
import time
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
import sympy
from hypothesis import given, settings

from tconvjax import Geometry, GeometryError, matrices, rendering, symbolic
from tconvjax.rendering import entries, palette
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
    "heat": rendering.heat_table([[0, 1.5], [4, -2]], name="stamps"),
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
    start = time.process_time()
    table = rendering.conv_table(huge)
    assert table.shape == (32, 32)
    for printer in PRINTERS.values():
        assert "⋯" in printer(table) or "cdots" in printer(table)
    assert time.process_time() - start < 10
    lines = rendering.to_text(table, width=60, height=9).splitlines()
    assert len(lines) == 9
    assert max(map(len, lines)) <= 60


@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
@pytest.mark.parametrize("taps", [300, 10**6])
def test_large_entries_are_abbreviated_at_once(mode: Any, taps: int) -> None:
    """A border can bring a million taps to one input element."""
    start = time.process_time()
    table = rendering.conv_table(
        Geometry.of_conv((1, 2), (1, 1, taps), padding=taps, padding_mode=mode)
    )
    for printer in PRINTERS.values():
        assert len(printer(table)) < 100_000
    width = ET.fromstring(rendering.to_svg(table)).get("width")
    assert int(width or 0) <= 20_020
    assert f" + ⋯ + w{taps - 1}" in rendering.to_text(table)
    assert time.process_time() - start < 10


def test_a_sum_of_many_terms_is_abbreviated() -> None:
    terms = sympy.symbols("x:1000")
    table = rendering.matrix_table(sympy.Matrix([[sympy.Add(*terms), 1]]))
    assert rendering.to_text(table).count(" + ") == 4
    assert rendering.to_latex(table).count(r" + \cdots + ") == 1
    for printer in PRINTERS.values():
        assert len(printer(table)) < 3000


@pytest.mark.parametrize("kernel", [None, "numbers"])
def test_wide_channels_cost_nothing(kernel: str | None) -> None:
    """Only the symbols that are shown are made; all of them took half a minute."""
    geometry = Geometry.of_conv((512, 32, 32), (512, 512, 3, 3))
    numbers = None if kernel is None else np.ones(geometry.kernel_shape)
    start = time.process_time()
    assert rendering.conv_table(geometry, numbers).taps == 512 * 512 * 9
    assert time.process_time() - start < 15


@settings(max_examples=50)
@given(arguments(ranks=(1, 2), modes=ANY_MODE, most_groups=2))
def test_the_taps_of_an_entry_are_those_of_the_geometry(a: Arguments) -> None:
    g = a.geometry
    outputs, sources = symbolic.names.places(g.out_shape), symbolic.names.places(g.in_shape)
    for output, source in itertools.product(outputs, sources):
        found, wanted = entries.met(g, output, source), g.taps_between(output, source)
        assert found.size == len(wanted)
        assert wanted[: len(found.first)] == found.first
        assert len(found.first) == min(found.size, 3 if found.size > 32 else 32)
        assert found.last == (wanted[-1:] if found.size > 32 else ())


@pytest.mark.parametrize("width", range(7, 40))
def test_no_line_is_wider_than_asked(width: int) -> None:
    x = sympy.Symbol("x")
    for matrix in (symbolic.conv_matrix(Geometry.of_conv((1, 30), (1, 1, 3))),
                   sympy.Matrix(2, 3, lambda r, c: 10 ** (200 * r) + c),
                   sympy.Matrix([[1, x + x**2 + 1, 3]])):  # fmt: skip
        matrix_lines = rendering.matrix_text(matrix, width=width).splitlines()
        array = rendering.to_text(rendering.array_table(matrix), width=width).splitlines()
        assert max(map(len, matrix_lines + array)) <= width
    long = rendering.Equation((x ** sympy.Symbol("a" * 99), "=", x, "and a word"))
    assert max(map(len, rendering.to_text(long, width=width).splitlines())) <= width


NO_DOCUMENTS = (None, 5, "words", G, symbolic.ConvolutionMatrix.of(5, 3), [TABLE])
ONE = rendering.array_table([[1]])


@pytest.mark.parametrize("printer", PRINTERS)
def test_a_printer_prints_documents_only(printer: str) -> None:
    for value in NO_DOCUMENTS:
        with pytest.raises(GeometryError, match="it must be a document of tconvjax"):
            PRINTERS[printer](value)


@pytest.mark.parametrize(
    "reader",
    [rendering.matrix_text, rendering.matrix_table, rendering.matrix_latex, rendering.to_csv],
)
def test_a_matrix_has_two_sizes_that_are_numbers(reader: Any) -> None:
    n = sympy.Symbol("n", integer=True, positive=True)
    for matrix in (sympy.MatrixSymbol("A", n, n), symbolic.ConvolutionMatrix.of(n, 3)):
        with pytest.raises(GeometryError, match="its sizes must be numbers; put numbers in their"):
            reader(matrix)
    for value in ([[1]], None, 5, np.ones(3), np.ones((2, 2, 2)), jnp.ones(3)):
        with pytest.raises(GeometryError, match="it must have a shape of two sizes; give a matrix"):
            reader(value)
    assert reader(np.eye(2)) == reader(jnp.eye(2, dtype=np.float64))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda v: rendering.conv_table(v), "it must be a Geometry; make one with"),
        (lambda v: rendering.sparsity(v), "it must be a Geometry; make one with"),
        (lambda v: rendering.links_picture(v), "it must be a Geometry; make one with"),
        (lambda v: rendering.conv_table(G, most=v), "at least 3; give an int"),
        (lambda v: rendering.array_table([1], most=v), "at least 3; give an int"),
        (lambda v: rendering.matrix_table(sympy.eye(2), most=v), "at least 3; give an int"),
        (lambda v: rendering.to_text(TABLE, width=v), "width=.*at least 7; give an int"),
        (lambda v: rendering.to_text(TABLE, height=v), "height=.*at least 1; give an int"),
        (lambda v: rendering.matrix_text(sympy.eye(2), width=v), "at least 7; give an int"),
        (lambda v: rendering.to_animation(v), "one document or more; give a list of documents"),
        (lambda v: rendering.to_animation([ONE], seconds=v), "above 0; give one such as 1.2"),
        (lambda v: rendering.array_table(v), "an array of one or two axes; give nested lists"),
        (lambda v: rendering.heat_table([1], most=v), "at least 3; give an int"),
        (lambda v: rendering.heat_table(v), "one or two axes; take one|wants (real|finite)"),
    ],
)
@pytest.mark.parametrize("value", [None, 0, -2.5, float("nan"), "80", True])
def test_what_is_given_is_checked(ask: Any, message: str, value: Any) -> None:
    with pytest.raises(GeometryError, match=message):
        ask(value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: rendering.array_table([[1], [2, 3]]), "as many elements as the first; give them"),
        (lambda: rendering.array_table(np.ones((2, 2, 2))), "or take one slice of it"),
        (lambda: rendering.to_animation([]), "give a list of documents"),
        (lambda: rendering.Linked((), ()), "links tie the first to the last; give two or more"),
        (lambda: rendering.Linked((ONE, ONE), (rendering.Link((0, 0, 0), (5, 0, 0)),)), "count"),
        (lambda: rendering.Linked((ONE, ONE), (rendering.Link((0, 0, 7), (1, 0, 0)),)), "count"),
        (lambda: rendering.Sparsity((2, 2), ((5, 5, 0),)), "has 2 rows and 2 columns; count them"),
        (lambda: rendering.Words("x", 99), "level=99: it must be 0 to 4"),
        (lambda: rendering.Words(5), "text=5: it must be text"),  # type: ignore[arg-type]
        (lambda: rendering.array_table([1], name=5), "name=5: it must be text"),  # type: ignore[arg-type]
        (lambda: rendering.Table(((ONE.cells[0][0],), ())), "as many Cells as the first, 1"),
        (lambda: rendering.conv_table(G, [[[1], [1, 2]]]), "the geometry asks for"),
        (lambda: rendering.conv_table(G, [1, 2]), "the geometry asks for"),
    ],
)  # fmt: skip
def test_a_document_is_checked_where_it_is_made(make: Any, message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        make()


def test_only_what_is_shown_is_read() -> None:
    start = time.process_time()
    assert rendering.array_table(np.zeros((10**4, 10**4))).shape == (32, 32)
    assert time.process_time() - start < 1


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
        (lambda: rendering.conv_table(Geometry.of_conv((1, 10**6), (1, 1, 3)), most=3000),
         "a table has at most 65536 cells; give a smaller one"),
        (lambda: rendering.conv_table(Geometry.of_conv((1, 10**6), (1, 1, 3)), most=10**6),
         "a table has at most 65536 cells; give a smaller one"),
        (lambda: rendering.to_svg(rendering.Sparsity((10**9, 10**9), ())),
         "a picture has 20000 x 100000 at most; show less of it"),
        (lambda: rendering.to_svg(rendering.array_table(range(1000), most=1000)),
         "a picture has 20000 x 100000 at most; show less of it"),
        (lambda: rendering.links_picture(Geometry.of_conv((1, 10**9), (1, 1, 3))),
         "more than 400 products, which make no picture; take a smaller input"),
        (lambda: rendering.links_picture(Geometry.of_conv((1, 10**5), (1, 1, 1), stride=10**4)),
         "an array in the picture has up to 1000 elements; take a smaller input"),
        (lambda: rendering.to_csv(sympy.ones(600, 600)), "250000 entries of SymPy's"),
        (lambda: rendering.to_csv(sympy.Matrix([[sympy.Integer(10) ** 5000]])),
         "1000 digits are the limit; make it a float"),
    ],
)  # fmt: skip
def test_what_would_not_fit_is_refused_within_a_second(ask: Any, message: str) -> None:
    start = time.process_time()
    with pytest.raises(GeometryError, match=message):
        ask()
    assert time.process_time() - start < 5


def test_csv_holds_every_entry() -> None:
    matrix = symbolic.conv_matrix(G)
    rows = list(csv.reader(io.StringIO(rendering.to_csv(matrix))))
    assert [len(row) for row in rows] == [16] * 4
    names = {str(symbol).replace("_", ""): symbol for symbol in matrix.free_symbols} | {"0": 0}
    assert sympy.Matrix([[names[cell.replace("w", "w")] for cell in row] for row in rows]) == matrix


@pytest.mark.parametrize("form", ["float64", "float32", "SymPy", "csr", "fractions"])
def test_csv_holds_every_digit(form: str) -> None:
    """What NumPy reads is what was written."""
    numbers = [[1 / 3, 123456789.123456789, 12345678912345678.0], [0, -5e-324, 1e308]]
    if form == "float32":
        numbers[1] = [0, -1e-45, 3.4e38]
    wanted = np.array(numbers, np.float32 if form == "float32" else np.float64)
    matrix: Any = {"SymPy": sympy.Matrix(numbers), "csr": scipy.sparse.csr_array(wanted)}.get(
        form, wanted
    )
    if form == "fractions":
        matrix = sympy.Matrix(2, 3, [sympy.Rational(number) for number in wanted.flat])
    text = rendering.to_csv(matrix)
    np.testing.assert_array_equal(np.loadtxt(io.StringIO(text), delimiter=",", dtype=wanted.dtype),
                                  wanted)  # fmt: skip


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        (sympy.Rational(1, 3), "0.3333333333333333"),
        (sympy.Rational(-1, 8), "-0.125"),
        (sympy.Rational(123456789, 10**9), "0.123456789"),
        (sympy.Rational(10**400, 7), str(10**400 // 7)),
        (sympy.Integer(10) ** 999, str(10**999)),
        (sympy.Float(2, 30) ** -100, "7.88860905221011805411728565282786e-31"),
        (sympy.oo, "inf"),
        (sympy.nan, "nan"),
        (1 + sympy.I / 2, "1+0.5j"),
        (sympy.Symbol("x") / 3 + 0.1234567890123456, "x/3 + 0.1234567890123456"),
        (sympy.Float(-0.5) ** sympy.Symbol("x"), "(-0.5)**x"),
    ],
)
def test_csv_writes_a_number_so_that_it_loads(entry: Any, text: str) -> None:
    assert rendering.to_csv(sympy.Matrix([[entry, 0]])) == f"{text},0\n"


def test_csv_reads_the_matrices_of_other_libraries() -> None:
    geometry, kernel = Geometry.of_conv((1, 3), (1, 1, 2)), np.array([[[0.1, 2]]], np.float32)
    wanted = "0.1,2.0,0\n0,0.1,2.0\n"
    names: tuple[Any, ...] = ("csr", "bcoo", "dense")
    for name in names:
        matrix = matrices.conv_matrix(geometry, kernel, name)
        assert rendering.to_csv(matrix) == wanted
        assert rendering.matrix_text(matrix).count("0.1") == 2
        assert rendering.matrix_latex(matrix).count("0.1") == 2
    assert rendering.to_csv(np.array([[True, False]])) == "1,0\n"
    assert rendering.to_csv(np.array([[sympy.true, sympy.false]], object)) == "1,0\n"
    assert rendering.to_csv(np.array([[1 + 2j, 0]])) == "1.0+2.0j,0\n"


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


def test_a_shade_says_how_much() -> None:
    rng = np.random.default_rng(0)
    for values in (rng.integers(0, 9, (3, 5)), rng.normal(size=(40, 50)), np.zeros((2, 2))):
        table = rendering.heat_table(values)
        seen = [
            (float(cell.entry), cell.tap)
            for row in table.cells for cell in row if cell.tap is not None
        ]  # fmt: skip
        assert len(seen) == min(values.shape[0], 31) * min(values.shape[1], 31)
        ordered = [tap for _, tap in sorted(seen)]
        assert ordered == sorted(ordered)
        for amount, tap in seen:  # equal steps of the amount are equal steps of the shade
            low = min(0, values.min())
            share = (amount - low) / (max(values.max(), 0) - low or 1)
            assert abs(tap - 63 * share) <= 0.5
    assert rendering.heat_table([1, 2]).alt == "an array, 1 x 2: from 1 to 2"
    with pytest.raises(GeometryError, match="wants finite numbers; give them without"):
        rendering.heat_table([1.0, np.inf])
    with pytest.raises(GeometryError, match="wants real numbers; give an array of numbers"):
        rendering.heat_table([sympy.Symbol("w")])


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


def test_a_notebook_keeps_the_letter_of_a_kernel() -> None:
    matrix = symbolic.ConvolutionMatrix.of(5, 3, kernel="h")
    assert "h_{0}" in matrix._repr_latex_()
    assert "w" not in matrix._repr_latex_()
    assert ">h<" in matrix._repr_html_()
    assert "h 0: output" in matrix._repr_html_()


def test_parts_of_a_picture_go_one_below_the_other_where_they_are_wide() -> None:
    table = rendering.array_table(range(400), most=400)
    picture = ET.fromstring(rendering.to_svg(rendering.Beside((table, "=", table))))
    assert int(picture.get("width") or 0) <= 20_020


def test_a_picture_in_letters_has_a_bound() -> None:
    huge = rendering.Sparsity((10**9, 10**9), ((10**9 - 1, 0, 0),), alt="huge")
    lines = rendering.to_text(huge, width=10**9, height=10**9).splitlines()
    assert len(lines) <= 251
    assert max(map(len, lines)) <= 250
