"""Which faults the tests would not see: ``python -m tests.mutants tconvjax/geometry/axis.py ...``.

Run by hand; no test collects it. Each mutant is one small change of a module, made in a copy of the
package, against which the tests chosen for that module are run until one fails. A mutant that
passes them all survives, and is printed as ``file:line: before -> after``. Either a test has to be
added, or the mutant is no fault; then `tests.no_mutants` holds it, with the reason.

Every mutant gets a process of its own, forked from one that has JAX and pytest loaded. Hypothesis
does not shrink what it finds. Limits are in seconds of processor time, so that a busy machine makes
no mutant look caught.
"""

from __future__ import annotations

import argparse
import ast
import dataclasses
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import hypothesis
import pytest

from tests.no_mutants import EQUIVALENT, SPEED_ALONE

ROOT = Path(__file__).resolve().parent.parent
COPIED = ("tconvjax", "tests", "pyproject.toml", "README.md")

# -- which tests are run, those first that are quick or see most -----------------------------------

_GEOMETRY = (
    "tests/test_sizes.py",
    "tests/test_links.py::test_border_runs_are_the_sources_of_the_padded_line",
    "tests/test_links.py::test_the_sweep_is_exhaustive",
    "tests/test_links.py::test_links_add_up_to_the_definition",
    "tests/test_links.py::test_each_link_is_met_once_and_in_order",
    "tests/test_links.py::test_taps_between_are_the_links",
    "tests/test_links.py::test_a_filled_geometry_meets_the_padded_line",
    "tests/test_errors.py",
)
_SIDES = tuple(
    f"tests/test_algorithms.py::test_each_side_may_be_gathered[a{n}]" for n in (0, 4, 7, 1)
)
_BOTH_WAYS = tuple(
    f"tests/test_definition.py::test_other_numbers_are_exact[{kind}]"
    for kind in ("int32-1d", "complex128-1d", "complex128-2d0")
)
_ALGORITHMS = (
    "tests/test_algorithms.py::test_each_plan_is_a_value",
    *_SIDES,
    *_BOTH_WAYS,
    "tests/test_algorithms.py::test_each_side_may_be_gathered[a5]",
    "tests/test_layouts.py::test_empty_arrays_give_empty_or_zero_results",
)
_LAID_OUT = tuple(
    f"tests/test_algorithms.py::test_{law}"
    for law in (
        "copies_are_counted_as_they_are_made",
        "each_plan_is_a_value",
        "the_side_that_is_gathered_moves_least",
    )
)
_CHOICE = (
    "tests/test_selection.py",
    *_LAID_OUT,
    "tests/test_lowering.py::test_select_algorithm_is_what_auto_does",
    "tests/test_lowering.py::test_gpus_get_no_form_for_which_xla_writes_zeros_out",
    "tests/test_lowering.py::test_gpus_get_a_product_for_what_cudnn_has_not",
    "tests/test_lowering.py::test_accelerators_get_the_vjp_form",
    "tests/test_errors.py::test_select_algorithm_names_the_partials",
)
_BLOCKS = (
    "tests/test_algorithms.py::test_images_are_taken_apart_where_there_are_several",
    "tests/test_algorithms.py::test_blocks_are_larger_on_an_accelerator",
    "tests/test_algorithms.py::test_blocks_add_up[a0-1]",
    "tests/test_algorithms.py::test_blocks_add_up[a4-40]",
    *(f"tests/test_algorithms.py::test_blocks_add_up[a{n}-1]" for n in (1, 2, 3, 5, 6)),
    "tests/test_sharding.py::test_blocks_inside_a_shard_map",
    "tests/test_algorithms.py::test_blocks_of_images_are_as_even_as_can_be",
    "tests/test_algorithms.py::test_a_block_of_rows_reads_the_outputs_that_write_it",
    "tests/test_algorithms.py::test_blocks_of_one_output_add_up",
)
TESTS: dict[str, tuple[str, ...]] = {
    "tconvjax/geometry/notebook.py": (
        "tests/test_rendering.py::test_a_notebook_shows_a_geometry_and_its_matrix[small]",
    ),
    "tconvjax/geometry/": _GEOMETRY,
    "tconvjax/algorithms/selection.py": _CHOICE,
    "tconvjax/algorithms/costs.py": _CHOICE,
    "tconvjax/algorithms/blocks.py": _BLOCKS,
    "tconvjax/algorithms/product.py": (
        *_LAID_OUT,
        "tests/test_algorithms.py::test_rows_of_a_block_are_as_many_as_pay",
        "tests/test_algorithms.py::test_what_fits_at_once_is_not_cut",
        "tests/test_algorithms.py::test_channels_stay_first_where_both_have_them_first",
        "tests/test_algorithms.py::test_several_shifts_of_strided_phases_are_added_up",
        "tests/test_algorithms.py::test_a_transpose_that_moves_nothing_is_known",
        *_SIDES,
        *_BLOCKS[2:4],
        *_BOTH_WAYS,
        "tests/test_algorithms.py::test_each_side_may_be_gathered[a6]",  # three axes
    ),
    "tconvjax/algorithms/apart.py": (
        "tests/test_algorithms.py::test_blocks_are_larger_on_an_accelerator",
        *_ALGORITHMS,
        "tests/test_layouts.py::test_a_layout_moves_axes_only",
    ),
    "tconvjax/algorithms/convolutions.py": (
        "tests/test_algorithms.py::test_phases_of_one_kind_are_one_convolution",
        "tests/test_algorithms.py::test_groups_are_mixed_where_there_are_some_of_several_channels_on_a_cpu",
        "tests/test_lowering.py::test_accelerators_get_the_vjp_form",
        *_BOTH_WAYS,
        "tests/test_definition.py::test_other_numbers_are_exact[int32-2d1]",
        "tests/test_definition.py::test_other_numbers_are_exact[int32-3d]",
        "tests/test_layouts.py::test_empty_arrays_give_empty_or_zero_results",
        "tests/test_numbers.py::test_inf_and_nan_reach_what_their_element_touches[groups]",
    ),
    "tconvjax/algorithms/elementwise.py": (
        *_BOTH_WAYS,
        "tests/test_definition.py::test_other_numbers_are_exact[complex128-2d1]",
        "tests/test_definition.py::test_other_numbers_are_exact[int32-3d]",
        "tests/test_algorithms.py::test_depthwise_taps_where_x_and_y_lie_differently",
        "tests/test_algorithms.py::test_blocks_add_up[a7-40]",
        "tests/test_algorithms.py::test_depthwise_taps_where_the_channels_lie",
        *_SIDES[1:2],
        "tests/test_selection.py::test_terms_are_what_taps_adds_up",
        "tests/test_algorithms.py::test_chunks_are_no_longer_than_they_need_be",
        "tests/test_algorithms.py::test_phases_hold_as_many_rows_as_their_stride_leaves",
        "tests/test_algorithms.py::test_phases_are_written_out_where_that_spares_a_transpose",
        "tests/test_algorithms.py::test_taps_add_up_over_chunks_and_over_three_axes",
    ),
    "tconvjax/algorithms/splitting.py": (
        "tests/test_algorithms.py::test_phases_are_even_where_each_has_as_many_taps",
        "tests/test_algorithms.py::test_no_more_zeros_are_laid_out_than_are_read",
        *_ALGORITHMS,
        "tests/test_definition.py::test_other_numbers_are_exact[int32-3d]",
    ),
    "tconvjax/algorithms/": _ALGORITHMS,
    "tconvjax/trilinear.py": (
        *(
            f"tests/test_transformations.py::test_{law}"
            for law in (
                "vmap_folds_into_one_operation",
                "nested_vmap_is_a_nested_loop",
                "vmap_over_nothing",
                "vmap_of_empty_arrays",
                "gradient_of_vmap_and_vmap_of_gradient",
                "bfloat16_sums_in_float32_and_its_gradients_keep_their_dtype",
                "under_disable_jit_and_debug_nans",
            )
        ),
        "tests/test_sharding.py::test_shard_map_with_its_checks_on[auto]",
        "tests/test_sharding.py::test_gradient_inside_a_shard_map",
        "tests/test_sharding.py::test_a_kernel_may_vary_where_what_it_meets_does_not",
        "tests/test_lowering.py::test_accelerators_get_the_vjp_form",
        "tests/test_lowering.py::test_gpus_get_a_product_for_what_cudnn_has_not",
        "tests/test_transformations.py::test_linear_transpose_in_either_operand_is_another_partial",
    ),
}
"""The tests of a module: the first entry whose name begins the module's, and its own examples."""

