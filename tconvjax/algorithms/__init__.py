"""Equal ways to compute the partials of a convolution, and the choice among them.

An algorithm is a function of two operands and a `Recipe`. It computes all three partials, for any
geometry, layout and dtype, and inside of ``shard_map``. To add one, write it in a file of its name
and list it in `ALGORITHMS`. `plan` says when it pays and what it costs; `run` says what XLA's
partitioner gets wrong about it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import jax

from tconvjax.algorithms.direct import direct
from tconvjax.algorithms.patches import patches
from tconvjax.algorithms.polyphase import polyphase
from tconvjax.algorithms.taps import taps
from tconvjax.layouts import Recipe

Algorithm: TypeAlias = Callable[[jax.Array, jax.Array, Recipe], jax.Array]

ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {"direct": direct, "patches": patches, "polyphase": polyphase, "taps": taps}
)
"""The algorithms by name."""

__all__ = ["ALGORITHMS"]
