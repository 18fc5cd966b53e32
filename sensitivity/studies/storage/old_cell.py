"""The cells of version 0.1, one file each, which are only read: to copy old folders into a database.

``leapgrad-cell BYTES SHA256``
    the length and the digest of all that follows this line,
``{"arrays": …, "description": …, "version": …}``
    canonical JSON: names and shapes in the order stored, the description, the version,
the numbers
    little-endian float64, one array after the other.
"""

from __future__ import annotations

import hashlib
import json
import math
from typing import Any, NamedTuple

from .job import Row, UnusableRow, checksum_of

__all__ = ["OldCell", "row_of"]

MAGIC = "leapgrad-cell"
# Of the first line, and of an array.
MOST_HEAD, MOST_DIMENSIONS = 200, 8


class OldCell(NamedTuple):
    """A file of version 0.1 as a row.

    Attributes
    ----------
    digest : bytes
        SHA-256 of the description in the file.
    row : Row
    """

    digest: bytes
    row: Row


def row_of(content: bytes) -> OldCell:
    """The row that the content of a file becomes.

    Raises
    ------
    UnusableRow
        If the file is not whole and unchanged.
    """
    if not content:
        raise UnusableRow("empty", "the file holds nothing")
    head, _, body = content.partition(b"\n")
    words = head[:MOST_HEAD].decode("ascii", "replace").split(" ")
    if len(words) != 3 or words[0] != MAGIC or not (words[1].isdigit() and len(words[1]) < 19):
        short = len(content) < len(MAGIC) + 70 and content.startswith(MAGIC.encode()[: len(content)])
        raise UnusableRow("truncated" if short else "corrupt", f"it does not begin with '{MAGIC} …'")
    if len(body) < int(words[1]):
        raise UnusableRow("truncated", f"{len(body)} of {words[1]} bytes are there")
    if hashlib.sha256(body).hexdigest() != words[2] or len(body) != int(words[1]):
        raise UnusableRow("corrupt", "the checksum does not fit")
    line, _, numbers = body.partition(b"\n")
    header = _header(line)
    parts, start = {}, 0
    for name, shape in header["arrays"]:
        size = 8 * math.prod(shape)
        parts[name] = numbers[start : start + size]
        start += size
    if start != len(numbers):
        raise UnusableRow("corrupt", "its numbers are not as many as its header says")
    digest, version = hashlib.sha256(header["description"].encode()).digest(), header["version"]
    numbers = b"".join(parts[name] for name in sorted(parts))
    return OldCell(digest, Row(version, numbers, checksum_of(digest, version, numbers)))


def _header(line: bytes) -> dict[str, Any]:
    """The second line of a file, of which a checksum says only that it is unchanged.

    Raises
    ------
    UnusableRow
        If it is not what version 0.1 wrote.
    """
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or set(header) != {"arrays", "description", "version"}:
        raise UnusableRow("corrupt", "its header is not the one of a cell")
    arrays, words = header["arrays"], (header["description"], header["version"])
    if not (all(isinstance(word, str) for word in words) and isinstance(arrays, list)):
        raise UnusableRow("corrupt", "its header is not the one of a cell")
    if not all(_is_array(entry) for entry in arrays) or len({name for name, _ in arrays}) < len(arrays):
        raise UnusableRow("corrupt", "the list of arrays in its header makes no sense")
    return header


def _is_array(entry: Any) -> bool:
    """Whether an entry of the header is a name with a shape."""
    if not (isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str)):
        return False
    shape = entry[1]
    return (
        isinstance(shape, list)
        and len(shape) <= MOST_DIMENSIONS
        and all(type(size) is int and 0 <= size < 1 << 48 for size in shape)
    )
