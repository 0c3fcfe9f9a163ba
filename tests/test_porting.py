"""From one framework's layer, kernel or whole state to another's: the values stay the same."""

from __future__ import annotations

from collections.abc import Callable
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
from tconvjax.conventions.frameworks import FRAMEWORKS
from tests.oracles import assert_refused
from tests.reading import read
from tests.strategies import Transposed, ends, transposed

NAMES = tuple(FRAMEWORKS)
CROPPING = ("tconvjax", "equinox", "torch", "onnx")


# -- arguments -------------------------------------------------------------------------------------


def drawn_arguments(data: st.DataObject, case: Transposed, source: str) -> dict[str, Any]:
    """Arguments of a source framework, its own padding among them."""
    rank, framework = case.rank, FRAMEWORKS[source]
    names = framework.names
    kwargs: dict[str, Any] = {names["kernel_size"]: case.kernel_size, names["stride"]: case.stride}
    if "dilation" in names:
        kwargs[names["dilation"]] = case.dilation
    if "groups" in names and source != "lax":
        kwargs[names["groups"]] = case.groups
    if "rank" in names:
        kwargs[names["rank"]] = rank
    numbers = st.tuples(*[st.integers(0, 2)] * rank)
    same = {"keras": ["valid", "same"], "equinox": ["SAME", "SAME_LOWER", "VALID"],
            "flax": ["CIRCULAR", "SAME", "VALID"]}  # fmt: skip
    choice: st.SearchStrategy[Any] = st.sampled_from(same.get(source, ["SAME", "VALID"]))
    if source == "torch":
        choice = numbers
    elif source == "onnx":
        choice = st.tuples(*[st.integers(0, 2)] * (2 * rank))
    elif source not in ("keras", "tf"):
        choice |= ends(-1, 3, rank)
    kwargs[names["padding"]] = data.draw(choice, "padding")
    if source == "tf":
        sizes = zip(case.size, case.stride, case.kernel_size, case.dilation, strict=True)
        kwargs["output_shape"] = tuple(
            s * n if kwargs["padding"] == "SAME" else s * (n - 1) + d * (k - 1) + 1
            for n, s, k, d in sizes
        )
    return kwargs


def run(name: str, kwargs: dict[str, Any], y: Any, w: Any) -> Any:
    """The call-alike of a framework with its arguments, on (N, C, *size) and PyTorch's kernel."""
    kwargs = dict(kwargs)
    names = FRAMEWORKS[name].names
    for concept in ("kernel_size", "rank"):
        kwargs.pop(names.get(concept, ""), None)
    groups = kwargs.get(names.get("groups", ""), 1)
    layout = name
    if kwargs.get("transpose_kernel"):
        layout += "_transpose_kernel"
    w = conv.convert_kernel(w, "torch", layout, groups=groups)
    last = name in ("keras", "tf", "lax", "flax", "haiku")
    y = np.moveaxis(y, 1, -1) if last else y
    if name == "tf":
        kwargs["output_shape"] = (y.shape[0], *kwargs["output_shape"], w.shape[-2])
    call = conv_transpose if name == "tconvjax" else getattr(conv, f"{name}_conv_transpose")
    if name == "equinox":
        return jax.jit(jax.vmap(lambda y, w: call(y, w, **kwargs), (0, None)))(y, w)
    z = read(lambda y, w: call(y, w, **kwargs), y, w)
    return np.moveaxis(z, -1, 1) if last else z


