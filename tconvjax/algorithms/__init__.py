"""Equal ways to compute the partials of a convolution, and the choice among them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TypeAlias

import jax

from tconvjax.algorithms.convolutions import direct, polyphase
from tconvjax.algorithms.elementwise import taps
from tconvjax.algorithms.product import patches
from tconvjax.algorithms.selection import Candidate, Plan, check_choice, plan, select_algorithm
from tconvjax.forward import Partial, Precision, Specs
from tconvjax.geometry import Geometry

Algorithm: TypeAlias = Callable[
    [Partial, jax.Array, jax.Array, Geometry, Specs, Precision], jax.Array
]

ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {"direct": direct, "patches": patches, "polyphase": polyphase, "taps": taps}
)
"""The algorithms by name."""

__all__ = [
    "ALGORITHMS",
    "Algorithm",
    "Candidate",
    "Plan",
    "check_choice",
    "plan",
    "select_algorithm",
]
