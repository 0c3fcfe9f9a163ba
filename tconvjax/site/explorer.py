"""An element for web pages that shows one transposed convolution four ways, in plain JavaScript.

``<tconv-explorer>`` links each element of the result to its products, to its row of C.T and to its
stamps. It needs no framework and nothing from the network; without JavaScript its children are
shown instead.

Its sources lie beside this file: ``arithmetic.js`` has the integers and the code lines,
``words.js`` the texts, ``drawing.js`` the views, ``element.js`` the element and ``explorer.css``
its style.
"""

from __future__ import annotations

import functools
import html
import json
import math
from importlib import resources
from typing import Any

from tconvjax.arguments import choice, flag, text
from tconvjax.errors import Described, fail
from tconvjax.geometry import Geometry, check_geometry
from tconvjax.symbolic.names import as_array

__all__ = ["element", "script"]

MOST_VALUE = 99
"""Largest entry of y and w, as in ``arithmetic.js``."""

_FILES = ("arithmetic.js", "words.js", "drawing.js", "element.js")
_BOUNDS = {
    "kernel": ((1, 7), (1, 4)),
    "out_size": ((1, 8), (1, 4)),
    "stride": ((1, 4), (1, 4)),
    "padding": ((0, 4), (0, 4)),
    "output_padding": ((0, 3), (0, 3)),
    "dilation": ((1, 3), (1, 3)),
    "groups": ((1, 3), (1, 3)),
}
"""What the controls offer in 1-D and in 2-D, as in ``arithmetic.js``."""


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
    fallback: str = "",
) -> str:
    r"""Write the tag of an explorer that starts with these settings.

    Args:
        geometry: one axis or two equal ones, with the same padding with zeros before and after
            (except for an output padding), one channel in and out per group, and sizes that the
            controls offer.
        y: input of the transposed convolution, whole numbers from -99 to 99 of shape
            (out_channels, \*out_size), or as many in a row; 1, 2, 3 and so on by default.
        w: kernel, likewise, of shape (out_channels, 1, \*kernel_size).
        lang: "en", or "zh" for simplified Chinese.
        share: whether the page's address holds the state, so that a link shares it.
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
    tag = "".join(
        f' {name.replace("_", "-")}="{html.escape(str(value))}"'
        for name, value in attributes.items()
    )
    tag += " share" if flag("share", share) else ""
    return f"<tconv-explorer{tag}>{text('fallback', fallback)}</tconv-explorer>"


def _setting(geometry: Geometry) -> dict[str, int]:
    """Find the number of each control."""
    rank, axis = geometry.rank, geometry.axes[0]
    if rank > 2:
        found = Described(f"{rank} spatial axes")
        fail("geometry", found, "the explorer shows 1 or 2", "take fewer")
    if len(set(geometry.axes)) > 1:
        found = Described(f"axes of sizes {geometry.out_size}")
        rule = "the explorer has one number for both axes"
        fail("geometry", found, rule, "give both axes the same sizes, steps and padding")
    if {geometry.in_channels, geometry.out_channels} != {geometry.groups}:
        found = Described(f"{geometry.in_channels} and {geometry.out_channels} channels")
        rule = f"the explorer shows one channel each way per group, and groups={geometry.groups}"
        fail("geometry", found, rule, "give as many groups as channels")
    if axis.bordered:
        rule = "the explorer shows padding with zeros"
        fail("padding_mode", axis.mode, rule, "use padding_mode='zeros'")
    if axis.in_size < 1:
        rule = "the explorer shows results with elements"
        fail("in_size", axis.in_size, rule, "use less padding")
    extra, room = axis.low - axis.high, max(axis.stride, axis.dilation)
    if not 0 <= extra < room:
        rule = f"the explorer has one number for both ends, and an output padding below {room}"
        fail("padding", (axis.low, axis.high), rule, "pad both ends alike")
    setting = {
        "dimension": rank,
        "out_size": axis.out_size,
        "kernel": axis.kernel_size,
        "stride": axis.stride,
        "padding": axis.low,
        "output_padding": extra,
        "dilation": axis.dilation,
        "groups": geometry.groups,
    }
    for name, bounds in _BOUNDS.items():
        least, most = bounds[rank - 1]
        if not least <= setting[name] <= most:
            rule = f"the explorer shows {least} to {most} in {rank}-D"
            fail(name, setting[name], rule, "give a number in this range")
    return setting


def _listed(letter: str, values: Any, shape: tuple[int, ...]) -> str:
    """Write an array's entries row by row, which must be whole and small."""
    entries = as_array(letter, values).ravel().tolist()
    for n, value in enumerate(entries):
        try:
            whole = None if isinstance(value, str | bytes) else int(value)
        except Exception:  # noqa: BLE001 - a symbol raises an error of its own library
            whole = None
        if whole is None or whole != value or abs(whole) > MOST_VALUE:
            rule = f"the explorer shows whole numbers from {-MOST_VALUE} to {MOST_VALUE}"
            fail(letter, Described(str(value)[:40]), rule, "give such numbers")
        entries[n] = whole
    if len(entries) != math.prod(shape):
        rule = f"it has shape {shape}"
        fail(letter, Described(f"{len(entries)} numbers"), rule, f"give {math.prod(shape)}")
    return ",".join(map(str, entries))
