"""The layers for Flax NNX, linen and Equinox: the originals' arguments and keys; transposes."""

from __future__ import annotations

import functools
import inspect
import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tconvjax import GeometryError
from tconvjax.layers import MaxUnpool, PixelShuffle
from tests.conformance.test_peers import flax_arguments, flax_is_wrong, peer
from tests.oracles import agree, assert_refused
from tests.reading import read
from tests.strategies import Transposed, ends, numbers, some_held, transposed

nnx, linen, equinox = peer("flax.nnx"), peer("flax.linen"), peer("equinox")
on_nnx, on_linen = peer("tconvjax.layers.nnx"), peer("tconvjax.layers.linen")
on_equinox = peer("tconvjax.layers.equinox")


def whole(_key: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """Small whole numbers for a kernel or a bias, so that sums are exact in any order."""
    return np.random.default_rng(0).integers(-4, 5, shape).astype(dtype)


def room(case: Transposed) -> tuple[int, ...]:
    """Sizes that a kernel fits into."""
    sizes = zip(case.dilation, case.kernel_size, case.size, strict=True)
    return tuple(d * (k - 1) + 1 + n for d, k, n in sizes)


def computed(layer: Any, x: Any) -> Any:
    """What a layer gives, as NumPy reads it."""
    return read(lambda x: layer(x), x)


def nnx_layer(kind: Any, c: int, m: int, case: Transposed, kwargs: dict[str, Any]) -> Any:
    starts = {"kernel_init": whole, "bias_init": whole, "rngs": nnx.Rngs(0)}
    return kind(c, m, case.kernel_size, **kwargs, **starts)


KEY = jax.random.key(0)


class Bound:
    """A linen layer with its variables, called like the other libraries' layers."""

    def __init__(self, kind: Any, m: int, case: Transposed, kwargs: dict[str, Any], x: Any) -> None:
        self.layer = kind(m, case.kernel_size, **kwargs)
        shapes = jax.eval_shape(self.layer.init, KEY, x)
        self.variables = jax.tree.map(lambda leaf: whole(None, leaf.shape, leaf.dtype), shapes)

    def __call__(self, x: Any) -> Any:  # noqa: D102
        return self.layer.apply(self.variables, x)


def equinox_layer(kind: Any, c: int, m: int, case: Transposed, kwargs: dict[str, Any]) -> Any:
    shape = (case.rank, c, m, case.kernel_size)
    layer = equinox.filter_eval_shape(kind, *shape, **kwargs, key=jax.random.key(0))
    return jax.tree.map(lambda leaf: whole(None, leaf.shape, leaf.dtype), layer)


def nnx_arguments(case: Transposed, data: st.DataObject) -> dict[str, Any]:
    padding = st.sampled_from(["SAME", "VALID", "CIRCULAR", "REFLECT"]) | ends(0, 3, case.rank)
    return {
        "strides": data.draw(st.none() | numbers(1, 3, case.rank), "strides"),
        "padding": data.draw(padding, "padding"),
        "kernel_dilation": case.dilation,
        "feature_group_count": case.groups,
        "use_bias": data.draw(st.booleans(), "use_bias"),
        "param_dtype": jnp.float64,
    }


def equinox_arguments(case: Transposed, data: st.DataObject, *modes: str) -> dict[str, Any]:
    names = st.sampled_from(["SAME", "same_lower", "VALID"])
    return {
        "stride": data.draw(numbers(1, 3, case.rank), "stride"),
        "padding": data.draw(names | numbers(0, 2, case.rank) | ends(0, 2, case.rank), "padding"),
        "dilation": case.dilation,
        "groups": case.groups,
        "use_bias": data.draw(st.booleans(), "use_bias"),
        "padding_mode": data.draw(st.sampled_from(["ZEROS", *modes]), "mode"),
        "dtype": jnp.float64,
    }


@given(st.data(), transposed(groups=True))
def test_a_convolution_is_the_librarys_own(data: st.DataObject, case: Transposed) -> None:
    kwargs = nnx_arguments(case, data)
    x = whole(None, (case.batch, *room(case), case.c), np.float64)
    theirs, ours = (nnx_layer(kind, case.c, case.m, case, kwargs)
                    for kind in (nnx.Conv, on_nnx.Conv))  # fmt: skip
    np.testing.assert_array_equal(computed(ours, x), theirs(x))
    bound = Bound(on_linen.Conv, case.m, case, kwargs, x)
    np.testing.assert_array_equal(computed(bound, x), theirs(x))
    kwargs = equinox_arguments(case, data, "circular", "REPLICATE")
    x = whole(None, (case.c, *room(case)), np.float64)
    theirs, ours = (equinox_layer(kind, case.c, case.m, case, kwargs)
                    for kind in (equinox.nn.Conv, on_equinox.Conv))  # fmt: skip
    np.testing.assert_array_equal(computed(ours, x), theirs(x))


@given(st.data(), transposed(groups=True))
def test_a_layer_that_is_read_as_the_original_is_it(data: st.DataObject, case: Transposed) -> None:
    kwargs = equinox_arguments(case, data)
    x = whole(None, (case.c, *case.size), np.float64)
    theirs = equinox_layer(equinox.nn.ConvTranspose, case.c, case.m, case, kwargs)
    ours = equinox_layer(
        on_equinox.ConvTranspose, case.c, case.m, case, {**kwargs, "original": True}
    )
    agree(lambda: theirs(x), lambda: computed(ours, x))
    kwargs = flax_arguments(data, case)
    if flax_is_wrong(case, kwargs) or kwargs["padding"] in ("CAUSAL", "SAME_LOWER"):
        return
    if isinstance(kwargs["strides"], int) or kwargs["strides"] is None:
        kwargs["strides"] = (kwargs["strides"] or 1,) * case.rank  # for Flax's CIRCULAR
    x = whole(None, (case.batch, *case.size, case.c), np.float64)
    kwargs["param_dtype"] = x.dtype
    flax = nnx_layer(nnx.ConvTranspose, case.c, case.m, case, kwargs)
    mine = nnx_layer(on_nnx.ConvTranspose, case.c, case.m, case, {**kwargs, "original": True})
    agree(lambda: flax(x), lambda: computed(mine, x))
    kwargs["original"] = True
    agree(
        lambda: flax(x),
        lambda: computed(Bound(on_linen.ConvTranspose, case.m, case, kwargs, x), x),
    )


@pytest.mark.parametrize("library", ["nnx", "linen", "equinox"])
@given(st.data(), transposed(groups=True))
def test_a_layer_transposes_the_convolution_of_the_same_arguments(
    library: str, data: st.DataObject, case: Transposed
) -> None:
    if library != "equinox":
        module, made, kwargs = on_nnx, nnx_layer, nnx_arguments(case, data)
        y = whole(None, (case.batch, *case.size, case.c), np.float64)
    else:
        module, made = on_equinox, equinox_layer
        kwargs = equinox_arguments(case, data, "CIRCULAR", "REFLECT")
        y = whole(None, (case.c, *case.size), np.float64)
    kwargs["use_bias"] = False
    try:
        up: Any
        if library == "linen":
            up = Bound(on_linen.ConvTranspose, case.m, case, kwargs, y)
        else:
            up = made(module.ConvTranspose, case.c, case.m, case, kwargs)
        z = computed(up, y)
    except GeometryError:
        return
    if z.size:
        down: Any
        if library == "linen":
            down = Bound(on_linen.ConvTranspose, case.m, case, kwargs, y)
            down.layer = on_linen.Conv(case.c, case.kernel_size, **kwargs)
        else:
            down = made(module.Conv, case.m, case.c, case, kwargs)
        if library == "nnx":  # Equinox's are of the same shape and so of the same numbers
            down.kernel[...] = up.kernel[...]
        x = np.random.default_rng(1).integers(-4, 5, z.shape).astype(np.float64)
        np.testing.assert_array_equal((computed(down, x) * y).sum(), (x * z).sum())


@pytest.mark.parametrize(("groups", "original"), [(1, False), (2, False), (2, True)])
def test_an_equinox_layer_with_the_same_key_is_the_same_function(
    groups: int, original: bool
) -> None:
    kwargs: dict[str, Any] = {"stride": 2, "padding": 1, "groups": groups, "key": jax.random.key(3)}
    theirs = equinox.nn.ConvTranspose(2, 4, 6, (3, 4), **kwargs)
    ours = on_equinox.ConvTranspose(2, 4, 6, (3, 4), **kwargs, original=original)
    if original:
        np.testing.assert_array_equal(ours.weight, theirs.weight)
    x = np.random.default_rng(0).normal(size=(4, 3, 5))
    np.testing.assert_allclose(ours(x), theirs(x), atol=1e-12)
    kwargs = {"dtype": jnp.complex64, "key": jax.random.key(3)}
    one, other = on_equinox.Conv(1, 2, 3, 4, **kwargs), equinox.nn.Conv(1, 2, 3, 4, **kwargs)
    np.testing.assert_array_equal(one.weight, other.weight)
    np.testing.assert_array_equal(one.bias, other.bias)


def test_an_nnx_layer_starts_as_flax_own_with_the_right_fans() -> None:
    """The kernel is drawn in the shape whose fans initialisers read, then turned."""
    y = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 5, 3)), jnp.float32)
    flax, ours = (kind(3, 7, (4, 3), (2, 2), rngs=nnx.Rngs(5))
                  for kind in (nnx.ConvTranspose, on_nnx.ConvTranspose))  # fmt: skip
    assert ours.kernel.shape == (4, 3, 7, 3)
    np.testing.assert_allclose(ours(y), flax(y), atol=1e-5)
    assert ours(y, output_size=(11, 9)).shape == (2, 11, 9, 7)
    grouped = on_nnx.ConvTranspose(64, 256, (3,), feature_group_count=4, rngs=nnx.Rngs(5))
    assert grouped.kernel.shape == (3, 64, 64)
    assert abs(float(grouped.kernel.std()) * np.sqrt(3 * 64 / 4) - 1) < 0.05  # fan-in of a group


