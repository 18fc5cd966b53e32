"""Blocks of members: the unit of threading, progress and interruption.

Results never depend on how members fall into blocks or blocks onto threads; only time does.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

from integrators.codegen.threads import on_threads, thread_count

from .bars import progress_bar_on_stderr

__all__ = [
    "IDLE",
    "POOL_SECONDS",
    "Cancelled",
    "Ticker",
    "one_blas_thread",
    "part_of",
    "progress_bar",
    "run_blocks",
]

# A compiled call cannot be interrupted, so calls are kept short: Ctrl-C acts after one of them.
CALL_SECONDS = 0.02
LARGEST_CHUNK = 10_000
# Work shorter than this is over before a second thread has been woken up.
POOL_SECONDS = 1e-3
# Blocks that are estimated to take longer leave the main thread free to see Ctrl-C.
INLINE_SECONDS = 0.03
# Seconds before a progress bar appears by itself.
DELAY = 2.0


class Cancelled(Exception):
    """Raised inside a worker whose siblings failed or were interrupted."""


def _bar(total: int | None, label: str, unit: str, progress: bool | None) -> Any:
    return progress_bar_on_stderr(
        progress,
        total=total,
        desc=label,
        unit=unit,
        unit_scale=total is not None,
        leave=False,
        delay=0 if progress else DELAY,
    )


@contextmanager
def progress_bar(
    total: int | None, label: str, unit: str, progress: bool | None
) -> Iterator[Callable[..., object]]:
    """A bar for work that a Python loop does; yields what to call, with the amount done, after each turn.

    `progress` as for `Ticker`; `total` None where nobody knows it.
    """
    bar = _bar(total, label, unit, progress)
    try:
        yield bar.update
    finally:
        bar.close()


_here = threading.local()
"""``ticker`` is that of the block which this thread is at, if any."""


class Ticker:
    """What a worker reports to: progress forwards, cancellation backwards.

    Work inside of a block is cancelled with the work that the block belongs to, and shows no bar of its own.

    Parameters
    ----------
    total : int
        Steps of members of the whole work.
    seconds : float
        Estimated time of the whole work; short work never loads the progress bar.
    label : str
    progress : bool, optional
        True and False force and forbid the bar; None shows it on a terminal after two seconds.
    """

    def __init__(self, total: int, seconds: float, label: str, progress: bool | None) -> None:
        self._cancelled = threading.Event()
        self._above: Ticker | None = getattr(_here, "ticker", None)
        shown = self._above is None and (progress or (progress is None and seconds > DELAY / 4))
        self._bar: Any = _bar(total, label, "step", progress) if shown else None

    def quiet(self) -> Ticker:
        """A ticker that shows nothing and is cancelled with this one."""
        silent = Ticker(0, 0.0, "", False)
        silent._cancelled = self._cancelled
        return silent

    def cancel(self) -> None:
        self._cancelled.set()

    @property
    def cancelled(self) -> bool:
        return self._cancelled.is_set() or (self._above is not None and self._above.cancelled)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()

    def __call__(self, amount: int = 1) -> None:
        if self.cancelled:
            raise Cancelled
        if self._bar is not None:
            self._bar.update(amount)

    def in_chunks(
        self, call: Callable[[int, int], None], n_steps: int, members: int, step_seconds: float
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
            self((stop - start) * members)
            if spent < CALL_SECONDS / 4:
                size = _within(size * 4)
            elif spent > CALL_SECONDS:
                size = _within(size * CALL_SECONDS / spent)
            start = stop


IDLE = Ticker(0, 0.0, "", False)
"""For work so short that it is neither shown nor cancelled."""


def _within(size: float) -> int:
    return max(1, min(LARGEST_CHUNK, int(size)))


def run_blocks(
    n_members: int,
    width: int,
    work: Callable[[slice, Ticker], None],
    *,
    total: int,
    seconds: float,
    label: str,
    threads: int | None = None,
    progress: bool | None = None,
) -> None:
    """Call ``work(members, ticker)`` for every block of at most `width` members, on `threads` threads.

    `total`, `seconds`, `label` and `progress` are those of `Ticker`.

    An exception in one block, or Ctrl-C, stops the others at their next tick and is raised here, after
    PATIENCE at the latest: a worker in the middle of a very long call ends by itself.
    """
    threads = thread_count(threads)
    blocks = [slice(s, min(s + width, n_members)) for s in range(0, n_members, width)]
    ticker = Ticker(total, seconds, label, progress)
    try:
        calls = [partial(_at_block, work, block, ticker) for block in blocks]
        on_main = threading.current_thread() is threading.main_thread()
        if min(threads, len(calls)) > 1 or (calls and on_main and seconds >= INLINE_SECONDS):
            on_threads(calls, threads, ticker.cancel)
        else:
            for call in calls:
                call()
    finally:
        ticker.close()


def _at_block(work: Callable[[slice, Ticker], None], block: slice, ticker: Ticker) -> None:
    above, _here.ticker = getattr(_here, "ticker", None), ticker
    try:
        work(block, ticker)
    finally:
        _here.ticker = above


@contextmanager
def part_of(ticker: Ticker) -> Iterator[None]:
    """What this thread does in here is cancelled with the ticker, and shows no bar of its own."""
    above, _here.ticker = getattr(_here, "ticker", None), ticker
    try:
        yield
    finally:
        _here.ticker = above


def _path(library: Any) -> Any:
    """The file of a library, which each look at what is loaded describes by an object of its own."""
    return getattr(library, "filepath", id(library))


class _BlasLimit:
    """One thread a BLAS call while any of our runs is active; after the last one it is as it was.

    The number belongs to the process: while it lasts, BLAS calls of other threads have one processor too.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._users: set[int] = set()
        self._changed: list[tuple[Any, int]] = []

    def __call__(self) -> _BlasUse:
        return _BlasUse(self)

    def enter(self, user: int) -> None:
        with self._lock:
            self._users.add(user)
            limited = {_path(library) for library, _ in self._changed}
            # SciPy's library may have been loaded since the first of the users came.
            for library in _blas_libraries().common:
                if _path(library) not in limited:
                    self._changed.append((library, library.num_threads))
                    _set_threads(library, 1)

    def leave(self, user: int) -> None:
        """Twice is as good as once, so that an interrupted call can be made again."""
        with self._lock:
            self._users.discard(user)
            if not self._users:
                self._restore()

    def _restore(self) -> None:
        for library, threads in self._changed:
            if library.num_threads == 1:  # or somebody has chosen another number in the meantime
                _set_threads(library, threads)
        self._changed = []

    def after_fork(self) -> None:
        """In the child: the threads that would lift the limit are not there."""
        self._lock = threading.RLock()
        self._users.clear()
        self._restore()


