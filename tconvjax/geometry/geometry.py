"""A convolution without its numbers, and the links that generate everything else from it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, NoReturn

from tconvjax.arguments import Ints, check_fields, choice, counted, frozen, ints, some, whole
from tconvjax.errors import Described, GeometryError, array_of, fail, with_groups
from tconvjax.geometry.axis import Axis
from tconvjax.geometry.padding import PADDING_MODES, Padding, PaddingMode, conv_pads, source
from tconvjax.geometry.sizes import conv_axis, conv_transpose_axis, steps
from tconvjax.shown import Shown


class Link(NamedTuple):
    """One product of the convolution: ``y[output] += w[tap] * x[input]``."""

    output: tuple[int, ...]
    input: tuple[int, ...]
    tap: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Geometry(Shown):
    """A convolution without its numbers: the static argument of every function of the package.

    Args:
        axes: one `Axis` for each spatial axis, in order.
        in_channels: channels of the forward convolution's input, C.
        out_channels: channels of its output, O.
        groups: blocks of channels that do not see one another; divides C and O.
    """

    axes: tuple[Axis, ...]
    in_channels: int = 1
    out_channels: int = 1
    groups: int = 1

    def __post_init__(self) -> None:
        """Validate the fields."""
        axes = self.axes
        if not isinstance(axes, tuple) or not axes or not all(isinstance(a, Axis) for a in axes):
            fail("axes", axes, "a convolution has one Axis or more", "give a tuple of Axis")
        check_fields(self, {"in_channels": 0, "out_channels": 0, "groups": 1})
        for name in ("in_channels", "out_channels"):
            channels = getattr(self, name)
            if channels % self.groups:
                rule = f"it must divide {name}={channels}"
                fail("groups", self.groups, rule, "give a divisor of both")

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.axes)

    @property
    def in_size(self) -> tuple[int, ...]:
        """The spatial sizes of the forward convolution's input."""
        return tuple(axis.in_size for axis in self.axes)

    @property
    def out_size(self) -> tuple[int, ...]:
        """The spatial sizes of the forward convolution's output."""
        return tuple(axis.out_size for axis in self.axes)

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """The number of taps along each axis."""
        return tuple(axis.kernel_size for axis in self.axes)

    @property
    def stride(self) -> tuple[int, ...]:
        """The stride along each axis."""
        return tuple(axis.stride for axis in self.axes)

    @property
    def dilation(self) -> tuple[int, ...]:
        """The dilation along each axis."""
        return tuple(axis.dilation for axis in self.axes)

    @property
    def padding(self) -> tuple[tuple[int, int], ...]:
        """The (low, high) padding of each axis that fits the output exactly; may be negative."""
        return tuple((axis.low, axis.high) for axis in self.axes)

    @property
    def in_shape(self) -> tuple[int, ...]:
        """(C, *in_size): one input of the forward convolution, channels first."""
        return (self.in_channels, *self.in_size)

    @property
    def out_shape(self) -> tuple[int, ...]:
        """(O, *out_size): one output of the forward convolution, channels first."""
        return (self.out_channels, *self.out_size)

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """(O, C / groups, *kernel_size): the kernel, as PyTorch and ONNX lay it out."""
        return (self.out_channels, self.in_channels // self.groups, *self.kernel_size)

    @property
    def bordered(self) -> bool:
        """Whether the padding of any axis holds copies of input elements."""
        return any(axis.bordered for axis in self.axes)

    def filled(self) -> Geometry:
        """The same sums over an input whose borders are filled in already."""
        return replace(self, axes=tuple(a.filled() if a.bordered else a for a in self.axes))

    @classmethod
    def of_conv(
        cls,
        x_shape: Sequence[int],
        w_shape: Sequence[int],
        *,
        stride: Ints = 1,
        padding: Padding = 0,
        dilation: Ints = 1,
        groups: int = 1,
        padding_mode: PaddingMode = "zeros",
    ) -> Geometry:
        """The geometry of ``conv(x, w)``.

        out = floor((in + low + high - dilation * (kernel - 1) - 1) / stride) + 1

        Args:
            x_shape: (..., C, *in_size); leading batch sizes are ignored.
            w_shape: (O, C / groups, *kernel_size); its length tells the number of axes.
            stride: input elements between neighbouring outputs, at least 1.
            padding: an int, one int per axis, (low, high) pairs (negative crops), or "VALID",
                "SAME" (out = ceil(in / stride), the odd element after), "SAME_LOWER" (the odd
                element before), "CAUSAL" (everything before).
            dilation: input elements between neighbouring taps, at least 1.
            groups: blocks of channels; divides C and O.
            padding_mode: "zeros", "circular", "reflect" or "replicate".

        Returns:
            A frozen, hashable geometry.

        Raises:
            GeometryError: if the arguments do not describe a convolution.

        Examples:
            >>> Geometry.of_conv((1, 7, 7), (1, 1, 3, 3), stride=2, padding=1).out_size
            (4, 4)
        """
        kernel, taps, groups = _read_kernel(w_shape, groups)
        channels, sizes = _read_data("x", x_shape, len(taps))
        if channels != kernel[1] * groups:
            _misfit(
                kernel,
                f"x has {channels} channels and groups={groups}, so the kernel's second axis "
                f"must have {channels} / {groups} entries, and has {kernel[1]}",
                "(out_channels, in_channels / groups, *kernel_size)",
                channels,
                last=sizes[-1] == kernel[1] * groups,
            )
        mode = choice("padding_mode", padding_mode, PADDING_MODES)
        columns = zip(sizes, taps, *steps(len(taps), stride, dilation, padding), strict=True)
        axes = tuple(conv_axis(*column, mode) for column in columns)
        return cls(axes, channels, kernel[0], groups)

    @classmethod
    def of_conv_transpose(
        cls,
        y_shape: Sequence[int],
        w_shape: Sequence[int],
        *,
        stride: Ints = 1,
        padding: Padding = 0,
        output_padding: Ints = 0,
        output_size: Ints | None = None,
        dilation: Ints = 1,
        groups: int = 1,
        padding_mode: PaddingMode = "zeros",
    ) -> Geometry:
        """The geometry of ``conv_transpose(y, w)``: of the convolution that it transposes.

        in = stride * (out - 1) + dilation * (kernel - 1) + 1 - low - high + output_padding

        Args:
            y_shape: (..., O, *out_size); leading batch sizes are ignored.
            w_shape: (O, C / groups, *kernel_size), the forward convolution's kernel.
            stride: result elements between neighbouring stamps, at least 1.
            padding: the forward convolution's padding, which the transposed one cuts off. As in
                `of_conv`; "SAME" and "SAME_LOWER" give out * stride elements unless
                output_size says otherwise; "CAUSAL" gives as many, cut after the end, so that
                element j depends on the y[i] with stride * i <= j.
            output_padding: elements added after the end, to choose among the sizes that share an
                output size; smaller than the stride or than the dilation.
            output_size: the wanted in_size, instead of output_padding.
            dilation: result elements between neighbouring taps, at least 1.
            groups: blocks of channels; divides C and O.
            padding_mode: the forward convolution's padding mode.

        Returns:
            A frozen, hashable geometry.

        Raises:
            GeometryError: if the arguments do not describe a transposed convolution.

        Examples:
            >>> Geometry.of_conv_transpose((1, 4, 4), (1, 1, 3, 3), stride=2, padding=1).in_size
            (7, 7)
        """
        kernel, taps, groups = _read_kernel(w_shape, groups)
        rank = len(taps)
        channels, sizes = _read_data("y", y_shape, rank)
        if channels != kernel[0]:
            last = sizes[-1] == kernel[0]
            but = f" (but {kernel[0]} elements along its last axis)" if last else ""
            _misfit(
                kernel,
                f"y has {channels} channels{but}, so O must be {channels}",
                "(y's channels, result's channels / groups, *kernel_size), which is PyTorch's",
                last=last,
            )
        mode = choice("padding_mode", padding_mode, PADDING_MODES)
        extra = ints("output_padding", output_padding, rank, 0)
        wanted: tuple[int | None, ...] = (None,) * rank
        if output_size is not None:
            wanted = ints("output_size", output_size, rank, 0)
            if any(extra):
                rule = "output_size fixes the size already"
                fail("output_padding", output_padding, rule, "give one of the two")
        given = steps(rank, stride, dilation, padding)
        columns = zip(sizes, taps, *given, (mode,) * rank, extra, wanted, strict=True)
        axes = tuple(conv_transpose_axis(*column) for column in columns)
        return cls(axes, kernel[1] * groups, channels, groups)

    @classmethod
    def of_kernel_gradient(
        cls,
        x_shape: Sequence[int],
        y_shape: Sequence[int],
        kernel_size: Ints,
        *,
        stride: Ints = 1,
        padding: Padding = 0,
        dilation: Ints = 1,
        groups: int = 1,
        padding_mode: PaddingMode = "zeros",
    ) -> Geometry:
        """The geometry of ``kernel_gradient(x, y)``: of the convolution of x whose output is y.

        Args:
            x_shape: (..., C, *in_size); leading batch sizes are ignored.
            y_shape: (..., O, *out_size).
            kernel_size: taps, one int per axis; a tuple tells the number of axes.
            stride: as in `of_conv`.
            padding: as in `of_conv`.
            dilation: as in `of_conv`.
            groups: blocks of channels; divides C and O.
            padding_mode: as in `of_conv`.

        Returns:
            A frozen, hashable geometry.

        Raises:
            GeometryError: if no such convolution of x has an output of y's size.

        Examples:
            >>> Geometry.of_kernel_gradient((1, 8), (1, 4), 3, stride=2, padding=1).in_size
            (8,)
        """
        kernel = ints("kernel_size", kernel_size, None, 1)
        channels, x_size = _read_data("x", x_shape, len(kernel))
        filters, y_size = _read_data("y", y_shape, len(kernel))
        groups = whole("groups", groups, 1)
        if channels % groups:
            fail("groups", groups, f"it must divide x's {channels} channels", "give a divisor")
        w_shape = (filters, channels // groups, *kernel)
        # The sizes of x and y are both given; a name of a padding belongs to the convolution of x.
        strides, dilations, ends = steps(len(kernel), stride, dilation, padding)
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
        numbers = tuple(map(conv_pads, ends, x_size, spans, strides))
        options: Any = {"stride": strides, "padding": numbers, "dilation": dilations}
        options |= {"groups": groups, "padding_mode": padding_mode}
        try:
            return cls.of_conv_transpose((filters, *y_size), w_shape, output_size=x_size, **options)
        except GeometryError:
            forward = cls.of_conv((channels, *x_size), w_shape, **options)  # it may fail by itself
            rule = f"the convolution of x of size {x_size} has size {forward.out_size}"
            remedy = "pass the output of the convolution of this x"
            fail("y", Described(f"array of size {y_size}"), rule, remedy)


def check_geometry(geometry: Any) -> Geometry:
    """Return a geometry as it is; reject anything else."""
    if not isinstance(geometry, Geometry):
        given = Described(f"{type(geometry).__name__} object")
        remedy = "make one with Geometry.of_conv or Geometry.of_conv_transpose"
        fail("geometry", given, "it must be a Geometry", remedy)
    return geometry


def links(geometry: Geometry) -> Iterator[Link]:
    """Every product of the convolution, once.

    ``y[link.output] += w[link.tap] * x[link.input]`` over all links is the convolution;
    ``x[link.input] += w[link.tap] * y[link.output]`` is the transposed convolution.

    Args:
        geometry: any geometry.

    Returns:
        Links in the order of their outputs, then channels, then taps. ``output`` indexes an array
        of ``geometry.out_shape``, ``input`` one of ``in_shape``, ``tap`` one of ``kernel_shape``.

    Examples:
        >>> for link in links(Geometry.of_conv((1, 3), (1, 1, 2))):
        ...     print(link.output, link.input, link.tap)
        (0, 0) (0, 0) (0, 0, 0)
        (0, 0) (0, 1) (0, 0, 1)
        (0, 1) (0, 1) (0, 0, 0)
        (0, 1) (0, 2) (0, 0, 1)
    """
    check_geometry(geometry)
    in_block = geometry.in_channels // geometry.groups
    out_block = geometry.out_channels // geometry.groups
    by_output: list[dict[int, list[tuple[int, int]]]] = []
    for axis in geometry.axes:
        by_output.append({i: [] for i in range(axis.out_size)})
        for i, j, t in axis.links():
            by_output[-1][i].append((j, t))
    for o in range(geometry.out_channels):
        first = in_block * (o // out_block)
        for outputs in itertools.product(*map(range, geometry.out_size)):
            meets = [by_output[n][i] for n, i in enumerate(outputs)]
            for c in range(in_block):
                for pairs in itertools.product(*meets):
                    inputs, taps = tuple(p[0] for p in pairs), tuple(p[1] for p in pairs)
                    yield Link((o, *outputs), (first + c, *inputs), (o, c, *taps))


def taps_between(
    geometry: Geometry, output: tuple[int, ...], origin: tuple[int, ...]
) -> list[tuple[int, ...]]:
    """The taps (o, c, *t) between an output (o, *i) and an input (c, *j): one entry of C."""
    group, within = divmod(origin[0], geometry.kernel_shape[1])
    if output[0] // (geometry.out_channels // geometry.groups) != group:
        return []
    taps = map(_taps_along, geometry.axes, output[1:], origin[1:])
    return [(output[0], within, *t) for t in itertools.product(*taps)]


def _taps_along(axis: Axis, i: int, j: int) -> list[int]:
    """The taps of an axis between an output and an input; several if the border copies it."""
    first = axis.stride * i - axis.low
    if axis.mode == "zeros":
        tap, rest = divmod(j - first, axis.dilation)
        return [tap] if rest == 0 and 0 <= tap < axis.kernel_size else []
    places = range(first, first + axis.span, axis.dilation)
    return [t for t, p in enumerate(places) if source(axis.mode, p, axis.in_size) == j]


# -- reading shapes --------------------------------------------------------------------------------


def kernel_rank(w_shape: Any) -> int:
    """The number of spatial axes of a kernel of this shape."""
    if not isinstance(w_shape, tuple) or len(w_shape) < 3:
        rule = "a kernel has two channel axes and at least one spatial axis"
        remedy = "reshape it to (out_channels, in_channels / groups, *kernel_size)"
        fail("w", array_of(w_shape), rule, remedy)
    return len(w_shape) - 2


def _read_kernel(w_shape: Any, groups: Any) -> tuple[tuple[int, ...], tuple[int, ...], int]:
    """The kernel's shape, its taps along each axis, and the groups, which divide its first axis."""
    kernel = frozen("w's shape", w_shape)
    rank = kernel_rank(kernel)
    taps = ints("kernel_size", kernel[2:], rank, 1)
    channels, _ = ints("w's shape", kernel[:2], 2, 0)
    groups = whole("groups", groups, 1)
    if channels % groups:
        divisors = [n for n in range(1, channels + 1) if channels % n == 0]
        rule = f"a kernel is (O, C / groups, *kernel_size), and groups must divide its O={channels}"
        fail("groups", groups, rule, f"groups that do: {some(divisors)}")
    return kernel, taps, groups


def _read_data(argument: str, shape: Any, rank: int) -> tuple[int, tuple[int, ...]]:
    """The channel count and the spatial sizes of an array of shape (..., channels, *sizes)."""
    if not isinstance(shape, Sequence) or isinstance(shape, str | bytes):
        shape = ints(f"{argument}'s shape", shape, None, 0)
    if len(shape) < rank + 1:
        axes = counted(rank, "spatial axis", "spatial axes")
        rule = f"a kernel of {axes} goes with a channel axis and {axes}, after any batch axes"
        fail(argument, array_of(shape), rule, "reshape it, or the kernel")
    last = tuple(shape)[-rank - 1 :]  # batch sizes need not be known before tracing
    channels, *sizes = ints(f"{argument}'s shape", last, rank + 1, 0)
    return channels, tuple(sizes)


def _misfit(
    w_shape: tuple[int, ...], rule: str, order: str, channels: int = 0, *, last: bool
) -> NoReturn:
    found = Described(f"kernel of shape {w_shape}, read as (O, C / groups, *kernel_size)")
    moved = "if the last axis has the channels, move them with jnp.moveaxis"
    remedy = f"{moved if last else f'lay the kernel out as {order}'}, or "
    remedy += "name the layouts of x, w and y with dimension_numbers"
    fail("w", found, rule, with_groups("groups", channels, w_shape, remedy))
