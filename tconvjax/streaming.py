"""Convolutions of a signal that arrives in chunks, equal to those of the whole signal.

A step joins the elements that its state has kept with the new chunk, lets `tconvjax.conv` or
`tconvjax.conv_transpose` compute the result elements that no later chunk can change, and keeps the
elements that later results still need. So every result element is one sum of the operation itself,
bias and rounding included, and there is no seam.

The state is one array: the kept elements. Its length along the streamed axis also tells where the
stream is, near its beginning or between two strides, so all shapes are static without a counter.
The zeros that pad the beginning are the first elements kept.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jax.typing import ArrayLike

from tconvjax import operands
from tconvjax.arguments import Ints, choice, counted, frozen, ints, whole
from tconvjax.errors import Described, array_of, fail, kind_of
from tconvjax.geometry import Axis, Geometry
from tconvjax.geometry.geometry import kernel_rank
from tconvjax.geometry.padding import PADDING_MODES, Padding, PaddingMode, conv_pads, pads
from tconvjax.geometry.sizes import conv_axis, conv_transpose_axis
from tconvjax.layouts import DimensionNumbers, Specs, layout, permuted, positions, sizes
from tconvjax.operations import conv, conv_transpose

__all__ = ["Chain", "Conv", "ConvTranspose"]

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    # For type checkers, and for jaxtyping's own at run time; else it costs 20 ms of import.
    from jaxtyping import Array, Num

    Data: TypeAlias = Num[ArrayLike, "..."]


@dataclass(frozen=True)
class _Stream:
    """Both streams; integers are along the streamed axis."""

    w_shape: Sequence[int]
    _: KW_ONLY
    axis: int = -1
    stride: Ints = 1
    padding: Padding = 0
    dilation: Ints = 1
    groups: int = 1
    dimension_numbers: DimensionNumbers = None
    padding_mode: PaddingMode = "zeros"

    _transposed = False
    _specs: Specs = field(init=False, repr=False, compare=False)
    _columns: list[Any] = field(init=False, repr=False, compare=False)
    """Taps, stride, dilation, padding, mode and output padding of each axis."""
    _whole: Geometry = field(init=False, repr=False, compare=False)
    """Of a signal of a multiple of the stride that is longer than any padding."""
    _streamed: Axis = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Read the arguments as the operation does, into hashable values."""
        shape = frozen("w_shape", self.w_shape)
        rank, axis = kernel_rank(shape), whole("axis", self.axis)
        if not -rank <= axis < rank:
            rule = f"the kernel has {counted(rank, 'spatial axis', 'spatial axes')}"
            fail("axis", axis, rule, f"give one from {-rank} to {rank - 1}")
        if choice("padding_mode", self.padding_mode, PADDING_MODES) != "zeros":
            rule = "it needs elements that have not arrived, or changes results that are given out"
            fail("padding_mode", self.padding_mode, rule, "use 'zeros', or pass the whole signal")
        specs, groups = layout(self.dimension_numbers, rank), whole("groups", self.groups, 1)
        steps = {name: ints(name, getattr(self, name), rank, 1) for name in ("stride", "dilation")}
        extra = ints("output_padding", getattr(self, "output_padding", 0), rank, 0)
        padding, modes = frozen("padding", self.padding), (self.padding_mode,) * rank
        outs, ins, *taps = permuted(shape, specs.rhs_spec)
        columns = list(zip(taps, *steps.values(), pads(padding, rank), modes, extra, strict=True))
        read = {"w_shape": shape, "axis": axis % rank, "padding": padding, "_specs": specs, **steps}
        read |= {"dimension_numbers": specs, "output_padding": extra, "_columns": columns}
        for name, value in read.items():
            object.__setattr__(self, name, value)
        axes = []
        for n, (k, s, d, ends, *_) in enumerate(columns):
            most = 0 if isinstance(ends, str) else sum(map(abs, ends))
            axes.append(self._axis(n, s * (1 + d * k + most)))
        object.__setattr__(self, "_whole", Geometry(tuple(axes), ins * groups, outs, groups))
        object.__setattr__(self, "_streamed", axes[self.axis])

    def _axis(self, n: int, size: int) -> Axis:
        """An axis of the operation on a whole signal of this size."""
        if self._transposed:
            return conv_transpose_axis(size, *self._columns[n], None)
        return conv_axis(size, *self._columns[n][:5])

    def _result(self, axis: Axis) -> int:
        return axis.in_size if self._transposed else axis.out_size

    def _end(self, n: int) -> int:
        """Elements of the result if the signal ends after n; negative if it is too short."""
        axis, padding = self._streamed, self._columns[self.axis][3]
        if self._transposed:
            return axis.in_size + axis.stride * (n - axis.out_size)
        low, high = conv_pads(padding, n % axis.stride, axis.span, axis.stride)
        if low != axis.low:
            rule = f"it pads the beginning by {low} here, and by {axis.low} if strides are complete"
            fail("padding", padding, rule, "complete the stride, or give numbers")
        return (n + low + high - axis.span) // axis.stride + 1

    @functools.cached_property
    def _kept(self) -> tuple[int, int, int]:
        """Elements that a state holds: at first, which are zeros, at least, and at most.

        Of y, all whose stamps reach beyond what is given, and as many as tell that nothing is yet.
        Of x, all that are not cropped from what the next output reads, and the cropped ones. One
        more brings an output out, unless the end of the signal may still crop it.
        """
        axis, first = self._streamed, max(self._streamed.low, 0)
        if self._transposed:
            silent = -(-self.latency // axis.stride)
            most = max((self.latency - axis.low + axis.span - 1) // axis.stride, silent)
            return most - silent, most - silent, most
        high = conv_pads(self._columns[self.axis][3], 0, axis.span, axis.stride)[1]
        read = first - axis.low + axis.span + max(-high, 0)
        full = max(read, first + 1, axis.stride)
        return first, min(first, full - axis.stride), full - 1

    def given(self, n: int) -> int:
        """Elements that steps have given after n of the signal; at the start, negative for none."""
        if self._transposed:  # what is finished, and in the result however soon that ends
            return self._streamed.stride * whole("n", n) - max(self._streamed.low, -self._end(0), 0)
        first, _, most = self._kept
        return (first + whole("n", n) - most - 1) // self._streamed.stride + 1

    def out_length(self, n: int) -> int:
        """Elements of the result of a whole signal of n elements: of all steps and the flush."""
        return self._result(self._axis(self.axis, whole("n", n, 0)))

    @property
    def latency(self) -> int:
        """Elements of the result by which steps lag behind the signal."""
        return -self.given(0)

    @property
    def chunk_multiple(self) -> int:
        """The smallest chunk that gives whole elements of the result."""
        return 1 if self._transposed else self._streamed.stride

    @property
    def state_size(self) -> int:
        """Elements that a state holds between chunks of `chunk_multiple`, past the beginning."""
        first, _, most = self._kept
        return most if self._transposed else first + self._streamed.stride * self.latency

    # -- arrays ------------------------------------------------------------------------------------

    def init(self, chunk_shape: Sequence[Any], dtype: Any, *_: Any) -> Num[Array, "..."]:
        """The state before the first chunk.

        Args:
            chunk_shape: of any chunk, with or without batch axes; its length along the streamed
                axis does not matter.
            dtype: of the chunks.

        Returns:
            Zeros, in the shape of a chunk except along the streamed axis.

        Raises:
            GeometryError: if no chunk has this shape.
        """
        chunk = _chunk(chunk_shape, dtype)
        along = self._along("chunk", chunk)
        shape = (*chunk.shape[:along], self._kept[0], *chunk.shape[along + 1 :])
        return jnp.zeros(shape, chunk.dtype)

    def step(
        self, state: Data, chunk: Data, w: Data, bias: Data | None = None
    ) -> tuple[Num[Array, "..."], Num[Array, "..."]]:
        """Take a chunk and give the elements of the result that no later chunk can change.

        Args:
            state: of `init` or of the last step.
            chunk: the next elements of the signal, of any number, also none.
            w: the kernel.
            bias: as the operation takes it.

        Returns:
            The next state and the next elements of the result, which may be none.

        Raises:
            GeometryError: if an array does not fit the stream or the state.
        """
        read = operands.arrays(*operands.NARROW, state=state, chunk=chunk, w=w, bias=bias)
        self._check(*read[:3])
        return _run(self, *read)

    def flush(self, state: Data, w: Data, bias: Data | None = None) -> Num[Array, "..."]:
        """End the signal and give the rest of the result; arguments as in `step`.

        Raises:
            GeometryError: if an array does not fit the stream, or the size does not fit "SAME".
        """
        kept, kernel, shift = operands.arrays(*operands.NARROW, state=state, w=w, bias=bias)
        self._check(kept, kept, kernel)
        return _run(self, kept, None, kernel, shift)[1]

    def _along(self, name: str, value: Any) -> int:
        """The position of the streamed axis in a chunk or a state."""
        if value.dtype.name in operands.UNJOINED:
            rule = f"a stream cannot join chunks of {', '.join(operands.UNJOINED)}"
            fail(name, Described(f"array of dtype {value.dtype}"), rule, "convert it with .astype")
        whole, specs = self._whole, self._specs
        spec = specs.out_spec if self._transposed else specs.lhs_spec
        channels = whole.out_channels if self._transposed else whole.in_channels
        if sizes(name, value, spec)[0] != channels:
            rule = f"the kernel takes {counted(channels, 'channel')}"
            fail(name, array_of(value.shape), rule, "reshape it, or name its layout")
        return positions(value.ndim, spec)[1 + self.axis]

    def _check(self, state: Any, chunk: Any, w: Any) -> None:
        along, (_, least, most) = self._along("state", state), self._kept
        if not least <= state.shape[along] <= most:
            rule = f"a state of this stream has {least} to {most} elements along axis {along}"
            fail("state", array_of(state.shape), rule, "begin with init")
        if w.shape != self.w_shape:
            rule = f"the stream takes a kernel of shape {self.w_shape}"
            fail("w", array_of(w.shape), rule, "make a stream of this shape")
        if chunk.dtype != state.dtype or chunk.shape != (
            state.shape[:along] + chunk.shape[along : along + 1] + state.shape[along + 1 :]
        ):
            given = Described(f"{chunk.dtype} array of shape {chunk.shape}")
            rule = f"the state is {state.dtype} of shape {state.shape}; axis {along} may differ"
            fail("chunk", given, rule, "call init with the shape and dtype of the chunks")


def _chunk(shape: Any, dtype: Any) -> Any:
    """A chunk without its numbers; its batch may be symbolic."""
    dtype = operands.dtype_of("dtype", dtype)
    try:
        return jax.eval_shape(lambda: jnp.zeros(shape, dtype))
    except Exception:  # noqa: BLE001 - JAX refuses by several
        fail("chunk_shape", shape, "it must be the shape of a chunk", "give chunk.shape")


@functools.partial(jax.jit, static_argnums=0)
def _run(stream: _Stream, state: Any, chunk: Any, w: Any, bias: Any) -> tuple[Any, Any]:
    """A step, or without a chunk the flush: the next state and the elements of the result."""
    specs, axis, (first, _, most) = stream._specs, stream._streamed, stream._kept
    source, target = (specs.lhs_spec, specs.out_spec)[:: -1 if stream._transposed else 1]
    along = stream._along("state", state)
    data = state if chunk is None else lax.concatenate((state, chunk), along)
    seen, length = state.shape[along] - first, data.shape[along]
    before = max(stream.given(seen), 0)
    after = stream._end(seen) if chunk is None else stream.given(length - first)
    count = max(after - before, 0)
    if stream._transposed:  # the data begins ``first`` elements before the signal or its rest
        low, used = before + axis.stride * first + axis.low, max(length - most, 0)
    else:
        low, used = min(axis.low, 0), min(axis.stride * count, length)
    # The operations give no empty axis, so of one element more all are cut off.
    wanted = (low, count) if count else (0, 1)
    ends = []
    for n, size in enumerate(sizes("chunk", data, source)[1:]):
        taps, stride, dilation, *_ = stream._columns[n]
        other = None if n == stream.axis else stream._axis(n, size)
        low, result = (other.low, stream._result(other)) if other else wanted
        ins, outs = (result, size) if stream._transposed else (size, result)
        ends.append((low, stride * (outs - 1) + dilation * (taps - 1) + 1 - ins - low))
    arguments: Any = {name: getattr(stream, name) for name in ("stride", "dilation", "groups")}
    arguments |= {"padding": ends, "dimension_numbers": specs}
    out = (conv_transpose if stream._transposed else conv)(data, w, bias, **arguments)
    out = lax.slice_in_dim(out, 0, count, axis=positions(out.ndim, target)[1 + stream.axis])
    return lax.slice_in_dim(data, used, None, axis=along), out


class Conv(_Stream):
    """`tconvjax.conv` of a signal that arrives in chunks along one axis.

    y[i] = bias + sum over t of w[t] * x[stride*i + dilation*t - low], when its last x is there

    The state holds the x from the first that the next y reads. After n elements, steps have given
    n / stride - latency.

    Args:
        w_shape: shape of the kernel, (O, C / groups, *kernel_size).
        axis: which of the spatial axes is streamed. The other arguments are those of the operation
            on the whole signal.
        padding: with "SAME" and a stride the beginning depends on the size of the signal, which
            must then be a multiple of the stride.
        padding_mode: only "zeros"; the others need elements that have not arrived.

    Raises:
        GeometryError: if the arguments do not fit together.

    Examples:
        >>> stream, w = Conv((1, 1, 3), padding="CAUSAL"), jnp.array([[[1, 10, 100]]])
        >>> state = stream.init((1, 1, 2), w.dtype)
        >>> state, first = stream.step(state, jnp.array([[[1, 2]]]), w)
        >>> state, second = stream.step(state, jnp.array([[[3]]]), w)
        >>> first.tolist(), second.tolist(), state.tolist()
        ([[[100, 210]]], [[[321]]], [[[2, 3]]])
    """


@dataclass(frozen=True)
class ConvTranspose(_Stream):
    """`tconvjax.conv_transpose` of a signal that arrives in chunks along one axis.

    z[j] = bias + sum of w[t] * y[i] over i, t with stride*i + dilation*t - low = j, when its last
    y is there

    The state holds the y whose stamps are unfinished, because they reach z that are not given yet.
    After n elements, steps have given stride * n - latency.

    Args:
        w_shape: shape of the kernel, (O, C / groups, *kernel_size).
        axis: which of the spatial axes is streamed. The other arguments are those of the operation
            on the whole signal.
        padding_mode: only "zeros"; the others change results that are given out.

    Raises:
        GeometryError: if the arguments do not fit together.

    Examples:
        >>> stream, w = ConvTranspose((1, 1, 4), stride=2), jnp.array([[[1, 2, 3, 4]]])
        >>> state = stream.init((1, 1, 1), w.dtype)
        >>> state, first = stream.step(state, jnp.array([[[1]]]), w)
        >>> state, second = stream.step(state, jnp.array([[[10]]]), w)
        >>> first.tolist(), second.tolist(), stream.flush(state, w).tolist()
        ([[[1, 2]]], [[[13, 24]]], [[[30, 40]]])
    """

    output_padding: Ints = 0

    _transposed = True


@dataclass(frozen=True)
class Chain:
    """Streams one after another, with functions between them, as one stream.

    The latencies add up, each scaled by the strides after it.

    Args:
        parts: streams, chains, objects with their methods (a residual block), or functions that
            treat each place along the streamed axis by itself (an activation), in order.
        axis: the streamed axis of the arrays, not of the kernels: -1 with channels first.

    Examples:
        >>> up = ConvTranspose((1, 1, 4), stride=2, padding=1)
        >>> chain = Chain((up, jax.nn.relu, Conv((1, 1, 3), padding=1)))
        >>> up.latency, chain.latency, chain.out_length(4)
        (1, 2, 8)
        >>> y = jnp.ones((1, 1, 4))
        >>> weights = (y,), (), (jnp.ones((1, 1, 3)),)
        >>> state, out = chain.step(chain.init(y.shape, y.dtype, *weights), y, *weights)
        >>> out.tolist(), chain.flush(state, *weights).tolist()
        ([[[3.0, 5.0, 6.0, 6.0, 6.0, 6.0]]], [[[5.0, 3.0]]])
    """

    parts: Sequence[Any]
    _: KW_ONLY
    axis: int = -1

    def init(self, chunk_shape: Sequence[Any], dtype: Any, *arguments: Any) -> tuple[Any, ...]:
        """The states of the parts before the first chunk; arguments as in `step`."""
        chunk = _chunk(chunk_shape, dtype)
        states = []
        for part, _, given in self._each(self.parts, arguments):
            state = part.init(chunk.shape, chunk.dtype, *given) if hasattr(part, "init") else ()
            states.append(state)
            chunk = jax.eval_shape(functools.partial(_take, part), state, chunk, *given)[1]
        return tuple(states)

    def step(self, state: Any, chunk: Any, *arguments: Any) -> tuple[tuple[Any, ...], Any]:
        """Take a chunk through the parts.

        Args:
            state: of `init` or of the last step.
            chunk: the next elements of the signal.
            *arguments: a tuple for each part: ``(w, bias)`` or ``(w,)`` of a stream, those of its
                parts of a chain, and of a function what it takes after the array.

        Returns:
            The next state and the next elements of the result.
        """
        states = []
        for part, kept, given in self._each(state, arguments):
            kept, chunk = _take(part, kept, chunk, *given)
            states.append(kept)
        return tuple(states), chunk

    def flush(self, state: Any, *arguments: Any) -> Any:
        """End the signal and give the rest of the result; arguments as in `step`."""
        rest: Any = None
        for part, kept, given in self._each(state, arguments):
            outs = []
            if rest is not None:
                kept, rest = _take(part, kept, rest, *given)
                outs.append(rest)
            if hasattr(part, "flush"):
                outs.append(part.flush(kept, *given))
            rest = jnp.concatenate(outs, self.axis) if outs else None
        return rest

    def _each(self, state: Any, arguments: tuple[Any, ...]) -> Any:
        for name, values in (("state", state), ("arguments", arguments)):
            if not isinstance(values, Sequence) or len(values) != len(self.parts):
                rule = f"there is a tuple for each of the {counted(len(self.parts), 'part')}"
                fail(name, kind_of(values), rule, "give () for a function")
        return zip(self.parts, state, arguments, strict=True)

    @property
    def _streams(self) -> list[Any]:
        return [part for part in self.parts if hasattr(part, "step")]

    def given(self, n: int) -> int:
        """Elements that steps have given after n of the signal; at the start, negative for none."""
        return functools.reduce(lambda n, part: part.given(n), self._streams, n)

    def out_length(self, n: int) -> int:
        """Elements of the result of a whole signal of n elements."""
        return functools.reduce(lambda n, part: part.out_length(n), self._streams, n)

    @property
    def latency(self) -> int:
        """Elements of the result by which steps lag behind the signal."""
        return -self.given(0)

    @property
    def chunk_multiple(self) -> int:
        """The smallest chunk that gives every part a multiple of its own."""
        multiple, rate = 1, Fraction(1)
        for part in self._streams:
            n = part.chunk_multiple
            multiple = math.lcm(multiple, (n / rate).numerator)
            rate *= Fraction(part.given(n) - part.given(0), n)
        return multiple


def _take(part: Any, state: Any, chunk: Any, *given: Any) -> tuple[Any, Any]:
    """Step a part; a function has no state."""
    return part.step(state, chunk, *given) if hasattr(part, "step") else ((), part(chunk, *given))
