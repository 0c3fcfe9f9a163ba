"""The tour: worked examples of the tutorial in docs/learn, computed as you watch and compared.

The results that the tutorial shows are data here. The jitted `tconvjax.conv` and
`tconvjax.conv_transpose` compute each of them again, and so does the product of the matrix.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple, TypeAlias

import jax.numpy as jnp
import numpy as np
import sympy
from numpy.typing import ArrayLike

from tconvjax import matrices, operations
from tconvjax.geometry import Geometry
from tconvjax.rendering import Row, to_text
from tconvjax.symbolic import conv_matrix

Numbers: TypeAlias = np.ndarray[Any, Any]
Fact: TypeAlias = tuple[str, Any, Any]
"""What is compared, the computed value, and the expected one."""


def _grid(*channels: str) -> Numbers:
    """Read rows of numbers as an array (1, channels, rows, columns)."""
    return np.array([[[[*map(int, row.split())] for row in c.split(";")] for c in channels]])


class Example(NamedTuple):
    """A transposed convolution of y (N, O, *out_size) with w, and the result in the tutorial."""

    name: str
    y: Numbers
    w: Numbers
    result: Numbers
    stride: int = 1
    padding: int = 0


Y, W = _grid("0 1; 2 3"), _grid("4 7; 2 2")
STRIDED = "0 0 0 0 4 7; 0 0 0 0 2 2; 0 0 0 0 0 0; 0 0 0 0 0 0; 8 14 0 0 12 21; 4 4 0 0 6 6"
EXAMPLES = {
    "stamps": Example("padding 0, stride 1", Y, W, _grid("0 4 7; 8 28 23; 4 10 6")),
    "padding": Example("padding 1", Y, W, _grid("28"), padding=1),
    "stride": Example("stride 4", Y, W, _grid(STRIDED), stride=4),
    "channels": Example(
        "two channels in, one out",
        _grid("0 1; 2 3", "4 5; 7 8"),
        _grid("0 1; 2 3", "4 5; 2 3").swapaxes(0, 1),
        _grid("16 40 26; 36 93 61; 18 49 33"),
    ),
}
"""The examples whose numbers the tutorial prints."""


class Report:
    """The tour as it is printed, and which of its examples matched."""

    def __init__(self) -> None:
        self.matched: list[bool] = []
        self._after_empty = False

    def say(self, *lines: str) -> None:
        """Print lines, and never two empty ones in a row."""
        for line in map(str.rstrip, lines):
            if line or not self._after_empty:
                print(line)
            self._after_empty = not line

    def show(self, *blocks: Any, height: int = 40) -> None:
        """Print words, arrays and SymPy's matrices beside one another."""
        parts = tuple(_words(b) if isinstance(b, np.ndarray) else b for b in blocks)
        lines = to_text(Row(parts), width=78, height=height).splitlines()
        self.say("", *(f"  {line}" for line in lines), "")

    def check(self, *facts: Fact) -> None:
        """Count one example, which matches if every computed value is as expected."""
        right = [_same(computed, expected) for _, computed, expected in facts]
        for (label, *_), same in zip(facts, right, strict=True):
            self.say(f"{'checked' if same else 'WRONG'}: {label}")
        self.matched.append(all(right))


def tour(arguments: argparse.Namespace) -> int:
    """Print the parts of the tour, or one; return 1 if an example does not give its result."""
    report = Report()
    report.say(
        "Transposed convolution in five parts",
        "====================================",
        "",
        "In every part, x is the input of a convolution, w its kernel and y its output.",
        "The transposed convolution goes the other way, from y to the shape of x.",
        "In matrices a dot is a 0. vec(y) is y written as one column, row by row.",
        "The examples are those of the tutorial in the documentation (docs/learn).",
    )
    parts = {
        "One element to many": _one_to_many,
        "Padding, stride, channels": _arguments,
        "The inverse in shape": _shape_inverse,
        "Why it is called transposed": _why_transposed,
        "What it is used for": _uses,
    }
    for number, (title, part) in enumerate(parts.items(), 1):
        if arguments.part in (None, number):
            report.say("", f"{number}. {title}", "-" * (len(title) + 3), "")
            part(report)
    report.say(
        "",
        "Where to go next: docs/learn explains each part on a page of its own, and its",
        "explorer lets you change every number. Here, with your own numbers:",
        "  tconvjax explain --out-size 2x2 --kernel 2x2 --y 0,1,2,3 --w 4,7,2,2",
    )
    words = "examples match" if len(report.matched) > 1 else "example matches"
    report.say("", f"{sum(report.matched)} of {len(report.matched)} {words}")
    return 0 if all(report.matched) else 1


# -- the parts -------------------------------------------------------------------------------------


