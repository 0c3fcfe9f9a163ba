"""Make the pictures of docs/use/upsampling.md from its photograph.

    python docs/pictures.py

The photograph is the official portrait of Rear Admiral Grace M. Hopper, by James S. Davis for the
United States Navy, and so in the public domain; Matplotlib ships a copy. It was cut out and reduced
to 48 x 48 pixels by `tconvjax.upsampling.downsample`. A test holds the pictures to this program.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from PIL import Image

import tconvjax as tc
from tconvjax import rendering, upsampling

FOLDER = Path(__file__).parent / "assets" / "upsampling"
FACTOR = 4


def photograph() -> Any:
    """(3, 48, 48), floats from 0 to 255."""
    with Image.open(FOLDER / "photograph.png") as image:
        pixels = np.asarray(image.convert("RGB"), np.float32)
    return jnp.asarray(np.moveaxis(pixels, -1, 0))


def stamped(x: Any, taps: int) -> Any:
    """Twice a transposed convolution of stride 2 with equal weights, as bright as its input."""
    w = jnp.full((3, 1, taps, taps), 4 / taps**2, jnp.float32)
    for _ in range(2):
        size = [2 * n for n in x.shape[1:]]
        x = tc.conv_transpose(x, w, stride=2, padding="SAME", output_size=size, groups=3)
    return x


def resized(x: Any) -> Any:
    """Twice: resize by nearest neighbours, then convolve with equal weights."""
    w = jnp.asarray(np.eye(3)[:, :, None, None] * np.full((3, 3), 1 / 9), jnp.float32)
    for _ in range(2):
        x = upsampling.resize_conv(x, w, factor=(2, 2))
    return x


def unpooled(x: Any) -> Any:
    """The maxima of a photograph of full size put back where they were."""
    large = upsampling.upsample(x, (FACTOR,) * 2, method="cubic")
    maxima, indices = upsampling.max_pool(large, (FACTOR,) * 2, return_indices=True)
    return upsampling.max_unpool(maxima, indices, (FACTOR,) * 2)


def marked(name: str, array: Any, shown: dict[tuple[int, ...], int]) -> rendering.Table:
    """An array as a table, some of its elements in one of four colours."""
    table = rendering.array_table(array, name=name)
    cells = tuple(
        tuple(replace(cell, tap=shown.get((row, column))) for column, cell in enumerate(line))
        for row, line in enumerate(table.cells)
    )
    return replace(table, cells=cells, taps=4)


def indices_drawn() -> str:
    """A small image, its maxima and their places, and the maxima put back, as SVG."""
    x = np.array([[1, 5, 0, 2], [3, 4, 8, 1], [7, 2, 6, 6], [0, 1, 3, 9]])
    y, indices = upsampling.max_pool(x[None], (2, 2), return_indices=True)
    back = upsampling.max_unpool(y, indices, (2, 2))
    colours = {tuple(map(int, place)): n for n, place in enumerate(np.argwhere(back[0] != 0))}
    small = {(n // 2, n % 2): n for n in range(4)}
    tables = [
        marked(name, np.asarray(array).reshape(array.shape[-2:]), shown)
        for name, array, shown in (("x", x, colours), ("maxima", y, small),
                                   ("indices", indices, small), ("unpooled", back, colours))
    ]  # fmt: skip
    drawn = rendering.Row((tables[0], "→", *tables[1:3], "→", tables[3]))
    alt = ("An image of 4 x 4 numbers with its maxima marked, the 2 x 2 maxima, the 2 x 2 indices, "
           "and the maxima back in their places with zeros elsewhere")  # fmt: skip
    return rendering.to_svg(drawn, alt=alt)


def pictures() -> dict[str, Any]:
    """Each picture's pixels by its name, (192, 192, 3)."""
    x = photograph()
    found = {
        method: upsampling.upsample(x, (FACTOR,) * 2, method=method)
        for method in ("nearest", "linear", "cubic", "transposed")
    }
    found["unpooled"] = unpooled(x)
    found["kernel-3"] = stamped(x, 3)
    found["kernel-4"] = stamped(x, 4)
    found["resized"] = resized(x)
    return {
        name: np.moveaxis(np.clip(np.rint(np.asarray(a)), 0, 255).astype(np.uint8), 0, -1)
        for name, a in found.items()
    }


if __name__ == "__main__":
    for name, pixels in pictures().items():
        Image.fromarray(pixels).save(FOLDER / f"{name}.png", optimize=True)
    (FOLDER / "indices.svg").write_text(indices_drawn(), encoding="utf-8")
