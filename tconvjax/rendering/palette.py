"""What the marks of a table look like. Colours are for the taps of a kernel and for nothing else.

Up to eight taps get the colours of Okabe and Ito ("Color universal design", 2008), in an order in
which neighbours differ in lightness too; more of them a scale from dark to light (viridis, by Smith
and van der Walt, 2015) on which equal steps look equal. Each colour is a background with its own
black or white on top, so it reads on a light page and on a dark one; and no colour stands alone:
the entry itself is always written, or told in words.

Everything else is drawn in the colour of the text, on light pages and on dark ones: an amount is a
wash that gets stronger, a phase is a hatching, and a mark is a frame.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

Shows: TypeAlias = Literal["taps", "counts", "phases", "marks"]
"""What the numbers of the cells of a table are."""

EIGHT = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#999999")
SCALE = (
    *("#440154", "#482878", "#3e4a89", "#31688e", "#26828e"),
    *("#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"),
)

TURNS = (135, 45, 90, 0)
"""Degrees across the lines of a hatching, for one phase after another."""


def colour(tap: int, taps: int) -> str:
    """The background of a tap among so many, as "#rrggbb"."""
    if taps <= len(EIGHT):
        return EIGHT[tap % len(EIGHT)]
    place = (tap % taps) / (taps - 1) * (len(SCALE) - 1)
    first = min(int(place), len(SCALE) - 2)
    low, high = (rgb(SCALE[n]) for n in (first, first + 1))
    mixed = (round(a + (b - a) * (place - first)) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{part:02x}" for part in mixed)


def ink(background: str) -> str:
    """Black or white, whichever stands out more from a background.

    The relative luminance of WCAG 2.2, whose contrast is 4.5 to 1 or more with one of the two.
    """
    parts = (part / 255 for part in rgb(background))
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return "#000000" if (luminance + 0.05) ** 2 > 1.05 * 0.05 else "#ffffff"


def wash(tap: int, taps: int) -> float:
    """The share of the text's colour behind an amount; letters stay readable on all of it."""
    return 0.45 * tap / max(taps - 1, 1)


def lit(tap: int | None, shows: Shows) -> int | None:
    """The number that pointing at a cell lights wherever it is: that of a tap or of an amount."""
    return tap if shows in ("taps", "counts") else None


def painted(tap: int | None, taps: int, shows: Shows) -> str:
    """The style of HTML and MathML for a cell with this number; "" for None."""
    if tap is None:
        return ""
    if shows == "marks":
        return "outline:3px solid;outline-offset:-3px"
    if shows == "counts":
        share = f"{100 * wash(tap, taps):.0f}%"
        return f"background:color-mix(in srgb,currentColor {share},transparent)"
    if shows == "phases":
        line = "color-mix(in srgb,currentColor 30%,transparent)"
        turn = f"{TURNS[tap % len(TURNS)]}deg"
        return f"background:repeating-linear-gradient({turn},{line} 0 1px,transparent 1px 8px)"
    back = colour(tap, taps)
    return f"background:{back};color:{ink(back)}"


def rgb(code: str) -> tuple[int, int, int]:
    """The three parts of "#rrggbb", 0 to 255."""
    return int(code[1:3], 16), int(code[3:5], 16), int(code[5:7], 16)
