"""The ``tconv`` fence: what superfences calls for each block of a page."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

from pymdownx.superfences import SuperFencesException

from tconvjax import explorer, rendering
from tconvjax.errors import Described, GeometryError, fail
from tconvjax.fences.places import place
from tconvjax.fences.reading import Asked, read
from tconvjax.fences.sheet import FIGURE, Sheet
from tconvjax.fences.views import explanation, shown
from tconvjax.rendering.html import most_taps
from tconvjax.rendering.text import clean


def validator(
    language: str,
    inputs: Mapping[str, Any],
    options: dict[str, Any],
    attrs: dict[str, Any],
    md: Any,
) -> bool:
    """Take every head of a fence, so that `format` can refuse what it does not know.

    Args:
        language: the fence's name.
        inputs: what stands in the head; a validator that refuses it makes superfences show the
            fence as plain code, and a strict build passes.
        options: filled with them.
        attrs: left empty.
        md: the Markdown instance.

    Returns:
        True.

    Examples:
        >>> taken = {}
        >>> validator("tconv", {"kernel": "3"}, taken, {}, None), taken
        (True, {'kernel': '3'})
    """
    options.update(inputs)
    return True


def format(
    source: str, language: str, class_name: str, options: Mapping[str, Any], md: Any, **rest: Any
) -> str:
    r"""A fence as a figure.

    Args:
        source: its body, ``key: value`` lines.
        language: its name.
        class_name: a class for the figure.
        options: what stands in its head, which should be nothing.
        md: the Markdown instance.
        **rest: classes, id_value and attrs, as superfences gives them.

    Returns:
        A ``figure`` with what was asked for and its caption.

    Raises:
        SuperFencesException: if a key or a value is wrong, with the file, the line, the rule and
            the remedy. superfences takes any other exception for a fence that is none.

    Examples:
        >>> import markdown
        >>> fence = {"name": "tconv", "class": "tconv", "format": format}
        >>> page = "```tconv\nview: matrix\nin_size: 5\nkernel: 3\nstride: 2\n```"
        >>> html = markdown.markdown(
        ...     page,
        ...     extensions=["pymdownx.superfences"],
        ...     extension_configs={"pymdownx.superfences": {"custom_fences": [fence]}},
        ... )
        >>> html.count("<td")
        10
    """
    try:
        given = {**options, **rest.get("attrs", {})}
        if given:
            fail(
                "fence",
                Described(f"a head with {', '.join(given)}"),
                "its keys stand in its body",
                "write them below, one a line, as 'kernel: 3'",
            )
        return _figure(read(source), class_name, Sheet.of(md))
    except Exception as error:
        where = place(md, _lines_of(source, str(error)))
        kind = "" if isinstance(error, GeometryError) else f"{type(error).__name__}: "
        raise SuperFencesException(f"{where}tconv fence: {kind}{error}") from error


def _lines_of(source: str, message: str) -> list[str]:
    """The lines of a fence from the one that a message is about."""
    lines = [line for line in source.splitlines() if line.strip()]
    about = re.match(r"\w+", message)
    for n, line in enumerate(lines):
        if about and line.partition(":")[0].strip() == about[0]:
            return lines[n:]
    return lines


def _figure(asked: Asked, class_name: str, sheet: Sheet) -> str:
    looks = asked.looks
    body = _explorer(asked, sheet) if asked.view == "explorer" else _rendered(asked, sheet)
    caption, alt = (html.escape(clean(looks.get(key, ""))) for key in ("caption", "alt"))
    told = f"<figcaption>{caption}</figcaption>" if caption else ""
    label = f' role="group" aria-label="{alt}"' if alt else ""
    kind = html.escape(f" {class_name}-{asked.view}")
    return f'{FIGURE}{kind}"{label}>{body}{told}</figure>'


def _rendered(asked: Asked, sheet: Sheet) -> str:
    form = asked.looks.get("format", "html")
    sheet.taps = max(sheet.taps, 0)
    if form == "animation":
        if asked.view != "stamps":
            fail("format", form, "the moving picture shows the stamps", "take view: stamps")
        return explanation(asked).to_animation()
    document = shown(asked)
    if form == "html":
        sheet.taps = max(sheet.taps, most_taps(document))
        return rendering.to_html(document, style=False)
    if form == "text":
        return f"<pre><code>{html.escape(rendering.to_text(document, width=100))}</code></pre>"
    if form == "mathml":
        return rendering.to_mathml(document)
    return rendering.to_svg(document, alt=asked.looks.get("alt", ""))


def _explorer(asked: Asked, sheet: Sheet) -> str:
    """The element, with the last stamp and the result inside for those without scripts."""
    sheet.script = explorer.script()
    told = explanation(Asked("stamps", asked.geometry, asked.y, asked.w))
    last = told.views[0].steps[-1].document
    sheet.taps = max(sheet.taps, most_taps(last))
    return explorer.element(
        asked.geometry,
        asked.y,
        asked.w,
        lang=asked.looks.get("lang", "en"),
        share=asked.looks.get("share", False),
        fallback=rendering.to_html(last, style=False),
    )
