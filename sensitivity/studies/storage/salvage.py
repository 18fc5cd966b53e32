"""A damaged database: it is moved aside, and every row of it that is whole goes on in a new one."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from .database import PAGE_BYTES, with_schema
from .job import proper

__all__ = ["finish_replacement", "remove", "replaced_by_what_is_whole"]

# Whole rows, to take the place of a damaged database; and a copy of that with another first page.
SAVED, REPAIRED = "saved", "repaired"
LOGS = ("-wal", "-shm", "-journal")
RANGES = 1 << 12


def finish_replacement(path: Path) -> None:
    """Go on where a run was killed after it had moved a damaged database aside."""
    saved = _beside(path, SAVED)
    if saved.exists() and not os.path.lexists(path):
        remove(path)  # a log of the damaged one
        os.replace(saved, path)
    for name in (SAVED, REPAIRED):
        remove(_beside(path, name))


def replaced_by_what_is_whole(path: Path) -> tuple[Path, int]:
    """Move a damaged database aside; where it lies now, and how many of its rows go on in the new one."""
    saved = _beside(path, SAVED)
    remove(saved)
    with closing(sqlite3.connect(saved, isolation_level=None)) as target:
        target.execute(f"PRAGMA page_size={PAGE_BYTES}")
        with_schema(target)
        target.execute("BEGIN")
        _copy(path, target)
        if not _count(target):
            repaired = _beside(path, REPAIRED)
            with suppress(OSError):
                _with_a_new_first_page(path, repaired)
                _copy(repaired, target)
            remove(repaired)
        whole = _count(target)
        target.execute("COMMIT")
    number = 1
    while os.path.lexists(aside := _beside(path, f"damaged-{number}")):
        number += 1
    os.replace(path, aside)
    for log in LOGS:
        with suppress(FileNotFoundError):
            os.replace(f"{path}{log}", f"{aside}{log}")
    os.replace(saved, path)
    return aside, whole


def _copy(path: Path, target: sqlite3.Connection) -> None:
    """Copy what is whole: cells and what was set aside by their checksums, the description as it is."""
    with closing(sqlite3.connect(path.absolute().as_uri() + "?mode=ro", uri=True)) as source:
        for row in _readable(source, "SELECT name, content, checksum FROM facts"):
            target.execute("INSERT OR IGNORE INTO facts VALUES (?, ?, ?)", row)
        for digest, *rest in _cells(source):
            if proper(digest, tuple(rest)):  # type: ignore[arg-type]
                target.execute("INSERT OR IGNORE INTO cells VALUES (?, ?, ?, ?)", (digest, *rest))
        aside = "reason, address, version, numbers, checksum"
        for row in _readable(source, f"SELECT {aside} FROM set_aside"):
            target.execute(f"INSERT INTO set_aside ({aside}) VALUES (?, ?, ?, ?, ?)", row)


def _cells(source: sqlite3.Connection) -> Iterator[tuple[Any, ...]]:
    """Every row that can be reached, range by range of addresses, from both ends of each."""
    query = (
        "SELECT address, version, numbers, checksum FROM cells WHERE address >= ? AND address < ? "
        "ORDER BY address"
    )
    for number in range(RANGES):
        low = (number << 12).to_bytes(3, "big")
        high = (number + 1 << 12).to_bytes(3, "big") if number + 1 < RANGES else b"\xff" * 33
        for direction in ("", " DESC"):
            yield from _readable(source, query + direction, (low, high))


def _readable(
    source: sqlite3.Connection, query: str, values: tuple[Any, ...] = ()
) -> Iterator[tuple[Any, ...]]:
    """The rows of a query up to the first that cannot be read."""
    with suppress(sqlite3.Error):
        yield from source.execute(query, values)


def _count(target: sqlite3.Connection) -> int:
    return target.execute("SELECT count(*) FROM cells").fetchone()[0]


def _with_a_new_first_page(path: Path, copy: Path) -> None:
    """A copy of a database with the first page, which tells what the others are, of an empty one of ours."""
    shutil.copyfile(path, copy)
    empty = Path(f"{copy}-empty")
    with closing(sqlite3.connect(empty, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        with_schema(connection)
    page = bytearray(empty.read_bytes()[:PAGE_BYTES])
    remove(empty)
    page[28:32] = (path.stat().st_size // PAGE_BYTES).to_bytes(4, "big")
    with open(copy, "r+b") as file:
        file.write(page)


def _beside(path: Path, name: str) -> Path:
    return path.with_name(f"{path.name}.{name}")


def remove(path: Path) -> None:
    """Remove a database with its logs, as far as they are there."""
    for suffix in ("", *LOGS):
        with suppress(FileNotFoundError):
            os.unlink(f"{path}{suffix}")
