"""Where in a file of Markdown something stands, for messages that name the line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def place(md: Any, wanted: Sequence[str]) -> str:
    """``page.md, line 12`` of the first lines of a page that hold these, one after the other.

    Args:
        md: the Markdown instance. MkDocs puts the page's file into it; without, only the lines of
            the text are known.
        wanted: lines, or parts of one line, in order.

    Returns:
        Words that begin a message; "" if the lines are nowhere, as in a docstring.
    """
    file = _file(md)
    lines = _lines(md, file)
    number = _found(lines, [line.strip() for line in wanted if line.strip()])
    name = getattr(file, "src_uri", "")
    if number is None:
        return f"{name}: " if name else ""
    return f"{name}, line {number}: " if name else f"line {number}: "


def _file(md: Any) -> Any:
    """The page's file, which MkDocs hands to the part that mends relative links."""
    known = md.treeprocessors
    return getattr(known["relpath"], "file", None) if "relpath" in known else None


def _lines(md: Any, file: Any) -> list[str]:
    # The text that Markdown sees has lost the head of the file, and with it the count of lines.
    try:
        return str(file.content_string).splitlines()
    except (AttributeError, OSError, UnicodeError):
        return list(getattr(md, "lines", []))


def _found(lines: Sequence[str], wanted: Sequence[str]) -> int | None:
    if not wanted:
        return None
    first, *rest = wanted
    for n, line in enumerate(lines):
        if first in line and all(
            part in other for part, other in zip(rest, _after(lines, n), strict=False)
        ):
            return n + 1
    return None


def _after(lines: Sequence[str], n: int) -> list[str]:
    """The lines below one, empty ones left out."""
    return [line for line in lines[n + 1 :] if line.strip()]
