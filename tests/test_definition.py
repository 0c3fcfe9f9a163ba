"""Each partial, by each algorithm, is the sum that defines it, and the partials are adjoint.

A law draws a case, in any dtype and layout, and holds it to the sums of `tests.oracles` in a wider
dtype. Sums of small whole numbers must come out exactly. Sums of n products of other numbers, whose
sizes add up to S, may be off by (n + 1) u S, with u the dtype's unit roundoff; float16 and bfloat16
are added up in float32, and rounded once more.

More cases: ``HYPOTHESIS_PROFILE=long pytest tests/test_definition.py --hypothesis-seed=1``.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import tconvjax as tc
from tests import oracles
from tests.oracles import LOOPS, PARTIALS
from tests.strategies import ANY_MODE, DTYPES, FIXED, Arguments, Case, cases, every_axis

Program = Callable[[Mapping[str, Any]], dict[tuple[str, str], Any]]
READ = settings(max_examples=4 * settings().max_examples)


class Sum(NamedTuple):
    """What a result must be, and how far it may be off, element by element."""

    value: Any
    allowed: Any


def program(case: Case) -> Program:
    """Every partial by every algorithm of a case, of {"x": ..., "w": ..., "y": ...} as placed."""
    a, out = case.a, case.a.y_shape[2:]
    steps = zip(a.in_size, out, a.kernel_size, a.stride, a.dilation, a.padding, strict=True)
    extra = tuple(n - (s * (i - 1) + d * (k - 1) + 1 - sum(p)) for n, i, k, s, d, p in steps)
    # The size is said by output_padding where that can say it, in every other case.
    said = case.seed % 2 == 1 and min(extra) >= 0
    keywords = {**a.keywords, "dimension_numbers": case.dimension_numbers}
    operations: dict[str, Callable[..., Any]] = {
        "conv": tc.conv,
        "conv_transpose": tc.conv_transpose,
        "kernel_gradient": tc.kernel_gradient,
    }
    sized: dict[str, Any] = {
        "conv": {},
        "conv_transpose": {"output_padding": extra} if said else {"output_size": a.in_size},
        "kernel_gradient": {"kernel_size": a.kernel_size},
    }

    def run(arrays: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
        return {
            (name, partial): operations[partial](
                *(arrays[role] for role in PARTIALS[partial][:2]),
                algorithm=name, **keywords, **sized[partial],
            )
            for name in case.names
            for partial in PARTIALS
        }  # fmt: skip

    return run


def defined(case: Case, partial: str, numbers: Mapping[str, Any], whole: bool) -> Sum:
    """The sum in a wider dtype, and what rounding may do to it."""
    first, second, _ = PARTIALS[partial]
    dtype, loop = jnp.dtype(case.dtype), LOOPS[partial]
    if dtype.kind in "iu":  # modulo 2**64, and so modulo 2**32
        value = loop(case.a, numbers[first].astype("int64"), numbers[second].astype("int64"))
        return Sum(value.astype(dtype), np.zeros(value.shape))
    wide = np.clongdouble if dtype.kind == "c" else np.longdouble
    p, q = numbers[first].astype(wide), numbers[second].astype(wide)
    value = loop(case.a, p, q)
    if whole:  # few and small enough that no sum of them is rounded, but for bfloat16's last
        allowed = abs(value) * (2.0**-8 if dtype == jnp.bfloat16 else 0)
        return Sum(value, allowed.astype(np.float64))
    sizes = loop(case.a, abs(p).astype(np.float64), abs(q).astype(np.float64))
    return Sum(value, allowed_error(case.a, partial, dtype, abs(value), sizes))


def allowed_error(a: Arguments, partial: str, dtype: Any, value: Any, sizes: Any) -> Any:
    """The bound of this file's first lines."""
    narrow = dtype.itemsize == 2
    added = jnp.finfo("float32" if narrow else dtype)
    # A complex product is four real ones and two sums.
    unit = float(added.eps) / 2 * (4 if dtype.kind == "c" else 1)
    allowed = (terms(a, partial) + 1) * unit * sizes
    if narrow:
        kept = jnp.finfo(dtype)
        allowed = allowed + float(kept.eps) / 2 * value.astype(np.float64) * (1 + 2.0**-10)
        allowed = allowed + float(kept.smallest_subnormal)
    return allowed + float(added.tiny)  # XLA on a CPU takes what is smaller for zero


