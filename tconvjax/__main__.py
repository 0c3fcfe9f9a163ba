"""The command line: ``tconvjax``, also ``python -m tconvjax``.

Each command imports what it needs when it runs, so that the others do not wait for SymPy.
"""

from __future__ import annotations

import argparse
import codecs
import contextlib
import importlib
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import tconvjax
from tconvjax.command import arguments as read
from tconvjax.command.arguments import CommandError, check_output
from tconvjax.errors import GeometryError

_FROM_0, _FROM_1 = read.numbers(0), read.numbers(1)
_LAYOUT = "layouts of x, w and y, such as NHWC,HWIO,NHWC; channels first by default"
_PADS = "2, 2x1, low:high pairs such as 1:2x0:3, or SAME, VALID, ..."
OPTIONS: dict[str, dict[str, Any]] = {
    "size": {"type": read.sizes, "help": "size of x, the convolution's input, such as 7x7"},
    "out-size": {"type": read.sizes, "help": "size of y, the transposed convolution's input"},
    "kernel": {"type": _FROM_1, "help": "its size, such as 3x3"},
    "stride": {"type": _FROM_1, "default": 1},
    "padding": {"type": read.padding, "default": 0, "help": _PADS},
    "dilation": {"type": _FROM_1, "default": 1},
    "output-padding": {"type": _FROM_0, "default": 0, "help": "additional elements at the end"},
    "in-channels": {"type": read.number, "default": 1, "help": "channels of x"},
    "out-channels": {"type": read.number, "default": 1, "help": "channels of y"},
    "groups": {"type": read.number, "default": 1},
    "batch": {"type": read.number, "default": 1},
    "padding-mode": {"default": "zeros", "help": "zeros, circular, reflect or replicate"},
    "layout": {"type": read.layouts, "help": _LAYOUT},
    "output": {"type": read.file, "help": "file; replaced if it exists"},
}
"""Options that several commands have."""

_OPTION = {"x": "input size", "y": "input out_size", "w": "kernel", "path": "output"}
"""The options that hold an argument of the library, where the names differ."""

FORMATS: dict[str, tuple[str, ...]] = {
    "matrix": ("text", "latex", "mathml", "html", "svg", "csv", "npz"),
    "explain": ("text", "markdown", "html", "svg", "animation"),
    "checkerboard": ("svg",),
    "plan": ("json",),
}
"""The formats that a command writes, the default first."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: the arguments after the program's name; None for those of this process.

    Returns:
        The exit status: 0, 1 if an example of the tour does not give its result, 2 for an error of
        the user, 130 if interrupted, 141 if the reader of the output went away.
    """
    _print_what_the_terminal_can()
    try:
        arguments = _parser().parse_args(argv)
        name = arguments.command
        if name in ("tour", "apply", "upsample") or (name == "plan" and not arguments.platform):
            _check_platform()
        paths = {key: path for key, path in vars(arguments).items() if isinstance(path, Path)}
        if output := paths.pop("output", None):
            check_output(output, [*paths.values()])
        if name in FORMATS:
            arguments.format = read.format_of(output, vars(arguments).get("format"), FORMATS[name])
        module = importlib.import_module(f"tconvjax.command.{arguments.module}")
        status = int(getattr(module, name)(arguments) or 0)
        sys.stdout.flush()
    except SystemExit as end:  # --help and --version
        return int(end.code or 0)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _drop_output()
        return 141
    except OSError as error:  # other errors of files are CommandErrors
        _drop_output()
        return _complain(
            f"{error.filename or 'the output'} cannot be written ({error.strerror or error}); make "
            "room, or send it elsewhere"
        )
    except CommandError as error:
        return _complain(str(error))
    except GeometryError as error:
        message = str(error).replace("dimension_numbers", "--layout")
        argument, equals, rest = message.partition("=")
        names = [argument, argument.removesuffix("_size"), *_OPTION.get(argument, "").split()]
        option = next((name for name in names if name in vars(arguments)), None)
        argument = f"--{option.replace('_', '-')}" if option else argument
        return _complain(argument + equals + rest)
    except (MemoryError, OverflowError, RuntimeError) as error:  # XLA raises RuntimeErrors
        return _complain(f"JAX could not run this ({error}); try a smaller input")
    return status


