"""Invert a convolution in the least-squares sense, which its transpose does not do."""

from __future__ import annotations

import functools
import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.typing import ArrayLike

from tconvjax.arguments import Ints, choice, flag
from tconvjax.errors import fail
from tconvjax.geometry import Geometry
from tconvjax.geometry.padding import Padding, PaddingMode
from tconvjax.operations import conv, conv_transpose
from tconvjax.upsampling.arguments import array, each, real


class Deconvolution(NamedTuple):
    """The result of `deconvolve` with info=True.

    Attributes:
        x: the result.
        residual: |conv(x, w) - y| / |y|.
        steps: steps of conjugate gradients taken; 0 for method "fft".
    """

    x: jax.Array
    residual: jax.Array
    steps: jax.Array


def deconvolve(
    y: ArrayLike,
    w: ArrayLike,
    *,
    stride: Ints = 1,
    padding: Padding = 0,
    output_padding: Ints = 0,
    output_size: Ints | None = None,
    dilation: Ints = 1,
    groups: int = 1,
    padding_mode: PaddingMode = "zeros",
    method: Literal["cg", "fft"] = "cg",
    damping: ArrayLike = 0.0,
    tolerance: ArrayLike | None = None,
    steps: int | None = None,
    info: bool = False,
) -> Any:
    """Invert a convolution in the least-squares sense, which its transpose does not do.

    x minimises |conv(x, w) - y|^2 + damping * |x|^2; of several minima, x is the smallest.

    Where a convolution makes something small, its inverse makes it large again, together with the
    noise of y. Damping and stopping early keep the noise small. Without damping and tolerance, the
    search stops when twice as many steps no longer lower |conv(x, w) - y| by 30 %: the rest is
    taken for noise, and the x from before these steps is the result.

    Args:
        y: (*batch, O, *out_size), the result of the convolution. Floats or complex numbers.
        w: (O, C / groups, *k), the kernel of the convolution.
        stride: of the convolution.
        padding: as in `tconvjax.conv_transpose`.
        output_padding: as in `tconvjax.conv_transpose`.
        output_size: as in `tconvjax.conv_transpose`.
        dilation: as in `tconvjax.conv_transpose`.
        groups: as in `tconvjax.conv_transpose`.
        padding_mode: as in `tconvjax.conv_transpose`.
        method: "cg" for conjugate gradients on the normal equations, which work for any
            convolution; "fft" for one division per frequency, which needs circular padding and
            stride 1.
        damping: at least 0. More damping makes x smaller and less noisy. A good value is about the
            square of the noise's share in x.
        tolerance: at least 0. "cg" stops when the gradient of the minimised sum has fallen to this
            share of its first value; "fft" treats frequencies below this share of the largest as
            lost. None means 1e-6, or the rule above for "cg" without damping.
        steps: maximum number of steps of "cg"; None for the number of elements of x.
        info: whether to return a `Deconvolution`, which has the residual and the steps too.

    Returns:
        x, (*batch, C, *in_size). Its derivatives are those of the minimum.

    Raises:
        GeometryError: if the arguments do not fit together or do not fit the method.

    Examples:
        >>> x = jnp.array([[[1.0, 2.0, 3.0]]])
        >>> w = jnp.array([[[1.0, 1.0]]])
        >>> y = conv(x, w, padding=1)  # [1, 3, 5, 3]
        >>> deconvolve(y, w, padding=1).round(4).tolist()
        [[[1.0, 2.0, 3.0]]]
        >>> conv_transpose(y, w, padding=1).tolist()  # the shape comes back, the values do not
        [[[4.0, 8.0, 8.0]]]
    """
    choice("method", method, ("cg", "fft"))
    data = array("y", y, jnp.floating, jnp.complexfloating)
    kernel = array("w", w, jnp.floating, jnp.complexfloating)
    most = None if steps is None else each("steps", steps, 1, 0)[0]
    damped = real("damping", damping)
    near = 1e-6 if tolerance is None else real("tolerance", tolerance)
    geometry = Geometry.of_conv_transpose(
        data.shape,
        kernel.shape,
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        output_size=output_size,
        dilation=dilation,
        groups=groups,
        padding_mode=padding_mode,
    )
    if method == "fft":
        _check_frequencies(geometry)
        x, taken = _by_frequency(data, kernel, damped, near, geometry), 0
    else:
        patient = tolerance is not None or isinstance(damped, jax.core.Tracer) or damped > 0
        images = data.size // max(1, math.prod(geometry.out_shape))
        most = images * math.prod(geometry.in_shape) if most is None else most
        x, taken = _by_gradients(data, kernel, damped, near, geometry, most, patient)
    if not flag("info", info):
        return x
    off, size = map(jnp.linalg.norm, (data - _forward(x, kernel, geometry), data))
    return Deconvolution(x, jnp.where(size > 0, off / size, off), jnp.asarray(taken))


def _steps(geometry: Geometry) -> dict[str, Any]:
    names = ("stride", "padding", "dilation", "groups")
    return {n: getattr(geometry, n) for n in names} | {"padding_mode": geometry.axes[0].mode}


