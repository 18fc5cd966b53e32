"""Where compiled kernels are kept on disk, whose files are believed, and when they go.

A kernel is kept as a pickle, and whoever writes a pickle that is read decides what this process does. What is
read is therefore only what this user has written: each has a folder of their own, made for them alone, and a
file in it counts if it is theirs and nobody else may write to it. The checksum in front of a kernel finds
damage; it is no signature, since whoever can write the file can write the checksum.

The folder lies inside of one of these, the first that can be written:

- what ``LEAPGRAD_CACHE`` names, an absolute path (``~`` is the home folder); ``off`` keeps nothing
- ``__pycache__`` beside this package
- the user's cache folder

None of them may be writable by others, unless each can only remove what is their own there, as in ``/tmp``.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

__all__ = ["Places", "cache_folder", "digest", "find_places"]

OFF = {"off", "0", "no", "none", "false"}
KEPT_SECONDS = 30 * 86400.0
KEPT_BYTES = 512 << 20
"""Kernels that nobody has used for so long are removed, and the longest unused beyond so many bytes."""
DAY = 86400.0

# Windows has no such owners; there the user's profile is closed to others by the system.
_OWNED = hasattr(os, "geteuid")
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Places(NamedTuple):
    """Folders of this user's kernels: those that may be read, and the one to write to.

    Attributes
    ----------
    readable : tuple of Path
    writable : Path or None
    refused : tuple of str
        Why others are not used, one sentence each.
    """

    readable: tuple[Path, ...]
    writable: Path | None
    refused: tuple[str, ...]


def cache_folder() -> Path | None:
    """Folder that new kernels are written to, or None where caching is off or no folder can be written."""
    places = find_places()
    return None if places is None else places.writable


def find_places() -> Places | None:
    """The folders of this user, looked up anew; None where caching is switched off.

    Raises
    ------
    ValueError
        If LEAPGRAD_CACHE is a relative path: it would mean another folder in every working directory, and
        anybody's.
    """
    wish = os.environ.get("LEAPGRAD_CACHE", "").strip()
    if wish.lower() in OFF:
        return None
    readable: list[Path] = []
    refused: list[str] = []
    for base, mode in _bases(wish, refused):
        try:
            folder = _own_folder(base, mode)
        except OSError as error:
            refused.append(f"{error.filename or base}: {error.strerror or error}")
            continue
        readable.append(folder)
        if _writable(folder):
            return Places(tuple(readable), folder, tuple(refused))
        refused.append(f"{folder}: cannot be written")
    return Places(tuple(readable), None, tuple(refused))


def _bases(wish: str, refused: list[str]) -> Iterator[tuple[Path, int]]:
    """Folders to try and the mode to make them with; a home is looked for only when it is its turn."""
    if wish:
        path = Path(os.path.expanduser(wish))
        if not path.is_absolute():
            mend = (
                "name the folder in full" if wish[0] in "~$%" else f"here that is {str(Path.cwd() / wish)!r}"
            )
            raise ValueError(f"LEAPGRAD_CACHE must be an absolute path (or 'off'), got {wish!r}; {mend}.")
        yield path, 0o700
        return
    yield Path(__file__).parent / "__pycache__", 0o755  # others read Python's byte code there
    try:
        yield _user_cache(), 0o700
    except RuntimeError:  # this user has no home folder
        refused.append("this user has no home folder")


def _user_cache() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "leapgrad"
    if sys.platform == "win32":
        root = os.environ.get("LOCALAPPDATA")
        return (Path(root) if root else Path.home() / "AppData" / "Local") / "leapgrad"
    root = os.environ.get("XDG_CACHE_HOME", "")  # a relative one is to be ignored, says its specification
    return (Path(root) if os.path.isabs(root) else Path.home() / ".cache") / "leapgrad"


def _own_folder(base: Path, mode: int) -> Path:
    """The folder of this user inside `base`, made if need be.

    Raises
    ------
    OSError
        If it cannot be made, or others may change what is in it.
    """
    for part in (*reversed(base.parents), base):
        if not part.exists():
            part.mkdir(mode=mode if part == base else 0o700, exist_ok=True)
            if part == base and _OWNED:
                part.chmod(mode)  # whatever the umask takes away or leaves
    folder = base / f"leapgrad-{_user()}"
    if _OWNED:
        _check(base, os.stat(base), sticky=True)
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        pass
    else:
        _clear_old_layout(base)
    if _OWNED:
        _check(folder, os.lstat(folder), sticky=False)
    return folder


def _user() -> str:
    if _OWNED:
        return str(os.geteuid())
    return re.sub(r"\W", "_", os.environ.get("USERNAME", "")) or "user"


def _check(path: Path, found: os.stat_result, sticky: bool) -> None:
    """Raise unless `path` is a folder in which only this user, and root, may change anything of ours."""
    if not stat.S_ISDIR(found.st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "this is no folder", str(path))
    safe = sticky and found.st_mode & stat.S_ISVTX
    if found.st_uid not in ((os.geteuid(), 0) if sticky else (os.geteuid(),)):
        raise PermissionError(errno.EPERM, "belongs to another user", str(path))
    if found.st_mode & _OTHERS_WRITE and not safe:
        mode = stat.S_IMODE(found.st_mode)
        raise PermissionError(
            errno.EPERM, f"others may write to it (mode {mode:o}; chmod go-w mends it)", str(path)
        )


def _writable(folder: Path) -> bool:
    try:
        # os.access is wrong for root and on some network file systems: try.
        tempfile.TemporaryFile(dir=folder).close()
    except OSError:
        return False
    return True


# -------------------------------------------------------------------------------------------------- files


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sum(name: str, content: bytes) -> bytes:
    """A kernel under the name of another is damage, too."""
    return hashlib.sha256(name.encode() + b"\0" + content).digest()


def read(folder: Path, name: str) -> bytes | None:
    """The content of a file that is this user's alone and undamaged, or None."""
    try:
        with open(folder / name, "rb", opener=_open_own) as stream:
            found = os.fstat(stream.fileno())
            if not stat.S_ISREG(found.st_mode):
                return None
            if _OWNED and (found.st_uid != os.geteuid() or found.st_mode & _OTHERS_WRITE):
                return None
            content = stream.read()
            if time.time() - found.st_mtime > DAY:
                _touch(stream.fileno(), folder / name)
    except OSError:
        return None
    return content[32:] if content[:32] == _sum(name, content[32:]) else None


