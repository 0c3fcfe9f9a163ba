"""How long the pages of the built site take to load in Chromium, each by a browser new to it.

    mkdocs build --strict --site-dir site
    PYTHONPATH=. python benchmarks/page_loads.py site

Served on this machine, so what a network adds is told by the bytes.
"""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.site.conftest import ARGUMENTS, BROWSER, serving

ROUNDS = 3
TIMES = """() => {
    const [page] = performance.getEntriesByType("navigation");
    const parts = performance.getEntriesByType("resource");
    const bytes = [page, ...parts].reduce((sum, one) => sum + one.transferSize, 0);
    return [page.domContentLoadedEventEnd, page.loadEventEnd, bytes];
}"""


def main(folder: Path) -> None:
    """Load every page and print the times."""
    pages = sorted(p.parent.relative_to(folder).as_posix() for p in folder.rglob("index.html"))
    rows = []
    with serving(folder) as address, sync_playwright() as play:
        chromium = play.chromium.launch(executable_path=BROWSER, args=ARGUMENTS)
        for page in pages:
            found = []
            for _ in range(ROUNDS):
                context = chromium.new_context(viewport={"width": 1440, "height": 900})
                tab = context.new_page()
                tab.goto(f"{address}/{page}/", wait_until="load")
                tab.wait_for_function("performance.getEntriesByType('navigation')[0].loadEventEnd")
                found.append(tab.evaluate(TIMES))
                context.close()
            rows.append((page, *(statistics.median(column) for column in zip(*found, strict=True))))
        chromium.close()
    for page, ready, loaded, size in sorted(rows, key=lambda row: -row[2]):
        print(f"{loaded:7.0f} ms  {ready:7.0f} ms ready  {size / 1024:7.0f} KiB  {page}")
    loads = [row[2] for row in rows]
    print(f"{len(rows)} pages: median {statistics.median(loads):.0f} ms, worst {max(loads):.0f} ms")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
