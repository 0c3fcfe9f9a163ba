"""The layers that are timed: their shapes, their arrays and their exact results."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from tconvjax.command.arguments import CommandError
from tconvjax.geometry import Axis, Geometry

Numbers: TypeAlias = np.ndarray[Any, Any]
Task: TypeAlias = Literal["forward", "step", "eager"]

TASKS: dict[Task, str] = {
    "forward": "the output, compiled",
    "step": "the output and both gradients, compiled",
    "eager": "the output, called without jit",
}

PARTIALS: dict[Task, int] = {"forward": 1, "step": 3, "eager": 1}
"""How many partials of the trilinear form a task computes."""


@dataclasses.dataclass(frozen=True)
class Case:
    """One layer of a published model: z = conv_transpose(y, w, **arguments).

    Args:
        name: what it is called.
        source: the model that it is taken from.
        y_shape: (N, O, *out_size).
        w_shape: (O, C / groups, *kernel_size).
        arguments: the keywords of `tconvjax.conv_transpose`.
    """

    name: str
    source: str
    y_shape: tuple[int, ...]
    w_shape: tuple[int, ...]
    arguments: dict[str, Any]

    @property
    def geometry(self) -> Geometry:
        """The convolution that the layer transposes."""
        return Geometry.of_conv_transpose(self.y_shape, self.w_shape, **self.arguments)

    @property
    def x_shape(self) -> tuple[int, ...]:
        """(N, C, *in_size), the shape of the layer's output."""
        return (self.y_shape[0], *self.geometry.in_shape)

    def arrays(self, seed: int = 0, dtype: str = "float32") -> tuple[Numbers, Numbers, Numbers]:
        """x, w and y, normally distributed; x is the cotangent of a training step.

        Args:
            seed: of the random numbers.
            dtype: "float32" or "bfloat16".

        Returns:
            NumPy arrays, channels first.
        """
        rng = np.random.default_rng(seed)
        shapes = (self.x_shape, self.w_shape, self.y_shape)
        x, w, y = (rng.normal(size=shape).astype(np.float32).astype(_dtype(dtype))
                   for shape in shapes)  # fmt: skip
        return x, w, y

    def flops(self, task: Task) -> int:
        """Floating-point operations of the definition, before the padding cuts any of them off."""
        return 2 * PARTIALS[task] * math.prod(self.y_shape) * math.prod(self.w_shape[1:])

    def bytes(self, task: Task, itemsize: int = 4) -> int:
        """Bytes of every operand read once and every result written once."""
        x, w, y = (math.prod(shape) for shape in (self.x_shape, self.w_shape, self.y_shape))
        return itemsize * (2 * (x + w + y) if task == "step" else x + w + y)

    def with_batch(self, factor: int) -> Case:
        """The same layer on ``factor`` times as many examples."""
        n, *rest = self.y_shape
        return dataclasses.replace(self, y_shape=(factor * n, *rest))

    def with_pixels(self, factor: int) -> Case:
        """The same layer on ``factor`` times as many pixels; a power of 2, spread over the axes."""
        sizes = list(self.y_shape[2:])
        for doubling in range(factor.bit_length() - 1):
            sizes[doubling % len(sizes)] *= 2
        return dataclasses.replace(self, y_shape=(*self.y_shape[:2], *sizes))


def cases() -> list[Case]:
    """Every layer of ``cases.json``, in its order."""
    text = (Path(__file__).parent / "cases.json").read_text(encoding="utf-8")
    return [_case(**one) for one in json.loads(text)["cases"]]


def chosen(names: Sequence[str] | None) -> list[Case]:
    """The cases of these names.

    Args:
        names: as ``cases.json`` has them; None or none at all for every case.

    Returns:
        The cases, in the order of the names.

    Raises:
        CommandError: if a name is no case.
    """
    known = {case.name: case for case in cases()}
    for name in names or ():
        if name not in known:
            raise CommandError(
                f"--case: there is no case {name!r}; the cases are {', '.join(known)}"
            )
    return [known[name] for name in (names or known)]


def _case(
    name: str, n: int, c_in: int, c_out: int, spatial: list[int], kernel: int, **rest: Any
) -> Case:
    source = rest.pop("from")
    w_shape = (c_in, c_out // rest.get("groups", 1), *(kernel,) * len(spatial))
    return Case(name, source, (n, c_in, *spatial), w_shape, rest)


def _dtype(name: str) -> Any:
    if name == "float32":
        return np.float32
    import ml_dtypes  # comes with jax; NumPy alone has no bfloat16

    return ml_dtypes.bfloat16


# -- the right answer ------------------------------------------------------------------------------


def exact(case: Case, arrays: tuple[Numbers, Numbers, Numbers]) -> tuple[Numbers, Numbers, Numbers]:
    """The output z and its gradients in float64, one matrix product for each tap.

    It shares nothing with what it checks: not the library's code, not JAX.

    Args:
        case: the layer.
        arrays: x, w and y, as `Case.arrays` gives them; x is the cotangent of z.

    Returns:
        z = conv_transpose(y, w), dy = conv(x, w) and dw = kernel_gradient(x, y).
    """
    there = case.geometry
    x, w, y = (np.asarray(array, np.float64) for array in arrays)
    x, y = _grouped(x, there.groups), _grouped(y, there.groups)  # (groups, channels, N, *sizes)
    taps = w.reshape(there.groups, -1, *w.shape[1:])  # (groups, O / groups, C / groups, *k)
    z, dy, dw = np.zeros_like(x), np.zeros_like(y), np.zeros_like(taps)
    for tap in np.ndindex(*there.kernel_size):
        ranges = [_met(axis, t) for axis, t in zip(there.axes, tap, strict=True)]
        inner: Any = (..., *(inputs for inputs, _ in ranges))
        outer: Any = (..., *(outputs for _, outputs in ranges))
        here: Any = (..., *tap)
        weight = taps[here]
        z[inner] += _product(weight.swapaxes(1, 2), y[outer])
        dy[outer] += _product(weight, x[inner])
        dw[here] += _flat(y[outer]) @ _flat(x[inner]).swapaxes(1, 2)
    return _ungrouped(z), _ungrouped(dy), dw.reshape(w.shape)


def _met(axis: Axis, tap: int) -> tuple[slice, slice]:
    """The elements of x, and those of y, that a tap connects: input = stride * i + shift."""
    shift = axis.dilation * tap - axis.low
    first = max(-(shift // axis.stride), 0)
    stop = max(min((axis.in_size - 1 - shift) // axis.stride + 1, axis.out_size), first)
    start, end = axis.stride * first + shift, axis.stride * (stop - 1) + shift + 1
    return slice(start, max(end, start), axis.stride), slice(first, stop)


def _product(weight: Numbers, data: Numbers) -> Numbers:
    """Mix the channels of each group."""
    return (weight @ _flat(data)).reshape(data.shape[0], weight.shape[1], *data.shape[2:])


def _flat(data: Numbers) -> Numbers:
    return data.reshape(*data.shape[:2], -1)


def _grouped(data: Numbers, groups: int) -> Numbers:
    moved = data.swapaxes(0, 1)
    return moved.reshape(groups, -1, *moved.shape[1:])


def _ungrouped(data: Numbers) -> Numbers:
    return data.reshape(-1, *data.shape[2:]).swapaxes(0, 1)
