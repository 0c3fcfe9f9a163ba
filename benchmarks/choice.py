"""Measure the regret of ``algorithm="auto"`` on layers that no list names.

    python benchmarks/choice.py [--layers 200] [--seed 0] [--rounds 3] [--json out.json]

Each layer is drawn at random: one to three axes; dense, grouped or depthwise; kernels of 1 to 64
taps along an axis, strides of 1 to 16, dilations, 1 to 512 channels, batches, both layouts, float32
and bfloat16. For each partial, every algorithm that compiles within a budget is timed, in turns.
The regret of "auto" is its time over that of the best algorithm. A fit of the cost model must use
another seed than the judgement, so that they never see the same layers. With --tuned, each partial
is first timed as `plan(..., measure=True)` does it, and what that takes is judged by later times.
With --draw depthwise, all layers are depthwise, half of them with kernels as large as an image.
With --draw few, groups have few channels, but no layer is depthwise.
With --draw networks, they are dense, with kernels of up to nine along each axis, in float32.
With --draw large, they are dense, with few channels and arrays of 2**19 to 2**24 elements.
With --considered, only what "auto" considers is timed, larger programs too.
With --steps, what is timed are training steps: a convolution, its mean square and both gradients,
with "auto" and with each algorithm for all three partials; and the CPU time to compile them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from algorithms import layers as published
from algorithms import recipe_of as recipe_of_case
from scipy.optimize import minimize

import tconvjax as tc
from tconvjax.algorithms.costs import (
    compile_seconds,
    line,
    lines,
    multiplications,
    pieces,
    work,
)
from tconvjax.algorithms.measure import BEHIND, contestants, timed
from tconvjax.algorithms.parts import live
from tconvjax.algorithms.plan import CALLS, in_a_plain_loop, planned, unfit, worth_timing
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

FEW_PAIRS = 64
"""Most pairs of channels in a group of the layers of `few`."""

SMOOTH, ACCURACY, TYPICAL, SHARE = 0.25, 0.1, 0.5, 0.01
"""The fit: logarithms over which a choice is soft, the weight of an estimate's own error, the
logarithm from which that grows no faster than itself, and the least share of a kind at the start.
"""

WEIGHT = 10
"""How often a partial of a known layer counts in the fit; a random one counts once."""

MODELS = Path(__file__).parent / "results" / "layers_fit.json"
"""What ``algorithms.py --considered --json`` measured of its layers, for the fit."""

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


def few(seed: int) -> Iterator[Layer]:
    """Those of the random layers whose groups have few channels but more than one."""
    for layer in drawn(seed):
        recipe = recipe_of(layer, "conv")
        if pairs_of(recipe) <= FEW_PAIRS and not recipe.depthwise:
            yield layer


def large(seed: int) -> Iterator[Layer]:
    """Random dense layers without end with large arrays of few channels, in float32."""
    rng = random.Random(seed)  # noqa: S311 - layers are no secrets

    def log(low: int, high: int) -> int:
        return round(math.exp(rng.uniform(math.log(low), math.log(high))))

    while True:
        rank, kernel = rng.choice((1, 2, 2, 2)), rng.choice((1, 3, 3, 3, 4, 5, 7))
        c, o = (rng.choice((1, 3, 8, 16, 16, 24, 32, 32, 48, 64, 128)) for _ in range(2))
        batch = log(1, 32)
        size = round((log(2**19, 2**24) / batch / max(c, o)) ** (1 / rank))
        geometry = Geometry.of_conv(
            (c, *[size] * rank),
            (o, c, *[kernel] * rank),
            stride=rng.choice((1, 1, 1, 2)),
            padding=(kernel - 1) // 2,
        )
        layer = Layer(geometry, batch, rng.random() < 0.5, "float32")
        if 2 * multiplications(recipe_of(layer, "conv"), batch) <= MOST_OPERATIONS:
            yield layer


DRAWS = {
    "all": drawn,
    "depthwise": depthwise,
    "few": few,
    "networks": networks,
    "large": large,
}


def numbers_of(layer: Layer) -> tuple[str, str, str] | None:
    """The dimension numbers of a layer."""
    letters = "DHW"[-layer.geometry.rank :]
    return (f"N{letters}C", f"{letters}IO", f"N{letters}C") if layer.last else None


def recipe_of(layer: Layer, partial: Partial) -> Recipe:
    """The recipe of a partial of a layer."""
    specs, dtype = layout(numbers_of(layer), layer.geometry.rank), jnp.dtype(layer.dtype)
    return Recipe(partial, layer.geometry, specs, None, dtype, platform=jax.default_backend())


def pairs_of(recipe: Recipe) -> int:
    """Pairs of channels in a group."""
    return math.prod(recipe.geometry.kernel_shape[:2]) // recipe.geometry.groups


def within_budget(name: str, recipe: Recipe, batch: int, most: int = MOST_PIECES) -> bool:
    """Whether an algorithm compiles in some seconds and does not run for many."""
    loops = in_a_plain_loop(name, recipe)
    if name == "polyphase":  # whose transposes JAX derives
        loops = loops or recipe.partial != "conv"
    large = loops and multiplications(recipe, batch) > MOST_OF_A_LOOP
    large = large or (name == "taps" and pairs_of(recipe) > MOST_PAIRS)
    return pieces(name, recipe) <= most and not large


def programs(recipe: Recipe, batch: int, considered: bool) -> dict[str, Callable[[], jax.Array]]:
    """Compiled calls of what "auto" takes and of the algorithms that are within the budget.

    With ``considered``, only those that it takes elsewhere.
    """
    auto, most = planned(recipe, batch).algorithm, MOST_PIECES * (3 if considered else 1)
    names = [n for n in tc.ALGORITHMS if n == auto or within_budget(n, recipe, batch, most)]
    if considered:
        names = [n for n in names if not unfit(n, recipe, batch)]
    return contestants(recipe, batch, names)


def of_step(layer: Layer, rounds: int, considered: bool) -> dict[str, Any]:
    """A row for the training step of a layer: milliseconds, and CPU seconds to compile."""
    g, recipes = layer.geometry, [recipe_of(layer, partial) for partial in ROLES]
    rng = np.random.default_rng(0)
    shapes = (recipes[0].shape(role, layer.batch) for role in ("x", "w"))
    x, w = (jnp.asarray(rng.uniform(-1, 1, shape), layer.dtype) for shape in shapes)

    def loss(x: jax.Array, w: jax.Array, algorithm: str) -> jax.Array:
        y = tc.conv(
            x,
            w,
            stride=g.stride,
            padding=[(axis.low, axis.high) for axis in g.axes],
            dilation=g.dilation,
            groups=g.groups,
            dimension_numbers=numbers_of(layer),
            algorithm=algorithm,
        )
        return jnp.mean(jnp.square(y.astype(jnp.float32)))

    step = jax.jit(jax.value_and_grad(loss, (0, 1)), static_argnums=2)
    calls, compiling = {}, {}
    for name in ("auto", *tc.ALGORITHMS):
        fits = all(within_budget(name, recipe, layer.batch) for recipe in recipes)
        if name == "auto" or (
            fits and not (considered and any(unfit(name, r, layer.batch) for r in recipes))
        ):
            jax.clear_caches()
            start = time.process_time()
            program = step.lower(x, w, name).compile()
            compiling[name] = round(time.process_time() - start, 3)
            calls[name] = lambda program=program: program(x, w)[1][1]
    return row_of(layer, "step", "auto", timed(calls, rounds)) | {"compile_s": compiling}


def of_models() -> Iterator[tuple[Recipe, int, dict[str, float]]]:
    """The partials of `MODELS`, and seconds of each algorithm."""
    table = json.loads(MODELS.read_text("utf-8"))
    for case, order, partial in itertools.product(published(), ("last", "first"), ROLES):
        named = {tuple(key.split()): ms / 1e3 for key, ms in table[case.name][order].items()}
        times = {name: seconds for (of, name), seconds in named.items() if of == partial}
        yield recipe_of_case(case, partial, order == "last"), case.y_shape[0], times


def fit(measured: list[tuple[Recipe, int, dict[str, float]]]) -> dict[str, dict[str, float]]:
    """The constants of each line with which "auto" errs least.

    Its error for two algorithms is the logarithm of the ratio of their times, if the slower one has
    the smaller estimate. A sigmoid makes that smooth, and a part of the loss is the error of the
    estimates themselves, so that these stay seconds.
    """
    names: list[str] = []
    works: list[dict[str, float]] = []
    known: list[tuple[float, float]] = []
    pairs: list[tuple[int, int]] = []
    for recipe, batch, times in ((live(recipe), *rest) for recipe, *rest in measured):
        first = len(names)
        for name in (name for name in times if not unfit(name, recipe, batch)):
            names.append(line(name, recipe))
            works.append(work(name, recipe, batch))
            known.append((times[name], compile_seconds(name, recipe) / CALLS))
        pairs += itertools.combinations(range(first, len(names)), 2)
    of_line, kinds = sorted(set(names)), sorted(set().union(*works))
    done = np.array([[one.get(kind, 0) for kind in kinds] for one in works], float)
    seconds, compiling = np.array(known).T
    at, one, other = np.array([of_line.index(name) for name in names]), *np.array(pairs).T
    ratio = np.log(seconds[one] / seconds[other])
    # Every kind of work that a line has begins with some share of it.
    begin = np.full((len(of_line), len(kinds)), -np.inf)
    for (row, name), (column, kind) in itertools.product(enumerate(of_line), enumerate(kinds)):
        some = (at == row) & (done[:, column] > 0)
        if some.any():
            share = SHARE * np.median(seconds[some] / done[some, column])
            begin[row, column] = np.log(max(lines().get(name, {}).get(kind, 0), share))
    free = np.isfinite(begin)

    def loss(free_ones: jax.Array) -> jax.Array:
        constants = jnp.zeros(begin.shape).at[np.nonzero(free)].set(jnp.exp(free_ones))
        found = jnp.log((done * constants[at]).sum(1) + compiling)
        wrong = jax.nn.sigmoid(-jnp.sign(ratio) * (found[one] - found[other]) / SMOOTH)
        error = jnp.sqrt(1 + ((found - np.log(seconds)) / TYPICAL) ** 2) - 1
        return (jnp.abs(ratio) * wrong).mean() + ACCURACY * error.mean()

    with jax.enable_x64(True):
        both = jax.jit(jax.value_and_grad(loss))
        options = {"maxiter": 1000}
        best = minimize(both, begin[free], jac=True, method="L-BFGS-B", options=options)
    constants = np.zeros(begin.shape)
    constants[free] = np.exp(best.x)
    total = np.array([(done[at == row] * of).sum(0) for row, of in enumerate(constants)])
    kept = total > 1e-4 * total.sum(1, keepdims=True)
    return {
        name: {k: float(f"{c:.3g}") for k, c, keep in zip(kinds, of, keeps, strict=True) if keep}
        for name, of, keeps in zip(of_line, constants, kept, strict=True)
    }


def least(
    costs: Mapping[str, Mapping[str, float]], recipe: Recipe, batch: int, names: Iterable[str]
) -> str:
    """The algorithm whose estimate by these lines is the least."""
    recipe, seconds = live(recipe), {}
    for name in (name for name in names if not unfit(name, recipe, batch)):
        done = work(name, recipe, batch)
        seconds[name] = compile_seconds(name, recipe) / CALLS + sum(
            constant * done[kind] for kind, constant in costs[line(name, recipe)].items()
        )
    return min(seconds, key=seconds.__getitem__)


def unseen(measured: list[tuple[Recipe, int, dict[str, float]]]) -> Iterator[float]:
    """The regret of each half of the partials by a fit to the other half and the known layers."""
    measured = random.Random(5).sample(measured, len(measured))  # noqa: S311 - layers are no secrets
    known = WEIGHT * list(of_models())
    for half in (0, 1):
        costs = fit(measured[half::2] + known)
        for recipe, batch, times in measured[1 - half :: 2]:
            yield times[least(costs, recipe, batch, times)] / min(times.values())


def row_of(
    layer: Layer, partial: str, auto: str, times: Mapping[str, float], tuned: str | None = None
) -> dict[str, Any]:
    """A row of the result: the choice, a measurement's choice, the best, and milliseconds."""
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
    parser.add_argument("--partial", choices=ROLES, nargs="+", help="these alone")
    parser.add_argument("--considered", action="store_true", help="time what 'auto' considers")
    parser.add_argument("--steps", action="store_true", help="time training steps")
    parser.add_argument(
        "--fit", nargs="?", const="", metavar="WORDS", help="write the lines with these words anew"
    )
    parser.add_argument("--halves", action="store_true", help="fit to halves, judge by the others")
    parser.add_argument("--tuned", action="store_true", help="judge a measured choice as well")
    parser.add_argument(
        "--again", type=Path, nargs="*", default=[], help="take the times of --json, measure none"
    )
    options = parser.parse_args()
    others = (
        options.partial,
        options.tuned,
        options.halves,
        options.again,
        options.fit is not None,
    )
    if options.steps and any(others):
        parser.error(
            "--steps: whole steps are timed, and nothing else; leave the options of partials"
        )
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
            auto = planned(recipe, layer.batch).algorithm
            if auto in times:
                rows.append(row_of(layer, partial, auto, times, tuned))
            else:  # an earlier "auto" took another
                print(f"not timed: what is chosen for {partial} of {layer}")
    layers = itertools.islice(DRAWS[kind](seed), count)
    for layer in layers if options.steps else ():
        rows.append(of_step(layer, options.rounds, options.considered))
        print(*(rows[-1][key] for key in ("regret", "layer", "ms", "compile_s")), flush=True)
    for layer, partial in itertools.product(layers, options.partial or ROLES):
        recipe = recipe_of(layer, partial)
        calls = programs(recipe, layer.batch, options.considered)
        worth = (
            [n for n in worth_timing(recipe, layer.batch) if n in calls] if options.tuned else []
        )
        before = timed({n: calls[n] for n in worth}, behind=BEHIND)
        times = timed(calls, options.rounds)
        measured.append((recipe, layer.batch, times))
        auto = planned(recipe, layer.batch).algorithm
        taken = min(before, key=before.__getitem__, default=None)
        rows.append(row_of(layer, partial, auto, times, taken))
        cells = "  ".join(f"{name} {1e3 * t:.3g}" for name, t in times.items())
        head = f"{rows[-1]['regret']:6.2f}  {partial:15} {layer}"
        print(f"{head}: {rows[-1]['auto']} of {cells}", flush=True)
    if options.halves:
        print(f"halves that were not fitted: regret {summary(unseen(measured))}")
    if options.fit is not None:
        # Lines of which nothing was measured stay as they are.
        new = {
            name: of
            for name, of in fit(measured + WEIGHT * list(of_models())).items()
            if options.fit in name
        }
        costs = {"jax": jax.__version__, "lines": dict(sorted({**lines(), **new}.items()))}
        COSTS.write_text(json.dumps(costs, indent=1) + "\n")
    print(f"{len(rows)} partials; regret {summary(row['regret'] for row in rows)}")
    for name in tc.ALGORITHMS if options.steps else ():
        both = [row for row in rows if name in row["ms"]]
        if both:
            ratios = (
                statistics.geometric_mean(row[key][name] / row[key]["auto"] for row in both)
                for key in ("ms", "compile_s")
            )
            print(
                "{} over auto, {} steps: {:.2f}, compiling {:.2f}".format(name, len(both), *ratios)
            )
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
