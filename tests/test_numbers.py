"""Rounding, extreme magnitudes, Inf and NaN, and the same bits again, under every algorithm."""

from __future__ import annotations

import hashlib
import itertools
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import tconvjax as tc
from tests import oracles
from tests.oracles import PARTIALS, shipped
from tests.strategies import Arguments, Case
from tests.test_definition import program

ZERO_FREE = {"patches", "taps"}
"""They write no zero between or around the elements that a transposed convolution reads; but see
`test_depthwise_taps_stay_in_their_channel`."""


def computed(case: Case) -> Any:
    """All partials by all algorithms as one program of {"x": ..., "w": ..., "y": ...}."""
    run = shipped(program(case))
    return lambda arrays: jax.tree.map(np.asarray, run(arrays))


# -- accuracy --------------------------------------------------------------------------------------


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

    @shipped
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


def test_borders_are_folded_in_float32() -> None:
    """40000 + 40000 - 40000 overflows float16 on its way unless it is summed wider."""
    y = jnp.asarray([[[40000.0, 40000.0, -40000.0]]], "float16")
    w = jnp.ones((1, 1, 3), "float16")
    for mode in ("circular", "reflect"):
        options: dict[str, Any] = {"padding": 1, "padding_mode": mode}
        wide = tc.conv_transpose(y.astype("float32"), w.astype("float32"), **options)
        np.testing.assert_array_equal(
            tc.conv_transpose(y, w, **options), wide.astype("float16"), err_msg=mode
        )


def test_pythons_float_and_int_are_the_widest_that_jax_has() -> None:
    for enabled, bits in ((False, 32), (True, 64)):
        with jax.enable_x64(enabled):
            for kind, narrow in ((float, "bfloat16"), (int, "int8")):
                x = jnp.ones((1, 1, 3), narrow)
                found = tc.conv(x, x, preferred_element_type=kind)
                assert found.dtype == f"{kind.__name__}{bits}"


# -- magnitudes ------------------------------------------------------------------------------------

SMALL = Arguments(2, 2, 4, (7,), (3,), (2,), ((1, 1),), (1,), 2)


def test_powers_of_two_change_no_digit() -> None:
    """Large times tiny is not lost: a scale of 2**n comes out as 2**n, to the last bit."""
    case = Case(SMALL, "float32", seed=2)
    arrays, run = case.numbers(whole=False), computed(case)
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
    x, w = (case.numbers(whole=True)[role] for role in "xw")
    tiny = (x * float(jnp.finfo(dtype).smallest_subnormal)).astype(dtype)
    assert tiny.any()
    exact = oracles.conv(SMALL, tiny.astype(np.float64), w.astype(np.float64))

    @shipped
    def program(x: Any, w: Any) -> list[Any]:
        return [tc.conv(x, w, algorithm=name, **SMALL.keywords) for name in tc.ALGORITHMS]

    for result in program(tiny, w):
        assert (abs(np.asarray(result).astype(np.float64) - exact) <= allowed).all()


# -- Inf and NaN -----------------------------------------------------------------------------------

