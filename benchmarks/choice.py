"""Measure the regret of ``algorithm="auto"`` on layers that no list names.

    python benchmarks/choice.py [--layers 200] [--seed 0] [--rounds 3] [--json out.json]

Each layer is drawn at random: one to three axes; dense, grouped or depthwise; kernels of 1 to 64
taps along an axis, strides of 1 to 16, dilations, 1 to 512 channels, batches, both layouts, float32
and bfloat16. For each partial, every algorithm that compiles within a budget is timed, in turns.
The regret of "auto" is its time over that of the best algorithm. A fit of the cost model must use
another seed than the judgement, so that they never see the same layers. With --tuned, each partial
is first timed as `plan(..., measure=True)` does it, and what that takes is judged by later times.
With --draw depthwise, all layers are depthwise, half of them with kernels as large as an image.
With --draw networks, they are dense, with kernels of up to nine along each axis, in float32.
With --considered, only what "auto" considers is timed, larger programs too.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from algorithms import layers as published
from algorithms import measured as measured_case
from algorithms import recipe_of as recipe_of_case
from scipy.optimize import least_squares, nnls

import tconvjax as tc
from tconvjax.algorithms.costs import line, lines, multiplications, pieces, work
from tconvjax.algorithms.measure import BEHIND, contestants, timed
from tconvjax.algorithms.plan import in_a_plain_loop, planned, unfit, worth_timing
from tconvjax.algorithms.records import device
from tconvjax.geometry import Geometry
from tconvjax.layouts import ROLES, Partial, Recipe, layout

MOST_OPERATIONS = 4e9
"""Multiplications and additions of the largest layer drawn: about a tenth of a second of a core."""

MOST_PIECES = 400
"""Slices or summands of the largest program that is compiled; about two seconds."""

MOST_OF_A_LOOP = 1e7
"""Products of the largest convolution that XLA is left to run as a plain loop."""

MOST_PAIRS = 1024
"""Pairs of channels in a group above which element by element is no contestant."""

COSTS = Path(tc.__file__).parent / "algorithms" / "costs.json"


@dataclass(frozen=True)
class Layer:
    """A random layer.

    Args:
        geometry: of the forward convolution.
        batch: images.
        last: whether channels come last.
        dtype: "float32" or "bfloat16".
    """

    geometry: Geometry
    batch: int
    last: bool
    dtype: str

    def __str__(self) -> str:
        """The layer in one line."""
        g = self.geometry
        return (
            f"{self.batch}x{g.in_channels}x{'x'.join(map(str, g.in_size))} to {g.out_channels}, "
            f"k {g.kernel_size} s {g.stride} d {g.dilation} groups {g.groups} "
            f"{'last' if self.last else 'first'} {self.dtype}"
        )


def drawn(seed: int) -> Iterator[Layer]:
    """Random layers without end."""
    rng = random.Random(seed)  # noqa: S311 - layers are no secrets

    def log(low: int, high: int) -> int:
        return round(math.exp(rng.uniform(math.log(low), math.log(high))))

    while True:
        rank = rng.choices((1, 2, 3), (3, 5, 2))[0]
        kind = rng.choice(("dense", "dense", "grouped", "depthwise"))
        k, s = log(1, (64, 24, 6)[rank - 1]), log(1, (16, 8, 3)[rank - 1])
        kernel = [k if rng.random() < 0.8 else log(1, k) for _ in range(rank)]
        stride = [min(s, 2 * one) for one in kernel]
        dilation = [rng.choice((1, 1, 1, 1, 1, 2, 3))] * rank
        c, o = log(1, 512), log(1, 512)
        groups = 1
        if kind == "depthwise":
            groups = o = c
        elif kind == "grouped":
            groups = rng.choice((2, 4, 8))
            c, o = groups * -(-c // groups), groups * -(-o // groups)
        out = [log(1, (4096, 96, 24)[rank - 1]) for _ in range(rank)]
        spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
        low = [rng.choice((0, (span - 1) // 2)) for span in spans]
        sizes = [
            max(st * (n - 1) + span - 2 * p, 1)
            for n, st, span, p in zip(out, stride, spans, low, strict=True)
        ]
        batch = log(1, 32)
        try:
            geometry = Geometry.of_conv(
                (c, *sizes),
                (o, c // groups, *kernel),
                stride=stride,
                padding=low,
                dilation=dilation,
                groups=groups,
            )
        except tc.GeometryError:
            continue
        work = 2 * batch * math.prod(geometry.out_size) * math.prod(geometry.kernel_shape)
        largest = batch * max(math.prod(geometry.in_shape), math.prod(geometry.out_shape))
        if 1e4 <= work <= MOST_OPERATIONS and largest <= 2**24:
            yield Layer(
                geometry, batch, rng.random() < 0.5, rng.choice(("float32",) * 3 + ("bfloat16",))
            )


def depthwise(seed: int) -> Iterator[Layer]:
    """Random depthwise layers without end, every second with a large kernel."""
    rng, others = random.Random(seed), drawn(seed)  # noqa: S311 - layers are no secrets

    def log(low: int, high: int) -> int:
        return round(math.exp(rng.uniform(math.log(low), math.log(high))))

    while True:
        yield next(one for one in others if recipe_of(one, "conv").depthwise)
        while True:
            rank = rng.choices((1, 2, 3), (1, 2, 1))[0]
            c, batch, kernel = log(1, 256), log(1, 8), log(*((16, 512), (5, 48), (3, 9))[rank - 1])
            out = [log(*((8, 2048), (4, 96), (3, 24))[rank - 1])] * rank
            geometry = Geometry.of_conv_transpose(
                (c, *out), (c, 1, *[kernel] * rank), stride=log(1, 4), groups=c
            )
            x, w = batch * math.prod(geometry.in_shape), math.prod(geometry.kernel_shape)
            if x <= 2**22 and 2 * batch * math.prod(out) * w <= MOST_OPERATIONS / 4:
                break
        yield Layer(
            geometry, batch, rng.random() < 0.5, rng.choice(("float32",) * 3 + ("bfloat16",))
        )


def networks(seed: int) -> Iterator[Layer]:
    """Random dense layers without end as networks have them, in float32."""
    rng = random.Random(seed)  # noqa: S311 - layers are no secrets
    while True:
        rank, kernel = rng.choice((1, 2, 2, 2)), rng.choice((1, 3, 3, 4, 5, 7, 9))
        c, o = (2 ** rng.randint(3, 9) for _ in range(2))
        size = round(math.exp(rng.uniform(*map(math.log, ((32, 4096), (7, 128))[rank - 1]))))
        geometry = Geometry.of_conv(
            (c, *[size] * rank),
            (o, c, *[kernel] * rank),
            stride=rng.choice((1, 1, 2)),
            padding=(kernel - 1) // 2,
        )
        batch = round(math.exp(rng.uniform(0, math.log(32))))
        layer = Layer(geometry, batch, rng.random() < 0.5, "float32")
        if 2 * multiplications(recipe_of(layer, "conv"), batch) <= MOST_OPERATIONS:
            yield layer


DRAWS = {"all": drawn, "depthwise": depthwise, "networks": networks}


def recipe_of(layer: Layer, partial: Partial) -> Recipe:
    """The recipe of a partial of a layer."""
    letters = "DHW"[-layer.geometry.rank :]
    numbers = (f"N{letters}C", f"{letters}IO", f"N{letters}C") if layer.last else None
    specs, dtype = layout(numbers, layer.geometry.rank), jnp.dtype(layer.dtype)
    return Recipe(partial, layer.geometry, specs, None, dtype, platform=jax.default_backend())


def within_budget(name: str, recipe: Recipe, batch: int, most: int = MOST_PIECES) -> bool:
    """Whether an algorithm compiles in some seconds and does not run for many."""
    geometry, loops = recipe.geometry, in_a_plain_loop(name, recipe)
    if name == "polyphase":  # whose transposes JAX derives
        loops = loops or recipe.partial != "conv"
    large = loops and multiplications(recipe, batch) > MOST_OF_A_LOOP
    pairs = math.prod(geometry.kernel_shape[:2]) // geometry.groups
    large = large or (name == "taps" and pairs > MOST_PAIRS)
    return pieces(name, recipe) <= most and not large


def programs(recipe: Recipe, batch: int, considered: bool) -> dict[str, Callable[[], jax.Array]]:
    """Compiled calls of what "auto" takes and of the algorithms that are within the budget.

    With ``considered``, only those that it takes elsewhere.
    """
    auto, most = planned(recipe, batch).algorithm, MOST_PIECES * (3 if considered else 1)
    names = [n for n in tc.ALGORITHMS if n == auto or within_budget(n, recipe, batch, most)]
    if considered:
        names = [n for n in names if not unfit(n, recipe)]
    return contestants(recipe, batch, names)


def fit(measured: list[tuple[Recipe, int, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """The constants of each line that make the errors of the logarithms least; none is negative."""
    rows: dict[str, list[tuple[dict[str, float], float]]] = defaultdict(list)
    for recipe, batch, times in measured:
        for name, seconds in times.items():
            if not unfit(name, recipe):
                rows[line(name, recipe)].append((work(name, recipe, batch), seconds))
    return {name: fitted(of_line) for name, of_line in sorted(rows.items())}


def fitted(rows: list[tuple[dict[str, float], float]]) -> dict[str, float]:
    """The constants of one line, from the work of several programs and their seconds."""
    kinds = list(rows[0][0])
    done = np.array([[work[kind] for kind in kinds] for work, _ in rows], float)
    seconds = np.array([t for _, t in rows])
    first, _ = nnls(done / seconds[:, None], np.ones(len(rows)))
    kept = first > 0

    def errors(logarithms: np.ndarray) -> np.ndarray:
        return np.log(done[:, kept] @ np.exp(logarithms) + 1e-9) - np.log(seconds)

    found = least_squares(errors, np.log(first[kept]), loss="soft_l1", f_scale=0.3)
    constants = dict(zip(np.array(kinds)[kept], np.exp(found.x), strict=True))
    mean = done.mean(0)
    share = {kind: c * mean[kinds.index(kind)] for kind, c in constants.items()}
    return {
        str(kind): float(f"{c:.3g}")
        for kind, c in constants.items()
        if share[kind] > 1e-4 * sum(share.values())
    }


def row_of(
    layer: Layer, partial: Partial, times: dict[str, float], tuned: str | None
) -> dict[str, Any]:
    """A row of the result: the choice, a measurement's choice, the best, and milliseconds."""
    auto = planned(recipe_of(layer, partial), layer.batch).algorithm
    best = min(times, key=times.__getitem__)
    row = {"layer": str(layer), "partial": partial, "auto": auto, "best": best}
    row["regret"] = round(times[auto] / times[best], 3)
    if tuned:
        row |= {"tuned": tuned, "regret_tuned": round(times[tuned] / times[best], 3)}
    return row | {"ms": {name: float(f"{1e3 * t:.4g}") for name, t in times.items()}}


