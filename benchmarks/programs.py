"""Programs of JAX functions, and the contestants that need only JAX: ours, and lax.conv_transpose.

A training step is the output and both gradients of sum(z * x), which is what a layer inside a
network computes.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from cases import Case, Numbers
from contest import Contestant, Job, Setting
from timing import Program

from tconvjax import operations
from tconvjax.conventions import convert_kernel


@dataclass(frozen=True)
class Form:
    """A transposed convolution of somebody, with the layouts that it wants.

    Args:
        function: z of (y, w).
        data: the layout of y and z, such as "NHWC".
        kernel: the layout of w, such as "HWIO", where O are the channels of y and I those of z.
        swapped: whether w is the kernel of a convolution of the dilated y: its taps in reverse
            order, its channel axes exchanged within each group, and so O those of z.
    """

    function: Callable[[Any, Any], Any]
    data: str
    kernel: str
    swapped: bool = False


def channels_first(rank: int) -> tuple[str, str]:
    """The layouts of the data and of the kernel."""
    letters = "DHW"[-rank:]
    return f"NC{letters}", f"OI{letters}"


def channels_last(rank: int) -> tuple[str, str]:
    """The layouts of the data and of the kernel, as `jax.lax.conv_transpose` has them."""
    letters = "DHW"[-rank:]
    return f"N{letters}C", f"{letters}IO"


def dilated_padding(case: Case) -> list[tuple[int, int]]:
    """What a convolution of the dilated y pads to give the same result."""
    return [(axis.span - 1 - axis.low, axis.span - 1 - axis.high) for axis in case.geometry.axes]


def jax_program(form: Form, job: Job) -> Program:
    """Compile a function for a job, its operands laid out before any clock starts.

    Args:
        form: the function and its layouts.
        job: what is wanted.

    Returns:
        A program with the seconds that tracing and compiling took; not yet called.
    """
    x, w, y = (_laid_out(array, form, job.case, role)
               for array, role in zip(job.arrays, "xwy", strict=True))  # fmt: skip
    roles = "xyw" if job.task == "step" else "x"

    def arrays(results: Any) -> list[Numbers]:
        given = results if job.task == "step" else (results,)
        return [
            _back(np.asarray(result), form, job.case, role)
            for role, result in zip(roles, given, strict=True)
        ]

    def step(y: Any, w: Any, x: Any) -> Any:
        z, vjp = jax.vjp(form.function, y, w)
        return z, *vjp(x)

    operands = jax.device_put((y, w, x) if job.task == "step" else (y, w))
    jax.block_until_ready(operands)
    if job.task == "eager":
        return Program(lambda: form.function(*operands), jax.block_until_ready, arrays)
    jax.clear_caches()  # nobody profits from what another one has traced
    start = time.perf_counter()
    lowered = jax.jit(step if job.task == "step" else form.function).lower(*operands)
    middle = time.perf_counter()
    compiled = lowered.compile()
    end = time.perf_counter()
    return Program(
        lambda: compiled(*operands), jax.block_until_ready, arrays, middle - start, end - middle,
        _bytes(compiled),
    )  # fmt: skip


def full_products(setting: Setting) -> contextlib.AbstractContextManager[object]:
    """Keep a GPU from rounding the factors of float32 products to 10 bits (TF32)."""
    if setting.platform == "gpu" and setting.dtype == "float32":
        return jax.default_matmul_precision("highest")
    return contextlib.nullcontext()


def _bytes(compiled: Any) -> int | None:
    """What XLA reserves for temporaries and results, where it says so."""
    analysis = compiled.memory_analysis()
    if analysis is None:
        return None
    return int(analysis.temp_size_in_bytes + analysis.output_size_in_bytes)


# -- layouts ---------------------------------------------------------------------------------------


def _laid_out(array: Numbers, form: Form, case: Case, role: str) -> Numbers:
    data, kernel = channels_first(case.geometry.rank)
    if role == "w":
        if form.swapped:
            array = convert_kernel(array, "torch", "equinox", groups=case.geometry.groups)
        return _permuted(array, kernel, form.kernel)
    return _permuted(array, data, form.data)


def _back(array: Numbers, form: Form, case: Case, role: str) -> Numbers:
    data, kernel = channels_first(case.geometry.rank)
    if role == "w":
        array = _permuted(array, form.kernel, kernel)
        if form.swapped:
            return convert_kernel(array, "equinox", "torch", groups=case.geometry.groups)
        return array
    return _permuted(array, form.data, data)


def _permuted(array: Numbers, given: str, wanted: str) -> Numbers:
    return np.ascontiguousarray(array.transpose([given.index(letter) for letter in wanted]))


# -- who needs only JAX ----------------------------------------------------------------------------


def ours(case: Case, last: bool, algorithm: str = "auto") -> Form:
    """`tconvjax.conv_transpose` in either layout."""
    rank = case.geometry.rank
    data, kernel = channels_last(rank) if last else channels_first(rank)
    layout = (data, kernel, data) if last else None

    def function(y: Any, w: Any) -> Any:
        return operations.conv_transpose(
            y, w, dimension_numbers=layout, algorithm=algorithm, **case.arguments
        )

    return Form(function, data, kernel)


def lax_form(case: Case) -> Form:
    """``jax.lax.conv_transpose``; with groups the convolution that it would be."""
    there, pads = case.geometry, dilated_padding(case)
    data, kernel = channels_last(there.rank)

    def function(y: Any, w: Any) -> Any:
        return jax.lax.conv_transpose(
            y, w, there.stride, pads, there.dilation, dimension_numbers=(data, kernel, data),
            transpose_kernel=True,
        )  # fmt: skip

    def grouped(y: Any, w: Any) -> Any:
        return jax.lax.conv_general_dilated(
            y, w, (1,) * there.rank, pads, there.stride, there.dilation,
            dimension_numbers=(data, kernel, data), feature_group_count=there.groups,
        )  # fmt: skip

    if there.groups == 1:
        return Form(function, data, kernel)
    return Form(grouped, data, kernel, swapped=True)


def _lax_note(case: Case) -> str:
    if case.geometry.groups == 1:
        return ""
    return "lax.conv_general_dilated with lhs_dilation: lax.conv_transpose has no groups"


def by_form(form: Callable[[Case], Form]) -> Callable[[Job], Program]:
    """A contestant's `build` from the form that it gives a case."""
    return lambda job: jax_program(form(job.case), job)


CHANNELS_FIRST = "tconvjax"
CHANNELS_LAST = "tconvjax, channels last"
DIRECT = "tconvjax, direct"
LAX = "lax.conv_transpose"

JAX_ONLY = (
    Contestant(CHANNELS_FIRST, by_form(lambda case: ours(case, last=False)),
               tasks=("forward", "step", "eager")),
    Contestant(CHANNELS_LAST, by_form(lambda case: ours(case, last=True)),
               tasks=("forward", "step", "eager")),
    Contestant(DIRECT, by_form(lambda case: ours(case, last=True, algorithm="direct")),
               note=lambda _: "channels last: the vjp of lax.conv_general_dilated"),
    Contestant(LAX, by_form(lax_form), tasks=("forward", "step", "eager"), note=_lax_note),
)  # fmt: skip
"""Ours in both layouts, ours by the definition, and what JAX has."""