@given(st.data(), transposed(ranks=(1, 2), groups=True))
@pytest.mark.parametrize("source", NAMES)
def test_a_translated_layer_computes_the_same(
    source: str, data: st.DataObject, case: Transposed
) -> None:
    if source in ("keras", "tf", "lax", "flax", "haiku"):
        assume(case.groups == 1)
    if source == "haiku":
        case = Transposed(**{**vars(case), "dilation": (1,) * case.rank})
    kwargs = drawn_arguments(data, case, source)
    layer = conv.read_layer(kwargs, source, case.size)
    assume(all(axis.size(n) > 0 for axis, n in zip(layer.axes, case.size, strict=True)))
    target = data.draw(st.sampled_from(NAMES), "target")
    y, w, _ = case.arrays(conv.KERNELS["torch"], last=False)
    try:
        said = conv.translate(kwargs, source, target, input_size=case.size)
    except GeometryError as error:
        assert "cannot express it" in str(error) or target == "tf"  # noqa: PT017 - it may succeed too
        assert source not in CROPPING or target not in CROPPING[:2]  # which say everything
        return
    np.testing.assert_array_equal(run(target, said, y, w), run(source, kwargs, y, w))


TRANSLATED: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    ("torch", "keras", {"kernel_size": (4,), "stride": 2, "padding": 1, "bias": False},
     {"padding": "same", "output_padding": None, "use_bias": False}),
    ("keras", "torch", {"kernel_size": (2,), "strides": 3, "filters": 8},
     {"padding": (0,), "output_padding": (1,), "out_channels": 8}),
    ("equinox", "flax", {"num_spatial_dims": 1, "kernel_size": 3, "padding": "SAME",
                         "padding_mode": "CIRCULAR"},
     {"padding": "CIRCULAR", "transpose_kernel": True}),
]  # fmt: skip


def test_well_known_translations() -> None:
    for source, target, arguments, expected in TRANSLATED:
        found = conv.translate(arguments, source, target)
        assert {name: found[name] for name in expected} == expected
    pairs = {"kernel_size": (5, 5), "stride": 2, "padding": 1}
    found = conv.translate(pairs, "torch", "tf", input_size=(5, 5))
    assert found["padding"] == [(0, 0), (1, 1), (1, 1), (0, 0)]


def test_a_call_takes_a_translation_as_it_stands() -> None:
    layer = {"kernel_size": (4, 3), "stride": 2, "padding": 1, "output_padding": (0, 1)}
    rng = np.random.default_rng(0)
    y, w = jnp.asarray(rng.normal(size=(1, 4, 5, 6))), jnp.asarray(rng.normal(size=(4, 2, 4, 3)))
    steps: Any = {"stride": 2, "padding": 1, "output_padding": (0, 1)}
    for groups in (1, 2):
        said = conv.translate({**layer, "groups": groups}, "torch", "tconvjax")
        expected = conv.torch_conv_transpose(y, w, groups=groups, **steps)
        np.testing.assert_array_equal(conv_transpose(y, w, **said), expected)
    said = conv.translate(layer, "torch", "lax")
    last, kernel = jnp.moveaxis(y, 1, -1), conv.convert_kernel(w, "torch", "lax_transpose_kernel")
    z = jax.lax.conv_transpose(last, kernel, **said)
    np.testing.assert_allclose(
        jnp.moveaxis(z, -1, 1), conv.torch_conv_transpose(y, w, **steps), atol=1e-12
    )


def test_the_tables_of_the_guide_have_the_names_that_translate_reads() -> None:
    page = (Path(__file__).parents[1] / "docs/use/porting.md").read_text("utf-8")
    concepts = ("kernel_size", "stride", "padding", "output_padding", "output_size", "dilation",
                "groups", "padding_mode")  # fmt: skip
    for name, framework in FRAMEWORKS.items():
        names, kernel = framework.names, conv.KERNELS[name]
        cells = [f"`{names[c]}`" if c in names else "—" for c in concepts]
        if "kernel_size" in framework.lacks:
            cells[0] = "the kernel's"
        if name == "lax":  # the groups are those of the function here
            cells[6] = "—"
        turned = ", taps backwards" if kernel.backwards else ""
        assert f"\n| `{name}` | {' | '.join(cells)} |\n" in page
        assert f"\n| `{name}` | `{kernel.words()}`{turned} |\n" in page
        data = framework.data.replace("*", "\\*")
        assert f" | {data} | {framework.call} |\n" in page


