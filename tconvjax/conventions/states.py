"""Convert the weights of whole models: names, shapes and trees of one framework to another's.

A tree is read into layers, each with a dotted path, a kind and arrays by name. The kind determines
which names the target has for the arrays, and how it lays them out. Arrays alone do not show which
kernels are transposed, so this information comes from a model or from patterns of paths.
"""

from __future__ import annotations

import itertools
import os
import pickle
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias

import jax
import numpy as np

from tconvjax.arguments import choice
from tconvjax.conventions.kernels import convert_kernel, numbers
from tconvjax.conventions.models import LayerKind, by_path, check_used, named
from tconvjax.errors import Described, GeometryError, array_of, fail, kind_of, meant

Kinds: TypeAlias = Mapping[str, str | LayerKind] | object
"""Kinds by glob patterns of layer paths, or a model with the same layers."""
Rename: TypeAlias = Mapping[str, str] | Callable[[str], str] | None
Layers: TypeAlias = dict[str, dict[str, Any]]
"""Arrays by layer path and name."""

TREES = ("torch", "flax", "equinox", "keras", "haiku")
"""Frameworks whose trees are read and written."""
_LAST = ("flax", "keras", "haiku")
"""Those that keep a weight as (*kernel_size, in, out) instead of (out, in, *kernel_size)."""
_FILES = dict.fromkeys((".pt", ".pth", ".bin"), "torch")
_FILES |= {".safetensors": "safetensors", ".npz": "numpy"}
"""Endings of files of weights, and the packages that read them."""


def _names(*names: str) -> dict[str, str]:
    """One name for each framework, by its place in `TREES`; only the last may be left out."""
    return dict(zip(TREES, names, strict=False))


_WEIGHT = _names("weight", "kernel", "weight", "kernel", "w")
_BIAS = _names("bias", "bias", "bias", "bias", "b")
LEAVES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "conv_transpose": {"weight": _WEIGHT, "bias": _BIAS},
    "conv": {"weight": _WEIGHT, "bias": _BIAS},
    "linear": {"weight": _WEIGHT, "bias": _BIAS},
    "embedding": {"weight": _names("weight", "embedding", "weight", "embeddings", "embeddings")},
    "norm": {
        "weight": _names("weight", "scale", "weight", "gamma", "scale"),
        "bias": _names("bias", "bias", "bias", "beta", "offset"),
        "running_mean": _names("running_mean", "mean", "running_mean", "moving_mean"),
        "running_var": _names("running_var", "var", "running_var", "moving_variance"),
    },
    "other": {},
}
"""For each kind of layer, the name of each of PyTorch's arrays in every framework."""


def convert_state_dict(
    state: Any, source: str, target: str, *, kinds: Kinds | None = None, rename: Rename = None
) -> dict[str, Any]:
    """Convert the weights of a whole model to another framework's names and layouts.

    Convolutions, transposed convolutions, linear layers, embeddings and norms get the target's
    names and layouts; any other array keeps its name and shape. PyTorch's weight norms, spectral
    norms and pruned weights are multiplied out in float64 and rounded once, 16-bit ones to float32.
    `load_into` puts the result into a model and checks that it fits.

    Args:
        state: a PyTorch model or its ``state_dict()``; Flax NNX's state or pure dict, or linen's
            variables with their collections "params" and "batch_stats"; an Equinox module, or
            arrays by dotted path; a Keras model, or arrays by variable path; Haiku's parameters; or
            the path of a file, for `read_state`. Tensors are read as NumPy arrays.
        source: framework of ``state``: "torch", "flax", "equinox", "keras" or "haiku".
        target: framework of the result, one of the same names.
        kinds: the kinds of the layers: a model of either framework with the same layers, or glob
            patterns of layer paths, each with a kind ("conv_transpose", "conv", "linear",
            "embedding", "norm", "other") or a `LayerKind`, which also has groups. For example
            ``{"ups.*": "conv_transpose"}``. By default the number of axes of a weight decides:
            three and more for a convolution, two for a linear layer, one for a norm. A pattern that
            matches no layer is refused.
        rename: from the source's layer paths to the target's: a mapping of those that differ, or a
            function of all of them. Paths are dotted, for example "ups.0".

    Returns:
        PyTorch: arrays by name; Flax: nested dictionaries; Equinox: arrays by dotted path; Keras:
        arrays by variable path; Haiku: parameters.

    Raises:
        GeometryError: if the target has no place for an array, two layers get one path, or a weight
            has an unknown reparametrisation.

    Examples:
        >>> state = {"up.weight": np.zeros((2, 3, 4)), "up.bias": np.zeros(3)}
        >>> tree = convert_state_dict(state, "torch", "flax", kinds={"up": "conv_transpose"})
        >>> {name: array.shape for name, array in tree["up"].items()}
        {'kernel': (4, 2, 3), 'bias': (3,)}

    For ``nnx.ConvTranspose(..., transpose_kernel=True)`` give the model, or a `LayerKind`
    ("conv_transpose", layout="flax_transpose_kernel").
    """
    choice("source", source, TREES)
    choice("target", target, TREES)
    layers, patterns = read_layers(state, source), by_path(kinds)
    paths = renamed(rename, layers)
    check_used(kinds, [*layers, *paths.values()])
    written: Layers = {}
    for path, arrays in layers.items():
        kind = named(patterns, path, paths[path]) or guess(arrays, source)
        written[paths[path]] = laid_out(path, arrays, kind, source, target)
    return _tree(written, target)


