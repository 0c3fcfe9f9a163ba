"""Weights in files that hold arrays and nothing that could run: NumPy's and safetensors."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

from tconvjax.conventions.kernels import numbers
from tconvjax.errors import Described, fail, kind_of

SUFFIXES = (".npz", ".safetensors")

LARGE = 2**30
"""Bytes up to which a file may unpack to any size, however small it is."""

MOST_PACKED = 100
"""Times its own size that a larger file may unpack to."""

BFLOAT16 = jnp.dtype(jnp.bfloat16)


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
            _check_size(where)
            with np.load(where, allow_pickle=False) as file:
                return {name: _widened(file[name]) for name in file.files}
        return dict(_safetensors().load_file(where))
    except MemoryError:
        fail("path", str(path), "its arrays do not fit into memory", "load it where there is more")
    except (OSError, EOFError, ValueError, zipfile.BadZipFile) as error:
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
        GeometryError: if the name ends otherwise, a value is no array of numbers, or the file
            cannot be written.

    Examples:
        >>> save_state("weights.pt", {})
        Traceback (most recent call last):
            ...
        tconvjax.GeometryError: path='weights.pt': ...
    """
    where = _checked(path)
    if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
        fail("state", kind_of(state), "it has arrays by name", "give a dictionary")
    arrays = {
        name: np.asarray(numbers(name, value, "give one level of arrays by name"), order="C")
        for name, value in state.items()
    }
    write = _write_npz if where.suffix == ".npz" else _safetensors().save_file
    try:
        _written(where, lambda path: write(arrays, path))
    except (OSError, ValueError) as error:
        fail(
            "path",
            str(path),
            f"it cannot be written: {error}",
            "name a file in a folder that is there",
        )


def _written(where: Path, write: Callable[[str], None]) -> None:
    """Write beside the file and put it in its place, with the rights of any new file."""
    handle, temporary = tempfile.mkstemp(dir=where.parent, suffix=where.suffix)
    os.close(handle)
    try:
        write(temporary)
        mask = os.umask(0)  # there is no other way to read it
        os.umask(mask)
        os.chmod(temporary, 0o666 & ~mask)
        os.replace(temporary, where)
    except BaseException:
        os.unlink(temporary)
        raise


def _write_npz(arrays: Mapping[str, Any], path: str) -> None:
    """As numpy.savez, whose own arguments are names that an array cannot have."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            if array.dtype.kind == "V" and array.dtype != BFLOAT16:
                fail(
                    name,
                    Described(f"array of dtype {array.dtype}"),
                    ".npz has no such dtype",
                    "use .safetensors, or convert it",
                )
            with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
                np.lib.format.write_array(file, array, allow_pickle=False)


def _check_size(where: Path) -> None:
    """Refuse what unpacks to far more than it is: numbers that say something are not so alike."""
    with zipfile.ZipFile(where) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    if size > max(LARGE, MOST_PACKED * where.stat().st_size):
        raise ValueError(
            f"it unpacks to {size} bytes, over {MOST_PACKED} times its own size, as no weights do"
        )


def _widened(array: Any) -> Any:
    """A bfloat16 is two bytes of no kind to NumPy's format."""
    return array.view(BFLOAT16) if array.dtype == np.dtype("V2") else array


def _checked(path: str | os.PathLike[str]) -> Path:
    if not isinstance(path, str | os.PathLike):
        fail("path", path, "it must name a file", "give a string or a pathlib.Path")
    where = Path(path)
    if where.suffix not in SUFFIXES:
        fail(
            "path",
            str(path),
            f"weights are read from and written to {_words()}, which hold arrays only",
            "PyTorch: safetensors.torch.save_file(model.state_dict(), path), or "
            "numpy.savez of its arrays",
        )
    return where


def _words() -> str:
    return " or ".join(SUFFIXES)


def _safetensors() -> Any:
    try:
        import safetensors.numpy
    except ImportError:
        fail(
            "path",
            Described("a .safetensors file"),
            "safetensors is not installed",
            "pip install safetensors, or use .npz",
        )
    return safetensors.numpy
