"""Make the pictures of docs/learn, of docs/use/upsampling.md and of docs/use/streaming.md.

    python docs/pictures.py

The photograph is the official portrait of Rear Admiral Grace M. Hopper, by James S. Davis for the
United States Navy, and so in the public domain; Matplotlib ships a copy. It was cut out and reduced
to 48 x 48 pixels by `tconvjax.upsampling.downsample`. A test holds the pictures to this program.
The click is plotted from the sounds that the examples of streaming.md decode, and the learned
kernel from the example of docs/learn/upsampling.md.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
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
STREAMING = FOLDER.parent / "streaming"
LEARN = FOLDER.parent / "learn"


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


def marked(
    name: str, array: Any, shown: Mapping[tuple[int, ...], int], taps: int = 0
) -> rendering.Table:
    """An array as a table: some elements framed, or in the colours of so many taps."""
    table = rendering.array_table(array, name=name)
    cells = tuple(
        tuple(replace(cell, tap=shown.get((row, column))) for column, cell in enumerate(line))
        for row, line in enumerate(table.cells)
    )
    return replace(table, cells=cells, taps=taps or 1, shows="taps" if taps else "marks")


def indices_drawn() -> str:
    """A small image, its maxima and their places, and the maxima put back, as SVG."""
    x = np.array([[1, 5, 0, 2], [3, 4, 8, 1], [7, 2, 6, 6], [0, 1, 3, 9]])
    y, indices = upsampling.max_pool(x[None], (2, 2), return_indices=True)
    back = upsampling.max_unpool(y, indices, (2, 2))
    places = {tuple(place): 0 for place in np.argwhere(back[0] != 0).tolist()}
    tables = [
        marked(name, np.asarray(array).reshape(array.shape[-2:]), shown)
        for name, array, shown in (("x", x, places), ("maxima", y, {}),
                                   ("indices", indices, {}), ("unpooled", back, places))
    ]  # fmt: skip
    drawn = rendering.Row((tables[0], "→", *tables[1:3], "→", tables[3]))
    alt = ("An image of 4 x 4 numbers with its maxima marked, the 2 x 2 maxima, the 2 x 2 indices, "
           "and the maxima back in their places with zeros elsewhere")  # fmt: skip
    return rendering.to_svg(drawn, alt=alt)


def there_and_back(x: Any) -> dict[str, Any]:
    """The photograph halved three times by pooling, and doubled three times by interpolation."""
    found = {}
    for size in (24, 12, 6):
        found[f"down-{size}"] = x = upsampling.avg_pool(x, (2, 2))
    for size in (12, 24, 48):
        found[f"up-{size}"] = x = upsampling.upsample(x, (2, 2), method="linear")
    return found


def pictures() -> dict[str, Any]:
    """Each picture's pixels by its name, (192, 192, 3) if it is not small on purpose."""
    x = photograph()
    found = {
        method: upsampling.upsample(x, (FACTOR,) * 2, method=method)
        for method in ("nearest", "linear", "cubic", "transposed")
    }
    found["unpooled"] = unpooled(x)
    found["kernel-3"] = stamped(x, 3)
    found["kernel-4"] = stamped(x, 4)
    found["resized"] = resized(x)
    found |= there_and_back(x)
    return {
        name: np.moveaxis(np.clip(np.rint(np.asarray(a)), 0, 255).astype(np.uint8), 0, -1)
        for name, a in found.items()
    }


def state_drawn() -> str:
    """The stamps of two elements, finished where no later stamp reaches, as SVG."""
    y, w = np.array([1, 5]), np.array([1, 2, 3, 4])
    stamps = np.zeros((3, 6), int)
    for n in range(2):
        stamps[n, 2 * n : 2 * n + 4] = y[n] * w
    stamps[2] = stamps.sum(axis=0)
    text = [["" if v == 0 else v for v in row] for row in stamps.tolist()]
    open_ones = {(n, j): 0 for n in range(3) for j in (4, 5) if text[n][j] != ""}
    pieces = [
        marked("chunk", [[1, 5]], {(0, 1): 0}),
        marked("stamps and their sum", text, open_ones),
        marked("state", [[5]], {(0, 0): 0}),
    ]
    drawn = rendering.Row((pieces[0], "→", pieces[1], "→", pieces[2]))
    alt = (
        "The chunk 1, 5 stamps 1 2 3 4 and, two places on, 5 10 15 20. Of the sum, 1 2 8 14 is "
        "finished; 15 20 is not, because the next element stamps there too. The state is 5."
    )
    return rendering.to_svg(drawn, alt=alt)


def channels_drawn() -> str:
    """Two channels, each with its own kernel and sheet, and the sum of the sheets, as SVG."""
    y = np.array([[[0, 1], [2, 3]], [[4, 5], [7, 8]]])
    w = np.array([[[[0, 1], [2, 3]]], [[[4, 5], [2, 3]]]])
    sheets = [np.asarray(tc.conv_transpose(y[n : n + 1], w[n : n + 1]))[0] for n in (0, 1)]

    plain = [marked(f"sheet {n}", sheet, {}) for n, sheet in enumerate(sheets)]
    rows = []
    for n in (0, 1):
        taps = {at: 4 * n + tap for tap, at in enumerate(np.ndindex(2, 2))}
        kernel = marked(f"w{n}", w[n, 0], taps, 8)
        rows.append(rendering.Row((marked(f"y{n}", y[n], {}), kernel, "→", plain[n])))
    end = rendering.Row((plain[0], "+", plain[1], "=", marked("z", sum(sheets), {})))
    alt = (
        "Channel 0 of y, 0 1, 2 3, stamps the kernel 0 1, 2 3 onto a sheet, and channel 1, "
        "4 5, 7 8, stamps the kernel 4 5, 2 3 onto another. The sum of the two sheets is "
        "16 40 26, 36 93 61, 18 49 33."
    )
    return rendering.to_svg(rendering.Stack([*rows, end]), alt=alt)


