"""A pytest plugin that runs the examples of the documentation: ``-p tests.docs_examples``.

It must not import jax: it is loaded before ``conftest.py`` sets the number of devices. Paths are
absolute, since Sybil collects nothing, and says nothing, from a relative one.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from sybil import Document, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

# Plain code and ``>>>`` both: the parser hands blocks that start with a prompt to doctest.
_PARSERS = [PythonCodeBlockParser()]

PAGES = Sybil(parsers=_PARSERS, path=str(DOCS), patterns=["*.md", "**/*.md"])
README = Sybil(parsers=_PARSERS, path=str(ROOT), filenames=["README.md"], excludes=["*/*"])

pytest_collect_file = (PAGES + README).pytest()


def documents() -> Iterator[Document]:
    """Every page that is collected, parsed."""
    for path in sorted(DOCS.rglob("*.md")):
        yield PAGES.parse(path)
    yield README.parse(ROOT / "README.md")
