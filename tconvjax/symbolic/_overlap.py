"""How many stamps land on one element of a transposed convolution's result, in closed form."""

from __future__ import annotations

import math
from typing import Any

import sympy

from tconvjax.errors import fail
from tconvjax.symbolic.lazy import Mod, Size, size


def overlap(
    out_size: Size,
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Size = 0,
    dilation: int = 1,
    place: Any = None,
) -> sympy.Expr:
    """The number of stamps on element j along one axis: of (i, t) with s*i + d*t - p = j.

    count(j) = max(0, min(n - 1, floor((j + p) / s)) - max(0, ceil((j + p - k + 1) / s)) + 1)

    without dilation. With it, only every (d / g)-th i counts, where g = gcd(s, d), and none unless
    g divides j + p. Over several axes the number is the product.

    Args:
        out_size: n, the elements that are stamped: an int or an expression.
        kernel_size: k, taps: an int or an expression.
        stride: s: an int or an expression; an int if there is a dilation.
        padding: p, elements cut off before the first: an int or an expression.
        dilation: d, an int.
        place: j; None for a symbol j that is a whole number of at least 0, in which case no size
            may contain a symbol of that name.

    Returns:
        An expression in the given symbols and j.

    Raises:
        GeometryError: if a size cannot be one, if j occurs in a size and no place is given, or if
            the stride of a dilated kernel is a symbol.

    Examples:
        >>> n, k, s = sympy.symbols("n k s", integer=True, positive=True)
        >>> overlap(n, k, stride=s)
        Max(0, -Max(0, ceiling((j - k + 1)/s)) + Min(n - 1, floor(j/s)) + 1)
        >>> [overlap(4, 3, stride=2, place=j) for j in range(9)]
        [1, 1, 2, 1, 2, 1, 2, 1, 1]
    """
    n, k = size("out_size", out_size), size("kernel_size", kernel_size)
    s, d = size("stride", stride), size("dilation", dilation)
    shift = size("padding", padding)
    if place is None:
        if "j" in {str(symbol) for one in (n, k, s, shift) for symbol in one.free_symbols}:
            fail(
                "place",
                None,
                "it defaults to the symbol j, which occurs in a size",
                "give a symbol of another name",
            )
        place = sympy.Symbol("j", integer=True, nonnegative=True)
    at = size("place", place) + shift
    first = sympy.Max(0, sympy.ceiling((at - d * (k - 1)) / s))
    last = sympy.Min(n - 1, sympy.floor(at / s))
    if d == 1:
        return sympy.Max(0, last - first + 1)
    if not (s.is_Integer and d.is_Integer):
        fail(
            "stride",
            stride,
            "with a dilation both must be numbers, because the count depends on the divisors that "
            "they share",
            "give ints, or dilation=1",
        )
    common = math.gcd(int(s), int(d))
    period = int(d) // common
    # s*i = at modulo d, divided by what s and d share, so that s has an inverse.
    start = Mod(at / common * pow(int(s) // common, -1, period), period)
    count = sympy.floor((last - start) / period) - sympy.ceiling((first - start) / period) + 1
    shared = sympy.Eq(Mod(at, common), 0)
    return sympy.Piecewise((sympy.Max(0, count), shared), (0, True))
