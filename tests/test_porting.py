"""From one framework's layer, kernel or whole state to another's: the values stay the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tconvjax import GeometryError, conv_transpose
from tconvjax import conventions as conv
from tests.strategies import Transposed, ends, transposed

NAMES = tuple(conv.FRAMEWORKS)


# -- arguments -------------------------------------------------------------------------------------


def drawn_arguments(data: st.DataObject, there: Transposed, source: str) -> dict[str, Any]:
    """Arguments of a source framework, its own padding among them."""
    rank, framework = there.rank, conv.FRAMEWORKS[source]
    names = framework.names
    given: dict[str, Any] = {names["kernel_size"]: there.kernel_size, names["stride"]: there.stride}
    if "dilation" in names:
        given[names["dilation"]] = there.dilation
    if "groups" in names and source != "lax":
        given[names["groups"]] = there.groups
    if "rank" in names:
        given[names["rank"]] = rank
    numbers = st.tuples(*[st.integers(0, 2)] * rank)
    same = {"keras": ["valid", "same"], "equinox": ["SAME", "SAME_LOWER", "VALID"]}
    choice: st.SearchStrategy[Any] = st.sampled_from(same.get(source, ["SAME", "VALID"]))
    if source == "torch":
        choice = numbers
    elif source == "onnx":
        choice = st.tuples(*[st.integers(0, 2)] * (2 * rank))
    elif source not in ("keras", "tf"):
        choice |= ends(-1, 3, rank)
    given[names["padding"]] = data.draw(choice, "padding")
    if source == "tf":
        sizes = zip(there.size, there.stride, there.kernel_size, there.dilation, strict=True)
        given["output_shape"] = tuple(
            s * n if given["padding"] == "SAME" else s * (n - 1) + d * (k - 1) + 1
            for n, s, k, d in sizes
        )
    return given


def run(name: str, given: dict[str, Any], y: Any, w: Any) -> np.ndarray:
    """The call-alike of a framework with its arguments, on (N, C, *size) and PyTorch's kernel."""
    given = dict(given)
    names = conv.FRAMEWORKS[name].names
    for concept in ("kernel_size", "rank"):
        given.pop(names.get(concept, ""), None)
    groups = given.get(names.get("groups", ""), 1)
    layout = name
    if given.get("transpose_kernel"):
        layout += "_transpose_kernel"
    w = conv.convert_kernel(w, "torch", layout, groups=groups)
    last = name in ("keras", "tf", "lax", "flax", "haiku")
    y = np.moveaxis(y, 1, -1) if last else y
    if name == "tf":
        given["output_shape"] = (y.shape[0], *given["output_shape"], w.shape[-2])
    call = conv_transpose if name == "tconvjax" else getattr(conv, f"{name}_conv_transpose")
    if name == "equinox":
        return np.stack([call(one, w, **given) for one in y])
    z = np.asarray(call(y, w, **given))
    return np.moveaxis(z, -1, 1) if last else z


@given(st.data(), transposed(ranks=(1, 2), groups=True))
@pytest.mark.parametrize("source", NAMES)
def test_a_translated_layer_computes_the_same(
    source: str, data: st.DataObject, there: Transposed
) -> None:
    if source in ("keras", "tf", "lax", "flax", "haiku"):
        assume(there.groups == 1)
    if source == "haiku":
        there = Transposed(**{**vars(there), "dilation": (1,) * there.rank})
    given = drawn_arguments(data, there, source)
    layer = conv.read_layer(given, source, there.size)
    assume(all(axis.size(n) > 0 for axis, n in zip(layer.axes, there.size, strict=True)))
    target = data.draw(st.sampled_from(NAMES), "target")
    y, w, _ = there.arrays(conv.KERNELS["torch"], last=False)
    try:
        said = conv.translate(given, source, target, input_size=there.size)
    except GeometryError as error:
        assert "cannot say it" in str(error) or target == "tf"  # noqa: PT017 - it may succeed too
        return
    np.testing.assert_array_equal(run(target, said, y, w), run(source, given, y, w))


