"""What the layers of a model are, read off any framework's objects without importing it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tconvjax.conventions.kernels import KERNELS, kernel_layout
from tconvjax.errors import fail, kind_of
from tconvjax.geometry import group_count

KINDS = ("conv_transpose", "conv", "linear", "embedding", "norm", "other")
"""The kinds of layers whose weights are laid out differently in different frameworks."""

_CLASSES = (
    (re.compile(r"(Lazy)?Conv(ND|\dD)?Transpose(\dd)?"), "conv_transpose"),
    (re.compile(r"(Lazy)?Conv(ND|\d[dD])?"), "conv"),
    (re.compile(r"(Lazy)?Linear|Dense"), "linear"),
    (re.compile(r"Embed(ding)?"), "embedding"),
    (re.compile(r"_?\w*(Batch|Layer|Group|Instance|RMS)\w*Norm\w*"), "norm"),
)
"""Names of layer classes, looked for among all bases of an object's class."""


@dataclass(frozen=True)
class LayerKind:
    """What decides how a layer's arrays are laid out.

    Args:
        kind: one of `KINDS`.
        groups: blocks of channels of a convolution.
        layout: of a transposed kernel, a key of `tconvjax.conventions.KERNELS`; the framework's
            own without.

    Raises:
        GeometryError: if it is no kind, no whole number of at least 1 or no layout.
    """

    kind: str
    groups: int = 1
    layout: str | None = None

    def __post_init__(self) -> None:
        """Check each part."""
        if not isinstance(self.kind, str) or self.kind not in KINDS:
            fail("kind", self.kind, f"the kinds are {', '.join(KINDS)}", "use one of them")
        group_count(self.groups)
        if self.layout is not None:
            kernel_layout("layout", self.layout)


def layer_kinds(model: Any) -> dict[str, LayerKind]:
    """The kind of every layer of a model, by its dotted path.

    Args:
        model: a PyTorch, Flax NNX, Equinox or Keras model.

    Returns:
        Kinds by path, those of layers with weights and others alike.

    Raises:
        GeometryError: if there is no layer in it that is known.

    Examples:
        >>> class ConvTranspose:
        ...     groups = 2
        >>> class Model:
        ...     def __init__(self):
        ...         self.ups = [ConvTranspose()]
        >>> layer_kinds(Model())
        {'ups.0': LayerKind(kind='conv_transpose', groups=2, layout=None)}
    """
    if hasattr(model, "named_modules"):  # PyTorch
        found = dict(model.named_modules())
    elif hasattr(model, "_flatten_layers"):  # Keras
        layers = model._flatten_layers(include_self=False)
        start = f"{model.name}/"
        paths = [str(layer.path or "").removeprefix(start).replace("/", ".") for layer in layers]
        found = dict(zip(paths, layers, strict=True))
    else:
        found = dict(_walk(model, "", set()))
    kinds = {path: kind for path, part in found.items() if (kind := _kind_of(part)) is not None}
    if not kinds:
        fail(
            "kinds",
            kind_of(model),
            "it is neither a mapping nor a model with layers of a known name",
            "give patterns of paths and their kinds",
        )
    return kinds


def _walk(part: Any, path: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """The parts of a model that keeps them as attributes and in lists."""
    if id(part) in seen or isinstance(part, str | bytes | int | float) or hasattr(part, "shape"):
        return
    seen.add(id(part))
    if path and _kind_of(part) is not None:
        yield path, part
        return
    if isinstance(part, Mapping):
        children: Any = part.items()
    elif isinstance(part, list | tuple) or (
        type(part).__name__ in ("List", "Sequential")
        and hasattr(part, "__len__")
        and not hasattr(part, "layers")
    ):
        children = enumerate(part)
    else:
        children = getattr(part, "__dict__", {}).items()
    for name, child in children:
        yield from _walk(child, f"{path}.{name}" if path else str(name), seen)


def _kind_of(part: Any) -> LayerKind | None:
    names = [base.__name__ for base in type(part).__mro__]
    for pattern, kind in _CLASSES:
        if any(pattern.fullmatch(name) for name in names):
            groups = getattr(part, "groups", getattr(part, "feature_group_count", 1))
            known = type(groups) is int and groups > 0
            return LayerKind(kind, groups if known else 1, _layout_of(part))
    return None


def _layout_of(part: Any) -> str | None:
    """The layout of a transposed kernel, where a layer has a choice."""
    own = getattr(part, "kernel_layout", None)
    if isinstance(own, str) and own in KERNELS:
        return own
    return "flax_transpose_kernel" if getattr(part, "transpose_kernel", False) is True else None


def by_path(kinds: Any) -> Mapping[str, LayerKind]:
    """Kinds by pattern, whichever way they were given."""
    if kinds is None:
        return {}
    if not isinstance(kinds, Mapping):
        return layer_kinds(kinds)
    for pattern, kind in kinds.items():
        if not isinstance(pattern, str):
            fail(f"kinds[{pattern!r}]", kind, "patterns are strings", "give a layer's path")
        if not isinstance(kind, LayerKind) and (not isinstance(kind, str) or kind not in KINDS):
            fail(
                f"kinds[{pattern!r}]",
                kind,
                f"the kinds are {', '.join(KINDS)}",
                "use one of them, or a LayerKind",
            )
    return {p: LayerKind(kind) if isinstance(kind, str) else kind for p, kind in kinds.items()}


def check_met(patterns: Mapping[Any, Any], paths: Sequence[str]) -> None:
    """A pattern that meets no layer is a slip, and its layer would be laid out as another kind."""
    for pattern in patterns:
        if not any(pattern == path or matches(pattern, path) for path in paths):
            fail(
                f"kinds[{pattern!r}]",
                patterns[pattern],
                "no layer has such a path",
                f"the layers are {', '.join(paths[:8])}",
            )


def matches(pattern: str, path: str) -> bool:
    """A glob whose * stays within one step of a path, and whose ** does not."""
    steps = re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", "[^.]*")
    return re.fullmatch(steps, path) is not None
