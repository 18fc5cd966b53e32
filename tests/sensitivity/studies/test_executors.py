"""One study, many executors, the same bytes; workers killed and runs killed lose nothing."""

import importlib.util
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from study_rows import cells_in, contents, rows_in

from sensitivity.studies import Study, WorkersLost, verify
from sensitivity.studies.execution import executors
from sensitivity.studies.execution import grid as runner
from sensitivity.studies.execution.executors import open_executor
from sensitivity.studies.storage import job

QUANTITIES = ["norm", "log_norm", "bounds"]
GRID = {
    "scheme": ["leapfrog", "euler"],
    "d": [1, 6],
    "seed": {"first": 0, "count": 6},
    "n_steps": 60,
    "step": {"low": 1e-3, "high": 1.0, "count": 9},
}
# Long enough to be killed in the middle, on any machine.
LONG = {"d": 12, "seed": {"first": 0, "count": 400}, "n_steps": 1500, "step": [0.003, 0.01, 0.1, 0.5]}


def needs(module):
    return pytest.mark.skipif(importlib.util.find_spec(module) is None, reason=f"{module} is not installed")


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    Study(GRID, QUANTITIES).run(folder, ThreadPoolExecutor(1), progress=False)
    return contents(folder)


def child_environment():
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


# ----------------------------------------------------------------------------------------------- same bits


@pytest.mark.parametrize(
    "executor",
    ["threads", "processes", pytest.param("loky", marks=[needs("loky"), pytest.mark.slow])],
)
def test_every_executor_gives_the_same_bytes(executor, tmp_path, reference):
    Study(GRID, QUANTITIES).run(tmp_path, executor, workers=2, progress=False)
    assert contents(tmp_path) == reference


def test_an_executor_of_ones_own_stays_open(tmp_path, reference):
    with ThreadPoolExecutor(3) as pool:
        Study(GRID, QUANTITIES).run(tmp_path, pool, workers=3, progress=False)
        assert pool.submit(abs, -1).result() == 1
    assert contents(tmp_path) == reference


@pytest.mark.slow
@needs("mpi4py")
def test_mpi_gives_the_same_bytes(tmp_path, reference):
    # That of the package mpich, or of the machine.
    launcher = shutil.which(
        "mpiexec", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    )
    assert launcher is not None, "no MPI on this machine (mpiexec); pip install mpich brings one"
    path = tmp_path / "study.toml"
    path.write_text(toml(GRID, QUANTITIES), encoding="utf-8")
    out = tmp_path / "run"
    script = tmp_path / "leapgrad"  # what pip makes of the entry point
    script.write_text(
        "if __name__ == '__main__':\n    from sensitivity.cli import main\n    raise SystemExit(main())"
    )
    command = [launcher, "-n", "3", sys.executable, "-m", "mpi4py.futures", str(script), "sweep"]
    options = [str(path), "--out", str(out), "--executor", "mpi"]
    subprocess.run([*command, *options], check=True, timeout=120, env=child_environment())
    assert contents(out) == reference


@pytest.mark.slow
@needs("ray")
def test_ray_gives_the_same_bytes_also_when_workers_are_killed(long_run, tmp_path):
    study, path, expected = long_run
    script = (
        "import sys\n"
        "from sensitivity.cli import main\n"
        "if __name__ == '__main__':\n"
        "    raise SystemExit(main(['sweep', *sys.argv[1:], '--executor', 'ray', '--workers', '2']))\n"
    )
    program, out = tmp_path / "program.py", tmp_path / "run"
    program.write_text(script, encoding="utf-8")
    command = [sys.executable, str(program), str(path), "--out", str(out)]
    process = subprocess.Popen(command, env=child_environment(), start_new_session=True)
    wait_for(process, out, 3)
    victims: list[str] = []
    while not victims and process.poll() is None:
        victims = [pid for pid in children_of(process.pid) if "compute_apart" in title_of(pid)]
    assert process.poll() is None, "the run was over before a worker could be killed"
    os.kill(int(victims[0]), signal.SIGKILL)
    assert process.wait(180) == 0
    assert contents(out) == expected and cells_in(out) == study.n_cells


