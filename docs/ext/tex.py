r"""Formulas of the site: TeX such as ``$C^\mathsf{T} y$`` becomes MathML while a page is made.

``mkdocs.yml`` names this file under ``hooks``. It is no part of the package.
"""

from __future__ import annotations

import html
import re
from typing import Any, NoReturn
from xml.etree import ElementTree as ET

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor

from tconvjax.site.fence import place

MOST_LETTERS = 4000
"""Maximum number of letters in a formula."""

MOST_DEEP = 60
"""Maximum depth of braces and environments; the converter calls itself for each."""

ENVIRONMENTS = {
    "matrix", "pmatrix", "bmatrix", "Bmatrix", "vmatrix", "Vmatrix", "smallmatrix", "array",
    "cases", "substack", "split", "align", "align*", "aligned", "gathered",
}  # fmt: skip
_KNOWN_AS = {"aligned": "align*", "gathered": "matrix"}
"""Environments that latex2mathml 3.81 leaves out, and those that it sets alike."""

_FENCES = set("⌊⌋⌈⌉⟨⟩|‖")
_LETTERS = set("∞∅∂∇")
"""Signs that stand for something, which the converter takes for operators."""

_SCRIPTS = {"msub", "msup", "msubsup", "munder", "mover", "munderover"}
_THIN = "0.167em"
_ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{([^}]*)\}")


def on_config(config: Any) -> Any:
    """Add the formulas to the Markdown of the site, as MkDocs asks its hooks."""
    config["markdown_extensions"].append(Formulas())
    return config


class Formulas(Extension):
    """Sets ``$...$`` and ``$$...$$`` as MathML."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Find formulas with arithmatex, and replace them after the inline patterns (20)."""
        md.registerExtensions(["pymdownx.arithmatex"], {"pymdownx.arithmatex": {"generic": True}})
        md.treeprocessors.register(_Replace(md), "tconv-tex", 15)


class _Replace(Treeprocessor):
    """Puts MathML in the place of what arithmatex has marked as TeX."""

    def run(self, root: ET.Element) -> None:
        for element in root.iter():
            if "arithmatex" not in element.get("class", "").split():
                continue
            display = element.tag == "div"
            # Blocks come escaped, since arithmatex expects that a browser reads them.
            text = html.unescape(element.text or "") if display else element.text or ""
            tex = text.strip()[2:-2]
            try:
                math = mathml_element(tex, display)
            except ValueError as error:
                first = next((line for line in tex.splitlines() if line.strip()), "")
                raise ValueError(f"{place(self.md, [first])}{error}") from None
            element.text = None
            element.append(math)
            if display:  # a long one scrolls, and the page does not
                element.set("style", "overflow-x:auto;overflow-y:hidden")


def tex_to_mathml(tex: str, *, display: bool = False) -> str:
    r"""Write a formula of TeX, without its dollar signs, as a ``math`` element.

    Raises:
        ValueError: if a command or an environment is not known, a brace or an argument is missing,
            or the formula is too long.

    Examples:
        >>> tex_to_mathml("C^T y").count("<mi>")
        3
    """
    return ET.tostring(mathml_element(tex, display), encoding="unicode", short_empty_elements=False)


def mathml_element(tex: str, display: bool) -> ET.Element:
    """Convert a formula, and look through the MathML for what the converter did not understand."""
    _check(tex)
    known = _ENVIRONMENT.sub(lambda m: rf"\{m[1]}{{{_KNOWN_AS.get(m[2], m[2])}}}", tex)
    try:
        # The converter leaves signs such as & outside of a matrix as they are, which is no XML.
        text = convert(known, display="block" if display else "inline")
        root = ET.fromstring(text)  # noqa: S314 - it has just been written here
    except ET.ParseError:
        _refuse(
            tex,
            "an & or another sign stands where no column ends",
            r"put it into \begin{aligned} ... \end{aligned}, or leave it out",
        )
    except RecursionError:
        _refuse(tex, "it is too deep", "write a shorter formula")
    except Exception as error:  # noqa: BLE001 - the converter has an error for each kind of fault
        name = re.sub(r"(?<!^)(?=[A-Z])", " ", type(error).__name__).removesuffix(" Error")
        _refuse(
            tex,
            f"the converter says {name.lower() or 'nothing'}",
            "close each brace and give each command its arguments",
        )
    for element in root.iter():
        _settle(element, tex)
    for element in root.iter():
        _space(element)
    root.set("alttext", " ".join(tex.split()))
    return root


