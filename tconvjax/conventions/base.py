"""What a framework is here, and how its call is computed by `tconvjax.conv_transpose`.

A `Framework` reads its own arguments into the neutral `Layer` and writes a `Layer` back. A `Call`
holds the arrays of one call in the framework's own layouts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

import jax

from tconvjax import operands
from tconvjax.arguments import ints, whole
from tconvjax.conventions.kernels import KERNELS, check_kernel_groups, turned
from tconvjax.conventions.layer import Crop, Layer
from tconvjax.errors import Described, array_of, fail, kind_of, with_groups
from tconvjax.layouts import Specs, permuted, sizes
from tconvjax.operations import conv_transpose

Arguments: TypeAlias = Mapping[str, Any]
"""Arguments of a layer under the names that its framework uses."""

PLAIN = {"groups": "it has no groups", "padding_mode": "it has no padding mode"}
"""Reasons for what most frameworks lack."""


@dataclass(frozen=True)
class Reader:
    """A framework's arguments, looked up by concept."""

    arguments: Arguments
    names: Mapping[str, str]  # the framework's name for each concept
    rank: int  # number of spatial axes
    data_size: tuple[int, ...] | None = None  # spatial sizes of the layer's input, if known

    def value(self, concept: str, default: Any = None) -> Any:
        """The argument for a concept; a missing argument and None both mean the default."""
        found = self.arguments.get(self.names.get(concept, ""))
        return default if found is None else found

    def padding(self, default: Any) -> Any:
        """The padding argument; an explicit None stays None and is rejected later."""
        return self.arguments.get(self.names["padding"], default)

    def ints(self, concept: str, least: int, default: int = 1) -> tuple[int, ...]:
        """One whole number per axis."""
        name = self.names.get(concept, concept)
        return ints(name, self.value(concept, default), self.rank, least)

    def groups(self) -> int:
        """The number of groups."""
        return whole(self.names["groups"], self.value("groups", 1), 1)

    def steps(self) -> list[Crop]:
        """The axes before anything is cut off."""
        concepts = ("kernel_size", "stride", "dilation")
        return [Crop(*steps) for steps in zip(*(self.ints(c, 1) for c in concepts), strict=True)]

    def sizes(self, argument: str) -> tuple[int, ...]:
        """The spatial sizes of the input, without which this argument cannot be interpreted."""
        if self.data_size is None:
            need_sizes(f"{argument} means a different padding for every input size")
        return self.data_size


def need_sizes(rule: str) -> NoReturn:
    """Raise a GeometryError that asks for the spatial sizes of the input."""
    fail("input_size", None, rule, "give the spatial sizes of the input: input_size=(...)")


@dataclass(frozen=True)
class Framework:
    """How one framework expresses a transposed layer.

    ``read`` turns arguments into a layer. ``write`` turns a layer, and the spatial sizes of its
    input if known, into the arguments that are not simply one number per axis.
    """

    name: str  # key for translate and for the converters of weights
    title: str  # name for people
    call: str  # the layer or function, for people
    names: Mapping[str, str]  # argument names by concept (kernel_size, stride, padding, ...)
    data: str  # layout of the data, for people
    read: Callable[[Reader], Layer]
    write: Callable[[Layer, tuple[int, ...] | None], dict[str, Any]]
    # concept to the reason for its absence; "" where the kernel tells it
    lacks: Mapping[str, str] = field(default_factory=dict)
    extras: tuple[str, ...] = ()  # further arguments, which decide how others are read

    def arguments(self, layer: Layer, data_size: tuple[int, ...] | None) -> dict[str, Any]:
        """A layer in this framework's arguments, or an error that says why it has none."""
        steps = {name: layer.each(name) for name in ("kernel_size", "stride", "dilation")}
        values = {**layer.about, "rank": layer.rank, **steps}
        values |= {"groups": layer.groups, "padding_mode": layer.mode}
        plain = {"dilation": (1,) * layer.rank, "groups": 1, "padding_mode": "zeros"}
        for concept, why in self.lacks.items():
            value = values.pop(concept)
            if value != plain.get(concept, value):
                more = ", or one layer for each block of channels" if concept == "groups" else ""
                cannot(self.title, concept, value, why, f"use tconvjax{more}")
        values.pop("padding_mode", None)  # ``write`` says it with the padding
        named = {self.names[c]: value for c, value in values.items() if c in self.names}
        return {**named, **self.write(layer, data_size)}


def by_concept(same: str, **others: str) -> Mapping[str, str]:
    """The names of a framework's arguments by concept; the words of ``same`` are both."""
    return {concept: concept for concept in same.split()} | others


def cannot(title: str, argument: str, value: Any, why: str, remedy: str) -> NoReturn:
    """Raise a GeometryError: the framework cannot express this."""
    fail(argument, value, f"{title} cannot express it: {why}", remedy)