def summary(regrets: Iterable[float]) -> str:
    """The regret of many partials in a sentence's words."""
    ordered = sorted(regrets)
    return (
        f"{statistics.geometric_mean(ordered):.3f} in the geometric mean, "
        f"{ordered[int(0.95 * len(ordered))]:.2f} at the 95th percentile, "
        f"{ordered[-1]:.2f} at the worst"
    )


def again(
    found: Mapping[str, Any],
) -> Iterator[tuple[Layer, Partial, dict[str, float], str | None]]:
    """The layers, partials, seconds and measurements' choices of an earlier run."""
    layers = DRAWS[found.get("draw", "all")](found["seed"])
    layer = next(layers)
    for row in found["rows"]:
        while str(layer) != row["layer"]:
            layer = next(layers)
        times = {name: ms / 1e3 for name, ms in row["ms"].items()}
        yield layer, row["partial"], times, row.get("tuned")


def main() -> None:
    """Time random layers and print the regret."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--layers", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--draw", choices=DRAWS, default="all", help="which layers to draw")
    parser.add_argument("--considered", action="store_true", help="time what 'auto' considers")
    parser.add_argument(
        "--fit", nargs="?", const="", metavar="WORDS", help="write the lines with these words anew"
    )
    parser.add_argument("--tuned", action="store_true", help="judge a measured choice as well")
    parser.add_argument(
        "--again", type=Path, nargs="*", default=[], help="take the times of --json, measure none"
    )
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    measured: list[tuple[Recipe, int, dict[str, float]]] = []
    seed, count, kind = options.seed, options.layers, options.draw
    about = {"jax": jax.__version__, "machine": device(True), "draw": kind, "seed": seed}
    for path in options.again:
        found, count = json.loads(path.read_text("utf-8")), 0
        about = {key: found.get(key, about[key]) for key in about}
        seed, kind = about["seed"], about["draw"]
        for layer, partial, times, tuned in again(found):
            recipe = recipe_of(layer, partial)
            measured.append((recipe, layer.batch, times))
            if planned(recipe, layer.batch).algorithm in times:
                rows.append(row_of(layer, partial, times, tuned))
            else:  # an earlier "auto" took another
                print(f"not timed: what is chosen for {partial} of {layer}")
    for layer, partial in itertools.product(itertools.islice(DRAWS[kind](seed), count), ROLES):
        recipe = recipe_of(layer, partial)
        calls = programs(recipe, layer.batch, options.considered)
        worth = (
            [n for n in worth_timing(recipe, layer.batch) if n in calls] if options.tuned else []
        )
        before = timed({n: calls[n] for n in worth}, behind=BEHIND)
        times = timed(calls, options.rounds)
        measured.append((recipe, layer.batch, times))
        rows.append(
            row_of(layer, partial, times, min(before, key=before.__getitem__, default=None))
        )
        cells = "  ".join(f"{name} {1e3 * t:.3g}" for name, t in times.items())
        head = f"{rows[-1]['regret']:6.2f}  {partial:15} {layer}"
        print(f"{head}: {rows[-1]['auto']} of {cells}", flush=True)
    if options.fit is not None:
        if kind == "all":
            for case, partial, last in itertools.product(published(), ROLES, (False, True)):
                seconds = measured_case(case, partial, last, options.rounds)
                measured.append((recipe_of_case(case, partial, last), case.y_shape[0], seconds))
        # Lines of which nothing was measured stay as they are.
        new = {name: of for name, of in fit(measured).items() if options.fit in name}
        costs = {"jax": jax.__version__, "lines": dict(sorted({**lines(), **new}.items()))}
        COSTS.write_text(json.dumps(costs, indent=1) + "\n")
    print(f"{len(rows)} partials; regret {summary(row['regret'] for row in rows)}")
    if all("tuned" in row for row in rows):
        print(f"with a measured file {summary(row['regret_tuned'] for row in rows)}")
    for row in sorted(rows, key=lambda row: -row["regret"])[:10]:
        what = f"{row['partial']:15} {row['layer']}"
        print(f"{row['regret']:8.2f}  {what}: {row['auto']} instead of {row['best']}")
    if options.json:
        text = json.dumps({**about, "rows": rows}, separators=(",", ":"))
        options.json.write_text(text.replace('{"layer"', '\n{"layer"') + "\n")


if __name__ == "__main__":
    sys.exit(main())
