"""What ``tconvjax matrix`` and ``tconvjax explain`` show, in every format.

Numbers and names come from the command line as they are: nothing is evaluated, and SymPy parses
none of it.
"""

from __future__ import annotations

import argparse
import html
import math
import re
import shutil
import sys
from typing import Any

import numpy as np
import sympy

from tconvjax import rendering, symbolic
from tconvjax.arguments import counted, ints
from tconvjax.command.arguments import CommandError, by, for_axes
from tconvjax.command.files import check_target, write_npz, write_text
from tconvjax.explaining import VIEWS, explain
from tconvjax.geometry import Geometry
from tconvjax.rendering.pictures import MOST_DOTS
from tconvjax.rendering.text import MOST_ENTRIES as MOST_CSV
from tconvjax.rendering.text import MOST_SYMBOLS
from tconvjax.rendering.values import MOST_SIDE, entry_rule

MOST_READ = 64
"""Rows or columns of a matrix that is drawn entry by entry."""

MOST_RULED = 64
"""Taps of a rule that has a term for each, as where the border copies elements."""

_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><title>{title}</title>'
    "<style>:root{{color-scheme:light dark}}body{{font-family:system-ui,sans-serif;margin:2rem}}"
    "</style></head><body>{body}</body></html>\n"
)


def run_matrix(arguments: argparse.Namespace) -> int:
    """Show the matrix of a convolution, or of its transpose."""
    _check_output(arguments)
    if arguments.lazy:
        _check_lazy(arguments)
        return _show(arguments, _rule(arguments), "one entry of the matrix of a convolution")
    if arguments.size is None or arguments.kernel is None:
        raise CommandError("--size and --kernel are needed; see tconvjax matrix --help")
    there = _geometry(arguments)
    kernel = _filled("--values", arguments.values, there.kernel_shape)
    sizes = f"{by(there.in_size)} to {by(there.out_size)}"
    name = "C.T" if arguments.transpose else "C"
    what = f"{'the transpose of ' if arguments.transpose else ''}the convolution of {sizes}"
    if arguments.format == "npz":
        return _save(arguments, there, kernel)
    if arguments.format == "csv":
        _check_csv(there)
        matrix = symbolic.conv_matrix(there, kernel)
        return _give(arguments, rendering.to_csv(matrix.T if arguments.transpose else matrix))
    return _show(arguments, _table(arguments, there, kernel), f"{name}, {what}")


