"""The explorer's arithmetic, run under node, is that of the package; its tag says what it shows."""

from __future__ import annotations

import ast
import functools
import itertools
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import numpy as np
import pytest
import sympy

from tconvjax import Geometry, GeometryError, conventions, links
from tconvjax.rendering import palette
from tconvjax.site import explorer

NAMES = ("out_size", "kernel", "stride", "padding", "output_padding", "dilation", "groups")
Setting = dict[str, int]

# What a person may choose, a fifth of it: every value of every control meets every pair of others.
RANGES = {
    1: (range(1, 6), range(1, 6), range(1, 5), range(4), range(4), range(1, 4), range(1, 4)),
    2: (range(1, 4), range(1, 5), range(1, 4), range(3), range(3), range(1, 3), range(1, 3)),
}


SETTINGS = [
    {"dimension": dimension, **dict(zip(NAMES, values, strict=True))}
    for dimension, ranges in RANGES.items()
    for values in itertools.product(*ranges)
][::23]
PURE = "".join(
    resources.files("tconvjax.site").joinpath(name).read_text("utf-8")
    for name in ("arithmetic.js", "words.js")
)


def under_node(program: str, data: Any = None, text: str = PURE) -> Any:
    """What a program gives for ``input``, run beside the explorer's pure functions."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is missing; install Node.js and run: pytest -n 0 tests/test_explorer.py")
    whole = (
        f'"use strict";\n{text}\nconst input = {json.dumps(data)};\n'
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


def by_links(made: Geometry, y: np.ndarray, w: np.ndarray) -> list[int]:
    z = np.zeros(made.in_shape, int)
    for output, entry, tap in links(made):
        z[entry] += y[output] * w[tap]
    return list(z.ravel().tolist())


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


def test_the_arithmetic_is_that_of_the_package() -> None:
    for setting, answer in zip(POSSIBLE, answers(), strict=True):
        made = geometry(setting)
        assert answer["problem"] is None, setting
        assert answer["shapes"]["z"] == list(made.in_shape), setting
        assert answer["shapes"]["y"] == list(made.out_shape), setting
        assert answer["size"] == made.in_size[0], setting
        expected = [
            [int(np.ravel_multi_index(place, shape)) for place, shape in
             zip(link, (made.out_shape, made.in_shape, made.kernel_shape), strict=True)]
            for link in links(made)
        ]  # fmt: skip
        kept = [[one["y"], one["z"], one["w"]] for one in answer["links"] if one["z"] >= 0]
        assert kept == expected, setting
        every = np.prod(made.out_shape) * np.prod(made.kernel_size)
        assert len(answer["links"]) == every, setting  # those that are cut off too
        assert answer["z"] == by_links(made, *arrays(setting)), setting
        assert answer["slid"] == answer["z"], setting  # the flipped kernel over inserted zeros


def test_impossible_settings_are_those_that_the_package_refuses() -> None:
    impossible = [setting for setting in SETTINGS if refusal(setting) is not None]
    program = "return input.map((a) => { const p = problem(a); return { p, text: p &&"
    program += " ENGLISH.problems[p.kind](a, ...Object.values(p).slice(1)) }; });"
    for setting, found in zip(impossible, under_node(program, impossible), strict=True):
        assert found["p"] is not None, setting
        most, kind = found["p"]["most"], found["p"]["kind"]
        assert ("output_padding=" in str(refusal(setting))) == (kind == "output_padding"), setting
        if most < 0:
            continue  # nothing but another size would do
        assert str(most) in found["text"]
        mended = refusal({**setting, kind: most})
        # The remedy mends what was told; where two things are wrong the other is told next.
        assert mended is None or kind + "=" not in mended, (setting, mended)
        if kind == "padding":
            assert mended is None, setting
            assert refusal({**setting, kind: most + 1}) is not None, setting
    assert len(impossible) > 50


# -- code lines ------------------------------------------------------------------------------------

FRAMEWORKS = {"tconvjax": "tconvjax", "PyTorch": "torch", "Flax": "flax", "Keras": "keras"}
OWN = {"in_channels", "out_channels", "bias", "use_bias", "rngs"}


def as_tuples(value: Any) -> Any:
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_code_lines_say_what_translate_says(name: str) -> None:
    key = FRAMEWORKS[name]
    said = unsaid = 0
    for setting, answer in zip(POSSIBLE, answers(), strict=True):
        found, steps = answer["code"][name], {name: setting[name] for name in NAMES[2:]}
        given = {"kernel_size": (setting["kernel"],) * setting["dimension"], **steps}
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
    english, chinese = under_node(program)
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


# -- the script -----------------------------------------------------------------------------------


def test_the_script_can_stand_in_a_page_twice_and_does_nothing_without_elements() -> None:
    script = explorer.script()
    assert not re.search(r"</script|<!--|<script|\\u003c", script, re.IGNORECASE)
    assert len(script.encode()) < 75_000
    under_node("return 1;", text="var window = globalThis;\n" + script * 2)


def test_the_script_neither_writes_html_nor_asks_the_network() -> None:
    words = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|https?:"
        r"|\bfetch\(|\bimport\(|XMLHttpRequest|localStorage|url\("
    )
    assert re.findall(words, explorer.script()) == []


# -- the tag --------------------------------------------------------------------------------------


def attributes(text: str) -> dict[str, str | None]:
    """What the one tag of a text says."""
    found: list[tuple[str, dict[str, str | None]]] = []
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attrs: found.append((tag, dict(attrs)))  # type: ignore[method-assign]
    parser.feed(text)
    ((tag, said),) = found
    assert tag == "tconv-explorer"
    return said


def test_the_tag_says_the_geometry_values_language_and_fallback() -> None:
    for setting in POSSIBLE:
        given = attributes(explorer.element(geometry(setting)))
        assert {k.replace("-", "_"): int(v or "") for k, v in given.items()} == setting
    y, w = sympy.ImmutableDenseNDimArray([[99, -99]]), np.array([[[5.0, 6.0]]])
    text = explorer.element(of(2, kernel=(2,)), y, w, lang="zh", share=True, fallback="kept")
    given = attributes(text)
    assert (given["y"], given["w"], given["lang"], given["share"]) == ("99,-99", "5,6", "zh", None)
    assert text.endswith(" share>kept</tconv-explorer>")


def of(*sizes: int, kernel: tuple[int, ...] = (3, 3), **steps: Any) -> Geometry:
    return Geometry.of_conv_transpose((1, *sizes), (1, 1, *kernel), **steps)


@pytest.mark.parametrize("rank", [1, 2])
def test_the_controls_offer_what_the_tag_takes(rank: int) -> None:
    offered = under_node("return bounds(input);", rank)
    del offered["dimension"]
    middle = {"dimension": rank, "out_size": 3, "kernel": 4, "stride": 4, "padding": 0,
              "output_padding": 0, "dilation": 1, "groups": 1}  # fmt: skip
    assert offered.keys() == middle.keys() - {"dimension"}
    for name, (least, most) in offered.items():
        for value in (least, most):
            setting = {**middle, name: value}
            given = attributes(explorer.element(geometry(setting)))
            assert given[name.replace("_", "-")] == str(value)
        if name != "output_padding":  # which no step that is offered lets be larger
            words = f"{name}={most + 1}: the explorer shows {least} to {most} in {rank}-D; give"
            with pytest.raises(GeometryError, match=words):
                explorer.element(geometry({**middle, name: most + 1}))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((of(2, 2, 2, kernel=(1, 1, 1)),), "geometry=3 spatial axes: .*; take fewer"),
        ((of(2, 3),), r"geometry=axes of sizes \(2, 3\): .*; give both axes"),
        ((of(2, 2, stride=(1, 2)),), "one number for both axes; give both"),
        ((of(2, 2, padding=((1, 0),) * 2),), r"padding=\(1, 0\): .*; pad both ends"),
        ((of(2, 2, padding=((0, 1),) * 2, stride=2),), r"padding=\(0, 1\): .*; pad both ends"),
        ((of(1, kernel=(2,), padding=1),), "in_size=0: .*; use less padding"),
        ((of(4, kernel=(3,), padding=1, padding_mode="circular"),), "padding_mode='circular': "),
        ((Geometry.of_conv_transpose((2, 3), (2, 1, 3)),), "geometry=1 and 2 channels: .*; give"),
        (("stride 2",), "geometry=str object: .*; make one"),
        ((of(2, kernel=(2,)), [1, 2, 3]), r"y=3 numbers: it has shape \(1, 2\); give 2"),
        ((of(2, kernel=(2,)), [1, 100]), "y=100: the explorer shows whole numbers from -99 to 99;"),
        ((of(2, kernel=(2,)), [1, 0.5]), "y=0.5: .*whole numbers"),
        ((of(2, kernel=(2,)), [1, "2"]), "y=2: .*whole numbers"),
        ((of(2, kernel=(2,)), '"><script>'), 'y="><script>: .*whole numbers'),
        ((of(2, kernel=(2,)), [1, sympy.Symbol("a")]), "y=a: .*whole numbers"),
        ((of(2, kernel=(2,)), [1, float("nan")]), "y=nan: .*whole numbers"),
    ],
)
def test_what_cannot_be_shown_is_refused(given: tuple[Any, ...], message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        explorer.element(*given)


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(GeometryError, match="lang='\"': the choices are en, zh; use one"):
        explorer.element(of(2, kernel=(2,)), lang='"')
