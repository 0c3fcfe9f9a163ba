"""The command line: its tour, what it computes and shows, its files, and its errors.

A file is replaced whole or not at all, and only a file is replaced. An error is one line that names
a remedy, and the status is 2. No number is narrowed, and no text is evaluated.
"""

from __future__ import annotations

import contextlib
import errno
import io
import math
import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import jax
import numpy as np
import pytest
import scipy.sparse
from PIL import Image

import tconvjax as tc
from tconvjax.__main__ import main
from tconvjax.command.arguments import CommandError
from tconvjax.command.arrays import read_array
from tconvjax.command.tour import EXAMPLES
from tests.reading import read


def run(line: str, *words: object) -> int:
    """Call the command in this process: a line, and words that are not split."""
    return main([*line.split(), *map(str, words)])


def normal(shape: Sequence[int], dtype: str = "float32", seed: int = 0) -> np.ndarray:
    """Random numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


Captured: TypeAlias = pytest.CaptureFixture[str]


def shown(capsys: Captured, line: str, *words: object) -> str:
    """What a command prints that ends well."""
    assert run(line, *words) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    return printed.out


def refused(capsys: Captured, line: str, *words: object) -> str:
    """The one line of complaint of a command, which prints nothing else."""
    assert run(line, *words) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("tconvjax: error: ")
    assert printed.err.count("\n") == 1
    return printed.err.rstrip("\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in which the commands of a test run."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_number_may_begin_with_a_minus_sign(capsys: Captured) -> None:
    """After the option as well as after its equals sign."""
    for option, line in (
        ("--values -1,2,1", "matrix --size 5 --kernel 3"),
        ("--padding -1:2", "size --size 5 --kernel 3"),
        ("--y -1,2", "explain --out-size 2 --kernel 3 --view stamps"),
    ):  # fmt: skip
        printed = shown(capsys, f"{line} {option}")
        assert printed == shown(capsys, f"{line} {option.replace(' ', '=')}")
        assert printed != shown(capsys, line)
    assert "unrecognized arguments: -x" in refused(capsys, "size --size 5 --kernel 3 -x")


# -- the tour --------------------------------------------------------------------------------------


def test_the_tour_computes_and_shows_every_example() -> None:
    """The command without arguments, in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tconvjax"], capture_output=True, timeout=600, encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1] == "7 of 7 examples match"
    assert done.stdout.count("checked: equals the tutorial's result") == 6
    assert [line[:2] for line in lines if line[1:3] == ". "] == ["1.", "2.", "3.", "4.", "5."]
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)
    assert "\n\n\n" not in done.stdout
    for part in (
        "⎢2 2 7 4⎥ * ⎢2⎥ = ⎢28⎥",  # no padding, the middle row
        "[2 2 7 4] * ⎢1⎥ = [28]",  # padding 1 leaves that row
        "⎢· 4 · ·⎥   ⎡0⎤   ⎢4⎥",  # stride 4
        "⎢3 2 1 · 3 2 5 4⎥ * ⎢4⎥ = ⎢93⎥",  # two channels
        "⎢w11 w10 w01 w00⎥",  # C.T of the 4x16 matrix
        "⎡w00 w01 w02   · w10 w11 w12   · w20 w21 w22   ·   ·   ·   ·   ·⎤",
        "C.T * vec(y) = ⎢  · 3/4 1/4   ·⎥ * ⎢a⎥",  # bilinear
    ):
        assert part in done.stdout


def test_the_tour_has_parts_and_says_where_to_go_next(capsys: Captured) -> None:
    whole = shown(capsys, "tour")
    counts = []
    for part in range(1, 6):
        text = shown(capsys, f"tour --part {part}")
        start = text.index(f"\n{part}. ")
        assert text[start : text.index("\nWhere to go next")] in whole
        assert len(re.findall(r"(?m)^\d\. ", text)) == 1
        counts += [int(number) for number in re.findall(r"(\d) of \1 example", text)]
    assert counts == [1, 3, 1, 1, 1]
    assert "those of the tutorial in the documentation (docs/learn)" in whole
    (command,) = re.findall(r"(?m)^  tconvjax (.*)$", whole)
    assert "8 28 23" in shown(capsys, command)
    assert "invalid choice: 6 (choose from" in refused(capsys, "tour --part 6")


