"""ONNX's own node cases of ConvTranspose, and the models it ships that PyTorch exported."""

from __future__ import annotations

import functools
import math
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import tconvjax as tc
from tconvjax import upsampling


@functools.cache
def node_cases() -> dict[str, Any]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        # Building all of ONNX's cases warns of casts that overflow on purpose.
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    return {
        case.name: case for case in found if case.model.graph.node[0].op_type == "ConvTranspose"
    }


@functools.cache
def upsampling_cases() -> dict[str, Any]:
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = collect_testcases(None)
    return {case.name: case for case in found if case.model.graph.node[0].op_type in COUNTS}


COUNTS = {"MaxUnpool": 2, "Col2Im": 5, "DepthToSpace": 2, "SpaceToDepth": 4}


def converted_models() -> list[Path]:
    root = Path(onnx.__file__).parent / "backend" / "test" / "data"
    return sorted(p for p in root.glob("*/*") if "convtranspose" in p.name.lower())


def converted(y: np.ndarray, w: np.ndarray, node: Any) -> dict[str, Any]:
    """An ONNX node's attributes as arguments of conv_transpose (operator set 22)."""
    given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    rank = w.ndim - 2
    stride = given.get("strides", [1] * rank)
    dilation = given.get("dilations", [1] * rank)
    extra = given.get("output_padding", [0] * rank)
    pads = given.get("pads", [0] * 2 * rank)
    sizes = zip(y.shape[2:], stride, w.shape[2:], dilation, strict=True)
    full = [s * (n - 1) + (k - 1) * d + 1 for n, s, k, d in sizes]
    auto = given.get("auto_pad", b"NOTSET").decode()
    wanted = given.get("output_shape")
    if wanted is None and auto.startswith("SAME"):
        wanted = [n * s for n, s in zip(y.shape[2:], stride, strict=True)]
    if wanted is not None:
        total = [f + e - w for f, e, w in zip(full, extra, wanted, strict=True)]
        begin = [t // 2 if auto == "SAME_UPPER" else t - t // 2 for t in total]
        pads = [*begin, *(t - b for t, b in zip(total, begin, strict=True))]
    low, high = pads[:rank], pads[rank:]
    # A padding may reach past what the strides leave: ONNX crops the end, a negative high adds.
    return {
        "stride": stride,
        "dilation": dilation,
        "groups": given.get("group", 1),
        "padding": [(lo, hi - e) for lo, hi, e in zip(low, high, extra, strict=True)],
    }


def assert_agrees(node: Any, arrays: list[np.ndarray], expected: np.ndarray) -> None:
    y, w, *bias = arrays
    result = tc.conv_transpose(y, w, *bias, **converted(y, w, node))
    assert result.shape == expected.shape
    assert result.dtype == expected.dtype
    size = math.prod(w.shape[1:])
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6 * size)


def test_all_eleven_node_cases_are_there() -> None:
    assert len(node_cases()) == 11


@pytest.mark.parametrize("number", range(11))
def test_a_node_case_agrees(number: int) -> None:
    case = list(node_cases().values())[number]
    (node,) = case.model.graph.node
    for inputs, outputs in case.data_sets:
        assert_agrees(node, list(inputs), outputs[0])


def test_the_shipped_models_are_there() -> None:
    assert len(converted_models()) == 3


@pytest.mark.parametrize("folder", converted_models(), ids=lambda p: p.name)
def test_a_shipped_model_agrees(folder: Path) -> None:
    graph = onnx.load(folder / "model.onnx").graph
    arrays = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    data = folder / "test_data_set_0"
    fed = [value.name for value in graph.input if value.name not in arrays]
    for n, name in enumerate(fed):
        arrays[name] = numpy_helper.to_array(onnx.load_tensor(data / f"input_{n}.pb"))
    (node,) = graph.node
    expected = numpy_helper.to_array(onnx.load_tensor(data / "output_0.pb"))
    assert_agrees(node, [arrays[name] for name in node.input], expected)


def rearranged(node: Any, arrays: list[np.ndarray]) -> Any:
    """A node of ONNX that upsamples, by this package."""
    given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "MaxUnpool":
        y, indices, *shape = arrays
        assert "pads" not in given
        plain = upsampling.max_unpool(y, indices, given["kernel_shape"], given["strides"])
        if not shape:
            return plain
        # ONNX's indices are those of the natural plane, which its output_shape makes larger.
        more = [(0, wanted - n) for wanted, n in zip(shape[0], plain.shape, strict=True)]
        return np.pad(plain, more)
    if node.op_type == "Col2Im":
        columns, size, block = arrays
        rank = len(size)
        pads = given.get("pads", [0] * 2 * rank)
        assert pads[:rank] == pads[rank:]
        return upsampling.fold(
            columns, size.tolist(), block.tolist(), padding=pads[:rank],
            dilation=given.get("dilations", [1] * rank),
            stride=given.get("strides", [1] * rank),
        )  # fmt: skip
    order = given.get("mode", b"DCR").decode()
    name = {"DepthToSpace": "pixel_shuffle", "SpaceToDepth": "pixel_unshuffle"}[node.op_type]
    return getattr(upsampling, name)(arrays[0], (given["blocksize"],) * 2, order=order)


def test_all_upsampling_cases_are_there() -> None:
    found = [case.model.graph.node[0].op_type for case in upsampling_cases().values()]
    assert {name: found.count(name) for name in COUNTS} == COUNTS


@pytest.mark.parametrize("number", range(sum(COUNTS.values())))
def test_an_upsampling_case_agrees(number: int) -> None:
    case = list(upsampling_cases().values())[number]
    (node,) = case.model.graph.node
    for inputs, outputs in case.data_sets:
        result = np.asarray(rearranged(node, list(inputs)))
        np.testing.assert_array_equal(result, outputs[0])
