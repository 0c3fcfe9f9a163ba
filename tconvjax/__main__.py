"""The command line: ``tconvjax``, also ``python -m tconvjax``.

What needs JAX, NumPy or SymPy is imported by the command that uses it.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

from tconvjax.arguments import ints
from tconvjax.command.arguments import (
    CommandError,
    by,
    file,
    for_axes,
    number,
    numbers,
    padding,
    sizes,
    values,
)
from tconvjax.errors import GeometryError
from tconvjax.geometry import Geometry, Padding, in_sizes, pads


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments after the program's name; None for those of this process.

    Returns:
        The exit status: 0, 1 if an example of the tour was not as it must be, 2 for an error of the
        user, 130 when interrupted, 141 when the reader of the output went away.
    """
    from tconvjax.command.files import FileError

    _print_what_the_terminal_can()
    try:
        arguments = _parser().parse_args(argv)
        _check_platform(arguments)
        status = int(arguments.run(arguments))
        sys.stdout.flush()
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    except BrokenPipeError:
        _drop_output()
        return 141
    except OSError as error:  # files have an error of their own, so this is the output
        _drop_output()
        print(
            f"tconvjax: error: the output cannot be written ({error.strerror or error}); make "
            "room, or send it elsewhere",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        return 130
    except (CommandError, FileError, GeometryError) as error:
        # A file's name may hold anything, and an error is one line.
        print("tconvjax: error:", " ".join(str(error).split()), file=sys.stderr)
        return 2
    return status


def _check_platform(arguments: argparse.Namespace) -> None:
    """Refuse a platform that JAX is told to use, and that is not here."""
    asked = os.environ.get("JAX_PLATFORMS")
    needed = arguments.run in (tour, apply, upsample, plan)
    if not asked or not needed or getattr(arguments, "platform", None):
        return
    import jax

    try:
        jax.devices()
    except Exception as error:  # JAX says so by several
        raise CommandError(
            f"JAX_PLATFORMS={asked}: JAX has no such device here; leave JAX_PLATFORMS out, or "
            "install JAX for it"
        ) from error


# -- commands --------------------------------------------------------------------------------------


def tour(_: argparse.Namespace) -> int:
    """Show the tutorial; status 1 if an example does not give its printed result."""
    from tconvjax.command.tour import run_tour

    return 0 if run_tour(sys.stdout) else 1


def apply(arguments: argparse.Namespace) -> int:
    """Run conv_transpose, or conv, on arrays of files."""
    from tconvjax.command.applying import run_apply

    return run_apply(arguments)


def size(arguments: argparse.Namespace) -> int:
    """Show the size a convolution gives, and the sizes that lead back from it."""
    sizes = arguments.size
    kernel = ints("kernel", arguments.kernel, len(sizes), 1)
    steps = {
        "stride": arguments.stride,
        "dilation": arguments.dilation,
        "padding": for_axes(arguments.padding, len(sizes)),
    }
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
        how = "padding by name" if named else f"output_padding {by(extra)}"
        words = f"{by(back.in_size)}  ({how})"
    print(f"convolution             {by(sizes)} -> {by(out)}")
    print(f"transposed convolution  {by(out)} -> {words}")
    _print_sizes(there, sizes, steps["padding"])
    return 0


def matrix(arguments: argparse.Namespace) -> int:
    """Show the symbolic matrix of a convolution or of its transpose."""
    from tconvjax.command.showing import run_matrix

    return run_matrix(arguments)


def explain(arguments: argparse.Namespace) -> int:
    """Explain a transposed convolution step by step, seen four ways."""
    from tconvjax.command.showing import run_explain

    return run_explain(arguments)


def upsample(arguments: argparse.Namespace) -> int:
    """Enlarge a picture or an array."""
    from tconvjax.command.enlarging import run_upsample

    return run_upsample(arguments)


def checkerboard(arguments: argparse.Namespace) -> int:
    """Show how unevenly a layer's stamps fall, and what to change."""
    from tconvjax.command.enlarging import run_checkerboard

    return run_checkerboard(arguments)


def plan(arguments: argparse.Namespace) -> int:
    """Show which algorithm computes a layer, what each would take, and why."""
    from tconvjax.command.planning import run_plan

    return run_plan(arguments)


# -- size and matrix -------------------------------------------------------------------------------


def _print_sizes(there: Geometry, sizes: Sequence[int], padding: Padding) -> None:
    """For each axis, the input sizes with the same output size and what chooses among them."""
    named = isinstance(padding, str) and padding.upper() != "VALID"
    for n, (axis, ends) in enumerate(zip(there.axes, pads(padding, there.rank), strict=True)):
        if axis.out_size == 0:
            continue
        alike = in_sizes(
            axis.out_size,
            axis.kernel_size,
            axis.stride,
            ends if isinstance(ends, str) else (ends,),
            axis.dilation,
        )
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


# -- reading arguments -----------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line that names the help."""

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message}; see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    import tconvjax

    parser = _Parser(
        prog="tconvjax",
        allow_abbrev=False,
        description="Transposed convolution: a tour of it, arrays, sizes and matrices.",
    )
    parser.add_argument("--version", action="version", version=f"tconvjax {tconvjax.__version__}")
    parser.set_defaults(run=tour)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")
    for run, add in (
        (tour, None),
        (apply, _apply_arguments),
        (size, _size_arguments),
        (matrix, _matrix_arguments),
        (explain, _explain_arguments),
        (upsample, _upsample_arguments),
        (checkerboard, _checkerboard_arguments),
        (plan, _plan_arguments),
    ):
        text = (run.__doc__ or run.__name__).rstrip(".")  # python -OO keeps no docstrings
        command = commands.add_parser(
            run.__name__,
            help=text[0].lower() + text[1:],
            description=f"{text}.",
            allow_abbrev=False,
        )
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
    add("--input", type=file, required=True, help=".npy file or picture")
    add(
        "--kernel",
        type=file,
        required=True,
        help="(O, C/groups, *sizes); with 1 or 2 axes, for every channel alone",
    )
    add("--bias", type=file, help="one number for each channel of the result")
    add("--output", type=file, required=True, help=".npy file or picture; replaced if it exists")
    add("--forward", action="store_true", help="the convolution in place of its transpose")
    _add_steps(parser)
    add("--output-padding", type=numbers(0), default=0, help="elements more at the end")
    add("--output-size", type=numbers(0), help="the result's size, in place of --output-padding")
    add("--groups", type=number, default=1)
    _add_mode(parser)
    add(
        "--layout",
        type=lambda text: tuple(text.split(",")),
        help="layouts of x, w and y, such as NHWC,HWIO,NHWC; if left out, NC...",
    )
    add("--algorithm", default="auto", help="auto, direct, patches, polyphase or taps")


