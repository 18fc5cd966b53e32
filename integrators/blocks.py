"""Blocks of lanes: the unit of threading, progress and interruption.

Results never depend on how lanes fall into blocks or blocks onto threads; only time does.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

__all__ = [
    "POOL_SECONDS",
    "Cancelled",
    "InterruptLater",
    "Ticker",
    "default_threads",
    "interruptible",
    "one_blas_thread",
    "progress_bar",
    "run_blocks",
]

# A compiled call cannot be interrupted, so calls are kept short: Ctrl-C acts after one of them.
CALL_SECONDS = 0.02
LARGEST_CHUNK = 10_000
# Work shorter than this is over before a second thread has been woken up.
POOL_SECONDS = 1e-3
# Work that is estimated to take longer leaves the calling thread free to see Ctrl-C; of shorter work it does
# its share.
INLINE_SECONDS = 0.03
# After Ctrl-C workers get this long to end their call; one that needs more is left to end by itself.
PATIENCE = 0.1
# Seconds before a progress bar appears by itself.
DELAY = 2.0


T = TypeVar("T")


class Cancelled(Exception):
    """Raised inside a worker whose siblings failed or were interrupted."""


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
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _bar(total: int | None, label: str, unit: str, progress: bool | None) -> Any:
    from tqdm import tqdm

    return tqdm(
        total=total,
        desc=label,
        unit=unit,
        unit_scale=total is not None,
        leave=False,
        delay=0 if progress else DELAY,
        disable=None if progress is None else not progress,
    )


@contextmanager
def progress_bar(
    total: int | None, label: str, unit: str, progress: bool | None
) -> Iterator[Callable[[], object]]:
    """A bar for work that a Python loop does; yields what to call after each turn.

    `progress` as for `Ticker`; `total` None where nobody knows it.
    """
    bar = _bar(total, label, unit, progress)
    try:
        yield bar.update
    finally:
        bar.close()


class Ticker:
    """What a worker reports to: progress forwards, cancellation backwards.

    Parameters
    ----------
    total : int
        Lane-steps of the whole work.
    seconds : float
        Estimated time of the whole work; short work never loads the progress bar.
    label : str
    progress : bool, optional
        True and False force and forbid the bar; None shows it on a terminal after two seconds.
    """

    def __init__(self, total: int, seconds: float, label: str, progress: bool | None) -> None:
        self._cancelled = threading.Event()
        shown = progress or (progress is None and seconds > DELAY / 4)
        self._bar: Any = _bar(total, label, "step", progress) if shown else None

    def quiet(self) -> Ticker:
        """A ticker that shows nothing and is cancelled with this one."""
        silent = Ticker(0, 0.0, "", False)
        silent._cancelled = self._cancelled
        return silent

    def cancel(self) -> None:
        self._cancelled.set()

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, amount: int = 1) -> None:
        if self._cancelled.is_set():
            raise Cancelled
        if self._bar is not None:
            self._bar.update(amount)

    def in_chunks(
        self, call: Callable[[int, int], None], n_steps: int, lanes: int, step_seconds: float
    ) -> None:
        """``call(start, stop)`` over [0, n_steps) in pieces of about CALL_SECONDS each.

        `step_seconds` is an estimate; the pieces follow what is measured.
        """
        start, size = 0, _within(CALL_SECONDS / 4 / step_seconds)
        while start < n_steps:
            stop = min(start + size, n_steps)
            began = time.perf_counter()
            call(start, stop)
            spent = time.perf_counter() - began
            self((stop - start) * lanes)
            if spent < CALL_SECONDS / 4:
                size = _within(size * 4)
            elif spent > CALL_SECONDS:
                size = _within(size * CALL_SECONDS / spent)
            start = stop


def _within(size: float) -> int:
    return max(1, min(LARGEST_CHUNK, int(size)))


def run_blocks(
    n_lanes: int,
    width: int,
    work: Callable[[slice, Ticker], None],
    *,
    total: int,
    seconds: float,
    label: str,
    threads: int | None = None,
    progress: bool | None = None,
) -> None:
    """Call ``work(lanes, ticker)`` for every block of at most `width` lanes, on `threads` threads.

    `total`, `seconds`, `label` and `progress` are those of `Ticker`.

    An exception in one block, or Ctrl-C, stops the others at their next tick and is raised here, after
    PATIENCE at the latest: a worker in the middle of a very long call ends by itself.
    """
    threads = default_threads() if threads is None else threads
    blocks = [slice(s, min(s + width, n_lanes)) for s in range(0, n_lanes, width)]
    ticker = Ticker(total, seconds, label, progress)
    try:
        calls = [partial(work, block, ticker) for block in blocks]
        if seconds >= INLINE_SECONDS and calls:
            _on_threads(calls, threads, ticker.cancel)
        elif threads == 1 or len(calls) <= 1:
            for call in calls:
                call()
        else:
            _beside_threads(calls, threads - 1, ticker.cancel)
    finally:
        ticker.close()


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
    return _on_threads([call], 1)[0]


def _on_threads(
    calls: Sequence[Callable[[], T]], threads: int, cancel: Callable[[], None] = lambda: None
) -> list[T]:
    """The results of all calls. An exception of one, or Ctrl-C, cancels the others and is raised here."""
    with _submitted(calls, threads, cancel) as futures:
        done, _ = wait(futures, return_when=FIRST_EXCEPTION)
        for future in done:
            future.result()
    return [future.result() for future in futures]


def _beside_threads(calls: Sequence[Callable[[], None]], threads: int, cancel: Callable[[], None]) -> None:
    """`_on_threads`, where the calling thread takes on, from the end, what nobody has begun."""

    def watched(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException:
            cancel()  # the calling thread is at work itself and sees only this
            raise

    with _submitted([partial(watched, call) for call in calls], threads, cancel) as futures:
        with suppress(Cancelled):
            for future, call in zip(reversed(futures), reversed(calls), strict=True):
                if future.cancel():
                    call()
        errors = [error for future in futures if not future.cancelled() and (error := future.exception())]
        if errors:
            raise min(errors, key=lambda error: isinstance(error, Cancelled))


# Pools of so many threads that nobody uses now. Starting a thread takes 150 µs, waking one up 30. A pool
# belongs to one piece of work at a time, so that work inside of work cannot wait for itself.
_idle_pools: dict[int, list[ThreadPoolExecutor]] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle_pools.clear)  # a child has the pools, but not their threads


@contextmanager
def _submitted(
    calls: Sequence[Callable[[], T]], threads: int, cancel: Callable[[], None]
) -> Iterator[list[Future[T]]]:
    """The calls' futures, from a pool that is given back if all goes well, and given up if not."""
    size = min(threads, len(calls))
    futures: list[Future[T]] = []
    idle = _idle_pools.setdefault(size, [])
    try:
        pool = idle.pop()
    except IndexError:
        pool = ThreadPoolExecutor(size, thread_name_prefix="leapgrad")
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


class _BlasLimit:
    """Pin BLAS to one thread while any of our runs is active; restore it after the last one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._controller: Any = None
        self._limit: Any = None

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            self._users += 1
            if self._users == 1:
                if self._controller is None:
                    from threadpoolctl import ThreadpoolController

                    self._controller = ThreadpoolController()
                self._limit = self._controller.limit(limits=1, user_api="blas")
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if self._users == 0:
                    self._limit.restore_original_limits()


one_blas_thread = _BlasLimit()
"""Context manager: one thread per BLAS call, since the blocks already use the processors."""
