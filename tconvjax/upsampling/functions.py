"""The interpolating functions: what one element weighs in the results around it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Interpolation:
    """How an element spreads over its neighbours.

    Args:
        function: the weight at a distance, in elements of the input.
        reach: the distance beyond which it is 0.
        clamps: whether elements beyond the border repeat the last one (PyTorch's bicubic); else
            the weights that fall outside are left out and the rest are scaled to add up to 1,
            which for "linear" is the same.
    """

    function: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    reach: int
    clamps: bool = False


def box(d: NDArray[np.float64]) -> NDArray[np.float64]:
    """1 up to half an element, the left end counted."""
    return ((d > -0.5) & (d <= 0.5)).astype(np.float64)


def triangle(d: NDArray[np.float64]) -> NDArray[np.float64]:
    """A tent over the neighbours on both sides."""
    return np.maximum(1 - abs(d), 0)


def keys(d: NDArray[np.float64], a: float) -> NDArray[np.float64]:
    """The cubic convolution of R. Keys, doi:10.1109/TASSP.1981.1163711, with its parameter a."""
    d = abs(d)
    near = ((a + 2) * d - (a + 3)) * d * d + 1
    far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
    return np.where(d <= 1, near, np.where(d < 2, far, 0.0))


METHODS: dict[str, Interpolation] = {
    "nearest": Interpolation(box, 1),
    "linear": Interpolation(triangle, 1),
    "cubic": Interpolation(functools.partial(keys, a=-0.5), 2),
    "bicubic": Interpolation(functools.partial(keys, a=-0.75), 2, clamps=True),
}
"""What `upsample` interpolates with: "nearest", "linear" and "cubic" as ``jax.image.resize`` means
them, and "bicubic" as PyTorch does, with another cubic function and another border."""


def stamp(method: Interpolation, factor: int) -> NDArray[np.float64]:
    """The weights with which one element reaches the results around it.

    Result j lies at (j + 1/2) / factor - 1/2 of the input. The stamp of an element starts at its
    first result of weight other than 0, `before` results before factor times its index.
    """
    places = np.arange(-before(method, factor), (method.reach + 1) * factor)
    weights = method.function((places + 0.5) / factor - 0.5)
    return np.trim_zeros(weights, "b")


def before(method: Interpolation, factor: int) -> int:
    """Results before factor * i that element i reaches."""
    places = np.arange(-(method.reach + 1) * factor, 1)
    weights = method.function((places + 0.5) / factor - 0.5)
    return -int(places[np.nonzero(weights)[0][0]])


def outer(columns: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The product of one array an axis."""
    return functools.reduce(np.multiply.outer, columns)


def after(method: Interpolation, factor: int) -> int:
    """Results from factor * (i + 1) on that element i reaches."""
    return len(stamp(method, factor)) - factor - before(method, factor)


@dataclass(frozen=True)
class Line:
    """Interpolation along one axis: for each shift of the neighbours, their places and weights."""

    places: NDArray[np.int64]
    weights: NDArray[np.float64]

    @classmethod
    def of(cls, n: int, m: int, method: str, align_corners: bool = False) -> Line:
        """From n elements to m; weights beyond the border are left out, and the rest scaled."""
        how, j = METHODS[method], np.arange(m)
        if how.function is box:
            chosen = (2 * j + 1) * n // (2 * m)  # in whole numbers: half an element is no rounding
            return cls(chosen[None], np.ones((1, m)))
        step = (n - 1) / (m - 1) if m > 1 else 0
        place = j * step if align_corners else (j + 0.5) * n / m - 0.5
        i = np.floor(place).astype(int) + np.arange(1 - how.reach, how.reach + 1)[:, None]
        weights = how.function(place - i)
        if not how.clamps:
            weights = np.where((i >= 0) & (i < n), weights, 0)
            weights = weights / weights.sum(0)
        return cls(np.clip(i, 0, n - 1), weights)

    def matrix(self, n: int) -> NDArray[np.float64]:
        """(n, m): the weights of n elements in m results."""
        found = np.zeros((n, self.places.shape[1]))
        np.add.at(found, (self.places, np.arange(self.places.shape[1])), self.weights)
        return found
