"""Arrays in files for the command line: .npy, and pictures where Pillow is installed.

Nothing in a file is ever run as code, and a file is written whole or not at all.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

Numbers: TypeAlias = np.ndarray[Any, Any]

PICTURES = {
    ".png": "PNG",
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".webp": "WEBP",
    ".bmp": "BMP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""Suffixes of pictures, and Pillow's names for their formats."""

MOST_PRESSED = 1_000_000
"""Entries of a sparse matrix that is written compressed."""

_MODES = {"1": "L", "L": "L", "LA": "RGBA", "PA": "RGBA", "RGB": "RGB", "RGBA": "RGBA"}
_CONVERTED = ("CMYK", "YCbCr", "LAB", "HSV")
_KINDS = {"i": 8, "u": 8, "f": 8, "c": 16}
_NPY_START = b"\x93NUMPY"


class FileError(ValueError):
    """A file cannot be read or written; the message says which one, why, and what to do."""


def is_picture(path: Path) -> bool:
    """Whether a path is named like a picture.

    Args:
        path: any path.

    Returns:
        True for a suffix in `PICTURES`.
    """
    return path.suffix.lower() in PICTURES


def read_array(path: Path) -> Numbers:
    """Read an array of numbers.

    Args:
        path: a ``.npy`` file, or a picture.

    Returns:
        The array of a ``.npy`` file in the machine's byte order; a picture as float32 in 0..255,
        channels first: 1 (grey), 3 (RGB) or 4 (RGBA).

    Raises:
        FileError: if there is no such file, or it is not what its name says.
    """
    check_format(path)
    if not path.exists():
        raise FileError(f"{path}: there is no such file; check the name")
    if not path.is_file():
        raise FileError(f"{path}: this is not a file; name a .npy file or a picture")
    try:
        return _read_picture(path) if is_picture(path) else _read_npy(path)
    except OSError as error:
        raise FileError(f"{path}: cannot be read ({_reason(error)}); check the file") from error


def check_format(path: Path) -> None:
    """Check that a file's name tells a format that can be read and written here.

    Args:
        path: of the file, which need not exist.

    Raises:
        FileError: if the suffix is unknown, or a picture is named and Pillow is missing.
    """
    if is_picture(path):
        _pillow()
    elif path.suffix.lower() != ".npy":
        known = " ".join(PICTURES)
        raise FileError(f"{path}: unknown format; name a .npy file, or a picture ({known})")


def check_output(path: Path, inputs: list[Path]) -> None:
    """Check before any work that a result can be written where it should go.

    Args:
        path: of the result.
        inputs: files that must not be replaced by it.

    Raises:
        FileError: if the format is unknown, the folder is missing or closed, the path is no file,
            or it is one of the inputs.
    """
    check_format(path)
    folder = path.parent
    if not folder.is_dir():
        raise FileError(f"{path}: the folder {folder} does not exist; create it first")
    check_target(path)
    if any(_target(path) == _target(other) or _same_file(path, other) for other in inputs):
        raise FileError(f"{path}: is one of the inputs; choose another name for the output")
    if not os.access(folder, os.W_OK):
        raise FileError(f"{path}: the folder {folder} cannot be written to; choose another one")


def check_target(path: Path) -> None:
    """Check that what a result would replace is a file, or nothing.

    Args:
        path: of the result; where it is a link, what the link leads to.

    Raises:
        FileError: if there is a folder, a pipe, a device or a socket, which must stay what it is.
    """
    try:
        there = path.stat()
    except FileNotFoundError:
        return
    except (OSError, RuntimeError) as error:  # such as a name too long, or links in a circle
        raise FileError(
            f"{path}: cannot be written ({_reason(error)}); choose another name"
        ) from error
    if stat.S_ISDIR(there.st_mode):
        raise FileError(f"{path}: is a folder, not a file; choose another name")
    if not stat.S_ISREG(there.st_mode):
        raise FileError(
            f"{path}: exists and is not a file; choose another name, or leave --output out and "
            "send the text there with > or |"
        )


def write_array(path: Path, array: Numbers) -> None:
    """Write an array whole, or leave what was there.

    Args:
        path: a ``.npy`` file, or a picture.
        array: for a picture, real and of shape (*sizes), (C, *sizes) or (1, C, *sizes) with two
            sizes and C = 1, 3 or 4; rounded and clipped to 0..255.

    Raises:
        FileError: if a picture cannot hold the array, or the file cannot be written.
    """
    write: Callable[[IO[bytes]], object]
    if is_picture(path):
        picture, name = _picture_of(path, array), PICTURES[path.suffix.lower()]
        write = lambda file: picture.save(file, format=name)  # noqa: E731
    else:
        write = lambda file: np.save(file, array, allow_pickle=False)  # noqa: E731
    _write(path, write)


def write_text(path: Path, text: str) -> None:
    """Write text whole, or leave what was there.

    Args:
        path: any file.
        text: as UTF-8.

    Raises:
        FileError: if the file cannot be written.
    """
    _write(path, lambda file: file.write(text.encode("utf-8")))


