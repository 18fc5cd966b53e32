"""The folder of a study in odd hands: locks that are links or pipes, strange rows, damaged databases."""

import errno
import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from study_rows import change, connected, contents, put, rows_in

from sensitivity.cli import main
from sensitivity.studies import Study, open_results, verify
from sensitivity.studies.storage import database
from sensitivity.studies.storage import lock as locks
from sensitivity.studies.storage import store as stores
from sensitivity.studies.storage.job import Row, checksum_of, version
from sensitivity.studies.storage.store import Store

GRID = {"d": [1, 2], "seed": [0, 1], "n_steps": 8, "step": [0.01, 0.1]}
POSIX = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs POSIX files")


def small(quantities=("log_norm", "bounds"), **changes):
    return Study({**GRID, **changes}, quantities)


@pytest.fixture
def folder(tmp_path):
    small().run(tmp_path / "run", progress=False)
    return tmp_path / "run"


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


# -------------------------------------------------------------------------------------------- strange rows


def odd_rows(cell):
    numbers, now = np.zeros(6).tobytes(), version()

    def row(version=now, numbers=numbers):
        return Row(version, numbers, checksum_of(cell.digest, version, numbers))

    return {
        "no checksum": (now, numbers, None),
        "another checksum": (now, numbers, bytes(16)),
        "a longer checksum": (now, numbers, row().checksum + b"x"),
        "a checksum in words": (now, numbers, row().checksum.hex()),
        "no numbers": (now, None, row().checksum),
        "numbers in words": (now, "1.5", row().checksum),
        "a number": (now, 3, row().checksum),
        "no version": (None, numbers, row().checksum),
        "a version of numbers": (1, numbers, row().checksum),
        "one number too few": row(numbers=numbers[:-8]),
        "one number too many": row(numbers=numbers + bytes(8)),
        "half a number": row(numbers=numbers[:-3]),
        "far too many": row(numbers=bytes(1 << 20)),
        "another version": row(version="0/0"),
    }


@pytest.mark.parametrize("kind", odd_rows(next(small().cells())))
def test_an_odd_row_is_named_and_computed_again(folder, kind, capsys):
    before = contents(folder)
    cell = next(small().cells())
    put(folder, cell, odd_rows(cell)[kind])
    (damaged,) = verify(folder, progress=False).damaged
    assert damaged[0] == f"cells/{cell.address}"
    assert damaged[1].startswith(("corrupt", "truncated", "other version"))
    with pytest.raises(ValueError, match=cell.address):
        open_results(folder).read(cell)
    assert main(["verify", str(folder)]) == 1
    assert cell.address in capsys.readouterr().out
    report = small().run(folder, progress=False).report
    assert (report.kept, report.computed, len(report.set_aside)) == (3, 1, 1)
    assert contents(folder) == before


@pytest.mark.parametrize("address", [b"", b"short", "words", 7])
def test_a_row_without_a_cell_is_strange_and_does_no_harm(folder, address):
    with connected(folder) as connection:
        connection.execute("INSERT INTO cells VALUES (?, ?, ?, ?)", (address, version(), b"", b""))
    found = verify(folder, progress=False)
    assert found.ok and len(found.strange) == 1
    assert small().run(folder, progress=False).report.kept == 4


def test_a_row_that_changed_its_address_is_missed_and_strange(folder):
    before, (cell, *_) = contents(folder), small().cells()
    change(folder, cell, address=bytes(32))
    found = verify(folder, progress=False)
    assert found.missing == [f"cells/{cell.address}"] and found.strange == [f"cells/{bytes(32).hex()}"]
    assert small().run(folder, progress=False).report.computed == 1
    assert contents(folder).items() >= before.items()


# --------------------------------------------------------------------------------------- damaged databases


@POSIX
@pytest.mark.parametrize("kind", ["pipe", "folder", "link to nowhere", "loop", "device"])
def test_what_is_in_the_way_of_the_database_is_named(tmp_path, kind):
    place = tmp_path / "run" / "study.sqlite"
    place.parent.mkdir()
    if kind == "pipe":
        os.mkfifo(place)
    elif kind == "folder":
        (place / "inside").mkdir(parents=True)
    else:
        place.symlink_to({"loop": place.name, "device": "/dev/zero"}.get(kind, "nowhere"))
    for call in (lambda: small().run(tmp_path / "run", progress=False), lambda: verify(tmp_path / "run")):
        with pytest.raises(OSError, match="in the way") as caught:
            call()
        assert caught.value.filename == str(place) and os.path.lexists(place)


