"""Convert the weights of whole models: names, shapes and trees of one framework to another's.

A tree is read into layers, each with a dotted path, a kind, and arrays under PyTorch's names and in
PyTorch's layouts; the target's tree is written from these layers. The kind of a layer determines
the layout of its arrays. Arrays alone do not show which kernels are transposed, so this information
comes from a model or from patterns of paths.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import jax
import numpy as np

from tconvjax.arguments import choice
from tconvjax.conventions.kernels import convert_kernel, numbers
from tconvjax.conventions.models import LayerKind, by_path, check_used, matches
from tconvjax.conventions.parametrizations import multiplied_out
from tconvjax.errors import Described, GeometryError, array_of, fail, kind_of

Kinds: TypeAlias = Mapping[str, str | LayerKind] | object
"""Kinds by glob patterns of layer paths, or a model with the same layers."""
Rename: TypeAlias = Mapping[str, str] | Callable[[str], str] | None
Flat: TypeAlias = Mapping[tuple[str, str], Any]
"""Arrays by (layer path, name)."""

TREES = ("torch", "flax", "equinox", "keras", "haiku")
"""Frameworks whose trees are read and written."""


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


@dataclass
class _Layer:
    kind: LayerKind
    arrays: dict[str, Any] = field(default_factory=dict)


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
    found, known = _by_layer(state), by_path(kinds)
    if source == "flax" and isinstance(state, Mapping) and "params" in state:
        merged: dict[str, dict[str, Any]] = {}
        for path, arrays in found.items():  # whose first step is one of linen's collections
            merged.setdefault(path.partition(".")[2], {}).update(arrays)
        found = merged
    if source == "torch":
        found = {path: multiplied_out(path, arrays) for path, arrays in found.items()}
    layers = _read(found, source, known, _renamed(rename, found))
    if isinstance(kinds, Mapping):
        check_used(kinds, list(dict.fromkeys([*found, *layers])))
    return _tree(
        {
            (path, name): array
            for path, layer in layers.items()
            for name, array in _written(path, layer, target).items()
        },
        target,
    )


# -- reading ---------------------------------------------------------------------------------------


def _by_layer(state: Any) -> dict[str, dict[str, Any]]:
    """Arrays by layer path and name, from any tree."""
    if hasattr(state, "weights") and hasattr(state, "get_weights"):  # a Keras model
        start = f"{state.name}/"
        state = {variable.path.removeprefix(start): variable for variable in state.weights}
    if isinstance(state, Mapping):
        leaves = list(_mapped(state, ()))
    else:  # a module; its leaves that are not arrays are functions and settings
        leaves = [
            (tuple(map(_step, path)), leaf)
            for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]
            if hasattr(leaf, "shape")
        ]
    if not leaves:
        fail(
            "state",
            kind_of(state),
            "there is no array in it",
            "give a state dict, a tree of arrays or a model",
        )
    layers: dict[str, dict[str, Any]] = {}
    for path, leaf in leaves:
        *layer, name = ".".join(path).replace("/", ".").split(".")
        if "parametrizations" in layer:  # PyTorch's, since 2.0
            at = layer.index("parametrizations")
            layer, name = layer[:at], ".".join([*layer[at + 1 :], name])
        if "rngs" not in layer:  # the keys of NNX's random streams are not weights
            array = numbers(".".join(path) or "state", leaf, "leave it out")
            layers.setdefault(".".join(layer), {})[name] = array
    return layers


def _mapped(tree: Any, path: tuple[str, ...]) -> Any:
    """The leaves of nested mappings, in their order, which jax.tree would sort."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _mapped(value, (*path, str(key)))
        else:
            yield (*path, str(key)), value


def _step(entry: Any) -> str:
    """One step of a path of jax.tree_util."""
    for attribute in ("name", "key", "idx"):
        if hasattr(entry, attribute):
            return str(getattr(entry, attribute))
    return str(entry)


def _renamed(rename: Rename, paths: Iterable[str]) -> Callable[[str], str]:
    """A function from the source's paths to the target's, whose results are checked."""
    if rename is not None and not isinstance(rename, Mapping) and not callable(rename):
        fail("rename", rename, "it must be a mapping or a function of paths", "give a dictionary")
    if isinstance(rename, Mapping):
        for path in rename:
            if path not in paths:
                layers = ", ".join(list(paths)[:8])
                fail("rename", path, "no layer has that path", f"the layers are {layers}")

    def renamed(path: str) -> str:
        new: Any = rename(path) if callable(rename) else (rename or {}).get(path, path)
        if not isinstance(new, str):
            fail("rename", Described(f"{path!r} to {new!r}"), "a path is a string", "give one")
        return new

    return renamed


def _read(
    found: Mapping[str, Mapping[str, Any]],
    source: str,
    kinds: Mapping[str, LayerKind],
    rename: Callable[[str], str],
) -> dict[str, _Layer]:
    """Layers by their new paths, with arrays under PyTorch's names and in its layouts."""
    layers: dict[str, _Layer] = {}
    for path, arrays in found.items():
        new = rename(path)
        if new in layers:
            fail(
                "rename",
                Described(f"{path!r} to {new!r}"),
                "another layer has that path",
                "give every layer its own",
            )
        kind = _kind(path, new, arrays, source, kinds)
        back = {names[source]: name for name, names in LEAVES[kind.kind].items() if source in names}
        layers[new] = _Layer(kind)
        for name, array in arrays.items():
            with _in_array(path, name):
                layers[new].arrays[back.get(name, name)] = (
                    _to_torch(array, back[name], kind, source) if name in back else array
                )
    return layers


