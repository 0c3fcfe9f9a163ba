"""Choose an algorithm, and say why."""

from __future__ import annotations

import functools
import json
import math
import operator
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Any

import jax
import jax.numpy as jnp

from tconvjax.algorithms import ALGORITHMS
from tconvjax.algorithms.patches import copied, sides_of
from tconvjax.algorithms.phases import splits_of
from tconvjax.algorithms.taps import terms
from tconvjax.arguments import choice, text, whole
from tconvjax.geometry import Geometry, check_geometry
from tconvjax.layouts import ROLES, Partial
from tconvjax.operands import dtype_of
from tconvjax.shown import Lines

MOST_PIECES = 128
"""Maximum number of slices or summands in one program; XLA needs seconds to compile a thousand."""

MOST_PAIRS = 16
"""Largest number of channel pairs per group for which "taps" is considered."""

MARGIN = 0.9
"""An algorithm replaces "patches" only if its estimate is below this fraction of the estimate for
"patches". Estimates are off by about 10 %, and they do not account for copies that XLA shares
between conv and kernel_gradient in a training step."""


@dataclass(frozen=True)
class Candidate:
    """An algorithm as `plan` sees it.

    Args:
        algorithm: a key of `ALGORITHMS`.
        seconds: the estimated time on a CPU; None where there is no estimate.
        note: what the algorithm does here, or why it is not considered.
    """

    algorithm: str
    seconds: float | None
    note: str


@dataclass(frozen=True)
class Plan(Lines):
    """What ``algorithm="auto"`` means for a partial, and why.

    Args:
        partial: which partial it is for.
        platform: what it is for, such as "cpu".
        algorithm: the choice.
        reason: why it was chosen.
        candidates: all algorithms, the fastest first.
    """

    partial: Partial
    platform: str
    algorithm: str
    reason: str
    candidates: tuple[Candidate, ...]

    def __str__(self) -> str:
        """The choice, the reason, and a line for each candidate."""
        lines = [f"{self.partial} on {self.platform}: {self.algorithm}", f"  {self.reason}"]
        for c in self.candidates:
            mark = "*" if c.algorithm == self.algorithm else " "
            time = "" if c.seconds is None else f"{1e3 * c.seconds:.3g} ms"
            lines.append(f"  {mark} {c.algorithm:10}{time:>10}  {c.note}")
        return "\n".join(lines)


def plan(
    geometry: Geometry,
    partial: Partial,
    dtype: Any = jnp.float32,
    platform: str | None = None,
    batch: int = 1,
) -> Plan:
    """Say which algorithm ``algorithm="auto"`` takes, the time of each candidate, and why.

    On a CPU it is the algorithm that a small model of the costs expects to be fastest; its
    constants were measured by ``benchmarks/algorithms.py``. On a GPU or TPU it is "direct", whose
    transposes are the forms that XLA hands to cuDNN and to the matrix units. On a GPU it is
    "polyphase" or "patches" where XLA would first write out the zeros of a stride or dilation.

    A plan knows no mesh. If the devices of a mesh cannot share the batch evenly, space is probably
    split; the operation then takes "direct", which exchanges halos and gathers nothing.

    Args:
        geometry: the convolution.
        partial: "conv", "conv_transpose" or "kernel_gradient".
        dtype: of the operands.
        platform: "cpu", "cuda", "rocm" or "tpu"; None for the default backend.
        batch: batch size. It rarely changes the choice.

    Returns:
        The plan. Its times are those of the machine of the measurement; compare them with one
        another only.

    Raises:
        GeometryError: if there is no such partial, or an argument is of another kind.

    Examples:
        >>> steps = {"stride": 2, "padding": 1, "groups": 64}
        >>> depthwise = Geometry.of_conv_transpose((64, 56, 56), (64, 1, 4, 4), **steps)
        >>> plan(depthwise, "conv_transpose", platform="cpu").algorithm
        'taps'
        >>> plan(depthwise, "conv_transpose", platform="cuda").reason
        "XLA finds cuDNN's transposes of ungrouped convolutions only"
    """
    choice("partial", partial, tuple(ROLES))
    platform = text("platform", jax.default_backend() if platform is None else platform)
    return planned(
        check_geometry(geometry),
        partial,
        dtype_of("dtype", dtype),
        platform,
        whole("batch", batch, 0),
    )


