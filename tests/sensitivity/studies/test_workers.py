"""Runs that end too early, workers that die, cells that fail: nothing finished is lost, nothing runs on."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest
from study_rows import cells_in, contents

from sensitivity.cli import main
from sensitivity.studies import Study, WorkersLost, quantities, verify
from sensitivity.studies.execution import executors
from sensitivity.studies.execution import grid as runner
from sensitivity.studies.execution.workers import ThreadWorker, WorkerDied

POSIX = pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
# Each of these cells takes minutes, beside some that take milliseconds.
LONG = (
    'quantities = ["norm"]\n[grid]\nd = 40\nseed = [0, 1, 2]\nn_steps = [5, 30000000]\nstep = [0.01, 0.02]\n'
)
GRID = {"d": [1, 2, 3], "seed": [0, 1], "n_steps": 8, "step": [0.01, 0.1]}
# Ctrl-C is answered in some tenths of a second; these limits allow for a busy machine.
PATIENCE, DEADLINE = 8.0, 60.0


def wait_until(condition, seconds=DEADLINE):
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "nothing happens"
        time.sleep(0.02)


def start(command, **options):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, start_new_session=True, **pipes, **options)


def sweep(tmp_path, executor):
    """A sweep whose short cells are done and whose long ones have begun."""
    (tmp_path / "study.toml").write_text(LONG)
    command = [sys.executable, "-m", "sensitivity.cli", "sweep", str(tmp_path / "study.toml")]
    out = tmp_path / "run"
    process = start([*command, "--out", str(out), "--executor", executor, "--workers", "2"])
    wait_until(lambda: cells_in(out) >= 1 or process.poll() is not None)
    time.sleep(0.5)
    assert process.poll() is None, process.communicate()
    return process, out


def alive_in_group(process):
    """Processes of the sweep that still run; a process that nobody has waited for does not."""
    try:
        found = subprocess.run(["ps", "-eo", "pgid=,stat=,args="], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("needs ps")
    rows = [line.split(None, 2) for line in found.stdout.splitlines()]
    return [row for row in rows if row[0] == str(process.pid) and not row[1].startswith("Z")]


@POSIX
@pytest.mark.parametrize("end", ["SIGINT", "SIGTERM", "SIGHUP"])
@pytest.mark.parametrize("executor", ["threads", "processes"])
def test_a_sweep_of_long_cells_ends_at_once_and_keeps_what_is_finished(tmp_path, executor, end):
    process, out = sweep(tmp_path, executor)
    if end == "SIGINT":
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    else:
        process.send_signal(getattr(signal, end))
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    stored = cells_in(out)
    assert f"interrupted; cells computed and stored: {stored}; the same command goes on" in err
    assert err.count("\n") == 1 and stored >= 1
    wait_until(lambda: not alive_in_group(process), PATIENCE)
    found = verify(out, progress=False)
    assert found.sound == stored and not found.damaged
    assert {path.name for path in out.iterdir()} == {".lock", "study.sqlite"}


@POSIX
def test_workers_end_with_a_run_that_is_killed(tmp_path):
    process, _ = sweep(tmp_path, "processes")
    assert len(alive_in_group(process)) >= 3
    process.kill()
    process.communicate(timeout=PATIENCE)  # returns when nobody holds the pipes any more
    wait_until(lambda: not alive_in_group(process), PATIENCE)


GUARDED = """
import os, signal, sys, threading, time
from sensitivity.studies import Study

def shoot():
    import subprocess
    found = []
    while not found:
        time.sleep(0.05)
        rows = subprocess.run(["ps", "-eo", "ppid=,pid=,args="], capture_output=True, text=True).stdout
        rows = [row.split(None, 2) for row in rows.splitlines()]
        found = [int(row[1]) for row in rows if int(row[0]) == os.getpid() and WORKER in row[2]]
        found = found if len([p for p in os.scandir(sys.argv[1]) if p.name == "study.sqlite"]) else []
    os.kill(found[0], signal.SIGKILL)
    print("shot", flush=True)

if __name__ == "__main__":
    threading.Thread(target=shoot, daemon=True).start()
    os.makedirs(sys.argv[1], exist_ok=True)
    grid = {"d": 20, "seed": range(40), "n_steps": 4000, "step": [0.01, 0.1]}
    report = Study(grid, "norm").run(sys.argv[1], EXECUTOR, workers=2, progress=False).report
    print(report.computed, len(report.failed))
