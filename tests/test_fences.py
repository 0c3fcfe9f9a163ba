"""Fences in Markdown: every view in every format, and a word with its line for what is wrong."""

from __future__ import annotations

import itertools
import re
from typing import Any
from xml.etree import ElementTree as ET

import markdown
import numpy as np
import pytest
import tex
from hypothesis import given
from hypothesis import strategies as st
from pymdownx.superfences import SuperFencesException

import tconvjax as tc
from tconvjax.errors import GeometryError
from tconvjax.rendering import Table
from tconvjax.site import fence as fences
from tconvjax.site.fence import shown
from tconvjax.site.reading import FORMATS, VIEWS, read

BODIES = {
    "matrix": "in_size: 4x4\nkernel: 3x3",
    "transpose": "in_size: 5\nkernel: 3\nstride: 2\nw: 1,-2,1/3",
    "product": "out_size: 2x2\nkernel: 2\ny: 0,1,2,3\nw: 4,7,2,2",
    "sparsity": "in_size: 12x12\nkernel: 3\ntransposed: yes",
    "stamps": "out_size: 2x2\nkernel: 2\ny: 0,1,2,3\nw: 4,7,2,2",
    "sum": "out_size: 2x2\nkernel: 2\npadding: 1\ny: 0,1,2,3\nw: 4,7,2,2",
    "zeros": "out_size: 2\nkernel: 3\nstride: 2\npadding: 1\nwords: no",
    "polyphase": "out_size: 3\nkernel: 4\nstride: 2",
    "links": "in_size: 5\nkernel: 3\nstride: 2",
    "sizes": "out_size: 4\nkernel: 3\nstride: 2\npadding: 1\noutput_padding: 1",
    "overlap": "out_size: 5x5\nkernel: 3\nstride: 2",
    "derivation": "in_size: 4\nkernel: 3",
}
CONFIG: dict[str, Any] = {
    "pymdownx.superfences": {
        "custom_fences": [{"name": "tconv", "class": "tconv", "format": fences.format}]
    }
}


def page(text: str) -> str:
    extensions: Any = ["tconvjax.site.fence", tex.Formulas(), "pymdownx.superfences", "toc",
                       "md_in_html", "attr_list"]  # fmt: skip
    return markdown.markdown(text, extensions=extensions, extension_configs=CONFIG)


def fence(view: str, body: str = "", *more: str) -> str:
    return "\n".join(["```tconv", f"view: {view}", body or BODIES[view], *more, "```"])


def elements(html: str) -> ET.Element:
    """The page as XML, which every figure is."""
    return ET.fromstring(f"<body>{html}</body>")


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("view", BODIES)
def test_every_view_is_shown_in_every_format(view: str, form: str) -> None:
    if form == "animation" and view not in ("stamps", "zeros", "product", "polyphase"):
        with pytest.raises(SuperFencesException, match="can be animated; take one of these, or"):
            page(fence(view, "", f"format: {form}"))
        return
    text = f"# Title\n\n{fence(view, '', f'format: {form}', 'caption: a < b & c')}\n\nafter"
    html = page(text)
    root = elements(html)
    (figure,) = root.iter("figure")
    assert figure.find("figcaption").text == "a < b & c"  # type: ignore[union-attr]
    inside = {"html": "div", "text": "pre", "mathml": "{*}math"}.get(form, "{*}svg")
    assert figure.find(inside) is not None
    assert html.count("<style>.tconv-figure") == 1
    assert "```" not in html
    assert page(text) == html


def test_what_moves_has_a_frame_for_each_step_and_holds_the_last() -> None:
    long = f"out_size: 12\nkernel: 2\ny: {','.join(['1'] * 12)}"
    line = "out_size: 3\nkernel: 4\nstride: 2"
    for view, steps, body in (
        ("stamps", 4, ""), ("product", 5, ""), ("stamps", 8, long),
        ("zeros", 5 + 8, line), ("polyphase", 8 + 1, line),
    ):  # fmt: skip
        for words in ("yes", "no"):
            more = ("words: " + words, "format: animation")
            svg = elements(page(fence(view, body, *more))).find(".//{*}svg")
            assert svg is not None
            frames = [one for one in svg.iter() if one.get("class") == "s"]
            told = [[text.text or "" for text in one.findall(".//{*}text")] for one in frames]
            assert len(told) == steps + 1
            assert told[-1] == told[-2]
            assert len({tuple(texts) for texts in told}) == steps
            said = [text for text in svg.findall(".//{*}text") if text.get("class") == "w"]
            assert bool(said) == (words == "yes" and view != "product")


