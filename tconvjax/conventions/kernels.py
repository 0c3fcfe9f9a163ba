"""Where the axes of a kernel stand in each framework, and the way from one to another.

In the layer's own words a kernel joins C channels of its input to M channels of its result. The
frameworks differ in the order of the axes and in one thing more: some hold the kernel of the
*forward* convolution, which is transposed (PyTorch, ONNX, Keras, TensorFlow), others the kernel of
the convolution of the dilated input that computes the same, whose taps run backwards and whose
groups lie on the other channel axis (`jax.lax`, Flax, Haiku, Equinox).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from tconvjax.arguments import whole
from tconvjax.errors import array_of, fail, kind_of
from tconvjax.geometry import group_count

MOST_AXES = 62
"""Of a kernel: NumPy's arrays have two more, for the channels."""


def axis_count(name: str, value: Any) -> int:
    """How many spatial axes there are."""
    if not 1 <= whole(name, value) <= MOST_AXES:
        fail(name, value, f"there are from 1 to {MOST_AXES} spatial axes", "give 2 for images")
    return int(value)


@dataclass(frozen=True)
class KernelLayout:
    """The axes of a transposed layer's kernel.

    Args:
        axes: the letters C (channels of the layer's input), M (of its result) and * (the taps).
        backwards: whether it is the kernel of a convolution of the dilated input, with its taps in
            reverse order and its groups on M; else it is the forward convolution's, with its
            groups on C, which holds all input channels then and M / groups of the result's.

    Raises:
        GeometryError: if the letters are others, or ``backwards`` is no bool.
    """

    axes: str
    backwards: bool = False

    def __post_init__(self) -> None:
        """Refuse letters that are no axes of a kernel."""
        if not isinstance(self.axes, str) or sorted(self.axes) != sorted("CM*"):
            fail("axes", self.axes, "they are the letters C, M and *, in some order", "give 'CM*'")
        if not isinstance(self.backwards, bool):
            fail("backwards", self.backwards, "it is yes or no", "give True or False")

    def spec(self, rank: int) -> tuple[int, ...]:
        """The positions of C, M and the taps.

        Raises:
            GeometryError: if the rank is no number of spatial axes.
        """
        rank = axis_count("rank", rank)
        taps = self.axes.index("*")
        after = {letter: self.axes.index(letter) for letter in "CM"}
        moved = {letter: n + (rank - 1 if n > taps else 0) for letter, n in after.items()}
        return (moved["C"], moved["M"], *range(taps, taps + rank))

    def words(self, groups: int) -> str:
        """The shape, for people.

        Raises:
            GeometryError: if groups are no whole number of at least 1.
        """
        grouped = {"C": "C", "M": "M"}
        if group_count(groups) > 1:
            grouped["C" if self.backwards else "M"] += f" / {groups}"
        letters = {**grouped, "*": "*kernel_size"}
        return f"({', '.join(letters[letter] for letter in self.axes)})"


KERNELS: Mapping[str, KernelLayout] = MappingProxyType(
    {
        "tconvjax": KernelLayout("CM*"),
        "torch": KernelLayout("CM*"),
        "onnx": KernelLayout("CM*"),
        "keras": KernelLayout("*MC"),
        "tf": KernelLayout("*MC"),
        "lax": KernelLayout("*CM", backwards=True),
        "lax_transpose_kernel": KernelLayout("*MC"),
        "flax": KernelLayout("*CM", backwards=True),
        "flax_transpose_kernel": KernelLayout("*MC"),
        "haiku": KernelLayout("*MC", backwards=True),
        "equinox": KernelLayout("MC*", backwards=True),
    }
)
"""The layouts of transposed kernels. ``jax.lax`` and Flax have a second one, with
``transpose_kernel=True``. Haiku's is the same whatever its ``data_format``."""


