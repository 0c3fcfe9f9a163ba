"""The explorer in a browser: what lights up, keys, shared links, impossible settings, themes."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tconvjax import Geometry, explorer
from tests.site.conftest import expect, serving

PLAIN = Geometry.of_conv_transpose((1, 2, 2), (1, 1, 2, 2))
STRIDED = Geometry.of_conv_transpose((1, 3, 3), (1, 1, 3, 3), stride=2, padding=1)
CUT = Geometry.of_conv_transpose((1, 3), (1, 1, 3), padding=1)
BLOCKS = Geometry.of_conv_transpose((2, 2), (2, 1, 2), stride=2, groups=2)

Y, W = [[[0, 1], [2, 3]]], [[[[4, 7], [2, 2]]]]
SLATE = (
    "<style>body{background:#1e2129;color:#e2e4e9d1}"
    "</style><script>document.body.dataset.mdColorScheme='slate'</script>"
)
PAGES = {
    "plain": explorer.element(PLAIN, Y, W, fallback="<p id=kept>no script</p>"),
    "strided": explorer.element(STRIDED),
    "shared": explorer.element(STRIDED, share=True) + "<h2 id=heading>x</h2>",
    "cut": explorer.element(CUT, [1, 2, 3], [1, 10, 20]),
    "blocks": explorer.element(BLOCKS),
    "chinese": explorer.element(PLAIN, Y, W, lang="zh"),
    "dark": explorer.element(STRIDED) + SLATE,
    "twice": explorer.element(PLAIN) + f"<script>{explorer.script()}</script>",
    "bad": '<tconv-explorer kernel="99" y="<b>1</b>" out-size="2"></tconv-explorer>',
    "hostile": "<style>td{color:red!important;padding:99px} .lit{display:none} p{display:none}"
    "</style>" + explorer.element(PLAIN, Y, W),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the pages above, in place of that of the whole site."""
    folder = tmp_path_factory.mktemp("site")
    for name, body in PAGES.items():
        (folder / f"{name}.html").write_text(
            '<!doctype html><html lang="en"><meta charset="utf-8"><title>x</title>'
            '<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">'
            f"<body>{body}<script>{explorer.script()}</script>",
            encoding="utf-8",
        )
    with serving(folder) as address:
        yield address


Open = Callable[..., Any]


@pytest.fixture
def opened(site: str, browser: Any) -> Iterator[Open]:
    """Opens a page; afterwards, no page has complained or asked for anything from elsewhere."""
    complaints: list[str] = []
    contexts = []

    def open_page(name: str, width: int = 1440, **options: Any) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: complaints.append(request.url)
                if not request.url.startswith((site, "data:")) else None)  # fmt: skip
        page.goto(f"{site}/{name}" if ".html" in name else f"{site}/{name}.html")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def cell(page: Any, place: str) -> Any:
    return page.locator(f'[data-place="{place}"]')


def told(page: Any) -> str:
    return str(page.locator(".told p").inner_text())


def lit(page: Any) -> set[str]:
    """The places of what lights up, by table."""
    return set(page.locator("tconv-explorer").evaluate(
        "e => [...e.shadowRoot.querySelectorAll('.lit, .chosen')].map((c) => c.dataset.place)"
    ))  # fmt: skip


def array(page: Any, name: str) -> list[str]:
    return list(page.locator(f'[data-grid="{name}"] td').all_inner_texts())


def slide_to(page: Any, label: str, value: int) -> None:
    """By the keys of the slider, as a person would: its first value, then up."""
    slider = page.get_by_label(label, exact=True)
    slider.press("Home")
    for _ in range(value - int(slider.get_attribute("min"))):
        slider.press("ArrowRight")


def test_the_readme_s_example_is_shown(opened: Open) -> None:
    page = opened("plain")
    assert array(page, "z0") == ["0", "4", "7", "8", "28", "23", "4", "10", "6"]
    assert page.locator("#kept").is_visible() is False


def test_without_script_the_children_stay(opened: Open) -> None:
    page = opened("plain", java_script_enabled=False)
    assert page.locator("#kept").is_visible()


def test_the_script_may_come_twice(opened: Open) -> None:
    page = opened("twice")
    assert len(array(page, "z0")) == 9