CASES = {
    "groups": Arguments(2, 4, 2, (7,), (3,), (2,), ((0, 0),), (1,), 2),
    "dilation": Arguments(1, 4, 8, (9,), (3,), (2,), ((2, 1),), (3,), 2),
    "plane": Arguments(1, 2, 2, (4, 5), (3, 2), (2, 1), ((1, 1), (0, 1)), (1, 1), 1),
    "uneven phases": Arguments(1, 3, 1, (24,), (9,), (2,), ((1, 0),), (1,), 1),
    "few outputs": Arguments(1, 3, 1, (5, 5), (3, 2), (3, 1), ((1, 2), (1, 1)), (1, 2), 1),
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
    """Whether an element of a result belongs to the channels of an operand's element."""
    outs, ins = a.out_channels // a.groups, a.in_channels // a.groups
    if partial == "kernel_gradient":
        of_x = spot[0] // outs * ins + spot[1]
        return bool(place[1] == (of_x if role == "x" else spot[0]))
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
    # "patches" lays out y, between zeros, where that copies less: of these where y is smaller.
    of_y = name == "patches" and a.out_channels < a.in_channels and (partial, role) in (
        ("conv_transpose", "w"), ("kernel_gradient", "x")
    )  # fmt: skip
    if by_definition or by_xla or of_y:
        assert all(line_of(a, partial, role, place, spot) for spot in bad - right), where
    else:
        assert bad == right, where


@pytest.mark.parametrize("kind", CASES)
def test_inf_and_nan_reach_what_their_element_touches(kind: str) -> None:
    a = CASES[kind]
    case = Case(a, "float32", seed=4)
    run = computed(case)
    arrays = {role: abs(v) + 1 for role, v in case.numbers(whole=True).items()}
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


def test_channels_that_are_last_are_never_multiplied_by_zeros_of_taps() -> None:
    """What the promise says of "taps", for every tap and element of y."""
    for a in CASES.values():
        case = Case(a, "float32", "last", names=("taps",), seed=4)
        run = computed(case)
        arrays = {role: abs(v) + 1 for role, v in case.numbers(whole=True).items()}
        for role in "wy":
            for place in np.ndindex(*arrays[role].shape):
                value = arrays[role].copy()
                value[place] = np.inf
                given = {**arrays, role: value}
                placed = {role: case.placed(role, v) for role, v in given.items()}
                result = case.restored("x", run(placed)["taps", "conv_transpose"])
                assert spoilt(result) == touched(a, "conv_transpose", role, place)


def test_in_float64_an_element_may_reach_the_groups_beside_its_own() -> None:
    """XLA on a CPU multiplies it there by zero, in "direct" and "polyphase"."""
    x, w = np.ones((1, 2, 6)), np.ones((2, 1, 1))
    x[0, 1, 4] = np.inf
    assert spoilt(tc.conv(x, w, groups=2, algorithm="direct")) == {(0, 0, 4), (0, 1, 4)}
    for name in ("patches", "taps"):
        assert spoilt(tc.conv(x, w, groups=2, algorithm=name)) == {(0, 1, 4)}
    narrow = tc.conv(x.astype("f4"), w.astype("f4"), groups=2, algorithm="direct")
    assert spoilt(narrow) == {(0, 1, 4)}


def test_a_leak_would_be_seen() -> None:
    a = CASES["groups"]
    with pytest.raises(AssertionError, match="conv by direct"):
        assert_contained(a, "direct", "conv", "x", (0, 0, 0), {(0, 0, 0), (1, 1, 2)})
    with pytest.raises(AssertionError, match="conv by direct"):
        assert_contained(a, "direct", "conv", "x", (0, 0, 0), set())


# -- nothing, and the same again -------------------------------------------------------------------


def test_a_kernel_gradient_of_nothing_is_zero() -> None:
    nothing = [((0, 2, 5), (0, 3, 4)), ((2, 0, 5), (2, 3, 4)), ((2, 2, 0), (2, 3, 0)),
               ((2, 2, 5), (2, 0, 4))]  # fmt: skip
    dtypes = ("bfloat16", "complex64", "int32")
    for (x, y), name, dtype in itertools.product(nothing, ("auto", *tc.ALGORITHMS), dtypes):
        zeros = np.zeros(x, dtype), np.zeros(y, dtype)
        dw = jax.eval_shape(
            lambda x, y, n=name: tc.kernel_gradient(x, y, kernel_size=2, algorithm=n), *zeros
        )
        assert (dw.shape, dw.dtype) == ((y[1], x[1], 2), dtype)
    for x, y in nothing:
        assert not tc.kernel_gradient(jnp.ones(x), jnp.ones(y), kernel_size=2).any()


SAME_AGAIN = """
import hashlib, jax, numpy as np
from tests.test_numbers import fingerprint
print(fingerprint())
"""


def fingerprint() -> str:
    """The bits of all partials as "auto" computes them, of arrays that threads share out."""
    a = Arguments(4, 8, 8, (256,), (4,), (2,), ((1, 1),), (1,), 1)
    case = Case(a, "float32", names=("auto",), seed=6)
    arrays, run = case.numbers(whole=False), computed(case)
    found = [hashlib.sha256(b"".join(v.tobytes() for v in run(arrays).values())).hexdigest()
             for _ in range(5)]  # fmt: skip
    assert len(set(found)) == 1
    return found[0]


def test_the_same_bits_from_run_to_run_and_from_process_to_process() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", SAME_AGAIN], capture_output=True, text=True, check=True
    )
    assert shown.stdout.strip() == fingerprint()
