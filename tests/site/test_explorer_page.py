"""The explorer in a browser: what lights up, keys, shared links, impossible settings, themes."""

from __future__ import annotations

import base64
import math
import re
import struct
import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tconvjax import Geometry, conv, conv_transpose, kernel_gradient, links
from tconvjax.site import explorer
from tconvjax.site.reading import read
from tconvjax.symbolic import conv_matrix
from tests.site.conftest import barriers, expect, serving

PLAIN = Geometry.of_conv_transpose((1, 2, 2), (1, 1, 2, 2))
STRIDED = Geometry.of_conv_transpose((1, 3, 3), (1, 1, 3, 3), stride=2, padding=1)
CUT = Geometry.of_conv_transpose((1, 3), (1, 1, 3), padding=1)
BLOCKS = Geometry.of_conv_transpose((2, 2), (2, 1, 2), stride=2, groups=2)

CHANNELS = Geometry.of_conv_transpose((3, 2, 2), (3, 2, 2, 2), stride=2, padding=1)

Y, W = [[[0, 1], [2, 3]]], [[[[4, 7], [2, 2]]]]
SLATE = (
    "<style>body{background:#1e2129;color:#e2e4e9d1}"
    "</style><script>document.body.dataset.mdColorScheme='slate'</script>"
)
PAGES = {
    "plain": explorer.element(PLAIN, Y, W, fallback="<p id=kept>no script</p>"),
    "strided": explorer.element(STRIDED),
    "shared": explorer.element(STRIDED, share=True) + "<h2 id=heading>x</h2>",
    "under": "<div style='position:fixed;top:0;left:0;right:0;height:64px;z-index:9'>x</div>"
    + explorer.element(STRIDED),
    "cut": explorer.element(CUT, [1, 2, 3], [1, 10, 20]),
    "blocks": explorer.element(BLOCKS),
    "chinese": explorer.element(PLAIN, Y, W, lang="zh"),
    "dark": explorer.element(STRIDED) + SLATE,
    "twice": explorer.element(PLAIN, Y, W) + f"<script>{explorer.script()}</script>",
    "channels": explorer.element(CHANNELS),
    "folded": explorer.element(STRIDED, parts="kernel, grids", explorer="shared.html"),
    "counted": explorer.element(STRIDED, counts=True, share=True),
    "pair": explorer.element(PLAIN, Y, W, share=True) + explorer.element(PLAIN, Y, W, share=True),
    "bad": '<tconv-explorer kernel="99999" y="<b>1</b>" out-size="2"></tconv-explorer>',
    "hostile": "<style>td{color:red!important;padding:99px} .lit{display:none} p{display:none}"
    "</style>" + explorer.element(PLAIN, Y, W),
}
BLACK = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
"""A PNG of one black pixel."""

