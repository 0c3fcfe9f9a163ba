"""Deconvolution proper: the input whose convolution comes nearest, beside its mere shape."""

from __future__ import annotations

import functools
import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from tconvjax.algorithms import check_choice
from tconvjax.arguments import Ints, flag
from tconvjax.errors import Described, fail
from tconvjax.geometry import Geometry, Padding, PaddingMode
from tconvjax.operations import conv, conv_transpose
from tconvjax.upsampling.images import array, each

METHODS = ("cg", "fft")


class Deconvolution(NamedTuple):
    """What `deconvolve` found.

    Attributes:
        x: the result.
        residual: |conv(x, w) - y| / |y|.
        steps: of conjugate gradients that were taken; 0 for method "fft".
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

    x minimises |conv(x, w) - y|^2 + damping * |x|^2; of several, the smallest.

    What a convolution has made small, its inverse makes large again, and the noise of y with it.
    Two things keep it small: damping, and to stop early. Without damping or a tolerance, the steps
    end where twice as many no longer lower |conv(x, w) - y| by 30 %: what is left is taken for
    noise, and the x before is the result.

    Args:
        y: (N, O, *out_size), as the convolution gives it; also without a batch axis or with
            several. Floats or complex numbers.
        w: (O, C / groups, *k), the convolution's kernel.
        stride: of the convolution, as all the rest.
        padding: as in `tconvjax.conv_transpose`.
        output_padding: as in `tconvjax.conv_transpose`.
        output_size: as in `tconvjax.conv_transpose`.
        dilation: as in `tconvjax.conv_transpose`.
        groups: as in `tconvjax.conv_transpose`.
        padding_mode: as in `tconvjax.conv_transpose`.
        method: "cg" for conjugate gradients on the normal equations, for any convolution; "fft"
            for one division for each frequency, where the padding is circular and the stride 1.
        damping: at least 0; more of it makes the answer smaller and less noisy. About the square
            of the noise's share in x is a good one.
        tolerance: at least 0; "cg" stops where the gradient of what is minimised has fallen to this
            share of its first value. With "fft" frequencies smaller than this times the largest
            count as lost. None: 1e-6, and for "cg" without damping where the steps bring nothing.
        steps: at most so many steps of "cg"; None: as many as x has elements.
        info: whether to return a `Deconvolution`, which tells the residual and the steps too.

    Returns:
        x (N, C, *in_size), with y's batch axes. Its derivatives are those of the minimum.

    Raises:
        GeometryError: if the arguments do not fit together, or not to the method.

    Examples:
        >>> x = jnp.array([[[1.0, 2.0, 3.0]]])
        >>> w = jnp.array([[[1.0, 1.0]]])
        >>> y = conv(x, w, padding=1)  # [1, 3, 5, 3]
        >>> deconvolve(y, w, padding=1).round(4).tolist()
        [[[1.0, 2.0, 3.0]]]
        >>> conv_transpose(y, w, padding=1).tolist()  # the shape comes back, the values do not
        [[[4.0, 8.0, 8.0]]]
    """
    check_choice("method", method, METHODS)
    data, kernel = array("y", y), array("w", w)
    for name, value in (("y", data), ("w", kernel)):
        if not jnp.issubdtype(value.dtype, jnp.inexact):
            fail(
                name,
                Described(f"array of dtype {value.dtype}"),
                "least squares need floats",
                f"convert it: {name}.astype(float)",
            )
    most = None if steps is None else each("steps", steps, 1, 0)[0]
    damped = _real("damping", damping)
    near = 1e-6 if tolerance is None else _real("tolerance", tolerance)
    there = Geometry.of_conv_transpose(
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
        _check_frequencies(there)
        x, taken = _by_frequency(data, kernel, damped, near, there), 0
    else:
        patient = tolerance is not None or isinstance(damped, jax.core.Tracer) or damped > 0
        images = data.size // max(1, math.prod(there.out_shape))
        most = images * math.prod(there.in_shape) if most is None else most
        x, taken = _by_gradients(data, kernel, damped, near, there, most, patient)
    if not flag("info", info):
        return x
    off, size = (jnp.linalg.norm(v) for v in (data - conv(x, kernel, **_given(there)), data))
    return Deconvolution(x, jnp.where(size > 0, off / size, off), jnp.asarray(taken))


def _real(name: str, number: Any) -> Any:
    """A real number, finite and at least 0; a traced one is taken as it is."""
    if isinstance(number, jax.core.Tracer) and number.ndim == 0:
        return number
    try:
        read = float(number)
    except Exception:  # noqa: BLE001 - strings, None, complex numbers, arrays of many
        read = math.nan
    if isinstance(number, str | bytes) or not 0 <= read < math.inf:
        fail(name, number, "it is a finite number, at least 0", "give 0 or more")
    return read


def _given(there: Geometry) -> dict[str, Any]:
    return {
        "stride": there.stride,
        "padding": there.padding,
        "dilation": there.dilation,
        "groups": there.groups,
        "padding_mode": there.axes[0].mode,
    }


def _adjoint(y: jax.Array, w: jax.Array, there: Geometry) -> jax.Array:
    """Of complex kernels the adjoint is conjugated, which the transpose is not."""
    return jnp.conj(conv_transpose(jnp.conj(y), w, output_size=there.in_size, **_given(there)))


@functools.partial(jax.custom_jvp, nondiff_argnums=(4, 5, 6))
@functools.partial(jax.jit, static_argnums=(4, 5, 6))
def _by_gradients(
    y: jax.Array,
    w: jax.Array,
    damping: Any,
    tolerance: Any,
    there: Geometry,
    steps: int,
    patient: bool,
) -> tuple[jax.Array, jax.Array]:
    """Conjugate gradients that keep the residual of y, not of the normal equations (CGLS).

    Hestenes and Stiefel 1952, section 10. In float32 the residual of the normal equations is noise
    where that of y is still exact.
    """

    def squares(v: jax.Array) -> jax.Array:
        return jnp.sum(jnp.square(jnp.abs(v)))

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        count, x, r, p, size, kept, best, check, _ = state
        q = conv(p, w, **_given(there))
        length = size / (squares(q) + damping * squares(p))
        length = length.astype(x.dtype)
        x, r = x + length * p, r - length * q
        s = _adjoint(r, w, there) - damping * x
        now = squares(s)
        p = s + (now / size).astype(x.dtype) * p
        if patient:
            return count + 1, x, r, p, now, kept, best, check, False
        left = jnp.sqrt(squares(r))
        checked = count + 1 == check
        idle = checked & (left > 0.7 * best)
        kept = jnp.where(checked & ~idle, x, kept)
        best = jnp.where(checked, left, best)
        check = jnp.where(checked, 2 * check, check)
        return count + 1, x, r, p, now, kept, best, check, idle

    def goes_on(state: tuple[Any, ...]) -> jax.Array:
        return (state[0] < steps) & (state[4] > least) & ~jnp.asarray(state[-1])

    s = _adjoint(y, w, there)
    size, x = squares(s), jnp.zeros_like(s)
    least = size * jnp.maximum(tolerance if patient else 0, jnp.finfo(s.dtype).eps) ** 2
    infinite = jnp.full((), jnp.inf, size.dtype)
    state = (0, x, y.astype(s.dtype), s, size, x if not patient else 0, infinite, 4, False)
    count, x, *_, kept, _, _, idle = jax.lax.while_loop(goes_on, step, state)
    return x if patient else jnp.where(idle, kept, x), jnp.asarray(count)


@_by_gradients.defjvp
def _slope(
    there: Geometry, steps: int, patient: bool, primals: Any, tangents: Any
) -> tuple[Any, Any]:
    """Of the minimum, where its gradient stays 0 whatever y, w and the damping do."""
    _, w, damping, _ = primals
    x, count = _by_gradients(*primals, there, steps, patient)

    def gradient(y: jax.Array, w: jax.Array, damping: Any) -> jax.Array:
        return _adjoint(y - conv(x, w, **_given(there)), w, there) - damping * x

    def normal(v: jax.Array) -> jax.Array:
        return _adjoint(conv(v, w, **_given(there)), w, there) + damping * v

    _, slope = jax.jvp(gradient, primals[:3], tangents[:3])

    def solve(matvec: Any, b: jax.Array) -> jax.Array:
        x: jax.Array = jax.scipy.sparse.linalg.cg(matvec, b, tol=1e-6, maxiter=steps)[0]
        return x

    tangent = jax.lax.custom_linear_solve(normal, slope, solve, solve)
    return (x, count), (tangent, np.zeros((), jax.dtypes.float0))


def _check_frequencies(there: Geometry) -> None:
    if {a.mode for a in there.axes} != {"circular"} or max(there.stride) > 1 or there.groups > 1:
        fail(
            "method",
            "fft",
            "it wants padding_mode='circular', stride 1 and one group",
            "use method='cg'",
        )
    if there.in_size != there.out_size:
        fail(
            "method",
            "fft",
            f"it wants as many elements in ({there.in_size}) as out ({there.out_size})",
            "pad span - 1 elements in all, or use method='cg'",
        )


@functools.partial(jax.jit, static_argnums=4)
def _by_frequency(
    y: jax.Array, w: jax.Array, damping: float, tolerance: float, there: Geometry
) -> jax.Array:
    rank, axes = there.rank, tuple(range(-there.rank, 0))
    # y[i] = sum of response[m] * x[i + m], so the frequencies of y are those of x times these.
    response = jnp.zeros((*w.shape[:2], *there.in_size), w.dtype)
    places = [(a.dilation * np.arange(a.kernel_size) - a.low) % a.in_size for a in there.axes]
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
