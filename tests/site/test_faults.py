"""A strict build, or the tests of a page, fail for each kind of fault that a page can have."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.site.conftest import ROOT, build, build_here

MINIMAL = """\
site_name: Notes
markdown_extensions:
  - tconvjax.site.fence
  - pymdownx.superfences:
      custom_fences:
        - name: tconv
          class: tconv
          format: !!python/name:tconvjax.site.fence.format
"""
GOOD = "# Notes\n\n$C^\\mathsf{T} y$\n\n```tconv\nview: transpose\nin_size: 5\nkernel: 3\n```\n"
BAD = 'def f(x: int) -> int:\n    """Double.\n\n    Args:\n        y: a number.\n    """\n'


def small(folder: Path, page: str) -> Path:
    """A folder with our own site's settings and one page, and a package beside it."""
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    start, end = text.index("\nnav:"), text.index("\nextra_css:")
    assert "\nstrict: true\n" in text
    for name in ("assets", "ext"):
        shutil.copytree(ROOT / "docs" / name, folder / "docs" / name)
    words = "      jieba_dict_user: docs/ext/words.txt\n"  # takes a second, and no page is Chinese
    (folder / "mkdocs.yml").write_text((text[:start] + text[end:]).replace(words, ""), "utf-8")
    (folder / "docs/index.md").write_text(page, "utf-8")
    (folder / "planted.py").write_text(BAD, "utf-8")
    return folder


def test_pages_without_faults_are_built_and_say_the_address_of_the_site(tmp_path: Path) -> None:
    """So do the pictures that social networks show, which must be absolute."""
    address = "https://example.org/notes/"
    for page in ("explorer", "zh/explorer"):
        (tmp_path / f"docs/{page}.md").parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / f"docs/{page}.md").write_text("# A\n", "utf-8")
    good = GOOD + "\n::: tconvjax.out_size\n"
    addresses = {"TCONVJAX_SITE_URL": address, "TCONVJAX_REPO_URL": address}
    done = build(small(tmp_path, good), tmp_path / "site", **addresses)
    assert done.returncode == 0, done.stderr
    for name in ("", "explorer/", "zh/explorer/"):
        page = (tmp_path / "site" / name / "index.html").read_text("utf-8")
        assert f'<link rel="canonical" href="{address}{name}">' in page
        assert f'<meta property="og:image" content="{address}assets/card.png">' in page
        assert f'<a href="{address}" title="' in page
    for name in ("card.png", "logo.svg", "favicon.svg"):
        assert (tmp_path / "site/assets" / name).exists()


@pytest.mark.parametrize(
    ("page", "message"),
    [
        ("---\nhide: [toc]\n---\n# A\n\n```tconv\nview: matrix\nin_size: 4\nkernel: three\n```\n",
         "index.md, line 9: tconv fence: kernel='three': 'three' is not a whole number"),
        ("# A\n\n```tconv kernel=3\nview: matrix\n```\n", "index.md, line 3: tconv fence"),
        ("# A\n\ntext with $\\frobnicate x$\n", "index.md, line 3: TeX="),
        ("# A\n\n::: tconvjax.nothing_of_the_kind\n", "nothing_of_the_kind could not be found"),
        ("# A\n\n--8<-- \"nowhere.md\"\n", "Snippet at path 'nowhere.md' could not be found"),
    ],
)  # fmt: skip
def test_a_fault_of_a_page_ends_the_build(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, page: str, message: str
) -> None:
    with pytest.raises((Exception, SystemExit)) as raised:
        build_here(small(tmp_path, page))
    assert message in f"{raised.value}{caplog.text}"


def test_each_warning_fails_a_strict_build(tmp_path: Path) -> None:
    faults = {
        "[a link](nowhere.md)": "contains a link 'nowhere.md', but the target",
        "[a link](#nowhere)": "contains a link '#nowhere', but there is no such anchor",
        "[a name][tconvjax.nothing_of_the_kind]": "Could not find cross-reference",
        "::: planted.f": "Parameter 'y' does not appear in the function signature",
    }
    page = "# A\n\n" + "\n\n".join(faults) + "\n"
    done = build(small(tmp_path, page), tmp_path / "site")
    assert done.returncode != 0
    assert [said for said in faults.values() if said not in done.stderr] == []
    assert (
        "Aborted with 5 warnings" in done.stdout + done.stderr
    )  # the docstring's two are one fault


def test_a_block_of_python_that_fails_fails_the_tests(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "docs").mkdir()
    for name in ("__init__.py", "docs_examples.py"):
        shutil.copy(ROOT / "tests" / name, tmp_path / "tests" / name)
    (tmp_path / "README.md").write_text("# A\n", "utf-8")
    blocks = {"good": ">>> 1 + 1\n2", "sum": ">>> 1 + 1\n3", "claim": "assert 1 + 1 == 3",
              "import": "import nothing_of_the_kind"}  # fmt: skip
    for name, block in blocks.items():
        (tmp_path / f"docs/{name}.md").write_text(f"# A\n\n```python\n{block}\n```\n", "utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "tests.docs_examples", "docs", "-q"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    failed = re.findall(r"^FAILED docs/(\w+)\.md", done.stdout, re.MULTILINE)
    assert sorted(failed) == ["claim", "import", "sum"]
    assert "3 failed, 1 passed" in done.stdout


def test_eight_lines_are_all_that_another_site_needs(tmp_path: Path) -> None:
    assert len(MINIMAL.splitlines()) == 8
    (tmp_path / "docs").mkdir()
    (tmp_path / "mkdocs.yml").write_text(MINIMAL, "utf-8")
    (tmp_path / "docs/index.md").write_text(GOOD, "utf-8")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "site/index.html").read_text("utf-8")
    assert page.count("<td ") >= 9
    assert '<figure class="tconv-figure' in page
    assert "```" not in page
    shown = (ROOT / "docs/reference/fences.md").read_text("utf-8")
    assert f"```yaml\n{MINIMAL}```" in shown


def test_zensical_builds_the_site_too(site: Path, tmp_path: Path) -> None:
    """It reads the same settings and writes the figures; it has no hooks, so formulas stay TeX."""
    pytest.importorskip("zensical", reason="pip install -e '.[browser]'")
    for name in ("docs", "examples", "mkdocs.yml", "CHANGELOG.md"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    command = [sys.executable, "-m", "zensical", "build"]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": paths},
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout + done.stderr
    for page in ("learn/transposed", "zh/learn/transposed", "explorer"):
        ours, theirs = (
            (folder / page / "index.html").read_text("utf-8").count('<figure class="tconv-figure')
            for folder in (site, tmp_path / "site")
        )
        assert theirs == ours > 0, page
