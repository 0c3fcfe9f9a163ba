"""Upsampling: interpolation, pooling, rearrangement, initialisers, checkerboards, deconvolution.

Each is held to its definition, written in NumPy here, and to what it is the transpose of.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import tconvjax as tc
from tconvjax import Geometry, symbolic
from tconvjax import upsampling as up
from tconvjax.upsampling.interpolation import METHODS
from tests import oracles
from tests.oracles import assert_refused, shipped, ways
from tests.reading import read
from tests.strategies import FIXED, Arguments, arguments

up_any: Any = up  # wrong types are the point


def normal(*shape: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).normal(size=shape)


def along(x: Any, axis: int, matrix: Any) -> Any:
    """The vectors of one axis times a matrix (n, m)."""
    return np.moveaxis(np.tensordot(x, matrix, (axis, 0)), -1, axis)


# -- interpolation ---------------------------------------------------------------------------------


def keys(d: float, a: float) -> float:
    """The cubic convolution of R. Keys, as he writes it."""
    if d < 1:
        return (a + 2) * d**3 - (a + 3) * d**2 + 1
    return a * d**3 - 5 * a * d**2 + 8 * a * d - 4 * a if d < 2 else 0


def lanczos(d: float, reach: int) -> float:
    """A sinc whose window is the middle of a wider one."""
    return float(np.sinc(d) * np.sinc(d / reach)) if d < reach else 0


FUNCTIONS: dict[str, Callable[[float], float]] = {
    "linear": lambda d: max(1 - d, 0),
    "bilinear": lambda d: max(1 - d, 0),
    "trilinear": lambda d: max(1 - d, 0),
    "cubic": lambda d: keys(d, -0.5),
    "cubic-pytorch": lambda d: keys(d, -0.75),
    "bicubic": lambda d: keys(d, -0.75),
    "lanczos3": lambda d: lanczos(d, 3),
    "lanczos5": lambda d: lanczos(d, 5),
    "transposed": lambda d: max(1 - d, 0),
}


@functools.cache
def weights(n: int, m: int, method: str, corners: bool = False) -> Any:
    """(n, m): what each element weighs in each result."""
    found = np.zeros((n, m))
    for j in range(m):
        if method.startswith("nearest"):
            shift = 0 if method == "nearest-torch" else 1
            found[(2 * j + shift) * n // (2 * m), j] = 1
            continue
        place = (j + 0.5) * n / m - 0.5
        if corners:
            place = j * (n - 1) / (m - 1) if m > 1 else 0
        for i in range(math.floor(place) - 5, math.floor(place) + 7):
            inside = min(max(i, 0), n - 1)  # of PyTorch's the border repeats, of the rest it ends
            if inside == i or method == "bicubic":
                found[inside, j] += FUNCTIONS[method](abs(place - i))
    return found / (1 if method == "transposed" else found.sum(0))  # whose border fades


@given(st.data(), st.sampled_from(list(METHODS)), st.booleans())
def test_a_result_is_the_weighted_sum_of_its_neighbours(
    data: st.DataObject, method: Any, corners: bool
) -> None:
    rank = data.draw(st.integers(1, 3), "rank")
    old, wanted = (data.draw(st.tuples(*[st.integers(1, 7)] * rank)) for _ in range(2))
    factor = None
    if (
        method.startswith("nearest")
        or method == "transposed"
        or data.draw(st.booleans(), "by a factor")
    ):
        corners, factor = False, tuple((m + 1) // 2 for m in wanted)
        wanted = tuple(f * n for f, n in zip(factor, old, strict=True))
    x = expected = normal(2, 3, *old)
    for axis, (n, m) in enumerate(zip(old, wanted, strict=True), 2):
        expected = along(expected, axis, weights(n, m, method, corners))
    asked: dict[str, Any] = {"factor": factor} if factor else {"size": wanted}
    raised = functools.partial(up.upsample, **asked, method=method, align_corners=corners)
    for result in ways(raised, x):
        np.testing.assert_allclose(result, expected, atol=1e-12)


@pytest.mark.parametrize(
    "function",
    [up.upsample, up.downsample, up.max_pool, up.avg_pool, up.pixel_shuffle, up.pixel_unshuffle,
     up.unfold],
    ids=lambda function: function.__name__,
)  # fmt: skip
def test_a_number_alone_leaves_the_first_two_axes_and_a_layout_names_them(function: Any) -> None:
    """As PyTorch reads a batch of signals; of a picture, a layout or a pair says what it is."""
    picture = normal(8, 4, 6).astype(np.float32)
    signals = [function(channels[None], (2,))[0] for channels in picture]
    np.testing.assert_array_equal(function(picture, 2), np.stack(signals))
    named = function(picture, 2, layout="CHW")
    np.testing.assert_array_equal(named, function(picture[None], 2)[0])
    np.testing.assert_array_equal(named, function(picture, (2, 2)))
    assert named.shape != function(picture, 2).shape


OF_JAX = ["nearest", "linear", "cubic", "lanczos3", "lanczos5"]


@pytest.mark.parametrize("method", OF_JAX)
def test_the_weights_are_those_of_jax_image_resize(method: Any) -> None:
    x = jnp.eye(5, dtype=jnp.float32)[:, None]
    for m in (3, 10, 12):
        expected = jax.image.resize(x, (5, 1, m), method, antialias=False)
        result = up.upsample(x, size=m, method=method)
        assert result.dtype == jnp.float32
        np.testing.assert_allclose(result, expected, atol=1e-6)
        np.testing.assert_allclose(weights(5, m, method), expected[:, 0], atol=1e-6)


@pytest.mark.parametrize("method", OF_JAX[1:])
def test_downsampling_prevents_aliases_as_jax_image_resize_does(method: Any) -> None:
    x = jnp.eye(12, dtype=jnp.float32)[:, None]
    for m in (1, 3, 4, 5, 7, 12):  # whole factors, and others
        expected = jax.image.resize(x, (12, 1, m), method, antialias=True)
        result = up.downsample(x, size=m, method=method)
        np.testing.assert_allclose(result, expected, atol=1e-6)
        if 12 % m == 0:
            np.testing.assert_array_equal(up.downsample(x, 12 // m, method=method), result)


@given(st.data(), st.sampled_from(["linear", "bicubic", "lanczos3", "nearest", "nearest-torch"]))
def test_a_factor_with_a_fraction_places_the_results(data: st.DataObject, method: Any) -> None:
    """At (j + 1/2) / factor - 1/2 of an axis whose ends repeat, rounded down in size."""
    n, f = data.draw(st.integers(1, 9)), data.draw(st.sampled_from([1.25, 1.5, 2.0, 2.25, 3.5]))
    x, m = normal(1, 1, n), math.floor(n * f)
    j = np.arange(m)
    result = np.asarray(up.upsample(x, f, method=method))
    assert result.shape == (1, 1, m)
    if m == n and method == "linear":  # as in PyTorch
        np.testing.assert_array_equal(result, x)
        return
    if method.startswith("nearest"):
        place = (j if method == "nearest-torch" else j + 0.5) / f
        np.testing.assert_array_equal(result[0, 0], x[0, 0, np.minimum(place.astype(int), n - 1)])
        return
    i = np.arange(-6, n + 6)[:, None]
    taps = np.vectorize(FUNCTIONS[method], [float])(abs((j + 0.5) / f - 0.5 - i))
    inside = np.clip(i[:, 0], 0, n - 1)
    taps = taps if method == "bicubic" else np.where(inside[:, None] == i, taps, 0)
    expected = (x[0, 0, inside] @ taps) / taps.sum(0)
    np.testing.assert_allclose(result[0, 0], expected, atol=1e-12)


@pytest.mark.parametrize(("method", "corners"), [("linear", False), ("bicubic", True)])
def test_long_axes_have_the_same_weights(method: Any, corners: bool) -> None:
    x, matrix = normal(1, 2, 1500), weights(1500, 800, method, corners)
    raised = functools.partial(up.upsample, size=800, method=method, align_corners=corners)
    result, transpose = jax.vjp(raised, x)
    np.testing.assert_allclose(result, x @ matrix, atol=1e-12)
    np.testing.assert_allclose(transpose(result)[0], x @ matrix @ matrix.T, atol=1e-12)


def test_an_axis_keeps_its_size_beside_a_much_larger_one() -> None:
    x = normal(1, 2, 5, 4)
    expected = along(x, 2, weights(5, 100, "bicubic"))
    np.testing.assert_allclose(up.upsample(x, (20, 1), method="bicubic"), expected, atol=1e-12)


def means(n: int, m: int, method: str) -> Any:
    """(n, m): what each of n elements weighs in each of m means, by the definition."""
    if method.startswith("nearest"):
        found = weights(m, n, "nearest").T
    else:
        place = (np.arange(n)[:, None] + 0.5) * m / n - 0.5
        function = FUNCTIONS["cubic" if method == "bicubic" else method]
        found = np.vectorize(function, [float])(abs(place - np.arange(m)))
    return found / (n / m if method == "transposed" else found.sum(0))


@pytest.mark.parametrize("method", METHODS)
def test_downsampling_takes_weighted_means(method: Any) -> None:
    y = np.random.default_rng(0).integers(-9, 9, (1, 2, 24, 36))
    expected = along(along(y, 2, means(24, 12, method)), 3, means(36, 12, method))
    result = up.downsample(y, (2, 3), method=method)
    np.testing.assert_allclose(result, expected, atol=1e-12)


@pytest.mark.parametrize("method", ["nearest", "linear", "cubic", "cubic-pytorch", "transposed"])
def test_downsampling_is_the_scaled_adjoint_away_from_the_border(method: Any) -> None:
    y = np.random.default_rng(0).integers(-9, 9, (1, 2, 24, 36))
    expected = along(along(y / 6, 2, weights(12, 24, method).T), 3, weights(12, 36, method).T)
    within = np.s_[:, :, :, :] if method in ("nearest", "transposed") else np.s_[:, :, 4:-4, 4:-4]
    result = up.downsample(y, (2, 3), method=method)
    np.testing.assert_allclose(result[within], expected[within], atol=1e-12)


@pytest.mark.parametrize("asked", [
    {"factor": (2, 2)}, {"size": (7, 9), "method": "cubic"}, {"factor": (3, 1), "method": "bicubic"},
])  # fmt: skip
def test_layouts_batches_and_dtypes(asked: Any) -> None:
    def raised(x: Any, layout: str | None = None) -> Any:
        return read(lambda x: up.upsample(x, **asked, layout=layout), x)

    x = normal(2, 3, 4, 5)
    expected, last = raised(x), np.moveaxis(x, 1, -1)
    for layout in ("NHWC", "NIOC", "NXYC"):
        np.testing.assert_allclose(np.moveaxis(raised(last, layout), -1, 1), expected, atol=1e-12)
    one = np.moveaxis(raised(last[0], "NHWC"), -1, 0)
    for alone in (raised(x[0]), raised(x[None])[0][0], one):
        np.testing.assert_allclose(alone, expected[0], atol=1e-12)
    batched = jax.vmap(jax.jit(functools.partial(up.upsample, **asked)))(x)
    np.testing.assert_allclose(batched, expected, atol=1e-12)
    for dtype in (jnp.float16, jnp.bfloat16, jnp.complex64):
        narrow = raised(x.astype(dtype))
        assert narrow.dtype == dtype
        np.testing.assert_allclose(narrow.astype(complex), expected, atol=0.05)


def test_whole_numbers_stay_whole_only_where_they_are_copied() -> None:
    x = jnp.arange(6).reshape(1, 1, 6)
    dtypes = [jax.eval_shape(lambda m=m: up_any.upsample(x, 2, method=m)).dtype for m in METHODS]
    assert [dtype == x.dtype for dtype in dtypes] == [m.startswith("nearest") for m in METHODS]


def test_a_nan_stays_in_its_channel_and_an_infinity_in_its_place() -> None:
    x = jnp.ones((1, 2, 4, 4)).at[0, 0, 1, 1].set(jnp.nan)
    resized = shipped(lambda x: [up_any.upsample(x, 2, method=m) for m in METHODS])(x)
    for z in (*resized, shipped(lambda x: up.avg_pool(x, 2))(x)):
        assert not jnp.isnan(z[0, 1]).any()
    x = jnp.array([[[jnp.inf, 1.0, 2.0, 3.0]]])
    assert up.upsample(x, size=6, method="nearest").tolist() == [[[jnp.inf, 1, 1, 2, 3, 3]]]


def test_a_resized_convolution_has_no_checkerboard() -> None:
    z = up.resize_conv(jnp.ones((1, 1, 6)), jnp.array([[[1.0, 2.0, 3.0]]]), factor=2)
    assert len(set(np.asarray(z[0, 0, 2:-2]).tolist())) == 1


def test_numbers_of_64_bits_are_taken_where_they_are_switched_off() -> None:
    with jax.enable_x64(False):
        y, indices = up.max_pool(np.arange(4).reshape(1, 1, 4), 2, return_indices=True)
        assert up.max_unpool(y, indices, 2).dtype == jnp.int32
        assert up.upsample(np.ones((1, 1, 3)), 2).dtype == jnp.float32
        assert up.pixel_shuffle(np.ones((1, 2, 3)), 2).dtype == jnp.float32


# -- pooling ---------------------------------------------------------------------------------------

POOLED = [  # elements, kernel, stride, padding, dilation, ceil_mode; above 16 taps in halves
    (9, 3, 2, 1, 1, False), (12, 4, 3, 2, 1, True), (60, 17, 5, 8, 2, False), (75, 70, 80, 8, 1, True),
]  # fmt: skip


@pytest.mark.parametrize(("n", "kernel", "stride", "padding", "dilation", "ceil"), POOLED)
def test_a_window_has_its_largest_element_and_its_mean(
    n: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool
) -> None:
    steps: dict[str, Any] = {"stride": stride, "padding": padding, "ceil_mode": ceil}

    def pooled(x: Any) -> Any:
        both = up.max_pool(x, kernel, **steps, dilation=dilation, return_indices=True)
        means = [up.avg_pool(x, kernel, **steps, **more) for more in
                 ({}, {"count_include_pad": False}, {"divisor_override": -3})]  # fmt: skip
        return both, means

    rng, program = np.random.default_rng(0), jax.jit(pooled)
    whole = rng.integers(-4, 5, n).astype(float)
    for x in (whole, np.where(np.arange(n) % 7 == 3, np.nan, whole)):
        (best, at), means = jax.tree.map(lambda v: np.asarray(v)[0, 0], program(x[None, None]))
        for i, place in enumerate(at):
            first = stride * i - padding
            places = [p for p in range(first, first + dilation * kernel, dilation) if 0 <= p < n]
            nans = [p for p in places if np.isnan(x[p])]
            assert place == (nans[-1] if nans else max(places, key=lambda p: (x[p], -p)))
        np.testing.assert_array_equal(best, x[at])
        for i, mean in enumerate(np.transpose(means)):
            window = range(stride * i - padding, min(stride * i - padding + kernel, n + padding))
            met = [x[p] for p in window if 0 <= p < n]
            expected = [sum(met) / count for count in (len(window), len(met), -3)]
            np.testing.assert_allclose(mean, expected, atol=1e-12)


def test_what_was_pooled_is_put_back() -> None:
    x = np.random.default_rng(0).permutation(2 * 3 * 36).reshape(2, 3, 6, 6).astype(np.float64)
    y, indices = up.max_pool(x, 2, return_indices=True)
    strides: list[Any] = [2, (2, 2), np.array([2, 2])]
    for stride in strides:
        back = np.asarray(up.max_unpool(y, indices, 2, stride))
        np.testing.assert_array_equal(back[back != 0], x[back != 0])
        np.testing.assert_array_equal(up.max_pool(back, 2), y)
    last, at = up.max_pool(np.moveaxis(x, 1, -1), 2, return_indices=True, layout="NHWC")
    np.testing.assert_array_equal(np.moveaxis(np.asarray(last), -1, 1), y)
    again = up.max_unpool(last, at, 2, layout="NHWC")
    np.testing.assert_array_equal(np.moveaxis(np.asarray(again), -1, 1), back)


@pytest.mark.parametrize(
    ("sizes", "kernel", "stride"), [((3,), (2,), 2), ((2, 3), (3, 2), (3, 2)), ((3, 2), (2, 3), 1)]
)
def test_maxima_go_wherever_their_indices_say(
    sizes: tuple[int, ...], kernel: tuple[int, ...], stride: Any
) -> None:
    """In their own windows or not, some of them outside of the plane."""

    def one(y: Any, index: Any) -> Any:
        return up.max_unpool(y, index, kernel, stride)

    steps = (stride,) * len(sizes) if isinstance(stride, int) else stride
    plane = [(n - 1) * s + k for n, s, k in zip(sizes, steps, kernel, strict=True)]
    count, many = math.prod(plane), math.prod(sizes)
    program = jax.jit(lambda y, index: (one(y, index), jax.vmap(one)(y, index)))
    for seed in range(12):
        rng = np.random.default_rng(seed)
        if seed % 2:
            x = rng.permutation(2 * count).reshape(2, 1, *plane)
            y, index = map(np.asarray, up.max_pool(x, kernel, stride, return_indices=True))
        else:
            y = rng.integers(1, 9, (2, 1, *sizes))
            chosen = [rng.permutation(np.arange(-2, count + 2))[:many] for _ in range(2)]
            index = np.stack(chosen).reshape(y.shape)
        expected = np.zeros((2, count), y.dtype)
        for n, (value, at) in itertools.product(range(2), enumerate(index.reshape(2, -1).T)):
            if 0 <= at[n] < count:
                expected[n, at[n]] = y.reshape(2, -1)[n, value]
        for result in program(y, index):
            np.testing.assert_array_equal(result, expected.reshape(2, 1, *plane))


def test_narrow_indices_reach_where_they_can() -> None:
    y, at = jnp.ones((1, 1, 16, 16)), np.arange(256).reshape(1, 1, 16, 16) % 100
    expected = up.max_unpool(y, at, 2)
    for dtype in (np.int8, np.uint8):
        np.testing.assert_array_equal(up.max_unpool(y, at.astype(dtype), 2), expected)


def test_gradients_go_to_the_maxima_and_come_from_them() -> None:
    x = jnp.asarray(np.random.default_rng(0).permutation(16).reshape(1, 1, 4, 4).astype(float))
    y, indices = up.max_pool(x, 2, return_indices=True)
    v = jnp.arange(4.0).reshape(y.shape)
    grad = jax.grad(lambda x: (up.max_pool(x, 2) * v).sum())(x)
    np.testing.assert_array_equal(grad, up.max_unpool(v, indices, 2))
    seen = jax.grad(lambda y: (up.max_unpool(y, indices, 2) * x).sum())(y)
    np.testing.assert_array_equal(seen, y)


# -- rearrangement ---------------------------------------------------------------------------------


@given(st.data(), st.sampled_from(["CRD", "DCR"]))
def test_shuffled_pixels_follow_their_equation(data: st.DataObject, order: Any) -> None:
    rank = data.draw(st.integers(1, 3))
    factor, sizes = (data.draw(st.tuples(*[st.integers(1, 3)] * rank)) for _ in range(2))
    phases, c, layout = math.prod(factor), 2, "NDHW"[: rank + 1] + "C"
    x = np.arange(c * phases * math.prod(sizes)).reshape(1, c * phases, *sizes)
    z = read(lambda x: up.pixel_shuffle(x, factor, order=order), x)
    for channel, (n, p) in itertools.product(range(c), enumerate(np.ndindex(*factor))):
        source = channel * phases + n if order == "CRD" else n * c + channel
        window = tuple(slice(a, None, f) for a, f in zip(p, factor, strict=True))
        np.testing.assert_array_equal(z[0, channel][window], x[0, source])
    for back in ways(lambda z: up.pixel_unshuffle(z, factor, order=order), z):
        np.testing.assert_array_equal(back, x)
    for last in ways(
        lambda x: up.pixel_shuffle(x, factor, order=order, layout=layout), np.moveaxis(x, 1, -1)
    ):
        np.testing.assert_array_equal(np.moveaxis(last, -1, 1), z)


@given(arguments(ranks=(1, 2, 3), most_groups=1))
def test_a_convolution_is_a_matrix_times_the_columns(a: Arguments) -> None:
    a = replace(a, padding=tuple((max(low, 0), max(high, 0)) for low, high in a.padding))
    x, w, y = a.arrays()
    steps: dict[str, Any] = {"dilation": a.dilation, "stride": a.stride,
                             "padding": a.padding}  # fmt: skip
    for columns in ways(lambda x: up.unfold(x, a.kernel_size, **steps), x):
        product = w.reshape(a.out_channels, -1) @ columns
        np.testing.assert_array_equal(product.reshape(y.shape), oracles.conv(a, x, w))
    v = w.reshape(a.out_channels, -1).T @ y.reshape(*y.shape[:2], -1)
    for folded in ways(lambda v: up.fold(v, a.in_size, a.kernel_size, **steps), v):
        np.testing.assert_array_equal(folded, oracles.conv_transpose(a, y, w))


@pytest.mark.parametrize(("k", "s"), [(300, 1), (90, 1), (41, 2)])  # by index, and in loops
def test_many_taps_are_gathered_and_added_up_as_few_are(k: int, s: int) -> None:
    n, d, p = 650, 2, 7
    steps: dict[str, Any] = {"stride": s, "dilation": d, "padding": p}
    x = np.random.default_rng(0).integers(-4, 5, (1, 2, n))
    outs = (n + 2 * p - d * (k - 1) - 1) // s + 1
    places = s * np.arange(outs) + d * np.arange(k)[:, None]
    expected = np.pad(x, ((0, 0), (0, 0), (p, p)))[..., places].reshape(1, 2 * k, outs)
    np.testing.assert_array_equal(up.unfold(x, (k,), **steps), expected)
    v = np.random.default_rng(1).integers(-4, 5, expected.shape)
    back = np.asarray(up.fold(v, (n,), (k,), **steps))
    assert (back * x).sum() == (v * expected).sum()


# -- initialisers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [4, 5, 8, 9])
def test_a_bilinear_start_is_linear_interpolation(k: int) -> None:
    factor, x = -(-k // 2), normal(1, 3, 7)
    cut = (k - factor) // 2
    for groups in (1, 3):
        w = np.asarray(up.bilinear_init(None, (3, 3 // groups, k), jnp.float64))
        z = read(lambda x, w, g=groups: tc.conv_transpose(
            x, w, stride=factor, padding=((cut, k - factor - cut),), groups=g), x, w)  # fmt: skip
        inside = (..., slice(factor, -factor))
        expected = x @ weights(7, 7 * factor, "linear")
        np.testing.assert_allclose(z[inside], expected[inside], atol=1e-12)


@pytest.mark.parametrize("order", ["CRD", "DCR"])
def test_an_icnr_start_is_a_convolution_and_nearest_neighbours(order: Any) -> None:
    x, key, draw = normal(1, 3, 5, 5), jax.random.key(0), jax.nn.initializers.normal()
    w = up.icnr_init(draw, (2, 3), order=order)(key, (12, 3, 3, 3), jnp.float64)
    one = draw(key, (2, 3, 3, 3), jnp.float64)
    z = read(lambda x, w: up.pixel_shuffle(tc.conv(x, w, padding=1), (2, 3), order=order), x, w)
    small = read(lambda x, w: tc.conv(x, w, padding=1), x, one)
    np.testing.assert_allclose(z, small.repeat(2, 2).repeat(3, 3), atol=1e-12)
    v = up.icnr_init(draw, 2, transposed=True)(key, (3, 4, 4, 4), jnp.float64)
    even = Geometry.of_conv_transpose((3, 9, 9), v.shape, stride=2)
    assert up.checkerboard(even, v).unevenness == 0


@pytest.mark.parametrize(("scaled", "variance", "stride", "groups"), [
    ((1, "fan_in", "truncated_normal"), 1, 1, 1), ((1, "fan_in", "uniform"), 1, 3, 4),
    ((2, "fan_in", "truncated_normal"), 2, 2, 1), ((2, "fan_in", "uniform"), 2, 3, 4),
    ((1, "fan_avg", "normal"), 2 / 3, 2, 1), ((1, "fan_avg", "uniform"), 2 / 9, 2, 4),
])  # fmt: skip
def test_the_fans_keep_the_variance(scaled: Any, variance: float, stride: int, groups: int) -> None:
    """Of the result by fan_in; that of fan_avg is between this and its derivative's."""
    start = up.transposed_scaling(*scaled, stride=stride, groups=groups)
    w = np.asarray(start(jax.random.key(0), (32, 16, 6, 6)))
    assert w.dtype == np.float32
    y = normal(2, 32, 12, 12)
    a = Arguments(2, 16 * groups, 32, tuple(11 * stride + 6 for _ in "HW"), (6, 6),
                  (stride,) * 2, ((0, 0),) * 2, (1, 1), groups)  # fmt: skip
    z = oracles.conv_transpose(a, y, w)[..., 6:-6, 6:-6]
    assert abs(z.var() / variance - 1) < 0.15