def write_npz(path: Path, matrix: Any) -> None:
    """Write a sparse matrix of SciPy's whole, or leave what was there.

    Args:
        path: a ``.npz`` file.
        matrix: what ``scipy.sparse.load_npz`` shall read.

    Raises:
        FileError: if the file cannot be written.
    """
    import scipy.sparse

    # Pressing millions of entries takes far longer than writing them.
    small = matrix.nnz <= MOST_PRESSED
    _write(path, lambda file: scipy.sparse.save_npz(file, matrix, compressed=small))


def _write(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    check_target(path)
    try:
        # A link keeps pointing where it did, so it is its target that is replaced.
        with _replacing(_target(path)) as file:
            write(file)
    except (OSError, ValueError) as error:
        raise FileError(
            f"{path}: cannot be written ({_reason(error)}); choose another name or format"
        ) from error


# -- .npy ------------------------------------------------------------------------------------------


def _read_npy(path: Path) -> Numbers:
    with path.open("rb") as file:
        if file.read(len(_NPY_START)) != _NPY_START:
            raise FileError(f"{path}: this is not a .npy file; write one with numpy.save")
        file.seek(0)
        try:
            array: Numbers = np.load(file, allow_pickle=False)
        except MemoryError as error:
            raise FileError(
                f"{path}: is larger than the memory, or damaged; write it again"
            ) from error
        except (ValueError, EOFError, TypeError, SyntaxError) as error:
            if "pickle" in str(error) or "Object arrays" in str(error):
                raise FileError(
                    f"{path}: holds Python objects, which are not loaded; save numbers, for "
                    "example array.astype('float32')"
                ) from error
            raise FileError(f"{path}: is damaged ({_reason(error)}); write it again") from error
    if array.dtype.kind not in _KINDS or array.dtype.itemsize > _KINDS[array.dtype.kind]:
        raise FileError(
            f"{path}: holds {array.dtype}, which cannot be convolved; save integers, floats or "
            "complex numbers of at most 64 bits each, for example array.astype('float32')"
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)


# -- pictures --------------------------------------------------------------------------------------


def _pillow() -> tuple[ModuleType, ModuleType]:
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise FileError(
            "pictures need Pillow; install it with pip install 'tconvjax[image]'"
        ) from error
    return Image, ImageOps


def _read_picture(path: Path) -> Numbers:
    image_module, operations = _pillow()
    try:
        # Pillow goes by content, and hands PostScript to a program.
        with image_module.open(path, formats=[PICTURES[path.suffix.lower()]]) as image:
            # The result is written without the camera's note on how to turn the picture.
            upright = operations.exif_transpose(image)
            mode = _mode(upright)
            if mode is None:
                raise FileError(
                    f"{path}: has pixels of kind {upright.mode}, not of 8 bits; convert it, or "
                    "give a .npy file"
                )
            pixels = np.asarray(upright.convert(mode), np.float32)
    except image_module.UnidentifiedImageError as error:
        raise FileError(
            f"{path}: is no {PICTURES[path.suffix.lower()]} picture, as its name says; rename or "
            "convert it"
        ) from error
    except (OSError, FileError):
        raise
    except Exception as error:  # Pillow's readers raise many kinds on damaged files
        raise FileError(f"{path}: cannot be read ({_reason(error)}); check the file") from error
    return pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0)


def _mode(image: Image) -> str | None:
    """The kind of pixels to read a picture as."""
    if image.mode == "P":
        return "RGBA" if "transparency" in image.info else "RGB"
    return "RGB" if image.mode in _CONVERTED else _MODES.get(image.mode)


def _picture_of(path: Path, array: Numbers) -> Image:
    pixels = array
    while pixels.ndim > 3 and pixels.shape[0] == 1:
        pixels = pixels[0]
    pixels = pixels[None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.shape[0] not in (1, 3, 4) or not pixels.size:
        raise FileError(
            f"{path}: a picture has 1, 3 or 4 channels and two sizes, and the result has shape "
            f"{array.shape}; write a .npy file"
        )
    if np.iscomplexobj(pixels) or np.isnan(pixels).any():
        raise FileError(
            f"{path}: the result has complex numbers or NaN, which no picture shows; write a "
            ".npy file"
        )
    whole = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    image_module, _ = _pillow()
    flat = whole[0] if whole.shape[0] == 1 else np.moveaxis(whole, 0, -1)
    image: Image = image_module.fromarray(np.ascontiguousarray(flat))
    return image


# -- whole or not at all ---------------------------------------------------------------------------


@contextlib.contextmanager
def _replacing(target: Path) -> Iterator[IO[bytes]]:
    """A new file beside the target that takes its place once it is complete."""
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with temporary.open("xb") as file:
            yield file
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def _target(path: Path) -> Path:
    """Where a name leads; unlike ``Path.resolve`` it says nothing of links in a circle."""
    return Path(os.path.realpath(path))


def _same_file(path: Path, other: Path) -> bool:
    """Whether two names lead to one file, as hard links do."""
    return path.exists() and other.exists() and path.samefile(other)


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