def test_pointing_lights_the_links_in_all_views(opened: Open) -> None:
    page = opened("plain")
    assert lit(page) == set()
    cell(page, "z0:1:1").hover()
    assert told(page) == (
        "z(1,1) = y(0,0)·w(1,1) + y(0,1)·w(1,0) + y(1,0)·w(0,1) + y(1,1)·w(0,0) = "
        "0·2 + 1·2 + 2·7 + 3·4 = 28: row 4 of C.T."
    )
    inputs = {f"{letter}0:{r}:{c}" for letter in "yw" for r in (0, 1) for c in (0, 1)}
    row = {"matrix:5:0", *(f"matrix:5:{n}" for n in range(1, 6))}
    assert inputs | row | {"z0:1:1", "zz0:1:1", "sum0:1:1"} <= lit(page)
    # One cell of each stamp, and the four places under the flipped kernel.
    stamps = {place for place in lit(page) if re.match(r"s\d", place)}
    assert stamps == {"s0:1:1", "s1:1:1", "s2:1:1", "s3:1:1"}
    assert {p for p in lit(page) if p[0] == "u"} == {"u0:1:1", "u0:1:2", "u0:2:1", "u0:2:2"}
    assert not any(place.startswith("matrix:4:") for place in lit(page))
    page.mouse.move(2, 2)
    assert lit(page) == set()
    assert told(page).startswith("Point at any cell")


def test_an_input_lights_its_column_and_its_stamp(opened: Open) -> None:
    page = opened("plain")
    cell(page, "y0:0:1").hover()
    assert told(page).startswith("y(0,1) = 1 stamps 1 times the kernel: 4 of its products land")
    entries = {p for p in lit(page) if re.fullmatch(r"matrix:[1-9]\d*:2", p)}
    assert entries == {"matrix:2:2", "matrix:3:2", "matrix:5:2", "matrix:6:2"}
    assert {p for p in lit(page) if p.startswith("s1:")} == {"s1:0:1", "s1:0:2", "s1:1:1", "s1:1:2"}


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ("matrix:5:4", "Row 4, column 3 of C.T is w(0,0) = 4: y(1,1)·w(0,0) = 12 is one of"),
        ("matrix:1:2", "Row 0, column 1 of C.T is 0: no tap takes y(0,1) to z(0,0)."),
        ("matrix:0:3", "y(1,0) = 2 stamps 2 times the kernel"),
        ("matrix:5:0", "z(1,1) = y(0,0)·w(1,1) + "),
        ("w0:1:0", "w(1,0) = 2 stands 4 times in C.T, once for each product that it has in z."),
        ("s3:1:2", "Row 5, column 3 of C.T is w(0,1) = 7: y(1,1)·w(0,1) = 21 is one of"),
        ("f0:0:0", "w(1,1) = 2 stands 4 times"),
        ("u0:0:0", "A zero of the border"),
    ],
)
def test_every_kind_of_cell_has_its_sentence(opened: Open, place: str, sentence: str) -> None:
    page = opened("plain")
    cell(page, place).hover()
    assert told(page).startswith(sentence)


def test_what_padding_cuts_off_is_faint_and_told(opened: Open) -> None:
    page = opened("cut")
    assert array(page, "z0") == ["12", "43", "70"]
    assert array(page, "sum0") == ["1", "12", "43", "70", "60"]
    cell(page, "s0:0:0").hover()
    assert told(page) == "y(0)·w(0) = 1 falls into the padding and is cut off."
    assert "off" in cell(page, "s0:0:0").get_attribute("class")
    assert "off" not in cell(page, "s0:0:1").get_attribute("class")
    cell(page, "y0:0:0").hover()
    assert "2 of its products land in z, 1 are cut off" in told(page)


def test_groups_are_blocks(opened: Open) -> None:
    page = opened("blocks")
    assert page.locator('[data-grid="z1"] td').count() == 4
    cell(page, "matrix:1:3").hover()
    assert told(page).endswith("y(1,0) and z(0,0) are of different groups.")
    cell(page, "y1:0:0").hover()
    assert {p for p in lit(page) if p[0] == "z" and p[1] != "z"} == {"z1:0:0", "z1:0:1"}
    words = page.locator('[data-framework="Flax"]').inner_text()
    assert "Flax cannot say it: it has no groups" in words
    assert page.locator('[data-framework="Flax"] button').count() == 0


