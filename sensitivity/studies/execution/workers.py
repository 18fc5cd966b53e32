"""Workers of this machine: threads, or processes with a thread each that hands them jobs.

A process sends every job, or batch of small ones, as soon as it is done, so that when it dies (killed for
want of memory, say) what it was at is known and the others go on. It ends when the process that started it
ends, for any reason.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from multiprocessing import connection, get_context
from queue import SimpleQueue
from typing import Any, Protocol

from integrators.engine.blocks import Ticker
from sensitivity.studies.storage.job import Job, JobBatch

from .compute import Answer, compute_item, compute_jobs, packed

__all__ = [
    "NO_GUARD",
    "NO_GUARD_SENTENCE",
    "ProcessWorker",
    "ThreadWorker",
    "WorkerDied",
    "Workers",
    "WorkersLost",
    "leave_if_imported_again",
    "watch_parent",
]

# Exit status of a worker whose main script would start the study once more.
NO_GUARD = 113
NO_GUARD_SENTENCE = (
    "the workers could not start, since each of them imports the main script again, which would run the "
    'study once more; put the call under `if __name__ == "__main__":`, or use executor="threads"'
)
WATCH_SECONDS = 1.0
# A process that a signal ended while it started is tried again, so many times in all.
START_ATTEMPTS = 3
END_SECONDS = 2.0
READY = "ready"


class WorkersLost(RuntimeError):
    """The executor broke down: a worker was killed, perhaps for want of memory."""


class WorkerDied(RuntimeError):
    """A process ended in the middle of its jobs.

    Attributes
    ----------
    done : list of Answer
        What it had finished of them.
    suspects : int
        How many jobs it was at.
    """

    def __init__(self, done: list[Answer], how: str, suspects: int = 1) -> None:
        super().__init__(how)
        self.done, self.suspects = done, suspects


class Worker(Protocol):
    """Computes jobs; `stop` comes from another thread and makes `compute` return or raise soon."""

    def compute(self, jobs: Sequence[Job]) -> list[Answer]: ...

    def stop(self) -> None: ...

    def close(self) -> None: ...


class ThreadWorker:
    """The calling thread; `stop` ends its job at the next step."""

    def __init__(self) -> None:
        self._ticker = Ticker(0, 0.0, "", False)

    def compute(self, jobs: Sequence[Job]) -> list[Answer]:
        return compute_jobs(packed(jobs), self._ticker)

    def stop(self) -> None:
        self._ticker.cancel()

    def close(self) -> None:
        pass


class ProcessWorker:
    """A process of its own, started with the first jobs, and anew after it has died."""

    # Starting processes from several threads at once is not safe.
    _starting = threading.Lock()

    def __init__(self) -> None:
        self._process: Any = None
        self._pipe: Any = None
        self._stopped = False

    def compute(self, jobs: Sequence[Job]) -> list[Answer]:
        if self._process is None:
            self._start()
        done: list[Answer] = []
        items, suspects = packed(jobs), 1
        try:
            self._pipe.send(items)
            for item in items:
                suspects = len(item) if isinstance(item, JobBatch) else 1
                done += self._pipe.recv()
        except (EOFError, OSError):
            raise WorkerDied(done, how_it_ended(self._end()), suspects) from None
        return done

    def _start(self) -> None:
        """Start the process; one that a signal ended on its way up is replaced, as it would be later."""
        for attempt in range(START_ATTEMPTS):
            self._spawn()
            try:
                self._pipe.recv()
                return
            except (EOFError, OSError):
                status = self._end()
            if status == NO_GUARD:
                raise WorkersLost(NO_GUARD_SENTENCE) from None
            if not (status is not None and status < 0 and attempt + 1 < START_ATTEMPTS):
                raise WorkersLost(
                    f"a worker could not start ({how_it_ended(status)}); what it said stands above. Each "
                    "worker imports the main script again: its calls must stand under "
                    '`if __name__ == "__main__":`'
                ) from None

    def _spawn(self) -> None:
        # fork would copy the locks of this process's threads into the child.
        context = get_context("spawn")
        with self._starting:
            if self._stopped:
                raise WorkersLost("the workers were stopped")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(target=_serve, args=(theirs,), daemon=True, name="leapgrad-cell")
            self._process.start()
            theirs.close()

    def _end(self) -> int | None:
        """Wait for a process that has closed its end of the pipe; its exit status."""
        process, self._process = self._process, None
        self._pipe.close()
        process.join(END_SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
        return process.exitcode

    def stop(self) -> None:
        with self._starting:
            self._stopped = True
            process = self._process
        if process is not None:
            with suppress(OSError, ValueError):
                process.kill()

    def close(self) -> None:
        if self._process is not None:
            self._end()


def how_it_ended(status: int | None) -> str:
    """An exit status in words."""
    if status is None or status >= 0:
        return f"it ended with status {status}"
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = f"signal {-status}"
    return f"it was killed by {name}{', perhaps for want of memory' if name == 'SIGKILL' else ''}"


class Workers:
    """Some workers with a thread each, and one queue of portions for all of them.

    The threads are daemons: what cannot be stopped is not waited for when the interpreter ends.
    """

    def __init__(self, count: int, make: Callable[[], Worker]) -> None:
        self._queue: SimpleQueue[tuple[Future[list[Answer]], Sequence[Job]] | None] = SimpleQueue()
        self._workers = [make() for _ in range(count)]
        self._threads: list[threading.Thread] = []

    def submit(self, jobs: Sequence[Job]) -> Future[list[Answer]]:
        future: Future[list[Answer]] = Future()
        self._queue.put((future, jobs))
        if len(self._threads) < len(self._workers):
            worker = self._workers[len(self._threads)]
            thread = threading.Thread(target=self._serve, args=(worker,), name="leapgrad-cell", daemon=True)
            self._threads.append(thread)
            thread.start()
        return future

    def _serve(self, worker: Worker) -> None:
        while (item := self._queue.get()) is not None:
            future, jobs = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = worker.compute(jobs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)
        worker.close()

    def stop(self) -> None:
        """End what is running; its futures have what was finished, or an error, soon afterwards."""
        for worker in self._workers:
            worker.stop()
        for _ in self._threads:
            self._queue.put(None)

    def close(self) -> None:
        """End the workers, who have nothing left to do."""
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join(END_SECONDS)


# ----------------------------------------------------------------------------------------- in the processes


def _serve(pipe: Any) -> None:
    """The loop of a worker process: it receives jobs and sends results until the pipe is closed."""
    # Ctrl-C goes to all processes of a terminal; the one that runs the study decides what becomes of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    watch_parent()
    with suppress(EOFError, OSError):
        pipe.send(READY)
        while True:
            for item in pipe.recv():
                pipe.send(compute_item(item))


def watch_parent() -> None:
    """End this process as soon as the one that started it has ended, also in the middle of a job."""
    parent = multiprocessing.parent_process()
    first = os.getppid() if parent is None or parent.pid is None else parent.pid
    sentinel = getattr(parent, "sentinel", None)  # loky has none

    def watch() -> None:
        while True:
            if sentinel is None:
                time.sleep(WATCH_SECONDS)
            elif connection.wait([sentinel], WATCH_SECONDS):
                os._exit(1)
            # With fork, children that live on hold the other end of the sentinel: hence this question too.
            if os.getppid() != first:
                os._exit(1)

    threading.Thread(target=watch, name="leapgrad-parent", daemon=True).start()


def leave_if_imported_again() -> None:
    """End a process that is only starting: it imports a main script whose calls stand under no guard."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise SystemExit(NO_GUARD)