def test_what_the_padding_cuts_off_gets_faint_where_it_stands() -> None:
    body = "out_size: 3\nkernel: 3\npadding: 1\ny: 1,2,3\nw: 1,1,1"
    svg = elements(page(fence("stamps", body, "words: no", "format: animation"))).find(".//{*}svg")
    assert svg is not None
    *others, last = [one for one in svg.iter() if one.get("class") == "s"]
    tables = [[text.text for text in one.findall(".//{*}text")] for one in (*others[:2], last)]
    assert [len(texts) for texts in tables] == [
        10,
        10,
        10,
    ]  # y above what is so far, and their names
    assert tables[-1][-5:] == ["1", "3", "6", "5", "3"]
    faint = [one for one in last.iter() if one.get("class") == "f"]
    assert [one.findtext("{*}text") for one in faint] == ["1", "3"]
    assert not [one for frame in others[:3] for one in frame.iter() if one.get("class") == "f"]


def test_every_view_has_a_fence() -> None:
    assert set(BODIES) | {"explorer"} == set(VIEWS)


def view(name: str, body: str = "") -> Any:
    return shown(read(f"view: {name}\n{body or BODIES[name]}"))


def entries(table: Table, start: int = 0) -> list[list[int]]:
    return [[int(str(cell.entry)) for cell in row] for row in table.cells[start:]]


def test_a_fence_shows_what_the_library_works_out() -> None:
    z = tc.conv_transpose(np.array([[[0, 1], [2, 3]]]), np.array([[[[4, 7], [2, 2]]]]))
    assert entries(view("stamps").parts[-1].parts[-1]) == np.asarray(z)[0].tolist()
    ones = tc.conv_transpose(np.ones((1, 5, 5), int), np.ones((1, 1, 3, 3), int), stride=2)
    assert entries(view("overlap")) == np.asarray(ones)[0].tolist()
    assert view("sparsity").shape == (144, 100)
    lines = list(tc.links(tc.Geometry.of_conv((1, 5), (1, 1, 3), stride=2)))
    assert len(view("links").links) == len(lines)


@pytest.mark.parametrize(
    ("body", "steps"),
    [
        ("out_size: 4\nkernel: 3\nstride: 2\npadding: 1\noutput_padding: 1", (3, 2, 1)),
        ("in_size: 7\nkernel: 3\nstride: 2\npadding: 1", (3, 2, 1)),
        ("in_size: 7\nkernel: 3\nstride: 2\npadding: SAME", (3, 2, "SAME")),
        ("out_size: 1\nkernel: 1\nstride: 3", (1, 3, 0)),
    ],
)
def test_sizes_are_all_that_share_an_output(body: str, steps: Any) -> None:
    rows = entries(view("sizes", body), 1)
    out = rows[0][0]
    sizes = [n for n in range(steps[0], 20) if tc.out_size(n, *steps) == out]
    # A name such as SAME tells sizes apart by themselves, numbers by the output padding.
    assert rows == [[out, n if steps[2] == "SAME" else n - sizes[0], n] for n in sizes]


def test_sizes_of_unlike_axes_have_a_table_each() -> None:
    found = view("sizes", "out_size: 4x4\nkernel: 3x4\nstride: 2")
    assert [part.name for part in found.parts] == ["axis 0", "axis 1"]


MORE_BODIES = [
    "view: stamps\nin_size: 9\nkernel: 3\nstride: 2\ndilation: 2\npadding: 1",
    "view: zeros\nin_size: 9\nkernel: 3\npadding: 1\npadding_mode: circular",
    "view: stamps\nout_size: 12\nkernel: 2\npadding: 1",
    "view: stamps\nout_size: 90x90\nkernel: 5\nstride: 2\nin_channels: 2\nout_channels: 3",
    "view: zeros\nin_size: 9\nkernel: 3\nstride: 2\ndilation: 2\nin_channels: 2",
    "view: polyphase\nout_size: 3\nkernel: 2",
    "view: sizes\nout_size: 4x4\nkernel: 3x4\nstride: 3",
    "view: sizes\nout_size: 4\nkernel: 3\nstride: 2\npadding: SAME",
    "view: derivation\nin_size: 4\nkernel: 2\nstride: 2",
    "view: matrix\nin_size: 64x64\nkernel: 2",
    "view: sparsity\nin_size: 8\nkernel: 2",
    "view: transpose\nin_size: 8\nkernel: 3\npadding: 3\npadding_mode: reflect",
]
IDENTIFIERS = {"out_size", "in_size", "output_padding", "output_size", "vec"}


