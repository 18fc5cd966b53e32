"""Blocks of lanes: the unit of threading, progress and interruption.

Results never depend on how lanes fall into blocks or blocks onto threads; only time does.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from .threads import on_threads, thread_count

__all__ = ["POOL_SECONDS", "Cancelled", "Ticker", "one_blas_thread", "part_of", "progress_bar", "run_blocks"]

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


_here = threading.local()
"""``ticker`` is that of the block which this thread is at, if any."""


class Ticker:
    """What a worker reports to: progress forwards, cancellation backwards.

    Work inside of a block is cancelled with the work that the block belongs to, and shows no bar of its own.

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
    threads = thread_count(threads)
    blocks = [slice(s, min(s + width, n_lanes)) for s in range(0, n_lanes, width)]
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
