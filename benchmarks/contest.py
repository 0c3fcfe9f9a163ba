"""Contestants side by side: built from the same arrays, checked, then timed in turns."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from cases import Case, Numbers, Task, exact
from timing import Program, Times, interleaved

from tconvjax import __version__

TOLERANCES = {"float32": 1e-4, "bfloat16": 3e-2}
"""How far a result may be from the exact one, as a part of its largest element."""


class NotRun(Exception):
    """A contestant cannot do a case; the message says why."""


class WrongResult(Exception):
    """A contestant's result is not the exact one."""


@dataclass(frozen=True)
class Job:
    """What a contestant is asked to build.

    Args:
        case: the layer.
        task: what to compute.
        arrays: x, w and y, channels first; x is the cotangent of a step.
        platform: "cpu" or "gpu".
        threads: cores to use.
    """

    case: Case
    task: Task
    arrays: tuple[Numbers, Numbers, Numbers]
    platform: str
    threads: int

    @property
    def dtype(self) -> str:
        """The name of the arrays' type."""
        return str(self.arrays[0].dtype)


@dataclass(frozen=True)
class Contestant:
    """Somebody's transposed convolution.

    Args:
        name: what it is called in the tables.
        build: makes a program of a job, or raises `NotRun`.
        packages: distributions that it needs and whose versions are recorded.
        tasks: those that it takes part in.
        note: says of a case how it was expressed, where that is not plain; "" for nothing.
    """

    name: str
    build: Callable[[Job], Program]
    packages: tuple[str, ...] = ("jax",)
    tasks: tuple[Task, ...] = ("forward", "step")
    note: Callable[[Case], str] = field(default=lambda _: "")


@dataclass(frozen=True)
class Entry:
    """What one contestant took for one task of one case.

    Args:
        name: the contestant.
        times: of its turns.
        errors: of z, or of z, dy and dw: the largest error over the largest exact element.
        program: what was timed.
        note: how the case was expressed, if not plainly.
    """

    name: str
    times: Times
    errors: tuple[float, ...]
    program: Program
    note: str


@dataclass(frozen=True)
class Setting:
    """How a contest is held.

    Args:
        rounds: turns of each contestant.
        seed: of the arrays and of the orders.
        dtype: "float32" or "bfloat16".
        platform: "cpu" or "gpu".
        threads: cores to use.
    """

    rounds: int
    seed: int
    dtype: str = "float32"
    platform: str = "cpu"
    threads: int = 1


def contest(
    case: Case, task: Task, contestants: Sequence[Contestant], setting: Setting,
    after: Callable[[str], object] = lambda _: None,
) -> tuple[list[Entry], dict[str, str]]:  # fmt: skip
    """Build, check and time one task of one case.

    Args:
        case: the layer.
        task: what to compute.
        contestants: who takes part, if they can.
        setting: how it is held.
        after: called with a contestant's name after each of its turns.

    Returns:
        What each contestant took, and why the others did not run.

    Raises:
        WrongResult: if a result is off by more than the tolerance of its dtype.
    """
    arrays = case.arrays(setting.seed, setting.dtype)
    job = Job(case, task, arrays, setting.platform, setting.threads)
    expected = exact(case, arrays)
    programs, errors, reasons = {}, {}, {}
    # In a new order too, for whoever is built first finds the compiler cold.
    for contestant in random.Random(setting.seed).sample(contestants, len(contestants)):  # noqa: S311
        try:
            if task not in contestant.tasks:
                raise NotRun(f"has no {task}")
            program = contestant.build(job)
            results = program.arrays(program.call())
        except ModuleNotFoundError as error:
            reasons[contestant.name] = f"{error.name} is not installed"
        except NotRun as reason:
            reasons[contestant.name] = str(reason)
        except Exception as error:
            # One engine's failure must not end a run of all of them; ours must.
            if contestant.name.startswith("tconvjax"):
                raise
            reasons[contestant.name] = f"failed: {type(error).__name__}: {_first_line(error)}"
        else:
            programs[contestant.name] = program
            errors[contestant.name] = check(job, contestant.name, results, expected)
    times = interleaved(
        programs, setting.rounds, setting.seed, chained=setting.platform == "gpu", after=after
    )
    notes = {contestant.name: contestant.note(case) for contestant in contestants}
    entries = [
        Entry(name, times[name], errors[name], programs[name], note)
        for name, note in notes.items()
        if name in programs
    ]
    return entries, reasons


def check(
    job: Job, name: str, results: Sequence[Numbers], expected: Sequence[Numbers]
) -> tuple[float, ...]:
    """The errors of a contestant's results; raise WrongResult if one is too large."""
    errors = []
    for what, result, wanted in zip(("z", "dy", "dw"), results, expected, strict=False):
        if result.shape != wanted.shape:
            raise WrongResult(
                f"{job.case.name}: {name}'s {what} has shape {result.shape}, not {wanted.shape}"
            )
        error = float(abs(np.asarray(result, np.float64) - wanted).max() / abs(wanted).max())
        if not error <= TOLERANCES[job.dtype]:  # a NaN is no small error
            raise WrongResult(
                f"{job.case.name}: {name}'s {what} is off by {error:.1e} of its largest element; "
                f"the tolerance of {job.dtype} is {TOLERANCES[job.dtype]:.0e}"
            )
        errors.append(error)
    return tuple(errors)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), "")[:200]


# -- the machine -----------------------------------------------------------------------------------


def cores() -> int:
    """The cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not every system tells
        return os.cpu_count() or 1


def machine() -> dict[str, Any]:
    """What a reader needs to know about this computer, and nothing that tells whose it is."""
    return {
        "processor": _processor(),
        "architecture": platform.machine(),
        "cores": cores(),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def versions(contestants: Sequence[Contestant]) -> dict[str, str]:
    """The versions of everything that takes part and is installed."""
    wanted = {"jax", "jaxlib", "numpy"}
    wanted |= {package for contestant in contestants for package in contestant.packages}
    found = {"tconvjax": __version__}
    for package in sorted(wanted):
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown")
