"""A strict world: 64-bit numbers, no silent promotion, eight devices, loud skips."""

from __future__ import annotations

import os

from jaxlib.version import __version_info__ as jaxlib_version

# XLA compiles a program of these tests in a quarter of the time with these flags, and runs it
# slower. What depends on how XLA compiles is compiled by `tests.oracles.shipped`, as for users.
os.environ["TCONVJAX_PLANS"] = "/nowhere/plans.json"  # what was measured here decides no test
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
    + " --xla_cpu_parallel_codegen_split_count=1 --xla_force_host_platform_device_count=8"
    # jaxlib 0.12 has this flag no more; 0.11 has not been tried.
    + (" --xla_cpu_use_fusion_emitters=false" if jaxlib_version < (0, 11) else "")
)

import jax
import pytest
from hypothesis import HealthCheck, settings

jax.config.update("jax_enable_x64", True)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")
# It pays little with these flags, and a test that leaves no room for files would spoil it.
jax.config.update("jax_enable_compilation_cache", False)

settings.register_profile(
    "normal",
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
settings.register_profile("thorough", settings.get_profile("normal"), max_examples=30)
settings.register_profile(
    "long", settings.get_profile("normal"), max_examples=500, derandomize=False
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "normal"))

ELSEWHERE = {
    "the laws that take longest": "pytest -m slow",
    "the comparisons with other frameworks": "pip install -e '.[peers]', then "
    "pytest tests/conformance",
    "the site in a browser": "pip install -e '.[browser]' and Debian's package chromium, then "
    "pytest tests/site",
}
"""What a plain ``pytest`` leaves out, and the command that runs it."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say at the end what was not run, and how to run it."""
    lines = []
    options = terminalreporter.config.option
    if not options.file_or_dir and options.markexpr == "not slow":
        lines += [f"{what}: {how}" for what, how in ELSEWHERE.items()]
    skipped: dict[str, list[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        skipped.setdefault(str(reason), []).append(report.nodeid)
    for reason, tests in skipped.items():
        more = f" and {len(tests) - 1} more" if len(tests) > 1 else ""
        lines.append(f"{tests[0]}{more}: {reason}")
    if lines:
        terminalreporter.section("NOT RUN", sep="!", red=True)
    for line in lines:
        terminalreporter.line(line)
