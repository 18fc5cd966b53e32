"""The folder of a study in odd hands: locks that are links or pipes, strange cells, other studies."""

import errno
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from sensitivity.cli import main
from sensitivity.studies import Study, open_results, verify
from sensitivity.studies.storage import lock as locks
from sensitivity.studies.storage.job import canonical, version
from sensitivity.studies.storage.store import Store

GRID = {"d": [1, 2], "seed": [0, 1], "n_steps": 8, "step": [0.01, 0.1]}
POSIX = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX files")


def small(quantities=("log_norm", "bounds"), **changes):
    return Study({**GRID, **changes}, quantities)


@pytest.fixture
def folder(tmp_path):
    small().run(tmp_path / "run", progress=False)
    return tmp_path / "run"


def cells_of(folder):
    return {path.name: path.read_bytes() for path in (folder / "cells").rglob("*.cell")}


# --------------------------------------------------------------------------------------------------- lock


@pytest.fixture(params=["no module", "no locks here"])
def no_flock(request, monkeypatch):
    """A system without fcntl, as Windows, and a file system without locks."""
    if request.param == "no module":
        for name in ("fcntl", "msvcrt"):
            monkeypatch.setitem(sys.modules, name, None)
        return
    fcntl = pytest.importorskip("fcntl")

    def flock(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", flock)


HOLD = (
    "import sys\n"
    "for name in ('fcntl', 'msvcrt'): sys.modules[name] = None\n"
    "from pathlib import Path\n"
    "from sensitivity.studies.storage.lock import only_run\n"
    "with only_run(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
)


def holding(folder):
    """Another process that has the folder until its standard input is closed."""
    other = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert other.stdout.readline() == "in\n"
    return other


def test_without_locks_of_the_system_two_runs_do_not_collide(folder, no_flock):
    with holding(folder) as other:
        with pytest.raises(OSError, match="another run is writing") as caught:
            small().run(folder, progress=False)
        assert f"process {other.pid}" in str(caught.value)
        other.stdin.close()
    assert small().run(folder, progress=False).report.kept == 4
    with Store(folder).writing(), pytest.raises(OSError, match="another run"), Store(folder).writing():
        pass
    assert not (folder / locks.OWNER).exists()


def test_what_a_killed_run_left_does_not_lock_the_folder(folder, no_flock):
    with holding(folder) as other:
        other.kill()
    assert (folder / locks.OWNER).exists()
    assert small().run(folder, progress=False).report.kept == 4


@pytest.mark.parametrize(
    "change",
    [{"place": ["elsewhere", "", ""]}, {"process": 1, "began": ""}, {"process": "x"}],
    ids=["another machine", "another process of that number", "damaged"],
)
def test_an_owner_that_may_be_at_work_is_respected(folder, no_flock, change):
    owner = {**locks._myself(), "process": os.getppid(), "began": locks._began(os.getppid()), **change}
    (folder / locks.OWNER).write_text(json.dumps(owner), encoding="utf-8")
    if change.get("process") == 1:  # it has the number of a process that runs, but began at another time
        small().run(folder, progress=False)
        return
    with pytest.raises(OSError, match=r"another run .* remove .*\.owner"):
        small().run(folder, progress=False)


@POSIX
def test_a_lock_that_is_a_link_leaves_its_target_alone(folder, tmp_path):
    (tmp_path / "precious").write_text("data")
    (folder / ".lock").unlink()
    (folder / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="the lock of this folder is no regular file; remove it"):
        small().run(folder, progress=False)
    assert (tmp_path / "precious").read_text() == "data"
    (folder / ".lock").unlink()
    os.link(tmp_path / "precious", folder / ".lock")
    small().run(folder, progress=False)
    assert (tmp_path / "precious").read_text() == "data"
    (tmp_path / "new" / "run").mkdir(parents=True)
    (tmp_path / "new" / "run" / ".lock").symlink_to(tmp_path / "made")
    with pytest.raises(OSError, match="no regular file"):
        small().run(tmp_path / "new" / "run", progress=False)
    assert not (tmp_path / "made").exists()


@POSIX
@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
def test_a_lock_that_is_a_pipe_or_a_folder_is_refused(folder, make):
    (folder / ".lock").unlink()
    make(folder / ".lock")
    with pytest.raises(OSError, match="no regular file"):
        small().run(folder, progress=False)


# ------------------------------------------------------------------------------------------- strange files


def with_header(cell, header, numbers=b""):
    """A file whose checksum is right, whatever its second line says."""
    text = header if isinstance(header, bytes) else canonical(header).encode()
    body = text + b"\n" + numbers
    return f"leapgrad-cell {len(body)} {hashlib.sha256(body).hexdigest()}\n".encode() + body


def odd_headers(cell):
    good = {
        "arrays": [["log_norm", [2]], ["log_bound", [2]], ["least_singular_value", [2]]],
        "description": cell.description,
        "version": version(),
    }

    def arrays(*entries):
        return {**good, "arrays": list(entries)}

    return {
        "no JSON": b"hello",
        "no text": b"\xff\xfe\x00",
        "nothing": b"",
        "deep": b"[" * 100_000,
        "a list": [good],
        "a number": 3,
        "no version": {key: good[key] for key in ("arrays", "description")},
        "one key more": {**good, "code": "x"},
        "a version of numbers": {**good, "version": 1},
        "a description of null": {**good, "description": None},
        "arrays of null": {**good, "arrays": None},
        "arrays of words": arrays("log_norm"),
        "a shape of words": arrays(["log_norm", ["2"]]),
        "a shape of true": arrays(["log_norm", [True]]),
        "a negative shape": arrays(["log_norm", [-6]], ["log_bound", [-1]]),
        "a huge shape": arrays(["log_norm", [10**15]]),
        "a product of huge": arrays(["log_norm", [10**9] * 6]),
        "many dimensions": arrays(["log_norm", [1] * 70]),
        "a name twice": arrays(["log_norm", [3]], ["log_norm", [3]]),
        "another name": arrays(["norm", [2]], ["log_bound", [2]], ["least_singular_value", [2]]),
        "one too few": arrays(["log_norm", [2]], ["log_bound", [4]]),
        "none": arrays(),
        "other members": arrays(["log_norm", [1]], ["log_bound", [1]], ["least_singular_value", [4]]),
        "a scalar": arrays(["log_norm", []], ["log_bound", [1]], ["least_singular_value", [4]]),
        "a matrix": arrays(["log_norm", [2, 1]], ["log_bound", [2]], ["least_singular_value", [2]]),
        "numbers left over": arrays(["log_norm", [1]], ["log_bound", [1]], ["least_singular_value", [1]]),
    }


@pytest.mark.parametrize("kind", odd_headers(next(small().cells())))
def test_a_cell_with_an_odd_header_is_named_and_computed_again(folder, kind, capsys):
    before = cells_of(folder)
    cell = next(small().cells())
    path = Store(folder).path(cell.address)
    path.write_bytes(with_header(cell, odd_headers(cell)[kind], np.zeros(6).tobytes()))
    (damaged,) = verify(folder, progress=False).damaged
    assert damaged[0].endswith(path.name) and damaged[1].startswith("corrupt")
    with pytest.raises(ValueError, match=path.name):
        open_results(folder).read(cell)
    assert main(["verify", str(folder)]) == 1
    assert path.name in capsys.readouterr().out
    report = small().run(folder, progress=False).report
    assert (report.kept, report.computed, len(report.set_aside)) == (3, 1, 1)
    assert cells_of(folder) == before


HEADS = {
    "thousands of digits": b"leapgrad-cell " + b"9" * 5000 + b" 0\n",
    "one endless line": b"leapgrad-cell " + b"x" * 10_000,
    "other digits": "leapgrad-cell ²² 0\n".encode(),
    "far too large": b"leapgrad-cell 3 0\n" + bytes(1 << 20),
}


@pytest.mark.parametrize("kind", HEADS)
def test_a_cell_with_an_odd_first_line_is_computed_again(folder, kind):
    path = Store(folder).path(next(small().cells()).address)
    path.write_bytes(HEADS[kind])
    assert len(verify(folder, progress=False).damaged) == 1
    assert small().run(folder, progress=False).report.computed == 1


@POSIX
@pytest.mark.parametrize("make", ["pipe", "folder", "loop", "file for its folder", "device"])
def test_something_else_in_the_place_of_a_cell_is_set_aside(folder, make):
    before = cells_of(folder)
    path = Store(folder).path(next(small().cells()).address)
    content = path.read_bytes()
    path.unlink()
    if make == "pipe":
        os.mkfifo(path)
    elif make == "folder":
        (path / "inside").mkdir(parents=True)
    elif make == "loop":
        path.symlink_to(path.name)
    elif make == "device":
        path.symlink_to("/dev/zero")
    else:
        path.parent.rmdir()
        path.parent.write_bytes(content)
    assert len(verify(folder, progress=False).damaged) == 1
    report = small().run(folder, progress=False).report
    assert report.computed == 1 and len(report.set_aside) == 1
    assert cells_of(folder) == before


@POSIX
@pytest.mark.parametrize("name", ["unfinished", "cells", "set-aside"])
@pytest.mark.parametrize("kind", ["file", "pipe", "link"])
def test_what_is_in_the_way_of_the_stores_folders_is_named(tmp_path, name, kind):
    place = tmp_path / "run" / name
    place.parent.mkdir()
    if kind == "file":
        place.write_text("mine")
    elif kind == "pipe":
        os.mkfifo(place)
    else:
        place.symlink_to("nowhere")
    with pytest.raises(OSError, match="in the way") as caught:
        small().run(tmp_path / "run", progress=False)
    assert caught.value.filename == str(place) and os.path.lexists(place)


@POSIX
def test_a_description_that_is_a_pipe_is_not_waited_for(folder):
    (folder / "study.json").unlink()
    os.mkfifo(folder / "study.json")
    with pytest.raises(OSError, match="no regular file"):
        verify(folder)


@pytest.mark.parametrize(
    "text",
    ["", "[" * 100_000, "3", "[]", "{}", '{"study": 3}', '{"study": {"grid": {"d": [1e400]}}}', "\x00\x00"],
)
def test_an_odd_description_is_named(folder, text):
    (folder / "study.json").write_text(text)
    with pytest.raises(ValueError, match=r"study\.json is damaged \(.+\)"):
        verify(folder)
    assert small().run(folder, progress=False).report.kept == 4


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs resource limits")
def test_a_full_disk_names_the_cell_and_leaves_no_half_of_it(tmp_path):
    script = (
        "import resource, sys\n"
        "from sensitivity.studies import Study\n"
        "study = Study({'d': 1, 'n_steps': 2000, 'seed': [0, 1]}, 'profile')\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "study.run(sys.argv[1], progress=False)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "run")], capture_output=True, text=True, timeout=100
    )
    last = done.stderr.strip().splitlines()[-1]
    assert "File too large while a cell was written" in last and ".cell" in last
    assert not cells_of(tmp_path / "run")


