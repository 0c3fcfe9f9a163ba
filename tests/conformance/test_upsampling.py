"""PyTorch's own samples of unpooling, pixel shuffles and unfolding; interpolation and pooling."""

from __future__ import annotations

import functools
import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tconvjax import upsampling
from tests.conformance.test_peers import peer
from tests.oracles import agree

torch = peer("torch")
COUNTS = {
    "max_unpool1d": 144, "max_unpool2d": 288, "max_unpool3d": 96, "pixel_shuffle": 5,
    "pixel_unshuffle": 5, "unfold": 163,
}  # fmt: skip


@functools.cache
def samples(name: str) -> list[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    info = next(op for op in op_db if op.name == f"nn.functional.{name}")
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return list(info.sample_inputs("cpu", torch.float32))


def unpooled(rank: int, sample: Any) -> Any:
    given = dict(zip(("indices", "kernel_size", "stride", "padding", "output_size"), sample.args,
                     strict=False)) | sample.kwargs  # fmt: skip
    indices, kernel = given.pop("indices").numpy(), given.pop("kernel_size")
    kernel = (kernel,) * rank if isinstance(kernel, int) else kernel
    size = given.get("output_size")
    if size is not None:
        given["output_size"] = tuple(size)[-rank:]
    return upsampling.max_unpool(sample.input.detach().numpy(), indices, kernel, **given)


def unfolded(sample: Any) -> Any:
    names = ("kernel_size", "dilation", "padding", "stride")
    given = dict(zip(names, sample.args, strict=False)) | sample.kwargs
    rank = sample.input.ndim - (2 if sample.input.ndim == 4 else 1)
    given = {k: (v,) * rank if isinstance(v, int) else tuple(v) for k, v in given.items()}
    return upsampling.unfold(sample.input.detach().numpy(), **given)


OURS: dict[str, Any] = {
    **{f"max_unpool{n}d": functools.partial(unpooled, n) for n in (1, 2, 3)},
    "pixel_shuffle": lambda s: upsampling.pixel_shuffle(
        s.input.detach().numpy(), (s.kwargs["upscale_factor"],) * 2),
    "pixel_unshuffle": lambda s: upsampling.pixel_unshuffle(
        s.input.detach().numpy(), (s.kwargs["downscale_factor"],) * 2),
    "unfold": unfolded,
}  # fmt: skip


@pytest.mark.parametrize("name", COUNTS)
def test_every_sample_agrees(name: str) -> None:
    assert len(samples(name)) == COUNTS[name]
    function = getattr(torch.nn.functional, name)
    for number, sample in enumerate(samples(name)):
        expected = function(sample.input, *sample.args, **sample.kwargs).detach().numpy()
        result = np.asarray(OURS[name](sample))
        np.testing.assert_array_equal(result, expected, err_msg=f"sample {number}")


@given(st.data())
def test_pooling_is_torch_pooling(data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 3), "rank")

    def each(least: int, most: int, name: str) -> tuple[int, ...]:
        return tuple(data.draw(st.integers(least, most), name) for _ in range(rank))

    x = np.random.default_rng(0).integers(-3, 4, (2, 2, *each(1, 8, "size"))).astype(np.float64)
    if data.draw(st.booleans(), "with NaN"):
        x.flat[::5] = np.nan
    steps: dict[str, Any] = {
        "kernel_size": each(1, 4, "kernel"), "stride": each(1, 3, "stride"),
        "padding": each(0, 2, "padding"), "ceil_mode": data.draw(st.booleans()),
    }  # fmt: skip
    largest = {**steps, "dilation": each(1, 2, "dilation"), "return_indices": True}
    pool = getattr(torch.nn.functional, f"max_pool{rank}d")
    agree(lambda: pool(torch.tensor(x), **largest)[0], lambda: upsampling.max_pool(x, **largest)[0])

    def met(pooled: Any) -> Any:  # where a window is empty, PyTorch's index is anything
        value, index = map(np.asarray, pooled)
        return np.where(np.isneginf(value), -1, index)

    agree(lambda: met(pool(torch.tensor(x), **largest)),
          lambda: met(upsampling.max_pool(x, **largest)))  # fmt: skip
    steps["count_include_pad"] = data.draw(st.booleans())
    mean = getattr(torch.nn.functional, f"avg_pool{rank}d")
    if rank == 3 and any(k > n for k, n in zip(steps["kernel_size"], x.shape[2:], strict=True)):
        return  # avg_pool3d refuses a padded image smaller than its window; 1d and 2d take it
    agree(lambda: mean(torch.tensor(x), **steps), lambda: upsampling.avg_pool(x, **steps), 1e-12)


@given(st.data())
def test_fold_is_torch_fold(data: st.DataObject) -> None:
    def each(least: int, most: int) -> tuple[int, ...]:
        return tuple(data.draw(st.integers(least, most)) for _ in range(2))

    size, kernel = each(1, 9), each(1, 4)
    steps: dict[str, Any] = {"stride": each(1, 3), "padding": each(0, 2), "dilation": each(1, 2)}
    x = np.random.default_rng(0).integers(-4, 5, (2, 3, *size)).astype(np.float64)
    columns: list[Any] = []

    def theirs() -> Any:
        columns.append(torch.nn.functional.unfold(torch.tensor(x), kernel, **steps))
        return columns[0]

    agree(theirs, lambda: upsampling.unfold(x, kernel, **steps))
    if columns:
        agree(
            lambda: torch.nn.functional.fold(columns[0], size, kernel, **steps),
            lambda: upsampling.fold(columns[0].numpy(), size, kernel, **steps),
        )


@given(st.data())
def test_interpolation_is_torch_interpolation(data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 3), "rank")
    sizes, wanted = (
        tuple(data.draw(st.integers(1, 9), name) for _ in range(rank)) for name in ("size", "to")
    )
    x = np.random.default_rng(0).normal(size=(2, 3, *sizes))
    mode = ("linear", "bilinear", "trilinear")[rank - 1]
    corners = data.draw(st.booleans(), "align_corners")
    for theirs, ours, more in [
        (mode, "linear", {"align_corners": corners}),
        ("nearest-exact", "nearest", {}),
        *([("bicubic", "bicubic", {"align_corners": corners})] if rank == 2 else []),
    ]:
        expected = torch.nn.functional.interpolate(
            torch.tensor(x), size=wanted, mode=theirs, **more
        )
        for dtype, atol in ((np.float64, 1e-12), (np.float32, 1e-6)):
            result = upsampling.upsample(
                x.astype(dtype), size=wanted, method=ours, **more  # type: ignore[arg-type]
            )  # fmt: skip
            assert result.dtype == dtype
            np.testing.assert_allclose(result, expected, rtol=0, atol=atol * 4)


def test_a_kernel_of_bilinear_interpolation_is_torch_upsampling_inside() -> None:
    x = np.random.default_rng(0).normal(size=(1, 1, 6, 6))
    for factor in (2, 3, 4):
        w = np.asarray(upsampling.bilinear_kernel(factor, rank=2, dtype=jnp.float64))
        k = w.shape[0]
        raised = torch.nn.functional.conv_transpose2d(
            torch.tensor(x),
            torch.tensor(w)[None, None],
            stride=factor,
            padding=(k - factor) // 2,
            output_padding=(k - factor) % 2,
        )
        expected = torch.nn.functional.interpolate(torch.tensor(x), scale_factor=factor,
                                                   mode="bilinear")  # fmt: skip
        inside = (0, 0, slice(factor, -factor), slice(factor, -factor))
        np.testing.assert_allclose(raised[inside], expected[inside], atol=1e-12)
