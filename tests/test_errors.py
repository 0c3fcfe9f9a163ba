"""Every bad argument: one exception class; argument, value received, rule, remedy."""

from __future__ import annotations

import re
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import tconvjax as tc
from tconvjax import Axis, Geometry, GeometryError, symbolic
from tconvjax.rendering import matrix_latex

X, W, Y = jnp.ones((1, 2, 7)), jnp.ones((4, 2, 3)), jnp.ones((1, 4, 4))


def conv(**keywords: Any) -> Any:
    return tc.conv(keywords.pop("x", X), keywords.pop("w", W), **keywords)


def transposed(**keywords: Any) -> Any:
    return tc.conv_transpose(keywords.pop("y", Y), keywords.pop("w", W), **keywords)


def gradient(**keywords: Any) -> Any:
    x, y = keywords.pop("x", X), keywords.pop("y", jnp.ones((1, 4, 5)))
    return tc.kernel_gradient(x, y, **{"kernel_size": 3, **keywords})


CASES: list[tuple[Any, dict[str, Any], str]] = [
    # steps
    (conv, {"stride": 0}, "stride=0: it must be at least 1; give 1 or more"),
    (conv, {"dilation": -1}, "dilation=-1: it must be at least 1; give 1 or more"),
    (conv, {"stride": 1.5}, "stride=1.5: it must be a whole number that is known before tracing; give a Python int"),
    (conv, {"stride": True}, "stride=True: it must be a whole number"),
    (conv, {"stride": (1, 2)}, "stride=(1, 2): the convolution has 1 spatial axis; give one int, or 1 int"),
    (conv, {"stride": ((1,),)}, "stride=((1,),): it must be one whole number an axis; give ints"),
    (conv, {"stride": None}, "stride=None: it must be one whole number an axis; give ints"),
    (conv, {"stride": {1}}, "stride={1}: it must be a whole number"),
    (conv, {"stride": "2"}, "stride='2': it must be one whole number an axis; give ints"),
    # padding
    (conv, {"padding": "FULL"}, "padding='FULL': the names are VALID, SAME, SAME_LOWER, CAUSAL; use one of them, or give numbers"),
    (conv, {"padding": (1, 2)}, "padding=(1, 2): the convolution has 1 spatial axis; give a name, one int, 1 int, or 1 (low, high) pair such as ((1, 2),)"),
    (conv, {"padding": ((1, 2, 3),)}, "padding=((1, 2, 3),): the convolution has 1 spatial axis"),
    (conv, {"padding": None}, "padding=None: the convolution has 1 spatial axis"),
    (conv, {"padding": -3}, "with padding (-3, -3) that is 1, and a kernel of 3 taps at dilation 1 spans 3; sizes that do: 9 and more; or pad by 2 more"),
    (conv, {"dilation": 4}, "with padding (0, 0) that is 7, and a kernel of 3 taps at dilation 4 spans 9; sizes that do: 9 and more"),
    (conv, {"padding_mode": "mirror"}, "padding_mode='mirror': the modes are zeros, circular, reflect, replicate; use one of them"),
    (conv, {"x": jnp.ones((1, 2, 0)), "padding": 2, "padding_mode": "circular"}, "padding_mode='circular': an empty axis has no element to copy into its padding; use padding 0 or padding_mode='zeros'"),
    # channels and groups
    (conv, {"groups": 3}, "groups=3: it must divide the kernel's 4 output channels; groups that do: 1, 2, 4"),
    (conv, {"groups": 0}, "groups=0: it must be at least 1"),
    (conv, {"groups": 2}, "w=kernel of shape (4, 2, 3), read as (O, C / groups, *kernel_size): x has 2 channels and groups=2, so the kernel's second axis must have 2 / 2 entries, and has 2; lay the kernel out as"),
    (transposed, {"y": X}, "w=kernel of shape (4, 2, 3), read as (O, C / groups, *kernel_size): y has 2 channels, so the kernel's first axis, the forward convolution's output channels, must have 2 entries; lay the kernel out as"),
    (gradient, {"groups": 3}, "groups=3: it must divide x's 2 channels; give a divisor"),
    # sizes
    (transposed, {"stride": 2, "output_padding": 2}, "output_padding=2: it must be smaller than the stride (2) or than the dilation (1); give at most 1, or a smaller or negative padding"),
    (transposed, {"output_padding": -1}, "output_padding=-1: it must be at least 0"),
    (transposed, {"stride": 2, "padding": 1, "output_size": 10}, "output_size=10: in_size=10 cannot give out_size=4 with kernel 3, stride 2, dilation 1 and padding (1, 1); sizes that do: 7, 8"),
    (transposed, {"padding": 4}, "padding=(4, 4): in_size=-2 cannot give out_size=4 with kernel 3, stride 1, dilation 1 and padding (4, 4); pad 2 less in all"),
    (transposed, {"stride": 2, "output_padding": 1, "output_size": 8}, "output_padding=1: output_size fixes the size already; give one of the two"),
    (transposed, {"stride": 2, "padding": "SAME", "output_padding": 1}, "output_padding=1: padding='SAME' fixes the size without it; give output_size instead"),
    (transposed, {"stride": 2, "padding": "CAUSAL", "output_size": 9}, "output_size=9: padding='CAUSAL' with stride 2 cannot give out_size=4 from it; sizes that do: 7, 8"),
    (transposed, {"stride": 20, "padding": "SAME", "output_size": 1}, "sizes that do: 61, 62, ..., 80"),
    (gradient, {"y": Y}, "y=array of shape (1, 4, 4): x of shape (1, 2, 7) has a convolution of size (5,); give the y that this x gave"),
    # arrays
    (conv, {"x": "picture"}, "x=str: it must be an array of numbers; convert it with jnp.asarray"),
    (conv, {"x": jnp.ones((1, 2, 7), bool)}, "x=array of dtype bool: floats of 16 to 64 bits, complex numbers and integers of 8 to 64 bits can be convolved; convert it with .astype"),
    (conv, {"w": jnp.ones((4, 2))}, "w=array of shape (4, 2): a kernel has two channel axes and at least one spatial axis; reshape it to"),
    (conv, {"w": jnp.ones((4, 2, 0))}, "kernel_size=(0,): it must be at least 1"),
    (conv, {"x": jnp.ones(7)}, "x=array of shape (7,): a kernel with 1 spatial axes wants 2 axes"),
    (conv, {"bias": jnp.ones(2)}, "bias=array of shape (2,): it has one element for each of the result's 4 channels; reshape it to (4,)"),
    (transposed, {"bias": jnp.ones(4)}, "it has one element for each of the result's 2 channels"),
    (gradient, {"kernel_size": 0}, "kernel_size=0: it must be at least 1"),
    (gradient, {"x": jnp.ones((3, 2, 7))}, "must have the same batch"),
    (gradient, {"x": jnp.ones((5, 1, 2, 7)), "kernel_size": (3,)}, "y=array of shape (1, 4, 5): x has shape (5, 1, 2, 7), and the two must have the same batch axes"),
    (gradient, {"x": jnp.ones((2, 7)), "y": jnp.ones((4, 5))}, "kernel_size=3: x of shape (2, 7) leaves no spatial axis to it; give one int an axis"),
    # options
    (conv, {"dimension_numbers": ("NWC", "WIO")}, "dimension_numbers=('NWC', 'WIO'): it must give the layouts of x, w and y, 3 letters each"),
    (conv, {"dimension_numbers": ("NHWC", "HWIO", "NHWC")}, "it must give the layouts of x, w and y, 3 letters each"),
    (conv, {"x": jnp.ones((1, 1, 2, 7)), "dimension_numbers": ("WNC", "OIW", "NCW")}, "or more where the batch axes lead"),
    (conv, {"algorithm": "winograd"}, "algorithm='winograd': the choices are auto, direct, patches, polyphase, taps; use one of them"),
    (conv, {"precision": "best"}, "precision='best': it must be None, one of 'default', 'high', 'highest', a lax.Precision, or a pair of them; use one of these"),
    (conv, {"preferred_element_type": "int32"}, "preferred_element_type='int32': the operands are float64, and the result must be of the same kind and at least as wide; give one of float64"),
    (conv, {"preferred_element_type": "float99"}, "preferred_element_type='float99': it must be a dtype; give jnp.float32, say"),
    (conv, {"preferred_element_type": ["float32"]}, "preferred_element_type=['float32']: it must be a dtype"),
    (conv, {"groups": (2,)}, "groups=(2,): it must be one whole number; give an int"),
    (conv, {"padding_mode": ["zeros"]}, "padding_mode=['zeros']: the modes are zeros"),
    (gradient, {"dimension_numbers": 5}, "dimension_numbers=5: it must give the layouts of x, w and y; write them as"),
    (conv, {"dimension_numbers": {"x": 1}}, "dimension_numbers={'x': 1}: it must give the layouts of x, w and y; write them as"),
    (gradient, {"dimension_numbers": [["N", "C", "W"], "OIW", "NCW"]}, "it must give the layouts of x, w and y; write them as"),
    (conv, {"precision": {"x": 1}}, "precision={'x': 1}: it must be None, one of"),
    (conv, {"precision": ("highest", None)}, "precision=('highest', None): it must be None, one of"),
    (conv, {"algorithm": np.array(["taps"])}, "algorithm=array(['taps'], dtype='<U4'): the choices are auto"),
    # what is too large for the machine below
    (conv, {"x": 10**30}, "x=int: it must be an array of numbers"),
    (conv, {"stride": 10**30}, "stride=(1000000000000000000000000000000,): it must be at most 2147483647; give smaller steps"),
    (transposed, {"stride": 2**35}, "it must be at most 2147483647"),
    (transposed, {"dilation": 10**30}, "it must be at most 2147483647; give smaller steps"),
    (transposed, {"padding": -(2**41)}, "an image has at most 1099511627776 elements; give smaller sizes, steps or padding"),
    (conv, {"padding": 2**41}, "an image has at most 1099511627776 elements"),
    (conv, {"stride": b"2"}, "stride=b'2': it must be a whole number"),
    (gradient, {"dimension_numbers": ()}, "dimension_numbers=(): it must give the layouts of x, w and y; write them as"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("function", "keywords", "message"),
    CASES,
    ids=[
        f"{function.__name__} {' '.join(keywords)} {n}"
        for n, (function, keywords, _) in enumerate(CASES)
    ],
)
def test_a_bad_argument_is_explained(function: Any, keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(GeometryError, match=re.escape(message)):
        function(**keywords)


def test_it_is_a_value_error() -> None:
    assert issubclass(GeometryError, ValueError)


def test_select_algorithm_names_the_partials() -> None:
    g = Geometry.of_conv((1, 4), (1, 1, 2))
    with pytest.raises(GeometryError, match="partial='forward': the choices are conv, conv_trans"):
        tc.select_algorithm(g, "forward")  # type: ignore[arg-type]


def test_sizes_must_be_known_before_tracing() -> None:
    (n,) = export.symbolic_shape("n")
    spec = jax.ShapeDtypeStruct((1, 2, n), jnp.float32)
    with pytest.raises(
        GeometryError, match="it must be a whole number that is known before tracing"
    ):
        export.export(jax.jit(lambda x: tc.conv(x, W.astype(jnp.float32))))(spec)
    with pytest.raises(GeometryError, match=r"stride=.*known before tracing; give a Python int"):
        jax.jit(lambda s: tc.conv(X, W, stride=s))(2)
    with pytest.raises(GeometryError, match=r"stride=.*known before tracing; give a Python int"):
        jax.jit(lambda s: tc.conv(X, W, stride=s))(jnp.array([2]))


def test_the_matrix_refuses_what_does_not_fit() -> None:
    big = Geometry.of_conv((3, 512, 512), (8, 3, 5, 5))
    with pytest.raises(GeometryError, match="1000000 is the limit; look at a smaller input"):
        symbolic.conv_matrix(big)
    wide = symbolic.conv_matrix(Geometry.of_conv((1, 100), (1, 1, 3)))
    with pytest.raises(GeometryError, match="matrix=98 x 100: LaTeX of more than 4096 entries"):
        matrix_latex(wide)


def test_the_matrix_takes_numbers_and_expressions_only() -> None:
    g = Geometry.of_conv((1, 4), (1, 1, 2))
    with pytest.raises(
        GeometryError,
        match=re.escape("kernel=array of shape (2,): the geometry asks for (1, 1, 2); reshape it"),
    ):
        symbolic.conv_matrix(g, [1, 2])
    with pytest.raises(
        GeometryError,
        match="kernel='exit': its entries must be numbers or SymPy expressions; convert text",
    ):
        symbolic.conv_matrix(g, [[["exit", 1]]])


def test_out_size_takes_whole_numbers() -> None:
    with pytest.raises(GeometryError, match=r"in_size=2\.5: it must be a whole number"):
        tc.out_size(2.5, 3)  # type: ignore[call-overload]
    with pytest.raises(GeometryError, match="kernel_size=0: it must be at least 1"):
        tc.in_sizes(4, 0)


def test_geometries_need_a_channel_axis() -> None:
    with pytest.raises(
        GeometryError,
        match=re.escape(
            "x=array of shape (7,): a kernel of 1 spatial axis goes with a channel axis"
        ),
    ):
        Geometry.of_conv((7,), (1, 1, 3))
    with pytest.raises(GeometryError, match="a kernel has two channel axes and at least one"):
        Geometry.of_conv((1, 7), (1, 3))


def test_sizes_of_arrays_keep_every_axis() -> None:
    assert tc.out_size(np.array([7, 9]), 3) == (5, 7)  # type: ignore[call-overload]
    with pytest.raises(GeometryError, match="in_size='7': it must be one whole number an axis"):
        tc.out_size("7", 3)  # type: ignore[arg-type]
    with pytest.raises(GeometryError, match="in_size=-1: it must be at least 0"):
        tc.out_size(-1, 3)
    with pytest.raises(GeometryError, match=r"x's shape=.*: it must be at least 0"):
        Geometry.of_conv((1, -4), (1, 1, 3))
    shape: Any = np.array([1, 7])
    assert Geometry.of_conv(shape, np.array([1, 1, 3])).out_size == (5,)  # type: ignore[arg-type]
    with pytest.raises(GeometryError, match="a kernel has two channel axes"):
        Geometry.of_conv((1, 7), 3)  # type: ignore[arg-type]


def test_large_strides_take_no_memory() -> None:
    assert Geometry.of_conv_transpose((1, 1), (1, 1, 3), stride=10**12).in_size == (3,)
    with pytest.raises(GeometryError, match=re.escape("sizes that do: 3, 4, ..., 1000000000002")):
        Geometry.of_conv_transpose((1, 1), (1, 1, 3), stride=10**12, output_size=1)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"in_size": -1}, "in_size=-1: it must be a whole number of at least 0; give an int"),
        ({"stride": 0}, "stride=0: it must be a whole number of at least 1"),
        ({"kernel_size": "3"}, "kernel_size='3': it must be a whole number of at least 1"),
        ({"low": 0.5}, "low=0.5: it must be a whole number; give an int"),
        ({"mode": "mirror"}, "mode='mirror': the modes are zeros"),
    ],
)
def test_an_axis_is_checked_however_it_is_made(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(GeometryError, match=re.escape(message)):
        Axis(**{"in_size": 4, "out_size": 2, "kernel_size": 3, **keywords})


def test_a_geometry_is_checked_however_it_is_made() -> None:
    with pytest.raises(
        GeometryError, match=re.escape("axes=(): a convolution has one Axis or more")
    ):
        Geometry(())
    with pytest.raises(
        GeometryError, match="groups=2: it must divide in_channels=3; give a divisor of both"
    ):
        Geometry((Axis(5, 3, 3),), 3, 2, 2)
    with pytest.raises(GeometryError, match="groups=0: it must divide in_channels=1"):
        Geometry((Axis(5, 3, 3),), groups=0)


def test_a_wide_result_needs_wide_numbers() -> None:
    with (
        jax.enable_x64(False),
        pytest.raises(
            GeometryError, match="64-bit numbers are switched off in JAX; give a narrower"
        ),
    ):
        tc.conv(
            np.ones((1, 2, 7), np.float32),
            np.ones((4, 2, 3), np.float32),
            preferred_element_type=np.float64,
        )


def test_a_border_of_nothing_has_no_runs() -> None:
    with pytest.raises(GeometryError, match="an empty axis has no element"):
        Axis(0, 1, 2, low=1, mode="reflect").border_runs()


def test_arrays_of_objects_are_refused() -> None:
    with pytest.raises(GeometryError, match="x=array of dtype object"):
        tc.conv(np.array([[[None, 1]]]), W)


@pytest.mark.parametrize("padding", [((1, 2), (1, 2, 3)), ((1, 2), (1, "SAME")), ((1,), (1, 2))])
def test_each_pair_of_a_padding_is_two_numbers(padding: Any) -> None:
    with pytest.raises(GeometryError, match="the convolution has 2 spatial axes; give a name"):
        Geometry.of_conv((1, 5, 5), (1, 1, 3, 3), padding=padding)


def test_one_element_is_too_few_for_a_kernel_of_three() -> None:
    with pytest.raises(GeometryError, match="sizes that do: 3 and more"):
        tc.out_size(1, 3)


def test_no_channels_are_a_number_of_channels() -> None:
    assert Geometry((Axis(5, 3, 3),), in_channels=0).in_shape == (0, 5)


@pytest.mark.parametrize("name", ["stride", "dilation"])
def test_a_step_of_nothing_is_refused_on_the_way_back_too(name: str) -> None:
    given: dict[str, Any] = {name: 0}
    with pytest.raises(GeometryError, match=f"^{name}=0: it must be at least 1"):
        Geometry.of_conv_transpose((1, 5), (1, 1, 3), **given)


def test_a_size_fixes_every_axis() -> None:
    given: dict[str, Any] = {"stride": 2, "output_size": (11, 11)}
    with pytest.raises(GeometryError, match="output_size fixes the size already"):
        Geometry.of_conv_transpose((1, 5, 5), (1, 1, 3, 3), output_padding=(0, 1), **given)
    with pytest.raises(GeometryError, match="output_size=-1: it must be at least 0"):
        Geometry.of_conv_transpose((1, 5), (1, 1, 3), output_size=-1)
    with pytest.raises(GeometryError, match="output_size=1: in_size=1 cannot give out_size=0"):
        Geometry.of_conv_transpose((1, 0), (1, 1, 1), output_size=1)


def test_sizes_that_do_are_none_below_nothing() -> None:
    cut: dict[str, Any] = {"padding": 1}
    with pytest.raises(GeometryError, match=r"in_size=-1 cannot give out_size=1 .* pad 1 less in"):
        Geometry.of_conv_transpose((1, 1), (1, 1, 1), **cut)
    with pytest.raises(GeometryError, match=r"in_size=5 cannot give out_size=0 .* that do: 0$"):
        Geometry.of_conv_transpose((1, 0), (1, 1, 1), output_size=5, **cut)


def test_every_part_of_a_geometry_is_looked_at() -> None:
    parts: Any = (Axis(5, 3, 3), 5)
    for axes in (parts, parts[::-1]):
        with pytest.raises(GeometryError, match="a convolution has one Axis or more"):
            Geometry(axes)
    for name in ("in_channels", "out_channels"):
        channels: dict[str, Any] = {name: -1}
        with pytest.raises(GeometryError, match=f"it must divide {name}=-1"):
            Geometry((Axis(5, 3, 3),), **channels)


def test_one_number_is_no_shape() -> None:
    number: Any = 5
    with pytest.raises(GeometryError, match=r"^x=array of shape .5,.: a kernel of 1 spatial axis"):
        Geometry.of_conv(number, (1, 1, 3))


@pytest.mark.parametrize("output", [-1, 3, "x", None, True, 0.5])
def test_there_is_no_such_output(output: Any) -> None:
    there = Geometry.of_conv((2, 5), (4, 2, 3))
    told = "there are 3 places, counted from 0" if type(output) is int else "a whole number"
    with pytest.raises(GeometryError, match=f"^output={output!r}: .*{told}"):
        there.axes[0].taps_between(output, 0)
    with pytest.raises(GeometryError, match=f"{output!r}"):
        there.taps_between((0, output), (0, 0))


@pytest.mark.parametrize("source", [-1, 5])
def test_there_is_no_such_input(source: int) -> None:
    there = Geometry.of_conv((2, 5), (4, 2, 3))
    with pytest.raises(GeometryError, match=f"^source={source}: there are 5 places"):
        there.axes[0].taps_between(0, source)
    with pytest.raises(GeometryError, match=f"^source={source}: there are 5 places"):
        there.taps_between((0, 0), (0, source))
    assert there.axes[0].taps_between(2, 4) == (2,)
    assert there.taps_between((3, 2), (1, 4)) == ((3, 1, 2),)


@pytest.mark.parametrize("index", [(0,), (0, 0, 0), 0, "ab", ()])
def test_an_index_has_one_number_for_each_axis(index: Any) -> None:
    there = Geometry.of_conv((2, 5), (4, 2, 3))
    with pytest.raises(GeometryError, match=r"it is an index of an array of shape \(4, 3\)"):
        there.taps_between(index, (0, 0))
    with pytest.raises(GeometryError, match=r"it is an index of an array of shape \(2, 5\)"):
        there.taps_between((0, 0), index)


@pytest.mark.parametrize("position", [None, "x", 0.5, False])
def test_a_position_is_a_whole_number(position: Any) -> None:
    with pytest.raises(GeometryError, match=r"^position=.*: it must be a whole number"):
        Axis(5, 3, 3).source(position)
    two: Any = np.int32(2)
    assert Axis(5, 3, 3).source(two) == 2