@given(st.data(), transposed(ranks=(1, 2), groups=True))
@pytest.mark.parametrize("target", ["tconvjax", "equinox"])
def test_what_crops_anything_says_everything(
    target: str, data: st.DataObject, there: Transposed
) -> None:
    source = data.draw(st.sampled_from(("tconvjax", "torch", "onnx", "equinox")), "source")
    given = drawn_arguments(data, there, source)
    conv.translate(given, source, target, input_size=there.size)


@pytest.mark.parametrize("name", NAMES)
def test_to_itself_and_back_changes_nothing(name: str) -> None:
    layer = conv.Layer((conv.Crop(4, 2, 1, 1, 1), conv.Crop(4, 2, 1, 1, 1)))
    said = conv.FRAMEWORKS[name].write(layer, (5, 6))
    assert conv.read_layer(said, name, (5, 6)).crops == layer.crops


TRANSLATED: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("torch", "keras", {"kernel_size": (4,), "stride": 2, "padding": 1, "bias": False},
     {"padding": "same", "output_padding": None, "use_bias": False}),
    ("torch", "flax", {"kernel_size": (4,), "stride": 2, "padding": 1, "in_channels": 3},
     {"padding": ((2, 2),), "in_features": 3, "strides": (2,)}),
    ("torch", "onnx", {"kernel_size": (3,), "stride": 2, "padding": 1, "output_padding": 1},
     {"pads": (1, 0), "output_padding": (0,)}),
    ("keras", "torch", {"kernel_size": (2,), "strides": 3, "filters": 8},
     {"padding": (0,), "output_padding": (1,), "out_channels": 8}),
    ("lax", "torch", {"kernel_size": (2,), "strides": (3,), "padding": "VALID"},
     {"padding": (0,), "output_padding": (1,)}),
    ("torch", "tf", {"kernel_size": (5, 5), "stride": 2, "padding": 1},
     {"output_shape": (11, 11), "padding": [(0, 0), (1, 1), (1, 1), (0, 0)]}),
    ("torch", "tf", {"kernel_size": (3, 3), "stride": 2, "padding": 1},
     {"output_shape": (9, 9), "padding": "SAME"}),
    ("flax", "tconvjax", {"kernel_size": 3, "padding": 0}, {"padding": ((2, 2),)}),
    ("tconvjax", "torch", {"kernel_size": (3,), "stride": 2, "padding": "SAME_LOWER"},
     {"padding": (1,), "output_padding": (1,)}),
    ("equinox", "flax", {"num_spatial_dims": 1, "kernel_size": 3, "padding": "SAME",
                         "padding_mode": "CIRCULAR"},
     {"padding": "CIRCULAR", "transpose_kernel": True}),
]  # fmt: skip


@pytest.mark.parametrize(("source", "target", "given", "expected"), TRANSLATED)
def test_well_known_translations(
    source: str, target: str, given: dict[str, Any], expected: dict[str, Any]
) -> None:
    said = conv.translate(given, source, target, input_size=(5, 5)[: 2 if target == "tf" else 1])
    assert {name: said[name] for name in expected} == expected


UNSAID: list[tuple[str, str, dict[str, Any], str]] = [
    ("torch", "keras", {"kernel_size": (5,), "padding": 1}, "padding=((1, 1),): Keras cannot say it"),
    ("keras", "torch", {"kernel_size": (3,), "strides": 1, "padding": "SAME_LOWER"}, "padding='SAME_LOWER': the names are valid and same"),
    ("onnx", "torch", {"kernel_shape": (3,), "pads": (0, 1)}, "padding=(0, 1): PyTorch cannot say it"),
    ("torch", "haiku", {"kernel_size": (3,), "dilation": 2}, "dilation=(2,): Haiku cannot say it: its ConvNDTranspose has none"),
    ("torch", "flax", {"kernel_size": (3,), "groups": 2}, "groups=2: Flax cannot say it: it has no groups"),
    ("torch", "tf", {"kernel_size": (3,)}, "input_size=None: TensorFlow wants the result's shape"),
    ("torch", "jax", {"kernel_size": (3,)}, "target='jax': the frameworks are tconvjax, torch"),
    ("torch", "lax", {"kernel_size": 3}, "kernel_size=3: it tells the number of axes; give one int an axis"),
    ("torch", "lax", {"kernel_size": (3,), "strides": 2}, "strides=2: torch.nn.ConvTranspose1d, 2d, 3d has no such argument"),
    ("torch", "lax", {"kernel_size": (3,), "output_size": (9,)}, "input_size=None: output_size means a different padding for every input size"),
    ("tconvjax", "torch", {"kernel_size": (3,), "padding": "SAME", "padding_mode": "circular"}, "padding_mode='circular'"),
    ("tconvjax", "torch", {"kernel_size": (3,), "padding_mode": "reflect"}, "padding_mode='reflect': no other framework has it"),
    ("torch", "keras", {"kernel_size": (3,), "stride": 2, "dilation": 2}, "dilation_rate=(2,): Keras cannot say it"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "target", "given", "message"), UNSAID)
