"""A vocoder by chunks of 1, 10 and 80 frames, with states and by recomputing the receptive field.

``python benchmarks/streaming.py`` takes the vocoder of docs/use/streaming.md. For each size of
chunk it times a step that has its state, and the decoding of the chunk together with the frames on
both sides that its samples depend on; and a signal of 800 frames as a whole and by chunks of 80. It
checks that the samples are those of the whole, times all programs in turns, and writes the medians
to ``results/streaming.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from timing import Program, interleaved

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "streaming.json"
CHUNKS, FRAMES, BLOCK = (1, 10, 80), 800, 80


def page() -> dict[str, Any]:
    """What the examples of the guide define: ``vocoder``, ``weights`` and ``decode``."""
    text = (ROOT / "docs" / "use" / "streaming.md").read_text("utf-8").partition("\nframes = ")[0]
    names: dict[str, Any] = {}
    for block in re.findall(r"```python\n(?!>>>)(.*?)(?:```|\Z)", text, re.S):
        exec(block, names)  # noqa: S102 - the page's own examples
    return names


def program(f: Callable[..., Any], *operands: Any) -> Program:
    """A compiled function and its operands."""
    compiled = jax.jit(f).lower(*operands).compile()
    return Program(lambda: compiled(*operands), jax.block_until_ready, lambda v: [np.asarray(v)])


def programs() -> tuple[dict[str, Program], dict[str, Any]]:
    """Every program by its name, and what the vocoder's streams say of it."""
    names = page()
    vocoder, weights, decode = (names[name] for name in ("vocoder", "weights", "decode"))
    rate = vocoder.given(2 * FRAMES) - vocoder.given(2 * FRAMES - 1)
    beside = -(-vocoder.latency // rate)  # frames that a sample depends on, before and after it
    frames = jax.random.normal(jax.random.key(1), (1, 80, FRAMES), jnp.float32)

    def whole(frames: Any, weights: Any) -> Any:
        return decode(vocoder, frames, *weights)

    def step(state: Any, chunk: Any, weights: Any) -> Any:
        return vocoder.step(state, chunk, *weights)

    fresh = vocoder.init(frames.shape, frames.dtype, *weights)
    steps, flush = jax.jit(step), jax.jit(lambda state, weights: vocoder.flush(state, *weights))

    def streamed() -> Any:
        state, outs = fresh, []
        for chunk in blocks:
            state, out = steps(state, chunk, weights)
            outs.append(out)
        return [*outs, flush(state, weights)]

    blocks = jnp.split(frames, FRAMES // BLOCK, -1)
    found = {
        f"whole {FRAMES}": program(whole, frames, weights),
        f"streamed {FRAMES} by {BLOCK}": Program(streamed, jax.block_until_ready, list),
    }
    expected = np.asarray(found[f"whole {FRAMES}"].call())
    tolerance = 1e-5 * np.abs(expected).max()
    error = np.abs(np.concatenate(streamed(), -1) - expected).max()
    assert error <= tolerance, error
    start = 2 * beside
    state, _ = steps(fresh, frames[..., :start], weights)
    for size in CHUNKS:
        chunk = frames[..., start : start + size]
        found[f"step {size}"] = program(step, state, chunk, weights)
        out = found[f"step {size}"].call()[1]
        first = vocoder.given(start)
        assert np.abs(out - expected[..., first : first + out.shape[-1]]).max() <= tolerance

        def again(frames: Any, weights: Any, size: int = size) -> Any:
            return whole(frames, weights)[..., rate * beside : rate * (beside + size)]

        around = frames[..., start - beside : start + size + beside]
        found[f"recomputed {size}"] = program(again, around, weights)
        out = found[f"recomputed {size}"].call()
        inside = expected[..., rate * start : rate * (start + size)]
        assert np.abs(out - inside).max() <= tolerance
    told = {
        "samples_per_frame": rate,
        "latency_samples": vocoder.latency,
        "frames_beside": beside,
        "relative_error": float(error / np.abs(expected).max()),
    }
    return found, told


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    found, told = programs()
    times = interleaved(found, rounds, 0)
    rows = []
    for name, time in times.items():
        frames = int(name.split()[1])
        low, high = time.quartiles
        rows.append({
            "program": name, "frames": frames, "median_ms": round(1e3 * time.median, 3),
            "quartiles_ms": [round(1e3 * low, 3), round(1e3 * high, 3)],
            "frames_per_s": round(frames / time.median),
        })  # fmt: skip
        print("{program:20} {median_ms:9.3f} ms {frames_per_s:7} frames/s".format(**rows[-1]))
    told |= {"jax": jax.__version__, "cpus": os.cpu_count(), "load_average": os.getloadavg()[1]}
    told |= {"rounds": rounds, "rows": rows}
    RESULTS.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