# -- checkerboards ---------------------------------------------------------------------------------


@given(arguments(modes=("zeros", "circular")))
def test_overlap_counts_the_products(a: Arguments) -> None:
    a = replace(a, batch=1, in_channels=1, out_channels=1, groups=1)
    counted = oracles.conv_transpose(a, np.ones(a.y_shape), np.ones(a.w_shape))[0, 0]
    np.testing.assert_array_equal(up.overlap(a.geometry), counted)


@pytest.mark.parametrize(
    ("k", "s", "d", "p"), [(4, 2, 1, 1), (3, 2, 3, 0), (2, 4, 2, 2), (3, 1, 2, -1)]
)
def test_the_closed_form_counts_the_same(k: int, s: int, d: int, p: int) -> None:
    counted = up.overlap(Geometry.of_conv_transpose((1, 4), (1, 1, k), stride=s, dilation=d,
                                                    padding=p)).tolist()  # fmt: skip
    n, taps = sympy.symbols("n k", integer=True, positive=True)
    j, cut = sympy.Symbol("j", integer=True, nonnegative=True), sympy.Symbol("p", integer=True)
    formula = symbolic.overlap(4, k, stride=s, dilation=d, padding=p)
    later = symbolic.overlap(n, taps, stride=s, dilation=d, padding=cut)
    for counts in (formula, later.subs({n: 4, taps: k, cut: p})):
        assert [counts.subs(j, m) for m in range(len(counted))] == counted