def terms(a: Arguments, partial: str) -> int:
    """Products in a sum, at the most."""
    if partial == "conv":
        return math.prod(a.w_shape[1:])
    if partial == "conv_transpose":
        copies = math.prod(a.y_shape[2:]) if a.padding_mode != "zeros" else 1
        return a.out_channels // a.groups * math.prod(a.kernel_size) * copies
    return a.batch * math.prod(a.y_shape[2:])


def compiled(f: Program, arrays: Mapping[str, Any]) -> Iterator[Any]:
    """What a program gives as XLA compiles it."""
    yield jax.tree.map(np.asarray, jax.jit(f)(arrays))


def assert_defined(case: Case, ways: Callable[..., Iterator[Any]] = oracles.ways) -> None:
    """Dtypes, shapes and values are right, and the partials are adjoint."""
    run = program(case)
    for whole in (True, False):
        numbers = case.numbers(whole)
        right = {partial: defined(case, partial, numbers, whole) for partial in PARTIALS}
        for found in ways(run, {role: case.placed(role, v) for role, v in numbers.items()}):
            for (name, partial), result in found.items():
                assert_near(case, f"{partial} by {name}", partial, result, right[partial])
            for name in case.names:
                assert_adjoint(case, name, found, numbers, right)


def assert_near(case: Case, where: str, partial: str, result: Any, right: Sum) -> None:
    role = PARTIALS[partial][2]
    assert result.dtype == case.dtype, where
    expected, allowed = case.placed(role, right.value), case.placed(role, right.allowed)
    assert result.shape == expected.shape, where
    wide = expected.dtype
    off = abs(result.astype(wide) - expected) if wide.kind in "fc" else result != expected
    bad = np.argwhere(~(off <= allowed))
    assert not len(bad), (
        f"{where}: {result[tuple(bad[0])]} at {bad[0]}, and {expected[tuple(bad[0])]} is right; "
        f"{off[tuple(bad[0])]} off, and {allowed[tuple(bad[0])]} is allowed"
    )


def assert_adjoint(
    case: Case, name: str, found: Mapping[tuple[str, str], Any], numbers: Mapping[str, Any],
    right: Mapping[str, Sum],
) -> None:  # fmt: skip
    """sum(conv(x, w) y) = sum(x conv_transpose(y, w)) = sum(w kernel_gradient(x, y))."""
    dtype = jnp.dtype(case.dtype)
    wide = np.int64 if dtype.kind in "iu" else right["conv"].value.dtype
    sums, allowed = {}, {}
    for partial, (_, _, role) in PARTIALS.items():
        result = case.restored(role, found[name, partial])
        with np.errstate(over="ignore"):
            sums[partial] = (result.astype(wide) * numbers[role].astype(wide)).sum(dtype=wide)
        sizes = abs(numbers[role].astype(np.complex128))
        allowed[partial] = float((right[partial].allowed * sizes).sum()) * (1 + 2.0**-20)
    for partial in ("conv_transpose", "kernel_gradient"):
        if dtype.kind in "iu":
            assert sums["conv"].astype(dtype) == sums[partial].astype(dtype), (name, partial)
        else:
            most = allowed["conv"] + allowed[partial] + 2.0**-60 * float(abs(sums["conv"]))
            assert abs(sums["conv"] - sums[partial]) <= most, (name, partial, sums)


@READ
@given(cases())
def test_every_partial_by_every_algorithm_is_the_sum_that_defines_it(case: Case) -> None:
    assert_defined(case)


EVERY = 1 if os.environ.get("HYPOTHESIS_PROFILE") == "long" else 23
"""One small axis in so many is tried. It shares no factor with the turns that things take."""


