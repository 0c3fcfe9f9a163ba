"""The frameworks whose layers can be read and written.

To add one, write a file of its name with ``read``, ``write``, a `Framework` and its function, list
the framework here and its kernel in `kernels`, and add it to the tables of the porting guide. If
its weights are to be converted too, `states` and `models` need its names.
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
