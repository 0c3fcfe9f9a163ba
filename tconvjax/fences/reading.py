"""The body of a fence as what it asks for: each key known, each value read by its own rule."""

from __future__ import annotations

import argparse
import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import sympy

from tconvjax.arguments import ints
from tconvjax.command.arguments import by, for_axes, number, numbers, padding, sizes, values
from tconvjax.errors import Described, fail
from tconvjax.geometry import PADDING_MODES, Geometry

MOST_LINES = 60
"""Of a fence."""

MOST_SIDE = 4096
"""Elements of an axis of what is shown, after the sizes are worked out."""

VIEWS = (
    "matrix",
    "transpose",
    "product",
    "sparsity",
    "stamps",
    "zeros",
    "polyphase",
    "links",
    "sizes",
    "overlap",
    "derivation",
    "explorer",
)
FORMATS = ("html", "svg", "mathml", "text", "animation")
LANGUAGES = ("en", "zh")


@dataclass(frozen=True)
class Asked:
    """What a fence asks for.

    Args:
        view: one of `VIEWS`.
        geometry: of the forward convolution.
        y: what the transposed convolution reads, (O, *out_size); None for symbols.
        w: the kernel, (O, C / groups, *kernel_size); None for symbols.
        looks: the other keys: padding as it was written, caption, alt, words, format, most,
            transposed, lang, share.
    """

    view: str
    geometry: Geometry
    y: Any = None
    w: Any = None
    looks: Mapping[str, Any] = field(default_factory=dict)


def _one_of(names: tuple[str, ...]) -> Callable[[str], str]:
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


_KEYS: dict[str, Callable[[str], Any]] = {
    "view": _one_of(VIEWS),
    "in_size": sizes,
    "out_size": sizes,
    "kernel": numbers(1),
    "stride": numbers(1),
    "padding": padding,
    "output_padding": numbers(0),
    "dilation": numbers(1),
    "groups": number,
    "in_channels": number,
    "out_channels": number,
    "padding_mode": _one_of(PADDING_MODES),
    "y": values,
    "w": values,
    "caption": str,
    "alt": str,
    "words": _yes,
    "format": _one_of(FORMATS),
    "most": number,
    "transposed": _yes,
    "lang": _one_of(LANGUAGES),
    "share": _yes,
}
_ONLY_FOR = {
    "words": ("stamps", "zeros", "polyphase", "product", "derivation"),
    "most": ("matrix", "transpose", "overlap"),
    "transposed": ("sparsity",),
    "lang": ("explorer",),
    "share": ("explorer",),
    "y": ("stamps", "zeros", "polyphase", "product", "explorer"),
    "w": ("matrix", "transpose", "stamps", "zeros", "polyphase", "product", "explorer"),
}
"""Keys that would say nothing in other views, and are refused there."""


def read(source: str) -> Asked:
    r"""What the lines of a fence ask for.

    Args:
        source: ``key: value`` lines; empty lines and lines that begin with # say nothing.

    Returns:
        The view, the geometry and the numbers, all checked.

    Raises:
        GeometryError: if a key or a value is wrong; its message begins with the key.

    Examples:
        >>> asked = read("view: stamps\nout_size: 2x2\nkernel: 2\ny: 0,1,2,3")
        >>> asked.geometry.in_size
        (3, 3)
    """
    given = _values(_lines(source))
    if "view" not in given:
        fail(
            "view",
            Described("nothing"),
            "a fence says what it shows",
            f"add a line such as 'view: matrix', or one of {', '.join(VIEWS[1:])}",
        )
    view = given.pop("view")
    for key in given:
        if view not in _ONLY_FOR.get(key, (view,)):
            fail(
                key,
                given[key],
                f"view {view} has no use for it",
                f"leave it out, or take {' or '.join(_ONLY_FOR[key])}",
            )
    geometry = _geometry(given)
    y = _filled("y", given.pop("y", None), geometry.out_shape)
    w = _filled("w", given.pop("w", None), geometry.kernel_shape)
    given["padding"] = for_axes(given.get("padding", 0), geometry.rank)
    return Asked(view, geometry, y, w, given)


