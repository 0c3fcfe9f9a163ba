"""The operation on arrays of files: what ``tconvjax apply`` does."""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tconvjax import operations
from tconvjax.algorithms.plan import plan
from tconvjax.command import files
from tconvjax.command.arguments import CommandError, for_axes
from tconvjax.command.files import Numbers
from tconvjax.geometry import Geometry
from tconvjax.layouts import layout


def run_apply(arguments: argparse.Namespace) -> int:
    """Run conv_transpose, or conv, on arrays of files, and print how it went.

    Args:
        arguments: the parsed command line.

    Returns:
        The exit status, 0.

    Raises:
        CommandError: if the arguments do not fit one another or the machine.
        FileError: if a file cannot be read or written.
        GeometryError: if they describe no convolution.
    """
    given = [path for path in (arguments.input, arguments.kernel, arguments.bias) if path]
    files.check_output(arguments.output, given)
    _check_apply(arguments, any(files.is_picture(p) for p in (arguments.input, arguments.output)))
    x, w = files.read_array(arguments.input), files.read_array(arguments.kernel)
    bias = None if arguments.bias is None else files.read_array(arguments.bias)
    _check_kernel(arguments, x, w)
    result, line = _compute(arguments, x, w, bias)
    files.write_array(arguments.output, result)
    arrays = {"input": x, "kernel": w, "bias": bias, "output": result}
    for name, array in arrays.items():
        if array is not None:
            print(f"{name:8}{getattr(arguments, name)}  {array.shape} {array.dtype}")
    print(line)
    return 0


def _check_apply(arguments: argparse.Namespace, picture: bool) -> None:
    """What can be refused before a file is read."""
    if arguments.forward and (arguments.output_padding != 0 or arguments.output_size is not None):
        raise CommandError(
            "--output-padding and --output-size belong to the transposed convolution; leave them "
            "out with --forward"
        )
    if not arguments.layout:
        return
    if len(arguments.layout) != 3:
        raise CommandError("--layout: give the layouts of x, w and y, such as NHWC,HWIO,NHWC")
    ends = (arguments.layout[0], arguments.layout[2])
    if picture and not all(end.startswith("NC") for end in ends):
        raise CommandError(
            "--layout: a picture is read and written channels first; begin the first and the last "
            "layout with NC, or give .npy files"
        )


def _check_kernel(arguments: argparse.Namespace, x: Numbers, w: Numbers) -> None:
    """What can be refused once the arrays are there."""
    if w.ndim == 0:
        raise CommandError("--kernel: a single number is no kernel; give 1 axis or more")
    if w.ndim > 2:
        return
    if arguments.layout or arguments.groups != 1:
        raise CommandError(
            f"--layout and --groups go with a kernel of rank 3 or more, and this one has shape "
            f"{w.shape}, which is applied to every channel alone; leave them out"
        )
    if x.ndim < w.ndim:
        raise CommandError(
            f"--kernel: shape {w.shape} needs an input of {w.ndim} axes or more, and the input "
            f"has shape {x.shape}; reshape one of them"
        )


def _compute(
    arguments: argparse.Namespace, x: Numbers, w: Numbers, bias: Numbers | None
) -> tuple[Numbers, str]:
    """The result, and a line that tells how it came about."""
    arrays = [array for array in (x, w, bias) if array is not None]
    wide = any(array.dtype.name in ("float64", "int64", "uint64", "complex128") for array in arrays)
    # JAX narrows 64-bit numbers unless told otherwise.
    with jax.enable_x64(True) if wide else contextlib.nullcontext():
        with jax.numpy_dtype_promotion("standard"):
            dtype = jnp.result_type(*arrays)
        x, w = x.astype(dtype), w.astype(dtype)
        bias = None if bias is None else bias.astype(dtype)
        if w.ndim > 2:
            return _timed(arguments, x, w, bias)
        lead = x.shape[: x.ndim - w.ndim]
        x = x.reshape(math.prod(lead), 1, *x.shape[len(lead) :])
        result, line = _timed(arguments, x, w[None, None], bias)
    return result.reshape(*lead, *result.shape[2:]), line


def _timed(
    arguments: argparse.Namespace, x: Numbers, w: Numbers, bias: Numbers | None
) -> tuple[Numbers, str]:
    """Compile, then run, each on the clock."""
    function: Callable[..., Any] = (
        operations.conv if arguments.forward else operations.conv_transpose
    )
    options = {
        name: getattr(arguments, name)
        for name in ("stride", "dilation", "groups", "padding_mode", "algorithm")
    }
    options["padding"] = for_axes(arguments.padding, w.ndim - 2)
    options["dimension_numbers"] = arguments.layout
    if not arguments.forward:
        options |= {
            "output_padding": arguments.output_padding,
            "output_size": arguments.output_size,
        }
    jitted = jax.jit(lambda x, w, bias: function(x, w, bias, **options))
    # The shape alone first: it finds every wrong argument, and what no memory would hold.
    _check_memory(jax.eval_shape(jitted, x, w, bias))
    try:
        operands = jax.device_put((x, w, bias))
        start = time.perf_counter()
        compiled = jitted.lower(*operands).compile()
        middle = time.perf_counter()
        result = np.asarray(compiled(*operands).block_until_ready())
        end = time.perf_counter()
    except (MemoryError, OverflowError, RuntimeError) as error:  # XLA's are RuntimeErrors
        raise CommandError(f"JAX could not run this ({error}); try a smaller input") from error
    chosen = _chosen(arguments, x, w, result.dtype, options)
    name = "conv" if arguments.forward else "conv_transpose"
    return result, (
        f"{name} by {chosen} on {jax.default_backend()}: compiled in {middle - start:.3f} s, "
        f"ran in {end - middle:.4f} s"
    )


def _check_memory(result: jax.ShapeDtypeStruct) -> None:
    """Refuse a result that this machine cannot hold, before the machine stalls over it."""
    needed = math.prod(result.shape) * result.dtype.itemsize
    try:
        held = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not every system tells
        return
    if needed > held:
        raise CommandError(
            f"the result of shape {result.shape} takes {needed / 2**30:.0f} GiB, more than this "
            "machine's memory; give a smaller input, stride or padding"
        )


def _chosen(
    arguments: argparse.Namespace,
    x: Numbers,
    w: Numbers,
    dtype: np.dtype[Any],
    options: dict[str, Any],
) -> str:
    """The algorithm that ran."""
    if arguments.algorithm != "auto":
        return str(arguments.algorithm)
    specs = layout(arguments.layout, w.ndim - 2)
    kept = {
        name: options[name] for name in ("stride", "padding", "dilation", "groups", "padding_mode")
    }
    kernel = [w.shape[position] for position in specs.rhs_spec]
    if arguments.forward:
        there = Geometry.of_conv(_logical(x.shape, specs.lhs_spec), kernel, **kept)
        return plan(there.filled(), "conv", dtype).algorithm
    kept |= {name: options[name] for name in ("output_padding", "output_size")}
    back = Geometry.of_conv_transpose(_logical(x.shape, specs.out_spec), kernel, **kept)
    return plan(back.filled(), "conv_transpose", dtype).algorithm


def _logical(shape: tuple[int, ...], spec: Sequence[int]) -> list[int]:
    """(channels, *sizes) of an array with no batch axis, one, or several leading ones."""
    extra = len(shape) - len(spec)
    if extra < 0:
        return [shape[position - (position > spec[0])] for position in spec[1:]]
    return [shape[position + extra] for position in spec[1:]]
