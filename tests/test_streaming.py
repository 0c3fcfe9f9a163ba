"""Chunks, however a signal is cut, give what the whole signal gives."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jax import export, lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

import tconvjax as tc
from tconvjax import streaming
from tests import oracles
from tests.oracles import assert_refused, ways
from tests.reading import read
from tests.strategies import Arguments, Case, arguments, cases

NAMES = ("VALID", "SAME", "SAME_LOWER", "CAUSAL")
KINDS: dict[bool, Any] = {False: streaming.Conv, True: streaming.ConvTranspose}


@dataclass(frozen=True)
class Signal:
    """A whole signal, and the chunks that it is cut into.

    Args:
        case: the convolution, its layouts, batch axes and dtype.
        transposed: whether the transposed one is streamed.
        axis: the streamed spatial axis.
        cuts: places between two chunks, rising; two cuts at one place make an empty chunk.
        extra: output padding of the transposed convolution.
        name: a padding by its name, instead of numbers.
    """

    case: Case
    transposed: bool
    axis: int
    cuts: tuple[int, ...]
    extra: tuple[int, ...]
    name: str | None = None

    @property
    def keywords(self) -> dict[str, Any]:
        """Arguments of the operation."""
        found = {**self.case.a.keywords, "dimension_numbers": self.case.dimension_numbers}
        del found["padding_mode"]
        if self.name is not None:
            found["padding"] = self.name
        elif self.transposed:
            found["output_padding"] = self.extra
        return found

    def arrays(self, whole: bool = True) -> tuple[Any, Any, Any]:
        """The signal, the kernel and a bias, laid out."""
        numbers = self.case.numbers(whole)
        role = "y" if self.transposed else "x"
        channels = self.case.a.in_channels if self.transposed else self.case.a.out_channels
        bias = np.arange(1, channels + 1).astype(numbers["w"].dtype)
        return self.case.placed(role, numbers[role]), self.case.placed("w", numbers["w"]), bias

    def along(self, ndim: int, role: str) -> int:
        """Where the streamed axis is in an array."""
        marked = np.zeros((1,) * (2 + len(self.case.a.in_size)))
        marked = marked.repeat(2, axis=2 + self.axis)
        return self.case.placed(role, marked).shape.index(2)

    @property
    def stream(self) -> Any:
        """The value that is tested."""
        _, w, _ = self.arrays()
        return KINDS[self.transposed](w.shape, axis=self.axis, **self.keywords)

    def whole(self, data: Any, w: Any, bias: Any) -> Any:
        """The operation itself."""
        return (tc.conv_transpose if self.transposed else tc.conv)(data, w, bias, **self.keywords)

    def chunks(self, data: Any, along: int) -> list[Any]:
        """The signal, cut."""
        pairs = itertools.pairwise((0, *self.cuts, data.shape[along]))
        return [lax.slice_in_dim(data, a, b, axis=along) for a, b in pairs]

    def chunked(self, data: Any, w: Any, bias: Any) -> Any:
        """The outs and the flush, concatenated."""
        roles = "yx" if self.transposed else "xy"
        stream, outs = self.stream, []
        state = stream.init(data.shape, data.dtype)
        for chunk in self.chunks(data, self.along(data.ndim, roles[0])):
            state, out = stream.step(state, chunk, w, bias)
            outs.append(out)
        outs.append(stream.flush(state, w, bias))
        return jnp.concatenate(outs, self.along(data.ndim, roles[1]))

    def expected(self) -> Any:
        """The whole by NumPy's loops, laid out, with the bias; sums are rounded once."""
        a, numbers, bias = self.case.a, self.case.numbers(True), self.arrays()[2]
        kind = bias.dtype.kind
        data, w = (
            numbers[role].astype(np.float64 if kind not in "ciu" else bias.dtype)
            for role in ("y" if self.transposed else "x", "w")
        )
        if self.transposed:
            size = tuple(np.add(bare_sizes(a), self.extra).tolist())
            out = oracles.conv_transpose(replace(a, in_size=size), data, w)
        else:
            out = oracles.conv(a, data, w)
        out = out.astype(bias.dtype) + bias.reshape(-1, *[1] * len(a.in_size))
        return self.case.placed("x" if self.transposed else "y", out)


