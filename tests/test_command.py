"""The command line: its tour, its files, its sizes and matrices, and its one-line errors."""

from __future__ import annotations

import dataclasses
import errno
import io
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import jax
import numpy as np
import pytest

import tconvjax
from tconvjax.__main__ import main
from tconvjax.command import files, tour
from tconvjax.command.tutorial import EXAMPLES

PICTURE_SIZE = (5, 6)


def run(*words: object) -> int:
    """Call the command in this process."""
    return main([str(word) for word in words])


def save(path: Path, array: object) -> Path:
    """Write a .npy file."""
    np.save(path, np.asarray(array))
    return path


def normal(shape: Sequence[int], dtype: str = "float32", seed: int = 0) -> np.ndarray:
    """Random numbers."""
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


@pytest.fixture
def x_file(tmp_path: Path) -> Path:
    return save(tmp_path / "x.npy", normal((2, 4, 5, 6)))


@pytest.fixture
def kernel_file(tmp_path: Path) -> Path:
    return save(tmp_path / "k.npy", normal((4, 2, 3, 3), seed=1))


# -- the tour --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tour_text() -> str:
    out = io.StringIO()
    assert tour.run_tour(out)
    return out.getvalue()


def test_tour_matches_every_example(tour_text: str) -> None:
    assert tour_text.endswith("\n7 of 7 examples match\n")
    assert tour_text.count("equals the tutorial's result") == 6
    assert "WRONG" not in tour_text


def test_tour_fits_a_terminal(tour_text: str) -> None:
    lines = tour_text.splitlines()
    assert max(map(len, lines)) <= 80
    assert all(line == line.rstrip() for line in lines)
    assert "\n\n\n" not in tour_text


def test_tour_has_five_parts(tour_text: str) -> None:
    starts = [line[:2] for line in tour_text.splitlines() if line[1:3] == ". "]
    assert starts == ["1.", "2.", "3.", "4.", "5."]


@pytest.mark.parametrize(
    "line",
    [
        "⎢2 2 7 4⎥ * ⎢2⎥ = ⎢28⎥",  # no padding, the middle row
        "[2 2 7 4] * ⎢1⎥ = [28]",  # padding 1 leaves that row
        "⎢· 4 · ·⎥   ⎡0⎤   ⎢4⎥",  # stride 4
        "⎢3 2 1 · 3 2 5 4⎥ * ⎢4⎥ = ⎢93⎥",  # two channels
        "⎢w11 w10 w01 w00⎥",  # C.T of the 4x16 matrix
        "⎡w00 w01 w02   · w10 w11 w12   · w20 w21 w22   ·   ·   ·   ·   ·⎤",
        "C.T * vec(y) = ⎢  · 3/4 1/4   ·⎥ * ⎢a⎥",  # bilinear
    ],
)
def test_tour_prints_each_matrix(tour_text: str, line: str) -> None:
    assert line in tour_text


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_tour_fails_on_a_wrong_result(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    example = EXAMPLES[name]
    wrong = np.array(example.result)
    wrong[0, 0, -1, -1] += 1
    planted = dataclasses.replace(example, result=wrong.tolist())
    monkeypatch.setitem(EXAMPLES, name, planted)
    out = io.StringIO()
    assert not tour.run_tour(out)
    assert "WRONG: equals the tutorial's result" in out.getvalue()
    assert "they differ by up to 1" in out.getvalue()
    assert out.getvalue().endswith("6 of 7 examples match\n")
    assert max(map(len, out.getvalue().splitlines())) <= 80


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("FIRST_PIXEL", [[16, 20], [8, 13]]),
        ("SHAPES", ((1, 10, 16, 16), (1, 20, 6, 6), (1, 10, 17, 16))),
        ("MATRIX_SHAPE", (16, 4)),
        ("BILINEAR", np.zeros((4, 4)).tolist()),
        ("TILES", np.zeros((4, 4)).tolist()),
        ("NAILS", np.zeros((4, 4)).tolist()),
    ],
)
def test_tour_fails_on_a_wrong_fact(
    name: str, value: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tour, name, value)
    assert run("tour") == 1
    assert capsys.readouterr().out.endswith("6 of 7 examples match\n")


def test_no_argument_is_the_tour_in_a_process_of_its_own() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tconvjax"], capture_output=True, timeout=600, encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"}, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("7 of 7 examples match\n")


# -- apply -----------------------------------------------------------------------------------------


