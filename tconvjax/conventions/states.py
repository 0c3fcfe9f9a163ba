"""Whole models' weights from one framework's names, shapes and trees to another's.

A tree is read into layers (a dotted path, a kind, arrays under PyTorch's leaf names and in its
layouts) and written from them. What decides how an array is laid out is the kind of its layer; a
dictionary of arrays cannot tell a transposed kernel from another, so a model or patterns must.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeAlias

import jax
import numpy as np

from tconvjax.conventions.kernels import convert_kernel, numbers
from tconvjax.conventions.models import LayerKind, by_path, check_met, matches
from tconvjax.conventions.parametrizations import folded
from tconvjax.errors import Described, GeometryError, array_of, fail, kind_of

Kinds: TypeAlias = Mapping[str, str | LayerKind] | object
"""Kinds by glob patterns of layer paths, or a model that tells them."""
Rename: TypeAlias = Mapping[str, str] | Callable[[str], str] | None

TREES = ("torch", "flax", "equinox", "keras", "haiku")
"""The frameworks whose trees are read and written."""

_WEIGHTED = {
    "torch": "weight",
    "flax": "kernel",
    "equinox": "weight",
    "keras": "kernel",
    "haiku": "w",
}
_BIASED = {"torch": "bias", "flax": "bias", "equinox": "bias", "keras": "bias", "haiku": "b"}
LEAVES: Mapping[str, Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        "conv_transpose": {"weight": _WEIGHTED, "bias": _BIASED},
        "conv": {"weight": _WEIGHTED, "bias": _BIASED},
        "linear": {"weight": _WEIGHTED, "bias": _BIASED},
        "embedding": {
            "weight": {
                "torch": "weight",
                "flax": "embedding",
                "equinox": "weight",
                "keras": "embeddings",
                "haiku": "embeddings",
            },
        },
        "norm": {
            "weight": {
                "torch": "weight",
                "flax": "scale",
                "equinox": "weight",
                "keras": "gamma",
                "haiku": "scale",
            },
            "bias": {
                "torch": "bias",
                "flax": "bias",
                "equinox": "bias",
                "keras": "beta",
                "haiku": "offset",
            },
            "running_mean": {
                "torch": "running_mean",
                "flax": "mean",
                "equinox": "running_mean",
                "keras": "moving_mean",
            },
            "running_var": {
                "torch": "running_var",
                "flax": "var",
                "equinox": "running_var",
                "keras": "moving_variance",
            },
        },
        "other": {},
    }
)
"""For each kind of layer, what PyTorch's names are called elsewhere."""


@dataclass
class _Layer:
    kind: LayerKind
    arrays: dict[str, Any] = field(default_factory=dict)


def convert_state_dict(
    state: Any, source: str, target: str, *, kinds: Kinds | None = None, rename: Rename = None
) -> dict[str, Any]:
    """The weights of a whole model, as another framework keeps them.

    Convolutions, transposed convolutions, linear layers, embeddings and norms get the target's
    leaf names and layouts; any other array stays as it is under its own name. PyTorch's weight and
    spectral norms and pruned weights are multiplied out in float64 and rounded once.

    Args:
        state: PyTorch's ``state_dict()``; Flax NNX's state or pure dict, or linen's variables with
            their collections "params" and "batch_stats"; an Equinox module, or
            arrays by dotted path; a Keras model, or arrays by variable path; Haiku's parameters.
            Tensors are read through NumPy.
        source: whose it is: "torch", "flax", "equinox", "keras" or "haiku".
        target: one of these.
        kinds: what the layers are: a model of either framework that tells it, or glob patterns of
            layer paths with a kind ("conv_transpose", "conv", "linear", "embedding", "norm",
            "other") or a `LayerKind` that knows groups too, such as ``{"ups.*":
            "conv_transpose"}``. Without, arrays named like weights are taken by their axes: three
            and more for a convolution, two for a linear layer, one for a norm. A pattern that meets
            no layer is refused.
        rename: from the source's layer paths to the target's, a mapping of those that differ or a
            function of all; paths are dotted, "ups.0" for example.

    Returns:
        PyTorch: arrays by name; Flax: nested dictionaries for ``nnx.update``; Equinox: arrays by
        dotted path for `replace_leaves`; Keras: arrays by variable path; Haiku: parameters.

    Raises:
        GeometryError: if a layer cannot be said in the target, two layers get one path, or a weight
            is reparametrised in another way.

    Examples:
        >>> state = {"up.weight": np.zeros((2, 3, 4)), "up.bias": np.zeros(3)}
        >>> tree = convert_state_dict(state, "torch", "flax", kinds={"up": "conv_transpose"})
        >>> {name: array.shape for name, array in tree["up"].items()}
        {'kernel': (4, 2, 3), 'bias': (3,)}

    With ``nnx.ConvTranspose(..., transpose_kernel=True)`` use `LayerKind` ("conv_transpose",
    layout="flax_transpose_kernel"), or give the model.
    """
    for argument, name in (("source", source), ("target", target)):
        if not isinstance(name, str) or name not in TREES:
            fail(argument, name, f"the trees are {', '.join(TREES)}", "use one of them")
    flat, known = _flat(state), by_path(kinds)
    if source == "flax" and isinstance(state, Mapping) and "params" in state:  # linen's collections
        flat = {(path.partition(".")[2], name): array for (path, name), array in flat.items()}
    if source == "torch":
        flat = folded(flat)
    paths = dict.fromkeys(path for path, _ in flat)
    layers = _read(flat, source, known, _renamed(rename, paths))
    if isinstance(kinds, Mapping):
        check_met(kinds, list(dict.fromkeys([*paths, *layers])))
    return _WRITERS[target](
        {
            (path, name): array
            for path, layer in layers.items()
            for name, array in _written(path, layer, target).items()
        }
    )


