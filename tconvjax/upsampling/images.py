"""Which axes of an array are spatial, for functions that treat each channel by itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from tconvjax import operands
from tconvjax.arguments import ints
from tconvjax.errors import array_of, fail

MOST = 2**31 - 1
"""The largest whole number that an argument may be: an index of 32 bits."""

MOST_TERMS = 128
"""Terms of a sum, or parts of an array, that a program writes out; more take long to compile."""


@dataclass(frozen=True)
class Places:
    """Where the axes of an array stand.

    Args:
        spatial: positions of the spatial axes, in order.
        channel: position of the channel axis.
    """

    spatial: tuple[int, ...]
    channel: int

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.spatial)

    def sizes(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The spatial sizes of an array of that shape."""
        return tuple(shape[position] for position in self.spatial)

    def resized(self, shape: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[int, ...]:
        """The shape with other spatial sizes."""
        new = list(shape)
        for position, size in zip(self.spatial, sizes, strict=True):
            new[position] = size
        return tuple(new)


def array(name: str, value: Any) -> jax.Array:
    """An argument as an array of numbers."""
    (read,) = operands.arrays(**{name: value})
    return jnp.asarray(read)  # of the dtype that JAX makes of it: 64 bits may be switched off


def places(name: str, x: Any, layout: str | None, *arguments: Any) -> Places:
    """Where the axes of x stand.

    Args:
        name: of the argument, for messages.
        x: an array with or without a batch axis, or with several that lead.
        layout: letters, such as "NHWC": N and C are batch and channel, all others spatial; None
            for channels first.
        *arguments: given one value per axis or one for all; a tuple tells the number of axes where
            the layout does not. Without, all axes but two are spatial.

    Returns:
        Positions in x.

    Raises:
        GeometryError: if the layout does not fit x.
    """
    if layout is not None:
        return _named(name, x, layout)
    lengths = {count for count in map(how_many, arguments) if count}
    rank = max(lengths, default=x.ndim - 2)
    if len(lengths) > 1 or rank < 1 or x.ndim < rank + 1:
        fail(
            name,
            array_of(x.shape),
            "it has a channel axis and one spatial axis "
            f"at least, after any batch axes, and the arguments name {sorted(lengths) or 'no'} "
            "spatial axes",
            "give one value per axis, or a layout such as 'NCHW'",
        )
    return Places(tuple(range(x.ndim - rank, x.ndim)), x.ndim - rank - 1)


def how_many(value: Any) -> int:
    """How many axes an argument names: 0 for one number, and for what is no argument at all."""
    many = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    return len(value) if many or (hasattr(value, "ndim") and value.ndim) else 0


def _named(name: str, x: Any, layout: str) -> Places:
    """Positions by the letters of a layout, whose N may be missing in x or stand for several."""
    if not isinstance(layout, str) or len(set(layout)) != len(layout) or "C" not in layout:
        fail(
            "layout",
            layout,
            "it has a letter for each axis, C among them",
            "give 'NCHW' or 'NHWC', say",
        )
    extra = x.ndim - len(layout)
    letters = layout.replace("N", "") if extra == -1 else layout
    extra = x.ndim - len(letters)
    spatial = [n for n, letter in enumerate(letters) if letter not in "NC"]
    if not spatial or extra < 0 or (extra > 0 and letters[0] != "N"):
        fail(
            name,
            array_of(x.shape),
            f"layout={layout!r} has {len(layout)} axes; "
            "the batch axis may be missing, or be several where it leads",
            "give the layout of this array",
        )
    return Places(tuple(n + extra for n in spatial), letters.index("C") + extra)


def each(name: str, value: Any, rank: int, least: int) -> tuple[int, ...]:
    """One int an axis, none of them larger than any array."""
    numbers = ints(name, value, rank, least)
    if max(numbers) > MOST:
        fail(name, value, f"it must be at most {MOST}", "give smaller numbers")
    return numbers


def check_elements(name: str, value: Any, sizes: Sequence[int]) -> None:
    """Refuse what no memory holds before XLA, which ends the process, sees it."""
    if math.prod(sizes) > operands.MOST_ELEMENTS:
        fail(
            name,
            value,
            f"it asks for an array of sizes {tuple(sizes)}, and one has at most "
            f"{operands.MOST_ELEMENTS} elements",
            "give smaller numbers",
        )


def dtype_of(name: str, value: Any) -> Any:
    """A dtype of numbers with fractions; 64 bits become 32 where they are switched off."""
    try:
        dtype = jnp.dtype(bool if isinstance(value, operands.NO_DTYPES) else value)
    except (TypeError, ValueError):
        dtype = jnp.dtype(bool)
    if not jnp.issubdtype(dtype, jnp.inexact):
        fail(name, value, "it must be a dtype of floats or complex numbers", "give jnp.float32")
    return jax.dtypes.canonicalize_dtype(dtype)


def algorithm(taps: int) -> str:
    """How a channel is summed by itself.

    XLA's own grouped convolutions on a CPU mix a NaN into other channels; a sum does not.
    """
    return "taps" if taps <= MOST_TERMS else "patches"


def conv_numbers(layout: str | None) -> tuple[str, str, str] | None:
    """The layouts of x, w and y for `tconvjax.conv`; the kernel's is (O, I, *k)."""
    if layout is None:
        return None
    letters = layout if "N" in layout else "N" + layout
    spatial = "".join(letter for letter in letters if letter not in "NC")
    free = sorted(set("ABDEFGHJKLMPQRSTUVWXYZ") - set(letters))
    swapped = str.maketrans("OI", "".join(free[:2]))  # where an axis has the name of a kernel's
    data = letters.translate(swapped)
    return data, f"OI{spatial.translate(swapped)}", data
