"""Read the body of a fence: each key is known, and each value is read by its own rule."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tconvjax.command import arguments as words
from tconvjax.errors import Described, fail
from tconvjax.geometry import Geometry
from tconvjax.geometry.padding import PADDING_MODES

STEPS = ("stamps", "zeros", "polyphase", "product")
_ARRAYS = (*STEPS, "sum", "explorer")
EXPLORERS = ("share", "parts", "counts", "explorer")
VIEWS = (
    "matrix",
    "transpose",
    "product",
    "sparsity",
    "stamps",
    "sum",
    "zeros",
    "polyphase",
    "links",
    "sizes",
    "overlap",
    "derivation",
    "explorer",
)
FORMATS = ("html", "svg", "mathml", "text", "animation")


@dataclass(frozen=True)
class Fence:
    """What a fence asks for; y and w are None for symbols, and ``looks`` has all other keys."""

    view: str
    geometry: Geometry
    y: Any = None
    w: Any = None
    looks: Mapping[str, Any] = field(default_factory=dict)


def _one_of(*names: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in names:
            raise argparse.ArgumentTypeError(_unknown(text, names))
        return text

    return read


def _unknown(text: str, names: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(text, names, 1)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"it must be one of {', '.join(names)}{meant}"


def _yes(text: str) -> bool:
    if text not in ("yes", "no"):
        raise argparse.ArgumentTypeError("it must be yes or no")
    return text == "yes"


def _page(text: str) -> str:
    if not re.fullmatch(r"(https?://)?[\w./~%-]+", text):
        raise argparse.ArgumentTypeError("it must be the address of a page, such as ../explorer/")
    return text


_KEYS: dict[str, Callable[[str], Any]] = {
    "view": _one_of(*VIEWS),
    "in_size": words.sizes,
    "out_size": words.sizes,
    "kernel": words.numbers(1),
    "stride": words.numbers(1),
    "padding": words.padding,
    "output_padding": words.numbers(0),
    "dilation": words.numbers(1),
    "groups": words.number,
    "in_channels": words.number,
    "out_channels": words.number,
    "padding_mode": _one_of(*PADDING_MODES),
    "y": words.values,
    "w": words.values,
    "caption": str,
    "alt": str,
    "words": _yes,
    "format": _one_of(*FORMATS),
    "most": words.number,
    "transposed": _yes,
    "lang": _one_of("en", "zh"),
    "share": _yes,
    "parts": str,
    "counts": _yes,
    "explorer": _page,
}
_ONLY_FOR = {
    "words": (*STEPS, "derivation"),
    "most": ("matrix", "transpose", "overlap"),
    "transposed": ("sparsity",),
    **dict.fromkeys(EXPLORERS, ("explorer",)),
    "y": _ARRAYS,
    "w": ("matrix", "transpose", *_ARRAYS),
}
"""Keys that would change nothing in other views, and are rejected there."""


def read(source: str) -> Fence:
    r"""Read the lines of a fence.

    Args:
        source: ``key: value`` lines; empty lines and lines that begin with # are skipped.

    Returns:
        The view, the geometry and the numbers, all checked.

    Raises:
        GeometryError: if a key or a value is wrong; its message begins with the key.

    Examples:
        >>> fence = read("view: stamps\nout_size: 2x2\nkernel: 2\ny: 0,1,2,3")
        >>> fence.geometry.in_size
        (3, 3)
    """
    given = _values(source)
    if "view" not in given:
        remedy = f"add a line such as 'view: matrix', or one of {', '.join(VIEWS[1:])}"
        fail("view", Described("nothing"), "a fence names what it shows", remedy)
    view = given.pop("view")
    for key in given:
        if view not in _ONLY_FOR.get(key, (view,)):
            views = " or ".join(_ONLY_FOR[key])
            fail(key, given[key], f"view {view} does not use it", f"leave it out, or take {views}")
    geometry = _geometry(given)
    y = words.filled("y", given.get("y"), geometry.out_shape)
    w = words.filled("w", given.get("w"), geometry.kernel_shape)
    looks = {**given, "padding": words.for_axes(given.get("padding", 0), geometry.rank)}
    return Fence(view, geometry, y, w, looks)


def _values(source: str) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for line in map(str.strip, source.splitlines()):
        if not line or line.startswith("#"):
            continue
        key, colon, text = (part.strip() for part in line.partition(":"))
        short = text[:60]
        if not colon:
            rule = "a line is a key, a colon and a value"
            fail("fence", line[:60], rule, "write it as 'stride: 2'")
        if key not in _KEYS:
            rule = f"there is no such key: {_unknown(key, tuple(_KEYS))}"
            fail(key[:40] or "fence", short, rule, "use one of these")
        if key in given:
            fail(key, short, "the key is given twice", "leave one of the two out")
        if not text:
            fail(key, text, "a key has a value", "write one after the colon, or leave it out")
        try:
            given[key] = _KEYS[key](text)
        except argparse.ArgumentTypeError as error:
            rule, _, remedy = str(error).partition("; ")
            fail(key, short, rule, remedy or "write one of these")
    return given


def _geometry(given: Mapping[str, Any]) -> Geometry:
    if ("in_size" in given) == ("out_size" in given):
        found = Described("both" if "in_size" in given else "neither")
        rule = "a fence has one of the two: the size of the convolution's input, or of the "
        rule += "transposed convolution's input"
        fail("in_size, out_size", found, rule, "give one, such as 'out_size: 2x2'")
    if "kernel" not in given:
        rule = "a convolution has one"
        fail("kernel", Described("nothing"), rule, "add a line such as 'kernel: 3'")
    channels = {name: given.get("groups", 1) for name in ("in_channels", "out_channels")}
    return words.layer({**channels, **given, "size": given.get("in_size")})
