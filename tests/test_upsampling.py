"""Upsampling: interpolation, pooling, rearrangement, initialisers, checkerboards, deconvolution."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import tconvjax as tc
from tconvjax import Geometry, GeometryError, symbolic
from tconvjax import upsampling as up
from tests.strategies import arguments

METHODS = tuple(up.METHODS)


def drawn(data: st.DataObject, least: int = 1, most: int = 7) -> tuple[Any, tuple[int, ...]]:
    """(x of 1 to 3 axes, as many sizes)."""
    rank = data.draw(st.integers(1, 3), "rank")
    sizes = [
        tuple(data.draw(st.integers(least, most), name) for _ in range(rank))
        for name in ("size", "wanted")
    ]
    return np.random.default_rng(0).normal(size=(2, 3, *sizes[0])), sizes[1]


# -- interpolation ---------------------------------------------------------------------------------


@given(st.data(), st.sampled_from(["nearest", "linear", "cubic"]))
def test_upsampling_is_jax_image_resize(data: st.DataObject, method: Any) -> None:
    x, size = drawn(data)
    shape = (*x.shape[:2], *size)
    for dtype, atol in ((np.float64, 1e-12), (np.float32, 1e-6)):
        expected = jax.image.resize(jnp.asarray(x), shape, method, antialias=False)
        result = up.upsample(x.astype(dtype), size=size, method=method)
        assert result.dtype == dtype
        np.testing.assert_allclose(result, expected, rtol=0, atol=4 * atol)


@given(st.data(), st.sampled_from(METHODS))
def test_a_factor_means_the_size_that_it_gives(data: st.DataObject, method: Any) -> None:
    x, factor = drawn(data, most=4)
    size = tuple(f * n for f, n in zip(factor, x.shape[2:], strict=True))
    by_factor = up.upsample(x, factor, method=method)
    for position, n in enumerate(size):  # the last axis by itself never divides evenly
        size = x.shape[position + 2]
        matrix = up.functions.Line.of(size, n, method).matrix(size)
        x = np.moveaxis(np.tensordot(x, matrix, (position + 2, 0)), -1, position + 2)
    np.testing.assert_allclose(by_factor, x, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("corners", [False, True])
def test_large_matrices_are_not_written_out(
    method: Any, corners: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(0).normal(size=(1, 2, 7, 5))
    given = {"size": (10, 8), "method": method, "align_corners": corners and method != "nearest"}
    expected = up.upsample(x, **given)
    monkeypatch.setattr(up.interpolating, "MOST_ENTRIES", 0)
    np.testing.assert_allclose(up.upsample(x, **given), expected, atol=1e-12)


@given(st.data(), st.sampled_from(METHODS), st.booleans())
def test_its_gradient_is_the_exact_adjoint(data: st.DataObject, method: Any, corners: bool) -> None:
    x, size = drawn(data)
    corners = corners and method != "nearest"

    def raised(x: Any) -> jax.Array:
        return up.upsample(x, size=size, method=method, align_corners=corners)

    z = raised(x)
    y = np.random.default_rng(1).normal(size=z.shape)
    tc.assert_adjoint(raised, lambda y: jax.vjp(raised, jnp.asarray(x))[1](y)[0], jnp.asarray(x),
                      jnp.asarray(y))  # fmt: skip


@given(st.data(), st.sampled_from(["nearest", "linear", "cubic"]))
def test_downsampling_is_the_scaled_adjoint_and_keeps_the_mean_inside(
    data: st.DataObject, method: Any
) -> None:
    x, factor = drawn(data, most=3)
    large = up.upsample(x, factor, method=method)
    y = jnp.asarray(np.random.default_rng(1).normal(size=large.shape))
    small = up.downsample(y, factor, method=method)
    left, right = (large * y).sum(), (jnp.asarray(x) * small).sum() * float(np.prod(factor))
    np.testing.assert_allclose(left, right, rtol=1e-10)
    np.testing.assert_allclose(small.sum() * float(np.prod(factor)), y.sum(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_layouts_batches_dtypes_and_transformations(method: Any) -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(size=(2, 3, 4, 5)))
    expected = up.upsample(x, 2, method=method)
    last = up.upsample(jnp.moveaxis(x, 1, -1), 2, method=method, layout="NHWC")
    np.testing.assert_allclose(jnp.moveaxis(np.asarray(last), -1, 1), expected, atol=1e-12)
    np.testing.assert_allclose(up.upsample(x[0], (2, 2), method=method), expected[0], atol=1e-12)
    many = up.upsample(x[None], (2, 2), method=method)
    np.testing.assert_allclose(many[0], expected, atol=1e-12)
    one = up.upsample(jnp.moveaxis(x[0], 0, -1), 2, method=method, layout="NHWC")
    np.testing.assert_allclose(jnp.moveaxis(one, -1, 0), expected[0], atol=1e-12)
    batched = jax.vmap(jax.jit(lambda x: up.upsample(x, (2, 2), method=method)))(x)
    np.testing.assert_allclose(batched, expected, atol=1e-12)
    for dtype in (jnp.float16, jnp.bfloat16, jnp.complex64):
        narrow = up.upsample(x.astype(dtype), 2, method=method)
        assert narrow.dtype == dtype
        np.testing.assert_allclose(narrow.astype(jnp.complex64), expected, atol=0.05)
    whole = up.upsample(jnp.arange(6).reshape(1, 1, 6), 2, method=method)
    assert jnp.issubdtype(whole.dtype, jnp.integer) == (method == "nearest")


def test_transposed_is_the_bare_transposed_convolution() -> None:
    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4))
    w = jnp.broadcast_to(up.bilinear_kernel((2, 3), dtype=jnp.float64), (3, 1, 4, 5))
    expected = tc.conv_transpose(x, w, stride=(2, 3), padding=1, groups=3)
    np.testing.assert_allclose(up.upsample(x, (2, 3), method="transposed"), expected, atol=1e-12)


def test_a_nan_stays_in_its_channel() -> None:
    x = jnp.ones((1, 2, 4, 4)).at[0, 0, 1, 1].set(jnp.nan)
    for method in up.METHODS:
        raised = up.upsample(x, 2, method=method)  # type: ignore[arg-type]  # its own keys
        assert not jnp.isnan(raised[0, 1]).any()
    assert not jnp.isnan(up.avg_pool(x, 2)[0, 1]).any()


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


def test_what_was_pooled_is_put_back() -> None:
    x = np.random.default_rng(0).permutation(2 * 3 * 36).reshape(2, 3, 6, 6).astype(np.float64)
    y, indices = up.max_pool(x, 2, return_indices=True)
    back = np.asarray(up.max_unpool(y, indices, 2))
    np.testing.assert_array_equal(back[back != 0], x[back != 0])
    np.testing.assert_array_equal(up.max_pool(back, 2), y)
    last, at = up.max_pool(np.moveaxis(x, 1, -1), 2, return_indices=True, layout="NHWC")
    np.testing.assert_array_equal(np.moveaxis(np.asarray(last), -1, 1), y)
    np.testing.assert_array_equal(
        np.moveaxis(np.asarray(up.max_unpool(last, at, 2, layout="NHWC")), -1, 1), back
    )


@pytest.mark.parametrize("stride", [None, 2, (2, 2), np.array([2, 2])], ids=str)
def test_a_stride_may_be_spelled_as_it_likes(stride: Any) -> None:
    y, indices = up.max_pool(np.arange(16).reshape(1, 4, 4), (2, 2), stride, return_indices=True)
    assert up.max_unpool(y, indices, (2, 2), stride).sum() == 5 + 7 + 13 + 15


@given(st.data())
def test_maxima_go_wherever_their_indices_say(data: st.DataObject) -> None:
    """In their own windows or not, some of them outside of the plane."""
    rank = data.draw(st.integers(1, 2))
    sizes = tuple(data.draw(st.integers(1, 3)) for _ in range(rank))
    kernel = tuple(data.draw(st.integers(1, 3)) for _ in range(rank))
    plane = [n * k for n, k in zip(sizes, kernel, strict=True)]
    rng = np.random.default_rng(data.draw(st.integers(0, 9)))
    count = int(np.prod(plane))
    if data.draw(st.booleans(), "own windows"):
        full = rng.permutation(2 * count).reshape(2, 1, *plane)
        y, indices = map(np.asarray, up.max_pool(full, kernel, return_indices=True))
    else:
        y = rng.integers(1, 9, (2, 1, *sizes))
        chosen = [rng.permutation(np.arange(-2, count + 2))[: y[0].size] for _ in range(2)]
        indices = np.stack(chosen).reshape(y.shape)
    expected = np.zeros((2, 1, count), y.dtype)
    for n in range(2):
        for value, at in zip(y[n].ravel(), indices[n].ravel(), strict=True):
            if 0 <= at < count:
                expected[n, 0, at] = value
    result = up.max_unpool(y, indices, kernel)
    np.testing.assert_array_equal(result, expected.reshape(2, 1, *plane))
    batched = jax.vmap(lambda y, i: up.max_unpool(y, i, kernel))(y, indices)
    np.testing.assert_array_equal(batched, result)


def test_gradients_go_to_the_maxima_and_come_from_them() -> None:
    x = jnp.asarray(np.random.default_rng(0).permutation(16).reshape(1, 1, 4, 4).astype(float))
    y, indices = up.max_pool(x, 2, return_indices=True)
    grad = jax.grad(lambda x: (up.max_pool(x, 2) * jnp.arange(4.0).reshape(y.shape)).sum())(x)
    expected = up.max_unpool(jnp.arange(4.0).reshape(y.shape), indices, 2)
    np.testing.assert_array_equal(grad, expected)
    seen = jax.grad(lambda y: (up.max_unpool(y, indices, 2) * x).sum())(y)
    np.testing.assert_array_equal(seen, y)


@given(st.data())
def test_the_mean_and_its_adjoint(data: st.DataObject) -> None:
    x, kernel = drawn(data, most=4)
    steps: dict[str, Any] = {
        "stride": data.draw(st.integers(1, 3)), "ceil_mode": data.draw(st.booleans()),
        "count_include_pad": data.draw(st.booleans()),
        "padding": data.draw(st.integers(0, min(kernel) // 2)),
    }  # fmt: skip
    try:
        y = up.avg_pool(x, kernel, **steps)
    except GeometryError:
        return
    v = jnp.asarray(np.random.default_rng(1).normal(size=y.shape))
    tc.assert_adjoint(
        lambda x: up.avg_pool(x, kernel, **steps),
        lambda y: up.avg_unpool(y, kernel, output_size=x.shape[2:], **steps), jnp.asarray(x), v,
    )  # fmt: skip


# -- rearrangement ---------------------------------------------------------------------------------


@given(st.data(), st.sampled_from(["CRD", "DCR"]))
def test_shuffled_pixels_follow_their_equation(data: st.DataObject, order: Any) -> None:
    rank = data.draw(st.integers(1, 3))
    factor = tuple(data.draw(st.integers(1, 3)) for _ in range(rank))
    sizes = tuple(data.draw(st.integers(1, 3)) for _ in range(rank))
    phases, c = int(np.prod(factor)), 2
    x = np.arange(c * phases * np.prod(sizes)).reshape(1, c * phases, *sizes)
    z = np.asarray(up.pixel_shuffle(x, factor, order=order))
    for channel in range(c):
        for n, p in enumerate(itertools.product(*map(range, factor))):
            source = channel * phases + n if order == "CRD" else n * c + channel
            window = tuple(slice(a, None, f) for a, f in zip(p, factor, strict=True))
            np.testing.assert_array_equal(z[0, channel][window], x[0, source])
    np.testing.assert_array_equal(up.pixel_unshuffle(z, factor, order=order), x)
    last = up.pixel_shuffle(
        np.moveaxis(x, 1, -1), factor, order=order, layout="NDHW"[: rank + 1] + "C"
    )
    np.testing.assert_array_equal(np.moveaxis(np.asarray(last), -1, 1), z)


@given(arguments(ranks=(1, 2), most_groups=1))
def test_a_convolution_is_a_matrix_times_the_columns(a: Any) -> None:
    if any(lo != hi or lo < 0 for lo, hi in a.padding):
        return
    x, w, y = a.arrays()
    steps = {"dilation": a.dilation, "padding": tuple(lo for lo, _ in a.padding),
             "stride": a.stride}  # fmt: skip
    columns = up.unfold(x, a.kernel_size, **steps)
    product = w.reshape(a.out_channels, -1) @ np.asarray(columns)
    np.testing.assert_array_equal(product.reshape(y.shape), tc.conv(x, w, **a.keywords))
    v = jnp.asarray(np.random.default_rng(1).normal(size=columns.shape))
    tc.assert_adjoint(
        lambda x: up.unfold(x, a.kernel_size, **steps),
        lambda v: up.fold(v, a.in_size, a.kernel_size, **steps), jnp.asarray(x), v,
    )  # fmt: skip


def test_a_subpixel_convolution_is_a_transposed_one() -> None:
    """W. Shi et al., arXiv:1609.07009: the kernels of the phases are the transposed one's taps."""
    rng = np.random.default_rng(0)
    y, w = rng.normal(size=(1, 2, 5)), rng.normal(size=(2, 3, 4))
    phases = w.reshape(2, 3, 2, 2)[:, :, ::-1]  # (o, c, shift, phase), shifts backwards
    kernel = phases.transpose(1, 3, 0, 2).reshape(6, 2, 2)
    shuffled = up.pixel_shuffle(tc.conv(y, kernel, padding=1), 2)
    np.testing.assert_allclose(shuffled, tc.conv_transpose(y, w, stride=2), atol=1e-12)


