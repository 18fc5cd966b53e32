"""Every command, in the order of the help. One file, one command, one line here."""

from __future__ import annotations

from . import bound, demo, norm, reproduce, schemes
from .command import Command

__all__ = ["COMMANDS"]

COMMANDS: tuple[Command, ...] = (
    demo.COMMAND,
    norm.COMMAND,
    bound.COMMAND,
    schemes.COMMAND,
    reproduce.COMMAND,
)
