"""The cases of the sweep: geometries with a dtype, a layout and a way to spell the rest."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import jax.numpy as jnp
import numpy as np

import tconvjax as tc
from tests.strategies import ANY_MODE, Arguments

DTYPES = ("float16", "bfloat16", "float32", "float64", "complex64", "complex128", "int32")
ALGORITHMS = ("auto", *tc.ALGORITHMS)
LAYOUTS = ("first", "last", "mixed")
BATCHES = ("one", "none", "two")
CHANNELS = ((1, 1, 1), (1, 2, 3), (2, 1, 1), (2, 2, 1), (1, 1, 2), (3, 1, 2))
"""(groups, input channels in a group, output channels in a group)."""


@dataclass(frozen=True)
class Case:
    """One convolution, and how it is asked for.

    Args:
        a: sizes, steps, padding, channels.
        dtype: of all operands.
        layout: channels "first", "last", or "mixed": a layout of its own for each array.
        batch: "one" batch axis, "none", or "two".
        algorithm: which one; "" for all but "auto", which is one of them.
        seed: of the numbers.
    """

    a: Arguments
    dtype: str
    layout: str = "first"
    batch: str = "one"
    algorithm: str = ""
    seed: int = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The algorithms that are asked for."""
        return (self.algorithm,) if self.algorithm else tuple(tc.ALGORITHMS)

    @property
    def dimension_numbers(self) -> tuple[str, str, str] | None:
        """The layouts of x, w and y."""
        axes = "DHW"[-len(self.a.in_size) :]
        if self.layout == "first":
            return None
        if self.layout == "last":
            return f"N{axes}C", f"{axes}IO", f"N{axes}C"
        return f"N{axes}C", f"I{axes}O", f"NC{axes}"

    def placed(self, role: str, v: Any) -> Any:
        """An array of the definition's order as the case lays it out."""
        if role != "w" and self.batch == "none":
            v = v[0]
        if self.dimension_numbers is not None:
            plain = ("OI" if role == "w" else "NC") + "DHW"[-len(self.a.in_size) :]
            letters = self.dimension_numbers["xwy".index(role)]
            if v.ndim < len(plain):
                plain, letters = plain[1:], letters.replace("N", "")
            v = v.transpose([plain.index(letter) for letter in letters])
        return v[None] if role != "w" and self.batch == "two" else v

    def restored(self, role: str, v: Any) -> Any:
        """The way back of `placed`; a missing batch axis stays a batch of one."""
        if role != "w" and self.batch == "two":
            v = v[0]
        if self.dimension_numbers is not None:
            plain = ("OI" if role == "w" else "NC") + "DHW"[-len(self.a.in_size) :]
            letters = self.dimension_numbers["xwy".index(role)]
            if v.ndim < len(plain):
                plain, letters = plain[1:], letters.replace("N", "")
            v = v.transpose([letters.index(letter) for letter in plain])
        return v[None] if role != "w" and self.batch == "none" else v

    def numbers(self, whole: bool) -> tuple[Any, ...]:
        """x, w and y of the dtype; whole and small, or of any size that a sum still holds."""
        rng, dtype = np.random.default_rng(self.seed), jnp.dtype(self.dtype)
        shapes = (self.a.x_shape, self.a.w_shape, self.a.y_shape)
        if whole or dtype.kind in "iu":
            most = 5 if whole else 2**31
            return tuple(
                _paired(lambda shape: rng.integers(1 - most, most, shape), shape, dtype)
                for shape in shapes
            )
        # Of several magnitudes, so that some sums cancel and some are ruled by one term.
        return tuple(
            _paired(lambda s: rng.normal(size=s) * 2.0 ** rng.integers(-3, 4, s), shape, dtype)
            for shape in shapes
        )

    def __str__(self) -> str:
        """What ``--case`` takes."""
        a = self.a
        parts = {
            "n": _x(a.in_size), "k": _x(a.kernel_size), "s": _x(a.stride), "d": _x(a.dilation),
            "p": "x".join(f"{low},{high}" for low, high in a.padding), "mode": a.padding_mode,
            "batch": a.batch, "c": a.in_channels, "o": a.out_channels, "g": a.groups,
            "dtype": self.dtype, "layout": self.layout, "axes": self.batch,
            "algorithm": self.algorithm, "seed": self.seed,
        }  # fmt: skip
        return " ".join(f"{name}={value}" for name, value in parts.items() if value != "")

    @classmethod
    def parsed(cls, text: str) -> Case:
        """The case that a line stands for."""
        given: dict[str, Any] = dict(part.split("=", 1) for part in text.split())

        def ints(name: str) -> tuple[int, ...]:
            return tuple(map(int, given[name].split("x")))

        ends = [tuple(map(int, pair.split(","))) for pair in given["p"].split("x")]
        a = Arguments(
            int(given["batch"]), int(given["c"]), int(given["o"]), ints("n"), ints("k"), ints("s"),
            tuple((low, high) for low, high in ends), ints("d"), int(given["g"]), given["mode"],
        )  # fmt: skip
        return cls(a, given["dtype"], given["layout"], given["axes"], given.get("algorithm", ""),
                   int(given["seed"]))  # fmt: skip


