"""Choose an algorithm, and say why."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import jax.numpy as jnp

from tconvjax.algorithms import ALGORITHMS, records
from tconvjax.algorithms.costs import compile_seconds, estimate, multiplications
from tconvjax.algorithms.parts import live
from tconvjax.algorithms.patches import in_blocks, parts_of, sides_of
from tconvjax.algorithms.phases import splits_of
from tconvjax.geometry import Geometry
from tconvjax.layouts import Partial, Recipe
from tconvjax.shown import Lines

LONGEST = 60.0
"""Estimated seconds to compile above which an algorithm is not considered."""

MOST_OF_A_LOOP = 1e8
"""Products of the largest plain loop of XLA's that is measured: up to a second."""

LANES = 8
"""Channels that XLA's convolution takes together."""

CALLS = 50_000
"""Calls among which the time to compile is shared: a second to compile counts as 20 us a call."""


@dataclass(frozen=True)
class Candidate:
    """An algorithm as `plan` sees it.

    Args:
        algorithm: a key of `ALGORITHMS`.
        seconds: the measured time; or on a CPU the estimated one, with a share of the time to
            compile; None where there is neither.
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


def planned(recipe: Recipe, batch: int) -> Plan:
    """The plan for a recipe of a known platform, with the operands' dtype."""
    recipe = replace(recipe, algorithm="auto")
    plan, seconds = estimated(recipe, batch), records.known(live(recipe), batch)
    if ALGORITHMS.keys().isdisjoint(seconds):
        return plan
    timed = [
        replace(c, seconds=seconds[c.algorithm], note=_note(c.algorithm, recipe))
        if c.algorithm in seconds
        else replace(c, seconds=None)
        for c in plan.candidates
    ]
    timed.sort(key=_seconds)
    reason = "the fastest of those that were measured on this machine"
    return replace(plan, algorithm=timed[0].algorithm, reason=reason, candidates=tuple(timed))


@functools.lru_cache(maxsize=4096)
def estimated(recipe: Recipe, batch: int) -> Plan:
    """The plan without regard to what was measured."""
    if (smaller := live(recipe)) != recipe:
        plan = estimated(smaller, batch)
        few, all_taps = (math.prod(r.geometry.kernel_size) for r in (smaller, recipe))
        reason = f"{plan.reason}; {few} of {all_taps} taps read more than padding"
        return replace(plan, reason=reason)
    exact = not jnp.issubdtype(recipe.dtype, jnp.inexact)
    partial, platform = recipe.partial, recipe.platform
    if not recipe.on_cpu:
        name, reason = _on_an_accelerator(partial, recipe.geometry, exact, platform)
        notes = dict.fromkeys(ALGORITHMS, "not considered: written for a CPU")
        notes |= {n: _note(n, recipe) for n in ("direct", name)}
        candidates = [Candidate(n, None, note) for n, note in notes.items()]
        return Plan(partial, platform, name, reason, tuple(candidates))
    candidates = [_candidate(name, recipe, batch) for name in ALGORITHMS]
    candidates.sort(key=_seconds)
    name, reason = candidates[0].algorithm, "the least of the estimates for a CPU"
    if exact and partial != "conv":
        candidates.sort(key=lambda c: c.algorithm != "patches")
        name, reason = "patches", "JAX derives no transposes for integers, and a product needs none"
    elif candidates[0].seconds is None:
        name, reason = "direct", "nothing else compiles in reasonable time"
    return Plan(partial, platform, name, reason, tuple(candidates))