PRODUCT = ["0", "4", "7", "8", "28", "23", "4", "10", "6"]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the pages above."""
    folder = tmp_path_factory.mktemp("site")
    for name, body in PAGES.items():
        (folder / f"{name}.html").write_text(
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>x</title>'
            '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
            f"<body>{body}<script>{explorer.script()}</script>",
            encoding="utf-8",
        )
    with serving(folder) as found:
        yield found


Open = Callable[..., Any]


@pytest.fixture
def opened(address: str, browser: Any) -> Iterator[Open]:
    """Opens a page; afterwards, no page has complained or asked for anything from elsewhere."""
    complaints: list[str] = []
    contexts = []

    def open_page(name: str, width: int = 1440, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url)
                if not request.url.startswith((address, "data:")) else None)  # fmt: skip
        page.goto(f"{address}/{name}" if ".html" in name else f"{address}/{name}.html")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def cell(page: Any, place: str) -> Any:
    return page.locator(f'[data-place="{place}"]')


def slider(page: Any, label: str) -> Any:
    return page.get_by_label(label, exact=True)


def unfold(page: Any) -> None:
    """Opens what is folded."""
    page.locator("summary").first.click()


def slide_to(page: Any, label: str, value: int) -> None:
    """By the keys of the slider, as a person would: its first value, then up."""
    slider(page, label).press("Home")
    for _ in range(value - int(slider(page, label).get_attribute("min"))):
        slider(page, label).press("ArrowRight")
    expect(slider(page, label)).to_have_value(str(value))  # nothing is clamped


def has(page: Any, css: str, words: str) -> None:
    """Whether a part of a page has these words in it."""
    expect(page.locator(css)).to_contain_text(words)


def tells(page: Any, start: str) -> None:
    """Whether the sentence below the controls starts like this."""
    expect(page.locator(".told p:not(.problem)")).to_have_text(re.compile("^" + re.escape(start)))


def shows(page: Any, name: str, entries: list[str]) -> None:
    """Whether a table has these entries, row by row."""
    expect(page.locator(f'[data-grid="{name}"] td')).to_have_text(entries)


def has_cells(page: Any, name: str, number: int) -> None:
    expect(page.locator(f'[data-grid="{name}"] td')).to_have_count(number)


def lights_nothing(page: Any) -> None:
    expect(page.locator(".lit, .chosen")).to_have_count(0)


def lit(page: Any, pattern: str = ".*") -> set[str]:
    """The places that light up; they change with the sentence, which is to be waited for."""
    places = page.locator(".lit, .chosen").evaluate_all("all => all.map((c) => c.dataset.place)")
    return {place for place in places if re.fullmatch(pattern, place)}


def focused(page: Any, place: str) -> None:
    expect(cell(page, place)).to_be_focused()


def test_scripts_show_the_product_once_and_without_them_the_children_stay(opened: Open) -> None:
    for name in ("plain", "twice"):
        page = opened(name)
        shows(page, "z0", PRODUCT)
        expect(page.locator("#kept")).not_to_be_visible()
    expect(opened("plain", java_script_enabled=False).locator("#kept")).to_be_visible()
    expect(opened("chinese").locator("h3").first).to_have_text("输入 y、卷积核 w、结果 z")


# -- what lights up and is told --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "sentences"),
    [
        ("plain", {
            "matrix:5:4": "Row (1,1), column (1,1) of C.T is w(0,0) = 4: y(1,1)·w(0,0) = 12 is",
            "matrix:1:2": "Row (0,0), column (0,1) of C.T is 0: no tap takes y(0,1) to z(0,0).",
            "matrix:0:3": "y(1,0) = 2 stamps 2 times the kernel",
            "matrix:5:0": "z(1,1) = y(0,0)·w(1,1) + y(0,1)·w(1,0) + y(1,0)·w(0,1) + y(1,1)·w(0,0) "
            "= 0·2 + 1·2 + 2·7 + 3·4 = 28: row (1,1) of C.T.",
            "w0:1:0": "w(1,0) = 2 stands 4 times in C.T, once for each product that it has in z.",
            "s3:1:2": "Row (1,2), column (1,1) of C.T is w(0,1) = 7: y(1,1)·w(0,1) = 21 is",
            "f0:0:0": "w(1,1) = 2 stands 4 times",
            "u0:0:0": "A zero of the border",
        }),
        ("cut", {
            "s0:0:0": "y(0)·w(0) = 1 falls into the padding and is cut off.",
            "y0:0:0": "y(0) = 1 stamps 1 times the kernel: 2 of its products land in z, 1 are cut",
        }),
        ("blocks", {
            "matrix:1:3": "Row (0,0), column (1,0) of C.T is 0: y(1,0) and z(0,0) belong to",
        }),
        ("chinese", {"z0:0:0": "z(0,0) = y(0,0)·w(0,0) = 0·4 = 0：C.T 的(0,0) 行。",
                     "matrix:5:4": "C.T 的(1,1) 行、(1,1) 列是 w(0,0) = 4：y(1,1)·w(0,0) = 12"}),
        ("cut", {"z0:0:1": "z(1) = y(0)·w(2) + y(1)·w(1) + y(2)·w(0) = 1·20 + 2·10 + 3·1 = 43: "
                 "row 1 of C.T."}),
        ("hostile", {"z0:1:1": "z(1,1)"}),
    ],
)  # fmt: skip
def test_every_kind_of_cell_has_its_sentence(
    opened: Open, name: str, sentences: dict[str, str]
) -> None:
    page = opened(name)
    for place, sentence in sentences.items():
        cell(page, place).hover()
        tells(page, sentence)


def test_pointing_lights_the_links_in_all_views(opened: Open) -> None:
    page = opened("plain")
    lights_nothing(page)
    cell(page, "z0:1:1").hover()
    tells(page, "z(1,1)")
    inputs = {f"{letter}0:{r}:{c}" for letter in "yw" for r in (0, 1) for c in (0, 1)}
    assert inputs | {"z0:1:1", "zz0:1:1", "sum0:1:1"} <= lit(page)
    assert lit(page, "matrix:5:.*") == {f"matrix:5:{n}" for n in range(6)}
    assert lit(page, "matrix:4:.*") == set()
    # One cell of each stamp, and the four places under the flipped kernel.
    assert lit(page, r"s\d.*") == {"s0:1:1", "s1:1:1", "s2:1:1", "s3:1:1"}
    assert lit(page, "u.*") == {"u0:1:1", "u0:1:2", "u0:2:1", "u0:2:2"}
    page.mouse.move(2, 2)
    tells(page, "Point at any cell")
    lights_nothing(page)
    cell(page, "y0:0:1").hover()
    tells(page, "y(0,1)")
    assert lit(page, r"matrix:[1-9]\d*:2") == {f"matrix:{row}:2" for row in (2, 3, 5, 6)}
    assert lit(page, "s1:.*") == {"s1:0:1", "s1:0:2", "s1:1:1", "s1:1:2"}


def test_padding_is_faint_and_groups_are_blocks(opened: Open) -> None:
    page = opened("cut")
    shows(page, "z0", ["12", "43", "70"])
    shows(page, "sum0", ["1", "12", "43", "70", "60"])
    expect(cell(page, "s0:0:0")).to_have_class(re.compile(r"\boff\b"))
    expect(cell(page, "s0:0:1")).not_to_have_class(re.compile(r"\boff\b"))
    page = opened("blocks")
    has_cells(page, "z1", 4)
    cell(page, "y1:0:0").hover()
    tells(page, "y(1,0)")
    assert lit(page, r"z\d.*") == {"z1:0:0", "z1:0:1"}
    has(page, '[data-framework="Flax"]', "Flax cannot express it: it has no groups")
    expect(page.locator('[data-framework="Flax"] button')).to_have_count(0)


def test_a_click_or_a_touch_keeps_and_escape_lets_go(opened: Open) -> None:
    page = opened("plain")
    cell(page, "z0:0:0").click()
    page.mouse.move(2, 2)
    tells(page, "z(0,0) = ")
    cell(page, "z0:1:1").hover()
    tells(page, "z(0,0) = ")
    cell(page, "z0:1:1").click()
    tells(page, "z(1,1) = ")
    page.keyboard.press("Escape")
    page.mouse.move(2, 2)
    lights_nothing(page)
    for _ in range(2):
        cell(page, "y0:0:0").click()
    page.mouse.move(2, 2)
    lights_nothing(page)
    page = opened("plain", width=390, has_touch=True)
    cell(page, "z0:1:1").tap()
    tells(page, "z(1,1) = ")


def test_each_grid_is_one_tab_stop_with_arrow_keys(opened: Open) -> None:
    page = opened("plain")
    stops = page.locator("[data-scope]").evaluate_all(
        "all => all.map((s) => s.querySelectorAll('[tabindex=\"0\"]').length)"
    )
    assert stops == [1] * 14
    cell(page, "y0:0:0").focus()
    tells(page, "y(0,0) = 0 stamps")
    for key, place in [
        ("ArrowRight", "y0:0:1"), ("ArrowDown", "y0:1:1"), ("ArrowRight", "y0:1:1"),
        ("ArrowLeft", "y0:1:0"), ("ArrowUp", "y0:0:0"), ("End", "y0:0:1"), ("Home", "y0:0:0"),
        ("Tab", "w0:0:0"), ("Tab", "z0:0:0"), ("ArrowDown", "z0:1:0"), ("Enter", "z0:1:0"),
    ]:  # fmt: skip
        page.keyboard.press(key)
        focused(page, place)
    for name in ("play the stamps", "stamps put down", "speed"):
        page.keyboard.press("Tab")
        expect(page.get_by_label(name).or_(page.get_by_role("button", name=name))).to_be_focused()
    for place in ("sum0:0:0", "matrix:0:1"):
        page.keyboard.press("Tab")
        focused(page, place)
    tells(page, "z(1,0) = ")
    page.keyboard.press("Escape")
    tells(page, "y(0,0) = ")  # the column header that has the focus
    cell(page, "s0:0:2").focus()
    page.keyboard.press("ArrowRight")
    focused(page, "s1:0:0")


# -- settings and values ---------------------------------------------------------------------------


def test_controls_change_all_views(opened: Open) -> None:
    page = opened("plain")
    page.get_by_label("z shows").select_option("counts")
    shows(page, "z0", ["1", "2", "1", "2", "4", "2", "1", "2", "1"])
    slide_to(page, "stride", 2)
    has_cells(page, "z0", 16)
    slide_to(page, "kernel", 3)
    slide_to(page, "padding", 1)
    has_cells(page, "z0", 9)
    expect(page.locator('[data-grid="matrix"] tr')).to_have_count(10)
    has_cells(page, "u0", 25)
    has(page, ".formula", "2·(2 − 1) + 1·(3 − 1) + 1 − 2·1 + 0 = 3")
    expect(page.locator('[data-framework="PyTorch"] code')).to_have_text(
        "torch.nn.ConvTranspose2d(1, 1, kernel_size=(3, 3), stride=2, padding=1, bias=False)"
    )


def test_each_axis_may_have_numbers_of_its_own(opened: Open) -> None:
    page = opened("shared")
    for label, text, wide, high in (
        ("size of y", "2x5", 9, 3), ("kernel", "2 x 1", 7, 2), ("padding", "0:1x2:0", 7, 3),
        ("stride", "3x1", 3, 4), ("output padding", "1x0", 3, 5),
    ):  # fmt: skip
        field = slider(page, f"{label}, typed")
        field.fill(text)
        field.press("Enter")
        has_cells(page, "z0", wide * high)
        expect(field).to_have_value(text.replace(" ", ""))
    has(page, ".formula", "axis 0: 3·(2 − 1) + 1·(2 − 1) + 1 − 0 − 1 + 1 = 5; axis 1: 1·(5 − 1)")
    expect(page).to_have_url(re.compile("out_size=2x5&kernel=2x1&stride=3x1&padding=0:1x2:0"))
    there = opened(page.url.rpartition("/")[2])
    expect(slider(there, "padding, typed")).to_have_value("0:1x2:0")
    field.fill("1x2x3")
    field.press("Enter")
    has(page, ".notice", "output padding was not taken: give a whole number from 0 to 63, or one")
    expect(field).to_have_value("1x0")
    page.get_by_label("dimension").select_option("1")
    size = slider(page, "size of y, typed")
    expect(size).to_have_value("2")
    size.fill("2x3")
    size.press("Enter")
    has(page, ".notice", "size of y was not taken")
    expect(size).to_have_value("2")


def test_what_is_kept_stays_while_sliders_move(opened: Open) -> None:
    page = opened("strided")
    for place, start, then in (
        ("z0:1:2", "z(1,2) = y(0,1)·w(2,1) + ", "z(1,2) = y(0,0)·w(2,3) + "),
        ("y0:1:1", "y(1,1) = 5 stamps", "y(1,1) = 5 stamps 5 times"),
        ("w0:2:1", "w(2,1) = 8 stands", "w(2,1) = 1 stands"),
        (
            "matrix:8:2",
            "Row (1,2), column (0,1) of C.T is w(2,1)",
            "Row (1,2), column (0,1) of C.T is w(2,1)",
        ),
    ):
        cell(page, place).click()
        tells(page, start)
        slider(page, "kernel").press("ArrowRight")
        tells(page, then)
        slider(page, "kernel").press("ArrowLeft")
        tells(page, start)
        page.keyboard.press("Escape")
        page.mouse.move(2, 2)
        tells(page, "Point at any cell")
    cell(page, "y0:2:2").click()
    slide_to(page, "size of y", 2)
    tells(page, "Point at any cell")  # there is no such cell any more
    cell(page, "y0:1:1").click()
    page.get_by_label("dimension").select_option("1")
    tells(page, "Point at any cell")


def test_the_sizes_of_all_three_arrays_are_said(opened: Open) -> None:
    page = opened("strided")
    has(
        page,
        ".formula",
        "takes x (5 × 5) to y (3 × 3), and its transpose takes y (3 × 3) to z (5 × 5).",
    )
    slide_to(page, "stride", 1)
    has(page, ".formula", "takes y (3 × 3) to z (3 × 3).")
    has(opened("chinese"), ".formula", "卷积把 x（3 × 3）变成 y（2 × 2），")
    has(opened("cut"), ".formula", "takes x (3) to y (3)")


def test_a_visit_to_a_slider_is_one_step_back(opened: Open) -> None:
    page = opened("shared")
    entries = "history.length"
    first = page.evaluate(entries)
    slide_to(page, "stride", 4)
    slide_to(page, "kernel", 2)
    slide_to(page, "stride", 3)
    assert page.evaluate(entries) == first + 3
    for label, value in (("stride", 4), ("kernel", 3), ("stride", 2)):
        page.go_back()
        expect(slider(page, label)).to_have_value(str(value))
    assert "#" not in page.url


def test_the_sentence_stops_below_the_page_s_header(opened: Open) -> None:
    for name, covered in (("under", 64), ("strided", 0)):
        page = opened(name, width=390)
        page.locator(".matrix h3").evaluate("e => scrollTo(0, e.getBoundingClientRect().top)")
        assert page.locator(".told").evaluate("e => e.getBoundingClientRect().top") == covered


def test_what_is_too_large_to_draw_is_counted(opened: Open) -> None:
    page = opened("shared")
    field = slider(page, "size of y, typed")
    field.fill("4096")
    field.press("Enter")
    has(page, ".formula", "takes x (8191 × 8191) to y (4096 × 4096)")
    has(
        page,
        "section.counts",
        f"C has {4096**2:_} rows and {8191**2:_} columns".replace("_", "\u202f"),
    )
    has(page, "section.counts", f"{(3 * 4096 - 2) ** 2:_} of its entries".replace("_", "\u202f"))
    has(page, "section.counts", "An element of z is the sum of 1 to 4 products.")
    has(page, '[data-framework="PyTorch"]', "y (1, 1, 4096, 4096)")
    has_cells(page, "y0", 0)
    for button in ("previous", "play", "next"):
        expect(page.get_by_role("button", name=button, exact=True)).to_be_disabled()
    assert barriers(page) == []
    expect(page).to_have_url(re.compile(r"out_size=4096&[^yw]*groups=1$"))
    page.go_back()
    has_cells(page, "y0", 9)


def test_what_is_too_large_to_draw_at_once_is_told(opened: Open) -> None:
    page = opened("strided")
    unfold(page)
    for label, value in (("size of y", 4), ("kernel", 4), ("stride", 4), ("dilation", 3)):
        slide_to(page, label, value)
    slide_to(page, "padding", 0)
    has(page, "section.matrix", "C.T has 484 × 16 = 7744 entries")
    expect(page.locator('section.stamps [data-grid^="s"]')).to_have_count(2)
    cell(page, "y0:2:2").hover()
    has(page, "section.stamps", "this is the one of y(2,2)")
    expect(page.locator('[data-grid="s10"]')).to_be_visible()
    expect(page.locator('section.stamps [data-grid^="s"]')).to_have_count(2)


def test_an_impossible_setting_explains_itself(opened: Open) -> None:
    page = opened("strided")
    for label, value, words in [
        ("output padding", 2, "Output padding 2 is not possible: it must be smaller than the "
         "stride (2) or than the dilation (1). Give at most 1, or a larger stride."),
        ("padding", 4, "The result would have -1 elements along an axis: the padding cuts off 8 "
         "of 7. Give a padding of at most 3, or a larger y or kernel."),
    ]:  # fmt: skip
        before = int(slider(page, label).input_value())
        slide_to(page, label, value - 1)
        shown = page.locator("table").all_inner_texts()
        slider(page, label).press("ArrowRight")
        expect(page.locator(".problem")).to_have_text(words)
        assert page.locator("table").all_inner_texts() == shown  # the last picture stays, greyed
        expect(page.locator(".views")).to_have_js_property("inert", True)
        expect(page.locator(".told p:visible")).to_have_text(words)
        for button in page.locator(".told button:visible").all():
            expect(button).to_be_disabled()
        wrong = page.locator("[aria-invalid=true]")
        expect(wrong).to_have_count(2)
        expect(wrong.first).to_have_accessible_name(label)
        expect(wrong.last).to_have_accessible_name(f"{label}, typed")
        assert barriers(page) == []
        slide_to(page, label, before)
        expect(page.locator(".problem")).to_be_empty()
        expect(page.locator(".views")).to_have_js_property("inert", False)
        expect(page.locator("[aria-invalid=true]")).to_have_count(0)
        page.get_by_role("button", name="next", exact=True).click()
        tells(page, "z(0,0) = ")
        page.keyboard.press("Escape")


def test_values_are_edited_in_the_cell_and_beside_the_sentence(opened: Open) -> None:
    page = opened("plain")
    cell(page, "y0:0:0").focus()
    page.keyboard.type("-5")
    page.keyboard.press("Enter")
    shows(page, "y0", ["-5", "1", "2", "3"])
    expect(cell(page, "z0:0:0")).to_have_text("-20")
    focused(page, "y0:0:0")
    page.keyboard.type("7")
    page.keyboard.press("Escape")
    shows(page, "y0", ["-5", "1", "2", "3"])
    cell(page, "w0:0:0").dblclick()
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    expect(cell(page, "z0:0:0")).to_have_text("-5")
    cell(page, "y0:1:1").click()
    field = page.get_by_label("value of y(1,1)")
    field.fill("9")
    field.press("Enter")
    expect(cell(page, "y0:1:1")).to_have_text("9")
    field.fill("1234")
    field.press("Enter")
    has(page, ".notice", "Give a number from −99 to 99, such as 3, 1/4 or 0.25.")
    expect(cell(page, "y0:1:1")).to_have_text("9")
    page.keyboard.press("Escape")
    slide_to(page, "size of y", 3)
    slide_to(page, "size of y", 2)
    expect(cell(page, "y0:1:1")).to_have_text("9")  # a value comes back with its cell


def hold_the_clock(page: Any) -> None:
    """From now on the page's timers run when they are told to."""
    page.clock.install(time=0)
    page.clock.pause_at(10**6)


