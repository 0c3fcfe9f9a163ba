"""Initialisers for kernels of upsampling layers, in JAX's convention ``(key, shape, dtype)``.

Kernels are those of this package: (O, C / groups, *k) of a transposed convolution from O channels
to C, and (O, C, *k) of a convolution.
"""

from __future__ import annotations

import functools
import math
import numbers
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from tconvjax.algorithms import check_choice
from tconvjax.arguments import Ints, flag, frozen
from tconvjax.errors import Described, fail
from tconvjax.geometry import group_count
from tconvjax.upsampling.images import dtype_of, each
from tconvjax.upsampling.rearranging import ORDERS, Order

Initializer: TypeAlias = Callable[..., jax.Array]
"""A function of (key, shape, dtype)."""


def bilinear_init(key: Any, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Linear interpolation as the start of a transposed convolution with stride k // 2 or its like.

    w[c, c, t] = product over axes of 1 - |t - (k - 1) / 2| / ceil(k / 2), and 0 between channels

    Args:
        key: not used; it is there for the convention.
        shape: (C, C, *k), or (C, 1, *k) for a kernel whose groups are its channels.
        dtype: of the result.

    Returns:
        The kernel. With stride f = ceil(k / 2) the layer starts as linear interpolation; for k of
        2 * f - f % 2 taps between the places of `upsample`, else half an element beside them.

    Raises:
        GeometryError: if the shape joins different numbers of channels.

    Examples:
        >>> bilinear_init(None, (1, 1, 4)).tolist()
        [[[0.25, 0.75, 0.75, 0.25]]]
    """
    del key
    shape = _shape(shape)
    if shape[1] not in (1, shape[0]):
        fail(
            "shape",
            Described(shape),
            "it is (C, C, *k), or (C, 1, *k) with a group for each channel",
            "interpolation keeps the channels apart; use another initialiser",
        )
    channels = np.ones((shape[0], 1)) if shape[1] == 1 else np.eye(shape[0])
    tents = [1 - abs(np.arange(k) - (k - 1) / 2) / -(-k // 2) for k in shape[2:]]
    return jnp.asarray(
        functools.reduce(np.multiply.outer, [channels, *tents]), dtype_of("dtype", dtype)
    )


def icnr_init(
    init: Initializer, factor: Ints, *, transposed: bool = False, order: Order = "CRD"
) -> Initializer:
    """Start an upsampling layer without a checkerboard: all phases equal.

    Sub-pixel: the kernels of the channels that `pixel_shuffle` weaves into one are the same.
    Transposed: w[o, c, t] = v[o, c, t // factor]. Either layer then starts as a convolution of
    ``init``'s kernel, followed or preceded by nearest interpolation.

    Args:
        init: draws the smaller kernel, a function of (key, shape, dtype).
        factor: of the upsampling: an int or one an axis.
        transposed: whether the kernel (O, C, *k) is that of a transposed convolution with stride
            ``factor``, so that k is a multiple of it; else it is the kernel (C * prod(factor), I,
            *k) of the convolution before a `pixel_shuffle`.
        order: of that `pixel_shuffle`.

    Returns:
        A function of (key, shape, dtype).

    Raises:
        GeometryError: by that function, if the factor does not divide the shape.

    Examples:
        >>> start = icnr_init(jax.nn.initializers.normal(), 2)
        >>> w = start(jax.random.key(0), (4, 3, 5, 5))
        >>> bool((w[0] == w[3]).all())
        True

    A. Aitken et al., arXiv:1707.02937; for transposed convolutions as well, as users of Lasagne and
    PyTorch asked.
    """
    check_choice("order", order, ORDERS)
    by = frozen("factor", factor)
    across = flag("transposed", transposed)
    if not callable(init):
        fail("init", init, "it draws a kernel", "give jax.nn.initializers.normal(), say")

    def drawn(key: Any, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        shape = _shape(shape)
        factors = each("factor", by, len(shape) - 2, 1)
        if across:
            _check_divides(factors, shape[2:], shape)
            taps = [k // f for k, f in zip(shape[2:], factors, strict=True)]
            w = init(random_key(key), (*shape[:2], *taps), dtype_of("dtype", dtype))
            for axis, f in enumerate(factors):
                w = jnp.repeat(w, f, axis + 2)
            return w
        phases = math.prod(factors)
        _check_divides((phases,), shape[:1], shape)
        w = init(random_key(key), (shape[0] // phases, *shape[1:]), dtype_of("dtype", dtype))
        return jnp.repeat(w, phases, 0) if order == "CRD" else jnp.concatenate([w] * phases)

    return drawn


def _shape(shape: Any) -> tuple[int, ...]:
    """The shape of a kernel, checked."""
    read = frozen("shape", shape)
    if not isinstance(read, tuple) or len(read) < 3:
        fail(
            "shape",
            Described(shape),
            "a kernel has two channel axes and at least one spatial axis",
            "give (O, C / groups, *k)",
        )
    return each("shape", read, len(read), 0)


def uniform(key: Any, shape: tuple[int, ...], dtype: Any, limit: float) -> jax.Array:
    """Numbers between -limit and limit; of complex ones either part."""
    if not jnp.issubdtype(dtype, jnp.complexfloating):
        return jax.random.uniform(key, shape, dtype, -limit, limit)
    real, imaginary = jax.random.split(key)
    part = jnp.finfo(dtype).dtype
    return jax.lax.complex(
        uniform(real, shape, part, limit), uniform(imaginary, shape, part, limit)
    )


def random_key(key: Any) -> Any:
    """A random key, of jax.random.key or of the older jax.random.PRNGKey."""
    dtype: Any = getattr(key, "dtype", bool)
    axes = 0 if jnp.issubdtype(dtype, jax.dtypes.prng_key) else 1
    if (axes == 1 and dtype != np.uint32) or getattr(key, "ndim", None) != axes:
        fail(
            "key",
            Described(f"{type(key).__name__} object"),
            "it must be one random key",
            "give jax.random.key(0), say",
        )
    return key


def _check_divides(
    factors: tuple[int, ...], sizes: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    if any(n % f for n, f in zip(sizes, factors, strict=True)):
        fail(
            "shape",
            Described(shape),
            f"{factors} must divide {sizes} of it, or the phases cannot be equal",
            "give another kernel or factor",
        )


# -- the right fans --------------------------------------------------------------------------------


def transposed_scaling(
    scale: float,
    mode: Literal["fan_in", "fan_out", "fan_avg"],
    distribution: Literal["truncated_normal", "normal", "uniform"],
    *,
    stride: Ints = 1,
    groups: int = 1,
) -> Initializer:
    """Scale a transposed convolution's kernel by how many terms its sums have.

    fan_in = O / groups * prod(k) / prod(stride),  fan_out = C / groups * prod(k)

    An element of the result is a sum over the channels of its group and over those taps of each
    axis that fall on it, one in ``stride``. Frameworks that read the fans of a convolution off the
    kernel's shape take the channels of the other side.

    Args:
        scale: the variance is scale / fan.
        mode: which fan.
        distribution: as in ``jax.nn.initializers.variance_scaling``.
        stride: of the layer: an int or one an axis.
        groups: of the layer.

    Returns:
        A function of (key, shape, dtype) for shapes (O, C / groups, *k).

    Raises:
        GeometryError: if there is no such mode or distribution; by that function, if groups do not
            divide O.

    Examples:
        >>> init = transposed_scaling(1.0, "fan_in", "normal", stride=2)
        >>> w = init(jax.random.key(0), (64, 32, 4, 4))
        >>> bool(abs(w.var() * 64 * 16 / 4 - 1) < 0.1)
        True
    """
    check_choice("mode", mode, ("fan_in", "fan_out", "fan_avg"))
    check_choice("distribution", distribution, ("truncated_normal", "normal", "uniform"))
    blocks, strides = group_count(groups), frozen("stride", stride)
    if isinstance(scale, bool) or not isinstance(scale, numbers.Real) or not 0 <= scale < math.inf:
        fail("scale", scale, "it is a finite number, at least 0", "give 1.0 or 2.0, say")

    def drawn(key: Any, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
        shape = _shape(shape)
        steps = each("stride", strides, len(shape) - 2, 1)
        if shape[0] % blocks:
            fail(
                "groups",
                groups,
                f"it must divide the {shape[0]} input channels of {shape}",
                "give the layer's groups",
            )
        if 0 in shape:  # no weights, and no fans to divide by
            return jnp.zeros(shape, dtype_of("dtype", dtype))
        taps = math.prod(shape[2:])
        fan_in, fan_out = shape[0] / blocks * taps / math.prod(steps), shape[1] * taps
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
        # JAX's own reads the fans off a shape, so its scale makes up for the difference.
        own = jax.nn.initializers.variance_scaling(
            scale * taps / fan, "fan_in", distribution, in_axis=(), out_axis=(0, 1)
        )
        return own(random_key(key), shape, dtype_of("dtype", dtype))

    return drawn


def lecun_normal(*, stride: Ints = 1, groups: int = 1) -> Initializer:
    """`transposed_scaling` (1, "fan_in", "truncated_normal"): results of the input's variance.

    Args:
        stride: of the layer: an int or one an axis.
        groups: of the layer.

    Returns:
        A function of (key, shape, dtype) for shapes (O, C / groups, *k).
    """
    return transposed_scaling(1.0, "fan_in", "truncated_normal", stride=stride, groups=groups)


def lecun_uniform(*, stride: Ints = 1, groups: int = 1) -> Initializer:
    """`transposed_scaling` (1, "fan_in", "uniform").

    Args:
        stride: of the layer: an int or one an axis.
        groups: of the layer.

    Returns:
        A function of (key, shape, dtype) for shapes (O, C / groups, *k).
    """
    return transposed_scaling(1.0, "fan_in", "uniform", stride=stride, groups=groups)


def he_normal(*, stride: Ints = 1, groups: int = 1) -> Initializer:
    """`transposed_scaling` (2, "fan_in", "truncated_normal"): the same behind a ReLU.

    Args:
        stride: of the layer: an int or one an axis.
        groups: of the layer.

    Returns:
        A function of (key, shape, dtype) for shapes (O, C / groups, *k).
    """
    return transposed_scaling(2.0, "fan_in", "truncated_normal", stride=stride, groups=groups)


def he_uniform(*, stride: Ints = 1, groups: int = 1) -> Initializer:
    """`transposed_scaling` (2, "fan_in", "uniform").

    Args:
        stride: of the layer: an int or one an axis.
        groups: of the layer.

    Returns:
        A function of (key, shape, dtype) for shapes (O, C / groups, *k).
    """
    return transposed_scaling(2.0, "fan_in", "uniform", stride=stride, groups=groups)


def glorot_normal(*, stride: Ints = 1, groups: int = 1) -> Initializer:
    """`transposed_scaling` (1, "fan_avg", "truncated_normal").

    Args:
        stride: of the layer: an int or one an axis.
        groups: of the layer.

    Returns:
        A function of (key, shape, dtype) for shapes (O, C / groups, *k).
    """
    return transposed_scaling(1.0, "fan_avg", "truncated_normal", stride=stride, groups=groups)


def glorot_uniform(*, stride: Ints = 1, groups: int = 1) -> Initializer:
    """`transposed_scaling` (1, "fan_avg", "uniform").

    Args:
        stride: of the layer: an int or one an axis.
        groups: of the layer.

    Returns:
        A function of (key, shape, dtype) for shapes (O, C / groups, *k).
    """
    return transposed_scaling(1.0, "fan_avg", "uniform", stride=stride, groups=groups)
