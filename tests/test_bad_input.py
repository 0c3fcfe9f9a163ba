"""Whatever is given in place of an argument: a result, or GeometryError with its four parts.

Each public function has a call that works. One argument at a time is replaced by each of the
things in `HOSTILE`, and by what Hypothesis draws. Never a bare error of JAX, NumPy or SymPy, and
never long.
"""

from __future__ import annotations

import atexit
import errno
import inspect
import os
import re
import shutil
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

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
    explorer,
    fences,
    matrices,
    rendering,
    symbolic,
    upsampling,
)
from tconvjax.command import files

FOUR_PARTS = re.compile(r"[^=]+=.*: .+; .+", re.DOTALL)
SECONDS = 20
"""That any one call may take; on a machine with nothing else to do each takes far less."""

X, W, Y = np.ones((1, 2, 7)), np.ones((4, 2, 3)), np.ones((1, 4, 5))
PLANE = np.ones((1, 3, 4, 4))
G = Geometry.of_conv((1, 5), (1, 1, 3), stride=2)
TABLE = rendering.array_table([[1, 2]])
MATRIX = sympy.Matrix([[1, 2], [3, 4]])
CROP = conventions.Crop(3, 2, 1)
LAZY = symbolic.ConvolutionMatrix.of_geometry(G)
TOLD = explaining.explain(G, [[1, 2]], [[[1, 2, 3]]])


class ConvTranspose:
    """A layer, by its name."""


def entry(i: Any, j: Any) -> Any:
    """Of the lazy matrix; SymPy and Python ask for an IndexError where there is none."""
    try:
        return LAZY[i, j]
    except IndexError:
        return None


class Call(NamedTuple):
    """A function and arguments that it takes."""

    function: Callable[..., Any]
    arguments: Mapping[str, Any]


OPTIONS = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "padding_mode": "zeros"}
ARRAY_OPTIONS = {**OPTIONS, "dimension_numbers": None, "precision": None,
                 "preferred_element_type": None, "algorithm": "auto"}  # fmt: skip
KERNEL_ONLY = {"geometry": G, "kernel": [[[1, 2, 3]]]}
FOLDER = Path(tempfile.mkdtemp())
atexit.register(shutil.rmtree, FOLDER)
WEIGHTS = str(FOLDER / "weights.npz")
conventions.save_state(WEIGHTS, {"w": W})
INITIALIZED = {"key": jax.random.key(0), "shape": (4, 4, 3), "dtype": "float32"}

