"""What "auto" takes is fast, by the times of layers that its costs were not fitted to."""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Mapping
from pathlib import Path

import choice
import numpy as np
import pytest

from tconvjax.algorithms import costs
from tconvjax.algorithms.plan import planned

RESULTS = Path(choice.__file__).parent / "results"


@pytest.mark.parametrize("name", ["choice", "choice_amd", "choice_depthwise", "choice_large"])
def test_the_choice_is_near_the_best_on_layers_that_no_fit_has_seen(name: str) -> None:
    regrets = []
    for layer, partial, times, _ in choice.again(
        json.loads((RESULTS / f"{name}.json").read_text())
    ):
        taken = planned(choice.recipe_of(layer, partial), layer.batch).algorithm
        if taken in times:
            regrets.append(times[taken] / min(times.values()))
    assert len(regrets) > 200
    assert statistics.geometric_mean(regrets) < 1.08
    assert np.percentile(regrets, 95) < 1.7


def test_a_fit_finds_what_is_fast_on_another_machine() -> None:
    """One on which sums take three times as long as the constants say."""
    measured = []
    layers = (layer for layer in choice.few(5) if layer.last)
    for layer in itertools.islice(layers, 80):
        recipe = choice.recipe_of(layer, "conv")
        times = {name: costs.estimate(name, recipe, layer.batch) for name in ("patches", "taps")}
        measured.append((recipe, layer.batch, times | {"taps": 3 * times["taps"]}))

    def regret(lines: Mapping[str, Mapping[str, float]]) -> float:
        return statistics.geometric_mean(
            times[choice.least(lines, recipe, batch, times)] / min(times.values())
            for recipe, batch, times in measured
        )

    assert regret(costs.lines()) > 1.1
    assert regret(choice.fit(measured)) < 1.02
