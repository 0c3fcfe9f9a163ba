"""Legal arguments of convolutions, for every test that draws them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tconvjax import Geometry
from tconvjax.conventions import KernelLayout
from tconvjax.geometry import PADDING_MODES, PaddingMode


@dataclass(frozen=True)
class Arguments:
    """A forward convolution as a user spells it, channels first."""

    batch: int
    in_channels: int
    out_channels: int
    in_size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    dilation: tuple[int, ...]
    groups: int
    padding_mode: PaddingMode = "zeros"

    @property
    def keywords(self) -> dict[str, Any]:
        """What conv takes beside x and w."""
        names = ("stride", "padding", "dilation", "groups", "padding_mode")
        return {name: getattr(self, name) for name in names}

    @property
    def w_shape(self) -> tuple[int, ...]:
        """(O, C / groups, *k)."""
        return (self.out_channels, self.in_channels // self.groups, *self.kernel_size)

    @property
    def x_shape(self) -> tuple[int, ...]:
        """(N, C, *in)."""
        return (self.batch, self.in_channels, *self.in_size)

    @property
    def geometry(self) -> Geometry:
        """The library's reading of the arguments."""
        return Geometry.of_conv(self.x_shape, self.w_shape, **self.keywords)

    @property
    def y_shape(self) -> tuple[int, ...]:
        """(N, O, *out), computed here from the textbook formula."""
        sizes = zip(
            self.in_size, self.kernel_size, self.stride, self.padding, self.dilation, strict=True
        )
        outs = ((n + lo + hi - d * (k - 1) - 1) // s + 1 for n, k, s, (lo, hi), d in sizes)
        return (self.batch, self.out_channels, *outs)

    def arrays(self, dtype: Any = np.float64, seed: int = 0) -> tuple[np.ndarray, ...]:
        """x, w and y of small whole numbers, so that float sums are exact in any order."""
        rng = np.random.default_rng(seed)
        shapes = (self.x_shape, self.w_shape, self.y_shape)
        return tuple(_numbers(rng, shape, dtype) for shape in shapes)


def _numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
    values = rng.integers(0 if np.dtype(dtype).kind == "u" else -4, 5, shape)
    if np.dtype(dtype).kind == "c":
        return (values + 1j * rng.integers(-4, 5, shape)).astype(dtype)
    return values.astype(dtype)


@st.composite
def arguments(
    draw: st.DrawFn,
    ranks: tuple[int, ...] = (1, 2, 3),
    modes: tuple[PaddingMode, ...] = ("zeros",),
    most_groups: int = 3,
) -> Arguments:
    """Any convolution: strided, dilated, with asymmetric and negative padding, grouped."""
    rank = draw(st.sampled_from(ranks))
    largest = {1: 5, 2: 4, 3: 3}[rank]

    def each(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(least, most)) for _ in range(rank))

    kernel, stride, dilation = each(1, largest), each(1, 3), each(1, 3)
    padding = tuple(zip(each(-1, 3), each(-1, 3), strict=True))
    spare = each(0, 5)
    sizes = zip(kernel, dilation, padding, spare, strict=True)
    in_size = tuple(max(d * (k - 1) + 1 - lo - hi, 1) + more for k, d, (lo, hi), more in sizes)
    groups = draw(st.integers(1, most_groups))
    return Arguments(
        batch=draw(st.integers(1, 2)),
        in_channels=groups * draw(st.integers(1, 2)),
        out_channels=groups * draw(st.integers(1, 2)),
        in_size=in_size,
        kernel_size=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        padding_mode=draw(st.sampled_from(modes)),
    )


ANY_MODE = PADDING_MODES

# Small, and none of them k=3 with padding 1, which hides mistakes.
FIXED: tuple[Arguments, ...] = (
    Arguments(2, 4, 6, (9,), (4,), (2,), ((1, 2),), (1,), 2),
    Arguments(1, 2, 3, (7, 8), (2, 3), (2, 3), ((0, 1), (2, -1)), (2, 1), 1),
    Arguments(2, 3, 3, (6, 5), (4, 2), (1, 2), ((2, 1), (0, 0)), (1, 3), 3),
    Arguments(1, 2, 2, (4, 5, 4), (2, 3, 1), (2, 1, 3), ((1, 0), (1, 1), (0, 0)), (1, 2, 1), 1),
)


@dataclass(frozen=True)
class Transposed:
    """A transposed layer's steps and channels, which every framework has, before any padding."""

    batch: int
    size: tuple[int, ...]
    kernel_size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    groups: int
    c: int
    m: int

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.size)

    def arrays(self, layout: KernelLayout, last: bool = True, seed: int = 0) -> list[np.ndarray]:
        """Data, kernel and bias of small whole numbers, laid out as a framework wants them."""
        rng = np.random.default_rng(seed)
        sizes = {"C": self.c, "M": self.m}
        sizes["M" if not layout.backwards else "C"] //= self.groups
        kernel = [n for a in layout.axes for n in (self.kernel_size if a == "*" else (sizes[a],))]
        data = (*self.size, self.c) if last else (self.c, *self.size)
        shapes = ((self.batch, *data), tuple(kernel), (self.m,))
        return [_numbers(rng, shape, np.float64) for shape in shapes]


@st.composite
def transposed(
    draw: st.DrawFn, ranks: tuple[int, ...] = (1, 2, 3), groups: bool = False, dilated: bool = True
) -> Transposed:
    """Any steps, kernels shorter than their stride among them."""
    rank = draw(st.sampled_from(ranks))

    def each(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(least, most)) for _ in range(rank))

    blocks = draw(st.integers(1, 3)) if groups else 1
    return Transposed(
        draw(st.integers(1, 2)), each(1, 5 if rank < 3 else 3), each(1, 5 if rank < 3 else 3),
        each(1, 4), each(1, 3) if dilated else (1,) * rank, blocks,
        blocks * draw(st.integers(1, 2)), blocks * draw(st.integers(1, 2)),
    )  # fmt: skip


def numbers(least: int, most: int, rank: int) -> st.SearchStrategy[Any]:
    """One int, or one int an axis."""
    return st.integers(least, most) | st.tuples(*[st.integers(least, most)] * rank)


def ends(least: int, most: int, rank: int) -> st.SearchStrategy[tuple[tuple[int, int], ...]]:
    """A (low, high) pair for each axis."""
    return st.tuples(*[st.tuples(*[st.integers(least, most)] * 2)] * rank)