# -- initialisers ----------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [4, 5, 8, 9])
def test_a_bilinear_start_is_linear_interpolation(k: int) -> None:
    factor = -(-k // 2)
    x = np.random.default_rng(0).normal(size=(1, 3, 7))
    for groups in (1, 3):
        w = up.bilinear_init(None, (3, 3 // groups, k), jnp.float64)
        cut = (k - factor) // 2
        z = tc.conv_transpose(
            x, w, stride=factor, padding=((cut, k - factor - cut),), groups=groups
        )
        expected = up.upsample(x, factor)
        np.testing.assert_allclose(
            z[..., factor:-factor], expected[..., factor:-factor], atol=1e-12
        )


@pytest.mark.parametrize("order", ["CRD", "DCR"])
def test_an_icnr_start_is_a_convolution_and_nearest_neighbours(order: Any) -> None:
    x = np.random.default_rng(0).normal(size=(1, 3, 5, 5))
    normal = jax.nn.initializers.normal()
    w = up.icnr_init(normal, (2, 3), order=order)(jax.random.key(0), (12, 3, 3, 3), jnp.float64)
    z = up.pixel_shuffle(tc.conv(x, w, padding=1), (2, 3), order=order)
    one = normal(jax.random.key(0), (2, 3, 3, 3), jnp.float64)
    expected = up.upsample(tc.conv(x, one, padding=1), (2, 3), method="nearest")
    np.testing.assert_allclose(z, expected, atol=1e-12)
    v = up.icnr_init(normal, 2, transposed=True)(jax.random.key(0), (3, 4, 4, 4), jnp.float64)
    assert up.checkerboard(
        Geometry.of_conv_transpose((3, 9, 9), v.shape, stride=2), v
    ).unevenness == 0  # fmt: skip


@pytest.mark.parametrize(("start", "scale"), [(up.lecun_normal, 1), (up.he_uniform, 2)])
@pytest.mark.parametrize(("stride", "groups"), [(1, 1), (2, 1), (3, 4)])
def test_the_fans_keep_the_variance(start: Any, scale: int, stride: int, groups: int) -> None:
    key = jax.random.key(0)
    w = start(stride=stride, groups=groups)(key, (64, 32, 6, 6), jnp.float32)
    y = jax.random.normal(jax.random.key(1), (4, 64, 12, 12), jnp.float32)
    z = tc.conv_transpose(y, w, stride=stride, groups=groups)[..., 6:-6, 6:-6]
    assert abs(float(z.var()) / scale - 1) < 0.15


# -- checkerboards ---------------------------------------------------------------------------------


@given(arguments(modes=("zeros", "circular")))
def test_overlap_counts_the_products(a: Any) -> None:
    ones = np.ones((1, 1, *a.geometry.out_size)), np.ones((1, 1, *a.kernel_size))
    plain = Geometry(a.geometry.axes)
    counted = tc.conv_transpose(*ones, stride=a.stride, padding=a.geometry.padding,
                                output_size=a.in_size, dilation=a.dilation,
                                padding_mode=a.padding_mode)[0, 0]  # fmt: skip
    np.testing.assert_array_equal(up.overlap(plain), counted)


@given(arguments(ranks=(1,)))
def test_the_closed_form_counts_the_same(a: Any) -> None:
    (axis,) = a.geometry.axes
    counted = up.overlap(Geometry((axis,))).tolist()
    steps: dict[str, Any] = {"stride": axis.stride, "dilation": axis.dilation, "padding": axis.low}
    formula = symbolic.overlap(axis.out_size, axis.kernel_size, **steps)
    j = symbolic.stamps.PLACE
    assert [formula.subs(j, n) for n in range(axis.in_size)] == counted
    n, k = sympy.symbols("n k", integer=True, positive=True)
    p = sympy.Symbol("p", integer=True)
    later = symbolic.overlap(n, k, **{**steps, "padding": p})
    numbers = {n: axis.out_size, k: axis.kernel_size, p: axis.low}
    assert [later.subs({**numbers, j: m}) for m in range(axis.in_size)] == counted


@pytest.mark.parametrize(("given", "message"), [
    (("n", 3), "out_size='n'"), ((4, 0), "kernel_size=0"), ((4, 3, "s", 2), "stride=s: with a dilation"),
])  # fmt: skip
def test_a_closed_form_wants_sizes(given: tuple[Any, ...], message: str) -> None:
    stride = sympy.Symbol("s", integer=True, positive=True) if len(given) > 2 else 1
    with pytest.raises(GeometryError) as caught:
        symbolic.overlap(*given[:2], stride=stride, dilation=given[3] if len(given) > 3 else 1)
    assert message in str(caught.value)


@given(arguments(ranks=(1, 2), most_groups=2), st.integers(0, 3))
def test_the_phases_are_what_a_constant_input_shows(a: Any, seed: int) -> None:
    w = np.random.default_rng(seed).normal(size=a.w_shape)
    long = Geometry.of_conv_transpose(
        (a.out_channels, *[12 * max(a.kernel_size)] * len(a.stride)), a.w_shape, stride=a.stride,
        dilation=a.dilation, groups=a.groups,
    )  # fmt: skip
    found = up.checkerboard(long, w)
    z = np.asarray(tc.conv_transpose(np.ones(long.out_shape), w, stride=a.stride,
                                     dilation=a.dilation, groups=a.groups))  # fmt: skip
    inside = [slice(-(-(n // 2) // s) * s, -(-(n // 2) // s) * s + s) for n, s in
              zip(z.shape[1:], a.stride, strict=True)]  # fmt: skip
    shown = z[:, *inside]
    assert any(np.allclose(channel, found.phases) for channel in shown)


def test_the_advice_says_what_to_change() -> None:
    there = Geometry.of_conv_transpose((1, 8, 8), (1, 1, 3, 3), stride=2)
    found = up.checkerboard(there)
    assert "2 or 4 taps in place of 3" in str(found)
    assert found.unevenness > 0.4
    even = Geometry.of_conv_transpose((1, 8, 8), (1, 1, 4, 4), stride=2)
    assert up.checkerboard(even).unevenness == 0
    assert "icnr_init" in up.checkerboard(even).advice
    lone = Geometry.of_conv_transpose((1, 8), (1, 1, 3))
    assert "one phase only" in up.checkerboard(lone).advice
    uneven = up.checkerboard(even, np.arange(16.0).reshape(1, 1, 4, 4))
    assert uneven.unevenness > 0
    assert "training can even it out" in uneven.advice
    odd = Geometry.of_conv_transpose((1, 8), (1, 1, 3), stride=2)
    smooth = up.checkerboard(odd, np.array([[[1.0, 2.0, 1.0]]]))
    assert (smooth.unevenness, smooth.advice) == (0, "all phases have the same weight")


@pytest.mark.parametrize(("taps", "stride", "dilation"), [(4, 2, 2), (3, 2, 4), (6, 4, 6)])
def test_phases_that_no_tap_reaches_are_told(taps: int, stride: int, dilation: int) -> None:
    there = Geometry.of_conv_transpose((1, 8), (1, 1, taps), stride=stride, dilation=dilation)
    found = up.checkerboard(there)
    assert 0 in found.phases
    assert "in common, so some phases have no tap at all; take a dilation" in found.advice


# -- deconvolution ---------------------------------------------------------------------------------


@given(arguments(ranks=(1, 2), modes=("zeros", "circular")))
def test_deconvolution_is_least_squares(a: Any) -> None:
    rng = np.random.default_rng(0)
    w, y = rng.normal(size=a.w_shape), rng.normal(size=a.y_shape)
    given = {"stride": a.stride, "dilation": a.dilation, "groups": a.groups,
             "padding_mode": a.padding_mode}  # fmt: skip
    x = up.deconvolve(y, w, padding=a.padding, output_size=a.in_size, damping=0.1,
                      tolerance=1e-12, **given)  # fmt: skip
    from tconvjax import matrices

    c = matrices.conv_matrix(a.geometry, w, "dense")
    expected = np.linalg.solve(c.T @ c + 0.1 * np.eye(c.shape[1]),
                               c.T @ y.reshape(a.batch, -1).T).T  # fmt: skip
    np.testing.assert_allclose(np.asarray(x).reshape(a.batch, -1), expected, atol=1e-6)


@given(st.data())
def test_frequencies_give_the_smallest_of_the_nearest(data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 2))
    sizes = tuple(data.draw(st.integers(3, 6)) for _ in range(rank))
    o, c, k = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 3)), 3
    rng = np.random.default_rng(0)
    w, y = rng.normal(size=(o, c, *[k] * rank)), rng.normal(size=(2, o, *sizes))
    given: dict[str, Any] = {"padding": ((0, 2),) * rank, "padding_mode": "circular"}
    x = up.deconvolve(y, w, method="fft", **given)
    from tconvjax import matrices

    matrix = matrices.conv_matrix(Geometry.of_conv((c, *sizes), w.shape, **given), w, "dense")
    expected = (np.linalg.pinv(matrix, rcond=1e-6) @ y.reshape(2, -1).T).T
    np.testing.assert_allclose(np.asarray(x).reshape(2, -1), expected, atol=1e-6)


def test_complex_kernels_are_conjugated_in_least_squares() -> None:
    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=s) + 1j * rng.normal(size=s) for s in ((1, 1, 6), (1, 1, 3)))
    y = tc.conv(x, w, padding=2)
    np.testing.assert_allclose(up.deconvolve(y, w, padding=2, tolerance=1e-12), x, atol=1e-8)
    ring: dict[str, Any] = {"padding": 1, "padding_mode": "circular"}
    back = up.deconvolve(tc.conv(x, w, **ring), w, method="fft", **ring)
    np.testing.assert_allclose(back, x, atol=1e-8)


# -- what is large, and what is empty --------------------------------------------------------------


@given(st.data())
def test_a_long_window_is_pooled_as_its_parts_are(data: st.DataObject) -> None:
    """Of windows above 16 elements the halves are compared."""
    kernel, dilation = data.draw(st.integers(17, 70)), data.draw(st.integers(1, 3))
    stride, padding = data.draw(st.integers(1, 80)), data.draw(st.integers(0, 8))
    n = dilation * (kernel - 1) + 1 + data.draw(st.integers(0, 90))
    x = np.random.default_rng(0).integers(-4, 5, (1, 1, n)).astype(np.float64)
    x[..., :: data.draw(st.sampled_from([n + 1, 7]))] = np.nan if data.draw(st.booleans()) else 4
    steps: dict[str, Any] = {"stride": stride, "padding": padding, "dilation": dilation}
    y, indices = up.max_pool(x, kernel, **steps, return_indices=True)
    for i in range(y.shape[-1]):
        first = stride * i - padding
        places = [p for p in range(first, first + dilation * kernel, dilation) if 0 <= p < n]
        nans = [p for p in places if np.isnan(x[0, 0, p])]
        best = nans[-1] if nans else max(places, key=lambda p: (x[0, 0, p], -p))
        assert indices[0, 0, i] == best
    np.testing.assert_array_equal(y[0, 0], x[0, 0][indices[0, 0]])


LARGE: dict[str, Any] = {
    "max_pool": lambda: up.max_pool(jnp.arange(20000.0).reshape(1, 1, -1), 20000),
    "the derivative of max_pool": lambda: jax.grad(
        lambda x: up.max_pool(x, 999)[0, 0, 0])(jnp.arange(1000.0).reshape(1, 1, -1)),
    "unfold": lambda: up.unfold(jnp.ones((1, 1, 30, 30)), 16),
    "fold": lambda: up.fold(jnp.ones((1, 900, 101)), (1000,), 900),
    "downsample": lambda: up.downsample(jnp.ones((1, 1, 20000)), 5000),
    "one window of unfold": lambda: up.unfold(jnp.ones((1, 1, 6, 6)), 2, stride=10**9),
    "one window of fold": lambda: up.fold(jnp.ones((1, 4, 1)), 6, 2, stride=10**9),
    "one window of avg_unpool": lambda: up.avg_unpool(
        jnp.ones((1, 1, 1, 1)), 2, 10**9, output_size=6),
}  # fmt: skip


@pytest.mark.parametrize("name", LARGE)
def test_programs_stay_small(name: str) -> None:
    text = str(jax.make_jaxpr(LARGE[name])())
    assert text.count("\n") < 1500
    assert np.isfinite(np.asarray(LARGE[name]())).all()


@given(arguments(ranks=(1, 2), most_groups=1))
def test_columns_are_gathered_by_index_as_by_slices(a: Any) -> None:
    from tconvjax.upsampling import rearranging

    if any(lo != hi or lo < 0 for lo, hi in a.padding):
        return
    x, _, _ = a.arrays()
    steps = {"dilation": a.dilation, "padding": tuple(lo for lo, _ in a.padding),
             "stride": a.stride}  # fmt: skip
    expected = up.unfold(x, a.kernel_size, **steps)
    v = jnp.asarray(np.random.default_rng(1).normal(size=expected.shape))
    folded = up.fold(v, a.in_size, a.kernel_size, **steps)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rearranging, "MOST_TERMS", 0)
        jax.clear_caches()
        np.testing.assert_array_equal(up.unfold(x, a.kernel_size, **steps), expected)
        np.testing.assert_allclose(up.fold(v, a.in_size, a.kernel_size, **steps), folded, atol=1e-9)
    jax.clear_caches()