CALLS = {
    "conv": Call(tc.conv, {"x": X, "w": W, "bias": np.ones(4), **ARRAY_OPTIONS}),
    "conv_transpose": Call(tc.conv_transpose, {
        "y": Y, "w": W, "bias": np.ones(2), "output_padding": 0, **ARRAY_OPTIONS}),
    "conv_transpose to a size": Call(tc.conv_transpose, {"y": Y, "w": W, "output_size": 7}),
    "kernel_gradient": Call(
        tc.kernel_gradient, {"x": X, "y": Y, "kernel_size": 3, **ARRAY_OPTIONS}),
    "Axis": Call(Axis, {"in_size": 5, "out_size": 3, "kernel_size": 3, "stride": 1,
                        "dilation": 1, "low": 0, "mode": "zeros"}),
    "Geometry": Call(Geometry, {"axes": (Axis(5, 3, 3),), "in_channels": 2, "out_channels": 2,
                                "groups": 2}),
    "of_conv": Call(Geometry.of_conv, {"x_shape": (2, 7), "w_shape": (4, 2, 3), **OPTIONS}),
    "of_conv_transpose": Call(Geometry.of_conv_transpose, {
        "y_shape": (4, 5), "w_shape": (4, 2, 3), "output_padding": 0, "output_size": None,
        **OPTIONS}),
    "out_size": Call(tc.out_size, {"in_size": 7, "kernel_size": 3, "stride": 2, "padding": 1,
                                   "dilation": 1}),
    "in_sizes": Call(tc.in_sizes, {"out_size": 4, "kernel_size": 3, "stride": 2, "padding": 1,
                                   "dilation": 1}),
    "links": Call(lambda geometry: list(tc.links(geometry)), {"geometry": G}),
    "select_algorithm": Call(tc.select_algorithm, {
        "geometry": G, "partial": "conv", "dtype": "float32", "platform": "cpu", "batch": 1}),
    "plan": Call(tc.plan, {
        "geometry": G, "partial": "conv", "dtype": "float32", "platform": "cpu", "batch": 1}),
    "accelerate": Call(tc.accelerate, {"fn": lambda x: x}),
    "assert_adjoint": Call(tc.assert_adjoint, {
        "f": lambda x: x, "f_t": lambda y: y, "x": np.ones(3), "y": np.ones(3), "rtol": 0.1}),
    "matrices.conv_matrix": Call(matrices.conv_matrix, {
        "geometry": G, "kernel": np.ones((1, 1, 3)), "format": "csr"}),
    "matrices.matrix_of": Call(matrices.matrix_of, {
        "fn": lambda x: x + x, "shape": (3,), "dtype": "float32", "format": "dense"}),
    "matrices.places": Call(matrices.places, {"geometry": G}),
    **{f"symbolic.{f.__name__}": Call(f, {"geometry": G}) for f in (
        symbolic.convolution_sums, symbolic.jacobian, symbolic.derivation, symbolic.vec_input,
        symbolic.vec_output, symbolic.kernel_symbols)},
    **{f"symbolic.{f.__name__}": Call(f, KERNEL_ONLY) for f in (
        symbolic.conv_matrix, symbolic.blocks, symbolic.polyphase, symbolic.kronecker_form,
        symbolic.gram, symbolic.orthonormality, symbolic.rank, symbolic.null_space,
        symbolic.least_squares_inverse)},
    "symbolic.overlap": Call(symbolic.overlap, {
        "out_size": 3, "kernel_size": 3, "stride": 2, "padding": 0, "dilation": 1, "place": 1}),
    "symbolic.shift_matrix": Call(symbolic.shift_matrix, {"axis": G.axes[0], "tap": 1}),
    "symbolic.ConvolutionMatrix.of": Call(symbolic.ConvolutionMatrix.of, {
        "in_size": 5, "kernel_size": 3, "stride": 2, "padding": 0, "dilation": 1}),
    "symbolic.ConvolutionMatrix.of_geometry": Call(
        symbolic.ConvolutionMatrix.of_geometry, {"geometry": G, "kernel": "w"}),
    "explain": Call(explaining.explain, {
        "geometry": G, "y": [[1, 2]], "w": [[[1, 2, 3]]], "views": ("stamps",)}),
    "rendering.conv_table": Call(rendering.conv_table, {
        **KERNEL_ONLY, "transpose": False, "most": 10}),
    "rendering.matrix_table": Call(rendering.matrix_table, {
        "matrix": MATRIX, "name": "C", "taps": (1, 2), "most": 10}),
    "rendering.array_table": Call(rendering.array_table, {
        "values": [[1, 2]], "name": "y", "shown": None, "taps": 0, "faint": frozenset(),
        "most": 10}),
    "rendering.heat_table": Call(rendering.heat_table, {
        "values": [[1, 2]], "name": "y", "most": 10}),
    "rendering.sparsity": Call(rendering.sparsity, {"geometry": G, "transpose": False}),
    "rendering.links_picture": Call(rendering.links_picture, {"geometry": G}),
    "rendering.derivation_document": Call(rendering.derivation_document, {
        "derivation": symbolic.derivation(G), "words": True}),
    "rendering.stack": Call(rendering.stack, {"parts": (TABLE,)}),
    "rendering.to_animation": Call(rendering.to_animation, {
        "frames": (TABLE, TABLE), "seconds": 1.0, "alt": ""}),
    "rendering.to_text": Call(rendering.to_text, {"document": TABLE, "width": 80, "height": 40}),
    "rendering.to_latex": Call(rendering.to_latex, {"document": TABLE, "colours": True}),
    "rendering.to_html": Call(rendering.to_html, {"document": TABLE, "style": True}),
    "rendering.to_svg": Call(rendering.to_svg, {"document": TABLE, "alt": ""}),
    "rendering.to_mathml": Call(rendering.to_mathml, {"document": TABLE}),
    "rendering.to_csv": Call(rendering.to_csv, {"matrix": MATRIX}),
    "rendering.matrix_latex": Call(rendering.matrix_latex, {"matrix": MATRIX}),
    "rendering.matrix_text": Call(rendering.matrix_text, {
        "matrix": MATRIX, "width": 80, "height": 40}),
    "torch_conv_transpose": Call(conventions.torch_conv_transpose, {
        "input": Y, "weight": W, "bias": np.ones(2), "stride": 1, "padding": 0,
        "output_padding": 0, "groups": 1, "dilation": 1}),
    "equinox_conv_transpose": Call(conventions.equinox_conv_transpose, {
        "x": Y[0], "weight": np.ones((2, 4, 3)), "stride": 1, "padding": 0, "output_padding": 0,
        "dilation": 1, "groups": 1, "padding_mode": "ZEROS"}),
    "flax_conv_transpose": Call(conventions.flax_conv_transpose, {
        "inputs": np.ones((1, 5, 4)), "kernel": np.ones((3, 4, 2)), "strides": 1,
        "padding": "SAME", "kernel_dilation": 1, "transpose_kernel": False}),
    "haiku_conv_transpose": Call(conventions.haiku_conv_transpose, {
        "inputs": np.ones((1, 5, 4)), "w": np.ones((3, 2, 4)), "stride": 1, "padding": "SAME",
        "data_format": "channels_last"}),
    "keras_conv_transpose": Call(conventions.keras_conv_transpose, {
        "inputs": np.ones((1, 5, 4)), "kernel": np.ones((3, 2, 4)), "strides": 1,
        "padding": "valid", "output_padding": None, "data_format": None, "dilation_rate": 1}),
    "lax_conv_transpose": Call(conventions.lax_conv_transpose, {
        "lhs": np.ones((1, 5, 4)), "rhs": np.ones((3, 4, 2)), "strides": (1,),
        "padding": "SAME", "rhs_dilation": None, "dimension_numbers": None,
        "transpose_kernel": False}),
    "onnx_conv_transpose": Call(conventions.onnx_conv_transpose, {
        "X": Y, "W": W, "auto_pad": "NOTSET", "dilations": None, "group": 1, "kernel_shape": None,
        "output_padding": None, "output_shape": None, "pads": None, "strides": None}),
    "tf_conv_transpose": Call(conventions.tf_conv_transpose, {
        "input": np.ones((1, 5, 4)), "filters": np.ones((3, 2, 4)), "output_shape": (1, 5, 2),
        "strides": 1, "padding": "SAME", "data_format": None, "dilations": None}),
    "convert_kernel": Call(conventions.convert_kernel, {
        "kernel": W, "source": "torch", "target": "keras", "groups": 1}),
    "relaid": Call(conventions.relaid, {
        "w": W, "source": "torch", "target": "keras", "groups": 1}),
    "translate": Call(conventions.translate, {
        "arguments": {"kernel_size": (3,), "stride": 2}, "source": "torch", "target": "keras",
        "input_size": (7,)}),
    "read_layer": Call(conventions.read_layer, {
        "arguments": {"kernel_size": (3,), "stride": 2}, "source": "torch", "input_size": (7,)}),
    "convert_state_dict": Call(conventions.convert_state_dict, {
        "state": {"up.weight": W}, "source": "torch", "target": "keras",
        "kinds": {"up": "conv_transpose"}, "rename": None}),
    "LayerKind": Call(conventions.LayerKind, {
        "kind": "conv_transpose", "groups": 1, "layout": None}),
    "layer_kinds": Call(conventions.layer_kinds, {"model": {"up": ConvTranspose()}}),
    "replace_leaves": Call(conventions.replace_leaves, {
        "module": {"up": W}, "arrays": {"up": W}}),
    "save_state": Call(conventions.save_state, {"path": WEIGHTS, "state": {"w": W}}),
    "load_state": Call(conventions.load_state, {"path": WEIGHTS}),
    "upsample": Call(upsampling.upsample, {
        "x": PLANE, "factor": 2, "method": "linear", "align_corners": False, "layout": None}),
    "upsample to a size": Call(upsampling.upsample, {"x": PLANE, "size": (5, 7)}),
    "downsample": Call(upsampling.downsample, {
        "x": PLANE, "factor": 2, "method": "linear", "layout": None}),
    "bilinear_kernel": Call(upsampling.bilinear_kernel, {
        "factor": 2, "rank": 2, "dtype": "float32"}),
    "resize_conv": Call(upsampling.resize_conv, {
        "x": PLANE, "w": np.ones((2, 3, 3, 3)), "factor": 2, "method": "nearest",
        "layout": None}),
    "max_pool": Call(upsampling.max_pool, {
        "x": PLANE, "kernel_size": 2, "stride": None, "padding": 0, "dilation": 1,
        "ceil_mode": False, "return_indices": False, "layout": None}),
    "avg_pool": Call(upsampling.avg_pool, {
        "x": PLANE, "kernel_size": 2, "stride": None, "padding": 0}),
    "avg_unpool": Call(upsampling.avg_unpool, {
        "y": PLANE, "kernel_size": 2, "stride": None, "padding": 0, "output_size": (8, 8),
        "ceil_mode": False, "count_include_pad": True, "divisor_override": None,
        "layout": None}),
    "max_unpool": Call(upsampling.max_unpool, {
        "y": PLANE[..., :2, :2], "indices": np.array([[[[0, 2], [8, 10]]] * 3]), "kernel_size": 2,
        "stride": None, "padding": 0, "output_size": None, "layout": None}),
    "pixel_shuffle": Call(upsampling.pixel_shuffle, {"x": np.ones((1, 4, 3, 3)), "factor": 2}),
    "pixel_unshuffle": Call(upsampling.pixel_unshuffle, {"x": PLANE, "factor": 2}),
    "unfold": Call(upsampling.unfold, {
        "x": PLANE, "kernel_size": 2, "stride": 1, "padding": 0, "dilation": 1}),
    "fold": Call(upsampling.fold, {
        "columns": np.ones((1, 12, 9)), "output_size": (4, 4), "kernel_size": 2, "stride": 1,
        "padding": 0, "dilation": 1}),
    "checkerboard": Call(upsampling.checkerboard, KERNEL_ONLY),
    "upsampling.overlap": Call(upsampling.overlap, {"geometry": G}),
    "deconvolve": Call(upsampling.deconvolve, {"y": Y, "w": W}),
    "transposed_scaling": Call(upsampling.transposed_scaling, {
        "scale": 1.0, "mode": "fan_in", "distribution": "normal", "stride": 1, "groups": 1}),
    **{f.__name__: Call(f, {"stride": 1, "groups": 1}) for f in (
        upsampling.he_normal, upsampling.he_uniform, upsampling.lecun_normal,
        upsampling.lecun_uniform, upsampling.glorot_normal, upsampling.glorot_uniform)},
    "what he_normal gives": Call(upsampling.he_normal(), INITIALIZED),
    "bilinear_init": Call(upsampling.bilinear_init, INITIALIZED),
    "icnr_init": Call(upsampling.icnr_init, {
        "init": jax.nn.initializers.ones, "factor": 2, "transposed": False, "order": "CRD"}),
    "what icnr_init gives": Call(
        upsampling.icnr_init(jax.nn.initializers.ones, 2), INITIALIZED),
    "acceleration.report": Call(lambda fn: acceleration.report(fn, X), {"fn": lambda x: x}),
    "explorer.element": Call(explorer.element, {
        "geometry": G, "y": [[1, 2]], "w": [[[1, 2, 3]]], "lang": "en", "share": False,
        "fallback": ""}),
    "Axis.source": Call(Axis(5, 5, 3, low=1, mode="reflect").source, {"position": -1}),
    "Axis.taps_between": Call(G.axes[0].taps_between, {"output": 1, "source": 2}),
    "Geometry.taps_between": Call(G.taps_between, {"output": (0, 1), "source": (0, 2)}),
    "Crop": Call(conventions.Crop, {
        "kernel_size": 3, "stride": 2, "dilation": 1, "low": 0, "high": 0}),
    "Crop.size": Call(CROP.size, {"n": 5}),
    "Layer": Call(conventions.Layer, {
        "axes": (CROP,), "groups": 1, "mode": "zeros", "about": {"bias": True}}),
    "Layer.each": Call(conventions.Layer((CROP,)).each, {"name": "stride"}),
    "KernelLayout": Call(conventions.KernelLayout, {"axes": "MC*", "backwards": False}),
    "KernelLayout.spec": Call(conventions.KernelLayout("MC*").spec, {"rank": 2}),
    "KernelLayout.words": Call(conventions.KernelLayout("MC*").words, {"groups": 2}),
    "ConvolutionMatrix[i, j]": Call(entry, {"i": 1, "j": -1}),
    "Explanation.to_text": Call(TOLD.to_text, {"width": 80}),
    "Explanation.to_html": Call(TOLD.to_html, {"style": True}),
    "Explanation.to_animation": Call(TOLD.to_animation, {"seconds": 1.0}),
    "fences.tex_to_mathml": Call(fences.tex_to_mathml, {"tex": "x", "display": False}),
}  # fmt: skip

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
    "spec": jax.ShapeDtypeStruct((1, 2, 7), jnp.float32),
}  # fmt: skip

