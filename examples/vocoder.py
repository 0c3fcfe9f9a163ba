# %% [markdown]
# # A HiFi-GAN generator, from PyTorch to Flax NNX
#
# A vocoder turns a mel spectrogram into sound. This one is the smallest
# of HiFi-GAN (version 3 of arXiv:2010.05646), with weight norm on every
# layer and with the names of the published checkpoints. We make it in
# PyTorch with random weights, save a checkpoint, load that into a Flax
# NNX model and compare the two sounds.
#
# Run it with `python examples/vocoder.py`, or open it as a notebook: VS
# Code and jupytext know this format. It needs PyTorch and Flax
# (`pip install torch flax`).

# %%
import os
import tempfile
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import torch
from flax import nnx

from tconvjax import conventions
from tconvjax.layers.nnx import Conv, ConvTranspose

# With TINY set, the sizes are small, to see quickly that all of it runs.
TINY = "TINY" in os.environ
MELS, FRAMES = (4, 3) if TINY else (80, 86)  # 86 frames are one second
WIDTHS = (
    (16, 8, 4, 2) if TINY else (256, 128, 64, 32)
)  # channels before and after each stage
UPS = ((16, 8), (16, 8), (8, 4))  # kernel and stride of each stage
BLOCKS = (
    (3, (1, 2)),
    (5, (2, 6)),
    (7, (3, 12)),
)  # kernel and dilations in each stage

# %% [markdown]
# ## In PyTorch
#
# Each stage makes the signal longer with a transposed convolution. Then
# it takes the mean of three residual blocks with kernels of different
# lengths.

# %%
leaky, normed = (
    torch.nn.functional.leaky_relu,
    torch.nn.utils.parametrizations.weight_norm,
)


def torch_conv(into: int, out: int, kernel: int, dilation: int = 1) -> Any:
    """A convolution that keeps the length of its input."""
    padding = dilation * (kernel - 1) // 2
    return normed(
        torch.nn.Conv1d(into, out, kernel, padding=padding, dilation=dilation)
    )


def torch_up(into: int, out: int, kernel: int, stride: int) -> Any:
    """A transposed convolution that makes its input `stride` times as long."""
    padding = (kernel - stride) // 2
    return normed(torch.nn.ConvTranspose1d(into, out, kernel, stride, padding))


class TorchBlock(torch.nn.Module):
    """A residual block."""

    def __init__(
        self, width: int, kernel: int, dilations: tuple[int, ...]
    ) -> None:
        super().__init__()
        self.convs = torch.nn.ModuleList(
            torch_conv(width, width, kernel, d) for d in dilations
        )

    def forward(self, x: Any) -> Any:
        for conv in self.convs:
            x = x + conv(leaky(x, 0.1))
        return x


class TorchGenerator(torch.nn.Module):
    """A spectrogram (N, MELS, frames) to a sound (N, 1, 256 * frames)."""

    def __init__(self) -> None:
        super().__init__()
        pairs = zip(WIDTHS, WIDTHS[1:], UPS, strict=False)
        self.conv_pre = torch_conv(MELS, WIDTHS[0], 7)
        self.ups = torch.nn.ModuleList(
            torch_up(into, out, *up) for into, out, up in pairs
        )
        self.resblocks = torch.nn.ModuleList(
            TorchBlock(width, *block)
            for width in WIDTHS[1:]
            for block in BLOCKS
        )
        self.conv_post = torch_conv(WIDTHS[-1], 1, 7)

    def forward(self, mel: Any) -> Any:
        x = self.conv_pre(mel)
        for i, up in enumerate(self.ups):
            x = up(leaky(x, 0.1))
            x = sum(block(x) for block in self.resblocks[3 * i : 3 * i + 3]) / 3
        return torch.tanh(self.conv_post(leaky(x)))


