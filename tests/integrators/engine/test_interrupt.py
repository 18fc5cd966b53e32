"""Ctrl-C and failures during a long computation: raised promptly, and every thread stops."""

import os
import signal
import threading
import time

import pytest
from conftest import NOJIT

import integrators.codegen.threads as threads_module
from benchmarks.interrupt import CALLS, FROM_THE_START, measure
from integrators.codegen.threads import InterruptLater, default_threads, interruptible, on_threads
from integrators.engine.blocks import Cancelled, Ticker, run_blocks

POSIX = pytest.mark.skipif(not hasattr(signal, "SIGINT") or os.name == "nt", reason="needs POSIX signals")
COMPILED = pytest.mark.skipif(NOJIT, reason="needs compiled kernels")

# Nothing here is timed, since a busy machine takes as long as it likes (`python -m benchmarks.interrupt`
# measures): work goes on until it is stopped, and fails the test if it ends by itself after so many seconds.
DEADLINE = 120.0


class Endless:
    """Work that goes on until it is cancelled, or for ever as far as a test is concerned."""

    def __init__(self):
        self.running, self.cancelled, self.ended = (threading.Event() for _ in range(3))

    def __call__(self, members, ticker):
        self.running.set()
        until = time.monotonic() + DEADLINE
        try:
            while time.monotonic() < until:
                ticker()
                time.sleep(1e-3)
        except Cancelled:
            self.cancelled.set()
            raise
        self.ended.set()

    @property
    def stopped(self):
        """Whether the caller was not kept waiting for the end, and the work is told to stop."""
        return not self.ended.is_set() and self.cancelled.wait(DEADLINE)


def run(work, threads, members=2, seconds=1.0):
    run_blocks(
        members, 1, work, total=members, seconds=seconds, label="test", threads=threads, progress=False
    )


def raises(error, call):
    with pytest.raises(error):
        call()


def interrupt_when(event):
    """Ctrl-C as soon as the event is set."""

    def shoot():
        assert event.wait(DEADLINE)
        time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=shoot, daemon=True).start()


# ------------------------------------------------------------------------------------------- blocks


# Catches: a ticker that never cancels.
def test_a_failing_block_stops_the_others():
    endless = Endless()

    def work(members, ticker):
        if members.start == 0:
            endless(members, ticker)
        endless.running.wait(DEADLINE)
        raise ValueError("of block 1")

    raises(ValueError, lambda: run(work, threads=2))
    assert endless.stopped


def test_a_quiet_ticker_is_cancelled_with_its_own():
    ticker = Ticker(1, 0.0, "", False)
    quiet = ticker.quiet()
    quiet()
    ticker.cancel()
    with pytest.raises(Cancelled):
        quiet()
    with pytest.raises(Cancelled):
        quiet.in_chunks(lambda start, stop: None, 10, 1, 1.0)


@POSIX
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_stops_all_blocks(threads):
    endless = Endless()
    interrupt_when(endless.running)
    raises(KeyboardInterrupt, lambda: run(endless, threads, members=5))
    assert endless.stopped


# Catches: blocks handed to the pool where an interrupt does not cancel them.
def test_ctrl_c_while_blocks_are_handed_out(monkeypatch):
    endless, plain = Endless(), threads_module._Crew

    class Interrupted(plain):
        def submit(self, call):
            if endless.running.is_set():
                raise KeyboardInterrupt
            future = super().submit(call)
            assert endless.running.wait(DEADLINE)
            return future

    monkeypatch.setattr(threads_module, "_Crew", Interrupted)
    monkeypatch.setattr(threads_module, "_idle_crews", {})
    raises(KeyboardInterrupt, lambda: run(endless, threads=2))
    assert endless.stopped


# Catches: waiting for a worker in the middle of one long call.
@POSIX
@pytest.mark.parametrize(
    "waiting",
    [lambda work: run(lambda *_: work(), threads=1), interruptible],
    ids=["run_blocks", "interruptible"],
)
def test_ctrl_c_does_not_wait_for_a_call_that_cannot_be_cut(waiting):
    running, over, ended = threading.Event(), threading.Event(), threading.Event()

    def work():
        running.set()
        over.wait(DEADLINE)
        ended.set()

    interrupt_when(running)
    raises(KeyboardInterrupt, lambda: waiting(work))
    assert not ended.is_set()
    over.set()


def test_an_interruptible_call_gives_its_value_and_its_error():
    assert interruptible(lambda: threading.current_thread() is threading.main_thread()) is False
    with pytest.raises(ZeroDivisionError):
        interruptible(lambda: 1 / 0)
    found = []
    thread = threading.Thread(target=lambda: found.append(interruptible(threading.current_thread)))
    thread.start()
    thread.join()
    assert found == [thread]


