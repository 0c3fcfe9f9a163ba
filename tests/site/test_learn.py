"""The learn pages move where that teaches, stand still if asked, and let their readers try."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tconvjax as tc
from tconvjax import upsampling
from tests.site.conftest import ROOT, expect

PAGES = sorted(
    path.relative_to(ROOT / "docs").with_suffix("").as_posix()
    for folder in ("learn", "zh/learn")
    for path in (ROOT / "docs" / folder).glob("*.md")
    if path.stem != "index"
)
SLIDERS = {
    "out_size": "size of y", "kernel": "kernel", "stride": "stride", "padding": "padding",
    "output_padding": "output padding", "dilation": "dilation", "groups": "groups",
    "out_channels": "channels of y", "in_channels": "channels of z",
}  # fmt: skip
RUNNING = """() => document.getAnimations()
  .filter((a) => a instanceof CSSAnimation && a.playState === "running").length"""
# The number of frames of each moving figure that can be seen.
SEEN = """() => [...document.querySelectorAll("figure > svg:has(> .s)")].map((svg) =>
  [...svg.querySelectorAll(":scope > .s")].map((s) => getComputedStyle(s).visibility))"""


def moving(view: Any) -> Any:
    """The figures that move, each of which has been seen."""
    figures = view.locator("figure:has(> svg > .s)")
    for figure in figures.all():
        figure.scroll_into_view_if_needed()
        expect(figure).to_have_class(re.compile("tconv-seen"))
    return figures


@pytest.mark.parametrize("page", PAGES)
def test_a_page_moves_can_be_stopped_and_stands_still_if_asked(
    browser: Any, served: str, page: str
) -> None:
    with browser.new_context() as context:
        view = context.new_page()
        view.goto(f"{served}/{page}/")
        figures = moving(view)
        assert figures.count() >= 1
        assert view.evaluate(RUNNING) == figures.locator(".s").count()
        for n in range(figures.count()):
            button = figures.nth(n).locator("button.home-pause")
            expect(button).to_have_text("暂停" if page.startswith("zh/") else "Pause")
            button.click()
        assert view.evaluate(RUNNING) == 0
        figures.first.locator("button.home-pause").click()
        assert view.evaluate(RUNNING) == figures.first.locator(".s").count()
        view.emulate_media(reduced_motion="reduce")
        assert view.evaluate(RUNNING) == 0
        for frames in view.evaluate(SEEN):
            assert frames == ["hidden"] * (len(frames) - 1) + ["visible"]
        for button in view.locator(".home-pause").all():
            expect(button).to_be_hidden()


def test_one_frame_is_seen_at_any_time(browser: Any, served: str) -> None:
    """Also at the very time at which one is followed by the next."""
    with browser.new_context() as context:
        view = context.new_page()
        view.goto(f"{served}/learn/four-views/")
        moving(view)
        seen = view.evaluate(f"""() => Array.from({{ length: 180 }}, (_, n) => {{
          for (const one of document.getAnimations()) {{
            one.pause();
            one.currentTime = 100 * n;
          }}
          return ({SEEN})().map((all) => all.filter((one) => one === "visible").length);
        }})""")
        assert seen == [[1] * len(seen[0])] * 180
        assert len(seen[0]) == 4


def test_a_figure_moves_from_its_first_step_when_it_is_first_seen(
    browser: Any, served: str
) -> None:
    """Until then it shows its last step, which a page on paper shows too."""
    with browser.new_context(viewport={"width": 1440, "height": 500}) as context:
        view = context.new_page()
        view.goto(f"{served}/learn/four-views/")
        last = view.locator("figure:has(> svg > .s)").last
        steps = last.locator(".s")
        expect(steps.last).to_have_css("visibility", "visible")
        expect(steps.first).to_have_css("visibility", "hidden")
        expect(last).not_to_have_class(re.compile("tconv-seen"))
        before = view.evaluate("document.timeline.currentTime")
        last.scroll_into_view_if_needed()
        expect(last).to_have_class(re.compile("tconv-seen"))
        begun = steps.first.evaluate("e => e.getAnimations()[0].ready.then((a) => a.startTime)")
        assert begun >= before
        seen = view.locator("figure.tconv-seen").count()
        view.evaluate("scrollTo(0, 0)")
        assert view.locator("figure.tconv-seen").count() == seen


@pytest.mark.parametrize("page", [page for page in PAGES if not page.startswith("zh/")])
def test_a_page_has_an_explorer_in_its_own_state(browser: Any, served: str, page: str) -> None:
    with browser.new_context() as context:
        view = context.new_page()
        view.goto(f"{served}/{page}/")
        element = view.locator("tconv-explorer")
        expect(element).to_have_count(1)
        expect(element.locator(".views table").first).to_be_visible()
        parts = str(element.get_attribute("parts")).split()
        chosen = element.locator(".controls").first.get_by_role("slider")
        expect(chosen.first).to_be_visible()
        assert chosen.count() == len(set(parts) & set(SLIDERS)) <= 5
        name = next(part for part in SLIDERS if part in parts)  # their order on the page
        given = element.get_attribute(name.replace("_", "-"))
        assert chosen.first.input_value() == given
        chosen.first.press("ArrowLeft")
        moved = str(int(given) - 1)
        view.wait_for_function(f"location.hash.includes('{name}={moved}')")
        view.reload()
        expect(chosen.first).to_have_value(moved)
        element.get_by_role("link", name="Open in the explorer").click()
        expect(view.locator("h1")).to_have_text(re.compile("The explorer"))
        own = view.locator("tconv-explorer").get_by_label(SLIDERS[name], exact=True)
        expect(own).to_have_value(moved)


@pytest.mark.parametrize("page", ["learn/checkerboards", "zh/learn/checkerboards"])
def test_the_checkerboard_begins_with_its_counts(browser: Any, served: str, page: str) -> None:
    with browser.new_context() as context:
        view = context.new_page()
        view.goto(f"{served}/{page}/")
        row = view.locator('tconv-explorer [data-grid="z0"] tr').first.locator("td")
        expect(row).to_have_text(["1", "1", "2", "1", "2", "1", "2", "1", "1"])


@pytest.mark.parametrize("page", ["learn/checkerboards", "zh/learn/checkerboards"])
def test_the_photograph_shows_the_grid_that_the_library_gives(
    browser: Any, served: str, page: str
) -> None:
    with Image.open(ROOT / "docs/assets/upsampling/photograph.png") as image:
        x = np.moveaxis(np.asarray(image.convert("RGB"), np.float64), -1, 0)
    with browser.new_context() as context:
        view = context.new_page()
        view.goto(f"{served}/{page}/")
        box = view.locator(".learn-grid")
        told = box.locator("output")
        for k, s in ((3, 2), (4, 2), (1, 3), (5, 3), (8, 4), (2, 1)):
            for slider, value in zip(box.locator("input").all(), (k, s), strict=True):
                slider.fill(str(value))
            layer = tc.Geometry.of_conv_transpose((1, 48, 48), (1, 1, k, k), stride=s)
            uneven = upsampling.checkerboard(layer).unevenness
            expect(told).to_contain_text(f"{uneven:.3f}")
            low = (k - s) // 2
            z = tc.conv_transpose(
                x, np.full((3, 1, k, k), (s / k) ** 2), stride=s, groups=3,
                padding=((low, k - s - low),) * 2,
            )  # fmt: skip
            shown = box.locator("canvas").evaluate("c => c.toDataURL()").partition(",")[2]
            with Image.open(io.BytesIO(base64.b64decode(shown))) as image:
                assert (image.mode, image.size) == ("RGBA", (48 * s, 48 * s))
                pixels = np.asarray(image)
            expected = np.moveaxis(np.clip(np.asarray(z), 0, 255), 0, -1)
            assert np.abs(pixels[..., :3] - expected).max() <= 0.5 + 1e-6
            assert (pixels[..., 3] == 255).all()
        said = box.locator("canvas").get_attribute("aria-label")
        assert said == told.text_content()