FUNCTIONS = {"f", "f_t", "fn", "init", "rename"}
"""Arguments that are called; what they raise themselves is the caller's own."""

PLACES = [(name, argument) for name, call in CALLS.items() for argument in call.arguments]


@contextmanager
def at_most(seconds: float) -> Iterator[None]:
    """Raise where a call takes longer."""

    def stop(*_: Any) -> None:
        raise AssertionError(f"more than {seconds} s")

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def answer(name: str, argument: str, value: Any) -> None:
    """Call with one argument replaced; raise unless the answer is a result or a good refusal."""
    function, arguments = CALLS[name]
    try:
        with at_most(SECONDS), np.errstate(all="ignore"):
            jax.block_until_ready(function(**{**arguments, argument: value}))
    except GeometryError as error:
        if not FOUR_PARTS.fullmatch(str(error)):
            raise AssertionError(f"{argument}={value!r}: not four parts: {error}") from error
    except AssertionError as error:
        # What assert_adjoint says of functions that are no pair; a call too long says otherwise.
        if not str(error).startswith("not adjoint"):
            raise
    except Exception as error:
        # Strict promotion is the user's choice, and JAX's error says so (test_layouts.py).
        if "implicit dtype promotion path" in str(error):
            return
        raise AssertionError(f"{type(error).__name__}: {str(error)[:200]}") from error


