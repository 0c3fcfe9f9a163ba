"""Whatever is given instead of an argument: a result, or GeometryError with its four parts.

Every public function and method is found by itself and called with examples, which are named like
its parameters; so a new one is tested as soon as its parameters have examples.
"""

from __future__ import annotations

import errno
import inspect
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from jax import export

import tconvjax as tc
from tconvjax import (
    Axis,
    Geometry,
    GeometryError,
    acceleration,
    conventions,
    explaining,
    layers,
    matrices,
    rendering,
    streaming,
    symbolic,
    upsampling,
)
from tconvjax.command.arguments import CommandError, write_text
from tconvjax.command.arrays import write_array
from tconvjax.site import explorer, fence

FOUR_PARTS = re.compile(r"[^=]+=.*: .+; .+", re.DOTALL)

# -- every public function, and arguments that it takes --------------------------------------------

DOORS = (tc, acceleration, conventions, explaining, explorer, fence, layers, matrices, rendering,
         streaming, symbolic, upsampling)  # fmt: skip
HOOKS = {"site.fence.format", "site.fence.makeExtension", "load_plans", "save_plans",
         "conventions.read_state"}  # fmt: skip
"""Markdown calls the first two; these and those of files have tests of their own."""

X, W, Y = np.ones((1, 2, 8)), np.ones((4, 2, 3)), np.ones((1, 4, 6))
LAST = np.ones((1, 5, 4))
G = Geometry.of_conv((1, 5), (1, 1, 3), stride=2)
TABLE = rendering.array_table([[1, 2]])
LAZY = symbolic.ConvolutionMatrix.of_geometry(G)


def entry(i: Any, j: Any) -> Any:
    """Of the lazy matrix; SymPy and Python ask for an IndexError where there is none."""
    try:
        return LAZY[i, j]
    except IndexError:
        return None


EXAMPLES: dict[str, Any] = {
    "X": Y, "W": W, "arguments": {"kernel_size": (3,), "stride": 2},
    "axis": G.axes[0], "chunk_shape": X.shape, "columns": np.ones((1, 6, 16)),
    "derivation": symbolic.derivation(G), "dilation": 1, "distribution": "normal",
    "document": TABLE, "dtype": "float64", "f": lambda x: x,
    "f_t": lambda y: y, "factor": 2, "filters": np.ones((3, 2, 4)), "fn": lambda x=X: x + x,
    "frames": (TABLE, TABLE), "geometry": G, "groups": 1, "i": 1, "in_size": 8,
    "indices": np.tile(np.arange(6), (1, 4, 1)), "init": jax.nn.initializers.ones, "input": Y,
    "inputs": LAST, "j": -1, "kernel": np.ones((1, 1, 3), int), "kernel_size": 3,
    "key": jax.random.key(0), "kind": "conv_transpose", "layout": "NCHW",
    "lhs": LAST,
    "matrix": sympy.Matrix([[1, 2], [3, 4]]), "mode": "fan_in", "n": 3,
    "out_size": 3, "output_shape": (1, 5, 2), "output_size": 18, "padding": "SAME",
    "partial": "conv", "parts": (TABLE,), "rank": 2, "rhs": np.ones((3, 4, 2)),
    "scale": 1.0, "shape": (4, 4, 3), "source": "torch", "state": {"up.weight": W}, "stride": 2,
    "strides": (1,), "tap": 1, "target": "keras", "value": TABLE, "values": [[1, 2]],
    "w": W, "w_shape": W.shape, "weight": W, "x": X, "x_shape": X.shape, "y": Y, "y_shape": Y.shape,
}  # fmt: skip
"""Of required parameters, by their names."""

CONV, UP = streaming.Conv((4, 2, 3), padding=1), streaming.ConvTranspose((4, 2, 3))
OTHERWISE: dict[str, dict[str, Any]] = {
    "Chain.flush": {"state": ()},
    "Chain.step": {"state": (), "chunk": X},
    "Conv.flush": {"state": X[..., :2]},
    "Conv.step": {"state": X[..., :2], "chunk": X},
    "ConvTranspose.flush": {"state": Y[..., :2]},
    "ConvTranspose.init": {"chunk_shape": Y.shape},
    "ConvTranspose.step": {"state": Y[..., :2], "chunk": Y},
    "Geometry": {"axes": (Axis(5, 3, 3),)},
    "assert_adjoint": {"y": X},
    "conventions.convert_state_dict": {"kinds": {"up": "conv_transpose"}},
    "conventions.equinox_conv_transpose": {"x": Y[0], "weight": np.ones((2, 4, 3))},
    "conventions.flax_conv_transpose": {"kernel": np.ones((3, 4, 2))},
    "conventions.haiku_conv_transpose": {"w": np.ones((3, 2, 4))},
    "conventions.keras_conv_transpose": {"kernel": np.ones((3, 2, 4))},
    "conventions.load_into": {
        "model": {"params": {"up": {"kernel": np.ones((3, 2, 4))}}},
        "kinds": {"up": "conv"},
    },
    "conventions.tf_conv_transpose": {"input": LAST},
    "upsampling.downsample": {"factor": 2},
    "upsampling.fold": {"output_size": (18,)},
    "upsampling.upsample": {"factor": 2},
}
"""Of the functions that the examples do not fit."""