def test_the_steps_slide_the_flipped_kernel(opened: Open) -> None:
    page = opened("plain")
    hold_the_clock(page)
    for button, place in (("next", "0,0"), ("next", "0,1"), ("previous", "0,0"),
                          ("previous", "2,2"), ("play", "0,0")):  # fmt: skip
        page.get_by_role("button", name=button, exact=True).click()
        tells(page, f"z({place}) = ")
    page.clock.run_for(1000)
    tells(page, "z(0,1) = ")
    page.get_by_text("pause", exact=True).click()
    expect(page.get_by_text("play", exact=True)).to_be_visible()
    page.clock.run_for(5000)
    tells(page, "z(0,1) = ")


def test_the_stamps_build_up_on_a_sheet(opened: Open) -> None:
    """Played, stopped and scrubbed; each step adds one stamp, and the last one gives z."""
    for options in ({}, {"reduced_motion": "reduce"}):
        page = opened("plain", **options)
        hold_the_clock(page)
        shows(page, "sum0", PRODUCT)
        sheets = [
            ["0", "0", "", "0", "0", "", "", "", ""],
            ["0", "4", "7", "0", "2", "2", "", "", ""],
            ["0", "4", "7", "8", "16", "2", "4", "4", ""],
            PRODUCT,
        ]
        page.get_by_role("button", name="play the stamps").click()
        for n, sheet in enumerate(sheets):
            shows(page, "sum0", sheet)
            has(page, ".player output", f"{n + 1} of 4")
            tells(page, f"y({n // 2},{n % 2}) = {n} stamps")
            assert lit(page, f"matrix:.*:{n + 1}") >= {f"matrix:{1 + n + n // 2}:{n + 1}"}
            page.clock.run_for(1000)
        expect(page.get_by_role("button", name="play the stamps")).to_be_visible()  # it has stopped
        page.get_by_label("speed").select_option("4")
        page.get_by_role("button", name="play the stamps").click()
        shows(page, "sum0", sheets[0])
        page.clock.run_for(250)
        shows(page, "sum0", sheets[1])
        page.get_by_role("button", name="pause the stamps").click()
        page.clock.run_for(5000)
        shows(page, "sum0", sheets[1])
        scrub = slider(page, "stamps put down")
        scrub.press("ArrowRight")
        shows(page, "sum0", sheets[2])
        expect(scrub).to_have_attribute("aria-valuetext", "3 of 4")
        expect(cell(page, "sum0:1:1")).to_have_attribute("aria-label", "z(1,1) = 16")
        expect(page.locator('[data-grid="sum0"] .lit')).to_have_count(4)
        assert page.locator('[data-grid="sum0"] .lit').evaluate_all(
            "all => all.map((one) => one.dataset.times)"
        ) == ["+8", "+14", "+4", "+4"]
        scrub.press("Home")
        shows(page, "sum0", [""] * 9)
        tells(page, "Point at any cell")
        page.keyboard.press("Escape")
        shows(page, "sum0", PRODUCT)