def test_a_click_keeps_and_escape_lets_go(opened: Open) -> None:
    page = opened("plain")
    cell(page, "z0:0:0").click()
    page.mouse.move(2, 2)
    assert told(page).startswith("z(0,0) = ")
    cell(page, "z0:1:1").hover()
    assert told(page).startswith("z(0,0) = ")
    cell(page, "z0:1:1").click()
    assert told(page).startswith("z(1,1) = ")
    page.keyboard.press("Escape")
    page.mouse.move(2, 2)
    cell(page, "y0:0:0").click()
    cell(page, "y0:0:0").click()
    page.mouse.move(2, 2)
    assert "chosen" not in (cell(page, "z0:1:1").get_attribute("class") or "")


def test_a_touch_keeps(opened: Open) -> None:
    page = opened("plain", width=390, has_touch=True)
    cell(page, "z0:1:1").tap()
    assert told(page).startswith("z(1,1) = ")


def test_each_grid_is_one_tab_stop_with_arrow_keys(opened: Open) -> None:
    page = opened("plain")
    stops = page.locator("tconv-explorer").evaluate(
        "e => [...e.shadowRoot.querySelectorAll('[data-scope]')]"
        ".map((s) => s.querySelectorAll('[tabindex=\"0\"]').length)"
    )
    assert len(stops) == 8
    assert set(stops) == {1}
    where = "document.querySelector('tconv-explorer').shadowRoot.activeElement.dataset.place"
    cell(page, "y0:0:0").focus()
    assert told(page).startswith("y(0,0) = 0 stamps")
    seen = []
    for key in ("ArrowRight", "ArrowDown", "ArrowRight", "ArrowLeft", "ArrowUp", "End", "Home"):
        page.keyboard.press(key)
        seen.append(page.evaluate(where))
    assert seen == ["y0:0:1", "y0:1:1", "y0:1:1", "y0:1:0", "y0:0:0", "y0:0:1", "y0:0:0"]
    page.keyboard.press("Tab")
    assert page.evaluate(where) == "w0:0:0"
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowDown")
    assert page.evaluate(where) == "z0:1:0"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate(where).startswith("matrix:")
    assert told(page).startswith("z(1,0) = ")
    page.keyboard.press("Escape")
    assert told(page).startswith("y(0,0) = ")  # the column header that has the focus
    cell(page, "s0:0:2").focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(where) == "s1:0:0"


def test_sliders_change_all_views(opened: Open) -> None:
    page = opened("plain")
    slide_to(page, "stride", 2)
    assert page.locator('[data-grid="z0"] td').count() == 16
    slide_to(page, "kernel", 3)
    slide_to(page, "padding", 1)
    assert page.locator('[data-grid="z0"] td').count() == 9
    assert page.locator('[data-grid="matrix"] tr').count() == 10
    assert page.locator('[data-grid="u0"] td').count() == 25
    assert "2·(2 − 1) + 1·(3 − 1) + 1 − 2·1 + 0 = 3" in page.locator(".formula").inner_text()
    line = page.locator('[data-framework="PyTorch"] code').inner_text()
    assert line == (
        "torch.nn.ConvTranspose2d(1, 1, kernel_size=(3, 3), stride=2, padding=1, bias=False)"
    )


def test_a_lower_dimension_s_values_come_down_and_it_is_told(opened: Open) -> None:
    page = opened("cut")
    slide_to(page, "input size", 7)
    page.get_by_label("dimension").select_option("2")
    assert "input size went from 7 to 4" in page.locator(".notice").inner_text()
    assert page.locator('[data-grid="y0"] td').count() == 16


def test_what_is_too_large_to_draw_is_told(opened: Open) -> None:
    page = opened("strided")
    for label, value in (("input size", 4), ("kernel", 4), ("stride", 4), ("dilation", 3)):
        slide_to(page, label, value)
    slide_to(page, "padding", 0)
    assert "C.T has 484 × 16 = 7744 entries" in page.locator("section.matrix").inner_text()
    assert page.locator('section.stamps [data-grid^="s"]').count() == 2
    cell(page, "y0:2:2").hover()
    assert "this is the one of y(2,2)" in page.locator("section.stamps").inner_text()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"output padding": 2}, "Output padding 2 is not possible: it must be smaller than the "
         "stride (2) or than the dilation (1). Give at most 1, or a larger stride."),
        ({"padding": 4}, "The result would have -1 elements along an axis: the padding cuts off 8 "
         "of 7. Give a padding of at most 3, or a larger input or kernel."),
    ],
)  # fmt: skip
def test_an_impossible_setting_explains_itself(
    opened: Open, changes: dict[str, int], words: str
) -> None:
    page = opened("strided")
    for label, value in changes.items():
        slide_to(page, label, value)
        assert page.get_by_label(label, exact=True).input_value() == str(value)  # not clamped
        assert page.locator(".problem").inner_text() == words
        assert page.locator("table").count() == 0
        slide_to(page, label, 1)
    assert page.locator(".problem").inner_text() == ""
    assert page.locator("table").count() > 0


