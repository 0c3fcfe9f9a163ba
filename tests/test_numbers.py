"""Rounding, extreme magnitudes, Inf and NaN, and the same bits again, under every algorithm."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tconvjax as tc
from tests import oracles
from tests.strategies import Arguments
from tests.sweep.cases import Case
from tests.sweep.checking import LOOPS, PARTIALS, programs

Results = dict[tuple[str, str], Any]
ZERO_FREE = {"patches", "taps"}
"""They write no zero between or around the elements that a transposed convolution reads; but see
`test_depthwise_taps_stay_in_their_channel`."""


def compiled(case: Case) -> Any:
    """All partials by all algorithms as one program of {"x": ..., "w": ..., "y": ...}."""
    todo = programs(case)

    @jax.jit
    def program(arrays: Mapping[str, Any]) -> list[Any]:
        placed = {role: case.placed(role, v) for role, v in arrays.items()}
        results = [f(*(placed[role] for role in PARTIALS[key[1]][:2])) for key, f in todo.items()]
        return [case.restored(PARTIALS[key[1]][2], v) for key, v in zip(todo, results, strict=True)]

    return lambda arrays: dict(zip(todo, map(np.asarray, program(arrays)), strict=True))


# -- accuracy --------------------------------------------------------------------------------------

LONG = Arguments(4, 3, 4, (60,), (6,), (2,), ((1, 1),), (1,), 1)
DTYPES = ("float16", "bfloat16", "float32", "float64", "complex64")
NARROW = ("float16", "bfloat16")


def relative(result: Any, exact: Any, sizes: Any, dtype: str) -> float:
    """The root of the mean square error, in roundings of the sum of the terms' sizes."""
    off = abs(np.asarray(result).astype(exact.dtype) - exact) / sizes
    return float(np.sqrt((off.astype(np.float64) ** 2).mean())) / float(jnp.finfo(dtype).eps)


