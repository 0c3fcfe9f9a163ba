"""sum(conv(x) * y) = sum(x * conv_transpose(y)): the law, and the function that checks it."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given

import tconvjax as tc
from tconvjax.layouts import layout
from tconvjax.reference import convolve
from tests import oracles
from tests.reading import read
from tests.strategies import ANY_MODE, FIXED, Arguments, arguments


@given(arguments(ranks=(1, 2), modes=ANY_MODE))
def test_it_is_the_vjp_of_the_jitted_convolution(a: Arguments) -> None:
    _, w, y = a.arrays()
    specs = layout(None, len(a.in_size))

    def transposed(y: jax.Array, w: jax.Array) -> jax.Array:
        x = jnp.zeros(a.x_shape, y.dtype)
        _, vjp = jax.vjp(lambda x: convolve(x, w, a.geometry, specs), x)
        return vjp(y)[0]

    reference = read(transposed, y, w)
    sized = {**a.keywords, "output_size": a.in_size}
    for result in oracles.ways(lambda y, w: tc.conv_transpose(y, w, **sized), y, w):
        np.testing.assert_array_equal(result, reference)


@pytest.mark.parametrize("dtype", ["float16", "float32", "complex64", "int32"])
def test_assert_adjoint_takes_all_three_partials(dtype: str) -> None:
    a = FIXED[0]
    x, w, y = (jnp.asarray(v) for v in a.arrays(jnp.dtype(dtype), seed=5))
    options = a.keywords
    tc.assert_adjoint(
        lambda x: tc.conv(x, w, **options),
        lambda y: tc.conv_transpose(y, w, output_size=a.in_size, **options),
        x, y,
    )  # fmt: skip
    tc.assert_adjoint(
        lambda w: tc.conv(x, w, **options),
        lambda y: tc.kernel_gradient(x, y, kernel_size=a.kernel_size, **options),
        w, y,
    )  # fmt: skip


def test_the_reference_is_jitted() -> None:
    x, w, _ = (jnp.asarray(v) for v in FIXED[0].arrays())
    program = jax.make_jaxpr(lambda x: convolve(x, w, FIXED[0].geometry, layout(None, 1)))(x)
    assert [equation.params["name"] for equation in program.eqns] == ["convolve"]


def test_complex_kernels_are_not_conjugated() -> None:
    y, w = jnp.asarray([[[1j]]]), jnp.asarray([[[2j, 3.0 + 0j]]])
    np.testing.assert_array_equal(tc.conv_transpose(y, w), [[[-2, 3j]]])


def test_assert_adjoint_sees_a_flipped_kernel() -> None:
    x, w, y = (jnp.asarray(v) for v in FIXED[0].arrays())
    options = FIXED[0].keywords
    with pytest.raises(AssertionError, match=r"not adjoint: sum\(f\(x\) \* y\) = "):
        tc.assert_adjoint(
            lambda x: tc.conv(x, w, **options),
            lambda y: tc.conv_transpose(y, w[..., ::-1], output_size=9, **options),
            x, y,
        )  # fmt: skip


def test_assert_adjoint_sees_a_wrong_shape() -> None:
    x, w, y = (jnp.asarray(v) for v in FIXED[0].arrays())
    with pytest.raises(AssertionError, match="the shapes must go there and back"):
        tc.assert_adjoint(lambda x: tc.conv(x, w, groups=2), lambda y: y, x, y)


def test_assert_adjoint_takes_a_tolerance_and_no_nan() -> None:
    x = jnp.ones(3)
    tc.assert_adjoint(lambda x: x, lambda y: y * 1.01, x, x, rtol=0.02)
    with pytest.raises(AssertionError, match="more than"):
        tc.assert_adjoint(lambda x: x, lambda y: y * 1.01, x, x, rtol=0.001)
    with pytest.raises(AssertionError, match="not adjoint"):
        tc.assert_adjoint(lambda x: x, lambda y: y * jnp.nan, x, x)
