"""Folders of version 0.1, with one file for each cell, become databases; their files stay as they are."""

import hashlib
import json
import shutil

import numpy as np
import pytest
from study_rows import contents, rows_in

from sensitivity.cli import main
from sensitivity.studies import Study, migrate, open_results, verify
from sensitivity.studies.cell import arrays_of
from sensitivity.studies.storage.job import UnusableRow, canonical, encode, version
from sensitivity.studies.storage.old_cell import row_of

GRID = {"d": [1, 2], "seed": [0, 1], "n_steps": 8, "step": [0.01, 0.1]}


def small():
    return Study(GRID, ["log_norm", "bounds"])


def with_header(header, numbers=b""):
    """A file whose checksum is right, whatever its second line says."""
    text = header if isinstance(header, bytes) else canonical(header).encode()
    body = text + b"\n" + numbers
    return f"leapgrad-cell {len(body)} {hashlib.sha256(body).hexdigest()}\n".encode() + body


def old_file(cell, **changes):
    """The file of a cell as version 0.1 wrote it."""
    arrays = arrays_of(cell)
    header = {
        "arrays": [[name, list(array.shape)] for name, array in arrays.items()],
        "description": cell.description,
        "version": version(),
    }
    return with_header(header | changes, b"".join(array.tobytes() for array in arrays.values()))


@pytest.fixture
def old(tmp_path):
    """A folder of version 0.1."""
    folder = tmp_path / "old"
    for cell in small().cells():
        path = folder / "cells" / cell.address[:2] / f"{cell.address}.cell"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(old_file(cell))
    record = {"study": small().to_dict(), "begun_with": {}}
    (folder / "study.json").write_text(json.dumps(record), encoding="utf-8")
    return folder


def files(folder):
    return {
        p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.suffix in (".cell", ".json")
    }


def test_a_copied_folder_is_the_one_that_a_run_fills(old, tmp_path):
    before = files(old)
    assert migrate(old, progress=False).copied == 4
    assert files(old) == before
    small().run(tmp_path / "new", progress=False)
    assert rows_in(old) == rows_in(tmp_path / "new")
    assert open_results(old).study == small() and verify(old, progress=False).ok
    assert small().run(old, progress=False).report.kept == 4


def test_an_old_folder_is_not_taken_for_an_empty_one(old):
    for call in (lambda: small().run(old, progress=False), lambda: open_results(old), lambda: verify(old)):
        with pytest.raises(ValueError, match=r"leapgrad sweep --migrate --out .*old"):
            call()
    assert not (old / "study.sqlite").exists()


def test_on_the_command_line(old, tmp_path, capsys):
    assert main(["sweep", "--migrate", "--out", str(old)]) == 0
    assert "copied: 4 cells" in capsys.readouterr().out
    assert main(["sweep", "--migrate", "--out", str(old)]) == 2
    assert "has a database already" in capsys.readouterr().err
    assert main(["sweep", "--migrate", "--out", str(tmp_path)]) == 2
    assert "holds no cells of version 0.1" in capsys.readouterr().err


def test_migrating_and_going_on_in_one_command(old, tmp_path, capsys):
    (tmp_path / "study.toml").write_text(
        "quantities = ['log_norm', 'bounds']\n[grid]\nd = [1, 2]\nseed = [0, 1, 2]\nn_steps = 8\n"
        "step = [0.01, 0.1]\n"
    )
    command = ["sweep", str(tmp_path / "study.toml"), "--migrate", "--out", str(old), "--json"]
    assert main(command) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["kept"], report["computed"]) == (4, 2)


