"""The memory that may be used: that of the machine, within the limits of containers and shells."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from numbers import Real
from pathlib import Path
from typing import Any

from integrators.naming import shown

__all__ = ["as_bytes", "control_group_bytes", "gibibytes", "machine_bytes"]

UNKNOWN = float(8 << 30)
# Files with a limit, in either version of Linux's control groups; "max" or a huge number is none.
LIMIT_FILES = ("memory.max", "memory.high", "memory.limit_in_bytes")


def machine_bytes() -> float:
    """The memory that this process may use; 8 GiB where the system does not tell how much there is."""
    try:
        physical = float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        physical = UNKNOWN
    return min([physical, *_resource_limits(), *control_group_bytes()])


def _resource_limits() -> Iterator[float]:
    """What ``ulimit -v``, ``-d`` and ``-m`` say."""
    try:
        import resource
    except ImportError:  # Windows
        return
    for name in ("RLIMIT_AS", "RLIMIT_DATA", "RLIMIT_RSS"):
        with suppress(AttributeError, ValueError, OSError):
            soft, _ = resource.getrlimit(getattr(resource, name))
            if soft != resource.RLIM_INFINITY:
                yield float(soft)


def control_group_bytes(root: Path = Path("/")) -> Iterator[float]:
    """The limits of the control groups that this process is in, those around them included.

    Parameters
    ----------
    root : path
        Of the file system.
    """
    for mount, group in _memory_groups(root):
        place = mount / group
        # A group that is not shown here (in a container, say) is looked up from what is shown of it.
        while place != mount.parent:
            for name in LIMIT_FILES:
                with suppress(OSError, ValueError):
                    yield float(int((place / name).read_text(encoding="ascii")))
            place = place.parent


def _memory_groups(root: Path) -> Iterator[tuple[Path, str]]:
    """(where the control groups of a version are mounted, the path of this process's group below that)."""
    try:
        groups = (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace").splitlines()
        mounts = (root / "proc/self/mountinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    paths: dict[str, str] = {}
    for line in groups:
        number, controllers, path = (*line.split(":", 2), "", "")[:3]
        if number == "0" and not controllers:
            paths["cgroup2"] = path
        elif "memory" in controllers.split(","):
            paths["cgroup"] = path
    for line in mounts:
        before, _, after = line.partition(" - ")
        fields, kind = before.split(" "), (*after.split(" "), "")
        if (
            len(fields) < 5
            or kind[0] not in paths
            or (kind[0] == "cgroup" and "memory" not in after.rpartition(" ")[2].split(","))
        ):
            continue
        shown, path = fields[3].rstrip("/"), paths[kind[0]]
        below = path[len(shown) :] if (path + "/").startswith(shown + "/") else ""
        if ".." not in below.split("/"):
            yield root / fields[4].replace("\\040", " ").lstrip("/"), below.strip("/")


def as_bytes(value: Any, argument: str) -> float:
    """A number of bytes that a user gives as a limit; inf is none.

    Raises
    ------
    TypeError, ValueError
        If it is no number, or not positive.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{argument} must be a number of bytes, such as 2e9, got {shown(value)}.")
    size = float(value)
    if not size > 0.0:
        raise ValueError(f"{argument} must be a positive number of bytes, got {shown(value)}.")
    return size


def gibibytes(size: float) -> str:
    """A number of bytes for a sentence."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}"
    return f"{size:.0f} bytes"
