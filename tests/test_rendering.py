"""Every printer prints every document, the same each time, and nothing too large."""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
import sympy
from hypothesis import given

from tconvjax import Geometry, GeometryError, matrices, rendering, symbolic, upsampling
from tconvjax.explaining import explain
from tconvjax.geometry import taps_between
from tconvjax.rendering import palette
from tconvjax.rendering.document import Sparsity
from tconvjax.rendering.text import label
from tests.strategies import ANY_MODE, Arguments, arguments

PRINTERS: dict[str, Callable[..., str]] = {
    "text": rendering.to_text, "latex": rendering.to_latex, "mathml": rendering.to_mathml,
    "html": rendering.to_html, "svg": rendering.to_svg,
}  # fmt: skip
G = Geometry.of_conv((1, 4, 4), (1, 1, 3, 3))
LINE = Geometry.of_conv((1, 5), (1, 1, 3), stride=2)
TABLE = rendering.conv_table(G)
DOCUMENTS: dict[str, Any] = {
    "words": rendering.Words("a < b & c", level=1),
    "matrix": TABLE,
    "heat": rendering.heat_table([[0, 1.5], [4, -2]], name="stamps"),
    "array": rendering.array_table([[0, 1.5], [sympy.Symbol("w_0_1"), -2]], name="y"),
    "equation": rendering.Row((sympy.Symbol("w_0") ** 2, "=", sympy.eye(2), "→", TABLE)),
    "sparsity": rendering.sparsity(Geometry.of_conv((1, 9, 9), (1, 1, 3, 3), stride=2)),
    "linked": rendering.links_picture(LINE),
    "phases": replace(TABLE, shows="phases"),
    "marks": replace(TABLE, shows="marks"),
    "beside": rendering.Row((TABLE, "·", rendering.Words("and"))),
    "stack": rendering.Stack([rendering.Words("one"), rendering.Stack((TABLE,))]),
}


@pytest.mark.parametrize("name", PRINTERS)
def test_every_printer_prints_every_document_the_same_each_time_and_nothing_else(name: str) -> None:
    printer = PRINTERS[name]
    assert DOCUMENTS["stack"].parts == (rendering.Words("one"), TABLE)
    for document in DOCUMENTS.values():
        text = printer(document)
        assert text == printer(document)
        assert text.strip()
        if name in ("mathml", "svg"):
            ET.fromstring(text)
    for value in (None, 5, "words", [TABLE]):
        with pytest.raises(GeometryError, match="it must be a document, a matrix, a Geometry"):
            printer(value)


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
    svg = rendering.to_svg(rendering.links_picture(LINE))
    tied = [e.attrib["data-tap"] for e in ET.fromstring(svg).iter() if "data-tap" in e.attrib]
    assert sorted(tied) == sorted("012" * 3)  # two lines and one cell of the kernel each
    assert palette.colour(0, 9) != palette.colour(0, 8)
    latex = rendering.to_latex(TABLE)
    red, green, blue = palette.rgb(palette.colour(4, 9))
    assert latex.count(rf"\textcolor[RGB]{{{red},{green},{blue}}}{{w_{{1,1}}}}") == 4


@pytest.mark.parametrize("shows", ["counts", "phases", "marks"])
def test_nothing_but_a_tap_has_a_colour(shows: palette.Shows) -> None:
    """An amount, a phase and a mark are seen all the same, in the colour of the text."""
    plain = replace(TABLE, cells=tuple(tuple(replace(c, tap=None) for c in r) for r in TABLE.cells))
    colours = [palette.colour(n, 9) for n in range(9)]
    for name in ("html", "svg", "mathml"):
        drawn = PRINTERS[name](replace(TABLE, shows=shows))
        assert all(colour in PRINTERS[name](TABLE) for colour in colours)
        assert re.findall(r"#[0-9a-f]{6}\b", drawn) == []
        assert drawn != PRINTERS[name](plain)
    assert r"\textcolor" not in rendering.to_latex(replace(TABLE, shows=shows))


def luminance(code: str) -> float:
    parts = np.array(palette.rgb(code)) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


def test_every_colour_can_be_read_on_and_told_from_its_neighbours() -> None:
    for taps in (1, 2, 8, 9, 25, 49):
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


