"""Load weights into a model of Flax NNX, Flax linen or Equinox, and check that they fit.

The model says which arrays it has and which of its layers are transposed.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp

from tconvjax.arguments import choice, counted, flag
from tconvjax.conventions import states
from tconvjax.conventions.models import LayerKind, by_path, check_used, layer_kind, layers_of, named
from tconvjax.conventions.states import TREES, Kinds, Rename, dotted
from tconvjax.errors import Described, GeometryError, fail, kind_of


@dataclass(frozen=True)
class Target:
    """A model that takes weights."""

    framework: str
    layers: Mapping[str, Any]  # its layers by path, as objects
    arrays: Mapping[str, Any]  # its arrays by path, or their shapes and dtypes
    filled: Callable[[Mapping[str, Any]], Any]  # the model with other arrays by path


def load_into(
    model: Any,
    state: Any,
    source: str = "torch",
    *,
    kinds: Kinds | None = None,
    rename: Rename = None,
    strict: bool = True,
) -> Any:
    """Load weights into a model; every entry that does not fit is reported, all at once.

    Args:
        model: a Flax NNX module, which is changed in place; an Equinox module, or the pair (module,
            state) of ``equinox.nn.make_with_state``, whose state holds the statistics of batch
            norms; for Flax linen a function that makes the variables,
            ``lambda: net.init(key, x)``, or the variables themselves. NNX and Equinox models may
            hold ``jax.ShapeDtypeStruct`` instead of arrays.
        state: weights, a model that has them, or the path of a file, as in `convert_state_dict`.
        source: the library whose layers wrote the state, as in `convert_state_dict`.
        kinds: what the source's layers are, as in `convert_state_dict`; by default what the model's
            are. It is needed for linen's variables, and if a `ConvTranspose` of `tconvjax.layers`
            takes weights of its own library: ``kinds=model`` if that layer wrote them,
            {"its path": "conv_transpose"} if the library's own did, which has a different kernel.
        rename: from the source's layer paths to the model's, as in `convert_state_dict`. The step
            "layers" of a ``Sequential`` may be left out.
        strict: whether to refuse a state that does not fit the model exactly.

    Returns:
        The model with the weights, each in the dtype that the model has for it; with
        ``strict=False`` the tuple of the model and what was left, lists of paths under "missing",
        "unexpected" and "misshaped".

    Raises:
        GeometryError: if the state does not fit, or nothing tells how a kernel is laid out.

    Examples:
        >>> import numpy as np
        >>> variables = {"params": {"up": {"kernel": np.zeros((4, 2, 3)), "bias": np.zeros(3)}}}
        >>> state = {"up.weight": np.ones((2, 3, 4)), "up.bias": np.ones(3)}
        >>> kinds = {"up": LayerKind("conv_transpose", layout="flax")}
        >>> float(load_into(variables, state, kinds=kinds)["params"]["up"]["kernel"].sum())
        24.0
        >>> load_into(variables, {"up.bias": np.ones(3)}, strict=False)[1]["missing"]
        ['up.kernel']
    """
    choice("source", source, TREES)
    strict, target = flag("strict", strict), _target(model)
    known = {path: k for path, part in target.layers.items() if (k := layer_kind(part))}
    patterns = known if kinds is model else by_path(kinds)
    layers = states.read_layers(_one_state(state, source), source)
    expected: dict[str, dict[str, Any]] = {}
    for name, leaf in target.arrays.items():
        layer, _, last = name.rpartition(".")
        expected.setdefault(layer, {})[last] = leaf
    short = {re.sub(r"(?<![^.])layers\.(?=\d)", "", layer): layer for layer in expected}
    asked = states.renamed(rename, layers)
    paths = {path: new if new in expected else short.get(new, new) for path, new in asked.items()}
    check_used(kinds, [*layers, *paths.values()])
    left: dict[str, list[str]] = {"missing": [], "unexpected": [], "misshaped": []}
    found: dict[str, Any] = {}  # None for what does not fit
    for path, arrays in layers.items():
        new = paths[path]
        own, given = expected.get(new, {}), named(patterns, path, new)
        into = known.get(new) or given or states.guess(own, target.framework)
        if into.kind == "conv" and not (known.get(new) or given):
            into = LayerKind("other")  # it may be transposed as well
        if into.kind == "conv_transpose" and own:
            _check_layout(new, target, into, given, source)
        came = replace(given, groups=into.groups) if given else into
        try:
            plain = states.laid_out(path, arrays, came, source, "torch")
            written = states.laid_out(path, plain, into, "torch", target.framework)
        except GeometryError as error:
            left["misshaped"].append(str(error))
            found |= dict.fromkeys(_joined(new, name) for name in own)
            continue
        names = [name for name in arrays if name != "num_batches_tracked"]
        for name, (last, array) in zip(names, written.items(), strict=False):
            source_name, model_name = _joined(path, name), _joined(new, last)
            if last not in own:
                left["unexpected"].append(source_name)
                continue
            found[model_name] = array if array.shape == own[last].shape else None
            if found[model_name] is None:
                came, has = array.shape, own[last].shape
                misfit = f"{source_name} of shape {arrays[name].shape} gives {came}, and the "
                misfit += f"model's {model_name} has {has}{_groups(into, target, came, has)}"
                left["misshaped"].append(misfit)
    left["missing"] = [name for name in target.arrays if name not in found]
    if strict and any(left.values()):
        count = sum(map(len, left.values()))
        told = counted(count, "entry that does not fit", "entries that do not fit")
        lines = (f"\n  {what}: {entry}" for what, entries in left.items() for entry in entries)
        remedy = _remedy(left, {**short, **expected})
        rule = "the weights must be those of the model's layers"
        fail("state", Described(told), rule, f"{remedy}{''.join(lines)}")
    loaded = {name: _like(target.arrays[name], a) for name, a in found.items() if a is not None}
    return target.filled(loaded) if strict else (target.filled(loaded), left)


def _joined(layer: str, name: str) -> str:
    return f"{layer}.{name}" if layer else name


def _one_state(state: Any, source: str) -> Any:
    """A state, read if it is a file; PyTorch's are flat, so a mapping of several is refused."""
    state = states.read_state(state) if isinstance(state, str | os.PathLike) else state
    if source == "torch" and isinstance(state, Mapping):
        inner = [key for key, value in state.items() if isinstance(value, Mapping) and value]
        if inner:
            found = Described(f"mapping with state dicts at {', '.join(map(repr, inner))}")
            remedy = f"give state[{inner[0]!r}]; conventions.read_state(file) is that of a file"
            fail("state", found, "it must be one state dict", remedy)
    return state


