"""Rounding errors beside PyTorch's, on the same numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest

from tests.oracles import LOOPS, PARTIALS
from tests.strategies import Arguments, Case
from tests.test_numbers import computed

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch==2.13.0")

LONG = Arguments(4, 3, 4, (60,), (6,), (2,), ((1, 1),), (1,), 1)
DTYPES = ("float16", "bfloat16", "float32", "float64", "complex64")
NARROW = ("float16", "bfloat16")


def relative(result: Any, exact: Any, sizes: Any, dtype: str) -> float:
    """The root of the mean square error, in roundings of the sum of the terms' sizes."""
    off = abs(np.asarray(result).astype(exact.dtype) - exact) / sizes
    return float(np.sqrt((off.astype(np.float64) ** 2).mean())) / float(jnp.finfo(dtype).eps)


def torchs(case: Case, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The three partials by PyTorch, on the same numbers."""
    wide = np.complex128 if case.dtype.startswith("complex") else np.float64
    x, w, y = (torch.tensor(arrays[role].astype(wide)).to(getattr(torch, case.dtype))
               for role in "xwy")  # fmt: skip
    (stride,), ((padding, _),) = case.a.stride, case.a.padding
    w.requires_grad_()
    forward = torch.nn.functional.conv1d(x, w, stride=stride, padding=padding)
    back = torch.nn.functional.conv_transpose1d(y, w.detach(), stride=stride, padding=padding)
    (gradient,) = torch.autograd.grad(forward, w, y.conj())
    found = {"conv": forward.detach(), "conv_transpose": back, "kernel_gradient": gradient.conj()}
    return {name: v.to(getattr(torch, wide.__name__)).resolve_conj().numpy()
            for name, v in found.items()}  # fmt: skip


@pytest.mark.parametrize("dtype", DTYPES)
def test_errors_are_those_of_pytorch(dtype: str) -> None:
    """The same to three digits for narrow floats, else up to the order of the sums.

    With float32 and wider, which of the two is closer differs from sum to sum, and neither is
    twice as far from the definition as the other: the root of the mean square tells.
    """
    case = Case(LONG, dtype, seed=1)
    arrays = case.numbers(whole=False)
    theirs, ours = torchs(case, arrays), computed(case)(arrays)
    wide = np.clongdouble if dtype.startswith("complex") else np.longdouble
    exact, sizes = {}, {}
    for partial, (first, second, _) in PARTIALS.items():
        p, q = (arrays[role].astype(wide) for role in (first, second))
        exact[partial] = LOOPS[partial](LONG, p, q)
        sizes[partial] = LOOPS[partial](LONG, abs(p), abs(q))
    for (name, partial), result in ours.items():
        reached = relative(theirs[partial], exact[partial], sizes[partial], dtype)
        error = relative(result, exact[partial], sizes[partial], dtype)
        slack = 1.001 if dtype in NARROW else 2.0
        assert error <= slack * reached, f"{partial} by {name}: {error}, PyTorch {reached}"
