"""What is released is what is tested: the archives, their contents, what an import brings in.

The archives are built and installed in fresh environments, for which a package index is needed:
``TCONVJAX_RELEASE=1 pytest -n 0 tests/test_release.py``, as ``.ci/run`` does.
"""

from __future__ import annotations

import base64
import csv
import functools
import hashlib
import importlib
import inspect
import io
import json
import os
import pkgutil
import shutil
import subprocess
import sys
import tarfile
import tomllib
import typing
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, is_dataclass
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from types import FunctionType, ModuleType
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

KINDS = frozenset({".py", ".json", ".typed", ".js", ".css"})
"""What files of the package may be."""

BROUGHT_IN = frozenset({"jax", "jaxlib", "ml_dtypes", "numpy", "opt_einsum", "tconvjax"})
"""All that ``import tconvjax`` loads, in an environment of its requirements."""

FOUND_BY_JAX = frozenset({"etils", "filelock", "flatbuffers", "pygments", "typing_extensions"})
"""What JAX loads besides, where it happens to be installed."""

EXTRAS = {
    "tconvjax.fences": "markdown",
    "tconvjax.layers.equinox": "equinox",
    "tconvjax.layers.nnx": "flax",
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


def wheel_complaints(wheel: Mapping[str, bytes], tree: Mapping[str, bytes]) -> list[str]:
    """What a wheel of a tree lacks, has too much, or holds in other words."""
    package = {name: text for name, text in tree.items() if name.startswith("tconvjax/")}
    found = [f"{name} is missing" for name in sorted({*package, *INFO} - {*wheel})]
    found += [f"{name} does not belong" for name in sorted({*wheel} - {*package} - INFO)]
    found += [f"{name} differs" for name in package if wheel.get(name, b"") != package[name]]
    return found + [f"{name} is no file of a package" for name in package if kind_of(name)]


def kind_of(name: str) -> str:
    """The ending of a file's name, if it is none that the package may have."""
    suffix = Path(name).suffix
    return "" if suffix in KINDS else suffix or name


def record_complaints(wheel: Mapping[str, bytes]) -> list[str]:
    """Where the wheel's list of digests does not say what the wheel holds."""
    text = wheel[f"{STEM}.dist-info/RECORD"].decode()
    listed = {name: digest for name, digest, _ in csv.reader(io.StringIO(text))}
    wrong = [f"{name} is listed on one side" for name in sorted({*listed} ^ {*wheel})]
    for name, digest in listed.items():
        held = hashlib.sha256(wheel.get(name, b"")).digest()
        shown = "sha256=" + base64.urlsafe_b64encode(held).decode().rstrip("=")
        if digest != shown and not name.endswith("/RECORD"):
            wrong.append(f"{name} has another digest")
    return wrong


def metadata_complaints(metadata: Message, project: Mapping[str, Any]) -> list[str]:
    """What the metadata lacks of what pyproject.toml says."""
    wanted = {
        "Name": project["name"],
        "Version": tconvjax.__version__,
        "Summary": project["description"],
        "License-Expression": project["license"],
        "License-File": project["license-files"][0],
        "Author": project["authors"][0]["name"],
        "Requires-Python": project["requires-python"],
        "Description-Content-Type": "text/markdown",
    }
    found = [f"{name} is {metadata[name]!r}" for name in wanted if metadata[name] != wanted[name]]
    lists = {"Classifier": project["classifiers"], "Requires-Dist": project["dependencies"],
             "Provides-Extra": project["optional-dependencies"]}  # fmt: skip
    for name, values in lists.items():
        held = [v for v in metadata.get_all(name, []) if "extra ==" not in v]
        if sorted(held) != sorted(values):
            found.append(f"{name} lists {held}")
    if metadata.get_payload() != (ROOT / "README.md").read_text(encoding="utf-8"):
        found.append("the description is not the README")
    return found


def metadata_of(wheel: Mapping[str, bytes]) -> Message:
    """A wheel's metadata, whose text after the fields is the description."""
    message = BytesParser().parsebytes(wheel[f"{STEM}.dist-info/METADATA"])
    message.set_payload(wheel[f"{STEM}.dist-info/METADATA"].decode().split("\n\n", 1)[1])
    return message


@released
def test_the_wheel_is_the_package_and_nothing_else(release: Release) -> None:
    held = members(release.wheel)
    assert wheel_complaints(held, files_of(release.tree)) == []
    assert record_complaints(held) == []


@released
def test_the_sdist_is_a_part_of_the_tree_with_all_that_tests_need(release: Release) -> None:
    held, tree = members(release.sdist), files_of(release.tree)
    assert {name for name in held if held[name] != tree.get(name)} == {"PKG-INFO"}
    folders = ("tconvjax/", "tests/", "docs/", "benchmarks/")
    assert {n for n in tree if n.startswith(folders)} <= {*held}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "SECURITY.md"} <= {*held}


