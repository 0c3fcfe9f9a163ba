"""What the package is held to, and the ways to compute what is held to it.

The three partials are NumPy loops over the taps, written from the definition and from nothing of
ours; padding is done by ``np.pad``.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np
import pytest
from jaxlib.version import __version_info__ as jaxlib_version

from tconvjax import GeometryError
from tests.reading import read
from tests.strategies import Arguments

SHIPPED: dict[str, Any] = {
    "xla_backend_optimization_level": 3,
    "xla_llvm_disable_expensive_passes": False,
    "xla_cpu_parallel_codegen_split_count": 32,
    **({"xla_cpu_use_fusion_emitters": True} if jaxlib_version < (0, 11) else {}),
}
"""XLA's own values of the flags that ``conftest.py`` sets."""


def shipped(f: Callable[..., Any]) -> Callable[..., Any]:
    """``jax.jit(f)`` as XLA compiles it for users; it takes a program and no part of one."""
    return jax.jit(f, compiler_options=SHIPPED)


def ways(f: Callable[..., Any], *operands: Any) -> Iterator[Any]:
    """What a program gives: as NumPy reads it, and for one case in ten as XLA compiles it.

    The thorough profile compiles every case.
    """
    yield read(f, *operands)
    places = zlib.crc32(b"".join(np.asarray(v).tobytes() for v in jax.tree.leaves(operands)))
    if places % 10 == 0 or os.environ.get("HYPOTHESIS_PROFILE") == "thorough":
        yield jax.tree.map(np.asarray, jax.jit(f)(*operands))


NUMPY_MODES = {"zeros": "constant", "circular": "wrap", "reflect": "reflect", "replicate": "edge"}


def equations(program: Any) -> Iterator[Any]:
    """All equations of a program, those of its inner programs too."""
    for equation in getattr(program, "jaxpr", program).eqns:
        yield equation
        for value in equation.params.values():
            for inner in value if isinstance(value, tuple | list) else (value,):
                if hasattr(inner, "eqns"):
                    yield from equations(inner)


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


def assert_refused(calls: Iterable[tuple[Callable[[], Any], str]]) -> None:
    """Each call raises GeometryError with its text, and a remedy at the end."""
    unsaid = []
    for call, text in calls:
        with pytest.raises(GeometryError) as caught:
            call()
        if text not in str(caught.value) or "; " not in str(caught.value):
            unsaid.append(f"{text}\n    {caught.value}")
    assert not unsaid, "\n".join(unsaid)


def padded_index(size: int, low: int, high: int, mode: str) -> Any:
    """Which input element stands at each place of a padded line; -1 for a zero."""
    index = np.arange(size)
    ends = (max(low, 0), max(high, 0))
    extra = {"constant_values": -1} if mode == "zeros" else {}
    if any(ends):
        index = np.pad(index, ends, mode=NUMPY_MODES[mode], **extra)  # type: ignore[call-overload]
    return index[max(-low, 0) : len(index) - max(-high, 0)]


def _lines(a: Arguments) -> list[Any]:
    """The padded line of each spatial axis, as `padded_index` gives it."""
    ends = zip(a.in_size, a.padding, strict=True)
    return [padded_index(n, low, high, a.padding_mode) for n, (low, high) in ends]


def _filled(a: Arguments, x: Any) -> Any:
    """The padded x, as (N, groups, C / groups, *padded)."""
    for axis, line in enumerate(_lines(a), 2):
        kept = (line >= 0).reshape(-1, *(1,) * (x.ndim - axis - 1))
        x = np.where(kept, x.take(np.maximum(line, 0), axis), x.dtype.type(0))
    return x.reshape(len(x), a.groups, -1, *x.shape[2:])


def _taps(a: Arguments, out: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Any]]:
    """Each tap t, and the places s*i + d*t of a padded array that the outputs i meet with it."""
    for tap in np.ndindex(*a.kernel_size):
        steps = zip(tap, out, a.stride, a.dilation, strict=True)
        yield tap, (..., *(slice(d * t, d * t + s * (n - 1) + 1, s) for t, n, s, d in steps))


def _grouped(a: Arguments, v: Any, axis: int) -> Any:
    """Output channels, at an axis, as groups and channels within a group."""
    return v.reshape(*v.shape[:axis], a.groups, -1, *v.shape[axis + 1 :])


def conv(a: Arguments, x: Any, w: Any) -> Any:
    """Sum into y[n, o, i] of w[o, c, t] * x[n, c, s*i + d*t - p]."""
    x, w = _filled(a, x), _grouped(a, w, 0)
    y: Any = np.zeros((len(x), a.groups, w.shape[1], *a.y_shape[2:]), x.dtype)
    for tap, places in _taps(a, a.y_shape[2:]):
        y += np.einsum("ngc...,goc->ngo...", x[places], w[(..., *tap)])
    return y.reshape(len(x), a.out_channels, *a.y_shape[2:])


def conv_transpose(a: Arguments, y: Any, w: Any) -> Any:
    """Add to x[n, c, s*i + d*t - p] the w[o, c, t] * y[n, o, i] from every i and t."""
    y, w, lines = _grouped(a, y, 1), _grouped(a, w, 0), _lines(a)
    x: Any = np.zeros((len(y), a.groups, w.shape[2], *map(len, lines)), y.dtype)
    for tap, places in _taps(a, y.shape[3:]):
        x[places] += np.einsum("ngo...,goc->ngc...", y, w[(..., *tap)])
    x = x.reshape(len(x), a.in_channels, *x.shape[3:])
    for axis, (size, line) in enumerate(zip(a.in_size, lines, strict=True), 2):
        padded = np.moveaxis(x, axis, 0)
        inside: Any = np.zeros((size, *padded.shape[1:]), y.dtype)
        np.add.at(inside, line[line >= 0], padded[line >= 0])
        x = np.moveaxis(inside, 0, axis)
    return x


def kernel_gradient(a: Arguments, x: Any, y: Any) -> Any:
    """Sum into w[o, c, t] of y[n, o, i] * x[n, c, s*i + d*t - p]."""
    x, y, out = _filled(a, x), _grouped(a, y, 1), y.shape[2:]
    y = y.reshape(*y.shape[:3], -1)
    w: Any = np.zeros((a.groups, y.shape[2], x.shape[2], *a.kernel_size), x.dtype)
    for tap, places in _taps(a, out):
        w[(..., *tap)] = np.einsum("ngoi,ngci->goc", y, x[places].reshape(*x.shape[:3], -1))
    return w.reshape(a.w_shape)


LOOPS: dict[str, Callable[..., Any]] = {
    "conv": conv,
    "conv_transpose": conv_transpose,
    "kernel_gradient": kernel_gradient,
}
PARTIALS = {
    "conv": ("x", "w", "y"),
    "conv_transpose": ("y", "w", "x"),
    "kernel_gradient": ("x", "y", "w"),
}
"""The operands of each partial, and its result."""
