"""The numeric matrix of a convolution, and that of any linear function, are what they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from jax.experimental import sparse

import tconvjax as tc
from tconvjax import matrices
from tconvjax.geometry import taps_between
from tconvjax.matrices import places
from tests import oracles
from tests.strategies import FIXED, Arguments, arguments

FORMATS: tuple[Any, ...] = ("csr", "bcoo", "dense")


def dense(matrix: Any) -> Any:
    """A matrix of any format as a NumPy array."""
    return np.asarray(matrix.todense() if hasattr(matrix, "todense") else matrix)


@given(arguments())
def test_the_matrix_is_the_convolution_and_its_transpose_the_transposed(a: Arguments) -> None:
    g, (x, w, y) = a.geometry, a.arrays(np.float64)
    C = matrices.conv_matrix(g, w)
    there, back = C @ x.reshape(a.batch, -1).T, C.T @ y.reshape(a.batch, -1).T
    np.testing.assert_array_equal(there.T.reshape(a.y_shape), oracles.conv(a, x, w))
    np.testing.assert_array_equal(back.T.reshape(a.x_shape), oracles.conv_transpose(a, y, w))
    shapes = (g.out_shape, g.in_shape, g.kernel_shape)
    wanted = sorted(
        tuple(int(np.ravel_multi_index(i, s)) for i, s in zip(link, shapes, strict=True))
        for link in tc.links(g)
    )
    assert sorted(zip(*(map(int, part) for part in places(g)), strict=True)) == wanted


@pytest.mark.parametrize("a", FIXED)
def test_the_formats_agree_and_so_does_probing_the_functions(a: Arguments) -> None:
    _, w, _ = a.arrays(np.float32)
    csr, bcoo, plain = (matrices.conv_matrix(a.geometry, w, f) for f in FORMATS)
    assert isinstance(csr, scipy.sparse.csr_array)
    assert csr.has_canonical_format
    assert isinstance(bcoo, sparse.BCOO)
    assert isinstance(plain, np.ndarray)
    assert csr.dtype == bcoo.dtype == plain.dtype == np.float32
    np.testing.assert_array_equal(dense(csr), plain)
    swapped = matrices.conv_matrix(a.geometry, w.astype(">f4"))  # SciPy takes native numbers only
    np.testing.assert_array_equal(dense(swapped), plain)
    np.testing.assert_array_equal(dense(bcoo), plain)
    keywords = {**a.keywords, "output_size": a.in_size}
    there = matrices.matrix_of(lambda x: tc.conv(x, w, **a.keywords), a.x_shape[1:])
    back = matrices.matrix_of(lambda y: tc.conv_transpose(y, w, **keywords), a.y_shape[1:])
    np.testing.assert_array_equal(there, plain)
    np.testing.assert_array_equal(back, plain.T)


@given(arguments(), st.sampled_from(["bcoo", "dense"]))
def test_the_matrix_of_a_traced_kernel_is_the_matrix_and_has_its_gradient(
    a: Arguments, name: Any
) -> None:
    """Of the whole family, borders that copy an element included."""
    g, (x, w, y) = a.geometry, a.arrays(np.float32)
    plain = matrices.conv_matrix(g, w, "dense")
    np.testing.assert_array_equal(dense(jax.jit(lambda w: conv_matrix(g, w, name))(w)), plain)
    loss = jax.grad(lambda w: y[0].ravel() @ (conv_matrix(g, w, name) @ x[0].ravel()))
    np.testing.assert_array_equal(jax.jit(loss)(w), oracles.kernel_gradient(a, x[:1], y[:1]))


def test_the_matrix_of_a_function_takes_an_example_of_its_argument() -> None:
    wanted = np.diag([2, 2, 2])
    for example in (np.ones((3, 1), np.int16), jnp.ones((3, 1), jnp.int16),
                    jax.ShapeDtypeStruct((3, 1), jnp.int16)):  # fmt: skip
        found = matrices.matrix_of(lambda x: x + x, example)
        assert found.dtype == np.int16
        np.testing.assert_array_equal(found, wanted)
    assert matrices.matrix_of(lambda x: 2 * x, jax.ShapeDtypeStruct((), jnp.float32)) == [[2]]


@pytest.mark.parametrize("name", FORMATS)
def test_a_matrix_of_many_columns_is_read_in_parts(name: Any) -> None:
    """8000 probes of 8000 elements each are more than are made at once."""
    wanted = jnp.asarray(np.random.default_rng(0).integers(-4, 5, (2, 8000)), jnp.float32)
    found = matrices.matrix_of(lambda x: wanted @ x, (8000,), format=name)
    np.testing.assert_array_equal(dense(found), wanted)


def test_layers_of_any_shape_have_a_matrix() -> None:
    found = matrices.matrix_of(lambda x: x.sum(0)[None] * 2j, (2, 3), jnp.complex64)
    np.testing.assert_array_equal(found, 2j * np.tile(np.eye(3), 2))
    assert matrices.matrix_of(lambda x: 1j * x, (), jnp.complex64).tolist() == [[1j]]
    assert matrices.matrix_of(lambda x: x[:0], (3,)).shape == (0, 3)
    assert matrices.matrix_of(lambda x: jnp.zeros(4), (0,)).shape == (4, 0)


def geometry(size: int, taps: int = 1, **steps: Any) -> tc.Geometry:
    """Of one axis and one channel."""
    return tc.Geometry.of_conv((1, size), (1, 1, taps), **steps)


G, W = geometry(5, 3), np.ones((1, 1, 3))
BIG = tc.Geometry.of_conv((3, 4096, 4096), (8, 3, 3, 3))
conv_matrix: Any = matrices.conv_matrix
matrix_of: Any = matrices.matrix_of
WRONG: dict[str, Callable[[], Any]] = {
    "SciPy's matrices hold no traced numbers": lambda: jax.jit(lambda w: conv_matrix(G, w))(W),
    "the geometry's kernel has shape": lambda: jax.jit(lambda w: conv_matrix(G, w[0], "bcoo"))(W),
    "reshape it": lambda: conv_matrix(G, W[0]),
    "say to float32": lambda: conv_matrix(G, jnp.ones((1, 1, 3), jnp.bfloat16)),
    "the choices are csr, bcoo, dense": lambda: conv_matrix(G, W, "coo"),
    "which need no matrix": lambda: conv_matrix(BIG, np.ones(BIG.kernel_shape)),
    "use format='csr'": lambda: conv_matrix(BIG, np.ones(BIG.kernel_shape), "dense"),
    "leave out its bias": lambda: matrix_of(lambda x: x + 1, (3,)),
    "must be one array": lambda: matrix_of(lambda x: (x, x), (3,)),
    "is the limit": lambda: matrix_of(lambda x: x, (10**5,)),
    "jax.linear_transpose(fn, x) themselves": lambda: matrix_of(lambda x: x.sum(), (10**6,)),
    "give an array": lambda: conv_matrix(G, [[[1, 2], [3]]]),
    "geometry=NoneType object: it must be a Geometry": lambda: conv_matrix(None, W),
    "as in kernel.filled(0)": lambda: conv_matrix(G, np.ma.masked_array(W, W > 0)),
    "kernel=array of bool": lambda: conv_matrix(G, W > 0),
    "format 'csr' cannot hold float16": lambda: conv_matrix(G, W.astype(np.float16)),
    "format 'csr' cannot hold bfloat16": lambda: matrix_of(lambda x: x, (3,), jnp.bfloat16, "csr"),
    "fn=NoneType: it must be a function": lambda: matrix_of(None, (3,)),
    "shape=('ab',): it must be one whole number per axis": lambda: matrix_of(jnp.sin, "ab"),
    "shape=(-1,): it must be at least 0": lambda: matrix_of(jnp.sin, (-1,)),
    "shape=2.5: it must be a whole number": lambda: matrix_of(jnp.sin, (2.5,)),
    "dtype='float99'": lambda: matrix_of(jnp.sin, (3,), "float99"),
    "dtype=None": lambda: matrix_of(jnp.sin, (3,), None),
    "dtype=<class 'str'>: it must be a JAX dtype": lambda: matrix_of(jnp.sin, (3,), str),
    "for floats 16 or more": lambda: matrix_of(lambda x: x, (3,), jnp.int4),
    "rows are the limit": lambda: conv_matrix(geometry(1, padding=10**9), W[..., :1]),
    "64-bit numbers cannot count": lambda: places(geometry(10**30, stride=10**29)),
    "its matrix has more than 33554432 entries": lambda: conv_matrix(geometry(8 * 10**7, 3), W),
}


def test_what_cannot_be_is_refused() -> None:
    for words, ask in WRONG.items():
        with pytest.raises(tc.GeometryError) as error:
            ask()
        assert words in str(error.value)


NOT_LINEAR: dict[Any, tuple[Callable[[Any], Any], ...]] = {
    jnp.float32: (
        jnp.round, jnp.sqrt, jnp.sin, lambda x: jnp.max(x, keepdims=True),
        lambda x: jnp.clip(x, -50, 50), lambda x: jnp.clip(x, -1e5, 1e5),
        lambda x: jnp.where(x > 0, x, 0.999 * x), lambda x: x + 1e-3 * x**2,
    ),
    jnp.complex64: (jnp.conj, jnp.real),
    jnp.int32: (lambda x: x // 2, lambda x: jnp.clip(x, -50, 50)),
    jnp.uint8: (lambda x: x // 2,),
}  # fmt: skip


@pytest.mark.parametrize("dtype", NOT_LINEAR)
def test_a_function_that_is_not_linear_has_no_matrix(dtype: Any) -> None:
    for function in NOT_LINEAR[dtype]:
        with pytest.raises(tc.GeometryError, match="it must be linear; take the matrix of its der"):
            matrices.matrix_of(function, (3,), dtype)


def test_rounding_and_overflow_make_no_function_less_linear() -> None:
    ramp = np.arange(64, dtype=np.float32)
    functions: list[Callable[[Any], Any]] = [
        lambda x: jnp.fft.irfft(jnp.fft.rfft(x) * jnp.fft.rfft(ramp)),
        lambda x: jnp.cumsum(x - x.mean()),
        lambda x: x * np.float32(1e-35),
        lambda x: x * np.float32(1e35),
        lambda x: jnp.cumsum(x.astype(jnp.bfloat16)).astype(jnp.float32),
    ]
    for function in functions:
        assert matrices.matrix_of(function, (64,)).shape == (64, 64)
    assert matrices.matrix_of(lambda x: 100 * x, (2,), jnp.int8).tolist() == [[100, 0], [0, 100]]


def test_bcoo_keeps_the_numbers_or_says_why_not() -> None:
    with jax.enable_x64(False):
        for kernel in ([[[2**40, 1, 1]]], [[[1e308, 1, 1]]], [[[1 / 3, 1, 1]]]):
            with pytest.raises(tc.GeometryError, match="64-bit numbers are switched off in JAX"):
                matrices.conv_matrix(G, np.array(kernel), "bcoo")
            assert matrices.conv_matrix(G, np.array(kernel))[0, 0] == kernel[0][0][0]
        assert matrices.conv_matrix(G, np.ones((1, 1, 3)), "bcoo").dtype == np.float32
        with pytest.raises(tc.GeometryError, match="dtype='float64': 64-bit numbers are switched"):
            matrices.matrix_of(lambda x: x, (3,), np.float64)
        assert matrices.matrix_of(lambda x: x, (3,), float).dtype == np.float32
    found = matrices.conv_matrix(G, np.array([[[2**40, 1, 1]]]), "bcoo")
    assert found.dtype == np.int64
    assert int(found.todense()[0, 0]) == 2**40


@pytest.mark.parametrize("name", ["bcoo", "dense"])
def test_half_precision_has_the_matrices_that_can_hold_it(name: Any) -> None:
    g = tc.Geometry.of_conv((1, 2), (1, 1, 3), padding=1, padding_mode="replicate")
    kernel = np.array([[[1, 0.1, 2]]], np.float16)
    wanted = dense(matrices.conv_matrix(g, kernel.astype(np.float32))).astype(np.float16)
    found = dense(matrices.conv_matrix(g, kernel, name))
    assert found.dtype == np.float16
    np.testing.assert_array_equal(found, wanted)


def test_products_are_counted_before_they_are_made() -> None:
    """A size costs nothing that no product meets."""
    assert len(places(geometry(10**12, stride=10**10))[0]) == 100
    wide = geometry(7, 10**6, padding=10**6, stride=10**5)
    found = {tuple(map(int, place)) for place in zip(*places(wide), strict=True)}
    wanted = {(i, j, t) for i in range(wide.out_size[0]) for j in range(7)
              for *_, t in taps_between(wide, (0, i), (0, j))}  # fmt: skip
    assert found == wanted


@pytest.mark.parametrize("form", ["csr", "bcoo"])
def test_a_large_image_is_no_matter_and_bcoo_serves_inside_jit(form: Any) -> None:
    """C of a 512x512 image has 2**36 places, and C.T y is the transposed convolution."""
    g = tc.Geometry.of_conv((1, 512, 512), (1, 1, 3, 3), padding=1)
    rng = np.random.default_rng(0)
    w, y = (
        rng.integers(-4, 5, shape).astype(np.float32) for shape in (g.kernel_shape, g.out_shape)
    )
    run = jax.jit(lambda c, y: c.T @ y) if form == "bcoo" else lambda c, y: c.T @ y
    back = np.asarray(run(matrices.conv_matrix(g, w, form), y.ravel())).reshape(g.in_shape)
    np.testing.assert_array_equal(back, tc.conv_transpose(y, w, padding=1))