def defects(name: str, argument: str) -> list[str]:
    """What does not hold for an argument."""
    found = []
    for kind, value in HOSTILE.items():
        if argument in FUNCTIONS and callable(value):
            continue
        try:
            answer(name, argument, value)
        except AssertionError as error:
            found.append(f"{name}({argument}={kind}): {error}")
    return found


DOORS = (tc, acceleration, conventions, explaining, explorer, fences, matrices, rendering, symbolic,
         upsampling)  # fmt: skip
HOOKS = {"format", "makeExtension", "validator"}
"""What Markdown calls, tested in test_fences.py and test_hostile.py."""


def test_no_public_function_is_left_out() -> None:
    called = {name.rpartition(".")[2] for name in CALLS}
    public = {
        name
        for door in DOORS
        for name in door.__all__
        if inspect.isfunction(value := getattr(door, name)) and inspect.signature(value).parameters
    }
    assert len(public) > 50
    assert public - called - HOOKS == set()


def test_no_method_of_a_public_class_is_left_out() -> None:
    ours = {
        value
        for door in DOORS
        for name in door.__all__
        if inspect.isclass(value := getattr(door, name)) and value.__module__.startswith("tconvjax")
    }
    methods = set()
    for one in ours:
        for name in (name for name in dir(one) if name[0] != "_"):
            found = inspect.getattr_static(one, name)
            found = getattr(found, "__func__", found)
            own = inspect.isfunction(found) and found.__module__.startswith("tconvjax")
            if own and len(inspect.signature(found).parameters) > 1:
                methods.add(f"{one.__name__}.{name}")
    called = {".".join(name.split(".")[-2:]) for name in CALLS}
    called |= {f"Geometry.{name}" for name in CALLS}
    assert len(methods) > 10
    assert methods - called == set()


