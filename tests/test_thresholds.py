"""The laws at sizes where XLA's CPU backend hands work to other engines, compiled as for users.

XLA gives a reduction or an elementwise operation to YNNPACK from 4,096 elements on, and a product
once one of its sides has 8: smaller cases never run what real layers run.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings

import tconvjax as tc
from tests.oracles import PARTIALS, SHIPPED, shipped
from tests.strategies import Arguments, Case, layers
from tests.test_definition import assert_adjoint, assert_near, defined, program

ROWS = 33_000
"""More rows than the 32,768 from which on jaxlib 0.10.2 gets sums of some products wrong."""

LAYERS = {
    "line": Arguments(4, 16, 24, (400,), (8,), (4,), ((2, 2),), (1,), 1),
    "plane": Arguments(2, 16, 32, (36, 28), (4, 4), (2, 2), ((1, 1), (1, 1)), (1, 1), 1),
    "square": Arguments(2, 24, 24, (20, 24), (3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1), 1),
    "wide": Arguments(2, 16, 16, (24, 24), (3, 3), (2, 2), ((3, 4), (4, 3)), (2, 2), 1),
    "cropped": Arguments(2, 16, 16, (24, 24), (3, 4), (2, 2), ((-2, 1), (1, -1)), (1, 1), 1),
    "volume": Arguments(1, 8, 16, (12, 10, 12), (4, 4, 4), (2,) * 3, ((1, 1),) * 3, (1,) * 3, 1),
    "groups": Arguments(2, 32, 64, (20, 20), (4, 4), (2, 2), ((1, 1), (1, 1)), (1, 1), 4),
    "depthwise": Arguments(2, 32, 32, (24, 24), (4, 4), (2, 2), ((1, 1), (1, 1)), (1, 1), 32),
    "rows": Arguments(1, 8, 1, (ROWS,), (1,), (1,), ((0, 0),), (1,), 1),
    "image": Arguments(5, 8, 8, (90, 96), (7, 7), (1, 1), ((3, 3), (3, 3)), (1, 1), 1),
    "signal": Arguments(2, 16, 32, (12_000,), (7,), (1,), ((2, -1),), (1,), 1),
}
"""For layers like the last two, "auto" is XLA's convolution on a CPU (`_suits_xla` in plan.py)."""

LARGE = pytest.mark.parametrize("layer", LAYERS)

MANY_TAPS = {
    "window": Arguments(2, 16, 16, (30, 26), (9, 8), (1, 1), ((4, 4), (3, 4)), (1, 1), 16),
    "strided": Arguments(2, 8, 8, (50, 41), (17, 15), (2, 3), ((7, 7), (0, 5)), (1, 1), 8),
    "dilated": Arguments(1, 4, 4, (60, 30), (9, 9), (2, 1), ((3, -2), (8, 8)), (3, 2), 4),
    "line": Arguments(3, 4, 6, (400,), (199,), (2,), ((50, 3),), (1,), 2),
    "dense": Arguments(2, 3, 5, (40, 30), (6, 7), (1, 2), ((2, 3), (0, 0)), (1, 1), 1),
    "volume": Arguments(1, 4, 4, (12, 9, 10), (5, 4, 5), (2, 1, 1), ((2, 2),) * 3, (1,) * 3, 4),
    "few of y": Arguments(2, 24, 2, (30, 26), (10, 9), (1, 1), ((4, 5), (8, -1)), (1, 1), 1),
    "line of y": Arguments(2, 48, 1, (500,), (132,), (2,), ((3, 20),), (3,), 1),
}
"""More taps than one loop of "taps" adds up, or than one of "patches" gathers."""


def case_of(layer: str, dtype: str = "float32", names: tuple[str, ...] = ("auto",)) -> Case:
    return Case(LAYERS[layer], dtype, "last", names=names, seed=7)


def placed(case: Case) -> dict[str, Any]:
    return {role: case.placed(role, v) for role, v in case.numbers(whole=False).items()}


def assert_right(case: Case) -> None:
    """Dtypes, shapes, values and the adjoint identity of what a user's program gives."""
    numbers = case.numbers(whole=False)
    right = {partial: defined(case, partial, numbers, False) for partial in PARTIALS}
    found = jax.tree.map(np.asarray, shipped(program(case))(placed(case)))
    for (name, partial), result in found.items():
        assert_near(case, f"{partial} by {name}", partial, result, right[partial])
    for name in case.names:
        assert_adjoint(case, name, found, numbers, right)


@LARGE
def test_every_partial_is_its_definition(layer: str) -> None:
    by_xla = ("direct",) if layer in ("image", "signal") else ()
    assert_right(case_of(layer, names=("auto", *by_xla)))


@pytest.mark.parametrize("layer", MANY_TAPS)
@pytest.mark.parametrize(("dtype", "layout"), [("float32", "first"), ("bfloat16", "last")])
def test_loops_over_taps_are_the_whole_sum(layer: str, dtype: str, layout: str) -> None:
    assert_right(Case(MANY_TAPS[layer], dtype, layout, names=("taps", "patches"), seed=5))


def totals(case: Case) -> Callable[[Any], list[Any]]:
    """What training reads of results: sums, norms over channels, gradients and their norms."""
    run = program(case)

    def total(arrays: Any) -> Any:
        return sum((v**2).mean() for v in run(arrays).values())

    def read(arrays: Any) -> list[Any]:
        found = []
        for v in run(arrays).values():
            found += [v.sum(), abs(v).max(), jnp.linalg.norm(v, axis=-1), (v**2).sum(0)]
        gradients = jax.grad(total)(arrays)
        return [*found, *gradients.values(), *(jnp.linalg.norm(g) for g in gradients.values())]

    return read