def _groups(kind: LayerKind, target: Target, came: Sequence[int], own: Sequence[int]) -> str:
    """Ask for groups if only they explain the channels of the model's kernel."""
    name, turn = ("feature_group_count", -1) if target.framework == "flax" else ("groups", 1)
    times = [n / max(m, 1) for m, n in zip(came, own, strict=False) if m != n]
    one = len(times) == 1 and came[::turn][2:] == own[::turn][2:]
    if "conv" not in kind.kind or not one or not times[0].is_integer():
        return ""
    return f": does its layer lack {name}={times[0] * kind.groups:.0f}?"


def _check_layout(
    path: str, target: Target, kind: LayerKind, given: LayerKind | None, source: str
) -> None:
    """Refuse a transposed kernel whose layout in the model or in the state is not known."""
    layer, found = target.layers.get(path), Described(f"{given and given.kind!r} for {path!r}")
    if layer is None and kind.layout is None and target.framework == "flax":
        rule = "variables do not show the layout of a transposed kernel"
        call, layouts = "lambda: net.init(key, x)", "'flax' or 'flax_transpose_kernel'"
        fail("kinds", found, rule, f"give {call} as the model, or LayerKind(..., layout={layouts})")
    if given is None and source == target.framework and getattr(layer, "original", True) is False:
        rule = f"{source}'s own ConvTranspose keeps another kernel than tconvjax.layers'"
        theirs = f"kinds={{{path!r}: 'conv_transpose'}} if {source}'s layer wrote the state"
        fail("kinds", found, rule, f"give {theirs}, kinds=model if this one did")


def _remedy(left: Mapping[str, Sequence[str]], layers: Mapping[str, Any]) -> str:
    """What to do about entries that do not fit."""
    if not left["unexpected"] and not left["missing"]:
        return "make the layers like those of the state, or load what fits: strict=False"
    for name in left["unexpected"]:
        first, _, rest = name.rpartition(".")[0].partition(".")
        if rest in layers and rest:
            return f"give rename=lambda path: path.removeprefix({first + '.'!r})"
    return "map paths by rename, name unknown layers in kinds, or load what fits: strict=False"