def test_every_picture_says_what_it_shows() -> None:
    for name in ("matrix", "sparsity", "linked"):
        document = DOCUMENTS[name]
        svg = ET.fromstring(rendering.to_svg(document))
        assert svg.get("role") == "img"
        assert svg.get("aria-label") == document.alt
        assert document.alt
        assert [e.text for e in svg if e.tag.endswith("title")] == [document.alt]
        assert rendering.to_svg(document, alt="other words").count("other words") == 2


def test_what_is_large_is_abbreviated_and_only_what_is_shown_is_made() -> None:
    """As a whole, the first table has 2**60 cells."""
    huge = Geometry.of_conv((64, 4096, 4096), (64, 64, 3, 3), padding=1)
    table = rendering.conv_table(huge)
    assert table.shape == (32, 32)
    for printer in PRINTERS.values():
        assert "⋯" in printer(table) or "cdots" in printer(table)
    lines = rendering.to_text(table, width=60, height=9).splitlines()
    assert "".join(lines[9:]).startswith("(C, the 1073741824 x 1073741824 matrix of")
    assert max(map(len, lines)) <= 60
    wide = Geometry.of_conv((4096, 32, 32), (4096, 4096, 9, 9))
    assert rendering.conv_table(wide).taps == 4096 * 4096 * 81
    ones = np.broadcast_to(np.float32(1), wide.kernel_shape)
    assert rendering.conv_table(wide, ones).cells[0][0].entry == 1.0
    for make in (rendering.array_table, rendering.matrix_table):
        assert make(np.zeros((10**4, 10**4))).shape == (32, 32)
    dots = Sparsity((10**9, 10**9), ((10**9 - 1, 0, 0),), alt="huge")
    lines = rendering.to_text(dots, width=10**9, height=10**9).splitlines()
    assert len(lines) <= 251
    assert max(map(len, lines)) <= 250


@pytest.mark.parametrize("mode", ["circular", "reflect", "replicate"])
def test_a_sum_of_many_terms_is_abbreviated(mode: Any) -> None:
    g = Geometry.of_conv((1, 2), (1, 1, 70), padding=70, padding_mode=mode)
    shown = rendering.conv_table(g, most=100).cells
    for i, j in np.ndindex(g.out_size[0], 2):
        terms = [sympy.Symbol(f"w_{t}") for *_, t in taps_between(g, (0, i), (0, j))]
        entry = shown[i][j].entry
        assert entry == sympy.Add(*terms[:32], *terms[32:][-1:])
        if len(terms) > 32:
            ends = [str(term).replace("_", "") for term in (*terms[:3], terms[-1])]
            assert label(entry) == " + ".join([*ends[:3], "⋯", ends[3]])
    written = sympy.Matrix([[sympy.Add(*sympy.symbols("x:1000")), 1]])
    assert all(len(printer(written)) < 9000 for printer in PRINTERS.values())


def test_no_line_is_wider_than_asked() -> None:
    x = sympy.Symbol("x")
    beside = rendering.Row((TABLE, "→", TABLE))
    long = rendering.Row((x ** sympy.Symbol("a" * 99), "=", x, "and a word"))
    shown = [
        symbolic.conv_matrix(Geometry.of_conv((1, 30), (1, 1, 3))),
        sympy.Matrix(2, 3, lambda r, c: 10 ** (200 * r) + c),
        sympy.Matrix([[1, x + x**2 + 1, 3]]),
    ]
    for width in range(7, 40, 4):
        texts = [rendering.to_text(matrix, width=width) for matrix in shown]
        documents: list[Any] = [long, beside, *map(rendering.array_table, shown)]
        texts += [rendering.to_text(document, width=width) for document in documents]
        assert max(len(line) for text in texts for line in text.splitlines()) <= width
    # Parts that are too wide go one below the other; so they do in a picture.
    assert "→" in rendering.to_text(beside, width=100).splitlines()
    table = rendering.array_table(range(400), most=400)
    picture = ET.fromstring(rendering.to_svg(rendering.Row((table, "=", table))))
    assert int(picture.get("width") or 0) <= 20_020


# -- what is refused -------------------------------------------------------------------------------

ONE = rendering.array_table([[1]])


