"""The folder of a grid: its description, the files of its jobs, and what was set aside.

``study.json``            the grid, written out, with the versions that it was begun with
``cells/ab/abcd….cell``   one file a job, named by its address
``set-aside/``            files that were not those of their jobs, moved out of the way, never deleted
``unfinished/``           where files are written before they take their place

Only the process that runs the grid writes, one at a time (a lock on the folder sees to that); files appear
whole or not at all. A power cut may still leave a file without its content: its checksum tells.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from integrators.values import ByValue
from sensitivity.files import replacing, user_path

from .job import Arrays, Job, UnusableFile, check_shapes, decode
from .lock import only_run

__all__ = ["Store"]

SUFFIX = ".cell"
MOST_DESCRIPTION_BYTES = 1 << 28


class Store(ByValue):
    """A folder with a file for each job.

    Parameters
    ----------
    folder : path
    """

    _no_value = frozenset({"_made"})

    def __init__(self, folder: str | Path) -> None:
        self.folder = user_path(folder, "folder")
        self.cells = self.folder / "cells"
        self.aside = self.folder / "set-aside"
        self._unfinished = self.folder / "unfinished"
        self._made: set[str] = set()

    # ---------------------------------------------------------------------------------- its description

    @property
    def description(self) -> Path:
        """The path of the description."""
        return self.folder / "study.json"

    def described(self) -> Any:
        """The content of the description.

        Raises
        ------
        OSError, ValueError, RecursionError
            If there is none, or if it cannot be read.
        """
        return json.loads(_content(self.description, MOST_DESCRIPTION_BYTES))

    def describe(self, record: Any) -> None:
        """Write the description, whole."""
        with replacing(self.description) as temporary:
            temporary.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    # -------------------------------------------------------------------------------------------- jobs

    def path(self, address: str) -> Path:
        """The path of the file of an address."""
        return self.cells / address[:2] / f"{address}{SUFFIX}"

    def read(self, job: Job) -> Arrays | None:
        """The arrays of a job; None if its file is not there.

        Raises
        ------
        UnusableFile
            If the file is not the one of that job.
        """
        try:
            content = _content(self.path(job.address), job.most_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:  # a folder of that name, a pipe, an unreadable sector
            raise UnusableFile("corrupt", error.strerror or str(error)) from None
        except ValueError as error:
            raise UnusableFile("corrupt", str(error)) from None
        arrays = decode(job, content)
        check_shapes(job, arrays)
        return arrays

    def write(self, address: str, content: bytes) -> None:
        """Put the file of a job into its place, whole."""
        path, temporary = self.path(address), self._unfinished / address
        if address[:2] not in self._made:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(address[:2])
        try:
            temporary.write_bytes(content)
        except OSError as error:  # a full disk is reported without a name
            raise OSError(error.errno, f"{error.strerror} while a cell was written", str(path)) from None
        os.replace(temporary, path)

    def set_aside(self, job: Job, reason: str) -> Path:
        """Move the file of a job out of the way; return where it lies now."""
        self.aside.mkdir(exist_ok=True)
        path = self.path(job.address)
        if not path.parent.is_dir():  # a file where its folder should be
            path = path.parent
        stem, number = f"{job.address}.{reason.replace(' ', '-')}", 1
        while os.path.lexists(target := self.aside / f"{stem}-{number}"):
            number += 1
        os.rename(path, target)
        return target

    def addresses(self) -> Iterator[str]:
        """Addresses of all files that are named like those of jobs."""
        for path in self.cells.glob(f"??/*{SUFFIX}"):
            yield path.name.removesuffix(SUFFIX)

    # -------------------------------------------------------------------------------------------- lock

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Make the folder if need be, and keep other runs out of it; what a killed one left is removed.

        Raises
        ------
        OSError
            If the folder cannot be written, or another run has it.
        """
        if self.folder.exists() and not self.folder.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, "this is a file; name a folder", str(self.folder))
        self.folder.mkdir(parents=True, exist_ok=True)
        with only_run(self.folder):
            self._clear()
            self._unfinished.mkdir()
            try:
                yield
            finally:
                shutil.rmtree(self._unfinished, ignore_errors=True)

    def _clear(self) -> None:
        """Remove what a killed run left; what is in the way of the store's own folders is named."""
        if self._unfinished.is_dir() and not self._unfinished.is_symlink():
            shutil.rmtree(self._unfinished, ignore_errors=True)
        for stray in self.folder.glob(".*-study.json"):
            if stray.is_file() or stray.is_symlink():
                stray.unlink(missing_ok=True)
        for place in (self._unfinished, self.cells, self.aside):
            if os.path.lexists(place) and not (place.is_dir() and place != self._unfinished):
                raise FileExistsError(
                    errno.EEXIST, "this is in the way of the study's own folder; move it away", str(place)
                )


def _content(path: Path, most: int) -> bytes:
    """The content of a regular file. A pipe or a device in its place is not read.

    Raises
    ------
    OSError
        If it cannot be read, or is no regular file.
    ValueError
        If it has more than `most` bytes.
    """
    descriptor = os.open(
        path,
        os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0) | getattr(os, "O_BINARY", 0),
    )
    with open(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise OSError(errno.EINVAL, "this is no regular file", str(path))
        if about.st_size > most:
            raise ValueError(f"the file has {about.st_size} bytes, more than the {most} that it can need")
        return file.read()