def turned(w: Any, groups: int, came: Sequence[int], go: Sequence[int]) -> Any:
    """From the forward convolution's kernel to that of the dilated input's, or back.

    Args:
        w: NumPy or JAX array.
        groups: blocks of channels.
        came: where (C, M, *taps) stand, the groups on C; (M, C, *taps) and on M for the way back.
        go: where they are to stand afterwards, in the same order.

    Returns:
        An array of the same kind, with its taps reversed and its groups on the other channel axis.
    """
    w = w.transpose(came)[:, :, *(slice(None, None, -1),) * (w.ndim - 2)]
    first, second, *taps = w.shape
    if groups > 1:
        w = w.reshape(groups, first // groups, second, *taps).swapaxes(0, 1)
        w = w.reshape(first // groups, groups * second, *taps)
    return w.transpose([go.index(n) for n in range(w.ndim)])


def convert_kernel(kernel: Any, source: str, target: str, *, groups: int = 1) -> Any:
    """A transposed layer's kernel, as another framework wants it.

    The forward kernel w (C, M / groups, *k) and the backward one v (M, C / groups, *k) are tied by
    v[m, c, t] = w[c, m, k - 1 - t], group by group; all else is the order of the axes.

    Args:
        kernel: array of two channel axes and one axis or more of taps, any dtype; PyTorch tensors,
            JAX and Keras arrays are read through NumPy.
        source: a key of `KERNELS`: whose layout it has.
        target: a key of `KERNELS`: whose layout is wanted.
        groups: blocks of channels of the layer; it decides where groups change axes.

    Returns:
        A NumPy array, contiguous.

    Raises:
        GeometryError: if there is no such framework, or groups do not divide the channels.

    Examples:
        >>> w = np.arange(12).reshape(2, 3, 2)  # PyTorch: 2 channels in, 3 out, 2 taps
        >>> convert_kernel(w, "torch", "equinox").shape
        (3, 2, 2)
        >>> convert_kernel(w, "torch", "flax")[:, 0, 0].tolist()  # the taps run backwards
        [1, 0]
    """
    w = numbers("kernel", kernel, "give its kernel as NumPy's; under jit use relaid")
    if w.ndim < 3:
        fail(
            "kernel",
            array_of(w.shape),
            "a kernel has two channel axes and at least one axis of taps",
            "give a convolution's kernel",
        )
    return np.ascontiguousarray(relaid(w, source, target, groups))


def relaid(w: Any, source: str, target: str, groups: int) -> Any:
    """`convert_kernel` for NumPy and JAX arrays alike, under ``jit`` too.

    Args:
        w: a kernel of two channel axes and one axis or more of taps, laid out as ``source`` says.
        source: a key of `KERNELS`.
        target: a key of `KERNELS`.
        groups: blocks of channels of the layer, at least 1.

    Returns:
        An array of the same kind and dtype, laid out as ``target`` says.

    Raises:
        GeometryError: if there is no such layout, or groups do not divide the channels.
    """
    there, wanted = kernel_layout("source", source), kernel_layout("target", target)
    groups = group_count(groups)
    if getattr(w, "ndim", 0) < 3 or not hasattr(w, "transpose"):
        fail(
            "w",
            kind_of(w),
            "a kernel is an array of two channel axes and at least one axis of taps",
            "give a convolution's kernel",
        )
    came, go = there.spec(w.ndim - 2), wanted.spec(w.ndim - 2)
    check_kernel_groups(w, came, there.backwards, groups)
    if there.backwards == wanted.backwards:
        return w.transpose([came[go.index(n)] for n in range(w.ndim)])
    if there.backwards:
        came, go = _exchanged(came), _exchanged(go)
    return turned(w, groups, came, go)


def _exchanged(spec: tuple[int, ...]) -> tuple[int, ...]:
    return (spec[1], spec[0], *spec[2:])


def check_kernel_groups(w: Any, spec: Sequence[int], backwards: bool, groups: int) -> None:
    """Groups must divide the channel axis that they lie on."""
    position = spec[1 if backwards else 0]
    if w.shape[position] % groups:
        fail(
            "groups",
            groups,
            f"it must divide the {w.shape[position]} channels of axis "
            f"{position} of the kernel of shape {w.shape}",
            "give the groups of the layer",
        )


def kernel_layout(argument: str, name: Any) -> KernelLayout:
    """A framework's kernel layout, by its key."""
    if not isinstance(name, str) or name not in KERNELS:
        fail(argument, name, f"the kernel layouts are {', '.join(KERNELS)}", "use one of them")
    return KERNELS[name]


def as_numpy(value: Any) -> Any:
    """An array of any framework as NumPy's, without importing that framework."""
    if hasattr(value, "detach"):  # a PyTorch tensor
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":  # NumPy has none; float32 holds it exactly
            import ml_dtypes

            return value.float().numpy().astype(ml_dtypes.bfloat16)
        return value.resolve_conj().numpy() if value.is_complex() else value.numpy()
    if hasattr(value, "path") and hasattr(value, "value"):  # a variable of Keras
        return as_numpy(value.value)
    if hasattr(value, "numpy") and not isinstance(value, np.ndarray):  # TensorFlow
        return np.asarray(value.numpy())
    return np.asarray(value)


def numbers(name: str, value: Any, remedy: str) -> Any:
    """`as_numpy` of numbers; anything else is refused under its name."""
    try:
        array = as_numpy(value)
    except Exception:  # noqa: BLE001 - ragged lists, tracers, tensors without data
        array = np.empty((), object)
    # bfloat16 is a V to NumPy, as are records.
    if array.dtype.kind not in "biufcV" or array.dtype.type is np.void:
        fail(name, kind_of(value), "it is no array of numbers", remedy)
    return array
