"""The layers that the benchmarks time, as arrays and arguments."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np

import tconvjax as tc


@dataclass(frozen=True)
class Case:
    """One layer of a published model: y (N, O, *spatial) and w (O, C / groups, *k)."""

    name: str
    source: str
    y_shape: tuple[int, ...]
    w_shape: tuple[int, ...]
    arguments: dict[str, Any]

    @property
    def geometry(self) -> tc.Geometry:
        """The convolution that the layer transposes."""
        return tc.Geometry.of_conv_transpose(self.y_shape, self.w_shape, **self.arguments)

    def arrays(self, seed: int = 0) -> tuple[jax.Array, jax.Array, jax.Array]:
        """x, w and y, normally distributed."""
        rng = np.random.default_rng(seed)
        shapes = ((self.y_shape[0], *self.geometry.in_shape), self.w_shape, self.y_shape)
        x, w, y = (jax.numpy.asarray(rng.normal(size=s), np.float32) for s in shapes)
        return x, w, y


def cases() -> list[Case]:
    """Every case of cases.json."""
    found = json.loads((Path(__file__).parent / "cases.json").read_text())["cases"]
    return [_case(**one) for one in found]


def _case(
    name: str, n: int, c_in: int, c_out: int, spatial: list[int], kernel: int, **rest: Any
) -> Case:
    groups = rest.get("groups", 1)
    source = rest.pop("from")
    w_shape = (c_in, c_out // groups, *(kernel,) * len(spatial))
    return Case(name, source, (n, c_in, *spatial), w_shape, rest)
