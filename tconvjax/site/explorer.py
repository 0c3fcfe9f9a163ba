"""An element for web pages that shows one transposed convolution, in plain JavaScript.

``<tconv-explorer>`` links each element of the result to its products, to its row of C.T and to its
stamps. It needs no framework and nothing from the network; without JavaScript its children are
shown instead.

Its sources lie beside this file, and each says at its top what it holds.
"""

from __future__ import annotations

import functools
import html
import json
import math
import re
from collections.abc import Iterable
from fractions import Fraction
from importlib import resources
from numbers import Rational
from typing import Any

from tconvjax.arguments import choice, flag, text
from tconvjax.errors import Described, fail
from tconvjax.geometry import Axis, Geometry, check_geometry
from tconvjax.symbolic.names import as_array

__all__ = ["element", "script"]

MOST_VALUE = 99
"""Largest entry of x, y and w, as in ``values.js``."""

MOST_DENOMINATOR = 100
"""Largest denominator of an entry, as in ``values.js``."""

MOST_PRODUCTS, MOST_CELLS, MOST_ALONG, MOST_CHANNELS = 1000, 800, 64, 4
"""What the explorer draws, as in ``arithmetic.js``: products, cells of a sheet, cells along one of
its axes, channels each way."""

PARTS = (
    *("example", "dimension", "out_size", "kernel", "stride", "padding", "output_padding"),
    *("dilation", "groups", "out_channels", "in_channels", "padding_mode", "preset", "shows"),
    *("compare", "paste", "sizes"),
    *("grids", "stamps", "matrix", "zeros", "gradients", "photo", "code"),
)
"""The controls and the views that a page may show while the others are folded."""

_FILES = (
    "arithmetic.js",
    "values.js",
    "frameworks.js",
    "palette.js",
    "words.js",
    "drawing.js",
    "selecting.js",
    "theme.js",
    "comparing.js",
    "photo.js",
    "saving.js",
    "pointing.js",
    "playing.js",
    "controls.js",
    "element.js",
)


@functools.cache
def script() -> str:
    """Read the element as one classic script.

    Returns:
        JavaScript that defines ``<tconv-explorer>``, for a ``script`` element or a file. A page may
        have it twice.

    Examples:
        >>> "customElements.define" in script()
        True
    """
    folder = resources.files("tconvjax.site")
    style, *parts = (
        folder.joinpath(name).read_text(encoding="utf-8") for name in ("explorer.css", *_FILES)
    )
    # Pages need neither comments nor indents; no text of the sources has a line of its own.
    style, *parts = (re.sub(r"(?m)^ *(//.*\n)?", "", part) for part in (style, *parts))
    # JSON is JavaScript; no "</" of it may end the page's script element.
    constants = "const STYLE = " + json.dumps(style).replace("</", "<\\/") + ";"
    guard = 'if (!window.customElements || customElements.get("tconv-explorer")) return;'
    return "\n".join(["(() => {", '"use strict";', guard, constants, *parts, "})();\n"])


def element(
    geometry: Geometry,
    y: Any = None,
    w: Any = None,
    *,
    lang: str = "en",
    share: bool = False,
    parts: str = "",
    counts: bool = False,
    explorer: str = "",
    fallback: str = "",
) -> str:
    r"""Write the tag of an explorer that starts with these settings.

    Args:
        geometry: one axis or two with one padding mode, with up to 4 channels each way, and small
            enough to draw.
        y: input of the transposed convolution, of shape (out_channels, \*out_size), or as many
            numbers in a row; 1, 2, 3 and so on by default. The numbers are whole, or fractions with
            denominators up to 100, from -99 to 99.
        w: kernel, likewise, of shape (out_channels, in_channels / groups, \*kernel_size).
        lang: "en", or "zh" for simplified Chinese.
        share: whether the page's address holds the state, so that a link shares it.
        parts: names of `PARTS`, the controls and views to show, such as "kernel, grids"; the others
            are folded. By default all views and most controls are shown.
        counts: whether z shows how many products each of its elements adds up.
        explorer: address of a page with the whole explorer, to which a link takes the state.
        fallback: HTML to show where there is no JavaScript; it is not escaped.

    Returns:
        HTML. The page needs `script` once, before or after it.

    Raises:
        GeometryError: if the explorer cannot show it.

    Examples:
        >>> element(Geometry.of_conv_transpose((1, 4), (1, 1, 3), stride=2))[:54]
        '<tconv-explorer dimension="1" out-size="4" kernel="3" '
    """
    attributes: dict[str, Any] = _setting(check_geometry(geometry))
    for letter, values, shape in (("y", y, geometry.out_shape), ("w", w, geometry.kernel_shape)):
        if values is not None:
            attributes[letter] = _listed(letter, values, shape)
    if choice("lang", lang, ("en", "zh")) != "en":
        attributes["lang"] = lang
    names = text("parts", parts).replace(",", " ").split()
    if shown := [choice("parts", name, PARTS) for name in names]:
        attributes["parts"] = " ".join(shown)
    if text("explorer", explorer):
        attributes["explorer"] = explorer
    tag = "".join(
        f' {name.replace("_", "-")}="{html.escape(str(value))}"'
        for name, value in attributes.items()
    )
    flags = {"share": share, "counts": counts}
    tag += "".join(f" {name}" for name, value in flags.items() if flag(name, value))
    return f"<tconv-explorer{tag}>{text('fallback', fallback)}</tconv-explorer>"


