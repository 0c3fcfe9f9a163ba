"""Layouts, batch axes, bias, dtypes and promotion: the same numbers, put elsewhere."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import tconvjax as tc
from tconvjax.operations import _jitted
from tests.strategies import FIXED, Arguments

TWO = FIXED[1]
X, W, Y = (jnp.asarray(v) for v in TWO.arrays())
SIZED = {**TWO.keywords, "output_size": TWO.in_size}
GRADIENT = {**TWO.keywords, "kernel_size": TWO.kernel_size}

LAYOUTS = [
    ("NHWC", "HWIO", "NHWC"),
    ("NHWC", "OHWI", "NCHW"),
    ("HWNC", "IHWO", "CHWN"),
    ("NCHW", "OIHW", "NHWC"),
]


def laid_out(value: jax.Array, plain: str, spec: str) -> jax.Array:
    return jnp.transpose(value, [plain.index(letter) for letter in spec])


@pytest.mark.parametrize("names", LAYOUTS, ids="-".join)
@pytest.mark.parametrize("algorithm", tc.ALGORITHMS)
def test_a_layout_moves_axes_only(names: tuple[str, str, str], algorithm: str) -> None:
    x, w, y = (
        laid_out(v, plain, spec)
        for v, plain, spec in zip((X, W, Y), ("NCHW", "OIHW", "NCHW"), names, strict=True)
    )
    options: dict[str, Any] = {"dimension_numbers": names, "algorithm": algorithm}
    results = (
        (tc.conv(x, w, **TWO.keywords, **options), tc.conv(X, W, **TWO.keywords), "NCHW", names[2]),
        (
            tc.conv_transpose(y, w, **SIZED, **options),
            tc.conv_transpose(Y, W, **SIZED),
            "NCHW",
            names[0],
        ),
        (
            tc.kernel_gradient(x, y, **GRADIENT, **options),
            tc.kernel_gradient(X, Y, **GRADIENT),
            "OIHW",
            names[1],
        ),
    )
    for result, expected, plain, spec in results:
        np.testing.assert_array_equal(result, laid_out(expected, plain, spec))


def test_a_layout_can_be_a_list_or_jaxs_own_type() -> None:
    own = lax.conv_dimension_numbers(X.shape, W.shape, ("NCHW", "OIHW", "NCHW"))
    for spelled in (["NCHW", "OIHW", "NCHW"], own):
        result = tc.conv(X, W, dimension_numbers=spelled, **TWO.keywords)
        np.testing.assert_array_equal(result, tc.conv(X, W, **TWO.keywords))
        gradient = tc.kernel_gradient(X, Y, dimension_numbers=spelled, **GRADIENT)
        np.testing.assert_array_equal(gradient, tc.kernel_gradient(X, Y, **GRADIENT))


@pytest.mark.parametrize("a", FIXED, ids=lambda a: f"{len(a.in_size)}d")
def test_batch_axes_come_and_go(a: Arguments) -> None:
    x, w, y = (jnp.asarray(v) for v in a.arrays())
    sized = {**a.keywords, "output_size": a.in_size}
    there, back = tc.conv(x, w, **a.keywords), tc.conv_transpose(y, w, **sized)
    np.testing.assert_array_equal(tc.conv(x[0], w, **a.keywords), there[0])
    np.testing.assert_array_equal(tc.conv_transpose(y[0], w, **sized), back[0])
    many_x, many_y = jnp.stack([x, x, x])[:, None], jnp.stack([y, y, y])[:, None]
    assert tc.conv(many_x, w, **a.keywords).shape == (3, 1, *there.shape)
    np.testing.assert_array_equal(tc.conv_transpose(many_y, w, **sized)[2, 0], back)
    options = {**a.keywords, "kernel_size": a.kernel_size}
    once = tc.kernel_gradient(x, y, **options)
    np.testing.assert_array_equal(tc.kernel_gradient(many_x, many_y, **options), 3 * once)
    alone = sum(tc.kernel_gradient(x[n], y[n], **options) for n in range(a.batch))
    np.testing.assert_array_equal(alone, once)


def test_batch_axes_lead_channels_last_too() -> None:
    y, w = jnp.moveaxis(Y, 1, -1), jnp.transpose(W, (2, 3, 1, 0))
    options = {**SIZED, "dimension_numbers": ("NHWC", "HWIO", "NHWC")}
    once = tc.conv_transpose(y, w, **options)
    np.testing.assert_array_equal(tc.conv_transpose(y[0], w, **options), once[0])
    np.testing.assert_array_equal(tc.conv_transpose(jnp.stack([y, y]), w, **options)[1], once)


def test_bias_is_added_to_every_element_of_its_channel() -> None:
    bias = jnp.arange(3.0)
    np.testing.assert_array_equal(
        tc.conv(X, W, bias, **TWO.keywords),
        tc.conv(X, W, **TWO.keywords) + bias[None, :, None, None],
    )
    np.testing.assert_array_equal(
        tc.conv_transpose(Y, W, bias[:2], **SIZED),
        tc.conv_transpose(Y, W, **SIZED) + bias[None, :2, None, None],
    )
    last = {**SIZED, "dimension_numbers": ("NHWC", "OIHW", "NCHW")}
    for y in (Y, Y[0]):
        plain = tc.conv_transpose(y, W, **last)
        expected = plain + jnp.broadcast_to(bias[:2], plain.shape)
        np.testing.assert_array_equal(tc.conv_transpose(y, W, bias[:2], **last), expected)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("bfloat16", "float32"), ("float16", "float64"), ("float32", "float64"), ("int8", "int32"),
     ("uint8", "uint64"), ("complex64", "complex128"), ("float32", "float32")],
)  # fmt: skip
@pytest.mark.parametrize("algorithm", tc.ALGORITHMS)
def test_a_wider_result_loses_nothing(given: str, wanted: str, algorithm: str) -> None:
    x, w, y = (jnp.asarray(v).astype(given) for v in TWO.arrays(jnp.dtype(given)))
    wx, ww, wy = (v.astype(wanted) for v in (x, w, y))
    options: dict[str, Any] = {"preferred_element_type": wanted, "algorithm": algorithm}
    for result, exact in (
        (tc.conv(x, w, **TWO.keywords, **options), tc.conv(wx, ww, **TWO.keywords)),
        (tc.conv_transpose(y, w, **SIZED, **options), tc.conv_transpose(wy, ww, **SIZED)),
        (tc.kernel_gradient(x, y, **GRADIENT, **options), tc.kernel_gradient(wx, wy, **GRADIENT)),
    ):
        assert result.dtype == wanted
        np.testing.assert_array_equal(result, exact)


def test_operands_are_promoted_as_jax_promotes() -> None:
    with jax.numpy_dtype_promotion("standard"):
        assert tc.conv(X.astype("float32"), W).dtype == "float64"
        assert (
            tc.conv(
                X.astype("int32"), W.astype("float32"), jnp.ones(3, "float32"), **TWO.keywords
            ).dtype
            == "float32"
        )
    with pytest.raises(ValueError, match="no available implicit dtype promotion path"):
        tc.conv(X.astype("float32"), W, **TWO.keywords)


def test_numpy_arrays_are_taken() -> None:
    expected = tc.conv_transpose(Y, W, **SIZED)
    np.testing.assert_array_equal(
        tc.conv_transpose(np.asarray(Y), np.asarray(W), **SIZED), expected
    )


def test_numbers_of_another_byte_order_are_taken() -> None:
    swapped = np.asarray(Y).astype(">f8")
    np.testing.assert_array_equal(
        tc.conv_transpose(swapped, W, **SIZED), tc.conv_transpose(Y, W, **SIZED)
    )


def test_one_program_for_all_spellings_of_a_dtype() -> None:
    y = jnp.ones((1, 1, 61))
    count: Any = _jitted
    before = count._cache_size()
    for dtype in ("float64", jnp.float64, np.dtype("float64")):
        tc.conv(y, jnp.ones((1, 1, 2)), preferred_element_type=dtype)
    assert count._cache_size() == before + 1


def test_lists_are_taken() -> None:
    """Though not announced by the annotations, which name arrays."""
    listed: Any = np.asarray(Y).tolist()
    expected = tc.conv_transpose(Y, W, **SIZED)
    np.testing.assert_array_equal(tc.conv_transpose(listed, W, **SIZED), expected)


@pytest.mark.parametrize(
    "precision", ["highest", lax.Precision.HIGH, ("default", "highest"), None, "float32"]
)
@pytest.mark.parametrize("algorithm", sorted(tc.ALGORITHMS.keys() - {"taps"}))  # no product
def test_precision_is_passed_on(precision: Any, algorithm: str) -> None:
    result = tc.conv_transpose(Y, W, precision=precision, algorithm=algorithm, **SIZED)
    np.testing.assert_array_equal(result, tc.conv_transpose(Y, W, **SIZED))
    text = (
        jax.jit(
            lambda y: tc.conv_transpose(y, W, precision=precision, algorithm=algorithm, **SIZED)
        )
        .lower(Y)
        .as_text()
    )
    named = {"highest": "HIGHEST", lax.Precision.HIGH: "HIGH", "float32": "HIGHEST"}.get(
        precision if not isinstance(precision, tuple) else "highest", "DEFAULT"
    )
    assert re.search(rf"precision\b[^\n]*\b{named}\b", text) or named == "DEFAULT"


@pytest.mark.parametrize(
    ("x", "w"),
    [
        ((0, 2, 5), (3, 2, 2)),
        ((2, 0, 5), (3, 0, 2)),
        ((2, 2, 5), (0, 2, 2)),
        ((2, 2, 0), (3, 2, 2)),
    ],
)
def test_empty_arrays_give_empty_or_zero_results(x: tuple[int, ...], w: tuple[int, ...]) -> None:
    y = tc.conv(jnp.ones(x), jnp.ones(w))
    assert y.shape == (x[0], w[0], max(x[2] - 1, 0))
    assert not y.any()
    back = tc.conv_transpose(y, jnp.ones(w), output_size=x[2] if x[2] else None)
    assert back.shape[:2] == x[:2]
    assert not back.any()
