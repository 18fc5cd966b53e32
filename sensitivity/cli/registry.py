"""Every command: each file of the rooms `analysis`, `experiments` and `papers` that holds a ``COMMAND``."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from types import ModuleType

from . import analysis, experiments, papers
from .command import Command
from .completion import completion

__all__ = ["COMMANDS"]


def _commands(room: ModuleType) -> Iterator[Command]:
    """The commands of a room, by the names of their files."""
    for entry in pkgutil.iter_modules(room.__path__):
        module = importlib.import_module(f"{room.__name__}.{entry.name}")
        if isinstance(command := getattr(module, "COMMAND", None), Command):
            yield command


COMMANDS: tuple[Command, ...] = (
    *(command for room in (analysis, experiments, papers) for command in _commands(room)),
    completion(lambda: COMMANDS),
)
