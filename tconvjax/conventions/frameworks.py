"""The frameworks whose layers can be read and written.

To add one, write a file of its name with ``read``, ``write``, a `Framework` and its function. List
the framework here, its kernel in `kernels` and its function in the package, and add it to the
tables of ``docs/use/porting.md`` and to the reference. `tests/conformance/test_peers.py` compares
it with the original. To convert its weights too, `states` needs its names of arrays, and `models` a
way to walk its layers.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tconvjax.conventions.base import Framework
from tconvjax.conventions.equinox import EQUINOX
from tconvjax.conventions.flax import FLAX
from tconvjax.conventions.haiku import HAIKU
from tconvjax.conventions.keras import KERAS
from tconvjax.conventions.lax import LAX
from tconvjax.conventions.onnx import ONNX
from tconvjax.conventions.tconvjax import TCONVJAX
from tconvjax.conventions.tf import TF
from tconvjax.conventions.torch import TORCH

FRAMEWORKS: Mapping[str, Framework] = MappingProxyType(
    {
        framework.name: framework
        for framework in (TCONVJAX, TORCH, KERAS, TF, ONNX, LAX, FLAX, HAIKU, EQUINOX)
    }
)
"""All frameworks by name."""