def test_what_cannot_be_said_is_said(
    source: str, target: str, given: dict[str, Any], message: str
) -> None:
    size = (5,) if source == "tconvjax" else None
    with pytest.raises(GeometryError) as caught:
        conv.translate(given, source, target, input_size=size)
    assert message in str(caught.value)


def test_the_tables_have_a_row_for_each() -> None:
    for table in (conv.argument_table(), conv.padding_table()):
        rows = table.splitlines()
        assert [row.split("`")[1] for row in rows[2:]] == list(NAMES)
        assert len({row.count("|") for row in rows}) == 1


# -- kernels ---------------------------------------------------------------------------------------


@given(
    transposed(groups=True), st.sampled_from(list(conv.KERNELS)), st.sampled_from(list(conv.KERNELS))
)  # fmt: skip
def test_a_kernel_there_and_back_is_itself(there: Transposed, first: str, second: str) -> None:
    w = there.arrays(conv.KERNELS[first])[1]
    moved = conv.convert_kernel(w, first, second, groups=there.groups)
    assert moved.shape == there.arrays(conv.KERNELS[second])[1].shape
    np.testing.assert_array_equal(conv.convert_kernel(moved, second, first, groups=there.groups), w)


def test_a_kernel_is_turned_as_its_equation_says() -> None:
    groups, per_in, per_out, taps = 2, 3, 2, 4
    w = np.arange(groups * per_in * per_out * taps).reshape(groups * per_in, per_out, taps)
    v = conv.convert_kernel(w, "torch", "equinox", groups=groups)
    for g in range(groups):
        for c in range(per_in):
            for m in range(per_out):
                np.testing.assert_array_equal(
                    v[g * per_out + m, c], w[g * per_in + c, m, ::-1]
                )  # fmt: skip


@pytest.mark.parametrize(("kernel", "names", "message"), [
    (np.ones((2, 3, 4)), ("torch", "mlx"), "target='mlx': the kernel layouts are"),
    (np.ones((2, 3)), ("torch", "keras"), "kernel=array of shape (2, 3): a kernel has two channel axes"),
    (np.ones((3, 3, 4)), ("torch", "equinox", 2), "groups=2: it must divide the 3 channels of axis 0"),
])  # fmt: skip
def test_bad_kernels_are_refused(kernel: Any, names: tuple[Any, ...], message: str) -> None:
    with pytest.raises(GeometryError) as caught:
        conv.convert_kernel(kernel, *names[:2], groups=names[2] if len(names) > 2 else 1)
    assert message in str(caught.value)


# -- states ----------------------------------------------------------------------------------------

STATE = {
    "ups.0.weight": np.arange(24.0).reshape(4, 2, 3), "ups.0.bias": np.arange(4.0),
    "conv.weight": np.arange(24.0).reshape(4, 2, 3), "conv.bias": np.arange(4.0),
    "head.weight": np.arange(6.0).reshape(3, 2), "head.bias": np.arange(3.0),
    "norm.weight": np.arange(4.0), "norm.bias": np.arange(4.0),
    "words.weight": np.arange(10.0).reshape(5, 2),
    "block.gamma": np.arange(3.0),
}  # fmt: skip
KINDS: dict[str, Any] = {
    "ups.*": conv.LayerKind("conv_transpose", groups=2),
    "words": "embedding",
    "block": "other",
}


