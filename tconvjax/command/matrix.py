"""Show the matrix of a convolution, or explain its transpose: ``tconvjax matrix`` and ``explain``.

Numbers and names are taken from the command line as they are: no text is evaluated.
"""

from __future__ import annotations

import argparse
import contextlib
import html
import math
import shutil
import sys
from typing import Any

import numpy as np
import scipy.sparse
import sympy

from tconvjax import explaining, matrices, rendering, symbolic
from tconvjax.command.arguments import CommandError, by, filled, for_axes, layer
from tconvjax.command.files import check_output, write, write_text
from tconvjax.errors import GeometryError
from tconvjax.geometry import Geometry
from tconvjax.rendering import notebook

MOST_READ = 64
"""Maximum number of rows or columns of a matrix that is drawn entry by entry."""

MOST_SEEN = 2048
"""Maximum number of rows or columns of a matrix that is drawn as dots."""

MOST_TERMS = 250_000
"""Maximum number of terms in a matrix written as CSV; SymPy needs seconds for them."""

_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><title>{title}</title>'
    "<style>:root{{color-scheme:light dark}}body{{font-family:system-ui,sans-serif;margin:2rem}}"
    "</style></head><body>{body}</body></html>\n"
)


def matrix(arguments: argparse.Namespace) -> int:
    """Show the matrix of a convolution, or of its transpose."""
    if arguments.output is not None:
        check_output(arguments.output)
    if arguments.lazy:
        return _show(arguments, _rule(arguments), "one entry of the matrix of a convolution")
    if arguments.size is None or arguments.kernel is None:
        raise CommandError("--size and --kernel are needed; see tconvjax matrix --help")
    geometry = layer(vars(arguments), True)
    kernel = filled("--values", arguments.values, geometry.kernel_shape)
    if arguments.format == "npz":
        return _save(arguments, geometry, kernel)
    if arguments.format == "csv":
        _check_csv(geometry)
        entries = symbolic.conv_matrix(geometry, kernel)
        return _give(arguments, rendering.to_csv(entries.T if arguments.transpose else entries))
    title = f"the convolution of {by(geometry.in_size)} to {by(geometry.out_size)}"
    title = f"C.T, the transpose of {title}" if arguments.transpose else f"C, {title}"
    return _show(arguments, _table(arguments, geometry, kernel), title, geometry)


def explain(arguments: argparse.Namespace) -> int:
    """Explain a transposed convolution step by step, seen four ways."""
    if arguments.output is not None:
        check_output(arguments.output)
    geometry = layer(vars(arguments), False)
    views: Any = explaining.VIEWS if arguments.view == "all" else (arguments.view,)
    if arguments.format == "animation":
        views = ("stamps",)
    y = filled("--y", arguments.y, geometry.out_shape)
    w = filled("--w", arguments.w, geometry.kernel_shape)
    explanation = explaining.explain(geometry, y, w, views=views)
    printers = {
        "text": lambda: explanation.to_text(_width()) + "\n",
        "markdown": explanation.to_markdown,
        "html": lambda: _page("Transposed convolution", explanation.to_html()),
        "svg": lambda: explanation.to_svg() + "\n",
        "animation": lambda: explanation.to_animation() + "\n",
    }
    return _give(arguments, printers[arguments.format]())


def _check_csv(geometry: Geometry) -> None:
    """Reject a matrix that SymPy would need minutes to build."""
    terms = math.prod(geometry.out_shape) * math.prod(geometry.kernel_shape[1:])
    # A border brings several taps to one entry, and SymPy sorts each sum anew.
    terms *= math.prod(1 + a.kernel_size // max(a.in_size, 1) for a in geometry.axes if a.bordered)
    if terms > MOST_TERMS:
        raise CommandError(
            f"--format csv: a matrix with up to {terms} terms is too large for text; give a "
            "smaller input, or take --format npz with --values"
        )


def _table(arguments: argparse.Namespace, geometry: Geometry, kernel: Any) -> Any:
    """Draw a matrix entry by entry or, if it is large and a picture is asked for, as dots."""
    picture = arguments.format in ("svg", "html")
    if (
        picture
        and MOST_READ < max(map(math.prod, (geometry.out_shape, geometry.in_shape))) <= MOST_SEEN
    ):
        with contextlib.suppress(GeometryError):  # there are too many dots
            return rendering.sparsity(geometry, transpose=arguments.transpose)
    most = MOST_READ if picture else 200 if arguments.format == "text" else 32
    return rendering.conv_table(geometry, kernel, transpose=arguments.transpose, most=most)


def _rule(arguments: argparse.Namespace) -> Any:
    """Write the equation of one entry; sizes that were not given become symbols."""
    if arguments.values is not None:
        raise CommandError("--values: --lazy shows a rule without numbers; leave one of them out")
    if arguments.format in ("csv", "npz"):
        raise CommandError(
            f"--format {arguments.format}: --lazy shows an equation; take text, latex or mathml"
        )
    n, k = sympy.symbols("n k", integer=True, positive=True)
    sizes = arguments.size or (n,)
    padding = for_axes(arguments.padding, len(sizes))
    if isinstance(padding, str):
        raise CommandError("--padding: with --lazy give it as numbers, such as 1 or 0:2")
    lazy = symbolic.ConvolutionMatrix.of(
        sizes,
        k if arguments.kernel is None else arguments.kernel,
        stride=arguments.stride,
        padding=padding,
        dilation=arguments.dilation,
        in_channels=arguments.in_channels,
        out_channels=arguments.out_channels,
        groups=arguments.groups,
        padding_mode=arguments.padding_mode,
    )
    return notebook.rule(lazy, arguments.transpose)


def _show(
    arguments: argparse.Namespace, document: Any, title: str, geometry: Geometry | None = None
) -> int:
    if arguments.format == "text":
        if geometry is not None:
            sides = [math.prod(geometry.out_shape), math.prod(geometry.in_shape)]
            rows, columns = sides[::-1] if arguments.transpose else sides
            title += f": {rows} rows, {columns} columns"
        text = rendering.to_text(document, width=_width())
        return _give(arguments, f"{title}\n{text}\n")
    if arguments.format == "html":
        return _give(arguments, _page(title, rendering.to_html(document)))
    if arguments.format == "svg":
        return _give(arguments, rendering.to_svg(document, alt=title) + "\n")
    printer = rendering.to_latex if arguments.format == "latex" else rendering.to_mathml
    return _give(arguments, printer(document) + "\n")


def _save(arguments: argparse.Namespace, geometry: Geometry, kernel: Any) -> int:
    """Write the matrix as a sparse file of SciPy."""
    if arguments.output is None:
        raise CommandError("--format npz: it is not text; give a file as --output C.npz")
    if kernel is None:
        raise CommandError("--format npz: it holds numbers; give the kernel's as --values 1,2,3")
    entries = matrices.conv_matrix(geometry, kernel.astype(np.float64))
    entries = entries.T.tocsr() if arguments.transpose else entries
    # Compressing millions of entries would take far longer than writing them.
    write(arguments.output, lambda file: scipy.sparse.save_npz(file, entries, compressed=False))
    return 0


def _page(title: str, body: str) -> str:
    return _PAGE.format(title=html.escape(title), body=body)


def _width() -> int:
    return max(shutil.get_terminal_size().columns, 20)


def _give(arguments: argparse.Namespace, text: str) -> int:
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        write_text(arguments.output, text)
    return 0
