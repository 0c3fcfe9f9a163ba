"""The ``tconv`` fence: matrices and pictures of convolutions in pages that Markdown makes.

Every figure is made while the page is built, and only the explorer needs a script:

    markdown_extensions:
      - tconvjax.site.fence
      - pymdownx.superfences:
          custom_fences:
            - name: tconv
              class: tconv
              format: !!python/name:tconvjax.site.fence.format

This is an extension of Markdown and a fence of superfences instead of a plugin of MkDocs, so that
other builders can use it too. No text of a page is evaluated.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

from markdown import Markdown
from markdown.extensions import Extension
from markdown.postprocessors import Postprocessor
from markdown.preprocessors import Preprocessor
from pymdownx.superfences import SuperFencesException

from tconvjax import rendering, symbolic, upsampling
from tconvjax.command.arguments import alternatives
from tconvjax.errors import GeometryError, fail
from tconvjax.explaining import explain, frames, stamp_sum
from tconvjax.geometry import Axis
from tconvjax.geometry.padding import pads
from tconvjax.rendering import Cell, Stack, Table, Words
from tconvjax.rendering.document import Document
from tconvjax.rendering.html import most_taps, sheet
from tconvjax.rendering.text import clean
from tconvjax.rendering.values import MOST_READ
from tconvjax.site import explorer
from tconvjax.site.chinese import in_chinese
from tconvjax.site.reading import EXPLORERS, STEPS, Fence, read

__all__ = ["format", "makeExtension"]

_FENCE = re.compile(r"[\s>]*(`{3,}|~{3,})\s*(.*)")
_FIGURE = '<figure class="tconv-figure'


def makeExtension(**options: Any) -> Extension:
    """Make the Markdown extension, as ``markdown_extensions: [tconvjax.site.fence]`` asks for it.

    It writes the style of the figures into each page once, and rejects a fence with more than its
    name in its head.

    Args:
        **options: there are none.

    Returns:
        An extension for `markdown.Markdown`.

    Raises:
        GeometryError: if there are options.

    Examples:
        >>> import markdown
        >>> html = markdown.markdown("*text*", extensions=["tconvjax.site.fence"])
    """
    if options:
        fail("options", sorted(options), "the extension has none", "leave them out")
    return _Fences()


def format(source: str, language: str, class_name: str, options: Any, md: Any, **rest: Any) -> str:
    r"""Turn a fence into a figure.

    Args:
        source: the body, ``key: value`` lines.
        language: name of the fence.
        class_name: class of the figure.
        options: not used, since `makeExtension` rejects heads with more than a name.
        md: the Markdown instance.
        **rest: not used: classes, id_value and attrs, as superfences gives them.

    Returns:
        A ``figure`` with what the fence asks for and its caption.

    Raises:
        SuperFencesException: if a key or a value is wrong, with the file, the line, the rule and
            the remedy. After any other exception superfences would show plain code.

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
        return _figure(read(source), class_name, _Sheet.of(md))
    except Exception as error:
        lines = [line for line in source.splitlines() if line.strip()]
        about = re.match(r"\w*", str(error))[0]  # type: ignore[index]
        named = [n for n, line in enumerate(lines) if line.partition(":")[0].strip() == about]
        where = place(md, lines[named[0] if named else 0 :])
        kind = "" if isinstance(error, GeometryError) else f"{type(error).__name__}: "
        raise SuperFencesException(f"{where}tconv fence: {kind}{error}") from error


def place(md: Any, parts: Sequence[str]) -> str:
    """Say where on a page lines stand that hold these parts, as ``page.md, line 12:`` and a space.

    MkDocs gives the page's file to the extension that mends links. The text that Markdown sees has
    lost the head of the file, and so the count of its lines; without MkDocs it has to do.
    """
    known = md.treeprocessors
    file: Any = getattr(known["relpath"], "file", None) if "relpath" in known else None
    try:
        text = str(file.content_string).splitlines()
    except (AttributeError, OSError, UnicodeError):
        text = list(getattr(md, "lines", []))
    lines = [(n, line) for n, line in enumerate(text, 1) if line.strip()]
    parts = [part.strip() for part in parts if part.strip()]
    where = [file.src_uri] if hasattr(file, "src_uri") else []
    for first, (number, _) in enumerate(lines):
        if parts and all(p in line for p, (_, line) in zip(parts, lines[first:], strict=False)):
            where.append(f"line {number}")
            break
    return f"{', '.join(where)}: " if where else ""