def test_the_tour_fails_if_an_example_does_not_match(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    for name, example in EXAMPLES.items():
        wrong = np.array(example.result)
        wrong[0, 0, -1, -1] += 1
        if name == "padding":  # another shape
            wrong = np.pad(wrong, 1)
        monkeypatch.setitem(EXAMPLES, name, example._replace(result=wrong))
    assert run("tour") == 1
    text = capsys.readouterr().out
    assert text.endswith("3 of 7 examples match\n")
    assert text.count("WRONG: equals the tutorial's result") == 4
    assert max(map(len, text.splitlines())) <= 80


# -- apply -----------------------------------------------------------------------------------------

LAST: Any = ("NHWC", "HWIO", "NHWC")
APPLIED: list[tuple[str, Any, str, Any, dict[str, Any]]] = [
    ("--stride 2x1 --padding 1:0x0:2 --output-padding 1,0 --groups 2 --bias b.npy",
     ((2, 4, 5, 6), (4, 2, 3, 3), (4,)), "", tc.conv_transpose,
     {"stride": (2, 1), "padding": ((1, 0), (0, 2)), "output_padding": (1, 0), "groups": 2}),
    ("--stride 2 --padding 1 --output-size 9x8 --algorithm polyphase",
     ((1, 4, 5, 4), (4, 2, 3, 3)), "polyphase", tc.conv_transpose,
     {"stride": 2, "padding": 1, "output_size": (9, 8)}),
    ("--forward --stride 2 --padding 1:0 --dilation 2", ((1, 2, 9, 8), (4, 2, 3, 3)), "",
     tc.conv, {"stride": 2, "padding": ((1, 0), (1, 0)), "dilation": 2}),
    ("--layout NHWC,HWIO,NHWC --padding same --stride 2", ((1, 3, 3, 4), (3, 3, 2, 4)),
     "", tc.conv_transpose, {"stride": 2, "padding": "SAME", "dimension_numbers": LAST}),
    ("--layout NHWC,HWIO,NHWC --padding 1 --padding-mode circular", ((3, 3, 4), (3, 3, 2, 4)),
     "", tc.conv_transpose,
     {"padding": 1, "padding_mode": "circular", "dimension_numbers": LAST}),
]  # fmt: skip
"""Options; shapes of input, kernel and bias; the algorithm; the operation and its keywords."""


@pytest.mark.parametrize("case", APPLIED, ids=lambda case: str(case[0]))
def test_apply_is_the_operation_on_files(case: Any, folder: Path, capsys: Captured) -> None:
    words, shapes, algorithm, function, keywords = case
    arrays = [normal(shape, seed=n) for n, shape in enumerate(shapes)]
    names = ("in.npy", "w.npy", "b.npy")[: len(arrays)]
    for name, array in zip(names, arrays, strict=True):
        np.save(name, array)
    (folder / "out.npy").write_bytes(b"old" * 100_000)
    printed = shown(capsys, f"apply --input in.npy --kernel w.npy --output out.npy {words}")
    expected = read(partial(function, **keywords), *arrays)
    np.testing.assert_allclose(np.load("out.npy"), expected, rtol=1e-5, atol=1e-5)
    assert {p.name for p in folder.iterdir()} == {*names, "out.npy"}
    ways = f"({algorithm or '|'.join(tc.ALGORITHMS)})"  # what "auto" takes, the costs decide
    if not algorithm and "dimension_numbers" not in keywords:
        door = tc.Geometry.of_conv if function is tc.conv else tc.Geometry.of_conv_transpose
        geometry, batch = door(shapes[0][1:], shapes[1], **keywords), shapes[0][0]
        ways = tc.plan(geometry, function.__name__, batch=batch).algorithm
    line = f"out.npy  {re.escape(str(expected.shape))} float32\n{function.__name__} by {ways} on"
    assert re.search(line, printed)
    assert re.search(r": compiled in [\d.]+ s, ran in [\d.]+ s\n$", printed)


@pytest.mark.parametrize("lead", [(), (2, 3)])
def test_a_bare_kernel_takes_every_channel_alone(lead: tuple[int, ...], folder: Path) -> None:
    x, w = normal((*lead, 4, 5)), normal((3, 2), seed=1)
    np.save("x.npy", x)
    np.save("w.npy", w)
    assert run("apply --input x.npy --kernel w.npy --output y.npy --stride 2") == 0
    alone = read(partial(tc.conv_transpose, stride=2), x.reshape(-1, 1, 4, 5), w[None, None])
    expected = alone.reshape(*lead, 9, 10)
    np.testing.assert_allclose(np.load("y.npy"), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (("float64", "float32"), "float64"),
        (("int64", "int64"), "int64"),
        (("complex64", "float64"), "complex128"),
        (("float16", "float16"), "float16"),
        ((">f4", "float32"), "float32"),
        (("uint8", "float32"), "float32"),
    ],
)
def test_no_number_is_narrowed(dtypes: tuple[str, str], expected: str, folder: Path) -> None:
    np.save("x.npy", np.array([[3, 1]], dtypes[0]))
    np.save("w.npy", np.array([1, 2], dtypes[1]))
    with jax.enable_x64(False):  # as users have it
        assert run("apply --input x.npy --kernel w.npy --output y.npy") == 0
        assert jax.numpy.zeros(()).dtype == "float32"
    result = np.load("y.npy")
    assert result.dtype.name == expected
    np.testing.assert_array_equal(result, [[3, 7, 2]])


# -- pictures --------------------------------------------------------------------------------------


