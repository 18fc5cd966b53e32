"""Executors that compute jobs: by name, or any executor of `concurrent.futures`.

================  =====================================================================================
name              what it is
================  =====================================================================================
threads           threads of this process
processes         processes of their own, started afresh (spawn); one that dies is replaced
loky              `loky.get_reusable_executor`, processes that stay for the next study
dask://HOST:PORT  a running Dask scheduler, through ``Client.get_executor()``
mpi               `mpi4py.futures.MPIPoolExecutor`, under ``mpiexec … python -m mpi4py.futures``
ray               Ray on this machine, or the cluster that the environment's RAY_ADDRESS names
================  =====================================================================================

All run the same function on the same jobs, and its results do not depend on where it runs, to the last bit,
as long as processors and libraries are the same.
"""

from __future__ import annotations

import os
import reprlib
import warnings
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
from sensitivity.extras import MissingExtra, imported
from sensitivity.studies.storage.job import Job

from .compute import OVERFLOWED, Answer, Item, compute_jobs, packed
from .workers import ProcessWorker, ThreadWorker, Worker, Workers, leave_if_imported_again, watch_parent

__all__ = ["EXECUTORS", "MOST_WORKERS", "Pool", "open_executor"]

DASK = "dask://"
DASK_SECONDS = 10
# Workers that a cluster may lose with a task before the task is to blame.
LOST_WORKERS = 3
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


def compute_apart(items: Sequence[Item]) -> list[Answer]:
    """`compute_jobs` in a process of a cluster; trajectories that overflow are counted, and not warned of."""
    warnings.filterwarnings("ignore", OVERFLOWED, RuntimeWarning)
    return compute_jobs(items)


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
    loky = _needed("loky", "loky")

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
    with _needed("mpi4py.futures", "mpi4py").MPIPoolExecutor() as executor:
        workers = max(1, executor.num_workers)
        yield Pool(_submitting(executor, compute_apart), workers, remote=True)


@contextmanager
def _ray(count: int) -> Iterator[Pool]:
    """Ray has no executor of `concurrent.futures`, but its results are futures of that module."""
    ray = _needed("ray", "ray")
    ours, joins = not ray.is_initialized(), bool(os.environ.get("RAY_ADDRESS"))
    if ours:
        processors = None if joins else count
        ray.init(num_cpus=processors, include_dashboard=False, log_to_driver=False, logging_level="error")
    try:
        remote = ray.remote(max_retries=LOST_WORKERS)(compute_apart)
        workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        yield Pool(lambda jobs: remote.remote(packed(jobs)).future(), workers, remote=True)
    finally:
        if ours:
            ray.shutdown()


@contextmanager
def _dask(address: str, workers: int | None) -> Iterator[Pool]:
    distributed = _needed("distributed", "dask[distributed]")
    try:
        client = distributed.Client(f"tcp://{address}", timeout=DASK_SECONDS)
    except (OSError, ValueError) as error:
        raise ConnectionError(None, f"no Dask scheduler answers at {address} ({error})") from None
    with client:
        threads = sum(client.nthreads().values())
        executor = client.get_executor(retries=LOST_WORKERS)
        yield Pool(_submitting(executor, compute_apart), workers or max(1, threads), remote=True)


def _needed(module: str, package: str) -> Any:
    """A package that an executor needs."""
    name = package.partition("[")[0]
    try:
        return imported(
            module, f"this executor needs the package {name}; install it with: pip install '{package}'."
        )
    except MissingExtra as error:
        raise ValueError(str(error)) from error.__cause__


EXECUTORS: dict[str, Callable[[int], Any]] = {
    "threads": partial(_own_workers, ThreadWorker, False),
    "processes": partial(_own_workers, ProcessWorker, True),
    "loky": _loky,
    "mpi": _mpi,
    "ray": _ray,
}
"""Executors by name, but Dask's, which has the address of its scheduler."""
