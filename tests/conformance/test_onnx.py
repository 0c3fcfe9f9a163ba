"""ONNX's own node cases of ConvTranspose and of what else upsamples."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import onnx
import pytest

from tconvjax import conventions, upsampling

COUNTS = {
    "ConvTranspose": 11, "MaxUnpool": 2, "Col2Im": 5, "DepthToSpace": 2, "SpaceToDepth": 4,
}  # fmt: skip


def node_cases(operator: str) -> list[Any]:
    """Of one module of ONNX's; importing all of them takes many seconds."""
    from onnx.backend.test.case import node

    importlib.import_module(f"{node.__name__}.{operator.lower()}")
    found = node._NodeTestCases
    return [case for case in found if case.model.graph.node[0].op_type == operator]


def computed(node: Any, arrays: list[np.ndarray]) -> Any:
    """A node of ONNX by this package."""
    given = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.op_type == "ConvTranspose":
        given["auto_pad"] = given.get("auto_pad", b"NOTSET").decode()
        return conventions.onnx_conv_transpose(*arrays, **given)
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


@pytest.mark.parametrize("name", COUNTS)
def test_every_node_case_agrees(name: str) -> None:
    cases = node_cases(name)
    assert len(cases) == COUNTS[name]
    for case in cases:
        (node,) = case.model.graph.node
        for inputs, outputs in case.data_sets:
            result = np.asarray(computed(node, list(inputs)))
            assert result.dtype == outputs[0].dtype
            np.testing.assert_allclose(result, outputs[0], rtol=1e-5, err_msg=case.name)
