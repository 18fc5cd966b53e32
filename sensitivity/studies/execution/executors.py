"""Executors that compute jobs: by name, or any executor of `concurrent.futures`.

================  =====================================================================================
name              what it is
================  =====================================================================================
threads           threads of this process
processes         processes of their own, started afresh (spawn); one that dies is replaced
loky              `loky.get_reusable_executor`, processes that stay for the next study
dask://HOST:PORT  a running Dask scheduler, through ``Client.get_executor()``
mpi               `mpi4py.futures.MPIPoolExecutor`, under ``mpiexec … python -m mpi4py.futures``
================  =====================================================================================

All run the same function on the same jobs, and its results do not depend on where it runs, to the last bit,
as long as processors and libraries are the same.
"""

from __future__ import annotations

import importlib
import reprlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from integrators.codegen.threads import default_threads
from integrators.engine.blocks import Ticker
from integrators.naming import nearest
from integrators.validation import as_count
from sensitivity.studies.storage.job import Job

from .compute import Answer, Item, compute_jobs, packed
from .workers import ProcessWorker, ThreadWorker, Worker, Workers, leave_if_imported_again, watch_parent

__all__ = ["EXECUTORS", "MOST_WORKERS", "Pool", "open_executor"]

DASK = "dask://"
DASK_SECONDS = 10
MOST_WORKERS = 10_000
Submit = Callable[[Sequence[Job]], "Future[list[Answer]]"]


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Pool:
    """Workers that take jobs.

    Attributes
    ----------
    submit : callable
        Jobs → future of what became of them.
    workers : int
        Portions that they run at a time.
    separate : bool
        Whether the workers are processes of their own on this machine.
    remote : bool
        Whether they may lie on other machines, whose memory is not ours to count.
    stop : callable
        Ends what is running, as far as that can be done from here.
    reopened : callable or None
        The same pool anew, after it broke down.
    """

    submit: Submit
    workers: int
    separate: bool = False
    remote: bool = False
    stop: Callable[[], object] = _nothing
    reopened: Callable[[], Pool] | None = None


@contextmanager
def open_executor(wanted: Executor | str, workers: int | None = None) -> Iterator[Pool]:
    """A pool by name, closed at the end; an executor that is given stays open.

    Raises
    ------
    ValueError
        If there is no such executor, or if the package it needs is not installed.
    OSError
        If no Dask scheduler answers at the address.
    """
    count = default_threads() if workers is None else as_count(workers, "workers", least=1)
    if count > MOST_WORKERS:
        raise ValueError(f"workers must be at most {MOST_WORKERS}, got {count}.")
    if wanted != "threads" and not isinstance(wanted, ThreadPoolExecutor):
        leave_if_imported_again()
    if isinstance(wanted, Executor):
        yield _given(wanted, count)
    elif isinstance(wanted, str) and wanted.startswith(DASK):
        with _dask(wanted.removeprefix(DASK), workers) as pool:
            yield pool
    elif isinstance(wanted, str) and wanted in EXECUTORS:
        with EXECUTORS[wanted](count) as pool:
            yield pool
    else:
        name = wanted if isinstance(wanted, str) else reprlib.repr(wanted)
        raise nearest("executor", name, (*EXECUTORS, f"{DASK}HOST:PORT"))


def _given(executor: Executor, count: int) -> Pool:
    """A caller's own executor. What runs on its threads can be stopped; other workers end by themselves."""
    if isinstance(executor, ThreadPoolExecutor):
        ticker = Ticker(0, 0.0, "", False)
        return Pool(
            lambda jobs: executor.submit(compute_jobs, packed(jobs), ticker), count, stop=ticker.cancel
        )
    if isinstance(executor, ProcessPoolExecutor):
        return Pool(_submitting(executor, compute_watching), count, separate=True)
    return Pool(_submitting(executor), count, separate=True)


def _submitting(executor: Any, function: Callable[..., list[Answer]] = compute_jobs) -> Submit:
    """What hands jobs to an executor."""
    return lambda jobs: executor.submit(function, packed(jobs))


def compute_watching(items: Sequence[Item]) -> list[Answer]:
    """`compute_jobs` in a process that ends with the one that started it."""
    global _watching
    if not _watching:
        watch_parent()
        _watching = True
    return compute_jobs(items)


_watching = False


@contextmanager
def _own_workers(make: Callable[[], Worker], separate: bool, count: int) -> Iterator[Pool]:
    workers = Workers(count, make)
    try:
        yield Pool(workers.submit, count, separate, stop=workers.stop)
    except BaseException:
        workers.stop()
        raise
    workers.close()


@contextmanager
def _loky(count: int) -> Iterator[Pool]:
    loky = _imported("loky", "loky")

    def opened() -> Pool:
        executor = loky.get_reusable_executor(max_workers=count, initializer=watch_parent)
        return Pool(
            _submitting(executor),
            count,
            separate=True,
            stop=lambda: executor.shutdown(wait=False, kill_workers=True),
            reopened=opened,
        )

    pool = opened()
    try:
        yield pool
    except BaseException:
        pool.stop()
        raise
    loky.get_reusable_executor(max_workers=count, initializer=watch_parent).shutdown(wait=True)


@contextmanager
def _mpi(count: int) -> Iterator[Pool]:
    with _imported("mpi4py.futures", "mpi4py").MPIPoolExecutor() as executor:
        workers = max(1, executor.num_workers)
        yield Pool(_submitting(executor), workers, remote=True)


@contextmanager
def _dask(address: str, workers: int | None) -> Iterator[Pool]:
    distributed = _imported("distributed", "dask[distributed]")
    try:
        client = distributed.Client(f"tcp://{address}", timeout=DASK_SECONDS)
    except (OSError, ValueError) as error:
        raise ConnectionError(None, f"no Dask scheduler answers at {address} ({error})") from None
    with client:
        threads = sum(client.nthreads().values())
        # One task a lost worker takes along is not to blame for it: others may take it over many times.
        yield Pool(_submitting(client.get_executor(retries=3)), workers or max(1, threads), remote=True)


def _imported(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(
            f"this executor needs the package {package.partition('[')[0]} ({error}); "
            f"install it with: pip install '{package}'."
        ) from None


EXECUTORS: dict[str, Callable[[int], Any]] = {
    "threads": partial(_own_workers, ThreadWorker, False),
    "processes": partial(_own_workers, ProcessWorker, True),
    "loky": _loky,
    "mpi": _mpi,
}
"""Executors on this machine, and MPI's, by name."""