@pytest.mark.parametrize(
    "body", [*(f"view: {view}\n{body}" for view, body in BODIES.items()), *MORE_BODIES]
)
def test_a_chinese_figure_has_no_english_in_it(body: str) -> None:
    """Neither in what is seen nor in what is read aloud; names of arrays and arguments stay."""
    for form in ("html", "svg", "animation")[
        : 3 if re.search("view: (stamps|product)", body) else 2
    ]:
        body = body.replace("\nwords: no", "")
        root = elements(page(f"```tconv\n{body}\nformat: {form}\nlang: zh\n```"))
        (figure,) = root.iter("figure")
        assert figure.get("lang") == "zh-Hans"
        said = [
            text
            for element in figure.iter()
            if not element.tag.endswith("style")
            for text in (element.text, element.tail, *map(element.get, ("title", "aria-label")))
        ]
        words = set(re.findall(r"[A-Za-z_]{3,}|\b(?:of|to|in|is)\b", " ".join(filter(None, said))))
        assert words - IDENTIFIERS == set()


def test_style_comes_once_for_all_figures() -> None:
    many = "\n\n".join(["# One", fence("stamps"), "## Two", fence("overlap"), "## Three"])
    html = page(many)
    assert html.count("<style>.tconv-figure") == 1
    assert html.startswith("<style>")
    taps = [int(n) for n in re.findall(r'data-tap="(\d+)"\]:hover', html)]
    assert max(taps) == 63  # of the heat table, which has the most
    assert "<style>" not in page("# One\n\ntext")


def test_a_fence_stands_in_lists_and_boxes() -> None:
    inside = "\n".join("    " + line for line in fence("matrix").splitlines())
    html = page(f"- a point\n\n{inside}\n\n- another")
    assert elements(html).find(".//li//figure") is not None


WRONG = [
    ("view: matrx\nin_size: 4\nkernel: 3", 4, "did you mean matrix"),
    ("in_size: 4\nkernel: 3", 4, "a fence names what it shows; add a line such as 'view: matrix'"),
    ("view: matrix\nkernel: 3", 4, "a fence has one of the two"),
    ("view: matrix\nin_size: 4\nout_size: 2\nkernel: 3", 5, "both: a fence has one of the two"),
    ("view: matrix\nin_size: 4", 4, "kernel=nothing: a convolution has one"),
    ("view: matrix\nin_size: 4\nkernel: 3\nstride: two", 7, "'two' is not a whole number; give"),
    ("view: matrix\nin_size: 4\n\nkernel: 3\nstrid: 2", 8, "did you mean stride"),
    ("view: matrix\nin_size: 4\nkernel: 3\nkernel: 4", 6, "the key is given twice; leave one"),
    ("view: matrix\nin_size: 4\nkernel 3", 4, "a line is a key, a colon and a value; write it"),
    ("view: matrix\nin_size: 4\nkernel:", 6, "a key has a value; write one after the colon"),
    ("view: matrix\nin_size: 2\nkernel: 3", 4, "spans 3; sizes that do: 3 and more"),
    ("view: matrix\nin_size: 4\nkernel: 3\npadding: AROUND", 7, "the choices are VALID, SAME"),
    ("view: matrix\nin_size: 4\nkernel: 3\noutput_padding: 1", 7, "only a transposed convolution"),
    ("view: stamps\nout_size: 2\nkernel: 3\ny: 1,2,3", 7, "3 numbers: 1x2 asks for 2; give them"),
    ("view: matrix\nin_size: 4\nkernel: 3\ngroups: 2\nin_channels: 3", 7, "groups=2: it must"),
    ("view: stamps\nout_size: 2\nkernel: 3\ny: 1,a", 7, "is not a list of numbers; give them as"),
    ("view: stamps\nout_size: 2\nkernel: 3\ny: 1,1/0", 7, "is not a list of numbers"),
    ("view: matrix\nin_size: 4\nkernel: 3\nwords: no", 7, "view matrix does not use it; leave"),
    ("view: stamps\nout_size: 2\nkernel: 3\nwords: perhaps", 7, "it must be yes or no"),
    ("view: overlap\nout_size: 2x2x2\nkernel: 3", 6, "stamps are drawn over one axis or two"),
    ("view: links\nin_size: 900\nkernel: 3", 4, "products or elements, and 400 is the limit"),
    ("view: derivation\nin_size: 900\nkernel: 5", 4, "look at a smaller input"),
    ("view: sparsity\nin_size: 99x99\nkernel: 9", 4, "and 20000 is the limit"),
    ("\n".join(f"# {n}\nview: matrix" for n in range(30)), 5, "the key is given twice"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "line", "message"), WRONG)
