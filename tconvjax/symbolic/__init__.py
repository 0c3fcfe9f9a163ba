"""The matrix C of a convolution with symbolic entries, and why the transpose has its name.

Input and output are read as columns, row by row and channel by channel. Then the convolution is
``C * vec(x)`` and the transposed convolution is ``C.T * vec(y)``. Imported by name, since it needs
SymPy: ``from tconvjax import symbolic``.
"""

from tconvjax.symbolic.deriving import Derivation, Step, convolution_sums, derivation, jacobian
from tconvjax.symbolic.explicit import MOST_ENTRIES, conv_matrix
from tconvjax.symbolic.lazy import ConvolutionMatrix
from tconvjax.symbolic.names import KernelSymbols, kernel_symbols, vec_input, vec_output
from tconvjax.symbolic.partition import Blocks, blocks
from tconvjax.symbolic.residues import Phase, Polyphase, polyphase
from tconvjax.symbolic.stamps import overlap
from tconvjax.symbolic.structure import (
    KroneckerForm,
    KroneckerTerm,
    kronecker_form,
    shift_matrix,
)
from tconvjax.symbolic.undoing import (
    Gram,
    Orthonormality,
    gram,
    least_squares_inverse,
    null_space,
    orthonormality,
    rank,
)

__all__ = [
    "MOST_ENTRIES",
    "Blocks",
    "ConvolutionMatrix",
    "Derivation",
    "Gram",
    "KernelSymbols",
    "KroneckerForm",
    "KroneckerTerm",
    "Orthonormality",
    "Phase",
    "Polyphase",
    "Step",
    "blocks",
    "conv_matrix",
    "convolution_sums",
    "derivation",
    "gram",
    "jacobian",
    "kernel_symbols",
    "kronecker_form",
    "least_squares_inverse",
    "null_space",
    "orthonormality",
    "overlap",
    "polyphase",
    "rank",
    "shift_matrix",
    "vec_input",
    "vec_output",
]
