"""The matrix C of a convolution at real sizes, with numbers; and of any linear JAX function.

Arrays are read as columns, row by row and channel by channel: ``C @ x.ravel()`` is the convolution
of x and ``C.T @ y.ravel()`` the transposed convolution of y, each without its batch axis. Import it
by name: ``from tconvjax import matrices``. `tconvjax.symbolic` has the same matrix in symbols.
"""

from tconvjax.matrices.convolution import conv_matrix
from tconvjax.matrices.linear import matrix_of

__all__ = ["conv_matrix", "matrix_of"]