# -- kernels ---------------------------------------------------------------------------------------


@given(
    transposed(groups=True), st.sampled_from(list(conv.KERNELS)), st.sampled_from(list(conv.KERNELS))
)  # fmt: skip
def test_a_kernel_there_and_back_is_itself(case: Transposed, first: str, second: str) -> None:
    w = case.arrays(conv.KERNELS[first])[1]
    moved = conv.convert_kernel(w, first, second, groups=case.groups)
    assert moved.shape == case.arrays(conv.KERNELS[second])[1].shape
    traced = read(lambda w: conv.convert_kernel(w, first, second, groups=case.groups), w)
    np.testing.assert_array_equal(traced, moved)
    np.testing.assert_array_equal(conv.convert_kernel(moved, second, first, groups=case.groups), w)


def test_a_kernel_is_turned_as_its_equation_says() -> None:
    groups, per_in, per_out, taps = 2, 3, 2, 4
    w = np.arange(groups * per_in * per_out * taps).reshape(groups * per_in, per_out, taps)
    v = conv.convert_kernel(w, "torch", "equinox", groups=groups)
    for g, c, m in np.ndindex(groups, per_in, per_out):
        turned = w[g * per_in + c, m, ::-1]
        np.testing.assert_array_equal(v[g * per_out + m, c], turned)


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


LEAVES: dict[str, Callable[[Any], Any]] = {
    "torch": lambda tree: tree["ups.0.weight"].shape == (4, 2, 3),
    "flax": lambda tree: tree["ups"][0]["kernel"].shape == (3, 2, 4)
    and tree["norm"].keys() == {"scale", "bias"} and tree["words"].keys() == {"embedding"},
    "equinox": lambda tree: tree["ups.0.bias"].shape == (4, 1),
    "keras": lambda tree: tree["conv/kernel"].shape == (3, 2, 4) and "norm/gamma" in tree,
    "haiku": lambda tree: tree["head"]["w"].shape == (2, 3) and "offset" in tree["norm"],
}  # fmt: skip


@pytest.mark.parametrize("target", LEAVES)
def test_a_state_has_the_targets_names_and_comes_back_as_it_was(target: str) -> None:
    tree = conv.convert_state_dict(STATE, "torch", target, kinds=KINDS)
    assert LEAVES[target](tree)
    back = conv.convert_state_dict(tree, target, "torch", kinds=KINDS)
    assert back.keys() == STATE.keys()
    for name, array in STATE.items():
        np.testing.assert_array_equal(back[name], array, err_msg=name)


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


@pytest.mark.parametrize("of", ["weight_{}", "parametrizations.weight.original{}"])
@pytest.mark.parametrize("along", [(), (0,), (1,), (2,)])
@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_weight_norms_are_multiplied_out(of: str, along: tuple[int, ...], dtype: str) -> None:
    """One g for each index along an axis, or a single one; v of a size that squares overflow."""
    rng, names = np.random.default_rng(0), ("g", "v") if of.endswith("_{}") else ("0", "1")
    v = (rng.normal(size=(6, 3, 5)) * 300).astype(jnp.dtype(dtype))
    sizes = [n if axis in along else 1 for axis, n in enumerate(v.shape)] if along else []
    g = rng.uniform(1, 2, sizes).astype(v.dtype)
    state = {f"up.{of.format(n)}": a for n, a in zip(names, (g, v), strict=True)}
    tree = conv.convert_state_dict(state, "torch", "torch", kinds={"up": "conv_transpose"})
    assert {name: array.dtype for name, array in tree.items()} == {"up.weight": np.float32}
    over = tuple(axis for axis in range(3) if axis not in along)
    wide = np.sqrt((v.astype(np.float64) ** 2).sum(over, keepdims=True))
    exact = g.astype(np.float64) * v.astype(np.float64) / wide
    off = abs(tree["up.weight"].astype(np.float64) - exact)
    assert (off <= abs(exact) * 2.0**-24 * 1.001).all()  # whatever it was stored in


