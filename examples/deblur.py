# %% [markdown]
# # Deblurring with C as a matrix-free operator
#
# Defocus is a convolution. Written as a matrix, y = C x, it is a least
# squares problem to find the sharp image x in the blurred y. C would have
# 300 million entries here, so we never form it. Solvers such as LSQR ask
# only for C x, which is `conv`, and for C.T y, which is `conv_transpose`.
#
# Run it with `python examples/deblur.py`, or open it as a notebook: VS
# Code and jupytext know this format. It needs lineax and Pillow
# (`pip install lineax pillow`).

# %%
import time
from typing import Any

import jax
import jax.numpy as jnp
import lineax as lx
import numpy as np
from PIL import Image
from scipy.sparse.linalg import LinearOperator, lsqr

import tconvjax as tc

jax.config.update("jax_enable_x64", True)  # SciPy's solvers compute in float64
SIZE, SPREAD = 136, 9  # of the sharp image, and of the disc that blurs it

# %% [markdown]
# ## A sharp image and a blurred one
#
# The image is a planet with bands, a ring and some stars. An even disc
# blurs it, as a lens out of focus does, and the sensor adds noise. There
# is no padding, because light from outside of the picture is blurred into
# it as well. So y is smaller than x, and C has fewer rows than columns.

# %%
rng = np.random.default_rng(0)
down, across = np.mgrid[-1 : 1 : SIZE * 1j, -1 : 1 : SIZE * 1j]
sharp = np.where(
    np.hypot(down, across) < 0.55,
    0.7 + 0.3 * np.sin(24 * down + 2 * across),
    0,
)
tilted = np.abs(np.hypot(across + down / 2, 3 * down - across) - 1) < 0.1
sharp = np.where(tilted & ((down > 0) | (sharp == 0)), 0.9, sharp)
sharp[tuple(rng.integers(0, SIZE, (2, SIZE // 2)))] = 1

at = np.arange(SPREAD) - SPREAD // 2
disc = (np.hypot(at, at[:, None]) <= SPREAD / 2).astype(float)
w = jnp.asarray(disc / disc.sum())[None, None]


@jax.jit
def blur(x: Any) -> jax.Array:
    """C x, for an image x."""
    return tc.conv(x[None], w)[0]


@jax.jit
def spread(y: Any) -> jax.Array:
    """C.T y, for a blurred image y."""
    return tc.conv_transpose(y[None], w)[0]


blurred = np.asarray(blur(sharp[None])) + 0.002 * rng.normal(
    size=(1, *[SIZE - SPREAD + 1] * 2)
)

# %% [markdown]
# The solvers rely on `spread` being the exact transpose of `blur`. This
# raises an error if it is not:

# %%
tc.assert_adjoint(blur, spread, sharp[None], blurred)

# %% [markdown]
# ## LSQR in SciPy
#
# Blurring nearly removes the fine detail, so dividing it back in would
# amplify the noise. The damping keeps that in check: LSQR minimises
# |C x - y|² + damp² |x|².

# %%
damp = 0.02
C = LinearOperator(
    (blurred.size, sharp.size),
    matvec=lambda x: np.asarray(blur(x.reshape(1, SIZE, SIZE))).ravel(),
    rmatvec=lambda y: np.asarray(spread(y.reshape(blurred.shape))).ravel(),
    dtype=np.float64,
)
start = time.perf_counter()
found, _, steps, *_ = lsqr(C, blurred.ravel(), damp=damp, atol=1e-7, btol=1e-7)
by_scipy = found.reshape(SIZE, SIZE)
seconds = time.perf_counter() - start
print(
    f"C is {C.shape[0]} x {C.shape[1]}; "
    f"scipy's lsqr took {steps} steps and {seconds:.2f} s"
)

# %% [markdown]
# ## The same in lineax
#
# The minimum solves (C.T C + damp²) x = C.T y. The matrix on the left is
# positive definite, so conjugate gradients find x. The solver is part of
# the JAX program, so you can compile it and take its gradient.

# %%
normal = lx.FunctionLinearOperator(
    lambda x: spread(blur(x)) + damp**2 * x,
    jax.ShapeDtypeStruct((1, SIZE, SIZE), jnp.float64),
    lx.positive_semidefinite_tag,
)


@jax.jit
def deblur(y: Any) -> jax.Array:
    """The sharp image (SIZE, SIZE), from a blurred one."""
    solver = lx.CG(rtol=1e-7, atol=1e-7)
    return lx.linear_solve(normal, spread(y), solver).value[0]


deblur(blurred).block_until_ready()  # compiles
start = time.perf_counter()
by_lineax = deblur(blurred).block_until_ready()
print(f"lineax's CG took {time.perf_counter() - start:.2f} s")

# %% [markdown]
# ## What came back
#
# Both solvers find the same image. It is much closer to the sharp one,
# but no solver can restore the detail that drowned in the noise.

# %%
edge = SPREAD // 2
seen = np.s_[edge : SIZE - edge, edge : SIZE - edge]  # the pixels that y shows


def error(image: Any) -> float:
    """The root mean square error of the pixels that y shows."""
    return float(np.sqrt(np.mean((np.asarray(image) - sharp[seen]) ** 2)))


apart = float(np.abs(by_lineax - by_scipy).max())
print(f"largest difference of the two solutions {apart:.0e}")
print(
    f"error of the blurred image {error(blurred[0]):.3f}, "
    f"of the deblurred one {error(by_scipy[seen]):.3f}"
)
assert apart < 1e-4
assert error(by_scipy[seen]) < 0.6 * error(blurred[0])

# %%
row = np.hstack(
    [np.pad(image, 2) for image in (sharp[seen], blurred[0], by_scipy[seen])]
)
picture = Image.fromarray((255 * row.clip(0, 1)).astype(np.uint8))
picture.resize((2 * picture.width, 2 * picture.height), 0).save("deblurred.png")
picture