def worth_timing(recipe: Recipe, batch: int) -> list[str]:
    """The algorithms that a measurement compares: all but those that compile or run for long."""
    recipe = live(recipe)
    names = [name for name in ALGORITHMS if compile_seconds(name, recipe) <= LONGEST]
    if not jnp.issubdtype(recipe.dtype, jnp.inexact) and recipe.partial != "conv":
        names = [name for name in names if name in ("patches", "taps")]
    elif recipe.on_cpu and multiplications(recipe, batch) > MOST_OF_A_LOOP:
        names = [name for name in names if not in_a_plain_loop(name, recipe)]
    choice = estimated(replace(recipe, algorithm="auto"), batch).algorithm
    return names if choice in names else [*names, choice]


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
    as_forward = all(axis.out_size <= axis.kernel_size for axis in geometry.axes)
    if strided and partial == "kernel_gradient" and as_forward:
        # ``LooksLikeForwardConvolution`` in XLA's ``conv_kind_assignment.cc`` compares y with the
        # kernel. A forward convolution has the stride as its dilation, whose zeros XLA writes out.
        why = "XLA takes the gradient of a kernel as large as y for a forward convolution"
        return "patches", why
    why = _off_the_fast_path(partial, geometry)
    if not why and platform == "rocm" and strided and partial == "conv_transpose":
        why = "MIOpen's strided transposes are slow (ROCm/MIOpen#3952)"
    if not why:
        library = f"the library of a {platform} device"
        return "direct", f"XLA hands its two convolution forms to {library}"
    if all(split.shifts == 1 for split in splits_of(geometry)):
        return "patches", why
    return "polyphase", why


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


def _seconds(candidate: Candidate) -> float:
    return math.inf if candidate.seconds is None else candidate.seconds


def _candidate(name: str, recipe: Recipe, batch: int) -> Candidate:
    objection = unfit(name, recipe, batch)
    if objection:
        return Candidate(name, None, f"not considered: {objection}")
    seconds = estimate(name, recipe, batch) + compile_seconds(name, recipe) / CALLS
    return Candidate(name, seconds, _note(name, recipe))


def _note(name: str, recipe: Recipe) -> str:
    """What an algorithm does, in a few words."""
    phases = math.prod(split.phases for split in splits_of(recipe.geometry))
    parts = parts_of(recipe)
    products = f"{len(parts)} matrix products" if len(parts) > 1 else "one matrix product"
    sides = [split for part in parts for split in sides_of(part.geometry)]
    on_y = [split.on_y for split in sides if split.shifts > 1]
    side = "x" if not any(on_y) else "y" if all(on_y) else "y, then x"
    return {
        "direct": "one convolution of XLA's" + ("" if recipe.partial == "conv" else ", transposed"),
        "patches": f"{products}; shifts laid out on {side}",
        "polyphase": f"a convolution of stride 1 over {phases} phases",
        "taps": "a fused sum of products, element by element",
    }[name]


def unfit(name: str, recipe: Recipe, batch: int) -> str:
    """Why an algorithm is not considered on a CPU; "" if it is."""
    if name == "polyphase" or (name == "direct" and not _suits_xla(recipe, batch)):
        return 'on a CPU it seldom beats the product of "patches"'
    one = recipe.depthwise and math.prod(recipe.geometry.kernel_size) == 1
    if name == "patches" and one and recipe.partial != "kernel_gradient":
        return "a tap for each channel is a factor, and needs no product"
    seconds = compile_seconds(name, recipe)
    return f"it would take {seconds:.0f} s to compile" if seconds > LONGEST else ""


def _suits_xla(recipe: Recipe, batch: int) -> bool:
    """Whether a CPU may compute a partial faster by XLA's convolution than by a product.

    XLA's fast kernels take whole vectors of channels. What a product computes at once is left to
    it, because it shares its copies with the other partials of a training step.
    """
    geometry = recipe.geometry
    channels = geometry.in_channels, geometry.out_channels
    return (
        recipe.partial != "kernel_gradient"
        and not in_a_plain_loop("direct", recipe)
        and math.prod(geometry.kernel_size) > 1
        and all(count % LANES == 0 for count in channels)
        and in_blocks(recipe, batch)
    )


def in_a_plain_loop(name: str, recipe: Recipe) -> bool:
    """Whether XLA runs the convolution of an algorithm as a plain loop on a CPU.

    It has fast ones of float32 over one or two axes without groups (Eigen's, and YNNPACK's over
    two), and none that skips the zeros between the elements of y.
    """
    if name not in ("direct", "polyphase"):
        return False
    geometry = recipe.geometry
    spread = name == "direct" and recipe.partial == "conv_transpose" and max(geometry.stride) > 1
    return spread or geometry.rank > 2 or geometry.groups > 1 or recipe.dtype != jnp.float32