def test_apply_is_conv_transpose(
    x_file: Path, kernel_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bias = save(tmp_path / "b.npy", normal((4,), seed=2))
    output = tmp_path / "y.npy"
    assert not run(
        "apply", "--input", x_file, "--kernel", kernel_file, "--bias", bias, "--output", output,
        "--stride", "2x1", "--padding", "1:0x0:2", "--output-padding", "1,0", "--groups", 2,
    )  # fmt: skip
    expected = tconvjax.conv_transpose(
        jax.numpy.asarray(np.load(x_file)), np.load(kernel_file), np.load(bias), stride=(2, 1),
        padding=((1, 0), (0, 2)), output_padding=(1, 0), groups=2,
    )  # fmt: skip
    np.testing.assert_allclose(np.load(output), expected, rtol=1e-5, atol=1e-5)
    printed = capsys.readouterr().out
    assert f"y.npy  {expected.shape} float32" in printed
    assert "conv_transpose by " in printed
    assert "compiled in" in printed
    assert "ran in" in printed


def test_apply_forward_goes_back_in_shape(kernel_file: Path, tmp_path: Path) -> None:
    x = save(tmp_path / "big.npy", normal((1, 2, 9, 8)))
    output = tmp_path / "y.npy"
    assert not run(
        "apply", "--forward", "--input", x, "--kernel", kernel_file, "--output", output,
        "--stride", "2", "--padding", "1", "--dilation", "1", "--algorithm", "patches",
    )  # fmt: skip
    expected = tconvjax.conv(np.load(x), np.load(kernel_file), stride=2, padding=1)
    np.testing.assert_allclose(np.load(output), expected, rtol=1e-5, atol=1e-5)
    back = tmp_path / "back.npy"
    assert not run(
        "apply", "--input", output, "--kernel", kernel_file, "--output", back, "--stride", "2",
        "--padding", "1", "--output-size", "9x8",
    )  # fmt: skip
    assert np.load(back).shape == (1, 2, 9, 8)


def test_apply_takes_layouts_modes_and_names(tmp_path: Path) -> None:
    y = save(tmp_path / "y.npy", normal((1, 3, 3, 4)))
    w = save(tmp_path / "w.npy", normal((3, 3, 2, 4), seed=1))
    numbers = ("NHWC", "HWIO", "NHWC")
    output = tmp_path / "out.npy"
    words = ("apply", "--input", y, "--kernel", w, "--output", output)
    assert not run(*words, "--layout", ",".join(numbers), "--padding", "same", "--stride", 2)
    expected = tconvjax.conv_transpose(
        np.load(y), np.load(w), stride=2, padding="SAME", dimension_numbers=numbers
    )
    np.testing.assert_allclose(np.load(output), expected, rtol=1e-5, atol=1e-5)
    assert not run(
        *words, "--layout", ",".join(numbers), "--padding", "1", "--padding-mode", "circular"
    )
    assert np.load(output).shape == (1, 3, 3, 2)


@pytest.mark.parametrize("lead", [(), (3,), (2, 3)])
def test_bare_kernel_takes_every_channel_alone(lead: tuple[int, ...], tmp_path: Path) -> None:
    x = save(tmp_path / "x.npy", normal((*lead, 4, 5)))
    w = save(tmp_path / "w.npy", normal((3, 2), seed=1))
    output = tmp_path / "y.npy"
    assert not run("apply", "--input", x, "--kernel", w, "--output", output, "--stride", "2")
    result = np.load(output)
    assert result.shape == (*lead, 9, 10)
    for index in np.ndindex(*lead):
        alone = tconvjax.conv_transpose(np.load(x)[index][None], np.load(w)[None, None], stride=2)
        np.testing.assert_allclose(result[index], alone[0], rtol=1e-5, atol=1e-5)


def test_bare_kernel_of_one_axis(tmp_path: Path) -> None:
    x, w = save(tmp_path / "x.npy", [[1, 2], [3, 4]]), save(tmp_path / "w.npy", [1, 10])
    assert not run("apply", "--input", x, "--kernel", w, "--output", tmp_path / "y.npy")
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), [[1, 12, 20], [3, 34, 40]])


@pytest.mark.parametrize(
    ("dtypes", "expected"),
    [
        (("float64", "float32"), "float64"),
        (("int64", "int64"), "int64"),
        (("complex64", "float64"), "complex128"),
        (("float32", "float32"), "float32"),
        (("float16", "float16"), "float16"),
        ((">f4", "float32"), "float32"),
        (("uint8", "float32"), "float32"),
    ],
)
def test_no_number_is_narrowed(dtypes: tuple[str, str], expected: str, tmp_path: Path) -> None:
    x = save(tmp_path / "x.npy", np.array([[3, 1]], dtypes[0]))
    w = save(tmp_path / "w.npy", np.array([1, 2], dtypes[1]))
    with jax.enable_x64(False):  # as users have it
        assert not run("apply", "--input", x, "--kernel", w, "--output", tmp_path / "y.npy")
        assert jax.numpy.zeros(()).dtype == "float32"
    result = np.load(tmp_path / "y.npy")
    assert result.dtype.name == expected
    np.testing.assert_array_equal(result, [[3, 7, 2]])


