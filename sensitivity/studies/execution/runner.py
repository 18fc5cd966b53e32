"""Running a study: memory is checked, then the grid of its cells is run into the database of its folder."""

from __future__ import annotations

import warnings
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING

from sensitivity.studies.results import Results
from sensitivity.studies.storage.store import Store

from .compute import OVERFLOWED
from .cost import Estimate, plan_of
from .executors import Pool, open_executor
from .grid import RunReport, run_jobs
from .memory import as_bytes, gibibytes, machine_bytes
from .progress import Progress

if TYPE_CHECKING:
    from sensitivity.studies.study import Study

__all__ = ["run"]


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
        with (
            store.writing() as writer,
            Progress(study.name, plan.cells, plan.seconds, progress) as bar,
            warnings.catch_warnings(),
        ):
            warnings.filterwarnings("ignore", OVERFLOWED, RuntimeWarning)
            study.describe_in(writer)
            run_jobs(study.blocks(), writer, pool, bar, report)
    if report.failed:
        (cell, reason), count = report.failed[0], len(report.failed)
        warnings.warn(
            f"{count} of {report.cells} cells failed, the first is {cell}: {reason}; the others are stored, "
            "and the next run tries the failed ones again",
            RuntimeWarning,
            stacklevel=3,
        )
    return Results(study, store, report)


def _check_memory(study: Study, plan: Estimate, pool: Pool, limit: float | None) -> None:
    if pool.remote:
        needed, of = plan.memory_with(1, False), "one worker"
    else:
        needed, of = plan.memory_with(pool.workers, pool.separate), f"{pool.workers} workers"
    allowed = machine_bytes() / 2 if limit is None else as_bytes(limit, "memory_limit")
    if needed > allowed:
        raise ValueError(
            f"{of} may need {gibibytes(needed)} for this study, and the limit is {gibibytes(allowed)}; "
            f"take fewer workers or a smaller steps_per_cell (now {study.steps_per_cell}), or raise the "
            f"limit with --memory-limit {needed / (1 << 30) * 1.01:.3g} (GiB), or in Python with "
            f"memory_limit={needed * 1.01:.3g} (bytes)."
        )
