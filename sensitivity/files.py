"""Files that are either complete or not there: everything is written beside its place, then renamed."""

from __future__ import annotations

import errno
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["check_writable", "replacing", "replacing_folder"]


def _beside(path: Path) -> Path:
    """A name in the same folder, hence on the same disk; the suffix stays, for writers that look at it."""
    return path.with_name(f".{secrets.token_hex(4)}-{path.name}")


def check_writable(path: str | Path) -> Path:
    """The path as a `Path`, if a file can be written there: to be asked before a long computation.

    Raises
    ------
    OSError
        If its folder does not exist or cannot be written, or if the path is a folder.
    """
    path = Path(path)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, "this is a folder; name a file", str(path))
    if not path.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "the folder of this file does not exist", str(path))
    if not path.exists():
        # os.access is wrong for root and on some network file systems: try.
        trial = _beside(path)
        try:
            trial.touch(exist_ok=False)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
        trial.unlink()
    return path


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary file to write to; it takes the place of `path` at the end, unless there was an error."""
    path = Path(path)
    if path.exists() and not path.is_file():
        yield path  # a device or a pipe: there is nothing to rename
        return
    target = path.resolve()  # a symbolic link stays one
    temporary = _beside(target)
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(folder: str | Path) -> Iterator[Path]:
    """An empty folder to fill; its files move into `folder` at the end, unless there was an error.

    `folder` is made if need be, at once, so that a path that cannot be written fails before the work starts.
    Files in it with other names stay.
    """
    folder = Path(folder)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, "this is a file; name a folder", str(folder))
    missing = [part for part in (folder, *folder.parents) if not part.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    staging = folder / f".{secrets.token_hex(4)}-unfinished"
    try:
        try:
            staging.mkdir()
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(folder)) from None
        yield staging
        for path in sorted(staging.iterdir()):
            os.replace(path, folder / path.name)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        for part in missing:  # the innermost first; only what was made here, and only while it is empty
            try:
                part.rmdir()
            except OSError:
                break
