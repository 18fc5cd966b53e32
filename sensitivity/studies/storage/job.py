"""A job: the smallest piece of a grid that is computed and stored by itself, and its row in the database.

A job is known by its *description*, a canonical line of JSON with everything that its numbers depend on
but the version of the program. The SHA-256 of that line is the job's address, and the key of its row:

``version``
    the version of the numbers;
``numbers``
    little-endian float64, one array after the other, by their names in alphabetical order;
``checksum``
    16 bytes of BLAKE2b over the address, the version and the numbers.

Names and shapes of the arrays follow from the job. No time, no machine, no path is in a row: the same job
gives the same bytes. Nothing in it is ever executed.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensitivity.manifest import leapgrad_version

__all__ = [
    "CHECKSUM_BYTES",
    "DIGEST_BYTES",
    "ROW_BYTES",
    "Arrays",
    "Job",
    "JobBatch",
    "JobBlock",
    "Row",
    "RowLayout",
    "UnusableRow",
    "canonical",
    "checksum_of",
    "decode",
    "encode",
    "layout_of",
    "listed",
    "proper",
    "version",
]  # fmt: skip

Float = NDArray[np.float64]
Arrays = Mapping[str, Float]
FLOAT = 8
CHECKSUM_BYTES, DIGEST_BYTES = 16, 32
# To be raised by one whenever a change of the code changes a number.
NUMBERS = 1
# What a row takes on disk beside its numbers, in a tree whose pages are two thirds full.
ROW_BYTES = 96


def version() -> str:
    """The version of the numbers. Rows of another version are computed again."""
    return f"{NUMBERS}/{leapgrad_version()}"


def canonical(data: Any) -> str:
    """JSON in one form: sorted keys, no spaces, floats by their shortest digits that read back exactly."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


class Row(NamedTuple):
    """What is stored of a job beside its address.

    Attributes
    ----------
    version : str
    numbers, checksum : bytes
    """

    version: str
    numbers: bytes
    checksum: bytes


class RowLayout(NamedTuple):
    """Where each array of a job stands among its numbers.

    Attributes
    ----------
    arrays : tuple of (name, shape, start, count)
        In the order of `Job.shapes`; start and count are numbers, not bytes.
    stored : tuple of str
        The names in the order stored.
    n_bytes : int
    """

    arrays: tuple[tuple[str, tuple[int, ...], int, int], ...]
    stored: tuple[str, ...]
    n_bytes: int


def layout_of(shapes: Mapping[str, tuple[int, ...]]) -> RowLayout:
    """The layout of arrays of these shapes."""
    starts, total = {}, 0
    for name in sorted(shapes):
        starts[name] = total
        total += math.prod(shapes[name])
    arrays = tuple((name, shape, starts[name], math.prod(shape)) for name, shape in shapes.items())
    return RowLayout(arrays, tuple(starts), FLOAT * total)


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

    @property
    def batch_key(self) -> Any:
        """Jobs with one key, compared by identity, can be computed together; None for a job that cannot."""
        return None

    @classmethod
    def batch(cls, jobs: Sequence[Any]) -> JobBatch:
        """The batch of some jobs with one key."""
        raise NotImplementedError

    def lost(self, arrays: Arrays) -> int:
        """How many trajectories among the arrays overflowed."""
        return 0

    @cached_property
    def description(self) -> str:
        """The canonical line."""
        return canonical(self.facts())

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the description: the key of its row."""
        return hashlib.sha256(self.description.encode()).digest()

    @property
    def address(self) -> str:
        """The digest in hexadecimal."""
        return self.digest.hex()

    @cached_property
    def layout(self) -> RowLayout:
        """Where its arrays stand among its numbers."""
        return layout_of(self.shapes())


class JobBatch(ABC):
    """Jobs that are computed together; it goes to a worker in their place.

    Attributes
    ----------
    digests : bytes
        Those of all jobs, one after the other.
    """

    digests: bytes

    def __len__(self) -> int:
        return len(self.digests) // DIGEST_BYTES

    @abstractmethod
    def jobs(self) -> Sequence[Job]:
        """The jobs by themselves."""

    @abstractmethod
    def compute(self) -> tuple[Float, int]:
        """The numbers of each job as they are stored, (jobs, numbers), and how many trajectories overflowed.

        The bits are those of each job alone.
        """


class JobBlock(ABC):
    """Some jobs that are looked up together; each is made when it is asked for."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, place: int) -> Job: ...

    @abstractmethod
    def digests(self) -> bytes:
        """The digests of all jobs, one after the other."""

    @abstractmethod
    def sizes(self) -> Any:
        """The bytes of the numbers of each job, an array, or one for all."""


