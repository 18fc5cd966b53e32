"""Threads: how many, on which processors, and how Ctrl-C reaches them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from itertools import count
from typing import Any, TypeVar

from .validation import as_count

__all__ = ["InterruptLater", "default_threads", "interruptible", "on_threads", "thread_count"]

# After Ctrl-C workers get this long to end their call; one that needs more is left to end by itself.
PATIENCE = 0.05

T = TypeVar("T")


def default_threads() -> int:
    """Number of worker threads: LEAPGRAD_THREADS, or the processors this process may use.

    Raises
    ------
    ValueError
        If LEAPGRAD_THREADS is not a positive whole number.
    """
    wish = os.environ.get("LEAPGRAD_THREADS", "")
    if wish:
        if not wish.isdigit() or int(wish) == 0:
            raise ValueError(f"LEAPGRAD_THREADS must be a positive whole number, got {wish!r}.")
        return int(wish)
    return len(_processors()) or os.cpu_count() or 1


def thread_count(threads: int | None) -> int:
    """What a user asked for, checked, or `default_threads`."""
    return default_threads() if threads is None else as_count(threads, "threads", least=1)


def _processors() -> tuple[int, ...]:
    """The processors that the main thread may use, whoever asks; empty where the system does not tell."""
    return tuple(sorted(os.sched_getaffinity(os.getpid()))) if hasattr(os, "sched_getaffinity") else ()


class InterruptLater:
    """Puts off Ctrl-C to the end of a short ``with`` block, on the main thread; others never see it.

    C code that calls Python back, and weak reference callbacks, swallow a KeyboardInterrupt or turn it into
    another error.
    """

    def __enter__(self) -> None:
        self._came: tuple[int, Any] | None = None
        self._handler: Any = None
        if threading.current_thread() is threading.main_thread():
            handler = signal.signal(signal.SIGINT, self._note)
            if callable(handler):
                self._handler = handler
            else:  # ignored, or left to the system
                signal.signal(signal.SIGINT, handler)

    def _note(self, number: int, frame: Any) -> None:
        self._came = number, frame

    def __exit__(self, *_: object) -> None:
        if self._handler is not None:
            signal.signal(signal.SIGINT, self._handler)
            if self._came is not None:
                self._handler(*self._came)


def interruptible(call: Callable[[], T]) -> T:
    """``call()``, on a thread of its own if this is the main one, so that Ctrl-C acts at once.

    For what cannot be cut into short pieces: compiling, LAPACK on one large matrix. An interrupted call is
    left to end by itself; it must not change anything that others see.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    return on_threads([call], 1)[0]


def on_threads(
    calls: Sequence[Callable[[], T]], threads: int, cancel: Callable[[], None] = lambda: None
) -> list[T]:
    """The results of all calls. An exception of one, or Ctrl-C, cancels the others and is raised here.

    The calling thread only waits: working beside the others it would often share a processor with one of
    them for milliseconds, since a thread is woken up where its waker runs.
    """
    with _submitted(calls, threads, cancel) as futures:
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
    return [future.result() for future in futures]


# Pools that nobody uses now, by size and processors. Starting a thread takes 150 µs, waking one up 30. A pool
# belongs to one piece of work at a time, so that work inside of work cannot wait for itself.
_idle_pools: dict[tuple[int, tuple[int, ...]], list[ThreadPoolExecutor]] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle_pools.clear)  # a child has the pools, but not their threads


def _pool(size: int, processors: tuple[int, ...]) -> ThreadPoolExecutor:
    """A pool whose threads divide the processors among them.

    Left to the system, two threads that are woken up together may start on one processor and stay there for
    longer than the work lasts: two processors, d = 10, 100 lanes, 250 steps: 3.4 ms, and 2.2 with this.
    """
    turn = count()

    def settle() -> None:
        at = next(turn) % size
        own = processors[at * len(processors) // size : (at + 1) * len(processors) // size]
        with suppress(OSError):  # a processor may have been taken away in the meantime
            os.sched_setaffinity(0, own)

    shared_out = 1 < size <= len(processors)
    return ThreadPoolExecutor(size, thread_name_prefix="leapgrad", initializer=settle if shared_out else None)


@contextmanager
def _submitted(
    calls: Sequence[Callable[[], T]], threads: int, cancel: Callable[[], None]
) -> Iterator[list[Future[T]]]:
    """The calls' futures, from a pool that is given back if all goes well, and given up if not."""
    size, processors = min(threads, len(calls)), _processors()
    futures: list[Future[T]] = []
    idle = _idle_pools.setdefault((size, processors), [])
    try:
        pool = idle.pop()
    except IndexError:
        pool = _pool(size, processors)
    try:
        with InterruptLater():  # starting a thread runs callbacks, in which an exception is lost
            for call in calls[:size]:
                futures.append(pool.submit(call))
        for call in calls[size:]:
            futures.append(pool.submit(call))
        yield futures
    except BaseException:
        cancel()
        pool.shutdown(wait=False, cancel_futures=True)
        wait([future for future in futures if not future.cancelled()], timeout=PATIENCE)
        raise
    idle.append(pool)