@given(arguments(ranks=(1, 2), most_groups=2), st.integers(0, 3))
def test_the_phases_are_what_a_constant_input_shows(a: Arguments, seed: int) -> None:
    w = normal(*a.w_shape, seed=seed)
    steps: dict[str, Any] = {"stride": a.stride, "dilation": a.dilation, "groups": a.groups}
    long = Geometry.of_conv_transpose(
        (a.out_channels, *[12 * max(a.kernel_size)] * len(a.stride)), a.w_shape, **steps
    )
    found = up.checkerboard(long, w)
    z = read(lambda y, w: tc.conv_transpose(y, w, **steps), np.ones(long.out_shape), w)
    middles = [-(-(n // 2) // s) * s for n, s in zip(z.shape[1:], a.stride, strict=True)]
    inside = [slice(at, at + s) for at, s in zip(middles, a.stride, strict=True)]
    assert any(np.allclose(channel, found.phases) for channel in z[:, *inside])


def test_the_advice_says_what_to_change() -> None:
    def layer(k: int, stride: int = 2, rank: int = 1, dilation: int = 1) -> Geometry:
        return Geometry.of_conv_transpose((1, *(8,) * rank), (1, 1, *(k,) * rank), stride=stride,
                                          dilation=dilation)  # fmt: skip

    found = up.checkerboard(layer(3, rank=2))
    assert "2 or 4 taps in place of 3" in str(found)
    assert found.unevenness > 0.4
    assert up.checkerboard(layer(4, rank=2)).unevenness == 0
    assert "icnr_init" in up.checkerboard(layer(4)).advice
    assert "one phase only" in up.checkerboard(layer(3, stride=1)).advice
    uneven = up.checkerboard(layer(4), np.arange(4.0).reshape(1, 1, 4))
    assert uneven.unevenness > 0
    assert "training can even it out" in uneven.advice
    smooth = up.checkerboard(layer(3), np.array([[[1.0, 2.0, 1.0]]]))
    assert (smooth.unevenness, smooth.advice) == (0, "all phases have the same weight")
    for taps, stride, dilation in ((4, 2, 2), (3, 2, 4), (6, 4, 6)):
        found = up.checkerboard(layer(taps, stride, dilation=dilation))
        assert 0 in found.phases
        assert "in common, so some phases have no tap at all; take a dilation" in found.advice


def test_many_stamps_are_counted_without_a_loop_and_without_overflow() -> None:
    layer = Geometry.of_conv_transpose((1, 10**6), (1, 1, 10**6))
    assert up.overlap(layer).max() == 10**6
    wide = Geometry.of_conv_transpose((4, 3), (4, 1, 2), stride=2)
    weighed = up.checkerboard(wide, np.full((4, 1, 2), 100, np.int8))
    assert weighed.phases.tolist() == [400, 400]


# -- deconvolution ---------------------------------------------------------------------------------


def matrix_of(a: Arguments, w: Any) -> Any:
    """C, a column at a time, by the definition."""
    count = a.in_channels * math.prod(a.in_size)
    return oracles.conv(a, np.eye(count).reshape(-1, *a.x_shape[1:]), w).reshape(count, -1).T


@pytest.mark.parametrize(
    "a", [FIXED[0], replace(FIXED[2], padding_mode="circular"), replace(FIXED[1], groups=1)]
)
def test_deconvolution_is_least_squares(a: Arguments) -> None:
    w, y = normal(*a.w_shape), normal(*a.y_shape, seed=1)
    x = up.deconvolve(y, w, output_size=a.in_size, damping=0.1, tolerance=1e-12, **a.keywords)
    c = matrix_of(a, w)
    normal_equations = c.T @ c + 0.1 * np.eye(c.shape[1])
    expected = np.linalg.solve(normal_equations, c.T @ y.reshape(a.batch, -1).T).T
    np.testing.assert_allclose(x, expected.reshape(x.shape), atol=1e-6)


@pytest.mark.parametrize(("o", "c", "sizes"), [(2, 2, (6,)), (3, 1, (3, 4)), (1, 2, (5, 4))])
def test_frequencies_give_the_smallest_of_the_nearest(o: int, c: int, sizes: Any) -> None:
    rank = len(sizes)
    ones, ends = (1,) * rank, ((0, 2),) * rank
    a = Arguments(2, c, o, sizes, (3,) * rank, ones, ends, ones, 1, "circular")
    w, y = normal(*a.w_shape), normal(*a.y_shape, seed=1)
    x = up.deconvolve(y, w, method="fft", padding=a.padding, padding_mode="circular")
    expected = (np.linalg.pinv(matrix_of(a, w), rcond=1e-6) @ y.reshape(2, -1).T).T
    np.testing.assert_allclose(x, expected.reshape(x.shape), atol=1e-6)


def test_complex_kernels_are_conjugated_in_least_squares() -> None:
    x, w = (normal(*s) + 1j * normal(*s, seed=1) for s in ((1, 1, 6), (1, 1, 3)))
    y = tc.conv(x, w, padding=2)
    np.testing.assert_allclose(up.deconvolve(y, w, padding=2, tolerance=1e-12), x, atol=1e-8)
    ring: dict[str, Any] = {"padding": 1, "padding_mode": "circular"}
    back = up.deconvolve(tc.conv(x, w, **ring), w, method="fft", **ring)
    np.testing.assert_allclose(back, x, atol=1e-8)


def test_a_number_may_be_an_array_s_and_traced_where_it_is_one() -> None:
    y, w = jnp.ones((1, 1, 6)), jnp.ones((1, 1, 3))
    expected = up.deconvolve(y, w, damping=0.5)
    np.testing.assert_array_equal(up.deconvolve(y, w, damping=np.float32(0.5)), expected)
    slope = jax.grad(lambda d: up.deconvolve(y, w, damping=d).sum())(0.5)
    less = up.deconvolve(y, w, damping=0.5 + 1e-6).sum()
    np.testing.assert_allclose(slope, (less - expected.sum()) * 1e6, rtol=1e-4)


@pytest.mark.parametrize("noise", [0.0, 0.001, 0.01, 0.1])
def test_without_damping_deconvolution_ends_before_the_noise_is_large(noise: float) -> None:
    """In float32, of a picture behind a Gaussian that leaves little of its high frequencies."""
    i, j = np.mgrid[:32, :32]
    sharp = ((np.hypot(i - 14, j - 18) < 9) + (i // 6 + j // 6) % 2 / 2).astype("f4")[None, None]
    line = np.exp(-((np.arange(7) - 3.0) ** 2) / 4)
    w = (np.outer(line, line) / line.sum() ** 2).astype("f4")[None, None]
    y = tc.conv(sharp, w, padding=3) + noise * normal(1, 1, 32, 32).astype("f4")

    def off(x: Any) -> float:
        return float(np.linalg.norm(x - sharp) / np.linalg.norm(sharp))

    found = up.deconvolve(y, w, padding=3, info=True)
    assert off(found.x) < (0.5 if noise == 0 else 0.95) * off(y)
    left = np.linalg.norm(tc.conv(found.x, w, padding=3) - y) / np.linalg.norm(y)
    np.testing.assert_allclose(found.residual, left, rtol=1e-4)
    assert 4 <= found.steps <= y.size
    np.testing.assert_array_equal(found.x, up.deconvolve(y, w, padding=3))
    if noise > 0.001:  # a tolerance asks for the minimum, which the noise rules
        assert off(up.deconvolve(y, w, padding=3, tolerance=1e-6, steps=200)) > off(y)


def test_gradients_of_complex_least_squares_are_those_of_the_minimum() -> None:
    y, w = (normal(*s) + 1j * normal(*s, seed=1) for s in ((1, 1, 8), (1, 1, 3)))

    def size(y: Any, w: Any) -> Any:
        x = up.deconvolve(y, w, padding=2, damping=0.3, tolerance=1e-12)
        return (abs(x[0, 0]) ** 2 * jnp.arange(6.0)).sum()

    for n, slope in enumerate(jax.grad(size, (0, 1))(y, w)):
        direction = [normal(*v.shape, seed=5) + 1j * normal(*v.shape, seed=6) for v in (y, w)]
        direction = [v * (k == n) for k, v in enumerate(direction)]
        ends = [size(y + h * direction[0], w + h * direction[1]) for h in (1e-5, -1e-5)]
        along = (slope * direction[n]).sum().real  # JAX's gradient is conjugated
        np.testing.assert_allclose((ends[0] - ends[1]) / 2e-5, along, rtol=1e-5)


# -- what is large, and what is empty --------------------------------------------------------------

LARGE: list[Callable[[], Any]] = [
    lambda: up.max_pool(jnp.arange(20000.0).reshape(1, 1, -1), 20000),
    lambda: jax.grad(lambda x: up.max_pool(x, 999).sum())(jnp.arange(1000.0).reshape(1, 1, -1)),
    lambda: up.unfold(jnp.ones((1, 1, 30, 30)), 16),
    lambda: up.fold(jnp.ones((1, 900, 101)), (1000,), 900),
    lambda: up.downsample(jnp.ones((1, 1, 20000)), 5000),
]


def test_programs_stay_small() -> None:
    assert all(str(jax.make_jaxpr(program)()).count("\n") < 1500 for program in LARGE)


def test_one_window_makes_no_room_for_a_second() -> None:
    x = np.arange(36.0).reshape(1, 1, 6, 6)
    corner = x[..., :2, :2]
    columns = up.unfold(x, 2, stride=10**9)
    assert columns.ravel().tolist() == corner.ravel().tolist()
    folded = up.fold(columns, 6, 2, stride=10**9)
    assert folded[..., :2, :2].tolist() == corner.tolist()
    assert folded.sum() == corner.sum()


@pytest.mark.parametrize("shape", [(0, 4, 6, 6), (1, 0, 6, 6)], ids=str)
def test_what_has_no_images_or_channels_stays_so(shape: tuple[int, ...]) -> None:
    def there_and_back(x: Any) -> Any:
        same = []
        for stride in (2, 1):
            y, indices = up.max_pool(x, 2, stride, return_indices=True)
            same.append(up.max_unpool(y, indices, 2, stride))
        half = [up.downsample(x, 2), up.avg_pool(x, 2)]
        return same, [up.upsample(x, 2), up.upsample(x, size=12)], half

    for arrays, size in zip(jax.jit(there_and_back)(np.ones(shape)), (6, 12, 3), strict=True):
        assert {array.shape for array in arrays} == {(*shape[:2], size, size)}


# -- refusals --------------------------------------------------------------------------------------

X, TAPS = jnp.ones((1, 4, 6, 6)), jnp.ones((4, 1, 2, 2))
LINE = Geometry.of_conv((1, 5), (1, 1, 2))
REFUSED: list[tuple[Callable[[], Any], str]] = [
    (lambda: up.upsample(X), "factor=None: either factor or size=None must say how large the result is"),
    (lambda: up_any.upsample(X, 2, method="lanczos"), "method='lanczos': the choices are nearest, nearest-exact, nearest-torch, linear, bilinear"),
    (lambda: up.upsample(X, 0.5), "factor=0.5: it must be a whole number"),
    (lambda: up.upsample(X, (1.5, float("inf"))), "factor=inf: it must be a whole number"),
    (lambda: up.downsample(X, 2, size=3), "factor=2: either factor or size=3 must say"),
    (lambda: up.downsample(X, size=7), "size=7: the sizes of x are (6, 6), no larger ones; use upsample"),
    (lambda: up.unfold(X, 2, padding=((0, 1), (0, -1))), "padding=(1, -1): it must be at least 0"),
    (lambda: up_any.max_pool(X, 2, padding=((0, 1), (0, 1))), "padding=((0, 1), (0, 1)): it must be one whole number per axis"),
    (lambda: up.upsample(X, 2, method="nearest", align_corners=True), "align_corners=True: 'nearest' does not align corners"),
    (lambda: up.upsample(X, size=9, method="transposed"), "method='transposed': the sizes (9, 9) are not whole multiples of (6, 6); use 'linear'"),
    (lambda: up.upsample(X, 2, layout="NHW"), "layout='NHW': it must have one letter per axis, C among them"),
    (lambda: up.upsample(X[0, 0], 2, layout="NCHW"), "x=array of shape (6, 6): layout='NCHW' has 4 axes"),
    (lambda: up.upsample(X, (2, 2, 2, 2)), "x=array of shape (1, 4, 6, 6): after any batch axes it must have a channel axis"),
    (lambda: up.upsample(jnp.ones((1, 1, 0)), 2), "an axis without elements has nothing to interpolate"),
    (lambda: up.upsample(X, size=10**30), "it must be at most 2147483647"),
    (lambda: up.upsample(X, 2**30), "factor=1073741824: it asks for an array of shape (1, 4, 6442450944, 6442450944)"),
    (lambda: up.upsample(X, size=10**9), "size=1000000000: it asks for an array of shape (1, 4, 1000000000, 1000000000)"),
    (lambda: up.unfold(X, 2, padding=10**9), "padding=1000000000: it asks for an array of shape (1, 4, 2000000006, 2000000006)"),
    (lambda: up.downsample(X, 4), "factor=4: it must divide the sizes (6, 6)"),
    (lambda: up.max_pool(X, 2, padding=2), "padding=2: it must be at most half of the window's 2 elements; give 1 or less"),
    (lambda: up.max_pool(X, 7), "kernel_size=7: a window spans 7 elements, and the padded axis has 6"),
    (lambda: up.max_pool(X.astype(complex), 2), "x=array of dtype complex128: its dtype must be integer or floating"),
    (lambda: up.max_unpool(X, X, 2), "indices=array of dtype float64: its dtype must be integer"),
    (lambda: up.max_unpool(X, X.astype(int), 2, output_size=15), "output_size=15: it must differ by less than the stride 2 from 12; give 11 to 13"),
    (lambda: up.max_unpool(X, X.astype(int), 2, padding=6), "padding=6: it leaves the sizes (0, 0)"),
    (lambda: up.max_unpool(X, X.astype(int), 2**20), "an index of the spatial axes does not fit into 32 bits"),
    (lambda: up.avg_pool(X, 2, divisor_override=0), "divisor_override=0: nothing can be divided by 0"),
    (lambda: up.pixel_shuffle(X, 3), "factor=3: its 9 phases must divide the 4 channels"),
    (lambda: up.fold(jnp.ones((1, 4, 7)), (4, 4), 2), "columns=array of shape (1, 4, 7): it must have a multiple of 4 rows, and 9 columns"),
    (lambda: up.bilinear_kernel(2, 10**9), "rank=1000000000: a kernel has at most 32 axes"),
    (lambda: up.bilinear_init(None, (2, 3, 4)), "shape=(2, 3, 4): it must be (C, C, *k)"),
    (lambda: up.transposed_scaling(2, "fan_in", "normal")(None, (3, 3)), "shape=(3, 3): a kernel has two channel axes"),
    (lambda: up.transposed_scaling(2, "fan_in", "normal", groups=2)(None, (3, 3, 3)), "groups=2: it must divide the 3 input channels of (3, 3, 3)"),
    (lambda: up.icnr_init(jax.nn.initializers.zeros, 2)(None, (6, 1, 3, 3)), "shape=(6, 1, 3, 3): (4, 1, 1, 1) must divide it"),
    (lambda: up_any.icnr_init(None, 2), "init=NoneType: it must be a function"),
    (lambda: up_any.transposed_scaling("a", "fan_in", "normal"), "scale='a': it must be a finite number"),
    (lambda: up.overlap(Geometry.of_conv_transpose((1, 2**40), (1, 1, 3), padding=2**39)), "the limit is 67108864 elements"),
    (lambda: up.checkerboard(Geometry.of_conv_transpose((1, 5), (1, 1, 10**10))), "the limit is 67108864 elements"),
    (lambda: up.checkerboard(LINE, np.ones(3)), "kernel=array of shape (3,): it must have the geometry's kernel shape, (1, 1, 2)"),
    (lambda: up.checkerboard(LINE, np.full((1, 1, 2), np.nan)), "kernel=array of shape (1, 1, 2): it must have the geometry's kernel shape, (1, 1, 2), and be finite"),
    (lambda: up.deconvolve(X, TAPS.astype(int)), "w=array of dtype int64: its dtype must be floating or complexfloating"),
    (lambda: up.deconvolve(X, TAPS, method="fft"), "method='fft': it needs padding_mode='circular'"),
    (lambda: up.deconvolve(X, TAPS, method="fft", padding_mode="circular"), "method='fft': it needs x and y of equal sizes, not (7, 7) and (6, 6)"),
    (lambda: symbolic.overlap(4, 0), "kernel_size=0"),
    (lambda: symbolic.overlap(4, 3, stride=sympy.Symbol("s", integer=True, positive=True), dilation=2), "stride=s: with a dilation"),
    (lambda: up_any.fold(jnp.ones((1, 4, 25)), 6, 2, layout=3), "layout=3: it must have one letter per axis"),
    (lambda: up.bilinear_init(None, (1, 1, 4), int), "dtype=<class 'int'>: it must be a dtype of floats"),
    (lambda: up.transposed_scaling(2, "fan_in", "normal")(3, (3, 3, 3)), "key=int: it must be one random key"),
    (lambda: up.checkerboard(LINE, np.ones((1, 1, 2), complex)), "kernel=ndarray: its weights must be real numbers"),
    (lambda: up.deconvolve(X, TAPS, tolerance=float("nan")), "tolerance=nan: it must be a finite number of at least 0"),
]  # fmt: skip


def test_what_does_not_fit_is_refused_in_four_parts() -> None:
    assert_refused(REFUSED)
