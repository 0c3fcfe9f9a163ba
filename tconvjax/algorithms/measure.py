"""Time the algorithms of a partial on this machine."""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np

from tconvjax.algorithms import records
from tconvjax.algorithms.parts import live
from tconvjax.algorithms.plan import worth_timing
from tconvjax.algorithms.run import run
from tconvjax.layouts import Recipe

Key = TypeVar("Key")

SLOW = 0.5
"""Seconds of a call that is timed once."""

TURN, FEWEST = 0.01, 3
"""Least seconds and calls of a turn."""

ROUNDS = 5
"""Turns of each contestant."""

BEHIND = 2.0
"""A contestant that took so many times as long as the best in the first round is out."""


def measure_candidates(recipe: Recipe, batch: int) -> None:
    """Time each algorithm worth considering; plans follow the times from now on.

    The recipe has the operands' dtype, and the platform of the default backend.
    """
    recipe = live(recipe)
    calls = contestants(recipe, batch, worth_timing(recipe, batch))
    records.remember(recipe, batch, timed(calls, behind=BEHIND))


def contestants(
    recipe: Recipe, batch: int, algorithms: Sequence[str]
) -> dict[str, Callable[[], jax.Array]]:
    """A compiled call of each algorithm, without arguments."""
    from concurrent.futures import ThreadPoolExecutor  # some milliseconds of the import

    shapes = (recipe.shape(role, batch) for role in recipe.roles[:2])
    # Numbers that keep no algorithm from its usual pace.
    drawn = (np.random.default_rng(0).uniform(-4, 4, shape) for shape in shapes)
    a, b = (jnp.asarray(numbers).astype(recipe.dtype) for numbers in drawn)
    named = [functools.partial(run, recipe=replace(recipe, algorithm=n)) for n in algorithms]
    lowered = [jax.jit(one).lower(a, b) for one in named]
    with ThreadPoolExecutor() as pool:
        compiled = pool.map(lambda program: program.compile(), lowered)
    return {n: functools.partial(f, a, b) for n, f in zip(algorithms, compiled, strict=True)}


def timed(
    calls: Mapping[Key, Callable[[], jax.Array]], rounds: int = ROUNDS, behind: float = math.inf
) -> dict[Key, float]:
    """Seconds of each call: the median, over ``rounds`` turns, of the quickest in a turn.

    A call whose best turn took ``behind`` times as long as the best of all is not timed again;
    after the first turn alone, which something else may have disturbed, the square of that.
    """
    for call in calls.values():
        call().block_until_ready()
    times = {key: [_turn(call)] for key, call in calls.items()}
    for n in range(1, rounds):
        least = {key: min(turns) for key, turns in times.items()}
        factor = behind**2 if n == 1 else behind
        most = min(SLOW, factor * min(least.values(), default=0.0))
        for key, call in calls.items():
            if least[key] <= most:
                times[key].append(_turn(call))
    return {key: float(np.median(turns)) for key, turns in times.items()}


def _turn(call: Callable[[], jax.Array]) -> float:
    """Seconds of the quickest of several calls."""
    least, count, end = math.inf, 0, time.perf_counter() + TURN
    while count < FEWEST or time.perf_counter() < end:
        start = time.perf_counter()
        call().block_until_ready()
        least, count = min(least, time.perf_counter() - start), count + 1
        if least > SLOW:
            break
    return least