@pytest.mark.parametrize("name", CALLS)
def test_a_strange_argument_is_refused_or_right(name: str) -> None:
    found = [line for argument in CALLS[name].arguments for line in defects(name, argument)]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", CALLS)
def test_the_calls_are_right_to_begin_with(name: str) -> None:
    """Else every refusal might be one of another argument."""
    CALLS[name].function(**CALLS[name].arguments)


STATIC = ("stride", "padding", "dilation", "groups", "padding_mode", "output_padding",
          "output_size", "kernel_size", "in_size", "out_size", "x_shape", "y_shape", "batch",
          "algorithm", "precision", "dimension_numbers", "shape", "tap", "place", "most", "width",
          "low", "mode", "in_channels", "geometry", "axis", "axes")  # fmt: skip


@pytest.mark.parametrize(
    ("name", "argument"),
    [(n, a) for n, a in PLACES if a in STATIC],
)
def test_what_must_be_known_before_tracing_is_refused_as_a_tracer(name: str, argument: str) -> None:
    def traced(value: Any) -> int:
        with pytest.raises(GeometryError) as caught:
            CALLS[name].function(**{**CALLS[name].arguments, argument: value})
        assert FOUR_PARTS.fullmatch(str(caught.value)), caught.value
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
INTEGERS_ONLY = ("of_conv", "of_conv_transpose", "out_size", "in_sizes", "Axis", "Geometry",
                 "plan", "symbolic.overlap", "symbolic.shift_matrix")  # fmt: skip