@released
def test_the_metadata_is_complete(release: Release) -> None:
    assert metadata_complaints(metadata_of(members(release.wheel)), PROJECT["project"]) == []
    shown = command(release.python, "-m", "twine", "check", "--strict", release.wheel,
                    release.sdist, cwd=release.tree.parent)  # fmt: skip
    assert shown.count("PASSED") == 2


@released
def test_two_builds_are_equal_to_the_last_byte(release: Release, tmp_path: Path) -> None:
    """Elsewhere, at another time and place, with other rights and in another order of hashing."""
    tree = copy_of_the_tree(tmp_path / "a" / "longer" / "path", 0o600)
    variables = {"TZ": "Pacific/Chatham", "PYTHONHASHSEED": "7", "LC_ALL": "C"}
    again = built(release.python, tree, tmp_path / "dist", "--wheel", "--sdist", **variables)
    assert [path.read_bytes() for path in again] == [
        release.wheel.read_bytes(), release.sdist.read_bytes()
    ]  # fmt: skip


@released
def test_the_sdist_builds_the_same_wheel(release: Release, tmp_path: Path) -> None:
    with tarfile.open(release.sdist) as sdist:
        sdist.extractall(tmp_path, filter="data")
    (wheel,) = built(release.python, tmp_path / STEM, tmp_path / "dist", "--wheel")
    assert wheel.read_bytes() == release.wheel.read_bytes()


OPERATIONS = """
import importlib, json, pkgutil, sys
before = set(sys.modules)
import tconvjax as tc
loaded = {name.split(".")[0] for name in set(sys.modules) - before}
assert tc.__file__.startswith(sys.prefix), tc.__file__
import jax, jax.numpy as jnp
from tconvjax import matrices, symbolic
from tconvjax.rendering import matrix_text
y = jnp.array([[[0, 1], [2, 3]]], jnp.float32)
w = jnp.array([[[[4, 7], [2, 2]]]], jnp.float32)
z = tc.conv_transpose(y, w)
assert z.tolist() == [[[0, 4, 7], [8, 28, 23], [4, 10, 6]]]
tc.assert_adjoint(lambda x: tc.conv(x, w), lambda y: tc.conv_transpose(y, w), z, y)
assert jax.grad(lambda w: tc.conv_transpose(y, w).sum())(w).tolist() == [[[[6, 6], [6, 6]]]]
geometry = tc.Geometry.of_conv((1, 5), (1, 1, 3), stride=2)
C = matrices.conv_matrix(geometry, jnp.ones((1, 1, 3), jnp.float32))
assert C.shape == (2, 5)
assert matrix_text(symbolic.conv_matrix(geometry)).count("w0") == 2
missing = {}
modules = [m.name for m in pkgutil.walk_packages(tc.__path__, "tconvjax.")]
for name in modules:
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing[name] = error.name
print(json.dumps({"modules": modules, "missing": missing, "loaded": sorted(loaded)}))
"""


@released
def test_the_wheel_works_away_from_its_sources(release: Release, tmp_path: Path) -> None:
    python = fresh(tmp_path / "use", release.wheel)
    command(python, "-m", "pip", "check", cwd=tmp_path)
    away = tmp_path / "away"
    away.mkdir()
    tour = command(python, "-I", "-m", "tconvjax", cwd=away).splitlines()
    assert tour[-1] == "7 of 7 examples match"
    assert command(python.parent / "tconvjax", cwd=away).splitlines() == tour
    shown = json.loads(command(python, "-I", "-c", OPERATIONS, cwd=away).splitlines()[-1])
    assert shown["missing"] == EXTRAS
    assert {f"{name.replace('.', '/')}.py" for name in shown["modules"]} <= {
        name.replace("/__init__.py", ".py") for name in members(release.wheel)
    }
    assert len(shown["modules"]) > 100
    assert third_party(shown["loaded"]) == BROUGHT_IN


