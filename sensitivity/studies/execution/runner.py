"""Running a study: what is there is checked, the rest goes to the executor, and comes back into files."""

from __future__ import annotations

import itertools
import math
import warnings
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from integrators.codegen.threads import InterruptLater
from sensitivity.studies.results import Results
from sensitivity.studies.storage.cell import Cell, UnusableCell, decode
from sensitivity.studies.storage.store import Store
from sensitivity.studies.study import Study

from .compute import LOST_LANES, Computed
from .cost import Plan, cost_of, plan_of
from .executors import Pool, open_executor
from .memory import gibibytes, machine_bytes
from .progress import Progress
from .workers import NO_GUARD_SENTENCE, WorkerDied, WorkersLost

if TYPE_CHECKING:
    Task = Future[list[Computed]]

__all__ = ["RunReport", "WorkersLost", "run"]

# A task should be long against its way to a worker and back, and short against the run.
TASK_SECONDS, MOST_CELLS = 0.1, 32
# Tasks waiting for every worker, so that none is ever idle.
AHEAD = 2
# What a new measurement counts for in the running mean of the pace.
PACE_SHARE = 0.3
# After Ctrl-C, workers get this long to hand over what they have finished.
PATIENCE = 0.5


@dataclass
class RunReport:
    """What a run did.

    Attributes
    ----------
    cells : int
        In the study.
    kept : int
        Found in the folder, whole and of this version.
    computed : int
    set_aside : list of (str, str)
        Files that were no usable cells: where they lie now, and what was wrong.
    lost_lanes : int
        Trajectories that left float64, among the cells computed; their values are NaN.
    failed : list of (str, str)
        Cells that could not be computed, and why. The next run tries them again.
    """

    cells: int = 0
    kept: int = 0
    computed: int = 0
    set_aside: list[tuple[str, str]] = field(default_factory=list)
    lost_lanes: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        text = f"{self.cells} cells: {self.kept} kept, {self.computed} computed"
        if self.set_aside:
            text += f", {len(self.set_aside)} set aside and computed again"
        if self.lost_lanes:
            text += f"; {self.lost_lanes} trajectories left float64 (NaN)"
        if self.failed:
            text += f"; {len(self.failed)} failed"
        return text


def run(
    study: Study,
    folder: Path,
    executor: Executor | str,
    workers: int | None,
    memory_limit: float | None,
    progress: bool | None,
) -> Results:
    """See `Study.run`."""
    store, report = Store(folder), RunReport()
    with open_executor(executor, workers) as pool:
        plan = plan_of(study)
        _check_memory(study, plan, pool, memory_limit)
        with store.writing(), Progress(study.name, plan, progress) as bar, warnings.catch_warnings():
            warnings.filterwarnings("ignore", LOST_LANES, RuntimeWarning)
            store.describe(study)
            work = _Work(_missing(study, store, report, bar), pool, store, report, bar)
            try:
                work.all()
            except KeyboardInterrupt:
                raise KeyboardInterrupt(
                    f"cells computed and stored: {report.computed}; the same command goes on from there"
                ) from None
    if report.failed:
        (cell, reason), count = report.failed[0], len(report.failed)
        warnings.warn(
            f"{count} of {report.cells} cells failed, the first is {cell}: {reason}; the others are stored, "
            "and the next run tries the failed ones again",
            RuntimeWarning,
            stacklevel=3,
        )
    return Results(study, store, report)


def _check_memory(study: Study, plan: Plan, pool: Pool, limit: float | None) -> None:
    if pool.remote:
        needed, of = plan.memory_with(1, False), "one worker"
    else:
        needed, of = plan.memory_with(pool.workers, pool.separate), f"{pool.workers} workers"
    allowed = machine_bytes() / 2 if limit is None else limit
    if needed > allowed:
        raise ValueError(
            f"{of} may need {gibibytes(needed)} for this study, and the limit is {gibibytes(allowed)}; "
            f"take fewer workers or a smaller steps_per_cell (now {study.steps_per_cell}), or raise the "
            f"limit with --memory-limit {needed / (1 << 30) * 1.01:.3g} (GiB)."
        )


def _missing(study: Study, store: Store, report: RunReport, bar: Progress) -> Iterator[Cell]:
    """The cells to compute; what is in their place is set aside."""
    for cell in study.cells():
        report.cells += 1
        try:
            found = store.read(cell)
        except UnusableCell as error:
            place = store.set_aside(cell, error.reason)
            report.set_aside.append((str(place.relative_to(store.folder)), str(error)))
            found = None
        if found is None:
            yield cell
        else:
            report.kept += 1
            bar.skip(cell)


def _lost(arrays: dict[str, np.ndarray]) -> int:
    """Lanes of whose quantities all that depend on the trajectory are NaN."""
    counts = [
        int(np.isnan(array.reshape(len(array), -1)).all(axis=1).sum())
        for name, array in arrays.items()
        if name not in ("log_bound", "least_singular_value", "exponent_error")
    ]
    return max(counts, default=0)