# -- the mutants -----------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One change of one file: the bytes from ``start`` to ``end`` become ``text``."""

    path: str
    line: int
    start: int
    end: int
    text: str

    def applied(self, source: bytes) -> bytes:
        """The file with the change."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def change(self, source: bytes) -> str:
        """What is changed, as "before -> after", on one line."""
        before = source[self.start : self.end].decode() or "(nothing)"
        return " ".join(f"{before} -> {self.text}".split())


COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Add, ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
}  # fmt: skip
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any"}


def changed(node: ast.AST) -> Iterator[ast.AST]:
    """What an expression may be changed into."""
    match node:
        case ast.Compare(left, ops, comparators):
            for n, op in enumerate(ops):
                others = [*ops[:n], COMPARISONS[type(op)](), *ops[n + 1 :]]
                yield ast.Compare(left, others, comparators)
        case ast.BinOp(left, op, right) if type(op) in OPERATORS:
            yield ast.BinOp(left, OPERATORS[type(op)](), right)
        case ast.BoolOp(op, values):
            yield ast.BoolOp(ast.Or() if isinstance(op, ast.And) else ast.And(), values)
        case ast.UnaryOp(ast.Not() | ast.USub(), operand) if not isinstance(operand, ast.Constant):
            yield operand
        case ast.IfExp(test, body, orelse):
            yield ast.IfExp(test, orelse, body)
        case ast.Constant(bool(value)):
            yield ast.Constant(not value)
        case ast.Constant(int(value)):
            yield ast.Constant(value + 1)
            yield ast.Constant(value - 1)
        case ast.Name(name) if name in NAMES:
            yield ast.Name(NAMES[name])


def parts(node: ast.AST) -> Iterator[ast.AST]:
    """The nodes of which mutants are made: no annotations, messages, or texts."""
    if isinstance(node, ast.JoinedStr) or _is_call_of(node, "fail") or _is_overload(node):
        return
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns"):
            continue
        if isinstance(node, ast.keyword) and node.arg == "strict":
            continue  # what is zipped is equally long, so that nothing changes
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from parts(child)


def _is_call_of(node: ast.AST, name: str) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name


def _is_overload(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(d, ast.Name) and d.id == "overload" for d in node.decorator_list
    )


def _has_docstring(node: ast.For | ast.FunctionDef) -> bool:
    return isinstance(node, ast.FunctionDef) and ast.get_docstring(node) is not None


def mutants_of(path: str, source: bytes) -> Iterator[Mutant]:
    """Every mutant of a file.

    Examples:
        >>> source = b"def f(a: int) -> int: return min(a, 1)"
        >>> for mutant in mutants_of("f.py", source):
        ...     print(mutant.line, mutant.change(source))
        1 (nothing) -> return None;
        1 min -> (max)
        1 1 -> (2)
        1 1 -> (0)
    """
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))

    def replaced(node: ast.expr | ast.stmt, text: str, only_before: bool = False) -> Mutant:
        start = starts[node.lineno - 1] + node.col_offset
        end = starts[(node.end_lineno or 0) - 1] + (node.end_col_offset or 0)
        return Mutant(path, node.lineno, start, start if only_before else end, text)

    for node in parts(ast.parse(source)):
        if isinstance(node, ast.expr):
            for other in changed(node):
                yield replaced(node, f"({ast.unparse(ast.fix_missing_locations(other))})")
        if isinstance(node, ast.If | ast.While):
            yield replaced(node.test, f"(not ({ast.unparse(node.test)}))")
        if isinstance(node, ast.comprehension):
            for test in node.ifs:
                yield replaced(test, f"(not ({ast.unparse(test)}))")
        if isinstance(node, ast.Continue):
            yield replaced(node, "break")
        early = {ast.For: "break; ", ast.FunctionDef: "return None; "}.get(type(node))
        if early and isinstance(node, ast.For | ast.FunctionDef):
            first = node.body[1 if len(node.body) > 1 and _has_docstring(node) else 0]
            if isinstance(first, ast.Expr | ast.Assign | ast.AugAssign | ast.Return):
                yield replaced(first, early, only_before=True)


# -- running ---------------------------------------------------------------------------------------


class Quick:
    """A pytest plugin: a counterexample is enough, and need not be a small one."""

    def pytest_sessionstart(self) -> None:
        """After ``tests/conftest.py``, which chose a profile."""
        phases = [hypothesis.Phase.explicit, hypothesis.Phase.generate]
        chosen = hypothesis.settings(phases=phases, report_multiple_bugs=False)
        hypothesis.settings.register_profile("mutants", chosen)
        hypothesis.settings.load_profile("mutants")


def chosen_for(path: str) -> list[str]:
    """What is run against a mutant of a file: its own examples, then the tests chosen for it."""
    chosen = next((tests for name, tests in TESTS.items() if path.startswith(name)), None)
    if chosen is None:
        raise SystemExit(f"mutants: no tests are chosen for {path}; add it to TESTS")
    return [path, *dict.fromkeys(chosen)]


def run(place: Path, tests: Sequence[str], seconds: float) -> tuple[str, float]:
    """Run tests against the copy at a place, in a fork of this process.

    Returns:
        "passed", "failed" or "out of time", and the seconds of processor time that it took.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # JAX warns of threads; none has been started
        child = os.fork()
    if child == 0:
        _be_the_tests(place, tests, int(seconds) + 1)
    _, status, usage = os.wait4(child, 0)
    used = usage.ru_utime + usage.ru_stime
    if os.WIFSIGNALED(status):
        late = os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
        return ("out of time" if late else "failed"), used
    return ("passed" if os.WEXITSTATUS(status) == 0 else "failed"), used


