# %% [markdown]
# # A variational autoencoder in Flax NNX
#
# We train the same model twice, first with `flax.nnx.ConvTranspose` in
# its decoder, then with the layer of this package. Only the import of
# `ConvTranspose` differs: the constructors take the same arguments, and
# the same key gives the same function. So both runs have the same losses,
# and differ in the time that a step takes.
#
# Run it with `python examples/vae.py`, or open it as a notebook: VS Code
# and jupytext know this format. It needs Flax (`pip install flax`).

# %%
import os
import time
from typing import Any

import jax
import jax.numpy as jnp
import optax
from flax import nnx

# Was: from flax.nnx import ConvTranspose
from tconvjax.layers.nnx import ConvTranspose

# With TINY set, the sizes are small, to see quickly that all of it runs.
TINY = "TINY" in os.environ
SIZE, BATCH, STEPS = (16, 4, 3) if TINY else (64, 32, 20)
LATENT = 8

# %% [markdown]
# The images are white discs of random size and position on a black
# background.


# %%
def discs(key: jax.Array) -> jax.Array:
    """A batch of images, (BATCH, SIZE, SIZE, 1), with values from 0 to 1."""
    across, down, radius = jax.random.uniform(
        key, (3, BATCH, 1, 1), minval=0.3, maxval=0.7
    )
    at = jnp.linspace(0, 1, SIZE)
    distance = jnp.hypot(at - across, at[:, None] - down)
    return jax.nn.sigmoid((radius / 2 - distance) * SIZE)[..., None]


# %% [markdown]
# The decoder mirrors the encoder. Each of its layers doubles the height
# and the width.


# %%
class VAE(nnx.Module):
    """An encoder to the distribution of a code, and a decoder to logits."""

    def __init__(self, up: Any, rngs: nnx.Rngs) -> None:
        side = SIZE // 8
        self.encoder = nnx.Sequential(
            nnx.Conv(1, 32, (4, 4), 2, rngs=rngs),
            nnx.relu,
            nnx.Conv(32, 64, (4, 4), 2, rngs=rngs),
            nnx.relu,
            nnx.Conv(64, 64, (4, 4), 2, rngs=rngs),
            nnx.relu,
            lambda x: x.reshape(len(x), -1),
            nnx.Linear(side * side * 64, 2 * LATENT, rngs=rngs),
        )
        self.decoder = nnx.Sequential(
            nnx.Linear(LATENT, side * side * 64, rngs=rngs),
            nnx.relu,
            lambda code: code.reshape(-1, side, side, 64),
            up(64, 64, (4, 4), 2, rngs=rngs),
            nnx.relu,
            up(64, 32, (4, 4), 2, rngs=rngs),
            nnx.relu,
            up(32, 1, (4, 4), 2, rngs=rngs),
        )

    def loss(self, image: jax.Array, key: jax.Array) -> jax.Array:
        """The negative evidence lower bound, on average over the batch."""
        mean, spread = jnp.split(self.encoder(image), 2, axis=1)
        code = mean + jnp.exp(spread / 2) * jax.random.normal(key, mean.shape)
        error = optax.sigmoid_binary_cross_entropy(self.decoder(code), image)
        divergence = (mean**2 + jnp.exp(spread) - spread - 1) / 2
        return (error.sum() + divergence.sum()) / len(image)


# %% [markdown]
# The first step compiles, so its time is left out.


# %%
@nnx.jit
def step(model: VAE, optimizer: Any, key: jax.Array) -> jax.Array:
    """One step of training on new images."""
    image = discs(key)
    loss, slope = nnx.value_and_grad(lambda model: model.loss(image, key))(
        model
    )
    optimizer.update(model, slope)
    return loss


def train(up: Any) -> tuple[list[float], float]:
    """The loss of each step, and the seconds that a step takes."""
    model = VAE(up, nnx.Rngs(0))
    optimizer = nnx.Optimizer(model, optax.adam(1e-3), wrt=nnx.Param)
    keys = jax.random.split(jax.random.key(0), STEPS + 1)
    losses = [float(step(model, optimizer, keys[0]))]
    start = time.perf_counter()
    losses += [float(step(model, optimizer, key)) for key in keys[1:]]
    return losses, (time.perf_counter() - start) / STEPS


# %%
before, slow = train(nnx.ConvTranspose)
after, fast = train(ConvTranspose)

print("                            first loss  last loss  seconds a step")
for name, losses, seconds in (
    ("flax.nnx.ConvTranspose", before, slow),
    ("tconvjax", after, fast),
):
    print(f"{name:26}{losses[0]:12.3f}{losses[-1]:11.3f}{seconds:16.3f}")

# %% [markdown]
# Both runs begin with the same loss. Afterwards training amplifies the
# rounding of float32, so the losses may drift apart a little.

# %%
first, last = (abs(after[i] / before[i] - 1) for i in (0, -1))
print(f"relative difference of the losses: first {first:.0e}, last {last:.0e}")
assert first < 1e-5
assert last < 1e-2
assert after[-1] < after[0]