def _one_to_many(report: Report) -> None:
    example = EXAMPLES["stamps"]
    y, w = example.y[0, 0], example.w[0, 0]
    report.say(
        "A convolution makes one element of y from many elements of x. A transposed",
        "convolution makes many elements from one: each y[i, j] multiplies the whole",
        "kernel, and the product is stamped onto the result with its corner at (i, j).",
        "Where stamps overlap, they add up. With",
    )
    report.show("y =", y, "   w =", w)
    report.say("the four stamps 0 * w, 1 * w, 2 * w and 3 * w and their sum are")
    sums: list[Any] = []
    for i, j in np.ndindex(2, 2):
        stamp = np.full((3, 3), "", object)
        stamp[i : i + 2, j : j + 2] = _words(y[i, j] * w)
        sums += ["+", stamp]
    report.show(*sums[1:], "=", example.result[0, 0])
    _compute(report, example)


def _arguments(report: Report) -> None:
    report.say(
        "Padding adds a rim to the input of a convolution. The transposed convolution",
        "does the opposite: it removes a rim from its result. Of the 3x3 result above,",
        "padding 1 leaves the middle.",
    )
    _compute(report, EXAMPLES["padding"])
    report.say(
        "",
        "Stride is the distance between the stamps. With stride 4 the four 2x2 stamps",
        "do not touch, and nothing reaches the places between them.",
    )
    report.show("result =", EXAMPLES["stride"].result[0, 0])
    _compute(report, EXAMPLES["stride"])
    example = EXAMPLES["channels"]
    y, w = example.y, example.w
    report.say("", "Several channels have a kernel each, and all stamp onto one result.")
    first = ("y[0] =", y[0, 0], "  w[0] =", w[0, 0])
    report.show(*first, "   y[1] =", y[0, 1], "  w[1] =", w[1, 0])
    report.say("The first pixel of y[0] is 0 and that of y[1] is 4. Together they stamp")
    together = _grid("16 20; 8 12")
    report.show("0 *", w[0, 0], "+ 4 *", w[1, 0], "=", together[0, 0])
    stamped = _transposed(y[:, :, :1, :1], w)
    fact = ("0 * w[0] + 4 * w[1] as the tutorial prints it", stamped, together)
    _compute(report, example, fact)


def _shape_inverse(report: Report) -> None:
    random = np.random.default_rng(0)
    x = random.integers(-2, 3, (1, 10, 16, 16))
    w = random.integers(-2, 3, (20, 10, 5, 5))
    y = _run(operations.conv, x, w, stride=3, padding=2)
    z = _transposed(y, w, stride=3, padding=2)
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
        *(
            f"  {name}[0, 0, 0, :8] = " + " ".join(f"{word:>4}" for word in _words(a[0, 0, 0, :8]))
            for name, a in (("x", x), ("z", z))
        ),
        "",
        "Inputs of 17x17 and 18x18 give a 6x6 output too. output_padding=1 or 2, or",
        "output_size, chooses one of these instead of 16x16.",
    )
    matrix = matrices.conv_matrix(Geometry.of_conv(x.shape[1:], w.shape, stride=3, padding=2), w)
    report.say("", f"Here C has {matrix.shape[0]} rows and {matrix.shape[1]} columns.")
    report.check(
        ("equals the tutorial's result (the shapes)", (y.shape, z.shape), ((1, 20, 6, 6), x.shape)),
        ("z does not have the values of x", _same(z, x), False),
        ("C * vec(x) equals conv(x, w)", matrix @ x.ravel(), y.ravel()),
        ("C.T * vec(y) equals conv_transpose(y, w)", matrix.T @ y.ravel(), z.ravel()),
    )


def _why_transposed(report: Report) -> None:
    x, w = _grid("1 0 2 1; 0 1 0 3; 2 1 1 0; 0 2 1 1"), _grid("1 2 1; 2 3 2; 1 2 1")
    geometry = Geometry.of_conv((1, 4, 4), (1, 1, 3, 3))
    symbols, matrix = conv_matrix(geometry), matrices.conv_matrix(geometry, w)
    y = _run(operations.conv, x, w)
    z = _transposed(y, w)
    report.say(
        "A convolution is linear, so it is a matrix. Write a 4x4 input x as a column of",
        "16 and the 2x2 output y as a column of 4. With a 3x3 kernel, C is 4x16:",
    )
    report.show(symbols)
    report.say("Each row shows which elements of x one element of y is made of. For")
    report.show("x =", x[0, 0], "  w =", w[0, 0], "  y = conv(x, w) =", y[0, 0])
    report.say(
        "The transposed matrix, 16x4, takes a column of 4 to a column of 16, which has",
        "the shape of x. That product is conv_transpose(y, w), hence the name:",
    )
    report.show(symbols.T, "with this w: C.T * vec(y) =", _column(y), "->", _column(z))
    report.say("It inverts the shape but not the values. x and conv_transpose(y, w) are")
    report.show(x[0, 0], "and", z[0, 0])
    report.check(
        ("equals the tutorial's result (C is 4x16)", matrix.shape, (4, 16)),
        ("C * vec(x) equals conv(x, w)", matrix @ x.ravel(), y.ravel()),
        ("C.T * vec(y) equals conv_transpose(y, w)", matrix.T @ y.ravel(), z.ravel()),
        ("the shape of x comes back", z.shape, x.shape),
        ("the values of x do not", _same(z, x), False),
    )


