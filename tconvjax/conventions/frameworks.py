"""The frameworks whose layers can be read and written, and the translation between them.

To add a framework:

1. Write a file of its name, as ``torch.py`` is, or ``haiku.py`` for channels last: read and
   write its arguments, a `Framework` with its names for them, and the function that people
   call.
2. List the framework below, its kernel in `KERNELS` (``kernels.py``) and its function in
   ``conventions/__init__.py``.
3. Name it in the docstring of `translate`, in the three tables of ``docs/use/porting.md`` and in
   ``docs/reference/conventions.md``; the README counts the functions.
4. Compare its function with the original in ``tests/conformance/test_peers.py``; its package joins
   the extra "peers" of ``pyproject.toml``. (TensorFlow is not run there.) The tests of all
   frameworks find it: ``tests/test_porting.py`` asks which paddings it takes and where its
   channels lie, and ``tests/test_bad_input.py`` for an example of each argument.
5. To convert the weights of its models too, say in ``states.py`` how it names and lays out its
   arrays, and in ``models.py`` how to find the layers of a model.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from tconvjax.arguments import choice, frozen, ints
from tconvjax.conventions.base import Arguments, Framework, Reader, by_concept
from tconvjax.conventions.equinox import EQUINOX
from tconvjax.conventions.flax import FLAX
from tconvjax.conventions.haiku import HAIKU
from tconvjax.conventions.keras import KERAS
from tconvjax.conventions.lax import LAX
from tconvjax.conventions.layer import Layer, cut
from tconvjax.conventions.onnx import ONNX
from tconvjax.conventions.tf import TF
from tconvjax.conventions.torch import TORCH
from tconvjax.errors import fail, meant
from tconvjax.geometry import Geometry


def _read_own(reader: Reader) -> Layer:
    axes, groups = reader.steps(), reader.groups()
    mode: Any = choice("padding_mode", reader.value("padding_mode", "zeros"), ("zeros", "circular"))
    padding, size = reader.value("padding", 0), reader.value("output_size")
    # Only a wanted size and a period have other ends for every input size.
    same = size is None and mode == "zeros"
    data = (10**9,) * len(axes) if same else reader.sizes(f"padding={padding!r}")
    geometry = Geometry.of_conv_transpose(
        (groups, *data),
        (groups, 1, *(axis.kernel_size for axis in axes)),
        stride=reader.ints("stride", 1),
        dilation=reader.ints("dilation", 1),
        groups=groups,
        padding=padding,
        output_padding=reader.ints("output_padding", 0, 0),
        output_size=size,
        padding_mode=mode,
    )
    return Layer(cut(axes, geometry.padding), groups, mode)


TCONVJAX = Framework(
    name="tconvjax",
    title="tconvjax",
    call="tconvjax.conv_transpose",
    names=by_concept(
        "kernel_size stride padding output_padding output_size dilation groups padding_mode"
    ),
    data="(N, C, *size), or as dimension_numbers says",
    read=_read_own,
    write=lambda layer, _: {"padding": layer.crops, "padding_mode": layer.mode},
    lacks={"kernel_size": ""},
)
FRAMEWORKS: Mapping[str, Framework] = {
    framework.name: framework
    for framework in (TCONVJAX, TORCH, KERAS, TF, ONNX, LAX, FLAX, HAIKU, EQUINOX)
}
"""All frameworks by name; tconvjax's own arguments are read and written like those of any other."""


def translate(
    arguments: Arguments, source: str, target: str, *, input_size: Sequence[int] | None = None
) -> dict[str, Any]:
    """Express a transposed layer in another framework's arguments.

    Both give stride * (n - 1) + span - low - high elements from n, with the same low and high.

    Args:
        arguments: the layer's arguments under the source's names; omitted ones have the source's
            defaults. The kernel's size is one of them, under the source's name for it
            ("kernel_size" for "lax" and "tf", which read it off the kernel). Channels and the flag
            for a bias are kept where both frameworks have them.
        source: "tconvjax", "torch", "keras", "tf", "onnx", "lax", "flax", "haiku" or "equinox".
        target: one of the same names.
        input_size: spatial sizes of the layer's input. Needed if the arguments specify a size of
            the result (``output_size``, ``output_shape``), and for the target "tf", which requires
            one.

    Returns:
        Arguments of the target's layer; for "tconvjax", "lax" and "tf" of its call, which reads the
        kernel's size off the kernel. "lax" and "flax" get ``transpose_kernel=True``, so their
        kernels have the layouts "lax_transpose_kernel" and "flax_transpose_kernel" of
        `convert_kernel`, unless ``transpose_kernel`` is False in the result. TensorFlow's
        output_shape holds the spatial sizes.

    Raises:
        GeometryError: if the source would refuse the arguments, or the target cannot express the
            layer; the message says why.

    Examples:
        >>> torch = {"kernel_size": (4, 4), "stride": 2, "padding": 1}
        >>> translate(torch, "torch", "keras")["padding"]
        'same'
        >>> translate(torch, "torch", "lax")["padding"]  # what is added around the dilated input
        ((2, 2), (2, 2))
        >>> translate({**torch, "padding": 2, "output_padding": 1}, "torch", "keras")
        Traceback (most recent call last):
            ...
        tconvjax.GeometryError: padding=((2, 1), (2, 1)): Keras cannot express it: ...
    """
    layer = read_layer(arguments, source, input_size)
    writer = FRAMEWORKS[choice("target", target, tuple(FRAMEWORKS))]
    sizes = None if input_size is None else ints("input_size", input_size, layer.rank, 1)
    return writer.arguments(layer, sizes)


def read_layer(arguments: Arguments, source: str, input_size: Sequence[int] | None = None) -> Layer:
    """Read a framework's arguments into the neutral form.

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
    framework = FRAMEWORKS[choice("source", source, tuple(FRAMEWORKS))]
    names = framework.names
    if not isinstance(arguments, Mapping):
        fail("arguments", arguments, "it must be a mapping of argument names", "give a dictionary")
    known = {*names.values(), *framework.extras}
    for name in arguments:
        if name not in known:
            rule = f"{framework.call} has no such argument, or it is not needed here"
            others = ", ".join(sorted(known))
            fail(name, arguments[name], rule, meant(name, known, f"give {others}"))
    rank = _rank(arguments, framework)
    sizes = None if input_size is None else ints("input_size", input_size, rank, 1)
    layer = framework.read(Reader(arguments, names, rank, sizes))
    silent = ("in_channels", "out_channels", "bias")  # which do not change the values
    about = {c: arguments[names[c]] for c in silent if names.get(c, "") in arguments}
    return dataclasses.replace(layer, about=about)


def _rank(arguments: Arguments, framework: Framework) -> int:
    """The number of spatial axes, from the kernel's size or from an argument of its own."""
    name = framework.names["kernel_size"]
    size = frozen(name, arguments.get(name))
    if isinstance(size, tuple) and size:
        return len(size)
    rank = arguments.get(framework.names.get("rank", ""))
    if not size or not (isinstance(rank, int) or framework.name == "flax"):
        fail(name, size, "it determines the number of axes", "give one int per axis")
    return 1 if rank is None else int(rank)
