"""The commands upsample and checkerboard."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tconvjax import Geometry, upsampling
from tests.test_command import normal, run, save


@pytest.mark.parametrize("method", ["nearest", "linear", "cubic", "bicubic", "transposed"])
def test_a_picture_is_enlarged_along_both_axes(method: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 6, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    assert run("upsample", tmp_path / "in.png", "--factor", 3, "--method", method, "-o",
               tmp_path / "out.png") == 0  # fmt: skip
    found = np.asarray(Image.open(tmp_path / "out.png"))
    data = np.moveaxis(pixels, -1, 0).astype(np.float32)
    expected = upsampling.upsample(data, (3, 3), method=method)  # type: ignore[arg-type]
    whole = np.clip(np.rint(np.asarray(expected)), 0, 255)
    assert found.shape == (15, 18, 3)
    assert np.abs(np.moveaxis(found, -1, 0) - whole).max() <= 1  # halves may round either way


def test_unpooling_is_a_bed_of_nails(tmp_path: Path) -> None:
    x = save(tmp_path / "x.npy", np.arange(1.0, 7).reshape(2, 3))
    assert (
        run("upsample", x, "--factor", "2x3", "--method", "unpool", "-o", tmp_path / "o.npy") == 0
    )
    found = np.load(tmp_path / "o.npy")[0]
    assert found.shape == (4, 9)
    np.testing.assert_array_equal(found[::2, ::3], np.arange(1, 7).reshape(2, 3))
    assert found.sum() == 21


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16", "complex64"])
def test_arrays_keep_their_dtype_and_name_their_axes(dtype: str, tmp_path: Path) -> None:
    array = (10 * normal((2, 3, 4, 5))).astype(dtype)
    x = save(tmp_path / "x.npy", array)
    assert run("upsample", x, "--size", "8x6x7", "-o", tmp_path / "o.npy") == 0
    found = np.load(tmp_path / "o.npy")
    assert found.shape == (2, 8, 6, 7)
    assert found.dtype == ("float32" if dtype == "int16" else dtype)
    assert run("upsample", x, "--size", 9, "--align-corners", "-o", tmp_path / "o.npy") == 0
    assert np.load(tmp_path / "o.npy").shape == (2, 3, 9, 9)


@pytest.mark.parametrize(("words", "message"), [
    (("--factor", 2, "--size", 4), "--factor, --size: give one of the two"),
    ((), "--factor, --size: give one of the two"),
    (("--factor", 0), "0 is out of range"),
    (("--factor", 100000), "the result would have 160000000000 elements"),
    (("--factor", "2x2x2"), "--factor: 2x2x2 names 3 axes, and the input has 2"),
    (("--size", 9, "--method", "unpool"), "unpooling wants whole multiples of 4x4, not 9x9"),
    (("--size", 9, "--method", "transposed"), "sizes (9, 9) are no whole multiples of (4, 4)"),
    (("--factor", 2, "--method", "lanczos"), "invalid choice: 'lanczos'"),
    (("--factor", 2, "--method", "nearest", "--align-corners"), "there is nothing to align"),
])  # fmt: skip
def test_what_cannot_be_enlarged_is_one_line(
    words: tuple[object, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = save(tmp_path / "x.npy", normal((4, 4)))
    assert run("upsample", x, *words, "-o", tmp_path / "o.npy") == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "o.npy").exists()


def test_a_checkerboard_is_shaded_and_explained(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("checkerboard", "--kernel", 3, "--stride", 2) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("░░░░▒▒░░▒▒")
    assert lines[2].startswith("▒▒▒▒██▒▒██")
    assert lines[-2] == "from 1 to 4 stamps on an element"
    assert lines[-1].startswith("unevenness 0.484: make the kernel a multiple of the stride")
    assert run("checkerboard", "--kernel", 4, "--stride", 2) == 0
    assert "unevenness 0: the kernel is a multiple of the stride" in capsys.readouterr().out
    assert run("checkerboard", "--kernel", "3x3x3", "--stride", 2) == 0
    assert "█" not in capsys.readouterr().out


def test_a_checkerboard_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "board.svg"
    assert run("checkerboard", "--kernel", 3, "--stride", 2, "-o", picture) == 0
    written = picture.read_text(encoding="utf-8")
    there = Geometry.of_conv_transpose((1, 8, 8), (1, 1, 3, 3), stride=2)
    counts = upsampling.overlap(there).ravel().tolist()
    root = ElementTree.fromstring(written)
    texts = [t.text for t in root.iter("{http://www.w3.org/2000/svg}text")]
    assert texts[: 1 + len(counts)] == ["stamps", *map(str, counts)]
    assert "unevenness 0.484" in written
    assert run("checkerboard", "--kernel", "3x3x3", "-o", tmp_path / "no.svg") == 2
    assert "a picture has 2 axes, and these are 3; leave it out" in capsys.readouterr().err
    assert run("checkerboard", "--kernel", 3, "-o", tmp_path / "no" / "no.svg") == 2
    assert list(tmp_path.iterdir()) == [picture]


@pytest.mark.parametrize(("words", "message"), [
    (("--kernel", 5, "--stride", 1000000), "elements are counted at most"),
    (("--kernel", 1000000, "--stride", 3), "elements are counted at most"),
    (("--kernel", "3x3", "--stride", "2x2x2"), "the convolution has 2 spatial axes"),
    (("--stride", 2), "the following arguments are required: --kernel"),
])  # fmt: skip
def test_what_is_no_checkerboard_is_one_line(
    words: tuple[object, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("checkerboard", *words) == 2
    assert message in capsys.readouterr().err
