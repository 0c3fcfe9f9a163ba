"""From a framework's arrays and the neutral form to `tconvjax.conv_transpose`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jax
from jax import lax

from tconvjax import operands
from tconvjax.conventions.kernels import KERNELS, KernelLayout, check_kernel_groups, turned
from tconvjax.conventions.layer import Framework, Layer, Reader
from tconvjax.errors import Described, GeometryError, array_of, fail
from tconvjax.geometry import group_count
from tconvjax.operations import conv_transpose


@dataclass(frozen=True)
class Call:
    """The arrays of one call, under the names that a framework gives its parameters.

    Args:
        framework: whose call it is.
        arrays: data, kernel and bias (None for none), by parameter name, in this order.
        data_spec: where the (batch, channel, *spatial) axes of the data stand.
        result_spec: where those of the result stand.
        kernel_spec: where the (C, M, *taps) axes of the kernel stand.
        backwards: whether it is the kernel of a convolution of the dilated input.
    """

    framework: Framework
    arrays: Mapping[str, Any]
    data_spec: tuple[int, ...]
    result_spec: tuple[int, ...]
    kernel_spec: tuple[int, ...]
    backwards: bool

    @classmethod
    def of(
        cls,
        framework: Framework,
        given: Mapping[str, Any],
        *,
        layout: str = "",
        batch: Sequence[int] = (1,),
        last: bool = False,
        promotes: bool = False,
    ) -> Call:
        """Read and check the arrays of a call.

        Args:
            framework: whose call it is.
            given: data, kernel and bias by parameter name.
            layout: a key of `KERNELS`; the framework's own without.
            batch: how many batch axes the data may have.
            last: whether the channels of the data come last.
            promotes: whether the framework brings arrays of several dtypes to one.
        """
        arrays = read_arrays(given)
        axes = KERNELS[layout or framework.name]
        _check_ranks(framework, arrays, axes, batch)
        rank = list(arrays.values())[1].ndim - 2
        spec = (0, rank + 1, *range(1, rank + 1)) if last else tuple(range(rank + 2))
        if not promotes:
            check_dtypes(framework, arrays)
        return cls(framework, arrays, spec, spec, axes.spec(rank), axes.backwards)

    @property
    def data(self) -> jax.Array:
        """The layer's input."""
        return next(iter(self.arrays.values()))

    @property
    def kernel(self) -> jax.Array:
        """The kernel as it was given."""
        return list(self.arrays.values())[1]

    @property
    def rank(self) -> int:
        """The number of spatial axes, which the kernel tells."""
        return self.kernel.ndim - 2

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """The taps along each axis."""
        return tuple(self.kernel.shape[n] for n in self.kernel_spec[2:])

    @property
    def data_size(self) -> tuple[int, ...]:
        """The spatial sizes of the data, whose batch axes lead."""
        extra = self.data.ndim - self.rank - 2
        return tuple(self.data.shape[n + extra] for n in self.data_spec[2:])

    @property
    def channels(self) -> int:
        """The channels of the data."""
        return self.data.shape[self.data_spec[1] + self.data.ndim - self.rank - 2]

    def reader(self, given: Mapping[str, Any]) -> Reader:
        """The framework's reader of its arguments, with what the arrays tell."""
        names = self.framework.names
        known = {names["kernel_size"]: self.kernel_size}
        return Reader({**given, **known}, names, self.rank, self.data_size)

    def run(
        self, given: Mapping[str, Any], precision: Any = None, preferred: Any = None, least: int = 0
    ) -> Any:
        """Read the arguments and compute; an axis of the result has ``least`` elements at least."""
        layer = self.framework.read(self.reader(given))
        self._check_result(layer, least)
        return self.apply(layer, precision, preferred)

    def apply(self, layer: Layer, precision: Any = None, preferred: Any = None) -> Any:
        """Compute a layer."""
        self._check_channels(layer.groups)
        data, kernel, bias = self.arrays.values()
        c, m, *taps = self.kernel_spec
        if self.backwards:
            kernel = turned(kernel, layer.groups, (m, c, *taps), (m, c, *taps))
        return conv_transpose(
            data,
            kernel,
            None if bias is None else bias.reshape(math.prod(bias.shape)),
            stride=layer.each("stride"),
            padding=layer.crops,
            dilation=layer.each("dilation"),
            groups=layer.groups,
            padding_mode=layer.mode,
            dimension_numbers=lax.ConvDimensionNumbers(
                self.result_spec, self.kernel_spec, self.data_spec
            ),
            precision=precision,
            preferred_element_type=preferred,
        )

    # -- checks ------------------------------------------------------------------------------------

    def _check_channels(self, groups: int) -> None:
        (first, data), (second, kernel), (third, bias) = self.arrays.items()
        check_kernel_groups(kernel, self.kernel_spec, self.backwards, groups)
        c, m = (kernel.shape[n] for n in self.kernel_spec[:2])
        c, m = (c * groups, m) if self.backwards else (c, m * groups)
        if self.channels != c:
            fail(
                second,
                array_of(kernel.shape),
                f"with groups={groups} it takes {c} channels, and {first} of shape {data.shape} "
                f"has {self.channels}",
                f"lay it out as {self.framework.name} does, or convert it "
                "with tconvjax.conventions.convert_kernel",
            )
        if bias is not None and math.prod(bias.shape) != m:
            fail(
                third,
                array_of(bias.shape),
                f"it has one element for each of the result's {m} channels",
                f"reshape it to ({m},)",
            )

    def _check_result(self, layer: Layer, least: int) -> None:
        if layer.mode == "circular":
            return
        for n, axis in zip(self.data_size, layer.axes, strict=True):
            if n > 0 and axis.size(n) < least:
                padding = self.framework.names["padding"]
                fail(
                    padding,
                    Described(f"cutting {axis.low} and {axis.high} elements off"),
                    f"{n} elements give {axis.size(n) + axis.low + axis.high} with kernel "
                    f"{axis.kernel_size}, stride {axis.stride} and dilation {axis.dilation}",
                    f"cut {least - axis.size(n)} less",
                )


