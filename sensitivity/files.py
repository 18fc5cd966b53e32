"""Files that are either complete or not there: everything is written beside its place, then renamed.

Files of users are read here too: as bytes, as text in any Unicode encoding that it declares, or as TOML.
"""

from __future__ import annotations

import errno
import gzip
import os
import re
import secrets
import shutil
import stat
import tomllib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

__all__ = [
    "check_writable",
    "read_bytes",
    "read_text",
    "read_toml",
    "replacing",
    "replacing_folder",
    "user_path",
]

MOST_BYTES = 2**31
"""The largest file that is read whole, after unpacking."""
MOST_TOML = 2**22
# The marks that a text may begin with; the longer ones first, since UTF-32 begins like UTF-16.
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe\x00\x00", "utf-32-le"),
    (b"\x00\x00\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
# What people take for a text file, by its first bytes.
_NO_TEXT = (
    (b"PK\x03\x04", "a zip archive; unpack it"),
    (b"BZh", "packed with bzip2; unpack it"),
    (b"\xfd7zXZ\x00", "packed with xz; unpack it"),
    (b"\x28\xb5\x2f\xfd", "packed with zstd; unpack it"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it"),
    (b"\x93NUMPY", "a NumPy array, not text"),
    (b"\x89HDF", "an HDF5 file, not text"),
    (b"%PDF", "a PDF, not text"),
)
_ESCAPED = re.compile("[\udc80-\udcff]")  # how "surrogateescape" writes a byte that is no UTF-8


def user_path(path: Any, argument: str = "path") -> Path:
    """What a user gives as a path, with ``~`` for the home folder unless something has that very name.

    Raises
    ------
    TypeError
        If it is no path.
    ValueError
        If it is empty, or has a NUL character.
    """
    if not isinstance(path, (str, os.PathLike)) or isinstance(os.fspath(path), bytes):
        raise TypeError(f"{argument} must be a path (str or pathlib.Path), got {path!r}.")
    text = os.fspath(path)
    if not text.strip() or "\0" in text:
        raise ValueError(f"{argument} must name a file or folder, got {text!r}.")
    given = Path(path)
    if text.startswith("~") and not os.path.lexists(text):
        try:
            return given.expanduser()
        except RuntimeError:  # no such user, or no home: then the name is meant as it stands
            pass
    return given


def read_bytes(path: str | Path, limit: int = MOST_BYTES) -> bytes:
    """The whole content of a regular file. A gzipped file is unpacked, also if its name does not say so.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read; a pipe is not waited for.
    ValueError
        If it is cut short, damaged, or larger than `limit` bytes.
    """
    path = user_path(path)
    kind = path.stat().st_mode
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, "this is a folder; name a file", str(path))
    if not stat.S_ISREG(kind):
        raise OSError(errno.EINVAL, "this is a pipe or a device; name a regular file", str(path))
    try:
        with path.open("rb") as stream:
            packed = stream.read(2) == b"\x1f\x8b"
            stream.seek(0)
            content = (gzip.GzipFile(fileobj=stream) if packed else stream).read(limit + 1)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(f"{path} cannot be unpacked ({error}); it is cut short or damaged.") from None
    if len(content) > limit:
        raise ValueError(
            f"{path} holds more than {limit} bytes{' unpacked' if packed else ''}; that is too much."
        )
    return content


def read_text(path: str | Path, comment: str | tuple[str, ...] | None = None, limit: int = MOST_BYTES) -> str:
    """A text in UTF-8, or in UTF-16 or UTF-32 if it begins with their mark; each line ends with ``\\n``.

    Parameters
    ----------
    path : path
        Of a text, gzipped or not.
    comment : str or tuple of str, optional
        What a line of comment starts with. There a byte that is not UTF-8, as older editors wrote them, does
        no harm and becomes U+FFFD; elsewhere its meaning would be a guess, and the text is refused.
    limit : int
        The largest number of bytes, after unpacking.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is damaged, too large, no text, or in another encoding.
    """
    text = _decoded(path, limit)
    if _ESCAPED.search(text) is None:
        return text
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        found = _ESCAPED.search(line)
        if found is None:
            continue
        if comment is None or not line.lstrip().startswith(comment):
            raise ValueError(
                f"{path}, line {number} has the byte 0x{ord(found[0]) - 0xDC00:02x}, which is not UTF-8; "
                "save the file as UTF-8."
            )
        lines[number - 1] = _ESCAPED.sub("\ufffd", line)
    return "\n".join(lines)


def read_toml(path: str | Path, limit: int = MOST_TOML) -> dict[str, Any]:
    """The content of a TOML file; bytes that are not UTF-8 may stand in its comments.

    Raises
    ------
    OSError
        If there is no such file, or it cannot be read.
    ValueError
        If it is no TOML, too large, nested too deeply, or in another encoding.
    """
    try:
        data = tomllib.loads(_decoded(path, limit))
    except ValueError as error:  # a TOMLDecodeError, or Python's about a number of thousands of digits
        reason = str(error).removeprefix(f"{path} ").rstrip(".")
        raise ValueError(f"{path} is not a TOML file: {reason}.") from None
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply; write it with fewer levels.") from None
    waiting: list[Any] = [data]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            waiting += [*item, *item.values()]
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, str) and _ESCAPED.search(item):
            shown = _ESCAPED.sub("\ufffd", item)
            raise ValueError(f"{path}: {shown!r} has a byte that is not UTF-8; save the file as UTF-8.")
    return data


def _decoded(path: str | Path, limit: int) -> str:
    """The text of a file; bytes that are not UTF-8 are left in it, escaped."""
    raw = read_bytes(path, limit)
    for start, what in _NO_TEXT:
        if raw.startswith(start):
            raise ValueError(f"{path} is {what}.")
    mark, encoding = next((row for row in _MARKS if raw.startswith(row[0])), (b"", "utf-8"))
    raw = raw[len(mark) :]
    try:
        text = raw.decode(encoding, errors="surrogateescape" if encoding == "utf-8" else "strict")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} begins as {encoding.upper()}, but is not ({error.reason}).") from None
    if "\0" in text:
        raise ValueError(
            f"{path} has NUL bytes: it is no text, or UTF-16 without its mark; save it as UTF-8."
        )
    return text.replace("\r\n", "\n").replace("\r", "\n")


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
    Files in it with other names stay, also in its subfolders.
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
        for path in sorted(one for one in staging.rglob("*") if not one.is_dir()):
            target = folder / path.relative_to(staging)
            target.parent.mkdir(parents=True, exist_ok=True)
            os.replace(path, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        for part in missing:  # the innermost first; only what was made here, and only while it is empty
            try:
                part.rmdir()
            except OSError:
                break