# -- the guards can fail ---------------------------------------------------------------------------


def good_wheel() -> dict[str, bytes]:
    """A wheel as small as one may be, with the digests of its files."""
    wheel = {"tconvjax/__init__.py": b"pass", "tconvjax/py.typed": b""}
    wheel |= dict.fromkeys(INFO, b"")
    lines = []
    for name, text in wheel.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(text).digest()).decode().rstrip("=")
        lines.append(f"{name},sha256={digest},{len(text)}\n")
    wheel[f"{STEM}.dist-info/RECORD"] = "".join(lines).encode()
    return wheel


TREE = {"tconvjax/__init__.py": b"pass", "tconvjax/py.typed": b"", "tests/test_a.py": b""}


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({}, None),
        ({"tests/test_a.py": b""}, "tests/test_a.py does not belong"),
        ({"start.pth": b"import os"}, "start.pth does not belong"),
        ({"tconvjax/__init__.py": b"exit()"}, "tconvjax/__init__.py differs"),
        ({"tconvjax/py.typed": None}, "tconvjax/py.typed is missing"),
        ({f"{STEM}.dist-info/licenses/LICENSE": None}, f"{STEM}.dist-info/licenses/LICENSE is"),
    ],
)
def test_a_fault_in_a_wheel_is_seen(change: dict[str, bytes | None], complaint: str | None) -> None:
    wheel = {name: text for name, text in {**good_wheel(), **change}.items() if text is not None}
    found = wheel_complaints(wheel, TREE)
    assert [complaint and text.startswith(complaint) for text in found] == [True] * len(found)
    assert len(found) == (complaint is not None)
    assert len(record_complaints(wheel)) == len(change)


def test_a_strange_file_in_the_package_is_seen() -> None:
    odd = {"tconvjax/notes.docx": b""}
    assert wheel_complaints({**good_wheel(), **odd}, {**TREE, **odd}) == [
        "tconvjax/notes.docx is no file of a package"
    ]


@pytest.mark.parametrize("field", ["Version", "License-Expression", "Classifier", "Requires-Dist"])
def test_a_gap_in_the_metadata_is_seen(field: str) -> None:
    project, message = PROJECT["project"], Message()
    message["Name"], message["Version"] = project["name"], tconvjax.__version__
    message["Summary"], message["Author"] = project["description"], project["authors"][0]["name"]
    message["License-Expression"], message["License-File"] = project["license"], "LICENSE"
    message["Requires-Python"] = project["requires-python"]
    message["Description-Content-Type"] = "text/markdown"
    for name, values in (("Classifier", project["classifiers"]),
                         ("Requires-Dist", project["dependencies"]),
                         ("Provides-Extra", project["optional-dependencies"])):  # fmt: skip
        for value in values:
            message[name] = value
    message.set_payload((ROOT / "README.md").read_text(encoding="utf-8"))
    assert metadata_complaints(message, project) == []
    del message[field]
    assert len(metadata_complaints(message, project)) == 1


# -- what an import brings in, and does ------------------------------------------------------------

IMPORT = """
import json, sys
before, events = set(sys.modules), []
WATCHED = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "urllib.",
           "os.remove", "os.rename", "os.mkdir", "os.chmod", "shutil.", "tempfile.", "pty.")
def watch(event, args):
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if event.startswith(WATCHED) or writes:
        events.append([event, repr(args)])
sys.addaudithook(watch)
{statement}
loaded = {{name.split(".")[0] for name in set(sys.modules) - before}}
print(json.dumps([sorted(loaded), events]))
"""


def third_party(names: list[str]) -> frozenset[str]:
    """The packages among the tops of modules: those of no distribution were made by NumPy's C."""
    outside = {n for n in names if n not in sys.stdlib_module_names and not n.startswith("_")}
    return frozenset(outside - {"cython_runtime"})


def imported(statement: str) -> tuple[frozenset[str], list[list[str]]]:
    """What a statement loads, and what it does besides, in a fresh interpreter."""
    code = IMPORT.format(statement=statement)
    # Without -B it would write its bytecode, as any import does.
    shown = subprocess.run([sys.executable, "-B", "-c", code], cwd=ROOT, capture_output=True,
                           text=True, check=True)  # fmt: skip
    loaded, events = json.loads(shown.stdout)
    return third_party(loaded), events