def _lines(source: str) -> dict[str, str]:
    """Each key's text."""
    lines = [line.strip() for line in source.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    if len(lines) > MOST_LINES:
        fail(
            "fence", Described(f"{len(lines)} lines"), f"it has at most {MOST_LINES}", "write less"
        )
    given: dict[str, str] = {}
    for line in lines:
        key, colon, text = line.partition(":")
        key = key.strip()
        if not colon:
            fail(
                "fence",
                line[:60],
                "a line is a key, a colon and a value",
                "write it as 'stride: 2'",
            )
        if key not in _KEYS:
            fail(
                key[:40] or "fence",
                text.strip()[:60],
                "there is no such key: " + _unknown(key, tuple(_KEYS)),
                "use one of these",
            )
        if key in given:
            fail(key, text.strip()[:60], "the key is there twice", "leave one of the two out")
        given[key] = text.strip()
    return given


def _values(given: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for key, text in given.items():
        if not text:
            fail(key, text, "a key has a value", "write one after the colon, or leave it out")
        try:
            found[key] = _KEYS[key](text)
        except argparse.ArgumentTypeError as error:
            rule, _, remedy = str(error).partition("; ")
            fail(key, text[:60], rule, remedy or "write one of these")
    return found


def _geometry(given: dict[str, Any]) -> Geometry:
    """The geometry that the sizes and steps among the values describe; they are taken out."""
    if ("in_size" in given) == ("out_size" in given):
        fail(
            "in_size, out_size",
            Described("both" if "in_size" in given else "neither"),
            "a fence has one of the two: the size of the convolution's input, or of what its "
            "transpose reads",
            "give one, such as 'out_size: 2x2'",
        )
    forward = "in_size" in given
    shape = given.pop("in_size" if forward else "out_size")
    if "kernel" not in given:
        fail(
            "kernel",
            Described("nothing"),
            "a convolution has one",
            "add a line such as 'kernel: 3'",
        )
    rank, groups = len(shape), given.pop("groups", 1)
    ins, outs = given.pop("in_channels", groups), given.pop("out_channels", groups)
    for name, channels in (("in_channels", ins), ("out_channels", outs)):
        if channels % groups:
            fail(name, channels, f"groups={groups} must divide it", "give a multiple")
    steps = {
        "stride": given.pop("stride", 1),
        "padding": for_axes(given.get("padding", 0), rank),
        "dilation": given.pop("dilation", 1),
        "groups": groups,
        "padding_mode": given.pop("padding_mode", "zeros"),
    }
    kernel = (outs, ins // groups, *ints("kernel", given.pop("kernel"), rank, 1))
    if forward:
        if "output_padding" in given:
            fail(
                "output_padding",
                given["output_padding"],
                "with in_size there is nothing to choose",
                "leave it out, or give out_size",
            )
        return _bounded(Geometry.of_conv((ins, *shape), kernel, **steps))
    extra = given.pop("output_padding", 0)
    there = Geometry.of_conv_transpose((outs, *shape), kernel, output_padding=extra, **steps)
    return _bounded(there)


def _bounded(geometry: Geometry) -> Geometry:
    largest = max(*geometry.in_shape, *geometry.out_shape, *geometry.kernel_shape)
    if largest > MOST_SIDE:
        fail(
            "in_size",
            Described(by(geometry.in_shape)),
            f"no axis of what is shown has more than {MOST_SIDE} elements",
            "show a smaller one, which looks just so",
        )
    return geometry


def _filled(key: str, given: Any, shape: tuple[int, ...]) -> Any:
    """Numbers, kept exact, as an array."""
    if given is None:
        return None
    count = int(np.prod(shape))
    if len(given) != count:
        fail(
            key,
            Described(f"{len(given)} numbers"),
            f"{by(shape)} asks for {count}",
            "give them row by row",
        )
    array = np.empty(count, object)
    array[:] = [sympy.Rational(n.numerator, n.denominator) for n in given]
    return array.reshape(shape)
