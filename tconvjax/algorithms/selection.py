"""The choice among the algorithms, and the reasons for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from tconvjax.algorithms.costs import estimate
from tconvjax.algorithms.elementwise import terms
from tconvjax.algorithms.product import splits_of
from tconvjax.algorithms.splitting import Split
from tconvjax.arguments import ints
from tconvjax.errors import fail
from tconvjax.forward import ROLES, Partial
from tconvjax.geometry import Geometry, check_geometry

NAMES = ("direct", "patches", "polyphase", "taps")
MOST_PIECES = 128
"""Slices, or terms of a sum, of one program: XLA takes seconds to compile a thousand."""

MOST_PAIRS = 16
"""Pairs of channels in a group, up to which "taps" is no waste."""
MARGIN = 0.9
"""What is chosen over "patches" has to be so much faster. An estimate errs by as much; and in a
training step XLA makes the copies of "patches" once for conv and kernel_gradient, which the
estimate of one does not know."""


@dataclass(frozen=True)
class Candidate:
    """An algorithm as `plan` sees it.

    Args:
        algorithm: a key of `ALGORITHMS`.
        seconds: what it is expected to take on a CPU; None where there is no estimate.
        note: what it does here, or why it is not considered.
    """

    algorithm: str
    seconds: float | None
    note: str


@dataclass(frozen=True)
class Plan:
    """What ``algorithm="auto"`` means, and why.

    Args:
        algorithm: the choice.
        reason: why, in words.
        candidates: all algorithms, the fastest first.
    """

    algorithm: str
    reason: str
    candidates: tuple[Candidate, ...]


def select_algorithm(
    geometry: Geometry,
    partial: Partial,
    dtype: Any = jnp.float32,
    platform: str | None = None,
    batch: int = 1,
) -> str:
    """The algorithm that ``algorithm="auto"`` means.

    On a GPU or TPU it is "direct", whose transposes are the forms that XLA hands to cuDNN and to
    the matrix units; but on a GPU "polyphase" or "patches" where XLA would write the zeros of a
    stride or dilation out before it asks cuDNN. On a CPU it is the one that a small model of their
    costs expects to be fastest; its constants were measured by ``benchmarks/algorithms.py``. What
    this does not know is a mesh: on one whose devices cannot share the batch evenly, where space is
    likely to be split, the operation takes "direct", which exchanges halos and gathers nothing.

    Args:
        geometry: the convolution.
        partial: "conv", "conv_transpose" or "kernel_gradient".
        dtype: of the operands.
        platform: "cpu", "cuda", "rocm" or "tpu"; None for the default backend.
        batch: images; it decides little.

    Returns:
        A key of `ALGORITHMS`.

    Raises:
        GeometryError: if there is no such partial, or an argument is of another kind.

    Examples:
        >>> steps = {"stride": 2, "padding": 1, "groups": 64}
        >>> depthwise = Geometry.of_conv_transpose((64, 56, 56), (64, 1, 4, 4), **steps)
        >>> select_algorithm(depthwise, "conv_transpose", platform="cpu")
        'taps'
        >>> select_algorithm(depthwise, "conv_transpose", platform="tpu")
        'direct'
    """
    return plan(geometry, partial, dtype, platform, batch).algorithm


def plan(
    geometry: Geometry,
    partial: Partial,
    dtype: Any = jnp.float32,
    platform: str | None = None,
    batch: int = 1,
) -> Plan:
    """What ``algorithm="auto"`` means, what each candidate is expected to take, and why.

    Args:
        geometry: the convolution.
        partial: "conv", "conv_transpose" or "kernel_gradient".
        dtype: of the operands.
        platform: "cpu", "cuda", "rocm" or "tpu"; None for the default backend.
        batch: images; it decides little.

    Returns:
        The plan; its seconds are those of the machine of the measurement, good to compare.

    Raises:
        GeometryError: if there is no such partial, or an argument is of another kind.

    Examples:
        >>> steps = {"stride": 2, "padding": 1, "groups": 64}
        >>> depthwise = Geometry.of_conv_transpose((64, 56, 56), (64, 1, 4, 4), **steps)
        >>> plan(depthwise, "conv_transpose", platform="cuda").reason
        "XLA finds cuDNN's transposes of ungrouped convolutions only"
    """
    check_choice("partial", partial, ROLES)
    check_geometry(geometry)
    dtype = _dtype_of(dtype)
    batch = ints("batch", batch, 1, 0)[0]
    if platform is not None and not isinstance(platform, str):
        fail("platform", platform, "it must be a name", "give 'cpu', 'cuda', 'rocm' or 'tpu'")
    platform = platform or jax.default_backend()
    if platform != "cpu":
        name, reason = _on_an_accelerator(partial, geometry, dtype, platform)
        return Plan(name, reason, tuple(_elsewhere(n, name, geometry, partial) for n in NAMES))
    candidates = [_candidate(name, geometry, partial, dtype, batch) for name in NAMES]
    candidates.sort(key=lambda c: math.inf if c.seconds is None else c.seconds)
    if not jnp.issubdtype(dtype, jnp.inexact) and partial != "conv":
        candidates.sort(key=lambda c: c.algorithm != "patches")
        reason = "JAX derives no transposes for integers, and a product needs none"
        return Plan("patches", reason, tuple(candidates))
    best = candidates[0]
    product = next(c for c in candidates if c.algorithm == "patches")
    if best.seconds is None:
        return Plan("direct", "nothing else compiles in reasonable time", tuple(candidates))
    if product.seconds is None or best.seconds < MARGIN * product.seconds:
        return Plan(best.algorithm, "the least of the estimates for a CPU", tuple(candidates))
    reason = "the least of the estimates for a CPU, or close to it"
    return Plan("patches", reason, tuple(candidates))


def _on_an_accelerator(
    partial: Partial, geometry: Geometry, dtype: Any, platform: str
) -> tuple[str, str]:
    """The choice on a GPU or TPU, and why; by XLA's source, since none has been measured."""
    if platform not in ("cuda", "rocm", "gpu"):  # jax.default_backend() says "gpu" for either
        return "direct", f"XLA lays convolutions of every form out for a {platform} device"
    if not jnp.issubdtype(dtype, jnp.inexact):
        return "patches", "cuDNN convolves no integers"
    if geometry.rank > 3:
        return "patches", "cuDNN convolves three axes at most"
    why = _off_the_fast_path(partial, geometry)
    if not why:
        return (
            "direct",
            f"XLA hands its two convolution forms to the library of a {platform} device",
        )
    if all(Split(axis).shifts == 1 for axis in geometry.axes):
        return "patches", why
    return ("direct" if unfit("polyphase", partial, geometry) else "polyphase"), why


