"""What `import tconvjax` costs beyond `import jax`: fresh interpreters in turns, medians.

python benchmarks/import_time.py [--rounds 15]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time


def seconds(module: str) -> float:
    """The time that a fresh interpreter takes to import a module, start-up included."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Print both medians and the median of the differences of neighbouring runs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    pairs = [(seconds("jax"), seconds("tconvjax")) for _ in range(rounds + 1)][1:]
    jax, ours = (1e3 * statistics.median(column) for column in zip(*pairs, strict=True))
    extra = 1e3 * statistics.median(b - a for a, b in pairs)
    print(f"import jax {jax:.0f} ms, import tconvjax {ours:.0f} ms, difference {extra:.0f} ms")


if __name__ == "__main__":
    main()
