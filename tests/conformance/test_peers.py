"""The call-alikes against the peers themselves, on arguments that Hypothesis draws.

Each peer that is not installed is a loud skip; ``pip install -e '.[peers]'`` brings all of them.
``HYPOTHESIS_PROFILE=long`` draws five hundred examples for each test.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tconvjax import conventions as conv
from tests.oracles import agree
from tests.reading import read
from tests.strategies import Transposed, ends, numbers, transposed

os.environ.setdefault("KERAS_BACKEND", "jax")


def peer(module: str) -> Any:
    return pytest.importorskip(
        module,
        reason=f"{module} is not installed, so its call-alike was not compared with it; "
        "\"pip install -e '.[peers]'\" and 'pytest tests/conformance' compare all of them",
    )


def ours(call: Any, kwargs: dict[str, Any], *arrays: Any) -> Callable[[], Any]:
    """A call-alike, as NumPy reads its program."""
    return lambda: read(lambda *arrays: call(*arrays, **kwargs), *arrays)


# -- PyTorch ---------------------------------------------------------------------------------------


@given(st.data(), transposed(groups=True))
def test_torch(data: st.DataObject, case: Transposed) -> None:
    torch = peer("torch")
    y, w, b = case.arrays(conv.KERNELS["torch"], last=False)
    if data.draw(st.booleans(), "unbatched"):
        y = y[0]
    kwargs = {
        "stride": data.draw(numbers(1, 4, case.rank), "stride"),
        "padding": data.draw(numbers(-1, 3, case.rank), "padding"),
        "dilation": case.dilation,
        "groups": case.groups,
    }
    size = data.draw(st.none() | numbers(1, 12, case.rank), "output_size")
    if size is None:
        kwargs["output_padding"] = data.draw(numbers(-1, 4, case.rank), "output_padding")
        function = getattr(torch.nn.functional, f"conv_transpose{case.rank}d")
        theirs: Callable[[], Any] = lambda: function(*map(torch.tensor, (y, w, b)), **kwargs)  # noqa: E731
        agree(theirs, ours(conv.torch_conv_transpose, kwargs, y, w, b))
        return
    size = (size,) * case.rank if isinstance(size, int) else size
    layer = getattr(torch.nn, f"ConvTranspose{case.rank}d")

    def module() -> Any:
        made = layer(case.c, case.m, case.kernel_size, dtype=torch.float64, **kwargs)
        made.load_state_dict({"weight": torch.tensor(w), "bias": torch.tensor(b)})
        return made(torch.tensor(y), output_size=list(size)).detach()

    agree(module, ours(conv.torch_conv_transpose, {**kwargs, "output_size": size}, y, w, b))


# -- Keras -----------------------------------------------------------------------------------------


@given(st.data(), transposed())
def test_keras(data: st.DataObject, case: Transposed) -> None:
    keras = peer("keras")
    last = data.draw(st.booleans(), "channels last")
    y, w, _ = case.arrays(conv.KERNELS["keras"], last=last)
    kwargs = {
        "strides": data.draw(numbers(1, 4, case.rank), "strides"),
        "padding": data.draw(st.sampled_from(["valid", "same", "SAME", "causal"]), "padding"),
        "output_padding": data.draw(st.none() | numbers(0, 3, case.rank), "output_padding"),
        "data_format": "channels_last" if last else "channels_first",
        "dilation_rate": data.draw(numbers(1, 3, case.rank), "dilation_rate"),
    }
    agree(
        lambda: keras.ops.conv_transpose(y, w, **kwargs),
        ours(conv.keras_conv_transpose, kwargs, y, w),
    )


# -- Flax ------------------------------------------------------------------------------------------


def flax_arguments(data: st.DataObject, case: Transposed) -> dict[str, Any]:
    rank = case.rank
    names = st.sampled_from(["SAME", "VALID", "CIRCULAR", "CAUSAL", "SAME_LOWER"])
    return {
        "strides": data.draw(st.none() | numbers(1, 4, rank), "strides"),
        "padding": data.draw(names | numbers(-1, 4, rank) | ends(-1, 4, rank), "padding"),
        "kernel_dilation": data.draw(st.none() | numbers(1, 3, rank), "kernel_dilation"),
        "transpose_kernel": data.draw(st.booleans(), "transpose_kernel"),
    }


def flax_is_wrong(case: Transposed, kwargs: dict[str, Any]) -> bool:
    """Where its CIRCULAR with transpose_kernel starts one element beside the transpose's start."""
    if kwargs["padding"] != "CIRCULAR" or not kwargs["transpose_kernel"]:
        return False
    steps = [
        kwargs[name] if isinstance(kwargs[name], tuple) else (kwargs[name] or 1,) * case.rank
        for name in ("strides", "kernel_dilation")
    ]
    spans = [d * (k - 1) + 1 for k, d in zip(case.kernel_size, steps[1], strict=True)]
    periods = [s * n for s, n in zip(steps[0], case.size, strict=True)]
    return any(
        ((max(span - s, 0) + 1) // 2 - (span - 1) // 2) % period != 0
        for span, s, period in zip(spans, steps[0], periods, strict=True)
    )


def flax_arrays(data: st.DataObject, case: Transposed, kwargs: dict[str, Any]) -> list[Any]:
    name = "flax_transpose_kernel" if kwargs["transpose_kernel"] else "flax"
    y, w, b = case.arrays(conv.KERNELS[name])
    batch = data.draw(st.sampled_from([(), (2,), (1, 2)]), "batch")
    y = np.broadcast_to(y[0], (*batch, *y.shape[1:]))
    mask = np.arange(w.size).reshape(w.shape) % 2.0 if data.draw(st.booleans(), "masked") else None
    return [y, w, b, mask]


@given(st.data(), transposed())
def test_flax(data: st.DataObject, case: Transposed) -> None:
    """Linen and NNX, which read their arguments alike but for one."""
    peer("flax")
    from flax import linen, nnx

    kwargs = flax_arguments(data, case)
    y, w, b, mask = flax_arrays(data, case, kwargs)
    call = ours(conv.flax_conv_transpose, {**kwargs, "mask": mask}, y, w, b)
    if flax_is_wrong(case, kwargs):
        call()
        return

    def of_linen() -> Any:
        layer = linen.ConvTranspose(case.m, case.kernel_size, mask=mask, **kwargs)
        return layer.apply({"params": {"kernel": w, "bias": b}}, y)

    agree(of_linen, call)
    if kwargs["padding"] == "CIRCULAR" and not isinstance(kwargs["strides"], tuple | None):
        return  # NNX zips its strides, so an int fails there; here it works

    def of_nnx() -> Any:
        layer = nnx.ConvTranspose(
            case.c, case.m, case.kernel_size, mask=mask, **kwargs, param_dtype=y.dtype,
            kernel_init=lambda *_: w, bias_init=lambda *_: b, rngs=nnx.Rngs(0))  # fmt: skip
        return layer(y)

    agree(of_nnx, call)


@given(transposed(ranks=(1, 2)))
def test_circular_with_a_forward_kernel_is_the_transpose_of_flax_conv(case: Transposed) -> None:
    """What Flax says of its own layer, and what does not hold for it with even spans."""
    peer("flax")
    from flax import linen

    y, w, _ = case.arrays(conv.KERNELS["flax_transpose_kernel"])
    kwargs: dict[str, Any] = {"strides": case.stride, "kernel_dilation": case.dilation,
                             "padding": "CIRCULAR"}  # fmt: skip
    forward = linen.Conv(case.c, case.kernel_size, use_bias=False, **kwargs)
    size = [s * n for s, n in zip(case.stride, case.size, strict=True)]
    x = np.arange(float(case.batch * np.prod(size) * case.m))
    x = x.reshape(case.batch, *size, case.m)
    z = np.asarray(forward.apply({"params": {"kernel": w}}, x))
    back = ours(conv.flax_conv_transpose, {**kwargs, "transpose_kernel": True}, y, w)()
    np.testing.assert_array_equal((z * y).sum(), (x * back).sum())


# -- Haiku -----------------------------------------------------------------------------------------


@given(st.data(), transposed(dilated=False))
def test_haiku(data: st.DataObject, case: Transposed) -> None:
    haiku = peer("haiku")
    name = data.draw(st.sampled_from(["channels_last", "channels_first", "N...C", "NC..."]))
    last = name in ("channels_last", "N...C")
    y, w, b = case.arrays(conv.KERNELS["haiku"], last=last)
    b = b if last else b.reshape(-1, *[1] * case.rank)
    if data.draw(st.booleans(), "unbatched"):
        y = y[0]
    kwargs = {
        "stride": data.draw(numbers(1, 4, case.rank), "stride"),
        "padding": data.draw(st.sampled_from(["SAME", "VALID"]) | ends(-1, 4, case.rank)),
        "output_shape": data.draw(st.none() | numbers(1, 12, case.rank), "output_shape"),
        "data_format": name,
    }

    def theirs() -> Any:
        module = haiku.without_apply_rng(haiku.transform(lambda y: haiku.ConvNDTranspose(
            case.rank, case.m, case.kernel_size, **kwargs)(y)))  # fmt: skip
        return module.apply({"conv_nd_transpose": {"w": jnp.asarray(w), "b": jnp.asarray(b)}}, y)

    agree(theirs, ours(conv.haiku_conv_transpose, kwargs, y, w, b))


# -- Equinox ---------------------------------------------------------------------------------------


@given(st.data(), transposed(groups=True))
def test_equinox(data: st.DataObject, case: Transposed) -> None:
    equinox = peer("equinox")
    y, w, b = case.arrays(conv.KERNELS["equinox"], last=False)
    b = b.reshape(-1, *[1] * case.rank)
    rank = case.rank
    mode = data.draw(st.sampled_from(["CIRCULAR", "ZEROS", "zeros"]), "mode")
    padding: Any = st.sampled_from(["SAME", "same_lower", "VALID", "FULL"])
    extra = numbers(0, 2, rank)
    if mode == "CIRCULAR":  # which takes little else
        padding, extra = st.sampled_from(["SAME", "same_lower"]), st.just(0)
    else:
        padding |= numbers(-1, 3, rank) | ends(-1, 3, rank)
    kwargs = {
        "stride": data.draw(numbers(1, 4, rank), "stride"),
        "padding": data.draw(padding, "padding"),
        "output_padding": data.draw(extra, "output_padding"),
        "dilation": case.dilation,
        "groups": case.groups,
        "padding_mode": mode,
    }

    def theirs() -> Any:
        layer = equinox.filter_eval_shape(
            equinox.nn.ConvTranspose, rank, case.c, case.m, case.kernel_size,
            key=jax.random.key(0), **kwargs,
        )  # fmt: skip
        layer = equinox.tree_at(lambda layer: (layer.weight, layer.bias), layer, (w, b))
        return layer(y[0])

    agree(theirs, ours(conv.equinox_conv_transpose, kwargs, y[0], w, b))
