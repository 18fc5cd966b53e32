"""The function that all workers call: it takes jobs and returns their rows."""

from __future__ import annotations

import multiprocessing
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from integrators.engine.blocks import Cancelled, Ticker, part_of
from sensitivity.studies.storage.job import Job, Row, encode

__all__ = ["OVERFLOWED", "Computed", "compute_jobs", "compute_one"]

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


def compute_one(job: Job) -> Computed:
    """A job, or what went wrong with it, which is no reason to give up the others."""
    began = time.perf_counter()
    if multiprocessing.parent_process() is not None:  # elsewhere the run itself keeps the warning down
        warnings.filterwarnings("ignore", OVERFLOWED, RuntimeWarning)
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


def compute_jobs(jobs: Sequence[Job], ticker: Ticker | None = None) -> list[Computed]:
    """`compute_one` of all jobs, or of those that were finished when the ticker was cancelled."""
    if ticker is None:
        return [compute_one(job) for job in jobs]
    done: list[Computed] = []
    try:
        with part_of(ticker):
            for job in jobs:
                ticker(0)
                done.append(compute_one(job))
    except Cancelled:
        pass
    return done
