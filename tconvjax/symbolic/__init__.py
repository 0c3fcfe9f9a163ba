"""The matrix C of a convolution with symbolic entries, and why the transpose has its name.

Input and output are read as columns, row by row and channel by channel. Then the convolution is
``C * vec(x)`` and the transposed convolution is ``C.T * vec(y)``. Import it by name, because it
needs SymPy: ``from tconvjax import symbolic``.
"""

from tconvjax.symbolic._derivation import derivation
from tconvjax.symbolic.inverse import gram, least_squares_inverse, null_space, orthonormality, rank
from tconvjax.symbolic.lazy import ConvolutionMatrix, overlap
from tconvjax.symbolic.matrix import conv_matrix, vec_input, vec_output
from tconvjax.symbolic.names import kernel_symbols
from tconvjax.symbolic.structure import blocks, kronecker_form, polyphase

__all__ = [
    "ConvolutionMatrix",
    "blocks",
    "conv_matrix",
    "derivation",
    "gram",
    "kernel_symbols",
    "kronecker_form",
    "least_squares_inverse",
    "null_space",
    "orthonormality",
    "overlap",
    "polyphase",
    "rank",
    "vec_input",
    "vec_output",
]