def bare_sizes(a: Arguments) -> list[int]:
    """The sizes of a transposed convolution's result without output padding."""
    terms = zip(a.y_shape[2:], a.kernel_size, a.stride, a.padding, a.dilation, strict=True)
    return [s * (n - 1) + d * (k - 1) + 1 - low - high for n, k, s, (low, high), d in terms]


@st.composite
def signals(draw: st.DrawFn, names: bool = False) -> Signal:
    """Any convolution and any cuts; with ``names``, a padding by its name."""
    case = draw(cases(draw(arguments())))
    transposed = draw(st.booleans())
    a, name = case.a, draw(st.sampled_from(NAMES)) if names else None
    axis = draw(st.integers(0, len(a.in_size) - 1))
    size = a.y_shape[2 + axis] if transposed else a.in_size[axis]
    if name and name.startswith("SAME") and not transposed:
        a = replace(a, in_size=tuple(s * n for s, n in zip(a.stride, a.in_size, strict=True)))
        case, size = replace(case, a=a), a.in_size[axis]
    if name == "VALID" and not transposed:
        spans = (d * (k - 1) + 1 for d, k in zip(a.dilation, a.kernel_size, strict=True))
        a = replace(
            a, in_size=tuple(map(max, a.in_size, spans)), padding=((0, 0),) * len(a.in_size)
        )
        case, size = replace(case, a=a), a.in_size[axis]
    cuts = tuple(sorted(draw(st.lists(st.integers(0, size), max_size=4))))
    if draw(st.booleans()):
        cuts = tuple(range(1, size))  # chunks of one element
    # A result has an element or more; with the extra of in_size it has.
    least = [max(0, 1 - size) for size in bare_sizes(a)]
    most = map(max, least, (max(steps) - 1 for steps in zip(a.stride, a.dilation, strict=True)))
    extra = tuple(draw(st.integers(*ends)) for ends in zip(least, most, strict=True))
    return Signal(case, transposed, axis, cuts, extra, name)


# -- the law ---------------------------------------------------------------------------------------


def assert_equal_to_the_whole(signal: Signal, chunked: Callable[..., Any]) -> None:
    expected = signal.expected()
    for found in ways(chunked, *signal.arrays()):
        np.testing.assert_array_equal(found, expected)


@given(signals())
def test_chunks_give_the_whole(signal: Signal) -> None:
    """In any dtype, layout and number of batch axes; exact, since the numbers are whole."""
    assert_equal_to_the_whole(signal, signal.chunked)


@given(signals(names=True))
def test_chunks_give_the_whole_under_each_name_of_a_padding(signal: Signal) -> None:
    arrays = signal.arrays()
    expected = read(signal.whole, *arrays)
    for found in ways(signal.chunked, *arrays):
        np.testing.assert_array_equal(found, expected)


@given(signals(), st.sampled_from(["float16", "bfloat16", "float32", "float64"]))
def test_floats_differ_by_roundings_of_their_sum(signal: Signal, dtype: str) -> None:
    """Numbers of several magnitudes: the error is one of the sum of the products' sizes."""
    signal = replace(signal, case=replace(signal.case, dtype=dtype))
    data, w, bias = signal.arrays(whole=False)
    whole = np.asarray(read(signal.whole, data, w, bias), np.float64)
    sums = read(signal.whole, *(np.abs(v).astype(np.float64) for v in (data, w, bias)))
    found = np.asarray(read(signal.chunked, data, w, bias), np.float64)
    assert np.all(np.abs(found - whole) <= 2 * float(jnp.finfo(dtype).eps) * np.asarray(sums))


