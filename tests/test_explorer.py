"""The explorer's arithmetic, run under node, is that of the package; its tag says what it shows."""

from __future__ import annotations

import ast
import functools
import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import numpy as np
import pytest
import sympy

from tconvjax import Geometry, GeometryError, conventions, explorer, links
from tconvjax.rendering import palette

FOLDER = resources.files("tconvjax.explorer")
NAMES = ("out_size", "kernel", "stride", "padding", "output_padding", "dilation", "groups")
Setting = dict[str, int]

# What a person may choose, a fifth of it: every value of every control meets every pair of others.
RANGES = {
    1: (range(1, 6), range(1, 6), range(1, 5), range(4), range(4), range(1, 4), range(1, 4)),
    2: (range(1, 4), range(1, 5), range(1, 4), range(3), range(3), range(1, 3), range(1, 3)),
}


def all_settings() -> Iterator[Setting]:
    for dimension, ranges in RANGES.items():
        for values in itertools.product(*ranges):
            yield {"dimension": dimension, **dict(zip(NAMES, values, strict=True))}


SETTINGS = list(all_settings())[::23]


def source(*names: str) -> str:
    return "".join(FOLDER.joinpath(name).read_text(encoding="utf-8") for name in names)


def under_node(program: str, data: Any, *, text: str | None = None) -> Any:
    """What a program gives for ``input``, run beside the explorer's pure functions."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is missing; install Node.js and run: pytest -n 0 tests/test_explorer.py")
    code = source("arithmetic.js", "words.js") if text is None else text
    whole = (
        f'"use strict";\n{code}\nconst input = {json.dumps(data)};\n'
        f"const answer = ((input) => {{ {program} }})(input);\n"
        "process.stdout.write(JSON.stringify(answer));"
    )
    run = subprocess.run([node, "-"], input=whole, capture_output=True, text=True, timeout=600,
                         check=False)  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def geometry(setting: Setting) -> Geometry:
    rank, groups = setting["dimension"], setting["groups"]
    steps: dict[str, Any] = {name: setting[name] for name in NAMES[2:]}
    return Geometry.of_conv_transpose(
        (groups, *(setting["out_size"],) * rank), (groups, 1, *(setting["kernel"],) * rank), **steps
    )


def refusal(setting: Setting) -> str | None:
    """Why the package refuses a setting, or that it has no elements."""
    try:
        made = geometry(setting)
    except GeometryError as error:
        return str(error)
    return None if min(made.in_size) > 0 else "no elements"


POSSIBLE = [setting for setting in SETTINGS if refusal(setting) is None]


def arrays(setting: Setting) -> tuple[np.ndarray, np.ndarray]:
    made = geometry(setting)
    rng = np.random.default_rng(sum(setting.values()))
    return rng.integers(-9, 10, made.out_shape), rng.integers(-9, 10, made.kernel_shape)


def by_loops(setting: Setting, y: np.ndarray, w: np.ndarray) -> np.ndarray:
    """The stamps of every element, added up on a canvas that is then cut: no links, no package."""
    rank, s, d = setting["dimension"], setting["stride"], setting["dilation"]
    n, k, p, a = (setting[name] for name in ("out_size", "kernel", "padding", "output_padding"))
    size = s * (n - 1) + d * (k - 1) + 1
    canvas = np.zeros((setting["groups"], *(size + a,) * rank), int)
    for group in range(setting["groups"]):
        for i in itertools.product(range(n), repeat=rank):
            for t in itertools.product(range(k), repeat=rank):
                place = tuple(s * i_ + d * t_ for i_, t_ in zip(i, t, strict=True))
                canvas[(group, *place)] += y[(group, *i)] * w[(group, 0, *t)]
    kept = slice(p, size + a - p)
    return canvas[(slice(None), *(kept,) * rank)]


@functools.cache
def answers() -> list[dict[str, Any]]:
    """All that is asked of the possible settings, in one run of node."""
    cases = []
    for setting in POSSIBLE:
        y, w = arrays(setting)
        cases.append({"a": setting, "y": y.ravel().tolist(), "w": w.ravel().tolist()})
    program = """
      const slid = ({ a, y, w }) => { // the flipped kernel over the zero-inserted line
        const { z, y: shape } = shapes(a), line = new Map(inserted(a).map((one) => [one.at, one]));
        return range(count(z)).map((n) => {
          const j = unravel(n, z);
          return windowAt(a, j).reduce((sum, { w: tap, at }) => {
            const ends = at.map((one) => line.get(one));
            if (!ends.every((end) => end.read)) throw Error("the window leaves what is read");
            if (!ends.every((end) => end.kind === "y")) return sum;
            return sum + w[tap] * y[ravel([j[0], ...ends.map((end) => end.i)], shape)];
          }, 0);
        });
      };
      return input.map((one) => ({
        problem: problem(one.a), size: inSize(one.a), shapes: shapes(one.a), links: links(one.a),
        z: result(one.a, one.y, one.w), slid: slid(one),
        code: Object.fromEntries(FRAMEWORKS.map((name) => {
          const found = { ...codeLine(one.a, name), said: said(one.a, name) };
          if (found.why) found.words = ENGLISH.unsaid[found.why](name);
          return [name, found];
        })),
      }));"""
    found: list[dict[str, Any]] = under_node(program, cases)
    assert len(found) == len(POSSIBLE) > 300
    return found


def test_links_are_those_of_the_package() -> None:
    for setting, answer in zip(POSSIBLE, answers(), strict=True):
        made = geometry(setting)
        expected = [
            [int(np.ravel_multi_index(place, shape)) for place, shape in
             zip(link, (made.out_shape, made.in_shape, made.kernel_shape), strict=True)]
            for link in links(made)
        ]  # fmt: skip
        kept = [[one["y"], one["z"], one["w"]] for one in answer["links"] if one["z"] >= 0]
        assert kept == expected, setting
        every = np.prod(made.out_shape) * np.prod(made.kernel_size)
        assert len(answer["links"]) == every, setting  # those that are cut off too


def test_sizes_are_those_of_the_package() -> None:
    for setting, answer in zip(POSSIBLE, answers(), strict=True):
        made = geometry(setting)
        assert answer["problem"] is None, setting
        assert answer["shapes"]["z"] == list(made.in_shape), setting
        assert answer["shapes"]["y"] == list(made.out_shape), setting
        assert answer["size"] == made.in_size[0], setting


def test_impossible_settings_are_those_that_the_package_refuses() -> None:
    impossible = [setting for setting in SETTINGS if refusal(setting) is not None]
    program = "return input.map((a) => { const p = problem(a); return { p, text: p &&"
    program += " ENGLISH.problems[p.kind](a, ...Object.values(p).slice(1)) }; });"
    for setting, found in zip(impossible, under_node(program, impossible), strict=True):
        assert found["p"] is not None, setting
        most, kind = found["p"]["most"], found["p"]["kind"]
        argument = {"output_padding": "output_padding", "empty": "padding"}[kind]
        assert ("output_padding=" in str(refusal(setting))) == (kind == "output_padding"), setting
        if most < 0:
            continue  # nothing but another size would do
        assert str(most) in found["text"]
        mended = refusal({**setting, argument: most})
        # The remedy mends what was told; where two things are wrong the other is told next.
        assert mended is None or argument + "=" not in mended, (setting, mended)
        if kind == "empty":
            assert mended is None, setting
            assert refusal({**setting, argument: most + 1}) is not None, setting
    assert len(impossible) > 50


def test_results_are_those_of_a_loop() -> None:
    for setting, answer in zip(POSSIBLE, answers(), strict=True):
        expected = by_loops(setting, *arrays(setting)).ravel().tolist()
        assert answer["z"] == expected, setting


def test_the_flipped_kernel_over_inserted_zeros_gives_the_same() -> None:
    for setting, answer in zip(POSSIBLE, answers(), strict=True):
        assert answer["slid"] == answer["z"], setting


# -- code lines ------------------------------------------------------------------------------------

FRAMEWORKS = {"tconvjax": "tconvjax", "PyTorch": "torch", "Flax": "flax", "Keras": "keras"}
OWN = {"in_channels", "out_channels", "bias", "use_bias", "rngs"}


def own_arguments(setting: Setting) -> dict[str, Any]:
    steps = {name: setting[name] for name in NAMES[2:]}
    return {"kernel_size": (setting["kernel"],) * setting["dimension"], **steps}


def as_tuples(value: Any) -> Any:
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_code_lines_say_what_translate_says(name: str) -> None:
    key = FRAMEWORKS[name]
    said = unsaid = 0
    for setting, answer in zip(POSSIBLE, answers(), strict=True):
        found, given = answer["code"][name], own_arguments(setting)
        try:
            expected: Any = conventions.translate(given, "tconvjax", key)
        except GeometryError as error:
            expected, why = None, str(error)
        assert ("why" in found) == (expected is None), setting
        if expected is None:
            assert found["words"] in why, setting
            unsaid += 1
            continue
        wanted = conventions.read_layer(given, "tconvjax")
        arguments = {k: as_tuples(v) for k, v in found["said"].items()}
        if name in ("Flax", "Keras"):
            assert arguments == expected, setting
        if name == "tconvjax":
            arguments["kernel_size"] = given["kernel_size"]
        assert conventions.read_layer(arguments, key) == wanted, setting
        # And the line itself, read as Python with the framework's defaults.
        call = ast.parse(found["line"], mode="eval").body
        assert isinstance(call, ast.Call)
        written = {k.arg: k.value for k in call.keywords if k.arg not in OWN}
        read = {k: ast.literal_eval(v) for k, v in written.items() if k}
        if name == "tconvjax":
            read["kernel_size"] = given["kernel_size"]
        assert conventions.read_layer(read, key) == wanted, (setting, found["line"])
        said += 1
    assert said > 20
    assert (unsaid > 50) == (name in ("Flax", "Keras"))


def test_the_shapes_beside_the_lines_are_the_layouts() -> None:
    layouts = {**FRAMEWORKS, "Flax": "flax_transpose_kernel"}
    for setting, answer in zip(POSSIBLE, answers(), strict=True):
        made = geometry(setting)
        for name, layout in layouts.items():
            found = answer["code"][name]
            if "why" in found:
                continue
            kernel = np.zeros(made.kernel_shape)
            there = conventions.convert_kernel(kernel, "torch", layout, groups=made.groups)
            assert ast.literal_eval(found["w"]) == there.shape, (setting, name)
            sizes = ast.literal_eval(found["y"])
            last = name in ("Flax", "Keras")
            assert sizes == ((1, *made.out_size, 1) if last else (1, *made.out_shape))


# -- colours, words, reading ----------------------------------------------------------------------


def test_colours_are_those_of_the_palette() -> None:
    pairs = [(tap, taps) for taps in range(1, 50) for tap in range(taps)]
    program = "return input.map(([tap, taps]) => { const c = colour(tap, taps);"
    program += " return [c, ink(c)]; });"
    for (tap, taps), (back, letters) in zip(pairs, under_node(program, pairs), strict=True):
        assert back == palette.colour(tap, taps), (tap, taps)
        assert letters == palette.ink(back)


def test_both_languages_say_everything() -> None:
    program = """
      const keys = (one, path = "") => Object.entries(one).flatMap(([name, value]) =>
        typeof value === "object" ? keys(value, `${path}${name}.`)
          : [`${path}${name}/${typeof value}/${value.length * (typeof value === "function")}`]);
      return [keys(ENGLISH).sort(), keys(CHINESE).sort()];"""
    english, chinese = under_node(program, None)
    assert english == chinese
    assert len(english) > 60


HOSTILE = (
    "<img src=x onerror=alert(1)>", "1e9", "-1", "999999999999", "0x3", "", " ", "NaN", "Infinity",
    "3;alert(1)", "３", "1.5", "__proto__", "99",
)  # fmt: skip


def test_only_bounded_numbers_are_read() -> None:
    cases = [{name: text} for name in ("dimension", *NAMES, "y", "w") for text in HOSTILE]
    cases += [{"y": "1," * 600}, {"w": "1,2,x"}, {"y": "100"}]
    read = under_node("return input.map((one) => [readSetting(one), START]);", cases)
    for case, (found, start) in zip(cases, read, strict=True):
        assert found["setting"] == start, case
        assert (found["y"], found["w"]) == (None, None)
        assert len(found["refused"]) == 1, case
    full = {"out_size": "2", "kernel": "1", "y": "1,-2,99,-99", "w": "7"}
    found = under_node("return readSetting(input);", full)
    assert (found["y"], found["w"], found["refused"]) == ([1, -2, 99, -99], [7], [])


def test_bounds_are_the_same_here_and_there() -> None:
    for rank in (1, 2):
        found = under_node("return bounds(input);", rank)
        del found["dimension"]
        assert found == {name: list(pairs[rank - 1]) for name, pairs in explorer._BOUNDS.items()}
    assert under_node("return MOST_VALUE;", None) == explorer.MOST_VALUE


# -- the script -----------------------------------------------------------------------------------


def test_the_script_can_stand_in_a_page() -> None:
    script = explorer.script()
    assert not re.search(r"</script|<!--|<script", script, re.IGNORECASE)
    assert "\\u003c" not in script
    assert explorer.script() is script
    assert len(script.encode()) < 75_000


@pytest.mark.parametrize(
    "words", [r"innerHTML", r"outerHTML", r"insertAdjacentHTML", r"document\.write", r"\beval\b",
              r"new Function", r"https?:", r"\bfetch\(", r"\bimport\(", r"XMLHttpRequest",
              r"localStorage", r"url\("]
)  # fmt: skip
def test_the_script_neither_writes_html_nor_asks_the_network(words: str) -> None:
    assert not re.search(words, explorer.script())


def test_the_script_is_well_formed_and_does_nothing_without_elements() -> None:
    under_node("return 1;", None, text="var window = globalThis;\n" + explorer.script() * 2)


# -- the tag --------------------------------------------------------------------------------------


class Tag(HTMLParser):
    """The one element of a text."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep what it says."""
        self.found = (tag, dict(attrs))