@POSIX
def test_a_link_to_the_database_is_followed(folder, tmp_path):
    shutil.move(folder / "study.sqlite", tmp_path / "elsewhere")
    (folder / "study.sqlite").symlink_to(tmp_path / "elsewhere")
    assert small().run(folder, progress=False).report.kept == 4 and verify(folder, progress=False).ok


def test_the_database_of_another_program_is_left_alone(tmp_path):
    with connected(tmp_path) as connection:
        connection.execute("CREATE TABLE mine (a)")
    before = (tmp_path / "study.sqlite").read_bytes()
    for call in (lambda: small().run(tmp_path, progress=False), lambda: open_results(tmp_path)):
        with pytest.raises(ValueError, match=r"a database of another program \(tables mine\)"):
            call()
    assert (tmp_path / "study.sqlite").read_bytes() == before


def test_a_database_of_a_later_version_is_left_alone(folder):
    with connected(folder) as connection:
        connection.execute("PRAGMA user_version=7")
    with pytest.raises(ValueError, match="format 7"):
        small().run(folder, progress=False)
    with pytest.raises(ValueError, match="format 7"):
        verify(folder)


@pytest.fixture(scope="module")
def larger(tmp_path_factory):
    """A study whose database has some tens of pages."""
    folder = tmp_path_factory.mktemp("larger")
    study = Study({"d": 1, "n_steps": 2, "seed": range(600), "step": [0.01, 0.1, 0.2]}, "bounds")
    study.run(folder, progress=False)
    return study, folder, contents(folder)