@pytest.mark.parametrize("shape", [(0, 4, 6, 6), (1, 0, 6, 6)], ids=str)
def test_what_has_no_images_or_channels_stays_so(shape: tuple[int, ...]) -> None:
    x = jnp.ones(shape)
    assert up.upsample(x, 2).shape == up.upsample(x, size=12).shape == (*shape[:2], 12, 12)
    assert up.downsample(x, 2).shape == up.avg_pool(x, 2).shape == (*shape[:2], 3, 3)
    for stride in (2, 1):
        y, indices = up.max_pool(x, 2, stride, return_indices=True)
        assert up.max_unpool(y, indices, 2, stride).shape == shape
        y = up.avg_pool(x, 2, stride)
        assert up.avg_unpool(y, 2, stride, output_size=6).shape == shape


def test_an_infinity_has_neighbours_that_are_numbers() -> None:
    x = jnp.array([[[jnp.inf, 1.0, 2.0, 3.0]]])
    assert up.upsample(x, size=6, method="nearest").tolist() == [[[jnp.inf, 1, 1, 2, 3, 3]]]


@pytest.mark.parametrize("layout", ["NXOIC", "NXYIC", "NOXC", "NIOC"])
def test_the_letters_of_a_layout_are_free(layout: str) -> None:
    x = jnp.asarray(np.random.default_rng(0).normal(size=(1, *[3] * (len(layout) - 2), 2)))
    first = jnp.moveaxis(x, -1, 1)
    expected = jnp.moveaxis(up.upsample(first, 2), 1, -1)
    np.testing.assert_allclose(up.upsample(x, 2, layout=layout), expected, atol=1e-12)