# -- reading ---------------------------------------------------------------------------------------


def read_layers(state: Any, source: str) -> Layers:
    """Arrays by layer path and name, linen's collections as one, reparametrisations multiplied."""
    layers = _by_layer(read_state(state) if isinstance(state, str | os.PathLike) else state)
    if source == "flax" and isinstance(state, Mapping) and "params" in state:
        merged: Layers = {}
        for path, arrays in layers.items():  # whose first step is one of linen's collections
            merged.setdefault(path.partition(".")[2], {}).update(arrays)
        return merged
    if source == "torch":
        return {path: _multiplied_out(path, arrays) for path, arrays in layers.items()}
    return layers


def read_state(file: str | os.PathLike[str]) -> Any:
    """Read a file of weights without running code from it.

    Args:
        file: path of a PyTorch file (``.pt``, ``.pth``, ``.bin``), read by
            ``torch.load(weights_only=True)``, of a ``.safetensors`` or of a ``.npz`` file.

    Returns:
        What the file holds: arrays by name, or for PyTorch any tree of them.

    Raises:
        GeometryError: if the name has another ending, the library that reads it is not installed,
            or PyTorch refuses the file.

    Examples:
        >>> import tempfile
        >>> path = f"{tempfile.mkdtemp()}/weights.npz"
        >>> np.savez(path, up=np.ones((2, 3)))
        >>> read_state(path)["up"].shape
        (2, 3)
    """
    if not isinstance(file, str | os.PathLike):
        fail("file", kind_of(file), "it must be the path of a file", "give a str or a Path")
    path = Path(file)
    package = _FILES[choice("file", path.suffix, tuple(_FILES))]
    try:
        if package == "torch":
            import torch

            return torch.load(path, map_location="cpu", weights_only=True)
        if package == "safetensors":
            from safetensors.numpy import load_file

            return load_file(path)
    except ImportError:
        fail("file", str(file), f"{package} reads it", f"pip install {package}, or write .npz")
    except pickle.UnpicklingError:
        rule = "PyTorch reads arrays only from it, and it holds other objects"
        fail("file", str(file), rule, "save model.state_dict() in PyTorch")
    with np.load(path) as arrays:
        return dict(arrays)


def _by_layer(state: Any) -> Layers:
    """Arrays by layer path and name, from any tree."""
    if hasattr(state, "state_dict"):  # a PyTorch model
        state = state.state_dict()
    if hasattr(state, "weights") and hasattr(state, "get_weights"):  # a Keras model
        start = f"{state.name}/"
        state = {variable.path.removeprefix(start): variable for variable in state.weights}
    if isinstance(state, Mapping):
        leaves = list(_mapped(state, ""))
    else:  # a module; its leaves that are not arrays are functions and settings
        every = jax.tree_util.tree_leaves_with_path(state)
        leaves = [(dotted(path), leaf) for path, leaf in every if hasattr(leaf, "shape")]
    if not leaves:
        remedy = "give a state dict, a tree of arrays or a model"
        fail("state", kind_of(state), "there is no array in it", remedy)
    layers: Layers = {}
    for path, leaf in leaves:
        *layer, name = path.replace("/", ".").split(".")
        if "parametrizations" in layer:  # PyTorch's, since 2.0
            at = layer.index("parametrizations")
            layer, name = layer[:at], ".".join([*layer[at + 1 :], name])
        if "rngs" not in layer:  # the keys of NNX's random streams are not weights
            array = numbers(path or "state", leaf, "leave it out")
            layers.setdefault(".".join(layer), {})[name] = array
    return layers


