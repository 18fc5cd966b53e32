"""Every command, in the order of the help. One file, one command, one line here."""

from __future__ import annotations

from . import (
    bound,
    certify,
    claims,
    compare,
    completion,
    demo,
    falsify,
    growth,
    heuristic,
    norm,
    notebooks,
    profile,
    prove,
    recommend,
    reproduce,
    schemes,
    sweep,
    train,
    verify,
)
from .command import Command

__all__ = ["COMMANDS"]

COMMANDS: tuple[Command, ...] = (
    demo.COMMAND,
    norm.COMMAND,
    profile.COMMAND,
    growth.COMMAND,
    compare.COMMAND,
    bound.COMMAND,
    recommend.COMMAND,
    certify.COMMAND,
    falsify.COMMAND,
    prove.COMMAND,
    claims.COMMAND,
    train.COMMAND,
    heuristic.COMMAND,
    reproduce.COMMAND,
    sweep.COMMAND,
    verify.COMMAND,
    notebooks.COMMAND,
    schemes.COMMAND,
    completion.COMMAND,
)