def test_a_linen_layer_starts_as_flax_own_and_keeps_its_boxes() -> None:
    y = jnp.asarray(np.random.default_rng(0).normal(size=(2, 6, 5, 3)), jnp.float32)
    flax, ours = (kind(7, (4, 3), (2, 2)) for kind in (linen.ConvTranspose, on_linen.ConvTranspose))
    (theirs, _), (z, variables) = (one.init_with_output(KEY, y) for one in (flax, ours))
    np.testing.assert_allclose(z, theirs, atol=1e-5)
    assert variables["params"]["kernel"].shape == (4, 3, 7, 3)
    assert jax.jit(lambda y: ours.apply(variables, y, output_size=(11, 9)))(y).shape[1:3] == (11, 9)
    init = linen.with_partitioning(linen.initializers.lecun_normal(), (None, None, None, "model"))
    boxed = on_linen.ConvTranspose(7, (4, 3), (2, 2), kernel_init=init).init(KEY, y)["params"]
    assert boxed["kernel"].names == (None, None, None, "model")
    np.testing.assert_array_equal(boxed["kernel"].value, variables["params"]["kernel"])
    half = on_linen.Conv(6, 3, dtype=jnp.bfloat16, use_bias=False, feature_group_count=3)
    z, variables = half.init_with_output(KEY, y[0])
    assert (z.dtype, z.shape, variables["params"].keys()) == (jnp.bfloat16, (6, 5, 6), {"kernel"})