def _mapped(tree: Mapping[Any, Any], before: str) -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings, in their order, which jax.tree would sort."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _mapped(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def dotted(path: Any) -> str:
    """A path of jax.tree_util as text."""
    return jax.tree_util.keystr(path, simple=True, separator=".")


def renamed(rename: Rename, paths: Layers) -> dict[str, str]:
    """The target's path of every layer, by the source's."""
    if rename is not None and not isinstance(rename, Mapping) and not callable(rename):
        fail("rename", rename, "it must be a mapping or a function of paths", "give a dictionary")
    if isinstance(rename, Mapping):
        for path in rename:
            if path not in paths:
                remedy = meant(path, paths, f"the layers are {', '.join(list(paths)[:8])}")
                fail("rename", path, "no layer has that path", remedy)
    renamed: dict[str, str] = {}
    for path in paths:
        new: Any = rename(path) if callable(rename) else (rename or {}).get(path, path)
        found = Described(f"{path!r} to {new!r}")
        if not isinstance(new, str):
            fail("rename", found, "a path is a string", "give one")
        if new in renamed.values():
            fail("rename", found, "another layer has that path", "give every layer its own")
        renamed[path] = new
    return renamed


def guess(arrays: Mapping[str, Any], source: str) -> LayerKind:
    """The kind of a layer that no pattern names, from its arrays."""
    for kind in ("norm", "embedding"):
        distinct = {names.get(source) for names in LEAVES[kind].values()}
        if (distinct - {_WEIGHT[source], _BIAS[source]}) & arrays.keys():
            return LayerKind(kind)
    weight = arrays.get(_WEIGHT[source])
    guess = {0: "other", 1: "norm" if source in ("torch", "equinox") else "other", 2: "linear"}
    return LayerKind(guess.get(0 if weight is None else weight.ndim, "conv"))


# -- writing ---------------------------------------------------------------------------------------


def laid_out(
    path: str, arrays: Mapping[str, Any], kind: LayerKind, source: str, target: str
) -> dict[str, Any]:
    """The arrays of a layer under the target's names and in its layouts."""
    leaves = {names[source]: leaf for leaf, names in LEAVES[kind.kind].items() if source in names}
    weight = arrays.get(_WEIGHT[source])
    rank = 0 if weight is None else weight.ndim - 2
    written = {}
    for name, array in arrays.items():
        leaf = leaves.get(name)
        if leaf is None:
            written[name] = array
            continue
        names = LEAVES[kind.kind][leaf]
        if target not in names:
            rule = f"{target} keeps it outside its parameters"
            fail(path, Described(leaf), rule, "set it in the model's state by hand")
        try:
            written[names[target]] = _converted(array, leaf, kind, source, target, rank)
        except GeometryError as error:
            raise GeometryError(f"{path}.{name}: {error}") from None
    written.pop("num_batches_tracked", None)
    if target == "torch" and "running_mean" in written:
        written["num_batches_tracked"] = np.zeros((), np.int64)
    return written


def _converted(array: Any, leaf: str, kind: LayerKind, source: str, target: str, rank: int) -> Any:
    """An array of a layer with ``rank`` spatial axes in the target's layout."""
    sort = kind.kind
    if leaf == "bias":
        axes = rank if target == "equinox" and sort in ("conv", "conv_transpose") else 0
        return array.reshape(-1, *[1] * axes)
    if leaf != "weight" or sort == "norm":
        return array
    if sort == "conv_transpose":
        layouts = (_layout(kind, framework) for framework in (source, target))
        return convert_kernel(array, *layouts, groups=kind.groups)
    if array.ndim not in (range(3, 33) if sort == "conv" else (2,)):
        found = Described(f"{sort!r} for an array of shape {array.shape}")
        rule = "the weight of a linear layer or an embedding has two axes, "
        rule += "that of a convolution more"
        fail("kinds", found, rule, "give the layer's real kind")
    if sort == "embedding" or (source in _LAST) == (target in _LAST):
        return array
    n = array.ndim
    order = (*range(2, n), 1, 0) if target in _LAST else (n - 1, n - 2, *range(n - 2))
    return np.ascontiguousarray(array.transpose(order))


