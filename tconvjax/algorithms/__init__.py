"""Equal ways to compute the partials of a convolution, and the choice among them.

An algorithm is a function of two operands and a `Recipe`. It computes all three partials, for any
geometry, layout and dtype, and inside of ``shard_map``; `direct.derived` makes it of a forward
convolution alone. To add one, write it in a file of its name and list it in `ALGORITHMS`. In
`plan`, describe it in ``_note`` and say in ``unfit`` where it is out of question. In `costs`, count
its work; ``benchmarks/choice.py --fit`` then measures its lines of ``costs.json``. In `run`, say
what XLA gets wrong about it.

`phases`, `blocks` and `fusion` are no algorithms but what several of them share; `measure` times
algorithms, and `records` keeps the times; `jax2onnx` writes a partial for that converter.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tconvjax.algorithms.direct import direct
from tconvjax.algorithms.patches import patches
from tconvjax.algorithms.polyphase import polyphase
from tconvjax.algorithms.taps import taps
from tconvjax.layouts import Algorithm

ALGORITHMS: Mapping[str, Algorithm] = MappingProxyType(
    {"direct": direct, "patches": patches, "polyphase": polyphase, "taps": taps}
)
"""The algorithms by name."""

__all__ = ["ALGORITHMS"]
