"""Measured times of the algorithms: those that this process knows, and the file that keeps them.

Nothing here reads a clock. The file is a JSON list with an entry for each partial: the version of
JAX, the device, the recipe, and milliseconds by algorithm. Entries of other versions and devices
are kept and not used.
"""

from __future__ import annotations

import functools
import json
import os
import platform as system
import re
import warnings
from collections.abc import Mapping
from dataclasses import astuple
from pathlib import Path
from typing import Any

import jax

from tconvjax.errors import GeometryError, fail
from tconvjax.layouts import Recipe


def known(recipe: Recipe, batch: int) -> Mapping[str, float]:
    """The measured seconds of each algorithm on this machine; empty where none were measured."""
    entries = _times()
    found = entries.get(_key(recipe, batch), {}) if entries else {}
    return {name: ms / 1e3 for name, ms in found.items()}


def remember(recipe: Recipe, batch: int, seconds: Mapping[str, float]) -> None:
    """Let plans follow measured seconds from now on."""
    _times()[_key(recipe, batch)] = {name: float(f"{1e3 * s:.4g}") for name, s in seconds.items()}


def load_plans(path: str | os.PathLike[str]) -> int:
    """Read measured times from a file; ``algorithm="auto"`` follows them from now on.

    Programs that are compiled already stay as they are. The file of `save_plans` without a path is
    read without being asked for, when the first plan is made.

    Args:
        path: a file that `save_plans` has written.

    Returns:
        The number of entries that are for this device and version of JAX; the others are not used.

    Raises:
        GeometryError: if path names no file, or one that holds no measured times.
        OSError: if it cannot be read.
    """
    entries = _entries(_named(path))
    _times().update(entries)
    heads = [json.loads(key) for key in entries]
    own = (device(True), device(False))
    return sum(h["jax"] == jax.__version__ and h["device"] in own for h in heads)


def save_plans(path: str | os.PathLike[str] | None = None) -> Path:
    """Write the measured times of this process to a file, beside those that are there already.

    Args:
        path: the file; None for the one that is read without being asked for:
            ``~/.cache/tconvjax/plans.json``, or what the environment variable ``TCONVJAX_PLANS``
            names.

    Returns:
        The path.

    Raises:
        GeometryError: if the file exists and holds no measured times.
        OSError: if it cannot be written.
    """
    file = _default() if path is None else _named(path)
    entries = (_entries(file) if file.exists() else {}) | _times()
    lines = (json.dumps({**json.loads(key), "ms": entries[key]}) for key in sorted(entries))
    file.parent.mkdir(parents=True, exist_ok=True)
    partly = file.with_name(f"{file.name}.{os.getpid()}")
    partly.write_text("[\n" + ",\n".join(lines) + "\n]\n", "utf-8")
    partly.replace(file)
    return file


def _named(path: Any) -> Path:
    """Read the name of a file."""
    if not isinstance(path, (str, os.PathLike)):
        fail("path", path, "it must name a file", "give a text or a pathlib.Path")
    return Path(path)


def _default() -> Path:
    """The file that is read without being asked for."""
    named = os.environ.get("TCONVJAX_PLANS")
    folder = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    return Path(named or f"{folder}/tconvjax/plans.json").expanduser()


@functools.cache
def _times() -> dict[str, dict[str, float]]:
    """The entries that this process knows; at first those of the default file, if there is one."""
    try:
        return _entries(_default())
    except (FileNotFoundError, RuntimeError):  # Python's own of a user without a home
        return {}
    except (GeometryError, OSError) as error:
        warnings.warn(f"the file of measured plans is not used: {error}", stacklevel=2)
        return {}


def _entries(file: Path) -> dict[str, dict[str, float]]:
    """The entries of a file: milliseconds by algorithm, by the text of the rest of an entry."""
    try:
        found = {}
        for entry in json.loads(file.read_text("utf-8")):
            ms = {str(name): float(time) for name, time in entry.pop("ms").items()}
            _ = entry["jax"], entry["device"]  # which say whether it is used
            found[json.dumps(entry, sort_keys=True)] = ms
    except (ValueError, TypeError, AttributeError, KeyError):
        fail("path", str(file), "it must hold measured times", "give a file of tc.save_plans")
    return found


def _key(recipe: Recipe, batch: int) -> str:
    """The text of an entry without its times."""
    geometry = recipe.geometry
    entry = {
        "jax": jax.__version__,
        "device": device(recipe.on_cpu),
        "partial": recipe.partial,
        "in_channels": geometry.in_channels,
        "out_channels": geometry.out_channels,
        "groups": geometry.groups,
        "axes": [astuple(axis)[:-1] for axis in geometry.axes],  # without the mode, which is zeros
        "batch": batch,
        "dtype": str(recipe.dtype),
        "layout": recipe.specs,
        "precision": None if recipe.precision is None else str(recipe.precision),
    }
    return json.dumps(entry, sort_keys=True)


@functools.cache
def device(cpu: bool) -> str:
    """The name of this machine's CPU, or of its accelerator, "" without one."""
    if not cpu:
        return str(jax.devices()[0].device_kind) if jax.default_backend() != "cpu" else ""
    name = system.processor() or system.machine()
    information = Path("/proc/cpuinfo")
    if information.exists():
        found = re.search(r"model name\s*:\s*(.*)", information.read_text("utf-8"))
        name = found[1] if found else name
    return f"{name}, {os.cpu_count()} CPUs"