# Catches: an interrupt that C code swallows because it came while Python was called back.
@POSIX
def test_ctrl_c_waits_for_the_end_of_a_block_that_puts_it_off():
    done = []
    with pytest.raises(KeyboardInterrupt):
        with InterruptLater():
            with InterruptLater():
                signal.raise_signal(signal.SIGINT)
                done.append("inner")
            done.append("outer")
    assert done == ["inner", "outer"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with InterruptLater():
        pass


def test_short_work_stays_on_the_thread_that_asked():
    seen = []
    run(lambda *_: seen.append(threading.current_thread()), threads=1, seconds=1e-4)
    assert set(seen) == {threading.main_thread()}


def test_threads_are_kept_between_two_pieces_of_work():
    def places():
        seen, meet = [], threading.Barrier(2, timeout=DEADLINE)

        def work(*_):
            seen.append(threading.current_thread())
            meet.wait()

        run(work, threads=2, seconds=1e-4)
        return set(seen)

    first = places()
    assert len(first) == 2 and threading.main_thread() not in first
    assert places() == first


# Catches: work inside of work that waits for a thread which waits for it.
@pytest.mark.parametrize("seconds", [1e-4, 1.0])
def test_work_inside_of_work(seconds):
    inner = []
    run(lambda *_: run(lambda *_: inner.append(1), threads=2, seconds=seconds), threads=2, seconds=seconds)
    assert len(inner) == 4


# Catches: work inside of a block that goes on after Ctrl-C, on a thread that nobody waits for.
def test_work_inside_of_work_is_cancelled_with_it():
    endless = Endless()

    def outer(members, ticker):
        if members.start == 0:
            run(endless, threads=1, members=1)
        assert endless.running.wait(DEADLINE)
        raise ValueError("of block 1")

    raises(ValueError, lambda: run(outer, threads=2))
    assert endless.stopped


# Catches: a failure of short work that is lost, whichever block fails.
@pytest.mark.parametrize("failing", [0, 1])
def test_errors_of_short_work(failing):
    cancelled, meet = threading.Event(), threading.Barrier(2, timeout=DEADLINE)

    def work(block, ticker):
        meet.wait()
        if block.start == failing:
            raise ZeroDivisionError
        try:
            while True:
                ticker(0)
        except Cancelled:
            cancelled.set()
            raise

    raises(ZeroDivisionError, lambda: run(work, threads=2, seconds=1e-4))
    assert cancelled.wait(DEADLINE)


# Catches: a child that waits for the threads of its parent.
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_threads_after_a_fork():
    interruptible(int)
    child = os.fork()
    if child == 0:
        os._exit(interruptible(lambda: 7))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


# Catches: threads that may start on one processor; threads that are held there, where whatever counts
# processors counts one; a crew that outlives a change of the processors allowed.
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs processor masks")
def test_threads_start_on_processors_of_their_own_and_may_leave_them(monkeypatch):
    allowed, moves, plain = os.sched_getaffinity(0), [], os.sched_setaffinity
    meet = threading.Barrier(2, timeout=DEADLINE)

    def noting(process, processors):
        moves.append((threading.current_thread(), set(processors)))
        plain(process, processors)

    def mask():
        meet.wait()
        return os.sched_getaffinity(0)

    monkeypatch.setattr(os, "sched_setaffinity", noting)
    assert on_threads([mask, mask], 2) == [allowed, allowed]
    if len(allowed) == 1:
        assert moves == []
        return
    starts = [where for _, where in moves if where != allowed]
    assert len(starts) == 2 and set.union(*starts) == allowed and not set.intersection(*starts)
    assert {thread for thread, _ in moves}.isdisjoint({threading.current_thread()})
    one = {min(allowed)}
    plain(0, one)
    try:
        assert default_threads() == 1
        assert on_threads([mask, mask], 2) == [one, one]
    finally:
        plain(0, allowed)
    assert on_threads([lambda: os.sched_getaffinity(0)], 1) == [allowed]


# ------------------------------------------------------------------------------------ the public verbs

SOME = [
    "jacobian, d = 10",
    "jacobian, 200 000 members",
    "norm, Lanczos, long, d = 100",
    "growth exponents, d = 10",
    "pullback with checkpoints",
]


@POSIX
@COMPILED
@pytest.mark.parametrize(
    "name", [name if name in SOME else pytest.param(name, marks=pytest.mark.slow) for name in CALLS]
)
def test_ctrl_c_stops_a_long_call(name, record_property):
    """In a process of its own, at random moments; a signal that is lost counts as infinite."""
    latency = measure(name, signals=2, cold=False)
    record_property("seconds", latency.worst)
    assert latency.worst < float("inf")


@POSIX
@COMPILED
@pytest.mark.slow
@pytest.mark.parametrize("name", FROM_THE_START)
def test_ctrl_c_in_the_first_moments_of_a_program(name):
    assert measure(name, signals=3, cold=True).worst < float("inf")
