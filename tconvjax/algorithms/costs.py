"""The cost model of a CPU: seconds of an algorithm as a sum of constants times work.

``costs.json`` has a line for each algorithm, partial and layout, with the seconds that each kind of
work takes. ``benchmarks/choice.py --fit`` measures it, on layers drawn at random.
"""

from __future__ import annotations

import functools
import json
import math
from collections.abc import Mapping, Sequence
from importlib import resources

from tconvjax.algorithms.patches import at_once, parts_of, sides_of
from tconvjax.algorithms.phases import Split, splits_of
from tconvjax.algorithms.shifts import additions, gatherings
from tconvjax.algorithms.taps import MOST_SUMMANDS, in_phases, terms, turns_of, unrolled
from tconvjax.layouts import Recipe

COMPILING = 0.2, 0.005
"""Seconds to compile a program, and more for each of its pieces."""

COMPILING_SUMS = 1.3e-5
"""Seconds for each pair of pieces that are padded before they are added up."""

VECTOR = 16
"""Columns of a matrix product that a core computes together."""

FRESH = 2**22
"""Elements of the largest X or Y whose pages the next call finds still mapped."""


def estimate(algorithm: str, recipe: Recipe, batch: int) -> float:
    """Estimated seconds on a CPU with two cores; infinity where no line was fitted."""
    costs, done = lines().get(line(algorithm, recipe)), work(algorithm, recipe, batch)
    if costs is None:
        return math.inf
    return sum(seconds * done[kind] for kind, seconds in costs.items())


@functools.cache
def lines() -> Mapping[str, Mapping[str, float]]:
    """The measured constants."""
    text = resources.files("tconvjax.algorithms").joinpath("costs.json").read_text("utf-8")
    found: Mapping[str, Mapping[str, float]] = json.loads(text)["lines"]
    return found


def line(algorithm: str, recipe: Recipe) -> str:
    """The name of the line that applies; one convolution of XLA's is the same for all."""
    if algorithm == "direct":
        return algorithm
    kind = " depthwise" if recipe.depthwise else ""
    if algorithm == "taps" and in_phases(recipe):
        kind = " in phases"
    if recipe.depthwise and recipe.partial == "conv_transpose" and _one_shift(recipe):
        kind += " of one shift"  # XLA makes an elementwise loop of the product
    layout = "first" if recipe.channels_first else "last"
    return f"{algorithm} {recipe.partial} {layout}{kind}"


def _one_shift(recipe: Recipe) -> bool:
    """Whether no element of x is written by two taps."""
    return all(split.shifts == 1 for split in splits_of(recipe.geometry))


def pieces(algorithm: str, recipe: Recipe) -> int:
    """Slices or summands of a program, which decide how long it compiles."""
    if algorithm == "taps":
        return unrolled(recipe)
    if algorithm == "patches":
        sides = [sides_of(part.geometry) for part in parts_of(recipe)]
        loops = [loop for splits in sides for y in (False, True) for loop in gatherings(splits, y)]
        return sum(math.prod(len(step.parts) for step in loop) for loop in loops)
    splits = splits_of(recipe.geometry)
    return sum(split.phases for split in splits) if algorithm == "polyphase" else 1


def compile_seconds(algorithm: str, recipe: Recipe) -> float:
    """Estimated seconds to trace and compile an algorithm."""
    count = pieces(algorithm, recipe)
    sums = algorithm == "taps" and recipe.partial == "conv_transpose" and not in_phases(recipe)
    return COMPILING[0] + COMPILING[1] * count + (COMPILING_SUMS * count**2 if sums else 0)


def work(algorithm: str, recipe: Recipe, batch: int) -> dict[str, int | float]:
    """How much of each kind of work an algorithm does, each a key of its lines."""
    geometry = recipe.geometry
    x, y = (batch * math.prod(shape) for shape in (geometry.in_shape, geometry.out_shape))
    done: dict[str, int | float] = {
        "call": 1,
        "x": x,
        "y": y,
        "w": math.prod(geometry.kernel_shape),
    }
    if algorithm == "taps":
        return done | _of_taps(recipe, batch)
    if algorithm == "direct":
        return done | _of_direct(recipe, batch)
    parts = [_of_patches(part, batch) for part in parts_of(recipe)]
    return done | {kind: sum(part[kind] for part in parts) for kind in parts[0]}


def multiplications(recipe: Recipe, batch: int) -> int:
    """Multiplications of the definition, with those of borders."""
    geometry = recipe.geometry
    return batch * math.prod(geometry.out_size) * math.prod(geometry.kernel_shape)


