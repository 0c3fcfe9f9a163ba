"""The commands upsample and checkerboard compute and draw what `tconvjax.upsampling` says."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tconvjax import Geometry, upsampling
from tests.test_command import Captured, normal, refused, run, shown


@pytest.mark.parametrize(
    "method", ["nearest", "linear", "bilinear", "trilinear", "bicubic", "lanczos3", "transposed"]
)
def test_a_picture_is_enlarged_along_both_axes(method: Any, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    given, enlarged = tmp_path / "in.png", tmp_path / "out.png"
    Image.fromarray(pixels).save(given)
    assert run("upsample --factor 3 --method", method, given, "-o", enlarged) == 0
    found = np.moveaxis(np.asarray(Image.open(enlarged)), -1, 0)
    expected = upsampling.upsample(np.float32(np.moveaxis(pixels, -1, 0)), (3, 3), method=method)
    whole = np.clip(np.rint(np.asarray(expected)), 0, 255)
    assert found.shape == (3, 15, 18)
    assert np.abs(found - whole).max() <= 1  # halves may round either way


def test_unpooling_is_a_bed_of_nails(tmp_path: Path) -> None:
    x, y = tmp_path / "x.npy", tmp_path / "y.npy"
    np.save(x, np.arange(1.0, 7).reshape(2, 3))
    assert run("upsample --factor 2x3 --method unpool", x, "-o", y) == 0
    expected = np.zeros((4, 9))
    expected[::2, ::3] = [[1, 2, 3], [4, 5, 6]]
    np.testing.assert_array_equal(np.load(y), expected, strict=True)


@pytest.mark.parametrize("method", ["nearest", "linear", "unpool"])
def test_an_enlarged_array_has_as_many_axes(method: str, tmp_path: Path) -> None:
    x, y = tmp_path / "x.npy", tmp_path / "y.npy"
    for shape, size, larger in (
        ((4,), "8", (8,)), ((4, 4), "8x8", (8, 8)), ((2, 4, 4), "8x8", (2, 8, 8)),
        ((2, 2, 4, 4), "8x8", (2, 2, 8, 8)), ((4, 4, 4), "8x8x8", (8, 8, 8)),
    ):  # fmt: skip
        np.save(x, normal(shape))
        assert run(f"upsample --size {size} --method {method}", x, "-o", y) == 0
        assert np.load(y).shape == larger


@pytest.mark.parametrize(("dtype", "kept"), [("float64", "float64"), ("int16", "float32")])
def test_no_number_is_narrowed_and_sizes_name_their_axes(
    dtype: str, kept: str, tmp_path: Path
) -> None:
    x, y = tmp_path / "x.npy", tmp_path / "y.npy"
    np.save(x, (10 * normal((2, 3, 4, 5))).astype(dtype))
    for words, shape in (("8x6x7", (2, 8, 6, 7)), ("9 --align-corners", (2, 3, 9, 9))):
        assert run(f"upsample --size {words}", x, "-o", y) == 0
        assert (np.load(y).shape, np.load(y).dtype) == (shape, kept)


@pytest.mark.parametrize(("words", "message"), [
    ("upsample x.npy -o y.npy", "--factor, --size: give one of the two"),
    ("upsample x.npy -o y.npy --factor 2 --size 4", "--factor, --size: give one of the two"),
    ("upsample x.npy -o y.npy --factor 0", "0 is out of range"),
    ("upsample x.npy -o y.npy --factor 100000", "more than this machine's memory; give"),
    ("upsample x.npy -o y.npy --factor 2x2x2", "2x2x2 names 3 axes, and the input has 2"),
    ("upsample x.npy -o y.npy --size 9 --method unpool", "whole multiples of 4x4, not 9x9"),
    ("upsample x.npy -o y.npy --size 9 --method transposed", "not whole multiples of (4, 4)"),
    ("upsample x.npy -o y.npy --factor 2 --method lanczos", "='lanczos': the choices are unpool"),
    ("upsample x.npy -o y.npy --factor 2 --method nearest --align-corners", "not align corners"),
    ("upsample x.npy -o y.npy --factor 2 --method unpool --align-corners", "not align corners"),
    ("checkerboard --kernel 5 --stride 1000000", "the limit is 67108864 elements"),
    ("checkerboard --kernel 3x3 --stride 2x2x2", "the convolution has 2 spatial axes"),
    ("checkerboard --stride 2", "the following arguments are required: --kernel"),
    ("checkerboard --kernel 3x3x3 -o no.svg", "a picture has 2 axes, and these are 3"),
    ("checkerboard --kernel 3 -o no/no.svg", "cannot be written"),
])  # fmt: skip
def test_what_cannot_be_done_is_one_line(
    words: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", normal((4, 4)))
    assert message in refused(capsys, words)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]


def test_a_checkerboard_is_shaded_and_explained(capsys: Captured) -> None:
    lines = shown(capsys, "checkerboard --kernel 3 --stride 2").splitlines()
    assert lines[0].startswith("░░░░▒▒░░▒▒")
    assert lines[2].startswith("▒▒▒▒██▒▒██")
    assert lines[-2] == "from 1 to 4 stamps on an element"
    assert lines[-1].startswith("unevenness 0.484: make the kernel a multiple of the stride")
    even = shown(capsys, "checkerboard --kernel 4 --stride 2")
    assert "unevenness 0: the kernel is a multiple of the stride" in even
    assert "█" not in shown(capsys, "checkerboard --kernel 3x3x3 --stride 2")


def test_a_checkerboard_is_drawn(tmp_path: Path) -> None:
    picture = tmp_path / "board.svg"
    assert run("checkerboard --kernel 3 --stride 2 -o", picture) == 0
    layer = Geometry.of_conv_transpose((1, 8, 8), (1, 1, 3, 3), stride=2)
    counts = upsampling.overlap(layer).ravel().tolist()
    root = ElementTree.fromstring(picture.read_text(encoding="utf-8"))
    texts = [t.text or "" for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[: 1 + len(counts)] == ["stamps", *map(str, counts)]
    assert "unevenness 0.484" in " ".join(texts)
