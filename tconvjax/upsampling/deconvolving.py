"""Deconvolution proper: the input whose convolution comes nearest, beside its mere shape."""

from __future__ import annotations

import functools
import math
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike

from tconvjax.algorithms import check_choice
from tconvjax.geometry import Geometry, Ints, Padding, PaddingMode, Words, fail
from tconvjax.operations import conv, conv_transpose
from tconvjax.upsampling.images import array, each

METHODS = ("cg", "fft")


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
    tolerance: ArrayLike = 1e-6,
    steps: int | None = None,
) -> jax.Array:
    """Invert a convolution in the least-squares sense, which its transpose does not do.

    x minimises |conv(x, w) - y|^2 + damping * |x|^2; of several, the smallest.

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
        damping: at least 0; more of it makes the answer smaller and less noisy.
        tolerance: at least 0, of the residual, relative, where "cg" stops; with "fft" frequencies
            smaller than this times the largest count as lost.
        steps: at most so many steps of "cg"; without, as many as x has elements.

    Returns:
        x (N, C, *in_size), with y's batch axes.

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
            fail(name, Words(f"array of dtype {value.dtype}"), "least squares need floats",
                 f"convert it: {name}.astype(float)")  # fmt: skip
    most = None if steps is None else each("steps", steps, 1, 0)[0]
    damped, near = _real("damping", damping), _real("tolerance", tolerance)
    there = Geometry.of_conv_transpose(
        data.shape, kernel.shape, stride=stride, padding=padding, output_padding=output_padding,
        output_size=output_size, dilation=dilation, groups=groups, padding_mode=padding_mode,
    )  # fmt: skip
    if method == "fft":
        _check_frequencies(there)
        return _by_frequency(data, kernel, damped, near, there)
    steps = math.prod(there.in_shape) if most is None else most
    return _by_gradients(data, kernel, damped, near, there, steps)


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


@functools.partial(jax.jit, static_argnums=(4, 5))
def _by_gradients(
    y: jax.Array, w: jax.Array, damping: float, tolerance: float, there: Geometry, steps: int
) -> jax.Array:
    given: dict[str, Any] = {
        "stride": there.stride, "padding": there.padding, "dilation": there.dilation,
        "groups": there.groups, "padding_mode": there.axes[0].mode,
    }  # fmt: skip

    def adjoint(y: jax.Array) -> jax.Array:
        """Of complex kernels the adjoint is conjugated, which the transpose is not."""
        return jnp.conj(
            conv_transpose(jnp.conj(y), w, output_size=there.in_size, **given)
        )  # fmt: skip

    def normal(x: jax.Array) -> jax.Array:
        return adjoint(conv(x, w, **given)) + damping * x

    x, _ = jax.scipy.sparse.linalg.cg(normal, adjoint(y), tol=tolerance, maxiter=steps)
    return x


def _check_frequencies(there: Geometry) -> None:
    if {a.mode for a in there.axes} != {"circular"} or max(there.stride) > 1 or there.groups > 1:
        fail("method", "fft", "it wants padding_mode='circular', stride 1 and one group",
             "use method='cg'")  # fmt: skip
    if there.in_size != there.out_size:
        fail("method", "fft", f"it wants as many elements in ({there.in_size}) as out "
             f"({there.out_size})", "pad span - 1 elements in all, or use method='cg'")  # fmt: skip


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