def test_stamps_move_only_for_those_who_do_not_mind(opened: Open) -> None:
    for options, moves in (({}, True), ({"reduced_motion": "reduce"}, False)):
        page = opened("cut", **options)
        slider(page, "stamps put down").press("Home")
        slider(page, "stamps put down").press("ArrowRight")
        names = page.locator('[data-grid="sum0"] .lit').evaluate_all(
            "all => all.map((one) => getComputedStyle(one).animationName)"
        )
        assert len(names) == 3  # also the one that is cut off
        assert [name != "none" for name in names] == [moves] * 3


def test_the_gradients_come_back_through_the_same_links(opened: Open) -> None:
    page = opened("plain")
    x = np.reshape([*range(1, 10)], (1, 3, 3))
    forward = np.asarray(conv(x, np.array(W)))
    gradient = np.asarray(kernel_gradient(x, np.array(Y), kernel_size=(2, 2)))
    shows(page, "Cx0", [str(n) for n in forward.ravel()])
    shows(page, "dw0", [str(n) for n in gradient.ravel()])
    shows(page, "dx0", PRODUCT)
    cell(page, "gy0:1:0").hover()  # y(1,0) = 2
    tells(page, "y(1,0) = 2 stamps")
    assert lit(page, "dx.*") == {"dx0:1:0", "dx0:1:1", "dx0:2:0", "dx0:2:1"}
    assert lit(page, "dw.*") == {f"dw0:{r}:{c}" for r in (0, 1) for c in (0, 1)}
    notes = "all => all.map((one) => one.dataset.times)"
    assert page.locator('[data-grid="dx0"] .under').evaluate_all(notes) == ["+8", "+14", "+4", "+4"]
    assert page.locator('[data-grid="dw0"] .under').evaluate_all(notes) == [
        "+8",
        "+10",
        "+14",
        "+16",
    ]
    for place, start in {
        "x0:1:1": "x(1,1) = 5 enters C x through 4 taps, and its gradient z(1,1) = 28 comes back",
        "Cx0:0:1": "Cx(0,1) = x(0,1)·w(0,0) + x(0,2)·w(0,1) + x(1,1)·w(1,0) + x(1,2)·w(1,1) = "
        "2·4 + 3·7 + 5·2 + 6·2 = 51: it reads x through the taps by which y(0,1) is stamped.",
        "dw0:0:1": f"dw(0,1) = y(0,0)·x(0,1) + y(0,1)·x(0,2) + y(1,0)·x(1,1) + y(1,1)·x(1,2) = "
        f"0·2 + 1·3 + 2·5 + 3·6 = {gradient.ravel()[1]}: the gradient for w(0,1) has one product",
    }.items():
        cell(page, place).hover()
        tells(page, start)
    cell(page, "x0:0:0").dblclick()
    page.keyboard.type("-1/2")
    page.keyboard.press("Enter")
    expect(cell(page, "Cx0:0:0")).to_have_text(str(forward.ravel()[0] - 6))


def counted_from_one(shape: tuple[int, ...]) -> np.ndarray[Any, Any]:
    """1 to 9 over and over in two axes, from 1 on in the first sheet, from 2 in the next."""
    sheets = np.arange(math.prod(shape[:-2]))[:, None]
    size = math.prod(shape[-2:])
    return 1 + ((size + 1) * sheets + np.arange(size)).reshape(shape) % 9


def test_each_channel_is_a_sheet_that_is_linked_as_the_package_says(opened: Open) -> None:
    """Every element of z lights up, in all sheets of y and w, what Python's links name, alone."""
    page = opened("channels")
    rng = np.random.default_rng(4)
    made = list(links(CHANNELS))
    y, w = (counted_from_one(shape) for shape in (CHANNELS.out_shape, CHANNELS.kernel_shape))
    z = np.asarray(conv_transpose(y, w, stride=2, padding=1))
    for channel in range(2):
        shows(page, f"z{channel}", [str(n) for n in z[channel].ravel()])
        expect(page.locator(f".stack:has([data-grid=z{channel}]) > table")).to_have_count(2)
    matrix = conv_matrix(CHANNELS, w).T
    rows = page.locator('[data-grid="matrix"] tr').evaluate_all(
        "all => all.map((row) => [...row.children].map((one) => one.textContent))"
    )
    entries = [[0 if text == "·" else int(text) for text in row[1:-1]] for row in rows[1:]]
    assert entries == matrix.tolist()
    for place in rng.permutation(list(np.ndindex(CHANNELS.in_shape)))[:5].tolist():
        cell(page, f"z{place[0]}:{place[1]}:{place[2]}").hover()
        tells(page, f"z({place[0]},{place[1]},{place[2]}) = ")
        met = [one for one in made if list(one.input) == place]
        fed = {"y{}:{}:{}".format(*one.output) for one in met}
        taps = {"w{}:{}:{}".format(2 * one.tap[0] + one.tap[1], *one.tap[2:]) for one in met}
        assert lit(page, r"y\d.*") == fed
        assert lit(page, r"w\d.*") == taps
        assert {one[1] for one in fed} == {"0", "1", "2"}
    cell(page, "w3:0:1").hover()
    tells(page, f"w(1,1,0,1) = {w[1, 1, 0, 1]} stands")
    assert {one[1] for one in lit(page, r"[yz]\d.*")} == {"1"}
    expect(page.locator('[data-framework="PyTorch"] code')).to_have_text(
        "torch.nn.ConvTranspose2d(3, 2, kernel_size=(2, 2), stride=2, padding=1, bias=False)"
    )
    expect(page.locator("section.photo")).to_have_count(0)
    assert barriers(page) == []


