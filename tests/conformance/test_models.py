"""Whole PyTorch models with random weights, converted, against the same models in JAX's libraries.

A vocoder with weight norms, a GAN's generator with batch norms, a U-Net with groups and a 3-D
decoder; each goes to Flax NNX with this project's layers, and one each to Flax's, Equinox's,
Keras's and Haiku's own, their arguments by `translate`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tconvjax import conventions as conv
from tests.conformance.test_peers import peer

os.environ.setdefault("KERAS_BACKEND", "jax")
torch = peer("torch")
nn = torch.nn


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    torch.manual_seed(0)
    with torch.no_grad():
        yield


def close(theirs: Any, ours: Any) -> None:
    """To 1e-5 in float32, relative to the largest value."""
    theirs, ours = np.asarray(theirs), np.asarray(ours)
    assert theirs.shape == ours.shape
    assert np.abs(theirs - ours).max() <= 1e-5 * max(np.abs(theirs).max(), 1)


def last(x: Any) -> Any:
    """Channels last, as JAX's array."""
    return jnp.asarray(np.moveaxis(x.numpy(), 1, -1))


def first(x: Any) -> Any:
    return np.moveaxis(np.asarray(x), -1, 1)


def back(tree: Any, source: str, model: Any, kinds: Any = None) -> None:
    """Converted back, the weights load into the model that they came from, strictly."""
    state = conv.convert_state_dict(tree, source, "torch", kinds=kinds or model)
    if not any("parametrizations" in name for name in model.state_dict()):
        for name, array in model.state_dict().items():
            if not name.endswith("num_batches_tracked"):
                np.testing.assert_array_equal(state[name], array.numpy(), err_msg=name)
        model.load_state_dict({k: torch.tensor(v) for k, v in state.items()}, strict=True)


# -- a vocoder, 1-D --------------------------------------------------------------------------------

UPS = ((4, 8, 12, 8), (8, 16, 8, 4))
"""(stride, kernel, channels in, channels out) of HiFi-GAN's first stages, fewer channels."""