@pytest.mark.parametrize("target", ["torch", "flax", "equinox", "keras", "haiku"])
def test_a_state_there_and_back_is_itself(target: str) -> None:
    tree = conv.convert_state_dict(STATE, "torch", target, kinds=KINDS)
    back = conv.convert_state_dict(tree, target, "torch", kinds=KINDS)
    assert back.keys() == STATE.keys()
    for name, array in STATE.items():
        np.testing.assert_array_equal(back[name], array, err_msg=name)


def test_the_leaves_have_the_targets_names_and_shapes() -> None:
    trees = {
        target: conv.convert_state_dict(STATE, "torch", target, kinds=KINDS)
        for target in ("flax", "equinox", "keras", "haiku")
    }
    assert trees["flax"]["ups"][0]["kernel"].shape == (3, 2, 4)
    assert trees["flax"]["norm"].keys() == {"scale", "bias"}
    assert trees["flax"]["words"].keys() == {"embedding"}
    assert trees["equinox"]["ups.0.weight"].shape == (4, 2, 3)
    assert trees["equinox"]["ups.0.bias"].shape == (4, 1)
    assert trees["keras"]["conv/kernel"].shape == (3, 2, 4)
    assert trees["keras"]["norm/gamma"].shape == (4,)
    assert trees["haiku"]["head"]["w"].shape == (2, 3)
    assert trees["haiku"]["norm"].keys() == {"scale", "offset"}


def test_running_statistics_come_along_and_counts_come_back() -> None:
    state = {f"bn.{name}": np.arange(3.0) for name in
             ("weight", "bias", "running_mean", "running_var")}  # fmt: skip
    state["bn.num_batches_tracked"] = np.array(7)
    tree = conv.convert_state_dict(state, "torch", "flax")
    assert tree["bn"].keys() == {"scale", "bias", "mean", "var"}
    back = conv.convert_state_dict(tree, "flax", "torch")
    assert back.keys() == state.keys()
    with pytest.raises(GeometryError, match="bn=running_mean: haiku keeps it outside"):
        conv.convert_state_dict(state, "torch", "haiku")


@pytest.mark.parametrize(
    ("g", "v"),
    [("up.weight_g", "up.weight_v"),
     ("up.parametrizations.weight.original0", "up.parametrizations.weight.original1")],
)  # fmt: skip
def test_weight_norms_are_multiplied_out(g: str, v: str) -> None:
    direction = np.arange(1.0, 13.0).reshape(2, 3, 2)
    size = np.array([3.0, 5.0]).reshape(2, 1, 1)
    state = {g: size, v: direction, "up.bias": np.zeros(3)}
    tree = conv.convert_state_dict(state, "torch", "torch", kinds={"up": "conv_transpose"})
    assert tree.keys() == {"up.bias", "up.weight"}
    norms = np.sqrt((tree["up.weight"] ** 2).sum((1, 2)))
    np.testing.assert_allclose(norms, [3, 5])


def test_layers_are_renamed_and_never_lost() -> None:
    state = {"a.weight": np.ones((2, 2)), "b.weight": np.ones((2, 2))}
    tree = conv.convert_state_dict(state, "torch", "equinox", rename={"a": "first.0"})
    assert tree.keys() == {"first.0.weight", "b.weight"}
    tree = conv.convert_state_dict(state, "torch", "keras", rename=lambda path: f"net.{path}")
    assert tree.keys() == {"net/a/kernel", "net/b/kernel"}
    with pytest.raises(GeometryError, match="another layer has that path"):
        conv.convert_state_dict(state, "torch", "keras", rename={"a": "b"})


def test_leaves_are_replaced_by_path_and_shape() -> None:
    module = {"up": [{"w": jnp.zeros((2, 3), jnp.float32)}], "rest": jnp.ones(2)}
    new = conv.replace_leaves(module, {"up.0.w": np.full((2, 3), 7.0)})
    assert new["up"][0]["w"].dtype == jnp.float32
    assert float(new["up"][0]["w"][0, 0]) == 7
    with pytest.raises(GeometryError, match="the module has no such leaf"):
        conv.replace_leaves(module, {"up.1.w": np.zeros(2)})
    with pytest.raises(GeometryError, match="the module's has shape"):
        conv.replace_leaves(module, {"rest": np.zeros(3)})


