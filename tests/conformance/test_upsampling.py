"""PyTorch's own samples of unpooling, pixel shuffles and unfolding; interpolation and pooling."""

from __future__ import annotations

import warnings
from typing import Any

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tconvjax import upsampling as up
from tests.conformance.test_peers import peer
from tests.oracles import agree
from tests.reading import read

torch = peer("torch")


def samples(name: str, dtype: str = "float32") -> list[Any]:
    """PyTorch's own of a function, by the name in ``torch.nn.functional``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecations of its own
        from torch.testing._internal.common_methods_invocations import op_db

        info = next(op for op in op_db if op.name == f"nn.functional.{name}")
        torch.manual_seed(0)
        return list(info.sample_inputs("cpu", getattr(torch, dtype)))


def unpooled(x: Any, indices: Any, kernel_size: Any, output_size: Any = None, **given: Any) -> Any:
    rank = x.ndim - 2
    size = None if output_size is None else tuple(output_size)[-rank:]
    kernel = tuple(np.broadcast_to(kernel_size, rank))
    return up.max_unpool(x, indices.numpy(), kernel, output_size=size, **given)


def unfolded(x: Any, **given: Any) -> Any:
    given = {name: tuple(np.broadcast_to(value, 2)) for name, value in given.items()}
    return read(lambda x: up.unfold(x, **given), x)


UNPOOLED = ("indices", "kernel_size", "stride", "padding", "output_size")
SAMPLES: dict[str, tuple[int, int, tuple[str, ...], Any]] = {
    "max_unpool1d": (144, 1, UNPOOLED, unpooled),
    "max_unpool2d": (288, 11, UNPOOLED, unpooled),
    "max_unpool3d": (96, 5, UNPOOLED, unpooled),
    "pixel_shuffle": (5, 1, (), lambda x, **f: up.pixel_shuffle(x, (*f.values(),) * 2)),
    "pixel_unshuffle": (5, 1, (), lambda x, **f: up.pixel_unshuffle(x, (*f.values(),) * 2)),
    "unfold": (163, 1, ("kernel_size", "dilation", "padding", "stride"), unfolded),
}  # fmt: skip
"""How many there are, one in how many is compared, the names of what has none, ours."""


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_agrees(name: str) -> None:
    count, step, names, ours = SAMPLES[name]
    found = samples(name)
    assert len(found) == count
    function = getattr(torch.nn.functional, name)
    for number, sample in list(enumerate(found))[::step]:
        expected = function(sample.input, *sample.args, **sample.kwargs).detach().numpy()
        given = dict(zip(names, sample.args, strict=False)) | sample.kwargs
        result = ours(sample.input.detach().numpy(), **given)
        np.testing.assert_array_equal(result, expected, err_msg=f"sample {number}")


@given(st.data())
def test_pooling_is_torch_pooling(data: st.DataObject) -> None:
    rank = data.draw(st.integers(1, 3), "rank")

    def each(least: int, most: int, name: str) -> tuple[int, ...]:
        return data.draw(st.tuples(*[st.integers(least, most)] * rank), name)

    x = np.random.default_rng(0).integers(-3, 4, (2, 2, *each(1, 8, "size"))).astype(np.float64)
    if data.draw(st.booleans(), "with NaN"):
        x.flat[::5] = np.nan
    steps: dict[str, Any] = {
        "kernel_size": each(1, 4, "kernel"), "stride": each(1, 3, "stride"),
        "padding": each(0, 2, "padding"), "ceil_mode": data.draw(st.booleans()),
    }  # fmt: skip
    largest = {**steps, "dilation": each(1, 2, "dilation"), "return_indices": True}
    pool = getattr(torch.nn.functional, f"max_pool{rank}d")

    def both(pooled: Any) -> Any:  # where a window is empty, PyTorch's index is anything
        value, index = map(np.asarray, pooled)
        return np.stack([value, np.where(np.isneginf(value), -1, index)])

    agree(lambda: both(pool(torch.tensor(x), **largest)), lambda: both(up.max_pool(x, **largest)))
    steps["count_include_pad"] = data.draw(st.booleans())
    mean = getattr(torch.nn.functional, f"avg_pool{rank}d")
    if rank == 3 and any(k > n for k, n in zip(steps["kernel_size"], x.shape[2:], strict=True)):
        return  # avg_pool3d refuses a padded image smaller than its window; 1d and 2d take it
    agree(lambda: mean(torch.tensor(x), **steps), lambda: up.avg_pool(x, **steps), 1e-12)


@given(st.data(), st.sampled_from(["nearest", "nearest-exact", "linear", "bicubic"]))
def test_interpolation_is_torch_interpolation(data: st.DataObject, mode: str) -> None:
    rank = 2 if mode == "bicubic" else data.draw(st.integers(1, 3), "rank")
    size, wanted = (data.draw(st.tuples(*[st.integers(1, 9)] * rank)) for _ in range(2))
    x = np.random.default_rng(0).normal(size=(2, 3, *size))
    nearest = mode.startswith("nearest")
    more: dict[str, Any] = (
        {} if nearest else {"align_corners": data.draw(st.booleans(), "align_corners")}
    )
    method: Any = "nearest-torch" if mode == "nearest" else mode
    mode = ("linear", "bilinear", "trilinear")[rank - 1] if mode == "linear" else mode
    expected = torch.nn.functional.interpolate(torch.tensor(x), size=wanted, mode=mode, **more)

    def ours(x: Any) -> Any:
        return up.upsample(x, size=wanted, method=method, **more)

    result = jax.jit(ours)(x) if nearest else read(ours, x)
    np.testing.assert_allclose(result, expected, rtol=0, atol=4e-12)


@given(st.data(), st.sampled_from(["nearest", "nearest-exact", "linear", "bicubic"]))
def test_a_fractional_factor_is_torch_scale_factor(data: st.DataObject, mode: str) -> None:
    rank = 2 if mode == "bicubic" else data.draw(st.integers(1, 3), "rank")
    factors = data.draw(st.tuples(*[st.sampled_from([1.0, 1.25, 1.5, 2.0, 2.5, 3.75])] * rank))
    x = np.random.default_rng(0).normal(
        size=(2, 3, *data.draw(st.tuples(*[st.integers(1, 9)] * rank)))
    )
    corners = not mode.startswith("nearest") and data.draw(st.booleans(), "align_corners")
    more: dict[str, Any] = {"align_corners": corners} if corners else {}
    name = ("linear", "bilinear", "trilinear")[rank - 1] if mode == "linear" else mode
    expected = torch.nn.functional.interpolate(
        torch.tensor(x), scale_factor=factors, mode=name, **more
    )
    method = "nearest-torch" if mode == "nearest" else name
    result = up.upsample(x, factors, method=method, align_corners=corners)
    np.testing.assert_allclose(result, expected, rtol=0, atol=4e-12)


@given(st.data(), st.sampled_from(["bilinear", "bicubic"]))
def test_downsampling_is_torch_antialiasing(data: st.DataObject, mode: str) -> None:
    wanted = data.draw(st.tuples(*[st.integers(2, 6)] * 2), "wanted")  # it errs at width 1
    size = tuple(m + data.draw(st.integers(0, 9), "more") for m in wanted)
    x = np.random.default_rng(0).normal(size=(2, 3, *size))
    expected = torch.nn.functional.interpolate(
        torch.tensor(x), size=wanted, mode=mode, antialias=True
    )
    result = up.downsample(x, size=wanted, method=mode)
    np.testing.assert_allclose(result, expected, rtol=0, atol=4e-12)
