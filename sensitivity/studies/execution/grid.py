"""Running a grid of jobs: what is stored is checked, the rest goes to the workers and comes back as rows."""

from __future__ import annotations

import itertools
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from integrators.codegen.threads import InterruptLater
from sensitivity.studies.storage.index import ABSENT
from sensitivity.studies.storage.job import Job, JobBlock, UnusableRow, check, version
from sensitivity.studies.storage.store import Writer

from .compute import Answer, sorted_by_kind
from .executors import Pool
from .progress import Progress
from .workers import NO_GUARD_SENTENCE, WorkerDied, WorkersLost

if TYPE_CHECKING:
    Task = Future[list[Answer]]

__all__ = ["RunReport", "run_jobs"]

# A task should be long against its way to a worker and back, and short against the run.
TASK_SECONDS, MOST_JOBS = 0.1, 1000
# Tasks waiting for every worker, so that none is ever idle.
AHEAD = 2
# What a new measurement counts for in the running mean of the pace.
PACE_SHARE = 0.3
# After Ctrl-C, workers get this long to hand over what they have finished.
PATIENCE = 0.5
# What Dask and Ray raise when several workers in turn were lost with one task; these are no BrokenExecutor.
KILLED = ("KilledWorker", "WorkerCrashedError", "OutOfMemoryError", "NodeDiedError")


@dataclass
class RunReport:
    """A summary of a run.

    Attributes
    ----------
    cells : int
        In the study.
    kept : int
        Found in the folder, whole and of this version.
    computed : int
        Computed and stored.
    set_aside : list of (str, str)
        Rows that were no usable cells, and databases that were damaged: where they lie now, and what was
        wrong.
    lost_lanes : int
        Trajectories that left float64, among the cells computed; their values are NaN.
    failed : list of (str, str)
        Cells that could not be computed, and why. The next run tries them again.
    network : str
        The network file system that the folder lies on, where the database has no write-ahead log.
    """

    cells: int = 0
    kept: int = 0
    computed: int = 0
    set_aside: list[tuple[str, str]] = field(default_factory=list)
    lost_lanes: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    network: str = ""

    def __str__(self) -> str:
        text = f"{self.cells} cells: {self.kept} kept, {self.computed} computed"
        if self.set_aside:
            text += f", {len(self.set_aside)} set aside and computed again"
        if self.lost_lanes:
            text += f"; {self.lost_lanes} trajectories left float64 (NaN)"
        if self.failed:
            text += f"; {len(self.failed)} failed"
        if self.network:
            text += f"; without a write-ahead log, since this is a network file system ({self.network})"
        return text


def run_jobs(
    jobs: Iterable[JobBlock],
    writer: Writer,
    pool: Pool,
    bar: Progress,
    report: RunReport,
    *,
    most: int | None = None,
    stored: Callable[[], object] = lambda: None,
) -> None:
    """Compute and store every job that the database lacks; what is in its place is set aside.

    The rows do not depend on the pool. After Ctrl-C, or a kill, the next call goes on from what is stored.

    Parameters
    ----------
    jobs : iterable of JobBlock
    writer : Writer
    pool : Pool
    bar : Progress
    report : RunReport
        Filled on the way; a job that fails is noted there, and does not end the others.
    most : int, optional
        Jobs that a worker is handed at a time.
    stored : callable
        Called after every batch that was stored.

    Raises
    ------
    KeyboardInterrupt
        Saying how many were computed.
    WorkersLost
        If the pool breaks down; what was finished is kept.
    """
    report.set_aside += writer.damage
    report.network = writer.network
    try:
        missing = _missing(jobs, writer, report, bar)
        _Grid(missing, pool, writer, report, bar, most or MOST_JOBS, stored).all()
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"cells computed and stored: {report.computed}; the same command goes on from there"
        ) from None


def _missing(jobs: Iterable[JobBlock], writer: Writer, report: RunReport, bar: Progress) -> Iterator[Job]:
    """The jobs to compute; what is in their place is set aside."""
    index, now = writer.index(), version()
    for block in jobs:
        sizes = index.sizes(block.digests())
        kept = np.flatnonzero(sizes == block.sizes())
        report.cells += len(block)
        report.kept += len(kept)
        if len(kept):
            bar.skip(len(kept), lambda block=block, kept=kept: sum(block[i].seconds for i in kept.tolist()))
        for place in np.setdiff1d(np.arange(len(block)), kept, assume_unique=True).tolist():
            job = block[place]
            row = writer.rows([job]).get(job.digest) if sizes[place] != ABSENT else None
            if row is not None:
                try:
                    check(job, row, now)
                except UnusableRow as error:
                    report.set_aside.append((writer.set_aside(job, error.reason), str(error)))
            yield job


