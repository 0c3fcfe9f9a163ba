"""Plans that were measured: what follows them, what keeps them, and what they leave alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import pytest

import tconvjax as tc
from tconvjax.algorithms import records
from tconvjax.layouts import Recipe, layout
from tests.oracles import PARTIALS

G = tc.Geometry.of_conv((4, 12), (6, 4, 3), stride=2)
RECIPE = Recipe("conv", G, layout(None, 1), dtype=jnp.dtype("float32"), platform="cpu")
X, W = jnp.ones((2, 4, 12), "float32"), jnp.ones((6, 4, 3), "float32")


def forget() -> None:
    records._times.cache_clear()


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file that is read without being asked for; the tests share no measurement."""
    monkeypatch.setenv("TCONVJAX_PLANS", str(tmp_path / "folder" / "plans.json"))
    forget()
    yield tmp_path / "folder" / "plans.json"
    forget()


def program(algorithm: str = "auto") -> str:
    f = jax.jit(lambda x, w: tc.conv(x, w, stride=2, algorithm=algorithm))
    return f.lower(X, W).as_text()


def test_what_was_measured_is_followed_in_this_process_and_the_next(file: Path) -> None:
    plain, plan = program(), tc.plan(G, "conv", batch=2)
    records.remember(RECIPE, 2, {"of another version": 1e-3})
    assert tc.plan(G, "conv", batch=2) == plan
    for name in tc.ALGORITHMS:
        records.remember(RECIPE, 2, {"patches": 1.0, name: 1e-3})
        found = tc.plan(G, "conv", batch=2)
        assert found.algorithm == found.candidates[0].algorithm == name
        assert not found.candidates[0].note.startswith("not considered")
        assert program() == program(name)
    assert not file.exists()
    assert tc.save_plans() == file
    forget()
    again = tc.plan(G, "conv", batch=2)
    assert (again.algorithm, again.candidates[0].seconds) == ("taps", 1e-3)
    assert tc.plan(G, "conv", batch=3).reason == plan.reason
    file.unlink()
    forget()
    assert program() == plain


def test_a_file_keeps_what_it_holds_and_serves_its_own_machine(tmp_path: Path) -> None:
    path = tmp_path / "plans.json"
    records.remember(RECIPE, 2, {"taps": 1e-3})
    tc.save_plans(path)
    path.write_text(path.read_text("utf-8").replace('"device": "', '"device": "another '), "utf-8")
    records.remember(RECIPE, 3, {"taps": 1e-3})
    tc.save_plans(path)
    forget()
    assert (len(json.loads(path.read_text("utf-8"))), tc.load_plans(path)) == (3, 2)


@pytest.mark.parametrize("text", ["", "[1]", "1", '[{"ms": {}}]', '[{"ms": {"taps": "x"}}]'])
def test_what_is_no_file_of_plans_is_refused_or_passed_over(text: str, file: Path) -> None:
    file.parent.mkdir()
    file.write_text(text, "utf-8")
    with pytest.warns(UserWarning, match="measured plans is not used"):
        tc.plan(G, "conv", batch=2)
    with pytest.raises(tc.GeometryError, match=r"^path='.*': it must hold measured times"):
        tc.load_plans(file)
    for write_or_read in (tc.load_plans, tc.save_plans):
        with pytest.raises(tc.GeometryError, match=r"^path=5: it must name a file"):
            write_or_read(5)  # type: ignore[arg-type]


def test_a_user_without_a_home_has_no_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless(_: Path) -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "expanduser", homeless)
    assert tc.plan(G, "conv", batch=2).candidates


def test_a_measured_plan_is_that_of_the_least_time() -> None:
    for partial in PARTIALS:
        plan = tc.plan(G, partial, batch=2, measure=True)  # type: ignore[arg-type]
        seconds = {c.algorithm: c.seconds for c in plan.candidates if c.seconds is not None}
        assert plan.algorithm == min(seconds, key=seconds.__getitem__)
        assert seconds.keys() == tc.ALGORITHMS.keys()  # those too that no estimate considers
        assert tc.plan(G, partial, batch=2) == plan  # type: ignore[arg-type]
    whole = tc.plan(G, "conv_transpose", "int32", batch=2, measure=True)
    assert {c.algorithm for c in whole.candidates if c.seconds} == {"patches", "taps"}
    bordered = tc.Geometry.of_conv((4, 12), (6, 4, 3), padding=1, padding_mode="reflect")
    measured = tc.plan(bordered, "conv", batch=2, measure=True)
    assert measured == tc.plan(bordered.filled(), "conv", batch=2)  # which is what the program has
    with pytest.raises(
        tc.GeometryError, match=r"^platform='cuda': the default backend is measured"
    ):
        tc.plan(G, "conv", platform="cuda", measure=True)


def test_every_convolution_of_a_program_is_tuned_and_counted() -> None:
    def loss(w: Any, x: Any) -> Any:
        step = lambda c, _: (c + 1, tc.conv(x + c, w, stride=2))  # noqa: E731
        y = jax.lax.scan(step, jnp.float32(0), None, length=3)[1].sum(0)
        return (tc.conv_transpose(y, w, stride=2) ** 2).sum()

    found = tc.tune(jax.grad(loss), W, X)
    counted: dict[str, int] = {}
    for one in found.partials:
        counted[one.recipe.partial] = counted.get(one.recipe.partial, 0) + one.times
    assert counted == {"conv": 4, "conv_transpose": 1, "kernel_gradient": 4}
    assert 0 < found.after <= found.before
    assert len(str(found).splitlines()) == len(found.partials) + 2
    plain = lambda x, w: jax.lax.conv_general_dilated(x, w, (2,), "VALID", feature_group_count=1)  # noqa: E731
    assert tc.tune(plain, X, W).partials == ()
    assert str(tc.tune(plain, X, W)) == "no convolutions"