def test_groups_take_the_channels_that_they_divide(opened: Open) -> None:
    page = opened("shared")
    unfold(page)
    slide_to(page, "groups", 2)
    for letter in "yz":
        expect(slider(page, f"channels of {letter}")).to_have_value("2")
    slider(page, "channels of z").press("ArrowRight")
    expect(slider(page, "channels of z")).to_have_value("4")
    expect(page).to_have_url(re.compile("groups=2&in_channels=4"))
    field = slider(page, "channels of y, typed")
    field.fill("3")
    field.press("Enter")
    has(page, ".problem", "2 groups do not divide 3 channels of y. Give a multiple of 2.")
    field.fill("2")
    field.press("Enter")
    slide_to(page, "groups", 1)
    expect(slider(page, "channels of z")).to_have_value("4")
    has_cells(page, "w7", 9)
    there = opened(page.url.rpartition("/")[2])
    expect(slider(there, "channels of z")).to_be_visible()  # what is unusual is not folded
    has_cells(there, "w7", 9)


# -- parts and pages -------------------------------------------------------------------------------


def test_what_a_page_does_not_name_is_folded_until_it_is_opened(opened: Open) -> None:
    page = opened("folded")
    expect(page.get_by_role("slider")).to_have_count(1)
    expect(slider(page, "kernel")).to_be_visible()
    expect(page.locator("section")).to_have_count(1)
    slide_to(page, "kernel", 4)
    cell(page, "y0:0:0").dblclick()
    page.keyboard.type("-7")
    page.keyboard.press("Enter")
    page.get_by_text("More settings and views").click()
    expect(page.locator("section")).to_have_count(7)
    expect(page.locator("section").last).to_be_visible()
    slide_to(page, "stride", 3)
    expect(page.locator("section.matrix [data-place]").first).to_be_visible()
    slide_to(page, "output padding", 3)
    has(page, ".problem", "Output padding 3 is not possible")
    slide_to(page, "output padding", 0)
    page.get_by_text("More settings and views").click()
    expect(page.locator("section")).to_have_count(1)
    cells = page.locator('[data-grid="z0"] td').all_inner_texts()
    page.get_by_role("link", name="Open in the explorer").click()
    expect(page).to_have_url(re.compile("shared.html#.*kernel=4&stride=3"))
    shows(page, "z0", cells)
    expect(cell(page, "y0:0:0")).to_have_text("-7")


def test_each_part_that_can_be_named_is_shown_alone(opened: Open) -> None:
    page = opened("plain")
    shown = page.evaluate(
        """(names) => names.map((name) => {
      const one = document.createElement("tconv-explorer");
      one.setAttribute("parts", name);
      document.body.append(one);
      const parts = ".controls > :not(details), .formula, .views > section";
      const all = [...one.shadowRoot.querySelectorAll(parts)];
      one.remove();
      return all.filter((part) => !part.closest("details")).length; })""",
        list(explorer.PARTS),
    )
    assert dict(zip(explorer.PARTS, shown, strict=True)) == dict.fromkeys(explorer.PARTS, 1)


def test_z_may_begin_with_counts_which_a_link_carries(opened: Open) -> None:
    page = opened("counted")
    first = ["1", "2", "1", "2", "1"]
    expect(page.locator('[data-grid="z0"] tr').first.locator("td")).to_have_text(first)
    expect(page.get_by_label("z shows")).to_have_value("counts")
    slide_to(page, "kernel", 4)
    expect(page).to_have_url(re.compile("counts=yes"))
    page.get_by_label("z shows").select_option("values")
    expect(page).not_to_have_url(re.compile("counts"))
    there = opened(page.url.rpartition("/")[2])
    expect(there.get_by_label("z shows")).to_have_value("values")


def test_two_explorers_on_a_page_are_independent(opened: Open) -> None:
    page = opened("pair")
    one, two = (page.locator("tconv-explorer").nth(n) for n in (0, 1))
    texts = "e => [...e.shadowRoot.querySelectorAll('td')].map((td) => td.textContent)"
    before = two.evaluate(texts)
    one.locator('[data-place="z0:1:1"]').click()
    expect(one.locator(".told p").first).to_have_text(re.compile(r"^z\(1,1\) = "))
    expect(two.locator(".lit")).to_have_count(0)
    one.get_by_label("stride", exact=True).press("ArrowRight")
    expect(one.locator('[data-grid="z0"] td')).to_have_count(16)
    one.get_by_label("z shows").select_option("counts")
    expect(page).to_have_url(re.compile("stride=2.*counts=yes"))
    assert two.evaluate(texts) == before
    expect(one.get_by_text("Copy link")).to_be_visible()
    expect(two.get_by_text("Copy link")).not_to_be_visible()
    address = page.url
    own = one.evaluate(texts)
    two.get_by_label("kernel", exact=True).press("ArrowRight")
    expect(two.locator('[data-grid="z0"] td')).to_have_count(16)
    two.locator('[data-place="z0:0:0"]').hover()
    expect(two.locator(".lit").first).to_be_visible()
    assert page.url == address
    assert one.evaluate(texts) == own
    expect(one.locator(".told p").first).to_have_text(re.compile(r"^z\(1,1\) = "))


def test_a_hover_touches_only_what_lights_up_or_goes_out(opened: Open) -> None:
    page = opened("strided")
    cell(page, "y0:0:0").hover()
    tells(page, "y(0,0)")
    shown = "all => all.map((one) => one.dataset.place)"
    before = set(page.locator(".lit, .chosen, .band").evaluate_all(shown))
    page.evaluate("""() => { window.touched = new Set();
      const note = (all) => all.map(({ target }) => target.dataset.place).filter(Boolean)
        .forEach((place) => touched.add(place));
      new MutationObserver(note).observe(document.querySelector("tconv-explorer").shadowRoot,
        { subtree: true, attributes: true, childList: true }); }""")
    cell(page, "y0:0:1").hover()
    tells(page, "y(0,1)")
    after = set(page.locator(".lit, .chosen, .band").evaluate_all(shown))
    touched = set(page.evaluate("[...touched]"))
    assert touched
    assert touched <= before | after
    page.evaluate("touched.clear()")
    cell(page, "y0:0:1").dispatch_event("pointerover")
    assert page.evaluate("[...touched]") == []


def test_kernels_have_names_and_taps_may_be_fractions(opened: Open) -> None:
    page = opened("shared")
    names = page.get_by_label("kernel values")
    names.select_option("tent")
    shows(page, "w0", ["1/4", "1/2", "1/4", "1/2", "1", "1/2", "1/4", "1/2", "1/4"])
    expect(cell(page, "z0:1:1")).to_have_text("3")  # (1 + 2 + 4 + 5) / 4
    expect(page).to_have_url(re.compile("w=1/4,1/2,1/4,"))
    names.select_option("sobel")
    shows(page, "w0", ["1", "0", "-1", "2", "0", "-2", "1", "0", "-1"])
    names.select_option("random")
    random = page.locator('[data-grid="w0"] td').all_inner_texts()
    assert all(-9 <= int(text) <= 9 for text in random)
    names.select_option("ones")
    cell(page, "w0:0:0").focus()
    page.keyboard.type("3/4")
    page.keyboard.press("Enter")
    expect(names).to_have_value("own")
    expect(cell(page, "z0:1:1")).to_have_text("43/4")  # 1 + 2 + 4 + 3/4 of 5
    cell(page, "z0:1:1").hover()
    tells(page, "z(1,1) = y(0,0)·w(2,2) + y(0,1)·w(2,0) + y(1,0)·w(0,2) + y(1,1)·w(0,0) = "
          "1·1 + 2·1 + 4·1 + 5·(3/4) = 43/4")  # fmt: skip
    there = opened(page.url[page.url.index("shared.html") :])
    expect(cell(there, "w0:0:0")).to_have_text("3/4")


