"""The record of a command: its name, its help, its arguments, and the function that runs it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

__all__ = ["Command", "leaves", "no_arguments"]


def no_arguments(parser: argparse.ArgumentParser) -> None:
    """A command without arguments of its own."""


def not_runnable(args: argparse.Namespace) -> int:
    raise NotImplementedError("a command with subcommands is not run itself")


@dataclass(frozen=True)
class Command:
    """A command of `leapgrad`.

    Attributes
    ----------
    name : str
    help : str
        One line, without a full stop.
    add_arguments : callable
        Adds the arguments to a parser; ``--json`` is there already.
    run : callable
        Namespace → exit status. Everything slow to import is imported in here.
    subcommands : tuple of Command
        Instead of `add_arguments` and `run`.
    examples : str
        Shown at the end of the help, as they stand.
    """

    name: str
    help: str
    add_arguments: Callable[[argparse.ArgumentParser], None] = no_arguments
    run: Callable[[argparse.Namespace], int] = not_runnable
    subcommands: tuple[Command, ...] = ()
    examples: str = ""


def leaves(commands: Iterable[Command], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The words of every command that runs, such as ("reproduce", "figures")."""
    for command in commands:
        here = (*path, command.name)
        if command.subcommands:
            yield from leaves(command.subcommands, here)
        else:
            yield here