class _Work:
    """The cells on their way: to the workers in portions, and back into files.

    A cell at which a worker died is tried once more, alone, after all others; what else its portion held goes
    on at once. Where only the whole pool is known to have broken, all that was under way is tried alone.
    """

    def __init__(
        self, cells: Iterator[Cell], pool: Pool, store: Store, report: RunReport, bar: Progress
    ) -> None:
        self._cells = cells
        self._pool, self._store, self._report, self._bar = pool, store, report, bar
        self._again: deque[list[Cell]] = deque()
        self._alone: deque[Cell] = deque()
        self._last_try: set[str] = set()
        self._running: dict[Task, list[Cell]] = {}
        # Measured seconds for one estimated, once there is a measurement.
        self._pace: float | None = None

    def all(self) -> None:
        """Compute and store every cell."""
        try:
            self._many_at_a_time()
            while self._alone:
                cell = self._alone.popleft()
                self._last_try.add(cell.address)
                self._again.append([cell])
                self._many_at_a_time()
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
            done, _ = wait(self._running, return_when=FIRST_COMPLETED)
            for future in done:
                # What is finished is stored, whatever key is pressed in the meantime.
                with InterruptLater():
                    if portion := self._running.pop(
                        future, None
                    ):  # None: the pool broke, and it is queued again
                        self._take(future, portion)

    def _submitted(self, portion: list[Cell]) -> Task:
        try:
            return self._pool.submit(portion)
        except RuntimeError as error:  # it broke after the last answer, or somebody has shut it down
            future: Task = Future()
            future.set_exception(BrokenExecutor(str(error)))
            return future

    def _portion(self) -> list[Cell]:
        """Cells for about TASK_SECONDS; one alone as long as nothing was measured."""
        if self._again:
            return self._again.popleft()
        portion: list[Cell] = []
        seconds = 0.0
        for cell in self._cells:
            portion.append(cell)
            seconds += cost_of(cell).seconds * (self._pace or math.inf)
            if seconds >= TASK_SECONDS or len(portion) >= MOST_CELLS:
                break
        return portion

    def _take(self, future: Task, portion: list[Cell]) -> None:
        try:
            done, reason = future.result(), ""
        except WorkerDied as error:
            done, reason = error.done, f"its worker died: {error}"
        except (BrokenExecutor, CancelledError) as error:
            self._broken(portion, error)
            return
        except Exception as error:
            if type(error).__name__ != "KilledWorker":  # Dask's, which is no BrokenExecutor
                raise
            done, reason = [], f"its workers died: {error}"
        self._store_all(portion, done)
        if reason:
            self._once_more(portion[len(done)], reason)
            if rest := portion[len(done) + 1 :]:
                self._again.append(rest)

    def _once_more(self, cell: Cell, reason: str) -> None:
        if cell.address in self._last_try:
            self._fail(cell, reason)
        else:
            self._alone.append(cell)

    def _broken(self, portion: list[Cell], error: BaseException) -> None:
        """Open the pool anew if that can be done; whichever cell broke it is found by trying them alone."""
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
        for cell in itertools.chain.from_iterable(suspects):
            self._once_more(cell, f"its worker died ({' '.join(str(error).split())[:200]})")
        self._pool = self._pool.reopened()

    def _perhaps_no_guard(self) -> str:
        if self._report.computed:
            return ""
        return (
            ". Nothing was computed: if workers import the main script again, its calls must stand under "
            '`if __name__ == "__main__":`'
        )

    def _store_all(self, portion: list[Cell], done: Sequence[Computed]) -> None:
        """Write what came back; it may be less than the portion."""
        for cell, computed in zip(portion, done, strict=False):
            if computed.content is None:
                self._fail(cell, computed.failure)
                continue
            arrays = _decoded(cell, computed.content)
            self._store.write(cell.address, computed.content)
            self._report.lost_lanes += _lost(arrays)
            self._report.computed += 1
            self._bar.add(cell)
            pace = computed.seconds / cost_of(cell).seconds
            self._pace = pace if self._pace is None else self._pace + PACE_SHARE * (pace - self._pace)

    def _fail(self, cell: Cell, reason: str) -> None:
        self._report.failed.append((str(cell), reason))
        self._bar.skip(cell)

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
                with suppress(WorkersLost, OSError):
                    self._store_all(portion, error.done if isinstance(error, WorkerDied) else [])
                    if error is None:
                        self._store_all(portion, future.result())


def _decoded(cell: Cell, content: bytes) -> dict[str, np.ndarray]:
    try:
        return decode(cell, content)
    except UnusableCell as error:
        raise WorkersLost(f"a worker sent back a cell that is not the one asked for ({error})") from None
