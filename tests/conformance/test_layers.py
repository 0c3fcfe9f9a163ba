"""The layers for Flax NNX and Equinox: the originals' arguments and keys; exact transposes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tconvjax import GeometryError, assert_adjoint
from tests.conformance.test_peers import flax_arguments, flax_is_wrong, peer
from tests.oracles import agree
from tests.strategies import Transposed, ends, numbers, transposed
from tests.test_bad_input import FOUR_PARTS, HOSTILE

# -- Flax NNX --------------------------------------------------------------------------------------


def on_flax(there: Transposed, data: st.DataObject) -> dict[str, Any]:
    padding = st.sampled_from(["SAME", "VALID", "CIRCULAR", "REFLECT"]) | ends(0, 3, there.rank)
    return {
        "strides": data.draw(st.none() | numbers(1, 3, there.rank), "strides"),
        "padding": data.draw(padding, "padding"),
        "kernel_dilation": there.dilation,
        "feature_group_count": there.groups,
        "use_bias": data.draw(st.booleans(), "use_bias"),
        "param_dtype": jnp.float64,
    }


@given(st.data(), transposed(groups=True))
def test_an_nnx_convolution_is_flax_own(data: st.DataObject, there: Transposed) -> None:
    peer("flax")
    from flax import nnx

    from tconvjax.layers.nnx import Conv

    given = on_flax(there, data)
    rng = np.random.default_rng(0)
    room = [d * (k - 1) + 1 + n for d, k, n in
            zip(there.dilation, there.kernel_size, there.size, strict=True)]  # fmt: skip
    x = jnp.asarray(rng.normal(size=(there.batch, *room, there.c)))
    layers = [
        kind(there.c, there.m, there.kernel_size, **given, rngs=nnx.Rngs(3))
        for kind in (nnx.Conv, Conv)
    ]
    np.testing.assert_array_equal(layers[1].kernel[...], layers[0].kernel[...])
    np.testing.assert_allclose(layers[1](x), layers[0](x), atol=1e-12)


@given(st.data(), transposed())
def test_an_original_nnx_layer_is_flax_own(data: st.DataObject, there: Transposed) -> None:
    peer("flax")
    from flax import nnx

    from tconvjax.layers.nnx import ConvTranspose

    given = flax_arguments(data, there)
    if flax_is_wrong(there, given) or given["padding"] in ("CAUSAL", "SAME_LOWER"):
        return
    if isinstance(given["strides"], int) or given["strides"] is None:
        given["strides"] = (given["strides"] or 1,) * there.rank  # for Flax's CIRCULAR
    y = jnp.asarray(there.arrays(_layout(given))[0])
    layers = [
        kind(there.c, there.m, there.kernel_size, **given, param_dtype=jnp.float64,
             rngs=nnx.Rngs(3), **more)
        for kind, more in ((nnx.ConvTranspose, {}), (ConvTranspose, {"original": True}))
    ]  # fmt: skip
    agree(lambda: layers[0](y), lambda: layers[1](y), atol=1e-12)


def _layout(given: dict[str, Any]) -> Any:
    from tconvjax.conventions import KERNELS

    return KERNELS["flax_transpose_kernel" if given["transpose_kernel"] else "flax"]


@given(st.data(), transposed(groups=True))
def test_an_nnx_layer_transposes_the_convolution_of_the_same_arguments(
    data: st.DataObject, there: Transposed
) -> None:
    peer("flax")
    from flax import nnx

    from tconvjax.layers.nnx import Conv, ConvTranspose

    given = {**on_flax(there, data), "use_bias": False}
    y = jnp.asarray(np.random.default_rng(0).normal(size=(there.batch, *there.size, there.c)))
    up = ConvTranspose(there.c, there.m, there.kernel_size, **given, rngs=nnx.Rngs(0))
    try:
        z = up(y)
    except GeometryError:
        return
    if z.size == 0:
        return
    down = Conv(there.m, there.c, there.kernel_size, **given, rngs=nnx.Rngs(1))
    down.kernel[...] = up.kernel[...]
    x = jnp.asarray(np.random.default_rng(1).normal(size=z.shape))
    assert down(x).shape == y.shape
    assert_adjoint(down, up, x, y)


def test_an_nnx_layer_starts_as_flax_own_with_the_right_fans() -> None:
    """The kernel is drawn in the shape whose fans initialisers read, then turned."""
    peer("flax")
    from flax import nnx

    from tconvjax.layers.nnx import ConvTranspose

    y = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 5, 3)), jnp.float32)
    arguments = (3, 7, (4, 3), (2, 2))
    flax, ours = (kind(*arguments, rngs=nnx.Rngs(5)) for kind in (nnx.ConvTranspose, ConvTranspose))
    assert ours.kernel.shape == (4, 3, 7, 3)
    np.testing.assert_allclose(ours(y), flax(y), atol=1e-5)
    assert ours(y, output_size=(11, 9)).shape == (2, 11, 9, 7)
    grouped = ConvTranspose(64, 256, (3,), feature_group_count=4, rngs=nnx.Rngs(5))
    assert grouped.kernel.shape == (3, 64, 64)
    assert abs(float(grouped.kernel.std()) * np.sqrt(3 * 64 / 4) - 1) < 0.05  # fan-in of a group


def test_an_nnx_layer_keeps_what_flax_users_rely_on() -> None:
    peer("flax")
    from flax import nnx

    from tconvjax.layers.nnx import ConvTranspose

    layer = ConvTranspose(
        2, 3, 3, 2, dtype=jnp.bfloat16, precision="highest", mask=jnp.zeros((3, 3, 2), jnp.float32),
        kernel_metadata={"role": "upsampling"}, rngs=nnx.Rngs(0),
    )  # fmt: skip
    assert layer.kernel.get_metadata()["role"] == "upsampling"
    result = nnx.jit(lambda layer, y: layer(y))(layer, jnp.ones((2, 1, 4, 2)))
    assert result.dtype == jnp.bfloat16
    assert result.shape == (2, 1, 8, 3)
    assert not result.any()  # the mask hides all of the kernel, and a bias starts at 0
    grads = nnx.grad(lambda layer: layer(jnp.ones((1, 4, 2))).astype(jnp.float32).sum())(layer)
    assert grads["kernel"][...].shape == layer.kernel.shape
    with pytest.raises(GeometryError, match="original=False: transpose_kernel is Flax's"):
        ConvTranspose(2, 3, 3, transpose_kernel=True, rngs=nnx.Rngs(0))
    with pytest.raises(GeometryError, match="original=True"):
        ConvTranspose(2, 4, 3, feature_group_count=2, original=True, rngs=nnx.Rngs(0))


# -- Equinox ---------------------------------------------------------------------------------------


def on_equinox(there: Transposed, data: st.DataObject) -> dict[str, Any]:
    names = st.sampled_from(["SAME", "same_lower", "VALID"])
    return {
        "stride": data.draw(numbers(1, 3, there.rank), "stride"),
        "padding": data.draw(names | numbers(0, 2, there.rank) | ends(0, 2, there.rank), "padding"),
        "dilation": there.dilation,
        "groups": there.groups,
        "use_bias": data.draw(st.booleans(), "use_bias"),
        "dtype": jnp.float64,
        "key": jax.random.key(3),
    }


@given(st.data(), transposed(groups=True))
def test_an_equinox_convolution_is_its_own(data: st.DataObject, there: Transposed) -> None:
    equinox = peer("equinox")
    from tconvjax.layers.equinox import Conv

    given = on_equinox(there, data)
    given["padding_mode"] = data.draw(st.sampled_from(["ZEROS", "circular", "REPLICATE"]), "mode")
    room = [d * (k - 1) + 1 + n for d, k, n in
            zip(there.dilation, there.kernel_size, there.size, strict=True)]  # fmt: skip
    x = jnp.asarray(np.random.default_rng(0).normal(size=(there.c, *room)))
    theirs, ours = (
        kind(there.rank, there.c, there.m, there.kernel_size, **given)
        for kind in (equinox.nn.Conv, Conv)
    )
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-12)


@given(st.data(), transposed(groups=True), st.booleans())
def test_an_equinox_layer_with_the_same_key_is_the_same_function(
    data: st.DataObject, there: Transposed, original: bool
) -> None:
    equinox = peer("equinox")
    from tconvjax.layers.equinox import ConvTranspose

    given = on_equinox(there, data)
    y = jnp.asarray(np.random.default_rng(0).normal(size=(there.c, *there.size)))
    theirs = equinox.nn.ConvTranspose(there.rank, there.c, there.m, there.kernel_size, **given)
    ours = ConvTranspose(
        there.rank, there.c, there.m, there.kernel_size, **given, original=original
    )
    if original:
        np.testing.assert_array_equal(ours.weight, theirs.weight)
    agree(lambda: theirs(y), lambda: ours(y), atol=1e-12)


@given(st.data(), transposed(groups=True))
def test_an_equinox_layer_transposes_the_convolution_of_the_same_arguments(
    data: st.DataObject, there: Transposed
) -> None:
    equinox = peer("equinox")
    from tconvjax.layers.equinox import Conv, ConvTranspose

    given = {**on_equinox(there, data), "use_bias": False}
    given["padding_mode"] = data.draw(st.sampled_from(["ZEROS", "CIRCULAR", "REFLECT"]), "mode")
    y = jnp.asarray(np.random.default_rng(0).normal(size=(there.c, *there.size)))
    up = ConvTranspose(there.rank, there.c, there.m, there.kernel_size, **given)
    try:
        z = up(y)
    except GeometryError:
        return
    if z.size == 0:
        return
    down = Conv(there.rank, there.m, there.c, there.kernel_size, **given)
    down = equinox.tree_at(lambda layer: layer.weight, down, up.weight)
    x = jnp.asarray(np.random.default_rng(1).normal(size=z.shape))
    assert_adjoint(down, up, x, y)


def test_an_equinox_layer_has_what_the_original_lacks() -> None:
    equinox = peer("equinox")
    from tconvjax.layers.equinox import ConvTranspose

    key = jax.random.key(0)
    layer = ConvTranspose(1, 2, 3, 4, stride=2, padding="CAUSAL", key=key)
    assert layer(jnp.ones((2, 5), layer.weight.dtype)).shape == (3, 10)
    layer = ConvTranspose(1, 2, 3, 4, 2, 1, 0, 1, 1, False, key=key)  # Equinox's own order
    assert layer.bias is None
    assert equinox.filter_jit(layer)(jnp.ones((2, 5), layer.weight.dtype), 11).shape == (3, 11)
    with pytest.raises(GeometryError, match=r"equinox.nn.ConvTranspose has none"):
        ConvTranspose(1, 2, 3, 4, original=True, key=key)(jnp.ones((2, 5)), output_size=9)


def test_complex_weights_of_an_equinox_layer_are_drawn_as_its_own_are() -> None:
    equinox = peer("equinox")
    from tconvjax.layers.equinox import Conv

    given: dict[str, Any] = {"dtype": jnp.complex64, "key": jax.random.key(3)}
    ours, theirs = Conv(1, 2, 3, 4, **given), equinox.nn.Conv(1, 2, 3, 4, **given)
    np.testing.assert_array_equal(ours.weight, theirs.weight)
    np.testing.assert_array_equal(ours.bias, theirs.bias)


# -- strange arguments -----------------------------------------------------------------------------

SIZES = {"kernel_size": (3,), "padding": 1, "use_bias": True}
EQUINOX = {**SIZES, "num_spatial_dims": 1, "in_channels": 4, "out_channels": 4, "stride": 1,
           "dilation": 1, "groups": 1, "padding_mode": "ZEROS", "dtype": None,
           "key": jax.random.key(0)}  # fmt: skip
FLAX = {**SIZES, "in_features": 4, "out_features": 4, "strides": 1, "kernel_dilation": 1,
        "feature_group_count": 1, "mask": None, "dtype": None, "param_dtype": "float64",
        "precision": None, "preferred_element_type": None, "kernel_metadata": None,
        "bias_metadata": None}  # fmt: skip
TRANSPOSED = {"output_padding": 0, "original": False}
CALLED = {"kernel_init", "bias_init", "promote_dtype"}
"""What they raise themselves is their own."""


def strange(
    make: Any, x: np.ndarray[Any, Any], arguments: dict[str, Any], call: dict[str, Any]
) -> list[str]:
    """What a layer does with strange arguments, other than a result or a good refusal."""
    found = []
    for argument in (*arguments, *call, "x"):
        for kind, value in HOSTILE.items():
            if argument in CALLED and callable(value):
                continue
            given = {argument: value}
            try:
                layer = make(**{**arguments, **(given if argument in arguments else {})})
                layer(value if argument == "x" else x, **(given if argument in call else call))
            except GeometryError as error:
                if not FOUR_PARTS.fullmatch(str(error)):
                    found.append(f"{argument}={kind}: {error}")
            except Exception as error:  # noqa: BLE001 - which is what is looked for
                # Strict promotion is the user's choice, and JAX's error says so (test_layouts.py).
                if "implicit dtype promotion path" not in str(error):
                    found.append(f"{argument}={kind}: {type(error).__name__}: {str(error)[:80]}")
    return found


@pytest.mark.parametrize("name", ["Conv", "ConvTranspose", "ConvTranspose, read as Equinox reads"])
def test_strange_arguments_of_an_equinox_layer_are_refused(name: str) -> None:
    peer("equinox")
    from tconvjax.layers import equinox

    own: dict[str, Any] = {} if name == "Conv" else {**TRANSPOSED, "original": "as" in name}
    call = {"output_size": None} if own and not own["original"] else {}
    make = getattr(equinox, name.partition(",")[0])
    make(**{**EQUINOX, **own})(np.ones((4, 9)))
    found = strange(make, np.ones((4, 9)), {**EQUINOX, **own}, call)
    assert not found, "\n".join(found)


@pytest.mark.parametrize("name", ["Conv", "ConvTranspose", "ConvTranspose, read as Flax reads"])
def test_strange_arguments_of_an_nnx_layer_are_refused(name: str) -> None:
    peer("flax")
    from flax import nnx
    from flax.nnx.nn.dtypes import promote_dtype

    from tconvjax.layers import nnx as layers

    given = {**FLAX, "kernel_init": nnx.initializers.ones, "bias_init": nnx.initializers.zeros,
             "promote_dtype": promote_dtype, "rngs": nnx.Rngs(0)}  # fmt: skip
    own: dict[str, Any] = {}
    if name != "Conv":
        own = {**TRANSPOSED, "transpose_kernel": False, "original": "as" in name}
    call = {"output_size": None} if own and not own["original"] else {}
    make = getattr(layers, name.partition(",")[0])
    make(**{**given, **own})(np.ones((2, 9, 4)))
    found = strange(make, np.ones((2, 9, 4)), {**given, **own}, call)
    assert not found, "\n".join(found)