def assert_close(found: Any, expected: Any) -> None:
    """Each array within 1e-4 of its own size, which is far less than any row that is wrong."""
    for n, (one, other) in enumerate(zip(found, expected, strict=True)):
        size = float(abs(np.asarray(other)).max())
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-4 * size, err_msg=str(n))


@pytest.mark.parametrize("layer", ["plane", "wide", "volume", "groups", "rows", "image", "signal"])
def test_sums_norms_and_gradients_are_right_with_ynnpack_and_without(layer: str) -> None:
    narrow, wide = case_of(layer), case_of(layer, "float64", ("direct",))
    arrays, f = placed(narrow), totals(narrow)
    exact = jax.jit(totals(wide))({role: v.astype(np.float64) for role, v in arrays.items()})
    without = {**SHIPPED, "xla_cpu_experimental_ynn_fusion_type": ""}
    for found in (shipped(f)(arrays), jax.jit(f, compiler_options=without)(arrays)):
        assert_close(found, exact)


@pytest.mark.parametrize("layer", ["plane", "rows"])
def test_kernels_may_be_mapped_over(layer: str) -> None:
    a, arrays = LAYERS[layer], placed(case_of(layer))
    options = {**a.keywords, "dimension_numbers": case_of(layer).dimension_numbers}
    many = np.stack([arrays["w"], 2 * arrays["w"], -arrays["w"]])

    def squares(x: Any, w: Any) -> Any:
        return (tc.conv(x, w, **options) ** 2).sum(-1)

    each = shipped(jax.vmap(squares, (None, 0)))(arrays["x"], many)
    wide = jax.jit(squares)(arrays["x"].astype(np.float64), arrays["w"].astype(np.float64))
    for factor, one in zip((1, 2, -1), each, strict=True):
        assert_close([one], [factor**2 * wide])


@pytest.mark.parametrize("name", ["auto", *tc.ALGORITHMS])
def test_rows_may_be_mapped_over_squared_and_summed(name: str) -> None:
    """The form of jax#39103, which jaxlib 0.10.2 gets wrong for a plain product."""
    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=s).astype("float32") for s in ((ROWS, 3, 1), (3, 3, 1)))
    f = jax.vmap(lambda row, w: (tc.conv(row, w, algorithm=name) ** 2).sum(), (0, None))
    products = x[..., 0].astype(np.float64) @ w[..., 0].T
    assert_close([shipped(f)(x, w)], [(products**2).sum(1)])


ONE_SIDED = {
    "cropped in front": Arguments(1, 1, 1, (64, 64), (5, 5), (1, 1), ((0, 0), (-1, 1)), (1, 1), 1),
    "by a row": Arguments(1, 1, 1, (64, 64), (5, 5), (1, 1), ((-2, 2), (0, 0)), (1, 1), 1),
    "past the kernel": Arguments(1, 8, 8, (30, 29), (3, 3), (1, 1), ((2, 2), (4, 1)), (1, 1), 1),
    "on a line": Arguments(2, 4, 2, (5,), (1,), (1,), ((-2, 2),), (1,), 1),
    "depthwise": Arguments(2, 3, 3, (12, 12), (3, 3), (1, 1), ((-2, 2), (0, 0)), (1, 1), 3),
    "crossed out": Arguments(1, 2, 2, (3, 40), (2, 3), (1, 1), ((-4, 6), (0, 0)), (1, 1), 1),
}


@pytest.mark.parametrize("layer", ONE_SIDED)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "complex64"])
def test_one_end_may_be_cropped_while_the_other_is_padded(layer: str, dtype: str) -> None:
    """XLA alone reads memory there that is not its own (openxla/xla#48713)."""
    names = ("direct", "polyphase") if dtype == "float32" else ("direct",)
    for layout in ("first", "last"):
        assert_right(Case(ONE_SIDED[layer], dtype, layout, names=names, seed=7))


@pytest.mark.parametrize("layer", ONE_SIDED)
def test_so_it_may_in_a_function_that_is_accelerated(layer: str) -> None:
    a, case = ONE_SIDED[layer], Case(ONE_SIDED[layer], "float32", "first", seed=7)
    numbers = case.numbers(whole=False)

    def plain(x: Any, w: Any) -> Any:
        return jax.lax.conv_general_dilated(x, w, a.stride, a.padding, feature_group_count=a.groups)

    def partials(arrays: Any) -> dict[tuple[str, str], Any]:
        y, back = jax.vjp(tc.accelerate(plain), arrays["x"], arrays["w"])
        x, w = back(arrays["y"])
        return {("", "conv"): y, ("", "conv_transpose"): x, ("", "kernel_gradient"): w}

    found = jax.tree.map(np.asarray, shipped(partials)(numbers))
    for (_, partial), result in found.items():
        assert_near(case, partial, partial, result, defined(case, partial, numbers, False))


@settings(max_examples=2 * settings().max_examples)
@given(layers())
def test_so_it_is_at_any_size(case: Case) -> None:
    assert_right(case)


def test_a_wrong_row_would_be_seen() -> None:
    right = np.linspace(0.5, 1, ROWS)
    assert_close([right.astype(np.float32)], [right])
    with pytest.raises(AssertionError):
        assert_close([np.where(np.arange(ROWS) < ROWS - 1, right, 0)], [right])