"""


@POSIX
@pytest.mark.parametrize(
    ("executor", "worker"), [("processes", "multiprocessing.spawn"), ("loky", "loky.backend.popen_loky")]
)
def test_a_worker_that_is_killed_is_replaced(tmp_path, executor, worker):
    if executor == "loky":
        pytest.importorskip("loky")
    script = tmp_path / "script.py"
    script.write_text(GUARDED.replace("EXECUTOR", repr(executor)).replace("WORKER", repr(worker)))
    process = start([sys.executable, str(script), str(tmp_path / "run")])
    out, err = process.communicate(timeout=DEADLINE)
    assert out.split() == ["shot", "40", "0"], (out, err)
    wait_until(lambda: not alive_in_group(process), PATIENCE)


UNGUARDED = """
import sys
from sensitivity.studies import Study
Study({"d": 2, "n_steps": 5}, "norm").run(sys.argv[1], EXECUTOR, workers=2, progress=False)
"""


def test_a_script_without_main_guard_is_told_so(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(UNGUARDED.replace("EXECUTOR", "'processes'"))
    process = start([sys.executable, str(script), str(tmp_path / "run")])
    _, err = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    last = err.strip().splitlines()[-1]
    assert 'put the call under `if __name__ == "__main__":`' in last and "memory" not in last
    assert err.count("Traceback") == 1


def test_a_pool_of_ones_own_that_breaks_at_once_names_the_guard_too(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "from concurrent.futures import ProcessPoolExecutor\nfrom multiprocessing import get_context\n"
        + UNGUARDED.replace("EXECUTOR", "ProcessPoolExecutor(1, get_context('spawn'))")
    )
    process = start([sys.executable, str(script), str(tmp_path / "run")])
    _, err = process.communicate(timeout=DEADLINE)
    assert '`if __name__ == "__main__":`' in err.strip().splitlines()[-1]


# ----------------------------------------------------------------------------------------- cells that fail


@pytest.fixture
def failing(monkeypatch):
    """The norm of d = 2 cannot be computed."""

    def compute(case):
        if case.model.dim == 2:
            raise ZeroDivisionError("no norm\nhere")
        return quantities._norm(case)

    row = replace(quantities.QUANTITIES["norm"], compute=compute)
    monkeypatch.setitem(quantities.QUANTITIES, "norm", row)


def test_a_cell_that_fails_is_named_and_its_neighbours_are_stored(tmp_path, failing, monkeypatch):
    study = Study(GRID, "norm")
    with pytest.warns(RuntimeWarning, match="2 of 6 cells failed, the first is neural"):
        report = study.run(tmp_path, progress=False).report
    assert report.computed == 4 and cells_in(tmp_path) == 4
    assert len(report.failed) == 2 and "2 failed" in str(report)
    for cell, reason in report.failed:
        assert "d=2" in cell and reason == "ZeroDivisionError: no norm here"
    monkeypatch.undo()
    report = study.run(tmp_path, progress=False).report
    assert (report.kept, report.computed, report.failed) == (4, 2, [])


@pytest.mark.filterwarnings("default")
def test_on_the_command_line_failures_end_with_status_one(tmp_path, failing, capsys):
    path = tmp_path / "study.toml"
    path.write_text('quantities = ["norm"]\n[grid]\nd = [1, 2]\nn_steps = 8\n')
    table = tmp_path / "table.csv"
    assert main(["sweep", str(path), "--out", str(tmp_path / "run"), "--csv", str(table)]) == 1
    out, err = capsys.readouterr()
    assert "failed: neural(" in out and "no norm here" in out and "not written" in out
    assert "warning: 1 of 2 cells failed" in err and not table.exists()
    assert main(["sweep", str(path), "--out", str(tmp_path / "run"), "--json"]) == 1
    assert '"reason": "ZeroDivisionError: no norm here"' in capsys.readouterr().out


def test_too_little_memory_for_one_cell_is_its_failure(tmp_path, monkeypatch):
    def compute(case):
        if case.model.dim == 3:
            raise MemoryError("Unable to allocate 3 TiB")
        return quantities._norm(case)

    monkeypatch.setitem(
        quantities.QUANTITIES, "norm", replace(quantities.QUANTITIES["norm"], compute=compute)
    )
    with pytest.warns(RuntimeWarning, match="2 of 6 cells failed"):
        report = Study(GRID, "norm").run(tmp_path, progress=False).report
    assert report.failed[0][1] == "not enough memory (Unable to allocate 3 TiB)"


class Mortal(ThreadWorker):
    """Dies of every cell with d = 2, or of the first one only."""

    always = True
    deaths = 0

    def compute(self, cells):
        for place, cell in enumerate(cells):
            if cell.parameters["d"] == 2 and (self.always or not Mortal.deaths):
                Mortal.deaths += 1
                raise WorkerDied(super().compute(cells[:place]), "it was killed by SIGKILL")
        return super().compute(cells)


@pytest.mark.parametrize("always", [True, False])
@pytest.mark.parametrize("workers", [1, 3])
def test_a_cell_that_kills_its_worker_twice_is_a_failure(tmp_path, monkeypatch, always, workers):
    monkeypatch.setattr(Mortal, "always", always)
    monkeypatch.setattr(Mortal, "deaths", 0)
    monkeypatch.setitem(executors.EXECUTORS, "threads", partial(executors._own_workers, Mortal, False))
    monkeypatch.setattr(runner, "TASK_SECONDS", 100.0)  # several cells in a portion
    study = Study({**GRID, "seed": range(7)}, "norm")
    if always:
        with pytest.warns(RuntimeWarning, match="7 of 21 cells failed"):
            report = study.run(tmp_path, workers=workers, progress=False).report
        assert all("d=2" in cell and "killed by SIGKILL" in reason for cell, reason in report.failed)
        assert Mortal.deaths == 14
    else:
        report = study.run(tmp_path, workers=workers, progress=False).report
    assert report.computed == (14 if always else 21)
    assert cells_in(tmp_path) == report.computed


def test_an_interrupted_thread_hands_over_the_cells_it_has_finished(tmp_path, monkeypatch):
    """Ctrl-C in the middle of a portion: its first cells are stored."""
    begun = threading.Event()

    def compute(case):
        if case.model.dim == 3:
            begun.set()
            time.sleep(0.2)
        return quantities._norm(case)

    monkeypatch.setitem(
        quantities.QUANTITIES, "norm", replace(quantities.QUANTITIES["norm"], compute=compute)
    )
    monkeypatch.setattr(runner, "TASK_SECONDS", 100.0)
    monkeypatch.setattr(runner, "PATIENCE", PATIENCE)

    def shoot():
        assert begun.wait(DEADLINE)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=shoot, daemon=True).start()
    grid = {**GRID, "d": [1, 2, 3, 4], "seed": [0, 1]}
    with pytest.raises(KeyboardInterrupt, match="cells computed and stored"):
        Study(grid, "norm").run(tmp_path, workers=1, progress=False)
    assert 4 <= cells_in(tmp_path) < 8


def test_verify_goes_on_after_a_cell_that_cannot_be_computed_again(tmp_path, monkeypatch):
    study = Study(GRID, "norm")
    study.run(tmp_path, progress=False)

    def compute(case):
        raise ZeroDivisionError("no norm")

    def violations(case, arrays):
        if case.model.dim == 2:
            raise ZeroDivisionError("no bound")
        yield from ()

    row = replace(quantities.QUANTITIES["norm"], compute=compute, violations=violations)
    monkeypatch.setitem(quantities.QUANTITIES, "norm", row)
    found = verify(tmp_path, recompute=6, progress=False)
    assert not found.ok and len(found.changed) == 6 and len(found.violations) == 2
    assert "its bounds cannot be computed: no bound" in found.violations[0][1]


# Catches: a warning for every worker, and results that depend on who computes them.
def test_processes_give_the_bytes_of_threads(tmp_path, capfd):
    grid = {"d": 2, "activation": "relu", "y0": 1.0, "n_steps": 400, "step": [0.01, 1e100], "seed": [0, 1, 2]}
    study = Study(grid, ["log_norm", "bounds"])
    for executor in ("threads", "processes"):
        assert study.run(tmp_path / executor, executor, workers=2, progress=False).report.lost_lanes == 3
    assert contents(tmp_path / "threads") == contents(tmp_path / "processes") and capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("executor", "workers", "fragment"),
    [
        ("proceses", 1, "Did you mean 'processes'?"),
        ("", 1, "executor '' is not known"),
        (5, 1, "executor '5' is not known"),
        (["threads"], 1, "is not known"),
        (None, 1, "is not known"),
        ("threads", 0, "workers must be at least 1"),
        ("threads", -1, "workers must be at least 1"),
        ("threads", 10**9, "workers must be at most 10000"),
        ("threads", 1.5, "workers must be a whole number"),
        ("threads", True, "workers must be a whole number"),
    ],
)
def test_a_wrong_executor_is_one_sentence(tmp_path, executor, workers, fragment):
    with pytest.raises((ValueError, TypeError)) as caught:
        Study(GRID, "norm").run(tmp_path / "run", executor, workers=workers, progress=False)
    assert fragment in str(caught.value) and not (tmp_path / "run").exists()


def test_an_executor_that_was_shut_down_is_said(tmp_path):
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(WorkersLost, match="shutdown"):
        Study(GRID, "norm").run(tmp_path, pool, workers=1, progress=False)
