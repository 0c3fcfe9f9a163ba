# %% [markdown]
# # A DCGAN in Equinox
#
# A generator makes images from random codes, and a critic learns to tell
# them from real ones (arXiv:1511.06434). The generator is a stack of
# transposed convolutions. We train both networks twice, first with
# `equinox.nn.ConvTranspose2d`, then with the layer of this package. Only
# the import differs: the constructors take the same arguments, and the
# same key gives the same function. So both runs have the same losses, and
# differ in the time that a step takes.
#
# Run it with `python examples/dcgan.py`, or open it as a notebook: VS
# Code and jupytext know this format. It needs Equinox and optax
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
CHANNELS = (8, 4, 1) if TINY else (128, 64, 32, 16, 1)
BATCH, STEPS = (2, 3) if TINY else (16, 15)
SIZE, CODE = 2 * 2 ** len(CHANNELS), 32

# %% [markdown]
# The real images are soft white discs on a black background, with values
# from -1 to 1.


# %%
def discs(key: jax.Array) -> jax.Array:
    """A batch of images, (BATCH, 1, SIZE, SIZE)."""
    across, down, radius = jax.random.uniform(
        key, (3, BATCH, 1, 1, 1), minval=0.3, maxval=0.7
    )
    at = jnp.linspace(0, 1, SIZE)
    distance = jnp.hypot(at - across, at[:, None] - down)
    return jnp.tanh((radius / 2 - distance) * SIZE / 2)


# %% [markdown]
# The first layer of the generator makes 4 x 4 elements of a code, and each
# other one doubles the height and the width. The critic goes the same way
# back.


# %%
def generator(up: Any, key: jax.Array) -> Any:
    """A network from a code (CODE, 1, 1) to an image (1, SIZE, SIZE)."""
    first, *keys = jax.random.split(key, len(CHANNELS))
    layers = [up(CODE, CHANNELS[0], 4, key=first)]
    for (large, small), key in zip(
        itertools.pairwise(CHANNELS), keys, strict=True
    ):
        layers += [
            eqx.nn.GroupNorm(4, large),
            eqx.nn.Lambda(jax.nn.relu),
            up(large, small, 4, stride=2, padding=1, key=key),
        ]
    return eqx.nn.Sequential([*layers, eqx.nn.Lambda(jnp.tanh)])


def critic(key: jax.Array) -> Any:
    """A network from an image to a logit (1, 1, 1), high for real images."""
    first, *keys = jax.random.split(key, len(CHANNELS))
    layers: list[Any] = []
    for (large, small), key in zip(
        itertools.pairwise(CHANNELS), keys, strict=True
    ):
        layers = [
            eqx.nn.Conv2d(small, large, 4, stride=2, padding=1, key=key),
            eqx.nn.Lambda(jax.nn.leaky_relu),
            *layers,
        ]
    return eqx.nn.Sequential(
        [*layers, eqx.nn.Conv2d(CHANNELS[0], 1, 4, key=first)]
    )


# %% [markdown]
# In each step the critic learns first, and then the generator. The first
# step compiles, so its time is left out.

# %%
optimizer = optax.adam(2e-4, b1=0.5)


def updated(loss: Any, model: Any, state: Any) -> tuple[Any, Any, jax.Array]:
    """The model and the optimizer's state after a step, and the loss before."""
    value, slope = eqx.filter_value_and_grad(loss)(model)
    updates, state = optimizer.update(slope, state)
    return eqx.apply_updates(model, updates), state, value


@eqx.filter_jit
def step(make: Any, judge: Any, states: Any, key: jax.Array) -> Any:
    """Both networks and their states after a step, and both losses."""
    codes, images = jax.random.split(key)
    code = jax.random.normal(codes, (BATCH, CODE, 1, 1))
    real = discs(images)
    made = jax.vmap(make)(code)

    def critic_loss(judge: Any) -> jax.Array:
        good, bad = jax.vmap(judge)(real), jax.vmap(judge)(made)
        return (jax.nn.softplus(-good) + jax.nn.softplus(bad)).mean()

    def generator_loss(make: Any) -> jax.Array:
        return jax.nn.softplus(-jax.vmap(judge)(jax.vmap(make)(code))).mean()

    judge, second, of_critic = updated(critic_loss, judge, states[1])
    make, first, of_generator = updated(generator_loss, make, states[0])
    return make, judge, (first, second), (of_generator, of_critic)


def train(up: Any) -> tuple[Any, float]:
    """The two losses of each step, and the seconds that a step takes."""
    make, judge = generator(up, jax.random.key(0)), critic(jax.random.key(1))
    states = tuple(
        optimizer.init(eqx.filter(model, eqx.is_array))
        for model in (make, judge)
    )
    losses, start = [], 0.0
    for key in jax.random.split(jax.random.key(2), STEPS + 1):
        make, judge, states, loss = step(make, judge, states, key)
        losses.append([float(one) for one in loss])
        start = start or time.perf_counter()
    return losses, (time.perf_counter() - start) / STEPS


# %%
before, slow = train(eqx.nn.ConvTranspose2d)
after, fast = train(ConvTranspose2d)

print("                      last loss of: generator  critic  seconds a step")
for name, losses, seconds in (
    ("equinox.nn.ConvTranspose2d", before, slow),
    ("tconvjax", after, fast),
):
    of_generator, of_critic = losses[-1]
    print(f"{name:28}{of_generator:17.3f}{of_critic:8.3f}{seconds:16.3f}")

# %% [markdown]
# Both runs begin with the same losses. Afterwards training amplifies the
# rounding of float32, so the losses may drift apart a little.

# %%
first, last = (
    max(abs(a / b - 1) for a, b in zip(after[i], before[i], strict=True))
    for i in (0, -1)
)
print(f"relative difference of the losses: first {first:.0e}, last {last:.0e}")
assert first < 1e-5
assert last < 1e-2
