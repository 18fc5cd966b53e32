"""The weights of a field, and single arrays, in files of NumPy; no file can run code."""

from __future__ import annotations

import io
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensitivity.files import read_bytes

from .array_files import check_archive
from .conversion import LINES, refuse_format

__all__ = ["read_array", "read_field_weights"]

WEIGHTS = ("W", "b", "V")


def read_array(path: str | Path, option: str) -> NDArray[np.float64]:
    """The array of a .npy file.

    Parameters
    ----------
    path : path
    option : str
        What named the file; messages begin with it.

    Raises
    ------
    ValueError, OSError
        If the file cannot be read, or holds several arrays.
    """
    loaded = _read(path, option, "a .npy file")
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        raise ValueError(f"{option}: {path} is an .npz archive; give a .npy file, which holds one array.")
    return loaded


def read_field_weights(path: str | Path, option: str = "file") -> tuple[Any, Any, Any]:
    """W, b and V (or None) of a field, from an .npz file.

    Parameters and errors are those of `read_array`.
    """
    if Path(path).suffix.lower() in LINES and Path(path).suffix != ".npy":
        refuse_format(Path(path))
    archive = _read(path, option, "an .npz file")
    if isinstance(archive, np.ndarray):
        raise ValueError(
            f"{option}: {path} holds one array; save W and b by name, with numpy.savez(FILE, W=W, b=b)."
        )
    with archive:
        if archive.zip is not None and archive.zip.comment.startswith(b"leapgrad "):
            raise ValueError(f"{option}: {path} holds a recurrent cell and no field.")
        missing = [name for name in ("W", "b") if name not in archive.files]
        if missing:
            held = ", ".join(archive.files) or "nothing"
            cell = any("weight_hh" in name or "recurrent_kernel" in name for name in archive.files)
            hint = " These are weights of a cell: name it, as in --model lstm." if cell else ""
            raise ValueError(f"{option}: {path} holds {held}, but no {' and no '.join(missing)}.{hint}")
        unknown = next((name for name in archive.files if name not in WEIGHTS), None)
        if unknown is not None:
            raise ValueError(
                f"{option}: {path} holds {unknown} beside W and b; a field has W, b and V, so leave it out."
            )
        W, b, V = (
            _member(archive, name, path, option) if name in archive.files else None for name in WEIGHTS
        )
        return W, b, V


def _read(path: str | Path, option: str, kind: str) -> Any:
    """`numpy.load` without pickles, with an error that says which file is wrong."""
    try:
        content = read_bytes(path)
    except OSError as error:
        raise OSError(error.errno, f"{option}: {error.strerror}", str(path)) from None
    except ValueError as error:
        raise ValueError(f"{option}: {error}") from None
    check_archive(content, f"{option}: {path}")
    try:
        return np.load(io.BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(f"{option}: {path} cannot be read as {kind} ({_reason(error)}).") from None


def _member(archive: Any, name: str, path: str | Path, option: str) -> Any:
    try:
        return archive[name]
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise ValueError(f"{option}: {name} in {path} cannot be read ({_reason(error)}).") from None


def _reason(error: Exception) -> str:
    text = str(error)
    if "pickle" in text:
        return "it holds Python objects or is no NumPy file"
    return text.rstrip(".") or "it is empty or cut short"
