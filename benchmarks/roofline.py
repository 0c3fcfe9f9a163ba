"""What this machine can do at best: its rate of products and its memory's bandwidth.

Williams, Waterman and Patterson, doi:10.1145/1498765.1498785: work takes at least
max(flops / rate, bytes / bandwidth). Arrays that stay in a cache may beat the second bound, and a
form that leaves out what the padding cuts off the first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from cases import Case, Task

REPEATS = 5
SIDES = {"cpu": 2048, "gpu": 8192}
"""Rows and columns of the matrices."""
LENGTHS = {"cpu": 2**26, "gpu": 2**28}
"""Elements of the arrays that are added, far more than any cache holds."""


@dataclass(frozen=True)
class Roofline:
    """The two rates of a machine.

    Args:
        flops: floating-point operations a second of a matrix product.
        bandwidth: bytes a second of a + 2 b on long arrays.
        itemsize: bytes of an element.
    """

    flops: float
    bandwidth: float
    itemsize: int = 4

    def seconds(self, case: Case, task: Task) -> float:
        """The least time for a task of a case."""
        compute = case.flops(task) / self.flops
        return max(compute, case.bytes(task, self.itemsize) / self.bandwidth)


def measured(dtype: str = "float32", platform: str = "cpu") -> Roofline:
    """Measure both rates with JAX.

    Args:
        dtype: of the elements.
        platform: "cpu" or "gpu", which decides the sizes.

    Returns:
        The best of several repeats of each.
    """
    side, length = SIDES[platform], LENGTHS[platform]
    # Random, since products of round numbers draw less power, and may run at a higher clock.
    a = jax.random.normal(jax.random.key(0), (side, side), dtype)
    product = jax.jit(jnp.matmul)
    seconds = best(lambda: product(a, a).block_until_ready())
    # The sum goes where a was: fresh pages would be counted as bandwidth otherwise.
    triad = jax.jit(lambda a, b: a + 2 * b, donate_argnums=0)
    held: list[Any] = [jnp.ones(length, dtype)]
    b = jnp.ones(length, dtype)

    def add() -> None:
        held[0] = triad(held[0], b).block_until_ready()

    itemsize = a.dtype.itemsize
    return Roofline(2 * side**3 / seconds, 3 * length * itemsize / best(add), itemsize)


def best(run: Callable[[], object]) -> float:
    """The shortest of several runs, after one that is not timed, in seconds."""
    run()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)