OBJECTS = (Axis(5, 5, 3, low=1, mode="reflect"), G, LAZY, CONV, UP, streaming.Chain(()),
           explaining.explain(G, [[1, 2]], [[[1, 2, 3]]]))  # fmt: skip
MADE = {"Axis", "Geometry", "conventions.LayerKind", "layers.MaxUnpool", "layers.PixelShuffle",
        "rendering.Stack", "streaming.Conv", "streaming.ConvTranspose"}  # fmt: skip
"""Classes that people make by themselves; of the others the package makes the objects."""

RESULTS: dict[str, Callable[..., Any]] = {
    "results.entry": entry,
    "results.of_scaling": upsampling.transposed_scaling(2, "fan_in", "normal"),
    "results.of_icnr_init": upsampling.icnr_init(jax.nn.initializers.ones, 2),
}


def methods(owner: type) -> Iterator[str]:
    """The public methods of the package that take an argument."""
    for name in (name for name in dir(owner) if name[0] != "_"):
        found = inspect.getattr_static(owner, name)
        found = getattr(found, "__func__", found)
        own = inspect.isfunction(found) and found.__module__.startswith("tconvjax")
        if own and len(inspect.signature(found).parameters) > 1:
            yield name


def public() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Every public function that takes an argument, by its name."""
    yield from RESULTS.items()
    owners: dict[type, Any] = {type(one): one for one in OBJECTS}
    for door in DOORS:
        for name in door.__all__:
            value = getattr(door, name)
            full = f"{door.__name__}.{name}".removeprefix("tconvjax.")
            if (inspect.isfunction(value) and inspect.signature(value).parameters) or full in MADE:
                yield full, value
            if inspect.isclass(value) and value.__module__.startswith("tconvjax"):
                for method in methods(value):
                    yield f"{name}.{method}", getattr(owners[value], method)


def example(name: str, function: Callable[..., Any]) -> dict[str, Any]:
    """Arguments that a function takes."""
    parameters = inspect.signature(function).parameters.values()
    own = OTHERWISE.get(name, {})
    given = {
        p.name: p.default for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
    }
    needed = {n for n, default in given.items() if default is inspect.Parameter.empty} - own.keys()
    return {**given, **{n: EXAMPLES[n] for n in needed}, **own}


CALLS = {name: (f, example(name, f)) for name, f in public() if name not in HOOKS}

# -- strange things --------------------------------------------------------------------------------

HOSTILE: dict[str, Any] = {
    "None": None, "True": True, "text": "ab", "no text": "", "bytes": b"a", "half": 0.5,
    "nan": float("nan"), "inf": float("inf"), "minus one": -1, "zero": 0, "huge": 3 * 10**9,
    "beyond 64 bits": 10**30, "complex": 1j, "nothing": (), "pair": (1, 2), "list of text": ["a"],
    "nested": ((1, 2, 3), (4,)), "mapping": {"a": 1}, "set": {1}, "object": object(),
    "class": int, "function": len, "ellipsis": ..., "fractions": np.array([0.5, 1.5]),
    "nans": np.full((1, 2, 7), np.nan), "texts": np.array(["a", "b"]), "bools": np.ones(3, bool),
    "objects": np.array([None, 1], object), "no axis": np.float32(2.5), "empty": np.ones((0, 3)),
    "many axes": np.ones((1,) * 9), "dates": np.array(["2020-01-01"], "datetime64[D]"),
    "symbol": sympy.Symbol("n"), "symbolic size": export.symbolic_shape("n")[0],
    "keys": jax.random.split(jax.random.key(0), 7).reshape(1, 1, 7),
    "masked": np.ma.masked_array(np.ones((1, 2, 7), np.float32), mask=True),
    "spec": jax.ShapeDtypeStruct((1, 2, 7), jnp.float32),
}  # fmt: skip
FEW = ("None", "text", "nan", "object", "beyond 64 bits")


def finished(function: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """The result of a call, with all that is put off until somebody asks."""
    result = function(**arguments)
    return jax.block_until_ready(list(result) if inspect.isgenerator(result) else result)


def complaint(function: Callable[..., Any], arguments: Mapping[str, Any]) -> str | None:
    """What is wrong with an answer that is neither a result nor a good refusal."""
    try:
        with np.errstate(all="ignore"):
            finished(function, arguments)
    except GeometryError as error:
        return None if FOUR_PARTS.fullmatch(str(error)) else f"not four parts: {error}"
    except Exception as error:  # noqa: BLE001 - which is what is looked for
        # What assert_adjoint says of functions that are no pair; and strict promotion is the user's
        # choice, as JAX's error says (test_layouts.py).
        meant = re.match("not adjoint", str(error)) or "implicit dtype promotion path" in str(error)
        return None if meant else f"{type(error).__name__}: {str(error)[:200]}"
    return None


def defects(name: str, argument: str, kinds: Iterable[str]) -> list[str]:
    """The complaints about a function where one argument is replaced."""
    function, arguments = CALLS[name]
    called = argument in {
        "f",
        "f_t",
        "fn",
        "init",
        "model",
        "rename",
    }  # what it raises is the caller's own
    told = {
        kind: complaint(function, {**arguments, argument: HOSTILE[kind]})
        for kind in kinds
        if not (called and callable(HOSTILE[kind]))
    }
    return [f"{name}({argument}={kind}): {what}" for kind, what in told.items() if what]


def test_every_public_function_takes_its_examples_and_refuses_the_strange() -> None:
    assert len(CALLS) > 80
    assert {
        "conv",
        "Geometry.of_conv",
        "explaining.frames",
        "upsampling.fold",
    } <= CALLS.keys()
    found = []
    for name, (function, arguments) in CALLS.items():
        function(**arguments)  # else every refusal might be one of another argument
        found += [line for argument in arguments for line in defects(name, argument, FEW)]
    assert not found, "\n".join(found)


ALIKE = {
    "Geometry": "axes", "kernel_gradient": "dimension_numbers", "conv_transpose": "bias",
    "ConvTranspose.init": "chunk_shape", "ConvTranspose.step": "state chunk", "Chain.step": "state",
    "conventions.haiku_conv_transpose": "padding",
    "conventions.keras_conv_transpose": "padding", "conventions.lax_conv_transpose": "padding",
    "conventions.onnx_conv_transpose": "output_shape", "rendering.heat_table": "values",
    "conventions.tf_conv_transpose": "output_shape padding strides data_format",
    "rendering.to_csv": "matrix", "upsampling.resize_conv": "x", "upsampling.downsample": "x",
    "upsampling.max_pool": "x", "upsampling.max_unpool": "stride output_size",
    "upsampling.pixel_shuffle": "x", "upsampling.pixel_unshuffle": "x",
}  # fmt: skip
"""Arguments that have the name of another of their module, and a reader of their own."""

READERS = {
    (name.rpartition(".")[0], argument): (name, argument)
    for name, (_, arguments) in reversed(CALLS.items())
    for argument in arguments
}
PLACES = [
    *READERS.values(),
    *((name, argument) for name, several in ALIKE.items() for argument in several.split()),
]
"""Each reader of an argument once: a module's functions read arguments of one name alike."""


