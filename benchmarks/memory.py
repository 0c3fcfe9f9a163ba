"""The peak memory of one contestant's task on one case, in a process that does nothing else.

    python benchmarks/memory.py --case unet_up --contestant "PyTorch, channels last" --task step

Linux with glibc only: the kernel keeps the largest resident set that a process has had (VmHWM), and
sets it back to the present one when 5 is written to /proc/self/clear_refs. The figure is how far
the task raises it above what was resident before: its results and its temporaries, and whatever
else the engine takes to run. It is as honest as this order of events makes it:

1.  Libraries are loaded, the operands made and laid out, and the program compiled or the session
    created. None of that is counted, and neither are packed weights that a session makes then.
2.  The same layer with few channels and pixels is built and run by the same contestant, so that
    thread stacks and what an engine sets up once are not counted.
3.  Garbage is collected and the allocator gives its free pages back (malloc_trim). Without this,
    what compiling left behind would be used again and hide what the task needs.
4.  From here on each block of 64 KiB or more has pages of its own, which go back when it is freed
    (mallopt). Without this the figure is mostly chance: glibc keeps freed blocks in heaps that
    fragment differently in each run. It is what is held at one time that is wanted.
5.  The mark is set back, and the task runs for the first time, and then CALLS - 1 times more with
    no result held on to, so that what an engine caches in its own pools is counted once. Pages of
    code that were read from files meanwhile are taken off.

The kernel counts pages in batches for each thread, so a figure may be off by a fraction of a MiB.
For JAX the compiler's own figure, temporaries and results, stands beside it.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import gc
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from cases import PARTIALS, Case, Task, chosen
from contest import Contestant, Job, NotRun, Setting
from contestants import add_options, named, setting_of
from timing import Program

from tconvjax.command.arguments import CommandError, number

CALLS = 4
FEW = 4
M_MMAP_THRESHOLD = -3
OWN_PAGES = 64 * 1024
STATUS = Path("/proc/self/status")


def program_of(contestant: Contestant, case: Case, task: Task, setting: Setting) -> Program:
    """The contestant's program; the arrays that it was built from are let go."""
    arrays = case.arrays(setting.seed, setting.dtype)
    return contestant.build(Job(case, task, arrays, setting.platform, setting.threads))


def tiny(case: Case) -> Case:
    """The same layer for one example of few channels and pixels."""
    groups = case.geometry.groups
    channels, width, *kernel = case.w_shape
    some = groups * min(channels // groups, FEW)
    sizes = [min(size, FEW) for size in case.y_shape[2:]]
    return dataclasses.replace(
        case, y_shape=(1, some, *sizes), w_shape=(some, min(width, FEW), *kernel)
    )


def resident(field: str) -> int:
    """VmRSS (all that is resident), RssFile (read from files) or VmHWM (the mark), in bytes."""
    lines = STATUS.read_text(encoding="ascii").splitlines()
    (line,) = (line for line in lines if line.startswith(f"{field}:"))
    return 1024 * int(line.split()[1])


def peak(program: Program) -> int:
    """By how many bytes running a program raises the peak above what is resident now."""
    gc.collect()
    allocator = ctypes.CDLL(None)
    allocator.malloc_trim(0)
    allocator.mallopt(M_MMAP_THRESHOLD, OWN_PAGES)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    before, code = resident("VmRSS"), resident("RssFile")
    for _ in range(CALLS):
        program.wait(program.call())
    return resident("VmHWM") - before - (resident("RssFile") - code)


def measured(contestant: Contestant, case: Case, task: Task, setting: Setting) -> dict[str, object]:
    """The peak, the least there could be, and the compiler's own figure if there is one."""
    program = program_of(contestant, case, task, setting)
    warm = program_of(contestant, tiny(case), task, setting)
    warm.wait(warm.call())
    del warm
    itemsize = 4 if setting.dtype == "float32" else 2
    shapes = (case.x_shape, case.y_shape, case.w_shape)[: PARTIALS[task]]
    results = sum(itemsize * math.prod(shape) for shape in shapes)
    found: dict[str, object] = {"peak_bytes": peak(program), "results_bytes": results}
    if program.bytes is not None:
        found["reserved_bytes"] = program.bytes
    return found


def main(words: Sequence[str] | None = None) -> int:
    """Print the figures as a line of JSON."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0], allow_abbrev=False
    )
    add_options(parser, rounds=1)
    parser.add_argument("--task", choices=("forward", "step"), default="step")
    parser.add_argument("--batch", type=number, default=1, metavar="FACTOR")
    options = parser.parse_args(words)
    try:
        if sys.platform != "linux":
            raise CommandError("the peak is read from Linux's /proc; run this on Linux")
        cases, contestants = chosen(options.case), named(options.contestant)
        if len(cases) != 1 or len(contestants) != 1:
            raise CommandError("give one --case and one --contestant; each has its own process")
        case = cases[0].with_batch(options.batch)
        print(json.dumps(measured(contestants[0], case, options.task, setting_of(options))))
    except (CommandError, NotRun) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