@given(signals())
def test_lengths_are_what_the_stream_says(signal: Signal) -> None:
    """What is given after each chunk, what a state holds, and the latency past the beginning."""
    data, w, bias = signal.arrays()
    stream, along = signal.stream, signal.along(data.ndim, "y" if signal.transposed else "x")
    target = signal.along(data.ndim, "x" if signal.transposed else "y")
    step = jax.eval_shape
    chunks, seen, count = signal.chunks(data, along), 0, 0
    state = stream.init(data.shape, data.dtype)
    for chunk in chunks:
        state, out = step(stream.step, state, chunk, w, bias)
        seen, count = seen + chunk.shape[along], count + out.shape[target]
        assert count == max(stream.given(seen), 0)
    rest = step(stream.flush, state, w, bias)
    assert count + rest.shape[target] == stream.out_length(seen)
    assert stream.out_length(seen) == signal.expected().shape[target]


@given(signals())
def test_a_chunk_multiple_gives_constant_shapes(signal: Signal) -> None:
    """Past the beginning states and outs keep their shapes; without latency, from the first."""
    data, w, bias = signal.arrays()
    stream, n = signal.stream, signal.stream.chunk_multiple
    along = signal.along(data.ndim, "y" if signal.transposed else "x")
    target = signal.along(data.ndim, "x" if signal.transposed else "y")
    chunk = jax.ShapeDtypeStruct((*data.shape[:along], n, *data.shape[along + 1 :]), data.dtype)
    state = stream.init(data.shape, data.dtype)
    rate = max(stream.given(9 * n) - stream.given(8 * n), 0)
    for steps in range(40):
        past = steps * rate >= stream.latency
        assert (state.shape[along] == stream.state_size) == past
        before, (state, out) = state, jax.eval_shape(stream.step, state, chunk, w, bias)
        if past:
            assert state.shape == before.shape
            assert out.shape[target] == rate


@given(signals())
def test_zeros_start_a_stream_anew(signal: Signal) -> None:
    """They have the state's shape, so ``where`` can reset one of a batch; drop the latency."""
    stream, data = signal.stream, signal.arrays()[0]
    along = signal.along(data.ndim, "y" if signal.transposed else "x")
    target = signal.along(data.ndim, "x" if signal.transposed else "y")

    def restarted(data: Any, w: Any, bias: Any) -> Any:
        shape = (*data.shape[:along], stream.state_size, *data.shape[along + 1 :])
        state, out = stream.step(jnp.zeros(shape, data.dtype), data, w, bias)
        outs = jnp.concatenate((out, stream.flush(state, w, bias)), target)
        return lax.slice_in_dim(outs, stream.latency, None, axis=target)

    np.testing.assert_array_equal(read(restarted, *signal.arrays()), signal.expected())


# -- the law can fail ------------------------------------------------------------------------------


def chunked_with(fault: str, signal: Signal, data: Any, w: Any, bias: Any) -> Any:
    """The chunks' results, with one of the faults that people make."""
    stream, outs = signal.stream, []
    if fault == "dilation":
        stream = replace(stream, dilation=1)
    if fault == "ends":
        stream = replace(stream, padding=tuple(pair[::-1] for pair in stream.padding))
    state = stream.init(data.shape, data.dtype)
    for chunk in signal.chunks(data, 2):
        if fault == "short" and state.size:  # as if it held one element less
            state = jnp.concatenate([jnp.zeros_like(state[..., :1]), state[..., 1:]], 2)
        state, out = stream.step(state, chunk, w, 2 * bias if fault == "bias" else bias)
        outs.append(out)
    rest = stream.flush(state, w, bias)
    return jnp.concatenate([*outs, rest[..., :0] if fault == "tail" else rest], 2)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("fault", ["", "short", "bias", "tail", "dilation", "ends"])
def test_the_law_fails_for_each_planted_fault(fault: str, transposed: bool) -> None:
    """A state one short, the bias doubled, no tail, no dilation, padding at the wrong end."""
    a = Arguments(2, 2, 4, (17,), (3,), (1,), ((3, 1),), (2,), 2)
    signal = Signal(Case(a, "int32"), transposed, 0, (6, 12), (0,))
    chunked = functools.partial(chunked_with, fault, signal)
    with pytest.raises(AssertionError) if fault else contextlib.nullcontext():
        assert_equal_to_the_whole(signal, chunked)


