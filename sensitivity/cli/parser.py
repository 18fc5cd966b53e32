"""The parser: made from the registry, with errors of one line that name the nearest command."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, NoReturn

from .command import Command
from .output import RUNNING

__all__ = ["UsageError", "build_parser"]

FOOT = """\
first steps:
  leapgrad demo               a table and a picture; the first run compiles for a while
  leapgrad report --model lstm --d 32 --n-inputs 3 --n-steps 200
  leapgrad COMMAND --help     options and examples of a command

exit status:
  0 done   1 a check failed   2 wrong arguments   130 interrupted   141 output closed

environment:
  LEAPGRAD_THREADS=N    worker threads (default: all cores; no result depends on it)
  LEAPGRAD_CACHE=DIR    folder of the compiled kernels, an absolute path, or "off"
  LEAPGRAD_DEBUG=1      show the traceback of an error
"""


class UsageError(ValueError):
    """An argument that the parser does not take."""


class _Formatter(argparse.RawDescriptionHelpFormatter):
    """Puts the sentence on a command beside its name, also where the name is long."""

    def add_argument(self, action: argparse.Action) -> None:
        super().add_argument(action)
        if isinstance(action, argparse._SubParsersAction):  # argparse forgets how far its names are indented
            self._action_max_length += self._indent_increment


class Parser(argparse.ArgumentParser):
    """Raises instead of leaving the process, and never guesses at shortened options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("formatter_class", _Formatter)
        super().__init__(*args, **kwargs)

    def _get_value(self, action: argparse.Action, arg_string: str) -> Any:
        """An empty value, as an unset shell variable leaves it, is not an option left out."""
        if not arg_string.strip() and action.nargs != argparse.PARSER:
            raise argparse.ArgumentError(action, f"needs a value, got {arg_string!r}")
        return super()._get_value(action, arg_string)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:  # pyright: ignore
        """As that of argparse; but what is left over is the mistake of this command, and not of the first."""
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            options = [option for action in self._actions for option in action.option_strings]
            near = difflib.get_close_matches(unknown[0].partition("=")[0], options, n=1, cutoff=0.6)
            hint = f"; did you mean {near[0]!r}?" if near and unknown[0].startswith("-") else ""
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{_reworded(message)} (see {self.prog} --help)")


class _Version(argparse.Action):
    """Prints the version; it is looked up only when asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str, **_: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help="print the version and stop")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from sensitivity.manifest import leapgrad_version

        print(f"leapgrad {leapgrad_version()}")
        parser.exit()


def build_parser(commands: Sequence[Command]) -> argparse.ArgumentParser:
    """The parser of `leapgrad` for the given commands."""
    parser = Parser(
        prog="leapgrad",
        description="Hidden-state gradients of recurrent networks: exact norms, proved bounds, figures.",
        epilog=FOOT,
    )
    parser.add_argument("--version", action=_Version)
    _add_commands(parser, commands)
    return parser


def _add_commands(parser: argparse.ArgumentParser, commands: Sequence[Command]) -> None:
    group = parser.add_subparsers(metavar="COMMAND", required=True, title="commands")
    for command in commands:
        child = group.add_parser(
            command.name,
            help=command.help,
            description=f"{command.help[0].upper()}{command.help[1:]}.",
            epilog=f"examples:\n{command.examples}" if command.examples else None,
        )
        if command.subcommands:
            _add_commands(child, command.subcommands)
            continue
        command.add_arguments(child)
        child.add_argument("--json", action="store_true", help="print JSON instead of a table")
        child.set_defaults(run=_named(command.run, child.prog.split(maxsplit=1)[1]))


def _named(run: Callable[[argparse.Namespace], int], name: str) -> Callable[[argparse.Namespace], int]:
    """The function of a command, which first says what it is called; its JSON begins with that."""

    @wraps(run)
    def named(args: argparse.Namespace) -> int:
        RUNNING.set(name)
        return run(args)

    return named


def _reworded(message: str) -> str:
    """A message of argparse, with the nearest choice in place of all of them."""
    match = re.search(r"argument (.*): invalid choice: '([^']*)' \(choose from (.*)\)", message)
    if match is None:
        return message
    argument, given, choices = match[1], match[2], re.findall(r"[\w.-]+", match[3])
    guess = difflib.get_close_matches(given, choices, n=1, cutoff=0.5)
    hint = f"did you mean {guess[0]!r}?" if guess else f"choose from {', '.join(choices)}"
    kind = "command" if argument == "COMMAND" else argument
    return f"{kind} {given!r} is not known; {hint}"