class ListedJobs(JobBlock):
    """Jobs that are there already."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._jobs = jobs

    def __len__(self) -> int:
        return len(self._jobs)

    def __getitem__(self, place: int) -> Job:
        return self._jobs[place]

    def digests(self) -> bytes:
        return b"".join([job.digest for job in self._jobs])

    def sizes(self) -> Any:
        return np.array([job.layout.n_bytes for job in self._jobs], dtype=np.int64)


def listed(jobs: Iterable[Job], most: int = 1000) -> Iterator[ListedJobs]:
    """Any jobs as blocks."""
    iterator = iter(jobs)
    while block := list(itertools.islice(iterator, most)):
        yield ListedJobs(block)


class UnusableRow(ValueError):
    """A row that is not the one of its job.

    Attributes
    ----------
    reason : str
        "empty", "truncated", "corrupt" or "other version".
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason


def checksum_of(digest: bytes, version: str, numbers: bytes) -> bytes:
    """The checksum of a row."""
    content = b"%b%b\0%b" % (digest, version.encode(), numbers)
    return hashlib.blake2b(content, digest_size=CHECKSUM_BYTES).digest()


def proper(digest: Any, row: tuple[Any, Any, Any]) -> bool:
    """Whether a row has the right types and the right checksum, whatever job and version it belongs to."""
    version, numbers, checksum = row
    typed = isinstance(version, str) and all(isinstance(part, bytes) for part in (digest, numbers, checksum))
    return typed and checksum_of(digest, version, numbers) == checksum


def encode(job: Job, arrays: Arrays) -> Row:
    """The row of a job.

    Raises
    ------
    ValueError
        If names or shapes are not those of the job.
    """
    layout = job.layout
    stored = {name: np.asarray(array, dtype="<f8", order="C") for name, array in arrays.items()}
    if stored.keys() != set(layout.stored):
        raise ValueError(f"it gives {', '.join(stored) or 'nothing'}, not {', '.join(layout.stored)}.")
    for name, shape, _, _ in layout.arrays:
        if stored[name].shape != shape:
            raise ValueError(f"{name} has the shape {stored[name].shape}, not {shape}.")
    numbers = b"".join([stored[name].tobytes() for name in layout.stored])
    now = version()
    return Row(now, numbers, checksum_of(job.digest, now, numbers))


def check(job: Job, row: tuple[Any, Any, Any], now: str) -> None:
    """Compare a row with what it must be; `now` is `version()`.

    Raises
    ------
    UnusableRow
        If its bytes are not those of this job, whole, unchanged and of this version.
    """
    version, numbers, checksum = row
    if version == now and isinstance(numbers, bytes) and len(numbers) == job.layout.n_bytes:
        if checksum_of(job.digest, now, numbers) == checksum:
            return
        raise UnusableRow("corrupt", "the checksum does not fit")
    if proper(job.digest, row):
        if version != now:
            raise UnusableRow("other version", f"made by {version}, this is {now}")
        raise UnusableRow(
            "corrupt", f"it has {len(numbers)} bytes of numbers, and its cell has {job.layout.n_bytes}"
        )
    if not isinstance(numbers, bytes):
        raise UnusableRow("corrupt", "its numbers are no bytes")
    if not numbers and job.layout.n_bytes:
        raise UnusableRow("empty", "the row holds no numbers")
    if len(numbers) < job.layout.n_bytes:
        raise UnusableRow("truncated", f"{len(numbers)} of {job.layout.n_bytes} bytes are there")
    raise UnusableRow("corrupt", "the checksum does not fit")


def decode(job: Job, row: tuple[Any, Any, Any]) -> dict[str, Float]:
    """The arrays in the row of a job, read-only.

    Raises
    ------
    UnusableRow
        If the row is not the one of this job; see `check`.
    """
    check(job, row, version())
    numbers = np.frombuffer(row[1], "<f8")
    return {name: numbers[start : start + count].reshape(shape)
            for name, shape, start, count in job.layout.arrays}  # fmt: skip
