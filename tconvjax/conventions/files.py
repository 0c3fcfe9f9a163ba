"""Weights in files that hold arrays and nothing that could run: NumPy's and safetensors."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tconvjax.conventions.kernels import as_numpy
from tconvjax.geometry import Words, fail

SUFFIXES = (".npz", ".safetensors")


def load_state(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The arrays of a file, by name.

    Args:
        path: of an ``.npz`` or ``.safetensors`` file. Nothing in it is unpickled.

    Returns:
        NumPy arrays by name.

    Raises:
        GeometryError: if it is no such file, or wants unpickling, as PyTorch's own files do.

    Examples:
        >>> import tempfile, pathlib
        >>> path = pathlib.Path(tempfile.mkdtemp()) / "weights.npz"
        >>> save_state(path, {"up.bias": np.zeros(3)})
        >>> load_state(path)
        {'up.bias': array([0., 0., 0.])}
    """
    where = _checked(path)
    try:
        if where.suffix == ".npz":
            with np.load(where, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        return dict(_safetensors().load_file(where))
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        fail("path", str(path), f"it cannot be read: {error}", f"give {_words()} of plain arrays")
    except Exception as error:
        if type(error).__module__.startswith("safetensors"):
            fail("path", str(path), f"it cannot be read: {error}", f"give {_words()}")
        raise


def save_state(path: str | os.PathLike[str], state: Mapping[str, Any]) -> None:
    """Write arrays into a file, whole or not at all.

    Args:
        path: to an ``.npz`` or ``.safetensors`` file; its folder must exist.
        state: arrays or tensors by name, one level deep.

    Raises:
        GeometryError: if the name ends otherwise, or a value is no array of numbers.

    Examples:
        >>> save_state("weights.pt", {})
        Traceback (most recent call last):
            ...
        tconvjax.geometry.axis.GeometryError: path='weights.pt': ...
    """
    where = _checked(path)
    arrays = {name: np.ascontiguousarray(as_numpy(value)) for name, value in state.items()}
    for name, array in arrays.items():
        if array.dtype.hasobject:
            fail(name, Words(type(state[name]).__name__), "it is no array of numbers",
                 "give one level of arrays by name")  # fmt: skip
    handle, temporary = tempfile.mkstemp(dir=where.parent or ".", suffix=where.suffix)
    os.close(handle)
    try:
        if where.suffix == ".npz":
            np.savez(temporary, allow_pickle=False, **arrays)
        else:
            _safetensors().save_file(arrays, temporary)
        os.replace(temporary, where)
    except BaseException:
        os.unlink(temporary)
        raise


def _checked(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, str | os.PathLike):
        fail("path", path, "it must name a file", "give a string or a pathlib.Path")
    where = Path(path)
    if where.suffix not in SUFFIXES:
        fail("path", str(path), f"weights are read from and written to {_words()}, which hold "
             "arrays only", "PyTorch: safetensors.torch.save_file(model.state_dict(), path), or "
             "numpy.savez of its arrays")  # fmt: skip
    return where


def _words() -> str:
    return " or ".join(SUFFIXES)


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        fail("path", Words("a .safetensors file"), "safetensors is not installed",
             "pip install safetensors, or use .npz")  # fmt: skip
    return safetensors.numpy