def test_whatever_reads_an_argument_refuses_strange_things_or_is_right() -> None:
    found = [line for place in PLACES for line in defects(*place, HOSTILE)]
    assert not found, "\n".join(found)


def test_what_must_be_known_before_tracing_is_refused_as_a_tracer() -> None:
    numbers = {"dtype", "kernel", "values", "w", "y"}  # to be shown; JAX refuses these itself

    def traced(value: Any) -> int:
        for name, argument in PLACES:
            function, arguments = CALLS[name]
            if argument not in numbers:
                found = complaint(function, {**arguments, argument: value})
                assert not found, (name, argument, found)
        return 0

    jax.make_jaxpr(traced)(1)
    jax.make_jaxpr(traced)(np.ones(2, np.int32))


LEAF = (
    st.none() | st.booleans() | st.integers(-3, 9) | st.integers() | st.floats()
    | st.text(max_size=3) | st.sampled_from(["SAME", "CAUSAL", "circular"])
)  # fmt: skip
ANYTHING = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner), max_leaves=6
)
OF_NUMBERS = [
    name for name, (function, _) in CALLS.items()
    if function.__module__.startswith(("tconvjax.geometry", "tconvjax.symbolic.lazy"))
]  # fmt: skip


@settings(max_examples=200)
@given(st.data())
def test_strange_arguments_may_come_together(data: st.DataObject) -> None:
    function, arguments = CALLS[data.draw(st.sampled_from(OF_NUMBERS))]
    strange = data.draw(st.sets(st.sampled_from(sorted(arguments)), min_size=1, max_size=3))
    replaced = {name: data.draw(ANYTHING) for name in sorted(strange)}
    assert complaint(function, {**arguments, **replaced}) is None


def test_a_bad_answer_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def bare(x: Any) -> None:
        raise TypeError(f"unsupported {x}")

    def short(x: Any) -> None:
        raise GeometryError(f"no {x}")

    for function, told in ((bare, "TypeError: unsupported"), (short, "not four parts: no")):
        monkeypatch.setitem(CALLS, "bad", (function, {"x": 1}))
        assert defects("bad", "x", FEW)[0].startswith(f"bad(x=None): {told} None")


@pytest.mark.parametrize("write", [
    lambda path: write_array(path.with_suffix(".npy"), W),
    lambda path: write_text(path.with_suffix(".txt"), "new"),
])  # fmt: skip
def test_a_full_disk_leaves_the_file_as_it_was(
    write: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "data")
    (path,) = tmp_path.iterdir()
    path.write_bytes(b"as it was")

    def full(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises((OSError, CommandError, GeometryError), match="No space left"):
            write(path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"as it was"