def _uses(report: Report) -> None:
    line = np.array([sympy.Rational(n, 4) for n in (1, 3, 3, 1)])
    along = conv_matrix(Geometry.of_conv((1, 4), (1, 1, 4), stride=2, padding=3), line[None, None])
    report.say(
        "Enlarging pictures. Bilinear interpolation to twice the size is a transposed",
        "convolution of stride 2 with the fixed kernel (1 3 3 1)/4 along each axis. The",
        "edge pixels are repeated once first and padding 3 cuts that off again, so the",
        "border keeps its brightness. Along one axis, from two pixels a and b:",
    )
    report.show("C.T * vec(y) =", along.T, "*", _column(["a", "a", "b", "b"]))
    pixels = _grid("0 4; 8 12")
    # Doubled, they are the sum of 0 1 3 4 along and 0 2 6 8 down.
    doubled = _grid("0 1 3 4; 2 3 5 6; 6 7 9 10; 8 9 11 12")
    # The second channel is the first one transposed, so that a mix-up of channels would show.
    both, expected = (np.append(a, a.swapaxes(2, 3), axis=1) for a in (pixels, doubled))
    y = np.pad(both, ((0, 0), (0, 0), (1, 1), (1, 1)), mode="edge")
    w = np.tile(np.outer(line, line).astype(float), (2, 1, 1, 1))
    z = _transposed(y, w, stride=2, padding=3, groups=2)
    report.say("For pictures each channel is a group, so that channels do not mix. One of them:")
    report.show(pixels[0, 0], "->", z[0, 0])
    product = _product(y, w, stride=2, padding=3, groups=2)
    kernels = _grid("1 1; 1 1"), _grid("1 0; 0 0")
    tiles, nails = (_transposed(pixels, w, stride=2) for w in kernels)
    report.say(
        "A learned enlargement often uses a kernel as large as the stride: the stamps",
        "then tile the result without overlap. With all weights 1 each pixel becomes a",
        "tile; with a single 1 it becomes one nail in a bed of zeros, which is the",
        "simplest unpooling:",
    )
    report.show(tiles[0, 0], "and", nails[0, 0])
    report.say(
        "Max-unpooling puts each value where the maximum had been. Those places differ",
        "from picture to picture, so no fixed kernel does it; it is the transpose of a",
        "matrix that selects the maxima, and not a transposed convolution.",
        "",
    )
    wanted = (
        _grid("0 0 4 4; 0 0 4 4; 8 8 12 12; 8 8 12 12"),
        _grid("0 0 4 0; 0 0 0 0; 8 0 12 0; 0 0 0 0"),
    )
    products = [_product(pixels, w, stride=2) for w in kernels]
    report.check(
        ("equals bilinear interpolation", z, expected),
        ("C.T * vec(y) equals it too", product, z.ravel()),
        ("kernel = stride gives tiles, and a bed of nails", (tiles, nails), wanted),
        ("C.T * vec(y) equals both", products, (tiles.ravel(), nails.ravel())),
    )


# -- computing and writing -------------------------------------------------------------------------


def _compute(report: Report, example: Example, *more: Fact) -> None:
    """Compute one example, show it as C.T * vec(y), and check both."""
    y, w = example.y, example.w
    steps: Any = {"stride": example.stride, "padding": example.padding}
    z = _transposed(y, w, **steps)
    matrix = conv_matrix(Geometry.of_conv_transpose(y.shape[1:], w.shape, **steps), w).T
    report.say("", f"C.T * vec(y) for {example.name} (C.T is {matrix.rows}x{matrix.cols}):")
    report.show(matrix, "*", _column(y), "=", _column(z), height=13)
    report.check(
        ("equals the tutorial's result", z, example.result),
        ("C.T * vec(y) equals conv_transpose(y, w)", _product(y, w, **steps), z.ravel()),
        *more,
    )


def _run(operation: Any, a: ArrayLike, w: ArrayLike, **steps: Any) -> Numbers:
    """Run an operation in float32 of full precision on every device."""
    operands = (jnp.asarray(np.asarray(value, np.float32)) for value in (a, w))
    return np.asarray(operation(*operands, precision="highest", **steps))


def _transposed(y: ArrayLike, w: ArrayLike, **steps: Any) -> Numbers:
    return _run(operations.conv_transpose, y, w, **steps)


def _product(y: Numbers, w: Numbers, **steps: Any) -> Numbers:
    """Multiply C.T by vec(y)."""
    geometry = Geometry.of_conv_transpose(y.shape[1:], w.shape, **steps)
    return np.asarray(matrices.conv_matrix(geometry, w).T @ y.ravel())


def _same(computed: ArrayLike, expected: ArrayLike) -> bool:
    """Tell whether two arrays have one shape and the same numbers, up to a GPU's rounding."""
    alike = np.shape(computed) == np.shape(expected)
    return alike and np.allclose(computed, expected, rtol=0, atol=1e-3)


def _words(array: ArrayLike) -> Numbers:
    """Write numbers as words, since to_text shows the number 0 as a dot."""
    values = np.asarray(array)
    return values if values.dtype.kind in "OU" else np.char.mod("%g", values + 0.0)


def _column(array: ArrayLike) -> Numbers:
    return np.reshape(array, (-1, 1))