def _size_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--size", type=sizes, required=True, help="the input's, such as 7x7")
    parser.add_argument("--kernel", type=numbers(1), required=True, help="its size")
    _add_steps(parser)
    parser.add_argument("--output-padding", type=numbers(0), default=0, help="for the way back")


def _matrix_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "text, svg and html are abbreviated where the matrix is large; csv and npz hold all of it. "
        "Numbers that begin with a minus sign are given as --values=-1,2."
    )
    add = parser.add_argument
    add("--size", type=sizes, help="the convolution's input, such as 4x4")
    add("--kernel", type=numbers(1), help="its size, such as 3x3")
    _add_steps(parser)
    _add_channels(parser, "--in-channels", "--out-channels", "--groups")
    _add_mode(parser)
    add("--transpose", action="store_true", help="C.T, the transposed convolution's matrix")
    add(
        "--lazy",
        action="store_true",
        help="the rule of one entry; a size or kernel left out stands as a symbol",
    )
    add("--values", type=values, metavar="NUMBERS", help="the kernel, row by row: 4,7,-2,0.5,1/3")
    add(
        "--format", choices=("text", "latex", "mathml", "html", "svg", "csv", "npz"), default="text"
    )
    add("--output", type=file, help="file; replaced if it exists")


def _explain_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "Elements without numbers are symbols. A large layer is explained by a small part of it. "
        "Numbers that begin with a minus sign are given as --w=-1,2."
    )
    add = parser.add_argument
    add("--size", type=sizes, required=True, help="of what it reads, such as 2x2")
    add("--kernel", type=numbers(1), required=True, help="its size, such as 3x3")
    _add_steps(parser)
    add("--output-padding", type=numbers(0), default=0, help="elements more at the end")
    _add_channels(parser, "--in-channels", "--out-channels", "--groups")
    _add_mode(parser)
    add("--y", type=values, metavar="NUMBERS", help="what it reads, row by row: 0,1,2,3")
    add("--w", type=values, metavar="NUMBERS", help="the kernel, row by row: 4,7,2,2")
    add("--view", choices=("stamps", "zeros", "matrix", "polyphase", "all"), default="all")
    add("--format", choices=("text", "markdown", "html", "svg", "animation"), default="text")
    add("--output", type=file, help="file; replaced if it exists")


