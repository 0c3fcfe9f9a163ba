"""Convert the weights of whole models: names, shapes and trees of one framework to another's.

A tree is read into layers, each with a dotted path, a kind and arrays by name. The kind determines
which names the target has for the arrays, and how it lays them out. Arrays alone do not show which
kernels are transposed, so this information comes from a model or from patterns of paths.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import jax
import numpy as np

from tconvjax.arguments import choice
from tconvjax.conventions.kernels import convert_kernel, numbers
from tconvjax.conventions.models import LayerKind, by_path, check_used, matches
from tconvjax.errors import Described, GeometryError, array_of, fail, kind_of

Kinds: TypeAlias = Mapping[str, str | LayerKind] | object
"""Kinds by glob patterns of layer paths, or a model with the same layers."""
Rename: TypeAlias = Mapping[str, str] | Callable[[str], str] | None
Layers: TypeAlias = dict[str, dict[str, Any]]
"""Arrays by layer path and name."""

TREES = ("torch", "flax", "equinox", "keras", "haiku")
"""Frameworks whose trees are read and written."""
_LAST = ("flax", "keras", "haiku")
"""Those that keep a weight as (*kernel_size, in, out) instead of (out, in, *kernel_size)."""


def _names(*names: str) -> dict[str, str]:
    """One name for each framework, by its place in `TREES`; only the last may be left out."""
    return dict(zip(TREES, names, strict=False))


_WEIGHT = _names("weight", "kernel", "weight", "kernel", "w")
_BIAS = _names("bias", "bias", "bias", "bias", "b")
LEAVES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "conv_transpose": {"weight": _WEIGHT, "bias": _BIAS},
    "conv": {"weight": _WEIGHT, "bias": _BIAS},
    "linear": {"weight": _WEIGHT, "bias": _BIAS},
    "embedding": {
        "weight": _names("weight", "embedding", "weight", "embeddings", "embeddings"),
    },
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
    norms and pruned weights are multiplied out in float64 and rounded once.

    Args:
        state: PyTorch's ``state_dict()``; Flax NNX's state or pure dict, or linen's variables with
            their collections "params" and "batch_stats"; an Equinox module, or arrays by dotted
            path; a Keras model, or arrays by variable path; Haiku's parameters. An open ``.npz``
            file is a mapping of arrays too. Tensors are read as NumPy arrays.
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
        PyTorch: arrays by name; Flax: nested dictionaries for ``nnx.update``; Equinox: arrays by
        dotted path for `replace_leaves`; Keras: arrays by variable path; Haiku: parameters.

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
    layers, patterns = _by_layer(state), by_path(kinds)
    if source == "flax" and isinstance(state, Mapping) and "params" in state:
        merged: Layers = {}
        for path, arrays in layers.items():  # whose first step is one of linen's collections
            merged.setdefault(path.partition(".")[2], {}).update(arrays)
        layers = merged
    if source == "torch":
        layers = {path: _multiplied_out(path, arrays) for path, arrays in layers.items()}
    paths = _renamed(rename, layers)
    if isinstance(kinds, Mapping):
        check_used(kinds, list(dict.fromkeys([*layers, *paths.values()])))
    written: Layers = {}
    for path, arrays in layers.items():
        given = [k for p, k in patterns.items() if matches(p, path) or matches(p, paths[path])]
        kind = given[0] if given else _guess(arrays, source)
        written[paths[path]] = _written(path, arrays, kind, source, target)
    return _tree(written, target)


# -- reading ---------------------------------------------------------------------------------------


def _by_layer(state: Any) -> Layers:
    """Arrays by layer path and name, from any tree."""
    if hasattr(state, "weights") and hasattr(state, "get_weights"):  # a Keras model
        start = f"{state.name}/"
        state = {variable.path.removeprefix(start): variable for variable in state.weights}
    if isinstance(state, Mapping):
        leaves = list(_mapped(state, ""))
    else:  # a module; its leaves that are not arrays are functions and settings
        every = jax.tree_util.tree_leaves_with_path(state)
        leaves = [(_dotted(path), leaf) for path, leaf in every if hasattr(leaf, "shape")]
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


def _dotted(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator=".")


def _renamed(rename: Rename, paths: Layers) -> dict[str, str]:
    """The target's path of every layer, by the source's."""
    if rename is not None and not isinstance(rename, Mapping) and not callable(rename):
        fail("rename", rename, "it must be a mapping or a function of paths", "give a dictionary")
    if isinstance(rename, Mapping):
        for path in rename:
            if path not in paths:
                remedy = f"the layers are {', '.join(list(paths)[:8])}"
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


def _guess(arrays: Mapping[str, Any], source: str) -> LayerKind:
    """The kind of a layer that no pattern names, from its arrays."""
    for kind in ("norm", "embedding"):
        distinct = {names.get(source) for names in LEAVES[kind].values()}
        if (distinct - {_WEIGHT[source], _BIAS[source]}) & arrays.keys():
            return LayerKind(kind)
    weight = arrays.get(_WEIGHT[source])
    guess = {0: "other", 1: "norm" if source in ("torch", "equinox") else "other", 2: "linear"}
    return LayerKind(guess.get(0 if weight is None else weight.ndim, "conv"))


# -- writing ---------------------------------------------------------------------------------------


def _written(
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
            written[names[target]] = _laid_out(array, leaf, kind, source, target, rank)
        except GeometryError as error:
            raise GeometryError(f"{path}.{name}: {error}") from None
    written.pop("num_batches_tracked", None)
    if target == "torch" and "running_mean" in written:
        written["num_batches_tracked"] = np.zeros((), np.int64)
    return written


def _laid_out(array: Any, leaf: str, kind: LayerKind, source: str, target: str, rank: int) -> Any:
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
        fail(
            "kinds",
            Described(f"{sort!r} for an array of shape {array.shape}"),
            "the weight of a linear layer or an embedding has two axes, that of a convolution more",
            "give the layer's real kind",
        )
    if sort == "embedding" or (source in _LAST) == (target in _LAST):
        return array
    n = array.ndim
    order = (*range(2, n), 1, 0) if target in _LAST else (n - 1, n - 2, *range(n - 2))
    return np.ascontiguousarray(array.transpose(order))


def _layout(kind: LayerKind, framework: str) -> str:
    """The layout of a transposed kernel: the layer's own if it is one of this framework's."""
    own = kind.layout or framework
    return own if own == "tconvjax" or own.partition("_")[0] == framework else framework


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


def replace_leaves(module: Any, arrays: Mapping[str, Any]) -> Any:
    """Replace arrays of a pytree by dotted path, for example the weights of an Equinox module.

    Args:
        module: any pytree whose paths `jax.tree_util` knows.
        arrays: arrays by dotted path, as `convert_state_dict` returns them for "equinox"; each is
            cast to the dtype of the array that it replaces.

    Returns:
        A new pytree of the same structure.

    Raises:
        GeometryError: if a path or a shape does not fit.

    Examples:
        >>> replace_leaves({"up": {"bias": np.zeros(2)}}, {"up.bias": np.ones(2)})["up"]["bias"]
        Array([1., 1.], dtype=...)
    """
    leaves, tree = jax.tree_util.tree_flatten_with_path(module)
    positions = {_dotted(path): n for n, (path, _) in enumerate(leaves)}
    values = [leaf for _, leaf in leaves]
    if not isinstance(arrays, Mapping):
        fail("arrays", kind_of(arrays), "it must be a mapping of paths", "give a dictionary")
    for path, value in arrays.items():
        array = numbers(str(path), value, "give an array")
        if path not in positions:
            remedy = f"its leaves are {', '.join(list(positions)[:8])}, ..."
            fail(path, array_of(array.shape), "the module has no such leaf", remedy)
        old = values[positions[path]]
        if np.shape(old) != array.shape:
            rule = f"the module's has shape {np.shape(old)}"
            fail(path, array_of(array.shape), rule, "convert the weights of the same model")
        values[positions[path]] = jax.numpy.asarray(array, old.dtype)
    return jax.tree_util.tree_unflatten(tree, values)


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
                    arrays[weight] = product.astype(max(values, key=np.size).dtype)
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
