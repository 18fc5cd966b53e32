"""Running a study: what is there is checked, the rest goes to the executor, and comes back into files."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, Executor, Future, wait
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .cell import Cell, UnusableCell, decode
from .compute import LOST_LANES, compute_files
from .cost import Plan, cost_of, gibibytes, machine_bytes, plan_of
from .executors import Pool, open_executor
from .progress import Progress
from .results import Results
from .store import Store
from .study import Study

if TYPE_CHECKING:
    Task = Future[list[bytes]]

__all__ = ["RunReport", "WorkersLost", "run"]

# A task should be long against its way to a worker and back, and short against the run.
TASK_SECONDS, MOST_CELLS = 0.1, 32
# Tasks waiting for every worker, so that none is ever idle.
AHEAD = 2


class WorkersLost(RuntimeError):
    """The executor broke down: a worker was killed, perhaps for want of memory."""


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
    """

    cells: int = 0
    kept: int = 0
    computed: int = 0
    set_aside: list[tuple[str, str]] = field(default_factory=list)
    lost_lanes: int = 0

    def __str__(self) -> str:
        text = f"{self.cells} cells: {self.kept} kept, {self.computed} computed"
        if self.set_aside:
            text += f", {len(self.set_aside)} set aside and computed again"
        if self.lost_lanes:
            text += f"; {self.lost_lanes} trajectories left float64 (NaN)"
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
            missing = _missing(study, store, report, bar)
            _compute(missing, pool, store, report, bar)
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


def _tasks(cells: Iterator[Cell]) -> Iterator[list[Cell]]:
    """Cells in portions of about TASK_SECONDS."""
    portion: list[Cell] = []
    seconds = 0.0
    for cell in cells:
        portion.append(cell)
        seconds += cost_of(cell).seconds
        if seconds >= TASK_SECONDS or len(portion) >= MOST_CELLS:
            yield portion
            portion, seconds = [], 0.0
    if portion:
        yield portion


def _compute(cells: Iterator[Cell], pool: Pool, store: Store, report: RunReport, bar: Progress) -> None:
    """Keep AHEAD tasks waiting for every worker, and write what comes back."""
    running: dict[Task, list[Cell]] = {}
    tasks = _tasks(cells)
    try:
        while True:
            for portion in islice(tasks, pool.workers * (1 + AHEAD) - len(running)):
                running[pool.executor.submit(compute_files, portion)] = portion
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                for cell, content in zip(running.pop(future), _result(future), strict=True):
                    report.lost_lanes += _lost(_decoded(cell, content))
                    store.write(cell.address, content)
                    report.computed += 1
                    bar.add(cell)
    finally:
        for future in running:
            future.cancel()


def _result(future: Task) -> list[bytes]:
    try:
        return future.result()
    except (BrokenExecutor, CancelledError) as error:
        raise WorkersLost(
            f"a worker was lost ({error or type(error).__name__}); finished cells are kept, the same command "
            "goes on from there, with fewer --workers if memory ran out"
        ) from error
    except Exception as error:
        if type(error).__name__ == "KilledWorker":  # Dask's, which is no BrokenExecutor
            raise WorkersLost(f"{error}; finished cells are kept, the same command goes on") from error
        raise


def _decoded(cell: Cell, content: bytes) -> dict[str, np.ndarray]:
    try:
        return decode(cell, content)
    except UnusableCell as error:
        raise WorkersLost(f"a worker sent back a cell that is not the one asked for ({error})") from None


def _lost(arrays: dict[str, np.ndarray]) -> int:
    """Lanes of whose quantities all that depend on the trajectory are NaN."""
    counts = [
        int(np.isnan(array.reshape(len(array), -1)).all(axis=1).sum())
        for name, array in arrays.items()
        if name not in ("log_bound", "least_singular_value", "exponent_error")
    ]
    return max(counts, default=0)