def test_pictures_of_every_kind_are_read_and_written(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    np.save("k.npy", np.ones((2, 2), np.float32))
    kinds = {"L": "L", "1": "L", "RGB": "RGB", "RGBA": "RGBA", "P": "RGB", "LA": "RGBA"}
    for given, kept in kinds.items():
        picture = Image.fromarray(pixels).convert(given)
        picture.save("in.png")
        assert run("apply --input in.png --kernel k.npy --output out.png --stride 2") == 0
        doubled = np.asarray(picture.convert(kept)).repeat(2, 0).repeat(2, 1)
        np.testing.assert_array_equal(np.asarray(Image.open("out.png")), doubled)


def test_a_picture_is_rounded_and_clipped_and_read_as_float32(folder: Path) -> None:
    np.save("x.npy", np.array([[-3, 0.4], [99.6, 300]], np.float32))
    np.save("w.npy", np.ones((1, 1), np.float32))
    assert run("apply --input x.npy --kernel w.npy --output y.png") == 0
    assert run("apply --input y.png --kernel w.npy --output y.npy") == 0
    result = np.load("y.npy")
    assert result.dtype == "float32"
    np.testing.assert_array_equal(result, [[[0, 0], [100, 255]]])


def test_a_suffix_says_the_format_of_a_picture(folder: Path) -> None:
    np.save("x.npy", np.full((3, 8, 8), 100, np.float32))
    for name in ("JPEG y.jpg", "WEBP y.webp", "BMP y.bmp", "TIFF y.tiff", "PNG y.PNG"):
        kind, path = name.split()
        assert run(f"upsample x.npy --factor 1 --method nearest --output {path}") == 0
        assert run(f"upsample {path} --factor 1 --method nearest --output back.npy") == 0
        with Image.open(path) as image:
            assert image.format == kind
        assert abs(np.load("back.npy") - 100).max() <= 2


def test_pictures_need_pillow(monkeypatch: pytest.MonkeyPatch, capsys: Captured) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    error = refused(capsys, "apply --input x.png --kernel k.npy --output y.npy")
    assert error.endswith("install it with pip install pillow")


# -- sizes -----------------------------------------------------------------------------------------

LAYERS = {
    "--kernel 3 --stride 2 --padding 1": ((7,), (4,)),
    "--kernel 3x2 --stride 2x1 --dilation 1x2": ((5, 6), (2, 4)),
    "--kernel 4 --stride 2 --padding 1:0": ((7, 9), (3, 4)),
    "--kernel 5 --padding SAME": ((6,), (6,)),
}
"""Options of a layer; its in_size and out_size, each the only or the least one for the other."""


@pytest.mark.parametrize("options", LAYERS)
@pytest.mark.parametrize(
    ("command", "channels"),
    [("size", (1, 1)), ("matrix", (2, 4)), ("explain", (1, 2)), ("plan --platform cpu", (2, 4))],
)
def test_a_size_and_a_channel_mean_the_same_to_every_command(
    command: str, channels: tuple[int, int], options: str, capsys: Captured
) -> None:
    """Size and in-channels are those of x, out-size and out-channels those of y."""
    sizes = ["x".join(map(str, size)) for size in LAYERS[options]]
    words = f"{command} {options}"
    if command != "size":
        words += f" --in-channels {channels[0]} --out-channels {channels[1]}"
    there = shown(capsys, f"{words} --size {sizes[0]}").replace("  <- the size given", "")
    assert shown(capsys, f"{words} --out-size {sizes[1]}") == there
    x, y = ((n, *size) for n, size in zip(channels, LAYERS[options], strict=True))
    head = {
        "size": f"convolution             {sizes[0]} -> {sizes[1]}\n",
        "matrix": f"C, the convolution of {sizes[0]} to {sizes[1]}: {math.prod(y)} rows, "
        f"{math.prod(x)} columns\n",
        "explain": f"Transposed convolution of 2 channels of {sizes[1]} to {sizes[0]}: ",
        "plan": f"x {(1, *x)}  w {(y[0], x[0])}"[:-1] + ", ",
    }
    assert there.replace(" x ", "x").startswith(head[command.split()[0]])
    assert "not allowed with argument" in refused(capsys, f"{words} --size 5 --out-size 5")


def test_output_padding_chooses_the_larger_size(capsys: Captured) -> None:
    for command in ("size", "matrix", "explain", "plan --platform cpu"):
        words = f"{command} --kernel 3 --stride 2 --padding 1"
        there = shown(capsys, f"{words} --size 8").replace("  <- the size given", "")
        back = shown(capsys, f"{words} --out-size 4 --output-padding 1")
        skipped = 2 if command == "size" else 0  # its second line has the output padding
        assert back.splitlines()[skipped:] == there.splitlines()[skipped:]
        assert shown(capsys, f"{words} --out-size 4") != back


def test_a_command_speaks_of_its_own_options(capsys: Captured) -> None:
    for words, error in {
        "matrix --size 3 --kernel 7": "--size=3 elements along an axis",
        "size --size 7 --kernel 3x3": "--kernel=3x3: the convolution has 1 spatial axis; give one",
        "size --size 7 --kernel 3 --padding 1:2x0:3": "--padding=1:2x0:3: the convolution has 1",
        "checkerboard --kernel 3x3 --dilation 2x2x2": "--dilation=2x2x2: the convolution has 2",
        "matrix --lazy --size 4x4 --kernel 2x2x2": "--kernel=(2, 2, 2): 2 are needed",
        "plan --size 8 --kernel 3 --layout NHC": "argument --layout: 'NHC' is not three layouts",
        "plan --size 8 --kernel 3 --layout NWC,QIO,NWC": "--layout=('NWC', 'QIO', 'NWC')",
        "explain --size 2 --kernel 2 --y 1,2": "--y=2 numbers: 1x1 asks for 1; give them row by "
        "row, or give the size of y instead of that of x",
        "explain --size 2 --kernel 2 --output-padding 1": "--output-padding=1: only a transposed "
        "convolution can choose among sizes; leave it out, or give the size of y instead of x",
        "size --size -7 --kernel 3": "argument --size: -7 is out of range; give 1 to 1000000",
    }.items():
        assert error in refused(capsys, words)


# -- size and plan ---------------------------------------------------------------------------------


def test_size_lists_the_sizes_that_share_one(capsys: Captured) -> None:
    assert shown(capsys, "size --size 7 --kernel 3 --stride 2 --padding 1").splitlines() == [
        "convolution             7 -> 4",
        "transposed convolution  4 -> 7  (output_padding 0)",
        "axis 0: input sizes whose output size is 4",
        "        7  output_padding 0  <- the size given",
        "        8  output_padding 1",
    ]


def test_each_size_has_the_output_padding_that_gives_it(capsys: Captured) -> None:
    printed = shown(capsys, "size --size 11x12 --kernel 3 --stride 3 --dilation 2 --padding 1:2")
    assert printed.count("<- the size given") == 2
    listed = [line.split("<")[0].split() for line in printed.splitlines() if line[0] == " "]
    assert len(listed) == 6
    for size, _, extra in listed:
        back = tc.Geometry.of_conv_transpose(
            (1, 4), (1, 1, 3), stride=3, dilation=2, padding=((1, 2),), output_padding=int(extra)
        )
        assert back.in_size == (int(size),)


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ("--size 7 --kernel 3 --stride 2 --padding SAME", "7  output_size 7  <- the size given"),
        ("--size 1 --kernel 1 --stride 3 --padding 1", "1 -> none without output_padding"),
        ("--size 1 --kernel 1 --stride 3 --padding 1", "1  output_padding 2  <- the size given"),
        ("--size 500 --kernel 1 --stride 1000000", "500  output_padding 499  <- the size given"),
    ],
)
def test_size_shows_what_chooses_the_size(words: str, lines: str, capsys: Captured) -> None:
    printed = shown(capsys, f"size {words}")
    assert lines in printed
    assert printed.count("\n") < 20


