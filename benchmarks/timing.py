"""Programs timed in turns, so that what disturbs the machine disturbs all of them alike."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cases import Numbers

FILL = 0.010
"""Seconds of calls that are timed in a turn, and of calls before them that are not."""
MOST_CALLS = 50
ENOUGH_SECONDS = 6.0
"""A program that has run this long in FEWEST_TURNS turns or more sits out the other rounds."""
FEWEST_TURNS = 3
LONGEST_WAIT = 0.25
"""Seconds to wait for an engine's threads to stop spinning."""


@dataclass(frozen=True)
class Program:
    """One task of one case as one contestant does it, ready to be called.

    Args:
        call: starts the work and returns something that holds its results.
        wait: returns once the results of a call are there.
        arrays: the results as NumPy arrays, channels first: z, or z, dy and dw.
        trace_s: seconds that building the program took before its compiler had it.
        compile_s: seconds in its compiler; 0 where there is none.
        bytes: the compiler's own word for temporaries and results, or None.
    """

    call: Callable[[], Any]
    wait: Callable[[Any], object]
    arrays: Callable[[Any], list[Numbers]]
    trace_s: float = 0.0
    compile_s: float = 0.0
    bytes: int | None = None


@dataclass(frozen=True)
class Times:
    """What the turns of one program took.

    Args:
        turns: seconds a call, one number for each turn.
    """

    turns: tuple[float, ...]

    @property
    def median(self) -> float:
        """Seconds a call: the median over the turns."""
        return statistics.median(self.turns)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Half of the turns lie between these."""
        if len(self.turns) < 2:
            return self.turns[0], self.turns[0]
        low, _, high = statistics.quantiles(self.turns, n=4, method="inclusive")
        return low, high


def interleaved(
    programs: Mapping[str, Program], rounds: int, seed: int, *, chained: bool = False,
    after: Callable[[str], object] = lambda _: None,
) -> dict[str, Times]:  # fmt: skip
    """Time programs in rounds; in each round every program has a turn, in a new order.

    Args:
        programs: by name.
        rounds: turns of each program.
        seed: of the orders.
        chained: wait once a turn and not after each call, as it is done where calls are launched
            onto a device of their own.
        after: called with a program's name after its turn.

    Returns:
        The times of each program.
    """
    draw = random.Random(seed)  # noqa: S311 - an order, no secret
    turns: dict[str, list[float]] = {name: [] for name in programs}
    spent = dict.fromkeys(programs, 0.0)
    for _ in range(rounds):
        for name in draw.sample(list(programs), len(programs)):
            if spent[name] < ENOUGH_SECONDS or len(turns[name]) < FEWEST_TURNS:
                settle()
                start = time.perf_counter()
                turns[name].append(_turn(programs[name], chained))
                spent[name] += time.perf_counter() - start
            after(name)
    return {name: Times(tuple(seconds)) for name, seconds in turns.items()}


def settle() -> None:
    """Wait until no thread of this process is busy.

    The workers of some engines keep looking for work for a while after a call, PyTorch's for 10 ms
    and ONNX Runtime's for 40, and so take a core from whoever has the next turn. To switch that
    off would slow their own calls; to wait costs nobody anything.
    """
    end = time.perf_counter() + LONGEST_WAIT
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(0.006)  # the clock of a thread that is running advances every 4 ms only
        if time.process_time() - before < 0.001:
            return


def _turn(program: Program, chained: bool) -> float:
    """Untimed calls, then as many as fill the turn: the seconds of the quickest.

    After a pause the scheduler of a virtual machine may leave both threads of a program on one
    core for some calls; which programs it hits, and how often, is chance.
    """
    # What a call returns is let go before the next one, or two results would be held at once.
    each = min(_calls(program))
    if chained:
        count = min(max(int(FILL / each), 1), MOST_CALLS)
        start = time.perf_counter()
        for _ in range(count - 1):
            program.call()
        program.wait(program.call())
        return (time.perf_counter() - start) / count
    return min(_calls(program))


def _calls(program: Program) -> list[float]:
    """The seconds of each of as many calls as fill a turn, one at the least."""
    times: list[float] = []
    end = time.perf_counter() + FILL
    while not times or (len(times) < MOST_CALLS and time.perf_counter() < end):
        start = time.perf_counter()
        program.wait(program.call())
        times.append(time.perf_counter() - start)
    return times
