"""Show the matrix of a convolution, or explain its transpose: ``tconvjax matrix`` and ``explain``.

Numbers and names are taken from the command line as they are: no text is evaluated.
"""

from __future__ import annotations

import argparse
import html
import shutil
from typing import Any

import numpy as np
import scipy.sparse
import sympy

from tconvjax import explaining, matrices, rendering, symbolic
from tconvjax.arguments import counted
from tconvjax.command.arguments import CommandError, by, filled, for_axes, layer, write, write_text
from tconvjax.geometry import Geometry
from tconvjax.rendering.text import MOST_SYMBOLS
from tconvjax.rendering.values import MOST_READ, entry_rule, is_seen
from tconvjax.symbolic.matrix import check_size, shape_of

_PAGE = (
    '<!doctype html><html lang="en"><head><meta charset="utf-8">'
    '<meta name="viewport" content="width=device-width"><title>{title}</title>'
    "<style>:root{{color-scheme:light dark}}body{{font-family:system-ui,sans-serif;margin:2rem}}"
    "</style></head><body>{body}</body></html>\n"
)


def matrix(arguments: argparse.Namespace) -> None:
    """Show the matrix of a convolution, or of its transpose."""
    if arguments.lazy:
        return _show(arguments, _rule(arguments), "one entry of the matrix of a convolution")
    if not (arguments.size or arguments.out_size) or arguments.kernel is None:
        raise CommandError("give --size or --out-size, and --kernel; see tconvjax matrix --help")
    geometry, transpose = layer(vars(arguments)), arguments.transpose
    kernel = filled("--values", arguments.values, geometry.kernel_shape)
    if arguments.format == "npz":
        return _save(arguments, geometry, kernel)
    if arguments.format == "csv":
        check_size(geometry, MOST_SYMBOLS)
        entries = symbolic.conv_matrix(geometry, kernel)
        return write_text(arguments.output, rendering.to_csv(entries.T if transpose else entries))
    picture = arguments.format in ("svg", "html")
    document: Any
    if picture and is_seen(geometry, MOST_READ):
        document = rendering.sparsity(geometry, transpose=transpose)
    else:
        most = MOST_READ if picture else max(_width(), 40) if arguments.format == "text" else 32
        document = rendering.conv_table(geometry, kernel, transpose=transpose, most=most)
    title = f"the convolution of {by(geometry.in_size)} to {by(geometry.out_size)}"
    title = f"C.T, the transpose of {title}" if transpose else f"C, {title}"
    rows, columns = reversed(shape_of(geometry)) if transpose else shape_of(geometry)
    sides = f": {counted(rows, 'row')}, {counted(columns, 'column')}"
    return _show(arguments, document, title, sides)


def explain(arguments: argparse.Namespace) -> None:
    """Explain a transposed convolution step by step, seen four ways."""
    geometry = layer(vars(arguments))
    views: Any = explaining.views.VIEWS if arguments.view == "all" else (arguments.view,)
    y = filled("--y", arguments.y, geometry.out_shape)
    w = filled("--w", arguments.w, geometry.kernel_shape)
    if arguments.format == "animation":
        view: Any = "stamps" if arguments.view == "all" else arguments.view
        film = rendering.to_animation(explaining.frames(geometry, y, w, view=view))
        write_text(arguments.output, film + "\n")
        return
    explanation = explaining.explain(geometry, y, w, views=views)
    printers = {
        "text": lambda: rendering.to_text(explanation, width=_width()) + "\n",
        "markdown": explanation.to_markdown,
        "html": lambda: _page("Transposed convolution", rendering.to_html(explanation)),
        "svg": lambda: rendering.to_svg(explanation) + "\n",
    }
    write_text(arguments.output, printers[arguments.format]())


def _rule(arguments: argparse.Namespace) -> Any:
    """Write the equation of one entry; sizes that were not given become symbols."""
    choices = arguments.values or arguments.out_size or arguments.output_padding
    if choices or arguments.format in ("csv", "npz"):
        raise CommandError(
            "--lazy: it shows a rule without numbers; leave --values, --out-size and "
            "--output-padding out, and take --format text, latex, mathml, html or svg"
        )
    n, k = sympy.symbols("n k", integer=True, positive=True)
    sizes = arguments.size or (n,)
    padding = for_axes(arguments.padding, len(sizes))
    if isinstance(padding, str):
        raise CommandError("--padding: with --lazy give it as numbers, such as 1 or 0:2")
    names = ("stride", "dilation", "in_channels", "out_channels", "groups", "padding_mode")
    steps = {name: getattr(arguments, name) for name in names}
    kernel = arguments.kernel or k
    lazy = symbolic.ConvolutionMatrix.of(sizes, kernel, padding=padding, **steps)
    return entry_rule(lazy, arguments.transpose)


def _show(arguments: argparse.Namespace, document: Any, title: str, sides: str = "") -> None:
    alone = rendering.Stack([document])  # so that the size is written once, after the title
    printers = {
        "text": lambda: f"{title}{sides}\n{rendering.to_text(alone, width=_width())}\n",
        "latex": lambda: rendering.to_latex(document) + "\n",
        "mathml": lambda: rendering.to_mathml(document) + "\n",
        "html": lambda: _page(title, rendering.to_html(document)),
        "svg": lambda: rendering.to_svg(document, alt=title) + "\n",
    }
    write_text(arguments.output, printers[arguments.format]())


def _save(arguments: argparse.Namespace, geometry: Geometry, kernel: Any) -> None:
    """Write the matrix as a sparse file of SciPy."""
    if arguments.output is None or kernel is None:
        raise CommandError(
            "--format npz: it holds numbers and is not text; give the kernel's numbers as "
            "--values 1,2,3 and a file as --output C.npz"
        )
    entries = matrices.conv_matrix(geometry, kernel.astype(np.float64))
    entries = entries.T.tocsr() if arguments.transpose else entries
    # Compressing millions of entries would take far longer than writing them.
    write(arguments.output, lambda file: scipy.sparse.save_npz(file, entries, compressed=False))


def _page(title: str, body: str) -> str:
    return _PAGE.format(title=html.escape(title), body=body)


def _width() -> int:
    return max(shutil.get_terminal_size().columns, 20)