def _complain(message: str) -> int:
    # A file's name may hold anything, and an error is one line.
    print("tconvjax: error:", " ".join(message.split()), file=sys.stderr)
    return 2


def _check_platform() -> None:
    """Reject a platform that JAX is told to use and that this machine does not have."""
    import jax

    try:
        jax.devices()
    except Exception as error:  # JAX raises several kinds
        raise CommandError(
            f"JAX_PLATFORMS={os.environ.get('JAX_PLATFORMS')}: JAX has no such device here; leave "
            "JAX_PLATFORMS out, or install JAX for it"
        ) from error


# -- reading arguments -----------------------------------------------------------------------------


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line that names the help; -1:2 and -1,2 are values."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._negative_number_matcher = re.compile(r"-[\d.]")

    def parse_known_args(self, *args: Any, **kwargs: Any) -> Any:
        parsed, unknown = super().parse_known_args(*args, **kwargs)
        if unknown:  # here, since the parser of all commands would name its own help
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return parsed, unknown

    def error(self, message: str) -> NoReturn:
        raise CommandError(f"{message}; see {self.prog} --help")


def _parser() -> argparse.ArgumentParser:
    about = "Transposed convolution: a tour of it, arrays, sizes and matrices."
    parser = _Parser(prog="tconvjax", allow_abbrev=False, description=about)
    parser.add_argument("--version", action="version", version=f"tconvjax {tconvjax.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="command")

    def command(
        name: str, module: str, text: str, needed: str = "", others: str = "", epilog: str = ""
    ) -> Any:
        """Add a command: a function in a module of `tconvjax.command`, and its common options."""
        texts: Any = {"help": text[0].lower() + text[1:].rstrip("."), "description": text}
        added = commands.add_parser(name, epilog=epilog, allow_abbrev=False, **texts)
        added.set_defaults(module=module)
        for option in (*needed.split(), *others.split()):
            if option == "size":
                either = added.add_mutually_exclusive_group(required="size" in needed.split())
                for size in ("size", "out-size"):
                    either.add_argument(f"--{size}", **OPTIONS[size])
                continue
            flags = ["-o", "--output"] if option == "output" else [f"--{option}"]
            added.add_argument(*flags, required=option in needed.split(), **OPTIONS[option])
        return added.add_argument

    text = "Show the tutorial; status 1 if an example does not give its printed result."
    add = command("tour", "tour", text)
    add("--part", type=read.number, choices=range(1, 6), help="show this part only, 1 to 5")
    parser.set_defaults(command="tour", module="tour", part=None)
    add = command(
        "apply",
        "arrays",
        "Run conv_transpose, or conv, on arrays in files.",
        "output",
        "stride padding dilation output-padding groups padding-mode layout",
        "The input is y of conv_transpose(y, w), or with --forward x of conv(x, w). Sizes are "
        "written 2, 2x1 or 2,1. A picture (.png .jpg .webp ...) is read as float32 in 0..255, "
        "channels first, and needs Pillow.",
    )
    add("--input", type=read.file, required=True, help=".npy file or picture")
    shape = "(O, C/groups, *sizes); with 1 or 2 axes it is applied to every channel alone"
    add("--kernel", type=read.file, required=True, help=shape)
    add("--bias", type=read.file, help="one number for each channel of the result")
    add("--forward", action="store_true", help="the convolution instead of its transpose")
    add("--output-size", type=_FROM_0, help="size of the result, not with --output-padding")
    add("--algorithm", default="auto", help="auto, direct, patches, polyphase or taps")

    text = "Show the size a convolution gives, and the sizes that lead back from it."
    command("size", "plan", text, "size kernel", "stride padding dilation output-padding")
    by_name = "text by default, or what the name of the output says"
    add = command(
        "matrix",
        "matrix",
        "Show the symbolic matrix of a convolution or of its transpose.",
        "",
        "size kernel stride padding dilation output-padding padding-mode in-channels out-channels "
        "groups output",
        "text, svg and html are abbreviated where the matrix is large; csv and npz hold all of it.",
    )
    add("--transpose", action="store_true", help="C.T, the matrix of the transposed convolution")
    rule = "the rule of one entry; a size or kernel that is left out becomes a symbol"
    add("--lazy", action="store_true", help=rule)
    row = "the kernel, row by row: 4,7,-2,0.5,1/3"
    add("--values", type=read.values, metavar="NUMBERS", help=row)
    add("--format", choices=FORMATS["matrix"], help=by_name)

    add = command(
        "explain",
        "matrix",
        "Explain a transposed convolution step by step, seen four ways.",
        "size kernel",
        "stride padding dilation output-padding padding-mode in-channels out-channels groups "
        "output",
        "Elements without numbers are symbols. A large layer is explained by a small part of it.",
    )
    add("--y", type=read.values, metavar="NUMBERS", help="y, row by row: 0,1,2,3")
    add("--w", type=read.values, metavar="NUMBERS", help="the kernel, row by row: 4,7,2,2")
    add("--view", choices=("stamps", "zeros", "matrix", "polyphase", "all"), default="all")
    add("--format", choices=FORMATS["explain"], help=by_name)

    add = command(
        "upsample",
        "arrays",
        "Enlarge a picture or an array.",
        "output",
        "",
        "A picture is enlarged along both axes; an array along those that --factor or --size name, "
        "or else the last two. transposed is a transposed convolution with the kernel of linear "
        "interpolation, whose border fades; unpool puts each element into the first place of its "
        "window and zeros elsewhere.",
    )
    add("input", type=read.file, help=".npy file or picture")
    add("--factor", type=_FROM_1, help="2, or one per axis such as 2x3")
    add("--size", type=_FROM_1, help="size of the result instead of a factor, such as 480x640")
    methods = "unpool, or a method of upsampling.upsample, such as nearest, bilinear or bicubic"
    add("--method", default="linear", help=methods)
    add("--align-corners", action="store_true", help="keep the corners in their places")

    command(
        "checkerboard",
        "plan",
        "Show how unevenly a layer's stamps fall, and what to change.",
        "kernel",
        "stride padding dilation output",
        "There are two axes, unless an option has one number per axis. The file is an SVG.",
    )
    add = command(
        "plan",
        "plan",
        "Show which algorithm computes a layer, what each would take, and why.",
        "size kernel",
        "stride padding dilation output-padding in-channels out-channels groups batch layout "
        "output",
        "The layer is conv(x, w) or conv_transpose(y, w), and both are shown with the gradient of "
        "the kernel. What was measured is added to the output.",
    )
    add("--dtype", default="float32", help="float32 by default")
    add("--platform", help="cpu, gpu, cuda, rocm or tpu; this machine's by default")
    add("--measure", action="store_true", help="time the candidates on this machine")
    add("--save", action="store_true", help="keep it where every process looks for it")
    return parser


# -- the terminal ----------------------------------------------------------------------------------


_SIGNS = "⎡⎢⎣⎤⎥⎦⎛⎜⎝⎞⎟⎠⎧⎨⎩⎪│─┼·⋅∗→⋯⋮⋱↪∧░▒▓█", "[[[]]]((())){{{{|-+.**>~:\\\\&.:*#"
_ASCII = str.maketrans(
    dict(zip(*_SIGNS, strict=True)) | {"≤": "<=", "≥": ">=", "≠": "!=", "…": "...", "⊗": "(x)"}
)
"""Replacements of the printers' characters, of the same width as far as ASCII has one."""


def _print_what_the_terminal_can() -> None:
    """Write ASCII instead of the signs that the terminal lacks, instead of failing."""
    if sys.stdout is None:  # it was closed before the start, and print would write nowhere
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - until the end
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        codecs.register_error("tconvjax", _in_ascii)
        plain = sys.stdout.isatty() and os.environ.get("TERM") in ("dumb", "linux")
        reconfigure(encoding="ascii" if plain else None, errors="tconvjax")


def _in_ascii(error: Any) -> tuple[str, int]:
    text = error.object[error.start : error.end].translate(_ASCII)
    return text.encode("ascii", "replace").decode("ascii"), error.end


def _drop_output() -> None:
    """Send what is still buffered nowhere, so that Python does not complain at its exit."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