def _off_the_fast_path(partial: Partial, geometry: Geometry) -> str:
    """Why XLA would spread an array with zeros for cuDNN; nothing if it would not.

    What it looks for is in ``MatchBackwardInput`` and ``MatchBackwardFilter`` of XLA's
    ``conv_kind_assignment.cc``, and what it does without in ``conv_padding_legalization.cc``.
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
    """A candidate on a GPU or TPU, of which no costs were measured."""
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
    """What an algorithm does."""
    phases = math.prod(split.phases for split in map(Split, geometry.axes))
    return {
        "direct": _xla(partial),
        "patches": _sides(geometry),
        "polyphase": f"a convolution of stride 1 over {phases} phases",
        "taps": "a fused sum of products, element by element",
    }[name]


def unfit(name: str, partial: Partial, geometry: Geometry) -> str:
    """Why an algorithm is not considered; nothing if it is."""
    splits = tuple(map(Split, geometry.axes))
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
    on_y = [split.on_y for split in splits_of(geometry)]
    side = "y" if all(on_y) else "x" if not any(on_y) else "y, then x"
    return f"one matrix product; shifts laid out on {side}"


def _dtype_of(value: Any) -> Any:
    """A dtype, however it is spelled."""
    try:
        return jnp.dtype(value)
    except Exception:  # noqa: BLE001 - NumPy refuses by several
        return fail("dtype", value, "it must be a dtype", "give jnp.float32, say")


def check_choice(argument: str, value: Any, choices: Any) -> None:
    """Raise GeometryError unless a name is one of the choices."""
    if not isinstance(value, str) or value not in choices:
        fail(argument, value, f"the choices are {', '.join(map(str, choices))}", "use one of them")