@pytest.mark.parametrize(("given", "message"), [
    (("numpy", "torch", {}), "source='numpy': the trees are torch, flax"),
    (("torch", "torch", {"up": "deconv"}), "kinds['up']='deconv': the kinds are conv_transpose"),
    (("torch", "torch", object()), "kinds=object: it is neither a mapping nor a model"),
    (({}, "torch", {}), "source={}: the trees are torch, flax"),
    (("torch", "torch", {"up.*": "conv_transpose"}), "kinds['up.*']='conv_transpose': no layer has such a path; the layers are ups.0"),
    (("torch", "torch", {3: "conv"}), "kinds[3]='conv': patterns are strings"),
    (("torch", "flax", {"ups.*": "linear"}), "ups.0.weight: kinds='linear' for an array of shape"),
    (("torch", "equinox", {"ups.*": conv.LayerKind("conv_transpose", 3)}), "ups.0.weight: groups=3: it must divide the 4 channels of axis 0"),
])  # fmt: skip
def test_bad_requests_are_refused(given: tuple[Any, ...], message: str) -> None:
    with pytest.raises(GeometryError) as caught:
        conv.convert_state_dict(STATE, *given[:2], kinds=given[2])
    assert message in str(caught.value)


@pytest.mark.parametrize(("given", "message"), [
    (("deconv",), "kind='deconv': the kinds are conv_transpose"),
    (("conv", 0), "groups=0: "),
    (("conv_transpose", 1, "numpy"), "layout='numpy': the kernel layouts are tconvjax, torch"),
])  # fmt: skip
def test_a_layer_of_no_kind_is_refused(given: tuple[Any, ...], message: str) -> None:
    with pytest.raises(GeometryError) as caught:
        conv.LayerKind(*given)
    assert message in str(caught.value)


@pytest.mark.parametrize(("rename", "message"), [
    (3, "rename=3: it is a mapping of paths or a function of one"),
    ({"up": "down"}, "rename='up': no layer has that path; the layers are ups.0"),
    ({"ups.0": 3}, "rename='ups.0' to 3: a path is a string"),
    (lambda path: None, "rename='ups.0' to None: a path is a string"),
])  # fmt: skip
def test_bad_names_are_refused(rename: Any, message: str) -> None:
    with pytest.raises(GeometryError) as caught:
        conv.convert_state_dict(STATE, "torch", "flax", rename=rename)
    assert message in str(caught.value)


@pytest.mark.parametrize(("call", "message"), [
    (lambda: conv.convert_kernel([[1, 2], [3]], "torch", "flax"), "kernel=list: it is no array of numbers"),
    (lambda: conv.convert_kernel([[["a"]]], "torch", "flax"), "kernel=list: it is no array of numbers"),
    (lambda: jax.jit(lambda w: conv.convert_kernel(w, "torch", "flax"))(jnp.ones((2, 3, 4))), "it is no array of numbers; give its kernel as NumPy's; under jit use relaid"),
    (lambda: conv.convert_kernel(np.ones((2, 3, 4)), [], "flax"), "source=[]: the kernel layouts are"),  # type: ignore[arg-type]
    (lambda: conv.relaid(np.ones((2, 3, 4)), "torch", "flax", 0), "groups=0: it must be at least 1"),
    (lambda: conv.relaid([[[1]]], "torch", "flax", 1), "w=list: a kernel is an array of two channel axes"),
    (lambda: conv.translate({"kernel_size": ()}, "torch", "flax"), "kernel_size=(): it tells the number of axes"),
    (lambda: conv.translate({"kernel_size": (3,)}, {}, "flax"), "source={}: the frameworks are"),  # type: ignore[arg-type]
    (lambda: conv.replace_leaves({"a": np.ones(2)}, None), "arrays=NoneType: it has arrays by path"),  # type: ignore[arg-type]
    (lambda: conv.replace_leaves({"a": np.ones(2)}, {"a": "x"}), "a=str: it is no array of numbers"),
    (lambda: conv.save_state("no/such/folder.npz", {}), "path='no/such/folder.npz': it cannot be written"),
    (lambda: conv.save_state("x.npz", None), "state=NoneType: it has arrays by name"),  # type: ignore[arg-type]
    (lambda: conv.save_state("x.npz", {3: np.ones(2)}), "state=dict: it has arrays by name"),  # type: ignore[dict-item]
    (lambda: conv.save_state("x.safetensors", {"a": np.array(["x"])}), "a=ndarray: it is no array of numbers"),
])  # fmt: skip
def test_what_is_no_weight_is_refused(call: Any, message: str) -> None:
    with pytest.raises(GeometryError) as caught:
        call()
    assert message in str(caught.value)
    assert "; " in str(caught.value)


