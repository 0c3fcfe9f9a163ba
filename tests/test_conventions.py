"""The call-alikes: jax.lax for real, TensorFlow and ONNX by their words; errors; dtypes."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from jax import lax

import tconvjax as tc
from tconvjax import conventions as conv
from tests.oracles import agree, assert_refused
from tests.reading import read
from tests.strategies import Transposed, ends, numbers, transposed

# -- jax.lax ---------------------------------------------------------------------------------------


@given(st.data(), transposed())
def test_lax_is_matched(data: st.DataObject, case: Transposed) -> None:
    names = st.sampled_from(["SAME", "VALID", "SAME_LOWER", "same", "valid", "FULL"])
    flag = data.draw(st.booleans(), "transpose_kernel")
    kwargs: dict[str, Any] = {
        "strides": case.stride,
        "padding": data.draw(names | ends(-1, 5, case.rank), "padding"),
        "rhs_dilation": case.dilation,
        "transpose_kernel": flag,
        "use_consistent_padding": data.draw(st.booleans(), "use_consistent_padding"),
    }
    y, w, _ = case.arrays(conv.KERNELS["lax_transpose_kernel" if flag else "lax"])
    if case.rank == 2 and data.draw(st.booleans(), "layouts"):
        y_letters, z_letters = (data.draw(st.permutations("NCHW").map("".join)) for _ in range(2))
        w_letters = data.draw(
            st.permutations("HWIO").map("".join).filter(lambda s: s.index("H") < s.index("W"))
        )
        y = y.transpose(["NHWC".index(letter) for letter in y_letters])
        w = w.transpose(["HWIO".index(letter) for letter in w_letters])
        kwargs["dimension_numbers"] = (y_letters, w_letters, z_letters)
    agree(
        lambda: lax.conv_transpose(jnp.asarray(y), jnp.asarray(w), **kwargs),
        lambda: read(lambda y, w: conv.lax_conv_transpose(y, w, **kwargs), y, w),
    )


@given(transposed(groups=True), st.booleans())
def test_the_groups_that_lax_lacks_are_blocks(case: Transposed, flag: bool) -> None:
    layout = conv.KERNELS["lax_transpose_kernel" if flag else "lax"]
    y, w, _ = case.arrays(layout)

    def ours(y: Any, w: Any, groups: int = 1) -> Any:
        return conv.lax_conv_transpose(
            y, w, case.stride, "VALID", case.dilation, transpose_kernel=flag,
            feature_group_count=groups,
        )  # fmt: skip

    result = read(lambda y, w: ours(y, w, case.groups), y, w)
    blocks = zip(np.split(y, case.groups, -1), np.split(w, case.groups, -1), strict=True)
    parts = [read(ours, *block) for block in blocks]
    np.testing.assert_array_equal(result, np.concatenate(parts, -1))


def test_lax_passes_precision_and_the_wider_dtype_on() -> None:
    y, w = jnp.ones((1, 4, 2), jnp.bfloat16), jnp.ones((3, 2, 2), jnp.bfloat16)
    traced = jax.make_jaxpr(lambda y, w: conv.lax_conv_transpose(
        y, w, (2,), "SAME", precision="highest", preferred_element_type=jnp.float32))(y, w)  # fmt: skip
    assert traced.out_avals[0].dtype == jnp.float32
    assert "HIGHEST" in str(traced)


# -- TensorFlow, by its documentation --------------------------------------------------------------


def tf_forward(x: Any, w: Any, case: Transposed, padding: Any) -> Any:
    """tf.nn.convolution: SAME and VALID as ``jax.lax`` pads the forward convolution too."""
    spatial = padding if isinstance(padding, str) else padding[1:-1]
    letters = "DHW"[-case.rank :]
    layouts = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
    return lax.conv_general_dilated(
        x, w, case.stride, spatial, rhs_dilation=case.dilation, dimension_numbers=layouts
    )


@given(st.data(), transposed())
def test_tf_is_the_gradient_of_its_convolution(data: st.DataObject, case: Transposed) -> None:
    padding = data.draw(st.sampled_from(["SAME", "VALID"]) | ends(0, 2, case.rank), "padding")
    if not isinstance(padding, str):
        padding = ((0, 0), *padding, (0, 0))
    size = data.draw(numbers(1, 20, case.rank), "output size")
    size = (size,) * case.rank if isinstance(size, int) else size
    y, w, _ = case.arrays(conv.KERNELS["tf"])
    shape = (case.batch, *size, case.m)

    def expected() -> Any:
        assert isinstance(padding, str) or case.rank == 2
        back = jax.linear_transpose(lambda x: tf_forward(x, w, case, padding), jnp.zeros(shape))
        return back(y)[0]

    kwargs: dict[str, Any] = {"padding": padding, "dilations": case.dilation}
    agree(
        expected,
        lambda: read(lambda y, w: conv.tf_conv_transpose(y, w, shape, case.stride, **kwargs), y, w),
    )


def test_tf_takes_strides_of_every_length_and_channels_first() -> None:
    y, w = np.arange(9.0).reshape(1, 1, 3, 3), np.arange(9.0).reshape(3, 3, 1, 1)
    kwargs: dict[str, Any] = {"stride": 2, "padding": ((0, 1), (0, 1))}
    expected = read(lambda y, w: tc.conv_transpose(y, w, **kwargs), y, w.transpose(2, 3, 0, 1))
    last = np.moveaxis(y, 1, -1)
    for strides in (2, (2,), (2, 2), (1, 2, 2, 1)):
        result = conv.tf_conv_transpose(last, w, (1, 6, 6, 1), strides)
        np.testing.assert_array_equal(result[0, ..., 0], expected[0, 0])
    first = conv.tf_conv_transpose(
        y, w, (1, 1, 6, 6), 2, data_format="NCHW", dilations=[1, 1, 1, 1]
    )
    np.testing.assert_array_equal(first, expected)


# -- ONNX, by its specification --------------------------------------------------------------------


def onnx(arrays: Any, **kwargs: Any) -> Any:
    return read(lambda *arrays: conv.onnx_conv_transpose(*arrays, **kwargs), *arrays)


@given(st.data(), transposed(groups=True))
def test_onnx_pads_are_cut_off_the_natural_result(data: st.DataObject, case: Transposed) -> None:
    y, w, b = case.arrays(conv.KERNELS["onnx"], last=False)
    pads = data.draw(st.tuples(*[st.integers(0, 2)] * (2 * case.rank)), "pads")
    extra = tuple(data.draw(st.integers(0, max(s, d) - 1))
                  for s, d in zip(case.stride, case.dilation, strict=True))  # fmt: skip
    steps: dict[str, Any] = {"stride": case.stride, "dilation": case.dilation,
                             "groups": case.groups}  # fmt: skip
    full = read(lambda y, w: tc.conv_transpose(y, w, **steps), y, w)
    beyond = np.pad(full, [(0, 0)] * 2 + [(0, e) for e in extra])
    window = [slice(lo, n - hi) for lo, hi, n in
              zip(pads[: case.rank], pads[case.rank :], beyond.shape[2:], strict=True)]  # fmt: skip
    expected = (beyond + b.reshape(-1, *[1] * case.rank))[:, :, *window]
    if 0 not in expected.shape:
        result = onnx((y, w, b), strides=case.stride, dilations=case.dilation, pads=pads,
                      group=case.groups, output_padding=extra)  # fmt: skip
        np.testing.assert_array_equal(result, expected)


@given(st.data(), transposed(ranks=(1,)))
def test_onnx_shapes_share_their_total_as_specified(data: st.DataObject, case: Transposed) -> None:
    y, w, _ = case.arrays(conv.KERNELS["onnx"], last=False)
    (k,), (s,), (d,), (n,) = case.kernel_size, case.stride, case.dilation, case.size
    natural = s * (n - 1) + d * (k - 1) + 1
    sizes = (None, data.draw(st.integers(1, natural), "output_shape"), natural + 1)
    steps: dict[str, Any] = {"strides": [s], "dilations": [d]}
    full = onnx((y, w), **steps)
    autos = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")
    for auto, asked in itertools.product(autos, sizes):
        size = asked or (s * n if auto.startswith("SAME") else natural)
        total = max(natural - size, 0)
        begin = total // 2 if auto == "SAME_UPPER" else total - total // 2
        filled = np.pad(full, [(0, 0), (0, 0), (0, max(size - natural, 0))])
        result = onnx((y, w), **steps, auto_pad=auto, output_shape=asked and [asked])
        np.testing.assert_array_equal(result, filled[..., begin : begin + size])


# -- refusals --------------------------------------------------------------------------------------

Y, W = jnp.ones((1, 2, 5)), jnp.ones((2, 3, 3))
LAST, LAST_W = jnp.ones((1, 5, 2)), jnp.ones((3, 3, 2))

REFUSED: list[tuple[Any, tuple[Any, ...], dict[str, Any], str]] = [
    (conv.torch_conv_transpose, (Y, W), {"padding": -1}, "padding=-1: it must be at least 0; give 0 or more"),
    (conv.torch_conv_transpose, (Y, W), {"stride": 2, "output_padding": 2}, "output_padding=2: it must be smaller than the stride (2) or than the dilation (1); give at most 1"),
    (conv.torch_conv_transpose, (Y, W), {"stride": 2, "output_size": [13]}, "output_size=[13]: from an input of (5,) an axis has 11 to 12 elements"),
    (conv.torch_conv_transpose, (Y, W), {"padding": 5}, "padding=cutting 5 and 5 off: an input of size 5 gives 7 with kernel 3, stride 1 and dilation 1; cut 4 less"),
    (conv.torch_conv_transpose, (Y, jnp.ones((3, 2, 3))), {}, "weight=array of shape (3, 2, 3): with groups=1 it takes 3 channels, and input of shape (1, 2, 5) has 2; use PyTorch's layout, or convert the kernel with tconvjax.conventions.convert_kernel"),
    (conv.torch_conv_transpose, (Y, W, jnp.ones(2)), {}, "bias=array of shape (2,): it needs one element for each of the result's 3 channels; give 3"),
    (conv.torch_conv_transpose, (Y, W, jnp.ones(6)), {}, "result's 3 channels; give groups=2, or give 3"),
    (conv.onnx_conv_transpose, (Y, W, jnp.ones(6)), {}, "result's 3 channels; give group=2, or give 3"),
    (conv.flax_conv_transpose, (LAST, jnp.ones((3, 1, 4))), {}, "and inputs of shape (1, 5, 2) has 2; use Flax's layout"),
    (conv.equinox_conv_transpose, (Y[0], jnp.ones((4, 1, 3))), {}, "and x of shape (2, 5) has 2; give groups=2, or use Equinox's layout"),
    (conv.torch_conv_transpose, (Y, W.astype(jnp.float32)), {}, "weight=array of dtype float32: input is float64, and PyTorch takes one dtype; convert it: weight.astype(input.dtype)"),
    (conv.torch_conv_transpose, (Y, W), {"groups": 0}, "groups=0: it must be at least 1"),
    (conv.torch_conv_transpose, (jnp.ones(5), W), {}, "input=array of shape (5,): with a kernel of shape (2, 3, 3) it has 2 or 3 axes: (N, C, *size) or (C, *size)"),
    (conv.equinox_conv_transpose, (Y[0], W.swapaxes(0, 1)), {"padding": 5}, "padding=cutting 5 and 5 off: an input of size 5 gives 7 with kernel 3, stride 1 and dilation 1; cut 3 less"),
    (conv.keras_conv_transpose, (LAST, LAST_W), {"padding": "SAME_LOWER"}, "padding='SAME_LOWER': the choices are valid, same"),
    (conv.keras_conv_transpose, (LAST, LAST_W), {"data_format": "NHWC"}, "data_format='NHWC': the choices are channels_last, channels_first"),
    (conv.tf_conv_transpose, (LAST, LAST_W, (1, 11, 3), 2), {}, "output_shape=11: a convolution of 11 elements with padding 'SAME' gives 6, and the input has 5; give 9 to 10"),
    (conv.tf_conv_transpose, (LAST, LAST_W, (1, 10, 2), 2), {}, "output_shape=(1, 10, 2): the batch is 1 and filters give 3 channels"),
    (conv.tf_conv_transpose, (LAST, LAST_W, 10, 2), {}, "output_shape=10: it must be the result's whole shape, 3 ints"),
    (conv.tf_conv_transpose, (LAST, LAST_W, (1, 10, 3), (2, 1, 1)), {}, "strides=(2, 1, 1): it must be 1 along batch and channels"),
    (conv.tf_conv_transpose, (LAST, [1.0], (1, 10, 3), 2), {}, "filters=list: TensorFlow has one to three axes of taps"),
    (conv.onnx_conv_transpose, (Y, W), {"pads": [1]}, "pads=(1,): it must be the beginnings of all axes, then their ends; give 2 ints"),
    (conv.onnx_conv_transpose, (Y, W), {"pads": 1}, "pads=1: it must be the beginnings of all axes, then their ends; give 2 ints"),
    (conv.onnx_conv_transpose, (Y, W), {"pads": [0, 0], "auto_pad": "VALID"}, "pads=[0, 0]: auto_pad='VALID' fixes them already"),
    (conv.onnx_conv_transpose, (Y, W), {"auto_pad": "SAME"}, "auto_pad='SAME': the choices are NOTSET, SAME_UPPER, SAME_LOWER, VALID"),
    (conv.onnx_conv_transpose, (Y, W), {"kernel_shape": [4]}, "kernel_shape=[4]: W has (3,) taps; leave it out"),
    (conv.lax_conv_transpose, (LAST, W, (2,), "same"), {}, "padding='same': jax.lax takes this name with stride 1 only"),
    (conv.lax_conv_transpose, (LAST, W, (2,), [1]), {}, "padding=[1]: it must be one (low, high) pair per axis; give ((1, 2),), for example"),
    (conv.lax_conv_transpose, (jnp.ones((1, 2, 2, 2, 2, 2)), jnp.ones((2, 2, 2, 2, 2, 2)), (1,) * 4, "SAME"), {}, "dimension_numbers=None: there is no default for 4 spatial axes"),
    (conv.lax_conv_transpose, (LAST[0], W, (1,), "SAME"), {}, "lhs=array of shape (5, 2): with a kernel of shape (2, 3, 3) it has 3 axes: (N, *size, C), or as"),
    (conv.equinox_conv_transpose, (Y[0], jnp.ones((3, 2, 3))), {"padding": None}, "padding=None: it must be one (low, high) pair per axis, one int per axis or one int"),
    (conv.translate, (None, "torch", "keras"), {}, "arguments=None: it must be a mapping"),
    (conv.flax_conv_transpose, (LAST, jnp.ones((3, 2, 3))), {"mask": jnp.ones((3, 2, 1))}, "mask=array of shape (3, 2, 1): the kernel has shape (3, 2, 3)"),
    (conv.haiku_conv_transpose, (LAST, LAST_W), {"output_shape": 9, "stride": 2, "padding": [(1, 1)]}, "with output_shape it must be 'SAME' or 'VALID'"),
    (conv.equinox_conv_transpose, (Y[0], jnp.ones((3, 2, 3))), {"padding_mode": "REFLECT"}, "padding_mode='REFLECT': the choices are ZEROS, CIRCULAR; use one of them"),
    (conv.equinox_conv_transpose, (Y[0], jnp.ones((3, 2, 3))), {"padding_mode": "CIRCULAR"}, "padding_mode='CIRCULAR': Equinox has it with padding 'SAME' or 'SAME_LOWER'"),
    (conv.lax_conv_transpose, (LAST, W, (1,), "SAME"), {"dimension_numbers": {}}, "dimension_numbers={}: it must give the layouts"),
    (conv.equinox_conv_transpose, (Y, jnp.ones((3, 2, 3))), {}, "x=array of shape (1, 2, 5): with a kernel of shape (3, 2, 3) it has 2 axes"),
    (conv.torch_conv_transpose, (Y, jnp.ones((2, 3))), {}, "weight=array of shape (2, 3): a kernel of PyTorch is (C, M, *kernel_size)"),
    (conv.equinox_conv_transpose, (Y[0], jnp.ones((3, 2, 3))), {"output_padding": 1}, "output_padding=1: it must be smaller than the stride (1)"),
    (conv.equinox_conv_transpose, (Y[0], jnp.ones((3, 2, 3))), {"padding": "FULL"}, "padding='FULL': the choices are SAME, SAME_LOWER, VALID; use one of them"),
    (conv.flax_conv_transpose, (LAST, jnp.ones((3, 2, 3))), {"dtype": 1.5}, "dtype=1.5: it must be a dtype"),
    (conv.haiku_conv_transpose, (LAST, LAST_W), {"output_shape": 12, "stride": 2}, "output_shape=12: a convolution of 12 elements with padding 'SAME' gives 6, and the input has 5; give 9 to 10"),
    (conv.haiku_conv_transpose, (LAST, LAST_W), {"mask": jnp.ones(3)}, "mask=array of shape (3,): the kernel has shape (3, 3, 2)"),
    (conv.lax_conv_transpose, (LAST, W, (1,), "CIRCULAR"), {}, "padding='CIRCULAR': the names are SAME and VALID"),
    (conv.tf_conv_transpose, (LAST, LAST_W, (1, 10, 3), 2), {"data_format": "NHWC"}, "data_format='NHWC': the choices are NWC, NCW"),
]  # fmt: skip


def test_what_a_peer_refuses_is_refused_in_four_parts() -> None:
    calls = ((functools.partial(f, *arrays, **kwargs), text) for f, arrays, kwargs, text in REFUSED)
    assert_refused(calls)


def test_pytorchs_output_size_is_the_result_s_size() -> None:
    y, w = np.ones((1, 2, 5)), np.ones((2, 3, 4))
    for padding, extra in itertools.product((0, 1, 2), (0, 1)):
        steps: dict[str, Any] = {"stride": 2, "padding": padding}
        said = read(
            lambda y, w, s=steps, e=extra: conv.torch_conv_transpose(y, w, output_padding=e, **s),
            y,
            w,
        )
        size = 2 * (5 - 1) + 4 - 2 * padding + extra  # PyTorch's formula
        sized = read(
            lambda y, w, s=steps, n=size: conv.torch_conv_transpose(y, w, output_size=[n], **s),
            y,
            w,
        )
        assert sized.shape == (1, 3, size)
        np.testing.assert_array_equal(sized, said)


def test_a_mask_of_truth_values_hides_taps() -> None:
    calls = ((conv.flax_conv_transpose, np.ones((3, 2, 4))), (conv.haiku_conv_transpose, LAST_W))
    for f, w in calls:
        mask = np.arange(w.size).reshape(w.shape) % 2 == 0
        np.testing.assert_array_equal(f(LAST, w, mask=mask), f(LAST, w * mask.astype(w.dtype)))


def test_a_circular_layer_of_another_size_is_not_theirs() -> None:
    """Both have stride * n elements; the second starts where theirs do, and has one more."""
    layer = {"kernel_size": (3,), "stride": 2, "padding_mode": "circular", "output_padding": 1}
    for target in ("flax", "equinox"):
        given: Any = {"source": "tconvjax", "target": target, "input_size": (2,)}
        to: Any = functools.partial(conv.translate, **given)
        assert to({**layer, "padding": ((1, 1),)})
        wrong = functools.partial(to, {**layer, "padding": ((1, 0),)})
        assert_refused([(wrong, "or has another size")])