def test_narrow_indices_reach_where_they_can() -> None:
    y, at = jnp.ones((1, 1, 16, 16)), np.arange(256).reshape(1, 1, 16, 16) % 100
    expected = up.max_unpool(y, at, 2)
    np.testing.assert_array_equal(up.max_unpool(y, at.astype(np.int8), 2), expected)
    np.testing.assert_array_equal(up.max_unpool(y, at.astype(np.uint8), 2), expected)


def test_a_number_may_be_an_array_s_and_traced_where_it_is_one() -> None:
    y, w = jnp.ones((1, 1, 6)), jnp.ones((1, 1, 3))
    expected = up.deconvolve(y, w, damping=0.5)
    for damping in (np.float32(0.5), jnp.float64(0.5), np.array(0.5)):
        np.testing.assert_array_equal(up.deconvolve(y, w, damping=damping), expected)
    slope = jax.grad(lambda d: up.deconvolve(y, w, damping=d).sum())(0.5)
    less = up.deconvolve(y, w, damping=0.5 + 1e-6).sum()
    np.testing.assert_allclose(slope, (less - expected.sum()) * 1e6, rtol=1e-4)


def test_many_stamps_are_counted_without_a_loop() -> None:
    there = Geometry.of_conv_transpose((1, 10**6), (1, 1, 10**6))
    assert up.overlap(there).max() == 10**6
    weights = np.full((1, 1, 2), 100, np.int8)
    wide = Geometry.of_conv_transpose((4, 3), (4, 1, 2), stride=2)
    assert up.checkerboard(wide, np.repeat(weights, 4, 0)).phases.tolist() == [400, 400]


