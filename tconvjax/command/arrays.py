"""Run operations on arrays and pictures in files: ``tconvjax apply`` and ``tconvjax upsample``."""

from __future__ import annotations

import argparse
import functools
import math
import os
import time
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from tconvjax import operations, upsampling
from tconvjax.algorithms.plan import plan
from tconvjax.arguments import ints
from tconvjax.command import files
from tconvjax.command.arguments import CommandError, by, for_axes
from tconvjax.command.files import Numbers
from tconvjax.geometry import Geometry
from tconvjax.layouts import layout_of, permuted
from tconvjax.layouts import sizes as sizes_of


def apply(arguments: argparse.Namespace) -> int:
    """Run conv_transpose, or conv, and print the shapes, the algorithm and the time."""
    paths = {name: getattr(arguments, name) for name in ("input", "kernel", "bias")}
    paths = {name: path for name, path in paths.items() if path}
    files.check_output(arguments.output, list(paths.values()))
    _check_options(arguments)
    arrays = {name: files.read_array(path) for name, path in paths.items()}
    _check_kernel(arguments, arrays["input"], arrays["kernel"])
    with jax.enable_x64(_is_wide(*arrays.values())):
        with jax.numpy_dtype_promotion("standard"):
            dtype = jnp.result_type(*arrays.values())
        values = {name: array.astype(dtype) for name, array in arrays.items()}
        x, w = values["input"], values["kernel"]
        lead, sizes = x.shape[: x.ndim - w.ndim], x.shape[x.ndim - w.ndim :]
        alone = w.ndim <= 2
        if alone:
            x, w = x.reshape(math.prod(lead), 1, *sizes), w[None, None]
        result, line = _timed(arguments, x, w, values.get("bias"))
    result = result.reshape(*lead, *result.shape[2:]) if alone else result
    files.write_array(arguments.output, result)
    _print_arrays(arguments, **arrays, output=result)
    print(line)
    return 0


def _check_options(arguments: argparse.Namespace) -> None:
    """Reject options that contradict one another, before a file is read."""
    pictures = [files.is_picture(path) for path in (arguments.input, arguments.output)]
    if arguments.forward and (arguments.output_padding != 0 or arguments.output_size is not None):
        raise CommandError(
            "--output-padding and --output-size belong to the transposed convolution; leave them "
            "out with --forward"
        )
    layouts = arguments.layout or ("NC", "", "NC")
    first = layouts[0].startswith("NC") and layouts[-1].startswith("NC")
    if len(layouts) != 3 or (any(pictures) and not first):
        raise CommandError(
            "--layout: give the layouts of x, w and y, such as NHWC,HWIO,NHWC; where x or y is a "
            "picture, it begins with NC"
        )


def _check_kernel(arguments: argparse.Namespace, x: Numbers, w: Numbers) -> None:
    """Reject a kernel that does not fit the input or the options."""
    if w.ndim <= 2 and (arguments.layout or arguments.groups != 1):
        raise CommandError(
            f"--layout and --groups need a kernel of 3 axes or more, and this one of shape "
            f"{w.shape} is applied to every channel alone; leave them out"
        )
    if w.ndim <= 2 and x.ndim < w.ndim:
        raise CommandError(
            f"--kernel: shape {w.shape} needs an input of {w.ndim} axes or more, and the input "
            f"has shape {x.shape}; reshape one of them"
        )


def _is_wide(*arrays: Numbers) -> bool:
    """Tell whether an array has 64-bit numbers, which JAX narrows by default."""
    return any(a.dtype.itemsize > (8 if a.dtype.kind == "c" else 4) for a in arrays)


