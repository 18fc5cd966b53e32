"""Arrays in ``.npy`` and ``.npz`` files: read within limits, and without ever running code of the file."""

from __future__ import annotations

import io
import math
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensitivity.files import MOST_BYTES, read_bytes

__all__ = ["arrays_in", "check_archive", "read_arrays"]

NPY, ZIP = np.lib.format.MAGIC_PREFIX, (b"PK\x03\x04", b"PK\x05\x06")
# An archive of a network has some hundred arrays.
MOST_MEMBERS = 100_000
# What an archive may hold unpacked: so many times its own size, or so many bytes if that is more. Weights
# shrink by a factor of ten at most; an archive made to fill the memory, by a thousand.
MOST_RATIO, ALWAYS_UNPACKED = 50, 1 << 28
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_arrays(path: str | Path, most: int = MOST_BYTES) -> dict[str, NDArray[Any]]:
    """The arrays of an ``.npz`` file by name, or that of an ``.npy`` file under the name "".

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        With the name of the file and of the array: if it is no such file, is damaged or cut short, holds
        Python objects or one name twice, or would unpack to far more than its size.
    """
    return arrays_in(read_bytes(path, most), path)


def arrays_in(
    content: bytes, name: str | Path, unreadable: Callable[[str], Any] | None = None
) -> dict[str, Any]:
    """`read_arrays` of the content of a file; `name` is for the errors.

    With `unreadable`, members of an archive that are no plain arrays do not spoil the others: what it makes
    of the reason stands in their place.
    """
    if content.startswith(NPY):
        return {"": _array(content, str(name))}
    if not content.startswith(ZIP):
        what = "is empty" if not content else "is neither an .npy nor an .npz file"
        raise ValueError(f"{name} {what}.")
    try:
        return _members(content, str(name), unreadable)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{name} cannot be read ({str(error).rstrip('.') or 'it is cut short'}).") from None


def _members(content: bytes, name: str, unreadable: Callable[[str], Any] | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        _check_members(archive, len(content), name)
        for member in archive.infolist():
            key = member.filename.removesuffix(".npy")
            if key in found:
                raise ValueError(f"{name} holds the array {key!r} twice.")
            bare = archive.read(member)
            try:
                found[key] = _array(bare, f"array {key!r} of {name}")
            except ValueError as error:
                if unreadable is None:
                    raise
                found[key] = unreadable(str(error).removeprefix(f"array {key!r} of {name} ").rstrip("."))
    return found


def _check_members(archive: zipfile.ZipFile, packed: int, name: str) -> None:
    members = archive.infolist()
    if len(members) > MOST_MEMBERS:
        raise ValueError(f"{name} holds {len(members)} arrays; at most {MOST_MEMBERS} are read.")
    size = sum(member.file_size for member in members)
    if size > max(ALWAYS_UNPACKED, MOST_RATIO * packed):
        raise ValueError(
            f"{name} has {packed} bytes and would unpack to {size}; it is refused, since no weights shrink "
            "so much."
        )


def check_archive(content: bytes, name: str) -> None:
    """Refuse a zip archive that would unpack to far more than its size; other files are not looked at.

    Raises
    ------
    ValueError
    """
    if content.startswith(ZIP):
        try:
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                _check_members(archive, len(content), name)
        except zipfile.BadZipFile:
            pass  # whoever reads it says so


def _array(content: bytes, name: str) -> NDArray[Any]:
    """An array from the bytes of an ``.npy`` file; its header is checked before anything is allocated."""
    stream = io.BytesIO(content)
    try:
        shape, _, dtype = _HEADERS[np.lib.format.read_magic(stream)](stream)
    except Exception as error:  # NumPy's parser has a dozen kinds for a damaged header
        reason = " ".join(str(error).split()).rstrip(".")[:200]
        raise ValueError(f"{name} is not an array in NumPy's format ({reason}).") from None
    if dtype.hasobject:
        raise ValueError(f"{name} holds Python objects, which are not read.")
    size, left = math.prod(shape) * dtype.itemsize, len(content) - stream.tell()
    if size != left or min(shape, default=0) < 0:
        raise ValueError(f"{name} has {left} bytes of numbers where its header promises {size}.")
    stream.seek(0)
    return np.lib.format.read_array(stream, allow_pickle=False)
