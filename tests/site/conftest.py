"""The site built once, and a browser that sees nothing but this machine."""

from __future__ import annotations

import contextlib
import functools
import http.server
import importlib.resources
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
# The shell has no windows, toolbars and tabs, for which Chromium takes half a second a page.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
HOW = (
    "pip install -e '.[browser]' and install Debian's package chromium-headless-shell or chromium, "
    "then pytest tests/site"
)
PATIENCE = 120_000
"""Milliseconds after which a page is taken to hang."""

ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Without a browser none of this is run: it is minutes of building, and has its own command."""
    if BROWSER and all(map(importlib.util.find_spec, ("playwright", "axe_playwright_python"))):
        return
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=f"no Playwright, axe-core or Chromium: {HOW}"))


def build(folder: Path, site: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """A strict build of the documentation in a folder, as the reader of a README would start it."""
    # The day is part of each page's file in the map of the site, and of nothing else.
    environment = {**os.environ, "SOURCE_DATE_EPOCH": "0", "NO_MKDOCS_2_WARNING": "1",
                   "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
                   **variables}  # fmt: skip
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(site)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def build_here(folder: Path) -> Path:
    """The site of a strict build in this process, which imports once what many builds need."""
    building, config = map(importlib.import_module, ("mkdocs.commands.build", "mkdocs.config"))
    given = config.load_config(
        str(folder / "mkdocs.yml"), site_dir=str(folder / "site"), strict=True
    )
    building.build(given)
    return folder / "site"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the built site: built here, or already, where TCONVJAX_SITE says."""
    if built := os.environ.get("TCONVJAX_SITE"):
        return Path(built)
    folder = tmp_path_factory.mktemp("built") / "site"
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stderr
    return folder


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[str]:
    """The address under which a folder is served, for as long as it is needed."""
    handler = functools.partial(_Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def served(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the site, whose search knows no words.

    Each page that opens reads all of them, which takes longer than all else that it does.
    """
    folder = tmp_path_factory.mktemp("served")
    for part in site.iterdir():
        if part.name != "search":
            (folder / part.name).symlink_to(part.resolve())
    (folder / "search").mkdir()
    index = json.loads((site / "search/search_index.json").read_text("utf-8"))
    (folder / "search/search_index.json").write_text(json.dumps({**index, "docs": []}), "utf-8")
    with serving(folder) as address:
        yield address


@pytest.fixture(scope="session")
def searched(site: Path) -> Iterator[str]:
    """The address of the site, whose search knows all words."""
    with serving(site) as address:
        yield address


class Patient:
    """A browser that waits as long for a click as for an expectation."""

    def __init__(self, launched: Any) -> None:
        self._launched = launched

    def new_context(self, **options: Any) -> Any:
        """A window of its own, which knows nothing of the others."""
        context = self._launched.new_context(**options)
        context.set_default_timeout(PATIENCE)
        return context


@pytest.fixture(scope="session")
def browser() -> Iterator[Patient]:
    """Headless Chromium."""
    playwright = importlib.import_module("playwright.sync_api")
    playwright.expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield Patient(launched)
        launched.close()


def expect(located: Any) -> Any:
    """An assertion about a part of a page that is asked again until it holds."""
    return importlib.import_module("playwright.sync_api").expect(located)


_known: dict[bool, set[str]] = {False: set(), True: set()}
"""The looks of elements that were judged and are right, measured with letters alone or without."""


def barriers(page: Any, *, colours: bool = False, alone: bool = False) -> list[list[str]]:
    """What keeps people out of a page as it looks now: what axe-core calls serious or critical.

    Or only what its colours do. axe-core takes a letter alone for a picture, and measures its
    contrast only if told to.
    """
    known = _known[alone]
    said = asked(page, "barriers", colours=colours, alone=alone, known=list(known))
    if not said["told"]:
        known.update(said["judged"])
    return list(said["told"])


def asked(page: Any, question: str, **options: Any) -> Any:
    """What a function of barriers.js says of a page."""
    if not page.evaluate("'tconv' in window"):
        axe = importlib.resources.files("axe_playwright_python").joinpath("axe.min.js")
        script = Path(__file__).with_name("barriers.js")
        page.evaluate(axe.read_text("utf-8"))
        page.evaluate(f"() => {{ {script.read_text('utf-8')} }}")
    return page.evaluate(f"options => tconv.{question}(options)", options)
