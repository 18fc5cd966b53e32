"""The folder of a grid, with one database: who reads it, and the one who writes.

``study.sqlite``   the description of the grid, a row for each job, and the rows that were set aside
``.lock``          taken by the one run that may write; see `sensitivity.studies.storage.lock`

Only the process that runs the grid writes, one at a time. It collects rows for about half a second and adds
them in one transaction, which is there whole or not at all, whatever ends the process.
"""

from __future__ import annotations

import errno
import hashlib
import json
import sqlite3
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from integrators.values import ByValue
from sensitivity.files import user_path

from .database import DamagedStore, file_system, is_network, opened, present, reading, said, structure_errors
from .index import RowIndex
from .job import Arrays, Job, Row, decode, version
from .lock import only_run
from .salvage import finish_replacement, replaced_by_what_is_whole

__all__ = ["BLOCK", "Store", "Writer", "blocks", "place_of"]

DATABASE = "study.sqlite"
DESCRIPTION = "study"
BLOCK = 1000
"""Jobs that are looked up together."""
BLOCK_BYTES = 1 << 26
BATCH_SECONDS = 0.5
ROWS = f"SELECT address, version, numbers, checksum FROM cells WHERE address IN ({','.join('?' * BLOCK)})"

SomeJob = TypeVar("SomeJob", bound=Job)
Found = dict[bytes, tuple[Any, Any, Any]]


