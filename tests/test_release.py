"""What is released is what is tested: the archives, their contents, what an import brings in.

The archives are built and installed in fresh environments, for which a package index is needed:
``TCONVJAX_RELEASE=1 pytest -n 0 tests/test_release.py``, as ``.ci/run`` does.
"""

from __future__ import annotations

import inspect
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import typing
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from email.parser import Parser
from pathlib import Path
from types import FunctionType
from typing import Any

import jaxtyping
import pytest

import tconvjax

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
STEM = f"tconvjax-{tconvjax.__version__}"

INFO = frozenset(
    f"{STEM}.dist-info/{name}"
    for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt", "licenses/LICENSE")
)
"""What a wheel holds besides the package."""

KINDS = frozenset({".py", ".json", ".typed", ".js", ".css", ".txt"})
"""What files of the package may be."""

BROUGHT_IN = frozenset({"jax", "jaxlib", "ml_dtypes", "numpy", "opt_einsum", "tconvjax"})
"""All that ``import tconvjax`` loads, in an environment of its requirements."""

FOUND_BY_JAX = frozenset({"etils", "filelock", "flatbuffers", "pygments", "typing_extensions"})
"""What JAX loads besides, where it happens to be installed."""

EXTRAS = {
    "tconvjax.layers.equinox": "equinox",
    "tconvjax.layers.flax": "flax",
    "tconvjax.layers.linen": "flax",
    "tconvjax.layers.nnx": "flax",
    "tconvjax.site.fence": "markdown",
}
"""The modules that need more than the requirements, and what they need first."""

released = pytest.mark.skipif(
    "TCONVJAX_RELEASE" not in os.environ,
    reason="builds and installs: TCONVJAX_RELEASE=1 pytest -n 0 tests/test_release.py",
)


# -- the archives ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Release:
    """The two archives, and the tree of which they were built."""

    python: Path
    tree: Path
    wheel: Path
    sdist: Path


def command(*words: object, cwd: Path, **variables: str) -> str:
    """What a command prints; it sees nothing of the checkout."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, env={**env, **variables}, check=False, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    return done.stdout


def fresh(place: Path, *requirements: object) -> Path:
    """The Python of a new virtual environment that holds these."""
    command(sys.executable, "-m", "venv", place, cwd=place.parent)
    python = place / "bin" / "python"
    command(python, "-m", "pip", "install", "--quiet", *requirements, cwd=place.parent)
    return python


def copy_of_the_tree(place: Path, mode: int) -> Path:
    """The files of the checkout that git does not ignore, with other rights and other times."""
    listed = command("git", "ls-files", "-z", "-co", "--exclude-standard", cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, place / name)
            (place / name).chmod(mode)
    return place


def built(python: Path, tree: Path, out: Path, *what: str, **variables: str) -> list[Path]:
    """The archives of a tree."""
    command(
        python, "-m", "build", "--no-isolation", "--outdir", out, *what, tree,
        cwd=out.parent, SOURCE_DATE_EPOCH="1700000000", **variables,
    )  # fmt: skip
    return sorted(out.iterdir())


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Release:
    place = tmp_path_factory.mktemp("release")
    python = fresh(place / "tools", *PROJECT["dependency-groups"]["release"])
    tree = copy_of_the_tree(place / "tree", 0o644)
    wheel, sdist = built(python, tree, place / "dist", "--wheel", "--sdist")
    return Release(python, tree, wheel, sdist)


def members(archive: Path) -> dict[str, bytes]:
    """The files of an archive; an sdist's without its folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return {name: wheel.read(name) for name in wheel.namelist()}
    with tarfile.open(archive) as sdist:
        files = [(member, sdist.extractfile(member)) for member in sdist.getmembers()]
        return {m.name.removeprefix(f"{STEM}/"): file.read() for m, file in files if file}


def files_of(tree: Path) -> dict[str, bytes]:
    """The files of a tree."""
    paths = [path for path in tree.rglob("*") if path.is_file()]
    return {path.relative_to(tree).as_posix(): path.read_bytes() for path in paths}


