"""What a result was computed with: versions, parameters, machine. No paths, no host or user names."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from .text import write_json

__all__ = ["leapgrad_version", "machine", "versions", "write_manifest"]

PACKAGES = ("numpy", "scipy", "numba", "llvmlite", "matplotlib")


def leapgrad_version() -> str:
    """Version of the installed distribution, or "unknown" when the packages run from a bare folder."""
    return _version("leapgrad")


@cache  # the metadata of a package are a file, which is parsed anew at every call: 0.6 ms
def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"


def versions() -> dict[str, str]:
    """Versions of Python, of leapgrad and of the packages that take part in a number or a picture."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return {"leapgrad": leapgrad_version(), "python": python, **{name: _version(name) for name in PACKAGES}}


def cpu_model() -> str:
    """The processor's name as its maker gives it, or the architecture where the system does not tell."""
    try:
        if platform.system() == "Linux":
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
                if line.startswith(("model name", "Model")):
                    return line.partition(":")[2].strip()
        elif platform.system() == "Darwin":
            command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        pass
    return platform.machine()


def machine() -> dict[str, Any]:
    """Processor, cores that this process may use, operating system, and the BLAS libraries loaded."""
    from threadpoolctl import threadpool_info

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    # The remaining entries of threadpool_info hold file paths.
    kept = ("internal_api", "version", "architecture")
    blas = {
        " ".join(str(library[key]) for key in kept if library.get(key))
        for library in threadpool_info()
        if library.get("user_api") == "blas"
    }
    return {
        "cpu": cpu_model(),
        "architecture": platform.machine(),
        "cores": cores,
        "system": platform.system(),
        "blas": sorted(blas),
    }


def write_manifest(folder: Path, command: str, parameters: Mapping[str, Any], seconds: float) -> None:
    """Write manifest.json: how the other files of a folder came about, and their SHA-256 digests.

    Parameters
    ----------
    folder : path
    command : str
        What to type to have the same again, without paths.
    parameters : mapping
        Everything the numbers depend on.
    seconds : float
        Wall time.
    """
    record = {
        "command": command,
        "parameters": parameters,
        "seconds": round(seconds, 2),
        "versions": versions(),
        "machine": machine(),
        "sha256": {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(folder.iterdir())
        },
    }
    write_json(folder / "manifest.json", record)
