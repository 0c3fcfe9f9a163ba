"""The calculator of sizes says what the package says, and tells what is wrong with the rest."""

from __future__ import annotations

import itertools
from typing import Any

import tconvjax as tc
from tests.site.conftest import expect

NAMES = ("n", "kernel", "stride", "dilation", "padding", "low", "high", "output_padding")
SETTINGS = [
    dict(zip(NAMES, values, strict=True))
    for values in itertools.product(
        (1, 2, 5, 8, 19), (1, 2, 3, 6), (1, 2, 5), (1, 3),
        ("numbers", "VALID", "SAME", "SAME_LOWER", "CAUSAL"), (-1, 0, 2), (0, 1), (0, 1, 2),
    )
][::7]  # fmt: skip


def by_package(a: dict[str, Any]) -> tuple[Any, ...]:
    """The output size, the sizes that share it, and what the transpose gives; None if refused."""
    padding = ((a["low"], a["high"]),) if a["padding"] == "numbers" else a["padding"]
    options: dict[str, Any] = {
        "stride": a["stride"], "dilation": a["dilation"], "padding": padding
    }  # fmt: skip
    try:
        out = tc.out_size(a["n"], a["kernel"], **options)
    except tc.GeometryError:
        out = 0  # no place for the kernel
    shared = list(tc.in_sizes(out, a["kernel"], **options)) if out else []
    more = options | ({"output_padding": a["output_padding"]} if a["output_padding"] else {})
    y, w = (1, a["n"]), (1, 1, a["kernel"])
    try:
        back = tc.Geometry.of_conv_transpose(y, w, **more).in_size[0]
    except tc.GeometryError:
        back = 0
    choices = [n for n in tc.in_sizes(a["n"], a["kernel"], **options) if n]
    return out or None, shared, back or None, choices


def test_the_calculator_says_what_the_package_says(browser: Any, served: str) -> None:
    with browser.new_context() as context:
        view = context.new_page()
        view.goto(f"{served}/use/sizes/")
        program = """all => all.map(sizesOf).map((s) => [s.out, s.shared, s.back, s.choices])"""
        found = view.evaluate(program, SETTINGS)
    wrong = [
        (setting, one, by_package(setting))
        for setting, one in zip(SETTINGS, found, strict=True)
        if tuple(one) != by_package(setting)
    ]
    assert len(SETTINGS) > 1000
    assert wrong == []


SAYINGS: list[tuple[dict[str, str], list[str]]] = [
        ({}, ["conv of 8 gives 4, and so does conv of 7.", "tc.conv(x, w, stride=2, padding=1)",
              "conv_transpose of 8 gives 15. output_size can ask for 15 and 16."]),
        ({"stride": "1", "low": "0", "high": "0"}, ["conv of 8 gives 6.", "tc.conv(x, w)",
                                                    "conv_transpose of 8 gives 10."]),
        ({"output_padding": "1"}, ["conv_transpose of 8 gives 16.", ", output_padding=1)"]),
        ({"output_padding": "2"}, ["output_padding must be below 2."]),
        ({"padding": "SAME", "output_padding": "1"}, ["with SAME, give output_size instead of"]),
        ({"n": "2", "kernel": "9"}, ["the kernel spans 9, and there are 4 elements."]),
        ({"low": "9", "high": "9"}, ["the padding cuts off all of it"]),
        ({"n": "9", "dilation": "3", "output_padding": "2"},
         ["conv_transpose of 9 gives 23. The dilation is larger than the stride, so",
          "reaches further than output_size, which can ask for 21 and 22 here: conv of 23 gives 1",
          ", dilation=3, output_padding=2)"]),
        ({"stride": "8"}, ["conv of 8 gives 1, and so does conv of 1, 2, 3, 4, … and 7."]),
        ({"n": "9", "dilation": "3", "output_padding": "1"},
         ["conv_transpose of 9 gives 22. output_size can ask for 21 and 22."]),
        ({"high": "2"}, ["padding=((1, 2),)"]),
        ({"stride": "0"}, ["stride must be a whole number, 1 or more."]),
        ({"kernel": ""}, ["kernel must be a whole number, 1 or more."]),
        ({"n": "2.5"}, ["elements must be a whole number, 1 or more."]),
]  # fmt: skip
"""What differs from the setting that the page begins with, and what is said of it."""


def test_what_it_says_of_a_setting(browser: Any, served: str) -> None:
    with browser.new_context() as context:
        view = context.new_page()
        view.goto(f"{served}/use/sizes/")
        start = {name: str(value) for name, value in view.evaluate("SIZE_START").items()}
        for given, said in SAYINGS:
            for name, value in [("padding", "numbers"), *start.items(), *given.items()]:
                field = view.locator(f".sizes [name={name}]")
                if name == "padding":
                    field.select_option(value)
                else:
                    field.fill(value)
            for words in said:
                expect(view.get_by_role("status")).to_contain_text(words)


def test_a_call_without_a_result_is_not_written(browser: Any, served: str) -> None:
    with browser.new_context() as context:
        view = context.new_page()
        view.goto(f"{served}/use/sizes/")
        calls = view.locator(".sizes code")
        expect(calls).to_have_count(2)
        view.locator(".sizes [name=stride]").fill("8")
        view.locator(".sizes [name=output_padding]").fill("8")
        expect(view.get_by_role("status")).to_contain_text("output_padding must be below 8.")
        expect(calls).to_have_text(["tc.conv(x, w, stride=8, padding=1)"])
        view.locator(".sizes [name=kernel]").fill("99")
        expect(calls).to_have_count(0)


def test_it_speaks_chinese(browser: Any, served: str) -> None:
    with browser.new_context() as context:
        view = context.new_page()
        view.goto(f"{served}/zh/use/quick-start/")
        view.get_by_label("步幅").fill("3")
        expect(view.get_by_role("status")).to_contain_text(
            "对 8 个元素做 conv_transpose，得到 22 个。用 output_size 可以指定 22、23、24。"
        )
