"""The examples run at small sizes, and print what the site says that they print.

An example whose libraries are not installed is a loud skip; ``pip install -e '.[test,peers]'``
brings all of them.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent.parent
EXAMPLES = sorted(path.stem for path in (ROOT / "examples").glob("*.py"))
PAGE = (ROOT / "docs/use/examples.md").read_text("utf-8")


def imported(code: str) -> set[str]:
    """The packages that a program imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


def words(text: str) -> list[str]:
    """What is printed, without the numbers: they depend on the sizes and on the machine."""
    return re.sub(r"\d[\d.]*(?:e[+-]\d+)?", "#", text).split()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs_and_prints_and_draws_what_the_site_shows(
    name: str, tmp_path: Path
) -> None:
    path = ROOT / "examples" / f"{name}.py"
    absent = [package for package in imported(path.read_text("utf-8")) if not find_spec(package)]
    if absent:
        pytest.skip(
            f"{path.name} was not run, because these are not installed: {', '.join(absent)}; "
            "\"pip install -e '.[test,peers]'\" and 'pytest tests/conformance' run all examples"
        )
    done = subprocess.run(
        [sys.executable, "-W", "error", str(path)],
        cwd=tmp_path,
        env={**os.environ, "TINY": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (shown,) = re.findall(rf"`{name}\.py`.*?```text\n(.*?)```", PAGE, re.DOTALL)
    assert words(done.stdout) == words(shown)
    for picture in tmp_path.glob("*.png"):
        assert f"(../assets/examples/{picture.name})" in PAGE
        with (
            Image.open(picture) as drawn,
            Image.open(ROOT / "docs/assets/examples" / picture.name) as known,
        ):
            found, expected = (np.asarray(image, np.int16) for image in (drawn, known))
        assert np.abs(found - expected).max() <= 1  # a half may be rounded either way


def test_the_site_shows_all_of_the_examples() -> None:
    shown = re.findall(r'^--8<-- "examples/(\w+)\.py"$', PAGE, re.MULTILINE)
    assert sorted(shown) == EXAMPLES