@pytest.mark.parametrize("names", [
    ("weight_orig", "weight_u", "weight_v"),
    tuple(f"parametrizations.weight.{n}" for n in ("original", "0._u", "0._v")),
])  # fmt: skip
@pytest.mark.parametrize("axis", [0, 1])
def test_spectral_norms_are_divided_out(names: tuple[str, ...], axis: int) -> None:
    """Whichever axis the matrix has for rows, and where both have as many entries."""
    w = np.random.default_rng(0).normal(size=(4, 4, 3))
    matrix = np.moveaxis(w, axis, 0).reshape(4, -1)
    u, sizes, v = np.linalg.svd(matrix, full_matrices=False)
    state = dict(zip((f"up.{n}" for n in names), (w, u[:, 0], v[0]), strict=True))
    tree = conv.convert_state_dict(state, "torch", "torch", kinds={"up": "conv_transpose"})
    assert tree.keys() == {"up.weight"}
    np.testing.assert_allclose(tree["up.weight"], w / sizes[0])


def test_what_is_reparametrised_in_another_way_is_refused_by_its_name() -> None:
    w, mask = np.ones((2, 3, 4)), np.arange(24.0).reshape(2, 3, 4) % 2
    tree = conv.convert_state_dict({"a.weight_orig": w, "a.weight_mask": mask}, "torch", "torch")
    np.testing.assert_array_equal(tree["a.weight"], mask)
    for names in (
        ("weight_g",), ("weight_v",), ("weight_orig", "weight_u"), ("bias_mask",),
        ("parametrizations.weight.0.base",),
        ("parametrizations.weight.original", "parametrizations.weight.0.base"),
        ("parametrizations.bias.original0",),
    ):  # fmt: skip
        with pytest.raises(GeometryError, match=r"a\..*: it is part of a reparam.*; remove it in"):
            conv.convert_state_dict({f"a.{n}": w for n in names}, "torch", "flax")
    shapes = {"a.weight_g": np.ones((5, 1, 1)), "a.weight_v": w}
    with pytest.raises(GeometryError, match=r"a\.weight_g"):
        conv.convert_state_dict(shapes, "torch", "flax")


def test_the_collections_of_linen_are_one_model() -> None:
    kernel, ones = np.ones((4, 2, 3)), np.ones(3)
    variables = {"params": {"up": {"kernel": kernel}, "bn": {"scale": ones, "bias": ones}},
                 "batch_stats": {"bn": {"mean": ones, "var": ones}}}  # fmt: skip
    state = conv.convert_state_dict(variables, "flax", "torch", kinds={"up": "conv_transpose"})
    assert state.keys() == {"up.weight", *(f"bn.{name}" for name in (
        "weight", "bias", "running_mean", "running_var", "num_batches_tracked"))}  # fmt: skip
    assert state["up.weight"].shape == (2, 3, 4)


def test_layers_are_renamed_and_never_lost() -> None:
    state = {"a.weight": np.ones((2, 2)), "b.weight": np.ones((2, 2))}
    tree = conv.convert_state_dict(state, "torch", "equinox", rename={"a": "first.0"})
    assert tree.keys() == {"first.0.weight", "b.weight"}
    tree = conv.convert_state_dict(state, "torch", "keras", rename=lambda path: f"net.{path}")
    assert tree.keys() == {"net/a/kernel", "net/b/kernel"}


FLAX = {"ups.*": conv.LayerKind("conv_transpose", 2, "flax")}
"""The kinds of `variables`, of which linen itself has no groups."""


