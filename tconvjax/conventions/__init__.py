"""The peers' arguments and weights, and the way from one to another.

Each call-alike takes a framework's own arguments, in its own names, order, defaults and layouts,
with that framework's weights as they are, and computes what it computes by
`tconvjax.conv_transpose`. `translate` says a layer in another framework's arguments, and the
converters bring its weights along.
"""

from tconvjax.conventions.equinox import equinox_conv_transpose
from tconvjax.conventions.files import load_state, save_state
from tconvjax.conventions.flax import flax_conv_transpose
from tconvjax.conventions.haiku import haiku_conv_transpose
from tconvjax.conventions.keras import keras_conv_transpose
from tconvjax.conventions.kernels import KERNELS, KernelLayout, convert_kernel, relaid
from tconvjax.conventions.lax import lax_conv_transpose
from tconvjax.conventions.layer import Crop, Layer
from tconvjax.conventions.models import KINDS, LayerKind, layer_kinds
from tconvjax.conventions.onnx import onnx_conv_transpose
from tconvjax.conventions.states import LEAVES, convert_state_dict, replace_leaves
from tconvjax.conventions.tf import tf_conv_transpose
from tconvjax.conventions.torch import torch_conv_transpose
from tconvjax.conventions.translating import (
    FRAMEWORKS,
    argument_table,
    padding_table,
    read_layer,
    translate,
)

__all__ = [
    "FRAMEWORKS",
    "KERNELS",
    "KINDS",
    "LEAVES",
    "Crop",
    "KernelLayout",
    "Layer",
    "LayerKind",
    "argument_table",
    "convert_kernel",
    "convert_state_dict",
    "equinox_conv_transpose",
    "flax_conv_transpose",
    "haiku_conv_transpose",
    "keras_conv_transpose",
    "lax_conv_transpose",
    "layer_kinds",
    "load_state",
    "onnx_conv_transpose",
    "padding_table",
    "read_layer",
    "relaid",
    "replace_leaves",
    "save_state",
    "tf_conv_transpose",
    "torch_conv_transpose",
    "translate",
]