def test_nothing_is_lost_in_silence() -> None:
    with pytest.raises(GeometryError, match="state=NoneType: there is no array in it"):
        conv.convert_state_dict(None, "torch", "flax")
    with pytest.raises(GeometryError, match=r"a\.note=str: it is no array of numbers"):
        conv.convert_state_dict({"a.note": "text"}, "torch", "flax")
    tree = conv.convert_state_dict({"a.weight": [[1.0, 2.0]], "a.scale": 3}, "torch", "flax")
    assert tree["a"]["kernel"].tolist() == [[1], [2]]
    assert tree["a"]["scale"] == 3


# -- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_file_holds_what_was_written(tmp_path: Path, suffix: str) -> None:
    if suffix == ".safetensors":
        pytest.importorskip("safetensors", reason="pip install safetensors to test its files")
    path = tmp_path / f"weights{suffix}"
    odd = {"bn.num_batches_tracked": np.array(3), "half": np.ones(3, jnp.bfloat16),
           "file": np.ones(2), "allow_pickle": np.ones(1), "last": np.ones((2, 3)).T}  # fmt: skip
    state = {**STATE, **odd}
    conv.save_state(path, state)
    back = conv.load_state(path)
    assert back.keys() == state.keys()
    for name, array in state.items():
        assert (back[name].shape, back[name].dtype) == (array.shape, array.dtype)
        assert np.array_equal(back[name], array)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_file_has_the_rights_of_any_new_one(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    conv.save_state(tmp_path / "weights.npz", {})
    modes = {p.stat().st_mode for p in tmp_path.iterdir()}
    assert len(modes) == 1


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "weights.npz"
    np.savez(path, bad=np.array([{"a": 1}], object))
    with pytest.raises(GeometryError, match="it cannot be read: Object arrays"):
        conv.load_state(path)
    for name in ("weights.pt", "weights.pkl", "weights"):
        with pytest.raises(GeometryError, match="which hold arrays only"):
            conv.load_state(tmp_path / name)


def test_a_bad_file_or_value_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "bad.npz").write_bytes(b"")
    with pytest.raises(GeometryError, match="it cannot be read"):
        conv.load_state(tmp_path / "bad.npz")
    with pytest.raises(GeometryError, match=r"float8_e4m3fn: \.npz has no such dtype"):
        conv.save_state(tmp_path / "new.npz", {"a": np.ones(1, jnp.float8_e4m3fn)})
    (tmp_path / "bad.npz").write_bytes(b"no file of NumPy's")
    (tmp_path / "bad.safetensors").write_bytes(b"no file of theirs")
    with pytest.raises(GeometryError, match="it cannot be read"):
        conv.load_state(tmp_path / "bad.npz")
    with pytest.raises(GeometryError, match=r"it cannot be read|safetensors is not installed"):
        conv.load_state(tmp_path / "bad.safetensors")
    with pytest.raises(GeometryError, match="it cannot be read"):
        conv.load_state(tmp_path / "none.npz")
    with pytest.raises(GeometryError, match="up=dict: it is no array of numbers"):
        conv.save_state(tmp_path / "new.npz", {"up": {"w": np.zeros(2)}})
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.npz", "bad.safetensors"]
