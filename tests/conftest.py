"""A strict world: 64-bit numbers, no silent promotion, eight devices, loud skips."""

from __future__ import annotations

import os

os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)

import jax
import pytest
from hypothesis import HealthCheck, settings

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Every geometry is compiled anew, so an example takes a good part of a second.
settings.register_profile(
    "normal",
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
settings.register_profile("thorough", settings.get_profile("normal"), max_examples=30)
settings.register_profile(
    "long", settings.get_profile("normal"), max_examples=1000, derandomize=False
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "normal"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end what was not run, and how to run it."""
    skipped: dict[str, list[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        skipped.setdefault(str(reason), []).append(report.nodeid)
    if terminalreporter.config.option.markexpr == "not slow":
        skipped["the laws that take longest: pytest -m slow"] = ["slow tests"]
    if skipped:
        terminalreporter.section("NOT RUN", sep="!", red=True)
    for reason, tests in skipped.items():
        more = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
        terminalreporter.line(f"{tests[0]}{more}: {reason}")