def torchs(case: Case, arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The three partials by PyTorch, on the same numbers."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
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
    arrays = dict(zip("xwy", case.numbers(whole=False), strict=True))
    theirs, ours = torchs(case, arrays), compiled(case)(arrays)
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


@pytest.mark.parametrize(("dtype", "large"), [("bfloat16", 256), ("float16", 2048)])
def test_narrow_floats_are_added_up_wide(dtype: str, large: int) -> None:
    """Eleven ones and one that swallows each of them, in every place of the order."""
    count = 12
    marked = np.ones((count, count)) + (large - 1) * np.eye(count)
    narrow = jnp.dtype(dtype)
    assert narrow.type(large) + narrow.type(1) == narrow.type(large)
    right = np.float64(large + count - 1).astype(narrow)
    assert right != narrow.type(large)
    ones = np.ones((count, 1, 1), narrow)

    @jax.jit
    def program(values: Any) -> list[Any]:
        found = []
        for name in tc.ALGORITHMS:
            found += [
                tc.conv(values[:, None, :], jnp.ones((1, 1, count), narrow), algorithm=name),
                tc.conv_transpose(values[:, :, None], ones, algorithm=name),
                tc.kernel_gradient(
                    values[None], jnp.ones((1, 1, count), narrow), kernel_size=1, algorithm=name
                ),
            ]
        return found

    for result in program(marked.astype(narrow)):
        assert result.dtype == narrow
        np.testing.assert_array_equal(np.asarray(result).ravel(), np.full(count, right))


# -- magnitudes ------------------------------------------------------------------------------------

SMALL = Arguments(2, 2, 4, (7,), (3,), (2,), ((1, 1),), (1,), 2)


def test_powers_of_two_change_no_digit() -> None:
    """Large times tiny is not lost: a scale of 2**n comes out as 2**n, to the last bit."""
    case = Case(SMALL, "float32", seed=2)
    arrays, run = dict(zip("xwy", case.numbers(whole=False), strict=True)), compiled(case)
    far = np.float32(2.0**100)
    plain = run(arrays)
    for up, down in (("x", "w"), ("w", "y"), ("y", "x")):
        scaled = {**arrays, up: arrays[up] * far, down: arrays[down] / far}
        for (name, partial), result in run(scaled).items():
            both = up in PARTIALS[partial][:2], down in PARTIALS[partial][:2]
            factor = {(True, True): np.float32(1), (True, False): far}.get(both, 1 / far)
            np.testing.assert_array_equal(result, plain[name, partial] * factor)


@pytest.mark.parametrize(("dtype", "allowed"), [("float16", 0.0), ("float32", 6 * 2.0**-126)])
def test_the_smallest_numbers_are_kept_or_taken_for_zero(dtype: str, allowed: float) -> None:
    """XLA on a CPU takes a float32 below 2**-126 for zero; each of six terms may be off by that."""
    case = Case(SMALL, dtype, seed=3)
    x, w, _ = case.numbers(whole=True)
    tiny = (x * float(jnp.finfo(dtype).smallest_subnormal)).astype(dtype)
    assert tiny.any()
    exact = oracles.conv(SMALL, tiny.astype(np.float64), w.astype(np.float64))

    @jax.jit
    def program(x: Any, w: Any) -> list[Any]:
        return [tc.conv(x, w, algorithm=name, **SMALL.keywords) for name in tc.ALGORITHMS]

    for result in program(tiny, w):
        assert (abs(np.asarray(result).astype(np.float64) - exact) <= allowed).all()


# -- Inf and NaN -----------------------------------------------------------------------------------

CASES = {
    "groups": Arguments(2, 4, 2, (7,), (3,), (2,), ((0, 0),), (1,), 2),
    "dilation": Arguments(1, 4, 8, (9,), (3,), (2,), ((2, 1),), (3,), 2),
    "plane": Arguments(1, 2, 2, (4, 5), (3, 2), (2, 1), ((1, 1), (0, 1)), (1, 1), 1),
}


def touched(a: Arguments, partial: str, role: str, place: tuple[int, ...]) -> set[tuple[int, ...]]:
    """The elements of the result that read an element, by the links of the geometry."""
    found = set()
    for link in tc.links(a.geometry):
        for n in range(a.batch):
            at = {"x": (n, *link.input), "w": link.tap, "y": (n, *link.output)}
            if at[role] == place:
                found.add(at[PARTIALS[partial][2]])
    return found


def spoilt(result: Any) -> set[tuple[int, ...]]:
    """Where a result is not finite."""
    return {tuple(map(int, place)) for place in np.argwhere(~np.isfinite(result))}


def line_of(a: Arguments, partial: str, role: str, place: tuple[int, ...], spot: Any) -> bool:
    """Whether an element of a result belongs to the channels of a tap or of a cotangent."""
    if partial == "kernel_gradient":
        return bool(spot[0] == place[1])
    outs, ins = a.out_channels // a.groups, a.in_channels // a.groups
    return bool(spot[1] == (place[0] if partial == "conv" else place[0] // outs * ins + place[1]))


def assert_contained(
    a: Arguments, name: str, partial: str, role: str, place: Any, bad: Any
) -> None:
    """All that is touched is spoilt, and nothing else, but where zeros stand by definition."""
    right = touched(a, partial, role, place)
    where = f"{partial} by {name}, {role}{place}"
    assert right <= bad, where
    padded = any(end > 0 for ends in a.padding for end in ends)
    # The zeros of the padding are multiplied by taps, or by the gradient of what they gave.
    by_definition = padded and (partial, role) in (("conv", "w"), ("kernel_gradient", "y"))
    by_xla = (partial, role) == ("conv_transpose", "w") and name not in ZERO_FREE
    if by_definition or by_xla:
        assert all(line_of(a, partial, role, place, spot) for spot in bad - right), where
    else:
        assert bad == right, where


@pytest.mark.parametrize("kind", CASES)
def test_inf_and_nan_reach_what_their_element_touches(kind: str) -> None:
    a = CASES[kind]
    case = Case(a, "float32", seed=4)
    run = compiled(case)
    arrays = {role: abs(v) + 1 for role, v in zip("xwy", case.numbers(whole=True), strict=True)}
    for role, plain in arrays.items():
        for n, place in enumerate(np.ndindex(*plain.shape)):
            value = plain.copy()
            value[place] = (np.inf, np.nan)[n % 2]
            for (name, partial), result in run({**arrays, role: value}).items():
                if role in PARTIALS[partial][:2]:
                    assert_contained(a, name, partial, role, place, spoilt(result))


def test_depthwise_taps_stay_in_their_channel() -> None:
    """With channels first they multiply zeros at the rim, which is five times as fast."""
    y, w = np.ones((1, 2, 4), np.float32), np.ones((2, 1, 3), np.float32)
    w[0, 0, 0] = np.inf
    options: dict[str, Any] = {"stride": 2, "groups": 2, "padding": 1, "output_padding": 1}
    result = tc.conv_transpose(y, w, algorithm="taps", **options)
    assert spoilt(result) == {(0, 0, 1), (0, 0, 3), (0, 0, 5), (0, 0, 7)}
    exact = tc.conv_transpose(y, w, algorithm="patches", **options)
    assert spoilt(exact) == {(0, 0, 1), (0, 0, 3), (0, 0, 5)}


def test_a_leak_would_be_seen() -> None:
    a = CASES["groups"]
    with pytest.raises(AssertionError, match="conv by direct"):
        assert_contained(a, "direct", "conv", "x", (0, 0, 0), {(0, 0, 0), (1, 1, 2)})
    with pytest.raises(AssertionError, match="conv by direct"):
        assert_contained(a, "direct", "conv", "x", (0, 0, 0), set())


# -- nothing, and the same again -------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["auto", *tc.ALGORITHMS])
@pytest.mark.parametrize("dtype", ["bfloat16", "complex64", "int32"])
def test_a_kernel_gradient_of_nothing_is_zero(algorithm: str, dtype: str) -> None:
    for x, y in (((0, 2, 5), (0, 3, 4)), ((2, 0, 5), (2, 3, 4)), ((2, 2, 0), (2, 3, 0)),
                 ((2, 2, 5), (2, 0, 4))):  # fmt: skip
        dw = tc.kernel_gradient(
            jnp.ones(x, dtype), jnp.ones(y, dtype), kernel_size=2, algorithm=algorithm
        )
        assert dw.shape == (y[1], x[1], 2)
        assert dw.dtype == dtype
        assert not dw.any()


SAME_AGAIN = """
import hashlib, jax, numpy as np
from tests.test_numbers import fingerprint
print(fingerprint())
"""


def fingerprint() -> str:
    """The bits of all partials as "auto" computes them, of arrays that threads share out."""
    a = Arguments(4, 8, 8, (256,), (4,), (2,), ((1, 1),), (1,), 1)
    case = Case(a, "float32", algorithm="auto", seed=6)
    arrays, run = dict(zip("xwy", case.numbers(whole=False), strict=True)), compiled(case)
    found = [hashlib.sha256(b"".join(v.tobytes() for v in run(arrays).values())).hexdigest()
             for _ in range(5)]  # fmt: skip
    assert len(set(found)) == 1
    return found[0]


def test_the_same_bits_from_run_to_run_and_from_process_to_process() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", SAME_AGAIN], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == fingerprint()