def lines_of(page: str) -> dict[str, Any]:
    """The names that the examples of a page of docs/learn define."""
    names: dict[str, Any] = {}
    text = (FOLDER.parents[1] / "learn" / page).read_text("utf-8")
    for block in re.findall(r"(?m)^```python\n(?!>>>)((?:.*\n)*?)```", text):
        exec(block, names)  # noqa: S102 - the page's own examples
    return names


def learned_drawn() -> str:
    """The sine, its samples, and what the first and the trained kernel put between, as SVG."""
    names = lines_of("upsampling.md")
    fine, guess = np.asarray(names["fine"])[0], names["guess"]
    first, trained = (np.asarray(guess(names[name]))[0] for name in ("start", "w"))
    part, step, width = range(20, 45), 26, 660
    scale, middle = 62, 96

    def place(n: int, value: float) -> str:
        return f"{18 + (n - part[0]) * step},{round(middle - scale * float(value))}"

    def line(values: Any, style: str) -> str:
        points = " ".join(place(n, values[n]) for n in part)
        return f'<polyline fill="none" stroke="currentColor" {style} points="{points}"/>'

    def words(x: int, text: str) -> str:
        return f'<text x="{x}" y="196" font-size="13" fill="currentColor">{text}</text>'

    samples = "".join(
        f'<circle r="5" fill="currentColor" cx="{x}" cy="{y}"/>'
        for x, y in (place(n, fine[n]).split(",") for n in part if n % 2 == 0)
    )
    # As on the page on speed: the text's colour, and what differs is the line.
    tent, trained_one = 'stroke-width="1.5" stroke-dasharray="6 4"', 'stroke-width="2.5"'
    lines = (
        line(first, tent),
        line(trained, trained_one),
        samples,
        '<circle r="5" fill="currentColor" cx="23" cy="191"/>',
        words(36, "samples"),
        f'<path stroke="currentColor" {tent} d="M120 191h24"/>',
        words(150, "tent"),
        f'<path stroke="currentColor" {trained_one} d="M210 191h24"/>',
        words(240, "trained kernel"),
    )
    alt = (
        "A sine with every second value given. The tent's result is too flat and half a step "
        "late; the trained kernel's result runs through the samples and follows the sine."
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} 206" role="img"'
    return f'{head} aria-label="{alt}">' + "".join(lines) + "</svg>\n"


def learn_drawn() -> dict[str, str]:
    """The drawings of docs/learn by their names."""
    return {"channels": channels_drawn(), "learned": learned_drawn()}


def sounds() -> dict[str, Any]:
    """What the examples of streaming.md decode: "whole", "streamed" and "apart"."""
    page = (FOLDER.parents[1] / "use" / "streaming.md").read_text("utf-8")
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(?!>>>)(.*?)```", page.partition("## Layers")[0], re.S):
        exec(block, names)  # noqa: S102 - the page's own examples
    return {name: np.asarray(names[name])[0, 0] for name in ("whole", "streamed", "apart")}


def click_drawn(sounds: dict[str, Any], seam: int = 1024, around: int = 256) -> str:
    """The whole about a seam, and what the chunks with and without states differ by, as SVG."""
    width, height, part = 640, 210, slice(seam - around, seam + around)
    whole = sounds["whole"][part]
    scale = 45 / np.abs(whole).max()

    def line(values: Any, middle: int, style: str) -> str:
        heights = np.rint(middle - scale * values).astype(int)
        points = " ".join(f"{n * width // (2 * around)},{v}" for n, v in enumerate(heights))
        return f'<polyline fill="none" {style} points="{points}"/>'

    def words(text: str, y: int) -> str:
        return f'<text x="4" y="{y}" font-size="12" fill="currentColor">{text}</text>'

    lines = (
        words("the whole", 12),
        line(whole, 65, 'stroke="currentColor"'),
        words("error of the chunks without states, and with states (flat)", 130),
        line(sounds["apart"][part] - whole, 165, 'stroke="currentColor" stroke-opacity=".6"'),
        line(sounds["streamed"][part] - whole, 165, 'stroke="currentColor" stroke-width="3"'),
        f'<path stroke="currentColor" stroke-dasharray="3" d="M{width // 2} 0V{height}"/>',
    )
    alt = (
        "Sound about a seam, and below it two errors: that of the chunks without states swings as "
        "far as the sound on both sides of the seam, that of the chunks with states is a flat line."
    )
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"'
    return f'{head} aria-label="{alt}">' + "".join(lines) + "</svg>\n"


if __name__ == "__main__":
    for name, pixels in pictures().items():
        Image.fromarray(pixels).save(FOLDER / f"{name}.png", optimize=True)
    (FOLDER / "indices.svg").write_text(indices_drawn(), encoding="utf-8")
    for name, drawn in learn_drawn().items():
        (LEARN / f"{name}.svg").write_text(drawn, encoding="utf-8")
    (STREAMING / "state.svg").write_text(state_drawn(), encoding="utf-8")
    (STREAMING / "click.svg").write_text(click_drawn(sounds()), encoding="utf-8")
