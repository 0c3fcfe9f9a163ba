"""The tutorial's five parts on the terminal: each worked example computed, shown and checked.

The results that the tutorial prints stand here as data. Every one is computed again by the jitted
`tconvjax.conv` or `tconvjax.conv_transpose`, compared with the printed one, and
compared with the product of the matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
import sympy
from numpy.typing import ArrayLike

from tconvjax.command.blocks import Block, beside, block, column, words
from tconvjax.command.tutorial import (
    BILINEAR,
    EXAMPLES,
    FIRST_PIXEL,
    MATRIX_SHAPE,
    NAILS,
    PIXELS,
    SHAPES,
    TILES,
    Example,
)
from tconvjax.geometry import Geometry, links
from tconvjax.operations import conv, conv_transpose
from tconvjax.rendering import to_text
from tconvjax.symbolic import conv_matrix

Numbers: TypeAlias = np.ndarray[Any, Any]

WIDTH = 80
TOLERANCE = 1e-3
"""All numbers of the tour are whole. A CPU gives them exactly; a GPU may round inside a sum."""


@dataclass
class Report:
    """Where the tour is written, and which examples matched so far.

    Args:
        out: a text stream.
        matched: one truth value for each example.
    """

    out: TextIO
    matched: list[bool] = field(default_factory=list)
    _after_empty: bool = False

    def say(self, *lines: str) -> None:
        """Write lines, and never two empty ones in a row."""
        for line in map(str.rstrip, lines):
            if line or not self._after_empty:
                self.out.write(line + "\n")
            self._after_empty = not line

    def show(self, *blocks: Block) -> None:
        """Write blocks of lines beside one another, indented, with empty lines around."""
        self.say("", *("  " + line for line in beside(*blocks)), "")

    def check(self, *facts: tuple[str, Any, Any]) -> None:
        """Count one example, which matches if every fact does.

        Args:
            facts: what is compared, the computed value, and the expected one.
        """
        wrong = [fact for fact in facts if not same(*fact[1:])]
        for label, got, expected in wrong:
            self.say(f"WRONG: {label}", *_difference(got, expected))
        if not wrong:
            self.say(*(f"checked: {label}" for label, _, _ in facts))
        self.matched.append(not wrong)


def run_tour(out: TextIO) -> bool:
    """Write the tour: five parts, each with its worked examples computed and checked.

    Args:
        out: where to write it; no line is longer than 80 characters.

    Returns:
        Whether every example gave the tutorial's result.
    """
    report = Report(out)
    report.say(
        "Transposed convolution in five parts",
        "====================================",
        "",
        "In every part, x is the input of a convolution, w its kernel and y its output.",
        "The transposed convolution goes the other way, from y to the shape of x.",
        "In matrices a dot is a 0. vec(y) is y written as one column, row by row.",
    )
    parts: Sequence[tuple[str, Callable[[Report], None]]] = (
        ("One element to many", _one_to_many),
        ("Padding, stride, channels", _arguments),
        ("The inverse in shape", _shape_inverse),
        ("Why it is called transposed", _why_transposed),
        ("What it is used for", _uses),
    )
    for number, (title, part) in enumerate(parts, 1):
        report.say("", f"{number}. {title}", "-" * (len(title) + 3), "")
        part(report)
    report.say("", f"{sum(report.matched)} of {len(report.matched)} examples match")
    return all(report.matched)


# -- the parts -------------------------------------------------------------------------------------


def _one_to_many(report: Report) -> None:
    example = EXAMPLES["stamps"]
    y, w = _pixels(example.y), _pixels(example.w)
    report.say(
        "A convolution makes one element of y from many elements of x. A transposed",
        "convolution makes many elements from one: each y[i, j] multiplies the whole",
        "kernel, and the product is stamped onto the result with its corner at (i, j).",
        "Where stamps overlap, they add up. With",
    )
    report.show("y =", block(y), "   w =", block(w))
    report.say("the four stamps 0 * w, 1 * w, 2 * w and 3 * w and their sum are")
    stamps = [block(_stamp(y, w, place)) for place in np.ndindex(*y.shape)]
    sums = [part for stamp in stamps for part in ("+", stamp)][1:]
    report.show(*sums, "=", block(_pixels(example.result)))
    _numeric(report, example)


def _arguments(report: Report) -> None:
    report.say(
        "Padding adds a rim to the input of a convolution. The transposed convolution",
        "does the opposite: it removes a rim from its result. Of the 3x3 result above,",
        "padding 1 leaves the middle.",
    )
    _numeric(report, EXAMPLES["padding"])
    report.say(
        "",
        "Stride is the distance between the stamps. With stride 4 the four 2x2 stamps",
        "do not meet, and nothing reaches the places between them.",
    )
    report.show("result =", block(_pixels(EXAMPLES["stride"].result)))
    _numeric(report, EXAMPLES["stride"])
    _channels(report)


def _channels(report: Report) -> None:
    example = EXAMPLES["channels"]
    y, w = np.asarray(example.y), np.asarray(example.w)
    report.say(
        "",
        "With several channels each has its own kernel, and all stamp onto one result.",
    )
    report.show(
        "y[0] =",
        block(y[0, 0]),
        "  w[0] =",
        block(w[0, 0]),
        "   y[1] =",
        block(y[0, 1]),
        "  w[1] =",
        block(w[1, 0]),
    )
    report.say("The first pixel of y[0] is 0 and that of y[1] is 4. Together they stamp")
    report.show("0 *", block(w[0, 0]), "+ 4 *", block(w[1, 0]), "=", block(np.asarray(FIRST_PIXEL)))
    first = transposed(y[:, :, :1, :1], w)
    _numeric(
        report, example, ("0 * w[0] + 4 * w[1] as the tutorial prints it", first[0, 0], FIRST_PIXEL)
    )


def _shape_inverse(report: Report) -> None:
    random = np.random.default_rng(0)
    x = random.integers(-2, 3, SHAPES[0])
    w = random.integers(-2, 3, (SHAPES[1][1], SHAPES[0][1], 5, 5))
    y = convolved(x, w, stride=3, padding=2)
    z = transposed(y, w, stride=3, padding=2)
    report.say(
        "conv and conv_transpose with the same kernel, stride and padding undo each",
        "other's change of shape. With 10 channels in, 20 out, a 5x5 kernel, stride 3",
        "and padding 2:",
        "",
        f"  x {x.shape}",
        f"  y = conv(x, w, stride=3, padding=2)            {y.shape}",
        f"  z = conv_transpose(y, w, stride=3, padding=2)  {z.shape}",
        "",
        "The values do not come back:",
        "",
        f"  x[0, 0, 0, :8] = {_row(x[0, 0, 0, :8])}",
        f"  z[0, 0, 0, :8] = {_row(z[0, 0, 0, :8])}",
        "",
        "Inputs of 17x17 and 18x18 give a 6x6 output too. output_padding=1 or 2, or",
        "output_size, chooses one of these in place of 16x16.",
    )
    matrix = _link_matrix(Geometry.of_conv(x.shape, w.shape, stride=3, padding=2), w)
    report.say("", f"Here C has {matrix.shape[0]} rows and {matrix.shape[1]} columns.")
    report.check(
        ("equals the tutorial's result (the shapes)", (x.shape, y.shape, z.shape), SHAPES),
        ("z does not have the values of x", same(z, x), False),
        ("C * vec(x) equals conv(x, w)", matrix @ x.ravel(), y.ravel()),
        ("C.T * vec(y) equals conv_transpose(y, w)", matrix.T @ y.ravel(), z.ravel()),
    )


def _why_transposed(report: Report) -> None:
    x = np.array([[1, 0, 2, 1], [0, 1, 0, 3], [2, 1, 1, 0], [0, 2, 1, 1]])[None, None]
    w = np.array([[1, 2, 1], [2, 3, 2], [1, 2, 1]])[None, None]
    geometry = Geometry.of_conv(x.shape, w.shape)
    symbols = conv_matrix(geometry)
    matrix = numeric(conv_matrix(geometry, w))
    y = convolved(x, w)
    z = transposed(y, w)
    report.say(
        "A convolution is linear, so it is a matrix. Write a 4x4 input x as a column of",
        "16 and the 2x2 output y as a column of 4. With a 3x3 kernel, C is 4x16:",
    )
    report.show(to_text(symbols, width=WIDTH - 2).splitlines())
    report.say(
        "Row by row it says which elements of x each element of y is made of. For",
    )
    report.show(
        "x =", block(x[0, 0]), "  w =", block(w[0, 0]), "  y = conv(x, w) =", block(y[0, 0])
    )
    report.say(
        "The transposed matrix, 16x4, takes a column of 4 to a column of 16, which has",
        "the shape of x. That product is conv_transpose(y, w), hence the name:",
    )
    report.show(
        to_text(symbols.T).splitlines(),
        "with this w: C.T * vec(y) =",
        column(y),
        "->",
        column(z),
    )
    report.say("It inverts the shape and not the values. x and conv_transpose(y, w) are")
    report.show(block(x[0, 0]), "and", block(z[0, 0]))
    report.check(
        ("equals the tutorial's result (C is 4x16)", matrix.shape, MATRIX_SHAPE),
        ("C * vec(x) equals conv(x, w)", matrix @ x.ravel(), y.ravel()),
        ("C.T * vec(y) equals conv_transpose(y, w)", matrix.T @ y.ravel(), z.ravel()),
        ("the shape of x comes back", z.shape, x.shape),
        ("the values of x do not", same(z, x), False),
    )


def _uses(report: Report) -> None:
    facts = [*_bilinear(report), *_kernel_is_stride(report)]
    report.check(*facts)


def _bilinear(report: Report) -> list[tuple[str, Any, Any]]:
    line = [sympy.Rational(n, 4) for n in (1, 3, 3, 1)]
    along = conv_matrix(Geometry.of_conv((1, 4), (1, 1, 4), stride=2, padding=3), [[line]])
    report.say(
        "Enlarging pictures. Bilinear interpolation to twice the size is a transposed",
        "convolution of stride 2 with the fixed kernel (1 3 3 1)/4 along each axis. The",
        "edge pixels are repeated once first and padding 3 cuts that off again, so the",
        "border keeps its brightness. Along one axis, from two pixels a and b:",
    )
    names = [[["a"], ["a"], ["b"], ["b"]]]
    report.show("C.T * vec(y) =", to_text(along.T).splitlines(), "*", column(names))
    # The second channel is the first one turned, so that a mix-up of channels would show.
    pixels = np.array([PIXELS, np.transpose(PIXELS)])[None]
    y = np.pad(pixels, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    kernel = np.tile(np.outer(line, line), (2, 1, 1, 1))
    z = transposed(y, kernel.astype(float), stride=2, padding=3, groups=2)
    report.say("For pictures each channel is a group, so that channels do not mix. One of them:")
    report.show(block(np.asarray(PIXELS)), "->", block(z[0, 0]))
    geometry = Geometry.of_conv(z.shape, kernel.shape, stride=2, padding=3, groups=2)
    matrix = numeric(conv_matrix(geometry, kernel))
    expected = [[BILINEAR, np.transpose(BILINEAR)]]
    return [
        ("equals bilinear interpolation", z, expected),
        ("C.T * vec(y) equals it too", matrix.T @ y.ravel(), z.ravel()),
    ]


def _kernel_is_stride(report: Report) -> list[tuple[str, Any, Any]]:
    y = np.asarray(PIXELS)[None, None]
    ones, nail = np.ones((1, 1, 2, 2), int), np.array([[[[1, 0], [0, 0]]]])
    tiles, nails = (transposed(y, w, stride=2) for w in (ones, nail))
    report.say(
        "A learned enlargement often takes a kernel as large as the stride: the stamps",
        "then tile the result without overlap. With all weights 1 each pixel becomes a",
        "tile; with a single 1 it becomes one nail in a bed of zeros, which is the",
        "simplest unpooling:",
    )
    report.show(block(tiles[0, 0]), "  ", block(nails[0, 0]))
    report.say(
        "Max-unpooling puts each value where the maximum had been. Those places differ",
        "from picture to picture, so no fixed kernel does it; it is the transpose of a",
        "matrix that selects the maxima, and not a transposed convolution.",
    )
    matrices = [
        numeric(conv_matrix(Geometry.of_conv(tiles.shape, w.shape, stride=2), w))
        for w in (ones, nail)
    ]
    products = [matrix.T @ y.ravel() for matrix in matrices]
    report.say("")
    return [
        ("kernel = stride gives tiles, and a bed of nails", [tiles, nails], [[[TILES]], [[NAILS]]]),
        ("C.T * vec(y) equals both", products, [tiles.ravel(), nails.ravel()]),
    ]


# -- computing -------------------------------------------------------------------------------------


def convolved(x: ArrayLike, w: ArrayLike, *, stride: int = 1, padding: int = 0) -> Numbers:
    """``tconvjax.conv`` of whole numbers, in float32 of full precision on every device."""
    y = conv(_float32(x), _float32(w), stride=stride, padding=padding, precision="highest")
    return np.asarray(y)


def transposed(
    y: ArrayLike, w: ArrayLike, *, stride: int = 1, padding: int = 0, groups: int = 1
) -> Numbers:
    """``tconvjax.conv_transpose`` likewise."""
    z = conv_transpose(
        _float32(y),
        _float32(w),
        stride=stride,
        padding=padding,
        groups=groups,
        precision="highest",
    )
    return np.asarray(z)


def _float32(value: ArrayLike) -> jax.Array:
    return jnp.asarray(np.asarray(value, np.float32))


def numeric(matrix: sympy.MatrixBase) -> Numbers:
    """A SymPy matrix of numbers as an array of floats."""
    return np.array(matrix.tolist(), dtype=float).reshape(matrix.shape)


def same(got: ArrayLike, expected: ArrayLike) -> bool:
    """Whether two arrays have one shape and the same numbers."""
    a, b = np.asarray(got, float), np.asarray(expected, float)
    return a.shape == b.shape and bool((abs(a - b) < TOLERANCE).all())


def _numeric(report: Report, example: Example, *more: tuple[str, Any, Any]) -> None:
    """Compute one example, show it as C.T * vec(y), and check both."""
    y, w = np.asarray(example.y), np.asarray(example.w)
    z = transposed(y, w, stride=example.stride, padding=example.padding)
    geometry = Geometry.of_conv_transpose(
        y.shape, w.shape, stride=example.stride, padding=example.padding
    )
    matrix = conv_matrix(geometry, w)
    report.say("", f"C.T * vec(y) for {example.name} (C.T is {matrix.cols}x{matrix.rows}):")
    report.show(to_text(matrix.T, height=13).splitlines(), "*", column(y), "=", column(z, 13))
    report.check(
        ("equals the tutorial's result", z, example.result),
        ("C.T * vec(y) equals conv_transpose(y, w)", numeric(matrix).T @ y.ravel(), z.ravel()),
        *more,
    )


def _link_matrix(geometry: Geometry, w: Numbers) -> Numbers:
    """C as an array, straight from the links; SymPy would take seconds for one this large."""
    matrix = np.zeros((*geometry.out_shape, *geometry.in_shape))
    for output, source, tap in links(geometry):
        matrix[output + source] += w[tap]
    return matrix.reshape(np.prod(geometry.out_shape), -1)


def _stamp(y: Numbers, w: Numbers, place: tuple[int, ...]) -> Numbers:
    """One element's stamp on the full result: text, empty where it does not reach."""
    stamp = np.full([n + k - 1 for n, k in zip(y.shape, w.shape, strict=True)], "", object)
    window = tuple(slice(i, i + k) for i, k in zip(place, w.shape, strict=True))
    stamp[window] = words(y[place] * w)
    return stamp


# -- writing ---------------------------------------------------------------------------------------


def _pixels(array: ArrayLike) -> Numbers:
    """The last two axes of an array whose others are 1."""
    return np.reshape(array, np.shape(array)[-2:])


def _row(array: Numbers) -> str:
    return " ".join(f"{word:>4}" for word in words(array))


def _difference(got: ArrayLike, expected: ArrayLike) -> list[str]:
    """Two values that should be one, and by how much they differ."""
    a, b = np.asarray(got, float), np.asarray(expected, float)
    lines = [f"computed {_short(a)}", f"expected {_short(b)}"]
    if a.shape == b.shape:
        lines.append(f"they differ by up to {abs(a - b).max():g}")
    return lines


def _short(array: Numbers) -> str:
    text = " ".join(words(array).ravel()[:64])
    shape = "x".join(map(str, array.shape)) or "number"
    line = f"({shape}): {text}"
    return line if len(line) <= WIDTH - 10 else line[: WIDTH - 13] + "..."