def wrong_files(wheel: Mapping[str, bytes], tree: Mapping[str, bytes]) -> set[str]:
    """The files that a wheel of a tree lacks, has too much, or holds in other words or kinds."""
    package = {name: text for name, text in tree.items() if name.startswith("tconvjax/")}
    differ = {name for name in package if wheel.get(name) != package[name]}
    strange = {name for name in package if Path(name).suffix not in KINDS}
    return differ | strange | ({*wheel} ^ ({*package} | INFO))


@released
def test_the_wheel_is_the_package_and_nothing_else(release: Release) -> None:
    assert wrong_files(members(release.wheel), files_of(release.tree)) == set()


def test_a_fault_in_a_wheel_is_seen() -> None:
    package: dict[str, bytes] = {"tconvjax/__init__.py": b"", "tconvjax/py.typed": b""}
    good, tree = {**dict.fromkeys(INFO, b""), **package}, {**package, "tests/test_a.py": b""}
    assert wrong_files(good, tree) == set()
    for name in ("tests/test_a.py", "start.pth", "tconvjax/__init__.py"):
        assert wrong_files({**good, name: b"exit()"}, tree) == {name}
    for name in good:
        assert wrong_files({n: good[n] for n in good if n != name}, tree) == {name}
    odd = {"tconvjax/notes.docx": b""}
    assert wrong_files({**good, **odd}, {**tree, **odd}) == {*odd}


@released
def test_the_sdist_is_a_part_of_the_tree_with_all_that_tests_need(release: Release) -> None:
    held, tree = members(release.sdist), files_of(release.tree)
    assert {name for name in held if held[name] != tree.get(name)} == {"PKG-INFO"}
    folders = ("tconvjax/", "tests/", "docs/", "benchmarks/", "examples/")
    assert {n for n in tree if n.startswith(folders)} <= {*held}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md"} <= {*held}


@released
def test_the_metadata_is_that_of_the_project(release: Release) -> None:
    text = members(release.wheel)[f"{STEM}.dist-info/METADATA"].decode()
    metadata, project = Parser().parsestr(text), PROJECT["project"]
    assert metadata["Version"] == tconvjax.__version__
    assert metadata["License-Expression"] == project["license"]
    assert metadata["Requires-Python"] == project["requires-python"]
    required = {line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line}
    assert required == {*project["dependencies"]}
    assert text.split("\n\n", 1)[1] == (ROOT / "README.md").read_text(encoding="utf-8")
    archives = (release.wheel, release.sdist)
    shown = command(release.python, "-m", "twine", "check", "--strict", *archives, cwd=ROOT)
    assert shown.count("PASSED") == 2


@released
def test_two_builds_are_equal_to_the_last_byte(release: Release, tmp_path: Path) -> None:
    """Elsewhere, at another time and place, with other rights and in another order of hashing."""
    tree = copy_of_the_tree(tmp_path / "a" / "longer" / "path", 0o600)
    variables = {"TZ": "Pacific/Chatham", "PYTHONHASHSEED": "7", "LC_ALL": "C"}
    again = built(release.python, tree, tmp_path / "dist", "--wheel", "--sdist", **variables)
    for one, other in zip(again, (release.wheel, release.sdist), strict=True):
        assert one.read_bytes() == other.read_bytes()


@released
def test_the_sdist_builds_the_same_wheel(release: Release, tmp_path: Path) -> None:
    with tarfile.open(release.sdist) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (wheel,) = built(release.python, tmp_path / STEM, tmp_path / "dist", "--wheel")
    assert wheel.read_bytes() == release.wheel.read_bytes()


OPERATIONS = """
import importlib, pkgutil, sys
import jax, jax.numpy as jnp
import tconvjax as tc
from tconvjax import matrices, symbolic
from tconvjax.rendering import to_text
assert tc.__file__.startswith(sys.prefix), tc.__file__
w = jnp.array([[[[4, 7], [2, 2]]]], jnp.float32)
assert jax.grad(lambda w: tc.conv_transpose(w[0], w).sum())(w).shape == w.shape
geometry = tc.Geometry.of_conv((1, 5), (1, 1, 3), stride=2)
C = matrices.conv_matrix(geometry, jnp.ones((1, 1, 3), jnp.float32))
assert C.shape == (2, 5)
assert to_text(symbolic.conv_matrix(geometry)).count("w0") == 2
for module in pkgutil.walk_packages(tc.__path__, "tconvjax."):
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        print(module.name, error.name)
"""