def _layout(kind: LayerKind, framework: str) -> str:
    """The layout of a transposed kernel: the layer's own if it is one of this framework's."""
    own = kind.layout or framework
    here = framework == "equinox" if own == "tconvjax" else own.partition("_")[0] == framework
    return own if here else framework


def _tree(layers: Layers, target: str) -> dict[str, Any]:
    """Arrays in the shape of the target's tree."""
    tree: dict[Any, Any] = {}
    for path, arrays in layers.items():
        steps = path.split(".") if path else []
        if not arrays:
            continue
        if target == "flax":  # nested, with ints for numbered steps, as in Flax NNX
            node = tree
            for step in steps:
                node = node.setdefault(int(step) if step.isdigit() else step, {})
            node.update(arrays)
        elif target == "haiku":
            tree["/".join(steps)] = arrays
        else:
            between = "/" if target == "keras" else "."
            tree |= {between.join([*steps, name]): array for name, array in arrays.items()}
    return tree


# -- PyTorch's weight norm, spectral norm and pruning ----------------------------------------------


def _multiplied_out(path: str, arrays: dict[str, Any]) -> dict[str, Any]:
    """The arrays of a layer with each reparametrised weight multiplied out, rounded once."""
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
                    stored = max(values, key=np.size).dtype
                    arrays[weight] = product.astype(np.promote_types(stored, np.float32))
    for name, array in arrays.items():
        weight = name.partition(".")[0] if "." in name else name.rpartition("_")[0]
        if "." in name or (name.removeprefix(weight) in _PARTS and _is_weight(weight)):
            rule = "it is part of a reparametrisation other than a complete weight norm, spectral "
            rule += "norm or pruning"
            call = f"torch.nn.utils.parametrize.remove_parametrizations(layer, {weight!r})"
            remedy = f"remove it in PyTorch ({call}) and save the weights again"
            fail(f"{path}.{name}", array_of(array.shape), rule, remedy)
    return arrays


def _is_weight(name: str) -> bool:
    return "weight" in name or name == "bias"


def _weight_norm(g: Any, v: Any) -> Any:
    """Compute g * v / |v|, with |v| over the axes along which g has size 1."""
    g = g.reshape((1,) * v.ndim) if g.size == 1 else g
    sizes = list(zip(g.shape, v.shape, strict=False))
    if g.ndim != v.ndim or any(one not in (1, size) for one, size in sizes):
        return None
    axes = tuple(n for n, size in enumerate(g.shape) if size == 1)
    return g * (v / np.sqrt(np.sum(np.square(v), axis=axes, keepdims=True)))


def _spectral_norm(w: Any, u: Any, v: Any) -> Any:
    """Compute w / (u . W v), where W is w as a matrix with its outputs for rows."""
    # A state dict does not say whether the outputs are the first or the second axis. For the right
    # axis W v is a multiple of u, because each training step ends with u = W v / |W v|.
    found = []
    for axis in range(min(w.ndim, 2)):
        matrix = np.moveaxis(w, axis, 0).reshape(w.shape[axis], -1)
        if matrix.shape == (u.size, v.size):
            product = matrix @ v
            found.append((float(np.linalg.norm(product - (u @ product) * u)), float(u @ product)))
    return w / min(found)[1] if found else None


_FORMS: Mapping[tuple[str, ...], Callable[..., Any]] = {
    ("_g", "_v"): _weight_norm,
    (".original0", ".original1"): _weight_norm,
    ("_orig", "_u", "_v"): _spectral_norm,
    (".original", ".0._u", ".0._v"): _spectral_norm,
    ("_orig", "_mask"): lambda w, mask: w * mask if w.shape == mask.shape else None,
}
"""Functions by the name suffixes of their operands; dotted suffixes are PyTorch's since 2.0."""
_PARTS = frozenset(itertools.chain(*_FORMS))
