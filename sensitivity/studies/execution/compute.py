"""The function that all workers call: it takes jobs and returns their rows."""

from __future__ import annotations

import itertools
import multiprocessing
import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from integrators.engine.blocks import Cancelled, Ticker, part_of
from sensitivity.studies.storage.job import (
    CHECKSUM_BYTES,
    Job,
    JobBatch,
    Row,
    checksum_of,
    encode,
    version,
)

__all__ = [
    "OVERFLOWED",
    "Answer",
    "Computed",
    "ComputedBatch",
    "Item",
    "compute_item",
    "compute_jobs",
    "compute_one",
    "packed",
    "sorted_by_kind",
]

OVERFLOWED = r"\d+ of \d+ batch members are NaN"
"""The warning for trajectories that leave float64; a study stores NaN and counts them."""


@dataclass(frozen=True)
class Computed:
    """The result of a job.

    Attributes
    ----------
    row : Row or None
    failure : str
        Why there is none.
    seconds : float
    lost : int
        Trajectories that overflowed.
    """

    row: Row | None
    failure: str
    seconds: float
    lost: int = 0

    def __len__(self) -> int:
        """Jobs that it answers."""
        return 1

    def rows(self) -> Iterator[Row]:
        """The rows of these jobs; none if they failed."""
        if self.row is not None:
            yield self.row


@dataclass(frozen=True)
class ComputedBatch:
    """The results of the jobs of a batch, none of which failed.

    Attributes
    ----------
    version : str
        Of all rows.
    numbers, checksums : bytes
        Those of all rows, one after the other.
    seconds : float
        Of all jobs together.
    lost : int
        Trajectories that overflowed, among all.
    """

    version: str
    numbers: bytes
    checksums: bytes
    seconds: float
    lost: int
    failure = ""

    def __len__(self) -> int:
        """Jobs that it answers."""
        return len(self.checksums) // CHECKSUM_BYTES

    def rows(self) -> Iterator[Row]:
        """The rows of these jobs."""
        for numbers, checksum in zip(
            _pieces(self.numbers, len(self)), _pieces(self.checksums, len(self)), strict=True
        ):
            yield Row(self.version, numbers, checksum)


Answer = Computed | ComputedBatch
Item = Job | JobBatch


def _pieces(whole: bytes, count: int) -> list[bytes]:
    """Bytes cut into so many parts of one length."""
    size = len(whole) // count
    return [whole[i * size : (i + 1) * size] for i in range(count)]


def _key_of(job: Job) -> int | None:
    return None if job.batch_key is None else id(job.batch_key)


def sorted_by_kind(jobs: Sequence[Job]) -> list[Job]:
    """The jobs of each kind one after the other, otherwise in their order."""
    kinds: dict[int | None, list[Job]] = {}
    for job in jobs:
        kinds.setdefault(_key_of(job), []).append(job)
    return list(itertools.chain.from_iterable(kinds.values()))


def packed(jobs: Sequence[Job]) -> list[Item]:
    """The same jobs in the same order, with neighbours of one kind in a batch."""
    items: list[Item] = []
    for key, some in itertools.groupby(jobs, key=_key_of):
        alike = list(some)
        items += alike if key is None or len(alike) == 1 else [type(alike[0]).batch(alike)]
    return items


def compute_item(item: Item) -> list[Answer]:
    """A job or a batch; the jobs of a batch that cannot be computed together are tried one by one."""
    if not isinstance(item, JobBatch):
        return [compute_one(item)]
    try:
        return [_computed_batch(item)]
    except Cancelled:
        raise
    except Exception:  # the failure of one of them, which is found and named in this way
        return [compute_one(job) for job in item.jobs()]


def _computed_batch(batch: JobBatch) -> ComputedBatch:
    began = time.perf_counter()
    _no_warnings_in_workers()
    table, lost = batch.compute()
    now, numbers = version(), table.astype("<f8", order="C", copy=False).tobytes()
    checksums = [
        checksum_of(digest, now, own)
        for digest, own in zip(_pieces(batch.digests, len(batch)), _pieces(numbers, len(batch)), strict=True)
    ]
    return ComputedBatch(now, numbers, b"".join(checksums), time.perf_counter() - began, lost)


def _no_warnings_in_workers() -> None:
    if multiprocessing.parent_process() is not None:  # elsewhere the run itself keeps the warning down
        warnings.filterwarnings("ignore", OVERFLOWED, RuntimeWarning)


def compute_one(job: Job) -> Computed:
    """A job, or what went wrong with it, which is no reason to give up the others."""
    began = time.perf_counter()
    _no_warnings_in_workers()
    try:
        arrays = job.compute()
        row, failure, lost = encode(job, arrays), "", job.lost(arrays)
    except Cancelled:
        raise
    except Exception as error:
        row, failure, lost = None, _sentence(error), 0
    return Computed(row, failure, time.perf_counter() - began, lost)


def _sentence(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"not enough memory ({str(error) or 'MemoryError'})"
    text = " ".join(str(error).split())
    return text if isinstance(error, (ValueError, TypeError)) and text else f"{type(error).__name__}: {text}"


def compute_jobs(items: Sequence[Item], ticker: Ticker | None = None) -> list[Answer]:
    """`compute_item` of all items, or of those that were finished when the ticker was cancelled."""
    if ticker is None:
        return [answer for item in items for answer in compute_item(item)]
    done: list[Answer] = []
    try:
        with part_of(ticker):
            for item in items:
                ticker(0)
                done += compute_item(item)
    except Cancelled:
        pass
    return done