# -- figures ---------------------------------------------------------------------------------------


def _figure(fence: Fence, class_name: str, page: _Sheet) -> str:
    body = _explorer(fence, page) if fence.view == "explorer" else _rendered(fence, page)
    caption, alt = (html.escape(clean(fence.looks.get(key, ""))) for key in ("caption", "alt"))
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    label = f' role="group" aria-label="{alt}"' if alt else ""
    label += ' lang="zh-Hans"' if fence.looks.get("lang") == "zh" else ""
    kind = html.escape(f" {class_name}-{fence.view}")
    return f'{_FIGURE}{kind}"{label}>{body}{below}</figure>'


def _rendered(fence: Fence, page: _Sheet) -> str:
    form = fence.looks.get("format", "html")
    page.taps = max(page.taps, 0)
    if form == "animation":
        return _moving(fence)
    document = shown(fence)
    if fence.looks.get("lang") == "zh":
        document = in_chinese(document)
    if form == "html":
        page.taps = max(page.taps, most_taps(document))
        return rendering.to_html(document, style=False)
    if form == "text":
        return f"<pre><code>{html.escape(rendering.to_text(document, width=100))}</code></pre>"
    if form == "mathml":
        return rendering.to_mathml(document)
    return rendering.to_svg(document, alt=fence.looks.get("alt", ""))


def _explorer(fence: Fence, page: _Sheet) -> str:
    """Put the last stamp and the result into the element, for readers without scripts."""
    page.script = explorer.script()
    stamps = explain(fence.geometry, fence.y, fence.w, views=("stamps",))
    last = stamps.views[0].steps[-1].document
    page.taps = max(page.taps, most_taps(last))
    return explorer.element(
        fence.geometry,
        fence.y,
        fence.w,
        lang=fence.looks.get("lang", "en"),
        **{key: fence.looks[key] for key in EXPLORERS if key in fence.looks},
        fallback=rendering.to_html(last, style=False),
    )


# -- pages -----------------------------------------------------------------------------------------


class _Fences(Extension):
    """The style and the script of the figures of a page, and a check of their heads."""

    def extendMarkdown(self, md: Markdown) -> None:
        md.preprocessors.register(_Heads(md), "tconv-heads", 26)  # before superfences (25)
        _Sheet.of(md)


class _Sheet(Postprocessor):
    """The style and the script that the figures of a page need, written into it once."""

    taps, script = -1, ""

    @classmethod
    def of(cls, md: Any) -> _Sheet:
        """Find the sheet of a Markdown instance, or make one."""
        if "tconv-sheet" not in md.postprocessors:
            # After raw_html (30), which puts the figures into the page.
            md.postprocessors.register(cls(md), "tconv-sheet", 5)
        found: _Sheet = md.postprocessors["tconv-sheet"]
        return found

    def run(self, text: str) -> str:
        # The table of contents has each heading run through here too, before the page.
        if _FIGURE not in text:
            return text
        style = resources.files("tconvjax.site").joinpath("fence.css").read_text("utf-8")
        head = f"<style>{style}{sheet(self.taps)}</style>\n" if self.taps >= 0 else ""
        tail = f"\n<script>{self.script}</script>" if self.script else ""
        self.taps, self.script = -1, ""
        return head + text + tail


