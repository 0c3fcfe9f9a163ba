"""The calls, arguments and weights of other frameworks, and the conversion between them.

Each ``..._conv_transpose`` takes a framework's own arguments (names, order, defaults, layouts) and
its weights unchanged, and computes the same values with `tconvjax.conv_transpose`. `translate`
expresses a layer in another framework's arguments, and the converters move its weights.
"""

from tconvjax.conventions.equinox import equinox_conv_transpose
from tconvjax.conventions.flax import flax_conv_transpose
from tconvjax.conventions.frameworks import read_layer, translate
from tconvjax.conventions.haiku import haiku_conv_transpose
from tconvjax.conventions.keras import keras_conv_transpose
from tconvjax.conventions.kernels import KERNELS, convert_kernel
from tconvjax.conventions.lax import lax_conv_transpose
from tconvjax.conventions.loading import load_into
from tconvjax.conventions.models import LayerKind
from tconvjax.conventions.onnx import onnx_conv_transpose
from tconvjax.conventions.states import convert_state_dict, read_state
from tconvjax.conventions.tf import tf_conv_transpose
from tconvjax.conventions.torch import torch_conv_transpose

__all__ = [
    "KERNELS",
    "LayerKind",
    "convert_kernel",
    "convert_state_dict",
    "equinox_conv_transpose",
    "flax_conv_transpose",
    "haiku_conv_transpose",
    "keras_conv_transpose",
    "lax_conv_transpose",
    "load_into",
    "onnx_conv_transpose",
    "read_layer",
    "read_state",
    "tf_conv_transpose",
    "torch_conv_transpose",
    "translate",
]
