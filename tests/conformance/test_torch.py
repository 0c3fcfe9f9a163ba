"""PyTorch's own samples (OpInfo, 2.13.0) of conv_transpose1d to 3d, in each of its seven dtypes."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import tconvjax as tc
from tests.conformance.test_peers import peer
from tests.conformance.test_upsampling import samples
from tests.oracles import ways

torch = peer("torch")
DTYPES = ("int64", "bfloat16", "float16", "float32", "float64", "complex64", "complex128")
COUNTS = {1: 10, 2: 12, 3: 10}


def array(tensor: Any) -> Any:
    """A tensor as NumPy's array; float32 holds a bfloat16 exactly."""
    if tensor.dtype == torch.bfloat16:
        return tensor.detach().float().numpy().astype(jnp.bfloat16)
    return tensor.detach().resolve_conj().numpy()


def wide(tensor: Any) -> Any:
    """The same numbers in the widest dtype of their kind."""
    if tensor.dtype == torch.int64:
        return tensor
    return tensor.detach().to(torch.complex128 if tensor.dtype.is_complex else torch.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("rank", COUNTS)
def test_every_sample_agrees(rank: int, dtype: str) -> None:
    """With the 64-bit result, but for roundings: of the result, of the bias, of the terms."""
    found = samples(f"conv_transpose{rank}d", dtype)
    assert len(found) == COUNTS[rank]
    function = getattr(torch.nn.functional, f"conv_transpose{rank}d")
    eps = 0 if dtype == "int64" else float(jnp.finfo(dtype).eps)
    working = max(float(np.finfo(np.float64).eps), min(eps, float(np.finfo(np.float32).eps)))
    for number, sample in enumerate(found):
        tensors, keywords = (
            [t for t in (sample.input, *sample.args) if t is not None],
            sample.kwargs,
        )
        exact = array(function(*map(wide, tensors), **keywords))
        size = array(function(*(abs(wide(t)) for t in tensors), **keywords))
        allowed = ((2 * eps if eps > 1e-5 else 0) + 32 * working) * size
        for result in ways(
            lambda *v, given=keywords: tc.conv_transpose(*v, **given), *map(array, tensors)
        ):
            assert (result.dtype, result.shape) == (dtype, exact.shape)
            if dtype == "int64":
                np.testing.assert_array_equal(result, exact, err_msg=f"sample {number}")
            assert np.all(abs(result.astype(exact.dtype) - exact) <= allowed), f"sample {number}"