def _of_direct(recipe: Recipe, batch: int) -> dict[str, int | float]:
    """Of a convolution, or a transpose of stride 1, which is one: elements read, and products."""
    geometry, back = recipe.geometry, recipe.partial == "conv_transpose"
    places = batch * math.prod(geometry.in_size if back else geometry.out_size)
    before, after = geometry.in_channels, geometry.out_channels
    before, after = (after, before) if back else (before, after)
    read = places * math.prod(geometry.kernel_size) * before
    elements = batch * (math.prod(geometry.in_shape) + math.prod(geometry.out_shape))
    return {
        "x": places * before,
        "y": places * after,
        "X": read,
        "products": read * VECTOR * -(-after // VECTOR),
        "turned": elements if recipe.channels_first else 0,
    }


def _of_patches(recipe: Recipe, batch: int) -> dict[str, int | float]:
    """The matrices X and Y of a part, how often their elements are looked for, and the product."""
    geometry, splits = recipe.geometry, sides_of(recipe.geometry)
    c, o = geometry.in_channels // geometry.groups, geometry.out_channels // geometry.groups
    rows = batch * math.prod(s.rows for s in splits)
    columns = math.prod(s.x_taps for s in splits) * c, math.prod(s.y_taps for s in splits) * o
    large_x, large_y = (rows * n * geometry.groups for n in columns)
    # An overlap-add looks for the elements of x in every shift, a gathering for those of X.
    adds = recipe.partial == "conv_transpose"
    between, sought = _passed(splits, adds)
    each = batch * geometry.in_channels
    inner = max(geometry.out_size[-1] if recipe.channels_first else c, 1)
    width = columns[0] if adds else columns[1]
    products = rows * columns[0] * columns[1] * geometry.groups
    return {
        "X": large_x * (columns[0] > c) + each * between,
        "Y": large_y * (columns[1] > o),
        "sought": each * sought,
        "runs": large_x / inner,
        "products": products / width * VECTOR * -(-width // VECTOR),
        "fresh": large_x + large_y if at_once(recipe, batch) > FRESH else 0,
    }


def _passed(splits: Sequence[Split], adds: bool) -> tuple[int, int]:
    """Elements of x between loops, and all that are written, each as often as it is looked for."""
    loops = additions(splits, False) if adds else gatherings(splits, False)
    sizes, between, sought = [split.all_rows * split.slots for split in splits], 0, 0
    for n, loop in enumerate(loops):
        before = math.prod(sizes)
        for step in loop:
            rows, taps = step.rows[1] - step.rows[0], sum(part.length for part in step.parts)
            sizes[step.axis] = rows * taps
        between += before if n else 0
        sought += (before if adds else math.prod(sizes)) * math.prod(len(s.parts) for s in loop)
    return between, sought


def _of_taps(recipe: Recipe, batch: int) -> dict[str, int | float]:
    """Products, summands, and the elements of the result that are read and written once more."""
    geometry, splits = recipe.geometry, splits_of(recipe.geometry)
    if in_phases(recipe):
        return _of_phases(recipe, batch)
    passes = recipe.partial == "conv_transpose"
    dilated = recipe.partial != "conv" and max(geometry.dilation) > 1
    products, shifts = multiplications(recipe, batch), math.prod(s.shifts for s in splits)
    summands = terms(recipe.partial, geometry)
    turns = shifts if recipe.partial == "kernel_gradient" else 0
    passed = batch * _padded(recipe) * geometry.out_channels // geometry.groups * shifts
    if recipe.partial == "conv":  # each turn of its loop reads and writes y
        each = geometry.in_channels // geometry.groups
        passed = batch * math.prod(geometry.out_shape) * turns_of(summands // each, each)
    inner = geometry.out_channels
    if recipe.channels_first and (passes or (recipe.depthwise and recipe.partial == "conv")):
        inner = geometry.out_size[-1]
    elif recipe.partial == "conv":
        in_group = geometry.out_channels // geometry.groups  # channels come last, in groups
        inner = in_group if in_group > 1 else geometry.groups
    return {
        "products": 0 if passes else products,
        "runs": products / max(inner, 1),
        "summands": summands,
        "turns": turns,
        "looped": products if turns > MOST_SUMMANDS else 0,
        "passed": 0 if turns else passed,
        "dilated": batch * _padded(recipe) * math.prod(s.slots for s in splits) if dilated else 0,
    }


def _of_phases(recipe: Recipe, batch: int) -> dict[str, int | float]:
    """Products for all of x, summands, and phases; y and w are small beside them."""
    geometry = recipe.geometry
    phases, count = math.prod(geometry.stride), math.prod(geometry.kernel_size)
    products = batch * math.prod(geometry.in_shape) * count / phases
    last = -(-geometry.in_size[-1] // geometry.stride[-1])
    inner = last if recipe.channels_first else geometry.groups
    return {
        "y": 0,
        "w": 0,
        "products": products,
        "runs": products / max(inner, 1),
        "summands": count,
        "phases": phases,
        "passed": batch * math.prod(geometry.in_shape) * turns_of(-(-count // phases)),
    }


def _padded(recipe: Recipe) -> int:
    """Elements of x in rows and phases, for one image."""
    rows = (split.all_rows * split.slots for split in splits_of(recipe.geometry))
    return recipe.geometry.in_channels * math.prod(rows)
