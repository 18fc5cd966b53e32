"""Where cells are computed: executors of `concurrent.futures`, by name.

================  =====================================================================================
name              what it is
================  =====================================================================================
threads           threads of this process
processes         `concurrent.futures.ProcessPoolExecutor`, started afresh (spawn)
loky              `loky.get_reusable_executor`, processes that survive a crash of one of them
dask://HOST:PORT  a running Dask scheduler, through ``Client.get_executor()``
mpi               `mpi4py.futures.MPIPoolExecutor`, under ``mpiexec … python -m mpi4py.futures``
================  =====================================================================================

All run the same function on the same cells, and its results do not depend on where it runs, to the last bit,
as long as processors and libraries are the same.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

from integrators.naming import nearest
from integrators.threads import default_threads
from integrators.validation import as_count

__all__ = ["EXECUTORS", "Pool", "open_executor"]

DASK = "dask://"
DASK_SECONDS = 10


@dataclass(frozen=True)
class Pool:
    """An open executor.

    Attributes
    ----------
    executor : Executor
    workers : int
        Cells that it runs at a time.
    separate : bool
        Whether the workers are processes of their own on this machine.
    remote : bool
        Whether they may lie on other machines, whose memory is not ours to count.
    """

    executor: Executor
    workers: int
    separate: bool = False
    remote: bool = False


@contextmanager
def open_executor(wanted: Executor | str, workers: int | None = None) -> Iterator[Pool]:
    """An executor by name, closed at the end; one that is given stays open.

    Raises
    ------
    ValueError
        If there is no such executor, or if the package it needs is not installed.
    OSError
        If no Dask scheduler answers at the address.
    """
    count = default_threads() if workers is None else as_count(workers, "workers", least=1)
    if isinstance(wanted, Executor):
        yield Pool(wanted, count, separate=not isinstance(wanted, ThreadPoolExecutor))
    elif isinstance(wanted, str) and wanted.startswith(DASK):
        with _dask(wanted.removeprefix(DASK), workers) as pool:
            yield pool
    elif wanted in EXECUTORS:
        with EXECUTORS[wanted](count) as pool:
            yield pool
    else:
        raise nearest("executor", wanted, (*EXECUTORS, f"{DASK}HOST:PORT"))


@contextmanager
def _threads(count: int) -> Iterator[Pool]:
    with ThreadPoolExecutor(count, thread_name_prefix="leapgrad-cell") as executor:
        yield Pool(executor, count)


@contextmanager
def _processes(count: int) -> Iterator[Pool]:
    # fork would copy the threads' locks of this process into the children.
    with ProcessPoolExecutor(count, mp_context=get_context("spawn")) as executor:
        yield Pool(executor, count, separate=True)


@contextmanager
def _loky(count: int) -> Iterator[Pool]:
    executor = _imported("loky", "loky").get_reusable_executor(max_workers=count)
    try:
        yield Pool(executor, count, separate=True)
    finally:
        executor.shutdown(wait=True)


@contextmanager
def _mpi(count: int) -> Iterator[Pool]:
    with _imported("mpi4py.futures", "mpi4py").MPIPoolExecutor() as executor:
        workers = max(1, executor.num_workers)
        yield Pool(executor, workers, remote=True)


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
        yield Pool(client.get_executor(retries=3), workers or max(1, threads), remote=True)


def _imported(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise ValueError(
            f"this executor needs the package {package.partition('[')[0]} ({error}); "
            f"install it with: pip install '{package}'."
        ) from None


EXECUTORS: dict[str, Callable[[int], Any]] = {
    "threads": _threads,
    "processes": _processes,
    "loky": _loky,
    "mpi": _mpi,
}
"""Executors on this machine, and MPI's, by name."""