torch.manual_seed(0)
theirs = TorchGenerator().eval()
file = Path(tempfile.mkdtemp()) / "generator.pt"
torch.save(
    {"generator": theirs.state_dict()}, file
)  # as HiFi-GAN's training saves it

# %% [markdown]
# ## In Flax NNX
#
# The port differs in three ways. Channels come last, weight norm is gone
# because loading multiplies it out, and modules get `rngs`. Kernels,
# strides and paddings are the same numbers, and attributes keep their
# names, so that the weights find their places.


# %%
def conv(into: int, out: int, kernel: int, dilation: int, rngs: Any) -> Any:
    """A convolution that keeps the length of its input."""
    padding = dilation * (kernel - 1) // 2
    return Conv(
        into,
        out,
        kernel,
        padding=padding,
        kernel_dilation=dilation,
        rngs=rngs,
    )


def up(into: int, out: int, kernel: int, stride: int, rngs: Any) -> Any:
    """A transposed convolution that makes its input `stride` times as long."""
    return ConvTranspose(
        into, out, kernel, stride, padding=(kernel - stride) // 2, rngs=rngs
    )


class Block(nnx.Module):
    """A residual block."""

    def __init__(
        self, width: int, kernel: int, dilations: tuple[int, ...], rngs: Any
    ) -> None:
        self.convs = nnx.List(
            [conv(width, width, kernel, d, rngs) for d in dilations]
        )

    def __call__(self, x: jax.Array) -> jax.Array:
        for layer in self.convs:
            x = x + layer(nnx.leaky_relu(x, 0.1))
        return x


class Generator(nnx.Module):
    """A spectrogram (N, frames, MELS) to a sound (N, 256 * frames, 1)."""

    def __init__(self, rngs: Any) -> None:
        pairs = zip(WIDTHS, WIDTHS[1:], UPS, strict=False)
        self.conv_pre = conv(MELS, WIDTHS[0], 7, 1, rngs)
        self.ups = nnx.List(
            [up(into, out, *steps, rngs) for into, out, steps in pairs]
        )
        self.resblocks = nnx.List(
            [
                Block(width, *block, rngs)
                for width in WIDTHS[1:]
                for block in BLOCKS
            ]
        )
        self.conv_post = conv(WIDTHS[-1], 1, 7, 1, rngs)

    def __call__(self, mel: jax.Array) -> jax.Array:
        x = self.conv_pre(mel)
        for i, layer in enumerate(self.ups):
            x = layer(nnx.leaky_relu(x, 0.1))
            x = sum(block(x) for block in self.resblocks[3 * i : 3 * i + 3]) / 3
        return jnp.tanh(self.conv_post(nnx.leaky_relu(x)))


# %% [markdown]
# `load_into` reads the file, multiplies the weight norms out, and raises
# an error if any weight is missing, left over or of another shape. The
# model needs no weights of its own before, so we make only its shapes.

# %%
state = conventions.read_state(file)["generator"]
ours = conventions.load_into(
    nnx.eval_shape(lambda: Generator(nnx.Rngs(0))), state
)
count = sum(leaf.size for leaf in jax.tree.leaves(nnx.state(ours)))
print(f"{len(state)} entries of the checkpoint became {count} weights")

# %% [markdown]
# ## The same sound
#
# Both models get the same spectrogram, once with channels first and once
# with channels last. The sounds agree up to the rounding of float32.

# %%
mel = np.random.default_rng(0).normal(size=(1, MELS, FRAMES)).astype(np.float32)
with torch.no_grad():
    expected = theirs(torch.tensor(mel)).numpy()
sound = np.asarray(nnx.jit(ours)(mel.transpose(0, 2, 1))).transpose(0, 2, 1)

size = np.abs(expected).max()
error = np.abs(sound - expected).max()
print(
    f"{sound.shape[-1]} samples up to {size:.2f}; "
    f"the largest difference is {error:.0e}"
)
assert sound.shape == expected.shape == (1, 1, 256 * FRAMES)
assert error < 1e-5 * size
