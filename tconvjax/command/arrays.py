"""Run operations on arrays and pictures in files: ``tconvjax apply`` and ``tconvjax upsample``.

Arrays are .npy files, and Pillow reads and writes pictures. Nothing in a file is run as code.
"""

from __future__ import annotations

import argparse
import functools
import math
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from tconvjax import operands, operations, upsampling
from tconvjax.acceleration.programs import found
from tconvjax.algorithms.plan import planned
from tconvjax.arguments import choice, ints
from tconvjax.command.arguments import CommandError, by, check_axes, for_axes, reason, write
from tconvjax.errors import fail
from tconvjax.upsampling.interpolation import METHODS

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


def apply(arguments: argparse.Namespace) -> None:
    """Run conv_transpose, or conv, and print the shapes, the algorithm and the time."""
    _check_options(arguments)
    paths = {name: getattr(arguments, name) for name in ("input", "kernel", "bias")}
    arrays = {name: read_array(path) for name, path in paths.items() if path}
    x, w = arrays["input"], arrays["kernel"]
    alone = w.ndim <= 2
    if alone and (arguments.layout or arguments.groups != 1):
        raise CommandError(
            f"--layout and --groups need a kernel of 3 axes or more, and this one of shape "
            f"{w.shape} is applied to every channel alone; leave them out"
        )
    if alone and x.ndim < w.ndim:
        raise CommandError(
            f"--kernel: shape {w.shape} needs an input of {w.ndim} axes or more, and the input "
            f"has shape {x.shape}; reshape one of them"
        )
    with jax.enable_x64(_is_wide(*arrays.values())):
        with jax.numpy_dtype_promotion("standard"):
            dtype = jnp.result_type(*arrays.values())
        values = {name: array.astype(dtype) for name, array in arrays.items()}
        x, w = values["input"], values["kernel"]
        lead, sizes = x.shape[: x.ndim - w.ndim], x.shape[x.ndim - w.ndim :]
        if alone:
            x, w = x.reshape(math.prod(lead), 1, *sizes), w[None, None]
        result, line = _timed(arguments, x, w, values.get("bias"))
    result = result.reshape(*lead, *result.shape[2:]) if alone else result
    _write_and_print(arguments, result, arrays)
    print(line)


def _check_options(arguments: argparse.Namespace) -> None:
    """Reject options that contradict one another, before a file is read."""
    pictures = [is_picture(path) for path in (arguments.input, arguments.output)]
    if arguments.forward and (arguments.output_padding != 0 or arguments.output_size is not None):
        raise CommandError(
            "--output-padding and --output-size belong to the transposed convolution; leave them "
            "out with --forward"
        )
    x, _, y = arguments.layout or ("NC", "", "NC")
    if any(pictures) and not (x.startswith("NC") and y.startswith("NC")):
        raise CommandError(
            f"--layout: a picture has channels first, and the layouts of x and y are {x} and {y}; "
            "give layouts that begin with NC"
        )


def _is_wide(*arrays: Numbers) -> bool:
    """Tell whether an array has 64-bit numbers, which JAX narrows by default."""
    return any(a.dtype.itemsize > (8 if a.dtype.kind == "c" else 4) for a in arrays)


def _timed(
    arguments: argparse.Namespace, x: Numbers, w: Numbers, bias: Numbers | None
) -> tuple[Numbers, str]:
    """Compile and run the operation; return the result and a line about both."""
    check_axes(vars(arguments), w.ndim - 2)
    names = ["stride", "dilation", "groups", "padding_mode", "algorithm"]
    names += [] if arguments.forward else ["output_padding", "output_size"]
    steps = {name: getattr(arguments, name) for name in names}
    steps["padding"] = for_axes(arguments.padding, w.ndim - 2)
    steps["dimension_numbers"] = arguments.layout
    function: Any = operations.conv if arguments.forward else operations.conv_transpose
    program = jax.jit(functools.partial(function, **steps))
    traced = program.trace(x, w, bias)
    _check_memory(traced.out_info.shape, x.dtype)
    _, _, equation = next(found(traced.jaxpr, "trilinear"))
    recipe, first = equation.params["recipe"], equation.invars[0].aval
    chosen = recipe.algorithm
    if chosen == "auto":
        recipe = replace(recipe, dtype=x.dtype, platform=jax.default_backend())
        chosen = planned(recipe, recipe.batch(first)).algorithm
    values = jax.device_put((x, w, bias))
    start = time.perf_counter()
    compiled = program.lower(*values).compile()
    middle = time.perf_counter()
    result = np.asarray(compiled(*values).block_until_ready())
    return result, (
        f"{recipe.partial} by {chosen} on {jax.default_backend()}: compiled in "
        f"{middle - start:.3f} s, ran in {time.perf_counter() - middle:.4f} s"
    )