def children_of(pid):
    """The processes below one, as Linux tells them."""
    for place in Path("/proc").glob(f"{pid}/task/*/children"):
        for child in place.read_text().split():
            yield child
            yield from children_of(child)


def title_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


class Lost(ThreadPoolExecutor):
    """Breaks down after some tasks, as when a worker is killed."""

    def __init__(self, tasks):
        super().__init__(1)
        self.tasks = tasks

    def submit(self, *call):
        self.tasks -= 1
        if self.tasks >= 0:
            return super().submit(*call)
        future = Future()
        future.set_exception(BrokenExecutor("killed"))
        return future


def test_a_lost_worker_is_said_and_what_was_finished_is_kept(tmp_path, reference, monkeypatch):
    monkeypatch.setattr(runner, "MOST_JOBS", 5)
    study = Study(GRID, QUANTITIES)
    with pytest.raises(WorkersLost, match="finished cells are kept"):
        study.run(tmp_path, Lost(2), workers=1, progress=False)
    report = study.run(tmp_path, progress=False).report
    assert report.computed >= 14 and report.kept + report.computed == 24
    assert contents(tmp_path) == reference


def test_a_worker_of_another_version_is_refused(tmp_path, monkeypatch):
    now = job.version()
    versions = iter([f"0{now}"])  # what is encoded first comes from a worker behind the times
    monkeypatch.setattr(job, "version", lambda: next(versions, now))
    with pytest.raises(WorkersLost, match="not the one asked for"):
        Study({"d": 1, "n_steps": 3}, "log_norm").run(tmp_path, workers=1, progress=False)


def test_an_error_of_a_cell_is_raised_as_it_is(tmp_path):
    class Failing(ThreadPoolExecutor):
        def submit(self, *_):
            return super().submit(int, "eggs")

    with pytest.raises(ValueError, match="eggs"):
        Study(GRID, QUANTITIES).run(tmp_path, Failing(1), progress=False)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "loky", None)
    with pytest.raises(ValueError, match="pip install 'loky'"), open_executor("loky"):
        pass


def test_no_more_is_under_way_than_keeps_the_workers_busy(tmp_path):
    most = 0

    class Counting(ThreadPoolExecutor):
        def submit(self, *call):
            nonlocal most
            most = max(most, self._work_queue.qsize())
            return super().submit(*call)

    study = Study({"d": 1, "n_steps": 2, "seed": {"first": 0, "count": 400}}, "bounds")
    study.run(tmp_path, Counting(2), workers=2, progress=False)
    assert 1 < most <= 2 * (1 + runner.AHEAD)


# -------------------------------------------------------------------------------------------------- kill −9


def toml(grid, quantities):
    def written(value):
        if isinstance(value, dict):
            return "{ " + ", ".join(f"{key} = {item}" for key, item in value.items()) + " }"
        return repr(value).replace("'", '"')

    lines = [f"quantities = {written(quantities)}", "[grid]"]
    return "\n".join(lines + [f"{name} = {written(value)}" for name, value in grid.items()]) + "\n"


@pytest.fixture(scope="module")
def long_run(tmp_path_factory):
    """A study, its file, and what an uninterrupted run leaves."""
    folder = tmp_path_factory.mktemp("long")
    path = folder / "study.toml"
    path.write_text(toml(LONG, ["log_norm", "bounds"]), encoding="utf-8")
    study = Study.from_toml(path)
    study.run(folder / "run", workers=2, progress=False)
    return study, path, contents(folder / "run")


