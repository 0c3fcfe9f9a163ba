"""Whatever a name or a text holds, each printer writes what its reader reads, and no command."""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
from functools import partial
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
from tconvjax.rendering.document import Link, Linked, Sparsity
from tests.test_rendering import PRINTERS

HOSTILE = (
    "50% & \\write18{ls} }", "}\\input{/etc/passwd}", "^^M_~#$", "\x01\x1b[31mred\x1b[0m",
    "\x9b31m", "\x00", "a\nb\tc", "\ud800", "a<b>\"'&c;]]>", "\ufffe", "\u202eabc",
    "a\u2028b\u2029c",
)  # fmt: skip
"""TeX's commands, a terminal's, white space, half a pair, markup, no character, turned text."""

NEVER = set("\x00\x01\x1b\x9b\t\ud800\ufffe\u202e\u2028\u2029")
COMMANDS = re.compile(r"\\(write|input)")


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
        "equation": rendering.Row(
            (*expressions, text, sympy.MatrixSymbol(text, 2, 2), sympy.Matrix([[name]]),
             sympy.Piecewise((name, name > 0), (0, True)))
        ),
        "cell": rendering.Table(((rendering.Cell(name, 0, text),),), text, alt=text),
        "sparsity": Sparsity((2, 2), ((0, 0, 0),), text, 1, text),
        "linked": Linked((array, array), (Link((0, 0), (0, 1)),), text),
        "stack": rendering.Stack([rendering.Words(text), rendering.Row((array, text))]),
    }  # fmt: skip


@pytest.mark.parametrize("printer", PRINTERS)
def test_no_text_leaves_its_place(printer: str) -> None:
    for text in HOSTILE:
        for document in documents(text).values():
            shown = PRINTERS[printer](document)
            assert not NEVER & set(shown)
            shown.encode("utf-8")
            if printer in ("mathml", "html", "svg"):
                ET.fromstring(shown)
            if printer == "latex":
                assert not COMMANDS.search(shown)
            if printer == "text":
                assert max(map(len, shown.split("\n"))) <= 80


def test_nor_from_a_csv_file() -> None:
    for text in HOSTILE:
        csv = rendering.to_csv(sympy.Matrix([[sympy.Symbol(text), sympy.Symbol(text) + 1]]))
        assert not NEVER & set(csv)
        assert csv.count("\n") == 1


def test_what_is_left_out_can_be_seen() -> None:
    assert rendering.to_text(rendering.array_table([["a\x1b[31m", "b\nc"]])) == "a�[31m  b c"
    assert r"\text{50\% \_}" in rendering.to_latex(rendering.array_table([["50% _"]]))
    tilde = rendering.to_latex(sympy.Matrix([[sympy.Symbol("w~_1")]]))
    assert tilde.count(r"\text{w\~{}}_{1}") == 1
    shown = rendering.to_html(rendering.array_table([[1]], name="a<b"))
    assert ET.fromstring(shown)[1].get("aria-label") == "a<b, 1 x 1"
    assert "a<b" not in shown


def test_text_is_never_run_as_code(tmp_path: Path) -> None:
    written = tmp_path / "written"
    text: Any = f"__import__('pathlib').Path({str(written)!r}).touch()"
    matrix, of = symbolic.ConvolutionMatrix, symbolic.ConvolutionMatrix.of
    one = Geometry.of_conv((1, 2), (1, 1, 1))
    for function, *arguments in (
        (partial(symbolic.overlap, place=text), 4, 3),
        (symbolic.overlap, text, 3),
        (of(5, 3).__getitem__, (text, 0)),
        (of(5, 3).__getitem__, (0, text)),
        (of, text, 3),
        (matrix, text),
        (matrix, [text]),
        (matrix, [(text, 3, 3, 1, 1, 0, text)]),
        (matrix, of(5, 3).args[0], text),
        (symbolic.conv_matrix, one, [[[text]]]),
    ):
        with pytest.raises((GeometryError, sympy.SympifyError)):
            function(*arguments)
        assert not written.exists()


# -- the command line ------------------------------------------------------------------------------

WORDS = st.one_of(
    st.sampled_from([
        "3", "2x3", "4,4", "1:2", "-1", "0", "SAME", "circular", "1/3", "nan", "1e400", "9" * 30,
        "2x2x2x2", "", " ", "x", "--", "-o", "٣", "3x", "../..", "/dev/null/x.npy", "~", "*",
        "$(ls)", "a b", "é", "text", "svg", "npz", "stamps", "float32", "cuda",
        *HOSTILE,
    ]),
    st.text(max_size=6), st.integers(-9, 99).map(str),
)  # fmt: skip
GIVEN = {
    "size": "--size 5 --kernel 3", "matrix": "--size 4 --kernel 2",
    "explain": "--out-size 2 --kernel 2", "checkerboard": "--kernel 3 --stride 2",
    "plan": "--size 8 --kernel 3", "upsample": "in.npy -o out.npy", "": "",
    "apply": "--input in.npy --kernel w.npy --output out.npy",
}  # fmt: skip
OPTIONS = ("--size", "--out-size", "--kernel", "--stride", "--padding", "--dilation", "--part",
           "--output-padding", "--output-size", "--in-channels", "--groups", "--padding-mode",
           "--values", "--format", "--output", "--view", "--y", "--w", "--dtype", "--platform",
           "--batch", "--layout", "--algorithm", "--input", "--factor", "--method",
           "--nothing")  # fmt: skip


@settings(max_examples=150)
@given(
    st.sampled_from([*GIVEN]),
    st.lists(st.tuples(st.sampled_from(OPTIONS), WORDS), max_size=2),
    st.lists(WORDS, max_size=1),
)
def test_whatever_is_typed_is_answered(
    command: str, options: list[tuple[str, str]], more: list[str]
) -> None:
    """Status 0 or 2, one line of complaint, and no traceback."""
    if not (command or options or more):
        return  # the tour, which another test runs
    written = [f"{name}={word}" for name, word in options]
    errors, said = io.StringIO(), io.StringIO()
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        np.save("in.npy", np.ones((1, 1, 4), np.float32))
        np.save("w.npy", np.ones((1, 1, 2), np.float32))
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors):
            status = main([*command.split(), *GIVEN[command].split(), *written, *more])
    assert status in (0, 2)
    assert (status == 2) == bool(errors.getvalue())
    assert errors.getvalue().count("\n") <= 1
    assert "Traceback" not in errors.getvalue()
    assert not (NEVER - {"\t"}) & set(said.getvalue())
