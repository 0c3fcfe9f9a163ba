"""The words of figures in simplified Chinese.

The library says everything in English. ``chinese.txt`` has each English sentence of a figure above
its Chinese one, with what varies as ``{1}``; longer sentences stand first. A sentence that changes
in the library needs a new line there, and a test finds any English that is left.
"""

from __future__ import annotations

import re
from dataclasses import fields, replace
from functools import cache
from importlib import resources
from typing import Any

from tconvjax.rendering.document import Cell, Document


@cache
def _sentences() -> list[tuple[re.Pattern[str], str]]:
    """What to look for, and what to write instead."""
    text = resources.files("tconvjax.site").joinpath("chinese.txt").read_text("utf-8")
    sentences = []
    for pair in text.strip().split("\n\n"):
        english, chinese = pair.split("\n")
        # A part at the end of a sentence reaches up to a mark.
        found = re.sub(r"\\{\d\\}$", "([^,;:]+)", re.escape(english))
        found = re.sub(r"\\{\d\\}", "(.+?)", found)
        found = rf"(?<!\w){found}(?!\w)" if english[0] not in "{:" else found
        sentences.append((re.compile(found), re.sub(r"{(\d)}", r"\\\1", chinese)))
    return sentences


def in_chinese(part: Any) -> Any:
    """Translate the words of a document, or of a string; anything else stays as it is."""
    if isinstance(part, str):
        for english, chinese in _sentences():
            part = english.sub(chinese, part)
    elif isinstance(part, tuple):
        return tuple(map(in_chinese, part))
    elif isinstance(part, Cell):  # its entry stays
        return replace(part, title=in_chinese(part.title))
    elif isinstance(part, Document):
        names = {field.name for field in fields(part)} - {"links", "places"}
        return replace(part, **{name: in_chinese(getattr(part, name)) for name in names})
    return part