@released
def test_the_wheel_works_away_from_its_sources(release: Release, tmp_path: Path) -> None:
    python = fresh(tmp_path / "use", release.wheel)
    command(python, "-m", "pip", "check", cwd=tmp_path)
    tour = command(python, "-I", "-m", "tconvjax", cwd=tmp_path).splitlines()
    assert tour[-1] == "7 of 7 examples match"
    assert command(python.parent / "tconvjax", cwd=tmp_path).splitlines() == tour
    missing = command(python, "-I", "-c", OPERATIONS, cwd=tmp_path).splitlines()
    assert dict(map(str.split, missing)) == EXTRAS
    assert imported("import tconvjax", python, tmp_path)[0] == BROUGHT_IN


# -- what an import brings in, and does ------------------------------------------------------------

IMPORT = """
import json, sys
before, events = set(sys.modules), set()
WATCHED = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "urllib.",
           "os.remove", "os.rename", "os.mkdir", "os.chmod", "shutil.", "tempfile.", "pty.")
def watch(event, args):
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if event.startswith(WATCHED) or writes:
        events.add(event)
sys.addaudithook(watch)
{statement}
loaded = {{name.split(".")[0] for name in set(sys.modules) - before}}
print(json.dumps([sorted(loaded), sorted(events)]))
"""


def imported(
    statement: str, python: object = sys.executable, cwd: Path = ROOT
) -> tuple[frozenset[str], set[str]]:
    """What a statement loads, and what it does besides, in a fresh interpreter."""
    # Without -B it would write its bytecode, as any import does.
    shown = command(python, "-B", "-c", IMPORT.format(statement=statement), cwd=cwd)
    loaded, events = json.loads(shown)
    # Modules of no distribution were made by NumPy's C.
    outside = {n for n in loaded if n not in sys.stdlib_module_names and not n.startswith("_")}
    return frozenset(outside - {"cython_runtime"}), set(events)


def test_an_import_brings_in_these_writes_no_file_and_starts_nothing() -> None:
    loaded, events = imported("import tconvjax")
    assert loaded >= BROUGHT_IN
    assert loaded - BROUGHT_IN <= FOUND_BY_JAX
    assert events == set()


def test_what_an_import_does_is_seen() -> None:
    does = "subprocess.run(['true']); socket.socket().close(); open(os.devnull, 'w').close()"
    _, events = imported(f"import os, socket, subprocess; {does}")
    assert events >= {"subprocess.Popen", "socket.__new__", "open"}


# -- types -----------------------------------------------------------------------------------------


def test_the_types_at_the_root_can_be_read_at_run_time() -> None:
    """Each function and method has a type for all that it takes and gives."""
    # The shapes of jaxtyping are imported for checkers only.
    shapes = {name: getattr(jaxtyping, name) for name in ("Array", "ArrayLike", "Num")}
    public = [getattr(tconvjax, name) for name in tconvjax.__all__]
    methods = [vars(value).items() for value in public if inspect.isclass(value)]
    members = [*public, *(m for items in methods for name, m in items if name[0] != "_")]
    functions = [
        inspect.unwrap(getattr(m, "fget", getattr(m, "func", getattr(m, "__func__", m))))
        for m in members
        if not inspect.isclass(m)
    ]
    typed = [f for f in functions if isinstance(f, FunctionType) and f.__name__ != "<lambda>"]
    assert len(typed) > 30
    for f in typed:
        hints = typing.get_type_hints(f, {**shapes, **f.__globals__})
        missing = {*inspect.signature(f).parameters, "return"} - {*hints, "self", "cls"}
        assert missing == set(), f.__qualname__
