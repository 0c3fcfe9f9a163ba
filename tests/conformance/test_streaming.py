"""Chunks against the decoders of Encodec and Mimi, as the transformers package has them.

Where it is missing, that is a loud skip; ``pip install transformers`` brings it.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from tconvjax import streaming
from tests.conformance.test_peers import peer

torch = peer("torch")
transformers = pytest.importorskip(
    "transformers",
    reason="transformers is not installed, so streams were not compared with Encodec and Mimi; "
    "'pip install transformers' and 'pytest tests/conformance/test_streaming.py' compare them",
)


def array(v: Any) -> Any:
    return jnp.asarray(v.detach().numpy())


class Added:
    """Two causal branches of one signal, added: a residual block."""

    def __init__(self, *branches: Any) -> None:
        self.branches = branches

    def init(self, shape: Any, dtype: Any, *arguments: Any) -> Any:
        """The states of both."""
        pairs = zip(self.branches, arguments, strict=True)
        return tuple(branch.init(shape, dtype, *given) for branch, given in pairs)

    def step(self, state: Any, chunk: Any, *arguments: Any) -> Any:
        """Both take the chunk."""
        each = zip(self.branches, state, arguments, strict=True)
        state, outs = zip(*(b.step(s, chunk, *given) for b, s, given in each), strict=True)
        return state, outs[0] + outs[1]

    def flush(self, state: Any, *arguments: Any) -> Any:
        """No element, because neither lags."""
        return self.branches[1].flush(state[1], *arguments[1])


class Recurrent:
    """PyTorch's LSTM of several layers, added to its input."""

    def init(self, shape: Any, dtype: Any, *layers: Any) -> Any:
        """What each layer carries: zeros."""
        return tuple((jnp.zeros((shape[0], w.shape[1]), dtype),) * 2 for _, w, _ in layers)

    def step(self, state: Any, chunk: Any, *layers: Any) -> Any:
        """Element by element, layer after layer."""
        carried, x = [], jnp.moveaxis(chunk, -1, 0)
        for kept, (w_in, w_on, bias) in zip(state, layers, strict=True):

            def cell(kept: Any, x: Any, w_in: Any = w_in, w_on: Any = w_on, b: Any = bias) -> Any:
                i, f, g, o = jnp.split(x @ w_in.T + kept[0] @ w_on.T + b[None], 4, -1)
                c = jax.nn.sigmoid(f) * kept[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
                h = jax.nn.sigmoid(o) * jnp.tanh(c)
                return (h, c), h

            kept, x = lax.scan(cell, kept, x)
            carried.append(kept)
        return tuple(carried), jnp.moveaxis(x, 0, -1) + chunk

    def flush(self, state: Any, *layers: Any) -> Any:
        """No element."""
        return jnp.zeros((*state[0][0].shape, 0), state[0][0].dtype)


def streamed(module: Any) -> tuple[Any, Any]:
    """A module as a part of a chain, and the arguments of the part."""
    kind = type(module).__name__.removeprefix("Encodec").removeprefix("Mimi")
    if kind in ("Conv1d", "ConvTranspose1d"):
        conv = module.conv
        (taps,), (stride,) = conv.kernel_size, conv.stride
        options: Any = {"stride": stride, "dilation": conv.dilation, "groups": conv.groups}
        if kind == "Conv1d":
            stream: Any = streaming.Conv(tuple(conv.weight.shape), padding="CAUSAL", **options)
        else:
            ends = ((0, taps - stride),)
            stream = streaming.ConvTranspose(tuple(conv.weight.shape), padding=ends, **options)
        assert stream.latency == 0
        bias = () if conv.bias is None else (array(conv.bias),)
        return stream, (array(conv.weight), *bias)
    if kind == "LSTM":
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        layers = [[array(getattr(module.lstm, f"{name}_l{n}")) for name in names]
                  for n in range(module.lstm.num_layers)]  # fmt: skip
        return Recurrent(), tuple((w_in, w_on, b + c) for w_in, w_on, b, c in layers)
    if kind == "ResnetBlock":
        body, shortcut = streamed(module.block), streamed(module.shortcut)
        parts, arguments = zip(body, (streaming.Chain(shortcut[:1]), shortcut[1:]), strict=True)
        return Added(*parts[::-1]), arguments[::-1]
    if kind == "ModuleList":
        parts, arguments = zip(*map(streamed, module), strict=True)
        return streaming.Chain(parts), arguments
    return {"ELU": jax.nn.elu, "Identity": lambda x: x}[kind], ()


def encodec() -> tuple[Any, int]:
    """Its reflected beginning needs more than the first element, so the padding here is zeros."""
    config = transformers.EncodecConfig(
        num_filters=4, hidden_size=12, upsampling_ratios=[4, 3, 2], pad_mode="constant"
    )
    return transformers.EncodecModel(config).decoder, config.hidden_size


def mimi() -> tuple[Any, int]:
    """The transposed convolution before its transformer, and the decoder after it."""
    config = transformers.MimiConfig(
        num_filters=4, hidden_size=16, upsampling_ratios=[4, 3, 2], num_attention_heads=2,
        num_key_value_heads=2, head_dim=8, num_hidden_layers=1, intermediate_size=16,
        codebook_dim=8, upsample_groups=16, vector_quantization_hidden_dimension=8,
    )  # fmt: skip
    model = transformers.MimiModel(config)
    decoder = model.decoder
    found = {type(m).__name__: m for m in decoder.modules()}
    layers = found["MimiDecoder"].layers
    up = next(m for n, m in decoder.named_modules() if n.endswith("upsample"))
    return torch.nn.Sequential(up, *layers), config.hidden_size


@pytest.mark.parametrize("build", [encodec, mimi])
def test_chunks_of_any_size_give_what_the_decoder_gives(build: Any) -> None:
    torch.manual_seed(0)
    decoder, channels = build()
    codes = torch.randn(2, channels, 33)
    with torch.no_grad():
        expected = decoder(codes).numpy()
    chain, arguments = streamed(torch.nn.ModuleList(getattr(decoder, "layers", decoder)))
    step = jax.jit(chain.step)
    for size in range(1, 17):
        state, outs = chain.init(codes.shape, jnp.float32, *arguments), []
        for place in range(0, codes.shape[-1], size):
            state, out = step(state, array(codes[..., place : place + size]), *arguments)
            outs.append(out)
            assert out.shape[-1] == min(size, 33 - place) * expected.shape[-1] // 33
        found = jnp.concatenate([*outs, chain.flush(state, *arguments)], -1)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1e-5 * np.abs(expected).max()
