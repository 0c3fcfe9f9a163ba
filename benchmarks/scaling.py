"""How the time grows with the batch and with the pixels, over a factor of 64.

    python benchmarks/scaling.py --json scaling.json --plot scaling.svg
    python benchmarks/scaling.py --contestant "tconvjax, channels last" PyTorch --case dcgan_rgb

Each layer starts with one example. A slope of 1 on logarithmic axes is a time in proportion to the
size; less, that a part of it is spent on each call, whatever its size; more, that larger arrays
cost more for each pixel, as they do when they leave a cache, or when a result is larger than the
allocator keeps and comes from fresh pages in each call (32 MiB with glibc, whatever the engine).
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path

import report
from cases import Case, Task, chosen
from compare import measured_roofline
from contest import Contestant, Setting, WrongResult, contest
from contestants import add_options, named, setting_of
from programs import CHANNELS_LAST, full_products
from tqdm import tqdm

from tconvjax.command.arguments import CommandError

FACTORS = (1, 4, 16, 64)
LAYERS = ("dcgan_rgb", "hifigan_up1", "unet3d_up", "depthwise_up")
TASKS: tuple[Task, ...] = ("forward", "step")


def grown(case: Case, grows: str, factor: int) -> Case:
    """One example of a layer, with so many times its examples or its pixels."""
    one = dataclasses.replace(case, y_shape=(1, *case.y_shape[1:]))
    larger = one.with_batch(factor) if grows == "batch" else one.with_pixels(factor)
    return dataclasses.replace(larger, name=f"{case.name}, {grows} x {factor}")


def slope(sizes: Sequence[float], times: Sequence[float]) -> float:
    """The exponent p of the best fit times = c * sizes ** p, by least squares of the logarithms."""
    logs = [math.log(size) for size in sizes], [math.log(time) for time in times]
    return statistics.linear_regression(*logs).slope


def run(
    layers: Sequence[Case], contestants: Sequence[Contestant], setting: Setting
) -> report.Report:
    """Measure every size, and fit each contestant's slope."""
    limits = measured_roofline(setting)
    found = report.new_report(contestants, setting, limits)
    print(*report.heading(found), sep="\n")
    todo = [(layer, grows, task) for layer in layers for grows in ("batch", "pixels")
            for task in TASKS]  # fmt: skip
    curves = found["curves"] = []
    for layer, grows, task in tqdm(todo, file=sys.stderr, unit="curve"):
        cases = [grown(layer, grows, factor) for factor in FACTORS]
        for case in cases:
            report.add(found, case, task, *contest(case, task, contestants, setting), limits)
        for contestant in contestants:
            ms = report.figures(found, task, contestant.name)
            ran = [case for case in cases if case.name in ms]
            if len(ran) < 2:
                continue
            pixels = [math.prod(case.y_shape) // case.y_shape[1] for case in ran]
            times = [ms[case.name] for case in ran]
            curves.append({
                "layer": layer.name, "grows": grows, "task": task, "contestant": contestant.name,
                "pixels": pixels, "ms": times, "slope": slope(pixels, times),
            })  # fmt: skip
            tqdm.write(curve_line(curves[-1]), file=sys.stdout)
    return found


def curve_line(curve: dict[str, object]) -> str:
    """One curve in words: its slope, and what a pixel costs at both ends."""
    ms, pixels = curve["ms"], curve["pixels"]
    assert isinstance(ms, list)
    assert isinstance(pixels, list)
    ends = " -> ".join(f"{1e6 * ms[n] / pixels[n]:.1f}" for n in (0, -1))
    return (
        f"{curve['layer']:14}{curve['grows']:8}{curve['task']:9}{curve['contestant']:24}"
        f"slope {curve['slope']:.2f}, ns a pixel {ends}"
    )


def main(words: Sequence[str] | None = None) -> int:
    """Measure, print, write; status 1 if a result was wrong, 2 if the options do not fit."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").partition("\n")[0], allow_abbrev=False
    )
    add_options(parser, rounds=5)
    parser.add_argument("--json", type=Path, help="file for everything that was measured")
    parser.add_argument("--plot", type=Path, help=".svg or .png file for a chart")
    options = parser.parse_args(words)
    try:
        report.check_path("--json", options.json)
        report.check_path("--plot", options.plot)
        contestants = named(options.contestant or [CHANNELS_LAST])
        layers = chosen(options.case or LAYERS)
        setting = setting_of(options)
        with full_products(setting):
            found = run(layers, contestants, setting)
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except WrongResult as error:
        print(f"wrong result: {error}", file=sys.stderr)
        return 1
    if options.json:
        report.write(found, options.json)
    if options.plot:
        from charts import draw_scaling

        draw_scaling(found, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
