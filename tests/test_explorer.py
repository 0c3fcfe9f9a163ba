"""The explorer's arithmetic, run under node, is that of the package; its tag says what it shows."""

from __future__ import annotations

import ast
import functools
import importlib
import itertools
import json
import math
import operator
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from fractions import Fraction
from html.parser import HTMLParser
from importlib import resources
from typing import Any

import jax
import numpy as np
import pytest
import sympy

import tconvjax
from tconvjax import Geometry, GeometryError, conv_transpose, conventions, links, upsampling
from tconvjax.geometry.padding import PADDING_MODES
from tconvjax.rendering import palette
from tconvjax.site import explorer
from tconvjax.site.reading import read

NAMES = ("out_size", "kernel", "stride", "padding", "output_padding", "dilation", "groups")
Setting = dict[str, Any]

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


def one_of(rng: np.random.Generator, options: Sequence[Any]) -> Any:
    return options[int(rng.integers(len(options)))]


def drawn(rng: np.random.Generator) -> Setting:
    """A setting of its own for each axis, with another padding before than after, and channels."""
    rank, groups = one_of(rng, (1, 2)), int(rng.integers(1, 3))

    def each(least: int, most: int) -> list[int]:
        return [int(rng.integers(least, most + 1)) for _ in range(rank)]

    modes = ("zeros", *PADDING_MODES)  # zeros twice as often
    return {
        "padding_mode": one_of(rng, modes), "dimension": rank,
        "out_size": each(1, 4), "kernel": each(1, 4), "stride": each(1, 3),
        "padding": [[int(rng.integers(0, 4)), int(rng.integers(0, 4))] for _ in range(rank)],
        "output_padding": each(0, 2), "dilation": each(1, 2), "groups": groups,
        "out_channels": groups * int(rng.integers(1, 3)),
        "in_channels": groups * int(rng.integers(1, 3)),
    }  # fmt: skip


