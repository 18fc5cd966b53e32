"""Threads: how many, on which processors, and how Ctrl-C reaches them."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, wait
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import Any, TypeVar

from integrators.validation import as_count

__all__ = ["InterruptLater", "default_threads", "interruptible", "on_threads", "thread_count"]

# After Ctrl-C workers get this long to end their call; one that needs more is left to end by itself.
PATIENCE = 0.05
# A Ctrl-C in the instant before the main thread falls asleep does not wake it up, nor does any on Windows: it
# is seen after so many seconds.
LOOK = 0.1

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
    """The processors that the calling thread may use; empty where the system does not tell."""
    return tuple(sorted(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else ()


class InterruptLater:
    """Puts off Ctrl-C to the end of a short ``with`` block, on the main thread; others never see it.

    C code that calls Python back, and weak reference callbacks, swallow a KeyboardInterrupt or turn it into
    another error. A request to end (SIGTERM) that Python code answers is put off likewise.
    """

    def __enter__(self) -> None:
        self._came: tuple[int, Any] | None = None
        self._handlers: dict[int, Callable[[int, Any], object]] = {}
        if threading.current_thread() is threading.main_thread():
            try:
                for number in (signal.SIGINT, signal.SIGTERM):
                    handler = signal.getsignal(number)
                    if callable(handler):  # not ignored, left to the system, or answered by C code
                        self._handlers[number] = handler
                        signal.signal(number, self._note)
            except ValueError:  # a subinterpreter, which no signal comes to
                self._handlers.clear()
            except BaseException:
                self._restore()
                raise

    def _note(self, number: int, frame: Any) -> None:
        self._came = number, frame

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def __exit__(self, *_: object) -> None:
        self._restore()
        if self._came is not None:
            self._handlers[self._came[0]](*self._came)


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
    if sys.is_finalizing():  # the threads are gone
        return [call() for call in calls]
    with _submitted(calls, threads, cancel) as futures:
        waited_for = wait(futures, LOOK, FIRST_EXCEPTION)
        while waited_for.not_done and not any(map(Future.exception, waited_for.done)):
            waited_for = wait(futures, LOOK, FIRST_EXCEPTION)
        for future in waited_for.done:
            future.result()
    return [future.result() for future in futures]


class _Call:
    """A call on its way to a thread, and what became of it."""

    __slots__ = ("call", "future")

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call
        self.future: Future[Any] = Future()

    def __call__(self) -> None:
        if not self.future.set_running_or_notify_cancel():
            return
        try:
            result = self.call()
        except BaseException as error:
            self.future.set_exception(error)
        else:
            self.future.set_result(result)


class _Crew:
    """Threads that are kept, and end with the program.

    The threads of `concurrent.futures` are waited for when the interpreter ends: after Ctrl-C a program would
    hang until the last abandoned call, an SVD of minutes perhaps, has run to its end. These are daemons.
    """

    def __init__(self, size: int, processors: tuple[int, ...]) -> None:
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._size = size
        self._processors = processors if 1 < size <= len(processors) else ()
        self._started = 0

    def submit(self, call: Callable[[], T]) -> Future[T]:
        """Hand a call over. Where no thread can be started (at the interpreter's end) it is run here."""
        sent = _Call(call)
        if self._started < self._size and not self._start():
            sent()
        else:
            self._calls.put(sent)
        return sent.future

    def _start(self) -> bool:
        own = _share(self._processors, self._started, self._size)
        try:
            threading.Thread(target=_work, args=(self._calls, own), name="leapgrad", daemon=True).start()
        except RuntimeError:
            return self._started > 0
        self._started += 1
        return True

    def dismiss(self, futures: Sequence[Future[Any]]) -> None:
        """Drop what has not begun; the threads end after what they are at."""
        for future in futures:
            future.cancel()
        for _ in range(self._started):
            self._calls.put(None)


def _share(processors: tuple[int, ...], at: int, size: int) -> tuple[int, ...]:
    return processors[at * len(processors) // size : (at + 1) * len(processors) // size]


def _work(calls: SimpleQueue[_Call | None], own: tuple[int, ...]) -> None:
    while (call := calls.get()) is not None:
        if own:
            _move_to(own)
        call()
        del call  # or its arrays live until the next one


def _move_to(processors: tuple[int, ...]) -> None:
    """Go to one of these processors, and be free to leave it again.

    Left to the system, two threads that are woken up together may start on one processor and stay there for
    longer than the work lasts. They are not held where they start: whatever counts processors on a thread
    that is (a BLAS that is imported there, a user's function) counts one, for the life of the process.
    """
    with suppress(OSError):  # a processor may have been taken away in the meantime
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, processors)
        os.sched_setaffinity(0, allowed)


# Crews that nobody uses now, by size and processors. Starting a thread takes 150 µs, waking one up 30. A crew
# belongs to one piece of work at a time, so that work inside of work cannot wait for itself.
_idle_crews: dict[tuple[int, tuple[int, ...]], list[_Crew]] = {}
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_idle_crews.clear)  # a child has the crews, but not their threads


@contextmanager
def _submitted(
    calls: Sequence[Callable[[], T]], threads: int, cancel: Callable[[], None]
) -> Iterator[list[Future[T]]]:
    """The calls' futures, from a crew that is given back if all goes well, and given up if not."""
    size, processors = min(threads, len(calls)), _processors()
    futures: list[Future[T]] = []
    idle = _idle_crews.setdefault((size, processors), [])
    try:
        crew = idle.pop()
    except IndexError:
        crew = _Crew(size, processors)
    try:
        with InterruptLater():  # starting a thread runs callbacks, in which an exception is lost
            for call in calls[:size]:
                futures.append(crew.submit(call))
        for call in calls[size:]:
            futures.append(crew.submit(call))
        yield futures
    except BaseException:
        cancel()
        crew.dismiss(futures)
        wait([future for future in futures if not future.cancelled()], timeout=PATIENCE)
        raise
    idle.append(crew)
