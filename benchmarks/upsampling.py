"""`upsample`, `max_unpool`, `unfold` and `fold` beside ``jax.image.resize`` and PyTorch.

``python benchmarks/upsampling.py`` checks that results agree, times all contestants in turns and
writes medians and ratios to ``results/upsampling.json``.
"""

from __future__ import annotations

import argparse
import functools
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch

from tconvjax import upsampling

RESULTS = Path(__file__).parent / "results" / "upsampling.json"
IMAGES = ((4, 64, 32, 32), (1, 64, 128, 128), (1, 3, 512, 512))
functional = torch.nn.functional

Contestants = dict[str, Callable[[], Any]]


def interpolated(shape: tuple[int, ...], factor: int, method: str) -> Contestants:
    """Enlarge an image."""
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    size = (*shape[:2], *(factor * n for n in shape[2:]))
    given, tensor = jnp.asarray(x), torch.tensor(x)
    mode = {"linear": "bilinear", "nearest": "nearest-exact"}.get(method, method)
    ours = jax.jit(functools.partial(upsampling.upsample, factor=factor, method=method))
    found: Contestants = {"tconvjax": lambda: ours(given)}
    if method != "cubic":  # PyTorch's is the other one
        found["PyTorch"] = lambda: functional.interpolate(tensor, scale_factor=factor, mode=mode)
    if method != "bicubic":
        theirs = jax.jit(lambda x: jax.image.resize(x, size, method))
        found["jax.image.resize"] = lambda: theirs(given)
    return found


def unpooled(shape: tuple[int, ...], kernel: int) -> Contestants:
    """Put maxima back."""
    x = torch.randn(shape[0], shape[1], *(kernel * n for n in shape[2:]))
    y, indices = functional.max_pool2d(x, kernel, return_indices=True)
    ours = jax.jit(functools.partial(upsampling.max_unpool, kernel_size=kernel))
    given = jnp.asarray(y.numpy()), jnp.asarray(indices.numpy().astype(np.int32))
    return {
        "tconvjax": lambda: ours(*given),
        "PyTorch": lambda: functional.max_unpool2d(y, indices, kernel),
    }


def folded(
    shape: tuple[int, ...], kernel: int, stride: int, padding: int, back: bool
) -> Contestants:
    """Windows to columns, or columns to an image."""
    x = torch.randn(*shape)
    columns = functional.unfold(x, kernel, padding=padding, stride=stride)
    steps: dict[str, Any] = {"padding": padding, "stride": stride}
    if back:
        size = shape[2:]
        fold = jax.jit(lambda c: upsampling.fold(c, size, kernel, **steps))
        given = jnp.asarray(columns.numpy())
        return {"tconvjax": lambda: fold(given),
                "PyTorch": lambda: functional.fold(columns, size, kernel, **steps)}  # fmt: skip
    unfold = jax.jit(lambda x: upsampling.unfold(x, kernel, **steps))
    image = jnp.asarray(x.numpy())
    return {"tconvjax": lambda: unfold(image),
            "PyTorch": lambda: functional.unfold(x, kernel, **steps)}  # fmt: skip


def cases() -> dict[str, Contestants]:
    """What is measured, by name."""
    found: dict[str, Contestants] = {}
    for shape in IMAGES:
        name = "x".join(map(str, shape))
        for method in ("nearest", "linear", "cubic", "bicubic"):
            for factor in (2, 4):
                if factor * shape[-1] <= 1024:
                    case = f"upsample {method} by {factor}, {name}"
                    found[case] = interpolated(shape, factor, method)
        found[f"max_unpool by 2, {name}"] = unpooled(shape, 2)
        for kernel, stride, padding in ((3, 1, 1), (4, 2, 1), (2, 2, 0), (5, 1, 2)):
            words = f"kernel {kernel}, stride {stride}, {name}"
            found[f"unfold {words}"] = folded(shape, kernel, stride, padding, back=False)
            found[f"fold {words}"] = folded(shape, kernel, stride, padding, back=True)
    return found


def measured(contestants: Contestants, rounds: int) -> dict[str, float]:
    """Median milliseconds of each, taken in turns; results must agree."""
    results = {name: np.asarray(run()) for name, run in contestants.items()}
    for result in results.values():
        np.testing.assert_allclose(result, results["tconvjax"], atol=1e-4)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            start = time.perf_counter()
            jax.block_until_ready(run())
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: round(statistics.median(found), 3) for name, found in times.items()}


def main(rounds: int, only: str) -> None:
    """Measure, print and write."""
    torch.set_num_threads(2)
    rows: dict[str, Any] = {}
    for name, contestants in cases().items():
        if only not in name:
            continue
        found = measured(contestants, rounds)
        others = [ms for who, ms in found.items() if who != "tconvjax"]
        rows[name] = {"ms": found, "ratio": round(min(others) / found["tconvjax"], 2)}
        print(name, json.dumps(rows[name]), flush=True)
    kinds: dict[str, list[float]] = {}
    for name, row in rows.items():
        words = name.replace(",", "").split()
        kinds.setdefault(" ".join(words[: 1 + (words[0] == "upsample")]), []).append(row["ratio"])
    medians = {kind: statistics.median(found) for kind, found in kinds.items()}
    print(medians)
    versions = {"jax": jax.__version__, "torch": torch.__version__}
    text = json.dumps({"versions": versions, "by_kind": medians, "cases": rows}, indent=1)
    if not only:
        RESULTS.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--only", default="", help="cases whose name has this")
    given = parser.parse_args()
    main(given.rounds, given.only)
