"""Recognise the layers of a model of any framework by the names of their classes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tconvjax.arguments import choice, whole
from tconvjax.conventions.kernels import KERNELS
from tconvjax.errors import fail, kind_of, meant

_CLASSES = (
    (re.compile(r"(Lazy)?Conv(ND|\dD)?Transpose(\dd)?"), "conv_transpose"),
    (re.compile(r"(Lazy)?Conv(ND|\d[dD])?"), "conv"),
    (re.compile(r"(Lazy)?Linear|Dense"), "linear"),
    (re.compile(r"Embed(ding)?"), "embedding"),
    (re.compile(r"_?\w*(Batch|Layer|Group|Instance|RMS)\w*Norm\w*"), "norm"),
)
"""Names of layer classes; the first that matches any base class of an object decides."""
KINDS = (*(kind for _, kind in _CLASSES), "other")
"""Kinds of layers, which determine how frameworks lay out their weights."""


@dataclass(frozen=True)
class LayerKind:
    """The facts that determine the layout of a layer's arrays.

    Args:
        kind: "conv_transpose", "conv", "linear", "embedding", "norm" or "other".
        groups: blocks of channels of a convolution.
        layout: layout of a transposed kernel, a key of `tconvjax.conventions.KERNELS`; by default
            the framework's own.

    Raises:
        GeometryError: if there is no such kind or layout, or groups is not a whole number of at
            least 1.
    """

    kind: str
    groups: int = 1
    layout: str | None = None

    def __post_init__(self) -> None:
        """Validate the fields."""
        choice("kind", self.kind, KINDS)
        whole("groups", self.groups, 1)
        if self.layout is not None:
            choice("layout", self.layout, tuple(KERNELS))


def layer_kinds(model: Any) -> dict[str, LayerKind]:
    """The kind of every layer of a model, by its dotted path."""
    kinds = {path: k for path, part in layers_of(model).items() if (k := layer_kind(part))}
    if not kinds:
        rule = "it is neither a mapping nor a model with layers of a known name"
        fail("kinds", kind_of(model), rule, "give patterns of paths and their kinds")
    return kinds


def layers_of(model: Any) -> dict[str, Any]:
    """The layers of a model, by their dotted paths; of PyTorch's and Keras's all modules."""
    if hasattr(model, "named_modules"):  # PyTorch
        return dict(model.named_modules())
    if hasattr(model, "_flatten_layers"):  # Keras
        layers = model._flatten_layers(include_self=False)
        paths = (str(layer.path or "").removeprefix(f"{model.name}/") for layer in layers)
        return {path.replace("/", "."): layer for path, layer in zip(paths, layers, strict=True)}
    return dict(_walk(model, "", set()))


def _walk(part: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """The layers of a model that stores them in attributes, lists and mappings."""
    if id(part) in seen or isinstance(part, str | bytes | int | float) or hasattr(part, "shape"):
        return
    seen.add(id(part))
    if layer_kind(part) is not None:
        yield path, part
        return
    if isinstance(part, Mapping):
        children: Any = part.items()
    elif isinstance(part, list | tuple) or type(part).__name__ == "List":  # Flax NNX has its own
        children = enumerate(part)
    else:
        children = getattr(part, "__dict__", {}).items()
    for name, child in children:
        yield from _walk(child, f"{path}.{name}" if path else str(name), seen)


def layer_kind(part: Any) -> LayerKind | None:
    """The kind of a layer, or None for anything else."""
    names = [base.__name__ for base in type(part).__mro__]
    for pattern, kind in _CLASSES:
        if any(pattern.fullmatch(name) for name in names):
            groups = getattr(part, "groups", getattr(part, "feature_group_count", 1))
            layout = getattr(part, "kernel_layout", None)  # of the layers in tconvjax.layers
            if not isinstance(layout, str) or layout not in KERNELS:
                transposed = getattr(part, "transpose_kernel", False) is True  # of Flax's
                layout = "flax_transpose_kernel" if transposed else None
            return LayerKind(kind, groups if type(groups) is int and groups > 0 else 1, layout)
    return None


def by_path(kinds: Any) -> Mapping[str, LayerKind]:
    """Kinds by pattern, from a mapping, a model or None."""
    if kinds is None:
        return {}
    if not isinstance(kinds, Mapping):
        return layer_kinds(kinds)
    for pattern, kind in kinds.items():
        argument = f"kinds[{pattern!r}]"
        if not isinstance(pattern, str):
            fail(argument, kind, "patterns are strings", "give a layer's path")
        if not isinstance(kind, LayerKind):
            choice(argument, kind, KINDS)
    return {p: LayerKind(kind) if isinstance(kind, str) else kind for p, kind in kinds.items()}


def check_used(kinds: Any, paths: Iterable[str]) -> None:
    """Every pattern matches a layer; with a typing error a layer would get the wrong layout."""
    paths = list(dict.fromkeys(paths))
    for pattern in kinds if isinstance(kinds, Mapping) else ():
        if not any(_matches(pattern, path) for path in paths):
            remedy = meant(pattern, paths, f"the layers are {', '.join(paths[:8])}")
            fail(f"kinds[{pattern!r}]", kinds[pattern], "no layer has such a path", remedy)


def named(patterns: Mapping[str, LayerKind], *paths: str) -> LayerKind | None:
    """The kind of the first pattern that matches one of a layer's paths, or None."""
    return next((k for p, k in patterns.items() if any(_matches(p, path) for path in paths)), None)


def _matches(pattern: str, path: str) -> bool:
    """Whether a glob matches a path; * stays within one step of the path, ** does not."""
    steps = re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", "[^.]*")
    return pattern == path or re.fullmatch(steps, path) is not None
