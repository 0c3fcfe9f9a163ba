"""Each partial, by each algorithm, is the sum that defines it."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given

import tconvjax as tc
from tests import oracles
from tests.strategies import ANY_MODE, FIXED, Arguments, arguments

NAMES = ("auto", *tc.ALGORITHMS)


def all_partials(
    a: Arguments, x: Any, w: Any, y: Any, names: tuple[str, ...] = NAMES
) -> dict[str, Any]:
    """Every partial by every algorithm, compiled as one program."""
    sized = {**a.keywords, "output_size": a.in_size}
    gradient = {**a.keywords, "kernel_size": a.kernel_size}

    def program(x: Any, w: Any, y: Any) -> dict[str, Any]:
        return {
            name: (
                tc.conv(x, w, algorithm=name, **a.keywords),
                tc.conv_transpose(y, w, algorithm=name, **sized),
                tc.kernel_gradient(x, y, algorithm=name, **gradient),
            )
            for name in names
        }

    return dict(jax.jit(program)(x, w, y))


def assert_defined(a: Arguments, dtype: Any, names: tuple[str, ...] = NAMES) -> None:
    """Values equal the loops to the last bit: sums of small whole numbers round nowhere."""
    x, w, y = a.arrays(dtype)
    expected = (
        oracles.conv(a, x, w),
        oracles.conv_transpose(a, y, w),
        oracles.kernel_gradient(a, x, y),
    )
    for name, results in all_partials(a, x, w, y, names).items():
        for result, wanted in zip(results, expected, strict=True):
            assert result.dtype == dtype, name
            np.testing.assert_array_equal(result, wanted, err_msg=name)


@given(arguments())
def test_every_algorithm_computes_the_definition(a: Arguments) -> None:
    assert_defined(a, np.float64)


@given(arguments(ranks=(1, 2), modes=ANY_MODE))
def test_every_padding_mode_is_the_definition_and_its_exact_transpose(a: Arguments) -> None:
    assert_defined(a, np.float64, ("auto",))


@pytest.mark.parametrize("mode", ANY_MODE)
def test_padding_may_wrap_round_more_than_once(mode: Any) -> None:
    assert_defined(Arguments(1, 1, 2, (3,), (3,), (2,), ((7, 8),), (2,), 1, mode), np.float64)
    assert_defined(
        Arguments(1, 1, 1, (1, 2), (2, 2), (1, 1), ((2, 1), (0, 3)), (1, 1), 1, mode), np.float64
    )


@pytest.mark.parametrize("a", FIXED, ids=lambda a: f"{len(a.in_size)}d")
@pytest.mark.parametrize("dtype", ["int8", "int32", "int64", "uint8", "uint64", "complex128"])
def test_other_numbers_are_exact(a: Arguments, dtype: str) -> None:
    assert_defined(a, np.dtype(dtype))


def test_four_spatial_axes() -> None:
    a = Arguments(
        1,
        2,
        2,
        (3, 2, 3, 2),
        (2, 1, 2, 2),
        (1, 2, 2, 1),
        ((0, 1), (1, 0), (0, 0), (1, 1)),
        (1,) * 4,
        1,
    )
    assert_defined(a, np.float64, ("auto", "patches"))


def test_integers_overflow_as_numpy_does() -> None:
    a = FIXED[0]
    x, w, y = (v * 31 for v in a.arrays(np.int8))
    with np.errstate(over="ignore"):
        expected = (
            oracles.conv(a, x, w),
            oracles.conv_transpose(a, y, w),
            oracles.kernel_gradient(a, x, y),
        )
    for name, results in all_partials(a, x, w, y).items():
        for result, wanted in zip(results, expected, strict=True):
            np.testing.assert_array_equal(result, wanted, err_msg=name)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64"])
@pytest.mark.parametrize("a", FIXED, ids=lambda a: f"{len(a.in_size)}d")
def test_narrow_floats_round_once(a: Arguments, dtype: str) -> None:
    """Sums are kept in float32 or wider: the error is that of rounding the exact result once."""
    rng = np.random.default_rng(3)
    wide = np.complex128 if dtype.startswith("complex") else np.float64
    x, w, y = (np.asarray(rng.normal(size=s), wide) for s in (a.x_shape, a.w_shape, a.y_shape))
    if wide is np.complex128:
        x, w, y = x * (1 + 2j), w * (2 - 1j), y * 1j
    narrow = tuple(jax.numpy.asarray(v).astype(dtype) for v in (x, w, y))
    x, w, y = (np.asarray(v).astype(wide) for v in narrow)
    expected = (
        oracles.conv(a, x, w),
        oracles.conv_transpose(a, y, w),
        oracles.kernel_gradient(a, x, y),
    )
    sizes = (oracles.conv(a, abs(x), abs(w)), oracles.conv_transpose(a, abs(y), abs(w)),
             oracles.kernel_gradient(a, abs(x), abs(y)))  # fmt: skip
    once = float(jax.numpy.finfo(dtype).eps) / 2 if dtype in ("float16", "bfloat16") else 0.0
    for name, results in all_partials(a, narrow[0], narrow[1], narrow[2]).items():
        for result, wanted, size in zip(results, expected, sizes, strict=True):
            assert result.dtype == dtype
            allowed = once * abs(wanted) * 1.01 + 32 * np.finfo(np.float32).eps * abs(size)
            assert np.all(abs(np.asarray(result).astype(wide) - wanted) <= allowed), name


@pytest.mark.parametrize("mode", ["circular", "reflect"])
def test_borders_are_folded_in_float32(mode: Any) -> None:
    """40000 + 40000 - 40000 overflows float16 on its way unless it is summed wider."""
    y = jax.numpy.asarray([[[40000.0, 40000.0, -40000.0]]], "float16")
    w = jax.numpy.ones((1, 1, 3), "float16")
    options: dict[str, Any] = {"padding": 1, "padding_mode": mode}
    wide = tc.conv_transpose(y.astype("float32"), w.astype("float32"), **options)
    np.testing.assert_array_equal(tc.conv_transpose(y, w, **options), wide.astype("float16"))


def test_a_wrong_sum_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """The oracle is no mirror: a fault planted in a tap's place makes the law fail."""
    right = oracles._meetings
    monkeypatch.setattr(oracles, "_meetings", lambda a, out: list(right(a, out))[1:])
    with pytest.raises(AssertionError):
        assert_defined(FIXED[0], np.float64)
