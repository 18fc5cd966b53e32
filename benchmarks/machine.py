"""What the numbers were measured on, and with what; no host, user or folder names."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from sensitivity.manifest import machine, versions

from .candidate import CONTINUOUS, OURS, PEERS, Library, NotAvailable
from .worker import Worker, WorkerFailure

__all__ = ["Description", "describe"]


@dataclass(frozen=True)
class Description:
    """The machine and the libraries.

    Attributes
    ----------
    cpu, system, python : str
    cores : int
        Used by the benchmark; the machine may have more.
    versions : dict
        Distribution → version, of what is installed.
    settings : dict
        Library → its thread and precision settings, or why it is not available.
    """

    cpu: str
    system: str
    python: str
    cores: int
    versions: dict[str, str]
    settings: dict[str, str]


def describe(cores: int) -> Description:
    """Ask this process for the machine and each library's own process for its settings."""
    here, found = machine(), versions()
    packages: dict[str, str] = {}
    settings: dict[str, str] = {}
    for library in (OURS, *PEERS, CONTINUOUS):
        for package in library.packages:
            try:
                packages[package] = metadata.version(package)
            except metadata.PackageNotFoundError:
                if package in found:
                    packages[package] = found[package]
    for library in (OURS, *PEERS):
        settings[library.name] = _settings(library, cores)
    return Description(
        here["cpu"], f"{here['system']} {here['architecture']}", found["python"], cores, packages, settings
    )


def _settings(library: Library, cores: int) -> str:
    with Worker(library, cores) as worker:
        try:
            return worker.ask("settings")
        except (NotAvailable, WorkerFailure) as error:
            return f"not available: {str(error).strip().splitlines()[-1]}"