def test_a_study_that_was_moved_goes_on(folder, tmp_path):
    place = tmp_path / "ein Ordner mit Ümläuten 研究"
    folder.rename(place)
    assert small().run(place, progress=False).report.kept == 4
    assert verify(place, progress=False).ok


# ------------------------------------------------------------------------------------------- another study


def test_growing_or_shrinking_a_study_stays_in_its_folder(folder):
    for study in (
        small(seed=[0, 1, 2]),
        small(d=[1, 2, 3], seed=[0, 1, 2]),
        small(),
        small(seed=0, d=[1, 2]),
    ):
        study.run(folder, progress=False)
        assert open_results(folder).study == study
    named = Study(small().to_dict()["grid"], ["log_norm", "bounds"], name="renamed")
    assert named.run(folder, progress=False).report.kept == 4


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (small(seed=[2, 3]), "its seed is 0, 1, not 2, 3"),
        (small("norm"), "its quantities are log_norm, bounds, not norm"),
        (small(n_steps=9), "its n_steps is 8, not 9"),
        (small(seed=[0, 1, 2], d=1), "its d is 1, 2, not 1; its seed is 0, 1, not 0, 1, 2"),
        (small(gamma=0.5), "its gamma is none, not 0.5"),
        (
            Study({"model": "pendulum", "n_steps": 8}, ["log_norm", "bounds"]),
            "its model is neural, not pendulum",
        ),
    ],
)
def test_another_study_does_not_take_over_a_folder(folder, other, said):
    before = (folder / "study.json").read_bytes()
    with pytest.raises(ValueError, match="holds another study, 'study': ") as caught:
        other.run(folder, progress=False)
    assert said in str(caught.value)
    assert (folder / "study.json").read_bytes() == before and len(cells_of(folder)) == 4


def test_on_the_command_line_another_study_is_one_line(folder, tmp_path, capsys):
    path = tmp_path / "other.toml"
    path.write_text('quantities = ["norm"]\n[grid]\nd = 5\n', encoding="utf-8")
    assert main(["sweep", str(path), "--out", str(folder)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "holds another study" in err
