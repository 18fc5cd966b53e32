"""A folder of version 0.1, with one file for each cell, is copied into a database."""

from __future__ import annotations

import errno
import json
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from integrators.engine.blocks import progress_bar

from .database import opened, present, said
from .job import UnusableRow
from .lock import only_run
from .old_cell import row_of
from .salvage import remove
from .store import Store, Writer

__all__ = ["Migration", "migrate"]

SUFFIX = ".cell"
MOST_CELL_BYTES, MOST_DESCRIPTION_BYTES = 10**9, 1 << 28


@dataclass
class Migration:
    """The result of `migrate`.

    Attributes
    ----------
    copied : int
        Cells that are in the database now.
    damaged : list of (file, reason)
        Files that were not whole; the next run computes their cells again.
    """

    copied: int = 0
    damaged: list[tuple[str, str]] = field(default_factory=list)


def migrate(folder: str | Path, progress: bool | None = None) -> Migration:
    """Copy the cells of a folder that version 0.1 has filled into the database of the same folder.

    Its files are checked and left as they are. The database appears when it is complete.

    Parameters
    ----------
    folder : path
    progress : bool, optional
        Force or forbid the progress bar; by default it shows on a terminal.

    Raises
    ------
    FileNotFoundError
        If the folder holds no such files.
    FileExistsError
        If it has a database already.
    OSError
        If the database cannot be written.
    """
    store, found = Store(folder), Migration()
    old = store.folder / "cells"
    if not old.is_dir():
        raise FileNotFoundError(errno.ENOENT, "this folder holds no cells of version 0.1", str(store.folder))
    if present(store.path):
        raise FileExistsError(errno.EEXIST, "this folder has a database already", str(store.path))
    temporary = store.path.with_name(f"{store.path.name}.copied")
    with only_run(store.folder):
        remove(temporary)
        try:
            with said(temporary, "while the database was made"):
                writer = Writer(temporary, opened(temporary, "delete"), "")
            try:
                _fill(writer, store.folder, found, progress)
            finally:
                writer.close()
            os.replace(temporary, store.path)
        finally:
            remove(temporary)
    return found


def _fill(writer: Writer, folder: Path, found: Migration, progress: bool | None) -> None:
    """Copy description and cells; what is damaged is noted."""
    description = folder / "study.json"
    if description.exists():
        try:
            writer.describe(json.loads(_content(description, MOST_DESCRIPTION_BYTES)))
        except (OSError, ValueError, RecursionError) as error:
            found.damaged.append((description.name, f"corrupt: {error}"))
    files = sorted((folder / "cells").glob(f"??/*{SUFFIX}"))
    with progress_bar(len(files), "migrate", "cell", progress) as tick:
        for path in files:
            name = path.relative_to(folder).as_posix()
            try:
                cell = row_of(_content(path, MOST_CELL_BYTES))
                if cell.digest.hex() != path.stem:
                    raise UnusableRow(
                        "another cell", "its description is not the one that its name stands for"
                    )
                writer.write(cell.digest, cell.row)
                found.copied += 1
            except UnusableRow as error:
                found.damaged.append((name, str(error)))
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                found.damaged.append((name, f"corrupt: {reason}"))
            if writer.due_in() == 0.0:
                writer.flush()
            tick()
    writer.flush()


def _content(path: Path, most: int) -> bytes:
    """The content of a regular file. A pipe or a device in its place is not read.

    Raises
    ------
    OSError
        If it cannot be read, or is no regular file.
    ValueError
        If it has more than `most` bytes.
    """
    flags = (
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0)
    )
    descriptor = os.open(path, flags)
    with open(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "this is no regular file", str(path))
        if about.st_size > most:
            raise ValueError(f"the file has {about.st_size} bytes, more than the {most} that it can need")
        return file.read()