def test_what_is_wrong_is_told_with_its_line(body: str, line: int, message: str) -> None:
    with pytest.raises(SuperFencesException, match=re.escape(message)) as found:
        page(f"# Title\n\n```tconv\n{body}\n```\n")
    told = int(re.match(r"line (\d+): tconv fence: ", str(found.value))[1])  # type: ignore[index]
    assert told == line


@pytest.mark.parametrize(
    "head", ["tconv kernel=3", 'tconv kernel="3"', "tconv view: matrix", "{.tconv kernel=3}"]
)
def test_keys_stand_in_the_body(head: str) -> None:
    with pytest.raises(GeometryError, match=r"line 3: tconv fence=.*its keys belong in its body"):
        page(f"# Title\n\n```{head}\nview: matrix\n```\n")
    shown_as_text = page(f"````text\n```{head}\nview: matrix\n```\n````\n")
    assert "<figure" not in shown_as_text


def attempt(body: str) -> tuple[str, SuperFencesException | None]:
    """A figure, or why there is none."""
    try:
        return fences.format(body, "tconv", "tconv", {}, markdown.Markdown()), None
    except SuperFencesException as error:
        return "", error


@given(st.text(max_size=200), st.sampled_from([*BODIES]))
def test_hostile_fences_are_refused_or_escaped(text: str, view: str) -> None:
    for body in (text, f"view: {view}\n{BODIES[view]}\ncaption: {text}\nalt: {text}"):
        figure, error = attempt(body)
        if error is not None:
            assert "; " in str(error)
            continue
        root = ET.fromstring(figure)
        assert not list(root.iter("script"))
        names = {name for element in root.iter() for name in element.attrib}
        assert not any(name.startswith("on") for name in names)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            key: st.sampled_from(
                ["0", "1", "2", "3x2", "-1", "1:2", "SAME", "yes", "99999999999", "1e9", "", "x",
                 "1,2,3,4", "zeros", "svg", "2x2", "4096", "1/3"]
            )
            for key in ("in_size", "out_size", "kernel", "stride", "padding", "output_padding",
                        "dilation", "groups", "in_channels", "out_channels", "padding_mode", "y",
                        "w", "words", "format", "most", "transposed")
        },
    ),
    st.sampled_from([*BODIES]),
)  # fmt: skip
def test_every_combination_is_shown_or_refused(values: dict[str, str], view: str) -> None:
    body = "\n".join([f"view: {view}", *(f"{key}: {value}" for key, value in values.items())])
    figure, error = attempt(body)
    if error is None:
        ET.fromstring(figure)
    else:
        assert isinstance(error.__cause__, GeometryError), body