def _x(sizes: tuple[int, ...]) -> str:
    return "x".join(map(str, sizes))


def _paired(draw: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """An array of a dtype; a complex one of two draws."""
    if dtype.kind == "c":
        return (draw(shape) + 1j * draw(shape)).astype(dtype)
    return draw(shape).astype(dtype)


# -- every geometry with one axis ------------------------------------------------------------------


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


def varied(a: Arguments, turn: int, rng: random.Random) -> Case:
    """A geometry of one axis with channels, a batch, a dtype and a layout that take turns.

    A border is copied before and added up after an algorithm, which does not see it: so one of
    them, in turn, is enough there.
    """
    groups, ins, outs = CHANNELS[turn % len(CHANNELS)]
    batch = BATCHES[turn % 3]
    a = replace(
        a, batch=1 if batch == "none" else 1 + turn % 2, groups=groups,
        in_channels=groups * ins, out_channels=groups * outs,
    )  # fmt: skip
    name = "" if a.padding_mode == "zeros" else ALGORITHMS[turn % len(ALGORITHMS)]
    return Case(a, DTYPES[turn % len(DTYPES)], LAYOUTS[turn // 3 % 3], batch, name,
                rng.randrange(2**32))  # fmt: skip


# -- and some with more ----------------------------------------------------------------------------


def drawn(turn: int, rng: random.Random, one: bool = False) -> Case:
    """A random case of one to three axes; dtypes take turns, and algorithms if ``one`` is asked.

    Args:
        turn: 0, 1, 2, ...; five times seven of them have every algorithm with every dtype.
        rng: decides all the rest.
        one: whether one algorithm is enough.
    """
    rank = rng.choice((1, 2, 2, 3))
    largest, spare = {1: (9, 12), 2: (4, 4), 3: (3, 2)}[rank]

    def each(least: int, most: int) -> tuple[int, ...]:
        return tuple(rng.randint(least, most) for _ in range(rank))

    kernel, stride, dilation = each(1, largest), each(1, 4 if rank < 3 else 3), each(1, 3)
    padding = tuple(zip(each(-2, 3), each(-2, 3), strict=True))
    sizes = zip(kernel, dilation, padding, each(0, spare), strict=True)
    in_size = tuple(
        max(d * (k - 1) + 1 - low - high, max(-low, 0) + max(-high, 0), 1) + more
        for k, d, (low, high), more in sizes
    )
    mode = rng.choice((*ANY_MODE, "zeros", "zeros"))
    groups, ins, outs = rng.choice(CHANNELS)
    batch = rng.choice(BATCHES)
    a = Arguments(
        1 if batch == "none" else rng.randint(1, 3), groups * ins, groups * outs, in_size, kernel,
        stride, padding, dilation, groups, mode,
    )  # fmt: skip
    name = ALGORITHMS[turn % len(ALGORITHMS)] if one or mode != "zeros" else ""
    return Case(a, DTYPES[turn % len(DTYPES)], rng.choice(LAYOUTS), batch, name,
                rng.randrange(2**32))  # fmt: skip