def sweep(path, out):
    """Start `leapgrad sweep` with its workers in a process group of their own."""
    options = ["--out", str(out), "--workers", "2"]
    command = [sys.executable, "-m", "sensitivity.cli", "sweep", str(path), *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen(command, env=child_environment(), start_new_session=True, **quiet)


def wait_for(process, out, cells):
    """Until there are so many cells, or the run is over."""
    deadline = time.monotonic() + 60
    while cells_in(out) < cells and process.poll() is None:
        assert time.monotonic() < deadline, "nothing happens"
        time.sleep(0.001)


def check_kills(long_run, out, kills, rng):
    """Kill sweeps after some more cells and some milliseconds; return how many were killed at work."""
    study, path, expected = long_run
    at_work = 0
    for _ in range(kills):
        done = cells_in(out)
        if done == study.n_cells:
            shutil.rmtree(out)
            done = 0
        process = sweep(path, out)
        wait_for(process, out, done + rng.randint(0, 10))
        time.sleep(rng.uniform(0, 0.05))
        at_work += process.poll() is None
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        # Whatever is there is whole, and none that was finished is gone or was done again.
        there = rows_in(out)
        assert there.items() <= expected.items() and len(there) >= done
    done = cells_in(out)
    report = study.run(out, workers=2, progress=False).report
    assert contents(out) == expected
    assert report.kept == done and not report.set_aside
    assert verify(out, progress=False).ok
    return at_work


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs POSIX process groups")
def test_killed_runs_go_on_where_they_were(long_run, tmp_path):
    assert check_kills(long_run, tmp_path / "run", 2, random.Random(1)) >= 1


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="needs POSIX process groups")
def test_fifty_kills_at_random_moments(long_run, tmp_path):
    assert check_kills(long_run, tmp_path / "run", 50, random.Random(2)) >= 25


@pytest.mark.slow
def test_interrupting_a_sweep_keeps_what_is_finished(long_run, tmp_path):
    study, path, expected = long_run
    process = sweep(path, tmp_path / "run")
    wait_for(process, tmp_path / "run", 3)
    process.send_signal(signal.SIGINT)
    assert process.wait(30) in (130, 0)
    report = study.run(tmp_path / "run", workers=2, progress=False).report
    assert report.kept >= 3 and contents(tmp_path / "run") == expected


# ----------------------------------------------------------------------------------------------------- Dask


@pytest.mark.slow
@needs("distributed")
def test_dask_with_a_worker_killed_in_the_middle_gives_the_same_bytes(long_run, tmp_path):
    from distributed import LocalCluster

    study, _, expected = long_run
    settings = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with LocalCluster(**settings) as cluster:
        address = cluster.scheduler_address.removeprefix("tcp://")
        out = tmp_path / "run"
        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(study.run, out, f"dask://{address}", progress=False)
            while cells_in(out) < 3 and not running.done():
                time.sleep(0.005)
            victim = next(iter(cluster.workers.values())).pid
            assert not running.done(), "the run was over before a worker could be killed"
            os.kill(victim, signal.SIGKILL)
            report = running.result(120).report
    assert report.computed == study.n_cells and contents(out) == expected


# Catches: a study that hangs, or loses or mixes up rows, when the scheduler goes away in the middle.
@pytest.mark.slow
@needs("distributed")
def test_dask_with_a_restarted_scheduler_goes_on(long_run, tmp_path):
    study, path, expected = long_run
    out, port = tmp_path / "run", free_port()
    options = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": child_environment()}

    def started(*words):
        return subprocess.Popen([sys.executable, "-m", "distributed.cli." + words[0], *words[1:]], **quiet)

    address = f"127.0.0.1:{port}"
    worker = ("dask_worker", f"tcp://{address}", "--nthreads", "1", "--no-nanny", "--no-dashboard")
    running = [started("dask_scheduler", *options), started(*worker)]
    try:
        command = [sys.executable, "-m", "sensitivity.cli", "sweep", str(path), "--out", str(out)]
        command += ["--executor", f"dask://{address}"]
        sweep = subprocess.Popen(command, **quiet)
        running.append(sweep)
        wait_for(sweep, out, 3)
        assert sweep.poll() is None, "the run was over before the scheduler could be killed"
        for process in running[:2]:
            process.kill()
            process.wait()
        assert sweep.wait(120) == 1  # said in one sentence; what was finished is kept
        kept = cells_in(out)
        assert 3 <= kept < study.n_cells
        running += [started("dask_scheduler", *options), started(*worker)]
        again = subprocess.run(command, timeout=180, env=child_environment(), capture_output=True, text=True)
        assert again.returncode == 0, again.stderr
        assert contents(out) == expected
    finally:
        for process in running:
            process.kill()
            process.wait()


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@needs("distributed")
def test_no_scheduler_is_said_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(executors, "DASK_SECONDS", 0.5)
    with pytest.raises(OSError, match=r"no Dask scheduler answers at 127\.0\.0\.1:1"):
        Study(GRID).run(tmp_path, "dask://127.0.0.1:1", progress=False)