class _Grid:
    """The jobs on their way: to the workers in portions, and back as rows, which are stored in batches.

    A job at which a worker died is tried once more, alone, after all others; what else its portion held goes
    on at once. Where only the whole pool is known to have broken, all that was under way is tried alone.
    """

    def __init__(
        self,
        jobs: Iterator[Job],
        pool: Pool,
        writer: Writer,
        report: RunReport,
        bar: Progress,
        most: int,
        stored: Callable[[], object],
    ) -> None:
        self._jobs, self._most, self._stored = jobs, most, stored
        self._pool, self._writer, self._report, self._bar = pool, writer, report, bar
        self._again: deque[list[Job]] = deque()
        self._alone: deque[Job] = deque()
        self._last_try: set[str] = set()
        self._running: dict[Task, list[Job]] = {}
        # Measured seconds for one estimated, once there is a measurement.
        self._pace: float | None = None

    def all(self) -> None:
        """Compute and store every job."""
        try:
            self._many_at_a_time()
            while self._alone:
                job = self._alone.popleft()
                self._last_try.add(job.address)
                self._again.append([job])
                self._many_at_a_time()
            with InterruptLater():
                self._flush()
        except BaseException:
            self._stop()
            raise

    def _many_at_a_time(self) -> None:
        """Keep AHEAD tasks waiting for every worker until none are left."""
        while True:
            while len(self._running) < self._pool.workers * (1 + AHEAD) and (portion := self._portion()):
                self._running[self._submitted(portion)] = portion
            if not self._running:
                return
            done, _ = wait(self._running, self._writer.due_in(), return_when=FIRST_COMPLETED)
            for future in done:
                # What is finished is stored, whatever key is pressed in the meantime.
                with InterruptLater():
                    if portion := self._running.pop(future, None):  # None: it broke, and is queued again
                        self._take(future, portion)
            if self._writer.due_in() == 0.0:
                with InterruptLater():
                    self._flush()

    def _submitted(self, portion: list[Job]) -> Task:
        try:
            return self._pool.submit(portion)
        except RuntimeError as error:  # it broke after the last answer, or somebody has shut it down
            future: Task = Future()
            future.set_exception(BrokenExecutor(str(error)))
            return future

    def _portion(self) -> list[Job]:
        """Jobs for about TASK_SECONDS; one alone as long as nothing was measured."""
        if self._again:
            return self._again.popleft()
        portion: list[Job] = []
        seconds = 0.0
        for job in self._jobs:
            portion.append(job)
            seconds += job.seconds * (self._pace or math.inf)
            if seconds >= TASK_SECONDS or len(portion) >= self._most:
                break
        return sorted_by_kind(portion)

    def _take(self, future: Task, portion: list[Job]) -> None:
        try:
            done, reason, suspects = future.result(), "", 0
        except WorkerDied as error:
            done, reason, suspects = error.done, f"its worker died: {error}", error.suspects
        except (BrokenExecutor, CancelledError) as error:
            self._broken(portion, error)
            return
        except Exception as error:
            if type(error).__name__ not in KILLED:
                raise
            done, reason, suspects = [], f"its workers died: {error}", len(portion)
        first = self._store_all(portion, done)
        if reason:
            self._suspect(portion[first : first + suspects], reason)
            if rest := portion[first + suspects :]:
                self._again.append(rest)

    def _suspect(self, jobs: list[Job], reason: str) -> None:
        """A worker died of one of these: it is found by halving them."""
        if len(jobs) == 1:
            self._once_more(jobs[0], reason)
        else:
            middle = len(jobs) // 2
            self._again += [jobs[:middle], jobs[middle:]]

    def _once_more(self, job: Job, reason: str) -> None:
        if job.address in self._last_try:
            self._fail(job, reason)
        else:
            self._alone.append(job)

    def _broken(self, portion: list[Job], error: BaseException) -> None:
        """Open the pool anew if that can be done; whichever job broke it is found by trying them alone."""
        if "EXIT(113)" in str(error):
            raise WorkersLost(NO_GUARD_SENTENCE) from error
        if self._pool.reopened is None:
            raise WorkersLost(
                f"a worker was lost ({error or type(error).__name__}); finished cells are kept, the same "
                "command goes on from there, with fewer --workers if memory ran out"
                f"{self._perhaps_no_guard()}"
            ) from error
        suspects = [portion, *self._running.values()]
        for future, its in self._running.items():
            if future.done() and not future.cancelled() and future.exception() is None:
                self._store_all(its, future.result())
                suspects.remove(its)
        self._running.clear()
        for job in itertools.chain.from_iterable(suspects):
            self._once_more(job, f"its worker died ({' '.join(str(error).split())[:200]})")
        self._pool = self._pool.reopened()

    def _perhaps_no_guard(self) -> str:
        if self._report.computed or self._writer.due_in() is not None:
            return ""
        return (
            ". Nothing was computed: if workers import the main script again, its calls must stand under "
            '`if __name__ == "__main__":`'
        )

    def _store_all(self, portion: list[Job], done: Sequence[Answer]) -> int:
        """Hand on what came back, which may be less than the portion; how many jobs that were."""
        now, first = version(), 0
        for answer in done:
            some = portion[first : first + len(answer)]
            first += len(answer)
            if answer.failure:
                self._fail(some[0], answer.failure)
                continue
            for job, row in zip(some, answer.rows(), strict=True):
                try:
                    check(job, row, now)
                except UnusableRow as error:
                    raise WorkersLost(
                        f"a worker sent back a cell that is not the one asked for ({error})"
                    ) from None
                self._writer.write(job.digest, row)
            self._report.lost_lanes += answer.lost
            self._bar.add(some)
            pace = answer.seconds / sum(job.seconds for job in some)
            old = pace if self._pace is None else self._pace
            self._pace = old + (1.0 - (1.0 - PACE_SHARE) ** len(some)) * (pace - old)
        return first

    def _flush(self) -> None:
        """Store the batch, and count it."""
        if stored := self._writer.flush():
            self._report.computed += stored
            self._stored()

    def _fail(self, job: Job, reason: str) -> None:
        self._report.failed.append((str(job), reason))
        self._bar.skip(1, lambda: job.seconds)

    def _stop(self) -> None:
        """End the workers, and keep what they had finished."""
        if self._pool.reopened is None:  # a pool that ends its processes ends its futures too
            for future in self._running:
                future.cancel()
        self._pool.stop()
        wait(self._running, timeout=PATIENCE)
        for future, portion in self._running.items():
            if future.done() and not future.cancelled():
                error = future.exception()
                with suppress(WorkersLost):
                    self._store_all(portion, error.done if isinstance(error, WorkerDied) else [])
                    if error is None:
                        self._store_all(portion, future.result())
        with suppress(OSError), InterruptLater():
            self._flush()
