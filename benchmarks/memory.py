"""Resident memory of this process: now, and the most since a moment that one may choose."""

from __future__ import annotations

import sys
from pathlib import Path

__all__ = ["forget_peak", "peak", "resident"]

_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def _entry(name: str) -> int | None:
    try:
        for line in _STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def peak() -> int:
    """The most resident memory so far, in bytes.

    From the process's own memory map where the system shows it: ``getrusage`` also counts what the parent
    held when it started this process.
    """
    if (bytes_ := _entry("VmHWM")) is not None:
        return bytes_
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def resident() -> int:
    """Resident memory now, in bytes; the peak where the system does not tell."""
    now = _entry("VmRSS")
    return peak() if now is None else now


def forget_peak() -> None:
    """Start the peak anew from what is resident now, where the system can."""
    try:
        _RESET.write_text("5", encoding="ascii")
    except OSError:
        pass