def _check(tex: str) -> None:
    """Refuse what the converter would take minutes for, or leave out without a word."""
    if len(tex) > MOST_LETTERS:
        _refuse(tex, f"a formula has at most {MOST_LETTERS} letters", "write less")
    if not tex.strip():
        _refuse(tex, "a formula has letters", "write one, or take the dollar signs away")
    depth = deepest = 0
    opened: list[str] = []
    for part in re.finditer(r"\\(begin|end)\s*\{([^}]*)\}|\\.|[{}]", tex, re.DOTALL):
        if part[1] and part[2] not in ENVIRONMENTS:
            known = ", ".join(sorted(ENVIRONMENTS))
            _refuse(tex, f"{part[2]!r} is not a known environment", f"use one of {known}")
        if part[1] == "begin":
            opened.append(part[2])
        elif part[1] and (not opened or opened.pop() != part[2]):
            _refuse(
                tex,
                rf"\end{{{part[2]}}} ends what has not begun",
                "close each environment with its own name",
            )
        depth += {"{": 1, "}": -1}.get(part[0], 0)
        deepest = max(deepest, depth + len(opened))
        if depth < 0:
            break
    if depth or opened:
        wrong = f"\\begin{{{opened[-1]}}} has no end" if opened else "its braces do not match"
        _refuse(tex, wrong, "close each brace and each environment")
    if deepest > MOST_DEEP:
        _refuse(tex, "it is too deep", "write a shorter formula")


def _settle(element: ET.Element, tex: str) -> None:
    """Refuse a command that was left as text, and set upright brackets as brackets."""
    name = element.tag = element.tag.rpartition("}")[2]
    if name == "math":
        element.set("xmlns", "http://www.w3.org/1998/Math/MathML")
    text = element.text or ""
    command = re.match(r"\\[A-Za-z]+\*?|\\.", text)
    if command and name != "mtext":
        rule = f"{command[0]} is no command that latex2mathml knows"
        _refuse(tex, rule, "use plain LaTeX of amsmath")
    if name == "mtable":
        _align(element)
    if name == "mi" and text in _FENCES:
        element.tag = "mo"
        element.set("stretchy", "false")
    if name == "mo" and text in _LETTERS:
        element.tag = "mi"
        element.set("mathvariant", "normal")


def _space(row: ET.Element) -> None:
    """Set functions such as cos apart from what they stand beside, as TeX does."""
    if row.tag not in ("mrow", "mtd", "math", "mstyle"):
        return
    parts = list(row)
    for n, part in enumerate(parts):
        name = part
        while name.tag in _SCRIPTS:
            name = name[0]
        if name.tag not in ("mi", "mo") or not re.fullmatch(r"[A-Za-z]{2,}", name.text or ""):
            continue
        before, after = parts[n - 1] if n else None, parts[n + 1] if n + 1 < len(parts) else None
        name.tag = "mo"
        for side, beside, signs in (("lspace", before, ")]}⟩⌉⌋"), ("rspace", after, "")):
            plain = beside is not None and beside.tag not in ("mo", "mspace")
            closed = beside is not None and beside.tag == "mo" and (beside.text or "") in signs
            name.set(side, _THIN if plain or (signs and closed) else "0")


def _align(table: ET.Element) -> None:
    """Align columns with CSS, since MathML Core has no attributes for it."""
    tight = table.get("columnspacing", "").startswith("0em")
    for cell in table.iterfind("./{*}mtr/{*}mtd"):
        side = cell.attrib.pop("columnalign", "")
        if side:
            cell.set("style", f"text-align:{side}" + (f";padding-{side}:0" if tight else ""))


def _refuse(tex: str, rule: str, remedy: str) -> NoReturn:
    text = " ".join(tex.split())
    shown = repr(text) if len(text) <= 80 else f"{text[:77]!r}..."
    raise ValueError(f"TeX={shown}: {rule}; {remedy}")
