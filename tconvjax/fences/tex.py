r"""TeX as MathML while a page is made: ``$C^\mathsf{T} y$`` needs no script in the browser."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from tconvjax.errors import Described, fail

MOST_LETTERS = 4000
"""Of a formula; the converter calls itself for each brace, and a page shows no more."""

MOST_DEEP = 60
"""Braces and environments inside one another."""

NAMESPACE = "http://www.w3.org/1998/Math/MathML"
ENVIRONMENTS = {
    "matrix",
    "pmatrix",
    "bmatrix",
    "Bmatrix",
    "vmatrix",
    "Vmatrix",
    "smallmatrix",
    "array",
    "cases",
    "substack",
    "split",
    "align",
    "align*",
    "aligned",
    "gathered",
}
_KNOWN_AS = {"aligned": "align*", "gathered": "matrix"}
"""Environments that latex2mathml 3.81 leaves out, and those that it sets alike."""
_FENCES = set("⌊⌋⌈⌉⟨⟩|‖")
_ENVIRONMENT = re.compile(r"\\(begin|end)\s*\{([^}]*)\}")


def tex_to_mathml(tex: str, *, display: bool = False) -> str:
    r"""A formula of TeX as a ``math`` element.

    Args:
        tex: the formula, without dollar signs.
        display: whether it stands on a line of its own.

    Returns:
        MathML, with the TeX as its text alternative.

    Raises:
        GeometryError: if a command or an environment is not known, a brace or an argument is
            missing, or it is longer than 4,000 letters.

    Examples:
        >>> tex_to_mathml("C^T y").count("<mi>")
        3
        >>> tex_to_mathml(r"\frobnicate x")
        Traceback (most recent call last):
        ...
        tconvjax.GeometryError: TeX='\\frobnicate x': \frobnicate is no command that latex2mathml knows; use plain LaTeX of amsmath
    """  # noqa: E501 - a message is one line
    return ET.tostring(mathml_element(tex, display), encoding="unicode", short_empty_elements=False)


def mathml_element(tex: str, display: bool) -> ET.Element:
    """The converter's MathML, looked through for what it did not understand."""
    # An extra of the package, so it is imported where it is used.
    from latex2mathml.converter import convert

    _check(tex)
    known = _ENVIRONMENT.sub(lambda m: rf"\{m[1]}{{{_KNOWN_AS.get(m[2], m[2])}}}", tex)
    try:
        # It leaves signs such as & that stand outside a matrix as they are, which is no XML.
        text = convert(known, display="block" if display else "inline")
        root = ET.fromstring(text)  # noqa: S314 - it has just been written here
    except ET.ParseError:
        fail(
            "TeX",
            _short(tex),
            "an & or another sign stands where no column ends",
            r"put it into \begin{aligned} ... \end{aligned}, or leave it out",
        )
    except RecursionError:
        fail("TeX", _short(tex), "it is too deep", "write a shorter formula")
    except Exception as error:  # noqa: BLE001 - the converter has an error for each kind of fault
        said = re.sub(r"(?<!^)(?=[A-Z])", " ", type(error).__name__).removesuffix(" Error")
        fail(
            "TeX",
            _short(tex),
            f"the converter says {said.lower() or 'nothing'}",
            "close each brace and give each command its arguments",
        )
    for element in root.iter():
        _settle(element, tex)
    root.set("alttext", " ".join(tex.split()))
    return root


def _check(tex: str) -> None:
    if not isinstance(tex, str):
        fail("TeX", tex, "a formula is a string", "give its TeX, without dollar signs")
    if len(tex) > MOST_LETTERS:
        fail("TeX", _short(tex), f"a formula has at most {MOST_LETTERS} letters", "write less")
    if not tex.strip():
        fail("TeX", tex, "a formula has letters", "write one, or take the dollar signs away")
    depth = deepest = 0
    opened: list[str] = []
    for part in re.finditer(r"\\(begin|end)\s*\{([^}]*)\}|\\.|[{}]", tex, re.DOTALL):
        if part[1]:
            opened = _nested(tex, opened, part[1], part[2])
        depth += {"{": 1, "}": -1}.get(part[0], 0)
        deepest = max(deepest, depth + len(opened))
        if depth < 0:
            break
    if depth or opened:
        wrong = f"\\begin{{{opened[-1]}}} has no end" if opened else "its braces do not match"
        fail("TeX", _short(tex), wrong, "close each brace and each environment")
    if deepest > MOST_DEEP:
        fail("TeX", _short(tex), "it is too deep", "write a shorter formula")


def _nested(tex: str, opened: list[str], kind: str, name: str) -> list[str]:
    """The environments that are open after one more begins or ends."""
    if name not in ENVIRONMENTS:
        fail(
            "TeX",
            _short(tex),
            f"{name!r} is no environment that is known",
            f"use one of {', '.join(sorted(ENVIRONMENTS))}",
        )
    if kind == "begin":
        return [*opened, name]
    if opened[-1:] != [name]:
        fail(
            "TeX",
            _short(tex),
            rf"\end{{{name}}} ends what has not begun",
            "close each environment with its own name",
        )
    return opened[:-1]


def _settle(element: ET.Element, tex: str) -> None:
    """Refuse a command that was left as text, and set upright brackets as brackets."""
    name = element.tag.rpartition("}")[2]
    element.tag = name
    if name == "math":
        element.set("xmlns", NAMESPACE)
    text = element.text or ""
    command = re.match(r"\\[A-Za-z]+\*?|\\.", text)
    if command and name != "mtext":
        fail(
            "TeX",
            _short(tex),
            f"{command[0]} is no command that latex2mathml knows",
            "use plain LaTeX of amsmath",
        )
    if name == "mtable":
        _align(element)
    if name == "mi" and text in _FENCES:
        element.tag = "mo"
        element.set("stretchy", "false")


def _align(table: ET.Element) -> None:
    """Columns as MathML Core has them: it leaves their alignment and spacing to CSS."""
    tight = table.get("columnspacing", "").startswith("0em")
    for cell in table.iterfind("./{*}mtr/{*}mtd"):
        side = cell.attrib.pop("columnalign", "")
        if side:
            cell.set("style", f"text-align:{side}" + (f";padding-{side}:0" if tight else ""))


def _short(tex: str) -> str:
    text = " ".join(tex.split())
    return text if len(text) <= 80 else Described(repr(text[:77]) + "...")