@dataclass(frozen=True)
class Call:
    """The arrays of one call; C and M are the channels of the data and of the result."""

    framework: Framework
    names: tuple[str, ...]  # parameter names of data, kernel and bias
    data: jax.Array
    kernel: jax.Array
    bias: jax.Array | None
    specs: Specs  # positions of the axes of the result, of the kernel (C, M, *taps) and of the data
    backwards: bool  # whether the kernel is that of a convolution of the dilated input

    @classmethod
    def of(
        cls,
        framework: Framework,
        arrays: Mapping[str, Any],
        *,
        layout: str = "",
        batch: Sequence[int] = (1,),
        last: bool = False,
        promotes: bool = False,
    ) -> Call:
        """Read and validate data, kernel and bias, given by parameter name in this order.

        ``layout`` is a key in `KERNELS`, ``batch`` the allowed numbers of batch axes; ``last`` puts
        the channels of the data last, and ``promotes`` allows arrays of several dtypes.
        """
        data_name, kernel_name, bias_name = names = tuple(arrays)
        given = {n: value for n, value in arrays.items() if n != bias_name or value is not None}
        read = dict(zip(given, operands.arrays(**given), strict=True))
        data, kernel, bias = read[data_name], read[kernel_name], read.get(bias_name)
        axes, rank = KERNELS[layout or framework.name], kernel.ndim - 2
        if rank < 1:
            rule = f"a kernel of {framework.title} is {axes.words()}"
            fail(kernel_name, array_of(kernel.shape), rule, "give it at least one axis of taps")
        if data.ndim - rank - 1 not in batch:
            counts = " or ".join(str(n + rank + 1) for n in list(batch)[:2])
            counts += " or more" if len(batch) > 2 else ""
            rule = f"with a kernel of shape {kernel.shape} it has {counts} axes: {framework.data}"
            fail(data_name, array_of(data.shape), rule, "reshape it")
        for name, array in read.items():
            if array.dtype != data.dtype and not promotes:
                rule = f"{data_name} is {data.dtype}, and {framework.title} takes one dtype"
                remedy = f"convert it: {name}.astype({data_name}.dtype)"
                fail(name, Described(f"array of dtype {array.dtype}"), rule, remedy)
        spec = (0, rank + 1, *range(1, rank + 1)) if last else tuple(range(rank + 2))
        specs = Specs(spec, axes.spec(rank), spec)
        return cls(framework, names, data, kernel, bias, specs, axes.backwards)

    @property
    def kernel_size(self) -> tuple[int, ...]:
        """The number of taps along each axis."""
        return permuted(self.kernel.shape, self.specs.rhs_spec[2:])

    def run(
        self, precision: Any = None, preferred: Any = None, least: int = 0, **arguments: Any
    ) -> Any:
        """Read the arguments and compute; every axis of the result needs ``least`` elements."""
        names, taps = self.framework.names, self.kernel_size
        channels, *data_size = sizes(self.names[0], self.data, self.specs.out_spec)
        arguments[names["kernel_size"]] = taps
        layer = self.framework.read(Reader(arguments, names, len(taps), tuple(data_size)))
        for n, axis in zip(data_size, layer.axes, strict=True):
            size = axis.size(n)
            if n > 0 and size < least:
                found = Described(f"cutting {axis.low} and {axis.high} off")
                rule = f"an input of size {n} gives {size + axis.low + axis.high} with kernel "
                rule += f"{axis.kernel_size}, stride {axis.stride} and dilation {axis.dilation}"
                fail(names["padding"], found, rule, f"cut {least - size} less")
        self._check_channels(channels, layer.groups)
        kernel, bias, spec = self.kernel, self.bias, self.specs.rhs_spec
        return conv_transpose(
            self.data,
            turned(kernel, layer.groups, spec, spec, True) if self.backwards else kernel,
            None if bias is None else bias.reshape(math.prod(bias.shape)),
            stride=layer.each("stride"),
            padding=layer.crops,
            dilation=layer.each("dilation"),
            groups=layer.groups,
            padding_mode=layer.mode,
            dimension_numbers=self.specs,
            precision=precision,
            preferred_element_type=preferred,
        )

    def _check_channels(self, channels: int, groups: int) -> None:
        data_name, kernel_name, bias_name = self.names
        kernel, bias, spec = self.kernel, self.bias, self.specs.rhs_spec
        check_kernel_groups(kernel, spec, self.backwards, groups)
        named = self.framework.names.get("groups", "")
        of_c, of_m = (named, "") if self.backwards else ("", named)
        c, m = shape = permuted(kernel.shape, spec[:2])
        c, m = (c * groups, m) if self.backwards else (c, m * groups)
        if channels != c:
            rule = f"with groups={groups} it takes {c} channels, and {data_name} of shape "
            rule += f"{self.data.shape} has {channels}"
            remedy = f"use {self.framework.title}'s layout, or convert the kernel with "
            remedy += "tconvjax.conventions.convert_kernel"
            remedy = with_groups(of_c, channels, shape[::-1], remedy)
            fail(kernel_name, array_of(kernel.shape), rule, remedy)
        if bias is not None and math.prod(bias.shape) != m:
            rule = f"it needs one element for each of the result's {m} channels"
            remedy = with_groups(of_m, math.prod(bias.shape), shape, f"give {m}")
            fail(bias_name, array_of(bias.shape), rule, remedy)


def check_mask(mask: Any, kernel: Any) -> None:
    """A mask has the shape of its kernel, and numbers or truth values."""
    shape = getattr(mask, "shape", None)
    if shape != kernel.shape:
        found = kind_of(mask) if shape is None else array_of(shape)
        rule = f"the kernel has shape {kernel.shape}"
        fail("mask", found, rule, "give a mask of the same shape")
    if mask.dtype.kind not in "biufcV":
        rule = "it must be an array of numbers or truth values"
        fail("mask", Described(f"array of dtype {mask.dtype}"), rule, "convert it with .astype")


def masked(argument: str, kernel: Any, mask: Any) -> Any:
    """A kernel times its mask; None is no mask."""
    if mask is None:
        return kernel
    (kernel,) = operands.arrays(**{argument: kernel})
    check_mask(mask, kernel)
    return kernel * mask.astype(kernel.dtype)