def test_values_are_edited_in_the_cell_and_beside_the_sentence(opened: Open) -> None:
    page = opened("plain")
    cell(page, "y0:0:0").focus()
    page.keyboard.type("-5")
    page.keyboard.press("Enter")
    assert array(page, "y0") == ["-5", "1", "2", "3"]
    assert array(page, "z0")[0] == "-20"
    where = "document.querySelector('tconv-explorer').shadowRoot.activeElement.dataset.place"
    assert page.evaluate(where) == "y0:0:0"
    page.keyboard.type("7")
    page.keyboard.press("Escape")
    assert array(page, "y0")[0] == "-5"
    cell(page, "w0:0:0").dblclick()
    page.keyboard.type("1")
    page.keyboard.press("Enter")
    assert array(page, "z0")[0] == "-5"
    cell(page, "y0:1:1").click()
    field = page.get_by_label("value of y(1,1)")
    field.fill("9")
    field.press("Enter")
    assert array(page, "y0")[3] == "9"
    field.fill("1234")
    field.press("Enter")
    assert "whole number from −99 to 99" in page.locator(".notice").inner_text()
    assert array(page, "y0")[3] == "9"
    page.keyboard.press("Escape")
    slide_to(page, "input size", 3)
    slide_to(page, "input size", 2)
    assert array(page, "y0")[3] == "9"  # a value comes back with its cell


def test_the_steps_slide_the_flipped_kernel(opened: Open) -> None:
    page = opened("plain")
    page.get_by_label("next", exact=True).click()
    assert told(page).startswith("z(0,0) = ")
    page.get_by_label("next", exact=True).click()
    assert told(page).startswith("z(0,1) = ")
    page.get_by_label("previous", exact=True).click()
    page.get_by_label("previous", exact=True).click()
    assert told(page).startswith("z(2,2) = ")
    page.get_by_text("play", exact=True).click()
    page.wait_for_function(
        "document.querySelector('tconv-explorer').shadowRoot"
        ".querySelector('.told p').textContent.startsWith('z(0,1)')"
    )
    page.get_by_text("pause", exact=True).click()
    assert page.get_by_text("play", exact=True).is_visible()


def test_reduced_motion_has_no_play_button(opened: Open) -> None:
    page = opened("plain", reduced_motion="reduce")
    assert not page.get_by_text("play", exact=True).is_visible()
    assert page.get_by_label("next", exact=True).is_visible()


def test_z_shows_how_many_products_it_adds_up(opened: Open) -> None:
    page = opened("plain")
    page.get_by_label("z shows").select_option("counts")
    assert array(page, "z0") == ["1", "2", "1", "2", "4", "2", "1", "2", "1"]


def test_examples_are_possible_settings(opened: Open) -> None:
    page = opened("plain")
    options = page.get_by_label("example")
    names = options.locator("option").evaluate_all("all => all.map((one) => one.value)")
    assert len(names) > 6
    for name in filter(None, names):
        options.select_option(name)
        assert page.locator(".problem").inner_text() == ""
        assert page.locator(".notice").inner_text() == ""
        assert options.input_value() == name


# -- code and links ------------------------------------------------------------------------------


def hold_the_clock(page: Any) -> None:
    """Nothing is timed out before it is looked at, however slow the machine."""
    page.clock.install()
    page.clock.pause_at(time.time() + 60)


def test_a_line_is_copied(opened: Open) -> None:
    page = opened("strided", permissions=["clipboard-read", "clipboard-write"])
    hold_the_clock(page)
    for name in ("tconvjax", "PyTorch", "Flax", "Keras"):
        button = page.get_by_label(f"Copy the line for {name}")
        button.click()
        expect(button).to_have_text("Copied")
        line = page.locator(f'[data-framework="{name}"] code').inner_text()
        assert page.evaluate("navigator.clipboard.readText()") == line
        page.clock.run_for(3000)
        expect(button).to_have_text("Copy")
    assert page.get_by_text("Copy link").is_visible() is False