def test_an_existing_output_is_replaced_whole(
    x_file: Path, kernel_file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "y.npy"
    output.write_bytes(b"old" * 100_000)
    assert not run("apply", "--input", x_file, "--kernel", kernel_file, "--output", output)
    assert np.load(output).shape == (2, 2, 7, 8)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["k.npy", "x.npy", "y.npy"]


# -- pictures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "channels"), [("L", 1), ("1", 1), ("RGB", 3), ("RGBA", 4), ("P", 3), ("LA", 4)]
)
def test_picture_in_and_out(mode: str, channels: int, tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(0).integers(0, 256, (*PICTURE_SIZE, 3)).astype(np.uint8)
    image.fromarray(pixels).convert(mode).save(tmp_path / "in.png")
    kernel = save(tmp_path / "k.npy", np.ones((2, 2), np.float32))
    words = ("apply", "--input", tmp_path / "in.png", "--kernel", kernel, "--stride", 2)
    assert not run(*words, "--output", tmp_path / "y.npy")
    assert not run(*words, "--output", tmp_path / "out.png")
    array = np.load(tmp_path / "y.npy")
    assert array.dtype == np.float32
    assert array.shape == (channels, 10, 12)
    shown = files.read_array(tmp_path / "out.png")
    np.testing.assert_array_equal(shown, array)


def test_picture_is_rounded_and_clipped(tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    x = save(tmp_path / "x.npy", np.array([[-3, 0.4], [99.6, 300]], np.float32))
    w = save(tmp_path / "w.npy", np.ones((1, 1), np.float32))
    assert not run("apply", "--input", x, "--kernel", w, "--output", tmp_path / "y.png")
    np.testing.assert_array_equal(files.read_array(tmp_path / "y.png"), [[[0, 0], [100, 255]]])


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".bmp", ".tiff", ".PNG"])
def test_picture_formats(suffix: str, tmp_path: Path) -> None:
    pytest.importorskip("PIL")
    path = tmp_path / f"flat{suffix}"
    files.write_array(path, np.full((3, 8, 8), 100))
    assert abs(files.read_array(path) - 100).max() <= 2


def test_the_message_without_pillow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    words = ("apply", "--input", tmp_path / "x.png", "--kernel", "k.npy", "--output")
    assert run(*words, tmp_path / "y.npy") == 2
    assert one_error(capsys).endswith("install it with pip install 'tconvjax[image]'")


# -- size and matrix -------------------------------------------------------------------------------


def test_size_lists_the_sizes_that_share_one(capsys: pytest.CaptureFixture[str]) -> None:
    assert not run("size", "--size", "7", "--kernel", "3", "--stride", "2", "--padding", "1")
    assert capsys.readouterr().out.splitlines() == [
        "convolution             7 -> 4",
        "transposed convolution  4 -> 7  (output_padding 0)",
        "axis 0: input sizes whose output size is 4",
        "        7  output_padding 0  <- the size given",
        "        8  output_padding 1",
    ]


def test_size_says_the_truth(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--kernel", "3", "--stride", "3", "--dilation", "2", "--padding", "1:2")
    assert not run("size", "--size", "11x12", *words)
    printed = capsys.readouterr().out
    _, first, second = printed.split("axis ")
    for lines in (first, second):
        for line in lines.splitlines()[1:]:
            size, _, extra = line.split("<")[0].split()
            y, w = jax.numpy.ones((1, 4)), jax.numpy.ones((1, 1, 3))
            result = tconvjax.conv_transpose(
                y, w, stride=3, dilation=2, padding=((1, 2),), output_padding=int(extra)
            )
            assert result.shape == (1, int(size))
    assert printed.count("<- the size given") == 2


def test_size_of_named_and_of_wide_padding(capsys: pytest.CaptureFixture[str]) -> None:
    assert not run("size", "--size", "7", "--kernel", "3", "--stride", "2", "--padding", "SAME")
    assert "7  output_size 7  <- the size given" in capsys.readouterr().out
    assert not run("size", "--size", "1", "--kernel", "1", "--stride", "3", "--padding", "1")
    printed = capsys.readouterr().out
    assert "1 -> none without output_padding" in printed
    assert "1  output_padding 2  <- the size given" in printed


def test_size_shortens_a_long_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert not run("size", "--size", "500", "--kernel", "1", "--stride", "1000000")
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) < 20
    assert "500  output_padding 499  <- the size given" in printed


