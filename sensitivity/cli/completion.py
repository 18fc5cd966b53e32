"""`leapgrad completion`: a script that lets a shell complete commands, options and files."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial

from .command import Command
from .output import print_json

__all__ = ["completion"]

SHELLS = ("bash", "zsh", "fish")
EXAMPLES = """\
  leapgrad completion bash > ~/.local/share/bash-completion/completions/leapgrad
  leapgrad completion zsh > ~/.zfunc/_leapgrad
  leapgrad completion fish > ~/.config/fish/completions/leapgrad.fish"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help=", ".join(SHELLS))


def run(commands: Callable[[], Sequence[Command]], args: argparse.Namespace) -> int:
    try:
        import shtab
    except ImportError as error:
        raise ValueError("completion needs the package shtab: pip install 'leapgrad[completion]'.") from error
    from .parser import build_parser

    parser = build_parser(commands())
    _complete_files(parser, shtab)
    script = shtab.complete(parser, args.shell)
    print_json({"shell": args.shell, "script": script}) if args.json else print(script)
    return 0


def _complete_files(parser: argparse.ArgumentParser, shtab: object) -> None:
    """Arguments whose placeholder names a file or a folder complete to one."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in set(action.choices.values()):
                _complete_files(child, shtab)
        elif (shown := str(action.metavar or "")) == "DIR":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif "." in shown:
            action.complete = shtab.FILE  # type: ignore[attr-defined]


def completion(commands: Callable[[], Sequence[Command]]) -> Command:
    """The command that completes all commands, itself among them."""
    about = "print a completion script for a shell"
    return Command("completion", about, add_arguments, partial(run, commands), examples=EXAMPLES)