def test_a_link_shares_the_state_and_back_goes_back(opened: Open) -> None:
    page = opened("shared", permissions=["clipboard-read", "clipboard-write"])
    assert "#" not in page.url
    slide_to(page, "stride", 3)
    cell(page, "y0:0:0").focus()
    page.keyboard.type("42")
    page.keyboard.press("Enter")
    assert "stride=3" in page.url
    hold_the_clock(page)
    page.get_by_text("Copy link").click()
    expect(page.get_by_text("Copied")).to_be_visible()
    link = page.evaluate("navigator.clipboard.readText()")
    there = opened(link.rpartition("/")[2])
    assert array(there, "y0")[0] == "42"
    assert there.get_by_label("stride", exact=True).input_value() == "3"
    assert array(there, "z0") == array(page, "z0")
    page.go_back()
    expect(cell(page, "y0:0:0")).to_have_text("1")
    assert page.get_by_label("stride", exact=True).input_value() == "3"
    page.go_forward()
    expect(cell(page, "y0:0:0")).to_have_text("42")
    while "#" in page.url:
        page.go_back()
    expect(page.get_by_label("stride", exact=True)).to_have_value("2")


def test_the_place_of_a_heading_is_no_state(opened: Open) -> None:
    page = opened("shared.html#heading")
    assert page.get_by_label("stride", exact=True).input_value() == "2"
    assert page.locator(".notice").inner_text() == ""
    slide_to(page, "stride", 3)
    page.evaluate(
        "() => new Promise((gone) => { addEventListener('hashchange', gone); "
        "location.hash = 'heading' }).then(() => null)"
    )
    assert page.get_by_label("stride", exact=True).input_value() == "3"


def test_only_an_element_that_shares_reads_the_address(opened: Open) -> None:
    page = opened("strided.html#stride=4")
    assert page.get_by_label("stride", exact=True).input_value() == "2"
    slide_to(page, "stride", 3)
    assert page.url.endswith("#stride=4")


@pytest.mark.parametrize("fragment", [
    "stride=%3Cimg%20src=x%20onerror=alert(1)%3E", "kernel=99999999999", "stride=-1", "stride=1e3",
    "y=%3Cscript%3Ealert(1)%3C/script%3E", "y=1,2,3", "stride=&kernel=", "out_size=0",
    "y=" + "1," * 2000, "__proto__=1&stride=constructor", "dimension=3", "stride=%",
])  # fmt: skip
def test_a_hostile_address_does_no_harm(opened: Open, fragment: str) -> None:
    page = opened(f"shared.html#{fragment}")
    assert page.get_by_label("stride", exact=True).input_value() == "2"
    assert array(page, "z0") == array(opened("shared"), "z0")
    assert "not taken" in page.locator(".notice").inner_text()
    assert page.locator("tconv-explorer").evaluate(
        "e => e.shadowRoot.querySelectorAll('img, script, b b').length") == 0  # fmt: skip


def test_attributes_out_of_bounds_are_told(opened: Open) -> None:
    page = opened("bad")
    words = page.locator(".notice").inner_text()
    assert "kernel was not taken: it must be a whole number from 1 to 4." in words
    assert "The values of y were not taken: give 4 whole numbers" in words
    assert page.locator('[data-grid="y0"] td').count() == 4


# -- looks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["plain", "strided", "blocks", "chinese"])
@pytest.mark.parametrize("width", [320, 390, 1440])
def test_no_page_scrolls_sideways(opened: Open, name: str, width: int) -> None:
    page = opened(name, width=width)
    for size, kernel in ((2, 2), (4, 4)):
        slide_to(page, "input size" if name != "chinese" else "输入尺寸", size)
        slide_to(page, "kernel" if name != "chinese" else "卷积核", kernel)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_views_stand_side_by_side_where_there_is_room(opened: Open) -> None:
    def lefts(width: int) -> set[float]:
        page = opened("plain", width=width)
        boxes = page.locator("section").evaluate_all(
            "all => all.map((one) => one.getBoundingClientRect().left)"
        )
        return set(boxes)

    assert len(lefts(390)) == 1
    assert len(lefts(1440)) == 2


