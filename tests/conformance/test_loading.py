"""A PyTorch generator's weights, loaded into Flax NNX, Flax linen and Equinox: the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tconvjax import GeometryError
from tconvjax import conventions as conv
from tests.conformance.test_peers import peer

torch = peer("torch")
nn = torch.nn

KEY = jax.random.key(0)


@pytest.fixture
def source() -> Any:
    """A generator whose channels tell no layout, after some steps of training."""
    torch.manual_seed(0)
    up, normed = nn.ConvTranspose2d, nn.utils.parametrizations
    model = nn.Sequential(
        normed.weight_norm(up(4, 4, 4, 2, 1)), nn.BatchNorm2d(4), nn.Tanh(),
        normed.spectral_norm(up(4, 4, 3, 2, 1, 1)), nn.Tanh(), nn.Conv2d(4, 4, 3, padding=1),
    )  # fmt: skip
    with torch.no_grad():
        for _ in range(3):
            model(torch.randn(2, 4, 5, 5))
    return model.eval()


def last(x: Any) -> Any:
    return jnp.moveaxis(jnp.asarray(x), 1, -1)


def check(source: Any, run: Callable[[Any], Any], channels_last: bool = True) -> None:
    """The model gives the source's numbers."""
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 6)).astype(np.float32)
    with torch.no_grad():
        expected = source(torch.tensor(x)).numpy()
    found = run(last(x) if channels_last else jnp.asarray(x))
    np.testing.assert_allclose(found, last(expected) if channels_last else expected, atol=1e-5)


def in_nnx(seed: int = 0) -> Any:
    nnx, ours = peer("flax.nnx"), peer("tconvjax.layers.nnx")
    rngs = nnx.Rngs(seed)
    return nnx.Sequential(
        ours.ConvTranspose(4, 4, (4, 4), 2, padding=1, rngs=rngs),
        nnx.BatchNorm(4, use_running_average=True, rngs=rngs), jnp.tanh,
        ours.ConvTranspose(4, 4, (3, 3), 2, padding=1, output_padding=1, rngs=rngs), jnp.tanh,
        ours.Conv(4, 4, (3, 3), padding=1, rngs=rngs), nnx.Dropout(0.0, rngs=rngs),
    )  # fmt: skip


def in_equinox(mode: str) -> tuple[Any, Any]:
    eqx, ours = peer("equinox"), peer("tconvjax.layers.equinox")
    return eqx.nn.make_with_state(eqx.nn.Sequential)([
        ours.ConvTranspose(2, 4, 4, 4, 2, 1, dtype=jnp.float32, key=KEY),
        eqx.nn.BatchNorm(4, "batch", mode=mode, inference=True, dtype=jnp.float32),
        eqx.nn.Lambda(jnp.tanh),
        eqx.nn.ConvTranspose(2, 4, 4, 3, 2, 1, 1, dtype=jnp.float32, key=KEY),
        eqx.nn.Lambda(jnp.tanh),
        eqx.nn.Conv2d(4, 4, 3, padding=1, dtype=jnp.float32, key=KEY),
    ])  # fmt: skip


def test_into_nnx(source: Any) -> None:
    model = in_nnx()
    assert conv.load_into(model, source.state_dict()) is model
    check(source, model)
    check(source, conv.load_into(in_nnx(1), source))  # a model stands for its state


def test_into_a_model_without_arrays(source: Any) -> None:
    nnx = peer("flax.nnx")
    check(source, conv.load_into(nnx.eval_shape(in_nnx), source.state_dict()))