def test_a_picture_is_as_wide_as_its_chinese_words() -> None:
    """A Chinese letter is twice as wide as a Latin one, in a line and where a line is broken."""

    def drawn(text: str) -> ET.Element:
        return ET.fromstring(rendering.to_svg(rendering.Words(text)))

    pictures = [drawn(text) for text in ("卷积核" * 10, "kernel" * 10)]
    assert [picture.get("width") for picture in pictures] == [str(60 * 8 + 20)] * 2
    long, latin = (drawn(text) for text in ("卷积核" * 40, "kernel " * 40))
    lines = ["".join(text.itertext()) for text in long.iterfind(".//{*}text")]
    assert "".join(lines) == "卷积核" * 40
    assert max(map(len, lines)) <= 46
    assert int(long.get("width", "0")) <= 92 * 8 + 20
    assert len(list(latin.iterfind(".//{*}text"))) > 2


@pytest.mark.parametrize("reader", [rendering.matrix_table, rendering.to_csv])
def test_a_matrix_has_two_sizes_that_are_numbers(reader: Any) -> None:
    n = sympy.Symbol("n", integer=True, positive=True)
    for matrix in (sympy.MatrixSymbol("A", n, n), symbolic.ConvolutionMatrix.of(n, 3)):
        with pytest.raises(GeometryError, match="its sizes must be numbers; substitute numbers"):
            reader(matrix)
    for value in ([[1]], None, np.ones(3), np.ones((2, 2, 2)), jnp.ones(3)):
        with pytest.raises(GeometryError, match="it must have a shape of two sizes; give a SymPy"):
            reader(value)
    assert reader(np.eye(2)) == reader(jnp.eye(2, dtype=np.float64))


def diagonal(size: int) -> rendering.Table:
    """A square table that is not abbreviated."""
    return rendering.conv_table(Geometry.of_conv((1, size), (1, 1, 1)), most=size)


LONG, WIDE = Geometry.of_conv((1, 10**6), (1, 1, 3)), Geometry.of_conv((1, 99, 99), (1, 1, 3, 3))
FEW = Geometry.of_conv((1, 10**5), (1, 1, 1), stride=10**4)
REFUSED: list[tuple[Callable[[], Any], str]] = [
    *((lambda v=v: rendering.conv_table(G, most=v), "at least 3; give 3|whole number")
      for v in (None, 2, 3.0, True, "80")),
    (lambda: rendering.to_text(TABLE, width=6), "width=6.*at least 7; give 7 or"),
    (lambda: rendering.to_text(TABLE, height=0), "height=0.*at least 1; give 1 or"),
    *((lambda v=v: rendering.to_animation([ONE], seconds=v), "above 0; give one such as 1.2")
      for v in (None, 0, -2.5, float("nan"), True)),
    (lambda: rendering.to_animation(ONE), "one document or more; give a list of documents"),  # type: ignore[arg-type]
    (lambda: rendering.array_table([[1], [2, 3]]), "as many elements as the first; fill them"),
    (lambda: rendering.array_table(np.ones((2, 2, 2))), "or one slice of it"),
    (lambda: rendering.Words("x", 99), "level=99: it must be 0 to 4"),
    (lambda: rendering.Words(5), "text=5: it must be text"),  # type: ignore[arg-type]
    (lambda: rendering.Table(((ONE.cells[0][0],), ())), "as many Cells as the first, 1"),
    (lambda: rendering.conv_table(G, [[[1], [1, 2]]]), "the geometry asks for"),
    (lambda: rendering.heat_table([1.0, np.inf]), "needs finite numbers; replace"),
    (lambda: rendering.heat_table([sympy.Symbol("w")]), "needs real numbers; give an array of"),
    (lambda: rendering.Table((), shows="shades"), "are taps, counts, phases, marks; use"),  # type: ignore[arg-type]
    # What would not fit.
    (lambda: rendering.sparsity(WIDE), "non-zero entries, and 20000 is the limit; look at"),
    (lambda: rendering.links_picture(WIDE), "products or elements, and 400 is the limit; look"),
    (lambda: rendering.links_picture(FEW), "100000 products or elements, and 400 is the limit"),
    (lambda: rendering.links_picture(Geometry.of_conv((2, 9), (1, 2, 3))), "of one channel"),
    (lambda: rendering.to_svg(diagonal(180)), "a picture has at most 30000 shapes; show"),
    (lambda: rendering.to_svg(Sparsity((10**9, 10**9), ())), "at most 20000 x 100000"),
    (lambda: rendering.to_svg(rendering.array_table(range(999), most=999)), "at most 20000 x"),
    (lambda: rendering.to_animation([TABLE] * 999), "a picture has at most 30000 shapes"),
    (lambda: rendering.conv_table(LONG, most=3000), "a table has at most 65536 cells; give a sma"),
    (lambda: rendering.to_csv(sympy.SparseMatrix(3000, 3000, {})), "4000000 entries, or"),
    (lambda: rendering.to_csv(sympy.ones(501, 501)), "250000 expressions that are not"),
]  # fmt: skip


