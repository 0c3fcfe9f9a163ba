"""Legal arguments of convolutions, for every test that draws them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as st

from tconvjax import ALGORITHMS, Geometry
from tconvjax.conventions.kernels import KernelLayout
from tconvjax.geometry.padding import PADDING_MODES, PaddingMode


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
    padding = tuple(zip(each(-2, 3), each(-2, 3), strict=True))
    sizes = zip(kernel, dilation, padding, each(0, 5), strict=True)
    in_size = tuple(
        max(d * (k - 1) + 1 - low - high, max(-low, 0) + max(-high, 0), 1) + more
        for k, d, (low, high), more in sizes
    )
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


def every_axis(most: int = 6) -> Iterator[Arguments]:
    """Every axis up to a bound that sums up in another way, of one channel.

    Sizes to ``most``, kernels to 4, strides and dilations to 3, paddings from -2 to 3 on either
    side; and with borders that copy, paddings that wrap round more than once. What differs in
    padding that nothing reads is one geometry, and is yielded once.
    """
    seen = set()
    spans = itertools.product(range(1, most + 1), range(1, 5), range(1, 4), range(1, 4))
    for n, k, s, d in spans:
        for low, high in itertools.product(range(-2, 4), repeat=2):
            if n + low + high < d * (k - 1) + 1 or max(-low, 0) + max(-high, 0) > n:
                continue
            for mode in ANY_MODE:
                a = Arguments(1, 1, 1, (n,), (k,), (s,), ((low, high),), (d,), 1, mode)
                plain = mode == "zeros" or max(low, high) <= 0
                key = (replace(a, padding_mode="zeros") if plain else a).geometry
                if key not in seen:
                    seen.add(key)
                    yield a


# Small, and none of them k=3 with padding 1, which hides mistakes.
FIXED: tuple[Arguments, ...] = (
    Arguments(2, 4, 6, (9,), (4,), (2,), ((1, 2),), (1,), 2),
    Arguments(1, 2, 3, (7, 8), (2, 3), (2, 3), ((0, 1), (2, -1)), (2, 1), 1),
    Arguments(2, 3, 3, (6, 5), (4, 2), (1, 2), ((2, 1), (0, 0)), (1, 3), 3),
    Arguments(1, 2, 2, (4, 5, 4), (2, 3, 1), (2, 1, 3), ((1, 0), (1, 1), (0, 0)), (1, 2, 1), 1),
)

NARROW = tuple(
    name
    for name in dir(jnp)
    if name.startswith(("float4_", "float8_")) or name in ("int2", "int4", "uint2", "uint4")
)
"""Every dtype that JAX has for numbers of 2 to 8 bits that are stored, and not computed with."""


def held(name: str) -> np.ndarray:
    """Every number that a narrow dtype holds, Inf and NaN too."""
    dtype = jnp.dtype(name)
    if jnp.issubdtype(dtype, jnp.integer):
        limits = jnp.iinfo(dtype)
        return np.arange(int(limits.min), int(limits.max) + 1).astype(dtype)
    return np.arange(2 ** int(jnp.finfo(dtype).bits), dtype=np.uint8).view(dtype)


def some_held(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    """Some numbers of any dtype whose sizes are 0 or of 2**-6 to 16, so that no sum overflows."""
    rng = np.random.default_rng(seed)
    if name not in NARROW:
        return _numbers(rng, shape, jnp.dtype(name))
    sizes = abs(held(name).astype(np.float64))
    moderate = (sizes == 0) | ((sizes >= 2.0**-6) & (sizes <= 16))
    return rng.choice(held(name)[moderate], shape)


DTYPES = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128", "int32")


@dataclass(frozen=True)
class Case:
    """A convolution, and how it is asked for.

    Args:
        a: sizes, steps, padding, channels.
        dtype: of all operands.
        layout: channels "first", "last", or "mixed": a layout of its own for each array.
        axes: "one" batch axis, "none", or "two".
        names: the algorithms.
        seed: of the numbers.
    """

    a: Arguments
    dtype: str = "float64"
    layout: str = "first"
    axes: str = "one"
    names: tuple[str, ...] = tuple(ALGORITHMS)
    seed: int = 0

    @property
    def dimension_numbers(self) -> tuple[str, str, str] | None:
        """The layouts of x, w and y."""
        space = "DHW"[-len(self.a.in_size) :]
        return {
            "first": None,
            "last": (f"N{space}C", f"{space}IO", f"N{space}C"),
            "mixed": (f"N{space}C", f"I{space}O", f"NC{space}"),
        }[self.layout]

    def _order(self, role: str, rank: int) -> list[int]:
        """Where the axes of the definition's order stand in an array as it is laid out."""
        if self.dimension_numbers is None:
            return list(range(rank))
        plain = ("OI" if role == "w" else "NC") + "DHW"[-len(self.a.in_size) :]
        letters = self.dimension_numbers["xwy".index(role)]
        if rank < len(plain):
            plain, letters = plain[1:], letters.replace("N", "")
        return [plain.index(letter) for letter in letters]

    def placed(self, role: str, v: Any) -> Any:
        """An array of the definition's order as the case lays it out."""
        if role != "w" and self.axes == "none":
            v = v[0]
        v = v.transpose(self._order(role, v.ndim))
        return v[None] if role != "w" and self.axes == "two" else v

    def restored(self, role: str, v: Any) -> Any:
        """The way back of `placed`; a missing batch axis comes back as a batch of one."""
        if role != "w" and self.axes == "two":
            v = v[0]
        v = v.transpose(np.argsort(self._order(role, v.ndim)))
        return v[None] if role != "w" and self.axes == "none" else v

    def numbers(self, whole: bool) -> dict[str, Any]:
        """x, w and y of the dtype; whole and small, or of any size that a sum still holds."""
        rng, dtype = np.random.default_rng(self.seed), jnp.dtype(self.dtype)

        def draw(shape: tuple[int, ...]) -> Any:
            if whole or dtype.kind in "iu":
                most = 5 if whole else 2**31
                return rng.integers(1 - most, most, shape)
            # Of several magnitudes, so that some sums cancel and some are ruled by one term.
            return rng.normal(size=shape) * 2.0 ** rng.integers(-3, 4, shape)

        shapes = {"x": self.a.x_shape, "w": self.a.w_shape, "y": self.a.y_shape}
        return {
            role: (draw(shape) + (1j * draw(shape) if dtype.kind == "c" else 0)).astype(dtype)
            for role, shape in shapes.items()
        }