CONTRASTS = """e => {
  const parse = (text) => {
    const parts = text.match(/[\\d.]+/g).map(Number);
    const [r, g, b, a = 1] = text.startsWith("color(")
      ? [...parts.slice(0, 3).map((p) => 255 * p), parts[3]] : parts;
    return [r, g, b, a];
  };
  const over = (top, under) => top.slice(0, 3).map((p, n) => p * top[3] + under[n] * (1 - top[3]));
  const back = (one) => {
    const chain = [];
    for (let at = one; at; at = at.parentElement || at.getRootNode().host) chain.unshift(at);
    return chain.reduce((under, at) => {
      const { backgroundColor } = getComputedStyle(at);
      return over(parse(backgroundColor), under);
    }, [255, 255, 255]);
  };
  const found = [];
  const all = "td, th, p, h3, code, b, label, button, caption";
  for (const one of e.shadowRoot.querySelectorAll(all)) {
    if (!one.textContent || !one.checkVisibility()) continue;
    const paper = back(one), style = getComputedStyle(one);
    const letters = one.matches("td, th") ? style.webkitTextFillColor : style.color;
    const [a, b] = [luminance(over(parse(letters), paper)), luminance(paper)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push(`${one.tagName}.${one.className} ${one.textContent.slice(0, 9)} `
      + `${letters} on ${paper}: ${ratio.toFixed(2)}`);
  }
  return found;
}"""
LUMINANCE = """
window.luminance = (parts) => { const [r, g, b] = parts.map((p) => p / 255)
  .map((p) => (p <= 0.04045 ? p / 12.92 : ((p + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
null"""


@pytest.mark.parametrize("name", ["strided", "dark"])
@pytest.mark.parametrize("place", ["", "z0:2:2", "y0:0:0", "w0:1:1", "s0:0:0", "matrix:4:3"])
def test_all_letters_stand_out_from_what_is_behind_them(
    opened: Open, name: str, place: str
) -> None:
    page = opened(name)
    page.evaluate(LUMINANCE)
    if place:
        cell(page, place).click()
    assert page.locator("tconv-explorer").evaluate(CONTRASTS) == []


def test_the_measure_of_contrast_can_fail(opened: Open) -> None:
    page = opened("strided")
    page.evaluate(LUMINANCE)
    page.locator("h3").first.evaluate("h => { h.style.color = '#999' }")
    assert len(page.locator("tconv-explorer").evaluate(CONTRASTS)) == 1


def test_fields_are_light_or_dark_as_the_page_is(opened: Open) -> None:
    scheme = "e => [e.style.colorScheme, e.style.getPropertyValue('--paper')]"
    for system in ("light", "dark"):
        page = opened("strided", color_scheme=system)
        explored = page.locator("tconv-explorer")
        assert explored.evaluate(scheme) == ["light", "Canvas"]
        page.evaluate("document.body.style.cssText = 'color:#eee;background:rgb(1, 2, 3)'")
        page.evaluate("document.body.dataset.mdColorScheme = 'slate'")
        expect(explored).to_have_css("color-scheme", "dark")
        assert explored.evaluate(scheme) == ["dark", "rgb(1, 2, 3)"]
        explored = opened("dark", color_scheme=system).locator("tconv-explorer")
        assert explored.evaluate(scheme) == ["dark", "rgb(30, 33, 41)"]


def test_the_page_s_rules_and_the_explorer_s_do_not_disturb_each_other(opened: Open) -> None:
    page = opened("hostile")
    style = "e => [getComputedStyle(e).color, getComputedStyle(e).paddingLeft]"
    assert cell(page, "y0:0:0").evaluate(style)[0] == "rgb(0, 0, 0)"
    cell(page, "z0:1:1").hover()
    assert told(page).startswith("z(1,1)")
    assert cell(page, "y0:0:0").is_visible()
    assert page.evaluate("document.querySelectorAll('head style').length") == 0


def test_chinese_is_said_in_chinese(opened: Open) -> None:
    page = opened("chinese")
    assert page.locator("h3").first.inner_text() == "输入 y、卷积核 w、结果 z"
    cell(page, "z0:0:0").hover()
    assert told(page) == "z(0,0) = y(0,0)·w(0,0) = 0·4 = 0：C.T 的第 0 行。"


def test_paper_has_the_views_and_no_controls(opened: Open) -> None:
    page = opened("strided")
    page.emulate_media(media="print")
    assert not page.locator(".controls").is_visible()
    assert page.locator("section").first.is_visible()
    heights = "all => all.map((one) => one.scrollHeight - one.clientHeight)"
    assert max(page.locator(".scroll").evaluate_all(heights)) == 0