def test_what_is_wrong_or_would_not_fit_is_refused() -> None:
    for ask, message in REFUSED:
        with pytest.raises(GeometryError, match=message):
            ask()


# -- CSV -------------------------------------------------------------------------------------------


def test_csv_holds_every_digit() -> None:
    """What NumPy reads is what was written."""
    wide = np.array([[1 / 3, 123456789.123456789, 12345678912345678.0], [0, -5e-324, 1e308]])
    narrow = np.array([[1 / 3, 123456789.123456789, 1e16], [0, -1e-45, 3.4e38]], np.float32)
    fractions = sympy.Matrix(2, 3, [sympy.Rational(number) for number in wide.flat])
    written: list[tuple[Any, Any]] = [
        (wide, wide), (sympy.Matrix(wide), wide), (scipy.sparse.csr_array(wide), wide),
        (fractions, wide), (narrow, narrow),
    ]  # fmt: skip
    for matrix, wanted in written:
        text = io.StringIO(rendering.to_csv(matrix))
        np.testing.assert_array_equal(np.loadtxt(text, wanted.dtype, delimiter=","), wanted)


NUMBERS: list[tuple[Any, str]] = [
    (sympy.Rational(1, 3), "0.3333333333333333"),
    (sympy.Rational(-1, 8), "-0.125"),
    (sympy.oo, "inf"),
    (1 + sympy.I / 2, "1+0.5j"),
    (sympy.Symbol("x") / 3 + 0.1234567890123456, "x/3 + 0.123456789012346"),
]


def test_csv_writes_a_number_so_that_it_loads() -> None:
    written = rendering.to_csv(sympy.Matrix([entry for entry, _ in NUMBERS]))
    assert written.splitlines() == [number for _, number in NUMBERS]


def test_csv_reads_the_matrices_of_other_libraries() -> None:
    geometry, kernel = Geometry.of_conv((1, 3), (1, 1, 2)), np.array([[[0.1, 2]]], np.float32)
    for name in ("csr", "bcoo", "dense"):
        matrix = matrices.conv_matrix(geometry, kernel, name)
        assert rendering.to_csv(matrix) == "0.1,2.0,0\n0,0.1,2.0\n"
        assert rendering.to_text(matrix).count("0.1") == 2
        assert rendering.to_latex(matrix).count("0.1") == 2
    for row in ([True, False], [sympy.true, sympy.false], [1, 0.0]):
        assert rendering.to_csv(np.array([row], object)) == "1,0\n"


def test_dots_show_where_a_matrix_is_not_zero() -> None:
    line = Geometry.of_conv((1, 6), (1, 1, 2))
    picture, back = rendering.sparsity(line), rendering.sparsity(line, transpose=True)
    assert [(r, c) for r, c, _ in picture.places] == [(n, n + k) for n in range(5) for k in (0, 1)]
    assert back.shape == picture.shape[::-1]
    text = rendering.to_text(picture)
    assert sum((ord(letter) - 0x2800).bit_count() for letter in text if "⠀" <= letter <= "⣿") == 10
    assert "10 places" in text


def test_indexed_symbols_are_named_like_the_others() -> None:
    w = sympy.IndexedBase("w")
    row = rendering.matrix_table(sympy.Matrix([[w[0, 1], sympy.Symbol("w_0_1"), w[0, 10]]]))
    assert rendering.to_text(row) == "[  w01   w01 w0,10]"
    assert rendering.to_mathml(row).count("<msub>") == 3