@pytest.mark.slow
@pytest.mark.parametrize("part", range(4))
def test_small_axes_are_the_sums_that_define_them(part: int) -> None:
    """Channels, dtypes and layouts take turns; the long profile tries all 11,780 geometries."""
    channels = ((1, 1, 1), (1, 2, 3), (2, 1, 1), (2, 2, 1), (1, 1, 2), (3, 1, 2))
    for turn, axis in list(enumerate(every_axis()))[part * EVERY :: 4 * EVERY]:
        groups, ins, outs = channels[turn % 6]
        axes = ("one", "none", "two")[turn % 3]
        a = replace(
            axis, groups=groups, in_channels=groups * ins, out_channels=groups * outs,
            batch=1 if axes == "none" else 1 + turn % 2,
        )  # fmt: skip
        every = ("auto", *tc.ALGORITHMS)
        names = every[1:] if a.padding_mode == "zeros" else (every[turn % 5],)
        layout = ("first", "last", "mixed")[turn // 3 % 3]
        assert_defined(Case(a, DTYPES[turn % 7], layout, axes, names, turn))


@pytest.mark.parametrize("turn", range(len(DTYPES)))
def test_so_it_is_when_compiled(turn: int) -> None:
    names = ("auto", *tc.ALGORITHMS)
    assert_defined(Case(FIXED[turn % 4], DTYPES[turn], "mixed", "two", names, seed=3), compiled)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8", "uint64"])
def test_integers_wrap_round_as_numpys_do(dtype: str) -> None:
    a, names = FIXED[1], ("auto", *tc.ALGORITHMS)
    many = np.dtype(dtype).type(31)
    with np.errstate(over="ignore"):
        arrays = {role: v * many for role, v in zip("xwy", a.arrays(dtype), strict=True)}
        right = {partial: LOOPS[partial](a, *(arrays[role] for role in PARTIALS[partial][:2]))
                 for partial in PARTIALS}  # fmt: skip
    for (name, partial), result in jax.jit(program(Case(a, names=names)))(arrays).items():
        np.testing.assert_array_equal(result, right[partial], err_msg=f"{partial} by {name}")


@pytest.mark.parametrize("mode", ANY_MODE)
def test_padding_may_wrap_round_more_than_once(mode: Any) -> None:
    for a in (
        Arguments(1, 1, 2, (3,), (3,), (2,), ((7, 8),), (2,), 1, mode),
        Arguments(1, 1, 1, (1, 2), (2, 2), (1, 1), ((2, 1), (0, 3)), (1, 1), 1, mode),
    ):
        assert_defined(Case(a, names=("auto",)), compiled)


def test_an_axis_that_xla_would_not_swap_ends_no_process() -> None:
    """XLA fails a check over its own transposed convolution: y has fewer rows than the kernel."""
    for rows, columns in ((1, 3), (2, 4)):
        size = (rows + 2, 2 * columns - 2)
        ends = ((0, 0), (1, 1))
        a = Arguments(1, 2, 4, size, (3, 2), (1, 2), ends, (1, 1), 1)
        for dtype in ("float32", "int32"):
            assert_defined(Case(a, dtype, names=("direct",)), compiled)


@pytest.mark.parametrize("mode", ANY_MODE)
def test_an_empty_axis_gives_an_empty_result_whatever_its_border(mode: Any) -> None:
    x, w = np.ones((1, 1, 0)), np.ones((1, 1, 1))
    for name in ("auto", *tc.ALGORITHMS):
        options: dict[str, Any] = {"padding_mode": mode, "algorithm": name}
        assert tc.conv(x, w, **options).shape == tc.conv_transpose(x, w, **options).shape == x.shape
        assert tc.kernel_gradient(x, x, kernel_size=1, **options).tolist() == [[[0]]]
        assert tc.conv(x, np.ones((1, 1, 3)), **options).shape == x.shape
    if mode != "zeros":
        with pytest.raises(tc.GeometryError, match="an empty axis has no element to copy"):
            tc.conv(x, w, padding=1, padding_mode=mode)


def test_four_spatial_axes() -> None:
    padding = ((0, 1), (1, 0), (0, 0), (1, 1))
    a = Arguments(1, 2, 2, (3, 2, 3, 2), (2, 1, 2, 2), (1, 2, 2, 1), padding, (1,) * 4, 1)
    # Four axes have no names in a layout; the operations' own default is channels first.
    assert_defined(Case(a, names=("patches",)), compiled)


# -- each of these faults is seen ------------------------------------------------------------------


def test_a_wrong_place_a_narrow_sum_and_a_pair_that_is_not_adjoint_are_seen() -> None:
    case = Case(FIXED[0], "bfloat16", "last", "two", ("taps",), 3)
    numbers = case.numbers(whole=False)
    right = {partial: defined(case, partial, numbers, False) for partial in PARTIALS}
    placed = {role: case.placed(role, v) for role, v in numbers.items()}
    (found,) = compiled(program(case), placed)
    for (name, partial), result in found.items():
        assert_near(case, name, partial, result, right[partial])
        for wrong in (np.roll(result, 1, -2), result * result.dtype.type(1 + 2.0**-7)):
            with pytest.raises(AssertionError, match="is allowed"):
                assert_near(case, name, partial, wrong, right[partial])
    assert_adjoint(case, "taps", found, numbers, right)
    found["taps", "conv_transpose"] = np.flip(found["taps", "conv_transpose"], 2)
    with pytest.raises(AssertionError, match="conv_transpose"):
        assert_adjoint(case, "taps", found, numbers, right)