class Store(ByValue):
    """A folder with the rows of jobs.

    Parameters
    ----------
    folder : path
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = user_path(folder, "folder")

    @property
    def path(self) -> Path:
        """The path of the database."""
        return self.folder / DATABASE

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with.

        Raises
        ------
        OSError, DamagedStore, ValueError
            If there is no database, or it cannot be read.
        """
        if not present(self.path):
            self._refuse_files()
        with reading(self.path) as connection:
            yield connection

    def described(self) -> Any:
        """The description of the grid.

        Raises
        ------
        OSError, ValueError, RecursionError
            If there is none, or if it cannot be read.
        """
        with self.reading() as connection:
            return described_in(connection, self.path)

    def read(self, job: Job) -> Arrays | None:
        """The arrays of a job; None if it is not there.

        Raises
        ------
        UnusableRow
            If its row is not the one of that job.
        """
        with self.reading() as connection:
            row = rows_of(connection, self.path, [job]).get(job.digest)
        return None if row is None else decode(job, row)

    def read_blocks(
        self, jobs: Iterable[SomeJob]
    ) -> Generator[list[tuple[SomeJob, tuple[Any, Any, Any] | None]], None, None]:
        """Some hundred jobs at a time with their rows, None where there is none; a job may come twice.

        The database is open until the last of them, or until the generator is closed.
        """
        with self.reading() as connection:
            for block in blocks(jobs):
                found = rows_of(connection, self.path, block)
                yield [(job, found.get(job.digest)) for job in block]

    def _refuse_files(self) -> None:
        """A folder of version 0.1 is not taken for an empty one.

        Raises
        ------
        ValueError
        """
        if (self.folder / "cells").is_dir() and not present(self.path):
            raise ValueError(
                f"{self.folder} holds a study in the form of version 0.1, one file a cell; copy it into a "
                f"database with: leapgrad sweep --migrate --out {self.folder}"
            )

    # ------------------------------------------------------------------------------------------ writing

    @contextmanager
    def writing(self) -> Iterator[Writer]:
        """Make folder and database if need be, and keep other runs out.

        A database whose pages are damaged is moved aside, and the rows of it that are whole go on in a new
        one.

        Raises
        ------
        OSError
            If the folder cannot be written, or another run has it.
        ValueError
            If the database is that of another program or of a later version, or the folder is one of
            version 0.1.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "this is a file; name a folder", str(self.folder))
        self.folder.mkdir(parents=True, exist_ok=True)
        with only_run(self.folder):
            finish_replacement(self.path)
            self._refuse_files()
            network = file_system(self.folder)
            journal = "delete" if is_network(network) else "wal"
            damage = self._damage()
            with said(self.path, "while the study was opened"):
                writer = Writer(self.path, opened(self.path, journal), network if journal == "delete" else "")
            writer.damage = damage
            try:
                yield writer
            finally:
                writer.close()

    def _damage(self) -> list[tuple[str, str]]:
        """Replace a damaged database; where it lies now, and what was wrong."""
        if not present(self.path) or not self.path.stat().st_size:
            return []
        try:
            with reading(self.path) as connection:
                found = structure_errors(connection, 1)
            if not found:
                return []
            reason = found[0]
        except FileNotFoundError:  # a run was killed before it had made the tables
            return []
        except DamagedStore as error:
            reason = error.reason
        place, whole = replaced_by_what_is_whole(self.path)
        return [(place.name, f"corrupt: {reason}; {whole} of its rows were whole and are kept")]


class Writer:
    """The connection of the one run that writes; for the thread that has opened it.

    Attributes
    ----------
    path : Path
        Of the database.
    network : str
        The network file system that it lies on, "" if it has a write-ahead log.
    damage : list of (str, str)
        A database that was moved aside, and why.
    """

    def __init__(self, path: Path, connection: sqlite3.Connection, network: str) -> None:
        self.path, self.network, self._connection = path, network, connection
        self.damage: list[tuple[str, str]] = []
        self._pending: dict[bytes, Row] = {}
        self._aside: list[tuple[str, bytes]] = []
        self._bytes = 0
        self._due = 0.0

    def described(self) -> Any:
        """The description in the database; see `Store.described`."""
        with said(self.path, "while it was read"):
            return described_in(self._connection, self.path)

    def describe(self, record: Any) -> None:
        """Write the description."""
        content = json.dumps(record, ensure_ascii=False)
        with said(self.path, "while the description of the study was written"):
            self._connection.execute(
                "INSERT OR REPLACE INTO facts VALUES (?, ?, ?)", (DESCRIPTION, content, _sum(content))
            )

    def rows(self, jobs: Sequence[Job]) -> Found:
        """The rows of some jobs that are in the database, by their digests; at most `BLOCK`."""
        return rows_of(self._connection, self.path, jobs)

    def index(self) -> RowIndex:
        """What is in the database now."""
        with said(self.path, "while it was read"):
            return RowIndex(self._connection, version())

    def write(self, digest: bytes, row: Row) -> None:
        """Add the row of a job to the next batch."""
        if not self._waiting:
            self._due = time.monotonic() + BATCH_SECONDS
        self._pending[digest] = row
        self._bytes += len(row.numbers)

    def set_aside(self, job: Job, reason: str) -> str:
        """Move the row of a job out of the way, with the next batch; where it lies then."""
        if not self._waiting:
            self._due = time.monotonic() + BATCH_SECONDS
        self._aside.append((reason, job.digest))
        return f"set_aside/{job.address}"

    @property
    def _waiting(self) -> bool:
        return bool(self._pending or self._aside)

    def due_in(self) -> float | None:
        """Seconds until the batch should be written, None if it is empty."""
        if not self._waiting:
            return None
        return 0.0 if self._bytes > BLOCK_BYTES else max(0.0, self._due - time.monotonic())

    def flush(self) -> int:
        """Write the batch in one transaction; how many rows of jobs that were.

        Raises
        ------
        OSError
            If it cannot be written; the database is as it was, and the batch is still waiting.
        """
        if not self._waiting:
            return 0
        connection, rows = self._connection, sorted(self._pending.items())
        with said(self.path, "while cells were written"):
            try:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany(
                    "INSERT INTO set_aside (reason, address, version, numbers, checksum) "
                    "SELECT ?, address, version, numbers, checksum FROM cells WHERE address = ?",
                    self._aside,
                )
                connection.executemany(
                    "DELETE FROM cells WHERE address = ?", ((digest,) for _, digest in self._aside)
                )
                connection.executemany(
                    "INSERT OR REPLACE INTO cells VALUES (?, ?, ?, ?)",
                    ((digest, *row) for digest, row in rows),
                )
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    with suppress(sqlite3.Error):
                        connection.execute("ROLLBACK")
                raise
        self._pending.clear()
        self._aside.clear()
        self._bytes = 0
        return len(rows)

    def close(self) -> None:
        """Merge the log, unless somebody is reading, and close. What was not flushed is dropped."""
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA busy_timeout=0")
            if not self.network:
                self._connection.execute("PRAGMA journal_mode=delete").fetchone()
        self._connection.close()


def blocks(jobs: Iterable[SomeJob]) -> Iterator[list[SomeJob]]:
    """Jobs in lists of at most `BLOCK`, whose numbers fit into memory together."""
    block: list[SomeJob] = []
    size = 0
    for job in jobs:
        block.append(job)
        size += job.layout.n_bytes
        if len(block) == BLOCK or size > BLOCK_BYTES:
            yield block
            block, size = [], 0
    if block:
        yield block


def rows_of(connection: sqlite3.Connection, path: Path, jobs: Sequence[Job]) -> Found:
    """The rows of some jobs, by their digests; at most `BLOCK`."""
    wanted: list[bytes | None] = [job.digest for job in jobs]
    wanted += [None] * (BLOCK - len(wanted))  # which is in no list
    with said(path, "while it was read"):
        return {row[0]: row[1:] for row in connection.execute(ROWS, wanted)}


def described_in(connection: sqlite3.Connection, path: Path) -> Any:
    """The description in a database.

    Raises
    ------
    FileNotFoundError
        If there is none.
    ValueError, RecursionError
        If it is damaged.
    """
    row = connection.execute("SELECT content, checksum FROM facts WHERE name = ?", (DESCRIPTION,)).fetchone()
    if row is None:
        raise FileNotFoundError(errno.ENOENT, "this folder holds no study (no description)", str(path.parent))
    content, checksum = row
    if not isinstance(content, str) or _sum(content) != checksum:
        raise ValueError("the checksum of the description does not fit")
    return json.loads(content)


def place_of(job: Job) -> str:
    """The row of a job, for messages: table and address."""
    return f"cells/{job.address}"


def _sum(content: str) -> bytes:
    return hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=16).digest()