def damaged(content):
    """Ways to spoil a file: reason → contents."""
    flipped, head = bytearray(content), bytearray(content)
    flipped[-3] ^= 4
    head[3] ^= 1
    line = content.index(b"\n")
    return {
        "empty": [b""],
        "truncated": [
            *(content[:n] for n in (1, 20, line, line + 1, len(content) // 2, len(content) - 1)),
            "leapgrad-cell ²² 0\n".encode(),
        ],
        "corrupt": [
            bytes(flipped),
            bytes(head),
            content + b"x",
            bytes(len(content)),
            b"not a cell",
            b"leapgrad-cell " + b"9" * 5000 + b" 0\n",
            b"leapgrad-cell " + b"x" * 10_000,
            b"leapgrad-cell 3 0\n" + bytes(1 << 20),
        ],
    }


def odd_headers(cell):
    good = {"arrays": [["log_norm", [6]]], "description": cell.description, "version": version()}

    def arrays(*entries):
        return {**good, "arrays": list(entries)}

    return [
        b"hello", b"\xff\xfe\x00", b"", b"[" * 100_000, [good], 3,
        {key: good[key] for key in ("arrays", "description")}, {**good, "code": "x"},
        {**good, "version": 1}, {**good, "description": None}, {**good, "arrays": None},
        arrays("log_norm"), arrays(["log_norm", ["2"]]), arrays(["log_norm", [True]]),
        arrays(["log_norm", [-6]], ["log_bound", [-1]]), arrays(["log_norm", [10**15]]),
        arrays(["log_norm", [10**9] * 6]), arrays(["log_norm", [1] * 70]),
        arrays(["log_norm", [3]], ["log_norm", [3]]), arrays(), arrays(["log_norm", [1]]),
    ]  # fmt: skip


def test_every_kind_of_damage_is_told_apart():
    cell = next(small().cells())
    content = old_file(cell)
    assert row_of(content) == (cell.digest, encode(cell, arrays_of(cell)))
    for reason, contents_ in damaged(content).items():
        for spoiled in contents_:
            with pytest.raises(UnusableRow) as caught:
                row_of(spoiled)
            assert caught.value.reason == reason, spoiled[:90]
    for header in odd_headers(cell):
        with pytest.raises(UnusableRow, match="corrupt"):
            row_of(with_header(header, np.zeros(6).tobytes()))


def test_every_single_byte_matters():
    content = old_file(next(small().cells()))
    for place in range(0, len(content), 7):
        spoiled = bytearray(content)
        spoiled[place] ^= 0x20
        with pytest.raises(UnusableRow):
            row_of(bytes(spoiled))


def test_files_that_are_damaged_are_named_and_computed_again(old, tmp_path, capsys):
    paths = sorted(old.glob("cells/*/*.cell"))
    paths[0].write_bytes(paths[0].read_bytes()[:-1])
    shutil.copy(paths[2], paths[1])
    paths[3].unlink()
    paths[3].mkdir()
    assert main(["sweep", "--migrate", "--out", str(old)]) == 1
    out = capsys.readouterr().out
    for path, reason in zip(paths, ("truncated", "another cell", "", "corrupt"), strict=False):
        line = f"damaged, to be computed again: {path.relative_to(old).as_posix()}: {reason}"
        assert (line in out) == bool(reason)
    report = small().run(old, progress=False).report
    assert (report.kept, report.computed) == (1, 3)
    small().run(tmp_path / "new", progress=False)
    assert rows_in(old) == rows_in(tmp_path / "new")


def test_cells_of_an_earlier_version_are_copied_and_computed_again(old):
    cell = next(small().cells())
    path = old / "cells" / cell.address[:2] / f"{cell.address}.cell"
    path.write_bytes(old_file(cell, version="0/0"))
    assert migrate(old, progress=False).copied == 4
    (found,) = verify(old, progress=False).damaged
    assert found[1].startswith("other version: made by 0/0")
    assert small().run(old, progress=False).report.computed == 1


def test_a_migration_that_was_killed_begins_anew(old):
    (old / "study.sqlite.copied").write_bytes(b"half of it")
    assert migrate(old, progress=False).copied == 4
    assert not (old / "study.sqlite.copied").exists() and contents(old)
