"""The shape of the package: floors, the table of contents, what an import costs."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import tconvjax

PACKAGE = Path(tconvjax.__file__).parent

PLAN = (PACKAGE.parent / "docs" / "design.md").read_text("utf-8")
FLOORS: dict[str, int] = {
    name: int(floor) for floor, name in re.findall(r"^\| (\d+) \| `(\w+)/?` \|", PLAN, re.M)
}
"""Each room by its floor, as docs/design.md lists them; a folder is one room."""

STANDARD_LIBRARY_ONLY = {"errors", "arguments", "shown", "geometry"}
SYMBOLS = {"symbolic", "rendering", "explaining"}
"""The staircase of symbols; it and that of arrays do not import each other."""

HIDDEN = ("import_module", "__import__")
"""Functions that import what they are given; what cannot be read here could be anything."""

FILES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(source: str) -> Iterator[str]:
    """The modules that a source imports, at any depth of its code."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(HIDDEN):
            first = node.args[0] if node.args else None
            yield str(first.value) if isinstance(first, ast.Constant) else "tconvjax.?"


def complaints(name: str, source: str) -> list[str]:
    """What a module imports and must not."""
    if name not in FLOORS:
        return [f"{name} stands on no floor"]
    found = []
    for module in imports(source):
        top, *rest = module.split(".")
        if top != "tconvjax":
            outside = top not in sys.stdlib_module_names
            if name in STANDARD_LIBRARY_ONLY and outside:
                found.append(f"{name} imports {module}, which is not in the standard library")
            if top == "sympy" and name not in SYMBOLS | {"command", "fences"}:
                found.append(f"{name} imports sympy")
            if top in ("jax", "jaxlib") and name in SYMBOLS:
                found.append(f"{name} imports {module}")
        elif rest == ["?"] and not name.startswith("__"):
            found.append(f"{name} imports a module that it computes")
        elif rest and rest[0] != name and rest[0] in FLOORS and FLOORS[rest[0]] >= FLOORS[name]:
            found.append(f"{name} imports {rest[0]}, which is no lower floor")
        elif rest and name in SYMBOLS and rest[0] not in SYMBOLS | STANDARD_LIBRARY_ONLY | {name}:
            found.append(f"{name} imports {rest[0]} of the other staircase")
    return found


def test_imports_go_down() -> None:
    breaches = [
        f"{path.relative_to(PACKAGE)}: {said}"
        for path in FILES
        for said in complaints(room(path), path.read_text("utf-8"))
    ]
    assert breaches == []


def test_every_floor_is_lived_on() -> None:
    assert {room(path) for path in FILES} == set(FLOORS)


def test_the_guard_can_fail() -> None:
    forbidden = [
        ("geometry", "import numpy"),
        ("geometry", "from tconvjax.reference import convolve"),
        ("reference", "def f():\n    from tconvjax.operations import conv"),
        ("reference", "import sympy"),
        ("symbolic", "from tconvjax.reference import convolve"),
        ("rendering", "import jax"),
        ("trilinear", "from tconvjax import operations"),
        ("sharding", "from tconvjax.trilinear import trilinear"),
        ("attic", "import math"),
        ("geometry", "importlib.import_module('tconvjax.rendering')"),
        ("geometry", "def f(name):\n    return importlib.import_module(name)"),
    ]
    assert [pair for pair in forbidden if not complaints(*pair)] == []


def test_no_file_outgrows_its_reader() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in FILES}
    assert {path: length for path, length in lengths.items() if length > 500} == {}


def test_the_root_lists_every_public_name() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    own = [n for n in tree.body if getattr(n, "module", "").startswith("tconvjax.")]
    names = {alias.name for n in own for alias in n.names}  # type: ignore[attr-defined]
    assert sorted(names) == sorted(tconvjax.__all__)
    assert all(inspect.ismodule(getattr(tconvjax, name)) for name in tconvjax._SUBMODULES)
    public = [getattr(tconvjax, name) for name in tconvjax.__all__]
    assert all(value.__doc__ for value in public if callable(value))


def test_importing_needs_neither_sympy_nor_optional_packages() -> None:
    heavy = "{'sympy', 'scipy.sparse', 'PIL', 'onnx'}"
    code = f"import sys, tconvjax; print(sorted({heavy} & set(sys.modules)))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def test_importing_starts_no_device() -> None:
    """A program must still be able to choose its platform after the import."""
    code = (
        "import tconvjax, jax; jax.config.update('jax_num_cpu_devices', 3); "
        "assert len(jax.devices('cpu')) == 3"
    )
    env = {"PATH": "", "XLA_FLAGS": "", "JAX_PLATFORMS": "cpu"}
    subprocess.run([sys.executable, "-c", code], check=True, env=env, cwd=PACKAGE.parent)
