"""Multiply out PyTorch's reparametrised weights: weight norm, spectral norm and pruning.

Products and sums are computed in float64, and the weight is rounded once, to its stored dtype.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tconvjax.errors import array_of, fail


def multiplied_out(path: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """The arrays of one layer by name, with every reparametrised weight multiplied out.

    Names below a layer's ``parametrizations`` are dotted, such as "weight.original0".
    """
    arrays = dict(arrays)
    for suffixes, multiply in _FORMS.items():
        for name in [name for name in arrays if name.endswith(suffixes[0])]:
            weight = name.removesuffix(suffixes[0])
            parts = [weight + suffix for suffix in suffixes]
            if _is_weight(weight) and all(part in arrays for part in parts):
                values = [arrays[part] for part in parts]
                product = multiply(*(value.astype(np.float64) for value in values))
                if product is not None:
                    for part in parts:
                        del arrays[part]
                    arrays[weight] = product.astype(max(values, key=np.size).dtype)
    for name, array in arrays.items():
        weight = name.partition(".")[0] if "." in name else name.rpartition("_")[0]
        if "." in name or (name.removeprefix(weight) in _PARTS and _is_weight(weight)):
            fail(
                f"{path}.{name}",
                array_of(array.shape),
                "it is part of a reparametrisation other than a complete weight norm, spectral "
                "norm or pruning",
                "remove it in PyTorch (torch.nn.utils.parametrize.remove_parametrizations(layer, "
                f"{weight!r})) and save the weights again",
            )
    return arrays


def _is_weight(name: str) -> bool:
    return "weight" in name or name == "bias"


def _weight_norm(g: Any, v: Any) -> Any:
    """Compute g * v / |v|, with |v| over the axes along which g has size 1."""
    g = g.reshape((1,) * v.ndim) if g.size == 1 else g
    if g.ndim != v.ndim or any(
        one not in (1, size) for one, size in zip(g.shape, v.shape, strict=True)
    ):
        return None
    axes = tuple(n for n, size in enumerate(g.shape) if size == 1)
    return g * (v / np.sqrt(np.sum(np.square(v), axis=axes, keepdims=True)))


def _spectral_norm(w: Any, u: Any, v: Any) -> Any:
    """Compute w / (u . W v), where W is w as a matrix with its outputs for rows.

    A state dict does not say whether the outputs are the first or the second axis. For the right
    axis W v is a multiple of u, because each training step ends with u = W v / |W v|.
    """
    found = []
    for axis in range(min(w.ndim, 2)):
        matrix = np.moveaxis(w, axis, 0).reshape(w.shape[axis], -1)
        if matrix.shape == (u.size, v.size):
            product = matrix @ v
            found.append((float(np.linalg.norm(product - (u @ product) * u)), float(u @ product)))
    return w / min(found)[1] if found else None


def _pruned(w: Any, mask: Any) -> Any:
    return w * mask if w.shape == mask.shape else None


_FORMS: Mapping[tuple[str, ...], Callable[..., Any]] = {
    ("_g", "_v"): _weight_norm,
    (".original0", ".original1"): _weight_norm,
    ("_orig", "_u", "_v"): _spectral_norm,
    (".original", ".0._u", ".0._v"): _spectral_norm,
    ("_orig", "_mask"): _pruned,
}
"""Functions by the name suffixes of their operands; dotted suffixes are PyTorch's since 2.0."""
_PARTS = frozenset(itertools.chain(*_FORMS))