def _setting(geometry: Geometry) -> dict[str, Any]:
    """Write the number of each control, for each axis if they differ."""
    rank = geometry.rank
    if rank > 2:
        found = Described(f"{rank} spatial axes")
        fail("geometry", found, "the explorer shows 1 or 2", "take fewer")
    channels = {name: getattr(geometry, name) for name in ("out_channels", "in_channels")}
    if not 1 <= min(channels.values()) <= max(channels.values()) <= MOST_CHANNELS:
        found = Described(f"{geometry.in_channels} and {geometry.out_channels} channels")
        rule = f"the explorer shows 1 to {MOST_CHANNELS} each way"
        fail("geometry", found, rule, "give fewer; all channels look alike")
    paddings = [_padding(axis) for axis in geometry.axes]
    products = math.prod(geometry.out_shape) * math.prod(geometry.kernel_shape[1:])
    cells = [
        max(axis.stride * (axis.out_size - 1) + axis.span, axis.low + axis.in_size)
        for axis in geometry.axes
    ]
    if products > MOST_PRODUCTS or math.prod(cells) > MOST_CELLS or max(cells) > MOST_ALONG:
        found = Described(f"{products} products onto {' x '.join(map(str, cells))} elements")
        rule = f"the explorer draws {MOST_PRODUCTS} products, {MOST_CELLS} elements and "
        rule += f"{MOST_ALONG} along an axis"
        fail("geometry", found, rule, "give a smaller y, kernel or stride; the pattern repeats")
    modes = {axis.mode for axis in geometry.axes}
    if len(modes) > 1:
        rule = "the explorer has one padding mode for both axes"
        fail("padding_mode", sorted(modes), rule, "give both axes the same")
    mode = {} if modes == {"zeros"} else {"padding_mode": modes.pop()}
    return {
        **mode,
        "dimension": rank,
        "out_size": _per_axis(geometry.out_size),
        "kernel": _per_axis(geometry.kernel_size),
        "stride": _per_axis(geometry.stride),
        "padding": _per_axis([padding for padding, _ in paddings]),
        "output_padding": _per_axis([extra for _, extra in paddings]),
        "dilation": _per_axis(geometry.dilation),
        "groups": geometry.groups,
        **{name: value for name, value in channels.items() if value != geometry.groups},
    }


def _per_axis(values: Iterable[Any]) -> str:
    """Write one number for all axes, or one for each as ``3x4``."""
    parts = [str(value) for value in values]
    return "x".join(parts if len(set(parts)) > 1 else parts[:1])


def _padding(axis: Axis) -> tuple[str, int]:
    """Find the padding of an axis, ``1`` or ``0:1``, and its output padding."""
    if axis.in_size < 1:
        rule = "the explorer shows results with elements"
        fail("in_size", axis.in_size, rule, "use less padding")
    low, high = axis.low, axis.high
    room = max(axis.stride, axis.dilation)
    if low < 0 or high <= -room:
        rule = "the explorer adds no zeros before the first stamp, and fewer after the last than "
        rule += f"the stride or the dilation, {room}"
        fail("padding", (low, high), rule, "give padding of at least 0")
    if 0 <= low - high < room:
        return str(low), low - high
    return f"{low}:{max(high, 0)}", max(-high, 0)


def _listed(letter: str, values: Any, shape: tuple[int, ...]) -> str:
    """Write an array's entries row by row, which must be small and whole or simple fractions."""
    entries = as_array(letter, values).ravel().tolist()
    for n, value in enumerate(entries):
        try:
            number = Fraction(value if isinstance(value, Rational) else float(value))
            near = number.limit_denominator(MOST_DENOMINATOR)
            known = not isinstance(value, str | bytes) and abs(near - number) < 1e-9
        except Exception:  # noqa: BLE001 - a symbol raises an error of its own library
            known = False
        if not known or abs(near) > MOST_VALUE:
            rule = f"the explorer shows numbers from {-MOST_VALUE} to {MOST_VALUE} that are whole "
            rule += f"or fractions with denominators up to {MOST_DENOMINATOR}"
            fail(letter, Described(str(value)[:40]), rule, "give such numbers")
        entries[n] = near
    if len(entries) != math.prod(shape):
        rule = f"it has shape {shape}"
        fail(letter, Described(f"{len(entries)} numbers"), rule, f"give {math.prod(shape)}")
    return ",".join(map(str, entries))