def read_arrays(given: Mapping[str, Any]) -> dict[str, Any]:
    """Data, kernel and bias (which may be None) as arrays that JAX takes."""
    return {
        name: None if value is None and n == 2 else operands.arrays(**{name: value})[0]
        for n, (name, value) in enumerate(given.items())
    }


def check_dtypes(framework: Framework, arrays: Mapping[str, Any]) -> None:
    """All arrays must be of the data's dtype."""
    (first, data), *others = arrays.items()
    for name, array in others:
        if array is not None and array.dtype != data.dtype:
            fail(
                name,
                Described(f"array of dtype {array.dtype}"),
                f"{first} is {data.dtype}, and {framework.name} takes one dtype",
                f"convert it: {name}.astype({first}.dtype)",
            )


def _check_ranks(
    framework: Framework, arrays: Mapping[str, Any], layout: KernelLayout, allowed: Sequence[int]
) -> None:
    (data, first), (kernel, second), _ = arrays.items()
    if second.ndim < 3:
        fail(
            kernel,
            array_of(second.shape),
            f"a kernel of {framework.name} is {layout.words(1)}",
            "give it an axis of taps at least",
        )
    if first.ndim - second.ndim + 1 not in allowed:
        wanted = " or ".join(str(n + second.ndim - 1) for n in list(allowed)[:2])
        more = " or more" if len(allowed) > 2 else ""
        fail(
            data,
            array_of(first.shape),
            f"with a kernel of shape {second.shape} it has {wanted}{more} axes: {framework.data}",
            "reshape it",
        )


def groups_of(argument: str, value: Any) -> int:
    """A number of groups under a framework's own name for it."""
    try:
        return group_count(1 if value is None else value)
    except GeometryError:
        fail(argument, value, "it must be a whole number of at least 1", "give an int")