def _like(leaf: Any, array: Any) -> jax.Array:
    """An array in the dtype and on the devices of the model's."""
    where = leaf.sharding if getattr(leaf, "committed", False) else None
    return jax.device_put(jnp.asarray(array, leaf.dtype), where)


# -- the models ------------------------------------------------------------------------------------


def _target(model: Any) -> Target:
    module, state = model if isinstance(model, tuple) and len(model) == 2 else (model, None)
    homes = [base.__module__ for base in type(module).__mro__]
    if any(home.startswith("flax.nnx") for home in homes):
        return _nnx(module)
    if any(home.startswith("equinox") for home in homes):
        return _equinox(module, state)
    layers: dict[str, Any] = {}
    if callable(model) and not any(home.startswith("flax.linen") for home in homes):
        from flax import linen

        def note(call: Any, args: Any, kwargs: Any, context: Any) -> Any:
            layers[".".join(context.module.path)] = context.module
            return call(*args, **kwargs)

        with linen.intercept_methods(note):
            model = model()
    if not (isinstance(model, Mapping) and "params" in model):
        rule = "it must be a Flax NNX or Equinox module, or linen's variables"
        fail("model", kind_of(model), rule, "for linen give lambda: net.init(key, x)")
    return _linen(model, layers)


def _nnx(module: Any) -> Target:
    from flax import nnx

    held = nnx.state(module, nnx.All(nnx.Variable, nnx.Not(nnx.RngState)))

    def filled(arrays: Mapping[str, Any]) -> Any:
        nnx.update(module, _with(held, _variable, arrays))
        return module

    return Target("flax", layers_of(module), _arrays(held, _variable), filled)


def _linen(variables: Any, layers: Mapping[str, Any]) -> Target:
    def path_of(path: Any) -> str | None:
        collection = dotted(path[:1])
        return _variable(path[1:]) if collection in ("params", "batch_stats") else None

    filled = functools.partial(_with, variables, path_of)
    return Target("flax", layers, _arrays(variables, path_of), filled)


def _equinox(module: Any, state: Any) -> Target:
    from equinox import nn

    layers, arrays = layers_of(module), _arrays(module, dotted, nn.StateIndex)
    norms: list[tuple[Any, Any, list[str]]] = []  # with the place and the names of its statistics
    for path, layer in layers.items() if state is not None else ():
        if isinstance(layer, nn.BatchNorm):
            place = layer.ema_state_index if layer.mode == "ema" else layer.batch_state_index
            names = [_joined(path, name) for name in ("running_mean", "running_var")]
            norms.append((layer, place, names))
            arrays |= zip(names, state.get(place), strict=True)

    def filled(new: Mapping[str, Any]) -> Any:
        loaded, after = _with(module, dotted, new, nn.StateIndex), state
        for layer, place, names in norms:
            after = after.set(place, tuple(new.get(name, arrays[name]) for name in names))
            if layer.mode == "ema":  # else the first batch would replace the statistics
                after = after.set(layer.ema_first_time_index, jnp.array(False))
            else:  # as many batches that they count as exact
                after = after.set(layer.batch_counter, jnp.array(2**20))
        return loaded if state is None else (loaded, after)

    return Target("equinox", layers, arrays, filled)


def _variable(path: Any) -> str:
    """The path of a variable of Flax, whose box is no step of it."""
    boxed = getattr(path[-1], "name", None) == "value" if path else False
    return dotted(path[:-1] if boxed else path)


def _arrays(tree: Any, path_of: Callable[[Any], str | None], *leaves: type) -> dict[str, Any]:
    found = jax.tree_util.tree_leaves_with_path(tree, is_leaf=lambda x: isinstance(x, leaves))
    named = ((path_of(path), leaf) for path, leaf in found if hasattr(leaf, "shape"))
    return {name: leaf for name, leaf in named if name is not None}


def _with(
    tree: Any, path_of: Callable[[Any], str | None], arrays: Mapping[str, Any], *leaves: type
) -> Any:
    """The tree with other arrays by path."""
    return jax.tree_util.tree_map_with_path(
        lambda path, leaf: arrays.get(path_of(path) or "", leaf),
        tree,
        is_leaf=lambda x: isinstance(x, leaves),
    )