def test_padding_that_copies_gives_back_what_falls_into_it(opened: Open) -> None:
    page = opened("cut")  # y = 1 2 3, w = 1 10 20, padding 1
    unfold(page)
    mode = page.get_by_label("padding mode")
    for name, z, column in (
        ("circular", ["72", "43", "71"], ["20", "1", "10"]),
        ("reflect", ["12", "104", "70"], ["·", "21", "10"]),
        ("replicate", ["13", "43", "130"], ["·", "1", "30"]),
    ):
        mode.select_option(name)
        shows(page, "z0", z)
        shows(page, "sum0", ["1", "12", "43", "70", "60"])
        expect(page.locator("section.zeros")).to_have_count(0)
        for row, entry in enumerate(column, 1):
            expect(cell(page, f"matrix:{row}:3")).to_have_text(entry)
        has(page, '[data-framework="PyTorch"]', "its transposed convolution has zeros for padding")
        has(page, '[data-framework="tconvjax"]', f'padding_mode="{name}"')
    cell(page, "matrix:3:3").hover()
    tells(
        page, "Row 2, column 2 of C.T is w(1) + w(2) = 30: y(2) reaches z(2) through several taps"
    )
    assert lit(page, "w.*") == {"w0:0:1", "w0:0:2"}
    cell(page, "matrix:3:3").click()
    mode.select_option("zeros")
    tells(page, "Row 2, column 2 of C.T is w(1) = 10")
    expect(page.locator("section.zeros")).to_have_count(1)
    shared = opened("shared.html#padding_mode=circular&padding=1")
    expect(shared.get_by_label("padding mode")).to_have_value("circular")
    slide_to(shared, "kernel", 2)
    expect(shared).to_have_url(re.compile("padding_mode=circular"))
    wrong = opened("shared.html#padding_mode=wrap")
    has(wrong, ".notice", "padding mode was not taken: it must be one of zeros, circular, reflect")


def test_a_pasted_layer_gives_its_settings(opened: Open) -> None:
    page = opened("strided")
    unfold(page)
    page.get_by_label("padding mode").select_option("reflect")
    field = slider(page, "paste a layer")
    for line, shape, words in (
        (
            "self.up = nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1),",
            6,
            "The current layer has 16 channels in",
        ),
        ('layers.Conv2DTranspose(8, 3, strides=2, padding="same")', 6, "were taken"),
        ("nnx.ConvTranspose(16, 8, (3, 3), strides=(2, 2), padding='SAME')", 6, "8 out"),
    ):
        field.fill(line)
        field.press("Enter")
        has(page, ".notice", words)
        has_cells(page, "z0", shape * shape)
    expect(slider(page, "padding, typed")).to_have_value("0:1")
    expect(page.get_by_label("padding mode")).to_have_value("zeros")
    field.fill("nn.Linear(3, 4)")
    field.press("Enter")
    has(page, ".notice", "nn.Linear is no layer that the explorer knows.")
    has_cells(page, "z0", 36)
    field.fill("nn.ConvTranspose2d(1, 1, 4, stride=2, output_padding=2)")
    field.press("Enter")
    has(page, ".notice", "output_padding=2 is not possible: it must be smaller than the stride (2)")
    has_cells(page, "z0", 36)
    field.fill("nn.ConvTranspose2d(2, 3, 2)")
    field.press("Enter")
    expect(slider(page, "channels of y")).to_have_value("2")
    has_cells(page, "z2", 16)


def test_a_line_is_read_when_it_is_pasted(opened: Open) -> None:
    page = opened("strided")
    unfold(page)
    field = slider(page, "paste a layer")
    field.press_sequentially("nn.ConvTranspose2d(1, 1, 4, stride=3)")
    field.press("Control+A")
    field.press("Control+X")
    expect(slider(page, "stride")).not_to_have_value("3")
    field.press("Control+V")
    expect(slider(page, "stride")).to_have_value("3")
    expect(slider(page, "kernel")).to_have_value("4")


def test_counts_are_those_of_z_alone(opened: Open) -> None:
    page = opened("shared")
    page.get_by_label("z shows").select_option("counts")
    counts, dx = (
        page.locator(f'[data-grid="{name}0"] td').all_inner_texts() for name in ("z", "dx")
    )
    assert counts != dx
    page.get_by_label("z shows").select_option("values")
    assert page.locator('[data-grid="z0"] td').all_inner_texts() == dx


def test_a_pasted_layer_stays_until_its_channels_are_others(opened: Open) -> None:
    page = opened("shared")
    unfold(page)
    field = slider(page, "paste a layer")
    field.fill("nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1, output_padding=1, groups=2)")
    field.press("Enter")
    note = "The current layer has 64 channels in and 32 out in 2 groups: one channel of each group"
    has(page, ".notice", "were taken; the size of y stays. " + note)
    has_cells(page, "z1", 49)
    code = page.locator('[data-framework="PyTorch"]')
    for label, value in (("size of y", 2), ("stride", 4), ("padding", 2)):
        expect(code).to_contain_text("(64, 32, kernel_size=(4, 4), stride=")
        expect(code).to_contain_text("output_padding=1, groups=2)")
        expect(code).to_contain_text("kernel (64, 16, 4, 4), bias (32,)")
        slide_to(page, label, value)
        expect(page.locator(".notice")).to_have_text(re.compile("^" + re.escape(note)))
    expect(code).to_contain_text("(64, 32, kernel_size=(4, 4), stride=4, padding=2,")
    expect(page).to_have_url(re.compile("&layer=64,32,2,bias&"))
    page.reload()
    expect(code).to_contain_text("(64, 32, kernel_size=(4, 4), stride=4, padding=2,")
    has(page, ".notice", note)
    slide_to(page, "channels of z", 4)
    expect(code).to_contain_text("(2, 4, kernel_size=(4, 4), stride=4, padding=2,")
    expect(code).to_contain_text("bias=False")
    expect(page.locator(".notice")).to_be_empty()
    page.go_back()
    expect(code).to_contain_text("(64, 32,")
    page.get_by_label("example").select_option("padding")
    expect(code).to_contain_text("(1, 1,")
    assert opened("shared.html#groups=2&layer=64,32,3").locator(".notice").inner_text() == (
        "The channels of the layer were not taken: give those of y, those of z and the groups, "
        "such as 64,32,2."
    )


def test_a_picture_shows_its_grid(opened: Open, tmp_path: Path) -> None:
    """Rows of z differ in brightness where the phases of the kernel do, and else they do not."""
    page = opened("strided")
    rows = """(n) => { const canvas = document.querySelector("tconv-explorer").shadowRoot
      .querySelectorAll("canvas")[n]; const { width, height } = canvas;
      const pen = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
      pen.drawImage(canvas, 0, 0);
      const add = (sum, value) => sum + value;
      const row = (r) => pen.getImageData(0, r, width, 1).data.reduce(add, 0) / width;
      return [...Array(height).keys()].map(row); }"""

    def roughness() -> float:
        sums = np.array(page.evaluate(rows, 1)[20:100], float)
        return float(abs(np.diff(sums)).mean() / sums.mean())

    page.get_by_label("kernel values").select_option("ones")
    has(page, "section.photo", "its taps add up to 4, 2, 2, 1. These sums differ")
    assert roughness() > 0.2
    slide_to(page, "kernel", 4)
    page.get_by_label("kernel values").select_option("ones")
    has(page, "section.photo", "its taps add up to 4, so no grid shows.")
    assert roughness() < 0.02
    bright, brighter = (np.mean(page.evaluate(rows, n)) for n in (0, 1))
    assert abs(brighter / bright - 1) < 0.02  # of one brightness, whatever the taps
    canvas = page.locator("canvas").last
    expect(canvas).to_have_js_property("width", 128)  # 2·63 + 4 − 2
    (tmp_path / "black.png").write_bytes(BLACK)
    (tmp_path / "words.png").write_text("no picture")
    page.get_by_label("Another picture").set_input_files(tmp_path / "black.png")
    page.wait_for_function(f"() => ({rows})(1)[60] === 255")  # black, and not transparent
    page.get_by_label("Another picture").set_input_files(tmp_path / "words.png")
    has(page, "section.photo", "This file holds no picture that the browser can read.")
    page.get_by_label("dimension").select_option("1")
    expect(page.locator("section.photo")).to_have_count(0)


