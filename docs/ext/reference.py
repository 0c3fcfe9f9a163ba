"""The pages of the reference: a table at the top, formulas as maths, and links to guides and types.

``mkdocs.yml`` names this file under ``hooks``. It is no part of the package.
"""

from __future__ import annotations

import functools
import html
import re
from pathlib import Path
from typing import Any

import griffe
from tex import tex_to_mathml

GUIDES = {
    "acceleration": "use/accelerate.md",
    "algorithms": "use/algorithms.md",
    "conventions": "use/porting.md",
    "explaining": "learn/four-views.md",
    "fences": "explorer.md",
    "geometry": "use/sizes.md",
    "layers": "use/layers.md",
    "matrices": "learn/matrix.md",
    "operations": "use/quick-start.md",
    "rendering": "use/command.md",
    "streaming": "use/streaming.md",
    "symbolic": "learn/transposed.md",
    "upsampling": "use/upsampling.md",
}
"""The guide to what each page lists."""

TYPES = {
    "jax.Array": "https://docs.jax.dev/en/latest/_autosummary/jax.Array.html",
    "jaxtyping.Array": "https://docs.jax.dev/en/latest/_autosummary/jax.Array.html",
    "jax.typing.ArrayLike": "https://docs.jax.dev/en/latest/jax.typing.html",
    "sympy.SparseMatrix": "https://docs.sympy.org/latest/modules/matrices/sparse.html",
}
"""Where types of other libraries are explained; those of the package link themselves."""

_ENTRY = re.compile(r"(?m)^::: (tconvjax\.\S+)$")
_EQUATION = re.compile(r"<p>([A-Za-z_]+(?:\[[^=]*\]|\([^=]*\))*) = (?!=)(.*?)</p>", re.DOTALL)


@functools.cache
def package() -> Any:
    """The package as griffe reads it, without importing it."""
    return griffe.load("tconvjax", search_paths=[Path(__file__).parents[2]])