# -- within JAX ------------------------------------------------------------------------------------

CAUSAL = [
    (streaming.Conv((6, 2, 3), stride=2, padding="CAUSAL", dilation=3, groups=2), tc.conv),
    (streaming.ConvTranspose((4, 3, 5), stride=2, padding="CAUSAL", groups=2), tc.conv_transpose),
]
LAGGING = [
    (streaming.Conv((6, 2, 4), stride=2, padding=((1, -1),), groups=2), tc.conv),
    (streaming.ConvTranspose((4, 3, 6), stride=2, padding=((3, 1),), groups=2), tc.conv_transpose),
]


def options(stream: Any) -> dict[str, Any]:
    names = ("stride", "padding", "dilation", "groups")
    return {name: getattr(stream, name) for name in names}


def numbers(stream: Any, n: int = 24, batch: int = 2) -> tuple[Any, Any, Any]:
    """A signal, a kernel and a bias of whole numbers."""
    rng, outs = np.random.default_rng(0), isinstance(stream, streaming.Conv)
    o, c = stream.w_shape[0], stream.w_shape[1] * stream.groups
    shapes = ((batch, c if outs else o, n), stream.w_shape, (o if outs else c,))
    data, w, bias = (rng.integers(-4, 5, shape).astype(np.float64) for shape in shapes)
    return jnp.asarray(data), jnp.asarray(w), jnp.asarray(bias)


