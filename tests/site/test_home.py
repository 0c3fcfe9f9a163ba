"""The home pages show the thing: it moves unless somebody asks for rest, and its numbers hold."""

from __future__ import annotations

import json
import re
import statistics
from typing import Any

import numpy as np
import pytest

from tconvjax import conv_transpose
from tests.site.conftest import ROOT, expect

HOMES = ("", "zh/")
RUNNING = """() => document.getAnimations()
  .filter((a) => a instanceof CSSAnimation && a.playState === "running").length"""
SEEN = """() => [...document.querySelectorAll(".home-total")]
  .filter((t) => getComputedStyle(t).opacity === "1").map((t) => Number(t.textContent))"""


@pytest.mark.parametrize("home", HOMES)
def test_the_picture_ends_in_what_the_operation_gives(browser: Any, served: str, home: str) -> None:
    y, w = np.array([[[1, 2], [3, 4]]]), np.array([[[[4, 7], [2, 2]]]])
    with browser.new_context(reduced_motion="reduce") as context:
        view = context.new_page()
        view.goto(f"{served}/{home}")
        assert view.evaluate(RUNNING) == 0
        assert view.evaluate(SEEN) == np.asarray(conv_transpose(y, w)).ravel().tolist()
        columns = view.locator(".home-column")
        for i in range(4):  # at rest all of C.T is lit: each column is a stamp of the kernel alone
            one = np.zeros(4, int)
            one[i] = 1
            stamp = np.asarray(conv_transpose(one.reshape(1, 2, 2), w)).ravel()
            expect(columns.nth(i)).to_have_css("opacity", "1")
            assert columns.nth(i).locator("text").all_text_contents() == [
                str(n) for n in stamp if n
            ]
        expect(view.locator(".home-pause")).to_be_hidden()


@pytest.mark.parametrize("home", HOMES)
def test_it_plays_and_can_be_stopped(browser: Any, served: str, home: str) -> None:
    with browser.new_context() as context:
        view = context.new_page()
        view.goto(f"{served}/{home}")
        assert view.evaluate(RUNNING) > 20
        view.locator(".home-pause").click()
        assert view.evaluate(RUNNING) == 0
        # In each fifth of a round the stamps up to there have been added.
        sums = np.cumsum([[4, 7, 0, 2, 2, 0, 0, 0, 0], [0, 8, 14, 0, 4, 4, 0, 0, 0],
                          [0, 0, 0, 12, 21, 0, 6, 6, 0], [0, 0, 0, 0, 16, 28, 0, 8, 8]],
                         axis=0)  # fmt: skip
        for i, expected in enumerate(sums):
            view.evaluate(
                "(t) => document.getAnimations().forEach((a) => { a.currentTime = t })",
                (i + 0.9) / 5.5 * 11000,
            )
            assert view.evaluate(SEEN) == expected.tolist(), i
        view.locator(".home-pause").click()
        assert view.evaluate(RUNNING) > 20


def test_the_three_numbers_are_those_that_were_measured(browser: Any, served: str) -> None:
    compare, models = (
        json.loads((ROOT / f"benchmarks/results/{name}.json").read_text("utf-8"))
        for name in ("compare", "acceleration")
    )
    steps = [case["tasks"]["step"]["contestants"] for case in compare["cases"].values()]
    ours = np.array([step["tconvjax, channels last"]["ms"] for step in steps])
    plain = np.array([step["lax.conv_transpose"]["ms"] for step in steps])
    torch = np.array([min(s["PyTorch"]["ms"], s["PyTorch, channels last"]["ms"]) for s in steps])
    whole = [row["plain_ms"] / row["accelerated_ms"] for row in models["rows"]]
    means = [statistics.geometric_mean(each) for each in (plain / ours, torch / ours, whole)]
    with browser.new_context() as context:
        view = context.new_page()
        for home in HOMES:
            view.goto(f"{served}/{home}")
            shown = view.locator(".home-numbers strong").all_inner_texts()
            assert all(one.endswith("×") for one in shown)
            for said, mean in zip((float(one[:-1]) for one in shown), means, strict=True):
                assert abs(said / mean - 1) < 0.05


def test_the_three_buttons_lead_to_learning_to_the_explorer_and_to_installing(
    browser: Any, served: str
) -> None:
    with browser.new_context() as context:
        view = context.new_page()
        view.goto(served)
        for name, place in (
            ("Learn", "learn/"),
            ("Explorer", "explorer/"),
            ("Install", "#install"),
        ):
            button = view.locator(".home-buttons").get_by_text(name, exact=True)
            assert re.sub(r"^.*?//[^/]*/", "", button.evaluate("a => a.href")) == place


def test_the_tabs_are_five(browser: Any, served: str) -> None:
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        view = context.new_page()
        view.goto(f"{served}/explorer/")
        expect(view.locator(".md-tabs__item:visible")).to_have_text(
            ["Learn", "Explorer", "Use", "Reference", "Project"]
        )
        expect(view.locator(".md-tabs__item--active")).to_have_text("Explorer")


def test_figures_stand_in_the_middle_of_one_frame(browser: Any, served: str) -> None:
    with browser.new_context(viewport={"width": 1440, "height": 900}) as context:
        view = context.new_page()
        for page in ("learn/one-to-many", "learn/transposed", "zh/learn/transposed"):
            view.goto(f"{served}/{page}/")
            frames = view.locator("figure.tconv-figure:not(.tconv-explorer)").evaluate_all("""all =>
              all.map((figure) => {
                const outer = figure.getBoundingClientRect(), style = getComputedStyle(figure);
                const parts = [...figure.querySelectorAll(
                  ".tconv-row > *, .tconv > table, .tconv > svg")];
                const boxes = parts.map((part) => part.getBoundingClientRect());
                const left = Math.min(...boxes.map((box) => box.left)) - outer.left;
                const right = outer.right - Math.max(...boxes.map((box) => box.right));
                return [style.borderTopWidth + style.borderRadius + style.padding,
                  Math.round(left - right)];
              })""")
            assert len(frames) >= 3
            assert len({frame for frame, _ in frames}) == 1
            assert [middle for _, middle in frames if abs(middle) > 2] == []