def test_an_import_brings_in_these_and_no_others() -> None:
    loaded, _ = imported("import tconvjax")
    assert loaded >= BROUGHT_IN
    assert loaded - BROUGHT_IN <= FOUND_BY_JAX
    assert "sympy" in imported("import tconvjax.symbolic")[0]


def test_an_import_writes_no_file_and_starts_nothing() -> None:
    assert imported("import tconvjax")[1] == []


@pytest.mark.parametrize(
    ("statement", "event"),
    [
        ("import subprocess; subprocess.run(['true'])", "subprocess.Popen"),
        ("import socket; socket.socket().close()", "socket.__new__"),
        ("import os; open(os.devnull, 'w').close()", "open"),
    ],
)
def test_what_an_import_does_is_seen(statement: str, event: str) -> None:
    assert event in {name for name, _ in imported(statement)[1]}


# -- types -----------------------------------------------------------------------------------------


def modules() -> Iterator[ModuleType]:
    """Every module of the package that can be imported here."""
    for found in pkgutil.walk_packages(tconvjax.__path__, "tconvjax."):
        try:
            yield importlib.import_module(found.name)
        except ModuleNotFoundError as error:
            if EXTRAS.get(found.name) != error.name:
                raise


def functions_of(value: Any) -> Iterator[tuple[str, FunctionType, bool]]:
    """The functions that a public name stands for: (name, function, whether it has a self)."""
    if not inspect.isclass(value):
        function = inspect.unwrap(value)
        if isinstance(function, FunctionType):
            yield function.__qualname__, function, False
        return
    for name, member in vars(value).items():
        made = name == "__init__" and is_dataclass(value)
        if made or (name.startswith("_") and name not in ("__init__", "__call__", "__iter__")):
            continue
        if isinstance(member, property | functools.cached_property):
            member = member.fget if isinstance(member, property) else member.func
        bound = not isinstance(member, staticmethod)
        member = getattr(member, "__func__", member)
        # A lambda is the default of a field, whose type the field says.
        ours = isinstance(member, FunctionType) and member.__module__ == value.__module__
        if ours and member.__name__ != "<lambda>":
            yield f"{value.__qualname__}.{name}", member, bound


def untyped(name: str, function: Callable[..., Any], bound: bool) -> list[str]:
    """The parameters of a function that have no type, and "return"."""
    signature = inspect.signature(function)
    bare = [
        p.name for p in list(signature.parameters.values())[bound:]
        if p.annotation is inspect.Parameter.empty
    ]  # fmt: skip
    if signature.return_annotation is inspect.Signature.empty and name != "__init__":
        bare.append("return")
    return bare


def unresolved(function: FunctionType) -> str:
    """What keeps a function's annotations from being read at run time; nothing if they can be.

    The shapes of jaxtyping are imported for checkers only, so its names are given here.
    """
    shapes = {name: getattr(jaxtyping, name) for name in ("Array", "ArrayLike", "Num")}
    try:
        typing.get_type_hints(function, {**shapes, **function.__globals__})
    except NameError as error:
        return str(error)
    return ""


def test_every_public_function_says_its_types() -> None:
    seen = 0
    for module in modules():
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", "") != module.__name__:
                continue
            for place, function, bound in functions_of(value):
                assert untyped(place.split(".")[-1], function, bound) == [], place
                seen += 1
    assert seen > 500


def test_every_name_of_a_table_of_contents_is_there() -> None:
    listing = [module for module in (tconvjax, *modules()) if hasattr(module, "__all__")]
    assert len(listing) > 5
    for module in listing:
        assert [name for name in module.__all__ if not hasattr(module, name)] == []
        assert sorted(set(module.__all__)) == sorted(module.__all__)


def test_the_types_at_the_root_can_be_read_at_run_time() -> None:
    public = [getattr(tconvjax, name) for name in tconvjax.__all__]
    functions = [f for value in public for f in functions_of(value)]
    assert len(functions) > 30
    assert [(name, unresolved(function)) for name, function, _ in functions if
            unresolved(function)] == []  # fmt: skip


def test_a_missing_type_is_seen() -> None:
    class Bare:
        def method(self, a: int, b, *, c: "Nowhere") -> int:  # type: ignore # noqa: ANN001, F821
            return a

    found = list(functions_of(Bare))
    assert [(untyped(name, function, bound)) for name, function, bound in found] == [["b"]]
    assert "Nowhere" in unresolved(found[0][1])
    assert untyped("f", lambda a: a, False) == ["a", "return"]