_RANDOM = np.random.default_rng(22)
UNLIKE = [drawn(_RANDOM) for _ in range(200)]
# Circular results of stride * n elements, which are all that Flax has.
PERIODS = [
    {"padding_mode": "circular", "dimension": 1, "out_size": [4], "kernel": [kernel],
     "stride": [stride], "padding": [[low, kernel - stride - low]], "output_padding": [0],
     "dilation": [1], "groups": 1}
    for kernel in range(1, 7) for stride in range(1, 4) for low in range(kernel - stride + 1)
]  # fmt: skip
PURE = "".join(
    resources.files("tconvjax.site").joinpath(name).read_text("utf-8")
    for name in (
        "arithmetic.js",
        "values.js",
        "frameworks.js",
        "palette.js",
        "photo.js",
        "words.js",
    )
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
    steps: dict[str, Any] = {name: as_tuples(setting[name]) for name in NAMES[2:]}
    steps["padding_mode"] = setting.get("padding_mode", "zeros")
    sizes, taps = (np.broadcast_to(setting[name], rank).tolist() for name in NAMES[:2])
    channels = {"out_channels": groups, "in_channels": groups, **setting}
    outs, ins = channels["out_channels"], channels["in_channels"]
    return Geometry.of_conv_transpose((outs, *sizes), (outs, ins // groups, *taps), **steps)


def as_tuples(value: Any) -> Any:
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


def refusal(setting: Setting) -> str | None:
    """Why the package refuses a setting, or that it has no elements."""
    try:
        made = geometry(setting)
    except GeometryError as error:
        return str(error)
    return None if min(made.in_size) > 0 else "no elements"


POSSIBLE = [setting for setting in SETTINGS + UNLIKE + PERIODS if refusal(setting) is None]


def arrays(setting: Setting) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers for x, y and w."""
    made = geometry(setting)
    rng = np.random.default_rng(made.in_size[0] + 9 * made.out_size[0])
    shapes = (made.in_shape, made.out_shape, made.kernel_shape)
    x, y, w = (rng.integers(-9, 10, shape) for shape in shapes)
    return x, y, w


def by_links(found: list[Any], x: np.ndarray, y: np.ndarray, w: np.ndarray) -> dict[str, list[int]]:
    """C.T y, C x, and the gradient of the kernel for the gradient y of C x."""
    z, forward, gradient = (np.zeros_like(one) for one in (x, y, w))
    for output, entry, tap in found:
        z[entry] += y[output] * w[tap]
        forward[output] += x[entry] * w[tap]
        gradient[tap] += x[entry] * y[output]
    sums = {"z": z, "forward": forward, "gradient": gradient}
    return {name: one.ravel().tolist() for name, one in sums.items()}


@functools.cache
def answers() -> list[dict[str, Any]]:
    """All that is asked of the possible settings, in one run of node."""
    cases = []
    for setting in POSSIBLE:
        values = zip("xyw", arrays(setting), strict=True)
        cases.append({"a": setting, **{name: one.ravel().tolist() for name, one in values}})
    program = """
      const slid = ({ a, y, w }) => { // the flipped kernel over the zero-inserted line
        const { z, y: shape } = shapes(a);
        const lines = axes(a).map((x) => new Map(inserted(x).map((one) => [one.at, one])));
        return range(count(z)).map((n) => {
          const j = unravel(n, z);
          return windowAt(a, j).reduce((sum, { w: tap, channel, at }) => {
            const ends = at.map((one, n) => lines[n].get(one));
            if (!ends.every((end) => end.read)) throw Error("the window leaves what is read");
            if (!ends.every((end) => end.kind === "y")) return sum;
            return sum + w[tap] * y[ravel([channel, ...ends.map((end) => end.i)], shape)];
          }, 0);
        });
      };
      return input.map((one) => ({ ...one, a: setting(one.a) })).map((one) => ({
        problem: problem(one.a), sizes: axes(one.a).map(inSize), shapes: shapes(one.a),
        links: links(one.a), z: result(one.a, one.y, one.w),
        slid: one.a.padding_mode === "zeros" ? slid(one) : null,
        forward: forward(one.a, one.x, one.w), gradient: kernelGradient(one.a, one.x, one.y),
        counts: counts(one.a),
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
        assert answer["sizes"] == list(made.in_size), setting
        found = list(links(made))
        shapes = (made.out_shape, made.in_shape, made.kernel_shape)
        places = zip(*found, strict=True) if found else ()
        flat = [np.ravel_multi_index(np.transpose(each), shape)
                for each, shape in zip(places, shapes, strict=False)]  # fmt: skip
        expected = np.transpose(flat).tolist()
        kept = [[one["y"], one["z"], one["w"]] for one in answer["links"] if one["z"] >= 0]
        assert kept == expected, setting
        every = np.prod(made.out_shape) * np.prod(made.kernel_shape[1:])
        assert len(answer["links"]) == every, setting  # those that are cut off too
        sums = by_links(found, *arrays(setting))
        assert {name: answer[name] for name in sums} == sums, setting
        if answer["slid"] is not None:
            assert answer["slid"] == answer["z"], setting  # the flipped kernel over inserted zeros
        counts = np.zeros(made.in_shape, int)
        for _, entry, _ in found:
            counts[entry] += 1
        assert answer["counts"] == {
            "rows": np.prod(made.out_shape), "columns": np.prod(made.in_shape),
            "products": len(expected), "all": every, "fewest": counts.min(), "most": counts.max(),
        }, setting  # fmt: skip


def test_impossible_settings_are_those_that_the_package_refuses() -> None:
    impossible = [setting for setting in SETTINGS if refusal(setting) is not None]
    program = "return input.map(setting).map((a) => { const p = problem(a); return { p, text: p &&"
    program += " ENGLISH.problems[p.kind](p.axis, p.most) }; });"
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


@pytest.mark.parametrize("name", FRAMEWORKS)
def test_code_lines_say_what_translate_says(name: str) -> None:
    key = FRAMEWORKS[name]
    said = unsaid = 0
    for setting, answer in zip(POSSIBLE, answers(), strict=True):
        found, made = answer["code"][name], geometry(setting)
        steps = {name: as_tuples(setting[name]) for name in NAMES[2:]}
        given = {"kernel_size": made.kernel_size, **steps}
        mode = setting.get("padding_mode", "zeros")
        if mode != "zeros":
            if name == "tconvjax":
                assert f'padding_mode="{mode}"' in found["line"]
                assert geometry({**setting, **found["said"]}) == made
                continue
            if mode != "circular":  # which conventions do not know
                lacks = name != "PyTorch" and made.groups > 1
                assert found["why"] == ("groups" if lacks else "mode")
                continue
            given["padding_mode"] = mode
        try:
            expected: Any = conventions.translate(given, "tconvjax", key, input_size=made.out_size)
        except GeometryError as error:
            expected, why = None, str(error)
        if mode == "circular" and expected:
            if not expected["transpose_kernel"]:
                continue  # Flax with its own kernel, whose taps are in another order
            if any(axis.in_size != axis.stride * axis.out_size for axis in made.axes):
                expected, why = None, found["words"]  # Flax's CIRCULAR gives that many
        assert ("why" in found) == (expected is None), setting
        if expected is None:
            assert found["words"] in why or found["why"] == "mode", setting
            unsaid += 1
            continue
        wanted = conventions.read_layer(given, "tconvjax", made.out_size)
        arguments = {k: as_tuples(v) for k, v in found["said"].items()}
        if name in ("Flax", "Keras"):
            assert arguments == expected, setting
        if mode == "circular":  # Flax starts where its CIRCULAR does, and not where its Conv would
            continue
        assert conventions.read_layer(arguments, key) == wanted, setting
        # And the line itself, read as Python with the framework's defaults.
        call = ast.parse(found["line"], mode="eval").body
        assert isinstance(call, ast.Call)
        if name != "tconvjax":
            channels = [ast.literal_eval(one) for one in call.args]
            assert channels == [made.out_channels, made.in_channels][-len(channels) :]
        written = {k.arg: k.value for k in call.keywords if k.arg not in OWN}
        read = {k: ast.literal_eval(v) for k, v in written.items() if k}
        if name == "tconvjax":
            read["kernel_size"] = given["kernel_size"]
        assert conventions.read_layer(read, key) == wanted, (setting, found["line"])
        said += 1
    assert said > 20
    assert (unsaid > 30) == (name != "tconvjax")


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
            outs = made.out_channels
            assert sizes == ((1, *made.out_size, outs) if last else (1, *made.out_shape))


def test_a_picture_is_spread_as_the_package_does_it() -> None:
    """Of its own size; a constant picture shows the sums of the phases away from the rim."""
    flat = [
        one
        for one in POSSIBLE
        if one["dimension"] == 2 and math.prod(geometry(one).kernel_shape[:2]) == 1
    ][::4]
    rng = np.random.default_rng(7)
    cases: list[list[Any]] = []
    for one in flat:
        _, _, w = arrays(one)
        plane = rng.integers(0, 256, (9, 8))
        cases.append([one, w.ravel().tolist(), plane.ravel().tolist()])
    program = """return input.map(([numbers, w, plane]) => {
      const a = setting(numbers), { z, height, width } = spread(a, w, plane, [9, 8]);
      return [[...z], [height, width], phaseSums(a, w)]; });"""
    for case, (z, shape, sums) in zip(cases, under_node(program, cases), strict=True):
        one, w, plane = case
        made = geometry({**one, "out_size": [9, 8]})
        kernel = np.reshape(w, made.kernel_shape)
        steps = {name: as_tuples(one[name]) for name in NAMES[2:-1]}
        steps["padding_mode"] = one.get("padding_mode", "zeros")
        y = np.reshape(plane, (1, 9, 8))
        assert np.reshape(z, (1, *shape)).tolist() == conv_transpose(y, kernel, **steps).tolist()
        ones = {**steps, "padding": 0, "output_padding": 0}
        whole = np.asarray(conv_transpose(np.ones((1, 30, 30), int), kernel, **ones))[0]
        s, t = (axis.stride for axis in made.axes)
        found = whole[10 * s : 11 * s, 10 * t : 11 * t]
        assert found.ravel().tolist() == sums, one


# -- lines that are pasted -------------------------------------------------------------------------


def numbers(rng: np.random.Generator, rank: int, least: int, most: int) -> tuple[int, ...]:
    return tuple(rng.integers(least, most + 1, rank).tolist())


def written_as(rng: np.random.Generator, value: Any) -> str:
    """A value in Python, a tuple of equal numbers sometimes as one of them."""
    if isinstance(value, tuple) and len(set(value)) == 1 and isinstance(value[0], int):
        value = one_of(rng, (value, value[0], list(value)))
    return repr(value)


def torch_line(rng: np.random.Generator, rank: int) -> tuple[str, dict[str, Any]]:
    each = functools.partial(numbers, rng, rank)
    given = {
        "kernel_size": each(1, 5),
        "stride": each(1, 3),
        "padding": each(0, 2),
        "output_padding": each(0, 1),
        "groups": int(rng.integers(1, 3)),
        "dilation": each(1, 3),
    }
    words = [written_as(rng, given["kernel_size"]), written_as(rng, given["stride"])]
    named = [f"{name}={written_as(rng, value)}" for name, value in list(given.items())[2:]]
    named = [named[n] for n in rng.permutation(len(named))]
    start = one_of(rng, ("nn.", "torch.nn.", "self.up = nn.", ""))
    if rng.random() < 0.3:  # all of them by their places
        order = ("kernel_size", "stride", "padding", "output_padding", "groups")
        words = [written_as(rng, given[name]) for name in order]
        words += ["True", written_as(rng, given["dilation"])]
        return f"{start}ConvTranspose{rank}d(4, 2, {', '.join(words)})", given
    return f"{start}ConvTranspose{rank}d(4, 2, {', '.join([*words, *named, 'bias=False'])}),", given


def keras_line(rng: np.random.Generator, rank: int) -> tuple[str, dict[str, Any]]:
    each = functools.partial(numbers, rng, rank)
    given: dict[str, Any] = {"kernel_size": each(1, 5), "strides": each(1, 3)}
    given["padding"] = one_of(rng, ("valid", "same", "SAME"))
    words = [written_as(rng, given["kernel_size"]), f"strides={written_as(rng, given['strides'])}",
             f'padding="{given["padding"]}"']  # fmt: skip
    if rng.random() < 0.5:
        given["output_padding"] = each(0, 2)
        words.append(f"output_padding={written_as(rng, given['output_padding'])}")
    if rng.random() < 0.3:
        given["dilation_rate"] = each(1, 2)
        words.append(f"dilation_rate={written_as(rng, given['dilation_rate'])}")
    return f"x = layers.Conv{rank}DTranspose(8, {', '.join(words)}, activation='relu')(x)", given


def flax_line(rng: np.random.Generator, rank: int) -> tuple[str, dict[str, Any]]:
    each = functools.partial(numbers, rng, rank)
    pairs = tuple(each(0, 4)[:1] + each(0, 4)[:1] for _ in range(rank))
    given: dict[str, Any] = {"kernel_size": each(1, 5), "strides": each(1, 3)}
    words = [f"strides={given['strides']}"]
    if rng.random() < 0.8:
        given["padding"] = one_of(rng, ("SAME", "VALID", pairs, 2))
        words.append(f"padding={given['padding']!r}")
    if rng.random() < 0.3:
        given["kernel_dilation"] = each(1, 2)
        words.append(f"kernel_dilation={given['kernel_dilation']}")
    size = given["kernel_size"]
    heads = (
        f"nnx.ConvTranspose(16, 8, {size}, ",
        f"nn.ConvTranspose(8, {size}, ",
        f"nn.ConvTranspose(features=8, kernel_size={size}, ",
    )
    return f"{one_of(rng, heads)}{', '.join(words)}, rngs=nnx.Rngs(0))  # up", given


@pytest.mark.parametrize(
    ("source", "line"), [("torch", torch_line), ("keras", keras_line), ("flax", flax_line)]
)
def test_a_pasted_line_means_what_the_framework_means(
    source: str, line: Callable[[np.random.Generator, int], tuple[str, dict[str, Any]]]
) -> None:
    rng = np.random.default_rng(3)
    drawn = [line(rng, one_of(rng, (1, 2))) for _ in range(300)]
    program = """return input.map((text) => { const found = readLayer(text);
      return found.why ? found : { ...found, axes: axes(setting(found.numbers)) }; });"""
    read = refused = 0
    for (text, given), found in zip(
        drawn, under_node(program, [text for text, _ in drawn]), strict=True
    ):
        layer, error = None, ""
        try:
            layer = conventions.read_layer(given, source)
        except GeometryError as wrong:
            error = str(wrong).partition("=")[0]
        if layer is None:
            assert (found["name"], "why" in found) == (error, True), text
            continue
        room = [max(axis.stride, axis.dilation) for axis in layer.axes]
        if any(
            axis.low < 0 or axis.high <= -most for axis, most in zip(layer.axes, room, strict=True)
        ):
            assert (found["name"], found["why"]) == ("padding", "adds"), text
            refused += 1
            continue
        names = ("kernel", "stride", "dilation", "low", "high")
        theirs = [[a.kernel_size, a.stride, a.dilation, a.low, a.high] for a in layer.axes]
        assert [[axis[name] for name in names] for axis in found["axes"]] == theirs, text
        assert found["numbers"]["groups"] == layer.groups
        read += 1
    assert read > 100
    assert (refused > 0) == (source != "torch")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Conv2d(3, 8, 3)", "Conv2d is an ordinary convolution. Paste its transpose"),
        ("nn.Linear(3, 8)", "nn.Linear is no layer that the explorer knows."),
        ("nn.Upsample(scale_factor=2)", "nn.Upsample interpolates and has no kernel to learn."),
        ("F.interpolate(y, scale_factor=2)", 'The guide\'s page “Upsampling” explains it.'),
        ("layers.UpSampling2D(2, interpolation='bilinear')(x)", "or kernel 4, stride 2, padding 1"),
        ("weight_norm(nn.Linear(3, 8))", "weight_norm is no layer that the explorer knows."),
        ("weight_norm(nn.ConvTranspose2d(3, 8))", "The line gives no kernel_size"),
        ("f(nn.ConvTranspose1d(1, 1, 3), nn.ConvTranspose1d(1, 1, 2))", "f is no layer that the"),
        ("eqx.nn.ConvTranspose2d(1, 1, 3)", "eqx.nn.ConvTranspose2d is no layer that the explorer"),
        ("nn.ConvTranspose3d(1, 1, 3)", "The layer has 3 axes; the explorer shows 1 or 2."),
        ("nn.ConvTranspose2d(1, 1)", "The line gives no kernel_size, which the layer needs."),
        ("nn.ConvTranspose2d(1, 1, k)", "does not know the value of k. Write a number"),
        ("nn.ConvTranspose2d(1, 1, (3, k))", "the value of k. Write a number for kernel_size."),
        ("nn.ConvTranspose1d(1, 1, (3, 3))", "kernel_size=(3, 3) has too many or too few numbers"),
        ("nn.ConvTranspose2d(1, 1, 3, padding=-1)", "padding=-1 was not taken: give whole numbers"),
        ("nn.ConvTranspose2d(1, 1, 3, 65)", "stride=65 was not taken: give whole numbers from"),
        ("ConvTranspose1d(1, 1, 3, padding_mode='x')", 'padding_mode="x" is not possible: PyTorch'),
        ("nn.ConvTranspose2d(4, 2, 3, stride=2, output_padding=2)", "output_padding=2 is not "
         "possible: it must be smaller than the stride (2) or than the dilation (1). Give at most"),
        ("nn.ConvTranspose2d(3, 2, 3, groups=2)", "groups=2 does not divide in_channels=3."),
        ("layers.Conv2DTranspose(8, 3, padding='full')", 'padding="full" is not possible: Keras'),
        ("layers.Conv2DTranspose(8, 3, 1, 'same', None, None, 1, 'relu')", "The line gives more"),
        ("nnx.ConvTranspose(1, 1, (3,), padding='CIRCULAR')", 'padding="CIRCULAR" was not taken'),
        ("nnx.ConvTranspose(1, 1, (3,), padding=[(9, 9)])", "adds zeros around the result"),
        ("nn.ConvTranspose2d(1, 1, 3", "This call is not complete Python: a bracket or a comma"),
        ("nn.ConvTranspose2d(1, 1, (3, 3)", "This call is not complete Python"),
        ("<script>alert(1)</script>", "alert is no layer that the explorer knows."),
        ("__proto__(1)", "__proto__ is no layer that the explorer knows."),
        ("((((((", "This line calls no layer. Paste one such as nn.ConvTranspose2d(16, 8, 4,"),
        ("x = 3", "This line calls no layer."),
        ("", "This line calls no layer."),
    ],
)  # fmt: skip
def test_a_line_that_cannot_be_shown_says_why(text: str, words: str) -> None:
    program = """const found = readLayer(input);
      return [ENGLISH, CHINESE].map((one) => one.notRead[found.why](found));"""
    english, chinese = under_node(program, text)
    assert words in english
    assert re.search("[a-z0-9].*[.]$", english)
    assert re.search("[\u3400-\u9fff].*\u3002$", chinese)


def test_channels_of_a_pasted_layer_are_shown_if_they_can_be_drawn_and_else_told() -> None:
    program = """return input.map((text) => { const { numbers, layer } = readLayer(text, [3, 3]);
      const shown = ["groups", "out_channels", "in_channels"].map((name) => numbers[name]);
      const told = notShown(layer, numbers).map((one) => ENGLISH.notShown[one.kind](one));
      return [shown, told.join(" ")]; });"""
    lines = {
        "nn.ConvTranspose2d(3, 2, 3)": ([1, 3, 2], ""),
        "nnx.ConvTranspose(2, 4, (3, 3))": ([1, 2, 4], ""),
        "nn.ConvTranspose1d(4, 2, 4, groups=2)": ([2, 4, 2], ""),
        "nn.ConvTranspose2d(16, 8, 4)": (
            [1, 1, 1],
            "The current layer has 16 channels in and 8 out: one pair is drawn",
        ),
        "nn.ConvTranspose2d(4, 4, 5)": ([1, 1, 1], "The current layer has 4 channels in and 4 out"),
        "nn.ConvTranspose1d(64, 64, 4, groups=64)": (
            [1, 1, 1],
            "The current layer has 64 groups",
        ),
        "layers.Conv2DTranspose(8, 3)": ([1, 1, 1], ""),
        "nn.ConvTranspose2d(64, 32, 4, groups=2)": (
            [2, 2, 2],
            "The current layer has 64 channels in and 32 out in 2 groups: one channel of each",
        ),
    }
    found = under_node(program, list(lines))
    for (text, (shown, start)), (seen, words) in zip(lines.items(), found, strict=True):
        assert seen == shown, text
        assert words.startswith(start), text
        assert bool(words) == bool(start), text


@pytest.mark.parametrize(
    "text",
    [
        "weight_norm({})",
        "self.up = nn.utils.weight_norm({}, name='weight', dim=0)",
        "torch.nn.utils.parametrizations.weight_norm(module={})",
        "spectral_norm({}, n_power_iterations=2)  # up",
        "weight_norm(spectral_norm({}))",
        "nn.Sequential(nn.LeakyReLU(0.1), {}, nn.Tanh())",
    ],
)
def test_a_layer_in_the_brackets_of_another_call_is_read(text: str) -> None:
    plain = "nn.ConvTranspose1d(16, 8, 16, stride=8, padding=4)"
    alone, wrapped = under_node("return input.map((one) => readLayer(one));",
                                [plain, text.format(plain)])  # fmt: skip
    assert wrapped == alone
    assert alone["layer"]["out_channels"] == 16


def test_the_kernels_that_are_named_for_an_interpolation_are_right() -> None:
    y = np.random.default_rng(1).standard_normal((1, 5, 6)).astype(np.float32)
    for mode, size, padding, values in (("nearest", 2, 0, "ones"), ("bilinear", 4, 1, "tent")):
        program = f"""return preset("{values}", setting({{ dimension: 2, kernel: {size} }}));"""
        kernel = np.reshape(under_node(program), (1, 1, size, size)).astype(np.float32)
        found = conv_transpose(y, kernel, stride=2, padding=padding)
        expected = jax.image.resize(y, (1, 10, 12), mode)
        np.testing.assert_allclose(found[:, 1:-1, 1:-1], expected[:, 1:-1, 1:-1], atol=1e-5)


PASTED = "nn.ConvTranspose2d(64, 32, 4, stride=2, padding=1, output_padding=1, groups=2, bias=True)"


def test_code_lines_keep_the_channels_and_the_bias_of_a_pasted_layer() -> None:
    program = """return input.map((text) => { const { numbers, layer } = readLayer(text, [3, 3]);
      const a = { ...setting({ ...numbers, out_size: 3 }), ...layer };
      return Object.fromEntries(FRAMEWORKS.map((name) => [name, codeLine(a, name)])); });"""
    lines = [
        PASTED,
        "nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1)",
        "nn.ConvTranspose2d(16, 8, 4, stride=2, padding=1, bias=False)",
        "keras.layers.Conv2DTranspose(8, 3, strides=2)",
        "nnx.ConvTranspose(16, 8, (3, 3), use_bias=False, rngs=nnx.Rngs(0))",
    ]
    grouped, plain, unbiased, filters, flax = under_node(program, lines)
    assert grouped["PyTorch"] == {
        "line": "torch.nn.ConvTranspose2d(64, 32, kernel_size=(4, 4), stride=2, padding=1, "
        "output_padding=1, groups=2)",
        "y": "(1, 64, 3, 3)", "w": "(64, 16, 4, 4)", "bias": "(32,)",
    }  # fmt: skip
    assert grouped["tconvjax"]["line"] == (
        "tc.conv_transpose(y, w, bias, stride=2, padding=1, output_padding=1, groups=2)"
    )
    assert grouped["tconvjax"]["w"] == "(64, 16, 4, 4)"
    assert {grouped[name]["why"] for name in ("Flax", "Keras")} == {"groups"}
    steps = "padding=1, output_padding=1"
    assert grouped["layers.nnx"] == {
        "line": "tconvjax.layers.nnx.ConvTranspose(64, 32, kernel_size=(4, 4), strides=2, "
        f"{steps}, feature_group_count=2, rngs=nnx.Rngs(0))",
        "y": "(1, 3, 3, 64)", "w": "(4, 4, 16, 64)", "bias": "(32,)",
    }  # fmt: skip
    assert grouped["layers.equinox"] == {
        "line": "tconvjax.layers.equinox.ConvTranspose2d(64, 32, kernel_size=(4, 4), stride=2, "
        f"{steps}, groups=2, key=jax.random.key(0))",
        "y": "(64, 3, 3)", "w": "(64, 16, 4, 4)", "bias": "(32, 1, 1)",
    }  # fmt: skip
    assert plain["Flax"]["line"].startswith("nnx.ConvTranspose(16, 8, kernel_size=(4, 4)")
    assert plain["Flax"]["line"].endswith("transpose_kernel=True, rngs=nnx.Rngs(0))")
    assert (plain["Flax"]["w"], plain["Flax"]["bias"]) == ("(4, 4, 8, 16)", "(8,)")
    assert plain["Keras"]["line"].startswith("keras.layers.Conv2DTranspose(8, ")
    for name, word in (("PyTorch", "bias"), ("Flax", "use_bias"), ("Keras", "use_bias")):
        assert "bias" not in plain[name]["line"]
        assert f"{word}=False" in unbiased[name]["line"]
        assert unbiased[name]["bias"] == ""
    assert unbiased["tconvjax"]["line"] == "tc.conv_transpose(y, w, stride=2, padding=1)"
    # Keras does not say how many channels y has, and nobody else can know.
    assert filters["Keras"]["line"].startswith("keras.layers.Conv2DTranspose(8, kernel_size=(3, 3)")
    assert filters["PyTorch"]["line"].startswith("torch.nn.ConvTranspose2d(channels, 8, ")
    assert filters["PyTorch"]["w"] == "(channels, 8, 3, 3)"
    assert flax["Flax"]["line"].startswith("nnx.ConvTranspose(16, 8, kernel_size=(3, 3)")
    assert "use_bias=False" in flax["Flax"]["line"]


@pytest.mark.parametrize("name", ["layers.nnx", "layers.equinox"])
def test_lines_of_our_layers_compute_what_the_function_computes(name: str) -> None:
    """Some of the lines are run, those with a padding mode too."""
    library = name.rpartition(".")[2]
    where = {"nnx": "flax.nnx", "equinox": "equinox"}[library]
    own = pytest.importorskip(where, reason=f"needs {where.partition('.')[0]}")
    importlib.import_module(f"tconvjax.{name}")
    room = {"tconvjax": tconvjax, "jax": jax, "nnx": own}
    plain: list[tuple[Setting, dict[str, Any]]] = []
    copying: list[tuple[Setting, dict[str, Any]]] = []
    for setting, answer in zip(POSSIBLE, answers(), strict=True):
        found, mode = answer["code"][name], setting.get("padding_mode", "zeros")
        if "why" in found:
            assert (library, found["why"], mode != "zeros") == ("nnx", "mode", True)
        else:
            (plain if mode == "zeros" else copying).append((setting, found))
    assert len(copying) > 10
    for setting, found in plain[:: len(plain) // 8] + copying[:: len(copying) // 6]:
        made, (_, y, w) = geometry(setting), arrays(setting)
        y, w = (array.astype(np.float32) for array in (y, w))
        layer = eval(found["line"], room)  # noqa: S307 - our own line
        if library == "nnx":
            kernel = np.moveaxis(w, (1, 0), (-2, -1))
            layer.kernel[...] = jax.numpy.asarray(kernel)
            z = np.moveaxis(layer(np.moveaxis(y, 0, -1)[None])[0], -1, 0)
            assert ast.literal_eval(found["y"]) == (1, *y.shape[1:], y.shape[0])
        else:
            kernel = w
            layer = own.tree_at(lambda one: one.weight, layer, jax.numpy.asarray(w))
            z = layer(y)
            assert ast.literal_eval(found["y"]) == y.shape
        assert ast.literal_eval(found["w"]) == kernel.shape
        steps: dict[str, Any] = {one: as_tuples(setting[one]) for one in NAMES[2:]}
        steps["padding_mode"] = setting.get("padding_mode", "zeros")
        expected = conv_transpose(y, w, **steps)
        assert z.shape == made.in_shape
        np.testing.assert_allclose(z, expected, atol=1e-3, err_msg=found["line"])


def test_an_address_keeps_a_pasted_layer() -> None:
    program = """return input.map(([layer, groups]) => readSetting({ layer, groups }))
      .map((one) => [one.layer && writeLayer(one.layer), one.refused.map(({ name }) => name)]);"""
    good = [("64,32,2,bias", "2"), ("64,32,2", "1"), ("0,8,1,bias", "1"), ("4096,1,1", "1")]
    found = under_node(program, good)
    assert found == [[text, []] for text, _ in good]
    bad = ("64,32,3", "64,32,0", "64,0,1", "3,3,3", "64,32,2,Bias", "64,32", "-1,1,1", "")
    for text, (layer, refused) in zip(bad, under_node(program, [(one, "2") for one in bad]),
                                      strict=True):  # fmt: skip
        assert (layer, refused) == (None, ["layer"]), text


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
    "<img src=x onerror=alert(1)>", "1e9", "-1", "999999999999", "0xff", "", " ", "NaN", "Infinity",
    "3;alert(1)", "３", "1.5", "__proto__", "99999", "3x", "3x4x5", "1:2:3",
)  # fmt: skip


def test_only_bounded_numbers_are_read() -> None:
    cases = [
        {name: text}
        for name in ("dimension", *NAMES, "in_channels", "padding_mode", "x", "y", "w")
        for text in HOSTILE
    ]
    cases += [{"y": "1," * 600}, {"w": "1,2,x"}, {"y": "100"}]
    read = under_node("return input.map((one) => [readSetting(one), START]);", cases)
    for case, (found, start) in zip(cases, read, strict=True):
        assert found["setting"] == start, case
        assert (found["x"], found["y"], found["w"]) == (None, None, None)
        assert len(found["refused"]) == 1, case
    line = under_node("return readSetting(input);", {"dimension": "1", "stride": "3x4"})
    assert (line["setting"]["stride"], line["refused"][0]["name"]) == ([2], "stride")
    full = {"out_size": "2", "kernel": "1", "y": "1,-2,99,-99", "w": "7"}
    full["x"] = ",".join(["1/2"] * 9)
    found = under_node("return readSetting(input);", {**full, "stride": "2", "padding": "0"})
    assert (found["y"], found["w"], found["refused"]) == ([1, -2, 99, -99], [7], [])
    assert found["x"] == [0.5] * 9


def test_numbers_are_read_and_written_as_the_fractions_that_they_are() -> None:
    numbers = [Fraction(n, d) for n in range(-99, 100, 7) for d in range(1, 13)]
    program = "return input.map((text) => written(readList(text)[0]));"
    assert under_node(program, [str(n) for n in numbers]) == [str(n) for n in numbers]
    texts = ["0.25", "-.5", "−3/4", "2.50", "1/100", "1/0", "0.125", "100", "1/2/3", "1e1"]
    found = under_node(
        "return input.map((text) => readList(text)?.map((one) => written(one)));", texts
    )
    assert found[:4] == [["1/4"], ["-1/2"], ["-3/4"], ["5/2"]]
    assert found[4:] == [None] * 6


def test_sums_of_fractions_are_exact() -> None:
    rng = np.random.default_rng(5)
    lists = [
        [Fraction(n, 2 ** int(rng.integers(5))) for n in rng.integers(-99, 100, 32).tolist()]
        for _ in range(50)
    ]
    program = """return input.map((texts) => {
      const [y, w] = texts.map((text) => readList(text));
      const sum = y.reduce((all, value, n) => all + value * w[n], 0);
      return written(sum, common(y) * common(w)); });"""
    given = [[",".join(map(str, half)) for half in (one[:16], one[16:])] for one in lists]
    sums = [sum(map(operator.mul, one[:16], one[16:])) for one in lists]
    assert under_node(program, given) == [str(one) for one in sums]


def test_kernels_with_a_name_are_those_of_the_package() -> None:
    shapes = [(n,) for n in range(1, 8)] + [(2, 2), (3, 3), (4, 4), (3, 4)]
    program = """const names = ["ones", "tent", "sobel"];
      const of = (kernel) => setting({ dimension: kernel.length, kernel, groups: 2 });
      return input.map((kernel) => Object.fromEntries(
        names.map((name) => [name, preset(name, of(kernel))])));"""
    for shape, found in zip(shapes, under_node(program, shapes), strict=True):
        one = {
            name: np.reshape(values[: math.prod(shape)], shape) for name, values in found.items()
        }
        assert all(
            values[math.prod(shape) :] == values[: math.prod(shape)] for values in found.values()
        )
        assert np.all(one["ones"] == 1)
        tent = upsampling.bilinear_init(None, (1, 1, *shape))[0, 0]
        np.testing.assert_allclose(one["tent"], tent, atol=1e-6)
        if shape == (3, 3):
            assert one["sobel"].tolist() == [[1, 0, -1], [2, 0, -2], [1, 0, -1]]
        if shape[-1] > 1:
            assert one["sobel"].sum() == 0


def test_the_fence_that_is_copied_shows_the_same() -> None:
    cases: list[dict[str, Any]] = []
    for one in POSSIBLE[::7]:
        _, y, w = arrays(one)
        cases.append({"a": one, "y": y.ravel().tolist(), "w": w.ravel().tolist()})
    program = "return input.map(({ a, y, w }) => fence(setting(a), y, w));"
    for case, text in zip(cases, under_node(program, cases), strict=True):
        head, *lines, tail = text.splitlines()
        assert (head, tail) == ("```tconv", "```")
        found, made = read("\n".join(lines)), geometry(case["a"])
        assert found.view == "explorer"
        assert found.geometry == made
        assert np.ravel(found.y).tolist() == case["y"]
        assert np.ravel(found.w).tolist() == case["w"]


# -- the script -----------------------------------------------------------------------------------


def test_the_script_can_stand_in_a_page_twice_and_does_nothing_without_elements() -> None:
    script = explorer.script()
    assert not re.search(r"</script|<!--|<script|\\u003c", script, re.IGNORECASE)
    assert len(script.encode()) < 140_000
    under_node("return 1;", text="var window = globalThis;\n" + script * 2)


def test_the_script_neither_writes_html_nor_asks_the_network() -> None:
    words = (
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|https?:"
        r"|\bfetch\(|\bimport\(|XMLHttpRequest|localStorage|url\("
    )
    # The name of a format looks like an address and is none.
    assert re.findall(words, explorer.script().replace("http://www.w3.org/2000/svg", "")) == []


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
    # Every setting has few enough cells.
    small = [one for one in POSSIBLE if math.prod(geometry(one).out_shape)
             * math.prod(geometry(one).kernel_shape[1:]) <= explorer.MOST_PRODUCTS]  # fmt: skip
    assert len(small) > len(POSSIBLE) - 50
    tags = [attributes(explorer.element(geometry(setting))) for setting in small]
    tags = [{name.replace("-", "_"): value for name, value in tag.items()} for tag in tags]
    program = "return input.map(readSetting).map((one) => [one.refused, axes(one.setting)]);"
    for setting, (refused, each) in zip(small, under_node(program, tags), strict=True):
        assert refused == []
        for axis, own in zip(each, geometry(setting).axes, strict=True):
            assert axis["mode"] == own.mode
            found = [axis[name] for name in ("size", "kernel", "stride", "dilation", "low", "high")]
            assert found == [
                own.out_size,
                own.kernel_size,
                own.stride,
                own.dilation,
                own.low,
                own.high,
            ]
    y, w = sympy.ImmutableDenseNDimArray([[99, -99]]), np.array([[[5.0, 6.0]]])
    text = explorer.element(of(2, kernel=(2,)), y, w, lang="zh", share=True, fallback="kept")
    given = attributes(text)
    assert (given["y"], given["w"], given["lang"], given["share"]) == ("99,-99", "5,6", "zh", None)
    assert text.endswith(" share>kept</tconv-explorer>")
    text = explorer.element(
        of(2, kernel=(3,)), [0.25, sympy.Rational(-1, 3)], [1 / 3, 2, 0],
        parts="kernel, grids", counts=True, explorer="../explorer/",
    )  # fmt: skip
    given = attributes(text)
    assert (given["parts"], given["counts"], given["explorer"]) == (
        "kernel grids",
        None,
        "../explorer/",
    )
    assert (given["y"], given["w"]) == ("1/4,-1/3", "1/3,2,0")


def of(*sizes: int, kernel: tuple[int, ...] = (3, 3), **steps: Any) -> Geometry:
    return Geometry.of_conv_transpose((1, *sizes), (1, 1, *kernel), **steps)


def test_the_tag_takes_what_the_element_draws() -> None:
    """One more along any axis, or one more group, and both refuse."""
    numbers = {"dimension": 1, "out_size": 1, "kernel": 1, "stride": 1, "padding": 0,
               "output_padding": 0, "dilation": 1, "groups": 1}  # fmt: skip
    edges = [
        ({"out_size": 64}, "out_size"), ({"kernel": 64}, "kernel"), ({"groups": 4}, "groups"),
        ({"in_channels": 4, "out_channels": 2}, "in_channels"),
        ({"in_channels": 4, "out_channels": 2, "kernel": 25, "out_size": 5}, "out_size"),
        ({"out_size": 2, "stride": 63}, "stride"), ({"out_size": 25, "kernel": 40}, "kernel"),
        ({"dimension": 2, "out_size": 28, "kernel": 1}, "out_size"),
        ({"dimension": 2, "out_size": 5, "kernel": 6}, "kernel"),
        ({"kernel": 2, "dilation": 63}, "dilation"),
    ]  # fmt: skip
    most = [{**numbers, **edge} for edge, _ in edges]
    more = [{**one, name: one[name] + 1} for one, (_, name) in zip(most, edges, strict=True)]
    program = "return input.map(setting).map(drawable);"
    for one, draws in zip(most + more, under_node(program, most + more), strict=True):
        assert draws == (one in most), one
        if draws:
            explorer.element(geometry(one))
        else:
            many = max(one["groups"], one.get("in_channels", 1)) > 4
            words = "and [25] channels: .*1 to 4 each way" if many else "the explorer draws"
            with pytest.raises(GeometryError, match=words):
                explorer.element(geometry(one))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((of(2, 2, 2, kernel=(1, 1, 1)),), "geometry=3 spatial axes: .*; take fewer"),
        ((of(9, 9, kernel=(4, 4)),), "geometry=1296 products onto 12 x 12 elements: .*; give a sm"),
        ((of(2, padding=-1, kernel=(1,)),), r"padding=\(-1, -1\): the explorer adds no zeros bef"),
        ((of(2, padding=((0, -2),), kernel=(1,)),), r"padding=\(0, -2\): .*; give padding of at"),
        ((of(1, kernel=(2,), padding=1),), "in_size=0: .*; use less padding"),
        ((Geometry.of_conv_transpose((5, 3), (5, 1, 3)),), "geometry=1 and 5 channels: .*; give"),
        (("stride 2",), "geometry=str object: .*; make one"),
        ((of(2, kernel=(2,)), [1, 2, 3]), r"y=3 numbers: it has shape \(1, 2\); give 2"),
        (
            (of(2, kernel=(2,)), [1, 100]),
            "y=100: the explorer shows numbers from -99 to 99 that are",
        ),
        ((of(2, kernel=(2,)), [1, 0.123]), "y=0.123: .*denominators up to 100; give"),
        ((of(2, kernel=(2,)), [1, "2"]), "y=2: .*that are whole"),
        ((of(2, kernel=(2,)), '"><script>'), 'y="><script>: .*that are whole'),
        ((of(2, kernel=(2,)), [1, sympy.Symbol("a")]), "y=a: .*that are whole"),
        ((of(2, kernel=(2,)), [1, float("nan")]), "y=nan: .*that are whole"),
    ],
)
def test_what_cannot_be_shown_is_refused(given: tuple[Any, ...], message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        explorer.element(*given)


def test_an_unknown_part_is_refused() -> None:
    with pytest.raises(GeometryError, match="parts='kernels': the choices are example, dimension"):
        explorer.element(of(2, kernel=(2,)), parts="grids kernels")


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(GeometryError, match="lang='\"': the choices are en, zh; use one"):
        explorer.element(of(2, kernel=(2,)), lang='"')