def _forward(x: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    return conv(x, w, **_steps(geometry))


def _adjoint(y: jax.Array, w: jax.Array, geometry: Geometry) -> jax.Array:
    """The adjoint conjugates a complex kernel; the transpose does not."""
    x = conv_transpose(jnp.conj(y), w, output_size=geometry.in_size, **_steps(geometry))
    return jnp.conj(x)


def _squares(v: jax.Array) -> jax.Array:
    return jnp.sum(jnp.square(jnp.abs(v)))


class _State(NamedTuple):
    """A step of CGLS: its number, x, the residual of y, the direction, its gradient's square."""

    count: Any
    x: jax.Array
    residual: jax.Array
    direction: jax.Array
    size: jax.Array


@functools.partial(jax.custom_jvp, nondiff_argnums=(4, 5, 6))
@functools.partial(jax.jit, static_argnums=(4, 5, 6))
def _by_gradients(
    y: jax.Array,
    w: jax.Array,
    damping: Any,
    tolerance: Any,
    geometry: Geometry,
    steps: int,
    patient: bool,
) -> tuple[jax.Array, jax.Array]:
    """Conjugate gradients that keep the residual of y, not of the normal equations (CGLS).

    Hestenes and Stiefel 1952, section 10. In float32 the residual of the normal equations is noise
    while that of y is still exact.
    """

    def step(state: _State) -> _State:
        count, x, r, p, size = state
        q = _forward(p, w, geometry)
        length = (size / (_squares(q) + damping * _squares(p))).astype(x.dtype)
        x, r = x + length * p, r - length * q
        s = _adjoint(r, w, geometry) - damping * x
        new = _squares(s)
        return _State(count + 1, x, r, s + (new / size).astype(x.dtype) * p, new)

    def unfinished(state: _State, until: Any) -> jax.Array:
        return (state.count < until) & (state.size > least)

    def twice(found: tuple[Any, ...]) -> tuple[Any, ...]:
        """Take as many steps again; idle if they bring too little."""
        _, state, _ = found
        until = 2 * jnp.maximum(state.count, 2)
        most = jnp.minimum(until, steps)
        new = lax.while_loop(lambda state: unfinished(state, most), step, state)
        little = _squares(new.residual) > 0.7**2 * _squares(state.residual)
        idle = little & (new.count == until) & (state.count > 0)
        return state.x, new, idle & (not patient)

    s = _adjoint(y, w, geometry)
    least = _squares(s) * jnp.maximum(tolerance if patient else 0, jnp.finfo(s.dtype).eps) ** 2
    state = _State(0, jnp.zeros_like(s), y.astype(s.dtype), s, _squares(s))
    kept, state, idle = lax.while_loop(
        lambda found: unfinished(found[1], steps) & ~found[2],
        twice,
        (state.x, state, jnp.asarray(False)),
    )
    return jnp.where(idle, kept, state.x), jnp.asarray(state.count)


@_by_gradients.defjvp
def _slope(
    geometry: Geometry, steps: int, patient: bool, primals: Any, tangents: Any
) -> tuple[Any, Any]:
    """Differentiate the minimum, whose gradient stays 0 whatever y, w and the damping do."""
    _, w, damping, _ = primals
    x, count = _by_gradients(*primals, geometry, steps, patient)

    def gradient(y: jax.Array, w: jax.Array, damping: Any) -> jax.Array:
        return _adjoint(y - _forward(x, w, geometry), w, geometry) - damping * x

    def normal(v: jax.Array) -> jax.Array:
        return _adjoint(_forward(v, w, geometry), w, geometry) + damping * v

    def solve(matvec: Any, b: jax.Array) -> jax.Array:
        x: jax.Array = jax.scipy.sparse.linalg.cg(matvec, b, tol=1e-6, maxiter=steps)[0]
        return x

    _, slope = jax.jvp(gradient, primals[:3], tangents[:3])
    tangent = lax.custom_linear_solve(normal, slope, solve, solve)
    return (x, count), (tangent, np.zeros((), jax.dtypes.float0))


def _check_frequencies(geometry: Geometry) -> None:
    modes = {axis.mode for axis in geometry.axes}
    if modes != {"circular"} or max(geometry.stride) > 1 or geometry.groups > 1:
        rule = "it needs padding_mode='circular', stride 1 and one group"
        fail("method", "fft", rule, "use method='cg'")
    if geometry.in_size != geometry.out_size:
        rule = f"it needs x and y of equal sizes, not {geometry.in_size} and {geometry.out_size}"
        fail("method", "fft", rule, "pad span - 1 elements in all, or use method='cg'")


@functools.partial(jax.jit, static_argnums=4)
def _by_frequency(
    y: jax.Array, w: jax.Array, damping: float, tolerance: float, geometry: Geometry
) -> jax.Array:
    rank, axes = geometry.rank, tuple(range(-geometry.rank, 0))
    # y[i] = sum of response[m] * x[i + m], so the frequencies of y are those of x times these.
    response = jnp.zeros((*w.shape[:2], *geometry.in_size), w.dtype)
    places = [(a.dilation * np.arange(a.kernel_size) - a.low) % a.in_size for a in geometry.axes]
    response = response.at[:, :, *np.ix_(*places)].add(w)
    transfer = jnp.fft.ifftn(response, axes=axes, norm="forward")
    left, sizes, right = jnp.linalg.svd(
        jnp.moveaxis(transfer, (0, 1), (-2, -1)), full_matrices=False
    )  # (*f, O, m), (*f, m), (*f, m, C)
    kept = sizes > tolerance * sizes.max(initial=0)
    divided = jnp.where(kept, sizes / jnp.where(kept, sizes**2 + damping, 1), 0)
    data = jnp.moveaxis(jnp.fft.fftn(y, axes=axes), -1 - rank, -1)
    seen = jnp.einsum("...om,...o,...m->...m", jnp.conj(left), data, divided.astype(data.dtype))
    found = jnp.moveaxis(jnp.einsum("...mc,...m->...c", jnp.conj(right), seen), -1, -1 - rank)
    x = jnp.fft.ifftn(found, axes=axes)
    dtype = jnp.result_type(y, w)
    return (x if jnp.issubdtype(dtype, jnp.complexfloating) else x.real).astype(dtype)
