"""Documents of values: geometries, matrices, derivations and the forms of C."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import sympy

from tconvjax.arguments import counted, flag
from tconvjax.errors import fail, kind_of
from tconvjax.geometry import Geometry
from tconvjax.rendering import tables
from tconvjax.rendering.document import (
    Document,
    Linked,
    Row,
    Sparsity,
    Stack,
    Table,
    Words,
    coordinates,
)
from tconvjax.rendering.tables import MOST_SHOWN
from tconvjax.symbolic import ConvolutionMatrix, kernel_symbols
from tconvjax.symbolic._derivation import Derivation
from tconvjax.symbolic.matrix import products_of, shape_of
from tconvjax.symbolic.names import symbol
from tconvjax.symbolic.structure import Blocks, KroneckerForm, Polyphase

MOST_SIDE = 2048
"""Maximum rows or columns of a matrix whose entries are drawn as dots."""

MOST_READ = 64
"""Maximum rows or columns of a matrix that a page or a picture shows entry by entry."""

MOST_PARTS = 8
"""Maximum blocks, terms or phases that are shown."""


def as_document(value: Any, *, most: int = MOST_SHOWN, dots: bool = True) -> Document:
    """The document of anything that can be looked at; every printer calls this first.

    Args:
        value: a document; a `Geometry` or `ConvolutionMatrix`; a matrix of SymPy, SciPy, NumPy or
            JAX; a `Derivation`; the blocks, Kronecker form or phases of C; an explanation.
        most: maximum rows and columns of a matrix that is not yet a table.
        dots: whether a large matrix of a geometry may become a picture of dots.

    Returns:
        A document whose parts are documents, expressions and signs.

    Raises:
        GeometryError: if it is nothing of the kind, or too large to look at.

    Examples:
        >>> as_document(sympy.eye(2)).shape
        (2, 2)
    """
    match value:
        case Words() | Table() | Sparsity() | Linked():
            return value
        case Row(parts):
            return Row(tuple(_part(part, most, dots) for part in parts))
        case Stack(parts):
            return Stack([as_document(part, most=most, dots=dots) for part in parts])
        case Geometry():
            return _matrix_of(value, None, False, most, dots)
        case ConvolutionMatrix() | sympy.Transpose(arg=ConvolutionMatrix()):
            transpose = isinstance(value, sympy.Transpose)
            matrix = value.arg if transpose else value
            if not matrix.is_numeric:
                return entry_rule(matrix, transpose)
            return _matrix_of(matrix.geometry, matrix.args[-1], transpose, most, dots)
        case Derivation():
            return derivation_document(value)
        case Blocks():
            return Stack([*_blocks(value)])
        case KroneckerForm():
            return Stack([*_kronecker(value)])
        case Polyphase():
            return Stack([*_polyphase(value)])
    if hasattr(value, "_parts_"):
        return Stack([_from_above(part) for part in value._parts_()])
    document = getattr(value, "document", None)
    if isinstance(document, Document):
        return as_document(document, most=most, dots=dots)
    if hasattr(value, "shape"):
        return tables.matrix_table(value, most=most)
    rule = "it must be a document, a matrix, a Geometry or another object of this package"
    return fail("document", kind_of(value), rule, "make one with array_table or matrix_table")


def entry_rule(matrix: ConvolutionMatrix, transpose: bool = False) -> Row:
    """The equation of one entry of C, or of C.T, whose sizes may be symbols."""
    i, j = matrix.entry_rule().lhs.indices
    name = sympy.Symbol("C.T" if transpose else "C")
    entry = matrix[j, i] if transpose else matrix[i, j]
    return Row((sympy.Indexed(sympy.IndexedBase(name), i, j), "=", entry))


def derivation_document(derivation: Derivation, *, words: bool = True) -> Stack:
    """A derivation as a document: each step's title, why it holds, and its equation.

    Args:
        derivation: from `symbolic.derivation`, which verifies its equations.
        words: whether titles and sentences stand above the equations.

    Returns:
        A document for any printer.

    Raises:
        GeometryError: if it is no derivation.

    Examples:
        >>> from tconvjax import Geometry, symbolic
        >>> from tconvjax.rendering import to_text
        >>> chain = symbolic.derivation(Geometry.of_conv((1, 3), (1, 1, 2)))
        >>> print(to_text(derivation_document(chain, words=False).parts[1]))
        ⎡w0 w1  ·⎤ ⎡x0⎤   ⎡w0*x0 + w1*x1⎤
        ⎣ · w0 w1⎦ ⎢x1⎥ = ⎣w0*x1 + w1*x2⎦
                   ⎣x2⎦
    """
    words = flag("words", words)
    if not isinstance(derivation, Derivation):
        rule = "it must be a Derivation"
        fail("derivation", kind_of(derivation), rule, "make one with symbolic.derivation")
    taps = list(kernel_symbols(derivation.geometry).values())
    parts: list[Document] = []
    for step in derivation.steps:
        if words:
            parts += [Words(step.title, level=2), Words(step.words)]
        left, right = step.equation
        written = step.written or (left, "=" if step.claim == "equal" else "≠", right)
        matrices = (isinstance(part, sympy.MatrixBase) for part in written)
        pairs = zip(written, matrices, strict=True)
        parts.append(Row(tuple(tables.matrix_table(p, taps=taps) if m else p for p, m in pairs)))
    return Stack(parts)


def _from_above(part: Any) -> Document:
    """A part of an object that stands above the printers (`tconvjax.shown`)."""
    if isinstance(part, str):
        return Words(part)
    return tables.array_table(part) if isinstance(part, list) else tables.heat_table(part)


def _part(part: Any, most: int, dots: bool) -> Any:
    """A part of a row: signs, numbers and expressions stay."""
    scalar = isinstance(part, sympy.Basic) and not isinstance(part, sympy.MatrixBase)
    if scalar or isinstance(part, str | int | float | complex | np.number):
        return part
    return as_document(part, most=most, dots=dots)


def _matrix_of(geometry: Geometry, kernel: Any, transpose: bool, most: int, dots: bool) -> Document:
    """The matrix if it can be read, where it is not zero if that can be seen, else its corners."""
    if dots and is_seen(geometry):
        picture = tables.sparsity(geometry, transpose=transpose)
        return Stack([Words(f"W{picture.alt[1:]}."), replace(picture, alt="")])
    table = tables.conv_table(geometry, kernel, transpose=transpose, most=most)
    return Stack([Words(f"{table.alt}."), table]) if dots else table


def is_seen(geometry: Geometry, most_read: int = MOST_SHOWN) -> bool:
    """Whether C is too large to be read, and small enough to show where it is not zero."""
    small = max(shape_of(geometry)) <= MOST_SIDE and products_of(geometry) <= tables.MOST_DOTS
    return small and max(shape_of(geometry)) > most_read


def _blocks(blocks: Blocks) -> Iterator[Document]:
    down, across = blocks.counts
    height, width = blocks.block_shape
    yield Words(f"C, {blocks.kind}: {down} x {across} blocks of {height} x {width}.")
    if down * across:
        yield Row(("C", "=", tables.matrix_table(blocks.names)))
    parts = dict(itertools.islice(blocks.parts.items(), MOST_PARTS))
    taps = tables.symbols_of(*parts.values())
    for at, part in parts.items():
        yield Row((symbol("W", at), "=", tables.matrix_table(part, taps=taps, most=16)))
    yield from _more(len(blocks.parts), "block")


def _kronecker(form: KroneckerForm) -> Iterator[Document]:
    rows, columns = form.shape
    yield Words(f"C, {rows} x {columns}, as a sum of {counted(len(form.terms), 'term')}.")
    for n, term in enumerate(form.terms[:MOST_PARTS]):
        parts = ["+" if n else "C =", term.entry]
        for factor in term.factors:
            parts += ["⊗" if len(parts) > 2 else "·", tables.matrix_table(factor, most=8)]
        yield Row(tuple(parts))
    yield from _more(len(form.terms), "term")


def _polyphase(form: Polyphase) -> Iterator[Document]:
    count = counted(len(form.phases), "phase")
    yield Words(f"C.T with its rows sorted by phase: {count}, one convolution each.")
    taps = tables.symbols_of(*(phase.matrix for phase in form.phases[:MOST_PARTS]))
    for phase in form.phases[:MOST_PARTS]:
        count = counted(len(phase.taps), "tap")
        yield Words(f"Phase {coordinates(phase.residue)}, written by {count}:")
        yield tables.matrix_table(phase.matrix, taps=taps, most=16)
    yield from _more(len(form.phases), "phase")


def _more(count: int, kind: str) -> Iterator[Words]:
    if count > MOST_PARTS:
        yield Words(f"And {counted(count - MOST_PARTS, f'more {kind}')}.")
