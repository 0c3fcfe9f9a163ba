"""The site built once, and a browser that sees nothing but this machine."""

from __future__ import annotations

import contextlib
import functools
import http.server
import importlib.resources
import importlib.util
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
BROWSER = shutil.which("chromium") or shutil.which("chromium-browser")
HOW = "pip install -e '.[browser]' and install Debian's package chromium, then pytest tests/site"
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
def served(site: Path) -> Iterator[str]:
    """The address of the site."""
    with serving(site) as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium."""
    playwright = importlib.import_module("playwright.sync_api")
    playwright.expect.set_options(timeout=PATIENCE)
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        yield launched
        launched.close()


def expect(located: Any) -> Any:
    """An assertion about a part of a page that is asked again until it holds."""
    return importlib.import_module("playwright.sync_api").expect(located)


# axe-core takes seconds to find the contrast of every element of a page, and most elements look
# alike. So it looks at the first and the last of those that have letters of the same colour and
# size on the same grounds.
_BARRIERS = """async ([ignoreLength, runOnly]) => {
  const frame = () => new Promise(requestAnimationFrame);
  await frame(), await frame();
  await Promise.allSettled(document.getAnimations().filter((a) => a instanceof CSSTransition)
    .map((a) => a.finished));
  const alike = new Map();
  const visit = (one, ground) => {
    const style = getComputedStyle(one);
    const key = (...names) => names.map((name) => style[name]).join(";");
    const on = ground + key("backgroundColor", "backgroundImage", "opacity", "position", "filter");
    const says = [...one.childNodes].filter((n) => n.nodeType === Node.TEXT_NODE)
      .map((n) => n.data.trim()).join("").length;
    const seen = one.checkVisibility({ visibilityProperty: true });
    const look = [one.tagName, Math.min(says, 2), seen, on,
      key("color", "webkitTextFillColor", "fontSize", "fontWeight", "textShadow")].join();
    alike.set(look, [...alike.get(look) ?? [], one]);
    delete one.dataset.look;
    for (const child of [...one.children, ...one.shadowRoot?.children ?? []]) visit(child, on);
  };
  visit(document.documentElement, "");
  for (const all of alike.values()) for (const n of [0, -1]) all.at(n).dataset.look = "";
  axe.configure({ rules: [{ id: "color-contrast", selector: "[data-look]" }] });
  const { violations } = await axe.run({
    resultTypes: ["violations"], ...(runOnly && { runOnly }),
    checks: { "color-contrast": { options: { ignoreLength } } },
  });
  return violations.filter((v) => ["serious", "critical"].includes(v.impact))
    .map((v) => [v.id, v.help, ...v.nodes.slice(0, 3).map((n) => n.html.slice(0, 160))]);
}"""


def barriers(page: Any, *rules: str, alone: bool = False) -> list[list[str]]:
    """What keeps people out of a page as it looks now: what axe-core calls serious or critical.

    If rules are named, only those count. axe-core takes a letter alone for a picture, and measures
    its contrast only if told to.
    """
    page.evaluate(importlib.resources.files("axe_playwright_python").joinpath("axe.min.js")
                  .read_text("utf-8"))  # fmt: skip
    return list(page.evaluate(_BARRIERS, [alone, list(rules) or None]))
