"""Kernel layouts of the frameworks, and the conversion between them.

A layer's kernel joins the C channels of its input to the M channels of its result. Frameworks
differ in the order of the axes and in one more respect. Some store the kernel of the *forward*
convolution that is transposed (PyTorch, ONNX, Keras, TensorFlow). Others store the kernel of the
convolution of the dilated input that computes the same; its taps run backwards, and its groups are
on the other channel axis (`jax.lax`, Flax, Haiku, Equinox).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tconvjax.arguments import choice, whole
from tconvjax.errors import array_of, fail, kind_of


@dataclass(frozen=True)
class KernelLayout:
    """The order of the axes of a transposed layer's kernel.

    Args:
        axes: the letters C (channels of the layer's input), M (of its result) and * (the taps).
        backwards: whether this is the kernel of a convolution of the dilated input, with its taps
            in reverse order and its groups on M. Otherwise it is the forward convolution's, with
            its groups on C: it then holds all C channels and M / groups of the result's.
    """

    axes: str
    backwards: bool = False

    def spec(self, rank: int) -> tuple[int, ...]:
        """The positions of C, M and the taps."""
        letters = list(self.axes.replace("*", "*" * rank))
        taps = letters.index("*")
        return (letters.index("C"), letters.index("M"), *range(taps, taps + rank))

    def words(self) -> str:
        """The shape, for people."""
        names = {"C": "C", "M": "M", "*": "*kernel_size"}
        return f"({', '.join(names[letter] for letter in self.axes)})"


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
"""Layouts of transposed kernels by framework. ``jax.lax`` and Flax have a second layout, with
``transpose_kernel=True``. Haiku's does not depend on its ``data_format``."""


def convert_kernel(kernel: Any, source: str, target: str, *, groups: int = 1) -> Any:
    """Convert a transposed layer's kernel to another framework's layout.

    The forward kernel w (C, M / groups, *k) and the backward kernel v (M, C / groups, *k) satisfy
    v[m, c, t] = w[c, m, k - 1 - t] in each group; apart from that only the order of axes changes.

    Args:
        kernel: array of two channel axes and one or more axes of taps, any dtype. PyTorch tensors
            and Keras variables are read as NumPy arrays.
        source: key in `KERNELS`, the layout of ``kernel``.
        target: key in `KERNELS`, the layout of the result.
        groups: blocks of channels of the layer; they move when the channel axis that holds them
            changes.

    Returns:
        A JAX array if ``kernel`` is one, also under ``jit``; otherwise a contiguous NumPy array.

    Raises:
        GeometryError: if there is no such layout, or groups do not divide the channels.

    Examples:
        >>> w = np.arange(12).reshape(2, 3, 2)  # PyTorch: 2 channels in, 3 out, 2 taps
        >>> convert_kernel(w, "torch", "equinox").shape
        (3, 2, 2)
        >>> convert_kernel(w, "torch", "flax")[:, 0, 0].tolist()  # the taps run backwards
        [1, 0]
    """
    before = KERNELS[choice("source", source, tuple(KERNELS))]
    after = KERNELS[choice("target", target, tuple(KERNELS))]
    traced = isinstance(kernel, jax.Array)
    w = kernel if traced else numbers("kernel", kernel, "give an array")
    if w.ndim < 3:
        rule = "a kernel has two channel axes and at least one axis of taps"
        fail("kernel", array_of(w.shape), rule, "give a convolution's kernel")
    groups = whole("groups", groups, 1)
    came, go = before.spec(w.ndim - 2), after.spec(w.ndim - 2)
    check_kernel_groups(w, came, before.backwards, groups)
    if before.backwards == after.backwards:
        w = w.transpose([came[go.index(n)] for n in range(w.ndim)])
    else:
        w = turned(w, groups, came, go, before.backwards)
    return w if traced else np.ascontiguousarray(w)


def turned(w: Any, groups: int, came: Sequence[int], go: Sequence[int], backwards: bool) -> Any:
    """Turn a kernel around; ``came`` and ``go`` are the positions of (C, M, *taps) in w and after.

    If not ``backwards``, w is the forward convolution's kernel, whose groups are on C.
    """
    if backwards:
        came, go = ((m, c, *taps) for c, m, *taps in (came, go))
    w = w.transpose(came)[:, :, *(slice(None, None, -1),) * (w.ndim - 2)]
    first, second, *taps = w.shape
    if groups > 1:
        w = w.reshape(groups, first // groups, second, *taps).swapaxes(0, 1)
        w = w.reshape(first // groups, groups * second, *taps)
    return w.transpose([go.index(n) for n in range(w.ndim)])


def check_kernel_groups(w: Any, spec: Sequence[int], backwards: bool, groups: int) -> None:
    """Groups must divide the channel axis that holds them."""
    position = spec[1 if backwards else 0]
    if w.shape[position] % groups:
        rule = f"it must divide the {w.shape[position]} channels of axis {position} of the kernel "
        fail("groups", groups, f"{rule}of shape {w.shape}", "give the groups of the layer")


def numbers(name: str, value: Any, remedy: str) -> Any:
    """Any framework's array of numbers as a NumPy array."""
    try:
        array = _as_numpy(value)
    except Exception:  # noqa: BLE001 - ragged lists, tracers, tensors without data
        array = np.empty((), object)
    if array.dtype == np.dtype("V2"):  # NumPy's files keep only the bytes of a bfloat16
        array = array.view(jnp.bfloat16)
    # NumPy's kind of bfloat16 is V, like that of records.
    if array.dtype.kind not in "biufcV" or array.dtype.type is np.void:
        fail(name, kind_of(value), "it is not an array of numbers", remedy)
    return array


def _as_numpy(value: Any) -> Any:
    """An array as NumPy's, without importing its framework."""
    if hasattr(value, "detach"):  # a PyTorch tensor
        value = value.detach().cpu()
        if str(value.dtype) == "torch.bfloat16":  # NumPy has none; float32 holds it exactly
            return value.float().numpy().astype(jnp.bfloat16)
        return value.resolve_conj().numpy() if value.is_complex() else value.numpy()
    if hasattr(value, "path") and hasattr(value, "value"):  # a Keras variable
        return _as_numpy(value.value)
    if hasattr(value, "numpy") and not isinstance(value, np.ndarray):  # TensorFlow
        return np.asarray(value.numpy())
    return np.asarray(value)