def _timed(
    arguments: argparse.Namespace, x: Numbers, w: Numbers, bias: Numbers | None
) -> tuple[Numbers, str]:
    """Compile and run the operation; return the result and a line about both."""
    names = ["stride", "dilation", "groups", "padding_mode"]
    names += [] if arguments.forward else ["output_padding", "output_size"]
    steps = {name: getattr(arguments, name) for name in names}
    steps["padding"] = for_axes(arguments.padding, w.ndim - 2)
    specs = layout_of(arguments.layout, w)
    kernel = permuted(w.shape, specs.rhs_spec)
    function: Any = operations.conv if arguments.forward else operations.conv_transpose
    if arguments.forward:
        geometry = Geometry.of_conv(sizes_of("x", x, specs.lhs_spec), kernel, **steps)
        batch, shape = x.size // max(math.prod(geometry.in_shape), 1), geometry.out_shape
    else:
        sizes = sizes_of("y", x, specs.out_spec)
        geometry = Geometry.of_conv_transpose(sizes, kernel, **steps)
        batch, shape = x.size // max(math.prod(geometry.out_shape), 1), geometry.in_shape
    _check_memory((batch, *shape), x.dtype)
    chosen = arguments.algorithm
    if chosen == "auto":
        chosen = plan(geometry.filled(), function.__name__, x.dtype).algorithm
    steps |= {"dimension_numbers": arguments.layout, "algorithm": arguments.algorithm}
    values = jax.device_put((x, w, bias))
    start = time.perf_counter()
    compiled = jax.jit(functools.partial(function, **steps)).lower(*values).compile()
    middle = time.perf_counter()
    result = np.asarray(compiled(*values).block_until_ready())
    return result, (
        f"{function.__name__} by {chosen} on {jax.default_backend()}: compiled in "
        f"{middle - start:.3f} s, ran in {time.perf_counter() - middle:.4f} s"
    )


def _check_memory(shape: Sequence[int], dtype: np.dtype[Any]) -> None:
    """Reject a result that this machine cannot hold, before the machine stalls over it."""
    needed = math.prod(shape) * dtype.itemsize
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not every system tells
        return
    if needed > memory:
        raise CommandError(
            f"the result of shape {tuple(shape)} takes {needed / 2**30:.0f} GiB, more than this "
            "machine's memory; give smaller sizes, steps or padding"
        )


def _print_arrays(arguments: argparse.Namespace, **arrays: Numbers) -> None:
    for name, array in arrays.items():
        print(f"{name:8}{getattr(arguments, name)}  {array.shape} {array.dtype}")


# -- upsample --------------------------------------------------------------------------------------


def upsample(arguments: argparse.Namespace) -> int:
    """Enlarge a picture along both axes, or an array along its last axes."""
    files.check_output(arguments.output, [arguments.input])
    files.is_picture(arguments.output)
    if (arguments.factor is None) == (arguments.size is None):
        raise CommandError("--factor, --size: give one of the two")
    x = given = files.read_array(arguments.input)
    if x.dtype.kind in "iu" and arguments.method != "nearest":
        x = x.astype(np.float32)
    asked = arguments.factor or arguments.size
    rank = len(asked) if isinstance(asked, tuple) else min(2, x.ndim)
    if x.ndim < rank:
        raise CommandError(f"--factor: {by(asked)} names {rank} axes, and the input has {x.ndim}")
    x = x[None] if x.ndim == rank else x
    size = ints("size", asked, rank, 1)
    if arguments.factor is not None:
        size = tuple(f * n for f, n in zip(size, x.shape[-rank:], strict=True))
    _check_memory((*x.shape[:-rank], *size), x.dtype)
    with jax.enable_x64(_is_wide(x)):
        if arguments.method == "unpool":
            result: Any = _unpooled(x, size)
        else:
            corners = arguments.align_corners
            result = upsampling.upsample(
                x, size=size, method=arguments.method, align_corners=corners
            )
        result = np.asarray(result)
    files.write_array(arguments.output, result)
    _print_arrays(arguments, input=given, output=result)
    return 0


def _unpooled(x: Numbers, size: tuple[int, ...]) -> Any:
    """Put each element into the first place of its window, and zeros elsewhere."""
    old = x.shape[-len(size) :]
    if any(not n or m % n for n, m in zip(old, size, strict=True)):
        raise CommandError(
            f"--size: unpooling needs whole multiples of {by(old)}, not {by(size)}; give --factor"
        )
    factors = tuple(m // n for n, m in zip(old, size, strict=True))
    result = np.zeros((*x.shape[: -len(size)], *size), x.dtype)
    places: Any = (..., *(slice(None, None, factor) for factor in factors))
    result[places] = x
    return result