def summary(name: str) -> str:
    """The first sentence of a docstring, in one line."""
    found = package()[name.removeprefix("tconvjax.")]
    text = found.docstring.value if found.docstring else ""
    return " ".join(text.partition("\n\n")[0].split()).replace("|", r"\|")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put a table of what a page explains below its first paragraph."""
    names = _ENTRY.findall(markdown)
    if not page.file.src_uri.startswith("reference/") or not names:
        return markdown
    short = [name.rpartition(".")[2] for name in names]
    rows = [
        f"| [`{last if short.count(last) == 1 else name.removeprefix('tconvjax.')}`][{name}] "
        f"| {summary(name)} |"
        for name, last in zip(names, short, strict=True)
    ]
    heading, first, rest = markdown.lstrip().split("\n\n", 2)
    return "\n\n".join(
        [heading, first, "\n".join(["| name | what it is |", "|---|---|", *rows]), rest]
    )


def on_page_content(html_text: str, page: Any, files: Any, **_: Any) -> str:
    """Set the equations of docstrings, and say below each name which guide shows it in use."""
    folder, _, name = page.file.src_uri.removesuffix(".md").rpartition("/")
    if folder != "reference":
        return html_text
    guide = files.get_file_from_path(GUIDES[name])
    title = guide.page.title or ""
    link = f'<p class="guide">Guide: <a href="{guide.url_relative_to(page.file)}">{title}</a></p>'
    heading = r'(<h2 id="tconvjax\.[^>]*>(?:(?!</h2>).)*doc-symbol-(?:function|class).*?</h2>)'
    html_text = re.sub(heading, rf"\1{link}", html_text, flags=re.DOTALL)
    return _EQUATION.sub(_formula, html_text)


def on_post_page(output: str, **_: Any) -> str:
    """Link the types that have no page here, once mkdocstrings has linked the others."""
    for name, address in TYPES.items():
        last = name.rpartition(".")[2]
        link = f'<a href="{address}" title="{name}">{last}</a>'
        output = output.replace(f'<span title="{name}">{last}</span>', link)
    return output


def _formula(found: re.Match[str]) -> str:
    text = html.unescape(re.sub(r"<[^>]*>", "", f"{found[1]} = {found[2]}"))
    math = tex_to_mathml(to_tex(" ".join(text.split())), display=True)
    return f'<div class="arithmatex" style="overflow-x:auto;overflow-y:hidden">{math}</div>'


# -- equations as docstrings write them, in TeX ----------------------------------------------------

_PROSE = re.compile(
    "a|added|all|an|and|at|axes|between|border|channels|conjugation|copies|element|elsewhere|for|is|"
    "its|in|last|major|number|of|or|order|over|place|rounding|row|sum|tap|taps|the|there|to|up|when|"
    "where|with|without"
)
"""Words that stand between formulas; any other word of several letters is a name."""

_FUNCTIONS = ("max", "min", "prod", "sum", "round")
_PART = re.compile(r"\s+|[A-Za-z_][A-Za-z_0-9]*|\d+|\.\.\.|//|.")
_SIGNS = {"*": r"\cdot ", "...": r"\ldots ", "//": r"\mathbin{//}", ",": r",\ ", "⊗": r"\otimes "}


def to_tex(text: str) -> str:
    """Translate an equation such as ``y[i] = sum over t of w[t] * x[stride*i + t]``."""
    if sums := re.search(r"sum of (.+?) over (.+?)(?=, when|$)", text):
        below = r" \\ ".join(map(to_tex, sums[2].split(" with ")))
        before, after = to_tex(text[: sums.start()]), to_tex(text[sums.end() :])
        return rf"{before}\sum_{{\substack{{{below}}}}} {to_tex(sums[1])}{after}"
    text = re.sub(r" x (?=S_|\.\.\.)", " ⊗ ", text)
    text = re.sub(r"\b(sum|max|product) over ([a-z, ]+?) of ", r"⟦\1 \2⟧", text)
    return "".join(_parts(_PART.findall(text)))


def _parts(parts: list[str]) -> list[str]:
    found, n = [], 0
    while n < len(parts):
        part, after = parts[n], "".join(parts[n + 1 :]).lstrip()
        if part == "⟦":
            end = parts.index("⟧", n)
            sign = {"sum": r"\sum", "max": r"\max\limits", "product": r"\prod"}[parts[n + 1]]
            found.append(f"{sign}_{{{''.join(_parts(parts[n + 3 : end]))}}} ")
            n = end
        elif part in ("floor", "ceil") and parts[n + 1] == "(":
            end = _closing(parts, n + 1)
            found.append(rf"\l{part} {''.join(_parts(parts[n + 2 : end]))} \r{part} ")
            n = end
        elif re.match(r"[A-Za-z_]", part):
            found.append(_word(part, after))
            if after.startswith("["):
                end = _closing(parts, n + 1)
                found.append(f"_{{{''.join(_parts(parts[n + 2 : end]))}}}")
                n = end
        else:
            found.append(" " if part.isspace() else _SIGNS.get(part, part))
        n += 1
    return found


def _word(word: str, after: str) -> str:
    base, _, index = word.partition("_")
    if len(word) == 1 and not (word == "a" and after[:1].isalpha()):
        return f"{word} "
    if word in _FUNCTIONS and after.startswith("("):
        return rf"\operatorname{{{word}}}"
    if _PROSE.fullmatch(word) and not re.match(r"[(\[+=]", after):
        return rf"\text{{ {word} }}"
    return f"{base}_{{{index}}}" if len(base) == 1 and index else rf"\text{{{word}}}"


def _closing(parts: list[str], opening: int) -> int:
    """Where the bracket that opens here closes."""
    depth = 0
    for n in range(opening, len(parts)):
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(parts[n], 0)
        if depth == 0:
            return n
    raise ValueError(f"{''.join(parts)}: a bracket does not close")
