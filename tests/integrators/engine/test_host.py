"""What a run leaves behind in its process: processors, BLAS threads, locks, threads at the end."""

import linecache
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest
from conftest import NOJIT
from threadpoolctl import threadpool_info

from integrators.codegen.threads import InterruptLater, on_threads
from integrators.engine.blocks import one_blas_thread

ROOT = Path(__file__).resolve().parents[3]
FORK = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
PROCESSORS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def fresh(script, *arguments, **environment):
    """What a script prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout.split()


# Catches: a library that is loaded on a thread which may use one processor, and counts one for ever.
@pytest.mark.skipif(NOJIT or PROCESSORS == 1, reason="needs compiled kernels and two processors")
@pytest.mark.parametrize(
    "call",
    [
        "jacobian_norm(NeuralField.random(10, rng=0), 'leapfrog', np.logspace(-3, 0, 100), 1000)",
        "jacobian_norm(NeuralField.random(60, rng=0), 'leapfrog', np.logspace(-3, 0, 20), 300)",
        "net = OdeNetwork(4, 30, 0.1, threads=2); "
        "net.gradient(np.zeros(net.n_parameters), np.zeros((30, 1, 512)), np.zeros(512, int))",
        "Study({'d': [2, 3], 'n_steps': 5, 'step': [0.1]}, ['log_norm']).run(sys.argv[1], 'threads')",
    ],
    ids=["blocks", "lanczos", "training", "study"],
)
def test_a_run_takes_no_processor_from_the_rest_of_the_process(call, tmp_path):
    found = fresh(
        f"""
        import os, sys, threading
        import numpy as np
        from threadpoolctl import threadpool_info
        from integrators import NeuralField
        from sensitivity import Study, jacobian_norm
        from sensitivity.training.networks.ode_network import OdeNetwork

        def masks():
            if not hasattr(os, "sched_getaffinity"):
                return []
            found = [os.sched_getaffinity(0)]
            thread = threading.Thread(target=lambda: found.append(os.sched_getaffinity(0)))
            thread.start(); thread.join()
            return found

        def libraries():
            return {{one["filepath"]: one["num_threads"] for one in threadpool_info()}}

        before, allowed = libraries(), masks()
        {call}
        import scipy.linalg
        after = libraries()
        assert masks() == allowed
        assert all(after[name] == threads for name, threads in before.items()), (before, after)
        print(*(one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"))
        """,
        str(tmp_path / "study"),
    )
    assert set(found) == {str(PROCESSORS)}


# ------------------------------------------------------------------------------------------ BLAS threads


class Library:
    """A BLAS library as threadpoolctl shows it."""

    def __init__(self, threads):
        self.num_threads, self.history = threads, []

    def set_num_threads(self, threads):
        self.num_threads = threads
        self.history.append(threads)


@pytest.fixture
def library(monkeypatch):
    made = Library(8)
    known = SimpleNamespace(common=[made], by_thread=[])
    monkeypatch.setattr("integrators.engine.blocks._blas_libraries", lambda: known)
    return made


def test_the_limit_ends_with_its_last_user(library):
    with one_blas_thread():
        with pytest.raises(ZeroDivisionError), one_blas_thread():
            raise ZeroDivisionError
        assert library.num_threads == 1
    assert library.num_threads == 8 and library.history == [1, 8]


# Catches: a limit that one thread sets and another cannot lift, as with threadpoolctl from 3.8 on.
def test_the_limit_is_lifted_by_whatever_thread_leaves_last():
    before = {one["filepath"]: one["num_threads"] for one in threadpool_info()}
    entered, left = threading.Event(), threading.Event()

    def first():
        with one_blas_thread():
            entered.set()
            assert left.wait(60)

    thread = threading.Thread(target=first)
    with ExitStack() as stack:
        thread.start()
        assert entered.wait(60)
        stack.enter_context(one_blas_thread())
        left.set()
        thread.join()
        assert {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"} == {1}
    assert {one["filepath"]: one["num_threads"] for one in threadpool_info()} == before


# Catches: OpenBLAS on OpenMP, whose number belongs to a thread, limited on the first thread alone.
def test_a_library_with_a_number_for_each_thread(monkeypatch):
    local = threading.local()

    class ByThread:
        @property
        def num_threads(self):
            return getattr(local, "threads", 8)

        def set_num_threads(self, threads):
            local.threads = threads

    made = ByThread()
    known = SimpleNamespace(common=[], by_thread=[made])
    monkeypatch.setattr("integrators.engine.blocks._blas_libraries", lambda: known)

    def nested():
        with one_blas_thread(), one_blas_thread():
            inside = made.num_threads
        return inside, made.num_threads

    with one_blas_thread():
        assert on_threads([nested, nested], 2) == [(1, 8), (1, 8)]
        assert made.num_threads == 1
    assert made.num_threads == 8


# Catches: a number that the user chose while we were at work, overwritten when we are done.
def test_a_number_chosen_in_the_meantime_stays(library):
    with one_blas_thread():
        library.set_num_threads(4)
    assert library.num_threads == 4


# Catches: Ctrl-C on the way in or out that leaves one thread to BLAS for the life of the process.
@pytest.mark.parametrize("at", range(30))
def test_ctrl_c_never_leaves_the_limit_behind(library, at):
    left = at

    def tracer(frame, event, argument):
        nonlocal left
        if frame.f_code.co_filename.endswith("blocks.py") and event in ("line", "call", "return"):
            # Python looks at signals where functions begin and return and where loops turn, never between the
            # end of a `with` block and its lock, where a tracer is called too.
            if linecache.getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith("with "):
                return tracer
            left -= 1
            if left == 0:
                sys.settrace(None)
                raise KeyboardInterrupt
        return tracer

    before = sys.gettrace()
    try:
        sys.settrace(tracer)
        with one_blas_thread():
            pass
    except KeyboardInterrupt:
        pass
    finally:
        sys.settrace(before)
    assert library.num_threads == 8
    with one_blas_thread():
        assert library.num_threads == 1
    assert library.num_threads == 8
    with ThreadPoolExecutor(1) as other:  # which finds no lock left behind
        assert other.submit(one_blas_thread._lock.acquire, timeout=60).result()
        other.submit(one_blas_thread._lock.release).result()


# ------------------------------------------------------------------------------------------------- fork


# Catches: a child that waits for a lock of a thread it does not have.
@FORK
@pytest.mark.skipif(NOJIT, reason="needs compiled kernels")
def test_a_fork_while_another_thread_compiles():
    found = fresh(
        """
        import os, signal, threading, time, warnings
        import numpy as np
        from numba import types
        from integrators.codegen import compiled
        from integrators.codegen.compiled import Kernel
        from integrators.codegen.threads import InterruptLater, on_threads

        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12 on: fork with threads
        signature = types.void(types.float64[::1])
        begun = threading.Event()

        def first(values):
            values[0] = 1.0

        def second(values):
            values[0] = 2.0

        def slowly(**options):
            def compile(function):
                begun.set()
                time.sleep(0.5)  # the fork below comes now, or on a busy machine later, with no harm
                return plain(**options)(function)

            return compile

        plain, compiled.njit = compiled.njit, slowly
        thread = threading.Thread(target=lambda: Kernel(first, signature, cached=False).dispatcher)
        thread.start()
        assert begun.wait(60)
        child = os.fork()
        if child == 0:
            signal.alarm(60)
            values = np.zeros(1)
            Kernel(second, signature, cached=False)(values)
            assert on_threads([lambda: 1, lambda: 2], 2) == [1, 2]
            os._exit(0 if values[0] == 2.0 else 1)
        thread.join()
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    )
    assert found == ["0"]


@FORK
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_child_has_all_blas_threads(library):
    with one_blas_thread():
        child = os.fork()
        if child == 0:
            os._exit(library.num_threads)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 8


# ----------------------------------------------------------------------------------- the interpreter's end

HEAD = """
import atexit, threading
import numpy as np
from integrators import NeuralField
from integrators.engine.blocks import run_blocks
from sensitivity import jacobian

def call():
    run_blocks(4, 1, lambda *_: None, total=4, seconds=1.0, label="", threads=2, progress=False)
    jacobian(NeuralField.random(3, rng=0), "leapfrog", 0.1, 5)
    print("done", flush=True)
"""


@pytest.mark.parametrize("before", ["", "call()"], ids=["first call", "second call"])
@pytest.mark.parametrize(
    "start",
    [
        "atexit.register(call)",
        "threading.Thread(target=lambda: (threading.main_thread().join(), call())).start()",
        "thread = threading.Thread(target=call, daemon=True); thread.start(); thread.join()",
    ],
    ids=["atexit", "a thread that outlives the main one", "a daemon thread"],
)
def test_calls_at_the_end_of_the_interpreter(before, start):
    assert fresh(f"{HEAD}\n{before}\n{start}") == ["done"] * (1 + bool(before))


# Catches: a program that waits at its end for a call that was given up.
@pytest.mark.skipif(NOJIT, reason="one way is enough")
def test_the_end_does_not_wait_for_an_abandoned_call():
    found = fresh(
        """
        import threading
        from integrators.codegen.threads import interruptible

        running = threading.Event()

        def for_ever():
            running.set()
            threading.Event().wait()

        def press():
            import os, signal
            running.wait()
            signal.raise_signal(signal.SIGINT) if os.name == "nt" else os.kill(os.getpid(), signal.SIGINT)

        import signal
        signal.signal(signal.SIGINT, signal.default_int_handler)
        threading.Thread(target=press, daemon=True).start()
        try:
            interruptible(for_ever)
        except KeyboardInterrupt:
            print("interrupted")
        """
    )
    assert found == ["interrupted"]


def test_workers_are_daemons():
    assert on_threads([lambda: threading.current_thread().daemon], 1) == [True]


# Catches: a compilation that waits for ever in a subinterpreter, where NumPy and Numba do not work.
def test_a_subinterpreter_is_refused_in_one_sentence():
    found = fresh(
        """
        try:
            import _interpreters as interpreters
        except ImportError:
            import _xxsubinterpreters as interpreters
        import integrators.main_interpreter  # the main one may

        number = interpreters.create()
        script = "import sys; sys.path.insert(0, {!r})\\nimport integrators"
        import sys
        try:
            failed = interpreters.run_string(number, script.format(sys.argv[1]))
            failed = getattr(failed, "formatted", failed)
        except Exception as error:
            failed = error
        assert "leapgrad runs in the main interpreter" in str(failed), failed
        """,
        str(ROOT),
    )
    assert found == []


# Catches: a handler of C code (an embedding program's) that is replaced, or that ends the call.
def test_a_handler_that_is_not_python_s_stays(monkeypatch):
    monkeypatch.setattr("signal.getsignal", lambda number: None)
    with InterruptLater() as _:
        pass
    assert on_threads([lambda: 1], 1) == [1]
