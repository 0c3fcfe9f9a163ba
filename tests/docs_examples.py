"""A pytest plugin that runs the examples of the documentation: ``-p tests.docs_examples``.

It must not import jax: it is loaded before ``conftest.py`` sets the number of devices. Paths are
absolute, since Sybil collects nothing, and says nothing, from a relative one.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sybil import Document, Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"

# Plain code and ``>>>`` both: the parser hands blocks that start with a prompt to doctest.
# ``<!-- skip: start if(missing("flax"), reason="needs flax") -->`` is for optional packages alone.
_PARSERS = [PythonCodeBlockParser(), SkipParser()]


def missing(package: str) -> bool:
    """Whether a package is not installed."""
    return find_spec(package) is None


def _named(namespace: dict[str, Any]) -> None:
    namespace["missing"] = missing


PAGES = Sybil(parsers=_PARSERS, path=str(DOCS), patterns=["*.md", "**/*.md"], setup=_named)
README = Sybil(parsers=_PARSERS, path=str(ROOT), filenames=["README.md"], excludes=["*/*"])

pytest_collect_file = (PAGES + README).pytest()


def documents() -> Iterator[Document]:
    """Every page that is collected, parsed."""
    for path in sorted(DOCS.rglob("*.md")):
        yield PAGES.parse(path)
    yield README.parse(ROOT / "README.md")
