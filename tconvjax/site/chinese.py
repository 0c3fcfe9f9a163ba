"""The words of figures in simplified Chinese.

The library says everything in English. ``chinese.txt`` has each English sentence of a figure above
its Chinese one, with what varies as ``{1}``; longer sentences stand first. A sentence that changes
in the library needs a new line there, and a test finds any English that is left.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache
from importlib import resources
from typing import Any

from tconvjax.rendering import Row, Stack, Table, Words
from tconvjax.rendering.document import Linked, Sparsity


@cache
def _sentences() -> list[tuple[re.Pattern[str], str]]:
    """What to look for, and what to write instead."""
    text = resources.files("tconvjax.site").joinpath("chinese.txt").read_text("utf-8")
    pairs = [pair.split("\n") for pair in text.strip().split("\n\n")]
    return [(_pattern(english), re.sub(r"{(\d)}", r"\\\1", chinese)) for english, chinese in pairs]


def _pattern(english: str) -> re.Pattern[str]:
    """A sentence, or whole words, as a pattern; a part at its end reaches up to a mark."""
    found = re.sub(r"\\{\d\\}$", "([^,;:]+)", re.escape(english))
    found = re.sub(r"\\{\d\\}", "(.+?)", found)
    return re.compile(rf"(?<!\w){found}(?!\w)" if english[0] not in "{:" else found)


def in_chinese(part: Any) -> Any:
    """Translate the words of a document, or of a string; anything else stays as it is."""
    match part:
        case str():
            for english, chinese in _sentences():
                part = english.sub(chinese, part)
            return part
        case Words():
            return replace(part, text=in_chinese(part.text))
        case Table():
            cells = tuple(
                tuple(replace(cell, title=in_chinese(cell.title)) for cell in row)
                for row in part.cells
            )
            return replace(part, cells=cells, name=in_chinese(part.name), alt=in_chinese(part.alt))
        case Sparsity():
            return replace(part, alt=in_chinese(part.alt))
        case Linked():
            tables = tuple(map(in_chinese, part.tables))
            return replace(part, tables=tables, alt=in_chinese(part.alt))
        case Row() | Stack():
            return replace(part, parts=tuple(map(in_chinese, part.parts)))
    return part