@pytest.mark.parametrize(
    ("words", "name", "lines"),
    [
        ((), "C, the convolution of 4 to 3: 3 rows, 4 columns",
         ["⎡w0 w1  ·  ·⎤", "⎢ · w0 w1  ·⎥", "⎣ ·  · w0 w1⎦"]),
        (("--transpose",), "C.T, the transpose of the convolution of 4 to 3: 4 rows, 3 columns",
         ["⎡w0  ·  ·⎤", "⎢w1 w0  ·⎥", "⎢ · w1 w0⎥", "⎣ ·  · w1⎦"]),
    ],
)  # fmt: skip
def test_matrix_as_text(
    words: tuple[str, ...], name: str, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert not run("matrix", "--size", "4", "--kernel", "2", *words)
    assert capsys.readouterr().out.splitlines() == [name, *lines]


def test_matrix_as_latex_is_only_latex(capsys: pytest.CaptureFixture[str]) -> None:
    assert not run("matrix", "--size", "2x1", "--kernel", "2x1", "--format", "latex")
    expected = (
        r"\left[\begin{array}{c|c}\textcolor[RGB]{0,114,178}{w_{0,0}} & "
        r"\textcolor[RGB]{230,159,0}{w_{1,0}}\end{array}\right]"
    )
    assert capsys.readouterr().out.strip() == expected


@pytest.mark.parametrize(
    ("kind", "begins", "holds"),
    [
        ("mathml", "<math ", "<msub>"),
        ("html", "<!doctype html>", 'data-tap="2"'),
        ("svg", "<svg ", 'aria-label="C, the convolution of 6 to 4"'),
        ("csv", "w0,w1,w2,0,0,0", "0,w0,w1,w2,0,0"),
    ],
)
def test_matrix_in_other_formats(
    kind: str, begins: str, holds: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("matrix", "--size", "6", "--kernel", "3", "--format", kind)
    assert not run(*words)
    shown = capsys.readouterr().out
    assert shown.startswith(begins)
    assert holds in shown
    assert not run(*words, "--output", tmp_path / "C")
    assert (tmp_path / "C").read_text("utf-8") == shown
    assert not capsys.readouterr().out


def test_a_large_matrix_is_drawn_as_dots(capsys: pytest.CaptureFixture[str]) -> None:
    assert not run("matrix", "--size", "30x30", "--kernel", "3x3", "--format", "svg")
    assert capsys.readouterr().out.count("<path") == 9  # one for each tap
    assert not run("matrix", "--size", "900000x900000", "--kernel", "3x3", "--format", "svg")
    assert "⋱" in capsys.readouterr().out


def test_matrix_with_numbers_as_a_sparse_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import scipy.sparse

    path = tmp_path / "C.npz"
    words = ("matrix", "--size", "4", "--kernel", "2", "--values=1/2,-3")
    assert not run(*words, "--format", "npz", "--transpose", "--output", path)
    saved = scipy.sparse.load_npz(path).toarray()
    assert saved.tolist() == [[0.5, 0, 0], [-3, 0.5, 0], [0, -3, 0.5], [0, 0, -3]]
    assert not run(*words)
    assert capsys.readouterr().out.splitlines()[1] == "⎡1/2  -3   ·   ·⎤"


def test_the_rule_of_an_entry(capsys: pytest.CaptureFixture[str]) -> None:
    assert not run("matrix", "--lazy", "--stride", 2, "--padding", 1, "--format", "latex")
    text = capsys.readouterr().out
    assert "C_{i,j}" in text.replace("{C}", "C")
    assert r"- 2 i + j + 1" in text
    assert not run("matrix", "--lazy", "--size", "5x5", "--kernel", "3x3", "--transpose")
    assert "CT" in capsys.readouterr().out.replace(".", "")


@pytest.mark.parametrize("view", ["stamps", "zeros", "matrix", "polyphase", "all"])
def test_explain_shows_the_views(view: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("explain", "--size", "2x2", "--kernel", "2x2", "--y", "0,1,2,3", "--w", "4,7,2,2")
    assert not run(*words, "--view", view)
    text = capsys.readouterr().out
    titles = {
        "stamps": "One element to many", "zeros": "Zeros between, and a convolution",
        "matrix": "The transposed matrix", "polyphase": "Phases, and a pixel shuffle",
    }  # fmt: skip
    for name, title in titles.items():
        assert (title in text) == (view in (name, "all"))
    assert "8 28 23" in text
    assert ("All views give the same result." in text) == (view == "all")


@pytest.mark.parametrize(
    ("kind", "begins"),
    [("markdown", "# Transposed"), ("html", "<!doctype"), ("svg", "<svg"), ("animation", "<svg")],
)
def test_explain_in_other_formats(
    kind: str, begins: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("explain", "--size", "3", "--kernel", "4", "--stride", 2, "--padding", 1)
    assert not run(*words, "--format", kind)
    shown = capsys.readouterr().out
    assert shown.startswith(begins)
    assert not run(*words, "--format", kind, "--output", tmp_path / "told")
    assert (tmp_path / "told").read_text("utf-8") == shown


def test_no_text_is_evaluated(capsys: pytest.CaptureFixture[str]) -> None:
    for text in ("__import__('os')", "x", "1e9", "9**9", "1,,2", "0x10", "1" * 30):
        words = ("matrix", "--size", "4", "--kernel", "2", f"--values={text},1")
        assert run(*words) == 2
        assert "give them as 4,7,-2,0.5,1/3" in one_error(capsys)


def test_matrix_takes_channels_groups_and_modes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert not run(
        "matrix", "--size", "9", "--kernel", "3", "--in-channels", 4, "--out-channels", 2,
        "--groups", 2, "--padding", "1:0", "--padding-mode", "circular", "--dilation", 2,
    )  # fmt: skip
    head, *lines = capsys.readouterr().out.splitlines()
    assert head == "C, the convolution of 9 to 6: 12 rows, 36 columns"
    assert len([line for line in lines if "─" not in line]) == 12
    assert max(map(len, lines)) <= 60


# -- the rest of the terminal ----------------------------------------------------------------------


def test_version_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"tconvjax {tconvjax.__version__}\n"
    for words in (["--help"], ["apply", "--help"], ["size", "--help"], ["matrix", "--help"]):
        assert run(*words) == 0
        assert "usage: tconvjax" in capsys.readouterr().out


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, 130), (BrokenPipeError, 141)])
def test_quiet_ends(
    error: type[BaseException], status: int, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def end(out: object) -> bool:
        raise error

    monkeypatch.setattr(tour, "run_tour", end)
    monkeypatch.setattr("tconvjax.__main__._drop_output", lambda: None)
    assert run("tour") == status
    assert capsys.readouterr().err == ""


@pytest.mark.skipif(os.name != "posix", reason="needs a shell with head")
def test_a_closed_pipe_leaves_no_traceback() -> None:
    command = f"'{sys.executable}' -m tconvjax matrix --size 4x4 --kernel 3x3 | head -c 1"
    done = subprocess.run(["sh", "-c", command], capture_output=True, timeout=600, check=False)
    assert done.stderr == b""


# -- errors ----------------------------------------------------------------------------------------


def one_error(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on stderr."""
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("tconvjax: error: ")
    assert printed.err.count("\n") == 1
    return printed.err.rstrip("\n")


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("nonsense", "choose from"),
        ("--nope", "see tconvjax --help"),
        ("apply", "see tconvjax apply --help"),
        ("size --size 7 --kernel 3 --stride two", "give one such as 2"),
        ("size --size 7 --kernel 3 --stride 0", "give 1 to"),
        ("size --size 7 --kernel 3 --stride -1", "give one such as 2"),
        ("size --size 7 --kernel 3 --stride 99999999999999999999", "give 1 to"),
        ("size --size 7 --kernel 3 --padding 1:2:3", "low:high"),
        ("size --size 7 --kernel 3 --padding FOO", "SAME"),
        ("size --size 7 --kernel 9", "sizes that do: 9 and more"),
        ("size --size 7x7 --kernel 3x3x3", "give one int, or 2 ints"),
        ("size --size 7 --kernel 3 --output-padding 1", "give at most 0"),
        ("size --size __import__('os') --kernel 3", "give one such as 2"),
        ("matrix --size 5 --kernel 3 --in-channels 3 --groups 2", "give a divisor"),
        ("matrix --size 5 --kernel 3 --padding-mode mirror", "use one of them"),
        ("matrix --size 2000x2000 --kernel 3 --format csv", "smaller input"),
        ("matrix --size 5 --kernel 3 --format pdf", "choose from"),
        ("matrix --size 5", "--size and --kernel are needed"),
        ("matrix --size 5 --kernel 3 --values 1,2", "1x1x3 asks for 3"),
        ("matrix --size 5 --kernel 3 --values 1,2,1/0", "divides by zero"),
        ("matrix --size 5 --kernel 3 --format npz", "give a file as --output C.npz"),
        ("matrix --size 5 --kernel 3 --format npz --output C.npz", "give the kernel's as --values"),
        ("matrix --size 5 --kernel 3 --output /no/folder/C", "cannot be written"),
        ("matrix --lazy --padding SAME", "give it as numbers"),
        ("matrix --lazy --format csv", "shows an equation"),
        ("matrix --lazy --groups 2", "must divide --in-channels 1; give a divisor"),
        ("matrix --lazy --groups 2 --in-channels 3 --out-channels 4", "give a divisor"),
        ("matrix --lazy --size 5 --kernel 3 --values 1,2,3", "leave one of the two out"),
        ("explain --size 2x2", "see tconvjax explain --help"),
        ("explain --size 2x2 --kernel 2 --y 1,2,3", "asks for 4"),
        ("explain --size 2 --kernel 2 --view pixels", "choose from"),
        ("explain --size 2 --kernel 2 --in-channels 3 --groups 2", "must divide --in-channels 3"),
        ("matrix --size 5 --kernel 3 --trans", "see tconvjax"),
    ],
)
def test_wrong_words_are_one_line(
    words: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words.split()) == 2
    assert remedy in one_error(capsys)


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a socket."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.skipif(os.name != "posix", reason="needs pipes that are files")
@pytest.mark.parametrize("kind", ["pipe", "socket", "link"])
@pytest.mark.parametrize(
    "words",
    [
        "matrix --size 3 --kernel 2",
        "matrix --size 3 --kernel 2 --format npz --values 1,2",
        "matrix --lazy",
        "explain --size 2 --kernel 2",
    ],
)
def test_what_is_no_file_is_never_replaced(
    kind: str, words: str, short_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = given = short_folder / "p"
    if kind == "socket":
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(target))
    else:
        os.mkfifo(target)
    if kind == "link":
        given = short_folder / "link"
        given.symlink_to(target)
    before = target.stat().st_mode
    assert run(*words.split(), "--output", given) == 2
    assert "exists and is not a file; choose another name" in one_error(capsys)
    assert target.stat().st_mode == before
    assert given.is_symlink() == (kind == "link")


@pytest.mark.skipif(os.name != "posix", reason="needs pipes that are files")
def test_a_report_replaces_no_pipe(short_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(short_folder / "p")
    assert run("bench", "--case", "tiny_latency", "--json", short_folder / "p") == 2
    assert "exists and is not a file; choose another name" in one_error(capsys)


def test_a_link_to_a_file_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert not run("matrix", "--size", 3, "--kernel", 2, "--output", tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert "w0 w1" in (tmp_path / "file").read_text("utf-8")


@pytest.mark.parametrize(("name", "remedy"), [("", "the name is empty"), ("/", "is a folder")])
@pytest.mark.parametrize("words", ["matrix --size 3 --kernel 2", "explain --size 2 --kernel 2"])
def test_what_names_no_file_is_said_so(
    name: str, remedy: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*words.split(), "--output", name) == 2
    assert remedy in one_error(capsys)


@pytest.mark.parametrize("words", ["matrix --size 3 --kernel 2", "explain --size 2 --kernel 2"])
def test_a_full_disk_is_one_line(
    words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(text: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(sys.stdout, "write", full)
    monkeypatch.setattr("tconvjax.__main__._drop_output", lambda: None)
    assert run(*words.split()) == 2
    assert "the output cannot be written (No space left on device); make room" in one_error(capsys)


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("matrix --lazy --size 900 --kernel 900 --padding 1 --padding-mode replicate", "so that k"),
        ("matrix --lazy --size 9x9x9 --kernel 9x9x9 --padding 1 --padding-mode reflect", "k sta"),
        ("matrix --lazy --size 500000 --kernel 400000 --padding 1 --padding-mode circular", "k st"),
        ("matrix --size 1000000 --kernel 1000000 --format csv", "give a smaller input, or take"),
        ("matrix --size 1 --kernel 100000 --padding 50000 --padding-mode circular --format csv",
         "give a smaller input, or take"),
        ("matrix --size 1 --kernel 1 --padding 1000000 --format csv", "smaller input"),
    ],
)  # fmt: skip
def test_what_would_take_minutes_is_refused_at_once(
    words: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    start = time.process_time()
    assert run(*words.split()) == 2
    assert time.process_time() - start < 1
    assert remedy in one_error(capsys)


@pytest.mark.parametrize("kind", ["text", "latex", "mathml", "html", "svg"])
@pytest.mark.parametrize(
    "words",
    [
        "--size 32x32 --kernel 3x3 --in-channels 512 --out-channels 512",
        "--size 1000000 --kernel 3 --in-channels 1000000 --out-channels 1000000",
        "--size 2 --kernel 3000 --padding 3000 --padding-mode circular",
        "--size 1 --kernel 1000000 --padding 1000000 --padding-mode reflect",
        "--size 3 --kernel 300 --padding 300 --padding-mode reflect",
        "--size 1000000 --kernel 1000000",
        "--size 1000000 --kernel 1 --stride 100",
        "--lazy --size 64 --kernel 64 --padding 1 --padding-mode replicate",
    ],
)
def test_no_size_is_too_large_to_show(
    words: str, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    start = time.process_time()
    assert not run("matrix", *words.split(), "--format", kind)
    assert time.process_time() - start < 5
    shown = capsys.readouterr().out
    assert len(shown) < 500_000
    if kind == "svg":
        assert int(re.findall(r' width="(\d+)"', shown)[0]) <= 20_020


def test_numbers_are_shown_as_they_were_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert not run("matrix", "--size", 2, "--kernel", 2, "--values=0.123456789,-1/3")
    assert capsys.readouterr().out.splitlines()[1] == "[0.123456789        -1/3]"
    assert not run("matrix", "--size", 2, "--kernel", 2, "--values=0.1,1/3", "--format", "csv")
    assert capsys.readouterr().out == "0.1,0.3333333333333333\n"


@pytest.mark.parametrize("kind", ["text", "mathml"])
def test_an_index_has_one_name_in_a_rule(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--padding", 1, "--padding-mode", "circular", "--format", kind)
    assert not run("matrix", "--lazy", *words)
    shown = capsys.readouterr().out
    assert "t0" in shown
    assert "_t0" not in shown
    assert "<mi></mi>" not in shown


@pytest.mark.skipif(os.name != "posix", reason="needs a limit on the size of files")
def test_no_room_and_no_output_leave_no_traceback(tmp_path: Path) -> None:
    command = f"'{sys.executable}' -m tconvjax matrix --size 4x4 --kernel 3x3"
    limited = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)); "
        "sys.argv[1:] = 'matrix --size 4 --kernel 2'.split(); "
        "runpy.run_module('tconvjax', run_name='__main__')"
    )
    with (tmp_path / "full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-c", limited], stdout=full, stderr=subprocess.PIPE, timeout=600,
            check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.decode() == (
        "tconvjax: error: the output cannot be written (File too large); make room, or send it "
        "elsewhere\n"
    )
    closed = subprocess.run(
        ["sh", "-c", f"{command} >&-"], capture_output=True, timeout=600, check=False
    )
    assert (closed.returncode, closed.stderr) == (0, b"")


def make_inputs(folder: Path) -> None:
    """Files that are right, and files that are wrong."""
    save(folder / "y.npy", normal((1, 2, 4, 4)))
    save(folder / "w.npy", normal((2, 1, 3, 3)))
    save(folder / "flat.npy", normal((3, 3)))
    save(folder / "rank1.npy", normal((4,)))
    save(folder / "rank0.npy", np.float32(3))
    save(folder / "five.npy", normal((1, 5, 4, 4)))
    save(folder / "bools.npy", np.ones((1, 2, 4, 4), bool))
    save(folder / "words.npy", ["a", "b"])
    save(folder / "nan.npy", np.full((4, 4), np.nan, np.float32))
    np.save(folder / "objects.npy", np.array([{}, []], object), allow_pickle=True)
    (folder / "text.npy").write_text("1 2 3\n")
    (folder / "empty.npy").write_bytes(b"")
    (folder / "cut.npy").write_bytes((folder / "y.npy").read_bytes()[:150])
    (folder / "head.npy").write_bytes((folder / "y.npy").read_bytes()[:30])
    (folder / "table.csv").write_text("1,2\n")
    (folder / "false.png").write_text("no picture")
    (folder / "folder.npy").mkdir()


@pytest.mark.parametrize(
    ("given", "remedy"),
    [
        ("--input missing.npy", "there is no such file; check the name"),
        ("--input text.npy", "not a .npy file; write one with numpy.save"),
        ("--input empty.npy", "not a .npy file"),
        ("--input cut.npy", "write it again"),
        ("--input head.npy", "write it again"),
        ("--input objects.npy", "save numbers"),
        ("--input bools.npy", "array.astype"),
        ("--input words.npy", "array.astype"),
        ("--input table.csv", "unknown format; name a .npy file"),
        ("--input folder.npy", "this is not a file"),
        ("--input false.png", "check the file"),
        ("--input rank1.npy", "reshape it"),
        ("--input rank1.npy --kernel flat.npy", "reshape one of them"),
        ("--kernel rank0.npy", "give 1 axis or more"),
        ("--input five.npy", "must have 5 entries"),
        ("--bias flat.npy", "reshape it to (1,)"),
        ("--padding 9", "less in all"),
        ("--output-size 40x40", "sizes that do: 6"),
        ("--stride 2 --output-padding 2", "give at most 1"),
        ("--groups 2 --kernel flat.npy", "leave them out"),
        ("--layout NHWC,HWIO,NHWC --kernel flat.npy", "leave them out"),
        ("--layout NHWC", "such as NHWC,HWIO,NHWC"),
        ("--layout ABC,DEF,GHI", "dimension_numbers"),
        ("--layout NHWC,HWIO,NHWC --output new.png", "begin the first and the last layout with NC"),
        ("--forward --output-padding 1", "leave them out"),
        ("--algorithm quick", "use one of them"),
        ("--stride 900000 --kernel flat.npy", "give smaller sizes, steps or padding"),
        ("--stride two", "give one such as 2"),
        ("--stride 0", "give 1 to"),
        ("--output new.gif", "unknown format"),
        ("--output no/folder/new.npy", "create it first"),
        ("--output y.npy", "choose another name for the output"),
        ("--output ./w.npy", "choose another name for the output"),
        ("--output folder.npy", "choose another name"),
        ("--output text.npy/new.npy", "create it first"),
        ("--input nan.npy --kernel flat.npy --output new.png", "write a .npy file"),
        ("--input five.npy --kernel flat.npy --output new.png", "write a .npy file"),
    ],
)
def test_apply_refuses_in_one_line(
    given: str, remedy: str, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if ".png" in given:
        pytest.importorskip("PIL")
    monkeypatch.chdir(tmp_path)
    make_inputs(tmp_path)
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    words = {"--input": "y.npy", "--kernel": "w.npy", "--output": "new.npy"}
    given_words = given.split()
    flags = [word for word in given_words if word.startswith("--")]
    rest = [word for name in words if name not in flags for word in (name, words[name])]
    assert run("apply", *rest, *given_words) == 2
    assert remedy in one_error(capsys)
    assert {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()} == before


def test_a_hard_link_to_the_input_is_the_input(
    x_file: Path, kernel_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    link = tmp_path / "link.npy"
    link.hardlink_to(x_file)
    assert run("apply", "--input", x_file, "--kernel", kernel_file, "--output", link) == 2
    assert "choose another name for the output" in one_error(capsys)


def test_a_link_keeps_its_target_up_to_date(
    x_file: Path, kernel_file: Path, tmp_path: Path
) -> None:
    target, link = tmp_path / "target.npy", tmp_path / "link.npy"
    link.symlink_to(target)
    assert not run("apply", "--input", x_file, "--kernel", kernel_file, "--output", link)
    assert link.is_symlink()
    assert np.load(target).shape == (2, 2, 7, 8)


def test_a_closed_folder_is_named(
    x_file: Path, kernel_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    closed = tmp_path / "closed"
    closed.mkdir()
    # An administrator may write anywhere, so the system's answer is what is replaced.
    monkeypatch.setattr("tconvjax.command.files.os.access", lambda path, mode: Path(path) != closed)
    words = ("apply", "--input", x_file, "--kernel", kernel_file, "--output", closed / "y.npy")
    assert run(*words) == 2
    assert "cannot be written to; choose another one" in one_error(capsys)
    assert not list(closed.iterdir())


def test_a_full_disk_leaves_the_old_file(
    x_file: Path, kernel_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    output = tmp_path / "y.npy"
    output.write_bytes(b"old")

    def full(file: io.BufferedWriter, *_: object, **__: object) -> None:
        file.write(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tconvjax.command.files.np.save", full)
    assert run("apply", "--input", x_file, "--kernel", kernel_file, "--output", output) == 2
    assert "No space left on device" in one_error(capsys)
    assert output.read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["k.npy", "x.npy", "y.npy"]


def test_a_name_with_a_line_break_is_still_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("apply", "--input", "a\nb.npy", "--kernel", "k.npy", "--output", "y.npy") == 2
    assert "a b.npy: there is no such file" in one_error(capsys)


def test_plan_shows_the_choice_and_the_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "--case", "depthwise_up", "--platform", "cpu") == 0
    by_name = capsys.readouterr().out
    assert by_name.startswith("x (4, 64, 112, 112)  w (64, 1, 4, 4)  y (4, 64, 56, 56)\n")
    for partial in ("conv", "conv_transpose", "kernel_gradient"):
        assert f"\n{partial} on cpu: taps\n  the least of the estimates for a CPU\n" in by_name
    assert len(re.findall(r"^  \* taps +[\d.]+ ms  a fused sum", by_name, re.MULTILINE)) == 3
    assert len(re.findall(r"^    patches +[\d.]+ ms  one matrix", by_name, re.MULTILINE)) == 3
    words = "--size 56x56 --kernel 4 --stride 2 --padding 1 --in-channels 64 --out-channels 64"
    assert run("plan", *words.split(), "--groups", 64, "--batch", 4, "--platform", "cpu") == 0
    assert capsys.readouterr().out == by_name


def test_plan_of_a_convolution(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("plan", "--forward", "--size", 9, "--kernel", 3, "--platform", "cuda") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("x (1, 1, 9)  w (1, 1, 3)  y (1, 1, 7)\n")
    assert shown.count("* direct") == 3


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        ("", "give both, or a --case"),
        ("--size 4", "give both, or a --case"),
        ("--case nonsense", "the cases are dcgan_g2, "),
        ("--case tiny_latency --size 4", "leave out --size and --kernel"),
        ("--size 8 --kernel 3 --dtype nix", "give one such as float32"),
        ("--size 8 --kernel 3 --in-channels 3 --groups 2", "give a divisor of both"),
        ("--size 8 --kernel 3 --platform abacus", "choose from"),
        ("--forward --size 2 --kernel 3", "kernel"),
    ],
)
def test_plan_refuses_in_one_line(
    words: str, remedy: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("plan", *words.split()) == 2
    assert remedy in one_error(capsys)