# -- reading ---------------------------------------------------------------------------------------


def _flat(state: Any) -> dict[tuple[str, str], Any]:
    """(layer path, leaf name) to array, from any tree."""
    if hasattr(state, "weights") and hasattr(state, "get_weights"):  # a Keras model
        start = f"{state.name}/"
        state = {variable.path.removeprefix(start): variable for variable in state.weights}
    if isinstance(state, Mapping):
        leaves = list(_mapped(state, ()))
    else:  # a module: what of it is no array are functions and settings
        leaves = [
            (tuple(_key(entry) for entry in path), leaf)
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
    flat = {}
    for path, leaf in leaves:
        *layer, name = ".".join(path).replace("/", ".").split(".")
        if "parametrizations" in layer:  # PyTorch's, since 2.0
            at = layer.index("parametrizations")
            layer, name = layer[:at], ".".join([*layer[at + 1 :], name])
        if "rngs" not in layer:  # the keys of NNX's random streams are no weights
            flat[".".join(layer), name] = numbers(".".join(path) or "state", leaf, "leave it out")
    return flat


def _mapped(tree: Any, path: tuple[str, ...]) -> Any:
    """The leaves of nested mappings, which jax.tree would sort and NNX's variables hide."""
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _mapped(value, (*path, str(key)))
        else:
            yield (*path, str(key)), value


def _key(entry: Any) -> str:
    """One step of a path of jax.tree_util."""
    for attribute in ("name", "key", "idx"):
        if hasattr(entry, attribute):
            return str(getattr(entry, attribute))
    return str(entry)


def _renamed(rename: Rename, paths: Iterable[str]) -> Callable[[str], str]:
    """From a source's path to a target's, checked."""
    if rename is not None and not isinstance(rename, Mapping) and not callable(rename):
        fail("rename", rename, "it is a mapping of paths or a function of one", "give a dictionary")
    if isinstance(rename, Mapping):
        for path in rename:
            if path not in paths:
                fail(
                    "rename",
                    path,
                    "no layer has that path",
                    f"the layers are {', '.join(list(paths)[:8])}",
                )

    def renamed(path: str) -> str:
        new: Any = rename(path) if callable(rename) else (rename or {}).get(path, path)
        if not isinstance(new, str):
            fail("rename", Described(f"{path!r} to {new!r}"), "a path is a string", "give one")
        return new

    return renamed


def _read(
    flat: Mapping[tuple[str, str], Any],
    source: str,
    kinds: Mapping[str, LayerKind],
    rename: Callable[[str], str],
) -> dict[str, _Layer]:
    """Layers by their new paths, their arrays in PyTorch's names and layouts."""
    by_layer: dict[str, dict[str, Any]] = {}
    for (path, name), array in flat.items():
        by_layer.setdefault(path, {})[name] = array
    layers: dict[str, _Layer] = {}
    for path, arrays in by_layer.items():
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
            with _named(path, name):
                layers[new].arrays[back.get(name, name)] = (
                    _to_torch(array, back[name], kind, source) if name in back else array
                )
    return layers


def _kind(
    path: str, new: str, arrays: Mapping[str, Any], source: str, kinds: Mapping[str, LayerKind]
) -> LayerKind:
    """What was said of a layer, or what its arrays look like."""
    for pattern, kind in kinds.items():
        if pattern in (path, new) or matches(pattern, path) or matches(pattern, new):
            return kind
    axes = {name: array.ndim for name, array in arrays.items()}
    for sort in ("norm", "embedding"):
        telling = {names.get(source) for names in LEAVES[sort].values()}
        if (telling - {_WEIGHTED[source], _BIASED[source]}) & axes.keys():
            return LayerKind(sort)
    weight = axes.get(_WEIGHTED[source], 0)
    guess = {0: "other", 1: "norm" if source in ("torch", "equinox") else "other", 2: "linear"}
    return LayerKind(guess.get(weight, "conv"))


@contextlib.contextmanager
def _named(path: str, name: str) -> Iterator[None]:
    """Say of which array an error speaks."""
    try:
        yield
    except GeometryError as error:
        raise GeometryError(f"{path}.{name}: {error}") from None


# -- layouts ---------------------------------------------------------------------------------------


def _layout(kind: LayerKind, framework: str) -> str:
    """Whose transposed kernel: a layer may keep it in a layout of its own."""
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
            "a linear layer's weight and an embedding's have two axes, a convolution's more",
            "say what the layer is",
        )
    if name == "weight" and kind.kind == "conv_transpose":
        return convert_kernel(array, _layout(kind, source), "torch", groups=kind.groups)
    if name == "weight" and source in ("flax", "keras", "haiku"):
        if kind.kind == "conv":
            return array.transpose(array.ndim - 1, array.ndim - 2, *range(array.ndim - 2))
        if kind.kind == "linear":
            return array.T
    return array.reshape(-1) if name == "bias" and kind.kind != "other" else array