def _upsample_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "A picture is enlarged along both axes; of an array those that --factor or --size name, "
        "the last two without. transposed is a transposed convolution with the kernel of linear "
        "interpolation, whose border fades; unpool puts each element into the first place of its "
        "window and zeros elsewhere."
    )
    add = parser.add_argument
    add("input", type=file, help=".npy file or picture")
    add("--factor", type=numbers(1), help="2, or one an axis such as 2x3")
    add("--size", type=numbers(1), help="in place of a factor, such as 480x640")
    add(
        "--method",
        choices=("nearest", "linear", "cubic", "bicubic", "transposed", "unpool"),
        default="linear",
    )
    add("--align-corners", action="store_true", help="the corners of both lie on each other")
    add("-o", "--output", type=file, required=True, help="file; replaced if it exists")


def _checkerboard_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "Two axes, unless a number an axis says otherwise."
    parser.add_argument("--kernel", type=numbers(1), required=True, help="its size, such as 3")
    _add_steps(parser)
    parser.add_argument("-o", "--output", type=file, help="a picture of it, as SVG")


def _plan_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "The layer is conv_transpose(y, w), or with --forward conv(x, w); its derivatives are "
        "shown with it."
    )
    add = parser.add_argument
    add("--size", type=sizes, required=True, help="of the layer's input, such as 32x32")
    add("--kernel", type=numbers(1), required=True, help="its size, such as 4x4")
    _add_steps(parser)
    add("--output-padding", type=numbers(0), default=0, help="elements more at the end")
    _add_channels(parser, "--in-channels", "--out-channels", "--groups", "--batch")
    add("--forward", action="store_true", help="the layer is a convolution")
    add("--dtype", default="float32", help="float32 if left out")
    add("--platform", choices=("cpu", "cuda", "rocm", "tpu"), help="this machine's if left out")


def _add_steps(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stride", type=numbers(1), default=1)
    words = "2, 2x1, low:high pairs such as 1:2x0:3, or SAME, VALID, ..."
    parser.add_argument("--padding", type=padding, default=0, help=words)
    parser.add_argument("--dilation", type=numbers(1), default=1)


def _add_channels(parser: argparse.ArgumentParser, *names: str) -> None:
    for name in names:
        parser.add_argument(name, type=number, default=1)


def _add_mode(parser: argparse.ArgumentParser) -> None:
    words = "zeros, circular, reflect or replicate"
    parser.add_argument("--padding-mode", default="zeros", help=words)


# -- the terminal ----------------------------------------------------------------------------------


def _print_what_the_terminal_can() -> None:
    """A bracket that the terminal's encoding lacks becomes a question mark, and no error."""
    if sys.stdout is None:  # closed by whoever started this, and print takes that for nowhere
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="replace")


def _drop_output() -> None:
    """Send what is still buffered nowhere, so that Python does not complain at its exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