def run_explain(arguments: argparse.Namespace) -> int:
    """Explain a transposed convolution step by step, seen four ways."""
    _check_output(arguments)
    rank = len(arguments.size)
    kernel = ints("kernel", arguments.kernel, rank, 1)
    outs, ins, groups = arguments.in_channels, arguments.out_channels, arguments.groups
    _check_groups(arguments)
    there = Geometry.of_conv_transpose(
        (outs, *arguments.size),
        (outs, ins // groups, *kernel),
        stride=arguments.stride,
        padding=for_axes(arguments.padding, rank),
        output_padding=arguments.output_padding,
        dilation=arguments.dilation,
        groups=groups,
        padding_mode=arguments.padding_mode,
    )
    views = VIEWS if arguments.view == "all" else (arguments.view,)
    if arguments.format == "animation":
        views = ("stamps",)
    y = _filled("--y", arguments.y, there.out_shape)
    w = _filled("--w", arguments.w, there.kernel_shape)
    told = explain(there, y, w, views=views)
    width = max(shutil.get_terminal_size().columns, 20)
    text = {
        "text": lambda: told.to_text(width) + "\n",
        "markdown": told.to_markdown,
        "html": lambda: _page("Transposed convolution", told.to_html()),
        "svg": lambda: told.to_svg() + "\n",
        "animation": lambda: told.to_animation() + "\n",
    }[arguments.format]()
    return _give(arguments, text)


def _check_output(arguments: argparse.Namespace) -> None:
    """Refuse what must not be replaced before any work."""
    if arguments.output is not None:
        check_target(arguments.output)


def _check_lazy(arguments: argparse.Namespace) -> None:
    """What the rule of one entry has no use for, or SymPy takes minutes over."""
    if arguments.values is not None:
        raise CommandError(
            "--values: --lazy shows where a kernel's entries stand, not their numbers; leave one "
            "of the two out"
        )
    if arguments.format in ("csv", "npz"):
        raise CommandError(
            f"--format {arguments.format}: --lazy shows an equation; take text, latex or mathml"
        )
    _check_groups(arguments)
    if arguments.padding_mode == "zeros" or arguments.kernel is None:
        return
    rank = len(arguments.size or (1,))
    taps = math.prod(ints("kernel", arguments.kernel, rank, 1))
    if taps > MOST_RULED:
        raise CommandError(
            f"--kernel: with --padding-mode {arguments.padding_mode} the rule has a term for each "
            f"of {taps} taps, and {MOST_RULED} are the limit; leave --kernel out, so that k stands "
            "for it"
        )


def _check_csv(there: Geometry) -> None:
    """Refuse before it is built what would take minutes, or what `to_csv` would refuse after it."""
    rows, columns = math.prod(there.out_shape), math.prod(there.in_shape)
    products = math.prod(there.out_shape) * math.prod(there.kernel_shape[1:])
    # A border brings several taps to one entry, and SymPy sorts each sum anew.
    terms = math.prod(
        1 + axis.kernel_size // max(axis.in_size, 1) for axis in there.axes if axis.bordered
    )
    if rows * columns > MOST_CSV or products * terms > MOST_SYMBOLS:
        raise CommandError(
            f"--format csv: {rows} x {columns} with up to {products} entries that are not zero is "
            f"too large for text; give a smaller input, or take --format npz with --values"
        )


# -- what is shown ---------------------------------------------------------------------------------


def _geometry(arguments: argparse.Namespace) -> Geometry:
    sizes, groups, channels = arguments.size, arguments.groups, arguments.in_channels
    kernel = ints("kernel", arguments.kernel, len(sizes), 1)
    _check_groups(arguments)
    return Geometry.of_conv(
        (channels, *sizes),
        (arguments.out_channels, channels // groups, *kernel),
        stride=arguments.stride,
        padding=for_axes(arguments.padding, len(sizes)),
        dilation=arguments.dilation,
        groups=groups,
        padding_mode=arguments.padding_mode,
    )


def _check_groups(arguments: argparse.Namespace) -> None:
    for name in ("in_channels", "out_channels"):
        channels = getattr(arguments, name)
        if channels % arguments.groups:
            option = "--" + name.replace("_", "-")
            raise CommandError(
                f"--groups: {arguments.groups} must divide {option} {channels}; give a divisor"
            )


def _filled(option: str, given: Any, shape: tuple[int, ...]) -> Any:
    """Numbers of the command line as an array."""
    if given is None:
        return None
    count = math.prod(shape)
    if len(given) != count:
        raise CommandError(
            f"{option}: {len(given)} numbers, and {by(shape)} asks for {count}; give them row by "
            "row"
        )
    array = np.empty(count, object)
    array[:] = [sympy.Rational(number) for number in given]
    return array.reshape(shape)


def _table(arguments: argparse.Namespace, there: Geometry, kernel: Any) -> rendering.Document:
    """The whole matrix if it can be read, else where it is not zero, else an abbreviation."""
    if arguments.format in ("svg", "html"):
        large = max(math.prod(there.out_shape), math.prod(there.in_shape)) > MOST_READ
        products = math.prod(there.out_shape) * math.prod(there.kernel_shape[1:])
        wide = max(math.prod(there.out_shape), math.prod(there.in_shape)) > MOST_SIDE
        if large and not wide and products <= MOST_DOTS:
            return rendering.sparsity(there, transpose=arguments.transpose)
    shown = {"text": 200, "svg": MOST_READ, "html": MOST_READ}.get(arguments.format, 32)
    return rendering.conv_table(there, kernel, transpose=arguments.transpose, most=shown)


def _rule(arguments: argparse.Namespace) -> rendering.Document:
    """The equation of one entry, sizes that were not given as symbols."""
    n, k = sympy.symbols("n k", integer=True, positive=True)
    sizes = arguments.size or (n,)
    kernel = k if arguments.kernel is None else arguments.kernel
    padding = for_axes(arguments.padding, len(sizes))
    if isinstance(padding, str):
        raise CommandError("--padding: with --lazy give it as numbers, such as 1 or 0:2")
    matrix = symbolic.ConvolutionMatrix.of(
        sizes,
        kernel,
        stride=arguments.stride,
        padding=padding,
        dilation=arguments.dilation,
        in_channels=arguments.in_channels,
        out_channels=arguments.out_channels,
        groups=arguments.groups,
        padding_mode=arguments.padding_mode,
    )
    return entry_rule(matrix, arguments.transpose)


def _show(arguments: argparse.Namespace, document: rendering.Document, title: str) -> int:
    width = max(shutil.get_terminal_size().columns, 20)
    kind = arguments.format
    if kind == "text":
        text = rendering.to_text(rendering.stack([document]), width=width)
        return _give(arguments, f"{title}{_sizes(document)}\n{text}\n")
    if kind == "latex":
        return _give(arguments, rendering.to_latex(document) + "\n")
    if kind == "mathml":
        return _give(arguments, rendering.to_mathml(document) + "\n")
    if kind == "svg":
        return _give(arguments, rendering.to_svg(document, alt=title) + "\n")
    return _give(arguments, _page(title, rendering.to_html(document)))


def _sizes(document: rendering.Document) -> str:
    words = re.search(r"the (\d+) x (\d+) matrix", getattr(document, "alt", ""))
    if not words:
        return ""
    return f": {counted(int(words[1]), 'row')}, {counted(int(words[2]), 'column')}"


def _page(title: str, body: str) -> str:
    return _PAGE.format(title=html.escape(title), body=body)


def _save(arguments: argparse.Namespace, there: Geometry, kernel: Any) -> int:
    """The matrix as SciPy's sparse file."""
    from tconvjax import matrices

    if arguments.output is None:
        raise CommandError("--format npz: it is no text; give a file as --output C.npz")
    if kernel is None:
        raise CommandError("--format npz: it holds numbers; give the kernel's as --values 1,2,3")
    matrix = matrices.conv_matrix(there, kernel.astype(np.float64))
    write_npz(arguments.output, matrix.T.tocsr() if arguments.transpose else matrix)
    return 0


def _give(arguments: argparse.Namespace, text: str) -> int:
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        write_text(arguments.output, text)
    return 0