def _written(path: str, layer: _Layer, target: str) -> dict[str, Any]:
    """The arrays of a layer under the target's names and in its layouts."""
    names = LEAVES[layer.kind.kind]
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
        found = names.get(name, {}).get(target, name)
        rank = layer.arrays["weight"].ndim - 2 if "weight" in layer.arrays else 0
        with _named(path, name):
            written[found] = _from_torch(array, name, layer.kind, target, rank)
    if target == "torch" and "running_mean" in written:
        written["num_batches_tracked"] = np.zeros((), np.int64)
    return written


def _from_torch(array: Any, name: str, kind: LayerKind, target: str, rank: int) -> Any:
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


def _nested(flat: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    """Nested dictionaries, with ints for the steps that are numbers, as Flax NNX has them."""
    tree: dict[Any, Any] = {}
    for (path, name), array in flat.items():
        node = tree
        for step in path.split(".") if path else []:
            node = node.setdefault(int(step) if step.isdigit() else step, {})
        node[name] = array
    return tree


def _joined(mark: str) -> Callable[[Mapping[tuple[str, str], Any]], dict[str, Any]]:
    def join(flat: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
        return {
            mark.join([*filter(None, path.split(".")), name]): array
            for (path, name), array in flat.items()
        }

    return join


def _by_module(flat: Mapping[tuple[str, str], Any]) -> dict[str, Any]:
    """Two levels, as Haiku has them."""
    tree: dict[str, Any] = {}
    for (path, name), array in flat.items():
        tree.setdefault(path.replace(".", "/"), {})[name] = array
    return tree


_WRITERS: Mapping[str, Callable[[Mapping[tuple[str, str], Any]], dict[str, Any]]] = (
    MappingProxyType(
        {
            "torch": _joined("."),
            "flax": _nested,
            "equinox": _joined("."),
            "keras": _joined("/"),
            "haiku": _by_module,
        }
    )
)


def replace_leaves(module: Any, arrays: Mapping[str, Any]) -> Any:
    """A pytree with some of its arrays replaced, by dotted path: an Equinox module's weights.

    Args:
        module: any pytree whose paths `jax.tree_util` knows.
        arrays: arrays by dotted path, as `convert_state_dict` gives them for "equinox"; cast to
            the dtypes of those that they replace.

    Returns:
        A new pytree of the same structure.

    Raises:
        GeometryError: if a path or a shape does not fit.

    Examples:
        >>> replace_leaves({"up": {"bias": np.zeros(2)}}, {"up.bias": np.ones(2)})["up"]["bias"]
        Array([1., 1.], dtype=...)
    """
    leaves, tree = jax.tree_util.tree_flatten_with_path(module)
    places = {".".join(map(_key, path)): n for n, (path, _) in enumerate(leaves)}
    values = [leaf for _, leaf in leaves]
    if not isinstance(arrays, Mapping):
        fail("arrays", kind_of(arrays), "it has arrays by path", "give a dictionary")
    for path, given in arrays.items():
        array = numbers(str(path), given, "give an array")
        if path not in places:
            fail(
                path,
                array_of(array.shape),
                "the module has no such leaf",
                f"its leaves are {', '.join(list(places)[:8])}, ...",
            )
        old = values[places[path]]
        if np.shape(old) != array.shape:
            fail(
                path,
                array_of(array.shape),
                f"the module's has shape {np.shape(old)}",
                "convert the weights of the same model",
            )
        values[places[path]] = jax.numpy.asarray(array, old.dtype)
    return jax.tree_util.tree_unflatten(tree, values)
