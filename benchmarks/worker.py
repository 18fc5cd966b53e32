"""One process a library: what it is told to do, and how the benchmark talks to it.

Every library runs with its own thread pools and its own environment, and none slows another while it waits.
"""

from __future__ import annotations

import importlib
import os
import time
import traceback
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .candidate import Candidate, Library, NotAvailable, Run
from .shapes import environment
from .work import Work

__all__ = ["Timing", "Worker", "WorkerFailure", "timed_round", "variables_of"]

# Short runs are repeated for this long in every round, and their median counts as one.
ROUND_SECONDS = 0.1
# The first run of a round finds caches, memory and processor cold, for whom that makes a difference: it does
# not count unless it takes longer than this.
COLD_SECONDS = 5.0
# Seconds after which a library is given up.
LONGEST_WAIT = 240.0
# What warms a process up before its memory is looked at.
TINY = {"n_steps": 2, "members": 2}


class WorkerFailure(RuntimeError):
    """A library raised an error."""


@dataclass(frozen=True)
class Timing:
    """Seconds of one run, and processor seconds of all its threads."""

    wall: float
    cpu: float


# ------------------------------------------------------------------------------------ inside the process


class Server:
    """Holds what was prepared and answers one request at a time."""

    def __init__(self, module: str, cores: int) -> None:
        self._module = importlib.import_module(f"benchmarks.{module}")
        self._cores = cores
        self._prepared: dict[int, tuple[Candidate, Run]] = {}
        self._results: dict[int, Any] = {}

    def settings(self) -> str:
        return self._module.settings(self._cores)

    def candidates(self, work: Work) -> list[tuple[str, bool, bool]]:
        """(name, familiar, judged) of each candidate."""
        return [(c.name, c.familiar, c.judged) for c in self._module.candidates(work, self._cores)]

    def prepare(self, key: int, name: str, work: Work) -> None:
        """Compile and run once."""
        candidate = self._find(name, work)
        run = candidate.prepare(work, self._cores)
        self._results[key] = run()
        self._prepared[key] = candidate, run

    def result(self, key: int) -> NDArray[np.float64]:
        """What that run gave, handed over once."""
        return self._prepared[key][0].finish(self._results.pop(key))

    def time(self, key: int) -> Timing:
        return timed_round(self._prepared[key][1])

    def forget(self, key: int) -> None:
        self._prepared.pop(key, None)
        self._results.pop(key, None)

    def memory(self, name: str, work: Work) -> int:
        """Bytes that one run, result included, adds at its highest to what is resident after a tiny run."""
        from .memory import forget_peak, peak, resident

        tiny = work.part(**TINY)
        self._find(name, tiny).prepare(tiny, self._cores)()
        run = self._find(name, work).prepare(work, self._cores)
        forget_peak()
        before = resident()
        kept = run()
        most = peak()
        del kept
        return max(0, most - before)

    def call(self, function: str, *arguments: Any) -> Any:
        """Any function of the module."""
        return getattr(self._module, function)(*arguments)

    def _find(self, name: str, work: Work) -> Candidate:
        return next(c for c in self._module.candidates(work, self._cores) if c.name == name)


def timed_round(run: Run) -> Timing:
    """One round of a candidate, in its own process."""
    cold = _timed(run)
    if cold.wall > COLD_SECONDS:
        return cold
    timings = [_timed(run) for _ in range(max(1, round(ROUND_SECONDS / cold.wall)))]
    return Timing(median(t.wall for t in timings), median(t.cpu for t in timings))


def _timed(run: Run) -> Timing:
    began, cpu = time.perf_counter(), time.process_time()
    run()
    return Timing(time.perf_counter() - began, time.process_time() - cpu)


def _serve(pipe: Connection, module: str, cores: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    server: Server | None = None
    while True:
        try:
            message = pipe.recv()
        except EOFError:
            return
        try:
            server = server or Server(module, cores)
            name, arguments = message
            reply: tuple[str, Any] = ("value", getattr(server, name)(*arguments))
        except (NotAvailable, ImportError) as error:
            reply = ("not available", str(error))
        except Exception:  # a peer's failure of any kind is its row's result, and the others still run
            reply = ("failure", traceback.format_exc())
        pipe.send(reply)


# ------------------------------------------------------------------------------------ outside the process


class Worker:
    """A library's process; use it in a ``with`` block.

    Parameters
    ----------
    library : Library
    cores : int
        Processors that the process may use, the same ones for every library.
    """

    def __init__(self, library: Library, cores: int) -> None:
        self.library = library
        context = get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, library.module, cores), daemon=True)
        with environment(variables_of(library, cores)):
            self._process.start()
        theirs.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.close()
        self._process.join(timeout=2.0)
        if self._process.is_alive():
            self._process.terminate()
            self._process.join()

    def ask(self, name: str, *arguments: Any) -> Any:
        """Call a method of `Server` over there.

        Raises
        ------
        NotAvailable
            If the library, or this piece of work in it, is not available.
        WorkerFailure
            If it raised anything else, or ended.
        """
        try:
            self._pipe.send((name, arguments))
            if not self._pipe.poll(LONGEST_WAIT):
                self._process.kill()
                raise WorkerFailure(f"{self.library.name} gave no answer to {name} within {LONGEST_WAIT:g} s")
            kind, value = self._pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise WorkerFailure(
                f"the process of {self.library.name} ended during {name}{arguments!r}"
            ) from None
        if kind == "not available":
            raise NotAvailable(value)
        if kind == "failure":
            raise WorkerFailure(value)
        return value


def variables_of(library: Library, cores: int) -> dict[str, str]:
    """The environment of a library's process; its flags for XLA beside those of this process."""
    found = {name: text.format(cores=cores) for name, text in library.environment.items()}
    if "XLA_FLAGS" in found and os.environ.get("XLA_FLAGS"):
        found["XLA_FLAGS"] += " " + os.environ["XLA_FLAGS"]
    return found
