"""A training step of whole models, with the layers of Flax, Haiku and Equinox, and accelerated.

``python benchmarks/acceleration.py`` compiles ``value_and_grad`` of the mean square of each model's
output twice, as it is and with ``tconvjax.accelerate`` around the loss, checks that loss and
gradients agree, and times the two in turns. Times, ratios and what became of each convolution are
written to ``results/acceleration.json``, with a bound for each ratio: the plain step over that of
the model whose transposed convolutions cost nothing.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import equinox as eqx
import haiku as hk
import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

import tconvjax
from tconvjax.acceleration import report

RESULTS = Path(__file__).parent / "results" / "acceleration.json"


@dataclass(frozen=True)
class Layer:
    """One convolution of a model, transposed if ``up``; its padding is "SAME"."""

    inputs: int
    outputs: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    up: bool = False


@dataclass(frozen=True)
class Model:
    """Layers, and how an array (channels last) passes through them."""

    rank: int
    x_shape: tuple[int, ...]
    layers: Sequence[Layer]
    apply: Callable[[Sequence[Callable[[Any], Any]], Any], Any]


# -- the models ------------------------------------------------------------------------------------


def vocoder(frames: int = 32, channels: int = 64, batch: int = 2) -> Model:
    """HiFi-GAN's generator (arXiv:2010.05646), V1 with fewer channels: 256 samples a frame."""
    ups = ((8, 16), (8, 16), (2, 4), (2, 4))
    kernels, dilations = (3, 7, 11), (1, 3, 5)
    layers = [Layer(80, channels, 7)]
    for stride, kernel in ups:
        layers.append(Layer(channels, channels // 2, kernel, stride, up=True))
        channels //= 2
        for k in kernels:
            for d in dilations:
                layers += [Layer(channels, channels, k, dilation=d), Layer(channels, channels, k)]
    layers.append(Layer(channels, 1, 7))

    def apply(parts: Sequence[Callable[[Any], Any]], x: Any) -> Any:
        following = iter(parts)
        x = next(following)(x)
        for _ in ups:
            x = next(following)(jax.nn.leaky_relu(x, 0.1))
            total = jnp.zeros_like(x)
            for _ in kernels:
                branch = x
                for _ in dilations:
                    inner = next(following)(jax.nn.leaky_relu(branch, 0.1))
                    branch = branch + next(following)(jax.nn.leaky_relu(inner, 0.1))
                total = total + branch
            x = total / len(kernels)
        return jnp.tanh(next(following)(jax.nn.leaky_relu(x)))

    return Model(1, (batch, frames, 80), layers, apply)


def unet(size: int = 32, channels: int = 8, depth: int = 3) -> Model:
    """A 3-D U-Net (arXiv:1606.06650): two convolutions a level, halved by stride, raised by 2.

    SiLU stands for ReLU, at whose kink one rounding of the plain model decides on a whole voxel of
    a small level: gradients of float32 are then 0.6 % away from those of float64.
    """
    layers, width = [], 1
    widths = [channels * 2**n for n in range(depth + 1)]
    for n, wide in enumerate(widths):
        layers += [Layer(width, wide, 3, 2 if n else 1), Layer(wide, wide, 3)]
        width = wide
    for wide in reversed(widths[:-1]):
        layers += [Layer(width, wide, 2, 2, up=True), Layer(2 * wide, wide, 3)]
        layers.append(Layer(wide, wide, 3))
        width = wide
    layers.append(Layer(width, 1, 1))

    def apply(parts: Sequence[Callable[[Any], Any]], x: Any) -> Any:
        following = iter(parts)
        levels = []
        for _ in widths:
            for _ in range(2):
                x = jax.nn.silu(next(following)(x))
            levels.append(x)
        for skip in reversed(levels[:-1]):
            x = jnp.concatenate([next(following)(x), skip], axis=-1)
            for _ in range(2):
                x = jax.nn.silu(next(following)(x))
        return next(following)(x)

    return Model(3, (1, size, size, size, 1), layers, apply)


def _chain(widths: Sequence[int], kernel: int, stride: int, rank: int, size: int) -> Model:
    """Transposed convolutions and ReLUs in turns, a tanh at the end."""
    layers = [Layer(a, b, kernel, stride, up=True) for a, b in itertools.pairwise(widths)]

    def apply(parts: Sequence[Callable[[Any], Any]], x: Any) -> Any:
        for part in parts[:-1]:
            x = jax.nn.relu(part(x))
        return jnp.tanh(parts[-1](x))

    return Model(rank, (2, *(size,) * rank, widths[0]), layers, apply)


def wavegan() -> Model:
    """WaveGAN's generator (arXiv:1802.04208), an eighth of its channels: 16384 samples."""
    return _chain((128, 64, 32, 16, 8, 1), 25, 4, 1, 16)


def voxelgan() -> Model:
    """3D-GAN's generator (arXiv:1610.07584), an eighth of its channels: 64 ** 3 voxels from 4."""
    return _chain((64, 32, 16, 8, 1), 4, 2, 3, 4)


def hifigan() -> Model:
    """HiFi-GAN V1 in its own widths, on the segments that it is trained with: 8192 samples."""
    return vocoder(frames=32, channels=512, batch=1)


MODELS: dict[str, Callable[[], Model]] = {
    "vocoder": vocoder, "hifigan": hifigan, "wavegan": wavegan, "unet3d": unet,
    "voxelgan": voxelgan,
}  # fmt: skip


def without_ups(model: Model) -> Model:
    """The same model with copies in place of transposed convolutions, which cost next to nothing.

    No way to compute the transposed convolutions makes the model faster than this.
    """

    def copied(layer: Layer) -> Callable[[Any], Any]:
        def copy(x: Any) -> Any:
            x = x[..., : layer.outputs]
            for axis in range(-1 - model.rank, -1):  # Equinox's layers see no batch
                x = jnp.repeat(x, layer.stride, axis)
            return x

        return copy

    def apply(parts: Sequence[Callable[[Any], Any]], x: Any) -> Any:
        pairs = zip(model.layers, parts, strict=True)
        return model.apply([copied(layer) if layer.up else part for layer, part in pairs], x)

    return replace(model, apply=apply)


# -- the libraries: (parameters, apply) of a model -------------------------------------------------

Program = tuple[Any, Callable[[Any, Any], Any]]


def in_nnx(model: Model) -> Program:
    """Flax NNX's layers."""
    rngs = nnx.Rngs(0)

    def made(layer: Layer) -> nnx.Module:
        sizes = {
            "kernel_size": (layer.kernel,) * model.rank,
            "strides": (layer.stride,) * model.rank,
            "kernel_dilation": (layer.dilation,) * model.rank,
            "rngs": rngs,
        }
        kind = nnx.ConvTranspose if layer.up else nnx.Conv
        return kind(layer.inputs, layer.outputs, **sizes)

    graph, state = nnx.split(nnx.List([made(layer) for layer in model.layers]))
    return state, lambda state, x: model.apply(list(nnx.merge(graph, state)), x)


def in_haiku(model: Model) -> Program:
    """Haiku's layers."""

    def made(layer: Layer) -> hk.Module:
        sizes: dict[str, Any] = {"kernel_shape": layer.kernel, "stride": layer.stride}
        if layer.up:
            return hk.ConvNDTranspose(model.rank, layer.outputs, **sizes)
        return hk.ConvND(model.rank, layer.outputs, rate=layer.dilation, **sizes)

    def forward(x: Any) -> Any:
        return model.apply([made(layer) for layer in model.layers], x)

    transformed = hk.without_apply_rng(hk.transform(forward))
    return transformed.init(jax.random.key(0), jnp.zeros(model.x_shape)), transformed.apply


def in_equinox(model: Model) -> Program:
    """Equinox's layers, which take channels first and no batch."""
    keys = jax.random.split(jax.random.key(0), len(model.layers))

    def made(layer: Layer, key: jax.Array) -> eqx.Module:
        kind = eqx.nn.ConvTranspose if layer.up else eqx.nn.Conv
        padding: Any = "SAME"
        if layer.up:  # Equinox's "SAME" differs; these pads keep the length stride * size
            extra = layer.kernel - layer.stride
            padding = [(extra // 2, extra - extra // 2)] * model.rank
        return kind(
            model.rank, layer.inputs, layer.outputs, layer.kernel, layer.stride, padding,
            dilation=layer.dilation, key=key,
        )  # fmt: skip

    layers = [made(layer, key) for layer, key in zip(model.layers, keys, strict=True)]
    arrays, static = eqx.partition(layers, eqx.is_array)

    def last(layer: Any) -> Callable[[Any], Any]:
        return lambda x: jnp.moveaxis(layer(jnp.moveaxis(x, -1, 0)), 0, -1)

    def forward(arrays: Any, x: Any) -> Any:
        parts = [last(layer) for layer in eqx.combine(arrays, static)]
        return jax.vmap(lambda x: model.apply(parts, x))(x)

    return arrays, forward


LIBRARIES: dict[str, Callable[[Model], Program]] = {
    "flax.nnx": in_nnx, "haiku": in_haiku, "equinox": in_equinox,
}  # fmt: skip


# -- the measurement -------------------------------------------------------------------------------


def assert_equal(plain: Any, fast: Any) -> float:
    """Raise unless loss and gradients agree to rounding; the largest difference of an array.

    In the norm of the array: where an activation has a kink, rounding may decide single elements.
    """
    worst = 0.0
    for one, other in zip(jax.tree.leaves(plain), jax.tree.leaves(fast), strict=True):
        size = float(np.linalg.norm(np.asarray(one)))
        worst = max(worst, float(np.linalg.norm(np.asarray(one) - np.asarray(other))) / size)
    assert worst < 1e-2, worst
    return worst


def timed(steps: Sequence[Callable[[], Any]], seconds: float) -> list[float]:
    """Median seconds of each step, taken in turns."""
    times: list[list[float]] = [[] for _ in steps]
    start = time.perf_counter()
    while len(times[0]) < 5 or time.perf_counter() - start < seconds:
        for step, found in zip(steps, times, strict=True):
            before = time.perf_counter()
            jax.block_until_ready(step())
            found.append(time.perf_counter() - before)
    return [statistics.median(found) for found in times]


def step_of(model: Model, library: str, fast: bool = False) -> Callable[[], Any]:
    """A compiled training step of a model by one library, with its weights."""
    weights, forward = LIBRARIES[library](model)
    x = jax.random.normal(jax.random.key(1), model.x_shape)

    def loss(weights: Any) -> Any:
        return (forward(weights, x) ** 2).mean()

    step = jax.jit(jax.value_and_grad(tconvjax.accelerate(loss) if fast else loss))
    return lambda: step(weights)


def fate(model: Model, library: str) -> dict[str, int]:
    """How many convolutions of a model become what."""
    weights, forward = LIBRARIES[library](model)
    found = report(forward, weights, jnp.zeros(model.x_shape)).convolutions
    return dict(Counter(f"{one.partial} {one.algorithm}" if one.partial else "itself"
                        for one in found))  # fmt: skip


def measured(name: str, library: str, seconds: float) -> dict[str, Any]:
    """One model by one library."""
    model = MODELS[name]()
    steps = [step_of(model, library), step_of(model, library, fast=True),
             step_of(without_ups(model), library)]  # fmt: skip
    first_calls = []
    for step in steps:
        start = time.perf_counter()
        jax.block_until_ready(step())
        first_calls.append(round(time.perf_counter() - start, 1))
    difference = assert_equal(steps[0](), steps[1]())
    before, after, rest = timed(steps, seconds)
    return {
        "model": name, "library": library, "plain_ms": round(1e3 * before, 2),
        "accelerated_ms": round(1e3 * after, 2), "without_ups_ms": round(1e3 * rest, 2),
        "ratio": round(before / after, 2), "bound": round(before / rest, 2),
        "difference": float(f"{difference:.1e}"), "first_call_s": first_calls[:2],
        "convolutions": fate(model, library),
    }  # fmt: skip


def main(models: Sequence[str], seconds: float) -> None:
    """Measure, print and write."""
    rows = []
    for name in models:
        for library in LIBRARIES:
            rows.append(measured(name, library, seconds))
            print(json.dumps(rows[-1]), flush=True)
            found = {"jax": jax.__version__, "backend": jax.default_backend(), "rows": rows}
            RESULTS.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=list(MODELS))
    parser.add_argument("--seconds", type=float, default=10, help="of timing for each row")
    given = parser.parse_args()
    main(given.models, given.seconds)
