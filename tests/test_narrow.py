"""float8, float4 and integers of 2 and 4 bits store numbers; what is computed is their sum, wide.

The numbers of each operand are widened by NumPy before `tests.oracles` adds them up. Which dtype
the result has is read from the table in docs/use/quick-start.md.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import export

import tconvjax as tc
from tconvjax import streaming
from tests import oracles
from tests.oracles import LOOPS, PARTIALS, assert_refused, ways
from tests.strategies import DTYPES, FIXED, NARROW, Arguments, arguments, held, some_held
from tests.test_definition import allowed_error

PAGE = (Path(__file__).parent.parent / "docs/use/quick-start.md").read_text("utf-8")
FLOATS = tuple(name for name in NARROW if name.startswith("float"))
FAMILIES = {
    "float8": tuple(name for name in FLOATS if name.startswith("float8")),
    "float4": tuple(name for name in FLOATS if name.startswith("float4")),
}


def rows(head: str) -> Iterator[list[str]]:
    """The cells of each row of the page's table whose first line begins so, this line first."""
    table = PAGE[PAGE.index(head) :].split("\n\n")[0]
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not set(line) <= set("|-: "):
            yield cells


def names(cell: str) -> list[str]:
    """The dtypes that a cell lists; a family stands for all that JAX has of it."""
    listed = re.findall(r"[a-z]+\d+\w*", cell)
    return [name for one in listed for name in FAMILIES.get(one, (one,))]


def pairs() -> dict[tuple[str, str], str]:
    """The dtype of the result for each pair of dtypes in the page's table, in either order."""
    head, *body = rows("| stored as |")
    found: dict[tuple[str, str], str] = {}
    for first, *cells in body:
        for group, cell in zip(head[1:], cells, strict=True):
            others = names(group)
            results = others if cell == "the other's" else names(cell)
            results = results * len(others) if len(results) == 1 else results
            for other, result in zip(others, results, strict=True):
                found |= {(name, other): result for name in names(first)}
    return found | {(other, name): result for (name, other), result in found.items()}


PAIRS = pairs()


def standard(f: Callable[..., Any]) -> Callable[..., Any]:
    """A test in which JAX promotes dtypes as it does for users."""

    @functools.wraps(f)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        with jax.numpy_dtype_promotion("standard"):
            f(*args, **kwargs)

    return wrapped


def result(a: Arguments, partial: str, first: Any, second: Any, **options: Any) -> Any:
    """One partial, called as a user calls it."""
    sized: dict[str, Any] = {
        "conv": {},
        "conv_transpose": {"output_size": a.in_size},
        "kernel_gradient": {"kernel_size": a.kernel_size},
    }
    operation = getattr(tc, partial)
    return operation(first, second, **a.keywords, **sized[partial], **options)


def assert_sum(a: Arguments, partial: str, first: Any, second: Any, found: Any) -> None:
    """The sum of the widened numbers, to the bound of the result's dtype."""
    if found.dtype.kind in "iu":
        exact = LOOPS[partial](a, first.astype(np.int64), second.astype(np.int64))
        np.testing.assert_array_equal(found, exact.astype(found.dtype))
        return
    wide: Any = np.complex128 if found.dtype.kind == "c" else np.float64
    p, q = first.astype(wide), second.astype(wide)
    exact = LOOPS[partial](a, p, q)
    sizes = LOOPS[partial](a, abs(p), abs(q))
    off = abs(found.astype(wide) - exact)
    assert (off <= allowed_error(a, partial, found.dtype, abs(exact), sizes)).all()


# -- which dtype, and which numbers ----------------------------------------------------------------


def test_the_table_names_every_pair_of_a_narrow_dtype() -> None:
    wide = {*DTYPES, "int8", "int16", "int64", "uint8", "uint16", "uint32"}
    assert {pair for pair in PAIRS if pair[0] in NARROW} == {
        (name, other) for name in NARROW for other in (*NARROW, *wide)
    }


@standard
@given(st.data(), arguments(), st.sampled_from(sorted(PAIRS)), st.integers(0, 2**32 - 1))
def test_a_narrow_operand_gives_the_sum_of_the_numbers_it_holds(
    data: st.DataObject, a: Arguments, pair: tuple[str, str], seed: int
) -> None:
    shapes = {"x": a.x_shape, "w": a.w_shape, "y": a.y_shape}
    algorithm = data.draw(st.sampled_from(["auto", *tc.ALGORITHMS]), "algorithm")
    for partial, (one, other, _) in PARTIALS.items():
        first, second = (
            some_held(name, shapes[role], seed + n)
            for n, (name, role) in enumerate(zip(pair, (one, other), strict=True))
        )
        program = functools.partial(result, a, partial, algorithm=algorithm)
        for found in ways(program, first, second):
            assert found.dtype == PAIRS[pair]
            assert_sum(a, partial, first, second, found)


