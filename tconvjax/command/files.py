"""Read and write the command's files: arrays as .npy, pictures with Pillow, and text.

Nothing in a file is run as code, and a file is written whole or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias

import numpy as np

from tconvjax import operands
from tconvjax.command.arguments import CommandError

if TYPE_CHECKING:
    from PIL import Image

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
"""Pillow's name of a picture's format by the file's suffix."""


def is_picture(path: Path) -> bool:
    """Tell whether a name is that of a picture, and check that its format is known."""
    suffix = path.suffix.lower()
    if suffix in PICTURES:
        try:
            import PIL  # noqa: F401 - an optional requirement
        except ImportError as error:
            raise CommandError(
                "pictures need Pillow; install it with pip install 'tconvjax[image]'"
            ) from error
    elif suffix != ".npy":
        known = " ".join(PICTURES)
        raise CommandError(f"{path}: unknown format; name a .npy file, or a picture ({known})")
    return suffix in PICTURES


def check_output(path: Path, inputs: Sequence[Path] = ()) -> None:
    """Check before any work that a result can be written to a path and replaces no input."""
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if os.path.lexists(target) and not os.path.isfile(target):
        raise CommandError(f"{path}: exists and is not a file; choose another name")
    if not os.path.isdir(folder) or not os.access(folder, os.W_OK):
        raise CommandError(
            f"{path}: the folder {folder} is missing or cannot be written to; choose another one"
        )
    existing = [other for other in (path, *inputs) if os.path.exists(other)]
    if existing[:1] == [path] and any(os.path.samefile(path, other) for other in existing[1:]):
        raise CommandError(f"{path}: is one of the inputs; choose another name for the output")


def read_array(path: Path) -> Numbers:
    """Read an array of numbers, or a picture as float32 from 0 to 255, channels first."""
    picture = is_picture(path)
    if not os.path.isfile(path):
        raise CommandError(f"{path}: there is no such file; check the name")
    try:
        if picture:
            return _read_picture(path)
        with path.open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # NumPy and Pillow raise many kinds of errors for damaged files
        kind = PICTURES.get(path.suffix.lower(), "NumPy")
        how = "convert or rename it" if picture else "write numbers with numpy.save"
        raise CommandError(f"{path}: is no {kind} file ({_reason(error)}); {how}") from error
    numbers: Numbers = operands.arrays(**{str(path): array})[0]
    return numbers


def write(path: Path, save: Callable[[IO[bytes]], object]) -> None:
    """Write a file whole, or leave what was there; of a link, replace the target."""
    check_output(path)
    target = os.path.realpath(path)
    temporary = f"{target}.{os.getpid()}.part"
    try:
        with open(temporary, "xb") as file:
            save(file)
        os.replace(temporary, target)
    except (OSError, ValueError) as error:
        raise CommandError(
            f"{path}: cannot be written ({_reason(error)}); choose another name or format"
        ) from error
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8."""
    write(path, lambda file: file.write(text.encode("utf-8")))


def write_array(path: Path, array: Numbers) -> None:
    """Write an array; numbers of a picture are rounded and clipped to 0..255."""
    if is_picture(path):
        picture, name = _picture_of(path, array), PICTURES[path.suffix.lower()]
        write(path, lambda file: picture.save(file, format=name))
    else:
        write(path, lambda file: np.save(file, array, allow_pickle=False))


# -- pictures --------------------------------------------------------------------------------------


def _read_picture(path: Path) -> Numbers:
    from PIL import Image, ImageOps

    # Left to choose, Pillow would go by the content, and hand PostScript to another program.
    with Image.open(path, formats=[PICTURES[path.suffix.lower()]]) as image:
        # The result is written without the camera's note on how to turn the picture.
        upright = ImageOps.exif_transpose(image)
        if upright.mode.startswith(("I", "F")):
            raise ValueError(f"its pixels are of kind {upright.mode}, not of 8 bits")
        grey = upright.mode in ("1", "L")
        mode = "L" if grey else "RGBA" if upright.has_transparency_data else "RGB"
        pixels = np.asarray(upright.convert(mode), np.float32)
    return pixels[None] if grey else np.moveaxis(pixels, -1, 0)


def _picture_of(path: Path, array: Numbers) -> Image.Image:
    from PIL import Image

    shape = (1, *array.shape) if array.ndim == 2 else array.shape
    pixels = array.reshape(shape[-3:]) if shape[:-3] == (1,) * (len(shape) - 3) else array
    fits = pixels.ndim == 3 and pixels.shape[0] in (1, 3, 4) and pixels.size
    if not fits or np.iscomplexobj(pixels) or np.isnan(pixels).any():
        raise CommandError(
            f"{path}: a picture shows 1, 3 or 4 channels of real numbers along two axes, and the "
            f"result is {array.dtype} of shape {array.shape} or has NaN; write a .npy file"
        )
    whole = np.moveaxis(np.clip(np.rint(pixels), 0, 255).astype(np.uint8), 0, -1)
    whole = whole[..., 0] if whole.shape[-1] == 1 else whole
    return Image.fromarray(np.ascontiguousarray(whole))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