class _BlasUse:
    """One use of the limit. Ctrl-C may come anywhere; what it leaves behind ends with this object."""

    def __init__(self, limit: _BlasLimit) -> None:
        self._limit = limit
        self._own: list[tuple[Any, int]] = []

    def __enter__(self) -> None:
        self._limit.enter(id(self))
        self._own = [(library, library.num_threads) for library in _blas_libraries().by_thread]
        for library, _ in self._own:
            library.set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        for library, threads in self._own:
            library.set_num_threads(threads)
        self._own = []
        self._limit.leave(id(self))

    def __del__(self) -> None:
        if hasattr(self, "_own"):  # Ctrl-C may come before that, too
            self.__exit__()


class _Libraries(NamedTuple):
    """The BLAS libraries that are loaded: those with one number for the process, and with one a thread."""

    seen: bool
    common: list[Any]
    by_thread: list[Any]


_known_libraries: _Libraries | None = None


def _blas_libraries() -> _Libraries:
    """What is loaded now: SciPy brings a library of its own when it is first imported."""
    global _known_libraries
    seen = "scipy.linalg" in sys.modules
    if _known_libraries is None or _known_libraries.seen != seen:
        from threadpoolctl import ThreadpoolController

        found: tuple[list[Any], list[Any]] = ([], [])
        for library in ThreadpoolController().select(user_api="blas").lib_controllers:
            openmp = getattr(library, "threading_layer", "") == "openmp"
            found[openmp and hasattr(library, "clear_controlling_thread")].append(library)
        _known_libraries = _Libraries(seen, *found)
    return _known_libraries


def _set_threads(library: Any, threads: int) -> None:
    """Set the number of a library for the process, from whatever thread this is.

    From version 3.8 on threadpoolctl silently does nothing on any thread but the one that set it first: what
    one worker lowered another could not raise again, and BLAS kept one thread for the life of the process.
    """
    forget = getattr(library, "clear_controlling_thread", None)
    if forget is not None:
        forget(force=True)
    library.set_num_threads(threads)
    if forget is not None:
        forget(force=True)


one_blas_thread = _BlasLimit()
"""Context manager: one thread per BLAS call, since the blocks already use the processors."""
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=one_blas_thread.after_fork)
