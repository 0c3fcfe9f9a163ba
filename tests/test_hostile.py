"""Whatever a name or a text holds, each printer writes what its reader reads, and no command."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import sympy

from tconvjax import Geometry, GeometryError, rendering, symbolic
from tests.test_rendering import PRINTERS

HOSTILE = {
    "tex": "50% & \\write18{ls} }",
    "more tex": "}\\input{/etc/passwd}",
    "escapes": "\x01\x1b[31mred\x1b[0m",
    "one byte of it": "\x9b31m",
    "a null": "\x00",
    "lines": "a\nb\tc",
    "half a pair": "\ud800",
    "markup": "a<b>\"'&c;]]>",
    "no character": "\ufffe",
    "right to left": "\u202eabc",
    "separators": "a\u2028b\u2029c",
    "carets": "^^M_~#$",
}
NEVER = set("\x00\x01\x1b\x9b\t\ud800\ufffe\u202e\u2028\u2029")


def documents(text: str) -> dict[str, Any]:
    """A text in every place that a document has for one."""
    name = sympy.Symbol(text)
    function = sympy.Function(text.replace("\x00", "").replace("\ud800", "") or "f")(name)
    array = rendering.array_table([[text, 1]], name=text)
    expressions = (name, name + 1, name**2, function, sympy.IndexedBase(name)[name])
    return {
        "array": array,
        "matrix": rendering.matrix_table(sympy.Matrix([expressions]), name=text),
        "words": rendering.Words(text, 1),
        "equation": rendering.Equation(
            (*expressions, text, sympy.MatrixSymbol(text, 2, 2), sympy.Matrix([[name]]),
             sympy.Piecewise((name, name > 0), (0, True)))
        ),
        "cell": rendering.Table(((rendering.Cell(name, 0, text),),), text, alt=text),
        "abridged": rendering.Table(
            ((rendering.Cell(rendering.Abridged((name,), (name,), 50)),),), text
        ),
        "sparsity": rendering.Sparsity((2, 2), ((0, 0, 0),), text, 1, text),
        "linked": rendering.Linked((array, array), (rendering.Link((0, 0, 0), (1, 0, 1)),), text),
        "stack": rendering.stack([rendering.Words(text), rendering.Beside((array, text))]),
    }  # fmt: skip


@pytest.mark.parametrize("printer", PRINTERS)
@pytest.mark.parametrize("kind", HOSTILE)
def test_no_text_leaves_its_place(printer: str, kind: str) -> None:
    for document in documents(HOSTILE[kind]).values():
        shown = PRINTERS[printer](document)
        assert not NEVER & set(shown)
        shown.encode("utf-8")
        if printer in ("mathml", "html", "svg"):
            ET.fromstring(shown)
        if printer == "latex":
            assert "\\write" not in shown
            assert "\\input" not in shown
        if printer == "text":
            assert max(map(len, shown.split("\n"))) <= 80


@pytest.mark.parametrize("kind", HOSTILE)
def test_nor_from_a_matrix(kind: str) -> None:
    matrix = sympy.Matrix([[sympy.Symbol(HOSTILE[kind]), sympy.Symbol(HOSTILE[kind]) + 1]])
    texts = (
        rendering.to_csv(matrix),
        rendering.matrix_text(matrix),
        rendering.matrix_latex(matrix),
    )
    for text in texts:
        assert not NEVER & set(text)
        text.encode("utf-8")
    assert texts[0].count("\n") == texts[1].count("\n") + 1 == 1
    assert "\\write" not in texts[2]
    assert "\\input" not in texts[2]


def test_what_is_left_out_can_be_seen() -> None:
    assert rendering.to_text(rendering.array_table([["a\x1b[31m", "b\nc"]])) == "a�[31m  b c"
    told = rendering.to_latex(rendering.array_table([["50% _"]]))
    assert r"\text{50\% \_}" in told
    assert (
        rendering.matrix_latex(sympy.Matrix([[sympy.Symbol("w~_1")]])).count(r"\text{w\~{}}_{1}")
        == 1
    )


def test_an_attribute_of_html_is_xml_too() -> None:
    shown = rendering.to_html(rendering.array_table([[1]], name="a<b"))
    assert ET.fromstring(shown)[1].get("aria-label") == "a<b, 1 x 1"
    assert "a<b" not in shown


@pytest.mark.parametrize(
    "ask",
    [
        lambda text: symbolic.overlap(4, 3, place=text),
        lambda text: symbolic.overlap(text, 3),
        lambda text: symbolic.ConvolutionMatrix.of(5, 3)[text, 0],
        lambda text: symbolic.ConvolutionMatrix.of(5, 3)[0, text],
        lambda text: symbolic.ConvolutionMatrix.of(text, 3),
        lambda text: symbolic.ConvolutionMatrix(text),
        lambda text: symbolic.ConvolutionMatrix([text]),
        lambda text: symbolic.ConvolutionMatrix([(text, 3, 3, 1, 1, 0, text)]),
        lambda text: symbolic.ConvolutionMatrix(symbolic.ConvolutionMatrix.of(5, 3).args[0], text),
        lambda text: symbolic.conv_matrix(Geometry.of_conv((1, 2), (1, 1, 1)), [[[text]]]),
    ],
)
def test_text_is_never_run_as_code(ask: Any, tmp_path: Path) -> None:
    written = tmp_path / "written"
    text = f"__import__('pathlib').Path({str(written)!r}).touch()"
    with pytest.raises((GeometryError, sympy.SympifyError)):
        ask(text)
    assert not written.exists()