def scanned(stream: Any, data: Any, w: Any, bias: Any) -> Any:
    """The first chunk, a scan over the others, and the flush."""
    first, *_ = chunks = jnp.stack(jnp.split(data, data.shape[-1] // 8, axis=-1))
    state, out = stream.step(stream.init(first.shape, first.dtype), first, w, bias)
    state, outs = lax.scan(lambda s, chunk: stream.step(s, chunk, w, bias), state, chunks[1:])
    return jnp.concatenate([out, *outs, stream.flush(state, w, bias)], -1)


@pytest.mark.parametrize(("stream", "operation"), CAUSAL + LAGGING)
def test_a_scan_over_chunks_has_the_values_and_the_gradients_of_the_whole(
    stream: Any, operation: Any
) -> None:
    arrays = numbers(stream)
    slope = jnp.arange(1.0, 1 + stream.out_length(arrays[0].shape[-1]))

    def loss(f: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *arrays: (f(*arrays) ** 2 * slope[None, None]).sum()

    def whole(*arrays: Any) -> Any:
        return operation(*arrays, **options(stream))

    def chunked(*arrays: Any) -> Any:
        return scanned(stream, *arrays)

    for wrt in (0, 1, 2):
        expected = jax.value_and_grad(loss(whole), wrt)(*arrays)
        found = jax.jit(jax.value_and_grad(loss(chunked), wrt))(*arrays)
        jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize(("stream", "operation"), CAUSAL)
def test_a_causal_stream_scans_from_its_first_state(stream: Any, operation: Any) -> None:
    data, w, bias = numbers(stream)
    assert stream.latency == 0
    chunks = jnp.stack(jnp.split(data, 12, axis=-1))
    state = stream.init(chunks.shape[1:], data.dtype)
    assert state.shape[-1] == stream.state_size
    state, outs = lax.scan(lambda s, chunk: stream.step(s, chunk, w, bias), state, chunks)
    found = jnp.concatenate([*outs, stream.flush(state, w, bias)], -1)
    np.testing.assert_array_equal(found, operation(data, w, bias, **options(stream)))


@pytest.mark.parametrize(("stream", "operation"), CAUSAL + LAGGING)
def test_a_stream_maps_over_signals_and_over_kernels(stream: Any, operation: Any) -> None:
    data, w, bias = numbers(stream)
    kernels, signals = jnp.stack([w, -w, 2 * w]), jnp.stack([data, data + 1, 3 * data])
    found = jax.vmap(lambda d, w: scanned(stream, d, w, bias))(signals, kernels)
    for one, d, k in zip(found, signals, kernels, strict=True):
        np.testing.assert_array_equal(one, operation(d, k, bias, **options(stream)))


def assert_thirds_give_the_whole(
    stream: Any, step: Callable[..., Any], state: Any, arrays: Any, operation: Any
) -> None:
    """Take three chunks by some form of ``stream.step``."""
    data, w, bias = arrays
    outs = []
    for chunk in jnp.split(data, 3, axis=-1):
        state, out = step(state, chunk, w, bias)
        outs.append(out)
    found = jnp.concatenate([*outs, stream.flush(state, w, bias)], -1)
    np.testing.assert_array_equal(found, operation(data, w, bias, **options(stream)))


@pytest.mark.parametrize(("stream", "operation"), CAUSAL)
def test_streams_of_many_devices_are_those_of_one(stream: Any, operation: Any) -> None:
    """The batch is split, and with it the states."""
    data, w, bias = numbers(stream, batch=8)
    mesh = Mesh(np.array(jax.devices()[:8]), ("n",))
    state = stream.init(data.shape, data.dtype)
    specs = (P("n"), P("n"), P(), P())
    step = jax.jit(jax.shard_map(stream.step, mesh=mesh, in_specs=specs, out_specs=(P("n"),) * 2))
    assert_thirds_give_the_whole(stream, step, state, (data, w, bias), operation)


@pytest.mark.parametrize(("stream", "operation"), CAUSAL)
def test_a_step_is_exported_with_any_batch(stream: Any, operation: Any) -> None:
    data, w, bias = numbers(stream)
    (batch,) = export.symbolic_shape("batch")
    state = stream.init(data.shape, data.dtype)
    open_state, open_chunk = (
        jax.ShapeDtypeStruct((batch, *v.shape[1:]), v.dtype) for v in (state, data[..., :8])
    )
    written = export.export(jax.jit(stream.step))(open_state, open_chunk, w, bias).serialize()
    step = export.deserialize(written).call
    assert_thirds_give_the_whole(stream, step, state, (data, w, bias), operation)


@pytest.mark.parametrize(("stream", "operation"), CAUSAL)
def test_one_stream_of_a_batch_is_reset_and_another_goes_on(stream: Any, operation: Any) -> None:
    """A state is an array: it is written to a file, and an element of it becomes zeros."""
    data, w, bias = numbers(stream)
    state, _ = stream.step(stream.init(data.shape, data.dtype), data[..., :8], w, bias)
    state = jnp.asarray(np.frombuffer(np.asarray(state).tobytes()).reshape(state.shape))
    state = jnp.where(jnp.array([False, True])[:, None, None], 0, state)
    state, out = stream.step(state, data[..., 8:], w, bias)
    found = jnp.concatenate([out, stream.flush(state, w, bias)], -1)
    goes_on = operation(data, w, bias, **options(stream))[0]
    np.testing.assert_array_equal(found[0], goes_on[..., max(stream.given(8), 0) :])
    np.testing.assert_array_equal(found[1], operation(data[..., 8:], w, bias, **options(stream))[1])


# -- chains ----------------------------------------------------------------------------------------


@st.composite
def chains(draw: st.DrawFn) -> list[dict[str, Any]]:
    """One to three layers of two channels."""
    layers = []
    for _ in range(draw(st.integers(1, 3))):
        transposed = draw(st.booleans())
        taps, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        low, high = draw(st.integers(0, taps - 1)), draw(st.integers(0, taps - 1))
        padding = draw(st.sampled_from(["CAUSAL", ((low, high),)]))
        arguments = {"stride": stride, "padding": padding, "dilation": draw(st.integers(1, 2))}
        layers.append({"kind": KINDS[transposed], "w_shape": (2, 2, taps), **arguments})
    return layers


@given(chains(), st.lists(st.integers(0, 5), max_size=4), st.integers(12, 20))
def test_a_chain_gives_what_its_layers_give_one_after_another(
    drawn: list[dict[str, Any]], lengths: list[int], n: int
) -> None:
    """With functions between them, and nested."""
    layers = [one["kind"](**{k: v for k, v in one.items() if k != "kind"}) for one in drawn]
    rng = np.random.default_rng(n)
    data = rng.integers(-2, 3, (1, 2, n))
    weights = [(rng.integers(-2, 3, s.w_shape), rng.integers(-2, 3, 2)) for s in layers]
    one = np.ones((1, 1, 1), int)
    parts: list[Any] = [jnp.add, layers[0], jnp.multiply]
    arguments: list[Any] = [(5 * one,), weights[0], (3 * one,)]
    if layers[1:]:
        parts.append(streaming.Chain(layers[1:]))
        arguments.append(tuple(weights[1:]))
    chain = streaming.Chain(parts)

    def whole(data: Any) -> Any:
        data = data + 5
        for n, (stream, arrays) in enumerate(zip(layers, weights, strict=True)):
            operation = tc.conv if isinstance(stream, streaming.Conv) else tc.conv_transpose
            data = operation(data, *arrays, **options(stream))
            data = data if n else 3 * data
        return data

    def chunked(data: Any) -> Any:
        state, outs, place = chain.init(data.shape, data.dtype, *arguments), [], 0
        for length in [*lengths, n]:
            chunk = data[..., place : place + length]
            place += chunk.shape[-1]
            state, out = chain.step(state, chunk, *arguments)
            outs.append(out)
            assert sum(out.shape[-1] for out in outs) == max(chain.given(place), 0)
        return jnp.concatenate([*outs, chain.flush(state, *arguments)], -1)

    try:
        expected = read(whole, data)
    except tc.GeometryError:  # a kernel does not fit what the layers before it leave
        return
    np.testing.assert_array_equal(read(chunked, data), expected)
    assert chain.out_length(n) == expected.shape[-1]
    m = chain.chunk_multiple
    steps = {chain.given(m * (k + 1)) - chain.given(m * k) for k in range(8)}
    assert len(steps) == 1
    assert chain.latency == -chain.given(0) >= 0


# -- what is rejected ------------------------------------------------------------------------------


def test_what_cannot_be_streamed_is_rejected() -> None:
    stream = streaming.Conv((2, 3, 5), padding=2)
    state, w = stream.init((1, 3, 8), np.float32), np.zeros((2, 3, 5), np.float32)
    same = streaming.Conv((2, 3, 2), stride=3, padding="SAME")
    thirds = streaming.Conv((1, 1, 4), stride=3, padding="SAME")
    one = np.zeros((1, 1, 4), np.float32)
    begun, _ = thirds.step(thirds.init(one.shape, one.dtype), one[..., :1], one)
    chain = streaming.Chain((stream,))
    assert same.flush(same.init((3, 9), "int32"), np.zeros((2, 3, 2), np.int32)).shape == (2, 0)
    assert_refused(
        [
            (lambda: streaming.Conv((1, 1, 3), padding_mode="circular"), "have not arrived"),
            (lambda: streaming.ConvTranspose((1, 1, 3), padding_mode="reflect"), "given out"),
            (lambda: streaming.Conv((1, 1, 3), axis=1), "the kernel has 1 spatial axis; give one"),
            (lambda: streaming.Conv((1, 1, 3), stride=0), "stride=0: it must be at least 1"),
            (lambda: streaming.Conv((3, 1, 3), groups=2), "groups=2: it must divide"),
            (lambda: streaming.ConvTranspose((1, 1, 3), output_padding=1), "smaller than"),
            (lambda: stream.init((1, 2, 8), np.float32), "the kernel takes 3 channels"),
            (lambda: stream.init((8,), np.float32), "chunk=array of shape (8,)"),
            (lambda: stream.step(state, np.zeros((2, 3, 1), np.float32), w), "axis 2 may differ"),
            (lambda: stream.step(state, np.zeros((1, 3, 1), np.int32), w), "the state is float32"),
            (lambda: stream.step(state[..., :1], state, w), "has 2 to 4 elements along axis 2"),
            (lambda: stream.flush(state, w[..., 1:]), "takes a kernel of shape (2, 3, 5)"),
            (lambda: thirds.flush(begun, one), "complete the stride"),
            (lambda: chain.step((state,), state), "each of the 1 part"),
        ]
    )