def _be_the_tests(place: Path, tests: Sequence[str], seconds: int) -> None:
    code = 1
    try:
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        log = os.open(place / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.chdir(place)
        for name in [n for n in sys.modules if n.split(".")[0] == "tests"]:
            del sys.modules[name]
        sys.path[:] = [str(place), *(p for p in sys.path if Path(p or ".").resolve() != ROOT)]
        sys.dont_write_bytecode = (place / "warm").exists()
        ignored = "ignore::pytest.PytestAssertRewriteWarning"  # what is loaded stays as it is
        options = ["-x", "-q", "-n", "0", "-m", "", "-p", "no:cacheprovider", "-W", ignored]
        code = int(pytest.main([*options, *tests], plugins=[Quick()]))
    except BaseException:  # noqa: BLE001 - nothing may run on as a second parent
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def copied(place: Path) -> None:
    """A copy of what the tests need."""
    for name in COPIED:
        kind = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        kind(ROOT / name, place / name)


def baselines(place: Path, paths: Sequence[str]) -> dict[str, float]:
    """Seconds that the tests of each file take, unchanged, where everything is compiled anew."""
    took: dict[str, float] = {}
    for path in paths:
        same = next((p for p in took if chosen_for(p)[1:] == chosen_for(path)[1:]), None)
        result, took[path] = ("passed", took[same]) if same else run(place, chosen_for(path), 1e6)
        if result != "passed":
            print((place / "log.txt").read_text()[-3000:])
            raise SystemExit(f"mutants: the tests of {path} fail without any change")
        if not same:
            print(f"{took[path]:5.0f} s  {path}: tests pass unchanged", flush=True)
    (place / "warm").touch()  # from now on no mutant leaves its bytecode behind
    return took


def judge(place: Path, mutant: Mutant, seconds: float) -> str:
    """What becomes of a mutant: "killed", "out of time", "survived" or "equivalent"."""
    file, source = place / mutant.path, (ROOT / mutant.path).read_bytes()
    for stale in (file.parent / "__pycache__").glob(f"{file.stem}.*"):
        stale.unlink()
    try:
        compile(mutant.applied(source), mutant.path, "exec")
    except SyntaxError:
        return "no program"
    file.write_bytes(mutant.applied(source))
    result, _ = run(place, chosen_for(mutant.path), seconds)
    file.write_bytes(source)
    if result == "passed":
        before, after = (
            text.decode().splitlines()[mutant.line - 1].strip()
            for text in (source, mutant.applied(source))
        )
        known = before in SPEED_ALONE or after in EQUIVALENT
        return "equivalent" if known else "survived"
    return "killed" if result == "failed" else result


def main() -> int:
    """Run a random sample of the mutants of some files, and print those that survive."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("files", nargs="+", help="modules of the package, from the root")
    parser.add_argument("--minutes", type=float, default=25, help="stop after so long")
    parser.add_argument("--seed", type=int, default=0, help="which sample is drawn")
    parser.add_argument("--only", default="", help="only mutants whose change holds this text")
    options = parser.parse_args()
    drawn = []
    for path in options.files:
        source = (ROOT / path).read_bytes()
        drawn += [m for m in mutants_of(path, source) if options.only in m.change(source)]
    random.Random(options.seed).shuffle(drawn)  # noqa: S311 - a sample, no secret
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        copied(place)
        import jax  # loaded once, for all forks, and after the flags are set

        jax.config.update("jax_compilation_cache_dir", str(place / "compiled"))
        limits = baselines(place, options.files)
        end = time.monotonic() + 60 * options.minutes
        for mutant in drawn:
            if time.monotonic() > end:
                break
            result = judge(place, mutant, 10 + 3 * limits[mutant.path])
            counts[result] += 1
            if result != "killed":
                change = mutant.change((ROOT / mutant.path).read_bytes())
                print(f"{mutant.path}:{mutant.line}: {change}  [{result}]", flush=True)
    parts = ", ".join(f"{count} {result}" for result, count in counts.most_common())
    print(f"{counts.total()} of {len(drawn)} mutants tried: {parts}")
    return 1 if counts["survived"] else 0


if __name__ == "__main__":
    # Compiled fast rather than well, and only once where a mutant changes nothing.
    os.environ["XLA_FLAGS"] = "--xla_backend_optimization_level=0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    sys.exit(main())
