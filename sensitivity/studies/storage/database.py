"""The SQLite database of a study: how it is opened, and what its errors mean.

==============  =======================================================================================
table           rows
==============  =======================================================================================
``facts``       the description of the study, with a checksum
``cells``       one row a job: see `sensitivity.studies.storage.job`
``set_aside``   rows that were not those of their jobs, moved out of the way, never deleted
==============  =======================================================================================

While a run writes, the database has a write-ahead log beside it (``study.sqlite-wal``), so that others read
what is finished in the meantime. At the end the log is merged, and the one file that remains can be copied
and be read from a read-only medium. The log needs memory that is shared by all who have the file open, which
a network file system does not offer: there the database has a rollback journal, and readers wait for the
short moments in which a batch of rows is written.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = [
    "APPLICATION",
    "PAGE_BYTES",
    "DamagedStore",
    "file_system",
    "is_network",
    "opened",
    "present",
    "reading",
    "said",
    "structure_errors",
    "with_schema",
]

APPLICATION, FORMAT = 0x6C656170, 1
PAGE_BYTES = 4096
SCHEMA = (
    "CREATE TABLE facts (name TEXT PRIMARY KEY, content TEXT, checksum BLOB) WITHOUT ROWID",
    "CREATE TABLE cells (address BLOB PRIMARY KEY, version TEXT, numbers BLOB, checksum BLOB) WITHOUT ROWID",
    "CREATE TABLE set_aside (number INTEGER PRIMARY KEY, reason TEXT, address BLOB, version TEXT, "
    "numbers BLOB, checksum BLOB)",
)
# Pages of the log before it is merged, kibibytes of pages that a reader and a writer keep at most, and
# seconds that one waits for another who is in the middle of a transaction. A writer puts rows in at random.
LOG_PAGES, READER_KIB, WRITER_KIB, WAIT_SECONDS = 8000, 32768, 65536, 60.0
NETWORK = frozenset(
    "9p afs beegfs ceph cifs coda fhgfs fuse.cephfs fuse.glusterfs fuse.sshfs glusterfs gpfs lustre ncpfs "
    "nfs nfs4 orangefs panfs pvfs2 smb3 smbfs".split()
)
NO_LOCKS = frozenset(
    getattr(sqlite3, f"SQLITE_IOERR_{name}", None) for name in ("LOCK", "RDLOCK", "CHECKRESERVEDLOCK")
)


class DamagedStore(ValueError):
    """The database is no longer one, or parts of it cannot be read.

    Attributes
    ----------
    reason : str
    """

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"{path} is damaged ({reason}); run the study again into this folder, which moves the damaged "
            "database aside and keeps every row of it that is whole."
        )
        self.reason = reason


@contextmanager
def said(path: Path, doing: str) -> Iterator[None]:
    """Errors of SQLite in our words.

    Raises
    ------
    DamagedStore
        If the file is damaged.
    OSError
        If the disk is full or cannot be written, or somebody else has locked the file.
    """
    try:
        yield
    except sqlite3.DataError as error:  # a row of more than a gigabyte
        raise OSError(errno.EFBIG, f"{error} {doing}; take a smaller steps_per_cell", str(path)) from None
    except sqlite3.Error as error:
        kind = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
        if kind in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise DamagedStore(path, str(error)) from None
        if kind == sqlite3.SQLITE_FULL:
            raise OSError(errno.ENOSPC, f"the disk is full {doing}", str(path)) from None
        if kind == sqlite3.SQLITE_IOERR:
            text = f"{error} {doing}; the disk may be full, or files may not grow any further"
            raise OSError(errno.EIO, text, str(path)) from None
        if kind in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
            raise PermissionError(errno.EACCES, f"{error} {doing}", str(path)) from None
        if kind in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            text = f"another program kept this database locked for {WAIT_SECONDS:g} seconds {doing}"
            raise BlockingIOError(errno.EWOULDBLOCK, text, str(path)) from None
        # Tables or columns are not those of a study.
        raise DamagedStore(path, str(error)) from None


def present(path: Path) -> bool:
    """Whether there is a database, or something in its place.

    Raises
    ------
    OSError
        If it is not a regular file: a pipe or a device is not read.
    """
    try:
        about = os.stat(path)
        regular = stat.S_ISREG(about.st_mode)
    except FileNotFoundError:
        if not os.path.islink(path):
            return False
        regular = False  # a link to nowhere
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        regular = False
    if not regular:
        text = "this is no regular file, and in the way of the study's database; move it away"
        raise FileExistsError(errno.EEXIST, text, str(path))
    return True


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    """The database, only to read; also from a read-only folder, and while a run writes.

    Raises
    ------
    FileNotFoundError
        If there is none.
    OSError, DamagedStore
        See `said`.
    """
    if not present(path):
        raise FileNotFoundError(
            errno.ENOENT, "this folder holds no study (no study.sqlite)", str(path.parent)
        )
    with said(path, "while it was read"):
        connection = _readable(path)
        try:
            _check_format(connection, path)
            yield connection
        finally:
            connection.close()


def _readable(path: Path) -> sqlite3.Connection:
    """A connection that can read. Without a log beside it, a file that nobody may write does not change."""
    options = ["?mode=ro"]
    if not Path(f"{path}-wal").exists():
        options.append("?mode=ro&immutable=1")
    for last, option in zip((False, True)[-len(options) :], options, strict=True):
        connection = _connected(path, option)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            connection.execute(f"PRAGMA cache_size=-{READER_KIB}")
            return connection
        except sqlite3.OperationalError as error:
            connection.close()
            if last or error.sqlite_errorcode & 0xFF not in (
                sqlite3.SQLITE_CANTOPEN,
                sqlite3.SQLITE_READONLY,
            ):
                raise
        except BaseException:
            connection.close()
            raise
    raise AssertionError("unreachable")


def opened(path: Path, journal: str) -> sqlite3.Connection:
    """The database to write, made if need be, with a journal of this kind: "wal" or "delete"."""
    connection = _connected(path, "?mode=rwc")
    try:
        connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
        connection.execute(f"PRAGMA cache_size=-{WRITER_KIB}")
        connection.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        connection.execute(f"PRAGMA journal_mode={journal}").fetchone()
        # With a log, a power cut may cost the last batches, never the database; without one, each is awaited.
        connection.execute(f"PRAGMA synchronous={'normal' if journal == 'wal' else 'full'}")
        with_schema(connection)
        _check_format(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def with_schema(connection: sqlite3.Connection) -> None:
    """Make the tables where a database is new."""
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
        return
    connection.execute("BEGIN IMMEDIATE")
    for statement in SCHEMA:
        connection.execute(statement)
    connection.execute(f"PRAGMA application_id={APPLICATION}")
    connection.execute(f"PRAGMA user_version={FORMAT}")
    connection.execute("COMMIT")


def _connected(path: Path, query: str) -> sqlite3.Connection:
    address = path.absolute().as_uri() + query
    # Python 3.13 warns of options that are not named.
    options: dict[str, Any] = {"timeout": WAIT_SECONDS, "isolation_level": None, "uri": True}
    connection = sqlite3.connect(address, **options)
    # A file system without locks. One run at a time is seen to by the study's own lock.
    try:
        connection.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in NO_LOCKS:
            connection.close()
            return sqlite3.connect(f"{address}&nolock=1", **options)
    except sqlite3.DatabaseError:
        pass  # told when it is used
    return connection


def _check_format(connection: sqlite3.Connection, path: Path) -> None:
    """Refuse the database of another program, and one of a later version.

    Raises
    ------
    ValueError
    """
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")}
    if not tables:
        raise FileNotFoundError(
            errno.ENOENT, "this folder holds no study (study.sqlite is empty)", str(path.parent)
        )
    if not {"facts", "cells", "set_aside"} <= tables:
        if connection.execute("PRAGMA application_id").fetchone() == (APPLICATION,):
            raise DamagedStore(path, "its tables are not those of a study")
        raise ValueError(
            f"{path} is a database of another program (tables {', '.join(sorted(tables))}); name another "
            "folder for this study."
        )
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    if number > FORMAT:
        raise ValueError(
            f"{path} has format {number}, and this version of leapgrad reads formats up to {FORMAT}."
        )


def structure_errors(connection: sqlite3.Connection, most: int) -> list[str]:
    """What is wrong with the pages of a database, and whether its rows are in order.

    SQLite does not look at the order. Where it is wrong, rows that are there are not found, and rows that are
    added may be lost.
    """
    try:
        found = [text for (text,) in connection.execute(f"PRAGMA quick_check({most})")]
        if found == ["ok"] and not _in_order(connection.execute("SELECT address FROM cells")):
            return ["its rows are not in order"]
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
            raise
        return [str(error)]
    lines = [" ".join(line.split()) for text in found for line in text.splitlines()]
    return [line for line in lines if line != "ok" and not line.startswith("*** in database")][:most]


def _in_order(addresses: Iterable[tuple[Any]]) -> bool:
    """Whether addresses ascend; what is not made of bytes comes before them."""
    before: bytes | None = None
    for (address,) in addresses:
        if isinstance(address, bytes):
            if before is not None and address <= before:
                return False
            before = address
        elif before is not None:
            return False
    return True


# ----------------------------------------------------------------------------------- network file systems


def file_system(folder: Path) -> str:
    """The kind of the file system that a folder lies on, "" where the system does not tell."""
    place = os.path.realpath(folder)
    best, kind = "", ""
    with suppress(OSError, IndexError):
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            before, _, after = line.partition(" - ")
            root = before.split(" ")[4].replace("\\040", " ")
            inside = place == root or place.startswith(root.rstrip("/") + "/")
            if inside and len(root) >= len(best):
                best, kind = root, after.split(" ")[0]
    return kind


def is_network(kind: str) -> bool:
    """Whether a file system is one of a network, on which a write-ahead log is not safe."""
    return kind in NETWORK