def test_equinox_names_its_layers_by_their_axes() -> None:
    for rank in (1, 2, 3):
        for name in ("Conv", "ConvTranspose"):
            kind = getattr(on_equinox, f"{name}{rank}d")
            layer = kind(2, 3, 4, 2, 1, use_bias=False, key=KEY)
            plain = getattr(on_equinox, name)(rank, 2, 3, 4, 2, 1, use_bias=False, key=KEY)
            np.testing.assert_array_equal(layer.weight, plain.weight)
            x = jnp.ones((2, *(6,) * rank), layer.weight.dtype)
            np.testing.assert_array_equal(layer(x), plain(x))
            assert isinstance(layer, getattr(on_equinox, name))
            assert (kind.__name__, kind.__module__) == (f"{name}{rank}d", on_equinox.__name__)


def test_an_nnx_layer_keeps_what_flax_users_rely_on() -> None:
    layer = on_nnx.ConvTranspose(
        2, 3, 3, 2, dtype=jnp.bfloat16, precision="highest", mask=jnp.zeros((3, 3, 2), jnp.float32),
        kernel_metadata={"role": "upsampling"}, rngs=nnx.Rngs(0),
    )  # fmt: skip
    assert layer.kernel.get_metadata()["role"] == "upsampling"
    result = nnx.jit(lambda layer, y: layer(y))(layer, jnp.ones((2, 1, 4, 2)))
    assert (result.dtype, result.shape) == (jnp.bfloat16, (2, 1, 8, 3))
    assert not result.any()  # the mask hides all of the kernel, and a bias starts at 0
    grads = nnx.grad(lambda layer: layer(jnp.ones((1, 4, 2))).astype(jnp.float32).sum())(layer)
    assert grads["kernel"][...].shape == layer.kernel.shape


