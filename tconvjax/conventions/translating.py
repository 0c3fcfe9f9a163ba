"""The same layer in another framework's arguments, and the table of those arguments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tconvjax.arguments import frozen, ints
from tconvjax.conventions.equinox import EQUINOX
from tconvjax.conventions.flax import FLAX
from tconvjax.conventions.haiku import HAIKU
from tconvjax.conventions.keras import KERAS
from tconvjax.conventions.lax import LAX
from tconvjax.conventions.layer import Arguments, Framework, Layer, Reader
from tconvjax.conventions.onnx import ONNX
from tconvjax.conventions.own import TCONVJAX
from tconvjax.conventions.tf import TF
from tconvjax.conventions.torch import TORCH
from tconvjax.errors import fail

FRAMEWORKS: Mapping[str, Framework] = MappingProxyType(
    {
        framework.name: framework
        for framework in (TCONVJAX, TORCH, KERAS, TF, ONNX, LAX, FLAX, HAIKU, EQUINOX)
    }
)
"""All the frameworks whose arguments can be read and written."""

_BESIDE = {
    "tf": ("data_format",),
    "keras": ("data_format",),
    "haiku": ("data_format",),
    "flax": ("transpose_kernel",),
    "lax": ("transpose_kernel", "use_consistent_padding"),
}
"""Arguments that decide how others are read, and stand for no concept of their own."""
_READ_OFF = ("tconvjax", "tf", "lax")
"""Who reads the kernel's size off the kernel; `translate` calls it kernel_size."""
_ABOUT = ("in_channels", "out_channels", "bias")


def translate(
    arguments: Arguments, source: str, target: str, *, input_size: Sequence[int] | None = None
) -> dict[str, Any]:
    """The same transposed layer, said in another framework's arguments.

    Both give stride * (n - 1) + span - low - high elements from n, with the same low and high.

    Args:
        arguments: the layer in the source's own argument names, defaults left out as there. The
            kernel's size is among them, under the source's name for it ("kernel_size" where the
            source reads it off the kernel: "lax", "tf"). Channels and the flag for a bias are
            taken over where both frameworks have them.
        source: "tconvjax", "torch", "keras", "tf", "onnx", "lax", "flax", "haiku" or "equinox".
        target: one of these.
        input_size: spatial sizes of the layer's input. Needed where a wanted size is given
            (``output_size``, ``output_shape``), and for "tf" as target, which wants one.

    Returns:
        Arguments of the target. "lax" and "flax" are given ``transpose_kernel=True``, so their
        kernels are `convert_kernel`'s "lax_transpose_kernel" and "flax_transpose_kernel" unless it
        says False; of TensorFlow's output_shape the spatial sizes.

    Raises:
        GeometryError: if the source would refuse the arguments, or the target has no way to say
            the layer; the message says why.

    Examples:
        >>> torch = {"kernel_size": (4, 4), "stride": 2, "padding": 1}
        >>> translate(torch, "torch", "keras")["padding"]
        'same'
        >>> translate(torch, "torch", "lax")["padding"]  # what is added around the dilated input
        ((2, 2), (2, 2))
        >>> translate({**torch, "padding": 2, "output_padding": 1}, "torch", "keras")
        Traceback (most recent call last):
            ...
        tconvjax.GeometryError: padding=((2, 1), (2, 1)): Keras cannot say it: ...
    """
    layer = read_layer(arguments, source, input_size)
    wanted = framework("target", target)
    sizes = None if input_size is None else _sizes(input_size, layer.rank)
    said = wanted.write(layer, sizes)
    about = {wanted.names[k]: v for k, v in layer.about.items() if k in wanted.names}
    return {**about, **said}


def read_layer(arguments: Arguments, source: str, input_size: Sequence[int] | None = None) -> Layer:
    """A layer in neutral terms, from a framework's arguments.

    Args:
        arguments: as in `translate`.
        source: as in `translate`.
        input_size: as in `translate`.

    Returns:
        The layer: for each axis its steps and what is cut off its natural result.

    Raises:
        GeometryError: if the source would refuse the arguments.

    Examples:
        >>> keras = {"kernel_size": (3,), "strides": 2, "padding": "same"}
        >>> read_layer(keras, "keras").crops
        ((0, 1),)
    """
    there = framework("source", source)
    if not isinstance(arguments, Mapping):
        fail(
            "arguments",
            arguments,
            "it must be a mapping of argument names to values",
            "give a dictionary",
        )
    known = {*there.names.values(), *_BESIDE.get(source, ())}
    for name in arguments:
        if name not in known:
            fail(
                name,
                arguments[name],
                f"{there.call} has no such argument that matters here",
                f"give {', '.join(sorted(known))}",
            )
    rank = _rank(arguments, there)
    sizes = None if input_size is None else _sizes(input_size, rank)
    layer = there.read(Reader(arguments, there.names, rank, sizes))
    about = {
        concept: arguments[there.names[concept]]
        for concept in _ABOUT
        if there.names.get(concept, "") in arguments
    }
    return Layer(layer.axes, layer.groups, layer.mode, about)


def framework(argument: str, name: Any) -> Framework:
    """A framework by its key."""
    if not isinstance(name, str) or name not in FRAMEWORKS:
        fail(argument, name, f"the frameworks are {', '.join(FRAMEWORKS)}", "use one of them")
    return FRAMEWORKS[name]


def _rank(arguments: Arguments, there: Framework) -> int:
    """The number of axes: of the kernel's size, or said outright."""
    name = there.names["kernel_size"]
    size = frozen(name, arguments.get(name))
    if isinstance(size, tuple) and size:
        return len(size)
    said = arguments.get(there.names.get("rank", ""))
    if not size or not (isinstance(said, int) or there.name == "flax"):
        fail(name, size, "it tells the number of axes", "give one int per axis")
    return 1 if said is None else int(said)


def _sizes(input_size: Sequence[int], rank: int) -> tuple[int, ...]:
    return ints("input_size", input_size, rank, 1)


def argument_table() -> str:
    """The arguments of all frameworks side by side, as a Markdown table.

    Returns:
        One row for each framework, from the data that `translate` reads.

    Examples:
        >>> argument_table().splitlines()[0].count("|")
        11
    """
    heads = {
        "kernel_size": "kernel size",
        "stride": "stride",
        "padding": "padding",
        "output_padding": "output padding",
        "output_size": "result's size",
        "dilation": "dilation",
        "groups": "groups",
        "mode": "rims",
    }
    lines = [
        "| | " + " | ".join((*heads.values(), "kernel")) + " |",
        "|---" * (len(heads) + 2) + "|",
    ]
    for there in FRAMEWORKS.values():
        cells = [f"`{there.names[c]}`" if c in there.names else "—" for c in heads]
        if there.name in _READ_OFF:
            cells[0] = "the kernel's"
        if there.name == "lax":  # it is the call-alike here that has them
            cells[list(heads).index("groups")] = "—"
        turned = ", taps backwards" if there.kernel.backwards else ""
        cells.append(f"`{there.kernel.words(1)}`{turned}")
        lines.append(f"| `{there.name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def padding_table() -> str:
    """What each framework means by its padding, as a Markdown table.

    Returns:
        One row for each framework.

    Examples:
        >>> "added around the dilated input" in padding_table()
        True
    """
    rows = [
        f"| `{there.name}` | {there.call} | {there.data} | {there.padding} |".replace("*", "\\*")
        for there in FRAMEWORKS.values()
    ]
    return "\n".join(["| | call | data | padding |", "|---|---|---|---|", *rows])