def attributes(text: str) -> dict[str, str | None]:
    parser = Tag()
    parser.feed(text)
    assert parser.found[0] == "tconv-explorer"
    return parser.found[1]


def test_the_tag_says_the_geometry() -> None:
    for setting in POSSIBLE:
        given = attributes(explorer.element(geometry(setting)))
        assert {
            name.replace("-", "_"): int(value or "") for name, value in given.items()
        } == setting


def test_the_tag_has_values_language_and_fallback() -> None:
    made = Geometry.of_conv_transpose((1, 2), (1, 1, 2))
    y, w = sympy.ImmutableDenseNDimArray([[3, -4]]), np.array([[[5.0, 6.0]]])
    text = explorer.element(made, y, w, lang="zh", share=True, fallback="<p>kept</p>")
    given = attributes(text.replace("<p>kept</p>", ""))
    assert (given["y"], given["w"], given["lang"], given["share"]) == ("3,-4", "5,6", "zh", None)
    assert text.endswith(" share><p>kept</p></tconv-explorer>")


def of(*sizes: int, kernel: tuple[int, ...] = (3, 3), **steps: Any) -> Geometry:
    return Geometry.of_conv_transpose((1, *sizes), (1, 1, *kernel), **steps)


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (of(2, 2, 2, kernel=(1, 1, 1)), "geometry=3 spatial axes: .*; take fewer"),
        (of(2, 3), r"geometry=axes of sizes \(2, 3\): .*; give both axes"),
        (of(2, 2, stride=(1, 2)), "one number for both axes; give both"),
        (of(9, kernel=(3,)), "out_size=9: the explorer shows 1 to 8 in 1-D; give"),
        (of(5, 5), "out_size=5: the explorer shows 1 to 4 in 2-D; give"),
        (of(2, 2, kernel=(5, 5)), "kernel=5: the explorer shows 1 to 4"),
        (of(2, 2, dilation=4), "dilation=4: the explorer shows 1 to 3"),
        (of(2, 2, padding=((1, 0),) * 2, stride=1), r"padding=\(1, 0\): .*; pad both ends"),
        (of(2, 2, padding=((0, 1),) * 2, stride=2), r"padding=\(0, 1\): .*; pad both ends"),
        (of(1, kernel=(2,), padding=1), "in_size=0: .*; use less padding"),
        (
            of(4, kernel=(3,), padding=1, padding_mode="circular"),
            "padding_mode='circular': .*; use",
        ),
        (Geometry.of_conv_transpose((2, 3), (2, 1, 3)), "geometry=1 and 2 channels: .*; give"),
        ("stride 2", "geometry=str object: .*; make one"),
    ],
)
def test_what_cannot_be_shown_is_refused(made: Any, message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        explorer.element(made)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        ([1, 2, 3], r"y=3 numbers: it has shape \(1, 2\); give 2"),
        ([1, 100], "y=100: the explorer shows whole numbers from -99 to 99; give"),
        ([1, 0.5], "y=0.5: .*whole numbers"),
        ([1, "2"], "y=2: .*whole numbers"),
        ('"><script>', 'y="><script>: .*whole numbers'),
        ([1, sympy.Symbol("a")], "y=a: .*whole numbers"),
        ([1, float("nan")], "y=nan: .*whole numbers"),
    ],
)
def test_values_that_cannot_be_shown_are_refused(y: Any, message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        explorer.element(Geometry.of_conv_transpose((1, 2), (1, 1, 2)), y)


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(GeometryError, match="lang='\"': the languages are en and zh; use one"):
        explorer.element(Geometry.of_conv_transpose((1, 2), (1, 1, 2)), lang='"')
