"""The driver of a study with workers whose jobs only sleep: how many jobs a second one process feeds."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sensitivity.studies.execution.compute import Answer, Computed
from sensitivity.studies.execution.executors import Pool
from sensitivity.studies.execution.grid import RunReport, run_jobs
from sensitivity.studies.execution.progress import Progress
from sensitivity.studies.storage.job import Arrays, Job, Row, checksum_of, listed, version
from sensitivity.studies.storage.store import Store

__all__ = ["simulated"]


@dataclass(frozen=True)
class Sleep(Job):
    """A job that is said to take some time on its worker."""

    number: int
    duration: float

    def facts(self) -> Mapping[str, Any]:
        return {"sleep": self.number}

    def compute(self) -> Arrays:
        return {"number": np.array(float(self.number))}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {"number": ()}

    @property
    def seconds(self) -> float:
        return self.duration


class _Sleepers:
    """Workers, each with one task at a time, and one thread that wakes them up."""

    def __init__(self, workers: int) -> None:
        self._free = [0.0] * workers
        self._asleep: list[tuple[float, int, Future[list[Answer]], Sequence[Sleep]]] = []
        self._changed = threading.Condition()
        self._count, self.busy = 0, 0.0
        threading.Thread(target=self._wake, daemon=True).start()

    def submit(self, jobs: Sequence[Any]) -> Future[list[Answer]]:
        future: Future[list[Answer]] = Future()
        duration = sum(job.duration for job in jobs)
        with self._changed:
            start = max(time.monotonic(), heapq.heappop(self._free))
            heapq.heappush(self._free, start + duration)
            self._count += 1
            self.busy += duration
            heapq.heappush(self._asleep, (start + duration, self._count, future, jobs))
            self._changed.notify()
        return future

    def _wake(self) -> None:
        while True:
            with self._changed:
                while (left := self._asleep[0][0] - time.monotonic() if self._asleep else 1.0) > 0:
                    self._changed.wait(left)
                _, _, future, jobs = heapq.heappop(self._asleep)
            future.set_result([_row(job) for job in jobs])


def _row(job: Sleep) -> Computed:
    numbers, now = np.float64(job.number).tobytes(), version()
    return Computed(Row(now, numbers, checksum_of(job.digest, now, numbers)), "", job.duration)


def simulated(workers: int, jobs: int, duration: float, folder: Path) -> dict[str, float]:
    """Run jobs that take `duration` seconds each on sleeping workers.

    Returns
    -------
    dict
        Jobs a second, the share of the time that workers were busy, and the processor seconds of the driver
        (with the thread that stands for the workers).
    """
    sleepers, report = _Sleepers(workers), RunReport()
    work = (Sleep(number, duration) for number in range(jobs))
    began, spent = time.perf_counter(), time.process_time()
    with Store(folder).writing() as writer, Progress("asleep", jobs, jobs * duration, False) as bar:
        run_jobs(listed(work), writer, Pool(sleepers.submit, workers), bar, report)
    seconds = time.perf_counter() - began
    assert report.computed == jobs
    return {
        "workers": workers,
        "seconds a job": duration,
        "jobs a second": jobs / seconds,
        "busy": sleepers.busy / (workers * seconds),
        "processor": time.process_time() - spent,
    }