@standard
def test_every_pair_has_the_dtype_of_the_table() -> None:
    x, w = (1, 1, 4), (1, 1, 2)
    for (one, other), expected in PAIRS.items():
        shapes = jax.ShapeDtypeStruct(x, one), jax.ShapeDtypeStruct(w, other)
        assert jax.eval_shape(tc.conv, *shapes).dtype == expected, (one, other)


@pytest.mark.parametrize("name", NARROW)
def test_every_number_of_a_narrow_dtype_is_widened_exactly(name: str) -> None:
    """XLA on a CPU takes a float32 below 2**-126 for zero."""
    values = held(name)
    ones = np.ones((1, 1, 1), np.float32)
    expected = values.astype(np.float32)
    for w, v in ((ones, values), (ones.astype(name), values)):
        found = np.asarray(tc.conv(v[None, None], w)).ravel()
        assert found.dtype == ("int32" if w.dtype.kind != "f" and name not in FLOATS else "float32")
        np.testing.assert_allclose(found.astype(np.float32), expected, rtol=0, atol=2.0**-126)


@pytest.mark.parametrize(
    ("one", "other", "bias", "preferred", "expected"),
    [
        ("float8_e4m3fn", "float8_e5m2", None, "bfloat16", "bfloat16"),
        ("float8_e4m3fn", "int4", None, "float64", "float64"),
        ("float8_e4m3fn", "int8", None, "float16", "float16"),
        ("float8_e4m3fn", "bfloat16", None, "float32", "float32"),
        ("float8_e4m3fn", "float8_e4m3fn", "bfloat16", None, "bfloat16"),
        ("float8_e4m3fn", "float32", "float8_e4m3fn", None, "float32"),
        ("int4", "uint4", None, "int8", "int8"),
        ("int4", "int4", "int16", None, "int16"),
        ("int4", "int8", None, "int32", "int32"),
        ("int4", "uint8", None, "int32", "int32"),
    ],
)  # fmt: skip
@standard
def test_a_bias_or_a_preferred_dtype_says_how_wide(
    one: str, other: str, bias: str | None, preferred: str | None, expected: str
) -> None:
    a = FIXED[0]
    x, w = some_held(one, a.x_shape, 0), some_held(other, a.w_shape, 1)
    shift = None if bias is None else np.ones(a.out_channels, bias)
    found = np.asarray(tc.conv(x, w, shift, **a.keywords, preferred_element_type=preferred))
    assert found.dtype == expected
    right = oracles.conv(a, x.astype(np.float64), w.astype(np.float64)) + (bias is not None)
    if expected.startswith("int"):
        np.testing.assert_array_equal(found, right.astype(expected))
    else:
        np.testing.assert_allclose(found.astype(np.float64), right, rtol=2.0**-7, atol=2.0**-7)


# -- what they hold, and derivatives ---------------------------------------------------------------


def power(text: str) -> float:
    """A number as the page writes it: 448 or 2^-9."""
    base, _, exponent = text.partition("^")
    return float(base) ** float(exponent or 1)


def test_a_narrow_float_holds_what_the_table_says() -> None:
    table = {cells[0].split("`")[1]: cells[1:] for cells in list(rows("| dtype | unit r"))[1:]}
    assert table.keys() == set(FLOATS)
    for name, (unit, largest, smallest, beyond) in table.items():
        limits = jnp.finfo(name)
        assert float(limits.eps) / 2 == power(unit)
        assert float(limits.max) == power(largest)
        assert float(limits.smallest_subnormal) == power(smallest)
        most = min(power(largest), 1e30)
        v = np.random.default_rng(0).uniform(0.25, 1, 1000) * most
        v = np.concatenate([v, v * 2.0**-3, -v]) if name != "float8_e8m0fnu" else v
        normal = abs(v) >= float(limits.tiny)
        stored = np.asarray(jnp.asarray(v, jnp.float32).astype(name)).astype(np.float64)
        allowed = np.where(normal, power(unit) * abs(v), power(smallest) / 2) * (1 + 2.0**-20)
        assert (abs(stored - v) <= allowed).all(), name
        large = np.asarray(jnp.asarray(power(largest) * 1.9, jnp.float32).astype(name))
        np.testing.assert_equal(float(large), float(beyond), name)


@pytest.mark.parametrize("name", FLOATS)
def test_a_cotangent_is_rounded_once_to_the_operands_dtype(name: str) -> None:
    a = FIXED[1]
    x, w = some_held("float32", a.x_shape, 0), some_held(name, a.w_shape, 1)
    y = some_held("float32", a.y_shape, 2) / 8  # so that the sums are floats of this dtype's size
    y = abs(y) + 1 / 64 if name == "float8_e8m0fnu" else y
    x = abs(x) + 1 if name == "float8_e8m0fnu" else x

    def loss(w: Any) -> Any:
        return (tc.conv(x, w, **a.keywords) * y).sum()

    exact = oracles.kernel_gradient(a, x.astype(np.float64), y.astype(np.float64))
    wide = jax.grad(loss)(w.astype(np.float32))
    np.testing.assert_array_equal(wide, exact)
    for found in (jax.grad(loss)(w), jax.jit(jax.grad(loss))(w)):
        assert found.dtype == name
        np.testing.assert_array_equal(
            np.asarray(found).astype(np.float64), exact.astype(name).astype(np.float64)
        )


