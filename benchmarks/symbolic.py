"""What the symbolic matrix of a convolution costs, beside SymPy's own constructors.

    python benchmarks/symbolic.py [--side 64] [--kernel 3] [--rounds 3]

An immutable matrix of SymPy's holds every zero, and a matrix from a function asks for each;
`conv_matrix` builds what is not zero. SymPy's caches are cleared before each call.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable

import sympy
from sympy.core.cache import clear_cache

from tconvjax import Geometry, symbolic

ENTRIES = 2**20
"""Entries up to which the constructors that visit each are timed at all."""


def contestants(side: int, kernel: int) -> dict[str, Callable[[], sympy.Matrix]]:
    """Ways to the same matrix, of an input of side * side elements."""
    geometry = Geometry.of_conv((1, side, side), (1, 1, kernel, kernel))
    out = side - kernel + 1
    w = sympy.symbols(f"w_:{kernel}_:{kernel}")

    def entry(row: int, column: int) -> sympy.Expr:
        (i, k), (j, n) = divmod(int(row), out), divmod(int(column), side)
        t, u = j - i, n - k
        inside = 0 <= t < kernel and 0 <= u < kernel
        return w[kernel * t + u] if inside else sympy.S.Zero

    found: dict[str, Callable[[], sympy.Matrix]] = {
        "conv_matrix": lambda: symbolic.conv_matrix(geometry),
        "conv_matrix, immutable": lambda: symbolic.conv_matrix(geometry).as_immutable(),
    }
    if out**2 * side**2 <= ENTRIES:
        found["sympy.Matrix of a function"] = lambda: sympy.Matrix(out**2, side**2, entry)
        found["sympy.SparseMatrix of a function"] = lambda: sympy.SparseMatrix(
            out**2, side**2, entry
        )
    return found


def main() -> None:
    """Print the median seconds of each way, taken in turns."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--kernel", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    ways = contestants(options.side, options.kernel)
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(options.rounds):
        for name, way in ways.items():
            clear_cache()
            start = time.perf_counter()
            way()
            times[name].append(time.perf_counter() - start)
    print(f"sympy {sympy.__version__}, {options.side}x{options.side} input; seconds, medians")
    for name, seconds in times.items():
        print(f"{name:34}{statistics.median(seconds):8.3f}")


if __name__ == "__main__":
    sys.exit(main())