@functools.lru_cache(maxsize=4096)
def planned(geometry: Geometry, partial: Partial, dtype: Any, platform: str, batch: int) -> Plan:
    """The plan for checked arguments."""
    exact = not jnp.issubdtype(dtype, jnp.inexact)
    if platform != "cpu":
        name, reason = _on_an_accelerator(partial, geometry, exact, platform)
        candidates = [_elsewhere(n, name, geometry, partial) for n in ALGORITHMS]
        return Plan(partial, platform, name, reason, tuple(candidates))
    candidates = [_candidate(name, geometry, partial, dtype, batch) for name in ALGORITHMS]
    candidates.sort(key=lambda c: math.inf if c.seconds is None else c.seconds)
    best = candidates[0]
    product = next(c for c in candidates if c.algorithm == "patches")
    if exact and partial != "conv":
        candidates.sort(key=lambda c: c.algorithm != "patches")
        name, reason = "patches", "JAX derives no transposes for integers, and a product needs none"
    elif best.seconds is None:
        name, reason = "direct", "nothing else compiles in reasonable time"
    elif product.seconds is None or best.seconds < MARGIN * product.seconds:
        name, reason = best.algorithm, "the least of the estimates for a CPU"
    else:
        name, reason = "patches", "the least of the estimates for a CPU, or close to it"
    return Plan(partial, platform, name, reason, tuple(candidates))


def _on_an_accelerator(
    partial: Partial, geometry: Geometry, exact: bool, platform: str
) -> tuple[str, str]:
    """The choice on a GPU or TPU, and why; it follows XLA's source, since none was measured."""
    if platform not in ("cuda", "rocm", "gpu"):  # jax.default_backend() says "gpu" for either
        return "direct", f"XLA lays convolutions of every form out for a {platform} device"
    if exact:
        return "patches", "cuDNN convolves no integers"
    if geometry.rank > 3:
        return "patches", "cuDNN convolves three axes at most"
    strided = max(geometry.stride) > 1
    if strided and partial == "kernel_gradient" and _reads_as_forward(geometry):
        return (
            "patches",
            "XLA takes the gradient of a kernel as large as y for a forward convolution",
        )
    why = _off_the_fast_path(partial, geometry)
    if not why and platform == "rocm" and strided and partial == "conv_transpose":
        why = "MIOpen's strided transposes are slow (ROCm/MIOpen#3952)"
    if not why:
        library = f"the library of a {platform} device"
        return "direct", f"XLA hands its two convolution forms to {library}"
    if all(split.shifts == 1 for split in splits_of(geometry)):
        return "patches", why
    return ("direct" if unfit("polyphase", partial, geometry) else "polyphase"), why


def _reads_as_forward(geometry: Geometry) -> bool:
    """Whether XLA takes a kernel gradient for a forward convolution with y as its kernel.

    ``LooksLikeForwardConvolution`` in XLA's ``conv_kind_assignment.cc`` compares y with the kernel.
    A forward convolution has the stride as its dilation, whose zeros XLA writes out.
    """
    return all(axis.out_size <= axis.kernel_size for axis in geometry.axes)


def _off_the_fast_path(partial: Partial, geometry: Geometry) -> str:
    """Why XLA would write out zeros before it calls cuDNN; "" if it would not.

    ``MatchBackwardInput`` and ``MatchBackwardFilter`` in XLA's ``conv_kind_assignment.cc`` look for
    cuDNN's transposes; ``conv_padding_legalization.cc`` writes out the zeros of everything else.
    """
    if max(geometry.stride) == 1:
        return ""
    if max(geometry.dilation) > 1:
        return "XLA writes out the zeros of a dilation, and of the stride with it"
    if partial == "conv":
        return ""
    if geometry.groups > 1:
        return "XLA finds cuDNN's transposes of ungrouped convolutions only"
    if partial == "conv_transpose" and any(axis.low >= axis.span for axis in geometry.axes):
        return "XLA finds no transpose of cuDNN's where the padding is wider than the kernel"
    return ""


def _elsewhere(name: str, chosen: str, geometry: Geometry, partial: Partial) -> Candidate:
    """A candidate on a GPU or TPU, where no costs were measured."""
    if name in ("direct", chosen):
        return Candidate(name, None, _note(name, geometry, partial))
    return Candidate(name, None, "not considered: written for a CPU")


def _xla(partial: Partial) -> str:
    return "one convolution of XLA's" + ("" if partial == "conv" else ", transposed")


def _candidate(
    name: str, geometry: Geometry, partial: Partial, dtype: Any, batch: int
) -> Candidate:
    objection = unfit(name, partial, geometry)
    if objection:
        return Candidate(name, None, f"not considered: {objection}")
    seconds = estimate(name, partial, geometry, dtype, batch)
    return Candidate(name, seconds, _note(name, geometry, partial))


def _note(name: str, geometry: Geometry, partial: Partial) -> str:
    """What an algorithm does, in a few words."""
    phases = math.prod(split.phases for split in splits_of(geometry))
    return {
        "direct": _xla(partial),
        "patches": _sides(geometry),
        "polyphase": f"a convolution of stride 1 over {phases} phases",
        "taps": "a fused sum of products, element by element",
    }[name]


