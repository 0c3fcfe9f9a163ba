# %% [markdown]
# # A U-Net in Equinox
#
# A U-Net marks the disc in each of a set of noisy images. We train it
# twice, first with `equinox.nn.ConvTranspose2d` on its way up, then with
# the layer of this package. Only the import differs: the constructors
# take the same arguments, and the same key gives the same function. So
# both runs have the same losses, and differ in the time that a step takes.
#
# Run it with `python examples/unet.py`, or open it as a notebook: VS Code
# and jupytext know this format. It needs Equinox and optax
# (`pip install equinox optax`).

# %%
import itertools
import os
import time
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

# Was: from equinox.nn import ConvTranspose2d
from tconvjax.layers.equinox import ConvTranspose2d

# With TINY set, the sizes are small, to see quickly that all of it runs.
TINY = "TINY" in os.environ
SIZE, BATCH, STEPS = (16, 2, 3) if TINY else (64, 8, 25)
CHANNELS = (4, 8) if TINY else (16, 32, 64)

# %% [markdown]
# An image is a disc in noise, and its mask says which pixels belong to
# the disc.


# %%
def examples(key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """A batch of images and their masks, each (BATCH, 1, SIZE, SIZE)."""
    place, noise = jax.random.split(key)
    across, down, radius = jax.random.uniform(
        place, (3, BATCH, 1, 1), minval=0.3, maxval=0.7
    )
    at = jnp.linspace(0, 1, SIZE)
    mask = (jnp.hypot(at - across, at[:, None] - down) < radius / 2)[:, None]
    return mask + jax.random.normal(noise, mask.shape), mask.astype(jnp.float32)


# %% [markdown]
# On the way down each step halves the size and widens the channels. On
# the way up a transposed convolution doubles the size, and the result is
# joined with what the way down had at that size.


# %%
class UNet(eqx.Module):
    """(1, SIZE, SIZE) to logits of the same shape."""

    first: Any
    down: list[Any]
    up: list[Any]
    join: list[Any]
    last: Any

    def __init__(self, up: Any, key: jax.Array) -> None:
        keys = iter(jax.random.split(key, 3 * len(CHANNELS)))
        pairs = list(itertools.pairwise(CHANNELS))
        self.first = eqx.nn.Conv2d(1, CHANNELS[0], 3, padding=1, key=next(keys))
        self.down = [
            eqx.nn.Conv2d(small, large, 4, stride=2, padding=1, key=next(keys))
            for small, large in pairs
        ]
        self.up = [
            up(large, small, 4, stride=2, padding=1, key=next(keys))
            for small, large in reversed(pairs)
        ]
        self.join = [
            eqx.nn.Conv2d(2 * small, small, 3, padding=1, key=next(keys))
            for small, _ in reversed(pairs)
        ]
        self.last = eqx.nn.Conv2d(CHANNELS[0], 1, 1, key=next(keys))

    def __call__(self, x: jax.Array) -> jax.Array:
        x = jax.nn.relu(self.first(x))
        kept = []
        for down in self.down:
            kept.append(x)
            x = jax.nn.relu(down(x))
        for up, join in zip(self.up, self.join, strict=True):
            x = jax.nn.relu(join(jnp.concatenate([up(x), kept.pop()])))
        return self.last(x)


# %% [markdown]
# The first step compiles, so its time is left out.

# %%
optimizer = optax.adam(3e-3)


def loss_of(model: UNet, image: jax.Array, mask: jax.Array) -> jax.Array:
    """The cross entropy of the mask, on average over the pixels."""
    logits = jax.vmap(model)(image)
    return optax.sigmoid_binary_cross_entropy(logits, mask).mean()


@eqx.filter_jit
def step(
    model: UNet, state: Any, key: jax.Array
) -> tuple[UNet, Any, jax.Array]:
    """One step of training on new images."""
    loss, slope = eqx.filter_value_and_grad(loss_of)(model, *examples(key))
    updates, state = optimizer.update(slope, state)
    return eqx.apply_updates(model, updates), state, loss


def train(up: Any) -> tuple[UNet, list[float], float]:
    """The trained model, its loss at each step, and the seconds for a step."""
    model = UNet(up, jax.random.key(0))
    state = optimizer.init(eqx.filter(model, eqx.is_array))
    first, *others = jax.random.split(jax.random.key(0), STEPS + 1)
    model, state, loss = step(model, state, first)
    losses = [float(loss)]
    start = time.perf_counter()
    for key in others:
        model, state, loss = step(model, state, key)
        losses.append(float(loss))
    return model, losses, (time.perf_counter() - start) / STEPS


# %%
_, before, slow = train(eqx.nn.ConvTranspose2d)
model, after, fast = train(ConvTranspose2d)

print("                            first loss  last loss  seconds a step")
for name, losses, seconds in (
    ("equinox.nn.ConvTranspose2d", before, slow),
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

# %% [markdown]
# How many pixels of new images does the trained model mark correctly?

# %%
image, mask = examples(jax.random.key(1))
right = float(((jax.vmap(model)(image) > 0) == mask).mean())
print(f"{right:.1%} of the pixels are marked correctly")
assert TINY or right > 0.9