def test_an_integer_operand_has_no_derivative_and_hinders_none() -> None:
    a = FIXED[2]
    x, _, y = a.arrays(np.float32)
    stored = some_held("int4", a.w_shape, 1)
    _, back = jax.vjp(lambda x, w: tc.conv(x, w, **a.keywords), x, stored)
    dx, dw = back(y)
    assert dw.dtype == jax.dtypes.float0
    np.testing.assert_array_equal(
        dx, oracles.conv_transpose(a, y.astype(np.float64), stored.astype(np.float64))
    )


# -- where a program goes --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["float8_e4m3fn", "float4_e2m1fn", "int4", "uint4"])
def test_narrow_kernels_are_traced_mapped_and_exported(name: str) -> None:
    a = FIXED[0]
    x, w = some_held("float32", a.x_shape, 0), some_held(name, a.w_shape, 1)
    f: Any = functools.partial(tc.conv, **a.keywords)
    right = oracles.conv(a, x.astype(np.float64), w.astype(np.float64))
    mapped = jax.vmap(f, (None, 0))(x, jnp.asarray(np.stack([w, w])))
    program = export.export(jax.jit(f), platforms=["cpu", "cuda", "tpu"])(x, w)
    found = (f(x, w), jax.jit(f)(x, w), *mapped, jax.jit(tc.plain(f))(x, w))
    for z in (*found, export.deserialize(program.serialize()).call(x, w)):
        np.testing.assert_array_equal(z, right)


@pytest.mark.parametrize("transposed", [False, True])
def test_chunks_of_a_narrow_signal_give_the_whole(transposed: bool) -> None:
    stream: Any
    operation: Any
    if transposed:
        stream, operation = streaming.ConvTranspose((2, 3, 4), stride=2), tc.conv_transpose
    else:
        stream, operation = streaming.Conv((3, 2, 4), stride=2, padding="CAUSAL"), tc.conv
    keywords = {name: getattr(stream, name) for name in ("stride", "padding")}
    for name in ("float8_e8m0fnu", "int2", "uint2"):
        with pytest.raises(tc.GeometryError, match=f"^chunk=array of dtype {name}: a stream"):
            stream.init((1, 2, 4), name)
        with pytest.raises(tc.GeometryError, match=f"^state=array of dtype {name}: a stream"):
            stream.flush(jnp.zeros((1, 2, 3), name), np.zeros(stream.w_shape))
    for name in ("float4_e2m1fn", "float8_e5m2", "int4"):
        signal, w = (jnp.asarray(some_held(name, s, 0)) for s in ((1, 2, 12), stream.w_shape))
        state, parts = stream.init((1, 2, 4), name), []
        for first in range(0, 12, 4):
            state, part = stream.step(state, signal[..., first : first + 4], w)
            parts.append(part)
        assert state.dtype == name
        found = jnp.concatenate([*parts, stream.flush(state, w)], -1)
        right = operation(signal, w, **keywords)
        assert found.dtype == right.dtype == ("float32" if name in FLOATS else "int32")
        np.testing.assert_allclose(found, right, rtol=2.0**-20, atol=2.0**-20)


def test_a_result_that_is_no_wider_kind_is_refused() -> None:
    x, w = np.ones((1, 2, 7), "float8_e4m3fn"), np.ones((3, 2, 2), "int4")
    rule = "and the result must be of the same kind and at least as wide; give one of"
    assert_refused(
        [
            (
                lambda: tc.conv(x, w, preferred_element_type="int32"),
                f"preferred_element_type='int32': the operands are float8_e4m3fn and int4, {rule} "
                "float16, bfloat16, float32, float64",
            ),
            (
                lambda: tc.conv(np.ones(x.shape, "int4"), w, preferred_element_type="float32"),
                f"preferred_element_type='float32': the operands are int4, {rule} int8, int16",
            ),
            (
                lambda: tc.conv(x, w, preferred_element_type="float8_e4m3fn"),
                "preferred_element_type='float8_e4m3fn': the operands are float8_e4m3fn and int4",
            ),
            (
                lambda: tc.conv(np.zeros(x.shape, "int1"), w),
                "x=array of dtype int1: floats of 4, 8 and 16",
            ),
            (
                lambda: tc.upsampling.pixel_shuffle(x, 2),
                "x=array of dtype float8_e4m3fn: floats of 16 to 64 bits",
            ),
        ]
    )