# -- refusals --------------------------------------------------------------------------------------

up_any: Any = up  # wrong types are the point
X = jnp.ones((1, 4, 6, 6))
REFUSED: list[tuple[Any, str]] = [
    (lambda: up_any.upsample(X), "factor=None: one of factor and size=None says how large the result is"),
    (lambda: up_any.upsample(X, 2, size=3), "one of factor and size=3"),
    (lambda: up_any.upsample(X, 0), "factor=0: it must be at least 1"),
    (lambda: up_any.upsample(X, 1.5), "factor=1.5: it must be a whole number"),
    (lambda: up_any.upsample(X, 2, method="lanczos"), "method='lanczos': the choices are nearest, linear, cubic, bicubic, transposed"),
    (lambda: up_any.upsample(X, 2, method="nearest", align_corners=True), "align_corners=True: there is nothing to align"),
    (lambda: up_any.upsample(X, size=9, method="transposed"), "method='transposed': sizes (9, 9) are no whole multiples of (6, 6); use 'linear'"),
    (lambda: up_any.upsample(X, 2, layout="NHW"), "layout='NHW': it has a letter for each axis, C among them"),
    (lambda: up_any.upsample(X[0, 0], 2, layout="NCHW"), "x=array of shape (6, 6): layout='NCHW' has 4 axes"),
    (lambda: up_any.upsample(jnp.ones((1, 1, 0)), 2), "an axis without elements has nothing to interpolate"),
    (lambda: up_any.upsample("picture", 2), "x=str: it must be an array of numbers"),
    (lambda: up.downsample(X, 4), "factor=4: it must divide the sizes (6, 6)"),
    (lambda: up.max_pool(X, 2, padding=2), "padding=2: it is at most half of the window's 2 elements; give 1 or less"),
    (lambda: up.max_pool(X, 7), "x=6 elements along an axis: a window spans 7"),
    (lambda: up.max_pool(X.astype(complex), 2), "complex numbers have no largest one"),
    (lambda: up.max_unpool(X, X, 2), "indices=array of shape (1, 4, 6, 6) and dtype float64: it has a whole number"),
    (lambda: up.max_unpool(X, X.astype(int), 2, output_size=15), "output_size=15: an axis has 12 elements, and fewer than 2 more or less; give 11 to 13"),
    (lambda: up.avg_pool(X, 2, divisor_override=0), "divisor_override=0: nothing is divided by 0"),
    (lambda: up.avg_unpool(X, 2, output_size=13, padding=1), "y=array of shape (1, 4, 6, 6): the pooling of (13, 13) gives (1, 4, 7, 7)"),
    (lambda: up_any.pixel_shuffle(X, 3), "factor=3: its 9 phases must divide the 4 channels"),
    (lambda: up.pixel_unshuffle(X, 4), "factor=4: it must divide the sizes (6, 6)"),
    (lambda: up_any.pixel_shuffle(X, 2, order="RCD"), "order='RCD': the choices are CRD, DCR"),
    (lambda: up.fold(jnp.ones((1, 4, 7)), (4, 4), 2), "columns=array of shape (1, 4, 7): it has a multiple of 4 rows, the taps, and 9 columns"),
    (lambda: up.bilinear_init(None, (2, 3, 4)), "shape=(2, 3, 4): it is (C, C, *k)"),
    (lambda: up.icnr_init(jax.nn.initializers.zeros, 2)(None, (6, 1, 3, 3)), "shape=(6, 1, 3, 3): (4,) must divide (6,)"),
    (lambda: up.checkerboard(Geometry.of_conv((1, 5), (1, 1, 2)), np.ones(3)), "kernel=array of shape (3,): the geometry's kernel has shape (1, 1, 2)"),
    (lambda: up.deconvolve(X, jnp.ones((4, 1, 2, 2), int)), "w=array of dtype int64: least squares need floats"),
    (lambda: up.deconvolve(X, jnp.ones((4, 1, 2, 2)), method="fft"), "method='fft': it wants padding_mode='circular'"),
    (lambda: up_any.bilinear_kernel(1.5), "factor=1.5: it must be a whole number"),
    (lambda: up_any.upsample(X, (2, 1.5)), "factor=1.5: it must be a whole number"),
    (lambda: up_any.overlap(None), "it must be a Geometry; make one"),
    (lambda: up_any.checkerboard(5), "it must be a Geometry; make one"),
    (lambda: up_any.transposed_scaling(1, "fan", "normal"), "mode='fan': the choices are fan_in, fan_out, fan_avg"),
    (lambda: up_any.transposed_scaling(1, "fan_in", "cauchy"), "distribution='cauchy': the choices are"),
    (lambda: up_any.avg_pool(X, 2, divisor_override="a"), "divisor_override='a': it must be"),
    (lambda: up_any.deconvolve(X, jnp.ones((4, 1, 2, 2)), damping="a"), "damping='a': it is a finite number, at least 0"),
    (lambda: up_any.deconvolve(X, jnp.ones((4, 1, 2, 2)), tolerance=float("nan")), "tolerance=nan: it is a finite number, at least 0"),
    (lambda: up.deconvolve(X, jnp.ones((4, 1, 2, 2)), damping=-1.0), "damping=-1.0: it is a finite number, at least 0"),
    (lambda: up.deconvolve(X, jnp.ones((4, 1, 2, 2)), damping=float("inf")), "damping=inf: it is a finite number"),
    (lambda: up_any.deconvolve(X, jnp.ones((4, 1, 2, 2)), steps="a"), "steps='a': it must be"),
    (lambda: up_any.deconvolve(X, jnp.ones((4, 1, 2, 2)), steps=-1), "steps=-1: it must be at least 0"),
    (lambda: up_any.deconvolve(X, jnp.ones((4, 1, 2, 2)), method=np.ones(2)), "method=array([1., 1.]): the choices are"),
    (lambda: jax.jit(lambda n: up.upsample(X, n))(jnp.array([2, 2])), "it must be a whole number that is known before tracing"),
    (lambda: up.upsample(X, b"2"), "factor=b'2': it must be a whole number"),
    (lambda: up.upsample(X, size=10**30), "it must be at most 2147483647"),
    (lambda: up.upsample(X, 2**30), "factor=1073741824: an axis has at most 2147483647 elements"),
    (lambda: up_any.upsample(X, 2, align_corners="no"), "align_corners='no': it must be True or False"),
    (lambda: jax.jit(lambda a: up.upsample(X, 2, align_corners=a))(True), "it must be True or False, and known before tracing"),
    (lambda: up_any.max_pool(X, 2, ceil_mode="no"), "ceil_mode='no': it must be True or False"),
    (lambda: up_any.max_pool(X, 2, return_indices=None), "return_indices=None: it must be True or False"),
    (lambda: up_any.avg_pool(X, 2, count_include_pad=2), "count_include_pad=2: it must be True or False"),
    (lambda: up_any.avg_pool(X, 2, divisor_override=b"2"), "divisor_override=b'2': it must be"),
    (lambda: up.avg_pool(X, 2, divisor_override=2**40), "divisor_override=1099511627776: it must be at most"),
    (lambda: up.avg_unpool(X, 2, output_size=2**31 - 1), "y=array of shape (1, 4, 6, 6): the pooling of (2147483647, 2147483647) gives"),
    (lambda: up.max_unpool(X, X.astype(int), 2**20), "an index of its spatial axes does not fit 32 bits"),
    (lambda: up_any.fold(jnp.ones((1, 4, 25)), 6, 2, layout=3), "layout=3: it has a letter for each axis of the result"),
    (lambda: up_any.fold(jnp.ones((1, 4, 25)), 6, 2, layout="NC"), "layout='NC': it has a letter for each axis of the result"),
    (lambda: up_any.bilinear_kernel(2, "a"), "rank='a': it must be"),
    (lambda: up_any.bilinear_kernel(2, 0), "rank=0: it must be at least 1"),
    (lambda: up.bilinear_kernel(2, 10**9), "factor=2: a kernel for 1000000000 axes has at most 67108864 taps"),
    (lambda: up.bilinear_kernel(2, dtype=int), "dtype=<class 'int'>: it must be a dtype of floats"),
    (lambda: up.bilinear_init(None, (1, 1, 4), "float"[:3]), "dtype='flo': it must be a dtype of floats"),
    (lambda: up_any.bilinear_init(None, None), "shape=None: a kernel has two channel axes"),
    (lambda: up_any.he_normal()(None, (3, 3)), "shape=(3, 3): a kernel has two channel axes"),
    (lambda: up_any.he_normal()(None, (3, 3, -1)), "shape=(3, 3, -1): it must be at least 0"),
    (lambda: up_any.icnr_init(None, 2), "init=None: it draws a kernel"),
    (lambda: up_any.transposed_scaling("a", "fan_in", "normal"), "scale='a': it is a finite number"),
    (lambda: up_any.transposed_scaling(-1, "fan_in", "normal"), "scale=-1: it is a finite number"),
    (lambda: up_any.checkerboard(Geometry.of_conv((1, 5), (1, 1, 2)), np.ones((1, 1, 2), complex)), "kernel=ndarray: its weights are real numbers"),
    (lambda: up.checkerboard(Geometry.of_conv((1, 5), (1, 1, 2)), np.full((1, 1, 2), np.nan)), "kernel=array of shape (1, 1, 2): it has weights, and all of them are finite"),
    (lambda: jax.jit(lambda w: up.checkerboard(Geometry.of_conv((1, 5), (1, 1, 2)), w).phases)(jnp.ones((1, 1, 2))), "its weights are real numbers, known before tracing"),
    (lambda: up.checkerboard(Geometry.of_conv_transpose((1, 5), (1, 1, 10**10))), "67108864 elements are counted at most"),
    (lambda: up.overlap(Geometry.of_conv_transpose((1, 2**40), (1, 1, 3), padding=2**39)), "67108864 elements are counted at most"),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_does_not_fit_is_refused_in_four_parts(number: int) -> None:
    call, message = REFUSED[number]
    with pytest.raises(GeometryError) as caught:
        call()
    assert message in str(caught.value)
    assert "; " in str(caught.value)


@pytest.mark.parametrize(("ask", "message"), [
    (lambda x: up.upsample(x, size=10**9), "size=1000000000: it asks for an array of sizes (1, 1, 1000000000, 1000000000)"),
    (lambda x: up.upsample(x, 10**8), "factor=100000000: it asks for an array of sizes"),
    (lambda x: up.unfold(x, 2, padding=10**9), "padding=1000000000: it asks for an array of sizes (1, 1, 2000000004, 2000000004)"),
    (lambda x: up.unfold(x, 2**18, padding=2**18), "kernel_size=262144: it asks for an array of sizes"),
])  # fmt: skip
def test_what_no_memory_holds_is_refused_first(ask: Any, message: str) -> None:
    with pytest.raises(GeometryError) as caught:
        ask(jnp.ones((1, 1, 4, 4), jnp.float32))
    assert message in str(caught.value)
