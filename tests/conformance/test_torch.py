"""PyTorch's own samples (OpInfo) of conv_transpose1d, 2d and 3d, in each of its seven dtypes.

PyTorch is not installed with the tests; ``pip install torch==2.13.0`` brings the version whose
samples these are, and ``pytest tests/conformance`` runs them.
"""

from __future__ import annotations

import functools
import warnings
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

import tconvjax as tc

torch = pytest.importorskip(
    "torch",
    reason="PyTorch is not installed, so 224 samples of its own were not compared; "
    "'pip install torch==2.13.0' and 'pytest tests/conformance' run them",
)

DTYPES = ("int64", "bfloat16", "float16", "float32", "float64", "complex64", "complex128")
COUNTS = {1: 10, 2: 12, 3: 10}


@functools.cache
def samples(rank: int, dtype: str) -> list[Any]:
    with warnings.catch_warnings():
        # Importing PyTorch's test library warns of deprecations of its own.
        warnings.simplefilter("ignore")
        from torch.testing._internal.common_methods_invocations import op_db
    (info,) = [op for op in op_db if op.name == f"nn.functional.conv_transpose{rank}d"]
    torch.manual_seed(0)
    return list(info.sample_inputs("cpu", getattr(torch, dtype)))


def array(tensor: Any) -> Any:
    """A tensor as a JAX array; NumPy has no bfloat16, which float32 holds exactly."""
    if tensor is None:
        return None
    if tensor.dtype == torch.bfloat16:
        return jnp.asarray(tensor.detach().float().numpy()).astype(jnp.bfloat16)
    return jnp.asarray(tensor.detach().resolve_conj().numpy())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("rank", "number"), [(rank, n) for rank, count in COUNTS.items() for n in range(count)]
)
def test_a_sample_agrees(rank: int, number: int, dtype: str) -> None:
    assert len(samples(rank, dtype)) == COUNTS[rank]
    sample = samples(rank, dtype)[number]
    function = getattr(torch.nn.functional, f"conv_transpose{rank}d")
    y, (w, bias), keywords = sample.input, sample.args, sample.kwargs
    result = tc.conv_transpose(array(y), array(w), array(bias), **keywords)
    assert result.dtype == dtype
    exact = function(*(wide(v) for v in (y, w, bias)), **keywords)
    assert result.shape == tuple(exact.shape)
    expected = np.asarray(exact.detach().resolve_conj())
    if dtype == "int64":
        np.testing.assert_array_equal(result, expected)
        return
    # Against the 64-bit result: a rounding of the result, one of the bias's sum, and float32's
    # roundings of the terms.
    size = np.asarray(
        function(
            *(abs(wide(v)) if v is not None else None for v in (y, w, bias)), **keywords
        ).detach()
    )
    eps = float(jnp.finfo(dtype).eps)
    working = max(float(np.finfo(np.float64).eps), min(eps, float(np.finfo(np.float32).eps)))
    allowed = (2 * eps * abs(size) if eps > 1e-5 else 0) + 32 * working * abs(size)
    found = np.asarray(result).astype(expected.dtype)
    assert np.all(abs(found - expected) <= allowed), f"{abs(found - expected).max()}"


def wide(tensor: Any) -> Any:
    """The same numbers in the widest dtype of their kind."""
    if tensor is None or tensor.dtype == torch.int64:
        return tensor
    return tensor.detach().to(torch.complex128 if tensor.dtype.is_complex else torch.float64)