class _Heads(Preprocessor):
    """Rejects a head with more than a name, with which superfences would show plain code."""

    def run(self, lines: list[str]) -> list[str]:
        closing = ""
        for line in lines:
            found = _FENCE.match(line)
            if found and not closing:
                closing = found[1]
                name, _, head = found[2].strip("{ }").removeprefix(".").partition(" ")
                if name == "tconv" and head.strip():
                    rule = "its keys belong in its body, below 'tconv'"
                    remedy = "write them one per line, as 'kernel: 3'"
                    fail(f"{place(self.md, [line])}tconv fence", head.strip()[:60], rule, remedy)
            elif found and found[1].startswith(closing) and not found[2]:
                closing = ""
        return lines


# -- the documents of the views --------------------------------------------------------------------


_VIEWS: Any = {name: name for name in STEPS} | {"product": "matrix"}
"""The views of `explain` by the names that they have in a fence."""


def shown(fence: Fence) -> Document:
    """Make the document of any view but the explorer."""
    geometry, looks = fence.geometry, fence.looks
    most = looks.get("most", MOST_READ)
    match fence.view:
        case "matrix" | "transpose" as view:
            transpose = view == "transpose"
            return rendering.conv_table(geometry, fence.w, transpose=transpose, most=most)
        case "sparsity":
            return rendering.sparsity(geometry, transpose=looks.get("transposed", False))
        case "sum":
            return stamp_sum(geometry, fence.y, fence.w)
        case "links":
            return rendering.links_picture(geometry)
        case "derivation":
            derivation = symbolic.derivation(geometry)
            return rendering.derivation_document(derivation, words=looks.get("words", True))
        case "sizes":
            return _sizes(fence)
        case "overlap":
            if geometry.rank > 2:
                rule = "stamps are drawn over one axis or two"
                fail("kernel", geometry.kernel_size, rule, "show one plane of them")
            return rendering.heat_table(upsampling.overlap(geometry), name="stamps", most=most)
    return _steps(fence)


def _moving(fence: Fence) -> str:
    """Animate a view; the last frame is shown twice as long."""
    looks = fence.looks
    if fence.view not in _VIEWS:
        rule = f"only the views {', '.join(_VIEWS)} can be animated"
        fail("format", looks["format"], rule, "take one of these, or leave format out")
    view, words = _VIEWS[fence.view], looks.get("words", True)
    shown = tuple(frames(fence.geometry, fence.y, fence.w, view=view, words=words))
    if looks.get("lang") == "zh":
        shown = in_chinese(shown)
    return rendering.to_animation([*shown, shown[-1]], alt=looks.get("alt", ""))


def _steps(fence: Fence) -> Document:
    """Show the steps of one view; of a layer that is too large for it, of a part."""
    explained = explain(fence.geometry, fence.y, fence.w, views=(_VIEWS[fence.view],))
    words = fence.looks.get("words", True)
    parts: list[Document] = [Words(explained.note)] if explained.note else []
    for step in explained.views[0].steps:
        parts += [Words(step.words), step.document] if words else [step.document]
    return Stack(parts)


def _sizes(fence: Fence) -> Document:
    """Make a table for each axis, or one for all if they are alike."""
    geometry = fence.geometry
    padding = pads(fence.looks.get("padding", 0), geometry.rank)
    kinds = list(dict.fromkeys(zip(geometry.axes, padding, strict=True)))
    if len(kinds) == 1:
        return _sizes_of(*kinds[0], "along each axis" if geometry.rank > 1 else "")
    return Stack([_sizes_of(*kind, f"axis {n}") for n, kind in enumerate(kinds)])


def _sizes_of(axis: Axis, padding: Any, name: str) -> Table:
    """List the input sizes with one output size, and what chooses among them."""
    argument, values = alternatives(axis, padding)
    rows = [tuple(map(Cell, ("out_size", argument, "in_size")))]
    for size, value in values.items():
        tap = 0 if size == axis.in_size else None
        rows.append(tuple(Cell(str(n), tap) for n in (axis.out_size, value, size)))
    *first, last = map(str, values)
    listed = f"{', '.join(first)} and {last}" if first else last
    alt = f"the {len(values)} sizes {listed} share the output size {axis.out_size}"
    return Table(tuple(rows), name, brackets=False, taps=1, alt=alt, shows="marks")
