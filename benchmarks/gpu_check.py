"""Check on a GPU what the plan takes from XLA's source: under ten minutes, the most telling first.

    python benchmarks/gpu_check.py [--json gpu.json] [--plans plans.json]

1. Which of cuDNN's kernels each partial of "direct" is compiled to, and whether zeros are written
   out before; no clock.
2. A training step of the layer of openxla/xla#34273, beside `lax` and what else is installed.
3. Steps of ten layers in bfloat16 with eight times their batch, beside the same.
4. The plan that measures, for each partial of the ten layers; `tc.load_plans` takes its file.

What is done is written after each part, so a run that is cut off still tells something. With
``--platform cpu`` it is a rehearsal, and with ``--case`` the second part is left out.
"""

from __future__ import annotations

import argparse
import functools
import json
import re
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
from cases import Case, chosen
from contest import Setting, contest, machine
from contestants import ALL, add_options, setting_of
from programs import full_products

import tconvjax as tc
from tconvjax.algorithms.run import run
from tconvjax.layouts import ROLES, Partial, Recipe, layout

LAYERS = (
    "dcgan_g4", "unet_up", "keras_vae_k3s2", "decoder_k3s1", "hifigan_up1", "hifigan_up2",
    "unet3d_up", "grouped_up", "fcn32s", "dilated_up",
)  # fmt: skip

REPORTED = Case(
    "xla_34273",
    "openxla/xla#34273",
    (1, 64, 64, 64, 32),
    (64, 1, 3, 3, 3),
    {"stride": 2, "padding": 1, "output_padding": 1},
)
"""The layer whose gradient takes 41 ms by autodiff of lax and 0.5 by PyTorch."""

WHO = ("tconvjax", "lax.conv_transpose", "Equinox", "PyTorch")
"""Beginnings of the contestants' names."""


def numbers_of(case: Case) -> tuple[str, str, str]:
    """Channels last."""
    letters = "DHW"[-case.geometry.rank :]
    return f"N{letters}C", f"{letters}IO", f"N{letters}C"


def kernels(case: Case, partial: Partial, dtype: str) -> dict[str, int]:
    """Calls of cuDNN in a compiled partial of "direct", and pads that write zeros between."""
    specs = layout(numbers_of(case), case.geometry.rank)
    recipe = Recipe(partial, case.geometry, specs, None, jnp.dtype(dtype), "direct", platform())
    shapes = (recipe.shape(role, case.y_shape[0]) for role in recipe.roles[:2])
    operands = [jax.ShapeDtypeStruct(shape, dtype) for shape in shapes]
    text = jax.jit(functools.partial(run, recipe=recipe)).lower(*operands).compile().as_text()
    found = Counter(re.findall(r"__cudnn\$conv\w+|conv_kind=\w+", text or ""))
    spread = len(re.findall(r" pad\(.*padding=\S*_[1-9]\d*", text or ""))
    return {**found, "pads with zeros between": spread}


def platform() -> str:
    """What a recipe calls the default backend."""
    return "cuda" if jax.default_backend() == "gpu" else jax.default_backend()


def read_programs(cases: list[Case], dtype: str) -> dict[str, dict[str, dict[str, int]]]:
    """Part 1, compiled side by side."""
    with ThreadPoolExecutor() as pool:
        jobs = {(c.name, p): pool.submit(kernels, c, p, dtype) for c in cases for p in ROLES}
        found: dict[str, dict[str, dict[str, int]]] = {}
        for (name, partial), job in jobs.items():
            found.setdefault(name, {})[partial] = job.result()
            print(f"{name:16} {partial:16} {found[name][partial]}", flush=True)
    return found


def steps(cases: list[Case], setting: Setting) -> dict[str, dict[str, float]]:
    """Parts 2 and 3: milliseconds of a training step by contestant."""
    able = [c for c in ALL if c.name.startswith(WHO)]
    found = {}
    with full_products(setting):
        for case in cases:
            entries, reasons = contest(case, "step", able, setting)
            found[case.name] = {e.name: round(1e3 * e.times.median, 4) for e in entries}
            print(f"{case.name:16} {found[case.name]} {reasons or ''}", flush=True)
    return found


def measured(cases: list[Case], dtype: str) -> dict[str, dict[str, dict[str, float]]]:
    """Part 4: milliseconds of every algorithm, and what the plan would take without."""
    found: dict[str, dict[str, dict[str, float]]] = {}
    for case in cases:
        given: dict[str, Any] = {"dtype": dtype, "batch": case.y_shape[0]}
        given["dimension_numbers"] = numbers_of(case)
        for partial in ROLES:
            expected = tc.plan(case.geometry, partial, **given).algorithm
            plan = tc.plan(case.geometry, partial, measure=True, **given)
            ms = {c.algorithm: 1e3 * c.seconds for c in plan.candidates if c.seconds is not None}
            found.setdefault(case.name, {})[partial] = ms
            print(f"{case.name:16} {partial:16} {expected} expected: {ms}", flush=True)
    return found


def main() -> None:
    """Run the four parts."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    add_options(parser, rounds=5)
    parser.add_argument("--batch", type=int, default=8, metavar="FACTOR", help="times as many")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plans", type=Path)
    parser.set_defaults(platform="gpu", dtype="bfloat16")
    options = parser.parse_args()
    setting = setting_of(options)
    cases = [c.with_batch(options.batch) for c in chosen(options.case or list(LAYERS))]
    reported = [] if options.case else [REPORTED]
    device = jax.devices()[0].device_kind
    result: dict[str, Any] = {"device": device, "jax": jax.__version__, "host": machine()}
    result["dtype"], result["batch_factor"] = setting.dtype, options.batch
    parts = {
        "programs": lambda: read_programs([*reported, *cases], setting.dtype),
        "reported": lambda: steps(reported, setting),
        "steps": lambda: steps(cases, setting),
        "measured": lambda: measured([*reported, *cases], setting.dtype),
    }
    for name, part in parts.items():
        print(f"-- {name}", flush=True)
        result[name] = part()
        if options.json:
            options.json.write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    if options.plans:
        print(f"plans kept in {tc.save_plans(options.plans)}")


if __name__ == "__main__":
    sys.exit(main())
