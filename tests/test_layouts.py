"""Layouts, batch axes, bias, dtypes and promotion: the same numbers, put elsewhere."""

from __future__ import annotations

import logging
import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tconvjax as tc
from tests.oracles import conv, conv_transpose, kernel_gradient, ways
from tests.strategies import FIXED

TWO = FIXED[1]
X, W, Y = TWO.arrays()
SIZED = {**TWO.keywords, "output_size": TWO.in_size}
GRADIENT = {**TWO.keywords, "kernel_size": TWO.kernel_size}
SUMS = (conv(TWO, X, W), conv_transpose(TWO, Y, W), kernel_gradient(TWO, X, Y))
NAMES = ("NCHW", "OIHW", "NCHW")


def three(x: Any, w: Any, y: Any, **options: Any) -> tuple[Any, ...]:
    return (
        tc.conv(x, w, **TWO.keywords, **options),
        tc.conv_transpose(y, w, **SIZED, **options),
        tc.kernel_gradient(x, y, **GRADIENT, **options),
    )


def check(operands: Any, expected: Any, **options: Any) -> None:
    for results in ways(lambda *given: three(*given, **options), *operands):
        for result, wanted in zip(results, expected, strict=True):
            assert result.dtype == wanted.dtype
            np.testing.assert_array_equal(result, wanted)


@pytest.mark.parametrize("algorithm", tc.ALGORITHMS)
def test_a_layout_moves_axes_only(algorithm: str) -> None:
    def laid_out(value: Any, plain: str, spec: str) -> Any:
        return value.transpose([plain.index(letter) for letter in spec])

    for several in ("NHWC HWIO NHWC", "NHWC OHWI NCHW", "HWNC IHWO CHWN", "NCHW OIHW NHWC"):
        names = tuple(several.split())
        operands = map(laid_out, (X, W, Y), NAMES, names)
        expected = map(laid_out, SUMS, ("NCHW", "NCHW", "OIHW"), (names[2], names[0], names[1]))
        check(operands, expected, algorithm=algorithm, dimension_numbers=names)
    own = lax.conv_dimension_numbers(X.shape, W.shape, NAMES)
    for spelled in (list(NAMES), own):
        check((X, W, Y), SUMS, algorithm=algorithm, dimension_numbers=spelled)


def test_batch_axes_come_and_go() -> None:
    check((X[0], W, Y[0]), (SUMS[0][0], SUMS[1][0], SUMS[2]))
    many = [np.stack([v, v, v])[:, None] for v in (X, Y, *SUMS[:2])]
    check((many[0], W, many[1]), (*many[2:], 3 * SUMS[2]))
    last, back = (np.moveaxis(v[0], 0, -1) for v in (X, SUMS[1]))
    between = ("HWNC", "OIHW", "CHWN")
    check((last, W, Y[0]), (SUMS[0][0], back, SUMS[2]), dimension_numbers=between)


def test_bias_is_added_to_every_element_of_its_channel() -> None:
    bias = np.arange(3.0)
    last = {**SIZED, "dimension_numbers": ("NHWC", "OIHW", "NCHW")}  # of the result
    result = tc.conv(X, W, bias, **TWO.keywords)
    np.testing.assert_array_equal(result, SUMS[0] + bias[:, None, None])
    result = tc.conv_transpose(Y, W, bias[:2], **SIZED)
    np.testing.assert_array_equal(result, SUMS[1] + bias[:2, None, None])
    result = tc.conv_transpose(Y[0], W, bias[:2], **last)
    np.testing.assert_array_equal(result, np.moveaxis(SUMS[1][0], 0, -1) + bias[:2])


@pytest.mark.parametrize("algorithm", tc.ALGORITHMS)
def test_a_wider_result_loses_nothing(algorithm: str) -> None:
    narrow = ["bfloat16", "float16", "float32", "int8", "uint8", "complex64"]
    wide = ["float32", "float64", "float64", "int32", "uint64", "complex128"]
    for given, wanted in zip(narrow, wide, strict=True):
        operands = TWO.arrays(jnp.dtype(given))
        x, w, y = (v.astype(jnp.dtype(wanted)) for v in operands)
        expected = (conv(TWO, x, w), conv_transpose(TWO, y, w), kernel_gradient(TWO, x, y))
        check(operands, expected, preferred_element_type=wanted, algorithm=algorithm)


def test_operands_are_promoted_as_jax_promotes() -> None:
    single = X.astype("float32")
    with jax.numpy_dtype_promotion("standard"):
        assert tc.conv(single, W, **TWO.keywords).dtype == "float64"
        narrow = (X.astype("int32"), W.astype("float32"), np.ones(3, "float32"))
        assert tc.conv(*narrow, **TWO.keywords).dtype == "float32"
    with pytest.raises(ValueError, match="no available implicit dtype promotion path"):
        tc.conv(single, W, **TWO.keywords)


def test_arrays_of_jax_and_of_another_byte_order_are_taken() -> None:
    check((jnp.asarray(X), jnp.asarray(W), jnp.asarray(Y)), SUMS)
    for result, expected in zip(three(X.astype(">f8"), W, Y.astype(">f8")), SUMS, strict=True):
        np.testing.assert_array_equal(result, expected)


def test_lists_are_taken() -> None:
    """Though not announced by the annotations, which name arrays."""
    listed: Any = Y.tolist()
    np.testing.assert_array_equal(tc.conv_transpose(listed, W, **SIZED), SUMS[1])


def test_one_program_for_all_spellings(caplog: pytest.LogCaptureFixture) -> None:
    y, w, compiled = jnp.ones((1, 1, 61)), jnp.ones((1, 1, 2)), []
    for dtype, stride in (("float64", 2), (jnp.float64, (2,)), (np.dtype("float64"), [2])):
        caplog.clear()
        with jax.log_compiles(), caplog.at_level(logging.WARNING):
            tc.conv(y, w, stride=stride, preferred_element_type=dtype)
        compiled.append("Compiling" in caplog.text)
    assert compiled == [True, False, False]


@pytest.mark.parametrize("algorithm", sorted(tc.ALGORITHMS.keys() - {"taps"}))  # no product
def test_precision_is_passed_on(algorithm: str) -> None:
    for precision in (lax.Precision.HIGH, "highest", "float32", ("default", "highest")):
        named = "HIGH" if precision == lax.Precision.HIGH else "HIGHEST"
        options: dict[str, Any] = {"precision": precision, "algorithm": algorithm}
        program = jax.jit(lambda y, o=options: tc.conv_transpose(y, W, **o, **SIZED)).lower(Y)
        assert re.search(rf"precision\b[^\n]*\b{named}\b", program.as_text())


def test_empty_arrays_give_empty_or_zero_results() -> None:
    shapes = (0, 2, 5), (2, 0, 5), (2, 2, 5), (2, 2, 0)
    kernels = (3, 2, 2), (3, 0, 2), (0, 2, 2), (3, 2, 2)
    for x, w in zip(shapes, kernels, strict=True):
        y = tc.conv(jnp.ones(x), jnp.ones(w))
        assert y.shape == (x[0], w[0], max(x[2] - 1, 0))
        assert not y.any()
        back = tc.conv_transpose(y, jnp.ones(w), output_size=x[2] or None)
        assert back.shape[:2] == x[:2]
        assert not back.any()
