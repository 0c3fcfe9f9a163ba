"""One training step of a transposed convolution, beside `lax.conv_transpose`: interleaved, medians.

    python benchmarks/training_step.py [--case hifigan_up2] [--rounds 7] [--json out.json]

A step is the output and both gradients of a scalar loss, jitted, float32. The contestants get the
same arrays, and both results are compared with the library's own in float64 before anything is
timed. `lax.conv_transpose` runs in its default layout (channels last), ours in the default and in
that one.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

import tconvjax as tc
from tconvjax.command.cases import Case, cases

Step = Callable[[Any, Any, Any], Any]


def layouts(rank: int) -> tuple[str, str, str]:
    """Channels last, as `lax.conv_transpose` takes it by default."""
    letters = "DHW"[-rank:]
    return (f"N{letters}C", f"{letters}IO", f"N{letters}C")


def step(function: Callable[[Any, Any], Any]) -> Step:
    """Output and gradients of sum(z * ct), which is what a layer inside a network computes."""

    def run(y: Any, w: Any, ct: Any) -> Any:
        z, vjp = jax.vjp(function, y, w)
        return z, *vjp(ct)

    return run


def contestants(case: Case) -> dict[str, tuple[Step, bool]]:
    """Each contestant's step, and whether it takes channels last."""
    names = layouts(case.geometry.rank)

    def ours(y: Any, w: Any) -> Any:
        return tc.conv_transpose(y, w, **case.arguments)

    def ours_last(y: Any, w: Any) -> Any:
        return tc.conv_transpose(y, w, dimension_numbers=names, **case.arguments)

    def lax_last(y: Any, w: Any) -> Any:
        # Its padding is that of the dilated input: span - 1 - low before, span - 1 - high after.
        axes = case.geometry.axes
        pads = [(a.span - 1 - a.low, a.span - 1 - a.high) for a in axes]
        return jax.lax.conv_transpose(
            y, w, case.geometry.stride, pads, case.geometry.dilation,
            dimension_numbers=names, transpose_kernel=True,
        )  # fmt: skip

    found = {"tconvjax": (step(ours), False), "tconvjax, channels last": (step(ours_last), True)}
    if case.geometry.groups == 1:
        found["lax.conv_transpose"] = (step(lax_last), True)
    return found


def last(value: Any, kernel: bool = False) -> Any:
    """An array in the channels-last layouts: (*k, C, O) for a kernel (O, C, *k)."""
    spatial = tuple(range(2, value.ndim))
    return np.transpose(value, (*spatial, 1, 0) if kernel else (0, *spatial, 1))


def first(value: Any, kernel: bool = False) -> Any:
    """The way back from `last`."""
    rank = value.ndim - 2
    order = (rank + 1, rank, *range(rank)) if kernel else (0, rank + 1, *range(1, rank + 1))
    return np.transpose(value, order)


def exact(case: Case, y: Any, w: Any, ct: Any) -> Any:
    """The step in float64."""
    with jax.enable_x64(True):
        plain = step(lambda y, w: tc.conv_transpose(y, w, algorithm="direct", **case.arguments))
        return jax.tree.map(
            np.asarray, jax.jit(plain)(*(np.asarray(v, np.float64) for v in (y, w, ct)))
        )


def compiled(case: Case) -> tuple[dict[str, Callable[[], Any]], dict[str, float]]:
    """Calls that are ready to time, checked, and the seconds that each took to compile."""
    rng = np.random.default_rng(int(time.time()))
    shapes = (case.y_shape, case.w_shape, (case.y_shape[0], *case.geometry.in_shape))
    y, w, ct = (np.asarray(rng.normal(size=s), np.float32) for s in shapes)
    wanted = exact(case, y, w, ct)
    calls, seconds = {}, {}
    for name, (function, is_last) in contestants(case).items():
        arrays = (last(y), last(w, kernel=True), last(ct)) if is_last else (y, w, ct)
        operands = jax.device_put(tuple(map(np.ascontiguousarray, arrays)))
        start = time.perf_counter()
        program = jax.jit(function).lower(*operands).compile()
        seconds[name] = time.perf_counter() - start
        results = [np.asarray(r) for r in program(*operands)]
        if is_last:
            results = [first(r, kernel=n == 2) for n, r in enumerate(results)]
        for result, expected in zip(results, wanted, strict=True):
            error = abs(result - expected).max() / abs(expected).max()
            assert error < 1e-5, f"{case.name}: {name} is off by {error}"
        calls[name] = lambda program=program, operands=operands: jax.block_until_ready(
            program(*operands)
        )
    return calls, seconds


def timed(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, float]:
    """Median milliseconds of each call, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: statistics.median(t) for name, t in times.items()}


def main() -> None:
    """Print medians and ratios, and write them if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--case", nargs="*", default=["hifigan_up2"])
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    table: dict[str, Any] = {
        "jax": jax.__version__,
        "device": f"{jax.devices()[0].device_kind}, {len(jax.devices())} device",
        "machine": platform.machine(),
        "unit": "milliseconds a training step, median",
        "cases": {},
    }
    print(f"jax {jax.__version__} on {table['device']}; milliseconds a training step, medians")
    for case in cases():
        if case.name not in options.case:
            continue
        calls, seconds = compiled(case)
        result = timed(calls, options.rounds)
        table["cases"][case.name] = {"step": result, "compile_s": seconds}
        print(case.name, f"({case.source})")
        for name, ms in result.items():
            ratio = ms / result["tconvjax"]
            print(f"  {name:26}{ms:10.2f} ms {ratio:7.1f} x, compiled in {seconds[name]:.2f} s")
    if options.json:
        options.json.write_text(json.dumps(table, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