def _kind(
    path: str, new: str, arrays: Mapping[str, Any], source: str, kinds: Mapping[str, LayerKind]
) -> LayerKind:
    """The given kind of a layer, or a guess from its arrays."""
    for pattern, kind in kinds.items():
        if matches(pattern, path) or matches(pattern, new):
            return kind
    for sort in ("norm", "embedding"):
        distinct = {names.get(source) for names in LEAVES[sort].values()}
        if (distinct - {_WEIGHT[source], _BIAS[source]}) & arrays.keys():
            return LayerKind(sort)
    weight = arrays.get(_WEIGHT[source])
    guess = {0: "other", 1: "norm" if source in ("torch", "equinox") else "other", 2: "linear"}
    return LayerKind(guess.get(0 if weight is None else weight.ndim, "conv"))


@contextlib.contextmanager
def _in_array(path: str, name: str) -> Iterator[None]:
    """Prefix error messages with the array that they are about."""
    try:
        yield
    except GeometryError as error:
        raise GeometryError(f"{path}.{name}: {error}") from None


# -- layouts ---------------------------------------------------------------------------------------


def _layout(kind: LayerKind, framework: str) -> str:
    """The layout of a transposed kernel: the layer's own if it is one of this framework's."""
    own = kind.layout
    if own and (own == framework or own.startswith(framework + "_") or own == "tconvjax"):
        return own
    return framework


def _to_torch(array: Any, name: str, kind: LayerKind, source: str) -> Any:
    """An array in PyTorch's layout."""
    axes = {"linear": (2,), "embedding": (2,), "conv": range(3, 33)}.get(kind.kind)
    if name == "weight" and axes is not None and array.ndim not in axes:
        fail(
            "kinds",
            Described(f"{kind.kind!r} for an array of shape {array.shape}"),
            "the weight of a linear layer or an embedding has two axes, that of a convolution more",
            "give the layer's real kind",
        )
    if name == "weight" and kind.kind == "conv_transpose":
        return convert_kernel(array, _layout(kind, source), "torch", groups=kind.groups)
    if name == "weight" and source in ("flax", "keras", "haiku"):
        if kind.kind == "conv":
            return array.transpose(array.ndim - 1, array.ndim - 2, *range(array.ndim - 2))
        if kind.kind == "linear":
            return array.T
    return array.reshape(-1) if name == "bias" and kind.kind != "other" else array


def _from_torch(array: Any, name: str, kind: LayerKind, target: str, rank: int) -> Any:
    """An array in the target's layout."""
    if name == "weight" and kind.kind == "conv_transpose":
        return convert_kernel(array, "torch", _layout(kind, target), groups=kind.groups)
    if name == "weight" and target in ("flax", "keras", "haiku"):
        if kind.kind == "conv":
            return np.ascontiguousarray(array.transpose(*range(2, array.ndim), 1, 0))
        if kind.kind == "linear":
            return np.ascontiguousarray(array.T)
    if name == "bias" and target == "equinox" and kind.kind in ("conv", "conv_transpose"):
        return array.reshape(-1, *[1] * rank)
    return array


# -- writing ---------------------------------------------------------------------------------------


def _written(path: str, layer: _Layer, target: str) -> dict[str, Any]:
    """The arrays of a layer under the target's names and in its layouts."""
    names = LEAVES[layer.kind.kind]
    rank = layer.arrays["weight"].ndim - 2 if "weight" in layer.arrays else 0
    written = {}
    for name, array in layer.arrays.items():
        if name == "num_batches_tracked":
            continue
        if name in names and target not in names[name]:
            fail(
                path,
                Described(name),
                f"{target} keeps it outside its parameters",
                "set it in the model's state by hand",
            )
        with _in_array(path, name):
            new = names.get(name, {}).get(target, name)
            written[new] = _from_torch(array, name, layer.kind, target, rank)
    if target == "torch" and "running_mean" in written:
        written["num_batches_tracked"] = np.zeros((), np.int64)
    return written


def _tree(flat: Flat, target: str) -> dict[str, Any]:
    """Arrays in the shape of the target's tree."""
    tree: dict[Any, Any] = {}
    for (path, name), array in flat.items():
        steps = path.split(".") if path else []
        if target == "flax":  # nested, with ints for numbered steps, as in Flax NNX
            node = tree
            for step in steps:
                node = node.setdefault(int(step) if step.isdigit() else step, {})
            node[name] = array
        elif target == "haiku":
            tree.setdefault("/".join(steps), {})[name] = array
        else:
            tree[("/" if target == "keras" else ".").join([*steps, name])] = array
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
    positions = {".".join(map(_step, path)): n for n, (path, _) in enumerate(leaves)}
    values = [leaf for _, leaf in leaves]
    if not isinstance(arrays, Mapping):
        fail("arrays", kind_of(arrays), "it must be a mapping of paths", "give a dictionary")
    for path, value in arrays.items():
        array = numbers(str(path), value, "give an array")
        if path not in positions:
            fail(
                path,
                array_of(array.shape),
                "the module has no such leaf",
                f"its leaves are {', '.join(list(positions)[:8])}, ...",
            )
        old = values[positions[path]]
        if np.shape(old) != array.shape:
            fail(
                path,
                array_of(array.shape),
                f"the module's has shape {np.shape(old)}",
                "convert the weights of the same model",
            )
        values[positions[path]] = jax.numpy.asarray(array, old.dtype)
    return jax.tree_util.tree_unflatten(tree, values)