def test_a_shade_says_how_much() -> None:
    rng = np.random.default_rng(0)
    for values in (rng.integers(0, 9, (3, 5)), rng.normal(size=(40, 50)), np.zeros((2, 2))):
        cells = itertools.chain(*rendering.heat_table(values).cells)
        seen = sorted((float(cell.entry), cell.tap) for cell in cells if cell.tap is not None)
        assert len(seen) == min(values.shape[0], 31) * min(values.shape[1], 31)
        low, high = min(0, values.min()), max(0, values.max())
        for amount, tap in seen:  # equal steps of the amount are equal steps of the shade
            assert abs(tap - 63 * (amount - low) / (high - low or 1)) <= 0.5
    assert rendering.heat_table([1, 2]).alt == "an array, 1 x 2: from 1 to 2"


def test_links_are_told_in_text() -> None:
    assert rendering.to_text(rendering.links_picture(LINE)).splitlines()[-6:] == [
        "x0 to y0 by w0", "x1 to y0 by w1", "x2 to y0 by w2",
        "x2 to y1 by w0", "x3 to y1 by w1", "x4 to y1 by w2",
    ]  # fmt: skip


N = sympy.Symbol("n", integer=True, positive=True)
SEEN: dict[str, Any] = {
    "geometry": LINE, "wide": WIDE, "huge": Geometry.of_conv((64, 4096, 4096), (64, 64, 3, 3)),
    "copies": Geometry.of_conv((1, 2), (1, 1, 999), padding=999, padding_mode="circular"),
    "lazy": symbolic.ConvolutionMatrix.of_geometry(LINE), "blocks": symbolic.blocks(G),
    "rule": symbolic.ConvolutionMatrix.of(N, 3), "derivation": symbolic.derivation(LINE),
    "terms": symbolic.kronecker_form(G), "phases": symbolic.polyphase(LINE),
    "explanation": explain(LINE), "checkerboard": upsampling.checkerboard(LINE), "table": TABLE,
}  # fmt: skip


@pytest.mark.parametrize("name", SEEN)
def test_whatever_a_notebook_is_given_shows_itself(name: str) -> None:
    value = SEEN[name]
    html, latex, svg = value._repr_html_(), value._repr_latex_(), value._repr_svg_()
    assert html.startswith('<div class="tconv">')
    assert latex.startswith("$\\displaystyle ")
    assert latex.endswith("$")
    assert ET.fromstring(svg).tag.endswith("svg")
    assert len(repr(value)) < 6000
    assert "piecewise" not in (html + svg + rendering.to_text(value)).lower()
    for printer in PRINTERS.values():
        assert printer(value).strip()


def test_a_matrix_is_printed_with_the_colours_of_its_table() -> None:
    for geometry in (G, LINE, Geometry.of_conv((2, 5), (3, 2, 2))):
        table: Any = rendering.as_document(symbolic.conv_matrix(geometry))
        for shown, cells in zip(table.cells, rendering.conv_table(geometry).cells, strict=True):
            assert [cell.tap for cell in shown] == [cell.tap for cell in cells]
    for matrix in (np.eye(2), jnp.eye(2), scipy.sparse.eye_array(2).tocsr(), sympy.eye(2)):
        assert rendering.to_text(matrix) == "⎡1 ·⎤\n⎣· 1⎦"


def test_a_cut_matrix_shows_columns_that_are_not_empty_and_its_size() -> None:
    for stride, padding, dilation in itertools.product((9, 13, 19), (-3, 0, 2), (1, 3)):
        g = Geometry.of_conv((1, 60), (1, 1, 3), stride=stride, padding=padding, dilation=dilation)
        matrix = symbolic.conv_matrix(g)
        for table in (rendering.conv_table(g, most=9), rendering.matrix_table(matrix, most=9)):
            for column in [*zip(*table.cells, strict=True)][1:-1]:
                assert any(cell.entry not in (0, "⋯") for cell in column) or column[0].entry == "⋯"
        for shown in (table, matrix):
            lines = rendering.to_text(shown, width=40).splitlines()
            assert lines[-1] == f"(a matrix of shape {matrix.rows} x 60)"


def test_a_notebook_keeps_the_letter_of_a_kernel() -> None:
    shown = symbolic.ConvolutionMatrix.of(5, 3, kernel="h")
    printed = shown._repr_latex_() + shown._repr_html_() + shown._repr_svg_()
    assert all(cell in printed for cell in ("h_{0}", "<mi>h</mi>", ">h0</text>", "h 0: output"))
    assert not re.search(r"w_|<mi>w|>w0|w 0: output", printed)