def test_plan_shows_the_choice_and_the_reasons(capsys: Captured) -> None:
    words = "--out-size 56x56 --kernel 4 --stride 2 --padding 1 --in-channels 64 --out-channels 64"
    found = shown(capsys, f"plan {words} --groups 64 --batch 4 --platform cpu")
    assert found.startswith("x (4, 64, 112, 112)  w (64, 1, 4, 4)  y (4, 64, 56, 56)\n")
    for role in ("conv", "conv_transpose", "kernel_gradient"):
        assert f"\n{role} on cpu: taps\n  the least of the estimates for a CPU\n" in found
    forward = shown(capsys, "plan --size 9 --kernel 3 --platform cuda")
    assert forward.startswith("x (1, 1, 9)  w (1, 1, 3)  y (1, 1, 7)\n")
    assert forward.count("\n  * direct ") == 3


def test_plan_measures_and_keeps_what_it_measured(
    tmp_path: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "plans.json"
    words = "plan --out-size 6 --kernel 3 --layout NWC,WIO,NWC"
    found = shown(capsys, f"{words} --measure -o {file}")
    assert found.count("the fastest of those that were measured on this machine") == 3
    assert found.endswith(f"ms: measured here\nkept in {file}\n")
    assert tc.load_plans(file) >= 3
    assert "nothing was measured" in refused(capsys, f"{words} --output {file}")
    assert "nothing was measured" in refused(capsys, f"{words} --save")
    assert "is missing" in refused(capsys, f"{words} --measure --output {file}/below")
    monkeypatch.setenv("TCONVJAX_PLANS", str(tmp_path / "folder/all.json"))
    found = shown(capsys, f"{words} --measure --save --output {file}")
    assert found.endswith(f"\nkept in {file}\nkept in {tmp_path / 'folder/all.json'}\n")
    monkeypatch.setenv("TCONVJAX_PLANS", str(tmp_path))
    assert run(f"{words} --measure --save") == 2
    assert f"{tmp_path} cannot be written (Is a directory)" in capsys.readouterr().err
    file.write_text("[1]", "utf-8")
    assert run(f"{words} --measure --output {file}") == 2
    error = capsys.readouterr().err
    assert error.startswith(f"tconvjax: error: --output='{file}': it must hold measured times")


# -- matrix and explain ----------------------------------------------------------------------------


def test_matrix_as_text(capsys: Captured) -> None:
    assert shown(capsys, "matrix --size 4 --kernel 2").splitlines() == [
        "C, the convolution of 4 to 3: 3 rows, 4 columns",
        "⎡w0 w1  ·  ·⎤",
        "⎢ · w0 w1  ·⎥",
        "⎣ ·  · w0 w1⎦",
    ]
    words = "matrix --size 2 --kernel 2 --transpose --values=0.123456789,-1/3"
    head, *lines = shown(capsys, words).splitlines()
    assert head.startswith("C.T, the transpose of the convolution of 2 to 1: 2 rows")
    assert lines == ["⎡0.123456789⎤", "⎣       -1/3⎦"]


@pytest.mark.parametrize(
    ("words", "begins", "holds"),
    [
        ("matrix --size 6 --kernel 3 --format latex", r"\left[\begin{array}{c", "w_{0}"),
        ("matrix --size 6 --kernel 3 --format mathml", "<math ", "<msub>"),
        ("matrix --size 6 --kernel 3 --format html", "<!doctype html>", 'data-tap="2"'),
        ("matrix --size 6 --kernel 3 --format svg", "<svg ", '"C, the convolution of 6 to 4"'),
        ("matrix --size 30x30 --kernel 3x3 --format svg", "<svg ", "<path "),  # dots
        ("matrix --size 6 --kernel 3 --format csv", "w0,w1,w2,0,0,0\n", "\n0,w0,w1,w2,0,0\n"),
        ("matrix --size 2 --kernel 2 --format csv --values=0.1,1/3", "0.1,0.3333333333333333", ""),
        ("explain --out-size 3 --kernel 4 --padding 1 --format markdown", "# Transposed", "```"),
        ("explain --out-size 3 --kernel 4 --padding 1 --format html", "<!doctype html>", "</math>"),
        ("explain --out-size 3 --kernel 4 --padding 1 --format svg", "<svg ", "</svg>"),
        ("explain --out-size 3 --kernel 4 --padding 1 --format animation", "<svg ", "@keyframes"),
        (
            "explain --out-size 3 --kernel 4 --view zeros --format animation",
            "<svg ",
            "kernel slides",
        ),
    ],
)
def test_each_format_is_written_as_it_is_shown(
    words: str, begins: str, holds: str, folder: Path, capsys: Captured
) -> None:
    text = shown(capsys, words)
    assert text.startswith(begins)
    assert holds in text
    assert shown(capsys, words, "--output", "told") == ""
    assert (folder / "told").read_text("utf-8") == text


def test_the_name_of_the_output_says_its_format(folder: Path, capsys: Captured) -> None:
    """A format that is named counts, and a name that contradicts it is refused."""
    words = {"matrix": "matrix --size 4 --kernel 2", "explain": "explain --size 4 --kernel 2"}
    for command, name, form in (
        ("matrix", "C.txt", "text"), ("matrix", "C.tex", "latex"), ("matrix", "C.mml", "mathml"),
        ("matrix", "C.HTML", "html"), ("matrix", "C.svg", "svg"), ("matrix", "C.csv", "csv"),
        ("explain", "C.md", "markdown"), ("explain", "C.svg", "svg"), ("explain", "C", "text"),
    ):  # fmt: skip
        text = shown(capsys, f"{words[command]} --format {form}")
        for given in ("", f"--format {form}"):
            assert shown(capsys, f"{words[command]} {given} -o {name}") == ""
            assert (folder / name).read_text("utf-8") == text
        (folder / name).unlink()
    assert shown(capsys, f"{words['matrix']} --values 1,2 --output C.npz") == ""
    assert scipy.sparse.load_npz("C.npz").shape == (3, 4)
    (folder / "C.npz").unlink()
    for line, error in {
        f"{words['matrix']} -o C.pdf": "C.pdf: unknown format; name a file that ends in .txt, .tex",
        f"{words['explain']} -o C.png": "name a file that ends in .txt, .md, .html, .svg",
        f"{words['matrix']} --format html -o C.svg": "C.svg: --format html writes .html; rename",
        "checkerboard --kernel 3 -o C.pdf": "unknown format; name a file that ends in .svg",
        "plan --size 4 --kernel 2 --measure -o C.txt": "name a file that ends in .json",
    }.items():
        assert error in refused(capsys, line)
    assert [*folder.iterdir()] == []


def test_numbers_are_written_as_a_sparse_file(folder: Path) -> None:
    words = "matrix --size 4 --kernel 2 --transpose --values=1/2,-3"
    assert run(f"{words} --format npz --output C") == 0
    saved = scipy.sparse.load_npz("C").toarray()
    assert saved.tolist() == [[0.5, 0, 0], [-3, 0.5, 0], [0, -3, 0.5], [0, 0, -3]]


def test_matrix_takes_channels_groups_and_modes(
    capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    words = "--in-channels 4 --out-channels 2 --groups 2 --padding 1:0 --padding-mode circular"
    text = shown(capsys, f"matrix --size 9 --kernel 3 --dilation 2 {words}")
    head, *lines = text.splitlines()
    assert head == "C, the convolution of 9 to 6: 12 rows, 36 columns"
    assert len([line for line in lines if "─" not in line]) == 12
    assert max(map(len, lines)) <= 60


def test_the_rule_of_an_entry(capsys: Captured) -> None:
    text = shown(capsys, "matrix --lazy --stride 2 --padding 1 --format latex")
    assert "C_{i,j}" in text.replace("{C}", "C")
    assert r"- 2 i + j + 1" in text
    text = shown(capsys, "matrix --lazy --size 5x5 --kernel 3x3 --transpose")
    assert "CT" in text.replace(".", "")


@pytest.mark.parametrize("kind", ["text", "latex", "mathml", "html", "svg"])
def test_no_size_is_too_large_to_show(kind: str, capsys: Captured) -> None:
    for words in (
        "--size 1000000 --kernel 3 --in-channels 1000000 --out-channels 1000000",
        "--size 1 --kernel 10000 --padding 10000 --padding-mode reflect",
        "--size 1000000 --kernel 1000000",
    ):
        assert len(shown(capsys, f"matrix {words} --format {kind}")) < 500_000


def test_explain_shows_the_views_that_are_asked_for(capsys: Captured) -> None:
    titles = {
        "stamps": "One element to many",
        "zeros": "Zeros between, and a convolution",
        "matrix": "The transposed matrix",
        "polyphase": "Phases, and a pixel shuffle",
    }
    words = "explain --out-size 2x2 --kernel 2x2 --y 0,1,2,3 --w 4,7,2,2"
    for view in (*titles, "all"):
        text = shown(capsys, f"{words} --view {view}")
        for name, title in titles.items():
            assert (title in text) == (view in (name, "all"))
        assert "8 28 23" in text
        assert ("All views give the same result." in text) == (view == "all")


def test_no_text_is_evaluated(capsys: Captured) -> None:
    for text in ("__import__('os')", "x", "1e9", "9**9", "1,,2", "0x10", "1" * 30):
        error = refused(capsys, "matrix --size 4 --kernel 2", f"--values={text},1")
        assert "give them as 4,7,-2,0.5,1/3" in error


# -- files -----------------------------------------------------------------------------------------

WRITERS = {
    "apply --input x.npy --kernel x.npy": "old.npy",
    "upsample x.npy --factor 2": "old.png",
    "matrix --size 9 --kernel 2": "old",
    "matrix --size 9 --kernel 2 --values 1,2 --format npz": "old.npz",
    "explain --out-size 2 --kernel 2": "old",
    "checkerboard --kernel 3 --stride 2": "old.svg",
}
"""A command for each kind of file, and a name for the file."""


@pytest.fixture
def x_file(folder: Path) -> Path:
    """The file that these commands read."""
    np.save("x.npy", normal((4, 4)))
    return folder / "x.npy"


@contextlib.contextmanager
def no_room() -> Iterator[None]:
    """No file can grow above 64 bytes."""
    resource: Any = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("words", WRITERS)
def test_without_room_the_old_file_stays(words: str, x_file: Path, capsys: Captured) -> None:
    old = x_file.with_name(WRITERS[words])
    old.write_bytes(b"old")
    with no_room():
        assert f"{old.name}: cannot be written (" in refused(capsys, words, "--output", old.name)
    assert old.read_bytes() == b"old"
    assert {*x_file.parent.iterdir()} == {x_file, old}


@pytest.mark.skipif(os.name != "posix", reason="needs pipes that are files")
@pytest.mark.parametrize("words", WRITERS)
def test_what_is_not_a_file_is_never_replaced(words: str, x_file: Path, capsys: Captured) -> None:
    name = WRITERS[words]
    target, link = x_file.with_name(name), x_file.with_name(f"link-{name}")
    link.symlink_to(target)
    with socket.socket(socket.AF_UNIX) as server:
        makers: list[Callable[[str], object]] = [os.mkfifo, server.bind, os.mkdir]
        for make in makers:
            make(name)  # relative, since the path of a socket must be short
            before = target.stat()
            for given in (target, link):
                error = refused(capsys, words, "--output", given.name)
                assert "not a file; choose another name" in error
                assert os.path.samestat(target.stat(), before)
                assert target.stat().st_mode == before.st_mode
                assert link.is_symlink()
            target.rmdir() if target.is_dir() else target.unlink()


@pytest.mark.parametrize("words", WRITERS)
def test_a_link_to_a_file_stays_a_link(words: str, x_file: Path) -> None:
    old = x_file.with_name(WRITERS[words])
    link = x_file.with_name(f"link-{old.name}")
    old.write_bytes(b"old")
    link.symlink_to(old)
    assert run(words, "--output", link.name) == 0
    assert link.is_symlink()
    assert len(old.read_bytes()) > 64
    assert {*x_file.parent.iterdir()} == {x_file, old, link}


def test_a_folder_that_is_closed_is_named(
    x_file: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    # An administrator may write anywhere, so we replace the system's answer.
    monkeypatch.setattr(os, "access", lambda *_: False)
    error = refused(capsys, "apply --input x.npy --kernel x.npy --output y.npy")
    assert "cannot be written to; choose another one" in error
    assert [*x_file.parent.iterdir()] == [x_file]


# -- terminals -------------------------------------------------------------------------------------


class Terminal(io.TextIOWrapper):
    """What a person looks at."""

    def isatty(self) -> bool:
        """Tell that it is a terminal."""
        return True


@pytest.mark.parametrize(
    ("encoding", "kind"),
    [("ascii", "xterm"), ("cp437", "xterm"), ("utf-8", "dumb"), ("utf-8", "linux")],
)
def test_a_terminal_without_the_signs_gets_ascii_in_the_same_columns(
    encoding: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def written(words: str, encoding: str, kind: str) -> list[str]:
        memory = io.BytesIO()
        monkeypatch.setenv("TERM", kind)
        monkeypatch.setattr(sys, "stdout", Terminal(memory, encoding))
        assert run(words) == 0
        return memory.getvalue().decode(encoding).splitlines()

    for words in (
        "matrix --size 4x4 --kernel 3",
        "matrix --size 30x30 --kernel 3",
        "explain --out-size 3x3 --kernel 3 --stride 2",
        "explain --out-size 2 --kernel 3",
        "checkerboard --kernel 3 --stride 2",
        "matrix --lazy --transpose --stride 2 --padding 1",
    ):
        plain, signs = written(words, encoding, kind), written(words, "utf-8", "xterm")
        assert len(plain) == len(signs)
        assert not re.search("[⎡⎢⎣⎤⎥⎦?]", "".join(plain))
        assert kind == "xterm" or "".join(plain).isascii()
        assert not "".join(signs).isascii()
        for one, other in zip(plain, signs, strict=True):
            assert len(one.replace(">=", "≥").replace("<=", "≤")) == len(other)
            assert re.findall(r"[\w]+", one) == re.findall(r"[\w]+", other)
    rule = "".join(written("matrix --lazy", encoding, kind))
    assert "k >= -i + j + 1" in rule.replace("≥", ">=")


# -- how the command ends --------------------------------------------------------------------------


def test_version_and_help(capsys: Captured) -> None:
    assert shown(capsys, "--version") == f"tconvjax {tc.__version__}\n"
    listed = shown(capsys, "--help")
    for command in ("tour", "apply", "size", "matrix", "explain", "upsample", "plan"):
        assert f"\n    {command}" in listed
        assert f"usage: tconvjax {command}" in shown(capsys, f"{command} --help")


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (KeyboardInterrupt(), 130, ""),
        (BrokenPipeError(), 141, ""),
        (OSError(errno.ENOSPC, "No space left"), 2, "tconvjax: error: the output cannot be written "
         "(No space left); make room, or send it elsewhere\n"),
    ],
)  # fmt: skip
def test_an_output_that_cannot_be_written_leaves_no_traceback(
    error: BaseException, status: int, said: str, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def write(text: str) -> int:
        raise error

    monkeypatch.setattr(sys.stdout, "write", write)
    for words in ("size --size 7 --kernel 3", "matrix --size 3 --kernel 2"):
        assert run(words) == status
        assert capsys.readouterr().err == said


def test_an_output_that_is_closed_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    assert run("size --size 7 --kernel 3") == 0
    sys.stdout.close()
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(os.name != "posix", reason="needs pipes of a system")
def test_a_reader_that_went_away_leaves_no_traceback() -> None:
    """In a process of its own, since Python flushes what is left when it exits."""
    reader, writer = os.pipe()
    os.close(reader)
    words = [sys.executable, "-m", "tconvjax", "size", "--size", "7", "--kernel", "3"]
    env = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(words, stdout=writer, stderr=subprocess.PIPE, env=env, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("nonsense", "choose from"),
        ("--nope", "see tconvjax --help"),
        ("apply", "see tconvjax apply --help"),
        ("size --size 7 --kernel 3 --stride 99999999999999999999", "give 1 to"),
        ("size --size 7 --kernel 3 --padding 1:2:3", "low:high"),
        ("size --size 7 --kernel 3 --padding FOO", "SAME"),
        ("size --size 7 --kernel 9", "sizes that do: 9 and more"),
        ("size --size __import__('os') --kernel 3", "give one such as 2"),
        ("matrix --size 5 --kernel 3 --in-channels 3 --groups 2", "give a divisor"),
        ("size --size 7 --kernel 3 --output-padding 1", "give at most 0"),
        ("matrix --size 5 --kernel 3 --trans", "--trans; see tconvjax matrix --help"),
        ("matrix --size 5", "give --size or --out-size, and --kernel; see"),
        ("matrix --size 5 --kernel 3 --values 1,2", "1x1x3 asks for 3"),
        ("matrix --size 5 --kernel 3 --values 1,2,1/0", "give them as 4,7,-2,0.5,1/3"),
        ("matrix --size 5 --kernel 3 --format npz --output C.npz", "give the kernel's numbers as"),
        ("matrix --size 5 --kernel 3 --output /no/folder/C", "cannot be written"),
        ("matrix --size 5 --kernel 3 --output .", "is not a file"),
        ("matrix --size 5 --kernel 3 --output=", "the name is empty"),
        ("matrix --size 5 --kernel 3 -o -", "- for a stream"),
        ("matrix --size 5 --kernel 3 -o new/", "that of a folder"),
        ("matrix --lazy --padding SAME", "give it as numbers"),
        ("matrix --lazy --groups 2", "it must divide in_channels=1"),
        ("matrix --lazy --size 5 --kernel 3 --values 1,2,3", "leave --values, --out"),
        ("matrix --lazy --out-size 5 --kernel 3", "leave --values, --out-size and"),
        ("matrix --lazy --output-padding 1 --stride 2", "--output-padding out"),
        ("explain --out-size 2x2 --kernel 2 --y 1,2,3", "asks for 4"),
        # what SymPy would take minutes for
        ("matrix --size 2000x2000 --kernel 3 --format csv", "smaller input"),
        ("matrix --size 1000000 --kernel 1000000 --format csv", "250000 is the limit; look at a"),
        # a layer to plan
        ("plan --size 4", "--kernel"),
        ("plan --size 8 --kernel 3 --dtype nix", "it must be a dtype; give one such as float32"),
        ("plan --size 8 --kernel 3 --in-channels 3 --groups 2", "error: --groups=2: it must"),
    ],
)  # fmt: skip
def test_wrong_words_are_one_line(words: str, remedy: str, folder: Path, capsys: Captured) -> None:
    assert remedy in refused(capsys, words)
    assert [*folder.iterdir()] == []


def test_a_name_with_a_line_break_is_still_one_line(capsys: Captured) -> None:
    assert "a b.npy: there is no such file" in refused(
        capsys, "apply --kernel k.npy --output y.npy --input", "a\nb.npy"
    )


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files that are right, and files that are wrong."""
    folder = tmp_path_factory.mktemp("inputs")
    arrays: dict[str, Any] = {
        "y": normal((1, 2, 4, 4)),
        "w": normal((2, 1, 3, 3)),
        "flat": normal((3, 3)),
        "line": normal((4,)),
        "number": np.float32(3),
        "five": normal((1, 5, 4, 4)),
        "bools": np.ones((1, 2, 4, 4), bool),
        "nan": np.full((4, 4), np.nan, np.float32),
    }
    for name, array in arrays.items():
        np.save(folder / name, array)
    np.save(folder / "objects.npy", np.array([{}, []], object), allow_pickle=True)
    (folder / "cut.npy").write_bytes((folder / "y.npy").read_bytes()[:150])
    (folder / "text.npy").write_text("1 2 3\n")
    (folder / "false.png").write_text("no picture")
    (folder / "folder.npy").mkdir()
    (folder / "link.npy").hardlink_to(folder / "y.npy")
    return folder


def test_a_picture_is_read_by_its_name_and_not_by_its_content(inputs: Path) -> None:
    """Pillow would hand PostScript to Ghostscript, whatever the file is called."""
    Image.new("RGB", (3, 3)).save(inputs / "pixmap.png", "PPM")
    (inputs / "script.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n"
    )
    for name in ("pixmap.png", "script.png"):
        with pytest.raises(CommandError, match="is no PNG file"):
            read_array(inputs / name)


def test_names_that_lead_in_a_circle_are_refused(inputs: Path, capsys: Captured) -> None:
    (inputs / "round.npy").symlink_to("round.npy")
    names = {name: inputs / f"{name}.npy" for name in ("round", "y", "w", "new")}
    for given, output in (("round", "new"), ("y", "round")):
        line = f"apply --input {names[given]} --kernel {names['w']} --output {names[output]}"
        assert "round.npy" in refused(capsys, line)


@pytest.mark.parametrize(("options", "platform"), [("-OO", ""), ("-O", "cuda")])
def test_without_docstrings_or_the_platform_there_is_an_answer(options: str, platform: str) -> None:
    words = [sys.executable, options, "-m", "tconvjax", "plan", "--size=7", "--kernel=3"]
    env = {**os.environ, "JAX_PLATFORMS": platform}
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    said = (
        "tconvjax: error: JAX_PLATFORMS=cuda: JAX has no such device here; leave"
        if platform
        else ""
    )
    assert (done.returncode, done.stderr[: len(said)]) == (2 if platform else 0, said)
    assert done.stderr.count("\n") == bool(platform)


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ("--input missing.npy", "there is no such file; check the name"),
        ("--input text.npy", "text.npy: is no NumPy file (EOF"),
        ("--input cut.npy", "write numbers with numpy.save"),
        ("--input objects.npy", "write numbers with numpy.save"),
        ("--input bools.npy", "convert it with .astype"),
        ("--input table.csv", "unknown format; name a .npy file"),
        ("--input folder.npy", "folder.npy: it is not a file; check the name"),
        ("--input false.png", "convert or rename it"),
        ("--input line.npy", "reshape it"),
        ("--input line.npy --kernel flat.npy", "reshape one of them"),
        ("--kernel number.npy", "at least one spatial axis"),
        ("--padding 9", "less in all"),
        ("--groups 2 --kernel flat.npy", "leave them out"),
        ("--stride 2x2x2", "--stride=2x2x2: the convolution has 2 spatial axes"),
        ("--layout NHWC", "such as NHWC,HWIO,NHWC"),
        ("--layout NHWC,HWIO,NHWC --output new.png", "layouts that begin with NC"),
        ("--forward --output-padding 1", "leave them out"),
        ("--stride 900000 --kernel flat.npy", "give smaller sizes, steps or padding"),
        ("--output new.gif", "unknown format"),
        ("--output no/folder/new.npy", "is missing or cannot be written to"),
        ("--output text.npy/new.npy", "is missing or cannot be written to"),
        ("--output ./w.npy", "choose another name for the output"),
        ("--output link.npy", "choose another name for the output"),
        ("--input nan.npy --kernel flat.npy --output new.png", "write a .npy file"),
        ("--input five.npy --kernel flat.npy --output new.png", "write a .npy file"),
    ],
)
def test_apply_refuses_in_one_line_and_writes_nothing(
    given: str, remedy: str, inputs: Path, capsys: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(inputs)
    before = {p: p.read_bytes() for p in inputs.iterdir() if p.is_file()}
    # The last of two options counts.
    assert remedy in refused(capsys, f"apply --input y.npy --kernel w.npy --output new.npy {given}")
    assert {p: p.read_bytes() for p in inputs.iterdir() if p.is_file()} == before