def variables(dtype: Any = np.float32) -> dict[str, Any]:
    """Linen's variables for most of STATE and a batch norm, all of them zero."""
    shapes: dict[str, Any] = {
        "ups": {"0": {"kernel": (3, 2, 4), "bias": (4,)}},
        "head": {"kernel": (2, 3), "bias": (3,)},
        "norm": {"scale": (4,), "bias": (4,)},
        "words": {"embedding": (5, 2)},
    }
    made = jax.tree.map(lambda n: np.zeros(n, dtype), shapes, is_leaf=lambda n: type(n) is tuple)
    statistics = {"norm": {"mean": np.zeros(4, dtype), "var": np.zeros(4, dtype)}}
    return {"params": made, "batch_stats": statistics, "cache": {"i": np.zeros(())}}


LOADED = {name: array for name, array in STATE.items() if name[:5] not in ("conv.", "block")} | {
    "norm.running_mean": np.arange(4.0), "norm.running_var": np.arange(4.0) + 1,
    "norm.num_batches_tracked": np.array(7),
}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, jnp.bfloat16])
def test_what_is_loaded_is_what_is_converted(dtype: Any) -> None:
    """In the model's own dtypes; other collections stay, and so does the model that was given."""
    before = variables(dtype)
    after = conv.load_into(before, LOADED, kinds=FLAX)
    assert str(jax.tree.structure(after)) == str(jax.tree.structure(before))
    assert not any(leaf.any() for leaf in jax.tree.leaves(before))
    for leaf, old in zip(jax.tree.leaves(after), jax.tree.leaves(before), strict=True):
        assert (leaf.dtype, leaf.shape) == (old.dtype, old.shape)
    back = conv.convert_state_dict(after, "flax", "torch", kinds=FLAX, rename=lambda path: path)
    for name in LOADED.keys() - {"norm.num_batches_tracked"}:
        np.testing.assert_array_equal(back[name], LOADED[name], err_msg=name)


def test_every_entry_that_does_not_fit_is_told_at_once() -> None:
    state = {**LOADED, "more.weight": np.ones(3), "ups.0.weight": np.ones((4, 2, 5))}
    del state["head.bias"], state["norm.running_var"]
    told = (
        "missing: norm.var", "missing: head.bias", "unexpected: more.weight",
        r"misshaped: ups.0.weight of shape \(4, 2, 5\) gives \(5, 2, 4\), and the model's "
        r"ups.0.kernel has \(3, 2, 4\)$",
    )  # fmt: skip
    rule = "state=4 entries that do not fit: the weights must be those of the model's layers; map "
    with pytest.raises(GeometryError, match=rule + ".*\n  " + "\n  ".join(told)):
        conv.load_into(variables(), state, kinds=FLAX)
    model, left = conv.load_into(variables(), state, kinds=FLAX, strict=False)
    assert {what: [line.split()[0] for line in lines] for what, lines in left.items()} == {
        "missing": ["norm.var", "head.bias"], "unexpected": ["more.weight"],
        "misshaped": ["ups.0.weight"],
    }  # fmt: skip
    assert not model["params"]["ups"]["0"]["kernel"].any()
    np.testing.assert_array_equal(model["params"]["ups"]["0"]["bias"], LOADED["ups.0.bias"])


def test_a_layer_of_another_kind_is_told_with_the_others() -> None:
    state = {**LOADED, "head.weight": np.ones((3, 2, 1))}
    kinds = {**FLAX, "head": "linear"}
    _, left = conv.load_into(variables(), state, kinds=kinds, strict=False)
    assert left["misshaped"][0].startswith("head.weight: kinds='linear' for an array of shape")
    assert not left["missing"]


def test_a_kernel_of_an_unknown_layer_is_not_guessed() -> None:
    _, left = conv.load_into(variables(), LOADED, strict=False)
    assert left["missing"] == ["ups.0.kernel"]
    assert left["unexpected"] == ["ups.0.weight"]


