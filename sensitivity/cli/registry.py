"""Every command, in the order of the help. One file, one command, one line here."""

from __future__ import annotations

from . import completion
from .analysis import bound, certify, compare, falsify, growth, norm, profile, recommend, schemes
from .command import Command
from .experiments import heuristic, sweep, train, verify
from .papers import claims, demo, notebooks, prove, reproduce

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
