"""`leapgrad completion`: a script that lets a shell complete commands, options and files."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial

from sensitivity.extras import imported

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
    shtab = imported("shtab", "completion needs the package shtab: pip install 'leapgrad[completion]'.")
    from .parser import build_parser

    parser = build_parser(commands())
    _complete(parser, _words(), shtab)
    script = shtab.complete(parser, args.shell)
    print_json({"shell": args.shell, "script": script}) if args.json else print(script)
    return 0


def _words() -> dict[str, list[str]]:
    """Words that the shell offers: by the option, or by the command where an argument has no option."""
    from integrators.fields.activations import ACTIVATIONS
    from integrators.schemes.table import SCHEMES
    from proofs import CATALOGUE  # the command line joins the two packages
    from sensitivity.papers.catalogue import PAPERS, paper
    from sensitivity.recurrences.registry import MODELS

    claims = [claim for name in PAPERS for claim in paper(name).claims]
    return {
        "--activation": sorted(ACTIVATIONS),
        "--model": sorted(MODELS),
        "--paper": [*PAPERS, "all"],
        "--scheme": sorted(SCHEMES),
        "claims": claims,
        "compare": sorted(MODELS),
        "prove": list(CATALOGUE),
        "schemes": sorted(SCHEMES),
    }


def _complete(parser: argparse.ArgumentParser, words: dict[str, list[str]], shtab: object) -> None:
    """Arguments complete to the words they take, or to a file or a folder if their placeholder names one."""
    command = parser.prog.split()[-1]
    for action in parser._actions:
        offered = next((words[option] for option in action.option_strings if option in words), None)
        if not action.option_strings and offered is None:
            offered = words.get(command)
        if isinstance(action, argparse._SubParsersAction):
            for child in set(action.choices.values()):
                _complete(child, words, shtab)
        elif offered is not None and action.choices is None:
            action.choices = offered
        elif (shown := str(action.metavar or "")) == "DIR":
            action.complete = shtab.DIRECTORY  # type: ignore[attr-defined]
        elif "." in shown:
            action.complete = shtab.FILE  # type: ignore[attr-defined]


def completion(commands: Callable[[], Sequence[Command]]) -> Command:
    """The command that completes all commands, itself among them."""
    about = "print a completion script for a shell"
    return Command("completion", about, add_arguments, partial(run, commands), examples=EXAMPLES)