@pytest.mark.parametrize("mode", ["ema", "batch"])
def test_into_equinox(source: Any, mode: str) -> None:
    """With the statistics, which the first batch of training does not replace."""
    eqx = peer("equinox")
    model, state = conv.load_into(in_equinox(mode), source.state_dict())
    check(source, lambda x: jax.vmap(lambda x: model(x, state)[0])(x), channels_last=False)
    norm, x = eqx.nn.inference_mode(model.layers[1], False), jnp.ones((2, 4, 3, 3), jnp.float32)
    train = jax.vmap(norm, axis_name="batch", in_axes=(0, None), out_axes=(0, None))
    _, after = train(x, state)
    z, _ = eqx.nn.inference_mode(norm)(x[0], after)
    mean, variance = source[1].running_mean.numpy(), source[1].running_var.numpy()
    mean, variance = norm.momentum * mean + 1 - norm.momentum, norm.momentum * variance
    expected = (1 - mean) / np.sqrt(variance + norm.eps) * norm.weight + norm.bias
    np.testing.assert_allclose(z[:, 0, 0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layout", ["flax", "flax_transpose_kernel", "ours"])
def test_into_linen(source: Any, layout: str) -> None:
    """By the function that makes the variables, which shows each layer and its kernel's layout."""
    linen, ours = peer("flax.linen"), peer("tconvjax.layers.linen")

    def up(name: str, taps: int, extra: int) -> Any:
        if layout == "ours":
            return ours.ConvTranspose(4, (taps, taps), 2, 1, output_padding=extra, name=name)
        ends = ((taps - 2, taps - 2 + extra),) * 2
        more = {"transpose_kernel": layout != "flax", "name": name, "padding": ends}
        return linen.ConvTranspose(4, (taps, taps), (2, 2), **more)

    class Generator(linen.Module):  # type: ignore[misc]  # Flax is not followed
        @linen.compact  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            x = up("0", 4, 0)(x)
            x = jnp.tanh(linen.BatchNorm(True, epsilon=1e-5, name="1")(x))
            x = jnp.tanh(up("3", 3, 1)(x))
            return linen.Conv(4, (3, 3), name="5")(x)

    net, x = Generator(), jnp.ones((1, 5, 6, 4), jnp.float32)
    variables = conv.load_into(lambda: net.init(KEY, x), source.state_dict())
    check(source, lambda x: net.apply(variables, x))
    with pytest.raises(
        GeometryError, match=r"model=Generator: it must be .* give lambda: net.init"
    ):
        conv.load_into(net, source.state_dict())


@pytest.mark.parametrize("library", ["nnx", "equinox"])
def test_groups_that_a_model_lacks_are_named(library: str) -> None:
    """Of a convolution and of a transposed one; a kernel that is wrong otherwise tells nothing."""
    ours = peer(f"tconvjax.layers.{library}")
    more = {"rngs": peer("flax.nnx").Rngs(0)} if library == "nnx" else {"key": KEY}
    rank = () if library == "nnx" else (1,)
    name = "feature_group_count" if library == "nnx" else "groups"
    layers = (ours.ConvTranspose, nn.ConvTranspose1d), (ours.Conv, nn.Conv1d)
    for layer, theirs in layers:
        model = layer(*rank, 6, 12, (3,), **more)
        _, left = conv.load_into(model, theirs(6, 12, 3, groups=3), strict=False)
        (told,) = left["misshaped"]
        assert told.endswith(f": does its layer lack {name}=3?")
        for wrong in (theirs(6, 12, 1), theirs(4, 12, 3)):
            _, left = conv.load_into(model, wrong, strict=False)
            assert "lack" not in left["misshaped"][0]


def test_a_call_that_makes_no_variables_is_refused(source: Any) -> None:
    with pytest.raises(GeometryError, match="model=int: it must be a Flax NNX"):
        conv.load_into(lambda: 3, source.state_dict())


def test_weights_keep_their_partitions() -> None:
    """Of linen, whose variables are boxed, and of NNX on the devices of the model."""
    linen, nnx = peer("flax.linen"), peer("flax.nnx")
    init = linen.with_partitioning(linen.initializers.zeros, (None, None, "model"))
    net = linen.ConvTranspose(4, (3,), kernel_init=init)
    state = {"weight": np.ones((4, 4, 3)), "bias": np.ones(4)}
    variables = conv.load_into(lambda: net.init(KEY, jnp.ones((1, 5, 4), jnp.float32)), state)
    assert variables["params"]["kernel"].names == (None, None, "model")
    assert variables["params"]["kernel"].value.all()
    layer = nnx.ConvTranspose(4, 4, (3,), rngs=nnx.Rngs(0))
    where = jax.sharding.NamedSharding(jax.make_mesh((2,), ("m",)), jax.P(None, None, "m"))
    layer.kernel = nnx.Param(jax.device_put(layer.kernel[...], where))
    assert conv.load_into(layer, state).kernel[...].sharding == where


# -- a library's own weights in the layers here ----------------------------------------------------


@pytest.mark.parametrize("library", ["flax", "equinox"])
def test_a_librarys_own_weights_never_give_other_numbers_without_a_word(library: str) -> None:
    """Whose kernels they are has to be said, unless the layer is read as the original."""
    if library == "flax":
        nnx, ours = peer("flax.nnx"), peer("tconvjax.layers.nnx")

        def make(module: Any, seed: int, **more: Any) -> Any:
            return module.ConvTranspose(4, 4, (5,), (2,), **more, rngs=nnx.Rngs(seed))

        theirs, x = make(nnx, 0), jax.random.normal(KEY, (1, 6, 4), jnp.float32)
        state = nnx.state(theirs)
    else:
        eqx, ours = peer("equinox"), peer("tconvjax.layers.equinox")

        def make(module: Any, seed: int, **more: Any) -> Any:
            key = jax.random.key(seed)
            return module.ConvTranspose(1, 4, 4, 5, 2, padding="SAME", groups=2, **more, key=key)

        state = theirs = make(eqx.nn, 0)
        x = jax.random.normal(KEY, (4, 6))
    text = f"kinds=None for '': {library}'s own ConvTranspose keeps another kernel than tconvjax"
    with pytest.raises(GeometryError, match=text):
        conv.load_into(make(ours, 1), state, library)
    same: list[Any] = [
        conv.load_into(make(ours, 1), state, library, kinds={"": "conv_transpose"}),
        conv.load_into(make(ours, 1), state, library, kinds=theirs),
        conv.load_into(make(ours, 1, original=True), state, library),
    ]
    if library == "flax":
        same.append(conv.load_into(make(nnx, 1), state, library))
    own = same[0] if library == "equinox" else nnx.state(same[0])
    model = make(ours, 2)
    same.append(conv.load_into(model, own, library, kinds=model))
    for layer in same:
        np.testing.assert_allclose(layer(x), theirs(x), atol=1e-5)


def test_from_flax_to_the_equinox_layer_here_and_back() -> None:
    """Each state is of the library's own layers, whatever the model's layer keeps."""
    nnx, ours = peer("flax.nnx"), peer("tconvjax.layers.equinox")
    flax = nnx.ConvTranspose(4, 4, (5,), (2,), rngs=nnx.Rngs(0))
    x = np.random.default_rng(0).normal(size=(4, 6)).astype(np.float32)
    layer = ours.ConvTranspose(1, 4, 4, 5, 2, "SAME", dtype=jnp.float32, key=KEY)
    layer = conv.load_into(layer, nnx.state(flax), "flax")
    np.testing.assert_allclose(layer(x), flax(x.T).T, atol=1e-5)
    again = nnx.ConvTranspose(4, 4, (5,), (2,), rngs=nnx.Rngs(1))
    conv.load_into(again, layer, "equinox", kinds=layer)
    np.testing.assert_array_equal(again.kernel[...], flax.kernel[...])


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("ending", ["pt", "pth", "bin", "safetensors", "npz"])
def test_a_file_is_its_state(source: Any, ending: str, dtype: Any, tmp_path: Path) -> None:
    state, path = source.to(dtype).state_dict(), tmp_path / f"weights.{ending}"
    if ending == "safetensors":
        peer("safetensors.torch").save_file(state, path)
    elif ending == "npz":
        arrays = conv.convert_state_dict(state, "torch", "torch", kinds=source)
        np.savez(path, **arrays)
    else:
        torch.save(state, path)
    one, other = (conv.load_into(in_nnx(), given) for given in (path, state))
    nnx = peer("flax.nnx")
    for left, right in zip(*(jax.tree.leaves(nnx.state(m)) for m in (one, other)), strict=True):
        if not jnp.issubdtype(left.dtype, jax.dtypes.prng_key):
            np.testing.assert_array_equal(left, right)


def test_a_file_that_runs_code_is_refused(tmp_path: Path) -> None:
    torch.save({"model": nn.Conv1d(1, 1, 1)}, tmp_path / "model.pt")
    text = r"model.pt': PyTorch reads arrays only.*; save model.state_dict\(\) in PyTorch"
    with pytest.raises(GeometryError, match=text):
        conv.read_state(tmp_path / "model.pt")