@st.composite
def cases(draw: st.DrawFn, a: Arguments | None = None) -> Case:
    """Any convolution, or a given one, in any dtype, layout and number of batch axes.

    A border is copied before and added up after an algorithm, which does not see it: so one of the
    algorithms is enough there.
    """
    a = a or draw(arguments(modes=(*ANY_MODE, "zeros", "zeros")))
    axes = draw(st.sampled_from(["one", "none", "two"]))
    names = tuple(ALGORITHMS)
    if a.padding_mode != "zeros":
        names = (draw(st.sampled_from(["auto", *names])),)
    return Case(
        replace(a, batch=1) if axes == "none" else a,
        draw(st.sampled_from(DTYPES)),
        draw(st.sampled_from(["first", "last", "mixed"])),
        axes,
        names,
        draw(st.integers(0, 2**32 - 1)),
    )


@st.composite
def layers(draw: st.DrawFn) -> Case:
    """Above the sizes at which XLA changes engines on a CPU; one end cropped, the other padded."""
    rank = draw(st.sampled_from([1, 2, 2, 2, 3]))
    groups = draw(st.sampled_from([1, 1, 2, 8]))
    ins, outs = (draw(st.sampled_from([1, 4, 8] if groups > 1 else [1, 8, 17])) for _ in range(2))
    size = {1: (200, 600), 2: (16, 40), 3: (8, 12)}[rank]

    def each(least: int, most: int) -> tuple[int, ...]:
        return tuple(draw(st.integers(least, most)) for _ in range(rank))

    def step() -> tuple[int, ...]:
        return each(1, draw(st.sampled_from([1, 1, 3])))

    kernel, dilation = each(1, 5 if rank < 3 else 3), step()
    far = draw(st.sampled_from([3, 9]))
    padding = tuple(zip(each(-far, far), each(-far, far), strict=True))
    cut = (max(-low, 0) + max(-high, 0) for low, high in padding)
    least = (d * k + n for d, k, n in zip(dilation, kernel, cut, strict=True))
    in_size = tuple(max(pair) for pair in zip(least, each(*size), strict=True))
    return Case(
        Arguments(
            draw(st.integers(1, 3)), groups * ins, groups * outs, in_size, kernel, step(), padding,
            dilation, groups,
        ),
        draw(st.sampled_from(["float32", "float32", *DTYPES])),
        draw(st.sampled_from(["first", "last", "mixed"])),
        names=(draw(st.sampled_from(["auto", "direct", *ALGORITHMS])),),
        seed=draw(st.integers(0, 2**32 - 1)),
    )  # fmt: skip


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
    """One int, or one int per axis."""
    return st.integers(least, most) | st.tuples(*[st.integers(least, most)] * rank)


def ends(least: int, most: int, rank: int) -> st.SearchStrategy[tuple[tuple[int, int], ...]]:
    """A (low, high) pair for each axis."""
    return st.tuples(*[st.tuples(*[st.integers(least, most)] * 2)] * rank)