def unfit(name: str, partial: Partial, geometry: Geometry) -> str:
    """Why an algorithm is not considered; "" if it is."""
    splits = splits_of(geometry)
    pairs = geometry.in_channels * geometry.out_channels // geometry.groups**2
    pieces = 1
    if name == "direct" and partial == "conv_transpose" and max(geometry.stride) > 1:
        return "XLA writes zeros between the elements and multiplies them on a CPU"
    if name == "taps":
        if pairs > MOST_PAIRS:
            return f"{pairs} pairs of channels in a group make a matrix product"
        pieces = terms(partial, geometry)
    if name == "patches":
        pieces = math.prod(split.shifts for split in splits)
    if name == "polyphase":
        if all(split.shifts == 1 for split in splits):
            return 'a convolution of one tap is the product of "patches"'
        pieces = sum(split.phases for split in splits)
    return f"{pieces} pieces would take long to compile" if pieces > MOST_PIECES else ""


def _sides(geometry: Geometry) -> str:
    """Which side "patches" gathers."""
    on_y = [split.on_y for split in sides_of(geometry)]
    side = "y" if all(on_y) else "x" if not any(on_y) else "y, then x"
    return f"one matrix product; shifts laid out on {side}"


# -- the cost model of a CPU -----------------------------------------------------------------------


def estimate(algorithm: str, partial: Partial, geometry: Geometry, dtype: Any, batch: int) -> float:
    """Estimated seconds of an algorithm on the machine of the measurement."""
    constants = lines()[line(algorithm, partial, geometry, dtype)]
    return sum(map(operator.mul, constants, features(algorithm, partial, geometry, batch)))


def features(
    algorithm: str, partial: Partial, geometry: Geometry, batch: int
) -> tuple[int, int, int, int]:
    """The factors of the constants of a line."""
    return (
        operations(algorithm, partial, geometry, batch),
        elements(algorithm, geometry, batch),
        choices(algorithm, partial, geometry, batch),
        1,
    )


def line(algorithm: str, partial: Partial, geometry: Geometry, dtype: Any) -> str:
    """The name of the line of the table that applies."""
    strided = max(geometry.stride) > 1
    if algorithm == "taps":
        kind = "any"
    elif algorithm == "patches":
        kind = "grouped" if geometry.groups > 1 else "plain"
    elif geometry.groups > 1:
        kind = "grouped"
    elif algorithm == "polyphase" and all(split.shifts == 1 for split in splits_of(geometry)):
        kind = "tiles"  # a convolution of one tap, which XLA turns into a product
    elif geometry.rank > 2 or jnp.dtype(dtype) != jnp.float32:
        kind = "looped"  # XLA's fast convolution takes one or two axes of float32
    elif algorithm == "direct" and partial == "conv_transpose" and strided:
        kind = "dilated"
    else:
        kind = "line" if geometry.rank == 1 else "plane"
    return f"{algorithm} {partial} {kind}"


def operations(algorithm: str, partial: Partial, geometry: Geometry, batch: int) -> int:
    """Multiplications and additions, including those with borders and zeros."""
    places = math.prod(geometry.out_size)
    if partial == "conv_transpose" and algorithm == "direct":
        # The vjp of a strided convolution writes zeros between the elements of y.
        places = math.prod(geometry.in_size)
    if partial == "conv_transpose" and algorithm == "polyphase":
        places = math.prod(split.all_rows for split in splits_of(geometry))
    return 2 * batch * places * math.prod(geometry.kernel_shape)


def elements(algorithm: str, geometry: Geometry, batch: int) -> int:
    """Elements that an algorithm moves."""
    shapes = (geometry.in_shape, geometry.out_shape, geometry.kernel_shape)
    x, y, w = (math.prod(shape) for shape in shapes)
    moved = batch * (x + y) + w
    if algorithm == "patches":
        splits = sides_of(geometry)
        laid_out = w if any(s.on_y for s in splits) else 0
        return moved + batch * copied(geometry, splits) + laid_out
    return moved + (batch * x + w if algorithm == "polyphase" else 0)


def choices(algorithm: str, partial: Partial, geometry: Geometry, batch: int) -> int:
    """Elements times sources that "patches" gathers or adds up."""
    if algorithm != "patches":
        return 0
    splits = sides_of(geometry)
    sources = math.prod(s.shifts for s in splits)
    if partial == "conv_transpose":
        return batch * math.prod(geometry.in_shape) * sources
    return batch * copied(geometry, splits) * sources


@functools.cache
def lines() -> Mapping[str, tuple[float, ...]]:
    """The measured table."""
    table = json.loads(resources.files("tconvjax.algorithms").joinpath("costs.json").read_text())
    return {name: tuple(constants) for name, constants in table["lines"].items()}
