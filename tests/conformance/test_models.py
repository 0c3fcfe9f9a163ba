"""Whole PyTorch models with random weights, converted, against the same models in JAX's libraries.

A vocoder with weight norms, a GAN's generator with batch norms and a 3-D decoder; they go to this
project's layers for Flax NNX and Equinox, and to Flax's, Equinox's, Keras's and Haiku's own, their
arguments by `translate`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tconvjax import GeometryError
from tconvjax import conventions as conv
from tconvjax.conventions.models import layer_kinds
from tests.conformance.test_peers import peer

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


def back(tree: Any, source: str, model: Any, kinds: Any = None, **kwargs: Any) -> None:
    """Converted back, the weights load into the model that they came from, strictly."""
    state = conv.convert_state_dict(tree, source, "torch", kinds=kinds or model, **kwargs)
    for name, array in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            np.testing.assert_array_equal(state[name], array.numpy(), err_msg=name)
    model.load_state_dict({k: torch.tensor(v) for k, v in state.items()}, strict=True)


# -- a vocoder, 1-D: HiFi-GAN's generator (arXiv:2010.05646), small --------------------------------

UPS = ((4, 8, 12, 8), (8, 16, 8, 4))
"""(stride, kernel, channels in, channels out) of its first stages, fewer channels."""


def parts(one: Callable[..., Any], up: Callable[..., Any], listed: Any = list) -> dict[str, Any]:
    """The layers, in any of the libraries: one(c, m, k, d) convolves, up(s, k, c, m) enlarges."""
    return {
        "pre": one(6, 12, 7, 1),
        "ups": listed([up(*steps) for steps in UPS]),
        "branches": listed([listed([one(m, m, 3, d) for d in (1, 3)]) for _, _, _, m in UPS]),
        "post": one(4, 1, 7, 1),
    }


def vocoder(model: Any, x: Any, leaky: Callable[..., Any], tanh: Callable[..., Any]) -> Any:
    """(N, 6, n) to (N, 1, 32 n)."""
    x = model.pre(x)
    for up, branches in zip(model.ups, model.branches, strict=True):
        x = up(leaky(x, 0.1))
        for branch in branches:
            x = x + branch(leaky(x, 0.1))
    return tanh(model.post(leaky(x, 0.1)))


def in_jax(model: Any, x: Any) -> Any:
    return vocoder(model, x, jax.nn.leaky_relu, jnp.tanh)


def torch_vocoder() -> tuple[Any, Any, Any]:
    """The model, an input and the result."""
    normed = nn.utils.parametrizations.weight_norm
    model, x = nn.Module(), torch.randn(2, 6, 9)
    layers = parts(
        lambda c, m, k, d: normed(nn.Conv1d(c, m, k, dilation=d, padding=d * (k // 2))),
        lambda s, k, c, m: normed(nn.ConvTranspose1d(c, m, k, s, padding=(k - s) // 2)),
        nn.ModuleList,
    )
    for name, layer in layers.items():
        setattr(model, name, layer)
    return model, x, vocoder(model, x, nn.functional.leaky_relu, torch.tanh)


@pytest.mark.parametrize("kind", ["ours", "Flax's", "Flax's, transpose_kernel"])
def test_a_vocoder_in_nnx(kind: str) -> None:
    peer("flax")
    from flax import nnx

    from tconvjax.layers import nnx as layers

    def one(c: int, m: int, k: int, d: int) -> Any:
        module = layers if kind == "ours" else nnx
        return module.Conv(c, m, (k,), kernel_dilation=d, padding=d * (k // 2), rngs=rngs)

    def up(s: int, k: int, c: int, m: int) -> Any:
        if kind == "ours":
            return layers.ConvTranspose(c, m, k, s, padding=(k - s) // 2, rngs=rngs)
        kwargs = {"kernel_size": (k,), "stride": s, "padding": (k - s) // 2}
        said = conv.translate({**kwargs, "in_channels": c, "out_channels": m}, "torch", "flax")
        said["transpose_kernel"] = kind.endswith("transpose_kernel")
        return nnx.ConvTranspose(**said, rngs=rngs)

    rngs, model = nnx.Rngs(0), nnx.Module()
    for name, layer in parts(one, up, nnx.List).items():
        setattr(model, name, layer)
    source, x, expected = torch_vocoder()
    conv.load_into(model, source.state_dict())
    close(expected, first(in_jax(model, last(x))))


@pytest.mark.parametrize("own", [False, True])
def test_a_vocoder_in_equinox(own: bool) -> None:
    eqx = peer("equinox")
    from tconvjax.layers import equinox as layers

    module = eqx.nn if own else layers
    more: dict[str, Any] = {"dtype": jnp.float32, "key": jax.random.key(0)}

    class Vocoder(eqx.Module):  # type: ignore[misc]  # Equinox is not followed
        pre: Any
        ups: list[Any]
        branches: list[list[Any]]
        post: Any

    model = Vocoder(**parts(
        lambda c, m, k, d: module.Conv(1, c, m, k, dilation=d, padding=d * (k // 2), **more),
        lambda s, k, c, m: module.ConvTranspose(1, c, m, k, s, padding=(k - s) // 2, **more),
    ))  # fmt: skip
    source, x, expected = torch_vocoder()
    model = conv.load_into(model, source.state_dict())
    close(expected, jax.vmap(lambda x: in_jax(model, x))(jnp.asarray(x)))
    again = conv.convert_state_dict(model, "equinox", "torch", kinds=model)
    np.testing.assert_allclose(again["ups.0.weight"], source.ups[0].weight, rtol=1e-6)


# -- a GAN's generator, 2-D: DCGAN's (arXiv:1511.06434) with fewer channels ------------------------

STAGES = ((5, 8, 1, 0), (8, 6, 2, 1), (6, 3, 2, 1))
"""(channels in, channels out, stride, padding) of kernels of 4 x 4."""


def test_a_generator_in_keras() -> None:
    keras = peer("keras")
    layers = keras.layers
    ups = [
        layers.Conv2DTranspose(**conv.translate(
            {"kernel_size": (4, 4), "stride": s, "padding": p, "out_channels": m, "bias": False},
            "torch", "keras"), name=str(3 * n))
        for n, (_, m, s, p) in enumerate(STAGES)
    ]  # fmt: skip
    norms = [layers.BatchNormalization(epsilon=1e-5, name=name) for name in ("1", "4")]
    model = keras.Sequential([keras.Input((1, 1, 5)), ups[0], norms[0], layers.ReLU(), ups[1],
                              norms[1], layers.ReLU(), ups[2]])  # fmt: skip
    theirs = [nn.ConvTranspose2d(c, m, 4, s, p, bias=False) for c, m, s, p in STAGES]
    source = nn.Sequential(theirs[0], nn.BatchNorm2d(8), nn.ReLU(), theirs[1], nn.BatchNorm2d(6),
                           nn.ReLU(), theirs[2], nn.Tanh()).eval()  # fmt: skip
    x = torch.randn(2, 5, 1, 1)
    for array in source.state_dict().values():
        if array.ndim == 1:  # a norm's: as if it were trained
            array.uniform_(0.5, 2)
    arrays = conv.convert_state_dict(source.state_dict(), "torch", "keras", kinds=source)
    for variable in model.weights:
        variable.assign(arrays.pop(variable.path.removeprefix(f"{model.name}/")))
    assert arrays == {}
    close(source(x), first(jnp.tanh(model(last(x), training=False))))
    assert layer_kinds(model) == layer_kinds(source)
    back(model, "keras", source)


# -- a decoder, 3-D --------------------------------------------------------------------------------


def test_a_3d_decoder_in_haiku() -> None:
    hk = peer("haiku")

    def up(name: str, kwargs: dict[str, Any], m: int) -> Any:
        said = conv.translate({**kwargs, "stride": 2, "out_channels": m}, "torch", "haiku")
        return hk.ConvNDTranspose(**said, name=name)

    def forward(x: Any) -> Any:
        x = jax.nn.relu(up("up_0", {"kernel_size": (2, 2, 2)}, 4)(x))
        x = jax.nn.relu(up("up_2", {"kernel_size": (4, 4, 4), "padding": 1}, 3)(x))
        return hk.Conv3D(1, 3, name="up_4")(x)

    source = nn.Sequential(
        nn.ConvTranspose3d(6, 4, 2, 2), nn.ReLU(), nn.ConvTranspose3d(4, 3, 4, 2, 1), nn.ReLU(),
        nn.Conv3d(3, 1, 3, padding=1),
    )  # fmt: skip
    x, model = torch.randn(1, 6, 2, 3, 2), hk.without_apply_rng(hk.transform(forward))
    tree = conv.convert_state_dict(
        source.state_dict(), "torch", "haiku", kinds=source, rename=lambda path: f"up_{path}"
    )
    close(source(x), first(model.apply(tree, last(x))))
    kinds = {f"up_{path}": kind for path, kind in layer_kinds(source).items()}
    back(tree, "haiku", source, kinds, rename=lambda path: path.removeprefix("up_"))


def test_half_precision_tensors_come_along() -> None:
    for dtype in (torch.bfloat16, torch.float16):
        state = nn.ConvTranspose1d(2, 3, 4).to(dtype).state_dict()
        tree = conv.convert_state_dict(state, "torch", "flax", kinds={"": "conv_transpose"})
        assert str(tree["kernel"].dtype) == str(dtype).removeprefix("torch.")


def reparametrised() -> dict[str, Any]:
    """Layers whose weights PyTorch computes from other arrays."""
    new, up = nn.utils.parametrizations, nn.ConvTranspose2d
    return {
        "weight_norm": nn.utils.weight_norm(up(6, 4, 4, 2)),
        "weight_norm of all": nn.utils.weight_norm(up(6, 4, 4, 2), dim=None),
        "weight_norm of columns": new.weight_norm(up(6, 4, 4, 2), dim=1),
        "weight_norm of all, new": new.weight_norm(up(6, 4, 4, 2), dim=None),
        "spectral_norm": nn.utils.spectral_norm(up(6, 4, 4, 2)),
        "spectral_norm, new": new.spectral_norm(up(6, 6, 3, 2)),
        "pruned": peer("torch.nn.utils.prune").random_unstructured(up(6, 4, 4, 2), "weight", 0.5),
    }


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_reparametrised_weights_are_those_that_pytorch_multiplies_by() -> None:
    for name, layer in reparametrised().items():
        layer(torch.randn(1, 6, 5, 5))  # a step of the power iteration of a spectral norm
        layer.eval()(torch.randn(1, 6, 5, 5))
        kinds = {"": "conv_transpose"}
        tree = conv.convert_state_dict(layer.state_dict(), "torch", "torch", kinds=kinds)
        assert tree.keys() == {"weight", "bias"}, name
        np.testing.assert_allclose(tree["weight"], layer.weight, rtol=1e-5, atol=1e-6, err_msg=name)
    odd = nn.utils.parametrizations.orthogonal(nn.ConvTranspose2d(4, 4, 2))
    with pytest.raises(GeometryError, match="it is part of a reparametrisation"):
        conv.convert_state_dict(odd.state_dict(), "torch", "flax")