def test_what_differs_between_two_settings_is_marked(opened: Open) -> None:
    page = opened("strided")
    unfold(page)
    page.get_by_role("button", name="Keep to compare").click()
    expect(page.locator(".differs")).to_have_count(0)
    slide_to(page, "output padding", 1)
    marked = page.locator(".numbers tr:has(.differs) td:first-child")
    expect(marked).to_have_text(["≠ output padding", "≠ x, z", "≠ C", "≠ products"])
    expect(page.locator(".numbers tr:has(.differs)").last).to_have_text("≠ products4964")
    kept, now = page.locator(".side").nth(0), page.locator(".side").nth(1)
    expect(kept.locator(".differs")).to_have_count(0)
    expect(now.locator("table").first.locator(".differs")).to_have_text(
        ["18", "45", "36", "81", "54", "56", "119", "64", "135", "72", "81"]
    )
    expect(now.locator("table").last.locator(".differs")).to_have_count(64 - 49)
    expect(now.locator(".differs").first).to_have_accessible_name("18: differs")
    slide_to(page, "output padding", 0)
    cell(page, "w0:0:0").dblclick()
    page.keyboard.type("2")
    page.keyboard.press("Enter")
    expect(page.locator(".numbers .differs")).to_have_count(0)
    # The tap meets 4 elements of z; the other 5 of its products are cut off.
    expect(now.locator("table").first.locator(".differs")).to_have_text(["45", "66", "108", "129"])
    expect(kept.locator("table").last.locator(".differs")).to_have_text(["1"] * 4)
    assert barriers(page) == []
    field = slider(page, "size of y, typed")
    field.fill("99")
    field.press("Enter")
    expect(marked).to_have_text(["≠ size of y", "≠ x, z", "≠ y", "≠ C", "≠ products"])
    expect(page.locator(".side")).to_have_count(0)
    page.get_by_role("button", name="End the comparison").click()
    expect(page.locator("section.compared")).to_have_count(0)


def test_no_letter_is_smaller_than_ten_pixels(opened: Open) -> None:
    sizes = """() => [...document.querySelector("tconv-explorer").shadowRoot.querySelectorAll("*")]
      .flatMap((one) => [getComputedStyle(one), getComputedStyle(one, "::after")])
      .map((style) => parseFloat(style.fontSize)).reduce((a, b) => Math.min(a, b))"""
    for width in (390, 1440):
        page = opened("shared.html#out_size=4&kernel=4&stride=4", width=width)
        has_cells(page, "z0", 14 * 14)
        cell(page, "z0:4:4").click()
        assert page.evaluate(sizes) >= 10


def test_examples_are_possible_settings(opened: Open) -> None:
    page = opened("plain")
    options = page.get_by_label("example")
    names = options.locator("option").evaluate_all("all => all.map((one) => one.value)")
    assert len(names) > 6
    for name in filter(None, names):
        options.select_option(name)
        expect(options).to_have_value(name)
        expect(page.locator(".problem")).to_be_empty()
        expect(page.locator(".notice")).to_be_empty()


# -- code and links --------------------------------------------------------------------------------

CLIPBOARD = ["clipboard-read", "clipboard-write"]


def test_a_line_is_copied(opened: Open) -> None:
    page = opened("strided", permissions=CLIPBOARD)
    hold_the_clock(page)
    for name in ("tconvjax", "PyTorch", "Flax", "Keras"):
        button = page.get_by_label(f"Copy the line for {name}")
        button.click()
        expect(button).to_have_text("Copied")
        line = page.locator(f'[data-framework="{name}"] code').inner_text()
        assert page.evaluate("navigator.clipboard.readText()") == line
        page.clock.run_for(3000)
        expect(button).to_have_text("Copy")
    expect(page.get_by_text("Copy link")).not_to_be_visible()


def test_a_view_is_saved_as_it_looks(opened: Open) -> None:
    options = opened("strided").get_by_label("save the view").locator("option")
    names = options.evaluate_all("all => all.map((one) => one.value)")
    assert len(names) == 5
    for name in names:
        page = opened("strided")  # Chromium drops all but ten downloads a second of a page
        cell(page, "y0:1:1").click()
        scroller = page.locator("section.matrix .scroll")
        scroller.evaluate("e => e.scrollTo(0, 150)")
        page.get_by_label("save the view").select_option(name)
        with page.expect_download() as saved:
            page.get_by_role("button", name="SVG").click()
        assert saved.value.suggested_filename == f"{name}.svg"
        drawn = ET.fromstring(saved.value.path().read_text("utf-8"))
        texts = [str(one.text) for one in drawn.iter("{http://www.w3.org/2000/svg}text")]
        view = page.locator(f"section.{name}")
        cells = view.locator("td, th").evaluate_all(
            "all => all.flatMap((one) => [one.textContent, one.dataset.times]).filter(Boolean)"
        )
        assert sorted(text for text in texts if text in set(cells)) == sorted(cells)
        rects = list(drawn.iter("{http://www.w3.org/2000/svg}rect"))
        assert len(rects) == view.locator("td, th").count() + 1
        width, height = float(drawn.attrib["width"]), float(drawn.attrib["height"])
        for rect in rects[1:]:
            x, y, w, h = (float(rect.attrib[side]) for side in ("x", "y", "width", "height"))
            assert 0 <= x <= x + w <= width
            assert 0 <= y <= y + h <= height
        if name == "matrix":
            tops = [float(rect.attrib["y"]) for rect in rects[1:]]
            assert tops == sorted(tops)
            expect(scroller).to_have_js_property("scrollTop", 150)
        lit = {"#440154", "#fde725"} & {rect.attrib["fill"] for rect in rects}
        assert len(lit) == 2
        with page.expect_download() as saved:
            page.get_by_role("button", name="PNG").click()
        head = saved.value.path().read_bytes()[:24]
        assert head[:8] == b"\x89PNG\r\n\x1a\n"
        assert struct.unpack(">II", head[16:]) == (2 * width, 2 * height)
        with page.expect_download() as saved:
            page.get_by_role("button", name="TikZ").click()
        assert saved.value.suggested_filename == f"{name}.tex"
        assert_tikz(saved.value.path().read_text("utf-8"), drawn)


def assert_tikz(text: str, drawn: ET.Element) -> None:
    """The picture has the boxes, colours and texts of an SVG drawing, and only known TeX."""
    first, *lines, last = text.splitlines()
    assert first.startswith("\\begin{tikzpicture}[x=1bp, y=-1bp")
    assert last == "\\end{tikzpicture}"
    colours = dict(re.findall(r"\\definecolor\{(\w+)\}\{HTML\}\{([0-9A-F]{6})\}", text))
    boxes = re.findall(
        r"\\filldraw\[fill=(\w+), draw=(\w+), line width=[\d.]+bp(?:, dashed)?\] "
        r"\(([-\d.]+),([-\d.]+)\) rectangle \+\+\(([\d.]+),([\d.]+)\);", text)  # fmt: skip
    rects = [one.attrib for one in drawn.iter("{http://www.w3.org/2000/svg}rect")][1:]
    sides = ("x", "y", "width", "height")
    assert [box[2:] for box in boxes] == [tuple(rect[side] for side in sides) for rect in rects]
    for n, paint in enumerate(("fill", "stroke")):
        painted = [f"#{colours[box[n]].lower()}" for box in boxes]
        assert painted == [rect[paint] for rect in rects]
    nodes = re.findall(r"\\node\[.*?\] at \(.*?\) \{\\fontsize.*?\\selectfont (.*)\};", text)
    assert len(lines) == len(colours) + len(boxes) + len(nodes)
    signs = {r"\cdot ": "·", r"\times ": "×", r"\star ": "⋆", r"\ast ": "∗", r"\to ": "→"}
    texts = [re.sub(r"^\\textbf\{(.*)\}$", r"\1", node) for node in nodes]
    for tex, sign in signs.items():
        texts = [one.replace(f"${tex}$", sign) for one in texts]
    texts = [one.replace("$-$", "-").replace("\\textbackslash ", "\\") for one in texts]
    shown = [
        str(one.text).replace("−", "-") for one in drawn.iter("{http://www.w3.org/2000/svg}text")
    ]
    assert texts == shown
    assert all(text.count("{") == text.count("}") for text in nodes)