def spoilt(content, kind, rng):
    size = len(content)
    if kind == "a bit":
        content[rng.randrange(size)] ^= 1 << rng.randrange(8)
    elif kind == "a page":
        start = 4096 * rng.randrange(size // 4096)
        content[start : start + 4096] = rng.randbytes(4096)
    elif kind == "zeros":
        start = 512 * rng.randrange(size // 512)
        content[start : start + 512] = bytes(512)
    elif kind == "two pages changed places":
        a, b = (4096 * n for n in rng.sample(range(size // 4096), 2))
        content[a : a + 4096], content[b : b + 4096] = content[b : b + 4096], content[a : a + 4096]
    elif kind == "truncated":
        del content[rng.randrange(1, size) :]
    else:
        content[:4096] = rng.randbytes(4096)
    return content


KINDS = ("a bit", "a page", "zeros", "two pages changed places", "truncated", "the first page")


# Catches: numbers that are read from damaged pages, and damage that ends a run instead of being mended.
@pytest.mark.parametrize("seed", range(10))
def test_whatever_is_damaged_in_the_file_nothing_wrong_is_accepted(larger, tmp_path, seed):
    study, source, before = larger
    kind, rng = KINDS[seed % len(KINDS)], random.Random(seed)
    check_damage(study, shutil.copytree(source, tmp_path / "run"), before, kind, rng)


def check_damage(study, folder, before, kind, rng):
    """Spoil a copy of a study; it is told as damaged, or every number in it is the right one."""
    path = folder / "study.sqlite"
    path.write_bytes(spoilt(bytearray(path.read_bytes()), kind, rng))
    try:
        found = verify(folder, progress=False)
        sound = found.ok
        assert sound or found.damaged or found.missing or found.violations
    except (ValueError, OSError) as error:
        assert "damaged" in str(error) or "study.sqlite" in str(error), error
        sound = False
    if sound:  # it was a byte that nothing depends on
        assert {key: row for key, row in rows_in(folder).items() if key in before}.items() <= before.items()
    report = study.run(folder, progress=False).report
    assert report.kept + report.computed == report.cells == study.n_cells
    after = contents(folder)
    assert {key: after[key] for key in before} == before and verify(folder, progress=False).ok
    return sound, report


@pytest.mark.slow
def test_fifty_damaged_databases(larger, tmp_path):
    study, source, before = larger
    for number in range(50):
        folder = shutil.copytree(source, tmp_path / str(number))
        check_damage(study, folder, before, KINDS[number % len(KINDS)], random.Random(1000 + number))
        shutil.rmtree(folder)


def test_a_damaged_first_page_costs_no_row(larger, tmp_path):
    study, source, before = larger
    folder = shutil.copytree(source, tmp_path / "run")
    path = folder / "study.sqlite"
    content = bytearray(path.read_bytes())
    content[:4096] = bytes(4096)
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"study\.sqlite is damaged"):
        open_results(folder)
    report = study.run(folder, progress=False).report
    assert (report.kept, report.computed) == (600, 0)
    (moved,) = report.set_aside
    assert moved[0] == "study.sqlite.damaged-1" and "600 of its rows were whole and are kept" in moved[1]
    assert (folder / "study.sqlite.damaged-1").read_bytes() == content
    assert contents(folder) == before


def test_a_damaged_name_of_a_table_costs_no_row(larger, tmp_path):
    study, source, before = larger
    folder = shutil.copytree(source, tmp_path / "run")
    path = folder / "study.sqlite"
    path.write_bytes(path.read_bytes().replace(b"CREATE TABLE cells", b"CREATE TABLE bells"))
    for name in (b"tablecellscells",):
        path.write_bytes(path.read_bytes().replace(name, b"tablebellsbells"))
    with pytest.raises(ValueError, match=r"study\.sqlite is damaged"):
        open_results(folder)
    assert study.run(folder, progress=False).report.kept == 600
    assert contents(folder) == before


def test_a_run_killed_before_it_has_made_its_tables_is_begun_again(tmp_path):
    with connected(tmp_path) as connection:
        connection.execute("PRAGMA journal_mode=wal").fetchone()
    assert (tmp_path / "study.sqlite").stat().st_size > 0
    with pytest.raises(OSError, match="holds no study"):
        open_results(tmp_path)
    assert small().run(tmp_path, progress=False).report.computed == 4
    assert verify(tmp_path, progress=False).ok


def test_a_run_killed_while_it_mends_loses_nothing(larger, tmp_path):
    """The damaged database was moved aside, with its log, and what is whole had not yet taken its place."""
    study, source, before = larger
    folder = shutil.copytree(source, tmp_path / "run")
    (folder / "study.sqlite").rename(folder / "study.sqlite.saved")
    (folder / "study.sqlite-wal").write_bytes(b"of the damaged one")
    assert study.run(folder, progress=False).report.kept == 600
    assert contents(folder) == before


@pytest.mark.parametrize(
    "text",
    ["", "[" * 100_000, "3", "[]", "{}", '{"study": 3}', '{"study": {"grid": {"d": [1e400]}}}', "\x00\x00"],
)
def test_an_odd_description_is_named(folder, text):
    with connected(folder) as connection:
        connection.execute("UPDATE facts SET content = ?, checksum = ?", (text, stores._sum(text)))
    with pytest.raises(ValueError, match=r"description in .*study\.sqlite is damaged \(.+\)"):
        verify(folder)
    assert small().run(folder, progress=False).report.kept == 4


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs resource limits")
@pytest.mark.parametrize("limit", [4096, 60_000])
def test_a_full_disk_is_named_and_leaves_no_half_of_a_batch(tmp_path, limit):
    script = (
        "import resource, sys\n"
        "from sensitivity.studies import Study\n"
        "study = Study({'d': 1, 'n_steps': 2000, 'seed': list(range(9))}, 'profile')\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}))\n"
        "study.run(sys.argv[1], progress=False)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "run")], capture_output=True, text=True, timeout=100
    )
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("OSError") and "the disk" in last and "study.sqlite" in last
    if limit > 4096:
        assert "while cells were written" in last
        study = Study({"d": 1, "n_steps": 2000, "seed": list(range(9))}, "profile")
        assert len(rows_in(tmp_path / "run")) == 0
        assert study.run(tmp_path / "run", progress=False).report.computed == 9
        assert verify(tmp_path / "run", progress=False).ok


# ------------------------------------------------------------------------------------ readers beside a run


def test_results_are_read_while_a_run_goes_on(folder):
    study, cells = small(seed=[0, 1, 2]), list(small(seed=[0, 1, 2]).cells())
    rows = {cell.digest: Row(*rows_in(folder)[cell.address]) for cell in small().cells()}
    results = open_results(folder)
    with Store(folder).writing() as writer:
        study.describe_in(writer)
        before = len(rows_in(folder))
        digest, row = next(iter(rows.items()))
        writer.write(digest, row)
        assert writer.due_in() <= stores.BATCH_SECONDS
        assert writer.flush() == 1 and writer.due_in() is None
        assert len(rows_in(folder)) == before == 4
        assert open_results(folder).study == study
        assert results.read(next(small().cells()))["log_norm"].shape == (2,)
    assert cells and not (folder / "study.sqlite-wal").exists()


def test_a_reader_who_stays_does_not_stop_a_run(folder):
    rows = [(cell.digest, Row(*rows_in(folder)[cell.address])) for cell in small().cells()]
    with Store(folder).writing() as writer:
        with Store(folder).reading() as connection:
            cursor = connection.execute("SELECT address FROM cells")
            assert cursor.fetchone()
            writer.write(bytes(32), rows[0][1])
            assert writer.flush() == 1
            assert len(cursor.fetchall()) == 3  # as it was when the reader began
            cursor = connection.execute("SELECT address FROM cells")
            assert cursor.fetchone()
            writer.close()  # the log stays, since it is read
            assert len(cursor.fetchall()) == 4
    assert small(seed=[0, 1, 2]).run(folder, progress=False).report.computed == 2
    assert len(rows_in(folder)) == 7 and not (folder / "study.sqlite-wal").exists()


@POSIX
def test_a_read_only_folder_is_read_and_not_written(folder):
    before = contents(folder)
    path = folder / "study.sqlite"
    path.chmod(0o400)
    folder.chmod(0o500)
    try:
        assert contents(folder) == before and verify(folder, progress=False).ok
        assert {p.name for p in folder.iterdir()} == {".lock", "study.sqlite"}
        if os.getuid():
            with pytest.raises(OSError):
                small(seed=[0, 1, 2]).run(folder, progress=False)
    finally:
        folder.chmod(0o700)


def test_a_copy_taken_in_the_middle_is_a_smaller_study(folder, tmp_path):
    with Store(folder).writing() as writer:
        cell = next(small().cells())
        writer.write(cell.digest, Row(*rows_in(folder)[cell.address]))
        writer.flush()
        (tmp_path / "copy").mkdir()
        shutil.copy(folder / "study.sqlite", tmp_path / "copy")
    report = small().run(tmp_path / "copy", progress=False).report
    assert report.kept + report.computed == 4 and contents(tmp_path / "copy") == contents(folder)


def test_on_a_network_file_system_there_is_no_write_ahead_log(tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "file_system", lambda folder: "nfs4")
    journals = []
    monkeypatch.setattr(stores, "opened", lambda path, j: journals.append(j) or database.opened(path, j))
    report = small().run(tmp_path, progress=False).report
    assert journals == ["delete"] and "this is a network file system (nfs4)" in str(report)
    monkeypatch.undo()
    assert not small().run(tmp_path, progress=False).report.network


def test_file_systems_are_told_apart(tmp_path):
    assert not database.is_network(database.file_system(tmp_path))
    if os.path.exists("/proc/self/mountinfo"):
        assert database.file_system("/proc") == "proc" and database.file_system(tmp_path)


# Catches: a database that cannot be opened where the system refuses locks.
def test_where_the_system_has_no_locks_the_database_is_opened_without(folder, monkeypatch):
    real, addresses = sqlite3.connect, []

    class NoLocks(sqlite3.Connection):
        def execute(self, *call):
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_LOCK
            raise error

    def connect(address, *options, **more):
        addresses.append(address)
        kind = {} if "nolock" in str(address) else {"factory": NoLocks}
        return real(address, *options, **more, **kind)

    monkeypatch.setattr(database.sqlite3, "connect", connect)
    assert len(Store(folder).described()["study"]["grid"]) == 4
    assert addresses[-1].endswith("nolock=1")


def test_many_threads_read_one_study(folder):
    results, cells = open_results(folder), list(small().cells())
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda n: results.read(cells[n % 4])["log_norm"].tobytes(), range(40)))
    assert len(set(found)) <= 4 and found[:4] == found[4:8]


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
    before = contents(folder)
    with pytest.raises(ValueError, match="holds another study, 'study': ") as caught:
        other.run(folder, progress=False)
    assert said in str(caught.value)
    assert contents(folder) == before and len(rows_in(folder)) == 4


def test_on_the_command_line_another_study_is_one_line(folder, tmp_path, capsys):
    path = tmp_path / "other.toml"
    path.write_text('quantities = ["norm"]\n[grid]\nd = 5\n', encoding="utf-8")
    assert main(["sweep", str(path), "--out", str(folder)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and "holds another study" in err
