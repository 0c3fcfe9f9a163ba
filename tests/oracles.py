"""The three partials as NumPy loops, written from the definition and from nothing of ours.

Padding is done by ``np.pad``; the sums run over output positions and taps one by one.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from tconvjax import GeometryError
from tests.strategies import Arguments

NUMPY_MODES = {"zeros": "constant", "circular": "wrap", "reflect": "reflect", "replicate": "edge"}


def agree(theirs: Callable[[], Any], ours: Callable[[], Any], atol: float = 0) -> None:
    """The same values, or a refusal by both. What is empty says nothing."""
    try:
        expected = np.asarray(theirs())
    except Exception:  # noqa: BLE001 - peers refuse by any exception
        with pytest.raises(GeometryError):
            ours()
        return
    if expected.size:
        result = np.asarray(ours())
        assert result.shape == expected.shape
        np.testing.assert_allclose(result, expected, rtol=0, atol=atol)


def padded_index(size: int, low: int, high: int, mode: str) -> Any:
    """Which input element stands at each place of a padded line; -1 for a zero."""
    index = np.arange(size)
    ends = (max(low, 0), max(high, 0))
    extra = {"constant_values": -1} if mode == "zeros" else {}
    if any(ends):
        index = np.pad(index, ends, mode=NUMPY_MODES[mode], **extra)  # type: ignore[call-overload]
    return index[max(-low, 0) : len(index) - max(-high, 0)]


def _meetings(a: Arguments, out: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], ...]]:
    """Every (output position, tap, input position) of the spatial axes, zeros left out."""
    tables = [
        padded_index(n, lo, hi, a.padding_mode)
        for n, (lo, hi) in zip(a.in_size, a.padding, strict=True)
    ]
    for i in itertools.product(*map(range, out)):
        for t in itertools.product(*map(range, a.kernel_size)):
            places = [
                table[s * p + d * q]
                for table, s, p, d, q in zip(tables, a.stride, i, a.dilation, t, strict=True)
            ]
            if min(places) >= 0:
                yield i, t, tuple(int(p) for p in places)


def _channels(a: Arguments) -> Iterator[tuple[int, int, int]]:
    """Every (output channel, input channel, input channel within its group)."""
    outs, ins = a.out_channels // a.groups, a.in_channels // a.groups
    for o in range(a.out_channels):
        for c in range(ins):
            yield o, (o // outs) * ins + c, c


def conv(a: Arguments, x: Any, w: Any) -> Any:
    """Sum into y[n, o, i] of w[o, c, t] * x[n, c, s*i + d*t - p]."""
    y: Any = np.zeros(a.y_shape, x.dtype)
    for i, t, j in _meetings(a, a.y_shape[2:]):
        for o, c, within in _channels(a):
            y[:, o, *i] += w[o, within, *t] * x[:, c, *j]
    return y


def conv_transpose(a: Arguments, y: Any, w: Any) -> Any:
    """Add to x[n, c, s*i + d*t - p] the w[o, c, t] * y[n, o, i] from every i and t."""
    x: Any = np.zeros((y.shape[0], a.in_channels, *a.in_size), y.dtype)
    for i, t, j in _meetings(a, y.shape[2:]):
        for o, c, within in _channels(a):
            x[:, c, *j] += w[o, within, *t] * y[:, o, *i]
    return x


def kernel_gradient(a: Arguments, x: Any, y: Any) -> Any:
    """Sum into w[o, c, t] of y[n, o, i] * x[n, c, s*i + d*t - p]."""
    w: Any = np.zeros(a.w_shape, x.dtype)
    for i, t, j in _meetings(a, y.shape[2:]):
        for o, c, within in _channels(a):
            w[o, within, *t] += (y[:, o, *i] * x[:, c, *j]).sum(dtype=x.dtype)
    return w