@settings(max_examples=200)
@given(st.data())
def test_whatever_is_drawn_is_refused_or_right(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(INTEGERS_ONLY))
    answer(name, data.draw(st.sampled_from(sorted(CALLS[name].arguments))), data.draw(ANYTHING))


@given(st.data())
def test_strange_arguments_may_come_together(data: st.DataObject) -> None:
    arguments = {name: data.draw(st.just(value) | ANYTHING)
                 for name, value in CALLS["of_conv_transpose"].arguments.items()}  # fmt: skip
    together = Call(lambda **given: Geometry.of_conv_transpose(**given), arguments)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(CALLS, "together", together)
        answer("together", "groups", arguments["groups"])


def _bare(x: Any) -> None:
    raise TypeError(f"unsupported {x}")


def _short(x: Any) -> None:
    raise GeometryError(f"no {x}")


def _endless(x: Any) -> None:
    while True:
        pass


@pytest.mark.parametrize(
    ("function", "told"),
    [(_bare, "TypeError"), (_short, "not four parts"), (_endless, r"more than 0\.1 s")],
)
def test_a_bad_answer_is_seen(function: Any, told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CALLS, "bad", Call(function, {"x": 1}))
    monkeypatch.setattr("tests.test_bad_input.SECONDS", 0.1)
    with pytest.raises(AssertionError, match=told):
        answer("bad", "x", 2)


@pytest.mark.parametrize("write", [
    lambda path: conventions.save_state(path.with_suffix(".npz"), {"w": W}),
    lambda path: files.write_array(path.with_suffix(".npy"), W),
    lambda path: files.write_text(path.with_suffix(".txt"), "new"),
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
        with pytest.raises((OSError, files.FileError, GeometryError), match="No space left"):
            write(path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"as it was"


if __name__ == "__main__":
    for place in PLACES:
        for line in defects(*place):
            print(line.splitlines()[0], flush=True)
