"""The function that all workers call: it takes jobs and returns the bytes of their files."""

from __future__ import annotations

import multiprocessing
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

from integrators.engine.blocks import Cancelled, Ticker, part_of
from sensitivity.studies.storage.job import Job, encode

__all__ = ["OVERFLOWED", "Computed", "compute_jobs", "compute_one"]

OVERFLOWED = r"\d+ of \d+ batch members are NaN"
"""The warning for trajectories that leave float64; a study stores NaN and counts them."""


@dataclass(frozen=True)
class Computed:
    """The result of a job.

    Attributes
    ----------
    content : bytes or None
        Its file.
    failure : str
        Why there is none.
    seconds : float
    """

    content: bytes | None
    failure: str
    seconds: float


def compute_one(job: Job) -> Computed:
    """A job, or what went wrong with it, which is no reason to give up the others."""
    began = time.perf_counter()
    if multiprocessing.parent_process() is not None:  # elsewhere the run itself keeps the warning down
        warnings.filterwarnings("ignore", OVERFLOWED, RuntimeWarning)
    try:
        content, failure = encode(job, job.compute()), ""
    except Cancelled:
        raise
    except Exception as error:
        content, failure = None, _sentence(error)
    return Computed(content, failure, time.perf_counter() - began)


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