class TorchVocoder(nn.Module):  # type: ignore[misc]  # PyTorch is not followed
    """HiFi-GAN's generator (arXiv:2010.05646), small."""

    def __init__(self) -> None:
        super().__init__()
        normed = nn.utils.parametrizations.weight_norm
        self.pre = normed(nn.Conv1d(6, 12, 7, padding=3))
        self.ups = nn.ModuleList(
            normed(nn.ConvTranspose1d(c, m, k, s, padding=(k - s) // 2)) for s, k, c, m in UPS
        )
        self.branches = nn.ModuleList(
            nn.ModuleList(normed(nn.Conv1d(m, m, 3, dilation=d, padding=d)) for d in (1, 3))
            for _, _, _, m in UPS
        )
        self.post = normed(nn.Conv1d(4, 1, 7, padding=3))

    def forward(self, x: Any) -> Any:
        """(N, 6, n) to (N, 1, 32 n)."""
        return vocoder(self, x, nn.functional.leaky_relu, torch.tanh)


def vocoder(model: Any, x: Any, leaky: Callable[..., Any], tanh: Callable[..., Any]) -> Any:
    """How an array passes, in any of the libraries."""
    x = model.pre(x)
    for up, branches in zip(model.ups, model.branches, strict=True):
        x = up(leaky(x, 0.1))
        for branch in branches:
            x = x + branch(leaky(x, 0.1))
    return tanh(model.post(leaky(x, 0.1)))


def test_a_vocoder_in_nnx() -> None:
    peer("flax")
    from flax import nnx

    from tconvjax.layers.nnx import Conv, ConvTranspose

    class Vocoder(nnx.Module):  # type: ignore[misc]  # Flax is not followed
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.pre = Conv(6, 12, 7, padding=3, rngs=rngs)
            self.ups = nnx.List(
                ConvTranspose(c, m, k, s, padding=(k - s) // 2, rngs=rngs) for s, k, c, m in UPS
            )
            self.branches = nnx.List(
                nnx.List(Conv(m, m, 3, kernel_dilation=d, padding=d, rngs=rngs) for d in (1, 3))
                for _, _, _, m in UPS
            )
            self.post = Conv(4, 1, 7, padding=3, rngs=rngs)

    source, model, x = TorchVocoder(), Vocoder(nnx.Rngs(0)), torch.randn(2, 6, 9)
    tree = conv.convert_state_dict(source.state_dict(), "torch", "flax", kinds=model)
    nnx.update(model, tree)
    close(source(x), first(vocoder(model, last(x), jax.nn.leaky_relu, jnp.tanh)))


@pytest.mark.parametrize("transpose_kernel", [False, True])
def test_a_vocoder_in_flax_own_layers(transpose_kernel: bool) -> None:
    peer("flax")
    from flax import nnx

    def up(s: int, k: int, c: int, m: int, rngs: Any) -> Any:
        given = {"kernel_size": (k,), "stride": s, "padding": (k - s) // 2}
        said = conv.translate({**given, "in_channels": c, "out_channels": m}, "torch", "flax")
        return nnx.ConvTranspose(**{**said, "transpose_kernel": transpose_kernel}, rngs=rngs)

    class Vocoder(nnx.Module):  # type: ignore[misc]  # Flax is not followed
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.pre = nnx.Conv(6, 12, (7,), padding=3, rngs=rngs)
            self.ups = nnx.List(up(*steps, rngs) for steps in UPS)
            self.branches = nnx.List(
                nnx.List(
                    nnx.Conv(m, m, (3,), kernel_dilation=d, padding=d, rngs=rngs) for d in (1, 3)
                )
                for _, _, _, m in UPS
            )
            self.post = nnx.Conv(4, 1, (7,), padding=3, rngs=rngs)

    source, model, x = TorchVocoder(), Vocoder(nnx.Rngs(0)), torch.randn(2, 6, 9)
    tree = conv.convert_state_dict(source.state_dict(), "torch", "flax", kinds=model)
    nnx.update(model, tree)
    close(source(x), first(vocoder(model, last(x), jax.nn.leaky_relu, jnp.tanh)))


@pytest.mark.parametrize("own", [False, True])
def test_a_vocoder_in_equinox(own: bool) -> None:
    eqx = peer("equinox")
    from tconvjax.layers.equinox import Conv, ConvTranspose

    one, other = (eqx.nn.Conv, eqx.nn.ConvTranspose) if own else (Conv, ConvTranspose)
    key = jax.random.key(0)

    class Vocoder(eqx.Module):  # type: ignore[misc]  # Equinox is not followed
        pre: Any
        ups: list[Any]
        branches: list[list[Any]]
        post: Any

        def __init__(self) -> None:
            self.pre = one(1, 6, 12, 7, padding=3, dtype=jnp.float32, key=key)
            self.ups = [
                other(1, c, m, k, s, padding=(k - s) // 2, dtype=jnp.float32, key=key)
                for s, k, c, m in UPS
            ]
            self.branches = [
                [one(1, m, m, 3, dilation=d, padding=d, dtype=jnp.float32, key=key) for d in (1, 3)]
                for _, _, _, m in UPS
            ]
            self.post = one(1, 4, 1, 7, padding=3, dtype=jnp.float32, key=key)

    source, model, x = TorchVocoder(), Vocoder(), torch.randn(2, 6, 9)
    arrays = conv.convert_state_dict(source.state_dict(), "torch", "equinox", kinds=model)
    model = conv.replace_leaves(model, arrays)
    ours = jax.vmap(lambda x: vocoder(model, x, jax.nn.leaky_relu, jnp.tanh))(jnp.asarray(x))
    close(source(x), ours)
    again = conv.convert_state_dict(model, "equinox", "torch", kinds=model)
    np.testing.assert_allclose(again["ups.0.weight"], source.ups[0].weight, rtol=1e-6)


# -- a GAN's generator, 2-D ------------------------------------------------------------------------


def torch_dcgan() -> Any:
    """DCGAN's generator (arXiv:1511.06434) with fewer channels, its statistics as if trained."""
    model = nn.Sequential(
        nn.ConvTranspose2d(5, 8, 4, 1, 0, bias=False), nn.BatchNorm2d(8), nn.ReLU(),
        nn.ConvTranspose2d(8, 6, 4, 2, 1, bias=False), nn.BatchNorm2d(6), nn.ReLU(),
        nn.ConvTranspose2d(6, 3, 4, 2, 1, bias=False), nn.Tanh(),
    )  # fmt: skip
    for part in model:
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    return model.eval()


def test_a_generator_in_nnx() -> None:
    peer("flax")
    from flax import nnx

    from tconvjax.layers.nnx import ConvTranspose

    def up(c: int, m: int, s: int, p: int) -> Any:
        return ConvTranspose(c, m, (4, 4), s, padding=p, use_bias=False, rngs=rngs)

    rngs = nnx.Rngs(0)
    norms = [nnx.BatchNorm(n, use_running_average=True, epsilon=1e-5, rngs=rngs) for n in (8, 6)]
    model = nnx.Sequential(
        up(5, 8, 1, 0), norms[0], nnx.relu, up(8, 6, 2, 1), norms[1], nnx.relu, up(6, 3, 2, 1),
        jnp.tanh,
    )  # fmt: skip
    source, x = torch_dcgan(), torch.randn(2, 5, 1, 1)
    tree = conv.convert_state_dict(source.state_dict(), "torch", "flax", kinds=model.layers)
    nnx.update(model.layers, tree)
    close(source(x), first(model(last(x))))
    back(tree, "flax", source, model.layers)


def test_a_generator_in_keras() -> None:
    keras = peer("keras")
    layers = keras.layers

    def up(name: str, given: dict[str, Any], m: int) -> Any:
        said = conv.translate({**given, "out_channels": m, "bias": False}, "torch", "keras")
        return layers.Conv2DTranspose(**said, name=name)

    steps = {"kernel_size": (4, 4), "stride": 2, "padding": 1}
    model = keras.Sequential([
        keras.Input((1, 1, 5)), up("0", {"kernel_size": (4, 4)}, 8),
        layers.BatchNormalization(epsilon=1e-5, name="1"), layers.ReLU(), up("3", steps, 6),
        layers.BatchNormalization(epsilon=1e-5, name="4"), layers.ReLU(), up("6", steps, 3),
    ])  # fmt: skip
    source, x = torch_dcgan(), torch.randn(2, 5, 1, 1)
    arrays = conv.convert_state_dict(source.state_dict(), "torch", "keras", kinds=source)
    for variable in model.weights:
        variable.assign(arrays.pop(variable.path.removeprefix(f"{model.name}/")))
    assert arrays == {}
    close(source(x), first(jnp.tanh(model(last(x), training=False))))
    assert conv.layer_kinds(model) == conv.layer_kinds(source)
    back(model, "keras", source)


# -- a U-Net, 2-D, and a decoder, 3-D --------------------------------------------------------------


class TorchUNet(nn.Module):  # type: ignore[misc]  # PyTorch is not followed
    """One level of a U-Net (arXiv:1505.04597), its up-convolution in groups."""

    def __init__(self) -> None:
        super().__init__()
        self.down1 = nn.Conv2d(3, 4, 3, padding=1)
        self.down2 = nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(8, 4, 3, 2, 1, 1, groups=2)
        self.norm = nn.GroupNorm(2, 8)
        self.out = nn.Conv2d(8, 2, 1)

    def forward(self, x: Any) -> Any:
        """(N, 3, *size) to (N, 2, *size)."""
        skip = torch.relu(self.down1(x))
        raised = self.up(torch.relu(self.down2(skip)))
        return self.out(self.norm(torch.cat([raised, skip], 1)))


def test_a_unet_in_nnx() -> None:
    peer("flax")
    from flax import nnx

    from tconvjax.layers.nnx import Conv, ConvTranspose

    class UNet(nnx.Module):  # type: ignore[misc]  # Flax is not followed
        def __init__(self, rngs: nnx.Rngs) -> None:
            self.down1 = Conv(3, 4, (3, 3), padding=1, rngs=rngs)
            self.down2 = Conv(4, 8, (3, 3), 2, padding=1, rngs=rngs)
            self.up = ConvTranspose(8, 4, (3, 3), 2, padding=1, output_padding=1,
                                    feature_group_count=2, rngs=rngs)  # fmt: skip
            self.norm = nnx.GroupNorm(8, 2, epsilon=1e-5, rngs=rngs)
            self.out = Conv(8, 2, (1, 1), rngs=rngs)

        def __call__(self, x: Any) -> Any:
            skip = jax.nn.relu(self.down1(x))
            raised = self.up(jax.nn.relu(self.down2(skip)))
            return self.out(self.norm(jnp.concatenate([raised, skip], -1)))

    source, model, x = TorchUNet(), UNet(nnx.Rngs(0)), torch.randn(2, 3, 8, 10)
    tree = conv.convert_state_dict(source.state_dict(), "torch", "flax", kinds=model)
    nnx.update(model, tree)
    close(source(x), first(model(last(x))))
    back(tree, "flax", source, model)


def torch_decoder() -> Any:
    return nn.Sequential(
        nn.ConvTranspose3d(6, 4, 2, 2), nn.ReLU(), nn.ConvTranspose3d(4, 3, 4, 2, 1), nn.ReLU(),
        nn.Conv3d(3, 1, 3, padding=1),
    )  # fmt: skip


def test_a_3d_decoder_in_nnx() -> None:
    peer("flax")
    from flax import nnx

    from tconvjax.layers.nnx import Conv, ConvTranspose

    rngs, k = nnx.Rngs(0), (3, 3, 3)
    model = nnx.Sequential(
        ConvTranspose(6, 4, (2, 2, 2), 2, padding=0, rngs=rngs), nnx.relu,
        ConvTranspose(4, 3, (4, 4, 4), 2, padding=1, rngs=rngs), nnx.relu,
        Conv(3, 1, k, padding=1, rngs=rngs),
    )  # fmt: skip
    source, x = torch_decoder(), torch.randn(1, 6, 2, 3, 2)
    tree = conv.convert_state_dict(source.state_dict(), "torch", "flax", kinds=model.layers)
    nnx.update(model.layers, tree)
    close(source(x), first(model(last(x))))
    back(tree, "flax", source, model.layers)


def test_a_3d_decoder_in_haiku() -> None:
    hk = peer("haiku")

    def up(name: str, given: dict[str, Any], m: int) -> Any:
        return hk.ConvNDTranspose(
            **conv.translate({**given, "out_channels": m}, "torch", "haiku"), name=name
        )

    def forward(x: Any) -> Any:
        x = jax.nn.relu(up("up_0", {"kernel_size": (2, 2, 2), "stride": 2}, 4)(x))
        x = jax.nn.relu(up("up_2", {"kernel_size": (4, 4, 4), "stride": 2, "padding": 1}, 3)(x))
        return hk.Conv3D(1, 3, name="up_4")(x)

    source, x = torch_decoder(), torch.randn(1, 6, 2, 3, 2)
    tree = conv.convert_state_dict(
        source.state_dict(), "torch", "haiku", kinds=source, rename=lambda path: f"up_{path}"
    )
    ours = hk.without_apply_rng(hk.transform(forward)).apply(tree, last(x))
    close(source(x), first(ours))
    kinds = {f"up_{path}": kind for path, kind in conv.layer_kinds(source).items()}
    again = conv.convert_state_dict(tree, "haiku", "torch", kinds=kinds,
                                    rename=lambda path: path.removeprefix("up_"))  # fmt: skip
    source.load_state_dict({k: torch.tensor(v) for k, v in again.items()}, strict=True)


def test_half_precision_tensors_come_along() -> None:
    for dtype in (torch.bfloat16, torch.float16):
        state = nn.ConvTranspose1d(2, 3, 4).to(dtype).state_dict()
        tree = conv.convert_state_dict(state, "torch", "flax", kinds={"": "conv_transpose"})
        assert str(tree["kernel"].dtype) == str(dtype).removeprefix("torch.")