def test_what_is_no_array_is_read_as_one() -> None:
    tree = conv.convert_state_dict({"a.weight": [[1.0, 2.0]], "a.scale": 3}, "torch", "flax")
    assert tree["a"]["kernel"].tolist() == [[1], [2]]
    assert tree["a"]["scale"] == 3


def test_an_npz_file_is_a_state_open_or_by_its_path(tmp_path: Path) -> None:
    """Of bfloat16 NumPy's files keep two bytes a number."""
    state: dict[str, Any] = {
        "up.weight": np.ones((2, 3, 4), jnp.bfloat16),
        "up.bias": np.arange(3.0),
    }
    path = tmp_path / "weights.npz"
    np.savez(path, **state)
    with np.load(path) as file:
        for read in (file, path, str(path)):
            back = conv.convert_state_dict(read, "torch", "torch", kinds={"up": "conv_transpose"})
            for name, array in state.items():
                assert back[name].dtype == array.dtype
                np.testing.assert_array_equal(back[name], array)


# -- refusals --------------------------------------------------------------------------------------

any_conv: Any = conv  # wrong types are the point


def said(source: str, target: str, **kwargs: Any) -> Callable[[], Any]:
    """A translation that cannot be."""
    size = (5,) if source == "tconvjax" else None
    return lambda: conv.translate(kwargs, source, target, input_size=size)


def turned(
    kernel: Any, target: Any = "flax", source: Any = "torch", groups: int = 1
) -> Callable[[], Any]:
    return lambda: conv.convert_kernel(kernel, source, target, groups=groups)


def moved(
    source: Any = "torch", target: Any = "flax", state: Any = None, **kwargs: Any
) -> Callable[[], Any]:
    return lambda: conv.convert_state_dict(
        STATE if state is None else state, source, target, **kwargs
    )


def loaded(state: Any = LOADED, kinds: Any = FLAX, **kwargs: Any) -> Callable[[], Any]:
    return lambda: conv.load_into(variables(), state, kinds=kinds, **kwargs)


