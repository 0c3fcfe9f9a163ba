"""A transposed layer in neutral terms: what every framework's arguments come to.

A transposed convolution of n elements along an axis has a natural result of

    stride * (n - 1) + span    elements,    span = dilation * (kernel_size - 1) + 1

and all that the frameworks call padding, output padding, output shape, "same" or "valid" only says
how many of them are cut off before the first and after the last; a negative number adds zeros. So
one `Crop` an axis, the groups and whether the rims wrap around is the whole layer. Each framework
reads its own arguments into this form and, where it can, writes it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from tconvjax.arguments import check_fields, ints, whole
from tconvjax.conventions.kernels import KERNELS, KernelLayout
from tconvjax.errors import fail
from tconvjax.geometry import group_count

Arguments: TypeAlias = Mapping[str, Any]
"""A layer's arguments, by the names that a framework gives them."""


@dataclass(frozen=True)
class Crop:
    """One axis of a transposed layer: its steps, and what it cuts off its natural result.

    Args:
        kernel_size: taps.
        stride: result elements between neighbouring stamps.
        dilation: result elements between neighbouring taps.
        low: natural elements that are cut off before the first; negative adds zeros.
        high: natural elements that are cut off after the last; negative adds zeros.

    Raises:
        GeometryError: if one is no whole number, or a step is below 1.
    """

    kernel_size: int
    stride: int
    dilation: int
    low: int = 0
    high: int = 0

    def __post_init__(self) -> None:
        """Refuse what is no axis of a layer."""
        steps = {"kernel_size": 1, "stride": 1, "dilation": 1}
        check_fields(self, {**steps, "low": None, "high": None})

    @property
    def span(self) -> int:
        """Result elements that one stamp covers, from its first tap to its last."""
        return self.dilation * (self.kernel_size - 1) + 1

    @property
    def around_dilated(self) -> tuple[int, int]:
        """What a convolution of the dilated input pads it with, to give the same result."""
        return self.span - 1 - self.low, self.span - 1 - self.high

    def size(self, n: int) -> int:
        """The elements of the result of n elements.

        Raises:
            GeometryError: if n is no whole number.
        """
        return self.stride * (whole("n", n) - 1) + self.span - self.low - self.high


@dataclass(frozen=True)
class Layer:
    """A transposed layer without its weights.

    Args:
        axes: one `Crop` for each spatial axis.
        groups: blocks of channels that do not see one another.
        mode: "zeros", or "circular" where the result is ``stride * n`` elements long and what lies
            beyond them is added at the other end.
        about: what does not decide the values: ``in_channels``, ``out_channels``, ``bias``.

    Raises:
        GeometryError: if a part is of another kind, or there is no axis.
    """

    axes: tuple[Crop, ...]
    groups: int = 1
    mode: Literal["zeros", "circular"] = "zeros"
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what is no layer."""
        axes = self.axes
        if not isinstance(axes, tuple) or not axes or not all(isinstance(a, Crop) for a in axes):
            fail("axes", axes, "a layer has one Crop or more", "give a tuple of Crop")
        group_count(self.groups)
        if not isinstance(self.mode, str) or self.mode not in ("zeros", "circular"):
            fail("mode", self.mode, "the modes are zeros and circular", "use one of them")
        if not isinstance(self.about, Mapping):
            fail("about", self.about, "it holds what does not decide the values", "give a dict")

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.axes)

    def each(self, name: str) -> tuple[Any, ...]:
        """One attribute of every axis.

        Raises:
            GeometryError: if a `Crop` has no such attribute.
        """
        names = (*Crop.__dataclass_fields__, "span", "around_dilated")
        if not isinstance(name, str) or name not in names:
            fail("name", name, f"a Crop has {', '.join(names)}", "give one of them")
        return tuple(getattr(axis, name) for axis in self.axes)

    @property
    def crops(self) -> tuple[tuple[int, int], ...]:
        """(low, high) of every axis."""
        return tuple((axis.low, axis.high) for axis in self.axes)


@dataclass(frozen=True)
class Reader:
    """A framework's arguments, read by the names of concepts.

    Args:
        given: the arguments.
        names: for each concept the framework's name of it.
        rank: the number of spatial axes.
        data_size: the spatial sizes of the layer's input, where they are known.
    """

    given: Arguments
    names: Mapping[str, str]
    rank: int
    data_size: tuple[int, ...] | None = None

    def value(self, concept: str, default: Any = None) -> Any:
        """What was given, None and absence both meaning the default."""
        found = self.given.get(self.names.get(concept, ""), default)
        return default if found is None else found

    def padding(self, default: Any) -> Any:
        """The padding that was given; None is none, where others stand for a default."""
        return self.given.get(self.names["padding"], default)

    def ints(self, concept: str, least: int, default: int = 1) -> tuple[int, ...]:
        """One int an axis."""
        name = self.names.get(concept, concept)
        return ints(name, self.value(concept, default), self.rank, least)

    def steps(self) -> list[Crop]:
        """The axes with nothing cut off yet."""
        columns = zip(
            self.ints("kernel_size", 1),
            self.ints("stride", 1),
            self.ints("dilation", 1),
            strict=True,
        )
        return [Crop(*column) for column in columns]

    def sizes(self, why: str) -> tuple[int, ...]:
        """The spatial sizes of the input, which some arguments cannot be read without."""
        if self.data_size is None:
            fail(
                "input_size",
                None,
                f"{why} means a different padding for every input size",
                "say for which: input_size=(...)",
            )
        return self.data_size


@dataclass(frozen=True)
class Framework:
    """How one framework says a transposed layer.

    Args:
        name: the key that `translate` and the converters take.
        call: what is called there, for people.
        names: for each concept (kernel_size, stride, padding, ...) its argument's name there; what
            is not in it cannot be said.
        data: where the channels of the data stand, for people.
        padding: what the padding argument means and takes, for people.
        read: from arguments to the neutral form.
        write: back, with the input's spatial sizes where they are known.
    """

    name: str
    call: str
    names: Mapping[str, str]
    data: str
    padding: str
    read: Callable[[Reader], Layer]
    write: Callable[[Layer, tuple[int, ...] | None], dict[str, Any]]

    @property
    def kernel(self) -> KernelLayout:
        """Where the axes of the kernel stand."""
        return KERNELS[self.name]


def check_name(argument: str, value: Any, names: Iterable[str]) -> None:
    """Refuse what is none of the names."""
    if not isinstance(value, str) or value not in names:
        fail(argument, value, f"the names are {', '.join(names)}", "use one of them")


def unsaid(framework: str, concept: str, value: Any, why: str, remedy: str) -> Any:
    """Raise GeometryError: this framework cannot say that."""
    return fail(concept, value, f"{framework} cannot say it: {why}", remedy)


def without_groups(framework: str, layer: Layer) -> None:
    """Refuse groups for a framework that has none."""
    if layer.groups > 1:
        unsaid(
            framework,
            "groups",
            layer.groups,
            "it has no groups",
            "use tconvjax, or one layer for each block of channels",
        )


def without_circles(framework: str, layer: Layer) -> None:
    """Refuse wrapped rims for a framework that has none."""
    if layer.mode != "zeros":
        unsaid(framework, "padding_mode", layer.mode, "it has none", "use tconvjax")