# -- TeX -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("formula", "inside"),
    [
        (r"C^\mathsf{T} y", "<msup><mi>C</mi>"),
        (r"\frac{n + 2p - k}{s}", "<mfrac>"),
        (r"\lfloor x \rfloor", '<mo stretchy="false">⌊</mo>'),
        (r"\begin{pmatrix} w_0 & 0 \\ 0 & w_1 \end{pmatrix}", "<mtable>"),
        (r"\begin{aligned} a &= b \\ c &= d \end{aligned}", "text-align:right;padding-right:0"),
        (r"\begin{cases} 1 & x > 0 \\ 0 \end{cases}", "text-align:left"),
        (r"x \text{ and \% } y", "and"),
        (r"\operatorname{vec}(y)", "vec"),
        (r"a < b \& c > d", "&lt;"),
        # Functions stand apart from letters and from each other, not from brackets.
        (r"2 \cos h \, \sin a", '<mo lspace="0.167em" rspace="0.167em">cos</mo><mi>h</mi>'),
        (r"2 \cos h \, \sin a", '<mo lspace="0" rspace="0.167em">sin</mo><mi>a</mi>'),
        (r"(n) \log (n)", '<mo lspace="0.167em" rspace="0">log</mo><mo stretchy'),
        (r"x = \max_i y", '<msub><mo lspace="0" rspace="0.167em">max</mo><mi>i</mi></msub>'),
        (r"0, 1, \infty", '<mi mathvariant="normal">∞</mi>'),
    ],
)
def test_tex_becomes_mathml(formula: str, inside: str) -> None:
    for display in (False, True):
        math = tex.tex_to_mathml(formula, display=display)
        assert inside in math
        root = ET.fromstring(math)
        assert root.get("display") == ("block" if display else "inline")
        assert root.get("alttext") == " ".join(formula.split())


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        (r"\frobnicate x", r"\frobnicate is no command that latex2mathml knows; use plain"),
        (r"x^{\notacommand}", r"\notacommand is no command"),
        (r"\begin{tikzpicture}1\end{tikzpicture}", "'tikzpicture' is not a known environment"),
        (r"\begin{matrix}1", r"\begin{matrix} has no end; close each"),
        (r"\begin{matrix}1\end{pmatrix}", r"\end{pmatrix} ends what has not begun; close"),
        (r"\end{matrix}", r"\end{matrix} ends what has not begun"),
        ("{x", "its braces do not match; close each brace"),
        ("x}", "its braces do not match; close each brace"),
        ("a_", "the converter says"),
        ("a & b", "an & or another sign stands where no column ends; put it into"),
        ("   ", "a formula has letters; write one"),
        ("x" * 4001, "a formula has at most 4000 letters; write less"),
        ("{" * 70 + "}" * 70, "it is too deep; write a shorter"),
    ],
)
def test_tex_that_is_not_understood_is_refused(formula: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        tex.tex_to_mathml(formula)


def test_formulas_of_a_page_are_mathml() -> None:
    html = page("Inline $x_1^2$ and $a < b$, a price of \\$5, code `$x$`.\n\n$$\na &= b\n$$\n"
                .replace("a &= b", r"\sum_i w_i"))  # fmt: skip
    root = elements(html)
    formulas = list(root.iter("{http://www.w3.org/1998/Math/MathML}math"))
    assert [f.get("display") for f in formulas] == ["inline", "inline", "block"]
    assert "price of $5, code <code>$x$</code>" in html
    assert not re.search(r"\\[(\[]", html)


def test_a_wrong_formula_is_told_with_its_line() -> None:
    with pytest.raises(ValueError, match=r"line 3: TeX='\\\\foo': \\foo is no command"):
        page("# Title\n\ntext $\\foo$ more")
    with pytest.raises(ValueError, match=r"line 5: TeX='\\\\foo': \\foo is no command"):
        page("# Title\n\n$$\n\n\\foo\n$$".replace("$$\n\n", "\n$$\n"))
    with pytest.raises(GeometryError, match="the extension has none; leave them out"):
        fences.makeExtension(colour=True)


@given(
    st.lists(
        st.sampled_from(
            [*"xy{}^_&\\ <>$'\"é", r"\frac", r"\text", r"\begin{matrix}", r"\end{matrix}",
             r"\left(", r"\right)", "\0"]
        ),
        max_size=40,
    )
)  # fmt: skip
def test_any_tex_is_well_formed_or_refused(parts: list[str]) -> None:
    try:
        math = tex.tex_to_mathml("".join(parts))
    except ValueError:
        return
    root = ET.fromstring(math)
    text = "".join(itertools.chain(*(element.itertext() for element in root.iter())))
    assert "\\frac" not in text


def test_the_explorer_has_the_result_for_those_without_scripts() -> None:
    chinese = BODIES["zeros"].replace("words: no", "lang: zh")
    html = page("\n\n".join([
        fence("explorer", BODIES["stamps"], "share: yes"), fence("explorer", chinese)
    ]))  # fmt: skip
    assert html.count("<script>") == 1
    assert html.count("<tconv-explorer ") == 2
    inside = re.findall(r"<tconv-explorer[^>]*>(.*?)</tconv-explorer>", html, re.DOTALL)
    shown = [td.text for td in ET.fromstring(inside[0]).iter("td")]
    assert shown[-9:] == ["0", "4", "7", "8", "28", "23", "4", "10", "6"]
    assert 'lang="zh"' in html
    assert " share>" in html
    more = ("parts: kernel, grids", "counts: yes", "explorer: ../explorer/")
    assert ' parts="kernel grids" explorer="../explorer/" counts>' in page(
        fence("explorer", BODIES["stamps"], *more)
    )
    with pytest.raises(SuperFencesException, match="explorer='javascript:f': it must be the addr"):
        page(fence("explorer", BODIES["stamps"], "explorer: javascript:f"))
    with pytest.raises(SuperFencesException, match="parts='grid': the choices are example, dim"):
        page(fence("explorer", BODIES["stamps"], "parts: kernel, grid"))
    with pytest.raises(SuperFencesException, match="the explorer draws 1000 products, 800"):
        page(fence("explorer", "out_size: 12x12\nkernel: 3"))