def test_the_fence_and_the_iframe_show_the_same_state(opened: Open) -> None:
    page = opened("shared", permissions=CLIPBOARD)
    slide_to(page, "stride", 3)
    page.get_by_label("kernel values").select_option("tent")
    hold_the_clock(page)
    page.get_by_label("Copy the fence").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    _, *lines, _ = page.evaluate("navigator.clipboard.readText()").splitlines()
    fence = read("\n".join(lines))
    assert fence.geometry == Geometry.of_conv_transpose(
        (1, 3, 3), (1, 1, 3, 3), stride=3, padding=1
    )
    assert str(fence.w[0, 0, 0, 0]) == "1/4"
    page.get_by_label("Copy the iframe").click()
    expect(page.get_by_text("Copied")).to_have_count(2)
    frame = ET.fromstring(page.evaluate("navigator.clipboard.readText()"))
    assert frame.attrib["src"] == page.url
    there = opened(frame.attrib["src"][len(frame.attrib["src"].partition("shared.html")[0]) :])
    shows(there, "z0", page.locator('[data-grid="z0"] td').all_inner_texts())


def test_a_link_shares_the_state_and_back_goes_back(opened: Open) -> None:
    page = opened("shared", permissions=CLIPBOARD)
    assert "#" not in page.url
    slide_to(page, "stride", 3)
    cell(page, "y0:0:0").focus()
    page.keyboard.type("42")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("stride=3"))
    hold_the_clock(page)
    page.get_by_text("Copy link").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    there = opened(link.rpartition("/")[2])
    expect(cell(there, "y0:0:0")).to_have_text("42")
    expect(slider(there, "stride")).to_have_value("3")
    shows(there, "z0", page.locator('[data-grid="z0"] td').all_inner_texts())
    page.go_back()
    expect(cell(page, "y0:0:0")).to_have_text("1")
    expect(slider(page, "stride")).to_have_value("3")
    page.go_forward()
    expect(cell(page, "y0:0:0")).to_have_text("42")
    while "#" in page.url:
        page.go_back()
    expect(slider(page, "stride")).to_have_value("2")


def test_not_every_address_is_a_state(opened: Open) -> None:
    page = opened("shared.html#heading")
    expect(slider(page, "stride")).to_have_value("2")
    expect(page.locator(".notice")).to_be_empty()
    slide_to(page, "stride", 3)
    page.evaluate(
        "() => new Promise((gone) => { addEventListener('hashchange', gone); "
        "location.hash = 'heading' }).then(() => null)"
    )
    expect(slider(page, "stride")).to_have_value("3")
    page = opened("strided.html#stride=4")
    expect(slider(page, "stride")).to_have_value("2")
    slide_to(page, "stride", 3)
    assert page.url.endswith("#stride=4")


def test_a_hostile_address_does_no_harm(opened: Open) -> None:
    usual = opened("shared").locator('[data-grid="z0"] td').all_inner_texts()
    for fragment in (
        "stride=%3Cimg%20src=x%20onerror=alert(1)%3E", "kernel=99999999999", "y=1,2,3", "stride=%",
        "y=%3Cscript%3Ealert(1)%3C/script%3E", "stride=&kernel=", "y=" + "1," * 2000,
        "__proto__=1&stride=constructor", "dimension=3",
    ):  # fmt: skip
        page = opened(f"shared.html#{fragment}")
        has(page, ".notice", "not taken")
        expect(slider(page, "stride")).to_have_value("2")
        shows(page, "z0", usual)
        expect(page.locator("tconv-explorer").locator("img, script, b b")).to_have_count(0)
    page = opened("bad")
    has(
        page, ".notice", "kernel was not taken: give a whole number from 1 to 4096, or one for each"
    )
    has(page, ".notice", "The values of y were not taken: give 4 numbers from −99 to 99")
    has_cells(page, "y0", 4)


# -- looks -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "strided", "blocks", "chinese"])
def test_views_stand_side_by_side_and_no_page_scrolls_sideways(opened: Open, name: str) -> None:
    size, kernel = ("y 的尺寸", "卷积核") if name == "chinese" else ("size of y", "kernel")
    lefts = "all => new Set(all.map((one) => one.getBoundingClientRect().left)).size"
    page = opened(name)
    for number in (2, 4):
        slide_to(page, size, number)
        slide_to(page, kernel, number)
        for width, columns in ((320, 1), (390, 1), (1440, 2)):
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.locator("section").evaluate_all(lefts) == columns


@pytest.mark.parametrize("name", ["strided", "dark"])
def test_all_can_be_read_whatever_lights_up(opened: Open, name: str) -> None:
    page = opened(name)
    for place in ("", "z0:2:2", "y0:0:0", "w0:1:1", "s0:0:0", "matrix:4:3"):
        if place:
            cell(page, place).click()
        assert barriers(page, alone=True) == [], place


def test_letters_too_faint_are_seen(opened: Open) -> None:
    for fault in ("td[data-place='y0:0:0']", "h3"):
        page = opened("strided")
        page.locator(fault).first.evaluate("e => { e.style.webkitTextFillColor = '#999' }")
        ((rule, *_),) = barriers(page, alone=True)
        assert rule == "color-contrast"


def test_fields_are_light_or_dark_as_the_page_is(opened: Open) -> None:
    def looks(page: Any, scheme: str, paper: str) -> None:
        expect(page.locator("tconv-explorer")).to_have_css("color-scheme", scheme)
        style = "e => e.style.getPropertyValue('--paper')"
        assert page.locator("tconv-explorer").evaluate(style) == paper

    for system in ("light", "dark"):
        page = opened("strided", color_scheme=system)
        looks(page, "light", "Canvas")
        page.evaluate("document.body.style.cssText = 'color:#eee;background:rgb(1, 2, 3)'")
        page.evaluate("document.body.dataset.mdColorScheme = 'slate'")
        looks(page, "dark", "rgb(1, 2, 3)")
        looks(opened("dark", color_scheme=system), "dark", "rgb(30, 33, 41)")


def test_the_page_s_rules_and_the_explorer_s_do_not_disturb_each_other(opened: Open) -> None:
    page = opened("hostile")
    expect(cell(page, "y0:0:0")).to_have_css("color", "rgb(0, 0, 0)")
    cell(page, "z0:1:1").hover()
    expect(page.locator('[data-place="y0:0:0"].lit')).to_be_visible()
    expect(page.locator("head style")).to_have_count(0)


def test_paper_has_the_views_and_no_controls(opened: Open) -> None:
    page = opened("strided")
    page.emulate_media(media="print")
    expect(page.locator(".controls").first).not_to_be_visible()
    expect(page.locator("section").first).to_be_visible()
    heights = "all => all.map((one) => one.scrollHeight - one.clientHeight)"
    assert max(page.locator(".scroll").evaluate_all(heights)) == 0
