"""The command line: ``tconvjax``, also ``python -m tconvjax``.

What needs JAX, NumPy or SymPy is imported by the command that uses it.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import re
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    import jax
    import numpy as np

    from tconvjax.files import Numbers
    from tconvjax.geometry import Geometry, Padding

LARGEST = 1_000_000
"""No stride, size or padding above this makes sense here, and lists of sizes stay short enough."""
MOST_ELEMENTS = 1_000_000
"""Rows and columns of a matrix to look at."""

_WHOLE = re.compile(r"[0-9]+([x,][0-9]+)*")
_PADS = re.compile(r"-?[0-9]+(:-?[0-9]+)?([x,]-?[0-9]+(:-?[0-9]+)?)*")


class CommandError(Exception):
    """What the user gave cannot be done; the message says what can."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments after the program's name; None for those of this process.

    Returns:
        The exit status: 0, 1 if an example of the tour did not match, 2 for an error of the user,
        130 when interrupted, 141 when the reader of the output went away.
    """
    from tconvjax.files import FileError
    from tconvjax.geometry import GeometryError

    _print_what_the_terminal_can()
    try:
        arguments = _parser().parse_args(argv)
        status = int(arguments.run(arguments))
        sys.stdout.flush()
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    except BrokenPipeError:
        _drop_output()
        return 141
    except KeyboardInterrupt:
        return 130
    except (CommandError, FileError, GeometryError) as error:
        # A file's name may hold anything, and an error is one line.
        print("tconvjax: error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    return status


# -- commands --------------------------------------------------------------------------------------


def tour(_: argparse.Namespace) -> int:
    """Show the tutorial; status 1 if an example does not give its printed result."""
    from tconvjax.tour import run_tour

    return 0 if run_tour(sys.stdout) else 1


def apply(arguments: argparse.Namespace) -> int:
    """Run conv_transpose, or conv, on arrays of files."""
    from tconvjax import files

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


def size(arguments: argparse.Namespace) -> int:
    """Show the size a convolution gives, and the sizes that lead back from it."""
    from tconvjax.geometry import Geometry, GeometryError, ints

    sizes = arguments.size
    kernel = ints("kernel", arguments.kernel, len(sizes), 1)
    steps = {"stride": arguments.stride, "dilation": arguments.dilation,
             "padding": _for_axes(arguments.padding, len(sizes))}  # fmt: skip
    there = Geometry.of_conv((1, *sizes), (1, 1, *kernel), **steps)
    out, extra = there.out_size, arguments.output_padding
    try:
        back = Geometry.of_conv_transpose((1, *out), (1, 1, *kernel), output_padding=extra, **steps)
    except GeometryError:
        if extra != 0:
            raise
        # A padding wider than the kernel can leave less than nothing without output_padding.
        words = "none without output_padding, see below"
    else:
        named = isinstance(arguments.padding, str)
        how = "padding by name" if named else f"output_padding {_by(extra)}"
        words = f"{_by(back.in_size)}  ({how})"
    print(f"convolution             {_by(sizes)} -> {_by(out)}")
    print(f"transposed convolution  {_by(out)} -> {words}")
    _print_sizes(there, sizes, steps["padding"])
    return 0


def matrix(arguments: argparse.Namespace) -> int:
    """Show the symbolic matrix of a convolution or of its transpose."""
    import shutil

    from tconvjax import rendering, symbolic

    there = _matrix_geometry(arguments)
    shown = symbolic.conv_matrix(there)
    sizes = f"{_by(there.in_size)} to {_by(there.out_size)}"
    name, what = "C", f"the convolution of {sizes}"
    if arguments.transpose:
        shown = shown.T
        name, what = "C.T", f"the transpose of the convolution of {sizes}"
    if arguments.format == "latex":
        print(rendering.matrix_latex(shown))
        return 0
    print(f"{name}, {what}: {shown.rows} rows, {shown.cols} columns")
    print(rendering.matrix_text(shown, width=max(shutil.get_terminal_size().columns, 20)))
    return 0


# -- apply -----------------------------------------------------------------------------------------


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
    import jax
    import jax.numpy as jnp

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
    import jax
    import numpy as np

    import tconvjax

    function: Callable[..., Any] = tconvjax.conv if arguments.forward else tconvjax.conv_transpose
    options = {name: getattr(arguments, name) for name in
               ("stride", "dilation", "groups", "padding_mode", "algorithm")}  # fmt: skip
    options["padding"] = _for_axes(arguments.padding, w.ndim - 2)
    options["dimension_numbers"] = arguments.layout
    if not arguments.forward:
        options |= {"output_padding": arguments.output_padding,
                    "output_size": arguments.output_size}  # fmt: skip
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
    from tconvjax import Geometry, select_algorithm
    from tconvjax.forward import layout

    if arguments.algorithm != "auto":
        return str(arguments.algorithm)
    specs = layout(arguments.layout, w.ndim - 2)
    kept = {name: options[name] for name in ("stride", "padding", "dilation", "groups",
                                             "padding_mode")}  # fmt: skip
    kernel = [w.shape[position] for position in specs.rhs_spec]
    if arguments.forward:
        there = Geometry.of_conv(_logical(x.shape, specs.lhs_spec), kernel, **kept)
        return select_algorithm(there.filled(), "conv", dtype)
    kept |= {name: options[name] for name in ("output_padding", "output_size")}
    back = Geometry.of_conv_transpose(_logical(x.shape, specs.out_spec), kernel, **kept)
    return select_algorithm(back.filled(), "conv_transpose", dtype)


def _logical(shape: tuple[int, ...], spec: Sequence[int]) -> list[int]:
    """(channels, *sizes) of an array with no batch axis, one, or several leading ones."""
    extra = len(shape) - len(spec)
    if extra < 0:
        return [shape[position - (position > spec[0])] for position in spec[1:]]
    return [shape[position + extra] for position in spec[1:]]


# -- size and matrix -------------------------------------------------------------------------------


def _print_sizes(there: Geometry, sizes: Sequence[int], padding: Padding) -> None:
    """For each axis, the input sizes with the same output size and what chooses among them."""
    from tconvjax.geometry import in_sizes, pads

    named = isinstance(padding, str) and padding.upper() != "VALID"
    for n, (axis, ends) in enumerate(zip(there.axes, pads(padding, there.rank), strict=True)):
        if axis.out_size == 0:
            continue
        alike = in_sizes(
            axis.out_size, axis.kernel_size, axis.stride,
            ends if isinstance(ends, str) else (ends,), axis.dilation,
        )  # fmt: skip
        # The least size may be negative and then missing; the largest one always exists.
        least = alike[-1] - axis.stride + 1
        print(f"axis {n}: input sizes whose output size is {axis.out_size}")
        for shown in _ends_of(alike, sizes[n]):
            choice = "output_size" if named else "output_padding"
            number = shown if named else shown - least
            mark = "  <- the size given" if shown == sizes[n] else ""
            print("  ..." if shown < 0 else f"  {shown:>7}  {choice} {number}{mark}")


def _ends_of(values: Sequence[int], kept: int) -> list[int]:
    """All of a few values; of many the first and last and one to keep, -1 for a gap."""
    if len(values) <= 16:
        return list(values)
    places = sorted({*range(4), *range(len(values) - 4, len(values)), values.index(kept)})
    shown: list[int] = []
    for before, place in zip([-1, *places], places, strict=False):
        shown += [-1, values[place]] if place > before + 1 else [values[place]]
    return shown


def _matrix_geometry(arguments: argparse.Namespace) -> Geometry:
    from tconvjax.geometry import Geometry, ints

    sizes, groups, channels = arguments.size, arguments.groups, arguments.in_channels
    kernel = ints("kernel", arguments.kernel, len(sizes), 1)
    if channels % groups:
        raise CommandError(
            f"--groups: {groups} must divide --in-channels {channels}; give a divisor"
        )
    there = Geometry.of_conv(
        (channels, *sizes), (arguments.out_channels, channels // groups, *kernel),
        stride=arguments.stride, padding=_for_axes(arguments.padding, len(sizes)),
        dilation=arguments.dilation, groups=groups, padding_mode=arguments.padding_mode,
    )  # fmt: skip
    largest = max(math.prod(there.in_shape), math.prod(there.out_shape))
    if largest > MOST_ELEMENTS:
        raise CommandError(
            f"the matrix would have {largest} rows or columns; look at a smaller --size, a "
            "convolution looks alike at every size"
        )
    return there


def _by(sizes: int | Sequence[int]) -> str:
    return str(sizes) if isinstance(sizes, int) else "x".join(map(str, sizes))


# -- reading arguments -----------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line that names the help."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message}; see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    import tconvjax

    parser = _Parser(
        prog="tconvjax", allow_abbrev=False,
        description="Transposed convolution: a tour of it, arrays, sizes and matrices.",
    )  # fmt: skip
    parser.add_argument("--version", action="version", version=f"tconvjax {tconvjax.__version__}")
    parser.set_defaults(run=tour)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for run, add in ((tour, None), (apply, _apply_arguments), (size, _size_arguments),
                     (matrix, _matrix_arguments)):  # fmt: skip
        text = (run.__doc__ or "").rstrip(".")
        command = commands.add_parser(
            run.__name__, help=text[0].lower() + text[1:], description=f"{text}.",
            allow_abbrev=False,
        )  # fmt: skip
        command.set_defaults(run=run)
        if add is not None:
            add(command)
    return parser


def _apply_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    parser.epilog = (
        "The input is y of conv_transpose(y, w), or with --forward x of conv(x, w). Sizes are "
        "written 2, 2x1 or 2,1; a padding that begins with a minus sign as --padding=-1:2. A "
        "picture (.png .jpg .webp ...) is read as float32 in 0..255, channels first, and needs "
        "Pillow."
    )
    add("--input", type=Path, required=True, help=".npy file or picture")
    add("--kernel", type=Path, required=True,
        help="(O, C/groups, *sizes); with 1 or 2 axes, for every channel alone")  # fmt: skip
    add("--bias", type=Path, help="one number for each channel of the result")
    add("--output", type=Path, required=True, help=".npy file or picture; replaced if it exists")
    add("--forward", action="store_true", help="the convolution in place of its transpose")
    _add_steps(parser)
    add("--output-padding", type=_numbers(0), default=0, help="elements more at the end")
    add("--output-size", type=_numbers(0), help="the result's size, in place of --output-padding")
    add("--groups", type=_number, default=1)
    _add_mode(parser)
    add("--layout", type=lambda text: tuple(text.split(",")),
        help="layouts of x, w and y, such as NHWC,HWIO,NHWC; if left out, NC...")  # fmt: skip
    add("--algorithm", default="auto", help="auto, direct, patches or polyphase")


def _size_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=_sizes, required=True, help="the input's, such as 7x7")
    parser.add_argument("--kernel", type=_numbers(1), required=True, help="its size")
    _add_steps(parser)
    parser.add_argument("--output-padding", type=_numbers(0), default=0, help="for the way back")


def _matrix_arguments(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--size", type=_sizes, required=True, help="the convolution's input, such as 4x4")
    add("--kernel", type=_numbers(1), required=True, help="its size, such as 3x3")
    _add_steps(parser)
    for name in ("--in-channels", "--out-channels", "--groups"):
        add(name, type=_number, default=1)
    _add_mode(parser)
    add("--transpose", action="store_true", help="C.T, the transposed convolution's matrix")
    add("--format", choices=("text", "latex"), default="text")


def _add_steps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stride", type=_numbers(1), default=1)
    words = "2, 2x1, low:high pairs such as 1:2x0:3, or SAME, VALID, ..."
    parser.add_argument("--padding", type=_padding, default=0, help=words)
    parser.add_argument("--dilation", type=_numbers(1), default=1)


def _add_mode(parser: argparse.ArgumentParser) -> None:
    words = "zeros, circular, reflect or replicate"
    parser.add_argument("--padding-mode", default="zeros", help=words)


def _numbers(least: int) -> Callable[[str], int | tuple[int, ...]]:
    """A reader of ``2``, ``2x1`` and ``2,1``."""

    def read(text: str) -> int | tuple[int, ...]:
        if not _WHOLE.fullmatch(text):
            raise argparse.ArgumentTypeError(
                f"{text!r} is not a whole number; give one such as 2, or one an axis such as 2x1"
            )
        values = tuple(_bounded(part, least) for part in re.split("[x,]", text))
        return values[0] if len(values) == 1 else values

    return read


def _number(text: str) -> int:
    if not _WHOLE.fullmatch(text) or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number; give one such as 2")
    return _bounded(text, 1)


def _sizes(text: str) -> tuple[int, ...]:
    value = _numbers(1)(text)
    return (value,) if isinstance(value, int) else value


def _padding(text: str) -> Padding:
    """A name, which the library checks, or numbers and low:high pairs."""
    if re.fullmatch("[A-Za-z_]+", text):
        return text
    if not _PADS.fullmatch(text):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no padding; give 1, 1x2, low:high pairs such as 1:2x0:3, or a name such "
            "as SAME"
        )
    ends = [
        tuple(_bounded(end, -LARGEST) for end in part.split(":")) for part in re.split("[x,]", text)
    ]
    values: Any = tuple(pair if len(pair) == 2 else pair[0] for pair in ends)
    return values[0] if len(values) == 1 and isinstance(values[0], int) else values


def _bounded(text: str, least: int) -> int:
    # The length first: Python refuses to read thousands of digits, with an error of its own.
    value = int(text) if len(text) <= 9 else LARGEST + 1
    if not least <= value <= LARGEST:
        raise argparse.ArgumentTypeError(f"{text[:20]} is out of range; give {least} to {LARGEST}")
    return value


def _for_axes(padding: Padding, rank: int) -> Padding:
    """A padding where a single low:high pair means every axis."""
    if isinstance(padding, tuple) and len(padding) == 1 and isinstance(padding[0], tuple):
        return (padding[0],) * rank
    return padding


# -- the terminal ----------------------------------------------------------------------------------


def _print_what_the_terminal_can() -> None:
    """A bracket that the terminal's encoding lacks becomes a question mark, and no error."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


def _drop_output() -> None:
    """Send what is still buffered nowhere, so that Python does not complain at its exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
