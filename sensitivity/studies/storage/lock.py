"""One run at a time in a folder, also where the system or the file system has no locks.

The system's lock on the file ``.lock`` is taken where there is one (``flock``, or ``msvcrt.locking`` on
Windows): it ends with the process, whatever ends that. Elsewhere, on some network file systems, the file
``.owner`` is made, which only one process can do; it names that process, so that what a killed run left is
told from a run at work.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["LOCK", "OWNER", "only_run"]

LOCK, OWNER = ".lock", ".owner"
MOST_OWNER_BYTES = 10_000


@contextmanager
def only_run(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder.

    Raises
    ------
    OSError
        If another run has it, or the lock cannot be made.
    """
    descriptor = _opened(folder / LOCK)
    try:
        locked = _system_lock(descriptor)
        if locked is False:
            raise _busy(folder, "wait for it")
        if locked:
            yield
            return
        _own(folder)
        try:
            yield
        finally:
            with suppress(OSError):
                (folder / OWNER).unlink()
    finally:
        os.close(descriptor)


def _busy(folder: Path, mend: str) -> BlockingIOError:
    return BlockingIOError(errno.EWOULDBLOCK, f"another run is writing into this folder; {mend}", str(folder))


def _opened(path: Path) -> int:
    """The lock, opened; it is never written to, and nothing but a regular file in this folder is taken."""
    strange = OSError(errno.EINVAL, "the lock of this folder is no regular file; remove it", str(path))
    if path.is_symlink():
        raise strange
    flags = os.O_RDWR | os.O_CREAT
    for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_NOCTTY"):  # no link is followed, no pipe waited for
        flags |= getattr(os, name, 0)
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV):
            raise strange from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise strange
    return descriptor


def _system_lock(descriptor: int) -> bool | None:
    """Whether the file is ours now, until it is closed; None where there are no locks."""
    try:
        import fcntl
    except ImportError:
        return _windows_lock(descriptor)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return False if error.errno in (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES) else None
    return True


def _windows_lock(descriptor: int) -> bool | None:
    try:
        import msvcrt
    except ImportError:
        return None
    try:
        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError as error:
        return False if error.errno in (errno.EACCES, errno.EDEADLK) else None
    return True


# ------------------------------------------------------------------------------------------ without locks


def _own(folder: Path) -> None:
    """Make ``.owner``, in place of one that a process left which is no more."""
    path = folder / OWNER
    for _ in range(3):  # others may look at the same moment
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            _remove_if_left(folder, path)
            continue
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(_myself(), file)
        return
    raise _busy(folder, "wait for it")


def _remove_if_left(folder: Path, path: Path) -> None:
    """Remove ``.owner`` if its process is known to be gone; raise if it may be at work."""
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        return
    except OSError:
        raise _busy(folder, f"remove {path} if there is none") from None
    with open(descriptor, "rb") as file:
        try:
            owner = json.loads(file.read(MOST_OWNER_BYTES))
            place, process, began = owner["place"], int(owner["process"]), owner["began"]
        except (ValueError, KeyError, TypeError, RecursionError):
            place, process, began = None, 0, None
        if place != _place() or (_alive(process) and _began(process) == began):
            where = f" (process {process} of {place[0]})" if isinstance(place, list) and place else ""
            raise _busy(folder, f"wait for it, or remove {path} if that run{where} is no more")
        # Another one may have found the same and made its own by now: only this very file is removed.
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(file.fileno()), os.lstat(path)):
                path.unlink()


def _myself() -> dict[str, object]:
    return {"place": _place(), "process": os.getpid(), "began": _began(os.getpid())}


def _place() -> list[str]:
    """Identifies this machine since its start, and this container, in which process numbers are unique."""
    boot, space = "", ""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return [platform.node(), boot, space]


def _alive(process: int) -> bool:
    if process <= 0 or os.name == "nt":  # there, asking with signal 0 would send Ctrl-C
        return process > 0
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return True


def _began(process: int) -> str:
    """When a process was started, in the system's ticks; numbers of processes are used again."""
    try:
        return (
            Path(f"/proc/{process}/stat")
            .read_text(encoding="ascii", errors="replace")
            .rpartition(")")[2]
            .split()[19]
        )
    except (OSError, IndexError):
        return ""
