"""The numeric matrix of a convolution, and that of any linear function, are what they stand for."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from jax.experimental import sparse

import tconvjax as tc
from tconvjax import matrices, symbolic
from tests import oracles
from tests.strategies import FIXED, Arguments, arguments

FORMATS = ("csr", "bcoo", "dense")


def dense(matrix: Any) -> Any:
    """A matrix of any format as a NumPy array."""
    return np.asarray(matrix.todense() if not isinstance(matrix, np.ndarray) else matrix)


@given(arguments())
def test_the_matrix_is_the_convolution_and_its_transpose_the_transposed(a: Arguments) -> None:
    x, w, y = a.arrays(np.float64)
    C = matrices.conv_matrix(a.geometry, w)
    columns = x.reshape(a.batch, -1).T, y.reshape(a.batch, -1).T
    np.testing.assert_array_equal((C @ columns[0]).T, oracles.conv(a, x, w).reshape(a.batch, -1))
    np.testing.assert_array_equal(
        (C.T @ columns[1]).T, oracles.conv_transpose(a, y, w).reshape(a.batch, -1)
    )


@given(arguments())
def test_the_matrix_in_numbers_is_the_matrix_in_symbols(a: Arguments) -> None:
    _, w, _ = a.arrays(np.int64)
    C = symbolic.conv_matrix(a.geometry, w)
    wanted = np.array(C.tolist(), np.int64).reshape(C.shape)
    np.testing.assert_array_equal(dense(matrices.conv_matrix(a.geometry, w)), wanted)


@pytest.mark.parametrize("a", FIXED)
def test_the_formats_agree(a: Arguments) -> None:
    _, w, _ = a.arrays(np.float32)
    csr, bcoo, plain = (matrices.conv_matrix(a.geometry, w, f) for f in FORMATS)  # type: ignore[call-overload]
    assert isinstance(csr, scipy.sparse.csr_array)
    assert csr.has_canonical_format
    assert isinstance(bcoo, sparse.BCOO)
    assert isinstance(plain, np.ndarray)
    assert csr.dtype == bcoo.dtype == plain.dtype == np.float32
    np.testing.assert_array_equal(dense(csr), plain)
    np.testing.assert_array_equal(dense(bcoo), plain)


@given(arguments())
def test_places_are_the_links(a: Arguments) -> None:
    g = a.geometry
    shapes = (g.out_shape, g.in_shape, g.kernel_shape)
    wanted = sorted(
        tuple(int(np.ravel_multi_index(i, s)) for i, s in zip(link, shapes, strict=True))
        for link in tc.links(g)
    )
    found = np.stack(matrices.places(g), axis=1)
    assert sorted(map(tuple, found.tolist())) == wanted


@given(arguments())
def test_probing_the_functions_finds_the_matrix_and_its_transpose(a: Arguments) -> None:
    _, w, _ = a.arrays(np.float32)
    C = matrices.conv_matrix(a.geometry, w, "dense")
    forward = lambda x: tc.conv(x, w, **a.keywords)  # noqa: E731
    backward = lambda y: tc.conv_transpose(  # noqa: E731
        y, w, output_size=a.in_size, **a.keywords
    )
    np.testing.assert_array_equal(matrices.matrix_of(forward, a.x_shape[1:]), C)
    np.testing.assert_array_equal(matrices.matrix_of(backward, a.y_shape[1:]), C.T)


@pytest.mark.parametrize("chunk", [1, 40, 2**24])
def test_batches_make_no_difference(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matrices, "CHUNK", chunk)
    wanted = jnp.asarray(np.random.default_rng(0).integers(-4, 5, (5, 7)), jnp.float32)
    for name in FORMATS:
        found = matrices.matrix_of(lambda x: wanted @ x, (7,), format=name)  # type: ignore[arg-type]
        np.testing.assert_array_equal(dense(found), wanted)


def test_layers_of_any_shape_have_a_matrix() -> None:
    found = matrices.matrix_of(lambda x: x.sum(0)[None] * 2j, (2, 3), jnp.complex64)
    np.testing.assert_array_equal(found, 2j * np.tile(np.eye(3), 2))
    assert matrices.matrix_of(lambda x: 1j * x, (), jnp.complex64).tolist() == [[1j]]
    assert matrices.matrix_of(lambda x: x[:0], (3,)).shape == (0, 3)
    assert matrices.matrix_of(lambda x: jnp.zeros(4), (0,)).shape == (4, 0)


def wrong_calls() -> dict[str, Any]:
    """Calls that cannot be, with what the message must say."""
    g = tc.Geometry.of_conv((1, 5), (1, 1, 3))
    big = tc.Geometry.of_conv((3, 4096, 4096), (8, 3, 3, 3))
    w = np.ones((1, 1, 3))
    return {
        "reshape it": lambda: matrices.conv_matrix(g, w[0]),
        "say to float32": lambda: matrices.conv_matrix(g, jnp.ones((1, 1, 3), jnp.bfloat16)),
        "the formats are csr, bcoo and dense": lambda: matrices.conv_matrix(g, w, "coo"),  # type: ignore[call-overload]
        "which need no matrix": lambda: matrices.conv_matrix(big, np.ones(big.kernel_shape)),
        "take format='csr'": lambda: matrices.conv_matrix(big, np.ones(big.kernel_shape), "dense"),
        "leave out its bias": lambda: matrices.matrix_of(lambda x: x + 1, (3,)),
        "the matrix of its derivative": lambda: matrices.matrix_of(lambda x: x**2, (3,)),
        "must be one array": lambda: matrices.matrix_of(lambda x: (x, x), (3,)),  # type: ignore[arg-type, return-value]
        "is the limit": lambda: matrices.matrix_of(lambda x: x, (10**5,)),
        "jax.linear_transpose(fn, x) themselves": lambda: matrices.matrix_of(
            lambda x: x.sum(), (10**6,)
        ),
        "give an array": lambda: matrices.conv_matrix(g, [[[1, 2], [3]]]),
        "geometry=NoneType: it must be a Geometry": lambda: matrices.conv_matrix(None, w),  # type: ignore[call-overload]
        "geometry=int: it must be a Geometry": lambda: matrices.places(5),  # type: ignore[arg-type]
        "as in kernel.filled(0)": lambda: matrices.conv_matrix(
            g, np.ma.masked_array(w, [[[True, False, False]]])
        ),
        "kernel=array of bool": lambda: matrices.conv_matrix(g, w > 0),
        "no sparse matrices of float16": lambda: matrices.conv_matrix(g, w.astype(np.float16)),
        "no sparse matrices of bfloat16": lambda: matrices.matrix_of(
            lambda x: x, (3,), jnp.bfloat16, "csr"
        ),
        "give a function or a layer": lambda: matrices.matrix_of(None, (3,)),  # type: ignore[arg-type]
        "shape=3: it must be one whole number an axis": lambda: matrices.matrix_of(jnp.sin, 3),  # type: ignore[arg-type]
        "shape=None": lambda: matrices.matrix_of(jnp.sin, None),  # type: ignore[arg-type]
        "shape=(-1,): it must be at least 0": lambda: matrices.matrix_of(jnp.sin, (-1,)),
        "it must be a whole number": lambda: matrices.matrix_of(jnp.sin, (2.5,)),  # type: ignore[arg-type]
        "dtype='float99'": lambda: matrices.matrix_of(jnp.sin, (3,), "float99"),
        "dtype=None": lambda: matrices.matrix_of(jnp.sin, (3,), None),
        "a linear function takes numbers": lambda: matrices.matrix_of(jnp.sin, (3,), str),
        "dtype='int4'": lambda: matrices.matrix_of(lambda x: x, (3,), jnp.int4),
        "rows are the limit": lambda: matrices.conv_matrix(
            tc.Geometry.of_conv((1, 1), (1, 1, 1), padding=10**9), w[..., :1]
        ),
        "no room in 64 bits": lambda: matrices.places(
            tc.Geometry.of_conv((1, 10**30), (1, 1, 1), stride=10**29)
        ),
        "239999994 entries": lambda: matrices.conv_matrix(
            tc.Geometry.of_conv((1, 8 * 10**7), (1, 1, 3)), w
        ),
    }


@pytest.mark.parametrize("words", wrong_calls())
def test_what_cannot_be_is_refused(words: str) -> None:
    with pytest.raises(tc.GeometryError) as error:
        wrong_calls()[words]()
    assert words in str(error.value)


NOT_LINEAR: dict[str, Any] = {
    "sort": jnp.sort,
    "max": lambda x: jnp.max(x, keepdims=True),
    "round": jnp.round,
    "trunc": jnp.trunc,
    "clip": lambda x: jnp.clip(x, -50, 50),
    "clip far out": lambda x: jnp.clip(x, -1e5, 1e5),
    "abs": jnp.abs,
    "almost the identity": lambda x: jnp.where(x > 0, x, 0.999 * x),
    "a weak square": lambda x: x + 1e-3 * x**2,
    "sqrt": jnp.sqrt,
    "sinh": jnp.sinh,
    "sin": jnp.sin,
}


@pytest.mark.parametrize("name", NOT_LINEAR)
def test_a_function_that_is_not_linear_has_no_matrix(name: str) -> None:
    with pytest.raises(tc.GeometryError, match="it must be linear; take the matrix of its deriv"):
        matrices.matrix_of(NOT_LINEAR[name], (3,))


def test_linear_means_for_integers_and_complex_numbers_too() -> None:
    for function, dtype in ((jnp.conj, jnp.complex64), (jnp.real, jnp.complex64),
                            (lambda x: x // 2, jnp.int32), (lambda x: x // 2, jnp.uint8),
                            (lambda x: jnp.clip(x, -50, 50), jnp.int32)):  # fmt: skip
        with pytest.raises(tc.GeometryError, match="it must be linear"):
            matrices.matrix_of(function, (3,), dtype)
    assert matrices.matrix_of(lambda x: 100 * x, (2,), jnp.int8).tolist() == [[100, 0], [0, 100]]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: jnp.fft.irfft(jnp.fft.rfft(x) * jnp.fft.rfft(jnp.arange(64, dtype=jnp.float32))),
        lambda x: jnp.cumsum(x - x.mean()),
        lambda x: x * np.float32(1e-35),
        lambda x: x * np.float32(1e35),
        lambda x: jnp.cumsum(x.astype(jnp.bfloat16)).astype(jnp.float32),
    ],
    ids=["a Fourier transform", "a running sum", "tiny", "huge", "mixed precision"],
)
def test_rounding_makes_no_function_less_linear(function: Any) -> None:
    assert matrices.matrix_of(function, (64,)).shape == (64, 64)


def test_bcoo_keeps_the_numbers_or_says_why_not() -> None:
    g = tc.Geometry.of_conv((1, 5), (1, 1, 3))
    with jax.enable_x64(False):
        for kernel in ([[[2**40, 1, 1]]], [[[1e308, 1, 1]]], [[[1 / 3, 1, 1]]]):
            with pytest.raises(tc.GeometryError, match="64-bit numbers are switched off in JAX"):
                matrices.conv_matrix(g, np.array(kernel), "bcoo")
            assert matrices.conv_matrix(g, np.array(kernel))[0, 0] == kernel[0][0][0]
        assert matrices.conv_matrix(g, np.ones((1, 1, 3)), "bcoo").dtype == np.float32
        with pytest.raises(tc.GeometryError, match="dtype='float64': 64-bit numbers are switched"):
            matrices.matrix_of(lambda x: x, (3,), np.float64)
        assert matrices.matrix_of(lambda x: x, (3,), float).dtype == np.float32
    with jax.enable_x64(True):
        found = matrices.conv_matrix(g, np.array([[[2**40, 1, 1]]]), "bcoo")
        assert found.dtype == np.int64
        assert int(found.todense()[0, 0]) == 2**40


def test_half_precision_has_the_matrices_that_can_hold_it() -> None:
    g = tc.Geometry.of_conv((1, 2), (1, 1, 3), padding=1, padding_mode="replicate")
    kernel = np.array([[[1, 0.1, 2]]], np.float16)
    wanted = dense(matrices.conv_matrix(g, kernel.astype(np.float32))).astype(np.float16)
    names: tuple[Any, ...] = ("bcoo", "dense")
    for name in names:
        found = matrices.conv_matrix(g, kernel, name)
        assert found.dtype == np.float16
        np.testing.assert_array_equal(dense(found), wanted)


def test_products_are_counted_before_they_are_made() -> None:
    """A size costs nothing that no product meets."""
    for size, stride, padding in ((10**12, 10**10, 0), (1, 1, 10**9)):
        g = tc.Geometry.of_conv((1, size), (1, 1, 1), stride=stride, padding=padding)
        found = np.stack(matrices.places(g), axis=1).tolist()
        assert len(found) == (100 if g.in_size[0] > 1 else 1)
    wide = tc.Geometry.of_conv((1, 7), (1, 1, 10**6), padding=10**6, stride=10**5)
    places = {tuple(map(int, place)) for place in zip(*matrices.places(wide), strict=True)}
    wanted = {(i, j, t) for i in range(wide.out_size[0]) for j in range(7)
              for t in wide.axes[0].taps_between(i, j)}  # fmt: skip
    assert places == wanted


def test_a_matrix_serves_inside_jit() -> None:
    """BCOO is made for it: C.T @ y under jit is the transposed convolution."""
    g = tc.Geometry.of_conv_transpose((2, 5, 5), (2, 3, 4, 4), stride=2, padding=1)
    w = np.random.default_rng(0).integers(-4, 5, g.kernel_shape).astype(np.float32)
    y = np.random.default_rng(1).integers(-4, 5, (1, *g.out_shape)).astype(np.float32)
    C = matrices.conv_matrix(g, w, "bcoo")
    x = jax.jit(lambda C, y: C.T @ y.ravel())(C, y).reshape(1, *g.in_shape)
    np.testing.assert_array_equal(x, tc.conv_transpose(y, w, stride=2, padding=1))


@pytest.mark.parametrize("form", ["csr", "bcoo"])
def test_a_million_pixels_are_no_matter(form: Any) -> None:
    """C of a 1024x1024 image, and C.T y beside conv_transpose; some seconds in all."""
    g = tc.Geometry.of_conv((1, 1024, 1024), (1, 1, 3, 3), padding=1)
    rng = np.random.default_rng(0)
    w, y = (
        rng.integers(-4, 5, shape).astype(np.float32) for shape in (g.kernel_shape, g.out_shape)
    )
    c = matrices.conv_matrix(g, w, form)
    back = np.asarray(c.T @ y.ravel()).reshape(g.in_shape)
    np.testing.assert_array_equal(back, tc.conv_transpose(y, w, padding=1))
