"""Whatever a name or a text holds, each printer writes what its reader reads, and no command."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from tconvjax import Geometry, GeometryError, rendering, symbolic
from tconvjax.__main__ import main
from tests.test_bad_input import SECONDS, at_most
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


# -- the command line ------------------------------------------------------------------------------

WORDS = st.one_of(
    st.sampled_from([
        "3", "2x3", "4,4", "1:2", "-1", "0", "SAME", "circular", "1/3", "nan", "1e400", "9" * 30,
        "2x2x2x2", "", " ", "x", "--", "-o", "٣", "3x", "../..", "/dev/null/x.npy", "~", "*",
        "$(ls)", "a b", "é", "text", "svg", "npz", "stamps", "dcgan_g2", "float32", "cuda",
        *HOSTILE.values(),
    ]),
    st.text(max_size=6), st.integers(-9, 99).map(str),
)  # fmt: skip
GIVEN = {
    "size": ["--size", "5", "--kernel", "3"],
    "matrix": ["--size", "4", "--kernel", "2"],
    "explain": ["--size", "2", "--kernel", "2"],
    "checkerboard": ["--kernel", "3", "--stride", "2"],
    "plan": ["--size", "8", "--kernel", "3"],
    "apply": ["--input", "in.npy", "--kernel", "w.npy", "--output", "out.npy"],
    "upsample": ["in.npy", "-o", "out.npy"],
    "bench": ["--case", "none"],
    "": [],
}  # fmt: skip
OPTIONS = ("--size", "--kernel", "--stride", "--padding", "--dilation", "--output-padding",
           "--output-size", "--in-channels", "--groups", "--padding-mode", "--values", "--format",
           "--output", "--view", "--y", "--w", "--dtype", "--platform", "--case", "--batch",
           "--layout", "--algorithm", "--input", "--factor", "--method", "--rounds",
           "--json", "--nothing")  # fmt: skip


@settings(max_examples=300)
@given(
    st.sampled_from([*GIVEN]),
    st.lists(st.tuples(st.sampled_from(OPTIONS), WORDS), max_size=2),
    st.lists(WORDS, max_size=1),
)
def test_whatever_is_typed_is_answered(
    command: str, options: list[tuple[str, str]], more: list[str]
) -> None:
    """Status 0 or 2, one line of complaint, no traceback, and no file but those that are named."""
    if command in ("", "bench") and not (options or more):
        return  # the tour, and all layers: other tests run them
    written = [f"{name}={word}" for name, word in options]
    errors, said = io.StringIO(), io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        np.save("in.npy", np.ones((1, 1, 4), np.float32))
        np.save("w.npy", np.ones((1, 1, 2), np.float32))
        with (
            contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors), at_most(SECONDS)
        ):  # fmt: skip
            try:
                status = main([*([command] if command else []), *GIVEN[command], *written, *more])
            except SystemExit as stop:  # --help and --version
                status = int(stop.code or 0)
    assert status in (0, 2)
    assert (status == 2) == bool(errors.getvalue())
    assert errors.getvalue().count("\n") <= 1
    assert "Traceback" not in errors.getvalue()
    assert not (NEVER - {"\t"}) & set(said.getvalue())


def test_a_bare_error_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def bare(*_: Any) -> None:
        raise ValueError("bare")

    monkeypatch.setattr("tconvjax.__main__.ints", bare)
    law: Any = test_whatever_is_typed_is_answered
    with pytest.raises(ValueError, match="bare"):
        law.hypothesis.inner_test("size", [], [])
