"""The folder of a study: its description, its cells, and what was set aside.

``study.json``            the study, written out, with the versions that it was begun with
``cells/ab/abcd….cell``   one file a cell, named by its address
``set-aside/``            files that were no usable cells, moved out of the way, never deleted
``unfinished/``           where files are written before they take their place

Only the process that runs the study writes, one at a time (a lock on the folder sees to that); cells appear
whole or not at all. A power cut may still leave a file without its content: its checksum tells.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..files import replacing
from ..manifest import versions
from .cell import Cell, UnusableCell, decode
from .study import Study

__all__ = ["Store"]

SUFFIX = ".cell"
LOCK = ".lock"


class Store:
    """A folder of cells.

    Parameters
    ----------
    folder : path
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.cells = self.folder / "cells"
        self.aside = self.folder / "set-aside"
        self._unfinished = self.folder / "unfinished"
        self._made: set[str] = set()

    # --------------------------------------------------------------------------------------- the study

    def study(self) -> Study:
        """The study that this folder was made for.

        Raises
        ------
        OSError, ValueError
            If there is none, or if its file cannot be read.
        """
        path = self.folder / "study.json"
        if not path.exists():
            raise FileNotFoundError(
                errno.ENOENT, "this folder holds no study (no study.json)", str(self.folder)
            )
        try:
            return Study.from_dict(json.loads(path.read_text(encoding="utf-8"))["study"])
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is damaged ({error}); run the study again into this folder.") from None

    def describe(self, study: Study) -> None:
        """Write study.json, unless it holds this study already."""
        try:
            if self.study() == study:
                return
        except (OSError, ValueError):
            pass
        record = {"study": study.to_dict(), "begun_with": versions()}
        text = json.dumps(record, indent=1, ensure_ascii=False) + "\n"
        with replacing(self.folder / "study.json") as temporary:
            temporary.write_text(text, encoding="utf-8")

    # ------------------------------------------------------------------------------------------- cells

    def path(self, address: str) -> Path:
        """Where the cell of an address lies."""
        return self.cells / address[:2] / f"{address}{SUFFIX}"

    def read(self, cell: Cell) -> dict[str, NDArray[np.float64]] | None:
        """The arrays of a cell; None if its file is not there.

        Raises
        ------
        UnusableCell
            If the file is not that cell.
        """
        try:
            content = self.path(cell.address).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:  # a folder of that name, an unreadable sector
            raise UnusableCell("corrupt", error.strerror or str(error)) from None
        return decode(cell, content)

    def write(self, address: str, content: bytes) -> None:
        """Put the file of a cell into its place, whole."""
        path, temporary = self.path(address), self._unfinished / address
        if address[:2] not in self._made:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._made.add(address[:2])
        temporary.write_bytes(content)
        os.replace(temporary, path)

    def set_aside(self, cell: Cell, reason: str) -> Path:
        """Move the file of a cell out of the way; return where it lies now."""
        self.aside.mkdir(exist_ok=True)
        stem, number = f"{cell.address}.{reason.replace(' ', '-')}", 1
        while (target := self.aside / f"{stem}-{number}").exists():
            number += 1
        os.rename(self.path(cell.address), target)
        return target

    def addresses(self) -> Iterator[str]:
        """Addresses of all files that are named like cells."""
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
        with open(self.folder / LOCK, "wb") as handle:
            if not _locked(handle.fileno()):
                raise BlockingIOError(
                    errno.EWOULDBLOCK,
                    "another run is writing into this folder; wait for it",
                    str(self.folder),
                )
            shutil.rmtree(self._unfinished, ignore_errors=True)
            for stray in self.folder.glob(".*-study.json"):
                stray.unlink(missing_ok=True)
            self._unfinished.mkdir()
            try:
                yield
            finally:
                shutil.rmtree(self._unfinished, ignore_errors=True)


def _locked(descriptor: int) -> bool:
    """Lock an open file until it is closed, by the death of the process too; False if another has it."""
    try:
        import fcntl
    except ImportError:  # Windows: two runs at once only do some cells twice
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        # Some network file systems have no locks at all.
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True