def _open_own(path: str, flags: int) -> int:
    """Neither through a symbolic link nor waiting for the other end of a pipe."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))


def _touch(handle: int, path: Path) -> None:
    """Note that a kernel is in use; on a read-only disk nobody clears it away either."""
    try:
        os.utime(handle if os.utime in os.supports_fd else path)
    except OSError:
        pass


def write(folder: Path, name: str, content: bytes, stem: str) -> None:
    """Keep a kernel; what other kernels of the same `stem` it replaces, and what is unused for long, goes.

    Raises
    ------
    OSError
    """
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".leapgrad-")  # for this user alone
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(_sum(name, content) + content)
        os.replace(temporary, folder / name)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _remove(folder, lambda path: path.name.startswith(stem) and path.name != name)
    _clear_unused(folder)


def _remove(folder: Path, condition: Callable[[Path], bool]) -> None:
    for path in folder.iterdir():
        if path.suffix == ".kernel" and condition(path):
            _unlink(path)


def _unlink(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # open in another process (Windows), or a folder
        pass


def _clear_unused(folder: Path) -> None:
    """Kernels of older versions, of other machines and of expressions that nobody uses any more."""
    files: list[tuple[float, int, Path]] = []
    for path in folder.iterdir():
        if path.name.startswith((".leapgrad-", "leapgrad.")):
            try:
                found = path.stat(follow_symlinks=False)
            except OSError:
                continue
            files.append((found.st_mtime, found.st_size, path))
    now, kept = time.time(), 0
    for used, size, path in sorted(files, reverse=True):
        kept += size
        unfinished = path.name.startswith(".")
        if kept > KEPT_BYTES or now - used > (DAY if unfinished else KEPT_SECONDS):
            _unlink(path)


def _clear_old_layout(base: Path) -> None:
    """Kernels as earlier versions left them, in `base` itself; they are never read again."""
    try:
        for path in base.glob("leapgrad.*.kernel"):
            _unlink(path)
    except OSError:
        pass


# ---------------------------------------------------------------------------------------------- the notice

_said = threading.Event()


def say_once(reason: str) -> None:
    """Tell that nothing is kept: it costs every process most of a minute, and one variable mends it."""
    if not _said.is_set():
        _said.set()
        warnings.warn(
            f"Compiled kernels cannot be kept on disk ({reason}), so every process compiles them anew, which "
            "may take a minute. Set LEAPGRAD_CACHE to a folder of your own, or to off.",
            RuntimeWarning,
            stacklevel=2,
        )
