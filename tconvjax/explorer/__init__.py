"""Transposed convolution to play with: an element for web pages, in plain JavaScript.

``<tconv-explorer>`` shows one transposed convolution four ways at once, and links each element of
the result to its products, to its row of C.T and to its stamps. It needs no framework and nothing
from the network; without JavaScript its children are shown instead.

Sources: ``arithmetic.js`` has the integers and the code lines, ``words.js`` the texts,
``drawing.js`` the views, ``element.js`` the element and ``explorer.css`` its looks.
"""

from __future__ import annotations

import functools
import html
import json
import operator
from collections.abc import Iterable
from importlib import resources
from typing import Any

from tconvjax.errors import Described, fail
from tconvjax.geometry import Axis, Geometry, check_geometry

__all__ = ["LANGUAGES", "element", "script"]

LANGUAGES = ("en", "zh")
MOST_VALUE = 99
"""The largest entry of y and w, as in ``arithmetic.js``."""

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
    """The element as one classic script.

    Returns:
        JavaScript that defines ``<tconv-explorer>``; to stand between ``<script>`` and
        ``</script>``, or in a file of its own. A page may have it twice.

    Examples:
        >>> "customElements.define" in script()
        True
    """
    folder = resources.files(__name__)
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
    r"""The tag of an explorer that starts with these settings.

    Args:
        geometry: one axis or two alike, with zero padding alike before and after (but for an output
            padding), a channel each way in each group, and sizes that the controls offer.
        y: what the transposed convolution reads, whole numbers from -99 to 99 of shape
            (out_channels, \*out_size), or as many in a row; 1, 2, 3 and so on if left out.
        w: the kernel, likewise, of shape (out_channels, 1, \*kernel_size).
        lang: "en", or "zh" for simplified Chinese.
        share: whether the state stands in the page's address, so that a link shares it.
        fallback: HTML to show where there is no JavaScript; it is not escaped.

    Returns:
        HTML. The page needs `script` once, before or after it.

    Raises:
        GeometryError: if the explorer cannot show it.

    Examples:
        >>> element(Geometry.of_conv_transpose((1, 4), (1, 1, 3), stride=2))[:54]
        '<tconv-explorer dimension="1" out-size="4" kernel="3" '
    """
    if not isinstance(lang, str) or lang not in LANGUAGES:
        fail("lang", lang, f"the languages are {' and '.join(LANGUAGES)}", "use one of them")
    for name, given, kind in (("share", share, bool), ("fallback", fallback, str)):
        if not isinstance(given, kind):
            fail(name, given, f"it must be of type {kind.__name__}", f"give {kind()!r}, say")
    attributes: dict[str, Any] = _setting(check_geometry(geometry))
    for letter, values, shape in (("y", y, geometry.out_shape), ("w", w, geometry.kernel_shape)):
        if values is not None:
            attributes[letter] = ",".join(map(str, _whole(letter, values, shape)))
    if lang != "en":
        attributes["lang"] = lang
    said = "".join(
        f' {name.replace("_", "-")}="{html.escape(str(value))}"'
        for name, value in attributes.items()
    )
    return f"<tconv-explorer{said}{' share' if share else ''}>{fallback}</tconv-explorer>"


def _setting(geometry: Geometry) -> dict[str, int]:
    """The one number of each control, if there is one."""
    rank, axis = geometry.rank, geometry.axes[0]
    if rank > 2:
        fail(
            "geometry",
            Described(f"{rank} spatial axes"),
            "the explorer shows one or two",
            "take fewer axes",
        )
    if len(set(geometry.axes)) > 1:
        fail(
            "geometry",
            Described(f"axes of sizes {geometry.out_size}"),
            "the explorer has one number for both axes",
            "give both axes the same sizes, steps and padding",
        )
    channels = (geometry.in_channels, geometry.out_channels)
    if channels != (geometry.groups,) * 2:
        fail(
            "geometry",
            Described(f"{channels[0]} and {channels[1]} channels"),
            f"the explorer shows one channel each way in each group, and groups={geometry.groups}",
            "give as many groups as channels",
        )
    setting = {
        "dimension": rank,
        "out_size": axis.out_size,
        "kernel": axis.kernel_size,
        "stride": axis.stride,
        **_paddings(axis),
        "dilation": axis.dilation,
        "groups": geometry.groups,
    }
    for name, bounds in _BOUNDS.items():
        least, most = bounds[rank - 1]
        if not least <= setting[name] <= most:
            fail(
                name,
                setting[name],
                f"the explorer shows {least} to {most} in {rank}-D",
                "give a number of this range",
            )
    return setting


def _paddings(axis: Axis) -> dict[str, int]:
    """The padding and the output padding that give the two ends of an axis."""
    extra, room = axis.low - axis.high, max(axis.stride, axis.dilation)
    if axis.bordered:
        fail(
            "padding_mode",
            axis.mode,
            "the explorer shows padding with zeros",
            "use padding_mode='zeros'",
        )
    if axis.in_size < 1:
        fail(
            "in_size", axis.in_size, "the explorer shows results with elements", "use less padding"
        )
    if not 0 <= extra < room:
        fail(
            "padding",
            (axis.low, axis.high),
            f"the explorer has one number for both ends, and an output padding below {room}",
            "pad both ends alike",
        )
    return {"padding": axis.low, "output_padding": extra}


def _whole(letter: str, values: Any, shape: tuple[int, ...]) -> list[int]:
    """The entries of an array row by row, whole and small."""
    found = [_entry(letter, value) for value in _flat(values)]
    wanted = functools.reduce(operator.mul, shape, 1)
    if len(found) != wanted:
        fail(letter, Described(f"{len(found)} numbers"), f"it has shape {shape}", f"give {wanted}")
    return found


def _flat(values: Any) -> Iterable[Any]:
    if hasattr(values, "tolist"):
        values = values.tolist()
    scalar = isinstance(values, str | bytes) or getattr(values, "ndim", 1) == 0
    if scalar or not isinstance(values, Iterable):
        return [values]
    return [entry for value in values for entry in _flat(value)]


def _entry(letter: str, value: Any) -> int:
    try:
        number = int(value)
    except Exception:  # noqa: BLE001 - a symbol raises an error of its own library
        number = MOST_VALUE + 1
    if isinstance(value, str | bytes) or abs(number) > MOST_VALUE or number != value:
        fail(
            letter,
            Described(str(value)[:40]),
            f"the explorer shows whole numbers from {-MOST_VALUE} to {MOST_VALUE}",
            "give such numbers",
        )
    return number
