"""Every bad argument: one exception class; argument, value received, rule, remedy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

import tconvjax as tc
from tconvjax import Axis, Geometry, GeometryError, symbolic

X, W, Y = jnp.ones((1, 2, 7)), jnp.ones((4, 2, 3)), jnp.ones((1, 4, 4))
AXIS = Axis(5, 3, 3)


conv = partial(tc.conv, x=X, w=W)
transposed = partial(tc.conv_transpose, y=Y, w=W)
gradient = partial(tc.kernel_gradient, x=X, y=jnp.ones((1, 4, 5)), kernel_size=3)
there = partial(Geometry.of_conv, x_shape=(1, 7), w_shape=(1, 1, 3))
back = partial(Geometry.of_conv_transpose, y_shape=(1, 1), w_shape=(1, 1, 1))
axis = partial(Axis, in_size=4, out_size=2, kernel_size=3)
geometry = partial(Geometry, axes=(AXIS,))


def narrow(**keywords: Any) -> Any:
    with jax.enable_x64(False):
        return tc.conv(np.ones((1, 2, 7), "f"), np.ones((4, 2, 3), "f"), **keywords)


PAIR = {"geometry": Geometry.of_conv((1, 4), (1, 1, 2))}
ROWS: list[tuple[Callable[..., Any], dict[str, Any], str]] = [
    # steps
    (conv, {"stride": 0}, "^stride=0: it must be at least 1; give 1 or more$"),
    (conv, {"dilation": -1}, "^dilation=-1: it must be at least 1; give 1 or more$"),
    (back, {"stride": 0}, "^stride=0: it must be at least 1"),
    (back, {"dilation": 0}, "^dilation=0: it must be at least 1"),
    (conv, {"stride": 1.5}, "^stride=1.5: it must be a whole number that is known before tracing; give a Python int$"),
    (conv, {"stride": True}, "^stride=True: it must be a whole number"),
    (conv, {"stride": (1, 2)}, "^stride=(1, 2): the convolution has 1 spatial axis; give an int or a tuple of length 1$"),
    (conv, {"stride": ((1,),)}, "^stride=((1,),): it must be one whole number per axis; give ints$"),
    (conv, {"stride": "2"}, "^stride='2': it must be one whole number per axis; give ints$"),
    # padding
    (conv, {"padding": "FULL"}, "^padding='FULL': the choices are VALID, SAME, SAME_LOWER, CAUSAL; use one of them$"),
    (conv, {"padding": (1, 2)}, "^padding=(1, 2): the convolution has 1 spatial axis; give a name, one int, or 1 (low, high) pair such as ((1, 2),)$"),
    (there, {"x_shape": (1, 5, 5), "w_shape": (1, 1, 3, 3), "padding": ((1, 2), (1, 2, 3))}, "the convolution has 2 spatial axes; give a name"),
    (there, {"x_shape": (1, 5, 5), "w_shape": (1, 1, 3, 3), "padding": ((1, 2), (1, "SAME"))}, "the convolution has 2 spatial axes; give a name"),
    (conv, {"padding": -3}, "with padding (-3, -3) that is 1, and a kernel of 3 taps at dilation 1 spans 3; sizes that do: 9 and more; or pad by 2 more$"),
    (conv, {"dilation": 4}, "with padding (0, 0) that is 7, and a kernel of 3 taps at dilation 4 spans 9; sizes that do: 9 and more"),
    (there, {"x_shape": (1, 2), "stride": 2}, "sizes that do: 3 and more; or pad by 1 more$"),
    (conv, {"padding_mode": "mirror"}, "^padding_mode='mirror': the choices are zeros, circular, reflect, replicate; use one of them$"),
    (conv, {"x": jnp.ones((1, 2, 0)), "padding": 2, "padding_mode": "circular"}, "^padding_mode='circular': an empty axis has no element to copy into its padding; use padding 0 or padding_mode='zeros'$"),
    (Axis(0, 1, 2, low=1, mode="reflect").border_runs, {}, "an empty axis has no element"),
    # channels and groups
    (conv, {"groups": 3}, "^groups=3: a kernel is (O, C / groups, *kernel_size), and groups must divide its O=4; groups that do: 1, 2, 4$"),
    (conv, {"groups": 0}, "^groups=0: it must be at least 1"),
    (conv, {"groups": (2,)}, "^groups=(2,): it must be a whole number that is known before tracing; give a Python int$"),
    (conv, {"groups": 2}, "^w=kernel of shape (4, 2, 3), read as (O, C / groups, *kernel_size): x has 2 channels and groups=2, so the kernel's second axis must have 2 / 2 entries, and has 2; give groups=1, or lay the kernel out as"),
    (transposed, {"y": X}, "^w=kernel of shape (4, 2, 3), read as (O, C / groups, *kernel_size): y has 2 channels, so O must be 2; lay the kernel out as"),
    (transposed, {"y": jnp.ones((1, 5, 4))}, "y has 5 channels (but 4 elements along its last axis), so O must be 5; if the last axis has the channels, move them with jnp.moveaxis, or name the layouts"),
    (conv, {"x": jnp.ones((1, 7, 2))}, "and has 2; if the last axis has the channels, move them with jnp.moveaxis, or name the layouts"),
    (gradient, {"groups": 3}, "^groups=3: it must divide x's 2 channels; give a divisor$"),
    # sizes
    (transposed, {"stride": 2, "output_padding": 2}, "^output_padding=2: it must be smaller than the stride (2) or than the dilation (1); give at most 1, or a smaller or negative padding$"),
    (transposed, {"output_padding": -1}, "^output_padding=-1: it must be at least 0"),
    (transposed, {"stride": 2, "padding": 1, "output_size": 10}, "^output_size=10: 4 elements cannot become 10 with kernel 3, stride 2, dilation 1 and padding (1, 1); sizes that do: 7, 8$"),
    (transposed, {"padding": 6, "stride": 2, "output_padding": 1}, "4 elements would become -2 with kernel 3, stride 2, dilation 1 and padding (6, 6); pad 3 less in all$"),
    (transposed, {"padding": 4}, "^padding=(4, 4): 4 elements would become -2 with kernel 3, stride 1, dilation 1 and padding (4, 4); pad 3 less in all$"),
    (transposed, {"stride": 2, "output_padding": 1, "output_size": 8}, "^output_padding=1: output_size fixes the size already; give one of the two$"),
    (back, {"y_shape": (1, 5, 5), "w_shape": (1, 1, 3, 3), "stride": 2, "output_size": (11, 11), "output_padding": (0, 1)}, "output_size fixes the size already"),
    (transposed, {"stride": 2, "padding": "SAME", "output_padding": 1}, "^output_padding=1: padding='SAME' fixes the size without it; give output_size instead; sizes that do: 7, 8$"),
    (transposed, {"stride": 2, "padding": "CAUSAL", "output_size": 9}, "^output_size=9: 4 elements cannot become 9 with kernel 3, stride 2, dilation 1 and padding CAUSAL; sizes that do: 7, 8$"),
    (back, {"y_shape": (1, 0), "stride": 3, "padding": "CAUSAL", "output_size": 1}, "sizes that do: 0$"),
    (transposed, {"stride": 20, "padding": "SAME", "output_size": 1}, "sizes that do: 61, 62, ..., 80$"),
    (back, {"stride": 8, "output_size": 9}, "sizes that do: 1, 2, 3, 4, 5, 6, 7, 8$"),
    (back, {"stride": 9, "output_size": 10}, "sizes that do: 1, 2, ..., 9$"),
    (back, {"w_shape": (1, 1, 3), "stride": 10**12, "output_size": 1}, "sizes that do: 3, 4, ..., 1000000000002$"),
    (back, {"output_size": -1}, "^output_size=-1: it must be at least 0"),
    (back, {"y_shape": (1, 0), "output_size": 1}, "^output_size=1: 0 elements cannot become 1 with"),
    (back, {"y_shape": (1, 0), "output_size": 5, "padding": 1}, "that do: 0$"),
    (back, {"w_shape": (1, 1, 3), "stride": 2, "output_size": 0}, "1 element cannot become 0 with"),
    (back, {"stride": 2, "padding": 1}, "sizes that do: 0$"),
    (back, {"padding": 1}, "^padding=(1, 1): 1 element would become -1 with kernel 1, stride 1, dilation 1 and padding (1, 1); pad 2 less in all$"),
    (gradient, {"y": Y}, "^y=array of size (4,): the convolution of x of size (7,) has size (5,); pass the output of the convolution of this x$"),
    (tc.out_size, {"in_size": "7", "kernel_size": 3}, "^in_size='7': it must be one whole number per axis"),
    (tc.out_size, {"in_size": -1, "kernel_size": 3}, "^in_size=-1: it must be at least 0"),
    (tc.out_size, {"in_size": 1, "kernel_size": 3}, "sizes that do: 3 and more"),
    (tc.in_sizes, {"out_size": 4, "kernel_size": 0}, "^kernel_size=0: it must be at least 1"),
    (tc.in_sizes, {"out_size": 3, "kernel_size": 3, "stride": 2**20 + 1}, "1048576 is the limit"),
    # shapes and arrays
    (there, {"x_shape": (7,)}, "^x=array of shape (7,): a kernel of 1 spatial axis goes with a channel axis"),
    (there, {"x_shape": 5}, "^x=array of shape (5,): a kernel of 1 spatial axis"),
    (there, {"x_shape": (1, -4)}, "^x's shape=(1, -4): it must be at least 0"),
    (there, {"w_shape": (1, 3)}, "a kernel has two channel axes and at least one"),
    (conv, {"x": "picture"}, "^x=str: it must be an array of numbers; convert it with jnp.asarray$"),
    (conv, {"x": jnp.ones((1, 2, 7), bool)}, "^x=array of dtype bool: floats of 4, 8 and 16 to 64 bits, complex numbers and integers of 2, 4 and 8 to 64 bits can be convolved; convert it with .astype$"),
    (conv, {"x": np.array([[[None, 1]]])}, "^x=array of dtype object"),
    (conv, {"w": jnp.ones((4, 2))}, "^w=array of shape (4, 2): a kernel has two channel axes and at least one spatial axis; reshape it to"),
    (conv, {"w": jnp.ones((4, 2, 0))}, "^kernel_size=(0,): it must be at least 1"),
    (conv, {"x": jnp.ones(7)}, "^x=array of shape (7,): a kernel with 1 spatial axis goes with 2 axes"),
    (conv, {"bias": jnp.ones(2)}, "^bias=array of shape (2,): it has one element for each of the result's 4 channels; give an array of shape (4,)$"),
    (transposed, {"bias": jnp.ones(4)}, "it has one element for each of the result's 2 channels; give groups=2, or give an array of shape (2,)$"),
    (transposed, {"bias": jnp.ones((2, 1))}, "result's 2 channels; reshape it to (2,)$"),
    (transposed, {"bias": jnp.ones(6)}, "result's 2 channels; give an array of shape (2,)$"),  # 3 does not divide O
    (conv, {"x": jnp.ones((1, 4, 7))}, "and has 2; give groups=2, or lay the kernel out as (out_channels, in_channels / groups, *kernel_size), or name"),
    (conv, {"x": jnp.ones((1, 6, 7))}, "and has 2; lay the kernel out as"),
    (gradient, {"kernel_size": 0}, "^kernel_size=0: it must be at least 1"),
    (gradient, {"x": jnp.ones((3, 2, 7))}, "must have the same batch"),
    (gradient, {"x": jnp.ones((5, 1, 2, 7)), "kernel_size": (3,)}, "^y=array of shape (1, 4, 5): x has shape (5, 1, 2, 7), and the two must have the same batch axes"),
    (gradient, {"x": jnp.ones((2, 7)), "y": jnp.ones((4, 5))}, "^kernel_size=3: x of shape (2, 7) leaves no spatial axis to it; give one int per axis$"),
    # options
    (conv, {"dimension_numbers": ("NWC", "WIO")}, "^dimension_numbers=('NWC', 'WIO'): it must give the layouts of x, w and y, 3 letters each"),
    (conv, {"x": jnp.ones((1, 1, 2, 7)), "dimension_numbers": ("WNC", "OIW", "NCW")}, "or more where the batch axes lead"),
    (gradient, {"dimension_numbers": 5}, "^dimension_numbers=5: it must give the layouts of x, w and y; write them as"),
    (conv, {"algorithm": "winograd"}, "^algorithm='winograd': the choices are auto, direct, patches, polyphase, taps; use one of them$"),
    (conv, {"algorithm": "Patchs"}, "^algorithm='Patchs': the choices are auto, direct, patches, polyphase, taps; did you mean 'patches'?$"),
    (conv, {"padding": "same-lower"}, "^padding='same-lower': the choices are VALID, SAME, SAME_LOWER, CAUSAL; did you mean 'SAME_LOWER'?$"),
    (tc.plan, {**PAIR, "partial": "conv", "platform": "nvidia"}, "^platform='nvidia': the choices are cpu, gpu, cuda, rocm, tpu; use one of them$"),
    (tc.plan, {**PAIR, "partial": "forward"}, "^partial='forward': the choices are conv, conv_transpose"),
    (conv, {"precision": "best"}, "^precision='best': it must be None, one of 'default', 'high', 'highest', a lax.Precision, or a pair of them; use one of these$"),
    (conv, {"precision": ("highest", None)}, "^precision=('highest', None): it must be None, one of"),
    (conv, {"preferred_element_type": "int32"}, "^preferred_element_type='int32': the operands are float64, and the result must be of the same kind and at least as wide; give one of float64$"),
    (conv, {"preferred_element_type": "float99"}, "^preferred_element_type='float99': it must be a dtype; give one such as float32$"),
    (narrow, {"preferred_element_type": np.float64}, "64-bit numbers are switched off in JAX; give a narrower"),
    # what is too large for the machine below
    (conv, {"stride": 10**30}, "^stride=(1000000000000000000000000000000,): it must be at most 2147483647; give smaller steps$"),
    (transposed, {"dilation": 2**35}, "it must be at most 2147483647; give smaller steps$"),
    (transposed, {"padding": -(2**41)}, "an image has at most 1099511627776 elements; give smaller sizes, steps or padding$"),
    (symbolic.conv_matrix, {"geometry": Geometry.of_conv((3, 512, 512), (8, 3, 5, 5))}, "1000000 is the limit; look at a smaller input"),
    (symbolic.conv_matrix, {**PAIR, "kernel": [1, 2]}, "^kernel=array of shape (2,): the geometry asks for (1, 1, 2); reshape it$"),
    (symbolic.conv_matrix, {**PAIR, "kernel": [[["exit", 1]]]}, "^kernel='exit': its entries must be numbers or SymPy expressions; convert text"),
    # a geometry and its axes, however they are made
    (axis, {"in_size": -1}, "^in_size=-1: it must be a whole number of at least 0; give an int$"),
    (axis, {"out_size": -1}, "^out_size=-1: it must be a whole number of at least 0"),
    (axis, {"stride": 0}, "^stride=0: it must be a whole number of at least 1"),
    (axis, {"dilation": 0}, "^dilation=0: it must be a whole number of at least 1"),
    (axis, {"kernel_size": 0}, "^kernel_size=0: it must be a whole number of at least 1"),
    (axis, {"low": 0.5}, "^low=0.5: it must be a whole number; give an int$"),
    (axis, {"mode": "mirror"}, "^mode='mirror': the choices are zeros"),
    (geometry, {"axes": ()}, "^axes=(): a convolution has one Axis or more"),
    (geometry, {"axes": (AXIS, 5)}, "a convolution has one Axis or more"),
    (geometry, {"axes": (5, AXIS)}, "a convolution has one Axis or more"),
    (geometry, {"in_channels": 3, "out_channels": 2, "groups": 2}, "^groups=2: it must divide in_channels=3; give a divisor of both$"),
    (geometry, {"groups": 0}, "^groups=0: it must be a whole number of at least 1"),
    (geometry, {"in_channels": -1}, "in_channels=-1: it must be a whole number of at least 0"),
    (geometry, {"out_channels": -1}, "out_channels=-1: it must be a whole number of at least 0"),
]  # fmt: skip
"""A call and a part of its message; ^ and $ stand before and after the whole of it."""


def test_a_bad_argument_is_explained() -> None:
    found = []
    for function, keywords, message in ROWS:
        told = "a result"
        try:
            function(**keywords)
        except GeometryError as error:
            told = f"^{error}$"
        if message not in told:
            found.append(f"{function}({keywords}) should say {message!r}, says {told}")
    assert not found, "\n".join(found)
    assert issubclass(GeometryError, ValueError)


def test_symbolic_channels_are_refused_and_the_remedy_named() -> None:
    (n,) = export.symbolic_shape("n")
    spec = jax.ShapeDtypeStruct((1, n, 8), jnp.float32)
    with pytest.raises(GeometryError, match="must be a whole number that is known before tracing"):
        export.export(jax.jit(lambda x: tc.conv(x, W.astype(jnp.float32))))(spec)


def test_large_strides_take_no_memory() -> None:
    assert back(w_shape=(1, 1, 3), stride=10**12).in_size == (3,)
    assert len(tc.in_sizes(3, 3, stride=2**20)) == 2**20