def test_a_kernel_may_be_drawn_with_its_partition() -> None:
    """As Flax's guide to sharding writes it; the value is laid out as the layer lays it out."""
    names = (None, None, None, "model")
    init = nnx.with_partitioning(nnx.initializers.lecun_normal(), names)
    mesh = jax.make_mesh((2,), ("model",), axis_types=(jax.sharding.AxisType.Auto,))
    with jax.set_mesh(mesh):
        layer = on_nnx.ConvTranspose(4, 8, (3, 3), 2, kernel_init=init, rngs=nnx.Rngs(0))
        assert layer.kernel.get_metadata()["out_sharding"] == names
    plain = on_nnx.ConvTranspose(4, 8, (3, 3), 2, rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(layer.kernel[...], plain.kernel[...])


def test_an_equinox_layer_has_what_the_original_lacks() -> None:
    layer = on_equinox.ConvTranspose(1, 2, 3, 4, stride=2, padding="CAUSAL", key=KEY)
    assert layer(jnp.ones((2, 5), layer.weight.dtype)).shape == (3, 10)
    layer = on_equinox.ConvTranspose(1, 2, 3, 4, 2, 1, 0, 1, 1, False, key=KEY)  # Equinox's order
    assert layer.bias is None
    assert equinox.filter_jit(layer)(jnp.ones((2, 5), layer.weight.dtype), 11).shape == (3, 11)


def test_layers_take_narrow_parameters() -> None:
    """Stored, widened when called, and drawn as the wide layer's are."""
    y = np.random.default_rng(0).integers(-4, 5, (5, 4)).astype(np.float32)
    made: Any
    for name in ("float8_e4m3fn", "float4_e2m1fn"):
        made, wide = (on_nnx.ConvTranspose(4, 6, 3, param_dtype=dtype, rngs=nnx.Rngs(0))
                      for dtype in (name, np.float32))  # fmt: skip
        assert made.kernel.dtype == made.bias.dtype == name
        np.testing.assert_array_equal(made.kernel[...], wide.kernel[...].astype(name))
        stored = on_linen.Conv(6, 3, param_dtype=name).init(KEY, y)["params"]
        assert stored["kernel"].dtype == stored["bias"].dtype == name
        assert on_equinox.Conv1d(4, 6, 3, dtype=name, key=KEY)(y.T).dtype == "float32"
    for name, original in itertools.product(("float8_e4m3fn", "int4"), (False, True)):
        options = {"original": original}
        made = on_nnx.ConvTranspose(4, 6, 3, **options, rngs=nnx.Rngs(0))
        w = some_held(name, made.kernel.shape, 1)
        results = []
        for kernel in (jnp.asarray(w), jnp.asarray(w.astype(np.float32))):
            made.kernel = nnx.Param(kernel)
            variables = {"params": {"kernel": kernel, "bias": jnp.zeros(6, np.float32)}}
            results += [made(y), on_linen.ConvTranspose(6, 3, **options).apply(variables, y)]
        for result in results:
            assert result.dtype == "float32"
            np.testing.assert_array_equal(result, results[-1])
        of_equinox = on_equinox.ConvTranspose1d(
            4, 6, 3, original=original, dtype=np.float32, key=KEY
        )
        w = some_held(name, of_equinox.weight.shape, 1)
        narrow, same = (
            equinox.tree_at(lambda layer: layer.weight, of_equinox, jnp.asarray(value))(y.T)
            for value in (w, w.astype(np.float32))
        )
        assert narrow.dtype == "float32"
        np.testing.assert_array_equal(narrow, same)


# -- layers without parameters ---------------------------------------------------------------------


def test_the_libraries_have_the_same_layers() -> None:
    names = [
        {
            name
            for name, value in vars(module).items()
            if inspect.isclass(value) and value.__module__ == module.__name__ and name[0] != "_"
        }
        for module in (on_nnx, on_linen, on_equinox)
    ]
    both = {"Conv", "ConvTranspose"}
    assert names[0] == names[1] == both
    assert names[2] == both | {f"{name}{rank}d" for name in both for rank in (1, 2, 3)}


@pytest.mark.parametrize(("layout", "turn"), [("NCHW", (0, 1, 2, 3)), ("NHWC", (0, 2, 3, 1))])
def test_layers_without_parameters_are_torchs(layout: str, turn: tuple[int, ...]) -> None:
    torch = peer("torch")
    x = np.random.default_rng(0).normal(size=(2, 12, 5, 3)).astype(np.float32)
    back = np.argsort(turn)
    z = PixelShuffle(2, layout)(x.transpose(turn)).transpose(back)
    np.testing.assert_array_equal(z, torch.nn.PixelShuffle(2)(torch.tensor(x)))
    y, indices = torch.nn.MaxPool2d(3, 2, 1, return_indices=True)(torch.tensor(x))
    theirs = torch.nn.MaxUnpool2d(3, 2, 1)
    for size in (None, (6, 4)):
        mine = MaxUnpool(3, layout, 2, 1)(
            y.numpy().transpose(turn), indices.numpy().transpose(turn), size
        )
        right = theirs(y, indices, None if size is None else list(size))
        np.testing.assert_array_equal(mine.transpose(back), right)


def test_layers_without_parameters_go_into_every_librarys_models() -> None:
    """In a model that is jitted, differentiated and updated, beside layers with parameters."""
    x = np.random.default_rng(0).normal(size=(2, 4, 4, 8)).astype(np.float32)
    up = PixelShuffle(2, "NHWC")
    conv = on_nnx.Conv(8, 12, (3, 3), rngs=nnx.Rngs(0))
    right = up(conv(x))
    assert right.shape == (2, 8, 8, 3)
    model = nnx.Sequential(conv, up)
    slope = nnx.jit(nnx.grad(lambda model, x: model(x).sum()))(model, x)
    nnx.update(model, jax.tree.map(lambda w, g: w - 0 * g, nnx.state(model), slope))
    np.testing.assert_allclose(model(x), right, atol=1e-5)
    _, variables = linen.Sequential([on_linen.Conv(12, (3, 3)), up]).init_with_output(KEY, x)
    assert variables["params"].keys() == {"layers_0"}
    planes = np.moveaxis(x[0], -1, 0)
    one = on_equinox.Conv2d(8, 12, 3, padding=1, dtype=np.float32, key=KEY)
    chain = equinox.nn.Sequential([one, PixelShuffle(2, "CHW")])
    np.testing.assert_array_equal(
        equinox.filter_jit(chain)(planes, key=KEY), PixelShuffle(2, "CHW")(one(planes))
    )
    slopes = equinox.filter_grad(lambda chain: chain(planes).sum())(chain)
    assert equinox.apply_updates(chain, slopes)[1] == PixelShuffle((2, 2), "CHW")
    unpool = MaxUnpool(2, "CHW")
    assert jax.tree.leaves(unpool) == []
    assert {unpool, MaxUnpool((2, 2), "CHW", (2, 2), (0, 0))} == {unpool}


# -- refusals --------------------------------------------------------------------------------------


def eqx(kind: Any = on_equinox.ConvTranspose, **changed: Any) -> Callable[[], Any]:
    kwargs = {
        "num_spatial_dims": 1,
        "in_channels": 4,
        "out_channels": 4,
        "kernel_size": 3,
        "key": KEY,
    }
    return lambda: kind(**{**kwargs, **changed})


def flax(kind: Any = on_nnx.ConvTranspose, **changed: Any) -> Callable[[], Any]:
    kwargs = {"in_features": 4, "out_features": 4, "kernel_size": 3, "rngs": nnx.Rngs(0)}
    return lambda: kind(**{**kwargs, **changed})


def lin(kind: Any = on_linen.ConvTranspose, **changed: Any) -> Callable[[], Any]:
    return lambda: kind(**{"features": 4, "kernel_size": 3, **changed})


F32 = np.ones((5, 4), np.float32)
shuffle: Any = PixelShuffle
unpool: Any = MaxUnpool
WHEN_MADE: list[tuple[dict[str, Any], str]] = [
    ({"output_padding": 2, "strides": 2, "padding": 1}, "output_padding=2: it must be smaller"),
    ({"output_padding": 1, "strides": 2, "padding": "SAME"}, "output_padding=1: padding='SAME'"),
    ({"padding": ((1, 2), (3, 4))}, "padding=((1, 2), (3, 4)): the convolution has 1 spatial axis"),
    ({"padding": "FULL"}, "padding='FULL': the choices are VALID, SAME"),
    ({"padding": "FULL", "original": True}, "padding='FULL': "),
    ({"strides": 2**31, "original": True}, "=2147483648: it must be at most 2147483647; give"),
    ({"strides": 2**31}, "=2147483648: it must be at most 2147483647; give smaller"),
    ({"kernel_size": 2**31}, "kernel_size=2147483648: it must be at most 2147483647; give smaller"),
]  # fmt: skip
"""What no input fits, refused by the constructors; Equinox has its own name for the stride."""
FLAX_WHEN_MADE: list[tuple[dict[str, Any], str]] = [
    ({"kernel_dilation": 2**31}, "kernel_dilation=2147483648: it must be at most 2147483647"),
    ({"precision": "best"}, "precision='best': it must be None, one of 'default'"),
    ({"preferred_element_type": "float99"}, "preferred_element_type='float99': it must be a dtype"),
    ({"preferred_element_type": "int32", "dtype": "bfloat16"},
     "preferred_element_type='int32': the operands are bfloat16, and the result must be"),
    ({"dtype": "float8_e4m3fn"}, "dtype='float8_e4m3fn': numbers of this dtype are stored"),
    ({"param_dtype": "int4"}, "param_dtype='int4': it must be a dtype of floats or complex"),
    ({"kernel_init": None}, "kernel_init=NoneType: it must be a function"),
    ({"bias_init": 3}, "bias_init=int: it must be a function"),
]  # fmt: skip
"""Of arguments that only Flax has."""
REFUSED: list[tuple[Callable[[], Any], str]] = [
    (eqx(in_channels=0), "in_channels=0: it must be at least 1"),
    (eqx(groups=3), "groups=3: it must divide in_channels=4"),
    (eqx(padding_mode="WRAP"), "padding_mode='WRAP': the choices are zeros"),
    (lambda: eqx(original=True)()(np.ones((4, 5)), 9), "output_size=9: Equinox's layer has none"),
    (lambda: flax(original=True)()(F32, 9), "output_size=9: Flax's layer has none"),
    (lambda: eqx(original=True)()(np.ones((4, 5), int)), "x=array of dtype int64: the layer's"),
    (flax(strides=0), "strides=0: it must be at least 1"),
    (flax(padding="FULL"), "padding='FULL': the choices are VALID, SAME"),
    (flax(kernel_size=()), "kernel_size="),
    (flax(on_nnx.Conv, mask=np.ones(2)), "mask=array of shape (2,): the kernel has shape (3,"),
    (flax(on_nnx.Conv, mask=np.full((3, 4, 4), "a")), "mask=array of dtype <U1: it must be an arr"),
    *((flax(kind, **{f"{name}_init": lambda key, shape, dtype: np.ones(2)}),
       f"{name}_init's result=array of shape (2,): it must draw an array of shape ({shape})")
      for kind in (on_nnx.Conv, on_nnx.ConvTranspose)
      for name, shape in (("kernel", "3, 4, 4"), ("bias", "4,"))),
    (lambda: lin(bias_init=lambda key, shape, dtype: None)().init(KEY, F32),
     "bias_init's result=NoneType: it must draw an array of shape (4,)"),
    (flax(rngs=3), "rngs=int: it must be Flax's nnx.Rngs"),
    (flax(bias_metadata=3), "bias_metadata=int: it must be a mapping of names"),
    (flax(transpose_kernel=True), "transpose_kernel=True: only Flax's layer has"),
    (flax(feature_group_count=2, original=True), "original=True: Flax's layer has no groups"),
    (lin(mask=np.ones(2)), "mask=array of shape (2,): the kernel has 3 axes, the first of (3,) t"),
    (lin(mask="m"), "mask=str: the kernel has 3 axes, the first of (3,) taps"),
    (lambda: lin(mask=np.ones((3, 4, 5)))().init(KEY, F32), "mask=array of shape (3, 4, 5): the k"),
    (lambda: lin(feature_group_count=4)().init(KEY, F32[:, :3]),
     "feature_group_count=4: it must divide in_features=3"),
    (lambda: lin(kernel_size=(3, 3))().init(KEY, F32[0]),
     "inputs=array of shape (4,): the layer takes (*batch, *size, in_features)"),
    (lin(features=0), "features=0: it must be at least 1"),
    (lin(on_linen.Conv, strides=0), "strides=0: it must be at least 1"),
    (lin(original=None), "original=None: it must be True or False"),
    (lambda: shuffle(0, "NHWC"), "factor=0: it must be at least 1"),
    (lambda: shuffle((2, 2, 2), "NHWC"), "factor=(2, 2, 2): the convolution has 2 spatial"),
    (lambda: shuffle(2, "NHW"), "layout='NHW': it must have one letter per axis, C among"),
    (lambda: shuffle(2, "CHW", "RCD"), "order='RCD': the choices are CRD, DCR"),
    (lambda: unpool(2, "CHW", 0), "stride=0: it must be at least 1"),
    (lambda: unpool(2, None), "layout=None: it must have one letter per axis"),
    *((make(**kwargs), text) for kwargs, text in (*WHEN_MADE, *FLAX_WHEN_MADE)
      for make in (flax, lin)),
    *((eqx(**{name.replace("strides", "stride"): v for name, v in kwargs.items()}), text)
      for kwargs, text in WHEN_MADE),
    (eqx(output_padding=2, stride=2, dilation=3, original=True),
     "output_padding=2: it must be smaller than the stride (2)"),
]  # fmt: skip


def test_what_is_no_layer_is_refused_in_four_parts() -> None:
    assert_refused(REFUSED)


LAYERS: list[tuple[Any, str, str]] = [
    *((flax(kind, in_features=8, kernel_size=(5, 5), padding="VALID", **more)(), "inputs", (
        "the layer takes (*batch, *size, in_features), channels last, with 2 spatial axes and "
        "in_features=8")) for kind, more in
      ((on_nnx.Conv, {}), (on_nnx.ConvTranspose, {}), (on_nnx.ConvTranspose, {"original": True}))),
    *((eqx(kind, num_spatial_dims=2, in_channels=8, kernel_size=5, **more)(), "x", (
        "the layer takes (in_channels, *size), channels first, with 2 spatial axes and "
        "in_channels=8")) for kind, more in
      ((on_equinox.Conv, {}), (on_equinox.ConvTranspose, {}),
       (on_equinox.ConvTranspose, {"original": True}))),
]  # fmt: skip


def test_a_wrong_input_is_refused_in_the_layers_own_words() -> None:
    """By its name, its shape and its channels, never by a kernel that the caller did not give."""
    for layer, name, rule in LAYERS:
        last, channels = name == "inputs", rule.split()[-1].split("=")[0]
        here, there = (-1, 1) if last else (0, 2)
        first, few = ((2, 8, 6, 7), (2, 6, 7, 3)) if last else ((6, 7, 8), (3, 6, 7))
        axis = here % len(first)
        wrong = {
            first: f"{rule}; axis {axis} has {first[here]}; move the channels: "
            f"jnp.moveaxis({name}, {there}, {here})",
            few: f"{rule}; axis {axis} has 3; make the layer with {channels}=3, or change",
            (8, 8): f"{rule}; reshape it",
        }
        if not last:
            wrong[2, 8, 6, 7] = f"{rule}; map the layer over the batch with jax.vmap"
        assert_refused(
            (functools.partial(layer, np.ones(shape)), f"{name}=array of shape {shape}: {text}")
            for shape, text in wrong.items()
        )
        assert_refused([(functools.partial(layer, "ab"), f"{name}=str: it must be an array")])
        if type(layer).__name__ == "Conv":
            small = np.ones((1, 1, 8) if last else (8, 1, 1), np.float32)
            text = f"{name}=1 element"
            assert_refused([(functools.partial(layer, small), text)])
        else:
            assert not isinstance(layer, on_nnx.Conv | on_equinox.Conv)


def test_groups_are_asked_for_by_the_layers_name_for_them() -> None:
    """Where weights with groups were put into a layer without them by hand."""
    layer = on_nnx.ConvTranspose(6, 12, (3,), rngs=nnx.Rngs(0))
    layer.kernel = nnx.Param(jnp.ones((3, 4, 6), jnp.float32))
    text = "the result's 4 channels; give feature_group_count=3, or give an array of shape (4,)"
    assert_refused([(functools.partial(layer, jnp.ones((1, 5, 6), jnp.float32)), text)])