def _check_memory(shape: Sequence[int], dtype: np.dtype[Any]) -> None:
    """Reject a result that this machine cannot hold, before the machine stalls over it."""
    needed = math.prod(shape) * dtype.itemsize
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not every system tells
        return
    if needed > memory:
        raise CommandError(
            f"the result of shape {tuple(shape)} takes {needed / 2**30:.0f} GiB, more than this "
            "machine's memory; give smaller sizes, steps or padding"
        )


def _write_and_print(
    arguments: argparse.Namespace, result: Numbers, arrays: dict[str, Numbers]
) -> None:
    """Write the result, and print the file, shape and dtype of every array."""
    write_array(arguments.output, result)
    for name, array in (arrays | {"output": result}).items():
        print(f"{name:8}{getattr(arguments, name)}  {array.shape} {array.dtype}")


# -- upsample --------------------------------------------------------------------------------------


def upsample(arguments: argparse.Namespace) -> None:
    """Enlarge a picture along both axes, or an array along its last axes."""
    is_picture(arguments.output)
    choice("method", arguments.method, ("unpool", *METHODS))
    if arguments.align_corners and arguments.method == "unpool":
        fail("align_corners", True, "'unpool' does not align corners", "leave it out")
    if (arguments.factor is None) == (arguments.size is None):
        raise CommandError("--factor, --size: give one of the two")
    x = given = read_array(arguments.input)
    if x.dtype.kind in "iu" and arguments.method != "nearest":
        x = x.astype(np.float32)
    asked = arguments.factor or arguments.size
    rank = len(asked) if isinstance(asked, tuple) else min(2, x.ndim)
    if x.ndim < rank:
        raise CommandError(f"--factor: {by(asked)} names {rank} axes, and the input has {x.ndim}")
    x = x[None] if x.ndim == rank else x
    size = ints("size", asked, rank, 1)
    if arguments.factor is not None:
        size = tuple(f * n for f, n in zip(size, x.shape[-rank:], strict=True))
    _check_memory((*x.shape[:-rank], *size), x.dtype)
    if arguments.method == "unpool":
        result = _unpooled(x, size)
    else:
        steps = {name: getattr(arguments, name) for name in ("method", "align_corners")}
        with jax.enable_x64(_is_wide(x)):
            result = np.asarray(upsampling.upsample(x, size=size, **steps))
    result = result[0] if given.ndim == rank else result
    _write_and_print(arguments, result, {"input": given})


def _unpooled(x: Numbers, size: tuple[int, ...]) -> Numbers:
    """Put each element into the first place of its window, and zeros elsewhere."""
    old = x.shape[-len(size) :]
    if any(not n or m % n for n, m in zip(old, size, strict=True)):
        raise CommandError(
            f"--size: unpooling needs whole multiples of {by(old)}, not {by(size)}; give --factor"
        )
    result = np.zeros((*x.shape[: -len(size)], *size), x.dtype)
    places: Any = (..., *(slice(None, None, m // n) for n, m in zip(old, size, strict=True)))
    result[places] = x
    return result


# -- files -----------------------------------------------------------------------------------------


def is_picture(path: Path) -> bool:
    """Tell whether a name is that of a picture, and check that its format is known."""
    suffix = path.suffix.lower()
    if suffix in PICTURES:
        try:
            import PIL  # noqa: F401 - an optional requirement
        except ImportError as error:
            remedy = "install it with pip install pillow"
            raise CommandError(f"pictures need Pillow; {remedy}") from error
    elif suffix != ".npy":
        known = " ".join(PICTURES)
        raise CommandError(f"{path}: unknown format; name a .npy file, or a picture ({known})")
    return suffix in PICTURES


def read_array(path: Path) -> Numbers:
    """Read an array of numbers, or a picture as float32 from 0 to 255, channels first."""
    picture = is_picture(path)
    if not os.path.isfile(path):
        what = "it is not a file" if os.path.exists(path) else "there is no such file"
        raise CommandError(f"{path}: {what}; check the name")
    try:
        if picture:
            return _read_picture(path)
        with path.open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except Exception as error:  # NumPy and Pillow raise many kinds of errors for damaged files
        kind = PICTURES.get(path.suffix.lower(), "NumPy")
        how = "convert or rename it" if picture else "write numbers with numpy.save"
        raise CommandError(f"{path}: is no {kind} file ({reason(error)}); {how}") from error
    return np.asarray(operands.arrays(**{str(path): array})[0])


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


def write_array(path: Path, array: Numbers) -> None:
    """Write an array; numbers of a picture are rounded and clipped to 0..255."""
    if not is_picture(path):
        return write(path, lambda file: np.save(file, array, allow_pickle=False))
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
    picture = Image.fromarray(np.ascontiguousarray(whole))
    return write(path, lambda file: picture.save(file, format=PICTURES[path.suffix.lower()]))
