"""The reference can be scanned: a table, guides, formulas as maths, and nothing private."""

from __future__ import annotations

import html
import importlib
import inspect
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import reference
import tex

from tests.site.conftest import ROOT

PAGES = sorted((ROOT / "docs/reference").glob("*.md"))
ENTRIES = {page.stem: re.findall(r"(?m)^::: (\S+)$", page.read_text("utf-8")) for page in PAGES}


def plain(text: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", text)).strip()


def shown(site: Path, page: str) -> str:
    text = (site / "reference" / page / "index.html").read_text("utf-8")
    return text[text.index("<article") : text.index("</article>")]


@pytest.mark.parametrize("page", ENTRIES)
def test_each_page_begins_with_a_table_of_what_it_explains(site: Path, page: str) -> None:
    text = shown(site, page)
    table = text[: text.index("<h2 ")].partition("<table>")[2]
    row = r'<td><a [^>]*href="#([^"]*)"><code>(.*?)</code></a></td>\s*<td>(.*?)</td>'
    rows = re.findall(row, table, re.DOTALL)
    assert [target for target, _, _ in rows] == ENTRIES[page]
    assert len({name for _, name, _ in rows}) == len(rows)
    for target, _, sentence in rows:
        assert f'id="{target}"' in text
        assert len(plain(sentence)) > 15, target


@pytest.mark.parametrize("page", ENTRIES)
def test_each_function_and_class_names_its_guide(site: Path, page: str) -> None:
    text = shown(site, page)
    heads = re.findall(r'<h2 id="tconvjax\..*?</h2>(?:<p class="guide">.*?</p>)?', text, re.DOTALL)
    of = [h for h in heads if "doc-symbol-function" in h or "doc-symbol-class" in h]
    assert len(of) > 1
    for head in of:
        guide = re.search(r'<p class="guide">Guide: <a href="([^"]*)">(.+)</a></p>$', head)
        assert guide
        assert (site / "reference" / page / guide[1] / "index.html").exists()


@pytest.mark.parametrize("page", ENTRIES)
def test_what_is_private_is_not_shown(site: Path, page: str) -> None:
    text = shown(site, page)
    assert re.findall(r'<h\d id="[^"]*\.__(?!call)[^"]*"', text) == []
    assert re.findall(r"Bases: [^\n]*tconvjax[^\n]*", text) == []


def test_equations_of_docstrings_are_maths(site: Path) -> None:
    """A paragraph that is an equation in the docstring is none of text on the page."""
    checked = 0
    for page, names in ENTRIES.items():
        text = shown(site, page)
        paragraphs = {" ".join(plain(p).split()) for p in re.findall(r"(?s)<p>(.*?)</p>", text)}
        for name in names:
            module, _, last = name.rpartition(".")
            if "layers" in name or not hasattr(importlib.import_module(module), last):
                continue
            doc = inspect.getdoc(getattr(importlib.import_module(module), last)) or ""
            for part in doc.split("\n\n")[1:3]:
                if re.match(r"\w+(\[[^=]*\]|\([^=]*\))* = ", part):
                    assert " ".join(part.split()) not in paragraphs, name
                    checked += 1
    assert checked > 30


@pytest.mark.parametrize(
    ("equation", "said"),
    [
        ("y[n, o, i] = bias[o] + sum over c, t of w[o, c, t] * x[n, c, stride*i + dilation*t "
         "- low]",
         "y n,o,i = bias o + ∑ c,t w o,c,t · x n,c,stride·i+dilation·t-low"),
        ("z[n, c, j] = bias[c] + sum of w[o, c, t] * y[n, o, i] over o and all i, t with "
         "stride*i + dilation*t - low = j",
         "z n,c,j = bias c + ∑ o and all i,t stride·i+dilation·t-low=j w o,c,t · y n,o,i"),
        ("out = floor((in + low + high - dilation * (kernel - 1) - 1) / stride) + 1",
         "out = ⌊ (in+low+high-dilation·(kernel-1)-1)/stride ⌋ +1"),
        ("x[indices[i]] = y[i]", "x indices i = y i"),
        ("C = sum over o, c, t of  w[o, c, t] * E_oc x S_t1 x S_t2 x ...",
         "C = ∑ o,c,t w o,c,t · E oc ⊗ S t1 ⊗ S t2 ⊗ …"),
        ("y[i] = max over t of x[stride * i + t]", "y i = max t x stride·i+t"),
    ],
)  # fmt: skip
def test_an_equation_keeps_its_meaning(equation: str, said: str) -> None:
    """Letter by letter; indices become subscripts, and what stands under a sum its range."""
    math = ET.fromstring(
        tex.tex_to_mathml(reference.to_tex(" ".join(equation.split())), display=True)
    )
    letters = "".join("".join(math.itertext()).split()).replace("\u2212", "-")
    assert letters == "".join(said.split())
    indices = (
        equation.count("[") + len(re.findall(r"\b[A-Z]_", equation)) + equation.count(" over ")
    )
    kinds = ("msub", "munder", "munderover")
    found = sum(element.tag.rpartition("}")[2] in kinds for element in math.iter())
    assert found == indices


def test_types_are_links(site: Path) -> None:
    text = shown(site, "operations")
    stride = text[text.index("<code>stride</code>") :][:600]
    assert re.search(r'href="#tconvjax\.arguments\.Ints"[^>]*>Ints</a>', stride)
    for name in ("Padding", "PaddingMode", "DimensionNumbers", "ArrayLike", "Array"):
        assert re.search(rf"<a [^>]*>{name}</a>", text), name


def test_llms_txt_lists_each_page_with_its_description(site: Path) -> None:
    text = (site / "llms.txt").read_text("utf-8")
    assert text.startswith("# tconvjax\n\n> Transposed convolution for JAX")
    lines = re.findall(r"(?m)^- \[(.+)\]\((\S+)\): (.+)$", text)
    pages = {str(path.relative_to(site)) for path in site.rglob("index.html")}
    assert sorted(re.sub(r"/$", "/index.html", url) for _, url, _ in lines) == sorted(pages)
    for _, url, words in lines:
        page = site / re.sub(r"/$", "/index.html", url)
        head = html.unescape(page.read_text("utf-8").partition("</head>")[0])
        assert f'<meta name="description" content="{words}">' in head, url
    sections = re.findall(r"(?m)^## (.+)$", text)
    assert sections == ["Learn", "Use", "Reference", "Project", "中文"]
