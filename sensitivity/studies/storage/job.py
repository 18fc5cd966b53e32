"""A job: the smallest piece of a grid that is computed and stored by itself, and its form on disk.

A job is known by its *description*, a canonical line of JSON with everything that its numbers depend on
but the version of the program; the SHA-256 of that line is its address, and names its file. The file is

``leapgrad-cell BYTES SHA256``
    the length and the digest of all that follows this line,
``{"arrays": …, "description": …, "version": …}``
    canonical JSON: names and shapes in the order stored, the description, the version,
the numbers
    little-endian float64, one array after the other.

No time, no machine, no path is in it: the same job gives the same bytes. Nothing in it is ever executed.
"""

from __future__ import annotations

import hashlib
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensitivity.manifest import leapgrad_version

__all__ = ["HEADER_BYTES", "Arrays", "Job", "UnusableFile", "canonical", "check_shapes", "decode", "encode",
           "version"]  # fmt: skip

Float = NDArray[np.float64]
Arrays = Mapping[str, Float]
MAGIC = "leapgrad-cell"
# Of the first line, and of an array.
MOST_HEAD, MOST_DIMENSIONS = 200, 8
# To be raised by one whenever a change of the code changes a number or this format.
NUMBERS = 1
# A header beside the description, which is in it once more escaped.
HEADER_BYTES = 320


def version() -> str:
    """The version of the numbers. Files of another version are computed again."""
    return f"{NUMBERS}/{leapgrad_version()}"


def canonical(data: Any) -> str:
    """JSON in one form: sorted keys, no spaces, floats by their shortest digits that read back exactly."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


class Job(ABC):
    """Something to compute and store under one address; a frozen dataclass, which workers can receive."""

    @abstractmethod
    def facts(self) -> Mapping[str, Any]:
        """Everything that the numbers depend on but the version of the program, for JSON."""

    @abstractmethod
    def compute(self) -> Arrays:
        """The arrays by name. Their bits do not depend on where the job runs, or on other jobs."""

    @abstractmethod
    def shapes(self) -> Mapping[str, tuple[int, ...]]:
        """The names and shapes of these arrays, known before they are computed."""

    @property
    @abstractmethod
    def seconds(self) -> float:
        """A rough estimate of its time, by which jobs are compared with each other."""

    def lost(self, arrays: Arrays) -> int:
        """How many trajectories among the arrays overflowed."""
        return 0

    @cached_property
    def description(self) -> str:
        """The canonical line."""
        return canonical(self.facts())

    @cached_property
    def address(self) -> str:
        """SHA-256 of the description, in hexadecimal."""
        return hashlib.sha256(self.description.encode()).hexdigest()

    def most_bytes(self) -> int:
        """More than its file can have: what is larger is not read."""
        numbers = sum(math.prod(shape) for shape in self.shapes().values())
        return 16 * numbers + 4 * len(self.description) + 100 * HEADER_BYTES


class UnusableFile(ValueError):
    """A file that is not the one of its job.

    Attributes
    ----------
    reason : str
        "empty", "truncated", "corrupt", "other version" or "another cell".
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


def encode(job: Job, arrays: Arrays) -> bytes:
    """The file of a job."""
    stored = {name: np.asarray(array, dtype="<f8", order="C") for name, array in arrays.items()}
    header = {
        "arrays": [[name, list(array.shape)] for name, array in stored.items()],
        "description": job.description,
        "version": version(),
    }
    body = canonical(header).encode() + b"\n" + b"".join(array.tobytes() for array in stored.values())
    return f"{MAGIC} {len(body)} {hashlib.sha256(body).hexdigest()}\n".encode() + body


def decode(job: Job, content: bytes) -> dict[str, Float]:
    """The arrays in the file of a job, read-only.

    Raises
    ------
    UnusableFile
        If the bytes are not those of this job, whole, unchanged and of this version.
    """
    if not content:
        raise UnusableFile("empty", "the file holds nothing")
    head, _, body = content.partition(b"\n")
    words = head[:MOST_HEAD].decode("ascii", "replace").split(" ")
    if len(words) != 3 or words[0] != MAGIC or not (words[1].isdigit() and len(words[1]) < 19):
        short = len(content) < len(MAGIC) + 70 and content.startswith(MAGIC.encode()[: len(content)])
        raise UnusableFile("truncated" if short else "corrupt", f"it does not begin with '{MAGIC} …'")
    if len(body) < int(words[1]):
        raise UnusableFile("truncated", f"{len(body)} of {words[1]} bytes are there")
    if hashlib.sha256(body).hexdigest() != words[2] or len(body) != int(words[1]):
        raise UnusableFile("corrupt", "the checksum does not fit")
    line, _, numbers = body.partition(b"\n")
    header = _header(line)
    if header["version"] != version():
        raise UnusableFile("other version", f"made by {header['version']}, this is {version()}")
    if header["description"] != job.description:
        raise UnusableFile("another cell", "its description is not the one that its name stands for")
    if sum(8 * math.prod(shape) for _, shape in header["arrays"]) != len(numbers):
        raise UnusableFile("corrupt", "its numbers are not as many as its header says")
    arrays, start = {}, 0
    for name, shape in header["arrays"]:
        count = math.prod(shape)
        arrays[name] = np.frombuffer(numbers, "<f8", count, start).reshape(shape)
        start += 8 * count
    return arrays


def check_shapes(job: Job, arrays: Arrays) -> None:
    """Compare names and shapes with what the job asks for.

    Raises
    ------
    UnusableFile
        Naming the first that differs.
    """
    wanted = job.shapes()
    if set(arrays) != set(wanted):
        raise UnusableFile("corrupt", f"it holds {', '.join(arrays) or 'nothing'}, not {', '.join(wanted)}")
    for name, shape in wanted.items():
        if arrays[name].shape != shape:
            raise UnusableFile("corrupt", f"{name} has the shape {arrays[name].shape}, not {shape}")


def _header(line: bytes) -> dict[str, Any]:
    """The second line of a file, of which a checksum says only that it is unchanged.

    Raises
    ------
    UnusableFile
        If it is not what `encode` writes.
    """
    try:
        header = json.loads(line)
    except (ValueError, RecursionError):
        header = None
    if not isinstance(header, dict) or set(header) != {"arrays", "description", "version"}:
        raise UnusableFile("corrupt", "its header is not the one of a cell")
    arrays, words = header["arrays"], (header["description"], header["version"])
    if not (all(isinstance(word, str) for word in words) and isinstance(arrays, list)):
        raise UnusableFile("corrupt", "its header is not the one of a cell")
    if not all(_is_array(entry) for entry in arrays) or len({name for name, _ in arrays}) < len(arrays):
        raise UnusableFile("corrupt", "the list of arrays in its header makes no sense")
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