REFUSED: list[tuple[Callable[[], Any], str]] = [
    (said("torch", "keras", kernel_size=(5,), padding=1), "padding=((1, 1),): Keras cannot express it"),
    (said("onnx", "torch", kernel_shape=(3,), pads=(0, 1)), "padding=(0, 1): PyTorch cannot express it"),
    (said("torch", "haiku", kernel_size=(3,), dilation=2), "dilation=(2,): Haiku cannot express it: its ConvNDTranspose has none"),
    (said("torch", "flax", kernel_size=(3,), groups=2), "groups=2: Flax cannot express it: it has no groups"),
    (said("torch", "jax", kernel_size=(3,)), "target='jax': the choices are tconvjax, torch"),
    (said("torch", "lax", kernel_size=3), "kernel_size=3: it determines the number of axes; give one int per axis"),
    (said("torch", "lax", kernel_size=(3,), strides=2), "strides=2: torch.nn.ConvTranspose1d, ConvTranspose2d, ConvTranspose3d has no such argument, or it is not needed here; did you mean 'stride'?"),
    (said("pytorch", "lax", kernel_size=(3,)), "; did you mean 'torch'?"),
    (moved(kinds={"heads": "linear"}), "kinds['heads']='linear': no layer has such a path; did you mean 'head'?"),
    (moved(rename={"heads": "up"}), "rename='heads': no layer has that path; did you mean 'head'?"),
    (said("tconvjax", "onnx", kernel_size=(3,), padding="SAME", padding_mode="circular"), "padding_mode='circular': ONNX cannot express it"),
    (said("tconvjax", "onnx", kernel_size=(3,), padding=((-1, 0),)), "pads=(-1, 0): ONNX cannot express it"),
    (said("tconvjax", "torch", kernel_size=(3,), padding_mode="reflect"), "padding_mode='reflect': the choices are zeros, circular"),
    (said("torch", "keras", kernel_size=(3,), stride=2, dilation=2), "dilation_rate=(2,): Keras cannot express it"),
    (turned(np.ones((2, 3, 4)), "numpy"), "target='numpy': the choices are tconvjax, torch"),
    (turned(np.ones((2, 3)), "keras"), "kernel=array of shape (2, 3): a kernel has two channel axes"),
    (turned([[1, 2], [3]]), "kernel=list: it is not an array of numbers"),
    (lambda: conv.convert_kernel(np.ones((2, 3, 4)), "torch", "flax", groups=0), "groups=0: it must be at least 1"),
    (lambda: conv.LayerKind("conv_transpose", 1, "numpy"), "layout='numpy': the choices are tconvjax, torch"),
    (moved(kinds={"up": "deconv"}), "kinds['up']='deconv': the choices are conv_transpose"),
    (moved(kinds=object()), "kinds=object: it is neither a mapping nor a model"),
    (moved(kinds={"up.*": "conv_transpose"}), "kinds['up.*']='conv_transpose': no layer has such a path; the layers are ups.0"),
    (moved(kinds={3: "conv"}), "kinds[3]='conv': patterns are strings"),
    (moved(kinds={"ups.*": "linear"}), "ups.0.weight: kinds='linear' for an array of shape"),
    (moved(target="equinox", kinds={"ups.*": conv.LayerKind("conv_transpose", 3)}), "ups.0.weight: groups=3: it must divide the 4 channels of axis 0"),
    (moved(rename=3), "rename=3: it must be a mapping or a function of paths"),
    (moved(rename={"up": "down"}), "rename='up': no layer has that path; the layers are ups.0"),
    (moved(rename=lambda path: None), "rename='ups.0' to None: a path is a string"),
    (moved(target="keras", rename={"conv": "head"}), "another layer has that path"),
    (moved(state={"a.note": "text"}), "a.note=str: it is not an array of numbers"),
    (lambda: conv.convert_state_dict(None, "torch", "flax"), "state=NoneType: there is no array in it"),
    (lambda: conv.load_into(None, LOADED), "model=NoneType: it must be a Flax NNX or Equinox module, or linen's variables; for linen give lambda"),
    (loaded({"generator": LOADED, "step": 3}), "state=mapping with state dicts at 'generator': it must be one state dict; give state['generator']"),
    (loaded({f"module.{name}": array for name, array in LOADED.items()}, None), "; give rename=lambda path: path.removeprefix('module.')"),
    (loaded(kinds={"ups.*": "conv_transpose"}), "kinds='conv_transpose' for 'ups.0': variables do not show the layout of a transposed kernel"),
    (loaded(kinds={"up": "conv_transpose"}), "kinds['up']='conv_transpose': no layer has such a path"),
    (loaded(source="numpy"), "source='numpy': the choices are torch"),
    (loaded(strict=None), "strict=None: it must be True or False"),
    (lambda: any_conv.read_state(b"weights.npz"), "file=bytes: it must be the path of a file"),
    (lambda: conv.read_state("weights.h5"), "file='.h5': the choices are .pt, .pth, .bin, .safetensors, .npz"),
    (lambda: any_conv.LayerKind("deconv"), "kind='deconv': the choices are conv_transpose"),
    (moved("numpy"), "source='numpy': the choices are torch, flax"),
    (said("tconvjax", "torch", kernel_size=(3,), padding="SAME", padding_mode="circular"), "padding_mode='circular'"),
    (said("torch", "lax", kernel_size=(3,), output_size=(9,)), "input_size=None: output_size means a different padding for every input size"),
    (said("tf", "torch", kernel_size=(3,) * 4), "kernel_size=(3, 3, 3, 3): TensorFlow cannot express it"),
    (said("torch", "tf", kernel_size=(3,)), "input_size=None: TensorFlow needs the result's shape"),
]  # fmt: skip


def test_what_cannot_be_said_or_moved_is_refused_in_four_parts() -> None:
    assert_refused(REFUSED)
